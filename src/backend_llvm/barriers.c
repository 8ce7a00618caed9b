// SPDX-License-Identifier: Apache-2.0
// Barriers for host memory that both CPU and VTA touch, on machines where they do not see each other's writes at once:
//   VTAReadBarrier   what the CPU has written gets to where VTA reads (a flush)
//   VTAWriteBarrier  what VTA has written is what the CPU reads next (an invalidation)
// A buffer is flushed after the statements of the CPU's that write it, the last of those that follow one another:
// before anything that VTA is given next, whenever that is launched. It is invalidated after the launch (vta.sync) that
// may have written it, if the CPU touches it at all: at once, since an invalidation would throw away what the CPU
// writes later. So there is nothing to flush while VTA runs, and nothing stale when the CPU writes. VTABufferCopy does
// both by itself.
#include "backend_llvm/internal.h"

#include "backend_vta/vta.h"

static bool note_intrin(void *self, const Stmt *s) {
  *(bool *)self |= s->kind == STMT_INTRIN;
  return !*(bool *)self;
}

static bool no_expr(void *self, const Expr *e) {
  (void)self, (void)e;
  return false;
}

static bool is_host_only(const Stmt *s) {
  bool intrin = false;
  stmt_visit(s, note_intrin, no_expr, &intrin);
  return !intrin;
}

// The statement with which s ends, as gen_stmt walks it.
static const Stmt *end_of(const Stmt *s) {
  for (;;) {
    if (s->kind == STMT_ALLOC) s = s->body;
    else if (s->kind == STMT_SEQ && s->nchildren) s = s->children[s->nchildren - 1];
    else return s;
  }
}

// Buffer b gets a barrier after s.
static void add_barrier(Gen *g, const Stmt *s, const Buffer *b) {
  Place *at = place_of(&g->places, s);
  for (size_t i = 0; i < at->barriers.len; i++)
    if (at->barriers.data[i] == b) return;
  VEC_PUSH(g->cx->arena, at->barriers, b);
}

typedef struct Written {
  Gen *g;
  const Stmt *after;
} Written;

static bool note_written(void *self, const Stmt *s) {
  const Written *w = self;
  if (s->kind == STMT_STORE && place_of(&w->g->places, s->buffer)->by_vta) add_barrier(w->g, w->after, s->buffer);
  return true;
}

// Statements of the CPU's, one after the other.
static void plan_host(Gen *g, int n, const Stmt *const *stmts) {
  Written w = {g, end_of(stmts[n - 1])};
  for (int i = 0; i < n; i++) stmt_visit(stmts[i], note_written, no_expr, &w);
}

// The buffers that VTA may have written since they were last invalidated, of those that the CPU touches.
typedef struct Pending {
  VEC(const Buffer *) buffers;
} Pending;

static void add_pending(Gen *g, Pending *p, const Buffer *b) {
  if (!place_of(&g->places, b)->by_cpu) return;
  for (size_t i = 0; i < p->buffers.len; i++)
    if (p->buffers.data[i] == b) return;
  VEC_PUSH(g->cx->arena, p->buffers, b);
}

static Pending copy_pending(Gen *g, const Pending *p) {
  Pending copy = {0};
  for (size_t i = 0; i < p->buffers.len; i++) add_pending(g, &copy, p->buffers.data[i]);
  return copy;
}

typedef struct Stored {
  Gen *g;
  Pending *pending;
} Stored;

static bool note_stored(void *self, const Stmt *s) {
  const Stored *st = self;
  if (s->kind != STMT_INTRIN || !is_vta(s->intrin, VTA_STORE_CALL)) return true;
  const Expr *dst = s->args[ARG_STORE_CALL_DST];
  if (dst->kind == EXPR_REF) add_pending(st->g, st->pending, dst->buffer);
  return true;
}

static void plan(Gen *g, const Stmt *s, Pending *p);

static void plan_seq(Gen *g, const Stmt *s, Pending *p) {
  for (int i = 0; i < s->nchildren;) {
    int n = 0;
    while (i + n < s->nchildren && is_host_only(s->children[i + n])) n++;
    if (n) plan_host(g, n, s->children + i);
    else plan(g, s->children[i], p);
    i += n ? n : 1;
  }
}

// A turn of a loop may follow another one, and a branch, or a loop, may be left out.
static void plan_inner(Gen *g, const Stmt *s, Pending *p) {
  Stored stored = {g, p};
  if (s->kind == STMT_FOR) stmt_visit(s->body, note_stored, no_expr, &stored);
  Pending before = copy_pending(g, p), other = copy_pending(g, p);
  plan(g, s->body, p);
  if (s->kind == STMT_IF && s->else_body) plan(g, s->else_body, &other);
  for (size_t i = 0; i < other.buffers.len; i++) add_pending(g, p, other.buffers.data[i]);
  int64_t extent;
  bool always = s->kind == STMT_FOR && expr_is_int(s->extent, &extent) && extent > 0;
  for (size_t i = 0; i < before.buffers.len && !always; i++) add_pending(g, p, before.buffers.data[i]);
}

static void plan_intrin(Gen *g, const Stmt *s, Pending *p) {
  Stored stored = {g, p};
  note_stored(&stored, s);
  if (!is_vta(s->intrin, VTA_SYNC)) return;
  for (size_t i = 0; i < p->buffers.len; i++) add_barrier(g, s, p->buffers.data[i]);
  p->buffers.len = 0;
}

static void plan(Gen *g, const Stmt *s, Pending *p) {
  if (is_host_only(s)) {
    plan_host(g, 1, &s);
    return;
  }
  switch (s->kind) {
  case STMT_SEQ: plan_seq(g, s, p); return;
  case STMT_FOR:
  case STMT_IF: plan_inner(g, s, p); return;
  case STMT_ALLOC: plan(g, s->body, p); return;
  case STMT_INTRIN: plan_intrin(g, s, p); return;
  case STMT_STORE: return;
  }
}

void gen_plan_barriers(Gen *g, const Stmt *body) {
  Pending p = {0};
  plan(g, body, &p);
}

void gen_barrier(Gen *g, const char *name, LLVMValueRef handle, int64_t bytes) {
  LLVMValueRef args[5] = {g->frame->command, handle, gen_i32(g, 8), gen_i32(g, 0), gen_i32(g, bytes)};
  gen_call(g, name, "vppiii", args);
}

void gen_barriers_after(Gen *g, const Stmt *s) {
  if (!g->frame->command)
    return; // a kernel of the CPU alone, or a function of its own that the CPU's statements became
  const Place *at = place_of(&g->places, s);
  const char *name = s->kind == STMT_INTRIN ? "VTAWriteBarrier" : "VTAReadBarrier";
  for (size_t i = 0; i < at->barriers.len; i++)
    gen_barrier(g, name, place_of(&g->places, at->barriers.data[i])->handle, frame_bytes(g, at->barriers.data[i]));
}

// SPDX-License-Identifier: Apache-2.0
// inject_alu: nests marked vta.alu become ALU instructions on tiles, each in loops of its own.
//
//   vta.alu() { for x in 0..14 { for j in 0..16 {          for x in 0..14 { vta.mov(&scaled[x], &biased[x]) }
//     scaled[x, j] = biased[x, j] >> 8 }}}                 for x in 0..14 { vta.shr(&scaled[x], 8) }
//
// match.c makes a graph of ALU operations of the value, access.c finds the tiles, emit.c orders the instructions.
// Where instructions of their own would see another element than the nest does (the nest reads what it wrote at
// another point, or writes a point twice), all loops stay around the whole sequence. Reduction loops stay around too.
// In: FORM_LOOPS or FORM_TILES. Out: FORM_TILES without vta.alu regions, and without any other access of host
// statements to on-chip memory (leftover.c).
#include "passes/inject_alu/internal.h"

typedef struct LoadCounts { // loads of each buffer in the function; only looked up
  Arena *arena;
  size_t len, cap;
  const Buffer **keys;
  int *counts;
} LoadCounts;

typedef struct Inject {
  PassCtx *pc;
  const VtaTarget *vta;
  LoadCounts loads;
  Ranges ranges;
  bool failed;
} Inject;

// ---- how often a buffer is read ---------------------------------------------------------------------------------------

static size_t count_slot(const LoadCounts *m, const Buffer *key) {
  size_t i = (size_t)(((uint64_t)(uintptr_t)key * 0x9E3779B97F4A7C15u) >> 20) & (m->cap - 1);
  while (m->keys[i] && m->keys[i] != key) i = (i + 1) & (m->cap - 1);
  return i;
}

static void count_add(LoadCounts *m, const Buffer *key, int by) {
  if (m->len * 2 >= m->cap) {
    LoadCounts old = *m;
    m->cap = old.cap ? old.cap * 2 : 32;
    m->len = 0;
    m->keys = NEW_ARRAY(m->arena, const Buffer *, m->cap);
    m->counts = NEW_ARRAY(m->arena, int, m->cap);
    for (size_t i = 0; i < old.cap; i++)
      if (old.keys[i]) count_add(m, old.keys[i], old.counts[i]);
  }
  size_t i = count_slot(m, key);
  m->len += !m->keys[i];
  m->keys[i] = key;
  m->counts[i] += by;
}

static bool count_load(void *self, const Expr *e) {
  if (e->kind == EXPR_LOAD) count_add(self, e->buffer, 1);
  return true;
}

// A tile reference as the source of a transfer or an operation reads, too.
static bool count_refs(void *self, const Stmt *s) {
  if (s->kind == STMT_INTRIN)
    for (int i = 1; i < s->nargs; i++)
      if (s->args[i]->kind == EXPR_REF) count_add(self, s->args[i]->buffer, 1);
  return true;
}

int alu_load_count(const Alu *s, const Buffer *b) {
  const LoadCounts *m = s->loads;
  return m->cap ? m->counts[count_slot(m, b)] : 0;
}

// ---- one nest ----------------------------------------------------------------------------------------------------------

typedef struct ReadsBuffer {
  const Buffer *buffer;
  bool found;
} ReadsBuffer;

static bool reads_buffer(void *self, const Expr *e) {
  ReadsBuffer *r = self;
  r->found |= e->kind == EXPR_LOAD && e->buffer == r->buffer;
  return !r->found;
}

// Loops that write the same place again, without reading it: only the last round counts.
static void drop_repeats(Alu *s) {
  ReadsBuffer r = {.buffer = s->dst.buffer};
  expr_visit(s->n->value, reads_buffer, &r);
  if (r.found) return;
  for (int k = 0; k < s->n->nloops; k++) {
    if ((s->lanes | s->dst_mask) >> k & 1) continue;
    const Var *v = s->n->loops[k].var;
    const Expr *last = expr_index(s->p.cx, s->n->loops[k].extent - 1);
    TirSubst sub = {.nvars = 1, .vars = &v, .values = &last};
    s->n->value = expr_subst(s->p.cx, s->n->value, &sub);
    s->repeats |= UINT64_C(1) << k;
  }
}

static void refuse_nest(Alu *s, const char *why, const Stmt *at) {
  if (at->kind == STMT_IF) {
    Diag *g = alu_refuse(s, E_GUARD, at->loc, "a guard stays inside a nest that the ALU should compute");
    diag_here(g, "`if %s`", expr_text(s->p.cx, at->cond));
    diag_help(g, "choose tile sizes that divide the extents");
    return;
  }
  alu_refuse(s, E_ALU_ACCESS, at->loc, "there is %s inside a nest that the ALU should compute", why);
}

static const Stmt *lower_nest(Inject *in, const Stmt *region, const Stmt *nest) {
  Alu s = {.p = {in->pc->cx, in->vta, region, "inject_alu", &in->ranges}, .loads = &in->loads};
  const char *why;
  const Stmt *at;
  s.n = nest_of(&s.p, nest, &why, &at);
  if (!s.n) {
    refuse_nest(&s, why, at);
    return NULL;
  }
  nest_unfuse(&s.p, s.n);
  if (!alu_match_target(&s)) return NULL;
  drop_repeats(&s);
  const Node *root = alu_match(&s, s.n->value);
  return root && !s.failed ? alu_emit(&s, root) : NULL;
}

// The nests of a region: mostly one; or several in sequence, perhaps inside common loops.
static const Stmt *lower_region(Inject *in, const Stmt *region, const Stmt *s) {
  Ctx *cx = in->pc->cx;
  const Stmt *inner = s;
  while (inner->kind == STMT_FOR) inner = inner->body;
  if (inner->kind != STMT_SEQ) {
    const Stmt *out = lower_nest(in, region, s);
    if (!out) in->failed = true;
    return out ? out : s;
  }
  if (s->kind == STMT_SEQ) {
    const Stmt **out = NEW_ARRAY(cx->arena, const Stmt *, s->nchildren + 1);
    for (int i = 0; i < s->nchildren; i++) out[i] = lower_region(in, region, s->children[i]);
    return stmt_seq(cx, s->nchildren, out);
  }
  int64_t lo, hi, extent;
  bool known = expr_is_int(s->extent, &extent) && expr_bounds(&in->ranges, s->min, &lo, &hi);
  if (known) ranges_push(cx, &in->ranges, s->var, lo, hi + extent - 1);
  const Stmt *body = lower_region(in, region, s->body);
  if (known) ranges_pop(&in->ranges);
  return stmt_placed(cx, stmt_for(cx, s->var, s->min, s->extent, s->for_kind, body), s->loc, s->why);
}

static const Stmt *walk(void *self, const Stmt *s) {
  Inject *in = self;
  int64_t lo, hi, extent;
  if (s->kind == STMT_INTRIN && is_vta(s->intrin, VTA_ALU)) return lower_region(in, s, s->body);
  bool loop = s->kind == STMT_FOR && expr_is_int(s->extent, &extent) && expr_bounds(&in->ranges, s->min, &lo, &hi);
  if (loop) ranges_push(in->pc->cx, &in->ranges, s->var, lo, hi + extent - 1);
  s = stmt_rebuild(in->pc->cx, s, walk, NULL, in);
  if (loop) ranges_pop(&in->ranges);
  return s;
}

Func *pass_inject_alu(PassCtx *pc, const Func *f) {
  Inject in = {.pc = pc, .vta = pc->vta ? pc->vta : vta_of(f->target), .loads.arena = pc->cx->arena};
  if (!in.vta) return func_with_body(pc->cx, f, f->body);
  stmt_visit(f->body, count_refs, count_load, &in.loads);
  Func *out = func_with_body(pc->cx, f, walk(&in, f->body));
  // After a refusal its region is still there; a second message about it would be noise.
  bool clean = alu_check_leftovers(pc, in.vta, out);
  return in.failed || !clean ? NULL : out;
}

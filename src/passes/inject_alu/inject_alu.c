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

typedef struct Inject {
  PassCtx *pc;
  const VtaTarget *vta;
  AluFacts facts;
  Ranges ranges;
  int64_t taken;   // tiles of the buffers in vta.acc that are in scope
  int64_t threads; // virtual threads, each with buffers of its own
  bool failed;
} Inject;

// ---- what is known of buffers -------------------------------------------------------------------------------------------

static size_t fact_slot(const AluFacts *m, const Buffer *key) {
  size_t i = (size_t)(((uint64_t)(uintptr_t)key * 0x9E3779B97F4A7C15u) >> 20) & (m->cap - 1);
  while (m->keys[i] && m->keys[i] != key) i = (i + 1) & (m->cap - 1);
  return i;
}

static AluFact *fact_of(AluFacts *m, const Buffer *key) {
  if (m->len * 2 >= m->cap) {
    AluFacts old = *m;
    m->cap = old.cap ? old.cap * 2 : 32;
    m->keys = NEW_ARRAY(m->arena, const Buffer *, m->cap);
    m->facts = NEW_ARRAY(m->arena, AluFact, m->cap);
    for (size_t i = 0; i < old.cap; i++) {
      if (!old.keys[i]) continue;
      size_t at = fact_slot(m, old.keys[i]);
      m->keys[at] = old.keys[i];
      m->facts[at] = old.facts[i];
    }
  }
  size_t i = fact_slot(m, key);
  if (!m->keys[i]) {
    m->keys[i] = key;
    m->facts[i] = (AluFact){.lo = INT32_MIN, .hi = INT32_MAX};
    m->len++;
  }
  return &m->facts[i];
}

const AluFact *alu_fact(const Alu *s, const Buffer *b) { return fact_of(s->facts, b); }

static bool count_load(void *self, const Expr *e) {
  if (e->kind == EXPR_LOAD) fact_of(self, e->buffer)->loads++;
  return true;
}

// A tile reference is written as the first operand and read as another; a transfer of int8 data bounds its values.
static bool count_refs(void *self, const Stmt *s) {
  if (s->kind == STMT_STORE) fact_of(self, s->buffer)->writes++;
  if (s->kind != STMT_INTRIN) return true;
  for (int i = 0; i < s->nargs; i++) {
    if (s->args[i]->kind != EXPR_REF) continue;
    AluFact *f = fact_of(self, s->args[i]->buffer);
    if (i) {
      f->loads++;
      continue;
    }
    f->writes++;
    bool bytes = is_vta(s->intrin, VTA_LOAD) && s->args[1]->buffer->type == DT_I8;
    f->byte_writes += bytes || is_vta(s->intrin, VTA_ZERO);
    if (f->byte_writes == f->writes) f->lo = INT8_MIN, f->hi = INT8_MAX;
    else f->lo = INT32_MIN, f->hi = INT32_MAX;
  }
  return true;
}

// The only nest that writes b computes these values.
static void note_bounds(Inject *in, const Buffer *b, const Node *root) {
  AluFact *f = fact_of(&in->facts, b);
  if (f->writes != 1) return;
  f->lo = root->lo;
  f->hi = root->hi;
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
  Alu s = {.p = {in->pc->cx, in->vta, region, "inject_alu", &in->ranges}, .facts = &in->facts};
  s.room = in->vta->acc.depth / in->threads - in->taken;
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
  if (!root || s.failed) return NULL;
  note_bounds(in, s.dst.buffer, root);
  return alu_emit(&s, root);
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

// A region, lowered; as it was when something in it is refused, so that nothing else is said about it.
static const Stmt *walk_region(Inject *in, const Stmt *region) {
  bool failed_before = in->failed;
  in->failed = false;
  const Stmt *out = lower_region(in, region, region->body);
  if (in->failed) return region;
  in->failed = failed_before;
  return out;
}

static const Stmt *walk(void *self, const Stmt *s) {
  Inject *in = self;
  int64_t lo, hi, extent;
  if (s->kind == STMT_INTRIN && is_vta(s->intrin, VTA_ALU)) return walk_region(in, s);
  bool loop = s->kind == STMT_FOR && expr_is_int(s->extent, &extent) && expr_bounds(&in->ranges, s->min, &lo, &hi);
  int64_t taken = in->taken, threads = in->threads;
  if (s->kind == STMT_ALLOC && s->buffer->scope == &in->vta->acc) in->taken += buffer_tiles(s->buffer);
  if (loop && s->for_kind == FOR_VTHREAD && extent < 1000) in->threads *= extent;
  if (loop) ranges_push(in->pc->cx, &in->ranges, s->var, lo, hi + extent - 1);
  s = stmt_rebuild(in->pc->cx, s, walk, NULL, in);
  if (loop) ranges_pop(&in->ranges);
  in->taken = taken;
  in->threads = threads;
  return s;
}

Func *pass_inject_alu(PassCtx *pc, const Func *f) {
  Inject in = {.pc = pc, .threads = 1, .vta = pc->vta ? pc->vta : vta_of(f->target),
               .facts.arena = pc->cx->arena};
  if (!in.vta) return func_with_body(pc->cx, f, f->body);
  stmt_visit(f->body, count_refs, count_load, &in.facts);
  Func *out = func_with_body(pc->cx, f, walk(&in, f->body));
  bool clean = alu_check_leftovers(pc, in.vta, out);
  return in.failed || !clean ? NULL : out;
}

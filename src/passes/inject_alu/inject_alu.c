// SPDX-License-Identifier: Apache-2.0
// inject_alu: nests marked vta.alu become ALU instructions on tiles, each in loops of its own.
//
//   vta.alu() { for x in 0..14 { for j in 0..16 {          for x in 0..14 { vta.mov(&scaled[x], &biased[x]) }
//     scaled[x, j] = biased[x, j] >> 8 }}}                 for x in 0..14 { vta.shr(&scaled[x], 8) }
//
// match.c makes a graph of ALU operations of the value, access.c finds the tiles, emit.c orders the instructions.
// Where instructions of their own would see another element than the nest does (the nest reads what it wrote at
// another point, or writes a point twice), all loops stay around the whole sequence. Reduction loops stay around
// too. A choice by position (padding) cuts the nest into parts in which it is decided. In: FORM_LOOPS or
// FORM_TILES. Out: FORM_TILES without vta.alu regions, and without any other access of host statements to on-chip
// memory (leftover.c).
#include "passes/inject_alu/internal.h"

typedef struct Inject {
  PassCtx *pc;
  const VtaTarget *vta;
  AluFacts facts;
  Ranges ranges;
  int64_t taken;   // tiles of the buffers in vta.acc that are in scope
  int64_t threads; // virtual threads, each with buffers of its own
  int cuts;        // of the nest at hand
  int tries;       // of a choice at one value of a variable, in the nest at hand
  bool failed;
} Inject;

// ---- what is known of buffers ----------------------------------------------------------------------------------

static AluFact *fact_of(AluFacts *m, const Buffer *key) {
  AluFact *f = ptrmap_find(&m->of_buffer, key);
  if (f) return f;
  f = NEW(m->arena, AluFact);
  *f = (AluFact){.lo = INT32_MIN, .hi = INT32_MAX};
  ptrmap_set(m->arena, &m->of_buffer, key, f);
  return f;
}

const AluFact *alu_fact(const Alu *s, const Buffer *b) { return fact_of(s->facts, b); }

static bool count_load(void *self, const Expr *e) {
  if (e->kind == EXPR_LOAD) fact_of(self, e->buffer)->loads++;
  return true;
}

// A transfer of int8 data bounds its values.
static void count_write(AluFacts *facts, const Stmt *s, const Buffer *b) {
  AluFact *f = fact_of(facts, b);
  f->writes++;
  bool bytes = is_vta(s->intrin, VTA_LOAD) && s->args[ARG_LOAD_SRC]->buffer->type == DT_I8;
  f->byte_writes += bytes || is_vta(s->intrin, VTA_ZERO);
  if (f->byte_writes == f->writes) f->lo = INT8_MIN, f->hi = INT8_MAX;
  else f->lo = INT32_MIN, f->hi = INT32_MAX;
}

// Tiles of transfers and operations that other passes made are written and read, too.
static bool count_refs(void *self, const Stmt *s) {
  if (s->kind == STMT_STORE) {
    AluFact *f = fact_of(self, s->buffer);
    f->writes++;
    f->lo = INT32_MIN, f->hi = INT32_MAX; // until its nest is known
  }
  if (s->kind != STMT_INTRIN) return true;
  const VtaRow *row = vta_row_of(s->intrin);
  for (int i = 0; i < row->noperands; i++) {
    const VtaOperand *o = &row->operands[i];
    if (o->arg >= s->nargs || o->access == ACCESS_NONE || s->args[o->arg]->kind != EXPR_REF) continue;
    if (o->access & ACCESS_WRITE) count_write(self, s, s->args[o->arg]->buffer);
    else fact_of(self, s->args[o->arg]->buffer)->loads++;
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

// ---- one nest --------------------------------------------------------------------------------------------------

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
  static const char rule[] =
      "an ALU nest is loops of constant extent around one assignment, which all of their rounds do";
  if (at->kind == STMT_IF) {
    Diag *g = alu_refuse(s, E_GUARD, at->loc, rule, "a guard stays inside a nest that the ALU should compute");
    diag_here(g, "`if %s`", expr_text(s->p.cx, at->cond));
    diag_help(g, "choose tile sizes that divide the extents");
    return;
  }
  Diag *g = alu_refuse(s, E_ALU_ACCESS, at->loc, rule, "there is %s inside a nest that the ALU should compute", why);
  diag_help(g, "ask for the ALU at a loop with nothing but the assignment below it");
}

static const Stmt *lower_nest(Inject *in, const Stmt *region, const Stmt *nest);

// ---- choices by position ---------------------------------------------------------------------------------------

// A cut of what one variable runs through, into lo .. at and at .. hi.
typedef struct Cut {
  const Var *var;
  int loop; // of the nest; -1: a loop around the region
  int64_t lo, at, hi;
} Cut;

// The ranges of all loops around the nest's value.
static Ranges value_ranges(const Inject *in, const Nest *n) {
  Ranges r = {0};
  for (size_t i = 0; i < in->ranges.len; i++)
    ranges_push(in->pc->cx, &r, in->ranges.data[i].var, in->ranges.data[i].lo, in->ranges.data[i].hi);
  for (int k = 0; k < n->nloops; k++) ranges_push(in->pc->cx, &r, n->loops[k].var, 0, n->loops[k].extent - 1);
  return r;
}

static bool same_access(const Nest *n, const Expr *load) {
  if (load->kind != EXPR_LOAD || load->buffer != n->store->buffer) return false;
  for (int i = 0; i < load->nargs; i++)
    if (!expr_equal(load->args[i], n->index[i])) return false;
  return true;
}

typedef struct OwnLoads {
  const Nest *n;
  int same, other; // loads of what the nest stores: at the same place, elsewhere
} OwnLoads;

static bool count_own(void *self, const Expr *e) {
  OwnLoads *o = self;
  if (e->kind != EXPR_LOAD || e->buffer != o->n->store->buffer) return true;
  if (same_access(o->n, e)) o->same++;
  else o->other++;
  return false;
}

// Choices by position alone: a comparison of data must stay as it is, to be told from what is chosen.
static bool is_positional(const Expr *e) { return e->kind == EXPR_SELECT && !alu_reads(e->a); }

// The first condition by position in a condition that reads data too; NULL: there is none.
static const Expr *positional_part(const Expr *e) {
  if (e->type != DT_BOOL || e->kind == EXPR_INT) return NULL;
  if (!alu_reads(e)) return e;
  if (e->kind != EXPR_UNARY && e->kind != EXPR_BINARY && e->kind != EXPR_SELECT) return NULL;
  const Expr *part = positional_part(e->a);
  if (!part && e->kind != EXPR_UNARY) part = positional_part(e->b);
  if (!part && e->kind == EXPR_SELECT) part = positional_part(e->c);
  return part;
}

typedef struct PutTruth {
  const Expr *part;
  bool value;
} PutTruth;

static const Expr *put_truth(TirMap *m, const Expr *e) {
  const PutTruth *p = m->self;
  return expr_equal(e, p->part) ? expr_int(m->cx, DT_BOOL, p->value) : e;
}

static const Expr *part_choice(TirMap *m, const Expr *e);

// e with the part known.
static const Expr *where_part_is(TirMap *m, const Expr *e, const Expr *part, bool value) {
  PutTruth p = {part, value};
  TirMap put = {.cx = m->cx, .expr = put_truth, .self = &p};
  const Expr *cond = expr_map(&put, e->a);
  return part_choice(m, expr_at(m->cx, expr_select(m->cx, cond, e->b, e->c), e->loc));
}

#define PARTS_MAX 1000 // of the choices of a nest

// `m < 3 && a[m] > 0 ? b[m + 1] : 0` is `m < 3 ? (a[m] > 0 ? b[m + 1] : 0) : 0`: what is chosen by position is told
// from what is chosen by data, and a load that only the position makes safe is not made elsewhere. A condition taken as
// a number is a choice too.
static const Expr *part_choice(TirMap *m, const Expr *e) {
  Ctx *cx = m->cx;
  if (e->kind == EXPR_CAST && e->a->type == DT_BOOL && dtype_is_int(e->type)) {
    const Expr *one = expr_int(cx, e->type, 1), *zero = expr_int(cx, e->type, 0);
    return part_choice(m, expr_at(cx, expr_select(cx, e->a, one, zero), e->loc));
  }
  const Expr *part = e->kind == EXPR_SELECT && alu_reads(e->a) ? positional_part(e->a) : NULL;
  int *left = m->self;
  if (!part || --*left < 0) return e; // a tangle stays as it is, and is refused
  const Expr *yes = where_part_is(m, e, part, true), *no = where_part_is(m, e, part, false);
  return expr_at(cx, expr_select(cx, part, yes, no), e->loc);
}

// A condition in ranges; those of one value are put in.
static const Expr *decided(Ctx *cx, const Ranges *r, const Expr *cond) {
  for (size_t i = 0; i < r->len; i++) {
    int64_t lo, hi;
    const Var *v = r->data[i].var;
    if (!ranges_find(r, v, &lo, &hi) || lo != hi || !expr_uses_var(cond, v)) continue;
    const Expr *only = expr_index(cx, lo);
    TirSubst s = {.nvars = 1, .vars = &v, .values = &only};
    cond = expr_subst(cx, cond, &s);
  }
  return expr_simplify(cx, r, cond);
}

static const Expr *decide(TirMap *m, const Expr *e) {
  if (!is_positional(e)) return e;
  const Expr *cond = decided(m->cx, m->self, e->a);
  return cond == e->a ? e : expr_at(m->cx, expr_select(m->cx, cond, e->b, e->c), e->loc);
}

// The nest's value, its choices simplified and decided where the variable of c (NULL: none) runs over from .. to.
static const Expr *decided_value(Inject *in, const Nest *n, const Cut *c, int64_t from, int64_t to) {
  Ctx *cx = in->pc->cx;
  Ranges r = value_ranges(in, n);
  if (c) ranges_push(cx, &r, c->var, from, to - 1);
  TirMap m = {.cx = cx, .expr = decide, .self = &r};
  return expr_map(&m, n->value);
}

// ---- where to cut ------------------------------------------------------------------------------------------------

#define CUTS_MAX 400    // of a nest
#define TRIES_MAX 20000 // of a choice, in a nest

typedef struct FindCut {
  Inject *in;
  Alu *s;
  bool nest_too; // the nest's own loops may be cut
  bool commutes; // the nest's reduction may be done in any order
  bool change;   // only where the outcome changes; else anywhere
  Ranges ranges;
  Cut best;
  bool found;
} FindCut;

// What a condition is at one value of a variable: 0, 1, or 2 if that does not decide it.
static int outcome(FindCut *f, const Expr *cond, const Var *v, int64_t value) {
  Ctx *cx = f->in->pc->cx;
  const Expr *at = expr_index(cx, value);
  TirSubst s = {.nvars = 1, .vars = &v, .values = &at};
  f->in->tries++;
  return expr_is_int(expr_simplify(cx, &f->ranges, expr_subst(cx, cond, &s)), &value) ? value != 0 : 2;
}

// Considers to cut v, which runs over lo .. hi, for the sake of cond: where the outcome changes, or after its first
// value.
static void try_cut(FindCut *f, const Expr *cond, Cut c) {
  if (c.hi - c.lo < 2 || !expr_uses_var(cond, c.var)) return;
  if (!f->change) {
    c.at = c.lo + 1;
    if (!f->found || c.hi - c.lo < f->best.hi - f->best.lo) f->best = c, f->found = true;
    return;
  }
  if (f->found) return;
  int first = outcome(f, cond, c.var, c.lo);
  for (c.at = c.lo + 1; c.at < c.hi && f->in->tries < TRIES_MAX; c.at++)
    if (outcome(f, cond, c.var, c.at) != first) {
      f->best = c;
      f->found = true;
      return;
    }
}

// The loops around come first: cutting them puts no more instructions into the stream.
static bool find_cut(void *self, const Expr *e) {
  FindCut *f = self;
  const Nest *n = f->s->n;
  if (f->found || e->kind == EXPR_LOAD) return false;
  if (!is_positional(e)) return true;
  for (size_t i = 0; i < f->in->ranges.len; i++) {
    int64_t lo, hi;
    const Var *v = f->in->ranges.data[i].var;
    if (ranges_find(&f->in->ranges, v, &lo, &hi) && hi - lo < TRIES_MAX) try_cut(f, e->a, (Cut){v, -1, lo, 0, hi + 1});
  }
  for (int k = 0; k < n->nloops && f->nest_too; k++) {
    int64_t step = affine_coef(&f->s->linear, n->loops[k].var);
    bool may = step % f->s->p.vta->acc.tile == 0 && (step || f->commutes);
    if (may) try_cut(f, e->a, (Cut){n->loops[k].var, k, 0, 0, n->loops[k].extent});
  }
  return true;
}

// The nest where the variable of c runs over from .. to alone.
static const Stmt *nest_part(Inject *in, const Alu *s, const Cut *c, int64_t from, int64_t to) {
  Ctx *cx = in->pc->cx;
  const Nest *n = s->n;
  const Stmt *part = stmt_store(cx, n->store->buffer, n->index, decided_value(in, n, c, from, to));
  part = stmt_placed(cx, part, n->store->loc, n->store->why);
  for (int k = n->nloops; k-- > 0;)
    part = stmt_for(cx, n->loops[k].var, expr_index(cx, k == c->loop ? from : 0),
                    expr_index(cx, k == c->loop ? to - from : n->loops[k].extent), n->loops[k].kind, part);
  return part;
}

static const Stmt *lower_part(Inject *in, const Alu *s, const Stmt *region, const Cut *c, int64_t from, int64_t to) {
  if (c->loop < 0) ranges_push(in->pc->cx, &in->ranges, c->var, from, to - 1);
  const Stmt *out = lower_nest(in, region, nest_part(in, s, c, from, to));
  if (c->loop < 0) ranges_pop(&in->ranges);
  return out;
}

// `y < 1 ? 0 : a[y - 1]` becomes a nest for y = 0 and one for the others; where y is a loop around, one of two is
// chosen by the host. NULL if there is no such choice; false in *fine if a part is refused.
static const Stmt *lower_parts(Inject *in, Alu *s, const Stmt *region, bool *fine) {
  OwnLoads own = {.n = s->n};
  Ctx *cx = in->pc->cx;
  expr_visit(s->n->value, count_own, &own);
  const Expr *v = s->n->value;
  bool op =
      v->kind == EXPR_BINARY && (v->binop == OP_ADD || v->binop == OP_MUL || v->binop == OP_MIN || v->binop == OP_MAX);
  bool commutes = op && own.same == 1 && (same_access(s->n, v->a) || same_access(s->n, v->b));
  FindCut f = {.in = in, .s = s, .nest_too = !own.other, .commutes = commutes, .ranges = value_ranges(in, s->n)};
  for (int pass = 0; pass < 2 && !f.found && in->cuts < CUTS_MAX; pass++) {
    f.change = pass == 0;
    expr_visit(v, find_cut, &f);
  }
  if (!f.found) return NULL;
  in->cuts++;
  const Cut *c = &f.best;
  const Stmt *a = lower_part(in, s, region, c, c->lo, c->at);
  const Stmt *b = a ? lower_part(in, s, region, c, c->at, c->hi) : NULL;
  *fine = a && b;
  if (!*fine) return region;
  if (c->loop >= 0) return stmt_seq2(cx, a, b);
  return stmt_if(cx, expr_binary(cx, OP_LT, expr_var(cx, c->var), expr_index(cx, c->at)), a, b);
}

static const Stmt *lower_nest(Inject *in, const Stmt *region, const Stmt *nest) {
  Alu s = {.p = {in->pc->cx, in->vta, region, "inject_alu", &in->ranges}, .facts = &in->facts};
  s.room = in->vta->acc.depth / in->threads - in->taken;
  const char *why;
  const Stmt *at;
  bool fine = true;
  s.n = nest_of(&s.p, nest, &why, &at);
  if (!s.n) {
    refuse_nest(&s, why, at);
    return NULL;
  }
  nest_unfuse(&s.p, s.n);
  if (!alu_match_target(&s)) return NULL;
  int left = PARTS_MAX;
  TirMap part = {.cx = in->pc->cx, .expr = part_choice, .self = &left};
  s.n->value = expr_map(&part, s.n->value);
  s.n->value = decided_value(in, s.n, NULL, 0, 0);
  const Stmt *parts = lower_parts(in, &s, region, &fine);
  if (parts) return fine ? parts : NULL;
  drop_repeats(&s);
  const Node *root = alu_match(&s, s.n->value, 0);
  if (!root || s.failed) return NULL;
  if (!in->cuts) note_bounds(in, s.dst.buffer, root);
  return alu_emit(&s, root);
}

// The nests of a region: mostly one; or several in sequence, perhaps inside common loops.
static const Stmt *lower_region(Inject *in, const Stmt *region, const Stmt *s) {
  Ctx *cx = in->pc->cx;
  const Stmt *inner = s;
  while (inner->kind == STMT_FOR) inner = inner->body;
  if (inner->kind != STMT_SEQ) {
    in->cuts = in->tries = 0;
    const Stmt *out = lower_nest(in, region, s);
    if (out) in->pc->stats.alu_nests++;
    else in->failed = true;
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

static bool count_calls(void *self, const Stmt *s) {
  PassStats *stats = self;
  if (s->kind == STMT_INTRIN) *(is_vta(s->intrin, VTA_MOV) ? &stats->alu_movs : &stats->alus) += 1;
  return true;
}

// A region, lowered; as it was when something in it is refused, so that nothing else is said about it.
static const Stmt *walk_region(Inject *in, const Stmt *region) {
  bool failed_before = in->failed;
  in->failed = false;
  const Stmt *out = lower_region(in, region, region->body);
  if (in->failed) return region;
  stmt_visit(out, count_calls, NULL, &in->pc->stats);
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
  Inject in = {.pc = pc, .threads = 1, .vta = pc->vta ? pc->vta : vta_of(f->target), .facts.arena = pc->cx->arena};
  if (!in.vta) return func_with_body(pc->cx, f, f->body);
  stmt_visit(f->body, count_refs, count_load, &in.facts);
  Func *out = func_with_body(pc->cx, f, walk(&in, f->body));
  bool clean = alu_check_leftovers(pc, in.vta, out);
  return in.failed || !clean ? NULL : out;
}

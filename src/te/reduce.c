// SPDX-License-Identifier: Apache-2.0
// Reductions: at the top of a stage they are the stage's own; inside an expression they become stages that have the
// axes around them that they read, and the conditions under which they stand. What one stage cannot do is composed:
// sums in lanes of partial sums and a tree over them; the place of a maximum of the maximum and the first point that
// has it.
#include "te/internal.h"

#include <math.h>
#include <string.h>

typedef enum Reduction { RED_SUM, RED_PROD, RED_MIN, RED_MAX, RED_DOT, RED_ARGMAX, RED_ARGMIN, RED_COUNT } Reduction;

static const struct {
  const char *name;
  TeReduce reduce; // of the stage, or, of argmax and argmin, of the first of them
  int nargs;
} reductions[RED_COUNT] = {
    [RED_SUM] = {"sum", TE_SUM, 1},       [RED_PROD] = {"prod", TE_PROD, 1}, [RED_MIN] = {"min", TE_MIN, 1},
    [RED_MAX] = {"max", TE_MAX, 1},       [RED_DOT] = {"dot", TE_DOT, 2},    [RED_ARGMAX] = {"argmax", TE_MAX, 1},
    [RED_ARGMIN] = {"argmin", TE_MIN, 1},
};

static Reduction reduction_find(const char *name) {
  Reduction r = RED_SUM;
  while (r < RED_COUNT && strcmp(reductions[r].name, name) != 0) r++;
  return r;
}

static Reduction reduction_of(const AstExpr *e) { return reduction_find(e->name); }
bool reduction_named(const char *name) { return reduction_find(name) != RED_COUNT; }

bool reduction_is_composed(const AstExpr *e) {
  Reduction r = reduction_of(e);
  return e->by || r == RED_ARGMAX || r == RED_ARGMIN;
}

// x && y, of which one may be NULL.
static const TeExpr *both(Arena *a, const TeExpr *x, const TeExpr *y) {
  return !x ? y : !y ? x : te_binary(a, OP_LAND, x, y, x->loc);
}

// The conditions around an expression, the outermost first, so that each is evaluated only where it may be.
static const TeExpr *all_guards(Arena *a, const Guard *g) {
  if (!g) return NULL;
  const TeExpr *own = g->holds ? g->cond : te_unary(a, UN_NOT, g->cond, g->cond->loc);
  return both(a, all_guards(a, g->outer), own);
}

static bool check_form(StageCx *sx, const AstExpr *e, Reduction r) {
  Ctx *cx = sx->ck->cx;
  if (r == RED_COUNT) {
    Diag *g = diag_report(cx->diags, E_UNKNOWN_NAME, e->name_loc, "unknown reduction `%s`", e->name);
    diag_help(g, "reductions are sum, prod, min, max, dot, argmax and argmin");
    return false;
  }
  if (e->nitems != reductions[r].nargs) {
    Diag *g = diag_report(cx->diags, E_REDUCE, e->loc, "`%s` reduces %d expression%s, not %d", e->name,
                          reductions[r].nargs, reductions[r].nargs == 1 ? "" : "s", e->nitems);
    diag_help(g, reductions[r].nargs == 1 ? "it is written `%s[k: 8](x)`" : "it is written `%s[k: 8](x, y)`", e->name);
    return false;
  }
  if ((r == RED_ARGMAX || r == RED_ARGMIN) && e->naxes != 1) {
    Diag *g = diag_report(cx->diags, E_REDUCE, e->loc, "`%s` gives the index of one axis, and this has %d", e->name,
                          e->naxes);
    diag_help(g, "reduce one axis; for more, reduce a tensor in which they are one");
    return false;
  }
  return true;
}

static bool check_reduced_type(StageCx *sx, const AstExpr *e, Reduction r, DType t) {
  if (t == DT_BOOL) {
    Diag *g = diag_report(sx->ck->cx->diags, E_TYPE, e->loc, "a reduction of bool has no meaning");
    diag_help(g, "reduce int32(...) instead, and compare the result");
    return false;
  }
  if (r != RED_DOT || dtype_is_float(t)) return true;
  Diag *g = diag_report(sx->ck->cx->diags, E_TYPE, e->loc,
                        "`dot` is a chain of fused multiply-adds of floating-point numbers, not %s", dtype_name(t));
  diag_help(g, "of integers, write the sum: `sum[k: 8](x * y)`");
  return false;
}

// The expression that is reduced: of `dot`, a fused multiply-add to 0, in whose place the sum so far stands.
static const TeExpr *check_reduced(StageCx *sx, const AstExpr *e, Reduction r, DType want) {
  const TeExpr *x = check_expr(sx, e->items[0], want);
  if (!x || !check_reduced_type(sx, e, r, x->type)) return NULL;
  if (r != RED_DOT) return x;
  const TeExpr *y = check_expr(sx, e->items[1], x->type);
  if (!y) return NULL;
  if (y->type != x->type) {
    Diag *g = diag_report(sx->ck->cx->diags, E_TYPE, e->loc, "the operands of `dot` are %s and %s", dtype_name(x->type),
                          dtype_name(y->type));
    diag_help(g, "cast one of them");
    return NULL;
  }
  const TeExpr *args[3] = {x, y, te_const(sx->ck->cx->arena, x->type, (Scalar){.f = 0}, e->loc)};
  return te_math(sx->ck->cx->arena, FN_FMA, args, e->loc);
}

static const TeExpr *check_where(StageCx *sx, const AstExpr *e) {
  const TeExpr *c = check_expr(sx, e, DT_COUNT);
  if (!c || c->type == DT_BOOL) return c;
  Diag *g = diag_report(sx->ck->cx->diags, E_TYPE, e->loc, "the condition `%s` is %s, not bool",
                        te_snippet(sx->ck->cx, e->loc), dtype_name(c->type));
  diag_help(g, "write `%s != 0`", te_snippet(sx->ck->cx, e->loc));
  return NULL;
}

// Types a reduction into t: axes, body, condition.
static bool reduce_into(StageCx *sx, TeTensor *t, const AstExpr *e, DType want) {
  Reduction r = reduction_of(e);
  if (!check_form(sx, e, r)) return false;
  Reducing own = {.n = e->naxes, .outer = sx->raxes};
  bool named = sx->like.t && !sx->like.axes;
  int rest;
  own.axes = check_axes(sx->scope, &own.n, e->axes, true, named ? sx->stage->naxes : 0, sx->stage->axes, &rest);
  if (!own.axes) return false;
  own.rest = rest;
  own.nrest = rest < 0 ? 0 : sx->scope->nrest;
  StageCx in = *sx;
  in.raxes = &own;
  in.inside = true;
  t->reduce = reductions[r].reduce;
  t->reduce_loc = e->loc;
  t->raxes = own.axes;
  t->nraxes = own.n;
  if (e->c && !(t->where = check_where(&in, e->c))) return false;
  Guard guard = {t->where, true, sx->guards};
  if (t->where) in.guards = arena_copy(sx->ck->cx->arena, &guard, sizeof guard);
  t->body = check_reduced(&in, e, r, want);
  return t->body != NULL;
}

bool reduce_here(StageCx *sx, TeTensor *t, const AstExpr *e, DType want) { return reduce_into(sx, t, e, want); }

// ---- stages for reductions inside expressions ------------------------------------------------------------------

static bool is_axis(void *self, const TeExpr *e) { return e->kind == TE_AXIS && e->axis == self; }

static bool reads_axis(const TeExpr *e, const TeAxis *axis) { return e && te_any(e, is_axis, (void *)(uintptr_t)axis); }

// Axes of the expression around, and what stands for each in the stage that is made.
typedef struct Moved {
  Arena *arena;
  VEC(const TeAxis *) from;
  VEC(const TeExpr *) to;
} Moved;

static const TeExpr *move_axis(void *self, const TeExpr *e) {
  const Moved *m = self;
  if (e->kind != TE_AXIS) return e;
  for (size_t i = 0; i < m->from.len; i++)
    if (m->from.data[i] == e->axis) return m->to.data[i];
  return e;
}

static const TeExpr *moved(Moved *m, const TeExpr *e) { return e ? te_map(m->arena, e, move_axis, m) : NULL; }

// Adds an axis to a stage that is made, under a name that is free in it.
static const TeAxis *grow(StageCx *sx, TeTensor *t, Name name, int64_t extent, Loc loc) {
  Ctx *cx = sx->ck->cx;
  TeAxis *a = NEW(cx->arena, TeAxis);
  *a = (TeAxis){.name = name, .extent = extent, .loc = loc, .index = t->naxes};
  for (int n = 2, i = 0; i < t->naxes + t->nraxes; i++) {
    const TeAxis *other = i < t->naxes ? t->axes[i] : t->raxes[i - t->naxes];
    if (other->name != a->name) continue;
    a->name = name_of(cx->names, arena_printf(cx->arena, "%s_%d", name, n++));
    i = -1;
  }
  const TeAxis **axes = NEW_ARRAY(cx->arena, const TeAxis *, t->naxes + 1);
  for (int i = 0; i < t->naxes; i++) axes[i] = t->axes[i];
  axes[t->naxes++] = a;
  t->axes = axes;
  return a;
}

// Gives t the axes around that it reads, and moves it to them.
static void take_axes(StageCx *sx, TeTensor *t, Moved *m) {
  VEC(const TeAxis *) around = {0};
  VEC(const Reducing *) reducing = {0};
  for (int i = 0; i < sx->stage->naxes; i++) VEC_PUSH(m->arena, around, sx->stage->axes[i]);
  for (const Reducing *r = sx->raxes; r; r = r->outer) VEC_PUSH(m->arena, reducing, r);
  for (size_t k = reducing.len; k-- > 0;)
    for (int i = 0; i < reducing.data[k]->n; i++) VEC_PUSH(m->arena, around, reducing.data[k]->axes[i]);
  for (size_t i = 0; i < around.len && t->naxes < TE_MAX_AXES - 1; i++) {
    const TeAxis *axis = around.data[i];
    if (!reads_axis(t->body, axis) && !reads_axis(t->where, axis)) continue;
    VEC_PUSH(m->arena, m->from, axis);
    const TeAxis *own = grow(sx, t, axis->name, axis->extent, axis->loc);
    VEC_PUSH(m->arena, m->to, te_axis(m->arena, own, axis->loc));
  }
  t->body = moved(m, t->body);
  t->where = moved(m, t->where);
}

// A new stage for a reduction inside an expression; its axes are still those around.
static TeTensor *hidden(StageCx *sx, const AstExpr *e, const char *base) {
  TeTensor *t = NEW(sx->ck->cx->arena, TeTensor);
  *t = (TeTensor){.name = fresh_name(sx->kx, sx->prefix, base), .role = TE_COMPUTE, .loc = e->loc, .name_loc = e->loc};
  return t;
}

static void finish(StageCx *sx, TeTensor *t) {
  t->type = t->body->type;
  check_bounds(sx->ck, t);
  push_tensor(sx->kx, t);
}

// The element of t at the axes around that it has.
static const TeExpr *element(StageCx *sx, const TeTensor *t, const Moved *m, const TeExpr *lane, Loc loc) {
  Arena *a = sx->ck->cx->arena;
  const TeExpr **idx = NEW_ARRAY(a, const TeExpr *, t->naxes + 1);
  for (size_t i = 0; i < m->from.len; i++) idx[i] = te_axis(a, m->from.data[i], loc);
  if (lane) idx[m->from.len] = lane;
  return te_access(a, t, idx, loc);
}

// One stage.
static const TeExpr *simple(StageCx *sx, const AstExpr *e, DType want) {
  Moved m = {.arena = sx->ck->cx->arena};
  TeTensor *t = hidden(sx, e, e->name);
  if (!reduce_into(sx, t, e, want)) return NULL;
  t->where = both(m.arena, all_guards(m.arena, sx->guards), t->where);
  take_axes(sx, t, &m);
  finish(sx, t);
  return element(sx, t, &m, NULL, e->loc);
}

static BinOp combines(TeReduce r) {
  switch (r) {
  case TE_PROD: return OP_MUL;
  case TE_MIN: return OP_MIN;
  case TE_MAX: return OP_MAX;
  case TE_SUM:
  case TE_DOT:
  case TE_NO_REDUCE: break;
  }
  return OP_ADD;
}

// `sum[k: K by 16](e)`: a stage of 16 partial sums, of the points that are 0, 1, .. modulo 16, and their halves.
static const TeExpr *in_lanes(StageCx *sx, const AstExpr *e, DType want) {
  Ctx *cx = sx->ck->cx;
  Arena *a = cx->arena;
  ConstScope consts = scope_consts(sx->scope);
  int64_t width;
  if (!const_eval(&consts, e->by, &width)) return NULL;
  if (width < 2 || width > 64 || (width & (width - 1))) {
    Diag *g = diag_report(cx->diags, E_REDUCE, e->by->loc,
                          "%lld partial results: their number is a power of two from 2 to 64", (long long)width);
    diag_help(g, "write `by 8` or `by 16`");
    return NULL;
  }
  Moved m = {.arena = a};
  TeTensor *t = hidden(sx, e, "part");
  if (!reduce_into(sx, t, e, want)) return NULL;
  t->where = both(a, all_guards(a, sx->guards), t->where);
  int last = t->nraxes - 1;
  const TeAxis *k = t->raxes[last];
  TeAxis *chunk = arena_copy(a, k, sizeof *k);
  chunk->extent = (k->extent - 1) / width + 1;
  const TeAxis **raxes = arena_copy(a, t->raxes, (size_t)t->nraxes * sizeof *raxes);
  raxes[last] = chunk;
  t->raxes = raxes;
  // Lanes come behind the axes around: what they are is known once the place of the lane is.
  const TeExpr *body = t->body, *where = t->where;
  take_axes(sx, t, &m);
  const TeAxis *lane = grow(sx, t, name_of(cx->names, "lane"), width, k->loc);
  Moved point = m;
  const TeExpr *step = te_binary(a, OP_MUL, te_axis(a, chunk, e->loc), te_int(a, width, e->loc), e->loc);
  const TeExpr *at = te_binary(a, OP_ADD, step, te_axis(a, lane, e->loc), e->loc);
  VEC_PUSH(a, point.from, k);
  VEC_PUSH(a, point.to, at);
  t->body = moved(&point, body);
  t->where = moved(&point, where);
  if (k->extent % width) t->where = both(a, te_binary(a, OP_LT, at, te_int(a, k->extent, e->loc), e->loc), t->where);
  t->lanes = true;
  finish(sx, t);
  const TeExpr *s[64];
  for (int64_t i = 0; i < width; i++) s[i] = element(sx, t, &m, te_int(a, i, e->loc), e->loc);
  for (int64_t half = width / 2; half; half /= 2)
    for (int64_t i = 0; i < half; i++) s[i] = te_binary(a, combines(t->reduce), s[i], s[i + half], e->loc);
  return s[0];
}

Scalar te_reduce_identity(TeReduce r, DType t) {
  if (dtype_is_float(t)) return (Scalar){.f = r == TE_PROD ? 1 : r == TE_MIN ? INFINITY : r == TE_MAX ? -INFINITY : 0};
  int bits = dtype_bits(t);
  bool sign = dtype_is_signed(t);
  if (r == TE_MIN) return (Scalar){.i = sign ? INT64_MAX >> (64 - bits) : (int64_t)(UINT64_MAX >> (64 - bits))};
  if (r == TE_MAX) return (Scalar){.i = sign ? INT64_MIN >> (64 - bits) : 0};
  return (Scalar){.i = r == TE_PROD};
}

// `argmax[i: N](e)`: the first point that has the maximum. If that is what a maximum starts with, no point was greater:
// 0.
static const TeExpr *place_of(StageCx *sx, const AstExpr *e) {
  Arena *a = sx->ck->cx->arena;
  Moved m = {.arena = a}, n = {.arena = a};
  TeTensor *top = hidden(sx, e, reduction_of(e) == RED_ARGMAX ? "max" : "min"), *first = hidden(sx, e, "first");
  if (!reduce_into(sx, top, e, DT_COUNT)) return NULL;
  top->where = both(a, all_guards(a, sx->guards), top->where);
  *first = (TeTensor){.name = first->name,
                      .role = TE_COMPUTE,
                      .loc = e->loc,
                      .name_loc = e->loc,
                      .reduce = TE_MIN,
                      .reduce_loc = e->loc,
                      .nraxes = 1,
                      .where = top->where};
  const TeExpr *value = top->body;
  const TeAxis *own = arena_copy(a, top->raxes[0], sizeof *own);
  first->raxes = arena_copy(a, &own, sizeof own);
  Moved point = {.arena = a};
  VEC_PUSH(a, point.from, top->raxes[0]);
  VEC_PUSH(a, point.to, te_axis(a, own, e->loc));
  take_axes(sx, top, &m);
  finish(sx, top);
  const TeExpr *best = element(sx, top, &m, NULL, e->loc);
  const TeExpr *equal = te_binary(a, OP_EQ, moved(&point, value), best, e->loc);
  first->body = te_axis(a, own, e->loc);
  first->where = both(a, moved(&point, first->where), equal);
  take_axes(sx, first, &n);
  finish(sx, first);
  const TeExpr *none =
      te_binary(a, OP_EQ, best, te_const(a, value->type, te_reduce_identity(top->reduce, value->type), e->loc), e->loc);
  return te_select(a, none, te_int(a, 0, e->loc), element(sx, first, &n, NULL, e->loc), e->loc);
}

const TeExpr *reduce_inside(StageCx *sx, const AstExpr *e, DType want) {
  Reduction r = reduction_of(e);
  if (!check_form(sx, e, r)) return NULL;
  if (r == RED_ARGMAX || r == RED_ARGMIN) {
    if (!e->by) return place_of(sx, e);
    Diag *g = diag_report(sx->ck->cx->diags, E_REDUCE, e->by->loc, "`%s` has no partial results", e->name);
    diag_help(g, "leave out `by`");
    return NULL;
  }
  return e->by ? in_lanes(sx, e, want) : simple(sx, e, want);
}

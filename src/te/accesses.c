// SPDX-License-Identifier: Apache-2.0
// The accesses of a stage, each with what is known where it is made: the axes' ranges, and the conditions that guard it
// (src/lin).
#include "te/internal.h"

#include "lin/lin.h"

#include <math.h>

// ---- expressions, as facts are about them --------------------------------------------------------------------------

static bool same_atoms(Facts *f, const void *x, const void *y) { return te_same(x, y, &f->work); }

static LinNode node_of(const void *expr) {
  const TeExpr *e = expr;
  const LinNode leaf = {.kind = LIN_LEAF, .type = e->type};
  switch (e->kind) {
  case TE_CONST:
    return dtype_is_float(e->type) ? leaf : (LinNode){.kind = LIN_CONST, .type = e->type, .value = e->value.i};
  case TE_UNARY: return (LinNode){.kind = LIN_UNARY, .type = e->type, .unop = e->unop, .a = e->a};
  case TE_BINARY: return (LinNode){.kind = LIN_BINARY, .type = e->type, .binop = e->binop, .a = e->a, .b = e->b};
  case TE_CAST: return dtype_is_float(e->a->type) ? leaf : (LinNode){.kind = LIN_CAST, .type = e->type, .a = e->a};
  case TE_SELECT: return (LinNode){.kind = LIN_SELECT, .type = e->type, .a = e->a, .b = e->b, .c = e->c};
  case TE_MATH: {
    if (dtype_is_float(e->type)) return leaf;
    const TeExpr *b = e->nargs > 1 ? e->args[1] : NULL;
    return (LinNode){.kind = LIN_MATH, .type = e->type, .fn = e->fn, .a = e->args[0], .b = b};
  }
  case TE_AXIS:
  case TE_ACCESS: return leaf;
  }
  return leaf;
}

static const void *quotient_of(Facts *f, const void *remainder) {
  const TeExpr *e = remainder;
  return te_binary(f->arena, OP_DIV, e->a, e->b, e->loc);
}

// ---- floats, as far as indices are made of them ----------------------------------------------------------------

// Values that are not NaN lie in lo..hi.
typedef struct FloatRange {
  double lo, hi;
} FloatRange;

static FloatRange float_range(Facts *f, const TeExpr *e);

static FloatRange float_range_of_math(Facts *f, const TeExpr *e) {
  FloatRange x = float_range(f, e->args[0]);
  Scalar none = {0};
  switch (e->fn) {
  case FN_ROUND:
  case FN_FLOOR:
  case FN_CEIL:
  case FN_TRUNC: // these never fall when their argument rises
    return (FloatRange){scalar_math(e->fn, e->type, (Scalar){.f = x.lo}, none).f,
                        scalar_math(e->fn, e->type, (Scalar){.f = x.hi}, none).f};
  case FN_ABS: return (FloatRange){0, fmax(fabs(x.lo), fabs(x.hi))};
  case FN_SIGMOID: return (FloatRange){0, 1};
  default: return (FloatRange){-INFINITY, INFINITY};
  }
}

static FloatRange float_range(Facts *f, const TeExpr *e) {
  FloatRange all = {-INFINITY, INFINITY};
  if (--f->work < 0) return all;
  if (!dtype_is_float(e->type)) {
    Interval r = facts_range(f, e);
    if (interval_is_empty(r)) return (FloatRange){INFINITY, -INFINITY};
    return (FloatRange){(double)r.lo, (double)r.hi};
  }
  switch (e->kind) {
  case TE_CONST: return isnan(e->value.f) ? (FloatRange){INFINITY, -INFINITY} : (FloatRange){e->value.f, e->value.f};
  case TE_CAST: {
    FloatRange x = float_range(f, e->a);
    return (FloatRange){round_float(e->type, x.lo), round_float(e->type, x.hi)};
  }
  case TE_BINARY: {
    if (e->binop != OP_MIN && e->binop != OP_MAX) return all;
    // `b < a ? b : a` gives a where one of them is NaN; only the left one's NaN stays, and either may come out
    // then.
    FloatRange x = float_range(f, e->a), y = float_range(f, e->b);
    bool least_of = e->binop == OP_MIN, tame = e->b->kind == TE_CONST && !isnan(e->b->value.f);
    if (!tame) return (FloatRange){fmin(x.lo, y.lo), fmax(x.hi, y.hi)};
    return least_of ? (FloatRange){fmin(x.lo, y.lo), fmin(x.hi, y.hi)}
                    : (FloatRange){fmax(x.lo, y.lo), fmax(x.hi, y.hi)};
  }
  case TE_SELECT: {
    FloatRange x = float_range(f, e->b), y = float_range(f, e->c);
    return (FloatRange){fmin(x.lo, y.lo), fmax(x.hi, y.hi)};
  }
  case TE_MATH: return float_range_of_math(f, e);
  case TE_AXIS:
  case TE_ACCESS:
  case TE_UNARY: break;
  }
  return all;
}

// Of a cast from float to an integer type: NaN gives 0, the ends of the type are never passed.
static Interval range_of_float_cast(Facts *f, const TeExpr *e) {
  FloatRange x = float_range(f, e->a);
  if (x.lo > x.hi) return interval_point(0);
  Scalar lo = scalar_cast(e->type, e->a->type, (Scalar){.f = x.lo}),
         hi = scalar_cast(e->type, e->a->type, (Scalar){.f = x.hi});
  Interval r = interval_join(interval_of_value(e->type, lo.i), interval_of_value(e->type, hi.i));
  return interval_join(r, interval_point(0));
}

// The values of what is no arithmetic on integers.
static Interval leaf_range(Facts *f, const void *leaf) {
  const TeExpr *e = leaf;
  if (e->kind == TE_AXIS) return (Interval){0, e->axis->extent - 1};
  if (e->kind == TE_ACCESS && e->tensor->bounded) return (Interval){e->tensor->lo, e->tensor->hi};
  if (e->kind == TE_CAST && e->type != DT_BOOL) return range_of_float_cast(f, e);
  return interval_of_type(e->type);
}

static const LinReader reader = {.node = node_of, .same = same_atoms, .leaf = leaf_range, .quotient = quotient_of};

Facts te_facts(Arena *arena) { return (Facts){.arena = arena, .read = &reader, .work = 1 << 23}; }

// ---- the walk --------------------------------------------------------------------------------------------------

typedef struct Walk {
  Facts *facts;
  TeAccessFn *visit;
  void *self;
} Walk;

static void walk(Walk *w, const TeExpr *e);

static void walk_access(Walk *w, const TeExpr *e) {
  for (int i = 0; i < e->nargs; i++) walk(w, e->args[i]);
  if (!w->facts->dead) w->visit(w->self, w->facts, e);
}

// Walks e while cond is taken to hold or not.
static void walk_under(Walk *w, const TeExpr *cond, bool holds, const TeExpr *e) {
  FactsMark m = facts_mark(w->facts);
  facts_assume(w->facts, cond, holds);
  if (!w->facts->dead) walk(w, e);
  facts_back(w->facts, m);
}

static void walk(Walk *w, const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return;
  case TE_ACCESS: walk_access(w, e); return;
  case TE_UNARY:
  case TE_CAST: walk(w, e->a); return;
  case TE_BINARY:
    walk(w, e->a);
    if (e->binop == OP_LAND || e->binop == OP_LOR) walk_under(w, e->a, e->binop == OP_LAND, e->b);
    else walk(w, e->b);
    return;
  case TE_SELECT:
    walk(w, e->a);
    walk_under(w, e->a, true, e->b);
    walk_under(w, e->a, false, e->c);
    return;
  case TE_MATH:
    for (int i = 0; i < e->nargs; i++) walk(w, e->args[i]);
    return;
  }
}

void te_accesses(Facts *f, const TeExpr *body, const TeExpr *where, TeAccessFn *visit, void *self) {
  Walk w = {f, visit, self};
  if (!where) {
    walk(&w, body);
    return;
  }
  walk(&w, where);
  walk_under(&w, where, true, body);
}

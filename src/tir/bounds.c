// SPDX-License-Identifier: Apache-2.0
// Intervals of integer expressions, from the ranges of variables, and facts about them (src/lin).
#include "tir/internal.h"

void ranges_push(Ctx *cx, Ranges *r, const Var *v, int64_t lo, int64_t hi) {
  if (r->len == r->cap) r->data = arena_grow(cx->arena, r->data, r->len, &r->cap, sizeof *r->data);
  r->data[r->len++] = (VarRange){.var = v, .lo = lo, .hi = hi};
}

void ranges_pop(Ranges *r) { r->len--; }

bool ranges_find(const Ranges *r, const Var *v, int64_t *lo, int64_t *hi) {
  for (size_t i = r ? r->len : 0; i-- > 0;) {
    if (r->data[i].var != v) continue;
    *lo = r->data[i].lo;
    *hi = r->data[i].hi;
    return true;
  }
  return false;
}

static Interval interval_of_var(const Ranges *r, const Var *v) {
  int64_t lo, hi;
  return ranges_find(r, v, &lo, &hi) ? (Interval){lo, hi} : interval_of_type(DT_I64);
}

Interval interval_of(const Ranges *r, const Expr *e) {
  Interval cond;
  switch (e->kind) {
  case EXPR_INT: return interval_of_value(e->type, e->value.i);
  case EXPR_VAR: return interval_of_var(r, e->var);
  case EXPR_CAST: return interval_cast(e->type, e->a->type, interval_of(r, e->a));
  case EXPR_UNARY: return interval_unary(e->unop, e->type, interval_of(r, e->a));
  case EXPR_BINARY: return interval_binary(e->binop, e->a->type, interval_of(r, e->a), interval_of(r, e->b));
  case EXPR_SELECT:
    if (dtype_is_float(e->type)) return interval_of_type(e->type);
    cond = interval_of(r, e->a);
    if (interval_is_point(cond)) return interval_of(r, cond.lo ? e->b : e->c);
    return interval_join(interval_of(r, e->b), interval_of(r, e->c));
  case EXPR_MATH:
    return interval_math(e->fn, e->type, interval_of(r, e->args[0]), interval_of(r, e->args[e->nargs - 1]));
  case EXPR_FLOAT:
  case EXPR_LOAD:
  case EXPR_REF: return interval_of_type(e->type);
  }
  return interval_of_type(e->type);
}

bool expr_bounds(const Ranges *r, const Expr *e, int64_t *lo, int64_t *hi) {
  if (e->kind == EXPR_INT && e->value.i >= 0) return *lo = *hi = e->value.i, true; // nearly every second question
  Interval v = interval_of(r, e), all = interval_of_type(e->type);
  if (!interval_is_int64(v)) return *lo = INT64_MIN, *hi = INT64_MAX, false;
  *lo = (int64_t)v.lo;
  *hi = (int64_t)v.hi;
  return v.lo > all.lo || v.hi < all.hi;
}

// ---- expressions, as facts are about them --------------------------------------------------------------------------

static LinNode node_of(const void *expr) {
  const Expr *e = expr;
  const LinNode leaf = {.kind = LIN_LEAF, .type = e->type};
  switch (e->kind) {
  case EXPR_INT: return (LinNode){.kind = LIN_CONST, .type = e->type, .value = e->value.i};
  case EXPR_UNARY: return (LinNode){.kind = LIN_UNARY, .type = e->type, .unop = e->unop, .a = e->a};
  case EXPR_BINARY: return (LinNode){.kind = LIN_BINARY, .type = e->type, .binop = e->binop, .a = e->a, .b = e->b};
  case EXPR_CAST: return dtype_is_float(e->a->type) ? leaf : (LinNode){.kind = LIN_CAST, .type = e->type, .a = e->a};
  case EXPR_SELECT: return (LinNode){.kind = LIN_SELECT, .type = e->type, .a = e->a, .b = e->b, .c = e->c};
  case EXPR_MATH: {
    if (dtype_is_float(e->type)) return leaf;
    const Expr *b = e->nargs > 1 ? e->args[1] : NULL;
    return (LinNode){.kind = LIN_MATH, .type = e->type, .fn = e->fn, .a = e->args[0], .b = b};
  }
  case EXPR_FLOAT:
  case EXPR_VAR:
  case EXPR_LOAD:
  case EXPR_REF: return leaf;
  }
  return leaf;
}

static bool same_atoms(Facts *f, const void *x, const void *y) {
  f->work--;
  return expr_equal(x, y);
}

static Interval leaf_range(Facts *f, const void *leaf) {
  const Expr *e = leaf;
  const ExprFacts *of = f->self;
  return e->kind == EXPR_VAR ? interval_of_var(of->ranges, e->var) : interval_of_type(e->type);
}

static const void *quotient_of(Facts *f, const void *remainder) {
  const Expr *e = remainder;
  ExprFacts *of = f->self;
  return expr_raw_binary(of->cx, OP_DIV, e->a, e->b, e->loc);
}

static const LinReader reader = {.node = node_of, .same = same_atoms, .leaf = leaf_range, .quotient = quotient_of};

void expr_facts_init(ExprFacts *f, Ctx *cx, const Ranges *ranges, int work) {
  *f = (ExprFacts){.facts = {.arena = cx->arena, .read = &reader, .self = f, .work = work}, .cx = cx, .ranges = ranges};
}

// SPDX-License-Identifier: Apache-2.0
// Intervals of integer expressions, from the ranges of variables.
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
  case EXPR_MATH: return interval_math(e->fn, e->type, interval_of(r, e->args[0]));
  case EXPR_FLOAT:
  case EXPR_LOAD:
  case EXPR_REF: return interval_of_type(e->type);
  }
  return interval_of_type(e->type);
}

bool expr_bounds(const Ranges *r, const Expr *e, int64_t *lo, int64_t *hi) {
  Interval v = interval_of(r, e), all = interval_of_type(e->type);
  if (!interval_is_int64(v)) return *lo = INT64_MIN, *hi = INT64_MAX, false;
  *lo = (int64_t)v.lo;
  *hi = (int64_t)v.hi;
  return v.lo > all.lo || v.hi < all.hi;
}

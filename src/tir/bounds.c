// SPDX-License-Identifier: Apache-2.0
// Intervals of integer expressions. An interval is inclusive, in the numbers that Scalar.i holds. uint64 values above
// INT64_MAX look negative there: a uint64 interval that starts below 0 means "anything", and nothing is concluded from it.
#include "tir/internal.h"

typedef __int128 Wide;

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

Interval interval_of_type(DType t) {
  int bits = dtype_bits(t);
  if (t == DT_BOOL) return (Interval){0, 1};
  if (bits == 64 || dtype_is_float(t)) return (Interval){INT64_MIN, INT64_MAX};
  if (dtype_is_signed(t)) return (Interval){-((int64_t)1 << (bits - 1)), ((int64_t)1 << (bits - 1)) - 1};
  return (Interval){0, ((int64_t)1 << bits) - 1};
}

static Wide wide_min(Wide a, Wide b) { return a < b ? a : b; }
static Wide wide_max(Wide a, Wide b) { return a > b ? a : b; }

// [lo, hi] if every value of it is one of type t; else all that t has, since the operation may have wrapped.
static Interval clip(DType t, Wide lo, Wide hi) {
  Interval all = interval_of_type(t);
  if (t == DT_U64 && lo < 0) return all;
  return lo < all.lo || hi > all.hi ? all : (Interval){(int64_t)lo, (int64_t)hi};
}

static Wide wide_floor_div(Wide a, Wide b) {
  Wide q = a / b;
  return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}

static Interval div_interval(DType t, Interval a, Interval b) {
  if (b.lo == 0 && b.hi == 0) return (Interval){0, 0};
  if (b.lo <= 0 && b.hi >= 0) { // may be by zero, or by +-1
    Wide m = wide_max(wide_max(a.hi, -(Wide)a.lo), 0);
    return clip(t, a.lo >= 0 && b.lo >= 0 ? 0 : -m, m);
  }
  Wide w[4] = {wide_floor_div(a.lo, b.lo), wide_floor_div(a.lo, b.hi), wide_floor_div(a.hi, b.lo),
               wide_floor_div(a.hi, b.hi)};
  return clip(t, wide_min(wide_min(w[0], w[1]), wide_min(w[2], w[3])),
              wide_max(wide_max(w[0], w[1]), wide_max(w[2], w[3])));
}

static Interval mod_interval(DType t, Interval a, Interval b) {
  if (b.lo > 0 && a.lo >= 0 && a.hi < b.lo) return a;
  Wide lo = wide_min((Wide)b.lo + 1, 0), hi = wide_max((Wide)b.hi - 1, 0);
  if (a.lo >= 0 && b.lo >= 0) hi = wide_min(hi, a.hi);
  return clip(t, lo, hi);
}

static Interval mul_interval(DType t, Interval a, Interval b) {
  Wide w[4] = {(Wide)a.lo * b.lo, (Wide)a.lo * b.hi, (Wide)a.hi * b.lo, (Wide)a.hi * b.hi};
  return clip(t, wide_min(wide_min(w[0], w[1]), wide_min(w[2], w[3])),
              wide_max(wide_max(w[0], w[1]), wide_max(w[2], w[3])));
}

static Interval shift_interval(BinOp op, DType t, Interval a, Interval b) {
  int64_t bits = dtype_bits(t), k = b.lo & (bits - 1);
  if (b.lo != b.hi) return op == OP_SHR && a.lo >= 0 ? (Interval){0, a.hi} : interval_of_type(t);
  if (op == OP_SHR) return (Interval){a.lo >> k, a.hi >> k};
  return mul_interval(t, a, k < 63 ? (Interval){(int64_t)1 << k, (int64_t)1 << k} : (Interval){INT64_MIN, INT64_MAX});
}

// The smallest 2^n - 1 that is at least v.
static int64_t ones_over(int64_t v) {
  uint64_t m = 0;
  while (m < (uint64_t)v) m = m * 2 + 1;
  return (int64_t)m;
}

static Interval bits_interval(BinOp op, DType t, Interval a, Interval b) {
  if (op == OP_AND && (a.lo >= 0 || b.lo >= 0)) {
    int64_t hi = a.lo < 0 ? b.hi : b.lo < 0 ? a.hi : a.hi < b.hi ? a.hi : b.hi;
    return (Interval){0, hi};
  }
  if (op == OP_AND || a.lo < 0 || b.lo < 0) return interval_of_type(t);
  int64_t least = op == OP_OR ? (a.lo > b.lo ? a.lo : b.lo) : 0;
  return (Interval){least, ones_over(a.hi > b.hi ? a.hi : b.hi)};
}

// A comparison's truth, as far as the intervals tell.
static Interval compare_interval(BinOp op, Interval a, Interval b) {
  const Interval yes = {1, 1}, no = {0, 0}, either = {0, 1};
  switch (op) {
  case OP_LT: return a.hi < b.lo ? yes : a.lo >= b.hi ? no : either;
  case OP_LE: return a.hi <= b.lo ? yes : a.lo > b.hi ? no : either;
  case OP_GT: return compare_interval(OP_LT, b, a);
  case OP_GE: return compare_interval(OP_LE, b, a);
  case OP_EQ:
    if (a.lo == a.hi && b.lo == b.hi && a.lo == b.lo) return yes;
    return a.hi < b.lo || b.hi < a.lo ? no : either;
  case OP_NE: {
    Interval eq = compare_interval(OP_EQ, a, b);
    return (Interval){1 - eq.hi, 1 - eq.lo};
  }
  default: return either;
  }
}

// t is the operands' type.
Interval interval_binary(BinOp op, DType t, Interval a, Interval b) {
  if (dtype_is_float(t)) return interval_of_type(binop_is_bool(op) ? DT_BOOL : t);
  if (t == DT_U64 && (a.lo < 0 || b.lo < 0) && op != OP_AND)
    return interval_of_type(binop_is_bool(op) ? DT_BOOL : t);
  switch (op) {
  case OP_ADD: return clip(t, (Wide)a.lo + b.lo, (Wide)a.hi + b.hi);
  case OP_SUB: return clip(t, (Wide)a.lo - b.hi, (Wide)a.hi - b.lo);
  case OP_MUL: return mul_interval(t, a, b);
  case OP_DIV: return div_interval(t, a, b);
  case OP_MOD: return mod_interval(t, a, b);
  case OP_MIN: return (Interval){a.lo < b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi};
  case OP_MAX: return (Interval){a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
  case OP_SHL:
  case OP_SHR: return shift_interval(op, t, a, b);
  case OP_AND:
  case OP_XOR:
  case OP_OR: return bits_interval(op, t, a, b);
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE: return compare_interval(op, a, b);
  case OP_LAND: return (Interval){a.lo & b.lo, a.hi & b.hi};
  case OP_LOR: return (Interval){a.lo | b.lo, a.hi | b.hi};
  case OP_COUNT: break;
  }
  return interval_of_type(t);
}

Interval interval_unary(UnOp op, DType t, Interval a) {
  if (t == DT_U64 || dtype_is_float(t)) return interval_of_type(t);
  Interval all = interval_of_type(t);
  switch (op) {
  case UN_NEG: return clip(t, -(Wide)a.hi, -(Wide)a.lo);
  case UN_NOT: return t == DT_BOOL ? (Interval){1 - a.hi, 1 - a.lo} : all;
  case UN_BITNOT:
    if (t == DT_BOOL) return all;
    if (dtype_is_signed(t)) return (Interval){~a.hi, ~a.lo};
    return (Interval){all.hi - a.hi, all.hi - a.lo};
  case UN_COUNT: break;
  }
  return all;
}

Interval interval_cast(DType to, DType from, Interval a) {
  if (dtype_is_float(to) || dtype_is_float(from)) return interval_of_type(to);
  if (to == DT_BOOL) return a.lo > 0 || a.hi < 0 ? (Interval){1, 1} : a.lo == a.hi ? (Interval){0, 0} : (Interval){0, 1};
  return clip(to, a.lo, a.hi);
}

static Interval abs_interval(DType t, Interval a) {
  if (dtype_is_float(t) || a.lo >= 0) return a;
  if (!dtype_is_signed(t)) return interval_of_type(t);
  Wide m = wide_max(-(Wide)a.lo, a.hi);
  return clip(t, a.hi < 0 ? -(Wide)a.hi : 0, m);
}

Interval interval_math(MathFn f, DType t, Interval a) {
  return f == FN_ABS ? abs_interval(t, a) : interval_of_type(t);
}

Interval interval_of(const Ranges *r, const Expr *e) {
  Interval v = interval_of_type(e->type), w;
  switch (e->kind) {
  case EXPR_INT: return (Interval){e->value.i, e->value.i};
  case EXPR_VAR: ranges_find(r, e->var, &v.lo, &v.hi); return v;
  case EXPR_CAST: return interval_cast(e->type, e->a->type, interval_of(r, e->a));
  case EXPR_UNARY: return interval_unary(e->unop, e->type, interval_of(r, e->a));
  case EXPR_BINARY:
    if (dtype_is_float(e->a->type)) return v;
    return interval_binary(e->binop, e->a->type, interval_of(r, e->a), interval_of(r, e->b));
  case EXPR_SELECT:
    if (dtype_is_float(e->type)) return v;
    w = interval_of(r, e->a);
    if (w.lo == w.hi) return interval_of(r, w.lo ? e->b : e->c);
    v = interval_of(r, e->b);
    w = interval_of(r, e->c);
    return (Interval){v.lo < w.lo ? v.lo : w.lo, v.hi > w.hi ? v.hi : w.hi};
  case EXPR_MATH: return dtype_is_float(e->type) ? v : interval_math(e->fn, e->type, interval_of(r, e->args[0]));
  case EXPR_FLOAT:
  case EXPR_LOAD:
  case EXPR_REF: return v;
  }
  return v;
}

bool expr_bounds(const Ranges *r, const Expr *e, int64_t *lo, int64_t *hi) {
  Interval v = interval_of(r, e), all = interval_of_type(e->type);
  *lo = v.lo;
  *hi = v.hi;
  return !dtype_is_float(e->type) && (v.lo > all.lo || v.hi < all.hi);
}

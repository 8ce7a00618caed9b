// SPDX-License-Identifier: Apache-2.0
// Intervals of integers, and what the operations make of them.
#include "lin/lin.h"

Wide wide_mul(Wide a, Wide b) {
  Wide v;
  if (a == (int32_t)a && b == (int32_t)b) return (int64_t)a * (int64_t)b; // as nearly always, and much faster
  if (a == (int64_t)a && b == (int64_t)b) v = (Wide)(int64_t)a * (int64_t)b;
  else if (__builtin_mul_overflow(a, b, &v)) return (a < 0) != (b < 0) ? -WIDE_FAR : WIDE_FAR;
  return v > WIDE_FAR ? WIDE_FAR : v < -WIDE_FAR ? -WIDE_FAR : v;
}

Wide wide_floor_div(Wide a, Wide b) {
  if (a == (int64_t)a && b == (int64_t)b && b > 0) return floor_div((int64_t)a, (int64_t)b); // much faster
  Wide q = a / b;
  return q - (q * b != a && (a < 0) != (b < 0));
}

Interval interval_join(Interval a, Interval b) {
  if (interval_is_empty(a)) return b;
  if (interval_is_empty(b)) return a;
  return (Interval){wide_min(a.lo, b.lo), wide_max(a.hi, b.hi)};
}

Interval interval_scale(Interval a, Wide k) {
  if (k == 1) return a;
  Wide p = wide_mul(a.lo, k), q = wide_mul(a.hi, k);
  return k < 0 ? (Interval){q, p} : (Interval){p, q};
}

#define TYPE_B(bits) \
  { 0, 1 }
#define TYPE_S(bits) \
  { -((Wide)1 << (bits - 1)), ((Wide)1 << (bits - 1)) - 1 }
#define TYPE_U(bits) \
  { 0, ((Wide)1 << bits) - 1 }
#define TYPE_F(bits) \
  { -WIDE_FAR, WIDE_FAR }
const Interval interval_of_types[DT_COUNT] = {
#define DTYPE(id, name, bits, class) [DT_##id] = TYPE_##class(bits),
#include "base/dtypes.def"
};

// r if every value of it is one of type t; else all that t has, since the operation may have wrapped.
static Interval clip(DType t, Interval r) {
  Interval all = interval_of_type(t);
  return interval_within(r, all) ? r : all;
}

// The interval around four numbers.
static Interval around(Wide a, Wide b, Wide c, Wide d) {
  return (Interval){wide_min(wide_min(a, b), wide_min(c, d)), wide_max(wide_max(a, b), wide_max(c, d))};
}

typedef Wide Quotient(Wide a, Wide b);

static Interval between(Wide a, Wide b) { return (Interval){wide_min(a, b), wide_max(a, b)}; }

// At either end of a, the quotient by divisors of one sign is largest and smallest at the ends of those.
static Interval div_by(Interval a, Wide from, Wide to, Quotient *div) {
  Interval r = between(div(a.lo, from), div(a.hi, from));
  return from == to ? r : interval_join(r, between(div(a.lo, to), div(a.hi, to)));
}

// The quotient by 0 is 0.
static Interval div_interval(Interval a, Interval b, Quotient *div) {
  Interval r = b.lo <= 0 && b.hi >= 0 ? interval_point(0) : interval_none();
  if (b.hi > 0) r = interval_join(r, div_by(a, wide_max(b.lo, 1), b.hi, div));
  if (b.lo < 0) r = interval_join(r, div_by(a, b.lo, wide_min(b.hi, -1), div));
  return r;
}

static Interval mod_interval(Interval a, Interval b) {
  if (b.lo > 0 && a.lo >= 0 && a.hi < b.lo) return a;
  if (interval_is_point(b) && b.lo > 0 && wide_floor_div(a.lo, b.lo) == wide_floor_div(a.hi, b.lo)) {
    Wide base = wide_floor_div(a.lo, b.lo) * b.lo;
    return (Interval){a.lo - base, a.hi - base};
  }
  Wide lo = wide_min(b.lo + 1, 0), hi = wide_max(b.hi - 1, 0);
  return (Interval){lo, a.lo >= 0 && lo == 0 ? wide_min(hi, a.hi) : hi};
}

static Interval mul_interval(Interval a, Interval b) {
  if (interval_is_point(b)) return interval_scale(a, b.lo);
  return around(wide_mul(a.lo, b.lo), wide_mul(a.lo, b.hi), wide_mul(a.hi, b.lo), wide_mul(a.hi, b.hi));
}

// How far a shift goes.
static void shift_amounts(DType t, Interval b, int *from, int *to) {
  int bits = dtype_bits(t);
  *from = 0, *to = bits - 1;
  if (interval_is_point(b)) *from = *to = (int)(b.lo & (bits - 1));
  else if (b.lo >= 0 && b.hi < bits) *from = (int)b.lo, *to = (int)b.hi;
}

static Interval shift_interval(BinOp op, DType t, Interval a, Interval b) {
  int from, to;
  shift_amounts(t, b, &from, &to);
  if (op == OP_SHL) return mul_interval(a, (Interval){(Wide)1 << from, (Wide)1 << to});
  return (Interval){wide_min(a.lo >> from, a.lo >> to), wide_max(a.hi >> from, a.hi >> to)};
}

// The smallest 2^n - 1 that is at least v.
static Wide ones_over(Wide v) {
  Wide m = 0;
  while (m < v) m = m * 2 + 1;
  return m;
}

static Interval bits_interval(BinOp op, Interval a, Interval b) {
  if (op == OP_AND && (a.lo >= 0 || b.lo >= 0))
    return (Interval){0, a.lo < 0 ? b.hi : b.lo < 0 ? a.hi : wide_min(a.hi, b.hi)};
  if (op == OP_AND || a.lo < 0 || b.lo < 0) return interval_all();
  return (Interval){op == OP_OR ? wide_max(a.lo, b.lo) : 0, ones_over(wide_max(a.hi, b.hi))};
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
    if (interval_is_point(a) && interval_is_point(b) && a.lo == b.lo) return yes;
    return a.hi < b.lo || b.hi < a.lo ? no : either;
  case OP_NE: {
    Interval eq = compare_interval(OP_EQ, a, b);
    return (Interval){1 - eq.hi, 1 - eq.lo};
  }
  CASE_NO_COMPARISON:
    break;
  }
  return either;
}

Interval interval_binary(BinOp op, DType t, Interval a, Interval b) {
  if (dtype_is_float(t)) return interval_of_type(binop_is_bool(op) ? DT_BOOL : t);
  if (interval_is_empty(a) || interval_is_empty(b)) return interval_none();
  switch (op) {
  case OP_ADD: return clip(t, (Interval){a.lo + b.lo, a.hi + b.hi});
  case OP_SUB: return clip(t, (Interval){a.lo - b.hi, a.hi - b.lo});
  case OP_MUL: return clip(t, mul_interval(a, b));
  case OP_DIV: return clip(t, div_interval(a, b, wide_floor_div));
  case OP_MOD: return clip(t, mod_interval(a, b));
  case OP_MIN: return (Interval){wide_min(a.lo, b.lo), wide_min(a.hi, b.hi)};
  case OP_MAX: return (Interval){wide_max(a.lo, b.lo), wide_max(a.hi, b.hi)};
  case OP_SHL:
  case OP_SHR: return clip(t, shift_interval(op, t, a, b));
  case OP_AND:
  case OP_XOR:
  case OP_OR: return clip(t, bits_interval(op, a, b));
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
  Interval all = interval_of_type(t);
  if (dtype_is_float(t) || interval_is_empty(a)) return dtype_is_float(t) ? all : a;
  switch (op) {
  case UN_NEG: return clip(t, (Interval){-a.hi, -a.lo});
  case UN_NOT: return t == DT_BOOL ? (Interval){1 - a.hi, 1 - a.lo} : all;
  case UN_BITNOT: return t == DT_BOOL ? all : (Interval){all.lo + all.hi - a.hi, all.lo + all.hi - a.lo};
  case UN_COUNT: break;
  }
  return all;
}

Interval interval_cast(DType to, DType from, Interval a) {
  if (dtype_is_float(to) || dtype_is_float(from)) return interval_of_type(to);
  if (interval_is_empty(a)) return a;
  if (to == DT_BOOL) return compare_interval(OP_NE, a, interval_point(0));
  return clip(to, a);
}

// ---- functions of integers -----------------------------------------------------------------------------------------

static Interval abs_interval(Interval a) {
  if (a.lo >= 0) return a;
  return (Interval){wide_max(-a.hi, 0), wide_max(-a.lo, a.hi)};
}

static Wide towards_zero(Wide a, Wide b) { return a / b; }

// A remainder has the sign of what is divided, and is less than the divisor.
static Interval rem_interval(Interval a, Interval b) {
  if (b.lo > 0 && a.lo > -b.lo && a.hi < b.lo) return a;
  Wide most = wide_max(wide_max(-b.lo, b.hi) - 1, 0);
  return (Interval){a.lo < 0 ? wide_max(a.lo, -most) : 0, a.hi > 0 ? wide_min(a.hi, most) : 0};
}

static int zeros_before(int bits, Wide v) {
  int n = bits;
  for (; v > 0; v >>= 1) n--;
  return n;
}

static Interval clz_interval(DType t, Interval a) {
  int bits = dtype_bits(t);
  if (a.lo < 0) return (Interval){0, bits};
  return (Interval){zeros_before(bits, a.hi), zeros_before(bits, a.lo)};
}

// What products of 64-bit numbers are cut at is below some of them.
static Interval mulhi_interval(DType t, Interval a, Interval b) {
  const Interval exact = {-((Wide)1 << 49), (Wide)1 << 49};
  if (dtype_bits(t) == 64 && !(interval_within(a, exact) && interval_within(b, exact))) return interval_of_type(t);
  Interval p = mul_interval(a, b);
  return (Interval){p.lo >> dtype_bits(t), p.hi >> dtype_bits(t)};
}

static Interval saturated(DType t, Interval r) {
  Interval all = interval_of_type(t);
  return (Interval){wide_min(wide_max(r.lo, all.lo), all.hi), wide_min(wide_max(r.hi, all.lo), all.hi)};
}

static Wide shr_round(Wide v, int n) { return n ? ((v >> (n - 1)) + 1) >> 1 : v; }

// Both shifts neither rise nor fall in one operand while the other stands.
static Interval rounded_shift_interval(DType t, Interval a, Interval b) {
  int from, to;
  shift_amounts(t, b, &from, &to);
  return around(shr_round(a.lo, from), shr_round(a.lo, to), shr_round(a.hi, from), shr_round(a.hi, to));
}

static Interval saturating_shift_interval(DType t, Interval a, Interval b) {
  int from, to;
  shift_amounts(t, b, &from, &to);
  return saturated(t, mul_interval(a, (Interval){(Wide)1 << from, (Wide)1 << to}));
}

Interval interval_math(MathFn f, DType t, Interval a, Interval b) {
  if (dtype_is_float(t)) return interval_of_type(t);
  if (interval_is_empty(a) || (math_arity(f) > 1 && interval_is_empty(b))) return interval_none();
  switch (f) {
  case FN_ABS: return clip(t, abs_interval(a));
  case FN_QUOTIENT: return clip(t, div_interval(a, b, towards_zero));
  case FN_REMAINDER: return clip(t, rem_interval(a, b));
  case FN_POPCOUNT: return (Interval){a.lo > 0 || a.hi < 0, dtype_bits(t)};
  case FN_CLZ: return clz_interval(t, a);
  case FN_MULHI: return clip(t, mulhi_interval(t, a, b));
  case FN_SAT_ADD: return saturated(t, (Interval){a.lo + b.lo, a.hi + b.hi});
  case FN_SAT_SUB: return saturated(t, (Interval){a.lo - b.hi, a.hi - b.lo});
  case FN_SAT_SHL: return saturating_shift_interval(t, a, b);
  case FN_ROUND_SHR: return clip(t, rounded_shift_interval(t, a, b));
      CASE_FLOAT_FUNCTION:
  case FN_COUNT: break;
  }
  return interval_of_type(t);
}

// SPDX-License-Identifier: Apache-2.0
#include "meaning.h"

#include <math.h>
#include <string.h>

static bool is_unsigned(DType t) { return t == DT_BOOL || t == DT_U8 || t == DT_U16 || t == DT_U32 || t == DT_U64; }
static bool is_real(DType t) { return t == DT_F16 || t == DT_F32 || t == DT_F64; }

static int width_of(DType t) {
  switch (t) {
  case DT_BOOL: return 1;
  case DT_I8:
  case DT_U8: return 8;
  case DT_I16:
  case DT_U16:
  case DT_F16: return 16;
  case DT_I32:
  case DT_U32:
  case DT_F32: return 32;
  case DT_I64:
  case DT_U64:
  case DT_F64:
  case DT_COUNT: return 64;
  }
  return 0;
}

Wide least_of(DType t) { return is_unsigned(t) ? 0 : -((Wide)1 << (width_of(t) - 1)); }
Wide most_of(DType t) { return ((Wide)1 << (width_of(t) - !is_unsigned(t))) - 1; }

int edges_of(DType t, Value *out) {
  static const double reals[] = {0.0,
                                 -0.0,
                                 1,
                                 -1,
                                 0.5,
                                 -0.5,
                                 1.5,
                                 2.5,
                                 -2.5,
                                 3,
                                 -7,
                                 127,
                                 128,
                                 -128,
                                 -129,
                                 255,
                                 256,
                                 1000.25,
                                 65504,
                                 -65504,
                                 6e-8,
                                 1e-40,
                                 16777217,
                                 2147483647,
                                 2147483648,
                                 -2147483649.0,
                                 4294967296,
                                 9223372036854774784.0,
                                 9223372036854775808.0,
                                 -1e19,
                                 18446744073709551616.0,
                                 1e30,
                                 -1e308,
                                 INFINITY,
                                 -INFINITY,
                                 NAN};
  static const int64_t small[] = {0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 100, 127};
  int n = 0;
  if (is_real(t)) {
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
      out[n++] = (Value){.f = t == DT_F64 ? reals[i] : t == DT_F32 ? (float)reals[i] : (double)(_Float16)reals[i]};
    return n;
  }
  for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
    if (small[i] <= most_of(t)) out[n++] = (Value){.i = small[i]};
    if (small[i] && -small[i] >= least_of(t) && i % 2) out[n++] = (Value){.i = -small[i]};
  }
  if (t == DT_BOOL) return n;
  const Wide more[] = {least_of(t),    least_of(t) + 1,    most_of(t),    most_of(t) - 1,
                       most_of(t) / 2, most_of(t) / 2 + 1, most_of(t) / 3};
  for (size_t i = 0; i < sizeof more / sizeof *more; i++) out[n++] = (Value){.i = more[i]};
  return n;
}

// The value of t that has the same low bits.
static Value wrapped(DType t, Wide v) {
  Wide n = (Wide)1 << width_of(t), r = v % n;
  if (r < 0) r += n;
  return (Value){.i = r > most_of(t) ? r - n : r};
}

static Wide floored(Wide a, Wide b) {
  Wide q = a / b;
  return q * b == a || (a < 0) == (b < 0) ? q : q - 1;
}

static bool whole_binary(BinOp op, DType t, Wide a, Wide b, Value *out) {
  Wide amount = b & (width_of(t) - 1), least = least_of(t);
  bool truth = t == DT_BOOL;
  switch (op) {
  case OP_ADD: *out = wrapped(t, a + b); return !truth;
  case OP_SUB: *out = wrapped(t, a - b); return !truth;
  case OP_MUL: *out = wrapped(t, (Wide)((unsigned __int128)a * (unsigned __int128)b)); return !truth;
  case OP_DIV: *out = wrapped(t, b == 0 ? 0 : floored(a, b)); return !truth;
  case OP_MOD: *out = wrapped(t, b == 0 ? 0 : a - floored(a, b) * b); return !truth;
  case OP_MIN: *out = (Value){.i = a < b ? a : b}; return !truth;
  case OP_MAX: *out = (Value){.i = a > b ? a : b}; return !truth;
  case OP_SHL: *out = wrapped(t, (a - least) * ((Wide)1 << amount) + least * ((Wide)1 << amount)); return !truth;
  case OP_SHR: *out = (Value){.i = floored(a, (Wide)1 << amount)}; return !truth;
  case OP_AND: *out = wrapped(t, a & b); return !truth;
  case OP_XOR: *out = wrapped(t, a ^ b); return !truth;
  case OP_OR: *out = wrapped(t, a | b); return !truth;
  case OP_LT: *out = (Value){.i = a < b}; return !truth;
  case OP_LE: *out = (Value){.i = a <= b}; return !truth;
  case OP_GT: *out = (Value){.i = a > b}; return !truth;
  case OP_GE: *out = (Value){.i = a >= b}; return !truth;
  case OP_EQ: *out = (Value){.i = a == b}; return true;
  case OP_NE: *out = (Value){.i = a != b}; return true;
  case OP_LAND: *out = (Value){.i = a && b}; return truth;
  case OP_LOR: *out = (Value){.i = a || b}; return truth;
  case OP_COUNT: break;
  }
  return false;
}

// One operation in C's own type; each has its own rounding.
#define REAL_BINARY(T) \
  static bool binary_##T(BinOp op, T a, T b, Value *out) { \
    T r = 0; \
    switch (op) { \
    case OP_ADD: r = a + b; break; \
    case OP_SUB: r = a - b; break; \
    case OP_MUL: r = a * b; break; \
    case OP_DIV: r = a / b; break; \
    case OP_MIN: r = b < a ? b : a; break; \
    case OP_MAX: r = b > a ? b : a; break; \
    case OP_LT: *out = (Value){.i = a < b}; return true; \
    case OP_LE: *out = (Value){.i = a <= b}; return true; \
    case OP_GT: *out = (Value){.i = a > b}; return true; \
    case OP_GE: *out = (Value){.i = a >= b}; return true; \
    case OP_EQ: *out = (Value){.i = a == b}; return true; \
    case OP_NE: *out = (Value){.i = a != b}; return true; \
    case OP_MOD: \
    case OP_SHL: \
    case OP_SHR: \
    case OP_AND: \
    case OP_XOR: \
    case OP_OR: \
    case OP_LAND: \
    case OP_LOR: \
    case OP_COUNT: return false; \
    } \
    *out = (Value){.f = (double)r}; \
    return true; \
  }
REAL_BINARY(float)
REAL_BINARY(double)

bool means_binary(BinOp op, DType t, Value a, Value b, Value *out) {
  if (!is_real(t)) return whole_binary(op, t, a.i, b.i, out);
  if (t == DT_F64) return binary_double(op, a.f, b.f, out);
  if (!binary_float(op, (float)a.f, (float)b.f, out)) return false;
  if (t == DT_F16 && op != OP_LT && op != OP_LE && op != OP_GT && op != OP_GE && op != OP_EQ && op != OP_NE)
    out->f = (double)(_Float16)(float)out->f; // computed in float32, rounded once more
  return true;
}

bool means_unary(UnOp op, DType t, Value a, Value *out) {
  switch (op) {
  case UN_NEG:
    if (is_real(t)) *out = (Value){.f = copysign(a.f, signbit(a.f) ? 1.0 : -1.0)};
    else *out = wrapped(t, -a.i);
    return t != DT_BOOL;
  case UN_NOT: *out = (Value){.i = !a.i}; return t == DT_BOOL;
  case UN_BITNOT: *out = wrapped(t, -1 - a.i); return !is_real(t) && t != DT_BOOL;
  case UN_COUNT: break;
  }
  return false;
}

// A half is decided by the parts of the number: 0.49999997 + 0.5 rounds up to 1 where it should not.
static double half_away(double x) {
  double whole, part = fabs(modf(x, &whole));
  return copysign(fabs(whole) + (part >= 0.5), x);
}

// Bit by bit and by repeated steps, where the code under test has other ways.
static bool means_int_function(MathFn fn, DType t, Wide a, Wide b, Value *out) {
  int bits = dtype_bits(t), set = 0, lead = 0;
  Wide top = (Wide)1 << (dtype_is_signed(t) ? bits - 1 : bits), low = dtype_is_signed(t) ? -top : 0, power = 1, r = 0;
  Wide amount = ((b % bits) + bits) % bits, half;
  for (Wide i = 0; i < amount; i++) power *= 2;
  for (int i = bits - 1; i >= 0; i--) {
    bool bit = (a >> i) & 1;
    set += bit;
    if (!set) lead++;
  }
  switch (fn) {
  case FN_QUOTIENT:
    r = b == 0               ? 0
        : (a < 0) == (b < 0) ? floored(a < 0 ? -a : a, b < 0 ? -b : b)
                             : -floored(a < 0 ? -a : a, b < 0 ? -b : b);
    break;
  case FN_REMAINDER:
    r = b == 0 ? 0
               : a - b * ((a < 0) == (b < 0) ? floored(a < 0 ? -a : a, b < 0 ? -b : b)
                                             : -floored(a < 0 ? -a : a, b < 0 ? -b : b));
    break;
  case FN_MULHI:
    if (bits == 64) { // in halves of 32 bits: the product may not fit
      Wide ah = floored(a, (Wide)1 << 32), bh = floored(b, (Wide)1 << 32), al = a - (ah << 32), bl = b - (bh << 32);
      Wide mid = ah * bl + floored(al * bl, (Wide)1 << 32);
      Wide mid2 = al * bh + (mid - (floored(mid, (Wide)1 << 32) << 32));
      r = ah * bh + floored(mid, (Wide)1 << 32) + floored(mid2, (Wide)1 << 32);
    } else r = floored(a * b, (Wide)1 << bits);
    break;
  case FN_SAT_ADD: r = a + b; break;
  case FN_SAT_SUB: r = a - b; break;
  case FN_SAT_SHL: r = a * power; break;
  case FN_ROUND_SHR:
    half = power / 2;
    r = floored(a + half, power);
    break;
  case FN_POPCOUNT: r = set; break;
  case FN_CLZ: r = lead; break;
  default: return false;
  }
  if (fn == FN_SAT_ADD || fn == FN_SAT_SUB || fn == FN_SAT_SHL) r = r < low ? low : r >= top ? top - 1 : r;
  *out = wrapped(t, r);
  return t != DT_BOOL;
}

bool means_math(MathFn fn, DType t, Value a, Value b, Value *out) {
  if (fn == FN_ABS && !is_real(t)) return *out = wrapped(t, a.i < 0 ? -a.i : a.i), t != DT_BOOL;
  if (!is_real(t)) return means_int_function(fn, t, a.i, b.i, out);
  double whole;
  modf(a.f, &whole);
  if (isinf(a.f) || isnan(a.f)) whole = a.f;
  switch (fn) {
  case FN_ABS: *out = (Value){.f = copysign(a.f, 1.0)}; return true;
  case FN_ROUND: *out = (Value){.f = isfinite(a.f) ? half_away(a.f) : a.f}; break;
  case FN_FLOOR: *out = (Value){.f = whole > a.f ? whole - 1 : whole}; break;
  case FN_CEIL: *out = (Value){.f = whole < a.f ? copysign(whole + 1, whole + 1 == 0 ? a.f : whole + 1) : whole}; break;
  case FN_TRUNC: *out = (Value){.f = whole}; break;
  case FN_SQRT: *out = (Value){.f = t == DT_F64 ? sqrt(a.f) : (double)sqrtf((float)a.f)}; break;
  default: return false; // not exact: elsewhere, to within units of the last place
  }
  if (t == DT_F16) out->f = (double)(_Float16)(float)out->f;
  return true;
}

// The real number v as an integer of t: towards zero, saturating, NaN gives 0.
static Value whole_of_real(DType t, double v) {
  if (isnan(v)) return (Value){.i = 0};
  if (t == DT_BOOL) return (Value){.i = v != 0};
  if (v >= 1e25) return (Value){.i = most_of(t)};
  if (v <= -1e25) return (Value){.i = least_of(t)};
  Wide i = (Wide)v;
  return (Value){.i = i < least_of(t) ? least_of(t) : i > most_of(t) ? most_of(t) : i};
}

Value means_cast(DType to, DType from, Value a) {
  if (!is_real(to)) return is_real(from) ? whole_of_real(to, a.f) : wrapped(to, a.i);
  if (is_real(from)) return (Value){.f = to == DT_F64 ? a.f : to == DT_F32 ? (float)a.f : (double)(_Float16)a.f};
  // Of an integer: the compiler's own conversion from a wide one rounds once.
  return (Value){.f = to == DT_F64 ? (double)a.i : to == DT_F32 ? (float)a.i : (double)(_Float16)(float)a.i};
}

bool same_value(DType t, Value a, Value b) {
  if (!is_real(t)) return a.i == b.i;
  return isnan(a.f) ? isnan(b.f) : a.f == b.f && !signbit(a.f) == !signbit(b.f);
}

void value_store(DType t, void *at, Value v) {
  float f = (float)v.f;
  _Float16 h = (_Float16)v.f;
  uint64_t i = (uint64_t)v.i;
  if (t == DT_F64) memcpy(at, &v.f, 8);
  else if (t == DT_F32) memcpy(at, &f, 4);
  else if (t == DT_F16) memcpy(at, &h, 2);
  else memcpy(at, &i, t == DT_BOOL ? 1 : (size_t)width_of(t) / 8);
}

Value value_load(DType t, const void *at) {
  Value v = {0};
  float f;
  _Float16 h;
  uint64_t i = 0;
  if (t == DT_F64) memcpy(&v.f, at, 8);
  else if (t == DT_F32) memcpy(&f, at, 4), v.f = (double)f;
  else if (t == DT_F16) memcpy(&h, at, 2), v.f = (double)h;
  else {
    memcpy(&i, at, t == DT_BOOL ? 1 : (size_t)width_of(t) / 8);
    return t == DT_BOOL ? (Value){.i = (Wide)i} : wrapped(t, (Wide)i); // any other byte of a bool is seen as it is
  }
  return v;
}

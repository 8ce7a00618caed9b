// SPDX-License-Identifier: Apache-2.0
// The meaning of scalar operations; every evaluator and the LLVM back end agree with these bit for bit. Integers wrap
// at their width, division floors and gives 0 for a zero divisor, shift amounts are modulo the width, float16 is
// computed in float32 and rounded.
#include "base/base.h"

#include <math.h>
#include <string.h>

typedef enum Class { B, S, U, F } Class;

static const struct {
  const char *name;
  int bits;
  Class class;
} dtypes[] = {
#define DTYPE(id, name, bits, cls) {name, bits, cls},
#include "base/dtypes.def"
};

static const struct {
  const char *text;
  int prec;
  bool boolean;
} binops[] = {
#define BINARY(id, text, prec, boolean) {text, prec, boolean},
#include "base/ops.def"
};

static const char *const unops[] = {
#define UNARY(id, text) text,
#include "base/ops.def"
};

typedef enum MathTakes { FLOATS, INTS, NUMBERS } MathTakes;

static const struct {
  const char *name;
  int arity;
  MathTakes takes;
} maths[] = {
#define MATH(id, name, arity, takes) {name, arity, takes},
#include "base/ops.def"
};

const char *dtype_name(DType t) { return dtypes[t].name; }
int dtype_bits(DType t) { return dtypes[t].bits; }
bool dtype_is_int(DType t) { return dtypes[t].class == S || dtypes[t].class == U; }
bool dtype_is_signed(DType t) { return dtypes[t].class == S; }
bool dtype_is_float(DType t) { return dtypes[t].class == F; }
const char *binop_text(BinOp op) { return binops[op].text; }
int binop_prec(BinOp op) { return binops[op].prec; }
bool binop_is_bool(BinOp op) { return binops[op].boolean; }
const char *unop_text(UnOp op) { return unops[op]; }
const char *math_name(MathFn f) { return maths[f].name; }
int math_arity(MathFn f) { return maths[f].arity; }

bool math_takes(MathFn f, DType t) {
  switch (maths[f].takes) {
  case FLOATS: return dtype_is_float(t);
  case INTS: return dtype_is_int(t);
  case NUMBERS: return dtype_is_float(t) || dtype_is_int(t);
  }
  return false;
}

const char *math_takes_what(MathFn f) {
  switch (maths[f].takes) {
  case FLOATS: return "floating-point arguments";
  case INTS: return "integer arguments";
  case NUMBERS: return "a number";
  }
  return "";
}

bool math_is_exact(MathFn f) {
  return maths[f].takes == INTS || f == FN_ABS || f == FN_ROUND || f == FN_RINT || f == FN_FLOOR || f == FN_CEIL ||
         f == FN_TRUNC || f == FN_SQRT;
}

// "int8" to DT_I8; false if there is none of that name.
bool dtype_of_name(const char *name, DType *out) {
  for (int t = 0; t < DT_COUNT; t++) {
    if (strcmp(dtypes[t].name, name)) continue;
    *out = (DType)t;
    return true;
  }
  return false;
}

// ---- sizes and division ----------------------------------------------------------------------------------------

bool mul_ok(int64_t a, int64_t b, int64_t *out) { return !__builtin_mul_overflow(a, b, out); }
bool add_ok(int64_t a, int64_t b, int64_t *out) { return !__builtin_add_overflow(a, b, out); }

// Towards minus infinity.
int64_t floor_div(int64_t a, int64_t b) {
  if (b == -1) return (int64_t)(0 - (uint64_t)a); // INT64_MIN / -1 wraps
  int64_t q = a / b;
  return a % b && (a < 0) != (b < 0) ? q - 1 : q;
}

// With the sign of the divisor.
int64_t floor_mod(int64_t a, int64_t b) {
  if (b == -1) return 0;
  int64_t r = a % b;
  return r && (r < 0) != (b < 0) ? r + b : r;
}

int64_t common_divisor(int64_t a, int64_t b) {
  while (b) {
    int64_t r = floor_mod(a, b);
    a = b;
    b = r;
  }
  return a < 0 ? -a : a;
}

// ---- floats ----------------------------------------------------------------------------------------------------

// IEEE binary16 of a float, ties to even; overflow gives infinity, NaN stays NaN.
uint16_t half_of_float(float f) {
  uint32_t x;
  memcpy(&x, &f, 4);
  uint16_t sign = (uint16_t)(x >> 16 & 0x8000);
  x &= 0x7fffffff;
  if (x > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (x >> 13 & 0x3ff)); // NaN, quiet
  if (x >= 0x477ff000) return (uint16_t)(sign | 0x7c00);                    // rounds to 65536 or more
  if (x < 0x38800000) {                                                     // subnormal or zero: units of 2^-24
    if (x < 0x33000000) return sign;
    int shift = 126 - (int)(x >> 23); // 14 .. 24
    uint32_t m = (x & 0x7fffff) | 0x800000;
    uint32_t half = m >> shift, rest = m & ((1u << shift) - 1), tie = 1u << (shift - 1);
    return (uint16_t)(sign | (half + (rest > tie || (rest == tie && (half & 1)))));
  }
  uint32_t half = (x - 0x38000000) >> 13, rest = x & 0x1fff;
  return (uint16_t)(sign | (half + (rest > 0x1000 || (rest == 0x1000 && (half & 1)))));
}

// The float of an IEEE binary16, exact.
float float_of_half(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, m = h & 0x3ff, x;
  float f;
  if (exp == 0) {
    f = ldexpf((float)m, -24);
    return sign ? -f : f;
  }
  x = exp == 31 ? sign | 0x7f800000 | m << 13 : sign | (exp + 112) << 23 | m << 13;
  memcpy(&f, &x, 4);
  return f;
}

// IEEE binary16 nearest to a double in one rounding: going through float32 would round twice.
static double half_of_double(double v) {
  float f = (float)v;
  if ((double)f != v && isfinite(f)) { // inexact: make the float odd, so that the second rounding sees the rest
    uint32_t x;
    memcpy(&x, &f, 4);
    if (fabs((double)f) > fabs(v)) x--; // towards zero
    x |= 1;
    memcpy(&f, &x, 4);
  }
  return (double)float_of_half(half_of_float(f));
}

// Rounds a double to the precision of float type t.
double round_float(DType t, double v) {
  if (t == DT_F32) return (double)(float)v;
  if (t == DT_F16) return half_of_double(v);
  return v;
}

// Rounds the result of a float16 operation done in float32, or of a float32 or float64 one.
static Scalar float_result(DType t, float single, double wide) {
  if (t == DT_F64) return (Scalar){.f = wide};
  if (t == DT_F32) return (Scalar){.f = (double)single};
  return (Scalar){.f = (double)float_of_half(half_of_float(single))};
}

// ---- integers --------------------------------------------------------------------------------------------------

// Keeps the low bits of t and extends them by its sign.
int64_t wrap_int(DType t, int64_t v) {
  switch (t) {
  case DT_BOOL: return v != 0;
  case DT_I8: return (int8_t)v;
  case DT_I16: return (int16_t)v;
  case DT_I32: return (int32_t)v;
  case DT_U8: return (uint8_t)v;
  case DT_U16: return (uint16_t)v;
  case DT_U32: return (uint32_t)v;
  case DT_I64:
  case DT_U64:
  case DT_F16:
  case DT_F32:
  case DT_F64:
  case DT_COUNT: break;
  }
  return v;
}

static Scalar boolean(bool b) { return (Scalar){.i = b}; }

// Division and remainder; uint64 is the only unsigned type whose values do not fit int64.
static int64_t int_div(DType t, int64_t a, int64_t b) {
  if (b == 0) return 0;
  return t == DT_U64 ? (int64_t)((uint64_t)a / (uint64_t)b) : floor_div(a, b);
}

static int64_t int_mod(DType t, int64_t a, int64_t b) {
  if (b == 0) return 0;
  return t == DT_U64 ? (int64_t)((uint64_t)a % (uint64_t)b) : floor_mod(a, b);
}

static bool int_less(DType t, int64_t a, int64_t b) { return t == DT_U64 ? (uint64_t)a < (uint64_t)b : a < b; }

// Right shift: arithmetic for signed types; unsigned values are zero-extended already.
static int64_t int_shr(DType t, int64_t a, int64_t n) {
  return dtype_is_signed(t) ? a >> n : (int64_t)((uint64_t)a >> n);
}

// Binary operators on integers and bool.
static Scalar int_binary(BinOp op, DType t, int64_t a, int64_t b) {
  uint64_t x = (uint64_t)a, y = (uint64_t)b, r = 0;
  int64_t amount = b & (dtype_bits(t) - 1);
  switch (op) {
  case OP_ADD: r = x + y; break;
  case OP_SUB: r = x - y; break;
  case OP_MUL: r = x * y; break;
  case OP_DIV: r = (uint64_t)int_div(t, a, b); break;
  case OP_MOD: r = (uint64_t)int_mod(t, a, b); break;
  case OP_MIN: r = int_less(t, b, a) ? y : x; break;
  case OP_MAX: r = int_less(t, a, b) ? y : x; break;
  case OP_SHL: r = x << amount; break;
  case OP_SHR: r = (uint64_t)int_shr(t, a, amount); break;
  case OP_AND: r = x & y; break;
  case OP_XOR: r = x ^ y; break;
  case OP_OR: r = x | y; break;
  case OP_LT: return boolean(int_less(t, a, b));
  case OP_LE: return boolean(!int_less(t, b, a));
  case OP_GT: return boolean(int_less(t, b, a));
  case OP_GE: return boolean(!int_less(t, a, b));
  case OP_EQ: return boolean(a == b);
  case OP_NE: return boolean(a != b);
  case OP_LAND: return boolean(a && b);
  case OP_LOR: return boolean(a || b);
  case OP_COUNT: break;
  }
  return (Scalar){.i = wrap_int(t, (int64_t)r)};
}

// Float `%` has the sign of the divisor, as the integer one.
static float mod_single(float a, float b) {
  float r = fmodf(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double mod_double(double a, double b) {
  double r = fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

// Binary operators on floats. A volatile-free float32 path: each operation rounds to float once.
static Scalar float_binary(BinOp op, DType t, double a, double b) {
  float x = (float)a, y = (float)b;
  switch (op) {
  case OP_ADD: return float_result(t, x + y, a + b);
  case OP_SUB: return float_result(t, x - y, a - b);
  case OP_MUL: return float_result(t, x * y, a * b);
  case OP_DIV: return float_result(t, x / y, a / b);
  case OP_MOD: return t == DT_F64 ? float_result(t, 0, mod_double(a, b)) : float_result(t, mod_single(x, y), 0);
  case OP_MIN: return (Scalar){.f = b < a ? b : a};
  case OP_MAX: return (Scalar){.f = b > a ? b : a};
  case OP_LT: return boolean(a < b);
  case OP_LE: return boolean(a <= b);
  case OP_GT: return boolean(a > b);
  case OP_GE: return boolean(a >= b);
  case OP_EQ: return boolean(a == b);
  case OP_NE: return boolean(a != b);
  case OP_LAND: return boolean(a != 0 && b != 0);
  case OP_LOR: return boolean(a != 0 || b != 0);
  case OP_SHL:
  case OP_SHR:
  case OP_AND:
  case OP_XOR:
  case OP_OR:
  case OP_COUNT: break;
  }
  return (Scalar){.f = 0}; // bitwise operations have no float operands: the checker refuses them
}

// The meaning of a binary operator on operands of type t.
Scalar scalar_binary(BinOp op, DType t, Scalar a, Scalar b) {
  return dtype_is_float(t) ? float_binary(op, t, a.f, b.f) : int_binary(op, t, a.i, b.i);
}

// The meaning of a unary operator on an operand of type t.
Scalar scalar_unary(UnOp op, DType t, Scalar a) {
  bool is_float = dtype_is_float(t);
  switch (op) {
  case UN_NEG: return is_float ? (Scalar){.f = -a.f} : (Scalar){.i = wrap_int(t, (int64_t)(0 - (uint64_t)a.i))};
  case UN_NOT: return boolean(is_float ? a.f == 0 : a.i == 0);
  case UN_BITNOT: return is_float ? a : (Scalar){.i = t == DT_BOOL ? !a.i : wrap_int(t, ~a.i)};
  case UN_COUNT: break;
  }
  return a;
}

// float32 functions, also used for float16.
static float math_single(MathFn f, float x, float y) {
  switch (f) {
  case FN_ABS: return fabsf(x);
  case FN_ROUND: return roundf(x);
  case FN_RINT: return rintf(x);
  case FN_FLOOR: return floorf(x);
  case FN_CEIL: return ceilf(x);
  case FN_TRUNC: return truncf(x);
  case FN_EXP: return expf(x);
  case FN_LOG: return logf(x);
  case FN_LOG2: return log2f(x);
  case FN_SQRT: return sqrtf(x);
  case FN_RSQRT: return 1.0f / sqrtf(x);
  case FN_SIN: return sinf(x);
  case FN_COS: return cosf(x);
  case FN_TAN: return tanf(x);
  case FN_ATAN: return atanf(x);
  case FN_TANH: return tanhf(x);
  case FN_SIGMOID: return 1.0f / (1.0f + expf(-x));
  case FN_ERF: return erff(x);
  case FN_POW: return powf(x, y);
  case FN_FMA:
  CASE_INTEGER_FUNCTION:
  case FN_COUNT: break;
  }
  return 0;
}

static double math_double(MathFn f, double x, double y) {
  switch (f) {
  case FN_ABS: return fabs(x);
  case FN_ROUND: return round(x);
  case FN_RINT: return rint(x);
  case FN_FLOOR: return floor(x);
  case FN_CEIL: return ceil(x);
  case FN_TRUNC: return trunc(x);
  case FN_EXP: return exp(x);
  case FN_LOG: return log(x);
  case FN_LOG2: return log2(x);
  case FN_SQRT: return sqrt(x);
  case FN_RSQRT: return 1.0 / sqrt(x);
  case FN_SIN: return sin(x);
  case FN_COS: return cos(x);
  case FN_TAN: return tan(x);
  case FN_ATAN: return atan(x);
  case FN_TANH: return tanh(x);
  case FN_SIGMOID: return 1.0 / (1.0 + exp(-x));
  case FN_ERF: return erf(x);
  case FN_POW: return pow(x, y);
  case FN_FMA:
  CASE_INTEGER_FUNCTION:
  case FN_COUNT: break;
  }
  return 0;
}

Scalar scalar_call(MathFn f, DType t, const Scalar *args) {
  if (f == FN_FMA) {
    if (t == DT_F64) return (Scalar){.f = fma(args[0].f, args[1].f, args[2].f)};
    return float_result(t, fmaf((float)args[0].f, (float)args[1].f, (float)args[2].f), 0);
  }
  return scalar_math(f, t, args[0], math_arity(f) > 1 ? args[1] : args[0]);
}

// The ends of an integer type of at most 64 bits.
static __int128 int_end(DType t, bool upper) {
  int bits = dtype_bits(t);
  if (!dtype_is_signed(t)) return upper ? ((__int128)1 << bits) - 1 : 0;
  return upper ? ((__int128)1 << (bits - 1)) - 1 : -((__int128)1 << (bits - 1));
}

static __int128 int_value(DType t, int64_t v) { return t == DT_U64 ? (__int128)(uint64_t)v : (__int128)v; }

static Scalar int_clamped(DType t, __int128 v) {
  __int128 lo = int_end(t, false), hi = int_end(t, true);
  return (Scalar){.i = wrap_int(t, (int64_t)(v < lo ? lo : v > hi ? hi : v))};
}

// Functions of integers, exactly: no product or shift of 64 bits by less than 64 leaves 128.
static Scalar math_int(MathFn f, DType t, int64_t a, int64_t b) {
  __int128 x = int_value(t, a), y = int_value(t, b);
  int bits = dtype_bits(t), amount = (int)(b & (bits - 1));
  uint64_t pattern = (uint64_t)a & (UINT64_MAX >> (64 - bits));
  switch (f) {
  case FN_ABS: return (Scalar){.i = wrap_int(t, (int64_t)(x < 0 ? -x : x))};
  case FN_QUOTIENT: return (Scalar){.i = wrap_int(t, (int64_t)(y ? x / y : 0))};
  case FN_REMAINDER: return (Scalar){.i = wrap_int(t, (int64_t)(y ? x % y : 0))};
  case FN_MULHI:
    if (t == DT_U64) return (Scalar){.i = (int64_t)(((unsigned __int128)x * (unsigned __int128)y) >> 64)};
    return (Scalar){.i = wrap_int(t, (int64_t)((x * y) >> bits))};
  case FN_SAT_ADD: return int_clamped(t, x + y);
  case FN_SAT_SUB: return int_clamped(t, x - y);
  case FN_SAT_SHL: return int_clamped(t, x * ((__int128)1 << amount));
  case FN_ROUND_SHR: return (Scalar){.i = wrap_int(t, (int64_t)((x + (((__int128)1 << amount) >> 1)) >> amount))};
  case FN_POPCOUNT: return (Scalar){.i = wrap_int(t, __builtin_popcountll(pattern))};
  case FN_CLZ:
    return (Scalar){.i = wrap_int(t, pattern ? __builtin_clzll(pattern) - (64 - bits) : bits)};
  CASE_FLOAT_FUNCTION:
  case FN_COUNT: break;
  }
  return (Scalar){.i = a};
}

// The meaning of a function on arguments of type t.
Scalar scalar_math(MathFn f, DType t, Scalar a, Scalar b) {
  if (t == DT_F64) return (Scalar){.f = math_double(f, a.f, b.f)};
  if (dtype_is_float(t)) return float_result(t, math_single(f, (float)a.f, (float)b.f), 0);
  return math_int(f, t, a.i, b.i);
}

// Towards zero, saturating at the limits of t; NaN gives 0.
static int64_t int_of_float(DType t, double v) {
  if (isnan(v)) return 0;
  if (t == DT_BOOL) return v != 0;
  int bits = dtype_bits(t);
  bool is_signed = dtype_is_signed(t);
  double top = ldexp(1, is_signed ? bits - 1 : bits), bottom = is_signed ? -top : 0; // top is exclusive
  if (v >= top) return wrap_int(t, is_signed ? (int64_t)(UINT64_MAX >> (65 - bits)) : -1);
  if (v <= bottom) return is_signed ? (int64_t)(-1 - (int64_t)(UINT64_MAX >> (65 - bits))) : 0;
  return t == DT_U64 ? (int64_t)(uint64_t)v : (int64_t)v;
}

// To the nearest value of float type `to`, in one rounding.
static double float_of_int(DType to, DType from, int64_t v) {
  bool big = from == DT_U64;
  if (to == DT_F64) return big ? (double)(uint64_t)v : (double)v;
  if (to == DT_F32) return big ? (double)(float)(uint64_t)v : (double)(float)v;
  return round_float(DT_F16, big ? (double)(float)(uint64_t)v : (double)(float)v);
}

// Converts between any two types.
Scalar scalar_cast(DType to, DType from, Scalar a) {
  bool from_float = dtype_is_float(from);
  if (dtype_is_float(to)) {
    if (from_float) return (Scalar){.f = dtype_bits(to) < dtype_bits(from) ? round_float(to, a.f) : a.f};
    return (Scalar){.f = float_of_int(to, from, a.i)};
  }
  return (Scalar){.i = from_float ? int_of_float(to, a.f) : wrap_int(to, a.i)};
}

// ---- memory ----------------------------------------------------------------------------------------------------

// Reads a value of type t.
Scalar scalar_load(DType t, const void *at) {
  Scalar r = {.i = 0};
  if (dtype_is_float(t)) {
    float f;
    uint16_t h;
    if (t == DT_F64) memcpy(&r.f, at, 8);
    else if (t == DT_F32) memcpy(&f, at, 4), r.f = (double)f;
    else memcpy(&h, at, 2), r.f = (double)float_of_half(h);
    return r;
  }
  memcpy(&r.i, at, (size_t)dtype_bytes(t));
  r.i = wrap_int(t, r.i);
  return r;
}

// Writes a value of type t.
void scalar_store(DType t, void *at, Scalar v) {
  float f = (float)v.f;
  uint16_t h;
  if (t == DT_F64) memcpy(at, &v.f, 8);
  else if (t == DT_F32) memcpy(at, &f, 4);
  else if (t == DT_F16) h = half_of_float(f), memcpy(at, &h, 2);
  else memcpy(at, &v.i, (size_t)dtype_bytes(t));
}

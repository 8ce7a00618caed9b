// SPDX-License-Identifier: Apache-2.0
// Loops over lanes for the operations that kernels spend their time in; all others call scalar_* for each lane.
#include "te/lanes.h"

#include <math.h>
#include <string.h>

#define EACH for (int l = 0; l < n; l++)

// d = (T)(a op b) in wrapping arithmetic, for every integer type.
#define WRAPPING(T, op) \
  EACH d[l].i = (int64_t)(T)((uint64_t)a[l].i op(uint64_t) b[l].i); \
  return true
#define WRAPPING_SWITCH(op) \
  switch (t) { \
  case DT_I8: WRAPPING(int8_t, op); \
  case DT_I16: WRAPPING(int16_t, op); \
  case DT_I32: WRAPPING(int32_t, op); \
  case DT_I64: WRAPPING(int64_t, op); \
  case DT_U8: WRAPPING(uint8_t, op); \
  case DT_U16: WRAPPING(uint16_t, op); \
  case DT_U32: WRAPPING(uint32_t, op); \
  case DT_U64: WRAPPING(uint64_t, op); \
  default: return false; \
  }
#define LOOP(expression) \
  EACH expression; \
  return true

static bool add_ints(DType t, Scalar *d, const Scalar *a, const Scalar *b, int n) { WRAPPING_SWITCH(+) }
static bool sub_ints(DType t, Scalar *d, const Scalar *a, const Scalar *b, int n) { WRAPPING_SWITCH(-) }
static bool mul_ints(DType t, Scalar *d, const Scalar *a, const Scalar *b, int n) {
  if (t == DT_I32) { // 32-bit products are cheaper than 64-bit ones
    EACH d[l].i = (int32_t)((uint32_t)a[l].i * (uint32_t)b[l].i);
    return true;
  }
  WRAPPING_SWITCH(*)
}

// Integers and bool, whose Scalars compare as int64 (so not uint64). False: no fast loop.
static bool binary_ints(BinOp op, DType t, Scalar *d, const Scalar *a, const Scalar *b, int n) {
  int bits = dtype_bits(t);
  switch (op) {
  case OP_ADD: return add_ints(t, d, a, b, n);
  case OP_SUB: return sub_ints(t, d, a, b, n);
  case OP_MUL: return mul_ints(t, d, a, b, n);
  case OP_AND: LOOP(d[l].i = a[l].i & b[l].i);
  case OP_XOR: LOOP(d[l].i = a[l].i ^ b[l].i);
  case OP_OR: LOOP(d[l].i = a[l].i | b[l].i);
  case OP_EQ: LOOP(d[l].i = a[l].i == b[l].i);
  case OP_NE: LOOP(d[l].i = a[l].i != b[l].i);
  // Where a decides, b may hold anything.
  case OP_LAND: LOOP(d[l].i = a[l].i & (b[l].i != 0));
  case OP_LOR: LOOP(d[l].i = (a[l].i | b[l].i) != 0);
  default: break;
  }
  if (t == DT_U64) return false;
  switch (op) {
  case OP_MIN: LOOP(d[l].i = b[l].i < a[l].i ? b[l].i : a[l].i);
  case OP_MAX: LOOP(d[l].i = b[l].i > a[l].i ? b[l].i : a[l].i);
  case OP_LT: LOOP(d[l].i = a[l].i < b[l].i);
  case OP_LE: LOOP(d[l].i = a[l].i <= b[l].i);
  case OP_GT: LOOP(d[l].i = a[l].i > b[l].i);
  case OP_GE: LOOP(d[l].i = a[l].i >= b[l].i);
  case OP_SHR: LOOP(d[l].i = a[l].i >> (b[l].i & (bits - 1)));
  default: return false;
  }
}

// float64; float32 is computed in double and rounded, which is exact for these operations (53 >= 2 * 24 + 2).
static bool binary_floats(BinOp op, bool single, Scalar *d, const Scalar *a, const Scalar *b, int n) {
  switch (op) {
  case OP_ADD: EACH d[l].f = a[l].f + b[l].f; break;
  case OP_SUB: EACH d[l].f = a[l].f - b[l].f; break;
  case OP_MUL: EACH d[l].f = a[l].f * b[l].f; break;
  case OP_DIV: EACH d[l].f = a[l].f / b[l].f; break;
  case OP_MIN: LOOP(d[l].f = b[l].f < a[l].f ? b[l].f : a[l].f);
  case OP_MAX: LOOP(d[l].f = b[l].f > a[l].f ? b[l].f : a[l].f);
  case OP_LT: LOOP(d[l].i = a[l].f < b[l].f);
  case OP_LE: LOOP(d[l].i = a[l].f <= b[l].f);
  case OP_GT: LOOP(d[l].i = a[l].f > b[l].f);
  case OP_GE: LOOP(d[l].i = a[l].f >= b[l].f);
  case OP_EQ: LOOP(d[l].i = a[l].f == b[l].f);
  case OP_NE: LOOP(d[l].i = a[l].f != b[l].f);
  default: return false;
  }
  if (single) EACH d[l].f = (float)d[l].f;
  return true;
}

void lanes_binary(BinOp op, DType t, Scalar *d, const Scalar *a, const Scalar *b, int n) {
  bool done = !dtype_is_float(t) ? binary_ints(op, t, d, a, b, n)
              : t == DT_F16      ? false
                                 : binary_floats(op, t == DT_F32, d, a, b, n);
  if (!done) EACH d[l] = scalar_binary(op, t, a[l], b[l]);
}

void lanes_unary(UnOp op, DType t, Scalar *d, const Scalar *a, int n) {
  if (op == UN_NEG && dtype_is_float(t)) EACH d[l].f = -a[l].f;
  else if (op == UN_NOT) EACH d[l].i = !a[l].i;
  else EACH d[l] = scalar_unary(op, t, a[l]);
}

void lanes_math(MathFn f, DType t, Scalar *d, const Scalar *a, const Scalar *b, int n) {
  EACH d[l] = scalar_math(f, t, a[l], b[l]);
}

void lanes_fma(DType t, Scalar *d, const Scalar *a, const Scalar *b, const Scalar *c, int n) {
  EACH d[l] = scalar_call(FN_FMA, t, (Scalar[]){a[l], b[l], c[l]});
}

bool lanes_cast_is_free(DType to, DType from) {
  if (to == from) return true;
  if (dtype_is_float(from)) return dtype_is_float(to) && dtype_bits(to) >= dtype_bits(from);
  if (!dtype_is_int(to)) return false;
  if (from == DT_BOOL) return true;
  if (dtype_bits(to) > dtype_bits(from)) return dtype_is_signed(to) || !dtype_is_signed(from);
  return dtype_bits(to) == 64; // the same 64 bits
}

static bool cast_ints(DType t, Scalar *d, const Scalar *a, int n) {
  switch (t) {
  case DT_I8: LOOP(d[l].i = (int8_t)a[l].i);
  case DT_I16: LOOP(d[l].i = (int16_t)a[l].i);
  case DT_I32: LOOP(d[l].i = (int32_t)a[l].i);
  case DT_U8: LOOP(d[l].i = (uint8_t)a[l].i);
  case DT_U16: LOOP(d[l].i = (uint16_t)a[l].i);
  case DT_U32: LOOP(d[l].i = (uint32_t)a[l].i);
  default: return false;
  }
}

void lanes_cast(DType to, DType from, Scalar *d, const Scalar *a, int n) {
  bool from_int = !dtype_is_float(from) && from != DT_U64;
  if (from_int && dtype_is_int(to) && cast_ints(to, d, a, n)) return;
  if (from_int && to == DT_F32) EACH d[l].f = (float)a[l].i;
  else if (from_int && to == DT_F64) EACH d[l].f = (double)a[l].i;
  else if (dtype_is_float(from) && to == DT_F32) EACH d[l].f = (float)a[l].f;
  else EACH d[l] = scalar_cast(to, from, a[l]);
}

#define LOADS(T, field) \
  do { \
    const T *p = (const T *)array + at; \
    EACH d[l].field = p[off[l]]; \
  } while (0)

void lanes_load(DType t, Scalar *d, const void *array, const int64_t *off, int64_t at, int n) {
  switch (t) {
  case DT_BOOL:
  case DT_U8: LOADS(uint8_t, i); return;
  case DT_I8: LOADS(int8_t, i); return;
  case DT_I16: LOADS(int16_t, i); return;
  case DT_I32: LOADS(int32_t, i); return;
  case DT_U16: LOADS(uint16_t, i); return;
  case DT_U32: LOADS(uint32_t, i); return;
  case DT_I64:
  case DT_U64: LOADS(int64_t, i); return;
  case DT_F16: EACH d[l].f = float_of_half(((const uint16_t *)array)[at + off[l]]); return;
  case DT_F32: LOADS(float, f); return;
  case DT_F64: LOADS(double, f); return;
  case DT_COUNT: return;
  }
}

#define STORES(T, field) \
  do { \
    T *p = (T *)array + first; \
    EACH p[l] = (T)a[l].field; \
  } while (0)

void lanes_store(DType t, void *array, int64_t first, const Scalar *a, int n) {
  switch (t) {
  case DT_BOOL:
  case DT_U8: STORES(uint8_t, i); return;
  case DT_I8: STORES(int8_t, i); return;
  case DT_I16: STORES(int16_t, i); return;
  case DT_I32: STORES(int32_t, i); return;
  case DT_U16: STORES(uint16_t, i); return;
  case DT_U32: STORES(uint32_t, i); return;
  case DT_I64:
  case DT_U64: STORES(int64_t, i); return;
  case DT_F16: EACH((uint16_t *)array)[first + l] = half_of_float((float)a[l].f); return;
  case DT_F32: STORES(float, f); return;
  case DT_F64: STORES(double, f); return;
  case DT_COUNT: return;
  }
}

void lanes_fill(Scalar *d, Scalar v, int n) { EACH d[l] = v; }

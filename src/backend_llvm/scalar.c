// SPDX-License-Identifier: Apache-2.0
// Operators on values in registers. Their meaning is scalar_binary() and its neighbours in base/scalar.c, to the bit;
// only the libm functions may differ in the last place. bool is i1; float16 is a float that was rounded to half. All
// take vectors, too: two of the same length, and do to each lane what they do to a scalar, to the same bits.
#include "backend_llvm/internal.h"

#include <string.h>

// The type of a value like v with elements of type t, and such a value of equal elements.
static LLVMTypeRef type_like(LLVMValueRef v, LLVMTypeRef t) { return gen_wide_type(t, gen_width(v)); }
static LLVMValueRef like(LLVMValueRef v, LLVMValueRef scalar) { return gen_splat_const(scalar, gen_width(v)); }
static LLVMValueRef int_like(Gen *g, LLVMValueRef v, DType t, int64_t k) {
  return like(v, LLVMConstInt(gen_value_type(g, t), (uint64_t)k, true));
}
static LLVMValueRef i32_like(Gen *g, LLVMValueRef v, int64_t k) { return like(v, gen_i32(g, k)); }
static LLVMValueRef real_like(LLVMTypeRef t, LLVMValueRef v, double k) { return like(v, LLVMConstReal(t, k)); }

// ---- float16 --------------------------------------------------------------------------------------------------------

static LLVMValueRef bits_of(Gen *g, LLVMValueRef f) { return LLVMBuildBitCast(g->b, f, type_like(f, g->i32), ""); }
static LLVMValueRef float_of(Gen *g, LLVMValueRef i) { return LLVMBuildBitCast(g->b, i, type_like(i, g->f32), ""); }

// Half bits (i16) -> float. Without hardware: put exponent and fraction at a float's place and rescale by 2^112, which
// also makes subnormal halves normal; infinities and NaNs get the float's exponent of ones.
static LLVMValueRef half_to_float(Gen *g, LLVMValueRef h) {
  if (g->native_half)
    return LLVMBuildFPExt(g->b, LLVMBuildBitCast(g->b, h, type_like(h, g->f16), ""), type_like(h, g->f32), "");
  LLVMValueRef w = LLVMBuildZExt(g->b, h, type_like(h, g->i32), "");
  LLVMValueRef sign = LLVMBuildShl(g->b, LLVMBuildAnd(g->b, w, i32_like(g, h, 0x8000), ""), i32_like(g, h, 16), "");
  LLVMValueRef rest = LLVMBuildAnd(g->b, w, i32_like(g, h, 0x7fff), "");
  LLVMValueRef up = LLVMBuildShl(g->b, rest, i32_like(g, h, 13), "");
  LLVMValueRef finite = bits_of(g, LLVMBuildFMul(g->b, float_of(g, up), real_like(g->f32, h, 0x1p112), ""));
  LLVMValueRef special = LLVMBuildOr(g->b, up, i32_like(g, h, 0x7f800000), "");
  LLVMValueRef is_special = LLVMBuildICmp(g->b, LLVMIntUGE, rest, i32_like(g, h, 0x7c00), "");
  LLVMValueRef bits = LLVMBuildSelect(g->b, is_special, special, finite, "");
  return float_of(g, LLVMBuildOr(g->b, bits, sign, ""));
}

// float -> half bits (i16), ties to even. Without hardware: subnormal results are rounded by adding 0.5, whose unit in
// the last place is a half's smallest; normal ones by adding just under half a unit, and the odd bit.
static LLVMValueRef float_to_half(Gen *g, LLVMValueRef f) {
  if (g->native_half)
    return LLVMBuildBitCast(g->b, LLVMBuildFPTrunc(g->b, f, type_like(f, g->f16), ""), type_like(f, g->i16), "");
  LLVMValueRef x = bits_of(g, f);
  LLVMValueRef a = LLVMBuildAnd(g->b, x, i32_like(g, f, 0x7fffffff), "");
  LLVMValueRef sign = LLVMBuildLShr(g->b, LLVMBuildXor(g->b, x, a, ""), i32_like(g, f, 16), "");
  LLVMValueRef is_nan = LLVMBuildICmp(g->b, LLVMIntUGT, a, i32_like(g, f, 0x7f800000), "");
  LLVMValueRef big = LLVMBuildSelect(g->b, is_nan, i32_like(g, f, 0x7e00), i32_like(g, f, 0x7c00), "");
  LLVMValueRef tiny = LLVMBuildFAdd(g->b, float_of(g, a), real_like(g->f32, f, 0.5), "");
  tiny = LLVMBuildSub(g->b, bits_of(g, tiny), i32_like(g, f, 0x3f000000), "");
  LLVMValueRef odd = LLVMBuildAnd(g->b, LLVMBuildLShr(g->b, a, i32_like(g, f, 13), ""), i32_like(g, f, 1), "");
  LLVMValueRef mid = LLVMBuildAdd(g->b, a, i32_like(g, f, (int32_t)0xc8000fff), "");
  mid = LLVMBuildLShr(g->b, LLVMBuildAdd(g->b, mid, odd, ""), i32_like(g, f, 13), "");
  LLVMValueRef is_big = LLVMBuildICmp(g->b, LLVMIntUGE, a, i32_like(g, f, 0x47800000), "");
  LLVMValueRef is_tiny = LLVMBuildICmp(g->b, LLVMIntULT, a, i32_like(g, f, 0x38800000), "");
  LLVMValueRef r = LLVMBuildSelect(g->b, is_tiny, tiny, mid, "");
  r = LLVMBuildSelect(g->b, is_big, big, r, "");
  return LLVMBuildTrunc(g->b, LLVMBuildOr(g->b, r, sign, ""), type_like(f, g->i16), "");
}

// Rounds the result of a float operation to t, where t is narrower than its register.
static LLVMValueRef rounded(Gen *g, DType t, LLVMValueRef v) {
  return t == DT_F16 ? half_to_float(g, float_to_half(g, v)) : v;
}

LLVMValueRef gen_from_memory(Gen *g, DType t, LLVMValueRef v) {
  if (t == DT_BOOL) return LLVMBuildICmp(g->b, LLVMIntNE, v, like(v, LLVMConstInt(g->i8, 0, false)), "");
  return t == DT_F16 ? half_to_float(g, v) : v;
}

LLVMValueRef gen_to_memory(Gen *g, DType t, LLVMValueRef v) {
  if (t == DT_BOOL) return LLVMBuildZExt(g->b, v, type_like(v, g->i8), "");
  return t == DT_F16 ? float_to_half(g, v) : v;
}

// ---- integers -------------------------------------------------------------------------------------------------------

static LLVMValueRef is_zero(Gen *g, DType t, LLVMValueRef v) {
  return LLVMBuildICmp(g->b, LLVMIntEQ, v, int_like(g, v, t, 0), "");
}

static LLVMValueRef is_negative(Gen *g, DType t, LLVMValueRef v) {
  return LLVMBuildICmp(g->b, LLVMIntSLT, v, int_like(g, v, t, 0), "");
}

// Floor division of a by b, neither 0 nor (for signed) -1.
static LLVMValueRef floor_of_quotient(Gen *g, DType t, LLVMValueRef a, LLVMValueRef b, bool want_mod) {
  LLVMValueRef r = LLVMBuildSRem(g->b, a, b, "");
  LLVMValueRef off = LLVMBuildAnd(g->b, LLVMBuildICmp(g->b, LLVMIntNE, r, int_like(g, a, t, 0), ""),
                                  is_negative(g, t, LLVMBuildXor(g->b, r, b, "")), "");
  if (want_mod) return LLVMBuildAdd(g->b, r, LLVMBuildSelect(g->b, off, b, int_like(g, a, t, 0), ""), "");
  LLVMValueRef q = LLVMBuildSDiv(g->b, a, b, "");
  return LLVMBuildAdd(g->b, q, LLVMBuildSExt(g->b, off, LLVMTypeOf(a), ""), "");
}

// By a constant d > 0: shifts and masks for powers of two, else the remainder's sign alone decides.
static LLVMValueRef div_by_positive(Gen *g, DType t, LLVMValueRef a, int64_t d, bool want_mod, bool nonneg) {
  LLVMValueRef b = int_like(g, a, t, d);
  if (!(d & (d - 1)))
    return want_mod ? LLVMBuildAnd(g->b, a, int_like(g, a, t, d - 1), "")
                    : LLVMBuildAShr(g->b, a, int_like(g, a, t, __builtin_ctzll((uint64_t)d)), "");
  if (nonneg) return want_mod ? LLVMBuildURem(g->b, a, b, "") : LLVMBuildUDiv(g->b, a, b, "");
  LLVMValueRef r = LLVMBuildSRem(g->b, a, b, "");
  LLVMValueRef neg = is_negative(g, t, r);
  if (want_mod) return LLVMBuildAdd(g->b, r, LLVMBuildSelect(g->b, neg, b, int_like(g, a, t, 0), ""), "");
  LLVMValueRef q = LLVMBuildSDiv(g->b, a, b, "");
  return LLVMBuildAdd(g->b, q, LLVMBuildSExt(g->b, neg, LLVMTypeOf(a), ""), "");
}

// x / 0 and x % 0 are 0; INT_MIN / -1 wraps. Never traps: the divisor is replaced where the hardware would.
static LLVMValueRef int_div(Gen *g, DType t, LLVMValueRef a, LLVMValueRef b, bool want_mod, bool nonneg) {
  LLVMValueRef zero = int_like(g, a, t, 0), one = int_like(g, a, t, 1);
  bool is_signed = dtype_is_signed(t);
  LLVMValueRef known = gen_const_int(b);
  if (known) {
    int64_t d = is_signed ? LLVMConstIntGetSExtValue(known) : (int64_t)LLVMConstIntGetZExtValue(known);
    if (d == 0) return zero;
    if (is_signed && d > 0) return div_by_positive(g, t, a, d, want_mod, nonneg);
    if (is_signed && d == -1) return want_mod ? zero : LLVMBuildNeg(g->b, a, "");
    if (is_signed) return floor_of_quotient(g, t, a, b, want_mod);
    return want_mod ? LLVMBuildURem(g->b, a, b, "") : LLVMBuildUDiv(g->b, a, b, "");
  }
  LLVMValueRef none = is_zero(g, t, b);
  if (!is_signed) {
    LLVMValueRef safe = LLVMBuildSelect(g->b, none, one, b, "");
    LLVMValueRef q = want_mod ? LLVMBuildURem(g->b, a, safe, "") : LLVMBuildUDiv(g->b, a, safe, "");
    return LLVMBuildSelect(g->b, none, zero, q, "");
  }
  LLVMValueRef minus = LLVMBuildICmp(g->b, LLVMIntEQ, b, int_like(g, a, t, -1), "");
  LLVMValueRef either = LLVMBuildOr(g->b, none, minus, "");
  LLVMValueRef safe = LLVMBuildSelect(g->b, either, one, b, "");
  LLVMValueRef q = floor_of_quotient(g, t, a, safe, want_mod);
  if (want_mod) return LLVMBuildSelect(g->b, either, zero, q, "");
  LLVMValueRef odd = LLVMBuildSelect(g->b, none, zero, LLVMBuildNeg(g->b, a, ""), "");
  return LLVMBuildSelect(g->b, either, odd, q, "");
}

static LLVMValueRef shift(Gen *g, BinOp op, DType t, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef n = LLVMBuildAnd(g->b, b, int_like(g, a, t, dtype_bits(t) - 1), "");
  if (op == OP_SHL) return LLVMBuildShl(g->b, a, n, "");
  return dtype_is_signed(t) ? LLVMBuildAShr(g->b, a, n, "") : LLVMBuildLShr(g->b, a, n, "");
}

static LLVMIntPredicate int_predicate(BinOp op, bool is_signed) {
  switch (op) {
  case OP_LT: return is_signed ? LLVMIntSLT : LLVMIntULT;
  case OP_LE: return is_signed ? LLVMIntSLE : LLVMIntULE;
  case OP_GT: return is_signed ? LLVMIntSGT : LLVMIntUGT;
  case OP_GE: return is_signed ? LLVMIntSGE : LLVMIntUGE;
  case OP_EQ: return LLVMIntEQ;
  case OP_NE:
    return LLVMIntNE;
  CASE_NO_COMPARISON:
    break;
  }
  bug("no comparison: %s", binop_text(op));
}

static LLVMRealPredicate real_predicate(BinOp op) {
  switch (op) {
  case OP_LT: return LLVMRealOLT;
  case OP_LE: return LLVMRealOLE;
  case OP_GT: return LLVMRealOGT;
  case OP_GE: return LLVMRealOGE;
  case OP_EQ: return LLVMRealOEQ;
  case OP_NE:
    return LLVMRealUNE;
  CASE_NO_COMPARISON:
    break;
  }
  bug("no comparison: %s", binop_text(op));
}

static LLVMValueRef compare(Gen *g, BinOp op, DType t, LLVMValueRef a, LLVMValueRef b) {
  if (dtype_is_float(t)) return LLVMBuildFCmp(g->b, real_predicate(op), a, b, "");
  return LLVMBuildICmp(g->b, int_predicate(op, dtype_is_signed(t)), a, b, "");
}

static LLVMValueRef min_max(Gen *g, BinOp op, DType t, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef c = compare(g, op == OP_MIN ? OP_LT : OP_GT, t, b, a);
  return LLVMBuildSelect(g->b, c, b, a, "");
}

// With the sign of the divisor.
static LLVMValueRef real_mod(Gen *g, DType t, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef r = LLVMBuildFRem(g->b, a, b, ""), zero = real_like(gen_value_type(g, t), a, 0);
  LLVMValueRef differ = LLVMBuildXor(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, r, zero, ""),
                                     LLVMBuildFCmp(g->b, LLVMRealOLT, b, zero, ""), "");
  LLVMValueRef off = LLVMBuildAnd(g->b, LLVMBuildFCmp(g->b, LLVMRealUNE, r, zero, ""), differ, "");
  return LLVMBuildSelect(g->b, off, LLVMBuildFAdd(g->b, r, b, ""), r, "");
}

// bool counts as an integer that wraps to `v != 0`. NULL: as others.
static LLVMValueRef bool_arithmetic(Gen *g, BinOp op, LLVMValueRef a, LLVMValueRef b) {
  switch (op) {
  case OP_ADD: return LLVMBuildOr(g->b, a, b, "");
  case OP_SUB: return LLVMBuildXor(g->b, a, b, "");
  case OP_MUL:
  case OP_DIV: return LLVMBuildAnd(g->b, a, b, "");
  case OP_MOD: return like(a, LLVMConstInt(g->i1, 0, false));
  case OP_SHL: return a;
  case OP_SHR: return LLVMBuildAnd(g->b, a, LLVMBuildNot(g->b, b, ""), "");
  case OP_MIN:
  case OP_MAX:
  case OP_AND:
  case OP_XOR:
  case OP_OR:
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE:
  case OP_LAND:
  case OP_LOR:
  case OP_COUNT: break;
  }
  return NULL;
}

LLVMValueRef gen_binary(Gen *g, BinOp op, DType t, LLVMValueRef a, LLVMValueRef b, bool nonneg) {
  bool real = dtype_is_float(t);
  LLVMValueRef boolean = t == DT_BOOL ? bool_arithmetic(g, op, a, b) : NULL;
  if (boolean) return boolean;
  switch (op) {
  case OP_ADD: return real ? rounded(g, t, LLVMBuildFAdd(g->b, a, b, "")) : LLVMBuildAdd(g->b, a, b, "");
  case OP_SUB: return real ? rounded(g, t, LLVMBuildFSub(g->b, a, b, "")) : LLVMBuildSub(g->b, a, b, "");
  case OP_MUL: return real ? rounded(g, t, LLVMBuildFMul(g->b, a, b, "")) : LLVMBuildMul(g->b, a, b, "");
  case OP_DIV: return real ? rounded(g, t, LLVMBuildFDiv(g->b, a, b, "")) : int_div(g, t, a, b, false, nonneg);
  case OP_MOD: return real ? rounded(g, t, real_mod(g, t, a, b)) : int_div(g, t, a, b, true, nonneg);
  case OP_MIN:
  case OP_MAX: return min_max(g, op, t, a, b);
  case OP_SHL:
  case OP_SHR: return shift(g, op, t, a, b);
  case OP_AND:
  case OP_LAND: return LLVMBuildAnd(g->b, a, b, "");
  case OP_OR:
  case OP_LOR: return LLVMBuildOr(g->b, a, b, "");
  case OP_XOR: return LLVMBuildXor(g->b, a, b, "");
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE: return compare(g, op, t, a, b);
  case OP_COUNT: break;
  }
  bug("no such operator");
}

LLVMValueRef gen_unary(Gen *g, UnOp op, DType t, LLVMValueRef a) {
  switch (op) {
  case UN_NEG: return dtype_is_float(t) ? LLVMBuildFNeg(g->b, a, "") : LLVMBuildNeg(g->b, a, "");
  case UN_NOT:
  case UN_BITNOT: return LLVMBuildNot(g->b, a, "");
  case UN_COUNT: break;
  }
  bug("no such operator");
}

// ---- functions ------------------------------------------------------------------------------------------------------

static LLVMValueRef libm(Gen *g, const char *name, LLVMTypeRef t, LLVMValueRef a, LLVMValueRef b);

// The same of each lane.
static LLVMValueRef lane_calls(Gen *g, const char *name, LLVMTypeRef t, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef all = LLVMGetUndef(LLVMTypeOf(a));
  for (unsigned i = 0; i < gen_width(a); i++) {
    LLVMValueRef lane = gen_i32(g, i), y = b ? LLVMBuildExtractElement(g->b, b, lane, "") : NULL;
    LLVMValueRef r = libm(g, name, t, LLVMBuildExtractElement(g->b, a, lane, ""), y);
    all = LLVMBuildInsertElement(g->b, all, r, lane, "");
  }
  return all;
}

// A libm function of one or two arguments, without side effects (errno is nobody's business here). It is called even on
// constants: folded by LLVM, it would round differently from one level to the next.
static LLVMValueRef libm(Gen *g, const char *name, LLVMTypeRef t, LLVMValueRef a, LLVMValueRef b) {
  char full[16];
  bool wide = t == g->f64;
  if (gen_width(a)) return lane_calls(g, name, t, a, b);
  snprintf(full, sizeof full, "%s%s", name, wide ? "" : "f");
  LLVMValueRef args[2] = {a, b};
  LLVMValueRef call = gen_call(g, full, b ? (wide ? "ddd" : "fff") : (wide ? "dd" : "ff"), args);
  static const char *const facts[] = {"nobuiltin", "willreturn", TETC_LLVM_MAJOR >= 16 ? "memory" : "readnone"};
  for (int i = 0; i < 3; i++) {
    LLVMAttributeRef at = LLVMCreateEnumAttribute(g->c, LLVMGetEnumAttributeKindForName(facts[i], strlen(facts[i])), 0);
    LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, at);
  }
  return call;
}

static LLVMValueRef real_intrinsic(Gen *g, const char *name, LLVMValueRef a) {
  LLVMTypeRef t = LLVMTypeOf(a);
  return gen_intrinsic(g, name, &t, 1, &a, 1);
}

bool gen_is_call(MathFn fn) {
  switch (fn) {
  case FN_ABS:
  case FN_ROUND:
  case FN_RINT:
  case FN_FLOOR:
  case FN_CEIL:
  case FN_TRUNC:
  case FN_SQRT:
  case FN_RSQRT:
  CASE_INTEGER_FUNCTION:
  case FN_FMA: return false;
  case FN_EXP:
  case FN_LOG:
  case FN_LOG2:
  case FN_SIN:
  case FN_COS:
  case FN_TAN:
  case FN_ATAN:
  case FN_TANH:
  case FN_SIGMOID:
  case FN_ERF:
  case FN_POW: return true;
  case FN_COUNT: break;
  }
  bug("no such function");
}

LLVMValueRef gen_fma(Gen *g, DType t, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
  LLVMTypeRef ty = LLVMTypeOf(a);
  LLVMValueRef args[3] = {a, b, c};
  return rounded(g, t, gen_intrinsic(g, "llvm.fma", &ty, 1, args, 3));
}

// The upper half of a product, in twice the width.
static LLVMValueRef upper_product(Gen *g, DType t, LLVMValueRef a, LLVMValueRef b) {
  bool is_signed = dtype_is_signed(t);
  LLVMTypeRef narrow = LLVMTypeOf(a), wide = type_like(a, LLVMIntTypeInContext(g->c, (unsigned)dtype_bits(t) * 2));
  LLVMValueRef x = is_signed ? LLVMBuildSExt(g->b, a, wide, "") : LLVMBuildZExt(g->b, a, wide, "");
  LLVMValueRef y = is_signed ? LLVMBuildSExt(g->b, b, wide, "") : LLVMBuildZExt(g->b, b, wide, "");
  LLVMValueRef by =
      LLVMConstInt(LLVMIntTypeInContext(g->c, (unsigned)dtype_bits(t) * 2), (unsigned)dtype_bits(t), false);
  if (gen_width(a)) by = LLVMBuildZExt(g->b, int_like(g, a, t, dtype_bits(t)), wide, "");
  return LLVMBuildTrunc(g->b, LLVMBuildLShr(g->b, LLVMBuildMul(g->b, x, y, ""), by, ""), narrow, "");
}

// Towards zero: the quotient of the magnitudes, with the sign; by zero 0. Nothing traps: no divisor is 0 or -1.
static LLVMValueRef truncated(Gen *g, DType t, LLVMValueRef a, LLVMValueRef b, bool quotient) {
  LLVMValueRef zero = int_like(g, a, t, 0), one = int_like(g, a, t, 1);
  LLVMValueRef none = LLVMBuildICmp(g->b, LLVMIntEQ, b, zero, "");
  LLVMValueRef x = a, y = LLVMBuildSelect(g->b, none, one, b, ""), r;
  LLVMValueRef nx = NULL, ny = NULL;
  if (dtype_is_signed(t)) {
    nx = is_negative(g, t, a), ny = is_negative(g, t, b);
    x = LLVMBuildSelect(g->b, nx, LLVMBuildNeg(g->b, x, ""), x, "");
    y = LLVMBuildSelect(g->b, ny, LLVMBuildNeg(g->b, y, ""), y, "");
  }
  r = quotient ? LLVMBuildUDiv(g->b, x, y, "") : LLVMBuildURem(g->b, x, y, "");
  if (nx) {
    LLVMValueRef turn = quotient ? LLVMBuildXor(g->b, nx, ny, "") : nx;
    r = LLVMBuildSelect(g->b, turn, LLVMBuildNeg(g->b, r, ""), r, "");
  }
  return LLVMBuildSelect(g->b, none, zero, r, "");
}

// x * 2^n that stops at the ends of the type: what does not come back when shifted back has left it.
static LLVMValueRef saturated_shl(Gen *g, DType t, LLVMValueRef a, LLVMValueRef n) {
  LLVMValueRef r = LLVMBuildShl(g->b, a, n, "");
  bool is_signed = dtype_is_signed(t);
  LLVMValueRef back = is_signed ? LLVMBuildAShr(g->b, r, n, "") : LLVMBuildLShr(g->b, r, n, "");
  int bits = dtype_bits(t);
  int64_t most = (int64_t)(UINT64_MAX >> (is_signed ? 65 - bits : 64 - bits)), least = is_signed ? -most - 1 : 0;
  LLVMValueRef end = int_like(g, a, t, most);
  if (is_signed) end = LLVMBuildSelect(g->b, is_negative(g, t, a), int_like(g, a, t, least), end, "");
  return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, back, a, ""), r, end, "");
}

static LLVMValueRef gen_math_int(Gen *g, MathFn fn, DType t, LLVMValueRef a, LLVMValueRef b) {
  LLVMTypeRef ty = LLVMTypeOf(a);
  LLVMValueRef args[2] = {a, b}, n = NULL, down;
  bool is_signed = dtype_is_signed(t);
  if (fn == FN_SAT_SHL || fn == FN_ROUND_SHR) n = LLVMBuildAnd(g->b, b, int_like(g, a, t, dtype_bits(t) - 1), "");
  switch (fn) {
  case FN_ABS: return is_signed ? LLVMBuildSelect(g->b, is_negative(g, t, a), LLVMBuildNeg(g->b, a, ""), a, "") : a;
  case FN_QUOTIENT: return truncated(g, t, a, b, true);
  case FN_REMAINDER: return truncated(g, t, a, b, false);
  case FN_MULHI: return upper_product(g, t, a, b);
  case FN_SAT_ADD: return gen_intrinsic(g, is_signed ? "llvm.sadd.sat" : "llvm.uadd.sat", &ty, 1, args, 2);
  case FN_SAT_SUB: return gen_intrinsic(g, is_signed ? "llvm.ssub.sat" : "llvm.usub.sat", &ty, 1, args, 2);
  case FN_SAT_SHL: return saturated_shl(g, t, a, n);
  case FN_ROUND_SHR: { // the last bit that is shifted out is a half
    LLVMValueRef none = LLVMBuildICmp(g->b, LLVMIntEQ, n, int_like(g, a, t, 0), ""), one = int_like(g, a, t, 1);
    LLVMValueRef before = LLVMBuildSelect(g->b, none, n, LLVMBuildSub(g->b, n, one, ""), "");
    LLVMValueRef half = is_signed ? LLVMBuildAShr(g->b, a, before, "") : LLVMBuildLShr(g->b, a, before, "");
    half = LLVMBuildAnd(g->b, half, one, "");
    down = is_signed ? LLVMBuildAShr(g->b, a, n, "") : LLVMBuildLShr(g->b, a, n, "");
    return LLVMBuildSelect(g->b, none, a, LLVMBuildAdd(g->b, down, half, ""), "");
  }
  case FN_POPCOUNT: return gen_intrinsic(g, "llvm.ctpop", &ty, 1, args, 1);
  case FN_CLZ:
    args[1] = LLVMConstInt(LLVMInt1TypeInContext(g->c), 0, false);
    return gen_intrinsic(g, "llvm.ctlz", &ty, 1, args, 2);
  CASE_FLOAT_FUNCTION:
  case FN_COUNT: break;
  }
  bug("no such function of integers");
}

LLVMValueRef gen_math(Gen *g, MathFn fn, DType t, LLVMValueRef a, LLVMValueRef b) {
  LLVMTypeRef ty = gen_value_type(g, t);
  if (!dtype_is_float(t)) return gen_math_int(g, fn, t, a, b);
  LLVMValueRef one = real_like(ty, a, 1.0), r = NULL;
  switch (fn) {
  case FN_ABS: return real_intrinsic(g, "llvm.fabs", a);
  case FN_ROUND: r = real_intrinsic(g, "llvm.round", a); break;
  case FN_RINT: r = real_intrinsic(g, "llvm.roundeven", a); break;
  case FN_FLOOR: r = real_intrinsic(g, "llvm.floor", a); break;
  case FN_CEIL: r = real_intrinsic(g, "llvm.ceil", a); break;
  case FN_TRUNC: r = real_intrinsic(g, "llvm.trunc", a); break;
  case FN_SQRT: r = real_intrinsic(g, "llvm.sqrt", a); break;
  case FN_RSQRT: r = LLVMBuildFDiv(g->b, one, real_intrinsic(g, "llvm.sqrt", a), ""); break;
  case FN_SIGMOID:
    r = libm(g, "exp", ty, LLVMBuildFNeg(g->b, a, ""), NULL);
    r = LLVMBuildFDiv(g->b, one, LLVMBuildFAdd(g->b, one, r, ""), "");
    break;
  case FN_EXP:
  case FN_LOG:
  case FN_LOG2:
  case FN_SIN:
  case FN_COS:
  case FN_TAN:
  case FN_ATAN:
  case FN_TANH:
  case FN_ERF:
    r = libm(g, math_name(fn), ty, a, NULL); // the language's names are libm's
    break;
  case FN_POW:
    r = libm(g, "pow", ty, a, b);
    break;
  CASE_INTEGER_FUNCTION:
  case FN_FMA:
  case FN_COUNT: bug("no such function of two arguments");
  }
  return rounded(g, t, r);
}

// ---- casts ----------------------------------------------------------------------------------------------------------

// double -> half in one rounding: narrow to float towards odd first (the last bit set if anything was cut off), which
// leaves enough bits for the second rounding to be right.
static LLVMValueRef half_rounded_double(Gen *g, LLVMValueRef d) {
  LLVMValueRef f = LLVMBuildFPTrunc(g->b, d, type_like(d, g->f32), "");
  LLVMValueRef back = LLVMBuildFPExt(g->b, f, LLVMTypeOf(d), "");
  LLVMValueRef ad = real_intrinsic(g, "llvm.fabs", d), ab = real_intrinsic(g, "llvm.fabs", back);
  LLVMValueRef bits = bits_of(g, f);
  LLVMValueRef over = LLVMBuildFCmp(g->b, LLVMRealOGT, ab, ad, ""); // rounded away: step back, then make it odd
  LLVMValueRef cut = LLVMBuildFCmp(g->b, LLVMRealONE, ab, ad, "");
  bits = LLVMBuildSub(g->b, bits, LLVMBuildZExt(g->b, over, LLVMTypeOf(bits), ""), "");
  bits = LLVMBuildOr(g->b, bits, LLVMBuildZExt(g->b, cut, LLVMTypeOf(bits), ""), "");
  return rounded(g, DT_F16, float_of(g, bits));
}

static LLVMValueRef real_to_real(Gen *g, DType to, DType from, LLVMValueRef a) {
  if (to == DT_F64) return from == DT_F64 ? a : LLVMBuildFPExt(g->b, a, type_like(a, g->f64), "");
  if (to == DT_F32) return from == DT_F64 ? LLVMBuildFPTrunc(g->b, a, type_like(a, g->f32), "") : a;
  if (from == DT_F64) return half_rounded_double(g, a);
  return from == DT_F32 ? rounded(g, DT_F16, a) : a;
}

// In one rounding. To float16 by way of float: integers that a half can hold near are exact there.
static LLVMValueRef int_to_real(Gen *g, DType to, DType from, LLVMValueRef a) {
  LLVMTypeRef ty = type_like(a, gen_value_type(g, to));
  LLVMValueRef r = dtype_is_signed(from) ? LLVMBuildSIToFP(g->b, a, ty, "") : LLVMBuildUIToFP(g->b, a, ty, "");
  return rounded(g, to, r);
}

// Towards zero, saturating, NaN to 0: what the plain conversion gives out of range is never chosen. (LLVM's own
// saturating conversion becomes scalar code.) The limits are powers of two, or 0: floats have them.
static LLVMValueRef real_to_int(Gen *g, DType to, DType from, LLVMValueRef a) {
  LLVMTypeRef ty = type_like(a, gen_value_type(g, to)), real = gen_value_type(g, from);
  bool is_signed = dtype_is_signed(to);
  int bits = dtype_bits(to);
  int64_t least = is_signed ? (int64_t)(UINT64_MAX << (bits - 1)) : 0, most = ~least;
  if (!is_signed) most = (int64_t)(UINT64_MAX >> (64 - bits));
  LLVMValueRef below = real_like(real, a, is_signed ? -__builtin_ldexp(1, bits - 1) : 0);
  LLVMValueRef above = real_like(real, a, __builtin_ldexp(1, is_signed ? bits - 1 : bits));
  LLVMValueRef v = is_signed ? LLVMBuildFPToSI(g->b, a, ty, "") : LLVMBuildFPToUI(g->b, a, ty, "");
  v = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGE, a, above, ""), int_like(g, a, to, most), v, "");
  v = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, a, below, ""), int_like(g, a, to, least), v, "");
  return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, a, a, ""), int_like(g, a, to, 0), v, "");
}

LLVMValueRef gen_cast(Gen *g, DType to, DType from, LLVMValueRef a) {
  if (to == from) return a;
  LLVMTypeRef ty = type_like(a, gen_value_type(g, to));
  if (dtype_is_float(from)) {
    if (dtype_is_float(to)) return real_to_real(g, to, from, a);
    if (to == DT_BOOL) return LLVMBuildFCmp(g->b, LLVMRealONE, a, real_like(gen_value_type(g, from), a, 0), "");
    return real_to_int(g, to, from, a);
  }
  if (dtype_is_float(to)) return int_to_real(g, to, from, a);
  if (to == DT_BOOL) return LLVMBuildNot(g->b, is_zero(g, from, a), "");
  int wide = dtype_bits(to), narrow = from == DT_BOOL ? 1 : dtype_bits(from);
  if (wide == narrow) return a;
  if (wide < narrow) return LLVMBuildTrunc(g->b, a, ty, "");
  return dtype_is_signed(from) ? LLVMBuildSExt(g->b, a, ty, "") : LLVMBuildZExt(g->b, a, ty, "");
}

// SPDX-License-Identifier: Apache-2.0
// Operators on values in registers. Their meaning is scalar_binary() and its neighbours in base/scalar.c, to the bit;
// only the libm functions may differ in the last place. bool is i1; float16 is a float that was rounded to half.
#include "backend_llvm/internal.h"

#include <string.h>

// ---- float16 ---------------------------------------------------------------------------------------------------------

static LLVMValueRef bits_of(Gen *g, LLVMValueRef f) { return LLVMBuildBitCast(g->b, f, g->i32, ""); }
static LLVMValueRef float_of(Gen *g, LLVMValueRef i) { return LLVMBuildBitCast(g->b, i, g->f32, ""); }

// Half bits (i16) -> float. Without hardware: put exponent and fraction at a float's place and rescale by 2^112, which
// also makes subnormal halves normal; infinities and NaNs get the float's exponent of ones.
static LLVMValueRef half_to_float(Gen *g, LLVMValueRef h) {
  if (g->native_half) return LLVMBuildFPExt(g->b, LLVMBuildBitCast(g->b, h, g->f16, ""), g->f32, "");
  LLVMValueRef w = LLVMBuildZExt(g->b, h, g->i32, "");
  LLVMValueRef sign = LLVMBuildShl(g->b, LLVMBuildAnd(g->b, w, gen_i32(g, 0x8000), ""), gen_i32(g, 16), "");
  LLVMValueRef rest = LLVMBuildAnd(g->b, w, gen_i32(g, 0x7fff), "");
  LLVMValueRef up = LLVMBuildShl(g->b, rest, gen_i32(g, 13), "");
  LLVMValueRef finite = bits_of(g, LLVMBuildFMul(g->b, float_of(g, up), LLVMConstReal(g->f32, 0x1p112), ""));
  LLVMValueRef special = LLVMBuildOr(g->b, up, gen_i32(g, 0x7f800000), "");
  LLVMValueRef is_special = LLVMBuildICmp(g->b, LLVMIntUGE, rest, gen_i32(g, 0x7c00), "");
  LLVMValueRef bits = LLVMBuildSelect(g->b, is_special, special, finite, "");
  return float_of(g, LLVMBuildOr(g->b, bits, sign, ""));
}

// float -> half bits (i16), ties to even. Without hardware: subnormal results are rounded by adding 0.5, whose unit in the
// last place is a half's smallest; normal ones by adding just under half a unit, and the odd bit.
static LLVMValueRef float_to_half(Gen *g, LLVMValueRef f) {
  if (g->native_half)
    return LLVMBuildBitCast(g->b, LLVMBuildFPTrunc(g->b, f, g->f16, ""), g->i16, "");
  LLVMValueRef x = bits_of(g, f);
  LLVMValueRef a = LLVMBuildAnd(g->b, x, gen_i32(g, 0x7fffffff), "");
  LLVMValueRef sign = LLVMBuildLShr(g->b, LLVMBuildXor(g->b, x, a, ""), gen_i32(g, 16), "");
  LLVMValueRef is_nan = LLVMBuildICmp(g->b, LLVMIntUGT, a, gen_i32(g, 0x7f800000), "");
  LLVMValueRef big = LLVMBuildSelect(g->b, is_nan, gen_i32(g, 0x7e00), gen_i32(g, 0x7c00), "");
  LLVMValueRef tiny = LLVMBuildFAdd(g->b, float_of(g, a), LLVMConstReal(g->f32, 0.5), "");
  tiny = LLVMBuildSub(g->b, bits_of(g, tiny), gen_i32(g, 0x3f000000), "");
  LLVMValueRef odd = LLVMBuildAnd(g->b, LLVMBuildLShr(g->b, a, gen_i32(g, 13), ""), gen_i32(g, 1), "");
  LLVMValueRef mid = LLVMBuildAdd(g->b, a, gen_i32(g, (int32_t)0xc8000fff), "");
  mid = LLVMBuildLShr(g->b, LLVMBuildAdd(g->b, mid, odd, ""), gen_i32(g, 13), "");
  LLVMValueRef is_big = LLVMBuildICmp(g->b, LLVMIntUGE, a, gen_i32(g, 0x47800000), "");
  LLVMValueRef is_tiny = LLVMBuildICmp(g->b, LLVMIntULT, a, gen_i32(g, 0x38800000), "");
  LLVMValueRef r = LLVMBuildSelect(g->b, is_tiny, tiny, mid, "");
  r = LLVMBuildSelect(g->b, is_big, big, r, "");
  return LLVMBuildTrunc(g->b, LLVMBuildOr(g->b, r, sign, ""), g->i16, "");
}

// Rounds the result of a float operation to t, where t is narrower than its register.
static LLVMValueRef rounded(Gen *g, DType t, LLVMValueRef v) {
  return t == DT_F16 ? half_to_float(g, float_to_half(g, v)) : v;
}

LLVMValueRef gen_from_memory(Gen *g, DType t, LLVMValueRef v) {
  if (t == DT_BOOL) return LLVMBuildICmp(g->b, LLVMIntNE, v, LLVMConstInt(g->i8, 0, false), "");
  return t == DT_F16 ? half_to_float(g, v) : v;
}

LLVMValueRef gen_to_memory(Gen *g, DType t, LLVMValueRef v) {
  if (t == DT_BOOL) return LLVMBuildZExt(g->b, v, g->i8, "");
  return t == DT_F16 ? float_to_half(g, v) : v;
}

// ---- integers --------------------------------------------------------------------------------------------------------

static LLVMValueRef int_const(Gen *g, DType t, int64_t v) { return LLVMConstInt(gen_value_type(g, t), (uint64_t)v, true); }

static LLVMValueRef is_zero(Gen *g, DType t, LLVMValueRef v) {
  return LLVMBuildICmp(g->b, LLVMIntEQ, v, int_const(g, t, 0), "");
}

static LLVMValueRef is_negative(Gen *g, DType t, LLVMValueRef v) {
  return LLVMBuildICmp(g->b, LLVMIntSLT, v, int_const(g, t, 0), "");
}

// Floor division of a by b, neither 0 nor (for signed) -1.
static LLVMValueRef floor_of_quotient(Gen *g, DType t, LLVMValueRef a, LLVMValueRef b, bool want_mod) {
  LLVMValueRef r = LLVMBuildSRem(g->b, a, b, "");
  LLVMValueRef off = LLVMBuildAnd(g->b, LLVMBuildICmp(g->b, LLVMIntNE, r, int_const(g, t, 0), ""),
                                  is_negative(g, t, LLVMBuildXor(g->b, r, b, "")), "");
  if (want_mod) return LLVMBuildAdd(g->b, r, LLVMBuildSelect(g->b, off, b, int_const(g, t, 0), ""), "");
  LLVMValueRef q = LLVMBuildSDiv(g->b, a, b, "");
  return LLVMBuildAdd(g->b, q, LLVMBuildSExt(g->b, off, gen_value_type(g, t), ""), "");
}

// By a constant d > 0: shifts and masks for powers of two, else the remainder's sign alone decides.
static LLVMValueRef div_by_positive(Gen *g, DType t, LLVMValueRef a, int64_t d, bool want_mod, bool nonneg) {
  LLVMValueRef b = int_const(g, t, d);
  if (!(d & (d - 1)))
    return want_mod ? LLVMBuildAnd(g->b, a, int_const(g, t, d - 1), "")
                    : LLVMBuildAShr(g->b, a, int_const(g, t, __builtin_ctzll((uint64_t)d)), "");
  if (nonneg) return want_mod ? LLVMBuildURem(g->b, a, b, "") : LLVMBuildUDiv(g->b, a, b, "");
  LLVMValueRef r = LLVMBuildSRem(g->b, a, b, "");
  LLVMValueRef neg = is_negative(g, t, r);
  if (want_mod) return LLVMBuildAdd(g->b, r, LLVMBuildSelect(g->b, neg, b, int_const(g, t, 0), ""), "");
  LLVMValueRef q = LLVMBuildSDiv(g->b, a, b, "");
  return LLVMBuildAdd(g->b, q, LLVMBuildSExt(g->b, neg, gen_value_type(g, t), ""), "");
}

// x / 0 and x % 0 are 0; INT_MIN / -1 wraps. Never traps: the divisor is replaced where the hardware would.
static LLVMValueRef int_div(Gen *g, DType t, LLVMValueRef a, LLVMValueRef b, bool want_mod, bool nonneg) {
  LLVMValueRef zero = int_const(g, t, 0), one = int_const(g, t, 1);
  bool is_signed = dtype_is_signed(t);
  if (LLVMIsAConstantInt(b)) {
    int64_t d = is_signed ? LLVMConstIntGetSExtValue(b) : (int64_t)LLVMConstIntGetZExtValue(b);
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
  LLVMValueRef minus = LLVMBuildICmp(g->b, LLVMIntEQ, b, int_const(g, t, -1), "");
  LLVMValueRef either = LLVMBuildOr(g->b, none, minus, "");
  LLVMValueRef safe = LLVMBuildSelect(g->b, either, one, b, "");
  LLVMValueRef q = floor_of_quotient(g, t, a, safe, want_mod);
  if (want_mod) return LLVMBuildSelect(g->b, either, zero, q, "");
  LLVMValueRef odd = LLVMBuildSelect(g->b, none, zero, LLVMBuildNeg(g->b, a, ""), "");
  return LLVMBuildSelect(g->b, either, odd, q, "");
}

static LLVMValueRef shift(Gen *g, BinOp op, DType t, LLVMValueRef a, LLVMValueRef b) {
  LLVMValueRef n = LLVMBuildAnd(g->b, b, int_const(g, t, dtype_bits(t) - 1), "");
  if (op == OP_SHL) return LLVMBuildShl(g->b, a, n, "");
  return dtype_is_signed(t) ? LLVMBuildAShr(g->b, a, n, "") : LLVMBuildLShr(g->b, a, n, "");
}

static LLVMIntPredicate int_predicate(BinOp op, bool is_signed) {
  switch ((int)op) {
  case OP_LT: return is_signed ? LLVMIntSLT : LLVMIntULT;
  case OP_LE: return is_signed ? LLVMIntSLE : LLVMIntULE;
  case OP_GT: return is_signed ? LLVMIntSGT : LLVMIntUGT;
  case OP_GE: return is_signed ? LLVMIntSGE : LLVMIntUGE;
  case OP_EQ: return LLVMIntEQ;
  default: return LLVMIntNE;
  }
}

static LLVMRealPredicate real_predicate(BinOp op) {
  switch ((int)op) {
  case OP_LT: return LLVMRealOLT;
  case OP_LE: return LLVMRealOLE;
  case OP_GT: return LLVMRealOGT;
  case OP_GE: return LLVMRealOGE;
  case OP_EQ: return LLVMRealOEQ;
  default: return LLVMRealUNE;
  }
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
  LLVMValueRef r = LLVMBuildFRem(g->b, a, b, ""), zero = LLVMConstReal(gen_value_type(g, t), 0);
  LLVMValueRef differ = LLVMBuildXor(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, r, zero, ""),
                                     LLVMBuildFCmp(g->b, LLVMRealOLT, b, zero, ""), "");
  LLVMValueRef off = LLVMBuildAnd(g->b, LLVMBuildFCmp(g->b, LLVMRealUNE, r, zero, ""), differ, "");
  return LLVMBuildSelect(g->b, off, LLVMBuildFAdd(g->b, r, b, ""), r, "");
}

// bool counts as an integer that wraps to `v != 0`.
static LLVMValueRef bool_arithmetic(Gen *g, BinOp op, LLVMValueRef a, LLVMValueRef b) {
  switch ((int)op) {
  case OP_ADD: return LLVMBuildOr(g->b, a, b, "");
  case OP_SUB: return LLVMBuildXor(g->b, a, b, "");
  case OP_MUL: case OP_DIV: return LLVMBuildAnd(g->b, a, b, "");
  case OP_MOD: return LLVMConstInt(g->i1, 0, false);
  case OP_SHL: return a;
  default: return LLVMBuildAnd(g->b, a, LLVMBuildNot(g->b, b, ""), ""); // OP_SHR
  }
}

LLVMValueRef gen_binary(Gen *g, BinOp op, DType t, LLVMValueRef a, LLVMValueRef b, bool nonneg) {
  bool real = dtype_is_float(t);
  if (t == DT_BOOL && (op <= OP_MOD || op == OP_SHL || op == OP_SHR)) return bool_arithmetic(g, op, a, b);
  switch (op) {
  case OP_ADD: return real ? rounded(g, t, LLVMBuildFAdd(g->b, a, b, "")) : LLVMBuildAdd(g->b, a, b, "");
  case OP_SUB: return real ? rounded(g, t, LLVMBuildFSub(g->b, a, b, "")) : LLVMBuildSub(g->b, a, b, "");
  case OP_MUL: return real ? rounded(g, t, LLVMBuildFMul(g->b, a, b, "")) : LLVMBuildMul(g->b, a, b, "");
  case OP_DIV: return real ? rounded(g, t, LLVMBuildFDiv(g->b, a, b, "")) : int_div(g, t, a, b, false, nonneg);
  case OP_MOD: return real ? rounded(g, t, real_mod(g, t, a, b)) : int_div(g, t, a, b, true, nonneg);
  case OP_MIN: case OP_MAX: return min_max(g, op, t, a, b);
  case OP_SHL: case OP_SHR: return shift(g, op, t, a, b);
  case OP_AND: case OP_LAND: return LLVMBuildAnd(g->b, a, b, "");
  case OP_OR: case OP_LOR: return LLVMBuildOr(g->b, a, b, "");
  case OP_XOR: return LLVMBuildXor(g->b, a, b, "");
  case OP_LT: case OP_LE: case OP_GT: case OP_GE: case OP_EQ: case OP_NE: return compare(g, op, t, a, b);
  case OP_COUNT: break;
  }
  bug("no such operator");
}

LLVMValueRef gen_unary(Gen *g, UnOp op, DType t, LLVMValueRef a) {
  switch (op) {
  case UN_NEG: return dtype_is_float(t) ? LLVMBuildFNeg(g->b, a, "") : LLVMBuildNeg(g->b, a, "");
  case UN_NOT: case UN_BITNOT: return LLVMBuildNot(g->b, a, "");
  case UN_COUNT: break;
  }
  bug("no such operator");
}

// ---- functions -------------------------------------------------------------------------------------------------------

// A libm function of one or two arguments, without side effects (errno is nobody's business here). It is called even on
// constants: folded by LLVM, it would round differently from one level to the next.
static LLVMValueRef libm(Gen *g, const char *name, LLVMTypeRef t, LLVMValueRef a, LLVMValueRef b) {
  char full[16];
  bool wide = t == g->f64;
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

static LLVMValueRef real_intrinsic(Gen *g, const char *name, LLVMTypeRef t, LLVMValueRef a) {
  return gen_intrinsic(g, name, &t, 1, &a, 1);
}

LLVMValueRef gen_math(Gen *g, MathFn fn, DType t, LLVMValueRef a, LLVMValueRef b) {
  LLVMTypeRef ty = gen_value_type(g, t);
  if (fn == FN_ABS && !dtype_is_float(t)) {
    if (!dtype_is_signed(t)) return a;
    return LLVMBuildSelect(g->b, is_negative(g, t, a), LLVMBuildNeg(g->b, a, ""), a, "");
  }
  LLVMValueRef one = LLVMConstReal(ty, 1.0), r = NULL;
  switch (fn) {
  case FN_ABS: return real_intrinsic(g, "llvm.fabs", ty, a);
  case FN_ROUND: r = real_intrinsic(g, "llvm.round", ty, a); break;
  case FN_FLOOR: r = real_intrinsic(g, "llvm.floor", ty, a); break;
  case FN_CEIL: r = real_intrinsic(g, "llvm.ceil", ty, a); break;
  case FN_TRUNC: r = real_intrinsic(g, "llvm.trunc", ty, a); break;
  case FN_SQRT: r = real_intrinsic(g, "llvm.sqrt", ty, a); break;
  case FN_RSQRT: r = LLVMBuildFDiv(g->b, one, real_intrinsic(g, "llvm.sqrt", ty, a), ""); break;
  case FN_SIGMOID:
    r = libm(g, "exp", ty, LLVMBuildFNeg(g->b, a, ""), NULL);
    r = LLVMBuildFDiv(g->b, one, LLVMBuildFAdd(g->b, one, r, ""), "");
    break;
  case FN_EXP: case FN_LOG: case FN_LOG2: case FN_SIN: case FN_COS: case FN_TAN: case FN_ATAN: case FN_TANH:
  case FN_ERF:
    r = libm(g, math_name(fn), ty, a, NULL); // the language's names are libm's
    break;
  case FN_POW: r = libm(g, "pow", ty, a, b); break;
  case FN_COUNT: bug("no such function");
  }
  return rounded(g, t, r);
}

// ---- casts -----------------------------------------------------------------------------------------------------------

// double -> half in one rounding: narrow to float towards odd first (the last bit set if anything was cut off), which
// leaves enough bits for the second rounding to be right.
static LLVMValueRef half_rounded_double(Gen *g, LLVMValueRef d) {
  LLVMValueRef f = LLVMBuildFPTrunc(g->b, d, g->f32, "");
  LLVMValueRef back = LLVMBuildFPExt(g->b, f, g->f64, "");
  LLVMTypeRef ty = g->f64;
  LLVMValueRef ad = gen_intrinsic(g, "llvm.fabs", &ty, 1, &d, 1), ab = gen_intrinsic(g, "llvm.fabs", &ty, 1, &back, 1);
  LLVMValueRef bits = bits_of(g, f);
  LLVMValueRef over = LLVMBuildFCmp(g->b, LLVMRealOGT, ab, ad, ""); // rounded away: step back, then make it odd
  LLVMValueRef cut = LLVMBuildFCmp(g->b, LLVMRealONE, ab, ad, "");
  bits = LLVMBuildSub(g->b, bits, LLVMBuildZExt(g->b, over, g->i32, ""), "");
  bits = LLVMBuildOr(g->b, bits, LLVMBuildZExt(g->b, cut, g->i32, ""), "");
  return rounded(g, DT_F16, float_of(g, bits));
}

static LLVMValueRef real_to_real(Gen *g, DType to, DType from, LLVMValueRef a) {
  if (to == DT_F64) return from == DT_F64 ? a : LLVMBuildFPExt(g->b, a, g->f64, "");
  if (to == DT_F32) return from == DT_F64 ? LLVMBuildFPTrunc(g->b, a, g->f32, "") : a;
  if (from == DT_F64) return half_rounded_double(g, a);
  return from == DT_F32 ? rounded(g, DT_F16, a) : a;
}

// In one rounding. To float16 by way of float: integers that a half can hold near are exact there.
static LLVMValueRef int_to_real(Gen *g, DType to, DType from, LLVMValueRef a) {
  LLVMTypeRef ty = gen_value_type(g, to);
  LLVMValueRef r = dtype_is_signed(from) ? LLVMBuildSIToFP(g->b, a, ty, "") : LLVMBuildUIToFP(g->b, a, ty, "");
  return rounded(g, to, r);
}

LLVMValueRef gen_cast(Gen *g, DType to, DType from, LLVMValueRef a) {
  if (to == from) return a;
  LLVMTypeRef ty = gen_value_type(g, to);
  if (dtype_is_float(from)) {
    if (dtype_is_float(to)) return real_to_real(g, to, from, a);
    if (to == DT_BOOL) return LLVMBuildFCmp(g->b, LLVMRealONE, a, LLVMConstReal(gen_value_type(g, from), 0), "");
    LLVMTypeRef over[2] = {ty, gen_value_type(g, from)};
    return gen_intrinsic(g, dtype_is_signed(to) ? "llvm.fptosi.sat" : "llvm.fptoui.sat", over, 2, &a, 1);
  }
  if (dtype_is_float(to)) return int_to_real(g, to, from, a);
  if (to == DT_BOOL) return LLVMBuildNot(g->b, is_zero(g, from, a), "");
  int wide = dtype_bits(to), narrow = from == DT_BOOL ? 1 : dtype_bits(from);
  if (wide == narrow) return a;
  if (wide < narrow) return LLVMBuildTrunc(g->b, a, ty, "");
  return dtype_is_signed(from) ? LLVMBuildSExt(g->b, a, ty, "") : LLVMBuildZExt(g->b, a, ty, "");
}

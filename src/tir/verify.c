// SPDX-License-Identifier: Apache-2.0
// What TIR has to be like, in code.
#include "tir/internal.h"

bool binop_takes(BinOp op, DType t) {
  switch (op) {
  case OP_ADD:
  case OP_SUB:
  case OP_MUL:
  case OP_DIV: return t != DT_BOOL;
  case OP_MOD:
  case OP_SHL:
  case OP_SHR: return dtype_is_int(t);
  case OP_AND:
  case OP_XOR:
  case OP_OR: return !dtype_is_float(t);
  case OP_MIN:
  case OP_MAX:
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE: return true;
  case OP_LAND:
  case OP_LOR: return t == DT_BOOL;
  case OP_COUNT: break;
  }
  return false;
}

bool unop_takes(UnOp op, DType t) {
  switch (op) {
  case UN_NEG: return t != DT_BOOL;
  case UN_NOT: return t == DT_BOOL;
  case UN_BITNOT: return dtype_is_int(t);
  case UN_COUNT: break;
  }
  return false;
}

bool math_takes(MathFn f, DType t) { return dtype_is_float(t) || (f == FN_ABS && dtype_is_int(t)); }

// SPDX-License-Identifier: Apache-2.0
// The interpreter, inside: the code that interp.c makes of statements and interp_run.c executes.
#ifndef TETC_TIR_INTERP_H
#define TETC_TIR_INTERP_H

#include "tir/internal.h"

// clang-format off
#define FLOAT_OPS(X) X(ADD) X(SUB) X(MUL) X(DIV) X(MIN) X(MAX)
#define BIT_OPS(X) X(MOD) X(SHL) X(SHR) X(AND) X(XOR) X(OR)
#define INT_OPS(X) FLOAT_OPS(X) BIT_OPS(X)
#define COMPARES(X) X(LT) X(LE) X(GT) X(GE) X(EQ) X(NE)
#define MEMORY_TYPES(X) \
  X(BOOL, uint8_t, i) X(I8, int8_t, i) X(I16, int16_t, i) X(I32, int32_t, i) X(I64, int64_t, i) \
  X(U8, uint8_t, i) X(U16, uint16_t, i) X(U32, uint32_t, i) X(U64, int64_t, i) X(F32, float, f) X(F64, double, f)
// clang-format on

typedef enum Code {
#define X(op) I64_##op, INT_##op,
  INT_OPS(X)
#undef X
#define X(op) INT_##op, FLOAT_##op,
      COMPARES(X)
#undef X
#define X(op) F32_##op, F64_##op,
          FLOAT_OPS(X)
#undef X
#define X(t, c, m) LOAD_##t, STORE_##t,
              MEMORY_TYPES(X)
#undef X
                  LOAD_ANY,
  STORE_ANY,  // float16
  BINARY_ANY, // everything that has no code of its own
  UNARY_ANY,
  CAST_ANY,
  CAST_INT,
  MATH_ANY,
  MOVE,
  ADDRESS_FIRST, // dst = x + y * b
  ADDRESS_NEXT,  // dst = a + y * b
  INDEX_NEXT,    // dst = a + y * b, 0 <= b < z
  JUMP,
  JUMP_IF,
  JUMP_UNLESS, // by x instructions
  LOOP_BEGIN,  // dst = a, dst + 1 = b; by x if b <= 0
  LOOP_NEXT,   // by x while there is more
  ALLOC,
  CALL,
  ENTER,
  LEAVE,
  FAULT,
  HALT,
  WEAVE_BEGIN,
  WEAVE_TURN,
  WEAVE_END // virtual threads: all start; the next one's turn; one is done, on by x if all are
} Code;

// An intrinsic's arguments, filled anew each time.
typedef struct Call {
  const Stmt *stmt;
  TirArg *args;
  int *regs;
} Call;

// Virtual threads that take turns, a store or an operation at a time. Each has code, registers and local buffers of
// its own.
typedef struct Ins Ins;
typedef struct Weave Weave;
struct Weave {
  Weave *outer; // the thread that these are in; NULL: none
  int n, now, live;
  size_t *starts;   // of their code, counted from WEAVE_BEGIN
  const Ins **next; // where each goes on; NULL: it is done
};

struct Ins {
  uint16_t code;
  uint8_t type, op; // DType, and BinOp, UnOp or MathFn
  int32_t dst, a, b;
  int64_t x, y, z;
  union {
    void *data; // LOAD STORE ALLOC
    Call *call;
    const char *text; // FAULT
    Weave *weave;
  };
};

typedef struct Block {
  VEC(Ins) code;
  VEC(const Stmt *) where; // the statement of each instruction
} Block;

// prev + coef * the loop's variable, in a register; prev NONE: constant + ....
typedef struct Partial {
  int prev, reg;
  int64_t constant, coef;
} Partial;

// A loop around the code that is being made.
typedef struct Frame {
  const Var *var;
  int reg;
  Block prologue; // run at the start of each iteration
  VEC(Partial) partials;
} Frame;

typedef struct Interp {
  Ctx *cx;
  const TirMachine *machine;
  PtrMap vars, buffers; // to a register; to an index of data
  VEC(void *) data;
  VEC(void *) owned; // from malloc
  PtrMap memories;   // Scope to an index of data: where placed buffers (base >= 0) lie, over each other if so placed
  size_t owned_bytes;
  Block *block; // where code goes
  VEC(Frame) frames;
  Ranges ranges;         // of the frames' variables
  VEC(Scalar) constants; // and the registers of partial sums
  int top, most;         // registers in use; the most ever
  Weave *weave;          // the threads that the code is for; NULL: none
  const Stmt *stmt;
  const char *error;
} Interp;

/* interp_run.c */
// Runs in->block from the start, on these registers; false after a fault.
bool interp_run(Interp *in, Scalar *r, TirFault *fault);

#endif

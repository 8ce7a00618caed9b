// SPDX-License-Identifier: Apache-2.0
// Random TIR for tests, and its direct evaluation: the oracle that simplifier, printer and interpreter are held to.
#ifndef TETC_TEST_TIR_GEN_H
#define TETC_TEST_TIR_GEN_H

#include "tir/internal.h"

enum { GEN_VARS = 6, GEN_BUFFERS = 14, GEN_POOL = 40 };

typedef struct Gen {
  Ctx cx;
  uint64_t state;
  bool tame; // mostly index-like int64 expressions
  const Var *vars[GEN_VARS];
  int nvars; // in scope
  int64_t lo[GEN_VARS], hi[GEN_VARS], value[GEN_VARS];
  const Buffer *buffers[GEN_BUFFERS]; // inputs: one of each type, then two of int64
  const Buffer *pool[GEN_POOL];       // buffers in scope
  void *data[GEN_POOL];               // their memory; NULL: a load gives a number made of its place
  int npool;
} Gen;

Ctx gen_ctx(void); // a new arena; free with arena_free
void gen_init(Gen *g, Ctx cx, uint64_t seed);
uint64_t gen_next(Gen *g);
int gen_below(Gen *g, int n);
const Expr *gen_expr(Gen *g, DType t, int depth);
void gen_values(Gen *g); // new values for the variables, within their ranges
Scalar gen_eval(const Gen *g, const Expr *e);
bool gen_same(DType t, Scalar a, Scalar b);
Ranges gen_ranges(Gen *g);
// A function over the inputs and three outputs. machine: with intrinsics without bodies.
Func *gen_func(Gen *g, bool machine);
extern const TirTarget
    gen_target; // memories t.acc (tiles of 16 int32) and t.inp (tiles of 8 int8); t.region() {}, t.op(...)
// Random memory for the parameters of f, one block each; the generator evaluates on it.
void **gen_params(Gen *g, const Func *f);
size_t gen_bytes(const Buffer *b);
void gen_run(Gen *g, const Func *f, void **params); // by walking the tree

#endif

// SPDX-License-Identifier: Apache-2.0
// A small evaluator of loop nests and tile operations, on purpose nothing but their definitions: it shares no code
// with the TIR interpreter that the compiler has.
#ifndef TESTS_ALU_RUN_H
#define TESTS_ALU_RUN_H

#include "backend_vta/vta.h"

typedef struct Memory {
  const Buffer *buffer;
  int32_t *data;
  int64_t elems;
} Memory;

typedef struct Machine {
  int nmem, nvars, depth;
  Memory mem[64];
  const Var *var[64];
  int64_t value[64];
  int64_t instructions; // tile operations executed
  const char *fault;    // the first thing that went wrong; NULL if none
} Machine;

Memory *machine_memory(Machine *m, const Buffer *b); // NULL if it has none
void machine_run(Machine *m, const VtaTarget *vta, Arena *a, const Stmt *s);
int count_intrins(const Stmt *s, VtaOp op); // statements, not executions

#endif

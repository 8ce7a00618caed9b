// SPDX-License-Identifier: Apache-2.0
// An executable model of a host that queues work and three units that run it, in any order their tokens allow. A
// tile is one number; that is enough to see an access that came too early or too late.
#ifndef TETC_TEST_MODEL_H
#define TETC_TEST_MODEL_H

#include "passes/passes.h"

typedef enum RunOrder {
  RUN_AT_ONCE,      // each instruction as it is queued: the program order
  RUN_LATE_RANDOM,  // at a sync, units take random turns
  RUN_EAGER_RANDOM, // random progress all the time
  RUN_LOAD_FIRST,   // at a sync, load before compute before store
  RUN_STORE_FIRST,  // ... store before compute before load
  RUN_COMPUTE_FIRST,
  RUN_ALL
} RunOrder;

typedef struct ModelResult {
  int64_t **params; // by parameter, a cell a tile
  int64_t tokens, instructions, steps, syncs, most_uops;
  const char *error; // NULL: it ran
} ModelResult;

// Runs f, in any form after inject_alu. Parameters are filled from `seed` at the start.
ModelResult model_run(Ctx *cx, const VtaTarget *vta, const Func *f, RunOrder order, uint64_t seed);
// Tiles that a parameter (or any host buffer) has: its first dimension.
int64_t model_cells(const Buffer *b);
uint64_t model_random(uint64_t *state);

#endif

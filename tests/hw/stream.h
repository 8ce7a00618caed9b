// SPDX-License-Identifier: Apache-2.0
// Random instruction streams that are right in any order the tokens allow: each instruction waits for those of other
// units that it would disturb, by as few tokens as chance will have it, and for some that it would not.
#ifndef TETC_TESTS_HW_STREAM_H
#define TETC_TESTS_HW_STREAM_H

#include "coverage.h"

enum {
  STREAM_DRAM = 1 << 18, // bytes that a stream may touch
  STREAM_UOPS = 2560,    // micro-ops at their end, in parts of three pages, which no store overwrites
  STREAM_INSNS = 640     // of a stream, at most
};

typedef struct Maker Maker;

// For one device memory at address phys; counts what it makes in `coverage`. NULL when memory is out.
Maker *maker_new(const VtaConfig *config, uint64_t phys, uint64_t seed, Coverage *coverage);
void maker_free(Maker *m);
// Random contents of that memory, its micro-ops included.
void maker_dram(Maker *m, uint8_t *dram);
// Loads every on-chip memory from end to end: they start undefined.
const VtaWord *maker_fill(Maker *m, size_t *n);
// The next stream, valid until the next call.
const VtaWord *maker_stream(Maker *m, size_t *n);

#endif

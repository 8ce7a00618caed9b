// SPDX-License-Identifier: Apache-2.0
// Random copies: affine nests of any rank with strides, offsets, pads, guards, split and fused loops, in any order.
#ifndef TETC_TESTS_RANDOM_COPIES_H
#define TETC_TESTS_RANDOM_COPIES_H

#include "backend_vta/vta.h"

typedef struct RandomCopy {
  Func *f;
  const Buffer *chip, *dram;
  int nouter; // loops around the region
  bool wild;  // something odd goes on inside of tiles: it may be no copy that transfers can make
} RandomCopy;

// The copy of a seed; the same seed gives the same copy. odd: also with indices and conditions that are anything that
// the language has: functions, floats, bits, choices.
RandomCopy random_copy(Ctx *cx, const VtaTarget *vta, uint64_t seed, bool odd);

uint64_t random_next(uint64_t *state); // splitmix64

#endif

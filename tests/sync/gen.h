// SPDX-License-Identifier: Apache-2.0
// Random tile programs: loops, virtual threads, conditions, transfers, compute nests, staging through DRAM, CPU
// code.
#ifndef TETC_TEST_GEN_H
#define TETC_TEST_GEN_H

#include "model.h"

Func *gen_program(Ctx *cx, const VtaTarget *vta, uint64_t seed);

#endif

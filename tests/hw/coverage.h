// SPDX-License-Identifier: Apache-2.0
// Functional coverage: what kinds of instructions, addresses, hazards and tokens the streams had, by counters of our
// own.
#ifndef TETC_TESTS_HW_COVERAGE_H
#define TETC_TESTS_HW_COVERAGE_H

#include "isa/isa.h"

#include <stdio.h>

typedef struct Coverage Coverage;

Coverage *coverage_new(const VtaConfig *config); // NULL when memory is out
void coverage_free(Coverage *c);

void coverage_begin(Coverage *c); // a stream begins: hazards with the one before do not count
// The next instruction, which finds these micro-ops on chip.
void coverage_insn(Coverage *c, const VtaInsn *i, const VtaUop *uops);
void coverage_token(Coverage *c, int channel, size_t under_way); // one is given: now there are so many
void coverage_stream(Coverage *c, const VtaInsn *insns,
                     size_t n); // the whole stream: which tokens its instructions move

// A line for each cross, and one for each of its bins that was never hit; the number of these.
size_t coverage_report(const Coverage *c, FILE *to);

// The steps of a GEMM or ALU instruction, and what the k-th one touches.
uint64_t coverage_steps(const VtaInsn *i);
VtaUop coverage_step(const VtaInsn *i, const VtaUop *uops, uint64_t k);

#endif

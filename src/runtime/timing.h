// SPDX-License-Identifier: Apache-2.0
// The timing model of the core: in which cycle hw/rtl does what, for a stream of instructions, without its data.
// It has the registers of the core's control and of the memory behind the bus (hw/sim/rtl.cpp), nothing of its
// datapath.
#ifndef TETC_TIMING_H
#define TETC_TIMING_H

#include "runtime/device.h"

typedef struct TetcTiming TetcTiming;

// The micro-op that a LOAD UOP brings from element `index` of DRAM; insn counts from 0 in the launch.
typedef VtaUop TetcTimingUop(void *context, size_t insn, uint64_t index);

// The core after power on. `options`: the memory and the bus; stalls and reordering, which are random, are not
// modelled: NULL for these, and when memory is out.
TetcTiming *tetc_timing_new(const VtaConfig *config, const TetcRtlOptions *options);
void tetc_timing_free(TetcTiming *t); // NULL is fine
// Runs one launch of n instructions that ends with FINISH; adds its cycles and counters to *stats, no other
// member. False: *why says why the core would not come to an end, or that memory is out. A timeline in the options
// sees what happens.
bool tetc_timing_launch(TetcTiming *t, const VtaWord *insns, const uint32_t *marks, size_t n, TetcTimingUop *uop,
                        void *context, TetcStats *stats, const char **why);

#endif

// SPDX-License-Identifier: Apache-2.0
// The core and the functional simulator in lock-step: every element that the core writes on chip must be the one that
// the simulator wrote at this step of the same instruction, and no instruction may write less or more.
#ifndef TETC_TESTS_HW_LOCKSTEP_H
#define TETC_TESTS_HW_LOCKSTEP_H

#include "sim/rtl.h"

typedef struct Lockstep Lockstep;

// Watches both devices until lockstep_free. NULL: no memory.
Lockstep *lockstep_new(TetcDevice *fsim, TetcDevice *rtl);
void lockstep_free(Lockstep *l);
// Runs the instructions on the simulator, then on the core. False: *fault says at which cycle which unit wrote what.
bool lockstep_run(Lockstep *l, const VtaWord *insns, size_t n, TetcFault *fault);

// For the test of the test: what the next run expects is falsified, at the given write of the launch (counted in the
// simulator's order, modulo their number). *insn: whose write it is.
typedef enum LockstepLie { LIE_NONE, LIE_VALUE, LIE_INDEX, LIE_MISSING, LIE_EXTRA } LockstepLie;
void lockstep_lie(Lockstep *l, LockstepLie lie, size_t write, size_t *insn);

uint64_t lockstep_writes(const Lockstep *l); // compared so far

#endif

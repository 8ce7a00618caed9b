// SPDX-License-Identifier: Apache-2.0
// When each instruction was where in a core, and what it waited for: made of the signals that the core shows
// (counters.def), of which only changes are looked at. Knows no source: instructions carry the caller's marks.
#ifndef TETC_TIMELINE_H
#define TETC_TIMELINE_H

#include "runtime/device.h"

#include <assert.h>

// The bits of the core's word.
typedef enum TetcSignal {
#define COUNTER(id, text) SIGNAL_##id,
#define SIGNAL(id, width) SIGNAL_##id, SIGNAL_##id##_LAST = SIGNAL_##id + (width)-1,
#include "runtime/counters.def"
#undef COUNTER
#undef SIGNAL
} TetcSignal;
static_assert(SIGNAL_COMPUTE_SLOT_LAST < 64, "the last signal is within the word");

// What works: the three units as they take instructions in order, compute's window, out of which they start in any
// order, and the engines that they start.
typedef enum TetcRow {
  ROW_FETCH,
  ROW_LOAD,
  ROW_INP,
  ROW_WGT,
  ROW_COMPUTE,
  ROW_WINDOW,
  ROW_UOP,
  ROW_ACC,
  ROW_GEMM,
  ROW_ALU,
  ROW_RESET,
  ROW_STORE,
  ROW_COUNT
} TetcRow;

// What is waited for. PREV and NEXT are tokens of the units before and behind (for store also what is older in
// compute).
typedef enum TetcWait {
  WAIT_FETCH,
  WAIT_PREV,
  WAIT_NEXT,
  WAIT_OLDER,
  WAIT_BANK,
  WAIT_MEMORY,
  WAIT_BUS,
  WAIT_COUNT
} TetcWait;

enum { TETC_NEVER = UINT32_MAX };

// One instruction; cycles count from the start of its launch, TETC_NEVER where it did not get.
typedef struct TetcSpan {
  VtaWord word;
  uint32_t mark, index, launch;
  uint8_t unit, engine;                         // TetcRow; engine == unit: no engine works for it
  uint32_t fetched, seen, taken;                // handed to its unit, first in its queue, out of it
  uint32_t started;                             // its tokens taken
  uint32_t work, done;                          // first and last cycle in the engine, after what came before it there
  uint32_t retired;                             // its tokens given
  uint32_t waits[WAIT_COUNT], idle[WAIT_COUNT]; // cycles; those in which that is why neither GEMM nor ALU did a step
} TetcSpan;

// A time in which an instruction waited for a token or an older one.
typedef struct TetcPause {
  uint32_t span; // index of
  uint8_t wait;
  uint32_t begin, end;
} TetcPause;

// The waits of all instructions of one mark, by VtaUnit.
typedef struct TetcWaits {
  uint64_t cycles[UNIT_STORE + 1][WAIT_COUNT], idle[UNIT_STORE + 1][WAIT_COUNT];
} TetcWaits;

typedef struct TimelineState TimelineState;

struct TetcTimeline {
  bool keep; // spans and pauses of every launch; else only what is summed up below
  bool lost; // memory ran out: what follows is not there
  TetcSpan *spans;
  TetcPause *pauses;
  uint64_t *launches; // the first cycle of each, counting only cycles in which the core runs
  size_t nspans, npauses, nlaunches;
  TetcWaits *waits; // by mark
  size_t nmarks;
  uint64_t cycles, gemm, alu, neither; // in all; with a step of GEMM; with one of ALU alone; with none
  TimelineState *state;
};

TetcTimeline *tetc_timeline_new(bool keep); // NULL: no memory
void tetc_timeline_free(TetcTimeline *t);   // NULL is fine
// A launch begins; the core shows `word` from cycle `now` on (any clock that counts them); it ends. n as for a device.
void tetc_timeline_launch(TetcTimeline *t, const VtaConfig *c, const VtaWord *insns, const uint32_t *marks, size_t n);
void tetc_timeline_see(TetcTimeline *t, uint64_t now, uint64_t word);
void tetc_timeline_end(TetcTimeline *t, uint64_t now);
void tetc_timeline_reset(TetcTimeline *t); // between launches: the core was reset
// Before the end: which instruction an engine works on, is first in the queue of ROW_COMPUTE, or is the oldest that has
// not retired of ROW_LOAD, ROW_WINDOW, ROW_STORE. False: none, or not known.
bool tetc_timeline_at(TetcTimeline *t, uint64_t now, TetcRow row, size_t *insn);

#endif

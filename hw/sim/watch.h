// SPDX-License-Identifier: Apache-2.0
// Looks into the core: the contents of its on-chip memories, and cycle by cycle what its engines write there.
#ifndef TETC_HW_WATCH_H
#define TETC_HW_WATCH_H

#include RTL_MODEL_HEADER

#include <cstdint>

extern "C" {
#include "runtime/timeline.h"
#include "sim/rtl.h"
}

enum {
#define COUNTER(id, text)
#define SIGNAL(id, width) WATCH_##id,
#include "runtime/counters.def"
#undef COUNTER
#undef SIGNAL
  WATCH_SIGNALS
};

// Element `index` of a memory as it is now; the first copy where there are several, unless another one differs.
const void *watch_row(const ModelRoot *t, VtaMemory m, uint32_t index);

// What an engine does in this cycle.
struct WatchEngine {
  bool write, done;
  unsigned fused; // instructions that the pass is made of
  uint32_t index; // of the write
};

// What happens with the next clock edge.
struct WatchSample {
  bool load_start, compute_enter, compute_start;
  unsigned enter_slot, start_slot;
  TetcRtlEngine load_engine, compute_engine;
  WatchEngine engines[RTL_NONE];
  uint32_t zero_first, zero_past; // rows of the reset that starts, if one does
};

// What is known of a launch: instructions of a unit that have come, and which one is in each slot of compute's window.
struct WatchLaunch {
  uint32_t loads, computes, in_slot[16];
  uint32_t zero_first, zero_past; // rows of the reset that runs
};

// What vta_top shows for timelines, a byte each, as it was when somebody looked.
struct WatchShown {
  uint8_t counts[TETC_COUNTERS], signals[WATCH_SIGNALS];
};

// The word of this cycle for a timeline; false: it is the same as before.
bool watch_word(const ModelRoot *t, WatchShown *shown, uint64_t *word);

void watch_sample(const ModelRoot *t, WatchSample *s); // before the edge, when everything has settled
// After the edge. False: the watcher wants the run to stop, and *fault says why.
bool watch_tell(const ModelRoot *t, const WatchSample *s, WatchLaunch *launch, const TetcRtlWatch *to, uint64_t cycle,
                TetcFault *fault);

#endif

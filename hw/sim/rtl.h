// SPDX-License-Identifier: Apache-2.0
// What a libtetc_rtl_MODEL.so offers: the core of hw/rtl under Verilator as a device.
#ifndef TETC_HW_RTL_H
#define TETC_HW_RTL_H

#include "runtime/timeline.h"

// A device that runs `config` on a bus of that width; NULL when the model is of another one (*why is NULL) or memory is
// out.
TetcDevice *tetc_rtl_new(const VtaConfig *config, const TetcRtlOptions *options, const char **why);
// Copies the contents of an on-chip memory, as in DRAM: micro-ops as words. MEM_OUT gives the narrowed copies.
void tetc_rtl_sram(TetcDevice *device, VtaMemory m, void *to);

// A register of the AXI-Lite slave, as a host sees it; each takes two cycles. False: the slave answered with an error.
uint32_t tetc_rtl_read(TetcDevice *device, uint32_t address, bool *ok);
bool tetc_rtl_write(TetcDevice *device, uint32_t address, uint32_t value);

// ---- watching the core at work, for tests ---------------------------------------------------------------------------

// What writes on-chip memories: the load engines of micro-ops and accumulators, GEMM, ALU, resets, and the load engines
// of INP and WGT. Each works on its instructions in the order in which they started. Resets of rows that stand together
// only mark these: their writes are told when they are done.
typedef enum TetcRtlEngine { RTL_UOP, RTL_ACC, RTL_GEMM, RTL_ALU, RTL_ZERO, RTL_INP, RTL_WGT, RTL_NONE } TetcRtlEngine;

typedef struct TetcRtlWrite {
  uint64_t cycle; // since power on
  TetcRtlEngine engine;
  unsigned fused;   // ALU: so many of its oldest instructions are one pass, and this is the result of the last of them
  VtaMemory memory; // never OUT or ACC8
  uint32_t index;
  const void *data, *out; // what the memory holds now, as in DRAM; out: OUT's copy of an accumulator, else NULL
} TetcRtlWrite;

// Calls during a launch. False stops it; *fault says why.
typedef struct TetcRtlWatch {
  void *context;
  // The unit starts its `number`-th instruction of this launch, from 0. RTL_NONE: it writes nothing.
  bool (*start)(void *context, uint64_t cycle, VtaUnit unit, uint32_t number, TetcRtlEngine engine, TetcFault *fault);
  bool (*write)(void *context, const TetcRtlWrite *w, TetcFault *fault);
  // The engine is done with its oldest `fused` instructions.
  bool (*done)(void *context, uint64_t cycle, TetcRtlEngine engine, unsigned fused, TetcFault *fault);
} TetcRtlWatch;

void tetc_rtl_watch(TetcDevice *device, const TetcRtlWatch *watch); // NULL: no longer
// The memory will answer a write that there was not: an assertion of the core must stop the next launch.
void tetc_rtl_disturb(TetcDevice *device);

#endif

// SPDX-License-Identifier: Apache-2.0
// Placing intervals of time in a memory: what storage.c asks of sram.c.
#ifndef TETC_SRAM_H
#define TETC_SRAM_H

#include "passes/passes.h"

// One region of an on-chip memory, for one or several buffers that share it.
typedef struct SramBlock {
  const Buffer *buffer; // the first of them, for messages
  Loc why;              // the schedule statement that has it filled
  const Stmt *filled;   // the first nest that does
  int64_t tiles;
  int64_t first, last; // the time during which it holds something, inclusive
  int era;             // how many outermost loops had ended when it began
  int64_t base;        // the result
} SramBlock;

// Places n regions in scope, in fresh space while there is some. The high-water mark; -1 when they do not fit.
int64_t sram_place(Ctx *cx, const Scope *scope, SramBlock *regions, int n);
// Reports that they do not fit (E_SRAM): what is live when the need is greatest, what the memory holds.
void sram_report(PassCtx *pc, const Scope *scope, const SramBlock *regions, int n);

#endif

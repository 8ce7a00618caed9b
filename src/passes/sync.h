// SPDX-License-Identifier: Apache-2.0
// Inside pass sync: DRAM synchronisation, token placement and its check, a file each.
#ifndef TETC_SYNC_H
#define TETC_SYNC_H

#include "passes/tiles.h"

// vta.push or vta.pop on a channel, placed like `like`.
const Stmt *token_stmt(PassCtx *pc, VtaOp op, VtaChannel c, const Stmt *like);

/* sync_dram.c */
// s with vta.sync() where the CPU and the accelerator, or two of its units, meet in a host buffer, and at the end.
// Those that are there already are counted on: what has all it needs stays as it is. *first (may be NULL): where the
// first is added.
const Stmt *sync_dram(PassCtx *pc, const Stmt *s, Loc *first);

/* sync_tokens.c */
// s with tokens between the units. keep_open: loops may leave tokens in flight to their next execution.
const Stmt *sync_tokens(PassCtx *pc, const Stmt *s, bool keep_open);

/* sync_check.c */
// Follows the instructions of s in program order with vector clocks: whether every conflicting pair of on-chip
// accesses is ordered, and all channels are empty at syncs and at the end. *why (may be NULL): what is in the way.
typedef enum SyncOrder {
  SYNC_ORDERED,
  SYNC_SAMPLED, // nothing is wrong in a sample of long loops
  SYNC_UNKNOWN,
  SYNC_BROKEN
} SyncOrder;
SyncOrder sync_order(PassCtx *pc, const Stmt *s, const char **why);

#endif

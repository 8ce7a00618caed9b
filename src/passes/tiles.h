// SPDX-License-Identifier: Apache-2.0
// Tile intrinsics (FORM_TILES) as the passes after instruction selection see them: which unit runs one, what it
// touches on chip, and the nests of loops around a single one.
#ifndef TETC_TILES_H
#define TETC_TILES_H

#include "passes/passes.h"

// A run of consecutive tiles that an intrinsic reads or writes.
typedef struct TileAccess {
  const Buffer *buffer;
  const Expr *tile; // the first, counted from the buffer's start
  int64_t count;    // at most so many
  bool read, write;
} TileAccess;
#define TILE_ACCESS_MAX 3

// Checks that the operands of all intrinsics are of the right kind, and (placed) that on-chip buffers have a base.
// TIR can be written by hand, so the passes here ask before they rely on it. False after a report.
bool tiles_check(PassCtx *pc, const char *phase, const Func *f, bool placed);
// Whether a buffer lives in an on-chip memory.
bool tile_is_on_chip(const Buffer *b);
// The unit that executes an intrinsic without body; 0 if none does (tokens, syncs, anything not VTA's).
int tile_unit(const Stmt *s);
// gemm, reset and the ALU's operations: what pass `uop` folds into micro-op kernels.
bool tile_is_compute(const Stmt *s);
// The on-chip accesses of an intrinsic; how many. r bounds the variables in its sizes.
int tile_accesses(const Ranges *r, const Stmt *s, TileAccess out[TILE_ACCESS_MAX]);
// The tiles of a memory that it touches, counted from the memory's start. Its buffer has a place.
Footprint tile_footprint(Ctx *cx, const Ranges *r, const TileAccess *a);
// All of the host buffer at the other end of a transfer, or of a call that transfers. False: it has none.
bool tile_host_footprint(const Stmt *s, Footprint *out);
// The buffer that an intrinsic writes, on either side; NULL: none.
const Buffer *tile_written(const Stmt *s);
// `for .. if .. { one tile intrinsic }`: that intrinsic; NULL if s is anything else.
const Stmt *tile_nest_leaf(const Stmt *s);
// The nest s with its leaf replaced. Loops keep their variables.
const Stmt *tile_nest_with(Ctx *cx, const Stmt *s, const Stmt *leaf);
// s, a loop, an `if` without else or an allocation, around another body; and an `if` around other branches.
const Stmt *tile_around(Ctx *cx, const Stmt *s, const Stmt *body);
const Stmt *tile_if(Ctx *cx, const Stmt *s, const Stmt *then, const Stmt *otherwise);
// A bit a unit (1 << VtaUnit) that works in s; bit 0 for stores by the CPU. A sync concerns all.
unsigned tile_units(const Stmt *s);
// Which loop bounds hold inside s, a For: pushes its variable's range. The caller pops.
void tile_push_loop(Ctx *cx, Ranges *r, const Stmt *s);
// A copy of s in which every loop has its own new variable and every allocation its own new buffer, after the
// substitution t.
const Stmt *tile_copy(Ctx *cx, const Stmt *s, const TirSubst *t);
// An intrinsic call by number.
const Stmt *tile_call(const PassCtx *pc, VtaOp op, int nargs, const Expr **args, const Stmt *like);

/* fission.c */
// s with loops around several compute nests split into one loop each, where that is legal. On-chip buffers have
// places.
const Stmt *tile_split_nests(PassCtx *pc, const Stmt *s);

#endif

// SPDX-License-Identifier: Apache-2.0
// A loop nest around one store, as the passes that match it against tiles see it: loops from 0, none of extent 1,
// and linear (row-major) indices whose coefficients say which loops are lanes of a tile.
#ifndef TETC_TILE_NEST_H
#define TETC_TILE_NEST_H

#include "passes/passes.h"

typedef struct NestLoop {
  const Var *var; // runs from 0
  int64_t extent; // 2 or more
  int64_t step;   // how many rounds of the program's own loop one of this takes
  int64_t whole;  // the extent of that loop: more than `extent` where this is a part of it
  ForKind kind;
  Loc loc;
} NestLoop;

typedef struct Nest {
  int nloops;
  NestLoop *loops;    // outermost first
  const Stmt *store;  // as it was
  const Expr **index; // of the store, over the loops above
  const Expr *value;
} Nest;

// What is known where a nest stands: the loops around the region, and who asked for it.
typedef struct NestPlace {
  Ctx *cx;
  const VtaTarget *vta;
  const Stmt *region;  // the region intrinsic, for messages
  const char *phase;   // "tensorize"
  const Ranges *outer; // loops around the region
} NestPlace;

// Takes `for .. { for .. { store } }` apart. NULL when it is something else; *why then says what, *at where.
Nest *nest_of(const NestPlace *p, const Stmt *s, const char **why, const Stmt **at);

// Row-major linear index of an access, simplified in the ranges of the nest and of the loops around it.
Affine nest_linear(const NestPlace *p, const Nest *n, const Buffer *b, const Expr **idx);
// Cuts loop k into extent / inner times inner, in place.
void nest_split(const NestPlace *p, Nest *n, int k, int64_t inner);
// Lets loop k run the other way round, in place.
void nest_turn(const NestPlace *p, Nest *n, int k);
// Cuts fused loops apart: while an index has `i / c` or `i % c` of a loop i, that loop is split so that it goes
// away.
void nest_unfuse(const NestPlace *p, Nest *n);
// The extent of the widest factor of loop `extent` that stays below the tile: how a loop with coefficient `coef`
// that runs across tiles of `tile` elements must be cut. 0: no cut needed; -1: it cannot be cut.
int64_t nest_tile_cut(int64_t coef, int64_t extent, int64_t tile);

// Fresh loops around body for the chosen loops of the nest, in order; body's variables are replaced.
const Stmt *nest_wrap(const NestPlace *p, const Nest *n, uint64_t which, const Stmt *body);

// An affine index in tiles: a / tile. The caller knows that it divides.
const Expr *nest_tile_expr(const NestPlace *p, const Affine *a, int64_t tile);
// The tiles of b that the whole nest touches, one at a time.
Footprint nest_footprint(const NestPlace *p, const Nest *n, const Buffer *b, const Affine *tile);

// ---- messages ----
// The user's name of a buffer's stage.
const char *buffer_stage(const Buffer *b);
// Reports what a region breaks (see refuse.h).
Diag *nest_refuse(const NestPlace *p, DiagCode code, Loc at, const char *asked, const char *rule, const char *headline);
// Says of which part of the user's axis a message speaks, where v is the loop over a part of it.
void nest_note_part(const Nest *n, Diag *g, const Var *v);
// Offers to copy the host buffer b into a memory for the nest to read.
void nest_fix_cache(const NestPlace *p, Diag *g, const Buffer *b, const char *scope);
// `e` as the user wrote it, where that is known and short; else as TIR.
const char *expr_text(Ctx *cx, const Expr *e);

#endif

// SPDX-License-Identifier: Apache-2.0
// inject_copy, inside. The way of one vta.dma_copy region:
//
//   recognise   the stores of the region, each with its loops and guards, and what each one copies (CopyStore,
//               CopyValue)
//   normalise   a store as numbers: loops with a stride on either side, linear bounds (CopyNest)
//   nest        those numbers in tiles, in their simplest form
//   cut         such a nest as transfers with loops around them (a statement), by the choice of loops that takes the
//               fewest
//   tile_map    tile by tile, where that takes fewer still
//   explain     the message, wherever one of them declines
#ifndef TETC_INJECT_COPY_INTERNAL_H
#define TETC_INJECT_COPY_INTERNAL_H

#include "passes/passes.h"

#define PAD_MAX 15        // of a pad field
#define SIZE_MAX_16 65535 // of a size or stride field
#define COPY_MAX_LOOPS 24 // loops of a nest that are considered for transfers; further ones stay host loops

typedef VEC(const Stmt *) StmtVec;
typedef VEC(const Expr *) ExprVec;
typedef VEC(const Var *) VarVec;

typedef enum CopyKind { COPY_LOAD, COPY_STORE, COPY_ZERO } CopyKind;

// A condition as it was written; it holds when expr is true, or false if negated.
typedef struct Cond {
  const Expr *expr;
  bool negated;
} Cond;
typedef VEC(Cond) CondVec;

// One store of a region, with the loops and guards inside the region around it, outermost first.
typedef struct CopyStore {
  const Stmt *store;
  const Expr *value; // store->value, or the part of it that this copy is about
  StmtVec loops;     // STMT_FOR
  CondVec guards;    // where one fails nothing is written
  bool apart;        // other copies of the region write the same elements: right only if each writes them once
} CopyStore;

// What a store copies: a load where all of `pads` hold, and zero elsewhere.
typedef struct CopyValue {
  CopyKind kind;
  const Expr *load;          // NULL for COPY_ZERO
  const Buffer *chip, *dram; // dram is NULL for COPY_ZERO
  CondVec pads;
} CopyValue;

// A loop from 0 to extent, and what one step of it adds to the linear index on either side: in elements, after
// nest_tiles in tiles. Where the source is read in one iteration only, its step in memory does not matter: then `once`
// is set, dram is 0, and the base in memory is that of iteration `at`.
typedef struct Loop {
  const Var *var;
  int64_t extent, chip, dram;
  bool once;
  int64_t at;
  bool gathers; // a part of a loop that was taken apart for `i / c` or `i % c` in memory alone
  bool stuck;   // stays a host loop where it is; its steps are 0 here, its variable stands in the bases and bounds
} Loop;

// A bound: rest + sum of coef[i] * loop i >= 0. A guard says what is written at all; the others, where the source is
// read rather than zero written.
typedef struct Row {
  bool guard;
  Affine rest; // mentions only variables outside of the nest's loops
  int64_t coef[COPY_MAX_LOOPS + 1];
} Row;
typedef VEC(Row) RowVec;

// A condition that stays an expression of variables outside of the nest's loops.
typedef struct HostCond {
  bool guard;
  const Expr *expr;
} HostCond;
typedef VEC(HostCond) HostCondVec;

typedef struct CopyNest {
  CopyKind kind;
  const CopyStore *from;
  const CopyValue *value;
  const Buffer *chip_buffer, *dram_buffer;
  int64_t tile; // elements
  bool ordered; // two iterations may write the same place: their order must stay
  bool empty;   // a guard never holds
  int nouter;   // loops that stay host loops around all others, outermost first
  Loop *outer;
  int nloops; // the others, outermost first
  Loop loops[COPY_MAX_LOOPS + 1];
  Affine chip, dram; // linear index of the first element, then tile
  RowVec rows;
  HostCondVec conds;
} CopyNest;

// One transfer: y rows of x tiles, with the tiles that it begins at. Zeros, where it has no end in memory: x tiles.
typedef struct Transfer {
  const Expr *chip, *dram;
  const Expr *y, *x, *stride;
  const Expr *pad[PADS]; // of loads
} Transfer;

// What the pass carries while it walks a function.
typedef struct CopyCx {
  PassCtx *pc;
  Ctx *cx;
  const VtaTarget *vta;
  Ranges ranges; // of the loops around
  VarVec around; // their variables
  const Func *f;
  const Stmt *region; // the vta.dma_copy statement at hand
  bool failed;
} CopyCx;

/* inject_copy.c */
// Enters and leaves a loop: its range becomes known.
void copy_enter_loop(CopyCx *c, const Var *v, const Expr *min, const Expr *extent);
void copy_leave_loop(CopyCx *c);

/* recognise.c */
// Lowers the body of a region: every perfect nest in it by copy_lower_store, what is around them as it is.
const Stmt *copy_lower_region(CopyCx *c, const Stmt *body);
// What s copies. False, with the reason reported, if it is not a copy.
bool copy_recognise(CopyCx *c, const CopyStore *s, CopyValue *out);

/* normalise.c */
Affine affine_const(int64_t k);
// The nest of a copy in whole tiles. False, with the reason reported.
bool nest_normalise(CopyCx *c, const CopyStore *s, const CopyValue *v, CopyNest *out);
// Bounds of an affine expression from the known ranges; false if there are none.
bool affine_bounds(CopyCx *c, const Affine *a, int64_t *lo, int64_t *hi);

/* nest.c */
// From a nest that counts elements to one that counts tiles, settled. False, with the reason reported.
bool nest_tiles(CopyCx *c, CopyNest *n);
// Brings a nest of whole tiles into its simplest form: drops bounds that are decided, shrinks, turns, merges and drops
// loops. Sets n->empty where nothing is left to do.
void nest_settle(CopyCx *c, CopyNest *n);
// A copy of n with loop variables of its own.
CopyNest nest_fresh(CopyCx *c, const CopyNest *n);
// The range that those bounds of one kind allow loop i that are constant and mention no other loop; false if there are
// none.
bool nest_range(const CopyNest *n, int i, bool guard, int64_t *lo, int64_t *hi);
// The loop that is the only one in a constant bound; -1 if it is another kind of bound.
int row_only_loop(const CopyNest *n, const Row *r);
// Nothing but zeros are written from here on.
void nest_make_zero(CopyNest *n);

/* cut.c */
// The transfers of a nest; never fails.
const Stmt *nest_cut(CopyCx *c, const CopyNest *n);
// A transfer of n, placed where its store was.
const Stmt *copy_emit(CopyCx *c, const CopyNest *n, const Transfer *t);
// a >= 0, spelled for people.
const Expr *copy_bound_expr(CopyCx *c, const Affine *a);

/* tile_map.c */
// The transfers of a nest if they are fewer than `limit`; else NULL.
const Stmt *nest_by_tile_map(CopyCx *c, const CopyNest *n, int64_t limit);
// Tries bounds and conditions that are no bounds together, where their loops have few iterations: makes n empty or
// zero where no iteration writes or reads.
void nest_decide_together(CopyCx *c, CopyNest *n);

/* explain.c: each reports one refusal and sets c->failed */
// Whether some statement writes b from what b held: then b is no copy, and its first values are no padding.
bool copy_is_reduced(const CopyCx *c, const Buffer *b);
void explain_computes(CopyCx *c, const CopyStore *s, const Expr *op);
void explain_fill(CopyCx *c, const CopyStore *s, const Expr *constant);
void explain_condition(CopyCx *c, const CopyStore *s, const Expr *cond, const char *why);
void explain_store_pads(CopyCx *c, const CopyStore *s);
void explain_scopes(CopyCx *c, const CopyStore *s, const Expr *load);
void explain_types(CopyCx *c, const CopyStore *s, const Expr *load);
void explain_gather(CopyCx *c, const CopyStore *s, const Expr *load, const Expr *index);
void explain_unknown_extent(CopyCx *c, const CopyStore *s, const Stmt *loop);
void explain_overwrites(CopyCx *c, const CopyStore *s);
void explain_foreign(CopyCx *c, const Stmt *s);

// The step of a loop inside a tile, where both sides differ: `dram` instead of `chip` elements.
void explain_lane_step(CopyCx *c, const CopyNest *n, const Loop *l);
// A loop inside a tile whose index is not affine, or which a condition that is no bound mentions.
void explain_lane_index(CopyCx *c, const CopyNest *n, const Loop *l);
// A loop inside a tile that gathers: it is a part of an axis whose place in memory is not affine.
void explain_gathered_lanes(CopyCx *c, const CopyNest *n, const Loop *l);
// Only `have` of the elements of a tile are copied; more than a tile has: they end inside of one.
void explain_part_of_tile(CopyCx *c, const CopyNest *n, int64_t have);
// A loop or a base (l NULL: `offset`) that does not step by whole tiles on one side.
void explain_misaligned(CopyCx *c, const CopyNest *n, const Loop *l, const Buffer *side, int64_t offset);
// A condition that holds for a part of a tile only.
void explain_lane_condition(CopyCx *c, const CopyNest *n, bool guard);
void explain_too_large(CopyCx *c, const CopyNest *n);

#endif

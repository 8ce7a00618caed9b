// SPDX-License-Identifier: Apache-2.0
// Inside pass lower: stages being lowered, and bounds inference (bounds.c).
#ifndef TETC_LOWER_H
#define TETC_LOWER_H

#include "passes/passes.h"

// The part of a tensor that a stage must provide: min[i] .. min[i] + extent[i]. min entries may be NULL (0).
typedef struct Region {
  const Expr **min;
  int64_t *extent;
  const Affine *start; // of each axis, before it was shifted inside the tensor
} Region;

// Where a stage's values are now: element [i, ..] of the tensor is element [i - min[0], ..] of the buffer. For stages
// stored further out than they are computed, the region that is stored, and how many positions of the folded axis are.
typedef struct Place {
  const Buffer *buffer;
  const Expr **min; // one an axis; NULL entries are 0
  const Region *stored;
  int64_t folded; // 0: all
  bool *whole;    // axes to be stored whole: what iterations need is not known to be inside less; NULL: none
} Place;

// What the iteration before left of a stage that is stored further out (keep.c).
typedef struct Kept {
  bool known;
  const Region *now;     // the region that the loop's body needs, of which `before` is the last iteration's
  const Affine *before;  // where it started, as Region.start
  const int64_t *extent; // how long it was
} Kept;

// A loop of a stage being lowered. Until it is entered, lo..hi is what is left of its extent.
typedef struct Leaf {
  bool entered;
  const Expr *value; // entered: its variable, or a constant
  int64_t lo, hi;    // exclusive
} Leaf;

// A split that does not divide: the parent's value must stay below its extent. With coef, the value is the sum of
// coef[i] * leaf i; without (a result was fused), it needs a guard.
typedef struct Limit {
  const Axis *parent;
  int64_t extent;
  int64_t *coef;
} Limit;

// One stage in one place: its region, and the state of its loops.
typedef struct Instance {
  Stage *stage;
  const Expr **min;     // of the region, an axis of the tensor each; NULL entries are 0
  int64_t *axis_extent; // by Axis.index, for this region
  Leaf *leaf;
  int nlimits;
  Limit *limits;
  const Expr **root_value, **rroot_value; // the tensor's axes as expressions, set where needed
  int first_reduce;                       // the outermost reduction leaf; -1: none
  int mark_leaf;                          // the leaf at which the marked nest starts
  bool marked, started;                   // inside it; the reduction's start is done
} Instance;

typedef struct Lower {
  Ctx *cx;
  const Schedule *schedule;
  Place *place;     // by Stage.index
  Kept *kept;       // by Stage.index
  Ranges ranges;    // of the loops entered
  bool ahead;       // a region is asked for before its loops are entered
  bool quiet;       // a trial: what is to be told comes later
  bool again;       // the trial found what has to be stored whole
  int64_t unrolled; // copies that the unrolled loops around make of what is inside
} Lower;

// bounds.c
Lower *lower_new(Ctx *cx, const Schedule *s);
Stage *stage_of(const Lower *l, const TeTensor *t);
// Makes the buffer for a region (NULLs: the whole tensor) and records it as the stage's place.
void place_stage(Lower *l, Stage *s, const Expr **min, const int64_t *extent, BufferRole role);
// A stage about to be lowered; for stages that are not outputs, also places it.
Instance *instance_new(Lower *l, Stage *s, const Expr **min, const int64_t *extent);
const Expr *axis_value(Lower *l, const Instance *in, const Axis *a); // from the leaves' values; 0-based in the region
// Range of a limit's value over the leaves' ranges, leaving leaf `without` out (-1: none); false without coef.
bool limit_bounds(const Instance *in, const Limit *m, int without, int64_t *lo, int64_t *hi);
// What the stages computed at leaf i of `in`, or inside it, must provide, with leaves up to i fixed: by Stage.index.
Region *infer_regions(Lower *l, Instance *in, int i);
// The part of an axis of extent n that start .. start + length covers: shifted inside if it may stick out; where it is
// known to stick out cut, unless it has to be as long as others (`shift`).
void region_clip(Lower *l, const Affine *start, int64_t length, int64_t n, bool shift, const Expr **min,
                 int64_t *extent);

// keep.c: stages stored further out than they are computed
bool keep_at(const Instance *in, int i, const Stage *p);        // p is one, and is computed at leaf i of `in`
bool keep_stored_at(const Instance *in, int i, const Stage *p); // it is stored there; -1: around the loops
bool keep_any(const Instance *in, int i);                       // some stage is computed so at leaf i
bool keep_known(const Lower *l, const Instance *in, int i);     // iterations before left something of each such stage
void keep_forget(Lower *l, const Instance *in, int i);          // before the first iteration of leaf i
void keep_advance(Lower *l, const Instance *in, int i);         // after the iterations of leaf i that stand in it
// Makes the buffer of p, which is stored in the body of leaf i (-1: around the loops) of `in`.
void keep_place(Lower *l, Instance *in, int i, Stage *p);
// Cuts region r of p, computed at leaf i, down to what the iteration before did not leave. Extent 0: all is there.
// Reports a region that is not known to be inside what is stored.
void keep_fresh(Lower *l, const Instance *in, int i, Stage *p, Region *r);

#endif

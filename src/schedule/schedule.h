// SPDX-License-Identifier: Apache-2.0
// schedule: stages, axes and their relations, primitives, legality. A Schedule says how a kernel is to be computed;
// pass `lower` turns it into TIR, inferring bounds on the way.
#ifndef TETC_SCHEDULE_H
#define TETC_SCHEDULE_H

#include "te/te.h"
#include "tir/tir.h"

typedef struct Stage Stage;
typedef struct Axis Axis;
typedef struct Relation Relation;

typedef enum RelationKind { REL_SPLIT, REL_FUSE } RelationKind;

// split: parent -> outer, inner with parent = outer * factor + inner; fuse: outer, inner -> parent with
// parent = outer * extent(inner) + inner.
struct Relation {
  RelationKind kind;
  Axis *parent, *outer, *inner;
  int64_t factor, nparts; // split: one of them is > 0
  Loc loc;
};

// An iteration variable of one stage: a root axis (an axis of its tensor) or one made by split or fuse.
struct Axis {
  Name name;
  bool reduce;
  bool carried;         // a recurrence steps along it: its loop keeps its place and order
  int64_t extent;       // over the whole tensor; smaller where the stage is computed at another
  Loc loc;
  const TeAxis *root;   // NULL if made by a relation
  Relation *made_by;    // the relation it is a result of; NULL for a root axis
  Relation *used_by;    // the relation that consumed it; NULL while it is a leaf
  ForKind kind;         // how its loop runs
  Loc kind_loc;
  int index;            // among the stage's axes, in order of creation
};

typedef enum Attach { ATTACH_ROOT, ATTACH_AT, ATTACH_INLINE } Attach;
typedef enum Mark { MARK_NONE, MARK_COPY, MARK_ALU, MARK_TENSORIZE } Mark;

// How one tensor is computed. `tensor` is its identity in other stages' accesses; `body` is what it computes now
// (cache_read, cache_write and inlining rewrite bodies).
struct Stage {
  Name name;
  const TeTensor *tensor;
  const TeExpr *body; // NULL for inputs
  TeReduce reduce;
  bool whole;     // stored whole, though computed at another: what a circle of recurrences reads again later
  const TeExpr *where; // of the reduction: NULL: all points
  int index; // in Schedule.stages: an order of evaluation
  VEC(Axis *) axes;  // all of them, in order of creation
  VEC(Axis *) leaf;  // the loops, outermost first
  int nroot, nrroot;
  Axis **root, **rroot; // of tensor->axes; of the reduction axes
  Attach attach;
  Stage *at_stage; // ATTACH_AT
  Axis *at_axis;
  Loc attach_loc;
  const Scope *scope;
  Loc scope_loc;
  Mark mark;
  Axis *mark_axis; // where the marked nest starts; NULL until schedule_apply chose one
  Loc mark_loc;
  const Intrin *intrin; // of the mark
  const SchedStmt *disorder; // since when the points of a float reduction come in another order; NULL: they do not
  const char *order_text;    // a statement that would put that right, or NULL
  Stage *epilogue_of;   // the copy that this stage was made for by legalize_epilogue; NULL for others
  // Set when the schedule is complete; in stage order:
  VEC(Stage *) consumers, producers; // no duplicates
  VEC(Stage *) attached;             // live stages computed at this one
  bool live;                         // needed for an output
};

typedef struct Knob {
  Name name;
  int64_t value;
  Loc value_loc; // unknown if -K set it
  int nset;
  int64_t *set; // its values; none: any
  Loc loc;
  bool used;
} Knob;

// A number of the text by which an axis is cut: others can be tried in its place.
typedef struct AxisCut {
  Loc at;                // the number, or the value of the knob that it is
  Name stage, axis;
  Name knob;             // or NULL
  int64_t value, extent; // of the axis
  bool parts;            // how many parts there are, rather than how long one is
  int nset;              // of the knob
  int64_t *set;
} AxisCut;

typedef struct Schedule {
  const TeModule *module;
  const TeKernel *kernel;
  const TeSchedule *source; // NULL: the default order
  const TirTarget *target;  // NULL: no accelerator
  VEC(Stage *) stages;      // producers before consumers
  VEC(Knob) knobs;
  VEC(AxisCut) cuts; // in order of the text, each place once
  PtrMap *by_tensor;        // once it is complete: to Stages
} Schedule;

typedef struct ScheduleOptions {
  const TirTarget *target;     // NULL when the module names no target
  const TeTarget *te_target;
  int nknobs;
  const TeDefine *knobs;       // -K NAME=int
  bool legalize;               // --legalize: as if every computing copy had legalize_epilogue()
} ScheduleOptions;

// apply.c: runs the schedule's statements (source NULL: none) and checks the result. NULL after reported errors.
Schedule *schedule_apply(Ctx *cx, const TeModule *m, const TeKernel *k, const TeSchedule *source,
                         const ScheduleOptions *opt);
// The schedule of a kernel: by name, or the first one for it, NULL if there is none. Reports an unknown name.
const TeSchedule *schedule_find(Ctx *cx, const TeModule *m, const TeKernel *k, const char *name, bool *ok);

Stage *schedule_stage_of(const Schedule *s, const TeTensor *t); // NULL: not in this schedule
int stage_leaf_index(const Stage *s, const Axis *a);            // -1: not a leaf

// remarks.c: reports, as remarks, where each stage runs and why.
void schedule_remarks(Ctx *cx, const Schedule *s);
// print.c: the stages with their loops, attachment, scope and marks (phase `schedule` of the dumps).
void schedule_print(const Schedule *s, Text *out);

#endif

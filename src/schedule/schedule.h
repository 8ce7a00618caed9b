// SPDX-License-Identifier: Apache-2.0
// schedule: stages, axes and their relations, operations, legality. A Schedule says how a kernel is to be computed;
// pass `lower` turns it into TIR, inferring bounds on the way.
//
//   schedule_new -> operations (stage_split ...) -> schedule_complete -> pass_lower;  schedule_text at any time
//   schedule_apply does that for a text: its primitives call the same operations
#ifndef TETC_SCHEDULE_H
#define TETC_SCHEDULE_H

#include "te/te.h"
#include "tir/tir.h"

typedef struct Stage Stage;
typedef struct Axis Axis;
typedef struct Relation Relation;
typedef struct ScheduleStep ScheduleStep;

typedef enum RelationKind { REL_SPLIT, REL_FUSE } RelationKind;

typedef enum TailKind { TAIL_PEEL, TAIL_GUARD, TAIL_SHIFT } TailKind;

// split: parent -> outer, inner with parent = outer * factor + inner; fuse: outer, inner -> parent with
// parent = outer * extent(inner) + inner.
struct Relation {
  RelationKind kind;
  Axis *parent, *outer, *inner;
  int64_t factor, nparts; // split: one of them is > 0
  TailKind tail;          // split: of the last block, where it does not divide
  Loc tail_loc;
  Loc loc;
};

// An iteration variable of one stage: a root axis (an axis of its tensor) or one made by split or fuse.
struct Axis {
  Name name;
  bool reduce;
  bool shared;    // stages of a circle take turns in its loop, which keeps its place and order
  int64_t extent; // over the whole tensor; smaller where the stage is computed at another
  Loc loc;
  const TeAxis *root; // NULL if made by a relation
  Relation *made_by;  // the relation it is a result of; NULL for a root axis
  Relation *used_by;  // the relation that consumed it; NULL while it is a leaf
  ForKind kind;       // how its loop runs
  Loc kind_loc;
  int index; // among the stage's axes, in order of creation
};

typedef enum Attach { ATTACH_ROOT, ATTACH_AT, ATTACH_INLINE } Attach;
typedef enum Mark { MARK_NONE, MARK_COPY, MARK_ALU, MARK_TENSORIZE } Mark;

// An axis of a tensor that is stored in blocks: of extent `extent` once, `outer` and `inner` axes of it now. What fills
// the last block stands where value >= extent; it is no part of the tensor.
typedef struct Pack {
  Name name;           // of the axis
  const TeExpr *value; // of the axis, by those of the tensor now
  int64_t extent, block;
  const TeAxis *outer, *inner;
  bool zero; // the fill is known to be 0; set when the schedule is complete
  Loc loc;
} Pack;

// How one tensor is computed. `tensor` is its identity in other stages' accesses; `body` is what it computes now
// (cache_read, cache_write and inlining rewrite bodies).
struct Stage {
  Name name;
  const TeTensor *tensor;
  const TeExpr *body; // NULL for inputs
  TeReduce reduce;
  bool circle;         // it reads itself, or others that read it
  bool whole;          // stored whole, though computed at another, by turns: in a circle of recurrences, or `with`
  const TeExpr *where; // of the reduction: NULL: all points
  int index;           // in Schedule.stages: an order of evaluation
  VEC(Axis *) axes;    // all of them, in order of creation
  VEC(Axis *) leaf;    // the loops, outermost first
  int nroot, nrroot;
  Axis **root, **rroot; // of tensor->axes; of the reduction axes
  VEC(Pack) packs;      // in the order of the calls
  const char *tail;     // why a reduction in it that is cut does not take whole blocks; NULL: it does, or is not cut
  Attach attach;
  Stage *at_stage; // ATTACH_AT
  Axis *at_axis;
  bool with;        // each turn makes what has the place of what at_stage makes in it (compute_with)
  bool placed;      // an operation said where
  bool stored;      // it is stored around more loops of at_stage than it is computed in
  Axis *store_axis; // where, if stored; NULL: around all of them
  Loc store_loc;
  Axis *fold; // the root axis of which the buffer has only the positions that are needed at a time; NULL: none
  Loc fold_loc;
  int64_t kept; // how many, of a recurrence; 0: found while it is lowered
  Axis *align;  // the root axis whose positions begin, in memory, at multiples of align_to elements, plus align_by
  int64_t align_to, align_by;
  Loc align_loc;
  Loc attach_loc;
  const Scope *scope;
  bool scoped; // an operation said which
  Loc scope_loc;
  Mark mark;
  Axis *mark_axis; // where the marked nest starts; NULL until schedule_complete chose one
  Loc mark_loc;
  const Intrin *intrin;         // of the mark
  const ScheduleStep *disorder; // since when the points do not come in an order that the kernel needs; NULL: they do
  const char *order_text;       // a statement that would put that right, or NULL
  Stage *epilogue_of;           // the copy that this stage was made for by legalize_epilogue; NULL for others
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
  Loc at; // the number, or the value of the knob that it is
  Name stage, axis;
  Name knob;             // or NULL
  int64_t value, extent; // of the axis
  bool parts;            // how many parts there are, rather than how long one is
  int nset;              // of the knob
  int64_t *set;
} AxisCut;

// An operation that was done, as a statement of a text: `results = stage.name(args);`.
typedef enum ScheduleStepArgKind { STEP_AXIS, STEP_STAGE, STEP_SCOPE, STEP_NUMBER, STEP_WORD } ScheduleStepArgKind;

typedef struct ScheduleStepArg {
  ScheduleStepArgKind kind;
  const char *key; // STEP_NUMBER: `factor`, or NULL: by position
  union {
    Name name; // STEP_AXIS, STEP_STAGE: these names never change
    const Scope *scope;
    int64_t number;
    const char *word;
  };
} ScheduleStepArg;

struct ScheduleStep {
  const char *name; // of the primitive
  const Stage *stage;
  VEC(ScheduleStepArg) args;
  VEC(Name) results;
  Loc loc; // of the statement that asked for it; unknown: none did
};

typedef struct Schedule {
  Ctx *cx; // its memory, and where refusals are told
  const TeModule *module;
  const TeKernel *kernel;
  const TeSchedule *source;  // NULL: the default order, or a plan
  const char *const *rules;  // of a plan, by TeTensor.index: the rule that a stage of the CPU broke; NULL: no plan
  const TirTarget *target;   // NULL: no accelerator
  bool legalize;             // ScheduleOptions.legalize
  VEC(Stage *) stages;       // producers before consumers
  PtrMap by_name;            // names to Stages
  VEC(ScheduleStep *) steps; // what was done, in that order
  VEC(Knob) knobs;
  VEC(AxisCut) cuts; // in order of the text, each place once
  PtrMap *by_tensor; // once it is complete: to Stages
} Schedule;

typedef struct ScheduleOptions {
  const TirTarget *target; // NULL when the module names no target
  const TeTarget *te_target;
  int nknobs;
  const TeDefine *knobs; // -K NAME=int
  bool legalize;         // --legalize: as if every computing copy had legalize_epilogue()
} ScheduleOptions;

// apply.c: runs the schedule's statements (source NULL: none) and checks the result. NULL after reported errors.
Schedule *schedule_apply(Ctx *cx, const TeModule *m, const TeKernel *k, const TeSchedule *source,
                         const ScheduleOptions *opt);
// The schedule of a kernel: by name, or the first one for it, NULL if there is none. Reports an unknown name.
const TeSchedule *schedule_find(Ctx *cx, const TeModule *m, const TeKernel *k, const char *name, bool *ok);

Schedule *schedule_new(Ctx *cx, const TeModule *m, const TeKernel *k,
                       const ScheduleOptions *opt); // in the default order
// legality.c: makes a schedule, to which nothing is done any more, ready for pass_lower (consumers, inlining, where
// marks start) and refuses what would change the result. False after reported errors.
bool schedule_complete(Schedule *s);

Stage *schedule_stage_of(const Schedule *s, const TeTensor *t); // NULL: not in this schedule
Stage *schedule_stage_named(const Schedule *s, Name name);      // NULL: there is none
Axis *stage_axis(const Stage *s, Name name);                    // one of its present loops; NULL: there is none
int stage_leaf_index(const Stage *s, const Axis *a);            // -1: not a leaf
bool stage_axis_within(const Stage *s, const Axis *a, int i);   // some loop up to i, inclusive, was made of axis a
// Extents of all axes of a stage, by their index, from those of its root axes; `extent` NULL: from their own.
void stage_extents(const Stage *s, const int64_t *extent, int64_t *out);

// ---- operations -----------------------------------------------------------------------------------------------------
// What a planner calls, and what the statements of a text call. Axes are present loops of their stage. `why` is the
// statement that asks for it, whose places and names the messages give; NULL: none does. An operation that is refused
// reports why and does nothing. Names of results may be NULL: then they are made of the old one, and such that no other
// has them. Given ones are words that a text could have there. docs/schedule.md has the meaning of each.

// loops.c
// One of factor and nparts is 0. names: outer, inner. NULL: refused.
const Relation *stage_split(Schedule *s, Stage *st, Axis *a, int64_t factor, int64_t nparts, const Name *names,
                            const SchedStmt *why);
// names and out (or NULL): outer a, outer b, inner a, inner b.
bool stage_tile(Schedule *s, Stage *st, Axis *a, Axis *b, int64_t na, int64_t nb, const Name *names, Axis *out[4],
                const SchedStmt *why);
Axis *stage_fuse(Schedule *s, Stage *st, Axis *outer, Axis *inner, Name name, const SchedStmt *why); // NULL: refused
bool stage_reorder(Schedule *s, Stage *st, int n, Axis *const *order, const SchedStmt *why);
bool stage_annotate(Schedule *s, Stage *st, Axis *a, ForKind kind,
                    const SchedStmt *why); // FOR_VTHREAD: bind; not FOR_SERIAL
// Cuts a into blocks of n, and annotates the inner loop: FOR_VECTORIZED or FOR_UNROLLED. Without names, the outer one
// keeps a's. NULL: refused.
const Relation *stage_annotate_by(Schedule *s, Stage *st, Axis *a, ForKind kind, int64_t n, const Name *names,
                                  const SchedStmt *why);
// place.c
bool stage_compute_at(Schedule *s, Stage *st, Stage *consumer, Axis *a, const SchedStmt *why);
bool stage_compute_with(Schedule *s, Stage *st, Stage *other, Axis *a, const SchedStmt *why);
bool stage_compute_root(Schedule *s, Stage *st, const SchedStmt *why);
// a: a loop of the stage at which st is computed; NULL: store_root.
bool stage_store_at(Schedule *s, Stage *st, Stage *consumer, Axis *a, const SchedStmt *why);
// fold.c
bool stage_fold(Schedule *s, Stage *st, Axis *root, const SchedStmt *why); // root: one of st->root
// root: one of st->root, but the last; offset: 0, or less than n and for the last but one.
bool stage_storage_align(Schedule *s, Stage *st, Axis *root, int64_t n, int64_t offset, const SchedStmt *why);
bool stage_compute_inline(Schedule *s, Stage *st, const SchedStmt *why);
bool stage_set_scope(Schedule *s, Stage *st, const Scope *scope, const SchedStmt *why);
// The new stage; NULL: refused. n = 0: all readers.
Stage *stage_cache_read(Schedule *s, Stage *st, const Scope *scope, int n, Stage *const *readers, Name name,
                        const SchedStmt *why);
Stage *stage_cache_write(Schedule *s, Stage *st, const Scope *scope, Name name, const SchedStmt *why);
// narrow.c: what of the stage's value is known to fit that type
Stage *stage_cache_write_as(Schedule *s, Stage *st, const Scope *scope, DType type, Name name, const SchedStmt *why);
// pack.c: a is an axis of the tensor whose loop is as it was. names and out (or NULL): outer, inner.
bool stage_pack(Schedule *s, Stage *st, Axis *a, int64_t block, const Name *names, Axis *out[2], const SchedStmt *why);
// tail.c: a is a loop that a split made.
bool stage_tail(Schedule *s, Stage *st, Axis *a, TailKind kind, const SchedStmt *why);
// rfactor.c: a is a loop of a reduction. The stage of the partial results; NULL: refused.
Stage *stage_rfactor(Schedule *s, Stage *st, Axis *a, Name name, const SchedStmt *why);
// marks.c; a: NULL lets schedule_complete choose, not for MARK_TENSORIZE
bool stage_mark(Schedule *s, Stage *st, Mark m, Axis *a, const SchedStmt *why);
// epilogue.c
bool stage_legalize_epilogue(Schedule *s, Stage *st, const SchedStmt *why);

// steps.c: what was done so far as the text of a schedule: done to the same kernel, with the same -D, it gives the same
// schedule.
void schedule_text(const Schedule *s, Text *out);
// The edit of the module's text that puts it there: in the place of the schedule of that kernel and name, else behind
// the kernel, or before the schedule that would count; all else stays byte for byte. A kernel of an imported file is
// scheduled at the end of the text; where the imported file schedules it, the place is unknown.
SourceEdit schedule_edit(const Schedule *s, const TeModule *m);
// The same of a text, without a newline at its end, that is a schedule `name` (NULL: without one) of the kernel.
SourceEdit schedule_edit_text(Ctx *cx, const TeModule *m, const TeKernel *k, Name name, const char *text);

// remarks.c: reports, as remarks, where each stage runs and why.
void schedule_remarks(Ctx *cx, const Schedule *s);
const char *schedule_cpu_reason(Ctx *cx, const Schedule *sch, const Stage *s); // why s runs there
// print.c: the stages with their loops, attachment, scope and marks (phase `schedule` of the dumps).
void schedule_print(const Schedule *s, Text *out);

#endif

// SPDX-License-Identifier: Apache-2.0
// Inside the plan room.
#ifndef TETC_PLAN_INTERNAL_H
#define TETC_PLAN_INTERNAL_H

#include "plan/plan.h"

enum { MOST_AXES = 10, MOST_LOADS = 12, MOST_MEMBERS = 32, THREADS = 2 };

// ---- what there is to plan: group.c

typedef enum Memory { IN_INP, IN_WGT, IN_ACC } Memory;

// What a group brings on chip.
typedef struct Load {
  const TeTensor *tensor; // the copy, if it is a stage; else what is copied
  const TeTensor *reader; // one that reads it
  bool stage;             // it is a stage of the kernel, which copies (and pads); else a copy is made by cache_read
  Memory memory;
  int npacks, pack[2];    // axes of the tensor to be stored in blocks, of channels in and, of weights first, out
  const TeTensor *source; // of a stage that is packed: what it copies, stored in blocks along source_axis
  int source_axis;
} Load;

// Stages that are computed together on the accelerator, a part of the root at a time.
typedef struct Group {
  const TeTensor *root;    // is stored to the host's memory
  const TeTensor *narrows; // the stage a part of which the root is, that fits int8; NULL: it is a stage of the program
  bool computes;           // the root does more than store: that gets a stage of its own
  const TeTensor *gemm;    // the sum of products; NULL: there is none
  int lane;                // its reduction axis that a step of vta.gemm runs over
  int channel;             // the axis of the root that is stored in blocks by `pack`; -1: all are in tiles already
  int nmembers, nloads;
  const TeTensor *members[MOST_MEMBERS]; // on chip, gemm included, producers first
  int axis[MOST_MEMBERS];                // of each, that is stored in blocks
  Load loads[MOST_LOADS];
} Group;

typedef struct Problem {
  Ctx *cx;
  const TeModule *module;
  const TeKernel *program;  // as it is written
  const TeKernel *kernel;   // with parts of stages that fit int8 as stages of their own
  const TeTensor **narrows; // by TeTensor.index: of what stage it is such a part; NULL: none
  const PlanOptions *options;
  TetcRtlOptions core;      // options->core
  int **readers, *nreaders; // by TeTensor.index: the indices of the tensors that read it
  const Group **group;      // by TeTensor.index: what a stage belongs to; NULL: the CPU
  const char **rule;        // why it does not, if that is known
  VEC(const Group *) groups;
} Problem;

// A sum of products of two tensors.
typedef struct Product {
  const TeExpr *inp, *wgt; // accesses
  int lane;                // place of the reduction axis inside a tile, among the reduction axes
  int channel;             // of the result, to be stored in blocks; -1: it is in tiles
} Product;

void problem_read(Problem *p); // finds groups and rules
// Whether t is a sum of products; *rule: why vta.gemm cannot take it (NULL: it can).
bool is_product(const Problem *p, const TeTensor *t, Product *out, const char **rule);
// An access, or one that is chosen by position, with zeros elsewhere: what a load can do. NULL: it is something else.
const TeExpr *copied(const TeExpr *e);
// e = c + sum of coef * axis, coef by place in t's axes and, behind them, reduction axes; false: it is no such form.
bool index_form(const TeExpr *e, const TeTensor *t, int64_t *c, int64_t *coef);
int access_axis(const TeExpr *access, const TeTensor *t, int place); // group.c: the dimension that is that axis; -1
bool group_has(const Group *g, const TeTensor *t);
// blocks.c: finds the axes of what the group has that are stored in blocks; why they cannot be, or NULL.
const char *blocks_rule(const Problem *p, Group *g);

// part.c: the kernel that a schedule, so far, makes of one.
const TeKernel *scheduled_kernel(const Schedule *s);
// A group as a kernel of its own, that reads what it loads; names are kept. *key: a text that groups have in
// common of which the same choices can be made, to the same effect.
const TeKernel *group_kernel(const Problem *p, const Group *g, const char **key);

// ---- the space: space.c

// Where a load stands, from the outside: before all loops; in the loop over an axis of the root (its place in `order`);
// in all of them, in each thread; in the loop over steps of the reduction; in that over rows of the sum of products.
enum { AT_ROOT = -1, AT_TILE = 100, AT_STEP, AT_ROW };

typedef struct Choice {
  int naxes;               // of the root
  int64_t tile[MOST_AXES]; // what is computed at a time
  int order[MOST_AXES];    // of the loops over tiles, outermost first
  int thread;              // the axis whose tiles two threads take in turns; -1: one thread
  int step_axis;           // of the reduction; -1: not cut
  int64_t step;            // how much of it at a time
  int row_axis;            // of the sum of products, outside its other loops; -1: none
  int level[MOST_LOADS];   // AT_...
  int64_t estimate;        // cycles, before it is built
} Choice;

typedef struct Bounds { // of a group, whatever its schedule
  int64_t gemm, alu, read, write, cycles;
  const char *binds;
} Bounds;

typedef VEC(Choice) Choices;
Bounds group_bounds(const Problem *p, const Group *g);
// The best `most` choices that fit, by estimate, best first. *tried: how many there were.
Choices space_search(const Problem *p, const Group *g, int most, int64_t *tried);

// ---- the rest

typedef struct Ranking { // choices of a group by the coarse clock, the best first
  int n, most;
  Choice *choice;
  int64_t *cycles;
} Ranking;

typedef struct Planned {
  const Group *group;
  const Ranking *ranking;
  const char *key;
  const Group *same; // an equal one, of which this is the plan; NULL: its own
  Choice choice;
  bool found;
  int64_t cycles, next, tried, timed, refused;
  const char *why; // a candidate was refused for
} Planned;

typedef VEC(Planned) Plans;
// plan.c: plans all groups, and ranks at least `most` choices of each. How many were found, and can be together.
size_t plan_groups(Problem *p, int most, Plans *plans);
Schedule *plan_schedule(const Problem *p, Ctx *cx, size_t n,
                        const Plans *plans); // the n that were found; NULL: refused

bool build_groups(Schedule *s, const VtaTarget *vta, size_t n, const Planned *plans); // build.c
// clock.c
int64_t clock_stream(Ctx *cx, const VtaConfig *config, const TetcRtlOptions *core, const VtaStream *stream);
// Cycles that the bus is taken by so many beats of one direction.
static inline int64_t bus_cycles(const TetcRtlOptions *core, int64_t beats) {
  return core->bandwidth == 100 ? beats : (beats * 100 + core->bandwidth - 1) / core->bandwidth;
}

#endif

// SPDX-License-Identifier: Apache-2.0
// plan: schedules made by the compiler. What is planned is what a kernel's expressions say; a plan is a schedule: it is
// made by the operations that a text calls, and schedule_text prints it.
//
//   group.c  what can run on the accelerator: groups of stages, and the rules that others broke
//   blocks.c which axes of a group's tensors are stored in blocks
//   part.c   a group as a kernel of its own, and its key: equal groups are planned once
//   space.c  the choices for a group (tiles, order, threads, places of loads), pruned by capacities and bounds
//   build.c  a choice, as operations on a schedule
//   clock.c  what the instructions of one take, by a coarse model of the units
//   plan.c   the best few by bounds are built, lowered and timed; the best by time is taken
//   tune.c   those best few, for others to measure
#ifndef TETC_PLAN_H
#define TETC_PLAN_H

#include "passes/passes.h"

typedef struct PlanOptions {
  const ScheduleOptions *schedule; // its target is the accelerator; NULL: none
  const VtaTarget *vta;
  const TetcRtlOptions *core; // the bus and memory that it stands in; NULL: upstream's simulation, 64 bits
  int64_t effort;             // how many candidates of a group are built and timed; 0: the default
  size_t memory;              // bytes that building a candidate may use; 0: no bound
} PlanOptions;
enum { PLAN_EFFORT = 80 };

// Plans kernel k. The schedule is complete, as that of schedule_apply; NULL after reported errors. It depends on the
// kernel, the configuration, the bus and memory, and the effort alone. What no plan is found for stays in the default
// order, with a remark.
Schedule *plan_kernel(Ctx *cx, const TeModule *m, const TeKernel *k, const PlanOptions *o);

// ---- its best plans, to be measured: tune.c -------------------------------------------------------------------------

// The parts of a kernel that are planned for the accelerator, each with its best choices. Parts that are equal are one.
typedef struct PlanSpace PlanSpace;
// At most `most` choices of each part: first that of plan_kernel, then others, best first by a coarse clock.
PlanSpace *plan_space(Ctx *cx, const TeModule *m, const TeKernel *k, const PlanOptions *o, int most);
int plan_space_parts(const PlanSpace *s);
int plan_space_choices(const PlanSpace *s, int part);
const char *plan_space_name(const PlanSpace *s, int part); // a stage of it, the first of the text
// The schedule with one choice of each part, as text; NULL: they cannot be together.
const char *plan_space_text(const PlanSpace *s, const int *choices);

#endif

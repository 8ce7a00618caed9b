// SPDX-License-Identifier: Apache-2.0
// compile: a text becomes kernels that are lowered to the end, as a function. It knows no command line, prints nothing,
// exits nowhere, and keeps no state but in its arguments: any number of compilations may go on at once, each with a Ctx
// of its own.
//
//   text -> te_load -> schedule_apply -> pass_lower -> pipeline_run -> a Func that a back end takes
#ifndef TETC_COMPILE_H
#define TETC_COMPILE_H

#include "plan/plan.h"

// What is asked of a compilation; zero is a sensible value of everything but `config`.
typedef struct CompileOptions {
  VtaConfig config;           // the hardware
  const char *kernel;         // the one to compile; NULL: all
  const char *schedule;       // its schedule's name, `auto` (a plan), `none` (the default order); NULL: the first one
  const TetcRtlOptions *core; // PlanOptions.core
  int64_t plan_effort;        // PlanOptions.effort
  int nmeasured;              // kernels whose first schedule is a plan that was measured: `auto` has no other for them
  const char *const *measured;
  const char *stop_after; // the last phase; NULL: all
  bool legalize;          // ScheduleOptions.legalize
  bool verify_each;       // tir_verify after each pass
  bool remarks;           // tell where each stage runs, and why
  int ndefines, nknobs, ninclude_dirs;
  const TeDefine *defines, *knobs; // -D, -K
  const char **include_dirs;
  const TeGiven *given; // TeOptions.given
  int nshown;           // TeOptions.shown
  const char **shown;
  size_t trial_memory; // bytes that a trial of a remedy may use; 0: no bound
} CompileOptions;

// One kernel on its way.
typedef struct Unit {
  const TeKernel *kernel;
  Schedule *schedule; // NULL: stopped before, or refused
  Func *func;         // NULL: stopped before, or refused
  bool stopped;       // options.stop_after was reached
  PassStats stats;
} Unit;

typedef struct Compilation Compilation;

// What others see of a compilation while it goes on. Any callback may be NULL.
typedef struct CompileHooks {
  void *self;
  void (*begins)(void *self, const char *phase, const Func *given);       // a phase of TIR; given: NULL for `lower`
  const Func *(*change)(void *self, const char *phase, const Func *made); // for tests: what to go on with instead
  // A phase is done, in `seconds`: `te`, `schedule`, `lower`, then the passes. f: NULL before `lower`.
  void (*made)(void *self, const Compilation *c, const Unit *u, const char *phase, const Func *f, double seconds);
} CompileHooks;

// A text on its way.
struct Compilation {
  Ctx *cx;
  const Source *source;
  const CompileOptions *options;
  const CompileHooks *hooks; // never NULL
  VtaTarget *vta;
  const TeModule *module;
  double load_seconds;           // reading and checking
  VEC(const TeKernel *) kernels; // what is to be compiled
  VEC(Unit *) units;             // of the kernels begun so far, in their order
};

// The places of phases in the order of a compilation: te, schedule, lower, then the passes of pass_table.
enum { PHASE_TE, PHASE_SCHEDULE, PHASE_LOWER, PHASE_FIRST_PASS };
int phase_number(const char *phase); // -1: unknown

// compile.c
// Reads and checks a text; picks the kernels. False after reported errors. `hooks` may be NULL.
bool compile_load(Compilation *c, Ctx *cx, const Source *src, const CompileOptions *options, const CompileHooks *hooks);
// Takes one kernel of it through schedule, lower and all passes; never NULL. It went to the end if unit_whole says so.
Unit *compile_kernel(Compilation *c, const TeKernel *k);
// Both, for all kernels. True if there was no error.
bool compile(Compilation *c, Ctx *cx, const Source *src, const CompileOptions *options, const CompileHooks *hooks);
// Whether the unit got where it should, the end or stop_after, without errors.
bool unit_whole(const Compilation *c, const Unit *u);

// ---- trying remedies: trial.c, fit.c -------------------------------------------------------------------------------

// How far a program gets: the phase of its first error, and how many errors and warnings there are.
typedef struct Progress {
  int phase, errors, warnings;
  bool cured; // after a remedy: its error is gone
} Progress;
Progress progress_of(const Diags *d);
bool progress_better(Progress a, Progress b); // further, or fewer errors
bool progress_tidier(Progress a, Progress b); // no errors in both, and fewer warnings
// Compiles the source with `replacement` at `at` in memory of its own, and shows the messages to `see`, unless memory
// is out.
void trial_look(const Compilation *c, Loc at, const char *replacement, void (*see)(void *self, const Diags *told),
                void *self);
Progress trial_run(const Compilation *c, const DiagFix *f); // what f leads to
void trial_fixes(const Compilation *c);                     // tries the remedies of all errors, and notes which help
// fit.c: finds by trials which cuts of axes make overflowing memories fit, and offers them as remedies.
void trial_cuts(const Compilation *c);

#endif

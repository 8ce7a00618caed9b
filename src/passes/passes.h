// SPDX-License-Identifier: Apache-2.0
// passes: the lowering pipeline. Each pass is a pure function Func -> Func in a file of its own; the table in
// pipeline.c orders them. A pass reports what it refuses and returns NULL then.
#ifndef TETC_PASSES_H
#define TETC_PASSES_H

#include "backend_vta/vta.h"
#include "schedule/schedule.h"
#include "tir/tir.h"

// What a pass may record besides its result (for --stats); all counts of TIR statements, not of executions.
typedef struct PassStats {
#define COUNT(pass, field, before, noun, after) int64_t field;
#define MAYBE COUNT
#include "passes/stats.def"
  int64_t sram_tiles[3], sram_depth[3]; // high-water marks by Scope.id order inp, wgt, acc
} PassStats;

typedef struct PassCtx {
  Ctx *cx;
  const VtaTarget *vta; // NULL: the module has no target
  PassStats stats;
} PassCtx;

typedef Func *PassFn(PassCtx *pc, const Func *f);

// What the pipeline knows of a pass.
enum {
  PASS_REGIONS = 1 // it matches regions, and leaves what it refuses as it is: those after it still tell what they find,
                   // so that one run tells all causes
};

typedef struct Pass {
  const char *name;
  PassFn *run;
  TirForm in, out;
  unsigned flags;
  const char *what; // one line for --list-passes
} Pass;

// pipeline.c
extern const Pass pass_table[];
extern const int pass_count;

// What happens between passes: verification, dumps, timing. Any callback may be NULL.
typedef struct PipelineHooks {
  void *self;
  bool verify;                                                        // run tir_verify after every pass
  bool (*before)(void *self, const Pass *p, const Func *given);       // false: go no further
  const Func *(*change)(void *self, const Pass *p, const Func *made); // for tests: what to go on with instead
  void (*after)(void *self, int number, const Pass *p, const Func *before, const Func *after, double seconds);
} PipelineHooks;
// Runs passes [first, last] of the table; NULL when one refused (reported) or verification failed (reported, E0902).
Func *pipeline_run(PassCtx *pc, const Func *f, int first, int last, const PipelineHooks *hooks);
int pass_find(const char *name); // -1 if unknown

// lower.c: schedule -> FORM_LOOPS
Func *pass_lower(PassCtx *pc, const Schedule *s);
void warn_of_scalar_loops(Ctx *cx, const Func *f); // vectorize.c

Func *pass_constants(PassCtx *pc, const Func *f);   // constants.c
Func *pass_tensorize(PassCtx *pc, const Func *f);   // tensorize.c
Func *pass_inject_copy(PassCtx *pc, const Func *f); // inject_copy/
Func *pass_inject_alu(PassCtx *pc, const Func *f);  // inject_alu.c
Func *pass_vthread(PassCtx *pc, const Func *f);     // vthread.c
Func *pass_storage(PassCtx *pc, const Func *f);     // storage.c
Func *pass_sync(PassCtx *pc, const Func *f);        // sync.c
// sync_text.c: for a text that may have been edited.
bool sync_was_here(const Func *f); // whether there are tokens or syncs in a function
// Whether its tokens and syncs keep the units, and the CPU, in order. Reports E0116, and R0003 where it cannot be told.
bool sync_text_check(PassCtx *pc, const Func *f);
Func *pass_uop(PassCtx *pc, const Func *f);    // uop.c
Func *pass_intrin(PassCtx *pc, const Func *f); // intrin.c

#endif

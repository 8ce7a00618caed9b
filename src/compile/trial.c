// SPDX-License-Identifier: Apache-2.0
// Trying remedies: a text is compiled in memory of its own, and only what became of it is kept. So an offered remedy is
// known to help, or says that it may.
#include "compile/compile.h"

#include <limits.h>

// What trials may cost together, in the memory of the compilation that failed; deterministic, unlike time.
enum { TRIALS_MOST = 16, TRIALS_MIB = 256 };

bool progress_better(Progress a, Progress b) {
  return a.phase > b.phase || (a.phase == b.phase && a.errors < b.errors);
}

bool progress_tidier(Progress a, Progress b) { return !a.errors && !b.errors && a.warnings < b.warnings; }

Progress progress_of(const Diags *d) {
  return (Progress){.phase = diags_phase(d), .errors = diags_errors(d), .warnings = diags_warnings(d)};
}

// A compilation that nobody sees, to the end.
static CompileOptions quiet_options(const Compilation *c) {
  CompileOptions o = *c->options;
  o.stop_after = NULL;
  o.verify_each = o.remarks = false;
  return o;
}

void trial_look(const Compilation *c, Loc at, const char *replacement, void (*see)(void *self, const Diags *told),
                void *self) {
  // In memory, not in registers or on the stack: they must be whole after a longjmp.
  struct {
    jmp_buf exhausted;
    Ctx cx;
    CompileOptions options;
    Compilation made;
  } *t = arena_alloc(c->cx->arena, sizeof *t);
  t->options = quiet_options(c);
  t->cx.arena = arena_new();
  if (!t->cx.arena) return;
  if (!setjmp(t->exhausted)) {
    arena_on_exhaustion(t->cx.arena, &t->exhausted, c->options->trial_memory);
    t->cx.names = names_new(t->cx.arena);
    t->cx.diags = diags_new(t->cx.arena);
    compile(&t->made, &t->cx, source_edit(t->cx.arena, at, replacement), &t->options, NULL);
    see(self, t->cx.diags);
  }
  arena_free(t->cx.arena);
}

typedef struct Trial {
  const DiagFix *fix;
  Progress reached;
} Trial;

static void see_progress(void *self, const Diags *told) {
  Trial *t = self;
  t->reached = progress_of(told);
  t->reached.cured = !diags_told(told, t->fix->code, t->fix->headline);
}

Progress trial_run(const Compilation *c, const DiagFix *f) {
  Trial t = {.fix = f, .reached = {.errors = INT_MAX}};
  trial_look(c, f->at, f->replacement, see_progress, &t);
  return t.reached;
}

void trial_fixes(const Compilation *c) {
  Diags *told = c->cx->diags;
  size_t n = diags_fix_count(told), used = arena_used(c->cx->arena) >> 10;
  Progress now = progress_of(told);
  for (size_t i = 0; i < n && i < TRIALS_MOST && (i + 1) * used < (size_t)TRIALS_MIB << 10; i++) {
    DiagFix *f = diags_fix(told, i);
    if (f->guess || f->at.src != c->source) continue; // an imported file is not tried
    Progress after = trial_run(c, f);
    f->helps = diag_severity(f->code) == SEV_ERROR ? progress_better(after, now) : progress_tidier(after, now);
  }
}

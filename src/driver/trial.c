// SPDX-License-Identifier: Apache-2.0
// Trying remedies: a text is checked in memory of its own, and only what became of it is kept. So an offered remedy is
// known to help, or says that it may.
#include "driver/driver.h"

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

void check_text(Driver *d, const Source *src) {
  Session s;
  Unit u;
  d->cx.diags = diags_new(d->cx.arena);
  if (session_load_source(&s, d, src))
    for (size_t i = 0; i < s.kernels.len; i++) session_lower(&s, s.kernels.data[i], &u);
}

// Nothing is printed or written on the way, and nothing is verified.
static void silence(Options *o) {
  o->dump_tir = o->dump_dir = o->stop_after = o->plant_fault = NULL;
  o->print_changed = o->time_passes = o->verify_each = o->remarks = false;
}

void trial_look(const Driver *d, Loc at, const char *replacement, void (*see)(void *self, const Diags *told), void *self) {
  Driver *t = NEW(d->cx.arena, Driver); // not on the stack: it must be whole after a longjmp
  *t = *d;
  silence(&t->opt);
  t->cx.arena = arena_new();
  if (!t->cx.arena) return;
  t->cx.names = names_new(t->cx.arena);
  if (!setjmp(t->exhausted)) {
    arena_on_exhaustion(t->cx.arena, &t->exhausted, (size_t)t->opt.memory << 20);
    check_text(t, source_edit(t->cx.arena, at, replacement));
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

Progress trial_run(const Driver *d, const DiagFix *f) {
  Trial t = {.fix = f, .reached = {.errors = INT_MAX}};
  trial_look(d, f->at, f->replacement, see_progress, &t);
  return t.reached;
}

void trial_fixes(Driver *d) {
  size_t n = diags_fix_count(d->cx.diags), used = arena_used(d->cx.arena) >> 10;
  Progress now = progress_of(d->cx.diags);
  for (size_t i = 0; d->source && i < n && i < TRIALS_MOST && (i + 1) * used < (size_t)TRIALS_MIB << 10; i++) {
    DiagFix *f = diags_fix(d->cx.diags, i);
    if (f->at.src != d->source) continue; // an imported file is not tried
    Progress after = trial_run(d, f);
    f->helps = diag_severity(f->code) == SEV_ERROR ? progress_better(after, now) : progress_tidier(after, now);
  }
}

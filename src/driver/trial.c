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

Progress progress_of(const Diags *d) { return (Progress){.phase = diags_phase(d), .errors = diags_errors(d)}; }

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

typedef struct Trial {
  Driver d;
  Progress reached;
} Trial;

Progress trial_run(const Driver *d, const DiagFix *f) {
  Trial *t = NEW(d->cx.arena, Trial); // not on the stack: it must be whole after a longjmp
  t->d = *d;
  t->reached = (Progress){.errors = INT_MAX};
  silence(&t->d.opt);
  t->d.cx.arena = arena_new();
  if (!t->d.cx.arena) return t->reached;
  t->d.cx.names = names_new(t->d.cx.arena);
  if (!setjmp(t->d.exhausted)) {
    arena_on_exhaustion(t->d.cx.arena, &t->d.exhausted, (size_t)t->d.opt.memory << 20);
    check_text(&t->d, source_edit(t->d.cx.arena, f->at, f->replacement));
    t->reached = progress_of(t->d.cx.diags);
    t->reached.cured = !diags_told(t->d.cx.diags, f->code, f->headline);
  }
  arena_free(t->d.cx.arena);
  return t->reached;
}

void trial_fixes(Driver *d) {
  size_t n = diags_fix_count(d->cx.diags), used = arena_used(d->cx.arena) >> 10;
  Progress now = progress_of(d->cx.diags);
  for (size_t i = 0; d->source && i < n && i < TRIALS_MOST && (i + 1) * used < (size_t)TRIALS_MIB << 10; i++) {
    DiagFix *f = diags_fix(d->cx.diags, i);
    if (f->at.src == d->source) f->helps = progress_better(trial_run(d, f), now); // an imported file is not tried
  }
}

// SPDX-License-Identifier: Apache-2.0
// tetc fix: applies the mechanical remedies that errors offer, and when none is left those of warnings; none that is a
// guess, with which the program may mean something else. Each is tried: it
// stays only if the program then gets further or has fewer errors (or warnings), by itself or with the remedies of what
// it leads to. So what is written is never worse than what was read.
#include "driver/driver.h"

typedef struct Fixer {
  Driver *d;
  Session *s;  // the last text that was compiled
  int tries;   // left
  int applied; // remedies, in all
} Fixer;

enum { MOST_TRIES = 1000, MOST_STEPS = 3 }; // steps: remedies that together lead to something better

static const Source *improve(Fixer *x, const Source *src, Progress start, int steps);

// Checks src: its messages, with all remedies.
static void told_of(Fixer *x, const Source *src) {
  session_check(x->s, src);
  trial_cuts(&x->s->c);
}

// src with one remedy, and its messages.
static const Source *apply(Fixer *x, const Source *src, const DiagFix *f) {
  if (x->d->opt.verbose) fprintf(stderr, "tetc fix: %s:%u:%u: %s\n", src->path, f->at.line, f->at.col, f->text);
  const Source *next = source_edit(x->d->cx.arena, f->at, f->replacement);
  told_of(x, next);
  x->applied++;
  return next;
}

// Whether a remedy is worth a further step: it is better by itself, or it ends its error and leads to another.
static bool leads_on(Progress after, Progress before) {
  return progress_better(after, before) ||
         (after.phase == before.phase && after.errors == before.errors && after.cured);
}

// A remedy that by itself leads to no more than another error, and what helps then; NULL if nothing does.
static const Source *improve_in_steps(Fixer *x, const Source *src, const Diags *here, Progress start, int steps) {
  Progress now = progress_of(here);
  for (size_t i = 0, n = diags_fix_count(here); i < n && x->tries > 0; i++) {
    const DiagFix *f = diags_fix(here, i);
    if (f->guess || f->at.src != src || (x->tries--, !leads_on(trial_run(&x->s->c, f), now))) continue;
    const Source *end = improve(x, apply(x, src, f), start, steps - 1);
    if (end) return end;
    x->applied--;
    if (x->d->opt.verbose) fputs("tetc fix: that one is taken back\n", stderr);
  }
  return NULL;
}

// src with the remedy that is best, or with several, at most `steps`, that together lead to something better than
// `start`; NULL if there are none. Leaves the messages of what it returns, or of what it tried last.
static const Source *improve(Fixer *x, const Source *src, Progress start, int steps) {
  const Diags *here = x->d->cx.diags;
  const DiagFix *best = NULL;
  Progress reached = start;
  for (size_t i = 0, n = diags_fix_count(here); i < n && x->tries > 0; i++) {
    const DiagFix *f = diags_fix(here, i);
    if (f->guess || f->at.src != src) continue; // an imported file is not ours to change
    x->tries--;
    Progress after = trial_run(&x->s->c, f);
    if (progress_better(after, reached) || progress_tidier(after, reached)) best = f, reached = after;
  }
  if (best) return apply(x, src, best);
  return steps > 1 ? improve_in_steps(x, src, here, start, steps) : NULL;
}

int command_fix(Driver *d) {
  const char *path = d->opt.files.data[0];
  const Source *src = session_read(d, path), *first = src;
  if (!src) return driver_status(d);
  Fixer x = {.d = d, .s = session_new(d), .tries = MOST_TRIES};
  told_of(&x, src);
  for (const Source *next;
       diags_fix_count(d->cx.diags) && (next = improve(&x, src, progress_of(d->cx.diags), MOST_STEPS));)
    src = next;
  session_check(x.s, src);
  int errors = diags_errors(d->cx.diags); // what is left is told by main
  fprintf(stderr, "tetc fix: %d remed%s applied, %d error%s left\n", x.applied, x.applied == 1 ? "y" : "ies", errors,
          errors == 1 ? "" : "s");
  if (d->opt.check || (src == first && !d->opt.output)) return driver_status(d);
  OutputFile out = {.path = d->opt.output ? d->opt.output : path, .data = src->text, .len = src->len};
  int status = driver_status(d);
  return outputs_write(&d->cx, &out, 1) ? status : EXIT_FILES;
}

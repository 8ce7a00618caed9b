// SPDX-License-Identifier: Apache-2.0
// tetc fix: applies the mechanical remedies that errors offer. Each is tried by itself: it stays only if the program
// then has fewer errors, so what is written is never worse than what was read.
#include "driver/driver.h"

// The messages that a text gets.
static Diags *try_source(Driver *d, const Source *src) {
  Driver trial = *d;
  trial.cx.diags = diags_new(d->cx.arena);
  Session s;
  Unit u;
  if (session_load_source(&s, &trial, src))
    for (size_t i = 0; i < s.kernels.len; i++) session_lower(&s, s.kernels.data[i], &u);
  return trial.cx.diags;
}

// The first remedy that leaves fewer errors, applied; NULL if there is none. What reads better may show further errors
// behind it: a text that can be parsed again counts as better too.
static const Source *improve(Driver *d, const Source *src, Diags **diags) {
  size_t n;
  const DiagFix *fixes = diags_fixes(*diags, &n);
  for (size_t i = 0; i < n; i++) {
    if (fixes[i].at.src != src) continue; // an imported file is not ours to change
    const Source *next = source_edit(d->cx.arena, fixes[i].at, fixes[i].replacement);
    Diags *after = try_source(d, next);
    bool parses = diags_have(*diags, E_SYNTAX) && !diags_have(after, E_SYNTAX);
    if (!parses && diags_errors(after) >= diags_errors(*diags)) continue;
    if (d->opt.verbose)
      fprintf(stderr, "tetc fix: %s:%u:%u: %s\n", src->path, fixes[i].at.line, fixes[i].at.col, fixes[i].text);
    *diags = after;
    return next;
  }
  return NULL;
}

int command_fix(Driver *d) {
  enum { MOST = 200 }; // remedies applied in one go
  const char *path = d->opt.files.data[0];
  const Source *src = session_read(d, path), *first = src;
  if (!src) return driver_status(d);
  Diags *diags = try_source(d, src);
  int applied = 0;
  for (const Source *next; applied < MOST && diags_errors(diags) && (next = improve(d, src, &diags)); applied++)
    src = next;
  d->cx.diags = diags; // what is left is told by main
  fprintf(stderr, "tetc fix: %d remed%s applied, %d error%s left\n", applied, applied == 1 ? "y" : "ies",
          diags_errors(diags), diags_errors(diags) == 1 ? "" : "s");
  if (d->opt.check || (src == first && !d->opt.output)) return driver_status(d);
  OutputFile out = {.path = d->opt.output ? d->opt.output : path, .data = src->text, .len = src->len};
  int status = driver_status(d);
  return outputs_write(&d->cx, &out, 1) ? status : EXIT_FILES;
}

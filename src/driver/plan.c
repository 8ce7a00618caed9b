// SPDX-License-Identifier: Apache-2.0
// tetc plan: the program with the schedules that the compiler makes of it, as text to go on with.
// A plan is a schedule: in the file, it compiles to the same instructions.
#include "driver/driver.h"

#include <string.h>

// The schedule that the plan takes the place of: the one that would count; NULL: the kernel has none in this file.
static const TeSchedule *replaced(const Session *s, const TeKernel *k) {
  const TeModule *m = s->c.module;
  for (int i = 0; i < m->nschedules; i++)
    if (m->schedules[i]->kernel == k->name && m->schedules[i]->loc.src == m->src) return m->schedules[i];
  return NULL;
}

// src with a schedule in its place: that of the one it replaces, else the end.
static const Source *put_schedule(Arena *a, const Source *src, Loc at, const char *text) {
  if (loc_known(at)) return source_edit(a, at, text);
  bool newline = !src->len || src->text[src->len - 1] == '\n';
  const char *all = arena_printf(a, "%s%s\n%s\n", src->text, newline ? "" : "\n", text);
  return source_new(a, src->path, all, strlen(all));
}

// With all schedules: those that replace others from the last to the first, since an edit moves what is behind it.
static const Source *put_schedules(Arena *a, const Source *src, size_t n, Loc *places, const char **texts) {
  for (;;) {
    size_t last = n;
    for (size_t i = 0; i < n; i++)
      if (texts[i] && loc_known(places[i]) && (last == n || places[i].line > places[last].line)) last = i;
    if (last == n) break;
    places[last].src = src;
    src = put_schedule(a, src, places[last], texts[last]);
    texts[last] = NULL;
  }
  for (size_t i = 0; i < n; i++)
    if (texts[i]) src = put_schedule(a, src, places[i], texts[i]);
  return src;
}

// The text of a plan, without the newline behind it.
static const char *plan_text(const Driver *d, const Schedule *plan) {
  Text t = {.arena = d->cx.arena};
  schedule_text(plan, &t);
  if (t.len && t.data[t.len - 1] == '\n') t.data[--t.len] = 0;
  return t.data;
}

int command_plan(Driver *d) {
  Session *s = session_new(d);
  if (!d->opt.schedule) d->opt.schedule = "auto";
  if (!session_load(s, d->opt.files.data[0])) return driver_status(d);
  const Source *out = s->c.module->src;
  Text only = {.arena = d->cx.arena};
  size_t n = s->c.kernels.len;
  const char **texts = NEW_ARRAY(d->cx.arena, const char *, n + 1);
  for (size_t i = 0; i < n; i++) {
    const Unit *u = session_lower(s, s->c.kernels.data[i]);
    if (u->schedule) text_add(&only, "%s%s\n", i ? "\n" : "", texts[i] = plan_text(d, u->schedule));
  }
  if (diags_errors(d->cx.diags)) return driver_status(d);
  Loc *places = NEW_ARRAY(d->cx.arena, Loc, n + 1);
  for (size_t i = 0; i < n; i++) {
    const TeSchedule *old = replaced(s, s->c.kernels.data[i]);
    if (old) places[i] = old->loc;
  }
  out = put_schedules(d->cx.arena, out, n, places, texts);
  OutputFile f = {.path = d->opt.output ? d->opt.output : "-", .data = out->text, .len = out->len};
  if (d->opt.schedule_only) f.data = only.data ? only.data : "", f.len = only.len;
  return outputs_write(&d->cx, &f, 1) ? driver_status(d) : EXIT_FILES;
}

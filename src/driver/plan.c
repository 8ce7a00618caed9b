// SPDX-License-Identifier: Apache-2.0
// tetc plan: the program with the schedules that the compiler makes of it, as text to go on with.
// A plan is a schedule: in the file, it compiles to the same instructions.
#include "driver/driver.h"

#include <string.h>

// The edit that puts a kernel's plan into the text; false, reported: it cannot be there.
static bool plan_edit(Session *s, const Schedule *plan, SourceEdit *edit) {
  const TeModule *m = s->c.module;
  *edit = schedule_edit(plan, m);
  if (loc_known(edit->at)) return true;
  bool ok;
  const TeSchedule *there = schedule_find(&s->d->cx, m, plan->kernel, NULL, &ok);
  Diag *g = diag_report(s->d->cx.diags, E_DUPLICATE_NAME, there->loc,
                        "`%s` is scheduled here, in an imported file, and that counts", plan->kernel->name);
  diag_help(g, "plan this file, `tetc plan %s`, or print the plan alone with --schedule-only", there->loc.src->path);
  return false;
}

int command_plan(Driver *d) {
  Session *s = session_new(d);
  int status = report_check(d);
  if (status) return status;
  if (!d->opt.schedule) d->opt.schedule = "auto";
  if (!session_load(s, d->opt.files.data[0])) return driver_status(d);
  const Source *src = s->c.module->src;
  Text only = {.arena = d->cx.arena};
  size_t n = s->c.kernels.len, nedits = 0;
  SourceEdit *edits = NEW_ARRAY(d->cx.arena, SourceEdit, n + 1);
  for (size_t i = 0; i < n; i++) {
    const Unit *u = session_lower(s, s->c.kernels.data[i]);
    if (!u->schedule) continue;
    if (i) text_add(&only, "\n");
    schedule_text(u->schedule, &only);
    if (!d->opt.schedule_only && plan_edit(s, u->schedule, &edits[nedits])) nedits++;
  }
  if (diags_errors(d->cx.diags)) return driver_status(d);
  if (d->opt.report) {
    if (n > 1) return usage_error(d, "`%s` has %zu kernels; --kernel says which one to report", src->path, n);
    if (!report_write(s, s->c.units.data[0])) return driver_status(d) ? driver_status(d) : EXIT_FILES;
    if (!d->opt.output) return driver_status(d);
  }
  const Source *out = source_edits(d->cx.arena, src, nedits, edits);
  OutputFile f = {.path = d->opt.output ? d->opt.output : "-", .data = out->text, .len = out->len};
  if (d->opt.schedule_only) f.data = only.data ? only.data : "", f.len = only.len;
  return outputs_write(&d->cx, &f, 1) ? driver_status(d) : EXIT_FILES;
}

// SPDX-License-Identifier: Apache-2.0
// The compiler as two functions: a file to checked kernels, a kernel to TIR that a back end takes.
#include "driver/driver.h"

#include <string.h>

// The hardware configuration that the options name, or the default one.
bool session_config(Driver *d, VtaConfig *config) {
  *config = vta_config_default();
  if (!d->opt.vta_config) return true;
  const char *error;
  const Source *json = source_read(d->cx.arena, d->opt.vta_config, &error);
  if (json) return vta_config_load(&d->cx, json, config);
  diag_report(d->cx.diags, E_FILE, (Loc){0}, "cannot read `%s`: %s", d->opt.vta_config, error);
  return false;
}

// The kernels' names, for messages.
static const char *kernel_names(Arena *a, const TeModule *m) {
  Text t = {.arena = a};
  for (int i = 0; i < m->nkernels; i++) text_add(&t, "%s`%s`", i ? ", " : "", m->kernels[i]->name);
  return t.len ? t.data : "none";
}

// Chooses the kernel that --kernel names, or all.
static bool pick_kernels(Session *s) {
  Driver *d = s->d;
  const TeModule *m = s->module;
  for (int i = 0; i < m->nkernels; i++) {
    if (d->opt.kernel && strcmp(m->kernels[i]->name, d->opt.kernel)) continue;
    VEC_PUSH(d->cx.arena, s->kernels, m->kernels[i]);
  }
  if (s->kernels.len) return true;
  if (!m->nkernels) {
    Diag *g = diag_report(d->cx.diags, E_NO_KERNEL, (Loc){0}, "`%s` has no kernel", m->src->path);
    diag_help(g, "declare one, with an output: `kernel NAME { ... }`");
    return false;
  }
  Diag *g =
      diag_report(d->cx.diags, E_NO_KERNEL, (Loc){0}, "`%s` has no kernel `%s`", m->src->path, d->opt.kernel);
  diag_help(g, "choose one that it has: %s", kernel_names(d->cx.arena, m));
  return false;
}

const Source *session_read(Driver *d, const char *path) {
  const char *error;
  const Source *src = source_read(d->cx.arena, path, &error);
  if (!src) diag_report(d->cx.diags, E_FILE, (Loc){0}, "cannot read `%s`: %s", path, error);
  return src;
}

bool session_load(Session *s, Driver *d, const char *path) {
  const Source *src = session_read(d, path);
  return src && session_load_source(s, d, src);
}

bool session_load_source(Session *s, Driver *d, const Source *src) {
  *s = (Session){.d = d};
  d->source = src;
  d->schedules.len = d->schedules.cap = 0;
  double start = now_seconds();
  VtaConfig config;
  if (!session_config(d, &config)) return false;
  s->vta = vta_target_new(&d->cx, &config);
  TeOptions opt = {.targets = &s->vta->te,
                   .ntargets = 1,
                   .ndefines = (int)d->opt.defines.len,
                   .defines = d->opt.defines.data,
                   .ninclude_dirs = (int)d->opt.include_dirs.len,
                   .include_dirs = d->opt.include_dirs.data};
  s->module = te_load(&d->cx, src, &opt);
  s->load_seconds = now_seconds() - start;
  return s->module && !diags_errors(d->cx.diags) && pick_kernels(s);
}

static bool stops_at(const Driver *d, const char *phase) {
  return d->opt.stop_after && !strcmp(d->opt.stop_after, phase);
}

// A pass starts, unless the program is known to be broken.
static bool before_pass(void *self, const Pass *p, const Func *given) {
  Dump *u = self;
  trail_note(u->s->d, p->name, given);
  dump_around(u, "before", p->name, u->s->d->opt.print_before, given);
  return !diags_have(u->s->d->cx.diags, E_VERIFY);
}

// --plant-fault.
static const Func *change_result(void *self, const Pass *p, const Func *made) {
  Dump *u = self;
  const char *fault = u->s->d->opt.plant_fault;
  return fault_is_at(fault, p->name) ? fault_plant(u->s->d, &u->s->d->cx, made) : made;
}

// A pass is done: its dump, its time.
static void after_pass(void *self, int number, const Pass *p, const Func *before, const Func *after,
                       double seconds) {
  Dump *u = self;
  (void)number;
  (void)before;
  dump_func(u, PHASE_FIRST_PASS + (int)(p - pass_table), p->name, after);
  dump_around(u, "after", p->name, u->s->d->opt.print_after, after);
  if (u->s->observe) u->s->observe(u->s->observer, p->name, after);
  dump_clock(u, p->name, seconds);
}

// The kernel after checking, as phase `te`.
static void dump_te(Dump *u) {
  if (!dump_wanted(u, "te")) return;
  Text t = {.arena = u->s->d->cx.arena};
  te_print(u->s->module, &t);
  dump_phase(u, PHASE_TE, "te", "te", t.data);
}

// te -> schedule.
static Schedule *make_schedule(Dump *u) {
  Session *s = u->s;
  Driver *d = s->d;
  bool ok = true;
  const TeSchedule *source = schedule_find(&d->cx, s->module, u->kernel, d->opt.schedule, &ok);
  if (!ok) return NULL;
  ScheduleOptions opt = {.target = s->module->target ? &s->vta->tir : NULL,
                         .te_target = s->module->target ? &s->vta->te : NULL,
                         .nknobs = (int)d->opt.knobs.len,
                         .knobs = d->opt.knobs.data,
                         .legalize = d->opt.legalize};
  Schedule *schedule = schedule_apply(&d->cx, s->module, u->kernel, source, &opt);
  dump_clock(u, "schedule", -1);
  if (!schedule) return NULL;
  VEC_PUSH(d->cx.arena, d->schedules, schedule);
  if (dump_wanted(u, "schedule")) {
    Text t = {.arena = d->cx.arena};
    schedule_print(schedule, &t);
    dump_phase(u, PHASE_SCHEDULE, "schedule", "txt", t.data);
  }
  return schedule;
}

// schedule -> TIR -> the last pass.
static Func *make_func(Dump *u, Unit *unit, PassCtx *pc) {
  Driver *d = u->s->d;
  trail_note(d, "lower", NULL);
  const Func *f = pass_lower(pc, unit->schedule);
  dump_clock(u, "lower", -1);
  if (!f) return NULL;
  if (fault_is_at(d->opt.plant_fault, "lower")) f = fault_plant(d, &d->cx, f);
  dump_func(u, PHASE_LOWER, "lower", f);
  dump_around(u, "after", "lower", d->opt.print_after, f);
  if (u->s->observe) u->s->observe(u->s->observer, "lower", f);
  unit->stopped = stops_at(d, "lower");
  if (unit->stopped) return func_with_body(&d->cx, f, f->body);
  int stop = d->opt.stop_after ? pass_find(d->opt.stop_after) : -1;
  PipelineHooks hooks = {.self = u, .verify = d->opt.verify_each, .before = before_pass, .after = after_pass};
  if (d->opt.plant_fault) hooks.change = change_result;
  Func *last = pipeline_run(pc, f, 0, stop >= 0 ? stop : pass_count - 1, &hooks);
  unit->stopped = stop >= 0;
  if (last && !unit->stopped) trail_note(d, "the back end", last);
  return last;
}

// One kernel, from the graph to FORM_CALLS (or to where --stop-after says).
bool session_lower(Session *s, const TeKernel *k, Unit *unit) {
  Driver *d = s->d;
  *unit = (Unit){.kernel = k};
  Dump u = {.s = s, .kernel = k, .since = now_seconds()};
  PassCtx pc = {.cx = &d->cx, .vta = s->module->target ? s->vta : NULL};
  dump_te(&u);
  unit->stopped = stops_at(d, "te");
  if (unit->stopped) return true;
  dump_clock(&u, "te", s->load_seconds);
  unit->schedule = make_schedule(&u);
  diags_show_remarks(d->cx.diags, d->opt.remarks);
  if (unit->schedule && d->opt.remarks) schedule_remarks(&d->cx, unit->schedule);
  unit->stopped = unit->schedule && stops_at(d, "schedule");
  if (unit->stopped) return true;
  if (unit->schedule) unit->func = make_func(&u, unit, &pc);
  unit->stats = pc.stats;
  if (d->opt.time_passes) dump_times(&u);
  return unit->func && !diags_errors(d->cx.diags);
}

// The exit status for the errors reported so far: our own fault, a file, the input.
int driver_status(const Driver *d) {
  if (!diags_errors(d->cx.diags)) return EXIT_DONE;
  if (diags_have(d->cx.diags, E_INTERNAL) || diags_have(d->cx.diags, E_VERIFY)) return EXIT_OURS;
  return diags_have(d->cx.diags, E_FILE) ? EXIT_FILES : EXIT_INPUT;
}

// SPDX-License-Identifier: Apache-2.0
// The compiler as two functions: a text to checked kernels, a kernel to TIR that a back end takes.
#include "compile/compile.h"

#include <string.h>

int phase_number(const char *phase) {
  static const char *const first[] = {[PHASE_TE] = "te", [PHASE_SCHEDULE] = "schedule", [PHASE_LOWER] = "lower"};
  for (int i = 0; i < PHASE_FIRST_PASS; i++)
    if (!strcmp(phase, first[i])) return i;
  int pass = pass_find(phase);
  return pass < 0 ? -1 : PHASE_FIRST_PASS + pass;
}

// The kernels' names, for messages.
static const char *kernel_names(Arena *a, const TeModule *m) {
  Text t = {.arena = a};
  for (int i = 0; i < m->nkernels; i++) text_add(&t, "%s`%s`", i ? ", " : "", m->kernels[i]->name);
  return t.len ? t.data : "none";
}

// Chooses the kernel that is asked for, or all.
static bool pick_kernels(Compilation *c) {
  const TeModule *m = c->module;
  const char *wanted = c->options->kernel;
  for (int i = 0; i < m->nkernels; i++) {
    if (wanted && strcmp(m->kernels[i]->name, wanted)) continue;
    VEC_PUSH(c->cx->arena, c->kernels, m->kernels[i]);
  }
  if (c->kernels.len) return true;
  if (!m->nkernels) {
    Diag *g = diag_report(c->cx->diags, E_NO_KERNEL, (Loc){0}, "`%s` has no kernel", m->src->path);
    diag_help(g, "declare one, with an output: `kernel NAME { ... }`");
    return false;
  }
  Diag *g = diag_report(c->cx->diags, E_NO_KERNEL, (Loc){0}, "`%s` has no kernel `%s`", m->src->path, wanted);
  diag_help(g, "choose one that it has: %s", kernel_names(c->cx->arena, m));
  return false;
}

bool compile_load(Compilation *c, Ctx *cx, const Source *src, const CompileOptions *options,
                  const CompileHooks *hooks) {
  static const CompileHooks none = {0};
  double start = now_seconds();
  *c = (Compilation){.cx = cx, .source = src, .options = options, .hooks = hooks ? hooks : &none};
  c->vta = vta_target_new(cx, &options->config);
  TeOptions opt = {.targets = &c->vta->te,
                   .ntargets = 1,
                   .ndefines = options->ndefines,
                   .defines = options->defines,
                   .ninclude_dirs = options->ninclude_dirs,
                   .include_dirs = options->include_dirs,
                   .given = options->given,
                   .nshown = options->nshown,
                   .shown = options->shown};
  c->module = te_load(cx, src, &opt);
  c->load_seconds = now_seconds() - start;
  return c->module && !diags_errors(cx->diags) && pick_kernels(c);
}

// ---- one kernel -----------------------------------------------------------------------------------------------------

typedef struct Lowering {
  Compilation *c;
  Unit *unit;
  double since; // when the phase began
} Lowering;

static bool stops_at(const Compilation *c, const char *phase) {
  return c->options->stop_after && !strcmp(c->options->stop_after, phase);
}

static void begins(const Compilation *c, const char *phase, const Func *given) {
  if (c->hooks->begins) c->hooks->begins(c->hooks->self, phase, given);
}

// A phase is done, in the time since the last one.
static void made(Lowering *l, const char *phase, const Func *f, double seconds) {
  const CompileHooks *h = l->c->hooks;
  if (h->made) h->made(h->self, l->c, l->unit, phase, f, seconds);
  l->since = now_seconds();
}

// A pass starts, unless the program is known to be broken.
static bool before_pass(void *self, const Pass *p, const Func *given) {
  const Lowering *l = self;
  begins(l->c, p->name, given);
  return !diags_have(l->c->cx->diags, E_VERIFY);
}

static const Func *change_result(void *self, const Pass *p, const Func *f) {
  const CompileHooks *h = ((Lowering *)self)->c->hooks;
  return h->change(h->self, p->name, f);
}

static void after_pass(void *self, int number, const Pass *p, const Func *before, const Func *after, double seconds) {
  (void)number;
  (void)before;
  made(self, p->name, after, seconds);
}

static bool is_measured(const CompileOptions *o, const TeKernel *k) {
  for (int i = 0; i < o->nmeasured; i++)
    if (!strcmp(o->measured[i], k->name)) return true;
  return false;
}

// te -> schedule.
static Schedule *make_schedule(Lowering *l) {
  const Compilation *c = l->c;
  const CompileOptions *o = c->options;
  bool ok = true, none = o->schedule && !strcmp(o->schedule, "none");
  bool measured = is_measured(o, l->unit->kernel), plan = !measured && o->schedule && !strcmp(o->schedule, "auto");
  const char *name = measured ? NULL : o->schedule;
  const TeSchedule *source = none || plan ? NULL : schedule_find(c->cx, c->module, l->unit->kernel, name, &ok);
  if (!ok) return NULL;
  ScheduleOptions opt = {.target = c->module->target ? &c->vta->tir : NULL,
                         .te_target = c->module->target ? &c->vta->te : NULL,
                         .nknobs = o->nknobs,
                         .knobs = o->knobs,
                         .legalize = o->legalize};
  PlanOptions how = {.schedule = &opt,
                     .vta = c->module->target ? c->vta : NULL,
                     .core = o->core,
                     .effort = o->plan_effort,
                     .memory = o->trial_memory};
  if (!source && !none && !o->nknobs) return plan_kernel(c->cx, c->module, l->unit->kernel, &how);
  return schedule_apply(c->cx, c->module, l->unit->kernel, source, &opt);
}

// schedule -> TIR -> the last pass.
static Func *make_func(Lowering *l, PassCtx *pc) {
  Compilation *c = l->c;
  const CompileHooks *h = c->hooks;
  begins(c, "lower", NULL);
  const Func *f = pass_lower(pc, l->unit->schedule);
  double seconds = now_seconds() - l->since;
  if (!f) return NULL;
  if (h->change) f = h->change(h->self, "lower", f);
  made(l, "lower", f, seconds);
  l->unit->stopped = stops_at(c, "lower");
  if (l->unit->stopped) return func_with_body(c->cx, f, f->body);
  int stop = c->options->stop_after ? pass_find(c->options->stop_after) : -1;
  PipelineHooks hooks = {.self = l,
                         .verify = c->options->verify_each,
                         .before = before_pass,
                         .after = after_pass,
                         .change = h->change ? change_result : NULL};
  Func *last = pipeline_run(pc, f, 0, stop >= 0 ? stop : pass_count - 1, &hooks);
  l->unit->stopped = stop >= 0;
  if (last && !l->unit->stopped) begins(c, "the back end", last);
  return last;
}

Unit *compile_kernel(Compilation *c, const TeKernel *k) {
  Unit *u = NEW(c->cx->arena, Unit);
  *u = (Unit){.kernel = k};
  VEC_PUSH(c->cx->arena, c->units, u);
  Lowering l = {.c = c, .unit = u, .since = now_seconds()};
  PassCtx pc = {.cx = c->cx, .vta = c->module->target ? c->vta : NULL};
  made(&l, "te", NULL, c->load_seconds);
  u->stopped = stops_at(c, "te");
  if (u->stopped) return u;
  u->schedule = make_schedule(&l);
  if (!u->schedule) return u;
  if (c->options->remarks) schedule_remarks(c->cx, u->schedule);
  made(&l, "schedule", NULL, now_seconds() - l.since);
  u->stopped = stops_at(c, "schedule");
  if (u->stopped) return u;
  u->func = make_func(&l, &pc);
  u->stats = pc.stats;
  return u;
}

bool unit_whole(const Compilation *c, const Unit *u) { return (u->func || u->stopped) && !diags_errors(c->cx->diags); }

bool compile(Compilation *c, Ctx *cx, const Source *src, const CompileOptions *options, const CompileHooks *hooks) {
  if (!compile_load(c, cx, src, options, hooks)) return false;
  for (size_t i = 0; i < c->kernels.len; i++) compile_kernel(c, c->kernels.data[i]);
  return !diags_errors(cx->diags);
}

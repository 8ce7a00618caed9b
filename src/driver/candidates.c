// SPDX-License-Identifier: Apache-2.0
// What tetc tune measures: values of the knobs of a kernel's schedule, or, where it has none, the planner's best plans.
#include "driver/tune.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PLANS = 20, MOST_KNOBS = 2000, AROUND = 5 };

// ---- the kernel -----------------------------------------------------------------------------------------------------

// A schedule to be tried: which, or that it is to be planned. False after a report.
static bool read_schedule(Tune *t) {
  const Driver *d = t->d;
  const char *named = d->opt.schedule;
  bool ok = true;
  if (named && !strcmp(named, "none")) {
    Diag *g = diag_report(d->cx.diags, E_TUNE, t->kernel->name_loc, "the default order of `%s` has nothing to choose",
                          t->kernel->name);
    diag_help(g, "without `--schedule=none` its plans are measured");
    return false;
  }
  if (named && !strcmp(named, "auto")) return true;
  t->schedule = schedule_find(&t->d->cx, t->s->c.module, t->kernel, named, &ok);
  return ok;
}

bool tune_read(Tune *t) {
  Driver *d = t->d;
  t->source = session_read(d, d->opt.files.data[0]);
  if (!t->source || !session_load_source(t->s, t->source)) return false;
  if (t->s->c.kernels.len > 1) {
    Diag *g =
        diag_report(d->cx.diags, E_TUNE, (Loc){0}, "`%s` has %zu kernels", d->opt.files.data[0], t->s->c.kernels.len);
    diag_help(g, "`--kernel=NAME` says which one is to be measured");
    return false;
  }
  t->kernel = t->s->c.kernels.data[0];
  return read_schedule(t);
}

// ---- knobs ----------------------------------------------------------------------------------------------------------

static bool is_given(const Options *o, Name knob) {
  for (size_t i = 0; i < o->knobs.len; i++)
    if (!strcmp(o->knobs.data[i].name, knob)) return true;
  return false;
}

// Those of its set, the one it has first; without a set, quarters, halves, doubles and so on of that one.
static int knob_values(Arena *a, const Knob *k, int64_t **out) {
  int n = 0;
  *out = NEW_ARRAY(a, int64_t, k->nset + AROUND + 1);
  (*out)[n++] = k->value;
  for (int i = 0; i < k->nset; i++)
    if (k->set[i] != k->value) (*out)[n++] = k->set[i];
  const int64_t around[] = {k->value / 4, k->value / 2, k->value > INT32_MAX ? 0 : k->value * 2,
                            k->value > INT32_MAX ? 0 : k->value * 4};
  for (size_t i = 0; i < sizeof around / sizeof *around && !k->nset; i++)
    if (around[i] > 0 && around[i] != (*out)[n - 1] && around[i] != k->value) (*out)[n++] = around[i];
  return n;
}

// The knobs that -K does not set.
static bool read_knobs(Tune *t) {
  Driver *d = t->d;
  Arena *a = d->cx.arena;
  d->opt.stop_after = "schedule";
  const Unit *u = session_lower(t->s, t->kernel);
  d->opt.stop_after = NULL;
  if (!unit_whole(&t->s->c, u)) return false;
  size_t n = u->schedule->knobs.len;
  t->knobs = NEW_ARRAY(a, Name, n + 1);
  t->knob_places = NEW_ARRAY(a, Loc, n + 1);
  t->nvalues = NEW_ARRAY(a, int, n + 1);
  t->values = NEW_ARRAY(a, int64_t *, n + 1);
  for (size_t i = 0; i < n; i++) {
    const Knob *k = &u->schedule->knobs.data[i];
    if (is_given(&d->opt, k->name)) continue;
    t->nvalues[t->nknobs] = knob_values(a, k, &t->values[t->nknobs]);
    t->knob_places[t->nknobs] = k->value_loc;
    t->knobs[t->nknobs++] = k->name;
  }
  if (t->nknobs) return true;
  Diag *g = diag_report(d->cx.diags, E_TUNE, t->schedule->loc, "the schedule of `%s` has no knobs%s", t->kernel->name,
                        n ? " but those that -K sets" : "");
  diag_help(g, n ? "leave out a -K" : "`--schedule=auto` measures plans in its place");
  return false;
}

// The values with number `at` in the product, the first knob's changing slowest.
static void add_values(Tune *t, int64_t at) {
  Arena *a = t->d->cx.arena;
  Text plan = {.arena = a}, label = {.arena = a};
  int64_t *value = NEW_ARRAY(a, int64_t, t->nknobs + 1);
  for (int i = t->nknobs; i-- > 0; at /= t->nvalues[i]) value[i] = t->values[i][at % t->nvalues[i]];
  for (int i = 0; i < t->nknobs; i++) {
    text_add(&plan, "%s%s=%lld", i ? " " : "", t->knobs[i], (long long)value[i]);
    text_add(&label, "%s-K %s=%lld", i ? " " : "", t->knobs[i], (long long)value[i]);
  }
  Candidate c = {.plan = plan.data, .label = label.data};
  VEC_PUSH(a, t->candidates, c);
}

static bool list_values(Tune *t) {
  int64_t effort = t->d->opt.plan_effort, most = effort > 0 ? effort : MOST_KNOBS, all = 1;
  if (!read_knobs(t)) return false;
  for (int i = 0; i < t->nknobs; i++) all = all > INT64_MAX / 100000 / t->nvalues[i] ? all : all * t->nvalues[i];
  if (all <= most) most = all;
  for (int64_t i = 0; i < most; i++) add_values(t, (int64_t)((double)all / (double)most * (double)i));
  return true;
}

// ---- plans ----------------------------------------------------------------------------------------------------------

static bool has_candidate(const Tune *t, const char *plan) {
  for (size_t i = 0; i < t->candidates.len; i++)
    if (!strcmp(t->candidates.data[i].plan, plan)) return true;
  return false;
}

// False: it cannot be built, or is one of them.
static bool add_plan(Tune *t, const int *choices, const char *label, int part, int choice) {
  const char *text = plan_space_text(t->space, choices);
  if (!text || has_candidate(t, text)) return false;
  Candidate c = {.plan = text, .label = label, .part = part, .choice = choice};
  VEC_PUSH(t->d->cx.arena, t->candidates, c);
  return true;
}

// Where a plan goes in the text; false after a report.
static bool find_place(Tune *t) {
  t->place = schedule_edit_text(&t->d->cx, t->s->c.module, t->kernel, NULL, "");
  if (loc_known(t->place.at)) return true;
  Diag *g = diag_report(t->d->cx.diags, E_TUNE, t->kernel->name_loc,
                        "`%s` is scheduled in an imported file, and that counts", t->kernel->name);
  diag_help(g, "measure that file");
  return false;
}

static bool list_plans(Tune *t) {
  Driver *d = t->d;
  Arena *a = d->cx.arena;
  const Compilation *c = &t->s->c;
  int64_t effort = d->opt.plan_effort;
  int most = effort > 0 ? (int)effort : MOST_PLANS;
  bool vta = c->module->target != NULL;
  ScheduleOptions *o = NEW(a, ScheduleOptions);
  PlanOptions *p = NEW(a, PlanOptions);
  *o = (ScheduleOptions){.target = vta ? &c->vta->tir : NULL, .te_target = vta ? &c->vta->te : NULL};
  *p = (PlanOptions){.schedule = o,
                     .vta = vta ? c->vta : NULL,
                     .core = &d->board.core,
                     .effort = most > PLAN_EFFORT ? most : PLAN_EFFORT,
                     .memory = (size_t)d->opt.memory << 20};
  t->space = plan_space(&d->cx, c->module, t->kernel, p, most);
  int parts = plan_space_parts(t->space), *choices = NEW_ARRAY(a, int, parts + 1);
  if (!parts) {
    Diag *g = diag_report(d->cx.diags, E_TUNE, t->kernel->name_loc,
                          "there is nothing to choose: no part of `%s` is planned for VTA", t->kernel->name);
    diag_help(g, "write a schedule with knobs; `tetc check --remarks` says why stages are left to the CPU");
    return false;
  }
  add_plan(t, choices, "as planned", 0, 0);
  for (int i = 0; i < parts; i++)
    for (int k = 1; k < plan_space_choices(t->space, i); k++) {
      choices[i] = k;
      add_plan(t, choices, arena_printf(a, "`%s` by choice %d", plan_space_name(t->space, i), k + 1), i, k);
      choices[i] = 0;
    }
  return find_place(t);
}

bool tune_list(Tune *t) { return t->schedule ? list_values(t) : list_plans(t); }

bool candidate_less(const Candidate *a, const Candidate *b) {
  if (a->result.measured != b->result.measured) return a->result.measured;
  if (!a->result.measured) return false;
  if (a->result.value != b->result.value) return a->result.value < b->result.value;
  return a < b;
}

bool tune_combine(Tune *t) {
  int parts = t->space ? plan_space_parts(t->space) : 0, *choices = NEW_ARRAY(t->d->cx.arena, int, parts + 1);
  for (int i = 0; i < parts; i++) {
    const Candidate *best = &t->candidates.data[0];
    for (size_t k = 1; k < t->candidates.len; k++)
      if (t->candidates.data[k].part == i && candidate_less(&t->candidates.data[k], best))
        best = &t->candidates.data[k];
    choices[i] = best->choice; // the first, too, is one of this part
  }
  return parts > 1 && add_plan(t, choices, "the best of each part", -1, 0);
}

// ---- in the text ----------------------------------------------------------------------------------------------------

const Source *tune_source(const Tune *t, const char *plan) {
  Ctx *cx = &t->d->cx;
  if (t->schedule) return t->source;
  size_t len = strlen(plan);
  const char *text = arena_printf(cx->arena, "%.*s", (int)(len - (len && plan[len - 1] == '\n')), plan);
  SourceEdit edit = schedule_edit_text(cx, t->s->c.module, t->kernel, NULL, text);
  return source_edits(cx->arena, t->source, 1, &edit);
}

const Source *tune_product(const Tune *t, const char *plan) {
  Arena *a = t->d->cx.arena;
  if (!t->schedule) return tune_source(t, plan);
  SourceEdit *edits = NEW_ARRAY(a, SourceEdit, t->nknobs + 1);
  size_t n = 0;
  for (int i = 0; i < t->nknobs; i++) { // in the order of the text, as `plan` has them
    const char *value = strchr(plan, '=') + 1;
    size_t len = strcspn(value, " ");
    if (t->knob_places[i].src == t->source)
      edits[n++] = (SourceEdit){t->knob_places[i], arena_printf(a, "%.*s", (int)len, value)};
    plan = value + len;
  }
  return source_edits(a, t->source, n, edits);
}

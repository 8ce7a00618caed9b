// SPDX-License-Identifier: Apache-2.0
// Runs a schedule's statements: names, knobs, `for`, and calls of primitives. All errors of a schedule are told: a
// statement that fails does nothing and the next one is tried.
#include "schedule/internal.h"

#include <string.h>

enum { MOST_STATEMENTS = 100000 };

bool applier_failed(const Applier *ap, Name name) {
  for (size_t i = 0; i < ap->failed.len; i++)
    if (ap->failed.data[i] == name) return true;
  return false;
}

static const Primitive *find_primitive(Ctx *cx, SchedName method) {
  for (int i = 0; i < primitive_count; i++)
    if (strcmp(method.name, primitive_table[i].name) == 0) return &primitive_table[i];
  Nearest near = {.wanted = method.name};
  for (int i = 0; i < primitive_count; i++) nearest_try(&near, primitive_table[i].name);
  Diag *g = diag_report(cx->diags, E_NO_PRIMITIVE, method.loc, "there is no schedule primitive `%s`", method.name);
  if (foreign_primitive(g, method.name)) return NULL;
  for (int i = 0; i < primitive_count; i++)
    if (near.best && strcmp(near.best, primitive_table[i].name) == 0) {
      diag_nearest(g, method.loc, &near, "a similar one exists");
      diag_help(g, "it is written `%s`", primitive_table[i].usage);
      return NULL;
    }
  Text t = {.arena = cx->arena};
  for (int i = 0; i < primitive_count; i++) text_add(&t, "%s%s", i ? ", " : "", primitive_table[i].name);
  diag_note(g, "the primitives are: %s", t.data);
  return NULL;
}

// Whether `keys` (space-separated) has `key`.
static bool has_key(const char *keys, const char *key) {
  size_t n = strlen(key);
  for (const char *p = strstr(keys, key); p; p = strstr(p + 1, key))
    if ((p == keys || p[-1] == ' ') && (p[n] == ' ' || !p[n])) return true;
  return false;
}

// Offers the keyword that is spelt like the one of `a`.
static void fix_key(Ctx *cx, Diag *g, const Primitive *p, const SchedArg *a) {
  Nearest near = {.wanted = a->key};
  for (const char *k = p->keys; *k; k += strcspn(k, " "), k += strspn(k, " "))
    nearest_try(&near, name_of_bytes(cx->names, k, strcspn(k, " ")));
  if (!near.best) return;
  Loc key = a->loc; // starts at the keyword
  key.end_line = key.line;
  key.end_col = key.col + (uint32_t)strlen(a->key);
  diag_nearest(g, key, &near, "a similar one exists");
}

// Counts and keywords, before the primitive looks at its arguments.
static bool check_arguments(Applier *ap, const Primitive *p, const SchedStmt *st) {
  Ctx *cx = ap->cx;
  for (int i = 0; i < st->nargs; i++)
    if (st->args[i].key && !has_key(p->keys, st->args[i].key)) {
      Diag *g =
          diag_report(cx->diags, E_ARGUMENT, st->args[i].loc, "`%s` takes no argument `%s`", p->name, st->args[i].key);
      fix_key(cx, g, p, &st->args[i]);
      diag_help(g, "it is written `%s`", p->usage);
      return false;
    }
  if (st->nargs < p->min_args || (p->max_args >= 0 && st->nargs > p->max_args)) {
    Diag *g = diag_report(cx->diags, E_ARGUMENT, st->loc, "`%s` is given %d argument%s", p->name, st->nargs,
                          st->nargs == 1 ? "" : "s");
    diag_help(g, "it is written `%s`", p->usage);
    return false;
  }
  if (st->nresults > p->max_results) {
    Diag *g = diag_report(cx->diags, E_ARGUMENT, st->loc, "`%s` gives %d result%s, not %d", p->name, p->max_results,
                          p->max_results == 1 ? "" : "s", st->nresults);
    diag_help(g, "it is written `%s`", p->usage);
    return false;
  }
  return true;
}

static void results_fail(Applier *ap, const SchedStmt *st) {
  for (int i = 0; i < st->nresults; i++) VEC_PUSH(ap->cx->arena, ap->failed, st->results[i].name);
}

void report_no_stage(Applier *ap, Loc at, Name name) {
  Diag *g = diag_report(ap->cx->diags, E_NO_STAGE, at, "there is no stage `%s`", name);
  if (ap->frame->part) {
    diag_also(g, ap->frame->part->name_loc, "in this part");
    diag_help(g,
              "a part has the stages that it is given, and those that it makes: let it have a parameter for this one");
    return;
  }
  Text t = {.arena = ap->cx->arena};
  Nearest near = {.wanted = name};
  for (size_t i = 0; i < ap->s->stages.len; i++) {
    nearest_try(&near, ap->s->stages.data[i]->name);
    if (i < 20) text_add(&t, "%s%s", i ? ", " : "", ap->s->stages.data[i]->name);
  }
  diag_note(g, "the stages are: %s", t.data);
  if (near.best) diag_guess(g, at, near.best, "a similar name exists");
  else diag_help(g, "a stage is a tensor of the kernel, or what `cache_read` and `cache_write` made before this line");
}

// Names a primitive's results: stages of a part after the first stage that it was given. False after a report.
static bool name_results(Applier *ap, const Primitive *p, SchedStmt *st) {
  Ctx *cx = ap->cx;
  Frame *f = ap->frame;
  bool stages = strncmp(p->name, "cache", 5) == 0 || strcmp(p->name, "rfactor") == 0;
  if (stages && f->part && !f->first) {
    Diag *g = diag_report(cx->diags, E_ARGUMENT, st->loc, "the part `%s` was given no stage", f->part->name);
    diag_help(g, "what a part makes is named after the first stage it is given: give it one");
    return false;
  }
  if (stages && f->part) {
    const char *base = st->nresults ? st->results[0].name : "buf";
    SchedName r = {.name = schedule_fresh_name(ap->s, arena_printf(cx->arena, "%s.%s", f->first, base)),
                   .loc = st->loc};
    if (st->nresults) frame_bind_stage(ap, st->results[0].name, r.name, st->results[0].loc);
    st->results = arena_copy(cx->arena, &r, sizeof r);
    st->nresults = 1;
    return true;
  }
  for (int i = 0; i < st->nresults; i++) {
    SchedName r = st->results[i];
    Name was = applier_full_name(ap, r.name);
    if (stages && (schedule_stage_named(ap->s, r.name) || (was && schedule_stage_named(ap->s, was)))) {
      Diag *g = diag_report(cx->diags, E_DUPLICATE_NAME, r.loc, "there is a stage `%s` already", r.name);
      diag_help(g, "give this one another name");
      return false;
    }
    // A loop: where the name stands for a stage it goes on to do so.
    if (!stages && was != r.name && !(was && schedule_stage_named(ap->s, was)))
      frame_bind_stage(ap, r.name, r.name, r.loc);
  }
  return true;
}

static void apply_call(Applier *ap, const SchedStmt *written) {
  Name full = applier_full_name(ap, written->receiver.name);
  Stage *s = applier_stage(ap, written->receiver.name);
  if (!s && full && applier_failed(ap, full)) return;
  if (!s && applier_failed(ap, written->receiver.name)) return;
  if (!s) {
    report_no_stage(ap, written->receiver.loc, written->receiver.name);
    return;
  }
  const Primitive *p = find_primitive(ap->cx, written->method);
  SchedStmt *st = p && check_arguments(ap, p, written) ? applier_rewrite(ap, written) : NULL;
  if (!st) {
    results_fail(ap, written);
    return;
  }
  if (!name_results(ap, p, st)) {
    if (ap->frame->part) results_fail(ap, written);
    return;
  }
  Call c = {.ap = ap, .stmt = st, .stage = s};
  p->apply(&c);
  if (c.failed) results_fail(ap, st);
}

// Knobs come before params and consts in constant expressions.
bool knob_lookup(void *self, Name name, int64_t *value) {
  Schedule *s = self;
  for (size_t i = s->knobs.len; i-- > 0;)
    if (s->knobs.data[i].name == name) {
      *value = s->knobs.data[i].value;
      s->knobs.data[i].used = true;
      return true;
    }
  return false;
}

// Evaluates the knob's set; false after a report.
static bool read_set(Applier *ap, const SchedStmt *st, Knob *k) {
  bool ok = true;
  int n = st->set ? st->set->nitems : 0;
  k->set = NEW_ARRAY(ap->cx->arena, int64_t, n + 1);
  for (k->nset = 0; k->nset < n; k->nset++)
    ok &= te_const_eval(ap->cx, ap->s->module, ap->opt->te_target, st->set->items[k->nset], knob_lookup, ap->s,
                        &k->set[k->nset]);
  return ok;
}

// Reports a knob whose value is not in its set.
static void check_set(Applier *ap, const Knob *k, const char *from) {
  Text t = {.arena = ap->cx->arena};
  for (int i = 0; i < k->nset; i++) {
    if (k->set[i] == k->value) return;
    text_add(&t, "%s%lld", i ? ", " : "", (long long)k->set[i]);
  }
  Diag *g = diag_report(ap->cx->diags, E_KNOB, k->loc, "knob `%s` is %lld%s, which is not in its set", k->name,
                        (long long)k->value, from);
  diag_help(g, "choose one of [%s]", t.len ? t.data : "none");
}

static void apply_knob(Applier *ap, const SchedStmt *st) {
  Ctx *cx = ap->cx;
  Knob k = {.name = st->receiver.name, .value_loc = st->value->loc, .loc = st->loc};
  for (size_t i = 0; i < ap->s->knobs.len; i++)
    if (ap->s->knobs.data[i].name == k.name) {
      Diag *g = diag_report(cx->diags, E_DUPLICATE_NAME, st->receiver.loc, "knob `%s` is declared twice", k.name);
      diag_also(g, ap->s->knobs.data[i].loc, "first declared here");
      diag_help(g, "give one of them another name");
      return;
    }
  bool ok = te_const_eval(cx, ap->s->module, ap->opt->te_target, st->value, knob_lookup, ap->s, &k.value);
  const char *from = "";
  for (int i = 0; i < ap->opt->nknobs; i++)
    if (strcmp(ap->opt->knobs[i].name, k.name) == 0) {
      k.value = ap->opt->knobs[i].value;
      k.value_loc = (Loc){0};
      ap->knob_used[i] = true;
      from = " (set by -K)";
    }
  if (ok && read_set(ap, st, &k) && st->set) check_set(ap, &k, from);
  VEC_PUSH(cx->arena, ap->s->knobs, k);
}

static void apply_for(Applier *ap, const SchedStmt *st) {
  for (int i = 0; i < st->nresults && !ap->frame->done; i++) {
    Stage *s = applier_stage(ap, st->results[i].name);
    if (!s && applier_failed(ap, st->results[i].name)) continue;
    if (!s) {
      report_no_stage(ap, st->results[i].loc, st->results[i].name);
      continue;
    }
    if (!ap->fors) diags_keep_whole(ap->cx->diags, st->loc);
    size_t names = ap->frame->names.len;
    frame_bind_stage(ap, st->receiver.name, s->name, st->results[i].loc);
    ap->fors++;
    apply_statements(ap, st->nbody, st->body);
    ap->fors--;
    ap->frame->names.len = names;
  }
}

static void apply_if(Applier *ap, const SchedStmt *st) {
  bool holds = false;
  diags_keep_whole(ap->cx->diags, st->loc);
  if (!applier_condition(ap, st->value, &holds))
    ap->frame->done = true; // what follows may need what it would have made
  else if (holds) apply_statements(ap, st->nbody, st->body);
  else apply_statements(ap, st->nother, st->other);
}

static void apply_statement(Applier *ap, const SchedStmt *st) {
  switch (st->kind) {
  case SCHED_CALL:
    if (!st->part) apply_call(ap, st);
    else if (!apply_part(ap, st)) results_fail(ap, st);
    return;
  case SCHED_KNOB:
    if (!ap->frame->part) {
      apply_knob(ap, st);
      return;
    }
    diag_help(diag_report(ap->cx->diags, E_KNOB, st->loc, "a knob stands in a part"),
              "declare it in the schedule, and give it to the part");
    return;
  case SCHED_FOR: apply_for(ap, st); return;
  case SCHED_IF: apply_if(ap, st); return;
  case SCHED_RETURN: apply_return(ap, st); return;
  }
}

void apply_statements(Applier *ap, int n, const SchedStmt *const *stmts) {
  for (int i = 0; i < n && !ap->frame->done && ap->nstmts <= MOST_STATEMENTS; i++) {
    if (++ap->nstmts <= MOST_STATEMENTS) {
      apply_statement(ap, stmts[i]);
      continue;
    }
    Diag *g = diag_report(ap->cx->diags, E_TOO_DEEP, stmts[i]->loc, "the schedule has more than %d statements",
                          MOST_STATEMENTS);
    diag_help(g, "each call of a part counts all statements of the part");
  }
}

Schedule *schedule_apply(Ctx *cx, const TeModule *m, const TeKernel *k, const TeSchedule *source,
                         const ScheduleOptions *opt) {
  int before = diags_errors(cx->diags);
  Schedule *s = schedule_new(cx, m, k, opt);
  s->source = source;
  Frame frame = {0};
  Applier ap = {.cx = cx, .s = s, .opt = opt, .frame = &frame};
  ap.knob_used = NEW_ARRAY(cx->arena, bool, opt->nknobs + 1);
  if (source) apply_statements(&ap, source->nstmts, source->stmts);
  for (int i = 0; i < opt->nknobs; i++)
    if (!ap.knob_used[i]) {
      Diag *g = diag_report(cx->diags, E_PARAM, source ? source->loc : k->name_loc,
                            "-K %s sets a knob that the schedule does not have", opt->knobs[i].name);
      if (!source) diag_note(g, "kernel `%s` has no schedule", k->name);
    }
  for (size_t i = 0; i < s->knobs.len && diags_errors(cx->diags) == before; i++)
    if (!s->knobs.data[i].used)
      diag_fix_drop(diag_report(cx->diags, W_NO_EFFECT, s->knobs.data[i].loc,
                                "knob `%s` has no effect: nothing uses it", s->knobs.data[i].name),
                    s->knobs.data[i].loc, "drop it");
  return diags_errors(cx->diags) == before && schedule_complete(s) ? s : NULL;
}

const TeSchedule *schedule_find(Ctx *cx, const TeModule *m, const TeKernel *k, const char *name, bool *ok) {
  *ok = true;
  for (int i = 0; i < m->nschedules; i++) {
    const TeSchedule *s = m->schedules[i];
    if (s->kernel == k->name && (!name || (s->name && strcmp(s->name, name) == 0))) return s;
  }
  if (!name) return NULL;
  Diag *g = diag_report(cx->diags, E_NO_KERNEL, k->name_loc, "kernel `%s` has no schedule `%s`", k->name, name);
  Text t = {.arena = cx->arena};
  for (int i = 0; i < m->nschedules; i++)
    if (m->schedules[i]->kernel == k->name && m->schedules[i]->name) text_add(&t, " `%s`", m->schedules[i]->name);
  if (t.len) diag_help(g, "choose one of its named schedules:%s", t.data);
  else
    diag_help(g, "it has none with a name: leave out --schedule, or write `schedule %s : %s { ... }`", k->name, name);
  *ok = false;
  return NULL;
}

// SPDX-License-Identifier: Apache-2.0
// The search: of each group the best few choices by their estimates are built, lowered and timed; the best by time is
// taken. What cannot be built is dropped. Groups are planned one by one, the rest of the kernel in its default order.
#include "plan/internal.h"
#include "runtime/device.h"

#include <string.h>

// A candidate, built and lowered in memory of its own.
typedef struct Trial {
  jmp_buf exhausted;
  Ctx cx;
  int64_t cycles;  // -1: it is refused
  const char *why; // the first error, in the planner's own memory
} Trial;

// The first error's text.
static const char *first_error(const Trial *t, Arena *to) {
  if (!diags_errors(t->cx.diags)) return NULL;
  for (size_t i = 0; i < DIAG_CODE_COUNT; i++) {
    const Diag *g = diag_severity((DiagCode)i) == SEV_ERROR ? diags_find(t->cx.diags, (DiagCode)i, 0) : NULL;
    if (g) return arena_printf(to, "%s", diag_headline(g));
  }
  return NULL;
}

// The cycles of a stream: by the coarse clock, or by the timing model.
static int64_t time_stream(Trial *t, const Problem *p, const VtaStream *stream, bool exact) {
  const VtaConfig *config = &p->options->vta->config;
  const char *why;
  TetcStats stats;
  if (!exact) return clock_stream(&t->cx, config, &p->core, stream);
  return vta_stream_cycles(config, stream, &p->core, &stats, &why) ? (int64_t)stats.cycles : -1;
}

static void build_trial(Trial *t, const Problem *p, const TeKernel *k, size_t n, const Planned *plans, bool exact) {
  Schedule *s = schedule_new(&t->cx, p->module, k, p->options->schedule);
  if (!build_groups(s, p->options->vta, n, plans) || !schedule_complete(s)) return;
  PassCtx pc = {.cx = &t->cx, .vta = p->options->vta};
  // Constants take no time in a call, and would take it in each trial.
  const Func *f = pass_lower(&pc, s);
  if (f) f = pipeline_run(&pc, f, pass_find("constants") + 1, pass_count - 1, &(PipelineHooks){0});
  if (!f || diags_errors(t->cx.diags)) return;
  VtaStream stream;
  VtaStreamFault fault;
  if (vta_stream_new(&t->cx, f, &stream, &fault)) t->cycles = time_stream(t, p, &stream, exact);
}

// What groups so planned take together in kernel k, in cycles; -1: they cannot be built, *why says why.
static int64_t try_plans(const Problem *p, const TeKernel *k, size_t n, const Planned *plans, bool exact,
                         const char **why) {
  Trial *t = NEW(p->cx->arena, Trial);
  t->cycles = -1;
  t->cx.arena = arena_new();
  if (!t->cx.arena) return -1;
  if (!setjmp(t->exhausted)) {
    arena_on_exhaustion(t->cx.arena, &t->exhausted, p->options->memory);
    t->cx.names = p->cx->names;
    t->cx.diags = diags_new(t->cx.arena);
    build_trial(t, p, k, n, plans, exact);
    if (t->cycles < 0) *why = first_error(t, p->cx->arena);
  }
  arena_free(t->cx.arena);
  return t->cycles;
}

// ---- a group

enum { MOST_EXACT = 8, EXACT_CYCLES = 16000000 }; // candidates that the timing model times; cycles, together

// The best few by the coarse clock, best first.
static void rank(Ranking *r, const Choice *c, int64_t cycles) {
  int at = r->n;
  while (at && r->cycles[at - 1] > cycles) at--;
  if (at == r->most) return;
  if (r->n < r->most) r->n++;
  for (int i = r->n - 1; i > at; i--) r->choice[i] = r->choice[i - 1], r->cycles[i] = r->cycles[i - 1];
  r->choice[at] = *c;
  r->cycles[at] = cycles;
}

// The best of them by the timing model; where it has no answer, or too long to work, by the clock.
static void choose(const Problem *p, const TeKernel *k, const Ranking *r, Planned *best) {
  int64_t left = EXACT_CYCLES;
  const char *why = NULL;
  for (int i = 0; i < r->n && i < MOST_EXACT && (i < 2 || r->cycles[i] <= left); i++) {
    Planned one = {.group = best->group, .choice = r->choice[i]};
    int64_t cycles = try_plans(p, k, 1, &one, true, &why);
    left -= r->cycles[i];
    if (cycles < 0) cycles = r->cycles[i];
    bool better = !best->found || cycles < best->cycles;
    if (best->found) {
      int64_t other = better ? best->cycles : cycles;
      if (best->next < 0 || other < best->next) best->next = other;
    }
    if (better) best->choice = r->choice[i], best->cycles = cycles;
    best->found = true;
  }
}

// The plan of a group, or that of one before it that is the same; `most` of its choices are ranked.
static Planned plan_group(const Problem *p, const Group *g, int most, size_t n, const Planned *before) {
  int64_t effort = p->options->effort > 0 ? p->options->effort : PLAN_EFFORT;
  Planned best = {.group = g, .next = -1};
  const TeKernel *k = group_kernel(p, g, &best.key);
  for (size_t i = 0; i < n; i++)
    if (!strcmp(before[i].key, best.key)) {
      best = before[i];
      best.group = g;
      best.same = before[i].same ? before[i].same : before[i].group;
      return best;
    }
  Ranking *ranking = NEW(p->cx->arena, Ranking);
  *ranking = (Ranking){.most = most < MOST_EXACT ? MOST_EXACT : most};
  ranking->choice = NEW_ARRAY(p->cx->arena, Choice, ranking->most);
  ranking->cycles = NEW_ARRAY(p->cx->arena, int64_t, ranking->most);
  best.ranking = ranking;
  Choices few = space_search(p, g, (int)effort * 3, &best.tried);
  for (size_t i = 0; i < few.len && best.timed < effort; i++) {
    const char *why = NULL;
    Planned one = {.group = g, .choice = few.data[i]};
    int64_t cycles = try_plans(p, k, 1, &one, false, &why);
    if (cycles < 0) {
      best.refused++;
      if (!best.why) best.why = why;
      continue;
    }
    best.timed++;
    rank(ranking, &few.data[i], cycles);
  }
  choose(p, k, ranking, &best);
  return best;
}

static const char *tile_text(Ctx *cx, const Planned *b) {
  Text t = {.arena = cx->arena};
  text_add(&t, "%s", "");
  for (int i = 0; i < b->choice.naxes; i++) {
    const TeAxis *a = b->group->root->axes[i];
    if (a->extent > 1 && b->choice.tile[i] < a->extent)
      text_add(&t, "%s`%s` by %lld", t.len ? ", " : "", a->name, (long long)b->choice.tile[i]);
  }
  if (b->choice.thread >= 0) text_add(&t, ", `%s` in two threads", b->group->root->axes[b->choice.thread]->name);
  return t.len ? t.data : "all at once";
}

static void remark(const Problem *p, const Planned *b) {
  const Group *g = b->group;
  const TeTensor *t = g->gemm ? g->gemm : g->root;
  Loc at = t->name_loc.src == p->kernel->loc.src ? t->name_loc : g->root->name_loc; // what a call made: at the call
  if (!b->found) {
    Diag *d = diag_report(p->cx->diags, R_PLAN, at, "`%s` is left to the CPU: no plan was found", t->name);
    diag_note(d, "%lld choices fit on chip, %lld were built%s%s", (long long)b->tried, (long long)b->refused,
              b->why ? "; the first was refused: " : "", b->why ? b->why : "");
    return;
  }
  Bounds bounds = group_bounds(p, g);
  Diag *d = diag_report(p->cx->diags, R_PLAN, at, "`%s` is planned for VTA: about %lld cycles", t->name,
                        (long long)b->cycles);
  const TeTensor *like = !b->same ? NULL : b->same->gemm ? b->same->gemm : b->same->root;
  if (like) diag_note(d, "it is the same as `%s`, and is planned once", like->name);
  diag_note(d, "tiles: %s", tile_text(p->cx, b));
  diag_note(d, "%s bind%s it: at least %lld cycles", bounds.binds,
            bounds.binds[0] == 't' && bounds.binds[4] == 'm' ? "" : "s", (long long)bounds.cycles);
  if (b->next >= 0)
    diag_note(d, "the next best of %lld choices, of which %lld were timed, would take about %lld", (long long)b->tried,
              (long long)b->timed, (long long)b->next);
}

// ---- a kernel

// Groups that were planned one by one must be possible together. Returns how many are; what cannot be beside those
// before it is found no more.
static size_t keep_possible(const Problem *p, size_t n, Planned *plans) {
  Planned *now = NEW_ARRAY(p->cx->arena, Planned, n + 1);
  size_t kept = 0;
  const char *why = NULL;
  for (size_t i = 0; i < n; i++)
    if (plans[i].found) now[kept++] = plans[i];
  if (!kept || try_plans(p, p->kernel, kept, now, false, &why) >= 0) return kept;
  kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (!plans[i].found) continue;
    now[kept] = plans[i];
    plans[i].found = try_plans(p, p->kernel, kept + 1, now, false, &plans[i].why) >= 0;
    kept += plans[i].found;
  }
  return kept;
}

// A part of a stage that fits int8, such as the accelerator stores, may be worth a stage of its own.
static bool may_narrow(const TeTensor *t) {
  return t->body && t->reduce == TE_NO_REDUCE && !t->circle && t->type != DT_I8;
}

// The kernel with the parts of those of its stages that are wanted.
static void narrow(Problem *p, const TeKernel *k, const bool *wanted) {
  Ctx quiet = *p->cx;
  quiet.diags = diags_new(p->cx->arena); // a refusal is no fault of the program
  Schedule *s = schedule_new(&quiet, p->module, k, p->options->schedule);
  PtrMap parts = {0};
  for (int i = 0; i < k->ntensors; i++) {
    if (!wanted[i]) continue;
    Stage *st = schedule_stage_named(s, k->tensors[i]->name);
    const Stage *made = stage_cache_write_as(s, st, &scope_host, DT_I8, NULL, NULL);
    if (made) ptrmap_put(p->cx->arena, &parts, made, i);
  }
  p->kernel = scheduled_kernel(s);
  p->narrows = NEW_ARRAY(p->cx->arena, const TeTensor *, p->kernel->ntensors + 1);
  for (size_t i = 0; i < s->stages.len; i++) {
    int64_t of;
    if (ptrmap_get(&parts, s->stages.data[i], &of)) p->narrows[i] = k->tensors[of];
  }
}

static void read_with(Problem *p, const TeKernel *k, const bool *wanted) {
  *p = (Problem){.cx = p->cx, .module = p->module, .options = p->options, .core = p->core, .program = k, .kernel = k};
  p->narrows = NEW_ARRAY(p->cx->arena, const TeTensor *, k->ntensors + 1);
  if (wanted) narrow(p, k, wanted);
  problem_read(p);
}

// Finds the groups: those of the program, and those that end in a part of a stage that is in none.
static void read_problem(Problem *p, const TeKernel *k) {
  bool *may = NEW_ARRAY(p->cx->arena, bool, k->ntensors + 1), *wanted = NEW_ARRAY(p->cx->arena, bool, k->ntensors + 1);
  bool any = false;
  read_with(p, k, NULL);
  for (int i = 0; i < k->ntensors; i++) any |= may[i] = !p->group[i] && may_narrow(k->tensors[i]);
  if (!any) return;
  read_with(p, k, may);
  any = false;
  for (size_t i = 0; i < p->groups.len; i++)
    if (p->groups.data[i]->narrows) any = wanted[p->groups.data[i]->narrows->index] = true;
  read_with(p, k, any ? wanted : NULL);
}

// The rules by the tensors of the program.
static const char **rules_of(const Problem *p, const TeKernel *k) {
  const char **rules = NEW_ARRAY(p->cx->arena, const char *, k->ntensors + 1);
  for (int i = 0, at = 0; i < k->ntensors; i++, at++) {
    while (p->kernel->tensors[at]->name != k->tensors[i]->name) at++;
    rules[i] = p->rule[at];
  }
  return rules;
}

size_t plan_groups(Problem *p, int most, Plans *plans) {
  const PlanOptions *o = p->options;
  p->core = o->core ? *o->core : tetc_rtl_options(TETC_MEMORY_UPSTREAM);
  p->program = p->kernel;
  if (o->vta) read_problem(p, p->program);
  for (size_t i = p->groups.len; i-- > 0;) {
    Planned b = plan_group(p, p->groups.data[i], most, plans->len, plans->data);
    VEC_PUSH(p->cx->arena, *plans, b);
  }
  return keep_possible(p, plans->len, plans->data);
}

Schedule *plan_schedule(const Problem *p, Ctx *cx, size_t n, const Plans *plans) {
  Planned *found = NEW_ARRAY(cx->arena, Planned, n + 1);
  for (size_t i = 0, to = 0; i < plans->len; i++)
    if (plans->data[i].found) found[to++] = plans->data[i];
  Schedule *s = schedule_new(cx, p->module, p->program, p->options->schedule);
  if (!build_groups(s, p->options->vta, n, found)) return NULL;
  if (p->options->vta) s->rules = rules_of(p, p->program);
  return schedule_complete(s) ? s : NULL;
}

Schedule *plan_kernel(Ctx *cx, const TeModule *m, const TeKernel *k, const PlanOptions *o) {
  Problem p = {.cx = cx, .module = m, .kernel = k, .options = o};
  Plans plans = {0};
  size_t n = plan_groups(&p, 0, &plans);
  for (size_t i = 0; i < plans.len; i++) remark(&p, &plans.data[i]);
  return plan_schedule(&p, cx, n, &plans);
}

// SPDX-License-Identifier: Apache-2.0
// The search: of each group the best few choices by their estimates are built, lowered and timed; the best by time is
// taken. What cannot be built is dropped. Groups are planned one by one, the rest of the kernel in its default order.
#include "plan/internal.h"
#include "runtime/device.h"

typedef struct Planned {
  const Group *group;
  Choice choice;
  bool found;
  int64_t cycles, next, tried, timed, refused;
  const char *why; // a candidate was refused for
} Planned;

// A candidate, built and lowered in memory of its own.
typedef struct Trial {
  jmp_buf exhausted;
  Ctx cx;
  int64_t cycles;  // -1: it is refused
  const char *why; // the first error, in the planner's own memory
} Trial;

static Schedule *fresh(Ctx *cx, const Problem *p) {
  return schedule_new(cx, p->module, p->kernel, p->options->schedule);
}

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
  TetcRtlOptions core = tetc_rtl_options(TETC_MEMORY_UPSTREAM);
  if (!exact) return clock_stream(&t->cx, config, stream);
  return vta_stream_cycles(config, stream, &core, &stats, &why) ? (int64_t)stats.cycles : -1;
}

static void build_trial(Trial *t, const Problem *p, size_t n, const Planned *plans, bool exact) {
  Schedule *s = fresh(&t->cx, p);
  for (size_t i = 0; i < n; i++)
    if (!build_group(s, p->options->vta, plans[i].group, &plans[i].choice)) return;
  if (!schedule_complete(s)) return;
  PassCtx pc = {.cx = &t->cx, .vta = p->options->vta};
  const Func *f = pass_lower(&pc, s);
  if (f) f = pipeline_run(&pc, f, 0, pass_count - 1, &(PipelineHooks){0});
  if (!f || diags_errors(t->cx.diags)) return;
  VtaStream stream;
  VtaStreamFault fault;
  if (vta_stream_new(&t->cx, f, &stream, &fault)) t->cycles = time_stream(t, p, &stream, exact);
}

// What groups so planned take together, in cycles; -1: they cannot be built, *why says why.
static int64_t try_plans(const Problem *p, size_t n, const Planned *plans, bool exact, const char **why) {
  Trial *t = NEW(p->cx->arena, Trial);
  t->cycles = -1;
  t->cx.arena = arena_new();
  if (!t->cx.arena) return -1;
  if (!setjmp(t->exhausted)) {
    arena_on_exhaustion(t->cx.arena, &t->exhausted, p->options->memory);
    t->cx.names = p->cx->names;
    t->cx.diags = diags_new(t->cx.arena);
    build_trial(t, p, n, plans, exact);
    if (t->cycles < 0) *why = first_error(t, p->cx->arena);
  }
  arena_free(t->cx.arena);
  return t->cycles;
}

// ---- a group

enum { MOST_EXACT = 8, EXACT_CYCLES = 16000000 }; // candidates that the timing model times; cycles, together

typedef struct Ranking {
  int n;
  Choice choice[MOST_EXACT];
  int64_t cycles[MOST_EXACT];
} Ranking;

// The best few by the coarse clock, best first.
static void rank(Ranking *r, const Choice *c, int64_t cycles) {
  int at = r->n;
  while (at && r->cycles[at - 1] > cycles) at--;
  if (at == MOST_EXACT) return;
  if (r->n < MOST_EXACT) r->n++;
  for (int i = r->n - 1; i > at; i--) r->choice[i] = r->choice[i - 1], r->cycles[i] = r->cycles[i - 1];
  r->choice[at] = *c;
  r->cycles[at] = cycles;
}

// The best of them by the timing model; where it has no answer, or too long to work, by the clock.
static void choose(const Problem *p, const Ranking *r, Planned *best) {
  int64_t left = EXACT_CYCLES;
  const char *why = NULL;
  for (int i = 0; i < r->n && (i < 2 || r->cycles[i] <= left); i++) {
    Planned one = {.group = best->group, .choice = r->choice[i]};
    int64_t cycles = try_plans(p, 1, &one, true, &why);
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

static Planned plan_group(const Problem *p, const Group *g) {
  int64_t effort = p->options->effort > 0 ? p->options->effort : PLAN_EFFORT;
  Planned best = {.group = g, .next = -1};
  Ranking *ranking = NEW(p->cx->arena, Ranking);
  Choices few = space_search(p, g, (int)effort * 3, &best.tried);
  for (size_t i = 0; i < few.len && best.timed < effort; i++) {
    const char *why = NULL;
    Planned one = {.group = g, .choice = few.data[i]};
    int64_t cycles = try_plans(p, 1, &one, false, &why);
    if (cycles < 0) {
      best.refused++;
      if (!best.why) best.why = why;
      continue;
    }
    best.timed++;
    rank(ranking, &few.data[i], cycles);
  }
  choose(p, ranking, &best);
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
  if (!b->found) {
    Diag *d = diag_report(p->cx->diags, R_PLAN, t->name_loc, "`%s` is left to the CPU: no plan was found", t->name);
    diag_note(d, "%lld choices fit on chip, %lld were built%s%s", (long long)b->tried, (long long)b->refused,
              b->why ? "; the first was refused: " : "", b->why ? b->why : "");
    return;
  }
  Bounds bounds = group_bounds(p, g);
  Diag *d = diag_report(p->cx->diags, R_PLAN, t->name_loc, "`%s` is planned for VTA: about %lld cycles", t->name,
                        (long long)b->cycles);
  diag_note(d, "tiles: %s", tile_text(p->cx, b));
  diag_note(d, "%s bind%s it: at least %lld cycles", bounds.binds,
            bounds.binds[0] == 't' && bounds.binds[4] == 'm' ? "" : "s", (long long)bounds.cycles);
  if (b->next >= 0)
    diag_note(d, "the next best of %lld choices, of which %lld were timed, would take about %lld", (long long)b->tried,
              (long long)b->timed, (long long)b->next);
}

// ---- a kernel

Schedule *plan_kernel(Ctx *cx, const TeModule *m, const TeKernel *k, const PlanOptions *o) {
  Problem p = {.cx = cx, .module = m, .kernel = k, .options = o};
  VEC(Planned) plans = {0};
  if (o->vta) problem_read(&p);
  for (size_t i = p.groups.len; i-- > 0;) {
    Planned b = plan_group(&p, p.groups.data[i]);
    if (b.found) VEC_PUSH(cx->arena, plans, b);
    // Beside the others, too; what cannot be is left out.
    if (b.found && plans.len > 1 && try_plans(&p, plans.len, plans.data, false, &b.why) < 0)
      b.found = false, plans.len--;
    remark(&p, &b);
  }
  Schedule *s = fresh(cx, &p);
  for (size_t i = 0; i < plans.len; i++)
    if (!build_group(s, o->vta, plans.data[i].group, &plans.data[i].choice)) return NULL;
  s->rules = p.rule;
  return schedule_complete(s) ? s : NULL;
}

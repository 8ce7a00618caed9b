// SPDX-License-Identifier: Apache-2.0
// What happens in the child of a candidate: it is compiled as the command line would compile it, run, compared with the
// reference evaluator, and only then its cycles or seconds count.
#include "driver/tune.h"

#include <string.h>

bool tune_arrays(Tune *t) {
  Ctx *cx = &t->d->cx;
  const TeKernel *k = t->kernel;
  void **data = NEW_ARRAY(cx->arena, void *, k->ntensors);
  t->inputs = NEW_ARRAY(cx->arena, Array, k->ntensors);
  t->wanted = NEW_ARRAY(cx->arena, Array, k->ntensors);
  t->got = NEW_ARRAY(cx->arena, Array, k->ntensors);
  for (int i = 0; i < k->ntensors; i++) {
    const TeTensor *x = k->tensors[i];
    Array *a = x->role == TE_INPUT ? &t->inputs[i] : &t->wanted[i];
    if (x->role == TE_CONSTANT) continue;
    if (!array_alloc(cx, a, x)) return false;
    if (x->role == TE_OUTPUT && !array_alloc(cx, &t->got[i], x)) return false;
    data[i] = a->data;
    if (x->role == TE_INPUT && !input_fill(t->d, a)) return false;
  }
  return te_eval(cx, k, &(TeArrays){data});
}

void tune_arrays_free(Tune *t) {
  for (int i = 0; t->got && i < t->kernel->ntensors; i++) {
    array_free(&t->inputs[i]);
    array_free(&t->wanted[i]);
    array_free(&t->got[i]);
  }
}

// ---- compiling ------------------------------------------------------------------------------------------------------

// The knobs of `a=1 b=2`, behind those of the command line.
static void set_knobs(Driver *d, const char *plan) {
  while (*plan) {
    size_t name = strcspn(plan, "="), all = strcspn(plan, " ");
    TeDefine k = {.name = arena_printf(d->cx.arena, "%.*s", (int)name, plan)};
    if (!parse_int64(arena_printf(d->cx.arena, "%.*s", (int)(all - name - 1), plan + name + 1), &k.value)) return;
    VEC_PUSH(d->cx.arena, d->opt.knobs, k);
    plan += all + (plan[all] == ' ');
  }
}

// A candidate, lowered to the end; NULL after a report.
static const Unit *compile_plan(const Tune *t, const char *plan, Session **s) {
  Driver *d = t->d;
  size_t knobs = d->opt.knobs.len;
  const char *schedule = d->opt.schedule;
  *s = session_new(d);
  if (t->schedule) set_knobs(d, plan);
  else d->opt.schedule = NULL; // the plan is the first that the text has
  const Unit *u = NULL;
  if (session_load_source(*s, tune_source(t, plan)) && (*s)->c.kernels.len) {
    u = session_lower(*s, (*s)->c.kernels.data[0]);
    if (!unit_whole(&(*s)->c, u)) u = NULL;
  }
  d->opt.knobs.len = knobs;
  d->opt.schedule = schedule;
  return u;
}

// ---- running --------------------------------------------------------------------------------------------------------

// The arrays of the kernel's parameters; outputs hold a pattern, so that an element never written shows.
static Array *params(const Tune *t) {
  int n = t->kernel->ntensors;
  Array *all = NEW_ARRAY(t->d->cx.arena, Array, n);
  for (int i = 0; i < n; i++) {
    Array *a = &t->got[i];
    all[i] = t->kernel->tensors[i]->role == TE_INPUT ? t->inputs[i] : *a;
    if (a->data) memset(a->data, a->type == DT_BOOL ? 1 : 0xa5, (size_t)(a->elems * dtype_bytes(a->type)));
  }
  return all;
}

// Whether the outputs are right; *why: where they are not.
static bool right(const Tune *t, const char **why) {
  Text text = {.arena = t->d->cx.arena};
  bool same = true;
  for (int i = 0; i < t->kernel->ntensors; i++)
    if (t->got[i].data) same &= array_compare(&t->got[i], &t->wanted[i], te_is_exact(t->kernel), &text);
  *why = same ? NULL : text.data + strlen("check: ");
  return same;
}

// What is wrong, in one line.
static void fail(TuneResult *r, const char *fmt, const char *text) {
  r->measured = false;
  snprintf(r->why, sizeof r->why, fmt, text ? text : "nothing was told");
  r->why[strcspn(r->why, "\n")] = 0;
}

static const char *first_error(const Driver *d) {
  for (size_t i = 0; i < DIAG_CODE_COUNT; i++) {
    const Diag *g = diag_severity((DiagCode)i) == SEV_ERROR ? diags_find(d->cx.diags, (DiagCode)i, 0) : NULL;
    if (g) return diag_headline(g);
  }
  return NULL;
}

// Compiles a candidate and has it run once; NULL: *out says why it cannot, or that it computes something else.
static Run *ready(const Tune *t, const char *plan, const Unit **unit, TuneResult *out) {
  Session *s;
  const char *why;
  const Unit *u = *unit = compile_plan(t, plan, &s);
  bool cycles = tune_in_cycles(t->key.device);
  if (!u) return fail(out, "%s", first_error(t->d)), NULL;
  if ((u->func->target != NULL) != cycles)
    return fail(out, "%s", cycles ? "it has nothing for VTA to do" : "it has instructions for VTA"), NULL;
  Run *r = run_open(t->d, s->c.vta, u, params(t), NULL);
  if (!r || !run_again(r)) return fail(out, "%s", first_error(t->d)), NULL;
  if (!right(t, &why)) return fail(out, "its output is wrong: %s", why), NULL;
  return r;
}

static void measure(const Tune *t, TuneResult *out) {
  const Unit *u;
  const char *why;
  Bench b;
  Run *r = ready(t, t->pair[0], &u, out);
  if (!r) return;
  if (tune_in_cycles(t->key.device)) *out = (TuneResult){.measured = true, .value = run_cycles(r)};
  else if (!bench_run(&t->d->cx, t->d->opt.bench_seconds, bench_threads(u->func), run_call, r, &b))
    fail(out, "%s", "it failed when it ran again");
  else if (!right(t, &why)) fail(out, "its output is wrong when it runs again: %s", why);
  else *out = (TuneResult){.measured = true, b.median, b.low, b.high, b.samples};
}

enum { TURNS = 3 }; // the first, the first once more, the second

static void measure_pair(const Tune *t, TuneResult *out) {
  BenchCall *call[TURNS];
  void *run[TURNS];
  double median[TURNS];
  int threads = 1;
  for (int i = 0; i < TURNS; i++) {
    const Unit *u;
    call[i] = run_call;
    run[i] = ready(t, t->pair[i == TURNS - 1], &u, out);
    if (!run[i]) return;
    int most = bench_threads(u->func);
    if (most > threads) threads = most;
  }
  if (!bench_turns(&t->d->cx, TURNS * t->d->opt.bench_seconds, threads, TURNS, call, run, median)) {
    fail(out, "%s", "it failed when it ran again");
    return;
  }
  double first = median[0] < median[1] ? median[0] : median[1];
  double noise = (median[0] > median[1] ? median[0] - median[1] : median[1] - median[0]) / first;
  *out = (TuneResult){.measured = true, .value = (median[0] + median[1]) / 2, .low = noise, .high = median[2]};
}

// In a child: `f`, which may find that memory is out. Nothing is given back: the child ends.
static void within_memory(const Tune *t, TuneResult *out, void (*f)(const Tune *t, TuneResult *out)) {
  static jmp_buf exhausted; // static: of the one that this child measures
  Driver *d = t->d;
  reproducer_disarm();
  d->cx.diags = diags_new(d->cx.arena);
  if (setjmp(exhausted)) {
    fail(out, "%s", "it needs more memory than it may use");
    return;
  }
  arena_on_exhaustion(d->cx.arena, &exhausted, (size_t)d->opt.memory << 20);
  f(t, out);
}

void tune_measure(void *tune, const char *plan, TuneResult *out) {
  Tune *t = tune;
  t->pair[0] = plan;
  within_memory(t, out, measure);
}

void tune_measure_pair(void *tune, const char *plan, TuneResult *out) {
  (void)plan;
  within_memory(tune, out, measure_pair);
}

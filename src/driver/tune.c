// SPDX-License-Identifier: Apache-2.0
// tetc tune: measures what there is to choose from, goes on where a log ends, and says what was best. What is told
// depends on the candidates and their results alone, not on how many are measured at a time, or when.
#include "driver/tune.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN = 5 };

// ---- measuring ------------------------------------------------------------------------------------------------------

static const char *time_text(const Tune *t, double value) {
  Arena *a = t->d->cx.arena;
  if (!tune_in_cycles(t->key.device)) return arena_printf(a, "%.4g us", value * 1e6);
  return arena_printf(a, "%.0f cycles", value);
}

static void progress(const Tune *t, size_t done, size_t of) {
  const Candidate *best = NULL;
  if (!isatty(STDERR_FILENO) || t->d->opt.diagnostics) return;
  for (size_t i = 0; i < t->candidates.len; i++) {
    const Candidate *c = &t->candidates.data[i];
    if (c->known && c->result.measured && (!best || candidate_less(c, best))) best = c;
  }
  fprintf(stderr, "\r\033[Ktune: %zu of %zu%s%s%s", done, of, best ? ", the best: " : "",
          best ? time_text(t, best->result.value) : "", done == of ? "\r\033[K" : "");
}

// Those that the pool measures.
typedef struct Batch {
  Tune *t;
  size_t n, done;
  size_t *which; // candidates
  bool lost;     // the log could not be written
} Batch;

static bool on_result(void *self, size_t number, const TuneResult *r) {
  Batch *b = self;
  Tune *t = b->t;
  Candidate *c = &t->candidates.data[b->which[number]];
  c->result = *r;
  c->known = true;
  progress(t, ++b->done, b->n);
  b->lost = t->d->opt.log && !tune_log_append(&t->d->cx, t->d->opt.log, &t->key, c->plan, r);
  return !b->lost;
}

static int jobs_of(const Driver *d) {
  cpu_set_t set;
  if (d->opt.device == DEVICE_HOST) return 1;
  if (d->opt.jobs > 0) return (int)d->opt.jobs;
  return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

static TunePool pool_of(Tune *t, bool (*done)(void *, size_t, const TuneResult *), void *done_self) {
  return (TunePool){.measure = tune_measure,
                    .self = t,
                    .jobs = jobs_of(t->d),
                    .seconds = (double)t->d->opt.time_limit,
                    .done = done,
                    .done_self = done_self};
}

// Measures the candidates that are not known. False: a log that cannot be written.
static bool measure_all(Tune *t) {
  Arena *a = t->d->cx.arena;
  Batch b = {.t = t, .which = NEW_ARRAY(a, size_t, t->candidates.len + 1)};
  const char **plans = NEW_ARRAY(a, const char *, t->candidates.len + 1);
  for (size_t i = 0; i < t->candidates.len; i++) {
    Candidate *c = &t->candidates.data[i];
    const TuneEntry *e = c->known ? NULL : tune_log_find(&t->log, t->key.device, c->plan);
    if (e) c->result = e->result, c->known = c->logged = true;
    if (c->known) continue;
    if (t->d->opt.replay) continue;
    plans[b.n] = c->plan;
    b.which[b.n++] = i;
  }
  TunePool pool = pool_of(t, on_result, &b);
  bool all = t->ranks ? tune_ranks_run(t->ranks, &pool, &t->key, b.n, plans) : tune_run(&pool, b.n, plans);
  t->stopped = !all && !b.lost;
  return !b.lost;
}

// What the log has besides: measured by another effort, say.
static void add_logged(Tune *t) {
  size_t n = t->candidates.len;
  for (size_t i = 0; i < t->log.entries.len; i++) {
    const TuneEntry *e = &t->log.entries.data[i];
    bool there = strcmp(e->device, t->key.device) != 0;
    for (size_t k = 0; k < n && !there; k++) there = !strcmp(t->candidates.data[k].plan, e->plan);
    if (there) continue;
    Candidate c = {.plan = e->plan, .result = e->result, .known = true, .logged = true, .part = -1};
    c.label = t->schedule ? e->plan : arena_printf(t->d->cx.arena, "line %zu of the log", e->line);
    VEC_PUSH(t->d->cx.arena, t->candidates, c);
  }
}

// ---- once more ------------------------------------------------------------------------------------------------------

static bool keep_result(void *self, size_t number, const TuneResult *r) {
  ((TuneResult *)self)[number] = *r;
  return true;
}

// The two best on the host, in turns; *noise: by which the first differs from itself.
static bool again_on_host(Tune *t, Candidate *first, Candidate *second, double *noise) {
  TuneResult r = {0};
  t->pair[0] = first->plan;
  t->pair[1] = second->plan;
  TunePool pool = pool_of(t, keep_result, &r);
  pool.measure = tune_measure_pair;
  pool.seconds = 3 * pool.seconds; // three of them
  if (!tune_run(&pool, 1, (const char *[]){""}) || !r.measured) return false;
  first->result.value = r.value;
  second->result.value = r.high;
  *noise = r.low;
  return true;
}

// Cycles are the same each time; where they are not, a log has something else, and *wrong counts it.
static bool again_on_core(Tune *t, Candidate *first, Candidate *second, int *wrong) {
  Candidate *both[2] = {first, second};
  TuneResult r[2] = {0};
  TunePool pool = pool_of(t, keep_result, r);
  if (!tune_run(&pool, 2, (const char *[]){first->plan, second->plan})) return false;
  for (int i = 0; i < 2; i++) {
    *wrong += !r[i].measured || r[i].value != both[i]->result.value;
    both[i]->result = r[i];
  }
  return true;
}

static int by_result(const void *x, const void *y) {
  const Candidate *a = *(Candidate *const *)x, *b = *(Candidate *const *)y;
  return candidate_less(a, b) ? -1 : candidate_less(b, a);
}

// The best two once more, until they are the best two.
static void tell_again(Tune *t, Candidate **sorted, size_t n, Text *out) {
  double noise = 0;
  bool host = !tune_in_cycles(t->key.device), ok = true;
  int wrong = 0, before = -1;
  while (ok && before < wrong && sorted[1]->result.measured) {
    before = wrong;
    ok = host ? again_on_host(t, sorted[0], sorted[1], &noise) : again_on_core(t, sorted[0], sorted[1], &wrong);
    qsort(sorted, n, sizeof *sorted, by_result);
  }
  if (wrong) text_add(out, "tune: the log is wrong about %d of the best: that was measured again\n", wrong);
  if (!ok || !sorted[1]->result.measured) {
    text_add(out, "tune: the best two could not be measured again\n");
    return;
  }
  const TuneResult *first = &sorted[0]->result, *second = &sorted[1]->result;
  text_add(out, "tune: measured again%s: %s, the next best %s\n", host ? ", in turns" : "", time_text(t, first->value),
           time_text(t, second->value));
  if (!host) return;
  text_add(out, "tune: the same against itself differs by %.2f %%%s\n", 100 * noise,
           second->value / first->value - 1 <= noise ? ": which of the two is better cannot be told" : "");
}

// ---- telling --------------------------------------------------------------------------------------------------------

typedef struct Reason {
  const char *why;
  int count;
} Reason;

static int by_count(const void *x, const void *y) {
  const Reason *a = x, *b = y;
  return a->count != b->count ? b->count - a->count : strcmp(a->why, b->why);
}

// Why candidates failed, the most frequent reasons first.
static void tell_failures(const Tune *t, Text *out) {
  VEC(Reason) reasons = {0};
  for (size_t i = 0; i < t->candidates.len; i++) {
    const Candidate *c = &t->candidates.data[i];
    size_t k = 0;
    if (!c->known || c->result.measured) continue;
    while (k < reasons.len && strcmp(reasons.data[k].why, c->result.why)) k++;
    Reason one = {c->result.why, 0};
    if (k == reasons.len) VEC_PUSH(t->d->cx.arena, reasons, one);
    reasons.data[k].count++;
  }
  if (reasons.len) qsort(reasons.data, reasons.len, sizeof *reasons.data, by_count);
  for (size_t i = 0; i < reasons.len && i < SHOWN; i++)
    text_add(out, "tune: failed, %d of them: %s\n", reasons.data[i].count, reasons.data[i].why);
  if (reasons.len > SHOWN) text_add(out, "tune: and for %zu reasons more\n", reasons.len - SHOWN);
}

static void tell_counts(const Tune *t, Text *out) {
  size_t n[2] = {0}, logged = 0, left = 0;
  for (size_t i = 0; i < t->candidates.len; i++) {
    const Candidate *c = &t->candidates.data[i];
    if (c->known) n[c->result.measured]++;
    left += !c->known;
    logged += c->logged;
  }
  text_add(out, "tune: %s: %zu %s, on %s: %zu measured, %zu failed", t->kernel->name, t->candidates.len,
           t->schedule ? "values of knobs" : "plans", t->key.device, n[1], n[0]);
  if (logged) text_add(out, "; %zu of these are from `%s`", logged, t->log.path);
  text_add(out, "\n");
  if (left && t->d->opt.replay) text_add(out, "tune: the log has nothing of %zu\n", left);
  else if (left) text_add(out, "tune: ended early: %zu are not measured, and this is the best so far\n", left);
}

// The program with the best in it; of knobs, with their values.
static bool write_best(const Tune *t, const Candidate *best) {
  const Driver *d = t->d;
  if (!d->opt.output) return true;
  const Source *out = tune_product(t, best->plan);
  OutputFile f = {.path = d->opt.output, .data = out->text, .len = out->len};
  return outputs_write(&t->d->cx, &f, 1);
}

// How far the best of the log is from the best that would have been found.
static void tell_replayed(const Tune *t, const Candidate *found, Text *out) {
  const TuneEntry *best = NULL;
  for (size_t i = 0; i < t->log.entries.len; i++) {
    const TuneEntry *e = &t->log.entries.data[i];
    if (strcmp(e->device, t->key.device) || !e->result.measured) continue;
    if (!best || e->result.value < best->result.value) best = e;
  }
  if (!best) return;
  text_add(out, "tune: the best of the log takes %s: what was found takes %.2f %% more\n",
           time_text(t, best->result.value), 100 * (found->result.value / best->result.value - 1));
}

static void tell_best(const Tune *t, const Candidate *best, Text *out) {
  const TuneResult *plain = &t->candidates.data[0].result;
  double ms = t->d->board.mhz > 0 ? best->result.value / t->d->board.mhz / 1e3 : 0;
  text_add(out, "tune: best: %s: %s", best->label, time_text(t, best->result.value));
  if (ms > 0 && tune_in_cycles(t->key.device)) text_add(out, ", %.6g ms at %.6g MHz", ms, t->d->board.mhz);
  if (best == &t->candidates.data[0]) text_add(out, "; this is what it %s\n", t->schedule ? "has" : "gets anyway");
  else if (plain->measured)
    text_add(out, "; %s %s, %.2f %% more\n", t->schedule ? "with the values it has" : "as planned",
             time_text(t, plain->value), 100 * (plain->value / best->result.value - 1));
  else text_add(out, "\n");
  if (t->d->opt.replay) tell_replayed(t, best, out);
  else if (!t->schedule && !t->d->opt.output) text_add(out, "%s", best->plan);
}

static void report_nothing(const Tune *t) {
  bool replay = t->d->opt.replay != NULL;
  const char *why = t->stopped ? " before it ended" : replay ? " that the log has" : ": all candidates failed";
  Diag *g =
      diag_report(t->d->cx.diags, E_TUNE, t->kernel->name_loc, "nothing was measured of `%s`%s", t->kernel->name, why);
  diag_help(g, t->stopped ? "a log, `--log=FILE`, keeps what was measured"
               : replay   ? "the same command with `--log=FILE` in place of `--replay` writes one"
                          : "the reasons are above");
}

static int tell(Tune *t) {
  Arena *a = t->d->cx.arena;
  Text out = {.arena = a};
  FILE *to = t->d->opt.output && !strcmp(t->d->opt.output, "-") ? stderr : stdout; // the program goes to one of them
  size_t n = t->candidates.len;
  Candidate **sorted = NEW_ARRAY(a, Candidate *, n + 1);
  for (size_t i = 0; i < n; i++) sorted[i] = &t->candidates.data[i];
  qsort(sorted, n, sizeof *sorted, by_result);
  tell_counts(t, &out);
  tell_failures(t, &out);
  for (size_t i = 0; i < n && i < SHOWN && sorted[i]->result.measured; i++)
    text_add(&out, "tune: %14s  %s\n", time_text(t, sorted[i]->result.value), sorted[i]->label);
  if (!n || !sorted[0]->result.measured) {
    fputs(out.data, to);
    report_nothing(t);
    return EXIT_INPUT;
  }
  if (n > 1 && sorted[1]->result.measured && !t->stopped && !t->d->opt.replay) tell_again(t, sorted, n, &out);
  tell_best(t, sorted[0], &out);
  fputs(out.data, to);
  return write_best(t, sorted[0]) ? driver_status(t->d) : EXIT_FILES;
}

// ---- the command ----------------------------------------------------------------------------------------------------

// The device, where none was named, and that it is there.
static bool choose_device(Tune *t) {
  Driver *d = t->d;
  bool vta = t->s->c.module->target != NULL;
  if (d->opt.device < 0) d->opt.device = vta ? DEVICE_MODEL : DEVICE_HOST;
  if (!vta && d->opt.device != DEVICE_HOST) {
    Diag *g = diag_report(d->cx.diags, E_TUNE, t->kernel->name_loc,
                          "kernel `%s` has nothing for VTA to do: it takes no cycles there", t->kernel->name);
    diag_help(g, "`--device=host` measures it here");
    return false;
  }
  if (d->opt.device == DEVICE_HOST || d->opt.replay) return true;
  TetcDevice *device = device_open(d, &t->s->c.vta->config, NULL, NULL);
  if (device) device->free(device->self);
  return device != NULL;
}

// The kernel, and what results of it are of. False after a report.
static bool read_it(Tune *t) {
  if (!tune_read(t) || !choose_device(t)) return false;
  t->key = tune_key(t->d, &t->s->c, t->kernel, t->schedule, (DeviceKind)t->d->opt.device);
  return true;
}

static int tune(Tune *t) {
  Driver *d = t->d;
  if (!read_it(t) || !tune_list(t)) return driver_status(d);
  const char *log = d->opt.replay ? d->opt.replay : d->opt.log;
  TuneLogUse use = d->opt.replay ? TUNE_LOG_IS_ALL : TUNE_LOG_GROWS;
  if (log && !tune_log_read(&d->cx, log, &t->key, use, &t->log)) return driver_status(d);
  tune_tell_log(d, &t->log);
  if ((!d->opt.replay && !tune_arrays(t)) || !measure_all(t)) return driver_status(d);
  if (!t->stopped && tune_combine(t) && !measure_all(t)) return driver_status(d);
  if (!d->opt.replay) add_logged(t);
  return tell(t);
}

// One of the others of a job: it has nothing to say but to rank 0.
static int serve(Tune *t) {
  bool able = read_it(t) && tune_arrays(t);
  TunePool pool = pool_of(t, NULL, NULL);
  tune_ranks_serve(t->ranks, &pool, able ? &t->key : NULL);
  t->d->cx.diags = diags_new(t->d->cx.arena);
  return EXIT_DONE;
}

// Where mpirun has started several. False after a report.
static bool open_ranks(Tune *t) {
  Driver *d = t->d;
  const char *why;
  int rank;
  if (!tune_ranks_wanted(&rank)) return true;
  if (d->opt.jobs != -1) {
    if (!rank) usage_error(d, "`--jobs` is for one process: of these, each measures one candidate at a time");
    return false;
  }
  t->ranks = tune_ranks_open(&d->cx, &why);
  if (t->ranks) return true;
  if (rank) return false;
  Diag *g = diag_report(d->cx.diags, E_TUNE, (Loc){0}, "the processes of MPI cannot be told of each other: %s", why);
  diag_help(g, "build tetc where MPI is (libopenmpi-dev), or run it without mpirun");
  return false;
}

int command_tune(Driver *d) {
  Tune t = {.d = d, .s = session_new(d)};
  d->opt.check = true; // with the hazard checker
  if (!open_ranks(&t)) return d->opt.jobs != -1 ? EXIT_USAGE : EXIT_INPUT;
  int status = t.ranks && tune_rank(t.ranks) ? serve(&t) : tune(&t);
  tune_arrays_free(&t);
  if (t.ranks) tune_ranks_close(t.ranks);
  return status;
}

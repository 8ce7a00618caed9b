// SPDX-License-Identifier: Apache-2.0
// Times a call on this machine: warm-up; then samples, each of enough calls for the clock, until the time is over, at
// least one; the median and the quartiles, which the few samples that something else disturbed do not move. What runs
// on one thread stays on one processor meanwhile.
#include "driver/driver.h"

#include <sched.h>
#include <stdlib.h>

enum { MOST_SAMPLES = 10000, MOST_CALLS = 1 << 20 };
static const double sample_seconds = 50e-6; // at least; the clock's own cost is a thousandth of it

// ---- threads and processors

static bool note_parallel(void *self, const Stmt *s) {
  if (s->kind == STMT_FOR && s->for_kind == FOR_PARALLEL) *(bool *)self = true;
  return true;
}

int bench_threads(const Func *f) {
  bool parallel = false;
  stmt_visit(f->body, note_parallel, NULL, &parallel);
  if (!parallel) return 1;
  const char *named = getenv("OMP_NUM_THREADS"); // as the code itself counts: src/backend_llvm/threads.c
  cpu_set_t set;
  if (named && atoi(named) > 0) return atoi(named);
  return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

static int bench_pin(cpu_set_t *before) {
  cpu_set_t one;
  int cpu = sched_getcpu();
  if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof *before, before)) return -1;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(0, sizeof one, &one) ? -1 : cpu;
}

// ---- samples

// Seconds a call, by the mean of so many; negative: the call failed.
static double bench_sample(int64_t calls, BenchCall *call, void *self) {
  double start = now_seconds();
  for (int64_t i = 0; i < calls; i++)
    if (!call(self)) return -1;
  return (now_seconds() - start) / (double)calls;
}

// Warms up, and finds how many calls make a sample; 0: the call failed.
static int64_t bench_calls(double seconds, BenchCall *call, void *self) {
  double end = now_seconds() + seconds / 10, took;
  int64_t calls = 1;
  for (;;) {
    took = bench_sample(calls, call, self);
    if (took < 0) return 0;
    bool enough = took * (double)calls >= sample_seconds || calls >= MOST_CALLS;
    if (!enough) calls *= 2;
    else if (now_seconds() >= end) return calls;
  }
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Between the two samples that a fraction of all falls between.
static double quantile(const double *sorted, size_t n, double q) {
  double at = q * (double)(n - 1);
  size_t i = (size_t)at;
  return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

void bench_sum(double *samples, size_t n, Bench *b) {
  qsort(samples, n, sizeof *samples, compare);
  b->samples = (int64_t)n;
  b->least = samples[0];
  b->low = quantile(samples, n, 0.25);
  b->median = quantile(samples, n, 0.5);
  b->high = quantile(samples, n, 0.75);
  b->outliers = 0;
  for (size_t i = n; i-- > 0 && samples[i] > b->high + 3 * (b->high - b->low);) b->outliers++;
}

bool bench_run(Ctx *cx, double seconds, int threads, BenchCall *call, void *self, Bench *b) {
  cpu_set_t before;
  *b = (Bench){.threads = threads, .cpu = threads == 1 ? bench_pin(&before) : -1};
  double *samples = NEW_ARRAY(cx->arena, double, MOST_SAMPLES), start = now_seconds();
  size_t n = 0;
  b->calls = bench_calls(seconds, call, self);
  while (b->calls && n < MOST_SAMPLES && (!n || now_seconds() - start < seconds)) {
    samples[n] = bench_sample(b->calls, call, self);
    if (samples[n] < 0) b->calls = 0;
    else n++;
  }
  b->seconds = now_seconds() - start;
  if (b->cpu >= 0) sched_setaffinity(0, sizeof before, &before);
  if (!b->calls) return false;
  bench_sum(samples, n, b);
  return true;
}

bool bench_turns(Ctx *cx, double seconds, int threads, int n, BenchCall *const *call, void *const *context,
                 double *median) {
  cpu_set_t before;
  int cpu = threads == 1 ? bench_pin(&before) : -1;
  double **samples = NEW_ARRAY(cx->arena, double *, n), start = now_seconds();
  int64_t calls = 1;
  size_t turns = 0;
  for (int i = 0; i < n; i++) {
    samples[i] = NEW_ARRAY(cx->arena, double, MOST_SAMPLES);
    int64_t enough = bench_calls(seconds / n, call[i], context[i]);
    calls = !enough || !calls ? 0 : enough > calls ? enough : calls;
  }
  for (; calls && turns < MOST_SAMPLES && (!turns || now_seconds() - start < seconds); turns += calls > 0)
    for (int i = 0; i < n && calls; i++)
      if ((samples[i][turns] = bench_sample(calls, call[i], context[i])) < 0) calls = 0;
  if (cpu >= 0) sched_setaffinity(0, sizeof before, &before);
  Bench b;
  for (int i = 0; i < n && calls; i++) {
    bench_sum(samples[i], turns, &b);
    median[i] = b.median;
  }
  return calls > 0;
}

// ---- as text

// In the unit in which the median has one to three digits before the point.
void bench_text(const Bench *b, const char *kernel, Text *out) {
  static const struct {
    double scale;
    const char *name;
  } units[] = {{1e9, "ns"}, {1e6, "us"}, {1e3, "ms"}, {1, "s"}};
  int u = 0;
  while (u < 3 && b->median * units[u].scale >= 1000) u++;
  double k = units[u].scale;
  const char *name = units[u].name;
  text_add(out, "bench: %s: median %.4g %s; half of the samples from %.4g to %.4g %s (%.1f %%), the least %.4g %s\n",
           kernel, b->median * k, name, b->low * k, b->high * k, name, 100 * (b->high - b->low) / b->median,
           b->least * k, name);
  text_add(out, "bench: %lld samples of %lld calls each in %.2f s, %lld of them far above the others\n",
           (long long)b->samples, (long long)b->calls, b->seconds, (long long)b->outliers);
  if (b->threads > 1) text_add(out, "bench: up to %d threads, on any processor\n", b->threads);
  else if (b->cpu >= 0) text_add(out, "bench: one thread, kept on processor %d\n", b->cpu);
  else text_add(out, "bench: one thread, on any processor: the system keeps it on none\n");
}

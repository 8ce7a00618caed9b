// SPDX-License-Identifier: Apache-2.0
// Candidates in other processes, of which there may be many, on many machines. Rank 0 hands them out, one at a time, to
// those that say that they are ready; each measures as alone, in a child, and says what it found. Messages:
//
//   r  and a text     to 0: ready, for results of that key; without a text: never
//   m  and a plan     from 0: measure it
//   d  and a result   to 0: done
//   e                 from 0: end
#include "tune/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAP = 500, GRACE = 10 }; // us between questions; s that a process has beside the time of a candidate
static const size_t none = SIZE_MAX;

typedef struct Worker {
  bool ready, lost;
  size_t candidate; // that it measures; or none
  double deadline;  // of that, or for being ready; 0: not yet
} Worker;

struct TuneRanks {
  Ctx *cx;
  const Messages *messages;
  Worker *worker;    // by rank
  bool came_signals; // some may have ended
};

// Candidates on their way.
typedef struct Batch {
  const TunePool *pool;
  const TuneKey *key;
  size_t n, next, running;
  const char *const *plans;
} Batch;

// ---- the job --------------------------------------------------------------------------------------------------------

// What a starter of MPI programs says to each of them, in one of its ways; -1: nothing.
static int said(size_t n, const char *const *names) {
  for (size_t i = 0; i < n; i++) {
    const char *text = getenv(names[i]);
    if (text && *text) return atoi(text);
  }
  return -1;
}

bool tune_ranks_wanted(int *rank) {
  static const char *const ranks[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"};
  static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"};
  *rank = said(sizeof ranks / sizeof *ranks, ranks);
  return *rank >= 0 && said(sizeof sizes / sizeof *sizes, sizes) > 1;
}

TuneRanks *tune_ranks_open(Ctx *cx, const char **why) {
  static const ModuleFile module = {"libtetc_mpi.so", "src/tune", "TETC_MPI_MODULE", "tetc_tune_messages"};
  void *at = module_symbol(&module, why);
  const Messages *(*start)(const char **why);
  if (!at) return NULL;
  memcpy(&start, &at, sizeof at);
  const Messages *m = start(why);
  if (!m) return NULL;
  TuneRanks *r = NEW(cx->arena, TuneRanks);
  *r = (TuneRanks){.cx = cx, .messages = m, .worker = NEW_ARRAY(cx->arena, Worker, m->size)};
  for (int i = 0; i < m->size; i++) r->worker[i] = (Worker){.candidate = none};
  return r;
}

int tune_rank(const TuneRanks *r) { return r->messages->rank; }

static void give(const TuneRanks *r, int to, char kind, const void *data, size_t len) {
  char *message = malloc(len + 1);
  if (!message) memory_out();
  message[0] = kind;
  memcpy(message + 1, data, len);
  r->messages->give(to, message, len + 1);
  free(message);
}

// What must be equal for results to be of one log.
static const char *key_text(const TuneRanks *r, const TuneKey *k) {
  return arena_printf(r->cx->arena, "%s\n%s\n%s\n%s\n%s", k->tetc, k->hash, k->hardware, k->flags, k->device);
}

// ---- rank 0 ---------------------------------------------------------------------------------------------------------

static void lose(const TuneRanks *r, int rank, const char *why) {
  r->worker[rank].lost = true;
  diag_report(r->cx->diags, W_RANK, (Loc){0}, "process %d of %d measures nothing: %s", rank, r->messages->size, why);
}

static void hear_ready(const TuneRanks *r, const TuneKey *key, int from, const char *text, size_t len) {
  const char *own = key_text(r, key);
  if (!len) lose(r, from, "it could not read the program, or has not the device");
  else if (len != strlen(own) || memcmp(text, own, len)) lose(r, from, "its tetc, program, options or hardware differ");
  else r->worker[from].ready = true;
}

// A worker is free again. False: no more results are wanted.
static bool done(Batch *b, Worker *w, const TuneResult *result) {
  size_t candidate = w->candidate;
  w->candidate = none;
  b->running--;
  return b->pool->done(b->pool->done_self, candidate, result);
}

static bool hear(const TuneRanks *r, Batch *b) {
  int from;
  size_t len;
  TuneResult result;
  for (const char *m; (m = r->messages->take(&from, &len));) {
    Worker *w = &r->worker[from];
    if (!len || w->lost) continue;
    if (*m == 'r') hear_ready(r, b->key, from, m + 1, len - 1);
    if (*m != 'd' || w->candidate == none || len != 1 + sizeof result) continue;
    memcpy(&result, m + 1, sizeof result);
    if (!done(b, w, &result)) return false;
  }
  return true;
}

static void hand_out(const TuneRanks *r, Batch *b) {
  for (int i = 1; i < r->messages->size && b->next < b->n; i++) {
    Worker *w = &r->worker[i];
    if (!w->ready || w->lost || w->candidate != none) continue;
    w->candidate = b->next++;
    w->deadline = now_seconds() + b->pool->seconds + GRACE;
    b->running++;
    give(r, i, 'm', b->plans[w->candidate], strlen(b->plans[w->candidate]));
  }
}

// A process that does not answer costs its candidate. False: no more results are wanted, or nobody is there.
static bool look_for_lost(const TuneRanks *r, Batch *b) {
  double now = now_seconds();
  int there = 0;
  for (int i = 1; i < r->messages->size; i++) {
    Worker *w = &r->worker[i];
    if (!w->deadline) w->deadline = now + b->pool->seconds + GRACE;
    bool waiting = !w->lost && (!w->ready || w->candidate != none);
    if (waiting && now > w->deadline) {
      lose(r, i, "it does not answer");
      if (w->candidate != none && !done(b, w, &(TuneResult){.why = "its process did not answer"})) return false;
    }
    there += !w->lost;
  }
  return there > 0;
}

bool tune_ranks_run(TuneRanks *r, const TunePool *p, const TuneKey *key, size_t n, const char *const *plans) {
  Batch b = {.pool = p, .key = key, .n = n, .plans = plans};
  Signals before;
  bool go_on = signals_catch(&before);
  if (!go_on) return false;
  while (go_on && (b.next < n || b.running)) {
    hand_out(r, &b);
    usleep(NAP);
    r->came_signals = signals_came();
    go_on = !r->came_signals && hear(r, &b) && look_for_lost(r, &b);
  }
  signals_give_back(&before);
  return b.next == n && !b.running;
}

// ---- the others -----------------------------------------------------------------------------------------------------

static bool tell_result(void *self, size_t candidate, const TuneResult *result) {
  (void)candidate;
  give(self, 0, 'd', result, sizeof *result);
  return true;
}

void tune_ranks_serve(TuneRanks *r, const TunePool *p, const TuneKey *key) {
  TunePool pool = *p;
  const char *text = key ? key_text(r, key) : "";
  int from;
  size_t len;
  pool.jobs = 1;
  pool.done = tell_result;
  pool.done_self = r;
  give(r, 0, 'r', text, strlen(text));
  for (bool go_on = true; go_on;) {
    const char *m = r->messages->take(&from, &len);
    if (!m) usleep(NAP);
    else if (len && *m == 'm') {
      const char *plan = arena_printf(r->cx->arena, "%.*s", (int)len - 1, m + 1);
      go_on = tune_run(&pool, 1, &plan);
      r->came_signals = !go_on;
    } else go_on = false;
  }
}

void tune_ranks_close(TuneRanks *r) {
  if (r->came_signals) return; // some of the others may have ended, and ends are waited for
  if (!r->messages->rank)
    for (int i = 1; i < r->messages->size; i++) give(r, i, 'e', "", 0);
  r->messages->end();
}

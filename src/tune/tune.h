// SPDX-License-Identifier: Apache-2.0
// tune: what candidates take, measured. It knows nothing of how one is compiled or run: a callback does that, in
// a child of its own, so that a candidate that crashes or hangs costs itself only.
//
//   log.c   results as lines of JSON, in a file to which others may write at the same time
//   pool.c  candidates in children, several at a time
//   ranks.c the same, in the other processes of an MPI job; mpi.c is a module, loaded only there
#ifndef TETC_TUNE_H
#define TETC_TUNE_H

#include "base/base.h"

// What was measured of a candidate.
typedef struct TuneResult {
  bool measured;           // else it failed
  double value, low, high; // cycles; or seconds, the median and the quartiles
  int64_t samples;         // of seconds
  char why[400];           // it failed; one line
} TuneResult;

// ---- log.c ----------------------------------------------------------------------------------------------------------

enum { TUNE_SCHEMA = 1 }; // of the lines; another one is ignored

// What results are of: those of another key do not count.
typedef struct TuneKey {
  const char *tetc;     // the compiler, to the bit
  const char *kernel;   // its name, for people
  const char *hash;     // of what it computes; of its schedule too, where candidates are values of knobs
  const char *hardware; // what it is for
  const char *flags;    // of the compiler, that change what is measured
  const char *device;   // `rtl` and `model` are in cycles, `host` in seconds
} TuneKey;
bool tune_in_cycles(const char *device);

typedef struct TuneEntry {
  const char *device, *plan; // plan: a schedule, or values of knobs
  TuneResult result;
  size_t line;
} TuneEntry;

typedef enum TuneLogUse {
  TUNE_LOG_GROWS,   // it may not be there yet
  TUNE_LOG_IS_READ, // it must be there
  TUNE_LOG_IS_ALL   // the same, and what another compiler has measured counts, too
} TuneLogUse;

typedef struct TuneLog {
  const char *path;
  TuneLogUse use;
  VEC(TuneEntry) entries;                          // of the key, those of any device; a plan is once for each
  size_t version, hardware, garbage, garbage_line; // lines of this kernel that are of no use, and others; the first
} TuneLog;

// Reads what is of the key, whatever its device. Reports E_FILE.
bool tune_log_read(Ctx *cx, const char *path, const TuneKey *key, TuneLogUse use, TuneLog *out);
// The entry of a plan on a device; NULL: there is none.
const TuneEntry *tune_log_find(const TuneLog *log, const char *device, const char *plan);
// Appends a result as one line, at once. Reports E_FILE.
bool tune_log_append(Ctx *cx, const char *path, const TuneKey *key, const char *plan, const TuneResult *r);

// ---- pool.c ---------------------------------------------------------------------------------------------------------

// Measures a candidate, in a child whose output goes nowhere: what it does to its memory is its own.
typedef void TuneMeasure(void *self, const char *plan, TuneResult *out);
typedef struct TunePool {
  TuneMeasure *measure;
  void *self;
  int jobs;       // children at a time
  double seconds; // that one may take
  // Called here, with done_self, as results come, in any order; false: no more are wanted.
  bool (*done)(void *self, size_t candidate, const TuneResult *r);
  void *done_self;
} TunePool;
// Measures n candidates. False: it was interrupted (SIGINT, SIGTERM), and some are not done.
bool tune_run(const TunePool *p, size_t n, const char *const *plans);

// ---- ranks.c --------------------------------------------------------------------------------------------------------

typedef struct TuneRanks TuneRanks;
bool tune_ranks_wanted(int *rank);                     // whether this is one of several processes of a job; which
TuneRanks *tune_ranks_open(Ctx *cx, const char **why); // to be closed by each of them; NULL: *why
int tune_rank(const TuneRanks *r);
// Of rank 0: tune_run, by the others, of which those count that have the same key. Reports W_RANK. False also if all
// others are lost.
bool tune_ranks_run(TuneRanks *r, const TunePool *p, const TuneKey *key, size_t n, const char *const *plans);
// Of the others: measures what it is told to, until it is told to end. key NULL: it can measure nothing.
void tune_ranks_serve(TuneRanks *r, const TunePool *p, const TuneKey *key);
void tune_ranks_close(TuneRanks *r); // of rank 0: ends the others, too

#endif

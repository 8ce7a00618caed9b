// SPDX-License-Identifier: Apache-2.0
// tetc tune, inside: tune.c is the command, candidates.c what there is to measure, measure.c what happens in a child.
#ifndef TETC_DRIVER_TUNE_H
#define TETC_DRIVER_TUNE_H

#include "driver/driver.h"
#include "tune/tune.h"

typedef struct Candidate {
  const char *plan;  // a schedule; or values of knobs, `mt=4 nt=2`
  const char *label; // for people
  int part, choice;  // of a plan: where it differs from the planner's
  bool known, logged;
  TuneResult result;
} Candidate;

typedef struct Tune {
  Driver *d;
  Session *s;
  const Source *source;
  const TeKernel *kernel;
  const TeSchedule *schedule; // whose knobs are tried; NULL: plans are
  Name *knobs;                // those that are tried, and their values
  Loc *knob_places;           // of the value that the text has
  int nknobs, *nvalues;
  int64_t **values;
  PlanSpace *space;
  SourceEdit place; // of a plan in the source
  TuneKey key;
  TuneLog log;
  Array *inputs, *wanted, *got; // one a tensor of the kernel, data NULL where it is of another role
  VEC(Candidate) candidates;    // the first: as written, or as planned
  const char *pair[2];          // that are measured in turns
  TuneRanks *ranks;             // of an MPI job of several; NULL: this is all
  bool stopped;                 // an interrupt
} Tune;

// candidates.c
bool tune_read(Tune *t); // the kernel, and what of it is tried. Reports, and returns false
bool tune_list(Tune *t); // all that is to be measured, without the log
// The best choices of all parts together, where it is none of the candidates: it becomes one. False: there is none.
bool tune_combine(Tune *t);
const Source *tune_source(const Tune *t, const char *plan);  // the text with a candidate in it
const Source *tune_product(const Tune *t, const char *plan); // the same, values of knobs in the text too
// Whether a is better, both of t->candidates: it was measured, and takes less; of equal ones the first is.
bool candidate_less(const Candidate *a, const Candidate *b);

// planlog.c
TuneKey tune_key(Driver *d, const Compilation *c, const TeKernel *k, const TeSchedule *schedule, DeviceKind device);
void tune_tell_log(const Driver *d, const TuneLog *log); // what of it is of no use

// measure.c
bool tune_arrays(Tune *t); // inputs, and what is right
void tune_arrays_free(Tune *t);
void tune_measure(void *tune, const char *plan, TuneResult *out);      // in a child
void tune_measure_pair(void *tune, const char *plan, TuneResult *out); // t->pair: value and high; low: noise

#endif

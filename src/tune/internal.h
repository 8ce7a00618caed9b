// SPDX-License-Identifier: Apache-2.0
#ifndef TETC_TUNE_INTERNAL_H
#define TETC_TUNE_INTERNAL_H

#include "tune/tune.h"

#include <signal.h>

// pool.c: SIGINT and SIGTERM are noted, and wake poll(), until they are given back. False: they cannot be.
typedef struct Signals {
  struct sigaction interrupt, end;
} Signals;
bool signals_catch(Signals *before);
bool signals_came(void);
void signals_give_back(const Signals *before);

// mpi.c, a module: messages between the processes of a job.
typedef struct Messages {
  int rank, size;
  bool (*give)(int to, const void *data, size_t len); // false: it cannot be sent
  const void *(*take)(int *from, size_t *len);        // one that has come, until the next call; NULL: there is none
  void (*end)(void);                                  // by all of them
} Messages;

#endif

// SPDX-License-Identifier: Apache-2.0
// Parallel loops where threads cannot be started: from the n-th on none can. Linked with --wrap=pthread_create.
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static int started, most; // threads so far, and how many there may be

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x) {
  if (started >= most) return EAGAIN;
  started++;
  return __real_pthread_create(t, a, f, x);
}

static int32_t x[40][50], y[40][50];

// With that many threads to be had; `want` of them are used.
static void run(const char *names, int limit, int want) {
  started = 0;
  most = limit;
  setenv("OMP_NUM_THREADS", names, 1);
  for (int i = 0; i < 40; i++)
    for (int j = 0; j < 50; j++) x[i][j] = i * 100 + j, y[i][j] = -1;
  int status = threads(&x[0][0], &y[0][0]), bad = status;
  for (int i = 0; i < 40; i++)
    for (int j = 0; j < 50; j++) bad |= y[i][j] != x[39 - i][j] * 3 + 1;
  if (!bad && (want < 0 || started == want)) return;
  printf("OMP_NUM_THREADS=%s, %d threads to be had: status %d, %d started\n", names, limit, status, started);
  exit(1);
}

int main(void) {
  run("1", 0, 0); // and no warning
  run("4", 99, 6);
  run("300", 999, 78); // no more than turns
  run("", 999, -1);
  run("nonsense", 999, -1);
  run("-3", 999, -1);
  fprintf(stderr, "from here\n");
  for (int limit = 0; limit < 6; limit++) run("4", limit, limit);
  return 0;
}

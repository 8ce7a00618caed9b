// SPDX-License-Identifier: Apache-2.0
// Temporary files, and the ends of the process that take them away: signals, and memory that is out. A name is known
// here before there is a file of it, and stays known: once the file has been renamed, to unlink it does nothing.
#include "driver/driver.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

typedef struct Pending Pending;
struct Pending {
  const char *path;
  Pending *next;
};

// What a signal handler needs, which may run on any thread at any time.
static _Atomic(Pending *) pending; // newest first
static atomic_int state;           // of what is to happen whole
enum { OPEN, HELD, ENDED };
static atomic_int waiting; // a signal that came while it was held

const char *pending_name(Ctx *cx, const char *path) {
  uint64_t number;
  if (getrandom(&number, sizeof number, 0) != sizeof number) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    number = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uint64_t)getpid() << 20;
  }
  size_t dir = (size_t)(path_base(path) - path);
  const char *name = arena_printf(cx->arena, "%.*s.tetc-%016llx", (int)dir, path, (unsigned long long)number);
  pending_add(cx, name);
  return name;
}

void pending_add(Ctx *cx, const char *path) {
  Pending *p = NEW(cx->arena, Pending);
  *p = (Pending){path, atomic_load(&pending)};
  atomic_store(&pending, p);
}

void pending_abandon(void) {
  for (const Pending *p = atomic_load(&pending); p; p = p->next)
    if (unlink(p->path)) rmdir(p->path);
}

static void end_by(int number) {
  pending_abandon();
  signal(number, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  raise(number);
}

static void on_end(int number) {
  int open = OPEN;
  atomic_store(&waiting, number);
  if (atomic_compare_exchange_strong(&state, &open, ENDED)) end_by(number);
}

void pending_hold(void) {
  int open = OPEN;
  while (!atomic_compare_exchange_strong(&state, &open, HELD)) pause(); // a handler is about to end the process
}

void pending_release(void) {
  atomic_store(&state, OPEN);
  if (atomic_load(&waiting)) on_end(atomic_load(&waiting));
}

void pending_catch_ends(void) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  signal(SIGPIPE, SIG_IGN); // a closed pipe is a write error like others,
  signal(SIGXFSZ, SIG_IGN); // and so is a file that may not grow
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction action = {.sa_handler = on_end}, old;
    if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
  }
}

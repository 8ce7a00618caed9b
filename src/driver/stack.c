// SPDX-License-Identifier: Apache-2.0
// A stack that is large enough: recursion follows the nesting of the program, which grows with the number of stages
// (a hundred thousand of them nest as many allocations). The stack is address space only until it is used. Whoever still
// reaches its end is told so; the system would say "Segmentation fault".
#include "driver/driver.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARD = 1 << 20 }; // bytes below the stack whose use means that it is exhausted

typedef struct Call {
  int (*f)(void *);
  void *arg;
  int result;
} Call;

static char *guard_start; // written once, before the thread starts; read by the signal handler

// A fault in the guard is the end of the stack; another one is a mistake of ours, and takes its usual course.
static void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  static const char text[] =
      "error[E0404]: the program is nested too deeply for the stack of this compilation\n\n";
  uintptr_t at = (uintptr_t)info->si_addr, guard = (uintptr_t)guard_start;
  if (at >= guard && at < guard + GUARD) {
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(n < 0 ? EXIT_FILES : EXIT_INPUT);
  }
  signal(number, SIG_DFL);
}

// The handler needs a stack of its own. Where there is one already, sanitizers handle faults themselves.
static void catch_overflow(void) {
  stack_t old;
  if (sigaltstack(NULL, &old) || !(old.ss_flags & SS_DISABLE)) return;
  stack_t own = {.ss_size = 1 << 16, .ss_sp = malloc(1 << 16)};
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  if (!own.ss_sp || sigaltstack(&own, NULL)) return;
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
}

static void *thread_main(void *arg) {
  Call *c = arg;
  catch_overflow();
  c->result = c->f(c->arg);
  return NULL;
}

// Runs the call on a thread with a stack of so many bytes; false if there is no room for one.
static bool run_on(Call *c, size_t bytes) {
  pthread_attr_t attr;
  pthread_t thread;
  char *stack =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return false;
  guard_start = stack;
  bool ok = !mprotect(stack, GUARD, PROT_NONE) && !pthread_attr_init(&attr);
  ok = ok && !pthread_attr_setstack(&attr, stack + GUARD, bytes - GUARD) &&
       !pthread_create(&thread, &attr, thread_main, c);
  if (ok) pthread_join(thread, NULL);
  return ok;
}

// Calls f(arg) with the largest stack there is room for.
int stack_run(int (*f)(void *), void *arg) {
  Call c = {f, arg, EXIT_OURS};
  for (size_t bytes = (size_t)1 << 30; bytes >= (size_t)1 << 24; bytes /= 4)
    if (run_on(&c, bytes)) return c.result;
  return f(arg);
}

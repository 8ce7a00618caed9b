// SPDX-License-Identifier: Apache-2.0
// A stack that is large enough: recursion follows the nesting of the program, which grows with the number of stages
// (a hundred thousand of them nest as many allocations). The stack is address space only until it is used. Whoever
// still reaches its end is told so; the system would say "Segmentation fault". Other faults leave a reproducer
// (reproducer.c).
#include "driver/driver.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  GUARD = 1 << 20,          // bytes below the stack whose use means that it is exhausted
  HANDLER_STACK = 16 << 20, // bytes for the handler: it prints a program
  HANDLER_SECONDS = 30,     // that it may take
};

typedef struct Call {
  int (*f)(void *);
  void *arg;
  int result;
} Call;

static char *guard_start; // written once, before the thread starts; read by the signal handler
static struct {           // the same
  void (*full)(void *self), (*brief)(void *self);
  void *self;
} words;

void stack_then(void (*full)(void *self), void (*brief)(void *self), void *self) {
  words.self = self;
  words.full = full;
  words.brief = brief;
}

static void say(const char *text) {
  ssize_t n = write(STDERR_FILENO, text, strlen(text));
  (void)n; // nowhere to complain
}

// The last words of a process whose memory may be in any state: a child says them all; if it cannot, some.
static void last_words(void) {
  if (!words.full) return;
  pid_t child = fork();
  if (child == 0) {
    alarm(HANDLER_SECONDS);
    words.full(words.self);
    _exit(0);
  }
  int status = -1;
  if (child < 0 || waitpid(child, &status, 0) < 0 || status) words.brief(words.self);
}

// A fault in the guard is the end of the stack; another one is a mistake of ours.
static void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  uintptr_t at = (uintptr_t)info->si_addr, guard = (uintptr_t)guard_start;
  bool address = number == SIGSEGV || number == SIGBUS;
  signal(number, SIG_DFL); // of a second one
  if (address && at >= guard && at < guard + GUARD) {
    say("error[E0404]: the program is nested too deeply for the stack of this compilation\n\n");
    _exit(EXIT_FILES);
  }
  const char *array;
  bool behind;
  say("tetc: internal error: ");
  if (address && pages_fault(at, &array, &behind)) {
    say(behind ? "the kernel's code used memory behind the end of `"
               : "the kernel's code used memory before the start of `");
    say(array);
    say("`\ntetc: this is a mistake of tetc, not of your program; please report it with the input\n");
    last_words();
    _exit(EXIT_OURS);
  }
  say(address ? "memory that is not there was used" : "a forbidden operation, or an abort");
  say("\ntetc: this is a mistake of tetc, not of your program; please report it with the input\n");
  last_words();
  _exit(EXIT_OURS);
}

// The handler needs a stack of its own. Where there is one already, sanitizers handle faults themselves.
static void catch_faults(void) {
  static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  stack_t old;
  if (sigaltstack(NULL, &old) || !(old.ss_flags & SS_DISABLE)) return;
  stack_t own = {.ss_size = HANDLER_STACK, .ss_sp = malloc(HANDLER_STACK)};
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  if (!own.ss_sp || sigaltstack(&own, NULL)) return;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}

static void *thread_main(void *arg) {
  Call *c = arg;
  catch_faults();
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
  else munmap(stack, bytes);
  return ok;
}

// Calls f(arg) with a stack of a quarter of the address space that the process may have, 1 GiB at most: where a limit
// (ulimit -v) lets a program be compiled, so does a higher one.
int stack_run(int (*f)(void *), void *arg) {
  Call c = {f, arg, EXIT_OURS};
  struct rlimit limit;
  mallopt(M_ARENA_MAX, 1); // a thread's own arena would reserve 128 MiB where there are so many
  size_t bytes = (size_t)1 << 30;
  if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur / 4 < bytes) bytes = (size_t)limit.rlim_cur / 4 / GUARD * GUARD;
  for (; bytes >= (size_t)1 << 24; bytes = bytes / 4 / GUARD * GUARD)
    if (run_on(&c, bytes)) return c.result;
  return f(arg);
}

// SPDX-License-Identifier: Apache-2.0
// Candidates in children: each is forked for one, tells the result through a pipe, and ends. What it does not tell is
// told by how it ended. An interrupt (Ctrl-C, SIGTERM) ends the children, and the caller goes on with what there is.
#include "tune/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_JOBS = 256, SHUT = -1 };

typedef struct Child {
  pid_t pid; // 0: none
  int fd;    // of the pipe
  size_t candidate;
  double deadline;
  size_t got; // bytes of the result
  TuneResult result;
} Child;

// ---- an interrupt ---------------------------------------------------------------------------------------------------

static atomic_int interrupts;
static int wake[2] = {SHUT, SHUT}; // a pipe that a signal writes to, so that poll() sees it

static void on_signal(int number) {
  (void)number;
  int saved = errno;
  atomic_fetch_add(&interrupts, 1);
  ssize_t n = write(wake[1], "", 1);
  (void)n; // it is full: poll() sees that, too
  errno = saved;
}

bool signals_catch(Signals *before) {
  struct sigaction action = {.sa_handler = on_signal};
  if (pipe2(wake, O_CLOEXEC | O_NONBLOCK)) return false;
  atomic_store(&interrupts, 0);
  sigaction(SIGINT, &action, &before->interrupt);
  sigaction(SIGTERM, &action, &before->end);
  return true;
}

bool signals_came(void) { return atomic_load(&interrupts) > 0; }

void signals_give_back(const Signals *before) {
  sigaction(SIGINT, &before->interrupt, NULL);
  sigaction(SIGTERM, &before->end, NULL);
  close(wake[0]);
  close(wake[1]);
}

// ---- the child ------------------------------------------------------------------------------------------------------

// What the parent does at signals, a child does not: it just ends. It does not outlive the parent.
static void become_child(pid_t parent) {
  static const int own[] = {SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) signal(own[i], SIG_DFL);
  signal(SIGINT, SIG_IGN); // Ctrl-C is for the parent, who ends it
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  setrlimit(RLIMIT_CORE, &(struct rlimit){0});
  int nowhere = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3 && nowhere >= 0; fd++) dup2(nowhere, fd);
}

static bool start(const TunePool *p, const char *plan, size_t candidate, Child *c) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC)) return false;
  pid_t parent = getpid();
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    become_child(parent);
    TuneResult r = {0};
    p->measure(p->self, plan, &r);
    ssize_t n = write(fds[1], &r, sizeof r);
    _exit(n == sizeof r ? 0 : 1);
  }
  close(fds[1]);
  if (pid < 0) return close(fds[0]), false;
  *c = (Child){.pid = pid, .fd = fds[0], .candidate = candidate, .deadline = now_seconds() + p->seconds};
  return true;
}

// ---- the parent -----------------------------------------------------------------------------------------------------

// Waits for a child that is ending; says how it ended, if it has not told.
static void reap(Child *c, bool late, double seconds) {
  int status = 0;
  TuneResult *r = &c->result;
  close(c->fd);
  while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
  }
  c->pid = 0;
  if (c->got == sizeof *r && !late) return;
  *r = (TuneResult){0};
  if (late) snprintf(r->why, sizeof r->why, "it took longer than %.6g s", seconds);
  else if (WIFSIGNALED(status)) snprintf(r->why, sizeof r->why, "it crashed: %s", strsignal(WTERMSIG(status)));
  else snprintf(r->why, sizeof r->why, "it ended with status %d", WEXITSTATUS(status));
}

// Reads what has come; false: there will be no more.
static bool read_more(Child *c) {
  ssize_t n = read(c->fd, (char *)&c->result + c->got, sizeof c->result - c->got);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  c->got += (size_t)n;
  return n > 0 && c->got < sizeof c->result;
}

// Waits until a child has something to say, or is late, or there is an interrupt.
static void wait_some(const Child *children, int jobs) {
  struct pollfd fds[MOST_JOBS + 1] = {{.fd = wake[0], .events = POLLIN}};
  double now = now_seconds(), first = now + 3600;
  for (int i = 0; i < jobs; i++) {
    fds[i + 1] = (struct pollfd){.fd = children[i].pid ? children[i].fd : SHUT, .events = POLLIN};
    if (children[i].pid && children[i].deadline < first) first = children[i].deadline;
  }
  poll(fds, (nfds_t)jobs + 1, first > now ? (int)((first - now) * 1e3) + 1 : 0);
}

// Whether a child is done: it has told, or ended, or is late.
static bool is_done(Child *c, double seconds) {
  struct pollfd fd = {.fd = c->fd, .events = POLLIN};
  bool late = false;
  if (poll(&fd, 1, 0) > 0) {
    if (read_more(c)) return false;
  } else {
    late = now_seconds() >= c->deadline;
    if (!late) return false;
    kill(c->pid, SIGKILL);
  }
  reap(c, late, seconds);
  return true;
}

static void abandon(Child *c) {
  kill(c->pid, SIGKILL);
  reap(c, true, 0);
}

bool tune_run(const TunePool *p, size_t n, const char *const *plans) {
  Child children[MOST_JOBS] = {0};
  Signals before;
  int jobs = p->jobs < MOST_JOBS ? p->jobs : MOST_JOBS, running = 0;
  size_t next = 0;
  bool go_on = true;
  if (!signals_catch(&before)) return false;
  while (go_on && (next < n || running)) {
    for (int i = 0; i < jobs && next < n; i++)
      if (!children[i].pid) {
        if (!start(p, plans[next], next, &children[i])) {
          if (!running) go_on = false; // not one can be started
          break;
        }
        next++, running++;
      }
    wait_some(children, jobs);
    if (signals_came()) go_on = false;
    for (int i = 0; i < jobs && go_on; i++)
      if (children[i].pid && is_done(&children[i], p->seconds)) {
        running--;
        go_on = p->done(p->done_self, children[i].candidate, &children[i].result);
      }
  }
  for (int i = 0; i < jobs; i++)
    if (children[i].pid) abandon(&children[i]);
  signals_give_back(&before);
  return go_on;
}

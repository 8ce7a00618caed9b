// SPDX-License-Identifier: Apache-2.0
// A library to preload: the n-th call of a kind fails, as NTH_KIND and NTH say ("alloc", 17); with NTH_ALL, so do those
// after it. How many calls there were goes to the file NTH_COUNT, for who wants to try them all. Kinds: alloc (memory
// is out), write, rename, sync, open (the disk is full), kill-write and kill-rename: the process gets the signal
// NTH_SIGNAL in front of the call.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
  const char *kind, *count;
  long nth;
  bool all;
  int signal;
  bool ready;
} o;
static atomic_long calls;

__attribute__((constructor)) static void start(void) {
  const char *nth = getenv("NTH"), *number = getenv("NTH_SIGNAL");
  o.kind = getenv("NTH_KIND");
  o.count = getenv("NTH_COUNT");
  o.nth = nth ? atol(nth) : 0;
  o.all = getenv("NTH_ALL");
  o.signal = number ? atoi(number) : SIGTERM;
  o.ready = o.kind;
  unsetenv("LD_PRELOAD"); // what it starts is not meant
}

__attribute__((destructor)) static void end(void) {
  o.ready = false;
  int fd = o.count ? open(o.count, O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1;
  char text[32];
  int n = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
  ssize_t (*next)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  if (fd >= 0 && next(fd, text, (size_t)n) < 0) abort();
}

// Whether this call is the one.
static bool fails(const char *kind) {
  if (!o.ready || strcmp(o.kind, kind)) return false;
  long now = atomic_fetch_add(&calls, 1) + 1;
  return now == o.nth || (o.all && o.nth && now > o.nth);
}

// The signal, where one is wanted in front of such a call.
static void kill_at(const char *kind) {
  if (fails(kind)) raise(o.signal);
}

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}

void *malloc(size_t n) { return fails("alloc") ? no_memory() : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return fails("alloc") ? no_memory() : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return fails("alloc") ? no_memory() : __libc_realloc(p, n); }
void *memalign(size_t a, size_t n) { return fails("alloc") ? no_memory() : __libc_memalign(a, n); }
void *aligned_alloc(size_t a, size_t n) { return memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) {
  *p = memalign(a, n);
  return *p ? 0 : ENOMEM;
}

// A disk that is full has still taken some of it.
ssize_t write(int fd, const void *data, size_t n) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, "write");
  kill_at("kill-write");
  if (!fails("write")) return next(fd, data, n);
  if (n > 1) return next(fd, data, n / 2);
  errno = ENOSPC;
  return -1;
}

int rename(const char *from, const char *to) {
  static int (*next)(const char *, const char *);
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, "rename");
  kill_at("kill-rename");
  if (!fails("rename")) return next(from, to);
  errno = EIO;
  return -1;
}

// SPDX-License-Identifier: Apache-2.0
// samples/vector_add.te in a program, and everything that can go wrong around it: each is a status and a text, and the
// next call is right. Linked with --wrap of what takes memory, so that each taking can fail.
#include "runtime/runtime.h"
#include "vector_add.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { N = 64 * 16 };
static int32_t a[N + 1], b[N + 1];
static int8_t c[N];

// ---- memory that is out at the n-th taking; 0: never ----------------------------------------------------------------

static long fail_at;
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
int __real_mprotect(void *p, size_t n, int prot);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
int __wrap_mprotect(void *p, size_t n, int prot);

static bool out_of_memory(void) { return fail_at && --fail_at == 0; }
void *__wrap_malloc(size_t n) { return out_of_memory() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t m) { return out_of_memory() ? NULL : __real_calloc(n, m); }
void *__wrap_realloc(void *p, size_t n) { return out_of_memory() ? NULL : __real_realloc(p, n); }
int __wrap_mprotect(void *p, size_t n, int prot) { return out_of_memory() ? -1 : __real_mprotect(p, n, prot); }

// ---- helpers --------------------------------------------------------------------------------------------------------

static int failures;

static void wrong(const char *what, int status) {
  printf("%s: status %d, text `%s`\n", what, status, tetc_error_text());
  failures++;
}

// What must fail, with these words.
static void refused(const char *what, int status, int want, const char *words) {
  if (status != want || !strstr(tetc_error_text(), words)) wrong(what, status);
}

// As if nothing had happened.
static void works(const char *after) {
  memset(c, 99, sizeof c);
  int status = vector_add(a, b, c);
  bool same = !status && !*tetc_error_text();
  for (int i = 0; i < N; i++) same &= c[i] == (int8_t)(a[i] + b[i]);
  if (!same) wrong(after, status);
}

// ---- cases ----------------------------------------------------------------------------------------------------------

static void arrays(void) {
  refused("no a", vector_add(NULL, b, c), TETC_BAD_ARRAY, "kernel `vector_add`: array `a` is NULL");
  works("after no a");
  refused("no b", vector_add(a, NULL, c), TETC_BAD_ARRAY, "array `b`");
  refused("no c", vector_add(a, b, NULL), TETC_BAD_ARRAY, "array `c` is NULL");
  refused("none", vector_add__packed(NULL), TETC_BAD_ARRAY, "array `a`");
  refused("a at 2", vector_add((int32_t *)(void *)((char *)a + 2), b, c), TETC_BAD_ARRAY, "no multiple of 4");
  works("after bad arrays");
}

static bool no_launch(void *self, const VtaWord *insns, const uint32_t *marks, size_t n, TetcFault *fault) {
  (void)self, (void)insns, (void)marks, (void)n;
  snprintf(fault->text, sizeof fault->text, "the board does not answer");
  return false;
}

static void device(void) {
  VtaConfig config = vta_config_default();
  TetcDevice *d = tetc_fsim_new(&config);
  TetcRuntime *rt = tetc_runtime_new(d);
  tetc_runtime_select(rt);
  works("own device");
  __typeof__(d->launch) launch = d->launch;
  d->launch = no_launch;
  memset(c, 7, sizeof c);
  refused("no answer", vector_add(a, b, c), TETC_DEVICE_FAILED, "the board does not answer");
  for (int i = 0; i < N; i++)
    if (c[i] != 7) failures++;
  d->launch = launch;
  works("after no answer");
  tetc_runtime_select(NULL);
  tetc_runtime_free(rt);
}

static void misfit(void) {
  VtaConfig config = vta_config_default();
  config.log_batch = 1;
  config.log_acc_buff++;
  TetcRuntime *rt = tetc_runtime_new(tetc_fsim_new(&config));
  tetc_runtime_select(rt);
  refused("misfit", vector_add(a, b, c), TETC_MISFIT, " LOG_BATCH=0 ");
  refused("misfit", vector_add(a, b, c), TETC_MISFIT, " LOG_BATCH=1 ");
  tetc_runtime_select(NULL);
  tetc_runtime_free(rt);
  works("after a misfit");
}

// Each taking of memory fails once, in a runtime that is new.
static void memory(void) {
  long n = 1;
  for (int status = 1; status; n++) {
    memset(c, 99, sizeof c);
    VTARuntimeShutdown();
    fail_at = n;
    status = vector_add(a, b, c);
    bool failed = fail_at == 0;
    fail_at = 0;
    if (status && (!failed || status > 2 || !*tetc_error_text())) wrong("out of memory", status);
    for (int i = 0; !status && i < N; i++)
      if (c[i] != (int8_t)(a[i] + b[i])) return wrong("out of memory, and not told", status);
    works("after out of memory");
    if (n > 1000) return wrong("always out of memory", status);
  }
  if (n < 12) wrong("memory is never out", (int)n);
  VTARuntimeShutdown();
}

int main(void) {
  for (int i = 0; i <= N; i++) a[i] = i % 50, b[i] = 3 * i % 60;
  works("first");
  arrays();
  device();
  misfit();
  memory();
  return failures != 0;
}

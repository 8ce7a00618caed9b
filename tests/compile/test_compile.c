// SPDX-License-Identifier: Apache-2.0
// The compiler as a function: texts in memory, from several threads at once, without growth and with the same bytes;
// what a caller sees on the way; errors as data.
#include "compile/compile.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *sample; // path of a kernel with a schedule

static const char add[] = "kernel add {\n  input a[x: 64] : int32;\n  input b[x: 64] : int32;\n  output c = a + b;\n}\n"
                          "schedule add { x0, x1 = c.split(x, factor = 16); c.unroll(x1); }\n";

static Ctx new_ctx(void) {
  Ctx cx = {.arena = arena_new()};
  cx.names = names_new(cx.arena);
  cx.diags = diags_new(cx.arena);
  return cx;
}

// The TIR of all kernels of a text, malloc'ed; NULL after errors.
static char *compiled(const char *text) {
  Ctx cx = new_ctx();
  Compilation c;
  CompileOptions o = {.config = vta_config_default()};
  Text t = {.arena = cx.arena};
  bool ok = compile(&c, &cx, source_new(cx.arena, "memory.te", text, strlen(text)), &o, NULL);
  for (size_t i = 0; ok && i < c.units.len; i++) tir_print(c.units.data[i]->func, &(TirPrintOptions){0}, &t);
  char *copy = ok ? strdup(t.data) : NULL;
  arena_free(cx.arena);
  return copy;
}

typedef struct Worker {
  const char *text, *want;
  int rounds, wrong;
} Worker;

static void *work(void *arg) {
  Worker *w = arg;
  for (int i = 0; i < w->rounds; i++) {
    char *got = compiled(w->text);
    w->wrong += !got || strcmp(got, w->want);
    free(got);
  }
  return NULL;
}

// Runs all workers at once; the bytes that are in use afterwards.
static size_t run_at_once(Worker *w, int n, int rounds) {
  pthread_t thread[2];
  for (int i = 0; i < n; i++) {
    w[i].rounds = rounds;
    assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]), 0);
  }
  for (int i = 0; i < n; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
  return mallinfo2().uordblks;
}

static void two_threads_at_once(void **state) {
  (void)state;
  Ctx cx = new_ctx();
  const char *error;
  const Source *file = source_read(cx.arena, sample, &error);
  assert_non_null(file);
  Worker w[2] = {{.text = file->text}, {.text = add}};
  for (int i = 0; i < 2; i++) assert_non_null(w[i].want = compiled(w[i].text));
  size_t once = run_at_once(w, 2, 1), often = run_at_once(w, 2, 499); // once: what the C library keeps a thread
  assert_int_equal(w[0].wrong + w[1].wrong, 0);
  assert_true(often < once + 4096); // the smallest arena has 64 KiB
  for (int i = 0; i < 2; i++) free((char *)w[i].want);
  arena_free(cx.arena);
}

typedef struct Seen {
  Text begun, made;
} Seen;

static void see_begin(void *self, const char *phase, const Func *given) {
  text_add(&((Seen *)self)->begun, "%s%s ", phase, given ? "" : "*");
}

static void see_made(void *self, const Compilation *c, const Unit *u, const char *phase, const Func *f,
                     double seconds) {
  assert_ptr_equal(u, c->units.data[c->units.len - 1]);
  assert_true(seconds >= 0);
  text_add(&((Seen *)self)->made, "%s%s ", phase, f ? "" : "*");
}

static void what_is_seen_on_the_way(void **state) {
  (void)state;
  Ctx cx = new_ctx();
  Seen seen = {{.arena = cx.arena}, {.arena = cx.arena}};
  CompileHooks hooks = {.self = &seen, .begins = see_begin, .made = see_made};
  CompileOptions o = {.config = vta_config_default(), .stop_after = "inject_copy"};
  Compilation c;
  assert_true(compile(&c, &cx, source_new(cx.arena, "memory.te", add, strlen(add)), &o, &hooks));
  assert_true(c.units.len == 1 && c.units.data[0]->stopped && unit_whole(&c, c.units.data[0]));
  assert_string_equal(seen.begun.data, "lower* constants tensorize inject_copy ");
  assert_string_equal(seen.made.data, "te* schedule* lower constants tensorize inject_copy ");
  arena_free(cx.arena);
}

static void errors_are_data(void **state) {
  (void)state;
  static const char wrong[] = "kernel k { input a[x: 4] : int32; output b = a + q; }";
  Ctx cx = new_ctx();
  CompileOptions o = {.config = vta_config_default()};
  Compilation c;
  assert_false(compile(&c, &cx, source_new(cx.arena, "memory.te", wrong, strlen(wrong)), &o, NULL));
  assert_int_equal(diags_errors(cx.diags), 1);
  arena_free(cx.arena);
}

static void phases_have_numbers(void **state) {
  (void)state;
  assert_int_equal(phase_number("te"), PHASE_TE);
  assert_int_equal(phase_number("lower"), PHASE_LOWER);
  assert_int_equal(phase_number(pass_table[0].name), PHASE_FIRST_PASS);
  assert_int_equal(phase_number("llvm"), -1);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(two_threads_at_once),
      cmocka_unit_test(what_is_seen_on_the_way),
      cmocka_unit_test(errors_are_data),
      cmocka_unit_test(phases_have_numbers),
  };
  sample = argc > 1 ? argv[1] : "samples/gemm.te";
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Load, compute and store of the interpreter's machine: programs by hand, in every order of the units.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend_vta/vta.h"

#include <stdlib.h>
#include <string.h>

enum { N = 64 };

// Runs a body on x (-> y = x + 1, element by element, is what the tests compute). Returns the error or NULL.
static const char *run_text(const char *body, VtaOrder order, int8_t y[N], char message[1024]) {
  Ctx cx = {.arena = arena_new()};
  cx.names = names_new(cx.arena);
  cx.diags = diags_new(cx.arena);
  VtaConfig config = vta_config_default();
  const VtaTarget *target = vta_target_new(&cx, &config);
  const char *text = arena_printf(cx.arena,
                                  "func f(x: int8[4, 1, 16] input, y: int8[4, 1, 16] output) target vta {\n"
                                  "alloc a: int32[4, 1, 16] @vta.acc base=0;\n"
                                  "alloc i: int8[4, 1, 16] @vta.inp base=0;\n"
                                  "alloc w: int8[1, 16, 16] @vta.wgt base=0;\n%s\n}",
                                  body);
  Func *f = tir_parse(&cx, source_new(cx.arena, "u.tir", text, strlen(text)), &target->tir);
  const char *error = NULL;
  if (!f) {
    diags_print(cx.diags, stdout, DIAG_TEXT, NULL);
    fail_msg("the text cannot be read");
  }
  int8_t x[N];
  for (int k = 0; k < N; k++) x[k] = (int8_t)k, y[k] = 77;
  void *params[] = {x, y};
  bool ok = tir_interpret(&cx, f, params, vta_machine_new(&cx, target, order), &error);
  message[0] = '\0';
  if (!ok) strncat(message, error, 1023);
  arena_free(cx.arena);
  return ok ? NULL : message;
}

static bool is_right(const int8_t y[N]) {
  for (int k = 0; k < N; k++)
    if (y[k] != k + 1) return false;
  return true;
}

enum { IN_ORDER = 1 << VTA_IN_ORDER, LOADS = 1 << VTA_LOADS_AHEAD, STORES = 1 << VTA_STORES_AHEAD, ALL = 7 };
#define LOAD "vta.load(&a[0], &x[t], y=1, x=1, stride=1); vta.add(&a[0], 1); "
#define STORE "vta.store(&y[t], &a[0], y=1, x=1, stride=1); "

// In which orders a program gives the result.
static const struct {
  const char *body;
  unsigned right;
} programs[] = {
    // one tile for all: each way is ordered
    {"for t in 0..4 { vta.pop(store, compute); " LOAD "vta.push(compute, store); vta.pop(compute, store); " STORE
     "vta.push(store, compute); }"
     "vta.sync();",
     0},
    {"vta.push(store, compute); for t in 0..4 { vta.pop(store, compute); " LOAD
     "vta.push(compute, store); vta.pop(compute, store); " STORE "vta.push(store, compute); }"
     "vta.pop(store, compute); vta.sync();",
     ALL},
    // without the tokens back, compute overwrites what is not stored yet, unless store goes first
    {"for t in 0..4 { " LOAD "vta.push(compute, store); vta.pop(compute, store); " STORE "} vta.sync();",
     IN_ORDER | STORES},
    // without those to store, it stores what is not there yet
    {"vta.push(store, compute); for t in 0..4 { vta.pop(store, compute); " LOAD STORE
     "vta.push(store, compute); } vta.pop(store, compute); vta.sync();",
     IN_ORDER | LOADS},
    {"for t in 0..4 { " LOAD STORE "} vta.sync();", IN_ORDER}, // none at all
    {"for t in 0..4 { " LOAD STORE "vta.sync(); }", IN_ORDER | LOADS},
    // a token that is issued after its pop frees the unit that waits for it
    {"for t in 0..4 { vta.pop(compute, store); " STORE LOAD "vta.push(compute, store); vta.sync(); }", ALL},
    // the CPU goes on before the units have stored, if they may
    {"for t in 0..4 { " LOAD "vta.push(compute, store); vta.pop(compute, store); " STORE
     "vta.sync(); } y[0, 0, 0] = y[1, 0, 0] - 16i8;",
     ALL},
    {"for t in 0..4 { " LOAD "vta.push(compute, store); vta.pop(compute, store); " STORE
     "if (t < 3) { vta.sync(); } } y[3, 0, 0] = y[3, 0, 0];"
     "vta.sync();",
     ALL},
    {"for t in 0..4 { " LOAD "vta.push(compute, store); vta.pop(compute, store); " STORE
     "if (t < 3) { vta.sync(); } } y[0, 0, 0] = y[3, 0, 0] - 48i8;"
     "vta.sync();",
     IN_ORDER},
};

static void orders_show_what_is_missing(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
    for (int order = 0; order < VTA_ORDER_COUNT; order++) {
      int8_t y[N];
      char message[1024];
      const char *error = run_text(programs[i].body, (VtaOrder)order, y, message);
      bool right = !error && is_right(y), wanted = programs[i].right >> order & 1;
      if (right != wanted) fail_msg("program %zu in order %d: %s", i, order, error ? error : right ? "right" : "wrong");
    }
}

// Programs that never end well, whatever the order; what is said of them.
static const struct {
  const char *body, *error;
} faults[] = {
    {"vta.pop(load, compute); vta.add(&a[0], 1); vta.pop(compute, load);\nvta.push(compute, load); vta.sync();",
     "deadlock: no unit can go on\n"
     "load waits for a token from compute, in `vta.pop(compute, load)` (u.tir:5:44)\n"
     "compute waits for a token from load, in `vta.pop(load, compute)` (u.tir:5:1), with 2 more operations behind it\n"
     "store has nothing left to do"},
    {"vta.push(load, compute); vta.push(load, compute); vta.pop(load, compute); vta.sync();",
     "1 token from load to compute is left over, in `vta.sync();`"},
    {"vta.push(load, compute); vta.push(load, compute); vta.sync();", "2 tokens from load to compute are left over"},
    {"vta.push(compute, store);", ""},
    {"vta.push(load, store);", "there is no token channel from load to store, in `vta.push(load, store);`"},
    {"for t in 0..5 { vta.load(&a[t], &x[t], y=1, x=1, stride=1); } vta.sync();",
     "in `vta.load(&a[t], &x[t], y=1, x=1, stride=1);` (u.tir:5:17)"},
    // more waits than streams hold
    {"vta.pop(store, compute); for t in 0..2000000 { vta.add(&a[0], 1); } vta.push(store, compute); vta.sync();",
     "deadlock: "},
};

static void faults_are_told(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    for (int order = 0; order < VTA_ORDER_COUNT; order++) {
      int8_t y[N];
      char message[1024];
      const char *error = run_text(faults[i].body, (VtaOrder)order, y, message);
      if (!error || !strstr(error, faults[i].error))
        fail_msg("fault %zu in order %d: %s", i, order, error ? error : "none");
    }
}

// Streams are bounded: a program that never waits runs in the memory of one that does.
static void long_streams_are_relieved(void **state) {
  (void)state;
  int8_t y[N];
  char message[1024];
  for (int order = 0; order < VTA_ORDER_COUNT; order++) {
    const char *error = run_text("for t in 0..4 { " LOAD "for k in 0..100000 { vta.add(&a[0], 3); vta.add(&a[0], -3); }"
                                 "vta.push(compute, store); vta.pop(compute, store); " STORE
                                 "vta.push(store, compute); vta.pop(store, compute); } vta.sync();",
                                 (VtaOrder)order, y, message);
    assert_null(error);
    assert_true(is_right(y));
  }
}

// Without a wait at the end nobody sees to it that the units are done.
static void the_end_is_waited_for(void **state) {
  (void)state;
  int8_t y[N];
  char message[1024];
  const char *error = run_text("for t in 0..4 { " LOAD "}", VTA_LOADS_AHEAD, y, message);
  assert_non_null(error);
  assert_non_null(strstr(error, "nobody waits for 8 operations: no vta.sync() follows the first, in "
                                "`vta.load(&a[0], &x[t], "));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(orders_show_what_is_missing), cmocka_unit_test(faults_are_told),
                                     cmocka_unit_test(long_streams_are_relieved),
                                     cmocka_unit_test(the_end_is_waited_for)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

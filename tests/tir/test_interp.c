// SPDX-License-Identifier: Apache-2.0
#include "helper.h"

static void **copy_params(Gen *g, const Func *f, void **p) {
  void **r = NEW_ARRAY(g->cx.arena, void *, f->nparams);
  for (int i = 0; i < f->nparams; i++) r[i] = arena_copy(g->cx.arena, p[i], gen_bytes(f->params[i]));
  return r;
}

static bool same_params(const Func *f, void **a, void **b) {
  for (int i = 0; i < f->nparams; i++) {
    DType t = f->params[i]->type;
    for (int64_t k = 0; k < buffer_elems(f->params[i]); k++) {
      const char *x = (char *)a[i] + k * dtype_bytes(t), *y = (char *)b[i] + k * dtype_bytes(t);
      if (!gen_same(t, scalar_load(t, x), scalar_load(t, y))) return false;
    }
  }
  return true;
}

// Random loops share what they write, which virtual threads may not: those become serial.
static const Stmt *make_serial(TirMap *m, const Stmt *s) {
  return s->kind == STMT_FOR && s->for_kind == FOR_VTHREAD
             ? stmt_placed(m->cx, stmt_for(m->cx, s->var, s->min, s->extent, FOR_SERIAL, s->body), s->loc, s->why)
             : s;
}

static Func *without_threads(Ctx *cx, const Func *f) {
  TirMap m = {.cx = cx, .stmt = make_serial};
  return func_with_body(cx, f, stmt_map(&m, f->body));
}

// The interpreter, a plain walk over the tree, the text read again, and the simplified tree: one result.
static void random_functions(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 2500; seed++) {
    Ctx cx = gen_ctx();
    Gen g;
    gen_init(&g, cx, seed);
    Func *f = without_threads(&cx, gen_func(&g, false)),
         *variants[3] = {f, read_text(&cx, write_text(&cx, f, false)),
                         func_with_body(&cx, f, stmt_simplify(&cx, f->body))};
    void **start = gen_params(&g, f), **want = copy_params(&g, f, start);
    gen_run(&g, f, want);
    for (int i = 0; i < 3; i++) {
      void **got = copy_params(&g, f, start);
      const char *error = NULL;
      bool ok = tir_interpret(&cx, variants[i], got, NULL, &error) && same_params(f, got, want);
      if (!ok) printf("# seed %llu, variant %d: %s\n", (unsigned long long)seed, i, error ? error : "differs");
      assert_true(ok);
    }
    arena_free(cx.arena);
  }
}

// Runs a body on a[8] of int64; returns the error or NULL.
static const char *run_text(Ctx *cx, const char *body, int64_t *a, const TirMachine *m) {
  Func *f = read_text(cx, arena_printf(cx->arena, "func f(a: int64[8] output) target t { %s }", body));
  assert_non_null(f);
  const char *error = NULL;
  void *params[] = {a};
  return tir_interpret(cx, f, params, m, &error) ? NULL : error;
}

static void faults_are_told(void **state) {
  (void)state;
  static const struct {
    const char *body, *error;
  } cases[] = {
      {"for i in 0..8 { a[i] = i; }", NULL},
      {"for i in 0..9 { a[i] = i; }", "index 8 is outside a dimension of 8, in `a[i] = i;`"},
      {"for i in 0..9 { a[0] = a[i - 1]; }", "index -1 is outside a dimension of 8, in `a[0] = a[i - 1];`"},
      {"a[8] = 1;", "index 0 of `a` is 8, outside 0..7, in `a[8] = 1;`"},
      {"if (a[0] == 1) { a[8] = 1; }", NULL}, // never reached
      {"a[0] = a[0] == 1 ? a[8] : 2;", NULL},
      {"a[0] = a[0] == 1 && a[8] == 1 ? 1 : 2;", NULL},
      {"a[0] = a[0] == 0 || a[8] == 1 ? 1 : 2;", NULL},
      {"t.op();", "there is no machine to run `t.op`"},
      {"alloc x: int8[1048576, 1048576]; x[0, 0] = 1i8;", "`x` needs more memory than there is"},
      {"alloc x: int32[32] @t.acc base=63; x[0] = 1i32;", "`x` does not fit t.acc at tile 63"},
      {"for i in -9223372036854775808..+3 { a[0] = i; }", NULL},
      {"for i in 9223372036854775806..+3 { a[1] = i; }", NULL}, // wraps
      {"for i in 3..+-5 { a[8] = 1; }", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Ctx cx = gen_ctx();
    int64_t a[8] = {0};
    const char *error = run_text(&cx, cases[i].body, a, NULL);
    if (!!error != !!cases[i].error || (error && !strstr(error, cases[i].error)))
      printf("# %s: %s\n", cases[i].body, error ? error : "ran");
    assert_int_equal(!!error, !!cases[i].error);
    if (error) assert_non_null(strstr(error, cases[i].error));
    arena_free(cx.arena);
  }
}

// Buffers that `storage` put on each other share their elements; others start with a pattern.
static void placed_buffers_overlap(void **state) {
  (void)state;
  Ctx cx = gen_ctx();
  int64_t a[8] = {0};
  assert_null(run_text(&cx,
                       "alloc x: int32[2, 16] @t.acc base=4; x[1, 3] = 7i32;"
                       "alloc y: int32[16] @t.acc base=5; a[0] = int64(y[3]); y[0] = 9i32; a[1] = int64(x[1, 0]);"
                       "alloc z: int32[16] @t.acc; a[2] = int64(z[0]);",
                       a, NULL));
  assert_int_equal(a[0], 7);
  assert_int_equal(a[1], 9);
  assert_int_equal(a[2], (int32_t)0xa5a5a5a5);
  arena_free(cx.arena);
}

// A machine that writes down what it is told.
static bool record(void *self, const Stmt *s, const TirArg *args, TirFault *fault) {
  Text *t = self;
  text_add(t, "%s", s->intrin->name);
  for (int i = 0; i < s->nargs; i++)
    if (args[i].is_ref) text_add(t, " &%s[%lld]", args[i].buffer->name, (long long)args[i].value);
    else text_add(t, " %lld", (long long)args[i].value);
  text_add(t, ";");
  if (s->nargs && !args[0].is_ref && args[0].value == 13) {
    fault->text = "unlucky";
    return false;
  }
  if (s->nargs == 1 && args[0].is_ref) ((int64_t *)args[0].data)[args[0].value] += 100;
  return true;
}

static bool enter(void *self, const Stmt *s, const TirArg *args, TirFault *fault) {
  return text_add(self, "{"), (void)fault, s->nargs == 0 || args[0].value != 99; // 99: skip the body
}

static bool leave(void *self, const Stmt *s, const TirArg *args, TirFault *fault) {
  return text_add(self, "}"), (void)s, (void)args, (void)fault, true;
}

static bool finish(void *self, TirFault *fault) { return text_add(self, "."), (void)fault, true; }

static void machines_are_called(void **state) {
  (void)state;
  Ctx cx = gen_ctx();
  Text t = {.arena = cx.arena};
  TirMachine m = {&t, record, enter, leave, finish};
  int64_t a[8] = {0};
  assert_null(run_text(
      &cx, "for i in 0..2 { t.region(i) { t.op(&a[i + 1]); t.op(i * 2, 7i8, &a[0]); } } t.region(99) { t.op(5); }", a,
      &m));
  assert_string_equal(t.data, "{t.op &a[1];t.op 0 7 &a[0];}{t.op &a[2];t.op 2 7 &a[0];}{.");
  assert_true(a[1] == 100 && a[2] == 100);
  const char *error = run_text(&cx, "for i in 12..15 { t.op(i); }", a, &m);
  assert_string_equal(error, "unlucky, in `t.op(i);` (t.tir:1:57)");
  assert_null(run_text(&cx, "t.region() { a[5] = 5; }", a, NULL)); // bodies run without a machine too
  assert_int_equal(a[5], 5);
  arena_free(cx.arena);
}

// Virtual threads take turns after each store; what they allocate is their own.
static void threads_take_turns(void **state) {
  (void)state;
  static const struct {
    const char *body;
    int64_t a[8];
  } cases[] = {
      {"vthread for t in 0..2 { a[0] = t; a[t + 1] = a[0]; }", {1, 1, 1}},
      {"for t in 0..2 { a[0] = t; a[t + 1] = a[0]; }", {1, 0, 1}},
      {"vthread for t in 3..6 { alloc c: int64[1]; c[0] = t; a[0] = 9; a[t] = c[0]; }", {9, 0, 0, 3, 4, 5}},
      {"vthread for t in a[7] + 1..+3 { a[t] = a[0] * 10 + t; a[0] = a[0] + 1; }", {3, 1, 2, 3}},
      // threads of different length: the last one goes on alone
      {"vthread for t in 0..3 { for i in 0..t { a[t] = a[t] * 10 + a[7]; a[7] = a[7] + 1; } if (t == 1) { a[6] = a[7]; "
       "} }",
       {0, 0, 2, 0, 0, 0, 2, 3}},
      // threads in threads: (0, 0) (1, 0) (0, 1) (1, 1)
      {"vthread for t in 0..2 { vthread for u in 0..2 { a[7] = a[7] + 1; a[t * 2 + u] = a[7]; } }",
       {4, 4, 4, 4, 0, 0, 0, 4}},
      {"vthread for t in 0..2 { vthread for u in 0..2 { a[7] = a[7] * 10 + t * 2 + u; } }", {0, 0, 0, 0, 0, 0, 0, 213}},
      {"vthread for t in 0..2 { for i in 0..2 { vthread for u in 0..2 { a[6 - t] = a[6 - t] * 10 + i * 2 + u; } } }",
       {0, 0, 0, 0, 0, 123, 123}},
      // as many as there may be, and more: one after the other
      {"vthread for t in 0..64 { a[0] = t; a[1] = a[1] + a[0]; }", {63, 64 * 63}},
      {"vthread for t in 0..65 { a[0] = t; a[1] = a[1] + a[0]; }", {64, 65 * 32}},
      {"vthread for t in 0..a[0] + 2 { a[7] = t; a[t] = a[7]; }", {0, 1, 0, 0, 0, 0, 0, 1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Ctx cx = gen_ctx();
    int64_t a[8] = {0};
    const char *error = run_text(&cx, cases[i].body, a, NULL);
    if (error) fail_msg("%s: %s", cases[i].body, error);
    for (int k = 0; k < 8; k++)
      if (a[k] != cases[i].a[k])
        fail_msg("%s: a[%d] is %lld, not %lld", cases[i].body, k, (long long)a[k], (long long)cases[i].a[k]);
    arena_free(cx.arena);
  }
  Ctx cx = gen_ctx();
  int64_t a[8] = {0};
  const char *error = run_text(&cx, "vthread for t in 0..4 { a[7] = 1; a[t * 4] = t; }", a, NULL);
  assert_string_equal(error, "index 8 is outside a dimension of 8, in `a[t * 4] = t;` (t.tir:1:73)");
  arena_free(cx.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_functions), cmocka_unit_test(faults_are_told),
                                     cmocka_unit_test(placed_buffers_overlap), cmocka_unit_test(machines_are_called),
                                     cmocka_unit_test(threads_take_turns)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

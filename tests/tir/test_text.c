// SPDX-License-Identifier: Apache-2.0
#include "helper.h"

// What is printed is read as the same tree, and printed the same again: with and without places.
static void round_trips(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 4000; seed++) {
    Ctx cx = gen_ctx();
    Gen g;
    gen_init(&g, cx, seed);
    Func *f = gen_func(&g, true);
    const char *text = write_text(&cx, f, seed % 2);
    Func *again = read_text(&cx, text);
    if (!again) printf("# seed %llu\n%s", (unsigned long long)seed, text);
    assert_non_null(again);
    assert_string_equal(write_text(&cx, again, seed % 2), text);
    assert_int_equal(again->nparams, f->nparams);
    arena_free(cx.arena);
  }
}

typedef struct Pairs {
  VEC(const Expr *) list;
  Arena *arena;
} Pairs;

static bool note(void *self, const Expr *e) {
  Pairs *p = self;
  VEC_PUSH(p->arena, p->list, e);
  return true;
}

// Kind by kind, type by type, bit by bit.
static void reading_restores_the_tree(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 3000; seed++) {
    Ctx cx = gen_ctx();
    Gen g;
    gen_init(&g, cx, seed);
    Func *f = gen_func(&g, true), *again = read_text(&cx, write_text(&cx, f, false));
    assert_non_null(again);
    Pairs a = {.arena = cx.arena}, b = {.arena = cx.arena};
    stmt_visit(f->body, NULL, note, &a);
    stmt_visit(again->body, NULL, note, &b);
    assert_int_equal(a.list.len, b.list.len);
    for (size_t i = 0; i < a.list.len; i++) {
      const Expr *x = a.list.data[i], *y = b.list.data[i];
      assert_int_equal(x->kind, y->kind);
      assert_int_equal(x->type, y->type);
      if (x->kind == EXPR_INT || x->kind == EXPR_FLOAT) assert_memory_equal(&x->value, &y->value, sizeof x->value);
      if (x->kind == EXPR_BINARY) assert_int_equal(x->binop, y->binop);
    }
    arena_free(cx.arena);
  }
}

// Texts that are printed as they are.
static const char *const kept[] = {
    "func f() {\n}\n",
    "func f(\n  x: float16[1] output\n) {\n  x[0] = -nan_f16;\n  x[0] = nan_f16_7ff8000000000001;\n  x[0] = -0.0f16;\n "
    " x[0] = 0.1f16;\n}\n",
    "func f(\n  x: float64[1] output\n) {\n  x[0] = 0.1f64 + 5e-324f64 - 1.7976931348623157e+308f64 * -inf_f64;\n}\n",
    "func f(\n  x: int64[1] output\n) {\n  x[0] = -9223372036854775808 - -(5) - (3 - 4) - -x[0];\n}\n",
    "func f(\n  x: uint64[1] output\n) {\n  x[0] = 18446744073709551615u64 >> 1u64;\n}\n",
    "func f(\n  x: bool[1] output\n) {\n  x[0] = !(true && false || !x[0]) == 1 < 2 ^ (true ^ x[0]);\n}\n",
    "func f(\n  x: int8[1] output\n) {\n  x[0] = (x[0] < -128i8 ? (true ? 1i8 : 2i8) : false ? 3i8 : 4i8) + (true ? "
    "1i8 : 2i8);\n}\n",
    "func f(\n  x: int8[1] output\n) {\n  x[0] = ~(-x[0]) & 1i8 | (2i8 ^ 3i8 | 4i8) << 1i8;\n}\n",
    "func f(\n  x: int64[4] output\n) {\n  for i in 0..4 {\n    for i_1 in i..+2 {\n      x[i] = min(i, max(i_1, "
    "2));\n    }\n"
    "    for i_1 in 0..i {\n      x[i] = i_1;\n    }\n    for j in -2..2 {\n      x[0] = abs(j);\n    }\n  }\n}\n",
    "func f(\n  x: int64[4] output\n) {\n  {\n    alloc y: int8[2, 3];\n  }\n  alloc y: int8[2, 3] of conv;\n  x[0] = "
    "1;\n}\n",
    "func f(\n  x: int64[4] output @k.te:3:4\n) target t @k.te:1:1 {\n  alloc y: int32[16] @t.acc base=3 @?;\n"
    "  vthread for i in 0..4 @\"a b.te\":22:7 by @dir/c.te:38:3 {\n    t.region(i) @? {\n      t.op(&y[0], 3, 4i8) @? "
    "by @k.te:1:2;\n    }\n  }\n}\n",
};

static void kept_as_they_are(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    Ctx cx = gen_ctx();
    Func *f = read_text(&cx, kept[i]);
    assert_non_null(f);
    assert_string_equal(write_text(&cx, f, strchr(kept[i], '@') && strstr(kept[i], "k.te")), kept[i]);
    arena_free(cx.arena);
  }
}

// Names that are words, not identifiers, or taken.
static void names_are_made_unique(void **state) {
  (void)state;
  Ctx cx = gen_ctx();
  const char *names[] = {"min", "for", "a.b", "2x", "", "x", "x", "x_1", "int8", "out"};
  int64_t one = 1;
  const Buffer *out = tir_buffer(&cx, name_of(cx.names, "out"), DT_I64, &scope_host, BUF_OUTPUT, 1, &one, (Loc){0});
  const Expr *zero = expr_index(&cx, 0), *sum = zero;
  const Var *vars[10];
  for (int i = 0; i < 10; i++) {
    vars[i] = tir_var(&cx, name_of(cx.names, names[i]), (Loc){0});
    sum = expr_raw_binary(&cx, OP_ADD, sum, expr_var(&cx, vars[i]), (Loc){0});
  }
  const Stmt *s = stmt_store(&cx, out, &zero, sum);
  for (int i = 9; i >= 0; i--) s = stmt_for(&cx, vars[i], zero, expr_index(&cx, 2), FOR_SERIAL, s);
  Func f = {.name = "func", .nparams = 1, .params = &out, .body = s};
  const char *text = write_text(&cx, &f, false);
  assert_non_null(strstr(text, "out[0] = 0 + min_1 + for_1 + a_b + _2x + v + x + x_1 + x_1_1 + int8_1 + out_1;"));
  assert_string_equal(write_text(&cx, read_text(&cx, text), false), text);
  arena_free(cx.arena);
}

static const struct {
  const char *text, *code, *message; // of the first error
  uint32_t line, col;
} refused[] = {
    {"\n ", "E0001", "unexpected end of file, expected `func`", 2, 2},
    {"func f(", "E0001", "unexpected end of file", 1, 8},
    {"func f() { x }", "E0001", "unexpected `}`", 1, 14},
    {"func f() { for i in 0 { } }", "E0001", "unexpected `{`", 1, 23},
    {"func f() { } garbage", "E0001", "unexpected name, expected end of file", 1, 14},
    {"func f() { x[0] = $; }", "E0002", "unexpected character `$`", 1, 19},
    {"func f() { x[0] = \x80; }", "E0002", "unexpected byte 0x80", 1, 19},
    {"func f() { x[0] = 1; }", "E0101", "there is no buffer `x` here", 1, 12},
    {"func f(x: int64[2] output) { x[i] = 1; }", "E0101", "there is no variable `i` here", 1, 32},
    {"func f(x: int64[2] output) { for i in 0..2 { } x[i] = 1; }", "E0101", "there is no variable `i` here", 1, 50},
    {"func f(x: int64[2] output) { { alloc y: int64[1]; } y[0] = 1; }", "E0101", "there is no buffer `y` here", 1, 53},
    {"func f(x: int64[2] output) { x[0] = x; }", "E0104", "buffer `x` stands without indices", 1, 37},
    {"func f(x: int64[2] output) { for i in 0..2 { i[0] = 1; } }", "E0103", "`i` is a loop variable, not a buffer", 1,
     46},
    {"func f(x: int64[2] output) { x[0, 1] = 1; }", "E0104", "`x` takes 1 index here, not 2", 1, 30},
    {"func f(x: int64[2, 2] output) { x[0] = 1; }", "E0104", "`x` takes 2 indices here, not 1", 1, 33},
    {"func f(x: int64[2] output) { x[1i32] = 1; }", "E0103", "an index of `x` is int32, not int64", 1, 32},
    {"func f(x: int32[2] output) { x[0] = 1; }", "E0103", "int64 is stored into `x`, which holds int32", 1, 37},
    {"func f(x: int32[2] output) { x[0] = 1i32 + 1i8; }", "E0103", "`+` of int32 and int8", 1, 37},
    {"func f(x: float32[2] output) { x[0] = x[0] % x[0]; }", "E0103", "`%` does not take float32", 1, 39},
    {"func f(x: bool[2] output) { x[0] = -x[0]; }", "E0103", "`-` does not take bool", 1, 36},
    {"func f(x: int32[2] output) { x[0] = exp(x[0]); }", "E0103", "`exp` does not take int32", 1, 37},
    {"func f(x: float32[2] output) { x[0] = pow(x[0]); }", "E0202", "`pow` takes 2 arguments, not 1", 1, 39},
    {"func f(x: float32[2] output) { x[0] = min(x[0]); }", "E0202", "`min` takes 2 arguments, not 1", 1, 39},
    {"func f(x: int32[2] output) { x[0] = 1 ? x[0] : x[0]; }", "E0103", "the condition is int64, not bool", 1, 37},
    {"func f(x: int32[2] output) { x[0] = true ? 1i8 : x[0]; }", "E0103", "`?:` of int8 and int32", 1, 37},
    {"func f(x: int32[2] output) { if (1) { } }", "E0103", "the condition is int64, not bool", 1, 34},
    {"func f(x: int8[2] output) { x[0] = 128i8; }", "E0114", "this number does not fit int8", 1, 36},
    {"func f(x: int8[2] output) { x[0] = 129i8; }", "E0114", "`129i8` does not fit int8", 1, 36},
    {"func f(x: int8[2] output) { x[0] = -129i8; }", "E0114", "`129i8` does not fit int8", 1, 37},
    {"func f(x: uint8[2] output) { x[0] = -1u8; }", "E0114", "a negative number does not fit uint8", 1, 37},
    {"func f(x: int64[2] output) { x[0] = 9223372036854775808; }", "E0114", "this number does not fit int64", 1, 37},
    {"func f(x: int64[2] output) { x[0] = (9223372036854775808); }", "E0114", "this number does not fit int64", 1, 38},
    {"func f(x: int64[2] output) { x[0] = 99999999999999999999; }", "E0114", "does not fit int64", 1, 37},
    {"func f(x: int64[2] output) { x[0] = 1i7; }", "E0002", "ends in no type of integer", 1, 37},
    {"func f(x: float32[2] output) { x[0] = 1.5; }", "E0002", "`1.5` does not say its type", 1, 39},
    {"func f(x: float32[2] output) { x[0] = 1e99f32; }", "E0114", "does not fit float32", 1, 39},
    {"func f(x: float32[2] output) { x[0] = inf_f8; }", "E0002", "`inf_f8` is no float", 1, 39},
    {"func f(x: int64[0] output) { }", "E0107", "the shape of `x`", 1, 8},
    {"func f(x: int64[4611686018427387904, 4] output) { }", "E0107", "the shape of `x`", 1, 8},
    {"func f(x: int64[n] output) { }", "E0101", "there is no variable `n` here", 1, 17},
    {"func f(x: int64[1 + 1] output) { }", "E0108", "a number is expected here", 1, 17},
    {"func f(x: int64[2] input, x: int64[2] output) { }", "E0102", "there are two parameters `x`", 1, 27},
    {"func f(x: int64[2] @t.acc input) { }", "E0207", "there is no memory `t.acc`", 1, 20},
    {"func f() target u { }", "E0112", "there is no target `u` here", 1, 10},
    {"func f() target t { t.oops(); }", "E0211", "there is no intrinsic `t.oops`", 1, 21},
    {"func f() { t.op(); }", "E0211", "there is no intrinsic `t.op`", 1, 12},
    {"func f() target t { t.op() { } }", "E0202", "`t.op` takes no body", 1, 21},
    {"func f() target t { t.region(); }", "E0202", "`t.region` needs a body", 1, 21},
    {"func f() target t { t.region(1, 2, 3) { } }", "E0202", "`t.region` does not take 3 arguments", 1, 21},
    {"func f() { for i in 0i32..4 { } }", "E0103", "the bounds of a loop are int64", 1, 21},
    {"func f() { for i in -9223372036854775807..9223372036854775807 { } }", "E0107", "does not fit int64", 1, 21},
};

static void bad_text_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    Ctx cx = gen_ctx();
    Func *f = tir_parse(&cx, source_new(cx.arena, "t.tir", refused[i].text, strlen(refused[i].text)), &gen_target);
    assert_null(f);
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    diags_print(cx.diags, out, DIAG_TEXT, NULL);
    fclose(out);
    const char *place = arena_printf(cx.arena, "t.tir:%u:%u\n", refused[i].line, refused[i].col);
    char *end = strstr(text, "\n\n"); // of the first message
    if (end) end[1] = '\0';
    bool good = strstr(text, refused[i].code) && strstr(text, refused[i].message) && strstr(text, place);
    if (!good) printf("# %s\n# wanted %s at %s%s\n", refused[i].text, refused[i].message, place, text);
    assert_true(good);
    free(text);
    arena_free(cx.arena);
  }
}

// Depth is an error, not the end of the stack; many errors are not more than a screen or two.
static void depth_is_bounded(void **state) {
  (void)state;
  static const char *const open[] = {"(", "-", "x[", "min(0, ", "1 + (", "true ? 1 : "}, *const blocks[] = {
                                                                                             "{ ", "for i in 0..1 { ",
                                                                                             "if (true) { } else ",
                                                                                             "alloc y: int8[1]; "};
  for (size_t k = 0; k < 10; k++) {
    Ctx cx = gen_ctx();
    Text t = {.arena = cx.arena};
    text_add(&t, "func f(x: int64[1] output) { %s", k < 6 ? "x[0] = " : "");
    for (int i = 0; i < 200000; i++)
      text_add_bytes(&t, k < 6 ? open[k] : blocks[k - 6], strlen(k < 6 ? open[k] : blocks[k - 6]));
    assert_null(tir_parse(&cx, source_new(cx.arena, "t.tir", t.data, t.len), &gen_target));
    assert_in_range(diags_errors(cx.diags), 1, 40);
    arena_free(cx.arena);
  }
  Ctx cx = gen_ctx();
  Text t = {.arena = cx.arena};
  text_add(&t, "func f(x: int64[1] output) { x[0] = 0");
  for (int i = 0; i < 100000; i++) text_add(&t, " + 1");
  text_add(&t, "; }");
  assert_null(tir_parse(&cx, source_new(cx.arena, "t.tir", t.data, t.len), &gen_target));
  assert_true(diags_have(cx.diags, E_TOO_DEEP));
  arena_free(cx.arena);
}

// As deep as it may be, everything works.
static void deep_enough(void **state) {
  (void)state;
  Ctx cx = gen_ctx();
  Text t = {.arena = cx.arena};
  text_add(&t, "func f(x: int64[1] output) {\n");
  for (int i = 0; i < 2900; i++) text_add(&t, "alloc y%d: int8[1];\ny%d[0] = 1i8;\n", i, i);
  text_add(&t, "x[0] = int64(y0[0])");
  for (int i = 0; i < 1900; i++) text_add(&t, " - x[0] * x[0]");
  text_add(&t, ";\n}\n");
  Func *f = read_text(&cx, t.data);
  assert_non_null(f);
  const char *message, *error;
  assert_true(tir_verify(&cx, f, FORM_LOOPS, &message));
  int64_t x = 3;
  void *params[] = {&x};
  assert_true(tir_interpret(&cx, f, params, NULL, &error));
  assert_true(stmt_simplify(&cx, f->body) != NULL);
  const char *text = write_text(&cx, f, false);
  assert_string_equal(write_text(&cx, read_text(&cx, text), false), text);
  arena_free(cx.arena);
}

// Cut and mangled texts: errors, never more.
static void mangled_text(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 3000; seed++) {
    Ctx cx = gen_ctx();
    Gen g;
    gen_init(&g, cx, seed % 50);
    char *text = arena_printf(cx.arena, "%s", write_text(&cx, gen_func(&g, true), true));
    g.state = seed * 77 + 1;
    size_t n = strlen(text);
    for (int i = 0; i < 3; i++) {
      size_t at = (size_t)gen_below(&g, (int)n), from = (size_t)gen_below(&g, (int)n);
      size_t len = (size_t)gen_below(&g, 12);
      if (at + len < n && from + len < n) memmove(text + at, text + from, len);
    }
    if (gen_below(&g, 2)) text[gen_below(&g, (int)n)] = '\0';
    Func *f = tir_parse(&cx, source_new(cx.arena, "t.tir", text, strlen(text)), &gen_target);
    assert_true(f || diags_errors(cx.diags));
    if (f) assert_non_null(read_text(&cx, write_text(&cx, f, true)));
    arena_free(cx.arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trips),         cmocka_unit_test(reading_restores_the_tree),
      cmocka_unit_test(kept_as_they_are),    cmocka_unit_test(names_are_made_unique),
      cmocka_unit_test(bad_text_is_refused), cmocka_unit_test(depth_is_bounded),
      cmocka_unit_test(deep_enough),         cmocka_unit_test(mangled_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

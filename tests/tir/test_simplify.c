// SPDX-License-Identifier: Apache-2.0
#include "helper.h"

// Expressions in the scope of i and j in 0..16, n in 0..100, k in 3..20, z in -8..8; p: int32[64], q: int8[64] and
// b: bool[64] are inputs; s: int64[64] too.
static const struct {
  const char *before, *after;
} rules[] = {
    // affine normal form, terms in order of appearance
    {"i + 0", "i"},
    {"0 + i * 1", "i"},
    {"i - i", "0"},
    {"i + j + i", "i * 2 + j"},
    {"(i + 3) * 4 - 2", "i * 4 + 10"},
    {"2 * (j + i) - 2 * j", "i * 2"},
    {"-(i - j)", "-i + j"},
    {"i << 3", "i * 8"},
    {"3 + i - 5", "i - 2"},
    {"i * j + i * j", "i * j * 2"},
    {"n - (n - 1)", "1"},
    {"-(5)", "-5"},
    {"s[i] + 1 - s[i]", "1"},
    // division and modulo by constants
    {"i * 16 / 16", "i"},
    {"(i * 16 + j) / 16", "i"},
    {"(i * 16 + j) % 16", "j"},
    {"(n * 32 + j) / 16", "n * 2"},
    {"i / 16", "0"},
    {"i % 16", "i"},
    {"i % 8", "i % 8"},
    {"(i + 16) / 16", "1"},
    {"(i - 16) / 16", "-1"},
    {"(i - 16) % 16", "i"},
    {"4 * i / 8", "i / 2"},
    {"(4 * i + 3) / 8", "i / 2"},
    {"(4 * i + 3) % 8", "i % 2 * 4 + 3"},
    {"n / 4 / 8", "n / 32"},
    {"n % 32 % 8", "n % 8"},
    {"n / 16 * 16 + n % 16", "n"},
    {"n / 4 * 8 + n % 4 * 2", "n * 2"},
    {"(i * 17 + j) / 16", "(i * 17 + j) / 16"},
    {"n / 1", "n"},
    {"n / 0", "0"},
    {"n % 0", "0"},
    {"n % 1", "0"},
    {"(n + 100) / 200", "0"},
    {"(n + 100) / 150", "(n + 100) / 150"},
    {"(n * 6 + 4) / 2", "n * 3 + 2"},
    {"(s[0] * 16 + j) / 16", "(s[0] * 16 + j) / 16"}, // s[0] * 16 may wrap
    // min and max
    {"min(i, 15)", "i"},
    {"max(i, 0)", "i"},
    {"min(i, 16 + j)", "i"},
    {"max(i + 1, i)", "i + 1"},
    {"min(n, 10)", "min(n, 10)"},
    {"min(min(n, 10), 20)", "min(n, 10)"},
    {"max(max(n, 10), 20)", "max(n, 20)"},
    {"min(3, n)", "min(n, 3)"},
    {"max(min(n, 200), 0)", "n"},
    {"abs(i)", "i"},
    {"abs(z)", "abs(z)"},
    // comparisons (as select)
    {"i < 16 ? 1 : 2", "1"},
    {"i >= 16 ? 1 : 2", "2"},
    {"i + j < 31 ? 1 : 2", "1"},
    {"i == j - 20 ? 1 : 2", "2"},
    {"n * 16 + j < 64 ? 1 : 2", "n < 4 ? 1 : 2"},
    {"n * 16 + j >= 32 ? 1 : 2", "n >= 2 ? 1 : 2"},
    {"n + 1 < 10 ? 1 : 2", "n < 9 ? 1 : 2"},
    {"10 > n + 1 ? 1 : 2", "n < 9 ? 1 : 2"},
    {"n + i < i + 7 ? 1 : 2", "n < 7 ? 1 : 2"},
    {"4 * n < 7 ? 1 : 2", "n < 2 ? 1 : 2"},
    {"4 * n <= 7 ? 1 : 2", "n <= 1 ? 1 : 2"},
    {"4 * n == 7 ? 1 : 2", "2"},
    {"4 * n != 8 ? 1 : 2", "n != 2 ? 1 : 2"},
    {"-n < -5 ? 1 : 2", "n > 5 ? 1 : 2"},
    {"0 <= n - 3 ? 1 : 2", "n >= 3 ? 1 : 2"},
    {"n % 2 * (-9223372036854775807 - 1) < 0 ? 1 : 2", "n % 2 * -9223372036854775808 < 0 ? 1 : 2"},
    {"s[0] < s[0] + 1 ? 1 : 2", "s[0] < s[0] + 1 ? 1 : 2"},
    {"s[0] + 1 == s[0] + 2 ? 1 : 2", "2"},
    // && || ! and what conditions tell
    {"i >= 0 && n < 7 ? 1 : 2", "n < 7 ? 1 : 2"},
    {"i < 0 && n < 7 ? 1 : 2", "2"},
    {"i < 0 || n < 7 ? 1 : 2", "n < 7 ? 1 : 2"},
    {"!(n < 7) ? 1 : 2", "n >= 7 ? 1 : 2"},
    {"!!b[0] ? 1 : 2", "b[0] ? 1 : 2"},
    {"b[0] == true ? 1 : 2", "b[0] ? 1 : 2"},
    {"n < 7 ? (n < 8 ? 1 : 2) : 3", "n < 7 ? 1 : 3"},
    {"n >= 7 ? 0 : n / 7", "0"},
    {"n < 7 && n < 9 ? 1 : 2", "n < 7 ? 1 : 2"},
    {"n == 5 ? n : 6", "n == 5 ? 5 : 6"},
    {"b[i] ? n : n", "n"},
    {"n < 16 ? (n + i * 16) / 16 : -1", "n < 16 ? i : -1"},
    // other integers: constants, and only what is exact when they wrap
    {"int64(p[0] + 0i32)", "int64(p[0])"},
    {"int64(p[0] + 1i32 + 2i32)", "int64(p[0] + 3i32)"},
    {"int64(p[0] * 4i32 / 4i32)", "int64(p[0] * 4i32 / 4i32)"},
    {"int64(int32(q[0]) + 200i32 < 400i32 ? 1i8 : 0i8)", "1"},
    {"int64(min(int32(q[0]), 127i32))", "int64(q[0])"},
    {"int64(p[0] >> 2i32 >> 3i32)", "int64(p[0] >> 5i32)"},
    {"int64(p[0] & 0i32)", "0"},
    {"int64(p[0] ^ p[0])", "0"},
    {"int64(120i8 + 10i8)", "-126"},
    {"int64(int32(int16(q[0])))", "int64(q[0])"},
    {"int64(int8(p[0]))", "int64(int8(p[0]))"},
    {"int64(int32(i))", "i"},
    {"int64(int8(n * 4))", "int64(int8(n * 4))"},
    {"int64(-(-p[0]))", "int64(p[0])"},
    {"int64(int32(i) % 16i32)", "i"},
    {"int64(uint8(q[0]))", "int64(uint8(q[0]))"},
    // sums that wrap on the way; what is known after a rule
    {"i - (-9223372036854775807 - 1) * 32", "i"},
    {"(abs(i) - -9223372036854775808) % 63", "(i + 55) % 63"},
    {"int64(inf_f32) >= -i ? 1 : 2", "1"},
    {"min(i - 9223372036854775807, 0)", "i - 9223372036854775807"},
    {"n * 2 % 32 % 16", "n % 8 * 2"},
    {"int64(~(~(p[0] & 7i32)) >> 3i32)", "0"},
    {"int64((p[0] | 8i32 | 7i32) >= 15i32 ? p[0] : 1i32)", "int64((p[0] | 15i32) >= 15i32 ? p[0] : 1i32)"},
    {"int64(0i32 << p[0])", "0"},
    {"((n < 2 ? n : k) - 64) / 16 < -1 ? 1 : 2", "1"},
    {"int64(1.5f32 + 2.0f32)", "3"},
    {"int64(float32(p[0]) + 0.0f32)", "int64(float32(p[0]) + 0.0f32)"},
};

static void rules_hold(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    Ctx cx = gen_ctx();
    const char *frame =
        "func f(p: int32[64] input, q: int8[64] input, b: bool[64] input, s: int64[64] input, out: int64[1] output) {\n"
        "for i in 0..16 { for j in 0..16 { for n in 0..100 { for k in 3..20 { for z in -8..8 {\n"
        "out[0] = %s;\n} } } } } }\n";
    Func *f = read_text(&cx, arena_printf(cx.arena, frame, rules[i].before));
    assert_non_null(f);
    const Stmt *s = stmt_simplify(&cx, f->body);
    while (s->kind == STMT_FOR) s = s->body;
    Text t = {.arena = cx.arena};
    tir_print_expr(s->value, &t);
    if (strcmp(t.data, rules[i].after)) printf("# %s\n", rules[i].before);
    assert_string_equal(t.data, rules[i].after);
    arena_free(cx.arena);
  }
}

static const struct {
  const char *before, *after;
} statements[] = {
    {"for i in 3..4 { a[i] = i; }", "a[3] = 3;\n"},
    {"for i in 0..4 { for j in i..+1 { a[j] = i - j; } }", "for i in 0..4 {\n  a[i] = 0;\n}\n"},
    {"for i in a[0]..+1 { a[0] = 7; a[1] = i; }", "for i in a[0]..+1 {\n  a[0] = 7;\n  a[1] = i;\n}\n"}, // a[0] changes
    {"for i in 0..0 { a[0] = 1; } a[1] = 2;", "a[1] = 2;\n"},
    {"for i in 0..8 { if (i < 8) { a[i] = 1; } else { a[i] = 2; } }", "for i in 0..8 {\n  a[i] = 1;\n}\n"},
    {"for i in 0..8 { if (i < 8) { } else { a[i] = 2; } }", ""},
    {"for i in 0..8 { if (i < 4) { } else { a[i] = 2; } }",
     "for i in 0..8 {\n  if (i >= 4) {\n    a[i] = 2;\n  }\n}\n"},
    {"for i in 0..8 { if (i < 4) { a[i / 4] = 1; } }", "for i in 0..8 {\n  if (i < 4) {\n    a[0] = 1;\n  }\n}\n"},
    {"alloc x: int8[4];", ""},
    {"t.region() { }", "t.region() {\n}\n"},
    {"vthread for v in 0..1 { t.op(v); }", "t.op(0);\n"},
};

static void statements_hold(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
    Ctx cx = gen_ctx();
    Func *f =
        read_text(&cx, arena_printf(cx.arena, "func f(a: int64[8] output) target t {\n%s\n}\n", statements[i].before));
    assert_non_null(f);
    const Stmt *s = stmt_simplify(&cx, f->body);
    Text t = {.arena = cx.arena};
    tir_print_stmt(s, 0, &t);
    assert_string_equal(t.data ? t.data : "", statements[i].after);
    assert_ptr_equal(stmt_simplify(&cx, s), s);
    arena_free(cx.arena);
  }
}

// Whatever the expression, its value and its bounds.
static void random_expressions(void **state) {
  (void)state;
  const uint64_t seeds = getenv("TETC_LONG_TESTS") ? 4000000 : 60000;
  for (uint64_t seed = 0; seed < seeds; seed++) {
    Ctx cx = gen_ctx();
    Gen g;
    gen_init(&g, cx, seed);
    DType t = g.tame && gen_below(&g, 2) ? (gen_below(&g, 2) ? DT_I64 : DT_BOOL) : (DType)gen_below(&g, DT_COUNT);
    const Expr *e = gen_expr(&g, t, 1 + gen_below(&g, 6));
    Ranges r = gen_ranges(&g);
    const Expr *s = expr_simplify(&g.cx, &r, e), *u = expr_simplify(&g.cx, NULL, e);
    if (expr_simplify(&g.cx, &r, s) != s || expr_simplify(&g.cx, NULL, u) != u)
      fail_msg("seed %llu: simplifying again changes something", (unsigned long long)seed);
    int64_t lo, hi;
    bool known = expr_bounds(&r, e, &lo, &hi);
    for (int k = 0; k < 8; k++) {
      gen_values(&g);
      Scalar v = gen_eval(&g, e);
      bool good = gen_same(t, v, gen_eval(&g, s)) && gen_same(t, v, gen_eval(&g, u));
      if (!good || (known && (v.i < lo || v.i > hi))) printf("# seed %llu\n", (unsigned long long)seed);
      assert_true(good);
      if (known) assert_true(v.i >= lo && v.i <= hi);
    }
    arena_free(cx.arena);
  }
}

// Statements too.
static void random_functions(void **state) {
  (void)state;
  const uint64_t seeds = getenv("TETC_LONG_TESTS") ? 200000 : 4000;
  for (uint64_t seed = 0; seed < seeds; seed++) {
    Ctx cx = gen_ctx();
    Gen g;
    gen_init(&g, cx, seed);
    const Stmt *s = stmt_simplify(&cx, gen_func(&g, true)->body);
    if (stmt_simplify(&cx, s) != s)
      fail_msg("seed %llu: simplifying again changes something", (unsigned long long)seed);
    arena_free(cx.arena);
  }
}

static void affine_forms(void **state) {
  (void)state;
  Ctx cx = gen_ctx();
  const Var *x = tir_var(&cx, "x", (Loc){0}), *y = tir_var(&cx, "y", (Loc){0});
  const Expr *vx = expr_var(&cx, x), *vy = expr_var(&cx, y);
  const Expr *e = expr_binary(&cx, OP_ADD, expr_binary(&cx, OP_MUL, vx, expr_index(&cx, 3)),
                              expr_binary(&cx, OP_SUB, expr_index(&cx, 7), vy));
  bool ok;
  Affine a = affine_of(&cx, e, &ok);
  assert_true(ok);
  assert_int_equal(a.constant, 7);
  assert_int_equal(affine_coef(&a, x), 3);
  assert_int_equal(affine_coef(&a, y), -1);
  Affine b = affine_without(&cx, &a, y);
  assert_int_equal(b.nterms, 1);
  assert_true(affine_mentions(&a, y) && !affine_mentions(&b, y));
  Affine none = affine_add(&cx, &a, -1, &a);
  assert_true(none.nterms == 0 && none.constant == 0);
  Affine twice = affine_scale(&cx, &a, 2), sum = affine_add(&cx, &a, 1, &a);
  assert_true(affine_equal(&twice, &sum));
  Affine again = affine_of(&cx, affine_expr(&cx, &a), NULL);
  assert_true(affine_equal(&a, &again));
  affine_of(&cx, expr_binary(&cx, OP_MUL, expr_binary(&cx, OP_ADD, vx, expr_index(&cx, INT64_MAX)), expr_index(&cx, 2)),
            &ok);
  assert_false(ok);
  arena_free(cx.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rules_hold), cmocka_unit_test(statements_hold),
                                     cmocka_unit_test(random_expressions), cmocka_unit_test(random_functions),
                                     cmocka_unit_test(affine_forms)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

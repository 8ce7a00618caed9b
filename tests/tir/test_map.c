// SPDX-License-Identifier: Apache-2.0
#include "helper.h"

static const Expr *same(TirMap *m, const Expr *e) { return (void)m, e; }
static const Stmt *same_stmt(TirMap *m, const Stmt *s) { return (void)m, s; }

static const Expr *negate_int8(TirMap *m, const Expr *e) {
  int64_t v;
  return e->type == DT_I8 && expr_is_int(e, &v) ? expr_int(m->cx, DT_I8, v + 1) : e;
}

// A rewrite that changes nothing gives the same pointer; one that changes something leaves the original alone.
static void maps_share(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 1000; seed++) {
    Ctx cx = gen_ctx();
    Gen g;
    gen_init(&g, cx, seed);
    Func *f = gen_func(&g, true);
    const char *before = write_text(&cx, f, false);
    TirMap none = {.cx = &cx, .expr = same, .stmt = same_stmt}, some = {.cx = &cx, .expr = negate_int8};
    assert_ptr_equal(stmt_map(&none, f->body), f->body);
    stmt_map(&some, f->body);
    TirSubst nothing = {0};
    assert_ptr_equal(stmt_subst(&cx, f->body, &nothing), f->body);
    assert_string_equal(write_text(&cx, f, false), before);
    arena_free(cx.arena);
  }
}

static void substitution(void **state) {
  (void)state;
  Ctx cx = gen_ctx();
  Func *f = read_text(
      &cx,
      "func f(a: int64[8] input, b: int64[8] output) { for i in 0..4 { for j in 0..2 { b[i * 2 + j] = a[i] * j; } } }");
  assert_non_null(f);
  const Stmt *inner = f->body->body;
  const Var *i = f->body->var;
  const Expr *three = expr_index(&cx, 3);
  TirSubst s = {.nvars = 1, .vars = &i, .values = &three, .nbuffers = 1, .from = &f->params[0], .to = &f->params[1]};
  Text t = {.arena = cx.arena};
  tir_print_stmt(stmt_subst(&cx, inner, &s), 0, &t);
  assert_string_equal(t.data, "for j in 0..2 {\n  b[6 + j] = b[3] * j;\n}\n"); // 3 * 2 is folded
  arena_free(cx.arena);
}

static void building_folds_what_is_exact(void **state) {
  (void)state;
  Ctx cx = gen_ctx();
  const Expr *x = expr_var(&cx, tir_var(&cx, "x", (Loc){0})), *zero = expr_index(&cx, 0), *one = expr_index(&cx, 1);
  int64_t v;
  assert_ptr_equal(expr_binary(&cx, OP_ADD, x, zero), x);
  assert_ptr_equal(expr_binary(&cx, OP_MUL, one, x), x);
  assert_true(expr_is_int(expr_binary(&cx, OP_DIV, expr_index(&cx, -7), expr_index(&cx, 2)), &v) && v == -4);
  assert_true(expr_is_int(expr_binary(&cx, OP_ADD, expr_int(&cx, DT_I8, 127), expr_int(&cx, DT_I8, 1)), &v) &&
              v == -128);
  assert_true(expr_is_int(expr_cast(&cx, DT_U8, expr_index(&cx, -1)), &v) && v == 255);
  const Expr *f0 = expr_float(&cx, DT_F32, 0), *fx = expr_cast(&cx, DT_F32, x);
  assert_int_equal(expr_binary(&cx, OP_ADD, fx, f0)->kind, EXPR_BINARY); // -0 + 0 is 0
  assert_int_equal(expr_binary(&cx, OP_DIV, f0, f0)->kind, EXPR_BINARY); // NaN is left to the machine
  const Stmt *nop = stmt_nop(&cx), *seq = stmt_seq2(&cx, nop, stmt_seq2(&cx, nop, nop));
  assert_true(stmt_is_nop(seq));
  assert_ptr_equal(stmt_if(&cx, expr_int(&cx, DT_BOOL, 1), seq, NULL), seq);
  arena_free(cx.arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(maps_share), cmocka_unit_test(substitution),
                                     cmocka_unit_test(building_folds_what_is_exact)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "helper.h"

// Texts that can be read, and what the verifier says of them: NULL is good.
static const struct {
  TirForm form;
  const char *body, *message;
} texts[] = {
    {FORM_LOOPS, "for i in 0..8 { a[i] = i; }", NULL},
    {FORM_LOOPS, "for i in 0..9 { a[i] = i; }", NULL}, // may be wrong, but not always
    {FORM_LOOPS, "for i in 8..9 { a[i] = i; }",
     "index 0 of `a` is in 8..8, but the dimension has 8 elements, in `a[i] = i;` (t.tir:1:55)"},
    {FORM_LOOPS, "for i in 0..8 { a[i] = a[i - 8]; }", "index 0 of `a` is in -8..-1"},
    {FORM_LOOPS, "for i in 0..8 { a[i] = i > 100 ? a[i + 8] : 0; }", NULL}, // guarded
    {FORM_LOOPS, "for i in 0..8 { if (i > 100) { a[i + 8] = 0; } }", NULL},
    {FORM_LOOPS, "for i in 0..8 { a[i] = true || a[i + 8] > 0 ? 1 : 0; }", NULL},
    {FORM_LOOPS, "for i in 0..a[0] { a[8] = 0; }", NULL}, // may never run
    {FORM_LOOPS, "for i in 0..0 { a[0] = 0; }", "loop `i` has extent 0"},
    {FORM_LOOPS, "for i in 4..+-1 { a[0] = 0; }", "loop `i` has extent -1"},
    {FORM_LOOPS, "alloc b: int32[2, 16] @t.acc; b[0, 0] = 1i32;", NULL},
    {FORM_LOOPS, "alloc b: int32[2, 15] @t.acc; b[0, 0] = 1i32;",
     "`b` has 30 elements, which is not whole tiles of 16"},
    {FORM_LOOPS, "alloc b: int8[2, 16] @t.acc; b[0, 0] = 1i8;", "`b` is int8, but t.acc holds int32"},
    {FORM_TILES, "alloc b: int32[2, 16] @t.acc base=62; b[0, 0] = 1i32;", NULL},
    {FORM_TILES, "alloc b: int32[2, 16] @t.acc base=63; b[0, 0] = 1i32;",
     "`b` at tile 63 does not fit the 64 tiles of t.acc"},
    {FORM_CALLS, "alloc b: int32[2, 16] @t.acc; b[0, 0] = 1i32;", "`b` is allocated in t.acc in form calls"},
    {FORM_LOOPS, "t.region() { a[0] = 1; }", NULL},
    {FORM_LOOPS, "t.op();", "`t.op` is used in form loops"},
    {FORM_TILES, "t.op(&a[3], 1);", NULL},
    {FORM_CALLS, "t.op(&a[3], 1);", NULL},
    {FORM_LOOPS, "t.region(&a[0]) { }", "a tile of `a` is referred to in form loops"},
    {FORM_TILES, "a[0] = &a[0];", "a reference to `a` is not an intrinsic's argument"},
    {FORM_TILES, "t.op(1.0f32);", "argument 0 of `t.op` is a float"},
    {FORM_TILES, "alloc b: int32[2, 16] @t.acc; for i in 2..4 { t.op(&b[i]); }", "tile 2..3 of `b`, which has 2"},
    {FORM_TILES, "alloc b: int32[2, 16] @t.acc; for i in 1..4 { t.op(&b[i]); }", NULL},
};

static void texts_are_judged(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    Ctx cx = gen_ctx();
    Func *f = read_text(&cx, arena_printf(cx.arena, "func f(a: int64[8] output) target t { %s }", texts[i].body));
    assert_non_null(f);
    const char *message = NULL;
    bool good = tir_verify(&cx, f, texts[i].form, &message);
    if (good != !texts[i].message || (message && !strstr(message, texts[i].message)))
      printf("# %s\n# %s\n", texts[i].body, message ? message : "accepted");
    assert_int_equal(good, !texts[i].message);
    if (!good) assert_non_null(strstr(message, texts[i].message));
    arena_free(cx.arena);
  }
}

// How many indices are proved to be in bounds, and how many are not; what is said of the first.
static const struct {
  const char *body;
  int proved, unproved;
  const char *first;
} judged[] = {
    {"for i in 0..8 { a[i] = i; }", 1, 0, NULL},
    {"for i in 0..9 { a[i] = i; }", 0, 1, "`i` of `a`"},
    {"for i in 0..8 { a[i] = a[i - 1] + a[7 - i]; }", 2, 1, "`i - 1` of `a`"},
    {"for i in 0..8 { a[i] = i >= 1 ? a[i - 1] : a[i + 7]; }", 3, 0, NULL},
    {"for i in 0..8 { a[i] = i < 1 ? a[i - 1] : a[i + 7]; }", 1, 2, "`i - 1` of `a`"},
    {"for i in 0..8 { if (i < 4 && a[i * 2] > 0) { a[i + 4] = 0; } else { a[i + 4] = 0; } }", 2, 1, "`i + 4` of `a`"},
    {"for i in 0..8 { if (i >= 4 || a[i + 4] > 0) { a[i] = 0; } }", 2, 0, NULL},
    // conditions on sums
    {"for i in 0..4 { for j in 0..4 { if (i * 3 + j < 8) { a[i * 3 + j] = 0; } } }", 1, 0, NULL},
    {"for i in 0..4 { for j in 0..4 { if (i * 3 + j < 9) { a[i * 3 + j] = 0; } } }", 0, 1, NULL},
    {"for i in 0..4 { for j in 0..4 { if (i + j - 2 >= 0 && i + j <= 9) { a[i + j - 2] = 0; } } }", 1, 0, NULL},
    {"for i in 0..4 { for j in 0..4 { if (!(i + j < 2)) { a[i + j - 2] = 0; } } }", 1, 0, NULL},
    {"for i in 0..4 { for j in 0..4 { if (i + j != 2) { a[0] = 0; } else { a[i + j + 5] = 0; } } }", 2, 0, NULL},
    {"for i in 0..4 { for j in 0..4 { if (i + j < 2) { a[0] = 0; } a[i + j - 2] = 0; } }", 1, 1, "`i + j - 2` of `a`"},
    {"for i in a[0]..+4 { if (i >= 0 && i < 8) { a[i] = 0; } }", 2, 0, NULL},
    {"for i in a[0]..+4 { if (i + 1 > 0 && i - 8 < 0) { a[i] = 0; } }", 1, 1, NULL}, // i + 1 may wrap
    {"for i in 0..40 { if (i / 5 >= 2 && i / 5 < 4) { a[i - 10] = 0; a[i - 12] = 0; } }", 0, 2, "`i - 10` of `a`"},
    {"for i in 0..40 { if (i / 4 == 2) { a[i - 8] = 0; } }", 1, 0, NULL},
    {"for i in 0..40 { for j in 0..40 { if (min(i, j) >= 32) { a[i - 32] = 0; a[39 - j] = 0; } } }", 2, 0, NULL},
    {"for i in 0..8 { for j in 0..8 { if (i - j >= 3) { a[i - j] = 0; a[i - j - 3] = 0; a[j + 3] = 0; a[j + 4] = 0; } "
     "} }",
     3, 1, "`j + 4` of `a`"},
    {"for i in 0..8 { a[i] = 0; } for i in 0..9 { if (i > 0) { a[i] = 0; } }", 1, 1, "`i` of `a`"},
    // what elements are, as long as nothing is stored
    {"a[0] = a[1] >= 0 && a[1] < 8 ? a[a[1]] : 0;", 5, 0, NULL},
    {"for i in 0..9 { if (i < 8 && a[0] >= 0 && a[0] < 8) { a[0] = 100; a[a[0]] = 0; a[i] = 0; } }", 5, 1,
     "`a[0]` of `a`"},
    {"alloc b: int32[2, 16] @t.acc; for i in 0..2 { t.op(&b[i], &a[i + 100]); }", 1, 0,
     NULL}, // host tiles are the target's
    {"alloc b: int32[2, 16] @t.acc; for i in 1..4 { t.op(&b[i]); }", 0, 1, "`i` of `b`"},
};

static void indices_are_proved(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof judged / sizeof *judged; i++) {
    Ctx cx = gen_ctx();
    Func *f = read_text(&cx, arena_printf(cx.arena, "func f(a: int64[8] output) target t { %s }", judged[i].body));
    TirVerdict v;
    assert_non_null(f);
    if (!tir_judge(&cx, f, FORM_TILES, &v)) fail_msg("%s: %s", judged[i].body, v.message);
    if (v.proved != judged[i].proved || v.unproved != judged[i].unproved)
      fail_msg("%s: %d proved, %d not", judged[i].body, (int)v.proved, (int)v.unproved);
    if (judged[i].first) assert_string_equal(v.first_index, judged[i].first);
    assert_int_equal(!!v.first, !!v.unproved);
    arena_free(cx.arena);
  }
}

// A pass may use a variable in two loops, one after the other: what was known of it in the first is none of the second.
static void variables_are_bound_again(void **state) {
  (void)state;
  Ctx cx = gen_ctx();
  Func *f = read_text(
      &cx, "func f(a: int64[8] output) target t { for k in 0..2 { if (k > 0) { for i in 0..8 { a[i + k] = 0; } } } }");
  TirVerdict v;
  const Stmt *k = f->body, *first = k->body->body;
  const Expr *none = expr_index(&cx, 0);
  const Var *from = k->var;
  TirSubst s = {.nvars = 1, .vars = &from, .values = &none};
  const Stmt *body = stmt_subst(&cx, first->body, &s);
  const Stmt *both[] = {first, stmt_for(&cx, first->var, none, expr_index(&cx, 9), FOR_SERIAL, body)};
  const Stmt *guarded = stmt_if(&cx, k->body->cond, stmt_seq(&cx, 2, both), NULL);
  f = func_with_body(&cx, f, stmt_for(&cx, k->var, none, expr_index(&cx, 2), FOR_SERIAL, guarded));
  assert_true(tir_judge(&cx, f, FORM_LOOPS, &v));
  assert_int_equal(v.unproved, 2);
  arena_free(cx.arena);
}

// Moves one index of a function, somewhere.
static const Expr *move_index(TirMap *m, const Expr *e) {
  Gen *g = m->self;
  if (e->kind != EXPR_LOAD || gen_below(g, 4)) return e;
  const Expr **args = arena_copy(m->cx->arena, e->args, sizeof *e->args * (size_t)e->nargs);
  int i = gen_below(g, e->nargs);
  args[i] = expr_binary(m->cx, OP_ADD, args[i], expr_index(m->cx, gen_below(g, 9) - 4));
  return expr_load(m->cx, e->buffer, args);
}

// Where all indices are proved, the interpreter finds none outside.
static void proofs_hold(void **state) {
  (void)state;
  const uint64_t seeds = getenv("TETC_LONG_TESTS") ? 300000 : 6000;
  int proved = 0, outside = 0;
  for (uint64_t seed = 0; seed < seeds; seed++) {
    Ctx cx = gen_ctx();
    Gen g;
    gen_init(&g, cx, seed);
    Func *f = gen_func(&g, false);
    TirMap m = {.cx = &cx, .expr = move_index, .self = &g};
    f = func_with_body(&cx, f, stmt_map(&m, f->body));
    TirVerdict v;
    bool good = tir_judge(&cx, f, FORM_LOOPS, &v);
    const char *error = NULL;
    bool ran = tir_interpret(&cx, f, gen_params(&g, f), NULL, &error);
    proved += good && !v.unproved;
    outside += !ran;
    if (good && !v.unproved && !ran) fail_msg("seed %llu: proved, but %s", (unsigned long long)seed, error);
    arena_free(cx.arena);
  }
  assert_true(proved > (int)seeds / 20 && outside > (int)seeds / 20);
}

// What no text can say: trees that a broken pass could make.
static void broken_trees(void **state) {
  (void)state;
  Ctx cx = gen_ctx();
  int64_t n = 8;
  const Buffer *a = tir_buffer(&cx, name_of(cx.names, "a"), DT_I64, &scope_host, BUF_OUTPUT, 1, &n, (Loc){0});
  Buffer *b = (Buffer *)tir_buffer(&cx, name_of(cx.names, "b"), DT_I32, &scope_host, BUF_LOCAL, 1, &n, (Loc){0});
  const Var *v = tir_var(&cx, name_of(cx.names, "i"), (Loc){0});
  const Expr *zero = expr_index(&cx, 0), *one32 = expr_int(&cx, DT_I32, 1), *iv = expr_var(&cx, v);
  const Stmt *good = stmt_store(&cx, a, &zero, zero), *use_b = stmt_store(&cx, b, &zero, one32);
  const Stmt *loop = stmt_for(&cx, v, zero, expr_index(&cx, 2), FOR_SERIAL, good);
  Expr *huge = (Expr *)expr_int(&cx, DT_I8, 1);
  huge->value.i = 1000;
  const Intrin other = {.name = "u.op", .max_args = -1};
  struct {
    const Stmt *body;
    const char *message;
  } cases[] = {
      {good, NULL},
      {loop, NULL},
      {stmt_seq2(&cx, loop, loop), NULL}, // one after the other is fine
      {stmt_store(&cx, a, &iv, zero), "variable `i` is not in scope"},
      {stmt_seq2(&cx, loop, stmt_store(&cx, a, &iv, zero)), "variable `i` is not in scope"},
      {stmt_for(&cx, v, zero, expr_index(&cx, 2), FOR_SERIAL, loop), "variable `i` is bound twice"},
      {use_b, "buffer `b` is not in scope"},
      {stmt_alloc(&cx, b, stmt_alloc(&cx, b, use_b)), "`b` is allocated twice"},
      {stmt_seq2(&cx, stmt_alloc(&cx, b, use_b), stmt_alloc(&cx, b, use_b)), "`b` is allocated twice"},
      {stmt_alloc(&cx, a, good), "parameter `a` is allocated"},
      {stmt_store(&cx, a, &zero, one32), "int32 is stored into `a` of int64"},
      {stmt_store(&cx, a, &one32, zero), "index 0 of `a` is int32, not int64"},
      {stmt_store(&cx, a, &zero, expr_raw_cast(&cx, DT_I64, huge, (Loc){0})), "1000 is no int8"},
      {stmt_store(&cx, a, &zero, expr_raw_binary(&cx, OP_ADD, zero, one32, (Loc){0})), "`+` of int64 and int32"},
      {stmt_store(&cx, a, &zero, expr_raw_select(&cx, zero, zero, zero, (Loc){0})), "the condition of `?:` is int64"},
      {stmt_intrin(&cx, &other, 0, NULL, NULL), "`u.op` is not an intrinsic of the target"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Func f = {.name = "f", .nparams = 1, .params = &a, .body = cases[i].body, .target = &gen_target};
    const char *message = NULL;
    bool ok = tir_verify(&cx, &f, FORM_TILES, &message);
    if (ok != !cases[i].message || (message && !strstr(message, cases[i].message)))
      printf("# %zu: %s\n", i, message ? message : "accepted");
    assert_int_equal(ok, !cases[i].message);
    if (!ok) assert_non_null(strstr(message, cases[i].message));
  }
  arena_free(cx.arena);
}

// What the broken trees below are made of.
typedef struct Parts {
  Ctx cx;
  const Buffer *a; // int64[8], an output
  const Var *v;
  const Expr *zero, *one32, *x; // x: a[0]
  const Stmt *store;            // a[0] = 0
} Parts;

static const Buffer *buffer(Ctx *cx, const char *name, DType t, const Scope *s, BufferRole role, int ndim, int64_t n) {
  return tir_buffer(cx, name_of(cx->names, name), t, s, role, ndim, &n, (Loc){0});
}

static Parts parts(void) {
  Parts p = {.cx = gen_ctx()};
  p.a = buffer(&p.cx, "a", DT_I64, &scope_host, BUF_OUTPUT, 1, 8);
  p.v = tir_var(&p.cx, name_of(p.cx.names, "i"), (Loc){0});
  p.zero = expr_index(&p.cx, 0);
  p.one32 = expr_int(&p.cx, DT_I32, 1);
  p.x = expr_load(&p.cx, p.a, &p.zero);
  p.store = stmt_store(&p.cx, p.a, &p.zero, p.zero);
  return p;
}

// The function is refused, with these words.
static void refused(Parts *p, int nparams, const Buffer **params, const Stmt *body, const char *words) {
  Func f = {.name = "f", .nparams = nparams, .params = params, .body = body, .target = &gen_target};
  const char *message = "accepted";
  assert_false(tir_verify(&p->cx, &f, FORM_TILES, &message));
  if (!strstr(message, words)) fail_msg("%s: %s", words, message);
}

// Expressions that disagree with themselves, one for each rule, as what is stored.
static void broken_values(void **state) {
  (void)state;
  Parts p = parts();
  const Loc none = {0};
  const Expr *yes = expr_int(&p.cx, DT_BOOL, 1), *half = expr_float(&p.cx, DT_F32, 0.5);
  Expr *load = arena_copy(p.cx.arena, p.x, sizeof *p.x), *rank = arena_copy(p.cx.arena, p.x, sizeof *p.x);
  load->type = DT_I32;
  rank->nargs = 0;
  Expr *sum = (Expr *)expr_raw_binary(&p.cx, OP_ADD, p.x, p.x, none);
  sum->type = DT_I8;
  Expr *number = arena_copy(p.cx.arena, p.zero, sizeof *p.zero), *real = arena_copy(p.cx.arena, half, sizeof *half);
  number->type = DT_F32;
  real->type = DT_I64;
  Expr *narrow = arena_copy(p.cx.arena, expr_var(&p.cx, p.v), sizeof *narrow);
  narrow->type = DT_I32;
  const Expr *half2[2] = {half, half};
  Expr *math = NEW(p.cx.arena, Expr);
  *math = (Expr){.kind = EXPR_MATH, .type = DT_F32, .fn = FN_EXP, .nargs = 2, .args = half2};
  Expr *math_int = NEW(p.cx.arena, Expr);
  *math_int = (Expr){.kind = EXPR_MATH, .type = DT_I64, .fn = FN_EXP, .nargs = 1, .args = &p.zero};
  const struct {
    const Expr *value;
    const char *message;
  } values[] = {
      {rank, "`a` has 1 dimensions, not 0"}, // told as it is printed
      {load, "a load of `a` has type int32"},
      {sum, "`+` has type int8, not int64"},
      {expr_raw_cast(&p.cx, DT_I64, expr_raw_binary(&p.cx, OP_ADD, yes, yes, none), none), "`+` does not take bool"},
      {expr_raw_cast(&p.cx, DT_I64, expr_raw_binary(&p.cx, OP_MOD, half, half, none), none),
       "`%` does not take float32"},
      {expr_raw_cast(&p.cx, DT_I64, expr_raw_unary(&p.cx, UN_NOT, p.x, none), none), "`!` does not take int64"},
      {expr_raw_cast(&p.cx, DT_I64, expr_raw_select(&p.cx, yes, p.x, p.one32, none), none), "`?:` of int64 and int32"},
      {expr_raw_cast(&p.cx, DT_I64, math, none), "`exp` of 2 arguments"},
      {math_int, "`exp` does not take int64"},
      {expr_raw_cast(&p.cx, DT_I64, number, none), "an integer has type float32"},
      {real, "a float has type int64"},
      {narrow, "variable `i` has type int32"},
  };
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    refused(&p, 1, &p.a, stmt_store(&p.cx, p.a, &p.zero, values[i].value), values[i].message);
  arena_free(p.cx.arena);
}

// Statements that do.
static void broken_statements(void **state) {
  (void)state;
  Parts p = parts();
  const Intrin *op = gen_target.intrins[0], *region = gen_target.intrins[0];
  for (int i = 0; i < gen_target.nintrins; i++)
    *(gen_target.intrins[i]->has_body ? &region : &op) = gen_target.intrins[i];
  const Expr *ref = expr_ref(&p.cx, p.a, p.one32), *typed = expr_at(&p.cx, expr_ref(&p.cx, p.a, p.zero), (Loc){0});
  Expr *retyped = arena_copy(p.cx.arena, typed, sizeof *typed);
  retyped->type = DT_I8;
  const Expr *retyped_arg = retyped;
  Stmt *bodiless = (Stmt *)stmt_intrin(&p.cx, region, 0, NULL, p.store),
       *bodied = (Stmt *)stmt_intrin(&p.cx, op, 0, NULL, NULL);
  bodiless->body = NULL;
  bodied->body = p.store;
  const struct {
    const Stmt *body;
    const char *message;
  } bodies[] = {
      {stmt_intrin(&p.cx, op, 1, &ref, NULL), "the tile of `a` is int32, not int64"},
      {stmt_intrin(&p.cx, op, 1, &retyped_arg, NULL), "a reference to `a` has type int8"},
      {bodiless, "has no body"},
      {bodied, "has a body"},
      {stmt_for(&p.cx, p.v, p.one32, p.one32, FOR_SERIAL, p.store), "the bounds of loop `i` are not int64"},
      {stmt_if(&p.cx, p.x, p.store, NULL), "the condition is int64"},
  };
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) refused(&p, 1, &p.a, bodies[i].body, bodies[i].message);
  arena_free(p.cx.arena);
}

// And parameters.
static void broken_parameters(void **state) {
  (void)state;
  Parts p = parts();
  const struct {
    const Buffer *second;
    const char *message;
  } cases[] = {
      {p.a, "parameter `a` stands twice"},
      {buffer(&p.cx, "b", DT_I64, &scope_host, BUF_LOCAL, 1, 8), "parameter `b` is neither input nor output"},
      {buffer(&p.cx, "c", DT_I32, gen_target.scopes[0], BUF_INPUT, 1, 8), "parameter `c` is not in the host's memory"},
      {buffer(&p.cx, "d", DT_I64, &scope_host, BUF_INPUT, 0, 8), "`d` has no dimensions"},
      {buffer(&p.cx, "e", DT_I64, &scope_host, BUF_INPUT, 1, 0), "the shape of `e` is not positive"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const Buffer *both[2] = {p.a, cases[i].second};
    refused(&p, 2, both, p.store, cases[i].message);
  }
  const Buffer *in = buffer(&p.cx, "in", DT_I64, &scope_host, BUF_INPUT, 1, 8), *both[2] = {p.a, in};
  refused(&p, 2, both, stmt_store(&p.cx, in, &p.zero, p.zero), "input `in` is stored to");
  arena_free(p.cx.arena);
}

// Simplifying keeps a good function good.
static void simplified_functions_are_good(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 2000; seed++) {
    Ctx cx = gen_ctx();
    Gen g;
    gen_init(&g, cx, seed);
    Func *f = gen_func(&g, false);
    const char *message = NULL;
    assert_true(tir_verify(&cx, f, FORM_LOOPS, &message));
    if (!tir_verify(&cx, func_with_body(&cx, f, stmt_simplify(&cx, f->body)), FORM_LOOPS, &message)) {
      printf("# seed %llu: %s\n", (unsigned long long)seed, message);
      fail();
    }
    arena_free(cx.arena);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(texts_are_judged),
                                     cmocka_unit_test(broken_trees),
                                     cmocka_unit_test(broken_values),
                                     cmocka_unit_test(broken_statements),
                                     cmocka_unit_test(broken_parameters),
                                     cmocka_unit_test(indices_are_proved),
                                     cmocka_unit_test(variables_are_bound_again),
                                     cmocka_unit_test(proofs_hold),
                                     cmocka_unit_test(simplified_functions_are_good)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

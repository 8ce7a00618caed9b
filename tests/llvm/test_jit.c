// SPDX-License-Identifier: Apache-2.0
// Kernels built by hand, compiled into this process, and compared with the scalar reference.
#include "backend_llvm/llvm.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const LlvmBackend *backend;
static Ctx cx;

static int start(void **state) {
  const char *error;
  (void)state;
  Arena *a = arena_new();
  cx = (Ctx){a, names_new(a), diags_new(a)};
  backend = llvm_backend_load(&error);
  if (!backend) fprintf(stderr, "%s\n", error);
  return backend ? 0 : 1;
}

static int finish(void **state) {
  (void)state;
  arena_free(cx.arena);
  return 0;
}

// ---- building -------------------------------------------------------------------------------------------------------

static const Buffer *buffer(const char *name, DType t, BufferRole role, int64_t n) {
  return tir_buffer(&cx, name_of(cx.names, name), t, &scope_host, role, 1, &n, (Loc){0});
}

static const Expr *at1(const Buffer *b, const Expr *i) { return expr_load(&cx, b, &i); }
static const Stmt *put1(const Buffer *b, const Expr *i, const Expr *v) { return stmt_store(&cx, b, &i, v); }
static const Expr *num(int64_t v) { return expr_index(&cx, v); }
static const Expr *bin(BinOp op, const Expr *a, const Expr *b) { return expr_binary(&cx, op, a, b); }
static const Var *var(const char *name) { return tir_var(&cx, name_of(cx.names, name), (Loc){0}); }
static const Stmt *loop(const Var *v, int64_t n, ForKind k, const Stmt *body) {
  return stmt_for(&cx, v, num(0), num(n), k, body);
}

static Func *func(int n, const Buffer **params, const Stmt *body) {
  Func *f = NEW(cx.arena, Func);
  *f = (Func){.name = name_of(cx.names, "kernel"), .nparams = n, .body = body};
  f->params = arena_copy(cx.arena, params, (size_t)n * sizeof *params);
  return f;
}

static int run_at(const Func *f, void **params, int level, const char *cpu) {
  void *handle;
  LlvmEntry *entry;
  LlvmOptions opt = {.opt_level = level, .cpu = cpu};
  if (!backend->jit_compile(&cx, f, &opt, 0, NULL, &handle, &entry)) {
    diags_print(cx.diags, stderr, DIAG_TEXT, NULL);
    fail_msg("the kernel does not compile");
  }
  int status = entry(params);
  backend->jit_free(handle);
  return status;
}

static int run(const Func *f, void **params) { return run_at(f, params, 2, NULL); }

// ---- values ---------------------------------------------------------------------------------------------------------

enum { N = 24 }; // sample values of a type; kernels run on all pairs

static Scalar sample(DType t, int i) {
  static const int64_t ints[N] = {0,     1,      -1,    2,         -2,        3,         -3,        7,
                                  -8,    16,     -17,   100,       127,       -128,      255,       256,
                                  32767, -32768, 65535, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 0x123456789abcdef};
  static const double reals[N] = {0,      -0.0,    1,       -1,    0.5,     -0.5,     1.5,       -2.5,
                                  3.25,   100.125, -1000.7, 65504, 65519.9, 65520,    1e-5,      6e-8,
                                  2.9e-8, 1e10,    -1e20,   3e38,  0.1,     INFINITY, -INFINITY, NAN};
  if (dtype_is_float(t)) return (Scalar){.f = round_float(t, reals[i])};
  return (Scalar){.i = wrap_int(t, ints[i])};
}

// Equal, or both NaN, or (for tolerance > 0) close.
static bool same(DType t, Scalar a, Scalar b, double tolerance) {
  if (!dtype_is_float(t)) return a.i == b.i;
  if (isnan(a.f) || isnan(b.f)) return isnan(a.f) && isnan(b.f);
  if (a.f == b.f) return signbit(a.f) == signbit(b.f) || tolerance > 0;
  return fabs(a.f - b.f) <= tolerance * fmax(fabs(a.f), fabs(b.f));
}

typedef struct Pairs {
  DType in, out;
  uint8_t a[N * N * 8], b[N * N * 8], result[N * N * 8];
} Pairs;

static Pairs pairs_of(DType in, DType out) {
  Pairs p = {.in = in, .out = out};
  for (int i = 0; i < N * N; i++) {
    scalar_store(in, p.a + i * dtype_bytes(in), sample(in, i / N));
    scalar_store(in, p.b + i * dtype_bytes(in), sample(in, i % N));
  }
  return p;
}

// Runs `out[i] = e(a[i], b[i])` on all pairs.
static void run_pairs(Pairs *p, const Buffer *a, const Buffer *b, const Var *i, const Expr *e, int level,
                      const char *cpu) {
  const Buffer *out = buffer("out", p->out, BUF_OUTPUT, N * N);
  const Stmt *body = loop(i, N * N, FOR_SERIAL, put1(out, expr_var(&cx, i), e));
  const Buffer *params[] = {a, b, out};
  void *memory[] = {p->a, p->b, p->result};
  assert_int_equal(run_at(func(3, params, body), memory, level, cpu), 0);
}

static void compare(const Pairs *p, int i, const char *what, Scalar want, double tolerance) {
  Scalar got = scalar_load(p->out, p->result + i * dtype_bytes(p->out));
  if (same(p->out, got, want, tolerance)) return;
  if (dtype_is_float(p->out)) fail_msg("%s %s (pair %d): %a instead of %a", dtype_name(p->in), what, i, got.f, want.f);
  fail_msg("%s %s (pair %d): %lld instead of %lld", dtype_name(p->in), what, i, (long long)got.i, (long long)want.i);
}

static Scalar left(const Pairs *p, int i) { return scalar_load(p->in, p->a + i * dtype_bytes(p->in)); }
static Scalar right(const Pairs *p, int i) { return scalar_load(p->in, p->b + i * dtype_bytes(p->in)); }

static bool applies(BinOp op, DType t) {
  bool bits = op == OP_SHL || op == OP_SHR || op == OP_AND || op == OP_OR || op == OP_XOR;
  bool logic = op == OP_LAND || op == OP_LOR;
  if (logic) return t == DT_BOOL;
  return !(bits && dtype_is_float(t));
}

// A level of -1: scalar code, a quarter vector code (vectors of divisions take LLVM long).
static void binary_type(DType t, int level, const char *cpu) {
  for (int op = 0; op < OP_COUNT; op++) {
    if (!applies((BinOp)op, t)) continue;
    Pairs p = pairs_of(t, binop_is_bool((BinOp)op) ? DT_BOOL : t);
    const Var *i = var("i");
    const Buffer *a = buffer("a", t, BUF_INPUT, N * N), *b = buffer("b", t, BUF_INPUT, N * N);
    run_pairs(&p, a, b, i, bin((BinOp)op, at1(a, expr_var(&cx, i)), at1(b, expr_var(&cx, i))),
              level < 0 ? 1 + (((int)t + op) % 4 == 0) : level, cpu);
    for (int k = 0; k < N * N; k++)
      compare(&p, k, binop_text((BinOp)op), scalar_binary((BinOp)op, t, left(&p, k), right(&p, k)), 0);
  }
}

static void test_binary(void **state) {
  (void)state;
  for (int t = 0; t < DT_COUNT; t++) binary_type((DType)t, -1, NULL);
}

// The baseline has no float16 instructions, no rounding instructions, and narrower vectors.
static void test_binary_baseline(void **state) {
  (void)state;
  binary_type(DT_F16, 1, "x86-64");
  binary_type(DT_F32, 0, "x86-64");
  binary_type(DT_I32, 0, "x86-64");
  binary_type(DT_I8, 3, "x86-64");
}

// By constants: the cheap forms of division, and shifts.
static void test_constant_right(void **state) {
  static const BinOp ops[] = {OP_DIV, OP_MOD, OP_SHL, OP_SHR, OP_MIN};
  static const DType types[] = {DT_I8, DT_I32, DT_I64, DT_U16, DT_U64};
  (void)state;
  for (size_t t = 0; t < sizeof types / sizeof *types; t++)
    for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
      for (int c = (int)(t + o) % 4; c < N; c += 4) {
        Pairs p = pairs_of(types[t], types[t]);
        Scalar k = sample(types[t], c);
        const Var *i = var("i");
        const Buffer *a = buffer("a", p.in, BUF_INPUT, N * N), *b = buffer("b", p.in, BUF_INPUT, N * N);
        run_pairs(&p, a, b, i, bin(ops[o], at1(a, expr_var(&cx, i)), expr_int(&cx, p.in, k.i)), 1, NULL);
        for (int n = 0; n < N * N; n++)
          compare(&p, n, binop_text(ops[o]), scalar_binary(ops[o], p.in, left(&p, n), k), 0);
      }
}

static void test_unary(void **state) {
  (void)state;
  for (int t = 0; t < DT_COUNT; t++)
    for (int op = 0; op < UN_COUNT; op++) {
      DType ty = (DType)t;
      if ((op == UN_NOT && ty != DT_BOOL) || (op == UN_BITNOT && dtype_is_float(ty))) continue;
      Pairs p = pairs_of(ty, ty);
      const Var *i = var("i");
      const Buffer *a = buffer("a", ty, BUF_INPUT, N * N), *b = buffer("b", ty, BUF_INPUT, N * N);
      run_pairs(&p, a, b, i, expr_unary(&cx, (UnOp)op, at1(a, expr_var(&cx, i))), 2, NULL);
      for (int k = 0; k < N * N; k++) compare(&p, k, unop_text((UnOp)op), scalar_unary((UnOp)op, ty, left(&p, k)), 0);
    }
}

static void casts_at(int level, const char *cpu) {
  for (int from = 0; from < DT_COUNT; from++)
    for (int to = 0; to < DT_COUNT; to++) {
      Pairs p = pairs_of((DType)from, (DType)to);
      const Var *i = var("i");
      const Buffer *a = buffer("a", p.in, BUF_INPUT, N * N), *b = buffer("b", p.in, BUF_INPUT, N * N);
      run_pairs(&p, a, b, i, expr_cast(&cx, p.out, at1(a, expr_var(&cx, i))),
                level < 0 ? 1 + ((from + to) % 4 == 0) : level, cpu);
      for (int k = 0; k < N * N; k += N) compare(&p, k, dtype_name(p.out), scalar_cast(p.out, p.in, left(&p, k)), 0);
    }
}

static void test_casts(void **state) {
  (void)state;
  casts_at(-1, NULL);
}

static void test_casts_baseline(void **state) {
  (void)state;
  casts_at(0, "x86-64");
}

static void test_math(void **state) {
  static const DType types[] = {DT_F16, DT_F32, DT_F64, DT_I8, DT_I64, DT_U32};
  (void)state;
  for (size_t t = 0; t < sizeof types / sizeof *types; t++)
    for (int fn = 0; fn < FN_COUNT; fn++) {
      DType ty = types[t];
      if (!math_takes((MathFn)fn, ty)) continue;
      bool exact = dtype_is_int(ty) || fn == FN_ABS || fn == FN_ROUND || fn == FN_FLOOR || fn == FN_CEIL ||
                   fn == FN_TRUNC || fn == FN_SQRT || fn == FN_FMA;
      Pairs p = pairs_of(ty, ty);
      const Var *i = var("i");
      const Buffer *a = buffer("a", ty, BUF_INPUT, N * N), *b = buffer("b", ty, BUF_INPUT, N * N);
      const Expr *x = at1(a, expr_var(&cx, i)), *args[3] = {x, at1(b, expr_var(&cx, i)), x};
      run_pairs(&p, a, b, i, expr_call(&cx, (MathFn)fn, args), 2, fn % 2 ? NULL : "x86-64");
      for (int k = 0; k < N * N; k++)
        compare(&p, k, math_name((MathFn)fn),
                scalar_call((MathFn)fn, ty, (Scalar[]){left(&p, k), right(&p, k), left(&p, k)}), exact ? 0 : 1e-6);
    }
}

// ---- control --------------------------------------------------------------------------------------------------------

// `i < n ? a[i] : -1` must not read beyond; `a[i] != 0 && b[10 / a[i]]`, too.
static void test_guards(void **state) {
  (void)state;
  const Buffer *a = buffer("a", DT_I32, BUF_INPUT, 10), *out = buffer("out", DT_I32, BUF_OUTPUT, 1 << 20);
  const Var *i = var("i");
  const Expr *x = expr_var(&cx, i), *inside = bin(OP_LT, x, num(10));
  const Expr *both = bin(OP_LAND, inside, bin(OP_GT, at1(a, x), expr_int(&cx, DT_I32, 3)));
  const Expr *v = expr_select(&cx, both, at1(a, x), expr_int(&cx, DT_I32, -1));
  const Buffer *params[] = {a, out};
  int32_t in[10] = {0, 9, 8, 7, 6, 5, 4, 3, 2, 1}, *result = malloc(sizeof(int32_t) << 20);
  void *memory[] = {in, result};
  assert_int_equal(run(func(2, params, loop(i, 1 << 20, FOR_SERIAL, put1(out, x, v))), memory), 0);
  for (int k = 0; k < 1 << 20; k++) assert_int_equal(result[k], k < 10 && in[k] > 3 ? in[k] : -1);
  free(result);
}

// An index that comes from data, out of range: status 3, no stray access.
static void test_data_index(void **state) {
  (void)state;
  const Buffer *a = buffer("a", DT_I64, BUF_INPUT, 8), *out = buffer("out", DT_I64, BUF_OUTPUT, 8);
  const Var *i = var("i");
  const Expr *x = expr_var(&cx, i);
  const Buffer *params[] = {a, out};
  const Func *f = func(2, params, loop(i, 8, FOR_SERIAL, put1(out, x, at1(a, at1(a, x)))));
  int64_t good[8] = {7, 6, 5, 4, 3, 2, 1, 0}, bad[8] = {0, 1, 1ll << 40, -1, 4, 5, 6, 7}, result[8];
  assert_int_equal(run(f, (void *[]){good, result}), 0);
  for (int k = 0; k < 8; k++) assert_int_equal(result[k], k);
  assert_int_equal(run(f, (void *[]){bad, result}), 3);
}

// c[m,n] = sum over k of a[m,k] * b[k,n] through a local buffer, with each kind of loop.
static void matmul(ForKind outer, ForKind inner, DType t, int level) {
  enum { M = 37, K = 19, C = 64 };
  const Buffer *a = buffer("a", t, BUF_INPUT, M * K), *b = buffer("b", t, BUF_INPUT, K * C);
  const Buffer *out = buffer("out", t, BUF_OUTPUT, M * C), *local = buffer("row", t, BUF_LOCAL, C * 64);
  const Var *m = var("m"), *k = var("k"), *n = var("n"), *n2 = var("n"), *n3 = var("n");
  const Expr *vm = expr_var(&cx, m), *vk = expr_var(&cx, k), *vn = expr_var(&cx, n), *v2 = expr_var(&cx, n2);
  const Expr *zero = dtype_is_float(t) ? expr_float(&cx, t, 0) : expr_int(&cx, t, 0);
  const Expr *ia = bin(OP_ADD, bin(OP_MUL, vm, num(K)), vk), *ib = bin(OP_ADD, bin(OP_MUL, vk, num(C)), vn);
  const Stmt *init = loop(n2, C, inner, put1(local, v2, zero));
  const Stmt *acc = put1(local, vn, bin(OP_ADD, at1(local, vn), bin(OP_MUL, at1(a, ia), at1(b, ib))));
  const Stmt *sum = loop(k, K, FOR_SERIAL, loop(n, C, inner, acc));
  const Expr *v3 = expr_var(&cx, n3);
  const Stmt *copy = loop(n3, C, inner, put1(out, bin(OP_ADD, bin(OP_MUL, vm, num(C)), v3), at1(local, v3)));
  const Stmt *parts[] = {init, sum, copy};
  const Stmt *body = loop(m, M, outer, stmt_alloc(&cx, local, stmt_seq(&cx, 3, parts)));
  const Buffer *params[] = {a, b, out};
  uint8_t x[M * K * 8], y[K * C * 8], z[M * C * 8];
  int w = dtype_bytes(t);
  for (int i = 0; i < M * K; i++) scalar_store(t, x + i * w, scalar_cast(t, DT_I64, (Scalar){.i = i * 7 % 23 - 11}));
  for (int i = 0; i < K * C; i++) scalar_store(t, y + i * w, scalar_cast(t, DT_I64, (Scalar){.i = i * 5 % 17 - 8}));
  assert_int_equal(run_at(func(3, params, body), (void *[]){x, y, z}, level, NULL), 0);
  for (int i = 0; i < M * C; i++) {
    Scalar want = scalar_cast(t, DT_I64, (Scalar){.i = 0});
    for (int q = 0; q < K; q++) {
      Scalar p =
          scalar_binary(OP_MUL, t, scalar_load(t, x + (i / C * K + q) * w), scalar_load(t, y + (q * C + i % C) * w));
      want = scalar_binary(OP_ADD, t, want, p);
    }
    Scalar got = scalar_load(t, z + i * w);
    if (!same(t, got, want, 0)) fail_msg("matmul %s element %d", dtype_name(t), i);
  }
}

static void test_loops(void **state) {
  static const DType types[] = {DT_I8, DT_I32, DT_U64, DT_F16, DT_F32, DT_F64};
  (void)state;
  for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
    matmul(FOR_SERIAL, FOR_SERIAL, types[t], 2);
    matmul(FOR_PARALLEL, FOR_VECTORIZED, types[t], 2);
    matmul(FOR_SERIAL, FOR_UNROLLED, types[t], 2);
    matmul(FOR_PARALLEL, FOR_PARALLEL, types[t], (int)t % 4);
  }
}

// A float sum under a vectorized loop keeps its order: bit for bit the serial result.
static void test_float_order(void **state) {
  enum { COUNT = 1000 };
  (void)state;
  const Buffer *a = buffer("a", DT_F32, BUF_INPUT, COUNT), *out = buffer("out", DT_F32, BUF_OUTPUT, 1);
  const Var *i = var("i");
  const Stmt *add = put1(out, num(0), bin(OP_ADD, at1(out, num(0)), at1(a, expr_var(&cx, i))));
  const Stmt *parts[] = {put1(out, num(0), expr_float(&cx, DT_F32, 0)), loop(i, COUNT, FOR_VECTORIZED, add)};
  const Buffer *params[] = {a, out};
  float in[COUNT], sum = 0, got;
  for (int k = 0; k < COUNT; k++) sum += in[k] = sinf((float)k) * (k % 10 ? 1 : 1e6f);
  for (int level = 0; level <= 3; level++) {
    assert_int_equal(run_at(func(2, params, stmt_seq(&cx, 2, parts)), (void *[]){in, &got}, level, NULL), 0);
    assert_memory_equal(&got, &sum, 4);
  }
}

// A local buffer that no machine has: status 1, nothing touched.
static void test_no_memory(void **state) {
  (void)state;
  const Buffer *out = buffer("out", DT_I8, BUF_OUTPUT, 4), *big = buffer("big", DT_I64, BUF_LOCAL, 1ll << 55);
  const Var *i = var("i");
  const Expr *x = expr_var(&cx, i), *far = bin(OP_MUL, x, num(1ll << 50));
  const Stmt *parts[] = {put1(big, far, x), put1(out, x, expr_cast(&cx, DT_I8, at1(big, far)))};
  const Buffer *params[] = {out};
  char result[4] = "abc";
  for (int k = 0; k < 2; k++) {
    ForKind kind = k ? FOR_PARALLEL : FOR_SERIAL;
    const Stmt *body = loop(i, 4, kind, stmt_alloc(&cx, big, stmt_seq(&cx, 2, parts)));
    assert_int_equal(run(func(1, params, body), (void *[]){result}), 1);
    assert_string_equal(result, "abc");
  }
}

// Loops whose bounds are computed, running zero times at first.
static void test_variable_extent(void **state) {
  (void)state;
  const Buffer *out = buffer("out", DT_I32, BUF_OUTPUT, 64);
  const Var *i = var("i"), *j = var("j");
  const Expr *x = bin(OP_ADD, bin(OP_MUL, expr_var(&cx, i), num(8)), expr_var(&cx, j));
  const Stmt *inner = stmt_for(&cx, j, num(0), expr_var(&cx, i), FOR_SERIAL, put1(out, x, expr_cast(&cx, DT_I32, x)));
  const Buffer *params[] = {out};
  int32_t result[64];
  memset(result, 0xff, sizeof result);
  assert_int_equal(run(func(1, params, loop(i, 8, FOR_SERIAL, inner)), (void *[]){result}), 0);
  for (int k = 0; k < 64; k++) assert_int_equal(result[k], k % 8 < k / 8 ? k : -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_binary),         cmocka_unit_test(test_binary_baseline),
                                     cmocka_unit_test(test_constant_right), cmocka_unit_test(test_unary),
                                     cmocka_unit_test(test_casts),          cmocka_unit_test(test_casts_baseline),
                                     cmocka_unit_test(test_math),           cmocka_unit_test(test_guards),
                                     cmocka_unit_test(test_data_index),     cmocka_unit_test(test_loops),
                                     cmocka_unit_test(test_float_order),    cmocka_unit_test(test_no_memory),
                                     cmocka_unit_test(test_variable_extent)};
  return cmocka_run_group_tests(tests, start, finish);
}

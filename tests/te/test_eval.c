// SPDX-License-Identifier: Apache-2.0
// te_eval against the point-by-point walk: loops over lanes, hand-picked kernels, and random expressions.
#include "support.h"

#include "te/lanes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 42;
static uint32_t draw(uint32_t n) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((random_state >> 33) % n);
}

// ---- lanes ----------------------------------------------------------------------------------------------------------

enum { N = 96 };

// Values that tell operations apart: ends of the ranges, small numbers, odd bits; for floats also inf, nan, -0, ties.
static Scalar edge(DType t) {
  if (dtype_is_float(t)) {
    static const double edges[] = {0,     -0.0,     1,    -1,    0.5,    -0.5,   1.5,    2.5,      3,
                                   -7.25, 1e9,      -1e9, 1e300, 1e-300, 65504,  65520,  INFINITY, -INFINITY,
                                   NAN,   16777217, 0.1,  1e-8,  127.5,  -128.5, 9.3e18, -9.3e18};
    double v = draw(3) ? edges[draw(sizeof edges / sizeof *edges)] : ((double)draw(100000) - 50000) / 997;
    return (Scalar){.f = round_float(t, v)};
  }
  static const int64_t edges[] = {0,     1,      -1,        2,         -2,         3,         7,        8,
                                  31,    63,     64,        127,       128,        -128,      255,      256,
                                  32767, -32768, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN};
  int64_t v = draw(3) ? edges[draw(sizeof edges / sizeof *edges)]
                      : (int64_t)((uint64_t)draw(1u << 30) << 34 ^ (uint64_t)draw(1u << 30) << 10 ^ draw(1024));
  return (Scalar){.i = t == DT_BOOL ? v & 1 : wrap_int(t, v)};
}

static bool same_scalar(DType t, Scalar a, Scalar b) {
  if (dtype_is_float(t) && isnan(a.f) && isnan(b.f)) return true;
  return a.i == b.i;
}

static void fill_edges(DType t, Scalar *v) {
  for (int i = 0; i < N; i++) v[i] = edge(t);
}

static bool binary_exists(BinOp op, DType t) {
  bool bits = op == OP_SHL || op == OP_SHR || op == OP_AND || op == OP_XOR || op == OP_OR;
  if (op == OP_LAND || op == OP_LOR) return t == DT_BOOL;
  if (t == DT_BOOL) return op == OP_EQ || op == OP_NE;
  return !(dtype_is_float(t) && (bits || op == OP_MOD));
}

static void lanes_agree_with_scalars(void **state) {
  (void)state;
  Scalar a[N], b[N], d[N];
  for (int round = 0; round < 20; round++) {
    for (int t = 0; t < DT_COUNT; t++) {
      fill_edges((DType)t, a);
      fill_edges((DType)t, b);
      for (int op = 0; op < OP_COUNT; op++) {
        if (!binary_exists((BinOp)op, (DType)t)) continue;
        lanes_binary((BinOp)op, (DType)t, d, a, b, N);
        DType result = binop_is_bool((BinOp)op) ? DT_BOOL : (DType)t;
        for (int i = 0; i < N; i++)
          if (!same_scalar(result, d[i], scalar_binary((BinOp)op, (DType)t, a[i], b[i])))
            fail_msg("%s on %s of %lld %lld (%g %g)", binop_text((BinOp)op), dtype_name((DType)t), (long long)a[i].i,
                     (long long)b[i].i, a[i].f, b[i].f);
      }
      for (int op = 0; op < UN_COUNT; op++) {
        if ((op == UN_NOT) != (t == DT_BOOL) || (op == UN_BITNOT && dtype_is_float((DType)t))) continue;
        lanes_unary((UnOp)op, (DType)t, d, a, N);
        for (int i = 0; i < N; i++) assert_true(same_scalar((DType)t, d[i], scalar_unary((UnOp)op, (DType)t, a[i])));
      }
      for (int to = 0; to < DT_COUNT; to++) {
        if (to == DT_BOOL && t != DT_BOOL) continue;
        lanes_cast((DType)to, (DType)t, d, a, N);
        for (int i = 0; i < N; i++) {
          Scalar want = scalar_cast((DType)to, (DType)t, a[i]);
          if (!same_scalar((DType)to, d[i], want) ||
              (lanes_cast_is_free((DType)to, (DType)t) && !same_scalar((DType)to, a[i], want)))
            fail_msg("%s to %s of %lld (%g)", dtype_name((DType)t), dtype_name((DType)to), (long long)a[i].i, a[i].f);
        }
      }
      char memory[N * 8], again[N * 8];
      int64_t off[N];
      for (int i = 0; i < N; i++) {
        scalar_store((DType)t, memory + i * dtype_bytes((DType)t), a[i]);
        off[i] = N - 1 - i;
      }
      lanes_store((DType)t, again, 0, a, N);
      assert_memory_equal(memory, again, (size_t)(N * dtype_bytes((DType)t)));
      lanes_load((DType)t, d, memory, off, 0, N);
      for (int i = 0; i < N; i++) assert_true(same_scalar((DType)t, d[i], a[N - 1 - i]));
    }
  }
}

// ---- kernels --------------------------------------------------------------------------------------------------------

static bool same_arrays(const TeKernel *k, const TeArrays *a, const TeArrays *b) {
  for (int i = 0; i < k->ntensors; i++) {
    const TeTensor *t = k->tensors[i];
    int bytes = dtype_bytes(t->type);
    for (int64_t e = 0; e < te_tensor_elems(t); e++) {
      Scalar x = scalar_load(t->type, (char *)a->data[i] + e * bytes),
             y = scalar_load(t->type, (char *)b->data[i] + e * bytes);
      if (same_scalar(t->type, x, y)) continue;
      print_error("%s[%lld]: %lld (%g) against %lld (%g)\n", t->name, (long long)e, (long long)x.i, x.f, (long long)y.i,
                  y.f);
      return false;
    }
  }
  return true;
}

static void compare(Loaded *l, uint64_t seed) {
  for (int i = 0; i < l->m->nkernels; i++) {
    const TeKernel *k = l->m->kernels[i];
    TeArrays a = make_arrays(k, seed), b = make_arrays(k, seed);
    assert_true(te_eval(&l->cx, k, &a));
    assert_true(walk_kernel(k, &b));
    bool same = same_arrays(k, &a, &b);
    if (!same) {
      Text text = {.arena = l->cx.arena};
      te_print(l->m, &text);
      print_error("%s", text.data);
    }
    assert_true(same);
    free_arrays(k, &a);
    free_arrays(k, &b);
  }
}

static void compare_text(const char *text) {
  Loaded l = load_text(text);
  if (!l.m) {
    diags_print(l.cx.diags, stderr, DIAG_TEXT, NULL);
    fail_msg("does not check:\n%s", text);
  }
  compare(&l, 7);
  unload(&l);
}

static void picked_kernels_agree(void **state) {
  (void)state;
  compare_text("kernel k { input a[x: 300] : float32; output o[y: 1] : float32 = sum[x: 300](a[x]); "
               "output p[y: 1] : float32 = prod[x: 300](a[x] / 8.0); output q[y: 3] : float32 = max[x: 300](a[x] * "
               "float32(y)); }");
  compare_text("kernel k { input a[x: 5, y: 7, z: 11] : int16; output o[z: 11, x: 5, y: 7] : int16 = a[x, y, z]; "
               "output p[x: 5] : int16 = min[z: 11, y: 7](a[x, y, z]); output q[x: 5] : uint8 = max[y: 7](uint8(a[x, "
               "y, 3])); }");
  compare_text("kernel k { input a[x: 20] : int8; input i[x: 9] : int32; "
               "output o[x: 9] : int8 = a[clamp(int64(i[x]), 0, 19)]; "
               "output p[x: 9] : int8 = i[x] >= 0 && i[x] < 20 && a[int64(i[x])] > 3 ? a[int64(i[x])] : -1; "
               "output q[x: 30] : int8 = x < 20 ? a[x] : x < 29 && a[28 - x + 19 - 19 + 0 < 0 ? 0 : 28 - x < 20 ? 28 - "
               "x : 0] > 0 ? 1 : 2; }");
  compare_text("kernel k { input a[x: 6, y: 6] : float16; "
               "output o[x: 8, y: 8] : float16 = (x < 1 || x > 6) || (y < 1 || y > 6) ? nan : a[x - 1, y - 1]; "
               "output s[x: 6] : float16 = sum[y: 6](a[x, y] * a[y, x]); }");
  compare_text("kernel k { input b[x: 17] : bool; input c[x: 17] : bool; output o = b && !c || (b != c); "
               "output p[x: 17] : int32 = b[x] ? 1 : 0; }");
  compare_text(
      "kernel k { input a[x: 1000] : uint64; output o = a / 7 % 5 + (a >> 60) - min(a, 1000) + (a > 5 ? 1 : 0); }");
  // A transposed convolution: strided and guarded by remainders.
  compare_text("kernel k { input a[x: 8] : int32; input w[d: 3] : int32; output o[x: 17] : int32 = "
               "sum[d: 3]((x - d) % 2 == 0 && x - d >= 0 && x - d < 16 ? a[(x - d) / 2] * w[d] : 0); }");
  compare_text("kernel k { input a[x: 9] : int32; output o[x: 9] : int32 = sum[d: 9](d <= x ? a[d] : 0); "
               "output p[x: 5] : int32 = sum[d: 5](x + d >= 2 && x + d < 7 ? a[x + d - 2] : -1); }");
}

static void samples_agree(void **state) {
  (void)state;
  char path[4096];
#define D(n, v) {.name = n, .value = v}
  TeDefine small[] = {D("M", 3), D("N", 2), D("K", 2)};
  TeDefine tiny[] = {D("H", 6), D("W", 5), D("CI", 32), D("CO", 16), D("STRIDE", 2)};
#undef D
  TeOptions opt = default_options();
  snprintf(path, sizeof path, "%s/gemm.te", getenv("TETC_SAMPLES_DIR"));
  opt.defines = small;
  opt.ndefines = 3;
  Loaded l = load_with(path, NULL, &opt);
  compare(&l, 3);
  unload(&l);
  snprintf(path, sizeof path, "%s/conv2d_relu.te", getenv("TETC_SAMPLES_DIR"));
  opt.defines = tiny;
  opt.ndefines = 5;
  l = load_with(path, NULL, &opt);
  compare(&l, 4);
  unload(&l);
}

// ---- random expressions ---------------------------------------------------------------------------------------------

static const char *const numeric[] = {"int8",   "int16",  "int32",   "int64",   "uint8",  "uint16",
                                      "uint32", "uint64", "float16", "float32", "float64"};
enum { NTYPES = sizeof numeric / sizeof *numeric };

static void random_expr(Text *t, int type, int depth);

static void random_cond(Text *t, int depth) {
  static const char *const compares[] = {"<", "<=", ">", ">=", "==", "!="};
  if (depth > 0 && draw(4) == 0) {
    text_add(t, "(");
    random_cond(t, depth - 1);
    text_add(t, draw(2) ? " && " : " || ");
    random_cond(t, depth - 1);
    text_add(t, ")");
    return;
  }
  if (draw(3) == 0) {
    static const char *const axes[] = {"x", "y", "y + x", "x * 2 - y", "x % 3", "y / 2"};
    text_add(t, "%s %s %u", axes[draw(6)], compares[draw(6)], draw(7));
    return;
  }
  int type = (int)draw(NTYPES);
  text_add(t, "(");
  random_expr(t, type, depth - 1);
  text_add(t, " %s ", compares[draw(6)]);
  random_expr(t, type, depth - 1);
  text_add(t, ")");
}

// A read of tensor tN, in bounds by itself or by a guard around it.
static void random_access(Text *t, int type) {
  switch (draw(6)) {
  case 0: text_add(t, "t%d[x, y]", type); return;
  case 1: text_add(t, "t%d[y, x %% 7]", type); return;
  case 2: text_add(t, "t%d[6 - x, %u]", type, draw(7)); return;
  case 3: text_add(t, "(x >= 1 && y < 6 ? t%d[x - 1, y + 1] : t%d[x, y])", type, type); return;
  case 4: text_add(t, "t%d[clamp(int64(t2[y, x]), 0, 6), min(x + y, 6)]", type); return;
  default: text_add(t, "(x + y >= 3 && x + y < 10 ? t%d[x + y - 3, y] : %u)", type, draw(50)); return;
  }
}

static void random_expr(Text *t, int type, int depth) {
  bool is_float = type >= 8;
  if (depth <= 0) {
    if (draw(4)) random_access(t, type);
    else text_add(t, "%s(%u)", numeric[type], draw(100));
    return;
  }
  switch (draw(8)) {
  case 0: {
    int from = (int)draw(NTYPES);
    text_add(t, "%s(", numeric[type]);
    random_expr(t, from, depth - 1);
    text_add(t, ")");
    return;
  }
  case 1:
    text_add(t, "(");
    random_cond(t, depth - 1);
    text_add(t, " ? ");
    random_expr(t, type, depth - 1);
    text_add(t, " : ");
    random_expr(t, type, depth - 1);
    text_add(t, ")");
    return;
  case 2:
    text_add(t, draw(2) ? "min(" : "max(");
    random_expr(t, type, depth - 1);
    text_add(t, ", ");
    random_expr(t, type, depth - 1);
    text_add(t, ")");
    return;
  case 3: {
    static const char *const functions[] = {"abs", "round", "floor", "sqrt", "exp", "tanh", "trunc", "ceil"};
    text_add(t, is_float ? "%s(" : "abs(", functions[draw(8)]);
    random_expr(t, type, depth - 1);
    text_add(t, ")");
    return;
  }
  default: {
    static const char *const operators[] = {"+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^"};
    text_add(t, "(");
    random_expr(t, type, depth - 1);
    text_add(t, " %s ", operators[draw(is_float ? 4 : 10)]);
    random_expr(t, type, depth - 1);
    text_add(t, ")");
  }
  }
}

static void random_expressions_agree(void **state) {
  (void)state;
  for (int round = 0; round < 400; round++) {
    Arena *a = arena_new();
    Text t = {.arena = a};
    text_add(&t, "kernel k {");
    for (int i = 0; i < NTYPES; i++) text_add(&t, " input t%d[x: 7, y: 7] : %s;\n", i, numeric[i]);
    int type = (int)draw(NTYPES);
    text_add(&t, "output o[x: 7, y: 7] : %s = ", numeric[type]);
    random_expr(&t, type, 4);
    static const char *const reductions[] = {"sum", "prod", "min", "max"};
    text_add(&t, ";\noutput p[x: 7] : %s = %s[y: 7](", numeric[type], reductions[draw(4)]);
    random_expr(&t, type, 3);
    text_add(&t, "); }");
    Loaded l = load_text(t.data);
    if (!l.m) {
      diags_print(l.cx.diags, stderr, DIAG_TEXT, NULL);
      fail_msg("does not check:\n%s", t.data);
    }
    compare(&l, (uint64_t)round);
    // What is printed means the same.
    Text printed = {.arena = a}, twice = {.arena = a};
    te_print(l.m, &printed);
    Loaded again = load_text(printed.data);
    if (!again.m) {
      diags_print(again.cx.diags, stderr, DIAG_TEXT, NULL);
      fail_msg("does not read back:\n%s", printed.data);
    }
    te_print(again.m, &twice);
    assert_string_equal(printed.data, twice.data);
    unload(&again);
    unload(&l);
    arena_free(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(lanes_agree_with_scalars), cmocka_unit_test(picked_kernels_agree),
                                     cmocka_unit_test(samples_agree), cmocka_unit_test(random_expressions_agree)};
  return cmocka_run_group_tests_name("te_eval", tests, NULL, NULL);
}

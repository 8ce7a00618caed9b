// SPDX-License-Identifier: Apache-2.0
// Loading: the graph of the samples, what is printed reads back, files and definitions, and input that hurts.
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *samples[] = {"vector_add", "gemm", "conv2d_relu", "conv2d_relu_unmatched", "conv_block_nchw"};

static Loaded load_sample(const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s.te", getenv("TETC_SAMPLES_DIR"), name);
  return load_file(path);
}

static void samples_load_and_print_the_same_twice(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
    Loaded l = load_sample(samples[i]);
    assert_non_null(l.m);
    Text first = {.arena = l.cx.arena}, second = {.arena = l.cx.arena};
    te_print(l.m, &first);
    Loaded again = load_text(first.data);
    assert_non_null(again.m);
    te_print(again.m, &second);
    assert_string_equal(first.data, second.data);
    unload(&again);
    unload(&l);
  }
}

static void the_graph_of_the_convolution(void **state) {
  (void)state;
  Loaded l = load_sample("conv2d_relu");
  const TeKernel *k = l.m->kernels[0];
  assert_string_equal(k->name, "conv2d_relu");
  assert_int_equal(k->ntensors, 10);
  const TeTensor *conv = tensor_named(k, "conv");
  assert_int_equal(conv->naxes, 6);
  assert_int_equal(conv->nraxes, 4);
  assert_int_equal(conv->reduce, TE_SUM);
  assert_int_equal(conv->axes[2]->extent, 56);
  assert_int_equal(conv->raxes[3]->extent, 16);
  assert_true(conv->raxes[3]->reduce);
  assert_int_equal(conv->raxes[3]->index, 3);
  const TeTensor *out = tensor_named(k, "out");
  assert_int_equal(out->role, TE_OUTPUT);
  assert_int_equal(out->type, DT_I8);
  assert_int_equal(out->body->kind, TE_CAST);
  assert_string_equal(out->axes[1]->name, "o");
  assert_int_equal(te_tensor_elems(out), 4 * 56 * 56 * 16);
  const TeTensor *relu = tensor_named(k, "relu");
  assert_int_equal(relu->body->b->type, DT_I32); // the literal took the type of what it met
  assert_int_equal(l.m->nschedules, 1);
  const SchedStmt *first = l.m->schedules[0]->stmts[0];
  assert_int_equal(first->kind, SCHED_KNOB);
  assert_int_equal(first->value->value, 14);
  unload(&l);
}

// The text of a stage's expression after checking.
static void expect_body(const char *decls, const char *expression, const char *want) {
  char text[2048];
  snprintf(text, sizeof text, "const N = 3; kernel k { %s output o = %s; }", decls, expression);
  Loaded l = load_text(text);
  if (!l.m) {
    diags_print(l.cx.diags, stderr, DIAG_TEXT, NULL);
    fail_msg("%s does not check", expression);
  }
  const TeKernel *k = l.m->kernels[0];
  Text out = {.arena = l.cx.arena};
  te_print_expr(k->tensors[k->ntensors - 1]->body, &out);
  assert_string_equal(out.data, want);
  unload(&l);
}

static void literals_take_the_type_of_what_they_meet(void **state) {
  (void)state;
  const char *a = "input a[x: 4] : int8; input f[x: 4] : float32; input h[x: 4] : float16; input u[x: 4] : uint64;";
  expect_body(a, "a + 3", "a[x] + 3");
  expect_body(a, "a + N * 2", "a[x] + 6");
  expect_body(a, "-128 + a", "-128 + a[x]");
  expect_body(a, "f * 3", "f[x] * 3.0");
  expect_body(a, "f * (1 / 2.0)", "f[x] * 0.5");
  expect_body(a, "h * 0.1", "h[x] * 0.1");
  expect_body(a, "u + 18446744073709551615", "u[x] + 18446744073709551615");
  expect_body(a, "(a > 0 ? 1 : 0) * f", "(a[x] > 0 ? float32(1.0) : float32(0.0)) * f[x]");
  expect_body(a, "a > 0 ? 1 : 2", "a[x] > 0 ? int32(1) : int32(2)");
  expect_body(a, "a > 0 ? 1 : 2.5", "a[x] > 0 ? float32(1.0) : float32(2.5)");
  expect_body(a, "int32(a) + int32(300)", "int32(a[x]) + 300");
  expect_body(a, "a + int8(300)", "a[x] + 44");
  expect_body(a, "clamp(f, -1, 1)", "min(max(f[x], -1.0), 1.0)");
  expect_body(a, "max(a, 0) << 1", "max(a[x], 0) << 1");
  expect_body(a, "a - (1 - a)", "a[x] - (1 - a[x])");
  expect_body(a, "f * exp(0)", "f[x] * exp(float32(0.0))");
  expect_body(a, "pow(f, 2)", "pow(f[x], 2.0)");
  expect_body(a, "f > -inf && !(a == 0 || true)", "f[x] > -inf && !(a[x] == 0 || true)");
}

static void params_are_overridden_by_definitions(void **state) {
  (void)state;
  const char *text = "param N = 4; const M = N * 2; kernel k { output o[x: M] : int32 = 1; }";
  TeOptions opt = default_options();
  TeDefine def = {.name = "N", .value = 8};
  opt.defines = &def;
  opt.ndefines = 1;
  Loaded l = load_with("test.te", text, &opt);
  assert_int_equal(l.m->kernels[0]->tensors[0]->axes[0]->extent, 16);
  assert_int_equal(l.m->consts[1].value.i, 16);
  unload(&l);
  def.name = "NN";
  l = load_with("test.te", text, &opt);
  expect_error(&l, "E0115", "-D NN=8 names no param");
  unload(&l);
  def.name = "M";
  l = load_with("test.te", text, &opt);
  expect_error(&l, "E0115", "-D M=8 names no param");
  unload(&l);
}

// Each function, as a constant and as an expression of the same numbers: evaluated by other code.
static void functions_of_constants_are_those_of_kernels(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int nargs;
    const char *takes;
  } functions[] = {
#define MATH(id, name, arity, takes) {name, arity, #takes},
#include "base/ops.def"
      {"min", 2, ""}, {"max", 2, ""}, {"clamp", 3, ""}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    static const char *const given[] = {"", "0.8125", "0.8125, 1.5", "0.8125, 1.5, 4.25"};
    static const char *const ints[] = {"", "-13", "-13, 5"};
    bool of_ints = strcmp(functions[i].takes, "INTS") == 0;
    const char *args = (of_ints ? ints : given)[functions[i].nargs];
    char text[200];
    snprintf(text, sizeof text, "const C = %s(%s); kernel k { output o : %s = %s(%s); }", functions[i].name, args,
             of_ints ? "int64" : "float64", functions[i].name, args);
    Loaded l = load_text(text);
    assert_non_null(l.m);
    TeArrays a = make_arrays(l.m->kernels[0], 1);
    assert_true(te_eval(&l.cx, l.m->kernels[0], &a));
    if (of_ints) assert_int_equal(l.m->consts[0].value.i, *(const int64_t *)a.data[0]);
    else if (l.m->consts[0].value.f != *(const double *)a.data[0]) fail_msg("%s: %g", text, l.m->consts[0].value.f);
    free_arrays(l.m->kernels[0], &a);
    unload(&l);
  }
}

// ---- files ----------------------------------------------------------------------------------------------------------

typedef struct TempDir {
  char path[64];
} TempDir;

static void write_file(const TempDir *d, const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", d->path, name);
  FILE *f = fopen(path, "w");
  fputs(text, f);
  fclose(f);
}

static Loaded load_in(const TempDir *d, const char *name, const char *include) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", d->path, name);
  TeOptions opt = default_options();
  opt.include_dirs = &include;
  opt.ninclude_dirs = include != NULL;
  return load_with(path, NULL, &opt);
}

static void imports_are_found_once_and_cycles_refused(void **state) {
  (void)state;
  TempDir d = {"/tmp/tetc-te-XXXXXX"}, other = {"/tmp/tetc-inc-XXXXXX"};
  assert_non_null(mkdtemp(d.path));
  assert_non_null(mkdtemp(other.path));
  write_file(&d, "base.te", "param N = 4; kernel lib { output o[x: N] : int32 = 1; } schedule lib { o.unroll(x); }\n");
  write_file(&d, "left.te", "import \"base.te\"; const L = N + 1;\n");
  write_file(&d, "right.te", "import \"base.te\"; const R = N + 2;\n");
  write_file(&d, "top.te", "import \"left.te\"; import \"right.te\"; kernel k { output o[x: L + R] : int32 = 1; }\n");
  Loaded l = load_in(&d, "top.te", NULL);
  assert_non_null(l.m);
  assert_int_equal(l.m->nkernels, 2);
  assert_string_equal(l.m->kernels[0]->name, "lib");
  assert_int_equal(l.m->kernels[1]->tensors[0]->axes[0]->extent, 11);
  assert_int_equal(l.m->nschedules, 1);
  unload(&l);
  write_file(&d, "a.te", "import \"b.te\"; kernel k { output o[x: 4] : int32 = 1; }\n");
  write_file(&d, "b.te", "import \"a.te\";\n");
  l = load_in(&d, "a.te", NULL);
  expect_error(&l, "E0109", "`a.te` imports itself");
  assert_null(l.m);
  unload(&l);
  write_file(&other, "far.te", "const F = 7;\n");
  write_file(&d, "use.te", "import \"far.te\"; kernel k { output o[x: F] : int32 = 1; }\n");
  l = load_in(&d, "use.te", NULL);
  expect_error(&l, "E0110", "cannot read `far.te`");
  unload(&l);
  l = load_in(&d, "use.te", other.path);
  assert_non_null(l.m);
  unload(&l);
  write_file(&d, "broken.te", "const = 3;\n");
  write_file(&d, "uses_broken.te", "import \"broken.te\"; kernel k { output o[x: Q] : int32 = 1; }\n");
  l = load_in(&d, "uses_broken.te", NULL);
  expect_error(&l, "E0001", "expected a name");
  assert_int_equal(diags_errors(l.cx.diags), 1); // Q may be what was lost
  unload(&l);
  // The library is in the compiler; a file of its name is taken before it, also one that is wrong.
  write_file(&d, "nn_user.te",
             "import \"nn.te\" as nn;\nkernel k { output o[x: 3] : int32 = nn.relu(int32(x) - 1); }\n");
  l = load_in(&d, "nn_user.te", NULL);
  assert_non_null(l.m);
  unload(&l);
  write_file(&other, "nn.te", "def relu(x) { return x + 1; } const MINE = 3;\n");
  l = load_in(&d, "nn_user.te", other.path);
  assert_non_null(l.m);
  unload(&l);
  write_file(&d, "nn.te", "const OTHER = 3;\n");
  l = load_in(&d, "nn_user.te", other.path);
  expect_error(&l, "E0101", "unknown function `nn.relu`");
  unload(&l);
  char command[300];
  snprintf(command, sizeof command, "rm %s/nn.te %s/nn.te && mkdir %s/nn.te", d.path, other.path, d.path);
  assert_int_equal(system(command), 0);
  l = load_in(&d, "nn_user.te", other.path);
  expect_error(&l, "E0110", "cannot read `nn.te`");
  unload(&l);
  snprintf(command, sizeof command, "rm -r %s %s", d.path, other.path);
  assert_int_equal(system(command), 0);
}

// Parts of an imported file name its constants, which the module calls otherwise, or not at all.
static void parts_of_imports_print_and_read_back(void **state) {
  (void)state;
  TempDir d = {"/tmp/tetc-XXXXXX"};
  assert_non_null(mkdtemp(d.path));
  write_file(&d, "deep.te",
             "const D = 3; const T = 5; schedule def cut(s, y, n = D) { a, b = s.split(y, factor = n + T); }");
  write_file(&d, "f.te",
             "import \"deep.te\" as g; const T = 4; const L = [2, 4];"
             "schedule def tile(s, y, n = T) { y0, T = s.split(y, factor = L[n] * T); s.unroll(T); g.cut(s, y0); }");
  write_file(&d, "m.te",
             "import \"f.te\" as f; kernel k { input a[i: 64] : int32; output c = a * 2; }"
             "schedule k { f.tile(c, i, n = f.T - 3); }");
  Loaded l = load_in(&d, "m.te", NULL);
  assert_non_null(l.m);
  Text out = {.arena = l.cx.arena}, again = {.arena = l.cx.arena};
  te_print(l.m, &out);
  assert_non_null(strstr(out.data, "n = f.T)"));
  assert_non_null(strstr(out.data, "s.split(y, factor = f.L[n] * f.T)"));
  assert_non_null(strstr(out.data, "s.unroll(T)"));
  assert_non_null(strstr(out.data, "const cut.D = 3;"));
  assert_non_null(strstr(out.data, "n = cut.D)"));
  Loaded back = load_text(out.data);
  assert_non_null(back.m);
  te_print(back.m, &again);
  assert_string_equal(again.data, out.data);
  unload(&back);
  unload(&l);
}

static const TeTensor *tensor(const Loaded *l, const char *name) {
  for (int i = 0; i < l->m->kernels[0]->ntensors; i++)
    if (strcmp(l->m->kernels[0]->tensors[i]->name, name) == 0) return l->m->kernels[0]->tensors[i];
  fail_msg("no `%s`", name);
  return NULL;
}

// What a def binds is what its names mean: axes of the caller's tensors do not stand before it. Elements that are given
// are no whole tensors, and what `..` stands for keeps its name.
static void defs_hide_the_callers_axes(void **state) {
  (void)state;
  Loaded l = load_text(
      "def relu(x) { return max(x, 0); } def less(a, b) { return min(a, b); } def times(x, i) { return x * i; }\n"
      "def scale(v[n: N, c: C, ..] : int64, b[c: C] : int64, k) { return (v[n, c, ..] + b[c]) * k; }\n"
      "kernel k { input t[a: 2, i: 3, x: 4] : int64; input b[i: 3] : int64;\n"
      "  output o = relu(t + 1); output p = times(t * 2, 7); output q = scale(t, b, b[c]);\n"
      "  output r[a: 2, i: 3, x: 3] : int64 = less(t[a, i, x], t[a, i, x + 1]);\n"
      "  output s = relu(t[a, i, x] - 1); }\n");
  assert_non_null(l.m);
  Text out = {.arena = l.cx.arena};
  te_print(l.m, &out);
  static const char *const want[] = {"o[a: 2, i: 3, x: 4] : int64 =\n      max(t[a, i, x] + 1, 0)",
                                     "p[a: 2, i: 3, x: 4] : int64 =\n      t[a, i, x] * 2 * 7",
                                     "q[n: 2, c: 3, x: 4] : int64 =\n      (t[n, c, x] + b[c]) * b[c]",
                                     "r[a: 2, i: 3, x: 3] : int64 =\n      min(t[a, i, x], t[a, i, x + 1])",
                                     "s[a: 2, i: 3, x: 4] : int64 =\n      max(t[a, i, x] - 1, 0)"};
  for (size_t i = 0; i < sizeof want / sizeof *want; i++)
    if (!strstr(out.data, want[i])) fail_msg("no `%s` in\n%s", want[i], out.data);
  unload(&l);
}

static void truths_stay_bools(void **state) {
  (void)state;
  Loaded l = load_text(
      "param F = false; const B = 3 > 2 && !F; const L = [true, F]; const t[i: 2] : bool = {F, B};\n"
      "def f(x, on = false) { return on && x > 0 ? x : 0; }\n"
      "kernel k { input a[i: 5] : int32; const M = B ? L[0] : F; compute b = f(a, on = M); compute c = f(b);\n"
      "  output d[i: 5 + (B ? 1 : 0)] : bool = M || F; output e = a > 0 && B || c == 3; }\n");
  assert_non_null(l.m);
  assert_int_equal(tensor(&l, "d")->axes[0]->extent, 6);
  unload(&l);
  l = load_text("const B = 1 < 2; kernel k { input a[i: 5] : int32; output o = a + B; }\n");
  expect_error(&l, "E0103", "bool");
  unload(&l);
}

static void types_may_be_left_to_expressions(void **state) {
  (void)state;
  Loaded l =
      load_text("def half(x[i: N] : T) { compute y[i: N] = T(float64(x[i]) * 0.5); return y; }\n"
                "def total(x[i: N, c: C] : T) { return [i: N] = sum[c: C](x[i, c]); }\n"
                "kernel k { input a[i: 4] : int8; input b[i: 4, c: 5] : uint16;\n"
                "  compute s[i: 4] = sum[c: 5](b[i, c]); compute t = total(b); compute u[i: 4] = total(b);\n"
                "  output o = half(a); output p = half(t); output q[i: 4] = i + 1; output r[i: 4] = s[i] + u[i];\n"
                "  output f[i: 4] = 2 * 1.5; }\n");
  assert_non_null(l.m);
  static const struct {
    const char *name;
    DType type;
  } want[] = {{"s", DT_U16}, {"t", DT_U16}, {"u", DT_U16}, {"o", DT_I8},
              {"p", DT_U16}, {"q", DT_I64}, {"r", DT_U16}, {"f", DT_F32}};
  for (size_t i = 0; i < sizeof want / sizeof *want; i++)
    assert_int_equal(tensor(&l, want[i].name)->type, want[i].type);
  unload(&l);
  l = load_text("kernel k { input a[i: 4]; output b = a; }\n");
  expect_error(&l, "E0001", "expected");
  unload(&l);
  l = load_text(
      "def f(x[i: N] : T) { return [i: N] = T(x[i], 1); } kernel k { input a[i: 4] : int8; output b = f(a); }\n");
  expect_error(&l, "E0103", "argument");
  unload(&l);
}

// ---- input that hurts -----------------------------------------------------------------------------------------------

// Text made of a head, n times a middle, and a tail.
static char *repeated(const char *head, const char *middle, int n, const char *tail) {
  size_t m = strlen(middle), h = strlen(head);
  char *text = malloc(h + m * (size_t)n + strlen(tail) + 1);
  memcpy(text, head, h);
  for (int i = 0; i < n; i++) memcpy(text + h + m * (size_t)i, middle, m);
  strcpy(text + h + m * (size_t)n, tail);
  return text;
}

static void expect_too_deep(const char *head, const char *middle, int n, const char *tail) {
  char *text = repeated(head, middle, n, tail);
  Loaded l = load_text(text);
  assert_null(l.m);
  expect_error(&l, "E0003", "too deep");
  assert_true(diags_errors(l.cx.diags) <= 2);
  unload(&l);
  free(text);
}

#define KERNEL "kernel k { input a[x: 4] : int32; output o[x: 4] : int32 = "

static void depth_is_bounded(void **state) {
  (void)state;
  const int million = 1000000;
  expect_too_deep(KERNEL, "(", million, "a[x]");
  expect_too_deep(KERNEL, "-", million, "a[x]; }");
  expect_too_deep(KERNEL, "a[x] + ", million, "a[x]; }");
  expect_too_deep(KERNEL, "a[x] > 0 ? 1 : ", million, "a[x]; }");
  expect_too_deep(KERNEL, "a[", million, "x");
  expect_too_deep(KERNEL, "min(1, ", million, "a[x]");
  expect_too_deep(KERNEL, "1 ? ", million, "a[x]; }");
  expect_too_deep("const A = ", "[", million, "1;");
  expect_too_deep("kernel k { } schedule k { ", "for s in (a) { ", million, "");
}

static void trees_up_to_the_bound_check_and_run(void **state) {
  (void)state;
  static const char *const middles[] = {
      "a[x] + ", "-", "a[x] > 0 ? 1 : ", "min(1, ", "abs(", "a[x] == 1 && true ? 2 : ", "1 + clamp(-3, 1, "};
  for (size_t i = 0; i < sizeof middles / sizeof *middles; i++) {
    int n = strstr(middles[i], "clamp") ? 1320 : 3980;
    bool call = strchr(middles[i], '(') != NULL;
    char *tail = repeated("a[x]", call ? ")" : "", n, "; }");
    char *text = repeated(KERNEL, middles[i], n, tail);
    Loaded l = load_text(text);
    assert_non_null(l.m);
    TeArrays arrays = make_arrays(l.m->kernels[0], 1);
    assert_true(te_eval(&l.cx, l.m->kernels[0], &arrays));
    free_arrays(l.m->kernels[0], &arrays);
    Text out = {.arena = l.cx.arena};
    te_print(l.m, &out);
    Loaded again = load_text(out.data);
    assert_non_null(again.m);
    unload(&again);
    unload(&l);
    free(text);
    free(tail);
  }
}

// A chain of n defs, each made of the one before it.
static char *chain_of_defs(int n, const char *body, const char *kernel) {
  char *text = malloc((size_t)n * 200 + 400), *at = text;
  at += sprintf(at, "def f0(x) { return x; }\n");
  for (int i = 1; i <= n; i++) at += sprintf(at, body, i, i - 1, i - 1);
  sprintf(at, kernel, n);
  return text;
}

// Arguments used twice, calls made twice, and long chains of calls: refused at once, with one error, or linear.
static void expansions_are_bounded(void **state) {
  (void)state;
  const char *kernel = "kernel k { input a[i: 4] : float32; output o = f%d(a); }";
  static const struct {
    const char *body;
    int n;
    const char *error; // NULL: none
  } cases[] = {{"def f%d(x) { return f%d(x + x); }\n", 10, NULL},
               {"def f%d(x) { return f%d(x + x); }\n", 40, "more than 100000 operations"},
               {"def f%d(x) { return f%d(x > 0.0 ? x : x + 1.0); }\n", 40, "more than 100000 operations"},
               {"def f%d(x) { return f%d(x) + f%d(x * 2.0); }\n", 40, "more than 100000 stages"},
               {"def f%d(x) { return f%d(x) + 1.0; }\n", 1000, NULL},
               {"def f%d(x) { return f%d(x) + 1.0; }\n", 6000, "more than 4000 levels"},
               {"def f%d(x[n: N] : T) { compute s = f%d(x); return s; }\n", 300, NULL},
               {"def f%d(x) { return f%d(x + sum[r: 2](x)); }\n", 40, NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = chain_of_defs(cases[i].n, cases[i].body, kernel);
    Loaded l = load_text(text);
    if (!cases[i].error) assert_non_null(l.m);
    if (cases[i].error) expect_error(&l, "E0003", cases[i].error);
    assert_true(diags_errors(l.cx.diags) <= 1);
    unload(&l);
    free(text);
  }
}

static double load_seconds(const char *head, const char *middle, int n, const char *tail) {
  char *text = repeated(head, middle, n, tail);
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  Loaded l = load_text(text);
  clock_gettime(CLOCK_MONOTONIC, &to);
  unload(&l);
  free(text);
  return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
}

// No timing bound, but quadratic work in any of these would take minutes.
static void long_input_ends_soon(void **state) {
  (void)state;
  load_seconds("", "// a comment\n", 300000, "kernel k { output o[x: 1] : int32 = 1; }");
  load_seconds("/*", " * \n", 300000, "*/ kernel k { output o[x: 1] : int32 = 1; }");
  load_seconds("", "const A = 1;\n", 20000, "");
  load_seconds("kernel k { output o[x: 1] : int32 = 1; ", "garbage ) ", 100000, "}");
  load_seconds("kernel k { output o[x: 1] : int32 = 1; ", "compute ; ", 20000, "}");
  load_seconds("\"", "x", 1000000, "\n");
  load_seconds("", "@", 20000, "");
  load_seconds("kernel ", "a", 1000000, " { }");
  load_seconds("kernel k { input a[x: 4] : int32; ", "compute ab[x: 4] : int32 = a[y] + zz;\n", 20000,
               "output o = a; }");
  load_seconds("kernel k { output o[x: 1] : int32 = 1; } schedule k { ", "o.unroll(x, 1, 2); ", 50000, "}");
  load_seconds("kernel k { output o[x: 1] : int32 = min(", "1, ", 300000, "1); }");
}

// Errors in great number: the first of them are told.
static void floods_of_errors_end(void **state) {
  (void)state;
  Arena *a = arena_new();
  Text t = {.arena = a};
  for (int i = 0; i < 20000; i++) text_add(&t, "const A%d = B%d;\n", i, i);
  text_add(&t, "kernel k { output o[x: 1] : int32 = foo(");
  for (int i = 0; i < 20000; i++) text_add(&t, "C%d, ", i);
  text_add(&t, "1); }");
  Loaded l = load_text(t.data);
  assert_null(l.m);
  assert_in_range(diags_errors(l.cx.diags), 100, 1000);
  unload(&l);
  arena_free(a);
}

static void odd_texts_are_refused_in_peace(void **state) {
  (void)state;
  static const char *const texts[] = {"",
                                      " ",
                                      "\n",
                                      "/",
                                      "/*",
                                      "\"",
                                      "0x",
                                      "0x;",
                                      "1e",
                                      "kernel",
                                      "kernel k",
                                      "kernel k {",
                                      "}",
                                      ";",
                                      ";;;;",
                                      "}}}}",
                                      "kernel k { ; }",
                                      "schedule k { ; }",
                                      "import",
                                      "import \"\";",
                                      "import \"-\";",
                                      "import \"/\";",
                                      "const a = a;",
                                      "const a = \"x\";",
                                      "param p = [1];",
                                      "kernel k { output o = o; }",
                                      "kernel k { output o = a[]; }",
                                      "\xff\xfe",
                                      "\x01",
                                      "a.b.c",
                                      "kernel k { output o[x: -9223372036854775808] : int8 = 1; }",
                                      "const a = -9223372036854775808 / -1; const b = -9223372036854775808 % -1;"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    Loaded l = load_text(texts[i]);
    int n;
    free(messages_of(&l, &n));
    if (!l.m) assert_true(n > 0);
    unload(&l);
  }
}

static void errors_do_not_cascade(void **state) {
  (void)state;
  Loaded l = load_text(
      "kernel k { input a[x: 4] : int32; compute b = zz; compute c = b + 1; compute d = c * 2; output o = d; }");
  expect_error(&l, "E0101", "unknown name `zz`");
  assert_int_equal(diags_errors(l.cx.diags), 1); // no cascade from b
  unload(&l);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(samples_load_and_print_the_same_twice),
                                     cmocka_unit_test(the_graph_of_the_convolution),
                                     cmocka_unit_test(literals_take_the_type_of_what_they_meet),
                                     cmocka_unit_test(params_are_overridden_by_definitions),
                                     cmocka_unit_test(functions_of_constants_are_those_of_kernels),
                                     cmocka_unit_test(imports_are_found_once_and_cycles_refused),
                                     cmocka_unit_test(truths_stay_bools),
                                     cmocka_unit_test(parts_of_imports_print_and_read_back),
                                     cmocka_unit_test(defs_hide_the_callers_axes),
                                     cmocka_unit_test(types_may_be_left_to_expressions),
                                     cmocka_unit_test(depth_is_bounded),
                                     cmocka_unit_test(trees_up_to_the_bound_check_and_run),
                                     cmocka_unit_test(expansions_are_bounded),
                                     cmocka_unit_test(long_input_ends_soon),
                                     cmocka_unit_test(floods_of_errors_end),
                                     cmocka_unit_test(odd_texts_are_refused_in_peace),
                                     cmocka_unit_test(errors_do_not_cascade)};
  return cmocka_run_group_tests_name("te_check", tests, NULL, NULL);
}

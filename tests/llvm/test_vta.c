// SPDX-License-Identifier: Apache-2.0
// Runtime calls: hand-built FORM_CALLS kernels run on the functional simulator, hazard checker on.
#include "backend_llvm/llvm.h"
#include "backend_vta/vta.h"
#include "runtime/runtime.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const LlvmBackend *backend;
static Ctx cx;
static VtaTarget *vta;

static int start(void **state) {
  const char *error;
  (void)state;
  Arena *a = arena_new();
  VtaConfig config = vta_config_default();
  cx = (Ctx){a, names_new(a), diags_new(a)};
  vta = vta_target_new(&cx, &config);
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

static const Expr *num(int64_t v) { return expr_index(&cx, v); }
static const Expr *at1(const Buffer *b, const Expr *i) { return expr_load(&cx, b, &i); }
static const Stmt *put1(const Buffer *b, const Expr *i, const Expr *v) { return stmt_store(&cx, b, &i, v); }
static const Expr *add(const Expr *a, const Expr *b) { return expr_binary(&cx, OP_ADD, a, b); }
static const Expr *mul(const Expr *a, int64_t k) { return expr_binary(&cx, OP_MUL, a, num(k)); }
static const Var *var(const char *name) { return tir_var(&cx, name_of(cx.names, name), (Loc){0}); }
static const Stmt *loop(const Var *v, int64_t min, int64_t n, const Stmt *body) {
  return stmt_for(&cx, v, num(min), num(n), FOR_SERIAL, body);
}

static const Stmt *call(VtaOp op, int n, const Expr **args, const Stmt *body) {
  return stmt_intrin(&cx, vta_op(vta, op), n, args, body);
}

// One row of n tiles from b[from] to sram.
static const Stmt *load(const Buffer *b, const Expr *from, int64_t n, const Expr *sram, VtaMemory m) {
  const Expr *zero = num(0);
  const Expr *args[] = {expr_ref(&cx, b, from), num(1), num(n), num(n), zero, zero, zero, zero, sram, num(m)};
  return call(VTA_LOAD_CALL, 10, args, NULL);
}

static const Stmt *store(const Buffer *b, const Expr *to, int64_t n, const Expr *sram) {
  const Expr *args[] = {expr_ref(&cx, b, to), num(1), num(n), num(n), sram, num(MEM_OUT)};
  return call(VTA_STORE_CALL, 6, args, NULL);
}

static const Stmt *token(VtaOp op, VtaUnit from, VtaUnit to) {
  const Expr *args[] = {num(from), num(to)};
  return call(op, 2, args, NULL);
}

// A kernel of one hardware loop over n tiles with these factors; imm NULL: none.
static const Stmt *kernel(VtaOp op, const Expr *imm, int64_t n, int64_t dst, int64_t src, const Stmt *body) {
  const Expr *one = num(1), *zero = num(0);
  const Expr *args[] = {num(op), num(n), one, num(dst), zero, num(src), zero, zero, zero, imm};
  return call(VTA_KERNEL, imm ? 10 : 9, args, body);
}

static const Stmt *uop(const Expr *dst, const Expr *src) {
  const Expr *args[] = {dst, src};
  return call(VTA_UOP, src ? 2 : 1, args, NULL);
}

static const Stmt *seq(int n, const Stmt **s) { return stmt_seq(&cx, n, s); }

static Func *func(int n, const Buffer **params, const Stmt *body) {
  Func *f = NEW(cx.arena, Func);
  *f = (Func){.name = name_of(cx.names, "kernel"), .nparams = n, .body = body, .target = &vta->tir};
  f->params = arena_copy(cx.arena, params, (size_t)n * sizeof *params);
  return f;
}

static void *no_buffer(size_t size) {
  (void)size;
  return NULL;
}

// Runs f; with `starve`, VTABufferAlloc fails.
static int run(const Func *f, void **params, bool starve, uint64_t *kernels) {
#define S(n) {#n, (void (*)(void))n}
  LlvmSymbol symbols[] = {{"VTABufferAlloc", (void (*)(void))(starve ? no_buffer : VTABufferAlloc)},
                          S(VTABufferFree),
                          S(VTABufferCopy),
                          S(VTATLSCommandHandle),
                          S(VTABufferCPUPtr),
                          S(VTAWriteBarrier),
                          S(VTAReadBarrier),
                          S(VTALoadBuffer2D),
                          S(VTAStoreBuffer2D),
                          S(VTAUopPush),
                          S(VTAUopLoopBegin),
                          S(VTAUopLoopEnd),
                          S(VTAPushGEMMOp),
                          S(VTAPushALUOp),
                          S(VTADepPush),
                          S(VTADepPop),
                          S(VTASynchronize),
                          S(tetc_kernel_begin),
                          S(tetc_kernel_done),
                          S(tetc_kernel_failed)};
#undef S
  TetcRuntime *rt = tetc_runtime_new(tetc_fsim_new(&vta->config));
  void *handle;
  LlvmEntry *entry;
  LlvmOptions opt = {.opt_level = 2};
  tetc_runtime_select(rt);
  tetc_runtime_check(rt, true);
  if (!backend->jit_compile(&cx, f, &opt, (int)(sizeof symbols / sizeof *symbols), symbols, &handle, &entry)) {
    diags_print(cx.diags, stderr, DIAG_TEXT, NULL);
    fail_msg("the kernel does not compile");
  }
  int status = entry(params);
  if (tetc_runtime_error(rt) ? !status : status)
    fail_msg("status %d, but %s", status, tetc_runtime_error(rt) ? tetc_runtime_error(rt) : "no error");
  if (kernels) *kernels = tetc_runtime_stats(rt)->alus;
  backend->jit_free(handle);
  tetc_runtime_select(NULL);
  tetc_runtime_free(rt);
  return status;
}

// ---- tests ----------------------------------------------------------------------------------------------------------

// out[t] = int8(a[t] + b[t]), a tile a turn of two loops, the on-chip places depending on both (a signature with
// offsets).
static void test_add(void **state) {
  enum { TILES = 12, LANES = 16, COUNT = TILES * LANES };
  (void)state;
  const Buffer *a = buffer("a", DT_I32, BUF_INPUT, COUNT), *b = buffer("b", DT_I32, BUF_INPUT, COUNT);
  const Buffer *out = buffer("out", DT_I8, BUF_OUTPUT, COUNT);
  const Var *i = var("i"), *j = var("j"), *k = var("k");
  // i in 5..7, j in i..i+1, two tiles a turn: tile = (i - 5) * 4 + (j - i) * 2
  const Expr *tile = add(add(mul(expr_var(&cx, i), 2), num(-20)), mul(expr_var(&cx, j), 2));
  const Stmt *uops = loop(k, 0, 2, uop(add(tile, expr_var(&cx, k)), add(add(tile, num(100)), expr_var(&cx, k))));
  const Stmt *parts[] = {load(a, tile, 2, tile, MEM_ACC),          load(b, tile, 2, add(tile, num(100)), MEM_ACC),
                         kernel(VTA_ADD, NULL, 1, 0, 0, uops),     token(VTA_PUSH, UNIT_COMPUTE, UNIT_STORE),
                         token(VTA_POP, UNIT_COMPUTE, UNIT_STORE), store(out, tile, 2, tile)};
  const Stmt *all[] = {loop(i, 5, 3, stmt_for(&cx, j, expr_var(&cx, i), num(2), FOR_SERIAL, seq(6, parts))),
                       call(VTA_SYNC, 0, NULL, NULL)};
  const Buffer *params[] = {a, b, out};
  int32_t x[COUNT], y[COUNT];
  int8_t z[COUNT];
  uint64_t kernels;
  for (int n = 0; n < COUNT; n++) x[n] = n * 3 - 100, y[n] = 77 - n;
  assert_int_equal(run(func(3, params, seq(2, all)), (void *[]){x, y, z}, false, &kernels), 0);
  for (int n = 0; n < COUNT; n++) assert_int_equal(z[n], (int8_t)(x[n] + y[n]));
  assert_int_equal(kernels, 6);
  assert_int_equal(run(func(3, params, seq(2, all)), (void *[]){x, y, z}, true, NULL), 1);
}

// CPU -> VTA -> CPU through local buffers: out = float(int8(2 * int8(in)) + zero rows)
static void test_mixed(void **state) {
  enum { TILES = 4, COUNT = TILES * 16 };
  (void)state;
  const Buffer *in = buffer("in", DT_F32, BUF_INPUT, COUNT), *out = buffer("out", DT_F32, BUF_OUTPUT, COUNT);
  const Buffer *q = buffer("q", DT_I8, BUF_LOCAL, COUNT), *r = buffer("r", DT_I8, BUF_LOCAL, COUNT);
  const Var *i = var("i"), *j = var("j");
  const Expr *x = expr_var(&cx, i), *y = expr_var(&cx, j);
  const Expr *zeros[] = {num(2), num(2), num(MEM_ACC)};
  const Stmt *parts[] = {loop(i, 0, COUNT, put1(q, x, expr_cast(&cx, DT_I8, at1(in, x)))),
                         load(q, num(0), TILES, num(0), MEM_ACC8),
                         kernel(VTA_MUL, num(2), TILES, 1, 1, uop(num(0), NULL)),
                         call(VTA_ZERO_CALL, 3, zeros, NULL), // tiles 2 and 3
                         token(VTA_PUSH, UNIT_COMPUTE, UNIT_STORE),
                         token(VTA_POP, UNIT_COMPUTE, UNIT_STORE),
                         store(r, num(0), TILES, num(0)),
                         call(VTA_SYNC, 0, NULL, NULL),
                         loop(j, 0, COUNT, put1(out, y, expr_cast(&cx, DT_F32, at1(r, y))))};
  const Stmt *body = stmt_alloc(&cx, q, stmt_alloc(&cx, r, seq(9, parts)));
  const Buffer *params[] = {in, out};
  float a[COUNT], b[COUNT];
  for (int n = 0; n < COUNT; n++) a[n] = (float)n - 30.25f;
  assert_int_equal(run(func(2, params, body), (void *[]){a, b}, false, NULL), 0);
  for (int n = 0; n < COUNT; n++) assert_float_equal(b[n], n < 32 ? (float)(int8_t)(2 * (int8_t)a[n]) : 0, 0);
}

// No zero tiles at all, and a number of them that is computed: first none, then 1000.
static void test_zero_split(void **state) {
  (void)state;
  const Buffer *out = buffer("out", DT_I8, BUF_OUTPUT, 2048 * 16);
  const Var *i = var("i");
  const Expr *none[] = {num(0), num(0), num(MEM_ACC)};
  const Expr *some[] = {mul(expr_var(&cx, i), 1000), mul(expr_var(&cx, i), 1000), num(MEM_ACC)};
  const Stmt *parts[] = {call(VTA_ZERO_CALL, 3, none, NULL),        loop(i, 0, 2, call(VTA_ZERO_CALL, 3, some, NULL)),
                         token(VTA_PUSH, UNIT_COMPUTE, UNIT_STORE), token(VTA_POP, UNIT_COMPUTE, UNIT_STORE),
                         store(out, num(0), 1000, num(1000)),       call(VTA_SYNC, 0, NULL, NULL)};
  const Buffer *params[] = {out};
  int8_t *z = malloc(2048 * 16);
  memset(z, 5, 2048 * 16);
  assert_int_equal(run(func(1, params, seq(6, parts)), (void *[]){z}, false, NULL), 0);
  for (int n = 0; n < 16000; n++) assert_int_equal(z[n], 0);
  free(z);
}

// A load from beyond its buffer fails when the queue runs: status 2, and the output is left alone.
static void test_device_failure(void **state) {
  (void)state;
  const Buffer *in = buffer("in", DT_I32, BUF_INPUT, 16), *out = buffer("out", DT_I8, BUF_OUTPUT, 16);
  const Stmt *parts[] = {load(in, num(70000000), 1, num(0), MEM_ACC), token(VTA_PUSH, UNIT_COMPUTE, UNIT_STORE),
                         token(VTA_POP, UNIT_COMPUTE, UNIT_STORE), store(out, num(0), 1, num(0)),
                         call(VTA_SYNC, 0, NULL, NULL)};
  const Buffer *params[] = {in, out};
  int32_t x[16] = {0};
  char z[16] = "as it was";
  assert_int_equal(run(func(2, params, seq(5, parts)), (void *[]){x, z}, false, NULL), 2);
  assert_string_equal(z, "as it was");
}

// Objects: the baseline of every target, symbols, and names that cannot be.
static void test_emit(void **state) {
  static const char *const triples[] = {NULL, "x86_64-linux-gnu", "aarch64-linux-gnu", "arm-linux-gnueabihf"};
  (void)state;
  const Buffer *out = buffer("out", DT_I8, BUF_OUTPUT, 16);
  const Var *i = var("i");
  const Buffer *params[] = {out};
  Func *f = func(1, params,
                 stmt_for(&cx, i, num(0), num(16), FOR_PARALLEL, put1(out, expr_var(&cx, i), expr_int(&cx, DT_I8, 3))));
  for (size_t t = 0; t < sizeof triples / sizeof *triples; t++)
    for (int kind = LLVM_OBJECT; kind <= LLVM_TEXT; kind++) {
      LlvmOptions opt = {.triple = triples[t], .opt_level = 2};
      Text one = {.arena = cx.arena}, two = {.arena = cx.arena};
      const Func *funcs[] = {f};
      assert_true(backend->emit(&cx, funcs, 1, &opt, (LlvmKind)kind, &one));
      assert_true(backend->emit(&cx, funcs, 1, &opt, (LlvmKind)kind, &two));
      assert_int_equal(one.len, two.len);
      assert_memory_equal(one.data, two.data, one.len);
      if (kind == LLVM_OBJECT) assert_memory_equal(one.data, "\177ELF", 4);
      else assert_non_null(strstr(one.data, "pthread_create"));
    }
}

static void write_file(const char *path, const char *data, size_t n) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

// Object -> shared library -> dlopen -> call, by way of the header's prototype; and the header is good C.
static void test_shared(void **state) {
  (void)state;
  const Buffer *in = buffer("x", DT_F32, BUF_INPUT, 1000), *out = buffer("y", DT_BOOL, BUF_OUTPUT, 1000);
  const Var *i = var("i");
  const Expr *x = expr_var(&cx, i),
             *v = expr_binary(&cx, OP_GT, expr_math(&cx, FN_SIN, at1(in, x), NULL), expr_float(&cx, DT_F32, 0));
  const Buffer *params[] = {in, out};
  const Func *funcs[] = {func(2, params, stmt_for(&cx, i, num(0), num(1000), FOR_PARALLEL, put1(out, x, v)))};
  Text object = {.arena = cx.arena}, header = {.arena = cx.arena};
  LlvmOptions opt = {.opt_level = 2};
  char dir[] = "/tmp/tetc-test-XXXXXX";
  assert_non_null(mkdtemp(dir));
  const char *o = arena_printf(cx.arena, "%s/k.o", dir), *so = arena_printf(cx.arena, "%s/k.so", dir);
  const char *h = arena_printf(cx.arena, "%s/k.h", dir);
  assert_true(backend->emit(&cx, funcs, 1, &opt, LLVM_OBJECT, &object));
  llvm_header(&cx, funcs, 1, "k.h", &header);
  write_file(o, object.data, object.len);
  write_file(h, header.data, header.len);
  assert_true(llvm_link_shared(&cx, NULL, o, so, 0, NULL));
  assert_int_equal(system(arena_printf(cx.arena, "cc -Wall -Wextra -Werror -std=c99 -fsyntax-only -x c %s", h)), 0);
  void *lib = dlopen(so, RTLD_NOW), *at = lib ? dlsym(lib, "kernel") : NULL;
  assert_non_null(at);
  int (*fn)(const float *, _Bool *);
  memcpy(&fn, &at, sizeof at);
  float a[1000];
  _Bool b[1000];
  for (int n = 0; n < 1000; n++) a[n] = (float)n;
  assert_int_equal(fn(a, b), 0);
  for (int n = 0; n < 1000; n++) assert_int_equal(b[n], sinf(a[n]) > 0);
  remove(o), remove(so), remove(h), remove(dir);
  int errors = diags_errors(cx.diags);
  assert_false(llvm_link_shared(&cx, "no-such-machine", o, so, 0, NULL));
  assert_int_equal(diags_errors(cx.diags), errors + 1);
}

static void refused(const char *name, const LlvmOptions *opt, DiagCode code) {
  Arena *a = arena_new();
  Ctx here = {a, names_new(a), diags_new(a)};
  const Buffer *out = buffer("out", DT_I8, BUF_OUTPUT, 16);
  const Buffer *params[] = {out};
  Func *f = func(1, params, put1(out, num(0), expr_int(&cx, DT_I8, 3)));
  f->name = name_of(cx.names, name);
  Text text = {.arena = a};
  const Func *funcs[] = {f};
  assert_false(backend->emit(&here, funcs, 1, opt, LLVM_OBJECT, &text));
  assert_int_equal(text.len, 0);
  assert_int_equal(diags_errors(here.diags), 1);
  assert_true(diags_have(here.diags, code));
  arena_free(a);
}

static void test_refusals(void **state) {
  (void)state;
  LlvmOptions host = {.opt_level = 1}, unknown = {.triple = "z80-zilog-none", .opt_level = 1};
  refused("int", &host, E_SYMBOL);
  refused("expf", &host, E_SYMBOL);
  refused("VTASynchronize", &host, E_SYMBOL);
  LlvmOptions cpu = {.cpu = "z80", .opt_level = 1}, feature = {.features = "+warp", .opt_level = 1};
  LlvmOptions old = {.triple = "x86_64-linux-gnu", .cpu = "pentium", .opt_level = 1}; // LLVM would abort
  refused("kernel", &unknown, E_TARGET_TRIPLE);
  refused("kernel", &cpu, E_TARGET_TRIPLE);
  refused("kernel", &feature, E_TARGET_TRIPLE);
  refused("kernel", &old, E_BACKEND);
}

// Micro-ops that depend on more loop values than a signature holds, on a loop without known bounds, and on data.
static void test_signature_limits(void **state) {
  (void)state;
  const Var *i = var("i"), *j = var("j");
  const Buffer *out = buffer("out", DT_I64, BUF_OUTPUT, 16);
  const Buffer *params[] = {out};
  const Expr *both = add(expr_var(&cx, i), expr_var(&cx, j));
  const Stmt *k1 = kernel(VTA_ADD, NULL, 1, 0, 0, uop(both, num(0)));
  const Stmt *k2 = kernel(VTA_ADD, NULL, 1, 0, 0, uop(at1(out, num(0)), num(0)));
  const Stmt *bodies[] = {loop(i, 0, 70000, loop(j, 0, 70000, k1)),
                          loop(i, 0, 7, stmt_for(&cx, j, num(0), at1(out, num(1)), FOR_SERIAL, k1)), k2};
  static const DiagCode codes[] = {E_UOPS, E_UOPS, E_INTERNAL};
  for (int n = 0; n < 3; n++) {
    Arena *a = arena_new();
    Ctx here = {a, names_new(a), diags_new(a)};
    void *handle;
    LlvmEntry *entry;
    LlvmOptions opt = {.opt_level = 1};
    assert_false(backend->jit_compile(&here, func(1, params, bodies[n]), &opt, 0, NULL, &handle, &entry));
    assert_null(handle);
    assert_int_equal(diags_errors(here.diags), 1);
    assert_true(diags_have(here.diags, codes[n]));
    arena_free(a);
  }
}

static void test_header(void **state) {
  (void)state;
  const Buffer *in = buffer("x", DT_F16, BUF_INPUT, 5), *out = buffer("int", DT_BOOL, BUF_OUTPUT, 7);
  const Buffer *params[] = {in, out};
  const Func *funcs[] = {func(2, params, stmt_nop(&cx))};
  Text t = {.arena = cx.arena};
  llvm_header(&cx, funcs, 1, "a-b.h", &t);
  assert_non_null(strstr(t.data, "#ifndef TETC_A_B_H\n"));
  assert_non_null(strstr(t.data, "int kernel(\n    const uint16_t *x /* in: [5], IEEE half precision */,\n"
                                 "    _Bool *int_ /* out: [7] */);"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_add),        cmocka_unit_test(test_mixed),
                                     cmocka_unit_test(test_zero_split), cmocka_unit_test(test_device_failure),
                                     cmocka_unit_test(test_emit),       cmocka_unit_test(test_shared),
                                     cmocka_unit_test(test_refusals),   cmocka_unit_test(test_signature_limits),
                                     cmocka_unit_test(test_header)};
  return cmocka_run_group_tests(tests, start, finish);
}

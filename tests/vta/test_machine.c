// SPDX-License-Identifier: Apache-2.0
// The meaning of the VTA intrinsics for the interpreter, and the listing of a lowered function.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend_vta/vta.h"

#include <stdlib.h>
#include <string.h>

static Ctx cx;
static const VtaTarget *target;
static TirMachine *machine;

static int setup(void **state) {
  (void)state;
  cx.arena = arena_new();
  cx.names = names_new(cx.arena);
  cx.diags = diags_new(cx.arena);
  VtaConfig c = vta_config_default();
  target = vta_target_new(&cx, &c);
  machine = vta_machine_new(&cx, target, VTA_IN_ORDER);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  arena_free(cx.arena);
  return 0;
}

static const Buffer *buffer(const char *name, DType t, const Scope *s, BufferRole role, int64_t n) {
  Loc none = {0};
  return tir_buffer(&cx, name_of(cx.names, name), t, s, role, 1, &n, none);
}

static TirArg num(int64_t v) { return (TirArg){.value = v}; }
static TirArg ref(const Buffer *b, void *data, int64_t tile) {
  return (TirArg){.is_ref = true, .value = tile, .buffer = b, .data = data};
}

static const char *last_error;

// Tells a function of the machine of one execution of an intrinsic.
static bool tell(TirMachineFn *fn, VtaOp op, int n, const TirArg *a) {
  Stmt *s = NEW(cx.arena, Stmt); // may be executed later
  *s = (Stmt){.kind = STMT_INTRIN, .intrin = vta_op(target, op), .nargs = n};
  TirFault fault = {0};
  bool ok = fn(machine->self, s, a, &fault);
  last_error = fault.text;
  return ok;
}

static bool run(VtaOp op, int n, const TirArg *a) { return tell(machine->run, op, n, a); }

static void fails(VtaOp op, int n, const TirArg *a, const char *words) {
  if (run(op, n, a) || !last_error || !strstr(last_error, words))
    fail_msg("expected `%s`, got `%s`", words, last_error ? last_error : "success");
}

static void load_and_store(void **state) {
  (void)state;
  const Buffer *host = buffer("x", DT_I8, &scope_host, BUF_INPUT, 64),
               *out = buffer("y", DT_I8, &scope_host, BUF_OUTPUT, 64);
  const Buffer *acc = buffer("a", DT_I32, &target->acc, BUF_LOCAL, 16 * 16);
  int8_t x[64], y[64] = {0};
  int32_t a[16 * 16];
  for (int i = 0; i < 64; i++) x[i] = (int8_t)(i * 5 - 100);
  memset(a, 0x55, sizeof a);
  // two rows of one tile, widened, a tile of padding before each row, a padded row before
  TirArg load[9] = {ref(acc, a, 2), ref(host, x, 1), num(2), num(1), num(2), num(1), num(0), num(1), num(0)};
  assert_true(run(VTA_LOAD, 9, load));
  for (int t = 0; t < 16; t++)
    for (int l = 0; l < 16; l++) {
      int32_t expected = t < 2 || t >= 8 ? 0x55555555 : t == 5 ? x[16 + l] : t == 7 ? x[48 + l] : 0;
      assert_int_equal(a[t * 16 + l], expected);
    }
  a[5 * 16] = 300;
  TirArg store[5] = {ref(out, y, 1), ref(acc, a, 5), num(1), num(3), num(3)};
  assert_true(run(VTA_STORE, 5, store));
  assert_int_equal(y[16], 44);
  for (int l = 1; l < 16; l++) assert_int_equal(y[16 + l], x[16 + l]);
  assert_int_equal(y[32], 0);
  assert_int_equal(y[48 + 3], x[48 + 3]);
  TirArg zero[2] = {ref(acc, a, 0), num(3)};
  assert_true(run(VTA_ZERO, 2, zero));
  assert_int_equal(a[2 * 16 + 15], 0);
  load[3] = num(0); // x_size 0: nothing
  assert_true(run(VTA_LOAD, 9, load));
  // what leaves its buffer
  store[3] = num(4);
  fails(VTA_STORE, 5, store, "`y`");
  load[3] = num(3);
  fails(VTA_LOAD, 9, load, "`x`");
  load[3] = num(1), load[0] = ref(acc, a, 11);
  fails(VTA_LOAD, 9, load, "`a`, which has 16");
  load[0] = ref(acc, a, 2), load[5] = num(16);
  fails(VTA_LOAD, 9, load, "does not fit its field");
  zero[1] = num(17);
  fails(VTA_ZERO, 2, zero, "`a`");
}

static void arithmetic(void **state) {
  (void)state;
  const Buffer *acc = buffer("a", DT_I32, &target->acc, BUF_LOCAL, 4 * 16);
  const Buffer *inp = buffer("i", DT_I8, &target->inp, BUF_LOCAL, 16),
               *wgt = buffer("w", DT_I8, &target->wgt, BUF_LOCAL, 256);
  int32_t a[64];
  int8_t i[16], w[256];
  for (int k = 0; k < 64; k++) a[k] = k;
  for (int k = 0; k < 16; k++) i[k] = (int8_t)(k - 8);
  for (int k = 0; k < 256; k++) w[k] = (int8_t)(k * 3);
  TirArg gemm[3] = {ref(acc, a, 1), ref(inp, i, 0), ref(wgt, w, 0)};
  assert_true(run(VTA_GEMM, 3, gemm));
  for (int c = 0; c < 16; c++) {
    int sum = 16 + c;
    for (int k = 0; k < 16; k++) sum += i[k] * w[c * 16 + k];
    assert_int_equal(a[16 + c], sum);
  }
  TirArg one[2] = {ref(acc, a, 0), num(-2)}, two[2] = {ref(acc, a, 2), ref(acc, a, 3)};
  assert_true(run(VTA_SHR, 2, one)); // left by 2
  assert_int_equal(a[5], 20);
  assert_true(run(VTA_MUL, 2, two));
  assert_int_equal(a[33], 33 * 49);
  assert_true(run(VTA_MOV, 2, two));
  assert_int_equal(a[33], 49);
  assert_true(run(VTA_RESET, 1, two));
  assert_int_equal(a[33], 0);
  one[1] = num(40000);
  fails(VTA_MAX, 2, one, "16 bits");
  two[0] = ref(acc, a, 4);
  fails(VTA_ADD, 2, two, "`a`");
  gemm[1] = ref(acc, a, 0);
  fails(VTA_GEMM, 3, gemm, "vta.inp");
}

static void tokens(void **state) {
  (void)state;
  TirArg a[2] = {num(1), num(2)}, bad[2] = {num(1), num(3)};
  assert_true(run(VTA_POP, 2, a));
  fails(VTA_SYNC, 0, NULL, "compute waits for a token from load");
  machine = vta_machine_new(&cx, target, VTA_IN_ORDER);
  assert_true(run(VTA_PUSH, 2, a));
  fails(VTA_SYNC, 0, NULL, "1 token from load to compute is left over");
  assert_true(run(VTA_POP, 2, a));
  assert_true(run(VTA_SYNC, 0, NULL));
  fails(VTA_PUSH, 2, bad, "no token channel");
}

// A kernel with plain indices (FORM_CALLS) on the machine's own memories.
static void kernel(void **state) {
  (void)state;
  const Buffer *host = buffer("x", DT_I32, &scope_host, BUF_INPUT, 64),
               *out = buffer("y", DT_I8, &scope_host, BUF_OUTPUT, 64);
  int32_t x[64];
  int8_t y[64] = {0};
  for (int i = 0; i < 64; i++) x[i] = i;
  TirArg load[10] = {ref(host, x, 0), num(1), num(4), num(4), num(0), num(0), num(0), num(0), num(100), num(MEM_ACC)};
  assert_true(run(VTA_LOAD_CALL, 10, load));
  TirArg args[10] = {num(VTA_ADD), num(2), num(1), num(2), num(0), num(0), num(0), num(0), num(0), num(5)};
  TirArg uop[3] = {num(101), num(0), num(0)};
  assert_true(tell(machine->enter, VTA_KERNEL, 10, args));
  assert_true(run(VTA_UOP, 1, uop));
  assert_true(tell(machine->leave, VTA_KERNEL, 10, args));
  TirArg store[6] = {ref(out, y, 0), num(1), num(4), num(4), num(100), num(MEM_OUT)};
  assert_true(run(VTA_STORE_CALL, 6, store));
  for (int i = 0; i < 64; i++) assert_int_equal(y[i], i + (i / 16 % 2 ? 5 : 0));
  fails(VTA_UOP, 3, uop, "outside of a kernel");
  args[ARG_KERNEL_LOOPS] = num(2000);
  assert_true(tell(machine->enter, VTA_KERNEL, 10, args));
  assert_true(run(VTA_UOP, 1, uop));
  assert_false(tell(machine->leave, VTA_KERNEL, 10, args)); // 101 + 2 * 1999 is out of range
  args[0] = num(VTA_GEMM);                                  // no immediate
  assert_false(tell(machine->enter, VTA_KERNEL, 10, args));
  args[0] = num(VTA_MOV); // no micro-op
  assert_false(tell(machine->enter, VTA_KERNEL, 9, args));
  args[0] = num(VTA_GEMM); // whose micro-ops have three operands
  assert_true(tell(machine->enter, VTA_KERNEL, 9, args));
  fails(VTA_UOP, 2, uop, "a micro-op of 2 operands in a kernel of vta.gemm");
  assert_true(tell(machine->leave, VTA_KERNEL, 9, args));
  TirArg zero[3] = {num(2049), num(0), num(MEM_ACC)};
  fails(VTA_ZERO_CALL, 3, zero, "vta.acc");
}

// ---- the listing ----------------------------------------------------------------------------------------------------

static const Stmt *call(VtaOp op, const Stmt *body, int n, const int64_t *v, const Expr *first) {
  const Expr *args[12];
  int at = 0;
  if (first) args[at++] = first;
  for (int i = 0; i < n; i++) args[at++] = expr_index(&cx, v[i]);
  return stmt_intrin(&cx, vta_op(target, op), at, args, body);
}
#define INTS(...) \
  (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

// for i in 0..2: load tile i, zero one, add the two, store; with tokens.
static Func *sample(void) {
  Loc none = {0};
  const Buffer *params[2] = {buffer("x", DT_I8, &scope_host, BUF_INPUT, 32),
                             buffer("y", DT_I8, &scope_host, BUF_OUTPUT, 32)};
  const Var *i = tir_var(&cx, name_of(cx.names, "i"), none);
  const Expr *x = expr_ref(&cx, params[0], expr_var(&cx, i)), *y = expr_ref(&cx, params[1], expr_var(&cx, i));
  const Stmt *body[] = {
      call(VTA_LOAD_CALL, NULL, INTS(1, 1, 1, 0, 0, 0, 0, 4, MEM_ACC8), x),
      call(VTA_ZERO_CALL, NULL, INTS(2, 5, MEM_ACC), NULL),
      call(VTA_KERNEL, call(VTA_UOP, NULL, INTS(4, 5), NULL), INTS(VTA_ADD, 1, 1, 0, 0, 0, 0, 0, 0), NULL),
      call(VTA_PUSH, NULL, INTS(2, 3), NULL),
      call(VTA_POP, NULL, INTS(2, 3), NULL),
      call(VTA_STORE_CALL, NULL, INTS(1, 1, 1, 4, MEM_OUT), y),
      call(VTA_PUSH, NULL, INTS(3, 2), NULL),
      call(VTA_POP, NULL, INTS(3, 2), NULL)};
  const Stmt *loop = stmt_for(&cx, i, expr_index(&cx, 0), expr_index(&cx, 2), FOR_SERIAL, stmt_seq(&cx, 8, body));
  Func *f = NEW(cx.arena, Func);
  f->name = name_of(cx.names, "sample");
  f->nparams = 2;
  f->params = arena_copy(cx.arena, params, sizeof params);
  f->target = &target->tir;
  f->body = stmt_seq2(&cx, loop, call(VTA_SYNC, NULL, 0, NULL, NULL));
  return f;
}

static void listing(void **state) {
  (void)state;
  static const char expected[] = "; sample: 13 instructions in 1 launch; `<` is the previous unit, `>` the next\n"
                                 "      0  compute  load.acc8 sram=4 dram=256 y=1 x=1 stride=1  ; x tile 0\n"
                                 "      1  compute  load.acc sram=5 dram=192 y=2 x=1 stride=0\n"
                                 "      2  compute  load.uop sram=0 dram=4096 y=1 x=1 stride=1\n"
                                 "                  ; uop 0: dst=4 src=5 wgt=0\n"
                                 "      3  compute  alu.add uop=[0,1) out=1 in=1 dst=(0,0) src=(0,0) push>\n"
                                 "      4  store    store.out sram=4 dram=512 y=1 x=1 stride=1 pop< push<  ; y tile 0\n"
                                 "      5  compute  load.acc8 sram=4 dram=257 y=1 x=1 stride=1 pop>  ; x tile 1\n"
                                 "      6  compute  load.acc sram=5 dram=192 y=2 x=1 stride=0\n"
                                 "      7  compute  alu.add uop=[0,1) out=1 in=1 dst=(0,0) src=(0,0) push>\n"
                                 "      8  store    store.out sram=4 dram=513 y=1 x=1 stride=1 pop< push<  ; y tile 1\n"
                                 "      9  compute  load.uop nothing pop>\n"
                                 "     10  store    store.uop nothing push<\n"
                                 "     11  compute  load.uop nothing pop>\n"
                                 "     12  compute  finish\n";
  Text out = {.arena = cx.arena};
  assert_true(vta_listing(&cx, sample(), &out));
  assert_string_equal(out.data, expected);
}

// The same as an object: instructions with the statements and the host's tiles that they are made for.
static void stream(void **state) {
  (void)state;
  Func *f = sample();
  VtaStream s;
  VtaStreamFault fault;
  assert_true(vta_stream_new(&cx, f, &s, &fault));
  assert_int_equal(s.n, 13);
  assert_int_equal(s.launches, 1);
  for (size_t i = 0; i < s.n; i++) assert_true(s.insns[i].legal);
  assert_ptr_equal(s.insns[5].host, f->params[0]);
  assert_int_equal(s.insns[5].tile, 1);
  assert_true(is_vta(s.insns[5].from->intrin, VTA_LOAD_CALL));
  assert_null(s.insns[1].host); // zeros
  assert_true(is_vta(s.insns[1].from->intrin, VTA_ZERO_CALL));
  assert_int_equal(s.insns[2].nuops, 1);
  assert_int_equal(s.insns[2].uops[0].src, 5);
  assert_ptr_equal(s.insns[8].host, f->params[1]);
  f->body = call(VTA_UOP, NULL, INTS(0), NULL);
  assert_false(vta_stream_new(&cx, f, &s, &fault));
  assert_int_equal(fault.code, E_RUN);
}

// A stream without its tokens is found out, at its statements.
static void stream_check(void **state) {
  (void)state;
  Func *f = sample();
  assert_true(vta_check_stream(&cx, f));
  static const char text[] = "load\nadd\nstore\n";
  const Source *src = source_new(cx.arena, "k.te", text, sizeof text - 1);
  const Stmt *loop = f->body->children[0], *seq = loop->body, *kept[8];
  Loc lines[8], none = {0};
  for (uint32_t i = 0; i < 8; i++)
    lines[i] = (Loc){src, i == 2 ? 2 : i == 5 ? 3 : 1, 1, i == 2 ? 2 : i == 5 ? 3 : 1, 4};
  int n = 0;
  for (int i = 0; i < 8; i++)
    if (i != 3 && i != 4) kept[n++] = stmt_placed(&cx, seq->children[i], lines[i], none); // neither push nor pop
  f->body = stmt_seq2(&cx, stmt_seq(&cx, n, kept), f->body->children[1]);
  TirSubst subst = {.nvars = 1, .vars = (const Var *[]){loop->var}, .values = (const Expr *[]){expr_index(&cx, 1)}};
  f->body = stmt_subst(&cx, f->body, &subst);
  assert_false(vta_check_stream(&cx, f));
  char *out = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&out, &size);
  diags_print(cx.diags, file, DIAG_TEXT, NULL);
  fclose(file);
  assert_non_null(strstr(out, "`store.out sram=4 dram=513 y=1 x=1 stride=1 push<` reads acc[4]"));
  assert_non_null(strstr(out, "k.te:3:1"));
  assert_non_null(strstr(out, "the earlier access is made for this"));
  free(out);
}

// A function that cannot be listed says why, and nothing is left selected.
static void listing_refused(void **state) {
  (void)state;
  Text out = {.arena = cx.arena};
  Func *f = sample();
  f->body = call(VTA_LOAD_CALL, NULL, INTS(1, 1, 1, 0, 0, 0, 0, 2048, MEM_ACC),
                 expr_ref(&cx, f->params[0], expr_index(&cx, 0)));
  assert_false(vta_listing(&cx, f, &out));
  assert_int_equal(diags_errors(cx.diags), 1);
  f->body = call(VTA_UOP, NULL, INTS(0, 0, 0), NULL);
  assert_false(vta_listing(&cx, f, &out));
  Func host = {.name = f->name};
  assert_true(vta_listing(&cx, &host, &out));
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
  const struct CMUnitTest tests[] = {TEST(load_and_store), TEST(arithmetic), TEST(tokens),       TEST(kernel),
                                     TEST(listing),        TEST(stream),     TEST(stream_check), TEST(listing_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

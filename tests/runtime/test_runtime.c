// SPDX-License-Identifier: Apache-2.0
// The runtime through its C interface: transfers, kernels, tokens, errors and what they leave behind, long streams.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static TetcRuntime *rt;
static VTACommandHandle cmd;

static int open_fsim(void **state) {
  (void)state;
  VtaConfig c = vta_config_default();
  rt = tetc_runtime_new(tetc_fsim_new(&c));
  if (!rt) return -1;
  tetc_runtime_select(rt);
  tetc_runtime_check(rt, true);
  cmd = VTATLSCommandHandle();
  return cmd == rt ? 0 : -1;
}

static int open_record(void **state) {
  (void)state;
  VtaConfig c = vta_config_default();
  rt = tetc_runtime_new(tetc_record_new(&c));
  tetc_runtime_select(rt);
  cmd = VTATLSCommandHandle();
  return rt ? 0 : -1;
}

static int close_runtime(void **state) {
  (void)state;
  tetc_runtime_free(rt);
  return 0;
}

static void *buffer_of(const void *data, size_t bytes) {
  void *b = VTABufferAlloc(bytes);
  assert_non_null(b);
  if (data) VTABufferCopy(data, 0, b, 0, bytes, VTA_MEMCPY_H2D);
  return b;
}

static void ok(void) {
  if (tetc_runtime_error(rt)) fail_msg("%s", tetc_runtime_error(rt));
}

static void assert_error(const char *words) {
  const char *e = tetc_runtime_error(rt);
  if (!e || !strstr(e, words)) fail_msg("expected `%s`, got `%s`", words, e ? e : "no error");
  tetc_runtime_reset(rt);
}

static int32_t *acc_tile(uint32_t n) { return (int32_t *)tetc_fsim_sram(tetc_runtime_device(rt), MEM_ACC) + 16 * n; }

// ---- kernels to push ------------------------------------------------------------------------------------------------

// A kernel of one kind of micro-op.
typedef struct Kernel {
  uint32_t mode, reset, opcode, use_imm;
  int32_t imm;
  int nloops, count;
  uint32_t loops[3][4]; // extent, dst, src, wgt
  uint32_t uops[4][3];  // dst, src, wgt
} Kernel;

static int describe(void *self) {
  const Kernel *k = self;
  for (int i = 0; i < k->nloops; i++) VTAUopLoopBegin(k->loops[i][0], k->loops[i][1], k->loops[i][2], k->loops[i][3]);
  for (int i = 0; i < k->count; i++)
    VTAUopPush(k->mode, k->reset, k->uops[i][0], k->uops[i][1], k->uops[i][2], k->opcode, k->use_imm, k->imm);
  for (int i = 0; i < k->nloops; i++) VTAUopLoopEnd();
  return 0;
}

static int push(Kernel k) {
  return k.mode ? VTAPushALUOp(NULL, describe, &k, 0) : VTAPushGEMMOp(NULL, describe, &k, 0);
}

static Kernel alu_imm(VtaAluOp op, int32_t imm, uint32_t dst) {
  return (Kernel){.mode = 1, .opcode = op, .use_imm = 1, .imm = imm, .count = 1, .uops = {{dst, 0, 0}}};
}

static Kernel alu_reg(VtaAluOp op, uint32_t dst, uint32_t src) {
  return (Kernel){.mode = 1, .opcode = op, .count = 1, .uops = {{dst, src, 0}}};
}

static void load_acc(void *b, uint32_t offset, uint32_t sram, uint32_t n) {
  VTALoadBuffer2D(cmd, b, offset, n, 1, n, 0, 0, 0, 0, sram, MEM_ACC);
}

// ---- transfers ------------------------------------------------------------------------------------------------------

// Loads, pads and stores that go through every branch of section 6 and 7.
static void transfers(void **state) {
  (void)state;
  int32_t data[8 * 16];
  int8_t small[8 * 16], back[16 * 16];
  for (int i = 0; i < 8 * 16; i++) data[i] = i * 1000 - 60000, small[i] = (int8_t)(i * 7);
  void *a = buffer_of(data, sizeof data), *s = buffer_of(small, sizeof small), *o = buffer_of(NULL, sizeof back);
  for (int i = 0; i < 64 * 16; i++) acc_tile(0)[i] = -1;
  // 2 rows of 2 of a 4-wide tensor, padded by 1 before and 2 after in x, 1 row before: 3 x 5 tiles
  VTALoadBuffer2D(cmd, a, 1, 2, 2, 4, 1, 1, 2, 0, 10, MEM_ACC);
  VTALoadBuffer2D(cmd, s, 0, 8, 1, 8, 0, 0, 0, 0, 40, MEM_ACC8);
  VTALoadBuffer2D(cmd, a, 7, 1, 3, 0, 0, 0, 0, 0, 60, MEM_ACC); // stride 0: the same tile three times
  VTALoadBuffer2D(cmd, a, 0, 0, 5, 0, 3, 3, 3, 3, 0, MEM_ACC);  // x_size 0: nothing, not even padding
  VTALoadBuffer2D(cmd, a, 0, 3, 0, 0, 0, 1, 0, 1, 50, MEM_ACC); // y_size 0: only padded rows
  VTADepPush(cmd, 2, 3);
  VTADepPop(cmd, 2, 3);
  VTAStoreBuffer2D(cmd, 40, MEM_OUT, o, 1, 2, 3, 5);
  VTASynchronize(cmd, 0);
  ok();
  assert_int_equal(acc_tile(0)[0], -1);
  for (uint32_t r = 0; r < 3; r++)
    for (uint32_t c = 0; c < 5; c++)
      for (uint32_t l = 0; l < 16; l++) {
        bool pad = r == 0 || c == 0 || c > 2;
        assert_int_equal(acc_tile(10 + r * 5 + c)[l], pad ? 0 : data[(1 + (r - 1) * 4 + c - 1) * 16 + l]);
      }
  for (uint32_t l = 0; l < 8 * 16; l++) assert_int_equal(acc_tile(40)[l], small[l]);
  for (uint32_t l = 0; l < 3 * 16; l++) assert_int_equal(acc_tile(60)[l], data[7 * 16 + l % 16]);
  for (uint32_t l = 0; l < 6 * 16; l++) assert_int_equal(acc_tile(50)[l], 0);
  assert_int_equal(acc_tile(56)[0], -1);
  VTABufferCopy(o, 0, back, 0, sizeof back, VTA_MEMCPY_D2H);
  for (int t = 0; t < 16; t++)
    for (int l = 0; l < 16; l++) {
      int y = (t - 1) / 5, x = (t - 1) % 5;
      bool stored = t > 0 && y < 3 && x < 2;
      assert_int_equal(back[t * 16 + l], stored ? small[(y * 2 + x) * 16 + l] : 0);
    }
  VTABufferFree(a), VTABufferFree(s), VTABufferFree(o);
}

// Stores keep the low 8 bits.
static void store_wraps(void **state) {
  (void)state;
  int32_t data[16] = {0, 127, 128, 255, 256, -1, -128, -129, 1 << 30, 0x7FFFFF80, -256, 383, 5, 6, 7, 8};
  int8_t back[16];
  void *a = buffer_of(data, sizeof data), *o = buffer_of(NULL, 16);
  load_acc(a, 0, 3, 1);
  VTADepPush(cmd, 2, 3);
  VTADepPop(cmd, 2, 3);
  VTAStoreBuffer2D(cmd, 3, MEM_OUT, o, 0, 1, 1, 1);
  VTASynchronize(cmd, 0);
  ok();
  memcpy(back, VTABufferCPUPtr(cmd, o), 16);
  for (int l = 0; l < 16; l++) assert_int_equal(back[l], (int8_t)(uint8_t)data[l]);
  VTABufferFree(a), VTABufferFree(o);
}

static void alu_operations(void **state) {
  (void)state;
  int32_t x[16] = {0, 1, -1, INT32_MAX, INT32_MIN, 1000, -1000, 5, 1 << 20, -(1 << 20), 77, -77, 3, 4, 5, 6};
  int32_t y[16] = {0, 31, 31, 2, -1, -3, 3, 32, -32, 33, -33, -31, INT32_MIN, INT32_MAX, 100, -100};
  for (int op = ALU_MIN; op <= ALU_MUL; op++) {
    int32_t both[32];
    memcpy(both, x, sizeof x);
    memcpy(both + 16, y, sizeof y);
    void *b = buffer_of(both, sizeof both);
    load_acc(b, 0, 0, 2);
    load_acc(b, 0, 2, 1);
    assert_int_equal(push(alu_reg((VtaAluOp)op, 0, 1)), 0);
    assert_int_equal(push(alu_imm((VtaAluOp)op, -5, 2)), 0);
    VTASynchronize(cmd, 0);
    ok();
    for (int l = 0; l < 16; l++) {
      const int64_t ys[2] = {y[l], -5};
      for (int k = 0; k < 2; k++) {
        int64_t v = ys[k], right = v & 31, left = -v & 31;
        int64_t shifted = v >= 0 ? x[l] >> right : (int64_t)(int32_t)((uint32_t)x[l] << left);
        const int64_t expected[] = {x[l] < v ? x[l] : v, x[l] > v ? x[l] : v, (int32_t)(uint32_t)(x[l] + v), shifted,
                                    (int32_t)(uint32_t)((uint64_t)x[l] * (uint64_t)v)};
        assert_int_equal(acc_tile(k ? 2 : 0)[l], expected[op]);
      }
    }
    VTABufferFree(b);
  }
}

// A micro-op that reads what the one before wrote: exact, in order, in a kernel and across its loops.
static void alu_chain(void **state) {
  (void)state;
  int32_t one[16];
  for (int l = 0; l < 16; l++) one[l] = l + 1;
  void *b = buffer_of(one, sizeof one);
  load_acc(b, 0, 0, 1);
  load_acc(b, 0, 1, 1);
  // fibonacci: t0 += t1; t1 += t0, three times over
  push((Kernel){
      .mode = 1, .opcode = ALU_ADD, .nloops = 1, .count = 2, .loops = {{3, 0, 0, 0}}, .uops = {{0, 1, 0}, {1, 0, 0}}});
  push(alu_reg(ALU_ADD, 0, 0)); // x + x
  VTASynchronize(cmd, 0);
  ok();
  for (int l = 0; l < 16; l++) assert_int_equal(acc_tile(0)[l], 2 * 13 * (l + 1));
  for (int l = 0; l < 16; l++) assert_int_equal(acc_tile(1)[l], 21 * (l + 1));
  VTABufferFree(b);
}

// ---- a whole product ------------------------------------------------------------------------------------------------

// out[4][16] = inp[4][32] * wgt[16][32]^T with tokens between the units, twice over the same tiles.
static void gemm_with_tokens(void **state) {
  (void)state;
  int8_t inp[4 * 2 * 16], wgt[2 * 256], out[4 * 16];
  for (size_t i = 0; i < sizeof inp; i++) inp[i] = (int8_t)(i * 37 + 11);
  for (size_t i = 0; i < sizeof wgt; i++) wgt[i] = (int8_t)(i * 53 + 3);
  inp[5] = -128, wgt[5] = -128;
  void *a = buffer_of(inp, sizeof inp), *w = buffer_of(wgt, sizeof wgt), *o = buffer_of(NULL, sizeof out);
  for (int round = 0; round < 2; round++) {
    if (round) VTADepPop(cmd, 2, 1);
    VTALoadBuffer2D(cmd, a, 0, 8, 1, 8, 0, 0, 0, 0, 0, MEM_INP);
    VTALoadBuffer2D(cmd, w, 0, 2, 1, 2, 0, 0, 0, 0, 0, MEM_WGT);
    VTADepPush(cmd, 1, 2);
    VTADepPop(cmd, 1, 2);
    if (round) VTADepPop(cmd, 3, 2);
    push((Kernel){.reset = 1, .nloops = 1, .count = 1, .loops = {{4, 1, 0, 0}}});
    push((Kernel){.nloops = 2, .count = 1, .loops = {{4, 1, 2, 0}, {2, 0, 1, 1}}});
    if (!round) VTADepPush(cmd, 2, 1);
    VTADepPush(cmd, 2, 3);
    VTADepPop(cmd, 2, 3);
    VTAStoreBuffer2D(cmd, 0, MEM_OUT, o, 0, 4, 1, 4);
    if (!round) VTADepPush(cmd, 3, 2);
  }
  VTASynchronize(cmd, 0);
  ok();
  VTABufferCopy(o, 0, out, 0, sizeof out, VTA_MEMCPY_D2H);
  for (int m = 0; m < 4; m++)
    for (int n = 0; n < 16; n++) {
      int sum = 0;
      for (int k = 0; k < 32; k++) sum += inp[m * 32 + k] * wgt[k / 16 * 256 + n * 16 + k % 16];
      assert_int_equal(out[m * 16 + n], (int8_t)(uint8_t)sum);
    }
  const TetcStats *s = tetc_runtime_stats(rt);
  assert_int_equal(s->launches, 1);
  assert_int_equal(s->loads[MEM_INP], 2);
  assert_int_equal(s->load_bytes[MEM_INP], 2 * 8 * 16);
  assert_int_equal(s->load_bytes[MEM_WGT], 2 * 2 * 256);
  assert_int_equal(s->loads[MEM_UOP], 1); // the reset and the product share their micro-op
  assert_int_equal(s->gemm_uops, 16);
  assert_int_equal(s->reset_uops, 8);
  assert_int_equal(s->macs, 16 * 256);
  assert_int_equal(s->store_bytes, 2 * 64);
  VTABufferFree(a), VTABufferFree(w), VTABufferFree(o);
}

// ---- micro-op kernels -----------------------------------------------------------------------------------------------

// Upstream caches by call site and signature; here the same call site with the same signature may describe anything.
static void kernels_by_content(void **state) {
  (void)state;
  void *handle = (void *)(uintptr_t)1234;
  int signature = 7;
  (void)signature;
  memset(acc_tile(0), 0, 8 * 64);
  for (int n = 0; n < 6; n++) {
    Kernel k = alu_imm(ALU_ADD, n + 1, (uint32_t)n % 3);
    assert_int_equal(VTAPushALUOp(&handle, describe, &k, 4), 0);
  }
  VTASynchronize(cmd, 0);
  ok();
  assert_ptr_equal(handle, (void *)(uintptr_t)1234);
  assert_int_equal(acc_tile(0)[0], 1 + 4);
  assert_int_equal(acc_tile(1)[0], 2 + 5);
  assert_int_equal(acc_tile(2)[0], 3 + 6);
  assert_int_equal(tetc_runtime_stats(rt)->loads[MEM_UOP], 3);
  tetc_runtime_clear_stats(rt);
  push(alu_imm(ALU_ADD, 1, 1));
  VTASynchronize(cmd, 0);
  assert_int_equal(tetc_runtime_stats(rt)->loads[MEM_UOP], 0); // still on chip
}

typedef struct Wide {
  uint32_t count, first;
} Wide;

static int describe_wide(void *self) {
  const Wide *w = self;
  for (uint32_t k = 0; k < w->count; k++) VTAUopPush(1, 0, (w->first + k) % 2048, 0, 0, ALU_ADD, 1, 1);
  return 0;
}

// More micro-ops than the buffer holds: the ring wraps, kernels come and go, every one runs with its own.
static void uop_ring(void **state) {
  (void)state;
  static uint32_t expected[2048];
  uint32_t seed = 1;
  memset(expected, 0, sizeof expected);
  memset(acc_tile(0), 0, 2048 * 64);
  for (int n = 0; n < 400; n++) {
    seed = seed * 1664525u + 1013904223u;
    Wide w = {1 + (seed >> 8) % (n % 7 == 0 ? 8192 : 900), (seed >> 20) % 40 * 16};
    static const uint32_t edges[] = {8192, 1, 8192, 8191, 1, 8191, 2, 4096, 4096, 1, 4096, 4095, 8192}; // exact fits
    if (n < 13) w.count = edges[n];
    assert_int_equal(VTAPushALUOp(NULL, describe_wide, &w, 0), 0);
    for (uint32_t k = 0; k < w.count; k++) expected[(w.first + k) % 2048]++;
    if (n % 50 == 0) VTASynchronize(cmd, 0);
  }
  VTASynchronize(cmd, 0);
  ok();
  for (uint32_t t = 0; t < 2048; t++) assert_int_equal(acc_tile(t)[15], expected[t]);
  Wide w = {8193, 0};
  assert_int_equal(VTAPushALUOp(NULL, describe_wide, &w, 0), -1);
  assert_error("8193 micro-ops");
}

static int describe_failing(void *self) {
  (void)self;
  return 3;
}

static int describe_unended(void *self) {
  (void)self;
  VTAUopLoopBegin(2, 0, 0, 0);
  return 0;
}

static int describe_mixed(void *self) {
  (void)self;
  VTAUopPush(1, 0, 0, 0, 0, ALU_ADD, 1, 1);
  VTAUopPush(1, 0, 0, 0, 0, ALU_ADD, 1, 2);
  return 0;
}

static int describe_nested(void *self) {
  VTAPushALUOp(NULL, describe_mixed, self, 0);
  return 0;
}

static void bad_kernels(void **state) {
  (void)state;
  const struct {
    Kernel k;
    const char *words;
  } cases[] = {
      {{.count = 1, .uops = {{2048, 0, 0}}}, "outside"},
      {{.count = 1, .uops = {{0, 2048, 0}}}, "outside"},
      {{.count = 1, .uops = {{0, 0, 1024}}}, "outside"},
      {{.nloops = 1, .count = 1, .loops = {{2, 1, 0, 0}}, .uops = {{2047, 0, 0}}}, "destination"},
      {{.nloops = 1, .count = 1, .loops = {{3, 0, 1024, 0}}}, "source"},
      {{.nloops = 2, .count = 1, .loops = {{3, 0, 0, 256}, {3, 0, 0, 256}}}, "weight"},
      {{.nloops = 1, .count = 1, .loops = {{16384, 0, 0, 0}}}, "16383"},
      {{.nloops = 3, .count = 1, .loops = {{2, 0, 0, 0}, {2, 0, 0, 0}, {2, 0, 0, 0}}}, "two loops"},
      {{.mode = 1, .opcode = 5, .count = 1}, "does not exist"},
      {{.mode = 1, .opcode = ALU_ADD, .use_imm = 1, .imm = 40000, .count = 1}, "16 bits"},
  };
  for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
    assert_int_not_equal(push(cases[n].k), 0);
    assert_error(cases[n].words);
  }
  assert_int_not_equal(VTAPushALUOp(NULL, describe_failing, NULL, 0), 0);
  assert_error("status 3");
  assert_int_not_equal(VTAPushALUOp(NULL, describe_unended, NULL, 0), 0);
  assert_error("not ended");
  assert_int_not_equal(VTAPushALUOp(NULL, describe_mixed, NULL, 0), 0);
  assert_error("differ");
  assert_int_not_equal(VTAPushALUOp(NULL, describe_nested, NULL, 0), 0);
  assert_error("while another");
  Kernel k = alu_imm(ALU_ADD, 1, 0);
  assert_int_not_equal(VTAPushGEMMOp(NULL, describe, &k, 0), 0);
  assert_error("GEMM kernel");
  VTAUopPush(0, 0, 0, 0, 0, 0, 0, 0);
  assert_error("outside of a kernel");
  VTAUopLoopEnd();
  assert_error("outside of a kernel");
  // nothing to do is no error
  assert_int_equal(push((Kernel){.nloops = 1, .count = 1, .loops = {{0, 1, 1, 1}}}), 0);
  assert_int_equal(push((Kernel){.count = 0}), 0);
  VTASynchronize(cmd, 0);
  ok();
}

// ---- errors ---------------------------------------------------------------------------------------------------------

static void bad_transfers(void **state) {
  (void)state;
  void *b = buffer_of(NULL, 64 * 10);
  const struct {
    uint32_t offset, x, y, stride, px0, py0, px1, py1, sram, memory;
    const char *words;
  } cases[] = {
      {0, 1, 1, 1, 0, 0, 0, 0, 0, 4, "does not exist"},  {0, 1, 1, 1, 0, 0, 0, 0, 0, 6, "does not exist"},
      {0, 65536, 1, 1, 0, 0, 0, 0, 0, MEM_ACC, "field"}, {0, 1, 65536, 0, 0, 0, 0, 0, 0, MEM_ACC, "field"},
      {0, 1, 2, 65536, 0, 0, 0, 0, 0, MEM_ACC, "field"}, {0, 1, 1, 1, 16, 0, 0, 0, 0, MEM_ACC, "field"},
      {0, 1, 1, 1, 0, 0, 0, 16, 0, MEM_ACC, "field"},    {0, 2, 1, 2, 0, 0, 0, 0, 2047, MEM_ACC, "leave"},
      {0, 1, 1, 2, 0, 1, 0, 0, 2047, MEM_INP, "leave"},  {0, 1, 1, 2, 0, 0, 0, 0, 70000, MEM_INP, "field"},
      {10, 1, 1, 1, 0, 0, 0, 0, 0, MEM_ACC, "holds 10"}, {0, 4, 3, 4, 0, 0, 0, 0, 0, MEM_ACC, "holds 10"},
      {3, 1, 1, 1, 0, 0, 0, 0, 0, MEM_WGT, "holds 2"},   {UINT32_MAX, 1, 1, 1, 0, 0, 0, 0, 0, MEM_ACC, "holds 10"},
  };
  for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
    VTALoadBuffer2D(cmd, b, cases[n].offset, cases[n].x, cases[n].y, cases[n].stride, cases[n].px0, cases[n].py0,
                    cases[n].px1, cases[n].py1, cases[n].sram, cases[n].memory);
    assert_error(cases[n].words);
  }
  VTAStoreBuffer2D(cmd, 0, MEM_ACC, b, 0, 1, 1, 1);
  assert_error("only OUT");
  VTAStoreBuffer2D(cmd, 2047, MEM_OUT, b, 0, 2, 1, 2);
  assert_error("leave");
  VTAStoreBuffer2D(cmd, 0, MEM_OUT, b, 40, 1, 1, 1);
  assert_error("holds 40");
  uint64_t stray[8] = {0};
  VTALoadBuffer2D(cmd, stray, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_ACC);
  assert_error("not a device buffer");
  VTALoadBuffer2D(cmd, NULL, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_ACC);
  assert_error("not a device buffer");
  assert_null(VTABufferCPUPtr(cmd, stray));
  assert_error("not a device buffer");
  char bytes[16];
  VTABufferCopy(b, 630, bytes, 0, 16, VTA_MEMCPY_D2H);
  assert_error("leaves its buffer");
  VTABufferCopy(bytes, 0, b, SIZE_MAX, 16, VTA_MEMCPY_H2D);
  assert_error("leaves its buffer");
  assert_null(VTABufferAlloc((size_t)1 << 40));
  assert_error("no device memory");
  assert_int_not_equal(VTADepPush(cmd, 1, 3), 0);
  assert_error("no token channel");
  assert_int_not_equal(VTADepPop(cmd, 0, 9), 0);
  assert_error("no token channel");
  VTABufferFree(b);
}

// A buffer of one runtime in the stream of another.
static void foreign_buffer(void **state) {
  (void)state;
  void *b = buffer_of(NULL, 64);
  VtaConfig c = vta_config_default();
  TetcRuntime *other = tetc_runtime_new(tetc_fsim_new(&c));
  VTALoadBuffer2D(other, b, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_ACC);
  assert_non_null(strstr(tetc_runtime_error(other), "another runtime"));
  tetc_runtime_select(other);
  void *late = VTABufferAlloc(100);
  assert_null(late); // after an error nothing is done
  tetc_runtime_reset(other);
  late = VTABufferAlloc(100);
  uint8_t *host = VTABufferCPUPtr(other, late);
  tetc_runtime_free(other);
  host[99] = 1; // a buffer outlives its runtime
  VTABufferFree(late);
  tetc_runtime_select(rt);
  VTABufferFree(b);
}

// Half a kernel, then an error: the next kernel sees none of it.
static void nothing_stale(void **state) {
  (void)state;
  memset(acc_tile(0), 0, 64);
  push(alu_imm(ALU_ADD, 100, 0));
  VTADepPush(cmd, 2, 3);
  VTADepPop(cmd, 2, 1);
  VTAStoreBuffer2D(cmd, 0, MEM_ACC, NULL, 0, 1, 1, 1); // wrong
  push(alu_imm(ALU_ADD, 10, 0));                       // does nothing any more
  VTASynchronize(cmd, 0);
  assert_int_equal(acc_tile(0)[0], 0);
  assert_error("only OUT");
  push(alu_imm(ALU_ADD, 1, 0));
  VTASynchronize(cmd, 0);
  ok();
  assert_int_equal(acc_tile(0)[0], 1);
  // the same after an error on the device
  VTADepPop(cmd, 1, 2);
  push(alu_imm(ALU_ADD, 10, 0));
  VTASynchronize(cmd, 0);
  assert_error("deadlock: ");
  memset(acc_tile(0), 0, 64); // what it had run before it stopped has happened
  push(alu_imm(ALU_ADD, 1, 0));
  VTASynchronize(cmd, 0);
  ok();
  assert_int_equal(acc_tile(0)[0], 1);
}

static void left_over(void **state) {
  (void)state;
  push(alu_imm(ALU_ADD, 1, 0));
  VTADepPush(cmd, 2, 3);
  VTASynchronize(cmd, 0);
  assert_error("1 token from compute to store left over, the last one given by #1 `alu.add");
  VTASynchronize(cmd, 0); // nothing queued
  ok();
}

// ---- hazards --------------------------------------------------------------------------------------------------------

static void hazards(void **state) {
  (void)state;
  void *a = buffer_of(NULL, 4096), *w = buffer_of(NULL, 4096), *o = buffer_of(NULL, 4096);
  Kernel gemm = {.count = 1};
  // read after write: the product does not wait for the input
  VTALoadBuffer2D(cmd, a, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_INP);
  push(gemm);
  VTASynchronize(cmd, 0);
  assert_error(
      "`gemm uop=[0,1) out=1 in=1 dst=(0,0) src=(0,0) wgt=(0,0)` reads inp[0], and no token orders it after #0 "
      "`load.inp");
  // write after read: the second load does not wait for the product
  VTALoadBuffer2D(cmd, w, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_WGT);
  VTADepPush(cmd, 1, 2);
  VTADepPop(cmd, 1, 2);
  push(gemm);
  VTALoadBuffer2D(cmd, w, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_WGT);
  VTASynchronize(cmd, 0);
  assert_error("wgt[0]");
  // the store does not wait for the result; through DRAM: a load does not wait for the store
  push(alu_imm(ALU_ADD, 1, 3));
  VTAStoreBuffer2D(cmd, 3, MEM_OUT, o, 0, 1, 1, 1);
  VTASynchronize(cmd, 0);
  assert_error("acc[3]");
  VTAStoreBuffer2D(cmd, 3, MEM_OUT, o, 0, 1, 1, 1);
  VTALoadBuffer2D(cmd, o, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_INP);
  VTASynchronize(cmd, 0);
  assert_error("DRAM byte");
  // a token too early orders nothing
  VTADepPush(cmd, 2, 3);
  VTADepPop(cmd, 2, 3);
  VTAStoreBuffer2D(cmd, 5, MEM_OUT, o, 0, 1, 1, 1);
  push(alu_imm(ALU_ADD, 1, 5));
  VTASynchronize(cmd, 0);
  assert_error("acc[5]");
  // transitive: load -> compute -> store -> compute -> load is an order
  VTALoadBuffer2D(cmd, o, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_INP);
  VTADepPush(cmd, 1, 2);
  VTADepPop(cmd, 1, 2);
  push(gemm);
  VTADepPush(cmd, 2, 3);
  VTADepPop(cmd, 2, 3);
  VTAStoreBuffer2D(cmd, 0, MEM_OUT, o, 0, 1, 1, 1);
  VTADepPush(cmd, 3, 2);
  VTADepPop(cmd, 3, 2);
  VTADepPush(cmd, 2, 1);
  VTADepPop(cmd, 2, 1);
  VTALoadBuffer2D(cmd, o, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_INP);
  VTASynchronize(cmd, 0);
  ok();
  // both instructions are told by their marks
  tetc_runtime_mark(rt, 17);
  push(alu_imm(ALU_ADD, 1, 3));
  tetc_runtime_mark(rt, 18);
  VTAStoreBuffer2D(cmd, 3, MEM_OUT, o, 0, 1, 1, 1);
  tetc_runtime_mark(rt, 19);
  VTASynchronize(cmd, 0);
  uint32_t marks[2] = {0, 0};
  assert_int_equal(tetc_runtime_fault(rt, marks), 2);
  assert_int_equal(marks[0], 18);
  assert_int_equal(marks[1], 17);
  assert_error("hazard");
  assert_int_equal(tetc_runtime_fault(rt, marks), 0);
  // different tiles need no order
  VTALoadBuffer2D(cmd, a, 0, 1, 1, 1, 0, 0, 0, 0, 7, MEM_INP);
  push(gemm);
  VTASynchronize(cmd, 0);
  ok();
  // with the checker off, only tokens and ranges count
  tetc_runtime_check(rt, false);
  VTALoadBuffer2D(cmd, a, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_INP);
  push(gemm);
  VTASynchronize(cmd, 0);
  ok();
  VTABufferFree(a), VTABufferFree(w), VTABufferFree(o);
}

// ---- long streams ---------------------------------------------------------------------------------------------------

// A double-buffered pipeline with tokens in flight at every cut: the same result for any length of launch.
static void pipeline(int rounds, int8_t *out) {
  int8_t inp[64 * 16], wgt[256];
  for (int i = 0; i < 64 * 16; i++) inp[i] = (int8_t)(i * 31 + 7);
  for (int i = 0; i < 256; i++) wgt[i] = (int8_t)(i * 17 + 5);
  void *a = buffer_of(inp, sizeof inp), *w = buffer_of(wgt, sizeof wgt), *o = buffer_of(NULL, 64 * 16);
  VTALoadBuffer2D(cmd, w, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_WGT);
  for (int i = 0; i < 2; i++) VTADepPush(cmd, 2, 1), VTADepPush(cmd, 3, 2);
  for (int n = 0; n < rounds; n++) {
    uint32_t half = (uint32_t)n % 2, from = (uint32_t)n * 5 % 64;
    VTADepPop(cmd, 2, 1);
    VTALoadBuffer2D(cmd, a, from, 1, 1, 1, 0, 0, 0, 0, half, MEM_INP);
    VTADepPush(cmd, 1, 2);
    VTADepPop(cmd, 1, 2);
    VTADepPop(cmd, 3, 2);
    push((Kernel){.reset = 1, .count = 1, .uops = {{half, 0, 0}}});
    push((Kernel){.count = 1, .uops = {{half, half, 0}}});
    VTADepPush(cmd, 2, 1);
    VTADepPush(cmd, 2, 3);
    VTADepPop(cmd, 2, 3);
    VTAStoreBuffer2D(cmd, half, MEM_OUT, o, (uint32_t)n % 64, 1, 1, 1);
    VTADepPush(cmd, 3, 2);
  }
  for (int i = 0; i < 2; i++) VTADepPop(cmd, 2, 1), VTADepPop(cmd, 3, 2);
  VTASynchronize(cmd, 0);
  ok();
  VTABufferCopy(o, 0, out, 0, 64 * 16, VTA_MEMCPY_D2H);
  VTABufferFree(a), VTABufferFree(w), VTABufferFree(o);
}

static void launch_limit(void **state) {
  (void)state;
  int8_t whole[64 * 16], cut[64 * 16];
  pipeline(300, whole);
  assert_int_equal(tetc_runtime_stats(rt)->launches, 1);
  const size_t limits[] = {64, 65, 77, 100, 501};
  for (size_t n = 0; n < sizeof limits / sizeof *limits; n++) {
    tetc_runtime_clear_stats(rt);
    tetc_runtime_set_launch_limit(rt, limits[n]);
    pipeline(300, cut);
    assert_memory_equal(whole, cut, sizeof cut);
    assert_true(tetc_runtime_stats(rt)->launches >= 1200 / limits[n]);
  }
}

// What a cut-free stream looks like: tokens ride on their neighbours, FINISH drains, micro-op loads take no pops.
static void stream_form(void **state) {
  (void)state;
  static const char *const expected[] = {"load.inp sram=0 dram=256 y=1 x=1 stride=1 push>",
                                         "load.uop sram=0 dram=3072 y=1 x=1 stride=1",
                                         "gemm.reset uop=[0,1) out=1 in=1 dst=(0,0) pop<",
                                         "gemm uop=[0,1) out=1 in=1 dst=(0,0) src=(0,0) wgt=(0,0) push< push>",
                                         "load.inp sram=1 dram=256 y=1 x=1 stride=1 pop> push>",
                                         "store.out sram=0 dram=512 y=1 x=1 stride=1 pop< push<",
                                         "load.uop nothing pop< pop>",
                                         "finish"};
  void *a = buffer_of(NULL, 64), *o = buffer_of(NULL, 16);
  VTALoadBuffer2D(cmd, a, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_INP);
  VTADepPush(cmd, 1, 2);
  VTADepPop(cmd, 1, 2);
  push((Kernel){.reset = 1, .count = 1});
  push((Kernel){.count = 1});
  VTADepPush(cmd, 2, 1);
  VTADepPush(cmd, 2, 3);
  VTADepPop(cmd, 2, 1);
  VTALoadBuffer2D(cmd, a, 0, 1, 1, 1, 0, 0, 0, 0, 1, MEM_INP);
  VTADepPop(cmd, 2, 3);
  VTAStoreBuffer2D(cmd, 0, MEM_OUT, o, 0, 1, 1, 1);
  VTASynchronize(cmd, 0);
  ok();
  size_t n;
  const VtaWord *words = tetc_record_insns(tetc_runtime_device(rt), &n);
  assert_int_equal(n, sizeof expected / sizeof *expected);
  VtaConfig c = vta_config_default();
  for (size_t k = 0; k < n; k++) {
    VtaInsn i;
    char text[200];
    assert_true(vta_decode(&c, words[k], &i));
    vta_disassemble(&c, &i, text, sizeof text);
    assert_string_equal(text, expected[k]);
  }
  VTABufferFree(a), VTABufferFree(o);
}

// ---- raw streams ----------------------------------------------------------------------------------------------------

static void raw(const VtaInsn *insns, size_t n, VtaWord extra, const char *words) {
  VtaConfig c = vta_config_default();
  VtaWord w[8];
  TetcFault fault = {.count = 0};
  TetcDevice *d = tetc_runtime_device(rt);
  for (size_t k = 0; k < n; k++) w[k] = vta_encode(&c, &insns[k]);
  if (extra.lo) w[n++] = extra;
  bool done = d->launch(d->self, w, NULL, n, &fault);
  assert_int_equal(done, words == NULL);
  if (words && !strstr(fault.text, words)) fail_msg("expected `%s`, got `%s`", words, fault.text);
}

static void raw_streams(void **state) {
  (void)state;
  const VtaWord none = {0, 0};
  const VtaInsn finish = {.opcode = OPC_FINISH};
  raw(&finish, 1, none, NULL);
  raw((VtaInsn[]){{.opcode = OPC_LOAD, .memory = MEM_INP}}, 1, none, "ends without finish");
  raw((VtaInsn[]){finish, finish}, 2, none, "goes on after");
  raw(&finish, 0, (VtaWord){7, 0}, "is not an instruction");
  // zero trip counts do nothing, whatever else they say
  VtaInsn zero = {.opcode = OPC_GEMM, .uop_begin = 5, .uop_end = 5, .iter_out = 9, .iter_in = 9, .dst_out = 2047};
  raw((VtaInsn[]){zero, finish}, 2, none, NULL);
  zero.uop_end = 3;
  raw((VtaInsn[]){zero, finish}, 2, none, NULL);
  zero.uop_end = 8192, zero.iter_in = 0;
  raw((VtaInsn[]){zero, finish}, 2, none, NULL);
  zero.iter_in = 1;
  raw((VtaInsn[]){zero, finish}, 2, none, "destination index");
  zero.dst_out = 0, zero.src_out = 2047;
  raw((VtaInsn[]){zero, finish}, 2, none, "source index");
  zero.reset = true; // does not read its source
  raw((VtaInsn[]){zero, finish}, 2, none, NULL);
  zero.uop_end = 8193;
  raw((VtaInsn[]){zero, finish}, 2, none, "micro-op buffer");
  VtaInsn load = {.opcode = OPC_LOAD, .memory = MEM_INP, .dram_base = 0, .y_size = 1, .x_size = 1};
  raw((VtaInsn[]){load, finish}, 2, none, "not in one buffer"); // address 0 is no address
  load.dram_base = UINT32_MAX;
  raw((VtaInsn[]){load, finish}, 2, none, "not in one buffer");
  load.sram_base = 2048;
  raw((VtaInsn[]){load, finish}, 2, none, "past the end");
  VtaInsn store = {.opcode = OPC_STORE, .memory = MEM_OUT, .y_size = 1, .x_size = 1, .y_pad0 = 1};
  raw((VtaInsn[]){store, finish}, 2, none, "padding");
  // flags without a channel are ignored
  load = (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_INP, .pop_prev = true, .push_prev = true};
  raw((VtaInsn[]){load, finish}, 2, none, NULL);
  // waiting for each other
  VtaInsn a = {.opcode = OPC_LOAD, .memory = MEM_INP, .pop_next = true, .push_next = true};
  VtaInsn b = {.opcode = OPC_LOAD, .memory = MEM_UOP, .pop_prev = true, .push_prev = true};
  raw((VtaInsn[]){a, b, finish}, 3, none, "compute waits at #1 `load.uop nothing pop< push<` for a token from load to");
  raw(&finish, 1, none, NULL); // and it is over
}

// ---- threads --------------------------------------------------------------------------------------------------------

static void *in_thread(void *arg) {
  (void)arg;
  TetcRuntime *mine = VTATLSCommandHandle();
  void *b = VTABufferAlloc(64);
  VTALoadBuffer2D(mine, b, 0, 1, 1, 1, 0, 0, 0, 0, 0, MEM_ACC);
  VTASynchronize(mine, 0);
  VTABufferFree(b);
  return tetc_runtime_error(mine) || mine == rt ? NULL : mine;
}

// Memory that is not coherent: each side sees the other's writes after a barrier, and what a barrier is missing for is
// told.
static void incoherent(void **state) {
  (void)state;
  assert_true(tetc_dram_split(tetc_runtime_device(rt)->dram));
  int32_t data[2 * 16];
  int8_t back[2 * 16];
  for (int i = 0; i < 2 * 16; i++) data[i] = i + 1;
  void *a = buffer_of(data, sizeof data), *o = buffer_of(NULL, sizeof back);
  int32_t *in = VTABufferCPUPtr(cmd, a);
  int8_t *out = VTABufferCPUPtr(cmd, o);
  for (int turn = 0; turn < 3; turn++) {
    in[16] = 50 + turn; // seen if it is flushed: in turn 1 it is not
    if (turn == 0) VTAReadBarrier(cmd, a, 32, 16, 1);
    if (turn == 2) VTAReadBarrier(cmd, a, 32, 0, 32);
    load_acc(a, 0, 0, 2);
    VTADepPush(cmd, 2, 3);
    VTADepPop(cmd, 2, 3);
    VTAStoreBuffer2D(cmd, 0, MEM_OUT, o, 0, 2, 1, 2);
    VTASynchronize(cmd, 0);
    if (turn == 1) {
      assert_error("reads what the CPU has written, and no barrier flushed it");
      continue;
    }
    ok();
    assert_int_equal(out[16], turn ? 50 : 0); // as it was before
    VTAWriteBarrier(cmd, o, 8, 0, 32);
    assert_int_equal(out[16], 50 + turn);
    assert_int_equal(out[3], 4);
  }
  VTABufferCopy(o, 0, back, 0, sizeof back, VTA_MEMCPY_D2H);
  assert_int_equal(back[16], 52);
  out[5] = 99; // and lost, if it were invalidated now
  VTAWriteBarrier(cmd, o, 8, 16, 4);
  assert_error("was not flushed");
  load_acc(a, 0, 0, 1); // a store next to it, in the same line
  VTADepPush(cmd, 2, 3);
  VTADepPop(cmd, 2, 3);
  VTAStoreBuffer2D(cmd, 0, MEM_OUT, o, 1, 1, 1, 1);
  VTASynchronize(cmd, 0);
  assert_error("writes where the CPU has written, and no barrier flushed it");
  VTAReadBarrier(cmd, o, 8, 30, 3);
  assert_error("leaves its buffer of 32 bytes");
  VTABufferFree(a);
  VTABufferFree(o);
}

// Every thread has a runtime of its own, freed with it.
static void threads(void **state) {
  (void)state;
  pthread_t t[4];
  for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, in_thread, NULL);
  for (int i = 0; i < 4; i++) {
    void *result;
    pthread_join(t[i], &result);
    assert_non_null(result);
  }
  assert_ptr_equal(VTATLSCommandHandle(), rt);
  tetc_runtime_select(NULL);
  assert_ptr_not_equal(VTATLSCommandHandle(), rt);
  // the default runtime: a kernel that fails half-way (and tells so on stderr) leaves the next one alone
  FILE *saved = stderr;
  stderr = fopen("/dev/null", "w");
  for (int n = 0; n < 2; n++) {
    TetcRuntime *own = VTATLSCommandHandle();
    VtaConfig c = vta_config_default();
    assert_int_equal(tetc_kernel_begin(own, "k", vta_stamp(&c).text), TETC_DONE);
    assert_int_equal(tetc_kernel_done(own), TETC_DONE);
    assert_null(VTABufferAlloc((size_t)1 << 40));
    assert_null(VTABufferAlloc(8));
    assert_int_equal(tetc_kernel_done(own), TETC_DEVICE_FAILED);
    tetc_kernel_failed(own, "k", TETC_NO_MEMORY, NULL);
    assert_string_equal(tetc_error_text(), "no device memory for a buffer of 1099511627776 bytes");
  }
  fclose(stderr);
  stderr = saved;
  VTACommandHandle own = VTATLSCommandHandle();
  void *b = VTABufferAlloc(8);
  assert_non_null(VTABufferCPUPtr(own, b));
  VTABufferFree(b);
  VTARuntimeShutdown();
  VTARuntimeShutdown();
  tetc_runtime_select(rt);
}

// Physical addresses: freed room is used again and reads as zero.
static void memory_reuse(void **state) {
  (void)state;
  TetcDram *d = tetc_dram_new();
  uint64_t p[3], q;
  for (int i = 0; i < 3; i++) memset(tetc_dram_alloc(d, 5000, &p[i]), 7, 5000);
  assert_int_equal(p[0], 0x1000);
  assert_int_equal(p[1], 0x3000);
  tetc_dram_release(d, p[1]);
  assert_null(tetc_dram_at(d, p[1], 1));
  uint8_t *again = tetc_dram_alloc(d, 4096, &q);
  assert_int_equal(q, p[1]);
  for (int i = 0; i < 4096; i++) assert_int_equal(again[i], 0);
  assert_non_null(tetc_dram_at(d, p[2] + 10, 4990));
  assert_null(tetc_dram_at(d, p[2] + 10, 4991));
  assert_null(tetc_dram_at(d, 0, 1));
  assert_null(tetc_dram_at(d, UINT64_MAX, 2));
  assert_null(tetc_dram_alloc(d, SIZE_MAX, &q));
  tetc_dram_free(d);
}

// A kernel of as many micro-ops as fit, other ones for each n.
static int describe_full(void *self) {
  uint32_t n = *(uint32_t *)self;
  for (uint32_t i = 0; i < 8192; i++) VTAUopPush(0, 1, (i == 0 ? n : i) % 2048, 0, 0, 0, 0, 0);
  return 0;
}

// More micro-ops than there is memory for, in a stream that cannot be cut: it waits for a token that nobody has given.
static void stream_that_cannot_be_cut(void **state) {
  (void)state;
  void *handle = NULL;
  VTADepPop(cmd, 1, 2);
  for (uint32_t n = 0; n < 1100 && !tetc_runtime_error(rt); n++) VTAPushGEMMOp(&handle, describe_full, &n, sizeof n);
  assert_error("wait for tokens that are yet to be given");
}

int main(void) {
#define FSIM(t) cmocka_unit_test_setup_teardown(t, open_fsim, close_runtime)
  const struct CMUnitTest tests[] = {FSIM(transfers),
                                     FSIM(store_wraps),
                                     FSIM(alu_operations),
                                     FSIM(alu_chain),
                                     FSIM(gemm_with_tokens),
                                     FSIM(kernels_by_content),
                                     FSIM(uop_ring),
                                     FSIM(bad_kernels),
                                     FSIM(bad_transfers),
                                     FSIM(foreign_buffer),
                                     FSIM(nothing_stale),
                                     FSIM(left_over),
                                     FSIM(hazards),
                                     FSIM(launch_limit),
                                     FSIM(raw_streams),
                                     FSIM(incoherent),
                                     FSIM(threads),
                                     FSIM(stream_that_cannot_be_cut),
                                     cmocka_unit_test(memory_reuse),
                                     cmocka_unit_test_setup_teardown(stream_form, open_record, close_runtime)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

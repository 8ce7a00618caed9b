// SPDX-License-Identifier: Apache-2.0
// `rtl_streams CONFIG.json BITS`: random instruction streams on that model and on the functional simulator, in
// lock-step: every write on chip, DRAM after each stream, what is on chip after some. Memories are fast, slow, pause
// and reorder.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lockstep.h"
#include "model.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

// The model under test.
typedef struct Model {
  VtaConfig config;
  uint32_t bus;
  Coverage *coverage;
} Model;

typedef struct Bench {
  const Model *model;
  TetcDevice *want, *got;
  Lockstep *lockstep;
  Maker *maker;
  void (*sram)(TetcDevice *, VtaMemory, void *);
  uint8_t *want_dram, *got_dram;
} Bench;

// ---- comparing what is there ----------------------------------------------------------------------------------------

// One memory; micro-ops are decoded in the simulator, OUT is the low bytes of its accumulators.
static void compare(Bench *b, VtaMemory m, int stream) {
  const VtaConfig *c = &b->model->config;
  size_t elem = (size_t)vta_elem_bytes(c, m), bytes = (size_t)vta_depth(c, m) * elem;
  uint8_t *got = malloc(bytes);
  assert_non_null(got);
  const uint8_t *want = tetc_fsim_sram(b->want, m);
  b->sram(b->got, m, got);
  for (size_t k = 0; k < bytes; k++) {
    bool same = m == MEM_OUT ? got[k] == want[4 * k] : got[k] == want[k];
    if (m == MEM_UOP && k % 4 == 0) {
      uint32_t w = vta_encode_uop(c, ((const VtaUop *)(const void *)want)[k / 4]);
      same = !memcmp(got + k, &w, 4);
    } else if (m == MEM_UOP) {
      continue;
    }
    if (!same) fail_msg("stream %d: memory %d, element %zu differs in byte %zu", stream, (int)m, k / elem, k % elem);
  }
  free(got);
}

static void compare_all(Bench *b, int stream) {
  for (VtaMemory m = MEM_UOP; m <= MEM_OUT; m++) compare(b, m, stream);
}

// ---- runs -----------------------------------------------------------------------------------------------------------

static void run(Bench *b, const VtaWord *words, size_t n, int stream) {
  TetcFault fault = {.count = 0};
  if (!lockstep_run(b->lockstep, words, n, &fault)) fail_msg("stream %d: %s", stream, fault.text);
  if (memcmp(b->want_dram, b->got_dram, STREAM_DRAM)) fail_msg("stream %d: DRAM differs", stream);
}

static void bench_open(Bench *b, const Model *model, TetcRtlOptions o, uint64_t seed) {
  TetcRtlWhy why;
  uint64_t phys, other;
  size_t n;
  b->model = model;
  o.bus = model->bus;
  b->want = tetc_fsim_new(&model->config);
  b->got = tetc_rtl_open(&model->config, &o, &why);
  if (!b->got) fail_msg("no model of this configuration and bus: %s; there are %s", why.text, why.models);
  b->want->check(b->want->self, true);
  void *at = tetc_rtl_symbol(b->got, "tetc_rtl_sram");
  memcpy(&b->sram, &at, sizeof at);
  b->lockstep = lockstep_new(b->want, b->got);
  b->want_dram = tetc_dram_alloc(b->want->dram, STREAM_DRAM, &phys);
  b->got_dram = tetc_dram_alloc(b->got->dram, STREAM_DRAM, &other);
  assert_int_equal(phys, other);
  b->maker = maker_new(&model->config, phys, seed, model->coverage);
  assert_true(b->lockstep && b->maker);
  maker_dram(b->maker, b->want_dram);
  memcpy(b->got_dram, b->want_dram, STREAM_DRAM);
  const VtaWord *words = maker_fill(b->maker, &n);
  run(b, words, n, -1);
}

static void bench_close(Bench *b) {
  maker_free(b->maker);
  lockstep_free(b->lockstep);
  b->want->free(b->want->self);
  b->got->free(b->got->self);
}

static void streams(const Model *model, TetcRtlOptions o, int count, uint64_t seed) {
  Bench b;
  bench_open(&b, model, o, seed);
  for (int k = 0; k < count; k++) {
    size_t n;
    const VtaWord *words = maker_stream(b.maker, &n);
    run(&b, words, n, k);
    if (k % 8 == 0 || k + 1 == count) compare_all(&b, k);
  }
  bench_close(&b);
}

static int count_of(int usual, int in_long_tests) { return getenv("TETC_LONG_TESTS") ? in_long_tests : usual; }

static void default_memory(void **state) { streams(*state, (TetcRtlOptions){.latency = 16}, count_of(100, 2000), 1); }

static void slow_memory(void **state) {
  streams(*state, (TetcRtlOptions){.latency = 100, .reorder = true, .seed = 5}, count_of(50, 2000), 2);
}

static void immediate_memory(void **state) {
  streams(*state, (TetcRtlOptions){.latency = 0, .seed = 5}, count_of(50, 2000), 3);
}

static void stalling_memory(void **state) {
  streams(*state, (TetcRtlOptions){.latency = 7, .stalls = 30, .reorder = true, .seed = 9}, count_of(50, 2000), 4);
}

// Few streams on each of many memories.
static void any_memory(void **state) {
  for (uint32_t k = 0; k < (uint32_t)count_of(10, 400); k++) {
    TetcRtlOptions o = {.latency = k * 7 % 61,
                        .write_latency = k % 3 * 20,
                        .bandwidth = k % 2 ? 30 + k * 11 % 71 : 0,
                        .outstanding = k % 4 ? 1 + k * 5 % 13 : 0,
                        .stalls = k % 5 * 20,
                        .reorder = k % 2,
                        .seed = k};
    streams(*state, o, 5, 100 + k);
  }
}

// ---- the tests' tests -----------------------------------------------------------------------------------------------

// What lock-step tells of a run whose expectation was falsified names the instruction, whichever it was and however.
static void lock_step_notices(void **state) {
  Bench b;
  TetcFault fault;
  size_t n, insn = 0;
  bench_open(&b, *state, (TetcRtlOptions){.latency = 16}, 7);
  const VtaWord *fill = maker_fill(b.maker, &n);
  for (size_t k = 0; k < 60; k++) {
    LockstepLie lie = (LockstepLie)(LIE_VALUE + k % 4);
    char number[24];
    lockstep_lie(b.lockstep, lie, k * 997, &insn);
    assert_false(lockstep_run(b.lockstep, fill, n, &fault));
    snprintf(number, sizeof number, "#%zu `", insn);
    if (!strstr(fault.text, number) || fault.insns[0] != insn) fail_msg("%s not named: %s", number, fault.text);
  }
  run(&b, fill, n, 0);
  bench_close(&b);
}

// A failing assertion is an error of the launch, told with its place, and not the end of the process; the next launch
// runs.
static void assertions_stop(void **state) {
  Bench b;
  TetcFault fault = {.count = 0};
  size_t n;
  void (*disturb)(TetcDevice *);
  bench_open(&b, *state, (TetcRtlOptions){.latency = 16}, 8);
  void *at = tetc_rtl_symbol(b.got, "tetc_rtl_disturb");
  memcpy(&disturb, &at, sizeof at);
  disturb(b.got);
  const VtaWord *fill = maker_fill(b.maker, &n);
  assert_false(lockstep_run(b.lockstep, fill, n, &fault));
  if (!strstr(fault.text, "vta_store.sv:") || !strstr(fault.text, "Assertion failed")) fail_msg("%s", fault.text);
  run(&b, fill, n, 0);
  bench_close(&b);
}

// After all streams that run to their end. Sizes of other configurations leave bins that cannot be hit.
static void coverage(void **state) {
  const Model *m = *state;
  VtaConfig usual = vta_config_default();
  size_t missed = coverage_report(m->coverage, stdout);
  if (!memcmp(&usual, &m->config, sizeof usual) && missed) fail_msg("%zu bins were never hit", missed);
}

// A stream of which one instruction is illegal, or leads out of DRAM or the accumulators, stops the core wherever it is
// then. Once everything on chip has been loaded anew, all is as it should be, and so is the next stream.
static void after_errors(void **state) {
  Bench b;
  bench_open(&b, *state, (TetcRtlOptions){.latency = 20, .reorder = true, .stalls = 10, .seed = 3}, 9);
  for (int k = 0; k < count_of(40, 1000); k++) {
    TetcFault fault = {.count = 0};
    size_t n;
    const VtaWord *words = maker_stream(b.maker, &n);
    VtaWord *broken = malloc(n * sizeof *broken);
    VtaInsn bad = {.opcode = OPC_LOAD, .memory = MEM_INP, .x_size = 1, .y_size = 1, .dram_base = UINT32_MAX / 128};
    assert_non_null(broken);
    memcpy(broken, words, n * sizeof *broken);
    if (k % 3 == 1)
      bad = (VtaInsn){.opcode = OPC_GEMM,
                      .uop_end = 1,
                      .iter_out = 1,
                      .iter_in = 16383,
                      .dst_in = (uint32_t)vta_depth(&b.model->config, MEM_ACC) - 1};
    size_t at = (size_t)k * 7919 % (n - 1);
    broken[at] = vta_encode(&b.model->config, &bad);
    if (k % 3 == 2) broken[at] = (VtaWord){7, 0};
    lockstep_free(b.lockstep); // this one nobody looks at
    if (b.got->launch(b.got->self, broken, NULL, n, &fault)) fail_msg("stream %d: the core accepts it", k);
    if (!strstr(fault.text, "the core stopped with error")) fail_msg("stream %d: %s", k, fault.text);
    free(broken);
    memcpy(b.got_dram, b.want_dram, STREAM_DRAM);
    b.lockstep = lockstep_new(b.want, b.got);
    assert_non_null(b.lockstep);
    words = maker_fill(b.maker, &n);
    run(&b, words, n, k);
    compare_all(&b, k);
    words = maker_stream(b.maker, &n);
    run(&b, words, n, k);
    if (k % 8 == 0) compare_all(&b, k);
  }
  bench_close(&b);
}

int main(int argc, char **argv) {
  Model model;
  if (!model_read(argc, argv, &model.config, &model.bus)) return 2;
  model.coverage = coverage_new(&model.config);
  if (!model.coverage) return 2;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_prestate(default_memory, &model),   cmocka_unit_test_prestate(slow_memory, &model),
      cmocka_unit_test_prestate(immediate_memory, &model), cmocka_unit_test_prestate(stalling_memory, &model),
      cmocka_unit_test_prestate(any_memory, &model),       cmocka_unit_test_prestate(lock_step_notices, &model),
      cmocka_unit_test_prestate(assertions_stop, &model),  cmocka_unit_test_prestate(coverage, &model),
      cmocka_unit_test_prestate(after_errors, &model)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  coverage_free(model.coverage);
  return failed;
}

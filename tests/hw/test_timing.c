// SPDX-License-Identifier: Apache-2.0
// `rtl_timing CONFIG.json BITS [STREAMS]`: random instruction streams on that model of the core and on the timing
// model: cycles and every counter must be the same, with memories that are near, far, slow and of little room.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "model.h"
#include "runtime/device.h"
#include "stream.h"

#include <stdio.h>
#include <string.h>

static VtaConfig config;
static uint32_t bus;
static int streams = 40;

static TetcRtlOptions memory_of(int k) {
  TetcRtlOptions o = tetc_rtl_options(k % 2 ? TETC_MEMORY_DRAM : TETC_MEMORY_UPSTREAM);
  o.bus = bus;
  if (k == 2) o.latency = 1, o.outstanding = 1;
  if (k == 3) o.latency = 250, o.write_latency = 7, o.bandwidth = 37, o.outstanding = 3;
  return o;
}

static void same_stats(TetcDevice *rtl, TetcDevice *model, int memory, int stream) {
  static const char *const texts[] = {
#define COUNTER(id, text) text,
#include "runtime/counters.def"
#undef COUNTER
  };
  const TetcStats *want = rtl->stats(rtl->self), *got = model->stats(model->self);
  int differ = -1;
  for (int k = 0; k < TETC_COUNTERS; k++)
    if (differ < 0 && got->counters[k] != want->counters[k]) differ = k;
  if (got->cycles != want->cycles)
    print_message("memory %d, stream %d: %llu cycles, of the core %llu\n", memory, stream,
                  (unsigned long long)got->cycles, (unsigned long long)want->cycles);
  if (differ >= 0)
    fail_msg("memory %d, stream %d: %s: %llu, of the core %llu", memory, stream, texts[differ],
             (unsigned long long)got->counters[differ], (unsigned long long)want->counters[differ]);
  assert_int_equal(got->cycles, want->cycles);
}

static void run_memory(int k) {
  TetcRtlOptions o = memory_of(k);
  TetcRtlWhy why;
  TetcFault fault = {0};
  TetcDevice *devices[2] = {tetc_rtl_open(&config, &o, &why), tetc_model_new(&config, &o)};
  uint64_t phys[2];
  uint8_t *dram[2];
  Coverage *coverage = coverage_new(&config);
  for (int d = 0; d < 2; d++) {
    assert_non_null(devices[d]);
    dram[d] = tetc_dram_alloc(devices[d]->dram, STREAM_DRAM, &phys[d]);
    assert_non_null(dram[d]);
  }
  assert_int_equal(phys[0], phys[1]);
  Maker *maker = maker_new(&config, phys[0], (uint64_t)(k + 77), coverage);
  assert_non_null(maker);
  maker_dram(maker, dram[0]);
  memcpy(dram[1], dram[0], STREAM_DRAM);
  for (int s = 0; s < streams; s++) {
    size_t n;
    const VtaWord *words = s ? maker_stream(maker, &n) : maker_fill(maker, &n);
    for (int d = 0; d < 2; d++)
      if (!devices[d]->launch(devices[d]->self, words, NULL, n, &fault)) fail_msg("stream %d: %s", s, fault.text);
    same_stats(devices[0], devices[1], k, s);
  }
  maker_free(maker);
  coverage_free(coverage);
  for (int d = 0; d < 2; d++) devices[d]->free(devices[d]->self);
}

static void test_near(void **state) { (void)state, run_memory(0); }
static void test_dram(void **state) { (void)state, run_memory(1); }
static void test_single(void **state) { (void)state, run_memory(2); }
static void test_slow(void **state) { (void)state, run_memory(3); }

int main(int argc, char **argv) {
  if (argc == 4) streams = atoi(argv[3]), argc--;
  if (!model_read(argc, argv, &config, &bus))
    return fprintf(stderr, "usage: rtl_timing CONFIG.json BITS [STREAMS]\n"), 2;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_near), cmocka_unit_test(test_dram),
                                     cmocka_unit_test(test_single), cmocka_unit_test(test_slow)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

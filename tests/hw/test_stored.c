// SPDX-License-Identifier: Apache-2.0
// `timing_stored CONFIG.json BITS FILE [--bless]`: the cycles of random instruction streams as the timing model
// tells them must be those of FILE, which --bless makes of the core. Needs no Verilator, so that the model is held
// where there is none.
#include "model.h"
#include "runtime/device.h"
#include "stream.h"

#include <stdio.h>
#include <string.h>

enum { MEMORIES = 5, STREAMS = 30, SEED = 4242 };

static TetcRtlOptions memory_of(int k, uint32_t bus) {
  TetcRtlOptions o = tetc_rtl_options(k % 2 ? TETC_MEMORY_DRAM : TETC_MEMORY_UPSTREAM);
  o.bus = bus;
  if (k == 2) o.latency = 3, o.outstanding = 2;
  if (k == 3) o.latency = 180, o.write_latency = 20, o.bandwidth = 43, o.outstanding = 4;
  if (k == 4) o.bandwidth = 50;
  return o;
}

static bool launch(TetcDevice *d, const VtaWord *words, size_t n, uint64_t *cycles) {
  TetcFault fault = {0};
  uint64_t before = d->stats(d->self)->cycles;
  bool ok = d->launch(d->self, words, NULL, n, &fault);
  if (!ok) printf("# %s\n", fault.text);
  *cycles = d->stats(d->self)->cycles - before;
  return ok;
}

// Every stream of a memory: written to the file, or compared with it. How many are not as they should be.
static int run(const VtaConfig *c, const TetcRtlOptions *o, int k, bool bless, FILE *file) {
  TetcRtlWhy why;
  TetcDevice *d = bless ? tetc_rtl_open(c, o, &why) : tetc_model_new(c, o);
  Coverage *coverage = coverage_new(c);
  uint64_t phys = 0, cycles;
  uint8_t *dram = d ? tetc_dram_alloc(d->dram, STREAM_DRAM, &phys) : NULL;
  Maker *maker = dram && coverage ? maker_new(c, phys, (uint64_t)(SEED + k), coverage) : NULL;
  if (!maker) return printf("# no device\n"), 1;
  maker_dram(maker, dram);
  int bad = 0;
  for (int s = 0; s < STREAMS; s++) {
    size_t n;
    const VtaWord *words = s ? maker_stream(maker, &n) : maker_fill(maker, &n);
    if (!launch(d, words, n, &cycles)) return bad + 1;
    int memory = 0, stream = 0;
    unsigned long long want = 0;
    if (bless) fprintf(file, "%d %d %llu\n", k, s, (unsigned long long)cycles);
    else if (fscanf(file, "%d %d %llu", &memory, &stream, &want) != 3 || memory != k || stream != s || want != cycles)
      printf("# memory %d, stream %d: %llu cycles, of the core %llu\n", k, s, (unsigned long long)cycles, want), bad++;
  }
  maker_free(maker);
  coverage_free(coverage);
  d->free(d->self);
  return bad;
}

int main(int argc, char **argv) {
  VtaConfig config;
  uint32_t bus;
  bool bless = argc == 5 && !strcmp(argv[4], "--bless");
  if (argc < 4 || !model_read(3, argv, &config, &bus)) return 2;
  FILE *file = fopen(argv[3], bless ? "w" : "r");
  if (!file) return 2;
  int failed = 0;
  printf("TAP version 13\n1..%d\n", MEMORIES);
  for (int k = 0; k < MEMORIES; k++) {
    TetcRtlOptions o = memory_of(k, bus);
    int bad = run(&config, &o, k, bless, file);
    printf("%sok %d - memory %d: %d streams\n", bad ? "not " : "", k + 1, k, STREAMS);
    failed += bad != 0;
  }
  return fclose(file) != 0 || failed;
}

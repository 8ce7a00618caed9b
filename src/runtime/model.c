// SPDX-License-Identifier: Apache-2.0
// The device `model`: the functional simulator, beside which the timing model tells in how many cycles the core
// would be done.
#include "runtime/timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Model {
  TetcDevice device, *inner;
  TetcTiming *timing;
  TetcRtlOptions options;
  TetcStats stats;
  uint64_t cycles, counters[TETC_COUNTERS];
} Model;

static VtaUop uop_at(void *context, size_t insn, uint64_t index) {
  const Model *m = context;
  (void)insn;
  uint32_t word = 0;
  const uint8_t *at = tetc_dram_at(m->device.dram, index * sizeof word, sizeof word);
  if (at) memcpy(&word, at, sizeof word);
  return vta_decode_uop(&m->device.config, word);
}

static bool model_launch(void *self, const VtaWord *insns, const uint32_t *marks, size_t n, TetcFault *fault) {
  Model *m = self;
  const char *why = NULL;
  if (!m->inner->launch(m->inner->self, insns, marks, n, fault)) return false;
  TetcStats took = {0};
  if (tetc_timing_launch(m->timing, insns, marks, n, uop_at, m, &took, &why)) {
    m->cycles += took.cycles;
    for (int k = 0; k < TETC_COUNTERS; k++) m->counters[k] += took.counters[k];
    return true;
  }
  snprintf(fault->text, sizeof fault->text, "timing: %s", why);
  fault->count = 0;
  return false;
}

static void model_reset(void *self) {
  Model *m = self;
  m->inner->reset(m->inner->self);
  TetcTiming *fresh = tetc_timing_new(&m->device.config, &m->options);
  if (!fresh) return; // the next launch finds the tokens of the one that was broken off
  tetc_timing_free(m->timing);
  m->timing = fresh;
}

static void model_check(void *self, bool on) {
  Model *m = self;
  if (m->inner->check) m->inner->check(m->inner->self, on);
}

static const TetcStats *model_stats(void *self) {
  Model *m = self;
  m->stats = *m->inner->stats(m->inner->self);
  m->stats.cycles = m->cycles;
  memcpy(m->stats.counters, m->counters, sizeof m->counters);
  return &m->stats;
}

static void model_clear_stats(void *self) {
  Model *m = self;
  m->inner->clear_stats(m->inner->self);
  m->cycles = 0;
  memset(m->counters, 0, sizeof m->counters);
}

static void model_free(void *self) {
  Model *m = self;
  tetc_timing_free(m->timing);
  m->inner->free(m->inner->self);
  free(m);
}

TetcDevice *tetc_model_new(const VtaConfig *config, const TetcRtlOptions *options) {
  Model *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->options = *options;
  m->inner = tetc_fsim_new(config);
  m->timing = tetc_timing_new(config, options);
  if (!m->inner || !m->timing) {
    if (m->inner) m->inner->free(m->inner->self);
    tetc_timing_free(m->timing);
    free(m);
    return NULL;
  }
  m->device = (TetcDevice){.name = "model",
                           .config = *config,
                           .dram = m->inner->dram,
                           .self = m,
                           .launch = model_launch,
                           .reset = model_reset,
                           .check = model_check,
                           .stats = model_stats,
                           .clear_stats = model_clear_stats,
                           .free = model_free};
  return &m->device;
}

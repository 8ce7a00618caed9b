// SPDX-License-Identifier: Apache-2.0
// A device that executes nothing and keeps the instructions: for listings.
#include "runtime/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Recorder {
  TetcDevice device;
  VtaWord *words;
  uint32_t *marks;
  size_t count, cap;
  TetcStats stats;
} Recorder;

static bool record_launch(void *self, const VtaWord *insns, const uint32_t *marks, size_t n, TetcFault *fault) {
  Recorder *r = self;
  if (r->cap - r->count < n) {
    size_t cap = 2 * r->cap + n;
    VtaWord *words = realloc(r->words, cap * sizeof *words);
    if (words) r->words = words;
    uint32_t *all = words ? realloc(r->marks, cap * sizeof *all) : NULL;
    if (!all) {
      snprintf(fault->text, sizeof fault->text, "no memory for %zu instructions", cap);
      fault->no_memory = true;
      return false;
    }
    r->marks = all;
    r->cap = cap;
  }
  memcpy(r->words + r->count, insns, n * sizeof *insns);
  for (size_t i = 0; i < n; i++) r->marks[r->count + i] = marks ? marks[i] : 0;
  r->count += n;
  r->stats.launches++;
  r->stats.instructions += n;
  return true;
}

static void record_reset(void *self) { (void)self; }

static const TetcStats *record_stats(void *self) { return &((Recorder *)self)->stats; }

static void record_clear_stats(void *self) { ((Recorder *)self)->stats = (TetcStats){0}; }

static void record_free(void *self) {
  Recorder *r = self;
  tetc_dram_free(r->device.dram);
  free(r->words);
  free(r->marks);
  free(r);
}

TetcDevice *tetc_record_new(const VtaConfig *config) {
  Recorder *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->device = (TetcDevice){.name = "record",
                           .config = *config,
                           .dram = tetc_dram_new(),
                           .self = r,
                           .launch = record_launch,
                           .reset = record_reset,
                           .stats = record_stats,
                           .clear_stats = record_clear_stats,
                           .free = record_free};
  if (r->device.dram) return &r->device;
  free(r);
  return NULL;
}

const VtaWord *tetc_record_insns(const TetcDevice *d, size_t *n) {
  const Recorder *r = d->self;
  *n = r->count;
  return r->words;
}

const uint32_t *tetc_record_marks(const TetcDevice *d) { return ((const Recorder *)d->self)->marks; }

// SPDX-License-Identifier: Apache-2.0
// The hazard checker: happens-before by vector clocks.
//
// Instructions of a unit are numbered 1, 2, ... A unit's clock says, for each unit, up to which instruction all are
// known to be done; tokens carry the clock of who gave them. An access is in order if the last conflicting access to
// the same place was by the same unit, or by an instruction that the clock covers. Every on-chip element, and every
// granule of DRAM (an OUT element: what a store writes), remembers its last writer and its last reader in each unit;
// older readers of a unit are covered when the newest one is. Cost: constant for each element touched.
#include "runtime/fsim.h"

#include <stdlib.h>
#include <string.h>

enum { UNITS = 3, CHANNELS = 4, PAGE = 4096, PAGES = 1 << 20 };

// Numbers of instructions; 0: none. `writer` is the unit of `write`.
typedef struct LastUse {
  uint64_t write;
  uint64_t read[UNITS];
  uint8_t writer;
} LastUse;

typedef struct Clock {
  uint64_t done[UNITS];
} Clock;

// Clocks of the tokens on their way, first in first out.
typedef struct Fifo {
  Clock *data;
  size_t first, count, cap;
} Fifo;

struct Hazard {
  uint64_t now[UNITS];  // number of the unit's current or last instruction
  uint64_t base[UNITS]; // its value when the launch started
  Clock clock[UNITS];
  Fifo fifo[CHANNELS];
  LastUse *sram[MEM_COUNT]; // OUT and ACC8 share ACC's
  uint64_t depth[MEM_COUNT];
  uint64_t granule; // bytes of DRAM that share a mark
  LastUse **pages;  // by page number; NULL: untouched
  bool lost;        // memory was out: something went unchecked
};

Hazard *hazard_new(const VtaConfig *c) {
  Hazard *h = calloc(1, sizeof *h);
  if (!h) return NULL;
  h->granule = (uint64_t)vta_elem_bytes(c, MEM_OUT);
  h->pages = calloc(PAGES, sizeof *h->pages);
  bool ok = h->pages != NULL;
  for (int m = MEM_UOP; m <= MEM_ACC; m++) {
    h->depth[m] = (uint64_t)vta_depth(c, (VtaMemory)m);
    h->sram[m] = calloc(h->depth[m], sizeof(LastUse));
    ok = ok && h->sram[m];
  }
  if (ok) return h;
  hazard_free(h);
  return NULL;
}

void hazard_free(Hazard *h) {
  if (!h) return;
  for (int m = 0; m < MEM_COUNT; m++) free(h->sram[m]);
  for (int i = 0; h->pages && i < PAGES; i++) free(h->pages[i]);
  for (int i = 0; i < CHANNELS; i++) free(h->fifo[i].data);
  free(h->pages);
  free(h);
}

void hazard_begin(Hazard *h) {
  for (int u = 0; u < UNITS; u++) {
    h->base[u] = h->now[u];
    memcpy(h->clock[u].done, h->now, sizeof h->now);
  }
}

void hazard_reset(Hazard *h) {
  for (int i = 0; i < CHANNELS; i++) h->fifo[i].first = h->fifo[i].count = 0;
}

void hazard_start(Hazard *h, VtaUnit unit, unsigned pops) {
  int u = unit - 1;
  h->now[u]++;
  for (int ch = 0; ch < CHANNELS; ch++) {
    Fifo *f = &h->fifo[ch];
    if (!(pops >> ch & 1) || f->count == 0) continue;
    const Clock *c = &f->data[f->first];
    for (int v = 0; v < UNITS; v++)
      if (h->clock[u].done[v] < c->done[v]) h->clock[u].done[v] = c->done[v];
    f->first = (f->first + 1) % f->cap;
    f->count--;
  }
}

static bool fifo_add(Fifo *f, const Clock *c) {
  if (f->count == f->cap) {
    size_t cap = f->cap ? 2 * f->cap : 64;
    Clock *data = malloc(cap * sizeof *data);
    if (!data) return false;
    for (size_t i = 0; i < f->count; i++) data[i] = f->data[(f->first + i) % f->cap];
    free(f->data);
    f->data = data;
    f->first = 0;
    f->cap = cap;
  }
  f->data[(f->first + f->count++) % f->cap] = *c;
  return true;
}

bool hazard_done(Hazard *h, VtaUnit unit, unsigned pushes) {
  int u = unit - 1;
  if (h->lost) return false;
  h->clock[u].done[u] = h->now[u];
  for (int ch = 0; ch < CHANNELS; ch++)
    if ((pushes >> ch & 1) && !fifo_add(&h->fifo[ch], &h->clock[u])) return false;
  return true;
}

// Checks and updates one mark; false with the earlier access in *report.
static bool touch(Hazard *h, int u, LastUse *m, bool write, HazardReport *report) {
  uint64_t now = h->now[u];
  const uint64_t *done = h->clock[u].done;
  bool ok = true;
  if (m->write && m->writer != u && m->write > done[m->writer]) {
    *report = (HazardReport){
        .first_writes = true, .first_unit = (VtaUnit)(m->writer + 1), .first = m->write - h->base[m->writer] - 1};
    ok = false;
  }
  if (!write) {
    m->read[u] = now;
    return ok;
  }
  for (int v = 0; ok && v < UNITS; v++) {
    if (v == u || m->read[v] <= done[v]) continue;
    *report = (HazardReport){.first_unit = (VtaUnit)(v + 1), .first = m->read[v] - h->base[v] - 1};
    ok = false;
  }
  m->write = now;
  m->writer = (uint8_t)u;
  return ok;
}

bool hazard_sram(Hazard *h, VtaUnit unit, VtaMemory m, uint64_t first, uint64_t n, bool write, HazardReport *report) {
  if (m == MEM_OUT || m == MEM_ACC8) m = MEM_ACC;
  LastUse *marks = h->sram[m];
  for (uint64_t i = first; i < first + n && i < h->depth[m]; i++) {
    if (touch(h, unit - 1, &marks[i], write, report)) continue;
    report->memory = m;
    report->place = i;
    report->second_writes = write;
    return false;
  }
  return true;
}

// The marks of a DRAM page; NULL when memory is out (then the page goes unchecked, and hazard_done fails).
static LastUse *page_marks(Hazard *h, uint64_t page) {
  if (page >= PAGES) return NULL;
  if (!h->pages[page]) h->pages[page] = calloc(PAGE / h->granule, sizeof(LastUse));
  h->lost |= !h->pages[page];
  return h->pages[page];
}

bool hazard_dram(Hazard *h, VtaUnit unit, uint64_t phys, uint64_t bytes, bool write, HazardReport *report) {
  uint64_t end = phys + bytes;
  for (uint64_t at = phys - phys % h->granule; at < end;) {
    LastUse *marks = page_marks(h, at / PAGE);
    uint64_t stop = (at / PAGE + 1) * PAGE;
    if (stop > end) stop = end;
    for (; marks && at < stop; at += h->granule) {
      if (touch(h, unit - 1, &marks[at % PAGE / h->granule], write, report)) continue;
      report->memory = MEM_COUNT;
      report->place = at;
      report->second_writes = write;
      return false;
    }
    if (!marks) at = stop;
  }
  return true;
}

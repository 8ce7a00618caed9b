// SPDX-License-Identifier: Apache-2.0
// The simulator runs first and leaves a list of writes for each instruction. The core then tells who starts, writes and
// is done: a write belongs to the oldest instruction that its engine has not finished.
#include "lockstep.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Write {
  VtaMemory memory;
  uint32_t index;
  size_t data; // offset of the value, as in DRAM
} Write;

// What an instruction must write: writes [first, first + count), of which `seen` have been.
typedef struct Expected {
  size_t first, count, seen;
  bool started;
} Expected;

// Instructions of a unit, or those that an engine has started: indices into the stream.
typedef struct Line {
  uint32_t *insns;
  size_t head, count; // head: the engine is done with those before
} Line;

struct Lockstep {
  TetcDevice *fsim, *rtl;
  void (*watch)(TetcDevice *, const TetcRtlWatch *);
  const VtaWord *stream;
  size_t n, cap; // instructions; room for them
  Expected *expected;
  Write *writes;
  size_t nwrites, writes_cap;
  uint8_t *data;
  size_t used, size;
  Line units[UNIT_STORE + 1], engines[RTL_NONE];
  bool no_memory;
  LockstepLie lie;
  size_t lie_write, *lie_insn;
  uint64_t compared;
};

static const char *const engine_names[RTL_NONE] = {"compute (micro-op load)",
                                                   "compute (accumulator load)",
                                                   "compute (gemm)",
                                                   "compute (alu)",
                                                   "compute (reset)",
                                                   "load (inp)",
                                                   "load (wgt)"};
static const char *const memory_names[MEM_COUNT] = {"uop", "wgt", "inp", "acc", "out", "acc8"};

// ---- faults --------------------------------------------------------------------------------------------------------

// Cycle, unit, instruction with its listing, and what is wrong.
__attribute__((format(printf, 6, 7))) static bool differ(const Lockstep *l, uint64_t cycle, const char *unit,
                                                         size_t insn, TetcFault *fault, const char *format, ...) {
  char listing[160] = "", what[160];
  VtaInsn i;
  va_list ap;
  va_start(ap, format);
  vsnprintf(what, sizeof what, format, ap);
  va_end(ap);
  if (vta_decode(&l->fsim->config, l->stream[insn], &i)) vta_disassemble(&l->fsim->config, &i, listing, sizeof listing);
  snprintf(fault->text, sizeof fault->text, "cycle %llu, %s, #%zu `%.140s`: %s", (unsigned long long)cycle, unit, insn,
           listing, what);
  fault->insns[0] = insn;
  fault->count = 1;
  return false;
}

// ---- what is expected -----------------------------------------------------------------------------------------------

static void *grow(void *at, size_t *cap, size_t need, size_t each) {
  size_t n = *cap ? *cap : 1024;
  while (n < need) n *= 2;
  if (n == *cap) return at;
  void *p = realloc(at, n * each);
  if (p) *cap = n;
  return p;
}

// The simulator wrote an element.
static void expect(void *context, size_t insn, VtaMemory m, uint64_t index, const void *data) {
  Lockstep *l = context;
  size_t elem = (size_t)vta_elem_bytes(&l->fsim->config, m);
  Write *writes = grow(l->writes, &l->writes_cap, l->nwrites + 1, sizeof *writes);
  if (writes) l->writes = writes;
  uint8_t *bytes = writes ? grow(l->data, &l->size, l->used + elem, 1) : NULL;
  if (!bytes) {
    l->no_memory = true;
    return;
  }
  l->data = bytes;
  uint32_t word;
  if (m == MEM_UOP) word = vta_encode_uop(&l->fsim->config, *(const VtaUop *)data);
  memcpy(l->data + l->used, m == MEM_UOP ? &word : data, elem);
  Expected *e = &l->expected[insn];
  if (!e->count) e->first = l->nwrites;
  e->count++;
  l->writes[l->nwrites++] = (Write){m, (uint32_t)index, l->used};
  l->used += elem;
}

// Falsifies what is expected, as lockstep_lie asked for.
static void falsify(Lockstep *l) {
  if (l->lie == LIE_NONE || l->nwrites == 0) return;
  size_t at = l->lie_write % l->nwrites, insn = 0;
  Expected *e = l->expected;
  while (at < e[insn].first || at >= e[insn].first + e[insn].count) insn++;
  *l->lie_insn = insn;
  switch (l->lie) {
  case LIE_NONE: break;
  case LIE_VALUE: l->data[l->writes[at].data] ^= 16; break;
  case LIE_INDEX: l->writes[at].index ^= 1; break;
  case LIE_MISSING: e[insn].count--; break; // the core's last write is one too many
  case LIE_EXTRA: e[insn].count++; break;   // and here one too few
  }
  l->lie = LIE_NONE;
}

// ---- what the core does ---------------------------------------------------------------------------------------------

static bool started(void *context, uint64_t cycle, VtaUnit unit, uint32_t number, TetcRtlEngine engine,
                    TetcFault *fault) {
  Lockstep *l = context;
  const Line *u = &l->units[unit];
  const char *who = unit == UNIT_LOAD ? "load" : "compute";
  if (number >= u->count)
    return differ(l, cycle, who, l->n - 1, fault, "instruction %u of %zu starts", number, u->count);
  uint32_t insn = u->insns[number];
  Expected *x = &l->expected[insn];
  if (x->started) return differ(l, cycle, who, insn, fault, "starts twice");
  x->started = true;
  if (engine == RTL_NONE && x->count) return differ(l, cycle, who, insn, fault, "starts as if it wrote nothing");
  if (engine != RTL_NONE) l->engines[engine].insns[l->engines[engine].count++] = insn;
  return true;
}

// The first value that differs, lane by lane; uint8_t lanes but for accumulators and micro-ops.
static bool values_differ(const Lockstep *l, const TetcRtlWrite *w, size_t insn, const uint8_t *want,
                          TetcFault *fault) {
  size_t bytes = (size_t)vta_elem_bytes(&l->fsim->config, w->memory);
  const uint8_t *got = w->data, *out = w->out;
  size_t each = w->memory == MEM_ACC || w->memory == MEM_UOP ? 4 : 1;
  for (size_t k = 0; k < bytes; k += each) {
    int32_t a = (int8_t)want[k], b = (int8_t)got[k];
    if (each == 4) memcpy(&a, want + k, 4), memcpy(&b, got + k, 4);
    if (a != b)
      return !differ(l, w->cycle, engine_names[w->engine], insn, fault,
                     "%s[%u] lane %zu is %d, expected %d (write %zu)", memory_names[w->memory], w->index, k / each, b,
                     a, l->expected[insn].seen);
    if (out && out[k / 4] != want[k])
      return !differ(l, w->cycle, engine_names[w->engine], insn, fault, "out[%u] lane %zu is %d, expected %d", w->index,
                     k / 4, (int8_t)out[k / 4], (int8_t)want[k]);
  }
  return false;
}

static bool written(void *context, const TetcRtlWrite *w, TetcFault *fault) {
  Lockstep *l = context;
  Line *e = &l->engines[w->engine];
  const char *who = engine_names[w->engine];
  if (w->fused < 1 || e->head + w->fused > e->count)
    return differ(l, w->cycle, who, e->count ? e->insns[e->count - 1] : 0, fault, "%s[%u] is written by no instruction",
                  memory_names[w->memory], w->index);
  size_t insn = e->insns[e->head + w->fused - 1];
  Expected *x = &l->expected[insn];
  if (x->seen == x->count)
    return differ(l, w->cycle, who, insn, fault, "%s[%u] is written after all of its %zu writes",
                  memory_names[w->memory], w->index, x->count);
  const Write *want = &l->writes[x->first + x->seen];
  if (want->memory != w->memory || want->index != w->index)
    return differ(l, w->cycle, who, insn, fault, "%s[%u] is written, expected %s[%u] (write %zu)",
                  memory_names[w->memory], w->index, memory_names[want->memory], want->index, x->seen);
  if (values_differ(l, w, insn, l->data + want->data, fault)) return false;
  x->seen++;
  l->compared++;
  return true;
}

// Instructions of one pass write the same accumulators in the same order: only the last one's values ever exist.
static bool same_places(const Lockstep *l, const Expected *a, const Expected *b) {
  if (a->count != b->count) return false;
  for (size_t k = 0; k < a->count; k++)
    if (l->writes[a->first + k].index != l->writes[b->first + k].index) return false;
  return true;
}

static bool done(void *context, uint64_t cycle, TetcRtlEngine engine, unsigned fused, TetcFault *fault) {
  Lockstep *l = context;
  Line *e = &l->engines[engine];
  const char *who = engine_names[engine];
  if (e->head + fused > e->count)
    return differ(l, cycle, who, l->n - 1, fault, "an instruction is done that has not started");
  Expected *last = &l->expected[e->insns[e->head + fused - 1]];
  for (unsigned k = 0; k < fused; k++) {
    uint32_t insn = e->insns[e->head++];
    Expected *x = &l->expected[insn];
    if (x != last && !same_places(l, x, last))
      return differ(l, cycle, who, insn, fault, "is fused with another that writes elsewhere");
    if (x != last) x->seen = x->count;
    if (x->seen != x->count)
      return differ(l, cycle, who, insn, fault, "is done after %zu of %zu writes", x->seen, x->count);
  }
  return true;
}

// ---- a run ----------------------------------------------------------------------------------------------------------

static bool prepare(Lockstep *l, const VtaWord *insns, size_t n) {
  if (n > l->cap) {
    Expected *expected = realloc(l->expected, n * sizeof *expected);
    if (!expected) return false;
    l->expected = expected;
    for (int u = 0; u <= UNIT_STORE + RTL_NONE; u++) {
      Line *line = u <= UNIT_STORE ? &l->units[u] : &l->engines[u - UNIT_STORE - 1];
      uint32_t *all = realloc(line->insns, n * sizeof *all);
      if (!all) return false;
      line->insns = all;
    }
    l->cap = n;
  }
  memset(l->expected, 0, n * sizeof *l->expected);
  for (int u = 0; u <= UNIT_STORE; u++) l->units[u].head = l->units[u].count = 0;
  for (int e = 0; e < RTL_NONE; e++) l->engines[e].head = l->engines[e].count = 0;
  for (size_t k = 0; k < n; k++) {
    VtaInsn i;
    if (!vta_decode(&l->fsim->config, insns[k], &i)) continue; // the simulator will say so
    Line *u = &l->units[vta_unit(&i)];
    u->insns[u->count++] = (uint32_t)k;
  }
  l->stream = insns;
  l->n = n;
  l->nwrites = l->used = 0;
  l->no_memory = false;
  return true;
}

bool lockstep_run(Lockstep *l, const VtaWord *insns, size_t n, TetcFault *fault) {
  fault->count = 0;
  if (!prepare(l, insns, n) || !l->fsim->launch(l->fsim->self, insns, NULL, n, fault) || l->no_memory) {
    if (!fault->count) snprintf(fault->text, sizeof fault->text, "no memory for what is expected");
    return false;
  }
  falsify(l);
  if (!l->rtl->launch(l->rtl->self, insns, NULL, n, fault)) return false;
  for (size_t k = 0; k < n; k++)
    if (l->expected[k].seen != l->expected[k].count)
      return differ(l, 0, "after the launch", k, fault, "is not done: %zu of %zu writes", l->expected[k].seen,
                    l->expected[k].count);
  return true;
}

void lockstep_lie(Lockstep *l, LockstepLie lie, size_t write, size_t *insn) {
  l->lie = lie;
  l->lie_write = write;
  l->lie_insn = insn;
}

uint64_t lockstep_writes(const Lockstep *l) { return l->compared; }

Lockstep *lockstep_new(TetcDevice *fsim, TetcDevice *rtl) {
  void *at = tetc_rtl_symbol(rtl, "tetc_rtl_watch");
  Lockstep *l = at ? calloc(1, sizeof *l) : NULL;
  if (!l) return NULL;
  memcpy(&l->watch, &at, sizeof at);
  l->fsim = fsim;
  l->rtl = rtl;
  tetc_fsim_watch(fsim, expect, l);
  l->watch(rtl, &(TetcRtlWatch){.context = l, .start = started, .write = written, .done = done});
  return l;
}

void lockstep_free(Lockstep *l) {
  if (!l) return;
  tetc_fsim_watch(l->fsim, NULL, NULL);
  l->watch(l->rtl, NULL);
  for (int u = 0; u <= UNIT_STORE; u++) free(l->units[u].insns);
  for (int e = 0; e < RTL_NONE; e++) free(l->engines[e].insns);
  free(l->expected);
  free(l->writes);
  free(l->data);
  free(l);
}

// SPDX-License-Identifier: Apache-2.0
// The functional simulator: three units that take their instructions in order and run when their tokens are there.
// Each unit runs as far as it can, load first, then compute, then store: the same order every time, and one that goes
// wrong where a token is missing. What no token orders, the hazard checker finds (when it is on).
#include "runtime/fsim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const channel_names[VTA_CHANNEL_COUNT] = {"load to compute", "compute to load", "compute to store",
                                                             "store to compute"};
static const char *const unit_names[4] = {"", "load", "compute", "store"};

// A unit's share of the stream.
typedef struct UnitState {
  uint32_t *insns; // indices into the stream
  size_t count, cap, next;
} UnitState;

typedef struct Fsim {
  TetcDevice device;
  Sram sram;
  Hazard *hazard;  // NULL: off
  bool no_checker; // there was no memory for it
  TetcStats stats;
  UnitState units[4]; // by VtaUnit
  uint64_t tokens[VTA_CHANNEL_COUNT];
  size_t last_push[VTA_CHANNEL_COUNT]; // who gave the newest token
  const VtaWord *stream;               // during a launch
  size_t current;                      // the instruction that runs
  TetcFault *fault;
  TetcFsimWrite *see; // NULL: nobody watches
  void *see_context;
} Fsim;

// ---- errors --------------------------------------------------------------------------------------------------------

// The disassembly of instruction n of the stream, with its number.
typedef struct InsnText {
  char text[176];
} InsnText;

static InsnText insn_text(const Fsim *f, size_t n) {
  InsnText t;
  VtaInsn i;
  int at = snprintf(t.text, sizeof t.text, "#%zu `", n);
  if (vta_decode(&f->device.config, f->stream[n], &i))
    at += vta_disassemble(&f->device.config, &i, t.text + at, sizeof t.text - (size_t)at - 2);
  else
    at += snprintf(t.text + at, sizeof t.text - (size_t)at, "%016llx%016llx", (unsigned long long)f->stream[n].hi,
                   (unsigned long long)f->stream[n].lo);
  if ((size_t)at > sizeof t.text - 2) at = sizeof t.text - 2;
  snprintf(t.text + at, sizeof t.text - (size_t)at, "`");
  return t;
}

// Notes what went wrong with the current instruction.
__attribute__((format(printf, 2, 3))) static bool fail(Fsim *f, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(f->fault->text, sizeof f->fault->text, fmt, ap);
  va_end(ap);
  f->fault->insns[0] = f->current;
  f->fault->count = 1;
  return false;
}

static bool fail_memory(Fsim *f, const char *what) {
  f->fault->no_memory = true;
  return fail(f, "no memory for %s", what);
}

static bool fail_hazard(Fsim *f, const HazardReport *r) {
  size_t first = f->units[r->first_unit].insns[r->first];
  char place[64];
  if (r->memory == MEM_COUNT) snprintf(place, sizeof place, "DRAM byte 0x%llx", (unsigned long long)r->place);
  else snprintf(place, sizeof place, "%s[%llu]", vta_memory_name(r->memory), (unsigned long long)r->place);
  fail(f, "hazard: %s %s %s, and no token orders it after %s, which %s it", insn_text(f, f->current).text,
       r->second_writes ? "writes" : "reads", place, insn_text(f, first).text, r->first_writes ? "writes" : "reads");
  f->fault->insns[f->fault->count++] = first;
  return false;
}

// ---- transfers -----------------------------------------------------------------------------------------------------

static bool check_sram(Fsim *f, VtaUnit unit, VtaMemory m, uint64_t first, uint64_t n, bool write) {
  HazardReport r;
  return !f->hazard || hazard_sram(f->hazard, unit, m, first, n, write, &r) || fail_hazard(f, &r);
}

static bool check_rows(Fsim *f, VtaUnit unit, const VtaInsn *i, uint64_t elem, bool write) {
  HazardReport r;
  for (uint32_t y = 0; f->hazard && y < i->y_size; y++) {
    uint64_t at = (i->dram_base + (uint64_t)y * i->x_stride) * elem;
    if (!hazard_dram(f->hazard, unit, at, i->x_size * elem, write, &r)) return fail_hazard(f, &r);
  }
  return true;
}

// The host's view of the DRAM rectangle; NULL, with the error noted, if it is not inside one buffer.
static uint8_t *dram_rows(Fsim *f, const VtaInsn *i, uint64_t elem) {
  const char *does = i->opcode == OPC_STORE ? "writes where" : "reads what";
  uint64_t span = ((uint64_t)(i->y_size - 1) * i->x_stride + i->x_size) * elem;
  uint8_t *p = tetc_dram_at(f->device.dram, i->dram_base * elem, span);
  if (!p)
    fail(f, "%s touches DRAM bytes 0x%llx to 0x%llx, which are not in one buffer", insn_text(f, f->current).text,
         (unsigned long long)(i->dram_base * elem), (unsigned long long)(i->dram_base * elem + span));
  for (uint32_t y = 0; p && y < i->y_size; y++) {
    uint64_t at = (i->dram_base + (uint64_t)y * i->x_stride) * elem;
    if (!tetc_dram_dirty(f->device.dram, at, i->x_size * elem, i->opcode == OPC_STORE)) continue;
    fail(f, "%s %s the CPU has written, and no barrier flushed it (row %u, DRAM byte 0x%llx)",
         insn_text(f, f->current).text, does, y, (unsigned long long)at);
    return NULL;
  }
  return p;
}

// Copies `n` elements of DRAM into consecutive on-chip elements; src NULL: zeros.
static void put_elements(Fsim *f, VtaMemory m, uint64_t at, const uint8_t *src, uint64_t n) {
  Sram *s = &f->sram;
  uint64_t inp = (uint64_t)(s->batch * s->block_in), wgt = (uint64_t)(s->block_out * s->block_in);
  uint64_t acc = (uint64_t)(s->batch * s->block_out);
  if (n == 0) return;
  if (!src) {
    if (m == MEM_INP) memset(s->inp + at * inp, 0, n * inp);
    else if (m == MEM_WGT) memset(s->wgt + at * wgt, 0, n * wgt);
    else if (m == MEM_UOP) memset(s->uop + at, 0, n * sizeof *s->uop);
    else memset(s->acc + at * acc, 0, n * acc * sizeof *s->acc);
  } else if (m == MEM_INP) {
    memcpy(s->inp + at * inp, src, n * inp);
  } else if (m == MEM_WGT) {
    memcpy(s->wgt + at * wgt, src, n * wgt);
  } else if (m == MEM_ACC) {
    memcpy(s->acc + at * acc, src, n * acc * sizeof *s->acc);
  } else if (m == MEM_ACC8) {
    for (uint64_t l = 0; l < n * acc; l++) s->acc[at * acc + l] = (int8_t)src[l];
  } else {
    for (uint64_t k = 0; k < n; k++) {
      uint32_t w;
      memcpy(&w, src + 4 * k, 4);
      s->uop[at + k] = vta_decode_uop(&s->config, w);
    }
  }
}

// Shows whoever watches `n` elements that have been written.
static void show(Fsim *f, VtaMemory m, uint64_t first, uint64_t n) {
  if (m == MEM_ACC8) m = MEM_ACC;
  size_t elem = m == MEM_UOP ? sizeof(VtaUop) : (size_t)vta_elem_bytes(&f->device.config, m);
  const uint8_t *data = tetc_fsim_sram(&f->device, m);
  for (uint64_t k = first; f->see && k < first + n; k++) f->see(f->see_context, f->current, m, k, data + k * elem);
}

// Section 6: the padded rectangle, row by row.
static bool run_load(Fsim *f, VtaUnit unit, const VtaInsn *i) {
  if (i->x_size == 0) return true;
  uint64_t elem = (uint64_t)vta_elem_bytes(&f->device.config, i->memory);
  uint64_t width = (uint64_t)i->x_pad0 + i->x_size + i->x_pad1, height = (uint64_t)i->y_pad0 + i->y_size + i->y_pad1;
  uint64_t depth = (uint64_t)vta_depth(&f->device.config, i->memory), at = i->sram_base;
  if (height == 0) return true;
  if (at + width * height > depth)
    return fail(f, "%s writes past the end of the on-chip memory (%llu tiles)", insn_text(f, f->current).text,
                (unsigned long long)depth);
  const uint8_t *src = i->y_size ? dram_rows(f, i, elem) : NULL;
  if (i->y_size && !src) return false;
  if (!check_sram(f, unit, i->memory, at, width * height, true) || !check_rows(f, unit, i, elem, false)) return false;
  put_elements(f, i->memory, at, NULL, i->y_pad0 * width);
  at += i->y_pad0 * width;
  for (uint32_t y = 0; y < i->y_size; y++) {
    put_elements(f, i->memory, at, NULL, i->x_pad0);
    put_elements(f, i->memory, at + i->x_pad0, src + (uint64_t)y * i->x_stride * elem, i->x_size);
    put_elements(f, i->memory, at + i->x_pad0 + i->x_size, NULL, i->x_pad1);
    at += width;
  }
  put_elements(f, i->memory, at, NULL, i->y_pad1 * width);
  if (i->memory == MEM_INP) sram_inp_written(&f->sram, i->sram_base, (int64_t)(width * height));
  if (i->memory == MEM_WGT) sram_wgt_written(&f->sram, i->sram_base, (int64_t)(width * height));
  show(f, i->memory, i->sram_base, width * height);
  f->stats.loads[i->memory]++;
  f->stats.load_bytes[i->memory] += (uint64_t)i->x_size * i->y_size * elem;
  return true;
}

// Section 7: the low bytes of ACC, dense on chip, strided in DRAM.
static bool run_store(Fsim *f, const VtaInsn *i) {
  if (i->x_size == 0 || i->y_size == 0) return true;
  uint64_t elem = (uint64_t)vta_elem_bytes(&f->device.config, MEM_OUT), n = (uint64_t)i->x_size * i->y_size;
  if (i->y_pad0 || i->y_pad1 || i->x_pad0 || i->x_pad1)
    return fail(f, "%s has padding: a store cannot", insn_text(f, f->current).text);
  if (i->sram_base + n > (uint64_t)f->sram.acc_depth)
    return fail(f, "%s reads past the end of the accumulators (%lld tiles)", insn_text(f, f->current).text,
                (long long)f->sram.acc_depth);
  uint8_t *dst = dram_rows(f, i, elem);
  if (!dst) return false;
  if (!check_sram(f, UNIT_STORE, MEM_ACC, i->sram_base, n, false) || !check_rows(f, UNIT_STORE, i, elem, true))
    return false;
  const int32_t *src = f->sram.acc + i->sram_base * elem; // an OUT element has as many bytes as ACC has lanes
  uint64_t row = i->x_size * elem;
  for (uint32_t y = 0; y < i->y_size; y++) {
    uint8_t *to = dst + (uint64_t)y * i->x_stride * elem;
    for (uint64_t l = 0; l < row; l++) to[l] = (uint8_t)src[l];
    src += row;
  }
  f->stats.stores++;
  f->stats.store_bytes += n * elem;
  return true;
}

// ---- compute -------------------------------------------------------------------------------------------------------

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

// The largest index reached from the largest one of the micro-ops; all factors are positive.
static bool reaches(uint32_t base, const VtaInsn *i, uint32_t out, uint32_t in, int64_t depth) {
  return base + (uint64_t)(i->iter_out - 1) * out + (uint64_t)(i->iter_in - 1) * in >= (uint64_t)depth;
}

static bool check_ranges(Fsim *f, const VtaInsn *i, bool uses_src, bool uses_wgt) {
  const Sram *s = &f->sram;
  VtaUop most = {0, 0, 0};
  for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
    most.dst = larger(most.dst, s->uop[k].dst);
    most.src = larger(most.src, s->uop[k].src);
    most.wgt = larger(most.wgt, s->uop[k].wgt);
  }
  const char *what = NULL;
  int64_t src_depth = i->opcode == OPC_GEMM ? s->inp_depth : s->acc_depth;
  if (reaches(most.dst, i, i->dst_out, i->dst_in, s->acc_depth)) what = "destination";
  else if (uses_src && reaches(most.src, i, i->src_out, i->src_in, src_depth)) what = "source";
  else if (uses_wgt && reaches(most.wgt, i, i->wgt_out, i->wgt_in, s->wgt_depth)) what = "weight";
  return !what || fail(f, "%s: a %s index is outside of the on-chip memory", insn_text(f, f->current).text, what);
}

// Every tile that the instruction touches, step by step.
static bool check_compute(Fsim *f, const VtaInsn *i, bool uses_src, bool uses_wgt) {
  HazardReport r;
  VtaMemory from = i->opcode == OPC_GEMM ? MEM_INP : MEM_ACC;
  for (uint32_t o = 0; o < i->iter_out; o++)
    for (uint32_t j = 0; j < i->iter_in; j++)
      for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
        const VtaUop *u = &f->sram.uop[k];
        uint64_t dst = u->dst + o * i->dst_out + j * i->dst_in, src = u->src + o * i->src_out + j * i->src_in;
        uint64_t wgt = u->wgt + o * i->wgt_out + j * i->wgt_in;
        bool ok = (!uses_src || hazard_sram(f->hazard, UNIT_COMPUTE, from, src, 1, false, &r)) &&
                  (!uses_wgt || hazard_sram(f->hazard, UNIT_COMPUTE, MEM_WGT, wgt, 1, false, &r)) &&
                  hazard_sram(f->hazard, UNIT_COMPUTE, MEM_ACC, dst, 1, true, &r);
        if (!ok) return fail_hazard(f, &r);
      }
  return true;
}

// The instruction's steps one by one, each shown: the micro-op is for a moment what the loops make of it.
static void compute_steps(Fsim *f, const VtaInsn *i) {
  VtaInsn one = *i;
  one.iter_out = one.iter_in = 1;
  for (uint32_t o = 0; o < i->iter_out; o++)
    for (uint32_t j = 0; j < i->iter_in; j++)
      for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
        VtaUop *u = &f->sram.uop[k], kept = *u;
        u->dst += o * i->dst_out + j * i->dst_in;
        u->src += o * i->src_out + j * i->src_in;
        if (i->opcode == OPC_GEMM) u->wgt += o * i->wgt_out + j * i->wgt_in;
        one.uop_begin = k;
        one.uop_end = k + 1;
        if (i->opcode == OPC_GEMM) sram_gemm(&f->sram, &one);
        else sram_alu(&f->sram, &one);
        show(f, MEM_ACC, u->dst, 1);
        *u = kept;
      }
}

static bool run_compute(Fsim *f, const VtaInsn *i) {
  bool gemm = i->opcode == OPC_GEMM;
  bool uses_src = gemm ? !i->reset : !i->use_imm, uses_wgt = gemm && !i->reset;
  uint64_t uops = i->uop_end > i->uop_begin ? i->uop_end - i->uop_begin : 0;
  uint64_t steps = uops * i->iter_out * i->iter_in;
  f->stats.gemms += gemm && !i->reset;
  f->stats.resets += gemm && i->reset;
  f->stats.alus += !gemm;
  if (steps == 0) return true;
  if (i->uop_end > f->sram.uop_depth)
    return fail(f, "%s reads past the end of the micro-op buffer (%lld)", insn_text(f, f->current).text,
                (long long)f->sram.uop_depth);
  if (!check_ranges(f, i, uses_src, uses_wgt)) return false;
  if (f->hazard && !check_compute(f, i, uses_src, uses_wgt)) return false;
  if (f->see) compute_steps(f, i);
  else if (gemm) sram_gemm(&f->sram, i);
  else sram_alu(&f->sram, i);
  if (!gemm) f->stats.alu_uops += steps;
  else if (i->reset) f->stats.reset_uops += steps;
  else f->stats.gemm_uops += steps;
  if (uses_wgt) f->stats.macs += steps * (uint64_t)(f->sram.batch * f->sram.block_in * f->sram.block_out);
  return true;
}

// ---- units and tokens ----------------------------------------------------------------------------------------------

// The channels an instruction takes tokens from and gives them to, a bit each. Flags that no channel belongs to (a
// load's previous unit, a store's next) are ignored, as hardware does.
static void channels(VtaUnit unit, const VtaInsn *i, unsigned *pops, unsigned *pushes) {
  *pops = *pushes = 0;
  switch (unit) {
  case UNIT_LOAD:
    if (i->pop_next) *pops |= 1u << COMPUTE_TO_LOAD;
    if (i->push_next) *pushes |= 1u << LOAD_TO_COMPUTE;
    break;
  case UNIT_COMPUTE:
    if (i->pop_prev) *pops |= 1u << LOAD_TO_COMPUTE;
    if (i->pop_next) *pops |= 1u << STORE_TO_COMPUTE;
    if (i->push_prev) *pushes |= 1u << COMPUTE_TO_LOAD;
    if (i->push_next) *pushes |= 1u << COMPUTE_TO_STORE;
    break;
  case UNIT_STORE:
    if (i->pop_prev) *pops |= 1u << COMPUTE_TO_STORE;
    if (i->push_prev) *pushes |= 1u << STORE_TO_COMPUTE;
    break;
  }
}

static bool execute(Fsim *f, VtaUnit unit, const VtaInsn *i) {
  switch (i->opcode) {
  case OPC_LOAD: return run_load(f, unit, i);
  case OPC_STORE: return run_store(f, i);
  case OPC_GEMM:
  case OPC_ALU: return run_compute(f, i);
  case OPC_FINISH: break;
  }
  return true;
}

// Runs a unit as far as its tokens go. *progress: it ran something.
static bool run_unit(Fsim *f, VtaUnit unit, bool *progress) {
  UnitState *u = &f->units[unit];
  for (; u->next < u->count; u->next++) {
    VtaInsn i;
    unsigned pops, pushes;
    f->current = u->insns[u->next];
    vta_decode(&f->device.config, f->stream[f->current], &i);
    channels(unit, &i, &pops, &pushes);
    for (int ch = 0; ch < VTA_CHANNEL_COUNT; ch++)
      if ((pops >> ch & 1) && !f->tokens[ch]) return true;
    for (int ch = 0; ch < VTA_CHANNEL_COUNT; ch++) f->tokens[ch] -= pops >> ch & 1;
    if (f->hazard) hazard_start(f->hazard, unit, pops);
    if (!execute(f, unit, &i)) return false;
    if (f->hazard && !hazard_done(f->hazard, unit, pushes)) return fail_memory(f, "the hazard checker");
    for (int ch = 0; ch < VTA_CHANNEL_COUNT; ch++) {
      if (!(pushes >> ch & 1)) continue;
      f->tokens[ch]++;
      f->last_push[ch] = f->current;
    }
    *progress = true;
  }
  return true;
}

// ---- launching -----------------------------------------------------------------------------------------------------

static bool route(Fsim *f, VtaUnit unit, size_t n) {
  UnitState *u = &f->units[unit];
  if (u->count == u->cap) {
    size_t cap = u->cap ? 2 * u->cap : 1024;
    uint32_t *insns = realloc(u->insns, cap * sizeof *insns);
    if (!insns) return fail_memory(f, "the instructions");
    u->insns = insns;
    u->cap = cap;
  }
  u->insns[u->count++] = (uint32_t)n;
  return true;
}

// Sorts the stream into the units' queues; every instruction must decode, FINISH must be the last and only one.
static bool fetch(Fsim *f, size_t n) {
  for (int u = UNIT_LOAD; u <= UNIT_STORE; u++) f->units[u].count = f->units[u].next = 0;
  if (n > UINT32_MAX) return fail(f, "a launch of %zu instructions", n);
  for (size_t k = 0; k < n; k++) {
    VtaInsn i;
    f->current = k;
    if (!vta_decode(&f->device.config, f->stream[k], &i))
      return fail(f, "%s is not an instruction", insn_text(f, k).text);
    if ((i.opcode == OPC_FINISH) != (k + 1 == n))
      return fail(f, k + 1 == n ? "the stream ends without finish, in %s" : "the stream goes on after %s",
                  insn_text(f, k).text);
    if (!route(f, vta_unit(&i), k)) return false;
  }
  return true;
}

// Names every unit that waits, its instruction, and the token it waits for.
static bool fail_deadlock(Fsim *f) {
  char text[640];
  int at = 0;
  for (int unit = UNIT_LOAD; unit <= UNIT_STORE; unit++) {
    const UnitState *u = &f->units[unit];
    VtaInsn i;
    unsigned pops, pushes;
    if (u->next == u->count) continue;
    f->current = u->insns[u->next];
    vta_decode(&f->device.config, f->stream[u->insns[u->next]], &i);
    channels((VtaUnit)unit, &i, &pops, &pushes);
    for (int ch = 0; ch < VTA_CHANNEL_COUNT; ch++)
      if ((pops >> ch & 1) && !f->tokens[ch] && at < (int)sizeof text)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%s waits at %s for a token from %s", at ? "; " : "",
                       unit_names[unit], insn_text(f, u->insns[u->next]).text, channel_names[ch]);
  }
  return fail(f, "deadlock: %s", text);
}

static bool run_stream(Fsim *f) {
  for (bool progress = true; progress;) {
    progress = false;
    for (int unit = UNIT_LOAD; unit <= UNIT_STORE; unit++)
      if (!run_unit(f, (VtaUnit)unit, &progress)) return false;
  }
  for (int unit = UNIT_LOAD; unit <= UNIT_STORE; unit++)
    if (f->units[unit].next < f->units[unit].count) return fail_deadlock(f);
  for (int ch = 0; ch < VTA_CHANNEL_COUNT; ch++)
    if (f->tokens[ch]) {
      f->current = f->last_push[ch];
      return fail(f, "%llu token%s from %s left over, the last one given by %s", (unsigned long long)f->tokens[ch],
                  f->tokens[ch] == 1 ? "" : "s", channel_names[ch], insn_text(f, f->last_push[ch]).text);
    }
  return true;
}

static void fsim_reset(void *self) {
  Fsim *f = self;
  memset(f->tokens, 0, sizeof f->tokens);
  if (f->hazard) hazard_reset(f->hazard);
}

static bool fsim_launch(void *self, const VtaWord *insns, const uint32_t *marks, size_t n, TetcFault *fault) {
  Fsim *f = self;
  f->stream = insns;
  f->fault = fault;
  f->current = 0;
  (void)marks;
  if (n == 0) return true;
  if (f->no_checker) return fail_memory(f, "the hazard checker");
  if (f->hazard) hazard_begin(f->hazard);
  bool ok = fetch(f, n) && run_stream(f);
  f->stats.launches++;
  f->stats.instructions += n;
  if (!ok) fsim_reset(f);
  f->stream = NULL;
  return ok;
}

// ---- the device ----------------------------------------------------------------------------------------------------

// Without memory for it nothing is launched: what it would have found would not be found.
static void fsim_check(void *self, bool on) {
  Fsim *f = self;
  if (on && !f->hazard) f->hazard = hazard_new(&f->device.config);
  f->no_checker = on && !f->hazard;
  if (on || !f->hazard) return;
  hazard_free(f->hazard);
  f->hazard = NULL;
}

static const TetcStats *fsim_stats(void *self) { return &((Fsim *)self)->stats; }

static void fsim_clear_stats(void *self) { ((Fsim *)self)->stats = (TetcStats){0}; }

static void fsim_free(void *self) {
  Fsim *f = self;
  hazard_free(f->hazard);
  sram_free(&f->sram);
  for (int u = UNIT_LOAD; u <= UNIT_STORE; u++) free(f->units[u].insns);
  tetc_dram_free(f->device.dram);
  free(f);
}

TetcDevice *tetc_fsim_new(const VtaConfig *config) {
  Fsim *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->device = (TetcDevice){.name = "fsim",
                           .config = *config,
                           .dram = tetc_dram_new(),
                           .self = f,
                           .launch = fsim_launch,
                           .reset = fsim_reset,
                           .check = fsim_check,
                           .stats = fsim_stats,
                           .clear_stats = fsim_clear_stats,
                           .free = fsim_free};
  if (f->device.dram && sram_init(&f->sram, config)) return &f->device;
  fsim_free(f);
  return NULL;
}

bool tetc_fsim_use(TetcDevice *d, int level) { return sram_use(&((Fsim *)d->self)->sram, (SimdLevel)level); }

const char *tetc_fsim_level_name(const TetcDevice *d) {
  static const char *const names[] = {"best", "C", "AVX2", "AVX-512 VNNI"};
  return names[((const Fsim *)d->self)->sram.level];
}

void tetc_fsim_watch(TetcDevice *d, TetcFsimWrite *see, void *context) {
  Fsim *f = d->self;
  f->see = see;
  f->see_context = context;
}

void *tetc_fsim_sram(TetcDevice *d, VtaMemory m) {
  Sram *s = &((Fsim *)d->self)->sram;
  switch (m) {
  case MEM_UOP: return s->uop;
  case MEM_WGT: return s->wgt;
  case MEM_INP: return s->inp;
  case MEM_ACC:
  case MEM_OUT:
  case MEM_ACC8:
  case MEM_COUNT: break;
  }
  return s->acc;
}

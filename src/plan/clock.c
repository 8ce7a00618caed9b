// SPDX-License-Identifier: Apache-2.0
// What a stream of instructions takes: units that take theirs in order, tokens between them, engines side by side, one
// bus each way. Coarse: it is to tell candidates apart, not to predict.
#include "plan/internal.h"

enum {
  STORES = 8,
  SEEN = 1,
  ON_THE_WAY = 4, // cycles of a read beside the memory's latency
  SCAN = 3,
  WINDOW = 16,
  RECENT = 24,
  TAIL = 6,
  ALU_FUSED = 3,
  SCANNED = 64
};

typedef struct Times { // tokens on their way: when each was given
  VEC(int64_t) at;
  size_t taken;
} Times;

typedef struct Touch { // an instruction of compute that may be under way
  int64_t lo, hi, start, done;
  int engine;
} Touch;

enum { ENGINE_UOP, ENGINE_ACC, ENGINE_GEMM, ENGINE_ALU, ENGINE_RESET, ENGINES };

typedef struct Clock {
  Ctx *cx;
  const VtaConfig *config;
  const TetcRtlOptions *core;
  int64_t latency; // of a read
  Times channel[VTA_CHANNEL_COUNT];
  VEC(const VtaStreamInsn *) queue[UNIT_STORE + 1];
  size_t next[UNIT_STORE + 1];
  int64_t read_free, write_free, end;
  int64_t load_start, load_given, load_free[MEM_COUNT];
  int64_t entry, retired, gives_store, loaded, stored, engine[ENGINES];
  int64_t window[WINDOW];
  size_t ncompute;
  Touch recent[RECENT], stores[STORES];
  size_t nstores;
  VEC(int64_t) store_done; // of all stores
  VEC(size_t) givers;      // the stores that give a token, in order
  VtaInsn last;            // of compute: immediates of the ALU are fused
  int fused;
  uint32_t *dst; // of the micro-ops on chip
} Clock;

static bool wants(const Clock *k, VtaUnit u, const VtaInsn *i) {
  const Times *prev = u == UNIT_COMPUTE ? &k->channel[LOAD_TO_COMPUTE] : &k->channel[COMPUTE_TO_STORE];
  const Times *next = u == UNIT_COMPUTE ? &k->channel[STORE_TO_COMPUTE] : &k->channel[COMPUTE_TO_LOAD];
  return (!i->pop_prev || prev->taken < prev->at.len) && (!i->pop_next || next->taken < next->at.len);
}

static int64_t take(Times *t) { return t->at.data[t->taken++]; }

static void give(Clock *k, VtaChannel c, int64_t at) { VEC_PUSH(k->cx->arena, k->channel[c].at, at); }

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t bus_take(int64_t *free, int64_t from, int64_t beats) {
  *free = later(*free, from) + beats;
  return *free;
}

static int64_t beats_of(const Clock *k, const VtaInsn *i) {
  int64_t bytes = k->core->bus / 8;
  int64_t row = ((int64_t)i->x_size * vta_elem_bytes(k->config, i->memory) + bytes - 1) / bytes;
  return bus_cycles(k->core, row * i->y_size);
}

static int64_t cells_of(const VtaInsn *i) {
  return (int64_t)(i->x_size + i->x_pad0 + i->x_pad1) * (i->y_size + i->y_pad0 + i->y_pad1);
}

static void run_load(Clock *k, const VtaInsn *i) {
  int64_t start = k->load_start + 1;
  if (i->pop_next) start = later(start, take(&k->channel[COMPUTE_TO_LOAD]));
  k->load_start = start;
  int64_t begin = later(start, k->load_free[i->memory]), beats = beats_of(k, i), cells = cells_of(i);
  int64_t bus = bus_take(&k->read_free, begin, beats);
  int64_t done = later(bus, begin + cells) + k->latency;
  k->load_free[i->memory] = later(bus, begin + later(cells, i->y_size));
  k->load_given = later(k->load_given, done);
  if (i->push_next) give(k, LOAD_TO_COMPUTE, k->load_given);
  k->end = later(k->end, done);
}

static void run_store(Clock *k, const VtaInsn *i) {
  int64_t start = k->stored;
  if (i->pop_prev) start = later(start, take(&k->channel[COMPUTE_TO_STORE]));
  k->stored = bus_take(&k->write_free, start + 8, beats_of(k, i)) + 2 + k->core->write_latency;
  int64_t lo = i->sram_base;
  k->stores[k->nstores++ % STORES] = (Touch){.lo = lo, .hi = lo + cells_of(i) - 1, .done = k->stored};
  if (i->push_prev) VEC_PUSH(k->cx->arena, k->givers, k->store_done.len);
  VEC_PUSH(k->cx->arena, k->store_done, k->stored);
  if (i->push_prev) give(k, STORE_TO_COMPUTE, k->stored);
  k->end = later(k->end, k->stored);
}

// The accumulators that a GEMM or ALU instruction touches.
static void touched(const Clock *k, const VtaInsn *i, int64_t *lo, int64_t *hi) {
  *lo = INT64_MAX, *hi = -1;
  for (uint32_t u = i->uop_begin; u < i->uop_end; u++) {
    if (k->dst[u] < *lo) *lo = k->dst[u];
    if (k->dst[u] > *hi) *hi = k->dst[u];
  }
  *hi += (int64_t)(i->iter_out - 1) * i->dst_out + (int64_t)(i->iter_in - 1) * i->dst_in;
}

// An immediate operation right behind others of the same loop, in one pass with them.
static bool is_fused(Clock *k, const VtaInsn *i) {
  const VtaInsn *l = &k->last;
  bool one = i->opcode == OPC_ALU && i->use_imm && i->uop_end - i->uop_begin == 1;
  bool same = one && k->fused && l->iter_out == i->iter_out && l->iter_in == i->iter_in && l->dst_out == i->dst_out &&
              l->dst_in == i->dst_in && k->dst[l->uop_begin] == k->dst[i->uop_begin];
  same &= i->alu_op != ALU_SHR && i->alu_op != ALU_MUL && k->fused < ALU_FUSED;
  k->fused = same ? k->fused + 1 : one;
  return same;
}

static int engine_of(const VtaInsn *i) {
  if (i->opcode == OPC_LOAD) return i->memory == MEM_UOP ? ENGINE_UOP : ENGINE_ACC;
  if (i->opcode == OPC_ALU) return ENGINE_ALU;
  return i->reset ? ENGINE_RESET : ENGINE_GEMM;
}

// What an instruction of compute is to the others: its engine, for how many cycles, the accumulators that it touches.
typedef struct Work {
  int engine;
  int64_t uops, length, lo, hi; // hi < lo: none
} Work;

static Work work_of(Clock *k, const VtaStreamInsn *s) {
  const VtaInsn *i = &s->insn;
  Work w = {.engine = engine_of(i), .length = 1, .lo = 0, .hi = -1};
  if (i->opcode == OPC_FINISH) return w;
  if (i->opcode == OPC_LOAD && i->memory == MEM_UOP) {
    for (uint32_t u = 0; u < s->nuops; u++) k->dst[i->sram_base + u] = s->uops[u].dst;
    w.length = 0;
  } else if (i->opcode == OPC_LOAD) {
    w.lo = i->sram_base, w.hi = w.lo + cells_of(i) - 1;
  } else {
    w.uops = (int64_t)i->uop_end - i->uop_begin;
    touched(k, i, &w.lo, &w.hi);
    w.length = w.uops * i->iter_out * i->iter_in;
    if (w.uops > SCANNED) w.lo = 0, w.hi = INT64_MAX / 2;
    if (w.engine == ENGINE_RESET) w.length = w.length / 24 + 4;
    if (w.engine == ENGINE_ALU && is_fused(k, i)) w.length = 0;
  }
  return w;
}

// When what touches w's accumulators lets it start: compute's own, and stores under way.
static int64_t after_others(const Clock *k, const Work *w, int64_t start) {
  for (int r = 0; r < RECENT; r++) {
    const Touch *t = &k->recent[r];
    if (t->lo > w->hi || w->lo > t->hi) continue;
    start = later(start, t->engine == w->engine ? t->start : t->done);
  }
  // Compute looks SEEN stores ahead of those that are done.
  size_t taken = k->channel[STORE_TO_COMPUTE].taken, giver = taken ? k->givers.data[taken - 1] : 0;
  if (giver >= SEEN) start = later(start, k->store_done.data[giver - SEEN]);
  // What a store reads is written when that store is done, whenever its token is taken.
  for (int r = 0; r < STORES; r++)
    if (k->stores[r].lo <= w->hi && w->lo <= k->stores[r].hi) start = later(start, k->stores[r].done);
  return later(start, k->engine[w->engine]);
}

static void run_compute(Clock *k, const VtaStreamInsn *s) {
  const VtaInsn *i = &s->insn;
  bool moves = i->opcode == OPC_LOAD;
  Work w = work_of(k, s);
  int64_t scan = w.uops <= 1 ? 0 : w.uops <= SCANNED ? 2 + w.uops : 2;
  k->entry = later(k->entry + SCAN + scan, k->window[k->ncompute % WINDOW]);
  int64_t start = k->entry;
  if (i->pop_prev) k->loaded = later(k->loaded, take(&k->channel[LOAD_TO_COMPUTE]));
  if (i->pop_next) k->gives_store = later(k->gives_store, take(&k->channel[STORE_TO_COMPUTE]));
  if (w.engine == ENGINE_GEMM) start = later(start, k->loaded);
  if (moves) start = later(start, k->gives_store);
  if (w.engine != ENGINE_ALU) k->fused = 0;
  start = after_others(k, &w, start);
  int64_t done = start + w.length + TAIL;
  if (moves) done = bus_take(&k->read_free, start, beats_of(k, i)) + k->latency;
  if (moves && i->memory == MEM_UOP) k->entry = later(k->entry, done - k->latency / 2);
  k->engine[w.engine] = moves ? done - k->latency : start + w.length;
  k->recent[k->ncompute % RECENT] = (Touch){w.lo, w.hi, start, done, w.engine};
  k->retired = later(k->retired, later(done, w.engine == ENGINE_GEMM ? 0 : k->loaded));
  k->window[k->ncompute++ % WINDOW] = k->retired;
  if (i->push_prev) give(k, COMPUTE_TO_LOAD, k->retired);
  if (i->push_next) give(k, COMPUTE_TO_STORE, done);
  k->last = *i;
  k->end = later(k->end, done);
}

static int64_t ready(const Clock *k, VtaUnit u) {
  return u == UNIT_LOAD ? k->load_start : u == UNIT_STORE ? k->stored : k->entry;
}

int64_t clock_stream(Ctx *cx, const VtaConfig *config, const TetcRtlOptions *core, const VtaStream *stream) {
  Clock *k = NEW(cx->arena, Clock);
  k->cx = cx;
  k->config = config;
  k->core = core;
  k->latency = core->latency + ON_THE_WAY;
  k->dst = NEW_ARRAY(cx->arena, uint32_t, vta_depth(config, MEM_UOP) + 1);
  for (int r = 0; r < RECENT; r++) k->recent[r].hi = -1;
  for (int r = 0; r < STORES; r++) k->stores[r].hi = -1;
  for (size_t i = 0; i < stream->n; i++)
    if (stream->insns[i].legal) VEC_PUSH(cx->arena, k->queue[vta_unit(&stream->insns[i].insn)], &stream->insns[i]);
  for (;;) {
    int best = 0;
    for (int u = UNIT_LOAD; u <= UNIT_STORE; u++)
      if (k->next[u] < k->queue[u].len && wants(k, (VtaUnit)u, &k->queue[u].data[k->next[u]]->insn) &&
          (!best || ready(k, (VtaUnit)u) < ready(k, (VtaUnit)best)))
        best = u;
    if (!best) break;
    const VtaStreamInsn *s = k->queue[best].data[k->next[best]++];
    if (best == UNIT_LOAD) run_load(k, &s->insn);
    else if (best == UNIT_STORE) run_store(k, &s->insn);
    else run_compute(k, s);
  }
  return k->end;
}

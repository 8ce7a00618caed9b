// SPDX-License-Identifier: Apache-2.0
// Who is known to be done when: a vector clock for each unit, as in src/runtime/hazard.c, but asked before the fact.
// Every element on chip and every granule of DRAM remembers its last writer and its last reader in each unit; an
// instruction that would come too early takes tokens until its clock says otherwise.
#include "stream.h"

#include <stdlib.h>
#include <string.h>

enum {
  GRANULE = 16,
  GRANULES = STREAM_DRAM / GRANULE,
  UOP_AT = STREAM_DRAM - 4 * STREAM_UOPS,
  UNITS = 4,
  CHANNELS = 4,
  UOPS_MOST = 8192,
  WORK = STREAM_INSNS - 160
};

typedef struct Clock {
  uint32_t done[UNITS]; // by unit: its instructions up to this one, counted from 1
} Clock;

// A token on its way: who gave it, and what it knew.
typedef struct Token {
  uint32_t giver;
  Clock clock;
} Token;

typedef struct Tokens {
  Token some[STREAM_INSNS];
  size_t head, count;
} Tokens;

typedef struct Mark {
  uint32_t write, read[UNITS]; // numbers of instructions; 0: none
  VtaUnit writer;
} Mark;

struct Maker {
  VtaConfig config;
  uint64_t phys, seed;
  Coverage *coverage;
  VtaInsn insns[STREAM_INSNS];
  VtaWord words[STREAM_INSNS];
  size_t n, last[UNITS];  // last: 1 + index of the unit's newest instruction
  uint32_t number[UNITS]; // of that instruction, within its unit
  Clock clock[UNITS];
  Tokens tokens[CHANNELS];
  Mark *sram[MEM_ACC + 1], dram[GRANULES];
  VtaUop table[STREAM_UOPS], uops[UOPS_MOST]; // in DRAM; on chip
  uint32_t kernel, kernel_uops;               // micro-ops of the newest kernel
  uint32_t patience, thrift; // of this stream: how seldom it takes tokens that it need not take, and gives such
};

static uint32_t below(Maker *m, uint32_t n) {
  m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
  return n ? (uint32_t)((m->seed >> 33) % n) : 0;
}

static uint32_t depth_of(const Maker *m, VtaMemory memory) { return (uint32_t)vta_depth(&m->config, memory); }

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

// ---- tokens ---------------------------------------------------------------------------------------------------------

// The channel from one unit to its neighbour.
static int channel(VtaUnit from, VtaUnit to) {
  if (from == UNIT_LOAD) return 0;
  if (from == UNIT_STORE) return 3;
  return to == UNIT_LOAD ? 1 : 2;
}

static void give(Maker *m, VtaUnit from, VtaUnit to) {
  VtaInsn *i = &m->insns[m->last[from] - 1];
  bool *flag = to > from ? &i->push_next : &i->push_prev;
  Tokens *t = &m->tokens[channel(from, to)];
  if (*flag || t->count == STREAM_INSNS) return;
  *flag = true;
  Token token = {m->number[from], m->clock[from]};
  token.clock.done[from] = m->number[from];
  t->some[t->count++] = token;
  coverage_token(m->coverage, channel(from, to), t->count - t->head);
}

static void take(Maker *m, VtaInsn *i, VtaUnit from, VtaUnit to) {
  Tokens *t = &m->tokens[channel(from, to)];
  const Token *token = &t->some[t->head++];
  *(from < to ? &i->pop_prev : &i->pop_next) = true;
  for (int u = UNIT_LOAD; u < UNITS; u++)
    if (m->clock[to].done[u] < token->clock.done[u]) m->clock[to].done[u] = token->clock.done[u];
}

static void append(Maker *m, const VtaInsn *i) {
  VtaUnit unit = vta_unit(i);
  coverage_insn(m->coverage, i, m->uops);
  m->insns[m->n++] = *i;
  m->last[unit] = m->n;
  m->number[unit]++;
}

// Something that does nothing, for the unit's tokens.
static VtaInsn nothing(Maker *m, VtaUnit unit) {
  static const VtaMemory store[] = {MEM_UOP, MEM_OUT};
  if (unit == UNIT_STORE) return (VtaInsn){.opcode = OPC_STORE, .memory = store[below(m, 2)]};
  if (unit == UNIT_LOAD) return (VtaInsn){.opcode = OPC_LOAD, .memory = below(m, 2) ? MEM_INP : MEM_WGT};
  if (below(m, 2)) return (VtaInsn){.opcode = OPC_LOAD, .memory = below(m, 2) ? MEM_UOP : MEM_ACC};
  return (VtaInsn){.opcode = below(m, 2) ? OPC_GEMM : OPC_ALU, .iter_in = 1, .uop_end = below(m, 2)};
}

// Lets `i`, the next instruction of `unit`, know that `from` has done its instruction `number`.
static void learn(Maker *m, VtaInsn *i, VtaUnit unit, VtaUnit from, uint32_t number) {
  if (m->clock[unit].done[from] >= number) return;
  if (unit != UNIT_COMPUTE && from != UNIT_COMPUTE) { // load and store meet in compute
    VtaInsn middle = nothing(m, UNIT_COMPUTE);
    learn(m, &middle, UNIT_COMPUTE, from, number);
    append(m, &middle);
    from = UNIT_COMPUTE;
    number = m->number[UNIT_COMPUTE];
  }
  const Tokens *t = &m->tokens[channel(from, unit)];
  if (t->head == t->count || t->some[t->count - 1].giver < number) give(m, from, unit);
  while (m->clock[unit].done[from] < number) {
    if (from < unit ? i->pop_prev : i->pop_next) { // one token an instruction: those before go to one of their own
      VtaInsn before = nothing(m, unit);
      *(from < unit ? &before.pop_prev : &before.pop_next) = true;
      append(m, &before);
    }
    take(m, i, from, unit);
  }
}

// ---- what an instruction touches ------------------------------------------------------------------------------------

typedef struct Touch {
  VtaUnit unit;
  bool mark;            // else ask
  uint32_t need[UNITS]; // numbers that must be done
} Touch;

static void later(uint32_t *a, uint32_t b) {
  if (*a < b) *a = b;
}

static void touch(Touch *t, Mark *mark, uint32_t number, bool write) {
  if (t->mark) {
    if (write) mark->write = number, mark->writer = t->unit;
    else mark->read[t->unit] = number;
    return;
  }
  if (mark->write && mark->writer != t->unit) later(&t->need[mark->writer], mark->write);
  for (int u = UNIT_LOAD; write && u < UNITS; u++)
    if (u != (int)t->unit) later(&t->need[u], mark->read[u]);
}

static void touch_move(Maker *m, Touch *t, const VtaInsn *i, uint32_t number) {
  bool store = i->opcode == OPC_STORE;
  VtaMemory on = i->memory == MEM_OUT || i->memory == MEM_ACC8 ? MEM_ACC : i->memory;
  uint32_t tiles = (i->y_pad0 + i->y_size + i->y_pad1) * (i->x_pad0 + i->x_size + i->x_pad1);
  uint64_t elem = (uint64_t)vta_elem_bytes(&m->config, i->memory);
  if (i->x_size == 0) return;
  for (uint32_t k = 0; k < tiles; k++) touch(t, &m->sram[on][i->sram_base + k], number, !store);
  for (uint32_t y = 0; y < i->y_size; y++) {
    uint64_t at = (i->dram_base + (uint64_t)y * i->x_stride) * elem - m->phys, end = at + i->x_size * elem;
    for (uint64_t g = at / GRANULE; g * GRANULE < end; g++) touch(t, &m->dram[g], number, store);
  }
}

static void touch_all(Maker *m, Touch *t, const VtaInsn *i, uint32_t number) {
  if (i->opcode == OPC_LOAD || i->opcode == OPC_STORE) {
    touch_move(m, t, i, number);
    return;
  }
  for (uint64_t k = 0, n = coverage_steps(i); k < n; k++) {
    VtaUop u = coverage_step(i, m->uops, k);
    touch(t, &m->sram[MEM_ACC][u.dst], number, true);
    if (i->opcode == OPC_ALU && !i->use_imm) touch(t, &m->sram[MEM_ACC][u.src], number, false);
    if (i->opcode != OPC_GEMM || i->reset) continue;
    touch(t, &m->sram[MEM_INP][u.src], number, false);
    touch(t, &m->sram[MEM_WGT][u.wgt], number, false);
  }
}

// The on-chip micro-ops after a load.
static void load_uops(Maker *m, const VtaInsn *i) {
  if (i->opcode != OPC_LOAD || i->memory != MEM_UOP || i->x_size == 0) return;
  uint32_t at = i->sram_base, width = i->x_pad0 + i->x_size + i->x_pad1;
  for (uint32_t y = 0; y < i->y_pad0 + i->y_size + i->y_pad1; y++)
    for (uint32_t x = 0; x < width; x++) {
      bool data = y >= i->y_pad0 && y < i->y_pad0 + i->y_size && x >= i->x_pad0 && x < i->x_pad0 + i->x_size;
      uint64_t from = i->dram_base + (uint64_t)(y - i->y_pad0) * i->x_stride + x - i->x_pad0 - (m->phys + UOP_AT) / 4;
      m->uops[at++] = data ? m->table[from] : (VtaUop){0, 0, 0};
    }
}

// Room for another token that nobody needs.
static bool few(Maker *m, int c) { return m->tokens[c].count - m->tokens[c].head < 1 + below(m, 20); }

// Appends an instruction, with the tokens that it needs and perhaps others.
static void add(Maker *m, VtaInsn i) {
  VtaUnit unit = vta_unit(&i);
  Touch t = {.unit = unit};
  touch_all(m, &t, &i, 0);
  for (int u = UNIT_LOAD; u < UNITS; u++) learn(m, &i, unit, (VtaUnit)u, t.need[u]);
  for (int u = UNIT_LOAD; u < UNITS; u++) {
    if (u + (int)unit == UNIT_LOAD + UNIT_STORE || u == (int)unit) continue; // not neighbours
    const Tokens *c = &m->tokens[channel((VtaUnit)u, unit)];
    bool taken = u < (int)unit ? i.pop_prev : i.pop_next;
    if (!taken && c->head < c->count && below(m, m->patience) == 0) take(m, &i, (VtaUnit)u, unit);
  }
  append(m, &i);
  t.mark = true;
  touch_all(m, &t, &i, m->number[unit]);
  load_uops(m, &i);
  for (int u = UNIT_LOAD; u < UNITS; u++)
    if (u + (int)unit != UNIT_LOAD + UNIT_STORE && u != (int)unit && below(m, m->thrift) == 0 &&
        few(m, channel(unit, (VtaUnit)u)))
      give(m, unit, (VtaUnit)u);
}

// ---- instructions ---------------------------------------------------------------------------------------------------

static void random_pads(Maker *m, VtaInsn *i) {
  bool in_x = below(m, 2), in_y = below(m, 2);
  uint32_t most = below(m, 8) ? 3 : 16;
  if (in_x) i->x_pad0 = below(m, most), i->x_pad1 = below(m, most) + (i->x_pad0 == 0);
  if (in_y) i->y_pad0 = below(m, most), i->y_pad1 = below(m, most) + (i->y_pad0 == 0);
  if (i->x_pad1 > 15) i->x_pad1 = 15;
  if (i->y_pad1 > 15) i->y_pad1 = 15;
}

// One row, or rows that touch, leave gaps, overlap or are all the same.
static void random_rows(Maker *m, VtaInsn *i, bool may_be_long) {
  static const uint32_t usual[MEM_COUNT] = {40, 5, 40, 16, 30, 16}, longest[MEM_COUNT] = {1900, 40, 560, 140, 560, 560};
  bool is_long = may_be_long && below(m, 12) == 0;
  i->x_size = 1 + below(m, is_long ? longest[i->memory] : usual[i->memory]);
  i->y_size = is_long ? 1 : 2 + below(m, below(m, 4) ? 4 : 19);
  switch (below(m, 5)) {
  case 0: i->y_size = 1, i->x_stride = below(m, 50); break;
  case 1: i->x_stride = i->x_size; break;
  case 2: i->x_stride = i->x_size + 1 + below(m, 20); break;
  case 3: i->x_size += i->x_size == 1, i->x_stride = 1 + below(m, i->x_size - 1); break;
  case 4: i->x_stride = 0; break;
  }
}

// Where in DRAM: anywhere, or so that the first row meets the end of a page.
static uint32_t random_place(Maker *m, const VtaInsn *i, uint32_t elem, uint32_t first, uint32_t elems, uint32_t span) {
  uint32_t at = first + below(m, elems - span + 1), page = 4096 / elem;
  uint32_t end = (at / page + 1) * page, back = below(m, 3) ? below(m, i->x_size + 1) : i->x_size;
  if (below(m, 2) || end < first + back || end - back + span > first + elems) return at;
  return end - back;
}

static VtaInsn random_move(Maker *m, VtaMemory memory) {
  bool store = memory == MEM_OUT;
  uint32_t depth = depth_of(m, memory), elem = (uint32_t)vta_elem_bytes(&m->config, memory);
  uint32_t first = memory == MEM_UOP ? UOP_AT / elem : 0, elems = memory == MEM_UOP ? STREAM_UOPS : UOP_AT / elem;
  for (;;) {
    VtaInsn i = {.opcode = store ? OPC_STORE : OPC_LOAD, .memory = memory};
    random_rows(m, &i, true);
    if (!store) random_pads(m, &i);
    if (below(m, 12) == 0) i.x_size = 0;
    if (below(m, 12) == 0) i.y_size = 0;
    uint32_t tiles = (i.y_pad0 + i.y_size + i.y_pad1) * (i.x_pad0 + i.x_size + i.x_pad1);
    uint32_t span = i.y_size ? (i.y_size - 1) * i.x_stride + i.x_size : 0;
    if (tiles > depth || tiles > 2000 || span > elems) continue;
    i.sram_base = below(m, depth - tiles + 1);
    if (below(m, 3)) i.sram_base = below(m, depth - tiles < 48 ? depth - tiles + 1 : 48);
    else if (below(m, 3) == 0) i.sram_base = depth - tiles;
    i.dram_base = (uint32_t)(m->phys / elem) + random_place(m, &i, elem, first, elems, span);
    if (store && i.x_size == 0 && below(m, 2)) i.memory = MEM_UOP;
    return i;
  }
}

// Factors that keep every index inside, from what the micro-ops reach already.
static uint32_t factor(Maker *m, uint32_t most, uint32_t trips, uint32_t depth, uint32_t reached) {
  uint32_t f = below(m, smaller(depth, below(m, 3) ? smaller(most, 4) : most));
  return trips > 1 && reached + f * (trips - 1) >= depth / 2 ? 0 : f;
}

static void random_factors(Maker *m, VtaInsn *i) {
  VtaUop most = {0, 0, 0};
  uint32_t acc = depth_of(m, MEM_ACC), inp = depth_of(m, MEM_INP), wgt = depth_of(m, MEM_WGT);
  for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
    later(&most.dst, m->uops[k].dst);
    later(&most.src, m->uops[k].src);
    later(&most.wgt, m->uops[k].wgt);
  }
  i->dst_out = below(m, 2) ? 0 : factor(m, 64, i->iter_out, acc, most.dst);
  i->dst_in = factor(m, 3, i->iter_in, acc, most.dst);
  i->src_out = factor(m, 64, i->iter_out, i->opcode == OPC_GEMM ? inp : acc, most.src);
  i->src_in = factor(m, 3, i->iter_in, i->opcode == OPC_GEMM ? inp : acc, most.src);
  i->wgt_out = i->wgt_in = 0;
  if (i->opcode != OPC_GEMM) return;
  i->wgt_out = factor(m, 8, i->iter_out, wgt, most.wgt);
  i->wgt_in = factor(m, 3, i->iter_in, wgt, most.wgt);
}

// Loads the micro-ops of a kernel, or takes those of the one before, or any.
static void random_uops(Maker *m) {
  if (below(m, 3) == 0 && m->kernel_uops) return;
  uint32_t count = below(m, 10) ? below(m, 12) + 1 : 65 + below(m, 30);
  if (below(m, 3) == 0) count = 1;
  uint32_t depth = depth_of(m, MEM_UOP);
  m->kernel_uops = count = smaller(count, depth);
  m->kernel = below(m, 2) ? depth - count : below(m, depth - count + 1);
  if (below(m, 4)) m->kernel = below(m, smaller(60, depth - count + 1));
  if (below(m, 8) == 0) return;
  uint32_t from = below(m, 2) ? below(m, 8) * 64 + below(m, 8) : below(m, STREAM_UOPS);
  if (from + count > STREAM_UOPS) from = STREAM_UOPS - count;
  add(m, (VtaInsn){.opcode = OPC_LOAD,
                   .memory = MEM_UOP,
                   .sram_base = m->kernel,
                   .dram_base = (uint32_t)(m->phys + UOP_AT) / 4 + from,
                   .y_size = 1,
                   .x_size = count,
                   .x_stride = below(m, 2) * count});
}

// Makes a reset go through accumulators that stand together, in one loop or two.
static void reset_together(Maker *m, VtaInsn *i) {
  if (i->opcode != OPC_GEMM || !i->reset || i->uop_begin >= i->uop_end || below(m, 2)) return;
  uint32_t left = depth_of(m, MEM_ACC) - m->uops[i->uop_begin].dst;
  i->uop_end = i->uop_begin + 1;
  i->iter_out = 1 + (below(m, 3) == 0) * below(m, 5);
  i->iter_in = 1 + below(m, below(m, 2) ? 3 : smaller(200, left));
  if (i->iter_out * i->iter_in > left) i->iter_out = i->iter_in = 1;
  i->dst_in = i->iter_in > 1 ? 1 : below(m, 4);
  i->dst_out = i->iter_out > 1 ? i->iter_in : below(m, 4);
}

static void random_operation(Maker *m, VtaInsn *i) {
  static const int shifts[] = {0, 1, 7, 15, 16, 31, 32, 33, -1, -8, -15, -16, -31, -32, -33};
  if (i->opcode != OPC_ALU) return;
  i->alu_op = (VtaAluOp)below(m, 5);
  i->use_imm = below(m, 3) != 0;
  i->imm = below(m, 3) ? (int32_t)below(m, 80) - 40 : (int32_t)below(m, 65536) - 32768;
  if (i->alu_op == ALU_SHR && below(m, 2)) i->imm = shifts[below(m, sizeof shifts / sizeof *shifts)];
}

// An ALU instruction whose source is one accumulator, a reset that goes up to that, and the instruction again.
static void reset_source(Maker *m, VtaInsn i) {
  if (i.opcode != OPC_ALU || i.use_imm || i.uop_begin >= i.uop_end || below(m, 2)) return;
  const VtaUop *u = &m->uops[i.uop_begin];
  uint32_t acc = depth_of(m, MEM_ACC);
  if (u->src < u->dst || u->src >= acc || i.uop_end > depth_of(m, MEM_UOP)) return;
  i.uop_end = i.uop_begin + 1;
  i.iter_out = 1;
  i.iter_in = smaller(1 + below(m, 4), acc - u->dst);
  i.dst_in = 1;
  i.src_in = i.src_out = 0;
  VtaInsn reset = i;
  reset.opcode = OPC_GEMM;
  reset.reset = true;
  reset.iter_in = u->src - u->dst + 1;
  add(m, i);
  add(m, reset);
  add(m, i);
}

// GEMM and ALU instructions over the same micro-ops, some of them a chain that the ALU makes one pass of.
static void random_kernel(Maker *m) {
  random_uops(m);
  VtaInsn i = {.opcode = below(m, 2) ? OPC_GEMM : OPC_ALU,
               .uop_begin = m->kernel,
               .uop_end = m->kernel + m->kernel_uops,
               .iter_out = below(m, 4),
               .iter_in = below(m, 9)};
  if (below(m, 24) == 0) i.uop_end = i.uop_begin - (i.uop_begin && below(m, 2));
  if (below(m, 2)) i.iter_out = 1;
  if (below(m, 3) == 0) i.iter_in = 1 + below(m, 3);
  if (i.opcode == OPC_GEMM) i.reset = below(m, 3) == 0;
  if (below(m, 4) == 0) add(m, random_move(m, below(m, 2) ? MEM_ACC : MEM_ACC8));
  random_factors(m, &i);
  for (int chain = (int)below(m, i.opcode == OPC_ALU ? 6 : 3); chain >= 0 && m->n < WORK; chain--) {
    random_operation(m, &i);
    VtaInsn reset = i;
    reset_together(m, &reset);
    add(m, reset);
    reset_source(m, i);
    if (below(m, 6) == 0) {
      i.opcode = i.opcode == OPC_ALU ? OPC_GEMM : OPC_ALU;
      i.reset = i.opcode == OPC_GEMM && below(m, 3) == 0;
      random_factors(m, &i);
    }
    if (below(m, 8) == 0) random_factors(m, &i);
  }
}

// ---- streams --------------------------------------------------------------------------------------------------------

static void begin(Maker *m) {
  m->n = 0;
  memset(m->last, 0, sizeof m->last);
  memset(m->number, 0, sizeof m->number);
  memset(m->clock, 0, sizeof m->clock);
  for (VtaMemory k = MEM_UOP; k <= MEM_ACC; k++) memset(m->sram[k], 0, depth_of(m, k) * sizeof **m->sram);
  memset(m->dram, 0, sizeof m->dram);
  for (int c = 0; c < CHANNELS; c++) m->tokens[c].head = m->tokens[c].count = 0;
}

// Takes the tokens that are left.
static void drain(Maker *m, VtaUnit from, VtaUnit to) {
  const Tokens *t = &m->tokens[channel(from, to)];
  while (t->head < t->count) {
    VtaInsn i = nothing(m, to);
    take(m, &i, from, to);
    append(m, &i);
  }
}

static const VtaWord *finish(Maker *m, size_t *n) {
  drain(m, UNIT_LOAD, UNIT_COMPUTE);
  drain(m, UNIT_STORE, UNIT_COMPUTE);
  drain(m, UNIT_COMPUTE, UNIT_LOAD);
  drain(m, UNIT_COMPUTE, UNIT_STORE);
  append(m, &(VtaInsn){.opcode = OPC_FINISH});
  for (size_t k = 0; k < m->n; k++) m->words[k] = vta_encode(&m->config, &m->insns[k]);
  *n = m->n;
  return m->words;
}

const VtaWord *maker_stream(Maker *m, size_t *n) {
  static const VtaMemory moves[] = {MEM_UOP, MEM_WGT, MEM_INP, MEM_ACC, MEM_ACC8, MEM_OUT, MEM_OUT, MEM_INP, MEM_WGT};
  begin(m);
  coverage_begin(m->coverage);
  m->patience = 1u << below(m, 7);
  m->thrift = 1 + below(m, 5);
  uint32_t kernels = 1 + below(m, 3), work = 1 + below(m, WORK / 2);
  while (m->n < work) {
    if (below(m, 8) == 0) add(m, nothing(m, below(m, 2) ? UNIT_COMPUTE : (VtaUnit)(UNIT_LOAD + below(m, 3))));
    else if (below(m, 4) < kernels) random_kernel(m);
    else add(m, random_move(m, moves[below(m, 9)]));
    VtaMemory one = moves[below(m, 9)];
    for (uint32_t k = below(m, 20) ? 0 : 12; k > 0 && m->n < work; k--) add(m, random_move(m, one));
    while (m->n < work && below(m, 3) == 0) add(m, random_move(m, moves[3 + below(m, 6)]));
  }
  const VtaWord *words = finish(m, n);
  coverage_stream(m->coverage, m->insns, m->n);
  return words;
}

const VtaWord *maker_fill(Maker *m, size_t *n) {
  begin(m);
  for (VtaMemory k = MEM_UOP; k <= MEM_ACC; k++) {
    uint32_t elem = (uint32_t)vta_elem_bytes(&m->config, k), depth = depth_of(m, k);
    bool uop = k == MEM_UOP;
    VtaInsn i = {.opcode = OPC_LOAD,
                 .memory = k,
                 .dram_base = (uint32_t)(m->phys + (uop ? UOP_AT : 0)) / elem,
                 .x_size = depth / 8,
                 .y_size = 1};
    for (; i.sram_base < depth; i.sram_base += i.x_size) add(m, i);
  }
  return finish(m, n);
}

// Micro-ops far apart; that meet often; that reach everything; and, from 64 k on, whose source is the destination k + 1
// micro-ops before.
static void make_table(Maker *m) {
  uint32_t acc = depth_of(m, MEM_ACC), wgt = depth_of(m, MEM_WGT), src = smaller(acc, depth_of(m, MEM_INP));
  uint32_t back = smaller(8, src / 2), span = smaller(64, src - back), wide = smaller(256, src / 2),
           few = smaller(64, wgt / 2);
  for (uint32_t k = 0; k < STREAM_UOPS; k++) {
    VtaUop *u = &m->table[k];
    uint32_t dst = back + k % 64 % span;
    if (k < 512) *u = (VtaUop){dst, dst - smaller(1 + k / 64, back), below(m, few)};
    else if (k < 1024) *u = (VtaUop){below(m, wide), below(m, wide), below(m, few)};
    else if (k < 1792) *u = (VtaUop){below(m, 6), below(m, 6), below(m, few)};
    else *u = (VtaUop){below(m, acc), below(m, src), below(m, wgt)};
  }
}

void maker_dram(Maker *m, uint8_t *dram) {
  for (int k = 0; k < STREAM_DRAM; k++) dram[k] = (uint8_t)(below(m, 6) ? below(m, 256) : 128 + 127 * below(m, 2));
  for (uint32_t k = 0; k < STREAM_UOPS; k++) {
    uint32_t word = vta_encode_uop(&m->config, m->table[k]);
    memcpy(dram + UOP_AT + 4 * k, &word, 4);
  }
}

Maker *maker_new(const VtaConfig *config, uint64_t phys, uint64_t seed, Coverage *coverage) {
  Maker *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->config = *config;
  m->phys = phys;
  m->seed = seed * 2654435761u + 1;
  m->coverage = coverage;
  m->patience = m->thrift = 4;
  for (VtaMemory k = MEM_UOP; k <= MEM_ACC; k++)
    if (!(m->sram[k] = calloc(depth_of(m, k), sizeof **m->sram))) return maker_free(m), NULL;
  make_table(m);
  return m;
}

void maker_free(Maker *m) {
  for (VtaMemory k = MEM_UOP; m && k <= MEM_ACC; k++) free(m->sram[k]);
  free(m);
}

// SPDX-License-Identifier: Apache-2.0
// Random streams with no more tokens than they need: load, compute and store run as far apart as is right, on few rows
// of every memory and on one small buffer of DRAM that all of them read and store writes. The functional simulator's
// hazard checker confirms that the tokens suffice; then DRAM and accumulators must be the same after the core has run
// them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ROWS of ACC, INP and DRAM (in elements of INP, OUT and ACC8), cut into blocks.
enum { ROWS = 64, BLOCK = 8, UOPS = 32, STREAM = 160, INSNS = 4 * STREAM, UNITS = 3, MEMORIES = 5 };
enum { UNITS_LOAD = 0, UNITS_COMPUTE = 1, UNITS_STORE = 2 };
enum { AT_ACC, AT_INP, AT_WGT, AT_DRAM, AT_NONE };

typedef struct Access {
  int place; // AT_*
  uint32_t first, end;
  bool write;
} Access;

// An instruction in its unit: what it touches, and up to where it knows each unit to be done when it is.
typedef struct Step {
  size_t at; // in the stream
  Access accesses[4];
  uint32_t done[UNITS]; // numbers of instructions
} Step;

typedef struct Tokens {
  VtaConfig config;
  uint32_t seed;
  TetcDevice *want, *got;
  uint64_t phys;
  uint8_t *want_dram, *got_dram;
  VtaInsn insns[INSNS];
  VtaWord words[INSNS];
  size_t n;
  Step steps[UNITS][INSNS];
  uint32_t count[UNITS];        // instructions of each unit
  uint32_t known[UNITS][UNITS]; // of the unit: up to where it knows the others to be done
  uint32_t given[UNITS][UNITS]; // from, to: the number of the last giver
  VtaUop uops[UOPS];
} Tokens;

static uint32_t below(Tokens *t, uint32_t n) {
  t->seed = t->seed * 1664525u + 1013904223u;
  return n ? (uint32_t)(((uint64_t)(t->seed >> 4) * n) >> 28) : 0;
}

// Appends an instruction to the stream and to its unit.
static Step *append(Tokens *t, int unit, VtaInsn i) {
  Step *s = &t->steps[unit][t->count[unit]++];
  *s = (Step){.at = t->n};
  for (int k = 0; k < 4; k++) s->accesses[k].place = AT_NONE;
  memcpy(s->done, t->known[unit], sizeof s->done);
  s->done[unit] = t->count[unit];
  t->insns[t->n++] = i;
  return s;
}

static VtaInsn nothing(int unit) {
  VtaInsn i = {.opcode = unit == UNITS_STORE ? OPC_STORE : OPC_LOAD};
  i.memory = unit == UNITS_LOAD ? MEM_INP : MEM_UOP;
  return i;
}

// Makes the next instruction of `to`, pop, come after number `need` of the neighbour `from`: the token is given by any
// from that one on, or by one that does nothing.
static void order(Tokens *t, int from, int to, uint32_t need, VtaInsn *pop) {
  uint32_t first = need > t->given[from][to] ? need : t->given[from][to] + 1; // tokens are given in order
  if (first > t->count[from]) append(t, from, nothing(from));
  uint32_t giver = first + below(t, t->count[from] - first + 1);
  Step *s = &t->steps[from][giver - 1];
  if (to > from) t->insns[s->at].push_next = pop->pop_prev = true;
  else t->insns[s->at].push_prev = pop->pop_next = true;
  t->given[from][to] = giver;
  for (int u = 0; u < UNITS; u++)
    if (t->known[to][u] < s->done[u]) t->known[to][u] = s->done[u];
}

static bool conflict(const Step *a, const Access *b) {
  for (int k = 0; k < 4; k++) {
    const Access *x = &a->accesses[k];
    if (x->place == b->place && b->place != AT_NONE && (x->write || b->write) && x->first < b->end && b->first < x->end)
      return true;
  }
  return false;
}

// The newest instruction of unit `from` that must be done before one with these accesses; 0: none, or known to be.
static uint32_t needed(const Tokens *t, int from, int to, const Access *accesses) {
  for (uint32_t n = t->count[from]; n > t->known[to][from]; n--)
    for (int k = 0; k < 4; k++)
      if (conflict(&t->steps[from][n - 1], &accesses[k])) return n;
  return 0;
}

// Makes *i, the next instruction of `unit`, come after number `need` of the neighbour `from`.
static void wait_for(Tokens *t, int unit, int from, uint32_t need, VtaInsn *i) {
  if (from < unit ? i->pop_prev : i->pop_next) { // one token of each channel at a time
    VtaInsn before = nothing(unit);
    before.pop_prev = i->pop_prev, before.pop_next = i->pop_next;
    i->pop_prev = i->pop_next = false;
    append(t, unit, before);
  }
  order(t, from, unit, need, i);
}

// Appends an instruction with the tokens that it needs, and now and then one more.
static void emit(Tokens *t, int unit, VtaInsn i, const Access accesses[4]) {
  int far = UNITS_LOAD + UNITS_STORE - unit; // load and store meet in compute
  uint32_t need = unit == UNITS_COMPUTE ? 0 : needed(t, far, unit, accesses);
  if (need) {
    if (t->known[UNITS_COMPUTE][far] < need) {
      VtaInsn between = nothing(UNITS_COMPUTE);
      order(t, far, UNITS_COMPUTE, need, &between);
      append(t, UNITS_COMPUTE, between);
    }
    uint32_t knows = t->count[UNITS_COMPUTE]; // the first in compute that does
    while (knows > 1 && t->steps[UNITS_COMPUTE][knows - 2].done[far] >= need) knows--;
    wait_for(t, unit, UNITS_COMPUTE, knows, &i);
  }
  for (int from = UNITS_LOAD; from < UNITS; from++) {
    if (from == unit || (from + unit) % 2 == 0) continue;
    need = needed(t, from, unit, accesses);
    if (need || (t->count[from] && below(t, 40) == 0)) wait_for(t, unit, from, need, &i);
  }
  Step *s = append(t, unit, i);
  memcpy(s->accesses, accesses, sizeof s->accesses);
}

// Rows [*first, *first + result) inside a memory of `rows`.
static uint32_t some_rows(Tokens *t, uint32_t rows, uint32_t *first) {
  uint32_t n = 1 + below(t, BLOCK);
  *first = below(t, 3) ? below(t, rows / BLOCK) * BLOCK : below(t, rows - n + 1);
  return n;
}

static void random_load(Tokens *t) {
  uint32_t at, from, n = some_rows(t, ROWS, &at);
  some_rows(t, ROWS, &from);
  if (from + n > ROWS) from = ROWS - n;
  bool wgt = below(t, 4) == 0;
  VtaInsn i = {.opcode = OPC_LOAD,
               .memory = wgt ? MEM_WGT : MEM_INP,
               .sram_base = at,
               .y_size = 1,
               .x_size = n,
               .x_stride = n,
               .dram_base = (uint32_t)(t->phys / 16) + from};
  Access a[4] = {{AT_INP, at, at + n, true}, {AT_DRAM, from, from + n, false}, {.place = AT_NONE}, {.place = AT_NONE}};
  if (wgt) { // two elements, of 16 rows of DRAM each
    i.sram_base = at % 8, i.x_size = i.x_stride = 2, i.dram_base = (uint32_t)(t->phys / 256) + from % 3;
    a[0] = (Access){AT_WGT, i.sram_base, i.sram_base + 2, true};
    a[1] = (Access){AT_DRAM, from % 3 * 16, from % 3 * 16 + 32, false};
  }
  emit(t, UNITS_LOAD, i, a);
}

static void random_store(Tokens *t) {
  uint32_t at, to, n = some_rows(t, ROWS, &at);
  some_rows(t, ROWS, &to);
  if (to + n > ROWS) to = ROWS - n;
  VtaInsn i = {.opcode = OPC_STORE,
               .memory = MEM_OUT,
               .sram_base = at,
               .y_size = 1,
               .x_size = n,
               .x_stride = n,
               .dram_base = (uint32_t)(t->phys / 16) + to};
  emit(t, UNITS_STORE, i,
       (Access[4]){{AT_ACC, at, at + n, false}, {AT_DRAM, to, to + n, true}, {.place = AT_NONE}, {.place = AT_NONE}});
}

static void random_acc_load(Tokens *t) {
  uint32_t at, from, n = some_rows(t, ROWS, &at);
  some_rows(t, ROWS, &from);
  if (from + n > ROWS) from = ROWS - n;
  VtaInsn i = {.opcode = OPC_LOAD,
               .memory = MEM_ACC8,
               .sram_base = at,
               .y_size = 1,
               .x_size = n,
               .x_stride = n,
               .dram_base = (uint32_t)(t->phys / 16) + from};
  emit(t, UNITS_COMPUTE, i,
       (Access[4]){
           {AT_ACC, at, at + n, true}, {AT_DRAM, from, from + n, false}, {.place = AT_NONE}, {.place = AT_NONE}});
}

// One micro-op over some rows, often and again.
static void random_compute(Tokens *t) {
  uint32_t k = below(t, UOPS);
  const VtaUop *u = &t->uops[k];
  VtaInsn i = {.uop_begin = k,
               .uop_end = k + 1,
               .iter_out = 1 + below(t, 2) * below(t, 16),
               .iter_in = 1 + below(t, BLOCK),
               .dst_in = 1};
  Access a[4] = {
      {AT_ACC, u->dst, u->dst + i.iter_in, true}, {.place = AT_NONE}, {.place = AT_NONE}, {.place = AT_NONE}};
  switch (below(t, 4)) {
  case 0: i.opcode = OPC_GEMM, i.reset = true; break;
  case 1:
    i.opcode = OPC_ALU, i.alu_op = (VtaAluOp)below(t, 5), i.use_imm = below(t, 2) != 0,
    i.imm = (int32_t)below(t, 60) - 30;
    i.src_in = below(t, 2);
    if (!i.use_imm) a[1] = (Access){AT_ACC, u->src, u->src + (i.iter_in - 1) * i.src_in + 1, false};
    break;
  default:
    i.opcode = OPC_GEMM, i.src_in = 1;
    a[1] = (Access){AT_INP, u->src, u->src + i.iter_in, false};
    a[2] = (Access){AT_WGT, u->wgt, u->wgt + 1, false};
    break;
  }
  emit(t, UNITS_COMPUTE, i, a);
  if (i.opcode == OPC_ALU && i.use_imm) // a chain
    for (uint32_t more = below(t, 4); more; more--) i.alu_op = (VtaAluOp)below(t, 5), emit(t, UNITS_COMPUTE, i, a);
}

static void random_stream(Tokens *t) {
  t->n = 0;
  memset(t->count, 0, sizeof t->count);
  memset(t->known, 0, sizeof t->known);
  memset(t->given, 0, sizeof t->given);
  for (int k = 0; k < STREAM; k++) {
    switch (below(t, 10)) {
    case 0:
    case 1: random_load(t); break;
    case 2:
    case 3: random_store(t); break;
    case 4: random_acc_load(t); break;
    default: random_compute(t); break;
    }
  }
  append(t, UNITS_COMPUTE, (VtaInsn){.opcode = OPC_FINISH});
  for (size_t k = 0; k < t->n; k++) t->words[k] = vta_encode(&t->config, &t->insns[k]);
}

// Micro-ops and contents for every row that is used.
static void fill(Tokens *t, uint64_t uops_at) {
  VtaInsn all[] = {
      {.opcode = OPC_LOAD, .memory = MEM_UOP, .y_size = 1, .x_size = UOPS, .dram_base = (uint32_t)(uops_at / 4)},
      {.opcode = OPC_LOAD, .memory = MEM_INP, .y_size = 1, .x_size = ROWS, .dram_base = (uint32_t)(t->phys / 16)},
      {.opcode = OPC_LOAD, .memory = MEM_WGT, .y_size = 4, .x_size = 4, .dram_base = (uint32_t)(t->phys / 256)},
      {.opcode = OPC_LOAD, .memory = MEM_ACC8, .y_size = 1, .x_size = ROWS, .dram_base = (uint32_t)(t->phys / 16)},
      {.opcode = OPC_FINISH}};
  size_t n = sizeof all / sizeof *all;
  TetcFault fault = {.count = 0};
  for (size_t k = 0; k < n; k++) t->words[k] = vta_encode(&t->config, &all[k]);
  if (!t->want->launch(t->want->self, t->words, NULL, n, &fault)) fail_msg("fsim: %s", fault.text);
  if (!t->got->launch(t->got->self, t->words, NULL, n, &fault)) fail_msg("rtl: %s", fault.text);
}

static void tokens_open(Tokens *t, const TetcRtlOptions *o, uint32_t seed) {
  TetcRtlWhy why;
  t->config = vta_config_default();
  t->seed = seed;
  t->want = tetc_fsim_new(&t->config);
  t->want->check(t->want->self, true);
  t->got = tetc_rtl_open(&t->config, o, &why);
  if (!t->got) fail_msg("%s", why.text);
  uint64_t other, uops_at;
  t->want_dram = tetc_dram_alloc(t->want->dram, ROWS * 16, &t->phys);
  t->got_dram = tetc_dram_alloc(t->got->dram, ROWS * 16, &other);
  assert_int_equal(t->phys, other);
  for (int k = 0; k < ROWS * 16; k++) t->got_dram[k] = t->want_dram[k] = (uint8_t)below(t, 256);
  uint32_t *want = tetc_dram_alloc(t->want->dram, UOPS * 4, &uops_at),
           *got = tetc_dram_alloc(t->got->dram, UOPS * 4, &other);
  for (int k = 0; k < UOPS; k++) {
    t->uops[k] = (VtaUop){below(t, ROWS / BLOCK) * BLOCK, below(t, ROWS / BLOCK) * BLOCK, below(t, 9)};
    got[k] = want[k] = vta_encode_uop(&t->config, t->uops[k]);
  }
  fill(t, uops_at);
}

static void streams(const TetcRtlOptions *o, int count, uint32_t seed) {
  Tokens *t = calloc(1, sizeof *t);
  void (*sram)(TetcDevice *, VtaMemory, void *);
  if (getenv("TETC_LONG_TESTS")) count *= 40;
  tokens_open(t, o, seed);
  void *symbol = tetc_rtl_symbol(t->got, "tetc_rtl_sram");
  memcpy(&sram, &symbol, sizeof symbol);
  uint8_t *acc = malloc((size_t)(vta_depth(&t->config, MEM_ACC) * vta_elem_bytes(&t->config, MEM_ACC)));
  for (int n = 0; n < count; n++) {
    TetcFault fault = {.count = 0};
    random_stream(t);
    if (!t->want->launch(t->want->self, t->words, NULL, t->n, &fault)) fail_msg("stream %d: fsim: %s", n, fault.text);
    if (!t->got->launch(t->got->self, t->words, NULL, t->n, &fault)) fail_msg("stream %d: rtl: %s", n, fault.text);
    sram(t->got, MEM_ACC, acc);
    if (memcmp(acc, tetc_fsim_sram(t->want, MEM_ACC), ROWS * 64)) fail_msg("stream %d: accumulators differ", n);
    if (memcmp(t->want_dram, t->got_dram, ROWS * 16)) fail_msg("stream %d: DRAM differs", n);
  }
  free(acc);
  t->want->free(t->want->self);
  t->got->free(t->got->self);
  free(t);
}

static void default_memory(void **state) {
  (void)state;
  streams(&(TetcRtlOptions){.bus = 64, .latency = 16}, 300, 1);
}

static void slow_memory(void **state) {
  (void)state;
  streams(&(TetcRtlOptions){.bus = 64, .latency = 100, .reorder = true, .seed = 5}, 100, 2);
}

static void stalling_memory(void **state) {
  (void)state;
  streams(&(TetcRtlOptions){.bus = 64, .latency = 7, .stalls = 30, .reorder = true, .seed = 9}, 150, 3);
  streams(&(TetcRtlOptions){.bus = 64, .latency = 3, .stalls = 80, .reorder = true, .seed = 11}, 50, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(default_memory), cmocka_unit_test(slow_memory),
                                     cmocka_unit_test(stalling_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

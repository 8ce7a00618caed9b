// SPDX-License-Identifier: Apache-2.0
// Random instruction streams on the core and on the functional simulator: DRAM and every on-chip memory must agree
// after each. All opcodes, memories, pads, strides and trip counts; micro-ops that meet; chains of ALU instructions;
// transfers that run beside them where no token is needed; memories that are slow, pause and reorder.
// `rtl_streams CONFIG.json BITS`: of which model.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend_vta/vta.h"
#include "lockstep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAM_BYTES = 1 << 18, UOP_AT = DRAM_BYTES - 8192, UOPS = 256, STREAM = 40, INSNS = 8 * STREAM };

// The model under test.
typedef struct Model {
  VtaConfig config;
  uint32_t bus;
} Model;

typedef struct Bench {
  VtaConfig config;
  TetcDevice *want, *got;
  Lockstep *lockstep;
  void (*sram)(TetcDevice *, VtaMemory, void *);
  uint8_t *want_dram, *got_dram;
  uint64_t phys;
  uint32_t seed;
  VtaInsn insns[INSNS];
  VtaWord words[INSNS];
  size_t n;
  int last; // unit of the newest instruction; 0: none
} Bench;

static uint32_t below(Bench *b, uint32_t n) {
  b->seed = b->seed * 1664525u + 1013904223u;
  return n ? (uint32_t)(((uint64_t)(b->seed >> 4) * n) >> 28) : 0;
}

// Appends an instruction that starts when all before it in other units are done.
static void add(Bench *b, VtaInsn i) {
  int unit = (int)vta_unit(&i);
  if (b->last && b->last != unit && b->last != UNIT_COMPUTE && unit != UNIT_COMPUTE)
    add(b, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP}); // load and store meet in compute only
  if (b->last && b->last != unit) {
    VtaInsn *p = &b->insns[b->n - 1];
    if (b->last < unit) p->push_next = i.pop_prev = true;
    else p->push_prev = i.pop_next = true;
  }
  b->insns[b->n++] = i;
  b->last = unit;
}

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t depth_of(const Bench *b, VtaMemory m) { return (uint32_t)vta_depth(&b->config, m); }

// Bounds of a micro-op's index and of the factors of the outer loop (at most 4 rounds) and the inner one (9), with which
// none leaves a memory.
static uint32_t index_bound(const Bench *b, VtaMemory m) { return smaller(256, depth_of(b, m) / 4); }
static uint32_t outer_bound(const Bench *b, VtaMemory m) { return smaller(64, depth_of(b, m) / 8); }
static uint32_t inner_bound(const Bench *b, VtaMemory m) { return smaller(3, depth_of(b, m) / 64 + 1); }

static VtaInsn random_transfer(Bench *b) {
  static const VtaMemory loads[] = {MEM_WGT, MEM_INP, MEM_ACC, MEM_ACC8, MEM_OUT, MEM_INP, MEM_ACC};
  VtaInsn i = {.memory = loads[below(b, 7)]};
  bool store = i.memory == MEM_OUT;
  i.opcode = store ? OPC_STORE : OPC_LOAD;
  uint32_t depth = depth_of(b, i.memory), elem = (uint32_t)vta_elem_bytes(&b->config, i.memory);
  uint32_t elems = UOP_AT / elem;
  for (;;) {
    bool tall = below(b, 4) == 0;
    i.x_size = below(b, tall ? 3 : i.memory == MEM_WGT ? 5 : 40), i.y_size = below(b, tall ? 20 : 4) + store;
    i.x_stride = below(b, 50);
    if (!store) i.y_pad0 = below(b, 4), i.y_pad1 = below(b, 3), i.x_pad0 = below(b, 3), i.x_pad1 = below(b, 16);
    uint32_t tiles = (i.y_pad0 + i.y_size + i.y_pad1) * (i.x_pad0 + i.x_size + i.x_pad1);
    uint32_t span = i.y_size ? (i.y_size - 1) * i.x_stride + i.x_size : 0;
    if (tiles > depth || span > elems || (store && i.x_stride < i.x_size && i.y_size > 1)) continue;
    if (store && i.x_size == 0) i.memory = MEM_UOP;
    i.sram_base = below(b, 4) ? below(b, smaller(64, depth - tiles + 1)) : depth - tiles;
    i.dram_base = (uint32_t)(b->phys / elem) + below(b, elems - span + 1);
    return i;
  }
}

// A kernel of micro-ops that are in DRAM already; `narrow` ones share few accumulators.
static void random_kernel(Bench *b) {
  uint32_t depth = depth_of(b, MEM_UOP), count = below(b, 8) ? below(b, 12) + 1 : 65 + below(b, 30);
  count = smaller(count, depth);
  uint32_t first = below(b, UOPS - count + 1), begin = below(b, smaller(UOPS, depth) - count + 1);
  if (below(b, 4) == 0) begin = depth - count;
  if (below(b, 3)) count = 1;
  add(b, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP, .sram_base = begin,
    .dram_base = (uint32_t)(b->phys + UOP_AT) / 4 + first, .y_size = 1, .x_size = count, .x_stride = count});
  VtaInsn i = {.opcode = below(b, 2) ? OPC_GEMM : OPC_ALU, .uop_begin = begin,
    .uop_end = begin + count - (below(b, 20) == 0), .iter_out = below(b, 4), .iter_in = below(b, 9)};
  VtaMemory src = i.opcode == OPC_GEMM ? MEM_INP : MEM_ACC;
  i.dst_out = below(b, 2) * below(b, outer_bound(b, MEM_ACC)), i.dst_in = below(b, inner_bound(b, MEM_ACC));
  i.src_out = below(b, outer_bound(b, src)), i.src_in = below(b, inner_bound(b, src));
  if (below(b, 2)) i.iter_out = 1;
  if (i.opcode == OPC_GEMM) i.wgt_out = below(b, outer_bound(b, MEM_WGT)), i.wgt_in = below(b, inner_bound(b, MEM_WGT));
  if (i.opcode == OPC_GEMM) i.reset = below(b, 3) == 0;
  for (int chain = i.opcode == OPC_ALU ? (int)below(b, 6) : (int)below(b, 2); chain >= 0; chain--) {
    if (i.opcode == OPC_ALU) {
      i.alu_op = (VtaAluOp)below(b, 5), i.use_imm = below(b, 4) != 0;
      i.imm = below(b, 3) ? (int32_t)below(b, 80) - 40 : (int32_t)below(b, 65536) - 32768;
    }
    add(b, i);
    if (below(b, 4) == 0) add(b, (VtaInsn){.opcode = OPC_GEMM, .reset = true, .uop_begin = begin, .uop_end = begin + 1,
      .iter_out = 1, .iter_in = below(b, smaller(30, depth_of(b, MEM_ACC) / 2)), .dst_in = 1});
    if (below(b, 6) == 0) i.dst_in = below(b, inner_bound(b, MEM_ACC));
  }
}

static void random_stream(Bench *b) {
  b->n = 0;
  b->last = 0;
  for (int k = 0; k < STREAM && b->n < INSNS - 24; k++) {
    if (below(b, 2)) random_kernel(b);
    else add(b, random_transfer(b));
    // A memory that nothing else uses meanwhile: engines run side by side.
    while (b->last == UNIT_COMPUTE && below(b, 3) == 0) {
      VtaInsn i = random_transfer(b);
      if (i.memory == MEM_ACC || i.memory == MEM_ACC8) add(b, i);
    }
  }
  if (b->last != UNIT_COMPUTE) add(b, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP});
  add(b, (VtaInsn){.opcode = OPC_FINISH});
  for (size_t k = 0; k < b->n; k++) b->words[k] = vta_encode(&b->config, &b->insns[k]);
}

static void compare(Bench *b, VtaMemory m, size_t lane_bytes, int stream) {
  size_t bytes = depth_of(b, m) * (size_t)vta_elem_bytes(&b->config, m);
  uint8_t *got = malloc(bytes);
  const uint8_t *want = tetc_fsim_sram(b->want, m);
  b->sram(b->got, m, got);
  for (size_t k = 0; k < bytes; k++) {
    bool same = m == MEM_OUT ? got[k] == want[4 * k] : got[k] == want[k];
    if (m == MEM_UOP && k % 4 == 0) {
      uint32_t w = vta_encode_uop(&b->config, ((const VtaUop *)(const void *)want)[k / 4]);
      same = !memcmp(got + k, &w, 4);
    } else if (m == MEM_UOP) {
      continue;
    }
    if (!same) fail_msg("stream %d: memory %d differs in byte %zu (lane %zu)", stream, (int)m, k, k / lane_bytes);
  }
  free(got);
}

static void bench_open(Bench *b, const Model *model, TetcRtlOptions o, uint32_t seed) {
  TetcRtlWhy why;
  b->config = model->config;
  o.bus = model->bus;
  b->seed = seed;
  b->want = tetc_fsim_new(&b->config);
  b->got = tetc_rtl_open(&b->config, &o, &why);
  if (!b->got) fail_msg("no model of this configuration and bus: %s; there are %s", why.text, why.models);
  void *at = tetc_rtl_symbol(b->got, "tetc_rtl_sram");
  b->lockstep = lockstep_new(b->want, b->got);
  if (!b->lockstep) fail_msg("no memory for what is expected");
  memcpy(&b->sram, &at, sizeof at);
  uint64_t other;
  b->want_dram = tetc_dram_alloc(b->want->dram, DRAM_BYTES, &b->phys);
  b->got_dram = tetc_dram_alloc(b->got->dram, DRAM_BYTES, &other);
  assert_int_equal(b->phys, other);
  for (int k = 0; k < DRAM_BYTES; k++) b->want_dram[k] = (uint8_t)(below(b, 6) ? below(b, 256) : 128 + 127 * below(b, 2));
  uint32_t *uops = (uint32_t *)(void *)(b->want_dram + UOP_AT);
  for (int k = 0; k < UOPS; k++) { // those of the second half meet more
    uint32_t most = k < UOPS / 2 ? 256 : 6, dst = smaller(most, index_bound(b, MEM_ACC));
    uops[k] = vta_encode_uop(&b->config, (VtaUop){below(b, dst), below(b, smaller(dst, index_bound(b, MEM_INP))),
                                                  below(b, index_bound(b, MEM_WGT))});
  }
  memcpy(b->got_dram, b->want_dram, DRAM_BYTES);
}

static void run(Bench *b, VtaInsn *insns, size_t n) {
  TetcFault fault = {.count = 0};
  for (size_t k = 0; k < n; k++) b->words[k] = vta_encode(&b->config, &insns[k]);
  if (!lockstep_run(b->lockstep, b->words, n, &fault)) fail_msg("%s", fault.text);
}

// Gives every on-chip memory contents: they start undefined.
static void fill(Bench *b) {
  VtaInsn load = {.opcode = OPC_LOAD, .x_size = 2};
  static const VtaMemory all[] = {MEM_INP, MEM_WGT, MEM_ACC, MEM_UOP};
  VtaInsn insns[8] = {{0}};
  size_t n = 0;
  for (int k = 0; k < 4; k++) {
    VtaInsn i = load;
    i.memory = all[k];
    i.dram_base = (uint32_t)(b->phys / (uint64_t)vta_elem_bytes(&b->config, i.memory));
    if (i.memory == MEM_UOP) i.dram_base += UOP_AT / 4;
    i.y_size = depth_of(b, i.memory) / 2;
    insns[n++] = i;
  }
  insns[n++] = (VtaInsn){.opcode = OPC_FINISH};
  run(b, insns, n);
}

static void streams(const Model *model, TetcRtlOptions o, int count, uint32_t seed) {
  Bench *b = calloc(1, sizeof *b);
  if (getenv("TETC_LONG_TESTS")) count *= 30;
  bench_open(b, model, o, seed);
  fill(b);
  for (int n = 0; n < count; n++) {
    random_stream(b);
    run(b, b->insns, b->n);
    if (memcmp(b->want_dram, b->got_dram, DRAM_BYTES)) fail_msg("stream %d: DRAM differs", n);
    compare(b, MEM_ACC, 4, n);
    compare(b, MEM_OUT, 1, n);
    compare(b, MEM_INP, 1, n);
    compare(b, MEM_UOP, 4, n);
    if (n % 8 == 0) compare(b, MEM_WGT, 1, n);
  }
  lockstep_free(b->lockstep);
  b->want->free(b->want->self);
  b->got->free(b->got->self);
  free(b);
}

static void default_memory(void **state) {
  streams(*state, (TetcRtlOptions){.latency = 16}, 150, 1);
}

static void slow_memory(void **state) {
  streams(*state, (TetcRtlOptions){.latency = 100, .reorder = true, .seed = 5}, 60, 2);
}

static void immediate_memory(void **state) {
  streams(*state, (TetcRtlOptions){.latency = 0, .seed = 5}, 60, 3);
}

static void stalling_memory(void **state) {
  streams(*state, (TetcRtlOptions){.latency = 7, .stalls = 30, .reorder = true, .seed = 9}, 60, 4);
  streams(*state, (TetcRtlOptions){.latency = 3, .stalls = 80, .reorder = true, .seed = 11}, 20, 5);
}

static bool read_model(Model *m, const char *path, const char *bits) {
  const char *error = NULL;
  Arena *arena = arena_new();
  Ctx cx = {.arena = arena, .diags = diags_new(arena)};
  const Source *json = source_read(arena, path, &error);
  m->bus = (uint32_t)atoi(bits);
  bool ok = json && vta_config_load(&cx, json, &m->config);
  arena_free(arena);
  return ok;
}

int main(int argc, char **argv) {
  Model model;
  if (argc != 3 || !read_model(&model, argv[1], argv[2])) return 2;
  const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(default_memory, &model),
    cmocka_unit_test_prestate(slow_memory, &model), cmocka_unit_test_prestate(immediate_memory, &model),
    cmocka_unit_test_prestate(stalling_memory, &model)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

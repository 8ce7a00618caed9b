// SPDX-License-Identifier: Apache-2.0
// What must stop the core: every error code, in every unit, with the instruction that is to blame; the functional
// simulator must refuse the same programs, and the core run the next one. And the registers, as a host sees them.
// `rtl_errors CONFIG.json BITS`: of which model.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "model.h"
#include "runtime/timeline.h"
#include "sim/rtl.h"

#include <stdio.h>
#include <string.h>

enum { DRAM_BYTES = 1 << 16, UOP_AT = DRAM_BYTES / 2, OUT_AT = DRAM_BYTES / 4, MOST = 16 };
enum { CONTROL = 0x00, COUNT = 0x08, ADDRESS = 0x0c, WATCHDOG = 0x3c, CODE = 0x40, RESET = 0x44, TAKEN = 0x48 };
enum { RUNNING = 1, DONE = 2, BUSY = 4 };
// The error codes, and what the simulator has no code for.
enum { ILLEGAL = 1, RANGE, READ, WRITE, DEADLOCK, END, LEFT_OVER };

typedef struct Model {
  VtaConfig config;
  uint32_t bus;
} Model;

typedef struct Bench {
  VtaConfig config;
  TetcDevice *want, *got;
  TetcTimeline *timeline;
  uint32_t (*read)(TetcDevice *, uint32_t, bool *);
  bool (*write)(TetcDevice *, uint32_t, uint32_t);
  uint8_t *want_dram, *got_dram;
  uint64_t phys;
  uint32_t seed;
  VtaWord words[MOST];
  size_t n;
} Bench;

static uint32_t below(Bench *b, uint32_t n) {
  b->seed = b->seed * 1664525u + 1013904223u;
  return n ? (uint32_t)(((uint64_t)(b->seed >> 4) * n) >> 28) : 0;
}

static uint32_t depth_of(const Bench *b, VtaMemory m) { return (uint32_t)vta_depth(&b->config, m); }

// The DRAM index of a byte of the buffer.
static uint32_t index_of(const Bench *b, VtaMemory m, uint64_t at) {
  return (uint32_t)((b->phys + at) / (uint64_t)vta_elem_bytes(&b->config, m));
}

static Bench *bench_open(const Model *model, TetcRtlOptions o) {
  Bench *b = calloc(1, sizeof *b);
  TetcRtlWhy why;
  b->config = model->config;
  b->seed = 7;
  b->timeline = tetc_timeline_new(false);
  o.bus = model->bus;
  o.timeline = b->timeline;
  b->want = tetc_fsim_new(&b->config);
  b->got = tetc_rtl_open(&b->config, &o, &why);
  if (!b->got) fail_msg("no model of this configuration and bus: %s; there are %s", why.text, why.models);
  void *read = tetc_rtl_symbol(b->got, "tetc_rtl_read"), *write = tetc_rtl_symbol(b->got, "tetc_rtl_write");
  memcpy(&b->read, &read, sizeof read);
  memcpy(&b->write, &write, sizeof write);
  uint64_t other;
  b->want_dram = tetc_dram_alloc(b->want->dram, DRAM_BYTES, &b->phys);
  b->got_dram = tetc_dram_alloc(b->got->dram, DRAM_BYTES, &other);
  assert_int_equal(b->phys, other);
  for (int k = 0; k < DRAM_BYTES; k++) b->want_dram[k] = (uint8_t)below(b, 256);
  uint32_t *uops = (uint32_t *)(void *)(b->want_dram + UOP_AT),
           last[] = {depth_of(b, MEM_ACC) - 1, depth_of(b, MEM_INP) - 1, depth_of(b, MEM_WGT) - 1};
  const VtaUop all[] = {{0, 0, 0}, {last[0], 0, 0}, {0, last[1], 0}, {0, 0, last[2]}, {0, last[0], 0}};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) uops[k] = vta_encode_uop(&b->config, all[k]);
  memcpy(b->got_dram, b->want_dram, DRAM_BYTES);
  return b;
}

static void bench_free(Bench *b) {
  b->want->free(b->want->self);
  b->got->free(b->got->self);
  tetc_timeline_free(b->timeline);
  free(b);
}

static void add_word(Bench *b, VtaWord w) {
  assert_true(b->n < MOST);
  b->words[b->n++] = w;
}

static void add(Bench *b, VtaInsn i) { add_word(b, vta_encode(&b->config, &i)); }

static VtaInsn transfer(const Bench *b, VtaMemory m, uint32_t sram, uint64_t at, uint32_t x, uint32_t y) {
  return (VtaInsn){.opcode = m == MEM_OUT ? OPC_STORE : OPC_LOAD,
                   .memory = m,
                   .sram_base = sram,
                   .dram_base = index_of(b, m, at),
                   .x_size = x,
                   .y_size = y,
                   .x_stride = x};
}

// Loads, multiplies, adds and stores a tile, tokens and all.
static void add_good(Bench *b) {
  VtaInsn i = transfer(b, MEM_UOP, 0, UOP_AT, 1, 1);
  add(b, i);
  add(b, (VtaInsn){.opcode = OPC_GEMM, .reset = true, .uop_end = 1, .iter_out = 1, .iter_in = 1});
  add(b, transfer(b, MEM_WGT, 0, 0, 1, 1));
  i = transfer(b, MEM_INP, 0, 64, 1, 1);
  i.push_next = true;
  add(b, i);
  add(b, (VtaInsn){.opcode = OPC_GEMM, .uop_end = 1, .iter_out = 1, .iter_in = 1, .pop_prev = true});
  add(b, (VtaInsn){.opcode = OPC_ALU,
                   .alu_op = ALU_ADD,
                   .use_imm = true,
                   .imm = (int32_t)below(b, 100),
                   .uop_end = 1,
                   .iter_out = 1,
                   .iter_in = 1,
                   .push_next = true});
  i = transfer(b, MEM_OUT, 0, OUT_AT, 1, 1);
  i.pop_prev = i.push_prev = true;
  add(b, i);
  add(b, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP, .pop_next = true});
}

static void add_finish(Bench *b) { add(b, (VtaInsn){.opcode = OPC_FINISH}); }

static void run_good(Bench *b, const char *after) {
  TetcFault fault = {.count = 0};
  b->n = 0;
  add_good(b);
  add_finish(b);
  if (!b->want->launch(b->want->self, b->words, NULL, b->n, &fault)) fail_msg("fsim after %s: %s", after, fault.text);
  if (!b->got->launch(b->got->self, b->words, NULL, b->n, &fault)) fail_msg("rtl after %s: %s", after, fault.text);
  if (memcmp(b->want_dram, b->got_dram, DRAM_BYTES)) fail_msg("after %s: DRAM differs", after);
}

// The program so far is refused by both, by the core with this code and for instruction `blamed` (-1: not known).
static void refused(Bench *b, const char *what, int code, int blamed) {
  TetcFault fault = {.count = 0};
  char error[32] = "left over";
  if (code != LEFT_OVER) snprintf(error, sizeof error, "error %d,", code);
  if (b->want->launch(b->want->self, b->words, NULL, b->n, &fault)) fail_msg("fsim accepts %s", what);
  fault = (TetcFault){.count = 0};
  if (b->got->launch(b->got->self, b->words, NULL, b->n, &fault)) fail_msg("rtl accepts %s", what);
  if (!strstr(fault.text, error)) fail_msg("%s: expected %s, not: %s", what, error, fault.text);
  if (blamed >= 0 && (fault.count < 1 || fault.insns[0] != (size_t)blamed))
    fail_msg("%s: expected #%d to be blamed: %s", what, blamed, fault.text);
  memcpy(b->got_dram, b->want_dram, DRAM_BYTES); // how much was done before the stop is nobody's promise
  run_good(b, what);
}

static void accepted(Bench *b, const char *what) {
  TetcFault fault = {.count = 0};
  add_finish(b);
  if (!b->want->launch(b->want->self, b->words, NULL, b->n, &fault)) fail_msg("fsim refuses %s: %s", what, fault.text);
  if (!b->got->launch(b->got->self, b->words, NULL, b->n, &fault)) fail_msg("rtl refuses %s: %s", what, fault.text);
}

// One instruction, between others that are fine: after a program that stores, before finish.
static void refused_one(Bench *b, const char *what, VtaInsn i, int code) {
  b->n = 0;
  add_good(b);
  int at = (int)b->n;
  add(b, i);
  add_finish(b);
  refused(b, what, code, code == LEFT_OVER ? -1 : at);
}

static void accepted_one(Bench *b, const char *what, VtaInsn i) {
  b->n = 0;
  add(b, i);
  accepted(b, what);
}

// Gives every on-chip memory the same contents in both: they start undefined, and a refusal leaves them so.
static void fill(Bench *b) {
  static const VtaMemory all[] = {MEM_UOP, MEM_WGT, MEM_INP, MEM_ACC};
  TetcFault fault;
  b->n = 0;
  for (int k = 0; k < 4; k++) {
    uint32_t depth = depth_of(b, all[k]), width = depth < 16 ? depth : 16; // mostly padding, which takes less time
    VtaInsn i = transfer(b, all[k], 0, all[k] == MEM_UOP ? UOP_AT : 0, 1, depth / width);
    i.x_stride = 0;
    i.x_pad0 = width - 1;
    add(b, i);
  }
  add_finish(b);
  assert_true(b->want->launch(b->want->self, b->words, NULL, b->n, &fault));
  assert_true(b->got->launch(b->got->self, b->words, NULL, b->n, &fault));
}

// ---- directed -------------------------------------------------------------------------------------------------------

static void illegal_instructions(void **state) {
  Bench *b = bench_open(*state, (TetcRtlOptions){.latency = 16});
  char what[80];
  for (uint64_t opcode = 5; opcode < 8; opcode++) {
    b->n = 0;
    add_good(b);
    add_word(b, (VtaWord){opcode, 0});
    add_finish(b);
    snprintf(what, sizeof what, "opcode %d", (int)opcode);
    refused(b, what, ILLEGAL, (int)b->n - 2);
  }
  for (int m = 0; m < 8; m++) {
    for (uint32_t size = 0; size < 2; size++) {
      VtaInsn i = {.opcode = OPC_LOAD,
                   .memory = (VtaMemory)m,
                   .x_size = size,
                   .y_size = size,
                   .dram_base = index_of(b, MEM_WGT, 0)};
      snprintf(what, sizeof what, "load of memory %d, size %u", m, size);
      if (m == MEM_OUT || m > MEM_ACC8) refused_one(b, what, i, ILLEGAL);
      i.opcode = OPC_STORE;
      snprintf(what, sizeof what, "store of memory %d, size %u", m, size);
      if (m > MEM_ACC8 || (m != MEM_OUT && size)) refused_one(b, what, i, ILLEGAL);
      else if (!size) accepted_one(b, what, i);
    }
  }
  for (int op = 5; op < 8; op++) {
    snprintf(what, sizeof what, "alu operation %d", op);
    refused_one(b, what, (VtaInsn){.opcode = OPC_ALU, .alu_op = (VtaAluOp)op}, ILLEGAL);
  }
  for (int pad = 0; pad < 4; pad++) {
    VtaInsn i = transfer(b, MEM_OUT, 0, OUT_AT, 1, 1);
    *(uint32_t *[]){&i.x_pad0, &i.x_pad1, &i.y_pad0, &i.y_pad1}[pad] = 1 + below(b, 15);
    refused_one(b, "a store with padding", i, ILLEGAL);
    i.y_size = 0;
    accepted_one(b, "a store of no rows, with padding", i);
  }
  bench_free(b);
}

static void transfers_out_of_range(void **state) {
  Bench *b = bench_open(*state, (TetcRtlOptions){.latency = 16});
  static const VtaMemory all[] = {MEM_UOP, MEM_WGT, MEM_INP, MEM_ACC, MEM_ACC8, MEM_OUT};
  for (int k = 0; k < 6; k++) {
    VtaMemory m = all[k];
    uint32_t depth = depth_of(b, m);
    char what[80];
    snprintf(what, sizeof what, "memory %d past its end", (int)m);
    accepted_one(b, "the last tile", transfer(b, m, depth - 1, OUT_AT, 1, 1));
    refused_one(b, what, transfer(b, m, depth - 1, OUT_AT, 2, 1), RANGE);
    refused_one(b, what, transfer(b, m, depth - 1, OUT_AT, 1, 2), RANGE);
    if (depth < 65536) refused_one(b, what, transfer(b, m, depth, OUT_AT, 1, 1), RANGE);
    if (depth < 65536) refused_one(b, what, transfer(b, m, 65535, OUT_AT, 1, 1), RANGE);
    if (depth < 65536) accepted_one(b, "nothing, past the end", transfer(b, m, 65535, OUT_AT, 3, 0));
    if (m == MEM_OUT) continue;
    for (int pad = 0; pad < 4; pad++) {
      VtaInsn i = transfer(b, m, depth - 1, OUT_AT, 1, 1);
      *(uint32_t *[]){&i.x_pad0, &i.x_pad1, &i.y_pad0, &i.y_pad1}[pad] = 1;
      refused_one(b, "padding past the end", i, RANGE);
    }
  }
  bench_free(b);
}

// Loads micro-op `uop` of the list (see bench_open) to the last place, and runs it there.
static void compute_one(Bench *b, const char *what, int uop, VtaInsn i, bool ok) {
  uint32_t last = depth_of(b, MEM_UOP) - 1;
  b->n = 0;
  add_good(b);
  add(b, transfer(b, MEM_UOP, last, UOP_AT + 4 * (uint64_t)uop, 1, 1));
  i.uop_begin = last;
  i.uop_end = last + 1;
  add(b, i);
  if (ok) {
    accepted(b, what);
    return;
  }
  add(b, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP});
  add_finish(b);
  refused(b, what, RANGE, (int)b->n - 3);
}

static void compute_out_of_range(void **state) {
  Bench *b = bench_open(*state, (TetcRtlOptions){.latency = 16});
  static const struct {
    const char *what;
    int uop;
    VtaInsn once, past; // `once` is fine, and so is `past` when it is done only once
  } cases[] = {
      {"gemm destination, outer", 1, {.opcode = OPC_GEMM}, {.iter_out = 2, .dst_out = 1}},
      {"gemm destination, inner", 1, {.opcode = OPC_GEMM}, {.iter_in = 2, .dst_in = 1}},
      {"gemm source, outer", 2, {.opcode = OPC_GEMM}, {.iter_out = 2, .src_out = 1}},
      {"gemm source, inner", 2, {.opcode = OPC_GEMM}, {.iter_in = 2, .src_in = 1}},
      {"gemm weight, outer", 3, {.opcode = OPC_GEMM}, {.iter_out = 2, .wgt_out = 1}},
      {"gemm weight, inner", 3, {.opcode = OPC_GEMM}, {.iter_in = 2, .wgt_in = 1}},
      {"reset destination", 1, {.opcode = OPC_GEMM, .reset = true}, {.iter_in = 3, .dst_in = 1}},
      {"alu destination, outer", 1, {.opcode = OPC_ALU, .use_imm = true}, {.iter_out = 2, .dst_out = 1}},
      {"alu destination, inner", 1, {.opcode = OPC_ALU, .alu_op = ALU_ADD}, {.iter_in = 2, .dst_in = 1}},
      {"alu source, outer", 4, {.opcode = OPC_ALU, .alu_op = ALU_MAX}, {.iter_out = 2, .src_out = 1}},
      {"alu source, inner", 4, {.opcode = OPC_ALU, .alu_op = ALU_ADD}, {.iter_in = 2, .src_in = 1}},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    VtaInsn i = cases[k].once, p = cases[k].past;
    i.iter_out = i.iter_in = 1;
    compute_one(b, cases[k].what, cases[k].uop, i, true);
    i.dst_out = p.dst_out, i.dst_in = p.dst_in, i.src_out = p.src_out, i.src_in = p.src_in;
    if (i.opcode == OPC_GEMM) i.wgt_out = p.wgt_out, i.wgt_in = p.wgt_in;
    compute_one(b, cases[k].what, cases[k].uop, i, true);
    if (p.iter_out) i.iter_out = p.iter_out;
    if (p.iter_in) i.iter_in = p.iter_in;
    compute_one(b, cases[k].what, cases[k].uop, i, false);
    i.iter_in = 0;
    compute_one(b, cases[k].what, cases[k].uop, i, true);
  }
  // What is not used may be anywhere: the source of a reset and of an immediate operand.
  VtaInsn reset = {.opcode = OPC_GEMM, .reset = true, .iter_out = 2, .iter_in = 1, .src_out = 1};
  compute_one(b, "the source of a reset", 2, reset, true);
  VtaInsn imm = {.opcode = OPC_ALU, .use_imm = true, .iter_out = 2, .iter_in = 1, .src_out = 1};
  compute_one(b, "the source beside an immediate", 4, imm, true);
  for (int op = 0; op < 2; op++) {
    VtaInsn i = {.opcode = op ? OPC_ALU : OPC_GEMM,
                 .uop_begin = depth_of(b, MEM_UOP) - 1,
                 .uop_end = depth_of(b, MEM_UOP) + 1,
                 .iter_out = 1,
                 .iter_in = 1};
    refused_one(b, "a micro-op past the end", i, RANGE);
    i.iter_out = 0;
    accepted_one(b, "no round over micro-ops past the end", i);
  }
  bench_free(b);
}

static void bus_errors(void **state) {
  for (uint32_t latency = 0; latency < 80; latency += 40) {
    Bench *b = bench_open(*state, (TetcRtlOptions){.latency = latency, .stalls = latency, .seed = 3});
    static const VtaMemory all[] = {MEM_UOP, MEM_WGT, MEM_INP, MEM_ACC, MEM_ACC8, MEM_OUT};
    for (int k = 0; k < 6; k++) {
      VtaMemory m = all[k];
      char what[80];
      int code = m == MEM_OUT ? WRITE : READ;
      snprintf(what, sizeof what, "memory %d outside of the buffers", (int)m);
      refused_one(b, what, transfer(b, m, 0, 16 * DRAM_BYTES, 1, 1), code);
      VtaInsn i = transfer(b, m, 0, 0, 1, 2); // the second row
      i.x_stride = 65535;
      if ((uint64_t)vta_elem_bytes(&b->config, m) * 65535 > DRAM_BYTES + 4096) refused_one(b, what, i, code);
      i = transfer(b, m, 0, DRAM_BYTES - (uint64_t)vta_elem_bytes(&b->config, m), 1, 1);
      accepted_one(b, "the last element of a buffer", i);
      i.dram_base = UINT32_MAX; // with elements of several bytes, an address of more than 32 bits
      snprintf(what, sizeof what, "memory %d beyond 4 GiB", (int)m);
      refused_one(b, what, i, code);
      i = transfer(b, m, 0, 0, 2, 1);
      i.dram_base = (uint32_t)((uint64_t)UINT32_MAX / (uint64_t)vta_elem_bytes(&b->config, m)); // across it
      refused_one(b, what, i, code);
    }
    bench_free(b);
  }
}

static void deadlocks(void **state) {
  Bench *b = bench_open(*state, (TetcRtlOptions){.latency = 16});
  VtaInsn load = {.opcode = OPC_LOAD, .memory = MEM_INP}, uop = {.opcode = OPC_LOAD, .memory = MEM_UOP};
  VtaInsn gemm = {.opcode = OPC_GEMM}, store = {.opcode = OPC_STORE, .memory = MEM_OUT};
  VtaInsn *all[] = {&load, &uop, &gemm, &store};
  for (int k = 0; k < 4; k++) {
    bool compute = k == 1 || k == 2;
    VtaInsn i = *all[k];
    i.pop_next = k == 0 || compute;
    i.pop_prev = k == 3;
    refused_one(b, "a token that nobody gives", i, DEADLOCK);
    i = *all[k];
    i.pop_prev = compute || k == 3;
    i.pop_next = k == 0;
    refused_one(b, "a token that nobody gives", i, DEADLOCK);
    i = *all[k];
    i.push_next = k < 3;
    i.push_prev = k > 0;
    refused_one(b, "a token that nobody takes", i, LEFT_OVER);
    VtaInsn beyond = {
        .opcode = OPC_GEMM, .uop_end = 1, .iter_out = 1, .iter_in = 3, .dst_in = depth_of(b, MEM_ACC) - 1};
    refused_one(b, "an accumulator out of range, after tokens that nobody took", beyond, RANGE);
  }
  // In a circle: each unit waits for another's token.
  b->n = 0;
  load.pop_next = load.push_next = uop.pop_prev = uop.push_prev = true;
  add(b, load);
  add(b, uop);
  add_finish(b);
  refused(b, "a circle", DEADLOCK, 0);
  // In a circle through the order of stores: compute waits for the second, which stands behind one that waits for
  // compute.
  VtaInsn first = {.opcode = OPC_STORE, .pop_prev = true}, second = {.opcode = OPC_STORE, .push_prev = true};
  VtaInsn wait = {.opcode = OPC_LOAD, .pop_next = true}, give = {.opcode = OPC_LOAD, .push_next = true};
  for (int tokens = 0; tokens < 2; tokens++) { // the circle is closed by the first one that is missing
    b->n = 0;
    for (int k = 0; k < tokens; k++) add(b, second);
    add(b, first);
    add(b, second);
    for (int k = 0; k <= tokens; k++) add(b, wait);
    add(b, give);
    add_finish(b);
    refused(b, "a circle of stores", DEADLOCK, -1);
  }
  bench_free(b);
}

// More tokens than a channel holds: who gives them waits. With so many that the queues fill up too, fetch never gets to
// those who take them, and the watchdog ends it: none is lost.
static void full_channels(void **state) {
  Bench *b = bench_open(*state, (TetcRtlOptions){.latency = 0});
  VtaInsn load = {.opcode = OPC_LOAD, .memory = MEM_WGT}, compute = {.opcode = OPC_LOAD, .memory = MEM_UOP};
  VtaInsn store = {.opcode = OPC_STORE, .memory = MEM_OUT};
  const VtaInsn *units[4][2] = {{&load, &compute}, {&compute, &load}, {&compute, &store}, {&store, &compute}};
  enum { HELD = 4500, TOO_MANY = 4700 };
  VtaWord *words = calloc(2 * TOO_MANY + 1, sizeof *words);
  assert_non_null(words);
  for (int k = 0; k < 8; k++) {
    int n = k % 2 ? TOO_MANY : HELD;
    VtaInsn giver = *units[k / 2][0], taker = *units[k / 2][1];
    bool forward = k / 2 == 0 || k / 2 == 2;
    *(forward ? &giver.push_next : &giver.push_prev) = *(forward ? &taker.pop_prev : &taker.pop_next) = true;
    for (int m = 0; m < 2 * n; m++) words[m] = vta_encode(&b->config, m < n ? &giver : &taker);
    words[2 * n] = vta_encode(&b->config, &(VtaInsn){.opcode = OPC_FINISH});
    TetcFault fault = {.count = 0};
    size_t all = 2 * (size_t)n + 1;
    if (!b->want->launch(b->want->self, words, NULL, all, &fault)) fail_msg("fsim, channel %d: %s", k / 2, fault.text);
    bool ok = b->got->launch(b->got->self, words, NULL, all, &fault);
    if (ok != (n == HELD) || (!ok && !strstr(fault.text, "error 5,")))
      fail_msg("rtl, channel %d, %d tokens: %s", k / 2, n, fault.text);
    run_good(b, "a full channel");
  }
  free(words);
  bench_free(b);
}

static void wrong_ends(void **state) {
  Bench *b = bench_open(*state, (TetcRtlOptions){.latency = 16});
  b->n = 0;
  add_good(b);
  refused(b, "no finish", END, 7);
  b->n = 0;
  add_finish(b);
  add_good(b);
  add_finish(b);
  refused(b, "instructions after finish", END, 0);
  b->n = 0;
  add_finish(b);
  add_finish(b);
  refused(b, "finish twice", END, 0);
  b->n = 0;
  add(b, (VtaInsn){.opcode = OPC_FINISH});
  add(b, transfer(b, MEM_INP, 0, 0, 1, 1));
  refused(b, "a load after finish", END, 0);
  TetcFault fault;
  assert_true(b->want->launch(b->want->self, b->words, NULL, 0, &fault));
  assert_true(b->got->launch(b->got->self, b->words, NULL, 0, &fault));
  bench_free(b);
}

// ---- random ---------------------------------------------------------------------------------------------------------

// Programs with one field set at random, flags apart: both refuse, or both accept and agree.
static void random_fields(void **state) {
  Bench *b = bench_open(*state, (TetcRtlOptions){.latency = 5, .stalls = 10, .reorder = true, .seed = 11});
  int refusals = 0, count = getenv("TETC_LONG_TESTS") ? 10000 : 400;
  fill(b);
  for (int n = 0; n < count; n++) {
    TetcFault want = {.count = 0}, got = {.count = 0};
    b->n = 0;
    add_good(b);
    add_finish(b);
    size_t at = below(b, (uint32_t)b->n - 1);
    VtaInsn i;
    vta_decode(&b->config, b->words[at], &i);
    bool moves = i.opcode == OPC_LOAD || i.opcode == OPC_STORE;
    unsigned bit = moves ? 10 + below(b, 118) : 8 + below(b, 120); // behind what says where it runs
    uint64_t *word = bit < 64 ? &b->words[at].lo : &b->words[at].hi;
    *word ^= (uint64_t)1 << bit % 64;
    if (below(b, 2)) *word ^= (uint64_t)(1 + below(b, 7)) << (bit % 64 < 60 ? bit % 64 : 59);
    bool fine = b->want->launch(b->want->self, b->words, NULL, b->n, &want);
    if (b->got->launch(b->got->self, b->words, NULL, b->n, &got) != fine)
      fail_msg("program %d, #%zu, bit %u: fsim %s, rtl %s", n, at, bit, want.text, got.text);
    refusals += !fine;
    if (fine && memcmp(b->want_dram, b->got_dram, DRAM_BYTES))
      fail_msg("program %d, #%zu, bit %u: DRAM differs", n, at, bit);
    memcpy(b->got_dram, b->want_dram, DRAM_BYTES);
    if (!fine) fill(b);
  }
  assert_in_range(refusals, count / 20, count - count / 20);
  bench_free(b);
}

// ---- registers ------------------------------------------------------------------------------------------------------

static uint32_t get(Bench *b, uint32_t address) {
  bool ok;
  uint32_t v = b->read(b->got, address, &ok);
  if (!ok) fail_msg("register 0x%x cannot be read", address);
  return v;
}

static void registers(void **state) {
  const Model *model = *state;
  Bench *b = bench_open(model, (TetcRtlOptions){.latency = 16});
  bool ok;
  for (uint32_t a = 0; a < 0x1000; a += 4) {
    bool counter = a >= 0x80 && a < 0x80 + 4 * TETC_COUNTERS, both = (a >= 0x04 && a <= 0x24) || a == 0x3c;
    bool readable = counter || both || a == 0x00 || (a >= 0x40 && a <= 0x50);
    bool writable = both || a == 0x00 || a == 0x44;
    uint32_t before = b->read(b->got, a, &ok), v = below(b, UINT32_MAX) & ~1u; // launches and resets nothing
    if (ok != readable) fail_msg("register 0x%x: reading it is %s", a, ok ? "answered" : "an error");
    if (b->write(b->got, a, v) != writable)
      fail_msg("register 0x%x: writing it is %s", a, writable ? "an error" : "taken");
    uint32_t after = b->read(b->got, a, &ok), beats = a >= 0x0c && a <= 0x20 ? model->bus / 8 - 1 : 0;
    if (after != (both ? v & ~beats : before)) fail_msg("register 0x%x holds %x after %x", a, after, v);
  }
  b->write(b->got, WATCHDOG, 1000000);
  for (uint32_t a = 0x10; a <= 0x20; a += 4) b->write(b->got, a, 0);
  run_good(b, "every register was written");
  bench_free(b);
}

// Bases are added to addresses, each to its own memory's.
static void bases(void **state) {
  const Model *model = *state;
  Bench *b = bench_open(model, (TetcRtlOptions){.latency = 16});
  static const VtaMemory order[] = {MEM_UOP, MEM_INP, MEM_WGT, MEM_ACC, MEM_OUT};
  for (uint32_t k = 0; k < 5; k++) {
    uint32_t elem = (uint32_t)vta_elem_bytes(&b->config, order[k]), beat = model->bus / 8;
    uint32_t shift = elem > beat ? elem : beat; // whole beats, so that lanes stay
    TetcFault fault;
    run_good(b, "the base of another memory");
    b->n = 0;
    add_good(b);
    if (order[k] == MEM_ACC) add(b, transfer(b, MEM_ACC, 0, 4 * shift, 1, 1));
    add_finish(b);
    assert_true(b->want->launch(b->want->self, b->words, NULL, b->n, &fault));
    for (size_t n = 0; n + 1 < b->n; n++) {
      VtaInsn i;
      vta_decode(&b->config, b->words[n], &i);
      if ((i.opcode == OPC_LOAD || i.opcode == OPC_STORE) && i.memory == order[k] && i.x_size)
        i.dram_base -= shift / elem;
      b->words[n] = vta_encode(&b->config, &i);
    }
    b->write(b->got, 0x10 + 4 * k, shift);
    if (!b->got->launch(b->got->self, b->words, NULL, b->n, &fault)) {
      // The harness's own look at the transfer knows no bases: only it may mind.
      if (!strstr(fault.text, "not in one buffer")) fail_msg("base %u: %s", k, fault.text);
    }
    if (memcmp(b->want_dram, b->got_dram, DRAM_BYTES)) fail_msg("base %u: DRAM differs", k);
    b->write(b->got, 0x10 + 4 * k, 0);
  }
  bench_free(b);
}

// Runs what is at `phys` as a host would, until the core stops or `polls` reads of its status are over.
static uint32_t launch(Bench *b, uint64_t phys, uint32_t n, int polls) {
  b->write(b->got, COUNT, n);
  b->write(b->got, ADDRESS, (uint32_t)phys);
  b->write(b->got, CONTROL, 1);
  while (--polls > 0 && !(get(b, CONTROL) & DONE)) continue;
  return get(b, CODE) & 15;
}

static void soft_reset(Bench *b) {
  b->write(b->got, RESET, 1);
  for (int n = 0; n < 10000 && get(b, CONTROL) & BUSY; n++) continue;
  assert_int_equal(get(b, CONTROL), 0);
  assert_int_equal(get(b, CODE), 0);
}

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

// Errors in the middle of long transfers, sooner and later: the bus comes to rest, and the next launch is right.
static void interrupt(Bench *b, uint8_t *code, uint64_t phys) {
  uint32_t inps = depth_of(b, MEM_INP), accs = depth_of(b, MEM_ACC);
  for (uint32_t delay = 1; delay < 500 && delay < inps; delay = delay * 3 / 2 + 1) {
    b->n = 0;
    add(b, transfer(b, MEM_ACC, 0, 0, smaller(accs, 200), 1));
    add(b, transfer(b, MEM_OUT, 0, OUT_AT, smaller(accs, 300), 1));
    add(b, transfer(b, MEM_INP, 0, 0, delay, 1));
    add(b, transfer(b, MEM_INP, inps - 1, 0, 2, 1));
    add_finish(b);
    memcpy(code, b->words, sizeof b->words);
    assert_int_equal(launch(b, phys, (uint32_t)b->n, 10000), RANGE);
    uint32_t stopped = get(b, CODE);
    assert_int_equal(stopped >> 8, 3);
    b->write(b->got, CONTROL, 1); // not before a reset
    for (int n = 0; n < 100; n++) get(b, CONTROL);
    assert_int_equal(get(b, CODE), stopped);
    assert_int_equal(get(b, CONTROL) & (DONE | RUNNING), DONE);
    soft_reset(b);
    memcpy(b->got_dram, b->want_dram, DRAM_BYTES);
    run_good(b, "a soft reset");
  }
}

// What the launch function of the device never does; and what stands between an error and the next launch.
static void by_registers(void **state) {
  Bench *b = bench_open(*state, (TetcRtlOptions){.latency = 30, .stalls = 20, .reorder = true, .seed = 2});
  uint64_t phys;
  uint8_t *code = tetc_dram_alloc(b->got->dram, sizeof b->words, &phys);
  assert_int_equal(launch(b, phys, 0, 100), END);
  soft_reset(b);
  assert_int_equal(launch(b, 0xffff0000, 2, 10000), READ); // no instructions there
  assert_int_equal(get(b, TAKEN), 0);
  soft_reset(b);
  assert_int_equal(launch(b, 0xffffff00, 1000000, 10000), READ); // nor beyond 4 GiB
  soft_reset(b);
  interrupt(b, code, phys);
  // The watchdog can be off, and a core that waits is still there.
  b->n = 0;
  add(b, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP, .pop_prev = true});
  add_finish(b);
  memcpy(code, b->words, sizeof b->words);
  b->write(b->got, WATCHDOG, 0);
  assert_int_equal(launch(b, phys, 2, 5000), 0);
  assert_int_equal(get(b, CONTROL), RUNNING);
  b->write(b->got, RESET, 1);                  // not while it runs
  for (uint32_t a = 0x08; a <= 0x20; a += 4) { // nor what it works with
    uint32_t before = get(b, a);
    assert_false(b->write(b->got, a, ~before));
    assert_int_equal(get(b, a), before);
  }
  assert_int_equal(get(b, CONTROL), RUNNING);
  b->write(b->got, WATCHDOG, 100);
  get(b, CONTROL);
  assert_int_equal(get(b, CODE) & 15, DEADLOCK);
  soft_reset(b);
  run_good(b, "a late watchdog");
  bench_free(b);
}

int main(int argc, char **argv) {
  Model model;
  if (!model_read(argc, argv, &model.config, &model.bus)) return 2;
#define TEST(f) cmocka_unit_test_prestate(f, &model)
  const struct CMUnitTest tests[] = {TEST(illegal_instructions),
                                     TEST(transfers_out_of_range),
                                     TEST(compute_out_of_range),
                                     TEST(bus_errors),
                                     TEST(deadlocks),
                                     TEST(full_channels),
                                     TEST(wrong_ends),
                                     TEST(random_fields),
                                     TEST(registers),
                                     TEST(bases),
                                     TEST(by_registers)};
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}

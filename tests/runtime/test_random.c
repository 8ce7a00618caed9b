// SPDX-License-Identifier: Apache-2.0
// Random instruction streams on the simulator against a plain model that executes them one after the other: every
// opcode, memory, padding, stride, factor and trip count, several configurations, every vector unit of this machine.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAM_BYTES = 1 << 18, STREAM = 60 };

static uint32_t seed = 12345;

static uint32_t below(uint32_t n) {
  seed = seed * 1664525u + 1013904223u;
  return n ? (uint32_t)(((uint64_t)(seed >> 4) * n) >> 28) : 0;
}

// ---- the model: vta-isa sections 6 to 9, word for word --------------------------------------------------------------

typedef struct Model {
  VtaConfig c;
  int batch, in, out;
  int8_t *inp, *wgt;
  int32_t *acc;
  VtaUop *uop;
  uint8_t *dram; // from physical address `base`
  uint64_t base;
} Model;

static void model_element(Model *m, VtaMemory mem, uint32_t at, const uint8_t *src) {
  int n = mem == MEM_INP ? m->batch * m->in : mem == MEM_WGT ? m->out * m->in : m->batch * m->out;
  uint32_t word = 0;
  if (mem == MEM_UOP && src) memcpy(&word, src, 4);
  if (mem == MEM_UOP) {
    m->uop[at] = vta_decode_uop(&m->c, word);
    return;
  }
  for (int l = 0; l < n; l++) {
    int32_t v = 0;
    if (src && mem == MEM_ACC) memcpy(&v, src + 4 * l, 4);
    else if (src) v = (int8_t)src[l];
    if (mem == MEM_INP) m->inp[at * (uint32_t)n + (uint32_t)l] = (int8_t)v;
    else if (mem == MEM_WGT) m->wgt[at * (uint32_t)n + (uint32_t)l] = (int8_t)v;
    else m->acc[at * (uint32_t)n + (uint32_t)l] = v;
  }
}

static void model_load(Model *m, const VtaInsn *i) {
  if (i->x_size == 0) return;
  uint64_t bytes = (uint64_t)vta_elem_bytes(&m->c, i->memory);
  uint32_t at = i->sram_base;
  for (uint32_t r = 0; r < i->y_pad0 + i->y_size + i->y_pad1; r++)
    for (uint32_t c = 0; c < i->x_pad0 + i->x_size + i->x_pad1; c++) {
      bool pad = r < i->y_pad0 || r >= i->y_pad0 + i->y_size || c < i->x_pad0 || c >= i->x_pad0 + i->x_size;
      uint64_t index = i->dram_base + (uint64_t)(r - i->y_pad0) * i->x_stride + (c - i->x_pad0);
      model_element(m, i->memory, at++, pad ? NULL : m->dram + (index * bytes - m->base));
    }
}

static void model_store(Model *m, const VtaInsn *i) {
  uint32_t n = (uint32_t)(m->batch * m->out);
  for (uint32_t y = 0; y < i->y_size; y++)
    for (uint32_t x = 0; x < i->x_size; x++)
      for (uint32_t l = 0; l < n; l++)
        m->dram[((uint64_t)i->dram_base + y * i->x_stride + x) * n - m->base + l] =
            (uint8_t)m->acc[(i->sram_base + y * i->x_size + x) * n + l];
}

static int32_t model_alu(VtaAluOp op, int32_t x, int32_t y) {
  int64_t wide = x;
  uint32_t amount = y < 0 ? (0u - (uint32_t)y) % 32 : (uint32_t)y % 32;
  if (op == ALU_MIN) return x < y ? x : y;
  if (op == ALU_MAX) return x < y ? y : x;
  if (op == ALU_ADD) return (int32_t)(uint32_t)(wide + y);
  if (op == ALU_MUL) return (int32_t)(uint32_t)(uint64_t)(wide * y);
  return y < 0 ? (int32_t)((uint32_t)x << amount) : (int32_t)(wide >> amount);
}

static void model_gemm(Model *m, const VtaInsn *i, uint32_t d, uint32_t s, uint32_t w) {
  for (int b = 0; b < m->batch; b++)
    for (int c = 0; c < m->out; c++) {
      int32_t *acc = &m->acc[(d * (uint32_t)m->batch + (uint32_t)b) * (uint32_t)m->out + (uint32_t)c];
      if (i->reset) *acc = 0;
      for (int k = 0; k < m->in && !i->reset; k++)
        *acc = (int32_t)((uint32_t)*acc +
                         (uint32_t)(m->inp[(s * (uint32_t)m->batch + (uint32_t)b) * (uint32_t)m->in + (uint32_t)k] *
                                    m->wgt[(w * (uint32_t)m->out + (uint32_t)c) * (uint32_t)m->in + (uint32_t)k]));
    }
}

static void model_compute(Model *m, const VtaInsn *i) {
  for (uint32_t o = 0; o < i->iter_out; o++)
    for (uint32_t j = 0; j < i->iter_in; j++)
      for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
        uint32_t d = m->uop[k].dst + o * i->dst_out + j * i->dst_in, s = m->uop[k].src + o * i->src_out + j * i->src_in;
        if (i->opcode == OPC_GEMM) {
          model_gemm(m, i, d, s, m->uop[k].wgt + o * i->wgt_out + j * i->wgt_in);
          continue;
        }
        uint32_t n = (uint32_t)(m->batch * m->out);
        for (uint32_t l = 0; l < n; l++)
          m->acc[d * n + l] = model_alu(i->alu_op, m->acc[d * n + l], i->use_imm ? i->imm : m->acc[s * n + l]);
      }
}

static void model_run(Model *m, const VtaInsn *i) {
  if (i->opcode == OPC_LOAD) model_load(m, i);
  else if (i->opcode == OPC_STORE) model_store(m, i);
  else if (i->opcode != OPC_FINISH) model_compute(m, i);
}

// ---- streams --------------------------------------------------------------------------------------------------------

typedef struct Bench {
  TetcDevice *device;
  Model model;
  uint64_t phys;
  uint8_t *dram; // the device's
  VtaInsn insns[STREAM * 3];
  VtaWord words[STREAM * 3];
  size_t n;
  VtaUnit last; // unit of the newest instruction; 0: none
} Bench;

// Appends an instruction that starts when all before it are done: tokens from unit to unit.
static void add(Bench *b, VtaInsn i) {
  VtaUnit unit = vta_unit(&i);
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

static int32_t shift_or_any(void) {
  return (int32_t)below(3) ? (int32_t)below(80) - 40 : (int32_t)(below(65536)) - 32768;
}

static VtaInsn random_transfer(const Bench *b, bool store) {
  static const VtaMemory loads[] = {MEM_WGT, MEM_INP, MEM_ACC, MEM_ACC8, MEM_INP};
  const VtaConfig *c = &b->model.c;
  VtaInsn i = {.opcode = store ? OPC_STORE : OPC_LOAD, .memory = store ? MEM_OUT : loads[below(5)]};
  uint32_t depth = (uint32_t)vta_depth(c, i.memory), elem = (uint32_t)vta_elem_bytes(c, i.memory);
  uint32_t elems = (DRAM_BYTES - 4096) / elem; // the last page holds micro-ops
  for (;;) {
    i.x_size = below(10), i.y_size = below(5) + store, i.x_stride = below(14);
    if (i.x_size == 0 && i.memory == MEM_OUT) i.memory = MEM_UOP; // as upstream's no-op
    if (!store) i.y_pad0 = below(4), i.y_pad1 = below(3), i.x_pad0 = below(3), i.x_pad1 = below(4);
    uint32_t tiles = (i.y_pad0 + i.y_size + i.y_pad1) * (i.x_pad0 + i.x_size + i.x_pad1);
    uint32_t span = i.y_size ? (i.y_size - 1) * i.x_stride + i.x_size : 0;
    if (tiles > depth || span > elems || (store && i.x_stride < i.x_size && i.y_size > 1)) continue;
    i.sram_base = below(depth - tiles + 1);
    i.dram_base = (uint32_t)(b->phys / elem) + below(elems - span + 1);
    return i;
  }
}

// Micro-ops and factors that stay in range: bases below half of a memory, loops within the other half.
static VtaInsn random_compute(Bench *b) {
  const VtaConfig *c = &b->model.c;
  bool gemm = below(2);
  uint32_t a = (uint32_t)vta_depth(c, MEM_ACC), s = gemm ? (uint32_t)vta_depth(c, MEM_INP) : a;
  uint32_t w = (uint32_t)vta_depth(c, MEM_WGT), u = (uint32_t)vta_depth(c, MEM_UOP);
  uint32_t count = below(u < 12 ? u : 12) + 1, begin = below(u - count + 1), narrow = below(3) ? 4 : 0;
  uint32_t *words = (uint32_t *)(void *)(b->dram + DRAM_BYTES - 4096);
  for (uint32_t k = 0; k < count; k++) // `narrow`: few destinations, so that micro-ops meet
    words[k] =
        vta_encode_uop(c, (VtaUop){below(narrow && narrow < a / 2 ? narrow : a / 2), below(s / 2), below(w / 2)});
  memcpy(b->model.dram + DRAM_BYTES - 4096, words, 4096);
  VtaInsn load = {.opcode = OPC_LOAD,
                  .memory = MEM_UOP,
                  .sram_base = begin,
                  .dram_base = (uint32_t)(b->phys + DRAM_BYTES - 4096) / 4,
                  .y_size = 1,
                  .x_size = count,
                  .x_stride = count};
  add(b, load);
  VtaInsn i = {.opcode = gemm ? OPC_GEMM : OPC_ALU,
               .uop_begin = begin,
               .uop_end = begin + count - (below(20) == 0),
               .iter_out = below(5),
               .iter_in = below(9)};
  uint32_t out = i.iter_out ? i.iter_out : 1, in = i.iter_in ? i.iter_in : 1;
  i.dst_out = below(a / 4 / out), i.dst_in = below(a / 4 / in) * below(2);
  i.src_out = below(s / 4 / out), i.src_in = below(s / 4 / in) * below(2);
  if (gemm) {
    i.wgt_out = below(w / 4 / out), i.wgt_in = below(w / 4 / in) * below(2);
    i.reset = below(4) == 0;
  } else {
    i.alu_op = (VtaAluOp)below(5), i.use_imm = below(2), i.imm = shift_or_any();
  }
  return i;
}

// A micro-op load must run before the next changes its DRAM: one kernel a launch.
static void random_stream(Bench *b) {
  b->n = 0;
  b->last = 0;
  int kernel_at = (int)below(STREAM);
  for (int k = 0; k < STREAM; k++) {
    if (k == kernel_at) {
      VtaInsn i = random_compute(b);
      add(b, i);
      continue;
    }
    add(b, random_transfer(b, below(4) == 0));
  }
  if (b->last != UNIT_COMPUTE) add(b, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP});
  add(b, (VtaInsn){.opcode = OPC_FINISH});
  for (size_t k = 0; k < b->n; k++) b->words[k] = vta_encode(&b->model.c, &b->insns[k]);
}

static size_t model_sizes(const Model *m, VtaMemory mem) {
  size_t n = (size_t)vta_depth(&m->c, mem);
  if (mem == MEM_INP) return n * (size_t)(m->batch * m->in);
  if (mem == MEM_WGT) return n * (size_t)(m->out * m->in);
  return n * (size_t)(m->batch * m->out) * 4;
}

static void bench_open(Bench *b, const VtaConfig *c) {
  memset(b, 0, sizeof *b);
  assert_null(vta_config_problem(c));
  b->device = tetc_fsim_new(c);
  assert_non_null(b->device);
  b->device->check(b->device->self, true);
  Model *m = &b->model;
  m->c = *c;
  m->batch = 1 << c->log_batch, m->in = 1 << c->log_block_in, m->out = 1 << c->log_block_out;
  m->inp = calloc(model_sizes(m, MEM_INP), 1);
  m->wgt = calloc(model_sizes(m, MEM_WGT), 1);
  m->acc = calloc(model_sizes(m, MEM_ACC), 1);
  m->uop = calloc((size_t)vta_depth(c, MEM_UOP), sizeof *m->uop);
  m->dram = malloc(DRAM_BYTES);
  b->dram = tetc_dram_alloc(b->device->dram, DRAM_BYTES, &b->phys);
  assert_non_null(b->dram);
  m->base = b->phys;
  for (int k = 0; k < DRAM_BYTES; k++) b->dram[k] = (uint8_t)(below(6) ? below(256) : 128 + 127 * below(2));
  memcpy(m->dram, b->dram, DRAM_BYTES);
}

static void bench_close(Bench *b) {
  b->device->free(b->device->self);
  free(b->model.inp), free(b->model.wgt), free(b->model.acc), free(b->model.uop), free(b->model.dram);
}

static void compare(Bench *b) {
  const Model *m = &b->model;
  assert_memory_equal(tetc_fsim_sram(b->device, MEM_INP), m->inp, model_sizes(m, MEM_INP));
  assert_memory_equal(tetc_fsim_sram(b->device, MEM_WGT), m->wgt, model_sizes(m, MEM_WGT));
  assert_memory_equal(tetc_fsim_sram(b->device, MEM_ACC), m->acc, model_sizes(m, MEM_ACC));
  assert_memory_equal(b->dram, m->dram, DRAM_BYTES);
}

static void run_config(const VtaConfig *c, int streams) {
  for (int level = 1; level <= 3; level++) {
    Bench *b = malloc(sizeof *b);
    bench_open(b, c);
    for (int n = 0; tetc_fsim_use(b->device, level) && n < streams; n++) {
      TetcFault fault = {.count = 0};
      random_stream(b);
      for (size_t k = 0; k < b->n; k++) model_run(&b->model, &b->insns[k]);
      if (!b->device->launch(b->device->self, b->words, NULL, b->n, &fault)) fail_msg("%s", fault.text);
      compare(b);
    }
    bench_close(b);
    free(b);
  }
}

static VtaConfig config_of(int batch, int in, int out, int inp, int wgt, int acc, int uop) {
  VtaConfig c = vta_config_default();
  c.log_batch = batch, c.log_block_in = in, c.log_block_out = out;
  c.log_inp_buff = inp, c.log_wgt_buff = wgt, c.log_acc_buff = acc, c.log_uop_buff = uop, c.log_out_buff = acc - 2;
  return c;
}

static void default_config(void **state) {
  (void)state;
  VtaConfig c = vta_config_default();
  run_config(&c, 60);
}

static void small_buffers(void **state) {
  (void)state;
  VtaConfig c = config_of(0, 4, 4, 10, 14, 12, 8);
  run_config(&c, 150);
}

static void block_32(void **state) {
  (void)state;
  VtaConfig c = config_of(0, 5, 5, 13, 17, 14, 12);
  run_config(&c, 60);
}

static void batch_2(void **state) {
  (void)state;
  VtaConfig c = config_of(1, 4, 4, 13, 16, 14, 12);
  run_config(&c, 60);
}

static void odd_shapes(void **state) {
  (void)state;
  VtaConfig c = config_of(2, 3, 3, 11, 13, 13, 10);
  run_config(&c, 40);
  c = config_of(1, 6, 5, 12, 16, 14, 10);
  run_config(&c, 40);
  c = config_of(0, 2, 6, 10, 14, 15, 10);
  run_config(&c, 40);
  c = config_of(0, 1, 4, 10, 12, 13, 10);
  run_config(&c, 40);
  c = config_of(0, 0, 0, 6, 6, 8, 8);
  run_config(&c, 40);
}

// A stream from which one token is missing (its push and its pop) must not go unnoticed where it mattered; where it
// did not, the result is still right. Seen from outside: a success always has the right result.
static void missing_tokens(void **state) {
  (void)state;
  VtaConfig c = config_of(0, 4, 4, 10, 14, 12, 8);
  int caught = 0;
  for (int n = 0; n < 150; n++) {
    Bench *b = malloc(sizeof *b);
    bench_open(b, &c);
    random_stream(b);
    size_t k = 1 + below((uint32_t)b->n - 2);
    while (!b->insns[k].pop_prev && !b->insns[k].pop_next) k = 1 + below((uint32_t)b->n - 2);
    if (b->insns[k].pop_prev) b->insns[k].pop_prev = b->insns[k - 1].push_next = false;
    else b->insns[k].pop_next = b->insns[k - 1].push_prev = false;
    for (size_t i = 0; i < b->n; i++) {
      b->words[i] = vta_encode(&c, &b->insns[i]);
      model_run(&b->model, &b->insns[i]);
    }
    TetcFault fault = {.count = 0};
    if (b->device->launch(b->device->self, b->words, NULL, b->n, &fault)) compare(b);
    else if (strstr(fault.text, "hazard: ")) caught++;
    else fail_msg("%s", fault.text);
    bench_close(b);
    free(b);
  }
  assert_true(caught > 20);
}

// Instructions with any bits whatever (but few iterations): an error or not, never more.
static void any_bits(void **state) {
  (void)state;
  VtaConfig c = config_of(0, 4, 4, 10, 14, 12, 8);
  Bench *b = malloc(sizeof *b);
  bench_open(b, &c);
  int ran = 0;
  for (int n = 0; n < 20000; n++) {
    size_t count = below(6);
    TetcFault fault = {.count = 0};
    for (size_t k = 0; k < count; k++) {
      VtaInsn i;
      VtaWord w = {(uint64_t)below(1 << 28) << 36 ^ (uint64_t)below(1 << 28) << 12 ^ below(1 << 28), 0};
      w.hi = (uint64_t)below(1 << 28) << 36 ^ (uint64_t)below(1 << 28) << 12 ^ below(1 << 28);
      if (vta_decode(&c, w, &i)) {
        if (i.opcode == OPC_GEMM || i.opcode == OPC_ALU) i.iter_out &= 7, i.iter_in &= 7;
        if (below(4) && i.opcode <= OPC_STORE) {
          i.x_size &= 3, i.y_size &= 3, i.sram_base &= 7, i.dram_base = 0x400 + (i.dram_base & 0x3FF), i.x_stride &= 15;
          i.y_pad0 = i.y_pad1 = i.x_pad0 = i.x_pad1 = 0;
          if (i.opcode == OPC_STORE) i.memory = MEM_OUT;
        } else if (below(4) && i.opcode != OPC_FINISH) {
          i.uop_end &= 63, i.dst_out &= 1, i.dst_in &= 1, i.src_out &= 1, i.src_in &= 1, i.wgt_out &= 1, i.wgt_in &= 1;
        }
        if (below(2)) i.pop_prev = i.pop_next = i.push_prev = i.push_next = false;
        w = vta_encode(&c, &i);
      }
      b->words[k] = w;
    }
    b->words[count] = vta_encode(&c, &(VtaInsn){.opcode = OPC_FINISH});
    bool done = b->device->launch(b->device->self, b->words, NULL, count + 1, &fault);
    assert_int_equal(done, fault.text[0] == 0);
    assert_int_equal(done, fault.count == 0);
    for (int k = 0; k < fault.count; k++) assert_true(fault.insns[k] <= count);
    ran += done && count;
  }
  assert_true(ran > 200);
  bench_close(b);
  free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(default_config), cmocka_unit_test(small_buffers),
                                     cmocka_unit_test(block_32),       cmocka_unit_test(batch_2),
                                     cmocka_unit_test(odd_shapes),     cmocka_unit_test(missing_tokens),
                                     cmocka_unit_test(any_bits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Encoding of instructions and micro-ops: the layouts of vta-isa section 2, for any configuration that encodes.
#include "backend_vta/isa.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Upstream's shipped values (every shipped target has the same).
VtaConfig vta_config_default(void) {
  return (VtaConfig){.log_inp_width = 3, .log_wgt_width = 3, .log_acc_width = 5, .log_out_width = 3,
    .log_batch = 0, .log_block_in = 4, .log_block_out = 4, .log_uop_width = 5, .log_ins_width = 7,
    .log_uop_buff = 15, .log_inp_buff = 15, .log_wgt_buff = 18, .log_acc_buff = 17, .log_out_buff = 15};
}

// The log2 number of entries of a memory: capacity over element size, both in bits.
int vta_log_depth(const VtaConfig *c, VtaMemory m) {
  switch (m) {
  case MEM_UOP: return c->log_uop_buff - c->log_uop_width + 3;
  case MEM_INP: return c->log_inp_buff - c->log_batch - c->log_block_in - c->log_inp_width + 3;
  case MEM_WGT: return c->log_wgt_buff - c->log_block_out - c->log_block_in - c->log_wgt_width + 3;
  case MEM_ACC:
  case MEM_OUT: // the same index as ACC
  case MEM_ACC8:
  case MEM_COUNT: break;
  }
  return c->log_acc_buff - c->log_batch - c->log_block_out - c->log_acc_width + 3;
}

int64_t vta_depth(const VtaConfig *c, VtaMemory m) { return (int64_t)1 << vta_log_depth(c, m); }

// Bytes in DRAM of one element (ACC8: of int8 lanes that widen on their way in).
int64_t vta_elem_bytes(const VtaConfig *c, VtaMemory m) {
  int log = 0;
  switch (m) {
  case MEM_UOP: log = c->log_uop_width; break;
  case MEM_INP: log = c->log_batch + c->log_block_in + c->log_inp_width; break;
  case MEM_WGT: log = c->log_block_out + c->log_block_in + c->log_wgt_width; break;
  case MEM_ACC: log = c->log_batch + c->log_block_out + c->log_acc_width; break;
  case MEM_OUT: log = c->log_batch + c->log_block_out + c->log_out_width; break;
  case MEM_ACC8:
  case MEM_COUNT: log = c->log_batch + c->log_block_out + c->log_inp_width; break;
  }
  return (int64_t)1 << (log - 3);
}

static int larger(int a, int b) { return a > b ? a : b; }

static bool within(int v, int lo, int hi) { return v >= lo && v <= hi; }

// Everything about element types and sizes that must hold before depths mean anything.
static const char *shape_problem(const VtaConfig *c) {
  if (c->log_inp_width != 3) return "LOG_INP_WIDTH must be 3: inputs are 8 bits wide";
  if (c->log_wgt_width != 3) return "LOG_WGT_WIDTH must be 3: weights are 8 bits wide";
  if (c->log_acc_width != 5) return "LOG_ACC_WIDTH must be 5: accumulators are 32 bits wide";
  if (c->log_out_width != 3) return "LOG_OUT_WIDTH must be 3: outputs are 8 bits wide";
  if (c->log_uop_width != 5) return "LOG_UOP_WIDTH must be 5: a micro-op has 32 bits";
  if (c->log_ins_width != 7) return "LOG_INS_WIDTH must be 7: an instruction has 128 bits";
  if (!within(c->log_batch, 0, 10)) return "LOG_BATCH must be between 0 and 10";
  if (!within(c->log_block_in, 0, 12)) return "LOG_BLOCK (input) must be between 0 and 12";
  if (!within(c->log_block_out, 0, 12)) return "LOG_BLOCK (output) must be between 0 and 12";
  if (c->log_block_in + c->log_block_out > 12) return "a weight tile is larger than a 4096-byte page: LOG_BLOCK is too large";
  if (c->log_batch + c->log_block_out + 2 > 12 || c->log_batch + c->log_block_in > 12)
    return "an accumulator tile is larger than a 4096-byte page: LOG_BATCH + LOG_BLOCK is too large";
  if (!within(c->log_uop_buff, 0, 40) || !within(c->log_inp_buff, 0, 40) || !within(c->log_wgt_buff, 0, 40) ||
      !within(c->log_acc_buff, 0, 40))
    return "a buffer size (LOG_..._BUFF_SIZE) must be between 0 and 40";
  if (c->log_out_buff != c->log_acc_buff + c->log_out_width - c->log_acc_width)
    return "LOG_OUT_BUFF_SIZE must be LOG_ACC_BUFF_SIZE + LOG_OUT_WIDTH - LOG_ACC_WIDTH";
  return NULL;
}

// The limits of vta-isa section 1.3: upstream's bit-fields would silently straddle words beyond them.
const char *vta_config_problem(const VtaConfig *c) {
  const char *why = shape_problem(c);
  if (why) return why;
  int u = vta_log_depth(c, MEM_UOP), a = vta_log_depth(c, MEM_ACC);
  int i = vta_log_depth(c, MEM_INP), w = vta_log_depth(c, MEM_WGT);
  if (u < 1) return "LOG_UOP_BUFF_SIZE is too small: the buffer must hold at least two micro-ops";
  if (i < 1) return "LOG_INP_BUFF_SIZE is too small: the buffer must hold at least two tiles";
  if (w < 1) return "LOG_WGT_BUFF_SIZE is too small: the buffer must hold at least two tiles";
  if (a < 1) return "LOG_ACC_BUFF_SIZE is too small: the buffer must hold at least two tiles";
  if (u > 13) return "LOG_UOP_BUFF_SIZE is too large: micro-op indices do not fit the instruction (at most 8192 micro-ops)";
  if (a > 11) return "LOG_ACC_BUFF_SIZE is too large: accumulator indices do not fit an ALU instruction (at most 2048 tiles)";
  if (i > 16 || w > 16) return "an input or weight buffer is too large: its indices do not fit the 16 bits of a load";
  if (a + i + w > 32) return "the buffers are too large: the index factors do not fit a GEMM instruction (LOG depths of ACC + INP + WGT are above 32)";
  if (a + larger(a, i) + w > 32) return "the buffers are too large: indices do not fit a 32-bit micro-op (LOG depths of ACC + max(ACC, INP) + WGT are above 32)";
  return NULL;
}

// ---- bits ----------------------------------------------------------------------------------------------------------

static uint64_t mask(int width) { return width >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << width) - 1; }

// Reads or writes consecutive fields of a 64-bit word.
typedef struct Cursor {
  uint64_t *word;
  int at;
} Cursor;

static void put(Cursor *p, int width, uint64_t v) {
  *p->word |= (v & mask(width)) << p->at;
  p->at += width;
}

static uint32_t get(Cursor *p, int width) {
  uint32_t v = (uint32_t)(*p->word >> p->at & mask(width));
  p->at += width;
  return v;
}

enum { OPCODE_BITS = 3, MEMORY_BITS = 3, SRAM_BITS = 16, DRAM_BITS = 32, SIZE_BITS = 16, PAD_BITS = 4, ITER_BITS = 14,
       ALU_BITS = 3, IMM_BITS = 16 };

static void encode_memory(const VtaInsn *i, Cursor *lo, Cursor *hi) {
  put(lo, MEMORY_BITS, i->memory);
  put(lo, SRAM_BITS, i->sram_base);
  put(lo, DRAM_BITS, i->dram_base);
  put(hi, SIZE_BITS, i->y_size);
  put(hi, SIZE_BITS, i->x_size);
  put(hi, SIZE_BITS, i->x_stride);
  put(hi, PAD_BITS, i->y_pad0);
  put(hi, PAD_BITS, i->y_pad1);
  put(hi, PAD_BITS, i->x_pad0);
  put(hi, PAD_BITS, i->x_pad1);
}

static void encode_compute(const VtaConfig *c, const VtaInsn *i, Cursor *lo, Cursor *hi) {
  int u = vta_log_depth(c, MEM_UOP), a = vta_log_depth(c, MEM_ACC);
  int s = i->opcode == OPC_GEMM ? vta_log_depth(c, MEM_INP) : a, w = vta_log_depth(c, MEM_WGT);
  put(lo, 1, i->opcode == OPC_GEMM && i->reset);
  put(lo, u, i->uop_begin);
  put(lo, u + 1, i->uop_end);
  put(lo, ITER_BITS, i->iter_out);
  put(lo, ITER_BITS, i->iter_in);
  put(hi, a, i->dst_out);
  put(hi, a, i->dst_in);
  put(hi, s, i->src_out);
  put(hi, s, i->src_in);
  if (i->opcode == OPC_GEMM) {
    put(hi, w, i->wgt_out);
    put(hi, w, i->wgt_in);
  } else {
    put(hi, ALU_BITS, i->alu_op);
    put(hi, 1, i->use_imm);
    put(hi, IMM_BITS, (uint32_t)i->imm);
  }
}

// Values are cut to their fields; who builds an instruction checks that they fit.
VtaWord vta_encode(const VtaConfig *c, const VtaInsn *i) {
  VtaWord w = {0, 0};
  Cursor lo = {&w.lo, 0}, hi = {&w.hi, 0};
  put(&lo, OPCODE_BITS, i->opcode);
  put(&lo, 1, i->pop_prev);
  put(&lo, 1, i->pop_next);
  put(&lo, 1, i->push_prev);
  put(&lo, 1, i->push_next);
  switch (i->opcode) {
  case OPC_LOAD:
  case OPC_STORE: encode_memory(i, &lo, &hi); break;
  case OPC_GEMM:
  case OPC_ALU: encode_compute(c, i, &lo, &hi); break;
  case OPC_FINISH: break;
  }
  return w;
}

// Which memories a load or store may name. A store that moves nothing is upstream's no-op: it names memory 0.
static bool memory_legal(const VtaInsn *i) {
  if (i->opcode == OPC_LOAD) return i->memory != MEM_OUT && i->memory < MEM_COUNT;
  return i->memory == MEM_OUT || (i->x_size == 0 && i->memory < MEM_COUNT);
}

static bool decode_memory(VtaInsn *i, Cursor *lo, Cursor *hi) {
  i->memory = (VtaMemory)get(lo, MEMORY_BITS);
  i->sram_base = get(lo, SRAM_BITS);
  i->dram_base = get(lo, DRAM_BITS);
  i->y_size = get(hi, SIZE_BITS);
  i->x_size = get(hi, SIZE_BITS);
  i->x_stride = get(hi, SIZE_BITS);
  i->y_pad0 = get(hi, PAD_BITS);
  i->y_pad1 = get(hi, PAD_BITS);
  i->x_pad0 = get(hi, PAD_BITS);
  i->x_pad1 = get(hi, PAD_BITS);
  return memory_legal(i);
}

static bool decode_compute(const VtaConfig *c, VtaInsn *i, Cursor *lo, Cursor *hi) {
  int u = vta_log_depth(c, MEM_UOP), a = vta_log_depth(c, MEM_ACC);
  int s = i->opcode == OPC_GEMM ? vta_log_depth(c, MEM_INP) : a, w = vta_log_depth(c, MEM_WGT);
  bool reset = get(lo, 1);
  i->reset = reset && i->opcode == OPC_GEMM; // the bit has no meaning in an ALU instruction
  i->uop_begin = get(lo, u);
  i->uop_end = get(lo, u + 1);
  i->iter_out = get(lo, ITER_BITS);
  i->iter_in = get(lo, ITER_BITS);
  i->dst_out = get(hi, a);
  i->dst_in = get(hi, a);
  i->src_out = get(hi, s);
  i->src_in = get(hi, s);
  if (i->opcode == OPC_GEMM) {
    i->wgt_out = get(hi, w);
    i->wgt_in = get(hi, w);
    return true;
  }
  uint32_t op = get(hi, ALU_BITS);
  i->alu_op = (VtaAluOp)op;
  i->use_imm = get(hi, 1);
  i->imm = (int16_t)get(hi, IMM_BITS);
  return op <= ALU_MUL;
}

// Bits outside the fields are ignored: upstream's runtime leaves them uninitialised.
bool vta_decode(const VtaConfig *c, VtaWord w, VtaInsn *out) {
  Cursor lo = {&w.lo, 0}, hi = {&w.hi, 0};
  memset(out, 0, sizeof *out);
  uint32_t opcode = get(&lo, OPCODE_BITS);
  if (opcode > OPC_ALU) return false;
  out->opcode = (VtaOpcode)opcode;
  out->pop_prev = get(&lo, 1);
  out->pop_next = get(&lo, 1);
  out->push_prev = get(&lo, 1);
  out->push_next = get(&lo, 1);
  switch (out->opcode) {
  case OPC_LOAD:
  case OPC_STORE: return decode_memory(out, &lo, &hi);
  case OPC_GEMM:
  case OPC_ALU: return decode_compute(c, out, &lo, &hi);
  case OPC_FINISH: break;
  }
  return true;
}

// Routing does not look at sizes: no-ops go where their opcode and memory say.
VtaUnit vta_unit(const VtaInsn *i) {
  switch (i->opcode) {
  case OPC_LOAD: return i->memory == MEM_INP || i->memory == MEM_WGT ? UNIT_LOAD : UNIT_COMPUTE;
  case OPC_STORE: return UNIT_STORE;
  case OPC_GEMM:
  case OPC_ALU:
  case OPC_FINISH: break;
  }
  return UNIT_COMPUTE;
}

uint32_t vta_encode_uop(const VtaConfig *c, VtaUop u) {
  int a = vta_log_depth(c, MEM_ACC), s = larger(a, vta_log_depth(c, MEM_INP));
  uint64_t word = 0;
  Cursor p = {&word, 0};
  put(&p, a, u.dst);
  put(&p, s, u.src);
  put(&p, vta_log_depth(c, MEM_WGT), u.wgt);
  return (uint32_t)word;
}

VtaUop vta_decode_uop(const VtaConfig *c, uint32_t w) {
  int a = vta_log_depth(c, MEM_ACC), s = larger(a, vta_log_depth(c, MEM_INP));
  uint64_t word = w;
  Cursor p = {&word, 0};
  VtaUop u;
  u.dst = get(&p, a);
  u.src = get(&p, s);
  u.wgt = get(&p, vta_log_depth(c, MEM_WGT));
  return u;
}

// ---- text ----------------------------------------------------------------------------------------------------------

// snprintf that appends; returns the length the whole text would have.
__attribute__((format(printf, 4, 5)))
static int append(char *buf, size_t size, int len, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  size_t at = (size_t)len < size ? (size_t)len : size;
  int n = vsnprintf(size ? buf + at : NULL, size - at, fmt, ap);
  va_end(ap);
  return len + (n > 0 ? n : 0);
}

static const char *const memory_names[] = {"uop", "wgt", "inp", "acc", "out", "acc8", "?", "?"};
static const char *const alu_names[] = {"min", "max", "add", "shr", "mul", "?", "?", "?"};

static int memory_text(const VtaInsn *i, char *buf, size_t size) {
  const char *name = i->opcode == OPC_LOAD ? "load" : "store";
  int n = append(buf, size, 0, "%s.%s", name, memory_names[i->memory & 7]);
  if (i->x_size == 0) return append(buf, size, n, " nothing");
  n = append(buf, size, n, " sram=%u dram=%u y=%u x=%u stride=%u", i->sram_base, i->dram_base, i->y_size, i->x_size,
             i->x_stride);
  if (i->y_pad0 || i->y_pad1 || i->x_pad0 || i->x_pad1)
    n = append(buf, size, n, " pad=(%u,%u,%u,%u)", i->y_pad0, i->y_pad1, i->x_pad0, i->x_pad1);
  return n;
}

static int compute_text(const VtaInsn *i, char *buf, size_t size) {
  int n = i->opcode == OPC_ALU ? append(buf, size, 0, "alu.%s", alu_names[i->alu_op & 7])
                               : append(buf, size, 0, i->reset ? "gemm.reset" : "gemm");
  if (i->opcode == OPC_ALU && i->use_imm) n = append(buf, size, n, " imm=%d", i->imm);
  n = append(buf, size, n, " uop=[%u,%u) out=%u in=%u dst=(%u,%u)", i->uop_begin, i->uop_end, i->iter_out, i->iter_in,
             i->dst_out, i->dst_in);
  if (!(i->opcode == OPC_ALU ? i->use_imm : i->reset)) n = append(buf, size, n, " src=(%u,%u)", i->src_out, i->src_in);
  if (i->opcode == OPC_GEMM && !i->reset) n = append(buf, size, n, " wgt=(%u,%u)", i->wgt_out, i->wgt_in);
  return n;
}

// As snprintf: returns the length without the NUL, whatever `size` is. `<` is the previous unit, `>` the next.
int vta_disassemble(const VtaConfig *c, const VtaInsn *i, char *buf, size_t size) {
  (void)c;
  int n = 0;
  switch (i->opcode) {
  case OPC_LOAD:
  case OPC_STORE: n = memory_text(i, buf, size); break;
  case OPC_GEMM:
  case OPC_ALU: n = compute_text(i, buf, size); break;
  case OPC_FINISH: n = append(buf, size, 0, "finish"); break;
  }
  if (i->pop_prev) n = append(buf, size, n, " pop<");
  if (i->pop_next) n = append(buf, size, n, " pop>");
  if (i->push_prev) n = append(buf, size, n, " push<");
  if (i->push_next) n = append(buf, size, n, " push>");
  return n;
}

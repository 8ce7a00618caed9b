// SPDX-License-Identifier: Apache-2.0
// Encoding of instructions and micro-ops: the layouts of vta-isa section 2, for any configuration that encodes.
#include "isa/isa.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// How many there are of each.
static const uint32_t opcode_count = 0
#define OPCODE(name) +1
#include "isa/isa.def"
    ;

// Upstream's shipped values (every shipped target has the same).
VtaConfig vta_config_default(void) {
  return (VtaConfig){.log_inp_width = 3,
                     .log_wgt_width = 3,
                     .log_acc_width = 5,
                     .log_out_width = 3,
                     .log_batch = 0,
                     .log_block_in = 4,
                     .log_block_out = 4,
                     .log_uop_width = 5,
                     .log_ins_width = 7,
                     .log_uop_buff = 15,
                     .log_inp_buff = 15,
                     .log_wgt_buff = 18,
                     .log_acc_buff = 17,
                     .log_out_buff = 15};
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
  if (c->log_block_in + c->log_block_out > 12)
    return "a weight tile is larger than a 4096-byte page: LOG_BLOCK is too large";
  if (c->log_batch + c->log_block_out + 2 > 12 || c->log_batch + c->log_block_in > 12)
    return "an accumulator tile is larger than a 4096-byte page: LOG_BATCH + LOG_BLOCK is too large";
  if (!within(c->log_uop_buff, 0, 40) || !within(c->log_inp_buff, 0, 40) || !within(c->log_wgt_buff, 0, 40) ||
      !within(c->log_acc_buff, 0, 40))
    return "a buffer size (LOG_..._BUFF_SIZE) must be between 0 and 40";
  if (c->log_out_buff != c->log_acc_buff + c->log_out_width - c->log_acc_width)
    return "LOG_OUT_BUFF_SIZE must be LOG_ACC_BUFF_SIZE + LOG_OUT_WIDTH - LOG_ACC_WIDTH";
  return NULL;
}

// The depths that widths of fields follow, log2.
typedef struct Depths {
  int uop, inp, wgt, acc;
} Depths;

static Depths depths_of(const VtaConfig *c) {
  return (Depths){vta_log_depth(c, MEM_UOP), vta_log_depth(c, MEM_INP), vta_log_depth(c, MEM_WGT),
                  vta_log_depth(c, MEM_ACC)};
}

enum { LO, HI, WORDS }; // the words of an instruction

// Bits that fields take of each word of a GEMM, an ALU instruction and a micro-op.
typedef struct Taken {
  int gemm[WORDS], alu[WORDS], uop[WORDS];
} Taken;

static Taken bits_taken(Depths d) {
  int U = d.uop, I = d.inp, W = d.wgt, A = d.acc, S = larger(A, I), F = I;
  Taken t = {{0}, {0}, {0}};
#define FIELD_INSN(type, name, word, bits) t.gemm[word] += bits, t.alu[word] += bits;
#define FIELD_LOOP(type, name, word, bits) t.gemm[word] += bits;
#define FIELD_GEMM(type, name, word, bits) t.gemm[word] += bits;
#define FIELD_UOP(type, name, word, bits) t.uop[word] += bits;
#include "isa/isa.def"
  F = A;
#define FIELD_LOOP(type, name, word, bits) t.alu[word] += bits;
#define FIELD_ALU(type, name, word, bits) t.alu[word] += bits;
#include "isa/isa.def"
  return t;
}

// Widths of the fields that do not follow the configuration: MOVE_name.
enum {
#define FIELD_MOVE(type, name, word, bits) MOVE_##name = bits,
#include "isa/isa.def"
};

// The limits of vta-isa section 1.3: upstream's bit-fields would silently straddle words beyond them.
const char *vta_config_problem(const VtaConfig *c) {
  const char *why = shape_problem(c);
  if (why) return why;
  Depths d = depths_of(c);
  if (d.uop < 1) return "LOG_UOP_BUFF_SIZE is too small: the buffer must hold at least two micro-ops";
  if (d.inp < 1) return "LOG_INP_BUFF_SIZE is too small: the buffer must hold at least two tiles";
  if (d.wgt < 1) return "LOG_WGT_BUFF_SIZE is too small: the buffer must hold at least two tiles";
  if (d.acc < 1) return "LOG_ACC_BUFF_SIZE is too small: the buffer must hold at least two tiles";
  Taken t = bits_taken(d);
  if (t.gemm[LO] > 64)
    return "LOG_UOP_BUFF_SIZE is too large: micro-op indices do not fit the instruction (at most 8192 micro-ops)";
  if (t.alu[HI] > 64)
    return "LOG_ACC_BUFF_SIZE is too large: accumulator indices do not fit an ALU instruction (at most 2048 tiles)";
  if (larger(d.inp, d.wgt) > MOVE_sram_base)
    return "an input or weight buffer is too large: its indices do not fit the 16 bits of a load";
  if (t.gemm[HI] > 64)
    return "the buffers are too large: the index factors do not fit a GEMM instruction (LOG depths of ACC + INP + WGT "
           "are above 32)";
  if (t.uop[LO] > 32)
    return "the buffers are too large: indices do not fit a 32-bit micro-op (LOG depths of ACC + max(ACC, INP) + WGT "
           "are above 32)";
  return NULL;
}

// ---- bits ----------------------------------------------------------------------------------------------------------

// The next free bit of each word.
typedef struct Cursor {
  uint64_t word[WORDS];
  int at[WORDS];
} Cursor;

static uint64_t mask(int bits) { return bits >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << bits) - 1; }

static void put(Cursor *p, int word, int bits, uint64_t v) {
  p->word[word] |= (v & mask(bits)) << p->at[word];
  p->at[word] += bits;
}

static uint32_t get_unsigned(Cursor *p, int word, int bits) {
  uint32_t v = (uint32_t)(p->word[word] >> p->at[word] & mask(bits));
  p->at[word] += bits;
  return v;
}

static int32_t get_signed(Cursor *p, int word, int bits) {
  return (int32_t)(get_unsigned(p, word, bits) << (32 - bits)) >> (32 - bits);
}

// A field of the table, from or to the member of its name.
#define PUT(type, name, word, bits) put(&at, word, bits, (uint64_t)i->name);
#define GET(type, name, word, bits) \
  i->name = (type) _Generic((type)0, int32_t : get_signed, default : get_unsigned)(&at, word, bits);

static Cursor put_move(Cursor at, const VtaInsn *i) {
#define FIELD_MOVE PUT
#include "isa/isa.def"
  return at;
}

static Cursor put_compute(Cursor at, const VtaConfig *c, const VtaInsn *i) {
  Depths d = depths_of(c);
  int U = d.uop, W = d.wgt, A = d.acc, F = i->opcode == OPC_GEMM ? d.inp : d.acc;
#define FIELD_LOOP PUT
#include "isa/isa.def"
  if (i->opcode == OPC_GEMM) {
#define FIELD_GEMM PUT
#include "isa/isa.def"
  } else {
#define FIELD_ALU PUT
#include "isa/isa.def"
  }
  return at;
}

// Values are cut to their fields; who builds an instruction checks that they fit.
VtaWord vta_encode(const VtaConfig *c, const VtaInsn *i) {
  Cursor at = {{0, 0}, {0, 0}};
#define FIELD_INSN PUT
#include "isa/isa.def"
  switch (i->opcode) {
  case OPC_LOAD:
  case OPC_STORE: at = put_move(at, i); break;
  case OPC_GEMM:
  case OPC_ALU: at = put_compute(at, c, i); break;
  case OPC_FINISH: break;
  }
  return (VtaWord){at.word[LO], at.word[HI]};
}

// Which memories a load or store may name. A store that moves nothing is upstream's no-op: it names memory 0.
static bool memory_legal(const VtaInsn *i) {
  if (i->opcode == OPC_LOAD) return i->memory != MEM_OUT && i->memory < MEM_COUNT;
  return i->memory == MEM_OUT || (i->x_size == 0 && i->memory < MEM_COUNT);
}

static bool get_move(Cursor at, VtaInsn *i) {
#define FIELD_MOVE GET
#include "isa/isa.def"
  return memory_legal(i);
}

static bool get_compute(Cursor at, const VtaConfig *c, VtaInsn *i) {
  Depths d = depths_of(c);
  int U = d.uop, W = d.wgt, A = d.acc, F = i->opcode == OPC_GEMM ? d.inp : d.acc;
#define FIELD_LOOP GET
#include "isa/isa.def"
  if (i->opcode == OPC_GEMM) {
#define FIELD_GEMM GET
#include "isa/isa.def"
    return true;
  }
  i->reset = false; // the bit has no meaning in an ALU instruction
#define FIELD_ALU GET
#include "isa/isa.def"
  return (uint32_t)i->alu_op < VTA_ALU_COUNT;
}

// Bits outside the fields are ignored: upstream's runtime leaves them uninitialised.
bool vta_decode(const VtaConfig *c, VtaWord w, VtaInsn *i) {
  Cursor at = {{w.lo, w.hi}, {0, 0}};
  memset(i, 0, sizeof *i);
#define FIELD_INSN GET
#include "isa/isa.def"
  if (i->opcode >= opcode_count) return false;
  switch (i->opcode) {
  case OPC_LOAD:
  case OPC_STORE: return get_move(at, i);
  case OPC_GEMM:
  case OPC_ALU: return get_compute(at, c, i);
  case OPC_FINISH: break;
  }
  return true;
}

const char *vta_unit_name(VtaUnit u) {
  switch (u) {
  case UNIT_LOAD: return "load";
  case UNIT_COMPUTE: return "compute";
  case UNIT_STORE: return "store";
  }
  return NULL;
}

const VtaUnit vta_channel_from[VTA_CHANNEL_COUNT] = {[LOAD_TO_COMPUTE] = UNIT_LOAD,
                                                     [COMPUTE_TO_LOAD] = UNIT_COMPUTE,
                                                     [COMPUTE_TO_STORE] = UNIT_COMPUTE,
                                                     [STORE_TO_COMPUTE] = UNIT_STORE};
const VtaUnit vta_channel_to[VTA_CHANNEL_COUNT] = {[LOAD_TO_COMPUTE] = UNIT_COMPUTE,
                                                   [COMPUTE_TO_LOAD] = UNIT_LOAD,
                                                   [COMPUTE_TO_STORE] = UNIT_STORE,
                                                   [STORE_TO_COMPUTE] = UNIT_COMPUTE};

int vta_channel(int64_t from, int64_t to) {
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++)
    if (vta_channel_from[c] == from && vta_channel_to[c] == to) return c;
  return -1;
}

// Routing does not look at sizes: no-ops go where their opcode and memory say.
VtaUnit vta_unit(const VtaInsn *i) {
  switch (i->opcode) {
  case OPC_LOAD: return vta_memory_unit(i->memory);
  case OPC_STORE: return UNIT_STORE;
  case OPC_GEMM:
  case OPC_ALU:
  case OPC_FINISH: break;
  }
  return UNIT_COMPUTE;
}

uint32_t vta_encode_uop(const VtaConfig *c, VtaUop u) {
  Depths d = depths_of(c);
  int A = d.acc, S = larger(d.acc, d.inp), W = d.wgt;
  Cursor at = {{0, 0}, {0, 0}};
  const VtaUop *i = &u;
#define FIELD_UOP PUT
#include "isa/isa.def"
  return (uint32_t)at.word[LO];
}

VtaUop vta_decode_uop(const VtaConfig *c, uint32_t w) {
  Depths d = depths_of(c);
  int A = d.acc, S = larger(d.acc, d.inp), W = d.wgt;
  Cursor at = {{w, 0}, {0, 0}};
  VtaUop u, *i = &u;
#define FIELD_UOP GET
#include "isa/isa.def"
  return u;
}

// ---- text ----------------------------------------------------------------------------------------------------------

// snprintf that appends; returns the length the whole text would have.
__attribute__((format(printf, 4, 5))) static int append(char *buf, size_t size, int len, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  size_t at = (size_t)len < size ? (size_t)len : size;
  int n = vsnprintf(size ? buf + at : NULL, size - at, fmt, ap);
  va_end(ap);
  return len + (n > 0 ? n : 0);
}

const char *vta_memory_name(VtaMemory m) {
  static const char *const names[] = {
#define MEMORY(name, text) text,
#include "isa/isa.def"
  };
  return m < MEM_COUNT ? names[m] : "?";
}

static const char *alu_name(VtaAluOp op) {
  static const char *const names[] = {
#define ALU_OP(name, text) text,
#include "isa/isa.def"
  };
  return (uint32_t)op < VTA_ALU_COUNT ? names[op] : "?";
}

static int memory_text(const VtaInsn *i, char *buf, size_t size) {
  const char *name = i->opcode == OPC_LOAD ? "load" : "store";
  int n = append(buf, size, 0, "%s.%s", name, vta_memory_name(i->memory));
  if (i->x_size == 0) return append(buf, size, n, " nothing");
  n = append(buf, size, n, " sram=%u dram=%u y=%u x=%u stride=%u", i->sram_base, i->dram_base, i->y_size, i->x_size,
             i->x_stride);
  if (i->y_pad0 || i->y_pad1 || i->x_pad0 || i->x_pad1)
    n = append(buf, size, n, " pad=(%u,%u,%u,%u)", i->y_pad0, i->y_pad1, i->x_pad0, i->x_pad1);
  return n;
}

static int compute_text(const VtaInsn *i, char *buf, size_t size) {
  int n = i->opcode == OPC_ALU ? append(buf, size, 0, "alu.%s", alu_name(i->alu_op))
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

VtaConfigText vta_config_text(const VtaConfig *c) {
  VtaConfigText t;
  snprintf(t.text, sizeof t.text,
           "LOG_INP_WIDTH=%d LOG_WGT_WIDTH=%d LOG_ACC_WIDTH=%d LOG_OUT_WIDTH=%d LOG_BATCH=%d LOG_BLOCK_IN=%d "
           "LOG_BLOCK_OUT=%d "
           "LOG_UOP_BUFF_SIZE=%d LOG_INP_BUFF_SIZE=%d LOG_WGT_BUFF_SIZE=%d LOG_ACC_BUFF_SIZE=%d LOG_OUT_BUFF_SIZE=%d",
           c->log_inp_width, c->log_wgt_width, c->log_acc_width, c->log_out_width, c->log_batch, c->log_block_in,
           c->log_block_out, c->log_uop_buff, c->log_inp_buff, c->log_wgt_buff, c->log_acc_buff, c->log_out_buff);
  return t;
}

VtaConfigText vta_stamp(const VtaConfig *c) {
  VtaConfigText config = vta_config_text(c), t;
  snprintf(t.text, sizeof t.text, "interface %d, %.290s", VTA_INTERFACE, config.text);
  return t;
}

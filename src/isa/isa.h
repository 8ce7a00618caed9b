// SPDX-License-Identifier: Apache-2.0
// The VTA instruction set: configuration, encoding, decoding. Shared by the compiler and the runtime; knows neither.
#ifndef TETC_VTA_ISA_H
#define TETC_VTA_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// All values are log2, as in upstream's vta_config.json.
typedef struct VtaConfig {
  int log_inp_width, log_wgt_width, log_acc_width, log_out_width; // bits of an element
  int log_batch, log_block_in, log_block_out;
  int log_uop_width, log_ins_width;                                         // 5 and 7, fixed
  int log_uop_buff, log_inp_buff, log_wgt_buff, log_acc_buff, log_out_buff; // bytes
} VtaConfig;

VtaConfig vta_config_default(void);
// NULL if the configuration encodes (vta-isa section 1.3) and is one we support (8-bit inp, wgt, out; 32-bit acc);
// else why not.
const char *vta_config_problem(const VtaConfig *c);

typedef enum VtaOpcode {
#define OPCODE(name) OPC_##name,
#include "isa/isa.def"
} VtaOpcode;
typedef enum VtaMemory {
#define MEMORY(name, text) MEM_##name,
#include "isa/isa.def"
  MEM_COUNT
} VtaMemory;
typedef enum VtaAluOp {
#define ALU_OP(name, text) ALU_##name,
#include "isa/isa.def"
} VtaAluOp;
enum {
  VTA_ALU_COUNT = 0
#define ALU_OP(name, text) +1
#include "isa/isa.def"
};
typedef enum VtaUnit { UNIT_LOAD = 1, UNIT_COMPUTE = 2, UNIT_STORE = 3 } VtaUnit; // upstream's stage numbers
const char *vta_unit_name(VtaUnit u);                                             // "load"; NULL for none

// The token queues between the units.
typedef enum VtaChannel {
  LOAD_TO_COMPUTE,
  COMPUTE_TO_LOAD,
  COMPUTE_TO_STORE,
  STORE_TO_COMPUTE,
  VTA_CHANNEL_COUNT
} VtaChannel;
extern const VtaUnit vta_channel_from[VTA_CHANNEL_COUNT], vta_channel_to[VTA_CHANNEL_COUNT];
int vta_channel(int64_t from, int64_t to); // the VtaChannel; -1: there is none

// The unit that brings data to a memory.
static inline VtaUnit vta_memory_unit(int64_t memory) {
  return memory == MEM_INP || memory == MEM_WGT ? UNIT_LOAD : UNIT_COMPUTE;
}

int vta_log_depth(const VtaConfig *c, VtaMemory m); // entries of the on-chip memory, log2 (MEM_ACC8 as MEM_ACC)
int64_t vta_depth(const VtaConfig *c, VtaMemory m);
int64_t vta_elem_bytes(const VtaConfig *c, VtaMemory m); // DRAM bytes of one element

// A decoded instruction; `opcode` says which arm is valid. The members and what they mean: isa.def.
typedef struct VtaInsn {
#define FIELD_INSN(type, name, word, bits) type name;
#include "isa/isa.def"
  union {
    struct { // OPC_LOAD OPC_STORE
#define FIELD_MOVE(type, name, word, bits) type name;
#include "isa/isa.def"
    };
    struct { // OPC_GEMM OPC_ALU
#define FIELD_LOOP(type, name, word, bits) type name;
#define FIELD_GEMM(type, name, word, bits) type name;
#define FIELD_ALU(type, name, word, bits) type name;
#include "isa/isa.def"
    };
  };
} VtaInsn;

typedef struct VtaWord { // 16 bytes in memory, little-endian
  uint64_t lo, hi;
} VtaWord;

VtaWord vta_encode(const VtaConfig *c, const VtaInsn *i);
bool vta_decode(const VtaConfig *c, VtaWord w, VtaInsn *out); // false: an illegal opcode, memory or ALU operation
VtaUnit vta_unit(const VtaInsn *i);                           // which unit executes it

typedef struct VtaUop {
#define FIELD_UOP(type, name, word, bits) type name;
#include "isa/isa.def"
} VtaUop;
uint32_t vta_encode_uop(const VtaConfig *c, VtaUop u);
VtaUop vta_decode_uop(const VtaConfig *c, uint32_t w);

const char *vta_memory_name(VtaMemory m); // as listings show it; "?" for none
// The configuration in a line, by upstream's names: LOG_BATCH=0 LOG_BLOCK_IN=4 ... Two that differ have different
// texts.
typedef struct VtaConfigText {
  char text[320];
} VtaConfigText;
VtaConfigText vta_config_text(const VtaConfig *c);

// What an object is made for: the interface between generated code and runtime, and the configuration. They fit a
// runtime whose own stamp is the same.
enum { VTA_INTERFACE = 1 };
VtaConfigText vta_stamp(const VtaConfig *c);

// One line of text without newline, e.g. `load.inp sram=0 dram=12 y=14 x=56 stride=56 pad=(1,0,1,1) push>`.
int vta_disassemble(const VtaConfig *c, const VtaInsn *i, char *buf, size_t size);

#endif

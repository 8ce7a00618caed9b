// SPDX-License-Identifier: Apache-2.0
// The tables that tell TIR and the language what VTA is: memories, intrinsics, constants.
#include "backend_vta/vta.h"

#include <stddef.h>

// ---- rows ----------------------------------------------------------------------------------------------------------

enum { OPERAND_PLACE = false, OPERAND_NAMED = true };

// What is written as a word, by its number.
static const char *const unit_words[] = {[UNIT_LOAD] = "load", [UNIT_COMPUTE] = "compute", [UNIT_STORE] = "store"};
static const char *const memory_words[] = {
#define MEMORY(name, text) [MEM_##name] = MEM_##name == MEM_UOP ? NULL : text,
#include "isa/isa.def"
};
static const char *const operation_words[] = {
#define INTRIN(id, name, cls, runs, alu, operands) \
  [VTA_##id] = CLASS_##cls == CLASS_STEP ? &(name)[sizeof "vta." - 1] : NULL,
#include "backend_vta/intrins.def"
};

#define WORDS(list) .words = list, .nwords = sizeof(list) / sizeof *(list)
#define WORDS_CHIP
#define WORDS_ACC
#define WORDS_INP
#define WORDS_WGT
#define WORDS_HOST
#define WORDS_ACC_OR_INT
#define WORDS_CHIP_OR_INT
#define WORDS_INT
#define WORDS_ROWS
#define WORDS_TILES
#define WORDS_PADS
#define WORDS_UNIT WORDS(unit_words)
#define WORDS_MEMORY WORDS(memory_words)
#define WORDS_OPERATION WORDS(operation_words)

#define OPERAND(arg, text, how, kind, access, n, without) \
  {.name = text, .count = n, .named = OPERAND_##how, .missing = OPERAND_##without, WORDS_##kind},
#define INTRIN(id, label, cls, runs, alu, operands) static const IntrinOperand texts_##id[] = {operands{.name = NULL}};

#include "backend_vta/intrins.def"

#define OPERAND(at, text, how, what, does, n, without) \
  {.kind = KIND_##what, .access = ACCESS_##does, .arg = at, .count = n},
#define INTRIN(id, name, cls, runs, alu, operands) static const VtaOperand operands_##id[] = {operands{.count = 0}};
#include "backend_vta/intrins.def"

const VtaRow vta_rows[VTA_OP_COUNT] = {
#define INTRIN(id, text, which, where, op, list) \
  [VTA_##id] = {.name = text, \
                .cls = CLASS_##which, \
                .runs = RUNS_##where, \
                .alu = op, \
                .noperands = sizeof operands_##id / sizeof *operands_##id - 1, \
                .operands = operands_##id, \
                .texts = texts_##id},
#include "backend_vta/intrins.def"
};

int vta_step_op(int64_t number) {
  return number >= 0 && number < VTA_OP_COUNT && vta_rows[number].cls == CLASS_STEP ? (int)number : -1;
}

int vta_kernel_op(const Stmt *kernel) {
  int64_t v;
  return expr_is_int(kernel->args[ARG_KERNEL_OP], &v) ? vta_step_op(v) : -1;
}

int vta_uop_operands(VtaOp op, bool imm) { return vta_rows[op].noperands - imm; }

VtaMemory vta_uop_memory(VtaOp op, int operand) {
  switch (vta_rows[op].operands[operand].kind) {
  case KIND_ACC:
  case KIND_ACC_OR_INT: return MEM_ACC;
  case KIND_INP: return MEM_INP;
  case KIND_WGT: return MEM_WGT;
  case KIND_CHIP:
  case KIND_CHIP_OR_INT:
  case KIND_HOST:
  case KIND_INT:
  case KIND_ROWS:
  case KIND_TILES:
  case KIND_PADS:
  case KIND_UNIT:
  case KIND_MEMORY:
  case KIND_OPERATION: break;
  }
  bug("operand %d of %s is in no memory of its own", operand, vta_rows[op].name);
}

const char *vta_uop_call(const Stmt *kernel, const Stmt *uop, VtaUopCall *out) {
  int op = vta_kernel_op(kernel);
  if (op < 0) return "a kernel of an operation that micro-ops do not have";
  bool imm = vta_kernel_has_imm(kernel);
  int alu = vta_rows[op].alu;
  if (alu == NO_ALU && op != VTA_RESET && op != VTA_GEMM)
    return "a kernel of an operation that the runtime has no call for";
  if (imm && alu == NO_ALU) return "a kernel with an immediate, which its operation has not";
  if (uop->nargs != vta_uop_operands((VtaOp)op, imm))
    return "a micro-op has not the operands of its kernel's operation";
  *out = (VtaUopCall){.mode = alu != NO_ALU,
                      .reset = op == VTA_RESET,
                      .opcode = alu == NO_ALU ? 0 : (uint32_t)alu,
                      .imm = imm ? kernel->args[ARG_KERNEL_IMM] : NULL};
  for (int i = 0; i < uop->nargs; i++) out->operands[i] = uop->args[i];
  if (imm) out->operands[ARG_UOP_SRC] = uop->args[ARG_UOP_DST]; // upstream's ALU reads the source: the same tile
  return NULL;
}

static bool class_has_body(VtaClass c) {
  switch (c) {
  case CLASS_REGION:
  case CLASS_KERNEL: return true;
  case CLASS_TILE:
  case CLASS_STEP:
  case CLASS_ORDER:
  case CLASS_UOP:
  case CLASS_CALL: break;
  }
  return false;
}

// A row as TIR's text and verifier see it.
static Intrin intrin_of(int id) {
  const VtaRow *r = &vta_rows[id];
  Intrin op = {
      .name = r->name, .id = id, .has_body = class_has_body(r->cls), .noperands = r->noperands, .operands = r->texts};
  for (int i = 0; i < r->noperands; i++) {
    op.max_args += r->texts[i].count;
    if (r->texts[i].missing != OPERAND_OPTIONAL) op.min_args += r->texts[i].count;
  }
  return op;
}

VtaMemory vta_scope_memory(VtaScope s) {
  switch (s) {
  case SCOPE_INP: return MEM_INP;
  case SCOPE_WGT: return MEM_WGT;
  case SCOPE_ACC: return MEM_ACC;
  case VTA_SCOPE_COUNT: break;
  }
  bug("scope %d is not on chip", (int)s);
}

VtaScope vta_memory_scope(VtaMemory m) {
  switch (m) {
  case MEM_INP: return SCOPE_INP;
  case MEM_WGT: return SCOPE_WGT;
  case MEM_ACC:
  case MEM_OUT:
  case MEM_ACC8: return SCOPE_ACC;
  case MEM_UOP:
  case MEM_COUNT: break;
  }
  bug("no buffer is in memory %d", (int)m);
}

VtaUnit vta_scope_partner(VtaScope s) {
  switch (s) {
  case SCOPE_INP:
  case SCOPE_WGT: return UNIT_LOAD;
  case SCOPE_ACC: return UNIT_STORE;
  case VTA_SCOPE_COUNT: break;
  }
  bug("scope %d is not on chip", (int)s);
}

// One on-chip memory as TIR sees it.
static Scope scope_of(const VtaConfig *c, const char *name, VtaScope id, int log_rows, int log_cols, DType type) {
  VtaMemory m = vta_scope_memory(id);
  return (Scope){.name = name,
                 .id = id,
                 .tile = (int64_t)1 << (log_rows + log_cols),
                 .rows = (int64_t)1 << log_rows,
                 .cols = (int64_t)1 << log_cols,
                 .depth = vta_depth(c, m),
                 .type = type};
}

// `config` must be one that vta_config_problem() accepts.
VtaTarget *vta_target_new(Ctx *cx, const VtaConfig *config) {
  VtaTarget *t = NEW(cx->arena, VtaTarget);
  t->config = *config;
  t->inp = scope_of(config, "vta.inp", SCOPE_INP, config->log_batch, config->log_block_in, DT_I8);
  t->wgt = scope_of(config, "vta.wgt", SCOPE_WGT, config->log_block_out, config->log_block_in, DT_I8);
  t->acc = scope_of(config, "vta.acc", SCOPE_ACC, config->log_batch, config->log_block_out, DT_I32);
  t->scopes[SCOPE_INP] = &t->inp;
  t->scopes[SCOPE_WGT] = &t->wgt;
  t->scopes[SCOPE_ACC] = &t->acc;
  for (int i = 0; i < VTA_OP_COUNT; i++) {
    t->intrins[i] = intrin_of(i);
    t->intrin_list[i] = &t->intrins[i];
  }
  t->tir = (TirTarget){.name = "vta",
                       .nscopes = VTA_SCOPE_COUNT,
                       .scopes = t->scopes,
                       .nintrins = VTA_OP_COUNT,
                       .intrins = t->intrin_list};
  t->consts[0] = (TeTargetConst){"vta.batch", (int64_t)1 << config->log_batch};
  t->consts[1] = (TeTargetConst){"vta.block_in", (int64_t)1 << config->log_block_in};
  t->consts[2] = (TeTargetConst){"vta.block_out", (int64_t)1 << config->log_block_out};
  t->te = (TeTarget){.name = "vta", .nconsts = 3, .consts = t->consts};
  return t;
}

// TirTarget is a member of VtaTarget, so the address leads back to it.
const VtaTarget *vta_of(const TirTarget *t) {
  return t ? (const VtaTarget *)(const void *)((const char *)t - offsetof(VtaTarget, tir)) : NULL;
}

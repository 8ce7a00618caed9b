// SPDX-License-Identifier: Apache-2.0
// The tables that tell TIR and the language what VTA is: memories, intrinsics, constants.
#include "backend_vta/vta.h"

#include <stddef.h>

// Name, argument count and whether a body follows, in the order of VtaOp.
static const struct {
  const char *name;
  int args;
  bool body;
} op_table[VTA_OP_COUNT] = {
  [VTA_DMA_COPY] = {"vta.dma_copy", 0, true},
  [VTA_ALU] = {"vta.alu", 0, true},
  [VTA_TENSORIZE] = {"vta.tensorize", 0, true},
  [VTA_LOAD] = {"vta.load", 9, false},
  [VTA_ZERO] = {"vta.zero", 2, false},
  [VTA_STORE] = {"vta.store", 5, false},
  [VTA_RESET] = {"vta.reset", 1, false},
  [VTA_GEMM] = {"vta.gemm", 3, false},
  [VTA_MOV] = {"vta.mov", 2, false},
  [VTA_MIN] = {"vta.min", 2, false},
  [VTA_MAX] = {"vta.max", 2, false},
  [VTA_ADD] = {"vta.add", 2, false},
  [VTA_SHR] = {"vta.shr", 2, false},
  [VTA_MUL] = {"vta.mul", 2, false},
  [VTA_PUSH] = {"vta.push", 2, false},
  [VTA_POP] = {"vta.pop", 2, false},
  [VTA_SYNC] = {"vta.sync", 0, false},
  [VTA_KERNEL] = {"vta.kernel", 10, true},
  [VTA_UOP] = {"vta.uop", 3, false},
  [VTA_LOAD_CALL] = {"vta.load_call", 10, false},
  [VTA_ZERO_CALL] = {"vta.zero_call", 3, false},
  [VTA_STORE_CALL] = {"vta.store_call", 6, false},
};

// One on-chip memory as TIR sees it; `id` is 0, 1, 2 for inp, wgt, acc.
static Scope scope_of(const VtaConfig *c, const char *name, int id, int log_rows, int log_cols, DType type) {
  VtaMemory m = vta_scope_memory(id);
  return (Scope){.name = name, .id = id, .tile = (int64_t)1 << (log_rows + log_cols), .rows = (int64_t)1 << log_rows,
    .cols = (int64_t)1 << log_cols, .depth = vta_depth(c, m), .type = type};
}

// `config` must be one that vta_config_problem() accepts.
VtaTarget *vta_target_new(Ctx *cx, const VtaConfig *config) {
  VtaTarget *t = NEW(cx->arena, VtaTarget);
  t->config = *config;
  t->inp = scope_of(config, "vta.inp", 0, config->log_batch, config->log_block_in, DT_I8);
  t->wgt = scope_of(config, "vta.wgt", 1, config->log_block_out, config->log_block_in, DT_I8);
  t->acc = scope_of(config, "vta.acc", 2, config->log_batch, config->log_block_out, DT_I32);
  t->scopes[0] = &t->inp;
  t->scopes[1] = &t->wgt;
  t->scopes[2] = &t->acc;
  for (int i = 0; i < VTA_OP_COUNT; i++) {
    t->intrins[i] = (Intrin){.name = op_table[i].name, .id = i, .min_args = op_table[i].args,
      .max_args = op_table[i].args, .has_body = op_table[i].body};
    t->intrin_list[i] = &t->intrins[i];
  }
  t->tir = (TirTarget){.name = "vta", .nscopes = 3, .scopes = t->scopes, .nintrins = VTA_OP_COUNT,
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

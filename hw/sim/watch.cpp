// SPDX-License-Identifier: Apache-2.0
// watch.vlt makes the signals visible that are read here.
#include "sim/watch.h"

#include <cstring>

namespace {

const VtaMemory engine_memory[RTL_NONE] = {MEM_UOP, MEM_ACC, MEM_ACC, MEM_ACC, MEM_INP, MEM_WGT};

// The bank of an accumulator, as vta_acc has it.
unsigned bank_of(uint32_t k) { return (k ^ k >> 2 ^ k >> 4 ^ k >> 6 ^ k >> 8 ^ k >> 10) % 4; }

} // namespace

const void *watch_row(const ModelRoot *t, VtaMemory m, uint32_t k) {
#define BANK(n, name) &t->vta_top__DOT__u_acc__DOT__gen_bank__BRA__##n##__KET____DOT__##name##__DOT__mem_q[k / 4]
  switch (m) {
  case MEM_UOP: {
    const void *first = &t->vta_top__DOT__u_uop_gemm__DOT__mem_q[k];
    const void *copies[] = {&t->vta_top__DOT__u_uop_alu__DOT__mem_q[k], &t->vta_top__DOT__u_uop_scan__DOT__mem_q[k]};
    for (const void *c : copies)
      if (memcmp(c, first, 4)) return c;
    return first;
  }
  case MEM_INP: return &t->vta_top__DOT__u_inp__DOT__mem_q[k];
  case MEM_WGT: return &t->vta_top__DOT__u_wgt__DOT__mem_q[k];
  case MEM_OUT: {
    const void *banks[] = {BANK(0, u_out), BANK(1, u_out), BANK(2, u_out), BANK(3, u_out)};
    return banks[bank_of(k)];
  }
  case MEM_ACC:
  case MEM_ACC8:
  case MEM_COUNT: break;
  }
  const void *banks[] = {BANK(0, u_acc), BANK(1, u_acc), BANK(2, u_acc), BANK(3, u_acc)};
  return banks[bank_of(k)];
#undef BANK
}

void watch_sample(const ModelRoot *t, WatchSample *s) {
  static const TetcRtlEngine compute[] = {RTL_UOP, RTL_ACC, RTL_GEMM, RTL_ALU}; // as vta_compute numbers them
  s->compute_enter = t->vta_top__DOT__u_compute__DOT__u_window__DOT__enter;
  s->enter_slot = t->vta_top__DOT__u_compute__DOT__u_window__DOT__tail_q;
  s->compute_start = t->vta_top__DOT__u_compute__DOT__u_window__DOT__start;
  s->start_slot = t->vta_top__DOT__u_compute__DOT__u_window__DOT__slot;
  bool works = t->vta_top__DOT__u_compute__DOT__u_window__DOT__offer_o;
  s->compute_engine = works ? compute[t->vta_top__DOT__u_compute__DOT__u_window__DOT__engine_o] : RTL_NONE;
  s->load_start = t->vta_top__DOT__u_load__DOT__start;
  s->load_engine = t->vta_top__DOT__u_load__DOT__is_wgt ? RTL_WGT : RTL_INP;
  if (t->vta_top__DOT__u_load__DOT__nothing) s->load_engine = RTL_NONE;
  bool alu = t->vta_top__DOT__alu_we;
  s->engines[RTL_UOP] = {!!t->vta_top__DOT__uop_we, !!t->vta_top__DOT__uop_done, 1, t->vta_top__DOT__uop_waddr};
  s->engines[RTL_ACC] = {t->vta_top__DOT__acc_lwe && t->vta_top__DOT__acc_lready, !!t->vta_top__DOT__accl_done, 1,
                         t->vta_top__DOT__acc_lwaddr};
  s->engines[RTL_GEMM] = {!!t->vta_top__DOT__gemm_we, !!t->vta_top__DOT__gemm_done, 1, t->vta_top__DOT__gemm_waddr};
  s->engines[RTL_ALU] = {alu, alu && t->vta_top__DOT__u_alu__DOT__last5_q, t->vta_top__DOT__u_alu__DOT__count5_q,
                         t->vta_top__DOT__alu_waddr};
  s->engines[RTL_INP] = {!!t->vta_top__DOT__inp_we, !!t->vta_top__DOT__u_load__DOT__inp_done, 1,
                         t->vta_top__DOT__inp_waddr};
  s->engines[RTL_WGT] = {!!t->vta_top__DOT__wgt_we, !!t->vta_top__DOT__u_load__DOT__wgt_done, 1,
                         t->vta_top__DOT__wgt_waddr};
}

bool watch_tell(const ModelRoot *t, const WatchSample *s, WatchLaunch *launch, const TetcRtlWatch *to,
                uint64_t cycle, TetcFault *fault) {
  if (s->load_start && !to->start(to->context, cycle, UNIT_LOAD, launch->loads++, s->load_engine, fault)) return false;
  if (s->compute_start && !to->start(to->context, cycle, UNIT_COMPUTE, launch->in_slot[s->start_slot], s->compute_engine,
                                     fault)) return false;
  if (s->compute_enter) launch->in_slot[s->enter_slot] = launch->computes++;
  for (int n = 0; n < RTL_NONE; n++) {
    const WatchEngine *e = &s->engines[n];
    TetcRtlEngine engine = static_cast<TetcRtlEngine>(n);
    if (e->write) {
      TetcRtlWrite w = {cycle, engine, e->fused, engine_memory[n], e->index, watch_row(t, engine_memory[n], e->index),
                        engine_memory[n] == MEM_ACC ? watch_row(t, MEM_OUT, e->index) : nullptr};
      if (!to->write(to->context, &w, fault)) return false;
    }
    if (e->done && !to->done(to->context, cycle, engine, e->fused, fault)) return false;
  }
  return true;
}

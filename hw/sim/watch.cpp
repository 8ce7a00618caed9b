// SPDX-License-Identifier: Apache-2.0
// watch.vlt makes the signals visible that are read here.
#include "sim/watch.h"

#include <cstring>

// A signal of the core below what is simulated.
#define CORE(name) t->vta_sim__DOT__u_top__DOT__##name

namespace {

const VtaMemory engine_memory[RTL_NONE] = {MEM_UOP, MEM_ACC, MEM_ACC, MEM_ACC, MEM_ACC, MEM_INP, MEM_WGT};

// The bank of an accumulator, as vta_acc has it.
unsigned bank_of(uint32_t k) { return (k ^ k >> 2 ^ k >> 4 ^ k >> 6 ^ k >> 8 ^ k >> 10) % 4; }

const uint8_t zeros[4 << (MODEL_LOG_BATCH + MODEL_LOG_BLOCK_OUT)] = {0};

// Whether an accumulator is marked as zero.
bool is_zero(const ModelRoot *t, uint32_t k) {
#define MARKS(n) &CORE(u_acc__DOT__gen_bank__BRA__##n##__KET____DOT__u_zero__DOT__marks_q)[k / 4 / kLine]
  constexpr uint32_t kLine = MODEL_LOG_ACC - 2 < 3 ? 1u << (MODEL_LOG_ACC - 2) : 8;
  const CData *lines[] = {MARKS(0), MARKS(1), MARKS(2), MARKS(3)};
#undef MARKS
  return *lines[bank_of(k)] >> k / 4 % kLine & 1;
}

} // namespace

const void *watch_row(const ModelRoot *t, VtaMemory m, uint32_t k) {
#define BANK(n, name) &CORE(u_acc__DOT__gen_bank__BRA__##n##__KET____DOT__##name##__DOT__mem_q)[k / 4]
  switch (m) {
  case MEM_UOP: {
    const void *first = &CORE(u_uop_gemm__DOT__mem_q)[k];
    const void *copies[] = {&CORE(u_uop_alu__DOT__mem_q)[k], &CORE(u_uop_scan__DOT__mem_q)[k]};
    for (const void *c : copies)
      if (memcmp(c, first, 4)) return c;
    return first;
  }
  case MEM_INP: return &CORE(u_inp__DOT__mem_q)[k];
  case MEM_WGT: return &CORE(u_wgt__DOT__mem_q)[k];
  case MEM_OUT: {
    if (is_zero(t, k)) return zeros;
    const void *banks[] = {BANK(0, u_out), BANK(1, u_out), BANK(2, u_out), BANK(3, u_out)};
    return banks[bank_of(k)];
  }
  case MEM_ACC:
  case MEM_ACC8:
  case MEM_COUNT: break;
  }
  if (is_zero(t, k)) return zeros;
  const void *banks[] = {BANK(0, u_acc), BANK(1, u_acc), BANK(2, u_acc), BANK(3, u_acc)};
  return banks[bank_of(k)];
#undef BANK
}

bool watch_word(const ModelRoot *t, WatchShown *shown, uint64_t *word) {
  static_assert(sizeof CORE(counts) == sizeof shown->counts && sizeof CORE(signals) == sizeof shown->signals, "");
  if (!memcmp(&CORE(counts), shown->counts, sizeof shown->counts) &&
      !memcmp(&CORE(signals), shown->signals, sizeof shown->signals)) return false;
  memcpy(shown->counts, &CORE(counts), sizeof shown->counts);
  memcpy(shown->signals, &CORE(signals), sizeof shown->signals);
  *word = 0;
#define COUNTER(id, text) *word |= uint64_t(shown->counts[SIGNAL_##id]) << SIGNAL_##id;
#define SIGNAL(id, width) *word |= uint64_t(shown->signals[WATCH_##id]) << SIGNAL_##id;
#include "runtime/counters.def"
#undef COUNTER
#undef SIGNAL
  return true;
}

void watch_sample(const ModelRoot *t, WatchSample *s) {
  static const TetcRtlEngine compute[] = {RTL_UOP, RTL_ACC, RTL_GEMM, RTL_ALU, RTL_ZERO}; // as vta_pkg numbers them
  s->compute_enter = CORE(u_compute__DOT__u_window__DOT__enter);
  s->enter_slot = CORE(u_compute__DOT__u_window__DOT__tail_q);
  s->compute_start = CORE(u_compute__DOT__u_window__DOT__start);
  s->start_slot = CORE(u_compute__DOT__u_window__DOT__slot);
  bool works = CORE(u_compute__DOT__u_window__DOT__offer_o);
  s->compute_engine = works ? compute[CORE(u_compute__DOT__u_window__DOT__engine_o)] : RTL_NONE;
  s->load_start = CORE(u_load__DOT__start);
  s->load_engine = CORE(u_load__DOT__is_wgt) ? RTL_WGT : RTL_INP;
  if (CORE(u_load__DOT__nothing)) s->load_engine = RTL_NONE;
  bool alu = CORE(alu_we);
  s->engines[RTL_UOP] = {!!CORE(uop_we), !!CORE(uop_done), 1, CORE(uop_waddr)};
  s->engines[RTL_ACC] = {CORE(acc_lwe) && CORE(acc_lready), !!CORE(accl_done), 1,
                         CORE(acc_lwaddr)};
  s->engines[RTL_GEMM] = {!!CORE(gemm_we), !!CORE(gemm_done), 1, CORE(gemm_waddr)};
  s->engines[RTL_ALU] = {alu, alu && CORE(u_alu__DOT__last5_q), CORE(u_alu__DOT__count5_q),
                         CORE(alu_waddr)};
  s->engines[RTL_ZERO] = {false, !!CORE(zero_done), 1, 0};
  s->zero_first = CORE(zero_first);
  s->zero_past = CORE(zero_past);
  s->engines[RTL_INP] = {!!CORE(inp_we), !!CORE(u_load__DOT__inp_done), 1,
                         CORE(inp_waddr)};
  s->engines[RTL_WGT] = {!!CORE(wgt_we), !!CORE(u_load__DOT__wgt_done), 1,
                         CORE(wgt_waddr)};
}

bool watch_tell(const ModelRoot *t, const WatchSample *s, WatchLaunch *launch, const TetcRtlWatch *to,
                uint64_t cycle, TetcFault *fault) {
  if (s->load_start && !to->start(to->context, cycle, UNIT_LOAD, launch->loads++, s->load_engine, fault)) return false;
  if (s->compute_start && !to->start(to->context, cycle, UNIT_COMPUTE, launch->in_slot[s->start_slot], s->compute_engine,
                                     fault)) return false;
  if (s->compute_start && s->compute_engine == RTL_ZERO)
    launch->zero_first = s->zero_first, launch->zero_past = s->zero_past;
  if (s->compute_enter) launch->in_slot[s->enter_slot] = launch->computes++;
  for (int n = 0; n < RTL_NONE; n++) {
    const WatchEngine *e = &s->engines[n];
    TetcRtlEngine engine = static_cast<TetcRtlEngine>(n);
    if (e->write) {
      TetcRtlWrite w = {cycle, engine, e->fused, engine_memory[n], e->index, watch_row(t, engine_memory[n], e->index),
                        engine_memory[n] == MEM_ACC ? watch_row(t, MEM_OUT, e->index) : nullptr};
      if (!to->write(to->context, &w, fault)) return false;
    }
    // The rows of a reset, as they are when it is done.
    for (uint32_t k = launch->zero_first; engine == RTL_ZERO && e->done && k < launch->zero_past; k++) {
      TetcRtlWrite w = {cycle, engine, e->fused, MEM_ACC, k, watch_row(t, MEM_ACC, k), watch_row(t, MEM_OUT, k)};
      if (!to->write(to->context, &w, fault)) return false;
    }
    if (e->done && !to->done(to->context, cycle, engine, e->fused, fault)) return false;
  }
  return true;
}

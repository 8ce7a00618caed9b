// SPDX-License-Identifier: Apache-2.0
// The timing model's compute unit: vta_compute, vta_window, vta_gemm, vta_alu, vta_zero and the banks of vta_acc.
#include "runtime/timing_internal.h"

enum { FRONT_IDLE, FRONT_CHECK, FRONT_SCAN, FRONT_RANGE, FRONT_ENTER };

static uint32_t min64(uint64_t a, uint64_t b) { return (uint32_t)(a < b ? a : b); }

uint64_t timing_steps(const VtaInsn *i) {
  if ((i->opcode != OPC_GEMM && i->opcode != OPC_ALU) || i->uop_end <= i->uop_begin) return 0;
  return (uint64_t)(i->uop_end - i->uop_begin) * i->iter_out * i->iter_in;
}

static bool is_reset(const VtaInsn *i) { return i->opcode == OPC_GEMM && i->reset; }

// ---- GEMM: never stalls, so that a step's cycle says where it is in the pipeline ----

bool timing_gemm_row(const TetcTiming *t, uint64_t cycle, uint32_t *row) {
  for (uint32_t k = t->pipe_next; k != t->pipe_done && t->pipe_next - k < PIPES; k--) {
    const Pipe *p = &t->pipes[(k - 1) % PIPES];
    if (cycle < p->begin || cycle >= p->begin + p->n) continue;
    const VtaInsn *i = &t->insns[p->insn];
    uint64_t at = cycle - p->begin, uops = i->uop_end - i->uop_begin;
    uint64_t in = at / uops % i->iter_in, out = at / uops / i->iter_in;
    *row = (uint32_t)(t->uop_dst[i->uop_begin + at % uops] + out * i->dst_out + in * i->dst_in) & (t->acc_depth - 1);
    return true;
  }
  return false;
}

static void gemm_step(TetcTiming *t) {
  if (t->gemm_done) t->pipe_done++, t->moved = true;
  if (t->gemm_take) {
    t->moved = true;
    uint32_t insn = t->gemm_queue[t->gemm_first];
    t->gemm_first = (t->gemm_first + 1) % ENGINE_QUEUE, t->gemm_n--;
    t->gemm_left = timing_steps(&t->insns[insn]);
    t->gemm_run = true;
    t->pipes[t->pipe_next++ % PIPES] = (Pipe){insn, t->now + 1, t->gemm_left};
    t->gemm_last = t->now + t->gemm_left;
  } else if (t->gemm_run && --t->gemm_left == 0) {
    t->gemm_run = false;
    t->moved = true;
  }
}

// ---- the ALU and the banks ----

static bool alu_imm_only(const VtaInsn *i) { return i->opcode == OPC_ALU && i->use_imm; }

static bool alu_single(const VtaInsn *i) {
  return i->uop_end == i->uop_begin + 1 && alu_imm_only(i) &&
         ((i->iter_out == 1 && i->dst_in) || (i->iter_in == 1 && i->dst_out));
}

static bool alu_chains(const TetcTiming *t, const VtaInsn *i) {
  const VtaInsn *c = &t->insns[t->chain];
  return alu_single(i) && alu_imm_only(c) && t->chain_n != ALU_CHAIN && i->uop_begin == c->uop_begin &&
         i->uop_end == c->uop_end && i->iter_out == c->iter_out && i->iter_in == c->iter_in &&
         i->dst_out == c->dst_out && i->dst_in == c->dst_in && i->alu_op != ALU_SHR && i->alu_op != ALU_MUL;
}

// Whether the step at the banks gets both of its rows in this cycle.
static void banks_see(TetcTiming *t) {
  const struct AluStage *a = &t->a3;
  uint32_t gemm_row = 0, db, sb;
  t->alu_grant = t->src_read = false;
  if (!a->valid) return;
  bool gemm = timing_gemm_row(t, t->now - GEMM_READ, &gemm_row);
  uint32_t gb = timing_bank(t, gemm_row);
  db = timing_bank(t, a->d), sb = timing_bank(t, a->s);
  bool dst_clash = gemm && gb == db, src_clash = gemm && gb == sb, same = a->s == a->d;
  bool held = t->held_valid && t->held == a->s;
  t->src_read = a->src && !same && !held && !src_clash;
  bool dst_read = !dst_clash && !(t->src_read && sb == db);
  t->alu_grant = dst_read && (!a->src || same || held || t->src_read);
}

void timing_alu_see(TetcTiming *t) {
  uint32_t row;
  const Pipe *oldest = &t->pipes[t->pipe_done % PIPES];
  t->gemm_done = t->pipe_done != t->pipe_next && oldest->begin + oldest->n - 1 + GEMM_WRITE == t->now;
  t->gemm_take = t->gemm_n && (!t->gemm_run || t->gemm_left == 1);
  banks_see(t);
  t->alu_move = !t->a3.valid || t->alu_grant;
  t->alu_step = t->a3.valid && t->alu_grant;
  bool last = t->alu_run;
  if (last) {
    const VtaInsn *i = &t->insns[t->alu_insn];
    last = t->iu + 1 == i->uop_end && t->ii + 1 == i->iter_in && t->io + 1 == i->iter_out;
  }
  bool index_ready = !t->alu_run || (t->alu_move && last);
  const VtaInsn *next = t->alu_n ? &t->insns[t->alu_queue[t->alu_first]] : NULL;
  t->alu_fits = t->chain_valid && next && alu_chains(t, next);
  t->index_take = t->chain_valid && !t->alu_fits && index_ready;
  t->alu_free = !t->chain_valid || t->index_take;
  t->alu_take = next && (t->alu_free || t->alu_fits);
  // Who writes a bank in this cycle; load comes after both.
  t->bank_we[0] = t->bank_we[1] = t->bank_we[2] = t->bank_we[3] = false;
  if ((t->acc.pend_n || t->zero_run) && timing_gemm_row(t, t->now - GEMM_WRITE, &row))
    t->bank_we[timing_bank(t, row)] = true;
  if (t->a5.valid) t->bank_we[timing_bank(t, t->a5.d)] = true;
}

static void alu_index_step(TetcTiming *t) {
  if (t->index_take) {
    t->alu_insn = t->chain, t->alu_count = t->chain_n;
    t->alu_run = true;
    t->iu = t->insns[t->alu_insn].uop_begin;
    t->ii = t->io = t->doff = t->soff = t->doff_o = t->soff_o = 0;
    return;
  }
  if (!t->alu_run || !t->alu_move) return;
  const VtaInsn *i = &t->insns[t->alu_insn];
  if (++t->iu != i->uop_end) return;
  t->iu = i->uop_begin;
  if (++t->ii != i->iter_in) {
    t->doff += i->dst_in, t->soff += i->src_in;
    return;
  }
  t->ii = 0;
  t->doff = t->doff_o += i->dst_out, t->soff = t->soff_o += i->src_out;
  if (++t->io == i->iter_out) t->alu_run = false;
}

static struct AluStage alu_first_stage(const TetcTiming *t) {
  const VtaInsn *i = &t->insns[t->alu_insn];
  bool reset = is_reset(i);
  struct AluStage s = {.valid = true, .src = !reset && !i->use_imm, .count = (uint8_t)t->alu_count};
  s.last = t->iu + 1 == i->uop_end && t->ii + 1 == i->iter_in && t->io + 1 == i->iter_out;
  s.d = (t->uop_dst[t->iu] + t->doff) & (t->acc_depth - 1);
  s.s = (t->uop_src[t->iu] + t->soff) & (t->acc_depth - 1);
  return s;
}

static void held_step(TetcTiming *t) {
  uint32_t row = t->src_read ? t->a3.s : t->held;
  if (t->offer[ENG_ZERO]) {
    t->held_valid = false;
  } else {
    if (t->src_read) t->held_valid = true;
    if (t->a5.valid && t->a5.d == row) t->held_valid = false;
  }
  if (t->src_read) t->held = t->a3.s;
}

static void alu_step(TetcTiming *t) {
  bool busy = t->alu_run || t->a1.valid || t->a3.valid || t->a4.valid || t->a5.valid || t->a6;
  if (busy || t->alu_take || t->index_take || t->alu_ended || t->offer[ENG_ZERO]) t->moved = true;
  else return;
  held_step(t);
  uint32_t ended = t->alu_ended - (t->alu_ended != 0);
  t->alu_ended = ended + (t->a5.valid && t->a5.last ? t->a5.count : 0);
  t->a6 = t->a5.valid;
  t->a5 = t->a4;
  t->a4 = t->a3, t->a4.valid = t->alu_step;
  if (t->alu_move) {
    t->a3 = t->a1;
    t->a1 = t->alu_run ? alu_first_stage(t) : (struct AluStage){0};
  }
  alu_index_step(t);
  if (t->alu_take) {
    uint32_t insn = t->alu_queue[t->alu_first];
    t->alu_first = (t->alu_first + 1) % ENGINE_QUEUE, t->alu_n--;
    if (t->alu_free) t->chain = insn, t->chain_n = 1;
    else t->chain_n++;
  }
  if (t->alu_free) t->chain_valid = t->alu_take;
}

// ---- resets ----

static void zero_step(TetcTiming *t) {
  int banks = 1 << t->log_banks, log_rows = t->log_acc - t->log_banks, log_line = log_rows < 3 ? log_rows : 3;
  uint32_t lines = 1u << (log_rows > log_line ? log_rows - log_line : 1);
  if (t->zero_run || t->offer[ENG_ZERO]) t->moved = true;
  for (int n = 0; n < banks && t->zero_run; n++) {
    if (!t->zero_busy[n] || t->bank_we[n]) continue;
    if (t->zero_line[n] == t->zero_last[n]) t->zero_busy[n] = false;
    t->zero_line[n] = (t->zero_line[n] + 1) % lines;
  }
  t->zero_run = t->offer[ENG_ZERO] || (t->zero_run && !t->zero_done);
  if (!t->offer[ENG_ZERO]) return;
  const Slot *s = &t->slots[t->slot];
  uint32_t low = (1u << t->log_banks) - 1, first = s->dlo, last = s->dhi - 1;
  for (int n = 0; n < banks; n++) {
    uint32_t first_low = (uint32_t)n ^ timing_bank(t, first & ~low),
             last_low = (uint32_t)n ^ timing_bank(t, last & ~low);
    uint32_t from = (first >> t->log_banks) + (first_low < (first & low));
    uint32_t end = (last >> t->log_banks) + (last_low <= (last & low));
    if (from >= end) continue;
    t->zero_busy[n] = true;
    t->zero_line[n] = from >> log_line, t->zero_last[n] = (end - 1) >> log_line;
  }
}

// ---- what an instruction touches ----

static uint64_t load_end(const VtaInsn *i) {
  return (uint64_t)(i->y_pad0 + i->y_size + i->y_pad1) * (uint64_t)(i->x_pad0 + i->x_size + i->x_pad1) + i->sram_base;
}

static bool loads_acc(const VtaInsn *i) { return i->opcode == OPC_LOAD && i->memory != MEM_UOP; }
static bool loads(const VtaInsn *i) { return i->opcode == OPC_LOAD && i->x_size; }

static const VtaInsn *front(const TetcTiming *t) {
  const UnitQueue *q = &t->compute_queue;
  return q->popped == q->pushed ? NULL : &t->insns[q->insns[q->popped]];
}

static void front_uops(TetcTiming *t, const VtaInsn *i) {
  t->ulo = t->uhi = 0;
  if (timing_steps(i)) t->ulo = i->uop_begin, t->uhi = i->uop_end;
  else if (loads(i) && !loads_acc(i))
    t->ulo = min64(i->sram_base, t->uop_depth), t->uhi = min64(load_end(i), t->uop_depth);
}

// The rows of accumulators, by the least and largest of its micro-ops.
static void front_range(TetcTiming *t, const VtaInsn *i) {
  uint32_t dmin = UINT32_MAX, dmax = 0, smin = UINT32_MAX, smax = 0, mask = t->acc_depth - 1;
  for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
    uint32_t d = t->uop_dst[k % t->uop_depth], s = t->uop_src[k % t->uop_depth] & mask;
    if (d < dmin) dmin = d;
    if (d > dmax) dmax = d;
    if (s < smin) smin = s;
    if (s > smax) smax = s;
  }
  uint32_t out = i->iter_out - 1u, in = i->iter_in - 1u, src_out = i->opcode == OPC_ALU ? i->src_out : 0;
  uint32_t src_in = i->opcode == OPC_ALU ? i->src_in : 0;
  uint64_t dend = (uint64_t)dmax + 1 + (uint64_t)out * i->dst_out + (uint64_t)in * i->dst_in;
  uint64_t send = (uint64_t)smax + 1 + (uint64_t)out * src_out + (uint64_t)in * src_in;
  t->dlo = dmin;
  t->exact = dend <= t->acc_depth;
  if (t->exact) t->dhi = (uint32_t)dend;
  if (i->opcode != OPC_ALU || i->use_imm) return;
  t->slo = smin;
  if (send <= t->acc_depth) t->shi = (uint32_t)send;
}

static void front_check(TetcTiming *t, const VtaInsn *i) {
  bool steps = timing_steps(i) != 0;
  t->moved |= steps;
  t->exact = false;
  t->dlo = t->dhi = t->slo = t->shi = 0;
  if (loads(i) && loads_acc(i)) {
    t->dlo = i->sram_base >= t->acc_depth ? 0 : i->sram_base;
    t->dhi = min64(load_end(i), t->acc_depth);
  }
  if (steps) t->dhi = t->acc_depth;
  if (steps && i->opcode == OPC_ALU && !i->use_imm) t->shi = t->acc_depth;
  uint32_t count = i->uop_end > i->uop_begin ? (uint32_t)(i->uop_end - i->uop_begin) : 0;
  // The core compares in as many bits as count micro-ops: a memory of 32 or less has no limit left, and no scan.
  uint32_t limit = SCAN_LIMIT & (2 * t->uop_depth - 1);
  if (!steps) t->state = FRONT_ENTER;
  else if (t->uop_clear) t->state = count <= limit ? FRONT_SCAN : FRONT_ENTER;
  t->scan_left = count;
}

static void front_step(TetcTiming *t) {
  const VtaInsn *i = front(t);
  int before = t->state;
  switch (t->state) {
  case FRONT_IDLE:
    if (i) t->state = FRONT_CHECK;
    break;
  case FRONT_CHECK: front_check(t, i); break;
  case FRONT_SCAN:
    if (--t->scan_left == 0) t->state = FRONT_RANGE, t->scan_left = 2;
    break;
  case FRONT_RANGE:
    if (--t->scan_left == 0) front_range(t, i), t->state = FRONT_ENTER;
    break;
  case FRONT_ENTER:
    if (t->enter) t->state = FRONT_IDLE;
    break;
  }
  if (t->state != before) t->moved = true;
}

// ---- the window ----

static bool meet(uint32_t alo, uint32_t ahi, uint32_t blo, uint32_t bhi) { return alo < bhi && blo < ahi; }

static uint16_t bit(uint32_t slot) { return (uint16_t)(1u << slot); }

static uint16_t window_free(const TetcTiming *t) {
  bool free[ENGINES] = {!t->uop_held, !t->acc_held, t->gemm_n < ENGINE_QUEUE, t->alu_n < ENGINE_QUEUE, !t->zero_run};
  uint16_t slots = (uint16_t)~t->work;
  for (int e = 0; e < ENGINES; e++)
    if (free[e]) slots |= t->of_engine[e];
  return slots;
}

static void window_see_start(TetcTiming *t) {
  uint16_t able = t->waiting & t->clear & window_free(t);
  if (!t->tokens[LOAD_TO_COMPUTE]) able &= (uint16_t)~t->pop_prev;
  if (!t->tokens[STORE_TO_COMPUTE]) able &= (uint16_t)~t->pop_next;
  t->slot = t->head;
  for (int e = 0; e < ENGINES; e++) t->offer[e] = false;
  t->starts = able != 0;
  if (!able) return;
  while (!(able & bit(t->slot))) t->slot = (t->slot + 1) % SLOTS;
  if (t->work & bit(t->slot)) t->offer[t->slots[t->slot].engine] = true;
  t->pop[LOAD_TO_COMPUTE] = t->pop_prev & bit(t->slot);
  t->pop[STORE_TO_COMPUTE] = t->pop_next & bit(t->slot);
}

static void front_see(TetcTiming *t) {
  const VtaInsn *i = front(t);
  t->enter = t->state == FRONT_ENTER && !(t->valid & bit(t->tail));
  if (!i) return;
  front_uops(t, i);
  if (!t->enter) return;
  uint32_t count = i->uop_end > i->uop_begin ? (uint32_t)(i->uop_end - i->uop_begin) : 0;
  t->zeroes = is_reset(i) && t->exact && count == 1 && (i->iter_in == 1 || i->dst_in == 1) &&
              (i->iter_out == 1 || i->dst_out == i->iter_in);
  t->works = loads(i) || timing_steps(i);
  t->enter_engine = ENG_GEMM;
  if (i->opcode == OPC_LOAD) t->enter_engine = loads_acc(i) ? ENG_ACC : ENG_UOP;
  else if (t->zeroes) t->enter_engine = ENG_ZERO;
  else if (i->opcode == OPC_ALU || is_reset(i)) t->enter_engine = ENG_ALU;
  if (t->zeroes) t->ulo = t->uhi = 0;
}

void timing_window_see(TetcTiming *t) {
  window_see_start(t);
  t->ends[ENG_UOP] = t->uops.done, t->ends[ENG_ACC] = t->acc.done, t->ends[ENG_GEMM] = t->gemm_done;
  t->ends[ENG_ALU] = t->alu_ended != 0;
  t->zero_done = t->zero_run && !(t->zero_busy[0] || t->zero_busy[1] || t->zero_busy[2] || t->zero_busy[3]);
  t->ends[ENG_ZERO] = t->zero_done;
  t->gives = t->pushers_n && (t->done & bit(t->pushers[t->pushers_first]));
  t->push[COMPUTE_TO_STORE] = t->gives;
  uint16_t head = bit(t->head);
  t->retires = (t->valid & head) && (t->done & head) && !(t->push_next & head);
  t->push[COMPUTE_TO_LOAD] = t->retires && (t->push_prev & head);
  front_see(t);
  uint16_t oldest = bit(t->oldest);
  bool stands = (t->waiting & oldest) && !t->starts, clear = t->clear & oldest;
  t->wait_hazard = stands && !clear;
  t->wait_prev = stands && clear && (t->pop_prev & oldest) && !t->tokens[LOAD_TO_COMPUTE];
  t->wait_next = stands && clear && (t->pop_next & oldest) && !t->tokens[STORE_TO_COMPUTE];
}

// Which of the next stores those that wait for a token of store will have theirs from; false: not all are known.
static bool window_stores(const TetcTiming *t, uint16_t next_pops, uint8_t *stores) {
  uint32_t tokens = t->tokens[STORE_TO_COMPUTE], missing = (uint32_t)__builtin_popcount(next_pops);
  if (tokens > SLOTS - 1) tokens = SLOTS - 1;
  missing = missing > tokens ? missing - tokens : 0;
  for (uint32_t n = 0; n < AHEAD; n++) {
    uint32_t k = (t->ahead_first + n) % AHEAD;
    if (!missing || n >= t->ahead_n) continue;
    if (t->works && meet(t->dlo, t->dhi, t->ahead_lo[k], t->ahead_hi[k])) *stores |= (uint8_t)(1u << k);
    missing -= t->ahead_push[k];
  }
  return missing == 0;
}

static void window_enter(TetcTiming *t, const VtaInsn *i) {
  uint16_t clash = 0, next_pops = t->waiting & t->pop_next;
  Slot *own = &t->slots[t->tail];
  for (uint32_t n = 0; n < SLOTS && t->works; n++) {
    const Slot *s = &t->slots[n];
    if (!(t->work & bit(n))) continue;
    if (meet(t->dlo, t->dhi, s->dlo, s->dhi) || meet(t->slo, t->shi, s->dlo, s->dhi) ||
        meet(t->dlo, t->dhi, s->slo, s->shi) ||
        ((t->enter_engine == ENG_UOP || (t->of_engine[ENG_UOP] & bit(n))) && meet(t->ulo, t->uhi, s->ulo, s->uhi)))
      clash |= bit(n);
  }
  uint16_t same = t->of_engine[t->enter_engine];
  Slot s = {.insn = t->compute_queue.insns[t->compute_queue.popped],
            .dlo = t->dlo,
            .dhi = t->dhi,
            .slo = t->slo,
            .shi = t->shi,
            .ulo = t->ulo,
            .uhi = t->uhi,
            .number = t->pushes,
            .engine = (uint8_t)t->enter_engine};
  s.start_first = clash & same & t->waiting;
  s.end_first = (uint16_t)(clash & ~same & t->valid & ~t->done);
  if (i->pop_prev || (t->enter_engine == ENG_GEMM && t->works)) s.start_first |= t->waiting & t->pop_prev;
  bool passes = (t->enter_engine >= ENG_GEMM || !t->works) && !i->pop_next;
  bool covered = next_pops && window_stores(t, next_pops, &s.stores_first);
  if (passes && covered) s.pops_first = next_pops;
  else if (i->pop_next || t->works) s.start_first |= next_pops;
  *own = s;
}

static void window_put(TetcTiming *t, const VtaInsn *i) {
  uint16_t own = bit(t->tail);
  uint16_t *flags[] = {&t->valid, &t->waiting, &t->work, &t->pop_prev, &t->pop_next, &t->push_prev, &t->push_next};
  bool values[] = {true, true, t->works, i->pop_prev, i->pop_next, i->push_prev, i->push_next};
  for (int k = 0; k < 7; k++) *flags[k] = (uint16_t)((*flags[k] & ~own) | (values[k] ? own : 0));
  t->done &= (uint16_t)~own;
  for (int e = 0; e < ENGINES; e++) t->of_engine[e] &= (uint16_t)~own;
  t->of_engine[t->enter_engine] |= own;
  if (i->push_next) t->pushers[(t->pushers_first + t->pushers_n++) % SLOTS] = (uint8_t)t->tail, t->pushes++;
  t->tail = (t->tail + 1) % SLOTS;
  t->compute_queue.popped++;
}

static bool window_store_go(const TetcTiming *t) {
  if (!t->ahead_n || t->store_retire || t->pop[COMPUTE_TO_STORE]) return false;
  const VtaInsn *i = &t->insns[t->ahead[t->ahead_first]];
  if (i->pop_prev && !t->tokens[COMPUTE_TO_STORE]) return false;
  uint32_t its = t->pops + i->pop_prev, tokens = t->tokens[STORE_TO_COMPUTE], lacking = 0;
  for (uint32_t n = 0; n < SLOTS; n++) {
    const Slot *s = &t->slots[n];
    bool older = !((its - s->number - 1) >> 13 & 1);
    if (!older) continue;
    bool work = t->work & bit(n), waits = t->waiting & bit(n);
    lacking += waits && (t->pop_next & bit(n));
    if ((t->valid & ~t->done & bit(n)) &&
        ((work && s->engine <= ENG_ACC) || (waits && (t->pop_prev & bit(n))) ||
         (work && meet(s->dlo, s->dhi, t->ahead_lo[t->ahead_first], t->ahead_hi[t->ahead_first]))))
      return false;
  }
  return lacking <= (tokens > SLOTS - 1 ? SLOTS - 1 : tokens);
}

static bool window_uop_clear(const TetcTiming *t, bool check) {
  uint16_t loading = (uint16_t)(t->of_engine[ENG_UOP] & t->work & t->valid & ~t->done);
  for (uint32_t n = 0; n < SLOTS && check && loading; n++)
    if ((loading & bit(n)) && meet(t->ulo, t->uhi, t->slots[n].ulo, t->slots[n].uhi)) return false;
  return true;
}

static uint16_t window_ends(TetcTiming *t) {
  uint16_t ended = t->starts && !(t->work & bit(t->slot)) ? bit(t->slot) : 0;
  for (int e = 0; e < ENGINES; e++) {
    Order *o = &t->orders[e];
    if (t->ends[e]) ended |= bit(o->slot[o->first]), o->first = (o->first + 1) % SLOTS, o->n--;
    if (t->offer[e]) o->slot[(o->first + o->n++) % SLOTS] = (uint8_t)t->slot;
  }
  return ended;
}

static void window_order(TetcTiming *t, uint16_t started, uint16_t ended) {
  uint8_t store_done = t->store_retire ? (uint8_t)(1u << t->ahead_first) : 0;
  for (uint32_t n = 0; n < SLOTS; n++) {
    Slot *s = &t->slots[n];
    s->start_first &= (uint16_t)~started, s->end_first &= (uint16_t)~ended, s->pops_first &= (uint16_t)~started;
    s->stores_first &= (uint8_t)~store_done;
    bool clear = !s->start_first && !s->end_first && (!s->pops_first || !s->stores_first);
    t->clear = (uint16_t)((t->clear & ~bit(n)) | (clear ? bit(n) : 0));
  }
}

static void window_step(TetcTiming *t, bool check) {
  const VtaInsn *i = front(t);
  bool follows = !(t->waiting & bit(t->oldest)) && (t->oldest != t->tail || t->waiting);
  bool go = window_store_go(t), clear = window_uop_clear(t, check);
  if (go != t->store_go || clear != t->uop_clear) t->moved = true;
  t->store_go = go, t->uop_clear = clear;
  uint16_t ended = window_ends(t), started = t->starts ? bit(t->slot) : 0;
  if (!(t->enter || started || ended || t->store_retire || t->gives || t->retires || follows)) return;
  t->moved = true;
  if (t->enter) window_enter(t, i);
  if (t->enter || started || ended || t->store_retire) window_order(t, started, ended);
  if (follows) t->oldest = (t->oldest + 1) % SLOTS;
  t->waiting &= (uint16_t)~started;
  t->done |= ended;
  if (t->gives) {
    t->push_next &= (uint16_t)~bit(t->pushers[t->pushers_first]);
    t->pushers_first = (t->pushers_first + 1) % SLOTS, t->pushers_n--;
  }
  if (t->retires) {
    t->valid &= (uint16_t)~bit(t->head);
    if (t->insns[t->slots[t->head].insn].opcode == OPC_FINISH) t->finished = true;
    t->head = (t->head + 1) % SLOTS;
  }
  if (t->enter) window_put(t, i);
}

// Whether an instruction of another engine than the ALU writes a row.
static bool writes_row(const TetcTiming *t, const Slot *s, uint32_t row) {
  const VtaInsn *i = &t->insns[s->insn];
  if (row < s->dlo || row >= s->dhi) return false;
  if (i->opcode == OPC_LOAD) return true;
  for (uint32_t k = i->uop_begin; k < i->uop_end; k++)
    for (uint32_t o = 0; o < i->iter_out; o++) {
      int64_t rest = (int64_t)row - t->uop_dst[k] - (int64_t)o * i->dst_out;
      if (i->dst_in ? rest >= 0 && rest % i->dst_in == 0 && rest / i->dst_in < i->iter_in : rest == 0) return true;
    }
  return false;
}

static void offers_step(TetcTiming *t) {
  const Slot *s = &t->slots[t->slot];
  if (t->held_valid && (t->offer[ENG_GEMM] || t->offer[ENG_ACC]) && writes_row(t, s, t->held)) t->held_valid = false;
  if (t->offer[ENG_UOP]) t->uop_insn = s->insn;
  if (t->offer[ENG_ACC]) t->acc_insn = s->insn;
  t->uop_held = t->offer[ENG_UOP] || (t->uop_held && !t->uops.take);
  t->acc_held = t->offer[ENG_ACC] || (t->acc_held && !t->acc.take);
  if (t->offer[ENG_GEMM]) t->gemm_queue[(t->gemm_first + t->gemm_n++) % ENGINE_QUEUE] = s->insn;
  if (t->offer[ENG_ALU]) t->alu_queue[(t->alu_first + t->alu_n++) % ENGINE_QUEUE] = s->insn;
}

void timing_compute_step(TetcTiming *t) {
  gemm_step(t);
  alu_step(t);
  zero_step(t);
  if (t->starts) offers_step(t);
  else {
    t->uop_held = t->uop_held && !t->uops.take;
    t->acc_held = t->acc_held && !t->acc.take;
  }
  t->pops += t->pop[COMPUTE_TO_STORE];
  bool check = front(t) && t->state <= FRONT_CHECK;
  front_step(t); // it sees uop_clear of the cycle before
  window_step(t, check);
}

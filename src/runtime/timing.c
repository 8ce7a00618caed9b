// SPDX-License-Identifier: Apache-2.0
// The timing model: memory, bus, fetch, load and store; timing_compute.c has the compute unit. Cycles in which nothing
// but counts changes are passed at once.
#include "runtime/timing_internal.h"
#include "runtime/timeline.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 1 << LOG_QUEUE, QUIET = 100000000 };

static uint32_t queued(const UnitQueue *q) { return q->pushed - q->popped; }

static const VtaInsn *queue_head(const TetcTiming *t, const UnitQueue *q) {
  return queued(q) ? &t->insns[q->insns[q->popped]] : NULL;
}

// ---- bursts --------------------------------------------------------------------------------------------------------

static uint32_t burst_now(const TetcTiming *t, const Burst *b, uint32_t most) {
  uint32_t page = 4096u >> t->log_bus, to_page = page - b->at % page;
  if (to_page < most) most = to_page;
  return b->beats <= most ? b->beats : most;
}

static void burst_send(const TetcTiming *t, Burst *b, uint32_t most) {
  uint32_t now = burst_now(t, b, most);
  b->at += now, b->beats -= now;
  b->busy = b->beats != 0;
}

// A row of a transfer, as beats.
static Burst burst_row(const TetcTiming *t, uint64_t index, int log_elem, uint32_t x_size) {
  uint64_t addr = index << log_elem, in = addr & ((1u << t->log_bus) - 1), bytes = (uint64_t)x_size << log_elem;
  uint64_t beats = (in + bytes + (1u << t->log_bus) - 1) >> t->log_bus;
  return (Burst){true, (uint32_t)(addr >> t->log_bus), (uint32_t)beats};
}

// ---- the memory ----------------------------------------------------------------------------------------------------

static Request *request(Request *ring, uint32_t first, uint32_t n) { return &ring[(first + n) % MAX_REQUESTS]; }

static void earn(TetcTiming *t, uint32_t *credit) {
  if (*credit >= 100) return;
  *credit += t->options.bandwidth;
  t->moved = true;
}

static void memory_take(TetcTiming *t, bool r_ready, bool ar, bool aw, uint32_t aw_beats) {
  Memory *m = &t->memory;
  if (m->in_b) m->response_first = (m->response_first + 1) % MAX_REQUESTS, m->response_n--, t->moved = true;
  if (m->in_r && r_ready) {
    Request *q = request(m->reads, m->read_first, 0);
    m->in_r = false;
    if (++q->next == q->beats) m->read_first++, m->read_n--;
    t->moved = true;
  }
  if (ar) {
    *request(m->reads, m->read_first, m->read_n++) =
        (Request){t->ar_id, (uint16_t)t->ar_beats, 0, t->now + t->options.latency};
    t->moved = true;
  }
  if (t->full && m->in_w_ready) {
    Request *q = request(m->writes, m->write_first, 0);
    m->write_credit -= 100;
    if (++q->next == q->beats) {
      m->write_first++, m->write_n--;
      m->responses[(m->response_first + m->response_n++) % MAX_REQUESTS] = t->now + 1 + t->options.write_latency;
    }
    t->moved = true;
  }
  if (aw) {
    *request(m->writes, m->write_first, m->write_n++) = (Request){0, (uint16_t)aw_beats, 0, t->now};
    t->moved = true;
  }
}

// What the core sees in the next cycle.
static void memory_show(TetcTiming *t) {
  Memory *m = &t->memory;
  uint64_t next = t->now + 1;
  bool was = m->in_ar_ready, aw_was = m->in_aw_ready, w_was = m->in_w_ready;
  earn(t, &m->read_credit);
  earn(t, &m->write_credit);
  if (!m->in_r && m->read_credit >= 100 && m->read_n) {
    const Request *q = request(m->reads, m->read_first, 0);
    if (q->ready <= next) {
      m->in_r = true, m->in_id = q->id, m->in_r_last = q->next + 1 == q->beats;
      m->read_credit -= 100;
      t->moved = true;
    }
  }
  m->in_ar_ready = m->read_n < t->options.outstanding;
  m->in_aw_ready = m->write_n + m->response_n < t->options.outstanding;
  m->in_w_ready = m->write_n && m->write_credit >= 100;
  m->in_b = m->response_n && m->responses[m->response_first % MAX_REQUESTS] <= next;
  if (was != m->in_ar_ready || aw_was != m->in_aw_ready || w_was != m->in_w_ready || m->in_b) t->moved = true;
}

// ---- fetch ---------------------------------------------------------------------------------------------------------

static UnitQueue *queue_of(TetcTiming *t, const VtaInsn *i) {
  switch (vta_unit(i)) {
  case UNIT_LOAD: return &t->load_queue;
  case UNIT_COMPUTE: return &t->compute_queue;
  case UNIT_STORE: return &t->store_queue;
  }
  return &t->compute_queue;
}

static void fetch_see(TetcTiming *t) {
  t->beat_valid = t->buffered != 0;
  t->beat_pop = t->insn_pop = false;
  if (!t->beat_valid) return;
  uint32_t parts = t->log_bus < 4 ? 16u >> t->log_bus : 1u << (t->log_bus - 4);
  bool last = t->part + 1 == parts;
  bool ready = t->left && queued(queue_of(t, &t->insns[t->next_insn])) < DEPTH;
  if (t->log_bus < 4) {
    t->insn_pop = last && ready;
    t->beat_pop = !last || ready;
  } else {
    t->insn_pop = ready;
    t->beat_pop = ready && (last || t->left == 1);
  }
}

static void fetch_step(TetcTiming *t, bool arrives) {
  uint32_t parts = t->log_bus < 4 ? 16u >> t->log_bus : 1u << (t->log_bus - 4);
  t->buffered += arrives;
  t->buffered -= t->beat_pop;
  t->reserved -= t->beat_pop;
  if (t->fetch_sent) {
    t->reserved += burst_now(t, &t->fetch_burst, FETCH_BURST);
    burst_send(t, &t->fetch_burst, FETCH_BURST);
  }
  if (t->log_bus < 4 ? t->beat_pop : t->insn_pop) t->part = (t->part + 1) % parts;
  if (t->insn_pop) {
    UnitQueue *q = queue_of(t, &t->insns[t->next_insn]);
    q->insns[q->pushed++] = t->next_insn++;
    t->left--;
  }
  if (t->beat_pop || t->insn_pop || t->fetch_sent || arrives) t->moved = true;
}

// ---- a load engine -------------------------------------------------------------------------------------------------

static bool engine_asks(const Engine *e) {
  return e->burst.busy && e->bursts < 1u << LOG_BURSTS && e->beats <= MOST_BEATS - MAX_BURST;
}

static void engine_oldest(TetcTiming *t, Engine *e) {
  const VtaInsn *i = &t->insns[e->pend[e->pend_first]];
  e->height = i->y_pad0 + i->y_size + i->y_pad1, e->width = i->x_pad0 + i->x_size + i->x_pad1;
  e->x0 = i->x_pad0, e->x1 = i->x_pad0 + i->x_size, e->y0 = i->y_pad0, e->y1 = i->y_pad0 + i->y_size;
  int log = i->memory == MEM_ACC8 ? e->log_alt : e->log_elem;
  e->wide = log >= t->log_bus;
  e->most = log > t->log_bus ? (1u << (log - t->log_bus)) - 1 : 0;
  e->mask = log < t->log_bus ? (1u << (t->log_bus - log)) - 1 : 0;
  e->r = e->c = e->beat = e->lane = e->data_row = 0;
  e->fresh = true;
}

// The response side, with the oldest pending instruction.
static void engine_walk(TetcTiming *t, Engine *e) {
  const VtaInsn *i = &t->insns[e->pend[e->pend_first]];
  if (!e->height) {
    e->done = true;
    return;
  }
  e->pad = e->r < e->y0 || e->r >= e->y1 || e->c < e->x0 || e->c >= e->x1;
  e->need = !e->pad;
  e->last_data = e->c + 1 == e->x1;
  bool elem_last = e->beat == e->most;
  e->write = e->pad || (e->d_valid && (!e->wide || elem_last));
  e->waddr = (i->sram_base + e->r * e->width + e->c) & 0xffff;
  e->wready = e->client != CLIENT_ACC || !t->bank_we[timing_bank(t, e->waddr)];
  uint32_t lane = e->fresh ? (i->dram_base + e->data_row * i->x_stride) & e->mask : e->lane;
  if (e->need && !e->wide) e->lane = lane, e->fresh = false;
  bool lane_end = lane == e->mask || e->last_data;
  e->d_pop = e->need && e->d_valid && (e->wide ? !elem_last || e->wready : e->wready && lane_end);
  e->done = e->write && e->wready && e->c + 1 == e->width && e->r + 1 == e->height;
}

static void engine_see(TetcTiming *t, Engine *e, bool offered, uint32_t offer) {
  e->offered = offered, e->offer = offer;
  e->d_valid = e->fifo != 0;
  e->need = e->done = e->write = e->d_pop = e->take = e->starts = e->row_go = false;
  e->busy = e->pend_n || offered;
  if (e->pend_n) engine_walk(t, e);
  if (!e->active) return;
  bool rows = e->row != t->insns[e->insn].y_size;
  e->starts = !e->given && e->pend_n < PENDING;
  e->take = !rows && (e->given || e->pend_n < PENDING);
  e->row_go = rows; // once it is known whether a burst is sent
}

static void load_uops(TetcTiming *t, uint32_t insn) {
  const VtaInsn *i = &t->insns[insn];
  uint32_t width = i->x_pad0 + i->x_size + i->x_pad1, height = i->y_pad0 + i->y_size + i->y_pad1, at = i->sram_base;
  for (uint32_t r = 0; r < height; r++)
    for (uint32_t c = 0; c < width; c++, at++) {
      bool pad = r < i->y_pad0 || r >= i->y_pad0 + i->y_size || c < i->x_pad0 || c >= i->x_pad0 + i->x_size;
      uint64_t from = i->dram_base + (uint64_t)(r - i->y_pad0) * i->x_stride + c - i->x_pad0;
      VtaUop u = pad ? (VtaUop){0} : t->uop(t->context, insn, from);
      if (at < t->uop_depth) t->uop_dst[at] = (uint16_t)u.dst, t->uop_src[at] = (uint16_t)u.src;
    }
}

static void engine_walk_step(TetcTiming *t, Engine *e) {
  if (e->done) {
    if (e->client == CLIENT_UOP) load_uops(t, e->pend[e->pend_first]);
    e->pend_first = (e->pend_first + 1) % PENDING, e->pend_n--;
    if (e->pend_n) engine_oldest(t, e);
    t->moved = true;
    return;
  }
  if (e->d_valid && e->need && e->wide && e->d_pop) e->beat = e->beat == e->most ? 0 : e->beat + 1;
  else if (e->d_valid && e->need && !e->wide && e->wready) e->lane = (e->lane + 1) & e->mask, e->fresh = e->last_data;
  if (!e->write || !e->wready) return;
  t->moved = true;
  if (!e->pad && e->last_data) e->data_row++;
  if (++e->c == e->width) e->c = 0, e->r++;
}

static void engine_request_step(TetcTiming *t, Engine *e) {
  Burst *b = &e->burst;
  bool last = b->busy && burst_now(t, b, MAX_BURST) == b->beats, room = !b->busy || (e->sent && last);
  if (e->sent) {
    e->bursts++;
    e->beats += burst_now(t, b, MAX_BURST);
    burst_send(t, b, MAX_BURST);
    t->moved = true;
  }
  if (e->starts) {
    uint32_t at = (e->pend_first + e->pend_n++) % PENDING;
    e->pend[at] = e->insn;
    if (e->pend_n == 1) engine_oldest(t, e);
    e->given = true;
    t->moved = true;
  }
  if (!e->active) {
    if (!e->offered) return;
    e->active = true, e->insn = e->offer, e->row = 0, e->index = t->insns[e->offer].dram_base;
    t->moved = true;
  } else if (e->row_go && room) {
    const VtaInsn *i = &t->insns[e->insn];
    *b = burst_row(t, e->index, i->memory == MEM_ACC8 ? e->log_alt : e->log_elem, i->x_size);
    e->row++, e->index += i->x_stride;
    t->moved = true;
  } else if (e->take) {
    e->active = e->given = false;
    t->moved = true;
  }
}

static void engine_step(TetcTiming *t, Engine *e, bool arrives, bool came) {
  if (e->pend_n) engine_walk_step(t, e);
  if (arrives) e->fifo++, e->beats--;
  if (came) e->bursts--;
  if (e->d_pop) e->fifo--, t->moved = true;
  if (e->active || e->offered || e->burst.busy) engine_request_step(t, e);
}

// ---- the load unit -------------------------------------------------------------------------------------------------

enum { ORDER_PUSH = 4, ORDER_NOTHING = 2, ORDER_WGT = 1 };

static void load_see(TetcTiming *t) {
  const VtaInsn *i = queue_head(t, &t->load_queue);
  bool nothing = i && !i->x_size, wgt = i && i->memory == MEM_WGT;
  bool can = i && (!i->pop_next || t->tokens[COMPUTE_TO_LOAD]) && t->order_n < LOAD_ORDER;
  uint32_t insn = i ? t->load_queue.insns[t->load_queue.popped] : 0;
  t->load_start = can && !t->started;
  bool shown = (t->started || can) && !nothing;
  engine_see(t, &t->inp, shown && !wgt, insn);
  engine_see(t, &t->wgt, shown && wgt, insn);
  t->load_take = nothing ? t->load_start : shown && (wgt ? t->wgt.take : t->inp.take);
  t->load_wait = i && !t->started && i->pop_next && !t->tokens[COMPUTE_TO_LOAD];
  t->pop[COMPUTE_TO_LOAD] = t->load_start && i->pop_next;
  uint8_t o = t->order[t->order_first];
  t->load_retire = t->order_n && ((o & ORDER_NOTHING) || (o & ORDER_WGT ? t->wgt_done : t->inp_done));
  t->push[LOAD_TO_COMPUTE] = t->load_retire && (o & ORDER_PUSH);
}

static void load_step(TetcTiming *t) {
  if (t->load_start || t->load_take || t->load_retire || t->inp.done || t->wgt.done) t->moved = true;
  t->inp_done += t->inp.done, t->wgt_done += t->wgt.done;
  if (t->load_retire) {
    uint8_t o = t->order[t->order_first];
    if (!(o & ORDER_NOTHING)) *(o & ORDER_WGT ? &t->wgt_done : &t->inp_done) -= 1;
    t->order_first = (t->order_first + 1) % LOAD_ORDER, t->order_n--;
  }
  if (t->load_start) {
    const VtaInsn *i = queue_head(t, &t->load_queue);
    int o = (i->push_next ? ORDER_PUSH : 0) | (!i->x_size ? ORDER_NOTHING : 0) | (i->memory == MEM_WGT ? ORDER_WGT : 0);
    t->order[(t->order_first + t->order_n++) % LOAD_ORDER] = (uint8_t)o;
  }
  if (t->load_take) t->load_queue.popped++, t->started = false;
  else if (t->load_start) t->started = true;
}

// ---- the store unit ------------------------------------------------------------------------------------------------

static int log_out(const TetcTiming *t) { return t->config.log_batch + t->config.log_block_out; }

static void store_see(TetcTiming *t) {
  const VtaInsn *i = t->ahead_n ? &t->insns[t->ahead[t->ahead_first]] : NULL;
  t->ahead_in = queued(&t->store_queue) && t->ahead_n < AHEAD;
  t->store_start = i && !t->run && (!i->pop_prev || t->tokens[COMPUTE_TO_STORE]) && t->store_go;
  t->pop[COMPUTE_TO_STORE] = t->store_start && i->pop_prev;
  t->store_sent = t->store_burst.busy && t->lens_n < STORE_LENS && t->memory.in_aw_ready;
  t->store_row = t->store_re = t->store_put = t->store_end = t->store_pop_elem = t->store_pop_len = t->store_retire =
      false;
  if (t->run) {
    bool nothing = !i->x_size || !i->y_size;
    bool last = t->store_burst.busy && burst_now(t, &t->store_burst, MAX_BURST) == t->store_burst.beats;
    t->finished_store =
        nothing || (t->drow == i->y_size && t->arow == i->y_size && !t->store_burst.busy && !t->open && !t->full);
    t->store_retire = t->finished_store;
    t->store_row = !nothing && t->arow != i->y_size && (!t->store_burst.busy || (t->store_sent && last));
    t->store_re = !nothing && t->read != (uint64_t)i->x_size * i->y_size && t->elems + t->reading < STORE_ELEMS;
    t->store_put = t->elems && t->lens_n && (!t->full || t->memory.in_w_ready);
    int log = log_out(t), bus = t->log_bus;
    if (log > bus) {
      t->store_pop_elem = t->store_put && t->part_w + 1 == 1u << (log - bus);
      t->store_end = true;
    } else {
      uint32_t mask = (1u << (bus - log)) - 1;
      t->store_pop_elem = t->store_put;
      t->store_end = ((t->dindex + t->col) & mask) == mask || t->col + 1 == i->x_size;
    }
    t->store_pop_len = t->store_put && t->store_end && t->beat_w == t->lens[t->lens_first];
  }
  t->push[STORE_TO_COMPUTE] = t->store_retire && i->push_prev;
}

static void store_data_step(TetcTiming *t, const VtaInsn *i) {
  if (t->full && t->memory.in_w_ready) t->full = false;
  if (t->store_put) {
    t->full = t->store_end;
    if (t->store_end) t->beat_w = t->store_pop_len ? 0 : t->beat_w + 1;
    int parts = log_out(t) - t->log_bus;
    t->part_w = (t->part_w + 1) & ((1u << (parts > 1 ? parts : 1)) - 1);
  }
  if (t->store_pop_len) t->lens_first = (t->lens_first + 1) % STORE_LENS, t->lens_n--;
  if (t->store_sent) {
    t->lens[(t->lens_first + t->lens_n++) % STORE_LENS] = burst_now(t, &t->store_burst, MAX_BURST) - 1;
    burst_send(t, &t->store_burst, MAX_BURST);
  }
  if (t->store_row) {
    t->store_burst = burst_row(t, t->aindex, log_out(t), i->x_size);
    t->arow++, t->aindex += i->x_stride;
  }
  t->elems += t->reading;
  t->elems -= t->store_pop_elem;
  t->reading = t->store_re;
  t->read += t->store_re;
  if (t->store_pop_elem && ++t->col == i->x_size) t->col = 0, t->drow++, t->dindex += i->x_stride;
}

static void store_step(TetcTiming *t, bool answered) {
  const VtaInsn *i = t->ahead_n ? &t->insns[t->ahead[t->ahead_first]] : NULL;
  t->open += t->store_sent;
  t->open -= answered;
  if (t->store_start || t->store_retire || t->store_put || t->store_sent || t->store_row || t->reading || t->store_re ||
      answered || (t->full && t->memory.in_w_ready) || t->ahead_in)
    t->moved = true;
  if (i) store_data_step(t, i);
  if (t->store_start) {
    t->run = true;
    t->arow = t->drow = t->col = 0, t->read = 0;
    t->aindex = t->dindex = i->dram_base;
    if (log_out(t) <= t->log_bus) t->part_w = 0;
  } else if (t->store_retire) {
    t->run = false;
    t->ahead_first = (t->ahead_first + 1) % AHEAD, t->ahead_n--;
  }
  if (!t->ahead_in) return;
  uint32_t k = (t->ahead_first + t->ahead_n++) % AHEAD, insn = t->store_queue.insns[t->store_queue.popped++];
  const VtaInsn *s = &t->insns[insn];
  uint64_t past = (uint64_t)s->x_size * s->y_size + s->sram_base;
  t->ahead[k] = insn, t->ahead_push[k] = s->push_prev;
  t->ahead_lo[k] = s->sram_base < t->acc_depth ? s->sram_base : t->acc_depth;
  t->ahead_hi[k] = past < t->acc_depth ? (uint32_t)past : t->acc_depth;
}

// ---- a cycle -------------------------------------------------------------------------------------------------------

static Engine *client_engine(TetcTiming *t, int client) {
  switch (client) {
  case CLIENT_UOP: return &t->uops;
  case CLIENT_ACC: return &t->acc;
  case CLIENT_INP: return &t->inp;
  case CLIENT_WGT: return &t->wgt;
  }
  return NULL;
}

// Who may ask the bus in this cycle.
static void bus_see(TetcTiming *t) {
  bool take = !t->ar_full || t->memory.in_ar_ready;
  t->chosen = -1;
  for (int c = CLIENT_WGT; c >= CLIENT_UOP; c--)
    if (engine_asks(client_engine(t, c))) t->chosen = c;
  if (t->fetch_burst.busy && t->reserved <= (1u << LOG_FETCH) - FETCH_BURST) t->chosen = CLIENT_FETCH;
  t->ar_grant = take;
  t->fetch_sent = take && t->chosen == CLIENT_FETCH;
  for (int c = CLIENT_UOP; c < CLIENTS; c++) client_engine(t, c)->sent = take && t->chosen == c;
}

// After `bus_see`, before the engines change: what is asked for.
static void bus_step(TetcTiming *t) {
  if (!t->ar_grant) return;
  if (t->ar_full || t->chosen >= 0) t->moved = true;
  t->ar_full = t->chosen >= 0;
  if (t->chosen < 0) return;
  t->ar_id = (uint8_t)t->chosen;
  t->ar_beats = t->chosen == CLIENT_FETCH ? burst_now(t, &t->fetch_burst, FETCH_BURST)
                                          : burst_now(t, &client_engine(t, t->chosen)->burst, MAX_BURST);
}

static uint64_t put(bool on, int at) { return (uint64_t)on << at; }

static uint64_t word_counts(const TetcTiming *t, bool load_busy) {
  bool data = t->memory.in_r, fetch = t->left, starved = fetch && !t->beat_valid;
  bool load_starved = (t->inp.need && !t->inp.d_valid) || (t->wgt.need && !t->wgt.d_valid);
  bool own_starved = (t->uops.need && !t->uops.d_valid) || (t->acc.need && !t->acc.d_valid);
  bool compute = queued(&t->compute_queue), gemm = t->gemm_run || t->now <= t->gemm_last + GEMM_WRITE;
  bool alu = t->chain_valid || t->alu_run || t->a1.valid || t->a3.valid || t->a4.valid || t->a5.valid;
  bool store = t->run, computes = gemm || alu;
  bool blocked =
      (t->full && !t->memory.in_w_ready) || (t->store_burst.busy && t->lens_n < STORE_LENS && !t->memory.in_aw_ready);
  bool done = t->run && !t->finished_store && !t->full && t->drow == t->insns[t->ahead[t->ahead_first]].y_size;
  return put(fetch, SIGNAL_FETCH_BUSY) | put(starved && !data, SIGNAL_FETCH_MEMORY) |
         put(starved && data, SIGNAL_FETCH_BUS) | put(load_busy, SIGNAL_LOAD_BUSY) |
         put(t->load_wait, SIGNAL_LOAD_TOKEN) | put(load_starved && !data, SIGNAL_LOAD_MEMORY) |
         put(load_starved && data, SIGNAL_LOAD_BUS) | put(t->valid || compute, SIGNAL_COMPUTE_BUSY) |
         put(fetch && !compute, SIGNAL_COMPUTE_FETCH) | put(t->wait_prev, SIGNAL_COMPUTE_PREV) |
         put(t->wait_next, SIGNAL_COMPUTE_NEXT) | put(t->wait_hazard, SIGNAL_COMPUTE_HAZARD) |
         put(own_starved && !data, SIGNAL_COMPUTE_MEMORY) | put(own_starved && data, SIGNAL_COMPUTE_BUS) |
         put(t->uops.busy, SIGNAL_UOP_BUSY) | put(t->acc.busy, SIGNAL_ACC_BUSY) | put(gemm, SIGNAL_GEMM_BUSY) |
         put(t->gemm_run, SIGNAL_GEMM_STEPS) | put(alu, SIGNAL_ALU_BUSY) | put(t->alu_step, SIGNAL_ALU_STEPS) |
         put(t->a3.valid && !t->alu_grant, SIGNAL_ALU_BANK) | put(t->zero_run, SIGNAL_RESET_BUSY) |
         put(store, SIGNAL_STORE_BUSY) | put(t->ahead_n && !t->run && !t->store_start, SIGNAL_STORE_TOKEN) |
         put(done, SIGNAL_STORE_MEMORY) | put(blocked, SIGNAL_STORE_BUS) |
         put(load_busy && computes, SIGNAL_LOAD_COMPUTE) | put(store && computes, SIGNAL_COMPUTE_STORE) |
         put(load_busy && store, SIGNAL_LOAD_STORE) | put(gemm && alu, SIGNAL_GEMM_ALU);
}

static uint64_t word_signals(const TetcTiming *t) {
  uint64_t engine = t->slots[t->slot].engine;
  return put(true, SIGNAL_RUNNING) | put(t->insn_pop, SIGNAL_FETCHED) | put(queued(&t->load_queue), SIGNAL_LOAD_VALID) |
         put(t->load_start, SIGNAL_LOAD_START) | put(t->load_take, SIGNAL_LOAD_TAKEN) |
         put(t->load_retire, SIGNAL_LOAD_RETIRE) | put(t->inp.done, SIGNAL_INP_DONE) |
         put(t->inp.need && !t->inp.d_valid, SIGNAL_INP_STARVED) | put(t->wgt.done, SIGNAL_WGT_DONE) |
         put(t->wgt.need && !t->wgt.d_valid, SIGNAL_WGT_STARVED) |
         put(queued(&t->compute_queue), SIGNAL_COMPUTE_VALID) | put(t->starts, SIGNAL_COMPUTE_START) |
         engine << SIGNAL_COMPUTE_ENGINE | put(t->enter, SIGNAL_COMPUTE_TAKEN) |
         put(t->retires, SIGNAL_COMPUTE_RETIRE) | put(t->uops.done, SIGNAL_UOP_DONE) |
         put(t->uops.need && !t->uops.d_valid, SIGNAL_UOP_STARVED) | put(t->acc.done, SIGNAL_ACC_DONE) |
         put(t->acc.need && !t->acc.d_valid, SIGNAL_ACC_STARVED) | put(t->gemm_take, SIGNAL_GEMM_START) |
         put(t->gemm_done, SIGNAL_GEMM_DONE) | put(t->alu_take, SIGNAL_ALU_START) |
         put(t->ends[ENG_ALU], SIGNAL_ALU_DONE) | put(t->zero_done, SIGNAL_RESET_DONE) |
         put(t->ahead_n, SIGNAL_STORE_VALID) | put(t->store_start, SIGNAL_STORE_START) |
         put(t->store_retire, SIGNAL_STORE_RETIRE) | (uint64_t)t->slot << SIGNAL_COMPUTE_SLOT;
}

// Adds up what the word of the cycles up to now had.
static void count_word(TetcTiming *t, uint64_t word) {
  if (word == t->word) return;
  uint64_t mask = ((uint64_t)1 << SIGNAL_RUNNING) - 1;
  for (uint64_t left = t->word & mask; left; left &= left - 1)
    t->counters[__builtin_ctzll(left)] += t->now - t->word_since;
  t->word = word, t->word_since = t->now;
  if (t->options.timeline) tetc_timeline_see(t->options.timeline, t->now, word);
}

// How many cycles the next one may stand for: nothing happens in them.
static uint64_t quiet(const TetcTiming *t) {
  uint64_t most = QUIET;
  const Memory *m = &t->memory;
  if (t->acc.write && !t->acc.wready) return 0; // until GEMM writes another bank
  if (m->read_n && !m->in_r) {
    uint64_t ready = m->reads[m->read_first % MAX_REQUESTS].ready;
    if (ready <= t->now + 1) return 0;
    if (ready - 1 - t->now < most) most = ready - 1 - t->now;
  }
  if (m->response_n) {
    uint64_t ready = m->responses[m->response_first % MAX_REQUESTS];
    if (ready <= t->now + 1) return 0;
    if (ready - 1 - t->now < most) most = ready - 1 - t->now;
  }
  if (t->gemm_run) {
    if (t->gemm_left <= 2) return 0;
    if (t->gemm_left - 2 < most) most = t->gemm_left - 2;
  }
  if (t->pipe_done != t->pipe_next) { // an earlier one that still drains
    const Pipe *p = &t->pipes[t->pipe_done % PIPES];
    uint64_t done = p->begin + p->n - 1 + GEMM_WRITE;
    if (done <= t->now) return 0;
    if (done - t->now < most) most = done - t->now;
  }
  if (t->scan_left) {
    if (t->scan_left <= 2) return 0;
    if (t->scan_left - 1 < most) most = t->scan_left - 1;
  }
  return most > 1 ? most - 1 : 0;
}

static void see(TetcTiming *t) {
  memset(t->push, 0, sizeof t->push);
  memset(t->pop, 0, sizeof t->pop);
  timing_alu_see(t);
  bus_see(t);
  fetch_see(t);
  load_see(t);
  engine_see(t, &t->uops, t->uop_held, t->uop_insn);
  engine_see(t, &t->acc, t->acc_held, t->acc_insn);
  if (t->acc.write) t->bank_we[timing_bank(t, t->acc.waddr)] = true; // as vta_zero sees it
  store_see(t);
  timing_window_see(t);
}

static void step(TetcTiming *t) {
  Memory *m = &t->memory;
  bool in_r = m->in_r, ar = t->ar_full && m->in_ar_ready, answered = m->in_b;
  int id = m->in_id;
  bool r_ready = id == CLIENT_FETCH || client_engine(t, id)->fifo < 1u << LOG_BEATS;
  bool r = in_r && r_ready, last = r && m->in_r_last;
  t->counters[TETC_CYCLES_READ_BEATS] += r;
  t->counters[TETC_CYCLES_READ_WAIT] += in_r && !r_ready;
  t->counters[TETC_CYCLES_READ_ADDRESS] += t->ar_full && !m->in_ar_ready;
  t->counters[TETC_CYCLES_WRITE_BEATS] += t->full && m->in_w_ready;
  uint32_t aw_beats = t->store_sent ? burst_now(t, &t->store_burst, MAX_BURST) : 0;
  memory_take(t, r_ready, ar, t->store_sent, aw_beats);
  bus_step(t);
  timing_compute_step(t);
  load_step(t);
  for (int c = CLIENT_UOP; c < CLIENTS; c++) engine_step(t, client_engine(t, c), r && id == c, last && id == c);
  store_step(t, answered);
  fetch_step(t, r && id == CLIENT_FETCH);
  for (int k = 0; k < VTA_CHANNEL_COUNT; k++) {
    t->tokens[k] += t->push[k];
    t->tokens[k] -= t->pop[k];
  }
  memory_show(t);
}

// Passes cycles in which nothing happens but counts.
static void pass(TetcTiming *t, uint64_t cycles) {
  if (t->memory.in_r) t->counters[TETC_CYCLES_READ_WAIT] += cycles;
  if (t->ar_full && !t->memory.in_ar_ready) t->counters[TETC_CYCLES_READ_ADDRESS] += cycles;
  if (t->gemm_run) t->gemm_left -= cycles;
  if (t->scan_left) t->scan_left -= (uint32_t)cycles;
  t->now += cycles;
}

// ---- a launch ------------------------------------------------------------------------------------------------------

static bool run(TetcTiming *t, const char **why) {
  for (;;) {
    t->moved = false;
    see(t);
    bool load_busy = t->order_n || t->inp.busy || t->wgt.busy;
    count_word(t, word_counts(t, load_busy) | word_signals(t));
    bool end = t->finished && !load_busy && !queued(&t->load_queue) && !t->run && !t->ahead_n;
    step(t);
    t->now++;
    if (end) break;
    if (t->moved) continue;
    t->now--; // `quiet` counts from the cycle that was
    uint64_t cycles = quiet(t);
    t->now++;
    if (cycles >= QUIET - 1) return *why = "deadlock: an instruction waits for a token that nobody gives", false;
    pass(t, cycles);
  }
  count_word(t, 0);
  return true;
}

static bool launch_memory(TetcTiming *t, const VtaWord *insns, size_t n) {
  t->insns = calloc(n, sizeof *t->insns);
  UnitQueue *queues[] = {&t->load_queue, &t->compute_queue, &t->store_queue};
  bool ok = t->insns != NULL;
  for (int k = 0; k < 3; k++) {
    *queues[k] = (UnitQueue){.insns = calloc(n, sizeof(uint32_t))};
    ok = ok && queues[k]->insns;
  }
  for (size_t k = 0; ok && k < n; k++) ok = vta_decode(&t->config, insns[k], &t->insns[k]);
  return ok;
}

static void launch_free(TetcTiming *t) {
  free(t->load_queue.insns), free(t->compute_queue.insns), free(t->store_queue.insns), free(t->insns);
  t->load_queue = t->compute_queue = t->store_queue = (UnitQueue){0};
  t->insns = NULL;
}

bool tetc_timing_launch(TetcTiming *t, const VtaWord *insns, const uint32_t *marks, size_t n, TetcTimingUop *uop,
                        void *context, TetcStats *stats, const char **why) {
  if (n == 0) return true;
  bool ok = n < UINT32_MAX / 16 && launch_memory(t, insns, n);
  if (!ok) *why = "no memory for the instructions, or one that is none";
  if (ok && t->insns[n - 1].opcode != OPC_FINISH) *why = "finish is missing", ok = false;
  if (ok) {
    if (t->options.timeline) tetc_timeline_launch(t->options.timeline, &t->config, insns, marks, n);
    t->n = n, t->uop = uop, t->context = context;
    memset(t->counters, 0, sizeof t->counters);
    t->left = (uint32_t)n, t->next_insn = 0, t->part = 0, t->finished = false;
    uint64_t bytes = (uint64_t)n * 16 + (1u << t->log_bus) - 1;
    t->fetch_burst = (Burst){true, 0, (uint32_t)(bytes >> t->log_bus)};
    for (int k = 0; k < 4; k++) { // between launches the bus is at rest, its credit full
      if (t->memory.read_credit < 100) t->memory.read_credit += t->options.bandwidth;
      if (t->memory.write_credit < 100) t->memory.write_credit += t->options.bandwidth;
    }
    uint64_t begin = t->now;
    t->word = 0, t->word_since = t->now;
    ok = run(t, why);
    stats->cycles += t->now - begin;
    for (int k = 0; k < TETC_COUNTERS; k++) stats->counters[k] += t->counters[k];
    if (t->options.timeline) tetc_timeline_end(t->options.timeline, t->now);
    t->now += 100;
  }
  launch_free(t);
  return ok;
}

static void engine_init(Engine *e, int client, int log_elem, int log_alt) {
  e->client = client, e->log_elem = log_elem, e->log_alt = log_alt;
}

TetcTiming *tetc_timing_new(const VtaConfig *c, const TetcRtlOptions *options) {
  if (options->stalls || options->reorder) return NULL;
  TetcTiming *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->config = *c, t->options = *options;
  if (!t->options.bandwidth) t->options.bandwidth = 100;
  if (!t->options.outstanding) t->options.outstanding = 256;
  while (8u << t->log_bus < options->bus) t->log_bus++;
  t->log_acc = vta_log_depth(c, MEM_ACC), t->log_banks = t->log_acc > 2 ? 2 : 1;
  t->acc_depth = 1u << t->log_acc, t->uop_depth = 1u << vta_log_depth(c, MEM_UOP);
  engine_init(&t->uops, CLIENT_UOP, 2, 2);
  engine_init(&t->acc, CLIENT_ACC, log_out(t) + 2, log_out(t));
  engine_init(&t->inp, CLIENT_INP, c->log_batch + c->log_block_in, c->log_batch + c->log_block_in);
  engine_init(&t->wgt, CLIENT_WGT, c->log_block_in + c->log_block_out, c->log_block_in + c->log_block_out);
  t->now = 1000, t->uop_clear = true;
  t->clear = 0;
  t->memory.in_ar_ready = t->memory.in_aw_ready = true;
  t->uop_dst = calloc(2 * t->uop_depth, sizeof *t->uop_dst), t->uop_src = calloc(2 * t->uop_depth, sizeof *t->uop_src);
  t->memory.reads = calloc(MAX_REQUESTS, sizeof(Request)), t->memory.writes = calloc(MAX_REQUESTS, sizeof(Request));
  t->memory.responses = calloc(MAX_REQUESTS, sizeof(uint64_t));
  if (t->uop_dst && t->uop_src && t->memory.reads && t->memory.writes && t->memory.responses) return t;
  tetc_timing_free(t);
  return NULL;
}

void tetc_timing_free(TetcTiming *t) {
  if (!t) return;
  free(t->uop_dst), free(t->uop_src), free(t->memory.reads), free(t->memory.writes), free(t->memory.responses);
  launch_free(t);
  free(t);
}

// SPDX-License-Identifier: Apache-2.0
// The registers of the core as the timing model keeps them, named as in hw/rtl, and what happens in a cycle. A
// cycle has two halves: what each unit does follows from the registers alone (*_see), then all registers change
// (*_step). `moved` says that one did other than by counting down: else the next cycles are like this one until a
// count ends.
#ifndef TETC_TIMING_INTERNAL_H
#define TETC_TIMING_INTERNAL_H

#include "runtime/timing.h"

// Lengths in hw/rtl that are no parameters of a configuration: the defaults of the modules' parameters.
#define LENGTH(name, value) name = value,
enum {
#include "runtime/timing.def"
};
#undef LENGTH

enum { CLIENT_FETCH, CLIENT_UOP, CLIENT_ACC, CLIENT_INP, CLIENT_WGT, CLIENTS };
enum { ENG_UOP, ENG_ACC, ENG_GEMM, ENG_ALU, ENG_ZERO, ENGINES };
enum { SLOTS = 1 << LOG_SLOTS, AHEAD = 1 << LOG_AHEAD, MAX_REQUESTS = 1 << 16, PIPES = 16, BANKS = 4 };

// vta_burst
typedef struct Burst {
  bool busy;
  uint32_t at, beats; // address in beats, of which the place in a page counts
} Burst;

typedef struct Request {
  uint8_t id;
  uint16_t beats, next;
  uint64_t ready;
} Request;

// The memory, as hw/sim/rtl.cpp has it. in_*: what the core sees in this cycle.
typedef struct Memory {
  Request *reads, *writes; // rings of MAX_REQUESTS
  uint64_t *responses;
  uint32_t read_first, read_n, write_first, write_n, response_first, response_n;
  uint32_t read_credit, write_credit;
  bool in_r, in_r_last, in_ar_ready, in_aw_ready, in_w_ready, in_b;
  uint8_t in_id;
} Memory;

// vta_load_engine
typedef struct Engine {
  int client, log_elem, log_alt;
  bool active, given, fresh;
  uint32_t insn, row, pend[PENDING], pend_first, pend_n;
  uint64_t index;
  Burst burst;
  uint32_t bursts, beats, fifo;                       // asked for; buffered
  uint32_t r, c, beat, lane, data_row;                // where the response side is
  uint32_t height, width, x0, x1, y0, y1, most, mask; // of the oldest pending one
  bool wide;
  // this cycle
  bool offered, sent, came, pushed, row_go, take, starts, need, d_valid, d_pop, write, wready, pad, last_data, done,
      busy;
  uint32_t offer, waddr;
} Engine;

typedef struct Slot {
  uint32_t insn, dlo, dhi, slo, shi, ulo, uhi, number;
  uint16_t start_first, end_first, pops_first;
  uint8_t stores_first, engine;
} Slot;

typedef struct Order { // which slots an engine has, oldest first
  uint8_t slot[SLOTS];
  uint32_t first, n;
} Order;

// A GEMM under way: its steps are in cycles [begin, begin + n).
typedef struct Pipe {
  uint32_t insn;
  uint64_t begin, n;
} Pipe;

typedef struct UnitQueue {
  uint32_t *insns; // all of the launch, in order
  uint32_t pushed, popped;
} UnitQueue;

struct TetcTiming {
  VtaConfig config;
  TetcRtlOptions options;
  int log_bus, log_acc, log_banks;
  uint32_t acc_depth, uop_depth;
  uint16_t *uop_dst, *uop_src; // the micro-op memory
  Memory memory;
  uint64_t now;
  bool moved;
  // the launch
  VtaInsn *insns;
  size_t n;
  TetcTimingUop *uop;
  void *context;
  uint64_t counters[TETC_COUNTERS], word, word_since, launched;
  // vta_axi_read
  bool ar_full, ar_grant;
  uint32_t ar_beats;
  uint8_t ar_id;
  int chosen;
  // vta_fetch
  Burst fetch_burst;
  uint32_t reserved, buffered, part, left, next_insn;
  bool fetch_sent, beat_valid, beat_pop, insn_pop;
  UnitQueue load_queue, compute_queue, store_queue;
  uint32_t tokens[VTA_CHANNEL_COUNT];
  bool push[VTA_CHANNEL_COUNT], pop[VTA_CHANNEL_COUNT];
  // vta_load
  Engine inp, wgt, uops, acc;
  bool started, load_start, load_take, load_retire, load_wait;
  uint8_t order[LOAD_ORDER];
  uint32_t order_first, order_n, inp_done, wgt_done;
  // vta_ahead
  uint32_t ahead[AHEAD], ahead_lo[AHEAD], ahead_hi[AHEAD];
  uint32_t ahead_first, ahead_n;
  bool ahead_push[AHEAD], ahead_in;
  // vta_store
  bool run, reading, full;
  uint32_t arow, drow, col, part_w, beat_w, open, elems, lens[STORE_LENS], lens_first, lens_n;
  uint64_t aindex, dindex, read, total;
  Burst store_burst;
  bool store_start, store_retire, store_sent, store_row, store_re, store_put, store_end, store_pop_elem, store_pop_len,
      finished_store;
  // vta_compute
  int state;
  uint32_t scan_left, dlo, dhi, slo, shi;
  bool exact, uop_clear, uop_held, acc_held, finished, enter, zeroes, works;
  uint32_t uop_insn, acc_insn;
  int enter_engine;
  uint32_t ulo, uhi;
  // vta_window
  Slot slots[SLOTS];
  uint16_t valid, waiting, done, work, pop_prev, pop_next, push_prev, push_next, clear, of_engine[ENGINES];
  uint32_t head, tail, oldest, pushes, pops, pushers_first, pushers_n;
  uint8_t pushers[SLOTS];
  Order orders[ENGINES];
  bool store_go, starts, retires, gives, wait_prev, wait_next, wait_hazard;
  uint32_t slot;
  bool offer[ENGINES], ends[ENGINES];
  // vta_gemm
  uint32_t gemm_queue[ENGINE_QUEUE], gemm_first, gemm_n;
  bool gemm_run, gemm_take, gemm_done;
  uint64_t gemm_left, gemm_last; // steps of the one that runs; the last cycle with a step
  Pipe pipes[PIPES];
  uint32_t pipe_next, pipe_done; // numbers of the next and of the oldest not done
  // vta_alu
  uint32_t alu_queue[ENGINE_QUEUE], alu_first, alu_n, chain, chain_n, alu_insn, alu_count;
  bool chain_valid, alu_run, alu_take, alu_fits, alu_free, index_take, alu_move, alu_grant, alu_step, src_read;
  uint32_t iu, ii, io, doff, soff, doff_o, soff_o;
  struct AluStage {
    bool valid, last, src;
    uint8_t count;
    uint32_t d, s;
  } a1, a3, a4, a5;
  bool a6, held_valid;
  uint32_t held, alu_ended;
  // vta_zero
  bool zero_run, zero_done, zero_busy[BANKS], bank_we[BANKS];
  uint32_t zero_line[BANKS], zero_last[BANKS];
};

// timing.c
static inline uint32_t timing_bank(const TetcTiming *t, uint32_t row) {
  uint32_t folded = row & 0xffff;
  for (int n = 8; n >= t->log_banks; n /= 2) folded ^= folded >> n;
  return folded & ((1u << t->log_banks) - 1);
}
uint64_t timing_steps(const VtaInsn *i); // of GEMM or ALU

// timing_compute.c
void timing_alu_see(TetcTiming *t);    // and what GEMM does; before the load engines
void timing_window_see(TetcTiming *t); // after them and store
void timing_compute_step(TetcTiming *t);
bool timing_gemm_row(const TetcTiming *t, uint64_t cycle, uint32_t *row); // of the step of a cycle, if it has one

#endif

// SPDX-License-Identifier: Apache-2.0
// The compute unit's window: instructions enter in program order, start as soon as nothing older is in the way, and retire
// in order. What another unit can see is as if they had run one after the other:
//
// 1. Instructions that touch the same accumulators or micro-ops, one of them writing, keep their order: the younger waits
//    for the end of the older, or only for its start if both go to one engine, which is in order itself.
// 2. Tokens are taken in program order in each channel. What a token of load protects is INP and WGT, which GEMM alone
//    reads, so any other instruction may start while an older one waits for such a token.
// 3. What a token of store protects is DRAM that was written, so loads never pass an older instruction that waits for
//    one, and OUT that was read. The n-th token is that of the n-th pushing store, so an instruction behind n waiting pops
//    must be ordered behind that store and those before it, and no others. vta_ahead shows the next stores: if the n-th
//    pushing one is among them, GEMM, ALU and resets start when those of these stores that read what they write are done.
// 4. Tokens are given to load when the instruction retires. They are given to store as soon as the instruction is done and
//    the tokens before it are given: the store that takes the token must then itself wait for the instructions older than
//    the giver that write what it reads, that read DRAM, or that have not got their token of load (whose owner may read
//    DRAM too). To know those, pushes are numbered: an instruction older than the n-th giver entered before the n-th push.
//    It waits too while a token of store for those older ones is missing: one that only itself or a later store can give
//    would be a circle, in which compute stands.
`include "vta_isa.svh"
module vta_window #(
  parameter int unsigned LOG_UOP = 13,
  parameter int unsigned LOG_ACC = 11,
  parameter int unsigned LOG_SLOTS = 4,
  parameter int unsigned AHEAD = 4
) (
  input  logic                          clk_i,
  input  logic                          rst_i,
  input  logic                          halt_i,
  // The instruction that enters. Ranges are inclusive-exclusive; those that are not meant are empty.
  input  logic                          valid_i,
  output logic                          ready_o,
  input  logic [127:0]                  insn_i,
  input  logic [2:0]                    engine_i,
  input  logic                          works_i,      // has something to do for the engine
  input  logic [LOG_ACC:0]              dlo_i,        // accumulators written
  input  logic [LOG_ACC:0]              dhi_i,
  input  logic [LOG_ACC:0]              slo_i,        // and read
  input  logic [LOG_ACC:0]              shi_i,
  input  logic [LOG_UOP:0]              ulo_i,        // micro-ops, written or read
  input  logic [LOG_UOP:0]              uhi_i,
  input  logic                          check_i,      // before it enters:
  output logic                          uop_clear_o,  // in the cycle before no load was to write [ulo_i, uhi_i)
  // The instruction that starts.
  output logic                          start_o,
  output logic [LOG_SLOTS-1:0]          slot_o,
  output logic [127:0]                  insn_o,
  output logic [2:0]                    engine_o,
  output logic [LOG_ACC:0]              dlo_o,
  output logic [LOG_ACC:0]              dhi_o,
  output logic [4:0]                    offer_o,      // a bit an engine: it has work for it
  input  logic [4:0]                    free_i,       // the engine can take one
  input  logic [4:0]                    done_i,       // the engine is done with its oldest one
  // Tokens.
  input  logic                          prev_token_i,
  output logic                          prev_pop_o,
  input  logic                          next_token_i,
  input  logic [LOG_SLOTS-1:0]          next_count_i, // tokens of store that are there, or at most as many as slots
  output logic                          next_pop_o,
  input  logic                          prev_full_i,
  output logic                          prev_push_o,
  input  logic                          next_full_i,
  output logic                          next_push_o,
  // The next stores, in slots of which first_i is the oldest.
  input  logic [AHEAD-1:0]              store_valid_i,
  input  logic [AHEAD-1:0]              store_push_i,
  input  logic [AHEAD*(LOG_ACC+1)-1:0]  store_lo_i,
  input  logic [AHEAD*(LOG_ACC+1)-1:0]  store_hi_i,
  input  logic [$clog2(AHEAD)-1:0]      store_first_i,
  input  logic                          store_done_i, // with the oldest
  input  logic                          store_pops_i, // the oldest takes a token, or would
  input  logic                          store_pop_i,  // now
  input  logic                          store_token_i,
  output logic                          store_go_o,   // nothing is in its way
  // What goes on.
  output logic                          busy_o,
  output logic                          wait_prev_o,
  output logic                          wait_next_o,
  output logic                          wait_hazard_o,
  output logic                          retire_o,
  output logic                          finish_o
);
  logic clk; // the gated clock: see the end
  localparam int unsigned Slots = 1 << LOG_SLOTS;
  localparam int unsigned LogAhead = $clog2(AHEAD);
  localparam int unsigned Index = LOG_ACC + 1;
  localparam logic [2:0] EngUop = vta_pkg::EngUop, EngAcc = vta_pkg::EngAcc, EngGemm = vta_pkg::EngGemm,
                         EngAlu = vta_pkg::EngAlu, EngZero = vta_pkg::EngZero;
  localparam int unsigned Number = 14; // of a push: twice the tokens that can be under way, or more

  // An entry is waiting, then running (valid, neither waiting nor done), then done.
  logic [Slots-1:0] valid_q, waiting_q, done_q, works_q, pop_prev_q, pop_next_q, push_prev_q, finish_q;
  logic [Slots-1:0] uop_q, acc_q, gemm_q, alu_q, zero_q; // its engine
  logic [127:0] insn_q [0:Slots-1];
  logic [LOG_ACC:0] dlo_q [0:Slots-1], dhi_q [0:Slots-1], slo_q [0:Slots-1], shi_q [0:Slots-1];
  logic [LOG_UOP:0] ulo_q [0:Slots-1], uhi_q [0:Slots-1];
  logic [Number-1:0] number_q [0:Slots-1];          // pushes to store by older instructions
  logic [Slots-1:0] start_first_q [0:Slots-1];      // must have started before this one may
  logic [Slots-1:0] end_first_q [0:Slots-1];        // must be done
  logic [Slots-1:0] pops_first_q [0:Slots-1];       // must have started, or
  logic [AHEAD-1:0] stores_first_q [0:Slots-1];     // these stores be done
  logic [LOG_SLOTS-1:0] head_q, tail_q;
  logic enter, start;
  logic [LOG_SLOTS-1:0] slot;
  assign ready_o = !valid_q[tail_q];
  assign enter = valid_i && ready_o;

  // ---- starting: the oldest that can ----
  logic [Slots-1:0] able, turned, free, clear_q; // clear_q: all that must come first has
  assign free = ~works_q | (uop_q & {Slots{free_i[EngUop]}}) | (acc_q & {Slots{free_i[EngAcc]}}) |
                (gemm_q & {Slots{free_i[EngGemm]}}) | (alu_q & {Slots{free_i[EngAlu]}}) |
                (zero_q & {Slots{free_i[EngZero]}});
  assign able = waiting_q & clear_q & free & (~pop_prev_q | {Slots{prev_token_i}}) &
                (~pop_next_q | {Slots{next_token_i}}) & {Slots{!halt_i}};
  always_comb begin
    slot = head_q;
    turned = '0;
    if (able != '0) begin
      turned = Slots'({able, able} >> head_q);
      for (int n = Slots - 1; n >= 0; n--) begin
        if (turned[n]) slot = head_q + LOG_SLOTS'(n);
      end
    end
  end
  assign start = able != '0;
  assign start_o = start;
  assign slot_o = slot;
  assign insn_o = insn_q[slot];
  assign dlo_o = dlo_q[slot];
  assign dhi_o = dhi_q[slot];
  assign engine_o = {zero_q[slot], gemm_q[slot] || alu_q[slot], acc_q[slot] || alu_q[slot]};
  assign offer_o = (start && works_q[slot]) ? {zero_q[slot], alu_q[slot], gemm_q[slot], acc_q[slot], uop_q[slot]} : '0;
  assign prev_pop_o = start && pop_prev_q[slot];
  assign next_pop_o = start && pop_next_q[slot];

  // ---- ending: engines are done in the order in which they were given work ----
  logic [Slots-1:0] started, ended;
  logic [5*LOG_SLOTS-1:0] running;
  logic [4:0] order_ready, order_valid;
  logic [5*(LOG_SLOTS+1)-1:0] order_count;
  for (genvar e = 0; e < 5; e++) begin : gen_order
    vta_fifo #(.WIDTH(LOG_SLOTS), .LOG_DEPTH(LOG_SLOTS)) u_order (
      .clk_i(clk), .rst_i, .valid_i(offer_o[e]), .ready_o(order_ready[e]), .data_i(slot), .valid_o(order_valid[e]),
      .ready_i(done_i[e]), .data_o(running[e*LOG_SLOTS +: LOG_SLOTS]),
      .count_o(order_count[e*(LOG_SLOTS+1) +: LOG_SLOTS+1])
    );
  end
  always_comb begin
    started = '0;
    if (start) started[slot] = 1'b1;
    ended = '0;
    if (start && !works_q[slot]) ended[slot] = 1'b1;
    for (int unsigned e = 0; e < 5; e++) begin
      if (done_i[e]) ended[running[e*LOG_SLOTS +: LOG_SLOTS]] = 1'b1;
    end
  end

  // ---- tokens for store, and retiring ----
  logic push_valid, push_ready;
  logic [LOG_SLOTS-1:0] pusher;
  logic [LOG_SLOTS:0] push_count;
  logic [Slots-1:0] push_next_q; // still to give
  vta_fifo #(.WIDTH(LOG_SLOTS), .LOG_DEPTH(LOG_SLOTS)) u_pushes (
    .clk_i(clk), .rst_i, .valid_i(enter && insn_i[`VTA_INSN_PUSH_NEXT]), .ready_o(push_ready), .data_i(tail_q), .valid_o(push_valid),
    .ready_i(next_push_o), .data_o(pusher), .count_o(push_count)
  );
  logic retire;
  assign next_push_o = push_valid && done_q[pusher] && !next_full_i;
  assign retire = valid_q[head_q] && done_q[head_q] && !push_next_q[head_q] && !(push_prev_q[head_q] && prev_full_i);
  assign retire_o = retire;
  assign prev_push_o = retire && push_prev_q[head_q];
  assign finish_o = retire && finish_q[head_q];

  always_ff @(posedge clk) begin
    if (rst_i) begin
      {valid_q, waiting_q, done_q, push_next_q} <= '0;
      head_q <= '0;
      tail_q <= '0;
    end else begin
      waiting_q <= waiting_q & ~started;
      done_q <= done_q | ended;
      if (next_push_o) push_next_q[pusher] <= 1'b0;
      if (retire) begin
        valid_q[head_q] <= 1'b0;
        head_q <= head_q + 1'b1;
      end
      if (enter) begin
        valid_q[tail_q] <= 1'b1;
        waiting_q[tail_q] <= 1'b1;
        done_q[tail_q] <= 1'b0;
        push_next_q[tail_q] <= insn_i[`VTA_INSN_PUSH_NEXT];
        tail_q <= tail_q + 1'b1;
      end
    end
  end

  // ---- entering ----
  logic [Number-1:0] pushes_q, pops_q;
  always_ff @(posedge clk) begin
    if (rst_i) begin
      pushes_q <= '0;
      pops_q <= '0;
    end else begin
      pushes_q <= pushes_q + Number'(enter && insn_i[`VTA_INSN_PUSH_NEXT]);
      pops_q <= pops_q + Number'(store_pop_i);
    end
    if (enter) begin
      insn_q[tail_q] <= insn_i;
      uop_q[tail_q] <= engine_i == EngUop;
      acc_q[tail_q] <= engine_i == EngAcc;
      gemm_q[tail_q] <= engine_i == EngGemm;
      alu_q[tail_q] <= engine_i == EngAlu;
      zero_q[tail_q] <= engine_i == EngZero;
      works_q[tail_q] <= works_i;
      pop_prev_q[tail_q] <= insn_i[`VTA_INSN_POP_PREV];
      pop_next_q[tail_q] <= insn_i[`VTA_INSN_POP_NEXT];
      push_prev_q[tail_q] <= insn_i[`VTA_INSN_PUSH_PREV];
      finish_q[tail_q] <= insn_i[`VTA_INSN_OPCODE] == vta_pkg::OpFinish;
      dlo_q[tail_q] <= dlo_i;
      dhi_q[tail_q] <= dhi_i;
      slo_q[tail_q] <= slo_i;
      shi_q[tail_q] <= shi_i;
      ulo_q[tail_q] <= ulo_i;
      uhi_q[tail_q] <= uhi_i;
      number_q[tail_q] <= pushes_q;
    end
  end

  // What the one that enters must wait for. Of the entries that wait for a token of store, as many as there are tokens
  // already have theirs; the others have those of the next pushing stores.
  logic [Slots-1:0] clash, same_engine, prev_pops, next_pops, passed_pops, before_start, before_end;
  logic [AHEAD-1:0] stores, store_done;
  logic passes, covered;
  assign prev_pops = waiting_q & pop_prev_q;
  assign next_pops = waiting_q & pop_next_q;
  assign store_done = store_done_i ? AHEAD'(1) << store_first_i : '0;
  assign passes = (engine_i == EngGemm || engine_i == EngAlu || engine_i == EngZero || !works_i) &&
                  !insn_i[`VTA_INSN_POP_NEXT];
  always_comb begin
    logic [LOG_SLOTS:0] missing; // tokens of store that entries wait for and that are not there
    logic [LogAhead-1:0] k;
    clash = '0;
    same_engine = '0;
    stores = '0;
    covered = 1'b0;
    missing = '0;
    k = store_first_i;
    if (enter) begin
      case (engine_i)
        EngUop: same_engine = uop_q;
        EngAcc: same_engine = acc_q;
        EngGemm: same_engine = gemm_q;
        EngAlu: same_engine = alu_q;
        default: same_engine = zero_q;
      endcase
      for (int unsigned n = 0; n < Slots; n++) begin
        clash[n] = (dlo_i < dhi_q[n] && dlo_q[n] < dhi_i) || (slo_i < dhi_q[n] && dlo_q[n] < shi_i) ||
                   (dlo_i < shi_q[n] && slo_q[n] < dhi_i) ||
                   ((engine_i == EngUop || uop_q[n]) && ulo_i < uhi_q[n] && ulo_q[n] < uhi_i);
      end
      clash = clash & works_q & {Slots{works_i}};
    end
    if (enter && next_pops != '0) begin
      for (int unsigned n = 0; n < Slots; n++) missing = missing + (LOG_SLOTS + 1)'(next_pops[n]);
      missing = (missing > (LOG_SLOTS + 1)'(next_count_i)) ? missing - (LOG_SLOTS + 1)'(next_count_i) : '0;
      for (int unsigned n = 0; n < AHEAD; n++) begin
        if (missing != '0 && store_valid_i[k]) begin
          stores[k] = works_i && dlo_i < store_hi_i[32'(k)*Index +: Index] && store_lo_i[32'(k)*Index +: Index] < dhi_i;
          if (store_push_i[k]) missing = missing - 1'b1;
        end
        k = k + 1'b1;
      end
      covered = missing == '0;
    end
  end
  always_comb begin
    before_start = clash & same_engine & waiting_q;
    before_end = clash & ~same_engine & valid_q & ~done_q;
    if (insn_i[`VTA_INSN_POP_PREV] || (engine_i == EngGemm && works_i)) before_start = before_start | prev_pops;
    passed_pops = '0;
    if (passes && covered) passed_pops = next_pops;
    else if (insn_i[`VTA_INSN_POP_NEXT] || works_i) before_start = before_start | next_pops;
  end
  always_ff @(posedge clk) begin
    if (enter || start || ended != '0 || store_done_i) begin
      for (int unsigned n = 0; n < Slots; n++) begin
        logic [Slots-1:0] to_start, to_end, pops;
        logic [AHEAD-1:0] of;
        to_start = start_first_q[n];
        to_end = end_first_q[n];
        pops = pops_first_q[n];
        of = stores_first_q[n];
        if (enter && tail_q == LOG_SLOTS'(n)) begin
          to_start = before_start;
          to_end = before_end;
          pops = passed_pops;
          of = stores;
        end
        to_start = to_start & ~started;
        to_end = to_end & ~ended;
        pops = pops & ~started;
        of = of & ~store_done;
        start_first_q[n] <= to_start;
        end_first_q[n] <= to_end;
        pops_first_q[n] <= pops;
        stores_first_q[n] <= of;
        clear_q[n] <= to_start == '0 && to_end == '0 && (pops == '0 || of == '0);
      end
    end
  end

  // Before micro-ops are scanned they must be there. (What is in their way now has entered already.)
  logic uop_clear_q;
  assign uop_clear_o = uop_clear_q;
  always_ff @(posedge clk_i) begin
    uop_clear_q <= 1'b1;
    if (check_i && (uop_q & works_q & valid_q & ~done_q) != '0) begin
      for (int unsigned n = 0; n < Slots; n++) begin
        if (valid_q[n] && !done_q[n] && works_q[n] && uop_q[n] && ulo_i < uhi_q[n] && ulo_q[n] < uhi_i)
          uop_clear_q <= 1'b0;
      end
    end
  end

  // ---- the next store: a cycle behind, which is safe, for with its token here what is in its way only gets less ----
  logic store_go_q;
  logic [Number-1:0] its_pops;
  assign its_pops = pops_q + Number'(store_pops_i);
  assign store_go_o = store_go_q;
  always_ff @(posedge clk_i) begin
    logic [LOG_SLOTS:0] lacking; // tokens of store that those older than the giver take
    lacking = '0;
    store_go_q <= 1'b0;
    if (store_valid_i[store_first_i] && !store_done_i && !store_pop_i && (store_token_i || !store_pops_i)) begin
      store_go_q <= 1'b1;
      for (int unsigned n = 0; n < Slots; n++) begin
        logic [Number-1:0] ahead;
        ahead = its_pops - number_q[n] - 1'b1; // not negative: the n-th is older than the giver
        if (waiting_q[n] && pop_next_q[n] && !ahead[Number-1]) lacking = lacking + 1'b1;
        if (valid_q[n] && !done_q[n] && !ahead[Number-1] &&
            ((works_q[n] && (uop_q[n] || acc_q[n])) || (waiting_q[n] && pop_prev_q[n]) ||
             (works_q[n] && dlo_q[n] < store_hi_i[32'(store_first_i)*Index +: Index] &&
              store_lo_i[32'(store_first_i)*Index +: Index] < dhi_q[n]))) store_go_q <= 1'b0;
      end
      if (lacking > {1'b0, next_count_i}) store_go_q <= 1'b0;
    end
    if (rst_i) store_go_q <= 1'b0;
  end

  // ---- what goes on: why the oldest that waits does ----
  logic [LOG_SLOTS-1:0] oldest_q; // runs after it
  logic stands, follows;
  // In a full window the head has the place of the tail.
  assign follows = !waiting_q[oldest_q] && (oldest_q != tail_q || waiting_q != '0);
  always_ff @(posedge clk) begin
    if (rst_i) oldest_q <= '0;
    else if (follows) oldest_q <= oldest_q + 1'b1;
  end
  assign stands = waiting_q[oldest_q] && !start && !halt_i;
  assign busy_o = valid_q != '0;
  assign wait_hazard_o = stands && !clear_q[oldest_q];
  assign wait_prev_o = stands && clear_q[oldest_q] && pop_prev_q[oldest_q] && !prev_token_i;
  assign wait_next_o = stands && clear_q[oldest_q] && pop_next_q[oldest_q] && !next_token_i;

  logic unused;
  assign unused = ^{order_count, push_count};

  always_ff @(posedge clk) begin
    if (!rst_i) begin
      if (done_i != '0) assert ((done_i & ~order_valid) == '0);
      if (start) assert ((offer_o & ~order_ready) == '0);
      if (enter) assert (!insn_i[`VTA_INSN_PUSH_NEXT] || push_ready);
      if (retire) assert (!waiting_q[head_q]);
      if (enter || start) assert ((valid_q[head_q] || valid_q == '0) && (waiting_q & (~valid_q | done_q)) == '0);
    end
  end

  // Whether anything changes with the next edge.
  logic changes;
  assign changes = rst_i || enter || start || ended != '0 || next_push_o || retire || store_done_i || store_pop_i ||
                   follows;
  vta_gate u_gate (.clk_i, .en_i(changes), .clk_o(clk));
endmodule

// SPDX-License-Identifier: Apache-2.0
// The compute unit's control. Takes instructions in order, finds out what each touches (scanning the micro-ops of GEMM and
// ALU), and starts it as soon as no older instruction in another engine touches the same: micro-op loads, accumulator
// loads, GEMM and ALU run side by side. Tokens are taken at the start and given in order. A reset goes to the ALU when
// that is free.
`include "vta_isa.svh"
module vta_compute #(
  parameter int unsigned LOG_UOP = 13,
  parameter int unsigned LOG_INP = 11,
  parameter int unsigned LOG_WGT = 10,
  parameter int unsigned LOG_ACC = 11
) (
  input  logic               clk_i,
  input  logic               rst_i,
  input  logic               halt_i,
  input  logic               valid_i,
  output logic               ready_o,
  input  logic [127:0]       insn_i,
  output logic               finish_o,      // FINISH is done
  input  logic               prev_token_i,  // load to compute
  output logic               prev_pop_o,
  input  logic               next_token_i,  // store to compute
  output logic               next_pop_o,
  input  logic               prev_full_i,   // compute to load
  output logic               prev_push_o,
  input  logic               next_full_i,   // compute to store
  output logic               next_push_o,
  output logic               busy_o,
  output logic               wait_prev_o,
  output logic               wait_next_o,
  output logic               wait_hazard_o, // an older instruction in another engine is in the way
  output logic               start_o,       // an instruction starts, its tokens taken
  output logic [1:0]         engine_o,      // in this one, if it has work: 0 micro-op load, 1 ACC load, 2 GEMM, 3 ALU
  output logic               retire_o,
  output logic               range_error_o,
  output logic               scan_re_o,
  output logic [LOG_UOP-1:0] scan_addr_o,
  input  logic [31:0]        scan_uop_i,
  output logic               uop_valid_o,
  input  logic               uop_ready_i,
  input  logic               uop_done_i,
  output logic               acc_valid_o,
  input  logic               acc_ready_i,
  input  logic               acc_done_i,
  output logic               gemm_valid_o,
  input  logic               gemm_ready_i,
  input  logic               gemm_done_i,
  output logic               alu_valid_o,
  input  logic               alu_ready_i,
  input  logic               alu_done_i,
  output logic [LOG_UOP-1:0] begin_o,
  output logic [LOG_UOP:0]   end_o,
  output logic [13:0]        iter_out_o,
  output logic [13:0]        iter_in_o,
  output logic [95:0]        factors_o,
  output logic               reset_o,
  output logic [2:0]         alu_op_o,
  output logic               use_imm_o,
  output logic [15:0]        imm_o
);
  localparam int unsigned ScanLimit = 64; // longer kernels count as touching every accumulator
  localparam int unsigned Slots = 8;
  localparam logic [1:0] EngUop = 2'd0, EngAcc = 2'd1, EngGemm = 2'd2, EngAlu = 2'd3;

  // ---- decoding ----
  logic [2:0] opcode;
  logic is_load, is_acc, is_gemm, is_alu, is_finish, is_reset, pop_prev, pop_next, push_prev, push_next;
  logic loads, steps;  // moves data; has steps
  logic [LOG_ACC-1:0] dst_out, dst_in;
  logic [15:0] src_out, src_in;
  assign opcode = insn_i[`VTA_INSN_OPCODE];
  assign pop_prev = insn_i[`VTA_INSN_POP_PREV];
  assign pop_next = insn_i[`VTA_INSN_POP_NEXT];
  assign push_prev = insn_i[`VTA_INSN_PUSH_PREV];
  assign push_next = insn_i[`VTA_INSN_PUSH_NEXT];
  assign is_load = opcode == vta_pkg::OpLoad;
  assign is_acc = is_load && insn_i[`VTA_MOVE_MEMORY] != vta_pkg::MemUop;
  assign is_gemm = opcode == vta_pkg::OpGemm;
  assign is_alu = opcode == vta_pkg::OpAlu;
  assign is_finish = opcode == vta_pkg::OpFinish;
  assign is_reset = is_gemm && insn_i[`VTA_LOOP_RESET];
  assign loads = is_load && insn_i[`VTA_MOVE_X_SIZE] != '0;
  assign begin_o = insn_i[`VTA_LOOP_UOP_BEGIN];
  assign end_o = insn_i[`VTA_LOOP_UOP_END];
  assign iter_out_o = insn_i[`VTA_LOOP_ITER_OUT];
  assign iter_in_o = insn_i[`VTA_LOOP_ITER_IN];
  assign steps = (is_gemm || is_alu) && end_o > {1'b0, begin_o} && iter_out_o != '0 && iter_in_o != '0;
  assign dst_out = insn_i[`VTA_LOOP_DST_OUT];
  assign dst_in = insn_i[`VTA_LOOP_DST_IN];
  assign src_out = is_alu ? 16'(insn_i[`VTA_ALU_SRC_OUT]) : 16'(insn_i[`VTA_GEMM_SRC_OUT]);
  assign src_in = is_alu ? 16'(insn_i[`VTA_ALU_SRC_IN]) : 16'(insn_i[`VTA_GEMM_SRC_IN]);
  assign factors_o = {16'(insn_i[`VTA_GEMM_WGT_IN]), 16'(insn_i[`VTA_GEMM_WGT_OUT]), src_in, src_out, 16'(dst_in), 16'(dst_out)};
  assign reset_o = is_reset;
  assign alu_op_o = is_gemm ? vta_pkg::AluZero : insn_i[`VTA_ALU_ALU_OP];
  assign use_imm_o = insn_i[`VTA_ALU_USE_IMM];
  assign imm_o = insn_i[`VTA_ALU_IMM];
  assign range_error_o = valid_i && steps && end_o > {1'b1, {LOG_UOP{1'b0}}};

  // Elements that a load writes, at most as many as anything here counts.
  logic [15:0] sram_base;
  logic [16:0] height, width;
  logic [33:0] area, load_end;
  assign sram_base = insn_i[`VTA_MOVE_SRAM_BASE];
  assign height = 17'(insn_i[`VTA_MOVE_Y_PAD0]) + 17'(insn_i[`VTA_MOVE_Y_SIZE]) + 17'(insn_i[`VTA_MOVE_Y_PAD1]);
  assign width = 17'(insn_i[`VTA_MOVE_X_PAD0]) + 17'(insn_i[`VTA_MOVE_X_SIZE]) + 17'(insn_i[`VTA_MOVE_X_PAD1]);
  assign area = 34'(height) * 34'(width);
  assign load_end = area + 34'(sram_base);

  // ---- instructions that run: what they touch, ranges inclusive-exclusive ----
  logic [Slots-1:0] valid_q, done_q, has_src_q, has_dst_q, has_uop_q, push_prev_q, push_next_q, finish_q;
  logic [1:0] engine_q [0:Slots-1];
  logic [LOG_ACC:0] dlo_q [0:Slots-1], dhi_q [0:Slots-1], slo_q [0:Slots-1], shi_q [0:Slots-1];
  logic [LOG_UOP:0] ulo_q [0:Slots-1], uhi_q [0:Slots-1];
  logic [2:0] head_q, tail_q;

  // ---- the instruction at hand ----
  localparam logic [1:0] StIdle = 2'd0, StScan = 2'd1, StRange = 2'd2, StIssue = 2'd3;
  logic [1:0] state_q;
  logic [LOG_UOP:0] ulo, uhi, scan_q, count;
  logic [LOG_ACC:0] dlo_new_q, dhi_new_q, slo_new_q, shi_new_q;
  logic [LOG_ACC-1:0] dmin_q, dmax_q, smin_q, smax_q, d, s;
  logic scanning_q, first_q, uses_src, uop_clash, clash, tokens, go, engine_ready, slot_free;
  logic [1:0] engine;
  logic [29:0] dend, send;
  assign uses_src = is_alu && !use_imm_o;
  assign ulo = !is_load ? {1'b0, begin_o} :
               (sram_base >= 16'(1 << LOG_UOP)) ? {1'b1, {LOG_UOP{1'b0}}} : (LOG_UOP + 1)'(sram_base);
  assign uhi = !is_load ? end_o : (load_end > 34'(1 << LOG_UOP)) ? {1'b1, {LOG_UOP{1'b0}}} : (LOG_UOP + 1)'(load_end);
  assign count = end_o - {1'b0, begin_o};
  assign d = scan_uop_i[`VTA_UOP_DST];
  assign s = LOG_ACC'(scan_uop_i[`VTA_UOP_SRC]);
  // Largest index reached, plus one.
  assign dend = 30'(dmax_q) + 30'd1 + (30'(iter_out_o) - 30'd1) * 30'(dst_out) + (30'(iter_in_o) - 30'd1) * 30'(dst_in);
  assign send = 30'(smax_q) + 30'd1 + (30'(iter_out_o) - 30'd1) * 30'(src_out) + (30'(iter_in_o) - 30'd1) * 30'(src_in);

  // The micro-ops must be there before they are scanned.
  always_comb begin
    uop_clash = 1'b0;
    clash = 1'b0;
    for (int unsigned n = 0; n < Slots; n++) begin
      if (valid_q[n] && !done_q[n] && has_uop_q[n] && (engine_q[n] == EngUop) != (is_load) &&
          ulo < uhi_q[n] && ulo_q[n] < uhi) uop_clash = 1'b1;
      if (valid_q[n] && !done_q[n] && has_dst_q[n] && engine_q[n] != engine && (is_acc || steps)) begin
        if (dlo_new_q < dhi_q[n] && dlo_q[n] < dhi_new_q) clash = 1'b1;
        if (uses_src && slo_new_q < dhi_q[n] && dlo_q[n] < shi_new_q) clash = 1'b1;
        if (has_src_q[n] && dlo_new_q < shi_q[n] && slo_q[n] < dhi_new_q) clash = 1'b1;
      end
    end
    if (is_acc || !(loads || steps)) uop_clash = 1'b0;
  end

  // Which engine: a reset takes the ALU when that is free, so that a GEMM on other accumulators can start.
  logic alu_used;
  always_comb begin
    alu_used = 1'b0;
    for (int unsigned n = 0; n < Slots; n++) begin
      if (valid_q[n] && !done_q[n] && has_uop_q[n] && engine_q[n] == EngAlu) alu_used = 1'b1;
    end
  end
  logic reset_to_alu;
  assign reset_to_alu = is_reset && !alu_used;
  assign engine = is_load ? (is_acc ? EngAcc : EngUop) : (is_alu || reset_to_alu) ? EngAlu : EngGemm;

  assign tokens = (!pop_prev || prev_token_i) && (!pop_next || next_token_i);
  assign slot_free = !valid_q[tail_q];
  always_comb begin
    case (engine)
      EngUop: engine_ready = uop_ready_i;
      EngAcc: engine_ready = acc_ready_i;
      EngGemm: engine_ready = gemm_ready_i;
      default: engine_ready = alu_ready_i;
    endcase
    if (!(loads || steps)) engine_ready = 1'b1;
  end

  // A load engine takes an instruction when its requests are out: it is offered it (offered_q) from the start on.
  logic offered_q, may, offer;
  assign may = state_q == StIssue && !halt_i && tokens && !clash && !uop_clash && slot_free;
  assign go = may && !offered_q && (is_load || engine_ready);
  assign offer = (go || offered_q) && (loads || steps);
  assign uop_valid_o = offer && engine == EngUop;
  assign acc_valid_o = offer && engine == EngAcc;
  assign gemm_valid_o = may && steps && engine == EngGemm;
  assign alu_valid_o = may && steps && engine == EngAlu;
  assign ready_o = (go || offered_q) && engine_ready;
  assign prev_pop_o = go && pop_prev;
  assign next_pop_o = go && pop_next;

  assign scan_re_o = state_q == StScan;
  assign scan_addr_o = scan_q[LOG_UOP-1:0];

  always_ff @(posedge clk_i) begin
    scanning_q <= state_q == StScan;
    if (scanning_q) begin
      first_q <= 1'b0;
      if (first_q || d < dmin_q) dmin_q <= d;
      if (first_q || d > dmax_q) dmax_q <= d;
      if (first_q || s < smin_q) smin_q <= s;
      if (first_q || s > smax_q) smax_q <= s;
    end
    case (state_q)
      StIdle: begin
        first_q <= 1'b1;
        scan_q <= {1'b0, begin_o};
        dlo_new_q <= is_acc ? ((sram_base >= 16'(1 << LOG_ACC)) ? '0 : (LOG_ACC + 1)'(sram_base)) : '0;
        dhi_new_q <= (is_acc && load_end <= 34'(1 << LOG_ACC)) ? (LOG_ACC + 1)'(load_end) : {1'b1, {LOG_ACC{1'b0}}};
        slo_new_q <= '0;
        shi_new_q <= {1'b1, {LOG_ACC{1'b0}}};
        if (valid_i && !halt_i && !uop_clash)
          state_q <= (steps && count <= (LOG_UOP + 1)'(ScanLimit)) ? StScan : StIssue;
      end
      StScan: begin
        scan_q <= scan_q + 1'b1;
        if (scan_q + 1'b1 == end_o) state_q <= StRange;
      end
      StRange: begin
        if (!scanning_q) begin
          state_q <= StIssue;
          dlo_new_q <= {1'b0, dmin_q};
          slo_new_q <= {1'b0, smin_q};
          if (dend <= 30'(1 << LOG_ACC)) dhi_new_q <= (LOG_ACC + 1)'(dend);
          if (send <= 30'(1 << LOG_ACC)) shi_new_q <= (LOG_ACC + 1)'(send);
        end
      end
      default: begin
        if (ready_o) state_q <= StIdle;
      end
    endcase
    if (ready_o) offered_q <= 1'b0;
    else if (go) offered_q <= 1'b1;
    if (rst_i) begin
      state_q <= StIdle;
      offered_q <= 1'b0;
      scanning_q <= 1'b0;
    end
  end

  // ---- the order of retiring ----
  logic retire;
  assign retire = valid_q[head_q] && done_q[head_q] && !(push_prev_q[head_q] && prev_full_i) &&
                  !(push_next_q[head_q] && next_full_i);
  assign start_o = go;
  assign engine_o = engine;
  assign retire_o = retire;
  assign prev_push_o = retire && push_prev_q[head_q];
  assign next_push_o = retire && push_next_q[head_q];
  assign finish_o = retire && finish_q[head_q];
  assign busy_o = valid_q != '0 || valid_i;
  assign wait_prev_o = state_q == StIssue && !offered_q && pop_prev && !prev_token_i;
  assign wait_next_o = state_q == StIssue && !offered_q && pop_next && !next_token_i;
  assign wait_hazard_o = (state_q == StIssue && !offered_q && tokens && (clash || uop_clash)) ||
                         (state_q == StIdle && valid_i && uop_clash);

  // An engine is done with its oldest instruction.
  logic [Slots-1:0] finished;
  logic [3:0] done;
  assign done = {alu_done_i, gemm_done_i, acc_done_i, uop_done_i};
  always_comb begin
    logic [3:0] pending;
    logic [2:0] n;
    finished = '0;
    pending = done;
    for (int unsigned k = 0; k < Slots; k++) begin
      n = head_q + 3'(k);
      if (valid_q[n] && !done_q[n] && pending[engine_q[n]]) begin
        finished[n] = 1'b1;
        pending[engine_q[n]] = 1'b0;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      valid_q <= '0;
      done_q <= '0;
      head_q <= '0;
      tail_q <= '0;
    end else begin
      done_q <= done_q | finished;
      if (retire) begin
        valid_q[head_q] <= 1'b0;
        head_q <= head_q + 1'b1;
      end
      if (go) begin
        valid_q[tail_q] <= 1'b1;
        done_q[tail_q] <= !(loads || steps);
        tail_q <= tail_q + 1'b1;
      end
    end
    if (go) begin
      engine_q[tail_q] <= engine;
      has_dst_q[tail_q] <= (loads && is_acc) || steps;
      has_src_q[tail_q] <= uses_src && steps;
      has_uop_q[tail_q] <= (loads && !is_acc) || steps;
      push_prev_q[tail_q] <= push_prev;
      push_next_q[tail_q] <= push_next;
      finish_q[tail_q] <= is_finish;
      dlo_q[tail_q] <= dlo_new_q;
      dhi_q[tail_q] <= dhi_new_q;
      slo_q[tail_q] <= slo_new_q;
      shi_q[tail_q] <= shi_new_q;
      ulo_q[tail_q] <= ulo;
      uhi_q[tail_q] <= uhi;
    end
  end

  logic unused;
  assign unused = ^{insn_i, scan_uop_i};

  always_ff @(posedge clk_i) begin
    if (!rst_i && go) assert (!valid_q[tail_q]);
  end
endmodule

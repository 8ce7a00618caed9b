// SPDX-License-Identifier: Apache-2.0
// The compute unit's control. In front, instructions are taken in order and it is found out what each touches, scanning the
// micro-ops of GEMM and ALU; then they enter the window (vta_window), which starts them as soon as nothing is in the way:
// micro-op loads, accumulator loads, GEMM, ALU and resets run side by side. A reset of a single micro-op whose loops go
// through rows that stand together only marks these (vta_acc); any other is the ALU's.
`include "vta_isa.svh"
module vta_compute #(
  parameter int unsigned LOG_UOP = 13,
  parameter int unsigned LOG_INP = 11,
  parameter int unsigned LOG_WGT = 10,
  parameter int unsigned LOG_ACC = 11,
  parameter int unsigned LOG_SLOTS = 4,
  parameter int unsigned AHEAD = 4
) (
  input  logic                         clk_i,
  input  logic                         rst_i,
  input  logic                         halt_i,
  input  logic                         valid_i,
  output logic                         ready_o,       // it enters the window
  input  logic [127:0]                 insn_i,
  output logic                         finish_o,      // FINISH is done
  input  logic                         prev_token_i,  // load to compute
  output logic                         prev_pop_o,
  input  logic                         next_token_i,  // store to compute
  input  logic [LOG_SLOTS-1:0]         next_count_i,  // how many, or at most as many as fit
  output logic                         next_pop_o,
  input  logic                         prev_full_i,   // compute to load
  output logic                         prev_push_o,
  input  logic                         next_full_i,   // compute to store
  output logic                         next_push_o,
  input  logic [AHEAD-1:0]             store_valid_i, // the next stores: see vta_ahead and vta_window
  input  logic [AHEAD-1:0]             store_push_i,
  input  logic [AHEAD*(LOG_ACC+1)-1:0] store_lo_i,
  input  logic [AHEAD*(LOG_ACC+1)-1:0] store_hi_i,
  input  logic [$clog2(AHEAD)-1:0]     store_first_i,
  input  logic                         store_done_i,
  input  logic                         store_pops_i,
  input  logic                         store_pop_i,
  input  logic                         store_token_i,
  output logic                         store_go_o,
  output logic                         busy_o,
  output logic                         wait_prev_o,
  output logic                         wait_next_o,
  output logic                         wait_hazard_o, // an older instruction is in the way
  output logic                         start_o,       // an instruction starts, its tokens taken
  output logic [LOG_SLOTS-1:0]         slot_o,        // which: they enter slots 0, 1, ... in turn
  output logic [2:0]                   engine_o,      // in this one, if it has work: vta_pkg numbers them
  output logic                         retire_o,
  output logic                         range_error_o,
  output logic                         scan_re_o,
  output logic [LOG_UOP-1:0]           scan_addr_o,
  input  logic [31:0]                  scan_uop_i,
  output logic                         uop_valid_o,
  output logic [127:0]                 uop_insn_o,
  input  logic                         uop_ready_i,
  input  logic                         uop_done_i,
  output logic                         acc_valid_o,
  output logic [127:0]                 acc_insn_o,
  input  logic                         acc_ready_i,
  input  logic                         acc_done_i,
  output logic                         gemm_valid_o,
  input  logic                         gemm_ready_i,
  input  logic                         gemm_done_i,
  output logic                         alu_valid_o,
  input  logic                         alu_ready_i,
  input  logic                         alu_done_i,
  output logic                         zero_valid_o,  // reset the rows from zero_first_o to before zero_past_o
  output logic [LOG_ACC:0]             zero_first_o,
  output logic [LOG_ACC:0]             zero_past_o,
  input  logic                         zero_ready_i,
  input  logic                         zero_done_i,
  output logic [LOG_UOP-1:0]           begin_o,
  output logic [LOG_UOP:0]             end_o,
  output logic [13:0]                  iter_out_o,
  output logic [13:0]                  iter_in_o,
  output logic [95:0]                  factors_o,
  output logic [2:0]                   alu_op_o,
  output logic                         use_imm_o,
  output logic [15:0]                  imm_o
);
  localparam int unsigned ScanLimit = 64; // longer kernels count as touching every accumulator

  // ---- decoding ----
  logic [2:0] opcode;
  logic is_load, is_acc, is_gemm, is_alu, is_reset;
  logic loads, steps;  // moves data; has steps
  logic [LOG_UOP-1:0] first;
  logic [LOG_UOP:0] past;
  logic [13:0] outer, inner;
  assign opcode = insn_i[`VTA_INSN_OPCODE];
  assign is_load = opcode == vta_pkg::OpLoad;
  assign is_acc = is_load && insn_i[`VTA_MOVE_MEMORY] != vta_pkg::MemUop;
  assign is_gemm = opcode == vta_pkg::OpGemm;
  assign is_alu = opcode == vta_pkg::OpAlu;
  assign is_reset = is_gemm && insn_i[`VTA_LOOP_RESET];
  assign loads = is_load && insn_i[`VTA_MOVE_X_SIZE] != '0;
  assign first = insn_i[`VTA_LOOP_UOP_BEGIN];
  assign past = insn_i[`VTA_LOOP_UOP_END];
  assign outer = insn_i[`VTA_LOOP_ITER_OUT];
  assign inner = insn_i[`VTA_LOOP_ITER_IN];
  assign steps = (is_gemm || is_alu) && past > {1'b0, first} && outer != '0 && inner != '0;
  assign range_error_o = valid_i && steps && past > {1'b1, {LOG_UOP{1'b0}}};

  localparam logic [2:0] StIdle = 3'd0, StCheck = 3'd1, StScan = 3'd2, StRange = 3'd3, StEnter = 3'd4;

  // Elements that a load writes, at most as many as anything here counts.
  logic [15:0] sram_base;
  logic [16:0] height, width;
  logic [33:0] load_end;
  logic [2:0] state_q;
  assign sram_base = insn_i[`VTA_MOVE_SRAM_BASE];
  // Only in the states that ask for it: it is quicker to simulate.
  always_comb begin
    {height, width} = '0;
    load_end = '0;
    if (is_load && (state_q == StCheck || state_q == StEnter)) begin
      height = 17'(insn_i[`VTA_MOVE_Y_PAD0]) + 17'(insn_i[`VTA_MOVE_Y_SIZE]) + 17'(insn_i[`VTA_MOVE_Y_PAD1]);
      width = 17'(insn_i[`VTA_MOVE_X_PAD0]) + 17'(insn_i[`VTA_MOVE_X_SIZE]) + 17'(insn_i[`VTA_MOVE_X_PAD1]);
      load_end = 34'(height) * 34'(width) + 34'(sram_base);
    end
  end

  // ---- what the instruction at hand touches ----
  localparam logic [LOG_ACC:0] AccDepth = {1'b1, {LOG_ACC{1'b0}}};
  localparam logic [LOG_UOP:0] UopDepth = {1'b1, {LOG_UOP{1'b0}}};
  logic [LOG_UOP:0] ulo, uhi, scan_q, count;
  logic [LOG_ACC:0] dlo_q, dhi_q, slo_q, shi_q;
  logic [LOG_ACC-1:0] dmin_q, dmax_q, smin_q, smax_q, d, s;
  logic scanning_q, first_q, exact_q, uses_src, uop_clear, room, enter;
  logic [29:0] dend, send;
  assign uses_src = is_alu && !insn_i[`VTA_ALU_USE_IMM];
  assign count = past - {1'b0, first};
  always_comb begin
    {ulo, uhi} = '0;
    if (steps) begin
      ulo = {1'b0, first};
      uhi = past;
    end else if (loads && !is_acc) begin
      ulo = (sram_base >= 16'(1 << LOG_UOP)) ? UopDepth : (LOG_UOP + 1)'(sram_base);
      uhi = (load_end > 34'(1 << LOG_UOP)) ? UopDepth : (LOG_UOP + 1)'(load_end);
    end
  end
  assign d = scan_uop_i[`VTA_UOP_DST];
  assign s = LOG_ACC'(scan_uop_i[`VTA_UOP_SRC]);
  // Largest index reached, plus one.
  always_comb begin
    {dend, send} = '0;
    if (state_q == StRange) begin
      dend = 30'(dmax_q) + 30'd1 + (30'(outer) - 30'd1) * 30'(insn_i[`VTA_LOOP_DST_OUT]) +
             (30'(inner) - 30'd1) * 30'(insn_i[`VTA_LOOP_DST_IN]);
      send = 30'(smax_q) + 30'd1 + (30'(outer) - 30'd1) * 30'(insn_i[`VTA_ALU_SRC_OUT]) +
             (30'(inner) - 30'd1) * 30'(insn_i[`VTA_ALU_SRC_IN]);
    end
  end

  assign enter = state_q == StEnter && room;
  assign ready_o = enter;
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
      StIdle: if (valid_i && !halt_i) state_q <= StCheck;
      StCheck: begin
        first_q <= 1'b1;
        exact_q <= 1'b0;
        scan_q <= {1'b0, first};
        {dlo_q, dhi_q, slo_q, shi_q} <= '0;
        if (loads && is_acc) begin
          dlo_q <= (sram_base >= 16'(1 << LOG_ACC)) ? '0 : (LOG_ACC + 1)'(sram_base);
          dhi_q <= (load_end <= 34'(1 << LOG_ACC)) ? (LOG_ACC + 1)'(load_end) : AccDepth;
        end
        if (steps) dhi_q <= AccDepth;
        if (steps && uses_src) shi_q <= AccDepth;
        if (!steps) state_q <= StEnter;
        else if (uop_clear) state_q <= (count <= (LOG_UOP + 1)'(ScanLimit)) ? StScan : StEnter;
      end
      StScan: begin
        scan_q <= scan_q + 1'b1;
        if (scan_q + 1'b1 == past) state_q <= StRange;
      end
      StRange: begin
        if (!scanning_q) begin
          state_q <= StEnter;
          dlo_q <= {1'b0, dmin_q};
          exact_q <= dend <= 30'(1 << LOG_ACC);
          if (dend <= 30'(1 << LOG_ACC)) dhi_q <= (LOG_ACC + 1)'(dend);
          if (uses_src) slo_q <= {1'b0, smin_q};
          if (uses_src && send <= 30'(1 << LOG_ACC)) shi_q <= (LOG_ACC + 1)'(send);
        end
      end
      default: if (room) state_q <= StIdle;
    endcase
    if (rst_i) begin
      state_q <= StIdle;
      scanning_q <= 1'b0;
    end
  end

  // ---- the window ----
  logic start, window_busy, uop_held_q, acc_held_q;
  logic [2:0] engine;
  logic [4:0] offer;
  logic zeroes; // the reset is of rows that stand together
  assign zeroes = state_q == StEnter && is_reset && exact_q && count == (LOG_UOP + 1)'(1) &&
                  (inner == 14'd1 || insn_i[`VTA_LOOP_DST_IN] == LOG_ACC'(1)) &&
                  (outer == 14'd1 || 16'(insn_i[`VTA_LOOP_DST_OUT]) == 16'(inner));
  logic [127:0] insn;
  always_comb begin
    engine = vta_pkg::EngGemm;
    if (is_load) engine = is_acc ? vta_pkg::EngAcc : vta_pkg::EngUop;
    else if (zeroes) engine = vta_pkg::EngZero;
    else if (is_alu || is_reset) engine = vta_pkg::EngAlu;
  end
  vta_window #(
    .LOG_UOP(LOG_UOP), .LOG_ACC(LOG_ACC), .LOG_SLOTS(LOG_SLOTS), .AHEAD(AHEAD)
  ) u_window (
    .clk_i, .rst_i, .halt_i, .valid_i(state_q == StEnter), .ready_o(room), .insn_i, .engine_i(engine),
    .works_i(loads || steps), .dlo_i(dlo_q), .dhi_i(dhi_q), .slo_i(slo_q), .shi_i(shi_q),
    .ulo_i(zeroes ? '0 : ulo), .uhi_i(zeroes ? '0 : uhi), // that micro-op has been read
    .check_i(valid_i && (state_q == StIdle || state_q == StCheck)), .uop_clear_o(uop_clear),
    .start_o(start), .slot_o, .insn_o(insn), .engine_o,
    .dlo_o(zero_first_o), .dhi_o(zero_past_o), .offer_o(offer),
    .free_i({zero_ready_i, alu_ready_i, gemm_ready_i, !acc_held_q, !uop_held_q}),
    .done_i({zero_done_i, alu_done_i, gemm_done_i, acc_done_i, uop_done_i}), .prev_token_i, .prev_pop_o, .next_token_i,
    .next_count_i, .next_pop_o, .prev_full_i, .prev_push_o, .next_full_i, .next_push_o, .store_valid_i, .store_push_i,
    .store_lo_i, .store_hi_i, .store_first_i, .store_done_i, .store_pops_i, .store_pop_i, .store_token_i, .store_go_o,
    .busy_o(window_busy), .wait_prev_o, .wait_next_o, .wait_hazard_o, .retire_o, .finish_o
  );
  assign start_o = start;
  assign busy_o = window_busy || valid_i;

  // The instruction that starts. A load engine takes it only when its last request is out, and is shown it until then.
  logic [127:0] uop_insn_q, acc_insn_q;
  assign uop_valid_o = uop_held_q;
  assign acc_valid_o = acc_held_q;
  assign uop_insn_o = uop_insn_q;
  assign acc_insn_o = acc_insn_q;
  always_ff @(posedge clk_i) begin
    if (offer[vta_pkg::EngUop]) uop_insn_q <= insn;
    if (offer[vta_pkg::EngAcc]) acc_insn_q <= insn;
    if (rst_i) begin
      uop_held_q <= 1'b0;
      acc_held_q <= 1'b0;
    end else begin
      uop_held_q <= offer[vta_pkg::EngUop] || (uop_held_q && !uop_ready_i);
      acc_held_q <= offer[vta_pkg::EngAcc] || (acc_held_q && !acc_ready_i);
    end
  end
  logic starts_alu, starts_gemm;
  logic [15:0] src_out, src_in;
  assign gemm_valid_o = offer[vta_pkg::EngGemm];
  assign alu_valid_o = offer[vta_pkg::EngAlu];
  assign zero_valid_o = offer[vta_pkg::EngZero];
  assign starts_gemm = insn[`VTA_INSN_OPCODE] == vta_pkg::OpGemm;
  assign starts_alu = !starts_gemm;
  assign begin_o = insn[`VTA_LOOP_UOP_BEGIN];
  assign end_o = insn[`VTA_LOOP_UOP_END];
  assign iter_out_o = insn[`VTA_LOOP_ITER_OUT];
  assign iter_in_o = insn[`VTA_LOOP_ITER_IN];
  assign src_out = starts_alu ? 16'(insn[`VTA_ALU_SRC_OUT]) : 16'(insn[`VTA_GEMM_SRC_OUT]);
  assign src_in = starts_alu ? 16'(insn[`VTA_ALU_SRC_IN]) : 16'(insn[`VTA_GEMM_SRC_IN]);
  assign factors_o = {16'(insn[`VTA_GEMM_WGT_IN]),
                      16'(insn[`VTA_GEMM_WGT_OUT]), src_in, src_out,
                      16'(insn[`VTA_LOOP_DST_IN]), 16'(insn[`VTA_LOOP_DST_OUT])};
  assign alu_op_o = starts_gemm ? vta_pkg::AluZero : insn[`VTA_ALU_ALU_OP];
  assign use_imm_o = insn[`VTA_ALU_USE_IMM];
  assign imm_o = insn[`VTA_ALU_IMM];

  logic unused;
  assign unused = ^{insn_i, scan_uop_i, insn};

  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      assert (state_q <= StEnter);
      if (state_q == StScan) assert (scan_q < past);
      if (enter) assert (!steps || dlo_q < dhi_q);
      if (uop_ready_i) assert (uop_held_q);
      if (acc_ready_i) assert (acc_held_q);
    end
  end
endmodule

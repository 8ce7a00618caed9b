// SPDX-License-Identifier: Apache-2.0
// The next few stores between their queue and the store unit, with the OUT rows that each reads, for compute to see.
`include "vta_isa.svh"
module vta_ahead #(
  parameter int unsigned LOG_DEPTH = 11, // of OUT
  parameter int unsigned LOG_SLOTS = 2
) (
  input  logic                                     clk_i,
  input  logic                                     rst_i,
  input  logic                                     valid_i,
  output logic                                     ready_o,
  input  logic [127:0]                             insn_i,
  output logic                                     valid_o,
  input  logic                                     ready_i, // the store is done
  output logic [127:0]                             insn_o,
  output logic [(1<<LOG_SLOTS)-1:0]                valid_each_o, // by slot, oldest in first_o
  output logic [(1<<LOG_SLOTS)-1:0]                push_each_o,
  output logic [(1<<LOG_SLOTS)*(LOG_DEPTH+1)-1:0]  lo_each_o,    // from here
  output logic [(1<<LOG_SLOTS)*(LOG_DEPTH+1)-1:0]  hi_each_o,    // to before here
  output logic [LOG_SLOTS-1:0]                     first_o
);
  localparam int unsigned Slots = 1 << LOG_SLOTS;
  localparam int unsigned Width = LOG_DEPTH + 1;
  localparam logic [LOG_DEPTH:0] Depth = {1'b1, {LOG_DEPTH{1'b0}}};

  logic [127:0] insn_q [0:Slots-1];
  logic [Slots-1:0] valid_q, push_q;
  logic [Slots*Width-1:0] lo_q, hi_q;
  logic [LOG_SLOTS-1:0] first_q, last_q;
  logic [15:0] sram_base;
  logic [33:0] past;
  assign sram_base = insn_i[`VTA_MOVE_SRAM_BASE];
  assign past = 34'(insn_i[`VTA_MOVE_X_SIZE]) * 34'(insn_i[`VTA_MOVE_Y_SIZE]) + 34'(sram_base);
  assign ready_o = !valid_q[last_q];
  assign valid_o = valid_q[first_q];
  assign insn_o = insn_q[first_q];
  assign valid_each_o = valid_q;
  assign push_each_o = push_q;
  assign lo_each_o = lo_q;
  assign hi_each_o = hi_q;
  assign first_o = first_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      valid_q <= '0;
      first_q <= '0;
      last_q <= '0;
    end else begin
      if (valid_o && ready_i) begin
        valid_q[first_q] <= 1'b0;
        first_q <= first_q + 1'b1;
      end
      if (valid_i && ready_o) begin
        valid_q[last_q] <= 1'b1;
        last_q <= last_q + 1'b1;
      end
    end
    if (valid_i && ready_o) begin
      insn_q[last_q] <= insn_i;
      push_q[last_q] <= insn_i[`VTA_INSN_PUSH_PREV];
      lo_q[32'(last_q)*Width +: Width] <= (sram_base >= 16'(1 << LOG_DEPTH)) ? Depth : Width'(sram_base);
      hi_q[32'(last_q)*Width +: Width] <= (past > 34'(1 << LOG_DEPTH)) ? Depth : Width'(past);
    end
  end

  logic unused;
  assign unused = ^insn_i;

  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      assert (valid_q[first_q] || valid_q == '0);
    end
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// The load unit: starts LOAD INP and LOAD WGT in order, lets the two engines run side by side, and gives tokens in order.
`include "vta_isa.svh"
module vta_load #(
  parameter int unsigned LOG_BUS = 3,
  parameter int unsigned LOG_INP_BYTES = 4,
  parameter int unsigned LOG_WGT_BYTES = 8,
  parameter int unsigned LOG_INP = 11,
  parameter int unsigned LOG_WGT = 10
) (
  input  logic                         clk_i,
  input  logic                         rst_i,
  input  logic                         halt_i,
  input  logic [31:0]                  inp_base_i,
  input  logic [31:0]                  wgt_base_i,
  input  logic                         valid_i,
  output logic                         ready_o,
  input  logic [127:0]                 insn_i,
  input  logic                         token_i,      // compute to load
  output logic                         token_pop_o,
  input  logic                         full_i,       // load to compute
  output logic                         token_push_o,
  output logic                         busy_o,
  output logic                         wait_token_o,
  output logic                         start_o,     // an instruction leaves the head of the queue, its token taken
  output logic                         retire_o,    // one is completely in the memory, in order
  output logic                         inp_done_o,
  output logic                         inp_starved_o,
  output logic                         wgt_done_o,
  output logic                         wgt_starved_o,
  output logic [1:0]                   range_error_o, // WGT, INP
  output logic [1:0]                   bus_error_o,
  output logic                         inp_ar_valid_o,
  input  logic                         inp_ar_ready_i,
  output logic [31:0]                  inp_ar_addr_o,
  output logic [7:0]                   inp_ar_len_o,
  input  logic                         inp_r_valid_i,
  output logic                         inp_r_ready_o,
  output logic                         wgt_ar_valid_o,
  input  logic                         wgt_ar_ready_i,
  output logic [31:0]                  wgt_ar_addr_o,
  output logic [7:0]                   wgt_ar_len_o,
  input  logic                         wgt_r_valid_i,
  output logic                         wgt_r_ready_o,
  input  logic [(8<<LOG_BUS)-1:0]      r_data_i,
  input  logic                         r_error_i,
  input  logic                         r_last_i,
  output logic                         inp_we_o,
  output logic [LOG_INP-1:0]           inp_waddr_o,
  output logic [(8<<LOG_INP_BYTES)-1:0] inp_wdata_o,
  output logic                         wgt_we_o,
  output logic [LOG_WGT-1:0]           wgt_waddr_o,
  output logic [(8<<LOG_WGT_BYTES)-1:0] wgt_wdata_o
);
  logic clk; // the gated clock: see the end
  logic pop_next, is_wgt, nothing, can_start, start, slot_ready;
  logic inp_valid, inp_ready, wgt_valid, wgt_ready, inp_done, wgt_done, inp_busy, wgt_busy;
  assign pop_next = insn_i[`VTA_INSN_POP_NEXT];
  assign is_wgt = insn_i[`VTA_MOVE_MEMORY] == vta_pkg::MemWgt;
  assign nothing = insn_i[`VTA_MOVE_X_SIZE] == '0;

  // An engine takes an instruction only when its last request is out, so it is offered it before it is taken from the
  // queue; the token is consumed with the first offer.
  logic started_q;
  assign can_start = valid_i && !halt_i && (!pop_next || token_i) && slot_ready;
  assign start = can_start && !started_q;
  assign inp_valid = (started_q || can_start) && !nothing && !is_wgt;
  assign wgt_valid = (started_q || can_start) && !nothing && is_wgt;
  assign ready_o = nothing ? start : ((inp_valid && inp_ready) || (wgt_valid && wgt_ready));
  assign token_pop_o = start && pop_next;
  always_ff @(posedge clk) begin
    if (rst_i) started_q <= 1'b0;
    else if (ready_o) started_q <= 1'b0;
    else if (start) started_q <= 1'b1;
  end

  vta_load_engine #(
    .LOG_BUS(LOG_BUS), .LOG_ELEM(LOG_INP_BYTES), .LOG_ALT(LOG_INP_BYTES), .LOG_DEPTH(LOG_INP)
  ) u_inp (
    .clk_i, .rst_i, .base_i(inp_base_i), .valid_i(inp_valid), .ready_o(inp_ready), .alt_i(1'b0), .insn_i,
    .done_o(inp_done), .busy_o(inp_busy), .starved_o(inp_starved_o), .range_error_o(range_error_o[0]),
    .bus_error_o(bus_error_o[0]), .r_error_i,
    .ar_valid_o(inp_ar_valid_o), .ar_ready_i(inp_ar_ready_i), .ar_addr_o(inp_ar_addr_o), .ar_len_o(inp_ar_len_o),
    .r_valid_i(inp_r_valid_i), .r_ready_o(inp_r_ready_o), .r_data_i, .r_last_i,
    .we_o(inp_we_o), .wready_i(1'b1), .walt_o(unused_alt[0]), .waddr_o(inp_waddr_o), .wdata_o(inp_wdata_o)
  );
  vta_load_engine #(
    .LOG_BUS(LOG_BUS), .LOG_ELEM(LOG_WGT_BYTES), .LOG_ALT(LOG_WGT_BYTES), .LOG_DEPTH(LOG_WGT)
  ) u_wgt (
    .clk_i, .rst_i, .base_i(wgt_base_i), .valid_i(wgt_valid), .ready_o(wgt_ready), .alt_i(1'b0), .insn_i,
    .done_o(wgt_done), .busy_o(wgt_busy), .starved_o(wgt_starved_o), .range_error_o(range_error_o[1]),
    .bus_error_o(bus_error_o[1]), .r_error_i,
    .ar_valid_o(wgt_ar_valid_o), .ar_ready_i(wgt_ar_ready_i), .ar_addr_o(wgt_ar_addr_o), .ar_len_o(wgt_ar_len_o),
    .r_valid_i(wgt_r_valid_i), .r_ready_o(wgt_r_ready_o), .r_data_i, .r_last_i,
    .we_o(wgt_we_o), .wready_i(1'b1), .walt_o(unused_alt[1]), .waddr_o(wgt_waddr_o), .wdata_o(wgt_wdata_o)
  );
  logic [1:0] unused_alt;

  // Instructions that run, oldest first: {push, no engine, wgt}.
  logic [2:0] oldest;
  logic [3:0] slot_count;
  logic oldest_valid, retire, inp_ok, wgt_ok;
  vta_fifo #(
    .WIDTH(3),
    .LOG_DEPTH(3)
  ) u_order (
    .clk_i(clk), .rst_i, .valid_i(start), .ready_o(slot_ready), .data_i({insn_i[`VTA_INSN_PUSH_NEXT], nothing, is_wgt}),
    .valid_o(oldest_valid), .ready_i(retire), .data_o(oldest), .count_o(slot_count)
  );
  // Instructions that an engine has finished and that wait for older ones of the other.
  logic [3:0] inp_done_q, wgt_done_q;
  assign inp_ok = inp_done_q != '0;
  assign wgt_ok = wgt_done_q != '0;
  assign retire = oldest_valid && (oldest[1] || (oldest[0] ? wgt_ok : inp_ok)) && !(oldest[2] && full_i);
  assign token_push_o = retire && oldest[2];
  always_ff @(posedge clk) begin
    if (rst_i) begin
      inp_done_q <= '0;
      wgt_done_q <= '0;
    end else begin
      inp_done_q <= inp_done_q + 4'(inp_done) - 4'(retire && !oldest[1] && !oldest[0]);
      wgt_done_q <= wgt_done_q + 4'(wgt_done) - 4'(retire && !oldest[1] && oldest[0]);
    end
  end

  assign busy_o = oldest_valid || inp_busy || wgt_busy;
  assign start_o = start;
  assign retire_o = retire;
  assign inp_done_o = inp_done;
  assign wgt_done_o = wgt_done;
  assign wait_token_o = valid_i && !started_q && pop_next && !token_i;
  logic unused;
  assign unused = ^{slot_count, unused_alt};

  always_ff @(posedge clk) begin
    if (!rst_i) begin
      assert (!(inp_valid && wgt_valid));
      if (retire) assert (inp_done_q <= 4'd8 && wgt_done_q <= 4'd8);
      if (token_pop_o) assert (token_i);
      if (token_push_o) assert (!full_i);
    end
  end

  // Whether anything changes with the next edge.
  logic changes;
  assign changes = rst_i || start || ready_o || inp_done || wgt_done || retire;
  vta_gate u_gate (.clk_i, .en_i(changes), .clk_o(clk));
endmodule

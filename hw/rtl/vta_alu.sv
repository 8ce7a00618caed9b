// SPDX-License-Identifier: Apache-2.0
// ALU: a micro-op a cycle unless the accumulator's banks make it wait. Stages as in GEMM: 0 loop, 1 micro-op, 3 ACC
// addresses, 4 operation, 5 write; results of the two steps before are forwarded to both operands. Up to three
// instructions with immediates over the same rows are one pass (see the chain below).
`include "vta_isa.svh"
module vta_alu #(
  parameter int unsigned LANES = 16,
  parameter int unsigned LOG_UOP = 13,
  parameter int unsigned LOG_INP = 11,
  parameter int unsigned LOG_ACC = 11
) (
  input  logic                 clk_i,
  input  logic                 rst_i,
  input  logic                 valid_i,
  output logic                 ready_o,
  input  logic [LOG_UOP-1:0]   begin_i,
  input  logic [LOG_UOP:0]     end_i,
  input  logic [13:0]          iter_out_i,
  input  logic [13:0]          iter_in_i,
  input  logic [95:0]          factors_i,
  input  logic [2:0]           op_i,
  input  logic                 use_imm_i,
  input  logic [15:0]          imm_i,
  output logic                 busy_o,
  output logic                 done_o,
  output logic                 step_o,      // a micro-op went to ACC
  output logic                 stall_o,     // one waited for a bank
  output logic                 range_error_o,
  output logic                 uop_re_o,
  output logic [LOG_UOP-1:0]   uop_addr_o,
  input  logic [31:0]          uop_i,
  output logic                 dst_re_o,
  output logic [LOG_ACC-1:0]   dst_raddr_o,
  input  logic                 dst_grant_i, // both reads happen in this cycle
  input  logic [LANES*32-1:0]  dst_i,
  output logic                 src_re_o,
  output logic [LOG_ACC-1:0]   src_raddr_o,
  input  logic [LANES*32-1:0]  src_i,
  output logic                 acc_we_o,
  output logic [LOG_ACC-1:0]   acc_waddr_o,
  output logic [LANES*32-1:0]  acc_wdata_o
);
  logic clk; // the gated clock: see the end
  // Instructions with immediates that follow one another are fused while the one before them runs: same micro-op, same
  // loop, and no row twice (one micro-op, one loop, a step that is not 0), so that row by row gives the same result. Only the
  // first may shift or multiply.
  logic c_valid_q, c_whole, c_free, c_take, fits, index_ready;
  logic [1:0] c_count_q, count0;
  logic [LOG_UOP-1:0] c_begin_q;
  logic [LOG_UOP:0] c_end_q;
  logic [13:0] c_out_q, c_in_q;
  logic [95:0] c_factors_q;
  logic [59:0] c_ops_q; // three times operation, use_imm, immediate; the first lowest
  logic single;
  assign single = end_i == {1'b0, begin_i} + 1'b1 && use_imm_i && op_i != vta_pkg::AluZero &&
                  ((iter_out_i == 14'd1 && factors_i[31:16] != '0) || (iter_in_i == 14'd1 && factors_i[15:0] != '0));
  always_comb begin
    fits = 1'b0;
    if (c_valid_q && valid_i)
      fits = single && c_ops_q[16] && c_ops_q[19:17] != vta_pkg::AluZero && c_count_q != 2'd3 && begin_i == c_begin_q &&
             end_i == c_end_q && iter_out_i == c_out_q && iter_in_i == c_in_q && factors_i[31:0] == c_factors_q[31:0] &&
             op_i != vta_pkg::AluShr && op_i != vta_pkg::AluMul;
  end
  assign c_whole = c_valid_q && !fits; // a chain goes on as long as instructions come that fit
  assign c_free = !c_valid_q || (index_ready && c_whole);
  assign c_take = valid_i && ready_o;
  assign ready_o = c_free || fits;
  always_ff @(posedge clk) begin
    if (rst_i) c_valid_q <= 1'b0;
    else if (c_free) c_valid_q <= valid_i;
    if (c_take && c_free) begin
      c_count_q <= 2'd1;
      c_begin_q <= begin_i;
      c_end_q <= end_i;
      c_out_q <= iter_out_i;
      c_in_q <= iter_in_i;
      c_factors_q <= factors_i;
      c_ops_q <= {40'd0, op_i, use_imm_i, imm_i};
    end else if (c_take) begin
      c_count_q <= c_count_q + 1'b1;
      if (c_count_q == 2'd1) c_ops_q[39:20] <= {op_i, use_imm_i, imm_i};
      else c_ops_q[59:40] <= {op_i, use_imm_i, imm_i};
    end
  end

  // 0: the loops
  logic v0, last0, move;
  logic [27:0] doff0, soff0, unused_woff;
  logic [59:0] payload0;
  vta_index #(
    .LOG_UOP(LOG_UOP),
    .PAYLOAD(62)
  ) u_index (
    .clk_i(clk), .rst_i, .valid_i(c_whole), .ready_o(index_ready), .begin_i(c_begin_q), .end_i(c_end_q),
    .iter_out_i(c_out_q), .iter_in_i(c_in_q), .factors_i(c_factors_q), .payload_i({c_count_q, c_ops_q}), .step_i(move),
    .valid_o(v0), .last_o(last0), .uop_o(uop_addr_o), .dst_o(doff0), .src_o(soff0), .wgt_o(unused_woff),
    .payload_o({count0, payload0})
  );

  // 1: the micro-op is there; 2: ACC addresses
  logic v1_q, last1_q, v3_q, last3_q, out_of_range, use_src1;
  logic [27:0] doff1_q, soff1_q, d1, s1;
  logic [59:0] payload1_q, payload3_q;
  logic [1:0] count1_q, count3_q, count4_q, count5_q;
  logic [LOG_ACC-1:0] d3_q, s3_q;
  assign use_src1 = !payload1_q[16] && payload1_q[19:17] != vta_pkg::AluZero;
  assign d1 = doff1_q + 28'(uop_i[`VTA_UOP_DST]);
  assign s1 = soff1_q + 28'(uop_i[`VTA_UOP_SRC]);
  assign out_of_range = d1[27:LOG_ACC] != '0 || (use_src1 && s1[27:LOG_ACC] != '0);
  assign move = !v3_q || dst_grant_i;
  assign uop_re_o = v0 && move;
  assign dst_re_o = v3_q;
  assign dst_raddr_o = d3_q;
  assign src_re_o = v3_q && !payload3_q[16] && payload3_q[19:17] != vta_pkg::AluZero;
  assign src_raddr_o = s3_q;
  assign stall_o = v3_q && !dst_grant_i;
  assign step_o = v3_q && dst_grant_i;

  // 4: the operands; 5: the result
  logic v4_q, last4_q, v5_q, last5_q, v6_q;
  logic [5:3] bad_q;
  logic failed_q;
  logic [LOG_ACC-1:0] d4_q, s4_q, d5_q, d6_q;
  logic [59:0] payload4_q;
  always_ff @(posedge clk) begin
    if (rst_i) begin
      {v1_q, v3_q, v4_q, v5_q, v6_q} <= '0;
      bad_q <= '0;
      failed_q <= 1'b0;
    end else begin
      bad_q <= {bad_q[4:3], move && v1_q && out_of_range};
      failed_q <= failed_q || bad_q[5];
      if (move) begin
        v1_q <= v0;
        v3_q <= v1_q && !out_of_range;
      end
      v4_q <= step_o;
      v5_q <= v4_q;
      v6_q <= v5_q;
    end
    if (move) begin
      last1_q <= last0;
      doff1_q <= doff0;
      soff1_q <= soff0;
      payload1_q <= payload0;
      count1_q <= count0;
      count3_q <= count1_q;
      last3_q <= last1_q;
      d3_q <= d1[LOG_ACC-1:0];
      s3_q <= s1[LOG_ACC-1:0];
      payload3_q <= payload1_q;
    end
    last4_q <= last3_q;
    count4_q <= count3_q;
    count5_q <= count4_q;
    last5_q <= last4_q;
    payload4_q <= payload3_q;
    d4_q <= d3_q;
    s4_q <= s3_q;
    d5_q <= d4_q;
    d6_q <= d5_q;
  end

  // A result is two cycles on its way to memory, whether or not micro-ops waited in between.
  logic unused;
  assign unused = ^unused_woff;
  for (genvar l = 0; l < LANES; l++) begin : gen_lane
    vta_alu_lane u_lane (
      .clk_i(clk), .valid_i(v4_q), .count_i(count4_q), .ops_i(payload4_q), .x_i(dst_i[l*32 +: 32]), .y_i(src_i[l*32 +: 32]),
      .x_last_i(v5_q && d5_q == d4_q), .x_before_i(v6_q && d6_q == d4_q), .y_last_i(v5_q && d5_q == s4_q),
      .y_before_i(v6_q && d6_q == s4_q), .keep_i(v5_q), .result_o(acc_wdata_o[l*32 +: 32])
    );
  end
  assign acc_we_o = v5_q;
  assign acc_waddr_o = d5_q;
  // One pulse for each instruction of a chain.
  logic [3:0] ended_q;
  assign done_o = ended_q != '0;
  always_ff @(posedge clk) begin
    if (rst_i) ended_q <= '0;
    else ended_q <= ended_q + ((v5_q && last5_q) ? 4'(count5_q) : '0) - 4'(done_o);
  end
  assign range_error_o = failed_q && ended_q == '0; // of the oldest instruction
  assign busy_o = c_valid_q || v0 || v1_q || v3_q || v4_q || v5_q;

  // Instructions under way, for the assertions alone.
  logic [4:0] under_way_q;
  always_ff @(posedge clk) begin
    under_way_q <= rst_i ? '0 : under_way_q + 5'(c_take) - 5'(done_o);
  end
  always_ff @(posedge clk) begin
    if (!rst_i) begin
      if (c_take) assert (c_free || c_count_q != 2'd3);
      if (v5_q) assert (count5_q != '0);
      if (busy_o || done_o) assert (under_way_q != '0);
    end
  end

  // Whether anything changes with the next edge.
  logic changes;
  assign changes = rst_i || valid_i || busy_o || v6_q || bad_q != '0 || done_o;
  vta_gate u_gate (.clk_i, .en_i(changes), .clk_o(clk));
endmodule

// SPDX-License-Identifier: Apache-2.0
// GEMM: a micro-op a cycle, never stalled. Stages: 0 loop, 1 micro-op, 2 INP and WGT address, 3 dot products and ACC
// address, 4 addition, 5 write. Results of the two steps before are forwarded, so any order of micro-ops is exact.
`include "vta_isa.svh"
module vta_gemm #(
  parameter int unsigned BATCH = 1,
  parameter int unsigned BLOCK_IN = 16,
  parameter int unsigned BLOCK_OUT = 16,
  parameter int unsigned LOG_UOP = 13,
  parameter int unsigned LOG_INP = 11,
  parameter int unsigned LOG_WGT = 10,
  parameter int unsigned LOG_ACC = 11
) (
  input  logic                            clk_i,
  input  logic                            rst_i,
  input  logic                            valid_i,
  output logic                            ready_o,
  input  logic [LOG_UOP-1:0]              begin_i,
  input  logic [LOG_UOP:0]                end_i,
  input  logic [13:0]                     iter_out_i,
  input  logic [13:0]                     iter_in_i,
  input  logic [95:0]                     factors_i,
  output logic                            busy_o,
  output logic                            done_o,
  output logic                            step_o,  // a micro-op entered
  output logic                            range_error_o, // of the oldest instruction: it comes when its result would
  output logic                            uop_re_o,
  output logic [LOG_UOP-1:0]              uop_addr_o,
  input  logic [31:0]                     uop_i,
  output logic                            inp_re_o,
  output logic [LOG_INP-1:0]              inp_addr_o,
  input  logic [BATCH*BLOCK_IN*8-1:0]     inp_i,
  output logic                            wgt_re_o,
  output logic [LOG_WGT-1:0]              wgt_addr_o,
  input  logic [BLOCK_OUT*BLOCK_IN*8-1:0] wgt_i,
  output logic                            acc_re_o,
  output logic [LOG_ACC-1:0]              acc_raddr_o,
  input  logic [BATCH*BLOCK_OUT*32-1:0]   acc_i,
  output logic                            acc_we_o,
  output logic [LOG_ACC-1:0]              acc_waddr_o,
  output logic [BATCH*BLOCK_OUT*32-1:0]   acc_wdata_o
);
  localparam int unsigned AccBits = BATCH * BLOCK_OUT * 32;

  // 0: the loops
  logic v0, last0, unused_payload;
  logic [27:0] doff0, soff0, woff0;
  vta_index #(
    .LOG_UOP(LOG_UOP),
    .PAYLOAD(1)
  ) u_index (
    .clk_i, .rst_i, .valid_i, .ready_o, .begin_i, .end_i, .iter_out_i, .iter_in_i, .factors_i, .payload_i(1'b0),
    .step_i(1'b1), .valid_o(v0), .last_o(last0), .uop_o(uop_addr_o), .dst_o(doff0), .src_o(soff0), .wgt_o(woff0),
    .payload_o(unused_payload)
  );
  assign uop_re_o = v0;
  assign step_o = v0;

  // 1: the micro-op is there
  logic v1_q, last1_q;
  logic [27:0] doff1_q, soff1_q, woff1_q, d1, s1, w1;
  logic out_of_range;
  assign d1 = doff1_q + 28'(uop_i[`VTA_UOP_DST]);
  assign s1 = soff1_q + 28'(uop_i[`VTA_UOP_SRC]);
  assign w1 = woff1_q + 28'(uop_i[`VTA_UOP_WGT]);
  assign out_of_range = d1[27:LOG_ACC] != '0 || s1[27:LOG_INP] != '0 || w1[27:LOG_WGT] != '0;

  // 2: INP and WGT addresses; 3: their data; 4: dot products and old sums; 5: new sums
  logic v2_q, last2_q, v3_q, last3_q, v4_q, last4_q, v5_q, last5_q, v6_q;
  logic [LOG_ACC-1:0] d2_q, d3_q, d4_q, d5_q, d6_q;
  logic [5:2] bad_q;
  logic [LOG_INP-1:0] s2_q;
  logic [LOG_WGT-1:0] w2_q;
  assign inp_re_o = v2_q;
  assign wgt_re_o = v2_q;
  assign inp_addr_o = s2_q;
  assign wgt_addr_o = w2_q;
  assign acc_re_o = v3_q;
  assign acc_raddr_o = d3_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      {v1_q, v2_q, v3_q, v4_q, v5_q, v6_q} <= '0;
      bad_q <= '0;
    end else begin
      bad_q <= {bad_q[4:2], v1_q && out_of_range};
      v1_q <= v0;
      v2_q <= v1_q && !out_of_range;
      v3_q <= v2_q;
      v4_q <= v3_q;
      v5_q <= v4_q;
      v6_q <= v5_q;
    end
    {last1_q, last2_q, last3_q, last4_q, last5_q} <= {last0, last1_q, last2_q, last3_q, last4_q};
    doff1_q <= doff0;
    soff1_q <= soff0;
    woff1_q <= woff0;
    d2_q <= d1[LOG_ACC-1:0];
    s2_q <= s1[LOG_INP-1:0];
    w2_q <= w1[LOG_WGT-1:0];
    d3_q <= d2_q;
    d4_q <= d3_q;
    d5_q <= d4_q;
    d6_q <= d5_q;
  end

  logic [AccBits-1:0] dot, sum5_q, sum6_q;
  vta_dot #(
    .BATCH(BATCH), .BLOCK_IN(BLOCK_IN), .BLOCK_OUT(BLOCK_OUT)
  ) u_dot (
    .clk_i, .valid_i(v3_q), .inp_i, .wgt_i, .dot_o(dot)
  );

  always_ff @(posedge clk_i) begin
    if (v4_q) begin
      logic [AccBits-1:0] old;
      old = acc_i;
      if (v6_q && d6_q == d4_q) old = sum6_q;
      if (v5_q && d5_q == d4_q) old = sum5_q;
      for (int unsigned l = 0; l < BATCH * BLOCK_OUT; l++) begin
        sum5_q[l*32 +: 32] <= old[l*32 +: 32] + dot[l*32 +: 32];
      end
    end
    if (v5_q) sum6_q <= sum5_q;
  end
  assign range_error_o = bad_q[5];
  assign acc_we_o = v5_q;
  assign acc_waddr_o = d5_q;
  assign acc_wdata_o = sum5_q;
  assign done_o = v5_q && last5_q;
  assign busy_o = v0 || v1_q || v2_q || v3_q || v4_q || v5_q;

  // Instructions under way, for the assertions alone.
  logic [3:0] under_way_q;
  always_ff @(posedge clk_i) begin
    under_way_q <= rst_i ? '0 : under_way_q + 4'(valid_i && ready_o) - 4'(done_o);
  end
  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      if (busy_o) assert (under_way_q != '0);
    end
  end
endmodule

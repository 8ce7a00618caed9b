// SPDX-License-Identifier: Apache-2.0
// ALU: a micro-op a cycle unless the accumulator's banks make it wait. Stages as in GEMM: 0 loop, 1 micro-op, 3 ACC
// addresses, 4 operation, 5 write; results of the two steps before are forwarded to both operands.
module vta_alu #(
  parameter int unsigned LANES = 16,
  parameter int unsigned LOG_UOP = 13,
  parameter int unsigned LOG_SRC = 11, // width of a micro-op's source index
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
  localparam int unsigned AccBits = LANES * 32;

  // 0: the loops
  logic v0, last0, move;
  logic [27:0] doff0, soff0, unused_woff;
  logic [19:0] payload0;
  vta_index #(
    .LOG_UOP(LOG_UOP),
    .PAYLOAD(20)
  ) u_index (
    .clk_i, .rst_i, .valid_i, .ready_o, .begin_i, .end_i, .iter_out_i, .iter_in_i, .factors_i,
    .payload_i({op_i, use_imm_i, imm_i}), .step_i(move), .valid_o(v0), .last_o(last0), .uop_o(uop_addr_o),
    .dst_o(doff0), .src_o(soff0), .wgt_o(unused_woff), .payload_o(payload0)
  );

  // 1: the micro-op is there; 2: ACC addresses
  logic v1_q, last1_q, v3_q, last3_q, out_of_range, use_src1;
  logic [27:0] doff1_q, soff1_q, d1, s1;
  logic [19:0] payload1_q, payload3_q;
  logic [LOG_ACC-1:0] d3_q, s3_q;
  assign use_src1 = !payload1_q[16] && payload1_q[19:17] != vta_pkg::AluZero;
  assign d1 = doff1_q + 28'(uop_i[LOG_ACC-1:0]);
  assign s1 = soff1_q + 28'(uop_i[LOG_ACC +: LOG_SRC]);
  assign out_of_range = d1[27:LOG_ACC] != '0 || (use_src1 && s1[27:LOG_ACC] != '0);
  assign range_error_o = v1_q && out_of_range;
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
  logic [LOG_ACC-1:0] d4_q, s4_q, d5_q, d6_q;
  logic [19:0] payload4_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      {v1_q, v3_q, v4_q, v5_q, v6_q} <= '0;
    end else begin
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
      last3_q <= last1_q;
      d3_q <= d1[LOG_ACC-1:0];
      s3_q <= s1[LOG_ACC-1:0];
      payload3_q <= payload1_q;
    end
    last4_q <= last3_q;
    last5_q <= last4_q;
    payload4_q <= payload3_q;
    d4_q <= d3_q;
    s4_q <= s3_q;
    d5_q <= d4_q;
    d6_q <= d5_q;
  end

  // A result is two cycles on its way to memory, whether or not micro-ops waited in between.
  logic [AccBits-1:0] x, y, result5_q, result6_q;
  logic [2:0] op;
  assign op = payload4_q[19:17];
  always_comb begin
    x = dst_i;
    if (v6_q && d6_q == d4_q) x = result6_q;
    if (v5_q && d5_q == d4_q) x = result5_q;
    y = src_i;
    if (v6_q && d6_q == s4_q) y = result6_q;
    if (v5_q && d5_q == s4_q) y = result5_q;
    if (payload4_q[16]) y = {LANES{{{16{payload4_q[15]}}, payload4_q[15:0]}}};
  end
  always_ff @(posedge clk_i) begin
    if (v4_q) begin
      for (int unsigned l = 0; l < LANES; l++) begin
        logic [31:0] a, b, r, negative;
        a = x[l*32 +: 32];
        b = y[l*32 +: 32];
        negative = -b;
        case (op)
          vta_pkg::AluMin: r = ($signed(a) < $signed(b)) ? a : b;
          vta_pkg::AluMax: r = ($signed(a) < $signed(b)) ? b : a;
          vta_pkg::AluAdd: r = a + b;
          vta_pkg::AluShr: r = b[31] ? a << negative[4:0] : 32'($signed(a) >>> b[4:0]);
          vta_pkg::AluMul: r = a * b;
          default: r = '0;
        endcase
        result5_q[l*32 +: 32] <= r;
      end
    end
    if (v5_q) result6_q <= result5_q;
  end
  assign acc_we_o = v5_q;
  assign acc_waddr_o = d5_q;
  assign acc_wdata_o = result5_q;
  assign done_o = v5_q && last5_q;
  assign busy_o = v0 || v1_q || v3_q || v4_q || v5_q;
endmodule

// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a lane of the ALU: up to three operations of a chain, in a cycle. There is one shifter and one
// multiplier, for the first; those after it do without. Results of the two steps before are forwarded.
module vta_alu_lane (
  input  logic        clk_i,
  input  logic        valid_i,
  input  logic [1:0]  count_i,    // operations
  input  logic [59:0] ops_i,      // three times operation, use_imm, immediate; the first lowest
  input  logic [31:0] x_i,
  input  logic [31:0] y_i,
  input  logic        x_last_i,   // x is rather the last result
  input  logic        x_before_i, // or the one before it
  input  logic        y_last_i,
  input  logic        y_before_i,
  input  logic        keep_i,     // the last result becomes the one before
  output logic [31:0] result_o
);
  function automatic logic [31:0] combine(input logic [2:0] what, input logic [31:0] a, input logic [31:0] b);
    case (what)
      vta_pkg::AluMin, vta_pkg::AluMax: combine = (($signed(a) < $signed(b)) == (what == vta_pkg::AluMin)) ? a : b;
      vta_pkg::AluAdd: combine = a + b;
      default: combine = '0;
    endcase
  endfunction
  function automatic logic [31:0] shift(input logic [31:0] a, input logic [31:0] b);
    logic [31:0] negative;
    negative = -b;
    shift = b[31] ? a << negative[4:0] : 32'($signed(a) >>> b[4:0]);
  endfunction

  logic [31:0] last_q, before_q;
  assign result_o = last_q;
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      logic [31:0] x, y, r;
      x = x_last_i ? last_q : x_before_i ? before_q : x_i;
      y = ops_i[16] ? {{16{ops_i[15]}}, ops_i[15:0]} : y_last_i ? last_q : y_before_i ? before_q : y_i;
      case (ops_i[19:17])
        vta_pkg::AluShr: r = shift(x, y);
        vta_pkg::AluMul: r = x * y;
        default: r = combine(ops_i[19:17], x, y);
      endcase
      if (count_i >= 2'd2) r = combine(ops_i[39:37], r, {{16{ops_i[35]}}, ops_i[35:20]});
      if (count_i == 2'd3) r = combine(ops_i[59:57], r, {{16{ops_i[55]}}, ops_i[55:40]});
      last_q <= r;
    end
    if (keep_i) before_q <= last_q;
  end
  logic unused;
  assign unused = ^{ops_i[36], ops_i[56]};

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      assert (count_i != '0 && (ops_i[19:17] <= vta_pkg::AluLast || ops_i[19:17] == vta_pkg::AluZero));
      assert (count_i < 2'd2 || ops_i[39:37] <= vta_pkg::AluAdd);
      assert (count_i < 2'd3 || ops_i[59:57] <= vta_pkg::AluAdd);
    end
  end
endmodule

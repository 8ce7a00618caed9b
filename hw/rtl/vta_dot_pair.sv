// SPDX-License-Identifier: Apache-2.0
// Two dot products with one multiplier of 25 x 18 bits for two products, as a DSP48E1 has it. A multiplicand holds an
// element of the odd row 17 bits above one of the even row, to which 128 was added so that it borrows nothing:
//   (odd * 2^17 + even + 128) * x  =  odd * x * 2^17  +  (even + 128) * x
// Two such products are added before they are taken apart: the lower part is at most 2 * 255 * 128 < 2^16 either way, so
// it fits its 17 bits with sign; where it is negative it has borrowed one from the upper part.
module vta_dot_pair #(
  parameter int unsigned BLOCK_IN = 16
) (
  input  logic [BLOCK_IN*8-1:0] inp_i,
  input  logic [31:0]           inp_sum_i, // of the elements of inp_i
  input  logic [BLOCK_IN*8-1:0] even_i,
  input  logic [BLOCK_IN*8-1:0] odd_i,
  output logic [31:0]           even_o,
  output logic [31:0]           odd_o
);
  localparam int unsigned Couples = (BLOCK_IN + 1) / 2;
  localparam int unsigned SumBits = 17 + $clog2(Couples + 1); // holds all lower parts, and all upper ones

  logic [Couples*34-1:0] sums;
  for (genvar n = 0; n < Couples; n++) begin : gen_couple
    logic signed [24:0] first, second;
    logic signed [7:0] x_first, x_second;
    logic signed [33:0] sum;
    assign first = {odd_i[2*n*8 +: 8], 9'd0, ~even_i[2*n*8+7], even_i[2*n*8 +: 7]};
    assign x_first = inp_i[2*n*8 +: 8];
    if (2 * n + 1 < BLOCK_IN) begin : gen_second
      assign second = {odd_i[(2*n+1)*8 +: 8], 9'd0, ~even_i[(2*n+1)*8+7], even_i[(2*n+1)*8 +: 7]};
      assign x_second = inp_i[(2*n+1)*8 +: 8];
    end else begin : gen_none
      assign second = '0;
      assign x_second = '0;
    end
    assign sum = 34'(first) * 34'(x_first) + 34'(second) * 34'(x_second);
    assign sums[n*34 +: 34] = sum;
  end

  logic [SumBits-1:0] lower, upper;
  logic [$clog2(Couples+1)-1:0] borrowed;
  always_comb begin
    lower = '0;
    upper = '0;
    borrowed = '0;
    for (int unsigned n = 0; n < Couples; n++) begin
      lower = lower + SumBits'($signed(sums[n*34 +: 17]));
      upper = upper + SumBits'($signed(sums[n*34+17 +: 17]));
      borrowed = borrowed + $clog2(Couples+1)'(sums[n*34+16]);
    end
  end
  assign even_o = 32'($signed(lower)) - (inp_sum_i << 7);
  assign odd_o = 32'($signed(upper)) + 32'(borrowed);

  // No sum is larger than its products allow.
  localparam int Most = BLOCK_IN * 128 * 128;
  always_comb begin
    assert ($signed(even_o) <= Most && $signed(even_o) > -Most);
    assert ($signed(odd_o) <= Most && $signed(odd_o) > -Most);
  end
endmodule

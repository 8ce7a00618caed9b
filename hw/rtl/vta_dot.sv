// SPDX-License-Identifier: Apache-2.0
// The dot products of each row of INP with each row of WGT: BATCH x BLOCK_OUT sums of BLOCK_IN products, exact, registered.
// Simulation and synthesis have each what is quick or small there: multiplications of 64 bits, or half the multipliers, see
// vta_dot_pair. tests/hw/dot.cpp compares the latter with plain sums, and every test of the core the former.
module vta_dot #(
  parameter int unsigned BATCH = 1,
  parameter int unsigned BLOCK_IN = 16,
  parameter int unsigned BLOCK_OUT = 16
) (
  input  logic                            clk_i,
  input  logic                            valid_i,
  input  logic [BATCH*BLOCK_IN*8-1:0]     inp_i,
  input  logic [BLOCK_OUT*BLOCK_IN*8-1:0] wgt_i,
  output logic [BATCH*BLOCK_OUT*32-1:0]   dot_o
);
  logic [BATCH*BLOCK_OUT*32-1:0] dot_q;
  assign dot_o = dot_q;

  // No sum is larger than its products allow; of the first two rows, which share a word in either form.
  localparam int Most = BLOCK_IN * 128 * 128;
  logic valid_q;
  always_ff @(posedge clk_i) begin
    valid_q <= valid_i;
    if (valid_q) begin
      for (int unsigned c = 0; c < 2 && c < BLOCK_OUT; c++)
        assert ($signed(dot_q[c*32 +: 32]) <= Most && $signed(dot_q[c*32 +: 32]) > -Most);
    end
  end
`ifdef SYNTHESIS
  logic [BATCH*BLOCK_OUT*32-1:0] dot;
  always_ff @(posedge clk_i) begin
    if (valid_i) dot_q <= dot;
  end
  for (genvar b = 0; b < BATCH; b++) begin : gen_row
    // Even rows of WGT enter with 128 added to each element; it is taken away again with this.
    logic [31:0] inp_sum;
    always_comb begin
      inp_sum = '0;
      for (int unsigned k = 0; k < BLOCK_IN; k++) inp_sum = inp_sum + 32'($signed(inp_i[(b*BLOCK_IN+k)*8 +: 8]));
    end
    for (genvar c = 0; c < (BLOCK_OUT + 1) / 2; c++) begin : gen_pair
      logic [BLOCK_IN*8-1:0] odd;
      logic [31:0] dot_odd;
      if (2 * c + 1 < BLOCK_OUT) begin : gen_two
        assign odd = wgt_i[(2*c+1)*BLOCK_IN*8 +: BLOCK_IN*8];
        assign dot[(b*BLOCK_OUT+2*c+1)*32 +: 32] = dot_odd;
      end else begin : gen_one
        assign odd = '0;
      end
      vta_dot_pair #(.BLOCK_IN(BLOCK_IN)) u_pair (
        .inp_i(inp_i[b*BLOCK_IN*8 +: BLOCK_IN*8]), .inp_sum_i(inp_sum), .even_i(wgt_i[2*c*BLOCK_IN*8 +: BLOCK_IN*8]),
        .odd_i(odd), .even_o(dot[(b*BLOCK_OUT+2*c)*32 +: 32]), .odd_o(dot_odd)
      );
    end
  end
`else
  // Two rows of WGT in the halves of a word of 64 bits, 128 added to each element so that none is negative, times an
  // element of INP: the sums stay apart but for the borrow of a negative lower one.
  localparam int unsigned Part = (BLOCK_IN < 4) ? BLOCK_IN : 4; // elements taken at once
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      for (int unsigned b = 0; b < BATCH; b++) begin
        logic [31:0] few, pairs, bias; // bias: what the 128s amount to
        logic [63:0] sums, rows;
        logic [63:0] inp [0:BLOCK_IN-1];
        for (int unsigned k = 0; k < BLOCK_IN; k++) inp[k] = 64'($signed(inp_i[(b*BLOCK_IN+k)*8 +: 8]));
        pairs = '0;
        for (int unsigned k = 0; k < BLOCK_IN; k += Part) begin
          few = 32'(inp_i[(b*BLOCK_IN+k)*8 +: Part*8]) ^ 32'h80808080;
          pairs = pairs + (few & 32'h00ff00ff) + ((few >> 8) & 32'h00ff00ff);
        end
        bias = (32'(pairs[15:0]) + 32'(pairs[31:16]) - 32'(BLOCK_IN / Part * 4 * 128)) << 7;
        for (int unsigned c = 0; c < BLOCK_OUT; c += 2) begin
          sums = '0;
          for (int unsigned k = 0; k < BLOCK_IN; k += Part) begin
            rows = {32'(wgt_i[((c+1)%BLOCK_OUT*BLOCK_IN+k)*8 +: Part*8]), 32'(wgt_i[(c*BLOCK_IN+k)*8 +: Part*8])};
            rows = rows ^ 64'h80808080_80808080;
            for (int unsigned p = 0; p < Part; p++) begin
              sums = sums + ((rows >> (8 * p)) & 64'h000000ff_000000ff) * inp[k+p];
            end
          end
          dot_q[(b*BLOCK_OUT+(c+1)%BLOCK_OUT)*32 +: 32] <= sums[63:32] + 32'(sums[31]) - bias;
          dot_q[(b*BLOCK_OUT+c)*32 +: 32] <= sums[31:0] - bias;
        end
      end
    end
  end
`endif
endmodule

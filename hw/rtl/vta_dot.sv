// SPDX-License-Identifier: Apache-2.0
// The dot products of each row of INP with each row of WGT: BATCH x BLOCK_OUT sums of BLOCK_IN products, exact, registered.
// In simulation a plain loop with sums of 32 bits, which is quick. In synthesis the same sums by half the multipliers, see
// vta_dot_pair. tests/hw/dot.cpp compares the two.
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
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      for (int unsigned b = 0; b < BATCH; b++) begin
        for (int unsigned c = 0; c < BLOCK_OUT; c++) begin
          int sum;
          sum = 0;
          for (int unsigned k = 0; k < BLOCK_IN; k++) begin
            sum = sum + 32'($signed(inp_i[(b*BLOCK_IN+k)*8 +: 8])) *
                  32'($signed(wgt_i[(c*BLOCK_IN+k)*8 +: 8]));
          end
          dot_q[(b*BLOCK_OUT+c)*32 +: 32] <= sum;
        end
      end
    end
  end
`endif
endmodule

// SPDX-License-Identifier: Apache-2.0
// Tokens of one channel. A push of a full channel must wait (full_o); tokens survive from one launch to the next.
module vta_token #(
  parameter int unsigned WIDTH = 12
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             push_i,
  input  logic             pop_i,
  output logic             some_o,
  output logic             full_o,
  output logic [WIDTH-1:0] count_o
);
  logic [WIDTH-1:0] count_q;

  assign some_o = count_q != '0;
  assign full_o = count_q == '1;
  assign count_o = count_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) count_q <= '0;
    else if (push_i && !pop_i) count_q <= count_q + 1'b1;
    else if (pop_i && !push_i) count_q <= count_q - 1'b1;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      if (pop_i) assert (some_o);
      if (push_i) assert (!full_o);
    end
  end
endmodule

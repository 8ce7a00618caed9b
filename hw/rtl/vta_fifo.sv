// SPDX-License-Identifier: Apache-2.0
// A first-word-fall-through FIFO of 2^LOG_DEPTH words.
module vta_fifo #(
  parameter int unsigned WIDTH = 8,
  parameter int unsigned LOG_DEPTH = 2
) (
  input  logic               clk_i,
  input  logic               rst_i,
  input  logic               valid_i,
  output logic               ready_o,
  input  logic [WIDTH-1:0]   data_i,
  output logic               valid_o,
  input  logic               ready_i,
  output logic [WIDTH-1:0]   data_o,
  output logic [LOG_DEPTH:0] count_o
);
  logic [WIDTH-1:0] mem_q [0:(1<<LOG_DEPTH)-1];
  logic [LOG_DEPTH-1:0] rd_q, wr_q;
  logic [LOG_DEPTH:0] count_q;
  logic push, pop;

  assign ready_o = !count_q[LOG_DEPTH];
  assign valid_o = count_q != '0;
  assign data_o = mem_q[rd_q];
  assign count_o = count_q;
  assign push = valid_i && ready_o;
  assign pop = valid_o && ready_i;

  always_ff @(posedge clk_i) begin
    if (push) mem_q[wr_q] <= data_i;
    if (rst_i) begin
      rd_q <= '0;
      wr_q <= '0;
      count_q <= '0;
    end else if (push || pop) begin
      if (push) wr_q <= wr_q + 1'b1;
      if (pop) rd_q <= rd_q + 1'b1;
      if (push && !pop) count_q <= count_q + 1'b1;
      if (pop && !push) count_q <= count_q - 1'b1;
      assert (count_q <= (LOG_DEPTH + 1)'(1 << LOG_DEPTH));
    end
  end
endmodule

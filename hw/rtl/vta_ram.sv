// SPDX-License-Identifier: Apache-2.0
// A memory of one write and one registered read port. A read of the word that is being written gives the old value; with
// APART nobody may do that.
module vta_ram #(
  parameter int unsigned WIDTH = 32,
  parameter int unsigned LOG_DEPTH = 8,
  parameter bit APART = 1'b0
) (
  input  logic                 clk_i,
  input  logic                 we_i,
  input  logic [LOG_DEPTH-1:0] waddr_i,
  input  logic [WIDTH-1:0]     wdata_i,
  input  logic                 re_i,
  input  logic [LOG_DEPTH-1:0] raddr_i,
  input  logic                 zero_i,   // with re_i: read zero instead
  output logic [WIDTH-1:0]     rdata_o
);
  logic [WIDTH-1:0] mem_q [0:(1<<LOG_DEPTH)-1] /* verilator public_flat_rd */;
  logic [WIDTH-1:0] rdata_q;

  assign rdata_o = rdata_q;

  always_ff @(posedge clk_i) begin
    if (we_i) mem_q[waddr_i] <= wdata_i;
    if (re_i) begin
      if (zero_i) rdata_q <= '0; // block RAM has a reset of its output
      else rdata_q <= mem_q[raddr_i];
    end
  end

  if (APART) begin : gen_apart
    always_ff @(posedge clk_i) begin
      assert (!(we_i && re_i && waddr_i == raddr_i));
    end
  end
endmodule

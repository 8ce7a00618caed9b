// SPDX-License-Identifier: Apache-2.0
// A clock that stands still in cycles in which nothing that it drives would change. It takes power where the target has such
// gates, and time to simulate what does not happen: there VTA_GATES is defined. Without it the clock goes through.
module vta_gate (
  input  logic clk_i,
  input  logic en_i,  // settled before the clock rises
  output logic clk_o
);
`ifdef VTA_GATES
  logic en_q;
  always_latch if (!clk_i) en_q = en_i;
  assign clk_o = clk_i && en_q;
  always_ff @(posedge clk_i) begin
    assert (en_q == en_i);
  end
`else
  logic unused;
  assign unused = en_i;
  assign clk_o = clk_i;
`endif
endmodule

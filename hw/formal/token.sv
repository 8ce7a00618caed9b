// SPDX-License-Identifier: Apache-2.0
// vta_token: as many tokens as were given and not taken, if none is taken from an empty channel or given to a full one.
// steps 10, induction 2
module proof (
  input logic clk_i,
  input logic rst_i,
  input logic push_i,
  input logic pop_i
);
  logic some, full;
  logic [2:0] count;
  vta_token #(.WIDTH(3)) dut (.clk_i, .rst_i, .push_i, .pop_i, .some_o(some), .full_o(full), .count_o(count));

  logic [3:0] model_q; // one bit more: nothing wraps
  logic begun_q = 1'b0;
  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst_i);
    if (begun_q && !rst_i) begin
      assume (!(pop_i && model_q == 4'd0));
      assume (!(push_i && model_q == 4'd7));
    end
    model_q <= rst_i ? 4'd0 : model_q + 4'(push_i) - 4'(pop_i);
    if (begun_q && !rst_i) begin
      counts: assert (4'(count) == model_q);
      some_there: assert (some == (model_q != 4'd0));
      no_room: assert (full == (model_q == 4'd7));
    end
  end
endmodule

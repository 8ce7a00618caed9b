// SPDX-License-Identifier: Apache-2.0
// vta_fifo: words come out in the order in which they went in, none lost, none twice; ready, valid and count say how many
// there are. steps 8, induction 2
module proof (
  input logic       clk_i,
  input logic       rst_i,
  input logic       valid_i,
  input logic       ready_i,
  input logic [1:0] data_i
);
  logic ready, valid;
  logic [1:0] data;
  logic [2:0] count;
  vta_fifo #(.WIDTH(2), .LOG_DEPTH(2)) dut (
    .clk_i, .rst_i, .valid_i, .ready_o(ready), .data_i, .valid_o(valid), .ready_i, .data_o(data), .count_o(count)
  );
  (* hierconn *) wire [1:0] \dut.rd_q ;
  (* hierconn *) wire [1:0] \dut.wr_q ;
  (* hierconn *) wire [1:0] \dut.mem_q[0] ;
  (* hierconn *) wire [1:0] \dut.mem_q[1] ;
  (* hierconn *) wire [1:0] \dut.mem_q[2] ;
  (* hierconn *) wire [1:0] \dut.mem_q[3] ;

  // The same as a shift register: the oldest word in the lowest place.
  logic [7:0] model_q, shifted;
  logic [2:0] model_count_q, left;
  logic push, pop, begun_q = 1'b0;
  assign push = valid_i && ready;
  assign pop = valid && ready_i;
  assign shifted = pop ? model_q >> 2 : model_q;
  assign left = model_count_q - 3'(pop);

  // What is in the memory, turned so that the oldest word is lowest.
  logic [7:0] memory, turned;
  assign memory = {\dut.mem_q[3] , \dut.mem_q[2] , \dut.mem_q[1] , \dut.mem_q[0] };
  assign turned = 8'({memory, memory} >> {\dut.rd_q , 1'b0});

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst_i);
    for (int unsigned n = 0; n < 4; n++) begin
      model_q[n*2 +: 2] <= (push && 3'(n) == left) ? data_i : shifted[n*2 +: 2];
    end
    model_count_q <= rst_i ? 3'd0 : left + 3'(push);
    if (begun_q && !rst_i) begin
      counts: assert (count == model_count_q && count <= 3'd4);
      some: assert (valid == (model_count_q != 3'd0));
      room: assert (ready == (model_count_q != 3'd4));
      if (valid) order: assert (data == model_q[1:0]);
      pointers: assert (2'(\dut.wr_q - \dut.rd_q ) == model_count_q[1:0]);
      for (int unsigned n = 0; n < 4; n++) begin
        if (3'(n) < model_count_q) assert (turned[n*2 +: 2] == model_q[n*2 +: 2]);
      end
    end
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// vta_axi_read: a request that is shown does not change until it is taken; each accepted request is shown once, with its
// client's number; beats go to the client that they are for; nothing is under way when it says so. steps 8, induction 2
module proof (
  input logic        clk_i,
  input logic        rst_i,
  input logic        stop_i,
  input logic [2:0]  valid_i,
  input logic [23:0] tag_i,     // of each client's request: what stands for its address and length
  input logic        ar_ready_i,
  input logic        r_valid_i,
  input logic [2:0]  r_id_i,
  input logic        r_last_i,
  input logic [2:0]  r_ready_i
);
  logic [2:0] ready, ar_id, r_valid;
  logic ar_valid, r_ready, idle;
  logic [31:0] ar_addr;
  logic [7:0] ar_len;
  vta_axi_read #(.CLIENTS(3)) dut (
    .clk_i, .rst_i, .stop_i, .idle_o(idle), .valid_i, .ready_o(ready),
    .addr_i({24'd0, tag_i[23:16], 24'd0, tag_i[15:8], 24'd0, tag_i[7:0]}), .len_i(~tag_i), .ar_valid_o(ar_valid),
    .ar_ready_i, .ar_addr_o(ar_addr), .ar_len_o(ar_len), .ar_id_o(ar_id), .r_valid_i,
    .r_ready_o(r_ready), .r_id_i, .r_last_i,
    .r_valid_o(r_valid), .r_ready_i
  );

  (* hierconn *) wire [7:0] \dut.open_q ;
  logic [7:0] under_way_q;
  logic begun_q = 1'b0, full_q, waits_q = 1'b0;
  logic [1:0] id_q, which;
  logic [7:0] tag_q;
  logic [2:0] taken, was_id_q;
  logic [31:0] was_addr_q;
  assign taken = valid_i & ready;
  assign which = taken[0] ? 2'd0 : taken[1] ? 2'd1 : 2'd2;
  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst_i);
    assume (r_id_i < 3'd3);
    if (rst_i) full_q <= 1'b0;
    else if (taken != '0) full_q <= 1'b1;
    else if (ar_valid && ar_ready_i) full_q <= 1'b0;
    if (taken != '0) begin
      id_q <= which;
      tag_q <= tag_i[which*8 +: 8];
    end
    // Bursts under way: a last beat comes only for one of them, and the memory does not take too many.
    if (begun_q && !rst_i) assume (!(r_valid_i && under_way_q == '0) && !(ar_valid && ar_ready_i && under_way_q == '1));
    under_way_q <= rst_i ? '0 : under_way_q + 8'(ar_valid && ar_ready_i) - 8'(r_valid_i && r_ready && r_last_i);
    waits_q <= !rst_i && ar_valid && !ar_ready_i;
    {was_id_q, was_addr_q} <= {ar_id, ar_addr};
    if (begun_q && !rst_i) begin
      stops: assert (!(stop_i && taken != '0));
      done: assert (idle == (under_way_q == '0 && !full_q) && \dut.open_q == under_way_q);
      one: assert (taken == 3'd0 || taken == 3'd1 || taken == 3'd2 || taken == 3'd4);
      shown: assert (ar_valid == full_q);
      if (full_q) its_own: assert (ar_id == 3'(id_q) && ar_addr == 32'(tag_q) && ar_len == ~tag_q);
      if (waits_q) stable: assert (ar_valid && ar_id == was_id_q && ar_addr == was_addr_q);
      none_lost: assert (taken == '0 || !full_q || ar_ready_i);
      goes_on: assert (taken != '0 || valid_i == '0 || stop_i || (full_q && !ar_ready_i));
      beats: assert (r_valid == (r_valid_i && !stop_i ? 3'd1 << r_id_i : 3'd0) &&
                     r_ready == (stop_i || r_ready_i[r_id_i[1:0]]));
    end
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// vta_burst: the bursts of a run follow one another without gap and add up to it; none is longer than it may be, none
// crosses 4 KiB; what is shown stays until it is taken. steps 8, induction 2
module proof (
  input logic        clk_i,
  input logic        rst_i,
  input logic        valid_i,
  input logic [31:0] addr_i,
  input logic [7:0]  beats_i,
  input logic        ready_i
);
  localparam int unsigned LogBus = 6, MaxBeats = 8;
  logic ready, valid;
  logic [31:0] addr;
  logic [7:0] len;
  vta_burst #(.LOG_BUS(LogBus), .MAX_BEATS(MaxBeats), .BEATS_WIDTH(8)) dut (
    .clk_i, .rst_i, .valid_i, .ready_o(ready), .addr_i, .beats_i, .valid_o(valid), .ready_i, .addr_o(addr), .len_o(len)
  );
  (* hierconn *) wire [7:0] \dut.beats_q ;

  // What is left of the run: the next byte and the beats.
  logic [31:0] next_q, was_addr_q;
  logic [7:0] left_q;
  logic [7:0] was_len_q;
  logic begun_q = 1'b0, waits_q = 1'b0;
  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst_i);
    if (valid_i) assume (addr_i[LogBus-1:0] == '0 && beats_i != '0);
    if (rst_i) begin
      left_q <= '0;
    end else if (valid_i && ready) begin
      next_q <= addr_i;
      left_q <= beats_i;
    end else if (valid && ready_i) begin
      next_q <= next_q + ((32'(len) + 32'd1) << LogBus);
      left_q <= left_q - len - 8'd1;
    end
    waits_q <= !rst_i && valid && !ready_i;
    was_addr_q <= addr;
    was_len_q <= len;
    if (begun_q && !rst_i) begin
      busy: assert (valid == (left_q != 8'd0));
      if (valid) begin
        follows: assert (addr == next_q && addr[LogBus-1:0] == '0);
        adds_up: assert (9'(len) < 9'(left_q));
        short: assert (9'(len) < 9'(MaxBeats));
        in_page: assert (32'(addr[11:0]) + ((32'(len) + 32'd1) << LogBus) <= 32'd4096);
        // No shorter than it must be: it ends the run, is the longest, or ends at a page.
        long: assert (9'(len) + 9'd1 == 9'(left_q) || 9'(len) + 9'd1 == 9'(MaxBeats) ||
                      32'(addr[11:0]) + ((32'(len) + 32'd1) << LogBus) == 32'd4096);
        inside: assert (\dut.beats_q == left_q);
      end
      if (waits_q) stable: assert (valid && addr == was_addr_q && len == was_len_q);
      takes: assert (ready == (!valid || (ready_i && 9'(len) + 9'd1 == 9'(left_q))));
    end
  end
endmodule

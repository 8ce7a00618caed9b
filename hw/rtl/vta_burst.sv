// SPDX-License-Identifier: Apache-2.0
// Cuts a run of beats into AXI bursts: none longer than MAX_BEATS, none across 4 KiB. One burst a cycle.
module vta_burst #(
  parameter int unsigned LOG_BUS = 3,   // bytes of a beat, log2
  parameter int unsigned MAX_BEATS = 32,
  parameter int unsigned BEATS_WIDTH = 30
) (
  input  logic                   clk_i,
  input  logic                   rst_i,
  input  logic                   valid_i,
  output logic                   ready_o, // takes the run; it may take another when the last burst has gone
  input  logic [31:0]            addr_i,  // aligned to beats
  input  logic [BEATS_WIDTH-1:0] beats_i, // not 0
  output logic                   valid_o,
  input  logic                   ready_i,
  output logic [31:0]            addr_o,
  output logic [7:0]             len_o    // beats - 1
);
  localparam int unsigned PageBits = 12 - LOG_BUS;

  logic busy_q;
  logic [31:0] addr_q;
  logic [BEATS_WIDTH-1:0] beats_q;
  logic [PageBits:0] to_page;  // beats up to the next 4 KiB
  logic [BEATS_WIDTH-1:0] most, now;
  logic last;

  assign to_page = {1'b1, {PageBits{1'b0}}} - {1'b0, addr_q[11:LOG_BUS]};
  assign most = (BEATS_WIDTH'(to_page) < BEATS_WIDTH'(MAX_BEATS)) ? BEATS_WIDTH'(to_page) : BEATS_WIDTH'(MAX_BEATS);
  assign last = beats_q <= most;
  assign now = last ? beats_q : most;
  assign valid_o = busy_q;
  assign addr_o = addr_q;
  assign len_o = 8'(now - 1'b1);
  assign ready_o = !busy_q || (ready_i && last);

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      busy_q <= 1'b0;
    end else if (valid_i && ready_o) begin
      busy_q <= 1'b1;
      addr_q <= addr_i;
      beats_q <= beats_i;
    end else if (valid_o && ready_i) begin
      busy_q <= !last;
      addr_q <= addr_q + (32'(now) << LOG_BUS);
      beats_q <= beats_q - now;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_i && valid_o) assert (32'(addr_q[11:0]) + (32'(now) << LOG_BUS) <= 32'd4096);
  end
endmodule

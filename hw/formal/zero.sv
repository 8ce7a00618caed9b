// SPDX-License-Identifier: Apache-2.0
// vta_zero: a row is marked if the last thing that happened to it was being in a range that was given, and not if it was
// being written. Marks of a range are there when it is no longer busy; no other row is touched. (Writes leave it a cycle in
// three, so that no state lasts.)
// steps 14, induction 8
module proof (
  input logic       clk_i,
  input logic       rst_i,
  input logic       start_i,
  input logic [3:0] first_i,
  input logic [3:0] last_i,
  input logic       we_i,
  input logic [3:0] waddr_i,
  input logic [3:0] raddr_i,
  input logic [3:0] oaddr_i
);
  logic busy, zero, ozero;
  vta_zero #(.LOG_ROWS(4)) dut (
    .clk_i, .rst_i, .start_i, .first_i, .last_i, .busy_o(busy), .we_i, .waddr_i, .raddr_i, .zero_o(zero), .oaddr_i,
    .ozero_o(ozero)
  );

  // Any row, always before the port for OUT: what it must be; while it is in the range that is being marked, either.
  (* anyconst *) logic [3:0] row;
  logic known_q = 1'b0, marked_q, pending_q;
  logic [1:0] stalls_q; // writes up to now without a cycle between them
  logic [4:0] idle_q;
  logic begun_q = 1'b0;
  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst_i);
    assume (stalls_q <= 2'd2);
    assume (oaddr_i == row);
    assume (!(start_i && (busy || first_i > last_i)));
    // The window keeps writes away from rows that are being reset.
    if (we_i && waddr_i == row) assume (!pending_q && !(start_i && first_i <= row && row <= last_i));
    assume (stalls_q < 2'd2 || !we_i);
    stalls_q <= (we_i && !rst_i) ? stalls_q + 1'b1 : 2'd0;
    if (rst_i) begin
      pending_q <= 1'b0;
      if (pending_q) known_q <= 1'b0; // marked or not
    end else if (start_i && first_i <= row && row <= last_i) begin
      pending_q <= 1'b1;
      {known_q, marked_q} <= 2'b11;
    end else if (!busy) begin
      pending_q <= 1'b0;
    end
    if (we_i && waddr_i == row) {known_q, marked_q} <= 2'b10;
    idle_q <= (rst_i || start_i || !busy || we_i) ? 5'd0 : idle_q + 1'b1;
    if (begun_q) begin
      if (known_q && !(pending_q && busy)) begin
        read_out: assert (ozero == marked_q);
        if (raddr_i == row) read: assert (zero == marked_q);
      end
      ends: assert (idle_q <= 5'd2); // two lines: it is busy for no more cycles without writes
    end
  end
endmodule

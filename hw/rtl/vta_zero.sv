// SPDX-License-Identifier: Apache-2.0
// Which rows of a bank of accumulators count as zero, whatever is in the memory: a reset marks a range of them, eight rows a
// cycle, and writing a row unmarks it. What is written comes first: marking waits for a cycle without.
module vta_zero #(
  parameter int unsigned LOG_ROWS = 9
) (
  input  logic                clk_i,
  input  logic                rst_i,   // stops marking; what is marked stays so
  input  logic                start_i, // mark the rows from first_i to last_i; not while busy
  input  logic [LOG_ROWS-1:0] first_i,
  input  logic [LOG_ROWS-1:0] last_i,
  output logic                busy_o,
  input  logic                we_i,    // this row is written
  input  logic [LOG_ROWS-1:0] waddr_i,
  input  logic [LOG_ROWS-1:0] raddr_i,
  output logic                zero_o,  // what is read of it is zero
  input  logic [LOG_ROWS-1:0] oaddr_i,
  output logic                ozero_o
);
  localparam int unsigned LogLine = (LOG_ROWS < 3) ? LOG_ROWS : 3;
  localparam int unsigned Line = 1 << LogLine;
  localparam int unsigned LogLines = (LOG_ROWS > LogLine) ? LOG_ROWS - LogLine : 1;
  logic [Line-1:0] marks_q [0:(1<<LogLines)-1] /* verilator public_flat_rd */;

  // The line of a row; with a single line it is 0.
  function automatic logic [LogLines-1:0] line_of(input logic [LOG_ROWS-1:0] row);
    line_of = LogLines'(row >> LogLine);
  endfunction

  logic busy_q, mark;
  logic [LOG_ROWS-1:0] first_q, last_q;
  logic [LogLines-1:0] line_q, at;
  logic [Line-1:0] those, old;
  assign busy_o = busy_q;
  assign mark = busy_q && !we_i;
  assign at = we_i ? line_of(waddr_i) : line_q;
  always_comb begin
    those = '0;
    if (we_i) begin
      those[waddr_i[LogLine-1:0]] = 1'b1;
    end else if (busy_q) begin
      those = '1;
      if (line_q == line_of(first_q)) those = those << first_q[LogLine-1:0];
      if (line_q == line_of(last_q)) those = those & ({Line{1'b1}} >> ~last_q[LogLine-1:0]);
    end
  end
  assign old = marks_q[at];

  always_ff @(posedge clk_i) begin
    if (we_i || busy_q) marks_q[at] <= we_i ? old & ~those : old | those;
    if (rst_i) begin
      busy_q <= 1'b0;
    end else if (start_i) begin
      busy_q <= 1'b1;
      line_q <= line_of(first_i);
      first_q <= first_i;
      last_q <= last_i;
    end else if (mark) begin
      line_q <= line_q + 1'b1;
      if (line_q == line_of(last_q)) busy_q <= 1'b0;
    end
  end

  logic [Line-1:0] rline, oline;
  assign rline = marks_q[line_of(raddr_i)];
  assign oline = marks_q[line_of(oaddr_i)];
  assign zero_o = rline[raddr_i[LogLine-1:0]];
  assign ozero_o = oline[oaddr_i[LogLine-1:0]];

  always_ff @(posedge clk_i) begin
    if (start_i && !rst_i) assert (!busy_q && first_i <= last_i);
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// The three loops of GEMM and ALU: one micro-op address and its three index offsets a cycle, instructions back to back.
module vta_index #(
  parameter int unsigned LOG_UOP = 13,
  parameter int unsigned PAYLOAD = 1
) (
  input  logic               clk_i,
  input  logic               rst_i,
  input  logic               valid_i,   // an instruction with at least one step
  output logic               ready_o,
  input  logic [LOG_UOP-1:0] begin_i,
  input  logic [LOG_UOP:0]   end_i,
  input  logic [13:0]        iter_out_i,
  input  logic [13:0]        iter_in_i,
  input  logic [95:0]        factors_i, // {wgt_in, wgt_out, src_in, src_out, dst_in, dst_out}, 16 bits each
  input  logic [PAYLOAD-1:0] payload_i,
  input  logic               step_i,    // the consumer takes what is shown
  output logic               valid_o,
  output logic               last_o,
  output logic [LOG_UOP-1:0] uop_o,
  output logic [27:0]        dst_o,     // offsets
  output logic [27:0]        src_o,
  output logic [27:0]        wgt_o,
  output logic [PAYLOAD-1:0] payload_o
);
  logic busy_q;
  logic [LOG_UOP-1:0] begin_q, uop_q;
  logic [LOG_UOP:0] end_q;
  logic [13:0] iter_out_q, iter_in_q, o_q, i_q;
  logic [95:0] factors_q;
  logic [PAYLOAD-1:0] payload_q;
  logic [27:0] dst_q, src_q, wgt_q, dst_o_q, src_o_q, wgt_o_q; // running offsets; the outer loop's share of them
  logic last_uop, last_in, last_out, take;

  assign last_uop = (LOG_UOP + 1)'(uop_q) + 1'b1 == end_q;
  assign last_in = i_q + 1'b1 == iter_in_q;
  assign last_out = o_q + 1'b1 == iter_out_q;
  assign valid_o = busy_q;
  assign last_o = last_uop && last_in && last_out;
  assign uop_o = uop_q;
  assign dst_o = dst_q;
  assign src_o = src_q;
  assign wgt_o = wgt_q;
  assign payload_o = payload_q;
  assign ready_o = !busy_q || (step_i && last_o);
  assign take = valid_i && ready_o;

  always_ff @(posedge clk_i) begin
    if (take) begin
      begin_q <= begin_i;
      end_q <= end_i;
      iter_out_q <= iter_out_i;
      iter_in_q <= iter_in_i;
      factors_q <= factors_i;
      payload_q <= payload_i;
      uop_q <= begin_i;
      o_q <= '0;
      i_q <= '0;
      {dst_q, src_q, wgt_q, dst_o_q, src_o_q, wgt_o_q} <= '0;
    end else if (busy_q && step_i) begin
      uop_q <= last_uop ? begin_q : uop_q + 1'b1;
      if (last_uop && last_in) begin
        i_q <= '0;
        o_q <= o_q + 1'b1;
        dst_q <= dst_o_q + 28'(factors_q[15:0]);
        src_q <= src_o_q + 28'(factors_q[47:32]);
        wgt_q <= wgt_o_q + 28'(factors_q[79:64]);
        dst_o_q <= dst_o_q + 28'(factors_q[15:0]);
        src_o_q <= src_o_q + 28'(factors_q[47:32]);
        wgt_o_q <= wgt_o_q + 28'(factors_q[79:64]);
      end else if (last_uop) begin
        i_q <= i_q + 1'b1;
        dst_q <= dst_q + 28'(factors_q[31:16]);
        src_q <= src_q + 28'(factors_q[63:48]);
        wgt_q <= wgt_q + 28'(factors_q[95:80]);
      end
    end
    if (rst_i) busy_q <= 1'b0;
    else if (take) busy_q <= 1'b1;
    else if (step_i && last_o) busy_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_i && take) assert (32'(begin_i) < 32'(end_i) && iter_out_i != '0 && iter_in_i != '0);
    if (!rst_i && busy_q) assert (uop_q >= begin_q && (LOG_UOP + 1)'(uop_q) < end_q && i_q < iter_in_q && o_q < iter_out_q);
  end
endmodule

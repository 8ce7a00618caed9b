// SPDX-License-Identifier: Apache-2.0
// vta_index: all steps of a loop nest in order, each with its micro-op and offsets, the last one marked, the next nest
// without a gap. Trip counts up to 3, factors of 3 bits. steps 9, induction 2
module proof (
  input logic       clk_i,
  input logic       rst_i,
  input logic       valid_i,
  input logic [1:0] begin_i,
  input logic [2:0] end_i,
  input logic [1:0] iter_out_i,
  input logic [1:0] iter_in_i,
  input logic [17:0] factors_i, // {wgt_in, wgt_out, src_in, src_out, dst_in, dst_out}
  input logic       payload_i,
  input logic       step_i
);
  logic ready, valid, last, payload;
  logic [1:0] uop;
  logic [27:0] dst, src, wgt;
  vta_index #(.LOG_UOP(2), .PAYLOAD(1)) dut (
    .clk_i, .rst_i, .valid_i, .ready_o(ready), .begin_i, .end_i, .iter_out_i(14'(iter_out_i)), .iter_in_i(14'(iter_in_i)),
    .factors_i({13'd0, factors_i[17:15], 13'd0, factors_i[14:12], 13'd0, factors_i[11:9], 13'd0, factors_i[8:6],
                13'd0, factors_i[5:3], 13'd0, factors_i[2:0]}),
    .payload_i, .step_i, .valid_o(valid), .last_o(last), .uop_o(uop), .dst_o(dst), .src_o(src), .wgt_o(wgt),
    .payload_o(payload)
  );
  (* hierconn *) wire [1:0] \dut.begin_q ;
  (* hierconn *) wire [2:0] \dut.end_q ;
  (* hierconn *) wire [13:0] \dut.iter_out_q ;
  (* hierconn *) wire [13:0] \dut.iter_in_q ;
  (* hierconn *) wire [13:0] \dut.o_q ;
  (* hierconn *) wire [13:0] \dut.i_q ;
  (* hierconn *) wire [95:0] \dut.factors_q ;
  (* hierconn *) wire [27:0] \dut.dst_o_q ;
  (* hierconn *) wire [27:0] \dut.src_o_q ;
  (* hierconn *) wire [27:0] \dut.wgt_o_q ;

  // The nest that runs and where it is, as three counters.
  logic busy_q, payload_q, take, at_end;
  logic [1:0] first_q, out_q, in_q, o_q, i_q, u_q;
  logic [2:0] past_q;
  logic [17:0] factors_q;
  assign take = valid_i && ready;
  assign at_end = 3'(u_q) + 3'd1 == past_q && 3'(i_q) + 3'd1 == 3'(in_q) && 3'(o_q) + 3'd1 == 3'(out_q);
  function automatic logic [27:0] offset(input logic [1:0] o, input logic [1:0] i, input logic [5:0] f);
    offset = 28'(5'(o) * 5'(f[2:0])) + 28'(5'(i) * 5'(f[5:3]));
  endfunction

  logic begun_q = 1'b0;
  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    if (!begun_q) assume (rst_i);
    if (valid_i) assume (3'(begin_i) < end_i && end_i <= 3'd4 && iter_out_i != '0 && iter_in_i != '0);
    if (rst_i) begin
      busy_q <= 1'b0;
    end else if (take) begin
      busy_q <= 1'b1;
    end else if (busy_q && step_i && at_end) begin
      busy_q <= 1'b0;
    end
    if (take) begin
      {first_q, past_q, out_q, in_q, factors_q, payload_q} <= {begin_i, end_i, iter_out_i, iter_in_i, factors_i, payload_i};
      u_q <= begin_i;
      {o_q, i_q} <= '0;
    end else if (busy_q && step_i) begin
      if (3'(u_q) + 3'd1 != past_q) begin
        u_q <= u_q + 1'b1;
      end else begin
        u_q <= first_q;
        i_q <= (3'(i_q) + 3'd1 != 3'(in_q)) ? i_q + 1'b1 : 2'd0;
        if (3'(i_q) + 3'd1 == 3'(in_q)) o_q <= o_q + 1'b1;
      end
    end
    if (begun_q && !rst_i) begin
      busy: assert (valid == busy_q);
      takes: assert (ready == (!busy_q || (step_i && at_end)));
      if (busy_q) begin
        micro_op: assert (uop == u_q);
        destination: assert (dst == offset(o_q, i_q, factors_q[5:0]));
        source: assert (src == offset(o_q, i_q, factors_q[11:6]));
        weight: assert (wgt == offset(o_q, i_q, factors_q[17:12]));
        ends: assert (last == at_end);
        carried: assert (payload == payload_q);
        // What is inside, for the induction.
        assert (first_q <= u_q && 3'(u_q) < past_q && past_q <= 3'd4 && i_q < in_q && o_q < out_q);
        assert (\dut.begin_q == first_q && \dut.end_q == past_q && \dut.o_q == 14'(o_q) && \dut.i_q == 14'(i_q));
        assert (\dut.iter_out_q == 14'(out_q) && \dut.iter_in_q == 14'(in_q));
        assert (\dut.factors_q == {13'd0, factors_q[17:15], 13'd0, factors_q[14:12], 13'd0, factors_q[11:9],
                                   13'd0, factors_q[8:6], 13'd0, factors_q[5:3], 13'd0, factors_q[2:0]});
        assert (\dut.dst_o_q == offset(o_q, '0, factors_q[5:0]));
        assert (\dut.src_o_q == offset(o_q, '0, factors_q[11:6]));
        assert (\dut.wgt_o_q == offset(o_q, '0, factors_q[17:12]));
      end
    end
  end
endmodule

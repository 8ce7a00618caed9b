// SPDX-License-Identifier: Apache-2.0
// The AXI-Lite slave: upstream's registers at 0x00 to 0x24, ours from 0x3c on (docs/hardware.md has the map). Other
// addresses, and writes of what can only be read, are answered with an error.
module vta_regs #(
  parameter int unsigned LOG_BUS = 3,
  parameter int unsigned COUNTERS = 24
) (
  input  logic                   clk_i,
  input  logic                   rst_i,
  input  logic                   aw_valid_i,
  output logic                   aw_ready_o,
  input  logic [11:0]            aw_addr_i,
  input  logic                   w_valid_i,
  output logic                   w_ready_o,
  input  logic [31:0]            w_data_i,
  output logic                   b_valid_o,
  input  logic                   b_ready_i,
  output logic [1:0]             b_resp_o,
  input  logic                   ar_valid_i,
  output logic                   ar_ready_o,
  input  logic [11:0]            ar_addr_i,
  output logic                   r_valid_o,
  input  logic                   r_ready_i,
  output logic [31:0]            r_data_o,
  output logic [1:0]             r_resp_o,
  output logic                   launch_o,      // one cycle
  output logic                   running_o,
  output logic                   clear_o,       // soft reset of the core, one cycle
  input  logic                   idle_i,        // nothing is under way on the bus
  output logic [31:0]            count_o,
  output logic [31:0]            insn_base_o,
  output logic [31:0]            uop_base_o,
  output logic [31:0]            inp_base_o,
  output logic [31:0]            wgt_base_o,
  output logic [31:0]            acc_base_o,
  output logic [31:0]            out_base_o,
  output logic [31:0]            watchdog_o,
  input  logic                   finish_i,      // done or failed, one cycle
  input  logic [3:0]             error_i,
  input  logic [3:0]             source_i,
  input  logic [31:0]            taken_i,
  input  logic [47:0]            tokens_i,
  input  logic [1:0]             acc_writes_i,  // this cycle
  output logic [5:0]             counter_o,     // the counter that is read; all ones: none
  input  logic [31:0]            counter_i
);
  logic [31:0] regs_q [0:8]; // of which 2 to 8 are used
  logic [31:0] watchdog_q;
  logic running_q, done_q, clear_q, b_valid_q, r_valid_q, write, read, start, writable;
  logic [1:0] b_resp_q, r_resp_q;
  logic [31:0] cycles_q, ucnt_q, r_data_q, status;
  logic [3:0] error_q, source_q;
  logic [9:0] waddr, raddr; // of words

  assign waddr = aw_addr_i[11:2];
  assign raddr = ar_addr_i[11:2];
  assign write = aw_valid_i && w_valid_i && (!b_valid_q || b_ready_i);
  assign aw_ready_o = write;
  assign w_ready_o = write;
  assign b_valid_o = b_valid_q;
  assign b_resp_o = b_resp_q;
  assign read = ar_valid_i && (!r_valid_q || r_ready_i);
  assign ar_ready_o = read;
  assign r_valid_o = r_valid_q;
  assign r_data_o = r_data_q;
  assign r_resp_o = r_resp_q;
  // While the core runs, what it works with stays as it is.
  assign writable = waddr == 10'h000 || (waddr <= 10'h009 && !running_q) || waddr == 10'h00f || waddr == 10'h011;
  // After an error nothing is launched before a soft reset, which waits until the bus is at rest.
  assign start = write && waddr == 10'h000 && w_data_i[0] && !running_q && !clear_q && error_q == vta_pkg::ErrNone;
  assign launch_o = start;
  assign running_o = running_q;
  assign clear_o = clear_q && idle_i;
  assign status = {29'd0, clear_q || (!running_q && !idle_i), done_q, running_q};
  assign count_o = regs_q[2];
  assign insn_base_o = regs_q[3];
  assign uop_base_o = regs_q[4];
  assign inp_base_o = regs_q[5];
  assign wgt_base_o = regs_q[6];
  assign acc_base_o = regs_q[7];
  assign out_base_o = regs_q[8];
  assign watchdog_o = watchdog_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      running_q <= 1'b0;
      done_q <= 1'b0;
      clear_q <= 1'b0;
      error_q <= vta_pkg::ErrNone;
      source_q <= '0;
      b_valid_q <= 1'b0;
      cycles_q <= '0;
      ucnt_q <= '0;
      watchdog_q <= 32'd1000000;
      for (int n = 0; n < 9; n++) regs_q[n] <= '0;
    end else begin
      if (write) begin
        b_valid_q <= 1'b1;
        b_resp_q <= writable ? 2'b00 : 2'b10;
        if (waddr == 10'h002 && writable) regs_q[2] <= w_data_i;
        // Addresses are those of beats.
        if (waddr >= 10'h003 && waddr <= 10'h008 && writable) regs_q[waddr[3:0]] <= {w_data_i[31:LOG_BUS], {LOG_BUS{1'b0}}};
        // Upstream's drivers clear its event counters themselves.
        if (waddr == 10'h001 && writable) cycles_q <= w_data_i;
        if (waddr == 10'h009 && writable) ucnt_q <= w_data_i;
        if (waddr == 10'h00f) watchdog_q <= w_data_i;
        if (waddr == 10'h011 && w_data_i[0] && !running_q) clear_q <= 1'b1;
      end else if (b_ready_i) begin
        b_valid_q <= 1'b0;
      end
      if (clear_o) begin
        clear_q <= 1'b0;
        done_q <= 1'b0;
        error_q <= vta_pkg::ErrNone;
        source_q <= '0;
      end
      if (start) begin
        running_q <= 1'b1;
        done_q <= 1'b0;
        cycles_q <= '0;
        ucnt_q <= '0;
      end else if (running_q) begin
        cycles_q <= cycles_q + 1'b1;
        ucnt_q <= ucnt_q + 32'(acc_writes_i);
        if (finish_i) begin
          running_q <= 1'b0;
          done_q <= 1'b1;
          error_q <= error_i;
          source_q <= (error_i == vta_pkg::ErrNone) ? '0 : source_i;
        end
      end
    end
  end

  logic counts;
  assign counts = raddr >= 10'h020 && raddr < 10'h020 + 10'(COUNTERS);
  assign counter_o = (read && counts) ? raddr[5:0] - 6'h20 : '1;
  always_ff @(posedge clk_i) begin
    if (rst_i) r_valid_q <= 1'b0;
    else if (read) r_valid_q <= 1'b1;
    else if (r_ready_i) r_valid_q <= 1'b0;
    if (read) begin
      r_data_q <= '0;
      r_resp_q <= 2'b00;
      case (raddr)
        10'h000: r_data_q <= status;
        10'h001: r_data_q <= cycles_q;
        10'h002, 10'h003, 10'h004, 10'h005, 10'h006, 10'h007, 10'h008: r_data_q <= regs_q[raddr[3:0]];
        10'h009: r_data_q <= ucnt_q;
        10'h00f: r_data_q <= watchdog_q;
        10'h010: r_data_q <= {20'd0, source_q, 4'd0, error_q};
        10'h011: ;
        10'h012: r_data_q <= taken_i;
        10'h013: r_data_q <= {4'd0, tokens_i[23:12], 4'd0, tokens_i[11:0]};
        10'h014: r_data_q <= {4'd0, tokens_i[47:36], 4'd0, tokens_i[35:24]};
        default: begin
          r_data_q <= counts ? counter_i : '0;
          r_resp_q <= counts ? 2'b00 : 2'b10;
        end
      endcase
    end
  end

  logic unused;
  assign unused = ^{aw_addr_i[1:0], ar_addr_i[1:0]};

  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      assert (!(running_q && done_q));
      if (finish_i) assert (running_q);
    end
  end
endmodule

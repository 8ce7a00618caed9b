// SPDX-License-Identifier: Apache-2.0
// The AXI-Lite slave: upstream's registers at 0x00 to 0x24, ours from 0x40 on (docs/hardware.md has the map).
module vta_regs #(
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
  input  logic [31:0]            taken_i,
  input  logic [47:0]            tokens_i,
  input  logic [1:0]             acc_writes_i,  // this cycle
  input  logic [COUNTERS-1:0]    events_i       // what counts this cycle
);
  logic [31:0] regs_q [0:15];
  logic [31:0] counter_q [0:COUNTERS-1];
  logic running_q, done_q, b_valid_q, r_valid_q, write, read, start;
  logic [31:0] cycles_q, ucnt_q, r_data_q, status;
  logic [3:0] error_q;

  assign write = aw_valid_i && w_valid_i && (!b_valid_q || b_ready_i);
  assign aw_ready_o = write;
  assign w_ready_o = write;
  assign b_valid_o = b_valid_q;
  assign b_resp_o = 2'b00;
  assign read = ar_valid_i && (!r_valid_q || r_ready_i);
  assign ar_ready_o = read;
  assign r_valid_o = r_valid_q;
  assign r_data_o = r_data_q;
  assign r_resp_o = 2'b00;
  assign start = write && aw_addr_i == 12'h000 && w_data_i[0] && !running_q;
  assign launch_o = start;
  assign running_o = running_q;
  assign clear_o = write && aw_addr_i == 12'h044 && w_data_i[0];
  assign status = {30'd0, done_q, running_q};
  assign count_o = regs_q[2];
  assign insn_base_o = regs_q[3];
  assign uop_base_o = regs_q[4];
  assign inp_base_o = regs_q[5];
  assign wgt_base_o = regs_q[6];
  assign acc_base_o = regs_q[7];
  assign out_base_o = regs_q[8];
  assign watchdog_o = regs_q[15];

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      running_q <= 1'b0;
      done_q <= 1'b0;
      error_q <= '0;
      b_valid_q <= 1'b0;
      cycles_q <= '0;
      ucnt_q <= '0;
      regs_q[15] <= 32'd1000000;
      for (int n = 0; n < 15; n++) regs_q[n] <= '0;
      for (int unsigned n = 0; n < COUNTERS; n++) counter_q[n] <= '0;
    end else begin
      if (write) begin
        b_valid_q <= 1'b1;
        if (aw_addr_i[11:6] == '0) regs_q[aw_addr_i[5:2]] <= w_data_i;
      end else if (b_ready_i) begin
        b_valid_q <= 1'b0;
      end
      if (start) begin
        running_q <= 1'b1;
        done_q <= 1'b0;
        error_q <= '0;
        cycles_q <= '0;
        ucnt_q <= '0;
        for (int unsigned n = 0; n < COUNTERS; n++) counter_q[n] <= '0;
      end else if (running_q) begin
        cycles_q <= cycles_q + 1'b1;
        ucnt_q <= ucnt_q + 32'(acc_writes_i);
        for (int unsigned n = 0; n < COUNTERS; n++) begin
          if (events_i[n]) counter_q[n] <= counter_q[n] + 1'b1;
        end
        if (finish_i) begin
          running_q <= 1'b0;
          done_q <= 1'b1;
          error_q <= error_i;
        end
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) r_valid_q <= 1'b0;
    else if (read) r_valid_q <= 1'b1;
    else if (r_ready_i) r_valid_q <= 1'b0;
    if (read) begin
      r_data_q <= '0;
      if (ar_addr_i[11:6] == '0) r_data_q <= regs_q[ar_addr_i[5:2]];
      case (ar_addr_i)
        12'h000: r_data_q <= status;
        12'h004: r_data_q <= cycles_q;
        12'h024: r_data_q <= ucnt_q;
        12'h040: r_data_q <= 32'(error_q);
        12'h048: r_data_q <= taken_i;
        12'h04c: r_data_q <= {4'd0, tokens_i[23:12], 4'd0, tokens_i[11:0]};
        12'h050: r_data_q <= {4'd0, tokens_i[47:36], 4'd0, tokens_i[35:24]};
        default: ;
      endcase
      for (int unsigned n = 0; n < COUNTERS; n++) begin
        if (ar_addr_i == 12'h080 + 12'(4 * n)) r_data_q <= counter_q[n];
      end
    end
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// The whole core: AXI4 master for memory, AXI-Lite slave for control, and between them the units of docs/hardware.md.
`include "vta_isa.svh"
module vta_top #(
  parameter int unsigned LOG_BATCH = 0,
  parameter int unsigned LOG_BLOCK_IN = 4,
  parameter int unsigned LOG_BLOCK_OUT = 4,
  parameter int unsigned LOG_UOP = 13, // depths of the on-chip memories
  parameter int unsigned LOG_INP = 11,
  parameter int unsigned LOG_WGT = 10,
  parameter int unsigned LOG_ACC = 11,
  parameter int unsigned LOG_BUS = 3   // bytes of a beat: 3 to 6
) (
  input  logic                    clk_i,
  input  logic                    rst_i,
  // AXI4 master
  output logic                    m_axi_ar_valid_o,
  input  logic                    m_axi_ar_ready_i,
  output logic [2:0]              m_axi_ar_id_o,
  output logic [31:0]             m_axi_ar_addr_o,
  output logic [7:0]              m_axi_ar_len_o,
  output logic [2:0]              m_axi_ar_size_o,
  output logic [1:0]              m_axi_ar_burst_o,
  output logic [3:0]              m_axi_ar_cache_o,
  output logic [2:0]              m_axi_ar_prot_o,
  input  logic                    m_axi_r_valid_i,
  output logic                    m_axi_r_ready_o,
  input  logic [2:0]              m_axi_r_id_i,
  input  logic [(8<<LOG_BUS)-1:0] m_axi_r_data_i,
  input  logic [1:0]              m_axi_r_resp_i,
  input  logic                    m_axi_r_last_i,
  output logic                    m_axi_aw_valid_o,
  input  logic                    m_axi_aw_ready_i,
  output logic [2:0]              m_axi_aw_id_o,
  output logic [31:0]             m_axi_aw_addr_o,
  output logic [7:0]              m_axi_aw_len_o,
  output logic [2:0]              m_axi_aw_size_o,
  output logic [1:0]              m_axi_aw_burst_o,
  output logic [3:0]              m_axi_aw_cache_o,
  output logic [2:0]              m_axi_aw_prot_o,
  output logic                    m_axi_w_valid_o,
  input  logic                    m_axi_w_ready_i,
  output logic [(8<<LOG_BUS)-1:0] m_axi_w_data_o,
  output logic [(1<<LOG_BUS)-1:0] m_axi_w_strb_o,
  output logic                    m_axi_w_last_o,
  input  logic                    m_axi_b_valid_i,
  output logic                    m_axi_b_ready_o,
  input  logic [1:0]              m_axi_b_resp_i,
  // AXI-Lite slave
  input  logic                    s_axil_aw_valid_i,
  output logic                    s_axil_aw_ready_o,
  input  logic [11:0]             s_axil_aw_addr_i,
  input  logic                    s_axil_w_valid_i,
  output logic                    s_axil_w_ready_o,
  input  logic [31:0]             s_axil_w_data_i,
  output logic                    s_axil_b_valid_o,
  input  logic                    s_axil_b_ready_i,
  output logic [1:0]              s_axil_b_resp_o,
  input  logic                    s_axil_ar_valid_i,
  output logic                    s_axil_ar_ready_o,
  input  logic [11:0]             s_axil_ar_addr_i,
  output logic                    s_axil_r_valid_o,
  input  logic                    s_axil_r_ready_i,
  output logic [31:0]             s_axil_r_data_o,
  output logic [1:0]              s_axil_r_resp_o
);
  localparam int unsigned Batch = 1 << LOG_BATCH;
  localparam int unsigned BlockIn = 1 << LOG_BLOCK_IN;
  localparam int unsigned BlockOut = 1 << LOG_BLOCK_OUT;
  localparam int unsigned LogInpBytes = LOG_BATCH + LOG_BLOCK_IN;
  localparam int unsigned LogWgtBytes = LOG_BLOCK_IN + LOG_BLOCK_OUT;
  localparam int unsigned LogOutBytes = LOG_BATCH + LOG_BLOCK_OUT;
  localparam int unsigned LogAccBytes = LogOutBytes + 2;
  localparam int unsigned InpBits = 8 << LogInpBytes;
  localparam int unsigned WgtBits = 8 << LogWgtBytes;
  localparam int unsigned AccBits = 8 << LogAccBytes;
  localparam int unsigned OutBits = 8 << LogOutBytes;
  localparam int unsigned Counters = 34;
  localparam int unsigned LogQueue = 9; // instructions that wait for a unit
  localparam int unsigned LogAhead = 2; // stores that compute sees
  localparam int unsigned LogSlots = 4; // instructions in compute's window

  // ---- control ----
  logic rst, clear, launch, running, halt, finish;
  logic [31:0] count, insn_base, uop_base, inp_base, wgt_base, acc_base, out_base, watchdog, taken;
  logic [3:0] error, source;
  logic read_idle, store_idle, read_error;
  logic [47:0] token_counts;
  logic [1:0] acc_writes;
  logic [5:0] counter_index;
  logic [31:0] counter;
  assign rst = rst_i || clear;
  assign halt = !running;
  vta_regs #(
    .LOG_BUS(LOG_BUS),
    .COUNTERS(Counters)
  ) u_regs (
    .clk_i, .rst_i,
    .aw_valid_i(s_axil_aw_valid_i), .aw_ready_o(s_axil_aw_ready_o), .aw_addr_i(s_axil_aw_addr_i),
    .w_valid_i(s_axil_w_valid_i), .w_ready_o(s_axil_w_ready_o), .w_data_i(s_axil_w_data_i),
    .b_valid_o(s_axil_b_valid_o), .b_ready_i(s_axil_b_ready_i), .b_resp_o(s_axil_b_resp_o),
    .ar_valid_i(s_axil_ar_valid_i), .ar_ready_o(s_axil_ar_ready_o), .ar_addr_i(s_axil_ar_addr_i),
    .r_valid_o(s_axil_r_valid_o), .r_ready_i(s_axil_r_ready_i), .r_data_o(s_axil_r_data_o),
    .r_resp_o(s_axil_r_resp_o),
    .launch_o(launch), .running_o(running), .clear_o(clear), .idle_i(read_idle && store_idle), .count_o(count),
    .insn_base_o(insn_base),
    .uop_base_o(uop_base), .inp_base_o(inp_base), .wgt_base_o(wgt_base), .acc_base_o(acc_base), .out_base_o(out_base),
    .watchdog_o(watchdog), .finish_i(finish), .error_i(error), .source_i(source), .taken_i(taken), .tokens_i(token_counts),
    .acc_writes_i(acc_writes), .counter_o(counter_index), .counter_i(counter)
  );

  // ---- the read channel: 0 fetch, 1 micro-ops, 2 ACC, 3 INP, 4 WGT ----
  logic [4:0] ar_valid, ar_ready, r_valid, r_ready;
  logic [5*32-1:0] ar_addr;
  logic [5*8-1:0] ar_len;
  vta_axi_read #(
    .CLIENTS(5)
  ) u_read (
    .clk_i, .rst_i(rst), .stop_i(halt), .idle_o(read_idle), .valid_i(ar_valid), .ready_o(ar_ready), .addr_i(ar_addr),
    .len_i(ar_len),
    .ar_valid_o(m_axi_ar_valid_o), .ar_ready_i(m_axi_ar_ready_i), .ar_addr_o(m_axi_ar_addr_o),
    .ar_len_o(m_axi_ar_len_o), .ar_id_o(m_axi_ar_id_o),
    .r_valid_i(m_axi_r_valid_i), .r_ready_o(m_axi_r_ready_o), .r_id_i(m_axi_r_id_i), .r_last_i(m_axi_r_last_i),
    .r_valid_o(r_valid),
    .r_ready_i(r_ready)
  );
  assign read_error = m_axi_r_resp_i != '0;
  assign m_axi_ar_size_o = 3'(LOG_BUS);
  assign m_axi_ar_burst_o = 2'b01;
  assign m_axi_ar_cache_o = 4'b0011; // normal memory that is not cached, and may be buffered
  assign m_axi_ar_prot_o = 3'b000;
  assign m_axi_aw_size_o = 3'(LOG_BUS);
  assign m_axi_aw_burst_o = 2'b01;
  assign m_axi_aw_cache_o = 4'b0011;
  assign m_axi_aw_prot_o = 3'b000;
  assign m_axi_aw_id_o = '0;

  // ---- fetch and the units' queues ----
  logic wrong_end, fetch_bus, fetch_busy, fetch_starved, illegal;
  logic [127:0] insn, load_insn, compute_insn, store_insn;
  logic load_in, load_in_ready, compute_in, compute_in_ready, store_in, store_in_ready;
  logic load_valid, load_ready, compute_valid, compute_ready, store_valid, store_ready;
  logic [LogQueue:0] load_count, compute_count, store_count;
  logic ahead_in, ahead_in_ready;
  logic [127:0] ahead_insn;
  logic [(1<<LogAhead)-1:0] ahead_valid, ahead_push;
  logic [(1<<LogAhead)*(LOG_ACC+1)-1:0] ahead_lo, ahead_hi;
  logic [LogAhead-1:0] ahead_first;
  vta_fetch #(
    .LOG_BUS(LOG_BUS), .LOG_ACC(LOG_ACC)
  ) u_fetch (
    .clk_i, .rst_i(rst), .launch_i(launch), .halt_i(halt), .base_i(insn_base), .count_i(count), .busy_o(fetch_busy),
    .starved_o(fetch_starved),
    .illegal_o(illegal), .end_error_o(wrong_end), .bus_error_o(fetch_bus), .r_error_i(read_error), .taken_o(taken),
    .ar_valid_o(ar_valid[0]), .ar_ready_i(ar_ready[0]),
    .ar_addr_o(ar_addr[0 +: 32]), .ar_len_o(ar_len[0 +: 8]), .r_valid_i(r_valid[0]), .r_ready_o(r_ready[0]),
    .r_data_i(m_axi_r_data_i), .insn_o(insn), .load_valid_o(load_in), .load_ready_i(load_in_ready),
    .compute_valid_o(compute_in), .compute_ready_i(compute_in_ready), .store_valid_o(store_in),
    .store_ready_i(store_in_ready)
  );
  vta_fifo #(.WIDTH(128), .LOG_DEPTH(LogQueue)) u_load_queue (
    .clk_i, .rst_i(rst), .valid_i(load_in), .ready_o(load_in_ready), .data_i(insn), .valid_o(load_valid),
    .ready_i(load_ready), .data_o(load_insn), .count_o(load_count)
  );
  vta_fifo #(.WIDTH(128), .LOG_DEPTH(LogQueue)) u_compute_queue (
    .clk_i, .rst_i(rst), .valid_i(compute_in), .ready_o(compute_in_ready), .data_i(insn), .valid_o(compute_valid),
    .ready_i(compute_ready), .data_o(compute_insn), .count_o(compute_count)
  );
  vta_fifo #(.WIDTH(128), .LOG_DEPTH(LogQueue)) u_store_queue (
    .clk_i, .rst_i(rst), .valid_i(store_in), .ready_o(store_in_ready), .data_i(insn), .valid_o(ahead_in),
    .ready_i(ahead_in_ready), .data_o(ahead_insn), .count_o(store_count)
  );
  vta_ahead #(.LOG_DEPTH(LOG_ACC), .LOG_SLOTS(LogAhead)) u_ahead (
    .clk_i, .rst_i(rst), .valid_i(ahead_in), .ready_o(ahead_in_ready), .insn_i(ahead_insn), .valid_o(store_valid),
    .ready_i(store_ready), .insn_o(store_insn), .valid_each_o(ahead_valid), .push_each_o(ahead_push),
    .lo_each_o(ahead_lo), .hi_each_o(ahead_hi), .first_o(ahead_first)
  );

  // ---- tokens: load to compute, compute to load, compute to store, store to compute ----
  logic [3:0] token_push, token_pop, token_some, token_full;
  for (genvar n = 0; n < 4; n++) begin : gen_tokens
    vta_token #(.WIDTH(12)) u_token (
      .clk_i, .rst_i(rst), .push_i(token_push[n]), .pop_i(token_pop[n]), .some_o(token_some[n]),
      .full_o(token_full[n]), .count_o(token_counts[n*12 +: 12])
    );
  end

  // ---- load ----
  logic [1:0] load_range, load_bus; // WGT, INP
  logic load_busy, load_wait, load_start, load_retire, inp_done, inp_starved, wgt_done, wgt_starved;
  logic inp_we, wgt_we;
  logic [LOG_INP-1:0] inp_waddr;
  logic [LOG_WGT-1:0] wgt_waddr;
  logic [InpBits-1:0] inp_wdata;
  logic [WgtBits-1:0] wgt_wdata;
  vta_load #(
    .LOG_BUS(LOG_BUS), .LOG_INP_BYTES(LogInpBytes), .LOG_WGT_BYTES(LogWgtBytes), .LOG_INP(LOG_INP), .LOG_WGT(LOG_WGT)
  ) u_load (
    .clk_i, .rst_i(rst), .halt_i(halt), .inp_base_i(inp_base), .wgt_base_i(wgt_base), .valid_i(load_valid),
    .ready_o(load_ready), .insn_i(load_insn), .token_i(token_some[1]), .token_pop_o(token_pop[1]),
    .full_i(token_full[0]), .token_push_o(token_push[0]), .busy_o(load_busy), .wait_token_o(load_wait),
    .start_o(load_start), .retire_o(load_retire), .inp_done_o(inp_done), .inp_starved_o(inp_starved),
    .wgt_done_o(wgt_done), .wgt_starved_o(wgt_starved),
    .range_error_o(load_range), .bus_error_o(load_bus), .r_error_i(read_error),
    .inp_ar_valid_o(ar_valid[3]), .inp_ar_ready_i(ar_ready[3]), .inp_ar_addr_o(ar_addr[96 +: 32]),
    .inp_ar_len_o(ar_len[24 +: 8]), .inp_r_valid_i(r_valid[3]), .inp_r_ready_o(r_ready[3]),
    .wgt_ar_valid_o(ar_valid[4]), .wgt_ar_ready_i(ar_ready[4]), .wgt_ar_addr_o(ar_addr[128 +: 32]),
    .wgt_ar_len_o(ar_len[32 +: 8]), .wgt_r_valid_i(r_valid[4]), .wgt_r_ready_o(r_ready[4]),
    .r_data_i(m_axi_r_data_i), .r_last_i(m_axi_r_last_i), .inp_we_o(inp_we), .inp_waddr_o(inp_waddr),
    .inp_wdata_o(inp_wdata), .wgt_we_o(wgt_we), .wgt_waddr_o(wgt_waddr), .wgt_wdata_o(wgt_wdata)
  );

  // ---- compute: control ----
  logic compute_busy, wait_prev, wait_next, wait_hazard, compute_start, retire, finished, compute_range;
  logic [2:0] compute_engine;
  logic zero_in, zero_busy, zero_done;
  logic [LOG_ACC:0] zero_first, zero_past;
  logic [LogSlots-1:0] compute_slot, next_count;
  logic store_go, store_waits;
  logic [127:0] uop_insn, acc_insn;
  logic scan_re, uop_valid, uop_ready, uop_done, accl_valid, accl_ready, accl_done;
  logic gemm_in, gemm_in_ready, gemm_done, alu_in, alu_in_ready, alu_done, use_imm;
  logic [LOG_UOP-1:0] scan_addr, uop_begin;
  logic [LOG_UOP:0] uop_end;
  logic [31:0] scan_uop;
  logic [13:0] iter_out, iter_in;
  logic [95:0] factors;
  logic [2:0] alu_op;
  logic [15:0] imm;
  assign next_count = (token_counts[47:36] > 12'((1 << LogSlots) - 1)) ? '1 : token_counts[36 +: LogSlots];
  assign store_waits = store_insn[`VTA_INSN_POP_PREV];
  vta_compute #(
    .LOG_UOP(LOG_UOP), .LOG_INP(LOG_INP), .LOG_WGT(LOG_WGT), .LOG_ACC(LOG_ACC), .LOG_SLOTS(LogSlots),
    .AHEAD(1 << LogAhead)
  ) u_compute (
    .clk_i, .rst_i(rst), .halt_i(halt), .valid_i(compute_valid), .ready_o(compute_ready), .insn_i(compute_insn),
    .finish_o(finished), .prev_token_i(token_some[0]), .prev_pop_o(token_pop[0]), .next_token_i(token_some[3]),
    .next_count_i(next_count), .store_valid_i(ahead_valid), .store_push_i(ahead_push), .store_lo_i(ahead_lo),
    .store_hi_i(ahead_hi), .store_first_i(ahead_first), .store_done_i(store_valid && store_ready),
    .store_pops_i(store_waits), .store_pop_i(store_start && store_waits), .store_token_i(token_some[2]),
    .store_go_o(store_go),
    .next_pop_o(token_pop[3]), .prev_full_i(token_full[1]), .prev_push_o(token_push[1]), .next_full_i(token_full[2]),
    .next_push_o(token_push[2]), .busy_o(compute_busy), .wait_prev_o(wait_prev), .wait_next_o(wait_next),
    .wait_hazard_o(wait_hazard), .start_o(compute_start), .slot_o(compute_slot), .engine_o(compute_engine),
    .retire_o(retire),
    .range_error_o(compute_range), .scan_re_o(scan_re),
    .scan_addr_o(scan_addr), .scan_uop_i(scan_uop), .uop_valid_o(uop_valid), .uop_insn_o(uop_insn), .uop_ready_i(uop_ready),
    .uop_done_i(uop_done), .acc_valid_o(accl_valid), .acc_insn_o(acc_insn), .acc_ready_i(accl_ready), .acc_done_i(accl_done),
    .gemm_valid_o(gemm_in), .gemm_ready_i(gemm_in_ready), .gemm_done_i(gemm_done), .alu_valid_o(alu_in),
    .alu_ready_i(alu_in_ready), .alu_done_i(alu_done), .zero_valid_o(zero_in), .zero_first_o(zero_first),
    .zero_past_o(zero_past), .zero_ready_i(!zero_busy), .zero_done_i(zero_done), .begin_o(uop_begin), .end_o(uop_end),
    .iter_out_o(iter_out),
    .iter_in_o(iter_in), .factors_o(factors), .alu_op_o(alu_op), .use_imm_o(use_imm),
    .imm_o(imm)
  );

  // ---- compute: loads ----
  logic uop_busy, uop_starved, uop_range, uop_bus, uop_we, uop_walt;
  logic acc_busy, acc_starved, acc_range, acc_bus, acc_lwe, acc_lready, acc_lalt;
  logic [LOG_UOP-1:0] uop_waddr;
  logic [31:0] uop_wdata;
  logic [LOG_ACC-1:0] acc_lwaddr;
  logic [AccBits-1:0] acc_ldata, acc_lwdata;
  vta_load_engine #(
    .LOG_BUS(LOG_BUS), .LOG_ELEM(2), .LOG_ALT(2), .LOG_DEPTH(LOG_UOP)
  ) u_uop_load (
    .clk_i, .rst_i(rst), .base_i(uop_base), .valid_i(uop_valid), .ready_o(uop_ready), .alt_i(1'b0),
    .insn_i(uop_insn), .done_o(uop_done), .busy_o(uop_busy), .starved_o(uop_starved), .range_error_o(uop_range),
    .bus_error_o(uop_bus), .r_error_i(read_error), .ar_valid_o(ar_valid[1]),
    .ar_ready_i(ar_ready[1]), .ar_addr_o(ar_addr[32 +: 32]), .ar_len_o(ar_len[8 +: 8]), .r_valid_i(r_valid[1]),
    .r_ready_o(r_ready[1]), .r_data_i(m_axi_r_data_i), .r_last_i(m_axi_r_last_i), .we_o(uop_we), .wready_i(1'b1),
    .walt_o(uop_walt), .waddr_o(uop_waddr), .wdata_o(uop_wdata)
  );
  vta_load_engine #(
    .LOG_BUS(LOG_BUS), .LOG_ELEM(LogAccBytes), .LOG_ALT(LogOutBytes), .LOG_DEPTH(LOG_ACC)
  ) u_acc_load (
    .clk_i, .rst_i(rst), .base_i(acc_base), .valid_i(accl_valid), .ready_o(accl_ready),
    .alt_i(acc_insn[`VTA_MOVE_MEMORY] == vta_pkg::MemAcc8), .insn_i(acc_insn), .done_o(accl_done), .busy_o(acc_busy),
    .starved_o(acc_starved),
    .range_error_o(acc_range), .bus_error_o(acc_bus), .r_error_i(read_error), .ar_valid_o(ar_valid[2]),
    .ar_ready_i(ar_ready[2]), .ar_addr_o(ar_addr[64 +: 32]),
    .ar_len_o(ar_len[16 +: 8]), .r_valid_i(r_valid[2]), .r_ready_o(r_ready[2]), .r_data_i(m_axi_r_data_i),
    .r_last_i(m_axi_r_last_i), .we_o(acc_lwe), .wready_i(acc_lready), .walt_o(acc_lalt), .waddr_o(acc_lwaddr),
    .wdata_o(acc_ldata)
  );
  always_comb begin
    acc_lwdata = acc_ldata;
    if (acc_lalt) begin
      for (int unsigned l = 0; l < Batch * BlockOut; l++) acc_lwdata[l*32 +: 32] = 32'($signed(acc_ldata[l*8 +: 8]));
    end
  end

  // ---- compute: engines, each with a short queue ----
  localparam int unsigned LoopWidth = LOG_UOP + LOG_UOP + 1 + 28 + 96;
  logic gemm_valid, gemm_ready, gemm_busy, gemm_step, gemm_range;
  logic alu_valid, alu_ready, alu_busy, alu_step, alu_stall, alu_range;
  logic [LoopWidth-1:0] loops, gemm_loops, alu_loops;
  logic [19:0] alu_what;
  logic [2:0] gemm_count, alu_count;
  assign loops = {factors, iter_in, iter_out, uop_end, uop_begin};
  vta_fifo #(.WIDTH(LoopWidth), .LOG_DEPTH(2)) u_gemm_queue (
    .clk_i, .rst_i(rst), .valid_i(gemm_in), .ready_o(gemm_in_ready), .data_i(loops),
    .valid_o(gemm_valid), .ready_i(gemm_ready), .data_o(gemm_loops), .count_o(gemm_count)
  );
  vta_fifo #(.WIDTH(LoopWidth + 20), .LOG_DEPTH(2)) u_alu_queue (
    .clk_i, .rst_i(rst), .valid_i(alu_in), .ready_o(alu_in_ready), .data_i({alu_op, use_imm, imm, loops}),
    .valid_o(alu_valid), .ready_i(alu_ready), .data_o({alu_what, alu_loops}), .count_o(alu_count)
  );

  logic gemm_uop_re, inp_re, wgt_re, gemm_re, gemm_we, alu_uop_re, dst_re, dst_grant, src_re, alu_we;
  logic [LOG_UOP-1:0] gemm_uop_addr, alu_uop_addr;
  logic [31:0] gemm_uop, alu_uop;
  logic [LOG_INP-1:0] inp_addr;
  logic [LOG_WGT-1:0] wgt_addr;
  logic [InpBits-1:0] inp_data;
  logic [WgtBits-1:0] wgt_data;
  logic [LOG_ACC-1:0] gemm_raddr, gemm_waddr, dst_raddr, src_raddr, alu_waddr;
  logic [AccBits-1:0] gemm_rdata, gemm_wdata, dst_rdata, src_rdata, alu_wdata;
  vta_gemm #(
    .BATCH(Batch), .BLOCK_IN(BlockIn), .BLOCK_OUT(BlockOut), .LOG_UOP(LOG_UOP), .LOG_INP(LOG_INP), .LOG_WGT(LOG_WGT),
    .LOG_ACC(LOG_ACC)
  ) u_gemm (
    .clk_i, .rst_i(rst), .valid_i(gemm_valid), .ready_o(gemm_ready), .begin_i(gemm_loops[LOG_UOP-1:0]),
    .end_i(gemm_loops[LOG_UOP +: LOG_UOP+1]), .iter_out_i(gemm_loops[2*LOG_UOP+1 +: 14]),
    .iter_in_i(gemm_loops[2*LOG_UOP+15 +: 14]), .factors_i(gemm_loops[2*LOG_UOP+29 +: 96]),
    .busy_o(gemm_busy), .done_o(gemm_done), .step_o(gemm_step), .range_error_o(gemm_range), .uop_re_o(gemm_uop_re),
    .uop_addr_o(gemm_uop_addr), .uop_i(gemm_uop), .inp_re_o(inp_re), .inp_addr_o(inp_addr), .inp_i(inp_data),
    .wgt_re_o(wgt_re), .wgt_addr_o(wgt_addr), .wgt_i(wgt_data), .acc_re_o(gemm_re), .acc_raddr_o(gemm_raddr),
    .acc_i(gemm_rdata), .acc_we_o(gemm_we), .acc_waddr_o(gemm_waddr), .acc_wdata_o(gemm_wdata)
  );
  vta_alu #(
    .LANES(Batch * BlockOut), .LOG_UOP(LOG_UOP), .LOG_INP(LOG_INP), .LOG_ACC(LOG_ACC)
  ) u_alu (
    .clk_i, .rst_i(rst), .valid_i(alu_valid), .ready_o(alu_ready), .begin_i(alu_loops[LOG_UOP-1:0]),
    .end_i(alu_loops[LOG_UOP +: LOG_UOP+1]), .iter_out_i(alu_loops[2*LOG_UOP+1 +: 14]),
    .iter_in_i(alu_loops[2*LOG_UOP+15 +: 14]), .factors_i(alu_loops[2*LOG_UOP+29 +: 96]), .op_i(alu_what[19:17]),
    .use_imm_i(alu_what[16]), .imm_i(alu_what[15:0]), .busy_o(alu_busy), .done_o(alu_done), .step_o(alu_step),
    .stall_o(alu_stall), .range_error_o(alu_range), .uop_re_o(alu_uop_re), .uop_addr_o(alu_uop_addr),
    .uop_i(alu_uop), .dst_re_o(dst_re), .dst_raddr_o(dst_raddr), .dst_grant_i(dst_grant), .dst_i(dst_rdata),
    .src_re_o(src_re), .src_raddr_o(src_raddr), .src_i(src_rdata), .acc_we_o(alu_we), .acc_waddr_o(alu_waddr),
    .acc_wdata_o(alu_wdata)
  );

  // ---- memories; micro-ops three times, a copy for each reader, which the window keeps apart from loads ----
  vta_ram #(.WIDTH(32), .LOG_DEPTH(LOG_UOP), .APART(1'b1)) u_uop_gemm (
    .clk_i, .we_i(uop_we), .waddr_i(uop_waddr), .wdata_i(uop_wdata), .re_i(gemm_uop_re), .raddr_i(gemm_uop_addr),
    .zero_i(1'b0), .rdata_o(gemm_uop)
  );
  vta_ram #(.WIDTH(32), .LOG_DEPTH(LOG_UOP), .APART(1'b1)) u_uop_alu (
    .clk_i, .we_i(uop_we), .waddr_i(uop_waddr), .wdata_i(uop_wdata), .re_i(alu_uop_re), .raddr_i(alu_uop_addr),
    .zero_i(1'b0), .rdata_o(alu_uop)
  );
  vta_ram #(.WIDTH(32), .LOG_DEPTH(LOG_UOP), .APART(1'b1)) u_uop_scan (
    .clk_i, .we_i(uop_we), .waddr_i(uop_waddr), .wdata_i(uop_wdata), .re_i(scan_re), .raddr_i(scan_addr),
    .zero_i(1'b0), .rdata_o(scan_uop)
  );
  vta_ram #(.WIDTH(InpBits), .LOG_DEPTH(LOG_INP)) u_inp (
    .clk_i, .we_i(inp_we), .waddr_i(inp_waddr), .wdata_i(inp_wdata), .re_i(inp_re), .raddr_i(inp_addr),
    .zero_i(1'b0), .rdata_o(inp_data)
  );
  vta_ram #(.WIDTH(WgtBits), .LOG_DEPTH(LOG_WGT)) u_wgt (
    .clk_i, .we_i(wgt_we), .waddr_i(wgt_waddr), .wdata_i(wgt_wdata), .re_i(wgt_re), .raddr_i(wgt_addr),
    .zero_i(1'b0), .rdata_o(wgt_data)
  );
  logic store_re;
  logic [LOG_ACC-1:0] store_raddr;
  logic [OutBits-1:0] store_rdata;
  vta_acc #(.WIDTH(AccBits), .LOG_ACC(LOG_ACC)) u_acc (
    .clk_i, .rst_i(rst), .gemm_re_i(gemm_re), .gemm_raddr_i(gemm_raddr), .gemm_rdata_o(gemm_rdata),
    .gemm_we_i(gemm_we), .gemm_waddr_i(gemm_waddr), .gemm_wdata_i(gemm_wdata), .dst_re_i(dst_re),
    .dst_raddr_i(dst_raddr), .dst_grant_o(dst_grant), .dst_rdata_o(dst_rdata), .src_re_i(src_re),
    .src_raddr_i(src_raddr), .src_rdata_o(src_rdata), .alu_we_i(alu_we), .alu_waddr_i(alu_waddr),
    .alu_wdata_i(alu_wdata), .load_we_i(acc_lwe), .load_ready_o(acc_lready), .load_waddr_i(acc_lwaddr),
    .load_wdata_i(acc_lwdata), .zero_i(zero_in), .zero_first_i(zero_first),
    .zero_past_i(zero_past), .zero_busy_o(zero_busy), .zero_done_o(zero_done), .store_re_i(store_re),
    .store_raddr_i(store_raddr), .store_rdata_o(store_rdata)
  );
  assign acc_writes = 2'(gemm_we) + 2'(alu_we);

  // ---- store ----
  logic store_busy, store_wait, store_wait_done, store_start, store_range, write_error;
  vta_store #(
    .LOG_BUS(LOG_BUS), .LOG_ELEM(LogOutBytes), .LOG_DEPTH(LOG_ACC)
  ) u_store (
    .clk_i, .rst_i(rst), .halt_i(halt), .base_i(out_base), .valid_i(store_valid), .ready_o(store_ready),
    .insn_i(store_insn), .token_i(token_some[2]), .token_pop_o(token_pop[2]), .go_i(store_go), .full_i(token_full[3]),
    .token_push_o(token_push[3]), .busy_o(store_busy), .wait_token_o(store_wait),
    .wait_done_o(store_wait_done), .start_o(store_start), .range_error_o(store_range),
    .bus_error_o(write_error), .idle_o(store_idle), .re_o(store_re), .raddr_o(store_raddr), .rdata_i(store_rdata),
    .aw_valid_o(m_axi_aw_valid_o), .aw_ready_i(m_axi_aw_ready_i), .aw_addr_o(m_axi_aw_addr_o),
    .aw_len_o(m_axi_aw_len_o), .w_valid_o(m_axi_w_valid_o), .w_ready_i(m_axi_w_ready_i), .w_data_o(m_axi_w_data_o),
    .w_strb_o(m_axi_w_strb_o), .w_last_o(m_axi_w_last_o), .b_valid_i(m_axi_b_valid_i), .b_ready_o(m_axi_b_ready_o),
    .b_resp_i(m_axi_b_resp_i)
  );

  // ---- the end, and errors ----
  // Done when FINISH has retired and no unit has anything left. The watchdog runs while nothing moves.
  logic finished_q, moved;
  logic [31:0] idle_q;
  assign moved = (m_axi_r_valid_i && m_axi_r_ready_o) || (m_axi_w_valid_o && m_axi_w_ready_i) || retire || gemm_we ||
                 alu_we || inp_we || wgt_we || uop_we || acc_lwe || zero_busy || launch;
  always_comb begin
    error = vta_pkg::ErrNone;
    source = vta_pkg::SrcNone;
    if (idle_q >= watchdog && watchdog != '0) error = vta_pkg::ErrWatchdog;
    if (compute_range || store_range || alu_range || gemm_range || load_range != '0 || acc_range || uop_range ||
        write_error || load_bus != '0 || acc_bus || uop_bus || fetch_bus || wrong_end || illegal) begin
      if (compute_range) {error, source} = {vta_pkg::ErrRange, vta_pkg::SrcCompute};
      if (store_range) {error, source} = {vta_pkg::ErrRange, vta_pkg::SrcStore};
      if (alu_range) {error, source} = {vta_pkg::ErrRange, vta_pkg::SrcAlu};
      if (gemm_range) {error, source} = {vta_pkg::ErrRange, vta_pkg::SrcGemm};
      if (load_range[1]) {error, source} = {vta_pkg::ErrRange, vta_pkg::SrcWgt};
      if (load_range[0]) {error, source} = {vta_pkg::ErrRange, vta_pkg::SrcInp};
      if (acc_range) {error, source} = {vta_pkg::ErrRange, vta_pkg::SrcAcc};
      if (uop_range) {error, source} = {vta_pkg::ErrRange, vta_pkg::SrcUop};
      if (write_error) {error, source} = {vta_pkg::ErrWrite, vta_pkg::SrcStore};
      if (load_bus[1]) {error, source} = {vta_pkg::ErrRead, vta_pkg::SrcWgt};
      if (load_bus[0]) {error, source} = {vta_pkg::ErrRead, vta_pkg::SrcInp};
      if (acc_bus) {error, source} = {vta_pkg::ErrRead, vta_pkg::SrcAcc};
      if (uop_bus) {error, source} = {vta_pkg::ErrRead, vta_pkg::SrcUop};
      if (fetch_bus) {error, source} = {vta_pkg::ErrRead, vta_pkg::SrcFetch};
      if (wrong_end) {error, source} = {vta_pkg::ErrEnd, vta_pkg::SrcFetch};
      if (illegal) {error, source} = {vta_pkg::ErrIllegal, vta_pkg::SrcFetch};
    end
    if (!running) error = vta_pkg::ErrNone;
  end
  assign finish = running && ((finished_q && !load_busy && !load_valid && !store_busy && !store_valid) ||
                              error != vta_pkg::ErrNone);
  always_ff @(posedge clk_i) begin
    if (rst || launch) finished_q <= 1'b0;
    else if (finished) finished_q <= 1'b1;
    if (rst || moved) idle_q <= '0;
    else if (running) idle_q <= idle_q + 1'b1;
  end

  // ---- what happens in this cycle: src/runtime/counters.def has the same lists ----
  // Arrays, not vectors: each is used alone, which is quicker to simulate.
  logic computes, no_data;
  logic counts [0:Counters-1];
  logic [31:0] counter_q [0:Counters-1];
  assign computes = gemm_busy || alu_busy;
  assign no_data = !m_axi_r_valid_i;
  always_comb begin
    counts[0] = fetch_busy;
    counts[1] = fetch_starved && no_data;
    counts[2] = fetch_starved && !no_data;
    counts[3] = load_busy;
    counts[4] = load_wait;
    counts[5] = (inp_starved || wgt_starved) && no_data;
    counts[6] = (inp_starved || wgt_starved) && !no_data;
    counts[7] = compute_busy;
    counts[8] = fetch_busy && !compute_valid;
    counts[9] = wait_prev;
    counts[10] = wait_next;
    counts[11] = wait_hazard;
    counts[12] = (uop_starved || acc_starved) && no_data;
    counts[13] = (uop_starved || acc_starved) && !no_data;
    counts[14] = uop_busy;
    counts[15] = acc_busy;
    counts[16] = gemm_busy;
    counts[17] = gemm_step;
    counts[18] = alu_busy;
    counts[19] = alu_step;
    counts[20] = alu_stall;
    counts[21] = zero_busy;
    counts[22] = store_busy;
    counts[23] = store_wait;
    counts[24] = store_wait_done;
    counts[25] = (m_axi_w_valid_o && !m_axi_w_ready_i) || (m_axi_aw_valid_o && !m_axi_aw_ready_i);
    counts[26] = load_busy && computes;
    counts[27] = store_busy && computes;
    counts[28] = load_busy && store_busy;
    counts[29] = alu_busy && gemm_busy;
    counts[30] = m_axi_r_valid_i && m_axi_r_ready_o;
    counts[31] = m_axi_ar_valid_o && !m_axi_ar_ready_i;
    counts[32] = m_axi_r_valid_i && !m_axi_r_ready_o;
    counts[33] = m_axi_w_valid_o && m_axi_w_ready_i;
  end
  always_ff @(posedge clk_i) begin
    if (rst_i || launch) begin
      for (int unsigned n = 0; n < Counters; n++) counter_q[n] <= '0;
    end else if (running) begin
      for (int unsigned n = 0; n < Counters; n++) begin
        if (counts[n]) counter_q[n] <= counter_q[n] + 1'b1;
      end
    end
  end
  always_comb begin
    counter = '0;
    if (counter_index != '1) begin
      for (int unsigned n = 0; n < Counters; n++) begin
        if (counter_index == 6'(n)) counter = counter_q[n];
      end
    end
  end

`ifndef SYNTHESIS
  // Where instructions are: the harness looks at this, and at the counts, for timelines.
  logic [3:0] signals [0:27];
  always_comb begin
    signals[0] = 4'(running);
    signals[1] = 4'((load_in && load_in_ready) || (compute_in && compute_in_ready) || (store_in && store_in_ready));
    signals[2] = 4'(load_valid);
    signals[3] = 4'(load_start);
    signals[4] = 4'(load_ready && load_valid);
    signals[5] = 4'(load_retire);
    signals[6] = 4'(inp_done);
    signals[7] = 4'(inp_starved);
    signals[8] = 4'(wgt_done);
    signals[9] = 4'(wgt_starved);
    signals[10] = 4'(compute_valid);
    signals[11] = 4'(compute_start);
    signals[12] = 4'(compute_engine);
    signals[13] = 4'(compute_ready && compute_valid);
    signals[14] = 4'(retire);
    signals[15] = 4'(uop_done);
    signals[16] = 4'(uop_starved);
    signals[17] = 4'(accl_done);
    signals[18] = 4'(acc_starved);
    signals[19] = 4'(gemm_valid && gemm_ready);
    signals[20] = 4'(gemm_done);
    signals[21] = 4'(alu_valid && alu_ready);
    signals[22] = 4'(alu_done);
    signals[23] = 4'(zero_done);
    signals[24] = 4'(store_valid);
    signals[25] = 4'(store_start);
    signals[26] = 4'(store_ready && store_valid);
    signals[27] = compute_slot;
  end
`endif

  logic unused;
  assign unused = ^{load_count, compute_count, store_count, gemm_count, alu_count, uop_walt};

  // ---- what the bus may rely on ----
  // A request or a beat that is shown stays as it is until it is taken, and no burst crosses 4 KiB. For the
  // assertions alone:
  logic ar_waits_q, aw_waits_q, w_waits_q;
  logic [42:0] ar_was_q;
  logic [39:0] aw_was_q;
  logic [(9<<LOG_BUS):0] w_was_q;
  always_ff @(posedge clk_i) begin
    ar_waits_q <= !rst && m_axi_ar_valid_o && !m_axi_ar_ready_i;
    aw_waits_q <= !rst && m_axi_aw_valid_o && !m_axi_aw_ready_i;
    w_waits_q <= !rst && m_axi_w_valid_o && !m_axi_w_ready_i;
    if (!m_axi_ar_ready_i) ar_was_q <= {m_axi_ar_id_o, m_axi_ar_addr_o, m_axi_ar_len_o};
    if (!m_axi_aw_ready_i) aw_was_q <= {m_axi_aw_addr_o, m_axi_aw_len_o};
    if (!m_axi_w_ready_i) w_was_q <= {m_axi_w_data_o, m_axi_w_strb_o, m_axi_w_last_o};
  end
  always_ff @(posedge clk_i) begin
    if (!rst_i) begin
      if (ar_waits_q) assert (m_axi_ar_valid_o && {m_axi_ar_id_o, m_axi_ar_addr_o, m_axi_ar_len_o} == ar_was_q);
      if (aw_waits_q) assert (m_axi_aw_valid_o && {m_axi_aw_addr_o, m_axi_aw_len_o} == aw_was_q);
      if (w_waits_q) assert (m_axi_w_valid_o && {m_axi_w_data_o, m_axi_w_strb_o, m_axi_w_last_o} == w_was_q);
      if (m_axi_ar_valid_o) assert (32'(m_axi_ar_addr_o[11:0]) + ((32'(m_axi_ar_len_o) + 32'd1) << LOG_BUS) <= 32'd4096);
      if (m_axi_aw_valid_o) assert (32'(m_axi_aw_addr_o[11:0]) + ((32'(m_axi_aw_len_o) + 32'd1) << LOG_BUS) <= 32'd4096);
      if (alu_we) assert (!gemm_we || gemm_waddr != alu_waddr);
    end
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// The store unit: OUT rows to DRAM. Addresses go ahead of data; OUT is read ahead; a beat a cycle.
`include "vta_isa.svh"
module vta_store #(
  parameter int unsigned LOG_BUS = 3,
  parameter int unsigned LOG_ELEM = 4,
  parameter int unsigned LOG_DEPTH = 11
) (
  input  logic                     clk_i,
  input  logic                     rst_i,
  input  logic                     halt_i,
  input  logic [31:0]              base_i,
  input  logic                     valid_i,
  output logic                     ready_o,
  input  logic [127:0]             insn_i,
  input  logic                     token_i,     // compute to store
  output logic                     token_pop_o,
  input  logic                     go_i,        // compute has nothing that must come before
  input  logic                     full_i,      // store to compute
  output logic                     token_push_o,
  output logic                     busy_o,
  output logic                     wait_token_o, // its own, or what compute must do before
  output logic                     wait_done_o, // everything is handed over, responses are missing
  output logic                     start_o,     // an instruction starts, its token taken
  output logic                     range_error_o,
  output logic                     bus_error_o,  // BRESP, or an address of more than 32 bits
  output logic                     idle_o,       // nothing is under way on the bus
  output logic                     re_o,
  output logic [LOG_DEPTH-1:0]     raddr_o,
  input  logic [(8<<LOG_ELEM)-1:0] rdata_i,
  output logic                     aw_valid_o,
  input  logic                     aw_ready_i,
  output logic [31:0]              aw_addr_o,
  output logic [7:0]               aw_len_o,
  output logic                     w_valid_o,
  input  logic                     w_ready_i,
  output logic [(8<<LOG_BUS)-1:0]  w_data_o,
  output logic [(1<<LOG_BUS)-1:0]  w_strb_o,
  output logic                     w_last_o,
  input  logic                     b_valid_i,
  output logic                     b_ready_o,
  input  logic [1:0]               b_resp_i
);
  logic clk; // the gated clock: see the end
  localparam int unsigned BusBits = 8 << LOG_BUS;
  localparam int unsigned ElemBits = 8 << LOG_ELEM;
  localparam int unsigned BusBytes = 1 << LOG_BUS;
  localparam int unsigned ElemBytes = 1 << LOG_ELEM;
  localparam int unsigned BeatsWidth = 17 + LOG_ELEM;

  logic [15:0] sram_base, x_size, y_size, x_stride;
  logic [31:0] dram_base;
  assign sram_base = insn_i[`VTA_MOVE_SRAM_BASE];
  assign dram_base = insn_i[`VTA_MOVE_DRAM_BASE];
  assign y_size = insn_i[`VTA_MOVE_Y_SIZE];
  assign x_size = insn_i[`VTA_MOVE_X_SIZE];
  assign x_stride = insn_i[`VTA_MOVE_X_STRIDE];

  // ---- control: an instruction at a time ----
  logic run_q, nothing, start, finished, retire, pop_prev, push_prev;
  logic [15:0] arow_q, drow_q, col_q;   // rows of addresses and of data; column of data
  logic [33:0] aindex_q;
  logic [16:0] at_q;                    // OUT element to read next, relative
  assign nothing = x_size == '0 || y_size == '0;
  assign pop_prev = insn_i[`VTA_INSN_POP_PREV];
  assign push_prev = insn_i[`VTA_INSN_PUSH_PREV];
  assign start = valid_i && !run_q && !halt_i && (!pop_prev || token_i) && go_i;
  assign token_pop_o = start && pop_prev;
  assign retire = run_q && finished && !(push_prev && full_i);
  assign token_push_o = retire && push_prev;
  assign ready_o = retire;
  assign busy_o = run_q;
  assign wait_token_o = valid_i && !run_q && !halt_i && !start;
  assign start_o = start;
  always_ff @(posedge clk) begin
    if (rst_i) run_q <= 1'b0;
    else if (start) run_q <= 1'b1;
    else if (retire) run_q <= 1'b0;
  end

  // ---- addresses ----
  logic row_left, row_valid, beyond, burst_ready, burst_valid, lens_ready, lens_valid, lens_pop, sent;
  logic [47:0] row_addr, row_last;
  logic [31:0] row_bytes;
  logic [BeatsWidth-1:0] row_beats;
  assign beyond = row_last[47:32] != '0;
  assign row_left = run_q && !nothing && !halt_i && arow_q != y_size;
  assign row_valid = row_left && !beyond;
  always_comb begin
    {row_addr, row_last} = '0;
    row_bytes = '0;
    row_beats = '0;
    if (row_left) begin
      row_addr = (48'(aindex_q) << LOG_ELEM) + 48'(base_i);
      row_bytes = 32'(x_size) << LOG_ELEM;
      row_beats = BeatsWidth'((32'(row_addr[LOG_BUS-1:0]) + row_bytes + 32'(BusBytes - 1)) >> LOG_BUS);
      row_last = row_addr + 48'(row_bytes) - 1'b1;
    end
  end
  always_ff @(posedge clk) begin
    if (start) begin
      arow_q <= '0;
      aindex_q <= 34'(dram_base);
    end else if (row_valid && burst_ready) begin
      arow_q <= arow_q + 1'b1;
      aindex_q <= aindex_q + 34'(x_stride);
    end
  end
  vta_burst #(
    .LOG_BUS(LOG_BUS),
    .BEATS_WIDTH(BeatsWidth)
  ) u_burst (
    .clk_i(clk), .rst_i, .valid_i(row_valid), .ready_o(burst_ready),
    .addr_i({row_addr[31:LOG_BUS], {LOG_BUS{1'b0}}}), .beats_i(row_beats),
    .valid_o(burst_valid), .ready_i(aw_ready_i && lens_ready), .addr_o(aw_addr_o), .len_o(aw_len_o)
  );
  assign aw_valid_o = burst_valid && lens_ready;
  assign sent = aw_valid_o && aw_ready_i;

  logic [7:0] len;
  logic [3:0] lens_count;
  vta_fifo #(
    .WIDTH(8),
    .LOG_DEPTH(3)
  ) u_lens (
    .clk_i(clk), .rst_i, .valid_i(sent), .ready_o(lens_ready), .data_i(aw_len_o),
    .valid_o(lens_valid), .ready_i(lens_pop), .data_o(len), .count_o(lens_count)
  );

  // Bursts without their response yet.
  logic [15:0] open_q;
  always_ff @(posedge clk) begin
    if (rst_i) open_q <= '0;
    else open_q <= open_q + 16'(sent) - 16'(b_valid_i);
  end
  assign b_ready_o = 1'b1;
  assign bus_error_o = (b_valid_i && b_resp_i != '0) || (row_left && beyond);
  assign idle_o = !burst_valid && !lens_valid && !full_q && open_q == '0;

  // ---- OUT, read ahead ----
  logic [16:0] raddr;
  logic [33:0] total, read_q;
  logic read_left, reading_q, elem_valid, elem_pop, elem_ready, room;
  logic [2:0] elems;
  logic [ElemBits-1:0] elem;
  assign total = run_q ? 34'(x_size) * 34'(y_size) : '0;
  assign read_left = run_q && !nothing && read_q != total;
  assign raddr = 17'(sram_base) + at_q;
  assign room = elems + 3'(reading_q) < 3'd4;
  assign range_error_o = read_left && raddr >= 17'(1 << LOG_DEPTH);
  assign re_o = read_left && room && !range_error_o;
  assign raddr_o = raddr[LOG_DEPTH-1:0];
  always_ff @(posedge clk) begin
    if (rst_i) reading_q <= 1'b0;
    else reading_q <= re_o;
    if (start) begin
      read_q <= '0;
      at_q <= '0;
    end else if (re_o) begin
      read_q <= read_q + 1'b1;
      at_q <= at_q + 1'b1;
    end
  end
  vta_fifo #(
    .WIDTH(ElemBits),
    .LOG_DEPTH(2)
  ) u_elems (
    .clk_i(clk), .rst_i, .valid_i(reading_q), .ready_o(elem_ready), .data_i(rdata_i),
    .valid_o(elem_valid), .ready_i(elem_pop), .data_o(elem), .count_o(elems)
  );

  // ---- beats ----
  // A beat is made in w_*_q and goes when the bus takes it. Elements narrower than a beat gather in it.
  localparam int unsigned LogParts = (LOG_ELEM > LOG_BUS) ? LOG_ELEM - LOG_BUS : 1;
  logic w_valid_q, w_last_q, beat_free, beat_end, put, row_end;
  logic [BusBits-1:0] w_data_q, data;
  logic [BusBytes-1:0] w_strb_q, strb;
  logic [7:0] beat_q; // beats of the burst that are complete
  logic [LogParts-1:0] part_q;
  logic [33:0] dindex_q;
  logic full_q;       // w_data_q is a complete beat
  assign beat_free = !full_q || w_ready_i;
  assign row_end = col_q + 1'b1 == x_size;
  // When the core has stopped, the beats that the bus was promised still go, without a byte enabled.
  assign put = (halt_i || (run_q && elem_valid)) && lens_valid && beat_free;
  if (LOG_ELEM > LOG_BUS) begin : gen_parts
    assign elem_pop = put && part_q == '1;
    assign beat_end = 1'b1;
    always_comb begin
      data = elem[32'(part_q)*BusBits +: BusBits];
      strb = '1;
    end
  end else if (LOG_ELEM == LOG_BUS) begin : gen_equal
    assign elem_pop = put;
    assign beat_end = 1'b1;
    assign data = elem;
    assign strb = '1;
  end else begin : gen_lanes
    logic [LOG_BUS-LOG_ELEM-1:0] lane;
    logic [31:0] lane_index;
    assign lane_index = 32'(dindex_q) + 32'(col_q);
    assign lane = lane_index[LOG_BUS-LOG_ELEM-1:0];
    assign elem_pop = put;
    assign beat_end = lane == '1 || row_end || halt_i;
    always_comb begin
      data = w_data_q;
      data[32'(lane)*ElemBits +: ElemBits] = elem;
      strb = full_q ? '0 : w_strb_q;
      strb[32'(lane)*ElemBytes +: ElemBytes] = '1;
    end
  end
  assign lens_pop = put && beat_end && beat_q == len;
  always_ff @(posedge clk) begin
    if (rst_i) begin
      full_q <= 1'b0;
      part_q <= '0;
      beat_q <= '0;
      w_strb_q <= '0;
    end else begin
      if (full_q && w_ready_i) begin
        full_q <= 1'b0;
        w_strb_q <= '0;
      end
      if (put) begin
        w_data_q <= data;
        w_strb_q <= halt_i ? '0 : strb;
        full_q <= beat_end;
        if (beat_end) beat_q <= (beat_q == len) ? '0 : beat_q + 1'b1;
        w_last_q <= beat_q == len;
        part_q <= part_q + 1'b1;
      end
    end
    if (start) begin
      col_q <= '0;
      drow_q <= '0;
      dindex_q <= 34'(dram_base);
      if (LOG_ELEM <= LOG_BUS) part_q <= '0;
    end else if (elem_pop) begin
      col_q <= row_end ? '0 : col_q + 1'b1;
      if (row_end) begin
        drow_q <= drow_q + 1'b1;
        dindex_q <= dindex_q + 34'(x_stride);
      end
    end
  end
  assign w_valid_q = full_q;
  assign w_valid_o = w_valid_q;
  assign w_data_o = w_data_q;
  assign w_strb_o = w_strb_q;
  assign w_last_o = w_last_q;

  // Done: all rows of data handed over, and every burst acknowledged.
  assign finished = nothing || (drow_q == y_size && arow_q == y_size && !burst_valid && open_q == '0 && !full_q);

  assign wait_done_o = run_q && !finished && drow_q == y_size && !full_q;

  logic unused;
  assign unused = ^{insn_i, row_last[31:0], lens_count};

  always_ff @(posedge clk) begin
    if (!rst_i && reading_q) assert (elem_ready);
    if (!rst_i && start) assert (open_q == '0);
    if (!rst_i && b_valid_i) assert (open_q != '0);
    if (!rst_i && token_pop_o) assert (token_i);
    if (!rst_i && token_push_o) assert (!full_i);
  end

  // Whether anything changes with the next edge.
  logic changes;
  assign changes = rst_i || start || run_q || !idle_o || elem_valid || reading_q || b_valid_i;
  vta_gate u_gate (.clk_i, .en_i(changes), .clk_o(clk));
endmodule

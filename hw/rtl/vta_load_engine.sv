// SPDX-License-Identifier: Apache-2.0
// Loads a padded rectangle from DRAM into one on-chip memory. The request side walks rows and issues bursts, the
// response side walks the padded rectangle and writes an element a cycle; up to four instructions are between them.
`include "vta_isa.svh"
module vta_load_engine #(
  parameter int unsigned LOG_BUS = 3,    // bytes of a beat, log2
  parameter int unsigned LOG_ELEM = 4,   // bytes of an element in DRAM, log2
  parameter int unsigned LOG_ALT = 4,    // the same for instructions with alt_i
  parameter int unsigned LOG_DEPTH = 11, // elements of the memory, log2
  parameter int unsigned LOG_OUTSTANDING = 4, // bursts, log2, of 128 beats in all
  parameter int unsigned LOG_BEATS = 6   // beats that wait for their turn, log2
) (
  input  logic                     clk_i,
  input  logic                     rst_i,
  input  logic [31:0]              base_i,
  input  logic                     valid_i,
  output logic                     ready_o,
  input  logic                     alt_i,
  input  logic [127:0]             insn_i, // a LOAD with x_size > 0
  output logic                     done_o, // an instruction is completely in the memory, in order
  output logic                     busy_o,
  output logic                     starved_o, // the next element is not here yet
  output logic                     range_error_o, // of the oldest instruction, which then goes no further
  output logic                     bus_error_o,   // the same, by RRESP or an address of more than 32 bits
  output logic                     ar_valid_o,
  input  logic                     ar_ready_i,
  output logic [31:0]              ar_addr_o,
  output logic [7:0]               ar_len_o,
  input  logic                     r_valid_i,
  output logic                     r_ready_o,
  input  logic [(8<<LOG_BUS)-1:0]  r_data_i,
  input  logic                     r_error_i,
  input  logic                     r_last_i,
  output logic                     we_o,
  input  logic                     wready_i,
  output logic                     walt_o,
  output logic [LOG_DEPTH-1:0]     waddr_o,
  output logic [(8<<LOG_ELEM)-1:0] wdata_o // with walt_o the element is in the lowest bits
);
  logic clk; // the gated clock: see the end
  localparam int unsigned BusBits = 8 << LOG_BUS;
  localparam int unsigned ElemBits = 8 << LOG_ELEM;
  localparam int unsigned AltBits = 8 << LOG_ALT;
  localparam int unsigned BeatsWidth = 17 + LOG_ELEM;

  // ---- requests: a row in two cycles, then a burst a cycle ----
  logic [15:0] x_size, y_size, x_stride;
  assign y_size = insn_i[`VTA_MOVE_Y_SIZE];
  assign x_size = insn_i[`VTA_MOVE_X_SIZE];
  assign x_stride = insn_i[`VTA_MOVE_X_STRIDE];

  logic [15:0] row_q;      // rows whose bursts have been handed on
  logic [33:0] index_q;    // DRAM index of the row
  logic active_q;
  logic rows_left, pend_ready, row_ready, take;
  logic [4:0] shift;
  logic [47:0] row_addr, row_end;
  logic [31:0] row_bytes;
  logic [BeatsWidth-1:0] row_beats;
  logic burst_valid, burst_ready, burst_room, beyond;

  // What an engine does with an instruction stands under the condition that it has one: it is quicker to simulate.
  assign shift = alt_i ? 5'(LOG_ALT) : 5'(LOG_ELEM);
  always_comb begin
    {row_addr, row_end} = '0;
    row_bytes = '0;
    row_beats = '0;
    if (active_q) begin
      row_addr = (48'(index_q) << shift) + 48'(base_i);
      row_bytes = 32'(x_size) << shift;
      row_beats = BeatsWidth'((32'(row_addr[LOG_BUS-1:0]) + row_bytes + 32'((1 << LOG_BUS) - 1)) >> LOG_BUS);
      row_end = row_addr + 48'(row_bytes) - 1'b1;
    end
  end
  assign beyond = row_end[47:32] != '0;
  assign rows_left = row_q != y_size;
  assign row_ready = active_q && rows_left;
  assign take = active_q && !rows_left && pend_ready;
  assign ready_o = take;

  always_ff @(posedge clk) begin
    if (rst_i) begin
      active_q <= 1'b0;
    end else if (!active_q) begin
      active_q <= valid_i;
      row_q <= '0;
      index_q <= 34'(insn_i[`VTA_MOVE_DRAM_BASE]);
    end else if (row_ready && !beyond && burst_ready) begin
      row_q <= row_q + 1'b1;
      index_q <= index_q + 34'(x_stride);
    end else if (take) begin
      active_q <= 1'b0;
    end
  end

  vta_burst #(
    .LOG_BUS(LOG_BUS),
    .BEATS_WIDTH(BeatsWidth)
  ) u_burst (
    .clk_i(clk), .rst_i,
    .valid_i(row_ready && !beyond), .ready_o(burst_ready),
    .addr_i({row_addr[31:LOG_BUS], {LOG_BUS{1'b0}}}), .beats_i(row_beats),
    .valid_o(burst_valid), .ready_i(ar_ready_i && burst_room), .addr_o(ar_addr_o), .len_o(ar_len_o)
  );

  // Many bursts may be outstanding where rows are short, but few beats, so that a client that starts late need not wait for
  // all of a long load.
  localparam logic [7:0] MostBeats = 8'd128;
  logic [LOG_OUTSTANDING:0] bursts_q;
  logic [7:0] beats_q; // of them that have not come
  logic sent, came;
  assign burst_room = !bursts_q[LOG_OUTSTANDING] && beats_q <= MostBeats - 8'd32;
  assign ar_valid_o = burst_valid && burst_room;
  assign sent = ar_valid_o && ar_ready_i;
  assign came = r_valid_i && r_ready_o && r_last_i;

  // Beats wait here while padding is written, not on the bus.
  logic d_valid, d_ready, d_error;
  logic [BusBits-1:0] d_data;
  logic [LOG_BEATS:0] d_count;
  vta_fifo #(
    .WIDTH(BusBits + 1),
    .LOG_DEPTH(LOG_BEATS)
  ) u_beats (
    .clk_i(clk), .rst_i, .valid_i(r_valid_i), .ready_o(r_ready_o), .data_i({r_error_i, r_data_i}), .valid_o(d_valid),
    .ready_i(d_ready), .data_o({d_error, d_data}), .count_o(d_count)
  );
  always_ff @(posedge clk) begin
    if (rst_i) bursts_q <= '0;
    else if (sent && !came) bursts_q <= bursts_q + 1'b1;
    else if (came && !sent) bursts_q <= bursts_q - 1'b1;
    if (rst_i) beats_q <= '0;
    else if (sent || r_valid_i) beats_q <= beats_q + (sent ? ar_len_o + 1'b1 : 8'd0) - 8'(r_valid_i && r_ready_o);
  end

  // ---- responses ----
  // The response side may start before the last burst is requested: it gets the instruction first.
  logic given_q, start_valid, start_ready, pend_valid;
  logic [128:0] pend;
  assign start_valid = active_q && !given_q;
  assign pend_ready = given_q || start_ready;
  always_ff @(posedge clk) begin
    if (rst_i) given_q <= 1'b0;
    else if (take) given_q <= 1'b0;
    else if (start_valid && start_ready) given_q <= 1'b1;
  end

  logic walk_done;
  logic [2:0] pend_count;
  vta_fifo #(
    .WIDTH(129),
    .LOG_DEPTH(2)
  ) u_pend (
    .clk_i(clk), .rst_i,
    .valid_i(start_valid), .ready_o(start_ready), .data_i({alt_i, insn_i}),
    .valid_o(pend_valid), .ready_i(walk_done), .data_o(pend), .count_o(pend_count)
  );

  logic [15:0] p_base, p_ysize, p_xsize, p_stride;
  logic [31:0] p_dram;
  logic [3:0] p_y0, p_y1, p_x0, p_x1;
  logic p_alt;
  assign p_alt = pend[128];
  assign p_base = pend[`VTA_MOVE_SRAM_BASE];
  assign p_dram = pend[`VTA_MOVE_DRAM_BASE];
  assign p_ysize = pend[`VTA_MOVE_Y_SIZE];
  assign p_xsize = pend[`VTA_MOVE_X_SIZE];
  assign p_stride = pend[`VTA_MOVE_X_STRIDE];
  assign p_y0 = pend[`VTA_MOVE_Y_PAD0];
  assign p_y1 = pend[`VTA_MOVE_Y_PAD1];
  assign p_x0 = pend[`VTA_MOVE_X_PAD0];
  assign p_x1 = pend[`VTA_MOVE_X_PAD1];

  logic [16:0] r_q, c_q, height, width;
  logic [16:0] at_q; // writes so far, stops counting when it passes the end
  logic [16:0] waddr;
  logic pad, last_column, last_row, last_data, elem_valid, write, range_error, empty;
  always_comb begin
    {height, width, waddr} = '0;
    {pad, last_column, last_row, last_data} = '0;
    if (pend_valid) begin
      height = 17'(p_y0) + 17'(p_ysize) + 17'(p_y1);
      width = 17'(p_x0) + 17'(p_xsize) + 17'(p_x1);
      pad = r_q < 17'(p_y0) || r_q >= 17'(p_y0) + 17'(p_ysize) || c_q < 17'(p_x0) || c_q >= 17'(p_x0) + 17'(p_xsize);
      last_column = c_q + 1'b1 == width;
      last_row = r_q + 1'b1 == height;
      last_data = c_q + 1'b1 == 17'(p_x0) + 17'(p_xsize);
      waddr = 17'(p_base) + at_q;
    end
  end
  assign empty = height == '0;
  assign range_error = pend_valid && !empty && (waddr >= 17'(1 << LOG_DEPTH) || waddr < at_q);
  assign write = pend_valid && !empty && !range_error && (pad || elem_valid);
  assign walk_done = pend_valid && (empty || (write && wready_i && last_column && last_row));
  assign we_o = write;
  assign waddr_o = waddr[LOG_DEPTH-1:0];
  assign walt_o = p_alt;
  assign done_o = walk_done;
  assign range_error_o = range_error;
  assign busy_o = pend_valid || valid_i;

  always_ff @(posedge clk) begin
    if (rst_i || walk_done) begin
      r_q <= '0;
      c_q <= '0;
      at_q <= '0;
    end else if (write && wready_i) begin
      at_q <= at_q + 1'b1;
      c_q <= last_column ? '0 : c_q + 1'b1;
      if (last_column) r_q <= r_q + 1'b1;
    end
  end

  // DRAM position within a beat, for elements narrower than it.
  logic need;
  logic [ElemBits-1:0] element;
  assign need = pend_valid && !empty && !pad && !range_error;
  assign starved_o = need && !d_valid;
  assign wdata_o = element;

  localparam int unsigned LogMost = (LOG_ELEM > LOG_BUS) ? LOG_ELEM - LOG_BUS : 1;
  localparam int unsigned LogLanes = (LOG_BUS > LOG_ALT) ? LOG_BUS - LOG_ALT : 1;
  logic [LogMost-1:0] beat_q;          // beats of the element that have come
  logic [LogLanes-1:0] lane_q;         // next element of this beat
  logic fresh_q;                       // at the start of a row
  logic [31:0] row_index;              // DRAM index of the row whose elements come
  logic [LogLanes-1:0] lane, lane_mask;
  logic wide, elem_last_beat, lane_end;
  logic [ElemBits-1:0] gathered_q, gathered, narrow;

  assign wide = p_alt ? (LOG_ALT >= LOG_BUS) : (LOG_ELEM >= LOG_BUS);
  always_comb begin
    logic [LogMost-1:0] most;
    most = '0;
    if (p_alt && LOG_ALT > LOG_BUS) most = LogMost'((1 << (LOG_ALT > LOG_BUS ? LOG_ALT - LOG_BUS : 0)) - 1);
    if (!p_alt && LOG_ELEM > LOG_BUS) most = LogMost'((1 << (LOG_ELEM > LOG_BUS ? LOG_ELEM - LOG_BUS : 0)) - 1);
    elem_last_beat = beat_q == most;
  end
  always_comb begin
    lane_mask = '0;
    if (p_alt && LOG_BUS > LOG_ALT) lane_mask = LogLanes'((1 << (LOG_BUS > LOG_ALT ? LOG_BUS - LOG_ALT : 0)) - 1);
    if (!p_alt && LOG_BUS > LOG_ELEM) lane_mask = LogLanes'((1 << (LOG_BUS > LOG_ELEM ? LOG_BUS - LOG_ELEM : 0)) - 1);
  end
  // The base registers are aligned to beats, so the index alone says where in a beat an element is.
  assign lane = fresh_q ? (LogLanes'(row_index) & lane_mask) : lane_q;
  assign lane_end = lane == lane_mask || last_data;
  assign elem_valid = d_valid && !d_error && (!wide || elem_last_beat);
  assign bus_error_o = need && (d_valid ? d_error : (row_ready && beyond && !burst_valid && bursts_q == '0));
  assign d_ready = need && !d_error && (wide ? (!elem_last_beat || wready_i) : (wready_i && lane_end));

  if (ElemBits > BusBits) begin : gen_gather
    always_comb begin
      gathered = '0;
      if (d_valid && need) begin
        gathered = gathered_q;
        gathered[32'(beat_q)*BusBits +: BusBits] = d_data;
      end
    end
  end else begin : gen_pass
    assign gathered = d_data[ElemBits-1:0];
  end
  always_ff @(posedge clk) begin
    if (d_valid && d_ready) gathered_q <= gathered;
  end

  localparam int unsigned NarrowBits = (ElemBits < BusBits) ? ElemBits : BusBits;
  localparam int unsigned NarrowAlt = (AltBits < BusBits) ? AltBits : BusBits;
  always_comb begin
    narrow = '0;
    if (p_alt) narrow[NarrowAlt-1:0] = d_data[(32'(lane)*AltBits)%BusBits +: NarrowAlt];
    else narrow[NarrowBits-1:0] = d_data[(32'(lane)*ElemBits)%BusBits +: NarrowBits];
  end
  always_comb begin
    element = '0;
    if (d_valid && need) element = wide ? gathered : narrow;
  end

  always_ff @(posedge clk) begin
    if (rst_i || walk_done) begin
      beat_q <= '0;
      fresh_q <= 1'b1;
      lane_q <= '0;
    end else if (d_valid && need && wide && d_ready) begin
      beat_q <= elem_last_beat ? '0 : beat_q + 1'b1;
    end else if (d_valid && need && !d_error && !wide && wready_i) begin
      lane_q <= (lane + 1'b1) & lane_mask;
      fresh_q <= last_data;
    end
  end

  // The index of the row whose elements come, from the instruction and the rows behind us.
  logic [15:0] data_row_q;
  always_ff @(posedge clk) begin
    if (rst_i || walk_done) begin
      data_row_q <= '0;
    end else if (write && wready_i && !pad && last_data) begin
      data_row_q <= data_row_q + 1'b1;
    end
  end
  assign row_index = pend_valid ? p_dram + 32'(data_row_q) * 32'(p_stride) : '0;

  logic unused;
  assign unused = ^{d_count, pend, pend_count, row_end[31:0]};

  always_ff @(posedge clk) begin
    if (!rst_i) begin
      if (came) assert (bursts_q != '0);
      if (sent) assert (!bursts_q[LOG_OUTSTANDING] && 9'(beats_q) + 9'(ar_len_o) < 9'(MostBeats));
      if (r_valid_i) assert (beats_q != '0);
      if (write) assert (waddr < 17'(1 << LOG_DEPTH));
      if (active_q) assert (row_q <= y_size);
    end
  end

  // Whether anything changes with the next edge.
  logic changes;
  assign changes = rst_i || valid_i || active_q || pend_valid || bursts_q != '0 || burst_valid || r_valid_i || d_valid;
  vta_gate u_gate (.clk_i, .en_i(changes), .clk_o(clk));
endmodule

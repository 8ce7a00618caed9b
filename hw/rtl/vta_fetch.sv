// SPDX-License-Identifier: Apache-2.0
// Reads instructions ahead, as far as its buffer has room, and hands one a cycle to the queue of its unit.
`include "vta_isa.svh"
module vta_fetch #(
  parameter int unsigned LOG_BUS = 3,
  parameter int unsigned LOG_BUFFER = 6, // beats, log2
  parameter int unsigned LOG_ACC = 11
) (
  input  logic                    clk_i,
  input  logic                    rst_i,
  input  logic                    launch_i, // one cycle
  input  logic                    halt_i,
  input  logic [31:0]             base_i,   // aligned to beats
  input  logic [31:0]             count_i,
  output logic                    busy_o,
  output logic                    starved_o, // there is nothing to hand on
  output logic                    illegal_o,
  output logic                    end_error_o, // FINISH is not the last one, or the last one not FINISH
  output logic                    bus_error_o,
  output logic [31:0]             taken_o,  // instructions handed on
  output logic                    ar_valid_o,
  input  logic                    ar_ready_i,
  output logic [31:0]             ar_addr_o,
  output logic [7:0]              ar_len_o,
  input  logic                    r_valid_i,
  output logic                    r_ready_o,
  input  logic [(8<<LOG_BUS)-1:0] r_data_i,
  input  logic                    r_error_i,
  output logic [127:0]            insn_o,
  output logic                    load_valid_o,
  input  logic                    load_ready_i,
  output logic                    compute_valid_o,
  input  logic                    compute_ready_i,
  output logic                    store_valid_o,
  input  logic                    store_ready_i
);
  logic clk; // the gated clock: see the end
  localparam int unsigned BusBits = 8 << LOG_BUS;
  localparam int unsigned MaxBeats = 16;

  logic burst_valid, burst_ready, room;
  logic [35:0] bytes;
  logic [31:0] beats;
  assign bytes = {count_i, 4'd0} + 36'((1 << LOG_BUS) - 1);
  assign beats = 32'(bytes >> LOG_BUS);
  vta_burst #(
    .LOG_BUS(LOG_BUS),
    .MAX_BEATS(MaxBeats),
    .BEATS_WIDTH(32)
  ) u_burst (
    .clk_i(clk), .rst_i,
    .valid_i(launch_i && count_i != '0), .ready_o(burst_ready), .addr_i(base_i), .beats_i(beats),
    .valid_o(burst_valid), .ready_i(ar_ready_i && room), .addr_o(ar_addr_o), .len_o(ar_len_o)
  );

  // Beats asked for and not yet consumed must fit the buffer: the read channel never waits for us.
  logic [LOG_BUFFER:0] reserved_q, buffered;
  logic buffer_ready, beat_valid, beat_ready, beat_error, sent;
  logic [BusBits-1:0] beat;
  assign room = reserved_q <= (LOG_BUFFER + 1)'((1 << LOG_BUFFER) - MaxBeats) && !halt_i;
  assign ar_valid_o = burst_valid && room;
  assign sent = ar_valid_o && ar_ready_i;
  always_ff @(posedge clk) begin
    if (rst_i) reserved_q <= '0;
    else reserved_q <= reserved_q + (sent ? (LOG_BUFFER + 1)'(ar_len_o) + 1'b1 : '0) -
                       (LOG_BUFFER + 1)'(beat_valid && beat_ready);
  end
  vta_fifo #(
    .WIDTH(BusBits + 1),
    .LOG_DEPTH(LOG_BUFFER)
  ) u_buffer (
    .clk_i(clk), .rst_i,
    .valid_i(r_valid_i), .ready_o(buffer_ready), .data_i({r_error_i, r_data_i}),
    .valid_o(beat_valid), .ready_i(beat_ready), .data_o({beat_error, beat}), .count_o(buffered)
  );
  assign r_ready_o = 1'b1;

  // Beats to instructions: `part_q` counts beats of an instruction, or instructions of a beat.
  logic [3:0] part_q, parts_last;
  logic [31:0] left_q;
  logic insn_valid, insn_ready, last_part;
  if (LOG_BUS < 4) begin : gen_narrow
    logic [127-BusBits:0] low_q; // the parts before the last
    assign parts_last = 4'((16 >> LOG_BUS) - 1);
    always_ff @(posedge clk) begin
      if (beat_valid && beat_ready) low_q <= (128 - BusBits)'({beat, low_q} >> BusBits);
    end
    assign insn_o = {beat, low_q};
    assign last_part = part_q == parts_last;
    assign insn_valid = beat_valid && last_part && !halt_i && !beat_error;
    assign beat_ready = (!last_part || insn_ready) && !halt_i && !beat_error;
  end else begin : gen_wide
    assign parts_last = 4'((1 << (LOG_BUS - 4)) - 1);
    assign insn_o = beat[32'(part_q)*128 +: 128];
    assign last_part = part_q == parts_last;
    assign insn_valid = beat_valid && !halt_i && !beat_error;
    assign beat_ready = insn_ready && insn_valid && (last_part || left_q == 32'd1);
  end
  logic step;
  assign step = (LOG_BUS < 4) ? beat_valid && beat_ready : insn_valid && insn_ready;
  always_ff @(posedge clk) begin
    if (rst_i || launch_i) part_q <= '0;
    else if (step) part_q <= last_part ? '0 : part_q + 1'b1;
  end
  logic [31:0] taken_q;
  always_ff @(posedge clk) begin
    if (rst_i) begin
      left_q <= '0;
      taken_q <= '0;
    end else if (launch_i) begin
      left_q <= count_i;
      taken_q <= '0;
    end else if (insn_valid && insn_ready) begin
      left_q <= left_q - 1'b1;
      taken_q <= taken_q + 1'b1;
    end
  end
  assign busy_o = left_q != '0;
  assign starved_o = busy_o && !beat_valid;
  assign taken_o = taken_q;

  // Routing does not look at sizes: see vta-isa, section 3. A store of nothing may name any memory.
  logic [2:0] opcode, memory, alu_op;
  logic [15:0] x_size, y_size, pads;
  logic to_load, to_store, legal;
  assign opcode = insn_o[`VTA_INSN_OPCODE];
  assign memory = insn_o[`VTA_MOVE_MEMORY];
  assign x_size = insn_o[`VTA_MOVE_X_SIZE];
  assign y_size = insn_o[`VTA_MOVE_Y_SIZE];
  assign pads = {insn_o[`VTA_MOVE_X_PAD0], insn_o[`VTA_MOVE_X_PAD1], insn_o[`VTA_MOVE_Y_PAD0], insn_o[`VTA_MOVE_Y_PAD1]};
  assign to_load = opcode == vta_pkg::OpLoad && (memory == vta_pkg::MemInp || memory == vta_pkg::MemWgt);
  assign to_store = opcode == vta_pkg::OpStore;
  assign alu_op = insn_o[`VTA_ALU_ALU_OP];
  always_comb begin
    case (opcode)
      vta_pkg::OpLoad: legal = memory != vta_pkg::MemOut && memory <= vta_pkg::MemAcc8;
      vta_pkg::OpStore: begin
        legal = memory == vta_pkg::MemOut || (x_size == '0 && memory <= vta_pkg::MemAcc8);
        if (x_size != '0 && y_size != '0 && pads != '0) legal = 1'b0;
      end
      vta_pkg::OpGemm, vta_pkg::OpFinish: legal = 1'b1;
      vta_pkg::OpAlu: legal = alu_op <= vta_pkg::AluLast;
      default: legal = 1'b0;
    endcase
  end
  // An instruction that is refused is not handed on: `taken_o` are before it.
  logic none_q, beyond_q, fits;
  logic [36:0] stream_end;
  assign stream_end = 37'(base_i) + {1'b0, count_i, 4'd0};
  always_ff @(posedge clk) begin
    none_q <= launch_i && count_i == '0;
    beyond_q <= launch_i && stream_end > 37'h1_0000_0000; // no 32 bits of address
  end
  assign fits = (opcode == vta_pkg::OpFinish) == (left_q == 32'd1);
  assign illegal_o = insn_valid && !legal;
  assign end_error_o = (insn_valid && legal && !fits) || none_q;
  assign bus_error_o = (beat_valid && beat_error && !halt_i) || beyond_q;
  assign load_valid_o = insn_valid && legal && fits && to_load;
  assign store_valid_o = insn_valid && legal && fits && to_store;
  assign compute_valid_o = insn_valid && legal && fits && !to_load && !to_store;
  assign insn_ready = (load_valid_o && load_ready_i) || (store_valid_o && store_ready_i) ||
                      (compute_valid_o && compute_ready_i);

  logic unused;
  assign unused = ^{burst_ready, buffered};

  always_ff @(posedge clk) begin
    if (!rst_i && r_valid_i) assert (buffer_ready);
    if (!rst_i && busy_o) assert (reserved_q <= (LOG_BUFFER + 1)'(1 << LOG_BUFFER));
    if (!rst_i && busy_o) assert (32'(load_valid_o) + 32'(compute_valid_o) + 32'(store_valid_o) <= 32'd1);
  end

  // Whether anything changes with the next edge.
  logic changes;
  assign changes = rst_i || launch_i || busy_o || burst_valid || reserved_q != '0 || r_valid_i || none_q || beyond_q;
  vta_gate u_gate (.clk_i, .en_i(changes), .clk_o(clk));
endmodule

// SPDX-License-Identifier: Apache-2.0
// The accumulators, four banks of one read and one write port each. A row's bank is the exclusive or of all pairs of bits
// of its index: strides that are multiples of four spread too. GEMM always gets what it asks for; the
// ALU waits while a bank it needs is taken, and reads two rows of one bank one after the other (a row that it holds
// from the step before it does not read again). A write comes two cycles after its read, so writes never meet.
// A reset writes nothing: vta_zero marks its rows, 32 a cycle, and what is read of them is zero until they are written, so
// that the first accumulation, or whatever else comes first, starts from zero.
module vta_acc #(
  parameter int unsigned WIDTH = 512,
  parameter int unsigned LOG_ACC = 11
) (
  input  logic               clk_i,
  input  logic               rst_i,
  input  logic               gemm_re_i,
  input  logic [LOG_ACC-1:0] gemm_raddr_i,
  output logic [WIDTH-1:0]   gemm_rdata_o,
  input  logic               gemm_we_i,
  input  logic [LOG_ACC-1:0] gemm_waddr_i,
  input  logic [WIDTH-1:0]   gemm_wdata_i,
  input  logic               dst_re_i,
  input  logic [LOG_ACC-1:0] dst_raddr_i,
  output logic               dst_grant_o,
  output logic [WIDTH-1:0]   dst_rdata_o,
  input  logic               src_re_i,
  input  logic [LOG_ACC-1:0] src_raddr_i,
  output logic [WIDTH-1:0]   src_rdata_o,
  input  logic               alu_we_i,
  input  logic [LOG_ACC-1:0] alu_waddr_i,
  input  logic [WIDTH-1:0]   alu_wdata_i,
  input  logic               load_we_i,
  output logic               load_ready_o,
  input  logic [LOG_ACC-1:0] load_waddr_i,
  input  logic [WIDTH-1:0]   load_wdata_i,
  input  logic               zero_i,       // all rows from zero_first_i to before zero_past_i become zero
  input  logic [LOG_ACC:0]   zero_first_i,
  input  logic [LOG_ACC:0]   zero_past_i,  // above zero_first_i
  output logic               zero_busy_o,
  output logic               zero_done_o,
  input  logic               store_re_i,
  input  logic [LOG_ACC-1:0] store_raddr_i,
  output logic [WIDTH/4-1:0] store_rdata_o
);
  localparam int unsigned LogBanks = (LOG_ACC > 2) ? 2 : 1;
  localparam int unsigned Banks = 1 << LogBanks;
  localparam int unsigned LogRows = LOG_ACC - LogBanks;

  function automatic logic [LogBanks-1:0] bank_of(input logic [LOG_ACC-1:0] index);
    logic [15:0] folded;
    folded = 16'(index);
    for (int unsigned n = 8; n >= LogBanks; n = n / 2) folded = folded ^ (folded >> n);
    bank_of = folded[LogBanks-1:0];
  endfunction

  logic [LogBanks-1:0] gb, db, sb, gw, aw, lw, ob;
  assign gb = bank_of(gemm_raddr_i);
  assign db = bank_of(dst_raddr_i);
  assign sb = bank_of(src_raddr_i);
  assign gw = bank_of(gemm_waddr_i);
  assign aw = bank_of(alu_waddr_i);
  assign ob = bank_of(store_raddr_i);
  assign lw = bank_of(load_waddr_i);

  // The source row: held, the same as the destination, read beside it, or read a cycle before it.
  logic held_valid_q, held, same, dst_clash, src_clash, src_read, dst_read;
  logic [LOG_ACC-1:0] held_addr_q;
  assign dst_clash = gemm_re_i && gb == db;
  assign src_clash = gemm_re_i && gb == sb;
  assign same = src_raddr_i == dst_raddr_i;
  assign held = held_valid_q && held_addr_q == src_raddr_i;
  assign src_read = src_re_i && !same && !held && !src_clash;
  assign dst_read = dst_re_i && !dst_clash && !(src_read && sb == db);
  assign dst_grant_o = dst_read && (!src_re_i || same || held || src_read);

  // What is held is stale once it is written. (A write in flight is forwarded by the ALU itself.)
  always_ff @(posedge clk_i) begin
    if (rst_i || zero_i) begin
      held_valid_q <= 1'b0;
    end else begin
      if (src_read) held_valid_q <= 1'b1;
      if ((alu_we_i && alu_waddr_i == (src_read ? src_raddr_i : held_addr_q)) ||
          (gemm_we_i && gemm_waddr_i == (src_read ? src_raddr_i : held_addr_q)) ||
          (load_we_i && load_waddr_i == (src_read ? src_raddr_i : held_addr_q))) held_valid_q <= 1'b0;
    end
    if (src_read) held_addr_q <= src_raddr_i;
  end

  logic [Banks*WIDTH-1:0] rdata;
  logic [Banks*WIDTH/4-1:0] out_rdata;
  logic [Banks-1:0] load_taken, zero_busy;
  logic [LOG_ACC:0] zero_last;
  assign zero_last = zero_past_i - 1'b1;
  for (genvar n = 0; n < Banks; n++) begin : gen_bank
    logic re, we;
    logic [LogRows-1:0] raddr, waddr;
    logic [WIDTH-1:0] wdata;
    logic [WIDTH/4-1:0] low;
    logic by_gemm, by_alu, by_load, g_re, d_re;
    assign g_re = gemm_re_i && gb == LogBanks'(n);
    assign d_re = dst_read && db == LogBanks'(n);
    // Of four rows that differ in the lowest bits only, each is in another bank.
    logic [LogBanks-1:0] first_low, last_low;
    logic [LogRows:0] zero_first, zero_end;
    logic [LogRows-1:0] zero_final;
    logic zero, out_zero;
    assign first_low = LogBanks'(n) ^ bank_of({zero_first_i[LOG_ACC-1:LogBanks], {LogBanks{1'b0}}});
    assign last_low = LogBanks'(n) ^ bank_of({zero_last[LOG_ACC-1:LogBanks], {LogBanks{1'b0}}});
    assign zero_first = zero_first_i[LOG_ACC:LogBanks] + (LogRows + 1)'(first_low < zero_first_i[LogBanks-1:0]);
    assign zero_end = zero_last[LOG_ACC:LogBanks] + (LogRows + 1)'(last_low <= zero_last[LogBanks-1:0]);
    assign zero_final = zero_end[LogRows-1:0] - 1'b1;
    vta_zero #(
      .LOG_ROWS(LogRows)
    ) u_zero (
      .clk_i, .rst_i, .start_i(zero_i && zero_first < zero_end), .first_i(zero_first[LogRows-1:0]),
      .last_i(zero_final), .busy_o(zero_busy[n]), .we_i(we), .waddr_i(waddr), .raddr_i(raddr), .zero_o(zero),
      .oaddr_i(store_raddr_i[LOG_ACC-1:LogBanks]), .ozero_o(out_zero)
    );
    assign re = g_re || d_re || (src_read && sb == LogBanks'(n));
    assign raddr = g_re ? gemm_raddr_i[LOG_ACC-1:LogBanks] :
                   d_re ? dst_raddr_i[LOG_ACC-1:LogBanks] : src_raddr_i[LOG_ACC-1:LogBanks];
    assign by_gemm = gemm_we_i && gw == LogBanks'(n);
    assign by_alu = alu_we_i && aw == LogBanks'(n);
    assign load_taken[n] = by_gemm || by_alu;
    assign by_load = load_we_i && lw == LogBanks'(n);
    assign we = by_gemm || by_alu || by_load;
    assign waddr = by_gemm ? gemm_waddr_i[LOG_ACC-1:LogBanks] :
                   by_alu ? alu_waddr_i[LOG_ACC-1:LogBanks] : load_waddr_i[LOG_ACC-1:LogBanks];
    always_comb begin
      wdata = '0;
      low = '0;
      if (we) begin
        if (by_gemm) wdata = gemm_wdata_i;
        else if (by_alu) wdata = alu_wdata_i;
        else wdata = load_wdata_i;
        for (int unsigned l = 0; l < WIDTH / 32; l++) low[l*8 +: 8] = wdata[l*32 +: 8];
      end
    end
    vta_ram #(
      .WIDTH(WIDTH),
      .LOG_DEPTH(LogRows)
    ) u_acc (
      .clk_i, .we_i(we), .waddr_i(waddr), .wdata_i(wdata), .re_i(re), .raddr_i(raddr), .zero_i(zero),
      .rdata_o(rdata[n*WIDTH +: WIDTH])
    );
    vta_ram #(
      .WIDTH(WIDTH / 4),
      .LOG_DEPTH(LogRows)
    ) u_out (
      .clk_i, .we_i(we), .waddr_i(waddr), .wdata_i(low),
      .re_i(store_re_i && ob == LogBanks'(n)), .raddr_i(store_raddr_i[LOG_ACC-1:LogBanks]), .zero_i(out_zero),
      .rdata_o(out_rdata[n*WIDTH/4 +: WIDTH/4])
    );
    always_ff @(posedge clk_i) begin
      if (!rst_i && by_gemm) assert (!by_alu);
    end
  end
  assign load_ready_o = !load_taken[lw];

  logic zero_run_q;
  assign zero_busy_o = zero_run_q;
  assign zero_done_o = zero_run_q && zero_busy == '0;
  always_ff @(posedge clk_i) begin
    zero_run_q <= !rst_i && (zero_i || (zero_run_q && !zero_done_o));
  end

  // Data come a cycle after the addresses, from the bank that was asked.
  logic [LogBanks-1:0] gb_q, db_q, sb_q, store_q;
  logic src_from_bank_q, dst_q, same_q;
  logic [WIDTH-1:0] held_q, src_bank;
  always_ff @(posedge clk_i) begin
    gb_q <= gb;
    db_q <= db;
    sb_q <= sb;
    store_q <= ob;
    src_from_bank_q <= src_read;
    dst_q <= dst_read;
    same_q <= same;
    if (src_from_bank_q) held_q <= src_bank;
  end
  assign gemm_rdata_o = rdata[32'(gb_q)*WIDTH +: WIDTH];
  assign store_rdata_o = out_rdata[32'(store_q)*(WIDTH/4) +: WIDTH/4];
  // Only where the ALU has asked: it is quicker to simulate.
  always_comb begin
    dst_rdata_o = 'x;
    src_bank = 'x;
    if (dst_q) dst_rdata_o = rdata[32'(db_q)*WIDTH +: WIDTH];
    if (src_from_bank_q) src_bank = rdata[32'(sb_q)*WIDTH +: WIDTH];
  end
  assign src_rdata_o = same_q ? dst_rdata_o : src_from_bank_q ? src_bank : held_q;
endmodule

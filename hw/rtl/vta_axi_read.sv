// SPDX-License-Identifier: Apache-2.0
// Five clients on one read channel. The transaction's ID is its client, so responses need no order between clients;
// the lowest number goes first. When the core has stopped, what was asked for is taken and dropped.
module vta_axi_read #(
  parameter int unsigned CLIENTS = 5
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  stop_i,
  output logic                  idle_o,    // nothing is under way
  input  logic [CLIENTS-1:0]    valid_i,
  output logic [CLIENTS-1:0]    ready_o,
  input  logic [CLIENTS*32-1:0] addr_i,
  input  logic [CLIENTS*8-1:0]  len_i,
  output logic                  ar_valid_o,
  input  logic                  ar_ready_i,
  output logic [31:0]           ar_addr_o,
  output logic [7:0]            ar_len_o,
  output logic [2:0]            ar_id_o,
  input  logic                  r_valid_i,
  output logic                  r_ready_o,
  input  logic [2:0]            r_id_i,
  input  logic                  r_last_i,
  output logic [CLIENTS-1:0]    r_valid_o,
  input  logic [CLIENTS-1:0]    r_ready_i
);
  // The request is registered: once shown it does not change until it is taken.
  logic full_q, take;
  logic [31:0] addr_q, addr;
  logic [7:0] len_q, len;
  logic [2:0] id_q, id;
  logic [CLIENTS-1:0] chosen;

  always_comb begin
    int unsigned n;
    chosen = '0;
    id = '0;
    addr = '0;
    len = '0;
    n = 0;
    for (int unsigned k = 0; k < CLIENTS; k++) begin
      n = CLIENTS - 1 - k;
      if (valid_i[n] && !stop_i) begin
        chosen = CLIENTS'(1) << n;
        id = 3'(n);
        addr = addr_i[n*32 +: 32];
        len = len_i[n*8 +: 8];
      end
    end
  end
  assign take = !full_q || ar_ready_i;
  assign ready_o = take ? chosen : '0;
  assign ar_valid_o = full_q;
  assign ar_addr_o = addr_q;
  assign ar_len_o = len_q;
  assign ar_id_o = id_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) full_q <= 1'b0;
    else if (take) full_q <= chosen != '0;
    if (take) begin
      addr_q <= addr;
      len_q <= len;
      id_q <= id;
    end
  end

  always_comb begin
    r_valid_o = '0;
    r_ready_o = 1'b0;
    for (int unsigned n = 0; n < CLIENTS; n++) begin
      if (r_id_i == 3'(n)) begin
        r_valid_o[n] = r_valid_i && !stop_i;
        r_ready_o = r_ready_i[n] || stop_i;
      end
    end
  end

  logic [7:0] open_q; // bursts
  logic sent, came;
  assign sent = ar_valid_o && ar_ready_i;
  assign came = r_valid_i && r_ready_o && r_last_i;
  assign idle_o = open_q == '0 && !full_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) open_q <= '0;
    else open_q <= open_q + 8'(sent) - 8'(came);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_i && r_valid_i) assert (32'(r_id_i) < CLIENTS);
  end
endmodule

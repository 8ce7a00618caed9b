// SPDX-License-Identifier: Apache-2.0
// The core as it is simulated: each input a register that the harness sets for the cycle to come. So nothing depends on an
// input of the model, and Verilator evaluates every wire once a cycle rather than again before the clock.
module vta_sim #(
  parameter int unsigned LOG_BATCH = 0,
  parameter int unsigned LOG_BLOCK_IN = 4,
  parameter int unsigned LOG_BLOCK_OUT = 4,
  parameter int unsigned LOG_UOP = 13,
  parameter int unsigned LOG_INP = 11,
  parameter int unsigned LOG_WGT = 10,
  parameter int unsigned LOG_ACC = 11,
  parameter int unsigned LOG_BUS = 3
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
  logic                    m_axi_ar_ready_q;
  logic                    m_axi_r_valid_q;
  logic [2:0]              m_axi_r_id_q;
  logic [(8<<LOG_BUS)-1:0] m_axi_r_data_q;
  logic [1:0]              m_axi_r_resp_q;
  logic                    m_axi_r_last_q;
  logic                    m_axi_aw_ready_q;
  logic                    m_axi_w_ready_q;
  logic                    m_axi_b_valid_q;
  logic [1:0]              m_axi_b_resp_q;
  logic                    s_axil_aw_valid_q;
  logic [11:0]             s_axil_aw_addr_q;
  logic                    s_axil_w_valid_q;
  logic [31:0]             s_axil_w_data_q;
  logic                    s_axil_b_ready_q;
  logic                    s_axil_ar_valid_q;
  logic [11:0]             s_axil_ar_addr_q;
  logic                    s_axil_r_ready_q;
  logic rst_q;
  always_ff @(posedge clk_i) begin
    rst_q <= rst_i;
    m_axi_ar_ready_q <= m_axi_ar_ready_i;
    m_axi_r_valid_q <= m_axi_r_valid_i;
    m_axi_r_id_q <= m_axi_r_id_i;
    m_axi_r_data_q <= m_axi_r_data_i;
    m_axi_r_resp_q <= m_axi_r_resp_i;
    m_axi_r_last_q <= m_axi_r_last_i;
    m_axi_aw_ready_q <= m_axi_aw_ready_i;
    m_axi_w_ready_q <= m_axi_w_ready_i;
    m_axi_b_valid_q <= m_axi_b_valid_i;
    m_axi_b_resp_q <= m_axi_b_resp_i;
    s_axil_aw_valid_q <= s_axil_aw_valid_i;
    s_axil_aw_addr_q <= s_axil_aw_addr_i;
    s_axil_w_valid_q <= s_axil_w_valid_i;
    s_axil_w_data_q <= s_axil_w_data_i;
    s_axil_b_ready_q <= s_axil_b_ready_i;
    s_axil_ar_valid_q <= s_axil_ar_valid_i;
    s_axil_ar_addr_q <= s_axil_ar_addr_i;
    s_axil_r_ready_q <= s_axil_r_ready_i;
  end
  vta_top #(
    .LOG_BATCH(LOG_BATCH), .LOG_BLOCK_IN(LOG_BLOCK_IN), .LOG_BLOCK_OUT(LOG_BLOCK_OUT), .LOG_UOP(LOG_UOP), .LOG_INP(LOG_INP),
    .LOG_WGT(LOG_WGT), .LOG_ACC(LOG_ACC), .LOG_BUS(LOG_BUS)
  ) u_top (
    .*,
    .rst_i(rst_q),
    .m_axi_ar_ready_i(m_axi_ar_ready_q),
    .m_axi_r_valid_i(m_axi_r_valid_q),
    .m_axi_r_id_i(m_axi_r_id_q),
    .m_axi_r_data_i(m_axi_r_data_q),
    .m_axi_r_resp_i(m_axi_r_resp_q),
    .m_axi_r_last_i(m_axi_r_last_q),
    .m_axi_aw_ready_i(m_axi_aw_ready_q),
    .m_axi_w_ready_i(m_axi_w_ready_q),
    .m_axi_b_valid_i(m_axi_b_valid_q),
    .m_axi_b_resp_i(m_axi_b_resp_q),
    .s_axil_aw_valid_i(s_axil_aw_valid_q),
    .s_axil_aw_addr_i(s_axil_aw_addr_q),
    .s_axil_w_valid_i(s_axil_w_valid_q),
    .s_axil_w_data_i(s_axil_w_data_q),
    .s_axil_b_ready_i(s_axil_b_ready_q),
    .s_axil_ar_valid_i(s_axil_ar_valid_q),
    .s_axil_ar_addr_i(s_axil_ar_addr_q),
    .s_axil_r_ready_i(s_axil_r_ready_q)
  );
endmodule

// SPDX-License-Identifier: Apache-2.0
// Constants of the instruction set and of error reporting.
package vta_pkg;
  `include "vta_isa_codes.svh"
  localparam logic [2:0] AluZero = 3'd7; // internal: a reset executed by the ALU

  // Engines of the compute unit.
  localparam logic [2:0] EngUop = 3'd0;
  localparam logic [2:0] EngAcc = 3'd1;
  localparam logic [2:0] EngGemm = 3'd2;
  localparam logic [2:0] EngAlu = 3'd3;
  localparam logic [2:0] EngZero = 3'd4; // resets of rows that stand together

  // Error codes, register 0x40.
  localparam logic [3:0] ErrNone = 4'd0;
  localparam logic [3:0] ErrIllegal = 4'd1;  // an instruction that is none
  localparam logic [3:0] ErrRange = 4'd2;    // an index outside of an on-chip memory
  localparam logic [3:0] ErrRead = 4'd3;     // RRESP
  localparam logic [3:0] ErrWrite = 4'd4;    // BRESP
  localparam logic [3:0] ErrWatchdog = 4'd5; // nothing happened for too long
  localparam logic [3:0] ErrEnd = 4'd6;      // FINISH is not the last instruction, or there is none

  // Who found it; the first five are clients of the read channel.
  localparam logic [3:0] SrcFetch = 4'd0;
  localparam logic [3:0] SrcUop = 4'd1;
  localparam logic [3:0] SrcAcc = 4'd2;
  localparam logic [3:0] SrcInp = 4'd3;
  localparam logic [3:0] SrcWgt = 4'd4;
  localparam logic [3:0] SrcGemm = 4'd5;
  localparam logic [3:0] SrcAlu = 4'd6;
  localparam logic [3:0] SrcStore = 4'd7;
  localparam logic [3:0] SrcCompute = 4'd8; // before its engines
  localparam logic [3:0] SrcNone = 4'd15;
endpackage

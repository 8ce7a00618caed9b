// SPDX-License-Identifier: Apache-2.0
// backend_vta: what the compiler knows of VTA. The hardware configuration, the memories and intrinsics it gives to
// TIR and to the language. Instruction encoding is in isa.h (shared with the runtime).
#ifndef TETC_VTA_H
#define TETC_VTA_H

#include "backend_vta/isa.h"
#include "te/te.h"
#include "tir/tir.h"

// The intrinsics. Tile references (EXPR_REF) count tiles: of the on-chip memory for on-chip buffers, of the memory at
// the other end for host buffers (acc <- int8 host data: BATCH*BLOCK_OUT bytes; vta.store: OUT elements).
typedef enum VtaOp {
  // Regions that the schedule asked for (FORM_LOOPS): the body is a loop nest, with a store in it.
  VTA_DMA_COPY,  // vta.dma_copy() { nest }
  VTA_ALU,       // vta.alu() { nest }
  VTA_TENSORIZE, // vta.tensorize() { the loops b, j, r of the intrinsic and the store }
  // Tile operations (FORM_TILES), inside ordinary loops.
  VTA_LOAD,  // vta.load(dst, src, y_size, x_size, x_stride, y_pad0, y_pad1, x_pad0, x_pad1)
             //   dst: on-chip tile, src: host tile. Semantics: vta-isa section 6; x_size == 0 does nothing.
             //   src buffer int8 and dst in vta.acc: widening (ACC_8BIT)
  VTA_ZERO,  // vta.zero(dst, n): n tiles of any on-chip memory become 0 (load from a zero tile with stride 0)
  VTA_STORE, // vta.store(dst, src, y_size, x_size, x_stride): dst: host tile (int8), src: on-chip acc tile
  VTA_RESET, // vta.reset(dst): acc tile = 0 (GEMM with reset)
  VTA_GEMM,  // vta.gemm(dst, inp, wgt): acc[dst] += inp * wgt^T
  VTA_MOV,   // vta.mov(dst, src): acc tile copy; removed by `storage` (same place) or made a reset and an add
  VTA_MIN,   // vta.min(dst, src): dst = min(dst, src); src is a tile reference or an int64 constant of 16 bits
  VTA_MAX,
  VTA_ADD,
  VTA_SHR,   // negative amounts shift left
  VTA_MUL,
  // Ordering (FORM_TILES and FORM_CALLS); units are VtaUnit.
  VTA_PUSH,  // vta.push(from, to)
  VTA_POP,   // vta.pop(from, to)
  VTA_SYNC,  // vta.sync(): waits until everything queued is done
  // Micro-op kernels: after pass `uop`. The body is loops around vta.uop; the hardware loops are arguments.
  VTA_KERNEL, // vta.kernel(kind, imm, out_extent, out_dst, out_src, out_wgt, in_extent, in_dst, in_src, in_wgt) {..}
              //   kind: 0 reset, 1 gemm, 2.. ALU with a register operand: 2 + alu opcode, 8.. with an immediate:
              //   8 + alu opcode; imm: for immediates, else 0
  VTA_UOP,    // vta.uop(dst, src, wgt): before `intrin`, tile references (wgt, src: 0 where unused); after it,
              //   plain on-chip indices
  // Runtime calls (FORM_CALLS): on-chip places are plain indices.
  VTA_LOAD_CALL,  // vta.load_call(src host ref, y_size, x_size, x_stride, y_pad0, y_pad1, x_pad0, x_pad1, sram, memory)
  VTA_ZERO_CALL,  // vta.zero_call(n, sram, memory)
  VTA_STORE_CALL, // vta.store_call(dst host ref, y_size, x_size, x_stride, sram, memory)
  VTA_OP_COUNT
} VtaOp;

// Everything derived from one configuration. Built once a compilation.
typedef struct VtaTarget {
  VtaConfig config;
  Scope inp, wgt, acc;
  Intrin intrins[VTA_OP_COUNT];
  const Scope *scopes[3];
  const Intrin *intrin_list[VTA_OP_COUNT];
  TirTarget tir;
  TeTargetConst consts[4];
  TeTarget te;
} VtaTarget;

VtaTarget *vta_target_new(Ctx *cx, const VtaConfig *config); // target.c
static inline const Intrin *vta_op(const VtaTarget *t, VtaOp op) { return &t->intrins[op]; }
static inline bool is_vta(const Intrin *op, VtaOp id) { return op && op->id == (int)id; }
// The memory behind Scope.id 0, 1, 2 (inp, wgt, acc).
static inline VtaMemory vta_scope_memory(int id) { return id == 0 ? MEM_INP : id == 1 ? MEM_WGT : MEM_ACC; }
const VtaTarget *vta_of(const TirTarget *t); // the VtaTarget around its `tir` member; NULL for NULL

// config.c: reads upstream's vta_config.json; reports errors (unknown keys, values that do not encode).
bool vta_config_load(Ctx *cx, const Source *json, VtaConfig *out);

// listing.c: runs the host code of a FORM_CALLS function on a recording device and prints the instruction stream.
bool vta_listing(Ctx *cx, const Func *f, Text *out);

// What is wrong with an instruction stream, and where. code: E_VERIFY; others: the stream could not be made, and nothing is
// known of it.
typedef struct VtaStreamFault {
  DiagCode code;
  const char *text, *help;    // help: NULL, or a remedy
  Loc at, why;                // the statement at fault
  VtaUnit unit, earlier_unit; // 0, or of two accesses to the same place that no token orders: `at`, and the
  Loc earlier;                // earlier one
} VtaStreamFault;
// The same walk on the functional simulator with its hazard checker, all data zero: every access must be ordered, every
// token taken, every index in range. False when one is not: reported (E_VERIFY), with the statements at fault.
bool vta_check_stream(Ctx *cx, const Func *f);
// The same, told instead of reported: true when there is a fault.
bool vta_find_fault(Ctx *cx, const Func *f, VtaStreamFault *fault);

// machine.c: the meaning of every VTA intrinsic for the TIR interpreter, on architectural SRAM state.
// Load, compute and store each execute what the host issues to them in its order; tokens are all that holds one unit
// against another. An order says which goes on when several could.
typedef enum VtaOrder {
  VTA_IN_ORDER,     // the one whose operation was issued first: without waiting tokens, the program's own order
  VTA_LOADS_AHEAD,  // when the host waits: load as far as it can, then compute, store last
  VTA_STORES_AHEAD, // when the host waits: store as far as it can, then compute, load last
  VTA_ORDER_COUNT
} VtaOrder;
TirMachine *vta_machine_new(Ctx *cx, const VtaTarget *t, VtaOrder order);

#endif

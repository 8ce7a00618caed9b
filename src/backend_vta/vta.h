// SPDX-License-Identifier: Apache-2.0
// backend_vta: what the compiler knows of VTA. The hardware configuration, the memories and intrinsics it gives to
// TIR and to the language. The instructions themselves are in src/isa.
#ifndef TETC_VTA_H
#define TETC_VTA_H

#include "isa/isa.h"
#include "runtime/device.h"
#include "te/te.h"
#include "tir/tir.h"

// The intrinsics, a row each in intrins.def. Tile references (EXPR_REF) count tiles: of the on-chip memory for on-chip
// buffers, of the memory at the other end for host buffers (acc <- int8 host data: BATCH*BLOCK_OUT bytes; vta.store:
// OUT elements).
typedef enum VtaOp {
#define INTRIN(id, name, cls, runs, alu, operands) VTA_##id,
#include "backend_vta/intrins.def"
  VTA_OP_COUNT
} VtaOp;

// Where an operand stands in Stmt.args: ARG_LOAD_DST, ...; of several, the first.
#define OPERAND(arg, name, how, kind, access, count, missing) arg, arg##_LAST = arg + (count)-1,
#define INTRIN(id, name, cls, runs, alu, operands) enum { operands ARG_##id##_END };
#include "backend_vta/intrins.def"
enum { PAD_ABOVE, PAD_BELOW, PAD_BEFORE, PAD_BEHIND, PADS };   // of an operand of KIND_PADS
enum { ARG_ALU_DST = ARG_MOV_DST, ARG_ALU_SRC = ARG_MOV_SRC }; // of each of the ALU's operations

typedef enum VtaClass {
  CLASS_REGION,
  CLASS_TILE,
  CLASS_STEP,
  CLASS_ORDER,
  CLASS_KERNEL,
  CLASS_UOP,
  CLASS_CALL
} VtaClass;
typedef enum VtaRuns { RUNS_NOWHERE, RUNS_BY_MEMORY, RUNS_COMPUTE, RUNS_STORE } VtaRuns;
typedef enum VtaAccess { ACCESS_NONE = 0, ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_UPDATE = 3 } VtaAccess;
typedef enum VtaKind {
  KIND_CHIP, // a tile on chip
  KIND_ACC,  // of vta.acc
  KIND_INP,
  KIND_WGT,
  KIND_HOST,        // of a host buffer
  KIND_ACC_OR_INT,  // or an integer
  KIND_CHIP_OR_INT, // or, after `intrin`, its index
  KIND_INT,
  KIND_ROWS,      // how many rows of tiles are moved
  KIND_TILES,     // how many tiles, of each row if there are rows
  KIND_PADS,      // rows before and after, tiles before and after
  KIND_UNIT,      // VtaUnit, written as a word
  KIND_MEMORY,    // VtaMemory, written as a word
  KIND_OPERATION, // VtaOp of class STEP, written as a word
} VtaKind;
enum { NO_ALU = -1 };

typedef struct VtaOperand {
  VtaKind kind;
  VtaAccess access;
  int arg, count; // of Stmt.args
} VtaOperand;

typedef struct VtaRow {
  const char *name;
  VtaClass cls;
  VtaRuns runs;
  int alu; // VtaAluOp; NO_ALU
  int noperands;
  const VtaOperand *operands;
  const IntrinOperand *texts; // of the same operands
} VtaRow;
extern const VtaRow vta_rows[VTA_OP_COUNT]; // target.c
static inline const VtaRow *vta_row(VtaOp op) { return &vta_rows[op]; }
// The row behind an intrinsic of this target; NULL for NULL.
static inline const VtaRow *vta_row_of(const Intrin *op) { return op ? vta_row((VtaOp)op->id) : NULL; }
// The VtaOp of class STEP behind a number; -1: there is none. And that of a vta.kernel.
int vta_step_op(int64_t number);
int vta_kernel_op(const Stmt *kernel);
// Whether its operation takes the immediate for its last operand.
static inline bool vta_kernel_has_imm(const Stmt *kernel) { return kernel->nargs > ARG_KERNEL_IMM; }
// How many operands a micro-op of it has. `op` is of class STEP.
int vta_uop_operands(VtaOp op, bool imm);
VtaMemory vta_uop_memory(VtaOp op, int operand); // that the operand's index counts in
// What VTAUopPush is told of a micro-op.
typedef struct VtaUopCall {
  uint32_t mode, reset, opcode; // mode 0: GEMM, 1: ALU
  const Expr *operands[3];      // dst, src, wgt; NULL: unused, index 0
  const Expr *imm;              // NULL: none
} VtaUopCall;
// NULL, or why a micro-op in a kernel means nothing.
const char *vta_uop_call(const Stmt *kernel, const Stmt *uop, VtaUopCall *out);

// The on-chip memories that buffers can be in: Scope.id.
typedef enum VtaScope { SCOPE_INP, SCOPE_WGT, SCOPE_ACC, VTA_SCOPE_COUNT } VtaScope;

// Everything derived from one configuration. Built once a compilation.
typedef struct VtaTarget {
  VtaConfig config;
  Scope inp, wgt, acc;
  Intrin intrins[VTA_OP_COUNT];
  const Scope *scopes[VTA_SCOPE_COUNT];
  const Intrin *intrin_list[VTA_OP_COUNT];
  TirTarget tir;
  TeTargetConst consts[4];
  TeTarget te;
} VtaTarget;

VtaTarget *vta_target_new(Ctx *cx, const VtaConfig *config); // target.c
static inline const Intrin *vta_op(const VtaTarget *t, VtaOp op) { return &t->intrins[op]; }
static inline bool is_vta(const Intrin *op, VtaOp id) { return op && op->id == (int)id; }
static inline VtaScope vta_scope(const Scope *s) { return (VtaScope)s->id; } // of an on-chip one
VtaMemory vta_scope_memory(VtaScope s);
VtaScope vta_memory_scope(VtaMemory m);      // where what is named so is kept: MEM_OUT and MEM_ACC8 are names for acc
VtaUnit vta_scope_partner(VtaScope s);       // the unit that reaches it besides compute
const VtaTarget *vta_of(const TirTarget *t); // the VtaTarget around its `tir` member; NULL for NULL

// config.c: reads upstream's vta_config.json; reports errors (unknown keys, values that do not encode).
bool vta_config_load(Ctx *cx, const Source *json, VtaConfig *out);

// board.c: what the core stands in. Reports errors (a line that sets nothing it knows, values out of range, a missing
// one).
typedef struct VtaBoard {
  double mhz;          // 0: not known
  TetcRtlOptions core; // its bus and memory
} VtaBoard;
bool vta_board_load(Ctx *cx, const Source *text, VtaBoard *out);

// stream.c: what a FORM_CALLS function gives the accelerator when its host code runs, all that is known of it.
typedef struct VtaStreamInsn {
  VtaWord word;
  VtaInsn insn;       // of the word
  bool legal;         // the word has one
  const Stmt *from;   // the statement that it is made for; NULL: none
  const Buffer *host; // transfers: the buffer at the other end; NULL: none of the function's (zeros, micro-ops)
  int64_t tile;       // and where in it, counted in tiles of the memory
  uint32_t nuops;     // loads of micro-ops: what they bring
  VtaUop *uops;
} VtaStreamInsn;
typedef struct VtaStream {
  size_t n;
  VtaStreamInsn *insns; // in the order in which the host queues them
  uint64_t launches;
} VtaStream;
// What is wrong with an instruction stream, and where. code: E_VERIFY; others: the stream could not be made, and
// nothing is known of it.
typedef struct VtaStreamFault {
  DiagCode code;
  const char *text, *help;    // help: NULL, or a remedy
  Loc at, why;                // the statement at fault
  VtaUnit unit, earlier_unit; // 0, or of two accesses to the same place that no token orders: `at`, and the
  Loc earlier;                // earlier one
} VtaStreamFault;
// Makes the stream of a function that has a target, on a recording device; false: *fault says why there is none.
bool vta_stream_new(Ctx *cx, const Func *f, VtaStream *out, VtaStreamFault *fault);
void vta_stream_report(Ctx *cx, const VtaStreamFault *fault);
// The same walk on the functional simulator with its hazard checker, all data zero: every access must be ordered, every
// token taken, every index in range. False when one is not: reported (E_VERIFY), with the statements at fault.
bool vta_check_stream(Ctx *cx, const Func *f);
// The same, told instead of reported: true when there is a fault.
bool vta_find_fault(Ctx *cx, const Func *f, VtaStreamFault *fault);

// cycles.c: what the timing model (runtime/timing.h) tells of a stream: cycles and counters in *out, which is cleared
// first. The core is `options`' bus and memory around the configuration that the stream was made for. False: *why says
// why it would not come to an end, or that memory is out.
bool vta_stream_cycles(const VtaConfig *config, const VtaStream *stream, const TetcRtlOptions *options, TetcStats *out,
                       const char **why);

// listing.c: the stream as text. False when something was reported.
bool vta_listing(Ctx *cx, const Func *f, Text *out);

// launch.c: the most micro-operations that a launch of a FORM_CALLS function holds, where each kernel has its own for
// each value of the loops that it depends on: a bound.
int64_t vta_launch_uops(Ctx *cx, const Func *f);

// machine.c: the ALU's arithmetic, on one lane; and whether (x op a) op b is (x op b) op a.
int32_t vta_alu_value(VtaAluOp op, int32_t x, int32_t y);
bool vta_alu_steps_commute(VtaAluOp op);

// The meaning of every VTA intrinsic for the TIR interpreter, on architectural SRAM state.
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

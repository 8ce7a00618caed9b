// SPDX-License-Identifier: Apache-2.0
// VTA intrinsics of FORM_CALLS -> calls of upstream's runtime interface.
#include "backend_llvm/internal.h"

#include "backend_vta/vta.h"
#include "tir/refuse.h"

#include <limits.h>

enum { MOST = 65535 }; // of a 16-bit size field

static LLVMValueRef arg32(Gen *g, const Expr *e) { return LLVMBuildTrunc(g->b, gen_expr(g, e), g->i32, ""); }

static void call_broken(Gen *g, const Stmt *s, const char *why) {
  if (!g->failed) diag_report(g->cx->diags, E_INTERNAL, s->loc, "`%s`: %s", s->intrin->name, why);
  g->failed = true;
}

// The handle of the buffer that a reference names, and its element offset.
static void host_ref(Gen *g, const Stmt *s, const Expr *e, LLVMValueRef *handle, LLVMValueRef *offset) {
  Place *p = e->kind == EXPR_REF ? place_of(&g->places, e->buffer) : NULL;
  *handle = LLVMGetUndef(g->ptr);
  *offset = LLVMGetUndef(g->i32);
  if (!p || !p->handle) {
    call_broken(g, s, "the host operand is no allocated buffer");
    return;
  }
  *handle = p->handle;
  *offset = arg32(g, e->args[0]);
}

static void gen_load_call(Gen *g, const Stmt *s) {
  enum { PAD = ARG_LOAD_CALL_PAD };
  static const int order[] = {ARG_LOAD_CALL_X,  ARG_LOAD_CALL_Y,    ARG_LOAD_CALL_STRIDE,
                              PAD + PAD_BEFORE, PAD + PAD_ABOVE,    PAD + PAD_BEHIND,
                              PAD + PAD_BELOW,  ARG_LOAD_CALL_TILE, ARG_LOAD_CALL_MEMORY};
  LLVMValueRef args[12] = {g->frame->command};
  host_ref(g, s, s->args[ARG_LOAD_CALL_SRC], &args[1], &args[2]);
  for (int i = 0; i < 9; i++) args[3 + i] = arg32(g, s->args[order[i]]);
  gen_call(g, "VTALoadBuffer2D", "vppiiiiiiiiii", args);
}

static void gen_store_call(Gen *g, const Stmt *s) {
  LLVMValueRef args[8] = {g->frame->command, arg32(g, s->args[ARG_STORE_CALL_TILE]),
                          arg32(g, s->args[ARG_STORE_CALL_MEMORY])};
  host_ref(g, s, s->args[ARG_STORE_CALL_DST], &args[3], &args[4]);
  args[5] = arg32(g, s->args[ARG_STORE_CALL_X]);
  args[6] = arg32(g, s->args[ARG_STORE_CALL_Y]);
  args[7] = arg32(g, s->args[ARG_STORE_CALL_STRIDE]);
  gen_call(g, "VTAStoreBuffer2D", "vpiipiiii", args);
}

// ---- zeros: rows of one tile, all at the same place -----------------------------------------------------------------

typedef struct Zeroing {
  LLVMValueRef sram, memory, n; // i32
} Zeroing;

static void zero_rows(Gen *g, const Zeroing *z, LLVMValueRef rows, LLVMValueRef sram) {
  LLVMValueRef none = gen_i32(g, 0);
  LLVMValueRef args[12] = {
      g->frame->command, g->zeros.handle, none, gen_i32(g, 1), rows, none, none, none, none, none, sram, z->memory};
  gen_call(g, "VTALoadBuffer2D", "vppiiiiiiiiii", args);
}

static void zero_block(Gen *g, void *self, LLVMValueRef i) {
  Zeroing *z = self;
  LLVMValueRef done = LLVMBuildMul(g->b, i, gen_i32(g, MOST), "");
  LLVMValueRef left = LLVMBuildSub(g->b, z->n, done, "");
  LLVMValueRef rows =
      LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntULT, left, gen_i32(g, MOST), ""), left, gen_i32(g, MOST), "");
  zero_rows(g, z, rows, LLVMBuildAdd(g->b, z->sram, done, ""));
}

static void gen_zero_call(Gen *g, const Stmt *s) {
  if (!g->zeros.handle) {
    call_broken(g, s, "its memory is not known");
    return;
  }
  Zeroing z = {.sram = arg32(g, s->args[ARG_ZERO_CALL_TILE]),
               .memory = arg32(g, s->args[ARG_ZERO_CALL_MEMORY]),
               .n = arg32(g, s->args[ARG_ZERO_CALL_N])};
  int64_t n;
  if (expr_is_int(s->args[ARG_ZERO_CALL_N], &n) && n <= MOST) {
    if (n > 0) zero_rows(g, &z, z.n, z.sram);
    return;
  }
  LLVMValueRef blocks = LLVMBuildUDiv(g->b, LLVMBuildAdd(g->b, z.n, gen_i32(g, MOST - 1), ""), gen_i32(g, MOST), "");
  LLVMBasicBlockRef some = gen_block(g, "zero"), on = gen_block(g, "zeroed");
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, blocks, gen_i32(g, 0), ""), on, some);
  gen_at(g, some);
  gen_loop(g, gen_i32(g, 0), blocks, 1, NULL, zero_block, &z);
  LLVMBuildBr(g->b, on);
  gen_at(g, on);
}

typedef struct ZeroBytes {
  const VtaConfig *config;
  int64_t bytes;
} ZeroBytes;

static bool note_zero(void *self, const Stmt *s) {
  ZeroBytes *z = self;
  int64_t memory;
  if (s->kind != STMT_INTRIN || !is_vta(s->intrin, VTA_ZERO_CALL) || s->nargs < ARG_ZERO_CALL_END) return true;
  if (!expr_is_int(s->args[ARG_ZERO_CALL_MEMORY], &memory) || memory < 0 || memory >= MEM_COUNT) return true;
  int64_t bytes = vta_elem_bytes(z->config, (VtaMemory)memory);
  if (bytes > z->bytes) z->bytes = bytes;
  return true;
}

static bool no_expr(void *self, const Expr *e) {
  (void)self, (void)e;
  return false;
}

int64_t gen_vta_zero_bytes(const Func *f) {
  ZeroBytes z = {.config = &vta_of(f->target)->config};
  stmt_visit(f->body, note_zero, no_expr, &z);
  return z.bytes;
}

// ---- micro-op kernels -----------------------------------------------------------------------------------------------

// The loop variables around a kernel that its micro-ops depend on. Their values in mixed radix are its signature.
typedef struct Signature {
  Gen *g;
  VEC(Place *) vars;
  int64_t values; // of all of them together
  bool loads;
} Signature;

static bool note_outer_var(void *self, const Expr *e) {
  Signature *sig = self;
  sig->loads |= e->kind == EXPR_LOAD || e->kind == EXPR_REF;
  if (e->kind != EXPR_VAR) return true;
  Place *p = place_of(&sig->g->places, e->var);
  if (!p->value) return true; // bound by a loop inside the kernel
  for (size_t i = 0; i < sig->vars.len; i++)
    if (sig->vars.data[i] == p) return true;
  VEC_PUSH(sig->g->cx->arena, sig->vars, p);
  return true;
}

static bool all_stmts(void *self, const Stmt *s) {
  (void)self, (void)s;
  return true;
}

// False (reported) if the variables have no constant range, or too many values for 32 bits.
static bool find_signature(Gen *g, const Stmt *s, Signature *sig) {
  int64_t all = 1;
  sig->g = g;
  for (int i = 1; i < s->nargs; i++) expr_visit(s->args[i], note_outer_var, sig);
  stmt_visit(s->body, all_stmts, note_outer_var, sig);
  if (sig->loads) {
    call_broken(g, s, "its micro-ops depend on data");
    return false;
  }
  for (size_t i = 0; i < sig->vars.len; i++) {
    Place *p = sig->vars.data[i];
    if (p->count > 0 && mul_ok(all, p->count, &all) && all <= INT32_MAX) continue;
    if (!g->failed) {
      Refusal r = {
          .cx = g->cx,
          .phase = "intrin",
          .nest = s,
          .asked = s->why,
          .asked_as = "asked for here",
          .rule = "the loops around micro-operations that their addresses depend on have fewer than 2^31 combinations"};
      Diag *d = refuse(&r, E_UOPS, s->loc, "a micro-op kernel depends on too many loop values");
      diag_help(d, "tile so that the on-chip addresses repeat from tile to tile");
    }
    g->failed = true;
    return false;
  }
  sig->values = all;
  return true;
}

// The address of the signature's value here, and *value; NULL pointer when there is nothing in it.
static LLVMValueRef encode_signature(Gen *g, const Signature *sig, LLVMValueRef *value) {
  *value = gen_i64(g, 0);
  if (!sig->vars.len) return LLVMConstNull(g->ptr);
  LLVMValueRef v = gen_i64(g, 0), slot = gen_alloca(g, g->i32, 4, "signature");
  for (size_t i = 0; i < sig->vars.len; i++) {
    const Place *p = sig->vars.data[i];
    v = LLVMBuildMul(g->b, v, gen_i64(g, p->count), "");
    v = LLVMBuildAdd(g->b, v, LLVMBuildSub(g->b, p->value, gen_i64(g, p->min), ""), "");
  }
  LLVMBuildStore(g->b, LLVMBuildTrunc(g->b, v, g->i32, ""), slot);
  *value = v;
  return slot;
}

static void decode_signature(Gen *g, const Signature *sig, LLVMValueRef at) {
  if (!sig->vars.len) return;
  LLVMValueRef v = LLVMBuildZExt(g->b, LLVMBuildLoad2(g->b, g->i32, at, ""), g->i64, "");
  for (size_t i = sig->vars.len; i-- > 0;) {
    Place *p = sig->vars.data[i];
    LLVMValueRef n = gen_i64(g, p->count);
    p->value = LLVMBuildAdd(g->b, LLVMBuildURem(g->b, v, n, ""), gen_i64(g, p->min), "");
    v = LLVMBuildUDiv(g->b, v, n, "");
  }
}

// Opens a hardware loop, the outer (0) or the inner (1), unless its extent is 1; says whether it did.
static bool begin_loop(Gen *g, const Stmt *kernel, int loop) {
  static const int of[4] = {ARG_KERNEL_LOOPS, ARG_KERNEL_DST, ARG_KERNEL_SRC, ARG_KERNEL_WGT};
  int64_t extent;
  if (expr_is_int(kernel->args[ARG_KERNEL_LOOPS + loop], &extent) && extent == 1) return false;
  LLVMValueRef v[4];
  for (int i = 0; i < 4; i++) v[i] = arg32(g, kernel->args[of[i] + loop]);
  gen_call(g, "VTAUopLoopBegin", "viiii", v);
  return true;
}

static void gen_uop(Gen *g, const Stmt *s) {
  VtaUopCall c;
  const char *problem = g->kernel ? vta_uop_call(g->kernel, s, &c) : "it stands outside of a kernel";
  if (problem) {
    call_broken(g, s, problem);
    return;
  }
  LLVMValueRef index[3];
  for (int i = 0; i < 3; i++) index[i] = c.operands[i] ? arg32(g, c.operands[i]) : gen_i32(g, 0);
  LLVMValueRef args[8] = {gen_i32(g, c.mode),
                          gen_i32(g, c.reset),
                          index[0],
                          index[1],
                          index[2],
                          gen_i32(g, c.opcode),
                          gen_i32(g, c.imm != NULL),
                          c.imm ? arg32(g, c.imm) : gen_i32(g, 0)};
  gen_call(g, "VTAUopPush", "viiiiiiii", args);
}

// static int NAME.uopN(void *signature): describes the kernel to the runtime.
static LLVMValueRef gen_uop_function(Gen *g, const Stmt *s, const Signature *sig, int number) {
  const char *name = arena_printf(g->cx->arena, "%s.uop%d", g->name, number);
  LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
  Frame frame = {.fn = gen_function(g, name, LLVMFunctionType(g->i32, &g->ptr, 1, false), false)}, *outer = g->frame;
  LLVMValueRef *saved = NEW_ARRAY(g->cx->arena, LLVMValueRef, sig->vars.len + 1);
  for (size_t i = 0; i < sig->vars.len; i++) saved[i] = sig->vars.data[i]->value;
  gen_plain(g, frame.fn);
  g->frame = &frame;
  g->kernel = s;
  gen_at(g, gen_block(g, "entry"));
  decode_signature(g, sig, LLVMGetParam(frame.fn, 0));
  bool out = begin_loop(g, s, 0), in = begin_loop(g, s, 1);
  gen_stmt(g, s->body);
  if (in) gen_call(g, "VTAUopLoopEnd", "v", NULL);
  if (out) gen_call(g, "VTAUopLoopEnd", "v", NULL);
  LLVMBuildRet(g->b, gen_i32(g, 0));
  for (size_t i = 0; i < sig->vars.len; i++) sig->vars.data[i]->value = saved[i];
  g->kernel = NULL;
  g->frame = outer;
  gen_at(g, here);
  return frame.fn;
}

// Handles, one for each value of the signature: upstream's cache takes kernels that capture nothing, or a value
// below 99. Where there are more than MOST_HANDLES values there is one handle, and upstream's runtime refuses the
// kernel: no more than that would fit its memory of micro-operations (W0002).
static LLVMValueRef uop_handle(Gen *g, const Signature *sig, LLVMValueRef value, int number, bool *captures) {
  enum { MOST_HANDLES = 1 << 16 };
  *captures = sig->values > MOST_HANDLES;
  LLVMTypeRef type = LLVMArrayType(g->ptr, *captures ? 1 : (unsigned)sig->values);
  LLVMValueRef handles = LLVMAddGlobal(g->m, type, arena_printf(g->cx->arena, "%s.handle%d", g->name, number));
  LLVMSetLinkage(handles, LLVMInternalLinkage);
  LLVMSetInitializer(handles, LLVMConstNull(type));
  return *captures ? handles : LLVMBuildInBoundsGEP2(g->b, g->ptr, handles, &value, 1, "");
}

static void gen_kernel_call(Gen *g, const Stmt *s) {
  Signature sig = {0};
  int number = g->serial++, op = vta_kernel_op(s);
  if (g->kernel || op < 0) {
    call_broken(g, s, "an unknown kind of kernel");
    return;
  }
  if (!find_signature(g, s, &sig)) return;
  LLVMValueRef fn = gen_uop_function(g, s, &sig, number);
  LLVMValueRef value, signature = encode_signature(g, &sig, &value);
  bool captures;
  LLVMValueRef handle = uop_handle(g, &sig, value, number, &captures);
  LLVMValueRef args[4] = {handle, fn, signature, gen_i32(g, captures ? 4 : 0)};
  LLVMValueRef r = gen_call(g, vta_row((VtaOp)op)->alu != NO_ALU ? "VTAPushALUOp" : "VTAPushGEMMOp", "ipppi", args);
  gen_fail_if(g, LLVMBuildICmp(g->b, LLVMIntNE, r, gen_i32(g, 0), ""), 2);
}

// ---- ordering -------------------------------------------------------------------------------------------------------

static void gen_token(Gen *g, const Stmt *s, const char *name) {
  LLVMValueRef args[3] = {g->frame->command, arg32(g, s->args[ARG_PUSH_FROM]), arg32(g, s->args[ARG_PUSH_TO])};
  gen_call(g, name, "ipii", args);
}

static void gen_sync(Gen *g) {
  LLVMValueRef args[2] = {g->frame->command, gen_i32(g, 1u << 31)};
  gen_call(g, "VTASynchronize", "vpi", args);
}

// What the runtime queues from now on comes from s.
static void gen_mark(Gen *g, const Stmt *s) {
  VEC_PUSH(g->cx->arena, g->marks->stmts, s);
  LLVMValueRef args[2] = {g->frame->command, gen_i32(g, (int64_t)g->marks->stmts.len)};
  gen_call(g, "tetc_runtime_mark", "vpi", args);
}

void gen_vta(Gen *g, const Stmt *s) {
  bool in_kernel = g->kernel && !is_vta(s->intrin, VTA_UOP);
  if (s->nargs < s->intrin->min_args || in_kernel) {
    call_broken(g, s, in_kernel ? "it stands inside a kernel" : "arguments are missing");
    return;
  }
  if (g->marks && !g->kernel) gen_mark(g, s);
  switch ((VtaOp)s->intrin->id) {
  case VTA_LOAD_CALL: gen_load_call(g, s); return;
  case VTA_STORE_CALL: gen_store_call(g, s); return;
  case VTA_ZERO_CALL: gen_zero_call(g, s); return;
  case VTA_KERNEL: gen_kernel_call(g, s); return;
  case VTA_UOP: gen_uop(g, s); return;
  case VTA_PUSH: gen_token(g, s, "VTADepPush"); return;
  case VTA_POP: gen_token(g, s, "VTADepPop"); return;
  case VTA_SYNC: gen_sync(g); return;
  case VTA_DMA_COPY:
  case VTA_ALU:
  case VTA_TENSORIZE:
  case VTA_LOAD:
  case VTA_ZERO:
  case VTA_STORE:
  case VTA_RESET:
  case VTA_GEMM:
  case VTA_MOV:
#define ALU_OP(id, text) case VTA_##id:
#include "isa/isa.def"
  case VTA_OP_COUNT: break;
  }
  call_broken(g, s, "it should have been lowered to runtime calls");
}

// SPDX-License-Identifier: Apache-2.0
// The instruction stream of a FORM_CALLS function: walks its host code, makes its runtime calls on a device that only
// records, and keeps what arrived there with where it comes from. Only loops and conditions over loop variables matter;
// data does not. The same walk on the functional simulator finds hazards, and names the statements at fault.
#include "backend_vta/vta.h"
#include "runtime/runtime.h"

#include <string.h>

enum { MAX_CALLS = 1 << 22, MAX_DEPTH = 2000, MAX_ROWS = 65535 };

typedef struct Binding {
  const Var *var;
  int64_t value;
} Binding;

// A host buffer that instructions name.
typedef struct HostBuffer {
  const Buffer *buffer;
  void *handle;
  const uint8_t *host; // where its device memory begins
  int64_t bytes;
} HostBuffer;

typedef struct Walk {
  Ctx *cx;
  const VtaConfig *config;
  TetcRuntime *rt;
  VTACommandHandle cmd;
  VEC(Binding) vars; // innermost last
  VEC(HostBuffer) buffers;
  VEC(const Stmt *) origins; // of instructions: a mark is 1 + the index here
  void *zeros;               // handle of one tile of zeros
  const Stmt *kernel;        // while its body is walked
  int64_t calls;
  int depth;
  bool checks; // looks for faults only: what the host's memory holds, and where, does not matter
  bool failed;
  VtaStreamFault fault; // of a walk that failed
} Walk;

// Notes, the first time, that the stream cannot be made; the walk then winds down.
static void refuse(Walk *w, Loc at, const char *why) {
  if (!w->failed) w->fault = (VtaStreamFault){.code = E_RUN, .text = why, .at = at};
  w->failed = true;
}

// The walk knows no data.
static void refuse_data(Walk *w, const Expr *load) {
  refuse(w, load->loc, arena_printf(w->cx->arena, "they depend on the data in `%s`", load->buffer->name));
  w->fault.help = "`tetc run --stats` counts them for some data; `--emit=tir` shows how the host code makes them";
}

static const Stmt *origin(const Walk *w, uint32_t mark) {
  return mark && mark <= w->origins.len ? w->origins.data[mark - 1] : NULL;
}

// The unit whose instructions a runtime call makes.
static VtaUnit unit_of(const Stmt *s) {
  const VtaRow *row = vta_row_of(s->intrin);
  int64_t memory = MEM_ACC;
  if (row->runs == RUNS_STORE) return UNIT_STORE;
  for (int i = 0; i < row->noperands; i++)
    if (row->operands[i].kind == KIND_MEMORY) expr_is_int(s->args[row->operands[i].arg], &memory);
  return vta_memory_unit(memory);
}

// What the runtime or the device found wrong, at the statements whose instructions it speaks of.
static void note_runtime_error(Walk *w, Loc at) {
  const char *error = tetc_runtime_error(w->rt);
  uint32_t marks[2] = {0, 0};
  if (!error || w->failed) return;
  int n = tetc_runtime_fault(w->rt, marks);
  const Stmt *first = n > 0 ? origin(w, marks[0]) : NULL, *second = n > 1 ? origin(w, marks[1]) : NULL;
  DiagCode code = tetc_runtime_no_memory(w->rt) ? E_MEMORY : E_VERIFY;
  w->fault =
      (VtaStreamFault){.code = code, .text = arena_printf(w->cx->arena, "%s", error), .at = first ? first->loc : at};
  if (first) w->fault.why = first->why;
  if (first && second) {
    w->fault.unit = unit_of(first);
    w->fault.earlier = second->loc;
    w->fault.earlier_unit = unit_of(second);
  }
  w->failed = true;
}

void vta_stream_report(Ctx *cx, const VtaStreamFault *f) {
  if (f->code == E_RUN) {
    Diag *g = diag_report(cx->diags, E_RUN, f->at, "the instructions cannot be listed: %s", f->text);
    if (f->help) diag_help(g, "%s", f->help);
  }
  if (f->code == E_MEMORY) diag_report(cx->diags, E_MEMORY, f->at, "%s", f->text);
  if (f->code != E_VERIFY) return;
  Diag *d = diag_report(cx->diags, E_VERIFY, f->at, "the instruction stream is wrong: %s", f->text);
  if (loc_known(f->why)) diag_also(d, f->why, "asked for here");
  if (f->unit) diag_also(d, f->earlier, "the earlier access is made for this");
}

// ---- values --------------------------------------------------------------------------------------------------------

static Scalar eval(Walk *w, const Expr *e);

static Scalar eval_var(Walk *w, const Expr *e) {
  for (size_t i = w->vars.len; i-- > 0;)
    if (w->vars.data[i].var == e->var) return (Scalar){.i = w->vars.data[i].value};
  refuse(w, e->loc, "a variable has no value");
  return (Scalar){0};
}

static Scalar eval_binary(Walk *w, const Expr *e) {
  Scalar a = eval(w, e->a);
  if (e->binop == OP_LAND && !a.i) return a;
  if (e->binop == OP_LOR && a.i) return a;
  return scalar_binary(e->binop, e->a->type, a, eval(w, e->b));
}

static Scalar eval_math(Walk *w, const Expr *e) {
  Scalar a = eval(w, e->args[0]);
  return scalar_call(e->fn, e->type,
                     (Scalar[]){a, e->nargs > 1 ? eval(w, e->args[1]) : a, e->nargs > 2 ? eval(w, e->args[2]) : a});
}

static Scalar eval_node(Walk *w, const Expr *e) {
  switch (e->kind) {
  case EXPR_INT:
  case EXPR_FLOAT: return e->value;
  case EXPR_VAR: return eval_var(w, e);
  case EXPR_CAST: return scalar_cast(e->type, e->a->type, eval(w, e->a));
  case EXPR_UNARY: return scalar_unary(e->unop, e->a->type, eval(w, e->a));
  case EXPR_BINARY: return eval_binary(w, e);
  case EXPR_SELECT: return eval(w, eval(w, e->a).i ? e->b : e->c);
  case EXPR_MATH: return eval_math(w, e);
  case EXPR_LOAD: refuse_data(w, e); break;
  case EXPR_REF: refuse(w, e->loc, "an address stands where a number should"); break;
  }
  return (Scalar){0};
}

static Scalar eval(Walk *w, const Expr *e) {
  Scalar v = {0};
  if (w->failed) return v;
  if (++w->depth > MAX_DEPTH) refuse(w, e->loc, "an expression is nested too deeply");
  else v = eval_node(w, e);
  w->depth--;
  return v;
}

// An argument for the runtime; what does not fit 32 bits becomes something it refuses.
static uint32_t arg(Walk *w, const Expr *e) {
  int64_t v = eval(w, e).i;
  return v < 0 || v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

// ---- runtime calls -------------------------------------------------------------------------------------------------

static HostBuffer *host_buffer(Walk *w, const Buffer *b, Loc at) {
  for (size_t i = 0; i < w->buffers.len; i++)
    if (w->buffers.data[i].buffer == b) return &w->buffers.data[i];
  int64_t bytes;
  if (!mul_ok(buffer_elems(b), dtype_bytes(b->type), &bytes)) bytes = INT64_MAX;
  HostBuffer h = {.buffer = b, .handle = VTABufferAlloc((size_t)bytes), .bytes = bytes};
  note_runtime_error(w, at);
  if (w->failed && !h.handle && w->fault.code == E_VERIFY) w->fault.code = E_RUN; // nothing is known of the stream
  if (h.handle) h.host = VTABufferCPUPtr(w->cmd, h.handle);
  VEC_PUSH(w->cx->arena, w->buffers, h);
  return &w->buffers.data[w->buffers.len - 1];
}

static bool find_load(void *self, const Expr *e) {
  bool *found = self;
  *found |= e->kind == EXPR_LOAD;
  return !*found;
}

static bool depends_on_data(const Expr *e) {
  bool found = false;
  expr_visit(e, find_load, &found);
  return found;
}

// The handle behind a host reference, its element offset in *offset. Where data says which one it is, any will do to
// find what happens on chip; what is there is not overrun by a transfer from the buffer's start, if by none.
static void *host_ref(Walk *w, const Expr *e, uint32_t *offset) {
  if (e->kind != EXPR_REF || e->buffer->scope->id >= 0 || e->nargs != 1) {
    refuse(w, e->loc, "a transfer without a host buffer");
    return NULL;
  }
  *offset = w->checks && depends_on_data(e->args[0]) ? 0 : arg(w, e->args[0]);
  return host_buffer(w, e->buffer, e->loc)->handle;
}

static void load_call(Walk *w, const Stmt *s) {
  uint32_t offset = 0, v[ARG_LOAD_CALL_END] = {0};
  void *handle = host_ref(w, s->args[ARG_LOAD_CALL_SRC], &offset);
  for (int i = ARG_LOAD_CALL_SRC + 1; i < ARG_LOAD_CALL_END; i++) v[i] = arg(w, s->args[i]);
  const uint32_t *pad = v + ARG_LOAD_CALL_PAD;
  if (!w->failed)
    VTALoadBuffer2D(w->cmd, handle, offset, v[ARG_LOAD_CALL_X], v[ARG_LOAD_CALL_Y], v[ARG_LOAD_CALL_STRIDE],
                    pad[PAD_BEFORE], pad[PAD_ABOVE], pad[PAD_BEHIND], pad[PAD_BELOW], v[ARG_LOAD_CALL_TILE],
                    v[ARG_LOAD_CALL_MEMORY]);
}

static void store_call(Walk *w, const Stmt *s) {
  uint32_t offset = 0, v[ARG_STORE_CALL_END] = {0};
  void *handle = host_ref(w, s->args[ARG_STORE_CALL_DST], &offset);
  for (int i = ARG_STORE_CALL_DST + 1; i < ARG_STORE_CALL_END; i++) v[i] = arg(w, s->args[i]);
  if (!w->failed)
    VTAStoreBuffer2D(w->cmd, v[ARG_STORE_CALL_TILE], v[ARG_STORE_CALL_MEMORY], handle, offset, v[ARG_STORE_CALL_X],
                     v[ARG_STORE_CALL_Y], v[ARG_STORE_CALL_STRIDE]);
}

// As the host code does it: rows of one tile from a tile of zeros, all at the same place.
static void zero_call(Walk *w, const Stmt *s) {
  uint32_t n = arg(w, s->args[ARG_ZERO_CALL_N]), sram = arg(w, s->args[ARG_ZERO_CALL_TILE]);
  uint32_t memory = arg(w, s->args[ARG_ZERO_CALL_MEMORY]);
  if (!w->zeros) w->zeros = VTABufferAlloc(4096); // no tile is larger than a page
  while (n && !w->failed) {
    uint32_t rows = n < MAX_ROWS ? n : MAX_ROWS;
    VTALoadBuffer2D(w->cmd, w->zeros, 0, 1, rows, 0, 0, 0, 0, 0, sram, memory);
    sram += rows;
    n -= rows;
    note_runtime_error(w, s->loc);
  }
}

static void walk_stmt(Walk *w, const Stmt *s);

// The finit of a kernel.
static int describe(void *self) {
  Walk *w = self;
  const Stmt *s = w->kernel;
  for (int loop = 0; loop < 2; loop++) {
    const Expr **a = s->args + loop;
    VTAUopLoopBegin(arg(w, a[ARG_KERNEL_LOOPS]), arg(w, a[ARG_KERNEL_DST]), arg(w, a[ARG_KERNEL_SRC]),
                    arg(w, a[ARG_KERNEL_WGT]));
  }
  walk_stmt(w, s->body);
  VTAUopLoopEnd();
  VTAUopLoopEnd();
  return w->failed ? 1 : 0;
}

static void kernel_call(Walk *w, const Stmt *s) {
  if (w->kernel) {
    refuse(w, s->loc, "a kernel inside a kernel");
    return;
  }
  int op = vta_kernel_op(s);
  if (op < 0) {
    refuse(w, s->loc, "a kernel of an operation that micro-ops do not have");
    return;
  }
  w->kernel = s;
  if (vta_row((VtaOp)op)->alu == NO_ALU) VTAPushGEMMOp(NULL, describe, w, 0);
  else VTAPushALUOp(NULL, describe, w, 0);
  w->kernel = NULL;
}

static void uop_call(Walk *w, const Stmt *s) {
  if (!w->kernel) {
    refuse(w, s->loc, "a micro-op outside of a kernel");
    return;
  }
  VtaUopCall call;
  const char *problem = vta_uop_call(w->kernel, s, &call);
  if (problem) {
    refuse(w, s->loc, problem);
    return;
  }
  int64_t imm = call.imm ? eval(w, call.imm).i : 0;
  if (imm != (int32_t)imm) refuse(w, s->loc, "an immediate does not fit");
  uint32_t index[3] = {0};
  for (int i = 0; i < 3; i++) index[i] = call.operands[i] ? arg(w, call.operands[i]) : 0;
  if (w->failed) return;
  VTAUopPush(call.mode, call.reset, index[0], index[1], index[2], call.opcode, call.imm != NULL, (int32_t)imm);
}

static int unit_arg(Walk *w, const Expr *e) { return (int)(arg(w, e) & 0xFF); }

static void intrin_call(Walk *w, const Stmt *s) {
  if (++w->calls > MAX_CALLS) refuse(w, s->loc, "the stream is too long to list");
  if (w->failed) return;
  if (!w->kernel) {
    VEC_PUSH(w->cx->arena, w->origins, s);
    tetc_runtime_mark(w->rt, (uint32_t)w->origins.len);
  }
  switch ((VtaOp)s->intrin->id) {
  case VTA_LOAD_CALL: load_call(w, s); break;
  case VTA_ZERO_CALL: zero_call(w, s); break;
  case VTA_STORE_CALL: store_call(w, s); break;
  case VTA_KERNEL: kernel_call(w, s); break;
  case VTA_UOP: uop_call(w, s); break;
  case VTA_PUSH: VTADepPush(w->cmd, unit_arg(w, s->args[ARG_PUSH_FROM]), unit_arg(w, s->args[ARG_PUSH_TO])); break;
  case VTA_POP: VTADepPop(w->cmd, unit_arg(w, s->args[ARG_POP_FROM]), unit_arg(w, s->args[ARG_POP_TO])); break;
  case VTA_SYNC: VTASynchronize(w->cmd, UINT32_MAX); break;
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
  case VTA_OP_COUNT: refuse(w, s->loc, "the function is not lowered to runtime calls"); break;
  }
  note_runtime_error(w, s->loc);
}

// ---- control flow --------------------------------------------------------------------------------------------------

static bool find_intrin(void *self, const Stmt *s) {
  bool *found = self;
  if (s->kind == STMT_INTRIN) *found = true;
  return !*found;
}

static bool skip_expr(void *self, const Expr *e) {
  (void)self, (void)e;
  return false;
}

static bool has_intrin(const Stmt *s) {
  bool found = false;
  stmt_visit(s, find_intrin, skip_expr, &found);
  return found;
}

static void walk_for(Walk *w, const Stmt *s) {
  if (!has_intrin(s->body)) return;
  int64_t min = eval(w, s->min).i, extent = eval(w, s->extent).i;
  size_t at = w->vars.len;
  VEC_PUSH(w->cx->arena, w->vars, ((Binding){s->var, min}));
  for (int64_t i = 0; i < extent && !w->failed; i++) {
    w->vars.data[at].value = min + i;
    walk_stmt(w, s->body);
    if (++w->calls > MAX_CALLS) refuse(w, s->loc, "the stream is too long to list");
  }
  w->vars.len = at;
}

static void walk_node(Walk *w, const Stmt *s) {
  switch (s->kind) {
  case STMT_FOR: walk_for(w, s); break;
  case STMT_STORE: break; // data
  case STMT_IF:
    if (!has_intrin(s)) break;
    if (eval(w, s->cond).i) walk_stmt(w, s->body);
    else if (s->else_body) walk_stmt(w, s->else_body);
    break;
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren && !w->failed; i++) walk_stmt(w, s->children[i]);
    break;
  case STMT_ALLOC: walk_stmt(w, s->body); break;
  case STMT_INTRIN: intrin_call(w, s); break;
  }
}

static void walk_stmt(Walk *w, const Stmt *s) {
  if (w->failed) return;
  if (++w->depth > MAX_DEPTH) refuse(w, s->loc, "statements are nested too deeply");
  else walk_node(w, s);
  w->depth--;
}

// Walks f on a device of its own (taken over; NULL: no memory). False: w->fault says why. The runtime stays in w->rt
// for the caller to look at and to free.
static bool walk_func(Walk *w, const Func *f, TetcDevice *device) {
  w->rt = tetc_runtime_new(device);
  if (!w->rt) {
    const char *text = arena_printf(w->cx->arena, "no memory for the instructions of `%s`", f->name);
    w->fault = (VtaStreamFault){.code = E_MEMORY, .text = text, .at = f->loc};
    w->failed = true;
    return false;
  }
  TetcRuntime *before = tetc_runtime_select(w->rt);
  w->cmd = VTATLSCommandHandle();
  tetc_runtime_check(w->rt, true);
  for (int i = 0; i < f->nparams; i++) host_buffer(w, f->params[i], f->loc);
  for (int i = 0; i < f->nconsts; i++) {
    const HostBuffer *h = host_buffer(w, f->consts[i], f->loc);
    if (h->host) memcpy((void *)h->host, f->consts[i]->data, (size_t)h->bytes);
  }
  walk_stmt(w, f->body);
  tetc_runtime_mark(w->rt, 0);
  if (!w->failed) VTASynchronize(w->cmd, UINT32_MAX);
  note_runtime_error(w, f->loc);
  tetc_runtime_select(before);
  return !w->failed;
}

static void walk_end(Walk *w) {
  for (size_t i = 0; i < w->buffers.len; i++) VTABufferFree(w->buffers.data[i].handle);
  VTABufferFree(w->zeros);
  tetc_runtime_free(w->rt);
}

// ---- the stream ----------------------------------------------------------------------------------------------------

// The host buffer that a transfer touches, and where.
static void find_place(const Walk *w, VtaStreamInsn *i) {
  int64_t elem = vta_elem_bytes(w->config, i->insn.memory);
  const uint8_t *at = tetc_dram_at(tetc_runtime_device(w->rt)->dram, (uint64_t)i->insn.dram_base * (uint64_t)elem, 1);
  for (size_t k = 0; at && k < w->buffers.len; k++) {
    const HostBuffer *h = &w->buffers.data[k];
    if (at < h->host || at >= h->host + h->bytes) continue;
    i->host = h->buffer;
    i->tile = (at - h->host) / elem;
  }
}

// The micro-ops that a load brings.
static void find_uops(const Walk *w, VtaStreamInsn *i) {
  TetcDram *dram = tetc_runtime_device(w->rt)->dram;
  const uint8_t *at = tetc_dram_at(dram, (uint64_t)i->insn.dram_base * 4, (uint64_t)i->insn.x_size * 4);
  if (!at) return;
  i->nuops = i->insn.x_size;
  i->uops = NEW_ARRAY(w->cx->arena, VtaUop, i->nuops);
  for (uint32_t k = 0; k < i->nuops; k++) {
    uint32_t word;
    memcpy(&word, at + 4 * k, 4);
    i->uops[k] = vta_decode_uop(w->config, word);
  }
}

// What was recorded, with where it comes from.
static VtaStream stream_of(const Walk *w) {
  VtaStream s = {0};
  const TetcDevice *d = tetc_runtime_device(w->rt);
  const VtaWord *words = tetc_record_insns(d, &s.n);
  const uint32_t *marks = tetc_record_marks(d);
  s.launches = tetc_runtime_stats(w->rt)->launches;
  s.insns = NEW_ARRAY(w->cx->arena, VtaStreamInsn, s.n + 1);
  for (size_t k = 0; k < s.n; k++) {
    VtaStreamInsn *i = &s.insns[k];
    i->word = words[k];
    i->from = origin(w, marks[k]);
    i->legal = vta_decode(w->config, words[k], &i->insn);
    if (!i->legal || (i->insn.opcode != OPC_LOAD && i->insn.opcode != OPC_STORE) || !i->insn.x_size) continue;
    if (i->insn.memory == MEM_UOP) find_uops(w, i);
    else find_place(w, i);
  }
  return s;
}

bool vta_stream_new(Ctx *cx, const Func *f, VtaStream *out, VtaStreamFault *fault) {
  Walk w = {.cx = cx, .config = &vta_of(f->target)->config};
  bool ok = walk_func(&w, f, tetc_record_new(w.config));
  if (ok) *out = stream_of(&w);
  walk_end(&w);
  *fault = w.fault;
  return ok;
}

bool vta_find_fault(Ctx *cx, const Func *f, VtaStreamFault *fault) {
  if (!f->target) return false;
  Walk w = {.cx = cx, .config = &vta_of(f->target)->config, .checks = true};
  bool ok = walk_func(&w, f, tetc_fsim_new(w.config));
  walk_end(&w);
  *fault = w.fault;
  return !ok;
}

bool vta_check_stream(Ctx *cx, const Func *f) {
  VtaStreamFault fault;
  if (!vta_find_fault(cx, f, &fault)) return true;
  vta_stream_report(cx, &fault);
  return false;
}

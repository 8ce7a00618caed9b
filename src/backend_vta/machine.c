// SPDX-License-Identifier: Apache-2.0
// The meaning of the VTA intrinsics for the TIR interpreter. Tile references work on the interpreter's own buffers;
// runtime calls (FORM_CALLS) on on-chip memories that live here. Every operation is issued to its unit, which executes
// it now or later (units.c): what lacks a token shows as a wrong value in some order.
#include "backend_vta/internal.h"

#include <string.h>

// Tiles of one memory: a buffer of the interpreter's, or an on-chip memory.
typedef struct Tiles {
  void *data;
  int64_t count, index; // tiles there are; the one meant
  VtaMemory memory;
  const char *name;
} Tiles;

// The operands of one vta.uop, as places to start from.
typedef struct Step {
  Tiles dst, src, wgt;
} Step;

// What a micro-op kernel does, and its arguments.
typedef struct Kernel {
  VtaOp op;
  bool imm; // its last argument counts
  int64_t args[ARG_KERNEL_END];
} Kernel;

typedef struct Machine {
  TirMachine machine;
  Ctx *cx;
  const VtaTarget *target;
  int64_t batch, block_in, block_out;
  void *sram[VTA_SCOPE_COUNT]; // allocated when a runtime call first names them
  Units *units;
  bool in_kernel;
  Kernel kernel; // that is built
  VEC(Step) steps;
  VEC(int64_t) built; // room for an Issued
} Machine;

// Sets the message; returns false.
__attribute__((format(printf, 3, 4))) static bool fault(Machine *m, const char **error, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  *error = arena_vprintf(m->cx->arena, fmt, ap);
  va_end(ap);
  return false;
}

// ---- places --------------------------------------------------------------------------------------------------------

// Bytes of one tile where it is kept on chip.
static int64_t tile_bytes(const Machine *m, VtaMemory mem) {
  switch (mem) {
  case MEM_INP: return m->batch * m->block_in;
  case MEM_WGT: return m->block_out * m->block_in;
  case MEM_UOP:
  case MEM_ACC:
  case MEM_OUT:
  case MEM_ACC8:
  case MEM_COUNT: break;
  }
  return m->batch * m->block_out * 4;
}

// On-chip tiles by plain index.
static Tiles sram_tiles(Machine *m, VtaMemory mem, int64_t index) {
  VtaScope s = vta_memory_scope(mem);
  const Scope *scope = m->target->scopes[s];
  if (!m->sram[s]) { // what was never written is no lucky zero
    m->sram[s] = arena_array(m->cx->arena, (size_t)scope->depth, (size_t)tile_bytes(m, mem));
    memset(m->sram[s], 0xa5, (size_t)(scope->depth * tile_bytes(m, mem)));
  }
  return (Tiles){m->sram[s], scope->depth, index, vta_scope_memory(s), scope->name};
}

// On-chip tiles from an argument: a reference, or (in FORM_CALLS) an index into `mem`.
static bool tiles_of(Machine *m, const TirArg *a, VtaMemory mem, Tiles *out, const char **error) {
  if (!a->is_ref) {
    *out = sram_tiles(m, mem, a->value);
  } else {
    const Scope *s = a->buffer->scope;
    if (s->id < 0) {
      fault(m, error, "`%s` is in host memory, an on-chip tile is expected", a->buffer->name);
      return false;
    }
    *out =
        (Tiles){a->data, buffer_elems(a->buffer) / s->tile, a->value, vta_scope_memory(vta_scope(s)), a->buffer->name};
  }
  return true;
}

static bool tiles_in(Machine *m, VtaMemory want, const Tiles *t, const char **error) {
  if (t->memory == want) return true;
  return fault(m, error, "`%s` is in %s, but the operation works on %s", t->name,
               m->target->scopes[vta_memory_scope(t->memory)]->name, m->target->scopes[vta_memory_scope(want)]->name);
}

static bool tiles_hold(Machine *m, const Tiles *t, int64_t n, const char **error) {
  if (t->index >= 0 && n >= 0 && t->index <= t->count && n <= t->count - t->index) return true;
  return fault(m, error, "tiles %lld to %lld of `%s`, which has %lld", (long long)t->index,
               (long long)(t->index + n - 1), t->name, (long long)t->count);
}

static void *tile_at(const Machine *m, const Tiles *t, int64_t k) {
  return (char *)t->data + (t->index + k) * tile_bytes(m, t->memory);
}

// ---- transfers -----------------------------------------------------------------------------------------------------

// The host end of a transfer: a rectangle of elements of `elem` bytes.
typedef struct Rect {
  int64_t y, x, stride, pad_y0, pad_y1, pad_x0, pad_x1;
} Rect;

static bool rect_ok(Machine *m, const Rect *r, const char **error) {
  const int64_t limit = 1 << 16, pad = 16;
  if (r->y >= 0 && r->y < limit && r->x >= 0 && r->x < limit && (r->y <= 1 || (r->stride >= 0 && r->stride < limit)) &&
      r->pad_y0 >= 0 && r->pad_y0 < pad && r->pad_y1 >= 0 && r->pad_y1 < pad && r->pad_x0 >= 0 && r->pad_x0 < pad &&
      r->pad_x1 >= 0 && r->pad_x1 < pad)
    return true;
  return fault(m, error, "a size, stride or padding of a transfer does not fit its field");
}

// The first byte of the rectangle, of tiles of elem bytes, in a host buffer; NULL with an error if it leaves the
// buffer.
static char *host_rect(Machine *m, const TirArg *a, const Rect *r, int64_t elem, const char **error) {
  if (!a->is_ref || a->buffer->scope->id >= 0) {
    fault(m, error, "a transfer needs a host buffer at its other end");
    return NULL;
  }
  if (r->y == 0) return a->data;
  int64_t count = buffer_elems(a->buffer) * dtype_bytes(a->buffer->type) / elem;
  int64_t past;
  if (!add_ok(a->value, (r->y - 1) * r->stride + r->x, &past)) past = INT64_MAX;
  if (a->value < 0 || a->value >= count || past > count) {
    fault(m, error, "a transfer touches tiles %lld to %lld of `%s`, which has %lld", (long long)a->value,
          (long long)(past - 1), a->buffer->name, (long long)count);
    return NULL;
  }
  return (char *)a->data + a->value * elem;
}

// Copies n tiles from host memory to tile k, widening int8 to int32 if asked.
static void copy_in(const Machine *m, const Tiles *dst, int64_t k, const char *src, int64_t n, bool widen) {
  if (!widen) {
    memcpy(tile_at(m, dst, k), src, (size_t)(n * tile_bytes(m, dst->memory)));
    return;
  }
  int32_t *to = tile_at(m, dst, k);
  for (int64_t l = 0; l < n * m->batch * m->block_out; l++) to[l] = (int8_t)src[l];
}

static void zero_tiles(const Machine *m, const Tiles *t, int64_t k, int64_t n) {
  memset(tile_at(m, t, k), 0, (size_t)(n * tile_bytes(m, t->memory)));
}

// vta-isa section 6.
static bool load(Machine *m, const Tiles *dst, const TirArg *src, const Rect *r, bool widen, const char **error) {
  if (r->x == 0) return true;
  if (!rect_ok(m, r, error)) return false;
  int64_t width = r->pad_x0 + r->x + r->pad_x1, height = r->pad_y0 + r->y + r->pad_y1;
  if (!tiles_hold(m, dst, width * height, error)) return false;
  int64_t elem = widen ? m->batch * m->block_out : tile_bytes(m, dst->memory);
  const char *from = host_rect(m, src, r, elem, error);
  if (!from) return false;
  zero_tiles(m, dst, 0, width * height);
  for (int64_t y = 0; y < r->y; y++)
    copy_in(m, dst, (r->pad_y0 + y) * width + r->pad_x0, from + y * r->stride * elem, r->x, widen);
  return true;
}

// vta-isa section 7.
static bool store(Machine *m, const TirArg *dst, const Tiles *src, const Rect *r, const char **error) {
  if (r->x == 0 || r->y == 0) return true;
  int64_t lanes = m->batch * m->block_out;
  if (!rect_ok(m, r, error) || !tiles_hold(m, src, r->x * r->y, error) || !tiles_in(m, MEM_ACC, src, error))
    return false;
  if (dst->is_ref && dtype_bytes(dst->buffer->type) != 1)
    return fault(m, error, "a store into `%s`, which is not of 8 bits", dst->buffer->name);
  if (dst->is_ref && (dst->buffer->role == BUF_INPUT || dst->buffer->role == BUF_CONST))
    return fault(m, error, "a store into `%s`, which is an input", dst->buffer->name);
  char *to = host_rect(m, dst, r, lanes, error);
  if (!to) return false;
  for (int64_t y = 0; y < r->y; y++) {
    const int32_t *from = tile_at(m, src, y * r->x);
    for (int64_t l = 0; l < r->x * lanes; l++) to[y * r->stride * lanes + l] = (char)from[l];
  }
  return true;
}

static void rect_pads(Rect *r, const TirArg *pads) {
  r->pad_y0 = pads[PAD_ABOVE].value, r->pad_y1 = pads[PAD_BELOW].value;
  r->pad_x0 = pads[PAD_BEFORE].value, r->pad_x1 = pads[PAD_BEHIND].value;
}

static bool run_load(Machine *m, const TirArg *a, const char **error) {
  Tiles dst;
  const TirArg *src = &a[ARG_LOAD_SRC];
  Rect r = {.y = a[ARG_LOAD_Y].value, .x = a[ARG_LOAD_X].value, .stride = a[ARG_LOAD_STRIDE].value};
  rect_pads(&r, &a[ARG_LOAD_PAD]);
  if (!tiles_of(m, &a[ARG_LOAD_DST], MEM_ACC, &dst, error)) return false;
  bool widen = dst.memory == MEM_ACC && src->is_ref && dtype_bytes(src->buffer->type) == 1;
  return load(m, &dst, src, &r, widen, error);
}

static bool call_memory(Machine *m, const TirArg *a, VtaMemory *mem, const char **error) {
  int64_t v = a->value;
  *mem = (VtaMemory)v;
  if (!a->is_ref && v >= MEM_WGT && v < MEM_COUNT) return true;
  return fault(m, error, "memory type %lld does not exist", (long long)v);
}

static bool run_load_call(Machine *m, const TirArg *a, const char **error) {
  VtaMemory mem;
  Rect r = {.y = a[ARG_LOAD_CALL_Y].value, .x = a[ARG_LOAD_CALL_X].value, .stride = a[ARG_LOAD_CALL_STRIDE].value};
  rect_pads(&r, &a[ARG_LOAD_CALL_PAD]);
  if (!call_memory(m, &a[ARG_LOAD_CALL_MEMORY], &mem, error)) return false;
  Tiles dst = sram_tiles(m, mem, a[ARG_LOAD_CALL_TILE].value);
  return load(m, &dst, &a[ARG_LOAD_CALL_SRC], &r, mem == MEM_ACC8, error);
}

static bool zero(Machine *m, Tiles t, int64_t n, const char **error) {
  if (!tiles_hold(m, &t, n, error)) return false;
  zero_tiles(m, &t, 0, n);
  return true;
}

static bool run_zero_call(Machine *m, const TirArg *a, const char **error) {
  VtaMemory mem;
  return call_memory(m, &a[ARG_ZERO_CALL_MEMORY], &mem, error) &&
         zero(m, sram_tiles(m, mem, a[ARG_ZERO_CALL_TILE].value), a[ARG_ZERO_CALL_N].value, error);
}

static bool run_zero(Machine *m, const TirArg *a, const char **error) {
  Tiles t;
  return tiles_of(m, &a[ARG_ZERO_DST], MEM_ACC, &t, error) && zero(m, t, a[ARG_ZERO_N].value, error);
}

static bool run_store(Machine *m, const TirArg *a, const char **error) {
  Tiles src;
  Rect r = {.y = a[ARG_STORE_Y].value, .x = a[ARG_STORE_X].value, .stride = a[ARG_STORE_STRIDE].value};
  return tiles_of(m, &a[ARG_STORE_SRC], MEM_ACC, &src, error) && store(m, &a[ARG_STORE_DST], &src, &r, error);
}

static bool run_store_call(Machine *m, const TirArg *a, const char **error) {
  VtaMemory mem;
  Rect r = {.y = a[ARG_STORE_CALL_Y].value, .x = a[ARG_STORE_CALL_X].value, .stride = a[ARG_STORE_CALL_STRIDE].value};
  if (!call_memory(m, &a[ARG_STORE_CALL_MEMORY], &mem, error)) return false;
  Tiles src = sram_tiles(m, mem, a[ARG_STORE_CALL_TILE].value);
  return store(m, &a[ARG_STORE_CALL_DST], &src, &r, error);
}

// ---- computing on tiles --------------------------------------------------------------------------------------------

static void gemm_tile(const Machine *m, int32_t *acc, const int8_t *inp, const int8_t *wgt) {
  for (int64_t b = 0; b < m->batch; b++)
    for (int64_t c = 0; c < m->block_out; c++) {
      int32_t sum = 0;
      for (int64_t k = 0; k < m->block_in; k++) sum += inp[b * m->block_in + k] * wgt[c * m->block_in + k];
      acc[b * m->block_out + c] = (int32_t)((uint32_t)acc[b * m->block_out + c] + (uint32_t)sum);
    }
}

int32_t vta_alu_value(VtaAluOp op, int32_t x, int32_t y) {
  switch (op) {
  case ALU_MIN: return x < y ? x : y;
  case ALU_MAX: return x > y ? x : y;
  case ALU_ADD: return (int32_t)((uint32_t)x + (uint32_t)y);
  case ALU_SHR: return y >= 0 ? x >> (y & 31) : (int32_t)((uint32_t)x << (-(uint32_t)y & 31));
  case ALU_MUL: return (int32_t)((uint32_t)x * (uint32_t)y);
  }
  return x;
}

bool vta_alu_steps_commute(VtaAluOp op) {
  switch (op) {
  case ALU_MIN:
  case ALU_MAX:
  case ALU_ADD:
  case ALU_MUL: return true;
  case ALU_SHR: break; // to the left and to the right
  }
  return false;
}

// src NULL: the immediate.
static void alu_tile(const Machine *m, VtaAluOp op, int32_t *dst, const int32_t *src, int32_t imm) {
  for (int64_t l = 0; l < m->batch * m->block_out; l++) dst[l] = vta_alu_value(op, dst[l], src ? src[l] : imm);
}

// One operand tile of an operation, checked.
static bool operand(Machine *m, const TirArg *a, VtaMemory mem, Tiles *out, const char **error) {
  return tiles_of(m, a, mem, out, error) && tiles_in(m, mem, out, error) && tiles_hold(m, out, 1, error);
}

static bool run_gemm(Machine *m, const TirArg *a, const char **error) {
  Tiles dst, inp, wgt;
  if (!operand(m, &a[ARG_GEMM_DST], MEM_ACC, &dst, error) || !operand(m, &a[ARG_GEMM_INP], MEM_INP, &inp, error) ||
      !operand(m, &a[ARG_GEMM_WGT], MEM_WGT, &wgt, error))
    return false;
  gemm_tile(m, tile_at(m, &dst, 0), tile_at(m, &inp, 0), tile_at(m, &wgt, 0));
  return true;
}

static bool immediate_ok(Machine *m, int64_t v, const char **error) {
  return (v >= INT16_MIN && v <= INT16_MAX) || fault(m, error, "the immediate %lld does not fit 16 bits", (long long)v);
}

static bool run_alu(Machine *m, VtaAluOp op, const TirArg *a, const char **error) {
  Tiles dst, src;
  const TirArg *second = &a[ARG_ALU_SRC];
  if (!operand(m, &a[ARG_ALU_DST], MEM_ACC, &dst, error)) return false;
  if (!second->is_ref) {
    if (!immediate_ok(m, second->value, error)) return false;
    alu_tile(m, op, tile_at(m, &dst, 0), NULL, (int32_t)second->value);
    return true;
  }
  if (!operand(m, second, MEM_ACC, &src, error)) return false;
  alu_tile(m, op, tile_at(m, &dst, 0), tile_at(m, &src, 0), 0);
  return true;
}

static bool run_mov(Machine *m, const TirArg *a, const char **error) {
  Tiles dst, src;
  if (!operand(m, &a[ARG_MOV_DST], MEM_ACC, &dst, error) || !operand(m, &a[ARG_MOV_SRC], MEM_ACC, &src, error))
    return false;
  memmove(tile_at(m, &dst, 0), tile_at(m, &src, 0), (size_t)tile_bytes(m, MEM_ACC));
  return true;
}

static bool run_reset(Machine *m, const TirArg *a, const char **error) {
  Tiles dst;
  if (!operand(m, &a[ARG_RESET_DST], MEM_ACC, &dst, error)) return false;
  zero_tiles(m, &dst, 0, 1);
  return true;
}

// ---- kernels -------------------------------------------------------------------------------------------------------

static bool kernel_enter(Machine *m, const Stmt *s, const TirArg *a, const char **error) {
  Kernel *k = &m->kernel;
  if (m->in_kernel) return fault(m, error, "a kernel inside a kernel");
  int op = vta_step_op(a[ARG_KERNEL_OP].value);
  if (op < 0) return fault(m, error, "a kernel of an operation that micro-ops do not have");
  *k = (Kernel){.op = (VtaOp)op, .imm = vta_kernel_has_imm(s)};
  for (int i = 0; i < s->nargs; i++) k->args[i] = a[i].value;
  for (int i = ARG_KERNEL_LOOPS; i <= ARG_KERNEL_LOOPS_LAST; i++)
    if (k->args[i] < 0 || k->args[i] >= 1 << 14)
      return fault(m, error, "a micro-op loop of more than 16383 iterations");
  for (int i = ARG_KERNEL_DST; i <= ARG_KERNEL_WGT_LAST; i++)
    if (k->args[i] < 0 || k->args[i] >= 1 << 16)
      return fault(m, error, "a micro-op loop moves an index by %lld", (long long)k->args[i]);
  if (k->imm && vta_row(k->op)->alu == NO_ALU) return fault(m, error, "%s has no immediate", vta_row(k->op)->name);
  if (k->imm && !immediate_ok(m, k->args[ARG_KERNEL_IMM], error)) return false;
  m->in_kernel = true;
  m->steps.len = 0;
  return true;
}

static bool run_uop(Machine *m, const Stmt *st, const TirArg *a, const char **error) {
  if (!m->in_kernel) return fault(m, error, "a micro-op outside of a kernel");
  const VtaRow *row = vta_row(m->kernel.op);
  Step s = {0};
  Tiles *places[] = {&s.dst, &s.src, &s.wgt};
  int n = vta_uop_operands(m->kernel.op, m->kernel.imm);
  if (st->nargs != n) return fault(m, error, "a micro-op of %d operands in a kernel of %s", st->nargs, row->name);
  for (int i = 0; i < n; i++) {
    VtaMemory memory = vta_uop_memory(m->kernel.op, i);
    if (!tiles_of(m, &a[i], memory, places[i], error) || !tiles_in(m, memory, places[i], error)) return false;
  }
  VEC_PUSH(m->cx->arena, m->steps, s);
  return true;
}

// One micro-op, its operands moved by the loops.
static bool kernel_step(Machine *m, const Kernel *k, Step s, int64_t o, int64_t i, const char **error) {
  const int64_t *dst = k->args + ARG_KERNEL_DST, *src = k->args + ARG_KERNEL_SRC, *wgt = k->args + ARG_KERNEL_WGT;
  s.dst.index += o * dst[0] + i * dst[1];
  s.src.index += o * src[0] + i * src[1];
  s.wgt.index += o * wgt[0] + i * wgt[1];
  if (!tiles_hold(m, &s.dst, 1, error) || (s.src.data && !tiles_hold(m, &s.src, 1, error)) ||
      (s.wgt.data && !tiles_hold(m, &s.wgt, 1, error)))
    return false;
  int32_t *to = tile_at(m, &s.dst, 0);
  int alu = vta_row(k->op)->alu;
  if (alu != NO_ALU)
    alu_tile(m, (VtaAluOp)alu, to, k->imm ? NULL : tile_at(m, &s.src, 0), (int32_t)k->args[ARG_KERNEL_IMM]);
  else if (k->op == VTA_GEMM) gemm_tile(m, to, tile_at(m, &s.src, 0), tile_at(m, &s.wgt, 0));
  else if (k->op == VTA_RESET) zero_tiles(m, &s.dst, 0, 1);
  else return fault(m, error, "%s is no operation of a micro-op", vta_row(k->op)->name);
  return true;
}

// A kernel as it is issued, with its micro-ops.
typedef struct Issued {
  Kernel kernel;
  size_t nsteps;
  Step steps[];
} Issued;

static bool run_kernel(Machine *m, const Issued *k, const char **error) {
  for (int64_t o = 0; o < k->kernel.args[ARG_KERNEL_LOOPS]; o++)
    for (int64_t i = 0; i < k->kernel.args[ARG_KERNEL_LOOPS + 1]; i++)
      for (size_t n = 0; n < k->nsteps; n++)
        if (!kernel_step(m, &k->kernel, k->steps[n], o, i, error)) return false;
  return true;
}

static bool kernel_leave(Machine *m, const Stmt *s, const TirArg *args, TirFault *fault) {
  m->in_kernel = false;
  size_t bytes = sizeof(Issued) + m->steps.len * sizeof(Step);
  m->built.len = 0;
  while (m->built.len * sizeof(int64_t) < bytes) VEC_PUSH(m->cx->arena, m->built, 0);
  Issued *k = (Issued *)(void *)m->built.data;
  k->kernel = m->kernel;
  k->nsteps = m->steps.len;
  if (k->nsteps) memcpy(k->steps, m->steps.data, k->nsteps * sizeof(Step));
  return units_issue(m->units, UNIT_COMPUTE, s, args, k, bytes, fault);
}

// ---- the machine ---------------------------------------------------------------------------------------------------

// The memory that a transfer on chip writes; what is malformed is as good as any, the unit says so.
static int64_t written_memory(const VtaRow *row, const TirArg *args) {
  for (int i = 0; i < row->noperands; i++) {
    const TirArg *a = &args[row->operands[i].arg];
    if (row->operands[i].kind == KIND_MEMORY) return a->value;
    if (row->operands[i].kind != KIND_CHIP) continue;
    return a->is_ref && a->buffer->scope->id >= 0 ? vta_scope_memory(vta_scope(a->buffer->scope)) : MEM_ACC;
  }
  return MEM_ACC;
}

// The unit that executes an operation; 0 if none does.
static int unit_of(const Stmt *s, const TirArg *a) {
  const VtaRow *row = vta_row_of(s->intrin);
  switch (row->runs) {
  case RUNS_BY_MEMORY: return vta_memory_unit(written_memory(row, a));
  case RUNS_COMPUTE: return UNIT_COMPUTE;
  case RUNS_STORE: return UNIT_STORE;
  case RUNS_NOWHERE: break;
  }
  return 0;
}

// What a unit does.
static bool machine_exec(void *self, const Stmt *s, const TirArg *a, const void *extra, const char **error) {
  Machine *m = self;
  const VtaRow *row = vta_row_of(s->intrin);
  switch ((VtaOp)s->intrin->id) {
  case VTA_LOAD: return run_load(m, a, error);
  case VTA_ZERO: return run_zero(m, a, error);
  case VTA_STORE: return run_store(m, a, error);
  case VTA_RESET: return run_reset(m, a, error);
  case VTA_GEMM: return run_gemm(m, a, error);
  case VTA_MOV: return run_mov(m, a, error);
#define ALU_OP(id, text) case VTA_##id:
#include "isa/isa.def"
    return run_alu(m, (VtaAluOp)row->alu, a, error);
  case VTA_KERNEL: return run_kernel(m, extra, error);
  case VTA_LOAD_CALL: return run_load_call(m, a, error);
  case VTA_ZERO_CALL: return run_zero_call(m, a, error);
  case VTA_STORE_CALL: return run_store_call(m, a, error);
  case VTA_PUSH:
  case VTA_POP:
  case VTA_SYNC:
  case VTA_UOP:
  case VTA_DMA_COPY:
  case VTA_ALU:
  case VTA_TENSORIZE:
  case VTA_OP_COUNT: break;
  }
  return fault(m, error, "%s is no operation of a unit", s->intrin->name);
}

// What the host does: it issues operations, waits, and builds kernels.
static bool machine_run(void *self, const Stmt *s, const TirArg *a, TirFault *fault) {
  Machine *m = self;
  if (is_vta(s->intrin, VTA_PUSH))
    return units_token(m->units, true, a[ARG_PUSH_FROM].value, a[ARG_PUSH_TO].value, s, fault);
  if (is_vta(s->intrin, VTA_POP))
    return units_token(m->units, false, a[ARG_POP_FROM].value, a[ARG_POP_TO].value, s, fault);
  if (is_vta(s->intrin, VTA_SYNC)) return units_drain(m->units, fault);
  if (is_vta(s->intrin, VTA_UOP)) return run_uop(m, s, a, &fault->text);
  int unit = unit_of(s, a);
  return unit ? units_issue(m->units, unit, s, a, NULL, 0, fault) : machine_exec(m, s, a, NULL, &fault->text);
}

// The regions of FORM_LOOPS are marks: their bodies say what they do.
static bool machine_enter(void *self, const Stmt *s, const TirArg *args, TirFault *fault) {
  return is_vta(s->intrin, VTA_KERNEL) ? kernel_enter(self, s, args, &fault->text) : true;
}

static bool machine_leave(void *self, const Stmt *s, const TirArg *args, TirFault *fault) {
  return is_vta(s->intrin, VTA_KERNEL) ? kernel_leave(self, s, args, fault) : true;
}

static bool machine_finish(void *self, TirFault *fault) { return units_finish(((Machine *)self)->units, fault); }

TirMachine *vta_machine_new(Ctx *cx, const VtaTarget *t, VtaOrder order) {
  Machine *m = NEW(cx->arena, Machine);
  m->cx = cx;
  m->target = t;
  m->batch = t->acc.rows;
  m->block_in = t->inp.cols;
  m->block_out = t->acc.cols;
  m->units = units_new(cx, order, machine_exec, m);
  m->machine = (TirMachine){
      .self = m, .run = machine_run, .enter = machine_enter, .leave = machine_leave, .finish = machine_finish};
  return &m->machine;
}

// SPDX-License-Identifier: Apache-2.0
// The interpreter. A function is compiled once into register code (compile_*) and then run (interp_run). Registers are
// Scalars: constants sit below register 0, loop variables and temporaries above. Every index is checked against its
// dimension, when the code is made if the ranges of the loops prove it good, else each time. Good indices are sums of
// loop variables, which are added up in the loops that own them (address_of): an access in an inner loop then costs one
// addition. Local buffers are filled with a pattern when they are allocated, so that a read of something
// never written gives a visible wrong result rather than a lucky zero.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tir/interp.h"

// What local buffers may need together.
static const size_t memory_limit = (size_t)6 << 30;
// More threads, or more code for them, and their loop runs as a serial one: what it computes is the same.
enum { THREADS_MAX = 64, WEAVE_CODE_MAX = 1 << 20 };

// ---- compiling ------------------------------------------------------------------------------------------------------

static void fail(Interp *in, const char *text) {
  if (!in->error) in->error = text;
}

static Ins *emit(Interp *in, Code code, int dst, int a, int b) {
  Ins i = {.code = (uint16_t)code, .dst = dst, .a = a, .b = b};
  VEC_PUSH(in->cx->arena, in->block->code, i);
  VEC_PUSH(in->cx->arena, in->block->where, in->stmt);
  return &in->block->code.data[in->block->code.len - 1];
}

static size_t here(const Interp *in) { return in->block->code.len; }

// Makes the jump at `from` go to the next instruction that is emitted.
static void jump_here(Interp *in, size_t from) { in->block->code.data[from].x = (int64_t)(here(in) - from); }

static void append(Interp *in, const Block *b) {
  for (size_t i = 0; i < b->code.len; i++) {
    VEC_PUSH(in->cx->arena, in->block->code, b->code.data[i]);
    VEC_PUSH(in->cx->arena, in->block->where, b->where.data[i]);
  }
}

static int new_reg(Interp *in) {
  if (in->top + 1 > in->most) in->most = in->top + 1;
  return in->top++;
}

static int constant(Interp *in, Scalar v) {
  VEC_PUSH(in->cx->arena, in->constants, v);
  return -(int)in->constants.len;
}

// The register that the result goes to: the one wanted, or (want -1) a new one. Constants never are.
enum { ANY = INT32_MIN };
static int target_reg(Interp *in, int want) { return want == ANY ? new_reg(in) : want; }

static int compile_expr(Interp *in, const Expr *e, int want);

static int to_want(Interp *in, int reg, int want) {
  if (want == ANY || want == reg) return reg;
  emit(in, MOVE, want, reg, 0);
  return want;
}

// With a code for one type or another, else BINARY_ANY.
static Code binary_code(BinOp op, DType t) {
  bool real = dtype_is_float(t);
  if (t == DT_F16 || (t == DT_U64 && op != OP_ADD && op != OP_SUB && op != OP_MUL)) return BINARY_ANY;
  switch (op) {
#define X(o) \
  case OP_##o: return t == DT_F32 ? F32_##o : t == DT_F64 ? F64_##o : t == DT_I64 ? I64_##o : INT_##o;
    FLOAT_OPS(X)
#undef X
#define X(o) \
  case OP_##o: return real ? BINARY_ANY : t == DT_I64 ? I64_##o : INT_##o;
    BIT_OPS(X)
#undef X
#define X(o) \
  case OP_##o: return real ? FLOAT_##o : INT_##o;
    COMPARES(X)
#undef X
  case OP_LAND:
  case OP_LOR:
  case OP_COUNT: break;
  }
  return BINARY_ANY;
}

// Only the side that matters is evaluated.
static int compile_logical(Interp *in, const Expr *e, int want) {
  int dst = target_reg(in, want);
  compile_expr(in, e->a, dst);
  size_t skip = here(in);
  emit(in, e->binop == OP_LAND ? JUMP_UNLESS : JUMP_IF, 0, dst, 0);
  compile_expr(in, e->b, dst);
  jump_here(in, skip);
  return dst;
}

static int compile_select(Interp *in, const Expr *e, int want) {
  // The result may be an operand of the other side (`x = c ? 1 : x`): never, since a wanted register is only written
  // here and no expression reads one that is still to be written.
  int dst = target_reg(in, want);
  int mark = in->top, c = compile_expr(in, e->a, ANY);
  size_t skip = here(in);
  emit(in, JUMP_UNLESS, 0, c, 0);
  in->top = mark;
  compile_expr(in, e->b, dst);
  size_t over = here(in);
  emit(in, JUMP, 0, 0, 0);
  jump_here(in, skip);
  in->top = mark;
  compile_expr(in, e->c, dst);
  jump_here(in, over);
  in->top = mark;
  return dst;
}

static int frame_of(const Interp *in, const Expr *atom) {
  if (atom->kind == EXPR_VAR)
    for (size_t i = in->frames.len; i-- > 0;)
      if (in->frames.data[i].var == atom->var) return (int)i;
  return -1;
}

// prev + coef * the variable of frame f (prev NONE: constant + ...), computed at the start of its iterations.
enum { NONE = INT32_MAX };
static int partial(Interp *in, int f, int prev, int64_t constant_part, int64_t coef) {
  Frame *frame = &in->frames.data[f];
  for (size_t i = 0; i < frame->partials.len; i++) {
    const Partial *p = &frame->partials.data[i];
    if (p->prev == prev && p->constant == constant_part && p->coef == coef) return p->reg;
  }
  Partial p = {.prev = prev, .reg = constant(in, (Scalar){.i = 0}), .constant = constant_part, .coef = coef};
  VEC_PUSH(in->cx->arena, frame->partials, p);
  Block *outside = in->block;
  in->block = &frame->prologue;
  Ins *i = emit(in, prev == NONE ? ADDRESS_FIRST : ADDRESS_NEXT, p.reg, prev, frame->reg);
  i->x = constant_part;
  i->y = coef;
  in->block = outside;
  return p.reg;
}

// The register of an affine sum of loop variables: outer loops add their part first.
static int address_of(Interp *in, const Affine *a) {
  int reg = NONE;
  for (size_t f = 0; f < in->frames.len; f++) {
    int64_t coef = affine_coef(a, in->frames.data[f].var);
    if (coef) reg = partial(in, (int)f, reg, reg == NONE ? a->constant : 0, coef);
  }
  return reg == NONE ? constant(in, (Scalar){.i = a->constant}) : reg;
}

// Whether an index is a sum of loop variables that is always in 0..n-1.
static bool is_proved(Interp *in, const Expr *e, int64_t n, Affine *a) {
  bool ok;
  int64_t lo, hi;
  *a = affine_of(in->cx, e, &ok);
  for (int i = 0; i < a->nterms; i++)
    if (frame_of(in, a->terms[i].atom) < 0) return false;
  return ok && expr_bounds(&in->ranges, affine_expr(in->cx, a), &lo, &hi) && lo >= 0 && hi < n;
}

// The register of the element's number in b. An index that is a constant is checked now.
static int compile_index(Interp *in, const Buffer *b, const Expr **args) {
  int64_t stride = 1, v;
  int64_t *strides = NEW_ARRAY(in->cx->arena, int64_t, b->ndim);
  bool *proved = NEW_ARRAY(in->cx->arena, bool, b->ndim);
  Affine sum = {0}, index;
  for (int i = b->ndim - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= b->shape[i];
  }
  for (int i = 0; i < b->ndim; i++) {
    if (expr_is_int(args[i], &v) && (v < 0 || v >= b->shape[i]))
      emit(in, FAULT, 0, 0, 0)->text = arena_printf(
          in->cx->arena, "index %d of `%s` is %" PRId64 ", outside 0..%" PRId64, i, b->name, v, b->shape[i] - 1);
    proved[i] = is_proved(in, args[i], b->shape[i], &index);
    if (proved[i]) sum = affine_add(in->cx, &sum, strides[i], &index);
  }
  int at = address_of(in, &sum), dst = ANY;
  for (int i = 0; i < b->ndim; i++) {
    if (proved[i]) continue;
    if (dst == ANY) dst = new_reg(in);
    int mark = in->top, r = compile_expr(in, args[i], ANY);
    in->top = mark;
    Ins *ins = emit(in, INDEX_NEXT, dst, at, r);
    ins->y = strides[i];
    ins->z = b->shape[i];
    at = dst;
  }
  return at;
}

static void *buffer_data(Interp *in, const Buffer *b) {
  int64_t i;
  if (ptrmap_get(&in->buffers, b, &i)) return in->data.data[i];
  fail(in, arena_printf(in->cx->arena, "buffer `%s` is not in scope", b->name));
  return NULL;
}

static Code memory_code(DType t, bool store) {
  if (t == DT_BOOL && !store) return LOAD_ANY; // any byte but 0 is true
  switch (t) {
#define X(id, c, m) \
  case DT_##id: return store ? STORE_##id : LOAD_##id;
    MEMORY_TYPES(X)
#undef X
  case DT_F16:
  case DT_COUNT: break;
  }
  return store ? STORE_ANY : LOAD_ANY;
}

static int compile_load(Interp *in, const Expr *e, int want) {
  void *data = buffer_data(in, e->buffer);
  int mark = in->top, at = compile_index(in, e->buffer, e->args);
  in->top = mark;
  int dst = target_reg(in, want);
  Ins *i = emit(in, memory_code(e->type, false), dst, at, 0);
  i->type = (uint8_t)e->type;
  i->data = data;
  return dst;
}

static int compile_unary(Interp *in, const Expr *e, int want) {
  int mark = in->top, a = compile_expr(in, e->a, ANY);
  in->top = mark;
  int dst = target_reg(in, want);
  bool ints = !dtype_is_float(e->type) && (e->kind == EXPR_UNARY || !dtype_is_float(e->a->type));
  if (e->kind == EXPR_UNARY && e->unop == UN_NEG && ints) {
    int zero = constant(in, (Scalar){.i = 0});
    emit(in, e->type == DT_I64 ? I64_SUB : INT_SUB, dst, zero, a)->type = (uint8_t)e->type;
    return dst;
  }
  Code code = e->kind == EXPR_UNARY ? UNARY_ANY : ints && e->type != DT_BOOL ? CAST_INT : CAST_ANY;
  Ins *i = emit(in, code, dst, a, 0);
  i->type = (uint8_t)e->type;
  i->op = e->kind == EXPR_UNARY ? (uint8_t)e->unop : (uint8_t)e->a->type;
  return dst;
}

// Code for e; returns the register that holds it: `want` unless that is ANY.
static int compile_expr(Interp *in, const Expr *e, int want) {
  int a, b, c, dst, mark = in->top;
  int64_t reg;
  Ins *i;
  switch (e->kind) {
  case EXPR_INT:
  case EXPR_FLOAT: return to_want(in, constant(in, e->value), want);
  case EXPR_VAR:
    if (!ptrmap_get(&in->vars, e->var, &reg) || reg < 0) {
      fail(in, arena_printf(in->cx->arena, "variable `%s` is not in scope", e->var->name));
      reg = 0;
    }
    return to_want(in, (int)reg, want);
  case EXPR_CAST:
  case EXPR_UNARY: return compile_unary(in, e, want);
  case EXPR_SELECT: return compile_select(in, e, want);
  case EXPR_LOAD: return compile_load(in, e, want);
  case EXPR_BINARY:
    if (e->binop == OP_LAND || e->binop == OP_LOR) return compile_logical(in, e, want);
    a = compile_expr(in, e->a, ANY);
    b = compile_expr(in, e->b, ANY);
    in->top = mark;
    dst = target_reg(in, want);
    i = emit(in, binary_code(e->binop, e->a->type), dst, a, b);
    i->type = (uint8_t)e->a->type;
    i->op = (uint8_t)e->binop;
    return dst;
  case EXPR_MATH:
    a = compile_expr(in, e->args[0], ANY);
    b = e->nargs > 1 ? compile_expr(in, e->args[1], ANY) : a;
    c = e->nargs > 2 ? compile_expr(in, e->args[2], ANY) : a;
    in->top = mark;
    dst = target_reg(in, want);
    i = emit(in, MATH_ANY, dst, a, b);
    i->x = c;
    i->type = (uint8_t)e->type;
    i->op = (uint8_t)e->fn;
    return dst;
  case EXPR_REF: break;
  }
  fail(in, "a tile reference that is not an argument of an intrinsic");
  return 0;
}

static void compile_stmt(Interp *in, const Stmt *s);

// After a statement that other threads may see.
static void take_turns(Interp *in) {
  if (in->weave) emit(in, WEAVE_TURN, 0, 0, 0)->weave = in->weave;
}

// The values that a loop's variable can have.
static Interval loop_range(const Interp *in, const Stmt *s) {
  Interval min = interval_of(&in->ranges, s->min), n = interval_of(&in->ranges, s->extent);
  Interval r = {min.lo, min.hi + n.hi - 1};
  return n.hi > 0 && interval_is_int64(r) ? r : interval_of_type(DT_I64);
}

// The body of a loop for one value of its variable, which is in a register.
static void compile_iteration(Interp *in, const Stmt *s, int var, Interval r) {
  Block body = {0}, *outside = in->block;
  Frame frame = {.var = s->var, .reg = var};
  ptrmap_put(in->cx->arena, &in->vars, s->var, var);
  VEC_PUSH(in->cx->arena, in->frames, frame);
  ranges_push(in->cx, &in->ranges, s->var, (int64_t)r.lo, (int64_t)r.hi);
  in->block = &body;
  compile_stmt(in, s->body);
  in->block = outside;
  in->stmt = s;
  ranges_pop(&in->ranges);
  ptrmap_put(in->cx->arena, &in->vars, s->var, -1);
  append(in, &in->frames.data[--in->frames.len].prologue);
  append(in, &body);
}

// Counts the statements of a nest.
static bool count_one(void *self, const Stmt *s) { return (void)s, ++*(int64_t *)self, true; }

// Whether a loop's iterations are threads that can take turns here.
static bool is_woven(const Stmt *s) {
  int64_t n, size = 0;
  if (s->for_kind != FOR_VTHREAD || !expr_is_int(s->extent, &n) || n < 2 || n > THREADS_MAX) return false;
  stmt_visit(s->body, count_one, NULL, &size);
  return size * n <= WEAVE_CODE_MAX;
}

// A loop of virtual threads: the code of each, one after the other, in registers of its own.
static void compile_weave(Interp *in, const Stmt *s) {
  int64_t n = 0;
  expr_is_int(s->extent, &n);
  Weave *w = NEW(in->cx->arena, Weave);
  *w = (Weave){.outer = in->weave,
               .n = (int)n,
               .starts = NEW_ARRAY(in->cx->arena, size_t, n),
               .next = NEW_ARRAY(in->cx->arena, const Ins *, n)};
  size_t *ends = NEW_ARRAY(in->cx->arena, size_t, n);
  Interval r = loop_range(in, s);
  int mark = in->top, min = compile_expr(in, s->min, new_reg(in));
  size_t begin = here(in);
  emit(in, WEAVE_BEGIN, 0, 0, 0)->weave = w;
  in->weave = w;
  for (int t = 0; t < n && !in->error; t++) {
    in->top = in->most; // no register of a thread is another's
    int var = new_reg(in);
    w->starts[t] = here(in) - begin;
    Ins *set = emit(in, ADDRESS_FIRST, var, 0, min);
    set->x = t;
    set->y = 1;
    compile_iteration(in, s, var, r);
    ends[t] = here(in);
    emit(in, WEAVE_END, 0, 0, 0)->weave = w;
  }
  in->weave = w->outer;
  for (int t = 0; t < n && !in->error; t++) jump_here(in, ends[t]);
  in->top = mark;
}

static void compile_for(Interp *in, const Stmt *s) {
  if (is_woven(s)) {
    compile_weave(in, s);
    return;
  }
  int mark = in->top, var = new_reg(in), count = new_reg(in), temp = in->top;
  int min = compile_expr(in, s->min, ANY), extent = compile_expr(in, s->extent, ANY);
  in->top = temp;
  size_t begin = here(in);
  emit(in, LOOP_BEGIN, var, min, extent);
  compile_iteration(in, s, var, loop_range(in, s));
  int64_t back = (int64_t)begin + 1 - (int64_t)here(in);
  emit(in, LOOP_NEXT, var, count, 0)->x = back;
  jump_here(in, begin);
  in->top = mark;
}

static void compile_store(Interp *in, const Stmt *s) {
  void *data = buffer_data(in, s->buffer);
  int mark = in->top, value = compile_expr(in, s->value, ANY), at = compile_index(in, s->buffer, s->args);
  in->top = mark;
  Ins *i = emit(in, memory_code(s->buffer->type, true), value, at, 0);
  i->type = (uint8_t)s->buffer->type;
  i->data = data;
  take_turns(in);
}

static void compile_if(Interp *in, const Stmt *s) {
  int mark = in->top, c = compile_expr(in, s->cond, ANY);
  in->top = mark;
  size_t skip = here(in);
  emit(in, JUMP_UNLESS, 0, c, 0);
  compile_stmt(in, s->body);
  if (s->else_body) {
    size_t over = here(in);
    emit(in, JUMP, 0, 0, 0);
    jump_here(in, skip);
    compile_stmt(in, s->else_body);
    skip = over;
  }
  jump_here(in, skip);
}

// elems of type t; NULL (and the error set) if there is no room.
static void *new_memory(Interp *in, const char *what, int64_t elems, DType t) {
  int64_t bytes;
  bool fits = mul_ok(elems, dtype_bytes(t), &bytes) && (size_t)bytes <= memory_limit - in->owned_bytes;
  void *data = fits ? malloc((size_t)bytes) : NULL;
  if (fits && !data) memory_out();
  if (!data) {
    fail(in, arena_printf(in->cx->arena, "`%s` needs more memory than there is", what));
    return NULL;
  }
  in->owned_bytes += (size_t)bytes;
  VEC_PUSH(in->cx->arena, in->owned, data);
  memset(data, 0xa5, (size_t)bytes);
  return data;
}

// Where a placed buffer is in its memory.
static void *placed(Interp *in, const Buffer *b) {
  const Scope *s = b->scope;
  int64_t i, tiles = buffer_tiles(b);
  if (b->base > s->depth - tiles || dtype_bytes(b->type) != dtype_bytes(s->type)) {
    fail(in, arena_printf(in->cx->arena, "`%s` does not fit %s at tile %" PRId64, b->name, s->name, b->base));
    return NULL;
  }
  if (!ptrmap_get(&in->memories, s, &i)) {
    void *data = new_memory(in, s->name, s->depth * s->tile, s->type);
    if (!data) return NULL;
    i = (int64_t)in->data.len;
    ptrmap_put(in->cx->arena, &in->memories, s, i);
    VEC_PUSH(in->cx->arena, in->data, data);
  }
  return (char *)in->data.data[i] + b->base * s->tile * dtype_bytes(s->type);
}

// Memory of a local buffer; one block a buffer, whatever loops it is allocated in. A placed buffer may lie over a
// live one on purpose, so that its start is not filled.
static void compile_alloc(Interp *in, const Stmt *s) {
  const Buffer *b = s->buffer;
  bool fixed = b->base >= 0 && b->scope->depth;
  void *data = fixed ? placed(in, b) : new_memory(in, b->name, buffer_elems(b), b->type);
  int64_t bytes = buffer_elems(b) * dtype_bytes(b->type);
  if (!data) return;
  ptrmap_put(in->cx->arena, &in->buffers, b, (int64_t)in->data.len);
  VEC_PUSH(in->cx->arena, in->data, data);
  if (fixed) {
    compile_stmt(in, s->body);
    return;
  }
  Ins *i = emit(in, ALLOC, 0, 0, 0);
  i->x = bytes;
  i->type = b->type == DT_BOOL; // a pattern that is a bool
  i->data = data;
  compile_stmt(in, s->body);
}

static void compile_intrin(Interp *in, const Stmt *s) {
  Call *c = NEW(in->cx->arena, Call);
  int mark = in->top;
  c->stmt = s;
  c->args = NEW_ARRAY(in->cx->arena, TirArg, s->nargs + 1);
  c->regs = NEW_ARRAY(in->cx->arena, int, s->nargs + 1);
  if (!s->intrin->has_body && (!in->machine || !in->machine->run))
    fail(in, arena_printf(in->cx->arena, "there is no machine to run `%s`", s->intrin->name));
  for (int i = 0; i < s->nargs; i++) {
    const Expr *e = s->args[i];
    if (e->kind == EXPR_REF) {
      c->args[i] = (TirArg){.is_ref = true, .buffer = e->buffer, .data = buffer_data(in, e->buffer)};
      e = e->args[0];
    }
    c->regs[i] = compile_expr(in, e, ANY);
  }
  in->top = mark;
  size_t enter = here(in);
  emit(in, s->intrin->has_body ? ENTER : CALL, 0, 0, 0)->call = c;
  if (!s->intrin->has_body) {
    take_turns(in);
    return;
  }
  compile_stmt(in, s->body);
  in->stmt = s;
  emit(in, LEAVE, 0, 0, 0)->call = c;
  jump_here(in, enter);
}

static void compile_stmt(Interp *in, const Stmt *s) {
  if (in->error) return;
  if (s->kind == STMT_SEQ) {
    for (int i = 0; i < s->nchildren; i++) compile_stmt(in, s->children[i]);
    return;
  }
  in->stmt = s;
  switch (s->kind) {
  case STMT_FOR: compile_for(in, s); return;
  case STMT_STORE: compile_store(in, s); return;
  case STMT_IF: compile_if(in, s); return;
  case STMT_ALLOC: compile_alloc(in, s); return;
  case STMT_INTRIN: compile_intrin(in, s); return;
  case STMT_SEQ: return;
  }
}

// ---- from outside ---------------------------------------------------------------------------------------------------

// What went wrong, with the statement it went wrong in, and its place.
static const char *locate(Interp *in, TirFault fault) {
  Text t = {.arena = in->cx->arena};
  const Stmt *s = fault.at;
  const char *error = fault.text ? fault.text : "the machine refused it", *place = "";
  if (!s) return error;
  Stmt alone = *s, nothing = {.kind = STMT_SEQ};
  if (alone.body) alone.body = &nothing;
  if (alone.kind == STMT_IF) alone.else_body = NULL;
  tir_print_stmt(&alone, 0, &t);
  if (loc_known(s->loc))
    place = arena_printf(in->cx->arena, " (%s:%" PRIu32 ":%" PRIu32 ")", s->loc.src->path, s->loc.line, s->loc.col);
  return arena_printf(in->cx->arena, "%s, in `%.*s`%s", error, (int)strcspn(t.data, "\n"), t.data, place);
}

bool tir_interpret(Ctx *cx, const Func *f, void **params, const TirMachine *machine, const char **error) {
  Block block = {0};
  Interp in = {.cx = cx, .machine = machine, .block = &block};
  for (int i = 0; i < f->nparams; i++) {
    ptrmap_put(cx->arena, &in.buffers, f->params[i], (int64_t)in.data.len);
    VEC_PUSH(cx->arena, in.data, params[i]);
  }
  for (int i = 0; i < f->nconsts; i++) {
    ptrmap_put(cx->arena, &in.buffers, f->consts[i], (int64_t)in.data.len);
    VEC_PUSH(cx->arena, in.data, (void *)f->consts[i]->data);
  }
  compile_stmt(&in, f->body);
  emit(&in, HALT, 0, 0, 0);
  TirFault fault = {.text = in.error, .at = in.stmt};
  bool ok = !in.error;
  if (ok) {
    size_t nc = in.constants.len;
    Scalar *registers = NEW_ARRAY(cx->arena, Scalar, nc + (size_t)in.most + 1), *r = registers + nc;
    for (size_t i = 0; i < nc; i++) r[-(ptrdiff_t)i - 1] = in.constants.data[i];
    ok = interp_run(&in, r, &fault);
  }
  if (!ok) *error = locate(&in, fault);
  for (size_t i = 0; i < in.owned.len; i++) free(in.owned.data[i]);
  return ok;
}

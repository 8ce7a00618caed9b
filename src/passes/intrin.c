// SPDX-License-Identifier: Apache-2.0
// Pass intrin: what is left of on-chip buffers becomes numbers, tile operations become calls of the runtime.
//
//     alloc a : vta.inp @base 128 {
//       vta.load(&a[7], &data[t * 4], y=14, ..)       =>   vta.load_call(&data[t * 4], y=14, .., tile=135, memory=inp)
//       vta.kernel(..) { vta.uop(&c[i], &a[i], &w[0]) }    vta.kernel(..) { vta.uop(i + 64, i + 128, 0) }
//     }
//
// Requires: FORM_TILES after `storage` (every on-chip buffer has a base) and `uop` (no tile arithmetic outside
// kernels). Ensures: FORM_CALLS.
#include "tir/refuse.h"
#include "passes/tiles.h"

// Which memory a transfer names: 8-bit host data is widened on its way to acc.
static VtaMemory memory_of(const Buffer *chip, const Buffer *host) {
  VtaMemory m = vta_scope_memory(vta_scope(chip->scope));
  bool bytes = host && (host->type == DT_I8 || host->type == DT_U8);
  return m == MEM_ACC && bytes ? MEM_ACC8 : m;
}

// The place of a tile reference in its memory.
static const Expr *place(Ctx *cx, const Expr *ref) {
  if (ref->kind != EXPR_REF || !tile_is_on_chip(ref->buffer)) return ref;
  return expr_binary(cx, OP_ADD, ref->args[0], expr_index(cx, ref->buffer->base));
}

static const Stmt *load_call(PassCtx *pc, const Stmt *s) {
  const Expr *dst = s->args[ARG_LOAD_DST], *src = s->args[ARG_LOAD_SRC], *args[ARG_LOAD_CALL_END];
  args[ARG_LOAD_CALL_SRC] = src;
  args[ARG_LOAD_CALL_Y] = s->args[ARG_LOAD_Y];
  args[ARG_LOAD_CALL_X] = s->args[ARG_LOAD_X];
  args[ARG_LOAD_CALL_STRIDE] = s->args[ARG_LOAD_STRIDE];
  for (int i = 0; i < PADS; i++) args[ARG_LOAD_CALL_PAD + i] = s->args[ARG_LOAD_PAD + i];
  args[ARG_LOAD_CALL_TILE] = place(pc->cx, dst);
  args[ARG_LOAD_CALL_MEMORY] = expr_index(pc->cx, memory_of(dst->buffer, src->buffer));
  return tile_call(pc, VTA_LOAD_CALL, ARG_LOAD_CALL_END, args, s);
}

static const Stmt *zero_call(PassCtx *pc, const Stmt *s) {
  const Expr *dst = s->args[ARG_ZERO_DST], *args[ARG_ZERO_CALL_END];
  args[ARG_ZERO_CALL_N] = s->args[ARG_ZERO_N];
  args[ARG_ZERO_CALL_TILE] = place(pc->cx, dst);
  args[ARG_ZERO_CALL_MEMORY] = expr_index(pc->cx, memory_of(dst->buffer, NULL));
  return tile_call(pc, VTA_ZERO_CALL, ARG_ZERO_CALL_END, args, s);
}

static const Stmt *store_call(PassCtx *pc, const Stmt *s) {
  const Expr *args[ARG_STORE_CALL_END];
  args[ARG_STORE_CALL_DST] = s->args[ARG_STORE_DST];
  args[ARG_STORE_CALL_Y] = s->args[ARG_STORE_Y];
  args[ARG_STORE_CALL_X] = s->args[ARG_STORE_X];
  args[ARG_STORE_CALL_STRIDE] = s->args[ARG_STORE_STRIDE];
  args[ARG_STORE_CALL_TILE] = place(pc->cx, s->args[ARG_STORE_SRC]);
  args[ARG_STORE_CALL_MEMORY] = expr_index(pc->cx, MEM_OUT);
  return tile_call(pc, VTA_STORE_CALL, ARG_STORE_CALL_END, args, s);
}

static const Stmt *uop(PassCtx *pc, const Stmt *s) {
  const Expr *args[ARG_UOP_END];
  for (int i = 0; i < s->nargs; i++) args[i] = place(pc->cx, s->args[i]);
  return tile_call(pc, VTA_UOP, s->nargs, args, s);
}

static const Stmt *to_calls(TirMap *m, const Stmt *s) {
  PassCtx *pc = m->self;
  if (s->kind == STMT_ALLOC && tile_is_on_chip(s->buffer)) return s->body;
  if (s->kind != STMT_INTRIN) return s;
  if (is_vta(s->intrin, VTA_LOAD)) return load_call(pc, s);
  if (is_vta(s->intrin, VTA_ZERO)) return zero_call(pc, s);
  if (is_vta(s->intrin, VTA_STORE)) return store_call(pc, s);
  if (is_vta(s->intrin, VTA_UOP)) return uop(pc, s);
  return s;
}

// What is looked for: an on-chip buffer that something still refers to when all is numbers.
typedef struct Leftover {
  const Stmt *stmt;
  const Buffer *buffer; // NULL: nothing
} Leftover;

static bool find_buffer(void *self, const Expr *e) {
  Leftover *l = self;
  if ((e->kind == EXPR_LOAD || e->kind == EXPR_REF) && tile_is_on_chip(e->buffer)) l->buffer = e->buffer;
  return !l->buffer;
}

static bool find_statement(void *self, const Stmt *s) {
  Leftover *l = self;
  if (l->buffer) return false;
  l->stmt = s;
  if (s->kind == STMT_STORE && tile_is_on_chip(s->buffer)) l->buffer = s->buffer;
  return s->kind != STMT_INTRIN || !is_vta(s->intrin, VTA_UOP); // its tiles are numbers already
}

// Only transfers and micro-ops can become calls. Text by hand may have other things on chip.
static bool check_leftover(PassCtx *pc, const Stmt *body) {
  Leftover l = {0};
  stmt_visit(body, find_statement, find_buffer, &l);
  if (!l.buffer) return true;
  Refusal r = {.cx = pc->cx,
               .phase = "intrin",
               .nest = l.stmt,
               .asked = l.stmt->why,
               .asked_as = "asked for here",
               .rule = "before the pass `intrin` only transfers and micro-ops refer to on-chip buffers"};
  Diag *g =
      refuse(&r, E_UNPLACED, l.stmt->loc,
             arena_printf(pc->cx->arena, "`%s`, in %s, is left for the CPU", l.buffer->name, l.buffer->scope->name));
  diag_help(g, "run the passes from `tensorize` to `uop` first");
  return false;
}

Func *pass_intrin(PassCtx *pc, const Func *f) {
  if (!tiles_check(pc, "intrin", f, true)) return NULL;
  TirMap m = {.cx = pc->cx, .stmt = to_calls, .self = pc};
  const Stmt *body = pc->vta ? stmt_map(&m, f->body) : f->body;
  if (!check_leftover(pc, body)) return NULL;
  return func_with_body(pc->cx, f, stmt_simplify(pc->cx, body));
}

// SPDX-License-Identifier: Apache-2.0
// What is left of host statements that touch on-chip memory: a stage in vta.acc that no region computes, a CPU
// stage that reads one. Nothing can run them, so they are refused here, with the line that is missing.
#include "passes/inject_alu/internal.h"
#include "passes/tiles.h"
#include "tir/refuse.h"

typedef struct Leftover {
  PassCtx *pc;
  const VtaTarget *vta;
  const Stmt *store; // the statement whose expressions are visited
  const Func *f;
  bool inits; // look at stores of constants; before that, at all others, which say more of a stage
  bool found;
} Leftover;

// `sum(int32(int8) * int32(int8))`: what vta.gemm is for.
static bool is_product_sum(const Stmt *s) {
  const Expr *v = s->value;
  if (v->kind != EXPR_BINARY || v->binop != OP_ADD) return false;
  const Expr *mul = v->b->kind == EXPR_BINARY ? v->b : v->a;
  return mul->kind == EXPR_BINARY && mul->binop == OP_MUL && mul->a->kind == EXPR_CAST && mul->b->kind == EXPR_CAST;
}

static bool is_copy(const Expr *v) {
  while (v->kind == EXPR_CAST) v = v->a;
  if (v->kind == EXPR_SELECT) return is_copy(v->b) || is_copy(v->c);
  return v->kind == EXPR_LOAD;
}

typedef struct FromHost {
  bool host, chip;
} FromHost;

static bool find_source(void *self, const Expr *e) {
  FromHost *f = self;
  if (e->kind == EXPR_LOAD && e->buffer->scope == &scope_host) f->host = true;
  if (e->kind == EXPR_LOAD && e->buffer->scope != &scope_host) f->chip = true;
  return true;
}

// The loop at which the GEMM intrinsic starts: the outermost that runs over the tile's two axes, the last ones.
static void fix_tensorize(Diag *g, Arena *m, const Stmt *nest, const Stmt *s, const char *name) {
  const char *axis = "b";
  for (const Stmt *l = nest; l->kind == STMT_FOR; l = l->body) {
    bool inside = s->nargs && expr_uses_var(s->args[s->nargs - 1], l->var);
    inside |= s->nargs > 1 && expr_uses_var(s->args[s->nargs - 2], l->var);
    if (!inside) continue;
    axis = l->var->name;
    break;
  }
  diag_fix_after(g, s->why, arena_printf(m, "%s.tensorize(%s, vta.gemm)", name, axis), "`%s.tensorize(%s, vta.gemm);`",
                 name, axis);
}

// A stage in on-chip memory, computed by plain loops.
static void refuse_stage(Leftover *l, const Stmt *s) {
  Ctx *cx = l->pc->cx;
  const char *name = buffer_stage(s->buffer);
  FromHost from = {0};
  expr_visit(s->value, find_source, &from);
  bool acc = s->buffer->scope == &l->vta->acc;
  Arena *m = cx->arena;
  Refusal r = {.cx = cx,
               .phase = "inject_alu",
               .nest = nest_around(l->f->body, s),
               .asked = s->why,
               .asked_as = "it is scheduled here"};
  r.rule = acc ? "the CPU cannot write vta.acc: its stages are computed by vta.gemm or by the ALU, or copied in"
               : arena_printf(m, "the CPU cannot write %s: its stages are copied in", s->buffer->scope->name);
  Diag *g = refuse(
      &r, E_UNPLACED, s->loc,
      arena_printf(m, "`%s` is in %s, but nothing on the accelerator computes it", name, s->buffer->scope->name));
  if (is_copy(s->value) && (from.host || !acc))
    diag_fix_after(g, s->why, arena_printf(m, "%s.dma_copy()", name), "`%s.dma_copy();`", name);
  else if (acc && is_product_sum(s)) fix_tensorize(g, m, r.nest, s, name);
  else if (acc) diag_fix_after(g, s->why, arena_printf(m, "%s.alu()", name), "`%s.alu();`", name);
  else {
    const char *buf = source_fresh_name(m, s->why.src, arena_printf(m, "%s_buf", name));
    diag_help(g, "compute it on the CPU, without `set_scope`, and copy that: `%s = %s.cache_read(%s);  %s.dma_copy();`",
              buf, name, s->buffer->scope->name, buf);
  }
}

typedef struct Writer {
  const Buffer *buffer;
  Loc why; // the schedule statement that brought the buffer on chip, or marked what writes it
} Writer;

static bool find_writer(void *self, const Stmt *s) {
  Writer *w = self;
  bool writes = s->kind == STMT_STORE && s->buffer == w->buffer;
  writes |= tile_written(s) == w->buffer;
  if (writes && loc_known(s->why)) w->why = s->why;
  return true;
}

// A CPU stage reads on-chip memory.
static bool leftover_expr(void *self, const Expr *e) {
  Leftover *l = self;
  if (e->kind != EXPR_LOAD || e->buffer->scope == &scope_host) return true;
  const Stmt *s = l->store;
  l->found = true;
  if (s && s->kind == STMT_STORE && s->buffer->scope != &scope_host) return true; // told with its stage
  const char *reader = s && s->kind == STMT_STORE ? buffer_stage(s->buffer) : "the host code";
  Writer w = {.buffer = e->buffer};
  stmt_visit(l->f->body, find_writer, NULL, &w);
  Arena *m = l->pc->cx->arena;
  Refusal r = {.cx = l->pc->cx, .phase = "inject_alu", .nest = nest_around(l->f->body, s), .asked = w.why};
  r.asked_as = arena_printf(m, "`%s` is scheduled here", buffer_stage(e->buffer));
  r.rule = arena_printf(m, "the CPU reads and writes host memory only; what is in %s reaches it by a transfer",
                        e->buffer->scope->name);
  Diag *g = refuse(&r, E_UNPLACED, e->loc,
                   arena_printf(m, "`%s` runs on the CPU, but reads `%s`, which is in %s", reader,
                                buffer_stage(e->buffer), e->buffer->scope->name));
  diag_here(g, "the CPU cannot read on-chip memory");
  if (s && s->kind == STMT_STORE && is_copy(s->value) && e->buffer->scope == &l->vta->acc)
    diag_fix_after(g, w.why, arena_printf(l->pc->cx->arena, "%s.dma_copy()", reader),
                   "let the accelerator store it: `%s.dma_copy();`", reader);
  else
    diag_help(g,
              "let the accelerator store `%s` first, in a stage of its own with `.dma_copy()`, and read that; what the "
              "ALU can compute of `%s` may go into a stage before, with `.set_scope(vta.acc)` and `.alu()`",
              buffer_stage(e->buffer), reader);
  return true;
}

static bool leftover_stmt(void *self, const Stmt *s) {
  Leftover *l = self;
  if (s->kind == STMT_INTRIN &&
      (is_vta(s->intrin, VTA_ALU) || is_vta(s->intrin, VTA_TENSORIZE) || is_vta(s->intrin, VTA_DMA_COPY)))
    return false; // a region: refused already, or not lowered yet
  l->store = s;
  if (s->kind == STMT_STORE && s->buffer->scope != &scope_host && (s->value->kind == EXPR_INT) == l->inits) {
    l->found = true;
    refuse_stage(l, s); // one message a stage: its init and its sum have the same place
  }
  return true;
}

bool alu_check_leftovers(PassCtx *pc, const VtaTarget *vta, const Func *f) {
  Leftover l = {.pc = pc, .vta = vta, .f = f};
  stmt_visit(f->body, leftover_stmt, leftover_expr, &l);
  l.inits = true;
  stmt_visit(f->body, leftover_stmt, NULL, &l);
  return !l.found;
}

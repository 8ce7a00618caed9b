// SPDX-License-Identifier: Apache-2.0
#include "passes/tiles.h"
#include "tir/refuse.h"

bool tile_is_on_chip(const Buffer *b) { return b->scope != &scope_host; }

// The unit that fills the memory at the end on chip of a transfer there. Text may have anything else at that end.
static int unit_of_transfer(const VtaRow *row, const Stmt *s) {
  for (int i = 0; i < row->noperands; i++) {
    const Expr *e = s->args[row->operands[i].arg];
    if (row->operands[i].kind != KIND_CHIP || e->kind != EXPR_REF || !tile_is_on_chip(e->buffer)) continue;
    return vta_memory_unit(vta_scope_memory(vta_scope(e->buffer->scope)));
  }
  return UNIT_LOAD;
}

int tile_unit(const Stmt *s) {
  if (s->kind != STMT_INTRIN) return 0;
  const VtaRow *row = vta_row_of(s->intrin);
  if (row->cls != CLASS_TILE && row->cls != CLASS_STEP) return 0;
  switch (row->runs) {
  case RUNS_BY_MEMORY: return unit_of_transfer(row, s);
  case RUNS_COMPUTE: return UNIT_COMPUTE;
  case RUNS_STORE: return UNIT_STORE;
  case RUNS_NOWHERE: break;
  }
  return 0;
}

bool tile_is_compute(const Stmt *s) {
  return s->kind == STMT_INTRIN && vta_row_of(s->intrin)->runs == RUNS_COMPUTE && tile_unit(s);
}

// The largest value of e, from 0 to 2^40: more tiles than any memory has.
static int64_t most(const Ranges *r, const Expr *e) {
  const int64_t far = (int64_t)1 << 40;
  int64_t lo, hi;
  if (!expr_bounds(r, e, &lo, &hi) || hi > far) return far;
  return hi < 0 ? 0 : hi;
}

// Tiles that an operation touches at its end on chip, if it is a transfer: rows * tiles, with padding.
static int64_t tiles_touched(const Ranges *r, const VtaRow *row, const Expr **args) {
  int64_t y = 1, x = 1, n;
  for (int i = 0; i < row->noperands; i++) {
    const Expr **a = args + row->operands[i].arg;
    if (row->operands[i].kind == KIND_ROWS) y = most(r, a[0]);
    if (row->operands[i].kind == KIND_TILES) x = most(r, a[0]);
    if (row->operands[i].kind != KIND_PADS) continue;
    y += most(r, a[PAD_ABOVE]) + most(r, a[PAD_BELOW]);
    x += most(r, a[PAD_BEFORE]) + most(r, a[PAD_BEHIND]);
  }
  return mul_ok(y, x, &n) ? n : INT64_MAX;
}

int tile_accesses(const Ranges *r, const Stmt *s, TileAccess out[TILE_ACCESS_MAX]) {
  if (!tile_unit(s)) return 0;
  const VtaRow *row = vta_row_of(s->intrin);
  int64_t count = tiles_touched(r, row, s->args);
  int n = 0;
  for (int i = 0; i < row->noperands && n < TILE_ACCESS_MAX; i++) {
    VtaAccess how = row->operands[i].access;
    const Expr *e = s->args[row->operands[i].arg];
    if (how == ACCESS_NONE || e->kind != EXPR_REF || !tile_is_on_chip(e->buffer)) continue;
    out[n++] = (TileAccess){.buffer = e->buffer,
                            .tile = e->args[0],
                            .count = count,
                            .read = (how & ACCESS_READ) != 0,
                            .write = (how & ACCESS_WRITE) != 0};
  }
  return n;
}

Footprint tile_footprint(Ctx *cx, const Ranges *r, const TileAccess *a) {
  Affine index = affine_of(cx, a->tile, NULL);
  return footprint_of(cx, r, a->buffer->scope, a->write, a->buffer->base, buffer_tiles(a->buffer), &index, a->count);
}

bool tile_host_footprint(const Stmt *s, Footprint *out) {
  const VtaRow *row = s->kind == STMT_INTRIN ? vta_row_of(s->intrin) : NULL;
  for (int i = 0; row && i < row->noperands; i++) {
    const VtaOperand *o = &row->operands[i];
    if (o->kind != KIND_HOST) continue;
    const Buffer *b = s->args[o->arg]->buffer;
    *out = footprint_whole(b, o->access == ACCESS_WRITE, 0, buffer_elems(b));
    return true;
  }
  return false;
}

const Buffer *tile_written(const Stmt *s) {
  const VtaRow *row = s->kind == STMT_INTRIN ? vta_row_of(s->intrin) : NULL;
  for (int i = 0; row && i < row->noperands; i++) {
    const VtaOperand *o = &row->operands[i];
    if (o->arg < s->nargs && (o->access & ACCESS_WRITE) && s->args[o->arg]->kind == EXPR_REF)
      return s->args[o->arg]->buffer;
  }
  return NULL;
}

const Stmt *tile_nest_leaf(const Stmt *s) {
  while (s->kind == STMT_FOR || (s->kind == STMT_IF && !s->else_body)) s = s->body;
  return tile_unit(s) ? s : NULL;
}

static const Stmt *nest_child(void *self, const Stmt *s) {
  const void *const *pair = self;
  Ctx *cx = (Ctx *)(uintptr_t)pair[0];
  return tile_nest_with(cx, s, pair[1]);
}

const Stmt *tile_nest_with(Ctx *cx, const Stmt *s, const Stmt *leaf) {
  if (s->kind != STMT_FOR && s->kind != STMT_IF) return leaf;
  const void *pair[2] = {cx, leaf};
  return stmt_rebuild(cx, s, nest_child, NULL, pair);
}

const Stmt *tile_if(Ctx *cx, const Stmt *s, const Stmt *then, const Stmt *otherwise) {
  return stmt_placed(cx, stmt_if(cx, s->cond, then, otherwise), s->loc, s->why);
}

const Stmt *tile_around(Ctx *cx, const Stmt *s, const Stmt *body) {
  if (s->kind == STMT_IF) return tile_if(cx, s, body, NULL);
  const Stmt *out = s->kind == STMT_ALLOC ? stmt_alloc(cx, s->buffer, body)
                                          : stmt_for(cx, s->var, s->min, s->extent, s->for_kind, body);
  return stmt_placed(cx, out, s->loc, s->why);
}

static bool add_units(void *self, const Stmt *s) {
  unsigned *units = self;
  if (s->kind == STMT_STORE) *units |= 1;
  int unit = tile_unit(s);
  if (unit) *units |= 1u << unit;
  if (s->kind == STMT_INTRIN && is_vta(s->intrin, VTA_SYNC)) *units |= ~1u & ((2u << UNIT_STORE) - 1);
  return true;
}

unsigned tile_units(const Stmt *s) {
  unsigned units = 0;
  stmt_visit(s, add_units, NULL, &units);
  return units;
}

void tile_push_loop(Ctx *cx, Ranges *r, const Stmt *s) {
  int64_t lo, hi, elo, ehi;
  if (!expr_bounds(r, s->min, &lo, &hi)) lo = INT64_MIN / 4, hi = INT64_MAX / 4;
  if (!expr_bounds(r, s->extent, &elo, &ehi)) ehi = INT64_MAX / 4;
  if (!add_ok(hi, ehi - 1, &hi)) hi = INT64_MAX;
  ranges_push(cx, r, s->var, lo, hi < lo ? lo : hi);
}

// ---- operands -------------------------------------------------------------------------------------------------------

// What an operand must be and is not; NULL if nothing is wrong.
static const char *operand_problem(VtaKind want, const Expr *e) {
  bool ref = e->kind == EXPR_REF, chip = ref && tile_is_on_chip(e->buffer);
  VtaScope scope = chip ? vta_scope(e->buffer->scope) : VTA_SCOPE_COUNT;
  switch (want) {
  case KIND_CHIP: return chip ? NULL : "a tile of an on-chip buffer";
  case KIND_ACC: return scope == SCOPE_ACC ? NULL : "a tile of vta.acc";
  case KIND_INP: return scope == SCOPE_INP ? NULL : "a tile of vta.inp";
  case KIND_WGT: return scope == SCOPE_WGT ? NULL : "a tile of vta.wgt";
  case KIND_HOST: return ref && !chip ? NULL : "a tile of a host buffer";
  case KIND_ACC_OR_INT: return scope == SCOPE_ACC || !ref ? NULL : "a tile of vta.acc or an integer";
  case KIND_CHIP_OR_INT: return chip || !ref ? NULL : "a tile on chip or an integer";
  case KIND_INT:
  case KIND_ROWS:
  case KIND_TILES:
  case KIND_PADS: return ref ? "an integer" : NULL;
  case KIND_UNIT:
  case KIND_MEMORY:
  case KIND_OPERATION: break; // the verifier has seen to words
  }
  return NULL;
}

typedef struct Check {
  PassCtx *pc;
  const char *phase;
  bool placed, ok;
} Check;

static Refusal operand_refusal(const Check *c, const Stmt *s, const char *rule) {
  return (Refusal){
      .cx = c->pc->cx, .phase = c->phase, .nest = s, .asked = s->why, .asked_as = "asked for here", .rule = rule};
}

static void check_place(Check *c, const Stmt *s, const Buffer *b) {
  if (!c->placed || !tile_is_on_chip(b) || b->base >= 0) return;
  Refusal r = operand_refusal(c, s, "every buffer in on-chip memory has a base (`@base`) after the pass `storage`");
  Diag *g = refuse(&r, E_UNPLACED, loc_known(b->loc) ? b->loc : s->loc,
                   arena_printf(c->pc->cx->arena, "`%s` has no place in %s", b->name, b->scope->name));
  diag_help(g, "run the pass `storage` first");
  c->ok = false;
}

static void check_operand(Check *c, const Stmt *s, int operand, int arg) {
  const Expr *e = s->args[arg];
  const char *problem = operand_problem(vta_row_of(s->intrin)->operands[operand].kind, e);
  if (e->kind == EXPR_REF) check_place(c, s, e->buffer);
  if (!problem) return;
  Refusal r = operand_refusal(c, s, "the operands of an intrinsic are tiles of its own memories, and integers");
  Diag *g = refuse(&r, E_TYPE, loc_known(e->loc) ? e->loc : s->loc,
                   arena_printf(c->pc->cx->arena, "operand `%s` of %s must be %s", s->intrin->operands[operand].name,
                                s->intrin->name, problem));
  diag_help(g, "docs/tir.md lists the operands of every intrinsic");
  c->ok = false;
}

static bool check_stmt(void *self, const Stmt *s) {
  Check *c = self;
  if (s->kind != STMT_INTRIN) return true;
  const VtaRow *row = vta_row_of(s->intrin);
  for (int i = 0; i < row->noperands; i++)
    for (int k = 0; k < row->operands[i].count && row->operands[i].arg + k < s->nargs; k++)
      check_operand(c, s, i, row->operands[i].arg + k);
  return true;
}

bool tiles_check(PassCtx *pc, const char *phase, const Func *f, bool placed) {
  Check c = {.pc = pc, .phase = phase, .placed = placed, .ok = true};
  stmt_visit(f->body, check_stmt, NULL, &c);
  return c.ok;
}

// ---- copies ----------------------------------------------------------------------------------------------------

// The binders of a statement, in pre-order, and what replaces them.
typedef struct Copy {
  Ctx *cx;
  VEC(const Var *) vars;
  VEC(const Expr *) values;
  VEC(const Buffer *) from;
  VEC(const Buffer *) to;
  size_t next_var, next_buffer; // the binder that the second walk meets next
} Copy;

static bool collect_binders(void *self, const Stmt *s) {
  Copy *c = self;
  if (s->kind == STMT_FOR) {
    VEC_PUSH(c->cx->arena, c->vars, s->var);
    VEC_PUSH(c->cx->arena, c->values, expr_var(c->cx, tir_var(c->cx, s->var->name, s->var->loc)));
  } else if (s->kind == STMT_ALLOC) {
    VEC_PUSH(c->cx->arena, c->from, s->buffer);
    VEC_PUSH(c->cx->arena, c->to, arena_copy(c->cx->arena, s->buffer, sizeof *s->buffer));
  }
  return true;
}

// Gives the binders their new names; the walk is in the order of collect_binders.
static const Stmt *rename_binders(void *self, const Stmt *s) {
  Copy *c = self;
  if (s->kind == STMT_FOR) {
    const Var *v = c->values.data[c->next_var++]->var;
    const Stmt *body = rename_binders(c, s->body);
    return stmt_placed(c->cx, stmt_for(c->cx, v, s->min, s->extent, s->for_kind, body), s->loc, s->why);
  }
  if (s->kind == STMT_ALLOC) {
    const Buffer *b = c->to.data[c->next_buffer++];
    return stmt_placed(c->cx, stmt_alloc(c->cx, b, rename_binders(c, s->body)), s->loc, s->why);
  }
  return stmt_rebuild(c->cx, s, rename_binders, NULL, c);
}

const Stmt *tile_copy(Ctx *cx, const Stmt *s, const TirSubst *t) {
  Copy c = {.cx = cx};
  stmt_visit(s, collect_binders, NULL, &c);
  c.next_var = c.vars.len;
  c.next_buffer = c.from.len;
  for (int i = 0; i < t->nvars; i++) {
    VEC_PUSH(cx->arena, c.vars, t->vars[i]);
    VEC_PUSH(cx->arena, c.values, t->values[i]);
  }
  for (int i = 0; i < t->nbuffers; i++) {
    VEC_PUSH(cx->arena, c.from, t->from[i]);
    VEC_PUSH(cx->arena, c.to, t->to[i]);
  }
  TirSubst all = {.nvars = (int)c.vars.len,
                  .vars = c.vars.data,
                  .values = c.values.data,
                  .nbuffers = (int)c.from.len,
                  .from = c.from.data,
                  .to = c.to.data};
  bool binds = c.next_var || c.next_buffer;
  c.next_var = c.next_buffer = 0;
  // First the binders: a substitution may decide an `if`, and binders would go missing.
  return stmt_subst(cx, binds ? rename_binders(&c, s) : s, &all);
}

const Stmt *tile_call(const PassCtx *pc, VtaOp op, int nargs, const Expr **args, const Stmt *like) {
  const Stmt *s = stmt_intrin(pc->cx, vta_op(pc->vta, op), nargs, args, NULL);
  return stmt_placed(pc->cx, s, like->loc, like->why);
}

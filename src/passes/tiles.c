// SPDX-License-Identifier: Apache-2.0
#include "passes/tiles.h"
#include "tir/refuse.h"

bool tile_is_on_chip(const Buffer *b) { return b->scope != &scope_host; }

// Scope.id of acc; loads to it run on the compute unit.
static bool is_acc(const Buffer *b) { return tile_is_on_chip(b) && b->scope->id == 2; }

int tile_unit(const Stmt *s) {
  if (s->kind != STMT_INTRIN || s->intrin->has_body) return 0;
  switch ((VtaOp)s->intrin->id) {
  case VTA_LOAD:
  case VTA_ZERO: return is_acc(s->args[0]->buffer) ? UNIT_COMPUTE : UNIT_LOAD;
  case VTA_STORE: return UNIT_STORE;
  case VTA_RESET:
  case VTA_GEMM:
  case VTA_MOV:
  case VTA_MIN:
  case VTA_MAX:
  case VTA_ADD:
  case VTA_SHR:
  case VTA_MUL: return UNIT_COMPUTE;
  case VTA_DMA_COPY:
  case VTA_ALU:
  case VTA_TENSORIZE:
  case VTA_PUSH:
  case VTA_POP:
  case VTA_SYNC:
  case VTA_KERNEL:
  case VTA_UOP:
  case VTA_LOAD_CALL:
  case VTA_ZERO_CALL:
  case VTA_STORE_CALL:
  case VTA_OP_COUNT: break;
  }
  return 0;
}

bool tile_is_compute(const Stmt *s) {
  return tile_unit(s) == UNIT_COMPUTE && !is_vta(s->intrin, VTA_LOAD) && !is_vta(s->intrin, VTA_ZERO);
}

// The largest value of e, from 0 to 2^40: more tiles than any memory has.
static int64_t most(const Ranges *r, const Expr *e) {
  const int64_t far = (int64_t)1 << 40;
  int64_t lo, hi;
  if (!expr_bounds(r, e, &lo, &hi) || hi > far) return far;
  return hi < 0 ? 0 : hi;
}

// Tiles that a transfer touches: (y_pad0 + y_size + y_pad1) * (x_pad0 + x_size + x_pad1). args: y_size, x_size,
// ...
static int64_t rectangle(const Ranges *r, const Expr **args, bool padded) {
  int64_t y = most(r, args[0]), x = most(r, args[1]), n;
  if (padded) {
    y += most(r, args[3]) + most(r, args[4]);
    x += most(r, args[5]) + most(r, args[6]);
  }
  return mul_ok(y, x, &n) ? n : INT64_MAX;
}

static TileAccess access_of(const Expr *ref, int64_t count, bool read, bool write) {
  return (TileAccess){.buffer = ref->buffer, .tile = ref->args[0], .count = count, .read = read, .write = write};
}

int tile_accesses(const Ranges *r, const Stmt *s, TileAccess out[TILE_ACCESS_MAX]) {
  if (!tile_unit(s)) return 0;
  const Expr **a = s->args;
  int n = 0;
  switch ((VtaOp)s->intrin->id) {
  case VTA_LOAD: out[n++] = access_of(a[0], rectangle(r, a + 2, true), false, true); break;
  case VTA_ZERO: out[n++] = access_of(a[0], most(r, a[1]), false, true); break;
  case VTA_STORE: out[n++] = access_of(a[1], rectangle(r, a + 2, false), true, false); break;
  case VTA_RESET: out[n++] = access_of(a[0], 1, false, true); break;
  case VTA_MOV:
    out[n++] = access_of(a[0], 1, false, true);
    out[n++] = access_of(a[1], 1, true, false);
    break;
  default: // gemm and the ALU: the first operand is read and written
    out[n++] = access_of(a[0], 1, true, true);
    for (int i = 1; i < s->nargs && n < TILE_ACCESS_MAX; i++)
      if (a[i]->kind == EXPR_REF) out[n++] = access_of(a[i], 1, true, false);
    break;
  }
  return n;
}

const Buffer *tile_host_read(const Stmt *s) {
  return s->kind == STMT_INTRIN && is_vta(s->intrin, VTA_LOAD) ? s->args[1]->buffer : NULL;
}

const Buffer *tile_host_write(const Stmt *s) {
  return s->kind == STMT_INTRIN && is_vta(s->intrin, VTA_STORE) ? s->args[0]->buffer : NULL;
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

// What each operand is: C a tile on chip, A of acc, N of inp, W of wgt, H of a host buffer, I an integer, S a tile
// of acc or an integer, U a unit's number, X a tile on chip or an integer.
static const char *operands_of(VtaOp op) {
  switch (op) {
  case VTA_LOAD: return "CHIIIIIII";
  case VTA_ZERO: return "CI";
  case VTA_STORE: return "HAIII";
  case VTA_RESET: return "A";
  case VTA_GEMM: return "ANW";
  case VTA_MOV: return "AA";
  case VTA_MIN:
  case VTA_MAX:
  case VTA_ADD:
  case VTA_SHR:
  case VTA_MUL: return "AS";
  case VTA_PUSH:
  case VTA_POP: return "UU";
  case VTA_KERNEL: return "IIIIIIIIII";
  case VTA_UOP: return "XXX";
  case VTA_LOAD_CALL: return "HIIIIIIIII";
  case VTA_ZERO_CALL: return "III";
  case VTA_STORE_CALL: return "HIIIII";
  case VTA_DMA_COPY:
  case VTA_ALU:
  case VTA_TENSORIZE:
  case VTA_SYNC:
  case VTA_OP_COUNT: break;
  }
  return "";
}

// What is wrong with an operand; NULL if nothing is.
static const char *operand_problem(char want, const Expr *e) {
  bool ref = e->kind == EXPR_REF, chip = ref && tile_is_on_chip(e->buffer);
  int scope = chip ? e->buffer->scope->id : -1;
  int64_t v;
  switch (want) {
  case 'C': return chip ? NULL : "a tile of an on-chip buffer";
  case 'A': return scope == 2 ? NULL : "a tile of vta.acc";
  case 'N': return scope == 0 ? NULL : "a tile of vta.inp";
  case 'W': return scope == 1 ? NULL : "a tile of vta.wgt";
  case 'H': return ref && !chip ? NULL : "a tile of a host buffer";
  case 'S': return scope == 2 || !ref ? NULL : "a tile of vta.acc or an integer";
  case 'X': return chip || !ref ? NULL : "a tile on chip or an integer";
  case 'U': return expr_is_int(e, &v) && v >= UNIT_LOAD && v <= UNIT_STORE ? NULL : "1, 2 or 3 (load, compute, store)";
  default: return ref ? "an integer" : NULL;
  }
}

typedef struct Check {
  PassCtx *pc;
  const char *phase;
  bool placed, ok;
} Check;

static Refusal operand_refusal(const Check *c, const Stmt *s, const char *rule) {
  return (Refusal){.cx = c->pc->cx, .phase = c->phase, .nest = s, .asked = s->why, .asked_as = "asked for here", .rule = rule};
}

static void check_place(Check *c, const Stmt *s, const Buffer *b) {
  if (!c->placed || !tile_is_on_chip(b) || b->base >= 0) return;
  Refusal r = operand_refusal(c, s, "every buffer in on-chip memory has a base (`@base`) after the pass `storage`");
  Diag *g = refuse(&r, E_UNPLACED, loc_known(b->loc) ? b->loc : s->loc,
                   arena_printf(c->pc->cx->arena, "`%s` has no place in %s", b->name, b->scope->name));
  diag_help(g, "run the pass `storage` first");
  c->ok = false;
}

static bool check_stmt(void *self, const Stmt *s) {
  Check *c = self;
  if (s->kind != STMT_INTRIN) return true;
  const char *want = operands_of((VtaOp)s->intrin->id), *problem;
  for (int i = 0; i < s->nargs; i++) {
    if (!want[i]) break;
    if (s->args[i]->kind == EXPR_REF) check_place(c, s, s->args[i]->buffer);
    if (!(problem = operand_problem(want[i], s->args[i]))) continue;
    Refusal r = operand_refusal(c, s, "the operands of an intrinsic are tiles of its own memories, and integers");
    Diag *g = refuse(&r, E_TYPE, loc_known(s->args[i]->loc) ? s->args[i]->loc : s->loc,
                     arena_printf(c->pc->cx->arena, "operand %d of %s must be %s", i + 1, s->intrin->name, problem));
    diag_help(g, "docs/tir.md lists the operands of every intrinsic");
    c->ok = false;
  }
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
  TirSubst all = {.nvars = (int)c.vars.len, .vars = c.vars.data, .values = c.values.data,
    .nbuffers = (int)c.from.len, .from = c.from.data, .to = c.to.data};
  bool binds = c.next_var || c.next_buffer;
  c.next_var = c.next_buffer = 0;
  // First the binders: a substitution may decide an `if`, and binders would go missing.
  return stmt_subst(cx, binds ? rename_binders(&c, s) : s, &all);
}

const Stmt *tile_call(const PassCtx *pc, VtaOp op, int nargs, const Expr **args, const Stmt *like) {
  const Stmt *s = stmt_intrin(pc->cx, vta_op(pc->vta, op), nargs, args, NULL);
  return stmt_placed(pc->cx, s, like->loc, like->why);
}

// SPDX-License-Identifier: Apache-2.0
// legalize_epilogue: what a copying stage computes gets a stage of its own on the ALU, in int32.
#include "schedule/internal.h"

static bool is_access(void *self, const TeExpr *e) {
  (void)self;
  return e->kind == TE_ACCESS;
}

static bool reads_tensor(const TeExpr *e) { return te_any(e, is_access, NULL); }

// Whether a stored stage's value only moves data: an access, casts of one, or such chosen by position. A choice that
// stores a constant computes: a store has no padding.
static bool is_plain_copy(const TeExpr *e) {
  while (e->kind == TE_CAST) e = e->a;
  if (e->kind == TE_SELECT) return !reads_tensor(e->a) && is_plain_copy(e->b) && is_plain_copy(e->c);
  return e->kind == TE_ACCESS;
}

static const TeExpr *in_int32(Ctx *cx, const TeExpr *e);

// An operation on int8 or int16 as one on int32, its result brought back to the narrow type's values.
static const TeExpr *operation_in_int32(Ctx *cx, const TeExpr *e) {
  bool binary = e->kind == TE_BINARY, minmax = binary && (e->binop == OP_MIN || e->binop == OP_MAX);
  const TeExpr *a = in_int32(cx, e->a), *b = binary ? in_int32(cx, e->b) : NULL;
  bool shift = binary && (e->binop == OP_SHL || e->binop == OP_SHR);
  if (!a || (binary && !b)) return NULL;
  if (shift && (b->kind != TE_CONST || b->value.i < 0 || b->value.i >= dtype_bits(e->type))) return NULL;
  const TeExpr *wide = binary ? te_binary(cx->arena, e->binop, a, b, e->loc) : te_unary(cx->arena, e->unop, a, e->loc);
  if (minmax) return wide;
  return te_cast(cx->arena, DT_I32, te_cast(cx->arena, e->type, wide, e->loc), e->loc);
}

// A choice of int8 or int16 values in int32; also what it compares, where that is narrow.
static const TeExpr *choice_in_int32(Ctx *cx, const TeExpr *e) {
  const TeExpr *yes = in_int32(cx, e->b), *no = in_int32(cx, e->c), *cond = e->a;
  if (!yes || !no) return NULL;
  if (cond->kind == TE_BINARY && binop_is_bool(cond->binop) && dtype_is_int(cond->a->type)) {
    const TeExpr *x = in_int32(cx, cond->a), *y = in_int32(cx, cond->b);
    if (x && y) cond = te_binary(cx->arena, cond->binop, x, y, cond->loc);
  }
  return te_select(cx->arena, cond, yes, no, e->loc);
}

// The absolute value of an int8 or int16 in int32: that of the least value wraps.
static const TeExpr *abs_in_int32(Ctx *cx, const TeExpr *e) {
  const TeExpr *a = in_int32(cx, e->args[0]);
  if (!a) return NULL;
  const TeExpr *wide = te_math(cx->arena, e->fn, &a, e->loc);
  return te_cast(cx->arena, DT_I32, te_cast(cx->arena, e->type, wide, e->loc), e->loc);
}

// An expression of int32 with the values of e, of int8, int16 or int32. NULL for other types.
static const TeExpr *in_int32(Ctx *cx, const TeExpr *e) {
  if (e->type == DT_I32) return e;
  if (e->type != DT_I8 && e->type != DT_I16) return NULL;
  switch (e->kind) {
  case TE_CONST: return te_const(cx->arena, DT_I32, e->value, e->loc);
  case TE_ACCESS: return te_cast(cx->arena, DT_I32, e, e->loc);
  case TE_CAST: {
    const TeExpr *a = in_int32(cx, e->a);
    return a ? te_cast(cx->arena, DT_I32, te_cast(cx->arena, e->type, a, e->loc), e->loc) : NULL;
  }
  case TE_UNARY:
  case TE_BINARY: return operation_in_int32(cx, e);
  case TE_SELECT: return choice_in_int32(cx, e);
  case TE_MATH: return e->fn == FN_ABS ? abs_in_int32(cx, e) : NULL;
  case TE_AXIS: return NULL;
  }
  return NULL;
}

// Gives what a copying stage computes a stage of its own on the ALU, so that the copy only moves data.
void epilogue_apart(Schedule *s, Stage *st, Loc why, bool asked) {
  Ctx *cx = s->cx;
  const Scope *acc = s->target ? tir_scope(s->target, "vta.acc") : NULL;
  const TeExpr *e = st->body;
  while (e->kind == TE_CAST && dtype_is_int(e->a->type)) e = e->a;
  if (acc && acc->type == DT_I32) e = in_int32(cx, e);
  if (st->mark != MARK_COPY || st->scope != &scope_host || is_plain_copy(st->body) || !acc || !e ||
      e->type != acc->type || st->reduce != TE_NO_REDUCE) {
    if (!asked) return;
    Diag *g = diag_report(cx->diags, W_NO_EFFECT, why, "`legalize_epilogue` does nothing to `%s`", st->name);
    diag_note(g, st->mark != MARK_COPY     ? "it is not copied by a `dma_copy` before this line"
                 : is_plain_copy(st->body) ? "it only moves data already"
                                           : "what it computes is not an int32 epilogue stored to host memory");
    if (st->mark != MARK_COPY) diag_help(g, "put it behind the `dma_copy` of `%s`", st->name);
    diag_fix_drop(g, why, "drop it");
    return;
  }
  Name name = schedule_fresh_name(s, arena_printf(cx->arena, "%s_act", st->name));
  TeTensor *t = tensor_like(cx, st->tensor, name, st->tensor->loc);
  t->type = e->type;
  t->body = expr_replace_axes(cx, e, t->naxes, st->tensor->axes, axis_exprs(cx, t));
  Stage *act = stage_new(cx, t);
  packs_copy(cx, st, act);
  act->scope = acc;
  act->scope_loc = act->mark_loc = why;
  act->epilogue_of = st;
  act->mark = MARK_ALU;
  act->intrin = tir_intrin(s->target, "vta.alu");
  const TeExpr *copy = te_access(cx->arena, t, axis_exprs(cx, st->tensor), e->loc);
  st->body = te_cast(cx->arena, st->tensor->type, copy, st->body->loc);
  stage_insert(s, act, st->index);
  op_done(&(Op){.s = s, .stage = st, .name = "legalize_epilogue"})->loc = why;
  diag_report(cx->diags, R_LEGALIZED, why,
              "what `%s` computed runs in a stage of its own, `%s`, on the VTA ALU; `%s` copies it", st->name, name,
              st->name);
}

// The epilogue of a copy, unless the schedule says where, is computed around the copy: there the copied tile is
// complete.
void place_epilogue(Schedule *s, Stage *act) {
  Stage *st = act->epilogue_of;
  int at = -1;
  for (size_t i = 0; i < st->leaf.len; i++)
    if (st->leaf.data[i]->kind == FOR_VTHREAD) at = (int)i;
  for (size_t i = 0; i < s->stages.len; i++) {
    const Stage *o = s->stages.data[i];
    int l = o->attach == ATTACH_AT && o->at_stage == st ? stage_leaf_index(st, o->at_axis) : -1;
    if (l > at) at = l;
  }
  if (st->mark_axis) at = stage_leaf_index(st, st->mark_axis) - 1;
  if (at < 0) return;
  act->attach = ATTACH_AT;
  act->attach_loc = act->mark_loc;
  act->at_stage = st;
  act->at_axis = st->leaf.data[at];
}

bool stage_legalize_epilogue(Schedule *s, Stage *st, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "legalize_epilogue", .why = why};
  if (!op_is_computed(&o)) return false;
  epilogue_apart(s, st, op_at(&o), true);
  return true;
}

void apply_legalize(Call *c) { c->failed = !stage_legalize_epilogue(c->ap->s, c->stage, c->stmt); }

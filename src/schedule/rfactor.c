// SPDX-License-Identifier: Apache-2.0
// `parts = stage.rfactor(axis)`: partial results, one for each position of a reduction loop. The new stage has that
// loop as its last axis and reduces over the others; the stage reduces what it made. Of integers, which wrap, it is the
// same result; of floats it is another, which the kernel itself may ask for (`by n`).
//
//   s[i] = sum[k](e(i, k)), k = k0 * 8 + k1       s.rfactor(k1):
//   parts[i, k1] = sum[k0 where k0 * 8 + k1 < K](e(i, k0 * 8 + k1));  s[i] = sum[k1](parts[i, k1])
#include "schedule/internal.h"

#include <string.h>

// The loops of the reduction as axes of the new stage, by Axis.index.
typedef struct Factor {
  Op *op;
  Ctx *cx;
  Stage *stage;
  const Axis *axis;
  TeAxis **own; // of each loop; NULL for axes that are none
  const TeExpr *where;
  Loc at;
} Factor;

static const TeExpr *whole(const Factor *f, int64_t n) { return te_int(f->cx->arena, n, f->at); }

static const TeExpr *join(const Factor *f, BinOp op, const TeExpr *a, const TeExpr *b) {
  return te_binary(f->cx->arena, op, a, b, f->at);
}

// The value of an axis by the loops. Where a split does not divide it, points beyond are left out.
static const TeExpr *value_of(Factor *f, const Axis *a) {
  const Relation *r = a->used_by;
  if (!r) return te_axis(f->cx->arena, f->own[a->index], f->at);
  const TeExpr *size = whole(f, r->inner->extent);
  if (r->kind == REL_FUSE) return join(f, a == r->outer ? OP_DIV : OP_MOD, value_of(f, r->parent), size);
  const TeExpr *v = join(f, OP_ADD, join(f, OP_MUL, value_of(f, r->outer), size), value_of(f, r->inner));
  if (a->extent % r->inner->extent) {
    const TeExpr *inside = join(f, OP_LT, v, whole(f, a->extent));
    f->where = f->where ? join(f, OP_LAND, f->where, inside) : inside;
  }
  return v;
}

static bool may_factor(Op *o, const Axis *a) {
  const Stage *s = o->stage;
  if (!op_is_computed(o) || op_is_recurrent(o)) return false;
  if (!a->reduce) {
    diag_help(op_fail(o, E_AXIS, op_at(o), "`%s` is no reduction axis of `%s`", a->name, s->name),
              "partial results are made of a loop of a reduction");
    return false;
  }
  if (stage_keeps_order_of_floats(s)) {
    Diag *g = op_fail(o, E_FLOAT_ORDER, op_at(o), "partial results would change the order of a float reduction");
    diag_also(g, s->body->loc, "its points are reduced here");
    diag_help(g, "let the kernel say the order: with `by 16` behind an axis, 16 partial results are made and combined");
    return false;
  }
  const char *done = s->reduce == TE_DOT       ? "is a chain of multiply-adds"
                     : s->packs.len            ? "is packed"
                     : s->mark != MARK_NONE    ? "is lowered to the accelerator"
                     : s->tensor->lanes        ? "holds partial results"
                     : s->scope != &scope_host ? "does not live in host memory"
                                               : NULL;
  if (done) op_fail(o, E_ARGUMENT, op_at(o), "`%s` %s: it has no partial results beside", s->name, done);
  for (size_t i = 0; i < s->leaf.len && !o->failed; i++)
    if (s->leaf.data[i]->reduce) axis_is_free(o, s->leaf.data[i]);
  return !o->failed;
}

enum { MOST_ELEMENTS_BITS = 40 };

// The tensor of partial results: the loop is its last axis.
static TeTensor *make_parts(Factor *f, Name name) {
  Ctx *cx = f->cx;
  const Stage *s = f->stage;
  TeTensor *t = tensor_like(cx, s->tensor, name, s->tensor->loc);
  const TeAxis **axes = NEW_ARRAY(cx->arena, const TeAxis *, t->naxes + 1);
  const TeExpr **at = axis_exprs(cx, t); // of the axes that both have
  const TeExpr *body = expr_replace_axes(cx, s->body, t->naxes, s->tensor->axes, at), *where = s->where;
  if (where) where = expr_replace_axes(cx, where, t->naxes, s->tensor->axes, at);
  memcpy(axes, t->axes, (size_t)t->naxes * sizeof *axes);
  t->raxes = NEW_ARRAY(cx->arena, const TeAxis *, s->leaf.len);
  for (size_t i = 0; i < s->leaf.len; i++) {
    const Axis *a = s->leaf.data[i];
    if (!a->reduce) continue;
    TeAxis *own = NEW(cx->arena, TeAxis);
    *own = (TeAxis){.name = a->name, .extent = a->extent, .loc = a->loc, .reduce = a != f->axis};
    own->index = a == f->axis ? t->naxes : t->nraxes;
    f->own[a->index] = own;
    if (a == f->axis) axes[t->naxes] = own;
    else t->raxes[t->nraxes++] = own;
  }
  t->axes = axes;
  t->naxes++;
  for (int i = 0; i < s->nrroot; i++) {
    const TeExpr *v = value_of(f, s->rroot[i]);
    body = expr_replace_axes(cx, body, 1, &s->rroot[i]->root, &v);
    if (where) where = expr_replace_axes(cx, where, 1, &s->rroot[i]->root, &v);
  }
  if (where && f->where) where = join(f, OP_LAND, f->where, where);
  t->where = where ? where : f->where;
  t->reduce = s->reduce;
  t->body = body;
  return t;
}

// What is not computed must be the identity: a stage without a reduction has no `where`.
static void without_reduction(Factor *f, TeTensor *t) {
  if (t->nraxes) return;
  if (t->where) {
    const TeExpr *none = te_const(f->cx->arena, t->type, te_reduce_identity(t->reduce, t->type), f->at);
    t->body = te_select(f->cx->arena, t->where, t->body, none, f->at);
  }
  t->reduce = TE_NO_REDUCE;
  t->where = NULL;
}

// The stage reduces the partial results, in one loop that stands where that of the axis stood.
static void reduce_parts(Factor *f, const TeTensor *parts) {
  Ctx *cx = f->cx;
  Stage *s = f->stage;
  TeAxis *root = NEW(cx->arena, TeAxis);
  *root = (TeAxis){.name = f->axis->name, .extent = f->axis->extent, .loc = f->axis->loc, .reduce = true};
  size_t place = 0, n = 0;
  for (size_t i = 0; i < s->leaf.len; i++) {
    if (s->leaf.data[i] == f->axis) place = n;
    if (!s->leaf.data[i]->reduce) s->leaf.data[n++] = s->leaf.data[i];
  }
  s->leaf.len = n;
  n = 0;
  for (size_t i = 0; i < s->axes.len; i++)
    if (!s->axes.data[i]->reduce) s->axes.data[i]->index = (int)n, s->axes.data[n++] = s->axes.data[i];
  s->axes.len = n;
  Axis *a = stage_add_axis(cx, s, root->name, true, root->extent, root->loc);
  a->root = root;
  s->leaf.len--;
  leaf_splice(cx, s, (int)place, 0, 1, &a);
  s->nrroot = 1;
  s->rroot[0] = a;
  const TeExpr **at = NEW_ARRAY(cx->arena, const TeExpr *, parts->naxes);
  memcpy(at, axis_exprs(cx, s->tensor), (size_t)s->tensor->naxes * sizeof *at);
  at[parts->naxes - 1] = te_axis(cx->arena, root, f->at);
  s->body = te_access(cx->arena, parts, at, s->body->loc);
  s->where = NULL;
}

Stage *stage_rfactor(Schedule *sch, Stage *s, Axis *a, Name given, const SchedStmt *why) {
  Op o = {.s = sch, .stage = s, .name = "rfactor", .why = why};
  Ctx *cx = sch->cx;
  int64_t elems;
  if (!op_is_loop(&o, s, a) || !may_factor(&o, a)) return NULL;
  if (!mul_ok(te_tensor_elems(s->tensor), a->extent, &elems) || elems >> MOST_ELEMENTS_BITS) {
    op_fail(&o, E_ARGUMENT, op_at(&o), "the partial results of `%s` would be 2^40 or more", s->name);
    return NULL;
  }
  Name name = new_stage_name(&o, given, "parts");
  if (!name) return NULL;
  ScheduleStep *step = op_done(&o);
  step_axis(sch, step, a);
  step_result(sch, step, name);
  Factor f = {.op = &o, .cx = cx, .stage = s, .axis = a, .own = NEW_ARRAY(cx->arena, TeAxis *, s->axes.len)};
  f.at = s->body->loc;
  TeTensor *t = make_parts(&f, name);
  without_reduction(&f, t);
  Stage *parts = stage_new(cx, t);
  reduce_parts(&f, t);
  stage_insert(sch, parts, s->index);
  return parts;
}

void apply_rfactor(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  if (c->failed) return;
  Name name = c->stmt->nresults ? c->stmt->results[0].name : NULL;
  c->failed = !stage_rfactor(c->ap->s, c->stage, a, name, c->stmt);
}

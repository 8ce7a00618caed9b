// SPDX-License-Identifier: Apache-2.0
// `outer, inner = stage.pack(axis, n)`: the stage is stored, and looped over, in blocks of n along an axis. Its tensor
// gets the axes outer, in the place of the axis, and inner, behind all others; who reads it at i reads it at [i / n ..
// i % n].
//
// Where n does not divide the extent, the last block is filled up. The fill is no part of the tensor: no index of a
// reader reaches it. It is made of what the operands have in their fills, where those go as far; otherwise it is 0.
// Which fills are 0 is found from the expressions. It counts where a reduction over such an axis is cut in blocks: an
// integer sum whose terms are 0 in the fill may take whole blocks, and becomes an operation of the accelerator.
#include "schedule/internal.h"

// ---- the operation --------------------------------------------------------------------------------------------------

typedef struct Access { // of a tensor that gets blocks along axis `at`
  Arena *arena;
  const TeTensor *from, *to;
  int at;
  const TeExpr *block;
} Access;

static const TeExpr *access_blocks(void *self, const TeExpr *e) {
  const Access *m = self;
  if (e->kind != TE_ACCESS || e->tensor != m->from) return e;
  const TeExpr **idx = NEW_ARRAY(m->arena, const TeExpr *, m->to->naxes);
  for (int i = 0; i < e->nargs; i++) idx[i] = e->args[i];
  idx[m->at] = te_binary(m->arena, OP_DIV, e->args[m->at], m->block, e->args[m->at]->loc);
  idx[e->nargs] = te_binary(m->arena, OP_MOD, e->args[m->at], m->block, e->args[m->at]->loc);
  return te_access(m->arena, m->to, idx, e->loc);
}

static TeAxis *new_axis(Ctx *cx, const TeAxis *like, Name name, int64_t extent) {
  TeAxis *a = arena_copy(cx->arena, like, sizeof *like);
  a->name = name;
  a->extent = extent;
  return a;
}

// The tensor with its axis `at` in blocks.
static TeTensor *in_blocks(Ctx *cx, const TeTensor *t, int at, const TeAxis *outer, const TeAxis *inner) {
  TeTensor *n = arena_copy(cx->arena, t, sizeof *t);
  n->naxes = t->naxes + 1;
  n->axes = NEW_ARRAY(cx->arena, const TeAxis *, n->naxes);
  for (int i = 0; i < t->naxes; i++) n->axes[i] = t->axes[i];
  n->axes[at] = outer;
  n->axes[t->naxes] = inner;
  n->index = -1;
  if (outer->extent * inner->extent != t->axes[at]->extent) n->bounded = false; // the fill may be anything
  return n;
}

// The loops and axes of the stage: outer for a, inner behind the other axes of the tensor.
static void replace_loops(Ctx *cx, Stage *st, int at, const TeAxis *outer, const TeAxis *inner, Axis *out[2]) {
  Axis *a = st->root[at];
  int place = stage_leaf_index(st, a), last = -1;
  Axis **root = NEW_ARRAY(cx->arena, Axis *, st->nroot + 1);
  for (int i = 0; i < 2; i++) {
    const TeAxis *t = i ? inner : outer;
    out[i] = stage_add_axis(cx, st, t->name, false, t->extent, t->loc);
    out[i]->root = t;
  }
  st->leaf.len -= 2;
  for (int i = 0; i < st->nroot; i++) root[i] = st->root[i];
  root[at] = out[0];
  root[st->nroot++] = out[1];
  st->root = root;
  leaf_splice(cx, st, place, 1, 1, &out[0]);
  for (size_t i = 0; i < st->leaf.len; i++)
    if (!st->leaf.data[i]->reduce) last = (int)i;
  leaf_splice(cx, st, last + 1, 0, 1, &out[1]);
}

enum { MOST_ELEMENTS_BITS = 40 };

static bool may_pack(Op *o, const Axis *a, int at, int64_t block) {
  Stage *st = o->stage;
  Arena *m = o->s->cx->arena;
  if (op_is_recurrent(o)) return false;
  if (st->tensor->role != TE_COMPUTE) {
    bool out = st->tensor->role == TE_OUTPUT, in = st->tensor->role == TE_INPUT;
    Diag *g = op_fail(o, E_ARGUMENT, op_at(o), "`%s` is %s: it keeps its layout", st->name,
                      out  ? "an output"
                      : in ? "an input"
                           : "a constant");
    diag_help(g, "pack a copy: `%s = %s.cache_%s(host);`, and pack that",
              source_fresh_name(m, op_at(o).src, arena_printf(m, "%s_blocks", st->name)), st->name,
              out ? "write" : "read");
    return false;
  }
  const Axis *held = st->align ? st->align : st->fold;
  if (held) {
    Diag *g = op_fail(o, E_ARGUMENT, op_at(o), "how `%s` is stored is decided already", st->name);
    diag_also(g, st->align ? st->align_loc : st->fold_loc, "here, for `%s`", held->name);
    diag_help(g, "pack before that");
    return false;
  }
  if (st->tensor->lanes) {
    op_fail(o, E_ARGUMENT, op_at(o), "`%s` holds partial results, whose layout is fixed", st->name);
    return false;
  }
  if (at < 0) {
    Diag *g = op_fail(o, E_AXIS, op_at(o), "`%s` is no axis of `%s` that can be packed: it is %s", a->name, st->name,
                      a->reduce ? "one of its reduction" : "a loop that was made by a schedule");
    diag_help(g, a->reduce ? "pack what the reduction reads, and split this axis" : "pack before other loops are made");
    return false;
  }
  int64_t elems = te_tensor_elems(st->tensor) / a->extent;
  if (!mul_ok((a->extent - 1) / block + 1, block, &block) || !mul_ok(elems, block, &elems) ||
      elems >> MOST_ELEMENTS_BITS) {
    op_fail(o, E_ARGUMENT, op_at(o), "`%s` would have 2^40 elements or more", st->name);
    return false;
  }
  return axis_is_free(o, a);
}

// The names of the two loops that a becomes; false: not legal, and said.
static bool name_blocks(Op *o, Axis *a, const Name *given, Name out[2]) {
  Ctx *cx = o->s->cx;
  out[0] = loop_name(o, given, 0, arena_printf(cx->arena, "%s_outer", a->name));
  out[1] = loop_name(o, given, 1, arena_printf(cx->arena, "%s_inner", a->name));
  check_loop_name(o, out[0], a, NULL);
  check_loop_name(o, out[1], a, NULL);
  if (out[0] == out[1]) op_fail(o, E_DUPLICATE_NAME, op_at(o), "both results are named `%s`", out[0]);
  return !o->failed;
}

// outer * block + inner
static const TeExpr *block_index(Arena *a, const TeAxis *outer, const TeAxis *inner, const TeExpr *block, Loc loc) {
  const TeExpr *value = te_binary(a, OP_MUL, te_axis(a, outer, loc), block, loc);
  return te_binary(a, OP_ADD, value, te_axis(a, inner, loc), loc);
}

// The stage's expressions over p's axes instead of old, which stood at `at`, and its readers' accesses by blocks.
static void rewrite_blocks(Schedule *s, Stage *st, const TeAxis *old, int at, Pack p, const TeExpr *n) {
  Ctx *cx = s->cx;
  const TeTensor *t = st->tensor;
  TeTensor *now = in_blocks(cx, t, at, p.outer, p.inner);
  st->body = now->body = expr_replace_axes(cx, st->body, 1, &old, &p.value);
  if (st->where) st->where = now->where = expr_replace_axes(cx, st->where, 1, &old, &p.value);
  st->tensor = now;
  for (size_t i = 0; i < st->packs.len; i++)
    st->packs.data[i].value = expr_replace_axes(cx, st->packs.data[i].value, 1, &old, &p.value);
  VEC_PUSH(cx->arena, st->packs, p);
  Access m = {cx->arena, t, now, at, n};
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *r = s->stages.data[i];
    if (r->body) r->body = te_map(cx->arena, r->body, access_blocks, &m);
    if (r->where) r->where = te_map(cx->arena, r->where, access_blocks, &m);
  }
}

bool stage_pack(Schedule *s, Stage *st, Axis *a, int64_t block, const Name *names, Axis *out[2], const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "pack", .why = why};
  Ctx *cx = s->cx;
  if (!op_is_loop(&o, st, a)) return false;
  if (block < 1) {
    op_fail(&o, E_ARGUMENT, op_at(&o), "`pack` needs a block of at least 1");
    return false;
  }
  int at = -1;
  for (int i = 0; i < st->nroot; i++)
    if (st->root[i] == a) at = i;
  Name name[2];
  if (!may_pack(&o, a, at, block) || !name_blocks(&o, a, names, name)) return false;
  ScheduleStep *step = op_done(&o);
  step_axis(s, step, a);
  step_number(s, step, NULL, block);
  step_result(s, step, name[0]);
  step_result(s, step, name[1]);

  const TeAxis *old = st->tensor->axes[at];
  const TeExpr *n = te_int(cx->arena, block, old->loc);
  Pack p = {.name = old->name, .extent = old->extent, .block = block, .loc = op_at(&o)};
  p.outer = new_axis(cx, old, name[0], (old->extent - 1) / block + 1);
  p.inner = new_axis(cx, old, name[1], block);
  p.value = block_index(cx->arena, p.outer, p.inner, n, old->loc);
  rewrite_blocks(s, st, old, at, p, n);
  Axis *made[2];
  replace_loops(cx, st, at, p.outer, p.inner, made);
  if (out) out[0] = made[0], out[1] = made[1];
  return true;
}

void apply_pack(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *factor = call_key(c, "factor");
  if (!factor) factor = call_arg(c, 1);
  int64_t n = factor ? call_int(c, factor) : 0;
  if (c->failed || !factor) {
    if (!c->failed) call_fail(c, E_ARGUMENT, c->stmt->loc, "`pack` needs a number");
    return;
  }
  Name names[] = {result_name(c, 0, a->name, "_outer"), result_name(c, 1, a->name, "_inner")};
  c->failed = !stage_pack(c->ap->s, c->stage, a, n, names, NULL, c->stmt);
}

void packs_copy(Ctx *cx, const Stage *from, Stage *to) {
  const TeTensor *t = from->tensor, *n = to->tensor;
  for (size_t i = 0; i < from->packs.len; i++) {
    Pack p = from->packs.data[i];
    p.value = expr_replace_axes(cx, p.value, t->naxes, t->axes, axis_exprs(cx, n));
    const TeAxis *outer = p.outer, *inner = p.inner;
    for (int a = 0; a < t->naxes; a++) {
      if (t->axes[a] == outer) p.outer = n->axes[a];
      if (t->axes[a] == inner) p.inner = n->axes[a];
    }
    VEC_PUSH(cx->arena, to->packs, p);
  }
}

// ---- what fills the last block --------------------------------------------------------------------------------------

// Points at which something is asked: those where `value` is `extent` or more.
typedef struct Beyond {
  const Schedule *s;
  const TeExpr *value;
  int64_t extent;
  const Pack *pack; // whose fill it is; NULL: of a reduction
} Beyond;

enum { MOST_COMPARED = 1000 }; // nodes of an index

// Whether e is value / block (or, op being OP_MOD, value % block).
static bool is_part(const TeExpr *e, const TeExpr *value, BinOp op, int64_t block) {
  int work = MOST_COMPARED;
  return e->kind == TE_BINARY && e->binop == op && e->b->kind == TE_CONST && e->b->value.i == block &&
         te_same(e->a, value, &work);
}

// Whether an access is in the zero fill of what it reads wherever it is beyond.
static bool reads_zero_fill(const Beyond *b, const TeExpr *e) {
  const Stage *p = schedule_stage_of(b->s, e->tensor);
  for (size_t k = 0; p && k < p->packs.len; k++) {
    const Pack *of = &p->packs.data[k];
    const TeExpr *outer = NULL, *inner = NULL;
    if (!of->zero || of->extent > b->extent) continue;
    for (int i = 0; i < e->nargs; i++) {
      if (e->tensor->axes[i] == of->outer) outer = e->args[i];
      if (e->tensor->axes[i] == of->inner) inner = e->args[i];
    }
    if (!outer || !inner) continue;
    if (is_part(outer, b->value, OP_DIV, of->block) && is_part(inner, b->value, OP_MOD, of->block)) return true;
    if (b->pack && b->pack->block == of->block && outer->kind == TE_AXIS && outer->axis == b->pack->outer &&
        inner->kind == TE_AXIS && inner->axis == b->pack->inner)
      return true;
  }
  return false;
}

static bool is_zero(const Beyond *b, const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST: return dtype_is_float(e->type) ? e->value.f == 0 : e->value.i == 0;
  case TE_ACCESS: return reads_zero_fill(b, e);
  case TE_CAST: return is_zero(b, e->a);
  case TE_SELECT: return is_zero(b, e->b) && is_zero(b, e->c);
  case TE_UNARY: return dtype_is_int(e->type) && e->unop == UN_NEG && is_zero(b, e->a);
  case TE_MATH: return dtype_is_int(e->type) && e->fn == FN_ABS && is_zero(b, e->args[0]);
  case TE_AXIS: return false;
  case TE_BINARY: break;
  }
  if (!dtype_is_int(e->type)) return false; // NaN * 0 is none, and -0.0 is another
  bool x = is_zero(b, e->a), y = is_zero(b, e->b);
  switch (e->binop) {
  case OP_MUL:
  case OP_AND: return x || y;
  case OP_SHL:
  case OP_SHR:
  case OP_DIV:
  case OP_MOD: return x; // by whatever, 0 too
  case OP_ADD:
  case OP_SUB:
  case OP_MIN:
  case OP_MAX:
  case OP_OR:
  case OP_XOR: return x && y;
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE:
  case OP_LAND:
  case OP_LOR:
  case OP_COUNT: return false;
  }
  return false;
}

// The condition that a point is of the tensor.
static const TeExpr *is_element(Ctx *cx, const Stage *st) {
  const TeExpr *all = NULL;
  for (size_t i = 0; i < st->packs.len; i++) {
    const Pack *p = &st->packs.data[i];
    if (p->extent % p->block == 0) continue;
    const TeExpr *c = te_binary(cx->arena, OP_LT, p->value, te_int(cx->arena, p->extent, p->loc), p->value->loc);
    all = all ? te_binary(cx->arena, OP_LAND, all, c, c->loc) : c;
  }
  return all;
}

// Decides what stands in the fills of a stage.
static void fill_blocks(Schedule *s, Stage *st) {
  Ctx *cx = s->cx;
  const TeExpr *element = is_element(cx, st);
  bool sums = st->reduce == TE_NO_REDUCE || st->reduce == TE_SUM;
  if (!element) return;
  if (!te_reads_inside(cx, st->where, st->body)) { // 0 instead of what is not there
    st->body = te_select(cx->arena, element, st->body, te_const(cx->arena, st->body->type, (Scalar){0}, st->body->loc),
                         st->body->loc);
    for (size_t i = 0; i < st->packs.len; i++) st->packs.data[i].zero = sums && dtype_is_int(st->body->type);
    for (size_t i = 0; st->reduce == TE_NO_REDUCE && i < st->packs.len; i++) st->packs.data[i].zero = true;
    return;
  }
  for (size_t i = 0; i < st->packs.len; i++) {
    Pack *p = &st->packs.data[i];
    Beyond b = {s, p->value, p->extent, p};
    p->zero = sums && is_zero(&b, st->body) && (st->reduce == TE_NO_REDUCE || dtype_is_int(st->body->type));
  }
}

// ---- reductions in whole blocks -------------------------------------------------------------------------------------

// Of the accesses that take part in a reduction over an axis: why each is not 0 beyond it.
typedef struct Tail {
  const Schedule *s;
  const TeAxis *axis;
  Text text;
} Tail;

static bool is_axis(void *self, const TeExpr *e) { return e->kind == TE_AXIS && e->axis == self; }

static bool tell_factor(void *self, const TeExpr *e) {
  Tail *t = self;
  bool moves = false, packed = false;
  if (e->kind != TE_ACCESS) return false;
  const Stage *p = schedule_stage_of(t->s, e->tensor);
  for (int i = 0; i < e->nargs; i++) moves = moves || te_any(e->args[i], is_axis, (void *)(uintptr_t)t->axis);
  for (size_t i = 0; p && i < p->packs.len; i++) {
    const Pack *k = &p->packs.data[i];
    for (int a = 0; a < e->nargs; a++)
      packed = packed || (e->tensor->axes[a] == k->inner && te_any(e->args[a], is_axis, (void *)(uintptr_t)t->axis));
  }
  if (!moves) return false;
  text_add(&t->text, "%s", t->text.len ? ", and " : "");
  if (packed) text_add(&t->text, "what fills the last block of `%s` is not known to be 0", e->tensor->name);
  else text_add(&t->text, "`%s` is not packed along it", e->tensor->name);
  return false;
}

static void tell_tail(const Schedule *s, Stage *st, const Axis *a) {
  Tail t = {.s = s, .axis = a->root, .text = {.arena = s->cx->arena}};
  te_any(st->body, tell_factor, &t);
  if (!t.text.len) return; // its terms are numbers
  st->tail = arena_printf(s->cx->arena, "the sum over `%s` ends in a part of a block: %s", a->name, t.text.data);
}

// A sum over an axis that is cut in parts which do not divide it takes whole parts, where its terms beyond are 0.
static void round_reduction(Schedule *s, Stage *st, int at) {
  Ctx *cx = s->cx;
  Axis *a = st->rroot[at];
  const Relation *r = a->used_by;
  int64_t whole;
  if (!r || r->kind != REL_SPLIT || !r->factor || a->extent % r->factor == 0) return;
  if (!mul_ok((a->extent - 1) / r->factor + 1, r->factor, &whole)) return;
  const TeAxis *wide = new_axis(cx, a->root, a->root->name, whole);
  const TeExpr *to = te_axis(cx->arena, wide, a->root->loc);
  const TeExpr *body = expr_replace_axes(cx, st->body, 1, &a->root, &to);
  Beyond b = {s, te_axis(cx->arena, a->root, a->root->loc), a->root->extent, NULL};
  if (!is_zero(&b, st->body) || !te_reads_inside(cx, NULL, body)) {
    tell_tail(s, st, a);
    return;
  }
  a->extent = whole;
  int64_t *extents = NEW_ARRAY(cx->arena, int64_t, st->axes.len);
  stage_extents(st, NULL, extents);
  for (size_t i = 0; i < st->axes.len; i++) st->axes.data[i]->extent = extents[st->axes.data[i]->index];
}

bool complete_packs(Schedule *s) {
  bool any = false;
  for (size_t i = 0; i < s->stages.len; i++) any = any || s->stages.data[i]->packs.len;
  if (!any) return true;
  schedule_index(s->cx, s);
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (!st->body) continue;
    if (st->packs.len && st->attach == ATTACH_INLINE) {
      diag_fix_drop(diag_report(s->cx->diags, W_NO_EFFECT, st->packs.data[0].loc,
                                "this has no effect: `%s` is inlined, and stored nowhere", st->name),
                    st->packs.data[0].loc, "drop it");
      continue;
    }
    fill_blocks(s, st);
    bool sum = st->reduce == TE_SUM && dtype_is_int(st->body->type) && !st->where && !st->tensor->circle;
    for (int k = 0; sum && k < st->nrroot; k++) round_reduction(s, st, k);
  }
  return true;
}

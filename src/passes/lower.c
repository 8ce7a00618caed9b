// SPDX-License-Identifier: Apache-2.0
// lower: schedule -> loop nests (FORM_LOOPS).
//
// Stages are built from the outputs' root loops inwards. When the walk enters a loop at which other stages are
// computed, the region that they must provide is inferred from the loops that are fixed by then (bounds.c). Loops
// whose splits do not divide are cut in two, a full part and a tail, each with constant extents: so nothing inside a
// nest is guarded, and copies, ALU and GEMM nests keep their shape:
//
//   y0, y1 = out.split(y, factor = 5), y of extent 12:
//     for y0 in 0..2 { for y1 in 0..5 { out[y0 * 5 + y1] = .. } }
//     for y1 in 0..2 { out[10 + y1] = .. }
//
// Requires: a schedule that schedule_apply accepted. Ensures: perfect nests inside vta.dma_copy, vta.alu and
// vta.tensorize; loops of one iteration are substituted; every live stage has a buffer.
#include "passes/lower.h"

#include <string.h>

typedef enum Mode { UPDATE, INIT } Mode; // the nest proper, or the nest that starts a reduction

static const Stmt *lower_leaf(Lower *l, Instance *in, int i, Mode mode);
static const Stmt *lower_instance(Lower *l, Instance *in);

// ---- expressions ----------------------------------------------------------------------------------------------------

static const Expr *lower_expr(Lower *l, const Instance *in, const TeExpr *e);

// The value of a tensor axis, by the loops as they stand.
static const Expr *lower_axis(const Instance *in, const TeAxis *axis) {
  const Stage *s = in->stage;
  for (int i = 0; i < s->nroot; i++)
    if (s->root[i]->root == axis) return in->root_value[i];
  for (int i = 0; i < s->nrroot; i++)
    if (s->rroot[i]->root == axis) return in->rroot_value[i];
  bug("axis %s is not of stage %s", axis->name, s->name);
}

// Where position `at` of an axis of s stands in the buffer that holds it now, whose origin is the region's.
static const Expr *buffer_index(Lower *l, const Stage *s, int axis, const Expr *at) {
  Ctx *cx = l->cx;
  const Place *p = &l->place[s->index];
  if (p->min[axis]) at = expr_binary(cx, OP_SUB, at, p->min[axis]);
  if (p->folded && s->root[axis] == s->fold) at = expr_binary(cx, OP_MOD, at, expr_index(cx, p->folded));
  return expr_simplify(cx, &l->ranges, at);
}

// Reads tensor[idx] from the buffer that holds it now.
static const Expr *lower_access(Lower *l, const Instance *in, const TeExpr *e) {
  Ctx *cx = l->cx;
  const Stage *s = stage_of(l, e->tensor);
  const Place *p = &l->place[s->index];
  const Expr **idx = NEW_ARRAY(cx->arena, const Expr *, e->nargs + 1);
  if (p->buffer->scalar) idx[0] = expr_index(cx, 0);
  for (int i = 0; i < e->nargs; i++) idx[i] = buffer_index(l, s, i, lower_expr(l, in, e->args[i]));
  return expr_load(cx, p->buffer, idx);
}

// e over the loops and buffers of this instance.
static const Expr *lower_node(Lower *l, const Instance *in, const TeExpr *e) {
  Ctx *cx = l->cx;
  switch (e->kind) {
  case TE_CONST:
    return dtype_is_float(e->type) ? expr_float(cx, e->type, e->value.f) : expr_int(cx, e->type, e->value.i);
  case TE_AXIS: return lower_axis(in, e->axis);
  case TE_ACCESS: return lower_access(l, in, e);
  case TE_UNARY: return expr_unary(cx, e->unop, lower_expr(l, in, e->a));
  case TE_BINARY: return expr_binary(cx, e->binop, lower_expr(l, in, e->a), lower_expr(l, in, e->b));
  case TE_CAST: return expr_cast(cx, e->type, lower_expr(l, in, e->a));
  case TE_SELECT: return expr_select(cx, lower_expr(l, in, e->a), lower_expr(l, in, e->b), lower_expr(l, in, e->c));
  case TE_MATH: {
    const Expr *args[3] = {NULL};
    for (int i = 0; i < e->nargs; i++) args[i] = lower_expr(l, in, e->args[i]);
    return expr_call(cx, e->fn, args);
  }
  }
  return NULL;
}

static const Expr *lower_expr(Lower *l, const Instance *in, const TeExpr *e) {
  return expr_at(l->cx, lower_node(l, in, e), e->loc);
}

// ---- the innermost statement ----------------------------------------------------------------------------------------

// The value that a reduction starts with.
static const Expr *reduce_start(Ctx *cx, TeReduce r, DType t) {
  Scalar v = te_reduce_identity(r, t);
  return dtype_is_float(t) ? expr_float(cx, t, v.f) : expr_int(cx, t, v.i);
}

// What joins a value to those before it.
static BinOp reduce_op(TeReduce r) {
  switch (r) {
  case TE_PROD: return OP_MUL;
  case TE_MIN: return OP_MIN;
  case TE_MAX: return OP_MAX;
  case TE_SUM:
  case TE_DOT:
  case TE_NO_REDUCE: break;
  }
  return OP_ADD;
}

// What a point of a reduction makes of what those before it gave. Of a dot, the point is a multiply-add to 0.
static const Expr *reduced(Ctx *cx, TeReduce r, const Expr *sum, const Expr *point) {
  if (r != TE_DOT) return expr_binary(cx, reduce_op(r), sum, point);
  return expr_call(cx, FN_FMA, (const Expr *[]){point->args[0], point->args[1], sum});
}

// Sets the values of the root axes for the loops as they stand; a reduction's start has no reduction loops.
static void set_root_values(Lower *l, Instance *in, Mode mode) {
  const Stage *s = in->stage;
  for (int i = 0; i < s->nroot; i++) {
    const Expr *v = axis_value(l, in, s->root[i]);
    in->root_value[i] = in->min[i] ? expr_binary(l->cx, OP_ADD, in->min[i], v) : v;
  }
  for (int i = 0; mode == UPDATE && i < s->nrroot; i++) in->rroot_value[i] = axis_value(l, in, s->rroot[i]);
}

// The condition that all splits which could not be cut into constant parts are within bounds; NULL: always.
static const Expr *open_guard(Lower *l, const Instance *in, Mode mode) {
  const Expr *all = NULL;
  for (int i = 0; i < in->nlimits; i++) {
    const Limit *m = &in->limits[i];
    int64_t lo, hi;
    if (mode == INIT && m->parent->reduce) continue;
    const Expr *v = expr_simplify(l->cx, &l->ranges, axis_value(l, in, m->parent));
    if (expr_bounds(&l->ranges, v, &lo, &hi) && hi < m->extent) continue;
    const Expr *c = expr_binary(l->cx, OP_LT, v, expr_index(l->cx, m->extent));
    all = all ? expr_binary(l->cx, OP_LAND, all, c) : c;
  }
  return all;
}

static const Stmt *lower_store(Lower *l, Instance *in, Mode mode) {
  Ctx *cx = l->cx;
  const Stage *s = in->stage;
  const Buffer *b = l->place[s->index].buffer;
  set_root_values(l, in, mode);
  const Expr **idx = NEW_ARRAY(cx->arena, const Expr *, s->nroot + 1);
  if (b->scalar) idx[0] = expr_index(cx, 0);
  for (int i = 0; i < s->nroot; i++)
    idx[i] = s->whole || s->stored || s->kept ? buffer_index(l, s, i, in->root_value[i])
                                              : expr_simplify(cx, &l->ranges, axis_value(l, in, s->root[i]));
  const Expr *value;
  if (mode == INIT) {
    value = reduce_start(cx, s->reduce, s->tensor->type);
  } else {
    value = expr_simplify(cx, &l->ranges, lower_expr(l, in, s->body));
    if (s->reduce != TE_NO_REDUCE) value = reduced(cx, s->reduce, expr_load(cx, b, idx), value);
  }
  value = expr_at(cx, value, s->body->loc);
  Loc why = loc_known(s->mark_loc) || s->scope == &scope_host ? s->mark_loc : s->scope_loc;
  const Stmt *st = stmt_placed(cx, stmt_store(cx, b, idx, value), s->body->loc, why);
  const Expr *guard = open_guard(l, in, mode);
  if (s->where && mode == UPDATE) {
    const Expr *where = expr_simplify(cx, &l->ranges, lower_expr(l, in, s->where));
    guard = guard ? expr_binary(cx, OP_LAND, guard, where) : where;
  }
  return guard ? stmt_if(cx, guard, st, NULL) : st;
}

// ---- marked nests ---------------------------------------------------------------------------------------------------

typedef VEC(const Stmt *) StmtVec;

// Cuts a marked nest into perfect nests, in order: sequences inside loops become loops in sequence. Iterations of a
// marked nest write different elements, or add to the same ones, so that this keeps the result.
static void perfect_nests(Ctx *cx, const Stmt *s, StmtVec *out) {
  StmtVec inner = {0};
  switch (s->kind) {
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) perfect_nests(cx, s->children[i], out);
    return;
  case STMT_FOR:
    perfect_nests(cx, s->body, &inner);
    for (size_t i = 0; i < inner.len; i++) {
      const Var *v = i ? tir_var(cx, s->var->name, s->var->loc) : s->var;
      const Var *old = s->var;
      const Expr *e = expr_var(cx, v);
      TirSubst sub = {.nvars = 1, .vars = &old, .values = &e};
      const Stmt *body = i ? stmt_subst(cx, inner.data[i], &sub) : inner.data[i];
      VEC_PUSH(cx->arena, *out, stmt_placed(cx, stmt_for(cx, v, s->min, s->extent, s->for_kind, body), s->loc, s->why));
    }
    return;
  case STMT_IF:
    perfect_nests(cx, s->body, &inner);
    for (size_t i = 0; i < inner.len; i++) VEC_PUSH(cx->arena, *out, stmt_if(cx, s->cond, inner.data[i], NULL));
    return;
  case STMT_STORE:
  case STMT_ALLOC:
  case STMT_INTRIN: VEC_PUSH(cx->arena, *out, s);
  }
}

// The nest as perfect nests, each in the intrinsic that the stage is marked with.
static const Stmt *mark_nests(Lower *l, const Stage *s, const Stmt *nest) {
  Ctx *cx = l->cx;
  StmtVec nests = {0};
  perfect_nests(cx, nest, &nests);
  for (size_t i = 0; i < nests.len; i++)
    nests.data[i] = stmt_placed(cx, stmt_intrin(cx, s->intrin, 0, NULL, nests.data[i]), s->body->loc, s->mark_loc);
  return stmt_seq(cx, (int)nests.len, nests.data);
}

// ---- loops ----------------------------------------------------------------------------------------------------------

// The buffers that stand in the body of loop i (-1: around the loops) for stages computed further in, around `body`.
static const Stmt *alloc_kept(Lower *l, const Instance *in, int i, const Stmt *body) {
  for (size_t k = in->stage->attached.len; k-- > 0;) {
    const Stage *p = in->stage->attached.data[k];
    if (keep_stored_at(in, i, p)) body = stmt_alloc(l->cx, l->place[p->index].buffer, body);
  }
  return body;
}

static bool place_kept(Lower *l, Instance *in, int i) {
  bool any = false;
  for (size_t k = 0; k < in->stage->attached.len; k++) {
    Stage *p = in->stage->attached.data[k];
    if (!keep_stored_at(in, i, p)) continue;
    keep_place(l, in, i, p);
    any = true;
  }
  return any;
}

// Stages computed at the start of loop i's body, then the rest of the nest inside the scope of their buffers.
static const Stmt *lower_attached(Lower *l, Instance *in, int i, Mode mode, const Region *regions, int next) {
  const Stage *s = in->stage;
  for (; mode == UPDATE && next < (int)s->attached.len; next++) {
    Stage *p = s->attached.data[next];
    if (stage_leaf_index(s, p->at_axis) != i) continue;
    const Region *r = &regions[p->index];
    if (p->whole || p->stored) { // its buffer is allocated further out
      if (p->nroot && !r->extent[0]) continue;
      const Stmt *turn = lower_instance(l, instance_new(l, p, r->min, r->extent));
      return stmt_seq2(l->cx, turn, lower_attached(l, in, i, mode, regions, next + 1));
    }
    Instance *producer = instance_new(l, p, r->min, r->extent);
    const Buffer *b = l->place[p->index].buffer;
    const Stmt *nest = lower_instance(l, producer);
    const Stmt *rest = lower_attached(l, in, i, mode, regions, next + 1);
    return stmt_alloc(l->cx, b, stmt_seq2(l->cx, nest, rest));
  }
  return lower_leaf(l, in, i + 1, mode);
}

// The body of loop i, with the loop's value fixed.
static const Stmt *lower_body(Lower *l, Instance *in, int i, Mode mode) {
  const Stage *s = in->stage;
  bool here = false, store = mode == UPDATE && place_kept(l, in, i);
  for (size_t k = 0; mode == UPDATE && k < s->attached.len; k++)
    here = here || stage_leaf_index(s, s->attached.data[k]->at_axis) == i;
  const Region *regions = here ? infer_regions(l, in, i) : NULL;
  const Stmt *body = lower_attached(l, in, i, mode, regions, 0);
  return store ? alloc_kept(l, in, i, body) : body;
}

// How much unrolled loops may make of their bodies: more is code that nobody can compile or cache.
enum { UNROLL_COPIES = 4096, UNROLL_NODES = 1 << 16 };

// The nodes of a statement when its unrolled loops are; stops counting soon after `most`.
typedef struct CodeSize {
  int64_t nodes, most;
} CodeSize;

static bool count_expr(void *self, const Expr *e) {
  CodeSize *c = self;
  (void)e;
  return ++c->nodes <= c->most;
}

static bool count_stmt(void *self, const Stmt *s) {
  CodeSize *c = self;
  int64_t n;
  if (++c->nodes > c->most) return false;
  if (s->kind != STMT_FOR || s->for_kind != FOR_UNROLLED || !expr_is_int(s->extent, &n)) return true;
  CodeSize body = {.most = (c->most - c->nodes) / n};
  stmt_visit(s->body, count_stmt, count_expr, &body);
  c->nodes += body.nodes * n;
  return false;
}

static bool fits_unrolled(const Stmt *body, int64_t n) {
  CodeSize size = {.most = UNROLL_NODES / n};
  stmt_visit(body, count_stmt, count_expr, &size);
  return size.nodes <= size.most;
}

static ForKind not_unrolled(Lower *l, const Axis *a, const char *why) {
  if (l->quiet) return FOR_SERIAL;
  Diag *g = diag_report(l->cx->diags, W_NO_EFFECT, a->kind_loc, "`%s` is not unrolled: %s", a->name, why);
  diag_help(g, "split the axis and unroll the inner loop");
  return FOR_SERIAL;
}

// How a loop over n iterations runs: as asked for, but for unrolling without bound.
static ForKind loop_kind(Lower *l, const Axis *a, int64_t n) {
  if (a->kind != FOR_UNROLLED || n <= UNROLL_COPIES / l->unrolled) return a->kind;
  return not_unrolled(l, a, arena_printf(l->cx->arena, "its body would be copied more than %d times", UNROLL_COPIES));
}

// One loop over lo..hi, or its body alone if there is a single iteration.
static const Stmt *lower_part(Lower *l, Instance *in, int i, Mode mode, int64_t lo, int64_t hi) {
  Ctx *cx = l->cx;
  const Axis *a = in->stage->leaf.data[i];
  Leaf saved = in->leaf[i], *leaf = &in->leaf[i];
  leaf->lo = lo;
  leaf->hi = hi;
  leaf->entered = true;
  const Stmt *s;
  if (hi - lo == 1) {
    leaf->value = expr_index(cx, lo);
    s = lower_body(l, in, i, mode);
    if (mode == UPDATE) keep_advance(l, in, i);
  } else {
    const Var *v = tir_var(cx, a->name, a->loc);
    leaf->value = expr_var(cx, v);
    ForKind kind = loop_kind(l, a, hi - lo);
    int64_t copies = l->unrolled;
    if (kind == FOR_UNROLLED) l->unrolled *= hi - lo;
    ranges_push(cx, &l->ranges, v, lo, hi - 1);
    s = lower_body(l, in, i, mode);
    if (mode == UPDATE) keep_advance(l, in, i);
    ranges_pop(&l->ranges);
    l->unrolled = copies;
    if (kind == FOR_UNROLLED && !fits_unrolled(s, hi - lo)) kind = not_unrolled(l, a, "too much code would come of it");
    s = stmt_for(cx, v, expr_index(cx, lo), expr_index(cx, hi - lo), kind, s);
    s = stmt_placed(cx, s, a->loc, a->kind_loc);
  }
  *leaf = saved;
  return s;
}

// The iterations lo..hi; the first apart, where it computes what those after it find.
static const Stmt *lower_run(Lower *l, Instance *in, int i, Mode mode, int64_t lo, int64_t hi) {
  if (mode == INIT || hi - lo < 2 || !keep_any(in, i) || keep_known(l, in, i))
    return lower_part(l, in, i, mode, lo, hi);
  const Stmt *first = lower_part(l, in, i, mode, lo, lo + 1);
  return stmt_seq2(l->cx, first, lower_part(l, in, i, mode, lo + 1, hi));
}

enum { TAIL_LIMIT = 8 }; // more tail iterations than this stay in one loop, guarded

// Virtual threads run side by side only if they do the same: an inner loop that some threads would run longer than
// others is cut, so that the common part stays threaded and the rest follows, thread by thread. NULL: no need.
static const Stmt *lower_uneven_threads(Lower *l, Instance *in, int i, Mode mode) {
  Leaf *self = &in->leaf[i];
  for (int k = 0; k < in->nlimits; k++) {
    const Limit *m = &in->limits[k];
    int64_t lo, hi;
    if (!limit_bounds(in, m, -1, &lo, &hi) || hi < m->extent || !m->coef[i]) continue;
    for (size_t j = (size_t)i + 1; j < in->stage->leaf.len; j++) {
      Leaf *other = &in->leaf[j];
      if (m->coef[j] <= m->coef[i] || other->hi - other->lo < 2) continue;
      limit_bounds(in, m, (int)j, &lo, &hi);
      int64_t cut = floor_div(m->extent - 1 - hi, m->coef[j]) + 1;
      if (cut <= other->lo || cut >= other->hi) continue;
      Leaf saved = *other;
      other->hi = cut;
      const Stmt *s = lower_leaf(l, in, i, mode);
      *other = saved;
      other->lo = cut;
      for (int64_t t = self->lo; t < self->hi; t++) s = stmt_seq2(l->cx, s, lower_part(l, in, i, mode, t, t + 1));
      *other = saved;
      return s;
    }
  }
  return NULL;
}

// Loop i and all inside it, cut so that as many splits as possible stay within bounds without a guard.
static const Stmt *lower_loop(Lower *l, Instance *in, int i, Mode mode) {
  if (in->stage->leaf.data[i]->kind == FOR_VTHREAD) {
    const Stmt *s = lower_uneven_threads(l, in, i, mode);
    if (s) return s;
  }
  int64_t lo = in->leaf[i].lo, full = in->leaf[i].hi, any = in->leaf[i].hi;
  for (int k = 0; k < in->nlimits; k++) {
    const Limit *m = &in->limits[k];
    int64_t least, most;
    if (!m->coef || !m->coef[i]) continue;
    limit_bounds(in, m, i, &least, &most);
    int64_t f = floor_div(m->extent - 1 - most, m->coef[i]) + 1, p = floor_div(m->extent - 1 - least, m->coef[i]) + 1;
    if (f < full) full = f;
    if (p < any) any = p;
  }
  if (full < lo) full = lo;
  const Stmt *s = stmt_nop(l->cx);
  if (mode == UPDATE) keep_forget(l, in, i);
  if (full > lo) s = lower_run(l, in, i, mode, lo, full);
  if (any - full > TAIL_LIMIT) return stmt_seq2(l->cx, s, lower_run(l, in, i, mode, full, any));
  for (int64_t t = full; t < any; t++) s = stmt_seq2(l->cx, s, lower_part(l, in, i, mode, t, t + 1));
  return s;
}

// The nest from leaf i inwards. A reduction's start comes before its outermost reduction loop; marked nests are
// wrapped where they begin.
static const Stmt *lower_leaf(Lower *l, Instance *in, int i, Mode mode) {
  const Stage *s = in->stage;
  int n = (int)s->leaf.len;
  if (mode == INIT)
    while (i < n && s->leaf.data[i]->reduce) i++;
  if (s->mark != MARK_NONE && !in->marked && (i >= in->mark_leaf || i == n)) {
    in->marked = true;
    const Stmt *nest = lower_leaf(l, in, i, mode);
    in->marked = false;
    return mark_nests(l, s, nest);
  }
  if (mode == UPDATE && i == in->first_reduce && !in->started) {
    in->started = true;
    const Stmt *start = lower_leaf(l, in, i, INIT);
    const Stmt *update = lower_leaf(l, in, i, UPDATE);
    in->started = false;
    return stmt_seq2(l->cx, start, update);
  }
  if (i == n) return lower_store(l, in, mode);
  return lower_loop(l, in, i, mode);
}

static const Stmt *lower_instance(Lower *l, Instance *in) {
  bool store = place_kept(l, in, -1);
  const Stmt *nest = lower_leaf(l, in, 0, UPDATE);
  return store ? alloc_kept(l, in, -1, nest) : nest;
}

// ---- the function ---------------------------------------------------------------------------------------------------

// Stages that are computed by turns have their buffers around the loops in which they take them.
static void place_whole(Lower *l, Stage *s) {
  if (s->whole && s->tensor->role != TE_OUTPUT) place_stage(l, s, NULL, NULL, BUF_LOCAL);
}

static const Stmt *alloc_whole(Lower *l, const Stage *s, const Stmt *body) {
  return s->whole && s->tensor->role != TE_OUTPUT ? stmt_alloc(l->cx, l->place[s->index].buffer, body) : body;
}

// The stages at root from `from` on, each inside the allocations of those before it.
static const Stmt *lower_roots(Lower *l, size_t from) {
  const Schedule *sch = l->schedule;
  for (; from < sch->stages.len; from++) {
    Stage *s = sch->stages.data[from];
    if (!s->live || !s->body || s->attach != ATTACH_ROOT) continue;
    for (size_t i = 0; i < s->attached.len; i++) place_whole(l, s->attached.data[i]);
    Instance *in = instance_new(l, s, NULL, NULL);
    const Stmt *nest = lower_instance(l, in);
    const Stmt *both = stmt_seq2(l->cx, nest, lower_roots(l, from + 1));
    for (size_t i = s->attached.len; i-- > 0;) both = alloc_whole(l, s->attached.data[i], both);
    return s->tensor->role == TE_OUTPUT ? both : stmt_alloc(l->cx, l->place[s->index].buffer, both);
  }
  return stmt_nop(l->cx);
}

// Appends the buffers of the stages of a role, in the order in which the kernel declares them.
static int add_params(Lower *l, const Buffer **params, TeRole role, BufferRole as) {
  VEC(Stage *) found = {0};
  for (size_t i = 0; i < l->schedule->stages.len; i++) {
    Stage *s = l->schedule->stages.data[i];
    if (s->tensor->role != role || (role == TE_CONSTANT && !s->live)) continue;
    size_t at = found.len;
    VEC_PUSH(l->cx->arena, found, s);
    for (; at > 0 && found.data[at - 1]->tensor->order > s->tensor->order; at--) found.data[at] = found.data[at - 1];
    found.data[at] = s;
  }
  for (size_t i = 0; i < found.len; i++) {
    place_stage(l, found.data[i], NULL, NULL, as);
    params[i] = l->place[found.data[i]->index].buffer;
  }
  return (int)found.len;
}

Func *pass_lower(PassCtx *pc, const Schedule *s) {
  Ctx *cx = pc->cx;
  Lower *l = lower_new(cx, s);
  Func *f = NEW(cx->arena, Func);
  f->name = s->kernel->name;
  f->loc = s->kernel->name_loc;
  f->target = s->target;
  f->params = NEW_ARRAY(cx->arena, const Buffer *, s->stages.len);
  f->consts = NEW_ARRAY(cx->arena, const Buffer *, s->stages.len);
  f->nparams = add_params(l, f->params, TE_INPUT, BUF_INPUT);
  f->nparams += add_params(l, f->params + f->nparams, TE_OUTPUT, BUF_OUTPUT);
  f->nconsts = add_params(l, f->consts, TE_CONSTANT, BUF_CONST);
  for (size_t i = 0; i < s->stages.len; i++) l->quiet = l->quiet || s->stages.data[i]->stored;
  for (l->again = l->quiet; l->again;) { // how much must be stored is found by trying
    l->again = false;
    lower_roots(l, 0);
  }
  l->quiet = false;
  f->body = lower_roots(l, 0);
  warn_of_scalar_loops(cx, f);
  return f;
}

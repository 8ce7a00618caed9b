// SPDX-License-Identifier: Apache-2.0
// Completes a schedule after its statements ran (inlining, who reads whom, where marked nests start) and refuses what
// would change the result or cannot be built.
#include "schedule/internal.h"

#include <string.h>

// ---- inlining -------------------------------------------------------------------------------------------------------

// Of an expression after inlining: its nodes, and how deep they nest. Chains of inlined stages are copied into each
// other, so that a bound on depth also bounds that work.
enum { INLINE_NODES = 100000, INLINE_DEPTH = 1000 };

// Counts *nodes down; false when they or the levels are used up.
static bool expr_fits(const TeExpr *e, int depth, int *nodes) {
  if (depth <= 0 || --*nodes <= 0) return false;
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return true;
  case TE_SELECT:
    if (!expr_fits(e->c, depth - 1, nodes)) return false;
    // fall through
  case TE_BINARY:
    if (!expr_fits(e->b, depth - 1, nodes)) return false;
    // fall through
  case TE_UNARY:
  case TE_CAST: return expr_fits(e->a, depth - 1, nodes);
  case TE_ACCESS:
  case TE_MATH:
    for (int i = 0; i < e->nargs; i++)
      if (!expr_fits(e->args[i], depth - 1, nodes)) return false;
    return true;
  }
  return true;
}

static const TeExpr *inline_access(void *self, const TeExpr *e) {
  Applier *ap = self;
  if (e->kind != TE_ACCESS) return e;
  const Stage *s = schedule_stage_of(ap->s, e->tensor);
  if (!s || s->attach != ATTACH_INLINE) return e;
  return expr_replace_axes(ap->cx, s->body, s->tensor->naxes, s->tensor->axes, e->args);
}

// Substitutes inlined stages into their readers, in order of evaluation.
static bool inline_stages(Applier *ap) {
  bool any = false;
  for (size_t i = 0; i < ap->s->stages.len; i++) any = any || ap->s->stages.data[i]->attach == ATTACH_INLINE;
  if (!any) return true;
  for (size_t i = 0; i < ap->s->stages.len; i++) {
    Stage *s = ap->s->stages.data[i];
    if (!s->body) continue;
    const TeExpr *before = s->body;
    int nodes = INLINE_NODES;
    s->body = te_map(ap->cx->arena, before, inline_access, ap);
    if (s->where) s->where = te_map(ap->cx->arena, s->where, inline_access, ap);
    if (s->where && !expr_fits(s->where, INLINE_DEPTH, &nodes)) nodes = 0;
    if (s->body == before || expr_fits(s->body, INLINE_DEPTH, &nodes)) continue;
    Diag *g = diag_report(ap->cx->diags, E_INLINE, s->tensor->name_loc, "inlining makes `%s` too large", s->name);
    diag_note(g, "its expression would have more than %d nodes, or more than %d levels", INLINE_NODES, INLINE_DEPTH);
    for (size_t k = 0; k < i; k++) {
      const Stage *in = ap->s->stages.data[k];
      if (in->attach == ATTACH_INLINE && expr_reads(before, in->tensor)) diag_also(g, in->attach_loc, "`%s` is inlined here", in->name);
    }
    diag_help(g, "inline fewer stages");
    return false;
  }
  return true;
}

// ---- legalize_epilogue ------------------------------------------------------------------------------------------------

static bool reads_tensor(const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return false;
  case TE_ACCESS: return true;
  case TE_SELECT: return reads_tensor(e->a) || reads_tensor(e->b) || reads_tensor(e->c);
  case TE_BINARY: return reads_tensor(e->a) || reads_tensor(e->b);
  case TE_UNARY:
  case TE_CAST: return reads_tensor(e->a);
  case TE_MATH:
    for (int i = 0; i < e->nargs; i++)
      if (reads_tensor(e->args[i])) return true;
    return false;
  }
  return false;
}

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
  TeExpr *wide = arena_copy(cx->arena, e, sizeof *e);
  wide->type = DT_I32;
  wide->a = a;
  wide->b = b;
  if (minmax) return wide;
  return te_cast(cx->arena, DT_I32, te_cast(cx->arena, e->type, wide, e->loc), e->loc);
}

// A choice of int8 or int16 values in int32; also what it compares, where that is narrow.
static const TeExpr *choice_in_int32(Ctx *cx, const TeExpr *e) {
  const TeExpr *yes = in_int32(cx, e->b), *no = in_int32(cx, e->c), *cond = e->a;
  if (!yes || !no) return NULL;
  if (cond->kind == TE_BINARY && binop_is_bool(cond->binop) && dtype_is_int(cond->a->type)) {
    const TeExpr *x = in_int32(cx, cond->a), *y = in_int32(cx, cond->b);
    TeExpr *wide = arena_copy(cx->arena, cond, sizeof *cond);
    if (x && y) wide->a = x, wide->b = y;
    cond = wide;
  }
  TeExpr *out = arena_copy(cx->arena, e, sizeof *e);
  out->type = DT_I32;
  out->a = cond;
  out->b = yes;
  out->c = no;
  return out;
}

// The absolute value of an int8 or int16 in int32: that of the least value wraps.
static const TeExpr *abs_in_int32(Ctx *cx, const TeExpr *e) {
  const TeExpr *a = in_int32(cx, e->args[0]);
  if (!a) return NULL;
  TeExpr *wide = arena_copy(cx->arena, e, sizeof *e);
  wide->type = DT_I32;
  wide->args = arena_copy(cx->arena, &a, sizeof a);
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
void stage_legalize_epilogue(Applier *ap, Stage *st, Loc why, bool asked) {
  Ctx *cx = ap->cx;
  const Scope *acc = ap->opt->target ? tir_scope(ap->opt->target, "vta.acc") : NULL;
  const TeExpr *e = st->body;
  while (e->kind == TE_CAST && dtype_is_int(e->a->type)) e = e->a;
  if (acc && acc->type == DT_I32) e = in_int32(cx, e);
  if (st->mark != MARK_COPY || st->scope != &scope_host || is_plain_copy(st->body) || !acc || !e || e->type != acc->type ||
      st->reduce != TE_NO_REDUCE) {
    if (!asked) return;
    Diag *g = diag_report(cx->diags, W_NO_EFFECT, why, "`legalize_epilogue` does nothing to `%s`", st->name);
    diag_note(g, st->mark != MARK_COPY ? "it is not copied by a `dma_copy` before this line"
                 : is_plain_copy(st->body) ? "it only moves data already"
                                           : "what it computes is not an int32 epilogue stored to host memory");
    if (st->mark != MARK_COPY) diag_help(g, "put it behind the `dma_copy` of `%s`", st->name);
    diag_fix_drop(g, why, "drop it");
    return;
  }
  Name name = fresh_stage_name(ap, arena_printf(cx->arena, "%s_act", st->name));
  TeTensor *t = tensor_like(cx, st->tensor, name, st->tensor->loc);
  t->type = e->type;
  t->body = expr_replace_axes(cx, e, t->naxes, st->tensor->axes, axis_exprs(cx, t));
  Stage *act = stage_new(cx, t);
  act->scope = acc;
  act->scope_loc = act->mark_loc = why;
  act->epilogue_of = st;
  act->mark = MARK_ALU;
  act->intrin = tir_intrin(ap->opt->target, "vta.alu");
  const TeExpr *copy = te_access(cx->arena, t, axis_exprs(cx, st->tensor), e->loc);
  st->body = te_cast(cx->arena, st->tensor->type, copy, st->body->loc);
  stage_insert(cx, ap->s, act, st->index);
  applier_bind(ap, name, act);
  diag_report(cx->diags, R_LEGALIZED, why, "what `%s` computed runs in a stage of its own, `%s`, on the VTA ALU; `%s` copies it",
              st->name, name, st->name);
}

// The epilogue of a copy, unless the schedule says where, is computed around the copy: there the copied tile is complete.
static void place_epilogue(Schedule *s, Stage *act) {
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

// ---- who reads whom -----------------------------------------------------------------------------------------------------

typedef struct Reads {
  Ctx *cx;
  const Schedule *schedule;
  Stage *reader;
} Reads;

static void add_reads(Reads *r, const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return;
  case TE_SELECT: add_reads(r, e->c);
    // fall through
  case TE_BINARY: add_reads(r, e->b);
    // fall through
  case TE_UNARY:
  case TE_CAST: add_reads(r, e->a); return;
  case TE_ACCESS: {
    Stage *p = schedule_stage_of(r->schedule, e->tensor);
    bool seen = !p;
    for (size_t i = 0; !seen && i < r->reader->producers.len; i++) seen = r->reader->producers.data[i] == p;
    if (!seen) {
      VEC_PUSH(r->cx->arena, r->reader->producers, p);
      VEC_PUSH(r->cx->arena, p->consumers, r->reader);
    }
  }
    // fall through
  case TE_MATH:
    for (int i = 0; i < e->nargs; i++) add_reads(r, e->args[i]);
  }
}

static void connect(Applier *ap) {
  Schedule *s = ap->s;
  schedule_index(ap->cx, s);
  for (size_t i = 0; i < s->stages.len; i++) {
    Reads r = {ap->cx, s, s->stages.data[i]};
    if (r.reader->body && r.reader->attach != ATTACH_INLINE) add_reads(&r, r.reader->body);
    if (r.reader->where && r.reader->attach != ATTACH_INLINE) add_reads(&r, r.reader->where);
  }
  bool again = true;
  while (again) { // once, but for circles of recurrences
    again = false;
    for (size_t i = s->stages.len; i-- > 0;) {
      Stage *st = s->stages.data[i];
      if (st->tensor->role == TE_OUTPUT) st->live = true;
      for (size_t j = 0; st->live && j < st->producers.len; j++) {
        Stage *p = st->producers.data[j];
        again |= !p->live && p->index > st->index;
        p->live = true;
      }
    }
  }
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (st->live && st->attach == ATTACH_AT) VEC_PUSH(ap->cx->arena, st->at_stage->attached, st);
  }
}

// The stages of a circle of recurrences take turns in the loops of the last one that they share.
static void place_circles(Schedule *s) {
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (!st->tensor->circle) continue;
    Stage *last = st;
    for (size_t k = i + 1; k < s->stages.len; k++)
      if (s->stages.data[k]->tensor->circle == st->tensor->circle) last = s->stages.data[k];
    if (last == st) continue;
    st->whole = true;
    st->attach = ATTACH_AT;
    st->at_stage = last;
    st->at_axis = last->root[st->tensor->leading - 1];
  }
}

// ---- checks ---------------------------------------------------------------------------------------------------------------

static void check_scope(Applier *ap, const Stage *s) {
  if (s->scope == &scope_host || s->tensor->type == s->scope->type) return;
  Diag *g = diag_report(ap->cx->diags, E_SCOPE, s->scope_loc, "`%s` is %s, and %s holds %s", s->name,
                        dtype_name(s->tensor->type), s->scope->name, dtype_name(s->scope->type));
  bool cached = s->tensor->loc.src == s->scope_loc.src && s->tensor->loc.line == s->scope_loc.line &&
                s->tensor->loc.col == s->scope_loc.col;
  const char *wide = source_fresh_name(ap->cx->arena, s->scope_loc.src, "wide");
  if (!cached) diag_also(g, s->tensor->loc, "declared here");
  if (cached && s->tensor->type == DT_I8 && s->scope->type == DT_I32 && s->body->kind == TE_ACCESS)
    diag_help(g, "let a stage of its own widen it, and read that: `compute %s = int32(%s);` with `%s.set_scope(%s);  %s.dma_copy();`", wide,
              s->body->tensor->name, wide, s->scope->name, wide);
  else if (dtype_is_int(s->tensor->type) && s->scope->type == DT_I32)
    diag_help(g, "compute it as int32 and cast in the stage that is stored: `%s(...)`", dtype_name(s->tensor->type));
  else if (!dtype_is_int(s->tensor->type))
    diag_help(g, "VTA has no floating point: leave `%s` to the CPU, without a scope, or compute with integers", s->name);
  else
    diag_help(g, "convert it on the CPU first, in a stage of its own of type %s", dtype_name(s->scope->type));
}

static void check_annotations(Applier *ap, const Stage *s) {
  for (size_t i = 0; i < s->axes.len; i++) {
    const Axis *a = s->axes.data[i];
    if (a->kind == FOR_SERIAL || !a->used_by) continue;
    Diag *g = diag_report(ap->cx->diags, E_ANNOTATION, a->kind_loc, "axis `%s` was annotated and then split or fused", a->name);
    diag_also(g, a->used_by->loc, "here");
    diag_help(g, "annotate the axes that came of it");
  }
}

// The outermost place of `inner`'s loops, seen from `root`: the leaf of `root` at which the chain of attachments
// from `inner` arrives; INT_MAX if inner is root itself; -1 if it never arrives.
static int arrival(const Stage *inner, const Stage *root, int stages) {
  int at = 1 << 30;
  while (inner != root) {
    if (inner->attach != ATTACH_AT || stages-- < 0) return -1;
    at = stage_leaf_index(inner->at_stage, inner->at_axis);
    inner = inner->at_stage;
  }
  return at;
}

// Whether all that reads s is computed inside the loop at `place` of root: there s can be computed too.
static bool readers_inside(const Applier *ap, const Stage *s, const Stage *root, int place) {
  for (size_t i = 0; i < s->consumers.len; i++)
    if (s->consumers.data[i]->live && arrival(s->consumers.data[i], root, (int)ap->s->stages.len) < place) return false;
  return true;
}

static bool check_compute_at(Applier *ap, const Stage *s) {
  Ctx *cx = ap->cx;
  const Stage *root = s->at_stage;
  int place = stage_leaf_index(root, s->at_axis);
  if (place < 0) {
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->attach_loc, "`%s` is computed at an axis that is no loop of `%s` any more",
                          s->name, root->name);
    if (s->at_axis->used_by) diag_also(g, s->at_axis->used_by->loc, "`%s` was replaced here", s->at_axis->name);
    diag_help(g, "move the `compute_at` after this line, and name one of the new axes");
    return false;
  }
  if (s->tensor->role == TE_OUTPUT) {
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->attach_loc, "`%s` is an output: it is computed at root", s->name);
    diag_note(g, "an output must be complete; at another stage only what that stage needs would be computed");
    diag_fix_drop(g, s->attach_loc, "without this line it is");
    return false;
  }
  if (root->attach == ATTACH_INLINE) {
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->attach_loc, "`%s` is inlined: nothing can be computed at it", root->name);
    diag_also(g, root->attach_loc, "inlined here");
    diag_help(g, "compute it at a stage that has loops");
    return false;
  }
  for (size_t i = 0; i < s->consumers.len; i++) {
    const Stage *c = s->consumers.data[i];
    if (!c->live || arrival(c, root, (int)ap->s->stages.len) >= place) continue;
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->attach_loc, "`%s` cannot be computed at `%s`: `%s`, which reads it, is not computed inside that loop",
                          s->name, root->name, c->name);
    diag_also(g, c->tensor->name_loc, "`%s` reads `%s`", c->name, s->name);
    if (c->attach == ATTACH_AT) diag_also(g, c->attach_loc, "`%s` is computed here", c->name);
    bool inside = c->tensor->role != TE_OUTPUT && c != root && readers_inside(ap, c, root, place);
    const char *at = arena_printf(cx->arena, "%s.compute_at(%s, %s)", c->name, root->name, s->at_axis->name);
    if (inside) diag_fix_after(g, s->attach_loc, at, "compute `%s` inside that loop too: `%s;`", c->name, at);
    diag_fix(g, s->attach_loc, arena_printf(cx->arena, "%s.compute_root()", s->name), "%scompute all of `%s` first: `%s.compute_root();`",
             inside ? "or " : "", s->name, s->name);
    return false;
  }
  return true;
}

// Attachments must not go round in circles.
static bool check_circles(Applier *ap) {
  Schedule *s = ap->s;
  for (size_t i = 0; i < s->stages.len; i++) {
    const Stage *st = s->stages.data[i];
    size_t steps = 0;
    for (; st->attach == ATTACH_AT && steps <= s->stages.len; steps++) st = st->at_stage;
    if (steps <= s->stages.len) continue;
    st = s->stages.data[i];
    Diag *g = diag_report(ap->cx->diags, E_COMPUTE_AT, st->attach_loc, "`%s` is computed at a stage that is computed at `%s`", st->name, st->name);
    diag_help(g, "compute one of them at root");
    return false;
  }
  return true;
}

// The innermost leaf at which another stage is computed, or that is bound to a thread; -1 if none.
static int innermost_taken(const Stage *s, const Stage **who) {
  int at = -1;
  *who = NULL;
  for (size_t i = 0; i < s->leaf.len; i++)
    if (s->leaf.data[i]->kind == FOR_VTHREAD || s->leaf.data[i]->kind == FOR_PARALLEL) at = (int)i;
  for (size_t i = 0; i < s->attached.len; i++) {
    int l = stage_leaf_index(s, s->attached.data[i]->at_axis);
    if (l < at) continue;
    at = l;
    *who = s->attached.data[i];
  }
  return at;
}

// Where the marked nest starts, and that nothing else is computed inside it.
static bool check_mark(Applier *ap, Stage *s) {
  Ctx *cx = ap->cx;
  if (s->mark == MARK_NONE) return true;
  const Stage *who;
  int taken = innermost_taken(s, &who);
  if (!s->mark_axis) {
    if (taken + 1 < (int)s->leaf.len) {
      s->mark_axis = s->leaf.data[taken + 1];
      return true;
    }
  } else if (stage_leaf_index(s, s->mark_axis) < 0) {
    Diag *g = diag_report(cx->diags, E_AXIS, s->mark_loc, "`%s` is no loop of `%s` any more", s->mark_axis->name, s->name);
    if (s->mark_axis->used_by) diag_also(g, s->mark_axis->used_by->loc, "`%s` was replaced here", s->mark_axis->name);
    diag_help(g, "move the `%s` after this line", s->mark == MARK_COPY ? "dma_copy" : s->mark == MARK_ALU ? "alu" : "tensorize");
    return false;
  } else if (stage_leaf_index(s, s->mark_axis) > taken) {
    return true;
  }
  Diag *g = diag_report(cx->diags, E_ANNOTATION, s->mark_loc, "the loops from `%s` inwards cannot become one accelerator operation",
                        s->mark_axis ? s->mark_axis->name : s->leaf.data[s->leaf.len - 1]->name);
  if (who) diag_also(g, who->attach_loc, "`%s` is computed inside them", who->name);
  else diag_also(g, s->leaf.data[taken]->kind_loc, "`%s` runs in threads", s->leaf.data[taken]->name);
  if (who && s->mark == MARK_TENSORIZE)
    diag_help(g, "compute `%s` further out, at a loop around `%s`", who->name, s->mark_axis->name);
  else if (taken + 1 < (int)s->leaf.len && s->mark != MARK_TENSORIZE) {
    const char *there = arena_printf(cx->arena, "%s.%s(%s)", s->name, s->mark == MARK_COPY ? "dma_copy" : "alu", s->leaf.data[taken + 1]->name);
    diag_fix(g, s->mark_loc, there, "start at a loop inside that one: `%s;`", there);
  } else if (taken + 1 < (int)s->leaf.len) diag_help(g, "start at a loop inside that one: `%s`", s->leaf.data[taken + 1]->name);
  return false;
}

// Whether any part of s, or of what is computed inside it, runs on the accelerator.
static bool uses_accelerator(const Stage *s) {
  if (s->mark != MARK_NONE) return true;
  for (size_t i = 0; i < s->attached.len; i++)
    if (uses_accelerator(s->attached.data[i])) return true;
  return false;
}

static bool check_parallel(Applier *ap, const Stage *s) {
  for (size_t i = 0; i < s->leaf.len; i++) {
    const Axis *a = s->leaf.data[i];
    if (a->kind != FOR_PARALLEL || !uses_accelerator(s)) continue;
    Diag *g = diag_report(ap->cx->diags, E_PARALLEL, a->kind_loc, "`%s` cannot run on several CPU threads: `%s` uses the accelerator",
                          a->name, s->name);
    const char *bind = arena_printf(ap->cx->arena, "%s.bind(%s, cthread)", s->name, a->name);
    diag_guess(g, a->kind_loc, bind, "bind the axis to virtual threads instead: `%s;`", bind);
    return false;
  }
  return true;
}

// Virtual threads interleave accelerator work; without any they are told to be void.
static void check_threads(Applier *ap, const Stage *s) {
  for (size_t i = 0; i < s->leaf.len; i++) {
    const Axis *a = s->leaf.data[i];
    if (a->kind == FOR_VTHREAD && !uses_accelerator(s))
      diag_fix_drop(diag_report(ap->cx->diags, W_NO_EFFECT, a->kind_loc,
                                "virtual threads have no effect on `%s`: all of it runs on the CPU", s->name), a->kind_loc, "drop it");
  }
}

// A directive on a stage that nothing needs is told. It goes, if it is the only one.
static void warn_dead(Applier *ap, const Stage *s) {
  int said = (s->mark != MARK_NONE) + (s->attach == ATTACH_AT) + (s->scope != &scope_host);
  Loc at = s->mark != MARK_NONE ? s->mark_loc : s->attach == ATTACH_AT ? s->attach_loc : s->scope != &scope_host ? s->scope_loc : (Loc){0};
  if (!loc_known(at) || s->attach == ATTACH_INLINE) return;
  Diag *g = diag_report(ap->cx->diags, W_NO_EFFECT, at, "no output needs `%s`: it is not computed", s->name);
  if (said == 1) diag_fix_drop(g, at, "drop it, or let an output need `%s`", s->name);
  else diag_help(g, "drop what is said of it, or let an output need `%s`", s->name);
}

bool schedule_complete(Applier *ap) {
  Schedule *s = ap->s;
  for (size_t i = 0; ap->opt->legalize && i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (st->body && st->mark == MARK_COPY) {
      stage_legalize_epilogue(ap, st, st->mark_loc, false);
      i = (size_t)st->index; // a stage may have been put before it
    }
  }
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (st->epilogue_of && st->attach == ATTACH_ROOT && !loc_known(st->attach_loc)) place_epilogue(s, st);
  }
  if (!inline_stages(ap)) return false;
  place_circles(s);
  connect(ap);
  if (!check_circles(ap)) return false;
  bool ok = true;
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (!st->live || st->attach == ATTACH_INLINE) {
      warn_dead(ap, st);
      continue;
    }
    check_scope(ap, st);
    check_sequence(ap->cx, st);
    check_annotations(ap, st);
    if (st->attach == ATTACH_AT && !st->whole) ok = check_compute_at(ap, st) && ok;
  }
  for (size_t i = 0; ok && i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (!st->live || !st->body || st->attach == ATTACH_INLINE) continue;
    ok = check_mark(ap, st) && ok;
    ok = check_parallel(ap, st) && ok;
    check_threads(ap, st);
  }
  return ok;
}

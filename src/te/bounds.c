// SPDX-License-Identifier: Apache-2.0
// Every access stays inside its tensor, or is refused. What an index may be is found out from the axes and the
// conditions that guard the access (src/lin), while that side of the condition is walked.
#include "te/internal.h"

#include "lin/lin.h"

#include <math.h>
#include <string.h>

// Data of 64-bit types: an interval that reaches here says nothing to a reader.
#define FAR ((Wide)1 << 62)

typedef struct Bounds {
  Ctx *cx;
  Facts facts;
  const TeTensor *stage;
  const TeTensor *circle; // an access of it is compared with the stage's point; NULL: nothing is
  int nleading;
  Earlier earlier; // what was found so far
  Loc where;       // of the worst
  bool asked;      // only whether all is inside
  bool outside;    // asked: something may not be
} Bounds;

static bool is_far(Interval r) { return r.lo <= -FAR || r.hi >= FAR; }

// ---- expressions, as facts are about them --------------------------------------------------------------------------

static bool same(Facts *f, const TeExpr *x, const TeExpr *y);

static bool same_args(Facts *f, const TeExpr *x, const TeExpr *y) {
  for (int i = 0; i < x->nargs; i++)
    if (!same(f, x->args[i], y->args[i])) return false;
  return true;
}

static bool same(Facts *f, const TeExpr *x, const TeExpr *y) {
  if (x == y) return true;
  if (--f->work < 0 || x->kind != y->kind || x->type != y->type) return false;
  switch (x->kind) {
  case TE_CONST: return x->value.i == y->value.i;
  case TE_AXIS: return x->axis == y->axis;
  case TE_ACCESS: return x->tensor == y->tensor && same_args(f, x, y);
  case TE_UNARY: return x->unop == y->unop && same(f, x->a, y->a);
  case TE_BINARY: return x->binop == y->binop && same(f, x->a, y->a) && same(f, x->b, y->b);
  case TE_CAST: return same(f, x->a, y->a);
  case TE_SELECT: return same(f, x->a, y->a) && same(f, x->b, y->b) && same(f, x->c, y->c);
  case TE_MATH: return x->fn == y->fn && same_args(f, x, y);
  }
  return false;
}

static bool same_atoms(Facts *f, const void *x, const void *y) { return same(f, x, y); }

static LinNode node_of(const void *expr) {
  const TeExpr *e = expr;
  const LinNode leaf = {.kind = LIN_LEAF, .type = e->type};
  switch (e->kind) {
  case TE_CONST:
    return dtype_is_float(e->type) ? leaf : (LinNode){.kind = LIN_CONST, .type = e->type, .value = e->value.i};
  case TE_UNARY: return (LinNode){.kind = LIN_UNARY, .type = e->type, .unop = e->unop, .a = e->a};
  case TE_BINARY: return (LinNode){.kind = LIN_BINARY, .type = e->type, .binop = e->binop, .a = e->a, .b = e->b};
  case TE_CAST: return dtype_is_float(e->a->type) ? leaf : (LinNode){.kind = LIN_CAST, .type = e->type, .a = e->a};
  case TE_SELECT: return (LinNode){.kind = LIN_SELECT, .type = e->type, .a = e->a, .b = e->b, .c = e->c};
  case TE_MATH: return e->fn == FN_ABS ? (LinNode){.kind = LIN_ABS, .type = e->type, .a = e->args[0]} : leaf;
  case TE_AXIS:
  case TE_ACCESS: return leaf;
  }
  return leaf;
}

static const void *quotient_of(Facts *f, const void *remainder) {
  const TeExpr *e = remainder;
  return te_binary(f->arena, OP_DIV, e->a, e->b, e->loc);
}

// ---- floats, as far as indices are made of them ----------------------------------------------------------------

// Values that are not NaN lie in lo..hi.
typedef struct FloatRange {
  double lo, hi;
} FloatRange;

static FloatRange float_range(Bounds *b, const TeExpr *e);

static FloatRange float_range_of_math(Bounds *b, const TeExpr *e) {
  FloatRange x = float_range(b, e->args[0]);
  Scalar none = {0};
  switch (e->fn) {
  case FN_ROUND:
  case FN_FLOOR:
  case FN_CEIL:
  case FN_TRUNC: // these never fall when their argument rises
    return (FloatRange){scalar_math(e->fn, e->type, (Scalar){.f = x.lo}, none).f,
                        scalar_math(e->fn, e->type, (Scalar){.f = x.hi}, none).f};
  case FN_ABS: return (FloatRange){0, fmax(fabs(x.lo), fabs(x.hi))};
  case FN_SIGMOID: return (FloatRange){0, 1};
  default: return (FloatRange){-INFINITY, INFINITY};
  }
}

static FloatRange float_range(Bounds *b, const TeExpr *e) {
  FloatRange all = {-INFINITY, INFINITY};
  if (--b->facts.work < 0) return all;
  if (!dtype_is_float(e->type)) {
    Interval r = facts_range(&b->facts, e);
    if (interval_is_empty(r)) return (FloatRange){INFINITY, -INFINITY};
    return (FloatRange){(double)r.lo, (double)r.hi};
  }
  switch (e->kind) {
  case TE_CONST: return isnan(e->value.f) ? (FloatRange){INFINITY, -INFINITY} : (FloatRange){e->value.f, e->value.f};
  case TE_CAST: {
    FloatRange x = float_range(b, e->a);
    return (FloatRange){round_float(e->type, x.lo), round_float(e->type, x.hi)};
  }
  case TE_BINARY: {
    if (e->binop != OP_MIN && e->binop != OP_MAX) return all;
    // `b < a ? b : a` gives a where one of them is NaN; only the left one's NaN stays, and either may come out
    // then.
    FloatRange x = float_range(b, e->a), y = float_range(b, e->b);
    bool least_of = e->binop == OP_MIN, tame = e->b->kind == TE_CONST && !isnan(e->b->value.f);
    if (!tame) return (FloatRange){fmin(x.lo, y.lo), fmax(x.hi, y.hi)};
    return least_of ? (FloatRange){fmin(x.lo, y.lo), fmin(x.hi, y.hi)}
                    : (FloatRange){fmax(x.lo, y.lo), fmax(x.hi, y.hi)};
  }
  case TE_SELECT: {
    FloatRange x = float_range(b, e->b), y = float_range(b, e->c);
    return (FloatRange){fmin(x.lo, y.lo), fmax(x.hi, y.hi)};
  }
  case TE_MATH: return float_range_of_math(b, e);
  case TE_AXIS:
  case TE_ACCESS:
  case TE_UNARY: break;
  }
  return all;
}

// Of a cast from float to an integer type: NaN gives 0, the ends of the type are never passed.
static Interval range_of_float_cast(Bounds *b, const TeExpr *e) {
  FloatRange f = float_range(b, e->a);
  if (f.lo > f.hi) return interval_point(0);
  Scalar lo = scalar_cast(e->type, e->a->type, (Scalar){.f = f.lo}),
         hi = scalar_cast(e->type, e->a->type, (Scalar){.f = f.hi});
  Interval r = interval_join(interval_of_value(e->type, lo.i), interval_of_value(e->type, hi.i));
  return interval_join(r, interval_point(0));
}

// The values of what is no arithmetic on integers.
static Interval leaf_range(Facts *f, const void *leaf) {
  const TeExpr *e = leaf;
  if (e->kind == TE_AXIS) return (Interval){0, e->axis->extent - 1};
  if (e->kind == TE_ACCESS && e->tensor->bounded) return (Interval){e->tensor->lo, e->tensor->hi};
  if (e->kind == TE_CAST && e->type != DT_BOOL) return range_of_float_cast(f->self, e);
  return interval_of_type(e->type);
}

static const LinReader reader = {.node = node_of, .same = same_atoms, .leaf = leaf_range, .quotient = quotient_of};

// ---- the walk --------------------------------------------------------------------------------------------------

static const char *wide_text(Ctx *cx, Wide v) { return arena_printf(cx->arena, "%lld", (long long)v); }

static void report_index(Bounds *b, const TeExpr *access, int i, Interval r) {
  Ctx *cx = b->cx;
  const TeTensor *t = access->tensor;
  const TeExpr *index = access->args[i];
  const TeAxis *axis = t->axes[i];
  const char *text = te_snippet(cx, index->loc);
  Diag *g;
  if (r.lo > -FAR && r.hi < FAR && r.lo == r.hi)
    g = diag_report(cx->diags, E_BOUNDS, index->loc, "index %s of axis `%s` of `%s`, which has extent %lld",
                    wide_text(cx, r.lo), axis->name, t->name, (long long)axis->extent);
  else if (!is_far(r))
    g = diag_report(cx->diags, E_BOUNDS, index->loc, "index %s..%s of axis `%s` of `%s`, which has extent %lld",
                    wide_text(cx, r.lo), wide_text(cx, r.hi), axis->name, t->name, (long long)axis->extent);
  else
    g = diag_report(cx->diags, E_BOUNDS, index->loc, "the index `%s` is not known to stay in axis `%s` of `%s`", text,
                    axis->name, t->name);
  diag_also(g, axis->loc, "the axis is declared here");
  if (is_far(r))
    diag_note(g, "every access must be safe whatever the tensors hold; valid indices are 0..%lld",
              (long long)axis->extent - 1);
  long long last = (long long)axis->extent - 1;
  if (r.lo < 0 && r.hi > last)
    diag_help(g, "guard it: `%s >= 0 && %s < %lld ? ... : 0`, or write `clamp(%s, 0, %lld)`", text, text, last + 1,
              text, last);
  else if (r.lo < 0) diag_help(g, "guard it: `%s >= 0 ? ... : 0`, or write `max(%s, 0)`", text, text);
  else diag_help(g, "guard it: `%s < %lld ? ... : 0`, or write `min(%s, %lld)`", text, last + 1, text, last);
}

static void walk(Bounds *b, const TeExpr *e);

// Compares the first n indices with the stage's axes, in the order of the axes: each only where those before are equal.
static Earlier compare_point(Bounds *b, const TeExpr *e, int n) {
  Facts *f = &b->facts;
  FactsMark m = facts_mark(f);
  Earlier found = EARLIER_OR_SAME;
  for (int i = 0; i < n && found == EARLIER_OR_SAME; i++) {
    LinForm own = facts_form(f, te_axis(f->arena, b->stage->axes[i], e->loc));
    LinForm d = form_add(f->arena, facts_form(f, e->args[i]), own, -1);
    Interval r = facts_range_of_form(f, d);
    if (!d.ok) found = NOT_EARLIER;
    else if (interval_is_empty(r) || f->dead || r.hi < 0) found = EARLIER;
    else if (r.hi > 0) found = NOT_EARLIER;
    if (found != EARLIER_OR_SAME) break;
    facts_add(f, d); // from here on it is 0
    if (f->dead) found = EARLIER;
  }
  facts_back(f, m);
  return found;
}

static void walk_access(Bounds *b, const TeExpr *e) {
  for (int i = 0; i < e->nargs; i++) walk(b, e->args[i]);
  if (b->facts.dead) return;
  if (b->circle) {
    Earlier found = e->tensor == b->circle ? compare_point(b, e, b->nleading) : EARLIER;
    if (found <= b->earlier) return;
    b->earlier = found;
    b->where = e->loc;
    return;
  }
  if (b->facts.list.len == 0) facts_forget_atoms(&b->facts);
  for (int i = 0; i < e->nargs; i++) {
    Interval inside = {0, e->tensor->axes[i]->extent - 1}, r = facts_range_within(&b->facts, e->args[i], inside);
    if (interval_is_empty(r) || interval_within(r, inside)) continue;
    b->outside = true;
    if (!b->asked) report_index(b, e, i, r);
  }
}

// Walks e while cond is taken to hold or not.
static void walk_under(Bounds *b, const TeExpr *cond, bool holds, const TeExpr *e) {
  FactsMark m = facts_mark(&b->facts);
  facts_assume(&b->facts, cond, holds);
  if (!b->facts.dead) walk(b, e);
  facts_back(&b->facts, m);
}

static void walk(Bounds *b, const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return;
  case TE_ACCESS: walk_access(b, e); return;
  case TE_UNARY:
  case TE_CAST: walk(b, e->a); return;
  case TE_BINARY:
    walk(b, e->a);
    if (e->binop == OP_LAND || e->binop == OP_LOR) walk_under(b, e->a, e->binop == OP_LAND, e->b);
    else walk(b, e->b);
    return;
  case TE_SELECT:
    walk(b, e->a);
    walk_under(b, e->a, true, e->b);
    walk_under(b, e->a, false, e->c);
    return;
  case TE_MATH:
    for (int i = 0; i < e->nargs; i++) walk(b, e->args[i]);
    return;
  }
}

// The values of a stage, for the indices that later stages make of them. What a reduction adds up is not followed.
static void note_values(Bounds *b, TeTensor *t) {
  bool combines = t->reduce != TE_NO_REDUCE && t->reduce != TE_MIN && t->reduce != TE_MAX;
  if (!dtype_is_int(t->type) || t->body->type != t->type || combines || t->where) return; // of no points: the identity
  facts_forget_atoms(&b->facts);
  Interval r = facts_range(&b->facts, t->body), all = interval_of_type(t->type);
  if (interval_is_empty(r) || r.lo < INT64_MIN || r.hi > INT64_MAX || (r.lo <= all.lo && r.hi >= all.hi)) return;
  t->bounded = true;
  t->lo = (int64_t)r.lo;
  t->hi = (int64_t)r.hi;
}

// The accesses of a stage, its points being those of its `where`.
static void walk_stage(Bounds *b, const TeTensor *stage) {
  if (!stage->where) {
    walk(b, stage->body);
    return;
  }
  walk(b, stage->where);
  walk_under(b, stage->where, true, stage->body);
}

Earlier reads_earlier(Checker *ck, const TeTensor *stage, const TeTensor *t, int n, Loc *where) {
  Bounds b = {.cx = ck->cx,
              .facts = {.arena = ck->cx->arena, .read = &reader, .work = 1 << 23},
              .stage = stage,
              .circle = t,
              .nleading = n};
  b.facts.self = &b;
  walk_stage(&b, stage);
  *where = b.where;
  return b.earlier;
}

void check_bounds(Checker *ck, TeTensor *stage) {
  Bounds b = {.cx = ck->cx, .facts = {.arena = ck->cx->arena, .read = &reader, .work = 1 << 23}};
  b.facts.self = &b;
  walk_stage(&b, stage);
  note_values(&b, stage);
}

bool te_reads_inside(Ctx *cx, const TeExpr *cond, const TeExpr *e) {
  Bounds b = {.cx = cx, .facts = {.arena = cx->arena, .read = &reader, .work = 1 << 20}, .asked = true};
  b.facts.self = &b;
  if (cond) walk(&b, cond), walk_under(&b, cond, true, e);
  else walk(&b, e);
  return !b.outside;
}

// SPDX-License-Identifier: Apache-2.0
// In which order a reduction meets its points. A float operation rounds, and of two equal zeros min and max keep the
// first: for floats the sequence of points of an element is part of the result, and a schedule may not change it.
//
// Loops of output axes do not matter: for one element each has one value. So the sequence is that of the reduction
// loops alone, from the outermost to the innermost; points beyond a split's parent (a factor that does not divide) are
// left out, wherever the loops are cut. It is the kernel's if the values of the reduction axes come in lexicographic
// order.
#include "schedule/internal.h"

#include <string.h>

bool stage_keeps_order_of_floats(const Stage *s) {
  return s->reduce != TE_NO_REDUCE && dtype_is_float(s->tensor->type);
}

static int axis_place(const AxisList *l, const Axis *a) {
  for (size_t i = 0; i < l->len; i++)
    if (l->data[i] == a) return (int)i;
  bug("axis %s is lost", a->name);
}

static void list_replace(Ctx *cx, AxisList *l, int at, int removed, Axis *a, Axis *b) {
  AxisList out = {0};
  for (int i = 0; i < (int)l->len; i++) {
    if (i == at) VEC_PUSH(cx->arena, out, a);
    if (i == at && b) VEC_PUSH(cx->arena, out, b);
    if (i < at || i >= at + removed) VEC_PUSH(cx->arena, out, l->data[i]);
  }
  *l = out;
}

// Fuses two axes of the list: they are neighbours but for loops of one iteration, or one of them is such a loop.
static bool list_fuse(Ctx *cx, AxisList *l, const Relation *r) {
  int a = axis_place(l, r->outer), b = axis_place(l, r->inner), keep = r->outer->extent == 1 ? b : a,
      lose = keep == a ? b : a;
  if (r->outer->extent > 1 && r->inner->extent > 1) {
    if (a > b) return false;
    for (int i = a + 1; i < b; i++)
      if (l->data[i]->extent > 1) return false;
  }
  list_replace(cx, l, keep, 1, r->parent, NULL);
  for (size_t i = (size_t)lose; i + 1 < l->len; i++) l->data[i] = l->data[i + 1];
  l->len--;
  return true;
}

// The stage's reduction loops in the order that keeps the kernel's sequence. False: loops were fused of which no
// order is known to keep it.
static bool kept_order(Ctx *cx, const Stage *s, AxisList *out) {
  *out = (AxisList){0};
  for (int i = 0; i < s->nrroot; i++) VEC_PUSH(cx->arena, *out, s->rroot[i]);
  for (size_t i = 0; i < s->axes.len; i++) {
    const Relation *r = s->axes.data[i]->made_by;
    if (!r || !s->axes.data[i]->reduce || s->axes.data[i] == r->inner) continue;
    if (r->kind == REL_SPLIT) list_replace(cx, out, axis_place(out, r->parent), 1, r->outer, r->inner);
    else if (!list_fuse(cx, out, r)) return false;
  }
  return true;
}

// Which of two points comes first, by the kernel's axes: below 0, the first.
static int compare_roots(const Stage *s, const int64_t *p, const int64_t *q) {
  for (int i = 0; i < s->nrroot; i++) {
    int at = s->rroot[i]->index;
    if (p[at] != q[at]) return p[at] < q[at] ? -1 : 1;
  }
  return 0;
}

// Looks for two points that change places among those with one loop at its second value. Sets p (first in the kernel)
// and q.
static bool find_simple_pair(const Stage *s, int64_t *p, int64_t *q) {
  size_t bytes = s->axes.len * sizeof *p;
  for (size_t i = 0; i < s->leaf.len; i++)
    for (size_t j = i + 1; j < s->leaf.len; j++) {
      if (!s->leaf.data[i]->reduce || !s->leaf.data[j]->reduce) continue;
      memset(p, 0, bytes);
      memset(q, 0, bytes);
      p[s->leaf.data[i]->index] = q[s->leaf.data[j]->index] = 1;
      if (point_from_loops(s, p) && point_from_loops(s, q) && compare_roots(s, p, q) < 0) return true;
    }
  return false;
}

enum { MOST_POINTS = 1 << 20 };

// Walks all points in the kernel's order: their places in the loops must increase. Sets p and q if they do not.
static SequenceKept walk_points(const Stage *s, int64_t *p, int64_t *q) {
  int64_t n = 1;
  size_t bytes = s->axes.len * sizeof *p;
  for (int i = 0; i < s->nrroot; i++)
    if (!mul_ok(n, s->rroot[i]->extent, &n) || n > MOST_POINTS) return SEQUENCE_UNKNOWN;
  memset(q, 0, bytes);
  point_from_roots(s, q);
  for (int64_t k = 1; k < n; k++) {
    memcpy(p, q, bytes);
    for (int i = s->nrroot; i-- > 0;) {
      int64_t *x = &q[s->rroot[i]->index];
      if (++*x < s->rroot[i]->extent) break;
      *x = 0;
    }
    point_from_roots(s, q);
    const Axis *a = points_differ(s, p, q);
    if (a && p[a->index] > q[a->index]) return SEQUENCE_CHANGED;
  }
  return SEQUENCE_KEPT;
}

SequenceKept stage_sequence(Ctx *cx, const Stage *s, int64_t *p, int64_t *q) {
  if (find_simple_pair(s, p, q)) return SEQUENCE_CHANGED;
  return sequence_proved(cx, s) ? SEQUENCE_KEPT : walk_points(s, p, q);
}

bool stage_order_allows(Ctx *cx, const Stage *s, const Axis *a, const Axis *b) {
  AxisList kept;
  if (!kept_order(cx, s, &kept)) return false;
  int at = axis_place(&kept, a), bt = axis_place(&kept, b);
  for (int i = at + 1; i < bt; i++)
    if (kept.data[i]->extent > 1) return false;
  return at < bt;
}

// ---- statements and the message -------------------------------------------------------------------------------------

// `stage.reorder(...)` with the reduction loops in the kernel's order, in the places that they have; NULL: not known.
static const char *reorder_text(Ctx *cx, const Stage *s, Name receiver) {
  AxisList kept;
  if (!kept_order(cx, s, &kept)) return NULL;
  Text t = {.arena = cx->arena};
  text_add(&t, "%s.reorder(", receiver);
  for (size_t i = 0, next = 0; i < s->leaf.len; i++)
    text_add(&t, "%s%s", i ? ", " : "", (s->leaf.data[i]->reduce ? kept.data[next++] : s->leaf.data[i])->name);
  text_add(&t, ")");
  return t.data;
}

void stage_note_order(const Op *o, const ScheduleStep *step) {
  Stage *s = o->stage;
  Ctx *cx = o->s->cx;
  int64_t *p = NEW_ARRAY(cx->arena, int64_t, s->axes.len), *q = NEW_ARRAY(cx->arena, int64_t, s->axes.len);
  Conflict c = {0};
  bool floats = stage_keeps_order_of_floats(s);
  if (!floats && !s->circle) return;
  bool changed = floats && stage_sequence(cx, s, p, q) != SEQUENCE_KEPT;
  if (!changed && (!s->circle || !stage_conflict(cx, s, &c) || c.loop)) s->disorder = NULL;
  else if (!s->disorder) s->disorder = step, s->order_text = changed ? reorder_text(cx, s, op_receiver(o)) : NULL;
}

static const char *point_text(Ctx *cx, const Stage *s, const int64_t *v) {
  Text t = {.arena = cx->arena};
  for (int i = 0; i < s->nrroot; i++)
    text_add(&t, "%s%s = %lld", i ? ", " : "", s->rroot[i]->name, (long long)v[s->rroot[i]->index]);
  return t.data;
}

static const char *reduce_text(TeReduce r) {
  switch (r) {
  case TE_NO_REDUCE: break;
  case TE_SUM: return "sum";
  case TE_PROD: return "product";
  case TE_MIN: return "minimum";
  case TE_MAX: return "maximum";
  case TE_DOT: return "dot product";
  }
  return "reduction";
}

bool check_sequence(Ctx *cx, const Stage *s) {
  int64_t *p = NEW_ARRAY(cx->arena, int64_t, s->axes.len), *q = NEW_ARRAY(cx->arena, int64_t, s->axes.len);
  if (!stage_keeps_order_of_floats(s) || !s->disorder) return true;
  SequenceKept kept = stage_sequence(cx, s, p, q);
  if (kept == SEQUENCE_KEPT) return true;
  Diag *g = diag_report(cx->diags, E_FLOAT_ORDER, s->disorder->loc,
                        "this changes the order in which the %s `%s` of %s takes its points", reduce_text(s->reduce),
                        s->name, dtype_name(s->tensor->type));
  diag_also(g, s->body->loc, "its points are reduced here");
  if (kept == SEQUENCE_CHANGED)
    diag_note(g, "[%s] would be taken before [%s]", point_text(cx, s, q), point_text(cx, s, p));
  else diag_note(g, "loops were fused of which no order is known to keep that of the kernel");
  diag_rule(g, s->reduce == TE_SUM || s->reduce == TE_PROD
                   ? "float arithmetic rounds after each step, so that the order of the points is part of the result"
                   : "0.0 and -0.0 are equal, and the first is kept: the order of the points is part of the result");
  if (s->order_text && strcmp(s->disorder->name, "reorder") == 0)
    diag_fix(g, s->disorder->loc, s->order_text, "keep the reduction loops in their order: `%s;`", s->order_text);
  else if (s->order_text)
    diag_fix_after(g, s->disorder->loc, s->order_text, "put the reduction loops back in their order: `%s;`",
                   s->order_text);
  diag_help(
      g,
      "loops of other axes may stand anywhere around, between and inside them; integers may be reduced in any order");
  if (s->reduce != TE_DOT)
    diag_help(g, "for lanes, the kernel says the order: with `by 16` behind an axis, 16 partial results are made and "
                 "then combined");
  return false;
}

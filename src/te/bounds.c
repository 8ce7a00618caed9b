// SPDX-License-Identifier: Apache-2.0
// Every access stays inside its tensor, or is refused. What an index may be is found out from the axes and the
// conditions that guard the access (src/lin), while that side of the condition is walked.
#include "te/internal.h"

#include "lin/lin.h"

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

static void check_access(void *self, Facts *f, const TeExpr *e) {
  Bounds *b = self;
  if (b->circle) {
    Earlier found = e->tensor == b->circle ? compare_point(b, e, b->nleading) : EARLIER;
    if (found <= b->earlier) return;
    b->earlier = found;
    b->where = e->loc;
    return;
  }
  if (f->list.len == 0) facts_forget_atoms(f);
  for (int i = 0; i < e->nargs; i++) {
    Interval inside = {0, e->tensor->axes[i]->extent - 1}, r = facts_range_within(f, e->args[i], inside);
    if (interval_is_empty(r) || interval_within(r, inside)) continue;
    b->outside = true;
    if (!b->asked) report_index(b, e, i, r);
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

Earlier reads_earlier(Checker *ck, const TeTensor *stage, const TeTensor *t, int n, Loc *where) {
  Bounds b = {.cx = ck->cx, .facts = te_facts(ck->cx->arena), .stage = stage, .circle = t, .nleading = n};
  te_accesses(&b.facts, stage->body, stage->where, check_access, &b);
  *where = b.where;
  return b.earlier;
}

void check_bounds(Checker *ck, TeTensor *stage) {
  Bounds b = {.cx = ck->cx, .facts = te_facts(ck->cx->arena)};
  te_accesses(&b.facts, stage->body, stage->where, check_access, &b);
  note_values(&b, stage);
}

bool te_reads_inside(Ctx *cx, const TeExpr *cond, const TeExpr *e) {
  Bounds b = {.cx = cx, .facts = te_facts(cx->arena), .asked = true};
  b.facts.work = 1 << 20;
  te_accesses(&b.facts, e, cond, check_access, &b);
  return !b.outside;
}

// SPDX-License-Identifier: Apache-2.0
// Inlining: the expressions of stages with compute_inline() stand in their readers.
#include "schedule/internal.h"

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
  const Schedule *sch = self;
  if (e->kind != TE_ACCESS) return e;
  const Stage *s = schedule_stage_of(sch, e->tensor);
  if (!s || s->attach != ATTACH_INLINE) return e;
  return expr_replace_axes(sch->cx, s->body, s->tensor->naxes, s->tensor->axes, e->args);
}

// Substitutes inlined stages into their readers, in order of evaluation.
bool inline_stages(Schedule *sch) {
  bool any = false;
  for (size_t i = 0; i < sch->stages.len; i++) any = any || sch->stages.data[i]->attach == ATTACH_INLINE;
  if (!any) return true;
  for (size_t i = 0; i < sch->stages.len; i++) {
    Stage *s = sch->stages.data[i];
    if (!s->body) continue;
    const TeExpr *before = s->body;
    int nodes = INLINE_NODES;
    s->body = te_map(sch->cx->arena, before, inline_access, sch);
    if (s->where) s->where = te_map(sch->cx->arena, s->where, inline_access, sch);
    if (s->where && !expr_fits(s->where, INLINE_DEPTH, &nodes)) nodes = 0;
    if (s->body == before || expr_fits(s->body, INLINE_DEPTH, &nodes)) continue;
    Diag *g = diag_report(sch->cx->diags, E_INLINE, s->tensor->name_loc, "inlining makes `%s` too large", s->name);
    diag_note(g, "its expression would have more than %d nodes, or more than %d levels", INLINE_NODES, INLINE_DEPTH);
    for (size_t k = 0; k < i; k++) {
      const Stage *in = sch->stages.data[k];
      if (in->attach == ATTACH_INLINE && expr_reads(before, in->tensor))
        diag_also(g, in->attach_loc, "`%s` is inlined here", in->name);
    }
    diag_help(g, "inline fewer stages");
    return false;
  }
  return true;
}

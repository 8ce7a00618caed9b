// SPDX-License-Identifier: Apache-2.0
// Inlining: the expressions of stages with compute_inline() stand in their readers.
#include "schedule/internal.h"

// Of an expression after inlining: its nodes, and how deep they nest. Chains of inlined stages are copied into each
// other, so that a bound on depth also bounds that work.
enum { INLINE_NODES = 100000, INLINE_DEPTH = 1000 };

static bool fits(const TeExpr *e) { return !e || (e->nodes <= INLINE_NODES && e->depth <= INLINE_DEPTH); }

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
    s->body = te_map(sch->cx->arena, before, inline_access, sch);
    if (s->where) s->where = te_map(sch->cx->arena, s->where, inline_access, sch);
    if (s->body == before || (fits(s->body) && fits(s->where))) continue;
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

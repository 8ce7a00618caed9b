// SPDX-License-Identifier: Apache-2.0
// Refuses loops that break what points of a stage need of each other, and names the two accesses.
#include "schedule/internal.h"

static const char *point_text(Ctx *cx, const Stage *s, const int64_t *v) {
  Text t = {.arena = cx->arena};
  for (int i = 0; i < s->nroot + s->nrroot; i++) {
    const Axis *a = i < s->nroot ? s->root[i] : s->rroot[i - s->nroot];
    text_add(&t, "%s%s = %lld", i ? ", " : "", a->name, (long long)v[a->index]);
  }
  return t.data;
}

// The loops whose iterations could run at the same time: "`y`, `z`"; NULL: there are none.
static const char *free_loops(Ctx *cx, const Stage *s) {
  Text t = {.arena = cx->arena};
  for (size_t i = 0; i < s->leaf.len; i++) {
    const Axis *a = s->leaf.data[i];
    Conflict c;
    if (a->shared || a->extent == 1 || loop_conflict(cx, s, a, CONFLICT_READ, &c) ||
        loop_conflict(cx, s, a, CONFLICT_ELEMENT, &c))
      continue;
    text_add(&t, "%s`%s`", t.len ? ", " : "", a->name);
  }
  return t.data;
}

void explain_read(Ctx *cx, Diag *g, const Stage *s, const Conflict *c) {
  diag_also(g, c->read->loc, "an element of `%s` is read here", s->name);
  diag_also(g, s->tensor->name_loc, "and computed here");
  if (c->first)
    diag_note(g, "[%s] reads what [%s] computes, %s", point_text(cx, s, c->second), point_text(cx, s, c->first),
              c->loop ? "and both would run at the same time" : "which would come later");
  else
    diag_note(g, "it is not known that what is read is computed %s",
              c->loop ? "in the same iteration, or in one of a loop around" : "earlier");
}

static void report_read(Ctx *cx, const Stage *s, const Conflict *c) {
  Loc at = c->loop ? c->loop->kind_loc : s->disorder ? s->disorder->loc : s->attach_loc;
  if (!c->loop) {
    Diag *g =
        diag_report(cx->diags, E_RECURRENT, at, "this changes the order in which `%s` computes its elements", s->name);
    explain_read(cx, g, s, c);
    diag_help(g, "let the loops take the elements so that each comes behind those that it reads, as the order of the "
                 "axes does");
    return;
  }
  Diag *g = diag_report(cx->diags, E_RECURRENT, at,
                        "iterations of `%s` need each other: they cannot run at the same time", c->loop->name);
  explain_read(cx, g, s, c);
  const char *others = free_loops(cx, s);
  if (others) diag_help(g, "those of these loops can: %s", others);
  else diag_help(g, "leave `%s` as it is: each of its loops has such iterations", s->name);
}

static Diag *report_element(Ctx *cx, DiagCode code, const Stage *s, const Axis *a, Loc at) {
  Diag *g =
      diag_report(cx->diags, code, at, "`%s` is a reduction axis: its iterations cannot run in parallel", a->name);
  diag_note(g, "every iteration adds to the same elements of `%s`", s->name);
  diag_help(g, "run an axis of the result in parallel");
  return g;
}

bool op_conflicts(Op *o, const Axis *a, ConflictKind kind) {
  Conflict c;
  if (!loop_conflict(o->s->cx, o->stage, a, kind, &c)) return false;
  o->failed = true;
  report_element(o->s->cx, E_PARALLEL, o->stage, a, op_at(o));
  return true;
}

static bool any_at_once(const Stage *s) {
  for (size_t i = 0; i < s->leaf.len; i++)
    if (runs_at_once(s->leaf.data[i], CONFLICT_READ)) return true;
  return false;
}

bool check_conflicts(Ctx *cx, const Stage *s) {
  Conflict c;
  bool order = s->circle && (s->disorder || s->attach == ATTACH_AT);
  if (!order && !any_at_once(s)) return true; // in the kernel's order, none is broken
  if (!stage_conflict(cx, s, &c)) return true;
  if (c.kind == CONFLICT_READ) report_read(cx, s, &c);
  else report_element(cx, E_PARALLEL, s, c.loop, c.loop->kind_loc);
  return false;
}

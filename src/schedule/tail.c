// SPDX-License-Identifier: Apache-2.0
// `stage.tail(axis, policy)`: what becomes of the last block where a split does not divide its axis.
//   peel   the loops are cut in two, and the last block gets loops of its own (the default)
//   guard  all blocks are the same, and what is beyond is left out by a condition
//   shift  the last block is moved back to where it is whole: some elements are computed twice
// Shifted blocks overlap. That is legal where a block computes its elements from the start, from what does not change
// meanwhile, and no other block at the same time.
#include "schedule/internal.h"

#include <string.h>

static const char *const policies[] = {"peel", "guard", "shift"}; // in the order of TailKind

static bool is_made_of(const Axis *leaf, const Axis *of) {
  if (leaf == of) return true;
  const Relation *r = leaf->made_by;
  if (!r) return false;
  return r->kind == REL_SPLIT ? is_made_of(r->parent, of) : is_made_of(r->outer, of) || is_made_of(r->inner, of);
}

bool stage_tail(Schedule *s, Stage *st, Axis *a, TailKind kind, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "tail", .why = why};
  if (!op_is_loop(&o, st, a)) return false;
  Relation *r = a->made_by;
  if (!r || r->kind != REL_SPLIT) {
    diag_help(op_fail(&o, E_AXIS, op_at(&o), "`%s` was not made by a split: it has no tail", a->name),
              "name a loop that `split`, `tile`, `vectorize` or `unroll` made");
    return false;
  }
  if (kind == TAIL_SHIFT && (a->reduce || st->circle)) {
    Diag *g = op_fail(&o, a->reduce ? E_PARALLEL : E_RECURRENT, op_at(&o),
                      "a shifted tail would %s some points of `%s` twice", a->reduce ? "reduce" : "compute", st->name);
    diag_also(g, r->loc, "the axis is split here");
    diag_also(g, st->body->loc, a->reduce ? "its points are reduced here" : "they are computed from earlier ones here");
    diag_help(g, "leave the tail to itself, `peel`, or to a condition, `guard`");
    return false;
  }
  r->tail = kind;
  r->tail_loc = op_at(&o);
  ScheduleStep *step = op_done(&o);
  step_axis(s, step, a);
  step_word(s, step, policies[kind]);
  return true;
}

// What forbids that blocks of a split overlap, and where it stands; NULL: nothing.
static const char *overlap_harms(const Stage *s, const Relation *r, Loc *where) {
  bool reduced = false, within = false; // a reduction loop, a loop over positions in a block was passed
  *where = s->mark_loc;
  if (s->mark != MARK_NONE || s->scope != &scope_host) return "it is computed on the accelerator";
  if (s->packs.len) return "it is packed";
  for (size_t i = 0; i < s->attached.len; i++)
    if (*where = s->attached.data[i]->store_loc, s->attached.data[i]->stored)
      return "what is computed in its loops is stored around them, from block to block";
  for (size_t i = 0; i < s->leaf.len; i++) {
    const Axis *a = s->leaf.data[i];
    *where = a->kind != FOR_SERIAL ? a->kind_loc : a->loc;
    if (is_made_of(a, r->outer)) {
      if (reduced) return "its blocks run inside a reduction loop, which would reduce some points twice";
      if (within || runs_at_once(a, CONFLICT_READ))
        return "its blocks run at the same time, and would write one element";
    }
    if (a->reduce) reduced = true;
    if (is_made_of(a, r->inner) && runs_at_once(a, CONFLICT_READ)) within = true;
  }
  return NULL;
}

bool check_tails(Ctx *cx, const Stage *s) {
  for (size_t i = 0; i < s->axes.len; i++) {
    const Relation *r = s->axes.data[i]->made_by;
    Loc where;
    if (!r || r->kind != REL_SPLIT || r->tail != TAIL_SHIFT || s->axes.data[i] != r->outer) continue;
    const char *harm = overlap_harms(s, r, &where);
    if (!harm) continue;
    Diag *g = diag_report(cx->diags, E_PARALLEL, r->tail_loc, "the tail of `%s` cannot be shifted: %s", r->parent->name,
                          harm);
    if (loc_known(where)) diag_also(g, where, "here");
    diag_also(g, s->body->loc, "its elements are computed here");
    diag_help(g, "leave the tail to itself, `peel`, or to a condition, `guard`");
    return false;
  }
  return true;
}

void apply_tail(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *p = call_arg(c, 1);
  if (c->failed) return;
  const char *name = p && (p->value->kind == AST_NAME || p->value->kind == AST_STRING) ? p->value->name : "";
  Nearest near = {.wanted = name};
  for (int i = 0; i < 3; i++) {
    if (strcmp(name, policies[i]) == 0) {
      c->failed = !stage_tail(c->ap->s, c->stage, a, (TailKind)i, c->stmt);
      return;
    }
    nearest_try(&near, policies[i]);
  }
  Diag *g = call_fail(c, E_ARGUMENT, p ? p->loc : c->stmt->loc, "there is no tail `%s`", name);
  if (p && near.best) diag_nearest(g, p->loc, &near, "a similar one exists");
}

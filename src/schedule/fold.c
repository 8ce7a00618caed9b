// SPDX-License-Identifier: Apache-2.0
// `fold`: of an axis, a buffer has only the positions that are needed at a time. Of a stage that is stored further
// out than it is computed, how many these are is found while it is lowered (passes/keep.c). A recurrence may be folded
// along its outermost axis: it keeps the positions to which it steps back, and those at the end that others read.
#include "schedule/internal.h"

bool stage_fold(Schedule *s, Stage *st, Axis *root, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "fold", .why = why};
  if (!op_is_computed(&o)) return false;
  if (st->tensor->role == TE_OUTPUT) {
    Diag *g = op_fail(&o, E_COMPUTE_AT, op_at(&o), "`%s` is an output: all of it is kept", st->name);
    diag_fix_drop(g, op_at(&o), "without this line");
    return false;
  }
  if (st->with) {
    Diag *g = op_fail(&o, E_COMPUTE_AT, op_at(&o), "all of `%s` is kept: it takes turns with `%s`", st->name,
                      st->at_stage->name);
    diag_also(g, st->attach_loc, "asked for here");
    diag_fix_drop(g, op_at(&o),
                  "without this line; or compute it where it is needed, with `compute_at` and `store_at`");
    return false;
  }
  if (!st->stored && !st->circle) {
    Diag *g = op_fail(&o, E_COMPUTE_AT, op_at(&o), "`%s` is stored where it is computed: nothing else is kept of it",
                      st->name);
    diag_help(g, "say first where it is stored: `%s.store_root();` or `%s.store_at(consumer, axis);`", st->name,
              st->name);
    return false;
  }
  if (st->fold && st->fold != root) op_replaces(&o, st->fold_loc, "another axis of", "is folded later");
  st->fold = root;
  st->fold_loc = op_at(&o);
  step_axis(s, op_done(&o), root);
  return true;
}

void apply_fold(Call *c) {
  Axis *root = call_root(c, 0);
  if (!c->failed) c->failed = !stage_fold(c->ap->s, c->stage, root, c->stmt);
}

// ---- recurrences ----------------------------------------------------------------------------------------------------

// Whether e is axis - back, with back >= 0.
static bool steps_back(const TeExpr *e, const TeAxis *axis, int64_t *back) {
  if (e->kind == TE_AXIS && e->axis == axis) return *back = 0, true;
  if (e->kind != TE_BINARY || e->b->kind != TE_CONST || e->a->kind != TE_AXIS || e->a->axis != axis) return false;
  if (e->binop != OP_SUB && e->binop != OP_ADD) return false;
  *back = e->binop == OP_SUB ? e->b->value.i : -e->b->value.i;
  return *back >= 0;
}

// What the readers of a recurrence need of its outermost axis.
typedef struct Needed {
  const Stage *of, *reader;
  int64_t most;
  const TeExpr *unknown; // an index that may be anywhere
} Needed;

static bool need_positions(void *self, const TeExpr *e) {
  Needed *n = self;
  int64_t back, all = n->of->root[0]->extent;
  if (e->kind != TE_ACCESS || e->tensor != n->of->tensor) return false;
  const TeExpr *at = e->args[0];
  bool together = n->reader->circle && n->reader->tensor->circle == n->of->tensor->circle;
  if (together && steps_back(at, n->reader->tensor->axes[0], &back)) back++;
  else if (!together && at->kind == TE_CONST) back = all - at->value.i; // when all is computed
  else {
    n->unknown = at;
    return true;
  }
  if (back > n->most) n->most = back;
  return false;
}

bool check_fold(const Schedule *s, Stage *st) {
  Ctx *cx = s->cx;
  Needed n = {.of = st, .most = 1};
  if (!st->fold || !st->circle) return true;
  if (st->fold != st->root[0] || st->leaf.data[0] != st->root[0] || st->fold->kind != FOR_SERIAL ||
      (st->attach != ATTACH_ROOT && !st->whole)) {
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, st->fold_loc,
                          "`%s` cannot be folded along `%s`: that is not its outermost loop, which runs serially",
                          st->name, st->fold->name);
    diag_fix_drop(g, st->fold_loc, "without this line, all of it is kept");
    return false;
  }
  for (size_t i = 0; i < s->stages.len && !n.unknown; i++) {
    n.reader = s->stages.data[i];
    if (!n.reader->live || !n.reader->body || n.reader->attach == ATTACH_INLINE) continue;
    te_any(n.reader->body, need_positions, &n);
    if (n.reader->where && !n.unknown) te_any(n.reader->where, need_positions, &n);
    if (!n.unknown) continue;
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, st->fold_loc,
                          "`%s` cannot be folded along `%s`: `%s` reads more of it than its last positions", st->name,
                          st->fold->name, n.reader->name);
    diag_also(g, n.unknown->loc, "here");
    diag_fix_drop(g, st->fold_loc, "without this line, all of it is kept");
    return false;
  }
  if (n.most < st->fold->extent) {
    st->kept = n.most;
    return true;
  }
  Diag *g = diag_report(cx->diags, W_NO_EFFECT, st->fold_loc, "this has no effect: all of `%s` is needed until the end",
                        st->name);
  diag_fix_drop(g, st->fold_loc, "drop it");
  st->fold = NULL;
  return true;
}

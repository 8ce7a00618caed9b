// SPDX-License-Identifier: Apache-2.0
// Tells of vectorized loops that do not become lanes, after pass lower. What can become lanes is tir/vector.c's to say;
// the back end asks the same. (Folds that keep their order are told by the schedule already: of floats.)
#include "passes/passes.h"

typedef struct Walk {
  Ctx *cx;
  const Stmt *region; // the accelerator's; NULL: on the CPU
} Walk;

static Diag *warn(Ctx *cx, const Stmt *s, const char *why) {
  Diag *g = diag_report(cx->diags, W_NO_EFFECT, s->why, "`vectorize` has no effect on the loop `%s`", s->var->name);
  diag_note(g, "%s", why);
  return g;
}

static bool no_expr(void *self, const Expr *e) {
  (void)self, (void)e;
  return false;
}

static bool note(void *self, const Stmt *s) {
  Walk *w = self;
  if (s->kind == STMT_INTRIN && s->body) {
    Walk inside = {w->cx, s};
    stmt_visit(s->body, note, no_expr, &inside);
    return false;
  }
  if (s->kind != STMT_FOR || s->for_kind != FOR_VECTORIZED || !loc_known(s->why)) return true;
  LoopLanes l = w->region ? (LoopLanes){.why = "the accelerator runs it"} : loop_lanes(w->cx, NULL, s);
  if (!l.free) diag_fix_drop(warn(w->cx, s, l.why), s->why, "drop it");
  return true;
}

void warn_of_scalar_loops(Ctx *cx, const Func *f) {
  Walk w = {.cx = cx};
  stmt_visit(f->body, note, no_expr, &w);
}

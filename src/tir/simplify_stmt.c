// SPDX-License-Identifier: Apache-2.0
// The statement half of simplify.c: loops and conditions, and what they tell of the variables inside.
#include "tir/internal.h"

static const Stmt *simp_stmt(void *self, const Stmt *st);

static const Expr *simp_child(void *self, const Expr *e) {
  Interval unused;
  return sim_expr(self, e, &unused);
}

// Stops at the first load.
static bool find_load(void *self, const Expr *e) {
  bool *found = self;
  *found |= e->kind == EXPR_LOAD;
  return !*found;
}

// A value that stays the same wherever it stands: no loads, whose buffers may be written in between.
static bool is_stable(const Expr *e) {
  bool found = false;
  expr_visit(e, find_load, &found);
  return !found;
}

// A loop: gone where it runs no time; its body, where it runs once.
static const Stmt *simp_for(Sim *s, const Stmt *st) {
  Interval at, extent;
  const Expr *min = sim_expr(s, st->min, &at), *n = sim_expr(s, st->extent, &extent);
  if (extent.hi <= 0) return stmt_nop(s->cx);
  Interval all = {at.lo, at.hi + extent.hi - 1};
  bool once = extent.lo == 1 && extent.hi == 1 && is_stable(min);
  if (!interval_is_int64(all)) all = interval_of_type(DT_I64);
  ranges_push(s->cx, &s->ranges, st->var, (int64_t)all.lo, (int64_t)all.hi);
  if (once) VEC_PUSH(s->cx->arena, s->values, ((Binding){st->var, min}));
  const Stmt *body = simp_stmt(s, st->body);
  ranges_pop(&s->ranges);
  s->values.len -= once;
  if (once || stmt_is_nop(body)) return body;
  if (min == st->min && n == st->extent && body == st->body) return st;
  return stmt_placed(s->cx, stmt_for(s->cx, st->var, min, n, st->for_kind, body), st->loc, st->why);
}

// st, where cond is known to be `truth`.
static const Stmt *simp_branch(Sim *s, const Expr *cond, bool truth, const Stmt *st) {
  size_t depth = s->ranges.len;
  sim_learn(s, cond, truth);
  st = simp_stmt(s, st);
  s->ranges.len = depth;
  return st;
}

// A condition: decided, or each branch knowing it.
static const Stmt *simp_if(Sim *s, const Stmt *st) {
  Interval r;
  const Expr *cond = sim_expr(s, st->cond, &r);
  if (r.lo == r.hi)
    return r.lo ? simp_stmt(s, st->body) : st->else_body ? simp_stmt(s, st->else_body) : stmt_nop(s->cx);
  const Stmt *then = simp_branch(s, cond, true, st->body);
  const Stmt *other = st->else_body ? simp_branch(s, cond, false, st->else_body) : NULL;
  if (other && stmt_is_nop(other)) other = NULL;
  if (stmt_is_nop(then) && !other) return then;
  if (stmt_is_nop(then)) {
    cond = sim_expr(s, expr_raw_unary(s->cx, UN_NOT, cond, cond->loc), &r);
    then = other;
    other = NULL;
  }
  if (cond == st->cond && then == st->body && other == st->else_body) return st;
  return stmt_placed(s->cx, stmt_if(s->cx, cond, then, other), st->loc, st->why);
}

static const Stmt *simp_stmt(void *self, const Stmt *st) {
  Sim *s = self;
  const Stmt *r;
  switch (st->kind) {
  case STMT_FOR: return simp_for(s, st);
  case STMT_IF: return simp_if(s, st);
  case STMT_ALLOC: r = stmt_rebuild(s->cx, st, simp_stmt, simp_child, s); return stmt_is_nop(r->body) ? r->body : r;
  case STMT_SEQ:
    r = stmt_rebuild(s->cx, st, simp_stmt, simp_child, s);
    return r->kind == STMT_SEQ && r->nchildren == 1 ? r->children[0] : r;
  case STMT_STORE:
  case STMT_INTRIN: return stmt_rebuild(s->cx, st, simp_stmt, simp_child, s);
  }
  return st;
}

const Stmt *stmt_simplify(Ctx *cx, const Stmt *st) {
  for (int i = 0; i < SIM_WALKS; i++) {
    Sim s = sim_new(cx, NULL);
    const Stmt *before = st;
    st = simp_stmt(&s, st);
    if (st == before) break;
  }
  return st;
}

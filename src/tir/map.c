// SPDX-License-Identifier: Apache-2.0
// Rewriting and visiting. A rewrite that changes nothing returns the same pointer, all the way up.
#include "tir/internal.h"

// ---- one level ------------------------------------------------------------------------------------------------------

// Passes args through child; the same array if none changed.
static const Expr **rebuild_args(Ctx *cx, int n, const Expr **args, ExprFn *child, void *self) {
  const Expr **out = args;
  for (int i = 0; i < n; i++) {
    const Expr *e = child(self, args[i]);
    if (e == args[i]) continue;
    if (out == args) out = arena_copy(cx->arena, args, (size_t)n * sizeof *args);
    out[i] = e;
  }
  return out;
}

const Expr *expr_rebuild(Ctx *cx, const Expr *e, ExprFn *child, void *self) {
  const Expr *a, *b, *c, **args, *out = e;
  switch (e->kind) {
  case EXPR_INT:
  case EXPR_FLOAT:
  case EXPR_VAR: return e;
  case EXPR_CAST:
    a = child(self, e->a);
    if (a != e->a) out = expr_cast(cx, e->type, a);
    break;
  case EXPR_UNARY:
    a = child(self, e->a);
    if (a != e->a) out = expr_unary(cx, e->unop, a);
    break;
  case EXPR_BINARY:
    a = child(self, e->a);
    b = child(self, e->b);
    if (a != e->a || b != e->b) out = expr_binary(cx, e->binop, a, b);
    break;
  case EXPR_SELECT:
    a = child(self, e->a);
    b = child(self, e->b);
    c = child(self, e->c);
    if (a != e->a || b != e->b || c != e->c) out = expr_select(cx, a, b, c);
    break;
  case EXPR_LOAD:
  case EXPR_REF:
    args = rebuild_args(cx, e->nargs, e->args, child, self);
    if (args != e->args) out = expr_raw_args(cx, e->kind, e->type, e->buffer, 0, e->nargs, args, e->loc);
    break;
  case EXPR_MATH:
    args = rebuild_args(cx, e->nargs, e->args, child, self);
    if (args != e->args) out = expr_call(cx, e->fn, args);
    break;
  }
  return out == e ? e : expr_at(cx, out, e->loc);
}

// The children of a sequence through child; the same statement if none changed.
static const Stmt *rebuild_seq(Ctx *cx, const Stmt *s, StmtFn *child, void *self) {
  const Stmt **out = s->children;
  for (int i = 0; i < s->nchildren; i++) {
    const Stmt *c = child(self, s->children[i]);
    if (c == s->children[i]) continue;
    if (out == s->children) out = arena_copy(cx->arena, s->children, (size_t)s->nchildren * sizeof *out);
    out[i] = c;
  }
  return out == s->children ? s : stmt_seq(cx, s->nchildren, out);
}

static const Expr *same_expr(void *self, const Expr *e) { return (void)self, e; }
static const Stmt *same_stmt(void *self, const Stmt *s) { return (void)self, s; }

const Stmt *stmt_rebuild(Ctx *cx, const Stmt *s, StmtFn *child_stmt, ExprFn *child_expr, void *self) {
  StmtFn *sf = child_stmt ? child_stmt : same_stmt;
  ExprFn *ef = child_expr ? child_expr : same_expr;
  const Stmt *body, *other, *out = s;
  const Expr *x, *y, **args;
  switch (s->kind) {
  case STMT_SEQ: return rebuild_seq(cx, s, sf, self);
  case STMT_FOR:
    x = ef(self, s->min);
    y = ef(self, s->extent);
    body = sf(self, s->body);
    if (x != s->min || y != s->extent || body != s->body) out = stmt_for(cx, s->var, x, y, s->for_kind, body);
    break;
  case STMT_STORE:
    args = rebuild_args(cx, s->nargs, s->args, ef, self);
    x = ef(self, s->value);
    if (args != s->args || x != s->value) out = stmt_store(cx, s->buffer, args, x);
    break;
  case STMT_IF:
    x = ef(self, s->cond);
    body = sf(self, s->body);
    other = s->else_body ? sf(self, s->else_body) : NULL;
    if (x == s->cond && body == s->body && other == s->else_body) return s;
    out = stmt_if(cx, x, body, other);
    if (out == body || out == other || out->kind != STMT_IF) return out; // decided: that branch keeps its place
    break;
  case STMT_ALLOC:
    body = sf(self, s->body);
    if (body != s->body) out = stmt_alloc(cx, s->buffer, body);
    break;
  case STMT_INTRIN:
    args = rebuild_args(cx, s->nargs, s->args, ef, self);
    body = s->body ? sf(self, s->body) : NULL;
    if (args != s->args || body != s->body) out = stmt_intrin(cx, s->intrin, s->nargs, args, body);
    break;
  }
  return out == s ? s : stmt_placed(cx, out, s->loc, s->why);
}

// ---- whole trees ----------------------------------------------------------------------------------------------------

static const Expr *map_child_expr(void *self, const Expr *e) { return expr_map(self, e); }
static const Stmt *map_child_stmt(void *self, const Stmt *s) { return stmt_map(self, s); }

const Expr *expr_map(TirMap *m, const Expr *e) {
  if (!m->expr) return e;
  return m->expr(m, expr_rebuild(m->cx, e, map_child_expr, m));
}

const Stmt *stmt_map(TirMap *m, const Stmt *s) {
  const Stmt *out = stmt_rebuild(m->cx, s, map_child_stmt, m->expr ? map_child_expr : NULL, m);
  return m->stmt ? m->stmt(m, out) : out;
}

// ---- substitution ---------------------------------------------------------------------------------------------------

typedef struct Subst {
  const TirSubst *what;
  PtrMap vars, buffers; // to the index in `what`
} Subst;

static const Buffer *subst_buffer(const Subst *s, const Buffer *b) {
  int64_t i;
  return ptrmap_get(&s->buffers, b, &i) ? s->what->to[i] : b;
}

static const Expr *subst_expr(TirMap *m, const Expr *e) {
  const Subst *s = m->self;
  int64_t i;
  if (e->kind == EXPR_VAR && ptrmap_get(&s->vars, e->var, &i)) return s->what->values[i];
  if (e->kind != EXPR_LOAD && e->kind != EXPR_REF) return e;
  const Buffer *b = subst_buffer(s, e->buffer);
  return b == e->buffer ? e : expr_raw_args(m->cx, e->kind, b->type, b, 0, e->nargs, e->args, e->loc);
}

static const Stmt *subst_stmt(TirMap *m, const Stmt *s) {
  if (s->kind != STMT_STORE) return s;
  const Buffer *b = subst_buffer(m->self, s->buffer);
  return b == s->buffer ? s : stmt_placed(m->cx, stmt_store(m->cx, b, s->args, s->value), s->loc, s->why);
}

// The maps of t, so that the cost of a substitution does not grow with the number of things it replaces.
static Subst subst_of(Ctx *cx, const TirSubst *t) {
  Subst s = {.what = t};
  for (int i = 0; i < t->nvars; i++) ptrmap_put(cx->arena, &s.vars, t->vars[i], i);
  for (int i = 0; i < t->nbuffers; i++) ptrmap_put(cx->arena, &s.buffers, t->from[i], i);
  return s;
}

const Expr *expr_subst(Ctx *cx, const Expr *e, const TirSubst *t) {
  Subst s = subst_of(cx, t);
  TirMap m = {.cx = cx, .expr = subst_expr, .self = &s};
  return expr_map(&m, e);
}

const Stmt *stmt_subst(Ctx *cx, const Stmt *st, const TirSubst *t) {
  Subst s = subst_of(cx, t);
  TirMap m = {.cx = cx, .expr = subst_expr, .stmt = subst_stmt, .self = &s};
  return stmt_map(&m, st);
}

// ---- visiting -------------------------------------------------------------------------------------------------------

void expr_visit(const Expr *e, ExprVisit *ev, void *self) {
  if (!ev || !ev(self, e)) return;
  switch (e->kind) {
  case EXPR_INT:
  case EXPR_FLOAT:
  case EXPR_VAR: return;
  case EXPR_CAST:
  case EXPR_UNARY: expr_visit(e->a, ev, self); return;
  case EXPR_BINARY:
    expr_visit(e->a, ev, self);
    expr_visit(e->b, ev, self);
    return;
  case EXPR_SELECT:
    expr_visit(e->a, ev, self);
    expr_visit(e->b, ev, self);
    expr_visit(e->c, ev, self);
    return;
  case EXPR_LOAD:
  case EXPR_REF:
  case EXPR_MATH:
    for (int i = 0; i < e->nargs; i++) expr_visit(e->args[i], ev, self);
    return;
  }
}

void stmt_visit(const Stmt *s, StmtVisit *sv, ExprVisit *ev, void *self) {
  if (sv && !sv(self, s)) return;
  switch (s->kind) {
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) stmt_visit(s->children[i], sv, ev, self);
    return;
  case STMT_FOR:
    expr_visit(s->min, ev, self);
    expr_visit(s->extent, ev, self);
    stmt_visit(s->body, sv, ev, self);
    return;
  case STMT_STORE:
    for (int i = 0; i < s->nargs; i++) expr_visit(s->args[i], ev, self);
    expr_visit(s->value, ev, self);
    return;
  case STMT_IF:
    expr_visit(s->cond, ev, self);
    stmt_visit(s->body, sv, ev, self);
    if (s->else_body) stmt_visit(s->else_body, sv, ev, self);
    return;
  case STMT_ALLOC: stmt_visit(s->body, sv, ev, self); return;
  case STMT_INTRIN:
    for (int i = 0; i < s->nargs; i++) expr_visit(s->args[i], ev, self);
    if (s->body) stmt_visit(s->body, sv, ev, self);
    return;
  }
}

typedef struct UsesVar {
  const Var *var;
  bool found;
} UsesVar;

static bool uses_var(void *self, const Expr *e) {
  UsesVar *u = self;
  if (e->kind == EXPR_VAR && e->var == u->var) u->found = true;
  return !u->found;
}

bool expr_uses_var(const Expr *e, const Var *v) {
  UsesVar u = {.var = v};
  expr_visit(e, uses_var, &u);
  return u.found;
}

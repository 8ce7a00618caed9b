// SPDX-License-Identifier: Apache-2.0
// Construction of TIR. Constants are folded where that is exact; everything else stays as asked.
#include <math.h>
#include <string.h>

#include "tir/internal.h"

const Scope scope_host = {.name = "host", .id = -1, .tile = 1, .rows = 1, .cols = 1};

// The memory of that name; every target has "host".
const Scope *tir_scope(const TirTarget *t, const char *name) {
  for (int i = 0; t && i < t->nscopes; i++)
    if (!strcmp(t->scopes[i]->name, name)) return t->scopes[i];
  return strcmp(name, scope_host.name) ? NULL : &scope_host;
}

// The intrinsic of that name.
const Intrin *tir_intrin(const TirTarget *t, const char *name) {
  for (int i = 0; t && i < t->nintrins; i++)
    if (!strcmp(t->intrins[i]->name, name)) return t->intrins[i];
  return NULL;
}

// ---- variables and buffers ------------------------------------------------------------------------------------------

const Var *tir_var(Ctx *cx, Name name, Loc loc) {
  Var *v = NEW(cx->arena, Var);
  v->name = name;
  v->loc = loc;
  return v;
}

const Buffer *tir_buffer(Ctx *cx, Name name, DType type, const Scope *scope, BufferRole role, int ndim,
                         const int64_t *shape, Loc loc) {
  Buffer *b = NEW(cx->arena, Buffer);
  b->name = name;
  b->type = type;
  b->scope = scope;
  b->role = role;
  b->ndim = ndim;
  b->shape = arena_copy(cx->arena, shape, (size_t)ndim * sizeof *shape);
  b->base = -1;
  b->loc = loc;
  return b;
}

// Elements of a buffer; its maker saw to it that the product fits.
int64_t buffer_elems(const Buffer *b) {
  int64_t n = 1;
  for (int i = 0; i < b->ndim; i++)
    if (!mul_ok(n, b->shape[i], &n)) return INT64_MAX;
  return n;
}

int64_t buffer_tiles(const Buffer *b) {
  int64_t n = buffer_elems(b), tile = b->scope->tile;
  return n / tile + (n % tile != 0);
}

// ---- expressions ----------------------------------------------------------------------------------------------------

Expr *expr_new(Ctx *cx, ExprKind kind, DType type, Loc loc) {
  Expr *e = NEW(cx->arena, Expr);
  e->kind = kind;
  e->type = type;
  e->loc = loc;
  return e;
}

// The place of a node made of others: the first one known.
static Loc loc_first(Loc a, Loc b) { return loc_known(a) ? a : b; }

// A constant of type t at a place; s is already of that type.
static const Expr *expr_const(Ctx *cx, DType t, Scalar s, Loc loc) {
  Expr *e = expr_new(cx, dtype_is_float(t) ? EXPR_FLOAT : EXPR_INT, t, loc);
  e->value = s;
  return e;
}

static bool is_const(const Expr *e) { return e->kind == EXPR_INT || e->kind == EXPR_FLOAT; }

// NaNs are not folded: their sign and payload differ between machines.
static bool foldable(DType t, Scalar s) { return !dtype_is_float(t) || !isnan(s.f); }

const Expr *expr_int(Ctx *cx, DType t, int64_t v) {
  Scalar s = {.i = t == DT_BOOL ? v != 0 : wrap_int(t, v)};
  return expr_const(cx, t, s, (Loc){0});
}

const Expr *expr_index(Ctx *cx, int64_t v) { return expr_const(cx, DT_I64, (Scalar){.i = v}, (Loc){0}); }

const Expr *expr_float(Ctx *cx, DType t, double v) {
  return expr_const(cx, t, (Scalar){.f = round_float(t, v)}, (Loc){0});
}

const Expr *expr_var(Ctx *cx, const Var *v) {
  Expr *e = expr_new(cx, EXPR_VAR, DT_I64, (Loc){0});
  e->var = v;
  return e;
}

const Expr *expr_raw_cast(Ctx *cx, DType t, const Expr *a, Loc loc) {
  Expr *e = expr_new(cx, EXPR_CAST, t, loc);
  e->a = a;
  return e;
}

const Expr *expr_raw_unary(Ctx *cx, UnOp op, const Expr *a, Loc loc) {
  Expr *e = expr_new(cx, EXPR_UNARY, a->type, loc);
  e->unop = op;
  e->a = a;
  return e;
}

const Expr *expr_raw_binary(Ctx *cx, BinOp op, const Expr *a, const Expr *b, Loc loc) {
  Expr *e = expr_new(cx, EXPR_BINARY, binop_is_bool(op) ? DT_BOOL : a->type, loc);
  e->binop = op;
  e->a = a;
  e->b = b;
  return e;
}

const Expr *expr_raw_select(Ctx *cx, const Expr *c, const Expr *a, const Expr *b, Loc loc) {
  Expr *e = expr_new(cx, EXPR_SELECT, b->type, loc);
  e->a = c;
  e->b = a;
  e->c = b;
  return e;
}

const Expr *expr_raw_args(Ctx *cx, ExprKind kind, DType t, const Buffer *b, MathFn f, int n, const Expr **args,
                          Loc loc) {
  Expr *e = expr_new(cx, kind, t, loc);
  e->buffer = b;
  e->fn = f;
  e->nargs = n;
  e->args = arena_copy(cx->arena, args, (size_t)n * sizeof *args);
  return e;
}

const Expr *expr_cast(Ctx *cx, DType t, const Expr *a) {
  if (a->type == t) return a;
  if (is_const(a)) {
    Scalar s = scalar_cast(t, a->type, a->value);
    if (foldable(t, s)) return expr_const(cx, t, s, a->loc);
  }
  return expr_raw_cast(cx, t, a, a->loc);
}

const Expr *expr_unary(Ctx *cx, UnOp op, const Expr *a) {
  if (is_const(a)) {
    Scalar s = scalar_unary(op, a->type, a->value);
    if (foldable(a->type, s)) return expr_const(cx, a->type, s, a->loc);
  }
  return expr_raw_unary(cx, op, a, a->loc);
}

// x && y, x || y with a side that is known; NULL if neither is.
static const Expr *fold_logical(BinOp op, const Expr *a, const Expr *b) {
  int64_t v;
  bool neutral = op == OP_LAND; // true && x, false || x
  if (expr_is_int(a, &v)) return (v != 0) == neutral ? b : a;
  if (expr_is_int(b, &v)) return (v != 0) == neutral ? a : b;
  return NULL;
}

// x + 0, x - 0, x * 1, x / 1 on integers, and x * 0; NULL if it is none of them.
static const Expr *fold_neutral(BinOp op, const Expr *a, const Expr *b) {
  int64_t v;
  if (!dtype_is_int(a->type)) return NULL;
  if (expr_is_int(b, &v)) {
    if (v == 0 && (op == OP_ADD || op == OP_SUB)) return a;
    if (v == 1 && (op == OP_MUL || op == OP_DIV)) return a;
    if (v == 0 && op == OP_MUL) return b;
  }
  if (expr_is_int(a, &v)) {
    if (v == 0 && op == OP_ADD) return b;
    if (v == 1 && op == OP_MUL) return b;
    if (v == 0 && op == OP_MUL) return a;
  }
  return NULL;
}

const Expr *expr_binary(Ctx *cx, BinOp op, const Expr *a, const Expr *b) {
  Loc loc = loc_first(a->loc, b->loc);
  const Expr *known = NULL;
  if (is_const(a) && is_const(b)) {
    DType t = binop_is_bool(op) ? DT_BOOL : a->type;
    Scalar s = scalar_binary(op, a->type, a->value, b->value);
    if (foldable(t, s)) return expr_const(cx, t, s, loc);
  }
  known = op == OP_LAND || op == OP_LOR ? fold_logical(op, a, b) : fold_neutral(op, a, b);
  return known ? known : expr_raw_binary(cx, op, a, b, loc);
}

const Expr *expr_select(Ctx *cx, const Expr *c, const Expr *a, const Expr *b) {
  int64_t v;
  if (expr_is_int(c, &v)) return v ? a : b;
  return expr_raw_select(cx, c, a, b, loc_first(c->loc, loc_first(a->loc, b->loc)));
}

const Expr *expr_load(Ctx *cx, const Buffer *b, const Expr **idx) {
  return expr_raw_args(cx, EXPR_LOAD, b->type, b, 0, b->ndim, idx, (Loc){0});
}

const Expr *expr_ref(Ctx *cx, const Buffer *b, const Expr *tile) {
  return expr_raw_args(cx, EXPR_REF, b->type, b, 0, 1, &tile, (Loc){0});
}

const Expr *expr_call(Ctx *cx, MathFn f, const Expr *const *args) {
  if (math_arity(f) < 3) return expr_math(cx, f, args[0], math_arity(f) > 1 ? args[1] : NULL);
  const Expr *copy[3] = {args[0], args[1], args[2]};
  return expr_raw_args(cx, EXPR_MATH, args[0]->type, NULL, f, 3, copy, args[0]->loc);
}

const Expr *expr_math(Ctx *cx, MathFn f, const Expr *a, const Expr *b) {
  if (is_const(a) && (!b || is_const(b)) && math_is_exact(f)) {
    Scalar s = scalar_math(f, a->type, a->value, b ? b->value : a->value);
    if (foldable(a->type, s)) return expr_const(cx, a->type, s, a->loc);
  }
  const Expr *args[2] = {a, b};
  return expr_raw_args(cx, EXPR_MATH, a->type, NULL, f, b ? 2 : 1, args, a->loc);
}

static bool loc_same(Loc a, Loc b) {
  return a.src == b.src && a.line == b.line && a.col == b.col && a.end_line == b.end_line && a.end_col == b.end_col;
}

const Expr *expr_at(Ctx *cx, const Expr *e, Loc loc) {
  if (loc_same(e->loc, loc)) return e;
  Expr *copy = arena_copy(cx->arena, e, sizeof *e);
  copy->loc = loc;
  return copy;
}

bool expr_is_int(const Expr *e, int64_t *v) {
  if (e->kind != EXPR_INT) return false;
  *v = e->value.i;
  return true;
}

static bool args_equal(const Expr *a, const Expr *b) {
  if (a->nargs != b->nargs) return false;
  for (int i = 0; i < a->nargs; i++)
    if (!expr_equal(a->args[i], b->args[i])) return false;
  return true;
}

bool expr_equal(const Expr *a, const Expr *b) {
  if (a == b) return true;
  if (a->kind != b->kind || a->type != b->type) return false;
  switch (a->kind) {
  case EXPR_INT: return a->value.i == b->value.i;
  case EXPR_FLOAT: return !memcmp(&a->value.f, &b->value.f, sizeof(double)); // tells 0 from -0, finds NaN equal
  case EXPR_VAR: return a->var == b->var;
  case EXPR_CAST: return expr_equal(a->a, b->a);
  case EXPR_UNARY: return a->unop == b->unop && expr_equal(a->a, b->a);
  case EXPR_BINARY: return a->binop == b->binop && expr_equal(a->a, b->a) && expr_equal(a->b, b->b);
  case EXPR_SELECT: return expr_equal(a->a, b->a) && expr_equal(a->b, b->b) && expr_equal(a->c, b->c);
  case EXPR_LOAD:
  case EXPR_REF: return a->buffer == b->buffer && args_equal(a, b);
  case EXPR_MATH: return a->fn == b->fn && args_equal(a, b);
  }
  return false;
}

// ---- statements -----------------------------------------------------------------------------------------------------

Stmt *stmt_new(Ctx *cx, StmtKind kind, Loc loc, Loc why) {
  Stmt *s = NEW(cx->arena, Stmt);
  s->kind = kind;
  s->loc = loc;
  s->why = why;
  return s;
}

const Stmt *stmt_for(Ctx *cx, const Var *v, const Expr *min, const Expr *extent, ForKind k, const Stmt *body) {
  Stmt *s = stmt_new(cx, STMT_FOR, body->loc, body->why);
  s->var = v;
  s->min = min;
  s->extent = extent;
  s->for_kind = k;
  s->body = body;
  return s;
}

const Stmt *stmt_store(Ctx *cx, const Buffer *b, const Expr **idx, const Expr *value) {
  Stmt *s = stmt_new(cx, STMT_STORE, loc_first(value->loc, b->loc), (Loc){0});
  s->buffer = b;
  s->nargs = b->ndim;
  s->args = arena_copy(cx->arena, idx, (size_t)b->ndim * sizeof *idx);
  s->value = value;
  return s;
}

const Stmt *stmt_if(Ctx *cx, const Expr *cond, const Stmt *then, const Stmt *otherwise) {
  int64_t v;
  if (expr_is_int(cond, &v)) return v ? then : otherwise ? otherwise : stmt_nop(cx);
  Stmt *s = stmt_new(cx, STMT_IF, loc_first(then->loc, cond->loc), then->why);
  s->cond = cond;
  s->body = then;
  s->else_body = otherwise;
  return s;
}

// How many statements s is in a sequence: nested sequences count their children.
static int count_flat(const Stmt *s) {
  if (s->kind != STMT_SEQ) return 1;
  int n = 0;
  for (int i = 0; i < s->nchildren; i++) n += count_flat(s->children[i]);
  return n;
}

static const Stmt **put_flat(const Stmt **at, const Stmt *s) {
  if (s->kind != STMT_SEQ) {
    *at = s;
    return at + 1;
  }
  for (int i = 0; i < s->nchildren; i++) at = put_flat(at, s->children[i]);
  return at;
}

const Stmt *stmt_seq(Ctx *cx, int n, const Stmt **children) {
  int total = 0;
  for (int i = 0; i < n; i++) total += count_flat(children[i]);
  if (total == 0) return stmt_nop(cx);
  const Stmt **flat = NEW_ARRAY(cx->arena, const Stmt *, total), **at = flat;
  for (int i = 0; i < n; i++) at = put_flat(at, children[i]);
  if (total == 1) return flat[0];
  Stmt *s = stmt_new(cx, STMT_SEQ, flat[0]->loc, flat[0]->why);
  s->nchildren = total;
  s->children = flat;
  return s;
}

const Stmt *stmt_seq2(Ctx *cx, const Stmt *a, const Stmt *b) {
  const Stmt *both[2] = {a, b};
  return stmt_seq(cx, 2, both);
}

const Stmt *stmt_nop(Ctx *cx) { return stmt_new(cx, STMT_SEQ, (Loc){0}, (Loc){0}); }

bool stmt_is_nop(const Stmt *s) { return s->kind == STMT_SEQ && s->nchildren == 0; }

const Stmt *stmt_alloc(Ctx *cx, const Buffer *b, const Stmt *body) {
  Stmt *s = stmt_new(cx, STMT_ALLOC, loc_first(b->loc, body->loc), body->why);
  s->buffer = b;
  s->body = body;
  return s;
}

const Stmt *stmt_intrin(Ctx *cx, const Intrin *op, int nargs, const Expr **args, const Stmt *body) {
  Stmt *s = stmt_new(cx, STMT_INTRIN, (Loc){0}, (Loc){0});
  if (body) s->loc = body->loc, s->why = body->why;
  s->intrin = op;
  s->nargs = nargs;
  s->args = nargs ? arena_copy(cx->arena, args, (size_t)nargs * sizeof *args) : NULL;
  s->body = body;
  return s;
}

const Stmt *stmt_placed(Ctx *cx, const Stmt *s, Loc loc, Loc why) {
  if (loc_same(s->loc, loc) && loc_same(s->why, why)) return s;
  Stmt *copy = arena_copy(cx->arena, s, sizeof *s);
  copy->loc = loc;
  copy->why = why;
  return copy;
}

Func *func_with_body(Ctx *cx, const Func *f, const Stmt *body) {
  Func *copy = arena_copy(cx->arena, f, sizeof *f);
  copy->body = body;
  return copy;
}

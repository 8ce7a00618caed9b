// SPDX-License-Identifier: Apache-2.0
// Nodes of the graph, and the one walk that rewrites them.
#include "te/internal.h"

#include <string.h>

// A node without its operands.
static TeExpr *node_new(Arena *a, TeExprKind kind, DType t, Loc loc) {
  TeExpr *e = NEW(a, TeExpr);
  e->kind = kind;
  e->type = t;
  e->loc = loc;
  e->nodes = e->depth = 1;
  return e;
}

// Counts an operand of e in.
static void count(TeExpr *e, const TeExpr *x) {
  const uint32_t most = 1u << 30;
  e->nodes = e->nodes + x->nodes < most ? e->nodes + x->nodes : most;
  if (x->depth >= e->depth) e->depth = x->depth < most ? x->depth + 1 : most;
}

static void set_operands(TeExpr *e, const TeExpr *x, const TeExpr *y, const TeExpr *z) {
  e->a = x;
  e->b = y;
  e->c = z;
  e->nodes = e->depth = 1;
  count(e, x);
  if (y) count(e, y);
  if (z) count(e, z);
}

static void set_args(TeExpr *e, const TeExpr **args) {
  e->args = args;
  e->nodes = e->depth = 1;
  for (int i = 0; i < e->nargs; i++) count(e, args[i]);
}

const TeExpr *te_const(Arena *a, DType t, Scalar v, Loc loc) {
  TeExpr *e = node_new(a, TE_CONST, t, loc);
  e->value = v;
  return e;
}

const TeExpr *te_int(Arena *a, int64_t n, Loc loc) { return te_const(a, DT_I64, (Scalar){.i = n}, loc); }

const TeExpr *te_axis(Arena *a, const TeAxis *axis, Loc loc) {
  TeExpr *e = node_new(a, TE_AXIS, DT_I64, loc);
  e->axis = axis;
  return e;
}

const TeExpr *te_access(Arena *a, const TeTensor *t, const TeExpr **idx, Loc loc) {
  TeExpr *e = node_new(a, TE_ACCESS, t->type, loc);
  e->tensor = t;
  e->nargs = t->naxes;
  set_args(e, arena_copy(a, idx, (size_t)t->naxes * sizeof *idx));
  return e;
}

const TeExpr *te_unary(Arena *a, UnOp op, const TeExpr *x, Loc loc) {
  TeExpr *e = node_new(a, TE_UNARY, x->type, loc);
  e->unop = op;
  set_operands(e, x, NULL, NULL);
  return e;
}

const TeExpr *te_binary(Arena *a, BinOp op, const TeExpr *x, const TeExpr *y, Loc loc) {
  TeExpr *e = node_new(a, TE_BINARY, binop_is_bool(op) ? DT_BOOL : x->type, loc);
  e->binop = op;
  set_operands(e, x, y, NULL);
  return e;
}

const TeExpr *te_cast(Arena *a, DType t, const TeExpr *x, Loc loc) {
  if (x->type == t) return x;
  TeExpr *e = node_new(a, TE_CAST, t, loc);
  set_operands(e, x, NULL, NULL);
  return e;
}

const TeExpr *te_select(Arena *a, const TeExpr *c, const TeExpr *x, const TeExpr *y, Loc loc) {
  TeExpr *e = node_new(a, TE_SELECT, x->type, loc);
  set_operands(e, c, x, y);
  return e;
}

const TeExpr *te_math(Arena *a, MathFn f, const TeExpr **args, Loc loc) {
  TeExpr *e = node_new(a, TE_MATH, args[0]->type, loc);
  e->fn = f;
  e->nargs = math_arity(f);
  set_args(e, arena_copy(a, args, (size_t)e->nargs * sizeof *args));
  return e;
}

// A node like e with other operands.
static const TeExpr *with_operands(Arena *a, const TeExpr *e, const TeExpr *x, const TeExpr *y, const TeExpr *z) {
  if (x == e->a && y == e->b && z == e->c) return e;
  TeExpr *copy = arena_copy(a, e, sizeof *e);
  set_operands(copy, x, y, z);
  return copy;
}

// A node like e with other arguments.
static const TeExpr *with_args(Arena *a, const TeExpr *e, TeMapFn *f, void *self) {
  const TeExpr **args = NULL;
  for (int i = 0; i < e->nargs; i++) {
    const TeExpr *arg = te_map(a, e->args[i], f, self);
    if (arg == e->args[i]) continue;
    if (!args) args = arena_copy(a, e->args, (size_t)e->nargs * sizeof *args);
    args[i] = arg;
  }
  if (!args) return e;
  TeExpr *copy = arena_copy(a, e, sizeof *e);
  set_args(copy, args);
  return copy;
}

const TeExpr *te_map(Arena *a, const TeExpr *e, TeMapFn *f, void *self) {
  const TeExpr *out = e;
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: break;
  case TE_UNARY:
  case TE_CAST: out = with_operands(a, e, te_map(a, e->a, f, self), e->b, e->c); break;
  case TE_BINARY: {
    const TeExpr *x = te_map(a, e->a, f, self);
    out = with_operands(a, e, x, te_map(a, e->b, f, self), e->c);
    break;
  }
  case TE_SELECT: {
    const TeExpr *x = te_map(a, e->a, f, self), *y = te_map(a, e->b, f, self);
    out = with_operands(a, e, x, y, te_map(a, e->c, f, self));
    break;
  }
  case TE_ACCESS:
  case TE_MATH: out = with_args(a, e, f, self); break;
  }
  return f(self, out);
}

bool te_any(const TeExpr *e, TeVisitFn *f, void *self) {
  if (f(self, e)) return true;
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return false;
  case TE_UNARY:
  case TE_CAST: return te_any(e->a, f, self);
  case TE_BINARY: return te_any(e->a, f, self) || te_any(e->b, f, self);
  case TE_SELECT: return te_any(e->a, f, self) || te_any(e->b, f, self) || te_any(e->c, f, self);
  case TE_ACCESS:
  case TE_MATH:
    for (int i = 0; i < e->nargs; i++)
      if (te_any(e->args[i], f, self)) return true;
    return false;
  }
  return false;
}

static bool same_args(const TeExpr *x, const TeExpr *y, int *work) {
  for (int i = 0; i < x->nargs; i++)
    if (!te_same(x->args[i], y->args[i], work)) return false;
  return true;
}

bool te_same(const TeExpr *x, const TeExpr *y, int *work) {
  if (x == y) return true;
  if (--*work < 0 || x->kind != y->kind || x->type != y->type) return false;
  switch (x->kind) {
  case TE_CONST: return x->value.i == y->value.i;
  case TE_AXIS: return x->axis == y->axis;
  case TE_ACCESS: return x->tensor == y->tensor && same_args(x, y, work);
  case TE_UNARY: return x->unop == y->unop && te_same(x->a, y->a, work);
  case TE_BINARY: return x->binop == y->binop && te_same(x->a, y->a, work) && te_same(x->b, y->b, work);
  case TE_CAST: return te_same(x->a, y->a, work);
  case TE_SELECT: return te_same(x->a, y->a, work) && te_same(x->b, y->b, work) && te_same(x->c, y->c, work);
  case TE_MATH: return x->fn == y->fn && same_args(x, y, work);
  }
  return false;
}

static bool is_inexact(void *self, const TeExpr *e) {
  (void)self;
  return e->kind == TE_MATH && !math_is_exact(e->fn);
}

bool te_is_exact(const TeKernel *k) {
  for (int i = 0; i < k->ntensors; i++)
    if (k->tensors[i]->body && te_any(k->tensors[i]->body, is_inexact, NULL)) return false;
  return true;
}

int64_t te_tensor_elems(const TeTensor *t) {
  int64_t n = 1;
  for (int i = 0; i < t->naxes; i++) n *= t->axes[i]->extent;
  return n;
}

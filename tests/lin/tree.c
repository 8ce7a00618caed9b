// SPDX-License-Identifier: Apache-2.0
#include "tree.h"

#include "../ops/meaning.h"

int below(Forest *f, int n) {
  f->random = f->random * 6364136223846793005u + 1442695040888963407u;
  return (int)((f->random >> 33) % (uint64_t)n);
}

static Tree *tree_new(Forest *f, LinKind kind, DType t) {
  Tree *n = NEW(f->arena, Tree);
  n->node = (LinNode){.kind = kind, .type = t};
  return n;
}

static DType type_of(const Tree *t) { return t->node.type; }

const Tree *tree_const(Forest *f, DType t, int64_t v) {
  Tree *n = tree_new(f, LIN_CONST, t);
  n->node.value = wrap_int(t, v);
  return n;
}

const Tree *tree_var(Forest *f, int var) {
  Tree *n = tree_new(f, LIN_LEAF, f->box.type[var]);
  n->var = var;
  return n;
}

const Tree *tree_binary(Forest *f, BinOp op, const Tree *a, const Tree *b) {
  Tree *n = tree_new(f, LIN_BINARY, binop_is_bool(op) ? DT_BOOL : type_of(a));
  n->node.binop = op;
  n->node.a = a, n->node.b = b;
  return n;
}

static const Tree *tree_unary(Forest *f, UnOp op, const Tree *a) {
  Tree *n = tree_new(f, LIN_UNARY, type_of(a));
  n->node.unop = op;
  n->node.a = a;
  return n;
}

const Tree *tree_not(Forest *f, const Tree *a) { return tree_unary(f, UN_NOT, a); }

static const Tree *tree_cast(Forest *f, DType t, const Tree *a) {
  Tree *n = tree_new(f, LIN_CAST, t);
  n->node.a = a;
  return type_of(a) == t ? a : n;
}

static const Tree *small_const(Forest *f, int from, int to) {
  return tree_const(f, DT_I64, from + below(f, to - from + 1));
}

static const Tree *some_var(Forest *f) { return tree_cast(f, DT_I64, tree_var(f, below(f, VARS))); }

const Tree *tree_affine(Forest *f) {
  const Tree *sum = small_const(f, -5, 5);
  for (int n = 1 + below(f, 3); n > 0; n--) {
    const Tree *part = tree_binary(f, OP_MUL, some_var(f), small_const(f, 1, 3));
    sum = below(f, 2) ? tree_binary(f, OP_ADD, sum, part) : tree_binary(f, OP_SUB, sum, part);
  }
  return sum;
}

static DType some_type(Forest *f) {
  static const DType types[] = {DT_I8, DT_I16, DT_I32, DT_I64, DT_U8, DT_U16, DT_U32, DT_U64};
  return types[below(f, 8)];
}

// Two operands of one type.
static const Tree *some_binary(Forest *f, BinOp op, int depth) {
  DType t = f->types ? some_type(f) : DT_I64;
  const Tree *a = tree_cast(f, t, tree_integer(f, depth - 1)), *b;
  if (op == OP_SHL || op == OP_SHR) b = tree_const(f, t, below(f, 4));
  else if (op == OP_DIV || op == OP_MOD) b = tree_const(f, t, below(f, 9) - (dtype_is_signed(t) ? 2 : 0));
  else if (below(f, 2)) b = tree_cast(f, t, small_const(f, -3, 12));
  else b = tree_cast(f, t, tree_integer(f, depth - 1));
  return tree_binary(f, op, a, b);
}

const Tree *tree_integer(Forest *f, int depth) {
  static const BinOp ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_MIN,
                              OP_MAX, OP_SHL, OP_SHR, OP_AND, OP_OR,  OP_XOR};
  if (depth <= 0) return below(f, 3) ? tree_affine(f) : some_var(f);
  switch (below(f, 8)) {
  case 0: return tree_cast(f, DT_I64, tree_cast(f, some_type(f), tree_integer(f, depth - 1)));
  case 1: return tree_unary(f, UN_NEG, tree_integer(f, depth - 1));
  case 2: {
    static const MathFn fns[] = {FN_ABS,   FN_QUOTIENT, FN_REMAINDER, FN_POPCOUNT, FN_CLZ,
                                 FN_MULHI, FN_SAT_ADD,  FN_SAT_SUB,   FN_SAT_SHL,  FN_ROUND_SHR};
    Tree *n = tree_new(f, LIN_MATH, f->types ? some_type(f) : DT_I64);
    n->node.fn = fns[below(f, sizeof fns / sizeof *fns)];
    n->node.a = tree_cast(f, n->node.type, tree_integer(f, depth - 1));
    if (math_arity(n->node.fn) > 1)
      n->node.b = tree_cast(f, n->node.type, below(f, 2) ? small_const(f, -3, 12) : tree_integer(f, depth - 1));
    return tree_cast(f, DT_I64, n);
  }
  case 3: {
    Tree *n = tree_new(f, LIN_SELECT, DT_I64);
    n->node.a = tree_condition(f, depth - 1);
    n->node.b = tree_integer(f, depth - 1), n->node.c = tree_integer(f, depth - 1);
    return n;
  }
  default: return tree_cast(f, DT_I64, some_binary(f, ops[below(f, 12)], depth));
  }
}

const Tree *tree_condition(Forest *f, int depth) {
  static const BinOp compare[] = {OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE};
  if (depth > 0 && below(f, 2)) {
    const Tree *a = tree_condition(f, depth - 1), *b = tree_condition(f, depth - 1);
    const Tree *both = tree_binary(f, below(f, 3) ? OP_LAND : OP_LOR, a, b);
    return below(f, 4) ? both : tree_not(f, both);
  }
  const Tree *a = below(f, 3) ? tree_affine(f) : tree_integer(f, depth);
  const Tree *b = below(f, 2) ? small_const(f, -4, 9) : tree_affine(f);
  return tree_binary(f, compare[below(f, 6)], a, b);
}

Wide tree_value(const Tree *t, const Wide *vars) {
  const LinNode *n = &t->node;
  Value a = {0}, b = {0}, out = {0};
  if (n->kind == LIN_SELECT) return tree_value(tree_value(n->a, vars) ? n->b : n->c, vars);
  if (n->a) a.i = tree_value(n->a, vars);
  if (n->b) b.i = tree_value(n->b, vars);
  switch (n->kind) {
  case LIN_CONST: return n->type == DT_U64 ? (Wide)(uint64_t)n->value : n->value;
  case LIN_UNARY: means_unary(n->unop, n->type, a, &out); return out.i;
  case LIN_BINARY: means_binary(n->binop, type_of(n->a), a, b, &out); return out.i;
  case LIN_CAST: return means_cast(n->type, type_of(n->a), a).i;
  case LIN_MATH: means_math(n->fn, n->type, a, b, &out); return out.i;
  case LIN_SELECT: break;
  case LIN_LEAF: return vars[t->var];
  }
  return 0;
}

// name(a) or name(a, b)
static void call_text(const char *name, const Tree *a, const Tree *b, Text *out) {
  text_add(out, "%s(", name);
  tree_text(a, out);
  if (b) text_add(out, ", "), tree_text(b, out);
  text_add(out, ")");
}

void tree_text(const Tree *t, Text *out) {
  const LinNode *n = &t->node;
  switch (n->kind) {
  case LIN_CONST: text_add(out, n->value < 0 ? "(%lld)" : "%lld", (long long)n->value); return;
  case LIN_LEAF: text_add(out, "%c", "xyz"[t->var]); return;
  case LIN_CAST: call_text(dtype_name(n->type), n->a, NULL, out); return;
  case LIN_MATH: call_text(math_name(n->fn), n->a, n->b, out); return;
  case LIN_UNARY: call_text(unop_text(n->unop), n->a, NULL, out); return;
  case LIN_BINARY:
    if (binop_prec(n->binop) == 0) {
      call_text(binop_text(n->binop), n->a, n->b, out);
      return;
    }
    text_add(out, "("), tree_text(n->a, out);
    text_add(out, " %s ", binop_text(n->binop)), tree_text(n->b, out), text_add(out, ")");
    return;
  case LIN_SELECT:
    text_add(out, "("), tree_text(n->a, out);
    text_add(out, " ? "), tree_text(n->b, out), text_add(out, " : "), tree_text(n->c, out), text_add(out, ")");
    return;
  }
}

bool box_next(const Box *b, Wide *vars) {
  for (int i = 0; i < VARS; i++) {
    if (++vars[i] <= b->range[i].hi) return true;
    vars[i] = b->range[i].lo;
  }
  return false;
}

// ---- trees as the facts read them --------------------------------------------------------------------------------

static LinNode node_of(const void *e) { return ((const Tree *)e)->node; }

static bool same(Facts *f, const void *x, const void *y) {
  const Tree *s = x, *t = y;
  const LinNode *m = &s->node, *n = &t->node;
  if (s == t) return true;
  if (--f->work < 0 || m->kind != n->kind || m->type != n->type) return false;
  if (m->value != n->value || s->var != t->var || m->unop != n->unop || m->binop != n->binop) return false;
  return (!m->a || same(f, m->a, n->a)) && (!m->b || same(f, m->b, n->b)) && (!m->c || same(f, m->c, n->c));
}

static Interval leaf(Facts *f, const void *e) { return ((Forest *)f->self)->box.range[((const Tree *)e)->var]; }

static const void *quotient(Facts *f, const void *e) {
  const LinNode *n = &((const Tree *)e)->node;
  return tree_binary(f->self, OP_DIV, n->a, n->b);
}

Facts tree_facts(Forest *f) {
  static const LinReader reader = {.node = node_of, .same = same, .leaf = leaf, .quotient = quotient};
  return (Facts){.arena = f->arena, .read = &reader, .self = f, .work = 1 << 20};
}

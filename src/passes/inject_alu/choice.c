// SPDX-License-Identifier: Apache-2.0
// Choices by data. Those that are a minimum, a maximum, abs or a clamp are one or two operations; any other is a sum
// with a factor that is 0 or 1 (or 0 and -1) in each lane:
//
//   x < y ? p : q     q + (q - p) * t,  t = -1 where x < y, else 0
//
//   x < 0             x >> 31                                 -1 or 0
//   x < y             (x - y) >> 31                           where by the bounds of x and y it does not wrap
//   x < 9             clamp(x, 8, 9) - 9                      -1 or 0, for all x
//   x < y             max(x, y) - x != 0                      for all x and y
//   x != y            clamp(x - y, -1, 1) squared             1 or 0; the difference may wrap
//   s && t            s * t;  !s && !t is the opposite of min(s, t) or max(s, t)
//
// Integers wrap, so that the sum is exact whatever p and q are, and what is not chosen may be computed.
#include "passes/inject_alu/internal.h"

// ---- min, max and abs written as a choice ----------------------------------------------------------------------

// x < y ? p : q
typedef struct Choice {
  const Node *x, *y, *p, *q;
  Loc loc;
} Choice;

// min or max of the two sides, if the choice is between the two things compared. A constant may be off by one:
// x < 1 ? 0 : x is max(x, 0).
static const Node *choice_minmax(Alu *s, const Choice *c) {
  int64_t bound, value;
  if (c->x == c->p && c->y == c->q) return node_op(s, VTA_MIN, c->x, c->y, c->loc);
  if (c->x == c->q && c->y == c->p) return node_op(s, VTA_MAX, c->x, c->y, c->loc);
  if (node_is_const(c->y, &bound)) {
    if (c->x == c->p && node_is_const(c->q, &value) && (value == bound || value == bound - 1))
      return node_op(s, VTA_MIN, c->x, c->q, c->loc);
    if (c->x == c->q && node_is_const(c->p, &value) && (value == bound || value == bound - 1))
      return node_op(s, VTA_MAX, c->x, c->p, c->loc);
  }
  if (node_is_const(c->x, &bound)) { // bound < y
    if (c->y == c->p && node_is_const(c->q, &value) && (value == bound || value == bound + 1))
      return node_op(s, VTA_MAX, c->y, c->q, c->loc);
    if (c->y == c->q && node_is_const(c->p, &value) && (value == bound || value == bound + 1))
      return node_op(s, VTA_MIN, c->y, c->p, c->loc);
  }
  return NULL;
}

static bool is_op(const Node *n, VtaOp op, const Node *a) { return n->kind == NODE_OP && n->op == op && n->a == a; }

// Negative ? n : p for functions of x with n above p there and below elsewhere: abs, and x >> k as a leaky slope.
static const Node *choice_sign(Alu *s, const Node *x, const Node *negative, const Node *positive, Loc loc) {
  const Node *minus = node_neg(s, x, loc);
  int64_t k;
  if (negative == minus && positive == x) return node_abs(s, x, loc);
  if (negative == x && positive == minus) return node_op(s, VTA_MIN, x, minus, loc);
  if (positive == x && is_op(negative, VTA_SHR, x) && node_is_const(negative->b, &k) && k > 0)
    return node_op(s, VTA_MAX, x, negative, loc);
  if (negative == x && is_op(positive, VTA_SHR, x) && node_is_const(positive->b, &k) && k > 0)
    return node_op(s, VTA_MIN, x, positive, loc);
  return NULL;
}

// x < lo ? lo : min(x, hi) and its mirror images: a clamp in two choices.
static const Node *choice_clamp(Alu *s, const Choice *c) {
  int64_t bound, value, inner;
  const Node *x = c->x, *rest = c->q;
  if (node_is_const(c->y, &bound) && node_is_const(c->p, &value) && (value == bound || value == bound - 1)) {
    if (is_op(rest, VTA_MIN, x) && node_is_const(rest->b, &inner) && inner >= value)
      return node_op(s, VTA_MAX, rest, c->p, c->loc);
  }
  x = c->y, rest = c->q; // bound < x ? bound : max(x, lo)
  if (node_is_const(c->x, &bound) && node_is_const(c->p, &value) && (value == bound || value == bound + 1)) {
    if (is_op(rest, VTA_MAX, x) && node_is_const(rest->b, &inner) && inner <= value)
      return node_op(s, VTA_MIN, rest, c->p, c->loc);
  }
  x = c->x, rest = c->p; // x < hi ? max(x, lo) : hi
  if (node_is_const(c->y, &bound) && node_is_const(c->q, &value) && (value == bound || value == bound - 1)) {
    if (is_op(rest, VTA_MAX, x) && node_is_const(rest->b, &inner) && inner <= value)
      return node_op(s, VTA_MIN, rest, c->q, c->loc);
  }
  x = c->y, rest = c->p; // lo < x ? min(x, hi) : lo
  if (node_is_const(c->x, &bound) && node_is_const(c->q, &value) && (value == bound || value == bound + 1)) {
    if (is_op(rest, VTA_MIN, x) && node_is_const(rest->b, &inner) && inner >= value)
      return node_op(s, VTA_MAX, rest, c->q, c->loc);
  }
  return NULL;
}

static const Node *choice_match(Alu *s, const Choice *c) {
  int64_t bound;
  const Node *n = choice_minmax(s, c);
  if (!n) n = choice_clamp(s, c);
  if (n) return n;
  if (node_is_const(c->y, &bound) && (bound == 0 || bound == 1)) return choice_sign(s, c->x, c->p, c->q, c->loc);
  if (node_is_const(c->x, &bound) && (bound == 0 || bound == -1)) return choice_sign(s, c->y, c->q, c->p, c->loc);
  return NULL;
}

// A choice by an equality: x == y ? x : y is y.
static const Node *choice_equal(const Node *x, const Node *y, const Node *same, const Node *other) {
  if ((same == x && other == y) || (same == y && other == x)) return other;
  return NULL;
}

// ---- conditions ------------------------------------------------------------------------------------------------

// A condition in every lane: n is `unit` (1 or -1) where it holds and 0 elsewhere; the other way round if negated.
typedef struct Truth {
  const Node *n;
  int unit;
  bool negated;
} Truth;

static Truth truth_of(const Node *n, int unit) {
  return (Truth){.n = node_within(n, unit < 0 ? -1 : 0, unit < 0 ? 0 : 1), .unit = unit};
}

static Truth truth_const(Alu *s, bool v, Loc loc) { return truth_of(node_const(s, v, loc), 1); }

static Truth truth_not(Truth t) {
  t.negated = !t.negated;
  return t;
}

static bool truth_known(const Truth *t, bool *v) {
  int64_t value;
  bool known = node_is_const(t->n, &value);
  *v = known && (value != 0) != t->negated;
  return known;
}

static const Node *minus(Alu *s, const Node *x, const Node *y, Loc loc) {
  return node_op(s, VTA_ADD, x, node_neg(s, y, loc), loc);
}

static const Node *clamped(Alu *s, const Node *x, int64_t lo, int64_t hi, Loc loc) {
  return node_op(s, VTA_MAX, node_op(s, VTA_MIN, x, node_const(s, hi, loc), loc), node_const(s, lo, loc), loc);
}

// t as a number that is t.unit where it holds.
static const Node *truth_plain(Alu *s, Truth t, Loc loc) {
  return t.negated ? minus(s, node_const(s, t.unit, loc), t.n, loc) : t.n;
}

// Where d, which may have wrapped, is not 0.
static Truth truth_nonzero(Alu *s, const Node *d, Loc loc) {
  const Node *c = clamped(s, d, -1, 1, loc);
  if (c->lo >= 0) return truth_of(c, 1);
  if (c->hi <= 0) return truth_of(c, -1);
  return truth_of(node_op(s, VTA_MUL, c, c, loc), 1);
}

static Truth truth_unequal(Alu *s, const Node *x, const Node *y, Loc loc) {
  if (x == y) return truth_const(s, false, loc);
  if (x->hi < y->lo || y->hi < x->lo) return truth_const(s, true, loc);
  return truth_nonzero(s, minus(s, x, y, loc), loc);
}

static Truth truth_less(Alu *s, const Node *x, const Node *y, Loc loc) {
  int64_t c;
  if (x->hi < y->lo) return truth_const(s, true, loc);
  if (x == y || x->lo >= y->hi) return truth_const(s, false, loc);
  if (node_is_const(x, &c))
    return truth_not(truth_less(s, y, node_const(s, c + 1, loc), loc)); // c is below what y can be
  const Node *sign = node_const(s, 31, loc);
  if (x->lo - y->hi >= INT32_MIN && x->hi - y->lo <= INT32_MAX)
    return truth_of(node_op(s, VTA_SHR, minus(s, x, y, loc), sign, loc), -1);
  if (node_is_const(y, &c)) // c is above what x can be
    return truth_of(node_op(s, VTA_ADD, clamped(s, x, c - 1, c, loc), node_const(s, -c, loc), loc), -1);
  return truth_nonzero(s, minus(s, node_op(s, VTA_MAX, x, y, loc), x, loc), loc);
}

static Truth truth_and(Alu *s, Truth a, Truth b, Loc loc) {
  bool v;
  if (truth_known(&a, &v)) return v ? b : truth_const(s, false, loc);
  if (truth_known(&b, &v)) return v ? a : truth_const(s, false, loc);
  if (!a.negated || !b.negated) {
    const Node *x = truth_plain(s, a, loc), *y = truth_plain(s, b, loc);
    return truth_of(node_op(s, VTA_MUL, x, y, loc), a.unit * b.unit);
  }
  const Node *other = a.unit == b.unit ? b.n : node_neg(s, b.n, loc);
  return truth_not(truth_of(node_op(s, a.unit > 0 ? VTA_MAX : VTA_MIN, a.n, other, loc), a.unit));
}

static Truth truth_or(Alu *s, Truth a, Truth b, Loc loc) {
  return truth_not(truth_and(s, truth_not(a), truth_not(b), loc));
}

static const Node *choose(Alu *s, Truth t, const Node *p, const Node *q, Loc loc) {
  bool v;
  if (truth_known(&t, &v)) return v ? p : q;
  if (p == q) return p;
  if (t.negated) {
    const Node *other = p;
    p = q;
    q = other;
  }
  const Node *step = t.unit > 0 ? minus(s, p, q, loc) : minus(s, q, p, loc);
  const Node *n = node_op(s, VTA_ADD, q, node_op(s, VTA_MUL, step, t.n, loc), loc);
  return node_within(n, p->lo < q->lo ? p->lo : q->lo, p->hi > q->hi ? p->hi : q->hi);
}

// ---- from expressions ------------------------------------------------------------------------------------------

static bool find_load(void *self, const Expr *e) {
  bool *found = self;
  *found |= e->kind == EXPR_LOAD;
  return !*found;
}

bool alu_reads(const Expr *e) {
  bool found = false;
  expr_visit(e, find_load, &found);
  return found;
}

// A choice by a position that no cut of loops over tiles decides.
static bool lacks_position(Alu *s, const Expr *e) {
  bool lane = false;
  for (int k = 0; k < s->n->nloops; k++) lane |= (s->lanes >> k & 1) && expr_uses_var(e, s->n->loops[k].var);
  alu_lacks(s, e, lane ? "a choice by position inside a tile" : "a choice by position",
            lane ? "make the choice by whole tiles, or multiply by a mask that is an input: 1 where the lanes are "
                   "wanted, 0 elsewhere"
                 : "a copy can choose by position: a stage `cond ? src : 0` with `.dma_copy()` puts zeros around "
                   "what it loads");
  return false;
}

static const Truth *truth(Alu *s, const Expr *e, int depth);

static Truth truth_compare(Alu *s, BinOp op, const Node *x, const Node *y, Loc loc) {
  switch (op) {
  case OP_LT: return truth_less(s, x, y, loc);
  case OP_GT: return truth_less(s, y, x, loc);
  case OP_GE: return truth_not(truth_less(s, x, y, loc));
  case OP_LE: return truth_not(truth_less(s, y, x, loc));
  case OP_EQ: return truth_not(truth_unequal(s, x, y, loc));
  case OP_NE:
    return truth_unequal(s, x, y, loc);
  CASE_NO_COMPARISON:
    break;
  }
  bug("no comparison: %s", binop_text(op));
}

// A comparison's operand: of int32, or of bool as 0 and 1.
static const Node *compared(Alu *s, const Expr *e, int depth) {
  return e->type == DT_BOOL ? alu_match_bool(s, e, depth) : alu_match(s, e, depth);
}

static bool read_binary(Alu *s, const Expr *e, int depth, Truth *out) {
  bool both = e->binop == OP_LAND || e->binop == OP_AND, either = e->binop == OP_LOR || e->binop == OP_OR;
  if (both || either) {
    const Truth *a = truth(s, e->a, depth), *b = truth(s, e->b, depth);
    if (a && b) *out = both ? truth_and(s, *a, *b, e->loc) : truth_or(s, *a, *b, e->loc);
    return a && b;
  }
  bool compares = (e->binop >= OP_LT && e->binop <= OP_NE) || e->binop == OP_XOR;
  if (!compares && e->a->type == DT_BOOL) return alu_lacks(s, e, "something", NULL), false; // min and max of bool
  if (dtype_is_float(e->a->type)) return alu_lacks(s, e, "in floating point", NULL), false;
  if (e->a->type != DT_I32 && e->a->type != DT_BOOL) return alu_bad_type(s, e->a), false;
  const Node *x = compared(s, e->a, depth), *y = compared(s, e->b, depth);
  BinOp op = e->binop == OP_XOR ? OP_NE : e->binop; // ^ of bool
  if (x && y) *out = truth_compare(s, op, x, y, e->loc);
  return x && y;
}

static bool read_select(Alu *s, const Expr *e, int depth, Truth *out) {
  const Truth *t = truth(s, e->a, depth);
  const Node *p = alu_match_bool(s, e->b, depth), *q = alu_match_bool(s, e->c, depth);
  if (t && p && q) *out = truth_of(choose(s, *t, p, q, e->loc), 1);
  return t && p && q;
}

static bool read_truth(Alu *s, const Expr *e, int depth, Truth *out) {
  const Truth *t;
  const Node *n;
  switch (e->kind) {
  case EXPR_INT: return *out = truth_const(s, e->value.i, e->loc), true;
  case EXPR_UNARY: // ! and ~
    t = truth(s, e->a, depth);
    if (t) *out = truth_not(*t);
    return t != NULL;
  case EXPR_BINARY: return alu_reads(e) ? read_binary(s, e, depth, out) : lacks_position(s, e);
  case EXPR_SELECT: return alu_reads(e) ? read_select(s, e, depth, out) : lacks_position(s, e);
  case EXPR_CAST:
    n = alu_match(s, e->a, depth);
    if (n) *out = truth_nonzero(s, n, e->loc);
    return n != NULL;
  case EXPR_LOAD: return alu_match(s, e, depth), false; // refused there: it is no int32
  case EXPR_FLOAT:
  case EXPR_VAR:
  case EXPR_MATH:
  case EXPR_REF: break;
  }
  return alu_bad_type(s, e), false;
}

// The condition e; NULL when something in it is refused. Each is read once, as in alu_match.
static const Truth *truth(Alu *s, const Expr *e, int depth) {
  int64_t seen;
  Truth t, *out = NULL;
  if (alu_too_deep(s, e, depth)) return NULL;
  if (ptrmap_get(&s->truths, e, &seen)) return (const Truth *)(intptr_t)seen;
  if (read_truth(s, e, depth + 1, &t)) out = arena_copy(s->p.cx->arena, &t, sizeof t);
  ptrmap_set(s->p.cx->arena, &s->truths, e, out);
  return out;
}

const Node *alu_match_bool(Alu *s, const Expr *e, int depth) {
  const Truth *t = truth(s, e, depth);
  return t ? choose(s, *t, node_const(s, 1, e->loc), node_const(s, 0, e->loc), e->loc) : NULL;
}

// A choice between what it compares; NULL if it is none.
static const Node *match_simple(Alu *s, const Expr *cond, const Node *p, const Node *q, int depth) {
  if (cond->kind != EXPR_BINARY || cond->a->type != DT_I32) return NULL;
  const Node *x = alu_match(s, cond->a, depth), *y = alu_match(s, cond->b, depth);
  switch (cond->binop) {
  case OP_LT: return choice_match(s, &(Choice){x, y, p, q, cond->loc});
  case OP_GE: return choice_match(s, &(Choice){x, y, q, p, cond->loc});
  case OP_GT: return choice_match(s, &(Choice){y, x, p, q, cond->loc});
  case OP_LE: return choice_match(s, &(Choice){y, x, q, p, cond->loc});
  case OP_EQ: return choice_equal(x, y, p, q);
  case OP_NE:
    return choice_equal(x, y, q, p);
  CASE_NO_COMPARISON:
    break;
  }
  return NULL;
}

const Node *alu_match_choice(Alu *s, const Expr *e, int depth) {
  const Expr *cond = e->a, *p = e->b, *q = e->c;
  while (cond->kind == EXPR_UNARY && cond->unop == UN_NOT) {
    const Expr *t = p;
    p = q;
    q = t;
    cond = cond->a;
  }
  const Truth *t = truth(s, cond, depth);
  const Node *a = alu_match(s, p, depth), *b = alu_match(s, q, depth);
  if (!t || !a || !b) return NULL;
  const Node *n = match_simple(s, cond, a, b, depth);
  return n ? n : choose(s, *t, a, b, e->loc);
}

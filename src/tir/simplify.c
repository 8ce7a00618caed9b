// SPDX-License-Identifier: Apache-2.0
// Algebraic simplification. One walk over the tree: every node comes back with its interval, so that no part is looked
// at again and the cost is linear. int64 expressions are collected into affine terms over atoms (terms.c); division,
// modulo and comparisons are decided on those. Every rule is exact for wrapping integers: those that reason about
// ordinary integers first make sure (terms_interval) that the sum cannot leave int64.
#include "tir/internal.h"

Sim sim_new(Ctx *cx, const Ranges *outer) {
  Sim s = {.cx = cx};
  if (outer) s.ranges = *outer;
  s.ranges.cap = s.ranges.len; // what is pushed goes elsewhere
  return s;
}

// ---- results --------------------------------------------------------------------------------------------------------

// r in the place of e: e itself if they are the same, a constant if its interval is a point.
static const Expr *settle(Sim *s, const Expr *e, const Expr *r, Interval *range) {
  if (interval_is_point(*range) && r->kind != EXPR_INT) r = expr_int(s->cx, e->type, (int64_t)range->lo);
  if (r->kind == EXPR_INT) *range = interval_of_value(r->type, r->value.i);
  if (expr_equal(r, e)) return e;
  return expr_at(s->cx, r, e->loc);
}

// r, a part of what e was simplified to, in the place of e: its own interval may be smaller than e's.
static const Expr *settle_inner(Sim *s, const Expr *e, const Expr *r, Interval *range) {
  *range = interval_of(&s->ranges, r);
  return settle(s, e, r, range);
}

// A sum of terms in the place of e.
static const Expr *settle_terms(Sim *s, const Expr *e, Terms *t, Interval *range) {
  if (!terms_interval(t, range)) *range = interval_of_type(DT_I64);
  return settle(s, e, terms_expr(s, t), range);
}

static const Expr *simp_affine(Sim *s, const Expr *e, Interval *range) {
  Terms t = {.ok = true};
  terms_collect(s, &t, e, 1);
  terms_compact(&t);
  terms_recombine(s, &t);
  return settle_terms(s, e, &t, range);
}

// int64 x / d and x % d.
static const Expr *simp_divmod(Sim *s, const Expr *e, Interval *range) {
  Terms t = {.ok = true};
  Interval ra, rb;
  const Expr *b = sim_expr(s, e->b, &rb);
  terms_collect(s, &t, e->a, 1);
  terms_compact(&t);
  terms_recombine(s, &t);
  bool exact = terms_interval(&t, &ra);
  if (exact && rb.lo == rb.hi && rb.lo > 0) {
    Terms r = e->binop == OP_DIV ? terms_divide(s, &t, rb.lo) : terms_modulo(s, &t, rb.lo);
    terms_recombine(s, &r);
    const Expr *out = settle_terms(s, e, &r, range);
    Interval whole = interval_binary(e->binop, DT_I64, ra, rb);
    *range = interval_meet(*range, whole); // both hold
    return settle(s, e, out, range);
  }
  if (!exact) ra = interval_of_type(DT_I64);
  *range = interval_binary(e->binop, DT_I64, ra, rb);
  return settle(s, e, expr_binary(s->cx, e->binop, terms_expr(s, &t), b), range);
}

// ---- comparisons of int64 -------------------------------------------------------------------------------------------

static BinOp flipped(BinOp op) { // a op b == b flipped(op) a
  return op == OP_LT ? OP_GT : op == OP_LE ? OP_GE : op == OP_GT ? OP_LT : op == OP_GE ? OP_LE : op;
}

// For g * u op k: the k' with u op k' the same. EQ and NE: only where g divides k.
static Wide tighten(BinOp op, Wide k, int64_t g) {
  bool up = op == OP_LT || op == OP_GE;
  Wide x = up ? k + g - 1 : k, q = x / g;
  return q * g > x ? q - 1 : q;
}

// d op 0, where d = left - right stays in ordinary integers: positive terms on the left, the others on the right,
// common factors out. Terms whose sum cannot matter, as in 16 * x + j < 64 with j in 0..15, are dropped.
static const Expr *compare_terms(Sim *s, BinOp op, Terms *d) {
  bool order = op != OP_EQ && op != OP_NE;
  Wide k = -(Wide)d->constant;
  for (size_t i = 0; i < d->list.len; i++)
    if (d->list.data[i].coef == INT64_MIN) return NULL; // it has no negative
  for (size_t i = 0; order && i < d->list.len; i++) {
    int64_t g = d->list.data[i].coef < 0 ? -d->list.data[i].coef : d->list.data[i].coef;
    Terms rest = {.ok = true};
    Interval r;
    if (g < 2) continue;
    for (size_t j = 0; j < d->list.len; j++)
      if (d->list.data[j].coef % g)
        terms_add(s, &rest, d->list.data[j].atom, d->list.data[j].coef, d->list.data[j].range);
    if (!rest.list.len || !terms_interval(&rest, &r) || tighten(op, k - r.lo, g) != tighten(op, k - r.hi, g)) continue;
    k = tighten(op, k - r.lo, g) * g;
    for (size_t j = 0; j < d->list.len; j++)
      if (d->list.data[j].coef % g) d->list.data[j].coef = 0;
    terms_compact(d);
    i = (size_t)-1;
  }
  int64_t g = terms_gcd(d, 0);
  if (!order && k % g) return expr_int(s->cx, DT_BOOL, op == OP_NE);
  k = tighten(op, k, g);
  Terms left = {.ok = true}, right = {.ok = true};
  for (size_t i = 0; i < d->list.len; i++) {
    Term x = d->list.data[i];
    terms_add(s, x.coef > 0 ? &left : &right, x.atom, (x.coef < 0 ? -x.coef : x.coef) / g, x.range);
  }
  if (!left.list.len) { // 0 op right + k: -k flipped(op) right
    left = right;
    right = (Terms){.ok = true};
    op = flipped(op);
    k = -k;
  }
  Interval unused;
  if (k < INT64_MIN || k > INT64_MAX) return NULL;
  right.constant = (int64_t)k;
  if (!terms_interval(&left, &unused) || !terms_interval(&right, &unused)) return NULL;
  return expr_raw_binary(s->cx, op, terms_expr(s, &left), terms_expr(s, &right), (Loc){0});
}

static const Expr *bool_at(Sim *s, const Expr *e, bool v, Interval *range) {
  *range = (Interval){v, v};
  return expr_at(s->cx, expr_int(s->cx, DT_BOOL, v), e->loc);
}

// Collects both sides and their difference; true if none of the three can wrap.
static bool terms_difference(Sim *s, const Expr *a, const Expr *b, Terms *ta, Terms *tb, Terms *d) {
  Interval ra, rb;
  terms_collect(s, ta, a, 1);
  terms_compact(ta);
  terms_recombine(s, ta);
  terms_collect(s, tb, b, 1);
  terms_compact(tb);
  terms_recombine(s, tb);
  *d = terms_copy(s, ta);
  d->ok = true;
  d->constant = add_wrap(d, d->constant, mul_wrap(d, tb->constant, -1));
  for (size_t i = 0; i < tb->list.len; i++)
    terms_add(s, d, tb->list.data[i].atom, mul_wrap(d, tb->list.data[i].coef, -1), tb->list.data[i].range);
  terms_compact(d);
  for (size_t i = 0; i < d->list.len; i++)
    if (d->list.data[i].coef == INT64_MIN) d->ok = false; // so that it can be negated
  return terms_interval(ta, &ra) && terms_interval(tb, &rb) && d->ok;
}

static const Expr *simp_compare(Sim *s, const Expr *e, Interval *range) {
  Terms a = {.ok = true}, b = {.ok = true}, d;
  bool exact = terms_difference(s, e->a, e->b, &a, &b, &d);
  const Interval zero = {0, 0};
  Interval ra, rb, rd;
  *range = (Interval){0, 1};
  if (terms_interval(&a, &ra) && terms_interval(&b, &rb)) *range = interval_binary(e->binop, DT_I64, ra, rb);
  if (exact && range->lo != range->hi) {
    terms_interval(&d, &rd); // may be wider than int64
    *range = interval_binary(e->binop, DT_I64, rd, zero);
  }
  bool same_terms = d.list.len == 0; // modulo 2^64 the difference is the constant
  if (same_terms && (d.constant == 0 || e->binop == OP_EQ || e->binop == OP_NE)) {
    *range = interval_binary(e->binop, DT_I64, interval_point(d.constant), zero);
  }
  if (range->lo == range->hi) return bool_at(s, e, range->lo, range);
  const Expr *r = exact ? compare_terms(s, e->binop, &d) : NULL;
  if (r && r->kind == EXPR_INT) return bool_at(s, e, r->value.i, range);
  if (!r) r = expr_binary(s->cx, e->binop, terms_expr(s, &a), terms_expr(s, &b));
  return settle(s, e, r, range);
}

// int64 min and max: the winner, if their difference tells.
static const Expr *simp_minmax(Sim *s, const Expr *e, Interval *range) {
  Terms a = {.ok = true}, b = {.ok = true}, d;
  Interval ra, rb, rd = interval_all();
  if (terms_difference(s, e->a, e->b, &a, &b, &d)) terms_interval(&d, &rd);
  if (!terms_interval(&a, &ra)) ra = interval_of_type(DT_I64);
  if (!terms_interval(&b, &rb)) rb = interval_of_type(DT_I64);
  bool max = e->binop == OP_MAX, less = rd.hi <= 0 || ra.hi <= rb.lo, more = rd.lo >= 0 || ra.lo >= rb.hi;
  if (less || more) {
    bool first = more == max;
    return settle_terms(s, e, first ? &a : &b, range);
  }
  *range = interval_binary(e->binop, DT_I64, ra, rb);
  const Expr *x = terms_expr(s, &a), *y = terms_expr(s, &b);
  int64_t k, l;
  if (x->kind == EXPR_INT) {
    const Expr *swap = x;
    x = y;
    y = swap;
  }
  if (is_op_const(x, e->binop, &k) && expr_is_int(y, &l)) { // min(min(x, k), l)
    y = expr_index(s->cx, max == (k > l) ? k : l);
    x = x->a;
  }
  if (expr_equal(x, y)) return settle(s, e, x, range);
  return settle(s, e, expr_binary(s->cx, e->binop, x, y), range);
}

// ---- what a condition says about variables -----------------------------------------------------------------------

// Steps that reading a condition may take: most take some dozens.
enum { LEARN_WORK = 4000 };

// Pushes the ranges that follow from a simplified condition being `truth`.
void sim_learn(Sim *s, const Expr *cond, bool truth) {
  ExprFacts f;
  expr_facts_init(&f, s->cx, &s->ranges, LEARN_WORK);
  facts_assume(&f.facts, cond, truth);
  if (f.facts.dead) return; // nothing gets here: as good as nothing known
  for (size_t i = 0, n = f.facts.atoms.len; i < n; i++) {
    const Expr *e = f.facts.atoms.data[i].what;
    if (e->kind != EXPR_VAR) continue;
    Interval before = interval_of(&s->ranges, e), r = facts_range(&f.facts, e);
    if (interval_is_empty(r) || interval_within(before, r)) continue;
    ranges_push(s->cx, &s->ranges, e->var, (int64_t)r.lo, (int64_t)r.hi);
  }
}

static const Expr *simp_given(Sim *s, const Expr *cond, bool truth, const Expr *e, Interval *range) {
  size_t depth = s->ranges.len;
  sim_learn(s, cond, truth);
  e = sim_expr(s, e, range);
  s->ranges.len = depth;
  return e;
}

// ---- the other operators --------------------------------------------------------------------------------------------

// a && b, a || b: the right side is simplified knowing the left one's outcome.
static const Expr *simp_logical(Sim *s, const Expr *e, Interval *range) {
  Interval ra, rb;
  bool is_and = e->binop == OP_LAND;
  const Expr *a = sim_expr(s, e->a, &ra);
  if (ra.lo == ra.hi && (ra.lo != 0) != is_and) return bool_at(s, e, !is_and, range);
  if (ra.lo == ra.hi) return sim_expr(s, e->b, range);
  const Expr *b = simp_given(s, a, is_and, e->b, &rb);
  *range = (Interval){0, 1};
  if (rb.lo == rb.hi && (rb.lo != 0) != is_and) return bool_at(s, e, !is_and, range);
  if (rb.lo == rb.hi || expr_equal(a, b)) return a;
  return a == e->a && b == e->b ? e : expr_raw_binary(s->cx, e->binop, a, b, e->loc);
}

static bool commutes(BinOp op) {
  return op == OP_ADD || op == OP_MUL || op == OP_AND || op == OP_XOR || op == OP_OR || op == OP_MIN || op == OP_MAX;
}

// (x op k) op l for integers: x op (k op l), where that is the same. NULL: it is not.
static const Expr *merge_constants(Sim *s, BinOp op, const Expr *a, const Expr *b) {
  int64_t k, l;
  if (!is_op_const(a, op, &k) || !expr_is_int(b, &l)) return NULL;
  if (commutes(op)) return expr_binary(s->cx, op, a->a, expr_binary(s->cx, op, a->b, b));
  int64_t bits = dtype_bits(a->type);
  k &= bits - 1;
  l &= bits - 1;
  if ((op != OP_SHR && op != OP_SHL) || k + l >= bits) return NULL;
  return expr_binary(s->cx, op, a->a, expr_int(s->cx, a->type, k + l));
}

// x op x, x op neutral, for integers; NULL if there is no rule.
static const Expr *identities(Sim *s, BinOp op, const Expr *a, const Expr *b) {
  int64_t v, w;
  bool same = expr_equal(a, b), known = expr_is_int(b, &v);
  switch (op) {
  case OP_SUB:
  case OP_XOR:
    if (same) return expr_int(s->cx, a->type, 0);
    return op == OP_XOR && known && v == 0 ? a : NULL;
  case OP_AND:
    if (known && v == 0) return b;
    return same || (known && v == wrap_int(a->type, -1)) ? a : NULL;
  case OP_OR: return same || (known && v == 0) ? a : NULL;
  case OP_MIN:
  case OP_MAX: return same ? a : NULL;
  case OP_SHL:
  case OP_SHR:
    if (expr_is_int(a, &w) && w == 0) return a;
    return known && (v & (dtype_bits(a->type) - 1)) == 0 ? a : NULL;
  case OP_DIV: return known && v == 0 ? b : NULL;
  case OP_MOD: return known && (v == 0 || v == 1) ? expr_int(s->cx, a->type, 0) : NULL;
  case OP_LE:
  case OP_GE:
  case OP_EQ: return same ? expr_int(s->cx, DT_BOOL, 1) : NULL;
  case OP_LT:
  case OP_GT:
  case OP_NE: return same ? expr_int(s->cx, DT_BOOL, 0) : NULL;
  case OP_ADD:
  case OP_MUL:
  case OP_LAND:
  case OP_LOR:
  case OP_COUNT: return NULL;
  }
  return NULL;
}

// min, max whose sides' intervals do not overlap, x / d and x % d with 0 <= x < d; NULL if none.
static const Expr *decided(BinOp op, const Expr *a, const Expr *b, Interval ra, Interval rb) {
  if (op == OP_MIN && (ra.hi <= rb.lo || rb.hi <= ra.lo)) return ra.hi <= rb.lo ? a : b;
  if (op == OP_MAX && (ra.hi <= rb.lo || rb.hi <= ra.lo)) return ra.hi <= rb.lo ? b : a;
  if (op == OP_MOD && rb.lo == rb.hi && ra.lo >= 0 && ra.hi < rb.lo) return a;
  return NULL;
}

// Binary operators on integers other than int64, and the bit operators of int64.
static const Expr *simp_integer(Sim *s, const Expr *e, Interval *range) {
  Interval ra, rb;
  const Expr *a = sim_expr(s, e->a, &ra), *b = sim_expr(s, e->b, &rb), *r;
  DType t = a->type;
  if (a->kind == EXPR_INT && b->kind != EXPR_INT && commutes(e->binop)) {
    const Expr *swap = a;
    Interval swap_range = ra;
    a = b, b = swap;
    ra = rb, rb = swap_range;
  }
  *range = interval_binary(e->binop, t, ra, rb);
  r = identities(s, e->binop, a, b);
  if (!r) r = decided(e->binop, a, b, ra, rb);
  if (!r && (r = merge_constants(s, e->binop, a, b)) && r->kind == EXPR_BINARY) {
    const Expr *more = identities(s, r->binop, r->a, r->b); // x & 12 & 3 is x & 0
    if (!more) more = decided(r->binop, r->a, r->b, interval_of(&s->ranges, r->a), interval_of(&s->ranges, r->b));
    r = more ? more : r;
    *range = interval_of(&s->ranges, r); // what is known of (x | 12) | 3 may be less than of x | 15
  }
  if (r == a) *range = ra;
  if (r == b) *range = rb;
  if (!r && t == DT_I64 && e->binop == OP_SHL && b->kind == EXPR_INT && b != e->b)
    return sim_expr(s, expr_raw_binary(s->cx, OP_SHL, a, b, e->loc), range);
  if (!r && a == e->a && b == e->b && a->kind != EXPR_INT && b->kind != EXPR_INT) return settle(s, e, e, range);
  return settle(s, e, r ? r : expr_binary(s->cx, e->binop, a, b), range);
}

// == and != of bool with a constant.
static const Expr *simp_bool_compare(Sim *s, const Expr *e, Interval *range) {
  Interval ra, rb;
  const Expr *a = sim_expr(s, e->a, &ra), *b = sim_expr(s, e->b, &rb);
  *range = interval_binary(e->binop, DT_BOOL, ra, rb);
  if (range->lo == range->hi) return bool_at(s, e, range->lo, range);
  if (e->binop == OP_EQ || e->binop == OP_NE) {
    if (expr_equal(a, b)) return bool_at(s, e, e->binop == OP_EQ, range);
    const Expr *x = ra.lo == ra.hi ? b : rb.lo == rb.hi ? a : NULL;
    bool truth = ra.lo == ra.hi ? ra.lo : rb.lo;
    if (x) return (e->binop == OP_EQ) == truth ? x : sim_expr(s, expr_raw_unary(s->cx, UN_NOT, x, e->loc), range);
  }
  return a == e->a && b == e->b ? e : expr_raw_binary(s->cx, e->binop, a, b, e->loc);
}

static const Expr *simp_binary(Sim *s, const Expr *e, Interval *range) {
  DType t = e->a->type;
  if (e->binop == OP_LAND || e->binop == OP_LOR) return simp_logical(s, e, range);
  if (t == DT_BOOL && binop_is_bool(e->binop)) return simp_bool_compare(s, e, range);
  if (!dtype_is_int(t)) { // floats are folded, never rearranged
    Interval unused;
    const Expr *a = sim_expr(s, e->a, &unused), *b = sim_expr(s, e->b, &unused);
    *range = interval_of_type(e->type);
    const Expr *r = expr_binary(s->cx, e->binop, a, b);
    return settle(s, e, r, range);
  }
  if (t != DT_I64) return simp_integer(s, e, range);
  switch (e->binop) {
  case OP_ADD:
  case OP_SUB:
  case OP_MUL: return simp_affine(s, e, range);
  case OP_SHL:
    return e->b->kind == EXPR_INT && (e->b->value.i & 63) < 63 ? simp_affine(s, e, range) : simp_integer(s, e, range);
  case OP_DIV:
  case OP_MOD: return simp_divmod(s, e, range);
  case OP_MIN:
  case OP_MAX: return simp_minmax(s, e, range);
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE: return simp_compare(s, e, range);
  case OP_SHR:
  case OP_AND:
  case OP_XOR:
  case OP_OR:
  case OP_LAND:
  case OP_LOR:
  case OP_COUNT: return simp_integer(s, e, range);
  }
  return e;
}

static const Expr *simp_unary(Sim *s, const Expr *e, Interval *range) {
  if (e->type == DT_I64 && e->unop == UN_NEG) return simp_affine(s, e, range);
  const Expr *a = sim_expr(s, e->a, range);
  *range = interval_unary(e->unop, e->type, *range);
  if (a->kind == EXPR_UNARY && a->unop == e->unop && e->type != DT_BOOL && dtype_is_int(e->type) && e->unop != UN_NOT)
    return settle_inner(s, e, a->a, range); // -(-x), ~~x
  if (e->unop == UN_NOT && e->type == DT_BOOL) {
    if (a->kind == EXPR_UNARY && a->unop == UN_NOT) return settle_inner(s, e, a->a, range);
    if (a->kind == EXPR_BINARY && binop_is_bool(a->binop) && dtype_is_int(a->a->type))
      return settle(s, e, expr_raw_binary(s->cx, comparison_negated(a->binop), a->a, a->b, e->loc), range);
  }
  if (a == e->a && a->kind != EXPR_INT && a->kind != EXPR_FLOAT) return settle(s, e, e, range);
  return settle(s, e, expr_unary(s->cx, e->unop, a), range);
}

// A cast of a cast that kept the value is a cast of the value.
static const Expr *simp_cast(Sim *s, const Expr *e, Interval *range) {
  Interval ra;
  const Expr *a = sim_expr(s, e->a, &ra);
  *range = interval_cast(e->type, a->type, ra);
  while (a->kind == EXPR_CAST && !dtype_is_float(a->type) && !dtype_is_float(a->a->type)) {
    // ra is the interval after the inner cast. If the source's own type fits the inner type, or its value does, the
    // inner cast changed nothing.
    Interval inner = interval_of_type(a->type), source = interval_of_type(a->a->type);
    if (!interval_within(source, inner) && !interval_within(interval_of(&s->ranges, a->a), inner)) break;
    a = a->a;
  }
  if (a->type == e->type) return settle(s, e, a, range);
  if (a == e->a && a->kind != EXPR_INT && a->kind != EXPR_FLOAT) return settle(s, e, e, range);
  return settle(s, e, expr_cast(s->cx, e->type, a), range);
}

static const Expr *simp_select(Sim *s, const Expr *e, Interval *range) {
  Interval rc, ra, rb;
  int64_t x, y;
  const Expr *c = sim_expr(s, e->a, &rc);
  if (rc.lo == rc.hi) return sim_expr(s, rc.lo ? e->b : e->c, range);
  const Expr *a = simp_given(s, c, true, e->b, &ra), *b = simp_given(s, c, false, e->c, &rb);
  *range = interval_join(ra, rb);
  if (expr_equal(a, b)) return settle(s, e, a, range);
  if (e->type == DT_BOOL && expr_is_int(a, &x) && expr_is_int(b, &y)) {
    if (x) return settle(s, e, c, range);
    return sim_expr(s, expr_raw_unary(s->cx, UN_NOT, c, e->loc), range);
  }
  return c == e->a && a == e->b && b == e->c ? settle(s, e, e, range)
                                             : settle(s, e, expr_raw_select(s->cx, c, a, b, e->loc), range);
}

static const Expr *simp_child(void *self, const Expr *e) {
  Interval unused;
  return sim_expr(self, e, &unused);
}

// A rounding shift as a sum and a shift, if the sum fits.
static const Expr *plain_shift(Ctx *cx, const Expr *a, Interval ra, Interval rb) {
  if (!interval_is_point(rb)) return NULL;
  int amount = (int)(rb.lo & (dtype_bits(a->type) - 1));
  if (amount == 0) return a;
  Wide half = (Wide)1 << (amount - 1);
  Interval sum = {ra.lo + half, ra.hi + half};
  if (!interval_within(sum, interval_of_type(a->type))) return NULL;
  const Expr *x = expr_binary(cx, OP_ADD, a, expr_int(cx, a->type, (int64_t)half));
  return expr_binary(cx, OP_SHR, x, expr_int(cx, a->type, amount));
}

// What a function of integers is among the operators, where the difference does not show; NULL: it is none.
static const Expr *plain_math(Ctx *cx, const Expr *e, const Expr *a, const Expr *b, Interval ra, Interval rb) {
  Interval all = interval_of_type(e->type);
  bool positive = ra.lo >= 0 && rb.lo >= 0;
  switch (e->fn) {
  case FN_ABS: return ra.lo >= 0 ? a : NULL;
  case FN_QUOTIENT: return positive ? expr_binary(cx, OP_DIV, a, b) : NULL;
  case FN_REMAINDER: return positive ? expr_binary(cx, OP_MOD, a, b) : NULL;
  case FN_SAT_ADD:
    return interval_within((Interval){ra.lo + rb.lo, ra.hi + rb.hi}, all) ? expr_binary(cx, OP_ADD, a, b) : NULL;
  case FN_SAT_SUB:
    return interval_within((Interval){ra.lo - rb.hi, ra.hi - rb.lo}, all) ? expr_binary(cx, OP_SUB, a, b) : NULL;
  case FN_ROUND_SHR: return plain_shift(cx, a, ra, rb);
  case FN_SAT_SHL:
  case FN_MULHI:
  case FN_POPCOUNT:
  case FN_CLZ:
  CASE_FLOAT_FUNCTION:
  case FN_COUNT: break;
  }
  return NULL;
}

static const Expr *simp_math(Sim *s, const Expr *e, Interval *range) {
  Interval ra = interval_of_type(e->type), rb = ra;
  if (dtype_is_float(e->type)) {
    *range = ra;
    return settle(s, e, expr_rebuild(s->cx, e, simp_child, s), range);
  }
  const Expr *a = sim_expr(s, e->args[0], &ra);
  const Expr *b = e->nargs > 1 ? sim_expr(s, e->args[1], &rb) : NULL;
  *range = interval_math(e->fn, e->type, ra, rb);
  const Expr *plain = plain_math(s->cx, e, a, b, ra, rb);
  if (plain) return settle(s, e, plain, range);
  bool same = a == e->args[0] && (!b || b == e->args[1]);
  return settle(s, e, same ? e : expr_math(s->cx, e->fn, a, b), range);
}

// The variable e, or what stands for it.
static const Expr *value_of(const Sim *s, const Expr *e) {
  for (size_t i = s->values.len; i-- > 0;)
    if (s->values.data[i].var == e->var) return s->values.data[i].value;
  return e;
}

// e simplified, and its interval.
const Expr *sim_expr(Sim *s, const Expr *e, Interval *range) {
  *range = interval_of_type(e->type);
  switch (e->kind) {
  case EXPR_INT: *range = interval_of_value(e->type, e->value.i); return e;
  case EXPR_FLOAT: return e;
  case EXPR_VAR: *range = interval_of(&s->ranges, e); return settle(s, e, value_of(s, e), range);
  case EXPR_CAST: return simp_cast(s, e, range);
  case EXPR_UNARY: return simp_unary(s, e, range);
  case EXPR_BINARY: return simp_binary(s, e, range);
  case EXPR_SELECT: return simp_select(s, e, range);
  case EXPR_LOAD:
  case EXPR_REF: return expr_rebuild(s->cx, e, simp_child, s);
  case EXPR_MATH: return simp_math(s, e, range);
  }
  return e;
}

// One walk leaves next to nothing for another, but what a rule made may let one apply that was tried before.
const Expr *expr_simplify(Ctx *cx, const Ranges *r, const Expr *e) {
  for (int i = 0; i < SIM_WALKS; i++) {
    Sim s = sim_new(cx, r);
    Interval unused;
    const Expr *before = e;
    e = sim_expr(&s, e, &unused);
    if (e == before) break;
  }
  return e;
}

// SPDX-License-Identifier: Apache-2.0
// Algebraic simplification. One walk over the tree: every node comes back with its interval, so that no part is looked
// at again and the cost is linear. int64 expressions are collected into affine terms over atoms (terms_*); division,
// modulo and comparisons are decided on those. Every rule is exact for wrapping integers: those that reason about
// ordinary integers first make sure (terms_interval) that the sum cannot leave int64.
#include "tir/internal.h"

typedef struct Term {
  const Expr *atom;
  int64_t coef;
  Interval range; // of the atom
} Term;

typedef struct Terms {
  VEC(Term) list;
  int64_t constant;
  bool ok; // no coefficient and no constant wrapped on the way; only differences need it
} Terms;

static void terms_collect(Sim *s, Terms *t, const Expr *e, int64_t scale);

Sim sim_new(Ctx *cx, const Ranges *outer) {
  Sim s = {.cx = cx};
  if (outer) s.ranges = *outer;
  s.ranges.cap = s.ranges.len; // what is pushed goes elsewhere
  return s;
}

// ---- terms ----------------------------------------------------------------------------------------------------------

static int64_t add_wrap(Terms *t, int64_t a, int64_t b) {
  int64_t r;
  if (__builtin_add_overflow(a, b, &r)) t->ok = false;
  return r;
}

static int64_t mul_wrap(Terms *t, int64_t a, int64_t b) {
  int64_t r;
  if (__builtin_mul_overflow(a, b, &r)) t->ok = false;
  return r;
}

static void terms_add(Sim *s, Terms *t, const Expr *atom, int64_t coef, Interval range) {
  if (coef == 0) return;
  for (size_t i = 0; i < t->list.len; i++) {
    if (!expr_equal(t->list.data[i].atom, atom)) continue;
    t->list.data[i].coef = add_wrap(t, t->list.data[i].coef, coef);
    return;
  }
  Term term = {atom, coef, range};
  VEC_PUSH(s->cx->arena, t->list, term);
}

// The parts of an affine node: e = ka * a (+ kb * b). False: e is an atom.
static bool affine_parts(const Expr *e, const Expr **a, int64_t *ka, const Expr **b, int64_t *kb) {
  int64_t k;
  *b = NULL;
  *ka = *kb = 1;
  if (e->type != DT_I64) return false;
  if (e->kind == EXPR_UNARY && e->unop == UN_NEG) {
    *a = e->a;
    *ka = -1;
    return true;
  }
  if (e->kind != EXPR_BINARY) return false;
  if (e->binop == OP_ADD || e->binop == OP_SUB) {
    *a = e->a;
    *b = e->b;
    if (e->binop == OP_SUB) *kb = -1;
    return true;
  }
  if (e->binop == OP_MUL && (expr_is_int(e->b, ka) || expr_is_int(e->a, ka))) {
    *a = e->b->kind == EXPR_INT ? e->a : e->b;
    return true;
  }
  if (e->binop == OP_SHL && expr_is_int(e->b, &k) && (k & 63) < 63) {
    *a = e->a;
    *ka = (int64_t)1 << (k & 63);
    return true;
  }
  return false;
}

// Adds scale * e for an e that is simplified already; range, if known, is that of e as a whole.
static void terms_plain(Sim *s, Terms *t, const Expr *e, int64_t scale, const Interval *range) {
  const Expr *a, *b;
  int64_t ka, kb;
  if (e->kind == EXPR_INT) {
    t->constant = add_wrap(t, t->constant, mul_wrap(t, e->value.i, scale));
  } else if (affine_parts(e, &a, &ka, &b, &kb)) {
    terms_plain(s, t, a, mul_wrap(t, scale, ka), NULL);
    if (b) terms_plain(s, t, b, mul_wrap(t, scale, kb), NULL);
  } else {
    terms_add(s, t, e, scale, range ? *range : interval_of(&s->ranges, e));
  }
}

// x * y where neither is a literal: one of them may still simplify to one.
static void terms_product(Sim *s, Terms *t, const Expr *e, int64_t scale) {
  Interval ra, rb, r;
  const Expr *a = sim_expr(s, e->a, &ra), *b = sim_expr(s, e->b, &rb);
  if (ra.lo == ra.hi) {
    terms_plain(s, t, b, mul_wrap(t, scale, ra.lo), &rb);
  } else if (rb.lo == rb.hi) {
    terms_plain(s, t, a, mul_wrap(t, scale, rb.lo), &ra);
  } else {
    r = interval_binary(OP_MUL, DT_I64, ra, rb);
    if (a != e->a || b != e->b) e = expr_raw_binary(s->cx, OP_MUL, a, b, e->loc);
    terms_add(s, t, e, scale, r);
  }
}

// Adds scale * e, simplifying e's atoms.
static void terms_collect(Sim *s, Terms *t, const Expr *e, int64_t scale) {
  const Expr *a, *b;
  int64_t ka, kb;
  if (e->kind == EXPR_INT) {
    t->constant = add_wrap(t, t->constant, mul_wrap(t, e->value.i, scale));
  } else if (affine_parts(e, &a, &ka, &b, &kb)) {
    terms_collect(s, t, a, mul_wrap(t, scale, ka));
    if (b) terms_collect(s, t, b, mul_wrap(t, scale, kb));
  } else if (e->kind == EXPR_BINARY && e->binop == OP_MUL) {
    terms_product(s, t, e, scale);
  } else {
    Interval r;
    const Expr *atom = sim_expr(s, e, &r);
    terms_plain(s, t, atom, scale, &r);
  }
}

// Drops cancelled terms.
static void terms_compact(Terms *t) {
  size_t n = 0;
  for (size_t i = 0; i < t->list.len; i++)
    if (t->list.data[i].coef) t->list.data[n++] = t->list.data[i];
  t->list.len = n;
}

static bool is_op_const(const Expr *e, BinOp op, int64_t *k) {
  return e->kind == EXPR_BINARY && e->binop == op && expr_is_int(e->b, k);
}

// x / d * (d * k) + x % d * k is x * k, whatever x.
static void terms_recombine(Sim *s, Terms *t) {
  for (size_t i = 0; i < t->list.len; i++) {
    int64_t d, m, whole;
    Term *mod = &t->list.data[i];
    if (mod->coef == 0 || !is_op_const(mod->atom, OP_MOD, &m) || m <= 0) continue;
    for (size_t j = 0; j < t->list.len; j++) {
      Term *div = &t->list.data[j];
      if (div->coef == 0 || !is_op_const(div->atom, OP_DIV, &d) || d != m) continue;
      if (!mul_ok(mod->coef, d, &whole) || div->coef != whole) continue;
      if (!expr_equal(div->atom->a, mod->atom->a)) continue;
      const Expr *x = mod->atom->a;
      int64_t k = mod->coef;
      mod->coef = div->coef = 0;
      terms_compact(t);
      terms_plain(s, t, x, k, NULL);
      terms_compact(t);
      i = (size_t)-1; // from the start: x may bring new pairs
      break;
    }
  }
}

// The interval of the sum as ordinary integers. False: it may leave int64 (and then wraps). Where it does not, it is
// the value, even if coefficients wrapped while they were added up: both are the same modulo 2^64.
static bool terms_interval(const Terms *t, Interval *out) {
  Interval r = interval_point(t->constant), all = interval_all();
  for (size_t i = 0; i < t->list.len; i++) {
    Interval part = interval_scale(t->list.data[i].range, t->list.data[i].coef);
    r = (Interval){r.lo + part.lo, r.hi + part.hi};
    if (!interval_within(r, all)) return *out = all, false;
  }
  *out = r;
  return interval_is_int64(r);
}

static const Expr *terms_expr(Sim *s, const Terms *t) {
  Affine a = {.constant = t->constant, .terms = NEW_ARRAY(s->cx->arena, AffineTerm, t->list.len + 1)};
  for (size_t i = 0; i < t->list.len; i++)
    if (t->list.data[i].coef) a.terms[a.nterms++] = (AffineTerm){t->list.data[i].atom, t->list.data[i].coef};
  return affine_expr(s->cx, &a);
}

static Terms terms_copy(Sim *s, const Terms *t) {
  Terms r = {.constant = t->constant, .ok = t->ok};
  for (size_t i = 0; i < t->list.len; i++) VEC_PUSH(s->cx->arena, r.list, t->list.data[i]);
  return r;
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

// ---- division and modulo by a positive constant --------------------------------------------------------------------

// The greatest common divisor of d and all coefficients.
static int64_t terms_gcd(const Terms *t, int64_t d) {
  for (size_t i = 0; i < t->list.len; i++) d = common_divisor(t->list.data[i].coef, d);
  return d;
}

static Interval divide_range(Interval a, int64_t d) {
  return (Interval){wide_floor_div(a.lo, d), wide_floor_div(a.hi, d)};
}

// t = d * *q + *r, where the rest cannot wrap alone; else *r is the whole. *range: of *r.
static void terms_part(Sim *s, const Terms *t, int64_t d, Terms *q, Terms *r, Interval *range) {
  *q = *r = (Terms){.ok = true};
  for (size_t i = 0; i < t->list.len; i++) {
    Term x = t->list.data[i];
    if (x.coef % d == 0) terms_add(s, q, x.atom, x.coef / d, x.range);
    else terms_add(s, r, x.atom, x.coef, x.range);
  }
  q->constant = floor_div(t->constant, d);
  r->constant = floor_mod(t->constant, d);
  if (terms_interval(r, range)) return;
  *q = (Terms){.ok = true};
  *r = terms_copy(s, t);
  terms_interval(r, range);
}

// t / d as terms, for a t that stays in int64. Multiples of d come out: (d * q + r) / d = q + r / d; common factors
// cancel: (g * u + c) / (g * d) = (u + c / g) / d; (x / c) / d = x / (c * d).
static Terms terms_divide(Sim *s, const Terms *t, int64_t d) {
  Terms q, r;
  Interval range;
  int64_t k;
  terms_part(s, t, d, &q, &r, &range);
  int64_t g = terms_gcd(&r, d);
  for (size_t i = 0; i < r.list.len; i++) r.list.data[i].coef /= g;
  r.constant = floor_div(r.constant, g);
  d /= g;
  range = divide_range(range, g);
  Interval quotient = divide_range(range, d);
  if (quotient.lo == quotient.hi) {
    q.constant = add_wrap(&q, q.constant, quotient.lo);
  } else if (r.list.len == 1 && r.list.data[0].coef == 1 && r.constant == 0 &&
             is_op_const(r.list.data[0].atom, OP_DIV, &k) && k > 0 && mul_ok(k, d, &k)) {
    Terms inner = {.ok = true};
    terms_plain(s, &inner, r.list.data[0].atom->a, 1, NULL);
    if (terms_interval(&inner, &range)) {
      inner = terms_divide(s, &inner, k);
      for (size_t i = 0; i < inner.list.len; i++)
        terms_add(s, &q, inner.list.data[i].atom, inner.list.data[i].coef, inner.list.data[i].range);
      q.constant = add_wrap(&q, q.constant, inner.constant);
    } else {
      const Expr *x = expr_raw_binary(s->cx, OP_DIV, r.list.data[0].atom->a, expr_index(s->cx, k), (Loc){0});
      terms_add(s, &q, x, 1, quotient);
    }
  } else {
    const Expr *x = expr_raw_binary(s->cx, OP_DIV, terms_expr(s, &r), expr_index(s->cx, d), (Loc){0});
    terms_add(s, &q, x, 1, quotient);
  }
  terms_compact(&q);
  return q;
}

// t % d as terms, for a t that stays in int64: multiples of d go; (g * u + c) % (g * d) = g * (u % d) + c for
// 0 <= c < g; (x % (c * d)) % d = x % d.
static Terms terms_modulo(Sim *s, const Terms *t, int64_t d) {
  Terms multiples, r;
  Interval range;
  int64_t k;
  terms_part(s, t, d, &multiples, &r, &range);
  Interval quotient = divide_range(range, d);
  if (quotient.lo == quotient.hi) {
    r.constant = (int64_t)((uint64_t)r.constant - (uint64_t)quotient.lo * (uint64_t)d);
    return r;
  }
  if (r.list.len == 1 && r.list.data[0].coef == 1 && r.constant == 0 && is_op_const(r.list.data[0].atom, OP_MOD, &k) &&
      k > 0 && k % d == 0) {
    Terms inner = {.ok = true};
    terms_plain(s, &inner, r.list.data[0].atom->a, 1, NULL);
    if (terms_interval(&inner, &range)) return terms_modulo(s, &inner, d);
    const Expr *x = expr_raw_binary(s->cx, OP_MOD, r.list.data[0].atom->a, expr_index(s->cx, d), (Loc){0});
    inner = (Terms){.ok = true};
    terms_add(s, &inner, x, 1, (Interval){0, d - 1});
    return inner;
  }
  int64_t g = terms_gcd(&r, d), low = floor_mod(r.constant, g);
  for (size_t i = 0; i < r.list.len; i++) r.list.data[i].coef /= g;
  r.constant = floor_div(r.constant, g);
  Terms out = {.constant = low, .ok = true};
  if (g > 1) { // u % d may be simpler: (x % 16) % 8
    Terms u = terms_modulo(s, &r, d / g);
    for (size_t i = 0; i < u.list.len; i++)
      terms_add(s, &out, u.list.data[i].atom, u.list.data[i].coef * g, u.list.data[i].range);
    out.constant += u.constant * g;
    return out;
  }
  const Expr *x = expr_raw_binary(s->cx, OP_MOD, terms_expr(s, &r), expr_index(s->cx, d / g), (Loc){0});
  Interval u = divide_range(range, g), m = {d / g, d / g};
  terms_add(s, &out, x, g, interval_binary(OP_MOD, DT_I64, u, m));
  return out;
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

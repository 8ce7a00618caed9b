// SPDX-License-Identifier: Apache-2.0
// Sums of multiples of atoms, as the simplifier keeps int64 expressions, and their division and remainder by a positive
// constant. Exact for wrapping integers: what reasons about ordinary integers asks terms_interval first.
#include "tir/internal.h"

// ---- terms ----------------------------------------------------------------------------------------------------------

int64_t add_wrap(Terms *t, int64_t a, int64_t b) {
  int64_t r;
  if (__builtin_add_overflow(a, b, &r)) t->ok = false;
  return r;
}

int64_t mul_wrap(Terms *t, int64_t a, int64_t b) {
  int64_t r;
  if (__builtin_mul_overflow(a, b, &r)) t->ok = false;
  return r;
}

void terms_add(Sim *s, Terms *t, const Expr *atom, int64_t coef, Interval range) {
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

void terms_collect(Sim *s, Terms *t, const Expr *e, int64_t scale) {
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

void terms_compact(Terms *t) {
  size_t n = 0;
  for (size_t i = 0; i < t->list.len; i++)
    if (t->list.data[i].coef) t->list.data[n++] = t->list.data[i];
  t->list.len = n;
}

bool is_op_const(const Expr *e, BinOp op, int64_t *k) {
  return e->kind == EXPR_BINARY && e->binop == op && expr_is_int(e->b, k);
}

void terms_recombine(Sim *s, Terms *t) {
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

bool terms_interval(const Terms *t, Interval *out) {
  Interval r = interval_point(t->constant), all = interval_all();
  for (size_t i = 0; i < t->list.len; i++) {
    Interval part = interval_scale(t->list.data[i].range, t->list.data[i].coef);
    r = (Interval){r.lo + part.lo, r.hi + part.hi};
    if (!interval_within(r, all)) return *out = all, false;
  }
  *out = r;
  return interval_is_int64(r);
}

const Expr *terms_expr(Sim *s, const Terms *t) {
  Affine a = {.constant = t->constant, .terms = NEW_ARRAY(s->cx->arena, AffineTerm, t->list.len + 1)};
  for (size_t i = 0; i < t->list.len; i++)
    if (t->list.data[i].coef) a.terms[a.nterms++] = (AffineTerm){t->list.data[i].atom, t->list.data[i].coef};
  return affine_expr(s->cx, &a);
}

Terms terms_copy(Sim *s, const Terms *t) {
  Terms r = {.constant = t->constant, .ok = t->ok};
  for (size_t i = 0; i < t->list.len; i++) VEC_PUSH(s->cx->arena, r.list, t->list.data[i]);
  return r;
}

// ---- division and modulo by a positive constant --------------------------------------------------------------------

int64_t terms_gcd(const Terms *t, int64_t d) {
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

Terms terms_divide(Sim *s, const Terms *t, int64_t d) {
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

Terms terms_modulo(Sim *s, const Terms *t, int64_t d) {
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

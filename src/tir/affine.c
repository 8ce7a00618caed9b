// SPDX-License-Identifier: Apache-2.0
// Affine forms of int64 expressions. int64 arithmetic wraps, so it is the ring of integers modulo 2^64, and collecting
// terms is exact whatever the values; `ok` only tells that a coefficient no longer is the one of ordinary integers.
#include "tir/internal.h"

// a + b, a * b modulo 2^64; *ok turns false when that is not the integer result.
static int64_t wrap_add(int64_t a, int64_t b, bool *ok) {
  int64_t r;
  if (__builtin_add_overflow(a, b, &r)) *ok = false;
  return r;
}

static int64_t wrap_mul(int64_t a, int64_t b, bool *ok) {
  int64_t r;
  if (__builtin_mul_overflow(a, b, &r)) *ok = false;
  return r;
}

typedef struct Builder {
  Ctx *cx;
  VEC(AffineTerm) terms;
  int64_t constant;
  bool ok;
} Builder;

static bool same_atom(const Expr *a, const Expr *b) {
  return a == b || (a->kind == EXPR_VAR && b->kind == EXPR_VAR ? a->var == b->var : expr_equal(a, b));
}

static void add_term(Builder *b, const Expr *atom, int64_t coef) {
  if (coef == 0) return;
  for (size_t i = 0; i < b->terms.len; i++) {
    AffineTerm *t = &b->terms.data[i];
    if (!same_atom(t->atom, atom)) continue;
    t->coef = wrap_add(t->coef, coef, &b->ok);
    return;
  }
  AffineTerm t = {.atom = atom, .coef = coef};
  VEC_PUSH(b->cx->arena, b->terms, t);
}

// Adds scale * e.
static void collect(Builder *b, const Expr *e, int64_t scale) {
  int64_t k;
  if (e->type == DT_I64) switch (e->kind) {
    case EXPR_INT: b->constant = wrap_add(b->constant, wrap_mul(e->value.i, scale, &b->ok), &b->ok); return;
    case EXPR_UNARY:
      if (e->unop != UN_NEG) break;
      collect(b, e->a, wrap_mul(scale, -1, &b->ok));
      return;
    case EXPR_BINARY:
      if (e->binop == OP_ADD || e->binop == OP_SUB) {
        collect(b, e->a, scale);
        collect(b, e->b, e->binop == OP_ADD ? scale : wrap_mul(scale, -1, &b->ok));
        return;
      }
      if (e->binop == OP_MUL && (expr_is_int(e->b, &k) || expr_is_int(e->a, &k))) {
        collect(b, e->b->kind == EXPR_INT ? e->a : e->b, wrap_mul(scale, k, &b->ok));
        return;
      }
      if (e->binop == OP_SHL && expr_is_int(e->b, &k)) {
        if ((k & 63) == 63) b->ok = false;
        collect(b, e->a, wrap_mul(scale, (int64_t)((uint64_t)1 << (k & 63)), &b->ok));
        return;
      }
      break;
    case EXPR_FLOAT:
    case EXPR_VAR:
    case EXPR_CAST:
    case EXPR_SELECT:
    case EXPR_LOAD:
    case EXPR_REF:
    case EXPR_MATH: break; // an atom
    }
  add_term(b, e, scale);
}

// The terms without those that cancelled.
static Affine finish(Builder *b) {
  Affine a = {.constant = b->constant, .terms = b->terms.data};
  for (size_t i = 0; i < b->terms.len; i++)
    if (b->terms.data[i].coef) a.terms[a.nterms++] = b->terms.data[i];
  return a;
}

Affine affine_of(Ctx *cx, const Expr *e, bool *ok) {
  Builder b = {.cx = cx, .ok = true};
  collect(&b, e, 1);
  if (ok) *ok = b.ok;
  return finish(&b);
}

// sum + coef * atom; sum may be NULL for nothing.
static const Expr *plus_term(Ctx *cx, const Expr *sum, const Expr *atom, int64_t coef) {
  bool minus = sum && coef < 0 && coef != INT64_MIN;
  int64_t k = minus ? -coef : coef;
  const Expr *e = k == 1            ? atom
                  : k == -1 && !sum ? expr_unary(cx, UN_NEG, atom)
                                    : expr_binary(cx, OP_MUL, atom, expr_index(cx, k));
  return !sum ? e : expr_binary(cx, minus ? OP_SUB : OP_ADD, sum, e);
}

const Expr *affine_expr(Ctx *cx, const Affine *a) {
  const Expr *sum = NULL;
  for (int i = 0; i < a->nterms; i++) sum = plus_term(cx, sum, a->terms[i].atom, a->terms[i].coef);
  if (!sum) return expr_index(cx, a->constant);
  if (a->constant < 0 && a->constant != INT64_MIN) return expr_binary(cx, OP_SUB, sum, expr_index(cx, -a->constant));
  return a->constant ? expr_binary(cx, OP_ADD, sum, expr_index(cx, a->constant)) : sum;
}

Affine affine_add(Ctx *cx, const Affine *a, int64_t scale, const Affine *b) {
  Builder r = {.cx = cx, .ok = true};
  r.constant = wrap_add(a->constant, wrap_mul(b->constant, scale, &r.ok), &r.ok);
  for (int i = 0; i < a->nterms; i++) add_term(&r, a->terms[i].atom, a->terms[i].coef);
  for (int i = 0; i < b->nterms; i++) add_term(&r, b->terms[i].atom, wrap_mul(b->terms[i].coef, scale, &r.ok));
  return finish(&r);
}

Affine affine_scale(Ctx *cx, const Affine *a, int64_t k) {
  Affine none = {0};
  return affine_add(cx, &none, k, a);
}

int64_t affine_coef(const Affine *a, const Var *v) {
  for (int i = 0; i < a->nterms; i++)
    if (a->terms[i].atom->kind == EXPR_VAR && a->terms[i].atom->var == v) return a->terms[i].coef;
  return 0;
}

Affine affine_without(Ctx *cx, const Affine *a, const Var *v) {
  Affine r = {.constant = a->constant, .terms = NEW_ARRAY(cx->arena, AffineTerm, a->nterms + 1)};
  for (int i = 0; i < a->nterms; i++)
    if (a->terms[i].atom->kind != EXPR_VAR || a->terms[i].atom->var != v) r.terms[r.nterms++] = a->terms[i];
  return r;
}

// The same terms, in whatever order.
bool affine_equal(const Affine *a, const Affine *b) {
  if (a->constant != b->constant || a->nterms != b->nterms) return false;
  for (int i = 0; i < a->nterms; i++) {
    bool found = false;
    for (int j = 0; j < b->nterms && !found; j++)
      found = a->terms[i].coef == b->terms[j].coef && same_atom(a->terms[i].atom, b->terms[j].atom);
    if (!found) return false;
  }
  return true;
}

bool affine_mentions(const Affine *a, const Var *v) {
  for (int i = 0; i < a->nterms; i++)
    if (expr_uses_var(a->terms[i].atom, v)) return true;
  return false;
}

// SPDX-License-Identifier: Apache-2.0
// Accesses and conflicts: which places an access touches, and whether two touch the same one in the same turn of the
// loops around both, or in turns of a loop that are some way apart.
//
//     for v in 0..8 { for k in 0..4 { .. x[16 * v + 2 * k + 3] .. } }     seen from inside v: 16 * v + [3, 9]
//
// A footprint keeps what both sides of a comparison have in common as a form, and an interval of what is left. Two with
// equal forms meet if their intervals do; in turns d apart, if the form's step times d brings them together. What is
// not the same on both sides is widened: its bounds go into the interval. So a footprint is never smaller than the
// truth.
//
// Unknown is the whole buffer, and that may touch whatever is in it: bounds that do not fit 62 bits (an index may have
// wrapped into the buffer), data that may be written between two evaluations of an index.
#include "tir/internal.h"

// Far from overflow, for sums of four.
static const int64_t far = (int64_t)1 << 61;

static bool is_near(Wide v) { return v > -far && v < far; }

static Footprint unknown(Footprint f) {
  f.form = (Affine){0};
  f.lo = f.first;
  f.hi = f.last;
  return f;
}

Footprint footprint_whole(const void *space, bool write, int64_t first, int64_t size) {
  return unknown((Footprint){.space = space, .write = write, .first = first, .last = first + size - 1});
}

// Loads but from inputs and constants, which nothing stores to.
static bool note_changing(void *self, const Expr *e) {
  if (e->kind == EXPR_LOAD && e->buffer->role != BUF_INPUT && e->buffer->role != BUF_CONST) *(bool *)self = true;
  return !*(bool *)self;
}

typedef struct Mentions {
  const Ranges *r;
  size_t from;
  bool found;
} Mentions;

static bool note_mention(void *self, const Expr *e) {
  Mentions *m = self;
  for (size_t i = m->from; e->kind == EXPR_VAR && i < m->r->len; i++) m->found |= m->r->data[i].var == e->var;
  return !m->found;
}

// Whether an atom varies with the variables of r from entry `from` on.
static bool varies(const Ranges *r, const Expr *atom, size_t from) {
  Mentions m = {.r = r, .from = from};
  if (from == 0) return true;
  if (atom->kind == EXPR_VAR) return !note_mention(&m, atom);
  expr_visit(atom, note_mention, &m);
  return m.found;
}

Footprint footprint_widen(Ctx *cx, const Ranges *r, const Footprint *f, size_t from) {
  Footprint w = *f;
  w.form.nterms = 0;
  Wide lo = f->lo, hi = f->hi;
  for (int i = 0; i < f->form.nterms; i++) {
    AffineTerm term = f->form.terms[i];
    if (!varies(r, term.atom, from)) {
      if (w.form.terms == f->form.terms) w.form.terms = NEW_ARRAY(cx->arena, AffineTerm, f->form.nterms);
      w.form.terms[w.form.nterms++] = term;
      continue;
    }
    int64_t least, most;
    expr_bounds(r, term.atom, &least, &most); // at worst those of its type
    Wide x = (Wide)term.coef * least, y = (Wide)term.coef * most;
    lo += x < y ? x : y;
    hi += x < y ? y : x;
    if (!is_near(lo) || !is_near(hi)) return unknown(*f);
  }
  w.lo = (int64_t)lo;
  w.hi = (int64_t)hi;
  if (w.form.nterms) return w;
  if (w.lo < w.first) w.lo = w.first;
  if (w.hi > w.last) w.hi = w.last;
  return w;
}

Footprint footprint_of(Ctx *cx, const Ranges *r, const void *space, bool write, int64_t first, int64_t size,
                       const Affine *index, int64_t count) {
  Footprint f = {.space = space, .write = write, .first = first, .last = first + size - 1};
  Wide lo = (Wide)first + index->constant, hi = lo + (count < 1 ? 1 : count) - 1;
  bool changing = false;
  for (int i = 0; i < index->nterms; i++)
    if (index->terms[i].atom->kind != EXPR_VAR) expr_visit(index->terms[i].atom, note_changing, &changing);
  if (!is_near(lo) || !is_near(hi)) return unknown(f);
  f.lo = (int64_t)lo;
  f.hi = (int64_t)hi;
  f.form = (Affine){.nterms = index->nterms, .terms = index->terms};
  return changing || !index->nterms ? footprint_widen(cx, r, &f, 0) : f;
}

// Whether nothing needs to be known of places: two reads, other memories, other buffers.
static bool apart(const Footprint *a, const Footprint *b) {
  return a->space != b->space || !(a->write || b->write) || a->last < b->first || b->last < a->first;
}

static bool intervals_meet(const Footprint *a, const Footprint *b) { return a->lo <= b->hi && b->lo <= a->hi; }

bool footprints_meet(Ctx *cx, const Ranges *r, const Footprint *a, const Footprint *b) {
  if (apart(a, b)) return false;
  if (affine_equal(&a->form, &b->form)) return intervals_meet(a, b);
  Footprint x = footprint_widen(cx, r, a, 0), y = footprint_widen(cx, r, b, 0);
  return intervals_meet(&x, &y);
}

// Whether lo <= step * d <= hi for a d in least .. most.
static bool steps_into(int64_t step, int64_t lo, int64_t hi, int64_t least, int64_t most) {
  if (step == 0 || lo > hi) return lo <= 0 && hi >= 0;
  if (step == INT64_MIN || lo == INT64_MIN || hi == INT64_MIN) return true; // they have no negative: nothing is known
  if (step < 0) {
    int64_t old = lo;
    step = -step;
    lo = -hi;
    hi = -old;
  }
  int64_t from = -floor_div(-lo, step), to = floor_div(hi, step);
  return (from < least ? least : from) <= (to > most ? most : to);
}

bool footprints_meet_later(Ctx *cx, const Ranges *r, const Footprint *a, const Footprint *b, const Var *v,
                           int64_t least, int64_t most) {
  if (apart(a, b) || least > most) return false;
  int64_t step = affine_coef(&a->form, v);
  Affine x = affine_without(cx, &a->form, v), y = affine_without(cx, &b->form, v);
  bool same = step == affine_coef(&b->form, v) && affine_equal(&x, &y) && !affine_mentions(&x, v);
  if (same && is_near((Wide)step * most) && is_near((Wide)step * least))
    return steps_into(step, a->lo - b->hi, a->hi - b->lo, least, most);
  Footprint p = footprint_widen(cx, r, a, 0), q = footprint_widen(cx, r, b, 0);
  return intervals_meet(&p, &q);
}

void footprint_absorb(Footprint *a, const Footprint *b) {
  if (b->lo < a->lo) a->lo = b->lo;
  if (b->hi > a->hi) a->hi = b->hi;
  if (b->first < a->first) a->first = b->first;
  if (b->last > a->last) a->last = b->last;
}

// ---- addresses of arrays --------------------------------------------------------------------------------------------

static bool is_part(const Expr *e, BinOp op) { return e->kind == EXPR_BINARY && e->binop == op && e->type == DT_I64; }

// k * c * (x / c) + k * (x % c) is k * x: fused loops. False: there is no such pair of terms.
static bool join_parts(Ctx *cx, Affine *a) {
  for (int i = 0; i < a->nterms; i++) {
    const Expr *mod = a->terms[i].atom;
    int64_t c, k = a->terms[i].coef, kc;
    if (!is_part(mod, OP_MOD) || !expr_is_int(mod->b, &c) || c <= 0 || k == INT64_MIN ||
        !mul_ok(k < 0 ? -k : k, c, &kc))
      continue;
    for (int j = 0; j < a->nterms; j++) {
      const Expr *div = a->terms[j].atom;
      if (!is_part(div, OP_DIV) || a->terms[j].coef != (k < 0 ? -kc : kc) || !expr_equal(div->b, mod->b) ||
          !expr_equal(div->a, mod->a))
        continue;
      Affine rest = {.constant = a->constant, .terms = NEW_ARRAY(cx->arena, AffineTerm, a->nterms)},
             x = affine_of(cx, mod->a, NULL);
      for (int t = 0; t < a->nterms; t++)
        if (t != i && t != j) rest.terms[rest.nterms++] = a->terms[t];
      *a = affine_add(cx, &rest, k, &x);
      return true;
    }
  }
  return false;
}

Affine access_address(Ctx *cx, const Buffer *b, const Expr *const *args) {
  Affine sum = {0};
  int64_t stride = buffer_elems(b);
  for (int i = 0; i < b->ndim; i++) {
    stride /= b->shape[i];
    Affine term = affine_of(cx, args[i], NULL);
    sum = affine_add(cx, &sum, stride, &term);
  }
  while (join_parts(cx, &sum))
    ;
  return sum;
}

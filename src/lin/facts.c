// SPDX-License-Identifier: Apache-2.0
// Facts `form >= 0` about atoms, and what follows from them: ranges of atoms, and of forms by a step of Fourier and
// Motzkin's with each fact.
#include "lin/internal.h"

FactsMark facts_mark(const Facts *f) { return (FactsMark){f->list.len, f->stamp, f->dead}; }

void facts_back(Facts *f, FactsMark m) {
  f->list.len = m.len;
  f->stamp = m.stamp;
  f->dead = m.dead;
}

void facts_renew(Facts *f) { f->stamp = ++f->stamps; }

void facts_forget_atoms(Facts *f) { f->atoms.len = 0; }

// ---- ranges ----------------------------------------------------------------------------------------------------

static Interval range_of_atom(Facts *f, int i) {
  if (f->atoms.data[i].stamp == f->stamp) return f->atoms.data[i].cached;
  const void *what = f->atoms.data[i].what;
  if (f->atoms.data[i].busy) return interval_of_type(f->read->node(what).type);
  f->atoms.data[i].busy = true;
  Interval r = facts_range_of_parts(f, what);
  f->atoms.data[i].busy = false;
  for (size_t k = 0; k < f->list.len; k++)
    if (f->list.data[k].atom == i) r = interval_meet(r, f->list.data[k].range);
  f->atoms.data[i].cached = r; // the vector may have grown
  f->atoms.data[i].stamp = f->stamp;
  return r;
}

// Adds k * the range of an atom to *sum; false if that may be cut.
static bool add_reach(Facts *f, Interval *sum, int atom, Wide k) {
  Interval reach = interval_scale(range_of_atom(f, atom), k);
  sum->lo += reach.lo;
  sum->hi += reach.hi;
  return reach.hi < WIDE_FAR && reach.lo > -WIDE_FAR;
}

enum { NARROWING_MAX = 4 }; // deeper than that only what needs no atom's range is made of facts

// The range of q * x + p * y by the ranges of its atoms; without bounds if that is too large.
static Interval range_of_sum(Facts *f, LinForm x, Wide q, LinForm y, Wide p) {
  Interval r = interval_point(q * x.c + p * y.c);
  for (int i = 0, j = 0; i < x.n || j < y.n;) {
    bool first = j >= y.n || (i < x.n && x.terms[i].atom <= y.terms[j].atom);
    bool second = i >= x.n || (j < y.n && y.terms[j].atom <= x.terms[i].atom);
    int atom = first ? x.terms[i].atom : y.terms[j].atom;
    Wide k = (first ? q * x.terms[i].coef : 0) + (second ? p * y.terms[j].coef : 0);
    i += first;
    j += second;
    if (k && (f->narrowing > NARROWING_MAX || !add_reach(f, &r, atom, k))) return interval_all();
  }
  return r;
}

// What a fact g >= 0 says of x, an atom of theirs eliminated: where x has it p times for q times in g, q * x - p * g
// lacks it. If p > 0, x >= that / q because g >= 0; else x <= that / q. So `m * 5 + n - 3 >= 0` says that
// `m * 80 + n * 16 + j - 48` is at least j.
static Interval narrowed_by(Facts *f, LinForm x, LinForm g, Interval r) {
  Ratio all[RATIOS_MAX];
  for (int i = 0, n = form_ratios(x, g, all); i < n && (f->work -= x.n + g.n) >= 0; i++) {
    Interval rest = range_of_sum(f, x, all[i].q, g, -(Wide)all[i].p);
    if (all[i].p > 0) r.lo = wide_max(r.lo, -wide_floor_div(-rest.lo, all[i].q));
    else r.hi = wide_min(r.hi, wide_floor_div(rest.hi, all[i].q));
  }
  return r;
}

Interval facts_range_by_atoms(Facts *f, LinForm x) {
  if (!x.ok) return interval_all();
  Interval r = interval_point(x.c);
  for (int i = 0; i < x.n; i++) {
    if (interval_is_empty(range_of_atom(f, x.terms[i].atom))) return interval_none();
    add_reach(f, &r, x.terms[i].atom, x.terms[i].coef);
  }
  return r;
}

Interval facts_range_of_form(Facts *f, LinForm x) {
  Interval r = facts_range_by_atoms(f, x);
  f->narrowing++;
  for (size_t i = 0; x.ok && i < f->list.len && f->work > 0; i++)
    if (f->list.data[i].atom < 0) r = narrowed_by(f, x, f->list.data[i].form, r);
  f->narrowing--;
  return r;
}

// ---- facts -----------------------------------------------------------------------------------------------------

static void push_fact(Facts *f, Fact fact) {
  VEC_PUSH(f->arena, f->list, fact);
  facts_renew(f);
  if (fact.atom < 0) return;
  Interval r = range_of_atom(f, fact.atom);
  if (interval_is_empty(r)) f->dead = true;
  else facts_deduce(f, f->atoms.data[fact.atom].what, r);
}

// From x >= 0 follows for each atom a bound that the ranges of the others leave.
void facts_add(Facts *f, LinForm x) {
  if (!x.ok || f->dead) return;
  if (x.n == 0) {
    if (x.c < 0) f->dead = true;
    return;
  }
  x = form_tightened(f->arena, x);
  Wide hi = x.c;
  bool cut = false;
  for (int i = 0; i < x.n; i++) {
    Interval r = range_of_atom(f, x.terms[i].atom);
    Wide reach = wide_mul(x.terms[i].coef, x.terms[i].coef > 0 ? r.hi : r.lo);
    if (interval_is_empty(r) || reach >= WIDE_FAR || reach <= -WIDE_FAR) cut = true;
    hi += reach;
  }
  if (cut) return;
  if (x.n > 1) push_fact(f, (Fact){.atom = -1, .form = x});
  for (int i = 0; i < x.n && !f->dead; i++) {
    Wide k = x.terms[i].coef;
    Interval r = range_of_atom(f, x.terms[i].atom);
    // What the others reach at most; an atom narrowed meanwhile only makes it an overestimate.
    Wide rest = hi - k * (k > 0 ? r.hi : r.lo);
    Fact fact = {.atom = x.terms[i].atom, .range = interval_all()};
    if (k > 0) fact.range.lo = -wide_floor_div(rest, k); // k * atom >= -rest
    else fact.range.hi = wide_floor_div(rest, -k);
    if (fact.range.lo > r.lo || fact.range.hi < r.hi) push_fact(f, fact);
  }
}

// x - y - c >= 0
static void add_difference(Facts *f, LinForm x, LinForm y, int64_t c) {
  facts_add(f, form_add(f->arena, form_add(f->arena, x, y, -1), form_const(c), -1));
}

void facts_compare(Facts *f, BinOp op, LinForm x, LinForm y) {
  if (op == OP_LT || op == OP_LE) add_difference(f, y, x, op == OP_LT);
  if (op == OP_GT || op == OP_GE) add_difference(f, x, y, op == OP_GT);
  if (op == OP_EQ) {
    add_difference(f, x, y, 0);
    add_difference(f, y, x, 0);
  }
  if (op == OP_NE) { // says something where one of them is at the other's end
    Interval r = facts_range_of_form(f, form_add(f->arena, x, y, -1));
    if (r.lo == 0) add_difference(f, x, y, 1);
    if (r.hi == 0) add_difference(f, y, x, 1);
  }
}

// SPDX-License-Identifier: Apache-2.0
// Systems of linear constraints over integers, and whether one has no solution: by Fourier's and Motzkin's elimination,
// constants rounded where coefficients have something in common. What is called empty is; of what is not, nothing is
// known. A constraint that overflows is left out: without it, a system has no fewer solutions.
#include "lin/lin.h"

#include <string.h>

typedef struct LinRow {
  bool equal; // k . v + c == 0; else >= 0
  int64_t c;
  int64_t *k;
} LinRow;

struct LinSystem {
  Arena *arena;
  int nvars;
  VEC(LinRow) rows;
  bool empty; // a row says so by itself
};

LinSystem *system_new(Arena *arena, int nvars) {
  LinSystem *s = NEW(arena, LinSystem);
  s->arena = arena;
  s->nvars = nvars;
  return s;
}

// Divides a row by what its coefficients have in common. False: it says nothing any more.
static bool tighten(LinSystem *s, LinRow *r) {
  int64_t common = 0;
  for (int i = 0; i < s->nvars; i++) {
    if (r->k[i] == INT64_MIN) return false;
    common = common_divisor(common, r->k[i]);
  }
  if (r->c == INT64_MIN) return false;
  if (!common) {
    s->empty |= r->equal ? r->c != 0 : r->c < 0;
    return false;
  }
  if (common == 1) return true;
  if (r->equal && r->c % common) return s->empty = true, false;
  for (int i = 0; i < s->nvars; i++) r->k[i] /= common;
  r->c = floor_div(r->c, common);
  return true;
}

static bool same_slope(const LinSystem *s, const LinRow *a, const LinRow *b) {
  return memcmp(a->k, b->k, (size_t)s->nvars * sizeof *a->k) == 0;
}

// Adds a row; of two inequalities that differ by their constants the stronger one stays.
static void push(LinSystem *s, LinRow r) {
  if (!tighten(s, &r)) return;
  for (size_t i = 0; i < s->rows.len && !r.equal; i++) {
    LinRow *old = &s->rows.data[i];
    if (old->equal || !same_slope(s, old, &r)) continue;
    if (r.c < old->c) old->c = r.c;
    return;
  }
  VEC_PUSH(s->arena, s->rows, r);
}

void system_add(LinSystem *s, LinForm f, bool equal) {
  if (!f.ok) return;
  LinRow r = {equal, f.c, NEW_ARRAY(s->arena, int64_t, s->nvars + 1)};
  for (int i = 0; i < f.n; i++) r.k[f.terms[i].atom] = f.terms[i].coef;
  push(s, r);
}

LinSystem *system_copy(Arena *arena, const LinSystem *s) {
  LinSystem *out = system_new(arena, s->nvars);
  out->empty = s->empty;
  for (size_t i = 0; i < s->rows.len; i++) {
    LinRow r = s->rows.data[i];
    r.k = arena_copy(arena, r.k, ((size_t)s->nvars + 1) * sizeof *r.k);
    VEC_PUSH(arena, out->rows, r);
  }
  return out;
}

// p * x + q * y; false: it overflows.
static bool combine(LinSystem *s, const LinRow *x, int64_t p, const LinRow *y, int64_t q, LinRow *out) {
  int64_t a, b;
  *out = (LinRow){x->equal && y->equal, 0, NEW_ARRAY(s->arena, int64_t, s->nvars + 1)};
  if (!mul_ok(x->c, p, &a) || !mul_ok(y->c, q, &b) || !add_ok(a, b, &out->c)) return false;
  for (int i = 0; i < s->nvars; i++)
    if (!mul_ok(x->k[i], p, &a) || !mul_ok(y->k[i], q, &b) || !add_ok(a, b, &out->k[i])) return false;
  return true;
}

// Eliminates v from all rows by an equality that has it.
static void substitute(LinSystem *s, size_t at, int v) {
  LinRow e = s->rows.data[at], r;
  VEC(LinRow) old = {s->rows.data, s->rows.len, s->rows.cap};
  memset(&s->rows, 0, sizeof s->rows);
  for (size_t i = 0; i < old.len && !s->empty; i++) {
    int64_t k = old.data[i].k[v], a = e.k[v];
    if (i == at) continue;
    if (!k) push(s, old.data[i]);
    else if (combine(s, &old.data[i], a < 0 ? -a : a, &e, a < 0 ? k : -k, &r)) push(s, r);
  }
}

// An equality, and the variable of its smallest coefficient; false: there is none.
static bool find_equality(const LinSystem *s, size_t *at, int *v) {
  int64_t best = INT64_MAX;
  for (size_t i = 0; i < s->rows.len; i++)
    for (int k = 0; k < s->nvars && s->rows.data[i].equal; k++) {
      int64_t c = s->rows.data[i].k[k], size = c < 0 ? -c : c;
      if (size && size < best) best = size, *at = i, *v = k;
    }
  return best < INT64_MAX;
}

// The variable whose elimination makes the fewest rows; -1: there is none left.
static int find_variable(const LinSystem *s) {
  int best = -1;
  int64_t cost = INT64_MAX;
  for (int v = 0; v < s->nvars; v++) {
    int64_t up = 0, down = 0;
    for (size_t i = 0; i < s->rows.len; i++) {
      up += s->rows.data[i].k[v] > 0;
      down += s->rows.data[i].k[v] < 0;
    }
    if (up + down && up * down - up - down < cost) cost = up * down - up - down, best = v;
  }
  return best;
}

enum { MOST_ROWS = 400 };

// Fourier and Motzkin: each lower bound of v is at most each upper one. False: too many rows come of it.
static bool eliminate(LinSystem *s, int v) {
  VEC(LinRow) old = {s->rows.data, s->rows.len, s->rows.cap};
  LinRow r;
  memset(&s->rows, 0, sizeof s->rows);
  for (size_t i = 0; i < old.len && !s->empty; i++) {
    if (!old.data[i].k[v]) push(s, old.data[i]);
    for (size_t j = 0; j < old.len && old.data[i].k[v] > 0; j++)
      if (old.data[j].k[v] < 0 && combine(s, &old.data[i], -old.data[j].k[v], &old.data[j], old.data[i].k[v], &r))
        push(s, r);
    if (s->rows.len > MOST_ROWS) return false;
  }
  return true;
}

bool system_is_empty(const LinSystem *given) {
  Arena *scratch = arena_new();
  LinSystem *s = system_copy(scratch, given);
  size_t at = 0;
  int v = 0;
  bool going = true;
  while (going && !s->empty) {
    if (find_equality(s, &at, &v)) substitute(s, at, v);
    else if ((v = find_variable(s)) >= 0) going = eliminate(s, v);
    else going = false;
  }
  bool empty = s->empty;
  arena_free(scratch);
  return empty;
}

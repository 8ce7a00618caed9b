// SPDX-License-Identifier: Apache-2.0
// Normalisation: a copy as numbers. Both sides are linearised (row-major element index), divisions and modulos by
// constants are removed by splitting the loops they are of, conditions become bounds. What is left is the nest's work.
#include <string.h>

#include "lin/lin.h"
#include "passes/inject_copy/internal.h"

// A nest on its way: expressions over the loops' variables, which splitting substitutes.
typedef struct Draft {
  CopyCx *c;
  const CopyStore *from;
  CopyNest *nest;
  VEC(Loop) loops;  // outermost first; chip and dram are not yet valid
  int nchip, ndram; // indices of either side
  const Expr **chip_index, **dram_index;
  CondVec conds; // guards first
  size_t nguards;
  // Computed from the above by draft_read:
  Affine chip, dram;
  VEC(Affine) bounds; // >= 0 each
  VEC(bool) bound_guard;
  VEC(HostCond) rest; // conditions that are no bounds
} Draft;

#define INDEX_MAX ((int64_t)1 << 60) // numbers beyond are not reasoned about: sums of them may wrap

bool affine_bounds(CopyCx *c, const Affine *a, int64_t *lo, int64_t *hi) {
  return expr_bounds(&c->ranges, affine_expr(c->cx, a), lo, hi);
}

// Whether the known ranges keep a far from wrapping.
static bool affine_is_small(CopyCx *c, const Affine *a) {
  int64_t lo, hi;
  return affine_bounds(c, a, &lo, &hi) && lo > -INDEX_MAX && hi < INDEX_MAX;
}

Affine affine_const(int64_t k) { return (Affine){.constant = k}; }

// ---- affine forms of indices ----------------------------------------------------------------------------------------

// e is something / k or something % k for a constant k > 0.
static bool is_divmod(const Expr *e, int64_t *k) {
  return e->kind == EXPR_BINARY && (e->binop == OP_DIV || e->binop == OP_MOD) && expr_is_int(e->b, k) && *k > 0;
}

// a = k * *quotient + *rest, the rest made of the terms that k does not divide.
static void affine_part(Ctx *cx, const Affine *a, int64_t k, Affine *quotient, Affine *rest) {
  *quotient = affine_const(floor_div(a->constant, k));
  *rest = affine_const(floor_mod(a->constant, k));
  for (int i = 0; i < a->nterms; i++) {
    Affine term = {.nterms = 1, .terms = &a->terms[i]};
    if (a->terms[i].coef % k) {
      *rest = affine_add(cx, rest, 1, &term);
    } else {
      AffineTerm divided = {a->terms[i].atom, a->terms[i].coef / k};
      Affine part = {.nterms = 1, .terms = &divided};
      *quotient = affine_add(cx, quotient, 1, &part);
    }
  }
}

// ---- tables: expressions of one variable with a short range ---------------------------------------------------------

#define TABLE_MAX 64 // values of a variable that are tried

typedef struct Table {
  const Var *var; // the only one; NULL if there is none
  bool fine;      // nothing but it and constants
  int64_t lo, n;
  int64_t value[TABLE_MAX]; // of the expression at lo, lo + 1, ...
} Table;

static bool table_visit(void *self, const Expr *e) {
  Table *t = self;
  if (e->kind == EXPR_LOAD || e->kind == EXPR_REF) t->fine = false;
  if (e->kind != EXPR_VAR) return t->fine;
  t->fine &= !t->var || t->var == e->var;
  t->var = e->var;
  return t->fine;
}

// All values of e, if they depend on one variable with a short range.
static bool table_of(CopyCx *c, const Expr *e, Table *t) {
  int64_t hi;
  *t = (Table){.fine = true};
  expr_visit(e, table_visit, t);
  if (!t->fine || !t->var || !ranges_find(&c->ranges, t->var, &t->lo, &hi)) return false;
  if (t->lo <= -INDEX_MAX || hi >= INDEX_MAX || hi - t->lo >= TABLE_MAX) return false;
  for (t->n = 0; t->n <= hi - t->lo; t->n++) {
    const Expr *at = expr_index(c->cx, t->lo + t->n);
    TirSubst s = {.nvars = 1, .vars = &t->var, .values = &at};
    if (!expr_is_int(expr_simplify(c->cx, NULL, expr_subst(c->cx, e, &s)), &t->value[t->n])) return false;
  }
  return true;
}

// e as an affine function of its only variable, if its values are evenly spaced.
static bool table_affine(CopyCx *c, const Expr *e, Affine *out) {
  Table t;
  if (!table_of(c, e, &t)) return false;
  for (int64_t i = 0; i < t.n; i++)
    if (t.value[i] <= -INDEX_MAX || t.value[i] >= INDEX_MAX) return false; // differences may wrap
  int64_t step = t.n > 1 ? t.value[1] - t.value[0] : 0;
  for (int64_t i = 1; i < t.n; i++)
    if (t.value[i] - t.value[i - 1] != step) return false;
  int64_t first;
  if (!mul_ok(step, -t.lo, &first) || !add_ok(t.value[0], first, &first)) return false;
  Affine v = affine_of(c->cx, expr_var(c->cx, t.var), NULL), base = affine_const(first);
  *out = affine_add(c->cx, &base, step, &v);
  return true;
}

static Affine index_affine(CopyCx *c, const Expr *e);

// The affine form of a division or modulo by k: whole multiples of k come out, and the rest is resolved where the known
// ranges allow, or where it depends on one variable and its values are evenly spaced.
static Affine divmod_affine(CopyCx *c, const Expr *e, int64_t k) {
  Ctx *cx = c->cx;
  int64_t lo, hi;
  Affine top = index_affine(c, e->a), quotient = affine_const(0), rest = top, resolved;
  if (affine_is_small(c, &top)) affine_part(cx, &top, k, &quotient, &rest);
  if (affine_is_small(c, &rest) && affine_bounds(c, &rest, &lo, &hi) && floor_div(lo, k) == floor_div(hi, k)) {
    quotient.constant += floor_div(lo, k);
    rest.constant -= floor_div(lo, k) * k;
    return e->binop == OP_DIV ? quotient : rest;
  }
  const Expr *left = expr_binary(cx, e->binop, affine_expr(cx, &rest), e->b);
  if (!table_affine(c, left, &resolved)) {
    AffineTerm *atom = NEW(cx->arena, AffineTerm);
    *atom = (AffineTerm){left, 1};
    resolved = (Affine){.nterms = 1, .terms = atom};
  }
  return e->binop == OP_DIV ? affine_add(cx, &quotient, 1, &resolved) : resolved;
}

// The affine form of e, with divisions and modulos resolved where that is possible.
static Affine index_affine(CopyCx *c, const Expr *e) {
  Affine a = affine_of(c->cx, e, NULL), out = affine_const(a.constant);
  for (int i = 0; i < a.nterms; i++) {
    int64_t k;
    AffineTerm one = {a.terms[i].atom, 1};
    Affine term = {.nterms = 1, .terms = &one};
    if (is_divmod(one.atom, &k)) term = divmod_affine(c, one.atom, k);
    else if (one.atom->kind != EXPR_VAR) table_affine(c, one.atom, &term);
    out = affine_add(c->cx, &out, a.terms[i].coef, &term);
  }
  return out;
}

// The row-major element index of an access.
static Affine linear_index(CopyCx *c, const Buffer *b, const Expr **index) {
  Affine out = affine_const(0);
  int64_t stride = 1;
  for (int d = b->ndim - 1; d >= 0; d--) {
    Affine one = index_affine(c, index[d]);
    out = affine_add(c->cx, &out, stride, &one);
    stride *= b->shape[d];
  }
  return out;
}

// ---- conditions as bounds -------------------------------------------------------------------------------------------

static void add_bound(Draft *d, const Affine *a, bool guard) {
  VEC_PUSH(d->c->cx->arena, d->bounds, *a);
  VEC_PUSH(d->c->cx->arena, d->bound_guard, guard);
}

// Adds scale_a * a + scale_b * b + k >= 0.
static void add_difference(Draft *d, int64_t scale_a, const Expr *a, int64_t scale_b, const Expr *b, int64_t k,
                           bool guard) {
  Affine fa = index_affine(d->c, a), fb = index_affine(d->c, b);
  Affine sum = affine_const(k);
  sum = affine_add(d->c->cx, &sum, scale_a, &fa);
  sum = affine_add(d->c->cx, &sum, scale_b, &fb);
  add_bound(d, &sum, guard);
}

static bool is_comparison(BinOp op) { return op >= OP_LT && op <= OP_NE; }

static void read_cond(Draft *d, const Expr *e, bool negated, bool guard);

// max(p, q) < r is p < r and q < r, and so on: true if the comparison was read so.
static bool read_min_max(Draft *d, BinOp op, const Expr *a, const Expr *b, bool guard) {
  bool less = op == OP_LT || op == OP_LE, more = op == OP_GT || op == OP_GE;
  if (!less && !more) return false;
  bool left = a->kind == EXPR_BINARY && a->binop == (less ? OP_MAX : OP_MIN);
  bool right = b->kind == EXPR_BINARY && b->binop == (less ? OP_MIN : OP_MAX);
  if (!left && !right) return false;
  const Expr *of = left ? a : b;
  for (int i = 0; i < 2; i++) {
    const Expr *part = i ? of->b : of->a;
    read_cond(d, left ? expr_binary(d->c->cx, op, part, b) : expr_binary(d->c->cx, op, a, part), false, guard);
  }
  return true;
}

static bool has_atoms(const Affine *a) {
  for (int i = 0; i < a->nterms; i++)
    if (a->terms[i].atom->kind != EXPR_VAR) return true;
  return false;
}

static bool read_table(Draft *d, const Expr *e, bool guard);

// a != b as a bound, where one of the two is at the end of what the other can be.
static bool read_unequal(Draft *d, const Expr *a, const Expr *b, bool guard) {
  Affine fa = index_affine(d->c, a), fb = index_affine(d->c, b), diff = affine_add(d->c->cx, &fa, -1, &fb);
  int64_t lo, hi;
  if (!affine_bounds(d->c, &diff, &lo, &hi) || (lo != 0 && hi != 0)) return false;
  add_difference(d, lo == 0 ? 1 : -1, a, lo == 0 ? -1 : 1, b, -1, guard);
  return true;
}

static bool read_comparison(Draft *d, BinOp op, const Expr *a, const Expr *b, bool guard) {
  if (a->type != DT_I64) return false;
  Affine fa = affine_of(d->c->cx, a, NULL), fb = affine_of(d->c->cx, b, NULL);
  if (!affine_is_small(d->c, &fa) || !affine_is_small(d->c, &fb)) return false; // a - b may wrap
  Affine ia = index_affine(d->c, a), ib = index_affine(d->c, b);
  if ((has_atoms(&ia) || has_atoms(&ib)) &&
      read_table(d, expr_binary(d->c->cx, op, affine_expr(d->c->cx, &ia), affine_expr(d->c->cx, &ib)), guard))
    return true;
  if (read_min_max(d, op, a, b, guard)) return true;
  switch (op) {
  case OP_LT: add_difference(d, -1, a, 1, b, -1, guard); return true;
  case OP_LE: add_difference(d, -1, a, 1, b, 0, guard); return true;
  case OP_GT: add_difference(d, 1, a, -1, b, -1, guard); return true;
  case OP_GE: add_difference(d, 1, a, -1, b, 0, guard); return true;
  case OP_EQ:
    add_difference(d, 1, a, -1, b, 0, guard);
    add_difference(d, -1, a, 1, b, 0, guard);
    return true;
  case OP_NE:
    return read_unequal(d, a, b, guard);
  CASE_NO_COMPARISON:
    break;
  }
  return false;
}

// A condition on one variable as bounds, if it holds for a range of it (or never).
static bool read_table(Draft *d, const Expr *e, bool guard) {
  Table t;
  Ctx *cx = d->c->cx;
  if (!table_of(d->c, e, &t)) return false;
  int64_t first = 0, last = t.n - 1;
  while (first < t.n && !t.value[first]) first++;
  while (last > first && !t.value[last]) last--;
  for (int64_t i = first; i <= last; i++)
    if (!t.value[i]) return false;
  Affine v = affine_of(cx, expr_var(cx, t.var), NULL), none = affine_const(-1);
  if (first == t.n) return add_bound(d, &none, guard), true;
  Affine from = affine_const(-(t.lo + first)), to = affine_const(t.lo + last);
  from = affine_add(cx, &from, 1, &v);
  to = affine_add(cx, &to, -1, &v);
  add_bound(d, &from, guard);
  add_bound(d, &to, guard);
  return true;
}

// Adds the bounds that make e true (false if negated); what cannot be a bound stays an expression.
static void read_cond(Draft *d, const Expr *e, bool negated, bool guard) {
  Ctx *cx = d->c->cx;
  int64_t v;
  if (e->kind == EXPR_UNARY && e->unop == UN_NOT) {
    read_cond(d, e->a, !negated, guard);
    return;
  }
  const Expr *known = expr_simplify(cx, &d->c->ranges, e);
  if (expr_is_int(known, &v)) {
    Affine never = affine_const(-1);
    if ((v != 0) == negated) add_bound(d, &never, guard);
    return;
  }
  if (e->kind == EXPR_BINARY && e->binop == (negated ? OP_LOR : OP_LAND)) {
    read_cond(d, e->a, negated, guard);
    read_cond(d, e->b, negated, guard);
    return;
  }
  if (e->kind == EXPR_BINARY && e->binop == (negated ? OP_LAND : OP_LOR)) {
    // Of an alternative whose one side is impossible, the other is left.
    for (int i = 0; i < 2; i++) {
      const Expr *side = expr_simplify(cx, &d->c->ranges, i ? e->a : e->b);
      if (!expr_is_int(side, &v) || (v != 0) != negated) continue;
      read_cond(d, i ? e->b : e->a, negated, guard);
      return;
    }
  }
  if (e->kind == EXPR_BINARY && is_comparison(e->binop) &&
      read_comparison(d, negated ? comparison_negated(e->binop) : e->binop, e->a, e->b, guard))
    return;
  const Expr *whole = negated ? expr_unary(cx, UN_NOT, e) : e;
  if (read_table(d, whole, guard)) return;
  HostCond rest = {guard, whole};
  VEC_PUSH(cx->arena, d->rest, rest);
}

// Computes the affine forms from the expressions as they now are.
static void draft_read(Draft *d) {
  const Buffer *chip = d->nest->chip_buffer, *dram = d->nest->dram_buffer;
  d->chip = linear_index(d->c, chip, d->chip_index);
  d->dram = dram ? linear_index(d->c, dram, d->dram_index) : affine_const(0);
  d->bounds.len = d->bound_guard.len = d->rest.len = 0;
  for (size_t i = 0; i < d->conds.len; i++)
    read_cond(d, d->conds.data[i].expr, d->conds.data[i].negated, i < d->nguards);
}

// ---- splitting loops under divisions --------------------------------------------------------------------------------

static int draft_loop(const Draft *d, const Var *v) {
  for (size_t i = 0; i < d->loops.len; i++)
    if (d->loops.data[i].var == v) return (int)i;
  return -1;
}

static void draft_subst(Draft *d, const Var *v, const Expr *value) {
  TirSubst t = {.nvars = 1, .vars = &v, .values = &value};
  Ctx *cx = d->c->cx;
  for (int i = 0; i < d->nchip; i++) d->chip_index[i] = expr_subst(cx, d->chip_index[i], &t);
  for (int i = 0; i < d->ndram; i++) d->dram_index[i] = expr_subst(cx, d->dram_index[i], &t);
  for (size_t i = 0; i < d->conds.len; i++) d->conds.data[i].expr = expr_subst(cx, d->conds.data[i].expr, &t);
}

// Inserts a condition among the guards.
static void draft_guard(Draft *d, const Expr *cond) {
  VEC_PUSH(d->c->cx->arena, d->conds, ((Cond){0}));
  memmove(d->conds.data + 1, d->conds.data, (d->conds.len - 1) * sizeof *d->conds.data);
  d->conds.data[0] = (Cond){cond, false};
  d->nguards++;
}

// Replaces loop `at` by an outer and an inner one with var = q * outer + inner - shift. Where that makes more
// iterations than there were, a guard keeps the old ones.
static void split_loop(Draft *d, int at, int64_t q, int64_t shift, bool gathers) {
  Ctx *cx = d->c->cx;
  Loop old = d->loops.data[at];
  int64_t blocks = floor_div(old.extent + shift + q - 1, q);
  gathers |= old.gathers;
  Loop outer = {.var = tir_var(cx, old.var->name, old.var->loc), .extent = blocks, .gathers = gathers};
  Loop inner = {.var = tir_var(cx, old.var->name, old.var->loc), .extent = q, .gathers = gathers};
  const Expr *whole = expr_binary(cx, OP_ADD, expr_binary(cx, OP_MUL, expr_var(cx, outer.var), expr_index(cx, q)),
                                  expr_var(cx, inner.var));
  draft_subst(d, old.var, expr_binary(cx, OP_SUB, whole, expr_index(cx, shift)));
  if (shift > 0) draft_guard(d, expr_binary(cx, OP_GE, whole, expr_index(cx, shift)));
  if (old.extent + shift != blocks * q)
    draft_guard(d, expr_binary(cx, OP_LT, whole, expr_index(cx, old.extent + shift)));
  VEC_PUSH(cx->arena, d->loops, inner);
  memmove(d->loops.data + at + 2, d->loops.data + at + 1, (d->loops.len - (size_t)at - 2) * sizeof old);
  d->loops.data[at] = outer;
  d->loops.data[at + 1] = inner;
  ranges_push(cx, &d->c->ranges, outer.var, 0, outer.extent - 1);
  ranges_push(cx, &d->c->ranges, inner.var, 0, inner.extent - 1);
}

// Splits a loop so that the division or modulo `atom` is resolved: its numerator is coef * loop + rest with the rest
// smaller than coef, up to multiples of the divisor. `gathers`: it stands in the index in memory, and not on the chip.
static bool split_under(Draft *d, const Expr *atom, bool gathers) {
  int64_t k, inner_k, lo, hi;
  if (!is_divmod(atom, &k)) return false;
  Affine top = index_affine(d->c, atom->a);
  for (int i = 0; i < top.nterms; i++)
    if (is_divmod(top.terms[i].atom, &inner_k) && split_under(d, top.terms[i].atom, gathers)) return true;
  for (int i = 0; i < top.nterms; i++) {
    int64_t coef = top.terms[i].coef;
    const Expr *v = top.terms[i].atom;
    int at = v->kind == EXPR_VAR ? draft_loop(d, v->var) : -1;
    if (at < 0 || coef <= 0 || coef >= k || k % coef) continue;
    Affine rest = affine_without(d->c->cx, &top, v->var), quotient, small;
    int64_t step = floor_div(rest.constant, coef);
    rest.constant -= step * coef;
    affine_part(d->c->cx, &rest, k, &quotient, &small);
    if (!affine_bounds(d->c, &small, &lo, &hi) || lo < 0 || hi >= coef) continue;
    int64_t q = k / coef, shift = floor_mod(step, q);
    if (d->loops.data[at].extent <= q) continue; // too short to be worth it: it stays a host loop
    split_loop(d, at, q, shift, gathers);
    return true;
  }
  return false;
}

static bool split_in(Draft *d, const Affine *a, bool gathers) {
  for (int i = 0; i < a->nterms; i++)
    if (split_under(d, a->terms[i].atom, gathers)) return true;
  return false;
}

// Splits one loop if that resolves a division anywhere.
static bool draft_split(Draft *d) {
  if (split_in(d, &d->chip, false) || split_in(d, &d->dram, true))
    return true; // what both have is no gather: loops were fused
  for (size_t i = 0; i < d->bounds.len; i++)
    if (split_in(d, &d->bounds.data[i], false)) return true;
  return false;
}

// ---- loops ----------------------------------------------------------------------------------------------------------

// Takes the loops of the store, to run from 0 with constant extents. False if a loop has no known end; *empty, if one
// never runs. Inner loops come first: their ends may mention outer variables, which are substituted afterwards.
static bool draft_loops(Draft *d, bool *empty) {
  Ctx *cx = d->c->cx;
  size_t n = d->from->loops.len;
  Loop *loops = NEW_ARRAY(cx->arena, Loop, n + 1);
  for (size_t i = n; i > 0; i--) {
    const Stmt *s = d->from->loops.data[i - 1];
    int64_t lo, hi;
    if (!expr_bounds(&d->c->ranges, s->extent, &lo, &hi) || hi == INT64_MAX)
      return explain_unknown_extent(d->c, d->from, s), false;
    if (hi <= 0) return *empty = true, true;
    loops[i - 1] = (Loop){.var = tir_var(cx, s->var->name, s->var->loc), .extent = hi};
    const Expr *now = expr_var(cx, loops[i - 1].var);
    ranges_push(cx, &d->c->ranges, loops[i - 1].var, 0, hi - 1);
    if (lo != hi) draft_guard(d, expr_binary(cx, OP_LT, now, s->extent));
    draft_subst(d, s->var, expr_binary(cx, OP_ADD, now, s->min));
  }
  for (size_t i = 0; i < n; i++)
    if (loops[i].extent > 1) VEC_PUSH(cx->arena, d->loops, loops[i]);
    else draft_subst(d, loops[i].var, expr_index(cx, 0));
  return true;
}

// Marks the loops that something other than a sum of multiples mentions: they stay host loops.
static void mark_mentioned(const Draft *d, const Expr *e, bool *stuck) {
  for (size_t i = 0; i < d->loops.len; i++) stuck[i] |= expr_uses_var(e, d->loops.data[i].var);
}

static void mark_atoms(const Draft *d, const Affine *a, bool *stuck) {
  for (int i = 0; i < a->nterms; i++)
    if (a->terms[i].atom->kind != EXPR_VAR) mark_mentioned(d, a->terms[i].atom, stuck);
}

static bool reads_memory(void *self, const Expr *e) {
  bool *written = self;
  if (e->kind == EXPR_LOAD && e->buffer->role != BUF_INPUT && e->buffer->role != BUF_CONST) *written = true;
  return !*written;
}

// Whether e reads an array that the kernel itself writes: its value is not known when instructions are made.
static bool depends_on_data(const Expr *e) {
  bool written = false;
  expr_visit(e, reads_memory, &written);
  return written;
}

// The first index or condition that depends on computed data, with its report; false if there is none.
static bool refuse_data(Draft *d) {
  const Affine *sides[2] = {&d->chip, &d->dram};
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < sides[k]->nterms; i++)
      if (depends_on_data(sides[k]->terms[i].atom))
        return explain_gather(d->c, d->from, d->nest->value->load, sides[k]->terms[i].atom), true;
  for (size_t i = 0; i < d->conds.len; i++)
    if (depends_on_data(d->conds.data[i].expr))
      return explain_condition(d->c, d->from, d->conds.data[i].expr, "it depends on computed data"), true;
  return false;
}

// Whether different iterations of the loops write different elements, as far as sorting by stride shows.
static bool writes_once(const Draft *d) {
  const Affine *to = d->nest->kind == COPY_STORE ? &d->dram : &d->chip;
  int n = 0;
  int64_t reach = 0;
  Loop *by = NEW_ARRAY(d->c->cx->arena, Loop, d->loops.len + 1);
  for (size_t i = 0; i < d->loops.len; i++) {
    Loop l = d->loops.data[i];
    int64_t step = affine_coef(to, l.var);
    for (int k = 0; k < to->nterms; k++)
      if (to->terms[k].atom->kind != EXPR_VAR && expr_uses_var(to->terms[k].atom, l.var)) return false;
    l.chip = step < 0 ? -step : step;
    int at = n++;
    for (; at > 0 && by[at - 1].chip > l.chip; at--) by[at] = by[at - 1];
    by[at] = l;
  }
  for (int i = 0; i < n; i++) {
    int64_t last;
    if (by[i].chip <= reach || !mul_ok(by[i].chip, by[i].extent - 1, &last) || !add_ok(reach, last, &reach))
      return false;
  }
  return true;
}

// Parts the loops: those that stay on the host around the others, and those with numbers. Where the order matters,
// the former stay in their places among the latter.
static void draft_part(Draft *d, const bool *stuck) {
  CopyNest *n = d->nest;
  size_t inside = 0;
  for (size_t i = 0; i < d->loops.len; i++) inside += n->ordered || !stuck[i];
  n->outer = NEW_ARRAY(d->c->cx->arena, Loop, d->loops.len + 1);
  for (size_t i = 0; i < d->loops.len; i++) {
    Loop l = d->loops.data[i];
    bool outside = stuck[i] && !n->ordered;
    if (!outside && inside > COPY_MAX_LOOPS) {
      outside = true;
      inside--;
    }
    l.stuck = stuck[i] || outside;
    l.chip = l.stuck ? 0 : affine_coef(&d->chip, l.var);
    l.dram = l.stuck ? 0 : affine_coef(&d->dram, l.var);
    if (outside) n->outer[n->nouter++] = l;
    else n->loops[n->nloops++] = l;
  }
}

// Finds the loops that stay on the host, and parts them from the others.
static void draft_finish(Draft *d) {
  bool *stuck = NEW_ARRAY(d->c->cx->arena, bool, d->loops.len + 1);
  mark_atoms(d, &d->chip, stuck);
  mark_atoms(d, &d->dram, stuck);
  for (size_t i = 0; i < d->bounds.len; i++) mark_atoms(d, &d->bounds.data[i], stuck);
  for (size_t i = 0; i < d->rest.len; i++) mark_mentioned(d, d->rest.data[i].expr, stuck);
  for (size_t i = 0; i < d->loops.len; i++) {
    int64_t reach, e = d->loops.data[i].extent;
    const Affine *sides[2] = {&d->chip, &d->dram};
    for (int k = 0; k < 2; k++)
      stuck[i] |=
          !mul_ok(affine_coef(sides[k], d->loops.data[i].var), e, &reach) || reach > INDEX_MAX || reach < -INDEX_MAX;
  }
  draft_part(d, stuck);
}

// Moves the loops' terms out of the bounds and bases.
static void draft_numbers(Draft *d) {
  Ctx *cx = d->c->cx;
  CopyNest *n = d->nest;
  n->chip = d->chip;
  n->dram = d->dram;
  for (int i = 0; i < n->nloops; i++) {
    if (n->loops[i].stuck) continue;
    n->chip = affine_without(cx, &n->chip, n->loops[i].var);
    n->dram = affine_without(cx, &n->dram, n->loops[i].var);
  }
  for (size_t k = 0; k < d->bounds.len; k++) {
    Row r = {.guard = d->bound_guard.data[k], .rest = d->bounds.data[k]};
    for (int i = 0; i < n->nloops; i++) {
      if (n->loops[i].stuck) continue;
      r.coef[i] = affine_coef(&r.rest, n->loops[i].var);
      r.rest = affine_without(cx, &r.rest, n->loops[i].var);
    }
    VEC_PUSH(cx->arena, n->rows, r);
  }
  for (size_t i = 0; i < d->rest.len; i++) VEC_PUSH(cx->arena, n->conds, d->rest.data[i]);
}

// ---- the whole ------------------------------------------------------------------------------------------------------

// The expressions of a copy, over the loops of its store.
static void draft_start(Draft *d, const CopyValue *v) {
  Ctx *cx = d->c->cx;
  const CopyStore *s = d->from;
  bool store = d->nest->kind == COPY_STORE;
  const Expr **written = arena_copy(cx->arena, s->store->args, (size_t)s->store->nargs * sizeof(Expr *));
  const Expr **read = v->load ? arena_copy(cx->arena, v->load->args, (size_t)v->load->nargs * sizeof(Expr *)) : NULL;
  d->chip_index = store ? read : written;
  d->dram_index = store ? written : read;
  d->nchip = d->nest->chip_buffer->ndim;
  d->ndram = d->nest->dram_buffer ? d->nest->dram_buffer->ndim : 0;
  for (size_t i = 0; i < s->guards.len; i++) VEC_PUSH(cx->arena, d->conds, s->guards.data[i]);
  d->nguards = s->guards.len;
  for (size_t i = 0; i < v->pads.len; i++) VEC_PUSH(cx->arena, d->conds, v->pads.data[i]);
}

bool nest_normalise(CopyCx *c, const CopyStore *s, const CopyValue *v, CopyNest *out) {
  *out = (CopyNest){.kind = v->kind,
                    .from = s,
                    .value = v,
                    .chip_buffer = v->chip,
                    .dram_buffer = v->dram,
                    .tile = v->chip->scope->tile};
  Draft d = {.c = c, .from = s, .nest = out};
  draft_start(&d, v);
  if (!draft_loops(&d, &out->empty)) return false;
  if (out->empty) return true;
  draft_read(&d);
  bool once = writes_once(&d); // split loops may have iterations that only a guard keeps from overlapping
  for (int tries = 0; tries < COPY_MAX_LOOPS && draft_split(&d); tries++) {
    draft_read(&d);
    once |= writes_once(&d);
  }
  out->ordered = !once;
  if (refuse_data(&d)) return false;
  draft_finish(&d);
  draft_numbers(&d);
  if (out->dram_buffer && buffer_elems(out->dram_buffer) / out->tile > UINT32_MAX)
    return explain_too_large(c, out), false;
  if (out->ordered && s->apart) return explain_overwrites(c, s), false;
  return nest_tiles(c, out);
}

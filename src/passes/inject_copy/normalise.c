// SPDX-License-Identifier: Apache-2.0
// Normalisation: a copy as numbers. Both sides are linearised (row-major element index), divisions and modulos by
// constants are removed by splitting the loops they are of, conditions become bounds, loops that always go together are
// merged, and the loops inside a tile are dropped: what is left counts tiles.
#include <string.h>

#include "passes/inject_copy/internal.h"

// A nest on its way: expressions over the loops' variables, which splitting substitutes.
typedef struct Draft {
  CopyCx *c;
  const CopyStore *from;
  Nest *nest;
  VEC(Loop) loops;    // outermost first; chip and dram are not yet valid
  int nchip, ndram;   // indices of either side
  const Expr **chip_index, **dram_index;
  CondVec conds;      // guards first
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

static Affine affine_const(int64_t k) { return (Affine){.constant = k}; }

// ---- affine forms of indices --------------------------------------------------------------------------------------------

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

// The affine form of e, with divisions and modulos resolved where the known ranges decide them.
static Affine index_affine(CopyCx *c, const Expr *e) {
  Ctx *cx = c->cx;
  Affine a = affine_of(cx, e, NULL), out = affine_const(a.constant);
  for (int i = 0; i < a.nterms; i++) {
    const Expr *atom = a.terms[i].atom;
    int64_t k, lo, hi;
    Affine term = {.nterms = 1, .terms = &a.terms[i]}, quotient, rest;
    if (is_divmod(atom, &k)) {
      Affine top = index_affine(c, atom->a);
      affine_part(cx, &top, k, &quotient, &rest);
      bool decided = affine_is_small(c, &top) && affine_bounds(c, &rest, &lo, &hi) && floor_div(lo, k) == floor_div(hi, k);
      if (decided) {
        int64_t q = floor_div(lo, k);
        quotient.constant += q;
        rest.constant -= q * k;
        out = affine_add(cx, &out, a.terms[i].coef, atom->binop == OP_DIV ? &quotient : &rest);
        continue;
      }
      AffineTerm kept = {expr_binary(cx, atom->binop, affine_expr(cx, atom->binop == OP_MOD && affine_is_small(c, &top) ? &rest : &top), atom->b),
                         a.terms[i].coef};
      Affine again = {.nterms = 1, .terms = &kept};
      out = affine_add(cx, &out, 1, &again);
      continue;
    }
    out = affine_add(cx, &out, 1, &term);
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

// ---- conditions as bounds -----------------------------------------------------------------------------------------------

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

static BinOp comparison_negated(BinOp op) {
  switch (op) {
  case OP_LT: return OP_GE;
  case OP_LE: return OP_GT;
  case OP_GT: return OP_LE;
  case OP_GE: return OP_LT;
  case OP_EQ: return OP_NE;
  default: return OP_EQ; // OP_NE
  }
}

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
  case OP_NE: return read_unequal(d, a, b, guard);
  default: return false;
  }
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
  if (e->kind == EXPR_BINARY && binop_is_bool(e->binop) && e->binop != OP_LAND && e->binop != OP_LOR &&
      read_comparison(d, negated ? comparison_negated(e->binop) : e->binop, e->a, e->b, guard))
    return;
  HostCond rest = {guard, negated ? expr_unary(cx, UN_NOT, e) : e};
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

// ---- splitting loops under divisions ----------------------------------------------------------------------------------------

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
static void split_loop(Draft *d, int at, int64_t q, int64_t shift) {
  Ctx *cx = d->c->cx;
  Loop old = d->loops.data[at];
  int64_t blocks = floor_div(old.extent + shift + q - 1, q);
  Loop outer = {.var = tir_var(cx, old.var->name, old.var->loc), .extent = blocks};
  Loop inner = {.var = tir_var(cx, old.var->name, old.var->loc), .extent = q};
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
// smaller than coef, up to multiples of the divisor.
static bool split_under(Draft *d, const Expr *atom) {
  int64_t k, inner_k, lo, hi;
  if (!is_divmod(atom, &k)) return false;
  Affine top = index_affine(d->c, atom->a);
  for (int i = 0; i < top.nterms; i++)
    if (is_divmod(top.terms[i].atom, &inner_k) && split_under(d, top.terms[i].atom)) return true;
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
    split_loop(d, at, q, shift);
    return true;
  }
  return false;
}

static bool split_in(Draft *d, const Affine *a) {
  for (int i = 0; i < a->nterms; i++)
    if (split_under(d, a->terms[i].atom)) return true;
  return false;
}

// Splits one loop if that resolves a division anywhere.
static bool draft_split(Draft *d) {
  if (split_in(d, &d->chip) || split_in(d, &d->dram)) return true;
  for (size_t i = 0; i < d->bounds.len; i++)
    if (split_in(d, &d->bounds.data[i])) return true;
  return false;
}

// ---- loops ------------------------------------------------------------------------------------------------------------------

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
  if (e->kind == EXPR_LOAD && e->buffer->role != BUF_INPUT) *written = true;
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
    if (by[i].chip <= reach || !mul_ok(by[i].chip, by[i].extent - 1, &last) || !add_ok(reach, last, &reach)) return false;
  }
  return true;
}

// Parts the loops: those that stay on the host around the others, and those with numbers. Where the order matters,
// the former stay in their places among the latter.
static void draft_part(Draft *d, const bool *stuck) {
  Nest *n = d->nest;
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
      stuck[i] |= !mul_ok(affine_coef(sides[k], d->loops.data[i].var), e, &reach) || reach > INDEX_MAX || reach < -INDEX_MAX;
  }
  draft_part(d, stuck);
}

// Moves the loops' terms out of the bounds and bases.
static void draft_numbers(Draft *d) {
  Ctx *cx = d->c->cx;
  Nest *n = d->nest;
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

// ---- rows and loops as numbers --------------------------------------------------------------------------------------------

// The smallest and largest of the loops' part of a row.
static void row_reach(const Nest *n, const Row *r, int64_t *lo, int64_t *hi) {
  *lo = *hi = 0;
  for (int i = 0; i < n->nloops; i++) {
    int64_t far = r->coef[i] * (n->loops[i].extent - 1);
    *(far < 0 ? lo : hi) += far;
  }
}

void nest_make_zero(Nest *n) {
  RowVec rows = n->rows;
  HostCondVec conds = n->conds;
  n->kind = COPY_ZERO;
  n->dram_buffer = NULL;
  n->dram = affine_const(0);
  n->rows.len = n->conds.len = 0;
  for (int i = 0; i < n->nloops; i++) n->loops[i].dram = 0;
  for (size_t k = 0; k < rows.len; k++)
    if (rows.data[k].guard) n->rows.data[n->rows.len++] = rows.data[k];
  for (size_t k = 0; k < conds.len; k++)
    if (conds.data[k].guard) n->conds.data[n->conds.len++] = conds.data[k];
}

// Drops the bounds that always hold. One that never holds leaves nothing to do (a guard), or nothing but zeros.
static void nest_decide(CopyCx *c, Nest *n) {
  size_t kept = 0;
  for (size_t k = 0; k < n->rows.len; k++) {
    Row r = n->rows.data[k];
    int64_t lo, hi, least, most, sum;
    row_reach(n, &r, &least, &most);
    bool known = affine_bounds(c, &r.rest, &lo, &hi);
    if (known && lo != INT64_MIN && add_ok(lo, least, &sum) && sum >= 0) continue;
    if (known && hi != INT64_MAX && add_ok(hi, most, &sum) && sum < 0) {
      if (r.guard) n->empty = true;
      else n->kind = COPY_ZERO;
    }
    n->rows.data[kept++] = r;
  }
  n->rows.len = kept;
  if (n->kind == COPY_ZERO) nest_make_zero(n);
}

static void nest_remove_loop(Nest *n, int at) {
  n->nloops--;
  for (int i = at; i < n->nloops; i++) n->loops[i] = n->loops[i + 1];
  for (size_t k = 0; k < n->rows.len; k++) {
    Row *r = &n->rows.data[k];
    for (int i = at; i < n->nloops; i++) r->coef[i] = r->coef[i + 1];
    r->coef[n->nloops] = 0;
  }
}

// Makes loop `at` one of outer * inner, the inner one put behind it. At most one loop is added by a nest's tiling.
static void nest_split_loop(CopyCx *c, Nest *n, int at, int64_t inner) {
  for (int i = n->nloops++; i > at + 1; i--) n->loops[i] = n->loops[i - 1];
  Loop *out = &n->loops[at], *in = &n->loops[at + 1];
  *in = (Loop){.var = tir_var(c->cx, out->var->name, out->var->loc), .extent = inner, .chip = out->chip, .dram = out->dram};
  *out = (Loop){.var = tir_var(c->cx, out->var->name, out->var->loc), .extent = out->extent / inner,
                .chip = out->chip * inner, .dram = out->dram * inner};
  ranges_push(c->cx, &c->ranges, in->var, 0, inner - 1);
  ranges_push(c->cx, &c->ranges, out->var, 0, out->extent - 1);
  for (size_t k = 0; k < n->rows.len; k++) {
    Row *r = &n->rows.data[k];
    for (int i = n->nloops - 1; i > at + 1; i--) r->coef[i] = r->coef[i - 1];
    r->coef[at + 1] = r->coef[at];
    r->coef[at] *= inner;
  }
}

// Whether one step of loop `out` is `in` run to its end, in every respect.
static bool loops_chain(const Nest *n, int out, int in) {
  int64_t e = n->loops[in].extent, all;
  if (n->loops[out].stuck || n->loops[in].stuck || n->loops[out].once || n->loops[in].once || n->loops[out].chip != n->loops[in].chip * e) return false;
  if (n->kind != COPY_ZERO && n->loops[out].dram != n->loops[in].dram * e) return false;
  for (size_t k = 0; k < n->rows.len; k++)
    if (n->rows.data[k].coef[out] != n->rows.data[k].coef[in] * e) return false;
  return mul_ok(n->loops[out].extent, e, &all);
}

// Merges loops that are one. Where the order matters, only neighbours.
static void nest_merge(CopyCx *c, Nest *n) {
  for (int i = 0; i < n->nloops; i++)
    for (int j = 0; j < n->nloops; j++) {
      if (i == j || (n->ordered && j != i + 1) || !loops_chain(n, i, j)) continue;
      n->loops[j].extent *= n->loops[i].extent;
      n->loops[j].var = tir_var(c->cx, n->loops[j].var->name, n->loops[j].var->loc);
      ranges_push(c->cx, &c->ranges, n->loops[j].var, 0, n->loops[j].extent - 1);
      nest_remove_loop(n, i);
      i = -1; // from the start again
      break;
    }
}

// Drops loops that do nothing, and turns those that walk the chip backwards.
static void nest_turn(CopyCx *c, Nest *n) {
  for (int i = n->nloops - 1; i >= 0; i--) {
    Loop *l = &n->loops[i];
    if (l->stuck) continue;
    bool idle = l->extent == 1 || (l->chip == 0 && (l->dram == 0 || n->kind == COPY_ZERO));
    for (size_t k = 0; k < n->rows.len; k++) idle &= l->extent == 1 || n->rows.data[k].coef[i] == 0;
    if (idle) {
      nest_remove_loop(n, i);
      continue;
    }
    if (l->chip >= 0 || n->ordered) continue;
    n->chip.constant += l->chip * (l->extent - 1);
    n->dram.constant += l->dram * (l->extent - 1);
    l->chip = -l->chip;
    l->dram = -l->dram;
    l->at = l->extent - 1 - l->at;
    for (size_t k = 0; k < n->rows.len; k++) {
      Row *r = &n->rows.data[k];
      r->rest.constant += r->coef[i] * (l->extent - 1);
      r->coef[i] = -r->coef[i];
    }
  }
  (void)c;
}

// ---- simplest form --------------------------------------------------------------------------------------------------------

// The loop that is the only one in a row; -1 if there are several or none, or the rest is not constant.
static int row_only_loop(const Nest *n, const Row *r) {
  int only = -1;
  for (int i = 0; i < n->nloops; i++) {
    if (!r->coef[i]) continue;
    if (only >= 0) return -1;
    only = i;
  }
  return r->rest.nterms ? -1 : only;
}

bool nest_range(const Nest *n, int i, bool guard, int64_t *lo, int64_t *hi) {
  bool any = false;
  *lo = 0;
  *hi = n->loops[i].extent;
  for (size_t k = 0; k < n->rows.len; k++) {
    const Row *r = &n->rows.data[k];
    if (r->guard != guard || !r->coef[i]) continue;
    if (row_only_loop(n, r) != i) return false;
    any = true;
    int64_t c = r->coef[i], first = floor_div(-r->rest.constant + c - 1, c), last = floor_div(r->rest.constant, -c);
    if (c > 0 && first > *lo) *lo = first;
    if (c < 0 && last + 1 < *hi) *hi = last + 1;
  }
  return any;
}

Nest nest_fresh(CopyCx *c, const Nest *n) {
  Nest out = *n;
  out.rows = (RowVec){0};
  out.conds = (HostCondVec){0};
  for (size_t k = 0; k < n->rows.len; k++) VEC_PUSH(c->cx->arena, out.rows, n->rows.data[k]);
  for (size_t k = 0; k < n->conds.len; k++) VEC_PUSH(c->cx->arena, out.conds, n->conds.data[k]);
  for (int i = 0; i < n->nloops; i++) {
    out.loops[i].var = tir_var(c->cx, n->loops[i].var->name, n->loops[i].var->loc);
    ranges_push(c->cx, &c->ranges, out.loops[i].var, 0, out.loops[i].extent - 1);
  }
  return out;
}

// Loop i keeps the iterations [lo, hi).
static void nest_cut_loop(CopyCx *c, Nest *n, int i, int64_t lo, int64_t hi) {
  Loop *l = &n->loops[i];
  n->chip.constant += lo * l->chip;
  n->dram.constant += lo * l->dram;
  for (size_t k = 0; k < n->rows.len; k++) n->rows.data[k].rest.constant += lo * n->rows.data[k].coef[i];
  l->extent = hi - lo;
  l->at -= lo;
  l->once &= l->at >= 0 && l->at < l->extent;
  l->var = tir_var(c->cx, l->var->name, l->var->loc);
  ranges_push(c->cx, &c->ranges, l->var, 0, l->extent - 1);
}

Nest nest_part(CopyCx *c, const Nest *n, int i, int64_t lo, int64_t hi) {
  Nest out = nest_fresh(c, n);
  nest_cut_loop(c, &out, i, lo, hi);
  return out;
}

// Leaves out the iterations that constant guards exclude.
static void nest_shrink(CopyCx *c, Nest *n) {
  for (int i = 0; i < n->nloops && !n->empty; i++) {
    int64_t lo, hi;
    if (!nest_range(n, i, true, &lo, &hi)) continue;
    if (lo >= hi) n->empty = true;
    else nest_cut_loop(c, n, i, lo, hi);
  }
}

// Finds the loops in which the source is read once.
static void nest_once(Nest *n) {
  for (int i = 0; i < n->nloops; i++) {
    Loop *l = &n->loops[i];
    int64_t lo, hi;
    if (l->once || n->kind != COPY_LOAD || !nest_range(n, i, false, &lo, &hi) || hi != lo + 1) continue;
    n->dram.constant += l->dram * lo;
    l->dram = 0;
    l->once = true;
    l->at = lo;
  }
}

void nest_settle(CopyCx *c, Nest *n) {
  nest_shrink(c, n);
  if (n->empty) return;
  nest_decide(c, n);
  nest_turn(c, n);
  nest_merge(c, n);
  nest_once(n);
}

// ---- tiles --------------------------------------------------------------------------------------------------------------------

// The loop that walks a tile at steps of `step` elements on the chip; one that does so in memory too is preferred.
static int find_lane(const Nest *n, const bool *lane, int64_t step) {
  int found = -1;
  for (int i = 0; i < n->nloops; i++) {
    if (lane[i] || n->loops[i].chip != step) continue;
    if (found < 0 || n->loops[i].dram == step) found = i;
  }
  return found;
}

// Finds the loops inside a tile, which must walk both sides alike, and splits the last of them at the tile's end.
static bool nest_lanes(CopyCx *c, Nest *n, bool *lane) {
  int64_t done = 1;
  while (done < n->tile) {
    int i = find_lane(n, lane, done);
    if (i < 0) {
      for (int k = 0; k < n->nouter + n->nloops; k++) {
        const Loop *l = k < n->nouter ? &n->outer[k] : &n->loops[k - n->nouter];
        if (l->stuck && affine_coef(&n->chip, l->var) == done) return explain_lane_index(c, n, l), false;
      }
      return explain_part_of_tile(c, n, done), false;
    }
    Loop *l = &n->loops[i];
    if (n->kind != COPY_ZERO && l->dram != done) {
      if (done > 1 && l->dram > done) return explain_part_of_tile(c, n, done), false; // pieces with gaps between
      return explain_lane_step(c, n, l), false;
    }
    int64_t left = n->tile / done;
    if (l->extent > left) {
      if (l->extent % left) return explain_part_of_tile(c, n, l->extent % left * done), false;
      if (n->nloops == COPY_MAX_LOOPS + 1) return explain_part_of_tile(c, n, done), false;
      nest_split_loop(c, n, i, left);
      memmove(lane + i + 1, lane + i, (size_t)(n->nloops - i - 1) * sizeof *lane);
      lane[i] = false;
      lane[++i] = true;
      l = &n->loops[i];
    } else if (left % l->extent) {
      return explain_part_of_tile(c, n, done * l->extent), false;
    }
    lane[i] = true;
    done *= l->extent;
  }
  return true;
}

// Divides every coefficient by the tile; *bad is what it does not divide.
static bool affine_divide(Affine *a, int64_t tile, int64_t *bad) {
  for (int i = 0; i < a->nterms; i++)
    if (a->terms[i].coef % tile) return *bad = a->terms[i].coef, false;
  if (a->constant % tile) return *bad = a->constant, false;
  a->constant /= tile;
  for (int i = 0; i < a->nterms; i++) a->terms[i].coef /= tile;
  return true;
}

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t r = a % b;
    a = b;
    b = r;
  }
  return a < 0 ? -a : a;
}

// Takes the lanes out of a row: true if it holds for a whole tile or for none of it. With g the greatest common
// divisor of everything else, g * K + r + lanes >= 0 is K >= -floor((r + lanes) / g), which must not depend on the lanes.
static bool row_without_lanes(Ctx *cx, const Nest *n, const bool *lane, Row *r) {
  int64_t lo = 0, hi = 0, g = 0;
  for (int i = 0; i < n->nloops; i++) {
    int64_t far = r->coef[i] * (n->loops[i].extent - 1);
    if (!lane[i]) g = gcd(g, r->coef[i]);
    else *(far < 0 ? &lo : &hi) += far;
  }
  for (int i = 0; i < r->rest.nterms; i++) g = gcd(g, r->rest.terms[i].coef);
  int64_t k = r->rest.constant;
  if (g == 0) {
    if (k + lo < 0 && k + hi >= 0) return false;
    r->rest = affine_const(k + lo >= 0 ? 0 : -1);
  } else {
    if (floor_div(k + lo, g) != floor_div(k + hi, g)) return false;
    r->rest = affine_scale(cx, &r->rest, 1);
    for (int i = 0; i < r->rest.nterms; i++) r->rest.terms[i].coef /= g;
    r->rest.constant = floor_div(k + lo, g);
  }
  for (int i = 0; i < n->nloops; i++) r->coef[i] = lane[i] || g == 0 ? 0 : r->coef[i] / g;
  return true;
}

// Leaves the loops that walk whole tiles, and counts in tiles from here on.
static bool nest_tiles(CopyCx *c, Nest *n) {
  bool lane[COPY_MAX_LOOPS + 2] = {0}, fine = true;
  int64_t bad;
  if (!nest_lanes(c, n, lane)) return false;
  for (int i = 0; i < n->nloops; i++) {
    Loop *l = &n->loops[i];
    if (lane[i]) continue;
    if (l->chip % n->tile) explain_misaligned(c, n, l, n->chip_buffer, l->chip), fine = false;
    else if (l->dram % n->tile) explain_misaligned(c, n, l, n->dram_buffer, l->dram), fine = false;
    l->chip /= n->tile;
    l->dram /= n->tile;
  }
  n->chip = affine_scale(c->cx, &n->chip, 1); // a copy to divide
  n->dram = affine_scale(c->cx, &n->dram, 1);
  if (!fine) return false;
  if (!affine_divide(&n->chip, n->tile, &bad)) return explain_misaligned(c, n, NULL, n->chip_buffer, bad), false;
  if (n->dram_buffer && !affine_divide(&n->dram, n->tile, &bad))
    return explain_misaligned(c, n, NULL, n->dram_buffer, bad), false;
  for (size_t k = 0; k < n->rows.len; k++)
    if (!row_without_lanes(c->cx, n, lane, &n->rows.data[k]))
      return explain_lane_condition(c, n, n->rows.data[k].guard), false;
  for (int i = n->nloops - 1; i >= 0; i--)
    if (lane[i]) nest_remove_loop(n, i);
  return true;
}

// ---- the whole ------------------------------------------------------------------------------------------------------------------

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

bool nest_normalise(CopyCx *c, const CopyStore *s, const CopyValue *v, Nest *out) {
  *out = (Nest){.kind = v->kind, .from = s, .value = v, .chip_buffer = v->chip, .dram_buffer = v->dram,
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
  if (out->dram_buffer && buffer_elems(out->dram_buffer) / out->tile > UINT32_MAX) return explain_too_large(c, out), false;
  if (out->ordered && s->apart) return explain_overwrites(c, s), false;
  nest_decide(c, out);
  if (out->empty) return true;
  nest_turn(c, out);
  nest_merge(c, out);
  if (!nest_tiles(c, out)) return false;
  nest_settle(c, out);
  return true;
}

// SPDX-License-Identifier: Apache-2.0
// Cutting: a nest in tiles as transfers with loops around them. One transfer walks two loops: x, which steps by one
// tile on either side, and y, which steps by x's extent on the chip and by anything of 16 bits in memory. Either may be
// several loops of the nest that chain. All ways to choose them are tried, with two ways to treat padding (inside the
// transfer, or zeros first and then what is inside the image), and the one with the fewest transfers is taken;
// tile_map.c looks for fewer still.
#include <string.h>

#include "passes/inject_copy/internal.h"

// Loops of the nest, innermost first, that run as one.
typedef struct Chain {
  int n;
  int loop[COPY_MAX_LOOPS + 1];
  int64_t extent, dram; // 1 and 0 when empty
  int64_t shift;        // of the base in memory: loops that read once got a step of the chain's
} Chain;

typedef VEC(Affine) AffineVec;

// Where a chain's bounds hold: from the largest of lo (and 0) up to the smallest of hi (and its extent).
typedef struct Limits {
  AffineVec lo, hi;
} Limits;

// How a chain is cut: what is written at all, and where the source is read.
typedef struct Span {
  bool guarded, padded;
  Limits write, read; // read is within write
  int64_t pad_most;   // the largest that a pad can be
} Span;

typedef struct Plan {
  Chain x, y;
  bool zero_first;     // zeros over everything, then transfers of what is inside
  bool x_pads, y_pads; // the transfer pads (else bounds skip)
  int64_t cost;
} Plan;

typedef struct Cut {
  CopyCx *c;
  Ctx *cx;
  const CopyNest *n;
  Plan best;
  bool found;
  int64_t zero_cost; // transfers that zero the whole nest, for plans that do so first; 0 for the others
} Cut;

static int64_t mul_sat(int64_t a, int64_t b) {
  int64_t r;
  return mul_ok(a, b, &r) ? r : INT64_MAX;
}

static int64_t add_sat(int64_t a, int64_t b) {
  int64_t r;
  return add_ok(a, b, &r) ? r : INT64_MAX;
}

static bool chain_has(const Chain *ch, int loop) {
  for (int i = 0; i < ch->n; i++)
    if (ch->loop[i] == loop) return true;
  return false;
}

static bool row_mentions(const Row *r, const Chain *ch) {
  for (int i = 0; i < ch->n; i++)
    if (r->coef[ch->loop[i]]) return true;
  return false;
}

// ---- bounds of a chain ----------------------------------------------------------------------------------------------

// A row in terms of a chain: coef * (m / block) + the rest >= 0, where m runs through the chain. False if it is not
// of this form.
static bool row_in_chain(const CopyNest *n, const Row *r, const Chain *ch, int64_t *coef, int64_t *block) {
  *coef = 0;
  *block = 1;
  int64_t expect = 0;
  for (int i = 0; i < ch->n; i++) {
    int64_t k = r->coef[ch->loop[i]], e = n->loops[ch->loop[i]].extent;
    if (*coef == 0 && k == 0) {
      *block *= e;
      continue;
    }
    if (*coef == 0) *coef = expect = k;
    if (k != expect) return false;
    expect = k * e;
  }
  return true;
}

// Adds the bound that a row sets to a chain. Its other loops are host loops, whose variables stay.
static void limit_by_row(const Cut *u, const Row *r, const Chain *ch, Limits *out) {
  Ctx *cx = u->cx;
  const CopyNest *n = u->n;
  int64_t coef, block;
  Affine rest = r->rest;
  if (!row_in_chain(n, r, ch, &coef, &block) || coef == 0) return;
  for (int i = 0; i < n->nloops; i++) {
    if (chain_has(ch, i) || !r->coef[i]) continue;
    Affine v = affine_of(cx, expr_var(cx, n->loops[i].var), NULL);
    rest = affine_add(cx, &rest, r->coef[i], &v);
  }
  // coef > 0: m >= block * ceil(-rest / coef). coef < 0: m < block * (floor(rest / -coef) + 1).
  int64_t k = coef < 0 ? -coef : coef;
  Affine limit = affine_scale(cx, &rest, coef < 0 ? 1 : -1);
  if (coef > 0) limit.constant += k - 1;
  if (k > 1) {
    const Expr *q =
        expr_simplify(cx, &u->c->ranges, expr_binary(cx, OP_DIV, affine_expr(cx, &limit), expr_index(cx, k)));
    limit = affine_of(cx, q, NULL);
  }
  if (coef < 0) limit.constant += 1;
  limit = affine_scale(cx, &limit, block);
  if (coef > 0) VEC_PUSH(cx->arena, out->lo, limit);
  else VEC_PUSH(cx->arena, out->hi, limit);
}

static int64_t lower_bound(const Cut *u, const Affine *a) {
  int64_t lo, hi;
  return affine_bounds(u->c, a, &lo, &hi) ? lo : INT64_MIN;
}

static int64_t upper_bound(const Cut *u, const Affine *a) {
  int64_t lo, hi;
  return affine_bounds(u->c, a, &lo, &hi) ? hi : INT64_MAX;
}

// Whether a >= b whatever the variables are (b >= a, if sign is -1).
static bool always_beyond(const Cut *u, const Affine *a, const Affine *b, int sign) {
  Affine diff = affine_add(u->cx, a, -1, b), turned = affine_scale(u->cx, &diff, sign);
  return lower_bound(u, &turned) >= 0;
}

// Drops of a list the bounds that another one makes superfluous: with sign 1 the largest counts, with -1 the smallest.
static AffineVec tightest(const Cut *u, const AffineVec *all, int sign) {
  AffineVec out = {0};
  for (size_t i = 0; i < all->len; i++) {
    bool needed = true;
    for (size_t k = 0; k < all->len && needed; k++) {
      if (k == i || !always_beyond(u, &all->data[k], &all->data[i], sign)) continue;
      needed = i < k && always_beyond(u, &all->data[i], &all->data[k], sign); // equal: the first stays
    }
    if (needed) VEC_PUSH(u->cx->arena, out, all->data[i]);
  }
  return out;
}

// The bounds of a chain by its guards (and, with all set, by the others too), with 0 and the extent among them.
static Limits chain_limits(const Cut *u, const Chain *ch, bool all) {
  Limits l = {0};
  Affine none = {0}, extent = {.constant = ch->extent};
  VEC_PUSH(u->cx->arena, l.lo, none);
  VEC_PUSH(u->cx->arena, l.hi, extent);
  for (size_t k = 0; k < u->n->rows.len; k++) {
    const Row *r = &u->n->rows.data[k];
    if ((all || r->guard) && row_mentions(r, ch)) limit_by_row(u, r, ch, &l);
  }
  return (Limits){tightest(u, &l.lo, 1), tightest(u, &l.hi, -1)};
}

// How far the last bound lies from the first at least (a conservative 0 or less if unknown).
static int64_t least_length(const Cut *u, const Limits *l) {
  int64_t least = INT64_MAX;
  for (size_t i = 0; i < l->lo.len; i++)
    for (size_t k = 0; k < l->hi.len; k++) {
      Affine d = affine_add(u->cx, &l->hi.data[k], -1, &l->lo.data[i]);
      int64_t v = lower_bound(u, &d);
      least = v < least ? v : least;
    }
  return least;
}

static int64_t most_length(const Cut *u, const Limits *l) {
  int64_t most = INT64_MAX;
  for (size_t i = 0; i < l->lo.len; i++)
    for (size_t k = 0; k < l->hi.len; k++) {
      Affine d = affine_add(u->cx, &l->hi.data[k], -1, &l->lo.data[i]);
      int64_t v = upper_bound(u, &d);
      most = v < most ? v : most;
    }
  return most < 0 ? 0 : most;
}

static Span chain_span(const Cut *u, const Chain *ch) {
  Span s = {.pad_most = 0};
  for (size_t k = 0; k < u->n->rows.len; k++) {
    const Row *r = &u->n->rows.data[k];
    if (row_mentions(r, ch)) *(r->guard ? &s.guarded : &s.padded) = true;
  }
  s.write = chain_limits(u, ch, false);
  s.read = chain_limits(u, ch, true);
  for (size_t i = 0; i < s.read.lo.len; i++) {
    int64_t v = upper_bound(u, &s.read.lo.data[i]);
    s.pad_most = v > s.pad_most ? v : s.pad_most;
  }
  for (size_t i = 0; i < s.read.hi.len; i++) {
    int64_t v = lower_bound(u, &s.read.hi.data[i]);
    int64_t pad = v == INT64_MIN ? INT64_MAX : ch->extent - v;
    s.pad_most = pad > s.pad_most ? pad : s.pad_most;
  }
  return s;
}

// ---- the search -----------------------------------------------------------------------------------------------------

// Whether the rows allow these two chains: each row bounds one of them at most, in a form that a chain has.
static bool rows_allow(const Cut *u, const Chain *x, const Chain *y) {
  int64_t coef, block;
  for (size_t k = 0; k < u->n->rows.len; k++) {
    const Row *r = &u->n->rows.data[k];
    if (row_mentions(r, x) && row_mentions(r, y)) return false;
    if (!row_in_chain(u->n, r, x, &coef, &block) || !row_in_chain(u->n, r, y, &coef, &block)) return false;
  }
  return true;
}

// Where the order of writing matters: the transfer is the innermost loops, y outside of x.
static bool order_allows(const Cut *u, const Chain *x, const Chain *y) {
  int next = u->n->nloops - 1;
  if (!u->n->ordered) return true;
  for (int i = 0; i < x->n; i++)
    if (x->loop[i] != next--) return false;
  for (int i = 0; i < y->n; i++)
    if (y->loop[i] != next--) return false;
  return true;
}

// The most iterations of host loop i that the bounds let through, given those of the host loops before it.
static int64_t host_length(const Cut *u, const Chain *x, const Chain *y, int i, bool inside) {
  Cut some = *u;
  CopyNest n = *u->n;
  Chain one = {.n = 1, .loop = {i}, .extent = n.loops[i].extent};
  n.rows = (RowVec){0};
  for (size_t k = 0; k < u->n->rows.len; k++) {
    const Row *r = &u->n->rows.data[k];
    bool known = !row_mentions(r, x) && !row_mentions(r, y);
    for (int j = i + 1; j < n.nloops; j++) known &= r->coef[j] == 0;
    if (known) VEC_PUSH(u->cx->arena, n.rows, *r);
  }
  some.n = &n;
  Limits l = chain_limits(&some, &one, inside);
  return most_length(&some, &l);
}

// Transfers that the host loops make: all iterations, or those inside the bounds.
static int64_t host_iterations(const Cut *u, const Chain *x, const Chain *y, bool inside) {
  int64_t total = 1;
  for (int i = 0; i < u->n->nloops; i++) {
    if (chain_has(x, i) || chain_has(y, i)) continue;
    total = mul_sat(total, host_length(u, x, y, i, inside));
  }
  return total;
}

static bool pads_anything(const CopyNest *n) {
  for (size_t k = 0; k < n->rows.len; k++)
    if (!n->rows.data[k].guard) return true;
  for (size_t k = 0; k < n->conds.len; k++)
    if (!n->conds.data[k].guard) return true;
  return false;
}

// Keeps the plan with the fewest transfers; of equal ones, that with the longest rows.
static void consider(Cut *u, const Plan *p) {
  if (u->found && (p->cost > u->best.cost || (p->cost == u->best.cost && p->x.extent <= u->best.x.extent))) return;
  u->best = *p;
  u->found = true;
}

// Considers the plans with these chains.
static void consider_chains(Cut *u, const Chain *x, const Chain *y) {
  if (!rows_allow(u, x, y) || !order_allows(u, x, y)) return;
  Span sx = chain_span(u, x), sy = chain_span(u, y);
  bool x_fits = !sx.padded || sx.pad_most <= PAD_MAX, y_fits = !sy.padded || sy.pad_most <= PAD_MAX;
  if (sx.guarded && y->n) return; // rows of a length that varies leave gaps on the chip
  Plan p = {.x = *x, .y = *y, .x_pads = sx.padded, .y_pads = sy.padded};
  if (!u->zero_cost) {
    p.cost = host_iterations(u, x, y, false);
    if (x_fits && y_fits) consider(u, &p);
    return;
  }
  if (y->n && !x_fits) return;
  p.zero_first = true;
  p.y_pads = false;
  p.x_pads = sx.padded && y->n > 0;
  p.cost = add_sat(u->zero_cost, host_iterations(u, x, y, true));
  consider(u, &p);
}

// Lengthens y in every way, considering each.
static void search_y(Cut *u, const Chain *x, const Chain *y) {
  const CopyNest *n = u->n;
  consider_chains(u, x, y);
  if (n->kind == COPY_ZERO) return; // a zeroed region has one dimension
  for (int i = 0; i < n->nloops; i++) {
    const Loop *l = &n->loops[i];
    Chain longer = *y;
    int64_t chip;
    if (l->stuck || chain_has(x, i) || chain_has(y, i)) continue;
    if (!mul_ok(x->extent, y->extent, &chip) || l->chip != chip) continue;
    if (y->n && !l->once && l->dram != mul_sat(y->dram, y->extent)) continue;
    if (!y->n && (l->dram < 0 || l->dram > SIZE_MAX_16)) continue;
    if (!mul_ok(y->extent, l->extent, &longer.extent) || longer.extent > SIZE_MAX_16) continue;
    if (!y->n) longer.dram = l->dram;
    else if (l->once) longer.shift += l->at * y->dram * y->extent;
    longer.loop[longer.n++] = i;
    search_y(u, x, &longer);
  }
}

static void search_x(Cut *u, const Chain *x) {
  const CopyNest *n = u->n;
  Chain none = {.extent = 1};
  search_y(u, x, &none);
  for (int i = 0; i < n->nloops; i++) {
    const Loop *l = &n->loops[i];
    Chain longer = *x;
    if (l->stuck || chain_has(x, i) || l->chip != x->extent) continue;
    if (n->kind != COPY_ZERO && !l->once && l->dram != x->extent) continue;
    if (!mul_ok(x->extent, l->extent, &longer.extent) || longer.extent > SIZE_MAX_16) continue;
    if (l->once) longer.shift += l->at * x->extent;
    longer.loop[longer.n++] = i;
    longer.dram = 1;
    search_x(u, &longer);
  }
}

// The best plan for n as a whole. What the search needs on the way is given back.
static Plan search(CopyCx *c, const CopyNest *n, int64_t zero_cost) {
  Ctx scratch = *c->cx;
  CopyCx inner = *c;
  Chain none = {.extent = 1};
  scratch.arena = arena_new();
  if (!scratch.arena) scratch.arena = c->cx->arena;
  inner.cx = &scratch;
  Cut u = {.c = &inner, .cx = &scratch, .n = n, .zero_cost = zero_cost};
  search_x(&u, &none);
  if (scratch.arena != c->cx->arena) arena_free(scratch.arena);
  return u.best; // with no chains at all there is always a plan
}

// ---- emission -------------------------------------------------------------------------------------------------------

static const Expr *simple(const Cut *u, const Expr *e) { return expr_simplify(u->cx, &u->c->ranges, e); }

// The largest (or smallest) of a list.
static const Expr *extreme(const Cut *u, BinOp op, const AffineVec *v) {
  const Expr *e = affine_expr(u->cx, &v->data[0]);
  for (size_t i = 1; i < v->len; i++) e = expr_binary(u->cx, op, e, affine_expr(u->cx, &v->data[i]));
  return simple(u, e);
}

static const Expr *minus(const Cut *u, const Expr *a, const Expr *b) {
  return simple(u, expr_binary(u->cx, OP_SUB, a, b));
}

static const Expr *plus_times(const Cut *u, const Expr *a, const Expr *b, int64_t k) {
  return simple(u, expr_binary(u->cx, OP_ADD, a, expr_binary(u->cx, OP_MUL, b, expr_index(u->cx, k))));
}

// A chain of a transfer as expressions of the variables around.
typedef struct Extent {
  const Expr *start, *length;             // of what is written
  const Expr *first, *size, *pad0, *pad1; // of what is read
  const Expr *some;                       // condition: something is read; NULL if always
  const Expr *any;                        // condition: something is written; NULL if always
} Extent;

// The bounds of a chain as expressions. With pads set, the transfer pads; else what the bounds exclude is skipped.
static Extent chain_extent(const Cut *u, const Chain *ch, bool pads, bool inside) {
  Ctx *cx = u->cx;
  Limits write = chain_limits(u, ch, inside && !pads), read = chain_limits(u, ch, pads || inside);
  const Expr *start = extreme(u, OP_MAX, &write.lo), *stop = extreme(u, OP_MIN, &write.hi);
  const Expr *from = extreme(u, OP_MAX, &read.lo), *to = extreme(u, OP_MIN, &read.hi);
  Extent e = {.start = start, .first = from};
  e.length = minus(u, stop, start);
  e.size = minus(u, to, from);
  e.pad0 = minus(u, from, start);
  e.pad1 = minus(u, stop, to);
  if (least_length(u, &write) < 1) e.any = simple(u, expr_binary(cx, OP_LT, start, stop));
  if (least_length(u, &read) < 1) e.some = simple(u, expr_binary(cx, OP_LT, from, to));
  return e;
}

static const Expr *both(const Cut *u, const Expr *a, const Expr *b) {
  if (!a || !b) return a ? a : b;
  return expr_binary(u->cx, OP_LAND, a, b);
}

static const Stmt *transfer_call(CopyCx *c, const CopyNest *n, VtaOp op, int nargs, const Expr **args) {
  const Stmt *s = stmt_intrin(c->cx, vta_op(c->vta, op), nargs, args, NULL);
  c->pc->stats.transfers++;
  return stmt_placed(c->cx, s, n->from->store->loc, c->region->why);
}

const Stmt *copy_emit(CopyCx *c, const CopyNest *n, const Transfer *t) {
  const Expr *chip = expr_ref(c->cx, n->chip_buffer, t->chip);
  if (!t->dram) {
    const Expr *zero[ARG_ZERO_END] = {[ARG_ZERO_DST] = chip, [ARG_ZERO_N] = t->x};
    return transfer_call(c, n, VTA_ZERO, ARG_ZERO_END, zero);
  }
  const Expr *dram = expr_ref(c->cx, n->dram_buffer, t->dram);
  if (n->kind == COPY_STORE) {
    const Expr *store[ARG_STORE_END] = {[ARG_STORE_DST] = dram,
                                        [ARG_STORE_SRC] = chip,
                                        [ARG_STORE_Y] = t->y,
                                        [ARG_STORE_X] = t->x,
                                        [ARG_STORE_STRIDE] = t->stride};
    return transfer_call(c, n, VTA_STORE, ARG_STORE_END, store);
  }
  const Expr *load[ARG_LOAD_END] = {[ARG_LOAD_DST] = chip,
                                    [ARG_LOAD_SRC] = dram,
                                    [ARG_LOAD_Y] = t->y,
                                    [ARG_LOAD_X] = t->x,
                                    [ARG_LOAD_STRIDE] = t->stride};
  memcpy(&load[ARG_LOAD_PAD], t->pad, sizeof t->pad);
  return transfer_call(c, n, VTA_LOAD, ARG_LOAD_END, load);
}

const Expr *copy_bound_expr(CopyCx *c, const Affine *a) {
  Affine sum = *a;
  sum.constant = 0; // a >= -constant reads better than a + constant >= 0
  const Expr *e = expr_binary(c->cx, OP_GE, affine_expr(c->cx, &sum), expr_index(c->cx, -a->constant));
  return expr_simplify(c->cx, &c->ranges, e);
}

// Where on one side the chains start, given their first iterations.
static const Expr *side_base(const Cut *u, const Plan *p, bool chip, const Expr *x, const Expr *y) {
  const CopyNest *n = u->n;
  Affine base = chip ? n->chip : n->dram;
  for (int i = 0; i < n->nloops; i++) {
    if (chain_has(&p->x, i) || chain_has(&p->y, i)) continue;
    Affine v = affine_of(u->cx, expr_var(u->cx, n->loops[i].var), NULL);
    base = affine_add(u->cx, &base, chip ? n->loops[i].chip : n->loops[i].dram, &v);
  }
  if (!chip) base.constant -= p->x.shift + p->y.shift;
  const Expr *e = plus_times(u, affine_expr(u->cx, &base), x, chip ? 1 : p->x.dram);
  return plus_times(u, e, y, chip ? p->x.extent : p->y.dram);
}

// The transfer of one iteration of the host loops.
static const Stmt *emit_transfer(const Cut *u, const Plan *p, const Extent *x, const Extent *y) {
  const CopyNest *n = u->n;
  Transfer t = {.chip = side_base(u, p, true, x->start, y->start)};
  if (n->kind == COPY_ZERO) {
    t.x = x->length;
    return copy_emit(u->c, n, &t);
  }
  t.dram = side_base(u, p, false, x->first, y->first);
  t.y = y->size;
  t.x = x->size;
  t.stride = expr_index(u->cx, p->y.n ? p->y.dram : p->x.extent);
  t.pad[PAD_ABOVE] = y->pad0;
  t.pad[PAD_BELOW] = y->pad1;
  t.pad[PAD_BEFORE] = x->pad0;
  t.pad[PAD_BEHIND] = x->pad1;
  return copy_emit(u->c, n, &t);
}

// Zeros in all that the transfer of one iteration writes.
static const Stmt *emit_zeros(const Cut *u, const Plan *p, const Extent *x, const Extent *y) {
  Transfer t = {.chip = side_base(u, p, true, x->start, y->start),
                .x = simple(u, expr_binary(u->cx, OP_MUL, x->length, y->length))};
  return copy_emit(u->c, u->n, &t);
}

// A row that bounds no chain, as a condition on the variables around; NULL if it bounds one.
static const Expr *row_condition(const Cut *u, const Plan *p, const Row *r) {
  if (row_mentions(r, &p->x) || row_mentions(r, &p->y)) return NULL;
  Affine sum = r->rest;
  for (int i = 0; i < u->n->nloops; i++) {
    if (!r->coef[i]) continue;
    Affine v = affine_of(u->cx, expr_var(u->cx, u->n->loops[i].var), NULL);
    sum = affine_add(u->cx, &sum, r->coef[i], &v);
  }
  return copy_bound_expr(u->c, &sum);
}

// Whether the bounds of one kind on loop i, a host loop, become the ends of the loop itself.
static bool loop_takes_range(const Cut *u, const Plan *p, int i, int64_t *lo, int64_t *hi) {
  if (!p->zero_first || chain_has(&p->x, i) || chain_has(&p->y, i)) return false;
  return nest_range(u->n, i, false, lo, hi) && *lo < *hi;
}

// Whether the ends of a host loop take care of a row.
static bool loop_takes_row(const Cut *u, const Plan *p, const Row *r) {
  int64_t lo, hi;
  int i = row_only_loop(u->n, r);
  return !r->guard && i >= 0 && loop_takes_range(u, p, i, &lo, &hi);
}

// The conditions of one kind that bound no chain, as a list.
static ExprVec host_conditions(const Cut *u, const Plan *p, bool guard) {
  ExprVec out = {0};
  for (size_t k = 0; k < u->n->conds.len; k++)
    if (u->n->conds.data[k].guard == guard) VEC_PUSH(u->cx->arena, out, u->n->conds.data[k].expr);
  for (size_t k = 0; k < u->n->rows.len; k++) {
    const Row *r = &u->n->rows.data[k];
    const Expr *e = r->guard == guard && !loop_takes_row(u, p, r) ? row_condition(u, p, r) : NULL;
    if (e) VEC_PUSH(u->cx->arena, out, e);
  }
  return out;
}

// The innermost host loop that e mentions; -1 if none.
static int deepest_loop(const Cut *u, const Expr *e) {
  for (int i = u->n->nloops - 1; i >= 0; i--)
    if (expr_uses_var(e, u->n->loops[i].var)) return i;
  return -1;
}

// Wraps s in the host loops and the conditions, each condition as far out as its variables allow.
static const Stmt *wrap_loops(const Cut *u, const Plan *p, const ExprVec *conds, const Stmt *s) {
  for (int i = u->n->nloops - 1; i >= -1; i--) {
    const Expr *here = NULL;
    for (size_t k = 0; k < conds->len; k++)
      if (deepest_loop(u, conds->data[k]) == i) here = both(u, here, conds->data[k]);
    if (here) s = stmt_if(u->cx, here, s, NULL);
    if (i < 0 || chain_has(&p->x, i) || chain_has(&p->y, i)) continue;
    const Loop *l = &u->n->loops[i];
    int64_t lo = 0, hi = l->extent;
    if (!loop_takes_range(u, p, i, &lo, &hi)) lo = 0, hi = l->extent;
    s = stmt_for(u->cx, l->var, expr_index(u->cx, lo), expr_index(u->cx, hi - lo), FOR_SERIAL, s);
  }
  return s;
}

// The loops and transfers of a plan, without the zeros before.
static const Stmt *emit_plan(const Cut *u, const Plan *p) {
  Ctx *cx = u->cx;
  Extent x = chain_extent(u, &p->x, p->x_pads, p->zero_first);
  Extent y = chain_extent(u, &p->y, p->y_pads, p->zero_first);
  ExprVec guards = host_conditions(u, p, true), inside = host_conditions(u, p, false);
  const Expr *some = both(u, x.some, y.some), *any = both(u, x.any, y.any);
  const Stmt *s = emit_transfer(u, p, &x, &y);
  if (p->zero_first) {
    for (size_t i = 0; i < inside.len; i++) VEC_PUSH(cx->arena, guards, inside.data[i]);
  } else {
    for (size_t i = 0; i < inside.len; i++) some = both(u, inside.data[i], some);
  }
  bool pads = !p->zero_first && (p->x_pads || p->y_pads || inside.len);
  if (some) s = stmt_if(cx, some, s, pads ? emit_zeros(u, p, &x, &y) : NULL);
  if (any && pads) s = stmt_if(cx, any, s, NULL);
  return wrap_loops(u, p, &guards, s);
}

// ---- ways to divide a nest ------------------------------------------------------------------------------------------

// How a nest is cut: by one plan, or as several nests one after the other.
typedef struct Cutting Cutting;
struct Cutting {
  int64_t cost;
  CopyNest nest;
  Plan plan;
  int nparts; // 0: by the plan
  Cutting *parts[2];
};

static Cutting *best_cutting(CopyCx *c, const CopyNest *n);

static Cutting *cutting_of_parts(CopyCx *c, int nparts, Cutting *const *parts) {
  Cutting *k = NEW(c->cx->arena, Cutting);
  for (int i = 0; i < nparts; i++) {
    k->parts[k->nparts++] = parts[i];
    k->cost = add_sat(k->cost, parts[i]->cost);
  }
  return k;
}

static Cutting *zero_cutting(CopyCx *c, const CopyNest *n) {
  CopyNest z = nest_fresh(c, n);
  nest_make_zero(&z);
  nest_settle(c, &z);
  return best_cutting(c, &z);
}

// Zeros everywhere, then what is read, with bounds in place of all padding.
static Cutting *zeros_then_rest(CopyCx *c, const CopyNest *n, Cutting *zeros) {
  CopyNest inside = nest_fresh(c, n);
  for (size_t k = 0; k < inside.rows.len; k++) inside.rows.data[k].guard = true;
  for (size_t k = 0; k < inside.conds.len; k++) inside.conds.data[k].guard = true;
  nest_settle(c, &inside);
  return cutting_of_parts(c, 2, (Cutting *[]){zeros, best_cutting(c, &inside)});
}

// One plan for the whole nest; zeros is what comes before it, or NULL.
static Cutting *cutting_by_plan(CopyCx *c, const CopyNest *n, Cutting *zeros) {
  Cutting *k = NEW(c->cx->arena, Cutting);
  k->nest = *n;
  if (n->empty) return k;
  k->plan = search(c, n, zeros ? zeros->cost : 0);
  k->cost = k->plan.cost;
  if (!zeros) return k;
  Cutting *both = cutting_of_parts(c, 2, (Cutting *[]){zeros, k});
  both->cost = k->cost; // which counts the zeros
  return both;
}

// The first of equal ones stays: the simpler code.
static Cutting *cheaper(Cutting *a, Cutting *b) { return b->cost < a->cost ? b : a; }

// The best way found to cut n.
static Cutting *best_cutting(CopyCx *c, const CopyNest *n) {
  Cutting *best = cutting_by_plan(c, n, NULL);
  if (n->kind != COPY_LOAD || n->ordered || best->cost <= 1 || !pads_anything(n)) return best;
  Cutting *zeros = zero_cutting(c, n);
  best = cheaper(best, zeros_then_rest(c, n, zeros));
  return cheaper(best, cutting_by_plan(c, n, zeros));
}

static const Stmt *emit_cutting(CopyCx *c, const Cutting *k) {
  const Stmt *s = stmt_nop(c->cx);
  if (k->nparts == 0) {
    Cut u = {.c = c, .cx = c->cx, .n = &k->nest};
    return k->nest.empty ? s : emit_plan(&u, &k->plan);
  }
  for (int i = 0; i < k->nparts; i++) s = stmt_seq2(c->cx, s, emit_cutting(c, k->parts[i]));
  return s;
}

const Stmt *nest_cut(CopyCx *c, const CopyNest *n) {
  const Cutting *k = best_cutting(c, n);
  int64_t cost = k->cost;
  for (int i = 0; i < n->nouter; i++) cost = mul_sat(cost, n->outer[i].extent);
  const Stmt *s = nest_by_tile_map(c, n, k->nparts ? add_sat(cost, 1) : cost); // of as many, those that write once
  if (s) return stmt_simplify(c->cx, s);
  s = emit_cutting(c, k);
  for (int i = n->nouter; i > 0; i--) {
    const Loop *l = &n->outer[i - 1];
    s = stmt_for(c->cx, l->var, expr_index(c->cx, 0), expr_index(c->cx, l->extent), FOR_SERIAL, s);
  }
  return stmt_simplify(c->cx, s); // loops of one iteration
}

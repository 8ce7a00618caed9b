// SPDX-License-Identifier: Apache-2.0
// A nest as a map of tiles: for each tile on the chip, which tile of memory is at the other end of it, or that it is
// zeroed, or left alone. A transfer makes an interval of it (or reads one), so that the fewest transfers are the
// shortest path over the map from its first tile to its last: dynamic programming over all intervals that a transfer
// can make.
// Where the steps of the nest are irregular (dilated, reversed, a diagonal, alternatives) this finds cuts that no
// choice of loops does; where a bound is no number the loops it mentions stay around, and each iteration has the same
// map.
#include <string.h>

#include "passes/inject_copy/internal.h"

#define TILES_MAX 4096 // of a map
#define SPAN_MAX 8192  // from its first tile to its last
#define LOADS_MAX 1024 // transfers of a map, before they are rolled into loops
#define PERIOD_MAX 64  // transfers that a rolled loop repeats
#define STMTS_MAX 200  // transfers that are left after it
enum { TILE_NONE = -1, TILE_ZERO = -2 };

// A nest with some of its loops around the map, as a set of bits, and what is known of its other parts.
typedef struct MapSplit {
  Ctx *cx;       // scratch
  CopyNest nest; // with the outer loops before the others
  uint32_t host;
  Affine chip, dram;                 // the terms of the bases that are of loops in the map
  bool *row, *cond;                  // of each bound and condition: whether it is evaluated at every point
  int64_t count[COPY_MAX_LOOPS + 1]; // of each loop at the point at hand
  bool unknown;                      // a number overflowed, or is of what only the host knows
} MapSplit;

typedef struct TileMap {
  int64_t first, origin; // what places on the chip and in memory count from; the nest's bases come on top
  int n;
  int64_t *at; // for each tile: of memory, TILE_ZERO or TILE_NONE
  int *end;    // where the run of like tiles ends that it lies in; a run in memory steps by one
  int *cut;    // the next place in its run where it may be worth to cut it; 0 if there is none
} TileMap;

// A transfer of rows of `size` tiles, the first of them from `dram`; with no rows it zeroes.
typedef struct Move {
  int from, to;
  int64_t rows, size, stride, dram, top, bottom, left, right;
} Move;

// The shortest path so far to each place.
typedef struct Paths {
  const TileMap *p;
  int *best;     // moves up to here
  Move *last;    // from == to: nothing to do for the tile before
  int zero_from; // where zeroing the run of zeros at hand best begins
} Paths;

// ---- which loops it is of -------------------------------------------------------------------------------------------

// Which loops an expression mentions.
typedef struct Mention {
  const CopyNest *n;
  uint32_t loops;
  bool outside; // other variables, memory, or functions that each machine rounds in its own way
} Mention;

static bool mention_visit(void *self, const Expr *e) {
  Mention *m = self;
  if (e->kind == EXPR_LOAD || e->kind == EXPR_REF) m->outside = true;
  if (e->kind == EXPR_MATH && !math_is_exact(e->fn)) m->outside = true;
  if (e->kind != EXPR_VAR) return true;
  int at = 0;
  while (at < m->n->nloops && m->n->loops[at].var != e->var) at++;
  if (at < m->n->nloops) m->loops |= (uint32_t)1 << at;
  else m->outside = true;
  return true;
}

static Mention mention_of(const CopyNest *n, const Expr *e) {
  Mention m = {.n = n};
  expr_visit(e, mention_visit, &m);
  return m;
}

static Mention mention_of_row(const CopyNest *n, const Row *r) {
  Mention m = {.n = n};
  for (int i = 0; i < r->rest.nterms; i++) expr_visit(r->rest.terms[i].atom, mention_visit, &m);
  for (int i = 0; i < n->nloops; i++)
    if (r->coef[i]) m.loops |= (uint32_t)1 << i;
  return m;
}

// Whether something is the same in every point of the map: then it stays an expression.
static bool stays_around(const MapSplit *u, const Mention *m) { return m->outside || m->loops & u->host; }

// What mentions anything from around has all its loops around.
static void spread(MapSplit *u, Mention m) {
  if (stays_around(u, &m)) u->host |= m.loops;
}

// Puts all those loops around that must be when u->host are: where the order matters, also what is around one of them.
static void spread_host(MapSplit *u) {
  const CopyNest *n = &u->nest;
  uint32_t before;
  do {
    before = u->host;
    for (size_t k = 0; k < n->rows.len; k++) spread(u, mention_of_row(n, &n->rows.data[k]));
    for (size_t k = 0; k < n->conds.len; k++) spread(u, mention_of(n, n->conds.data[k].expr));
    for (int i = 0; i < n->chip.nterms; i++) spread(u, mention_of(n, n->chip.terms[i].atom));
    for (int i = 0; i < n->dram.nterms; i++) spread(u, mention_of(n, n->dram.terms[i].atom));
    for (int i = n->nloops - 1; n->ordered && i > 0; i--)
      if (u->host >> i & 1) u->host |= (uint32_t)1 << (i - 1);
  } while (u->host != before);
}

// Puts one more loop around. False if none is left.
static bool host_one(MapSplit *u) {
  const CopyNest *n = &u->nest;
  int most = -1;
  for (int i = 0; i < n->nloops; i++) {
    if (u->host >> i & 1) continue;
    if (most < 0 || (!n->ordered && n->loops[i].chip > n->loops[most].chip)) most = i;
  }
  if (most < 0) return false;
  u->host |= (uint32_t)1 << most;
  spread_host(u);
  return true;
}

static int64_t count_tiles(const MapSplit *u) {
  int64_t tiles = 1;
  for (int i = 0; i < u->nest.nloops; i++)
    if (!(u->host >> i & 1) && !mul_ok(tiles, u->nest.loops[i].extent, &tiles)) return INT64_MAX;
  return tiles;
}

// Moves the terms of a base that are of loops in the map to *inside.
static void part_base(MapSplit *u, Affine *base, Affine *inside) {
  Affine out = affine_const(base->constant);
  *inside = affine_const(0);
  for (int i = 0; i < base->nterms; i++) {
    Affine term = {.nterms = 1, .terms = &base->terms[i]};
    Mention m = mention_of(&u->nest, base->terms[i].atom);
    Affine *to = stays_around(u, &m) ? &out : inside;
    *to = affine_add(u->cx, to, 1, &term);
  }
  *base = out;
}

// ---- the map --------------------------------------------------------------------------------------------------------

// The value of e at the point at hand; e mentions loops in the map alone. What has none makes the map unknown.
static Scalar point_value(MapSplit *u, const Expr *e) {
  switch (e->kind) {
  case EXPR_INT:
  case EXPR_FLOAT: return e->value;
  case EXPR_VAR:
    for (int i = 0; i < u->nest.nloops; i++)
      if (u->nest.loops[i].var == e->var) return (Scalar){.i = u->count[i]};
    break;
  case EXPR_CAST: return scalar_cast(e->type, e->a->type, point_value(u, e->a));
  case EXPR_UNARY: return scalar_unary(e->unop, e->a->type, point_value(u, e->a));
  case EXPR_BINARY: {
    Scalar a = point_value(u, e->a);
    if (e->binop == OP_LAND && !a.i) return a;
    if (e->binop == OP_LOR && a.i) return a;
    return scalar_binary(e->binop, e->a->type, a, point_value(u, e->b));
  }
  case EXPR_SELECT: return point_value(u, point_value(u, e->a).i ? e->b : e->c);
  case EXPR_MATH: {
    Scalar a = point_value(u, e->args[0]);
    return scalar_call(
        e->fn, e->type,
        (Scalar[]){a, e->nargs > 1 ? point_value(u, e->args[1]) : a, e->nargs > 2 ? point_value(u, e->args[2]) : a});
  }
  case EXPR_LOAD:
  case EXPR_REF: break;
  }
  u->unknown = true;
  return (Scalar){.i = 0};
}

static void add_product(MapSplit *u, int64_t *sum, int64_t a, int64_t b) {
  int64_t product;
  if (!mul_ok(a, b, &product) || !add_ok(*sum, product, sum)) u->unknown = true;
}

static int64_t affine_value(MapSplit *u, const Affine *a) {
  int64_t sum = a->constant;
  for (int i = 0; i < a->nterms; i++) add_product(u, &sum, a->terms[i].coef, point_value(u, a->terms[i].atom).i);
  return sum;
}

// Whether all bounds and conditions of one kind hold that are of the map.
static bool point_inside(MapSplit *u, bool guard) {
  const CopyNest *n = &u->nest;
  for (size_t k = 0; k < n->rows.len; k++) {
    const Row *r = &n->rows.data[k];
    if (r->guard != guard || !u->row[k]) continue;
    int64_t sum = affine_value(u, &r->rest);
    for (int i = 0; i < n->nloops; i++) add_product(u, &sum, r->coef[i], u->count[i]);
    if (sum < 0) return false;
  }
  for (size_t k = 0; k < n->conds.len; k++) {
    if (n->conds.data[k].guard != guard || !u->cond[k]) continue;
    if (!point_value(u, n->conds.data[k].expr).i) return false;
  }
  return true;
}

// Parts the nest in what is evaluated at every point and what stays an expression.
static void split_nest(MapSplit *u, const CopyNest *whole) {
  u->nest = *whole;
  for (size_t k = 0; k < whole->rows.len; k++) {
    Mention m = mention_of_row(whole, &whole->rows.data[k]);
    u->row[k] = !stays_around(u, &m);
  }
  for (size_t k = 0; k < whole->conds.len; k++) {
    Mention m = mention_of(whole, whole->conds.data[k].expr);
    u->cond[k] = !stays_around(u, &m);
  }
  part_base(u, &u->nest.chip, &u->chip);
  part_base(u, &u->nest.dram, &u->dram);
  u->unknown = false;
}

// What one iteration of the loops in the map copies.
typedef struct Point {
  int64_t chip, dram;
  bool zero;
} Point;

static Point point_here(MapSplit *u) {
  const CopyNest *n = &u->nest;
  Point p = {affine_value(u, &u->chip), affine_value(u, &u->dram), n->kind == COPY_ZERO || !point_inside(u, false)};
  for (int i = 0; i < n->nloops; i++) {
    if (u->host >> i & 1) continue;
    add_product(u, &p.chip, n->loops[i].chip, u->count[i]);
    add_product(u, &p.dram, n->loops[i].dram, u->count[i]);
  }
  return p;
}

// Goes to the next iteration of the loops in the map; false after the last.
static bool next_point(MapSplit *u) {
  for (int i = u->nest.nloops - 1; i >= 0; i--) {
    if (u->host >> i & 1) continue;
    if (++u->count[i] < u->nest.loops[i].extent) return true;
    u->count[i] = 0;
  }
  return false;
}

// All iterations, in order.
static Point *all_points(MapSplit *u, int *n) {
  Point *p = NEW_ARRAY(u->cx->arena, Point, (size_t)count_tiles(u) + 1);
  *n = 0;
  memset(u->count, 0, sizeof u->count);
  do {
    if (point_inside(u, true)) p[(*n)++] = point_here(u);
  } while (next_point(u));
  return p;
}

// Of stores to one place in memory the last counts: drops the others.
static bool drop_overwritten(MapSplit *u, Point *p, int n, int64_t origin, int64_t span) {
  if (span > SPAN_MAX) return false;
  bool *taken = NEW_ARRAY(u->cx->arena, bool, (size_t)span);
  for (int i = n - 1; i >= 0; i--) {
    p[i].zero = taken[p[i].dram - origin]; // a store has no zeros of its own
    taken[p[i].dram - origin] = true;
  }
  return true;
}

// Finds the runs, and the places inside of them where one as long as its neighbour begins or ends.
static void tile_map_runs(Ctx *cx, TileMap *p) {
  int before = 0; // length of the run in memory before; 0 if there is none
  p->end = NEW_ARRAY(cx->arena, int, (size_t)p->n + 1);
  p->cut = NEW_ARRAY(cx->arena, int, (size_t)p->n + 1);
  for (int i = p->n - 1; i >= 0; i--) {
    bool same = i + 1 < p->n && (p->at[i] < 0 ? p->at[i + 1] == p->at[i] : p->at[i + 1] == p->at[i] + 1);
    p->end[i] = same ? p->end[i + 1] : i + 1;
  }
  for (int i = 0; i < p->n; i = p->end[i]) {
    if (p->at[i] == TILE_NONE) before = 0;
    if (p->at[i] < 0) continue;
    int end = p->end[i], next = end < p->n && p->at[end] == TILE_ZERO ? p->end[end] : end;
    int after = next < p->n && p->at[next] >= 0 ? p->end[next] - next : 0;
    for (int k = end - 2; k >= i; k--) p->cut[k] = k + 1 == i + before || k + 1 == end - after ? k + 1 : p->cut[k + 1];
    before = end - i;
  }
}

// The map; false if there is none: it is too wide, or a tile is stored to two places. *wide tells which.
static bool tile_map_fill(MapSplit *u, TileMap *p, bool *wide) {
  int n;
  Point *point = all_points(u, &n);
  int64_t last = INT64_MIN, end = INT64_MIN, span, reach;
  *p = (TileMap){.first = INT64_MAX, .origin = INT64_MAX};
  for (int i = 0; i < n; i++) {
    if (point[i].chip < p->first) p->first = point[i].chip;
    if (point[i].chip > last) last = point[i].chip;
    if (point[i].dram < p->origin) p->origin = point[i].dram;
    if (point[i].dram > end) end = point[i].dram;
  }
  *wide = false;
  if (n == 0 || u->unknown || __builtin_sub_overflow(end, p->origin, &reach)) return false;
  *wide = __builtin_sub_overflow(last, p->first, &span) || span >= SPAN_MAX;
  if (*wide) return false;
  bool store = u->nest.kind == COPY_STORE;
  if (store && u->nest.ordered && !drop_overwritten(u, point, n, p->origin, reach + 1)) return false;
  p->n = (int)span + 1;
  p->at = NEW_ARRAY(u->cx->arena, int64_t, (size_t)p->n);
  for (int i = 0; i < p->n; i++) p->at[i] = TILE_NONE;
  for (int i = 0; i < n; i++) {
    int64_t *at = &p->at[point[i].chip - p->first];
    if (store && point[i].zero) continue;
    if (store && *at != TILE_NONE) return false;
    *at = point[i].zero ? TILE_ZERO : point[i].dram - p->origin;
  }
  tile_map_runs(u->cx, p);
  return true;
}

// ---- the shortest path ----------------------------------------------------------------------------------------------

static void reach(Paths *w, const Move *m, int64_t to) {
  if (w->best[to] <= w->best[m->from] + 1) return;
  w->best[to] = w->best[m->from] + 1;
  w->last[to] = *m;
  w->last[to].to = (int)to;
}

// Zeros from `at` on.
static int zeros_at(const TileMap *p, int64_t at) {
  return at < p->n && p->at[at] == TILE_ZERO ? p->end[at] - (int)at : 0;
}

// All ways to end a transfer of m's rows, the last of which has its data up to `end`.
static void reach_ends(Paths *w, Move *m, int64_t end) {
  int64_t zeros = zeros_at(w->p, end), width = m->left + m->size + m->right;
  if (m->right > zeros) return;
  for (m->bottom = 0; m->bottom <= PAD_MAX && m->right + m->bottom * width <= zeros; m->bottom++)
    reach(w, m, end + m->right + m->bottom * width);
}

// One row of m->size tiles, `zeros` before it.
static void reach_row(Paths *w, Move *m, int zeros, int64_t end) {
  m->rows = 1;
  m->stride = m->size;
  int64_t after = zeros_at(w->p, end), right_max = after < PAD_MAX ? after : PAD_MAX;
  for (m->left = 0; m->left <= PAD_MAX && m->left <= zeros; m->left++) {
    m->top = 0;
    for (m->right = 0; m->left == zeros && m->right <= right_max; m->right++) reach_ends(w, m, end);
    for (m->top = 1; m->left < zeros && m->top <= PAD_MAX; m->top++) {
      m->right = (zeros - m->left) / m->top - m->left - m->size;
      if ((zeros - m->left) % m->top == 0 && m->right >= 0 && m->right <= right_max) reach_ends(w, m, end);
    }
  }
}

// One run as several rows, for pads above and below that a single row could not have.
static void reach_folded(Paths *w, Move *m, int zeros, int begin, int end) {
  m->left = m->right = 0;
  for (int64_t width = 1; width < end - begin; width++) {
    if ((end - begin) % width || zeros % width || zeros / width > PAD_MAX) continue;
    m->rows = (end - begin) / width;
    m->size = m->stride = width;
    m->top = zeros / width;
    reach_ends(w, m, end);
  }
}

// Rows of the same size with the same zeros between, at the same stride.
static void reach_rows(Paths *w, Move *m, int zeros, int begin) {
  const TileMap *p = w->p;
  int64_t end = p->end[begin], gap = zeros_at(p, end), width = end - begin + gap;
  if (end + gap >= p->n || p->at[end + gap] < 0 || gap > 2 * PAD_MAX) return;
  m->size = end - begin;
  m->stride = p->at[begin + width] - p->at[begin];
  m->left = zeros % width;
  m->right = gap - m->left;
  m->top = zeros / width;
  if (m->stride < 0 || m->stride > SIZE_MAX_16) return;
  if (m->left > PAD_MAX || m->right < 0 || m->right > PAD_MAX || m->top > PAD_MAX) return;
  for (m->rows = 2;; m->rows++) {
    int64_t row = begin + (m->rows - 1) * width;
    if (row >= p->n || p->at[row] != p->at[begin] + (m->rows - 1) * m->stride || p->end[row] - row < m->size) return;
    bool longer = p->end[row] - row > m->size;
    m->bottom = 0;
    if (!longer) reach_ends(w, m, row + m->size);
    else if (m->right == 0) reach(w, m, row + m->size);
    if (longer || zeros_at(p, row + m->size) != gap) return;
  }
}

// All transfers that begin at `from`.
static void reach_from(Paths *w, int from) {
  const TileMap *p = w->p;
  int zeros = zeros_at(p, from), begin = from + zeros;
  if (begin >= p->n || p->at[begin] < 0) return;
  int end = p->end[begin];
  // Zeroing reaches all of a run's zeros with one move more: from there only the left of a first row is of use.
  if (zeros > PAD_MAX && w->best[from] > w->best[w->zero_from]) return;
  Move m = {.from = from, .dram = p->at[begin], .size = end - begin};
  reach_row(w, &m, zeros, end);
  if (zeros || zeros_at(p, end)) reach_folded(w, &m, zeros, begin, end);
  for (int cut = p->cut[begin]; cut; cut = p->cut[cut]) {
    m.size = cut - begin;
    reach_row(w, &m, zeros, cut);
  }
  reach_rows(w, &m, zeros, begin);
}

// The fewest moves that make the map, in order; returns how many.
static int tile_map_moves(Ctx *cx, const TileMap *p, Move **out) {
  Paths w = {.p = p,
             .best = NEW_ARRAY(cx->arena, int, (size_t)p->n + 1),
             .last = NEW_ARRAY(cx->arena, Move, (size_t)p->n + 1)};
  for (int i = 1; i <= p->n; i++) w.best[i] = INT32_MAX;
  for (int i = 0; i <= p->n; i++) {
    if (i > 0 && p->at[i - 1] == TILE_ZERO) reach(&w, &(Move){.from = w.zero_from}, i);
    if (i == p->n || w.best[i] == INT32_MAX) continue;
    if (p->at[i] == TILE_NONE) {
      w.best[i + 1] = w.best[i];
      w.last[i + 1] = (Move){.from = i, .to = i};
      continue;
    }
    if (p->at[i] == TILE_ZERO && (i == 0 || p->at[i - 1] != TILE_ZERO || w.best[i] < w.best[w.zero_from]))
      w.zero_from = i;
    reach_from(&w, i);
  }
  int n = w.best[p->n];
  *out = NEW_ARRAY(cx->arena, Move, (size_t)n + 1);
  for (int at = p->n, k = n; at > 0; at = w.last[at].from)
    if (w.last[at].to != w.last[at].from) (*out)[--k] = w.last[at];
  return n;
}

// ---- rolling moves into loops ---------------------------------------------------------------------------------------

// Moves one after the other, or a loop of such.
typedef struct Roll Roll;
struct Roll {
  Move move;         // count == 0
  Affine chip, dram; // of the move: from the nest's bases
  int64_t count;     // of the loop
  const Var *var;
  int nbody;
  Roll *body;
};

// Whether b is a one step further: all that differs is where it begins.
static bool rolls_alike(const Roll *a, const Roll *b) {
  const Move *m = &a->move, *k = &b->move;
  Affine ac = a->chip, ad = a->dram, bc = b->chip, bd = b->dram;
  ac.constant = ad.constant = bc.constant = bd.constant = 0;
  return m->to - m->from == k->to - k->from && m->rows == k->rows && m->size == k->size && m->stride == k->stride &&
         m->top == k->top && m->bottom == k->bottom && m->left == k->left && m->right == k->right &&
         affine_equal(&ac, &bc) && affine_equal(&ad, &bd);
}

// How often the first `period` of n moves are repeated, each at a step of its own.
static int repeats(const Roll *r, int n, int period) {
  int count = 1;
  for (; (count + 1) * period <= n; count++)
    for (int k = 0; k < period; k++) {
      const Roll *a = &r[k], *b = &r[k + period], *x = &r[k + count * period];
      if (!rolls_alike(a, x) || x->chip.constant - a->chip.constant != count * (b->chip.constant - a->chip.constant) ||
          x->dram.constant - a->dram.constant != count * (b->dram.constant - a->dram.constant))
        return count;
    }
  return count;
}

// Rolls n moves into loops, those inside of them too, and returns how many are left in all. *nout of them stand at the
// outside.
static int roll_moves(CopyCx *c, Roll *r, int n, int *nout) {
  Ctx *cx = c->cx;
  int left = 0, out = 0;
  for (int at = 0; at < n;) {
    int period = 1, count = 1;
    for (int q = 1; q <= PERIOD_MAX && 2 * q <= n - at; q++) {
      int k = repeats(r + at, n - at, q);
      if (q * (k - 1) > period * (count - 1)) period = q, count = k;
    }
    if (count == 1) {
      r[out++] = r[at++];
      left++;
      continue;
    }
    Roll loop = {.count = count, .var = tir_var(cx, name_of(cx->names, "i"), c->region->loc)};
    loop.body = arena_copy(cx->arena, r + at, (size_t)period * sizeof *r);
    Affine v = affine_of(cx, expr_var(cx, loop.var), NULL);
    for (int k = 0; k < period; k++) {
      const Roll *a = &r[at + k], *b = &r[at + k + period];
      loop.body[k].chip = affine_add(cx, &a->chip, b->chip.constant - a->chip.constant, &v);
      loop.body[k].dram = affine_add(cx, &a->dram, b->dram.constant - a->dram.constant, &v);
    }
    left += roll_moves(c, loop.body, period, &loop.nbody);
    at += period * count;
    r[out++] = loop;
  }
  *nout = out;
  return left;
}

// ---- statements -----------------------------------------------------------------------------------------------------

static const Expr *place(CopyCx *c, const Affine *base, const Affine *from) {
  Affine sum = affine_add(c->cx, base, 1, from);
  return expr_simplify(c->cx, &c->ranges, affine_expr(c->cx, &sum));
}

static const Stmt *emit_move(CopyCx *c, const CopyNest *n, const Roll *r) {
  const Move *m = &r->move;
  Transfer t = {.chip = place(c, &n->chip, &r->chip)};
  if (m->rows == 0) {
    t.x = expr_index(c->cx, m->to - m->from);
    return copy_emit(c, n, &t);
  }
  t.dram = place(c, &n->dram, &r->dram);
  t.y = expr_index(c->cx, m->rows);
  t.x = expr_index(c->cx, m->size);
  t.stride = expr_index(c->cx, m->stride);
  t.pad[PAD_ABOVE] = expr_index(c->cx, m->top);
  t.pad[PAD_BELOW] = expr_index(c->cx, m->bottom);
  t.pad[PAD_BEFORE] = expr_index(c->cx, m->left);
  t.pad[PAD_BEHIND] = expr_index(c->cx, m->right);
  return copy_emit(c, n, &t);
}

static const Stmt *emit_rolls(CopyCx *c, const CopyNest *n, const Roll *r, int count) {
  const Stmt *s = stmt_nop(c->cx);
  for (int i = 0; i < count; i++) {
    if (r[i].count == 0) {
      s = stmt_seq2(c->cx, s, emit_move(c, n, &r[i]));
      continue;
    }
    const Stmt *body = emit_rolls(c, n, r[i].body, r[i].nbody);
    const Expr *end = expr_index(c->cx, r[i].count);
    s = stmt_seq2(c->cx, s, stmt_for(c->cx, r[i].var, expr_index(c->cx, 0), end, FOR_SERIAL, body));
  }
  return s;
}

// The statement for a map if it takes fewer than `limit` transfers; else NULL. n is the nest inside its host loops.
static const Stmt *emit_map(CopyCx *c, Ctx *scratch, const CopyNest *n, const TileMap *p, int64_t limit) {
  Move *moves;
  int count = tile_map_moves(scratch, p, &moves), nout;
  if (count >= limit || count > LOADS_MAX) return NULL;
  Roll *rolls = NEW_ARRAY(c->cx->arena, Roll, (size_t)count + 1);
  for (int i = 0; i < count; i++) {
    rolls[i].move = moves[i];
    rolls[i].chip = affine_const(p->first + moves[i].from);
    rolls[i].dram = affine_const(p->origin + moves[i].dram);
  }
  if (roll_moves(c, rolls, count, &nout) > STMTS_MAX) return NULL;
  return emit_rolls(c, n, rolls, nout);
}

// The same tiles as p, all zero.
static TileMap tile_map_of_zeros(Ctx *cx, const TileMap *p) {
  TileMap z = *p;
  z.at = arena_copy(cx->arena, p->at, (size_t)p->n * sizeof *p->at);
  for (int i = 0; i < z.n; i++)
    if (z.at[i] >= 0) z.at[i] = TILE_ZERO;
  tile_map_runs(cx, &z);
  return z;
}

// The bounds and conditions of one kind that hold for a whole map or not at all; NULL if there are none.
static const Expr *map_condition(CopyCx *c, const MapSplit *u, bool guard) {
  const CopyNest *n = &u->nest;
  const Expr *all = NULL;
  for (size_t k = 0; k < n->conds.len; k++)
    if (n->conds.data[k].guard == guard && !u->cond[k])
      all = all ? expr_binary(c->cx, OP_LAND, all, n->conds.data[k].expr) : n->conds.data[k].expr;
  for (size_t k = 0; k < n->rows.len; k++) {
    const Row *r = &n->rows.data[k];
    Affine sum = r->rest;
    if (r->guard != guard || u->row[k]) continue;
    for (int i = 0; i < n->nloops; i++) {
      if (!r->coef[i]) continue;
      Affine v = affine_of(c->cx, expr_var(c->cx, n->loops[i].var), NULL);
      sum = affine_add(c->cx, &sum, r->coef[i], &v);
    }
    const Expr *e = copy_bound_expr(c, &sum);
    all = all ? expr_binary(c->cx, OP_LAND, all, e) : e;
  }
  return all;
}

// The statement for one iteration of the host loops; NULL if it takes `limit` transfers or more.
static const Stmt *map_stmt(CopyCx *c, MapSplit *u, const TileMap *p, int64_t limit) {
  CopyNest inside = u->nest;
  for (int i = 0; i < inside.nloops; i++) {
    if (!(u->host >> i & 1)) continue;
    Affine v = affine_of(c->cx, expr_var(c->cx, inside.loops[i].var), NULL);
    inside.chip = affine_add(c->cx, &inside.chip, inside.loops[i].chip, &v);
    inside.dram = affine_add(c->cx, &inside.dram, inside.loops[i].dram, &v);
  }
  int64_t before = c->pc->stats.transfers;
  const Stmt *s = emit_map(c, u->cx, &inside, p, limit), *otherwise = NULL;
  const Expr *write = map_condition(c, u, true), *read = map_condition(c, u, false);
  if (s && read) {
    TileMap zeros = tile_map_of_zeros(u->cx, p);
    otherwise = emit_map(c, u->cx, &inside, &zeros, limit);
    if (!otherwise) c->pc->stats.transfers = before;
    s = otherwise ? stmt_if(c->cx, read, s, otherwise) : NULL;
  }
  return s && write ? stmt_if(c->cx, write, s, NULL) : s;
}

// Sets the nest up with as few loops around as the map's size allows, and fills it. *times: the iterations around.
static bool split_for_map(MapSplit *u, TileMap *p, int64_t *times) {
  const CopyNest whole = u->nest;
  bool wide = false;
  u->row = NEW_ARRAY(u->cx->arena, bool, whole.rows.len + 1);
  u->cond = NEW_ARRAY(u->cx->arena, bool, whole.conds.len + 1);
  spread_host(u);
  do {
    while (count_tiles(u) > TILES_MAX)
      if (!host_one(u)) return false;
    split_nest(u, &whole);
    if (tile_map_fill(u, p, &wide)) break;
  } while (wide && host_one(u));
  *times = 1;
  for (int i = 0; i < u->nest.nloops; i++)
    if (u->host >> i & 1 && !mul_ok(*times, u->nest.loops[i].extent, times)) return false;
  return p->end != NULL && u->host != ((uint32_t)1 << u->nest.nloops) - 1;
}

// n with its outer loops before the others; false if they are too many.
static bool join_outer(Ctx *cx, const CopyNest *n, CopyNest *out) {
  *out = *n;
  if (n->nouter + n->nloops > COPY_MAX_LOOPS) return false;
  out->nouter = 0;
  out->nloops = n->nouter + n->nloops;
  memcpy(out->loops, n->outer, (size_t)n->nouter * sizeof *n->outer);
  memcpy(out->loops + n->nouter, n->loops, (size_t)n->nloops * sizeof *n->loops);
  out->rows = (RowVec){0};
  for (size_t k = 0; k < n->rows.len; k++) {
    Row r = n->rows.data[k];
    memmove(r.coef + n->nouter, r.coef, (size_t)n->nloops * sizeof *r.coef);
    memset(r.coef, 0, (size_t)n->nouter * sizeof *r.coef);
    VEC_PUSH(cx->arena, out->rows, r);
  }
  return true;
}

void nest_decide_together(CopyCx *c, CopyNest *n) {
  MapSplit u = {.cx = c->cx};
  bool writes = false, reads = false;
  size_t nrows = n->rows.len, nconds = n->conds.len;
  uint32_t loops = 0;
  if (nrows + nconds < 2 || !join_outer(c->cx, n, &u.nest)) return;
  u.row = NEW_ARRAY(c->cx->arena, bool, nrows + 1);
  u.cond = NEW_ARRAY(c->cx->arena, bool, nconds + 1);
  for (size_t k = 0; k < nrows + nconds; k++) { // those that mention variables from around count as held
    bool *at = k < nrows ? &u.row[k] : &u.cond[k - nrows];
    Mention m =
        k < nrows ? mention_of_row(&u.nest, &u.nest.rows.data[k]) : mention_of(&u.nest, n->conds.data[k - nrows].expr);
    *at = !m.outside;
    if (*at) loops |= m.loops;
  }
  u.host = ~loops;
  if (count_tiles(&u) > TILES_MAX) return;
  do {
    bool write = point_inside(&u, true);
    writes |= write;
    reads |= write && point_inside(&u, false);
  } while (!u.unknown && !(writes && reads) && next_point(&u));
  if (u.unknown) return;
  if (!writes) n->empty = true;
  else if (!reads && n->kind == COPY_LOAD) nest_make_zero(n);
}

const Stmt *nest_by_tile_map(CopyCx *c, const CopyNest *n, int64_t limit) {
  Ctx scratch = *c->cx;
  MapSplit u = {.cx = &scratch};
  TileMap p = {0};
  int64_t times;
  if (n->empty || limit <= 1) return NULL;
  scratch.arena = arena_new();
  if (!scratch.arena) return NULL;
  const Stmt *s = NULL;
  if (join_outer(&scratch, n, &u.nest) && split_for_map(&u, &p, &times))
    s = map_stmt(c, &u, &p, (limit - 1) / times + 1); // fewer in each, so in all
  for (int i = u.nest.nloops - 1; s && i >= 0; i--) {
    const Loop *l = &u.nest.loops[i];
    if (!(u.host >> i & 1)) continue;
    s = stmt_for(c->cx, l->var, expr_index(c->cx, 0), expr_index(c->cx, l->extent), FOR_SERIAL, s);
  }
  arena_free(scratch.arena);
  return s;
}

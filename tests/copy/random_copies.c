// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "model.h"
#include "random_copies.h"

uint64_t random_next(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

typedef enum Mode { MODE_INP, MODE_WGT, MODE_ACC, MODE_ACC8, MODE_STORE, MODE_COUNT } Mode;

#define DIMS_MAX 8
#define LOOPS_MAX 24

typedef struct Gen {
  Ctx *cx;
  const VtaTarget *vta;
  uint64_t state;
  Mode mode;
  Ranges ranges;
  struct {
    const Var *var;
    int64_t min, extent;
  } loops[LOOPS_MAX];
  int nloops;
  const Var *outer[2];
  int64_t outer_extent[2];
  int nouter;
  int64_t points; // iterations so far
  bool wild, odd;
  int ndims;
  const Expr *chip[DIMS_MAX], *dram[DIMS_MAX];
  int64_t chip_shape[DIMS_MAX], dram_shape[DIMS_MAX];
  VEC(const Expr *) guards, pads;
} Gen;

static int64_t pick(Gen *g, int64_t lo, int64_t hi) {
  return lo + (int64_t)(random_next(&g->state) % (uint64_t)(hi - lo + 1));
}
static bool chance(Gen *g, int percent) { return pick(g, 1, 100) <= percent; }

static const Expr *add(Gen *g, const Expr *a, const Expr *b) { return expr_binary(g->cx, OP_ADD, a, b); }
static const Expr *num(Gen *g, int64_t k) { return expr_index(g->cx, k); }
static const Expr *times(Gen *g, const Expr *a, int64_t k) { return expr_binary(g->cx, OP_MUL, a, num(g, k)); }

static const Var *new_var(Gen *g, const char *name, int64_t lo, int64_t hi) {
  const Var *v = tir_var(g->cx, name_of(g->cx->names, name), (Loc){0});
  ranges_push(g->cx, &g->ranges, v, lo, hi);
  return v;
}

// A loop of the nest, from 0 in the expression that is returned.
static const Expr *new_loop(Gen *g, int64_t extent) {
  int64_t min = chance(g, 10) ? pick(g, -3, 3) : 0;
  char name[8];
  snprintf(name, sizeof name, "i%d", g->nloops);
  const Var *v = new_var(g, name, min, min + extent - 1);
  g->loops[g->nloops].var = v;
  g->loops[g->nloops].min = min;
  g->loops[g->nloops++].extent = extent;
  g->points *= extent;
  return add(g, expr_var(g->cx, v), num(g, -min));
}

static void bounds(Gen *g, const Expr *e, int64_t *lo, int64_t *hi) {
  if (!expr_bounds(&g->ranges, e, lo, hi)) *lo = 0, *hi = 0;
}

// e >= k in some spelling.
static const Expr *at_least(Gen *g, const Expr *e, int64_t k) {
  Ctx *cx = g->cx;
  switch (pick(g, 0, 3)) {
  case 0: return expr_binary(cx, OP_GE, e, num(g, k));
  case 1: return expr_binary(cx, OP_LE, num(g, k), e);
  case 2: return expr_binary(cx, OP_GT, e, num(g, k - 1));
  default: return expr_unary(cx, UN_NOT, expr_binary(cx, OP_LT, e, num(g, k)));
  }
}

static const Expr *less(Gen *g, const Expr *e, int64_t k) {
  Ctx *cx = g->cx;
  switch (pick(g, 0, 3)) {
  case 0: return expr_binary(cx, OP_LT, e, num(g, k));
  case 1: return expr_binary(cx, OP_GT, num(g, k), e);
  case 2: return expr_binary(cx, OP_LT, times(g, e, 2), num(g, 2 * k));
  default: return expr_unary(cx, UN_NOT, expr_binary(cx, OP_GE, e, num(g, k)));
  }
}

// Sets dimension d: `local` counts on the chip, `global` in memory (which may be padded around).
static void set_dim(Gen *g, int d, const Expr *local, const Expr *global, bool may_pad) {
  int64_t lo, hi, before = chance(g, 15) ? pick(g, 1, 2) : 0, after = chance(g, 15) ? pick(g, 1, 2) : 0;
  bounds(g, local, &lo, &hi);
  g->chip[d] = add(g, local, num(g, before - lo));
  g->chip_shape[d] = hi - lo + 1 + before + after;
  bounds(g, global, &lo, &hi);
  if (may_pad && chance(g, 35)) {
    int64_t wide = chance(g, 10) ? 20 : 2;
    int64_t from = lo + pick(g, 0, wide), to = hi + 1 - pick(g, 0, wide);
    if (chance(g, 50)) from = lo;
    if (to <= from) to = from + 1;
    if (from > lo || chance(g, 10)) VEC_PUSH(g->cx->arena, g->pads, at_least(g, global, from));
    if (to <= hi || chance(g, 10)) VEC_PUSH(g->cx->arena, g->pads, less(g, global, to));
    g->dram[d] = add(g, global, num(g, -from));
    g->dram_shape[d] = to - from;
    if (from > hi) g->dram_shape[d] = 1;
    return;
  }
  before = chance(g, 20) ? pick(g, 0, 3) : 0, after = chance(g, 20) ? pick(g, 0, 3) : 0;
  g->dram[d] = add(g, global, num(g, before - lo));
  g->dram_shape[d] = hi - lo + 1 + before + after;
}

// ---- odd expressions: all that the language has for an index or a guard ---------------------------------------------

typedef struct Leaves {
  const Expr *of[3];
  int n;
} Leaves;

static const Expr *odd_cond(Gen *g, const Leaves *l, int depth);

// Of floats of some type, over integers.
static const Expr *odd_float(Gen *g, const Expr *x, DType t) {
  static const MathFn fns[] = {FN_ABS, FN_FLOOR, FN_CEIL, FN_ROUND, FN_TRUNC, FN_SQRT, FN_EXP, FN_TANH};
  static const double factors[] = {0.5, 0.7, -0.6, 1.5, 0.1};
  static const BinOp ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MIN, OP_MAX, OP_MOD};
  const Expr *k = expr_float(g->cx, t, factors[pick(g, 0, 4)]);
  x = expr_binary(g->cx, ops[pick(g, 0, 6)], expr_cast(g->cx, t, x), k);
  return chance(g, 50) ? expr_math(g->cx, fns[pick(g, 0, g->wild ? 5 : 7)], x, NULL)
                       : x; // exp, tanh: only the host knows
}

static DType odd_float_type(Gen *g) { return (DType[]){DT_F16, DT_F32, DT_F64}[pick(g, 0, 2)]; }

static const Expr *odd(Gen *g, const Leaves *l, int depth) {
  static const BinOp with_num[] = {OP_SHR, OP_AND, OP_MOD, OP_DIV, OP_OR, OP_XOR, OP_MUL, OP_SHL};
  static const BinOp with_odd[] = {OP_MIN, OP_MAX, OP_ADD, OP_SUB};
  static const DType types[] = {DT_I8, DT_U8, DT_I16, DT_I32, DT_U32};
  Ctx *cx = g->cx;
  const Expr *x;
  if (depth == 0) return chance(g, 85) ? l->of[pick(g, 0, l->n - 1)] : num(g, pick(g, -2, 5));
  x = odd(g, l, depth - 1);
  switch (pick(g, 0, 9)) {
  case 0: return expr_math(cx, FN_ABS, add(g, x, num(g, pick(g, -3, 1))), NULL);
  case 1: return expr_binary(cx, OP_MIN, expr_binary(cx, OP_MAX, x, num(g, pick(g, -1, 1))), num(g, pick(g, 1, 5)));
  case 2: return expr_binary(cx, OP_MOD, add(g, x, num(g, pick(g, -2, 4))), num(g, pick(g, 2, 5)));
  case 3:
  case 4: return expr_binary(cx, with_num[pick(g, 0, 7)], x, num(g, pick(g, 1, 3)));
  case 5: return expr_binary(cx, with_odd[pick(g, 0, 3)], x, odd(g, l, depth - 1));
  case 6: return expr_select(cx, odd_cond(g, l, depth - 1), x, odd(g, l, depth - 1));
  case 7: return expr_cast(cx, DT_I64, expr_cast(cx, types[pick(g, 0, 4)], x));
  case 8: return expr_cast(cx, DT_I64, odd_float(g, x, odd_float_type(g)));
  default: return expr_unary(cx, chance(g, 50) ? UN_NEG : UN_BITNOT, x);
  }
}

static const Expr *odd_cond(Gen *g, const Leaves *l, int depth) {
  static const BinOp compares[] = {OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE};
  Ctx *cx = g->cx;
  int below = depth > 0 ? depth - 1 : 0;
  DType t = odd_float_type(g);
  switch (pick(g, 0, depth > 0 ? 6 : 2)) {
  case 0: return expr_binary(cx, compares[pick(g, 0, 5)], odd(g, l, below), num(g, pick(g, -1, 4)));
  case 1:
    return expr_binary(cx, compares[pick(g, 0, 5)], odd_float(g, odd(g, l, below), t),
                       odd_float(g, odd(g, l, below), t));
  case 2: return expr_binary(cx, compares[pick(g, 0, 5)], odd(g, l, below), odd(g, l, below));
  case 3: return expr_binary(cx, OP_LAND, odd_cond(g, l, below), odd_cond(g, l, below));
  case 4: return expr_binary(cx, OP_LOR, odd_cond(g, l, below), odd_cond(g, l, below));
  case 5: return expr_unary(cx, UN_NOT, odd_cond(g, l, below));
  default: return expr_select(cx, odd_cond(g, l, below), odd_cond(g, l, below), odd_cond(g, l, below));
  }
}

// The smallest and largest value of e, by trying all values of its variables from the i-th range on.
static void try_all(Gen *g, Model *m, const Expr *e, size_t i, int64_t *lo, int64_t *hi) {
  while (i < g->ranges.len && !expr_uses_var(e, g->ranges.data[i].var)) i++;
  if (i == g->ranges.len) {
    int64_t v = model_eval(m, e).i;
    if (v < *lo) *lo = v;
    if (v > *hi) *hi = v;
    return;
  }
  const VarRange *r = &g->ranges.data[i];
  m->vars[m->nvars++].var = r->var;
  for (int64_t v = r->lo; v <= r->hi; v++) {
    m->vars[m->nvars - 1].value = v;
    try_all(g, m, e, i + 1, lo, hi);
  }
  m->nvars--;
}

static void true_bounds(Gen *g, const Expr *e, int64_t *lo, int64_t *hi) {
  Model m = {.vta = g->vta};
  *lo = INT64_MAX, *hi = INT64_MIN;
  try_all(g, &m, e, 0, lo, hi);
}

// An index from 0 up to *extent, over the leaves.
static const Expr *odd_index(Gen *g, const Leaves *l, int64_t *extent) {
  const Expr *e = odd(g, l, (int)pick(g, 1, 3));
  int64_t lo, hi;
  true_bounds(g, e, &lo, &hi);
  if (lo < -1000 || hi > 1000 || hi - lo > 20) e = expr_binary(g->cx, OP_MOD, e, num(g, pick(g, 2, 7)));
  true_bounds(g, e, &lo, &hi);
  *extent = hi - lo + 1 + (chance(g, 30) ? 1 : 0);
  return add(g, e, num(g, -lo));
}

// Two loops, with indices and conditions of any kind over them (and a loop around).
static void odd_dims(Gen *g, bool pads, int64_t e, int64_t f) {
  const Expr *v = new_loop(g, e), *w = new_loop(g, f);
  Leaves l = {{v, w, v}, chance(g, 60) ? 2 : 1};
  int d = g->ndims;
  if (g->nouter && chance(g, 30)) l.of[l.n++] = expr_var(g->cx, g->outer[0]);
  g->chip[d] = v, g->chip_shape[d] = e;
  g->chip[d + 1] = w, g->chip_shape[d + 1] = f;
  g->dram[d] = odd_index(g, &l, &g->dram_shape[d]);
  g->dram[d + 1] = w, g->dram_shape[d + 1] = f;
  if (chance(g, 15)) g->dram[d] = v, g->dram_shape[d] = e; // odd conditions alone
  if (chance(g, 15)) g->chip[d] = odd_index(g, &l, &g->chip_shape[d]);
  if (chance(g, 15)) g->dram[d + 1] = odd_index(g, &l, &g->dram_shape[d + 1]);
  if (pads && chance(g, 40)) VEC_PUSH(g->cx->arena, g->pads, odd_cond(g, &l, (int)pick(g, 0, 2)));
  if (chance(g, 25)) VEC_PUSH(g->cx->arena, g->guards, odd_cond(g, &l, (int)pick(g, 0, 2)));
  g->ndims += 2;
}

static const Expr *outer_part(Gen *g, int64_t step) {
  if (!g->nouter || !chance(g, 40)) return num(g, 0);
  return times(g, expr_var(g->cx, g->outer[pick(g, 0, g->nouter - 1)]), step);
}

// One or two dimensions of some form, with the loops that they need.
static void new_dims(Gen *g, bool pads) {
  int d = g->ndims;
  int64_t e = pick(g, 1, g->points > 60 ? 2 : 6), f = pick(g, 1, 3);
  const Expr *v, *w, *both;
  switch (pick(g, 0, g->odd ? 13 : 10)) {
  case 0: // tile of an outer loop
  case 1:
    v = new_loop(g, e);
    set_dim(g, d, v, add(g, v, outer_part(g, e)), pads);
    g->ndims++;
    return;
  case 2: // split, with a guard where it does not divide
    v = new_loop(g, (e + f - 1) / f);
    w = new_loop(g, f);
    both = add(g, times(g, v, f), w);
    if (e % f) VEC_PUSH(g->cx->arena, g->guards, less(g, both, e));
    set_dim(g, d, both, add(g, both, outer_part(g, e)), pads);
    g->ndims++;
    return;
  case 3: // outer split with a guard on a tile
    v = new_loop(g, e);
    both = add(g, v, outer_part(g, e));
    if (chance(g, 50)) {
      int64_t lo, hi;
      bounds(g, both, &lo, &hi);
      if (hi > 0) VEC_PUSH(g->cx->arena, g->guards, less(g, both, hi + 1 - pick(g, 0, hi < 2 ? hi : 2)));
    }
    set_dim(g, d, v, both, pads);
    g->ndims++;
    return;
  case 4: // strided, reversed or still
    v = new_loop(g, e);
    set_dim(g, d, v, times(g, v, pick(g, -2, 3)), pads);
    g->ndims++;
    return;
  case 5: // a window: two dimensions on the chip, one in memory (the other still)
    v = new_loop(g, e);
    w = new_loop(g, f);
    set_dim(g, d, v, add(g, times(g, v, pick(g, 1, 2)), w), pads);
    set_dim(g, d + 1, w, num(g, 0), false);
    g->ndims += 2;
    return;
  case 6: // fused
    v = new_loop(g, e * f);
    w = expr_binary(g->cx, OP_MOD, v, num(g, f));
    v = expr_binary(g->cx, OP_DIV, v, num(g, f));
    set_dim(g, d, v, v, pads);
    set_dim(g, d + 1, w, w, pads);
    g->ndims += 2;
    return;
  case 7: // repeated, from somewhere between; now and then with zeros between
    v = new_loop(g, e);
    w = add(g, v, num(g, pick(g, 0, 3)));
    f = pick(g, 2, 3);
    if (pads && chance(g, 50))
      VEC_PUSH(g->cx->arena, g->pads,
               expr_binary(g->cx, OP_EQ, expr_binary(g->cx, OP_MOD, w, num(g, f)), num(g, pick(g, 0, f - 1))));
    set_dim(g, d, v, expr_binary(g->cx, OP_DIV, w, num(g, f)), pads);
    g->ndims++;
    return;
  case 8: // written several times: the last one stays
    v = new_loop(g, e);
    set_dim(g, d, chance(g, 50) ? num(g, 0) : expr_binary(g->cx, OP_DIV, v, num(g, 2)), v, pads);
    g->ndims++;
    return;
  case 9: // a condition on two loops, of one kind or another
    v = new_loop(g, e);
    w = new_loop(g, f);
    both = expr_binary(g->cx, (BinOp[]){OP_LE, OP_NE, OP_EQ}[pick(g, 0, 2)], v, add(g, w, num(g, pick(g, -1, 1))));
    if (chance(g, 30)) both = expr_binary(g->cx, OP_LOR, both, expr_binary(g->cx, OP_LT, v, num(g, 1)));
    if (pads && chance(g, 60)) VEC_PUSH(g->cx->arena, g->pads, both);
    else VEC_PUSH(g->cx->arena, g->guards, both);
    set_dim(g, d, v, v, pads);
    set_dim(g, d + 1, w, w, pads);
    g->ndims += 2;
    return;
  case 11:
  case 12:
  case 13: odd_dims(g, pads, e, f); return;
  default: // backwards on the chip
    v = new_loop(g, e);
    set_dim(g, d, times(g, v, -1), times(g, v, pick(g, -1, 1)), pads);
    g->ndims++;
    return;
  }
}

// Something odd inside of tiles, which now and then is harmless: dimension d, its first `inner` iterations being a
// loop's.
static void wild_lanes(Gen *g, int d, int64_t tile, int64_t inner) {
  const Expr *lane = g->chip[d], *other = expr_binary(g->cx, OP_SUB, num(g, g->chip_shape[d] - 1), lane), *cond;
  int64_t k;
  switch (pick(g, 0, 6)) {
  case 0: // backwards, on one side or on both
    if (chance(g, 70)) g->chip[d] = other;
    if (chance(g, 70)) g->dram[d] = other;
    return;
  case 1: // misaligned
    k = chance(g, 40) ? tile : pick(g, 1, tile);
    g->dram[d] = add(g, lane, num(g, k));
    g->dram_shape[d] += tile;
    return;
  case 2: // a part of the tiles
    k = chance(g, 30) ? tile : pick(g, 0, g->chip_shape[d]);
    cond = chance(g, 50) ? less(g, lane, k) : at_least(g, lane, k);
    if (chance(g, 50) && g->mode != MODE_STORE) VEC_PUSH(g->cx->arena, g->pads, cond);
    else VEC_PUSH(g->cx->arena, g->guards, cond);
    return;
  case 3: // one element for all
    g->dram[d] = chance(g, 50) ? num(g, 0) : expr_binary(g->cx, OP_DIV, lane, num(g, tile));
    return;
  case 4: // in another order
    k = inner;
    other = add(g, times(g, expr_binary(g->cx, OP_MOD, lane, num(g, k)), g->chip_shape[d] / k),
                expr_binary(g->cx, OP_DIV, lane, num(g, k)));
    g->dram[d] = other;
    return;
  case 5: // spread out
    k = pick(g, 1, 2);
    g->dram[d] = times(g, lane, k);
    g->dram_shape[d] *= k;
    return;
  default: // a condition that is decided by whole tiles
    other = expr_binary(g->cx, OP_DIV, lane, num(g, chance(g, 60) ? tile : 2));
    VEC_PUSH(g->cx->arena, g->guards, less(g, other, pick(g, 0, 3)));
    return;
  }
}

// The lanes: one dimension of the tile's size, walked by one to three loops; now and then in one with the dimension
// before it.
static void lane_dims(Gen *g, int64_t tile) {
  int64_t left = tile, done = 1, whole = tile, inner = 1;
  const Expr *lane = num(g, 0);
  while (left > 1) {
    int64_t e = left;
    if (chance(g, 30))
      for (e = 2; e < left && chance(g, 60);) e *= 2;
    lane = add(g, lane, times(g, new_loop(g, e), done));
    inner = done == 1 ? e : inner;
    done *= e;
    left /= e;
  }
  int d = g->ndims++;
  if (chance(g, 15)) { // blocks of the same dimension
    int64_t e = pick(g, 1, 4);
    lane = add(g, lane, times(g, new_loop(g, e), tile));
    tile *= e;
  }
  g->chip[d] = g->dram[d] = lane;
  g->chip_shape[d] = g->dram_shape[d] = tile;
  if (g->wild) wild_lanes(g, d, whole, inner);
}

static void shuffle(Gen *g, void *data, int n, size_t size) {
  char *at = data, tmp[64];
  for (int i = n - 1; i > 0; i--) {
    size_t j = (size_t)pick(g, 0, i);
    memcpy(tmp, at + (size_t)i * size, size);
    memmove(at + (size_t)i * size, at + j * size, size);
    memcpy(at + j * size, tmp, size);
  }
}

// Permutes the dimensions of one side, the lanes staying last.
static void permute(Gen *g, const Expr **index, int64_t *shape) {
  struct Dim {
    const Expr *index;
    int64_t shape;
  } dims[DIMS_MAX];
  for (int i = 0; i < g->ndims - 1; i++) dims[i] = (struct Dim){index[i], shape[i]};
  shuffle(g, dims, g->ndims - 1, sizeof *dims);
  for (int i = 0; i < g->ndims - 1; i++) index[i] = dims[i].index, shape[i] = dims[i].shape;
}

// value where the pads hold, else zero, in some spelling.
static const Expr *padded(Gen *g, const Expr *value) {
  Ctx *cx = g->cx;
  const Expr *zero = expr_int(cx, value->type, 0), *all = expr_int(cx, DT_BOOL, 1), *none = expr_int(cx, DT_BOOL, 0);
  int spelling = (int)pick(g, 0, 4);
  if (!g->pads.len) return value;
  for (size_t i = 0; i < g->pads.len; i++) {
    const Expr *p = g->pads.data[i];
    all = expr_binary(cx, OP_LAND, all, p);
    none = expr_binary(cx, OP_LOR, none, expr_unary(cx, UN_NOT, p));
  }
  switch (spelling) {
  case 0: return expr_select(cx, all, value, zero);
  case 1: return expr_select(cx, none, zero, value);
  case 2: return expr_select(cx, expr_unary(cx, UN_NOT, all), zero, value);
  case 3: return expr_select(cx, expr_unary(cx, UN_NOT, none), value, zero);
  default:
    for (size_t i = 0; i < g->pads.len; i++)
      value = i & 1 ? expr_select(cx, expr_unary(cx, UN_NOT, g->pads.data[i]), zero, value)
                    : expr_select(cx, g->pads.data[i], value, zero);
    return value;
  }
}

// The region: loops in any order, guards, the store.
static const Stmt *region(Gen *g, const Buffer *chip, const Buffer *dram) {
  Ctx *cx = g->cx;
  const Stmt *s;
  if (g->mode == MODE_STORE) {
    s = stmt_store(cx, dram, g->dram, expr_cast(cx, DT_I8, expr_load(cx, chip, g->chip)));
  } else {
    const Expr *v = expr_load(cx, dram, g->dram);
    bool outside = chance(g, 50);
    if (g->mode == MODE_ACC8 && !outside) v = expr_cast(cx, DT_I32, v);
    v = padded(g, v);
    s = stmt_store(cx, chip, g->chip, expr_cast(cx, chip->type, v));
  }
  for (size_t i = 0; i < g->guards.len; i++) s = stmt_if(cx, g->guards.data[i], s, NULL);
  if (chance(g, 60)) shuffle(g, g->loops, g->nloops, sizeof g->loops[0]);
  for (int i = 0; i < g->nloops; i++)
    s = stmt_for(cx, g->loops[i].var, num(g, g->loops[i].min), num(g, g->loops[i].extent), FOR_SERIAL, s);
  return stmt_intrin(cx, vta_op(g->vta, VTA_DMA_COPY), 0, NULL, s);
}

RandomCopy random_copy(Ctx *cx, const VtaTarget *vta, uint64_t seed, bool odd) {
  Gen g = {.cx = cx, .vta = vta, .odd = odd, .state = seed * 0x2545F4914F6CDD1Du, .points = 1};
  g.mode = (Mode)pick(&g, 0, MODE_COUNT - 1);
  const Scope *scope = g.mode == MODE_INP ? &vta->inp : g.mode == MODE_WGT ? &vta->wgt : &vta->acc;
  DType chip_type = scope->type, dram_type = g.mode == MODE_ACC ? DT_I32 : DT_I8;
  g.nouter = (int)pick(&g, 0, 2);
  for (int i = 0; i < g.nouter; i++) {
    g.outer_extent[i] = pick(&g, 1, 3);
    g.outer[i] = new_var(&g, i ? "o1" : "o0", 0, g.outer_extent[i] - 1);
  }
  g.wild = g.nouter == 0 && chance(&g, 20);
  if (g.mode == MODE_WGT) g.points = 10; // its tiles are large
  int rank = (int)pick(&g, 0, 5);
  while (g.ndims < rank && g.nloops < LOOPS_MAX - 10 && g.points < 400) new_dims(&g, g.mode != MODE_STORE);
  lane_dims(&g, scope->tile);
  if (chance(&g, 25)) permute(&g, g.chip, g.chip_shape);
  if (chance(&g, 25)) permute(&g, g.dram, g.dram_shape);
  const Buffer *chip =
      tir_buffer(cx, name_of(cx->names, "chip"), chip_type, scope, BUF_LOCAL, g.ndims, g.chip_shape, (Loc){0});
  const Buffer *dram = tir_buffer(cx, name_of(cx->names, "dram"), dram_type, &scope_host,
                                  g.mode == MODE_STORE ? BUF_OUTPUT : BUF_INPUT, g.ndims, g.dram_shape, (Loc){0});
  const Stmt *s = region(&g, chip, dram);
  for (int i = 0; i < g.nouter; i++)
    s = stmt_for(cx, g.outer[i], num(&g, 0), num(&g, g.outer_extent[i]), FOR_SERIAL, s);
  Func *f = NEW(cx->arena, Func);
  *f = (Func){.name = name_of(cx->names, "copy"), .target = &vta->tir, .nparams = 1, .body = stmt_alloc(cx, chip, s)};
  f->params = NEW_ARRAY(cx->arena, const Buffer *, 1);
  f->params[0] = dram;
  return (RandomCopy){f, chip, dram, g.nouter, g.wild};
}

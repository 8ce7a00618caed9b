// SPDX-License-Identifier: Apache-2.0
// A nest as numbers: bounds that are decided are dropped, loops that always go together merged, the loops inside a tile
// dropped, so that what is left counts tiles. Everything here keeps what the nest does.
#include <string.h>

#include "passes/inject_copy/internal.h"

// ---- rows and loops as numbers --------------------------------------------------------------------------------------

// The smallest and largest of the loops' part of a row.
static void row_reach(const CopyNest *n, const Row *r, int64_t *lo, int64_t *hi) {
  *lo = *hi = 0;
  for (int i = 0; i < n->nloops; i++) {
    int64_t far = r->coef[i] * (n->loops[i].extent - 1);
    *(far < 0 ? lo : hi) += far;
  }
}

void nest_make_zero(CopyNest *n) {
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
static void nest_decide(CopyCx *c, CopyNest *n) {
  size_t kept = 0;
  for (size_t k = 0; k < n->rows.len; k++) {
    Row r = n->rows.data[k];
    int64_t lo, hi, least, most, sum;
    row_reach(n, &r, &least, &most);
    bool known = affine_bounds(c, &r.rest, &lo, &hi);
    if (known && lo == hi) r.rest = affine_const(lo); // variables with one value
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

static void nest_remove_loop(CopyNest *n, int at) {
  n->nloops--;
  for (int i = at; i < n->nloops; i++) n->loops[i] = n->loops[i + 1];
  for (size_t k = 0; k < n->rows.len; k++) {
    Row *r = &n->rows.data[k];
    for (int i = at; i < n->nloops; i++) r->coef[i] = r->coef[i + 1];
    r->coef[n->nloops] = 0;
  }
}

// Makes loop `at` one of outer * inner, the inner one put behind it. At most one loop is added by a nest's tiling.
static void nest_split_loop(CopyCx *c, CopyNest *n, int at, int64_t inner) {
  for (int i = n->nloops++; i > at + 1; i--) n->loops[i] = n->loops[i - 1];
  Loop *out = &n->loops[at], *in = &n->loops[at + 1];
  *in = (Loop){.var = tir_var(c->cx, out->var->name, out->var->loc),
               .extent = inner,
               .chip = out->chip,
               .dram = out->dram,
               .gathers = out->gathers};
  *out = (Loop){.var = tir_var(c->cx, out->var->name, out->var->loc),
                .extent = out->extent / inner,
                .chip = out->chip * inner,
                .dram = out->dram * inner};
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
static bool loops_chain(const CopyNest *n, int out, int in) {
  int64_t e = n->loops[in].extent, all;
  if (n->loops[out].stuck || n->loops[in].stuck || n->loops[out].once || n->loops[in].once ||
      n->loops[out].chip != n->loops[in].chip * e)
    return false;
  if (n->kind != COPY_ZERO && n->loops[out].dram != n->loops[in].dram * e) return false;
  for (size_t k = 0; k < n->rows.len; k++)
    if (n->rows.data[k].coef[out] != n->rows.data[k].coef[in] * e) return false;
  return mul_ok(n->loops[out].extent, e, &all);
}

// Merges loops that are one. Where the order matters, only neighbours.
static void nest_merge(CopyCx *c, CopyNest *n) {
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
static void nest_turn(CopyNest *n) {
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
}

// ---- simplest form --------------------------------------------------------------------------------------------------

int row_only_loop(const CopyNest *n, const Row *r) {
  int only = -1;
  for (int i = 0; i < n->nloops; i++) {
    if (!r->coef[i]) continue;
    if (only >= 0) return -1;
    only = i;
  }
  return r->rest.nterms ? -1 : only;
}

bool nest_range(const CopyNest *n, int i, bool guard, int64_t *lo, int64_t *hi) {
  bool any = false;
  *lo = 0;
  *hi = n->loops[i].extent;
  for (size_t k = 0; k < n->rows.len; k++) {
    const Row *r = &n->rows.data[k];
    if (r->guard != guard || row_only_loop(n, r) != i) continue;
    any = true;
    int64_t c = r->coef[i], first = floor_div(-r->rest.constant + c - 1, c), last = floor_div(r->rest.constant, -c);
    if (c > 0 && first > *lo) *lo = first;
    if (c < 0 && last + 1 < *hi) *hi = last + 1;
  }
  return any;
}

CopyNest nest_fresh(CopyCx *c, const CopyNest *n) {
  CopyNest out = *n;
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
static void nest_cut_loop(CopyCx *c, CopyNest *n, int i, int64_t lo, int64_t hi) {
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

// Leaves out the iterations that constant guards exclude. True if that made a loop shorter.
static bool nest_shrink(CopyCx *c, CopyNest *n) {
  bool shorter = false;
  for (int i = 0; i < n->nloops && !n->empty; i++) {
    int64_t lo, hi;
    if (!nest_range(n, i, true, &lo, &hi)) continue;
    if (lo >= hi) return n->empty = true, false;
    if (hi - lo == n->loops[i].extent) continue;
    nest_cut_loop(c, n, i, lo, hi);
    shorter = true;
  }
  return shorter;
}

// Finds the loops in which the source is read once.
static void nest_once(CopyNest *n) {
  for (int i = 0; i < n->nloops; i++) {
    Loop *l = &n->loops[i];
    int64_t lo, hi;
    if (l->once || n->kind != COPY_LOAD || !nest_range(n, i, false, &lo, &hi) || hi != lo + 1) continue;
    n->dram.constant += l->dram * lo;
    l->dram = 0;
    l->once = true;
    l->at = lo;
    for (size_t k = 0; k < n->rows.len; k++) { // other bounds matter in that iteration only
      Row *r = &n->rows.data[k];
      if (r->guard || !r->coef[i] || row_only_loop(n, r) == i) continue;
      r->rest.constant += r->coef[i] * lo;
      r->coef[i] = 0;
    }
  }
}

void nest_settle(CopyCx *c, CopyNest *n) {
  do {
    nest_decide(c, n);
    nest_turn(n);
  } while (!n->empty && nest_shrink(c, n));
  if (n->empty) return;
  nest_merge(c, n);
  nest_once(n);
  nest_decide(c, n);
}

// ---- tiles ----------------------------------------------------------------------------------------------------------

// The loop that walks a tile at steps of `step` elements on the chip; one that does so in memory too is preferred.
static int find_lane(const CopyNest *n, const bool *lane, int64_t step) {
  int found = -1;
  for (int i = 0; i < n->nloops; i++) {
    if (lane[i] || n->loops[i].chip != step) continue;
    if (found < 0 || n->loops[i].dram == step) found = i;
  }
  return found;
}

// Finds the loops inside a tile, which must walk both sides alike, and splits the last of them at the tile's end.
static bool nest_lanes(CopyCx *c, CopyNest *n, bool *lane) {
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
      if (l->gathers) return explain_gathered_lanes(c, n, l), false;
      return explain_lane_step(c, n, l), false;
    }
    int64_t left = n->tile / done;
    if (l->extent > left) {
      if (l->extent % left) return explain_part_of_tile(c, n, l->extent * done), false;
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
// divisor of everything else, g * K + r + lanes >= 0 is K >= -floor((r + lanes) / g), which must not depend on the
// lanes.
static bool row_without_lanes(Ctx *cx, const CopyNest *n, const bool *lane, Row *r) {
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

bool nest_tiles(CopyCx *c, CopyNest *n) {
  bool lane[COPY_MAX_LOOPS + 2] = {0}, fine = true;
  int64_t bad;
  nest_decide(c, n);
  if (!n->empty) nest_decide_together(c, n);
  if (n->empty) return true;
  nest_turn(n);
  nest_merge(c, n);
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
  nest_settle(c, n);
  return true;
}

// SPDX-License-Identifier: Apache-2.0
// Stages that are stored further out than they are computed (`store_at`, `store_root`, `fold`): an iteration of the
// loop at which the stage is computed finds what those before it left, and computes the rest. With folds, position p of
// an axis stands at p modulo the most positions that one iteration needs.
//
// It rests on one invariant: after the stage was computed in an iteration, the region which that iteration needs is in
// the buffer. Regions are boxes start .. start + extent, shifted inside their tensor. Let the iteration before have
// needed b .. b + e of an axis, and this one a .. a + f with a >= b, f <= e, and the same of all other axes. Shifted
// inside, too, the last n = a + f - (b + e) positions, or fewer, are what was not there. Where this is not known, the
// whole region is computed anew.
#include "passes/lower.h"

bool keep_at(const Instance *in, int i, const Stage *p) {
  return p->stored && p->at_stage == in->stage && stage_leaf_index(in->stage, p->at_axis) == i;
}

bool keep_stored_at(const Instance *in, int i, const Stage *p) {
  if (!p->stored || p->at_stage != in->stage) return false;
  return i == (p->store_axis ? stage_leaf_index(in->stage, p->store_axis) : -1);
}

bool keep_any(const Instance *in, int i) {
  for (size_t k = 0; k < in->stage->attached.len; k++)
    if (keep_at(in, i, in->stage->attached.data[k])) return true;
  return false;
}

bool keep_known(const Lower *l, const Instance *in, int i) {
  for (size_t k = 0; k < in->stage->attached.len; k++) {
    const Stage *p = in->stage->attached.data[k];
    if (keep_at(in, i, p) && !l->kept[p->index].known) return false;
  }
  return true;
}

void keep_forget(Lower *l, const Instance *in, int i) {
  for (size_t k = 0; k < in->stage->attached.len; k++) {
    const Stage *p = in->stage->attached.data[k];
    if (keep_at(in, i, p)) l->kept[p->index] = (Kept){0};
  }
}

// ---- what an iteration left -----------------------------------------------------------------------------------------

// How fast a start moves with the variable of leaf i: its coefficient; false if it is in another term, too.
static bool speed_of(const Affine *start, const Leaf *leaf, int64_t *speed) {
  *speed = 0;
  if (leaf->value->kind != EXPR_VAR) return true; // one iteration
  for (int i = 0; i < start->nterms; i++) {
    const Expr *atom = start->terms[i].atom;
    if (atom->kind == EXPR_VAR && atom->var == leaf->value->var) *speed = start->terms[i].coef;
    else if (expr_uses_var(atom, leaf->value->var)) return false;
  }
  return true;
}

// The start at iteration `at` of leaf i; false if it does not fit.
static bool start_at(const Lower *l, const Affine *start, const Leaf *leaf, int64_t speed, int64_t at, Affine *out) {
  int64_t by;
  *out = *start;
  if (!speed) return true;
  Affine v = affine_of(l->cx, leaf->value, NULL);
  *out = affine_add(l->cx, start, -speed, &v);
  return mul_ok(speed, at, &by) && add_ok(out->constant, by, &out->constant);
}

void keep_advance(Lower *l, const Instance *in, int i) {
  const Leaf *leaf = &in->leaf[i];
  for (size_t k = 0; k < in->stage->attached.len; k++) {
    Stage *p = in->stage->attached.data[k];
    Kept *kept = &l->kept[p->index];
    if (!keep_at(in, i, p) || !kept->now) continue;
    Affine *before = NEW_ARRAY(l->cx->arena, Affine, p->nroot);
    kept->known = true;
    for (int a = 0; a < p->nroot; a++) {
      int64_t speed;
      const Affine *start = &kept->now->start[a];
      kept->known =
          kept->known && speed_of(start, leaf, &speed) && start_at(l, start, leaf, speed, leaf->hi - 1, &before[a]);
    }
    kept->before = before;
    kept->extent = kept->now->extent;
  }
}

// How many positions of axis a are new in each iteration that stands in leaf i, at most; -1: unknown.
static int64_t new_positions(Lower *l, const Leaf *leaf, const Kept *kept, int a, int64_t extent, int64_t whole) {
  const Affine *start = &kept->now->start[a];
  Affine first;
  int64_t speed, n;
  if (extent == whole) return kept->extent[a] == whole ? 0 : -1;
  if (!speed_of(start, leaf, &speed) || speed < 0 || extent > kept->extent[a]) return -1;
  if (!start_at(l, start, leaf, speed, leaf->lo, &first)) return -1;
  Affine step = affine_add(l->cx, &first, -1, &kept->before[a]);
  if (step.nterms || step.constant < 0) return -1;
  n = step.constant + extent - kept->extent[a];
  return n > speed ? n : speed;
}

// ---- where it stands ------------------------------------------------------------------------------------------------

// Whether axis a of r, in the iterations that stand in the loops, lies inside what is stored.
static bool is_inside(Lower *l, const Region *r, const Place *at, const Stage *p, int a) {
  const Region *all = at->stored;
  if (p->root[a] == p->fold && r->extent[a] > at->folded) return false;
  if (all->extent[a] == p->root[a]->extent) return true;
  if (r->extent[a] > all->extent[a]) return false;
  Affine d = affine_add(l->cx, &r->start[a], -1, &all->start[a]);
  int64_t lo, hi;
  return expr_bounds(&l->ranges, expr_simplify(l->cx, &l->ranges, affine_expr(l->cx, &d)), &lo, &hi) && lo >= 0 &&
         hi <= all->extent[a] - r->extent[a];
}

// Notes axes of r that are not: they will be stored whole. A folded one is not folded then.
static void check_inside(Lower *l, const Region *r, const Stage *p) {
  Place *at = &l->place[p->index];
  for (int a = 0; a < p->nroot; a++) {
    if (is_inside(l, r, at, p, a)) continue;
    if (!l->quiet) bug("what is stored of %s is not all that is needed", p->name);
    if (!at->whole) at->whole = NEW_ARRAY(l->cx->arena, bool, p->nroot);
    at->whole[a] = l->again = true;
  }
}

void keep_fresh(Lower *l, const Instance *in, int i, Stage *p, Region *r) {
  Kept *kept = &l->kept[p->index];
  const Leaf *leaf = &in->leaf[i];
  int moving = -1;
  int64_t n = 0;
  if (l->ahead) return;
  check_inside(l, r, p);
  kept->now = arena_copy(l->cx->arena, r, sizeof *r);
  if (!kept->known) return;
  for (int a = 0; a < p->nroot; a++) {
    int64_t more = new_positions(l, leaf, kept, a, r->extent[a], p->root[a]->extent);
    if (more < 0 || (more > 0 && moving >= 0)) return;
    if (more > 0) moving = a, n = more;
  }
  r->extent = arena_copy(l->cx->arena, r->extent, (size_t)p->nroot * sizeof *r->extent);
  if (moving < 0) {
    r->extent[0] = 0;
    return;
  }
  int64_t old = r->extent[moving] - n;
  if (old <= 0) return;
  r->min = arena_copy(l->cx->arena, r->min, (size_t)p->nroot * sizeof *r->min);
  const Expr *from = expr_index(l->cx, old);
  if (r->min[moving]) from = expr_binary(l->cx, OP_ADD, r->min[moving], from);
  r->min[moving] = expr_simplify(l->cx, &l->ranges, from);
  r->extent[moving] = n;
}

// ---- what is stored -------------------------------------------------------------------------------------------------

// An axis of a region for all iterations of a loop, whose variable goes; the whole axis where that is not understood.
static void spread_axis(const Lower *l, const Leaf *leaf, int64_t whole, Affine *start, int64_t *extent) {
  int64_t speed, reach, first;
  if (*extent < whole && speed_of(start, leaf, &speed) && mul_ok(speed, leaf->hi - 1 - leaf->lo, &reach)) {
    first = reach < 0 ? leaf->hi - 1 : leaf->lo;
    if (reach < 0) reach = -reach;
    if (reach < whole && start_at(l, start, leaf, speed, first, start)) {
      *extent += reach;
      return;
    }
  }
  *start = (Affine){0};
  *extent = whole;
}

// The region of p that the iterations inside leaf i need of it; most: how many positions of the folded axis one of them
// does.
static Region *region_stored(Lower *l, Instance *in, int i, const Stage *p, int64_t *most) {
  int inner = stage_leaf_index(in->stage, p->at_axis);
  Arena *m = l->cx->arena;
  size_t mark = l->ranges.len;
  Leaf *saved = arena_copy(m, in->leaf, in->stage->leaf.len * sizeof(Leaf));
  l->ahead = true;
  for (int k = i + 1; k <= inner; k++) {
    const Axis *a = in->stage->leaf.data[k];
    const Var *v = tir_var(l->cx, a->name, a->loc);
    in->leaf[k].value = expr_var(l->cx, v);
    in->leaf[k].entered = true;
    ranges_push(l->cx, &l->ranges, v, saved[k].lo, saved[k].hi - 1);
  }
  Region *r = &infer_regions(l, in, inner)[p->index];
  Affine *start = arena_copy(m, r->start, (size_t)p->nroot * sizeof *start);
  while (l->ranges.len > mark) ranges_pop(&l->ranges);
  for (int a = 0; a < p->nroot; a++) {
    int64_t n = p->root[a]->extent;
    if (p->root[a] == p->fold) *most = r->extent[a];
    if (l->place[p->index].whole && l->place[p->index].whole[a]) {
      r->extent[a] = n;
      if (p->root[a] == p->fold) *most = n;
    }
    for (int k = inner; k > i; k--) spread_axis(l, &in->leaf[k], n, &start[a], &r->extent[a]);
    region_clip(l, &start[a], r->extent[a], n, true, &r->min[a], &r->extent[a]);
  }
  r->start = start;
  for (int k = i + 1; k <= inner; k++) in->leaf[k] = saved[k];
  l->ahead = false;
  return r;
}

void keep_place(Lower *l, Instance *in, int i, Stage *p) {
  int64_t most = 0;
  const Region *stored = region_stored(l, in, i, p, &most);
  int64_t *shape = arena_copy(l->cx->arena, stored->extent, (size_t)p->nroot * sizeof *shape);
  for (int a = 0; a < p->nroot; a++) {
    if (p->root[a] != p->fold) continue;
    if (most < shape[a]) shape[a] = most;
    else most = shape[a];
  }
  bool *whole = l->place[p->index].whole;
  place_stage(l, p, stored->min, shape, BUF_LOCAL);
  l->place[p->index].whole = whole;
  l->place[p->index].stored = stored;
  l->place[p->index].folded = most;
}

// SPDX-License-Identifier: Apache-2.0
// Points of a stage one by one: the values of axes at a point, and whether a recurrence is kept, by trying all its
// points. It knows no more than what the kernel says, and so decides what no system of constraints does; where the
// points are too many, some are tried for the sake of an example.
#include "schedule/internal.h"

#include <string.h>

bool point_from_loops(const Stage *s, int64_t *v) {
  for (size_t i = s->axes.len; i-- > 0;) {
    const Axis *a = s->axes.data[i];
    const Relation *r = a->used_by;
    if (r && r->kind == REL_SPLIT) v[i] = v[r->outer->index] * r->inner->extent + v[r->inner->index];
    else if (r) v[i] = a == r->outer ? v[r->parent->index] / r->inner->extent : v[r->parent->index] % r->inner->extent;
    if (v[i] >= a->extent) return false;
  }
  return true;
}

void point_from_roots(const Stage *s, int64_t *v) {
  for (size_t i = 0; i < s->axes.len; i++) {
    const Axis *a = s->axes.data[i];
    const Relation *r = a->made_by;
    if (!r) continue;
    if (r->kind == REL_FUSE) v[i] = v[r->outer->index] * r->inner->extent + v[r->inner->index];
    else v[i] = a == r->outer ? v[r->parent->index] / r->inner->extent : v[r->parent->index] % r->inner->extent;
  }
}

const Axis *points_differ(const Stage *s, const int64_t *p, const int64_t *q) {
  for (size_t i = 0; i < s->leaf.len; i++)
    if (p[s->leaf.data[i]->index] != q[s->leaf.data[i]->index]) return s->leaf.data[i];
  return NULL;
}

// ---- recurrences ----------------------------------------------------------------------------------------------------

typedef enum Found { FOUND_NOTHING, FOUND_UNKNOWN, FOUND_CONFLICT } Found;

typedef struct Search {
  Ctx *cx;
  const Stage *stage;
  int64_t *first, *second, *extent; // by Axis.index
  Found found;
  Conflict *conflict;
} Search;

// The next point of n axes within `most`, the last one the fastest; false: there is none.
static bool next_point(int n, Axis *const *axes, const int64_t *most, int64_t *v) {
  for (int i = n; i-- > 0;) {
    if (++v[axes[i]->index] < most[axes[i]->index]) return true;
    v[axes[i]->index] = 0;
  }
  return false;
}

static bool value_of(const Search *w, const TeExpr *e, Scalar *out);

static bool value_of_math(const Search *w, const TeExpr *e, Scalar *out) {
  Scalar a = {0}, b = {0};
  if (dtype_is_float(e->type) || e->nargs > 2 || !value_of(w, e->args[0], &a)) return false;
  if (e->nargs > 1 && !value_of(w, e->args[1], &b)) return false;
  *out = scalar_math(e->fn, e->type, a, b);
  return true;
}

// The value of an expression at the second point; false: it depends on data, or is none of integers.
static bool value_of(const Search *w, const TeExpr *e, Scalar *out) {
  Scalar a, b;
  switch (e->kind) {
  case TE_CONST: return *out = e->value, !dtype_is_float(e->type);
  case TE_AXIS:
    for (size_t i = 0; i < w->stage->axes.len; i++)
      if (w->stage->axes.data[i]->root == e->axis) return *out = (Scalar){.i = w->second[i]}, true;
    return false;
  case TE_ACCESS: return false;
  case TE_UNARY: return value_of(w, e->a, &a) && (*out = scalar_unary(e->unop, e->a->type, a), true);
  case TE_CAST: return value_of(w, e->a, &a) && (*out = scalar_cast(e->type, e->a->type, a), !dtype_is_float(e->type));
  case TE_SELECT: return value_of(w, e->a, &a) && value_of(w, a.i ? e->b : e->c, out);
  case TE_MATH: return value_of_math(w, e, out);
  case TE_BINARY:
    if (!value_of(w, e->a, &a)) return false;
    if (e->binop == OP_LAND || e->binop == OP_LOR) {
      if ((a.i != 0) != (e->binop == OP_LAND)) return *out = a, true;
      return value_of(w, e->b, out);
    }
    return value_of(w, e->b, &b) && (*out = scalar_binary(e->binop, e->a->type, a, b), true);
  }
  return false;
}

static void note_conflict(Search *w, const TeExpr *read, const Axis *loop) {
  size_t bytes = w->stage->axes.len * sizeof(int64_t);
  *w->conflict = (Conflict){.kind = CONFLICT_READ, .read = read, .loop = loop};
  w->conflict->first = arena_copy(w->cx->arena, w->first, bytes);
  w->conflict->second = arena_copy(w->cx->arena, w->second, bytes);
  w->found = FOUND_CONFLICT;
}

// The points that make the element that `read` has at the second point.
static void try_read(Search *w, const TeExpr *read) {
  const Stage *s = w->stage;
  for (int i = 0; i < s->nroot; i++) {
    Scalar at;
    if (!value_of(w, read->args[i], &at)) {
      w->found = FOUND_UNKNOWN;
      return;
    }
    w->first[s->root[i]->index] = at.i;
  }
  for (int i = 0; i < s->nrroot; i++) w->first[s->rroot[i]->index] = 0;
  do {
    point_from_roots(s, w->first);
    const Axis *a = points_differ(s, w->first, w->second);
    bool behind = !a || w->first[a->index] > w->second[a->index];
    if (behind || runs_at_once(a, CONFLICT_READ)) {
      note_conflict(w, read, behind ? NULL : a);
      return;
    }
  } while (next_point(s->nrroot, s->rroot, w->extent, w->first));
}

// All reads of its own elements that the stage makes at the second point.
static void try_reads(Search *w, const TeExpr *e) {
  Scalar c;
  if (w->found) return;
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return;
  case TE_UNARY:
  case TE_CAST: try_reads(w, e->a); return;
  case TE_BINARY:
    try_reads(w, e->a);
    if ((e->binop == OP_LAND || e->binop == OP_LOR) && value_of(w, e->a, &c) && (c.i != 0) != (e->binop == OP_LAND))
      return;
    try_reads(w, e->b);
    return;
  case TE_SELECT: {
    bool known = value_of(w, e->a, &c);
    try_reads(w, e->a);
    if (!known || c.i) try_reads(w, e->b);
    if (!known || !c.i) try_reads(w, e->c);
    return;
  }
  case TE_ACCESS:
  case TE_MATH:
    for (int i = 0; i < e->nargs; i++) try_reads(w, e->args[i]);
    if (!w->found && e->kind == TE_ACCESS && e->tensor == w->stage->tensor) try_read(w, e);
  }
}

static void try_point(Search *w) {
  const Stage *s = w->stage;
  Scalar c;
  point_from_roots(s, w->second);
  if (s->where) {
    try_reads(w, s->where);
    if (value_of(w, s->where, &c) && !c.i) return;
  }
  try_reads(w, s->body);
}

enum { MOST_PAIRS = 1 << 18 };

// How far each of the kernel's axes is tried, so that there are no more than MOST_PAIRS pairs; false: not all of it.
static bool limit_points(const Stage *s, int64_t *most) {
  bool all = true;
  for (size_t i = 0; i < s->axes.len; i++) most[i] = s->axes.data[i]->extent;
  for (;;) {
    int64_t pairs = 1;
    Axis *longest = NULL;
    bool fits = true;
    for (int i = 0; i < s->nroot + s->nrroot; i++) {
      Axis *a = i < s->nroot ? s->root[i] : s->rroot[i - s->nroot];
      for (int k = 0; k < (i < s->nroot ? 1 : 2); k++)
        fits = fits && mul_ok(pairs, k ? a->extent : most[a->index], &pairs) && pairs <= MOST_PAIRS;
      if (!longest || most[a->index] > most[longest->index]) longest = a;
    }
    if (fits || !longest || most[longest->index] < 2) return all && fits;
    most[longest->index] = (most[longest->index] + 1) / 2;
    all = false;
  }
}

bool points_keep_reads(Ctx *cx, const Stage *s, Conflict *c) {
  Ctx scratch = *cx;
  scratch.arena = arena_new();
  Search w = {.cx = &scratch, .stage = s};
  Conflict found = {0};
  w.conflict = &found;
  int64_t *most = NEW_ARRAY(scratch.arena, int64_t, s->axes.len);
  bool all = limit_points(s, most);
  w.first = NEW_ARRAY(scratch.arena, int64_t, s->axes.len);
  w.second = NEW_ARRAY(scratch.arena, int64_t, s->axes.len);
  w.extent = NEW_ARRAY(scratch.arena, int64_t, s->axes.len);
  for (size_t i = 0; i < s->axes.len; i++) w.extent[i] = s->axes.data[i]->extent;
  int n = s->nroot + s->nrroot;
  Axis **axes = NEW_ARRAY(scratch.arena, Axis *, n + 1);
  for (int i = 0; i < n; i++) axes[i] = i < s->nroot ? s->root[i] : s->rroot[i - s->nroot];
  do try_point(&w);
  while (!w.found && next_point(n, axes, most, w.second));
  if (w.found == FOUND_CONFLICT) {
    *c = found;
    size_t bytes = s->axes.len * sizeof(int64_t);
    c->first = arena_copy(cx->arena, found.first, bytes);
    c->second = arena_copy(cx->arena, found.second, bytes);
  }
  arena_free(scratch.arena);
  return all && w.found == FOUND_NOTHING;
}

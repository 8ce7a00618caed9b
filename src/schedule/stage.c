// SPDX-License-Identifier: Apache-2.0
// Stages and their axes: making them, and rewriting the expressions they compute.
#include "schedule/internal.h"

// Appends an axis; it is a leaf, in the last place.
Axis *stage_add_axis(Ctx *cx, Stage *s, Name name, bool reduce, int64_t extent, Loc loc) {
  Axis *a = NEW(cx->arena, Axis);
  a->name = name;
  a->reduce = reduce;
  a->extent = extent;
  a->loc = loc;
  a->index = (int)s->axes.len;
  VEC_PUSH(cx->arena, s->axes, a);
  VEC_PUSH(cx->arena, s->leaf, a);
  return a;
}

// A stage for a tensor: loops in the order of the axes, then of the reduction axes; at root, in host memory.
Stage *stage_new(Ctx *cx, const TeTensor *t) {
  Stage *s = NEW(cx->arena, Stage);
  s->name = t->name;
  s->tensor = t;
  s->body = t->body;
  s->reduce = t->reduce;
  s->where = t->where;
  s->circle = t->circle;
  s->scope = &scope_host;
  s->nroot = t->naxes;
  s->root = NEW_ARRAY(cx->arena, Axis *, t->naxes);
  for (int i = 0; i < t->naxes; i++) {
    s->root[i] = stage_add_axis(cx, s, t->axes[i]->name, false, t->axes[i]->extent, t->axes[i]->loc);
    s->root[i]->root = t->axes[i];
    s->root[i]->shared = i < t->leading;
  }
  s->nrroot = t->nraxes;
  s->rroot = NEW_ARRAY(cx->arena, Axis *, t->nraxes + 1);
  for (int i = 0; i < t->nraxes; i++) {
    s->rroot[i] = stage_add_axis(cx, s, t->raxes[i]->name, true, t->raxes[i]->extent, t->raxes[i]->loc);
    s->rroot[i]->root = t->raxes[i];
  }
  return s;
}

// Puts a stage at place `at` of the evaluation order; from now on its name stands for it.
void stage_insert(Schedule *s, Stage *st, int at) {
  Ctx *cx = s->cx;
  ptrmap_set(cx->arena, &s->by_name, st->name, st);
  VEC_PUSH(cx->arena, s->stages, st);
  for (int i = (int)s->stages.len - 1; i > at; i--) s->stages.data[i] = s->stages.data[i - 1];
  s->stages.data[at] = st;
  for (int i = at; i < (int)s->stages.len; i++) s->stages.data[i]->index = i;
}

// A tensor of the same shape and type with axes of its own.
TeTensor *tensor_like(Ctx *cx, const TeTensor *t, Name name, Loc loc) {
  TeTensor *n = NEW(cx->arena, TeTensor);
  n->name = name;
  n->role = TE_COMPUTE;
  n->type = t->type;
  n->loc = n->name_loc = loc;
  n->index = -1;
  n->naxes = t->naxes;
  n->axes = NEW_ARRAY(cx->arena, const TeAxis *, t->naxes);
  for (int i = 0; i < t->naxes; i++) n->axes[i] = arena_copy(cx->arena, t->axes[i], sizeof(TeAxis));
  return n;
}

const TeExpr **axis_exprs(Ctx *cx, const TeTensor *t) {
  const TeExpr **e = NEW_ARRAY(cx->arena, const TeExpr *, t->naxes);
  for (int i = 0; i < t->naxes; i++) e[i] = te_axis(cx->arena, t->axes[i], t->axes[i]->loc);
  return e;
}

typedef struct AxisMap {
  int n;
  const TeAxis *const *from;
  const TeExpr *const *to;
} AxisMap;

static const TeExpr *replace_axis(void *self, const TeExpr *e) {
  const AxisMap *m = self;
  if (e->kind != TE_AXIS) return e;
  for (int i = 0; i < m->n; i++)
    if (e->axis == m->from[i]) return m->to[i];
  return e;
}

const TeExpr *expr_replace_axes(Ctx *cx, const TeExpr *e, int n, const TeAxis *const *from, const TeExpr *const *to) {
  AxisMap m = {n, from, to};
  return te_map(cx->arena, e, replace_axis, &m);
}

typedef struct TensorMap {
  Arena *arena;
  const TeTensor *from, *to;
} TensorMap;

static const TeExpr *replace_tensor(void *self, const TeExpr *e) {
  const TensorMap *m = self;
  if (e->kind != TE_ACCESS || e->tensor != m->from) return e;
  return te_access(m->arena, m->to, e->args, e->loc);
}

// The same expression reading `to` wherever it read `from` (of the same shape and type).
const TeExpr *expr_replace_tensor(Ctx *cx, const TeExpr *e, const TeTensor *from, const TeTensor *to) {
  TensorMap m = {cx->arena, from, to};
  return te_map(cx->arena, e, replace_tensor, &m);
}

typedef struct FindRead {
  const TeTensor *of;
  const TeExpr *read;
} FindRead;

static bool find_read(void *self, const TeExpr *e) {
  FindRead *f = self;
  if (e->kind == TE_ACCESS && e->tensor == f->of) f->read = e;
  return f->read;
}

const TeExpr *expr_read(const TeExpr *e, const TeTensor *t) {
  FindRead f = {.of = t};
  te_any(e, find_read, &f);
  return f.read;
}

bool expr_reads(const TeExpr *e, const TeTensor *t) { return expr_read(e, t) != NULL; }

void schedule_index(Ctx *cx, Schedule *s) {
  s->by_tensor = NEW(cx->arena, PtrMap);
  for (size_t i = 0; i < s->stages.len; i++)
    ptrmap_set(cx->arena, s->by_tensor, s->stages.data[i]->tensor, s->stages.data[i]);
}

Stage *schedule_stage_of(const Schedule *s, const TeTensor *t) {
  if (s->by_tensor) return ptrmap_find(s->by_tensor, t);
  for (size_t i = 0; i < s->stages.len; i++)
    if (s->stages.data[i]->tensor == t) return s->stages.data[i];
  return NULL;
}

Stage *schedule_stage_named(const Schedule *s, Name name) { return ptrmap_find(&s->by_name, name); }

Name schedule_fresh_name(const Schedule *s, const char *base) {
  Ctx *cx = s->cx;
  Name n = name_of(cx->names, base);
  for (int i = 2; schedule_stage_named(s, n); i++) n = name_of(cx->names, arena_printf(cx->arena, "%s_%d", base, i));
  return n;
}

Schedule *schedule_new(Ctx *cx, const TeModule *m, const TeKernel *k, const ScheduleOptions *opt) {
  Schedule *s = NEW(cx->arena, Schedule);
  s->cx = cx;
  s->module = m;
  s->kernel = k;
  s->target = opt->target;
  s->legalize = opt->legalize;
  for (int i = 0; i < k->ntensors; i++) stage_insert(s, stage_new(cx, k->tensors[i]), i);
  return s;
}

Axis *stage_axis(const Stage *s, Name name) {
  for (size_t i = 0; i < s->leaf.len; i++)
    if (s->leaf.data[i]->name == name) return s->leaf.data[i];
  return NULL;
}

void stage_extents(const Stage *s, const int64_t *extent, int64_t *out) {
  for (int i = 0; i < s->nroot; i++) out[s->root[i]->index] = extent ? extent[i] : s->root[i]->extent;
  for (int i = 0; i < s->nrroot; i++) out[s->rroot[i]->index] = s->rroot[i]->extent;
  for (size_t i = 0; i < s->axes.len; i++) {
    const Relation *r = s->axes.data[i]->made_by;
    if (!r) continue;
    if (r->kind == REL_FUSE) {
      out[r->parent->index] = out[r->outer->index] * out[r->inner->index];
      continue;
    }
    int64_t e = out[r->parent->index], size = r->factor ? r->factor : (e - 1) / r->nparts + 1;
    if (size > e) size = e;
    out[r->inner->index] = size;
    out[r->outer->index] = (e - 1) / size + 1;
  }
}

int stage_leaf_index(const Stage *s, const Axis *a) {
  for (size_t i = 0; i < s->leaf.len; i++)
    if (s->leaf.data[i] == a) return (int)i;
  return -1;
}

bool stage_axis_within(const Stage *s, const Axis *a, int i) {
  const Relation *r = a->used_by;
  if (!r) return stage_leaf_index(s, a) <= i;
  if (r->kind == REL_FUSE) return stage_axis_within(s, r->parent, i);
  return stage_axis_within(s, r->outer, i) || stage_axis_within(s, r->inner, i);
}

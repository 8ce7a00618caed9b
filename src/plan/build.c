// SPDX-License-Identifier: Apache-2.0
// Choices become operations on a schedule, the same that a text calls. First all that is stored in blocks gets its
// layout, so that what one group stores and others load is packed once; then each group is cut and placed.
#include "plan/internal.h"

// A tensor of the host's memory that is stored in blocks: the stage itself, or a copy.
typedef struct Layout {
  const TeTensor *tensor;
  int npacks, pack[2];
  int64_t block[2];
  Stage *stage;
} Layout;

typedef struct Builder {
  Schedule *s;
  const VtaTarget *vta;
  size_t n;
  const Planned *plans;
  VEC(Layout) layouts;
  Stage **roots; // of the groups: what is stored
  // Of the group that is built:
  const Group *g;
  const Choice *c;
  Stage *root, *act;      // act: what the root computes; NULL: it only stores
  Axis *outer[MOST_AXES]; // by axis of the root; NULL: it is not cut
  Axis *inner[MOST_AXES];
  Axis *thread;
  Axis *tile_loop;            // the innermost loop over tiles; NULL: there is none
  Axis *step_loop, *row_loop; // of the sum of products
  bool ok;
} Builder;

static Stage *stage_for(const Builder *b, const TeTensor *t) { return schedule_stage_named(b->s, t->name); }

static const Scope *scope_for(const Builder *b, Memory m) {
  return m == IN_INP ? &b->vta->inp : m == IN_WGT ? &b->vta->wgt : &b->vta->acc;
}

// ---- blocks

static bool is_read_of(void *name, const TeExpr *e) { return e->kind == TE_ACCESS && e->tensor->name == name; }

static void pack_axis(Builder *b, Stage *s, int axis, int64_t block) {
  b->ok = b->ok && s && stage_pack(b->s, s, s->root[axis], block, NULL, NULL, NULL);
}

static int64_t block_of(const Builder *b, const Load *l, int pack) {
  bool out = l->memory == IN_ACC || (l->memory == IN_WGT && pack == 0);
  return out ? b->vta->acc.cols : b->vta->inp.cols;
}

// How the host is to store what a load reads.
static Layout wish_of(const Builder *b, const Load *l) {
  Layout w = {.tensor = l->stage ? l->source : l->tensor, .npacks = l->stage ? 1 : l->npacks};
  for (int k = 0; k < w.npacks; k++) {
    w.pack[k] = l->stage ? l->source_axis : l->pack[k];
    w.block[k] = block_of(b, l, k);
  }
  return w;
}

static bool same_layout(const Layout *x, const Layout *y) {
  bool same = x->tensor == y->tensor && x->npacks == y->npacks;
  for (int k = 0; k < x->npacks && same; k++) same = x->pack[k] == y->pack[k] && x->block[k] == y->block[k];
  return same;
}

// The stage that stores a tensor that way; NULL: there is none yet.
static Stage *stored_in_blocks(const Builder *b, Layout w) {
  for (size_t i = 0; i < b->layouts.len; i++)
    if (same_layout(&b->layouts.data[i], &w)) return b->layouts.data[i].stage;
  return NULL;
}

static bool is_laid_out(const Builder *b, const TeTensor *t) {
  for (size_t i = 0; i < b->layouts.len; i++)
    if (b->layouts.data[i].tensor == t) return true;
  return false;
}

static void store_in_blocks(Builder *b, Layout w, Stage *s) {
  w.stage = s;
  for (int k = 0; k < w.npacks; k++) pack_axis(b, s, w.pack[k], w.block[k]);
  VEC_PUSH(b->s->cx->arena, b->layouts, w);
}

// The stages of all groups that read a tensor as a layout has it, as a list for one copy.
typedef VEC(Stage *) Readers;

static void add_reader(const Builder *b, Readers *r, const TeTensor *t) {
  Stage *s = stage_for(b, t);
  for (size_t i = 0; i < r->len; i++)
    if (r->data[i] == s) return;
  if (s) VEC_PUSH(b->s->cx->arena, *r, s);
}

static Readers readers_of(const Builder *b, const Layout *w) {
  Readers r = {0};
  void *name = (void *)w->tensor->name;
  for (size_t p = 0; p < b->n; p++) {
    const Group *g = b->plans[p].group;
    for (int i = 0; i < g->nloads; i++) {
      const Load *l = &g->loads[i];
      Layout other = wish_of(b, l);
      if (!l->npacks || !same_layout(&other, w)) continue;
      if (l->stage) add_reader(b, &r, l->tensor);
      for (int m = 0; m < g->nmembers && !l->stage; m++)
        if (te_any(g->members[m]->body, is_read_of, name)) add_reader(b, &r, g->members[m]);
      if (!l->stage && te_any(g->root->body, is_read_of, name)) add_reader(b, &r, b->roots[p]->tensor);
    }
  }
  return r;
}

// What is loaded is stored in blocks first: by the stage that computes it, where no other layout was asked of that, or
// by a copy for all that load it so.
static void lay_out_load(Builder *b, const Load *l) {
  Layout w = wish_of(b, l);
  if (!l->npacks || stored_in_blocks(b, w)) return;
  Stage *s = stage_for(b, w.tensor);
  if (s->tensor->role == TE_COMPUTE && !s->tensor->circle && !is_laid_out(b, w.tensor)) store_in_blocks(b, w, s);
  else {
    Readers r = readers_of(b, &w);
    store_in_blocks(b, w, stage_cache_read(b->s, s, &scope_host, (int)r.len, r.data, NULL, NULL));
  }
}

// What a group stores, and has on chip. An output, which keeps its layout, is copied from blocks.
static void lay_out_group(Builder *b, size_t i) {
  const Group *g = b->plans[i].group;
  Stage *root = stage_for(b, g->root), *whole = root || !g->narrows ? NULL : stage_for(b, g->narrows);
  if (whole) root = stage_cache_write_as(b->s, whole, &scope_host, DT_I8, g->root->name, NULL);
  b->ok &= root != NULL;
  if (root && g->channel >= 0) {
    bool output = root->tensor->role == TE_OUTPUT;
    if (output) root = stage_cache_write(b->s, root, &scope_host, NULL, NULL);
    b->ok &= root != NULL;
    if (!root) return;
    Layout w = {.tensor = g->root, .npacks = 1, .pack = {g->channel}, .block = {b->vta->acc.cols}};
    if (!output) store_in_blocks(b, w, root);
    else pack_axis(b, root, g->channel, b->vta->acc.cols);
  }
  b->roots[i] = root;
  for (int k = 0; k < g->nmembers && g->channel >= 0; k++)
    pack_axis(b, stage_for(b, g->members[k]), g->axis[k], b->vta->acc.cols);
  for (int k = 0; k < g->nloads; k++) {
    const Load *l = &g->loads[k];
    for (int a = 0; l->stage && a < l->npacks; a++)
      pack_axis(b, stage_for(b, l->tensor), l->pack[a], block_of(b, l, a));
  }
}

// ---- a group

// The loops of the root: over tiles, threads innermost; then inside a tile.
static void cut_root(Builder *b) {
  const Choice *c = b->c;
  Stage *r = b->root;
  VEC(Axis *) order = {0};
  Arena *a = b->s->cx->arena;
  for (int i = 0; i < c->naxes; i++) {
    b->inner[i] = r->root[i];
    int64_t tile = i == b->g->channel ? (c->tile[i] - 1) / b->vta->acc.cols + 1 : c->tile[i];
    if (tile >= r->root[i]->extent) continue;
    const Relation *cut = stage_split(b->s, r, r->root[i], tile, 0, NULL, NULL);
    b->ok &= cut != NULL;
    if (!cut) return;
    b->outer[i] = cut->outer;
    b->inner[i] = cut->inner;
  }
  if (c->thread >= 0) {
    Axis *o = b->outer[c->thread];
    const Relation *cut = o ? stage_split(b->s, r, o, THREADS, 0, NULL, NULL) : NULL;
    b->ok &= cut != NULL;
    if (!cut) return;
    b->thread = cut->inner;
    b->outer[c->thread] = cut->outer;
  }
  for (int i = 0; i < c->naxes; i++)
    if (b->outer[c->order[i]]) VEC_PUSH(a, order, b->outer[c->order[i]]);
  if (b->thread) VEC_PUSH(a, order, b->thread);
  if (order.len) b->tile_loop = order.data[order.len - 1];
  for (int i = 0; i < c->naxes; i++) VEC_PUSH(a, order, b->inner[i]);
  for (int i = c->naxes; i < r->nroot; i++) VEC_PUSH(a, order, r->root[i]);
  if (b->tile_loop) b->ok &= stage_reorder(b->s, r, (int)order.len, order.data, NULL);
  if (b->thread) b->ok &= stage_annotate(b->s, r, b->thread, FOR_VTHREAD, NULL);
}

// The loops of the sum of products: steps of the reduction, rows, the rest of it, the tile's, the step of vta.gemm.
static void cut_gemm(Builder *b) {
  const Choice *c = b->c;
  const Group *g = b->g;
  Stage *t = stage_for(b, g->gemm);
  VEC(Axis *) order = {0};
  Arena *a = b->s->cx->arena;
  Axis *step[2] = {NULL, NULL}, *lane = t->rroot[g->lane], *blocks = NULL;
  if (g->channel >= 0) {
    const Relation *cut = stage_split(b->s, t, lane, b->vta->inp.cols, 0, NULL, NULL);
    b->ok &= cut != NULL;
    if (!cut) return;
    blocks = cut->outer;
    lane = cut->inner;
  }
  if (c->step_axis >= 0) {
    Axis *whole = blocks ? blocks : t->rroot[c->step_axis];
    int64_t size = blocks ? c->step / b->vta->inp.cols : c->step;
    const Relation *cut = stage_split(b->s, t, whole, size, 0, NULL, NULL);
    b->ok &= cut != NULL;
    if (!cut) return;
    step[0] = b->step_loop = cut->outer;
    step[1] = cut->inner;
    if (!blocks && c->step_axis == g->lane) lane = step[1], step[1] = NULL;
    blocks = NULL;
  }
  int lanes = g->channel >= 0 ? t->nroot - 1 : t->nroot - (b->vta->acc.rows > 1 ? 2 : 1);
  if (step[0]) VEC_PUSH(a, order, step[0]);
  if (c->row_axis >= 0) VEC_PUSH(a, order, b->row_loop = t->root[c->row_axis]);
  if (step[1]) VEC_PUSH(a, order, step[1]);
  if (blocks) VEC_PUSH(a, order, blocks);
  for (int i = 0; i < t->nrroot; i++)
    if (i != g->lane && i != c->step_axis) VEC_PUSH(a, order, t->rroot[i]);
  for (int i = 0; i < lanes; i++)
    if (i != c->row_axis) VEC_PUSH(a, order, t->root[i]);
  for (int i = lanes; i < t->nroot; i++) VEC_PUSH(a, order, t->root[i]);
  VEC_PUSH(a, order, lane);
  b->ok &= stage_reorder(b->s, t, (int)order.len, order.data, NULL);
  b->ok &= stage_mark(b->s, t, MARK_TENSORIZE, t->root[lanes], NULL);
}

// The innermost loop over tiles at place `level` of the order, or further out; NULL: there is none.
static Axis *loop_at(const Builder *b, int level) {
  for (int i = level; i >= 0; i--)
    if (b->outer[b->c->order[i]]) return b->outer[b->c->order[i]];
  return NULL;
}

// A copy that all stages of the group read that read t, which stands in s.
static Stage *copy_for_readers(const Builder *b, const TeTensor *t, Stage *s, const Scope *scope) {
  Stage *readers[MOST_MEMBERS + 1];
  int n = 0;
  void *name = (void *)t->name;
  for (int i = 0; i < b->g->nmembers; i++)
    if (te_any(b->g->members[i]->body, is_read_of, name)) readers[n++] = stage_for(b, b->g->members[i]);
  if (te_any(b->g->root->body, is_read_of, name)) readers[n++] = b->act ? b->act : b->root;
  return stage_cache_read(b->s, s, scope, n, readers, NULL, NULL);
}

static void place_load(Builder *b, int load, int level) {
  const Load *l = &b->g->loads[load];
  Stage *s = stage_for(b, l->tensor);
  const Scope *scope = scope_for(b, l->memory);
  if (l->stage) b->ok &= stage_set_scope(b->s, s, scope, NULL);
  else {
    Stage *from = l->npacks ? stored_in_blocks(b, wish_of(b, l)) : s;
    s = from ? copy_for_readers(b, l->tensor, from, scope) : NULL;
  }
  b->ok &= s != NULL;
  if (!s) return;
  Stage *at = b->root;
  Axis *loop = level == AT_ROW || level == AT_STEP ? (level == AT_ROW ? b->row_loop : b->step_loop)
               : level == AT_TILE                  ? b->tile_loop
                                                   : loop_at(b, level);
  if (level >= AT_STEP) at = stage_for(b, b->g->gemm);
  if (loop) b->ok &= stage_compute_at(b->s, s, at, loop, NULL);
  b->ok &= stage_mark(b->s, s, MARK_COPY, NULL, NULL);
}

static void place_member(Builder *b, Stage *s, bool on_alu) {
  if (s->scope == &scope_host) b->ok &= stage_set_scope(b->s, s, &b->vta->acc, NULL);
  if (b->ok && b->tile_loop) b->ok &= stage_compute_at(b->s, s, b->root, b->tile_loop, NULL);
  if (b->ok && on_alu) b->ok &= stage_mark(b->s, s, MARK_ALU, NULL, NULL);
}

static bool build_group(Builder *b, size_t i) {
  const Group *g = b->g = b->plans[i].group;
  b->c = &b->plans[i].choice;
  b->root = b->roots[i];
  for (int k = 0; k < MOST_AXES; k++) b->outer[k] = b->inner[k] = NULL;
  b->thread = b->tile_loop = b->step_loop = b->row_loop = NULL;
  // A stage of its own for what the root computes comes first: reading copies are its.
  b->act = g->computes ? stage_cache_write(b->s, b->root, &b->vta->acc, NULL, NULL) : NULL;
  if (g->computes && !b->act) return false;
  cut_root(b);
  for (int k = 0; k < g->nmembers && b->ok; k++) place_member(b, stage_for(b, g->members[k]), g->members[k] != g->gemm);
  if (b->act && b->ok) place_member(b, b->act, true);
  if (g->gemm && b->ok) cut_gemm(b);
  for (int k = 0; k < g->nloads && b->ok; k++) place_load(b, k, b->c->level[k]);
  return b->ok && stage_mark(b->s, b->root, MARK_COPY, NULL, NULL);
}

bool build_groups(Schedule *s, const VtaTarget *vta, size_t n, const Planned *plans) {
  Builder b = {.s = s, .vta = vta, .n = n, .plans = plans, .ok = true};
  b.roots = NEW_ARRAY(s->cx->arena, Stage *, n + 1);
  for (size_t i = 0; i < n && b.ok; i++) lay_out_group(&b, i);
  for (size_t i = 0; i < n && b.ok; i++)
    for (int k = 0; k < plans[i].group->nloads && b.ok; k++) lay_out_load(&b, &plans[i].group->loads[k]);
  for (size_t i = 0; i < n && b.ok; i++) b.ok = build_group(&b, i);
  return b.ok;
}

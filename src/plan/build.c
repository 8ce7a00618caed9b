// SPDX-License-Identifier: Apache-2.0
// A choice becomes operations on a schedule, the same that a text calls.
#include "plan/internal.h"

typedef struct Builder {
  Schedule *s;
  const VtaTarget *vta;
  const Group *g;
  const Choice *c;
  Stage *root, *act;         // act: what the root computes; NULL: it only stores
  Stage *packed[MOST_LOADS]; // a copy in blocks of what is loaded; NULL: there is none
  Axis *outer[MOST_AXES];    // by axis of the root; NULL: it is not cut
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

static bool is_read_of(void *tensor, const TeExpr *e) { return e->kind == TE_ACCESS && e->tensor == tensor; }

// A copy that all stages of the group read that read s.
static Stage *copy_for_readers(const Builder *b, Stage *s, const Scope *scope) {
  Stage *readers[MOST_MEMBERS + 1];
  int n = 0;
  void *tensor = (void *)s->tensor;
  for (int i = 0; i < b->g->nmembers; i++)
    if (te_any(b->g->members[i]->body, is_read_of, tensor)) readers[n++] = stage_for(b, b->g->members[i]);
  if (te_any(b->g->root->body, is_read_of, tensor)) readers[n++] = b->act ? b->act : b->root;
  return stage_cache_read(b->s, s, scope, n, readers, NULL, NULL);
}

static void place_load(Builder *b, int load, int level) {
  const Load *l = &b->g->loads[load];
  Stage *s = stage_for(b, l->tensor);
  const Scope *scope = scope_for(b, l->memory);
  if (l->stage) b->ok &= stage_set_scope(b->s, s, scope, NULL);
  else if (b->packed[load]) s = stage_cache_read(b->s, b->packed[load], scope, 0, NULL, NULL, NULL);
  else s = copy_for_readers(b, s, scope);
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

// ---- blocks

static void pack_axis(Builder *b, Stage *s, int axis, int64_t block) {
  b->ok = b->ok && s && stage_pack(b->s, s, s->root[axis], block, NULL, NULL, NULL);
}

// What is loaded is stored in blocks first: a stage that copies, with what it copies, or a copy.
static void pack_load(Builder *b, int load) {
  const Load *l = &b->g->loads[load];
  Stage *s = stage_for(b, l->tensor);
  const Scope *host = &scope_host;
  if (l->stage) {
    Stage *from = stage_cache_read(b->s, stage_for(b, l->source), host, 1, &s, NULL, NULL);
    pack_axis(b, from, l->source_axis, b->vta->inp.cols);
  } else s = b->packed[load] = copy_for_readers(b, s, host);
  for (int k = 0; k < l->npacks; k++) {
    bool out = l->memory == IN_ACC || (l->memory == IN_WGT && k == 0);
    pack_axis(b, s, l->pack[k], out ? b->vta->acc.cols : b->vta->inp.cols);
  }
}

// All that the group has in tiles is stored in blocks of channels; an output, which keeps its layout, is copied from
// them.
static void pack_all(Builder *b) {
  const Group *g = b->g;
  if (g->root->role == TE_OUTPUT) b->root = stage_cache_write(b->s, b->root, &scope_host, NULL, NULL);
  pack_axis(b, b->root, g->channel, b->vta->acc.cols);
  for (int i = 0; i < g->nmembers && b->ok; i++)
    pack_axis(b, stage_for(b, g->members[i]), g->channel, b->vta->acc.cols);
  for (int i = 0; i < g->nloads && b->ok; i++) pack_load(b, i);
}

bool build_group(Schedule *s, const VtaTarget *vta, const Group *g, const Choice *c) {
  Builder b = {.s = s, .vta = vta, .g = g, .c = c, .ok = true};
  b.root = stage_for(&b, g->root);
  // A stage of its own for what the root computes comes first: reading copies are its.
  if (g->channel >= 0) pack_all(&b);
  if (!b.ok || !b.root) return false;
  b.act = g->computes ? stage_cache_write(s, b.root, &vta->acc, NULL, NULL) : NULL;
  if (g->computes && !b.act) return false;
  cut_root(&b);
  for (int i = 0; i < g->nmembers && b.ok; i++)
    place_member(&b, stage_for(&b, g->members[i]), g->members[i] != g->gemm);
  if (b.act && b.ok) place_member(&b, b.act, true);
  if (g->gemm && b.ok) cut_gemm(&b);
  for (int i = 0; i < g->nloads && b.ok; i++) place_load(&b, i, c->level[i]);
  return b.ok && stage_mark(s, b.root, MARK_COPY, NULL, NULL);
}

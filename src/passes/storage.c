// SPDX-License-Identifier: Apache-2.0
// Pass storage: every on-chip buffer gets its place.
//
//     alloc conv : vta.acc { alloc relu : vta.acc {         alloc conv : vta.acc @base 0 {
//       for i in 0..784 { vta.gemm(conv[i], ..) }             alloc relu : vta.acc @base 0 {
//       for i in 0..784 { vta.mov(relu[i], conv[i]) }   =>      for i in 0..784 { vta.gemm(conv[i], ..) }
//       for i in 0..784 { vta.max(relu[i], 0) }                 for i in 0..784 { vta.max(relu[i], 0) }
//     } }                                                   } }
//
// Requires: FORM_TILES, no virtual threads. Ensures: no vta.mov; every on-chip buffer has a base, and is allocated
// around the whole body (a map of the memories, to be read at the top of a dump).
//
// Time is the number of a nest of loops around one intrinsic, in program order. A buffer lives from its first to
// its last use; if it is used inside a loop that does not contain its allocation, throughout that loop. A mov
// whose source dies there and whose target is born there, tile for tile, needs no instruction if both are in the
// same place; any other becomes a reset and an add.
#include <stdlib.h>
#include <string.h>

#include "tir/refuse.h"
#include "passes/sram.h"
#include "passes/tiles.h"

typedef struct Life {
  const Buffer *buffer;
  Loc why;             // of the first statement that fills it
  const Stmt *filled;  // by this nest
  int depth;           // loops around its allocation
  int era;             // SramBlock.era
  int64_t first, last; // -1: never used
  int64_t tiles;
  int parent; // union-find: buffers in the same place; the root's first, last and tiles count
} Life;

typedef struct LoopUse { // a buffer used inside a loop that does not contain its allocation
  int life;
  int loop;
} LoopUse;

typedef struct Span {
  int64_t first, last;
} Span;

typedef struct Mov {
  const Stmt *nest;
  int64_t at;
  bool removed;
} Mov;

typedef struct Storage {
  PassCtx *pc;
  Ctx *cx;
  int64_t now;
  VEC(Life) lives;
  PtrMap of_buffer; // to the index in lives
  VEC(Span) loops;
  VEC(LoopUse) uses;
  VEC(int) stack; // loops around the current statement
  int era;        // outermost loops that have ended
  VEC(Mov) movs;
  size_t next_mov;    // that rewrite_movs meets
  const Stmt *moment; // the nest or statement that is looked at
  bool failed;
} Storage;

static int life_of(const Storage *s, const Buffer *b) {
  int64_t i;
  return ptrmap_get(&s->of_buffer, b, &i) ? (int)i : -1;
}

static void add_life(Storage *s, const Life *l) {
  ptrmap_put(s->cx->arena, &s->of_buffer, l->buffer, (int64_t)s->lives.len);
  VEC_PUSH(s->cx->arena, s->lives, *l);
}

// ---- when is what in use ---------------------------------------------------------------------------------------

// Notes a use now, and the outermost loop inside the allocation that it stands in.
static void note_use(Storage *s, const Buffer *b) {
  int i = life_of(s, b);
  if (i < 0) return;
  Life *l = &s->lives.data[i];
  if (l->first < 0) l->first = s->now, l->era = s->era;
  l->last = s->now;
  if ((int)s->stack.len <= l->depth) return;
  LoopUse u = {.life = i, .loop = s->stack.data[l->depth]};
  if (s->uses.len && !memcmp(&s->uses.data[s->uses.len - 1], &u, sizeof u)) return;
  VEC_PUSH(s->cx->arena, s->uses, u);
}

// An access by the CPU: nothing computes this stage on the accelerator.
static void refuse_cpu_access(Storage *s, const Buffer *b, Loc at) {
  Refusal r = {.cx = s->cx,
               .phase = "storage",
               .nest = s->moment,
               .asked = s->moment->why,
               .asked_as = "asked for here",
               .rule = "only DMA transfers, vta.gemm and the ALU reach on-chip memory"};
  Diag *g = refuse(&r, E_UNPLACED, loc_known(b->loc) ? b->loc : at,
                   arena_printf(s->cx->arena, "`%s` is in %s, but the CPU would have to compute or read it",
                                b->stage ? b->stage : b->name, b->scope->name));
  diag_help(g, "mark the stage with dma_copy(), alu() or tensorize(), or leave it in host memory");
  s->failed = true;
}

static bool visit_expr(void *self, const Expr *e) {
  Storage *s = self;
  if (e->kind == EXPR_LOAD && tile_is_on_chip(e->buffer)) refuse_cpu_access(s, e->buffer, e->loc);
  if (e->kind == EXPR_REF && tile_is_on_chip(e->buffer)) note_use(s, e->buffer);
  return true;
}

static bool visit_leaf(void *self, const Stmt *st) {
  Storage *s = self;
  if (st->kind == STMT_STORE && tile_is_on_chip(st->buffer)) refuse_cpu_access(s, st->buffer, st->loc);
  return true;
}

static void walk(Storage *s, const Stmt *st);

// A nest around one intrinsic, or a statement without children: one moment.
static void walk_moment(Storage *s, const Stmt *st) {
  s->now++;
  s->moment = st;
  stmt_visit(st, visit_leaf, visit_expr, s);
  const Stmt *leaf = tile_nest_leaf(st);
  const Buffer *target = leaf ? tile_written(leaf) : NULL;
  int written = target ? life_of(s, target) : -1;
  if (written >= 0 && !loc_known(s->lives.data[written].why)) s->lives.data[written].why = leaf->why;
  if (written >= 0 && !s->lives.data[written].filled) s->lives.data[written].filled = st;
  if (leaf && is_vta(leaf->intrin, VTA_MOV)) {
    Mov m = {.nest = st, .at = s->now};
    VEC_PUSH(s->cx->arena, s->movs, m);
  }
}

// A loop has a moment of its own before and after its body.
static void walk_loop(Storage *s, const Stmt *st) {
  int loop = (int)s->loops.len;
  Span span = {.first = ++s->now};
  VEC_PUSH(s->cx->arena, s->loops, span);
  VEC_PUSH(s->cx->arena, s->stack, loop);
  walk(s, st->body);
  s->stack.len--;
  s->loops.data[loop].last = ++s->now;
  s->era += !s->stack.len;
}

static void walk(Storage *s, const Stmt *st) {
  if (tile_nest_leaf(st)) {
    walk_moment(s, st);
    return;
  }
  switch (st->kind) {
  case STMT_FOR: walk_loop(s, st); return;
  case STMT_SEQ:
    for (int i = 0; i < st->nchildren; i++) walk(s, st->children[i]);
    return;
  case STMT_IF:
    walk(s, st->body);
    if (st->else_body) walk(s, st->else_body);
    return;
  case STMT_ALLOC:
    if (tile_is_on_chip(st->buffer)) {
      Life l = {.buffer = st->buffer,
                .depth = (int)s->stack.len,
                .first = -1,
                .last = -1,
                .tiles = buffer_tiles(st->buffer),
                .parent = (int)s->lives.len};
      add_life(s, &l);
    }
    walk(s, st->body);
    return;
  case STMT_INTRIN:
    if (st->body) walk(s, st->body);
    else walk_moment(s, st);
    return;
  case STMT_STORE: walk_moment(s, st); return;
  }
}

// What a loop uses of outside lives as long as the loop.
static void extend_over_loops(Storage *s) {
  for (size_t i = 0; i < s->uses.len; i++) {
    Life *l = &s->lives.data[s->uses.data[i].life];
    Span span = s->loops.data[s->uses.data[i].loop];
    if (span.first < l->first) l->first = span.first;
    if (span.last > l->last) l->last = span.last;
  }
}

// ---- movs ------------------------------------------------------------------------------------------------------

// The life that stands for all in the same place.
static int root(Storage *s, int i) {
  while (s->lives.data[i].parent != i) {
    s->lives.data[i].parent = s->lives.data[s->lives.data[i].parent].parent;
    i = s->lives.data[i].parent;
  }
  return i;
}

static bool same_index(Storage *s, const Expr *a, const Expr *b) {
  Affine x = affine_of(s->cx, a, NULL), y = affine_of(s->cx, b, NULL);
  return affine_equal(&x, &y);
}

// Puts both ends of a mov in the same place if that makes it unnecessary.
static void try_share(Storage *s, Mov *m) {
  const Stmt *mov = tile_nest_leaf(m->nest);
  const Expr *to = mov->args[ARG_MOV_DST], *from = mov->args[ARG_MOV_SRC];
  const Buffer *dst = to->buffer, *src = from->buffer;
  if (!same_index(s, to->args[0], from->args[0])) return;
  if (dst == src) {
    m->removed = true;
    return;
  }
  int i = life_of(s, src), j = life_of(s, dst);
  if (i < 0 || j < 0 || dst->scope != src->scope) return;
  Life *a = &s->lives.data[root(s, i)], *b = &s->lives.data[root(s, j)];
  if (a->last != m->at || b->first != m->at) return;
  b->parent = a->parent;
  a->last = b->last;
  if (b->tiles > a->tiles) a->tiles = b->tiles;
  m->removed = true;
}

typedef struct Step {
  int64_t stride, extent;
} Step;

static int by_stride(const void *x, const void *y) {
  const Step *a = x, *b = y;
  return a->stride < b->stride ? -1 : a->stride > b->stride;
}

// Whether the nest writes one tile several times, or it cannot be told: then the order of its steps matters. It
// does not if, in order of stride, each step is longer than all below it reach together.
static bool writes_twice(Storage *s, const Stmt *nest, const Expr *tile) {
  Affine a = affine_of(s->cx, tile, NULL);
  VEC(Step) steps = {0};
  for (; nest->kind == STMT_FOR || nest->kind == STMT_IF; nest = nest->body) {
    if (nest->kind == STMT_IF) continue;
    Step t = {.stride = affine_coef(&a, nest->var)};
    if (t.stride == INT64_MIN || !expr_is_int(nest->extent, &t.extent)) return true;
    if (t.stride < 0) t.stride = -t.stride;
    Affine rest = affine_without(s->cx, &a, nest->var);
    if (affine_mentions(&rest, nest->var)) return true;
    VEC_PUSH(s->cx->arena, steps, t);
  }
  if (steps.len) qsort(steps.data, steps.len, sizeof *steps.data, by_stride);
  int64_t reach = 0, more;
  for (size_t i = 0; i < steps.len; i++) {
    if (steps.data[i].extent == 1) continue;
    if (steps.data[i].stride <= reach) return true;
    if (!mul_ok(steps.data[i].stride, steps.data[i].extent - 1, &more)) return true;
    if (!add_ok(reach, more, &reach)) return true;
  }
  return false;
}

// A mov that stays: the target is cleared, then the source added; all at once where every tile is written once.
// Within one buffer source and target may be the same tile: there max(min(d, s), s) is s, whatever d is.
static const Stmt *mov_as_two(Storage *s, const Stmt *nest) {
  const Stmt *mov = tile_nest_leaf(nest);
  const Expr *dst = mov->args[ARG_MOV_DST], *src = mov->args[ARG_MOV_SRC];
  const Expr *reset[ARG_RESET_END] = {[ARG_RESET_DST] = dst};
  const Expr *both[ARG_MOV_END] = {[ARG_ALU_DST] = dst, [ARG_ALU_SRC] = src};
  bool inside = dst->buffer == src->buffer;
  const Stmt *first = inside ? tile_call(s->pc, VTA_MIN, ARG_MOV_END, both, mov)
                             : tile_call(s->pc, VTA_RESET, ARG_RESET_END, reset, mov);
  const Stmt *second = tile_call(s->pc, inside ? VTA_MAX : VTA_ADD, ARG_MOV_END, both, mov);
  if (inside || writes_twice(s, nest, dst->args[0]))
    return tile_nest_with(s->cx, nest, stmt_seq2(s->cx, first, second));
  TirSubst none = {0};
  return stmt_seq2(s->cx, tile_nest_with(s->cx, nest, first),
                   tile_copy(s->cx, tile_nest_with(s->cx, nest, second), &none));
}

// Removed movs go, others become instructions. The walk is that of `walk`, so movs are met in their order.
static const Stmt *rewrite_movs(void *self, const Stmt *st) {
  Storage *s = self;
  const Stmt *leaf = tile_nest_leaf(st);
  if (!leaf) return stmt_rebuild(s->cx, st, rewrite_movs, NULL, s);
  if (!is_vta(leaf->intrin, VTA_MOV)) return st;
  bool removed = s->movs.data[s->next_mov++].removed;
  if (removed) s->pc->stats.movs_removed++;
  else s->pc->stats.movs_kept++;
  return removed ? stmt_nop(s->cx) : mov_as_two(s, st);
}

// ---- places ----------------------------------------------------------------------------------------------------

// Gives the regions of one memory their bases, one a buffer.
static bool place_scope(Storage *s, const Scope *scope, int64_t *bases) {
  VEC(SramBlock) regions = {0};
  int *region_of = NEW_ARRAY(s->cx->arena, int, s->lives.len + 1);
  for (size_t i = 0; i < s->lives.len; i++) {
    const Life *l = &s->lives.data[i];
    if (l->buffer->scope != scope || l->first < 0 || root(s, (int)i) != (int)i) continue;
    SramBlock r = {.buffer = l->buffer,
                   .why = l->why,
                   .filled = l->filled ? l->filled : s->moment,
                   .tiles = l->tiles,
                   .first = l->first,
                   .last = l->last,
                   .era = l->era,
                   .base = -1};
    region_of[i] = (int)regions.len;
    VEC_PUSH(s->cx->arena, regions, r);
  }
  int64_t top = sram_place(s->cx, scope, regions.data, (int)regions.len);
  if (top < 0) sram_report(s->pc, scope, regions.data, (int)regions.len);
  if (top < 0) return false;
  for (size_t i = 0; i < s->lives.len; i++) {
    int home = root(s, (int)i);
    if (s->lives.data[i].buffer->scope == scope && s->lives.data[home].first >= 0)
      bases[i] = regions.data[region_of[home]].base;
  }
  s->pc->stats.sram_tiles[scope->id] = top;
  s->pc->stats.sram_depth[scope->id] = scope->depth;
  return true;
}

typedef VEC(const Stmt *) Stmts;

static const Stmt *drop_allocs(void *self, const Stmt *st);

// The statements of s in one flat list, without on-chip allocations.
static void flatten(Storage *s, const Stmt *st, Stmts *out) {
  while (st->kind == STMT_ALLOC && tile_is_on_chip(st->buffer)) st = st->body;
  if (st->kind != STMT_SEQ) {
    const Stmt *done = drop_allocs(s, st);
    VEC_PUSH(s->cx->arena, *out, done);
    return;
  }
  for (int i = 0; i < st->nchildren; i++) flatten(s, st->children[i], out);
}

static const Stmt *drop_allocs(void *self, const Stmt *st) {
  Storage *s = self;
  if (st->kind != STMT_SEQ && !(st->kind == STMT_ALLOC && tile_is_on_chip(st->buffer)))
    return stmt_rebuild(s->cx, st, drop_allocs, NULL, s);
  Stmts list = {0};
  flatten(s, st, &list);
  return stmt_seq(s->cx, (int)list.len, list.data);
}

// The body with placed buffers, all allocated around it in the order of their first allocation.
static const Stmt *with_places(Storage *s, const Stmt *body, const int64_t *bases) {
  size_t n = s->lives.len;
  const Buffer **from = NEW_ARRAY(s->cx->arena, const Buffer *, n + 1);
  const Buffer **to = NEW_ARRAY(s->cx->arena, const Buffer *, n + 1);
  for (size_t i = 0; i < n; i++) {
    Buffer *placed = arena_copy(s->cx->arena, s->lives.data[i].buffer, sizeof *placed);
    placed->base = bases[i];
    from[i] = s->lives.data[i].buffer;
    to[i] = placed;
  }
  TirSubst subst = {.nbuffers = (int)n, .from = from, .to = to};
  body = stmt_subst(s->cx, drop_allocs(s, body), &subst);
  for (size_t i = n; i-- > 0;) {
    if (bases[i] < 0) continue;
    body = stmt_placed(s->cx, stmt_alloc(s->cx, to[i], body), to[i]->loc, s->lives.data[i].why);
  }
  return body;
}

Func *pass_storage(PassCtx *pc, const Func *f) {
  if (!pc->vta) return func_with_body(pc->cx, f, f->body);
  if (!tiles_check(pc, "storage", f, false)) return NULL;
  Storage s = {.pc = pc, .cx = pc->cx};
  walk(&s, f->body);
  if (s.failed) return NULL;
  extend_over_loops(&s);
  for (size_t i = 0; i < s.movs.len; i++) try_share(&s, &s.movs.data[i]);
  const Stmt *body = rewrite_movs(&s, f->body);
  int64_t *bases = NEW_ARRAY(pc->cx->arena, int64_t, s.lives.len + 1);
  for (size_t i = 0; i < s.lives.len; i++) bases[i] = -1;
  bool ok = true;
  for (int i = 0; i < 3; i++) ok &= place_scope(&s, pc->vta->scopes[i], bases);
  if (!ok) return NULL;
  return func_with_body(pc->cx, f, stmt_simplify(pc->cx, with_places(&s, body, bases)));
}

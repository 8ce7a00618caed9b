// SPDX-License-Identifier: Apache-2.0
// Loops around several compute nests become one loop each, so that pass `uop` can fold every nest whole.
//
//     for m in 0..4 for n in 0..4 {                for m in 0..4 for n in 0..4 { vta.reset(c[m * 4 + n]) }
//       vta.reset(c[m * 4 + n])             =>     for m in 0..4 for n in 0..4 for k in 0..8 {
//       for k in 0..8 {                              vta.gemm(c[m * 4 + n], ..)
//         vta.gemm(c[m * 4 + n], ..)               }
//       }
//     }
//
// Legal if no later statement of one turn meets an earlier statement of a later turn: `reset` of turn 1 comes
// before `gemm` of turn 0 then. Only the compute unit works in such loops, so tokens are not concerned.
#include "passes/tiles.h"

typedef VEC(Footprint) Footprints; // as the loop to split sees them

typedef struct Fission {
  PassCtx *pc;
  Ctx *cx;
  Ranges ranges; // of all loops around
  size_t inside; // ranges from here on are of loops inside the one to split
  bool unknown;  // a statement that is not understood
} Fission;

// All on-chip accesses in s.
static void collect(Fission *f, const Stmt *s, Footprints *out) {
  TileAccess a[TILE_ACCESS_MAX];
  int n;
  switch (s->kind) {
  case STMT_FOR:
    tile_push_loop(f->cx, &f->ranges, s);
    collect(f, s->body, out);
    ranges_pop(&f->ranges);
    return;
  case STMT_IF:
    collect(f, s->body, out);
    if (s->else_body) collect(f, s->else_body, out);
    return;
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) collect(f, s->children[i], out);
    return;
  case STMT_INTRIN:
    n = tile_accesses(&f->ranges, s, a);
    if (!tile_unit(s)) f->unknown = true; // a token
    for (int i = 0; i < n; i++) {
      Footprint whole = tile_footprint(f->cx, &f->ranges, &a[i]),
                seen = footprint_widen(f->cx, &f->ranges, &whole, f->inside);
      VEC_PUSH(f->cx->arena, *out, seen);
    }
    return;
  case STMT_ALLOC:
  case STMT_STORE: f->unknown = true; return;
  }
}

// Whether something in the later statement b meets something in a of a later turn, of n.
static bool meets_later(Fission *f, const Footprints *b, const Footprints *a, const Var *v, int64_t n) {
  for (size_t x = 0; x < b->len; x++)
    for (size_t y = 0; y < a->len; y++)
      if (footprints_meet_later(f->cx, &f->ranges, &b->data[x], &a->data[y], v, 1, n - 1)) return true;
  return false;
}

// Whether each statement of the loop's body may run all its turns before the next one starts.
static bool can_split(Fission *f, const Stmt *loop) {
  const Stmt *body = loop->body;
  int64_t n;
  if (!expr_is_int(loop->extent, &n)) return false;
  Footprints *seen = NEW_ARRAY(f->cx->arena, Footprints, body->nchildren);
  f->unknown = false;
  tile_push_loop(f->cx, &f->ranges, loop);
  f->inside = f->ranges.len;
  for (int i = 0; i < body->nchildren; i++) collect(f, body->children[i], &seen[i]);
  bool legal = !f->unknown;
  for (int j = 0; j < body->nchildren && legal; j++)
    for (int i = 0; i < j && legal; i++) legal = !meets_later(f, &seen[j], &seen[i], loop->var, n);
  ranges_pop(&f->ranges);
  return legal;
}

static const Stmt *split(void *self, const Stmt *s);

// Splits the loops inside first, then this one.
static const Stmt *split_loop(Fission *f, const Stmt *s) {
  tile_push_loop(f->cx, &f->ranges, s);
  const Stmt *body = split(f, s->body);
  ranges_pop(&f->ranges);
  const Stmt *loop = body == s->body ? s : tile_around(f->cx, s, body);
  if (body->kind != STMT_SEQ || tile_units(body) != 1u << UNIT_COMPUTE || !can_split(f, loop)) return loop;
  const Stmt **parts = NEW_ARRAY(f->cx->arena, const Stmt *, body->nchildren);
  TirSubst none = {0};
  for (int i = 0; i < body->nchildren; i++)
    parts[i] = tile_copy(f->cx, tile_around(f->cx, s, body->children[i]), &none);
  return stmt_seq(f->cx, body->nchildren, parts);
}

static const Stmt *split(void *self, const Stmt *s) {
  Fission *f = self;
  return s->kind == STMT_FOR ? split_loop(f, s) : stmt_rebuild(f->cx, s, split, NULL, f);
}

const Stmt *tile_split_nests(PassCtx *pc, const Stmt *s) {
  Fission f = {.pc = pc, .cx = pc->cx};
  return split(&f, s);
}

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

// Tiles that a statement touches in turn v of the loop: outer + step * v + [lo, hi] of a memory.
typedef struct Touch {
  int scope;
  bool write;
  Affine outer; // over variables from outside of the loop; its constant is 0
  int64_t step, lo, hi;
  int64_t end_lo, end_hi; // the buffer's first and last tile
} Touch;
typedef VEC(Touch) Touches;

typedef struct Fission {
  PassCtx *pc;
  Ctx *cx;
  Ranges ranges;   // of all loops around
  const Var *var;  // of the loop to split
  size_t inside;   // ranges from here on are of loops inside of it
  bool unknown;    // an index that is not understood
} Fission;

// Whether e varies inside the loop to split.
static bool mentions_inner(const Fission *f, const Expr *e) {
  for (size_t i = f->inside; i < f->ranges.len; i++)
    if (expr_uses_var(e, f->ranges.data[i].var)) return true;
  return false;
}

// Adds an access as the loop to split sees it.
static void add_touch(Fission *f, const TileAccess *a, Touches *out) {
  const Buffer *b = a->buffer;
  Affine index = affine_of(f->cx, a->tile, NULL);
  Touch t = {.scope = b->scope->id, .write = a->write, .step = affine_coef(&index, f->var), .end_lo = b->base,
    .end_hi = b->base + buffer_tiles(b) - 1};
  t.outer.terms = NEW_ARRAY(f->cx->arena, AffineTerm, index.nterms + 1);
  __int128 lo = (__int128)b->base + index.constant, hi = lo + (a->count < 1 ? 1 : a->count) - 1;
  Affine rest = affine_without(f->cx, &index, f->var);
  for (int i = 0; i < rest.nterms; i++) {
    AffineTerm term = rest.terms[i];
    int64_t from, to;
    if (expr_uses_var(term.atom, f->var)) f->unknown = true;
    if (!mentions_inner(f, term.atom)) {
      t.outer.terms[t.outer.nterms++] = term;
      continue;
    }
    if (!expr_bounds(&f->ranges, term.atom, &from, &to)) f->unknown = true;
    __int128 x = (__int128)term.coef * from, y = (__int128)term.coef * to;
    lo += x < y ? x : y;
    hi += x < y ? y : x;
  }
  const int64_t far = (int64_t)1 << 40; // indices that stay on chip are nowhere near
  if (lo < -far || hi > far || t.step < -far || t.step > far) f->unknown = true;
  t.lo = (int64_t)lo;
  t.hi = (int64_t)hi;
  VEC_PUSH(f->cx->arena, *out, t);
}

// All on-chip accesses in s.
static void collect(Fission *f, const Stmt *s, Touches *out) {
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
    for (int i = 0; i < n; i++) add_touch(f, &a[i], out);
    return;
  case STMT_ALLOC:
  case STMT_STORE: f->unknown = true; return;
  }
}

// Whether a, in a later turn, meets b in an earlier one, of n turns.
static bool meets_later(const Touch *a, const Touch *b, int64_t n) {
  if (a->scope != b->scope || !(a->write || b->write)) return false;
  if (a->end_hi < b->end_lo || b->end_hi < a->end_lo) return false;
  if (!affine_equal(&a->outer, &b->outer) || a->step != b->step) return true; // perhaps
  int64_t step = a->step, lo = b->lo - a->hi, hi = b->hi - a->lo; // met if lo <= step * d <= hi for a d in 1..n-1
  if (step == 0) return lo <= 0 && hi >= 0;
  if (step < 0) {
    int64_t old = lo;
    step = -step;
    lo = -hi;
    hi = -old;
  }
  int64_t first = -floor_div(-lo, step), last = floor_div(hi, step);
  return (first < 1 ? 1 : first) <= (last > n - 1 ? n - 1 : last);
}

// Whether each statement of the loop's body may run all its turns before the next one starts.
static bool can_split(Fission *f, const Stmt *loop) {
  const Stmt *body = loop->body;
  int64_t n;
  if (!expr_is_int(loop->extent, &n)) return false;
  Touches *touch = NEW_ARRAY(f->cx->arena, Touches, body->nchildren);
  f->var = loop->var;
  f->unknown = false;
  tile_push_loop(f->cx, &f->ranges, loop);
  f->inside = f->ranges.len;
  for (int i = 0; i < body->nchildren; i++) collect(f, body->children[i], &touch[i]);
  ranges_pop(&f->ranges);
  for (int j = 0; j < body->nchildren && !f->unknown; j++)
    for (int i = 0; i < j; i++)
      for (size_t x = 0; x < touch[i].len; x++)
        for (size_t y = 0; y < touch[j].len; y++)
          if (meets_later(&touch[i].data[x], &touch[j].data[y], n)) return false;
  return !f->unknown;
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

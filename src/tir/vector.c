// SPDX-License-Identifier: Apache-2.0
// Whether the iterations of a loop may run side by side, as the lanes of vectors: statement by statement, each in all
// lanes before the next. They may if no lane touches what another one stores, save for sums and the like, where every
// iteration updates the same element:
//   for j in 0..16 { c[i, j] = c[i, j] + a[i, k] * b[k, j]; }   apart: dimension 1 tells the iterations from each other
//   for k in 0..16 { s[i] = s[i] + a[i, k]; }                   a fold: of integers in any order, of floats in this one
// What is not understood counts as a conflict.
#include "tir/internal.h"

typedef struct Access {
  const Buffer *buffer;
  const Expr **args;
  const Stmt *store; // NULL: a load
  bool steady;       // the store is reached equally often in every iteration
  Footprint *at;     // as an iteration sees it: along each dimension, then the address. Made after the walk
} Access;

typedef struct Walk {
  Ctx *cx;
  Ranges ranges; // of the variables around, the loop's, and of those bound inside
  size_t inside; // where the latter start
  const Var *var;
  int64_t extent;
  VEC(Access) accesses;
  VEC(const Var *) inner;
  VEC(const Buffer *) own; // allocated inside: each lane has its own
  const char *why;         // it cannot; NULL: it can, as far as is known
  const Stmt *at;
  bool steady;
} Walk;

static void refuse(Walk *w, const Stmt *at, const char *why) {
  if (w->why) return;
  w->why = why;
  w->at = at;
}

static bool is_own(const Walk *w, const Buffer *b) {
  for (size_t i = 0; i < w->own.len; i++)
    if (w->own.data[i] == b) return true;
  return false;
}

static bool note_load(void *self, const Expr *e) {
  Walk *w = self;
  Access a = {.buffer = e->buffer, .args = e->args};
  if (e->kind == EXPR_LOAD) VEC_PUSH(w->cx->arena, w->accesses, a);
  return true;
}

typedef struct Varies {
  const Walk *w;
  bool found;
} Varies;

static bool note_varying(void *self, const Expr *e) {
  Varies *v = self;
  v->found |= e->kind == EXPR_VAR ? e->var == v->w->var : e->kind == EXPR_LOAD && is_own(v->w, e->buffer);
  return !v->found;
}

// Whether e may differ between the iterations.
static bool varies(const Walk *w, const Expr *e) {
  Varies v = {.w = w};
  expr_visit(e, note_varying, &v);
  return v.found;
}

static void walk(Walk *w, const Stmt *s);

static void walk_for(Walk *w, const Stmt *s) {
  int64_t lo = INT64_MIN, hi = INT64_MAX, from, last, least, most;
  if (s->var == w->var || ranges_find(&w->ranges, s->var, &from, &last)) // bound twice: no one range is known
    lo = INT64_MIN, hi = INT64_MAX;
  else if (expr_bounds(&w->ranges, s->min, &from, &last) && expr_bounds(&w->ranges, s->extent, &least, &most) &&
           most >= 1 && add_ok(last, most - 1, &last))
    lo = from, hi = last;
  if (s->var == w->var) refuse(w, s, "a loop inside has the same variable");
  if (s->for_kind == FOR_PARALLEL) refuse(w, s, "a parallel loop is inside");
  expr_visit(s->min, note_load, w);
  expr_visit(s->extent, note_load, w);
  bool steady = w->steady;
  w->steady = steady && !varies(w, s->min) && !varies(w, s->extent);
  VEC_PUSH(w->cx->arena, w->inner, s->var);
  ranges_push(w->cx, &w->ranges, s->var, lo, hi); // stays: accesses are looked at after the walk
  walk(w, s->body);
  w->steady = steady;
}

static void walk_store(Walk *w, const Stmt *s) {
  Access a = {.buffer = s->buffer, .args = s->args, .store = s, .steady = w->steady};
  VEC_PUSH(w->cx->arena, w->accesses, a);
  for (int i = 0; i < s->nargs; i++) expr_visit(s->args[i], note_load, w);
  expr_visit(s->value, note_load, w);
}

static void walk(Walk *w, const Stmt *s) {
  bool steady = w->steady;
  switch (s->kind) {
  case STMT_FOR: walk_for(w, s); return;
  case STMT_STORE: walk_store(w, s); return;
  case STMT_IF:
    expr_visit(s->cond, note_load, w);
    w->steady = false;
    walk(w, s->body);
    if (s->else_body) walk(w, s->else_body);
    w->steady = steady;
    return;
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) walk(w, s->children[i]);
    return;
  case STMT_ALLOC:
    if (s->buffer->scope != &scope_host) refuse(w, s, "the accelerator works inside");
    VEC_PUSH(w->cx->arena, w->own, s->buffer);
    walk(w, s->body);
    return;
  case STMT_INTRIN: refuse(w, s, "the accelerator works inside"); return;
  }
}

// ---- conflicts ------------------------------------------------------------------------------------------------------

static bool note_unsteady(void *self, const Expr *e) {
  Varies *v = self;
  v->found |= e->kind == EXPR_LOAD;
  for (size_t i = 0; e->kind == EXPR_VAR && i < v->w->inner.len; i++) v->found |= v->w->inner.data[i] == e->var;
  return !v->found;
}

// Whether e has one value during the loop, but for the loop's own variable.
static bool fixed(const Walk *w, const Expr *e) {
  Varies v = {.w = w};
  expr_visit(e, note_unsteady, &v);
  return !v.found;
}

static void take_footprints(Walk *w, Access *a) {
  const Buffer *b = a->buffer;
  a->at = NEW_ARRAY(w->cx->arena, Footprint, b->ndim + 1);
  for (int d = 0; d <= b->ndim; d++) {
    Affine index = d < b->ndim ? affine_of(w->cx, a->args[d], NULL) : access_address(w->cx, b, a->args);
    int64_t size = d < b->ndim ? b->shape[d] : buffer_elems(b);
    Footprint f = footprint_of(w->cx, &w->ranges, b, a->store != NULL, 0, size, &index, 1);
    f = footprint_widen(w->cx, &w->ranges, &f, w->inside);
    if (f.lo > f.hi) f.lo = f.first, f.hi = f.last; // out of bounds, so it is not executed; but it is in the code
    a->at[d] = f;
  }
}

// Whether b, in a later iteration, may touch what a touches: along each dimension, and by address.
static bool meets_later(const Walk *w, const Access *a, const Access *b) {
  int64_t most = w->extent > 2 ? w->extent - 1 : 1;
  for (int d = 0; d <= a->buffer->ndim; d++)
    if (!footprints_meet_later(w->cx, &w->ranges, &a->at[d], &b->at[d], w->var, 1, most)) return false;
  return true;
}

// Whether no iteration touches what a stores in another one.
static bool apart(const Walk *w, const Access *a) {
  for (size_t i = 0; i < w->accesses.len; i++) {
    const Access *b = &w->accesses.data[i];
    if (a->buffer == b->buffer && (meets_later(w, a, b) || meets_later(w, b, a))) return false;
  }
  return true;
}

bool store_is_fold(const Stmt *s, const Expr **operand, bool *free_order) {
  const Expr *v = s->value;
  if (v->kind != EXPR_BINARY || v->binop == OP_LAND || v->binop == OP_LOR || v->a->type != s->buffer->type)
    return false;
  for (int side = 0; side < 2; side++) {
    const Expr *load = side ? v->b : v->a, *other = side ? v->a : v->b;
    if (load->kind != EXPR_LOAD || load->buffer != s->buffer) continue;
    bool same = true;
    for (int i = 0; i < s->nargs; i++) same &= expr_equal(load->args[i], s->args[i]);
    if (!same) continue;
    *operand = other;
    switch (v->binop) {
    case OP_ADD:
    case OP_MUL:
    case OP_MIN:
    case OP_MAX:
    case OP_AND:
    case OP_OR:
    case OP_XOR: *free_order = !dtype_is_float(s->buffer->type); return true;
    case OP_SUB:
    case OP_DIV:
    case OP_MOD:
    case OP_SHL:
    case OP_SHR:
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
    case OP_EQ:
    case OP_NE:
    case OP_LAND:
    case OP_LOR:
    case OP_COUNT: break;
    }
    *free_order = false;
    return true;
  }
  return false;
}

// The one store to b is `b[x] = b[x] op e`, x is the same in the whole loop, and nothing else there touches b.
static bool is_fold(const Walk *w, const Buffer *b, bool *free_order) {
  const Stmt *store = NULL;
  const Expr *operand;
  int touched = 0;
  bool steady = true;
  for (size_t i = 0; i < w->accesses.len; i++) {
    const Access *a = &w->accesses.data[i];
    if (a->buffer != b) continue;
    touched++;
    if (!a->store) continue;
    store = a->store;
    steady = a->steady;
  }
  if (!store || touched != 2 || !steady || !store_is_fold(store, &operand, free_order)) return false;
  for (int i = 0; i < store->nargs; i++)
    if (!fixed(w, store->args[i]) || expr_uses_var(store->args[i], w->var)) return false;
  return true;
}

LoopLanes loop_lanes(Ctx *cx, const Ranges *around, const Stmt *loop) {
  LoopLanes r = {.free = true};
  Walk w = {.cx = cx, .var = loop->var, .extent = INT64_MAX, .steady = true};
  for (size_t i = 0; around && i < around->len; i++) {
    const VarRange *v = &around->data[i];
    if (v->var != loop->var) ranges_push(cx, &w.ranges, v->var, v->lo, v->hi);
  }
  if (!expr_is_int(loop->extent, &w.extent)) refuse(&w, loop, "how often it runs is not known");
  int64_t lo = INT64_MIN, hi = INT64_MAX, from, last;
  if (expr_bounds(&w.ranges, loop->min, &from, &last) && w.extent >= 1 && add_ok(last, w.extent - 1, &last))
    lo = from, hi = last;
  ranges_push(cx, &w.ranges, w.var, lo, hi);
  w.inside = w.ranges.len;
  walk(&w, loop->body);
  for (size_t i = 0; i < w.accesses.len && !w.why; i++) take_footprints(&w, &w.accesses.data[i]);
  for (size_t i = 0; i < w.accesses.len && !w.why; i++) {
    const Access *a = &w.accesses.data[i];
    bool free_order;
    if (!a->store || is_own(&w, a->buffer) || apart(&w, a)) continue;
    if (!is_fold(&w, a->buffer, &free_order)) {
      const char *why = "an iteration touches what another one stores in `%s`, as far as can be told";
      refuse(&w, a->store, arena_printf(cx->arena, why, a->buffer->name));
    } else if (!free_order) {
      r.chain = a->store;
    }
  }
  r.free = !w.why;
  r.why = w.why;
  r.at = w.at;
  return r;
}

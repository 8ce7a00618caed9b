// SPDX-License-Identifier: Apache-2.0
// Loops whose iterations are emitted side by side, as the lanes of LLVM's vectors: those that the schedule vectorizes,
// if their iterations may change order (loop_lanes), and, from -O2, innermost loops that gain by it for sure. LLVM's
// own vectorizers do not run (docs/llvm.md).
//
//   vectorized for x in 0..40 {       x = 0:  32 lanes of the body
//     b[y, x] = a[y, x] + 1;          x = 32:  8 lanes
//   }
//
// Lanes are powers of two: as many as the loop has iterations, or, of long loops, what fills two registers, and a loop
// around; what remains takes half as many, and so on. Loops inside the body stay loops, in which each lane keeps its
// order.
#include "backend_llvm/internal.h"

#include <string.h>

enum {
  LEAST_OWN = 4,     // unmarked loops of fewer iterations stay scalar
  OWN_BYTES = 16384, // of what the body allocates, for all lanes
  FOLD_TIMES = 4     // an unmarked sum has to be so many times as long as its vectors: they are summed up at the end
};

// ---- which loops, and how many lanes --------------------------------------------------------------------------------

typedef struct Body {
  Gen *g;
  int64_t own; // bytes that an iteration allocates
  int widest;  // bytes of the widest element that is read or written
  bool simple; // of a loop that nobody marked: nothing in it makes lanes slow
  bool folds;
} Body;

static bool note_alloc(void *self, const Stmt *s) {
  Body *b = self;
  int64_t bytes;
  if (s->kind == STMT_STORE && dtype_bytes(s->buffer->type) > b->widest) b->widest = dtype_bytes(s->buffer->type);
  if (s->kind != STMT_ALLOC) return true;
  if (!mul_ok(buffer_elems(s->buffer), dtype_bytes(s->buffer->type), &bytes) || !add_ok(b->own, bytes, &b->own))
    b->own = INT64_MAX;
  return true;
}

static bool note_width(void *self, const Expr *e) {
  Body *b = self;
  if (e->kind == EXPR_LOAD && dtype_bytes(e->type) > b->widest) b->widest = dtype_bytes(e->type);
  return true;
}

static unsigned power_below(int64_t n) {
  unsigned p = 1;
  while (p < MAX_LANES && p * 2 <= n) p *= 2;
  return p;
}

static int register_bytes(const Gen *g) {
  return strstr(g->features, "+avx512f") || !strcmp(g->cpu, "x86-64-v4") ? 64 : strstr(g->features, "+avx") ? 32 : 16;
}

// Two registers of the widest type, or of a marked loop all iterations; fewer where copies of allocations are large.
static unsigned count_lanes(Gen *g, const Stmt *s, int64_t extent, const Body *b) {
  unsigned n = power_below(2 * register_bytes(g) / (b->widest ? b->widest : 1));
  if (s->for_kind == FOR_VECTORIZED && extent <= MAX_LANES) n = MAX_LANES;
  while (n > 1 && (n > extent || b->own > OWN_BYTES / n)) n /= 2;
  return n;
}

static bool is_simple_access(Gen *g, const Buffer *b, const Expr *const *args, bool store) {
  int64_t step;
  if (!gen_is_inside(g, b, args) || !gen_lane_step(g, b, args, &step)) return false;
  return step == 0 || step == 1 || (step == -1 && !store);
}

// What has vector instructions: no calls, no division but by constants, no elements from here and there, none read in
// vain.
static bool note_slow(void *self, const Expr *e) {
  Body *b = self;
  int64_t divisor;
  if (e->kind == EXPR_MATH) b->simple &= !gen_is_call(e->fn);
  if (e->kind == EXPR_BINARY && (e->binop == OP_DIV || e->binop == OP_MOD))
    b->simple &=
        dtype_is_float(e->a->type) ? e->binop == OP_DIV : expr_is_int(e->b, &divisor) && dtype_bits(e->type) <= 32;
  if (e->kind == EXPR_BINARY && (e->binop == OP_LAND || e->binop == OP_LOR)) b->simple &= !gen_needs_branch(b->g, e->b);
  if (e->kind == EXPR_LOAD) b->simple &= is_simple_access(b->g, e->buffer, e->args, false);
  return b->simple && e->kind != EXPR_LOAD; // what an index computes is the same in all lanes, or a step
}

static bool note_inner(void *self, const Stmt *s) {
  Body *b = self;
  if (s->kind == STMT_STORE) {
    int64_t step;
    b->simple &= is_simple_access(b->g, s->buffer, s->args, true);
    b->folds |= b->simple && gen_lane_step(b->g, s->buffer, s->args, &step) && step == 0;
    expr_visit(s->value, note_slow, b);
    return false;
  }
  b->simple &= s->kind == STMT_SEQ;
  return b->simple;
}

// An innermost loop of simple statements. Its variable's range is known for as long.
static bool gains(Gen *g, const Stmt *s, Lanes *l, Body *b) {
  int64_t lo, hi;
  if (!gen_loop_bounds(g, s, &lo, &hi)) return false;
  b->simple = true;
  g->lanes = l;
  ranges_push(g->cx, &g->ranges, s->var, lo, hi);
  stmt_visit(s->body, note_inner, note_slow, b);
  ranges_pop(&g->ranges);
  g->lanes = NULL;
  return b->simple;
}

// ---- folds: the accumulators of sums over the lanes -----------------------------------------------------------------

static LLVMValueRef identity(Gen *g, BinOp op, DType t, unsigned n) {
  int bits = t == DT_BOOL ? 1 : dtype_bits(t);
  uint64_t ones = UINT64_MAX >> (64 - bits), v = 0;
  if (op == OP_MUL) v = 1;
  if (op == OP_AND) v = ones;
  if (op == OP_MIN) v = dtype_is_signed(t) ? ones >> 1 : ones;
  if (op == OP_MAX) v = dtype_is_signed(t) ? (ones >> 1) + 1 : 0;
  return gen_splat_const(LLVMConstInt(gen_value_type(g, t), v, false), n);
}

// Stores that are free-order folds over the lanes: one element for all of them.
static bool is_free_fold(Gen *g, const Stmt *s) {
  int64_t step;
  const Expr *operand;
  bool free_order;
  if (s->kind != STMT_STORE || place_of(&g->places, s->buffer)->lanes) return false;
  return gen_lane_step(g, s->buffer, s->args, &step) && step == 0 && store_is_fold(s, &operand, &free_order) &&
         free_order;
}

static bool open_fold(void *self, const Stmt *s) {
  Gen *g = self;
  if (!is_free_fold(g, s)) return true;
  DType t = s->buffer->type;
  LLVMValueRef first = gen_to_memory(g, t, identity(g, s->value->binop, t, g->lanes->n));
  LLVMValueRef slot = gen_alloca(g, LLVMTypeOf(first), 64, "acc");
  LLVMBuildStore(g->b, first, slot);
  place_of(&g->places, s)->value = slot;
  return true;
}

// Halves the vector until one element is left. (Of sums LLVM has to see that they are: it then multiplies bytes in
// pairs.)
static LLVMValueRef fold_vector(Gen *g, BinOp op, DType t, LLVMValueRef v) {
  LLVMTypeRef type = LLVMTypeOf(v);
  if (op == OP_ADD && t != DT_BOOL) return gen_intrinsic(g, "llvm.vector.reduce.add", &type, 1, &v, 1);
  for (unsigned n = gen_width(v) / 2; n; n /= 2) {
    LLVMValueRef low[MAX_LANES], high[MAX_LANES];
    for (unsigned i = 0; i < n; i++) low[i] = gen_i32(g, i), high[i] = gen_i32(g, n + i);
    LLVMValueRef none = LLVMGetUndef(LLVMTypeOf(v));
    LLVMValueRef a = LLVMBuildShuffleVector(g->b, v, none, LLVMConstVector(low, n), "");
    LLVMValueRef b = LLVMBuildShuffleVector(g->b, v, none, LLVMConstVector(high, n), "");
    v = gen_binary(g, op, t, a, b, false);
  }
  return LLVMBuildExtractElement(g->b, v, gen_i32(g, 0), "");
}

static bool close_fold(void *self, const Stmt *s) {
  Gen *g = self;
  Place *p = place_of(&g->places, s);
  if (s->kind != STMT_STORE || !p->value) return true;
  DType t = s->buffer->type;
  const Expr *v = s->value, *operand;
  bool free_order;
  store_is_fold(s, &operand, &free_order);
  LLVMTypeRef type = LLVMVectorType(gen_memory_type(g, t), g->lanes->n);
  LLVMValueRef all = gen_from_memory(g, t, LLVMBuildLoad2(g->b, type, p->value, ""));
  p->value = NULL;
  LLVMValueRef old = gen_load(g, operand == v->b ? v->a : v->b);
  gen_store_value(g, s->buffer, s->args, gen_binary(g, v->binop, t, old, fold_vector(g, v->binop, t, all), false));
  return true;
}

static bool no_expr(void *self, const Expr *e) {
  (void)self, (void)e;
  return false;
}

// ---- emission -------------------------------------------------------------------------------------------------------

typedef struct Saved {
  Gen *g;
  VEC(Place *) places;
  VEC(Place) were;
} Saved;

// What the body allocates is there once a lane.
static bool open_own(void *self, const Stmt *s) {
  Saved *sv = self;
  Gen *g = sv->g;
  if (s->kind != STMT_ALLOC) return true;
  Place *p = place_of(&g->places, s->buffer);
  VEC_PUSH(g->cx->arena, sv->places, p);
  VEC_PUSH(g->cx->arena, sv->were, *p);
  unsigned elems = (unsigned)buffer_elems(s->buffer) * g->lanes->n;
  p->lanes = g->lanes->n;
  p->value = gen_alloca(g, LLVMArrayType(gen_memory_type(g, s->buffer->type), elems), 64, s->buffer->name);
  return true;
}

static void close_own(Saved *s) {
  for (size_t i = s->places.len; i-- > 0;) *s->places.data[i] = s->were.data[i];
}

static void lanes_body(Gen *g, void *self, LLVMValueRef at) { gen_iteration(g, self, at); }

// What a loop became that was marked: `l` has seen its first vectors.
static void remark(Gen *g, const Stmt *s, const Lanes *l) {
  if (!loc_known(s->why)) return;
  Diag *d = diag_report(g->cx->diags, R_LANES, s->why, "the loop `%s` runs in %u lanes", s->var->name, l->n);
  if (l->scattered)
    diag_note(d, "elements of `%s` go one by one: they are no neighbours, as far as can be told", l->scattered->name);
  if (l->choice) diag_note(d, "a choice goes lane by lane: it guards an index that is read from data");
  if (l->called != FN_COUNT) diag_note(d, "`%s` is called lane by lane", math_name(l->called));
}

// `count` times n iterations from `from` on; `first`: nothing of the loop came before.
static void gen_block_of_lanes(Gen *g, const Stmt *s, LLVMValueRef from, unsigned n, int64_t count, bool first) {
  Lanes l = {.var = s->var, .n = n, .called = FN_COUNT};
  Saved own = {.g = g};
  g->lanes = &l;
  stmt_visit(s->body, open_own, no_expr, &own);
  stmt_visit(s->body, open_fold, no_expr, g);
  LLVMValueRef to = LLVMBuildAdd(g->b, from, gen_i64(g, count * n), "");
  if (count == 1) gen_iteration(g, s, from);
  else gen_loop(g, from, to, n, NULL, lanes_body, (void *)s);
  stmt_visit(s->body, close_fold, no_expr, g);
  close_own(&own);
  g->lanes = NULL;
  if (s->for_kind == FOR_VECTORIZED && first) remark(g, s, &l);
}

static LLVMValueRef after(Gen *g, LLVMValueRef from, int64_t n) { return LLVMBuildAdd(g->b, from, gen_i64(g, n), ""); }

bool gen_vector_for(Gen *g, const Stmt *s) {
  Body b = {.g = g};
  Lanes l = {.var = s->var, .n = 1};
  int64_t extent, lo, hi, done = 0;
  bool marked = s->for_kind == FOR_VECTORIZED;
  if (!g->exact_vectors || g->lanes || (!marked && (s->for_kind != FOR_SERIAL || g->opt_level < 2))) return false;
  if (!expr_is_int(s->extent, &extent) || extent < (marked ? 2 : LEAST_OWN) || !gen_loop_bounds(g, s, &lo, &hi))
    return false;
  if (!marked && !gains(g, s, &l, &b)) return false;
  LoopLanes may = loop_lanes(g->cx, &g->ranges, s);
  if (!may.free || (!marked && may.chain)) return false;
  stmt_visit(s->body, note_alloc, note_width, &b);
  unsigned n = count_lanes(g, s, extent, &b);
  if (n < (marked ? 2 : LEAST_OWN) || (b.folds && !marked && extent < FOLD_TIMES * n)) return false;
  LLVMValueRef from = gen_expr(g, s->min);
  for (; n > 1 && (marked || !done); n /= 2) {
    int64_t count = (extent - done) / n;
    if (count) gen_block_of_lanes(g, s, after(g, from, done), n, count, !done);
    done += count * n;
  }
  if (done + 1 == extent) gen_iteration(g, s, after(g, from, done));
  else if (done < extent)
    gen_loop(g, after(g, from, done), after(g, from, extent), 1, "llvm.loop.unroll.disable", lanes_body, (void *)s);
  return true;
}

// SPDX-License-Identifier: Apache-2.0
// Expressions. A side of ?: && || that could fault, or that costs much, is put behind a branch; the others are
// computed and selected. In a loop of lanes (vector.c) a value is a vector, or a scalar that is the same in all lanes.
#include "backend_llvm/internal.h"

// True if [0, dim) holds the index whatever the loop variables are.
static bool surely_inside(Gen *g, const Expr *index, int64_t dim) {
  int64_t lo, hi;
  return expr_bounds(&g->ranges, index, &lo, &hi) && lo >= 0 && hi < dim;
}

typedef struct Scan {
  Gen *g;
  bool found;
} Scan;

static bool note_load(void *self, const Expr *e) {
  Scan *s = self;
  s->found |= e->kind == EXPR_LOAD;
  return !s->found;
}

bool gen_has_load(const Expr *e) {
  Scan s = {.found = false};
  expr_visit(e, note_load, &s);
  return s.found;
}

bool gen_is_inside(Gen *g, const Buffer *b, const Expr *const *args) {
  bool inside = true;
  for (int i = 0; i < b->ndim; i++) inside &= surely_inside(g, args[i], b->shape[i]);
  return inside;
}

static bool note_checked(void *self, const Expr *e) {
  Scan *s = self;
  for (int i = 0; e->kind == EXPR_LOAD && i < e->nargs; i++)
    s->found |= gen_has_load(e->args[i]) && !surely_inside(s->g, e->args[i], e->buffer->shape[i]);
  return !s->found;
}

bool gen_is_checked(Gen *g, const Expr *e) {
  Scan s = {.g = g};
  expr_visit(e, note_checked, &s);
  return s.found;
}

// Finds what should not be computed in vain: accesses that may lie outside, and calls.
// Whether a function is a call of the C library's, rather than instructions.
static bool calls_library(MathFn f) { return !math_is_exact(f) || f == FN_SQRT; }

static bool note_unsafe(void *self, const Expr *e) {
  Scan *s = self;
  if (e->kind == EXPR_LOAD) s->found |= !gen_is_inside(s->g, e->buffer, e->args);
  if (e->kind == EXPR_MATH) s->found |= calls_library(e->fn);
  return !s->found;
}

bool gen_needs_branch(Gen *g, const Expr *e) {
  Scan s = {.g = g};
  expr_visit(e, note_unsafe, &s);
  return s.found;
}

// cond ? yes : no with only the chosen side computed. A NULL side is the bool constant `other`.
static LLVMValueRef branch(Gen *g, LLVMValueRef cond, const Expr *yes, const Expr *no, bool other, DType t) {
  LLVMBasicBlockRef from[2], join, arm[2] = {gen_block(g, "then"), gen_block(g, "else")};
  LLVMValueRef v[2];
  join = gen_block(g, "join");
  LLVMBuildCondBr(g->b, cond, arm[0], arm[1]);
  for (int i = 0; i < 2; i++) {
    const Expr *side = i ? no : yes;
    gen_at(g, arm[i]);
    v[i] = side ? gen_expr(g, side) : LLVMConstInt(g->i1, other, false);
    from[i] = LLVMGetInsertBlock(g->b);
  }
  unsigned n = gen_width(v[0]) ? gen_width(v[0]) : gen_width(v[1]);
  for (int i = 0; i < 2; i++) {
    gen_at(g, from[i]);
    v[i] = gen_splat(g, v[i], n);
    LLVMBuildBr(g->b, join);
  }
  gen_at(g, join);
  LLVMValueRef phi = LLVMBuildPhi(g->b, gen_wide_type(gen_value_type(g, t), n), "");
  LLVMAddIncoming(phi, v, from, 2);
  return phi;
}

static LLVMValueRef gen_logic(Gen *g, const Expr *e) {
  LLVMValueRef a = gen_expr(g, e->a);
  bool is_and = e->binop == OP_LAND;
  if (gen_width(a)) return gen_lanes_logic(g, e, a);
  if (gen_needs_branch(g, e->b)) return branch(g, a, is_and ? e->b : NULL, is_and ? NULL : e->b, !is_and, DT_BOOL);
  LLVMValueRef b = gen_expr(g, e->b);
  gen_match(g, &a, &b);
  return gen_binary(g, e->binop, DT_BOOL, a, b, false);
}

static LLVMValueRef gen_select(Gen *g, const Expr *e) {
  LLVMValueRef c = gen_expr(g, e->a);
  if (gen_width(c)) return gen_lanes_select(g, e, c);
  if (gen_needs_branch(g, e->b) || gen_needs_branch(g, e->c)) return branch(g, c, e->b, e->c, false, e->type);
  LLVMValueRef yes = gen_expr(g, e->b), no = gen_expr(g, e->c);
  gen_match(g, &yes, &no);
  return LLVMBuildSelect(g->b, c, yes, no, "");
}

// An index. One that depends on data is checked: outside, the kernel fails with status 3 and goes on at index 0.
static LLVMValueRef gen_index(Gen *g, const Expr *index, int64_t dim) {
  LLVMValueRef v = gen_expr(g, index);
  if (!gen_has_load(index) || surely_inside(g, index, dim)) return v;
  LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b), bad = gen_block(g, "outside"), on = gen_block(g, "inside");
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntULT, v, gen_i64(g, dim), ""), on, bad);
  gen_at(g, bad);
  gen_set_status(g, 3);
  LLVMBuildBr(g->b, on);
  gen_at(g, on);
  LLVMValueRef phi = LLVMBuildPhi(g->b, g->i64, ""), in[2] = {v, gen_i64(g, 0)};
  LLVMBasicBlockRef blocks[2] = {from, bad};
  LLVMAddIncoming(phi, in, blocks, 2);
  return phi;
}

// Row-major: sum of index * stride, outermost first so that the invariant part of it is a prefix. Of a buffer that each
// lane has its own of, the copies of an element stand side by side.
static LLVMValueRef gen_offset(Gen *g, const Buffer *b, const Expr **args) {
  int64_t stride = buffer_elems(b);
  LLVMValueRef at = NULL;
  for (int i = 0; i < b->ndim; i++) {
    stride /= b->shape[i];
    LLVMValueRef term = gen_index(g, args[i], b->shape[i]);
    if (stride != 1) term = LLVMBuildMul(g->b, term, gen_i64(g, stride), "");
    at = at ? LLVMBuildAdd(g->b, at, term, "") : term;
  }
  unsigned lanes = place_of(&g->places, b)->lanes;
  if (!lanes) return at;
  at = LLVMBuildMul(g->b, at, gen_i64(g, lanes), "");
  return g->lane ? LLVMBuildAdd(g->b, at, g->lane, "") : at;
}

static LLVMValueRef gen_base(Gen *g, const Buffer *b) {
  Place *p = place_of(&g->places, b);
  if (p->value) return p->value;
  if (!g->failed)
    diag_report(g->cx->diags, E_INTERNAL, b->loc, "buffer `%s` is used outside of its allocation", b->name);
  g->failed = true;
  return LLVMGetUndef(g->ptr);
}

LLVMValueRef gen_address(Gen *g, const Buffer *b, const Expr **args) {
  LLVMValueRef base = gen_base(g, b), at = gen_offset(g, b, args);
  if (g->guard && !gen_is_inside(g, b, args)) at = LLVMBuildSelect(g->b, g->guard, at, gen_i64(g, 0), "");
  return LLVMBuildInBoundsGEP2(g->b, gen_memory_type(g, b->type), base, &at, 1, "");
}

LLVMValueRef gen_loose_address(Gen *g, const Buffer *b, const Expr **args) {
  LLVMValueRef base = gen_base(g, b), at = gen_offset(g, b, args);
  return LLVMBuildGEP2(g->b, gen_memory_type(g, b->type), base, &at, 1, "");
}

LLVMValueRef gen_tagged(Gen *g, LLVMValueRef access, const Buffer *b) {
  LLVMSetAlignment(access, (unsigned)dtype_bytes(b->type));
  LLVMValueRef tbaa = place_of(&g->places, b)->tbaa;
  if (tbaa) LLVMSetMetadata(access, g->md_tbaa, tbaa);
  return access;
}

LLVMValueRef gen_load(Gen *g, const Expr *e) {
  LLVMValueRef at = gen_address(g, e->buffer, e->args);
  LLVMValueRef v = LLVMBuildLoad2(g->b, gen_memory_type(g, e->type), at, "");
  return gen_from_memory(g, e->type, gen_tagged(g, v, e->buffer));
}

void gen_store_value(Gen *g, const Buffer *b, const Expr **args, LLVMValueRef v) {
  LLVMValueRef at = gen_address(g, b, args);
  gen_tagged(g, LLVMBuildStore(g->b, gen_to_memory(g, b->type, v), at), b);
}

static LLVMValueRef gen_var(Gen *g, const Expr *e) {
  LLVMValueRef v = place_of(&g->places, e->var)->value;
  if (v && gen_lane_count(g) && e->var == g->lanes->var) return gen_lane_numbers(g);
  if (v) return v;
  if (!g->failed)
    diag_report(g->cx->diags, E_INTERNAL, e->loc, "variable `%s` is used outside of its loop", e->var->name);
  g->failed = true;
  return LLVMGetUndef(g->i64);
}

static LLVMValueRef gen_binary_expr(Gen *g, const Expr *e) {
  if (e->binop == OP_LAND || e->binop == OP_LOR) return gen_logic(g, e);
  LLVMValueRef a = gen_expr(g, e->a), b = gen_expr(g, e->b);
  gen_match(g, &a, &b);
  int64_t lo, hi;
  bool divides = e->binop == OP_DIV || e->binop == OP_MOD;
  bool nonneg = divides && dtype_is_signed(e->a->type) && expr_bounds(&g->ranges, e->a, &lo, &hi) && lo >= 0;
  return gen_binary(g, e->binop, e->a->type, a, b, nonneg);
}

static LLVMValueRef gen_node(Gen *g, const Expr *e) {
  switch (e->kind) {
  case EXPR_INT: return LLVMConstInt(gen_value_type(g, e->type), (uint64_t)e->value.i, true);
  case EXPR_FLOAT: return LLVMConstReal(gen_value_type(g, e->type), e->value.f);
  case EXPR_VAR: return gen_var(g, e);
  case EXPR_CAST: return gen_cast(g, e->type, e->a->type, gen_expr(g, e->a));
  case EXPR_UNARY: return gen_unary(g, e->unop, e->type, gen_expr(g, e->a));
  case EXPR_BINARY: return gen_binary_expr(g, e);
  case EXPR_SELECT: return gen_select(g, e);
  case EXPR_LOAD: return gen_lane_count(g) ? gen_lanes_load(g, e) : gen_load(g, e);
  case EXPR_MATH: {
    LLVMValueRef x[3] = {NULL};
    for (int i = 0; i < e->nargs; i++) x[i] = gen_expr(g, e->args[i]);
    for (int turn = 0; turn < 2; turn++) // the first may be widened by the last, and the others by it
      for (int i = 1; i < e->nargs; i++) gen_match(g, &x[0], &x[i]);
    if (gen_width(x[0]) && gen_is_call(e->fn)) g->lanes->called = e->fn;
    return e->fn == FN_FMA ? gen_fma(g, e->type, x[0], x[1], x[2]) : gen_math(g, e->fn, e->type, x[0], x[1]);
  }
  case EXPR_REF: break;
  }
  if (!g->failed) diag_report(g->cx->diags, E_INTERNAL, e->loc, "a tile reference outside of a runtime call");
  g->failed = true;
  return LLVMGetUndef(gen_value_type(g, e->type));
}

LLVMValueRef gen_expr(Gen *g, const Expr *e) {
  if (!gen_deeper(g, e->loc)) return LLVMGetUndef(gen_value_type(g, e->type));
  LLVMValueRef v = gen_node(g, e);
  g->depth--;
  return v;
}

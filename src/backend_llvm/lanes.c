// SPDX-License-Identifier: Apache-2.0
// What a loop of lanes does otherwise than scalar code: loads and stores, choices, and one lane after the other.
//
// A load is one of the same element in all lanes (a scalar), of neighbours (a vector, or its mirror image), or anything
// else: then the scalar code of each lane computes its address. No lane reads outside an array, whether its value is
// wanted or not: where an index is not known to lie inside, a mask, or element 0, stands in for lanes that a guard
// excludes.
#include "backend_llvm/internal.h"

enum { FLAT = 16 }; // so many lanes get code each; more go through a loop

unsigned gen_lane_count(Gen *g) { return g->lanes && !g->lane ? g->lanes->n : 0; }

// Scalar code for one lane between enter and leave.
typedef struct Entered {
  LLVMValueRef var, guard;
} Entered;

static Entered enter(Gen *g, LLVMValueRef lane) {
  Place *p = place_of(&g->places, g->lanes->var);
  Entered e = {p->value, g->guard};
  p->value = LLVMBuildAdd(g->b, p->value, lane, "");
  g->lane = lane;
  return e;
}

static void leave(Gen *g, Entered e) {
  place_of(&g->places, g->lanes->var)->value = e.var;
  g->lane = NULL;
  g->guard = e.guard;
}

typedef struct EachLane {
  LaneBody *body;
  void *self;
} EachLane;

static void lane_body(Gen *g, void *self, LLVMValueRef lane) {
  const EachLane *l = self;
  Entered e = enter(g, lane);
  l->body(g, l->self, lane);
  leave(g, e);
}

void gen_each_lane(Gen *g, LaneBody *body, void *self) {
  EachLane l = {body, self};
  gen_loop(g, gen_i64(g, 0), gen_i64(g, g->lanes->n), 1, NULL, lane_body, &l);
}

LLVMValueRef gen_lane_numbers(Gen *g) {
  LLVMValueRef numbers[MAX_LANES];
  for (unsigned i = 0; i < g->lanes->n; i++) numbers[i] = gen_i64(g, i);
  LLVMValueRef first = gen_splat(g, place_of(&g->places, g->lanes->var)->value, g->lanes->n);
  return LLVMBuildAdd(g->b, first, LLVMConstVector(numbers, g->lanes->n), "");
}

// ---- what is known of the lanes -------------------------------------------------------------------------------------

typedef struct Varies {
  Gen *g;
  bool found;
} Varies;

static bool note_varying(void *self, const Expr *e) {
  Varies *v = self;
  v->found |= (e->kind == EXPR_VAR && e->var == v->g->lanes->var) ||
              (e->kind == EXPR_LOAD && place_of(&v->g->places, e->buffer)->lanes);
  return !v->found;
}

bool gen_varies(Gen *g, const Expr *e) {
  Varies v = {.g = g};
  expr_visit(e, note_varying, &v);
  return v.found;
}

bool gen_lane_step(Gen *g, const Buffer *b, const Expr *const *args, int64_t *step) {
  *step = 0;
  bool any = false;
  for (int i = 0; i < b->ndim; i++) any |= gen_varies(g, args[i]);
  if (!any) return true;
  Affine whole = access_address(g->cx, b, args), rest = affine_without(g->cx, &whole, g->lanes->var);
  for (int i = 0; i < rest.nterms; i++)
    if (gen_varies(g, rest.terms[i].atom)) return false;
  for (int i = 0; i < b->ndim; i++) { // an index from data is checked in every lane
    int64_t lo, hi;
    bool inside = expr_bounds(&g->ranges, args[i], &lo, &hi) && lo >= 0 && hi < b->shape[i];
    if (!inside && gen_has_load(args[i]) && gen_varies(g, args[i])) return false;
  }
  *step = affine_coef(&whole, g->lanes->var);
  return true;
}

// ---- one by one -----------------------------------------------------------------------------------------------------

// Values of a type, one a lane, in memory. bool takes a byte.
static LLVMTypeRef slot_type(Gen *g, DType t) { return t == DT_BOOL ? g->i8 : gen_value_type(g, t); }

static LLVMValueRef slot_of(Gen *g, LLVMValueRef slot, DType t, LLVMValueRef lane) {
  return LLVMBuildInBoundsGEP2(g->b, slot_type(g, t), slot, &lane, 1, "");
}

static LLVMValueRef new_slot(Gen *g, DType t) {
  return gen_alloca(g, LLVMArrayType(slot_type(g, t), g->lanes->n), 64, "lanes");
}

typedef struct Spill {
  const Expr *e;
  LLVMValueRef slot, mask;
} Spill;

static void spill(Gen *g, const Spill *s, LLVMValueRef v, LLVMValueRef lane) {
  if (s->e->type == DT_BOOL) v = LLVMBuildZExt(g->b, v, g->i8, "");
  LLVMBuildStore(g->b, v, slot_of(g, s->slot, s->e->type, lane));
}

static void spill_lane(Gen *g, void *self, LLVMValueRef lane) {
  const Spill *s = self;
  LLVMBasicBlockRef on = NULL;
  if (s->mask) { // an excluded lane is 0
    LLVMValueRef none = LLVMConstNull(gen_value_type(g, s->e->type));
    LLVMBasicBlockRef wanted = gen_block(g, "wanted");
    on = gen_block(g, "next");
    spill(g, s, none, lane);
    LLVMBuildCondBr(g->b, LLVMBuildExtractElement(g->b, s->mask, lane, ""), wanted, on);
    gen_at(g, wanted);
  }
  spill(g, s, gen_expr(g, s->e), lane);
  if (!on) return;
  LLVMBuildBr(g->b, on);
  gen_at(g, on);
}

// e by the scalar code of each lane.
static LLVMValueRef one_by_one(Gen *g, const Expr *e) {
  unsigned n = g->lanes->n;
  if (e->kind == EXPR_LOAD) g->lanes->scattered = e->buffer;
  else g->lanes->choice = true;
  LLVMValueRef mask = g->lanes->mask;
  LLVMTypeRef type = LLVMVectorType(gen_value_type(g, e->type), n);
  if (n > FLAT || (e->kind != EXPR_LOAD && gen_needs_branch(g, e)) || gen_is_checked(g, e)) {
    Spill s = {e, new_slot(g, e->type), mask};
    gen_each_lane(g, spill_lane, &s);
    LLVMValueRef v = LLVMBuildLoad2(g->b, LLVMVectorType(slot_type(g, e->type), n), s.slot, "");
    LLVMSetAlignment(v, 64);
    return e->type == DT_BOOL ? LLVMBuildICmp(g->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "") : v;
  }
  LLVMValueRef all = LLVMGetUndef(type);
  for (unsigned i = 0; i < n; i++) {
    Entered in = enter(g, gen_i64(g, i));
    g->guard = mask ? LLVMBuildExtractElement(g->b, mask, gen_i64(g, i), "") : NULL;
    LLVMValueRef v = gen_expr(g, e);
    leave(g, in);
    all = LLVMBuildInsertElement(g->b, all, v, gen_i64(g, i), "");
  }
  return all;
}

// ---- loads ----------------------------------------------------------------------------------------------------------

static LLVMValueRef reversed(Gen *g, LLVMValueRef v) {
  LLVMValueRef order[MAX_LANES];
  unsigned n = gen_width(v);
  for (unsigned i = 0; i < n; i++) order[i] = gen_i32(g, n - 1 - i);
  return LLVMBuildShuffleVector(g->b, v, LLVMGetUndef(LLVMTypeOf(v)), LLVMConstVector(order, n), "");
}

// Whether any lane's value is wanted; NULL: all are.
static LLVMValueRef any_wanted(Gen *g) {
  if (!g->lanes->mask) return NULL;
  LLVMTypeRef bits = LLVMIntTypeInContext(g->c, g->lanes->n);
  LLVMValueRef all = LLVMBuildBitCast(g->b, g->lanes->mask, bits, "");
  return LLVMBuildICmp(g->b, LLVMIntNE, all, LLVMConstNull(bits), "");
}

// The address of the element that the given lane has. Loads in the index are guarded.
static LLVMValueRef address_in(Gen *g, unsigned lane, const Buffer *b, const Expr **args, bool loose) {
  Entered e = enter(g, gen_i64(g, lane));
  g->guard = any_wanted(g);
  LLVMValueRef at = loose ? gen_loose_address(g, b, args) : gen_address(g, b, args);
  leave(g, e);
  return at;
}

static LLVMValueRef masked_load(Gen *g, LLVMTypeRef type, LLVMValueRef at, LLVMValueRef mask, const Buffer *b) {
  LLVMTypeRef over[2] = {type, g->ptr};
  LLVMValueRef args[4] = {at, gen_i32(g, dtype_bytes(b->type)), mask, LLVMConstNull(type)};
  LLVMValueRef v = gen_intrinsic(g, "llvm.masked.load", over, 2, args, 4), tbaa = place_of(&g->places, b)->tbaa;
  if (tbaa) LLVMSetMetadata(v, g->md_tbaa, tbaa);
  return v;
}

// Elements side by side, in order or (step -1) mirrored.
static LLVMValueRef load_neighbours(Gen *g, const Expr *e, bool mirrored) {
  const Buffer *b = e->buffer;
  unsigned n = g->lanes->n, first = mirrored ? n - 1 : 0;
  LLVMTypeRef type = LLVMVectorType(gen_memory_type(g, e->type), n);
  LLVMValueRef mask = g->lanes->mask, v;
  if (mask && !gen_is_inside(g, b, e->args)) {
    LLVMValueRef at = address_in(g, first, b, e->args, true);
    v = masked_load(g, type, at, mirrored ? reversed(g, mask) : mask, b);
  } else {
    v = gen_tagged(g, LLVMBuildLoad2(g->b, type, address_in(g, first, b, e->args, false), ""), b);
  }
  return gen_from_memory(g, e->type, mirrored ? reversed(g, v) : v);
}

// One element for all lanes; element 0, if it is wanted in none.
static LLVMValueRef load_shared(Gen *g, const Expr *e) {
  LLVMValueRef outer = g->guard;
  g->guard = any_wanted(g);
  LLVMValueRef v = gen_load(g, e);
  g->guard = outer;
  return v;
}

// A lane's own copy: the copies of an element stand side by side.
static LLVMValueRef load_copies(Gen *g, const Expr *e) {
  LLVMTypeRef type = LLVMVectorType(gen_memory_type(g, e->type), g->lanes->n);
  LLVMValueRef at = gen_address(g, e->buffer, e->args);
  return gen_from_memory(g, e->type, gen_tagged(g, LLVMBuildLoad2(g->b, type, at, ""), e->buffer));
}

LLVMValueRef gen_lanes_load(Gen *g, const Expr *e) {
  int64_t step;
  bool own = place_of(&g->places, e->buffer)->lanes != 0;
  if (!gen_lane_step(g, e->buffer, e->args, &step)) return one_by_one(g, e);
  if (own)
    return step == 0 && (!g->lanes->mask || gen_is_inside(g, e->buffer, e->args)) ? load_copies(g, e)
                                                                                  : one_by_one(g, e);
  if (step == 0) return load_shared(g, e);
  return step == 1 || step == -1 ? load_neighbours(g, e, step < 0) : one_by_one(g, e);
}

// ---- choices --------------------------------------------------------------------------------------------------------

// e where the lanes of `wanted` are the only ones that count.
static LLVMValueRef under(Gen *g, LLVMValueRef wanted, const Expr *e) {
  LLVMValueRef outer = g->lanes->mask;
  g->lanes->mask = outer ? LLVMBuildAnd(g->b, outer, wanted, "") : wanted;
  LLVMValueRef v = gen_splat(g, gen_expr(g, e), g->lanes->n);
  g->lanes->mask = outer;
  return v;
}

LLVMValueRef gen_lanes_select(Gen *g, const Expr *e, LLVMValueRef cond) {
  if (gen_is_checked(g, e->b) || gen_is_checked(g, e->c)) return one_by_one(g, e);
  LLVMValueRef yes = under(g, cond, e->b);
  return LLVMBuildSelect(g->b, cond, yes, under(g, LLVMBuildNot(g->b, cond, ""), e->c), "");
}

LLVMValueRef gen_lanes_logic(Gen *g, const Expr *e, LLVMValueRef a) {
  if (gen_is_checked(g, e->b)) return one_by_one(g, e);
  LLVMValueRef b = under(g, e->binop == OP_LAND ? a : LLVMBuildNot(g->b, a, ""), e->b);
  return gen_binary(g, e->binop, DT_BOOL, a, b, false);
}

// ---- stores ---------------------------------------------------------------------------------------------------------

// `b[x] = b[x] op e`: into the lanes' accumulator, or, where the order counts, one lane after the other.
static void gen_fold(Gen *g, const Stmt *s) {
  const Expr *operand, *v = s->value;
  bool free_order, second;
  DType t = s->buffer->type;
  if (!store_is_fold(s, &operand, &free_order)) bug("a store of one element for all lanes is no fold");
  second = operand == v->b;
  LLVMValueRef all = gen_splat(g, gen_expr(g, operand), g->lanes->n), slot = place_of(&g->places, s)->value;
  if (slot) {
    LLVMTypeRef type = LLVMVectorType(gen_memory_type(g, t), g->lanes->n);
    LLVMValueRef acc = gen_from_memory(g, t, LLVMBuildLoad2(g->b, type, slot, ""));
    LLVMBuildStore(g->b, gen_to_memory(g, t, gen_binary(g, v->binop, t, acc, all, false)), slot);
    return;
  }
  LLVMValueRef acc = gen_load(g, second ? v->a : v->b);
  for (unsigned i = 0; i < g->lanes->n; i++) {
    LLVMValueRef e = LLVMBuildExtractElement(g->b, all, gen_i64(g, i), "");
    acc = second ? gen_binary(g, v->binop, t, acc, e, false) : gen_binary(g, v->binop, t, e, acc, false);
  }
  gen_store_value(g, s->buffer, s->args, acc);
}

typedef struct Scatter {
  const Stmt *s;
  LLVMValueRef slot;
} Scatter;

static void scatter_lane(Gen *g, void *self, LLVMValueRef lane) {
  const Scatter *sc = self;
  DType t = sc->s->buffer->type;
  LLVMValueRef v = LLVMBuildLoad2(g->b, slot_type(g, t), slot_of(g, sc->slot, t, lane), "");
  if (t == DT_BOOL) v = LLVMBuildICmp(g->b, LLVMIntNE, v, LLVMConstNull(g->i8), "");
  gen_store_value(g, sc->s->buffer, sc->s->args, v);
}

static void scatter(Gen *g, const Stmt *s, LLVMValueRef all) {
  unsigned n = g->lanes->n;
  DType t = s->buffer->type;
  g->lanes->scattered = s->buffer;
  for (unsigned i = 0; n <= FLAT && i < n; i++) {
    LLVMValueRef v = LLVMBuildExtractElement(g->b, all, gen_i64(g, i), "");
    Entered in = enter(g, gen_i64(g, i));
    gen_store_value(g, s->buffer, s->args, v);
    leave(g, in);
  }
  if (n <= FLAT) return;
  Scatter sc = {s, new_slot(g, t)};
  if (t == DT_BOOL) all = LLVMBuildZExt(g->b, all, LLVMVectorType(g->i8, n), "");
  LLVMSetAlignment(LLVMBuildStore(g->b, all, sc.slot), 64);
  gen_each_lane(g, scatter_lane, &sc);
}

void gen_lanes_store(Gen *g, const Stmt *s) {
  const Buffer *b = s->buffer;
  bool own = place_of(&g->places, b)->lanes != 0;
  int64_t step;
  bool known = gen_lane_step(g, b, s->args, &step);
  if (known && step == 0 && !own) {
    gen_fold(g, s);
    return;
  }
  LLVMValueRef all = gen_splat(g, gen_expr(g, s->value), g->lanes->n);
  if (!known || (own ? step != 0 : step != 1 && step != -1)) {
    scatter(g, s, all);
    return;
  }
  LLVMValueRef v = gen_to_memory(g, b->type, step < 0 ? reversed(g, all) : all);
  LLVMValueRef at = own ? gen_address(g, b, s->args) : address_in(g, step < 0 ? g->lanes->n - 1 : 0, b, s->args, false);
  gen_tagged(g, LLVMBuildStore(g->b, v, at), b);
}

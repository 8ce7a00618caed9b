// SPDX-License-Identifier: Apache-2.0
// From a graph of ALU operations to two-address instructions, each in loops of its own.
//
//   out[x] = max(a[x] * 3 + b[x], 0)    for x { mov(out[x], a[x]) }   for x { mul(out[x], 3) }
//                                       for x { add(out[x], b[x]) }   for x { max(out[x], 0) }
//
// A value is computed in place (in the destination, or in a temporary): its first operand is computed or moved
// there, then the operation is applied with the second as the source. A mov costs nothing when the source dies
// with it and has the same shape (pass `storage` gives both the same tiles), so such sources are preferred as
// first operands. What reads the destination's old contents is computed before anything is written there.
#include <stdlib.h>

#include "passes/inject_alu/internal.h"

static bool fits16(int64_t v) { return v >= INT16_MIN && v <= INT16_MAX; }

// ---- instructions ----------------------------------------------------------------------------------------------

static const Expr *place_expr(const Alu *s, const AluPlace *at, Loc loc) {
  Ctx *cx = s->p.cx;
  return expr_at(cx, expr_ref(cx, at->buffer, affine_expr(cx, &at->tile)), loc);
}

// One instruction for every point of the loops in mask.
static void put(Alu *s, VtaOp op, uint64_t mask, const AluPlace *dst, const Expr *src, Loc loc) {
  Ctx *cx = s->p.cx;
  const Expr *args[ARG_MOV_END] = {[ARG_ALU_DST] = place_expr(s, dst, loc), [ARG_ALU_SRC] = src};
  const Stmt *i = stmt_intrin(cx, vta_op(s->p.vta, op), src ? ARG_MOV_END : ARG_RESET_END, args, NULL);
  i = nest_wrap(&s->p, s->n, mask & ~s->carried, stmt_placed(cx, i, loc, s->p.region->why));
  if (s->to_before) VEC_PUSH(cx->arena, s->before, i);
  else VEC_PUSH(cx->arena, s->body, i);
}

static void put_imm(Alu *s, VtaOp op, const AluReg *r, int64_t imm, Loc loc) {
  put(s, op, r->mask, &r->at, expr_index(s->p.cx, imm), loc);
}

static void put_src(Alu *s, VtaOp op, const AluReg *r, const AluPlace *src, Loc loc) {
  put(s, op, r->mask, &r->at, place_expr(s, src, loc), loc);
}

// ---- temporaries -----------------------------------------------------------------------------------------------

// A free temporary with a tile for each point of the loops in mask; a new one if there is none.
static AluReg *temp_take(Alu *s, uint64_t mask, bool fresh) {
  Ctx *cx = s->p.cx;
  for (size_t i = 0; !fresh && i < s->temps.len; i++) {
    AluReg *r = s->temps.data[i];
    if (r->busy || r->mask != mask) continue;
    r->busy = true;
    return r;
  }
  AluReg *r = NEW(cx->arena, AluReg);
  int64_t *shape = NEW_ARRAY(cx->arena, int64_t, s->n->nloops + 2);
  int ndim = 0;
  Affine tile = {0};
  for (int k = 0; k < s->n->nloops; k++) {
    if (!(mask >> k & 1)) continue;
    Affine v = affine_of(cx, expr_var(cx, s->n->loops[k].var), NULL);
    tile = affine_scale(cx, &tile, s->n->loops[k].extent);
    tile = affine_add(cx, &tile, 1, &v);
    shape[ndim++] = s->n->loops[k].extent;
  }
  shape[ndim++] = s->p.vta->acc.rows;
  shape[ndim++] = s->p.vta->acc.cols;
  const char *text = arena_printf(cx->arena, "%s_t", buffer_stage(s->dst.buffer));
  Buffer *b = (Buffer *)tir_buffer(cx, name_of(cx->names, text), DT_I32, &s->p.vta->acc, BUF_LOCAL, ndim, shape,
                                   s->n->store->loc);
  b->stage = s->dst.buffer->stage;
  *r = (AluReg){.at = {b, tile}, .mask = mask, .busy = true};
  VEC_PUSH(cx->arena, s->temps, r);
  return r;
}

// ---- constants -------------------------------------------------------------------------------------------------

// r = v: a reset, and at most three more instructions.
static void put_const(Alu *s, const AluReg *r, int32_t v, Loc loc) {
  int shift = 0;
  put(s, VTA_RESET, r->mask, &r->at, NULL, loc);
  if (v == 0) return;
  while (shift < 31 && !fits16(v >> shift) && !(v >> shift & 1)) shift++;
  if (fits16(v >> shift)) {
    put_imm(s, VTA_ADD, r, v >> shift, loc);
    if (shift) put_imm(s, VTA_SHR, r, -shift, loc);
  } else if (v >= 2 * INT16_MIN && v <= 2 * INT16_MAX) {
    put_imm(s, VTA_ADD, r, v / 2, loc);
    put_imm(s, VTA_ADD, r, v - v / 2, loc);
  } else {
    int16_t low = (int16_t)(uint16_t)(uint32_t)v;
    int16_t high = (int16_t)(uint16_t)(((uint32_t)v - (uint32_t)(int32_t)low) >> 16);
    put_imm(s, VTA_ADD, r, high, loc);
    put_imm(s, VTA_SHR, r, -16, loc);
    put_imm(s, VTA_ADD, r, low, loc);
  }
}

// Applies `op c` to r with immediates alone, if two at most do it.
static bool put_op_const(Alu *s, VtaOp op, const AluReg *r, int32_t c, Loc loc) {
  int shift = 0;
  while (shift < 31 && !((uint32_t)c >> shift & 1)) shift++;
  if (op == VTA_MUL && shift && (uint32_t)c == UINT32_C(1) << shift) return put_imm(s, VTA_SHR, r, -shift, loc), true;
  if (fits16(c)) return put_imm(s, op, r, c, loc), true;
  if (op == VTA_ADD && c >= 2 * INT16_MIN && c <= 2 * INT16_MAX) {
    put_imm(s, op, r, c / 2, loc);
    put_imm(s, op, r, c - c / 2, loc);
    return true;
  }
  if (op != VTA_MUL || !fits16(c >> shift)) return false;
  put_imm(s, VTA_MUL, r, c >> shift, loc);
  put_imm(s, VTA_SHR, r, -shift, loc);
  return true;
}

// ---- values ----------------------------------------------------------------------------------------------------

static void compute(Alu *s, const Node *n, AluReg *r);
static void compute_op(Alu *s, const Node *n, AluReg *r);

static uint64_t node_loops(const Alu *s, const Node *n) { return n->mask & ~s->carried; }

// A constant in one tile, made once, ahead of all loops.
static AluReg *const_reg(Alu *s, const Node *n) {
  bool was = s->to_before;
  s->to_before = true;
  AluReg *r = temp_take(s, 0, true);
  put_const(s, r, n->value, n->loc);
  s->to_before = was;
  return r;
}

// Where the value of n can be read; computes it into a temporary if it is nowhere.
static const AluPlace *operand(Alu *s, const Node *n) {
  NodeState *st = &s->state[n->id];
  if (n->kind == NODE_LOAD) return &n->from;
  if (st->reg) return &st->reg->at;
  if (n->kind == NODE_CONST) return &(st->reg = const_reg(s, n))->at;
  AluReg *r = temp_take(s, node_loops(s, n), false);
  compute_op(s, n, r);
  st->reg = r;
  return &r->at;
}

// One use of n is over.
static void used(Alu *s, const Node *n) {
  NodeState *st = &s->state[n->id];
  if (--st->uses > 0 || n->kind != NODE_OP || !st->reg) return;
  st->reg->busy = false;
  st->reg = NULL;
}

// r = a copy of something that is, or should be, computed elsewhere.
static void move(Alu *s, const Node *n, AluReg *r) {
  if (n->old && r->is_dst) return;
  put_src(s, VTA_MOV, r, operand(s, n), n->loc);
}

// Whether a mov of this load into r is likely to vanish: the only reader of its buffer, and the same steps.
static bool coalesces(const Alu *s, const Node *n, const AluReg *r) {
  if (n->kind != NODE_LOAD || n->reads_dst || alu_fact(s, n->from.buffer)->loads != 1) return false;
  for (int k = 0; k < s->n->nloops; k++) {
    const Var *v = s->n->loops[k].var;
    if (affine_coef(&n->from.tile, v) != affine_coef(&r->at.tile, v)) return false;
  }
  return true;
}

// How good x is as the first operand, computed in r's own place.
static int first_rank(const Alu *s, const Node *x, const AluReg *r) {
  bool whole = node_loops(s, x) == r->mask;
  if (x->old && r->is_dst) return 100; // it is there already
  if (x->kind == NODE_CONST) return 0;
  if (x->kind == NODE_OP && s->state[x->id].uses > 1) return 1; // it stays in its own place, for others
  if (x->kind == NODE_OP && x->reads_dst && r->is_dst) return 60;
  if (x->kind == NODE_OP && whole) return 20 + (x->need > 30 ? 30 : x->need);
  if (coalesces(s, x, r)) return 15;
  return x->kind == NODE_LOAD ? (whole ? 10 : 5) : 4;
}

// r = a op b, in place.
static void compute_op(Alu *s, const Node *n, AluReg *r) {
  const Node *first = n->a, *second = n->b;
  int64_t c;
  if (first == second) {
    compute(s, first, r);
    used(s, first);
    put_src(s, n->op, r, &r->at, n->loc);
    return;
  }
  if (node_is_const(second, &c)) {
    compute(s, first, r);
    used(s, first);
    if (!put_op_const(s, n->op, r, (int32_t)c, n->loc)) put_src(s, n->op, r, operand(s, second), n->loc);
    used(s, second);
    return;
  }
  if (op_commutes(n->op) && first_rank(s, second, r) > first_rank(s, first, r)) {
    first = n->b;
    second = n->a;
  }
  // What reads the destination must do so before it is written; a load that is the source itself may read it last.
  bool in_place = first->old && r->is_dst;
  AluReg *saved = NULL;
  if (r->is_dst && second->reads_dst && !in_place) {
    if (second->kind == NODE_LOAD) {
      saved = temp_take(s, node_loops(s, second), false);
      put_src(s, VTA_MOV, saved, &second->from, second->loc);
    } else {
      operand(s, second);
    }
  }
  if (in_place && second->kind == NODE_OP) operand(s, second);
  compute(s, first, r);
  used(s, first);
  put_src(s, n->op, r, saved ? &saved->at : operand(s, second), n->loc);
  used(s, second);
  if (saved) saved->busy = false;
}

// r = n. A value with fewer loops than r, or that several need, is computed in a temporary of its own and copied.
static void compute(Alu *s, const Node *n, AluReg *r) {
  NodeState *st = &s->state[n->id];
  if (n->kind == NODE_CONST) {
    put_const(s, r, n->value, n->loc);
    return;
  }
  bool smaller = node_loops(s, n) != r->mask;
  if (n->kind == NODE_LOAD || st->reg || st->uses > 1 || smaller) move(s, n, r);
  else compute_op(s, n, r);
}

// ---- whole nests -----------------------------------------------------------------------------------------------

static void count_uses(Alu *s, const Node *n) {
  if (s->state[n->id].uses++ > 0 || n->kind != NODE_OP) return;
  count_uses(s, n->a);
  if (n->b != n->a) count_uses(s, n->b);
}

// Tiles of a temporary over the loops in mask, saturating.
static int64_t mask_tiles(const Alu *s, uint64_t mask) {
  int64_t tiles = 1;
  for (int k = 0; k < s->n->nloops; k++)
    if ((mask >> k & 1) && !mul_ok(tiles, s->n->loops[k].extent, &tiles)) return INT64_MAX;
  return tiles;
}

// A reduction of one instruction, dst = dst op e: NULL, or e. e is a load, a constant, or can be computed ahead
// for all points at once: if there is room, and in at most a quarter of the memory.
static const Node *simple_reduction(const Alu *s, const Node *root) {
  if (root->kind != NODE_OP || s->alias) return NULL;
  const Node *e = root->a->old ? root->b : root->b->old && op_commutes(root->op) ? root->a : NULL;
  if (!e || e->reads_dst) return NULL;
  if (e->kind != NODE_OP) return e;
  int64_t tiles = mask_tiles(s, e->mask), total;
  if (tiles > s->p.vta->acc.depth / 4 || !mul_ok(tiles, e->need + 1, &total)) return NULL;
  return total <= s->room ? e : NULL;
}

// Reduction loops around the destination's own: the accumulator of one operation is not that of the next.
static void emit_reduction(Alu *s, const Node *root, const Node *e, uint64_t reduce) {
  int64_t c;
  AluReg r = {.at = s->dst, .mask = s->dst_mask, .is_dst = true};
  if (e->kind == NODE_OP) operand(s, e);
  if (e->kind == NODE_CONST && !(node_is_const(e, &c) && fits16(c))) operand(s, e);
  size_t from = s->body.len;
  if (e->kind == NODE_CONST) {
    if (!put_op_const(s, root->op, &r, e->value, root->loc)) put_src(s, root->op, &r, operand(s, e), root->loc);
  } else {
    put_src(s, root->op, &r, operand(s, e), root->loc);
  }
  const Stmt *update = stmt_seq(s->p.cx, (int)(s->body.len - from), s->body.data + from);
  s->body.len = from;
  VEC_PUSH(s->p.cx->arena, s->body, nest_wrap(&s->p, s->n, reduce, update));
}

const Stmt *alu_emit(Alu *s, const Node *root) {
  Ctx *cx = s->p.cx;
  uint64_t all = 0;
  for (int k = 0; k < s->n->nloops; k++) all |= UINT64_C(1) << k;
  uint64_t tiles = all & ~s->lanes & ~s->repeats, reduce = tiles & ~s->dst_mask;
  s->state = NEW_ARRAY(cx->arena, NodeState, s->nodes.len + 1);
  count_uses(s, root);
  const Node *e = reduce ? simple_reduction(s, root) : NULL;
  if (s->alias || !alu_injective(s)) s->carried = tiles;
  else if (!e || s->opaque & reduce) s->carried = reduce | s->opaque;
  else s->carried = s->opaque;
  if (s->carried & reduce) e = NULL;
  if (e) {
    emit_reduction(s, root, e, reduce);
  } else {
    AluReg r = {.at = s->dst, .mask = s->dst_mask & ~s->carried, .is_dst = true, .busy = true};
    compute(s, root, &r);
  }
  if (!s->body.len) return stmt_nop(cx);
  const Stmt *body = nest_wrap(&s->p, s->n, s->carried, stmt_seq(cx, (int)s->body.len, s->body.data));
  body = stmt_seq2(cx, stmt_seq(cx, (int)s->before.len, s->before.data), body);
  for (size_t i = s->temps.len; i-- > 0;) body = stmt_alloc(cx, s->temps.data[i]->at.buffer, body);
  return body;
}

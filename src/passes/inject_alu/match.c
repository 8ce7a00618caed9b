// SPDX-License-Identifier: Apache-2.0
// From a scalar expression to the ALU's five operations. Integers wrap, so sums and products may be regrouped.
//
//   x - y        add(x, mul(y, -1))            abs(x)           max(x, mul(x, -1))
//   x << 3       shr(x, -3)                    x < 7 ? x : 7    min(x, 7)
//   x >> y       shr(x, y), y in 0..31         int32(int8(x))   shr(shr(x, -24), 24)
//   x / 8        shr(x, 3)                     x & -8           mul(shr(x, 3), 8)
//   ~x           add(mul(x, -1), -1)           x % 8, x & 7     add(x, mul(shr(x, 3), -8))
//
// `/` and `%` round towards minus infinity, and so does a shift: these are exact.
#include <stdlib.h>
#include <string.h>

#include "passes/inject_alu/internal.h"

// ---- refusals --------------------------------------------------------------------------------------------------

Diag *alu_refuse(Alu *s, DiagCode code, Loc at, const char *rule, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = arena_vprintf(s->p.cx->arena, fmt, ap);
  va_end(ap);
  Loc place = loc_known(at) ? at : s->n && loc_known(s->n->store->loc) ? s->n->store->loc : s->p.region->loc;
  s->failed = true;
  return nest_refuse(&s->p, code, place, "the ALU is asked for here", rule, text);
}

const char *alu_tile_rule(const Alu *s) {
  return arena_printf(s->p.cx->arena,
                      "the ALU computes whole tiles of vta.acc: axes [%lld, %lld] (vta.batch, vta.block_out), "
                      "whole and inside the nest",
                      (long long)s->p.vta->acc.rows, (long long)s->p.vta->acc.cols);
}

static const char op_rule[] = "the ALU has min, max, add, multiply and shift on int32; subtraction, negation, abs, "
                              "clamp, division by 2^k, masks of "
                              "low bits and choices by comparisons of int32 are made of them";

// An operation that the ALU lacks.
const Node *alu_lacks(Alu *s, const Expr *e, const char *what, const char *help) {
  Diag *g = alu_refuse(s, E_ALU_OP, e->loc, op_rule, "`%s` computes %s, which the ALU lacks",
                       buffer_stage(s->n->store->buffer), what);
  diag_here(g, "`%s`", expr_text(s->p.cx, e));
  if (help) diag_help(g, "%s", help);
  if (dtype_is_float(e->type) || (e->kind == EXPR_CAST && dtype_is_float(e->a->type)))
    diag_help(g, "scale with integers: `x * 0.7071` is close to `x * 181 >> 8`, while the product fits 32 bits"),
        help = "";
  diag_help(g, "%sleave this stage to the CPU: without `.alu()` and `.set_scope(vta.acc)`", help ? "or " : "");
  return NULL;
}

// ---- nodes -----------------------------------------------------------------------------------------------------

static VtaAluOp alu_of(VtaOp op) { return (VtaAluOp)vta_row(op)->alu; }

// Whether x op y is y op x.
bool op_commutes(VtaOp op) {
  switch (alu_of(op)) {
  case ALU_MIN:
  case ALU_MAX:
  case ALU_ADD:
  case ALU_MUL: return true;
  case ALU_SHR: break;
  }
  return false;
}

int32_t op_value(VtaOp op, int32_t x, int32_t y) { return vta_alu_value(alu_of(op), x, y); }

bool node_is_const(const Node *n, int64_t *v) {
  *v = n->value;
  return n->kind == NODE_CONST;
}

static bool node_same(const Node *x, const Node *y) {
  if (x == y) return true;
  if (x->kind != y->kind) return false;
  switch (x->kind) {
  case NODE_CONST: return x->value == y->value;
  case NODE_LOAD: return x->from.buffer == y->from.buffer && affine_equal(&x->from.tile, &y->from.tile);
  case NODE_OP: return x->op == y->op && x->a == y->a && x->b == y->b;
  }
  return false;
}

// The node equal to `like` if a recent one is, else a copy of it.
static const Node *node_intern(Alu *s, const Node *like) {
  size_t look = s->nodes.len < 128 ? s->nodes.len : 128;
  for (size_t i = 0; i < look; i++) {
    const Node *n = s->nodes.data[s->nodes.len - 1 - i];
    if (node_same(n, like)) return n;
  }
  Node *n = arena_copy(s->p.cx->arena, like, sizeof *like);
  n->id = (int)s->nodes.len;
  VEC_PUSH(s->p.cx->arena, s->nodes, n);
  return n;
}

const Node *node_const(Alu *s, int64_t v, Loc loc) {
  Node n = {.kind = NODE_CONST, .value = (int32_t)(uint32_t)(uint64_t)v, .loc = loc, .size = 1};
  n.lo = n.hi = n.value;
  return node_intern(s, &n);
}

// ---- bounds ----------------------------------------------------------------------------------------------------

static void bounds_clip(Node *n) {
  if (n->lo >= INT32_MIN && n->hi <= INT32_MAX) return;
  n->lo = INT32_MIN; // it may wrap
  n->hi = INT32_MAX;
}

static void bounds_shift(Node *n) {
  const Node *a = n->a, *b = n->b;
  n->lo = INT32_MIN, n->hi = INT32_MAX;
  if (b->lo >= 0 && b->hi <= 31) { // moves towards 0
    n->lo = a->lo < 0 ? a->lo >> b->lo : a->lo >> b->hi;
    n->hi = a->hi < 0 ? a->hi >> b->hi : a->hi >> b->lo;
  } else if (b->hi <= 0 && b->lo >= -31) {
    n->lo = a->lo < 0 ? a->lo * (INT64_C(1) << -b->lo) : a->lo;
    n->hi = a->hi > 0 ? a->hi * (INT64_C(1) << -b->lo) : a->hi;
  }
}

static int64_t least(const int64_t v[4]) {
  int64_t m = v[0];
  for (int i = 1; i < 4; i++) m = v[i] < m ? v[i] : m;
  return m;
}

static int64_t most(const int64_t v[4]) {
  int64_t m = v[0];
  for (int i = 1; i < 4; i++) m = v[i] > m ? v[i] : m;
  return m;
}

static void node_bounds(Node *n) {
  const Node *a = n->a, *b = n->b;
  int64_t products[4] = {a->lo * b->lo, a->lo * b->hi, a->hi * b->lo, a->hi * b->hi};
  switch (alu_of(n->op)) {
  case ALU_MIN:
    n->lo = a->lo < b->lo ? a->lo : b->lo;
    n->hi = a->hi < b->hi ? a->hi : b->hi;
    break;
  case ALU_MAX:
    n->lo = a->lo > b->lo ? a->lo : b->lo;
    n->hi = a->hi > b->hi ? a->hi : b->hi;
    break;
  case ALU_ADD:
    n->lo = a->lo + b->lo;
    n->hi = a->hi + b->hi;
    break;
  case ALU_MUL:
    n->lo = least(products);
    n->hi = most(products);
    break;
  case ALU_SHR: bounds_shift(n); break;
  }
  bounds_clip(n);
}

// ---- operations, folded ----------------------------------------------------------------------------------------

// How many temporaries computing n takes: Sethi and Ullman's number, less the place of the result.
static int node_need(const Node *n) {
  int a = n->a->need, b = n->b->need;
  if (n->b->kind != NODE_OP) return a;
  if (n->a->kind != NODE_OP) return op_commutes(n->op) ? b : (b + 1 > a ? b + 1 : a);
  if (op_commutes(n->op) && b > a) return b > a + 1 ? b : a + 1;
  return a > b + 1 ? a : b + 1;
}

static const Node *op_new(Alu *s, VtaOp op, const Node *a, const Node *b, Loc loc) {
  Node n = {.kind = NODE_OP, .op = op, .a = a, .b = b, .loc = loc, .mask = a->mask | b->mask};
  n.reads_dst = a->reads_dst || b->reads_dst;
  n.size = a->size + b->size + 1 < 100000 ? a->size + b->size + 1 : 100000;
  n.need = node_need(&n);
  node_bounds(&n);
  if (n.lo == n.hi) return node_const(s, n.lo, loc);
  return node_intern(s, &n);
}

// x op c1 op c2 as one: NULL if they do not merge.
static const Node *merge_const(Alu *s, VtaOp op, const Node *a, int32_t c, Loc loc) {
  int64_t d;
  if (a->kind != NODE_OP || a->op != op || !node_is_const(a->b, &d)) return NULL;
  if (op != VTA_SHR) return node_op(s, op, a->a, node_const(s, op_value(op, (int32_t)d, c), loc), loc);
  if ((d > 0) != (c > 0)) return NULL; // left and right: each loses its own bits
  int64_t sum = d + c;
  if (sum < -31) return node_const(s, 0, loc);
  return node_op(s, op, a->a, node_const(s, sum > 31 ? 31 : sum, loc), loc);
}

static bool fits16(int64_t v) { return v >= INT16_MIN && v <= INT16_MAX; }

// n as op(x, c) for a constant c; NULL, x, if it is not.
static const Node *op_const(const Node *n, VtaOp op, int64_t *c) {
  return n->kind == NODE_OP && n->op == op && node_is_const(n->b, c) ? n->a : NULL;
}

// a op c where a has another operation outside of one that c could merge with: in a different order they do. Each of
// these is exact, with integers that wrap. NULL if nothing merges.
static const Node *merge_through(Alu *s, VtaOp op, const Node *a, int32_t c, Loc loc) {
  int64_t outer, inner;
  const Node *mid, *x;
  if (op == VTA_ADD && (mid = op_const(a, VTA_MUL, &outer)) && (x = op_const(mid, VTA_ADD, &inner)) &&
      fits16(inner * outer + c)) // (x + i) * o + c = x * o + (i * o + c)
    return node_op(s, VTA_ADD, node_op(s, VTA_MUL, x, a->b, loc), node_const(s, inner * outer + c, loc), loc);
  if (op == VTA_MUL && (mid = op_const(a, VTA_ADD, &outer)) && (x = op_const(mid, VTA_MUL, &inner)) &&
      fits16(outer * c)) // (x * i + o) * c = x * (i * c) + o * c
    return node_op(s, VTA_ADD, node_op(s, VTA_MUL, mid, node_const(s, c, loc), loc), node_const(s, outer * c, loc),
                   loc);
  if (op == VTA_SHR && c > 0 && (a->kind == NODE_OP && (a->op == VTA_MIN || a->op == VTA_MAX)) &&
      (mid = op_const(a, a->op, &outer)) && op_const(mid, VTA_SHR, &inner) && inner > 0)
    return node_op(s, a->op, node_op(s, VTA_SHR, mid, node_const(s, c, loc), loc), node_const(s, outer >> c, loc), loc);
  if ((op == VTA_MIN || op == VTA_MAX) && (mid = op_const(a, VTA_SHR, &outer)) && outer > 0 &&
      (x = op_const(mid, op, &inner))) {
    // a shift to the right keeps order: max(max(x, i) >> o, c) = max(x >> o, max(i >> o, c))
    int32_t bound = op_value(op, (int32_t)(inner >> outer), c);
    return node_op(s, op, node_op(s, VTA_SHR, x, a->b, loc), node_const(s, bound, loc), loc);
  }
  if ((op == VTA_MIN || op == VTA_MAX) && (mid = op_const(a, VTA_ADD, &outer)) && (x = op_const(mid, op, &inner)) &&
      (op == VTA_MAX ? outer >= 0 && inner + outer <= c : outer <= 0 && inner + outer >= c)) // max(max(x, 1) + 2, 9)
    return node_op(s, op, node_op(s, VTA_ADD, x, a->b, loc), node_const(s, c, loc), loc);
  return NULL;
}

// How often x stands in a sum's operand: n = x * factor.
static const Node *multiple(const Node *n, int64_t *factor) {
  const Node *x = op_const(n, VTA_MUL, factor);
  if (!x) *factor = 1;
  return x ? x : n;
}

// x * i + x * k as one product; NULL if the operands are no multiples of one value.
static const Node *merge_multiples(Alu *s, const Node *a, const Node *b, Loc loc) {
  int64_t i, k;
  const Node *x = multiple(a, &i);
  if (x != multiple(b, &k) || x->kind == NODE_CONST) return NULL;
  return node_op(s, VTA_MUL, x, node_const(s, i + k, loc), loc);
}

// Operations that do nothing, or have a known result; NULL if it is none.
static const Node *fold_known(Alu *s, VtaOp op, const Node *a, const Node *b) {
  bool zero = b->kind == NODE_CONST && b->value == 0, one = b->kind == NODE_CONST && b->value == 1;
  if ((op == VTA_ADD || op == VTA_SHR) && zero) return a;
  if (op == VTA_MUL && (zero || one)) return zero ? b : a;
  if (op == VTA_SHR && a->kind == NODE_CONST && a->value == 0) return a;
  if (op == VTA_MIN || op == VTA_MAX) {
    const Node *low = op == VTA_MIN ? a : b, *high = op == VTA_MIN ? b : a;
    if (a == b) return a;
    for (int swap = 0; swap < 2; swap++) { // max(min(x, y), x) is x
      const Node *x = swap ? b : a, *n = swap ? a : b;
      bool other = n->kind == NODE_OP && n->op == (op == VTA_MIN ? VTA_MAX : VTA_MIN);
      if (other && (n->a == x || n->b == x)) return x;
    }
    if (low->hi <= high->lo) return a; // min(a, b) with a below b; max(a, b) with b below a
    if (high->hi <= low->lo) return b;
  }
  (void)s;
  return NULL;
}

const Node *node_op(Alu *s, VtaOp op, const Node *a, const Node *b, Loc loc) {
  int64_t x, y;
  if (node_is_const(a, &x) && node_is_const(b, &y)) return node_const(s, op_value(op, (int32_t)x, (int32_t)y), loc);
  if (op_commutes(op) && a->kind == NODE_CONST) {
    const Node *t = a;
    a = b;
    b = t;
  }
  const Node *known = fold_known(s, op, a, b);
  if (known) return known;
  if (node_is_const(b, &y)) {
    // A shift to the left is a product, which merges with others; emission makes it a shift again.
    if (op == VTA_SHR && y < 0 && y > -32) return node_op(s, VTA_MUL, a, node_const(s, INT64_C(1) << -y, loc), loc);
    known = merge_const(s, op, a, (int32_t)y, loc);
    if (!known) known = merge_through(s, op, a, (int32_t)y, loc);
    return known ? known : op_new(s, op, a, b, loc);
  }
  known = op == VTA_ADD ? merge_multiples(s, a, b, loc) : NULL;
  if (known) return known;
  // Constants of sums and products to the outside, chains to the left: both save temporaries.
  if (op_commutes(op) && b->kind == NODE_OP && b->op == op && b->size < 64)
    return node_op(s, op, node_op(s, op, a, b->a, loc), b->b, b->loc);
  if (op_commutes(op) && a->kind == NODE_OP && a->op == op && a->b->kind == NODE_CONST)
    return node_op(s, op, node_op(s, op, a->a, b, loc), a->b, a->loc);
  return op_new(s, op, a, b, loc);
}

const Node *node_within(const Node *n, int64_t lo, int64_t hi) {
  Node *known = (Node *)n; // of this value, however it is computed
  if (n->kind != NODE_OP) return n;
  if (known->lo < lo) known->lo = lo;
  if (known->hi > hi) known->hi = hi;
  return n;
}

// -n, without an instruction of its own where a constant can take the sign.
const Node *node_neg(Alu *s, const Node *n, Loc loc) {
  if (n->kind == NODE_OP && n->op == VTA_ADD && n->b->kind == NODE_CONST)
    return node_op(s, VTA_ADD, node_neg(s, n->a, loc), node_neg(s, n->b, loc), loc);
  return node_op(s, VTA_MUL, n, node_const(s, -1, loc), loc);
}

// ~n = -n - 1
static const Node *node_not(Alu *s, const Node *n, Loc loc) {
  return node_op(s, VTA_ADD, node_neg(s, n, loc), node_const(s, -1, loc), loc);
}

// x without its low k bits, k in 0..31.
static const Node *node_high_bits(Alu *s, const Node *x, int k, Loc loc) {
  x = node_op(s, VTA_SHR, x, node_const(s, k, loc), loc);
  return node_op(s, VTA_SHR, x, node_const(s, -k, loc), loc);
}

// The low k bits of x, as a number that is not negative.
static const Node *node_low_bits(Alu *s, const Node *x, int k, Loc loc) {
  const Node *n = node_op(s, VTA_ADD, x, node_neg(s, node_high_bits(s, x, k, loc), loc), loc);
  return node_within(n, 0, (INT64_C(1) << k) - 1);
}

// max(x, -x): the negation keeps x whole, so that x is computed once.
const Node *node_abs(Alu *s, const Node *x, Loc loc) {
  return node_op(s, VTA_MAX, x, node_op(s, VTA_MUL, x, node_const(s, -1, loc), loc), loc);
}

// ---- expressions -----------------------------------------------------------------------------------------------

// What to write instead of a type that the ALU does not compute in.
static void help_type(Diag *g, const Expr *e) {
  diag_help(g, dtype_bits(e->type) > 32 ? "compute in int32, where the values fit, or leave this stage to the CPU"
                                        : "widen the operands with `int32(...)`, or leave this stage to the CPU");
}

static const char position_help[] = "make it an input: a table of the positions' values";

const Node *alu_bad_type(Alu *s, const Expr *e) {
  if (!alu_reads(e) && e->kind != EXPR_INT) return alu_lacks(s, e, "with the position in the loop", position_help);
  Diag *g = alu_refuse(s, E_ALU_TYPE, e->loc, ALU_TYPE_RULE, "`%s` computes in %s, but the ALU computes in int32",
                       buffer_stage(s->n->store->buffer), dtype_name(e->type));
  diag_here(g, "`%s` is %s", expr_text(s->p.cx, e), dtype_name(e->type));
  help_type(g, e);
  return NULL;
}

// A shift: by a constant, or by a register whose bounds are known to fit.
static const Node *match_shift(Alu *s, const Expr *e, int depth) {
  const Node *a = alu_match(s, e->a, depth), *b = alu_match(s, e->b, depth);
  if (!a || !b) return NULL;
  int64_t k;
  bool left = e->binop == OP_SHL;
  if (node_is_const(b, &k)) return node_op(s, VTA_SHR, a, node_const(s, left ? -(k & 31) : k & 31, e->b->loc), e->loc);
  if (b->lo >= 0 && b->hi <= 31) return node_op(s, VTA_SHR, a, left ? node_neg(s, b, e->loc) : b, e->loc);
  const char *amount = expr_text(s->p.cx, e->b);
  Diag *g =
      alu_refuse(s, E_ALU_SHIFT, e->b->loc,
                 "the ALU shifts left when the amount is negative: an amount has to be known to be in 0..31",
                 "`%s` shifts by `%s`, which is not known to be in 0..31", buffer_stage(s->n->store->buffer), amount);
  diag_here(g, "between %lld and %lld", (long long)b->lo, (long long)b->hi);
  diag_help(g, "bound it: `clamp(%s, 0, 31)`", amount);
  return NULL;
}

// What is close to a division by a constant; NULL: nothing is known.
static const char *nearly(Alu *s, const Expr *e) {
  int64_t c;
  if (e->binop != OP_DIV || !expr_is_int(e->b, &c) || c < 3 || c > 4096) return NULL;
  long long factor = (65536 + c / 2) / c;
  return arena_printf(
      s->p.cx->arena,
      "multiply and shift: `%s * %lld >> 16` is close to it, while the product fits 32 bits (values below %lld)",
      expr_text(s->p.cx, e->a), factor, INT32_MAX / factor);
}

// Whether c is 2^k.
static bool is_power(int64_t c, int *k) {
  *k = c > 0 ? __builtin_ctzll((uint64_t)c) : 0;
  return c > 0 && !(c & (c - 1));
}

// Division and remainder by a power of two, which are shifts.
static const Node *match_division(Alu *s, const Expr *e, int depth) {
  bool div = e->binop == OP_DIV;
  int64_t c;
  int k;
  if (!expr_is_int(e->b, &c) || !is_power(c, &k))
    return alu_lacks(s, e, div ? "a division" : "a remainder", nearly(s, e));
  const Node *x = alu_match(s, e->a, depth);
  if (!x) return NULL;
  return div ? node_op(s, VTA_SHR, x, node_const(s, k, e->loc), e->loc) : node_low_bits(s, x, k, e->loc);
}

// Bitwise operations with constants that keep or clear the low bits, or turn all.
static const Node *match_bits(Alu *s, const Expr *e, int depth) {
  int64_t c;
  int k;
  const Expr *of = expr_is_int(e->b, &c) ? e->a : expr_is_int(e->a, &c) ? e->b : NULL;
  bool flips = of && e->binop == OP_XOR && c == -1,
       keeps = of && e->binop == OP_AND && is_power((c < 0 ? ~c : c) + 1, &k);
  if (!flips && !keeps)
    return alu_lacks(s, e, "a bitwise operation",
                     "masks of low bits, `x & 2^k - 1` and `x & -2^k`, and `~x` can run there");
  const Node *x = alu_match(s, of, depth);
  if (!x) return NULL;
  if (flips) return node_not(s, x, e->loc);
  return c < 0 ? node_high_bits(s, x, k, e->loc) : node_low_bits(s, x, k, e->loc);
}

static const Node *match_operation(Alu *s, VtaOp op, const Expr *e, int depth) {
  const Node *a = alu_match(s, e->a, depth), *b = alu_match(s, e->b, depth);
  return a && b ? node_op(s, op, a, b, e->loc) : NULL;
}

static const Node *match_difference(Alu *s, const Expr *e, int depth) {
  const Node *a = alu_match(s, e->a, depth), *b = alu_match(s, e->b, depth);
  return a && b ? node_op(s, VTA_ADD, a, node_neg(s, b, e->loc), e->loc) : NULL;
}

static const Node *match_binary(Alu *s, const Expr *e, int depth) {
  if (e->type != DT_I32) return alu_bad_type(s, e);
  switch (e->binop) {
  case OP_ADD: return match_operation(s, VTA_ADD, e, depth);
  case OP_SUB: return match_difference(s, e, depth);
  case OP_MUL: return match_operation(s, VTA_MUL, e, depth);
  case OP_MIN: return match_operation(s, VTA_MIN, e, depth);
  case OP_MAX: return match_operation(s, VTA_MAX, e, depth);
  case OP_DIV:
  case OP_MOD: return match_division(s, e, depth);
  case OP_SHL:
  case OP_SHR: return match_shift(s, e, depth);
  case OP_AND:
  case OP_OR:
  case OP_XOR: return match_bits(s, e, depth);
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
  return alu_lacks(s, e, "something", NULL);
}

static const Node *match_cast(Alu *s, const Expr *e, int depth) {
  const Expr *in = e->a;
  if (in->type == DT_BOOL && e->type == DT_I32) return alu_match_bool(s, in, depth);
  if (e->type == DT_I32 && in->type == DT_I32) return alu_match(s, in, depth);
  // int32(int8(x)): the low bits, with their sign
  if (e->type == DT_I32 && in->kind == EXPR_CAST && in->a->type == DT_I32 &&
      (in->type == DT_I8 || in->type == DT_I16)) {
    const Node *x = alu_match(s, in->a, depth);
    int shift = 32 - dtype_bits(in->type);
    if (!x) return NULL;
    if (x->lo >= -(INT64_C(1) << (31 - shift)) && x->hi < INT64_C(1) << (31 - shift)) return x;
    x = node_op(s, VTA_SHR, x, node_const(s, -shift, e->loc), e->loc);
    return node_op(s, VTA_SHR, x, node_const(s, shift, e->loc), e->loc);
  }
  if (e->type == DT_I32 && in->kind == EXPR_CAST && in->a->type == DT_I32 &&
      (in->type == DT_U8 || in->type == DT_U16)) {
    const Node *x = alu_match(s, in->a, depth);
    return x ? node_low_bits(s, x, dtype_bits(in->type), e->loc) : NULL;
  }
  if (e->type == DT_I32 && in->kind == EXPR_LOAD) return alu_match(s, in, depth); // refused there, by its memory
  return alu_bad_type(s, e->type == DT_I32 ? in : e);
}

static const Node *match_unary(Alu *s, const Expr *e, int depth) {
  if (e->type != DT_I32) return alu_bad_type(s, e);
  const Node *a = alu_match(s, e->a, depth);
  if (!a) return NULL;
  return e->unop == UN_BITNOT ? node_not(s, a, e->loc) : node_neg(s, a, e->loc);
}

// x + y or x - y that stop at the ends of int32: y is cut to what fits beside x.
static const Expr *saturating_sum(Ctx *cx, const Expr *e) {
#define NUMBER(v) expr_int(cx, DT_I32, v)
  const Expr *x = e->args[0], *y = e->args[1];
  bool add = e->fn == FN_SAT_ADD;
  const Expr *above = expr_binary(cx, OP_MAX, x, NUMBER(add ? 0 : -1)),
             *below = expr_binary(cx, OP_MIN, x, NUMBER(add ? 0 : -1));
  const Expr *least =
      add ? expr_binary(cx, OP_SUB, NUMBER(INT32_MIN), below) : expr_binary(cx, OP_SUB, above, NUMBER(INT32_MAX));
  const Expr *most =
      add ? expr_binary(cx, OP_SUB, NUMBER(INT32_MAX), above) : expr_binary(cx, OP_SUB, below, NUMBER(INT32_MIN));
  y = expr_binary(cx, OP_MIN, expr_binary(cx, OP_MAX, y, least), most);
  return expr_binary(cx, add ? OP_ADD : OP_SUB, x, y);
}

// Where a shift would cut something off, an end of int32 is chosen.
static const Expr *saturating_shift(Ctx *cx, const Expr *x, int n) {
  const Expr *low = expr_binary(cx, OP_LT, x, NUMBER(INT32_MIN >> n)),
             *high = expr_binary(cx, OP_GT, x, NUMBER(INT32_MAX >> n));
  const Expr *fits = expr_select(cx, low, NUMBER(INT32_MIN), expr_binary(cx, OP_SHL, x, NUMBER(n)));
  return n ? expr_select(cx, high, NUMBER(INT32_MAX), fits) : x;
}

// A function as operations that the ALU has, with the same values for all int32; NULL: there are none.
static const Expr *function_as_operations(Ctx *cx, const Expr *e) {
  int64_t n;
  if (e->nargs != 2) return NULL;
  if (!expr_is_int(e->args[1], &n)) return e->fn == FN_SAT_ADD || e->fn == FN_SAT_SUB ? saturating_sum(cx, e) : NULL;
  const Expr *x = e->args[0];
  int64_t amount = n & 31;
  switch (e->fn) {
  case FN_ROUND_SHR: // with q = x >> (n - 1): q - (q >> 1)
    if (!amount) return x;
    return expr_binary(cx, OP_SUB, expr_binary(cx, OP_SHR, x, NUMBER(amount - 1)),
                       expr_binary(cx, OP_SHR, x, NUMBER(amount)));
  case FN_SAT_SUB:
    if (n == INT32_MIN) // what is negative then fits
      return expr_binary(cx, OP_ADD, expr_binary(cx, OP_MIN, x, NUMBER(-1)), NUMBER(n));
    n = -n;
    // fall through
  case FN_SAT_ADD:
    x = n > 0 ? expr_binary(cx, OP_MIN, x, NUMBER(INT32_MAX - n)) : expr_binary(cx, OP_MAX, x, NUMBER(INT32_MIN - n));
    return expr_binary(cx, OP_ADD, x, NUMBER(n));
  case FN_SAT_SHL: return saturating_shift(cx, x, (int)amount);
  case FN_ABS:
  case FN_QUOTIENT:
  case FN_REMAINDER:
  case FN_MULHI:
  case FN_POPCOUNT:
  case FN_CLZ:
  CASE_FLOAT_FUNCTION:
  case FN_COUNT: break;
  }
#undef NUMBER
  return NULL;
}

static const Node *match_math(Alu *s, const Expr *e, int depth) {
  if (e->fn != FN_ABS || e->type != DT_I32) {
    if (dtype_is_float(e->type)) return alu_lacks(s, e, "in floating point", NULL);
    const Expr *same = e->type == DT_I32 ? function_as_operations(s->p.cx, e) : NULL;
    if (same) return alu_match(s, same, depth);
    if (e->type == DT_I32) return alu_lacks(s, e, arena_printf(s->p.cx->arena, "with `%s`", math_name(e->fn)), NULL);
    return alu_bad_type(s, e);
  }
  const Node *a = alu_match(s, e->args[0], depth);
  return a ? node_abs(s, a, e->loc) : NULL;
}

static const Node *match_load(Alu *s, const Expr *e) {
  Node n = {.kind = NODE_LOAD, .loc = e->loc, .lo = INT32_MIN, .hi = INT32_MAX, .size = 1};
  return alu_match_load(s, e, &n) ? node_intern(s, &n) : NULL;
}

static const Node *match_new(Alu *s, const Expr *e, int depth) {
  switch (e->kind) {
  case EXPR_INT: return e->type == DT_I32 ? node_const(s, e->value.i, e->loc) : alu_bad_type(s, e);
  case EXPR_FLOAT: return alu_lacks(s, e, "in floating point", NULL);
  case EXPR_VAR: return alu_lacks(s, e, "with the position in the loop", position_help);
  case EXPR_CAST:
    if (dtype_is_float(e->a->type) || dtype_is_float(e->type)) return alu_lacks(s, e, "in floating point", NULL);
    if (e->a->kind == EXPR_VAR) return alu_match(s, e->a, depth + 1);
    return match_cast(s, e, depth + 1);
  case EXPR_UNARY:
    if (dtype_is_float(e->type)) return alu_lacks(s, e, "in floating point", NULL);
    return match_unary(s, e, depth + 1);
  case EXPR_BINARY:
    if (dtype_is_float(e->a->type)) return alu_lacks(s, e, "in floating point", NULL);
    return match_binary(s, e, depth + 1);
  case EXPR_SELECT:
    if (e->type != DT_I32)
      return dtype_is_float(e->type) ? alu_lacks(s, e, "in floating point", NULL) : alu_bad_type(s, e);
    return alu_match_choice(s, e, depth + 1);
  case EXPR_LOAD: return match_load(s, e);
  case EXPR_MATH: return match_math(s, e, depth + 1);
  case EXPR_REF: return alu_lacks(s, e, "an address", NULL);
  }
  return NULL;
}

bool alu_too_deep(Alu *s, const Expr *e, int depth) {
  if (depth <= 4000) return false;
  Diag *g = alu_refuse(s, E_TOO_DEEP, e->loc, "an expression for the ALU nests at most 4000 deep",
                       "the expression of `%s` is nested too deeply", buffer_stage(s->n->store->buffer));
  diag_help(g, "name intermediate results: give them stages of their own, with `.set_scope(vta.acc)` and `.alu()`");
  return true;
}

// Shared subtrees are looked at once, so that a graph of shared trees does not cost its unfolded size.
const Node *alu_match(Alu *s, const Expr *e, int depth) {
  int64_t seen; // NULL is one, too: what was refused
  if (alu_too_deep(s, e, depth)) return NULL;
  if (ptrmap_get(&s->memo, e, &seen)) return (const Node *)(intptr_t)seen;
  const Node *n = match_new(s, e, depth);
  ptrmap_set(s->p.cx->arena, &s->memo, e, n);
  return n;
}

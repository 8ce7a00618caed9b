// SPDX-License-Identifier: Apache-2.0
// Random ALU nests: what the tile operations compute must be what the scalar nest computes, for every element.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"
#include "run.h"

enum { DIMS_MAX = 3, OPERANDS = 3 };

typedef struct Gen {
  Ctx *cx;
  const VtaTarget *vta;
  uint64_t seed;
  int ndims;
  int64_t extent[DIMS_MAX];
  bool reduced[DIMS_MAX];      // a loop that the destination does not have
  const Expr *point[DIMS_MAX]; // the value of each axis at a point of the nest
  const Expr *row, *col;       // lane indices
  const Buffer *dst, *src[OPERANDS];
  const Expr *load[OPERANDS];
  const Expr **dst_index;
  const Expr *shifted;        // the destination at another place; NULL mostly
  bool reads_dst, positional; // positional: with choices by the place in the loops
  bool may_refuse;            // a choice by place cannot always cut a nest whose order counts
  const Var *outer;           // a loop around the region; NULL mostly
  int64_t outer_extent;
} Gen;

static uint64_t rnd(Gen *g, uint64_t n) {
  g->seed ^= g->seed << 13;
  g->seed ^= g->seed >> 7;
  g->seed ^= g->seed << 17;
  return (g->seed >> 11) % n;
}

static const Expr *add(Gen *g, const Expr *a, int64_t k) { return expr_binary(g->cx, OP_ADD, a, expr_index(g->cx, k)); }

// A buffer over some of the axes, with room around them, and its access at the point.
static const Buffer *make_buffer(Gen *g, const char *name, bool is_dst, const Expr **idx) {
  int64_t shape[DIMS_MAX + 2];
  int n = 0;
  for (int d = 0; d < g->ndims; d++) {
    if (is_dst ? g->reduced[d] : rnd(g, 4) == 0) continue;
    int64_t off = rnd(g, 3) == 0 ? 1 : 0, stride = rnd(g, 5) == 0 ? 2 : 1;
    shape[n] = (g->extent[d] - 1) * stride + 1 + off + (is_dst ? 1 : 0);
    idx[n++] = add(g, expr_binary(g->cx, OP_MUL, g->point[d], expr_index(g->cx, stride)), off);
  }
  shape[n] = g->vta->acc.rows;
  idx[n++] = g->row;
  shape[n] = g->vta->acc.cols;
  idx[n++] = g->col;
  return tir_buffer(g->cx, name_of(g->cx->names, name), DT_I32, &g->vta->acc, BUF_LOCAL, n, shape, (Loc){0});
}

static const Expr *constant(Gen *g) {
  static const int32_t interesting[] = {0,     1,      -1,      2,          7,         127,       -128,
                                        255,   32767,  -32768,  32768,      40000,     -40000,    65535,
                                        65536, 100000, 1 << 20, -(1 << 24), INT32_MAX, INT32_MIN, 0x12345678};
  size_t n = sizeof interesting / sizeof *interesting;
  return expr_int(g->cx, DT_I32, rnd(g, 3) ? interesting[rnd(g, n)] : (int32_t)rnd(g, 20) - 10);
}

static const Expr *leaf(Gen *g) {
  if (g->shifted && rnd(g, 3) == 0) return g->shifted;
  if (g->reads_dst && rnd(g, 4) == 0) return expr_load(g->cx, g->dst, g->dst_index);
  if (rnd(g, 4) == 0) return constant(g);
  return g->load[rnd(g, OPERANDS)];
}

static const Expr *expression(Gen *g, int depth);

// A minimum, maximum or absolute value in disguise.
static const Expr *choice(Gen *g, int depth) {
  const Expr *x = expression(g, depth), *y = rnd(g, 2) ? constant(g) : expression(g, depth), *zero;
  static const BinOp compare[] = {OP_LT, OP_LE, OP_GT, OP_GE};
  BinOp op = compare[rnd(g, 4)];
  if (rnd(g, 3) == 0) {
    zero = expr_int(g->cx, DT_I32, 0);
    const Expr *minus = expr_unary(g->cx, UN_NEG, x);
    return expr_select(g->cx, expr_binary(g->cx, op, x, zero), rnd(g, 2) ? x : minus, x == minus ? x : minus);
  }
  const Expr *cond = expr_binary(g->cx, op, x, y);
  if (rnd(g, 4) == 0) cond = expr_unary(g->cx, UN_NOT, cond);
  return rnd(g, 2) ? expr_select(g->cx, cond, x, y) : expr_select(g->cx, cond, y, x);
}

static const Expr *clamped(Gen *g, const Expr *e, int64_t lo, int64_t hi) {
  e = expr_binary(g->cx, OP_MIN, e, expr_int(g->cx, DT_I32, hi));
  return expr_binary(g->cx, OP_MAX, e, expr_int(g->cx, DT_I32, lo));
}

// A choice by the place in the loops over tiles, as in padding.
static const Expr *choice_by_place(Gen *g, int depth) {
  static const BinOp compare[] = {OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE};
  const Expr *at = g->point[rnd(g, (uint64_t)g->ndims)], *more = g->point[rnd(g, (uint64_t)g->ndims)];
  if (rnd(g, 3) == 0) at = expr_binary(g->cx, OP_ADD, expr_binary(g->cx, OP_MUL, at, expr_index(g->cx, 2)), more);
  if (g->outer && rnd(g, 3)) { // the place in all tiles of an axis, or the tile's own number
    const Expr *o = expr_binary(g->cx, OP_MUL, expr_var(g->cx, g->outer), expr_index(g->cx, 1 + (int64_t)rnd(g, 4)));
    at = rnd(g, 4) ? expr_binary(g->cx, OP_ADD, o, at) : o;
  }
  if (rnd(g, 4) == 0)
    at = expr_binary(g->cx, rnd(g, 3) ? OP_MOD : OP_DIV, at, expr_index(g->cx, 2 + (int64_t)rnd(g, 2)));
  const Expr *cond = expr_binary(g->cx, compare[rnd(g, 6)], at, expr_index(g->cx, (int64_t)rnd(g, 5)));
  const Expr *other = expr_binary(g->cx, compare[rnd(g, 6)], more, expr_index(g->cx, (int64_t)rnd(g, 4)));
  if (rnd(g, 2)) cond = expr_binary(g->cx, rnd(g, 2) ? OP_LAND : OP_LOR, cond, other);
  return expr_select(g->cx, cond, expression(g, depth), rnd(g, 2) ? constant(g) : expression(g, depth));
}

static const Expr *place_cond(Gen *g) {
  static const BinOp compare[] = {OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE};
  const Expr *at = g->point[rnd(g, (uint64_t)g->ndims)];
  return expr_binary(g->cx, compare[rnd(g, 6)], at, expr_index(g->cx, (int64_t)rnd(g, 4)));
}

// Any condition on data, and on places too if the nest has such.
static const Expr *condition(Gen *g, int depth) {
  static const BinOp compare[] = {OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE};
  Ctx *cx = g->cx;
  if (depth > 0 && g->positional && rnd(g, 6) == 0) return place_cond(g);
  switch (rnd(g, depth > 0 ? 9 : 3)) {
  case 0: return expr_binary(cx, compare[rnd(g, 6)], expression(g, depth - 1), constant(g));
  case 1: return expr_binary(cx, compare[rnd(g, 6)], constant(g), expression(g, depth - 1));
  case 2: return expr_binary(cx, compare[rnd(g, 6)], expression(g, depth - 1), expression(g, depth - 1));
  case 3: return expr_binary(cx, rnd(g, 4) ? OP_LAND : OP_AND, condition(g, depth - 1), condition(g, depth - 1));
  case 4: return expr_binary(cx, rnd(g, 4) ? OP_LOR : OP_OR, condition(g, depth - 1), condition(g, depth - 1));
  case 5: return expr_unary(cx, UN_NOT, condition(g, depth - 1));
  case 6: return expr_select(cx, condition(g, depth - 1), condition(g, depth - 1), condition(g, depth - 1));
  case 7:
    return expr_binary(cx, rnd(g, 4) ? compare[rnd(g, 6)] : OP_XOR, condition(g, depth - 1), condition(g, depth - 1));
  default: return expr_cast(cx, DT_BOOL, expression(g, depth - 1));
  }
}

// A choice by data, or a condition as a number.
static const Expr *choice_by_data(Gen *g, int depth) {
  const Expr *cond = condition(g, depth > 2 ? 2 : depth);
  if (rnd(g, 5) == 0) return expr_cast(g->cx, DT_I32, cond);
  return expr_select(g->cx, cond, expression(g, depth), rnd(g, 2) ? constant(g) : expression(g, depth));
}

// What is a shift or a mask of low bits: division by a power of two, and bitwise operations with some constants.
static const Expr *low_bits(Gen *g, const Expr *e) {
  const Expr *power = expr_int(g->cx, DT_I32, (int64_t)1 << rnd(g, 31));
  int64_t low = ((int64_t)1 << rnd(g, 32)) - 1;
  switch (rnd(g, 5)) {
  case 0: return expr_binary(g->cx, OP_DIV, e, power);
  case 1: return expr_binary(g->cx, OP_MOD, e, power);
  case 2: return expr_unary(g->cx, UN_BITNOT, e);
  case 3: return expr_cast(g->cx, DT_I32, expr_cast(g->cx, rnd(g, 2) ? DT_U8 : DT_U16, e));
  default: {
    const Expr *mask = expr_int(g->cx, DT_I32, rnd(g, 2) ? low : ~low);
    return rnd(g, 2) ? expr_binary(g->cx, OP_AND, e, mask) : expr_binary(g->cx, OP_AND, mask, e);
  }
  }
}

static const Expr *expression(Gen *g, int depth) {
  static const BinOp ops[] = {OP_ADD, OP_ADD, OP_SUB, OP_SUB, OP_MUL, OP_MIN, OP_MAX};
  if (depth <= 0) return leaf(g);
  if (g->positional && rnd(g, 6) == 0) return choice_by_place(g, depth - 1);
  switch (rnd(g, 16)) {
  case 0: return leaf(g);
  case 15: {
    static const MathFn fns[] = {FN_ROUND_SHR, FN_SAT_ADD, FN_SAT_SUB};
    static const int64_t ends[] = {INT32_MIN, INT32_MIN + 1, INT32_MAX, -1, 0, 31};
    int64_t n = rnd(g, 3) ? (int64_t)rnd(g, 40) : ends[rnd(g, 6)];
    return expr_math(g->cx, fns[rnd(g, 3)], expression(g, depth - 2), expr_int(g->cx, DT_I32, n));
  }
  case 9:
  case 10: return choice_by_data(g, depth - 2);
  case 8: return low_bits(g, expression(g, depth - 1));
  case 1: return expr_unary(g->cx, UN_NEG, expression(g, depth - 1));
  case 2: return expr_math(g->cx, FN_ABS, expression(g, depth - 1), NULL);
  case 3: return choice(g, depth - 2);
  case 4: { // a shift by a constant, within the width or not
    const Expr *amount = expr_int(g->cx, DT_I32, (int64_t)rnd(g, 40));
    return expr_binary(g->cx, rnd(g, 2) ? OP_SHL : OP_SHR, expression(g, depth - 1), amount);
  }
  case 5: {
    const Expr *amount = clamped(g, expression(g, depth - 2), 0, (int64_t)rnd(g, 32));
    return expr_binary(g->cx, rnd(g, 2) ? OP_SHL : OP_SHR, expression(g, depth - 1), amount);
  }
  case 6: return clamped(g, expression(g, depth - 1), -128, 127);
  case 7: {
    const Expr *e = expr_cast(g->cx, rnd(g, 2) ? DT_I8 : DT_I16, expression(g, depth - 1));
    return expr_cast(g->cx, DT_I32, e);
  }
  default: return expr_binary(g->cx, ops[rnd(g, 7)], expression(g, depth - 1), expression(g, depth - 1));
  }
}

typedef struct Loop {
  const Var *var;
  int64_t extent, min;
} Loop;

static const Var *fresh(Gen *g, const char *name) { return tir_var(g->cx, name_of(g->cx->names, name), (Loc){0}); }

// Loops for one axis: one, or split in two; from a start that is not 0, now and then.
static const Expr *axis_loops(Gen *g, const char *name, int64_t extent, Loop *loops, int *n) {
  if (extent % 2 == 0 && rnd(g, 4) == 0) {
    int64_t inner = extent % 4 == 0 && rnd(g, 2) ? 4 : 2;
    Loop o = {fresh(g, name), extent / inner, 0}, i = {fresh(g, name), inner, 0};
    loops[(*n)++] = o;
    loops[(*n)++] = i;
    const Expr *outer = expr_binary(g->cx, OP_MUL, expr_var(g->cx, o.var), expr_index(g->cx, inner));
    return expr_binary(g->cx, OP_ADD, outer, expr_var(g->cx, i.var));
  }
  int64_t min = rnd(g, 8) == 0 ? 3 : 0;
  Loop l = {fresh(g, name), extent, min};
  loops[(*n)++] = l;
  return add(g, expr_var(g->cx, l.var), -min);
}

// Loops for two axes fused into one.
static void fused_loops(Gen *g, const Expr **a, int64_t na, const Expr **b, int64_t nb, Loop *loops, int *n) {
  const Expr *f = axis_loops(g, "f", na * nb, loops, n);
  *a = expr_binary(g->cx, OP_DIV, f, expr_index(g->cx, nb));
  *b = expr_binary(g->cx, OP_MOD, f, expr_index(g->cx, nb));
}

static int make_loops(Gen *g, Loop *loops) {
  int n = 0;
  bool fuse_lanes = rnd(g, 6) == 0, fuse_row = !fuse_lanes && rnd(g, 6) == 0 && g->ndims;
  for (int d = 0; d < g->ndims - (fuse_row ? 1 : 0); d++) g->point[d] = axis_loops(g, "x", g->extent[d], loops, &n);
  if (fuse_lanes) {
    fused_loops(g, &g->row, g->vta->acc.rows, &g->col, g->vta->acc.cols, loops, &n);
  } else if (fuse_row) {
    g->row = axis_loops(g, "b", g->vta->acc.rows, loops, &n);
    fused_loops(g, &g->point[g->ndims - 1], g->extent[g->ndims - 1], &g->col, g->vta->acc.cols, loops, &n);
  } else {
    g->row = axis_loops(g, "b", g->vta->acc.rows, loops, &n);
    g->col = axis_loops(g, "j", g->vta->acc.cols, loops, &n);
  }
  if (rnd(g, 6) == 0) // lanes from the last on, in all accesses alike
    g->col = expr_binary(g->cx, OP_SUB, expr_index(g->cx, g->vta->acc.cols - 1), g->col);
  return n;
}

// A nest of a random shape around dst = a random expression. Without reads of the destination at other places its
// loops may stand in any order.
static const Stmt *make_nest(Gen *g) {
  Loop loops[2 * DIMS_MAX + 6];
  const Expr *idx[DIMS_MAX + 2], *dst_idx[DIMS_MAX + 2];
  int reduced = 0;
  g->ndims = (int)rnd(g, DIMS_MAX + 1);
  for (int d = 0; d < g->ndims; d++) {
    g->extent[d] = 1 + (int64_t)rnd(g, 4);
    g->reduced[d] = rnd(g, 5) == 0;
    reduced += g->reduced[d] && g->extent[d] > 1;
  }
  g->reads_dst = reduced || rnd(g, 4) == 0;
  int n = make_loops(g, loops);
  for (int i = 0; i < OPERANDS; i++) {
    g->src[i] = make_buffer(g, "s", false, idx);
    g->load[i] = expr_load(g->cx, g->src[i], idx);
  }
  g->dst = make_buffer(g, "d", true, dst_idx);
  g->dst_index = dst_idx;
  g->shifted = NULL;
  if (g->dst->ndim > 2 && rnd(g, 4) == 0) { // one element further along the first axis, or before it
    memcpy(idx, dst_idx, sizeof idx);
    if (rnd(g, 2)) idx[0] = add(g, idx[0], 1);
    else dst_idx[0] = add(g, dst_idx[0], 1);
    g->shifted = expr_load(g->cx, g->dst, idx);
  }
  g->positional = g->ndims && rnd(g, 3) == 0;
  g->may_refuse = g->positional && (reduced || g->shifted);
  g->outer = g->positional && rnd(g, 2) ? fresh(g, "o") : NULL;
  g->outer_extent = 1 + (int64_t)rnd(g, 4);
  const Expr *value = expression(g, 1 + (int)rnd(g, 5));
  if (reduced && rnd(g, 2)) {
    static const BinOp ops[] = {OP_ADD, OP_MAX, OP_MIN, OP_MUL};
    value = expr_binary(g->cx, ops[rnd(g, 4)], expr_load(g->cx, g->dst, dst_idx), value);
  }
  const Stmt *s = stmt_store(g->cx, g->dst, dst_idx, value);
  for (int i = n; i-- > 1;) { // shuffle
    int k = (int)rnd(g, (uint64_t)i + 1);
    Loop t = loops[i];
    loops[i] = loops[k];
    loops[k] = t;
  }
  for (int i = 0; i < n; i++)
    s = stmt_for(g->cx, loops[i].var, expr_index(g->cx, loops[i].min), expr_index(g->cx, loops[i].extent), FOR_SERIAL,
                 s);
  return s;
}

static void show(Gen *g, const Stmt *before, const Stmt *after, const char *what) {
  Text t = {.arena = g->cx->arena};
  tir_print_stmt(before, 1, &t);
  text_add(&t, "---\n");
  if (after) tir_print_stmt(after, 1, &t);
  print_error("%s\n%s", what, t.data);
}

static Machine fill(Gen *g, uint64_t seed) {
  Machine m = {0};
  uint64_t keep = g->seed;
  g->seed = seed;
  for (int i = 0; i <= OPERANDS; i++) {
    const Buffer *b = i < OPERANDS ? g->src[i] : g->dst;
    int64_t n = buffer_elems(b);
    m.mem[m.nmem++] = (Memory){b, arena_array(g->cx->arena, (size_t)n, sizeof(int32_t)), n};
    for (int64_t k = 0; k < n; k++) {
      int32_t x = (int32_t)rnd(g, UINT64_C(1) << 32);
      static const int32_t extremes[] = {INT32_MIN, INT32_MAX, INT32_MIN + 1, INT32_MAX - 1, 0, -1, 1};
      m.mem[i].data[k] = rnd(g, 3) ? x >> rnd(g, 32) : rnd(g, 2) ? extremes[rnd(g, 7)] : x;
    }
  }
  g->seed = keep;
  return m;
}

static const Stmt *around(Gen *g, const Stmt *s) {
  if (!g->outer) return s;
  return stmt_for(g->cx, g->outer, expr_index(g->cx, 0), expr_index(g->cx, g->outer_extent), FOR_SERIAL, s);
}

// One case: false if it was refused.
static bool one_case(Gen *g) {
  PassCtx pc = {.cx = g->cx, .vta = g->vta};
  const Stmt *nest = make_nest(g);
  const Stmt *region = around(g, stmt_intrin(g->cx, vta_op(g->vta, VTA_ALU), 0, NULL, nest));
  nest = around(g, nest);
  Func f = {.name = "t", .body = region, .target = &g->vta->tir};
  Func *out = pass_inject_alu(&pc, &f);
  if (!out) {
    if (g->may_refuse) return true;
    show(g, nest, NULL, "refused:");
    diags_print(g->cx->diags, stderr, DIAG_TEXT, NULL);
    return false;
  }
  uint64_t seed = g->seed;
  Machine want = fill(g, seed), got = fill(g, seed);
  machine_run(&want, g->vta, g->cx->arena, nest);
  machine_run(&got, g->vta, g->cx->arena, out->body);
  if (want.fault || got.fault) {
    show(g, nest, out->body, want.fault ? want.fault : got.fault);
    return false;
  }
  for (int i = 0; i <= OPERANDS; i++) {
    if (!memcmp(want.mem[i].data, got.mem[i].data, (size_t)want.mem[i].elems * sizeof(int32_t))) continue;
    show(g, nest, out->body, i < OPERANDS ? "an operand was overwritten" : "a different result");
    return false;
  }
  return true;
}

static void run_cases(int log_batch, int log_block, uint64_t seed, int cases) {
  for (int i = 0; i < cases; i++) {
    Arena *a = arena_new();
    Ctx cx = {.arena = a, .names = names_new(a), .diags = diags_new(a)};
    VtaConfig c = vta_config_default();
    c.log_batch = log_batch;
    c.log_block_in = c.log_block_out = log_block;
    Gen g = {.cx = &cx, .vta = vta_target_new(&cx, &c), .seed = (seed + (uint64_t)i) * 0x9E3779B97F4A7C15u | 1};
    bool fine = one_case(&g);
    if (!fine) print_error("case %d of seed %llu\n", i, (unsigned long long)seed);
    arena_free(a);
    assert_true(fine);
  }
}

static int cases_of(int standard) {
  const char *more = getenv("TETC_ALU_CASES");
  if (more) return atoi(more);
  return getenv("TETC_LONG_TESTS") ? 5 * standard : standard; // 100000 in all
}

static void test_batch1(void **state) { (void)state, run_cases(0, 2, 1000, cases_of(8000)); }
static void test_batch2(void **state) { (void)state, run_cases(1, 2, 900000, cases_of(8000)); }
static void test_default(void **state) { (void)state, run_cases(0, 4, 5000000, cases_of(4000)); }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_batch1),
      cmocka_unit_test(test_batch2),
      cmocka_unit_test(test_default),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

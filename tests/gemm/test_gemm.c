// SPDX-License-Identifier: Apache-2.0
// Nests that are vta.gemm's, in random order, split, fused, with casts and operands as one likes: they must match
// and compute the same. What is refused: tests/golden/tensorize.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../alu/run.h"
#include "passes/passes.h"

typedef struct Loop {
  const Var *var;
  int64_t extent;
} Loop;

typedef struct Gen {
  Ctx *cx;
  const VtaTarget *vta;
  uint64_t seed;
  Loop loops[16];
  int nloops;
  const Buffer *acc, *inp, *wgt;
  const Expr *x, *k, *b, *j, *r; // tile row, reduced tile, lanes
} Gen;

static uint64_t rnd(Gen *g, uint64_t n) {
  g->seed ^= g->seed << 13;
  g->seed ^= g->seed >> 7;
  g->seed ^= g->seed << 17;
  return (g->seed >> 11) % n;
}

static const Expr *loop(Gen *g, const char *name, int64_t extent) {
  Loop l = {tir_var(g->cx, name_of(g->cx->names, name), (Loc){0}), extent};
  g->loops[g->nloops++] = l;
  return expr_var(g->cx, l.var);
}

// An axis as one loop, or split.
static const Expr *axis(Gen *g, const char *name, int64_t extent) {
  if (extent % 2 || rnd(g, 4)) return loop(g, name, extent);
  const Expr *o = loop(g, name, extent / 2), *i = loop(g, name, 2);
  return expr_binary(g->cx, OP_ADD, expr_binary(g->cx, OP_MUL, o, expr_index(g->cx, 2)), i);
}

static void fused(Gen *g, const Expr **a, int64_t na, const Expr **b, int64_t nb) {
  const Expr *f = axis(g, "f", na * nb);
  *a = expr_binary(g->cx, OP_DIV, f, expr_index(g->cx, nb));
  *b = expr_binary(g->cx, OP_MOD, f, expr_index(g->cx, nb));
}

enum { X = 3, K = 2 };

static void make_axes(Gen *g) {
  const VtaTarget *v = g->vta;
  g->nloops = 0;
  if (rnd(g, 5) == 0) {
    fused(g, &g->x, X, &g->j, v->acc.cols);
    g->b = axis(g, "b", v->acc.rows);
  } else if (rnd(g, 5) == 0) {
    fused(g, &g->b, v->acc.rows, &g->j, v->acc.cols);
    g->x = axis(g, "x", X);
  } else {
    g->x = axis(g, "x", X);
    g->b = axis(g, "b", v->acc.rows);
    g->j = axis(g, "j", v->acc.cols);
  }
  if (rnd(g, 5) == 0) {
    fused(g, &g->k, K, &g->r, v->inp.cols);
  } else {
    g->k = axis(g, "k", K);
    g->r = axis(g, "r", v->inp.cols);
  }
}

static void make_buffers(Gen *g) {
  const VtaTarget *v = g->vta;
  int64_t a[] = {X, v->acc.rows, v->acc.cols}, i[] = {X + 1, K, v->inp.rows, v->inp.cols};
  int64_t w[] = {K, v->wgt.rows, v->wgt.cols};
  g->acc = tir_buffer(g->cx, name_of(g->cx->names, "acc"), DT_I32, &v->acc, BUF_LOCAL, 3, a, (Loc){0});
  g->inp = tir_buffer(g->cx, name_of(g->cx->names, "inp"), DT_I8, &v->inp, BUF_LOCAL, 4, i, (Loc){0});
  g->wgt = tir_buffer(g->cx, name_of(g->cx->names, "wgt"), DT_I8, &v->wgt, BUF_LOCAL, 3, w, (Loc){0});
}

// The product in one of the types that hold it.
static const Expr *product(Gen *g, const Expr *a, const Expr *b) {
  static const DType types[] = {DT_I32, DT_I32, DT_I32, DT_I16, DT_I64};
  DType t = types[rnd(g, 5)];
  if (rnd(g, 5) == 0) a = expr_cast(g->cx, DT_I16, a);
  a = expr_cast(g->cx, t, a);
  b = expr_cast(g->cx, t, b);
  return expr_cast(g->cx, DT_I32, rnd(g, 2) ? expr_binary(g->cx, OP_MUL, a, b) : expr_binary(g->cx, OP_MUL, b, a));
}

static const Stmt *wrap(Gen *g, const Stmt *s) {
  for (int i = g->nloops; i-- > 1;) {
    int k = (int)rnd(g, (uint64_t)i + 1);
    Loop t = g->loops[i];
    g->loops[i] = g->loops[k];
    g->loops[k] = t;
  }
  for (int i = 0; i < g->nloops; i++)
    s = stmt_for(g->cx, g->loops[i].var, expr_index(g->cx, 0), expr_index(g->cx, g->loops[i].extent), FOR_SERIAL, s);
  return stmt_intrin(g->cx, vta_op(g->vta, VTA_TENSORIZE), 0, NULL, s);
}

// An axis from its end, in all indices of a tile alike; those over whole tiles in any of them.
static const Expr *maybe_backwards(Gen *g, const Expr *e, int64_t extent) {
  return rnd(g, 5) ? e : expr_binary(g->cx, OP_SUB, expr_index(g->cx, extent - 1), e);
}

static const Stmt *make_nest(Gen *g) {
  make_axes(g);
  const VtaTarget *v = g->vta;
  g->b = maybe_backwards(g, g->b, v->acc.rows);
  g->j = maybe_backwards(g, g->j, v->acc.cols);
  g->r = maybe_backwards(g, g->r, v->inp.cols);
  const Expr *row = expr_binary(g->cx, OP_ADD, maybe_backwards(g, g->x, X), expr_index(g->cx, 1));
  const Expr *a[] = {maybe_backwards(g, g->x, X), g->b, g->j}, *i[] = {row, maybe_backwards(g, g->k, K), g->b, g->r};
  const Expr *w[] = {g->k, g->j, g->r};
  const Expr *old = expr_load(g->cx, g->acc, a);
  const Expr *mul = product(g, expr_load(g->cx, g->inp, i), expr_load(g->cx, g->wgt, w));
  const Expr *sum = rnd(g, 2) ? expr_binary(g->cx, OP_ADD, old, mul) : expr_binary(g->cx, OP_ADD, mul, old);
  return wrap(g, stmt_store(g->cx, g->acc, a, sum));
}

static const Stmt *make_init(Gen *g) {
  make_axes(g);
  for (int i = 0; i < g->nloops; i++) // the reduction has no loops there
    if (expr_uses_var(g->k, g->loops[i].var) || expr_uses_var(g->r, g->loops[i].var))
      g->loops[i--] = g->loops[--g->nloops];
  const Expr *a[] = {g->x, g->b, g->j};
  return wrap(g, stmt_store(g->cx, g->acc, a, expr_int(g->cx, DT_I32, 0)));
}

static Machine fill(Gen *g, uint64_t seed) {
  Machine m = {0};
  const Buffer *all[] = {g->acc, g->inp, g->wgt};
  uint64_t keep = g->seed;
  g->seed = seed;
  for (int i = 0; i < 3; i++) {
    int64_t n = buffer_elems(all[i]);
    m.mem[m.nmem++] = (Memory){all[i], arena_array(g->cx->arena, (size_t)n, sizeof(int32_t)), n};
    for (int64_t k = 0; k < n; k++) m.mem[i].data[k] = i ? (int8_t)rnd(g, 256) : (int32_t)rnd(g, 1 << 20);
  }
  g->seed = keep;
  return m;
}

static Gen gen_new(Arena *a, int log_batch, int log_block, uint64_t seed) {
  Ctx *cx = NEW(a, Ctx);
  *cx = (Ctx){.arena = a, .names = names_new(a), .diags = diags_new(a)};
  VtaConfig c = vta_config_default();
  c.log_batch = log_batch;
  c.log_block_in = c.log_block_out = log_block;
  Gen g = {.cx = cx, .vta = vta_target_new(cx, &c), .seed = seed * 0x9E3779B97F4A7C15u | 1};
  make_buffers(&g);
  return g;
}

static Func *run_pass(Gen *g, const Stmt *region) {
  PassCtx pc = {.cx = g->cx, .vta = g->vta};
  Func f = {.name = "t", .body = region, .target = &g->vta->tir};
  return pass_tensorize(&pc, &f);
}

static bool one_case(Gen *g, bool init) {
  const Stmt *region = init ? make_init(g) : make_nest(g);
  Func *out = run_pass(g, region);
  const char *what = "refused";
  if (out) {
    uint64_t seed = g->seed;
    Machine want = fill(g, seed), got = fill(g, seed);
    machine_run(&want, g->vta, g->cx->arena, region);
    machine_run(&got, g->vta, g->cx->arena, out->body);
    int64_t calls = init ? X : X * K;
    if (!want.fault && !got.fault && got.instructions == calls &&
        !memcmp(want.mem[0].data, got.mem[0].data, (size_t)want.mem[0].elems * sizeof(int32_t)))
      return true;
    what = want.fault ? want.fault : got.fault ? got.fault : "a different result";
  }
  Text t = {.arena = g->cx->arena};
  tir_print_stmt(region, 1, &t);
  if (out) tir_print_stmt(out->body, 1, &t);
  print_error("%s\n%s", what, t.data);
  diags_print(g->cx->diags, stderr, DIAG_TEXT, NULL);
  return false;
}

static void run_cases(int log_batch, int log_block, int cases) {
  for (int i = 0; i < cases; i++) {
    Arena *a = arena_new();
    Gen g = gen_new(a, log_batch, log_block, (uint64_t)i + 7);
    bool fine = one_case(&g, i % 4 == 0);
    arena_free(a);
    assert_true(fine);
  }
}

static void test_small(void **state) { (void)state, run_cases(0, 2, 1500); }
static void test_batch2(void **state) { (void)state, run_cases(1, 2, 1500); }
static void test_default(void **state) { (void)state, run_cases(0, 4, 100); }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_small),
      cmocka_unit_test(test_batch2),
      cmocka_unit_test(test_default),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

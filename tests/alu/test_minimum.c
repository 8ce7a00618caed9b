// SPDX-License-Identifier: Apache-2.0
// How many instructions a small expression of one operand takes, against the fewest that a search over all programs of
// one accumulator finds: those that begin with the operand's own tile (which is free, but then it is gone), with a copy
// of it (a reset and an add) or with zero, and go on with any operation on an immediate, the operand or the
// accumulator.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"
#include "run.h"

enum { POINTS = 96, FIRST = 6, IMMEDIATES = 40, DEPTH = 3 };
static const VtaOp alu_ops[] = {VTA_ADD, VTA_MUL, VTA_MIN, VTA_MAX, VTA_SHR};

typedef struct Case {
  Ctx *cx;
  uint64_t seed;
  const Expr *x;
  int32_t in[POINTS], want[POINTS];
  int32_t imm[IMMEDIATES];
  int nimm;
} Case;

static uint64_t rnd(Case *c, uint64_t n) {
  c->seed ^= c->seed << 13;
  c->seed ^= c->seed >> 7;
  c->seed ^= c->seed << 17;
  return (c->seed >> 11) % n;
}

// ---- expressions -------------------------------------------------------------------------------------------------

static void add_immediate(Case *c, int64_t v) {
  if (v < INT16_MIN || v > INT16_MAX || c->nimm == IMMEDIATES) return;
  for (int i = 0; i < c->nimm; i++)
    if (c->imm[i] == v) return;
  c->imm[c->nimm++] = (int32_t)v;
}

static const Expr *constant(Case *c) {
  static const int32_t some[] = {0, 1, -1, 2, 3, 7, 127, -128, 255, 1000, 40000, 1 << 20};
  int32_t v = some[rnd(c, sizeof some / sizeof *some)];
  add_immediate(c, v);
  add_immediate(c, -(int64_t)v);
  return expr_int(c->cx, DT_I32, v);
}

static const Expr *shifted(Case *c, const Expr *e) {
  int64_t k = (int64_t)rnd(c, 9);
  add_immediate(c, k);
  add_immediate(c, -k);
  return expr_binary(c->cx, rnd(c, 2) ? OP_SHL : OP_SHR, e, expr_int(c->cx, DT_I32, k));
}

static const Expr *expression(Case *c, int depth) {
  static const BinOp ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_MIN, OP_MAX};
  if (depth == 0) return rnd(c, 5) < 3 ? c->x : constant(c);
  if (rnd(c, 4) == 0) return shifted(c, expression(c, depth - 1));
  if (rnd(c, 8) == 0) return expr_unary(c->cx, UN_NEG, expression(c, depth - 1));
  const Expr *a = expression(c, depth - 1), *b = rnd(c, 3) ? constant(c) : expression(c, (int)rnd(c, (uint64_t)depth));
  BinOp op = ops[rnd(c, 5)];
  return rnd(c, 2) ? expr_binary(c->cx, op, a, b) : expr_binary(c->cx, op, b, a);
}

// Constants that folding can make of those in the expression.
static void combine_immediates(Case *c) {
  int n = c->nimm;
  add_immediate(c, 0);
  add_immediate(c, -1);
  for (int i = 0; i < n; i++)
    for (int k = 0; k <= i; k++) {
      add_immediate(c, (int64_t)c->imm[i] + c->imm[k]);
      add_immediate(c, (int64_t)c->imm[i] * c->imm[k]);
    }
}

// ---- the search ----------------------------------------------------------------------------------------------------

static int32_t apply(VtaOp op, int32_t a, int32_t b) {
  uint32_t ua = (uint32_t)a, ub = (uint32_t)b;
  switch (op) {
  case VTA_ADD: return (int32_t)(ua + ub);
  case VTA_MUL: return (int32_t)(ua * ub);
  case VTA_MIN: return a < b ? a : b;
  case VTA_MAX: return a > b ? a : b;
  default: return b < 0 ? (int32_t)(ua << (-ub & 31)) : a >> (b & 31);
  }
}

// Whether at most `left` more instructions make the wanted values of these. The first points decide mostly.
static bool search(const Case *c, const int32_t *acc, bool alive, int left) {
  if (!memcmp(acc, c->want, sizeof c->want)) return true;
  if (left == 0) return false;
  int32_t next[POINTS];
  for (int o = 0; o < 5; o++)
    for (int i = -1 - alive; i < c->nimm; i++) {
      int n = left == 1 ? FIRST : POINTS;
      for (int k = 0; k < n; k++) next[k] = apply(alu_ops[o], acc[k], i == -1 ? acc[k] : i < 0 ? c->in[k] : c->imm[i]);
      if (left == 1) {
        if (memcmp(next, c->want, FIRST * sizeof *next)) continue;
        for (int k = FIRST; k < POINTS; k++)
          next[k] = apply(alu_ops[o], acc[k], i == -1 ? acc[k] : i < 0 ? c->in[k] : c->imm[i]);
      }
      if (search(c, next, alive, left - 1)) return true;
    }
  return false;
}

// Whether fewer than `ours` instructions do.
static bool there_is_better(const Case *c, int ours) {
  int32_t zero[POINTS] = {0};
  int most = ours - 1 < DEPTH ? ours - 1 : DEPTH;
  if (most < 0) return false;
  if (search(c, c->in, false, most)) return true;
  return (most >= 1 && search(c, zero, true, most - 1)) || (most >= 2 && search(c, c->in, true, most - 2));
}

// ---- cases ----------------------------------------------------------------------------------------------------------

// Instructions: a mov from the operand is free if nothing else reads it, else a reset and an add, as any other.
static int count_ours(const Stmt *s) {
  int n = count_intrins(s, VTA_RESET), movs = count_intrins(s, VTA_MOV);
  for (int o = 0; o < 5; o++) n += count_intrins(s, alu_ops[o]);
  return n + 2 * movs;
}

typedef struct ReadsOf {
  const Buffer *buffer;
  int n;
} ReadsOf;

static bool count_reads(void *self, const Stmt *s) {
  ReadsOf *r = self;
  for (int i = 1; s->kind == STMT_INTRIN && i < s->nargs; i++)
    r->n += s->args[i]->kind == EXPR_REF && s->args[i]->buffer == r->buffer;
  return true;
}

typedef struct Tally {
  int cases, minimal, ours;
} Tally;

static bool one_case(Arena *a, uint64_t seed, Tally *all) {
  Ctx cx = {.arena = a, .names = names_new(a), .diags = diags_new(a)};
  VtaConfig config = vta_config_default();
  const VtaTarget *vta = vta_target_new(&cx, &config);
  Case c = {.cx = &cx, .seed = seed * 0x9E3779B97F4A7C15u | 1};
  int64_t shape[2] = {vta->acc.rows, vta->acc.cols};
  const Buffer *src = tir_buffer(&cx, name_of(cx.names, "x"), DT_I32, &vta->acc, BUF_LOCAL, 2, shape, (Loc){0});
  const Buffer *dst = tir_buffer(&cx, name_of(cx.names, "d"), DT_I32, &vta->acc, BUF_LOCAL, 2, shape, (Loc){0});
  const Var *j = tir_var(&cx, name_of(cx.names, "j"), (Loc){0});
  const Expr *idx[2] = {expr_index(&cx, 0), expr_var(&cx, j)};
  c.x = expr_load(&cx, src, idx);
  const Expr *value = expression(&c, 1 + (int)rnd(&c, 3));
  const Stmt *nest = stmt_store(&cx, dst, idx, value);
  nest = stmt_for(&cx, j, expr_index(&cx, 0), expr_index(&cx, vta->acc.cols), FOR_SERIAL, nest);
  Func f = {.name = "t", .body = stmt_intrin(&cx, vta_op(vta, VTA_ALU), 0, NULL, nest), .target = &vta->tir};
  PassCtx pc = {.cx = &cx, .vta = vta};
  Func *out = pass_inject_alu(&pc, &f);
  if (!out) return false;
  combine_immediates(&c);
  Machine m = {.nmem = 2};
  m.mem[0] = (Memory){src, arena_array(a, 16, sizeof(int32_t)), vta->acc.cols};
  m.mem[1] = (Memory){dst, arena_array(a, 16, sizeof(int32_t)), vta->acc.cols};
  for (int at = 0; at < POINTS; at += (int)vta->acc.cols) {
    static const int32_t edges[] = {0, 1, -1, 255, 32768, -40000, 1 << 30, -(1 << 30)};
    for (int k = 0; k < vta->acc.cols; k++) {
      int32_t v = (int32_t)rnd(&c, UINT64_C(1) << 32) >> rnd(&c, 32);
      if (at == 16 && k < 8) v = edges[k];
      if (at == 32) v = (int32_t)((uint32_t)INT32_MIN + (uint32_t)(k - 8)); // both ends of what there is
      if (at >= 48 && at < 80 && c.nimm)                                    // and of what overflows
        v = (int32_t)((uint32_t)(at == 48 ? INT32_MIN : INT32_MAX) +
                      (uint32_t)c.imm[rnd(&c, (uint64_t)c.nimm)] * (k & 1 ? 1u : ~0u));
      m.mem[0].data[k] = c.in[at + k] = v;
    }
    machine_run(&m, vta, a, nest);
    memcpy(c.want + at, m.mem[1].data, (size_t)vta->acc.cols * sizeof(int32_t));
  }
  ReadsOf reads = {.buffer = src};
  stmt_visit(out->body, count_reads, NULL, &reads);
  int ours = count_ours(out->body) - (reads.n == 1 && count_intrins(out->body, VTA_MOV) ? 2 : 0);
  if (ours > DEPTH + 1) return true; // beyond what is searched
  bool better = there_is_better(&c, ours);
  all->cases++;
  all->ours += ours;
  all->minimal += !better;
  if (better && getenv("TETC_ALU_SHOW")) {
    Text t = {.arena = a};
    tir_print_stmt(nest, 1, &t);
    tir_print_stmt(out->body, 1, &t);
    fprintf(stderr, "# seed %llu: %d\n%s\n", (unsigned long long)seed, ours, t.data);
  }
  return true;
}

static void fewest_instructions(void **state) {
  (void)state;
  const char *text = getenv("TETC_ALU_CASES");
  int cases = text ? atoi(text) : 600;
  Tally all = {0};
  for (int i = 1; i <= cases; i++) {
    Arena *a = arena_new();
    bool fine = one_case(a, (uint64_t)i, &all);
    arena_free(a);
    assert_true(fine);
  }
  print_message("# %d cases: %d minimal; %d instructions\n", all.cases, all.minimal, all.ours);
  assert_true(all.cases > cases / 2);
  assert_true(all.minimal * 1000 >= all.cases * 990); // 99.8 % are
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(fewest_instructions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

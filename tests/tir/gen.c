// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

Ctx gen_ctx(void) {
  Ctx cx = {.arena = arena_new()};
  cx.names = names_new(cx.arena);
  cx.diags = diags_new(cx.arena);
  return cx;
}

uint64_t gen_next(Gen *g) {
  g->state ^= g->state << 13;
  g->state ^= g->state >> 7;
  g->state ^= g->state << 17;
  return g->state * 0x2545F4914F6CDD1Du >> 11;
}

int gen_below(Gen *g, int n) { return (int)(gen_next(g) % (uint64_t)n); }

static void new_range(Gen *g, int i) {
  static const int64_t sizes[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 32, 56, 64, 100};
  int64_t n = sizes[gen_below(g, 13)];
  g->lo[i] = gen_below(g, 3) ? 0 : gen_below(g, 20) - 10;
  g->hi[i] = g->lo[i] + n - 1;
  if (!g->tame && gen_below(g, 8) == 0) g->lo[i] = INT64_MIN, g->hi[i] = INT64_MAX;
}

void gen_init(Gen *g, Ctx cx, uint64_t seed) {
  static const char *const names[] = {"i", "j", "k", "i", "x", "y0"};
  *g = (Gen){.cx = cx, .state = seed * 0x9E3779B97F4A7C15u + 88172645463325252u};
  for (int i = 0; i < 10; i++) gen_next(g);
  g->tame = gen_below(g, 3) != 0;
  g->nvars = GEN_VARS;
  for (int i = 0; i < GEN_VARS; i++) {
    g->vars[i] = tir_var(&g->cx, name_of(cx.names, names[i]), (Loc){0});
    new_range(g, i);
  }
  for (int i = 0; i < GEN_BUFFERS; i++) {
    int64_t shape[3] = {4 + i, 5, 3};
    DType t = i < DT_COUNT ? (DType)i : DT_I64;
    Name n = name_of(cx.names, i % 2 ? "buf" : "data");
    g->npool = i + 1;
    g->pool[i] = g->buffers[i] = tir_buffer(&g->cx, n, t, &scope_host, BUF_INPUT, 1 + i % 3, shape, (Loc){0});
  }
}

static int64_t interesting(Gen *g) {
  static const int64_t pool[] = {0,  1,  -1,  2,  3,     4,         5,         7,         8,         15,     16,
                                 17, 31, 32,  55, 56,    64,        127,       128,       -128,      255,    256,
                                 -2, -3, -16, 63, 65535, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1 << 20};
  return pool[gen_below(g, g->tame ? 17 : 32)];
}

static const Expr *gen_const(Gen *g, DType t) {
  static const double pool[] = {0, -0.0, 1, -1, 0.5, 2, 3.25, 1e10, -1e-10, 65504, 1e30, 1e300, 1e-40, 0.1};
  if (!dtype_is_float(t)) return expr_int(&g->cx, t, interesting(g));
  int i = gen_below(g, 17);
  return expr_float(&g->cx, t, i < 14 ? pool[i] : i == 14 ? INFINITY : i == 15 ? -INFINITY : (double)NAN);
}

static const Expr *gen_leaf(Gen *g, DType t);

// A sum of variables that stays in 0..n-1; NULL if none is found.
static const Expr *gen_affine(Gen *g, int64_t n) {
  const Expr *sum = NULL;
  int64_t lo = 0, hi = 0;
  for (int i = 0; i < g->nvars; i++) {
    int64_t coef = gen_below(g, 5) - 2;
    if (!coef || g->lo[i] == INT64_MIN || (hi - lo) + (g->hi[i] - g->lo[i]) * llabs(coef) >= n) continue;
    const Expr *x = expr_raw_binary(&g->cx, OP_MUL, expr_var(&g->cx, g->vars[i]), expr_index(&g->cx, coef), (Loc){0});
    sum = sum ? expr_raw_binary(&g->cx, OP_ADD, sum, x, (Loc){0}) : x;
    lo += coef * (coef < 0 ? g->hi[i] : g->lo[i]);
    hi += coef * (coef < 0 ? g->lo[i] : g->hi[i]);
  }
  if (!sum) return NULL;
  return expr_raw_binary(&g->cx, OP_SUB, sum, expr_index(&g->cx, lo - gen_below(g, (int)(n - (hi - lo)))), (Loc){0});
}

// Indices that stay inside, whatever they are made of.
static void gen_indices(Gen *g, const Buffer *b, int depth, const Expr **idx) {
  for (int i = 0; i < b->ndim; i++) {
    const Expr *n = expr_index(&g->cx, b->shape[i]), *e = gen_expr(g, DT_I64, depth - 1);
    idx[i] = expr_raw_binary(&g->cx, OP_MOD, e, n, (Loc){0});
    const Expr *sum = gen_below(g, 2) ? gen_affine(g, b->shape[i]) : NULL;
    if (sum) idx[i] = sum;
    else if (gen_below(g, 4) == 0) idx[i] = expr_index(&g->cx, gen_below(g, (int)b->shape[i]));
  }
}

static const Expr *gen_load(Gen *g, DType t, int depth) {
  const Buffer *found[GEN_POOL];
  const Expr *idx[3];
  int n = 0;
  for (int i = 0; i < g->npool; i++)
    if (g->pool[i]->type == t) found[n++] = g->pool[i];
  if (!n) return gen_leaf(g, t);
  const Buffer *b = found[gen_below(g, n)];
  gen_indices(g, b, depth, idx);
  return expr_load(&g->cx, b, idx);
}

static const Expr *gen_leaf(Gen *g, DType t) {
  if (t == DT_I64 && g->nvars && gen_below(g, 4)) return expr_var(&g->cx, g->vars[gen_below(g, g->nvars)]);
  return gen_const(g, t);
}

static DType any_type(Gen *g) { return (DType)gen_below(g, DT_COUNT); }

// Index arithmetic as lowering makes it.
static const Expr *gen_index(Gen *g, int depth) {
  static const BinOp ops[] = {OP_ADD, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_MIN, OP_MAX, OP_SHL, OP_AND};
  BinOp op = ops[gen_below(g, 10)];
  const Expr *a = gen_expr(g, DT_I64, depth - 1);
  bool literal = op == OP_DIV || op == OP_MOD || op == OP_SHL || (op == OP_MUL && gen_below(g, 5)) || !gen_below(g, 3);
  const Expr *b = literal ? gen_const(g, DT_I64) : gen_expr(g, DT_I64, depth - 1);
  if (op == OP_SHL) b = expr_int(&g->cx, DT_I64, gen_below(g, 5));
  if (literal && op == OP_MUL && gen_below(g, 4) == 0) return expr_raw_binary(&g->cx, op, b, a, (Loc){0});
  return expr_raw_binary(&g->cx, op, a, b, (Loc){0});
}

static const Expr *gen_bool(Gen *g, int depth) {
  int k = gen_below(g, 10);
  if (k < 5) {
    static const BinOp ops[] = {OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ, OP_NE};
    DType t = g->tame ? DT_I64 : any_type(g);
    const Expr *a = gen_expr(g, t, depth - 1), *b = gen_expr(g, t, depth - 1);
    return expr_raw_binary(&g->cx, ops[gen_below(g, 6)], a, b, (Loc){0});
  }
  if (k < 8) {
    const Expr *a = gen_bool(g, depth - 1), *b = gen_bool(g, depth - 1);
    return expr_raw_binary(&g->cx, gen_below(g, 2) ? OP_LAND : OP_LOR, a, b, (Loc){0});
  }
  if (k == 8) return expr_raw_unary(&g->cx, UN_NOT, gen_expr(g, DT_BOOL, depth - 1), (Loc){0});
  return gen_below(g, 2) ? gen_load(g, DT_BOOL, 1) : gen_const(g, DT_BOOL);
}

static const Expr *gen_number(Gen *g, DType t, int depth) {
  bool is_float = dtype_is_float(t);
  BinOp op = (BinOp)gen_below(g, is_float ? 7 : OP_OR + 1);
  if (is_float && op == OP_MOD) op = OP_DIV;
  const Expr *a = gen_expr(g, t, depth - 1);
  const Expr *b = gen_below(g, 2) ? gen_const(g, t) : gen_expr(g, t, depth - 1);
  return expr_raw_binary(&g->cx, op, a, b, (Loc){0});
}

const Expr *gen_expr(Gen *g, DType t, int depth) {
  if (depth <= 0) return gen_leaf(g, t);
  const Expr *a, *args[2];
  switch (gen_below(g, 12)) {
  case 0: return gen_leaf(g, t);
  case 1: return gen_load(g, t, depth < 3 ? depth : 3);
  case 2: {
    DType from = any_type(g);
    a = gen_expr(g, g->tame && gen_below(g, 2) ? DT_I64 : from, depth - 1);
    return a->type == t ? a : expr_raw_cast(&g->cx, t, a, (Loc){0});
  }
  case 3:
    a = gen_expr(g, DT_BOOL, depth - 1);
    args[0] = gen_expr(g, t, depth - 1);
    return expr_raw_select(&g->cx, a, args[0], gen_expr(g, t, depth - 1), (Loc){0});
  case 4:
    a = gen_expr(g, t, depth - 1);
    return expr_raw_unary(&g->cx,
                          t == DT_BOOL                           ? UN_NOT
                          : dtype_is_float(t) || gen_below(g, 2) ? UN_NEG
                                                                 : UN_BITNOT,
                          a, (Loc){0});
  case 5:
    if (t == DT_BOOL) break;
    args[0] = gen_expr(g, t, depth - 1);
    args[1] = dtype_is_float(t) && gen_below(g, 8) == 0 ? gen_expr(g, t, depth - 1) : NULL;
    MathFn f = args[1] ? FN_POW : dtype_is_float(t) ? (MathFn)gen_below(g, FN_POW) : FN_ABS;
    return expr_raw_args(&g->cx, EXPR_MATH, t, NULL, f, args[1] ? 2 : 1, args, (Loc){0});
  default: break;
  }
  if (t == DT_BOOL) return gen_bool(g, depth);
  return t == DT_I64 && (g->tame || gen_below(g, 2)) ? gen_index(g, depth) : gen_number(g, t, depth);
}

void gen_values(Gen *g) {
  for (int i = 0; i < GEN_VARS; i++) {
    uint64_t n = (uint64_t)g->hi[i] - (uint64_t)g->lo[i] + 1;
    g->value[i] = n                 ? g->lo[i] + (int64_t)(gen_next(g) % n)
                  : gen_below(g, 2) ? interesting(g)
                                    : (int64_t)(gen_next(g) << 11);
  }
}

size_t gen_bytes(const Buffer *b) { return (size_t)buffer_elems(b) * (size_t)dtype_bytes(b->type); }

static int64_t element_of(const Gen *g, const Buffer *b, const Expr **args) {
  int64_t at = 0;
  for (int i = 0; i < b->ndim; i++) {
    int64_t v = gen_eval(g, args[i]).i;
    if (v < 0 || v >= b->shape[i]) bug("index %lld", (long long)v);
    at = at * b->shape[i] + v;
  }
  return at;
}

static void *memory_of(const Gen *g, const Buffer *b) {
  for (int i = g->npool; i-- > 0;)
    if (g->pool[i] == b) return g->data[i];
  bug("a buffer out of scope");
}

static Scalar eval_load(const Gen *g, const Expr *e) {
  void *data = memory_of(g, e->buffer);
  int64_t at = element_of(g, e->buffer, e->args);
  if (data) return scalar_load(e->type, (char *)data + at * dtype_bytes(e->type));
  uint64_t h = (uint64_t)e->buffer->ndim * 31 + (uint64_t)e->buffer->type;
  h = (h ^ (uint64_t)at) * 0x9E3779B97F4A7C15u;
  return scalar_cast(e->type, DT_I64, (Scalar){.i = (int64_t)h});
}

Scalar gen_eval(const Gen *g, const Expr *e) {
  switch (e->kind) {
  case EXPR_INT:
  case EXPR_FLOAT: return e->value;
  case EXPR_VAR:
    for (int i = 0; i < GEN_VARS; i++)
      if (g->vars[i] == e->var) return (Scalar){.i = g->value[i]};
    break;
  case EXPR_CAST: return scalar_cast(e->type, e->a->type, gen_eval(g, e->a));
  case EXPR_UNARY: return scalar_unary(e->unop, e->type, gen_eval(g, e->a));
  case EXPR_BINARY:
    if (e->binop == OP_LAND || e->binop == OP_LOR) { // lazy: the other side may index out of bounds
      Scalar a = gen_eval(g, e->a);
      return (a.i != 0) == (e->binop == OP_LOR) ? a : gen_eval(g, e->b);
    }
    return scalar_binary(e->binop, e->a->type, gen_eval(g, e->a), gen_eval(g, e->b));
  case EXPR_SELECT: return gen_eval(g, gen_eval(g, e->a).i ? e->b : e->c);
  case EXPR_LOAD: return eval_load(g, e);
  case EXPR_REF: break;
  case EXPR_MATH:
    return scalar_call(
        e->fn, e->type,
        (Scalar[]){gen_eval(g, e->args[0]), gen_eval(g, e->args[e->nargs > 1]), gen_eval(g, e->args[e->nargs - 1])});
  }
  bug("an expression that the generator does not make");
}

bool gen_same(DType t, Scalar a, Scalar b) {
  if (!dtype_is_float(t)) return a.i == b.i;
  return (isnan(a.f) && isnan(b.f)) || !memcmp(&a.f, &b.f, sizeof a.f);
}

Ranges gen_ranges(Gen *g) {
  Ranges r = {0};
  for (int i = 0; i < GEN_VARS; i++)
    if (g->lo[i] != INT64_MIN) ranges_push(&g->cx, &r, g->vars[i], g->lo[i], g->hi[i]);
  return r;
}

// ---- functions ------------------------------------------------------------------------------------------------------

static const Scope acc = {.name = "t.acc", .id = 0, .tile = 16, .rows = 1, .cols = 16, .depth = 64, .type = DT_I32};
static const Scope inp = {.name = "t.inp", .id = 1, .tile = 8, .rows = 1, .cols = 8, .depth = 32, .type = DT_I8};
static const Intrin region = {.name = "t.region", .id = 0, .max_args = 2, .has_body = true};
static const Intrin op = {.name = "t.op", .id = 1, .max_args = -1};
static const Scope *const scopes[] = {&acc, &inp};
static const Intrin *const intrins[] = {&region, &op};
const TirTarget gen_target = {"t", 2, scopes, 2, intrins};

static const Stmt *gen_stmt(Gen *g, int depth, bool machine);

static const Stmt *gen_store(Gen *g) {
  const Expr *idx[3];
  int first = GEN_BUFFERS; // not to the inputs
  const Buffer *b = g->pool[first + gen_below(g, g->npool - first)];
  gen_indices(g, b, 2, idx);
  return stmt_store(&g->cx, b, idx, gen_expr(g, b->type, 1 + gen_below(g, 4)));
}

static const Stmt *gen_for(Gen *g, int depth, bool machine) {
  if (g->nvars == GEN_VARS) return gen_store(g);
  int i = g->nvars;
  const Expr *min = gen_below(g, 2) ? expr_index(&g->cx, gen_below(g, 5) - 2) : gen_expr(g, DT_I64, 2);
  int64_t n = gen_below(g, 3) ? 1 + gen_below(g, 5) : 1;
  const Expr *extent = expr_index(&g->cx, n);
  if (gen_below(g, 8) == 0) { // not known before
    const Expr *k = gen_expr(g, DT_I64, 2);
    extent = expr_raw_binary(&g->cx, OP_MOD, k, expr_index(&g->cx, 4), (Loc){0});
  }
  int64_t lo;
  bool known = expr_is_int(min, &lo) && expr_is_int(extent, &n) && lo > -100 && lo < 100;
  g->lo[i] = known ? lo : INT64_MIN;
  g->hi[i] = known ? lo + n - 1 : INT64_MAX;
  g->nvars++;
  const Stmt *body = gen_stmt(g, depth - 1, machine);
  g->nvars--;
  // The same variable may not be bound in a loop within, but in the next one it may.
  const Var *v = g->vars[i];
  return stmt_for(&g->cx, v, min, extent, (ForKind)gen_below(g, 5), body);
}

static const Stmt *gen_alloc(Gen *g, int depth, bool machine) {
  static const char *const names[] = {"tmp", "acc", "data", "x", "min"};
  if (g->npool == GEN_POOL) return gen_store(g);
  int64_t shape[3] = {1 + gen_below(g, 4), 1 + gen_below(g, 3), 1 + gen_below(g, 5)};
  int kind = gen_below(g, 4), ndim = 1 + gen_below(g, 3);
  const Scope *scope = kind == 0 ? &acc : kind == 1 ? &inp : &scope_host;
  if (kind < 2) shape[ndim - 1] = scope->tile;
  Buffer *b = (Buffer *)tir_buffer(&g->cx, name_of(g->cx.names, names[gen_below(g, 5)]),
                                   kind < 2 ? scope->type : any_type(g), scope, BUF_LOCAL, ndim, shape, (Loc){0});
  if (kind < 2 && machine && gen_below(g, 2)) b->base = gen_below(g, 8);
  if (gen_below(g, 4) == 0) b->stage = name_of(g->cx.names, "conv");
  g->data[g->npool] = NULL;
  g->pool[g->npool++] = b;
  const Stmt *body = gen_stmt(g, depth - 1, machine);
  g->npool--;
  return stmt_alloc(&g->cx, b, body);
}

static const Stmt *gen_intrin(Gen *g, int depth, bool machine) {
  const Expr *args[4];
  int n = gen_below(g, 3);
  if (!machine || gen_below(g, 2)) {
    for (int i = 0; i < n; i++) args[i] = gen_expr(g, DT_I64, 2);
    return stmt_intrin(&g->cx, &region, n, args, gen_stmt(g, depth - 1, machine));
  }
  for (int i = 0; i < n; i++) {
    args[i] = gen_expr(g, DT_I64, 2);
    if (gen_below(g, 2)) args[i] = expr_ref(&g->cx, g->pool[gen_below(g, g->npool)], args[i]);
  }
  return stmt_intrin(&g->cx, &op, n, args, NULL);
}

static const Stmt *gen_stmt(Gen *g, int depth, bool machine) {
  if (depth <= 0) return gen_store(g);
  switch (gen_below(g, 8)) {
  case 0: return gen_store(g);
  case 1:
  case 2: return gen_for(g, depth, machine);
  case 3: {
    const Stmt *other = gen_below(g, 2) ? gen_stmt(g, depth - 1, machine) : NULL;
    const Expr *cond = gen_expr(g, DT_BOOL, 3);
    const Stmt *then = gen_stmt(g, depth - 1, machine);
    return stmt_if(&g->cx, cond, then, other);
  }
  case 4: return gen_alloc(g, depth, machine);
  case 5: return gen_intrin(g, depth, machine);
  default: {
    const Stmt *list[4];
    int n = gen_below(g, 8) ? 2 + gen_below(g, 3) : 0;
    for (int i = 0; i < n; i++) list[i] = gen_stmt(g, depth - 1, machine);
    return stmt_seq(&g->cx, n, list);
  }
  }
}

Func *gen_func(Gen *g, bool machine) {
  Func *f = NEW(g->cx.arena, Func);
  f->name = name_of(g->cx.names, gen_below(g, 10) ? "kernel" : "for");
  f->params = NEW_ARRAY(g->cx.arena, const Buffer *, GEN_BUFFERS + 3);
  f->target = &gen_target;
  for (; f->nparams < GEN_BUFFERS; f->nparams++) f->params[f->nparams] = g->buffers[f->nparams];
  for (int i = 0; i < 3; i++) {
    int64_t shape[3] = {2 + i, 3, 4};
    char name[16];
    snprintf(name, sizeof name, "out%d", i);
    const Buffer *b =
        tir_buffer(&g->cx, name_of(g->cx.names, name), any_type(g), &scope_host, BUF_OUTPUT, 1 + i, shape, (Loc){0});
    f->params[f->nparams++] = g->pool[g->npool++] = b;
  }
  for (int i = 0; i < GEN_BUFFERS; i++) {
    char name[16];
    snprintf(name, sizeof name, "in%d", i);
    ((Buffer *)g->buffers[i])->name = name_of(g->cx.names, name);
  }
  g->nvars = 0;
  f->body = gen_stmt(g, 6, machine);
  return f;
}

void **gen_params(Gen *g, const Func *f) {
  void **p = NEW_ARRAY(g->cx.arena, void *, f->nparams);
  for (int i = 0; i < f->nparams; i++) {
    const Buffer *b = f->params[i];
    p[i] = arena_alloc(g->cx.arena, gen_bytes(b));
    for (int64_t k = 0; k < buffer_elems(b); k++)
      scalar_store(b->type, (char *)p[i] + k * dtype_bytes(b->type), gen_const(g, b->type)->value);
  }
  return p;
}

static void run_stmt(Gen *g, const Stmt *s) {
  switch (s->kind) {
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) run_stmt(g, s->children[i]);
    return;
  case STMT_FOR: {
    int64_t min = gen_eval(g, s->min).i, n = gen_eval(g, s->extent).i;
    int v = 0;
    while (g->vars[v] != s->var) v++;
    for (int64_t i = 0; i < n; i++) {
      g->value[v] = (int64_t)((uint64_t)min + (uint64_t)i);
      run_stmt(g, s->body);
    }
    return;
  }
  case STMT_IF:
    if (gen_eval(g, s->cond).i) run_stmt(g, s->body);
    else if (s->else_body) run_stmt(g, s->else_body);
    return;
  case STMT_ALLOC:
    g->data[g->npool] = arena_alloc(g->cx.arena, gen_bytes(s->buffer));
    memset(g->data[g->npool], s->buffer->type == DT_BOOL ? 1 : 0xa5, gen_bytes(s->buffer));
    g->pool[g->npool++] = s->buffer;
    run_stmt(g, s->body);
    g->npool--;
    return;
  case STMT_STORE: {
    Scalar v = gen_eval(g, s->value);
    char *data = memory_of(g, s->buffer);
    scalar_store(s->buffer->type, data + element_of(g, s->buffer, s->args) * dtype_bytes(s->buffer->type), v);
    return;
  }
  case STMT_INTRIN:
    if (s->body) run_stmt(g, s->body);
    return;
  }
}

void gen_run(Gen *g, const Func *f, void **params) {
  g->npool = f->nparams;
  for (int i = 0; i < f->nparams; i++) {
    g->pool[i] = f->params[i];
    g->data[i] = params[i];
  }
  run_stmt(g, f->body);
}

// SPDX-License-Identifier: Apache-2.0
#include "gen.h"

#define HOST_TILES 48
#define OUT_TILES 96

typedef struct Known { // a buffer that may be used
  const Buffer *b;
  bool writable; // here: not from inside of virtual threads if allocated outside
} Known;

typedef struct Gen {
  Ctx *cx;
  const VtaTarget *vta;
  uint64_t state;
  VEC(Known) known;
  VEC(const Var *) vars; // in scope, 0 <= var < extent
  VEC(int64_t) extents;
  const Var *thread[4]; // virtual threads around
  int64_t thread_extent[4];
  int threads;
  const Buffer *in, *out;
  int depth, budget, names;
} Gen;

static int pick(Gen *g, int n) { return (int)(model_random(&g->state) % (uint64_t)n); }

static Name fresh_name(Gen *g, const char *stem) {
  return name_of(g->cx->names, arena_printf(g->cx->arena, "%s%d", stem, g->names++));
}

static const Buffer *new_buffer(Gen *g, const char *stem, const Scope *scope, BufferRole role, int64_t tiles) {
  int64_t shape[3] = {tiles, scope->rows, scope->cols};
  Name n = fresh_name(g, stem);
  if (scope == &scope_host) return tir_buffer(g->cx, n, DT_I32, scope, role, 1, shape, (Loc){0});
  return tir_buffer(g->cx, n, scope->type, scope, role, 3, shape, (Loc){0});
}

// A random index in [0, n - room], from the variables in scope.
static const Expr *index_in(Gen *g, int64_t n, int64_t room) {
  Ctx *cx = g->cx;
  int64_t left = n - room;
  const Expr *e = NULL;
  for (size_t i = g->vars.len; i-- > 0 && left > 0;) {
    int64_t coef = pick(g, 3), most = coef * (g->extents.data[i] - 1);
    if (!coef || most > left || pick(g, 2)) continue;
    const Expr *t = expr_binary(cx, OP_MUL, expr_var(cx, g->vars.data[i]), expr_index(cx, coef));
    e = e ? expr_binary(cx, OP_ADD, e, t) : t;
    left -= most;
  }
  const Expr *c = expr_index(cx, left > 0 ? pick(g, (int)left + 1) : 0);
  e = e ? expr_binary(cx, OP_ADD, e, c) : c;
  return pick(g, 6) ? e : expr_binary(cx, OP_SUB, expr_index(cx, n - room > 0 ? n - room : 0), e);
}

static const Stmt *call(Gen *g, VtaOp op, int n, const Expr **args) {
  return stmt_intrin(g->cx, vta_op(g->vta, op), n, args, NULL);
}

// A buffer of scope (NULL: a local host one); NULL if there is none. To write, or only to read.
static const Buffer *pick_known(Gen *g, const Scope *scope, bool write) {
  const Buffer *found = NULL;
  int n = 0;
  for (size_t i = 0; i < g->known.len; i++) {
    const Known *k = &g->known.data[i];
    if (k->b->scope != (scope ? scope : &scope_host) || (write && !k->writable)) continue;
    if (pick(g, ++n) == 0) found = k->b;
  }
  return found;
}

static const Stmt *gen_load(Gen *g, const Buffer *dst, bool whole) {
  Ctx *cx = g->cx;
  int64_t n = buffer_tiles(dst), x = whole ? n : 1 + pick(g, (int)n), y = 1, pad = 0;
  if (!whole && x > 1 && pick(g, 2)) x /= 2, y = 2;
  if (x > 1 && pick(g, 3) == 0) pad = 1, x--;
  const Buffer *src = pick(g, 2) ? pick_known(g, NULL, false) : NULL;
  if (!src || src->shape[0] < x * y) src = g->in;
  const Expr *args[9] = {expr_ref(cx, dst, whole ? expr_index(cx, 0) : index_in(g, n, (x + pad) * y)),
                         expr_ref(cx, src, index_in(g, src->shape[0], x * y)),
                         expr_index(cx, y),
                         expr_index(cx, x),
                         expr_index(cx, x),
                         expr_index(cx, 0),
                         expr_index(cx, 0),
                         expr_index(cx, pad),
                         expr_index(cx, 0)};
  return call(g, VTA_LOAD, 9, args);
}

// Fills a new buffer.
static const Stmt *gen_init(Gen *g, const Buffer *b) {
  Ctx *cx = g->cx;
  if (b->scope == &scope_host || (b->scope == &g->vta->acc && pick(g, 2))) {
    const Var *v = tir_var(cx, fresh_name(g, "i"), (Loc){0});
    const Expr *at = expr_var(cx, v), *args[1] = {at};
    const Stmt *s;
    if (b->scope == &scope_host) {
      s = stmt_store(cx, b, args, expr_load(cx, g->in, args));
    } else {
      const Expr *ref[1] = {expr_ref(cx, b, at)};
      s = call(g, VTA_RESET, 1, ref);
    }
    return stmt_for(cx, v, expr_index(cx, 0), expr_index(cx, model_cells(b)), FOR_SERIAL, s);
  }
  if (pick(g, 4) == 0) {
    const Expr *args[2] = {expr_ref(cx, b, expr_index(cx, 0)), expr_index(cx, buffer_tiles(b))};
    return call(g, VTA_ZERO, 2, args);
  }
  return gen_load(g, b, true);
}

// Where a store may go: each virtual thread has its own part of the output.
static const Expr *out_index(Gen *g, int64_t room) {
  Ctx *cx = g->cx;
  int64_t part = OUT_TILES;
  const Expr *e = expr_index(cx, 0);
  for (int i = 0; i < g->threads; i++) {
    part /= g->thread_extent[i];
    const Expr *t = expr_binary(cx, OP_MUL, expr_var(cx, g->thread[i]), expr_index(cx, part));
    e = expr_binary(cx, OP_ADD, e, t);
  }
  Gen saved = *g;
  for (size_t i = 0; i < g->vars.len; i++) // thread variables only as above
    for (int k = 0; k < g->threads; k++)
      if (g->vars.data[i] == g->thread[k]) g->extents.data[i] = 1 << 20;
  const Expr *in = index_in(g, part, room);
  for (size_t i = 0; i < g->vars.len; i++)
    for (int k = 0; k < g->threads; k++)
      if (g->vars.data[i] == g->thread[k]) g->extents.data[i] = saved.thread_extent[k];
  return expr_binary(cx, OP_ADD, e, in);
}

static const Stmt *gen_store(Gen *g) {
  Ctx *cx = g->cx;
  const Buffer *src = pick_known(g, &g->vta->acc, false), *dst = pick(g, 3) ? NULL : pick_known(g, NULL, true);
  if (!src) return stmt_nop(cx);
  int64_t n = buffer_tiles(src), x = 1 + pick(g, (int)n);
  if (dst && dst->shape[0] < x) dst = NULL;
  const Expr *to = dst ? expr_ref(cx, dst, index_in(g, dst->shape[0], x)) : expr_ref(cx, g->out, out_index(g, x));
  const Expr *args[5] = {to, expr_ref(cx, src, index_in(g, n, x)), expr_index(cx, 1), expr_index(cx, x),
                         expr_index(cx, x)};
  return call(g, VTA_STORE, 5, args);
}

static void push_var(Gen *g, const Var *v, int64_t extent) {
  VEC_PUSH(g->cx->arena, g->vars, v);
  VEC_PUSH(g->cx->arena, g->extents, extent);
}

static void pop_var(Gen *g) {
  g->vars.len--;
  g->extents.len--;
}

// A nest of 0 to 3 loops around one operation.
static const Stmt *gen_compute(Gen *g) {
  Ctx *cx = g->cx;
  const Buffer *dst = pick_known(g, &g->vta->acc, true), *a = pick_known(g, &g->vta->inp, false),
               *w = pick_known(g, &g->vta->wgt, false), *src = pick_known(g, &g->vta->acc, false);
  if (!dst) return stmt_nop(cx);
  const Var *v[3];
  int n = pick(g, 4), op = pick(g, 8);
  int64_t extent[3];
  for (int i = 0; i < n; i++) {
    v[i] = tir_var(cx, fresh_name(g, "k"), (Loc){0});
    push_var(g, v[i], extent[i] = 1 + pick(g, 4));
  }
  const Expr *args[3] = {expr_ref(cx, dst, index_in(g, buffer_tiles(dst), 1))};
  const Stmt *s;
  if (op < 3 && a && w) {
    args[1] = expr_ref(cx, a, index_in(g, buffer_tiles(a), 1));
    args[2] = expr_ref(cx, w, index_in(g, buffer_tiles(w), 1));
    s = call(g, VTA_GEMM, 3, args);
  } else if (op == 3) {
    s = call(g, VTA_RESET, 1, args);
  } else {
    static const VtaOp ops[] = {VTA_MIN, VTA_MAX, VTA_ADD, VTA_SHR, VTA_MUL};
    VtaOp o = ops[pick(g, 5)];
    bool imm = pick(g, 2) || o == VTA_SHR; // (shifts by tiles: amounts would be of any size)
    args[1] = imm ? expr_index(cx, o == VTA_SHR ? pick(g, 5) - 2 : pick(g, 200) - 100)
                  : expr_ref(cx, src, index_in(g, buffer_tiles(src), 1));
    s = call(g, o, 2, args);
  }
  for (int i = n; i-- > 0;) {
    pop_var(g);
    s = stmt_for(cx, v[i], expr_index(cx, 0), expr_index(cx, extent[i]), FOR_SERIAL, s);
  }
  return s;
}

// A mov of any shape between accumulators: repeated, reversed, of a few tiles, within one buffer.
static const Stmt *gen_mov(Gen *g) {
  Ctx *cx = g->cx;
  const Buffer *dst = pick_known(g, &g->vta->acc, true), *src = pick_known(g, &g->vta->acc, false);
  if (!dst) return stmt_nop(cx);
  const Var *v[2];
  int64_t extent[2];
  for (int i = 0; i < 2; i++) {
    v[i] = tir_var(cx, fresh_name(g, "k"), (Loc){0});
    push_var(g, v[i], extent[i] = 1 + pick(g, 4));
  }
  const Expr *from = index_in(g, buffer_tiles(src), 1);
  if (pick(g, 2)) from = expr_binary(cx, OP_SUB, expr_index(cx, buffer_tiles(src) - 1), from);
  const Expr *args[2] = {expr_ref(cx, dst, index_in(g, buffer_tiles(dst), 1)), expr_ref(cx, src, from)};
  const Stmt *s = call(g, VTA_MOV, 2, args);
  for (int i = 2; i-- > 0;) {
    pop_var(g);
    s = stmt_for(cx, v[i], expr_index(cx, 0), expr_index(cx, extent[i]), FOR_SERIAL, s);
  }
  return s;
}

// A chain: c2 = mov c1, then something, as the ALU's matcher makes it.
static const Stmt *gen_chain(Gen *g) {
  Ctx *cx = g->cx;
  const Buffer *src = pick_known(g, &g->vta->acc, false);
  if (!src) return stmt_nop(cx);
  const Buffer *dst = new_buffer(g, "m", &g->vta->acc, BUF_LOCAL, buffer_tiles(src));
  const Var *v = tir_var(cx, fresh_name(g, "i"), (Loc){0});
  const Expr *at = expr_var(cx, v), *args[2] = {expr_ref(cx, dst, at), expr_ref(cx, src, at)};
  const Stmt *mov =
      stmt_for(cx, v, expr_index(cx, 0), expr_index(cx, buffer_tiles(src)), FOR_SERIAL, call(g, VTA_MOV, 2, args));
  size_t known = g->known.len;
  Known k = {dst, true};
  VEC_PUSH(cx->arena, g->known, k);
  const Stmt *list[4] = {mov, gen_compute(g), pick(g, 2) ? gen_chain(g) : gen_compute(g), gen_store(g)};
  const Stmt *body = stmt_seq(cx, 4, list);
  g->known.len = known;
  return stmt_alloc(cx, dst, body);
}

static const Stmt *gen_seq(Gen *g);

static const Stmt *gen_loop(Gen *g) {
  Ctx *cx = g->cx;
  const Var *v = tir_var(cx, fresh_name(g, "l"), (Loc){0});
  int64_t n = 1 + pick(g, 4);
  push_var(g, v, n);
  const Stmt *body = gen_seq(g);
  pop_var(g);
  return stmt_for(cx, v, expr_index(cx, 0), expr_index(cx, n), FOR_SERIAL, body);
}

// Virtual threads: what is outside may only be read.
static const Stmt *gen_threads(Gen *g) {
  Ctx *cx = g->cx;
  if (g->threads == 2) return gen_loop(g);
  const Var *v = tir_var(cx, fresh_name(g, "t"), (Loc){0});
  int64_t n = 2 + pick(g, 2);
  Known *saved = arena_copy(cx->arena, g->known.data, g->known.len * sizeof *saved);
  size_t known = g->known.len, kept = 0;
  for (size_t i = 0; i < known; i++) { // host buffers of outside are written by nobody inside, so they may be read
    g->known.data[i].writable = false;
    g->known.data[kept++] = g->known.data[i];
  }
  g->thread[g->threads] = v;
  g->thread_extent[g->threads++] = n;
  push_var(g, v, n);
  const Stmt *body = gen_seq(g);
  pop_var(g);
  g->threads--;
  for (size_t i = 0; i < known; i++) g->known.data[i] = saved[i];
  return stmt_for(cx, v, expr_index(cx, 0), expr_index(cx, n), FOR_VTHREAD, body);
}

static const Stmt *gen_alloc(Gen *g) {
  Ctx *cx = g->cx;
  const Scope *scopes[4] = {&g->vta->inp, &g->vta->wgt, &g->vta->acc, &scope_host};
  int which = pick(g, 10);
  const Scope *scope = scopes[which < 3 ? 0 : which < 5 ? 1 : which < 9 ? 2 : 3];
  const Buffer *b = new_buffer(g, "b", scope, BUF_LOCAL, 1 + pick(g, 5));
  const Stmt *init = gen_init(g, b);
  Known k = {b, true};
  size_t known = g->known.len;
  VEC_PUSH(cx->arena, g->known, k);
  const Stmt *body = stmt_seq2(cx, init, gen_seq(g));
  g->known.len = known;
  return stmt_alloc(cx, b, body);
}

// CPU code: b[i] = in[j] + other[k].
static const Stmt *gen_cpu(Gen *g) {
  Ctx *cx = g->cx;
  const Buffer *b = pick_known(g, NULL, true), *o = pick_known(g, NULL, false);
  if (!b) return stmt_nop(cx);
  const Expr *to[1] = {index_in(g, b->shape[0], 1)}, *x[1] = {index_in(g, g->in->shape[0], 1)},
             *y[1] = {index_in(g, o->shape[0], 1)};
  return stmt_store(cx, b, to, expr_binary(cx, OP_ADD, expr_load(cx, g->in, x), expr_load(cx, o, y)));
}

static const Stmt *gen_if(Gen *g) {
  Ctx *cx = g->cx;
  if (!g->vars.len) return gen_seq(g);
  size_t i = (size_t)pick(g, (int)g->vars.len);
  const Expr *v = expr_var(cx, g->vars.data[i]);
  const Expr *c = expr_binary(cx, OP_LT, v, expr_index(cx, pick(g, (int)g->extents.data[i] + 1)));
  const Stmt *then = gen_seq(g);
  return stmt_if(cx, c, then, pick(g, 2) ? gen_seq(g) : NULL);
}

static const Stmt *gen_stmt(Gen *g) {
  const Buffer *b;
  int r = pick(g, 24);
  g->budget--;
  if (g->depth > 6 || g->budget < 0) r = 8 + pick(g, 16);
  if (r < 2) return gen_loop(g);
  if (r < 3) return gen_threads(g);
  if (r < 4) return gen_if(g);
  if (r < 8) return gen_alloc(g);
  if (r < 12) {
    b = pick_known(g, pick(g, 2) ? &g->vta->inp : pick(g, 2) ? &g->vta->wgt : &g->vta->acc, true);
    return b ? gen_load(g, b, false) : stmt_nop(g->cx);
  }
  if (r < 17) return pick(g, 8) ? gen_compute(g) : gen_mov(g);
  if (r < 21) return gen_store(g);
  if (r < 22 && g->budget > 0) return gen_chain(g);
  return gen_cpu(g);
}

static const Stmt *gen_seq(Gen *g) {
  const Stmt *list[6];
  int n = 1 + pick(g, 5);
  g->depth++;
  for (int i = 0; i < n; i++) list[i] = gen_stmt(g);
  g->depth--;
  return stmt_seq(g->cx, n, list);
}

Func *gen_program(Ctx *cx, const VtaTarget *vta, uint64_t seed) {
  Gen g = {.cx = cx, .vta = vta, .state = seed, .budget = 40};
  g.in = new_buffer(&g, "in", &scope_host, BUF_INPUT, HOST_TILES);
  g.out = new_buffer(&g, "out", &scope_host, BUF_OUTPUT, OUT_TILES);
  Func *f = NEW(cx->arena, Func);
  f->name = name_of(cx->names, "random");
  f->nparams = 2;
  f->params = NEW_ARRAY(cx->arena, const Buffer *, 2);
  f->params[0] = g.in;
  f->params[1] = g.out;
  f->target = &vta->tir;
  const Buffer *first[3] = {new_buffer(&g, "a", &vta->inp, BUF_LOCAL, 4), new_buffer(&g, "w", &vta->wgt, BUF_LOCAL, 3),
                            new_buffer(&g, "c", &vta->acc, BUF_LOCAL, 6)};
  const Stmt *parts[6];
  for (int i = 0; i < 3; i++) {
    parts[i] = gen_init(&g, first[i]);
    Known k = {first[i], true};
    VEC_PUSH(cx->arena, g.known, k);
  }
  parts[3] = gen_seq(&g);
  parts[4] = gen_seq(&g);
  parts[5] = gen_seq(&g);
  const Stmt *body = stmt_seq(cx, 6, parts);
  for (int i = 3; i-- > 0;) body = stmt_alloc(cx, first[i], body);
  f->body = body;
  return f;
}

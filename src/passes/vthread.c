// SPDX-License-Identifier: Apache-2.0
// Pass vthread: a loop bound to virtual threads becomes one instruction stream in which the threads take turns.
//
//     vthread for t in 0..2 {             alloc a', a'' : vta.inp, c', c'' : vta.acc
//       alloc c : vta.acc {               vta.reset(c')       vta.reset(c'')
//         vta.reset(c)                    for k in 0..4 {
//         for k in 0..4 {           =>      vta.load(a', ..)  vta.load(a'', ..)
//           alloc a : vta.inp {             vta.gemm(c', ..)  vta.gemm(c'', ..)
//             vta.load(a, ..)             }
//             vta.gemm(c, a, ..)          vta.store(.., c')   vta.store(.., c'')
//           }
//         }
//         vta.store(out[t ..], c)
//       }
//     }
//
// Requires: FORM_TILES. Ensures: no FOR_VTHREAD is left.
// Why this is legal: only a data-parallel axis of a stage can be bound (schedule refuses others), so no thread
// reads or writes an element that another one writes, once each has its own copy of what is allocated inside the
// loop. Statements of one thread keep their order; only statements of different threads change places. Statements
// that keep the same unit busy form a group, and a group is copied whole: `load a, load w` of thread 0, then those
// of thread 1. With thread 0 complete first, its compute can start while thread 1 still loads.
#include "passes/tiles.h"

// More threads, or more statements after copying, than this, and the loop stays a serial one (with a warning).
#define THREADS_MAX 64
#define STATEMENTS_MAX 200000

typedef struct Weave {
  Ctx *cx;
  const Var *var;
  int n;
  const Expr **values;      // of the variable, by thread
  VEC(const Buffer *) from; // allocated inside the loop
  VEC(const Buffer **) to;  // each thread's own, by thread
} Weave;
typedef VEC(const Stmt *) Stmts;
typedef struct Local { // a thread's own buffer
  const Buffer *buffer;
  const Stmt *of; // the allocation that it is a copy of
} Local;
typedef VEC(Local) Locals;

static const Stmt *weave(Weave *w, const Stmt *s);

static bool is_single(unsigned units) { return units && !(units & (units - 1)); }

// s as thread t executes it.
static const Stmt *copy_for_thread(Weave *w, const Stmt *s, int t) {
  const Buffer **to = NEW_ARRAY(w->cx->arena, const Buffer *, w->to.len + 1);
  for (size_t i = 0; i < w->to.len; i++) to[i] = w->to.data[i][t];
  TirSubst subst = {.nvars = 1,
                    .vars = &w->var,
                    .values = &w->values[t],
                    .nbuffers = (int)w->from.len,
                    .from = w->from.data,
                    .to = to};
  return tile_copy(w->cx, s, &subst);
}

// The statements of a group, first all of thread 0, then all of thread 1, ...
static void copy_group(Weave *w, const Stmt **s, size_t n, Stmts *out) {
  for (int t = 0; t < w->n; t++)
    for (size_t i = 0; i < n; i++) {
      const Stmt *copy = copy_for_thread(w, s[i], t);
      VEC_PUSH(w->cx->arena, *out, copy);
    }
}

static const Stmt *copies(Weave *w, const Stmt *s) {
  Stmts out = {0};
  copy_group(w, &s, 1, &out);
  return stmt_seq(w->cx, (int)out.len, out.data);
}

// Flattens sequences and allocations; each thread gets its own copy of a buffer.
static void flatten(Weave *w, const Stmt *s, Stmts *items, Locals *locals) {
  Arena *a = w->cx->arena;
  if (s->kind == STMT_SEQ) {
    for (int i = 0; i < s->nchildren; i++) flatten(w, s->children[i], items, locals);
  } else if (s->kind == STMT_ALLOC && !is_single(tile_units(s))) {
    const Buffer **own = NEW_ARRAY(a, const Buffer *, w->n);
    for (int t = 0; t < w->n; t++) {
      own[t] = arena_copy(a, s->buffer, sizeof *s->buffer);
      VEC_PUSH(a, *locals, ((Local){own[t], s}));
    }
    VEC_PUSH(a, w->from, s->buffer);
    VEC_PUSH(a, w->to, own);
    flatten(w, s->body, items, locals);
  } else {
    VEC_PUSH(a, *items, s);
  }
}

static const Stmt *weave_seq(Weave *w, const Stmt *s) {
  Stmts items = {0}, out = {0};
  Locals locals = {0};
  flatten(w, s, &items, &locals);
  for (size_t i = 0, j; i < items.len; i = j) {
    unsigned units = tile_units(items.data[i]);
    j = i + 1;
    if (!is_single(units)) {
      const Stmt *woven = weave(w, items.data[i]);
      VEC_PUSH(w->cx->arena, out, woven);
      continue;
    }
    while (j < items.len && tile_units(items.data[j]) == units) j++;
    copy_group(w, &items.data[i], j - i, &out);
  }
  const Stmt *body = stmt_seq(w->cx, (int)out.len, out.data);
  for (size_t i = locals.len; i-- > 0;) {
    const Local *own = &locals.data[i];
    body = stmt_placed(w->cx, stmt_alloc(w->cx, own->buffer, body), own->of->loc, own->of->why);
  }
  return body;
}

// The body of the threads' loop, all threads in turn.
static const Stmt *weave(Weave *w, const Stmt *s) {
  if (is_single(tile_units(s))) return copies(w, s);
  switch (s->kind) {
  case STMT_SEQ:
  case STMT_ALLOC: return weave_seq(w, s);
  case STMT_FOR:
    if (expr_uses_var(s->min, w->var) || expr_uses_var(s->extent, w->var)) return copies(w, s);
    return tile_around(w->cx, s, weave(w, s->body));
  case STMT_IF:
    if (expr_uses_var(s->cond, w->var)) return copies(w, s);
    return tile_if(w->cx, s, weave(w, s->body), s->else_body ? weave(w, s->else_body) : NULL);
  case STMT_STORE:
  case STMT_INTRIN: return copies(w, s);
  }
  return s;
}

static bool count_one(void *self, const Stmt *s) { return (void)s, ++*(int64_t *)self, true; }

// The loop as a serial one, with a warning that says why.
static const Stmt *keep_serial(PassCtx *pc, const Stmt *s, const char *why) {
  Diag *g = diag_report(pc->cx->diags, W_NO_EFFECT, loc_known(s->why) ? s->why : s->loc,
                        "the axis `%s` is not cut into virtual threads", s->var->name);
  diag_note(g, "%s", why);
  diag_fix_drop(g, s->why, "let the axis have fewer iterations, or drop its `bind`");
  return stmt_placed(pc->cx, stmt_for(pc->cx, s->var, s->min, s->extent, FOR_SERIAL, s->body), s->loc, s->why);
}

static const Stmt *expand(TirMap *m, const Stmt *s) {
  PassCtx *pc = m->self;
  if (s->kind != STMT_FOR || s->for_kind != FOR_VTHREAD) return s;
  Ctx *cx = pc->cx;
  int64_t n, size = 0, total;
  if (!expr_is_int(s->extent, &n)) return keep_serial(pc, s, "its extent is not a constant");
  if (n > THREADS_MAX)
    return keep_serial(pc, s,
                       arena_printf(cx->arena, "it has %lld threads, %d is the most", (long long)n, THREADS_MAX));
  stmt_visit(s->body, count_one, NULL, &size);
  if (!mul_ok(size, n, &total) || total > STATEMENTS_MAX)
    return keep_serial(pc, s, "the program would become too large");
  Weave w = {.cx = cx, .var = s->var, .n = (int)n, .values = NEW_ARRAY(cx->arena, const Expr *, n + 1)};
  for (int t = 0; t < n; t++) w.values[t] = expr_binary(cx, OP_ADD, s->min, expr_index(cx, t));
  return weave(&w, s->body);
}

Func *pass_vthread(PassCtx *pc, const Func *f) {
  if (!tiles_check(pc, "vthread", f, false)) return NULL;
  TirMap m = {.cx = pc->cx, .stmt = expand, .self = pc};
  const Stmt *body = stmt_map(&m, f->body);
  return func_with_body(pc->cx, f, stmt_simplify(pc->cx, body));
}

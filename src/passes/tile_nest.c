// SPDX-License-Identifier: Apache-2.0
// Loop nests taken apart for matching against tiles.
#include <string.h>

#include "passes/tile_nest.h"
#include "tir/refuse.h"

// ---- taking apart ----------------------------------------------------------------------------------------------

// What else than a loop or a store stands in a nest.
static const char *stmt_surprise(const Stmt *s) {
  switch (s->kind) {
  case STMT_IF: return "a guard";
  case STMT_SEQ: return s->nchildren ? "several statements" : "nothing";
  case STMT_ALLOC: return "an allocation";
  case STMT_INTRIN: return "an intrinsic";
  case STMT_FOR: return "a loop whose extent is not constant";
  case STMT_STORE: return NULL;
  }
  return NULL;
}

// Replaces v by e in the accesses of a nest.
static void nest_replace(const NestPlace *p, Nest *n, const Var *v, const Expr *e) {
  TirSubst s = {.nvars = 1, .vars = &v, .values = &e};
  const Expr **index = NEW_ARRAY(p->cx->arena, const Expr *, n->store->nargs);
  for (int i = 0; i < n->store->nargs; i++) index[i] = expr_subst(p->cx, n->index[i], &s);
  n->index = index;
  n->value = expr_subst(p->cx, n->value, &s);
}

// Adds a loop; one that does not start at 0 or runs once leaves its variable to `n`'s pending substitutions.
static void nest_add_loop(const NestPlace *p, Nest *n, const Stmt *s, int64_t extent) {
  int64_t min;
  NestLoop *l = &n->loops[n->nloops];
  if (extent == 1) {
    nest_replace(p, n, s->var, s->min);
    return;
  }
  *l = (NestLoop){.var = s->var, .extent = extent, .step = 1, .whole = extent, .kind = s->for_kind, .loc = s->loc};
  n->nloops++;
  if (expr_is_int(s->min, &min) && min == 0) return;
  l->var = tir_var(p->cx, s->var->name, s->var->loc);
  nest_replace(p, n, s->var, expr_binary(p->cx, OP_ADD, s->min, expr_var(p->cx, l->var)));
}

Nest *nest_of(const NestPlace *p, const Stmt *s, const char **why, const Stmt **at) {
  int depth = 0;
  int64_t extent = 0;
  const Stmt *in = s;
  for (; in->kind == STMT_FOR && expr_is_int(in->extent, &extent) && extent > 0; in = in->body) depth++;
  *at = in;
  *why = stmt_surprise(in);
  if (*why) return NULL;
  Nest *n = NEW(p->cx->arena, Nest);
  n->loops = NEW_ARRAY(p->cx->arena, NestLoop, depth + 1);
  n->store = in;
  n->index = in->args;
  n->value = in->value;
  // A loop's start may use the loops around it: replace from the inside out, then turn the order round.
  const Stmt **chain = NEW_ARRAY(p->cx->arena, const Stmt *, depth + 1);
  int k = 0;
  for (in = s; in->kind == STMT_FOR; in = in->body) chain[k++] = in;
  while (k-- > 0) {
    expr_is_int(chain[k]->extent, &extent);
    nest_add_loop(p, n, chain[k], extent);
  }
  for (int i = 0, j = n->nloops - 1; i < j; i++, j--) {
    NestLoop t = n->loops[i];
    n->loops[i] = n->loops[j];
    n->loops[j] = t;
  }
  return n;
}

// ---- indices ---------------------------------------------------------------------------------------------------

// The ranges of the loops around the region and of the nest.
static Ranges nest_ranges(const NestPlace *p, const Nest *n) {
  Ranges r = {0};
  for (size_t i = 0; p->outer && i < p->outer->len; i++)
    ranges_push(p->cx, &r, p->outer->data[i].var, p->outer->data[i].lo, p->outer->data[i].hi);
  for (int i = 0; i < n->nloops; i++) ranges_push(p->cx, &r, n->loops[i].var, 0, n->loops[i].extent - 1);
  return r;
}

Affine nest_linear(const NestPlace *p, const Nest *n, const Buffer *b, const Expr **idx) {
  Ranges r = nest_ranges(p, n);
  Affine sum = {0};
  int64_t stride = 1;
  for (int i = b->ndim - 1; i >= 0; i--) {
    Affine a = affine_of(p->cx, expr_simplify(p->cx, &r, idx[i]), NULL);
    sum = affine_add(p->cx, &sum, stride, &a);
    stride *= b->shape[i];
  }
  return sum;
}

Footprint nest_footprint(const NestPlace *p, const Nest *n, const Buffer *b, const Affine *tile) {
  Ranges r = nest_ranges(p, n);
  Footprint f = footprint_of(p->cx, &r, b, true, 0, buffer_tiles(b), tile, 1);
  return footprint_widen(p->cx, &r, &f, p->outer ? p->outer->len : 0);
}

const Expr *nest_tile_expr(const NestPlace *p, const Affine *a, int64_t tile) {
  Affine t = {.constant = a->constant / tile, .nterms = a->nterms};
  t.terms = arena_copy(p->cx->arena, a->terms, (size_t)a->nterms * sizeof *a->terms);
  for (int i = 0; i < t.nterms; i++) t.terms[i].coef /= tile;
  return affine_expr(p->cx, &t);
}

// ---- splitting -------------------------------------------------------------------------------------------------

void nest_split(const NestPlace *p, Nest *n, int k, int64_t inner) {
  NestLoop *loops = NEW_ARRAY(p->cx->arena, NestLoop, n->nloops + 1), old = n->loops[k];
  memcpy(loops, n->loops, (size_t)k * sizeof *loops);
  memcpy(loops + k + 2, n->loops + k + 1, (size_t)(n->nloops - k - 1) * sizeof *loops);
  loops[k] = loops[k + 1] = old;
  loops[k].var = tir_var(p->cx, old.var->name, old.var->loc);
  loops[k].extent = old.extent / inner;
  loops[k].step = old.step * inner;
  loops[k + 1].var = tir_var(p->cx, old.var->name, old.var->loc);
  loops[k + 1].extent = inner;
  n->loops = loops;
  n->nloops++;
  const Expr *outer = expr_binary(p->cx, OP_MUL, expr_var(p->cx, loops[k].var), expr_index(p->cx, inner));
  nest_replace(p, n, old.var, expr_binary(p->cx, OP_ADD, outer, expr_var(p->cx, loops[k + 1].var)));
}

void nest_turn(const NestPlace *p, Nest *n, int k) {
  const Var *old = n->loops[k].var;
  n->loops[k].var = tir_var(p->cx, old->name, old->loc);
  const Expr *last = expr_index(p->cx, n->loops[k].extent - 1);
  nest_replace(p, n, old, expr_binary(p->cx, OP_SUB, last, expr_var(p->cx, n->loops[k].var)));
}

int64_t nest_tile_cut(int64_t coef, int64_t extent, int64_t tile) {
  if (coef <= 0 || coef % tile == 0) return 0;
  if (coef > tile) return -1;
  int64_t span;
  if (mul_ok(coef, extent, &span) && span <= tile) return 0;
  if (tile % coef) return -1;
  int64_t inner = tile / coef;
  return extent % inner == 0 && inner > 1 && inner < extent ? inner : -1;
}

typedef struct FindCut {
  const NestPlace *p;
  const Nest *n;
  Ranges ranges;
  int loop; // -1: none found
  int64_t inner;
} FindCut;

// Looks for `affine / c` and `affine % c` where splitting one loop makes the rest divide.
static bool find_cut(void *self, const Expr *e) {
  FindCut *f = self;
  int64_t c;
  if (f->loop >= 0) return false;
  if (e->kind != EXPR_BINARY || e->type != DT_I64 || (e->binop != OP_DIV && e->binop != OP_MOD)) return true;
  if (!expr_is_int(e->b, &c) || c < 2) return true;
  Affine a = affine_of(f->p->cx, e->a, NULL);
  for (int i = 0; i < f->n->nloops; i++) {
    int64_t k = affine_coef(&a, f->n->loops[i].var), extent = f->n->loops[i].extent;
    if (k % c == 0) continue;
    int64_t inner = common_divisor(c / common_divisor(c, k), extent);
    if (inner <= 1 || inner >= extent) continue;
    f->loop = i;
    f->inner = inner;
    return false;
  }
  return true;
}

// In a value only the indices of loads matter, and what a choice is made by.
static const Expr *simplify_index(TirMap *m, const Expr *e) {
  FindCut *f = m->self;
  if (e->kind == EXPR_SELECT) expr_visit(expr_simplify(m->cx, &f->ranges, e->a), find_cut, f);
  if (e->kind != EXPR_LOAD) return e;
  for (int i = 0; i < e->nargs; i++) expr_visit(expr_simplify(m->cx, &f->ranges, e->args[i]), find_cut, f);
  return e;
}

void nest_unfuse(const NestPlace *p, Nest *n) {
  for (int rounds = 0; rounds < 40; rounds++) {
    FindCut f = {.p = p, .n = n, .ranges = nest_ranges(p, n), .loop = -1};
    for (int i = 0; i < n->store->nargs; i++) expr_visit(expr_simplify(p->cx, &f.ranges, n->index[i]), find_cut, &f);
    TirMap m = {.cx = p->cx, .expr = simplify_index, .self = &f};
    expr_map(&m, n->value);
    if (f.loop < 0) return;
    nest_split(p, n, f.loop, f.inner);
  }
}

// ---- putting together ------------------------------------------------------------------------------------------

const Stmt *nest_wrap(const NestPlace *p, const Nest *n, uint64_t which, const Stmt *body) {
  const Var **vars = NEW_ARRAY(p->cx->arena, const Var *, n->nloops + 1), **fresh;
  const Expr **values = NEW_ARRAY(p->cx->arena, const Expr *, n->nloops + 1);
  fresh = NEW_ARRAY(p->cx->arena, const Var *, n->nloops + 1);
  int k = 0;
  for (int i = 0; i < n->nloops; i++) {
    if (!(which >> i & 1)) continue;
    vars[k] = n->loops[i].var;
    fresh[k] = tir_var(p->cx, n->loops[i].var->name, n->loops[i].var->loc);
    values[k] = expr_var(p->cx, fresh[k]);
    k++;
  }
  if (!k) return body;
  TirSubst s = {.nvars = k, .vars = vars, .values = values};
  body = stmt_subst(p->cx, body, &s);
  for (int i = n->nloops - 1; i >= 0; i--) {
    if (!(which >> i & 1)) continue;
    ForKind kind = n->loops[i].kind == FOR_VTHREAD ? FOR_VTHREAD : FOR_SERIAL;
    const Expr *extent = expr_index(p->cx, n->loops[i].extent);
    body = stmt_for(p->cx, fresh[--k], expr_index(p->cx, 0), extent, kind, body);
  }
  return body;
}

// ---- messages --------------------------------------------------------------------------------------------------

const char *buffer_stage(const Buffer *b) { return b->stage ? b->stage : b->name ? b->name : "?"; }

// The source text of a place on one line; NULL if there is none that a message could quote.
static const char *source_text(Ctx *cx, Loc l) {
  if (!loc_known(l) || l.line != l.end_line || l.line < 1 || l.line > l.src->nlines || l.end_col <= l.col) return NULL;
  size_t from = l.src->line_start[l.line - 1] + l.col - 1, len = l.end_col - l.col;
  if (len > 100 || from + len > l.src->len) return NULL;
  return arena_printf(cx->arena, "%.*s", (int)len, l.src->text + from);
}

const char *expr_text(Ctx *cx, const Expr *e) {
  const char *source = source_text(cx, e->loc);
  if (source) return source;
  Text t = {.arena = cx->arena};
  tir_print_expr(e, &t);
  return t.data ? t.data : "";
}

void nest_note_part(const Nest *n, Diag *g, const Var *v) {
  for (int k = 0; k < n->nloops; k++) {
    const NestLoop *l = &n->loops[k];
    if (l->var == v && l->extent != l->whole)
      diag_note(g,
                "`%s`, of extent %lld, is taken apart to be matched with tiles: this is about its part with %lld steps "
                "of %lld",
                v->name ? v->name : "?", (long long)l->whole, (long long)l->extent, (long long)l->step);
  }
}

void nest_fix_cache(const NestPlace *p, Diag *g, const Buffer *b, const char *scope) {
  Arena *m = p->cx->arena;
  const char *name = buffer_stage(b), *buf = arena_printf(m, "%s_buf", name);
  buf = source_fresh_name(m, p->region->why.src, buf);
  diag_fix_after(g, p->region->why, arena_printf(m, "%s = %s.cache_read(%s); %s.dma_copy()", buf, name, scope, buf),
                 "bring it on chip: `%s = %s.cache_read(%s);  %s.dma_copy();`", buf, name, scope, buf);
}

Diag *nest_refuse(const NestPlace *p, DiagCode code, Loc at, const char *asked, const char *rule,
                  const char *headline) {
  Refusal r = {.cx = p->cx,
               .phase = p->phase,
               .nest = p->region->body,
               .asked = p->region->why,
               .asked_as = asked,
               .rule = rule};
  return refuse(&r, code, at, headline);
}

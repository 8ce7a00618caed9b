// SPDX-License-Identifier: Apache-2.0
// How many micro-operations one launch may hold, for runtimes that keep each description of a kernel for itself.
//
// Upstream's runtime describes a kernel once for each value of the loops that it depends on, does not see that two are
// the same, and is wrong once a launch has more micro-operations than fit on chip (its copy of them in DRAM is made at
// the end of the launch, of those that are still on chip then). Ours compares contents and reloads what it evicted.
#include "backend_vta/vta.h"

#include <string.h>

typedef struct Launch {
  Ctx *cx;
  Ranges ranges;
  int64_t now, most; // since the last launch; the most of a launch so far
} Launch;

enum { MANY = INT32_MAX }; // and more

static int64_t product(int64_t a, int64_t b) {
  int64_t r;
  return mul_ok(a, b, &r) && r < MANY ? r : MANY;
}

// The most turns of a loop, and its variable's range.
static int64_t most_turns(const Launch *l, const Stmt *s, int64_t *lo, int64_t *hi) {
  int64_t least, most;
  if (!expr_bounds(&l->ranges, s->min, lo, hi) || !expr_bounds(&l->ranges, s->extent, &least, &most)) return MANY;
  if (most < 1) return 0;
  if (!add_ok(*hi, most - 1, hi)) return MANY;
  return most < MANY ? most : MANY;
}

// Micro-operations of one description.
static int64_t body_uops(Launch *l, const Stmt *s) {
  int64_t n = 0, lo, hi, turns;
  switch (s->kind) {
  case STMT_FOR:
    turns = most_turns(l, s, &lo, &hi);
    if (turns == 0) return 0;
    if (turns == MANY) lo = INT64_MIN, hi = INT64_MAX;
    ranges_push(l->cx, &l->ranges, s->var, lo, hi);
    n = product(turns, body_uops(l, s->body));
    ranges_pop(&l->ranges);
    return n;
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren && n < MANY; i++) n += body_uops(l, s->children[i]);
    return n < MANY ? n : MANY;
  case STMT_IF: return body_uops(l, s->body) + (s->else_body ? body_uops(l, s->else_body) : 0);
  case STMT_INTRIN: return is_vta(s->intrin, VTA_UOP);
  case STMT_ALLOC: return body_uops(l, s->body);
  case STMT_STORE: break;
  }
  return 0;
}

// The loop variables that a kernel depends on: how many values they have together.
typedef struct Values {
  const Launch *l;
  bool *seen; // of each entry of the ranges
  int64_t count;
} Values;

static bool note_var(void *self, const Expr *e) {
  Values *v = self;
  if (e->kind != EXPR_VAR) return true;
  const Ranges *r = &v->l->ranges;
  for (size_t i = r->len; i-- > 0;) {
    if (r->data[i].var != e->var) continue;
    int64_t n;
    if (v->seen[i]) break;
    v->seen[i] = true;
    v->count = __builtin_sub_overflow(r->data[i].hi, r->data[i].lo, &n) || n >= MANY ? MANY : product(v->count, n + 1);
    break;
  }
  return true;
}

static bool every(void *self, const Stmt *s) {
  (void)self, (void)s;
  return true;
}

static int64_t kernel_uops(Launch *l, const Stmt *s) {
  Values v = {l, NEW_ARRAY(l->cx->arena, bool, l->ranges.len + 1), 1};
  for (int i = 0; i < s->nargs; i++) expr_visit(s->args[i], note_var, &v);
  stmt_visit(s->body, every, note_var, &v);
  return product(v.count, body_uops(l, s->body));
}

// The statements in order. A launch inside a loop ends what is before it in some turn only: all turns count.
static void walk(Launch *l, const Stmt *s) {
  int64_t lo, hi, turns;
  switch (s->kind) {
  case STMT_FOR:
    turns = most_turns(l, s, &lo, &hi);
    if (turns == 0) return;
    if (turns == MANY) lo = INT64_MIN, hi = INT64_MAX;
    ranges_push(l->cx, &l->ranges, s->var, lo, hi);
    walk(l, s->body);
    ranges_pop(&l->ranges);
    return;
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) walk(l, s->children[i]);
    return;
  case STMT_IF:
    walk(l, s->body);
    if (s->else_body) walk(l, s->else_body);
    return;
  case STMT_ALLOC: walk(l, s->body); return;
  case STMT_INTRIN:
    if (is_vta(s->intrin, VTA_KERNEL) && l->now < MANY) l->now += kernel_uops(l, s);
    if (l->now > l->most) l->most = l->now;
    if (is_vta(s->intrin, VTA_SYNC) && !l->ranges.len) l->now = 0;
    return;
  case STMT_STORE: return;
  }
}

int64_t vta_launch_uops(Ctx *cx, const Func *f) {
  Launch l = {.cx = cx};
  walk(&l, f->body);
  return l.most;
}

// SPDX-License-Identifier: Apache-2.0
// Recurrences: a stage may read itself at points that are earlier in the order of its axes; stages may read each other
// in a circle if they share leading axes along which every circle steps back. What is read is proved to be computed,
// from indices, guards and `where`; then the kernel's tensors are put in an order in which those of a circle stand
// together.
#include "te/internal.h"

#include <string.h>

typedef struct Node {
  VEC(int) reads;  // tensors, each once
  int number, low; // of Tarjan's walk; 0: not seen
  bool open;
  int part; // its strongly connected part, from 1 on
} Node;

typedef struct Graph {
  KernelCx *kx;
  Node *nodes;
  VEC(int) stack;
  int numbers, parts;
} Graph;

// What add_read adds to.
typedef struct Reader {
  Arena *arena;
  Node *node;
} Reader;

static bool add_read(void *self, const TeExpr *e) {
  const Reader *r = self;
  if (e->kind != TE_ACCESS) return false;
  for (size_t i = 0; i < r->node->reads.len; i++)
    if (r->node->reads.data[i] == e->tensor->index) return false;
  VEC_PUSH(r->arena, r->node->reads, e->tensor->index);
  return false;
}

// Tarjan's walk: parts come out with those that they read before them.
static void connect(Graph *g, int at) {
  Node *n = &g->nodes[at];
  n->number = n->low = ++g->numbers;
  n->open = true;
  VEC_PUSH(g->kx->ck->cx->arena, g->stack, at);
  for (size_t i = 0; i < n->reads.len; i++) {
    Node *m = &g->nodes[n->reads.data[i]];
    if (!m->number) connect(g, n->reads.data[i]);
    if (m->open && m->low < n->low) n->low = m->low;
  }
  if (n->low != n->number) return;
  g->parts++;
  for (int last = -1; last != at;) {
    last = g->stack.data[--g->stack.len];
    g->nodes[last].open = false;
    g->nodes[last].part = g->parts;
  }
}

static bool reads(const Graph *g, int stage, int of) {
  for (size_t i = 0; i < g->nodes[stage].reads.len; i++)
    if (g->nodes[stage].reads.data[i] == of) return true;
  return false;
}

static bool refuse(Graph *g, const TeTensor *t, const TeTensor *of, Loc where) {
  Diag *d = diag_report(g->kx->ck->cx->diags, E_RECURRENCE, where,
                        t == of ? "`%s` reads itself at a point that is not known to be earlier"
                                : "`%s` reads `%s`, which needs it, at a point that is not known to be earlier",
                        t->name, of->name);
  diag_also(d, of->name_loc, "`%s` is declared here", of->name);
  diag_help(d,
            "read elements that come before in the order of the axes, and guard those that have none before: `i == 0 ? "
            "0 : %s[i - 1]`",
            of->name);
  return false;
}

// Orders a circle's stages for n shared axes so that what is read in the same turn is made before; false: it cannot be.
static bool order_turn(Graph *g, int count, int *members, int n) {
  Arena *a = g->kx->ck->cx->arena;
  const TeTensor *const *t = g->kx->tensors.data;
  bool *waits = NEW_ARRAY(a, bool, count *count), *done = NEW_ARRAY(a, bool, count);
  int *order = NEW_ARRAY(a, int, count), placed = 0;
  Loc where;
  for (int i = 0; i < count; i++)
    for (int k = 0; k < count; k++) {
      if (i == k || !reads(g, members[i], members[k])) continue;
      Earlier e = reads_earlier(g->kx->ck, t[members[i]], t[members[k]], n, &where);
      if (e == NOT_EARLIER) return false;
      waits[i * count + k] = e == EARLIER_OR_SAME;
    }
  for (bool moved = true; moved && placed < count;) {
    moved = false;
    for (int i = 0; i < count; i++) {
      bool ready = !done[i];
      for (int k = 0; k < count; k++) ready &= !waits[i * count + k] || done[k];
      if (!ready) continue;
      done[i] = moved = true;
      order[placed++] = members[i];
    }
  }
  if (placed < count) return false;
  memcpy(members, order, (size_t)count * sizeof *order);
  return true;
}

// How many leading axes all have, with the same extents.
static int shared_axes(const TeTensor *const *t, int count, const int *members) {
  int n = t[members[0]]->naxes;
  for (int i = 1; i < count; i++) {
    const TeTensor *u = t[members[i]];
    if (u->naxes < n) n = u->naxes;
    for (int k = 0; k < n; k++)
      if (u->axes[k]->extent != t[members[0]]->axes[k]->extent) n = k;
  }
  return n;
}

// Whether every access of t in e has the stage's axis itself as its i-th index.
static bool keeps_axis(const TeExpr *e, const TeTensor *t, int i) {
  if (!e) return true;
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return true;
  case TE_UNARY:
  case TE_CAST: return keeps_axis(e->a, t, i);
  case TE_BINARY: return keeps_axis(e->a, t, i) && keeps_axis(e->b, t, i);
  case TE_SELECT: return keeps_axis(e->a, t, i) && keeps_axis(e->b, t, i) && keeps_axis(e->c, t, i);
  case TE_ACCESS:
    if (e->tensor == t && (e->args[i]->kind != TE_AXIS || e->args[i]->axis != t->axes[i])) return false;
    // fall through
  case TE_MATH:
    for (int k = 0; k < e->nargs; k++)
      if (!keeps_axis(e->args[k], t, i)) return false;
    return true;
  }
  return true;
}

// A circle of one or more stages: proves it, and notes how it is computed.
static bool check_circle(Graph *g, int id, int count, int *members) {
  Checker *ck = g->kx->ck;
  const TeTensor *const *tensors = g->kx->tensors.data;
  Loc where = {0};
  for (int i = 0; i < count; i++) { // alone, each steps back along its own axes
    const TeTensor *t = tensors[members[i]];
    if (reads(g, members[i], members[i]) && reads_earlier(ck, t, t, t->naxes, &where) != EARLIER)
      return refuse(g, t, t, where);
  }
  int n = 0, most = shared_axes(tensors, count, members);
  bool found = count == 1;
  while (!found && n < most) found = order_turn(g, count, members, ++n);
  if (!found)
    for (int i = 0; i < count; i++)
      for (int k = 0; k < count; k++)
        if (i != k && reads(g, members[i], members[k]) &&
            reads_earlier(ck, tensors[members[i]], tensors[members[k]], most, &where) != EARLIER)
          return refuse(g, tensors[members[i]], tensors[members[k]], where);
  if (!found) return refuse(g, tensors[members[0]], tensors[members[0]], tensors[members[0]]->name_loc);
  for (int i = 0; i < count; i++) {
    TeTensor *t = (TeTensor *)tensors[members[i]];
    t->circle = id;
    t->leading = count > 1 ? n : 0;
    for (int a = 0; a < t->naxes; a++)
      ((TeAxis *)t->axes[a])->carried = a < t->leading || !keeps_axis(t->body, t, a) || !keeps_axis(t->where, t, a);
  }
  return true;
}

bool order_circles(KernelCx *kx) {
  Arena *a = kx->ck->cx->arena;
  int n = (int)kx->tensors.len;
  Graph g = {.kx = kx, .nodes = NEW_ARRAY(a, Node, n)};
  for (int i = 0; i < n; i++) {
    Reader r = {a, &g.nodes[i]};
    if (kx->tensors.data[i]->body) te_any(kx->tensors.data[i]->body, add_read, &r);
    if (kx->tensors.data[i]->where) te_any(kx->tensors.data[i]->where, add_read, &r);
  }
  for (int i = 0; i < n; i++)
    if (!g.nodes[i].number) connect(&g, i);
  const TeTensor **order = NEW_ARRAY(a, const TeTensor *, n);
  int *members = NEW_ARRAY(a, int, n), placed = 0;
  for (int part = 1; part <= g.parts; part++) {
    int count = 0;
    for (int i = 0; i < n; i++)
      if (g.nodes[i].part == part) members[count++] = i;
    bool circle = count > 1 || reads(&g, members[0], members[0]);
    if (circle && !check_circle(&g, part, count, members)) return false;
    for (int i = 0; i < count; i++) order[placed++] = kx->tensors.data[members[i]];
  }
  for (int i = 0; i < n; i++) ((TeTensor *)order[i])->index = i;
  kx->k->tensors = order;
  return true;
}

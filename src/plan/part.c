// SPDX-License-Identifier: Apache-2.0
// A group as a kernel of its own: what it brings on chip are inputs, its root is the output. So a candidate is built
// and timed without the rest of the network, and groups that say the same, whatever they are called, are known by
// their text.
#include "plan/internal.h"

typedef struct Part {
  const Problem *p;
  Arena *arena;
  TeKernel *kernel;
  const TeTensor **from; // what stands at that place in the kernel that is planned
  TeRole *role;          // by TeTensor.index: what it becomes
  bool *taken;
  Text key;
} Part;

static int place_of(const Part *m, const TeTensor *t) {
  for (int i = 0; i < m->kernel->ntensors; i++)
    if (m->from[i] == t) return i;
  return -1;
}

static const TeExpr *read_copy(void *self, const TeExpr *e) {
  const Part *m = self;
  int place = e->kind == TE_ACCESS ? place_of(m, e->tensor) : -1;
  return place < 0 ? e : te_access(m->arena, m->kernel->tensors[place], e->args, e->loc);
}

static void take(Part *m, const TeTensor *t, TeRole role) {
  if (!m->taken[t->index]) m->role[t->index] = role;
  m->taken[t->index] = true;
}

static bool take_copied(void *self, const TeExpr *e) {
  if (e->kind == TE_ACCESS) take(self, e->tensor, TE_INPUT);
  return false;
}

// Small constants keep their values, which say what may overflow.
static void take_all(Part *m, const Group *g) {
  for (int i = 0; i < g->nloads; i++) {
    const Load *l = &g->loads[i];
    bool keeps = l->tensor->role == TE_CONSTANT && l->memory == IN_ACC;
    if (l->stage) te_any(l->tensor->body, take_copied, m);
    take(m, l->tensor, l->stage ? TE_COMPUTE : keeps ? TE_CONSTANT : TE_INPUT);
  }
  for (int i = 0; i < g->nmembers; i++) take(m, g->members[i], TE_COMPUTE);
  take(m, g->root, TE_OUTPUT);
}

// All stages, as they are now.
const TeKernel *scheduled_kernel(const Schedule *s) {
  Arena *a = s->cx->arena;
  int n = (int)s->stages.len;
  Part m = {.arena = a, .kernel = arena_copy(a, s->kernel, sizeof *s->kernel)};
  m.kernel->ntensors = 0;
  m.kernel->tensors = NEW_ARRAY(a, const TeTensor *, n + 1);
  m.from = NEW_ARRAY(a, const TeTensor *, n + 1);
  for (int i = 0; i < n; i++) {
    const Stage *st = s->stages.data[i];
    TeTensor *t = arena_copy(a, st->tensor, sizeof *t);
    t->index = i;
    if (st->body) t->body = te_map(a, st->body, read_copy, &m);
    if (st->where) t->where = te_map(a, st->where, read_copy, &m);
    m.from[i] = st->tensor;
    m.kernel->tensors[m.kernel->ntensors++] = t;
  }
  return m.kernel;
}

// In the order that they have in the kernel: in that order they are computed.
static void add(Part *m, const TeTensor *t) {
  TeTensor *n = arena_copy(m->arena, t, sizeof *t);
  n->index = n->order = m->kernel->ntensors;
  n->role = m->role[t->index];
  if (n->role == TE_INPUT) n->body = n->where = NULL, n->reduce = TE_NO_REDUCE, n->nraxes = 0, n->data = NULL;
  if (n->body) n->body = te_map(m->arena, t->body, read_copy, m);
  if (n->where) n->where = te_map(m->arena, t->where, read_copy, m);
  m->from[m->kernel->ntensors] = t;
  m->kernel->tensors[m->kernel->ntensors++] = n;
}

// ---- the key --------------------------------------------------------------------------------------------------------

static void put_expr(Part *m, const TeExpr *e) {
  Text *k = &m->key;
  const TeExpr *const *args = e->kind == TE_ACCESS || e->kind == TE_MATH ? e->args : NULL;
  text_add(k, "(%d.%d", (int)e->kind, (int)e->type);
  switch (e->kind) {
  case TE_CONST: text_add(k, " %llx", (unsigned long long)e->value.i); break;
  case TE_AXIS: text_add(k, " %c%d", e->axis->reduce ? 'r' : 'a', e->axis->index); break;
  case TE_ACCESS: text_add(k, " t%d", place_of(m, e->tensor)); break;
  case TE_MATH: text_add(k, " %d", (int)e->fn); break;
  case TE_UNARY: text_add(k, " %d", (int)e->unop); break;
  case TE_BINARY: text_add(k, " %d", (int)e->binop); break;
  case TE_CAST:
  case TE_SELECT: break;
  }
  for (int i = 0; args && i < e->nargs; i++) put_expr(m, args[i]);
  if (!args && e->kind != TE_CONST && e->kind != TE_AXIS) {
    put_expr(m, e->a);
    if (e->kind == TE_BINARY || e->kind == TE_SELECT) put_expr(m, e->b);
    if (e->kind == TE_SELECT) put_expr(m, e->c);
  }
  text_add(k, ")");
}

static void put_tensor(Part *m, int place) {
  const TeTensor *t = m->kernel->tensors[place], *from = m->from[place];
  text_add(&m->key, "t%d %d %d %d %d:", place, (int)t->role, (int)t->type, (int)t->reduce, t->circle);
  for (int i = 0; i < t->naxes; i++) text_add(&m->key, " %lld", (long long)t->axes[i]->extent);
  text_add(&m->key, " |");
  for (int i = 0; i < t->nraxes; i++) text_add(&m->key, " %lld", (long long)t->raxes[i]->extent);
  if (t->body) put_expr(m, from->body);
  if (t->where) put_expr(m, from->where);
  text_add(&m->key, "\n");
}

static void put_group(Part *m, const Group *g) {
  text_add(&m->key, "%d %d %d %d\n", place_of(m, g->root), g->gemm ? place_of(m, g->gemm) : -1, g->lane, g->channel);
  for (int i = 0; i < g->nmembers; i++) text_add(&m->key, " t%d", place_of(m, g->members[i]));
  for (int i = 0; i < g->nloads; i++) {
    const Load *l = &g->loads[i];
    text_add(&m->key, " t%d.%d.%d", place_of(m, l->tensor), l->stage, (int)l->memory);
  }
}

const TeKernel *group_kernel(const Problem *p, const Group *g, const char **key) {
  Arena *a = p->cx->arena;
  Part m = {.p = p, .arena = a, .kernel = NEW(a, TeKernel), .key = {.arena = a}};
  int n = p->kernel->ntensors;
  *m.kernel = *p->kernel;
  m.kernel->ntensors = 0;
  m.kernel->tensors = NEW_ARRAY(a, const TeTensor *, 2 * MOST_LOADS + MOST_MEMBERS + 1);
  m.from = NEW_ARRAY(a, const TeTensor *, 2 * MOST_LOADS + MOST_MEMBERS + 1);
  m.role = NEW_ARRAY(a, TeRole, n);
  m.taken = NEW_ARRAY(a, bool, n);
  take_all(&m, g);
  for (int i = 0; i < n; i++)
    if (m.taken[i]) add(&m, p->kernel->tensors[i]);
  for (int i = 0; i < m.kernel->ntensors; i++) put_tensor(&m, i);
  put_group(&m, g);
  *key = m.key.data;
  return m.kernel;
}

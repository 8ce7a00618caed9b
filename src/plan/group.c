// SPDX-License-Identifier: Apache-2.0
// What of a kernel can run on the accelerator, by what its expressions say: groups of stages that end in one that is
// stored. A stage that belongs to none gets the rule that it broke, where one is known.
#include "plan/internal.h"

#include <string.h>

// ---- index forms

static int axis_place(const TeTensor *t, const TeAxis *a) {
  for (int i = 0; i < t->naxes; i++)
    if (t->axes[i] == a) return i;
  for (int i = 0; i < t->nraxes; i++)
    if (t->raxes[i] == a) return t->naxes + i;
  return -1;
}

static bool add_form(const TeExpr *e, const TeTensor *t, int64_t times, int64_t *c, int64_t *coef) {
  int64_t k = 0, x;
  switch (e->kind) {
  case TE_CONST: return mul_ok(e->value.i, times, &x) && add_ok(*c, x, c);
  case TE_AXIS: {
    int place = axis_place(t, e->axis);
    return place >= 0 && add_ok(coef[place], times, &coef[place]);
  }
  case TE_CAST: return dtype_is_int(e->type) && dtype_is_int(e->a->type) && add_form(e->a, t, times, c, coef);
  case TE_UNARY: return e->unop == UN_NEG && add_form(e->a, t, -times, c, coef);
  case TE_BINARY: {
    bool left = e->a->kind == TE_CONST;
    if (e->binop == OP_ADD) return add_form(e->a, t, times, c, coef) && add_form(e->b, t, times, c, coef);
    if (e->binop == OP_SUB) return add_form(e->a, t, times, c, coef) && add_form(e->b, t, -times, c, coef);
    if (e->binop != OP_MUL || (!left && e->b->kind != TE_CONST)) return false;
    k = (left ? e->a : e->b)->value.i;
    if (!k) return true; // 0 times whatever it is
    return mul_ok(times, k, &x) && add_form(left ? e->b : e->a, t, x, c, coef);
  }
  case TE_ACCESS:
  case TE_SELECT:
  case TE_MATH: return false;
  }
  return false;
}

bool index_form(const TeExpr *e, const TeTensor *t, int64_t *c, int64_t *coef) {
  *c = 0;
  memset(coef, 0, (size_t)(t->naxes + t->nraxes) * sizeof *coef);
  return add_form(e, t, 1, c, coef);
}

// The form of an access's place in its tensor, row-major.
static bool linear_form(const TeExpr *access, const TeTensor *t, int64_t *coef) {
  int n = t->naxes + t->nraxes;
  int64_t one[2 * MOST_AXES], c, stride = 1;
  memset(coef, 0, (size_t)n * sizeof *coef);
  for (int d = access->nargs; d-- > 0; stride *= access->tensor->axes[d]->extent) {
    if (!index_form(access->args[d], t, &c, one)) return false;
    for (int i = 0; i < n; i++) coef[i] += one[i] * stride;
  }
  return true;
}

// ---- sums of products

static const TeExpr *without_casts(const TeExpr *e) {
  while (e->kind == TE_CAST && dtype_is_int(e->type) && dtype_is_signed(e->type) && dtype_is_int(e->a->type) &&
         dtype_bits(e->type) >= dtype_bits(e->a->type))
    e = e->a;
  return e;
}

// Why t, a sum, cannot be tiles of vta.gemm with x in vta.inp and y in vta.wgt; NULL: it can.
static const char *fits_gemm(const VtaTarget *v, Arena *a, const TeTensor *t, const TeExpr *x, const TeExpr *y,
                             Product *out) {
  int64_t cx[2 * MOST_AXES], cy[2 * MOST_AXES], in = v->inp.cols, cols = v->acc.cols, rows = v->acc.rows, stride = 1;
  if (!linear_form(x, t, cx) || !linear_form(y, t, cy)) return "an index of an operand is no sum of multiples of axes";
  int r = -1;
  for (int i = 0; i < t->nraxes; i++)
    if (cx[t->naxes + i] == 1 && cy[t->naxes + i] == 1 && t->raxes[i]->extent % in == 0) r = i;
  if (r < 0)
    return arena_printf(a, "no reduction axis of a multiple of %lld runs over neighbours in both `%s` and `%s`",
                        (long long)in, x->tensor->name, y->tensor->name);
  for (int i = t->naxes; i-- > 0; stride *= t->axes[i]->extent) {
    bool col = stride < cols, row = !col && stride < cols * rows;
    if (col && (cx[i] != 0 || cy[i] != in * stride || (stride * t->axes[i]->extent) % cols))
      return arena_printf(a, "along `%s`, `%s` has no tiles of %lld x %lld", t->axes[i]->name, y->tensor->name,
                          (long long)cols, (long long)in);
    if (row && t->axes[i]->extent > 1 && (cx[i] != in * (stride / cols) || cy[i] != 0))
      return arena_printf(a, "along `%s`, `%s` has no tiles of %lld x %lld", t->axes[i]->name, x->tensor->name,
                          (long long)rows, (long long)in);
  }
  for (int i = 0; i < t->naxes + t->nraxes; i++) {
    bool lanes = i == t->naxes + r, ext1 = (i < t->naxes ? t->axes[i] : t->raxes[i - t->naxes])->extent == 1;
    if (i < t->naxes) {
      int64_t s = 1;
      for (int k = t->naxes; --k > i;) s *= t->axes[k]->extent;
      lanes = s < cols * rows;
    }
    if (lanes || ext1) continue;
    if (cx[i] % (in * rows) || cy[i] % (in * cols))
      return arena_printf(a, "`%s` moves an operand by parts of a tile",
                          (i < t->naxes ? t->axes[i] : t->raxes[i - t->naxes])->name);
  }
  *out = (Product){x, y, r, -1};
  return NULL;
}

// The dimension of an access whose index is that axis of t (by place, reduction axes last) and nothing else; -1: there
// is none, or the axis is in others too.
int access_axis(const TeExpr *access, const TeTensor *t, int place) {
  int64_t c, coef[2 * MOST_AXES];
  int found = -1, n = t->naxes + t->nraxes;
  for (int d = 0; d < access->nargs; d++) {
    if (!index_form(access->args[d], t, &c, coef)) return -1;
    if (!coef[place]) continue;
    bool alone = found < 0 && coef[place] == 1 && c == 0;
    for (int i = 0; i < n && alone; i++) alone = i == place || !coef[i];
    if (!alone) return -1;
    found = d;
  }
  return found;
}

static bool moves_with(const TeExpr *access, const TeTensor *t, int place) {
  int64_t c, coef[2 * MOST_AXES];
  for (int d = 0; d < access->nargs; d++)
    if (!index_form(access->args[d], t, &c, coef) || coef[place]) return true;
  return false;
}

// Whether t becomes tiles of vta.gemm once its operands are stored in blocks: an axis of the reduction stands alone in
// both, one of the result alone in y.
static bool fits_packed(const VtaTarget *v, const TeTensor *t, const TeExpr *x, const TeExpr *y, Product *out) {
  if (v->acc.rows > 1) return false;
  int lane = -1, channel = -1;
  for (int i = t->nraxes; i-- > 0;)
    if (access_axis(x, t, t->naxes + i) >= 0 && access_axis(y, t, t->naxes + i) >= 0) lane = i;
  for (int i = t->naxes; i-- > 0;)
    if (access_axis(y, t, i) >= 0 && !moves_with(x, t, i)) channel = i;
  *out = (Product){x, y, lane, channel};
  return lane >= 0 && channel >= 0;
}

bool is_product(const Problem *p, const TeTensor *t, Product *out, const char **rule) {
  Arena *a = p->cx->arena;
  *rule = NULL;
  if (!t->body || (t->reduce != TE_SUM && t->reduce != TE_DOT)) return false;
  const TeExpr *e = without_casts(t->body);
  if (e->kind != TE_BINARY || e->binop != OP_MUL) return false;
  const TeExpr *x = without_casts(e->a), *y = without_casts(e->b);
  if (dtype_is_float(t->type))
    *rule = arena_printf(a, "its products are %s, and vta.gemm multiplies int8", dtype_name(t->type));
  else if (t->where) *rule = "its points are chosen by `where`, and vta.gemm sums all";
  else if (t->naxes + t->nraxes > MOST_AXES) *rule = "it has too many axes";
  else if (t->type != DT_I32)
    *rule = arena_printf(a, "its sums are %s, and vta.gemm sums in int32", dtype_name(t->type));
  else if (x->kind != TE_ACCESS || y->kind != TE_ACCESS)
    *rule = "an operand is computed where it is multiplied: give it a stage of its own";
  else if (x->type != DT_I8 || y->type != DT_I8)
    *rule = arena_printf(a, "`%s` is %s, and vta.gemm multiplies int8", (x->type != DT_I8 ? x : y)->tensor->name,
                         dtype_name((x->type != DT_I8 ? x : y)->type));
  else if (x->tensor == y->tensor) *rule = "both operands are the same tensor";
  if (*rule) return true;
  *rule = fits_gemm(p->options->vta, a, t, x, y, out);
  Product other;
  const char *no = *rule ? fits_gemm(p->options->vta, a, t, y, x, &other) : NULL;
  if (*rule && !no) *rule = NULL, *out = other;
  else if (*rule && (fits_packed(p->options->vta, t, x, y, out) || fits_packed(p->options->vta, t, y, x, out)))
    *rule = NULL;
  return true;
}

// ---- copies and the ALU

static bool reads_something(void *self, const TeExpr *e) {
  (void)self;
  return e->kind == TE_ACCESS;
}

const TeExpr *copied(const TeExpr *e) {
  if (e->kind == TE_SELECT && !te_any(e->a, reads_something, NULL)) {
    bool zero_c = e->c->kind == TE_CONST && !dtype_is_float(e->type) && e->c->value.i == 0;
    bool zero_b = e->b->kind == TE_CONST && !dtype_is_float(e->type) && e->b->value.i == 0;
    return zero_c ? copied(e->b) : zero_b ? copied(e->c) : NULL;
  }
  return e->kind == TE_ACCESS ? e : NULL;
}

static bool is_copy(const TeTensor *t, DType from) {
  if (!t->body || t->reduce != TE_NO_REDUCE || t->role != TE_COMPUTE) return false;
  const TeExpr *e = copied(t->body->kind == TE_CAST ? t->body->a : t->body);
  return e && e->type == from;
}

// A copy of int32 data that the host has: it is the host's, too.
static bool is_host_copy(const TeTensor *t) {
  return t->type == DT_I32 && is_copy(t, DT_I32) && !copied(t->body)->tensor->body;
}

// int8 data that is widened where it is read: a copy on chip can be wide.
static bool is_widened(const TeExpr *e) {
  return e->kind == TE_CAST && e->type == DT_I32 && e->a->kind == TE_ACCESS && e->a->type == DT_I8;
}

static bool is_foreign(void *self, const TeExpr *e) { // to the ALU
  const char **why = self;
  if (e->kind == TE_MATH && e->fn != FN_ABS) *why = "the ALU has no such function";
  if (e->kind == TE_ACCESS && e->type != DT_I32)
    *why = "the ALU reads int32: let a stage of its own widen what it reads";
  if (dtype_is_float(e->type)) *why = "the ALU computes with integers";
  return *why || e->kind == TE_ACCESS;
}

// Visits what e does, not the indices of its accesses.
static const char *alu_rule(const TeExpr *e) {
  const char *why = NULL;
  is_foreign(&why, e);
  if (why || e->kind == TE_ACCESS || is_widened(e)) return why;
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS:
  case TE_ACCESS: return NULL;
  case TE_SELECT:
    why = alu_rule(e->c);
    // fall through
  case TE_BINARY:
    why = why ? why : alu_rule(e->b);
    // fall through
  case TE_UNARY:
  case TE_CAST: return why ? why : alu_rule(e->a);
  case TE_MATH:
    for (int i = 0; i < e->nargs && !why; i++) why = alu_rule(e->args[i]);
    return why;
  }
  return why;
}

// ---- groups

typedef struct Finder {
  Problem *p;
  Group *g;
  const char *rule;
} Finder;

bool group_has(const Group *g, const TeTensor *t) {
  for (int i = 0; i < g->nmembers; i++)
    if (g->members[i] == t) return true;
  for (int i = 0; i < g->nloads; i++)
    if (g->loads[i].tensor == t && g->loads[i].stage) return true;
  return g->root == t;
}

static bool read_by_group(const Finder *f, const TeTensor *t) {
  for (int i = 0; i < f->p->nreaders[t->index]; i++)
    if (!group_has(f->g, f->p->kernel->tensors[f->p->readers[t->index][i]])) return false;
  return true;
}

static void add_load(Finder *f, const TeTensor *t, const TeTensor *reader, Memory m) {
  Group *g = f->g;
  for (int i = 0; i < g->nloads; i++)
    if (g->loads[i].tensor == t && g->loads[i].memory == m) return;
  if (g->nloads == MOST_LOADS) {
    f->rule = "it reads too many tensors";
    return;
  }
  DType from = DT_I8;
  bool stage = t->type == (m == IN_ACC ? DT_I32 : DT_I8) && is_copy(t, from);
  // A copy that others read too stays with the CPU, and is copied.
  for (int i = 0; stage && i < f->p->nreaders[t->index]; i++)
    stage = f->p->kernel->tensors[f->p->readers[t->index][i]] == reader;
  g->loads[g->nloads++] = (Load){.tensor = t, .reader = reader, .stage = stage, .memory = m};
}

static void visit(Finder *f, const TeTensor *t);

static bool visit_reads(void *self, const TeExpr *e) {
  struct {
    Finder *f;
    const TeTensor *t;
  } *v = self;
  if (e->kind == TE_ACCESS && !v->f->rule) {
    const TeTensor *u = e->tensor;
    Product product;
    const char *rule;
    bool computed = u->body && u->role == TE_COMPUTE && !u->circle;
    if (u->type == DT_I8) add_load(v->f, u, v->t, IN_ACC);
    else if (computed && (is_copy(u, DT_I8) || is_host_copy(u))) add_load(v->f, u, v->t, IN_ACC);
    else if (computed &&
             ((is_product(v->f->p, u, &product, &rule) && !rule) || (!alu_rule(u->body) && u->type == DT_I32)))
      visit(v->f, u);
    else if (u->type == DT_I32) add_load(v->f, u, v->t, IN_ACC);
    else v->f->rule = arena_printf(v->f->p->cx->arena, "it needs `%s`, of %s", u->name, dtype_name(u->type));
  }
  return v->f->rule != NULL;
}

static void add_member(Finder *f, const TeTensor *t) {
  if (f->g->nmembers == MOST_MEMBERS) f->rule = "it has too many stages";
  else f->g->members[f->g->nmembers++] = t;
}

// Takes a stage on chip, what it reads first.
static void visit(Finder *f, const TeTensor *t) {
  if (f->rule || group_has(f->g, t)) return;
  Product product;
  const char *rule;
  if (is_product(f->p, t, &product, &rule) && !rule) {
    if (f->g->gemm) {
      f->rule = "it needs two sums of products at a time";
      return;
    }
    f->g->gemm = t;
    f->g->lane = product.lane;
    f->g->channel = product.channel;
    add_load(f, product.inp->tensor, t, IN_INP);
    add_load(f, product.wgt->tensor, t, IN_WGT);
  } else {
    struct {
      Finder *f;
      const TeTensor *t;
    } v = {f, t};
    te_any(t->body, visit_reads, &v);
    if (t->where && !f->rule) f->rule = "its points are chosen by `where`";
  }
  if (!f->rule) add_member(f, t);
}

// Whether an axis list ends with those of a tile: what is stored is whole tiles.
static bool has_lanes(const VtaTarget *v, const TeTensor *t) {
  if (!t->naxes || t->axes[t->naxes - 1]->extent % v->acc.cols) return false;
  return v->acc.rows == 1 ||
         (t->naxes > 1 && t->axes[t->naxes - 1]->extent == v->acc.cols && t->axes[t->naxes - 2]->extent == v->acc.rows);
}

// A group that ends in t; NULL: there is none, and p->rule says why.
static Group *group_of(Problem *p, const TeTensor *t) {
  Group *g = NEW(p->cx->arena, Group);
  Finder f = {p, g, NULL};
  const VtaTarget *v = p->options->vta;
  g->root = t;
  g->narrows = p->narrows[t->index];
  g->channel = -1;
  if (t->circle) f.rule = "it is computed from its earlier elements";
  else if (t->reduce != TE_NO_REDUCE || t->type != DT_I8) f.rule = "vta.store writes int8: end in `int8(...)`";
  else if (t->naxes > MOST_AXES) f.rule = "it has too many axes";
  else if (t->body->kind != TE_CAST || t->body->a->type != DT_I32) f.rule = "it is not a cast of int32";
  const TeExpr *e = f.rule ? NULL : t->body->a;
  if (e && !f.rule) f.rule = alu_rule(e);
  if (e && !f.rule) {
    struct {
      Finder *f;
      const TeTensor *t;
    } s = {&f, t};
    g->computes = e->kind != TE_ACCESS;
    te_any(e, visit_reads, &s);
  }
  if (!f.rule && g->channel < 0 && !has_lanes(v, t))
    f.rule = arena_printf(p->cx->arena, "its last axes are no tiles of %lld x %lld", (long long)v->acc.rows,
                          (long long)v->acc.cols);
  if (!f.rule && g->channel >= 0) f.rule = blocks_rule(p, g);
  for (int i = 0; i < g->nmembers && !f.rule; i++)
    if (!read_by_group(&f, g->members[i]))
      f.rule = arena_printf(p->cx->arena, "others read `%s` too", g->members[i]->name);
  if (!f.rule && !g->nmembers && !g->computes) f.rule = "it only copies";
  // What the CPU computed as int32 would cross the bus in four bytes, only to be narrowed.
  for (int i = 0; i < g->nloads && !f.rule && !g->gemm; i++) {
    const TeTensor *u = g->loads[i].tensor;
    if (g->loads[i].memory != IN_ACC || !u->body || is_copy(u, DT_I8)) continue;
    f.rule = arena_printf(p->cx->arena, "it reads `%s`, which runs on the CPU", u->name);
  }
  p->rule[t->index] = f.rule;
  return f.rule ? NULL : g;
}

// ---- the problem

typedef struct Reading {
  Problem *p;
  int reader;
} Reading;

static bool note_read(void *self, const TeExpr *e) {
  const Reading *r = self;
  if (e->kind != TE_ACCESS) return false;
  int t = e->tensor->index, n = r->p->nreaders[t];
  if (n && r->p->readers[t][n - 1] == r->reader) return false;
  if (!r->p->readers[t]) r->p->readers[t] = NEW_ARRAY(r->p->cx->arena, int, r->p->kernel->ntensors);
  r->p->readers[t][r->p->nreaders[t]++] = r->reader;
  return false;
}

static void take_group(Problem *p, const Group *g) {
  VEC_PUSH(p->cx->arena, p->groups, g);
  for (int i = 0; i < p->kernel->ntensors; i++)
    if (group_has(g, p->kernel->tensors[i])) p->group[i] = g;
}

void problem_read(Problem *p) {
  int n = p->kernel->ntensors;
  Arena *a = p->cx->arena;
  p->readers = NEW_ARRAY(a, int *, n + 1);
  p->nreaders = NEW_ARRAY(a, int, n + 1);
  p->group = NEW_ARRAY(a, const Group *, n + 1);
  p->rule = NEW_ARRAY(a, const char *, n + 1);
  for (int i = 0; i < n; i++) {
    const TeTensor *t = p->kernel->tensors[i];
    Reading r = {p, i};
    if (t->body) te_any(t->body, note_read, &r);
    if (t->where) te_any(t->where, note_read, &r);
  }
  for (int i = n; i-- > 0;) {
    const TeTensor *t = p->kernel->tensors[i];
    if (!t->body || p->group[i]) continue;
    Group *g = group_of(p, t);
    Product product;
    const char *rule;
    if (g) take_group(p, g);
    else if (is_product(p, t, &product, &rule) && rule) p->rule[i] = rule;
  }
}

// SPDX-License-Identifier: Apache-2.0
// Recognition: the stores of a region, and what each of them copies. A stored value is a tree of casts and selects
// over leaves; it is a copy when the leaves are one load and zeros. Two different loads make two copies, each guarded
// by the condition that chooses it.
#include "passes/inject_copy/internal.h"

// ---- the value ------------------------------------------------------------------------------------------------------

// An end of a value's tree: how it is reached, and the casts on the way, outermost first.
typedef struct Leaf {
  const Expr *expr;
  CondVec path;
  VEC(DType) casts;
} Leaf;
typedef VEC(Leaf) LeafVec;

#define LEAVES_MAX 500 // ends that a value's tree may have

static CondVec conds_with(Ctx *cx, const CondVec *old, const Expr *e, bool negated) {
  CondVec out = {0};
  for (size_t i = 0; i < old->len; i++) VEC_PUSH(cx->arena, out, old->data[i]);
  VEC_PUSH(cx->arena, out, ((Cond){e, negated}));
  return out;
}

// Adds the leaves of e to out. Branches that the known ranges exclude are left out.
static void value_leaves(CopyCx *c, const Expr *e, Leaf at, LeafVec *out) {
  Ctx *cx = c->cx;
  int64_t known;
  bool many = out->len >= LEAVES_MAX; // a tangle of choices: the rest counts as computing
  switch (many ? EXPR_MATH : e->kind) {
  case EXPR_CAST: {
    Leaf inner = {.path = at.path};
    for (size_t i = 0; i < at.casts.len; i++) VEC_PUSH(cx->arena, inner.casts, at.casts.data[i]);
    VEC_PUSH(cx->arena, inner.casts, e->type);
    value_leaves(c, e->a, inner, out);
    return;
  }
  case EXPR_SELECT: {
    const Expr *cond = expr_simplify(cx, &c->ranges, e->a);
    if (expr_is_int(cond, &known)) {
      value_leaves(c, known ? e->b : e->c, at, out);
      return;
    }
    Leaf yes = at, no = at;
    yes.path = conds_with(cx, &at.path, e->a, false);
    no.path = conds_with(cx, &at.path, e->a, true);
    value_leaves(c, e->b, yes, out);
    value_leaves(c, e->c, no, out);
    return;
  }
  case EXPR_INT:
  case EXPR_FLOAT:
  case EXPR_VAR:
  case EXPR_UNARY:
  case EXPR_BINARY:
  case EXPR_LOAD:
  case EXPR_REF:
  case EXPR_MATH:
    at.expr = e;
    VEC_PUSH(cx->arena, *out, at);
    return;
  }
}

// A constant after the casts above it.
static Scalar leaf_constant(const Leaf *l, DType *type) {
  Scalar s = l->expr->value;
  *type = l->expr->type;
  for (size_t i = l->casts.len; i > 0; i--) {
    s = scalar_cast(l->casts.data[i - 1], *type, s);
    *type = l->casts.data[i - 1];
  }
  return s;
}

static bool leaf_is_constant(const Leaf *l) { return l->expr->kind == EXPR_INT || l->expr->kind == EXPR_FLOAT; }

static bool leaf_is_zero(const Leaf *l) {
  DType type;
  if (!leaf_is_constant(l)) return false;
  Scalar s = leaf_constant(l, &type);
  return dtype_is_float(type) ? s.f == 0 : s.i == 0;
}

// ---- types ----------------------------------------------------------------------------------------------------------

static bool casts_keep_bits(const Leaf *l, int bits) {
  for (size_t i = 0; i < l->casts.len; i++) {
    DType t = l->casts.data[i];
    if (!dtype_is_int(t) || dtype_bits(t) < bits) return false;
  }
  return true;
}

// Whether the casts of an 8-bit value do what the hardware does with its bits: keep them, or extend the sign. All 256
// values are tried.
static bool casts_fit_bytes(const Leaf *l, DType to) {
  DType from = l->expr->type;
  int values = from == DT_BOOL ? 2 : 256;
  for (int v = 0; v < values; v++) {
    Scalar s = {.i = from == DT_BOOL ? v : wrap_int(from, v)};
    DType type = from;
    for (size_t i = l->casts.len; i > 0; i--) {
      s = scalar_cast(l->casts.data[i - 1], type, s);
      type = l->casts.data[i - 1];
    }
    if (dtype_is_float(type) || wrap_int(to, s.i) != wrap_int(to, (int8_t)v)) return false;
  }
  return true;
}

// Whether a transfer makes the conversion from a load's type through its casts to the stored type.
static bool conversion_fits(const Leaf *l, CopyKind kind, const Buffer *to) {
  DType from = l->expr->type;
  const Buffer *chip = kind == COPY_STORE ? l->expr->buffer : to;
  if (chip->type != chip->scope->type) return false;
  if (kind == COPY_STORE) return dtype_is_int(to->type) && dtype_bits(to->type) == 8 && casts_keep_bits(l, 8);
  if (dtype_bits(from) == 8) return casts_fit_bytes(l, to->type);
  return dtype_is_int(from) && dtype_bits(from) == dtype_bits(to->type) && casts_keep_bits(l, dtype_bits(from));
}

// Which way a copy goes; false if no transfer joins the two memories.
static bool copy_direction(const CopyCx *c, const Buffer *from, const Buffer *to, CopyKind *kind) {
  if (from->scope == &scope_host && to->scope != &scope_host) return *kind = COPY_LOAD, true;
  if (from->scope == &c->vta->acc && to->scope == &scope_host) return *kind = COPY_STORE, true;
  return false;
}

// ---- the parts together ---------------------------------------------------------------------------------------------

typedef struct Origin {
  const Buffer *to;  // what is stored: a reduction reads it too, but does not come from there; NULL: none
  const Expr *found; // the load of the largest array: what a computing copy is mostly about
} Origin;

static bool find_load(void *self, const Expr *e) {
  Origin *s = self;
  if (e->kind != EXPR_LOAD) return true;
  if (e->buffer != s->to && (!s->found || buffer_elems(e->buffer) > buffer_elems(s->found->buffer))) s->found = e;
  return false;
}

// The first condition on the way to a leaf that reads data; NULL if there is none.
static const Expr *data_condition(const Leaf *l) {
  for (size_t k = 0; k < l->path.len; k++) {
    Origin read = {0};
    expr_visit(l->path.data[k].expr, find_load, &read);
    if (read.found) return l->path.data[k].expr;
  }
  return NULL;
}

// Reports the conditions that read data: to choose by data is to compute.
static bool refuse_data_conditions(CopyCx *c, const CopyStore *s, const LeafVec *leaves) {
  bool any = false;
  for (size_t i = 0; i < leaves->len; i++) {
    const Expr *cond = data_condition(&leaves->data[i]);
    if (cond) explain_computes(c, s, cond);
    any |= cond != NULL;
  }
  return any;
}

// The load of the leaves, where they are one load and zeros. Otherwise says what else there is, and returns the load
// that comes nearest (NULL if there is none), so that its own faults are told too.
static const Leaf *leaves_load(CopyCx *c, const CopyStore *s, const LeafVec *leaves, bool *fine) {
  const Leaf *load = NULL;
  for (size_t i = 0; i < leaves->len; i++)
    if (leaves->data[i].expr->kind == EXPR_LOAD && !load) load = &leaves->data[i];
  for (size_t i = 0; i < leaves->len; i++) {
    Leaf *l = &leaves->data[i];
    if (l->expr->kind == EXPR_LOAD || leaf_is_zero(l)) continue;
    *fine = false;
    if (leaf_is_constant(l)) {
      if (!copy_is_reduced(c, s->store->buffer)) explain_fill(c, s, l->expr);
      c->failed = true; // of a reduction, the update tells
      continue;
    }
    explain_computes(c, s, l->expr);
    Origin from = {.to = s->store->buffer};
    expr_visit(l->expr, find_load, &from);
    if (!load && from.found) {
      l->expr = from.found;
      load = l;
    }
  }
  return load;
}

// The conditions of a path as one expression.
static const Expr *path_expr(Ctx *cx, const CondVec *path) {
  const Expr *all = expr_int(cx, DT_BOOL, 1);
  for (size_t i = 0; i < path->len; i++) {
    const Expr *e = path->data[i].expr;
    all = expr_binary(cx, OP_LAND, all, path->data[i].negated ? expr_unary(cx, UN_NOT, e) : e);
  }
  return all;
}

// Under which conditions the load is read, when other leaves are zero.
static CondVec leaves_pads(CopyCx *c, const LeafVec *leaves) {
  CondVec out = {0};
  const Expr *any = NULL;
  const Leaf *load = NULL, *zero = NULL;
  int loads = 0, zeros = 0;
  for (size_t i = 0; i < leaves->len; i++) {
    const Leaf *l = &leaves->data[i];
    if (l->expr->kind == EXPR_LOAD) {
      load = l;
      loads++;
      any = any ? expr_binary(c->cx, OP_LOR, any, path_expr(c->cx, &l->path)) : path_expr(c->cx, &l->path);
    } else {
      zero = l;
      zeros++;
    }
  }
  if (zeros == 0) return out;
  if (loads == 1) return load->path;
  VEC_PUSH(c->cx->arena, out, (zeros == 1 ? (Cond){path_expr(c->cx, &zero->path), true} : (Cond){any, false}));
  return out;
}

bool copy_recognise(CopyCx *c, const CopyStore *s, CopyValue *out) {
  LeafVec leaves = {0};
  bool fine = true;
  const Buffer *to = s->store->buffer;
  value_leaves(c, s->value, (Leaf){0}, &leaves);
  if (refuse_data_conditions(c, s, &leaves)) return false;
  const Leaf *load = leaves_load(c, s, &leaves, &fine);
  *out = (CopyValue){.kind = COPY_ZERO, .chip = to};
  if (!load) {
    if (!fine) return false;
    if (to->scope != &scope_host) return true;
    if (!copy_is_reduced(c, to)) explain_store_pads(c, s);
    c->failed = true; // of a reduction, the update tells
    return false;
  }
  const Buffer *from = load->expr->buffer;
  out->load = load->expr;
  if (!copy_direction(c, from, to, &out->kind)) return explain_scopes(c, s, load->expr), false;
  out->chip = out->kind == COPY_LOAD ? to : from;
  out->dram = out->kind == COPY_LOAD ? from : to;
  if (!fine) {
    // The value computes; its conversion is unknown, but the ends tell whether a transfer could join them.
    if (out->kind == COPY_STORE && dtype_bits(to->type) != 8) explain_types(c, s, load->expr);
    return true; // the caller goes on to find more faults
  }
  out->pads = leaves_pads(c, &leaves);
  if (!conversion_fits(load, out->kind, to)) return explain_types(c, s, load->expr), false;
  if (out->kind == COPY_STORE && out->pads.len) return explain_store_pads(c, s), false;
  return true;
}

// ---- the region -----------------------------------------------------------------------------------------------------

static const Stmt *lower_stmt(CopyCx *c, const Stmt *s, const CopyStore *around);

static void enter_loops(CopyCx *c, const StmtVec *loops) {
  for (size_t i = 0; i < loops->len; i++)
    copy_enter_loop(c, loops->data[i]->var, loops->data[i]->min, loops->data[i]->extent);
}

// Whether the value of s has two different loads; then *select is the select that parts them.
static bool value_parts(CopyCx *c, const CopyStore *s, const Expr **select) {
  LeafVec leaves = {0};
  const Expr *first = NULL, *at = s->value;
  bool two = false;
  value_leaves(c, s->value, (Leaf){0}, &leaves);
  for (size_t i = 0; i < leaves.len; i++) {
    const Expr *e = leaves.data[i].expr;
    if (data_condition(&leaves.data[i])) return false; // no copy at all
    if (e->kind != EXPR_LOAD) continue;
    two |= first && !expr_equal(first, e);
    first = first ? first : e;
  }
  while (at->kind == EXPR_CAST) at = at->a;
  *select = at;
  return two && at->kind == EXPR_SELECT;
}

// e with the select under its casts replaced by one of its branches.
static const Expr *choose_branch(Ctx *cx, const Expr *e, const Expr *branch) {
  return e->kind == EXPR_CAST ? expr_at(cx, expr_cast(cx, e->type, choose_branch(cx, e->a, branch)), e->loc) : branch;
}

// One store with all that is around it in the region.
static const Stmt *lower_store(CopyCx *c, const CopyStore *s) {
  const Expr *select;
  CopyValue value;
  CopyNest nest;
  size_t known = c->ranges.len;
  enter_loops(c, &s->loops);
  c->around.len -= s->loops.len;
  const Stmt *out = stmt_nop(c->cx);
  if (value_parts(c, s, &select)) {
    c->ranges.len = known;
    CopyStore yes = *s, no = *s;
    yes.guards = conds_with(c->cx, &s->guards, select->a, false);
    no.guards = conds_with(c->cx, &s->guards, select->a, true);
    yes.value = choose_branch(c->cx, s->value, select->b);
    no.value = choose_branch(c->cx, s->value, select->c);
    yes.apart = no.apart = true;
    out = lower_store(c, &yes);
    return stmt_seq2(c->cx, out, lower_store(c, &no));
  }
  bool copies = copy_recognise(c, s, &value);
  if (copies && nest_normalise(c, s, &value, &nest) && !c->failed) out = nest_cut(c, &nest);
  c->ranges.len = known;
  return out;
}

// ---- several statements in one nest ---------------------------------------------------------------------------------

// The stores below s, each with the loops between s and it.
typedef VEC(CopyStore) StoreVec;

static void find_stores(CopyCx *c, const Stmt *s, CopyStore at, StoreVec *out) {
  switch (s->kind) {
  case STMT_STORE:
    at.store = s;
    VEC_PUSH(c->cx->arena, *out, at);
    return;
  case STMT_FOR: {
    CopyStore in = {0};
    for (size_t i = 0; i < at.loops.len; i++) VEC_PUSH(c->cx->arena, in.loops, at.loops.data[i]);
    VEC_PUSH(c->cx->arena, in.loops, s);
    find_stores(c, s->body, in, out);
    return;
  }
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) find_stores(c, s->children[i], at, out);
    return;
  case STMT_IF:
    find_stores(c, s->body, at, out);
    if (s->else_body) find_stores(c, s->else_body, at, out);
    return;
  case STMT_ALLOC:
  case STMT_INTRIN:
    if (s->body) find_stores(c, s->body, at, out);
    return;
  }
}

static bool same_place(const CopyStore *a, const CopyStore *b) {
  if (a->loops.len || b->loops.len) return false;
  for (int i = 0; i < a->store->nargs; i++)
    if (!expr_equal(a->store->args[i], b->store->args[i])) return false;
  return true;
}

// The bounds of dimension d of a store over all its loops, the variables outside of `around` left as they are: their
// part is returned, and must be equal for two bounds to be compared.
static bool dimension_bounds(CopyCx *c, const CopyStore *around, const CopyStore *s, int d, Affine *fixed, int64_t *lo,
                             int64_t *hi) {
  bool ok = true;
  Affine inner = {0};
  *fixed = affine_of(c->cx, s->store->args[d], &ok);
  const StmtVec *sets[2] = {&around->loops, &s->loops};
  for (int k = 0; k < 2; k++)
    for (size_t i = 0; i < sets[k]->len; i++) {
      const Var *v = sets[k]->data[i]->var;
      int64_t coef = affine_coef(fixed, v);
      Affine one = affine_of(c->cx, expr_var(c->cx, v), NULL);
      *fixed = affine_without(c->cx, fixed, v);
      if (affine_mentions(fixed, v)) return false;
      inner = affine_add(c->cx, &inner, coef, &one);
    }
  inner.constant = fixed->constant;
  fixed->constant = 0;
  return ok && affine_bounds(c, &inner, lo, hi);
}

// Whether two stores below the loops of `around` never write the same element.
static bool apart_always(CopyCx *c, const CopyStore *around, const CopyStore *a, const CopyStore *b) {
  for (int d = 0; d < a->store->nargs; d++) {
    Affine fa, fb;
    int64_t alo, ahi, blo, bhi;
    if (dimension_bounds(c, around, a, d, &fa, &alo, &ahi) && dimension_bounds(c, around, b, d, &fb, &blo, &bhi) &&
        affine_equal(&fa, &fb) && (ahi < blo || bhi < alo))
      return true;
  }
  return false;
}

// Whether the statements of s may each have the loops of `around` for themselves: no two stores write one element in
// different iterations. *apart: they write the same elements, which is right only if each is written once by either.
static bool may_distribute(CopyCx *c, const Stmt *s, const CopyStore *around, bool *apart) {
  StoreVec stores = {0};
  size_t known = c->ranges.len;
  bool fine = true;
  find_stores(c, s, (CopyStore){0}, &stores);
  enter_loops(c, &around->loops);
  for (size_t i = 0; i < stores.len; i++) enter_loops(c, &stores.data[i].loops);
  c->around.len -= c->ranges.len - known;
  for (size_t i = 0; fine && i < stores.len; i++)
    for (size_t k = i + 1; fine && k < stores.len; k++) {
      const CopyStore *a = &stores.data[i], *b = &stores.data[k];
      if (a->store->buffer != b->store->buffer) continue;
      if (same_place(a, b)) *apart = true;
      else fine = apart_always(c, around, a, b);
    }
  c->ranges.len = known;
  return fine;
}

// Wraps s, lowered with the loops and guards of `around` as host code, in them.
static const Stmt *wrap_host(CopyCx *c, const CopyStore *around, const Stmt *s) {
  for (size_t i = around->guards.len; i > 0; i--) {
    const Cond *g = &around->guards.data[i - 1];
    s = stmt_if(c->cx, g->negated ? expr_unary(c->cx, UN_NOT, g->expr) : g->expr, s, NULL);
  }
  for (size_t i = around->loops.len; i > 0; i--) {
    const Stmt *l = around->loops.data[i - 1];
    s = stmt_placed(c->cx, stmt_for(c->cx, l->var, l->min, l->extent, FOR_SERIAL, s), l->loc, l->why);
  }
  return s;
}

// The statements of s one by one: each with the loops around for itself where that is right, else all inside them.
static const Stmt *lower_several(CopyCx *c, const Stmt *s, const CopyStore *around) {
  CopyStore each = *around;
  bool host = !may_distribute(c, s, around, &each.apart);
  if (host) {
    each = (CopyStore){0};
    enter_loops(c, &around->loops);
  }
  const Stmt *out;
  if (s->kind == STMT_IF) {
    CopyStore yes = each, no = each;
    yes.guards = conds_with(c->cx, &each.guards, s->cond, false);
    no.guards = conds_with(c->cx, &each.guards, s->cond, true);
    out = lower_stmt(c, s->body, &yes);
    out = stmt_seq2(c->cx, out, lower_stmt(c, s->else_body, &no));
  } else {
    const Stmt **parts = NEW_ARRAY(c->cx->arena, const Stmt *, s->nchildren);
    for (int i = 0; i < s->nchildren; i++) parts[i] = lower_stmt(c, s->children[i], &each);
    out = stmt_seq(c->cx, s->nchildren, parts);
  }
  if (!host) return out;
  for (size_t i = 0; i < around->loops.len; i++) copy_leave_loop(c);
  return wrap_host(c, around, out);
}

// Lowers s, which stands in the loops and guards of `around`.
static const Stmt *lower_stmt(CopyCx *c, const Stmt *s, const CopyStore *around) {
  CopyStore in = *around;
  switch (s->kind) {
  case STMT_STORE:
    in.store = s;
    in.value = s->value;
    return lower_store(c, &in);
  case STMT_FOR:
    in.loops = (StmtVec){0};
    for (size_t i = 0; i < around->loops.len; i++) VEC_PUSH(c->cx->arena, in.loops, around->loops.data[i]);
    VEC_PUSH(c->cx->arena, in.loops, s);
    return lower_stmt(c, s->body, &in);
  case STMT_IF:
    if (s->else_body) return lower_several(c, s, around);
    in.guards = conds_with(c->cx, &around->guards, s->cond, false);
    return lower_stmt(c, s->body, &in);
  case STMT_SEQ: return stmt_is_nop(s) ? s : lower_several(c, s, around);
  case STMT_ALLOC:
  case STMT_INTRIN: explain_foreign(c, s); return s;
  }
  return s;
}

const Stmt *copy_lower_region(CopyCx *c, const Stmt *body) { return lower_stmt(c, body, &(CopyStore){0}); }

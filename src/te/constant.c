// SPDX-License-Identifier: Apache-2.0
// Constant tensors: their values stand in braces, or are an expression of their axes that is evaluated here.
#include "te/internal.h"

#include <string.h>

// A list in braces on its way into memory.
typedef struct Fill {
  Scope *s;
  TeTensor *t;
  char *to;
  int64_t at;
} Fill;

static bool fill_number(Fill *f, const AstExpr *e) {
  DType t = f->t->type;
  StageCx sx = {.ck = f->s->kx->ck, .kx = f->s->kx, .scope = f->s, .stage = f->t, .prefix = f->t->name};
  ConstScope consts = scope_consts(f->s);
  TeValue v;
  if (!const_value(&consts, e, &v)) return false;
  AstExpr literal = {.kind = v.kind == VALUE_FLOAT ? AST_FLOAT : AST_INT, .loc = e->loc, .value = v.i, .number = v.f};
  if (v.kind == VALUE_LIST || v.truth != (t == DT_BOOL)) {
    Diag *g = diag_report(consts.cx->diags, E_TYPE, e->loc, "`%s` is not a value of type %s",
                          te_snippet(consts.cx, e->loc), dtype_name(t));
    diag_help(g, "the innermost braces hold %s", t == DT_BOOL ? "true and false" : "numbers");
    return false;
  }
  if (t == DT_BOOL) literal.kind = AST_BOOL;
  const TeExpr *x = check_expr(&sx, &literal, t);
  if (!x) return false;
  scalar_store(t, f->to + f->at++ * dtype_bytes(t), x->value);
  return true;
}

static bool fill(Fill *f, const AstExpr *e, int axis) {
  if (axis == f->t->naxes) return fill_number(f, e);
  Ctx *cx = f->s->kx->ck->cx;
  const TeAxis *a = f->t->axes[axis];
  if (e->kind == AST_BAD) return false;
  if (e->kind != AST_LIST || e->nitems != a->extent) {
    Diag *g = e->kind == AST_LIST
                  ? diag_report(cx->diags, E_SHAPE, e->loc, "axis `%s` has %lld elements, and these are %d", a->name,
                                (long long)a->extent, e->nitems)
                  : diag_report(cx->diags, E_SHAPE, e->loc, "axis `%s` has %lld elements, and this is one", a->name,
                                (long long)a->extent);
    diag_also(g, a->loc, "the axis is declared here");
    diag_help(g, "braces hold the elements of an axis, and braces for each of them where there are more axes: `{{1, "
                 "2}, {3, 4}}`");
    return false;
  }
  for (int i = 0; i < e->nitems; i++)
    if (!fill(f, e->items[i], axis + 1)) return false;
  return true;
}

// Evaluates what a constant's expression needs, which is constant too, and then it.
static bool evaluate(Scope *s, TeTensor *t, int first) {
  KernelCx *kx = s->kx;
  Ctx *cx = kx->ck->cx;
  void **data = NEW_ARRAY(cx->arena, void *, kx->tensors.len);
  for (size_t i = 0; i < kx->tensors.len; i++) {
    const TeTensor *u = kx->tensors.data[i];
    data[i] = (void *)u->data;
    if (!u->body) continue;
    if ((int)i < first) {
      continue;
    }
    data[i] = arena_array(cx->arena, (size_t)te_tensor_elems(u), (size_t)dtype_bytes(u->type));
  }
  TeKernel part = {.name = t->name, .ntensors = (int)kx->tensors.len - first, .tensors = kx->tensors.data + first};
  if (!te_eval(cx, &part, &(TeArrays){data})) return false;
  t->data = data[t->index];
  t->body = NULL;
  t->role = TE_CONSTANT;
  return true;
}

typedef struct Reads {
  int first;
  const TeTensor *found;
} Reads;

static bool is_earlier(void *self, const TeExpr *e) {
  Reads *r = self;
  if (e->kind != TE_ACCESS || e->tensor->data || e->tensor->index >= r->first) return false;
  r->found = e->tensor;
  return true;
}

// The first tensor that e reads and that is neither known nor a stage from `first` on; NULL: there is none.
static const TeTensor *reads_more(const TeExpr *e, int first) {
  Reads r = {.first = first};
  te_any(e, is_earlier, &r);
  return r.found;
}

enum { CONSTANT_MAX = 1 << 24 }; // elements

// What is known of an integer constant's values serves the bounds of indices made of them.
void note_constant_range(TeTensor *t) {
  if (!dtype_is_int(t->type) || t->type == DT_U64) return;
  t->bounded = true;
  t->lo = INT64_MAX;
  t->hi = INT64_MIN;
  for (int64_t i = 0, n = te_tensor_elems(t); i < n; i++) {
    int64_t v = scalar_load(t->type, (const char *)t->data + i * dtype_bytes(t->type)).i;
    if (v < t->lo) t->lo = v;
    if (v > t->hi) t->hi = v;
  }
}

// The constant as a list in braces.
static TeTensor *listed(Scope *s, const AstDecl *decl, Name full) {
  Ctx *cx = s->kx->ck->cx;
  AstDecl bare = *decl;
  TensorRef ref;
  bare.body = NULL;
  TeTensor *t = check_stage(s, &bare, full, TE_CONSTANT, &ref);
  if (!t) return NULL;
  t->data = arena_array(cx->arena, (size_t)te_tensor_elems(t), (size_t)dtype_bytes(t->type));
  Fill f = {s, t, (char *)t->data, 0};
  return fill(&f, decl->body, 0) ? t : NULL;
}

TeTensor *check_constant(Scope *s, const AstDecl *decl, Name full) {
  Ctx *cx = s->kx->ck->cx;
  TeTensor *t;
  if (decl->body->kind == AST_LIST) {
    t = listed(s, decl, full);
  } else {
    int first = (int)s->kx->tensors.len;
    TensorRef ref;
    t = check_stage(s, decl, full, TE_COMPUTE, &ref);
    if (t && !t->body) t = NULL;
    for (int i = first; t && i < (int)s->kx->tensors.len; i++) {
      const TeTensor *u = s->kx->tensors.data[i], *more = u->body ? reads_more(u->body, first) : NULL;
      if (!more && te_tensor_elems(u) <= CONSTANT_MAX) continue;
      Diag *g = more ? diag_report(cx->diags, E_NOT_CONST, decl->body->loc,
                                   "`%s` depends on `%s`, which is not constant", decl->name, more->name)
                     : diag_report(cx->diags, E_NOT_CONST, decl->body->loc,
                                   "`%s` has more than %d elements to be computed", decl->name, CONSTANT_MAX);
      diag_help(g, "compute it when the kernel runs: `compute %s[...]`", decl->name);
      t = NULL;
    }
    if (t && !evaluate(s, t, first)) t = NULL;
  }
  if (!t) s->kx->ok = false;
  else note_constant_range(t);
  return t;
}

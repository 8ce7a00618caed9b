// SPDX-License-Identifier: Apache-2.0
// One kernel: its declarations in order, each made a TeTensor.
#include "te/internal.h"

#include <string.h>

// A constant that is no extent is told once, where it is first used: all tensors of a kernel may have it.
static void bad_extent(Checker *ck, const AstAxis *ast, int64_t extent) {
  const char *what = te_snippet(ck->cx, ast->extent->loc);
  const char *headline =
      ast->extent->kind == AST_INT
          ? arena_printf(ck->cx->arena, "axis `%s` has the extent %lld, which is not positive", ast->name, (long long)extent)
          : arena_printf(ck->cx->arena, "the extent `%s` is %lld, which is not positive", what, (long long)extent);
  if (ast->extent->kind != AST_INT && diags_told(ck->cx->diags, E_EXTENT, headline)) return;
  Diag *g = diag_report(ck->cx->diags, E_EXTENT, ast->loc, "%s", headline);
  diag_help(g, "an axis has at least one element");
}

// Evaluates one `axis: extent`; NULL after an error.
static const TeAxis *check_axis(Checker *ck, const AstAxis *ast, int index, bool reduce) {
  int64_t extent;
  if (!const_eval(&ck->scope, ast->extent, &extent)) return NULL;
  if (extent <= 0) {
    bad_extent(ck, ast, extent);
    return NULL;
  }
  TeAxis *axis = NEW(ck->cx->arena, TeAxis);
  *axis = (TeAxis){.name = ast->name, .extent = extent, .loc = ast->loc, .index = index, .reduce = reduce};
  return axis;
}

// Evaluates a list of axes; names must differ among themselves and from `others`.
static const TeAxis **check_axes(Checker *ck, int n, const AstAxis *ast, bool reduce, int nothers,
                                 const TeAxis **others) {
  if (n > TE_MAX_AXES) {
    diag_report(ck->cx->diags, E_RANK, loc_join(ast[0].loc, ast[n - 1].loc),
                "%d axes are too many: there may be %d", n, TE_MAX_AXES);
    return NULL;
  }
  const TeAxis **axes = NEW_ARRAY(ck->cx->arena, const TeAxis *, n);
  bool ok = true;
  int64_t points = 1;
  for (int i = 0; i < n; i++) {
    Loc first = {0};
    for (int k = 0; k < i; k++)
      if (ast[k].name == ast[i].name) first = ast[k].loc;
    for (int k = 0; k < nothers; k++)
      if (others[k]->name == ast[i].name) first = others[k]->loc;
    if (loc_known(first)) {
      Diag *g =
          diag_report(ck->cx->diags, E_DUPLICATE_NAME, ast[i].loc, "the axis `%s` is declared twice", ast[i].name);
      diag_also(g, first, "it is first declared here");
      diag_help(g, "give one of them another name");
      ok = false;
    }
    axes[i] = check_axis(ck, &ast[i], i, reduce);
    if (!axes[i]) {
      ok = false;
      continue;
    }
    if (points <= 0 || !mul_ok(points, axes[i]->extent, &points) || points >= (int64_t)1 << 40) points = -1;
  }
  if (!ok) return NULL;
  if (points > 0) return axes;
  Diag *g = diag_report(ck->cx->diags, E_EXTENT, loc_join(ast[0].loc, ast[n - 1].loc),
                        "%s has 2^40 elements or more", reduce ? "the reduction" : "the tensor");
  Text t = {.arena = ck->cx->arena};
  for (int i = 0; i < n; i++) text_add(&t, "%s%lld", i ? " x " : "", (long long)axes[i]->extent);
  diag_note(g, "its extents are %s", t.data);
  return NULL;
}

static const char *shape_text(Ctx *cx, const TeTensor *t) {
  Text out = {.arena = cx->arena};
  for (int i = 0; i < t->naxes; i++)
    text_add(&out, "%s%s: %lld", i ? ", " : "[", t->axes[i]->name, (long long)t->axes[i]->extent);
  text_add(&out, "]");
  return out.data;
}

// ---- the pointwise shorthand -----------------------------------------------------------------------------------

typedef struct Operands {
  StageCx *sx;
  const TeTensor *first;
  Loc first_loc;
  const AstExpr *unknown; // the first name that is neither a tensor nor a constant
  bool failed;
} Operands;

static bool same_shape(const TeTensor *a, const TeTensor *b) {
  if (a->naxes != b->naxes) return false;
  for (int i = 0; i < a->naxes; i++)
    if (a->axes[i]->extent != b->axes[i]->extent) return false;
  return true;
}

static void meet_operand(Operands *o, const AstExpr *e) {
  bool poisoned = false;
  const TeTensor *t = stage_tensor(o->sx, e->name, &poisoned);
  if (poisoned) o->failed = true;
  if (!t) {
    int64_t ignored;
    ConstScope *consts = &o->sx->ck->scope;
    if (!poisoned && !o->unknown && consts->find(consts->self, e->name, e->loc, &ignored) == CONST_MISSING)
      o->unknown = e;
    return;
  }
  if (!o->first) {
    o->first = t;
    o->first_loc = e->loc;
    return;
  }
  if (same_shape(o->first, t)) return;
  Ctx *cx = o->sx->ck->cx;
  Diag *g =
      diag_report(cx->diags, E_SHAPE, e->loc, "`%s` and `%s` have different shapes", o->first->name, t->name);
  diag_also(g, o->first_loc, "`%s` is %s", o->first->name, shape_text(cx, o->first));
  diag_here(g, "`%s` is %s", t->name, shape_text(cx, t));
  diag_help(g, "give the stage an axis list, and index its operands");
  o->failed = true;
}

// Walks the operands that stand without indices, in source order.
static void find_operands(Operands *o, const AstExpr *e) {
  if (!e) return;
  switch (e->kind) {
  case AST_INT:
  case AST_STRING: return;
  case AST_NAME: meet_operand(o, e); return;
  case AST_UNARY:
  case AST_BINARY:
  case AST_SELECT:
    find_operands(o, e->a);
    find_operands(o, e->b);
    find_operands(o, e->c);
    return;
  case AST_LIST:
    for (int i = 0; i < e->nitems; i++) find_operands(o, e->items[i]);
    return;
  case AST_OTHER:
    if (ast_detail(e)->kind == AD_BAD) o->failed = true;
    for (int i = 0; i < ast_detail(e)->nargs; i++) find_operands(o, ast_detail(e)->args[i]);
    return;
  }
}

// Gives a shorthand stage its axes: those of its first operand, as its own.
static bool shorthand_axes(StageCx *sx, TeTensor *t, const AstDecl *decl) {
  Operands o = {.sx = sx};
  Ctx *cx = sx->ck->cx;
  if (decl->body->kind == AST_OTHER && ast_detail(decl->body)->kind == AD_REDUCE) {
    Diag *g = diag_report(cx->diags, E_SHAPE, decl->name_loc,
                          "`%s` reduces, so its axes cannot be told from its operands", decl->name);
    diag_help(g, "write them: `%s[i: N, ...] : int32 = ...`", decl->name);
    return false;
  }
  find_operands(&o, decl->body);
  if (o.failed) return false;
  if (!o.first && o.unknown && !check_expr(sx, o.unknown, DT_COUNT)) return false;
  if (!o.first) {
    Diag *g = diag_report(cx->diags, E_SHAPE, decl->name_loc,
                          "`%s` has no axes: no operand stands without indices", decl->name);
    diag_help(g, "write them: `%s[i: N, ...] : int32 = ...`", decl->name);
    return false;
  }
  sx->like = o.first;
  t->naxes = o.first->naxes;
  t->axes = NEW_ARRAY(cx->arena, const TeAxis *, t->naxes);
  for (int i = 0; i < t->naxes; i++) {
    TeAxis *axis = arena_copy(cx->arena, o.first->axes[i], sizeof *axis);
    t->axes[i] = axis;
  }
  return true;
}

// ---- one declaration -------------------------------------------------------------------------------------------

static bool check_dtype(Checker *ck, const AstDecl *decl, DType *out) {
  if (dtype_of_name(decl->dtype, out)) return true;
  Diag *g = diag_report(ck->cx->diags, E_UNKNOWN_NAME, decl->dtype_loc, "unknown type `%s`", decl->dtype);
  Nearest n = {.wanted = decl->dtype};
  for (int t = 0; t < DT_COUNT; t++) nearest_try(&n, dtype_name((DType)t));
  static const char *const elsewhere[][2] = {{"float", "float32"}, {"double", "float64"}, {"half", "float16"}, {"char", "int8"},
                                             {"short", "int16"}, {"int", "int32"}, {"long", "int64"}, {"unsigned", "uint32"},
                                             {"i8", "int8"}, {"i16", "int16"}, {"i32", "int32"}, {"i64", "int64"},
                                             {"u8", "uint8"}, {"f16", "float16"}, {"f32", "float32"}, {"f64", "float64"}};
  for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
    if (strcmp(decl->dtype, elsewhere[i][0]) == 0) // those without a digit are of other sizes elsewhere
      n.best = elsewhere[i][1], n.distance = !strpbrk(decl->dtype, "1368");
  if (n.best) diag_nearest(g, decl->dtype_loc, &n, "a similar name exists");
  else diag_help(g, "types are bool, int8 to int64, uint8 to uint64, float16, float32 and float64");
  return false;
}

static TeReduce reduce_of_name(const char *name) {
  if (strcmp(name, "sum") == 0) return TE_SUM;
  if (strcmp(name, "prod") == 0) return TE_PROD;
  if (strcmp(name, "min") == 0) return TE_MIN;
  if (strcmp(name, "max") == 0) return TE_MAX;
  return TE_NO_REDUCE;
}

// Takes the reduction off the top of a stage's expression; false after an error.
static bool take_reduction(StageCx *sx, TeTensor *t, const AstExpr **body) {
  const AstExpr *e = *body;
  if (e->kind != AST_OTHER || ast_detail(e)->kind != AD_REDUCE) return true;
  const AstDetail *d = ast_detail(e);
  Ctx *cx = sx->ck->cx;
  t->reduce = reduce_of_name(d->name);
  t->reduce_loc = e->loc;
  if (t->reduce == TE_NO_REDUCE) {
    Diag *g = diag_report(cx->diags, E_UNKNOWN_NAME, d->name_loc, "unknown reduction `%s`", d->name);
    diag_help(g, "reductions are sum, prod, min and max");
    return false;
  }
  t->raxes = check_axes(sx->ck, d->naxes, d->axes, true, t->naxes, t->axes);
  if (!t->raxes) return false;
  t->nraxes = d->naxes;
  *body = d->args[0];
  return true;
}

static void report_stage_type(StageCx *sx, const TeTensor *t, const AstDecl *decl, const TeExpr *body) {
  Ctx *cx = sx->ck->cx;
  Diag *g = diag_report(cx->diags, E_TYPE, body->loc, "`%s` is %s, but its expression is %s", t->name,
                        dtype_name(t->type), dtype_name(body->type));
  diag_also(g, decl->dtype_loc, "declared %s here", dtype_name(t->type));
  const char *text = te_snippet(cx, body->loc);
  if (body->type == DT_BOOL) diag_help(g, "write `%s ? 1 : 0`", text);
  else if (t->type == DT_BOOL) diag_help(g, "compare it: `%s != 0`", text);
  else te_offer_cast(cx, g, body, t->type);
}

// Checks the expression of a stage whose axes are known.
static bool check_body(StageCx *sx, TeTensor *t, const AstDecl *decl) {
  const AstExpr *ast = decl->body;
  if (!take_reduction(sx, t, &ast)) return false;
  const TeExpr *body = check_expr(sx, ast, decl->dtype ? t->type : DT_COUNT);
  if (!body) return false;
  if (decl->dtype && body->type != t->type) {
    report_stage_type(sx, t, decl, body);
    return false;
  }
  t->type = body->type;
  t->body = body;
  if (t->reduce != TE_NO_REDUCE && t->type == DT_BOOL) {
    Diag *g = diag_report(sx->ck->cx->diags, E_TYPE, t->reduce_loc, "a reduction of bool has no meaning");
    diag_help(g, "reduce int32(...) instead, and compare the result");
    return false;
  }
  return true;
}

// The kernel under construction.
typedef struct KernelCx {
  Checker *ck;
  const AstItem *item;
  VEC(const TeTensor *) tensors;
  VEC(Loc) places;    // of every declared name, poisoned ones included
  NameTable *names;   // to places
  NameTable *visible; // to tensors; -2 for a poisoned one
  bool ok;
} KernelCx;

static bool declare_name(KernelCx *kx, const AstDecl *decl) {
  int old = name_table_find(kx->names, decl->name);
  if (old < 0) {
    name_table_put(kx->names, decl->name, (int)kx->places.len);
    VEC_PUSH(kx->ck->cx->arena, kx->places, decl->name_loc);
    return true;
  }
  Diag *g = diag_report(kx->ck->cx->diags, E_DUPLICATE_NAME, decl->name_loc, "the tensor `%s` is declared twice",
                        decl->name);
  diag_also(g, kx->places.data[old], "it is first declared here");
  diag_help(g, "give one of them another name");
  return false;
}

static void check_decl(KernelCx *kx, TeKernel *k, const AstDecl *decl) {
  Checker *ck = kx->ck;
  TeTensor *t = NEW(ck->cx->arena, TeTensor);
  *t = (TeTensor){.name = decl->name, .role = decl->role, .loc = decl->loc, .name_loc = decl->name_loc};
  StageCx sx = {
      .ck = ck, .kernel = k, .tensors = kx->visible, .item = kx->item, .stage = t, .shorthand = decl->naxes == 0};
  bool ok = declare_name(kx, decl);
  if (decl->dtype && !check_dtype(ck, decl, &t->type)) ok = false;
  bool axes_ok = true;
  if (decl->naxes > 0) {
    t->axes = check_axes(ck, decl->naxes, decl->axes, false, 0, NULL);
    t->naxes = decl->naxes;
    axes_ok = t->axes != NULL;
  } else {
    axes_ok = shorthand_axes(&sx, t, decl);
  }
  // A stage with a wrong expression is still declared with its axes and type, if these are known, so that its
  // readers are checked too.
  bool typed = ok && axes_ok;
  if (typed && decl->body && !check_body(&sx, t, decl)) {
    ok = false;
    typed = decl->dtype != NULL;
  }
  if (typed && t->body) check_bounds(ck, t);
  if (!ok || !typed) kx->ok = false;
  if (typed) {
    t->index = (int)kx->tensors.len;
    VEC_PUSH(ck->cx->arena, kx->tensors, t);
    k->tensors = kx->tensors.data;
    k->ntensors = (int)kx->tensors.len;
    name_table_put(kx->visible, t->name, t->index);
  } else if (name_table_find(kx->visible, decl->name) == -1) {
    name_table_put(kx->visible, decl->name, -2);
  }
}

const TeKernel *check_kernel(Checker *ck, const AstItem *item) {
  TeKernel *k = NEW(ck->cx->arena, TeKernel);
  *k = (TeKernel){.name = item->name, .loc = item->loc, .name_loc = item->name_loc};
  KernelCx kx = {.ck = ck,
                 .item = item,
                 .names = name_table_new(ck->cx->arena),
                 .visible = name_table_new(ck->cx->arena),
                 .ok = true};
  bool output = false;
  for (int i = 0; i < item->ndecls && diags_errors(ck->cx->diags) < TE_MAX_ERRORS; i++) {
    check_decl(&kx, k, &item->decls[i]);
    output |= item->decls[i].role == TE_OUTPUT;
  }
  if (!output && diags_errors(ck->cx->diags) < TE_MAX_ERRORS && !item->broken && !ck->broken) {
    Diag *g = diag_report(ck->cx->diags, E_NO_KERNEL, item->name_loc, "the kernel `%s` has no output", item->name);
    diag_help(g, "declare one: `output NAME[axis: extent, ...] : type = expression;`");
    return NULL;
  }
  return kx.ok ? k : NULL;
}

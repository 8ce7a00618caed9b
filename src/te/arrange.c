// SPDX-License-Identifier: Apache-2.0
// `reshape(x)` and `concat[c](x, y)`: indices into what is arranged anew, so that readers read through and nothing is
// copied. Operands are tensors: an expression becomes a stage, as it does where a def wants one.
#include "te/internal.h"

// The operand as a tensor; NULL after a report.
static const TeTensor *operand(const StageCx *sx, const AstExpr *e, const char *what) {
  if (e->kind == AST_NAME) {
    Binding b = scope_find(sx->scope, e->name, e->loc);
    if (b.kind == BIND_TENSOR) return b.ref.t;
    if (b.kind == BIND_POISON) return NULL;
    if (b.kind == BIND_ARG) return operand(b.arg->sx, b.arg->e, what);
  }
  const Global *def = e->kind == AST_CALL ? find_def(sx->scope, e->name) : NULL;
  if (def && !def_is_pure(def->item)) return def_stage(sx, e);
  TensorRef ref = {0};
  Arena *a = sx->ck->cx->arena;
  const TeTensor *t = ptrmap_find(&sx->scope->made, e);
  if (t) return t;
  t = stage_of_expr(sx->scope, e, fresh_name(sx->kx, sx->prefix, what), NULL, &ref);
  if (t) ptrmap_set(a, &sx->scope->made, e, (void *)(uintptr_t)t);
  return t;
}

// ---- reshape --------------------------------------------------------------------------------------------------------

// The place of axes from..to of the stage, one behind the other.
static const TeExpr *place_in(const StageCx *sx, int from, int to, Loc loc) {
  Arena *a = sx->ck->cx->arena;
  const TeExpr *at = NULL;
  for (int i = from; i < to; i++) {
    const TeAxis *axis = sx->stage->axes[i];
    if (axis->extent == 1) continue;
    const TeExpr *x = te_axis(a, axis, loc);
    at = at ? te_binary(a, OP_ADD, te_binary(a, OP_MUL, at, te_int(a, axis->extent, loc), loc), x, loc) : x;
  }
  return at ? at : te_int(a, 0, loc);
}

// Indices of axes from..to of t, at a place in them.
static void spread_place(const StageCx *sx, const TeTensor *t, int from, int to, const TeExpr *at, const TeExpr **idx) {
  Arena *a = sx->ck->cx->arena;
  int64_t step = 1;
  int outermost = from; // of more than one position
  while (outermost < to && t->axes[outermost]->extent == 1) outermost++;
  for (int i = to; i-- > from;) {
    int64_t n = t->axes[i]->extent;
    const TeExpr *x = step == 1 ? at : te_binary(a, OP_DIV, at, te_int(a, step, at->loc), at->loc);
    if (n == 1) idx[i] = te_int(a, 0, at->loc);
    else idx[i] = i == outermost ? x : te_binary(a, OP_MOD, x, te_int(a, n, at->loc), at->loc);
    step *= n;
  }
}

// Axes that hold the same elements on both sides are taken together, so that what is only split or joined stays simple.
const TeExpr *arrange_reshape(StageCx *sx, const AstExpr *e) {
  Ctx *cx = sx->ck->cx;
  const TeTensor *t = operand(sx, e->items[0], "reshape"), *s = sx->stage;
  if (!t) return NULL;
  int64_t have = te_tensor_elems(t), want = 1;
  for (int i = 0; i < s->naxes; i++) want *= s->axes[i]->extent;
  if (have != want) {
    Diag *g = diag_report(cx->diags, E_SHAPE, e->loc, "`%s` has %lld elements, and `%s` has %lld", t->name,
                          (long long)have, s->name ? s->name : "this stage", (long long)want);
    diag_also(g, t->name_loc, "`%s` is %s", t->name, shape_text(cx, t));
    diag_help(g, "declare a stage of as many elements: `compute y[i: %lld] = reshape(%s);`", (long long)have, t->name);
    return NULL;
  }
  const TeExpr **idx = NEW_ARRAY(cx->arena, const TeExpr *, t->naxes + 1);
  for (int i = 0, k = 0; i < t->naxes || k < s->naxes;) {
    int from = i, first = k;
    int64_t there = 1, here = 1;
    do {
      if (i < t->naxes && (there <= here || k == s->naxes)) there *= t->axes[i++]->extent;
      else here *= s->axes[k++]->extent;
    } while (there != here);
    spread_place(sx, t, from, i, place_in(sx, first, k, e->loc), idx);
  }
  return te_access(cx->arena, t, idx, e->loc);
}

// ---- concat ---------------------------------------------------------------------------------------------------------

static int axis_of(const Name *names, int n, Name name) {
  for (int i = 0; i < n; i++)
    if (names[i] == name) return i;
  return -1;
}

// What the axes of t are called where it stands: in a def, as its parameter calls them.
static const Name *names_of_axes(const StageCx *sx, const AstExpr *e, const TeTensor *t) {
  Binding b = e->kind == AST_NAME ? scope_find(sx->scope, e->name, e->loc) : (Binding){.kind = BIND_NONE};
  bool named = b.kind == BIND_TENSOR && b.ref.t == t && b.ref.axes;
  Name *names = NEW_ARRAY(sx->ck->cx->arena, Name, t->naxes + 1);
  for (int i = 0; i < t->naxes; i++) names[i] = named && *b.ref.axes[i] != '.' ? b.ref.axes[i] : NULL;
  for (int i = 0; i < t->naxes; i++) { // what `..` stands for keeps its name, unless the parameter has it
    if (names[i]) continue;
    Name own = t->axes[i]->name;
    bool taken = named && axis_of(names, t->naxes, own) >= 0;
    names[i] = taken ? name_of(sx->ck->cx->names, arena_printf(sx->ck->cx->arena, "%s_2", own)) : own;
  }
  return names;
}

static bool check_joined(const StageCx *sx, const AstExpr *e, const TeTensor *first, const TeTensor *t, int at,
                         Loc loc) {
  Ctx *cx = sx->ck->cx;
  bool fits = t->naxes == first->naxes;
  for (int i = 0; fits && i < t->naxes; i++) fits = i == at || t->axes[i]->extent == first->axes[i]->extent;
  if (fits && t->type == first->type) return true;
  Diag *g = fits ? diag_report(cx->diags, E_TYPE, loc, "`%s` is %s, and `%s` is %s", first->name,
                               dtype_name(first->type), t->name, dtype_name(t->type))
                 : diag_report(cx->diags, E_SHAPE, loc, "`%s` and `%s` do not fit together along `%s`", first->name,
                               t->name, e->a->name);
  diag_also(g, first->name_loc, "`%s` is %s", first->name, shape_text(cx, first));
  diag_also(g, t->name_loc, "`%s` is %s", t->name, shape_text(cx, t));
  diag_help(g, fits ? "cast one of them" : "all but the axis along which they are joined must be the same");
  return false;
}

TensorRef concat_shape(const StageCx *sx, const AstExpr *e) {
  const TensorRef none = {0};
  Ctx *cx = sx->ck->cx;
  const TeTensor *first = operand(sx, e->items[0], "concat");
  if (!first) return none;
  const Name *names = names_of_axes(sx, e->items[0], first);
  int at = axis_of(names, first->naxes, e->a->name);
  if (at < 0) {
    Diag *g = diag_report(cx->diags, E_UNKNOWN_NAME, e->a->loc, "`%s` has no axis `%s`", first->name, e->a->name);
    diag_also(g, first->name_loc, "`%s` is %s", first->name, shape_text(cx, first));
    diag_help(g, "name an axis of the first operand, or of the stage");
    return none;
  }
  TeTensor *shape = arena_copy(cx->arena, first, sizeof *first);
  TeAxis *joined = arena_copy(cx->arena, first->axes[at], sizeof *joined);
  shape->axes = arena_copy(cx->arena, first->axes, (size_t)first->naxes * sizeof *first->axes);
  shape->axes[at] = joined;
  for (int i = 1; i < e->nitems; i++) {
    const TeTensor *t = operand(sx, e->items[i], "concat");
    if (!t || !check_joined(sx, e, first, t, at, e->items[i]->loc)) return none;
    joined->extent += t->axes[at]->extent;
  }
  if (te_tensor_elems(shape) >> 40) {
    Diag *g = diag_report(cx->diags, E_EXTENT, e->loc, "this has 2^40 elements or more");
    diag_help(g, "join less");
    return none;
  }
  return (TensorRef){.t = shape, .axes = names};
}

// The place of the axis along which operands are joined in the stage; -1: none, and said.
static int joined_axis(StageCx *sx, const AstExpr *e) {
  const TeAxis *along = find_axis(sx, e->a->name);
  for (int i = 0; along && i < sx->stage->naxes; i++)
    if (sx->stage->axes[i] == along) return i;
  Diag *g = diag_report(sx->ck->cx->diags, E_UNKNOWN_NAME, e->a->loc, "`%s` is no axis of the stage", e->a->name);
  diag_help(g, "`concat[axis](a, b)` joins along an axis with which the stage is declared");
  return -1;
}

// Whether t, joined at axis `at`, has the stage's other extents; says so if not.
static bool fits_stage(StageCx *sx, const TeTensor *t, int at, Loc loc) {
  const TeTensor *s = sx->stage;
  bool fits = t->naxes == s->naxes;
  for (int k = 0; fits && k < t->naxes; k++) fits = k == at || t->axes[k]->extent == s->axes[k]->extent;
  if (fits) return true;
  Diag *g = diag_report(sx->ck->cx->diags, E_SHAPE, loc, "`%s` does not fit the stage", t->name);
  diag_also(g, t->name_loc, "`%s` is %s", t->name, shape_text(sx->ck->cx, t));
  diag_help(g, "all but the axis along which they are joined must be the same");
  return false;
}

typedef VEC(const TeTensor *) Parts;

// The operands of e, each checked; false: refused, and said.
static bool joined_parts(StageCx *sx, const AstExpr *e, int at, Parts *parts) {
  const TeAxis *along = sx->stage->axes[at];
  int64_t total = 0;
  for (int i = 0; i < e->nitems; i++) {
    const TeTensor *t = operand(sx, e->items[i], "concat");
    if (!t) return false;
    VEC_PUSH(sx->ck->cx->arena, *parts, t);
    if (!fits_stage(sx, t, at, e->items[i]->loc)) return false;
    if (!check_joined(sx, e, parts->data[0], t, at, e->items[i]->loc)) return false;
    total += t->axes[at]->extent;
  }
  if (total == along->extent) return true;
  Diag *g = diag_report(sx->ck->cx->diags, E_SHAPE, e->loc,
                        "what is joined has %lld positions along `%s`, and the stage has %lld", (long long)total,
                        along->name, (long long)along->extent);
  diag_help(g, "declare `%s: %lld`", along->name, (long long)total);
  return false;
}

const TeExpr *arrange_concat(StageCx *sx, const AstExpr *e) {
  Arena *a = sx->ck->cx->arena;
  const TeTensor *s = sx->stage;
  int at = joined_axis(sx, e);
  Parts parts = {0};
  if (at < 0 || !joined_parts(sx, e, at, &parts)) return NULL;
  const TeAxis *along = s->axes[at];
  int64_t begin = along->extent;
  const TeExpr *out = NULL;
  for (int i = e->nitems; i-- > 0;) { // the last one without a condition
    const TeTensor *t = parts.data[i];
    const TeExpr **idx = NEW_ARRAY(a, const TeExpr *, t->naxes + 1);
    int64_t end = begin;
    begin -= t->axes[at]->extent;
    for (int k = 0; k < t->naxes; k++) idx[k] = te_axis(a, s->axes[k], e->loc);
    if (begin) idx[at] = te_binary(a, OP_SUB, idx[at], te_int(a, begin, e->loc), e->loc);
    const TeExpr *x = te_access(a, t, idx, e->items[i]->loc);
    const TeExpr *here = te_binary(a, OP_LT, te_axis(a, along, e->loc), te_int(a, end, e->loc), e->loc);
    out = out ? te_select(a, here, x, out, e->loc) : x;
  }
  return out;
}

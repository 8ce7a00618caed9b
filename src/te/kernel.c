// SPDX-License-Identifier: Apache-2.0
// Kernels, and the declarations in them and in defs, in order: each is made a TeTensor, or what a call makes of it.
#include "te/internal.h"

#include <string.h>

// A constant that is no extent is told once, where it is first used: all tensors of a kernel may have it.
static void bad_extent(Checker *ck, const AstAxis *ast, int64_t extent) {
  const char *what = te_snippet(ck->cx, ast->extent->loc);
  const char *headline =
      ast->extent->kind == AST_INT
          ? arena_printf(ck->cx->arena, "axis `%s` has the extent %lld, which is not positive", ast->name,
                         (long long)extent)
          : arena_printf(ck->cx->arena, "the extent `%s` is %lld, which is not positive", what, (long long)extent);
  if (ast->extent->kind != AST_INT && diags_told(ck->cx->diags, E_EXTENT, headline)) return;
  Diag *g = diag_report(ck->cx->diags, E_EXTENT, ast->loc, "%s", headline);
  diag_help(g, "an axis has at least one element");
}

// Evaluates one `axis: extent`; NULL after an error.
static const TeAxis *check_axis(Scope *s, const AstAxis *ast, int index, bool reduce) {
  Checker *ck = s->kx->ck;
  int64_t extent;
  ConstScope consts = scope_consts(s);
  if (!const_eval(&consts, ast->extent, &extent)) return NULL;
  if (extent <= 0) {
    bad_extent(ck, ast, extent);
    return NULL;
  }
  TeAxis *axis = NEW(ck->cx->arena, TeAxis);
  *axis = (TeAxis){.name = ast->name, .extent = extent, .loc = ast->loc, .index = index, .reduce = reduce};
  return axis;
}

// A list of axes on its way.
typedef struct AxisList {
  Scope *s;
  VEC(const TeAxis *) axes;
  int nothers;
  const TeAxis **others;
  bool reduce, failed;
} AxisList;

// The axis of this name in the list, or among the others.
static const TeAxis *axis_named(const AxisList *l, Name name) {
  for (size_t i = 0; i < l->axes.len; i++)
    if (l->axes.data[i] && l->axes.data[i]->name == name) return l->axes.data[i];
  for (int i = 0; i < l->nothers; i++)
    if (l->others[i]->name == name) return l->others[i];
  return NULL;
}

// Another name for an axis that no expression names: what it is called matters to schedules only.
static void rename_rest(AxisList *l, const TeAxis *axis) {
  Ctx *cx = l->s->kx->ck->cx;
  Name name = axis->name;
  for (int n = 2; axis_named(l, name); n++) name = name_of(cx->names, arena_printf(cx->arena, "%s_%d", axis->name, n));
  ((TeAxis *)(uintptr_t)axis)->name = name; // its stage is still being read
}

static void add_axis(AxisList *l, const AstAxis *ast) {
  Ctx *cx = l->s->kx->ck->cx;
  const TeAxis *first = axis_named(l, ast->name);
  if (first && first->rest) {
    rename_rest(l, first);
    first = axis_named(l, ast->name);
  }
  if (first) {
    Diag *g = diag_report(cx->diags, E_DUPLICATE_NAME, ast->loc, "the axis `%s` is declared twice", ast->name);
    diag_also(g, first->loc, "it is first declared here");
    diag_help(g, "give one of them another name");
    l->failed = true;
  }
  const TeAxis *axis = check_axis(l->s, ast, (int)l->axes.len, l->reduce);
  if (axis) VEC_PUSH(cx->arena, l->axes, axis);
  else l->failed = true;
}

// Adds the axes that are left; what they are called matters to schedules only, so a name that is taken is changed.
static void add_rest(AxisList *l, const AstAxis *ast, int nwritten, const AstAxis *written) {
  Ctx *cx = l->s->kx->ck->cx;
  if (!l->s->has_rest) {
    Diag *g = diag_report(cx->diags, E_CALL, ast->loc, "`..` stands for no axes here");
    diag_help(g, "it stands for those that a parameter of the def leaves to it: `def f(x[.., c: C] : T)`");
    l->failed = true;
  }
  for (int i = 0; i < l->s->nrest; i++) {
    TeAxis *axis = arena_copy(cx->arena, l->s->rest[i], sizeof *axis);
    *axis = (TeAxis){.name = axis->name,
                     .extent = axis->extent,
                     .loc = axis->loc,
                     .index = (int)l->axes.len,
                     .reduce = l->reduce,
                     .rest = true};
    for (int n = 2;; n++) {
      bool taken = axis_named(l, axis->name) != NULL;
      for (int k = 0; k < nwritten; k++) taken |= written[k].name == axis->name;
      if (!taken) break;
      axis->name = name_of(cx->names, arena_printf(cx->arena, "%s_%d", l->s->rest[i]->name, n));
    }
    VEC_PUSH(cx->arena, l->axes, axis);
  }
}

const TeAxis **check_axes(Scope *s, int *n, const AstAxis *ast, bool reduce, int nothers, const TeAxis **others,
                          int *rest) {
  Ctx *cx = s->kx->ck->cx;
  AxisList l = {.s = s, .nothers = nothers, .others = others, .reduce = reduce};
  Loc all = *n ? loc_join(ast[0].loc, ast[*n - 1].loc) : (Loc){0};
  *rest = -1;
  for (int i = 0; i < *n && i <= TE_MAX_AXES; i++) {
    if (ast[i].name) {
      add_axis(&l, &ast[i]);
      continue;
    }
    *rest = (int)l.axes.len;
    add_rest(&l, &ast[i], *n, ast);
  }
  int count = *n > (int)l.axes.len ? *n : (int)l.axes.len;
  if (count > TE_MAX_AXES) {
    Diag *g = diag_report(cx->diags, E_RANK, all, "%d axes are too many: there may be %d", count, TE_MAX_AXES);
    diag_help(g, "fuse some of them into one");
    return NULL;
  }
  if (l.failed) return NULL;
  *n = (int)l.axes.len;
  int64_t points = 1;
  for (int i = 0; i < *n; i++)
    if (points <= 0 || !mul_ok(points, l.axes.data[i]->extent, &points) || points >= (int64_t)1 << 40) points = -1;
  if (points > 0) return *n ? l.axes.data : NEW_ARRAY(cx->arena, const TeAxis *, 1);
  Diag *g =
      diag_report(cx->diags, E_EXTENT, all, "%s has 2^40 elements or more", reduce ? "the reduction" : "the tensor");
  Text t = {.arena = cx->arena};
  for (int i = 0; i < *n; i++) text_add(&t, "%s%lld", i ? " x " : "", (long long)l.axes.data[i]->extent);
  diag_note(g, "its extents are %s", t.data);
  return NULL;
}

const char *shape_text(Ctx *cx, const TeTensor *t) {
  Text out = {.arena = cx->arena};
  text_add(&out, "[");
  for (int i = 0; i < t->naxes; i++)
    text_add(&out, "%s%s: %lld", i ? ", " : "", t->axes[i]->name, (long long)t->axes[i]->extent);
  text_add(&out, "]");
  return out.data;
}

Name fresh_name(KernelCx *kx, Name prefix, const char *base) {
  Ctx *cx = kx->ck->cx;
  Name name = name_of(cx->names, prefix ? arena_printf(cx->arena, "%s.%s", prefix, base) : base), first = name;
  for (int n = name_table_find(kx->taken, first); n >= 0 && name_table_find(kx->taken, name) >= 0; n++) {
    name = name_of(cx->names, arena_printf(cx->arena, "%s_%d", first, n));
    name_table_put(kx->taken, first, n + 1);
  }
  name_table_put(kx->taken, name, 2);
  return name;
}

// ---- the pointwise shorthand -----------------------------------------------------------------------------------

// The name of axis i of a stage that is like an operand, after those before it. What `..` stands for is called as it is
// in the tensor, where no other is.
static Name shorthand_name(Ctx *cx, const TensorRef *like, const TeAxis **before, int i) {
  Name own = like->t->axes[i]->name, name = own;
  if (!like->axes || like->axes[i][0] != '.') return like->axes ? like->axes[i] : own;
  for (int n = 2;; n++) {
    bool taken = false;
    for (int k = 0; k < like->t->naxes; k++) taken |= like->axes[k] == name || (k < i && before[k]->name == name);
    if (!taken) return name;
    name = name_of(cx->names, arena_printf(cx->arena, "%s_%d", own, n));
  }
}

// Gives a shorthand stage its axes: those of its first operand, as its own; none, if only scalars are read or a type
// says so.
static bool shorthand_axes(StageCx *sx, TeTensor *t, const AstDecl *decl) {
  Ctx *cx = sx->ck->cx;
  bool reduces = decl->body->kind == AST_REDUCE;
  Operands o = find_operands(sx, decl->body);
  if (o.failed) return false;
  if (reduces && o.first.t) {
    Diag *g = diag_report(cx->diags, E_SHAPE, decl->name_loc,
                          "`%s` reduces, so its axes cannot be told from its operands", decl->name);
    diag_help(g, "write them: `%s[i: N, ...] : int32 = ...`", decl->name);
    return false;
  }
  if (!o.first.t && o.unknown && !check_expr(sx, o.unknown, DT_COUNT)) return false;
  if (!o.first.t && !o.scalar && !decl->dtype) {
    Diag *g = diag_report(cx->diags, E_SHAPE, decl->name_loc, "`%s` has no axes: no operand stands without indices",
                          decl->name);
    diag_help(g, "write them: `%s[i: N, ...] : int32 = ...`", decl->name);
    return false;
  }
  sx->like = o.first;
  t->naxes = o.first.t ? o.first.t->naxes : 0;
  t->axes = NEW_ARRAY(cx->arena, const TeAxis *, t->naxes + 1);
  for (int i = 0; i < t->naxes; i++) {
    TeAxis *axis = arena_copy(cx->arena, o.first.t->axes[i], sizeof *axis);
    axis->name = shorthand_name(cx, &o.first, t->axes, i);
    t->axes[i] = axis;
  }
  return true;
}

// A stage with axes whose whole expression is a call of a def reads whole tensors, if the call does: their shape is the
// stage's.
static bool whole_call(StageCx *sx, TeTensor *t, const AstDecl *decl) {
  if (decl->body->kind != AST_CALL || !find_def(sx->scope, decl->body->name)) return true;
  Operands o = find_operands(sx, decl->body);
  if (o.failed) return false;
  if (!o.first.t || o.indexed) return true;
  sx->shorthand = true;
  return fits_axes(sx->ck->cx, o.first.t, t, decl);
}

// ---- one declaration -------------------------------------------------------------------------------------------

static bool check_dtype(Checker *ck, const AstDecl *decl, DType *out) {
  if (dtype_of_name(decl->dtype, out)) return true;
  Diag *g = diag_report(ck->cx->diags, E_UNKNOWN_NAME, decl->dtype_loc, "unknown type `%s`", decl->dtype);
  Nearest n = {.wanted = decl->dtype};
  for (int t = 0; t < DT_COUNT; t++) nearest_try(&n, dtype_name((DType)t));
  static const char *const elsewhere[][2] = {
      {"float", "float32"}, {"double", "float64"}, {"half", "float16"}, {"char", "int8"},
      {"short", "int16"},   {"int", "int32"},      {"long", "int64"},   {"unsigned", "uint32"},
      {"i8", "int8"},       {"i16", "int16"},      {"i32", "int32"},    {"i64", "int64"},
      {"u8", "uint8"},      {"f16", "float16"},    {"f32", "float32"},  {"f64", "float64"}};
  for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
    if (strcmp(decl->dtype, elsewhere[i][0]) == 0) // those without a digit are of other sizes elsewhere
      n.best = elsewhere[i][1], n.distance = !strpbrk(decl->dtype, "1368");
  if (n.best) diag_nearest(g, decl->dtype_loc, &n, "a similar name exists");
  else diag_help(g, "types are bool, int8 to int64, uint8 to uint64, float16, float32 and float64");
  return false;
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

// Checks the expression of a stage whose axes are known. What takes more than one stage to reduce stands inside it.
static bool check_body(StageCx *sx, TeTensor *t, const AstDecl *decl) {
  const AstExpr *ast = decl->body;
  DType want = decl->dtype ? t->type : DT_COUNT;
  if (ast->kind == AST_REDUCE && !reduction_is_composed(ast)) {
    if (!reduce_here(sx, t, ast, want)) return false;
  } else {
    t->body = check_expr(sx, ast, want);
  }
  if (!t->body) return false;
  if (decl->dtype && t->body->type != t->type) {
    report_stage_type(sx, t, decl, t->body);
    t->body = NULL;
    return false;
  }
  t->type = t->body->type;
  return true;
}

// Whether a stage is one that the caller wants as an output.
static bool is_shown(const TeOptions *o, const TeTensor *t) {
  for (int i = 0; t->role == TE_COMPUTE && i < o->nshown; i++)
    if (!strcmp(o->shown[i], t->name)) return true;
  return false;
}

void push_tensor(KernelCx *kx, TeTensor *t) {
  t->index = (int)kx->tensors.len;
  if (is_shown(kx->ck->opt, t)) t->role = TE_OUTPUT;
  if (t->role == TE_INPUT || t->role == TE_OUTPUT) t->order = kx->order++;
  VEC_PUSH(kx->ck->cx->arena, kx->tensors, t);
  kx->k->tensors = kx->tensors.data;
  kx->k->ntensors = (int)kx->tensors.len;
}

// The type that a name stands for: one of the language's, or what a parameter bound.
static bool find_dtype(Scope *s, const AstDecl *decl, DType *out) {
  const Binding *b = scope_own(s, decl->dtype);
  if (b && b->kind == BIND_TYPE) return *out = b->type, true;
  return check_dtype(s->kx->ck, decl, out);
}

// Stages whose axes and types are written may be read before they are declared: by themselves, and in circles.
void bind_later(Scope *s) {
  for (int i = 0; i < s->item->ndecls; i++) {
    const AstDecl *d = &s->item->decls[i];
    bool known = d->has_axes && d->dtype && d->body && d->nnames == 1 && d->role != TE_CONSTANT;
    if (known && !scope_own(s, d->name))
      scope_bind(s, d->name, (Binding){.kind = BIND_LATER, .loc = d->name_loc, .decl = d});
  }
}

const TeTensor *find_later(Scope *s, Name name) {
  Binding *b = scope_own(s, name);
  if (!b || b->kind != BIND_LATER) return NULL;
  s->kx->recurs = true;
  if (b->ref.t) return b->ref.t;
  TeTensor *t = NEW(s->kx->ck->cx->arena, TeTensor);
  int rest;
  *t = (TeTensor){.name = name,
                  .role = b->decl->role,
                  .loc = b->decl->loc,
                  .name_loc = b->decl->name_loc,
                  .naxes = b->decl->naxes,
                  .index = -1};
  if (!find_dtype(s, b->decl, &t->type)) return NULL;
  t->axes = check_axes(s, &t->naxes, b->decl->axes, false, 0, NULL, &rest);
  if (!t->axes) return NULL;
  b->ref.t = t;
  return t;
}

// The axes of a declaration, written or found in its expression.
static bool decl_axes(StageCx *sx, TeTensor *t, const AstDecl *decl) {
  if (!decl->has_axes) return shorthand_axes(sx, t, decl);
  int rest = -1;
  if (!t->axes) {
    t->naxes = decl->naxes;
    t->axes = check_axes(sx->scope, &t->naxes, decl->axes, false, 0, NULL, &rest);
  }
  for (int i = 0; i < decl->naxes && rest < 0; i++)
    if (!decl->axes[i].name) rest = i;
  if (!t->axes) return false;
  Binding *later = scope_own(sx->scope, decl->name);
  if (later && later->kind == BIND_LATER && later->decl == decl) later->ref.t = t; // it may read itself
  sx->like = (TensorRef){.t = t, .rest = rest, .nrest = rest < 0 ? 0 : sx->scope->nrest};
  return !decl->body || whole_call(sx, t, decl);
}

TeTensor *check_stage(Scope *s, const AstDecl *decl, Name full, TeRole role, TensorRef *ref) {
  Checker *ck = s->kx->ck;
  Binding *later = scope_own(s, decl->name);
  bool read = later && later->kind == BIND_LATER && later->decl == decl && later->ref.t; // by a stage before it
  TeTensor *t = read ? (TeTensor *)later->ref.t : NEW(ck->cx->arena, TeTensor);
  if (!read) *t = (TeTensor){.loc = decl->loc, .name_loc = decl->name_loc, .type = DT_I32};
  t->name = full;
  t->role = role;
  StageCx sx = {.ck = ck, .kx = s->kx, .scope = s, .stage = t, .prefix = full, .shorthand = !decl->has_axes};
  bool ok = !decl->dtype || find_dtype(s, decl, &t->type);
  // A stage with a wrong expression is still declared with its axes and type, if these are known, so that its
  // readers are checked too.
  bool typed = decl_axes(&sx, t, decl) && ok;
  if (typed && decl->body && !check_body(&sx, t, decl)) {
    ok = false;
    typed = decl->dtype != NULL;
  }
  if (typed && t->body) check_bounds(ck, t);
  if (!ok || !typed) s->kx->ok = false;
  if (!typed) return NULL;
  Name *names = NEW_ARRAY(ck->cx->arena, Name, t->naxes + 1);
  for (int i = 0; i < t->naxes; i++) names[i] = t->axes[i]->name;
  *ref = (TensorRef){.t = t, .axes = names, .rest = sx.like.rest, .nrest = sx.like.t ? sx.like.nrest : 0};
  push_tensor(s->kx, t);
  return t;
}

bool fits_axes(Ctx *cx, const TeTensor *is, const TeTensor *asked, const AstDecl *decl) {
  bool same = is->naxes == asked->naxes;
  for (int i = 0; same && i < is->naxes; i++) same = is->axes[i]->extent == asked->axes[i]->extent;
  if (same) return true;
  Diag *g = diag_report(cx->diags, E_SHAPE, decl->axes_loc, "`%s` is declared %s, and its expression is %s", decl->name,
                        shape_text(cx, asked), shape_text(cx, is));
  diag_help(g, "let the extents agree, or leave the axes out");
  return false;
}

// Gives what a call made the axes and the type that its declaration writes: they agree, and the names are the
// declaration's.
static bool adopt(Scope *s, const AstDecl *decl, TeTensor *t) {
  Ctx *cx = s->kx->ck->cx;
  DType type;
  if (decl->dtype && !find_dtype(s, decl, &type)) return false;
  if (decl->dtype && type != t->type) {
    Diag *g = diag_report(cx->diags, E_TYPE, decl->body->loc, "`%s` is %s, but its expression is %s", decl->name,
                          dtype_name(type), dtype_name(t->type));
    diag_also(g, decl->dtype_loc, "declared %s here", dtype_name(type));
    diag_help(g, "declare it %s, or cast what is called: `%s(%s)`", dtype_name(t->type), dtype_name(type),
              te_snippet(cx, decl->body->loc));
    return false;
  }
  if (!decl->has_axes) return true;
  TeTensor asked = {.naxes = decl->naxes};
  int rest;
  asked.axes = check_axes(s, &asked.naxes, decl->axes, false, 0, NULL, &rest);
  if (!asked.axes || !fits_axes(cx, t, &asked, decl)) return false;
  for (int i = 0; i < t->naxes; i++) ((TeAxis *)t->axes[i])->name = asked.axes[i]->name;
  for (int i = 0; i < t->nraxes; i++) { // schedules tell loops by their names
    TeAxis *r = (TeAxis *)t->raxes[i];
    Name base = r->name;
    for (int n = 2, k = 0; k < t->naxes; k++)
      if (t->axes[k]->name == r->name)
        r->name = name_of(cx->names, arena_printf(cx->arena, "%s_%d", base, n++)), k = -1;
  }
  return true;
}

// The tensors that a declaration's call of a def makes; false after an error.
static bool declare_call(Scope *s, const AstDecl *decl, const Name *full, TeRole role, TensorRef *refs) {
  Checker *ck = s->kx->ck;
  TeTensor *here = NEW(ck->cx->arena, TeTensor);
  *here = (TeTensor){.name = full[0], .role = role, .loc = decl->loc, .name_loc = decl->name_loc};
  StageCx sx = {.ck = ck, .kx = s->kx, .scope = s, .stage = here, .prefix = full[0], .shorthand = true};
  Instance *in = def_instance(&sx, decl->body, decl->nnames, full, role);
  if (!in || in->failed) return false;
  bool ok = true;
  for (int i = 0; i < decl->nnames; i++) {
    TeTensor *t = in->results[i];
    if (decl->nnames == 1) ok = adopt(s, decl, t) && ok;
    t->loc = decl->loc;
    t->name_loc = decl->names ? decl->names[i].loc : decl->name_loc;
    Name *names = NEW_ARRAY(ck->cx->arena, Name, t->naxes + 1);
    for (int k = 0; k < t->naxes; k++) names[k] = t->axes[k]->name;
    refs[i] = (TensorRef){.t = t, .axes = names};
  }
  return ok;
}

// The target and imports stand before dots, as tensors of a kernel do.
static bool is_free_before_dots(Scope *s, SchedName name) {
  Checker *ck = s->kx->ck;
  const Global *g = file_find(ck, s->view.file, name.name, true);
  bool import = g && g->item->kind == ITEM_IMPORT, target = ck->target && strcmp(ck->target->name, name.name) == 0;
  if (s->caller || s->item->kind != ITEM_KERNEL || (!import && !target)) return true;
  Diag *d = diag_report(ck->cx->diags, E_DUPLICATE_NAME, name.loc, "`%s` is the name of %s, and a tensor's", name.name,
                        import ? "an import" : "the target");
  diag_also(d, import ? g->item->name_loc : ck->target_loc, import ? "imported here" : "chosen here");
  diag_help(d, "give the tensor another name: what stands before a dot has one meaning");
  s->kx->ok = false;
  scope_bind(s, name.name, (Binding){.kind = BIND_POISON, .loc = name.loc});
  return false;
}

static bool is_free(Scope *s, SchedName name, const char *what) {
  if (!is_free_before_dots(s, name)) return false;
  const Binding *old = scope_own(s, name.name);
  if (!old || old->kind == BIND_LATER) return true;
  Diag *g = diag_report(s->kx->ck->cx->diags, E_DUPLICATE_NAME, name.loc, "%s `%s` is declared twice", what, name.name);
  diag_also(g, old->loc, "it is first declared here");
  diag_help(g, "give one of them another name");
  s->kx->ok = false;
  return false;
}

static void declare_constant(Scope *s, const AstDecl *decl, Name full) {
  Binding b = {.kind = BIND_POISON, .loc = decl->name_loc};
  if (decl->has_axes) {
    TeTensor *t = check_constant(s, decl, full);
    if (t) b = (Binding){.kind = BIND_TENSOR, .loc = decl->name_loc, .ref = {.t = t}};
  } else {
    ConstScope consts = scope_consts(s);
    if (const_value(&consts, decl->body, &b.value)) b.kind = BIND_VALUE;
  }
  if (b.kind == BIND_POISON) s->kx->ok = false;
  scope_bind(s, decl->name, b);
}

// Whether a declaration is made of the stages of a call.
static bool is_stages_of_call(Scope *s, const AstDecl *decl) {
  if (!decl->body || decl->body->kind != AST_CALL) return decl->nnames > 1;
  const Global *g = find_def(s, decl->body->name);
  return decl->nnames > 1 || (g && !def_is_pure(g->item));
}

bool make_tensors(Scope *s, const AstDecl *decl, const Name *full, TeRole role, TensorRef *refs) {
  if (is_stages_of_call(s, decl)) return declare_call(s, decl, full, role, refs);
  return check_stage(s, decl, full[0], role, refs) != NULL;
}

void check_decl(Scope *s, const AstDecl *decl, const Name *full, TeRole role) {
  SchedName one = {decl->name, decl->name_loc};
  const SchedName *names = decl->names ? decl->names : &one;
  bool constant = decl->role == TE_CONSTANT, free = true;
  for (int i = 0; i < decl->nnames; i++) free = is_free(s, names[i], constant ? "the constant" : "the tensor") && free;
  if (!free) return;
  if (constant) {
    declare_constant(s, decl, full[0]);
    return;
  }
  TensorRef *refs = NEW_ARRAY(s->kx->ck->cx->arena, TensorRef, decl->nnames);
  bool made = make_tensors(s, decl, full, role, refs);
  if (!made) s->kx->ok = false;
  for (int i = 0; i < decl->nnames; i++)
    scope_bind(s, names[i].name,
               (Binding){.kind = made ? BIND_TENSOR : BIND_POISON, .loc = names[i].loc, .ref = refs[i]});
}

const TeKernel *check_kernel(Checker *ck, const AstFile *file, const AstItem *item) {
  TeKernel *k = NEW(ck->cx->arena, TeKernel);
  *k = (TeKernel){.name = item->name, .loc = item->loc, .name_loc = item->name_loc};
  KernelCx kx = {.ck = ck,
                 .item = item,
                 .k = k,
                 .taken = name_table_new(ck->cx->arena),
                 .globals = name_table_new(ck->cx->arena),
                 .ok = true};
  Scope *s = scope_new(&kx, file, item, NULL, NULL);
  bool output = false;
  bind_later(s);
  for (int i = 0; i < item->ndecls; i++)
    for (int n = 0; n < item->decls[i].nnames; n++)
      fresh_name(&kx, NULL, item->decls[i].names ? item->decls[i].names[n].name : item->decls[i].name);
  for (int i = 0; i < item->ndecls && diags_errors(ck->cx->diags) < TE_MAX_ERRORS; i++) {
    const AstDecl *decl = &item->decls[i];
    Name *full = NEW_ARRAY(ck->cx->arena, Name, decl->nnames);
    for (int n = 0; n < decl->nnames; n++) full[n] = decl->names ? decl->names[n].name : decl->name;
    check_decl(s, decl, full, decl->role);
    output |= decl->role == TE_OUTPUT;
  }
  if (!output && diags_errors(ck->cx->diags) < TE_MAX_ERRORS && !item->broken && !ck->broken) {
    Diag *g = diag_report(ck->cx->diags, E_NO_KERNEL, item->name_loc, "the kernel `%s` has no output", item->name);
    diag_help(g, "declare one: `output NAME[axis: extent, ...] : type = expression;`");
    return NULL;
  }
  if (kx.ok && kx.recurs && !order_circles(&kx)) return NULL;
  return kx.ok ? k : NULL;
}

// SPDX-License-Identifier: Apache-2.0
// Calls of defs, expanded where they stand: parameters are bound to what the caller gives, the stages of the def become
// stages of the kernel, named after the call. A def that only returns an expression makes none: it is typed in the
// caller's stage, under names of its own.
#include "te/internal.h"

#include <string.h>

enum { INSTANCES_MAX = 100000 }; // calls and stages of a kernel

const Global *find_def(Scope *s, Name name) {
  const Global *g = file_find(s->kx->ck, s->view.file, name, s->view.own_only);
  return g && g->item->kind == ITEM_DEF ? g : NULL;
}

bool def_is_pure(const AstItem *def) {
  for (int i = 0; i < def->ndecls; i++)
    if (def->decls[i].role != TE_CONSTANT || def->decls[i].has_axes) return false;
  return def->def->result && !def->def->result->has_axes && def->def->result->nitems == 1;
}

// ---- what an argument is ---------------------------------------------------------------------------------------

static bool is_constant(const StageCx *sx, const AstExpr *e) {
  if (!e) return true;
  switch (e->kind) {
  case AST_INT:
  case AST_FLOAT:
  case AST_BOOL: return true;
  case AST_BIG:
  case AST_STRING:
  case AST_REDUCE:
  case AST_CONCAT:
  case AST_REST:
  case AST_BAD: return false;
  case AST_NAME: return !find_axis(sx, e->name) && scope_find(sx->scope, e->name, e->loc).kind == BIND_VALUE;
  case AST_UNARY:
  case AST_BINARY:
  case AST_SELECT: return is_constant(sx, e->a) && is_constant(sx, e->b) && is_constant(sx, e->c);
  case AST_INDEX:
    if (!e->name || scope_find(sx->scope, e->name, e->name_loc).kind != BIND_VALUE) return false;
    break;
  case AST_CALL:
    if (!const_function(e->name)) return false;
    break;
  case AST_LIST: break;
  }
  for (int i = 0; i < e->nitems; i++)
    if (!is_constant(sx, e->items[i])) return false;
  return true;
}

TeTensor *stage_of_expr(Scope *s, const AstExpr *e, Name full, Name dtype, TensorRef *ref) {
  AstDecl decl = {.role = TE_COMPUTE,
                  .name = full,
                  .loc = e->loc,
                  .name_loc = e->loc,
                  .nnames = 1,
                  .dtype = dtype,
                  .dtype_loc = e->loc,
                  .body = e};
  return check_stage(s, &decl, full, TE_COMPUTE, ref);
}

// What the caller gives as a tensor; t NULL after a report. `full` names the stage that an expression becomes.
static TensorRef tensor_arg(const StageCx *sx, const AstExpr *e, Name full, Name dtype) {
  TensorRef ref = {0};
  if (e->kind == AST_NAME) {
    Binding b = scope_find(sx->scope, e->name, e->loc);
    if (b.kind == BIND_TENSOR) return (TensorRef){.t = b.ref.t};
    if (b.kind == BIND_POISON) return ref;
    if (b.kind == BIND_ARG) return tensor_arg(b.arg->sx, b.arg->e, full, dtype);
  }
  if (e->kind == AST_CALL && find_def(sx->scope, e->name) && !def_is_pure(find_def(sx->scope, e->name)->item)) {
    TeTensor *t = def_stage(sx, e);
    return (TensorRef){.t = t};
  }
  if (!stage_of_expr(sx->scope, e, fresh_name(sx->kx, NULL, full), dtype, &ref)) ref.t = NULL;
  ref.axes = NULL;
  return ref;
}

// ---- parameters ------------------------------------------------------------------------------------------------

// One call while its parameters are bound.
typedef struct Binder {
  const StageCx *sx;
  Instance *in;
  const AstExpr **given; // of each parameter; NULL: its default
} Binder;

static Diag *misfit(Binder *b, DiagCode code, Loc at, const AstParam *p, const char *text) {
  Diag *g = diag_report(b->sx->ck->cx->diags, code, at, "%s", text);
  diag_also(g, p->loc, "the parameter of `%s`", b->in->def->name);
  return g;
}

// Sorts the arguments: first by position, then by name.
static bool match_args(Binder *b) {
  const AstDef *def = b->in->def->def;
  const AstExpr *call = b->in->call;
  Ctx *cx = b->sx->ck->cx;
  for (int i = 0; i < call->nitems; i++) {
    Name key = call->keys ? call->keys[i] : NULL;
    int at = key ? -1 : i;
    for (int k = 0; key && k < def->nparams; k++)
      if (def->params[k].name == key) at = k;
    Diag *g = NULL;
    if (at < 0) g = diag_report(cx->diags, E_CALL, call->items[i]->loc, "`%s` has no parameter `%s`", call->name, key);
    else if (at >= def->nparams)
      g = diag_report(cx->diags, E_CALL, call->items[i]->loc, "`%s` takes %d argument%s", call->name, def->nparams,
                      def->nparams == 1 ? "" : "s");
    else if (b->given[at])
      g = diag_report(cx->diags, E_CALL, call->items[i]->loc, "`%s` is given twice", def->params[at].name);
    if (g) {
      Nearest near = {.wanted = key ? key : ""};
      for (int k = 0; k < def->nparams; k++) nearest_try(&near, def->params[k].name);
      diag_also(g, b->in->def->name_loc, "`%s` is defined here", call->name);
      if (near.best) diag_help(g, "did you mean `%s`?", near.best);
      return false;
    }
    b->given[at] = call->items[i];
  }
  for (int k = 0; k < def->nparams; k++) {
    if (b->given[k] || def->params[k].value) continue;
    Diag *g = misfit(b, E_CALL, call->loc, &def->params[k],
                     arena_printf(cx->arena, "`%s` is not given its `%s`", call->name, def->params[k].name));
    diag_help(g, "give it: `%s = ...`", def->params[k].name);
    return false;
  }
  return true;
}

// Where the argument stands: with the caller, or, a default, in the def.
static StageCx place_of_arg(Binder *b, int k) {
  StageCx sx = *b->sx;
  if (b->given[k]) return sx;
  sx.scope = b->in->scope;
  sx.like = (TensorRef){0};
  sx.raxes = NULL;
  return sx;
}

// A parameter without brackets: a constant, a tensor, or an expression of the caller.
static bool bind_value(Binder *b, int k) {
  const AstParam *p = &b->in->def->def->params[k];
  const AstExpr *e = b->given[k] ? b->given[k] : p->value;
  StageCx sx = place_of_arg(b, k);
  Binding out = {.kind = BIND_VALUE, .loc = e->loc};
  if (is_constant(&sx, e)) {
    ConstScope consts = scope_consts(sx.scope);
    if (!const_value(&consts, e, &out.value)) return false;
  } else {
    bool names_axis = e->kind == AST_NAME && find_axis(&sx, e->name);
    Binding named =
        e->kind == AST_NAME && !names_axis ? scope_find(sx.scope, e->name, e->loc) : (Binding){.kind = BIND_NONE};
    if (named.kind == BIND_POISON) return false;
    if (named.kind == BIND_TENSOR || (named.kind == BIND_ARG && b->in->pure)) {
      out = named;
      out.ref.axes = NULL;
      out.ref.nrest = 0;
    } else if (b->in->pure) {
      Arg arg = {.e = e, .sx = arena_copy(b->sx->ck->cx->arena, &sx, sizeof sx)};
      out.kind = BIND_ARG;
      out.arg = arena_copy(b->sx->ck->cx->arena, &arg, sizeof arg);
    } else {
      out.kind = BIND_TENSOR;
      out.ref = tensor_arg(
          &sx, e,
          name_of(b->sx->ck->cx->names, arena_printf(b->sx->ck->cx->arena, "%s.%s", b->in->scope->prefix, p->name)),
          NULL);
      if (!out.ref.t) return false;
    }
  }
  scope_bind(b->in->scope, p->name, out);
  return true;
}

// Binds the type of a parameter, or compares it.
static bool bind_type(Binder *b, const AstParam *p, const TeTensor *t, Loc at) {
  Ctx *cx = b->sx->ck->cx;
  DType want;
  const Binding *bound = scope_own(b->in->scope, p->dtype);
  if (bound && bound->kind == BIND_TYPE) want = bound->type;
  else if (!dtype_of_name(p->dtype, &want)) {
    if (*p->dtype < 'A' || *p->dtype > 'Z') {
      Diag *g = diag_report(cx->diags, E_UNKNOWN_NAME, p->dtype_loc, "unknown type `%s`", p->dtype);
      Nearest n = {.wanted = p->dtype};
      for (int i = 0; i < DT_COUNT; i++) nearest_try(&n, dtype_name((DType)i));
      if (n.best) diag_fix(g, p->dtype_loc, n.best, "a similar name exists");
      else diag_help(g, "a type of the language, or a capital letter that stands for any: `T`");
      return false;
    }
    scope_bind(b->in->scope, p->dtype, (Binding){.kind = BIND_TYPE, .type = t->type, .loc = at});
    return true;
  }
  if (want == t->type) return true;
  Diag *g = misfit(b, E_CALL, at, p,
                   arena_printf(cx->arena, "`%s` of `%s` is %s, and this is %s", p->name, b->in->def->name,
                                dtype_name(want), dtype_name(t->type)));
  if (bound) diag_also(g, bound->loc, "`%s` is %s here", p->dtype, dtype_name(want));
  diag_help(g, "give it a tensor of that type, or cast: `%s(...)`", dtype_name(want));
  return false;
}

static bool bind_rest(Binder *b, const AstParam *p, const TeTensor *t, int from, int n, Loc at) {
  Scope *s = b->in->scope;
  bool same = s->nrest == n;
  for (int i = 0; s->has_rest && same && i < n; i++) same = s->rest[i]->extent == t->axes[from + i]->extent;
  if (s->has_rest && !same) {
    Diag *g = misfit(b, E_CALL, at, p, "what `..` stands for differs between two arguments");
    diag_also(g, s->rest_loc, "the first is here");
    diag_help(g, "the axes that are left must agree in every extent");
    return false;
  }
  if (s->has_rest) return true;
  s->has_rest = true;
  s->rest_loc = at;
  s->nrest = n;
  s->rest = t->axes + from;
  return true;
}

// A parameter with brackets: binds its type and the bare names among its extents.
static bool bind_tensor(Binder *b, int k, TensorRef *ref) {
  const AstParam *p = &b->in->def->def->params[k];
  Ctx *cx = b->sx->ck->cx;
  const AstExpr *e = b->given[k] ? b->given[k] : p->value;
  StageCx sx = place_of_arg(b, k);
  DType known;
  Name dtype = dtype_of_name(p->dtype, &known) ? p->dtype : NULL;
  *ref = tensor_arg(&sx, e, name_of(cx->names, arena_printf(cx->arena, "%s.%s", b->in->scope->prefix, p->name)), dtype);
  if (!ref->t || !bind_type(b, p, ref->t, e->loc)) return false;
  int rests = 0, at = 0;
  for (int i = 0; i < p->naxes; i++) rests += p->axes[i].name == NULL;
  int left = ref->t->naxes - (p->naxes - rests);
  if (rests > 1 || left < 0 || (!rests && left)) {
    Diag *g = misfit(b, E_CALL, e->loc, p,
                     arena_printf(cx->arena, "`%s` of `%s` has %d %s, and this has %d", p->name, b->in->def->name,
                                  p->naxes - rests, p->naxes - rests == 1 ? "axis" : "axes", ref->t->naxes));
    diag_here(g, "it is %s", shape_text(cx, ref->t));
    diag_help(g, rests > 1 ? "`..` stands once among the axes of a parameter" : "give it a tensor of that many axes");
    return false;
  }
  Name *names = NEW_ARRAY(cx->arena, Name, ref->t->naxes + 1);
  for (int i = 0; i < p->naxes; i++) {
    const AstAxis *axis = &p->axes[i];
    if (!axis->name) {
      ref->rest = at;
      ref->nrest = left;
      if (!bind_rest(b, p, ref->t, at, left, e->loc)) return false;
      for (int r = 0; r < left; r++, at++) names[at] = name_of(cx->names, arena_printf(cx->arena, "..%d", r));
      continue;
    }
    int64_t extent = ref->t->axes[at]->extent;
    names[at++] = axis->name;
    if (axis->extent->kind != AST_NAME || strchr(axis->extent->name, '.') ||
        scope_own(b->in->scope, axis->extent->name))
      continue;
    scope_bind(b->in->scope, axis->extent->name,
               (Binding){.kind = BIND_VALUE, .value = value_int(extent), .loc = e->loc});
  }
  ref->axes = names;
  scope_bind(b->in->scope, p->name, (Binding){.kind = BIND_TENSOR, .loc = p->name_loc, .ref = *ref});
  return true;
}

// Compares the extents that a parameter asks for with those that were given, once everything is bound.
static bool check_extents(Binder *b, int k, const TensorRef *ref) {
  const AstParam *p = &b->in->def->def->params[k];
  Ctx *cx = b->sx->ck->cx;
  Loc at = b->given[k] ? b->given[k]->loc : p->value->loc;
  ConstScope consts = scope_consts(b->in->scope);
  for (int i = 0, n = 0; i < p->naxes; i++) {
    if (!p->axes[i].name) {
      n += ref->nrest;
      continue;
    }
    int64_t is = ref->t->axes[n++]->extent, want;
    if (!const_eval(&consts, p->axes[i].extent, &want)) return false;
    if (want == is) continue;
    const char *text = te_snippet(cx, p->axes[i].extent->loc);
    Diag *g = misfit(b, E_CALL, at, p,
                     arena_printf(cx->arena, "axis `%s` of `%s` is %lld here, and `%s` is %lld", p->axes[i].name,
                                  p->name, (long long)is, text, (long long)want));
    const Binding *bound =
        p->axes[i].extent->kind == AST_NAME ? scope_own(b->in->scope, p->axes[i].extent->name) : NULL;
    if (bound && loc_known(bound->loc))
      diag_also(g, bound->loc, "`%s` is %lld by this argument", text, (long long)want);
    diag_help(g, "let the shapes of the arguments agree");
    return false;
  }
  return true;
}

static bool bind_params(const StageCx *sx, Instance *in) {
  const AstDef *def = in->def->def;
  Arena *a = sx->ck->cx->arena;
  Binder b = {.sx = sx, .in = in, .given = NEW_ARRAY(a, const AstExpr *, def->nparams + 1)};
  TensorRef *refs = NEW_ARRAY(a, TensorRef, def->nparams + 1);
  if (!match_args(&b)) return false;
  for (int k = 0; k < def->nparams; k++) // what is given comes first: extents may be made of it
    if (!def->params[k].has_axes && b.given[k] && !bind_value(&b, k)) return false;
  for (int k = 0; k < def->nparams; k++) {
    if (def->params[k].has_axes ? !bind_tensor(&b, k, &refs[k]) : !b.given[k] && !bind_value(&b, k)) return false;
  }
  for (int k = 0; k < def->nparams; k++)
    if (def->params[k].has_axes && !check_extents(&b, k, &refs[k])) return false;
  return true;
}

// ---- the body --------------------------------------------------------------------------------------------------

// The full name of what a def declares: the call's own where it is returned, else one behind the call's.
static Name name_inside(Instance *in, Name local, int nnames, const Name *full) {
  const AstReturn *r = in->def->def->result;
  for (int i = 0; i < r->nitems && !r->has_axes; i++)
    if (r->items[i]->kind == AST_NAME && r->items[i]->name == local && (i < nnames || i == 0))
      return i < nnames ? full[i] : in->scope->prefix;
  return fresh_name(in->scope->kx, in->scope->prefix, local);
}

static TeRole role_inside(Name full, int nnames, const Name *names, TeRole role) {
  for (int i = 0; i < nnames; i++)
    if (names[i] == full) return role;
  return TE_COMPUTE;
}

static void expand_decls(Instance *in, int nnames, const Name *full, TeRole role) {
  const AstItem *def = in->def;
  for (int i = 0; i < def->ndecls; i++) {
    const AstDecl *d = &def->decls[i];
    Name *names = NEW_ARRAY(in->scope->kx->ck->cx->arena, Name, d->nnames);
    bool value = d->role == TE_CONSTANT && !d->has_axes;
    for (int n = 0; n < d->nnames && !value; n++)
      names[n] = name_inside(in, d->names ? d->names[n].name : d->name, nnames, full);
    check_decl(in->scope, d, names, role_inside(names[0], nnames, full, role));
  }
}

// The i-th result: what the def declared, a parameter, or a stage for the expression that is returned.
static TeTensor *result_of(Instance *in, int i, int nnames, const Name *full, TeRole role) {
  const AstReturn *r = in->def->def->result;
  const AstExpr *e = r->items[i];
  Scope *s = in->scope;
  bool asked = i < nnames;
  if (e->kind == AST_NAME && !r->has_axes) {
    Binding b = scope_find(s, e->name, e->loc);
    if (b.kind == BIND_POISON) return NULL;
    if (b.kind == BIND_TENSOR && (!asked || b.ref.t->name == full[i])) return (TeTensor *)b.ref.t;
  }
  Name name = asked ? full[i] : i == 0 ? s->prefix : fresh_name(s->kx, s->prefix, "result");
  AstDecl d = {.role = TE_COMPUTE,
               .name = name,
               .loc = r->loc,
               .name_loc = e->loc,
               .nnames = 1,
               .has_axes = r->has_axes,
               .naxes = r->naxes,
               .axes = r->axes,
               .axes_loc = r->axes_loc,
               .dtype = r->dtype,
               .dtype_loc = r->dtype_loc,
               .body = e};
  TensorRef ref;
  return make_tensors(s, &d, &name, asked ? role : TE_COMPUTE, &ref) ? (TeTensor *)ref.t : NULL;
}

static bool expand(Instance *in, int nnames, const Name *full, TeRole role) {
  const AstReturn *r = in->def->def->result;
  Ctx *cx = in->scope->kx->ck->cx;
  if (nnames > r->nitems) {
    Diag *g = diag_report(cx->diags, E_CALL, in->call->loc, "`%s` gives %d result%s, not %d", in->def->name, r->nitems,
                          r->nitems == 1 ? "" : "s", nnames);
    diag_also(g, r->loc, "it returns here");
    diag_help(g, "name as many as it gives");
    return false;
  }
  int errors = diags_errors(cx->diags);
  bind_later(in->scope);
  expand_decls(in, nnames, full, role);
  if (in->pure) return diags_errors(cx->diags) == errors;
  in->nresults = nnames > 1 ? nnames : 1;
  in->results = NEW_ARRAY(cx->arena, TeTensor *, in->nresults);
  for (int i = 0; i < in->nresults; i++)
    if (!(in->results[i] = result_of(in, i, nnames, full, role))) return false;
  return diags_errors(cx->diags) == errors;
}

// A def that is called by itself, by way of others perhaps, never ends.
static bool is_recursive(const StageCx *sx, const AstExpr *e, const AstItem *def) {
  for (const Scope *s = sx->scope; s; s = s->caller) {
    if (s->item != def) continue;
    Diag *g = diag_report(sx->ck->cx->diags, E_CYCLE, e->name_loc, "`%s` is called by itself", def->name);
    diag_also(g, def->name_loc, "it is defined here");
    diag_help(g, "calls are expanded when the kernel is compiled: write a recurrence as a stage that reads itself");
    return true;
  }
  return false;
}

// Told once: what is expanded after it means nothing.
static Diag *report_spent(const StageCx *sx, const AstExpr *e, const char *text) {
  sx->kx->ok = false;
  sx->kx->spent = true;
  Diag *g = diag_report(sx->ck->cx->diags, E_TOO_DEEP, e->loc, "%s", text);
  if (sx->scope->caller) diag_also(g, sx->scope->item->name_loc, "in this def");
  return g;
}

static bool is_too_many(const StageCx *sx, const AstExpr *e) {
  KernelCx *kx = sx->kx;
  if (kx->spent) return true;
  if (++kx->ninstances <= INSTANCES_MAX && kx->tensors.len < INSTANCES_MAX) return false;
  Diag *g = report_spent(
      sx, e, arena_printf(sx->ck->cx->arena, "the calls of this kernel expand to more than %d stages", INSTANCES_MAX));
  diag_help(g, "call defs fewer times, or split the kernel");
  return true;
}

bool may_expand(const StageCx *sx, const AstExpr *at, int64_t nodes, const TeExpr *made) {
  KernelCx *kx = sx->kx;
  Arena *a = sx->ck->cx->arena;
  const char *text = NULL;
  if (kx->spent) return false;
  kx->expanded += nodes;
  if (kx->level > 2 * TE_MAX_DEPTH || (made && made->depth > TE_MAX_DEPTH))
    text = arena_printf(a, "calls of defs make an expression of more than %d levels", TE_MAX_DEPTH);
  else if (made && made->nodes > TE_MAX_NODES)
    text = arena_printf(a, "calls of defs make an expression of more than %d operations", TE_MAX_NODES);
  else if (kx->expanded > TE_MAX_EXPANSION)
    text = arena_printf(a, "the calls of this kernel expand to more than %d operations", TE_MAX_EXPANSION);
  if (!text) return true;
  Diag *g = report_spent(sx, at, text);
  diag_note(g, "an argument is written out wherever its def uses it");
  diag_help(g, "let it be a stage: `compute s = ...;`, and give `s`");
  return false;
}

Instance *def_instance(const StageCx *sx, const AstExpr *e, int nnames, const Name *full, TeRole role) {
  Ctx *cx = sx->ck->cx;
  Instance *in = ptrmap_find(&sx->scope->calls, e);
  if (in) return in;
  const Global *g = e && e->kind == AST_CALL ? find_def(sx->scope, e->name) : NULL;
  if (!g) {
    Diag *d = diag_report(cx->diags, E_CALL, e->loc, "several results are those of a def, and this is none");
    diag_help(d, "give each stage a declaration of its own");
    return NULL;
  }
  in = NEW(cx->arena, Instance);
  *in = (Instance){.call = e, .def = g->item, .pure = def_is_pure(g->item) && nnames == 0, .failed = true};
  ptrmap_set(cx->arena, &sx->scope->calls, e, in);
  if (g->other) {
    Diag *d = diag_report(cx->diags, E_DUPLICATE_NAME, e->name_loc, "two imports define `%s`", e->name);
    diag_also(d, g->item->name_loc, "one is here");
    diag_also(d, g->other->name_loc, "and one here");
    diag_help(d, "import one of them under a name, `import \"file.te\" as f;`, and write `f.%s`", e->name);
    return in;
  }
  if (is_recursive(sx, e, g->item) || is_too_many(sx, e)) return in;
  if (g->item->broken) return in;
  Name prefix = nnames ? full[0] : fresh_name(sx->kx, sx->prefix, g->item->name);
  in->scope = scope_new(sx->kx, g->file, g->item, sx->scope, prefix);
  diags_enter(cx->diags, e->loc, arena_printf(cx->arena, "in this call of `%s`", g->item->name));
  in->failed = !bind_params(sx, in);
  if (!in->failed) in->failed = !expand(in, nnames, full, role);
  diags_leave(cx->diags);
  if (in->failed) sx->kx->ok = false;
  return in;
}

TeTensor *def_stage(const StageCx *sx, const AstExpr *e) {
  Instance *in = def_instance(sx, e, 0, NULL, TE_COMPUTE);
  if (!in || in->failed) return NULL;
  if (!in->pure) return in->results[0];
  if (!in->results) {
    TensorRef ref;
    in->results = NEW_ARRAY(sx->ck->cx->arena, TeTensor *, 1);
    in->results[0] = stage_of_expr(sx->scope, e, in->scope->prefix, NULL, &ref);
  }
  return in->results[0];
}

bool def_enter(StageCx *sx, const AstExpr *e, StageCx *inner, const AstExpr **result) {
  Instance *in = def_instance(sx, e, 0, NULL, TE_COMPUTE);
  if (!in || in->failed) return false;
  for (size_t i = 0; i < in->scope->bindings.len; i++) {
    Arg *arg = in->scope->bindings.data[i].kind == BIND_ARG ? in->scope->bindings.data[i].arg : NULL;
    if (!arg || arg->sx->scope != sx->scope) continue;
    StageCx *at = (StageCx *)arg->sx;
    at->stage = sx->stage;
    at->prefix = sx->prefix;
    at->like = sx->like;
    at->guards = sx->guards;
    at->raxes = sx->raxes;
    at->inside = sx->inside;
    at->shorthand = sx->shorthand;
    check_arg(at, arg);
  }
  *inner = *sx;
  inner->scope = in->scope;
  inner->prefix = in->scope->prefix;
  inner->raxes = NULL;
  inner->inside = false;
  inner->like = (TensorRef){0};
  *result = in->def->def->result->items[0];
  if (sx->shorthand) {
    Operands o = in->looked ? (Operands){.first = in->first, .foreign = in->foreign} : find_operands(inner, *result);
    inner->like = o.first;
    if (o.foreign) inner->like.axes = NULL;
  }
  return true;
}

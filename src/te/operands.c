// SPDX-License-Identifier: Apache-2.0
// Which axes a pointwise expression has: those of the first tensor in it, in the order of the text, that stands without
// indices and has any. Calls of defs are expanded on the way, since what they give may be that tensor.
#include "te/internal.h"

#include <string.h>

typedef struct Finder {
  Operands o;
  const StageCx *sx;
  bool brackets;          // inside those of an index or a reduction, where names of axes hide tensors
  const Reducing *raxes;  // their names, too
  const AstExpr *reduces; // the reduction around
  TensorRef indexed;      // the first tensor that is indexed by its own axes, in order
  Loc indexed_loc;
  bool element; // it stands in what is given to a parameter
} Finder;

static void find(Finder *f, const AstExpr *e);

static bool same_shape(const TeTensor *a, const TeTensor *b) {
  if (a->naxes != b->naxes) return false;
  for (int i = 0; i < a->naxes; i++)
    if (a->axes[i]->extent != b->axes[i]->extent) return false;
  return true;
}

static void meet(Finder *f, TensorRef ref, Loc loc) {
  Operands *o = &f->o;
  if (ref.t->naxes == 0) {
    o->scalar = true;
    return;
  }
  if (!o->first.t) {
    o->first = ref;
    o->loc = loc;
    return;
  }
  if (same_shape(o->first.t, ref.t)) return;
  Ctx *cx = f->sx->ck->cx;
  Diag *g = diag_report(cx->diags, E_SHAPE, loc, "`%s` and `%s` have different shapes", o->first.t->name, ref.t->name);
  diag_also(g, o->loc, "`%s` is %s", o->first.t->name, shape_text(cx, o->first.t));
  diag_here(g, "`%s` is %s", ref.t->name, shape_text(cx, ref.t));
  diag_help(g, "give the stage an axis list, and index its operands");
  o->failed = true;
}

// Whether a name is an axis where the finder is.
static bool is_axis(const Finder *f, Name name) {
  const TensorRef *r = &f->o.first;
  for (int i = 0; r->t && i < r->t->naxes; i++)
    if ((r->axes ? r->axes[i] : r->t->axes[i]->name) == name) return true;
  if (find_axis(f->sx, name)) return true; // of a stage whose axes are written
  for (const AstExpr *e = f->reduces; e; e = NULL)
    for (int i = 0; i < e->naxes; i++)
      if (e->axes[i].name == name) return true;
  return false;
}

static void find_all(Finder *f, const AstExpr *e) {
  for (int i = 0; i < e->nitems; i++) find(f, e->items[i]);
}

static void note_indexed(Finder *f, TensorRef ref, Loc loc, bool element) {
  if (f->indexed.t) return;
  f->indexed = ref;
  f->indexed_loc = loc;
  f->element = element;
}

// What an argument of the caller has, by the names of the caller.
static void find_arg(Finder *f, Arg *arg, Loc loc) {
  if (!arg->operands) {
    Operands found = find_operands(arg->sx, arg->e);
    arg->operands = arena_copy(f->sx->ck->cx->arena, &found, sizeof found);
  }
  Operands o = *arg->operands;
  f->o.failed |= o.failed;
  f->o.scalar |= o.scalar;
  if (!o.first.t) return;
  if (o.indexed) {
    note_indexed(f, o.first, loc, true);
    return;
  }
  f->o.foreign |= !f->o.first.t;
  meet(f, o.first, loc);
}

static void find_name(Finder *f, const AstExpr *e) {
  if (f->brackets && is_axis(f, e->name)) return;
  Binding b = scope_find(f->sx->scope, e->name, e->loc);
  switch (b.kind) {
  case BIND_TENSOR: meet(f, b.ref, e->loc); return;
  case BIND_ARG: find_arg(f, b.arg, e->loc); return;
  case BIND_POISON: f->o.failed = true; return;
  case BIND_NONE:
  case BIND_LATER:
  case BIND_TYPE:
    if (!f->o.unknown && !f->brackets) f->o.unknown = e;
    return;
  case BIND_VALUE: return;
  }
}

// A pure def has the axes of its own first operand. A parameter that it indexes is a whole tensor; what the caller
// indexes is none.
static void find_pure(Finder *f, Instance *in, Loc loc) {
  if (!in->looked) {
    StageCx inner = *f->sx;
    inner.scope = in->scope;
    inner.prefix = in->scope->prefix;
    inner.raxes = NULL;
    inner.like = (TensorRef){0};
    Operands o = find_operands(&inner, in->def->def->result->items[0]);
    in->looked = true;
    in->failed |= o.failed;
    in->scalar = o.scalar;
    in->first = o.first;
    in->first_loc = o.loc;
    in->element = o.element;
    in->foreign = o.foreign;
  }
  f->o.failed |= in->failed;
  f->o.scalar |= in->scalar;
  if (in->first.t && in->element) note_indexed(f, in->first, loc, true);
  else if (in->first.t) meet(f, in->first, loc);
}

static bool is_cast(const Finder *f, Name name) {
  DType type;
  const Binding *own = scope_own(f->sx->scope, name);
  return dtype_of_name(name, &type) || (own && own->kind == BIND_TYPE);
}

static void find_call(Finder *f, const AstExpr *e) {
  const Builtin *b = builtin_find(e->name);
  if (b && b->kind == BUILTIN_RESHAPE) return; // it has the shape that is declared
  if (!find_def(f->sx->scope, e->name)) {
    if (b || is_cast(f, e->name)) find_all(f, e);
    else if (!f->o.unknown) f->o.unknown = e;
    return;
  }
  if (f->brackets) return; // its arguments are its own affair
  Instance *in = def_instance(f->sx, e, 0, NULL, TE_COMPUTE);
  if (!in || in->failed) f->o.failed = true;
  else if (in->pure) find_pure(f, in, e->loc);
  else meet(f, (TensorRef){.t = in->results[0]}, e->loc);
}

// Notes a tensor that is indexed by the names of its own axes.
static void find_own_indices(Finder *f, const AstExpr *e) {
  if (f->indexed.t || f->brackets || !e->name) return;
  Binding b = scope_find(f->sx->scope, e->name, e->name_loc);
  if (b.kind != BIND_TENSOR || !b.ref.t->naxes) return;
  int at = 0;
  for (int i = 0; i < e->nitems; i++) {
    if (e->items[i]->kind == AST_REST) {
      if (b.ref.nrest && at != b.ref.rest) return;
      at += b.ref.nrest;
      continue;
    }
    Name axis = at >= b.ref.t->naxes ? NULL : b.ref.axes ? b.ref.axes[at] : b.ref.t->axes[at]->name;
    if (!axis || e->items[i]->kind != AST_NAME || e->items[i]->name != axis) return;
    at++;
  }
  if (at != b.ref.t->naxes) return;
  note_indexed(f, b.ref, e->loc, false);
}

// Brackets are looked into once the axes are known.
static void find_in_brackets(Finder *f, const AstExpr *e) {
  if (!f->brackets) {
    find_own_indices(f, e);
    return;
  }
  const AstExpr *around = f->reduces;
  if (e->kind == AST_REDUCE) f->reduces = e;
  find_all(f, e);
  f->reduces = around;
}

static void find(Finder *f, const AstExpr *e) {
  if (!e) return;
  switch (e->kind) {
  case AST_INT:
  case AST_BIG:
  case AST_FLOAT:
  case AST_BOOL:
  case AST_REST:
  case AST_STRING: return;
  case AST_NAME: find_name(f, e); return;
  case AST_UNARY:
  case AST_BINARY:
  case AST_SELECT:
    find(f, e->a);
    find(f, e->b);
    find(f, e->c);
    return;
  case AST_LIST: find_all(f, e); return;
  case AST_CALL: find_call(f, e); return;
  case AST_INDEX:
    if (e->name && scope_find(f->sx->scope, e->name, e->name_loc).kind == BIND_TENSOR) f->o.scalar = true;
    find_in_brackets(f, e);
    return;
  case AST_REDUCE:
    f->o.scalar = true;
    find_in_brackets(f, e);
    return;
  case AST_CONCAT: {
    TensorRef shape = f->brackets ? (TensorRef){0} : concat_shape(f->sx, e);
    if (shape.t) meet(f, shape, e->loc);
    else f->o.failed |= !f->brackets;
    return;
  }
  case AST_BAD: f->o.failed = true; return;
  }
}

// Whether there are brackets in e: most expressions need no second walk.
static bool has_brackets(const AstExpr *e) {
  if (!e) return false;
  if (e->kind == AST_INDEX || e->kind == AST_REDUCE) return true;
  for (int i = 0; i < e->nitems; i++)
    if (has_brackets(e->items[i])) return true;
  return has_brackets(e->a) || has_brackets(e->b) || has_brackets(e->c);
}

// Looks into the brackets of e, and at nothing else.
static void second_walk(Finder *f, const AstExpr *e) {
  if (!e || e->kind == AST_CONCAT || (e->kind == AST_CALL && find_def(f->sx->scope, e->name))) return;
  if (e->kind == AST_INDEX || e->kind == AST_REDUCE) {
    find(f, e);
    return;
  }
  second_walk(f, e->a);
  second_walk(f, e->b);
  second_walk(f, e->c);
  for (int i = 0; i < e->nitems; i++) second_walk(f, e->items[i]);
}

Operands find_operands(const StageCx *sx, const AstExpr *e) {
  Finder f = {.sx = sx};
  find(&f, e);
  if (f.o.failed || (!has_brackets(e) && !f.indexed.t)) return f.o;
  f.brackets = true;
  if (!f.o.first.t && f.indexed.t) { // so that its names are axes
    f.o.first = f.indexed;
    f.o.loc = f.indexed_loc;
    f.o.indexed = true;
    f.o.element = f.o.foreign = f.element;
  }
  second_walk(&f, e);
  return f.o;
}

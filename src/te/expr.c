// SPDX-License-Identifier: Apache-2.0
// Types of expressions. Literals (and params, consts, and what is computed from them alone) have no type of their
// own until they meet an operand that has one; such expressions are built on int64 or float64 and rebuilt by
// `settle`.
#include "te/internal.h"

#include <math.h>
#include <string.h>

typedef enum Lit { TYPED, LIT_INT, LIT_FLOAT } Lit;

// An expression on its way: e NULL after an error.
typedef struct Typed {
  const TeExpr *e;
  Lit lit;
} Typed;

static const Typed POISON = {NULL, TYPED};

static Typed infer(StageCx *sx, const AstExpr *e);

static Ctx *ctx(StageCx *sx) { return sx->ck->cx; }
static Arena *arena(StageCx *sx) { return sx->ck->cx->arena; }
static const char *text_of(StageCx *sx, Loc loc) { return te_snippet(ctx(sx), loc); }

// ---- literals settle into types --------------------------------------------------------------------------------

// Whether an integer fits a type.
static bool int_fits(DType t, int64_t v) {
  if (t == DT_U64) return v >= 0;
  return wrap_int(t, v) == v;
}

// The narrowest type that holds what t does not: wide is a number of float type, if t is one.
static DType wider_type(DType t, double wide, int64_t v) {
  if (dtype_is_float(t)) return t == DT_F16 && !isinf(round_float(DT_F32, wide)) ? DT_F32 : DT_F64;
  for (DType w = DT_I16;; w = w == DT_I16 ? DT_I32 : DT_I64)
    if (w == DT_I64 || int_fits(w, v)) return w;
}

static const TeExpr *misfit(StageCx *sx, const TeExpr *e, DType t, double wide) {
  const char *text =
      dtype_is_float(t) ? arena_printf(arena(sx), "%g", wide) : arena_printf(arena(sx), "%lld", (long long)e->value.i);
  Diag *g = diag_report(ctx(sx)->diags, E_LITERAL, e->loc, "%s does not fit %s", text, dtype_name(t));
  if (dtype_is_int(t) && t != DT_U64) {
    int bits = dtype_bits(t) - (dtype_is_signed(t) ? 1 : 0);
    int64_t top = bits >= 63 ? INT64_MAX : ((int64_t)1 << bits) - 1;
    diag_note(g, "%s holds %lld to %lld", dtype_name(t), dtype_is_signed(t) ? (long long)(-top - 1) : 0,
              (long long)top);
  }
  const char *w = dtype_name(wider_type(t, wide, e->value.i));
  diag_help(
      g, "choose a number that does, or let it meet %s: cast what it stands beside, `%s(...)`, or declare its stage so",
      w, w);
  return NULL;
}

// A literal as a constant of a number type.
static const TeExpr *settle_const(StageCx *sx, const TeExpr *e, DType t) {
  Scalar v = e->value;
  if (dtype_is_float(t)) {
    double wide = e->type == DT_F64 ? v.f : (double)v.i;
    v.f = round_float(t, wide);
    if (isinf(v.f) && !isinf(wide)) return misfit(sx, e, t, wide);
    return te_const(arena(sx), t, v, e->loc);
  }
  if (!int_fits(t, v.i)) return misfit(sx, e, t, 0);
  return te_const(arena(sx), t, v, e->loc);
}

// Gives an expression of literals the number type t; its kind of literal has been checked to fit.
static const TeExpr *settle(StageCx *sx, const TeExpr *e, DType t) {
  Arena *a = arena(sx);
  const TeExpr *x, *y;
  switch (e->kind) {
  case TE_CONST: return settle_const(sx, e, t);
  case TE_UNARY: x = settle(sx, e->a, t); return x ? te_unary(a, e->unop, x, e->loc) : NULL;
  case TE_BINARY:
    x = settle(sx, e->a, t);
    y = settle(sx, e->b, t);
    return x && y ? te_binary(a, e->binop, x, y, e->loc) : NULL;
  case TE_SELECT:
    x = settle(sx, e->b, t);
    y = settle(sx, e->c, t);
    return x && y ? te_select(a, e->a, x, y, e->loc) : NULL;
  case TE_MATH: {
    const TeExpr *args[3] = {NULL};
    for (int i = 0; i < e->nargs; i++)
      if (!(args[i] = settle(sx, e->args[i], t))) return NULL;
    return te_math(a, e->fn, args, e->loc);
  }
  case TE_AXIS:
  case TE_ACCESS:
  case TE_CAST: break;
  }
  return e;
}

// What a literal becomes when nothing tells.
static DType default_type(const TeExpr *e, Lit lit) {
  if (lit == LIT_FLOAT) return DT_F32;
  return e->kind == TE_CONST && !int_fits(DT_I32, e->value.i) ? DT_I64 : DT_I32;
}

static const TeExpr *settle_default(StageCx *sx, Typed x) {
  if (!x.e || x.lit == TYPED) return x.e;
  return settle(sx, x.e, default_type(x.e, x.lit));
}

// Settles a literal beside an operand of type t; reports one that cannot.
static const TeExpr *settle_to(StageCx *sx, Typed x, DType t) {
  if (!x.e || x.lit == TYPED) return x.e;
  if (t == DT_BOOL) {
    Diag *g =
        diag_report(ctx(sx)->diags, E_TYPE, x.e->loc, "`%s` is a number where a bool is needed", text_of(sx, x.e->loc));
    diag_help(g, "write true, false or a comparison");
    return NULL;
  }
  if (x.lit == LIT_FLOAT && !dtype_is_float(t)) {
    Diag *g = diag_report(ctx(sx)->diags, E_TYPE, x.e->loc, "`%s` is a floating-point number where %s is needed",
                          text_of(sx, x.e->loc), dtype_name(t));
    diag_help(g, "write `%s(%s)`, or cast the other operand to float32", dtype_name(t), text_of(sx, x.e->loc));
    return NULL;
  }
  return settle(sx, x.e, t);
}

static Typed typed(const TeExpr *e) { return (Typed){e, TYPED}; }

static Typed lit_int(StageCx *sx, int64_t v, Loc loc) { return (Typed){te_int(arena(sx), v, loc), LIT_INT}; }

static Typed lit_float(StageCx *sx, double v, Loc loc) {
  return (Typed){te_const(arena(sx), DT_F64, (Scalar){.f = v}, loc), LIT_FLOAT};
}

static double lit_number(Typed x) { return x.lit == LIT_FLOAT ? x.e->value.f : (double)x.e->value.i; }
static bool lit_const(Typed x) { return x.lit != TYPED && x.e->kind == TE_CONST; }

// ---- names -----------------------------------------------------------------------------------------------------

const TeAxis *find_axis(const StageCx *sx, Name name) {
  for (const Reducing *r = sx->raxes; r; r = r->outer)
    for (int i = 0; i < r->n; i++)
      if (r->axes[i]->name == name) return r->axes[i];
  const TensorRef *like = &sx->like;
  // In a def, what it binds comes before the axes of a tensor that the caller named.
  const Binding *own = !like->axes && sx->scope->item->kind == ITEM_DEF ? scope_own(sx->scope, name) : NULL;
  if (own && (own->kind == BIND_VALUE || own->kind == BIND_ARG)) return NULL;
  for (int i = 0; like->t && i < like->t->naxes; i++)
    if ((like->axes ? like->axes[i] : like->t->axes[i]->name) == name) return sx->stage->axes[i];
  return NULL;
}

// Says that a name means nothing here, and what it may have meant.
static Typed unknown_name(StageCx *sx, Name name, Loc loc, const char *what) {
  Diags *d = ctx(sx)->diags;
  if (diags_errors(d) >= TE_MAX_ERRORS) return POISON;
  if (name == sx->stage->name) {
    Diag *g = diag_report(d, E_CYCLE, loc, "`%s` is computed from itself", name);
    diag_help(
        g, "a stage reads the tensors declared before it; a sum over many elements is a reduction, `sum[k: 8](...)`");
    return POISON;
  }
  for (int i = 0; i < sx->scope->item->ndecls; i++) {
    const AstDecl *decl = &sx->scope->item->decls[i];
    if (decl->name != name) continue;
    Diag *g = diag_report(d, E_UNKNOWN_NAME, loc, "`%s` is used before it is declared", name);
    diag_also(g, decl->name_loc, "declared here");
    diag_help(g, "a stage reads the tensors declared before it: move the declaration up");
    return POISON;
  }
  if (sx->scope->item->broken || sx->ck->broken) return POISON;
  if (strchr(name, '.')) {
    ConstScope consts = scope_consts(sx->scope);
    report_unknown_name(&consts, name, loc, "constant");
    return POISON;
  }
  Diag *g = diag_report(d, E_UNKNOWN_NAME, loc, "unknown %s `%s`", what, name);
  if (foreign_help(g, FOREIGN_NAME, name)) return POISON;
  Nearest n = {.wanted = name};
  bool tensor_only = strcmp(what, "tensor") == 0;
  for (int i = 0; !tensor_only && sx->like.t && i < sx->like.t->naxes; i++)
    nearest_try(&n, sx->like.axes ? sx->like.axes[i] : sx->like.t->axes[i]->name);
  for (const Reducing *r = sx->raxes; r && !tensor_only; r = r->outer)
    for (int i = 0; i < r->n; i++) nearest_try(&n, r->axes[i]->name);
  for (int i = 0; i < sx->scope->item->ndecls; i++) {
    const AstDecl *decl = &sx->scope->item->decls[i];
    const Binding *b = scope_own(sx->scope, decl->name);
    if (b && b->kind == BIND_TENSOR) nearest_try(&n, decl->name);
  }
  for (int i = 0; sx->scope->item->def && i < sx->scope->item->def->nparams; i++)
    nearest_try(&n, sx->scope->item->def->params[i].name);
  if (!tensor_only) {
    ConstScope consts = scope_consts(sx->scope);
    consts.candidates(consts.self, &n);
  }
  if (n.best) diag_guess(g, loc, n.best, "a similar name exists");
  else diag_help(g, "a name is a tensor declared before it, an axis of its own stage, a `param` or a `const`");
  return POISON;
}

// The names of a tensor's axes: "m, n".
static const char *axis_list(StageCx *sx, const TeTensor *t) {
  Text names = {.arena = arena(sx)};
  for (int i = 0; i < t->naxes; i++) text_add(&names, "%s%s", i ? ", " : "", t->axes[i]->name);
  return names.data;
}

// A tensor without indices.
static Typed whole_tensor(StageCx *sx, const TeTensor *t, Loc loc) {
  bool fits = sx->shorthand && sx->stage->naxes == t->naxes;
  if (fits || t->naxes == 0) {
    const TeExpr **idx = NEW_ARRAY(arena(sx), const TeExpr *, t->naxes + 1);
    for (int i = 0; i < t->naxes; i++) idx[i] = te_axis(arena(sx), sx->stage->axes[i], loc);
    return typed(te_access(arena(sx), t, idx, loc));
  }
  Diag *g = diag_report(ctx(sx)->diags, E_RANK, loc, "the tensor `%s` stands here without indices", t->name);
  Text names = {.arena = arena(sx)};
  for (int i = 0; i < t->naxes; i++) text_add(&names, "%s%s", i ? ", " : "", t->axes[i]->name);
  diag_help(g, "write `%s[%s]`: only a stage without an axis list reads whole tensors", t->name, names.data);
  return POISON;
}

static Typed lit_value(StageCx *sx, TeValue v, Loc loc) {
  if (v.truth) return typed(te_const(arena(sx), DT_BOOL, (Scalar){.i = v.i}, loc));
  if (v.kind == VALUE_INT) return lit_int(sx, v.i, loc);
  if (v.kind == VALUE_FLOAT) return lit_float(sx, v.f, loc);
  diag_help(diag_report(ctx(sx)->diags, E_TYPE, loc, "a list is not a value of an expression"), "index it: `%s[0]`",
            text_of(sx, loc));
  return POISON;
}

void check_arg(StageCx *sx, Arg *arg) {
  Typed x = infer(sx, arg->e);
  arg->typed = x.e && may_expand(sx, arg->e, 0, x.e) ? x.e : NULL;
  arg->lit = x.lit;
}

static Typed infer_name(StageCx *sx, const AstExpr *e) {
  const TeAxis *axis = find_axis(sx, e->name);
  if (axis && (sx->inside || !sx->shorthand)) return typed(te_axis(arena(sx), axis, e->loc));
  Binding b = scope_find(sx->scope, e->name, e->loc);
  if (axis && b.kind != BIND_TENSOR) return typed(te_axis(arena(sx), axis, e->loc));
  switch (b.kind) {
  case BIND_TENSOR: return whole_tensor(sx, b.ref.t, e->loc);
  case BIND_VALUE: return lit_value(sx, b.value, e->loc);
  case BIND_ARG:
    if (!b.arg->typed || !may_expand(sx, e, b.arg->used ? b.arg->typed->nodes : 0, NULL)) return POISON;
    b.arg->used = true;
    return (Typed){b.arg->typed, (Lit)b.arg->lit};
  case BIND_POISON: return POISON;
  case BIND_NONE:
  case BIND_TYPE:
  case BIND_LATER: break;
  }
  return unknown_name(sx, e->name, e->loc, "name");
}

// ---- operators -------------------------------------------------------------------------------------------------

// Whether e is made of axes and constants alone.
static bool is_of_axes(const TeExpr *e) {
  if (e->type != DT_I64) return false;
  switch (e->kind) {
  case TE_AXIS: return true;
  case TE_CONST: return true;
  case TE_UNARY: return is_of_axes(e->a);
  case TE_BINARY: return is_of_axes(e->a) && is_of_axes(e->b);
  case TE_ACCESS:
  case TE_CAST:
  case TE_SELECT:
  case TE_MATH: return false;
  }
  return false;
}

// Whether a cast changes no value.
static bool keeps_values(DType from, DType to) {
  return dtype_is_int(from) && dtype_is_int(to) && dtype_bits(from) < dtype_bits(to) &&
         (dtype_is_signed(to) || !dtype_is_signed(from));
}

void te_offer_cast(Ctx *cx, Diag *g, const TeExpr *e, DType to) {
  const char *cast = arena_printf(cx->arena, "%s(%s)", dtype_name(to), te_snippet(cx, e->loc));
  bool plain = e->kind == TE_ACCESS || e->kind == TE_CAST || e->kind == TE_CONST || e->kind == TE_AXIS;
  if (e->loc.line != e->loc.end_line || strstr(cast, "..."))
    diag_help(g, "write the cast `%s(...)` around it", dtype_name(to));
  else if (plain && keeps_values(e->type, to)) diag_fix(g, e->loc, cast, "write the cast `%s`", cast);
  else diag_guess(g, e->loc, cast, "write the cast `%s`", cast);
}

// Brings two operands to one type; false after an error.
static bool agree(StageCx *sx, Loc loc, const char *what, Typed *x, Typed *y) {
  if (!x->e || !y->e) return false;
  if (x->lit != TYPED && y->lit != TYPED) return true;
  if (x->lit != TYPED) *x = typed(settle_to(sx, *x, y->e->type));
  if (y->lit != TYPED) *y = typed(settle_to(sx, *y, x->e ? x->e->type : DT_I64));
  if (!x->e || !y->e) return false;
  DType a = x->e->type, b = y->e->type;
  if (a == b) return true;
  Diag *g = diag_report(ctx(sx)->diags, E_TYPE, loc, "the operands of `%s` are %s and %s", what, dtype_name(a),
                        dtype_name(b));
  diag_also(g, x->e->loc, "this is %s", dtype_name(a));
  diag_also(g, y->e->loc, "this is %s", dtype_name(b));
  if (a == DT_BOOL || b == DT_BOOL) {
    diag_help(g, "compare the number: `%s != 0`", text_of(sx, (a == DT_BOOL ? y : x)->e->loc));
    return false;
  }
  bool left_axes = is_of_axes(x->e), right_axes = is_of_axes(y->e);
  if (left_axes != right_axes) {
    diag_note(g, "axes are int64");
    diag_help(g, "write the cast `%s(%s)`", dtype_name(left_axes ? b : a), text_of(sx, (left_axes ? x : y)->e->loc));
    return false;
  }
  bool cast_left = dtype_is_float(b) != dtype_is_float(a) ? dtype_is_float(b) : dtype_bits(a) < dtype_bits(b);
  const TeExpr *from = cast_left ? x->e : y->e;
  DType to = cast_left ? b : a;
  const char *cast = arena_printf(arena(sx), "%s(%s)", dtype_name(to), text_of(sx, from->loc));
  if (keeps_values(from->type, to)) te_offer_cast(ctx(sx), g, from, to);
  else diag_help(g, "write the cast `%s`", cast);
  if (dtype_bits(a) != dtype_bits(b) || dtype_is_float(a) != dtype_is_float(b))
    diag_help(g, "or, to lose precision: `%s(%s)`", dtype_name(cast_left ? a : b),
              text_of(sx, (cast_left ? y : x)->e->loc));
  return false;
}

static Typed unfit(StageCx *sx, Loc loc, const char *what, const char *needs, DType t) {
  Diag *g = diag_report(ctx(sx)->diags, E_TYPE, loc, "`%s` needs %s, not %s", what, needs, dtype_name(t));
  if (dtype_is_float(t)) foreign_help(g, FOREIGN_OF_FLOATS, what);
  if (t == DT_BOOL) foreign_help(g, FOREIGN_OF_BOOLS, what);
  if (dtype_is_float(t) && strstr(needs, "integer")) diag_help(g, "write a cast such as `int32(...)`");
  if (t == DT_BOOL && strstr(needs, "number")) diag_help(g, "make it a number: `... ? 1 : 0`");
  if (strstr(needs, "bool")) diag_help(g, "compare with zero: `... != 0`");
  if (strstr(needs, "floating")) diag_help(g, "write the cast `float32(...)`");
  return POISON;
}

// Computes with two integer literals. Results beyond 64 bits are errors, division by zero gives 0 as it does at
// run time.
static Typed fold_ints(StageCx *sx, Loc loc, BinOp op, int64_t a, int64_t b) {
  int64_t v = 0;
  bool fits = true;
  if (op == OP_ADD) fits = add_ok(a, b, &v);
  else if (op == OP_SUB) fits = !__builtin_sub_overflow(a, b, &v);
  else if (op == OP_MUL) fits = mul_ok(a, b, &v);
  else v = scalar_binary(op, DT_I64, (Scalar){.i = a}, (Scalar){.i = b}).i;
  if (op == OP_SHL) fits = (v >> (b & 63)) == a;
  if (op == OP_DIV && a == INT64_MIN && b == -1) fits = false;
  if (!fits) {
    Diag *g = diag_report(ctx(sx)->diags, E_LITERAL, loc, "the value of `%s` does not fit 64 bits", text_of(sx, loc));
    diag_help(g, "integers go from -2^63 to 2^63 - 1: use smaller ones, or floating-point numbers");
    return POISON;
  }
  if (binop_is_bool(op)) return typed(te_const(arena(sx), DT_BOOL, (Scalar){.i = v}, loc));
  return lit_int(sx, v, loc);
}

static bool is_compare(BinOp op) {
  return op == OP_LT || op == OP_LE || op == OP_GT || op == OP_GE || op == OP_EQ || op == OP_NE;
}
static bool is_logic(BinOp op) { return op == OP_LAND || op == OP_LOR; }
static bool is_bits(BinOp op) { return op == OP_SHL || op == OP_SHR || op == OP_AND || op == OP_XOR || op == OP_OR; }

// Computes with two literals of which one is a float; false: not an operation on floats.
static Typed fold_floats(StageCx *sx, Loc loc, BinOp op, double a, double b) {
  Scalar v = scalar_binary(op, DT_F64, (Scalar){.f = a}, (Scalar){.f = b});
  if (binop_is_bool(op)) return typed(te_const(arena(sx), DT_BOOL, v, loc));
  return lit_float(sx, v.f, loc);
}

// && and ||, whose operands are bool.
static Typed infer_logic(StageCx *sx, const AstExpr *e, Typed x, Typed y) {
  if (!x.e || !y.e) return POISON;
  const AstExpr *side = e->a;
  for (const Typed *t = &x; t; t = t == &x ? &y : NULL, side = e->b) {
    if (t->lit == TYPED && t->e->type == DT_BOOL) continue;
    DType is = t->lit == TYPED ? t->e->type : default_type(t->e, t->lit);
    return unfit(sx, side->loc, binop_text(e->binop), "bool operands", is);
  }
  return typed(te_binary(arena(sx), e->binop, x.e, y.e, e->loc));
}

// The operators that have agreeing operands.
static Typed binary(StageCx *sx, Loc loc, BinOp op, const char *what, Typed x, Typed y) {
  bool equality = op == OP_EQ || op == OP_NE;
  if (!equality && x.e && y.e && (x.e->type == DT_BOOL || y.e->type == DT_BOOL))
    return unfit(sx, loc, what, "numbers", DT_BOOL);
  if (!agree(sx, loc, what, &x, &y)) return POISON;
  bool lits = x.lit != TYPED;
  bool floats = lits ? x.lit == LIT_FLOAT || y.lit == LIT_FLOAT : dtype_is_float(x.e->type);
  DType t = lits ? (floats ? DT_F32 : DT_I32) : x.e->type;
  if (floats && (is_bits(op) || op == OP_MOD)) return unfit(sx, loc, what, "integer operands", t);
  if (lits && lit_const(x) && lit_const(y))
    return floats ? fold_floats(sx, loc, op, lit_number(x), lit_number(y))
                  : fold_ints(sx, loc, op, x.e->value.i, y.e->value.i);
  if (lits && is_compare(op)) {
    const TeExpr *a = settle(sx, x.e, t), *b = settle(sx, y.e, t);
    return a && b ? typed(te_binary(arena(sx), op, a, b, loc)) : POISON;
  }
  Typed out = {te_binary(arena(sx), op, x.e, y.e, loc), lits ? (floats ? LIT_FLOAT : LIT_INT) : TYPED};
  return out;
}

// An expression that is evaluated only where c is true, or false.
static Typed infer_under(StageCx *sx, Typed c, bool holds, const AstExpr *e) {
  Guard g = {c.e, holds, sx->guards};
  if (c.e && c.lit == TYPED && c.e->type == DT_BOOL) sx->guards = arena_copy(arena(sx), &g, sizeof g);
  Typed x = infer(sx, e);
  sx->guards = g.outer;
  return x;
}

static Typed infer_binary(StageCx *sx, const AstExpr *e) {
  Typed x = infer(sx, e->a);
  Typed y = is_logic(e->binop) ? infer_under(sx, x, e->binop == OP_LAND, e->b) : infer(sx, e->b);
  if (is_logic(e->binop)) return infer_logic(sx, e, x, y);
  return binary(sx, e->loc, e->binop, binop_text(e->binop), x, y);
}

static Typed infer_unary(StageCx *sx, const AstExpr *e) {
  if (e->unop == UN_NEG && e->a->kind == AST_BIG && (uint64_t)e->a->value == (uint64_t)INT64_MAX + 1)
    return lit_int(sx, INT64_MIN, e->loc);
  Typed x = infer(sx, e->a);
  if (!x.e) return POISON;
  DType t = x.lit == TYPED ? x.e->type : default_type(x.e, x.lit);
  const char *what = unop_text(e->unop);
  if (e->unop == UN_NOT && t != DT_BOOL) return unfit(sx, e->loc, what, "a bool operand", t);
  if (e->unop == UN_NEG && t == DT_BOOL) return unfit(sx, e->loc, what, "a number", t);
  if (e->unop == UN_BITNOT && !dtype_is_int(t)) return unfit(sx, e->loc, what, "an integer operand", t);
  if (lit_const(x)) {
    if (x.lit == LIT_FLOAT) return lit_float(sx, -x.e->value.f, e->loc);
    return e->unop == UN_NEG ? fold_ints(sx, e->loc, OP_SUB, 0, x.e->value.i) : lit_int(sx, ~x.e->value.i, e->loc);
  }
  return (Typed){te_unary(arena(sx), e->unop, x.e, e->loc), x.lit};
}

static Typed infer_select(StageCx *sx, const AstExpr *e) {
  Typed c = infer(sx, e->a);
  Typed x = infer_under(sx, c, true, e->b);
  Typed y = infer_under(sx, c, false, e->c);
  if (c.e && (c.lit != TYPED || c.e->type != DT_BOOL)) {
    DType is = c.lit == TYPED ? c.e->type : default_type(c.e, c.lit);
    Diag *g = diag_report(ctx(sx)->diags, E_TYPE, e->a->loc, "the condition `%s` is %s, not bool",
                          text_of(sx, e->a->loc), dtype_name(is));
    diag_help(g, "write `%s != 0`", text_of(sx, e->a->loc));
    return POISON;
  }
  if (!agree(sx, e->loc, "? :", &x, &y) || !c.e) return POISON;
  Lit lit = x.lit == TYPED ? TYPED : x.lit == LIT_FLOAT || y.lit == LIT_FLOAT ? LIT_FLOAT : LIT_INT;
  return (Typed){te_select(arena(sx), c.e, x.e, y.e, e->loc), lit};
}

// ---- calls -----------------------------------------------------------------------------------------------------

static Typed infer_cast(StageCx *sx, const AstExpr *e, DType to) {
  if (!call_has(ctx(sx), e, 1, "x")) return POISON;
  Typed x = infer(sx, e->items[0]);
  if (!x.e) return POISON;
  // A literal takes the type at once if it fits; else it is a value of its own type that the cast then converts.
  if (lit_const(x) && to != DT_BOOL) {
    DType from = x.lit == LIT_FLOAT ? DT_F64 : DT_I64;
    return typed(te_const(arena(sx), to, scalar_cast(to, from, x.e->value), e->loc));
  }
  const TeExpr *v = settle_default(sx, x);
  if (!v) return POISON;
  if (to == DT_BOOL && v->type != DT_BOOL) {
    Diag *g = diag_report(ctx(sx)->diags, E_TYPE, e->loc, "%s does not convert to bool", dtype_name(v->type));
    diag_help(g, "write `%s != 0`", text_of(sx, e->items[0]->loc));
    return POISON;
  }
  return typed(te_cast(arena(sx), to, v, e->loc));
}

// wide(x): small integers become int32, so that one operator sums integers and floats.
static Typed infer_wide(StageCx *sx, Typed x) {
  if (!x.e || lit_const(x)) return x;
  const TeExpr *v = settle_default(sx, x);
  if (!v) return POISON;
  bool small = !dtype_is_float(v->type) && v->type != DT_BOOL && dtype_bits(v->type) < 32;
  return typed(small ? te_cast(arena(sx), DT_I32, v, v->loc) : v);
}

// A function that is an operation of its own.
static Typed infer_math(StageCx *sx, const AstExpr *e, MathFn fn, Typed *x) {
  bool floats = false;
  for (int turn = 0; turn < 2; turn++) // the first may learn its type from the last, and the others from it
    for (int i = 1; i < e->nitems; i++)
      if (!agree(sx, e->loc, e->name, &x[0], &x[i])) return POISON;
  int lits = 0; // how many are numbers
  for (int i = 0; i < e->nitems; i++) floats |= x[i].lit == LIT_FLOAT, lits += lit_const(x[i]);
  if (!x[0].e) return POISON;
  Lit lit = x[0].lit == TYPED ? TYPED : floats || !math_takes(fn, DT_I64) ? LIT_FLOAT : LIT_INT;
  DType t = lit == TYPED ? x[0].e->type : lit == LIT_FLOAT ? DT_F32 : DT_I32;
  if (!math_takes(fn, t)) return unfit(sx, e->loc, e->name, math_takes_what(fn), t);
  if (lit == LIT_INT && !math_takes(fn, DT_F32) && e->nitems == lits) { // of numbers: as params and consts are computed
    const int64_t v[2] = {x[0].e->value.i, e->nitems > 1 ? x[1].e->value.i : 0};
    return lit_int(sx, scalar_math(fn, DT_I64, (Scalar){.i = v[0]}, (Scalar){.i = v[1]}).i, e->loc);
  }
  const TeExpr *args[3] = {x[0].e, x[1].e, x[2].e};
  return (Typed){te_math(arena(sx), fn, args, e->loc), lit};
}

static Typed infer_builtin(StageCx *sx, const AstExpr *e, const Builtin *b) {
  if (!call_has(ctx(sx), e, b->nargs, b->args)) return POISON;
  if (b->kind == BUILTIN_RESHAPE) return typed(arrange_reshape(sx, e));
  Typed x[3] = {{0}};
  for (int i = 0; i < e->nitems; i++) x[i] = infer(sx, e->items[i]);
  switch (b->kind) {
  case BUILTIN_MATH: return infer_math(sx, e, b->fn, x);
  case BUILTIN_WIDE: return infer_wide(sx, x[0]);
  case BUILTIN_RESHAPE:
  case BUILTIN_OPERATORS: break;
  }
  for (int i = 0; i < b->nops; i++) x[0] = binary(sx, e->loc, b->ops[i], e->name, x[0], x[i + 1]);
  return x[0];
}

// A call of a def: an expression in its own names, or the stage that it gives.
static Typed infer_def(StageCx *sx, const AstExpr *e) {
  StageCx inner;
  const AstExpr *result;
  if (!def_is_pure(find_def(sx->scope, e->name)->item)) {
    TeTensor *t = def_stage(sx, e);
    return t ? whole_tensor(sx, t, e->loc) : POISON;
  }
  if (!def_enter(sx, e, &inner, &result)) return POISON;
  diags_enter(ctx(sx)->diags, e->loc, arena_printf(arena(sx), "in this call of `%s`", e->name));
  Typed x = infer(&inner, result);
  diags_leave(ctx(sx)->diags);
  return x.e && may_expand(sx, e, 0, x.e) ? x : POISON;
}

static Typed infer_call(StageCx *sx, const AstExpr *e) {
  DType to;
  const Binding *own = scope_own(sx->scope, e->name);
  if (own && own->kind == BIND_TYPE) return infer_cast(sx, e, own->type);
  if (dtype_of_name(e->name, &to)) return infer_cast(sx, e, to);
  const Builtin *builtin = builtin_find(e->name);
  if (builtin) return infer_builtin(sx, e, builtin);
  if (find_def(sx->scope, e->name)) return infer_def(sx, e);
  if (scope_find(sx->scope, e->name, e->name_loc).kind == BIND_TENSOR) {
    Diag *g = diag_report(ctx(sx)->diags, E_TYPE, e->name_loc, "`%s` is a tensor, not a function", e->name);
    diag_help(g, "indices stand in brackets: `%s[...]`", e->name);
    return POISON;
  }
  Diag *g = diag_report(ctx(sx)->diags, E_UNKNOWN_NAME, e->name_loc, "unknown function `%s`", e->name);
  if (reduction_named(e->name)) {
    diag_help(g, "the reduction is written `%s[axis: extent](...)`", e->name);
    return POISON;
  }
  if (foreign_call(ctx(sx), g, e)) return POISON;
  Nearest n = {.wanted = e->name};
  builtins_try(&n);
  if (n.best) diag_nearest(g, e->name_loc, &n, "a similar name exists");
  else diag_help(g, "docs/language.md lists the functions");
  return POISON;
}

// ---- accesses --------------------------------------------------------------------------------------------------

// One index, as int64.
static const TeExpr *infer_index(StageCx *sx, const AstExpr *e) {
  Typed x = infer(sx, e);
  if (!x.e) return NULL;
  if (x.lit == LIT_INT) return settle(sx, x.e, DT_I64);
  if (x.lit == TYPED && x.e->type == DT_I64) return x.e;
  DType t = x.lit == LIT_FLOAT ? DT_F32 : x.e->type;
  Diag *g = diag_report(ctx(sx)->diags, E_TYPE, e->loc, "the index `%s` is %s; indices are int64", text_of(sx, e->loc),
                        dtype_name(t));
  if (t != DT_BOOL) te_offer_cast(ctx(sx), g, x.e, DT_I64);
  else diag_help(g, "choose an index by it: `%s ? 1 : 0`", text_of(sx, e->loc));
  return NULL;
}

// The indices that `..` stands for: the axes that are left, of the reduction around or of the stage.
static int rest_axes(const StageCx *sx, const TeAxis *const **axes) {
  for (const Reducing *r = sx->raxes; r; r = r->outer)
    if (r->nrest) return *axes = r->axes + r->rest, r->nrest;
  if (sx->like.nrest) *axes = (const TeAxis *const *)sx->stage->axes + sx->like.rest;
  return sx->like.nrest;
}

typedef VEC(const TeExpr *) TeExprs;

// The indices in brackets, `..` written out; false after an error.
static bool infer_indices(StageCx *sx, const AstExpr *e, TeExprs *out) {
  bool ok = true, was = sx->inside;
  sx->inside = true;
  for (int i = 0; i < e->nitems; i++) {
    if (e->items[i]->kind != AST_REST) {
      const TeExpr *x = infer_index(sx, e->items[i]);
      ok &= x != NULL;
      VEC_PUSH(arena(sx), *out, x);
      continue;
    }
    const TeAxis *const *rest;
    int n = rest_axes(sx, &rest);
    if (!n && !sx->scope->has_rest) {
      Diag *g = diag_report(ctx(sx)->diags, E_CALL, e->items[i]->loc, "`..` stands for no axes here");
      diag_help(g, "it stands for those that a parameter of the def leaves to it: `def f(x[.., c: C] : T)`");
      ok = false;
    }
    for (int k = 0; k < n; k++) VEC_PUSH(arena(sx), *out, te_axis(arena(sx), rest[k], e->items[i]->loc));
  }
  sx->inside = was;
  return ok;
}

// The tensor that is indexed; NULL after a report.
static const TeTensor *indexed_tensor(StageCx *sx, const AstExpr *e) {
  if (!e->name) return def_stage(sx, e->a);
  Binding b = scope_find(sx->scope, e->name, e->name_loc);
  if (b.kind == BIND_TENSOR) return b.ref.t;
  if (b.kind == BIND_POISON) return NULL;
  const TeTensor *later = find_later(sx->scope, e->name);
  if (later) return later;
  if (b.kind == BIND_ARG) {
    TensorRef ref = {0};
    Name full = fresh_name(sx->kx, sx->scope->prefix, e->name);
    if (!stage_of_expr(b.arg->sx->scope, b.arg->e, full, NULL, &ref)) return NULL;
    scope_bind(sx->scope, e->name, (Binding){.kind = BIND_TENSOR, .loc = b.loc, .ref = {.t = ref.t}});
    return ref.t;
  }
  if (b.kind == BIND_NONE && find_axis(sx, e->name)) {
    Diag *g = diag_report(ctx(sx)->diags, E_TYPE, e->name_loc, "`%s` is an axis, and has no elements", e->name);
    diag_help(g, "the value of the axis is `%s`; indices follow the name of a tensor", e->name);
    return NULL;
  }
  unknown_name(sx, e->name, e->name_loc, "tensor");
  return NULL;
}

static Typed infer_access(StageCx *sx, const AstExpr *e) {
  if (e->name && scope_find(sx->scope, e->name, e->name_loc).kind == BIND_VALUE) {
    ConstScope consts = scope_consts(sx->scope);
    TeValue v;
    return const_value(&consts, e, &v) ? lit_value(sx, v, e->loc) : POISON;
  }
  TeExprs idx = {0};
  bool ok = infer_indices(sx, e, &idx);
  const TeTensor *t = indexed_tensor(sx, e);
  if (!t) return POISON;
  int given = (int)idx.len;
  if (!ok) return POISON;
  if (t->naxes == given) return typed(te_access(arena(sx), t, idx.data, e->loc));
  Diag *g = diag_report(ctx(sx)->diags, E_RANK, e->loc, "`%s` has %d %s, but %d %s given", t->name, t->naxes,
                        t->naxes == 1 ? "axis" : "axes", given, given == 1 ? "index is" : "indices are");
  Text names = {.arena = arena(sx)};
  for (int i = 0; i < t->naxes; i++)
    text_add(&names, "%s%s: %lld", i ? ", " : "", t->axes[i]->name, (long long)t->axes[i]->extent);
  diag_also(g, t->name_loc, "`%s` is [%s]", t->name, names.data);
  diag_help(g, "one index for each axis: `%s[%s]`", t->name, axis_list(sx, t));
  return POISON;
}

static Typed no_value(StageCx *sx, const AstExpr *e, const char *what, const char *help) {
  diag_help(diag_report(ctx(sx)->diags, E_TYPE, e->loc, "%s is not a value of an expression", what), "%s", help);
  return POISON;
}

static Typed infer_node(StageCx *sx, const AstExpr *e) {
  switch (e->kind) {
  case AST_INT: return lit_int(sx, e->value, e->loc);
  case AST_BIG: return typed(te_const(arena(sx), DT_U64, (Scalar){.i = e->value}, e->loc));
  case AST_FLOAT: return lit_float(sx, e->number, e->loc);
  case AST_BOOL: return typed(te_const(arena(sx), DT_BOOL, (Scalar){.i = e->value}, e->loc));
  case AST_NAME: return infer_name(sx, e);
  case AST_UNARY: return infer_unary(sx, e);
  case AST_BINARY: return infer_binary(sx, e);
  case AST_SELECT: return infer_select(sx, e);
  case AST_CALL: return infer_call(sx, e);
  case AST_INDEX: return infer_access(sx, e);
  case AST_REDUCE: return typed(reduce_inside(sx, e, DT_COUNT));
  case AST_CONCAT: return typed(arrange_concat(sx, e));
  case AST_LIST:
    return no_value(
        sx, e, "a list in brackets",
        "indices follow the name of their tensor, `t[x, y]`, and axes that of a reduction, `sum[k: 8](...)`");
  case AST_STRING: return no_value(sx, e, "a text in quotes", "write a name without quotes, or a number");
  case AST_REST: return no_value(sx, e, "`..`", "it stands among the indices of a tensor");
  case AST_BAD: break;
  }
  return POISON;
}

static Typed infer(StageCx *sx, const AstExpr *e) {
  sx->kx->level++;
  Typed x = sx->scope->caller && !may_expand(sx, e, 1, NULL) ? POISON : infer_node(sx, e);
  sx->kx->level--;
  return x;
}

const TeExpr *check_expr(StageCx *sx, const AstExpr *e, DType want) {
  Typed x = infer(sx, e);
  if (!x.e || x.lit == TYPED) return x.e;
  return want == DT_COUNT ? settle_default(sx, x) : settle_to(sx, x, want);
}

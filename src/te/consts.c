// SPDX-License-Identifier: Apache-2.0
// Constant expressions: 64-bit integers, no value beyond them, no division by zero; float64; lists.
#include "te/internal.h"

#include <math.h>
#include <string.h>

// The target's constant of a dotted name.
static bool target_const(const TeTarget *t, Name name, TeValue *value) {
  for (int i = 0; t && i < t->nconsts; i++) {
    if (strcmp(t->consts[i].name, name) != 0) continue;
    *value = value_int(t->consts[i].value);
    return true;
  }
  return false;
}

void report_unknown_name(ConstScope *s, Name name, Loc at, const char *what) {
  if (s->quiet_unknown) return;
  const char *dot = strrchr(name, '.');
  if (dot && foreign_answer(FOREIGN_MEMBER, dot + 1)) {
    Diag *g = diag_report(s->cx->diags, E_UNKNOWN_NAME, at, "unknown %s `%s`", what, name);
    foreign_help(g, FOREIGN_MEMBER, dot + 1);
    return;
  }
  if (strchr(name, '.') && !s->target) {
    Diag *g = diag_report(s->cx->diags, E_TARGET, at, "`%s` is a name of a target, and this file chooses none", name);
    const char *target = arena_printf(s->cx->arena, "%.*s", (int)(strchr(name, '.') - name), name);
    if (s->hint_target) target = s->hint_target;
    diag_fix_head(g, at.src, arena_printf(s->cx->arena, "target %s;", target),
                  "write `target %s;` at the top of the file", target);
    return;
  }
  Diag *g = diag_report(s->cx->diags, E_UNKNOWN_NAME, at, "unknown %s `%s`", what, name);
  Nearest n = {.wanted = name};
  if (s->candidates) s->candidates(s->self, &n);
  for (int i = 0; s->target && i < s->target->nconsts; i++) nearest_try(&n, s->target->consts[i].name);
  if (n.best) diag_guess(g, at, n.best, "a similar name exists");
}

static Diag *not_const(ConstScope *s, const AstExpr *e, const char *why) {
  Diag *g = diag_report(s->cx->diags, E_NOT_CONST, e->loc, "`%s` is not a constant integer", te_snippet(s->cx, e->loc));
  diag_note(g, "%s", why);
  return g;
}

static bool is_float(ConstScope *s, const AstExpr *e, double number) {
  Diag *g = not_const(s, e, "it is a floating-point number");
  double low = floor(number);
  if (!(fabs(number) < 1e15)) return false;
  if (e->kind != AST_FLOAT) diag_help(g, "write `int64(%s)` for the integer part", te_snippet(s->cx, e->loc));
  else if (low == number) diag_fix(g, e->loc, arena_printf(s->cx->arena, "%.0f", number), "write it as an integer");
  else diag_help(g, "write an integer: `%.0f` or `%.0f`", low, low + 1);
  return false;
}

static bool divides_by_zero(ConstScope *s, const AstExpr *e) {
  const char *by = te_snippet(s->cx, e->b->loc);
  diag_help(not_const(s, e, "it divides by zero"), "let `%s` be another number: the params and consts in it decide",
            by);
  return false;
}

static bool overflow(ConstScope *s, const AstExpr *e) {
  Diag *g = diag_report(s->cx->diags, s->overflow, e->loc, "the value of `%s` does not fit 64 bits",
                        te_snippet(s->cx, e->loc));
  diag_help(g, "constants are integers from -2^63 to 2^63 - 1: use smaller ones");
  return false;
}

static bool eval_name(ConstScope *s, const AstExpr *e, TeValue *value) {
  ConstFound found = s->find ? s->find(s->self, e->name, e->loc, value) : CONST_MISSING;
  if (found == CONST_FOUND) return true;
  if (found == CONST_POISON) return false;
  if (found == CONST_VARIES) return not_const(s, e, "it is not known when the kernel is compiled"), false;
  if (target_const(s->target, e->name, value)) return true;
  if (strcmp(e->name, "inf") == 0) return *value = value_float(INFINITY), true;
  if (strcmp(e->name, "nan") == 0) return *value = value_float(NAN), true;
  report_unknown_name(s, e->name, e->loc, "constant");
  return false;
}

// A number as a float64.
static double number_of(TeValue v) { return v.kind == VALUE_FLOAT ? v.f : (double)v.i; }
static bool is_true(TeValue v) { return v.kind == VALUE_FLOAT ? v.f != 0 : v.i != 0; }

// A number: not a list.
static bool eval_number(ConstScope *s, const AstExpr *e, TeValue *value) {
  if (!const_value(s, e, value)) return false;
  return value->kind == VALUE_LIST ? (not_const(s, e, "it is a list"), false) : true;
}

static bool eval_unary(ConstScope *s, const AstExpr *e, TeValue *value) {
  if (e->unop == UN_NEG && e->a->kind == AST_BIG && (uint64_t)e->a->value == (uint64_t)INT64_MAX + 1) {
    *value = value_int(INT64_MIN);
    return true;
  }
  TeValue a;
  if (!eval_number(s, e->a, &a)) return false;
  switch (e->unop) {
  case UN_NEG:
    if (a.kind == VALUE_FLOAT) return *value = value_float(-a.f), true;
    *value = value_int(0);
    return __builtin_sub_overflow(0, a.i, &value->i) ? overflow(s, e) : true;
  case UN_NOT: *value = value_bool(!is_true(a)); return true;
  case UN_BITNOT:
    if (a.kind == VALUE_FLOAT) return not_const(s, e, "a floating-point number has no bits to turn over"), false;
    *value = value_int(~a.i);
    return true;
  case UN_COUNT: break;
  }
  return false;
}

// Shifts left, refusing to lose bits.
static bool shift_left(int64_t a, int64_t b, int64_t *out) {
  *out = (int64_t)((uint64_t)a << (b & 63));
  return (*out >> (b & 63)) == a;
}

static bool binary_of_ints(ConstScope *s, const AstExpr *e, BinOp op, int64_t a, int64_t b, int64_t *value) {
  switch (op) {
  case OP_ADD: return __builtin_add_overflow(a, b, value) ? overflow(s, e) : true;
  case OP_SUB: return __builtin_sub_overflow(a, b, value) ? overflow(s, e) : true;
  case OP_MUL: return __builtin_mul_overflow(a, b, value) ? overflow(s, e) : true;
  case OP_DIV:
  case OP_MOD:
    if (b == 0) return divides_by_zero(s, e);
    if (a == INT64_MIN && b == -1) return op == OP_DIV ? overflow(s, e) : (*value = 0, true);
    *value = op == OP_DIV ? floor_div(a, b) : floor_mod(a, b);
    return true;
  case OP_SHL: return shift_left(a, b, value) ? true : overflow(s, e);
  case OP_SHR: *value = a >> (b & 63); return true;
  case OP_MIN: *value = b < a ? b : a; return true;
  case OP_MAX: *value = b > a ? b : a; return true;
  case OP_AND: *value = a & b; return true;
  case OP_XOR: *value = a ^ b; return true;
  case OP_OR: *value = a | b; return true;
  case OP_LT: *value = a < b; return true;
  case OP_LE: *value = a <= b; return true;
  case OP_GT: *value = a > b; return true;
  case OP_GE: *value = a >= b; return true;
  case OP_EQ: *value = a == b; return true;
  case OP_NE: *value = a != b; return true;
  case OP_LAND:
  case OP_LOR: *value = b != 0; return true;
  case OP_COUNT: break;
  }
  return false;
}

// An operator of e on two numbers.
static bool binary_of(ConstScope *s, const AstExpr *e, BinOp op, TeValue a, TeValue b, TeValue *value) {
  if (a.kind == VALUE_INT && b.kind == VALUE_INT) {
    *value = (TeValue){.kind = VALUE_INT, .truth = binop_is_bool(op)};
    return binary_of_ints(s, e, op, a.i, b.i, &value->i);
  }
  if (op == OP_MOD || op == OP_SHL || op == OP_SHR || op == OP_AND || op == OP_OR || op == OP_XOR)
    return not_const(s, e, arena_printf(s->cx->arena, "`%s` is for integers", binop_text(op))), false;
  Scalar v = scalar_binary(op, DT_F64, (Scalar){.f = number_of(a)}, (Scalar){.f = number_of(b)});
  *value = binop_is_bool(op) ? value_bool(v.i) : value_float(v.f);
  return true;
}

static bool eval_binary(ConstScope *s, const AstExpr *e, TeValue *value) {
  TeValue a, b;
  if (!eval_number(s, e->a, &a)) return false;
  if (e->binop == OP_LAND && !is_true(a)) return *value = value_bool(false), true;
  if (e->binop == OP_LOR && is_true(a)) return *value = value_bool(true), true;
  if (!eval_number(s, e->b, &b)) return false;
  if (e->binop == OP_LAND || e->binop == OP_LOR) return *value = value_bool(is_true(b)), true;
  return binary_of(s, e, e->binop, a, b, value);
}

static bool eval_cast(ConstScope *s, const AstExpr *e, DType to, TeValue *value) {
  TeValue v;
  if (!call_has(s->cx, e, 1, "x") || !eval_number(s, e->items[0], &v)) return false;
  Scalar x =
      v.kind == VALUE_FLOAT ? scalar_cast(to, DT_F64, (Scalar){.f = v.f}) : scalar_cast(to, DT_I64, (Scalar){.i = v.i});
  *value = dtype_is_float(to) ? value_float(x.f) : value_int(x.i);
  return true;
}

// A function that is an operation of its own: of integers if it takes them and has nothing else, else of floats.
static bool eval_math(ConstScope *s, const AstExpr *e, MathFn fn, const TeValue *v, TeValue *value) {
  bool ints = math_takes(fn, DT_I64);
  Scalar x[3] = {{0}};
  for (int i = 0; i < e->nitems; i++) {
    if (!math_takes(fn, DT_F64) && v[i].kind == VALUE_FLOAT) return is_float(s, e->items[i], v[i].f);
    ints &= v[i].kind == VALUE_INT;
  }
  for (int i = 0; i < e->nitems; i++) x[i] = ints ? (Scalar){.i = v[i].i} : (Scalar){.f = number_of(v[i])};
  if (ints && fn == FN_ABS && v[0].i == INT64_MIN) return overflow(s, e);
  Scalar r = scalar_call(fn, ints ? DT_I64 : DT_F64, x);
  *value = ints ? value_int(r.i) : value_float(r.f);
  return true;
}

bool const_function(const char *name) {
  DType to;
  const Builtin *b = builtin_find(name);
  return b ? b->kind != BUILTIN_RESHAPE : dtype_of_name(name, &to) && to != DT_BOOL;
}

static bool eval_call(ConstScope *s, const AstExpr *e, TeValue *value) {
  DType to;
  if (!const_function(e->name))
    return not_const(s, e, "of the functions, only those of numbers, min, max, clamp and casts are constant"), false;
  if (dtype_of_name(e->name, &to)) return eval_cast(s, e, to, value);
  const Builtin *b = builtin_find(e->name);
  TeValue v[3];
  if (!call_has(s->cx, e, b->nargs, b->args)) return false;
  for (int i = 0; i < b->nargs; i++)
    if (!eval_number(s, e->items[i], &v[i])) return false;
  *value = v[0];
  switch (b->kind) {
  case BUILTIN_MATH: return eval_math(s, e, b->fn, v, value);
  case BUILTIN_WIDE: return true;     // a constant has no width yet
  case BUILTIN_RESHAPE: return false; // no const_function
  case BUILTIN_OPERATORS: break;
  }
  for (int i = 0; i < b->nops; i++)
    if (!binary_of(s, e, b->ops[i], *value, v[i + 1], value)) return false;
  return true;
}

static bool eval_list(ConstScope *s, const AstExpr *e, TeValue *value) {
  TeValue *items = NEW_ARRAY(s->cx->arena, TeValue, e->nitems + 1);
  for (int i = 0; i < e->nitems; i++)
    if (!const_value(s, e->items[i], &items[i])) return false;
  *value = (TeValue){.kind = VALUE_LIST, .nitems = e->nitems, .items = items};
  return true;
}

// list[i]
static bool eval_index(ConstScope *s, const AstExpr *e, TeValue *value) {
  TeValue list;
  int64_t i;
  ConstFound found = e->name && s->find ? s->find(s->self, e->name, e->name_loc, &list) : CONST_VARIES;
  if (found == CONST_POISON) return false;
  if (found == CONST_MISSING) return report_unknown_name(s, e->name, e->name_loc, "constant"), false;
  if (found == CONST_VARIES)
    return not_const(s, e, "elements of tensors are not known when the kernel is compiled"), false;
  if (list.kind != VALUE_LIST || e->nitems != 1) return not_const(s, e, "only a list is indexed, by one number"), false;
  if (!const_eval(s, e->items[0], &i)) return false;
  if (i < 0 || i >= list.nitems) {
    Diag *g = diag_report(s->cx->diags, E_BOUNDS, e->items[0]->loc, "index %lld of `%s`, which has %d elements",
                          (long long)i, e->name, list.nitems);
    diag_help(g, "the elements count from 0 to %d", list.nitems - 1);
    return false;
  }
  *value = list.items[i];
  return true;
}

bool const_value(ConstScope *s, const AstExpr *e, TeValue *value) {
  switch (e->kind) {
  case AST_INT: *value = value_int(e->value); return true;
  case AST_BOOL: *value = value_bool(e->value); return true;
  case AST_FLOAT: *value = value_float(e->number); return true;
  case AST_BIG: return overflow(s, e);
  case AST_NAME: return eval_name(s, e, value);
  case AST_UNARY: return eval_unary(s, e, value);
  case AST_BINARY: return eval_binary(s, e, value);
  case AST_SELECT: {
    TeValue c;
    return eval_number(s, e->a, &c) && const_value(s, is_true(c) ? e->b : e->c, value);
  }
  case AST_LIST: return eval_list(s, e, value);
  case AST_CALL: return eval_call(s, e, value);
  case AST_INDEX: return eval_index(s, e, value);
  case AST_STRING: return not_const(s, e, "it is a text"), false;
  case AST_REDUCE: return not_const(s, e, "reductions are not known when the kernel is compiled"), false;
  case AST_CONCAT: return not_const(s, e, "tensors are joined when the kernel runs"), false;
  case AST_REST: return not_const(s, e, "`..` stands among indices"), false;
  case AST_BAD: return false;
  }
  return false;
}

bool const_eval(ConstScope *s, const AstExpr *e, int64_t *value) {
  TeValue v;
  if (e->kind == AST_LIST) return not_const(s, e, "it is a list"), false;
  if (!const_value(s, e, &v)) return false;
  if (v.kind == VALUE_FLOAT) return is_float(s, e, v.f);
  if (v.kind == VALUE_LIST) return not_const(s, e, "it is a list"), false;
  *value = v.i;
  return true;
}

// ---- the door for other rooms ----------------------------------------------------------------------------------

typedef struct ModuleLookup {
  const TeModule *m;
  TeLookup *more;
  void *self;
} ModuleLookup;

static ConstFound module_find(void *self, Name name, Loc at, TeValue *value) {
  (void)at;
  const ModuleLookup *l = self;
  *value = value_int(0);
  if (l->more && l->more(l->self, name, &value->i)) return CONST_FOUND;
  for (int i = 0; l->m && i < l->m->nconsts; i++) {
    if (l->m->consts[i].name != name) continue;
    *value = l->m->consts[i].value;
    return CONST_FOUND;
  }
  return CONST_MISSING;
}

static void module_candidates(void *self, Nearest *n) {
  const ModuleLookup *l = self;
  for (int i = 0; l->m && i < l->m->nconsts; i++) nearest_try(n, l->m->consts[i].name);
}

bool te_const_eval(Ctx *cx, const TeModule *m, const TeTarget *target, const AstExpr *e, TeLookup *more, void *self,
                   int64_t *value) {
  ModuleLookup l = {m, more, self};
  ConstScope s = {.cx = cx,
                  .target = target,
                  .self = &l,
                  .find = module_find,
                  .candidates = module_candidates,
                  .overflow = E_LITERAL};
  return const_eval(&s, e, value);
}

// SPDX-License-Identifier: Apache-2.0
// Constant expressions: 64-bit integers, no value beyond them, no division by zero.
#include "te/internal.h"

#include <math.h>
#include <string.h>

void help_call(Ctx *cx, Diag *g, const char *name, int nargs) {
  static const char *const args[] = {"", "x", "x, y", "x, low, high"};
  bool reduces = strcmp(name, "min") == 0 || strcmp(name, "max") == 0;
  diag_help(g, "it is written `%s(%s)`%s", name, args[nargs],
            reduces ? arena_printf(cx->arena, "; the reduction is `%s[axis: extent](...)`", name) : "");
}

// The target's constant of a dotted name.
static bool target_const(const TeTarget *t, Name name, int64_t *value) {
  for (int i = 0; t && i < t->nconsts; i++) {
    if (strcmp(t->consts[i].name, name) != 0) continue;
    *value = t->consts[i].value;
    return true;
  }
  return false;
}

void report_unknown_name(ConstScope *s, Name name, Loc at, const char *what) {
  if (s->quiet_unknown) return;
  if (strchr(name, '.') && !s->target) {
    Diag *g =
        diag_report(s->cx->diags, E_TARGET, at, "`%s` is a name of a target, and this file chooses none", name);
    const char *target = arena_printf(s->cx->arena, "%.*s", (int)(strchr(name, '.') - name), name);
    if (s->hint_target) target = s->hint_target;
    diag_fix_head(g, at.src, arena_printf(s->cx->arena, "target %s;", target), "write `target %s;` at the top of the file", target);
    return;
  }
  Diag *g = diag_report(s->cx->diags, E_UNKNOWN_NAME, at, "unknown %s `%s`", what, name);
  Nearest n = {.wanted = name};
  if (s->candidates) s->candidates(s->self, &n);
  for (int i = 0; s->target && i < s->target->nconsts; i++) nearest_try(&n, s->target->consts[i].name);
  if (n.best) diag_guess(g, at, n.best, "a similar name exists");
}

static Diag *not_const(ConstScope *s, const AstExpr *e, const char *why) {
  Diag *g =
      diag_report(s->cx->diags, E_NOT_CONST, e->loc, "`%s` is not a constant integer", te_snippet(s->cx, e->loc));
  diag_note(g, "%s", why);
  return g;
}

static bool is_float(ConstScope *s, const AstExpr *e, double number) {
  Diag *g = not_const(s, e, "it is a floating-point number");
  double low = floor(number);
  if (fabs(number) >= 1e15) return false;
  if (low == number) diag_fix(g, e->loc, arena_printf(s->cx->arena, "%.0f", number), "write it as an integer");
  else diag_help(g, "write an integer: `%.0f` or `%.0f`", low, low + 1);
  return false;
}

static bool divides_by_zero(ConstScope *s, const AstExpr *e) {
  const char *by = te_snippet(s->cx, e->b->loc);
  diag_help(not_const(s, e, "it divides by zero"), "let `%s` be another number: the params and consts in it decide", by);
  return false;
}

static bool overflow(ConstScope *s, const AstExpr *e) {
  Diag *g = diag_report(s->cx->diags, s->overflow, e->loc, "the value of `%s` does not fit 64 bits",
                        te_snippet(s->cx, e->loc));
  diag_help(g, "constants are integers from -2^63 to 2^63 - 1: use smaller ones");
  return false;
}

static bool eval_name(ConstScope *s, const AstExpr *e, int64_t *value) {
  ConstFound found = s->find ? s->find(s->self, e->name, e->loc, value) : CONST_MISSING;
  if (found == CONST_FOUND) return true;
  if (found == CONST_POISON) return false;
  if (target_const(s->target, e->name, value)) return true;
  report_unknown_name(s, e->name, e->loc, "constant");
  return false;
}

static bool eval_unary(ConstScope *s, const AstExpr *e, int64_t *value) {
  if (e->unop == UN_NEG && e->a->kind == AST_OTHER && ast_detail(e->a)->kind == AD_BIG &&
      ast_detail(e->a)->big == (uint64_t)INT64_MAX + 1) {
    *value = INT64_MIN;
    return true;
  }
  int64_t a;
  if (!const_eval(s, e->a, &a)) return false;
  switch (e->unop) {
  case UN_NEG: return __builtin_sub_overflow(0, a, value) ? overflow(s, e) : true;
  case UN_NOT: *value = !a; return true;
  case UN_BITNOT: *value = ~a; return true;
  case UN_COUNT: break;
  }
  return false;
}

// Shifts left, refusing to lose bits.
static bool shift_left(int64_t a, int64_t b, int64_t *out) {
  *out = (int64_t)((uint64_t)a << (b & 63));
  return (*out >> (b & 63)) == a;
}

static bool eval_binary(ConstScope *s, const AstExpr *e, int64_t *value) {
  int64_t a, b;
  if (!const_eval(s, e->a, &a)) return false;
  if (e->binop == OP_LAND && !a) return *value = 0, true;
  if (e->binop == OP_LOR && a) return *value = 1, true;
  if (!const_eval(s, e->b, &b)) return false;
  switch (e->binop) {
  case OP_ADD: return __builtin_add_overflow(a, b, value) ? overflow(s, e) : true;
  case OP_SUB: return __builtin_sub_overflow(a, b, value) ? overflow(s, e) : true;
  case OP_MUL: return __builtin_mul_overflow(a, b, value) ? overflow(s, e) : true;
  case OP_DIV:
  case OP_MOD:
    if (b == 0) return divides_by_zero(s, e);
    if (a == INT64_MIN && b == -1) return e->binop == OP_DIV ? overflow(s, e) : (*value = 0, true);
    *value = e->binop == OP_DIV ? floor_div(a, b) : floor_mod(a, b);
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

// min, max, clamp and abs of constants.
static bool eval_call(ConstScope *s, const AstExpr *e, int64_t *value) {
  const AstDetail *d = ast_detail(e);
  bool least = strcmp(d->name, "min") == 0, most = strcmp(d->name, "max") == 0;
  int64_t v[3];
  int wanted = least || most ? 2 : strcmp(d->name, "clamp") == 0 ? 3 : strcmp(d->name, "abs") == 0 ? 1 : 0;
  if (wanted == 0) return not_const(s, e, "of the functions, only min, max, clamp and abs are constant"), false;
  if (wanted != d->nargs) {
    Diag *g = diag_report(s->cx->diags, E_TYPE, e->loc, "`%s` takes %d argument%s, not %d", d->name, wanted,
                          wanted > 1 ? "s" : "", d->nargs);
    help_call(s->cx, g, d->name, wanted);
    return false;
  }
  for (int i = 0; i < wanted; i++)
    if (!const_eval(s, d->args[i], &v[i])) return false;
  if (wanted == 1) {
    if (v[0] == INT64_MIN) return overflow(s, e);
    *value = v[0] < 0 ? -v[0] : v[0];
  } else if (wanted == 2) {
    *value = (v[0] < v[1]) == least ? v[0] : v[1];
  } else {
    *value = v[0] < v[1] ? v[1] : v[0];
    if (*value > v[2]) *value = v[2];
  }
  return true;
}

static bool eval_other(ConstScope *s, const AstExpr *e, int64_t *value) {
  const AstDetail *d = ast_detail(e);
  switch (d->kind) {
  case AD_FLOAT: return is_float(s, e, d->number);
  case AD_BIG: return overflow(s, e);
  case AD_BOOL: *value = (int64_t)d->big; return true;
  case AD_CALL: return eval_call(s, e, value);
  case AD_INDEX: return not_const(s, e, "elements of tensors are not known when the kernel is compiled"), false;
  case AD_REDUCE: return not_const(s, e, "reductions are not known when the kernel is compiled"), false;
  case AD_BAD: return false;
  }
  return false;
}

bool const_eval(ConstScope *s, const AstExpr *e, int64_t *value) {
  switch (e->kind) {
  case AST_INT: *value = e->value; return true;
  case AST_NAME: return eval_name(s, e, value);
  case AST_UNARY: return eval_unary(s, e, value);
  case AST_BINARY: return eval_binary(s, e, value);
  case AST_SELECT: {
    int64_t c;
    return const_eval(s, e->a, &c) && const_eval(s, c ? e->b : e->c, value);
  }
  case AST_LIST: return not_const(s, e, "it is a list"), false;
  case AST_STRING: return not_const(s, e, "it is a text"), false;
  case AST_OTHER: return eval_other(s, e, value);
  }
  return false;
}

// ---- the door for other rooms ----------------------------------------------------------------------------------

typedef struct ModuleLookup {
  const TeModule *m;
  TeLookup *more;
  void *self;
} ModuleLookup;

static ConstFound module_find(void *self, Name name, Loc at, int64_t *value) {
  (void)at;
  const ModuleLookup *l = self;
  if (l->more && l->more(l->self, name, value)) return CONST_FOUND;
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

bool te_const_eval(Ctx *cx, const TeModule *m, const TeTarget *target, const AstExpr *e, TeLookup *more,
                   void *self, int64_t *value) {
  ModuleLookup l = {m, more, self};
  ConstScope s = {.cx = cx,
                  .target = target,
                  .self = &l,
                  .find = module_find,
                  .candidates = module_candidates,
                  .overflow = E_LITERAL};
  return const_eval(&s, e, value);
}

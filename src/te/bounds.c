// SPDX-License-Identifier: Apache-2.0
// Every access stays inside its tensor, or is refused. An index is a linear form over atoms: axes, and opaque
// subexpressions (quotients, minima, elements of tensors) with an interval of their own. Conditions that guard an
// access become facts `form >= 0`, which narrow the atoms while that side of the condition is walked.
#include "te/internal.h"

#include <string.h>

// Values are kept within these bounds; beyond them a value is unknown ("may be anything"), never wrapped.
#define FAR ((__int128)1 << 62)

typedef __int128 Wide;

typedef struct Range {
  Wide lo, hi; // lo > hi: no value is possible
} Range;

typedef struct Term {
  int atom;
  int64_t coef;
} Term;

// c + sum(coef * atom); terms sorted by atom. A form that is not `ok` overflowed.
typedef struct Form {
  int64_t c;
  int n;
  Term *terms;
  bool ok;
} Form;

typedef struct Atom {
  const TeAxis *axis;  // or
  const TeExpr *expr;  // an opaque expression
} Atom;

typedef struct Fact { // form >= 0, or, for a single atom, lo <= atom <= hi
  int atom;           // -1: form
  Range range;
  Form form;
} Fact;

typedef struct Bounds {
  Checker *ck;
  const TeTensor *stage;
  VEC(Atom) atoms;
  VEC(Fact) facts;
  int work; // steps left for comparing expressions; when spent, equal ones are taken for different
} Bounds;

static Form form_of(Bounds *b, const TeExpr *e);
static Range range_of_form(Bounds *b, Form f);
static Range range_of(Bounds *b, const TeExpr *e);
static void assume(Bounds *b, const TeExpr *cond, bool holds);

static Arena *arena(Bounds *b) { return b->ck->cx->arena; }

static Wide clip(Wide v) { return v > FAR ? FAR : v < -FAR ? -FAR : v; }
static Range range(Wide lo, Wide hi) { return (Range){clip(lo), clip(hi)}; }
static Range anything(void) { return (Range){-FAR, FAR}; }
static bool is_far(Range r) { return r.lo <= -FAR || r.hi >= FAR; }
static bool is_empty(Range r) { return r.lo > r.hi; }
static Wide least(Wide a, Wide b) { return a < b ? a : b; }
static Wide most(Wide a, Wide b) { return a > b ? a : b; }
static Range meet(Range a, Range b) { return (Range){most(a.lo, b.lo), least(a.hi, b.hi)}; }
static Range join(Range a, Range b) {
  if (is_empty(a)) return b;
  if (is_empty(b)) return a;
  return (Range){least(a.lo, b.lo), most(a.hi, b.hi)};
}
static Wide wide_floor_div(Wide a, Wide b) { return a / b - (a % b != 0 && (a % b < 0) != (b < 0)); }

// All values that an integer or bool type has.
static Range type_range(DType t) {
  if (t == DT_BOOL) return range(0, 1);
  if (!dtype_is_int(t) || dtype_bits(t) == 64) return anything();
  int bits = dtype_bits(t);
  return dtype_is_signed(t) ? range(-((Wide)1 << (bits - 1)), ((Wide)1 << (bits - 1)) - 1) : range(0, ((Wide)1 << bits) - 1);
}

// ---- equal expressions -------------------------------------------------------------------------------------------

static bool same(Bounds *b, const TeExpr *x, const TeExpr *y);

static bool same_args(Bounds *b, const TeExpr *x, const TeExpr *y) {
  for (int i = 0; i < x->nargs; i++)
    if (!same(b, x->args[i], y->args[i])) return false;
  return true;
}

static bool same(Bounds *b, const TeExpr *x, const TeExpr *y) {
  if (x == y) return true;
  if (--b->work < 0 || x->kind != y->kind || x->type != y->type) return false;
  switch (x->kind) {
  case TE_CONST: return x->value.i == y->value.i;
  case TE_AXIS: return x->axis == y->axis;
  case TE_ACCESS: return x->tensor == y->tensor && same_args(b, x, y);
  case TE_UNARY: return x->unop == y->unop && same(b, x->a, y->a);
  case TE_BINARY: return x->binop == y->binop && same(b, x->a, y->a) && same(b, x->b, y->b);
  case TE_CAST: return same(b, x->a, y->a);
  case TE_SELECT: return same(b, x->a, y->a) && same(b, x->b, y->b) && same(b, x->c, y->c);
  case TE_MATH: return x->fn == y->fn && same_args(b, x, y);
  }
  return false;
}

static int atom_of(Bounds *b, const TeAxis *axis, const TeExpr *expr) {
  for (size_t i = 0; i < b->atoms.len; i++) {
    const Atom *a = &b->atoms.data[i];
    if (axis ? a->axis == axis : a->expr && same(b, a->expr, expr)) return (int)i;
  }
  Atom a = {axis, expr};
  VEC_PUSH(arena(b), b->atoms, a);
  return (int)b->atoms.len - 1;
}

// ---- linear forms ------------------------------------------------------------------------------------------------

static Form form_const(int64_t c) { return (Form){.c = c, .ok = true}; }

static Form form_atom(Bounds *b, int atom) {
  Form f = {.n = 1, .terms = NEW(arena(b), Term), .ok = true};
  f.terms[0] = (Term){atom, 1};
  return f;
}

// x + k * y
static Form form_add(Bounds *b, Form x, Form y, int64_t k) {
  Form out = {.ok = x.ok && y.ok};
  int64_t c;
  if (!out.ok || !mul_ok(y.c, k, &c) || !add_ok(x.c, c, &out.c)) return (Form){0};
  out.terms = NEW_ARRAY(arena(b), Term, x.n + y.n + 1);
  for (int i = 0, j = 0; i < x.n || j < y.n;) {
    Term t;
    if (j >= y.n || (i < x.n && x.terms[i].atom < y.terms[j].atom)) {
      t = x.terms[i++];
    } else {
      t = y.terms[j];
      if (!mul_ok(t.coef, k, &t.coef)) return (Form){0};
      if (i < x.n && x.terms[i].atom == t.atom && !add_ok(t.coef, x.terms[i++].coef, &t.coef)) return (Form){0};
      j++;
    }
    if (t.coef) out.terms[out.n++] = t;
  }
  return out;
}

// A form only if the type's arithmetic cannot wrap; else the whole expression is an atom.
static Form fitting(Bounds *b, Form f, const TeExpr *e) {
  if (f.ok && dtype_bits(e->type) < 64) {
    Range r = range_of_form(b, f), t = type_range(e->type);
    if (r.lo < t.lo || r.hi > t.hi) f.ok = false;
  }
  return f.ok ? f : form_atom(b, atom_of(b, NULL, e));
}

static Form form_of_binary(Bounds *b, const TeExpr *e) {
  Form none = {0};
  if (e->binop == OP_ADD || e->binop == OP_SUB)
    return fitting(b, form_add(b, form_of(b, e->a), form_of(b, e->b), e->binop == OP_ADD ? 1 : -1), e);
  if (e->binop != OP_MUL && e->binop != OP_SHL) return fitting(b, none, e);
  Form x = form_of(b, e->a), y = form_of(b, e->b);
  if (e->binop == OP_SHL) {
    if (y.ok && y.n == 0 && y.c >= 0 && y.c < dtype_bits(e->type) && y.c < 62)
      return fitting(b, form_add(b, form_const(0), x, (int64_t)1 << y.c), e);
    return fitting(b, none, e);
  }
  if (y.ok && y.n == 0) return fitting(b, form_add(b, form_const(0), x, y.c), e);
  if (x.ok && x.n == 0) return fitting(b, form_add(b, form_const(0), y, x.c), e);
  return fitting(b, none, e);
}

static Form form_of_cast(Bounds *b, const TeExpr *e) {
  DType from = e->a->type;
  if (!dtype_is_int(e->type) || !(dtype_is_int(from) || from == DT_BOOL)) return form_atom(b, atom_of(b, NULL, e));
  // An int64 to int64-wide unsigned cast keeps non-negative values only.
  Form f = form_of(b, e->a);
  if (dtype_bits(e->type) == 64) {
    Range r = range_of_form(b, f);
    bool keeps = (dtype_bits(from) < 64 && (dtype_is_signed(e->type) || !dtype_is_signed(from))) || (r.lo >= 0 && !is_far(r)) ||
                 e->type == from;
    return keeps ? f : form_atom(b, atom_of(b, NULL, e));
  }
  return fitting(b, f, e);
}

static Form form_of(Bounds *b, const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST:
    return dtype_is_float(e->type) ? form_atom(b, atom_of(b, NULL, e)) : form_const(e->value.i);
  case TE_AXIS: return form_atom(b, atom_of(b, e->axis, NULL));
  case TE_UNARY:
    if (e->unop == UN_NEG && dtype_is_int(e->type)) return fitting(b, form_add(b, form_const(0), form_of(b, e->a), -1), e);
    break;
  case TE_BINARY:
    if (dtype_is_int(e->type)) return form_of_binary(b, e);
    break;
  case TE_CAST: return form_of_cast(b, e);
  case TE_SELECT:
  case TE_ACCESS:
  case TE_MATH: break;
  }
  return form_atom(b, atom_of(b, NULL, e));
}

// ---- intervals ---------------------------------------------------------------------------------------------------

static Range range_div(Range x, Range y) {
  if (is_empty(x) || is_empty(y)) return x;
  Wide divisors[4] = {y.lo, y.hi, y.lo <= 1 && y.hi >= 1 ? 1 : y.lo, y.lo <= -1 && y.hi >= -1 ? -1 : y.hi};
  Range r = y.lo <= 0 && y.hi >= 0 ? range(0, 0) : (Range){1, 0}; // x / 0 is 0
  for (int i = 0; i < 4; i++) {
    if (divisors[i] == 0) continue;
    Wide p = wide_floor_div(x.lo, divisors[i]), q = wide_floor_div(x.hi, divisors[i]);
    r = join(r, range(least(p, q), most(p, q)));
  }
  // Large divisors bring any x to 0 or -1.
  if (is_far(y)) r = join(r, range(x.lo < 0 || y.lo < 0 ? -1 : 0, 0));
  return r;
}

static Range range_mod(Range x, Range y) {
  if (is_empty(x) || is_empty(y)) return x;
  if (y.lo == y.hi && y.lo > 0 && !is_far(x) && wide_floor_div(x.lo, y.lo) == wide_floor_div(x.hi, y.lo)) {
    Wide base = wide_floor_div(x.lo, y.lo) * y.lo;
    return range(x.lo - base, x.hi - base);
  }
  Wide hi = y.hi > 0 ? y.hi - 1 : 0, lo = y.lo < 0 ? y.lo + 1 : 0;
  if (x.lo >= 0 && lo == 0) hi = least(hi, x.hi);
  return range(lo, hi);
}

static Range range_mul(Range x, Range y) {
  if (is_empty(x) || is_empty(y)) return x;
  if (is_far(x) || is_far(y)) return anything();
  Wide p[4] = {x.lo * y.lo, x.lo * y.hi, x.hi * y.lo, x.hi * y.hi};
  return range(least(least(p[0], p[1]), least(p[2], p[3])), most(most(p[0], p[1]), most(p[2], p[3])));
}

static Range range_bits(const TeExpr *e, Range x, Range y) {
  switch (e->binop) {
  case OP_AND:
    if (x.lo >= 0 && y.lo >= 0) return range(0, least(x.hi, y.hi));
    if (y.lo >= 0) return range(0, y.hi);
    if (x.lo >= 0) return range(0, x.hi);
    return anything();
  case OP_OR:
  case OP_XOR: {
    if (x.lo < 0 || y.lo < 0 || is_far(x) || is_far(y)) return anything();
    Wide top = 1;
    while (top <= x.hi || top <= y.hi) top *= 2;
    return range(0, top - 1);
  }
  case OP_SHR:
    if (y.lo != y.hi || y.lo < 0 || y.lo >= dtype_bits(e->type) || is_far(x)) return x.lo >= 0 ? range(0, x.hi) : anything();
    return range(wide_floor_div(x.lo, (Wide)1 << (int)y.lo), wide_floor_div(x.hi, (Wide)1 << (int)y.lo));
  default: return anything();
  }
}

static Range range_of_binary(Bounds *b, const TeExpr *e) {
  if (!dtype_is_int(e->type)) return type_range(e->type);
  Range x = range_of(b, e->a), y = range_of(b, e->b);
  switch (e->binop) {
  case OP_DIV: return range_div(x, y);
  case OP_MOD: return range_mod(x, y);
  case OP_MUL: return range_mul(x, y);
  case OP_MIN: return (Range){least(x.lo, y.lo), least(x.hi, y.hi)};
  case OP_MAX: return (Range){most(x.lo, y.lo), most(x.hi, y.hi)};
  default: return range_bits(e, x, y);
  }
}

static Range range_of_select(Bounds *b, const TeExpr *e) {
  size_t mark = b->facts.len;
  assume(b, e->a, true);
  Range x = range_of(b, e->b);
  b->facts.len = mark;
  assume(b, e->a, false);
  Range y = range_of(b, e->c);
  b->facts.len = mark;
  return join(x, y);
}

// The interval of an opaque expression, from its parts alone.
static Range range_of_opaque(Bounds *b, const TeExpr *e) {
  Range all = type_range(e->type), r = all;
  if (dtype_is_float(e->type)) return anything();
  switch (e->kind) {
  case TE_BINARY: r = range_of_binary(b, e); break;
  case TE_SELECT: r = range_of_select(b, e); break;
  case TE_MATH: {
    if (e->fn != FN_ABS) break;
    Range x = range_of(b, e->args[0]);
    if (!is_far(x)) r = x.lo >= 0 ? x : range(x.hi < 0 ? -x.hi : 0, most(-x.lo, x.hi));
    break;
  }
  case TE_CONST:
  case TE_AXIS:
  case TE_ACCESS:
  case TE_UNARY:
  case TE_CAST: break;
  }
  // Results beyond the type wrap: then anything of the type is possible. Beyond 62 bits nothing is known.
  if (is_empty(r)) return r;
  if (r.lo < all.lo || r.hi > all.hi) r = all;
  if (e->type == DT_U64 && is_far(r)) r = anything();
  return r;
}

static Range range_of_atom(Bounds *b, int i) {
  const Atom *a = &b->atoms.data[i];
  Range r = a->axis ? range(0, a->axis->extent - 1) : range_of_opaque(b, a->expr);
  for (size_t k = 0; k < b->facts.len; k++)
    if (b->facts.data[k].atom == i) r = meet(r, b->facts.data[k].range);
  return r;
}

// Whether f = s * g + d for s = 1 or -1.
static bool parallel(Form f, Form g, int64_t sign) {
  if (f.n != g.n || f.n < 2) return false;
  for (int i = 0; i < f.n; i++)
    if (f.terms[i].atom != g.terms[i].atom || f.terms[i].coef != sign * g.terms[i].coef) return false;
  return true;
}

static Range range_of_form(Bounds *b, Form f) {
  if (!f.ok) return anything();
  Wide lo = f.c, hi = f.c;
  for (int i = 0; i < f.n; i++) {
    Range r = range_of_atom(b, f.terms[i].atom);
    if (is_empty(r)) return (Range){1, 0};
    if (is_far(r)) return anything();
    Wide k = f.terms[i].coef;
    lo += k > 0 ? k * r.lo : k * r.hi;
    hi += k > 0 ? k * r.hi : k * r.lo;
    if (lo < -FAR || hi > FAR) return anything();
  }
  for (size_t i = 0; i < b->facts.len; i++) {
    const Fact *fact = &b->facts.data[i];
    if (fact->atom >= 0) continue;
    if (parallel(f, fact->form, 1)) lo = most(lo, (Wide)f.c - fact->form.c);
    if (parallel(f, fact->form, -1)) hi = least(hi, (Wide)f.c + fact->form.c);
  }
  return (Range){lo, hi};
}

static Range range_of(Bounds *b, const TeExpr *e) {
  if (!dtype_is_int(e->type) && e->type != DT_BOOL) return anything();
  if (e->type == DT_BOOL && e->kind != TE_CONST) return range(0, 1);
  return range_of_form(b, form_of(b, e));
}

// ---- facts -------------------------------------------------------------------------------------------------------

// From form >= 0 follows for each atom a bound that the ranges of the others leave.
static void add_fact(Bounds *b, Form f) {
  if (!f.ok) return;
  // Where the form may leave 62 bits the comparison may have wrapped, and says nothing; an atom without known range is
  // harmless when it stands alone.
  Wide hi = f.c;
  bool known = true;
  for (int i = 0; i < f.n; i++) {
    Range r = range_of_atom(b, f.terms[i].atom);
    if (is_far(r)) known = false;
    if (is_empty(r)) return;
    hi += (Wide)f.terms[i].coef * (f.terms[i].coef > 0 ? r.hi : r.lo);
    if (hi > FAR || hi < -FAR) known = false;
    if (!known) break;
  }
  if (!known && (f.n != 1 || (f.terms[0].coef != 1 && f.terms[0].coef != -1))) return;
  for (int i = 0; i < f.n; i++) {
    Wide k = f.terms[i].coef, rest = f.c;
    if (f.n > 1) {
      Range r = range_of_atom(b, f.terms[i].atom);
      rest = hi - (k > 0 ? k * r.hi : k * r.lo);
    }
    // k * atom >= -rest
    Fact fact = {.atom = f.terms[i].atom, .range = anything()};
    if (k > 0) fact.range.lo = -wide_floor_div(rest, k);
    else fact.range.hi = wide_floor_div(rest, -k);
    VEC_PUSH(arena(b), b->facts, fact);
  }
  if (f.n < 2) {
    Fact never = {.atom = -1, .form = f};
    if (f.n == 0 && f.c < 0) { // the condition cannot hold: every atom is without a value
      never.atom = 0;
      never.range = (Range){1, 0};
      for (size_t i = 0; i < b->atoms.len; i++) {
        never.atom = (int)i;
        VEC_PUSH(arena(b), b->facts, never);
      }
    }
    return;
  }
  Fact whole = {.atom = -1, .form = f};
  VEC_PUSH(arena(b), b->facts, whole);
}

static BinOp negated(BinOp op) {
  switch (op) {
  case OP_LT: return OP_GE;
  case OP_LE: return OP_GT;
  case OP_GT: return OP_LE;
  case OP_GE: return OP_LT;
  case OP_EQ: return OP_NE;
  case OP_NE: return OP_EQ;
  default: return op;
  }
}

// x - y - c >= 0
static void add_difference(Bounds *b, Form x, Form y, int64_t c) {
  add_fact(b, form_add(b, form_add(b, x, y, -1), form_const(c), -1));
}

static void assume_compare(Bounds *b, BinOp op, const TeExpr *x, const TeExpr *y) {
  if (!dtype_is_int(x->type)) return;
  Form f = form_of(b, x), g = form_of(b, y);
  switch (op) {
  case OP_LT: add_difference(b, g, f, 1); return;
  case OP_LE: add_difference(b, g, f, 0); return;
  case OP_GT: add_difference(b, f, g, 1); return;
  case OP_GE: add_difference(b, f, g, 0); return;
  case OP_EQ:
    add_difference(b, f, g, 0);
    add_difference(b, g, f, 0);
    return;
  case OP_NE: {
    Range r = range_of_form(b, form_add(b, f, g, -1));
    if (r.lo == 0) add_difference(b, f, g, 1);
    if (r.hi == 0) add_difference(b, g, f, 1);
    return;
  }
  default: return;
  }
}

// Takes a condition for true, or for false, until the caller drops the facts.
static void assume(Bounds *b, const TeExpr *cond, bool holds) {
  if (cond->kind == TE_UNARY && cond->unop == UN_NOT) {
    assume(b, cond->a, !holds);
    return;
  }
  if (cond->kind != TE_BINARY) return;
  if (cond->binop == (holds ? OP_LAND : OP_LOR)) {
    assume(b, cond->a, holds);
    assume(b, cond->b, holds);
    return;
  }
  if (cond->a->type == DT_BOOL) return;
  assume_compare(b, holds ? cond->binop : negated(cond->binop), cond->a, cond->b);
}

// ---- the walk ----------------------------------------------------------------------------------------------------

// Whether no point of the domain gets here.
static bool is_dead(Bounds *b) {
  for (size_t i = 0; i < b->atoms.len; i++) {
    bool named = false;
    for (size_t k = 0; k < b->facts.len && !named; k++) named = b->facts.data[k].atom == (int)i;
    if (named && is_empty(range_of_atom(b, (int)i))) return true;
  }
  return false;
}

static const char *wide_text(Ctx *cx, Wide v) {
  return arena_printf(cx->arena, "%lld", (long long)v);
}

static void report_index(Bounds *b, const TeExpr *access, int i, Range r) {
  Ctx *cx = b->ck->cx;
  const TeTensor *t = access->tensor;
  const TeExpr *index = access->args[i];
  const TeAxis *axis = t->axes[i];
  const char *text = te_snippet(cx, index->loc);
  Diag *g;
  if (r.lo > -FAR && r.hi < FAR && r.lo == r.hi)
    g = diag_report(cx->diags, E_BOUNDS, index->loc, "index %s of axis `%s` of `%s`, which has extent %lld",
                    wide_text(cx, r.lo), axis->name, t->name, (long long)axis->extent);
  else if (!is_far(r))
    g = diag_report(cx->diags, E_BOUNDS, index->loc, "index %s..%s of axis `%s` of `%s`, which has extent %lld",
                    wide_text(cx, r.lo), wide_text(cx, r.hi), axis->name, t->name, (long long)axis->extent);
  else
    g = diag_report(cx->diags, E_BOUNDS, index->loc, "the index `%s` is not known to stay in axis `%s` of `%s`", text, axis->name,
                    t->name);
  diag_also(g, axis->loc, "the axis is declared here");
  if (is_far(r)) diag_note(g, "every access must be safe whatever the tensors hold; valid indices are 0..%lld", (long long)axis->extent - 1);
  long long last = (long long)axis->extent - 1;
  if (r.lo < 0 && r.hi > last) diag_help(g, "guard it: `%s >= 0 && %s < %lld ? ... : 0`, or write `clamp(%s, 0, %lld)`", text, text, last + 1, text, last);
  else if (r.lo < 0) diag_help(g, "guard it: `%s >= 0 ? ... : 0`, or write `max(%s, 0)`", text, text);
  else diag_help(g, "guard it: `%s < %lld ? ... : 0`, or write `min(%s, %lld)`", text, last + 1, text, last);
}

static void walk(Bounds *b, const TeExpr *e);

static void walk_access(Bounds *b, const TeExpr *e) {
  for (int i = 0; i < e->nargs; i++) walk(b, e->args[i]);
  if (b->facts.len && is_dead(b)) return;
  for (int i = 0; i < e->nargs; i++) {
    Range r = range_of(b, e->args[i]);
    if (!is_empty(r) && (r.lo < 0 || r.hi >= e->tensor->axes[i]->extent)) report_index(b, e, i, r);
  }
}

// Walks e while cond is taken to hold or not.
static void walk_under(Bounds *b, const TeExpr *cond, bool holds, const TeExpr *e) {
  size_t mark = b->facts.len;
  assume(b, cond, holds);
  walk(b, e);
  b->facts.len = mark;
}

static void walk(Bounds *b, const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS:
    return;
  case TE_ACCESS:
    walk_access(b, e);
    return;
  case TE_UNARY:
  case TE_CAST:
    walk(b, e->a);
    return;
  case TE_BINARY:
    walk(b, e->a);
    if (e->binop == OP_LAND || e->binop == OP_LOR) walk_under(b, e->a, e->binop == OP_LAND, e->b);
    else walk(b, e->b);
    return;
  case TE_SELECT:
    walk(b, e->a);
    walk_under(b, e->a, true, e->b);
    walk_under(b, e->a, false, e->c);
    return;
  case TE_MATH:
    for (int i = 0; i < e->nargs; i++) walk(b, e->args[i]);
    return;
  }
}

void check_bounds(Checker *ck, const TeTensor *stage) {
  Bounds b = {.ck = ck, .stage = stage, .work = 1 << 20};
  walk(&b, stage->body);
}

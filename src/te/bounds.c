// SPDX-License-Identifier: Apache-2.0
// Every access stays inside its tensor, or is refused. An index is a linear form over atoms: axes, and opaque
// subexpressions (quotients, minima, elements of tensors) with an interval of their own. Conditions that guard an
// access become facts `form >= 0`, which narrow the atoms while that side of the condition is walked.
#include "te/internal.h"

#include "lin/lin.h"

#include <math.h>
#include <string.h>

// Data of 64-bit types: an interval that reaches here says nothing to a reader.
#define FAR ((Wide)1 << 62)

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
  const TeAxis *axis; // or
  const TeExpr *expr; // an opaque expression
  Interval cached;       // valid while the facts are those of `stamp`
  int stamp;
  bool busy;          // its range is being looked for: a fact that needs it has to do without
} Atom;

typedef struct Fact { // form >= 0, or, for a single atom, lo <= atom <= hi
  int atom;           // -1: form
  Interval range;
  Form form;
} Fact;

typedef struct Bounds {
  Checker *ck;
  const TeTensor *stage;
  VEC(Atom) atoms;
  VEC(Fact) facts;
  int stamp, stamps; // names the current set of facts; how many names are used
  bool dead;         // the facts contradict each other: nothing gets here
  int narrowing;     // forms that are being narrowed by facts, one for the sake of the other
  int work;          // steps left in this stage; when spent, nothing more is known, so that time stays bounded
} Bounds;

// What to go back to when a condition's facts end.
typedef struct Mark {
  size_t facts;
  int stamp;
  bool dead;
} Mark;

static Form form_of(Bounds *b, const TeExpr *e);
static Interval range_by_atoms(Bounds *b, Form f);
static Interval range_of_form(Bounds *b, Form f);
static Interval range_of(Bounds *b, const TeExpr *e);
static void assume(Bounds *b, const TeExpr *cond, bool holds);

static Arena *arena(Bounds *b) { return b->ck->cx->arena; }

static bool is_far(Interval r) { return r.lo <= -FAR || r.hi >= FAR; }

static Mark mark(const Bounds *b) { return (Mark){b->facts.len, b->stamp, b->dead}; }
static void back_to(Bounds *b, Mark m) {
  b->facts.len = m.facts;
  b->stamp = m.stamp;
  b->dead = m.dead;
}

// ---- equal expressions -----------------------------------------------------------------------------------------

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
  Atom a = {.axis = axis, .expr = expr, .stamp = -1};
  VEC_PUSH(arena(b), b->atoms, a);
  return (int)b->atoms.len - 1;
}

// ---- linear forms ----------------------------------------------------------------------------------------------

static Form form_const(int64_t c) { return (Form){.c = c, .ok = true}; }

static Form form_atom(Bounds *b, int atom) {
  Form f = {.n = 1, .terms = NEW(arena(b), Term), .ok = true};
  f.terms[0] = (Term){atom, 1};
  return f;
}

// An expression that no form says more of; once the work is spent it has no name either, which would take long to find.
static Form form_opaque(Bounds *b, const TeExpr *e) {
  return b->work < 0 ? (Form){0} : form_atom(b, atom_of(b, NULL, e));
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
  if (f.ok) {
    Interval t = interval_of_type(e->type), r = range_by_atoms(b, f);
    if (!interval_within(r, t)) r = range_of_form(b, f); // facts take time
    if (!interval_within(r, t)) f.ok = false;
  }
  return f.ok ? f : form_opaque(b, e);
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
  if (!dtype_is_int(e->type) || !(dtype_is_int(from) || from == DT_BOOL)) return form_opaque(b, e);
  return fitting(b, form_of(b, e->a), e);
}

static Form form_of(Bounds *b, const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST:
    if (dtype_is_float(e->type) || (e->type == DT_U64 && e->value.i < 0)) return form_opaque(b, e);
    return form_const(e->value.i);
  case TE_AXIS: return form_atom(b, atom_of(b, e->axis, NULL));
  case TE_UNARY:
    if (e->unop == UN_NEG && dtype_is_int(e->type))
      return fitting(b, form_add(b, form_const(0), form_of(b, e->a), -1), e);
    break;
  case TE_BINARY:
    if (dtype_is_int(e->type)) return form_of_binary(b, e);
    break;
  case TE_CAST: return form_of_cast(b, e);
  case TE_SELECT:
  case TE_ACCESS:
  case TE_MATH: break;
  }
  return form_opaque(b, e);
}

// ---- intervals -------------------------------------------------------------------------------------------------

static Interval range_of_select(Bounds *b, const TeExpr *e) {
  Mark m = mark(b);
  assume(b, e->a, true);
  Interval x = b->dead ? interval_none() : range_of(b, e->b);
  back_to(b, m);
  assume(b, e->a, false);
  Interval y = b->dead ? interval_none() : range_of(b, e->c);
  back_to(b, m);
  return interval_join(x, y);
}

// ---- floats, as far as indices are made of them ----------------------------------------------------------------

// Values that are not NaN lie in lo..hi.
typedef struct FloatRange {
  double lo, hi;
} FloatRange;

static FloatRange float_range(Bounds *b, const TeExpr *e);

static FloatRange float_range_of_math(Bounds *b, const TeExpr *e) {
  FloatRange x = float_range(b, e->args[0]);
  Scalar none = {0};
  switch (e->fn) {
  case FN_ROUND:
  case FN_FLOOR:
  case FN_CEIL:
  case FN_TRUNC: // these never fall when their argument rises
    return (FloatRange){scalar_math(e->fn, e->type, (Scalar){.f = x.lo}, none).f,
                        scalar_math(e->fn, e->type, (Scalar){.f = x.hi}, none).f};
  case FN_ABS: return (FloatRange){0, fmax(fabs(x.lo), fabs(x.hi))};
  case FN_SIGMOID: return (FloatRange){0, 1};
  default: return (FloatRange){-INFINITY, INFINITY};
  }
}

static FloatRange float_range(Bounds *b, const TeExpr *e) {
  FloatRange all = {-INFINITY, INFINITY};
  if (--b->work < 0) return all;
  if (!dtype_is_float(e->type)) {
    Interval r = range_of(b, e);
    if (interval_is_empty(r)) return (FloatRange){INFINITY, -INFINITY};
    return (FloatRange){(double)r.lo, (double)r.hi};
  }
  switch (e->kind) {
  case TE_CONST:
    return isnan(e->value.f) ? (FloatRange){INFINITY, -INFINITY} : (FloatRange){e->value.f, e->value.f};
  case TE_CAST: {
    FloatRange x = float_range(b, e->a);
    return (FloatRange){round_float(e->type, x.lo), round_float(e->type, x.hi)};
  }
  case TE_BINARY: {
    if (e->binop != OP_MIN && e->binop != OP_MAX) return all;
    // `b < a ? b : a` gives a where one of them is NaN; only the left one's NaN stays, and either may come out
    // then.
    FloatRange x = float_range(b, e->a), y = float_range(b, e->b);
    bool least_of = e->binop == OP_MIN, tame = e->b->kind == TE_CONST && !isnan(e->b->value.f);
    if (!tame) return (FloatRange){fmin(x.lo, y.lo), fmax(x.hi, y.hi)};
    return least_of ? (FloatRange){fmin(x.lo, y.lo), fmin(x.hi, y.hi)}
                    : (FloatRange){fmax(x.lo, y.lo), fmax(x.hi, y.hi)};
  }
  case TE_SELECT: {
    FloatRange x = float_range(b, e->b), y = float_range(b, e->c);
    return (FloatRange){fmin(x.lo, y.lo), fmax(x.hi, y.hi)};
  }
  case TE_MATH: return float_range_of_math(b, e);
  case TE_AXIS:
  case TE_ACCESS:
  case TE_UNARY: break;
  }
  return all;
}

// Of a cast from float to an integer type: NaN gives 0, the ends of the type are never passed.
static Interval range_of_float_cast(Bounds *b, const TeExpr *e) {
  FloatRange f = float_range(b, e->a);
  if (f.lo > f.hi) return interval_point(0);
  Scalar lo = scalar_cast(e->type, e->a->type, (Scalar){.f = f.lo}),
         hi = scalar_cast(e->type, e->a->type, (Scalar){.f = f.hi});
  return interval_join(interval_join(interval_of_value(e->type, lo.i), interval_of_value(e->type, hi.i)), interval_point(0));
}

// ---- intervals of atoms and forms ------------------------------------------------------------------------------

// The interval of an opaque expression, from its parts alone.
static Interval range_of_opaque(Bounds *b, const TeExpr *e) {
  Interval all = interval_of_type(e->type);
  if (dtype_is_float(e->type) || --b->work < 0) return all;
  switch (e->kind) {
  case TE_UNARY: return interval_unary(e->unop, e->type, range_of(b, e->a));
  case TE_BINARY: return interval_binary(e->binop, e->a->type, range_of(b, e->a), range_of(b, e->b));
  case TE_SELECT: return range_of_select(b, e);
  case TE_CAST:
    if (dtype_is_float(e->a->type)) return range_of_float_cast(b, e);
    return interval_cast(e->type, e->a->type, range_of(b, e->a));
  case TE_MATH: return interval_math(e->fn, e->type, range_of(b, e->args[0]));
  case TE_CONST: return interval_of_value(e->type, e->value.i); // only a large uint64
  case TE_ACCESS:
    return e->tensor->bounded ? (Interval){e->tensor->lo, e->tensor->hi} : all;
  case TE_AXIS: break;
  }
  return all;
}

static Interval range_of_atom(Bounds *b, int i) {
  if (b->atoms.data[i].stamp == b->stamp) return b->atoms.data[i].cached;
  const TeAxis *axis = b->atoms.data[i].axis;
  const TeExpr *expr = b->atoms.data[i].expr;
  if (b->atoms.data[i].busy) return interval_of_type(expr->type);
  b->atoms.data[i].busy = true;
  Interval r = axis ? (Interval){0, axis->extent - 1} : range_of_opaque(b, expr);
  b->atoms.data[i].busy = false;
  for (size_t k = 0; k < b->facts.len; k++)
    if (b->facts.data[k].atom == i) r = interval_meet(r, b->facts.data[k].range);
  b->atoms.data[i].cached = r; // the vector may have grown
  b->atoms.data[i].stamp = b->stamp;
  return r;
}

// Adds k * the range of an atom to *sum; false if that may be cut.
static bool add_reach(Bounds *b, Interval *sum, int atom, Wide k) {
  Interval reach = interval_scale(range_of_atom(b, atom), k);
  sum->lo += reach.lo;
  sum->hi += reach.hi;
  return reach.hi < WIDE_FAR && reach.lo > -WIDE_FAR;
}

enum { NARROWING_MAX = 4 }; // deeper than that only what needs no atom's range is made of facts

// The range of q * f + p * g by the ranges of its atoms; without bounds if that is too large.
static Interval range_of_sum(Bounds *b, Form f, Wide q, Form g, Wide p) {
  Interval r = interval_point(q * f.c + p * g.c);
  for (int i = 0, j = 0; i < f.n || j < g.n;) {
    bool first = j >= g.n || (i < f.n && f.terms[i].atom <= g.terms[j].atom);
    bool second = i >= f.n || (j < g.n && g.terms[j].atom <= f.terms[i].atom);
    int atom = first ? f.terms[i].atom : g.terms[j].atom;
    Wide k = (first ? q * f.terms[i].coef : 0) + (second ? p * g.terms[j].coef : 0);
    i += first;
    j += second;
    if (k && (b->narrowing > NARROWING_MAX || !add_reach(b, &r, atom, k))) return interval_all();
  }
  return r;
}

typedef struct Ratio {
  int64_t p, q; // in lowest terms, q > 0
} Ratio;

enum { RATIOS_MAX = 8 }; // of two forms, that are tried

// How many times f and g have the atoms that both have, each ratio once.
static int ratios(Form f, Form g, Ratio *out) {
  const int64_t far = (int64_t)1 << 31; // what is multiplied with coefficients and constants
  int n = 0;
  for (int i = 0, j = 0; i < f.n && j < g.n && n < RATIOS_MAX;) {
    Term s = f.terms[i], t = g.terms[j];
    i += s.atom <= t.atom;
    j += t.atom <= s.atom;
    if (s.atom != t.atom || s.coef == INT64_MIN || t.coef == INT64_MIN) continue;
    int64_t common = common_divisor(s.coef, t.coef);
    if (t.coef < 0) common = -common;
    Ratio r = {s.coef / common, t.coef / common};
    bool known = r.p <= -far || r.p >= far || r.q >= far;
    for (int k = 0; k < n; k++) known |= out[k].p == r.p && out[k].q == r.q;
    if (!known) out[n++] = r;
  }
  return n;
}

// What a fact g >= 0 says of f, an atom of theirs eliminated (a step of Fourier and Motzkin's): where f has it p times for
// q times in g, q * f - p * g lacks it. If p > 0, f >= that / q because g >= 0; else f <= that / q. So
// `m * 5 + n - 3 >= 0` says that `m * 80 + n * 16 + j - 48` is at least j.
static Interval narrowed_by(Bounds *b, Form f, Form g, Interval r) {
  Ratio all[RATIOS_MAX];
  for (int i = 0, n = ratios(f, g, all); i < n && (b->work -= f.n + g.n) >= 0; i++) {
    Interval rest = range_of_sum(b, f, all[i].q, g, -(Wide)all[i].p);
    if (all[i].p > 0) r.lo = wide_max(r.lo, -wide_floor_div(-rest.lo, all[i].q));
    else r.hi = wide_min(r.hi, wide_floor_div(rest.hi, all[i].q));
  }
  return r;
}

// The range of a form by those of its atoms.
static Interval range_by_atoms(Bounds *b, Form f) {
  if (!f.ok) return interval_all();
  Interval r = interval_point(f.c);
  for (int i = 0; i < f.n; i++) {
    if (interval_is_empty(range_of_atom(b, f.terms[i].atom))) return interval_none();
    add_reach(b, &r, f.terms[i].atom, f.terms[i].coef);
  }
  return r;
}

static Interval range_of_form(Bounds *b, Form f) {
  Interval r = range_by_atoms(b, f);
  b->narrowing++;
  for (size_t i = 0; f.ok && i < b->facts.len && b->work > 0; i++)
    if (b->facts.data[i].atom < 0) r = narrowed_by(b, f, b->facts.data[i].form, r);
  b->narrowing--;
  return r;
}

static Interval range_of(Bounds *b, const TeExpr *e) {
  if (!dtype_is_int(e->type) && e->type != DT_BOOL) return interval_all();
  if (e->type == DT_BOOL && e->kind != TE_CONST) return interval_of_type(DT_BOOL);
  Form f = form_of(b, e);
  return f.ok ? range_of_form(b, f) : interval_of_type(e->type);
}

// ---- facts -----------------------------------------------------------------------------------------------------

static void add_fact(Bounds *b, Form f);

// form >= lo and form <= hi, as far as these say anything.
static void add_limits(Bounds *b, Form f, Wide lo, Wide hi) {
  if (lo > -FAR && lo < FAR) add_fact(b, form_add(b, f, form_const((int64_t)lo), -1));
  if (hi > -FAR && hi < FAR) add_fact(b, form_add(b, form_const((int64_t)hi), f, -1));
}

// What the interval of a quotient, remainder, minimum or maximum says of its operands.
static void deduce(Bounds *b, const TeExpr *e, Interval r) {
  if (!e || e->kind != TE_BINARY || --b->work < 0) return;
  const TeExpr *c = e->b->kind == TE_CONST && e->b->value.i > 0 && e->b->value.i < INT32_MAX ? e->b : NULL;
  switch (e->binop) {
  case OP_MIN:
    add_limits(b, form_of(b, e->a), r.lo, WIDE_FAR);
    add_limits(b, form_of(b, e->b), r.lo, WIDE_FAR);
    return;
  case OP_MAX:
    add_limits(b, form_of(b, e->a), -WIDE_FAR, r.hi);
    add_limits(b, form_of(b, e->b), -WIDE_FAR, r.hi);
    return;
  case OP_DIV:
    if (c) add_limits(b, form_of(b, e->a), wide_mul(r.lo, c->value.i), wide_mul(r.hi, c->value.i) + c->value.i - 1);
    return;
  case OP_MOD:
    if (c && r.lo > 0 && range_of(b, e->a).lo >= 0) add_limits(b, form_of(b, e->a), r.lo, WIDE_FAR);
    return;
  default: return;
  }
}

static void push_fact(Bounds *b, Fact fact) {
  VEC_PUSH(arena(b), b->facts, fact);
  b->stamp = ++b->stamps;
  if (fact.atom < 0) return;
  Interval r = range_of_atom(b, fact.atom);
  if (interval_is_empty(r)) b->dead = true;
  else deduce(b, b->atoms.data[fact.atom].expr, r);
}

// form >= 0, divided by what its coefficients have in common: the rest is whole, so the constant is rounded down.
static Form tightened(Bounds *b, Form f) {
  int64_t common = 0;
  for (int i = 0; i < f.n; i++) {
    if (f.terms[i].coef == INT64_MIN) return f;
    common = common_divisor(common, f.terms[i].coef);
  }
  if (common < 2) return f;
  f.terms = arena_copy(arena(b), f.terms, (size_t)f.n * sizeof *f.terms);
  for (int i = 0; i < f.n; i++) f.terms[i].coef /= common;
  f.c = floor_div(f.c, common);
  return f;
}

// Takes form >= 0 for true; from it follows for each atom a bound that the ranges of the others leave.
static void add_fact(Bounds *b, Form f) {
  if (!f.ok || b->dead) return;
  if (f.n == 0) {
    if (f.c < 0) b->dead = true;
    return;
  }
  f = tightened(b, f);
  Wide hi = f.c;
  bool cut = false;
  for (int i = 0; i < f.n; i++) {
    Interval r = range_of_atom(b, f.terms[i].atom);
    Wide reach = wide_mul(f.terms[i].coef, f.terms[i].coef > 0 ? r.hi : r.lo);
    if (interval_is_empty(r) || reach >= WIDE_FAR || reach <= -WIDE_FAR) cut = true;
    hi += reach;
  }
  if (cut) return;
  if (f.n > 1) push_fact(b, (Fact){.atom = -1, .form = f});
  for (int i = 0; i < f.n && !b->dead; i++) {
    Wide k = f.terms[i].coef;
    Interval r = range_of_atom(b, f.terms[i].atom);
    // What the others reach at most; an atom narrowed meanwhile only makes it an overestimate.
    Wide rest = hi - k * (k > 0 ? r.hi : r.lo);
    Fact fact = {.atom = f.terms[i].atom, .range = interval_all()};
    if (k > 0) fact.range.lo = -wide_floor_div(rest, k); // k * atom >= -rest
    else fact.range.hi = wide_floor_div(rest, -k);
    if (fact.range.lo > r.lo || fact.range.hi < r.hi) push_fact(b, fact);
  }
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
    Interval r = range_of_form(b, form_add(b, f, g, -1));
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

// ---- the walk --------------------------------------------------------------------------------------------------

static const char *wide_text(Ctx *cx, Wide v) { return arena_printf(cx->arena, "%lld", (long long)v); }

static void report_index(Bounds *b, const TeExpr *access, int i, Interval r) {
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
    g = diag_report(cx->diags, E_BOUNDS, index->loc, "the index `%s` is not known to stay in axis `%s` of `%s`",
                    text, axis->name, t->name);
  diag_also(g, axis->loc, "the axis is declared here");
  if (is_far(r))
    diag_note(g, "every access must be safe whatever the tensors hold; valid indices are 0..%lld",
              (long long)axis->extent - 1);
  long long last = (long long)axis->extent - 1;
  if (r.lo < 0 && r.hi > last)
    diag_help(g, "guard it: `%s >= 0 && %s < %lld ? ... : 0`, or write `clamp(%s, 0, %lld)`", text, text, last + 1,
              text, last);
  else if (r.lo < 0) diag_help(g, "guard it: `%s >= 0 ? ... : 0`, or write `max(%s, 0)`", text, text);
  else diag_help(g, "guard it: `%s < %lld ? ... : 0`, or write `min(%s, %lld)`", text, last + 1, text, last);
}

// The form with x % c, if it has one, written as x - c * (x / c): then x - x % c and x / c * c + x % c are seen
// through.
static Form without_remainder(Bounds *b, Form f) {
  for (int i = 0; i < f.n; i++) {
    const TeExpr *e = b->atoms.data[f.terms[i].atom].expr;
    if (!e || e->kind != TE_BINARY || e->binop != OP_MOD || e->type != DT_I64) continue;
    if (e->b->kind != TE_CONST || e->b->value.i <= 0) continue;
    int64_t k = f.terms[i].coef, ck;
    if (!mul_ok(k, e->b->value.i, &ck) || ck == INT64_MIN) continue;
    Form quotient = form_of(b, te_binary(arena(b), OP_DIV, e->a, e->b, e->loc));
    f = form_add(b, f, form_atom(b, f.terms[i].atom), -k);
    return form_add(b, form_add(b, f, form_of(b, e->a), k), quotient, -ck);
  }
  return (Form){0};
}

// The values an index takes, as closely as can be told.
static Interval range_of_index(Bounds *b, const TeExpr *e, int64_t extent) {
  Form f = form_of(b, e);
  Interval r = range_of_form(b, f);
  for (int tries = 0; tries < 4 && (r.lo < 0 || r.hi >= extent); tries++) {
    f = without_remainder(b, f);
    if (!f.ok) break;
    r = interval_meet(r, range_of_form(b, f));
  }
  return r;
}

static void walk(Bounds *b, const TeExpr *e);

static void walk_access(Bounds *b, const TeExpr *e) {
  for (int i = 0; i < e->nargs; i++) walk(b, e->args[i]);
  if (b->dead) return;
  if (b->facts.len == 0) b->atoms.len = 0; // nothing is known of any of them
  for (int i = 0; i < e->nargs; i++) {
    Interval r = range_of_index(b, e->args[i], e->tensor->axes[i]->extent);
    if (!interval_is_empty(r) && (r.lo < 0 || r.hi >= e->tensor->axes[i]->extent)) report_index(b, e, i, r);
  }
}

// Walks e while cond is taken to hold or not.
static void walk_under(Bounds *b, const TeExpr *cond, bool holds, const TeExpr *e) {
  Mark m = mark(b);
  assume(b, cond, holds);
  if (!b->dead) walk(b, e);
  back_to(b, m);
}

static void walk(Bounds *b, const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return;
  case TE_ACCESS: walk_access(b, e); return;
  case TE_UNARY:
  case TE_CAST: walk(b, e->a); return;
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

// The values of a stage, for the indices that later stages make of them. What a reduction adds up is not followed.
static void note_values(Bounds *b, TeTensor *t) {
  bool combines = t->reduce != TE_NO_REDUCE && t->reduce != TE_MIN && t->reduce != TE_MAX;
  if (!dtype_is_int(t->type) || t->body->type != t->type || combines || t->where) return; // of no points: the identity
  b->atoms.len = 0;
  Interval r = range_of(b, t->body), all = interval_of_type(t->type);
  if (interval_is_empty(r) || r.lo < INT64_MIN || r.hi > INT64_MAX || (r.lo <= all.lo && r.hi >= all.hi)) return;
  t->bounded = true;
  t->lo = (int64_t)r.lo;
  t->hi = (int64_t)r.hi;
}

void check_bounds(Checker *ck, TeTensor *stage) {
  Bounds b = {.ck = ck, .stage = stage, .work = 1 << 23};
  if (stage->where) {
    walk(&b, stage->where);
    walk_under(&b, stage->where, true, stage->body);
  } else {
    walk(&b, stage->body);
  }
  note_values(&b, stage);
}

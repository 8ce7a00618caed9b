// SPDX-License-Identifier: Apache-2.0
// Expressions as linear forms, and conditions as facts. Sums and multiples that cannot wrap are forms; other
// expressions are atoms, whose ranges come of their operands'.
#include "lin/internal.h"

// Data of 64-bit types: limits beyond say nothing.
#define FAR ((Wide)1 << 62)

// ---- forms -----------------------------------------------------------------------------------------------------

static int atom_of(Facts *f, const void *e) {
  for (size_t i = 0; i < f->atoms.len; i++)
    if (f->read->same(f, f->atoms.data[i].what, e)) return (int)i;
  LinAtom a = {.what = e, .stamp = -1};
  VEC_PUSH(f->arena, f->atoms, a);
  return (int)f->atoms.len - 1;
}

// An expression that no form says more of; once the work is spent it has no name either, which would take long to find.
static LinForm form_of_atom(Facts *f, const void *e) {
  if (f->work < 0) return (LinForm){0};
  LinForm x = {.n = 1, .terms = NEW(f->arena, LinTerm), .ok = true};
  x.terms[0] = (LinTerm){atom_of(f, e), 1};
  return x;
}

// x + k * y
static LinForm sum(Facts *f, LinForm x, LinForm y, int64_t k) { return form_add(f->arena, x, y, k); }

// e as a form without regard to wrapping; one that is not ok, if it is no sum or multiple.
static LinForm unbounded_form(Facts *f, const LinNode *e) {
  const LinForm none = {0};
  if (!dtype_is_int(e->type)) return none;
  if (e->kind == LIN_UNARY && e->unop == UN_NEG) return form_scale(f->arena, facts_form(f, e->a), -1);
  if (e->kind == LIN_CAST) return facts_form(f, e->a);
  if (e->kind != LIN_BINARY) return none;
  if (e->binop != OP_ADD && e->binop != OP_SUB && e->binop != OP_MUL && e->binop != OP_SHL) return none;
  LinForm x = facts_form(f, e->a), y = facts_form(f, e->b);
  if (e->binop == OP_ADD || e->binop == OP_SUB) return sum(f, x, y, e->binop == OP_ADD ? 1 : -1);
  if (e->binop == OP_SHL) {
    bool known = y.ok && y.n == 0 && y.c >= 0 && y.c < dtype_bits(e->type) && y.c < 62;
    return known ? form_scale(f->arena, x, (int64_t)1 << y.c) : none;
  }
  if (y.ok && y.n == 0) return form_scale(f->arena, x, y.c);
  return x.ok && x.n == 0 ? form_scale(f->arena, y, x.c) : none;
}

LinForm facts_form(Facts *f, const void *e) {
  LinNode n = f->read->node(e);
  if (n.kind == LIN_CONST && (n.type != DT_U64 || n.value >= 0)) return form_const(n.value);
  if (n.kind == LIN_LEAF) return form_of_atom(f, e);
  LinForm x = unbounded_form(f, &n);
  if (x.ok) { // a form only if the type's arithmetic cannot wrap
    Interval t = interval_of_type(n.type), r = facts_range_by_atoms(f, x);
    if (!interval_within(r, t)) r = facts_range_of_form(f, x); // facts take time
    if (interval_within(r, t)) return x;
  }
  return form_of_atom(f, e);
}

// ---- ranges ----------------------------------------------------------------------------------------------------

static Interval range_given(Facts *f, const void *cond, bool holds, const void *e) {
  FactsMark m = facts_mark(f);
  facts_assume(f, cond, holds);
  Interval r = f->dead ? interval_none() : facts_range(f, e);
  facts_back(f, m);
  return r;
}

Interval facts_range_of_parts(Facts *f, const void *e) {
  LinNode n = f->read->node(e);
  if (dtype_is_float(n.type) || --f->work < 0) return interval_of_type(n.type);
  switch (n.kind) {
  case LIN_CONST: return interval_of_value(n.type, n.value);
  case LIN_UNARY: return interval_unary(n.unop, n.type, facts_range(f, n.a));
  case LIN_BINARY: return interval_binary(n.binop, f->read->node(n.a).type, facts_range(f, n.a), facts_range(f, n.b));
  case LIN_CAST: return interval_cast(n.type, f->read->node(n.a).type, facts_range(f, n.a));
  case LIN_SELECT: return interval_join(range_given(f, n.a, true, n.b), range_given(f, n.a, false, n.c));
  case LIN_MATH:
    return interval_math(n.fn, n.type, facts_range(f, n.a), n.b ? facts_range(f, n.b) : interval_of_type(n.type));
  case LIN_LEAF: return f->read->leaf(f, e);
  }
  return interval_of_type(n.type);
}

Interval facts_range(Facts *f, const void *e) {
  LinNode n = f->read->node(e);
  if (n.type == DT_BOOL && n.kind != LIN_CONST) return interval_of_type(DT_BOOL);
  if (dtype_is_float(n.type)) return interval_all();
  LinForm x = facts_form(f, e);
  return x.ok ? facts_range_of_form(f, x) : interval_of_type(n.type);
}

// The form with x % c, if it has one, written as x - c * (x / c): then x - x % c and x / c * c + x % c are seen
// through.
static LinForm without_remainder(Facts *f, LinForm x) {
  for (int i = 0; i < x.n; i++) {
    const void *e = f->atoms.data[x.terms[i].atom].what;
    LinNode n = f->read->node(e), c;
    if (n.kind != LIN_BINARY || n.binop != OP_MOD || n.type != DT_I64) continue;
    c = f->read->node(n.b);
    if (c.kind != LIN_CONST || c.value <= 0) continue;
    int64_t k = x.terms[i].coef, ck;
    if (!mul_ok(k, c.value, &ck) || ck == INT64_MIN) continue;
    LinForm quotient = facts_form(f, f->read->quotient(f, e));
    return sum(f, sum(f, sum(f, x, form_of_atom(f, e), -k), facts_form(f, n.a), k), quotient, -ck);
  }
  return (LinForm){0};
}

Interval facts_range_within(Facts *f, const void *e, Interval want) {
  LinForm x = facts_form(f, e);
  Interval r = facts_range_of_form(f, x);
  for (int tries = 0; tries < 4 && !interval_within(r, want); tries++) {
    x = without_remainder(f, x);
    if (!x.ok) break;
    r = interval_meet(r, facts_range_of_form(f, x));
  }
  return r;
}

// ---- conditions ------------------------------------------------------------------------------------------------

// e >= lo and e <= hi, as far as these say anything.
static void add_limits(Facts *f, const void *e, Wide lo, Wide hi) {
  LinForm x = facts_form(f, e);
  if (lo > -FAR && lo < FAR) facts_add(f, sum(f, x, form_const((int64_t)lo), -1));
  if (hi > -FAR && hi < FAR) facts_add(f, sum(f, form_const((int64_t)hi), x, -1));
}

void facts_deduce(Facts *f, const void *e, Interval r) {
  LinNode n = f->read->node(e), c;
  if (n.kind != LIN_BINARY || --f->work < 0) return;
  c = f->read->node(n.b);
  bool by = c.kind == LIN_CONST && c.value > 0 && c.value < INT32_MAX;
  if (n.binop == OP_MIN) {
    add_limits(f, n.a, r.lo, WIDE_FAR);
    add_limits(f, n.b, r.lo, WIDE_FAR);
  } else if (n.binop == OP_MAX) {
    add_limits(f, n.a, -WIDE_FAR, r.hi);
    add_limits(f, n.b, -WIDE_FAR, r.hi);
  } else if (n.binop == OP_DIV && by) {
    add_limits(f, n.a, wide_mul(r.lo, c.value), wide_mul(r.hi, c.value) + c.value - 1);
  } else if (n.binop == OP_MOD && by && r.lo > 0 && facts_range(f, n.a).lo >= 0) {
    add_limits(f, n.a, r.lo, WIDE_FAR);
  }
}

BinOp comparison_negated(BinOp op) {
  switch (op) {
  case OP_LT: return OP_GE;
  case OP_LE: return OP_GT;
  case OP_GT: return OP_LE;
  case OP_GE: return OP_LT;
  case OP_EQ: return OP_NE;
  case OP_NE:
    return OP_EQ;
  CASE_NO_COMPARISON:
    break;
  }
  bug("no comparison: %s", binop_text(op));
}

void facts_assume(Facts *f, const void *cond, bool holds) {
  LinNode n = f->read->node(cond);
  if (n.kind == LIN_UNARY && n.unop == UN_NOT) {
    facts_assume(f, n.a, !holds);
  } else if (n.kind == LIN_BINARY && n.binop == (holds ? OP_LAND : OP_LOR)) {
    facts_assume(f, n.a, holds);
    facts_assume(f, n.b, holds);
  } else if (n.kind == LIN_BINARY && binop_is_bool(n.binop) && dtype_is_int(f->read->node(n.a).type)) {
    facts_compare(f, holds ? n.binop : comparison_negated(n.binop), facts_form(f, n.a), facts_form(f, n.b));
  }
}

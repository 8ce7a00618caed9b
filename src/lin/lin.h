// SPDX-License-Identifier: Apache-2.0
// Arithmetic about integers: intervals, linear forms, what follows from conditions. What it is taken for (safety,
// regions, simpler expressions) is its users' part.
#ifndef TETC_LIN_LIN_H
#define TETC_LIN_LIN_H

#include "base/base.h"

typedef __int128 Wide;

// Numbers stand for themselves: uint64 ones go to 2^64 - 1, sums of 64-bit ones are exact. Products are cut at
// WIDE_FAR, far beyond every type, so that sums of thousands of them still fit.
#define WIDE_FAR ((Wide)1 << 100)

typedef struct Interval {
  Wide lo, hi; // inclusive; lo > hi: no value is possible
} Interval;

/* interval.c */
static inline Wide wide_min(Wide a, Wide b) { return a < b ? a : b; }
static inline Wide wide_max(Wide a, Wide b) { return a > b ? a : b; }
Wide wide_mul(Wide a, Wide b);       // at most WIDE_FAR, at least -WIDE_FAR
Wide wide_floor_div(Wide a, Wide b); // b != 0

static inline Interval interval_all(void) { return (Interval){-WIDE_FAR, WIDE_FAR}; }
static inline Interval interval_none(void) { return (Interval){1, 0}; }
static inline Interval interval_point(Wide v) { return (Interval){v, v}; }
static inline bool interval_is_empty(Interval a) { return a.lo > a.hi; }
static inline bool interval_is_point(Interval a) { return a.lo == a.hi; }
static inline bool interval_is_int64(Interval a) { return a.lo == (int64_t)a.lo && a.hi == (int64_t)a.hi; }
static inline bool interval_within(Interval a, Interval b) { return a.lo >= b.lo && a.hi <= b.hi; }
static inline Interval interval_meet(Interval a, Interval b) {
  return (Interval){wide_max(a.lo, b.lo), wide_min(a.hi, b.hi)};
}
Interval interval_join(Interval a, Interval b); // the smallest one around both
Interval interval_scale(Interval a, Wide k);    // k * a
extern const Interval interval_of_types[DT_COUNT];
// All values that an integer or bool type has; of floats nothing is known.
static inline Interval interval_of_type(DType t) { return interval_of_types[t]; }
// Of a Scalar's i.
static inline Interval interval_of_value(DType t, int64_t v) {
  return interval_point(t == DT_U64 ? (Wide)(uint64_t)v : v);
}

// What an operation makes of values in the intervals, t being the type of its operands. A result that may wrap is any
// value of the type. Shifts count modulo the type's bits; x / 0 and x % 0 are 0.
Interval interval_binary(BinOp op, DType t, Interval a, Interval b);
Interval interval_unary(UnOp op, DType t, Interval a);
Interval interval_cast(DType to, DType from, Interval a);
Interval interval_math(MathFn f, DType t, Interval a, Interval b); // of one argument: b is not looked at

// ---- linear forms ----------------------------------------------------------------------------------------------

typedef struct LinTerm {
  int atom; // a number that Facts gave out
  int64_t coef;
} LinTerm;

// c + sum(coef * atom); terms sorted by atom. A form that is not `ok` overflowed.
typedef struct LinForm {
  int64_t c;
  int n;
  LinTerm *terms;
  bool ok;
} LinForm;

/* form.c */
LinForm form_const(int64_t c);
LinForm form_add(Arena *arena, LinForm x, LinForm y, int64_t k); // x + k * y
LinForm form_scale(Arena *arena, LinForm x, int64_t k);
// For form >= 0: divided by what its coefficients have in common. The rest is whole, so the constant is rounded down.
LinForm form_tightened(Arena *arena, LinForm f);

typedef struct Ratio {
  int64_t p, q; // in lowest terms, q > 0
} Ratio;
enum { RATIOS_MAX = 8 }; // of two forms, that are tried
// How many times f and g have the atoms that both have, each ratio once.
int form_ratios(LinForm f, LinForm g, Ratio *out);

// ---- systems --------------------------------------------------------------------------------------------------------

// Constraints over integer variables 0 .. nvars - 1, which are the atoms of the forms.
typedef struct LinSystem LinSystem;

/* system.c */
LinSystem *system_new(Arena *arena, int nvars);
LinSystem *system_copy(Arena *arena, const LinSystem *s);
void system_add(LinSystem *s, LinForm f, bool equal); // f == 0, or f >= 0; a form that is not ok says nothing
bool system_is_empty(const LinSystem *s);             // true: it has no solution; false: it may have some

// ---- expressions, and what conditions say of them ------------------------------------------------------------------

// A node of an expression, of TeExpr or Expr, as far as arithmetic goes.
typedef enum LinKind { LIN_CONST, LIN_UNARY, LIN_BINARY, LIN_CAST, LIN_SELECT, LIN_MATH, LIN_LEAF } LinKind;
typedef struct LinNode {
  LinKind kind;
  DType type;
  UnOp unop;
  BinOp binop;
  MathFn fn;             // LIN_MATH: of integers
  int64_t value;         // LIN_CONST, of an integer or bool type
  const void *a, *b, *c; // operands
} LinNode;

typedef struct Facts Facts;
typedef struct LinReader {
  LinNode (*node)(const void *e);
  bool (*same)(Facts *f, const void *x, const void *y); // takes from f->work
  Interval (*leaf)(Facts *f, const void *e);            // the values of a LIN_LEAF, within its type
  // x / c for x % c, as an expression.
  const void *(*quotient)(Facts *f, const void *remainder);
} LinReader;

typedef struct LinAtom {
  const void *what; // an expression that no form says more of
  Interval cached;  // valid while the facts are those of `stamp`
  int stamp;
  bool busy; // its range is being looked for: a fact that needs it has to do without
} LinAtom;

typedef struct Fact { // form >= 0, or, for a single atom, lo <= atom <= hi
  int atom;           // -1: form
  Interval range;
  LinForm form;
} Fact;

// What holds where an expression is looked at. Starts as {.arena, .read, .self, .work}, the rest 0.
struct Facts {
  Arena *arena;
  const LinReader *read;
  void *self; // the reader's
  int work;   // steps left; when spent, nothing more is known, so that time stays bounded
  VEC(LinAtom) atoms;
  VEC(Fact) list;
  int stamp, stamps; // names the current set of facts; how many names are used
  bool dead;         // the facts contradict each other: nothing gets here
  int narrowing;     // forms that are being narrowed by facts, one for the sake of the other
};

// What to go back to when a condition's facts end.
typedef struct FactsMark {
  size_t len;
  int stamp;
  bool dead;
} FactsMark;

/* facts.c */
FactsMark facts_mark(const Facts *f);
void facts_back(Facts *f, FactsMark m);
void facts_renew(Facts *f);        // leaves may have other ranges than they had, until facts_back
void facts_forget_atoms(Facts *f); // where there are no facts: what was found out of atoms takes memory and time
Interval facts_range_by_atoms(Facts *f, LinForm x); // the range of a form by those of its atoms
Interval facts_range_of_form(Facts *f, LinForm x);  // and by what the facts say of it
void facts_add(Facts *f, LinForm x);                // takes x >= 0 for true
void facts_compare(Facts *f, BinOp op, LinForm x, LinForm y);

/* read.c */
LinForm facts_form(Facts *f, const void *e);
Interval facts_range(Facts *f, const void *e); // of an integer or bool expression
// The same as closely as can be told: looks further while the range is not within `want`.
Interval facts_range_within(Facts *f, const void *e, Interval want);
// Takes a condition for true, or for false, until the caller goes back.
void facts_assume(Facts *f, const void *cond, bool holds);
BinOp comparison_negated(BinOp op); // !(a op b) is a comparison_negated(op) b, for integers

#endif

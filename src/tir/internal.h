// SPDX-License-Identifier: Apache-2.0
// tir, inside: node construction without folding, and a map keyed by pointers.
#ifndef TETC_TIR_INTERNAL_H
#define TETC_TIR_INTERNAL_H

#include "lin/lin.h"
#include "tir/tir.h"

// How deeply expressions and statements may nest; the parser and the verifier hold the line, so that everything else
// may recurse.
#define EXPR_DEPTH_MAX 2000
#define STMT_DEPTH_MAX 6000

/* build.c */
// New nodes as they are: nothing is folded or checked. The caller fills the union before anybody else sees the node.
Expr *expr_new(Ctx *cx, ExprKind kind, DType type, Loc loc);
Stmt *stmt_new(Ctx *cx, StmtKind kind, Loc loc, Loc why);
const Expr *expr_raw_binary(Ctx *cx, BinOp op, const Expr *a, const Expr *b, Loc loc);
const Expr *expr_raw_unary(Ctx *cx, UnOp op, const Expr *a, Loc loc);
const Expr *expr_raw_cast(Ctx *cx, DType t, const Expr *a, Loc loc);
const Expr *expr_raw_select(Ctx *cx, const Expr *c, const Expr *a, const Expr *b, Loc loc);
const Expr *expr_raw_args(Ctx *cx, ExprKind kind, DType t, const Buffer *b, MathFn f, int n, const Expr **args,
                          Loc loc);

/* bounds.c */
Interval interval_of(const Ranges *r, const Expr *e);
// Facts about expressions over variables with ranges. When the range of a variable
// changes, facts_renew; when a buffer is written, what was said of its elements no longer holds.
typedef struct ExprFacts {
  Facts facts;
  Ctx *cx;
  const Ranges *ranges;
} ExprFacts;
void expr_facts_init(ExprFacts *f, Ctx *cx, const Ranges *ranges, int work); // *f stays where it is

/* simplify.c, and simplify_stmt.c on top of it */
typedef struct Binding { // a loop of extent 1: the value that replaces its variable
  const Var *var;
  const Expr *value;
} Binding;

typedef struct Sim {
  Ctx *cx;
  Ranges ranges;
  VEC(Binding) values; // a stack; the last entry for a variable counts
} Sim;
Sim sim_new(Ctx *cx, const Ranges *outer); // outer may be NULL
enum { SIM_WALKS = 16 };                   // until nothing changes, but never more; 2 have always been enough
const Expr *sim_expr(Sim *s, const Expr *e, Interval *range); // e simplified, and its interval
// Pushes the ranges that follow from a simplified condition being `truth`. The caller resets ranges.len.
void sim_learn(Sim *s, const Expr *cond, bool truth);

/* terms.c */
// constant + the sum of coef * atom: what an int64 expression is to the simplifier.
typedef struct Term {
  const Expr *atom;
  int64_t coef;
  Interval range; // of the atom
} Term;

typedef struct Terms {
  VEC(Term) list;
  int64_t constant;
  bool ok; // no coefficient and no constant wrapped on the way; only differences need it
} Terms;

// Adds coef * atom, whose interval is `range`.
void terms_add(Sim *s, Terms *t, const Expr *atom, int64_t coef, Interval range);
// Adds scale * e, simplifying e's atoms.
void terms_collect(Sim *s, Terms *t, const Expr *e, int64_t scale);
// Drops cancelled terms.
void terms_compact(Terms *t);
// x / d * (d * k) + x % d * k is x * k, whatever x.
void terms_recombine(Sim *s, Terms *t);
// The interval of the sum as ordinary integers. False: it may leave int64 (and then wraps). Where it does not, it is
// the value, even if coefficients wrapped while they were added up: both are the same modulo 2^64.
bool terms_interval(const Terms *t, Interval *out);
// The sum as an expression.
const Expr *terms_expr(Sim *s, const Terms *t);
Terms terms_copy(Sim *s, const Terms *t);
// The greatest common divisor of d and all coefficients.
int64_t terms_gcd(const Terms *t, int64_t d);
// t / d as terms, for a t that stays in int64. Multiples of d come out: (d * q + r) / d = q + r / d; common factors
// cancel: (g * u + c) / (g * d) = (u + c / g) / d; (x / c) / d = x / (c * d).
Terms terms_divide(Sim *s, const Terms *t, int64_t d);
// t % d as terms, for a t that stays in int64: multiples of d go; (g * u + c) % (g * d) = g * (u % d) + c for
// 0 <= c < g; (x % (c * d)) % d = x % d.
Terms terms_modulo(Sim *s, const Terms *t, int64_t d);
// Wrapping arithmetic; t->ok falls where it wraps.
int64_t mul_wrap(Terms *t, int64_t a, int64_t b);
int64_t add_wrap(Terms *t, int64_t a, int64_t b);
// Whether e is `x op k`.
bool is_op_const(const Expr *e, BinOp op, int64_t *k);

/* verify.c */
// Which operand types an operator takes.
bool binop_takes(BinOp op, DType t);
bool unop_takes(UnOp op, DType t);

#endif

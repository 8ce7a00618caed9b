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

/* verify.c */
// Which operand types an operator takes.
bool binop_takes(BinOp op, DType t);
bool unop_takes(UnOp op, DType t);

#endif

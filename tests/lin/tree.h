// SPDX-License-Identifier: Apache-2.0
// Random expressions over variables in small boxes, with values by tests/ops/meaning.c, and as text that is TE and TIR
// at once.
#ifndef TEST_LIN_TREE_H
#define TEST_LIN_TREE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lin/lin.h"

typedef struct Tree {
  LinNode node; // first; operands are trees
  int var;      // LIN_LEAF
} Tree;

enum { VARS = 3 };
typedef struct Box {
  DType type[VARS];
  Interval range[VARS];
} Box;

typedef struct Forest {
  Arena *arena;
  uint64_t random;
  Box box;
  bool types; // other types than int64, not only by casts to and fro
} Forest;

int below(Forest *f, int n); // 0..n-1
const Tree *tree_const(Forest *f, DType t, int64_t v);
const Tree *tree_var(Forest *f, int var);
const Tree *tree_binary(Forest *f, BinOp op, const Tree *a, const Tree *b);
const Tree *tree_not(Forest *f, const Tree *a);
const Tree *tree_affine(Forest *f); // a sum of multiples of int64 variables
const Tree *tree_integer(Forest *f, int depth);
const Tree *tree_condition(Forest *f, int depth);
Wide tree_value(const Tree *t, const Wide *vars);
void tree_text(const Tree *t, Text *out); // of what has no types but int64
bool box_next(const Box *b, Wide *vars);  // the next point, from the first of all, {range[i].lo}; false: none
Facts tree_facts(Forest *f);

#endif

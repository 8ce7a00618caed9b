// SPDX-License-Identifier: Apache-2.0
// What operations mean, written a second time: on wide integers, and on C's own float types. Shares nothing with
// base/scalar.c but the names of types and operations.
#ifndef TEST_MEANING_H
#define TEST_MEANING_H

#include "base/base.h"

typedef __int128 Wide;

// A value: integers and bool in i, floats in f.
typedef struct Value {
  Wide i;
  double f;
} Value;

Wide least_of(DType t), most_of(DType t); // of integers and bool
int edges_of(DType t, Value *out);        // at most MOST_EDGES values at which operations break; how many
enum { MOST_EDGES = 40 };

bool means_binary(BinOp op, DType t, Value a, Value b, Value *out); // false: there is no such operation on t
bool means_unary(UnOp op, DType t, Value a, Value *out);
bool means_math(MathFn fn, DType t, Value a, Value b, Value *out); // exact functions of one argument only
Value means_cast(DType to, DType from, Value a);
bool same_value(DType t, Value a, Value b); // bits; a NaN is as good as another

void value_store(DType t, void *at, Value v);
Value value_load(DType t, const void *at);

#endif

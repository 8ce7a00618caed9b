// SPDX-License-Identifier: Apache-2.0
// Scalar operations on many values at once, for the evaluator. Each agrees with scalar_* bit for bit (tests/te).
#ifndef TETC_TE_LANES_H
#define TETC_TE_LANES_H

#include "base/base.h"

// All work on n lanes; d may be a or b.
void lanes_binary(BinOp op, DType t, Scalar *d, const Scalar *a, const Scalar *b, int n);
void lanes_unary(UnOp op, DType t, Scalar *d, const Scalar *a, int n);
void lanes_math(MathFn f, DType t, Scalar *d, const Scalar *a, const Scalar *b, int n);
void lanes_fma(DType t, Scalar *d, const Scalar *a, const Scalar *b, const Scalar *c, int n);
void lanes_cast(DType to, DType from, Scalar *d, const Scalar *a, int n);
bool lanes_cast_is_free(DType to, DType from); // the cast leaves every Scalar as it is
// d[l] = element off[l] + at of the array.
void lanes_load(DType t, Scalar *d, const void *array, const int64_t *off, int64_t at, int n);
void lanes_store(DType t, void *array, int64_t first, const Scalar *a, int n); // n elements in a row
void lanes_fill(Scalar *d, Scalar v, int n);

#endif

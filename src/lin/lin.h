// SPDX-License-Identifier: Apache-2.0
// Arithmetic about integers: intervals. What they are taken for (safety, regions, simpler expressions) is their
// users' part.
#ifndef TETC_LIN_LIN_H
#define TETC_LIN_LIN_H

#include "base/base.h"

typedef __int128 Wide;

// Numbers stand for themselves: uint64 ones go to 2^64 - 1, sums of 64-bit ones are exact. Products are cut at WIDE_FAR,
// far beyond every type, so that sums of thousands of them still fit.
#define WIDE_FAR ((Wide)1 << 100)

typedef struct Interval {
  Wide lo, hi; // inclusive; lo > hi: no value is possible
} Interval;

/* interval.c */
static inline Wide wide_min(Wide a, Wide b) { return a < b ? a : b; }
static inline Wide wide_max(Wide a, Wide b) { return a > b ? a : b; }
Wide wide_mul(Wide a, Wide b); // at most WIDE_FAR, at least -WIDE_FAR
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
Interval interval_math(MathFn f, DType t, Interval a);

#endif

// SPDX-License-Identifier: Apache-2.0
// The language's meaning, as plainly as it can be written: one element at a time, one node at a time. te_eval must
// agree with this bit for bit.
#include "support.h"

#include <math.h>

typedef struct Walk {
  const TeArrays *arrays;
  int64_t axis[64], raxis[64];
  bool outside;
} Walk;

static Scalar value(Walk *w, const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST: return e->value;
  case TE_AXIS: return (Scalar){.i = e->axis->reduce ? w->raxis[e->axis->index] : w->axis[e->axis->index]};
  case TE_UNARY: return scalar_unary(e->unop, e->a->type, value(w, e->a));
  case TE_BINARY: {
    Scalar a = value(w, e->a);
    if (e->binop == OP_LAND && !a.i) return a;
    if (e->binop == OP_LOR && a.i) return a;
    return scalar_binary(e->binop, e->a->type, a, value(w, e->b));
  }
  case TE_CAST: return scalar_cast(e->type, e->a->type, value(w, e->a));
  case TE_SELECT: return value(w, e->a).i ? value(w, e->b) : value(w, e->c);
  case TE_MATH: {
    Scalar args[3] = {{0}};
    for (int i = 0; i < e->nargs; i++) args[i] = value(w, e->args[i]);
    return scalar_call(e->fn, e->type, args);
  }
  case TE_ACCESS: {
    const TeTensor *t = e->tensor;
    int64_t at = 0;
    for (int i = 0; i < t->naxes; i++) {
      int64_t index = value(w, e->args[i]).i;
      if (index < 0 || index >= t->axes[i]->extent) {
        w->outside = true;
        return (Scalar){0};
      }
      at = at * t->axes[i]->extent + index;
    }
    return scalar_load(t->type,
                       (const char *)(t->data ? t->data : w->arrays->data[t->index]) + at * dtype_bytes(t->type));
  }
  }
  return (Scalar){0};
}

// Steps an odometer over n axes; false after the last point.
static bool step(int n, const TeAxis **axes, int64_t *at) {
  for (int i = n - 1; i >= 0; i--) {
    if (++at[i] < axes[i]->extent) return true;
    at[i] = 0;
  }
  return false;
}

static Scalar start(TeReduce r, DType t) {
  int bits = dtype_bits(t);
  if (dtype_is_float(t)) return (Scalar){.f = r == TE_PROD ? 1 : r == TE_MIN ? INFINITY : r == TE_MAX ? -INFINITY : 0};
  if (r == TE_SUM) return (Scalar){.i = 0};
  if (r == TE_PROD) return (Scalar){.i = 1};
  if (!dtype_is_signed(t)) return (Scalar){.i = r == TE_MAX ? 0 : wrap_int(t, -1)};
  int64_t top = (int64_t)(((uint64_t)1 << (bits - 1)) - 1);
  return (Scalar){.i = r == TE_MIN ? top : -top - 1};
}

static Scalar element(Walk *w, const TeTensor *t) {
  if (t->reduce == TE_NO_REDUCE) return value(w, t->body);
  static const BinOp ops[] = {[TE_SUM] = OP_ADD, [TE_PROD] = OP_MUL, [TE_MIN] = OP_MIN, [TE_MAX] = OP_MAX};
  Scalar acc = start(t->reduce, t->type);
  for (int i = 0; i < t->nraxes; i++) w->raxis[i] = 0;
  do {
    if (t->where && !value(w, t->where).i) continue;
    if (t->reduce == TE_DOT)
      acc = scalar_call(FN_FMA, t->type, (Scalar[]){value(w, t->body->args[0]), value(w, t->body->args[1]), acc});
    else acc = scalar_binary(ops[t->reduce], t->type, acc, value(w, t->body));
  } while (step(t->nraxes, t->raxes, w->raxis));
  return acc;
}

bool walk_kernel(const TeKernel *k, const TeArrays *arrays) {
  Walk w = {.arrays = arrays};
  for (int i = 0; i < k->ntensors; i++) {
    const TeTensor *t = k->tensors[i];
    if (!t->body) continue;
    for (int a = 0; a < t->naxes; a++) w.axis[a] = 0;
    char *at = arrays->data[i];
    do {
      scalar_store(t->type, at, element(&w, t));
      at += dtype_bytes(t->type);
    } while (step(t->naxes, t->axes, w.axis));
  }
  return !w.outside;
}

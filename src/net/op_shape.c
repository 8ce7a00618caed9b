// SPDX-License-Identifier: Apache-2.0
// What arranges elements anew, and what is known of shapes when a model is imported.
#include "net/internal.h"

#include <string.h>

static bool given(Import *m, const Node *n, int count) {
  for (int i = 0; i < count; i++)
    if (!input_of(n, i)) return refuse(m, n, "its input %d is left out", i), false;
  return true;
}

// An axis that may count from the end; false after a report. `more`: it may be behind the last.
static bool axis_of(Import *m, const Node *n, int64_t given_axis, int rank, int more, int *axis) {
  if (given_axis < -(rank + more) || given_axis >= rank + more)
    return refuse(m, n, "its axis is %lld, of %d axes", (long long)given_axis, rank), false;
  *axis = (int)(given_axis < 0 ? given_axis + rank + more : given_axis);
  return true;
}

bool import_identity(Import *m, Node *n) { return given(m, n, 1) && result_same(m, n, 0, n->in[0], &n->in[0]->shape); }

bool import_dropout(Import *m, Node *n) {
  const Value *training = input_of(n, 2);
  if (!given(m, n, 1)) return false;
  if (training && (!training->data || !all_equal(training, 0)))
    return diag_help(refuse(m, n, "it is in training mode"), "export the model for inference: `model.eval()`"), false;
  Shape s = n->in[0]->shape;
  DType t = m->opset < 10 ? n->in[0]->type : DT_BOOL;
  if (!result_same(m, n, 0, n->in[0], &s)) return false;
  return n->nout < 2 || !n->out[1] || result(m, n, 1, t, &s, AXES, t == DT_BOOL ? "true" : "1");
}

bool import_flatten(Import *m, Node *n) {
  int axis;
  if (!given(m, n, 1)) return false;
  const Shape *x = &n->in[0]->shape;
  int64_t first = attribute_int(n, "axis", 1); // behind the last, too; from the end it counts as anywhere
  if (first < -x->rank || first > x->rank)
    return refuse(m, n, "its axis is %lld, of %d axes", (long long)first, x->rank), false;
  axis = (int)(first < 0 ? first + x->rank : first);
  Shape s = {.rank = 2, .at = {1, 1}};
  if (!axis && !needs_extents(m, n, n->in[0])) return false;
  s.free = x->free;
  for (int i = 0; i < x->rank; i++) s.at[i >= axis] *= x->at[i];
  return result_same(m, n, 0, n->in[0], &s);
}

bool import_reshape(Import *m, Node *n) {
  int count, fill = -1;
  const int64_t *to;
  if (!given(m, n, 2) || !constant_ints(m, n, 1, "shape", &count, &to)) return false;
  Value *x = n->in[0];
  Shape s = {.rank = count};
  int64_t all = elements(&x->shape), others = 1;
  if (count > MAX_RANK) return refuse(m, n, "it makes %d axes; up to %d are known", count, MAX_RANK), false;
  bool zero = attribute_int(n, "allowzero", 0) != 0;
  for (int i = 0; i < count; i++) {
    s.at[i] = to[i];
    if (to[i] == 0 && !zero && i < x->shape.rank) s.at[i] = x->shape.at[i];
    if (to[i] == 0 && !zero && i == 0) s.free = x->shape.free;
    if (to[i] == -1 && fill < 0) fill = i, s.at[i] = 1;
    if (s.at[i] < 1 || !mul_ok(others, s.at[i], &others))
      return refuse(m, n, "its shape has the extent %lld", (long long)to[i]), false;
  }
  if (fill >= 0) s.at[fill] = all / others;
  if (x->shape.free && !s.free) {
    if (fill) return needs_extents(m, n, x);
    s.free = true;
  }
  if (elements(&s) != all)
    return refuse(m, n, "it makes %s of %s", typed_shape(m->a, x->type, &s), typed_shape(m->a, x->type, &x->shape)),
           false;
  return result_same(m, n, 0, x, &s);
}

// Axes from an attribute, or, from opset `from`, an input. *count -1: there are none.
static bool axes_of(Import *m, const Node *n, int input, int from, int rank, int more, int *count, int *axes) {
  const int64_t *list;
  if (m->opset >= from && input_of(n, input)) {
    if (!constant_ints(m, n, input, "axes", count, &list)) return false;
  } else {
    list = attribute_ints(n, "axes", count);
    if (!list) return *count = -1, true;
  }
  if (*count > MAX_RANK) return refuse(m, n, "it has %d axes", *count), false;
  for (int i = 0; i < *count; i++)
    if (!axis_of(m, n, list[i], rank, more, &axes[i])) return false;
  return true;
}

bool import_squeeze(Import *m, Node *n) {
  int count, axes[MAX_RANK];
  if (!given(m, n, 1)) return false;
  const Shape *x = &n->in[0]->shape;
  if (!axes_of(m, n, 1, 13, x->rank, 0, &count, axes)) return false;
  bool drop[MAX_RANK] = {0};
  for (int i = 0; i < count; i++) drop[axes[i]] = true;
  for (int i = 0; i < x->rank && count < 0; i++) drop[i] = x->at[i] == 1;
  if (drop[0] && x->rank && !needs_extents(m, n, n->in[0])) return false;
  Shape s = {.free = x->free};
  for (int i = 0; i < x->rank; i++) {
    if (drop[i] && x->at[i] != 1)
      return refuse(m, n, "axis %d has the extent %lld, and not 1", i, (long long)x->at[i]), false;
    if (!drop[i]) s.at[s.rank++] = x->at[i];
  }
  return result_same(m, n, 0, n->in[0], &s);
}

bool import_unsqueeze(Import *m, Node *n) {
  int count, axes[MAX_RANK], from = 0;
  if (!given(m, n, 1)) return false;
  const Value *axes_input = input_of(n, 1);
  int more = m->opset >= 13 && axes_input ? (int)elements(&axes_input->shape) : 0;
  if (!more) attribute_ints(n, "axes", &more);
  const Shape *x = &n->in[0]->shape;
  if (x->rank + more > MAX_RANK) return refuse(m, n, "it makes more than %d axes", MAX_RANK), false;
  if (!axes_of(m, n, 1, 13, x->rank, more, &count, axes)) return false;
  bool one[MAX_RANK] = {0};
  for (int i = 0; i < count; i++) {
    if (one[axes[i]]) return refuse(m, n, "it has axis %d twice", axes[i]), false;
    one[axes[i]] = true;
  }
  if (one[0] && !needs_extents(m, n, n->in[0])) return false;
  Shape s = {.rank = x->rank + more, .free = x->free};
  for (int i = 0; i < s.rank; i++) s.at[i] = one[i] ? 1 : x->at[from++];
  return result_same(m, n, 0, n->in[0], &s);
}

bool import_transpose(Import *m, Node *n) {
  int count, order[MAX_RANK], where[MAX_RANK];
  if (!given(m, n, 1)) return false;
  Value *x = n->in[0];
  int rank = x->shape.rank;
  const int64_t *perm = attribute_ints(n, "perm", &count);
  if (perm && count != rank) return refuse(m, n, "its perm has %d numbers, and its data %d axes", count, rank), false;
  for (int i = 0; i < rank; i++) where[i] = -1;
  bool same = true;
  for (int i = 0; i < rank; i++) {
    int64_t at = perm ? perm[i] : rank - 1 - i;
    if (at < 0 || at >= rank || where[at] >= 0) return refuse(m, n, "its perm is no order of its axes"), false;
    order[i] = (int)at;
    where[at] = i;
    same &= at == i;
  }
  if (same) return result_same(m, n, 0, x, &x->shape);
  Shape s = {.rank = rank};
  if (x->data) {
    const void *data = permuted(m, x, order, &s);
    return result_constant(m, n, 0, x->type, &s, data);
  }
  if (order[0] && !needs_extents(m, n, x)) return false;
  s.free = x->shape.free;
  Text t = {.arena = m->a};
  for (int i = 0; i < rank; i++) s.at[i] = x->shape.at[order[i]];
  for (int i = 0; i < x->width; i++) text_add(&t, "%s%s", i ? ", " : "", axis_name(&s, where[i]));
  return result(m, n, 0, x->type, &s, AXES, element_of(m, x, t.data));
}

// ---- constants and shapes ------------------------------------------------------------------------------------------

static bool constant_list(Import *m, Node *n, const Onnx__AttributeProto *a) {
  bool floats = !strcmp(a->name, "value_floats"),
       one = !strcmp(a->name, "value_int") || !strcmp(a->name, "value_float");
  bool is_float = floats || !strcmp(a->name, "value_float");
  Shape s = {.rank = !one, .at = {(int64_t)(floats ? a->n_floats : a->n_ints)}};
  const void *data = one ? (is_float ? (void *)&a->f : (void *)&a->i) : floats ? (void *)a->floats : (void *)a->ints;
  return result_constant(m, n, 0, is_float ? DT_F32 : DT_I64, &s, data ? data : "");
}

bool import_constant(Import *m, Node *n) {
  if (n->proto->n_attribute != 1) return refuse(m, n, "it has not one value"), false;
  const Onnx__AttributeProto *a = n->proto->attribute[0];
  if (strcmp(a->name, "value")) return constant_list(m, n, a);
  Value v = {.name = "value"};
  if (!a->t) return refuse(m, n, "it has no value"), false;
  if (!tensor_read(m, a->t, n->loc, "its value", &v)) return false;
  return result_constant(m, n, 0, v.type, &v.shape, v.data);
}

bool import_shape(Import *m, Node *n) {
  if (!given(m, n, 1) || !needs_extents(m, n, n->in[0])) return false;
  const Shape *x = &n->in[0]->shape;
  int64_t start = attribute_int(n, "start", 0), end = attribute_int(n, "end", x->rank);
  if (start < 0) start += x->rank;
  if (end < 0) end += x->rank;
  start = start < 0 ? 0 : start > x->rank ? x->rank : start;
  end = end < start ? start : end > x->rank ? x->rank : end;
  Shape s = {.rank = 1, .at = {end - start}};
  return result_constant(m, n, 0, DT_I64, &s,
                         arena_copy(m->a, x->at + start, sizeof(int64_t) * (size_t)(end - start + 1)));
}

bool import_size(Import *m, Node *n) {
  if (!given(m, n, 1) || !needs_extents(m, n, n->in[0])) return false;
  int64_t *size = NEW(m->a, int64_t);
  *size = elements(&n->in[0]->shape);
  return result_constant(m, n, 0, DT_I64, &(Shape){0}, size);
}

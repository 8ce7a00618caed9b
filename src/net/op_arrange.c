// SPDX-License-Identifier: Apache-2.0
// What puts parts of tensors beside each other, or takes them out.
#include "net/internal.h"

#include <string.h>

static bool given(Import *m, const Node *n, int count) {
  for (int i = 0; i < count; i++)
    if (!input_of(n, i)) return refuse(m, n, "its input %d is left out", i), false;
  return true;
}

static bool one_axis(Import *m, const Node *n, int64_t axis, int rank, int *out) {
  if (axis < -rank || axis >= rank) return refuse(m, n, "its axis is %lld, of %d axes", (long long)axis, rank), false;
  return *out = (int)(axis < 0 ? axis + rank : axis), true;
}

// The element of x at `index` along the axis, and at the result's own places along all others.
static const char *element_along(Import *m, Value *x, const Shape *s, int axis, const char *index) {
  Text t = {.arena = m->a};
  for (int i = 0; i < x->width; i++) text_add(&t, "%s%s", i ? ", " : "", i == axis ? index : axis_name(s, i));
  return element_of(m, x, t.len ? t.data : "");
}

bool import_concat(Import *m, Node *n) {
  int axis;
  if (!given(m, n, 1) || !given(m, n, n->nin)) return false;
  Shape s = n->in[0]->shape;
  if (!one_axis(m, n, attribute_int(n, "axis", 1), s.rank, &axis)) return false;
  if (n->nin == 1) return result_same(m, n, 0, n->in[0], &s);
  if (!axis && !needs_extents(m, n, n->in[0])) return false;
  for (int i = 1; i < n->nin; i++) {
    const Shape *x = &n->in[i]->shape;
    bool fits = x->rank == s.rank && x->free == s.free && n->in[i]->type == n->in[0]->type;
    for (int k = 0; k < s.rank && fits; k++) fits = k == axis || x->at[k] == s.at[k];
    if (!fits) {
      const char *a = typed_shape(m->a, n->in[0]->type, &n->in[0]->shape);
      return refuse(m, n, "%s and %s cannot be joined", a, typed_shape(m->a, n->in[i]->type, x)), false;
    }
    s.at[axis] += x->at[axis];
  }
  Text t = {.arena = m->a};
  int64_t end = 0;
  for (int i = 0; i < n->nin; i++) { // a chain of choices by the place along the axis
    int64_t begin = end;
    end += n->in[i]->shape.at[axis];
    const char *name = axis_name(&s, axis);
    const char *index = begin ? arena_printf(m->a, "%s - %lld", name, (long long)begin) : name;
    const char *element = element_along(m, n->in[i], &s, axis, index);
    if (i + 1 < n->nin) text_add(&t, "%s < %lld ? %s : ", name, (long long)end, element);
    else text_add(&t, "%s", element);
  }
  return result(m, n, 0, n->in[0]->type, &s, AXES, t.data);
}

// A part of x: from `start` on, by `step`.
static const char *strided(Import *m, const char *name, int64_t start, int64_t step) {
  Text t = {.arena = m->a};
  if (step == 1) text_add(&t, "%s", name);
  else text_add(&t, "%s * %lld", name, (long long)step);
  if (start) text_add(&t, " %c %lld", start < 0 ? '-' : '+', (long long)(start < 0 ? -start : start));
  return t.data;
}

// The numbers of Slice: attributes before opset 10, then inputs. *list NULL: left out.
static bool slice_numbers(Import *m, const Node *n, int input, const char *name, int *count, const int64_t **list) {
  *list = NULL;
  if (m->opset < 10) return *list = attribute_ints(n, name, count), true;
  return !input_of(n, input) || constant_ints(m, n, input, name, count, list);
}

bool import_slice(Import *m, Node *n) {
  const int64_t *starts, *ends, *axes, *steps;
  int nstarts = 0, nends = 0, naxes = 0, nsteps = 0;
  if (!given(m, n, 1)) return false;
  if (!slice_numbers(m, n, 1, "starts", &nstarts, &starts) || !slice_numbers(m, n, 2, "ends", &nends, &ends))
    return false;
  if (!slice_numbers(m, n, 3, "axes", &naxes, &axes) || !slice_numbers(m, n, 4, "steps", &nsteps, &steps)) return false;
  Value *x = n->in[0];
  Shape s = x->shape;
  int64_t start[MAX_RANK] = {0}, step[MAX_RANK];
  if (!starts || !ends || nstarts != nends || (axes && naxes != nstarts) || (steps && nsteps != nstarts) ||
      nstarts > s.rank)
    return refuse(m, n, "its starts, ends, axes and steps do not go together"), false;
  for (int i = 0; i < s.rank; i++) step[i] = 1;
  for (int k = 0; k < nstarts; k++) {
    int i;
    if (!one_axis(m, n, axes ? axes[k] : k, s.rank, &i)) return false;
    int64_t have = x->shape.at[i], by = steps ? steps[k] : 1, a = starts[k], b = ends[k];
    if (!by || by < -(1 << 30) || by > 1 << 30) return refuse(m, n, "its step is %lld", (long long)by), false;
    if (a < 0) a += have;
    if (b < 0) b = b < -have ? -1 : b + have;
    int64_t least = by > 0 ? 0 : -1, most = by > 0 ? have : have - 1;
    a = a < (by > 0 ? 0 : -1) ? least : a > most ? most : a;
    b = b < least ? least : b > most ? most : b;
    int64_t count = by > 0 ? (b - a + by - 1) / by : (a - b - by - 1) / -by;
    if (count < 1) return refuse(m, n, "nothing is left along its axis %d", i), false;
    if (!i && (a || by != 1 || count != have) && !needs_extents(m, n, x)) return false;
    s.at[i] = count, start[i] = a, step[i] = by;
  }
  Text t = {.arena = m->a};
  for (int i = 0; i < x->width; i++)
    text_add(&t, "%s%s", i ? ", " : "", strided(m, axis_name(&s, i), start[i], step[i]));
  return result(m, n, 0, x->type, &s, AXES, element_of(m, x, t.len ? t.data : ""));
}

bool import_split(Import *m, Node *n) {
  int axis, count = 0;
  const int64_t *parts = NULL;
  if (!given(m, n, 1) || !one_axis(m, n, attribute_int(n, "axis", 0), n->in[0]->shape.rank, &axis)) return false;
  Value *x = n->in[0];
  if (!axis && !needs_extents(m, n, x)) return false;
  if (m->opset < 13) parts = attribute_ints(n, "split", &count);
  else if (input_of(n, 1) && !constant_ints(m, n, 1, "split", &count, &parts)) return false;
  int64_t have = x->shape.at[axis], each = (have + n->nout - 1) / n->nout, begin = 0;
  if (parts && count != n->nout) return refuse(m, n, "it has %d outputs, and %d sizes", n->nout, count), false;
  for (int i = 0; i < n->nout; i++) {
    Shape s = x->shape;
    s.at[axis] = parts ? parts[i] : begin + each > have ? have - begin : each;
    if (s.at[axis] < 1 || begin + s.at[axis] > have)
      return refuse(m, n, "its parts do not make %lld along axis %d", (long long)have, axis), false;
    const char *text = element_along(m, x, &s, axis, strided(m, axis_name(&s, axis), begin, 1));
    begin += s.at[axis];
    if (n->out[i] && !result(m, n, i, x->type, &s, AXES, text)) return false;
  }
  if (begin != have) return refuse(m, n, "its parts do not make %lld along axis %d", (long long)have, axis), false;
  return true;
}

// What stands outside of the data: 0, or the constant that is given.
static const char *pad_value(Import *m, const Node *n, const Value *x) {
  const Value *v = input_of(n, 2);
  if (m->opset < 11) {
    float *f = NEW(m->a, float);
    *f = (float)attribute_float(n, "value", 0);
    return constant_text(m, &(Value){.type = DT_F32, .data = f}, 0);
  }
  if (v && (!v->data || elements(&v->shape) != 1 || v->type != x->type)) return NULL;
  return v ? constant_text(m, v, 0) : dtype_is_float(x->type) ? "0.0" : x->type == DT_BOOL ? "false" : "0";
}

bool import_pad(Import *m, Node *n) {
  int count = 0;
  const int64_t *pads = NULL;
  if (!given(m, n, 1)) return false;
  Value *x = n->in[0];
  Shape s = x->shape;
  if (m->opset < 11) pads = attribute_ints(n, "pads", &count);
  else if (!given(m, n, 2) || !constant_ints(m, n, 1, "pads", &count, &pads)) return false;
  if (input_of(n, 3)) return refuse(m, n, "its axes are given, which is not known"), false;
  const char *mode = attribute_text(m, n, "mode", "constant"), *value = pad_value(m, n, x);
  bool edge = !strcmp(mode, "edge"), fills = !strcmp(mode, "constant");
  if (!edge && !fills) return refuse(m, n, "its mode is %s", mode), false;
  if (fills && !value) return refuse(m, n, "what it fills with is no constant of its type"), false;
  if (!pads || count != 2 * s.rank) return refuse(m, n, "it has %d pads, for %d axes", count, s.rank), false;
  Text index = {.arena = m->a}, inside = {.arena = m->a};
  for (int i = 0; i < s.rank; i++) {
    int64_t before = pads[i], behind = pads[s.rank + i], have = s.at[i];
    if (before < -have || behind < -have || before > 1 << 30 || behind > 1 << 30 || have + before + behind < 1)
      return refuse(m, n, "its pads along axis %d are %lld and %lld", i, (long long)before, (long long)behind), false;
    if (!i && (before || behind) && !needs_extents(m, n, x)) return false;
    s.at[i] += before + behind;
    const char *name = axis_name(&s, i), *at = strided(m, name, -before, 1);
    if (before > 0 && fills) text_add(&inside, "%s%s >= %lld", inside.len ? " && " : "", name, (long long)before);
    if (behind > 0 && fills)
      text_add(&inside, "%s%s < %lld", inside.len ? " && " : "", name, (long long)(have + before));
    if (edge && (before > 0 || behind > 0)) at = arena_printf(m->a, "clamp(%s, 0, %lld)", at, (long long)have - 1);
    if (i < x->width) text_add(&index, "%s%s", i ? ", " : "", at);
  }
  const char *element = element_of(m, x, index.len ? index.data : "");
  const char *text = inside.len ? arena_printf(m->a, "%s ? %s : %s", inside.data, element, value) : element;
  return result(m, n, 0, x->type, &s, AXES, text);
}

// Each element of the indices takes the place of the axis.
bool import_gather(Import *m, Node *n) {
  int axis;
  if (!given(m, n, 2) || !one_axis(m, n, attribute_int(n, "axis", 0), n->in[0]->shape.rank, &axis)) return false;
  Value *x = n->in[0], *at = n->in[1];
  if (!dtype_is_int(at->type)) return refuse(m, n, "its indices are %s", dtype_name(at->type)), false;
  if ((!axis && !needs_extents(m, n, x)) || (at->shape.rank && !needs_extents(m, n, at))) return false;
  Shape s = {.free = axis && x->shape.free};
  if (x->shape.rank - 1 + at->shape.rank > MAX_RANK) return refuse(m, n, "it makes more than %d axes", MAX_RANK), false;
  for (int i = 0; i < axis; i++) s.at[s.rank++] = x->shape.at[i];
  for (int i = 0; i < at->shape.rank; i++) s.at[s.rank++] = at->shape.at[i];
  for (int i = axis + 1; i < x->shape.rank; i++) s.at[s.rank++] = x->shape.at[i];
  Text where = {.arena = m->a}, t = {.arena = m->a};
  for (int i = 0; i < at->width; i++) text_add(&where, "%s%s", i ? ", " : "", axis_name(&s, axis + i));
  const char *number = element_of(m, at, where.len ? where.data : "");
  long long have = (long long)x->shape.at[axis]; // negative numbers count from the end; ONNX has no others outside
  const char *index = arena_printf(m->a, "clamp(int64(%s) < 0 ? int64(%s) + %lld : int64(%s), 0, %lld)", number, number,
                                   have, number, have - 1);
  for (int i = 0; i < x->width; i++) {
    const char *name = i == axis ? index : axis_name(&s, i < axis ? i : i - 1 + at->shape.rank);
    text_add(&t, "%s%s", i ? ", " : "", name);
  }
  return result(m, n, 0, x->type, &s, AXES, element_of(m, x, t.len ? t.data : ""));
}

bool import_expand(Import *m, Node *n) {
  int count;
  const int64_t *to;
  if (!given(m, n, 2) || !constant_ints(m, n, 1, "shape", &count, &to)) return false;
  Value *x = n->in[0];
  int rank = count > x->shape.rank ? count : x->shape.rank;
  if (rank > MAX_RANK) return refuse(m, n, "it makes more than %d axes", MAX_RANK), false;
  Shape s = {.rank = rank, .free = x->shape.free && rank == x->shape.rank};
  if (x->shape.free && !s.free) return needs_extents(m, n, x);
  for (int i = 0; i < rank; i++) {
    int xi = i - (rank - x->shape.rank), ti = i - (rank - count);
    int64_t have = xi < 0 ? 1 : x->shape.at[xi], want = ti < 0 ? 1 : to[ti];
    if (want < 1 || (have != 1 && want != 1 && have != want))
      return refuse(m, n, "an extent of %lld becomes %lld", (long long)have, (long long)want), false;
    if (!i && s.free && want != 1 && !needs_extents(m, n, x)) return false;
    s.at[i] = have == 1 ? want : have;
  }
  return result(m, n, 0, x->type, &s, AXES, broadcast_element(m, x, &s));
}

bool import_tile(Import *m, Node *n) {
  int count;
  const int64_t *by;
  if (!given(m, n, 2) || !constant_ints(m, n, 1, "repeats", &count, &by)) return false;
  Value *x = n->in[0];
  Shape s = x->shape;
  if (count != s.rank) return refuse(m, n, "it has %d repeats, for %d axes", count, s.rank), false;
  Text t = {.arena = m->a};
  for (int i = 0; i < s.rank; i++) {
    if (by[i] < 1 || !mul_ok(s.at[i], by[i], &s.at[i]))
      return refuse(m, n, "it repeats %lld times", (long long)by[i]), false;
    if (!i && by[i] != 1 && !needs_extents(m, n, x)) return false;
    const char *name = axis_name(&s, i);
    if (i < x->width)
      text_add(&t, by[i] == 1 ? "%s%s" : "%s%s %% %lld", i ? ", " : "", name, (long long)x->shape.at[i]);
  }
  if (!shape_check(m, n, &s)) return false;
  return result(m, n, 0, x->type, &s, AXES, element_of(m, x, t.len ? t.data : ""));
}

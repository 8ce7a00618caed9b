// SPDX-License-Identifier: Apache-2.0
// Reductions along axes.
#include "net/internal.h"

#include <string.h>

// The axes: an attribute, or, from the opset that the operator says, an input; none: all of them.
static bool reduced_axes(Import *m, const Node *n, int rank, bool *out) {
  int count = 0;
  const int64_t *list = attribute_ints(n, "axes", &count);
  if (!list && input_of(n, 1) && !constant_ints(m, n, 1, "axes", &count, &list)) return false;
  bool none = !list || !count;
  if (none && attribute_int(n, "noop_with_empty_axes", 0)) return true;
  for (int i = 0; i < rank && none; i++) out[i] = true;
  for (int i = 0; i < count; i++) {
    if (list[i] < -rank || list[i] >= rank)
      return refuse(m, n, "its axis is %lld, of %d axes", (long long)list[i], rank), false;
    out[list[i] < 0 ? list[i] + rank : list[i]] = true;
  }
  return true;
}

// The row's text has {0} for the element, and %s for the reduction's axes; #: how many elements are reduced.
static const char *reduction_text(Import *m, const Node *n, const char *axes, const char *element, int64_t count) {
  Text t = {.arena = m->a};
  for (const char *p = n->op->text; *p; p++) {
    if (!strncmp(p, "%s", 2)) text_add(&t, "%s", axes), p++;
    else if (!strncmp(p, "{0}", 3)) text_add(&t, "%s", element), p += 2;
    else if (*p == '#') text_add(&t, "%lld", (long long)count);
    else text_add_bytes(&t, p, 1);
  }
  return t.data;
}

bool import_reduce(Import *m, Node *n) {
  bool reduced[MAX_RANK] = {0};
  if (!input_of(n, 0)) return refuse(m, n, "its input 0 is left out"), false;
  Value *x = n->in[0];
  const Shape *from = &x->shape;
  if (!reduced_axes(m, n, from->rank, reduced)) return false;
  if (from->rank && reduced[0] && !needs_extents(m, n, x)) return false;
  if (strstr(n->op->text, ".0") && !dtype_is_float(x->type))
    return refuse(m, n, "of %s it is not known", dtype_name(x->type)), false;
  bool keep = attribute_int(n, "keepdims", 1) != 0, any = false;
  Shape s = {.free = from->free && !(from->rank && reduced[0])};
  int place[MAX_RANK];
  int64_t count = 1;
  for (int i = 0; i < from->rank; i++) {
    place[i] = s.rank;
    any |= reduced[i];
    if (reduced[i]) count *= from->at[i];
    if (!reduced[i] || keep) s.at[s.rank++] = reduced[i] ? 1 : from->at[i];
  }
  if (!any) return result_same(m, n, 0, x, from);
  Text axes = {.arena = m->a}, index = {.arena = m->a};
  for (int i = 0; i < from->rank; i++) {
    if (reduced[i]) text_add(&axes, "%sr%d: %lld", axes.len ? ", " : "", i, (long long)from->at[i]);
    if (i >= x->width) continue;
    const char *name = reduced[i] ? arena_printf(m->a, "r%d", i) : axis_name(&s, place[i]);
    text_add(&index, "%s%s", i ? ", " : "", name);
  }
  const char *element = element_of(m, x, index.len ? index.data : "");
  return result(m, n, 0, x->type, &s, AXES, reduction_text(m, n, axes.data, element, count));
}

// SPDX-License-Identifier: Apache-2.0
// Convolutions, products, pools, normalisation: calls of lib/nn.te, an image being [n, c, y, x].
#include "net/internal.h"

#include <string.h>

enum { MOST_SPATIAL = 3 };

// The windows of a convolution or pool: lists an axis of the image, pads above and left, then below and right.
typedef struct Windows {
  int axes;
  int64_t size[MOST_SPATIAL], stride[MOST_SPATIAL], dilation[MOST_SPATIAL], pads[2 * MOST_SPATIAL];
  bool ceil_mode;
} Windows;

static bool window_list(Import *m, const Node *n, const char *name, int count, int64_t least, int64_t *out) {
  int have;
  const int64_t *list = attribute_ints(n, name, &have);
  if (!have) return true;
  if (have != count) return refuse(m, n, "its `%s` has %d numbers, and not %d", name, have, count), false;
  for (int i = 0; i < count; i++) {
    if (list[i] < least || list[i] > 1 << 24)
      return refuse(m, n, "its `%s` has the number %lld", name, (long long)list[i]), false;
    out[i] = list[i];
  }
  return true;
}

// What auto_pad makes the pads; `to` has the extents of the result then.
static void same_pads(Windows *w, const Shape *x, bool lower) {
  for (int i = 0; i < w->axes; i++) {
    int64_t in = x->at[i + 2], out = (in + w->stride[i] - 1) / w->stride[i];
    int64_t all = (out - 1) * w->stride[i] + (w->size[i] - 1) * w->dilation[i] + 1 - in;
    all = all < 0 ? 0 : all;
    w->pads[i] = lower ? (all + 1) / 2 : all / 2;
    w->pads[i + w->axes] = all - w->pads[i];
  }
}

// `kernel`: the extents of the weights, or NULL: the attribute tells.
static bool windows_read(Import *m, const Node *n, const Shape *x, const int64_t *kernel, Windows *w) {
  *w = (Windows){.axes = x->rank - 2};
  if (w->axes < 1 || w->axes > MOST_SPATIAL)
    return refuse(m, n, "its data has %d axes, and not 3 to 5", x->rank), false;
  for (int i = 0; i < w->axes; i++) w->size[i] = kernel ? kernel[i] : 0, w->stride[i] = w->dilation[i] = 1;
  if (!window_list(m, n, "kernel_shape", w->axes, 1, w->size) || !window_list(m, n, "strides", w->axes, 1, w->stride) ||
      !window_list(m, n, "dilations", w->axes, 1, w->dilation) || !window_list(m, n, "pads", 2 * w->axes, 0, w->pads))
    return false;
  for (int i = 0; i < w->axes; i++) {
    if (kernel && w->size[i] != kernel[i]) return refuse(m, n, "its kernel_shape is not that of its weights"), false;
    if (w->size[i] < 1) return refuse(m, n, "it has no kernel_shape"), false;
  }
  w->ceil_mode = attribute_int(n, "ceil_mode", 0) != 0;
  const char *how = attribute_text(m, n, "auto_pad", "NOTSET");
  if (!strcmp(how, "SAME_UPPER") || !strcmp(how, "SAME_LOWER")) same_pads(w, x, !strcmp(how, "SAME_LOWER"));
  else if (!strcmp(how, "VALID")) memset(w->pads, 0, sizeof w->pads);
  else if (strcmp(how, "NOTSET") && *how) return refuse(m, n, "its auto_pad is `%s`", how), false;
  return true;
}

// The extent of the result along an axis; less than 1: there is no window.
static int64_t windows_extent(const Windows *w, int i, int64_t in) {
  int64_t room = in + w->pads[i] + w->pads[i + w->axes] - (w->size[i] - 1) * w->dilation[i] - 1;
  if (room < 0) return 0;
  int64_t out = (room + (w->ceil_mode ? w->stride[i] - 1 : 0)) / w->stride[i] + 1;
  if (w->ceil_mode && (out - 1) * w->stride[i] >= in + w->pads[i]) out--; // it would begin behind the end
  return out;
}

static void add_list(Text *t, const char *one, const char *many, const int64_t *v, int n, int64_t otherwise) {
  bool same = true;
  for (int i = 1; i < n; i++) same &= v[i] == v[0];
  if (same && v[0] == otherwise) return;
  if (same) {
    text_add(t, ", %s = %lld", one, (long long)v[0]);
    return;
  }
  text_add(t, ", %s = [", many);
  for (int i = 0; i < n; i++) text_add(t, "%s%lld", i ? ", " : "", (long long)v[i]);
  text_add(t, "]");
}

static const char *windows_text(Import *m, const Windows *w, bool pool) {
  Text t = {.arena = m->a};
  text_add(&t, "%s", "");
  if (pool) add_list(&t, "size", "sizes", w->size, w->axes, 0);
  bool strides = pool && w->stride[0] != w->size[0]; // a pool's stride is its size where nothing is said
  for (int i = 1; i < w->axes && pool; i++) strides |= w->stride[i] != w->size[i] || w->size[i] != w->size[0];
  if (!pool || strides) add_list(&t, "stride", "strides", w->stride, w->axes, pool ? 0 : 1);
  add_list(&t, "pad", "pads", w->pads, 2 * w->axes, 0);
  add_list(&t, "dilation", "dilations", w->dilation, w->axes, 1);
  if (w->ceil_mode) text_add(&t, ", ceil_mode = true");
  return t.data ? t.data : "";
}

static const char *of_axes(Import *m, const char *name, int axes) {
  return axes == 2 ? arena_printf(m->a, "%s2d", name) : arena_printf(m->a, "%s%dd", name, axes);
}

static bool has_inputs(Import *m, const Node *n, int count) {
  for (int i = 0; i < count; i++)
    if (!input_of(n, i)) return refuse(m, n, "its input %d is left out", i), false;
  return true;
}

static bool result_biased(Import *m, Node *n, int i, DType t, const Shape *s, const char *call, Value *b) {
  if (b && (b->shape.rank != 1 || b->shape.at[0] != s->at[1] || b->type != t))
    return refuse(m, n, "its bias is %s", typed_shape(m->a, b->type, &b->shape)), false;
  return result(m, n, i, t, s, CALL, b ? arena_printf(m->a, "bias_add(%s, %s)", call, operand(m, b)) : call);
}

// A convolution's call and the shape of what it gives; NULL after a report.
static const char *conv_call(Import *m, Node *n, Value *x, Value *w, const char *data, Shape *s) {
  int64_t groups = attribute_int(n, "group", 1), channels = x->shape.rank > 1 ? x->shape.at[1] : 0;
  Windows win;
  if (w->shape.rank != x->shape.rank)
    return refuse(m, n, "its weights have %d axes, its data %d", w->shape.rank, x->shape.rank), NULL;
  if (!windows_read(m, n, &x->shape, w->shape.at + 2, &win)) return NULL;
  int64_t filters = w->shape.at[0];
  if (groups < 1 || channels % groups || filters % groups || w->shape.at[1] != channels / groups)
    return refuse(m, n, "its data has %lld channels, its weights %lld, in %lld groups", (long long)channels,
                  (long long)w->shape.at[1], (long long)groups),
           NULL;
  *s = (Shape){.rank = x->shape.rank, .free = x->shape.free, .at = {x->shape.at[0], filters}};
  for (int i = 0; i < win.axes; i++) s->at[i + 2] = windows_extent(&win, i, x->shape.at[i + 2]);
  if (!shape_check(m, n, s)) return NULL;
  if (win.axes == 2 && groups == channels && groups > 1 && w->data) {
    Shape flat = {.rank = 3, .at = {filters, w->shape.at[2], w->shape.at[3]}};
    return arena_printf(m->a, "depthwise(%s, %s%s)", data, named(m, derived_once(m, w, &flat)),
                        windows_text(m, &win, false));
  }
  const char *group = groups == 1 ? "" : arena_printf(m->a, ", groups = %lld", (long long)groups);
  return arena_printf(m->a, "%s(%s, %s%s%s)", of_axes(m, "conv", win.axes), data, operand(m, w),
                      windows_text(m, &win, false), group);
}

bool import_conv(Import *m, Node *n) {
  Shape s;
  if (!has_inputs(m, n, 2)) return false;
  if (n->in[0]->type != n->in[1]->type) return refuse(m, n, "its data and weights are of different types"), false;
  const char *call = conv_call(m, n, n->in[0], n->in[1], operand(m, n->in[0]), &s);
  return call && result_biased(m, n, 0, n->in[0]->type, &s, call, input_of(n, 2));
}

// A pool along one or three axes has no def in lib/nn.te: a reduction over the window, r0, r1 ...
static bool pool_written_out(Import *m, Node *n, const Windows *w, const Shape *s) {
  Value *x = n->in[0];
  Text index = {.arena = m->a}, axes = {.arena = m->a}, inside = {.arena = m->a};
  int64_t count = 1;
  bool padded = w->ceil_mode;
  for (int i = 0; i < 2 * w->axes; i++) padded |= w->pads[i] > 0;
  bool mean = strcmp(n->op->text, "max_pool") != 0, all = attribute_int(n, "count_include_pad", 0) != 0;
  if (!dtype_is_float(x->type) || x->width < x->shape.rank || (mean && padded && (!all || w->ceil_mode)))
    return refuse(m, n, "with windows of %d axes, of %s with these pads, it is not known", w->axes,
                  dtype_name(x->type)),
           false;
  text_add(&index, "%s, %s", axis_name(s, 0), axis_name(s, 1));
  for (int i = 0; i < w->axes; i++) {
    const char *at = arena_printf(m->a, "%s * %lld + r%d * %lld - %lld", axis_name(s, i + 2), (long long)w->stride[i],
                                  i, (long long)w->dilation[i], (long long)w->pads[i]);
    text_add(&index, ", %s", at);
    text_add(&axes, "%sr%d: %lld", i ? ", " : "", i, (long long)w->size[i]);
    text_add(&inside, "%s%s >= 0 && %s < %lld", i ? " && " : "", at, at, (long long)x->shape.at[i + 2]);
    count *= w->size[i];
  }
  const char *element = element_of(m, x, index.data);
  if (padded) element = arena_printf(m->a, "%s ? %s : %s", inside.data, element, mean ? "0.0" : "-inf");
  const char *text = mean ? arena_printf(m->a, "sum[%s](%s) / %lld.0", axes.data, element, (long long)count)
                          : arena_printf(m->a, "max[%s](%s)", axes.data, element);
  return result(m, n, 0, x->type, s, AXES, text);
}

bool import_pool(Import *m, Node *n) {
  Windows w;
  if (!has_inputs(m, n, 1) || !windows_read(m, n, &n->in[0]->shape, NULL, &w)) return false;
  const Value *x = n->in[0];
  Shape s = x->shape;
  for (int i = 0; i < w.axes; i++) {
    s.at[i + 2] = windows_extent(&w, i, x->shape.at[i + 2]);
    bool behind =
        w.pads[i] >= (w.size[i] - 1) * w.dilation[i] + 1 || w.pads[i + w.axes] >= (w.size[i] - 1) * w.dilation[i] + 1;
    if (behind) return refuse(m, n, "its pads are as large as its windows"), false;
  }
  if (attribute_int(n, "storage_order", 0)) return refuse(m, n, "its storage_order is not 0"), false;
  if (n->nout > 1 && n->out[1]) return refuse(m, n, "its second output, `Indices`, is not known"), false;
  const char *more = attribute_int(n, "count_include_pad", 0) ? ", count_include_pad = true" : "";
  if (w.axes != 2) return pool_written_out(m, n, &w, &s);
  const char *text =
      arena_printf(m->a, "%s(%s%s%s)", n->op->text, operand(m, n->in[0]), windows_text(m, &w, true), more);
  return result(m, n, 0, x->type, &s, CALL, text);
}

// [n, c, 1, ..]: lib/nn.te gives [n, c].
bool import_global_pool(Import *m, Node *n) {
  if (!has_inputs(m, n, 1)) return false;
  Value *x = n->in[0];
  if (x->shape.rank < 3) return refuse(m, n, "its data has %d axes", x->shape.rank), false;
  Shape s = x->shape;
  for (int i = 2; i < s.rank; i++) s.at[i] = 1;
  if (x->shape.rank == 4)
    return result_narrow(m, n, 0, x->type, &s, 2, CALL, arena_printf(m->a, "%s(%s)", n->op->text, operand(m, x)));
  return refuse(m, n, "its data has %d axes, and not 4", x->shape.rank), false;
}

bool import_batch_norm(Import *m, Node *n) {
  if (!has_inputs(m, n, 5)) return false;
  Value *x = n->in[0];
  if (attribute_int(n, "training_mode", 0) || (n->nout > 1 && n->out[1]))
    return diag_help(refuse(m, n, "it is in training mode"), "export the model for inference: `model.eval()`"), false;
  for (int i = 1; i < 5; i++)
    if (n->in[i]->shape.rank != 1 || x->shape.rank < 2 || n->in[i]->shape.at[0] != x->shape.at[1] ||
        n->in[i]->type != x->type)
      return refuse(m, n, "its input %d is %s", i, typed_shape(m->a, n->in[i]->type, &n->in[i]->shape)), false;
  float *e = NEW(m->a, float);
  *e = (float)attribute_float(n, "epsilon", 1e-5);
  Value epsilon = {.type = DT_F32, .data = e};
  const char *text =
      arena_printf(m->a, "batch_norm(%s, %s, %s, %s, %s, epsilon = %s)", nest(m, x), operand(m, n->in[1]),
                   operand(m, n->in[2]), operand(m, n->in[3]), operand(m, n->in[4]), constant_text(m, &epsilon, 0));
  return result(m, n, 0, x->type, &x->shape, CALL, text);
}

// ---- products ------------------------------------------------------------------------------------------------------

// A matrix transposed: a constant here, else by a def.
static const char *transposed(Import *m, Value *v) {
  if (!v->data || m->folding) return arena_printf(m->a, "transposed(%s)", operand(m, v));
  Shape s;
  static const int swap[] = {1, 0};
  const void *data = permuted(m, v, swap, &s);
  return named(m, derived(m, v, &s, data));
}

static const char *number(Import *m, double v) {
  float *f = NEW(m->a, float);
  *f = (float)v;
  return constant_text(m, &(Value){.type = DT_F32, .data = f}, 0);
}

static bool gemm_sum(Import *m, Node *n, DType t, const Shape *s, Form form, const char *product, Value *c,
                     double beta) {
  if (c->type != t || c->shape.rank > 2)
    return refuse(m, n, "what it adds is %s", typed_shape(m->a, c->type, &c->shape)), false;
  Value *p = temporary(m, n, t, s, form, product);
  const char *text = arena_printf(m->a, "%s[n, c] + %s", named(m, p), broadcast_element(m, c, s));
  if (beta != 1) text = arena_printf(m->a, "%s * %s", text, number(m, beta));
  return result(m, n, 0, t, s, AXES, text);
}

// alpha * A' * B' + beta * C
bool import_gemm(Import *m, Node *n) {
  if (!has_inputs(m, n, 2)) return false;
  Value *a = n->in[0], *b = n->in[1], *c = input_of(n, 2);
  bool ta = attribute_int(n, "transA", 0) != 0, tb = attribute_int(n, "transB", 0) != 0;
  double alpha = attribute_float(n, "alpha", 1), beta = attribute_float(n, "beta", 1);
  if (a->shape.rank != 2 || b->shape.rank != 2 || a->type != b->type)
    return refuse(m, n, "its operands are no matrices of one type"), false;
  if (ta && !needs_extents(m, n, a)) return false;
  if (!needs_extents(m, n, b)) return false;
  Shape s = {.rank = 2, .free = a->shape.free, .at = {a->shape.at[ta], b->shape.at[!tb]}};
  if (a->shape.at[!ta] != b->shape.at[tb])
    return refuse(m, n, "its operands have %lld and %lld elements to be summed", (long long)a->shape.at[!ta],
                  (long long)b->shape.at[tb]),
           false;
  const char *left = ta ? transposed(m, a) : operand(m, a), *right = tb ? operand(m, b) : transposed(m, b);
  const char *text = arena_printf(m->a, "dense(%s, %s)", left, right);
  Form form = CALL;
  if (alpha != 1) text = arena_printf(m->a, "%s * %s", text, number(m, alpha)), form = WHOLE;
  if (!c || beta == 0) return result(m, n, 0, a->type, &s, form, text);
  bool row = elements(&c->shape) == s.at[1] && c->shape.rank >= 1 && c->shape.at[c->shape.rank - 1] == s.at[1] &&
             !c->shape.free;
  if (beta == 1 && row && c->data) {
    Shape one = {.rank = 1, .at = {s.at[1]}};
    return result(m, n, 0, a->type, &s, CALL,
                  arena_printf(m->a, "bias_add(%s, %s)", text, named(m, derived_once(m, c, &one))));
  }
  return gemm_sum(m, n, a->type, &s, form, text, c, beta);
}

// Along which axes a product of matrices has an operand: `batch` of the result's axes, then its own two.
static const char *matrix_element(Import *m, Value *v, const Shape *s, bool left) {
  Text t = {.arena = m->a};
  int rank = v->shape.rank, ahead = s->rank - rank;
  for (int i = 0; i < rank; i++) {
    bool sum = left ? i == rank - 1 : i == (rank > 1 ? rank - 2 : 0);
    const char *name = sum                                                             ? "k"
                       : v->shape.at[i] == 1 && i + 2 < rank && !(v->shape.free && !i) ? "0"
                                                                                       : axis_name(s, i + ahead);
    text_add(&t, "%s%s", i ? ", " : "", name);
  }
  return element_of(m, v, t.data);
}

// The shape of a product of matrices whose operands have 2 axes at least, with broadcasting before them.
static bool matmul_shape(Import *m, Node *n, const Shape *a, const Shape *b, Shape *s) {
  int rank = a->rank > b->rank ? a->rank : b->rank;
  *s = (Shape){.rank = rank, .free = a->free && a->rank == rank};
  bool fits = a->at[a->rank - 1] == b->at[b->rank - 2];
  for (int i = 0; i < rank - 2; i++) {
    int ai = i - (rank - a->rank), bi = i - (rank - b->rank);
    int64_t x = ai < 0 ? 1 : a->at[ai], y = bi < 0 ? 1 : b->at[bi];
    fits &= x == y || x == 1 || y == 1;
    s->at[i] = x == 1 ? y : x;
  }
  s->at[rank - 2] = a->at[a->rank - 2];
  s->at[rank - 1] = b->at[b->rank - 1];
  const char *left = typed_shape(m->a, DT_F32, a), *right = typed_shape(m->a, DT_F32, b);
  return fits || (refuse(m, n, "the matrices %s and %s do not go together", left + 7, right + 7), false);
}

static bool batch_same(const Shape *a, const Shape *b) {
  if (a->rank != b->rank || a->free != b->free) return false;
  return !memcmp(a->at, b->at, (size_t)(a->rank - 2) * sizeof *a->at);
}

// One of a vector: as a row, or as a column.
static Value *as_matrix(Import *m, Node *n, Value *v, bool left) {
  if (v->shape.rank != 1) return v;
  Shape s = {.rank = 2, .at = {left ? 1 : v->shape.at[0], left ? v->shape.at[0] : 1}};
  if (v->data) return derived(m, v, &s, v->data);
  return temporary(m, n, v->type, &s, AXES, arena_printf(m->a, "%s[%s]", named(m, v), left ? "c" : "n"));
}

static bool matmul_of(Import *m, Node *n, Value *a, Value *b, DType t) {
  Shape s;
  if (a->shape.rank < 1 || b->shape.rank < 1 || a->shape.rank > 7 || b->shape.rank > 7 || a->type != b->type)
    return refuse(m, n, "its operands are no matrices of one type"), false;
  if ((a->shape.rank == 1 || b->shape.free || b->shape.rank > a->shape.rank) &&
      (!needs_extents(m, n, a) || !needs_extents(m, n, b)))
    return false;
  Value *x = as_matrix(m, n, a, true), *y = as_matrix(m, n, b, false);
  if (!matmul_shape(m, n, &x->shape, &y->shape, &s)) return false;
  Shape out = s;
  bool row = a->shape.rank == 1, column = b->shape.rank == 1;
  const char *text;
  Form form = CALL;
  if (y->data && y->shape.rank == 2 && !m->folding && a->shape.rank > 1)
    text = arena_printf(m->a, "dense(%s, %s)", operand(m, x), transposed(m, y));
  else if (batch_same(&x->shape, &y->shape)) text = arena_printf(m->a, "matmul(%s, %s)", operand(m, x), operand(m, y));
  else {
    form = AXES;
    text = arena_printf(m->a, "sum[k: %lld](wide(%s) * wide(%s))", (long long)x->shape.at[x->shape.rank - 1],
                        matrix_element(m, x, &s, true), matrix_element(m, y, &s, false));
  }
  if (!row && !column) return result(m, n, 0, t, &s, form, text);
  Value *p = temporary(m, n, t, &s, form, text);
  out.rank = 0;
  for (int i = 0; i < s.rank; i++)
    if (!(row && i == s.rank - 2) && !(column && i == s.rank - 1)) out.at[out.rank++] = s.at[i];
  return result_same(m, n, 0, p, &out);
}

bool import_matmul(Import *m, Node *n) {
  if (!has_inputs(m, n, 2)) return false;
  return matmul_of(m, n, n->in[0], n->in[1], n->in[0]->type);
}

// exp(x) / sum of exp(x) along other axes than the last: of those in `along`.
static bool softmax_along(Import *m, Node *n, Value *x, unsigned along) {
  Shape s = x->shape, rest = {.rank = 0, .free = s.free && !(along & 1)};
  Text outer = {.arena = m->a}, over = {.arena = m->a};
  text_add(&outer, "%s", "");
  for (int i = 0; i < s.rank; i++) {
    if (along >> i & 1) text_add(&over, "%s%s: %s", over.len ? ", " : "", axis_name(&s, i), extent_text(m, &s, i));
    else text_add(&outer, "%s%s", outer.len ? ", " : "", axis_name(&s, i)), rest.at[rest.rank++] = s.at[i];
  }
  const char *at = outer.len ? arena_printf(m->a, "[%s]", outer.data) : "", *e = element_of(m, x, indices_text(m, &s));
  const char *name = n->out[0]->name, *t = dtype_name(x->type);
  const char *top = identifier(m, arena_printf(m->a, "%s_top", name), "softmax");
  const char *sum = identifier(m, arena_printf(m->a, "%s_total", name), "softmax");
  Text axes = {.arena = m->a};
  for (int i = 0; i < s.rank; i++)
    if (!(along >> i & 1)) text_add(&axes, "%s%s: %s", axes.len ? ", " : "[", axis_name(&s, i), extent_text(m, &s, i));
  const char *shape = axes.len ? arena_printf(m->a, "%s]", axes.data) : "";
  line(m, "compute %s%s : %s = max[%s](%s);", top, shape, t, over.data, e);
  line(m, "compute %s%s : %s = sum[%s](exp(%s - %s%s));", sum, shape, t, over.data, e, top, at);
  bool logs = !strcmp(n->op->text, "log_softmax");
  const char *text = arena_printf(m->a, logs ? "%s - %s%s - log(%s%s)" : "exp(%s - %s%s) / %s%s", e, top, at, sum, at);
  return result(m, n, 0, x->type, &s, AXES, text);
}

bool import_softmax(Import *m, Node *n) {
  if (!has_inputs(m, n, 1)) return false;
  Value *x = n->in[0];
  int rank = x->shape.rank;
  int64_t axis = attribute_int(n, "axis", m->opset < 13 ? 1 : -1);
  if (axis < -rank || axis >= rank + (m->opset < 13))
    return refuse(m, n, "its axis is %lld, of data with %d axes", (long long)axis, rank), false;
  if (axis < 0) axis += rank;
  bool last = axis == rank - 1;
  if (m->opset < 13 && !last) return softmax_along(m, n, x, ((1u << rank) - 1) & ~((1u << axis) - 1));
  if (last && rank)
    return result(m, n, 0, x->type, &x->shape, CALL, arena_printf(m->a, "%s(%s)", n->op->text, nest(m, x)));
  return softmax_along(m, n, x, 1u << axis);
}

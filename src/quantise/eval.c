// SPDX-License-Identifier: Apache-2.0
// What the new stages compute, one layer after the other, for all samples: so that the error of one is known when the
// bias of the next is chosen. What is told at the end is measured on the program itself.
#include "quantise/internal.h"

#include <string.h>

static int64_t extent(const QNode *n, int axis) { return n->tensor->axes[axis]->extent; }

static const int8_t *values_of(const QNode *n, int64_t sample) {
  return int8_layer(n)->values + sample * node_elems(n);
}

// ---- sums of products -----------------------------------------------------------------------------------------------

// One tap of a convolution: out[y, x] += w * in[y * stride.., x * stride..], where that is inside.
static void add_tap(const QLayer *l, int32_t w, int64_t dy, int64_t dx, const int8_t *in, int32_t *out) {
  const QWindow *win = &l->root->window;
  int64_t h = extent(l->data, 2), wd = extent(l->data, 3), oh = extent(l->root, 2), ow = extent(l->root, 3);
  int64_t sx = win->strides[1], x0 = dx * win->dilations[1] - win->pads[1];
  int64_t from = x0 >= 0 ? 0 : (-x0 + sx - 1) / sx, to = wd - 1 - x0 < 0 ? 0 : (wd - 1 - x0) / sx + 1;
  if (to > ow) to = ow;
  for (int64_t y = 0; y < oh; y++) {
    int64_t iy = y * win->strides[0] + dy * win->dilations[0] - win->pads[0];
    if (iy < 0 || iy >= h) continue;
    const int8_t *row = in + iy * wd + x0;
    int32_t *to_row = out + y * ow;
    if (sx == 1)
      for (int64_t x = from; x < to; x++) to_row[x] += w * row[x];
    else
      for (int64_t x = from; x < to; x++) to_row[x] += w * row[x * sx];
  }
}

static void convolve(const QLayer *l, const int8_t *in, int32_t *sums) {
  const TeTensor *w = l->root->weight;
  int64_t outs = w->axes[0]->extent, images = extent(l->root, 0), channels = extent(l->data, 1);
  int64_t each = l->root->depthwise ? 1 : w->axes[1]->extent, kh = w->axes[w->naxes - 2]->extent,
          kw = w->axes[w->naxes - 1]->extent;
  int64_t groups = channels / each, plane = extent(l->data, 2) * extent(l->data, 3),
          made = extent(l->root, 2) * extent(l->root, 3);
  memset(sums, 0, (size_t)(images * outs * made) * sizeof *sums);
  for (int64_t n = 0; n < images; n++)
    for (int64_t o = 0; o < outs; o++)
      for (int64_t c = 0; c < each; c++)
        for (int64_t t = 0; t < kh * kw; t++) {
          int32_t tap = l->weights[(o * each + c) * kh * kw + t];
          int64_t from = o / (outs / groups) * each + c;
          if (tap) add_tap(l, tap, t / kw, t % kw, in + (n * channels + from) * plane, sums + (n * outs + o) * made);
        }
}

static void multiply(const QLayer *l, int64_t sample, int32_t *sums) {
  int64_t outs = channels_of(l), taps = taps_of(l), rows = node_elems(l->data) / taps;
  const QLayer *data = int8_layer(l->data);
  int64_t at = sample * node_elems(l->data);
  for (int64_t r = 0; r < rows; r++, at += taps)
    for (int64_t o = 0; o < outs; o++) {
      const int8_t *w = l->weights + o * taps;
      int32_t sum = 0;
      if (is_wide(data))
        for (int64_t i = 0; i < taps; i++) sum += data->wide[at + i] * w[i];
      else
        for (int64_t i = 0; i < taps; i++) sum += data->values[at + i] * w[i];
      sums[r * outs + o] = sum;
    }
}

void eval_sums(const QLayer *l, int64_t sample, int32_t *sums) {
  if (l->root->kind == Q_DENSE) multiply(l, sample, sums);
  else convolve(l, values_of(l->data, sample), sums);
}

// ---- int8 values ----------------------------------------------------------------------------------------------------

static int64_t limited(int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }

static int64_t half(int shift) { return shift ? (int64_t)1 << (shift - 1) : 0; }

// What a sum of channel c becomes before it is clamped.
static int64_t rescaled(const QLayer *l, int64_t sum, int64_t c) {
  sum += l->biases[c];
  if (!l->multipliers) return sum >> l->shifts[c];
  return ((sum >> l->before) * l->multipliers[c] + half(l->shift)) >> l->shift;
}

static void eval_linear(const QLayer *l, int64_t sample, const int32_t *sums, int8_t *out) {
  int64_t n = node_elems(l->out), channels = channels_of(l), inner = 1;
  for (int i = 2; l->root->kind == Q_CONV && i < 4; i++) inner *= extent(l->root, i);
  const int8_t *skip = l->skip ? values_of(l->skip, sample) : NULL;
  for (int64_t i = 0; i < n; i++) {
    int64_t v = rescaled(l, sums[i], i / inner % channels);
    if (skip)
      v = (limited(v, -l->limit, l->limit - 1) + (skip[i] * ((int64_t)1 << l->left)) + half(l->right)) >> l->right;
    out[i] = (int8_t)limited(v, l->low, l->high);
  }
}

static void eval_add(const QLayer *l, int64_t sample, int8_t *out) {
  const int8_t *x = values_of(l->data, sample), *y = values_of(l->skip, sample);
  for (int64_t i = 0; i < node_elems(l->out); i++) {
    int64_t v = x[i] * ((int64_t)1 << l->other) + y[i] * ((int64_t)1 << l->left);
    out[i] = (int8_t)limited((v + half(l->right)) >> l->right, l->low, l->high);
  }
}

// The sum, or the greatest, of a window of a plane.
static int64_t window_of(const QNode *n, const int8_t *plane, int64_t h, int64_t w, int64_t y, int64_t x, bool sum) {
  const QWindow *win = &n->window;
  int64_t v = sum ? 0 : -128;
  for (int64_t dy = 0; dy < win->sizes[0]; dy++)
    for (int64_t dx = 0; dx < win->sizes[1]; dx++) {
      int64_t iy = y * win->strides[0] + dy * win->dilations[0] - win->pads[0],
              ix = x * win->strides[1] + dx * win->dilations[1] - win->pads[1];
      if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
      int64_t e = plane[iy * w + ix];
      v = sum ? v + e : e > v ? e : v;
    }
  return v;
}

static void eval_pool(const QLayer *l, int64_t sample) {
  int64_t at = sample * node_elems(l->out);
  const QNode *n = l->root, *from = l->data;
  const int8_t *in = values_of(from, sample);
  bool sum = l->kind == L_MEAN, whole = n->tensor->naxes == 2;
  int64_t h = extent(from, 2), w = extent(from, 3), planes = extent(from, 0) * extent(from, 1);
  int64_t oh = whole ? 1 : extent(n, 2), ow = whole ? 1 : extent(n, 3);
  QNode all = *n;
  all.window = (QWindow){.strides = {1, 1}, .dilations = {1, 1}, .sizes = {h, w}};
  for (int64_t p = 0; p < planes; p++)
    for (int64_t i = 0; i < oh * ow; i++) {
      int64_t v = window_of(whole ? &all : n, in + p * h * w, h, w, i / ow, i % ow, sum);
      if (sum) v = limited((v * l->multiplier + half(l->shift)) >> l->shift, l->low, l->high);
      if (is_wide(l)) l->wide[at + p * oh * ow + i] = (int16_t)v;
      else l->values[at + p * oh * ow + i] = (int8_t)v;
    }
}

static void eval_concat(const QLayer *l, int64_t sample, int8_t *out) {
  const QNode *n = l->root;
  int64_t outer = 1, step = 1, at = 0;
  for (int64_t i = 0; i < n->axis; i++) outer *= extent(n, (int)i);
  for (int64_t i = n->axis; i < n->tensor->naxes; i++) step *= extent(n, (int)i);
  for (size_t k = 0; k < n->in.len; k++) {
    int64_t part = node_elems(n->in.data[k]) / outer;
    for (int64_t o = 0; o < outer; o++)
      memcpy(out + o * step + at, values_of(n->in.data[k], sample) + o * part, (size_t)part);
    at += part;
  }
}

static void eval_same(const QLayer *l, int64_t sample, int8_t *out) {
  const QNode *n = l->root;
  if (n->kind == Q_MAX) {
    eval_pool(l, sample);
  } else if (n->kind == Q_CONCAT) {
    eval_concat(l, sample, out);
  } else if (is_wide(l)) {
    int64_t count = node_elems(n), at = sample * count;
    memcpy(l->wide + at, int8_layer(l->data)->wide + at, (size_t)count * sizeof *l->wide);
  } else {
    const int8_t *in = values_of(l->data, sample);
    for (int64_t i = 0; i < node_elems(n); i++) out[i] = (int8_t)limited(in[i], l->low, l->high);
  }
}

void eval_layer(const Quantise *z, QLayer *l, int64_t sample, const int32_t *sums) {
  (void)z;
  int8_t *out = is_wide(l) ? NULL : l->values + sample * node_elems(l->out);
  switch (l->kind) {
  case L_LINEAR:
  case L_RESIDUAL: eval_linear(l, sample, sums, out); break;
  case L_ADD: eval_add(l, sample, out); break;
  case L_MEAN: eval_pool(l, sample); break;
  case L_SAME: eval_same(l, sample, out); break;
  case L_QUANTISE:
  case L_FLOAT: break;
  }
}

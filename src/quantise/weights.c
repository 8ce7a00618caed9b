// SPDX-License-Identifier: Apache-2.0
// Integers, a layer after the other: weights, biases, shifts. `shift`: the weights of a channel absorb the ratio of the
// scales, s_w = s_out / s_in * 2^-k, so that a shift by k is all that is left; half of what it drops is in the bias.
// `multiply`: weights have a scale of their own, and ((sum + bias) >> before) * m >> shift makes up for it. The mean
// error of each channel over the samples is taken off by the bias. All is constant, so it is proved here that no sum
// and no product leaves int32 and every shift is in range.
#include "quantise/internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Bits kept in a sum with a skip; the longest shift; a step of a sum is no less than this part of a step that is given.
enum { GUARD = 4, LONGEST = 31, FINEST = 1 << 16 };

int64_t taps_of(const QLayer *l) { return te_tensor_elems(l->root->weight) / channels_of(l); }

static const float *channel_weights(const QLayer *l, int64_t c) {
  return (const float *)l->root->weight->data + c * taps_of(l);
}

static double bias_of(const QLayer *l, int64_t c) { return l->bias ? ((const float *)l->bias->weight->data)[c] : 0; }

static double most_of(const float *w, int64_t n) {
  double most = 0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)w[i]));
  return most;
}

static Diag *refuse(Quantise *z, const QLayer *l, const char *what) {
  Diag *g = diag_report(z->cx->diags, E_QUANTISE, z->decls[l->out->decl].loc, "`%s` cannot be quantised: %s",
                        z->decls[l->out->decl].name, what);
  diag_help(g, "keep it in float: `--keep-float=%s`", z->decls[l->out->decl].name);
  return g;
}

// ---- a channel ------------------------------------------------------------------------------------------------------

// Rounds the weights of a channel to steps of `step`; returns the squared error.
static double round_weights(const float *w, int64_t n, double step, int8_t *out) {
  double error = 0;
  for (int64_t i = 0; i < n; i++) {
    double q = fmin(fmax(rint(w[i] / step), -127), 127), e = w[i] - q * step;
    if (out) out[i] = (int8_t)q;
    error += e * e;
  }
  return error;
}

// The greatest magnitude that the sum of a channel can have.
static double sum_bound(const QLayer *l, int64_t c) {
  double bound = 0;
  for (int64_t i = 0; i < taps_of(l); i++)
    bound += int8_layer(l->data)->reach * (double)abs(l->weights[c * taps_of(l) + i]);
  return bound;
}

// Gives channel c its weights, so that a sum is in units of `unit`.
static void set_weights(QLayer *l, int64_t c, double unit) {
  double step = unit / step_of(l->data);
  round_weights(channel_weights(l, c), taps_of(l), step, l->weights + c * taps_of(l));
  l->units[c] = unit;
}

// Whether the bias has room beside the sum in int32, with `more`.
static bool bias_fits(const QLayer *l, int64_t c, double bias) {
  return sum_bound(l, c) + fabs(bias) + 2 < 2147483647.0;
}

// What a layer's sums become before they are clamped: in steps of this.
static double target_of(const QLayer *l) { return ldexp(scale_of(l->scale)->step, -l->right); }

// The shift of a channel: the weights fill int8, or are clipped where that costs less than coarser steps.
static int fitting_shift(const QLayer *l, int64_t c) {
  const float *w = channel_weights(l, c);
  double most = most_of(w, taps_of(l)), ratio = target_of(l) / step_of(l->data);
  if (!(most > 0)) return 0;
  return (int)floor(log2(127.49 * ratio / most));
}

static bool channel_by_shift(Quantise *z, QLayer *l, int64_t c) {
  int k = fitting_shift(l, c);
  double target = target_of(l), ratio = target / step_of(l->data);
  const float *w = channel_weights(l, c);
  if (k < 0) return refuse(z, l, "its weights are too large for the range of what it gives"), false;
  if (round_weights(w, taps_of(l), ldexp(ratio, -k - 1), NULL) < round_weights(w, taps_of(l), ldexp(ratio, -k), NULL))
    k++;
  if (k > LONGEST - 1) k = LONGEST - 1;
  for (;; k--) {
    set_weights(l, c, ldexp(target, -k));
    if (bias_fits(l, c, 2 * fabs(bias_of(l, c) / l->units[c]) + ldexp(1, k))) break;
    if (k == 0) return refuse(z, l, "a sum would not fit in int32"), false;
  }
  l->shifts[c] = k;
  return true;
}

// Of 33 steps, from a fifth of the greatest magnitude to all of it, the one with the least squared error; 0: all are 0.
static double best_step(const float *w, int64_t n) {
  double most = most_of(w, n), best = 0, least = DBL_MAX;
  for (int i = 0; most > 0 && i < STEPS; i++) {
    double step = most / 127 * (0.2 + 0.8 * i / (STEPS - 1)), error = round_weights(w, n, step, NULL);
    if (error >= least) continue;
    least = error;
    best = step;
  }
  return best;
}

// Weights with a scale of their own, but no finer than the bias has room for, or than shows in what the layer gives.
static bool channel_alone(Quantise *z, QLayer *l, int64_t c) {
  double step = best_step(channel_weights(l, c), taps_of(l)), bias = fabs(bias_of(l, c));
  double unit = fmax(step_of(l->data) * (step > 0 ? step : 1), bias * 0x1p-28);
  if (l->scale) unit = fmax(unit, target_of(l) / FINEST);
  set_weights(l, c, unit);
  if (bias_fits(l, c, 2 * bias / unit + 0x1p28)) return true;
  return refuse(z, l, "a sum would not fit in int32"), false;
}

// ---- multipliers ----------------------------------------------------------------------------------------------------

// The multiplier of a channel for two shifts, 0 if the product might leave int32.
static double multiplier_of(const QLayer *l, int64_t c, int before, int shift) {
  double m = fmax(rint(ldexp(l->units[c] / target_of(l), before + shift)), 1);
  double bound = floor((sum_bound(l, c) + fabs((double)l->biases[c])) / ldexp(1, before)) + 1;
  return bound * m + ldexp(1, shift) < 2147483647.0 ? m : 0;
}

// How far the result may be off, in steps, by the shift before and by the rounding of the multiplier.
static double multiplier_loss(const QLayer *l, int before, int shift) {
  double worst = 0;
  for (int64_t c = 0; c < channels_of(l); c++) {
    double m = multiplier_of(l, c, before, shift), ratio = l->units[c] / target_of(l);
    if (m == 0) return DBL_MAX;
    double most = fmin(127, (sum_bound(l, c) + fabs((double)l->biases[c])) * ratio);
    worst = fmax(worst, ldexp(ratio, before) / 2 + most * fabs(ldexp(m, -before - shift) / ratio - 1));
  }
  return worst;
}

static bool choose_multipliers(Quantise *z, QLayer *l) {
  double least = DBL_MAX;
  for (int before = 0; before < 24; before++)
    for (int shift = 1; shift < 31; shift++) {
      double loss = multiplier_loss(l, before, shift);
      if (loss >= least) continue;
      least = loss;
      l->before = before;
      l->shift = shift;
    }
  if (least == DBL_MAX) return refuse(z, l, "a product would not fit in int32"), false;
  l->multipliers = NEW_ARRAY(z->a, int32_t, channels_of(l));
  for (int64_t c = 0; c < channels_of(l); c++) {
    l->multipliers[c] = (int32_t)multiplier_of(l, c, l->before, l->shift);
    if (l->before) l->biases[c] += (int32_t)1 << (l->before - 1);
  }
  return true;
}

// ---- a layer --------------------------------------------------------------------------------------------------------

// The shifts of a sum with a skip: as many bits are kept behind it as the weights of all channels have room for.
static void choose_guard(const Quantise *z, QLayer *l) {
  int apart = ilogb(step_of(l->skip) / scale_of(l->scale)->step), least = apart < 0 ? -apart : 0;
  for (l->right = least > GUARD ? least : GUARD; l->right > least; l->right--) {
    bool fits = true;
    for (int64_t c = 0; z->scheme == SCHEME_SHIFT && c < channels_of(l); c++) fits &= fitting_shift(l, c) >= 0;
    if (fits) break;
  }
  l->left = l->right + apart;
  l->limit = 1 << (l->right + 9);
}

static void choose_ends(QLayer *l) {
  l->low = l->act ? 0 : -l->reach;
  l->high = l->reach - 1;
  if (l->kind == L_SAME && (l->root->kind == Q_RELU || l->root->kind == Q_CLAMP)) l->low = 0;
  const QNode *clamp = l->act && l->act->kind == Q_CLAMP ? l->act : l->root->kind == Q_CLAMP ? l->root : NULL;
  if (clamp) l->high = (int)fmin(127, fmax(1, rint(clamp->high / scale_of(l->scale)->step)));
}

// The biases: rounded, with what the mean of the samples is off, and half of what a shift drops.
static bool set_biases(Quantise *z, QLayer *l, const int64_t *totals) {
  double each = (double)node_elems(l->pre) / (double)channels_of(l) * (double)z->host->samples;
  for (int64_t c = 0; c < channels_of(l); c++) {
    double off = l->means[c] - bias_of(l, c) - (double)totals[c] / each * l->units[c];
    double b = rint((bias_of(l, c) + off) / l->units[c]);
    if (l->shifts && l->shifts[c]) b += ldexp(1, l->shifts[c] - 1);
    if (!bias_fits(l, c, b)) return refuse(z, l, "a sum would not fit in int32"), false;
    l->biases[c] = (int32_t)b;
  }
  return true;
}

static bool linear_integers(Quantise *z, QLayer *l) {
  int64_t channels = channels_of(l);
  bool shift = z->scheme == SCHEME_SHIFT && !l->floats;
  l->weights = NEW_ARRAY(z->a, int8_t, channels * taps_of(l));
  l->biases = NEW_ARRAY(z->a, int32_t, channels);
  l->units = NEW_ARRAY(z->a, double, channels);
  l->shifts = shift ? NEW_ARRAY(z->a, int32_t, channels) : NULL;
  l->right = l->left = 0;
  if (l->kind == L_RESIDUAL) choose_guard(z, l);
  for (int64_t c = 0; c < channels; c++)
    if (!(shift ? channel_by_shift(z, l, c) : channel_alone(z, l, c))) return false;
  return true;
}

static void add_totals(const QLayer *l, const int32_t *sums, int64_t *totals) {
  int64_t n = node_elems(l->root), channels = channels_of(l), inner = 1;
  for (int i = 2; l->root->kind == Q_CONV && i < 4; i++) inner *= l->root->tensor->axes[i]->extent;
  for (int64_t i = 0; i < n; i++) totals[i / inner % channels] += sums[i];
}

static bool make_linear(Quantise *z, QLayer *l) {
  if (!linear_integers(z, l)) return false;
  int64_t n = node_elems(l->root), samples = z->host->samples, kept = n * samples <= 1 << 26 ? samples : 1;
  int32_t *sums = malloc((size_t)(n * kept) * sizeof *sums);
  int64_t *totals = NEW_ARRAY(z->a, int64_t, channels_of(l));
  if (!sums) memory_out();
  for (int64_t i = 0; sums && i < samples; i++) {
    eval_sums(l, i, sums + (kept == 1 ? 0 : i * n));
    add_totals(l, sums + (kept == 1 ? 0 : i * n), totals);
  }
  bool ok = sums && set_biases(z, l, totals);
  if (ok && z->scheme == SCHEME_MULTIPLY && !l->floats) ok = choose_multipliers(z, l);
  if (l->floats) {
    l->factors = NEW_ARRAY(z->a, float, channels_of(l));
    for (int64_t c = 0; c < channels_of(l); c++) l->factors[c] = (float)l->units[c];
  }
  for (int64_t i = 0; ok && !l->floats && i < samples; i++) {
    if (kept == 1 && samples > 1) eval_sums(l, i, sums);
    eval_layer(z, l, i, sums + (kept == 1 ? 0 : i * n));
  }
  free(sums);
  return ok;
}

static void set_add(QLayer *l) {
  double step = scale_of(l->scale)->step;
  int x = ilogb(step_of(l->data) / step), y = ilogb(step_of(l->skip) / step), least = x < y ? x : y;
  l->right = least < 0 ? -least : 0;
  l->other = x + l->right;
  l->left = y + l->right;
}

// The average in one multiplication; its scale gives way, so that nothing is lost by that.
static bool set_mean(Quantise *z, QLayer *l) {
  bool whole = l->root->kind == Q_MEAN;
  const TeTensor *t = l->data->tensor;
  double n = whole ? (double)(t->axes[2]->extent * t->axes[3]->extent)
                   : (double)(l->root->window.sizes[0] * l->root->window.sizes[1]);
  QScale *s = scale_of(l->scale);
  double ratio = step_of(l->data) / (n * s->step), m = 0;
  for (l->shift = LONGEST; l->shift > 0; l->shift--) {
    m = fmax(rint(ldexp(ratio, l->shift)), 1);
    if (n * 128 * m + ldexp(1, l->shift) < 2147483647.0) break;
  }
  if (l->shift == 0) return refuse(z, l, "the sum of a window would not fit in int32"), false;
  l->multiplier = (int64_t)m;
  if (s->layers == 1 && group_of(s)->members == 1) s->step = (float)ldexp(step_of(l->data) / (n * m), l->shift);
  return true;
}

// A sum that is scaled down by a shift cannot give steps finer than its weights': wider ones, where it would have to.
static void widen_steps(Quantise *z) {
  for (int again = 1, tries = 0; again && tries < 1000; tries++) {
    again = 0;
    for (size_t i = 0; i < z->layers.len && !again; i++) {
      QLayer *l = z->layers.data[i];
      if ((l->kind != L_LINEAR && l->kind != L_RESIDUAL) || l->floats) continue;
      l->right = 0;
      if (l->kind == L_RESIDUAL) choose_guard(z, l);
      for (int64_t c = 0; c < channels_of(l) && !again; c++) again = fitting_shift(l, c) < 0;
      for (size_t k = 0; again && k < z->scales.len; k++)
        if (!z->scales.data[k]->same && group_of(z->scales.data[k]) == group_of(l->scale)) z->scales.data[k]->step *= 2;
    }
  }
}

// What floats become, for all samples.
static void quantise_floats(const Quantise *z, QLayer *l) {
  float step = (float)scale_of(l->scale)->step;
  for (int64_t i = 0; i < node_elems(l->out) * z->host->samples; i++)
    l->values[i] = (int8_t)fminf(fmaxf(rintf(l->floats_seen[i] / step), -128), 127);
}

static bool make_layer(Quantise *z, QLayer *l) {
  if (l->scale) choose_ends(l);
  switch (l->kind) {
  case L_LINEAR:
  case L_RESIDUAL: return make_linear(z, l);
  case L_ADD: set_add(l); break;
  case L_MEAN:
    if (!set_mean(z, l)) return false;
    break;
  case L_SAME: break;
  case L_QUANTISE: quantise_floats(z, l); return true;
  case L_FLOAT: return true;
  }
  for (int64_t i = 0; i < z->host->samples; i++) eval_layer(z, l, i, NULL);
  return true;
}

bool weights_make(Quantise *z) {
  if (z->scheme == SCHEME_SHIFT) widen_steps(z);
  for (size_t i = 0; i < z->layers.len; i++) {
    QLayer *l = z->layers.data[i];
    size_t count = (size_t)(node_elems(l->out) * z->host->samples);
    if (l->scale && is_wide(l)) l->wide = arena_alloc(z->a, count * sizeof *l->wide);
    else if (l->scale) l->values = arena_alloc(z->a, count);
  }
  for (size_t i = 0; i < z->layers.len; i++)
    if (!make_layer(z, z->layers.data[i])) return false;
  return true;
}

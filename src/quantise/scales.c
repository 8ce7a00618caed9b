// SPDX-License-Identifier: Apache-2.0
// Scales: how wide the steps of int8 values are. One pass over the samples counts how often each magnitude occurs; then
// the scale of the least squared error is taken, of 33 from a fifth of the greatest magnitude to all of it. Those that
// are added to each other are powers of two apart: there, of 64 scales in an octave, the one for which the errors of
// all, each beside its signal, add up to the least.
#include "quantise/internal.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { OCTAVE = 64 };

// ---- counting -------------------------------------------------------------------------------------------------------

// Makes the range reach x, by parts twice as wide.
static void widen(QScale *s, double x) {
  if (s->range == 0) s->range = ldexp(1, ilogb(x) + 1);
  while (x >= s->range) {
    for (int i = 0; i < BINS; i++) s->bins[i] = 2 * i < BINS ? s->bins[2 * i] + s->bins[2 * i + 1] : 0;
    s->range *= 2;
  }
}

static void count(Quantise *z, QScale *s, const float *x, int64_t n) {
  if (!s->bins) s->bins = NEW_ARRAY(z->a, int64_t, BINS);
  s->counted += n;
  for (int64_t i = 0; i < n; i++) {
    double v = fabs((double)x[i]);
    if (v == 0) continue;
    s->signal += v * v;
    if (v > s->most) s->most = v;
    if (x[i] > 0 ? v > 127 * s->widest : v > 128 * s->widest) s->widest = x[i] > 0 ? v / 127 : v / 128;
    if (v >= s->range) widen(s, v);
    s->bins[(int)(v / s->range * BINS)]++;
  }
}

int64_t channels_of(const QLayer *l) { return l->root->weight->axes[0]->extent; }

// The sums of each channel of what the activation is of.
static void add_means(Quantise *z, QLayer *l, const float *x) {
  const TeTensor *t = l->pre->tensor;
  int64_t channels = channels_of(l), axis = l->root->kind == Q_DENSE ? t->naxes - 1 : 1, inner = 1;
  for (int64_t i = axis + 1; i < t->naxes; i++) inner *= t->axes[i]->extent;
  if (!l->means) l->means = NEW_ARRAY(z->a, double, channels);
  for (int64_t i = 0; i < node_elems(l->pre); i++) l->means[i / inner % channels] += (double)x[i];
}

static bool finite_values(Quantise *z, const QNode *n, const float *x, int64_t sample) {
  for (int64_t i = 0; i < node_elems(n); i++) {
    if (isfinite(x[i])) continue;
    Diag *g = diag_report(z->cx->diags, E_QUANTISE, z->decls[n->decl].loc, "%s is %s for sample %lld of %s",
                          arena_printf(z->a, "a value of `%s`", z->decls[n->decl].name),
                          isnan(x[i]) ? "no number" : "infinite", (long long)sample, z->q->set);
    diag_note(g, "no scale has room for it");
    diag_help(g, "leave that sample out, or look for what is wrong with it by `tetc run --output`");
    return false;
  }
  return true;
}

static bool see_sample(Quantise *z, QuantiseProgram *flat, int64_t sample) {
  for (size_t i = 0; i < z->layers.len; i++) {
    QLayer *l = z->layers.data[i];
    if (l->out->tensor->type != DT_F32) continue;
    const float *x = z->host->values(flat, l->out->name);
    int64_t n = node_elems(l->out);
    if (!finite_values(z, l->out, x, sample)) return false;
    if (l->kind == L_LINEAR || l->kind == L_RESIDUAL) {
      const float *pre = z->host->values(flat, l->pre->name);
      if (!finite_values(z, l->pre, pre, sample)) return false;
      add_means(z, l, pre);
    }
    if (l->kind == L_QUANTISE) {
      if (!l->floats_seen) l->floats_seen = arena_alloc(z->a, (size_t)(n * z->host->samples) * sizeof *x);
      memcpy(l->floats_seen + sample * n, x, (size_t)n * sizeof *x);
    }
    if (l->scale && l->kind != L_SAME) count(z, scale_of(l->scale), x, n);
  }
  return true;
}

static void finish_means(Quantise *z, QLayer *l) {
  if (!l->means) return;
  double each = (double)node_elems(l->pre) / (double)channels_of(l) * (double)z->host->samples;
  for (int64_t c = 0; c < channels_of(l); c++) l->means[c] /= each;
}

// ---- choosing -------------------------------------------------------------------------------------------------------

// The squared error of all values in steps of `step`.
static double noise_of(const QScale *s, double step) {
  double sum = 0;
  for (int i = 0; s->bins && i < BINS; i++) {
    if (!s->bins[i]) continue;
    double v = (i + 0.5) * s->range / BINS, q = rint(v / step), e = v - step * (q > 127 ? 127 : q);
    sum += (double)s->bins[i] * e * e;
  }
  return sum;
}

static double narrowed(double step) { return step > 0 && isfinite((float)step) && (float)step > 0 ? (float)step : 1; }

// A mean of all pixels is seen once a channel and sample: too seldom to know how far means reach.
static double best_alone(const QScale *s) {
  double headroom = s->reach > 128 ? 2 : 1.25, best = 1, least = DBL_MAX;
  if (s->mean && s->most > 0) return narrowed(headroom * s->most / (s->reach - 1));
  for (int i = 0; s->most > 0 && i < STEPS; i++) {
    double step = narrowed(s->widest * (0.2 + 0.8 * i / (STEPS - 1))), noise = noise_of(s, step);
    if (noise < least) {
      least = noise;
      best = step;
    }
  }
  return best;
}

// The power of two that, times `base`, is the best step for s; *noise is relative to its signal.
static double best_power(const QScale *s, double base, double *noise) {
  if (!(s->most > 0)) return *noise = 0, base;
  int first = (int)floor(log2(s->most / 127 * 0.2 / base));
  double best = base;
  *noise = DBL_MAX;
  for (int e = first; e <= first + 4; e++) {
    double n = noise_of(s, ldexp(base, e)) / s->signal;
    if (n >= *noise) continue;
    *noise = n;
    best = ldexp(base, e);
  }
  return best;
}

static void choose_group(Quantise *z, QScale *group) {
  VEC(QScale *) of = {0};
  for (size_t i = 0; i < z->scales.len; i++) {
    QScale *s = z->scales.data[i];
    if (!s->same && group_of(s) == group) VEC_PUSH(z->a, of, s);
  }
  group->members = (int)of.len;
  if (of.len == 1) {
    group->step = best_alone(group);
    return;
  }
  double least = DBL_MAX, best = 1;
  for (int i = 0; i < OCTAVE; i++) {
    double base = narrowed(exp2((double)i / OCTAVE)), sum = 0, noise;
    for (size_t k = 0; k < of.len; k++) best_power(of.data[k], base, &noise), sum += noise;
    if (sum >= least) continue;
    least = sum;
    best = base;
  }
  double widest = 0;
  for (size_t k = 0; k < of.len; k++) {
    double noise;
    of.data[k]->step = best_power(of.data[k], best, &noise);
    if (of.data[k]->most > 0 && of.data[k]->step > widest) widest = of.data[k]->step;
  }
  for (size_t k = 0; k < of.len; k++) { // what is all zero has any scale; shifts stay small
    QScale *s = of.data[k];
    if (widest > 0 && !(s->most > 0)) s->step = widest;
    while (s->step < widest / 1024) s->step *= 2;
  }
}

bool scales_find(Quantise *z, QuantiseProgram *flat) {
  for (int64_t i = 0; i < z->host->samples; i++)
    if (!z->host->run(z->host->self, flat, i) || !see_sample(z, flat, i)) return false;
  for (size_t i = 0; i < z->layers.len; i++) {
    QLayer *l = z->layers.data[i];
    finish_means(z, l);
    if (l->scale && l->kind != L_SAME) scale_of(l->scale)->layers++;
    if (l->scale && l->root->kind == Q_MEAN) scale_of(l->scale)->mean = true;
  }
  for (size_t i = 0; i < z->scales.len; i++) {
    QScale *s = z->scales.data[i];
    if (!s->same && group_of(s) == s) choose_group(z, s);
  }
  return true;
}

// SPDX-License-Identifier: Apache-2.0
// Quantising a program: the steps, the choice of a scheme, and what is measured in the end, on the new program itself.
#include "quantise/internal.h"

#include <math.h>
#include <string.h>

// The float program with a stage for each node.
static const Source *flat_source(Quantise *z) {
  SourceEdits edits = {0};
  Text *texts = NEW_ARRAY(z->a, Text, z->ndecls + 1);
  for (size_t i = 0; i < z->nodes.len; i++) {
    QNode *n = z->nodes.data[i];
    Text *t = &texts[n->decl];
    t->arena = z->a;
    text_add(t, "%s%s", t->len ? "; " : "", graph_flat(z, n));
  }
  for (int i = 0; i < z->ndecls; i++)
    if (texts[i].len) VEC_PUSH(z->a, edits, ((SourceEdit){z->decls[i].loc, texts[i].data}));
    else if (z->decls[i].role != TE_CONSTANT)
      VEC_PUSH(z->a, edits, ((SourceEdit){statement(z->decls[i].loc, true), ""}));
  return source_edits(z->a, z->q->module->src, edits.len, edits.data);
}

static QuantiseProgram *open_flat(Quantise *z) {
  const char **names = NEW_ARRAY(z->a, const char *, z->nodes.len + 1);
  int n = 0;
  for (size_t i = 0; i < z->nodes.len; i++)
    if (z->nodes.data[i]->kind != Q_INPUT) names[n++] = z->nodes.data[i]->name;
  return z->host->open(z->host->self, flat_source(z), NULL, z->q->kernel->name, n, names);
}

// ---- measuring ------------------------------------------------------------------------------------------------------

// The error of one layer for a sample: its int8 values in their scale, or floats, beside the float network's.
static void measure_layer(Quantise *z, QLayer *l, const QuantiseProgram *flat, const QuantiseProgram *made) {
  if (l->out->tensor->type != DT_F32 || (l->kind == L_FLOAT && l->root->kind == Q_INPUT)) return;
  const float *x = z->host->values(flat, l->out->name);
  const void *y = z->host->values(made, layer_stage(z, l));
  double step = l->scale ? scale_of(l->scale)->step : 1, signal = 0, noise = 0;
  for (int64_t i = 0; i < node_elems(l->out); i++) {
    double v = !l->scale    ? (double)((const float *)y)[i]
               : is_wide(l) ? ((const int16_t *)y)[i] * step
                            : ((const int8_t *)y)[i] * step;
    double e = v - (double)x[i];
    signal += (double)x[i] * (double)x[i];
    noise += e * e;
    l->clipped += l->scale && (x[i] > (l->reach - 0.5) * step || x[i] < -(l->reach + 0.5) * step);
  }
  l->counted += node_elems(l->out);
  l->signal += signal;
  l->noise += noise;
}

static int64_t first_class(const float *x, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

static void measure_output(Quantise *z, const QNode *n, const QuantiseProgram *flat, const QuantiseProgram *made) {
  const float *x = z->host->values(flat, n->name), *y = z->host->values(made, n->name);
  int64_t count = node_elems(n), last = n->tensor->naxes ? n->tensor->axes[n->tensor->naxes - 1]->extent : 1;
  for (int64_t i = 0; i < count; i++) {
    z->signal += (double)x[i] * (double)x[i];
    z->noise += ((double)y[i] - (double)x[i]) * ((double)y[i] - (double)x[i]);
  }
  if (n->tensor->naxes > 2 || last != count || last < 2 || (z->classes && z->classes != n)) return;
  z->classes = n;
  z->agree += first_class(x, last) == first_class(y, last);
}

static bool measure(Quantise *z, QuantiseProgram *flat, const QuantisedText *text) {
  const char **names = NEW_ARRAY(z->a, const char *, z->layers.len + 1);
  int n = 0;
  for (size_t i = 0; i < z->layers.len; i++) names[n++] = layer_stage(z, z->layers.data[i]);
  TeGiven given = {z->q->arrays, text->arrays, text->arrays_len};
  QuantiseProgram *made = z->host->open(z->host->self, text->text, &given, z->q->kernel->name, n, names);
  bool ok = made != NULL;
  for (int64_t s = 0; ok && s < z->host->samples; s++) {
    ok = z->host->run(z->host->self, flat, s) && z->host->run(z->host->self, made, s);
    for (size_t i = 0; ok && i < z->layers.len; i++) measure_layer(z, z->layers.data[i], flat, made);
    for (size_t i = 0; ok && i < z->nodes.len; i++)
      if (z->nodes.data[i]->output && z->nodes.data[i]->tensor->type == DT_F32)
        measure_output(z, z->nodes.data[i], flat, made);
  }
  if (made) z->host->close(made);
  return ok;
}

// ---- the whole ------------------------------------------------------------------------------------------------------

static bool check_kept(Quantise *z) {
  for (int i = 0; i < z->q->nkept; i++) {
    Nearest near = {.wanted = z->q->kept[i]};
    bool found = false;
    for (int k = 0; k < z->ndecls; k++) {
      found |= !strcmp(z->decls[k].name, z->q->kept[i]);
      nearest_try(&near, z->decls[k].name);
    }
    if (found) continue;
    Diag *g = diag_report(z->cx->diags, E_UNKNOWN_NAME, z->q->kernel->name_loc,
                          "kernel `%s` has no stage `%s` to keep in float", z->q->kernel->name, z->q->kept[i]);
    if (near.best) diag_help(g, "did you mean `--keep-float=%s`?", near.best);
    return false;
  }
  return true;
}

static bool check_found(Quantise *z) {
  for (size_t i = 0; i < z->layers.len; i++)
    if (z->layers.data[i]->scale) return true;
  Diag *g = diag_report(z->cx->diags, E_QUANTISE, z->q->kernel->name_loc,
                        "kernel `%s` has no layer that can be quantised", z->q->kernel->name);
  diag_note(g, "known are calls of nn.te's conv2d, depthwise and dense with constant float32 weights, and what stands "
               "around them");
  diag_help(g, "write the layers as such calls, as `tetc import` does");
  return false;
}

static void tell(const Quantise *z) {
  const TeModule *m = z->q->module;
  for (size_t i = 0; i < z->layers.len; i++) {
    const QLayer *l = z->layers.data[i];
    if (l->kind != L_FLOAT || l->root->kind == Q_INPUT || !l->out->want_int8) continue;
    const TeDecl *d = &z->decls[l->out->decl];
    diag_report(z->cx->diags, R_QUANTISE, d->loc, "`%s` stays float: its operands become floats, and its values int8",
                d->name);
  }
  for (int i = 0; i < m->nschedules; i++)
    if (schedule_drops(z, m->schedules[i]))
      diag_report(z->cx->diags, R_QUANTISE, m->schedules[i]->loc,
                  "the schedule was of the float stages, and is left out");
}

// One scheme from the text to the measured program; *flat is opened by the first. told: where errors go; NULL: nowhere.
static bool attempt(Quantise *z, Diags *told, QuantiseProgram **flat, QuantisedText *out) {
  Ctx *cx = NEW(z->a, Ctx);
  *cx = (Ctx){z->a, z->cx->names, told ? told : diags_new(z->a)};
  z->cx = cx;
  if (!graph_read(z) || !check_kept(z)) return false;
  if (!*flat) *flat = open_flat(z);
  if (!*flat || !graph_shapes(z, z->host->kernel(*flat))) return false;
  layers_make(z);
  return check_found(z) && scales_find(z, *flat) && weights_make(z) && text_make(z, false, out) &&
         measure(z, *flat, out) && text_make(z, true, out);
}

static Quantise quantise_new(Ctx *cx, const QuantiseTask *q, QuantiseScheme scheme) {
  return (Quantise){.cx = cx, .a = cx->arena, .q = q, .host = &q->host, .scheme = scheme};
}

static double loss(const Quantise *z) { return z->signal > 0 ? z->noise / z->signal : 0; }

// The multiplication costs an operation more a value, and so has to be better by more than half a dB.
static bool choose(Ctx *cx, const QuantiseTask *q, QuantiseProgram **flat, Quantise *z, QuantisedText *out) {
  static const double worth = 1.122;
  QuantisedText other;
  Quantise m = quantise_new(cx, q, SCHEME_MULTIPLY);
  *z = quantise_new(cx, q, SCHEME_SHIFT);
  bool shift = attempt(z, NULL, flat, out), multiply = *flat && attempt(&m, NULL, flat, &other);
  if (!shift && !multiply) { // once more, to be told why
    *z = quantise_new(cx, q, SCHEME_SHIFT);
    return attempt(z, cx->diags, flat, out);
  }
  const Quantise *rejected = &m;
  if (multiply && (!shift || loss(&m) * worth < loss(z))) {
    Quantise was = *z;
    *z = m;
    m = was;
    *out = other;
  }
  const char *db = decibels(z->a, rejected->signal, rejected->noise);
  bool both = shift && multiply;
  diag_report(cx->diags, R_QUANTISE, q->kernel->name_loc, "`%s` by scheme %s: %s%s%s%s", q->kernel->name,
              scheme_name(z->scheme), decibels(z->a, z->signal, z->noise), both ? "; by " : "",
              both ? scheme_name(rejected->scheme) : "", both ? arena_printf(z->a, ": %s", db) : "");
  return true;
}

// What it costs beside the program as it was, with its own scales.
static bool tell_requantised(Quantise *z, const QuantisedText *out) {
  const char *kernel = z->q->kernel->name;
  const QuantiseHost *h = z->host;
  TeGiven given = {z->q->arrays, out->arrays, out->arrays_len};
  QuantiseProgram *was = h->open(h->self, z->q->module->src, NULL, kernel, 0, NULL);
  QuantiseProgram *made = was ? h->open(h->self, out->text, &given, kernel, 0, NULL) : NULL;
  bool ok = made != NULL;
  z->signal = z->noise = 0;
  z->agree = 0;
  for (int64_t s = 0; ok && s < h->samples; s++) {
    ok = h->run(h->self, was, s) && h->run(h->self, made, s);
    for (size_t i = 0; ok && i < z->nodes.len; i++)
      if (z->nodes.data[i]->output) measure_output(z, z->nodes.data[i], was, made);
  }
  if (was) h->close(was);
  if (made) h->close(made);
  if (!ok) return false;
  const char *same =
      arena_printf(z->a, ", the same first class for %lld of %lld samples", (long long)z->agree, (long long)h->samples);
  diag_report(z->cx->diags, R_QUANTISE, z->q->kernel->name_loc, "`%s` beside what it was, with its own scales: %s%s",
              kernel, decibels(z->a, z->signal, z->noise), z->classes ? same : "");
  return true;
}

bool quantise_network(Ctx *cx, const QuantiseTask *q, QuantisedText *out) {
  QuantiseProgram *flat = NULL;
  Quantise z = quantise_new(cx, q, q->scheme);
  bool ok = q->scheme == SCHEME_AUTO ? choose(cx, q, &flat, &z, out) : attempt(&z, cx->diags, &flat, out);
  z.cx = cx;
  if (ok) tell(&z);
  if (ok && q->requantise) ok = tell_requantised(&z, out);
  if (flat) q->host.close(flat);
  return ok;
}

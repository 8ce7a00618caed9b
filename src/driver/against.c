// SPDX-License-Identifier: Apache-2.0
// tetc verify NET.te --against=OTHER.te --samples=SET: how far a network is from another that it was made of. Both run
// without their schedules, compiled, with every layer as an output: what a schedule makes of a network is the same by
// construction. Layers are the stages that both texts declare under one name. Integers of the first network stand for
// multiples of a scale: the text's constant LAYER_scale, or where it has none, the one of the least squared error.
#include "driver/driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What was seen of a layer; x: the other network's values, q: ours.
typedef struct Layer {
  const char *name;
  const Array *ours, *theirs;
  bool integers;          // ours are, theirs are not: scale is of interest
  bool fitted;            // the scale is by least squares
  double scale;           // of an integer
  double xx, xq, qq, ee;  // sums of squares and products; ee: of errors
  double largest;         // error
  int64_t sample, at;     // where: the sample, the element
  int64_t elems, clipped; // how many; whose value the integers' type does not reach
  double least, most;     // what the type reaches, of multiples of the scale
} Layer;

typedef struct Against {
  Driver *d;
  Plain *ours, *theirs;
  const char *ours_name, *theirs_name;
  const char *input; // its name
  Values set;
  int64_t samples, each; // in the set; in a call
  Values labels;         // data NULL: none are given
  VEC(Layer) layers;
  const Array *classes[2]; // the output that classifies, ours and theirs; NULL: there is none
  int64_t same, right[2];  // samples of the same class; of the class of the label
} Against;

// ---- both networks ------------------------------------------------------------------------------------------------

static const TeTensor *tensor_named(const TeKernel *k, const char *name) {
  for (int i = 0; i < k->ntensors; i++)
    if (!strcmp(k->tensors[i]->name, name)) return k->tensors[i];
  return NULL;
}

// Whether it is a line of the text: a stage that is not inside a call.
static bool is_layer(const TeTensor *t) { return t->body && !strchr(t->name, '.') && !t->lanes; }

static bool same_shape(const TeTensor *a, const TeTensor *b) {
  bool same = a->naxes == b->naxes;
  for (int i = 0; same && i < a->naxes; i++) same = a->axes[i]->extent == b->axes[i]->extent;
  return same;
}

// The layers that both have.
static const char **common_layers(Arena *a, const TeKernel *x, const TeKernel *y, int *n) {
  VEC(const char *) names = {0};
  for (int i = 0; i < x->ntensors; i++) {
    const TeTensor *t = tensor_named(y, x->tensors[i]->name);
    if (t && is_layer(x->tensors[i]) && is_layer(t) && same_shape(x->tensors[i], t)) VEC_PUSH(a, names, t->name);
  }
  *n = (int)names.len;
  return names.data;
}

// The kernel of a text, checked; NULL after a report.
static const TeKernel *load_kernel(Driver *d, const Source *src, Session **s) {
  *s = session_new(d);
  if (!src || !session_load_source(*s, src)) return NULL;
  if ((*s)->c.kernels.len == 1) return (*s)->c.kernels.data[0];
  Diag *g = diag_report(d->cx.diags, E_NO_KERNEL, (Loc){0}, "`%s` has %zu kernels", src->path, (*s)->c.kernels.len);
  diag_help(g, "`--kernel=NAME` says which one is meant");
  return NULL;
}

// A number among the text's constants; 0: there is none.
static double constant_named(const TeModule *m, const char *name) {
  for (int i = 0; i < m->nconsts; i++)
    if (!strcmp(m->consts[i].name, name) && m->consts[i].value.kind == VALUE_FLOAT) return m->consts[i].value.f;
  return 0;
}

// The same of the arrays that the text imports, where `tetc quantise` writes them.
static double array_named(Ctx *cx, const TeModule *m, const char *name) {
  const TeImport *list;
  int n = te_imports(cx, m, &list);
  for (int i = 0; i < n; i++)
    for (int k = 0; list[i].arrays && k < arrays_count(list[i].arrays); k++) {
      Array want = {.name = name, .type = DT_F64};
      Values v;
      size_t len;
      const char *error;
      if (strcmp(arrays_name(list[i].arrays, k), name)) continue;
      const unsigned char *data = arrays_bytes(cx, list[i].arrays, k, &len, &error);
      if (data && npy_values(cx, list[i].path, &want, data, len, &v) && v.elems == 1 && v.type == DT_F64)
        return scalar_load(DT_F64, v.data).f;
    }
  return 0;
}

static bool is_open(const TeTensor *t, const Options *o) {
  for (size_t i = 0; i < o->inputs.len; i++)
    if (!strcmp(o->inputs.data[i].name, t->name)) return false;
  return t->role == TE_INPUT;
}

// The one input that --samples is for. NULL after a report.
static const TeTensor *sampled_input(Driver *d, const TeKernel *ours, const TeKernel *theirs) {
  const TeTensor *found = NULL;
  int many = 0;
  for (int i = 0; i < ours->ntensors; i++)
    if (is_open(ours->tensors[i], &d->opt)) found = ours->tensors[i], many++;
  const TeTensor *other = many == 1 ? tensor_named(theirs, found->name) : NULL;
  if (other && other->role == TE_INPUT && same_shape(found, other)) return found;
  Diag *g = NULL;
  if (many != 1) {
    g = diag_report(d->cx.diags, E_AGAINST, ours->name_loc, "`%s` has %d inputs that `--samples` could be for",
                    ours->name, many);
    diag_help(g, "it is for one; the others are given by `--input NAME=...`");
    return NULL;
  }
  g = diag_report(d->cx.diags, E_AGAINST, found->name_loc, "`%s` has no input `%s` of the same shape", theirs->name,
                  found->name);
  if (other) diag_also(g, other->name_loc, "this is another one");
  diag_help(g, "two networks are compared by inputs of the same names and shapes");
  return NULL;
}

static void add_layer(Against *a, const TeModule *m, const char *name) {
  Layer l = {.name = name, .ours = plain_array(a->ours, name), .theirs = plain_array(a->theirs, name), .scale = 1};
  l.integers = !dtype_is_float(l.ours->type) && dtype_is_float(l.theirs->type);
  int bits = dtype_bits(l.ours->type);
  bool sign = dtype_is_signed(l.ours->type);
  l.least = sign ? -ldexp(1, bits - 1) : 0;
  l.most = ldexp(1, bits - sign) - 1;
  const char *constant = arena_printf(a->d->cx.arena, "%s_scale", name);
  double scale = constant_named(m, constant);
  if (l.integers && !(scale > 0)) scale = array_named(&a->d->cx, m, constant);
  if (l.integers && scale > 0) l.scale = scale;
  l.fitted = l.integers && !(scale > 0);
  VEC_PUSH(a->d->cx.arena, a->layers, l);
}

// The output by which samples are classified: [classes], or [n, classes] for n samples a call.
static void find_classes(Against *a) {
  for (size_t i = a->layers.len; i-- > 0;) {
    const Array *o = a->layers.data[i].ours;
    bool one = o->ndim == 1 && a->each == 1, rows = o->ndim == 2 && o->shape[0] == a->each;
    if (tensor_named(plain_kernel(a->ours), o->name)->role != TE_OUTPUT || !(one || rows)) continue;
    if (o->shape[o->ndim - 1] < 2) continue;
    a->classes[0] = o;
    a->classes[1] = a->layers.data[i].theirs;
    return;
  }
}

// ---- the samples --------------------------------------------------------------------------------------------------

// How many samples a call takes. False after a report.
static bool find_each(Against *a, const Array *in) {
  Ctx *cx = &a->d->cx;
  const Values *s = &a->set;
  const char *shape = array_type_text(cx->arena, s->type, s->ndim, s->shape);
  if (!s->ndim || !s->shape[0])
    return values_diag(cx, s->from, in, "it is %s: there are no samples in it", shape), false;
  a->samples = s->shape[0];
  a->each = s->ndim == in->ndim && in->shape[0] > 1 ? in->shape[0] : 1;
  if (a->samples % a->each == 0) return true;
  Diag *g = values_diag(cx, s->from, in, "its %lld samples are no multiple of the %lld that `%s` takes",
                        (long long)a->samples, (long long)a->each, in->name);
  diag_help(g, "let the network take one at a time: `-D n=1`, where its text has `param n`");
  return false;
}

static bool read_labels(Against *a) {
  Ctx *cx = &a->d->cx;
  const Options *o = &a->d->opt;
  if (!o->labels) return true;
  if (!values_read(cx, o->labels, NULL, &a->labels)) return false;
  const Values *l = &a->labels;
  const char *shape = array_type_text(cx->arena, l->type, l->ndim, l->shape);
  Diag *g = NULL;
  if (!a->classes[0]) {
    g = diag_report(cx->diags, E_AGAINST, (Loc){0},
                    "no output of both networks tells classes: there is nothing to hold "
                    "`--labels` to");
    diag_help(g, "such an output is [classes] or [n, classes]; leave `--labels` out");
  } else if (dtype_is_float(l->type) || l->elems != a->samples) {
    g = values_diag(cx, l->from, NULL, "it is %s, and labels are %lld integers: one for each sample", shape,
                    (long long)a->samples);
    diag_help(g, "in numpy: `labels.astype(\"int32\")`, of the samples in their order");
  }
  return !g;
}

static bool fill_inputs(Against *a, Plain *p, int64_t first) {
  Ctx *cx = &a->d->cx;
  Values part = values_part(cx->arena, &a->set, first, a->each == 1 ? 0 : a->each);
  return values_fill(cx, &part, &a->d->opt.scale, plain_array(p, a->input));
}

// The inputs beside the one that --samples is for.
static bool fill_others(Against *a, Plain *p) {
  const TeKernel *k = plain_kernel(p);
  for (int i = 0; i < k->ntensors; i++)
    if (k->tensors[i]->role == TE_INPUT && strcmp(k->tensors[i]->name, a->input) &&
        !input_fill(a->d, plain_array(p, k->tensors[i]->name)))
      return false;
  return true;
}

static double value_at(const Array *a, int64_t i) {
  Scalar v = scalar_load(a->type, (const char *)a->data + (size_t)i * (size_t)dtype_bytes(a->type));
  return dtype_is_float(a->type) ? v.f : scalar_cast(DT_F64, a->type, v).f;
}

// Of what the scale is found by.
static void note_products(Layer *l) {
  for (int64_t i = 0; i < l->ours->elems; i++) {
    double q = value_at(l->ours, i), x = value_at(l->theirs, i);
    l->xq += x * q;
    l->qq += q * q;
  }
}

static void note_errors(Layer *l, int64_t sample, int64_t each) {
  for (int64_t i = 0; i < l->ours->elems; i++) {
    double q = value_at(l->ours, i), x = value_at(l->theirs, i), e = fabs(q * l->scale - x);
    if (e > l->largest || (isnan(e) && !isnan(l->largest))) {
      l->largest = e;
      l->sample = sample + i / (l->ours->elems / each);
      l->at = i % (l->ours->elems / each);
    }
    l->xx += x * x;
    l->ee += e * e;
    // Half a step beyond is rounded to the last; below 0 nothing is lost of what is never negative.
    l->clipped += l->integers && (x > (l->most + 0.5) * l->scale || x < (l->least - 0.5) * l->scale);
  }
  l->elems += l->ours->elems;
}

// The first of the greatest; what is no number is no greatest.
static int64_t top_class(const Array *a, int64_t row) {
  int64_t n = a->shape[a->ndim - 1], top = 0;
  double best = NAN;
  for (int64_t c = 0; c < n; c++) {
    double v = value_at(a, row * n + c);
    if (v > best || (isnan(best) && !isnan(v))) best = v, top = c;
  }
  return top;
}

static void note_classes(Against *a, int64_t first) {
  for (int64_t row = 0; a->classes[0] && row < a->each; row++) {
    int64_t top[2] = {top_class(a->classes[0], row), top_class(a->classes[1], row)};
    a->same += top[0] == top[1];
    if (!a->labels.data) continue;
    size_t size = (size_t)dtype_bytes(a->labels.type);
    Scalar want = scalar_load(a->labels.type, (const char *)a->labels.data + (size_t)(first + row) * size);
    for (int i = 0; i < 2; i++) a->right[i] += top[i] == want.i;
  }
}

// All samples through both: to find scales, or to compare.
static bool run_samples(Against *a, bool compare) {
  Meter p = meter_start(&a->d->opt, compare ? "compared" : "scaled", a->samples);
  for (int64_t first = 0; first < a->samples; first += a->each) {
    if (!fill_inputs(a, a->ours, first) || !fill_inputs(a, a->theirs, first)) return meter_end(&p), false;
    if (!plain_run(a->ours) || !plain_run(a->theirs)) return meter_end(&p), false;
    for (size_t i = 0; i < a->layers.len; i++)
      if (compare) note_errors(&a->layers.data[i], first, a->each);
      else note_products(&a->layers.data[i]);
    if (compare) note_classes(a, first);
    meter_step(&p, first + a->each);
  }
  meter_end(&p);
  return true;
}

// ---- what came of it ----------------------------------------------------------------------------------------------

// Decibels of the signal over the error: infinite where there is none, no number where a value is none.
static double layer_sqnr(const Layer *l) { return l->ee == 0 && l->xx == 0 ? INFINITY : 10 * log10(l->xx / l->ee); }

static const char *sqnr_text(Arena *a, double db) {
  return isnan(db) ? "no number" : db == INFINITY ? "exact" : arena_printf(a, "%.2f dB", db);
}

static void tell_layers(const Against *a, Text *out) {
  Arena *arena = out->arena;
  bool fitted = false;
  int width = 5;
  for (size_t i = 0; i < a->layers.len; i++) {
    int n = (int)strlen(a->layers.data[i].name);
    width = n > width ? n : width;
  }
  text_add(out, "%-*s  %13s  %10s  %9s  %13s  %s\n", width, "layer", "scale", "SQNR", "clipped", "largest error",
           "where");
  for (size_t i = 0; i < a->layers.len; i++) {
    const Layer *l = &a->layers.data[i];
    const char *scale = l->integers ? arena_printf(arena, "%s%.6g", l->fitted ? "~" : "", l->scale) : "-";
    const char *clipped =
        l->integers ? arena_printf(arena, "%.3f %%", 100 * (double)l->clipped / (double)l->elems) : "-";
    const char *where =
        l->largest == 0 ? "-"
                        : arena_printf(arena, "%s of sample %lld",
                                       index_text(arena, l->ours->ndim, l->ours->shape, l->at), (long long)l->sample);
    text_add(out, "%-*s  %13s  %10s  %9s  %13.5g  %s\n", width, l->name, scale, sqnr_text(arena, layer_sqnr(l)),
             clipped, l->largest, where);
    fitted |= l->fitted;
  }
  if (fitted)
    text_add(out, "~: `%s` has no constant LAYER_scale: this is the scale of the least squared error\n", a->ours_name);
}

static double percent(int64_t n, int64_t of) { return 100 * (double)n / (double)of; }

static void tell_classes(const Against *a, Text *out) {
  if (!a->classes[0]) return;
  text_add(out, "agreement: %lld of %lld samples have the same class by `%s`: %.2f %%\n", (long long)a->same,
           (long long)a->samples, a->classes[0]->name, percent(a->same, a->samples));
  if (!a->labels.data) return;
  text_add(out, "accuracy: %lld of %lld: %.2f %%; of %s %lld: %.2f %%\n", (long long)a->right[0], (long long)a->samples,
           percent(a->right[0], a->samples), a->theirs_name, (long long)a->right[1], percent(a->right[1], a->samples));
}

// A bar of the command line that is not reached.
static void below(Against *a, const char *option, double bar, const char *what, double is, const char *unit) {
  Diag *g =
      diag_report(a->d->cx.diags, E_AGAINST, (Loc){0}, "%s is %.2f %s: `%s` asks for %g", what, is, unit, option, bar);
  diag_help(g, "the table above shows which layers lose most; other scales, or floats for them, lose less");
}

static void hold_to_bars(Against *a) {
  const Options *o = &a->d->opt;
  Arena *arena = a->d->cx.arena;
  VEC(const char *) low = {0};
  double least = INFINITY;
  for (size_t i = 0; o->min_sqnr && i < a->layers.len; i++) {
    double db = layer_sqnr(&a->layers.data[i]);
    if (db >= o->bars[2]) continue;
    if (!low.len || isnan(db) || db < least) least = db;
    VEC_PUSH(arena, low, a->layers.data[i].name);
  }
  if (low.len) {
    Text t = {.arena = arena};
    for (size_t i = 0; i < low.len && i < 8; i++) text_add(&t, "%s`%s`", i ? ", " : "", low.data[i]);
    if (low.len > 8) text_add(&t, " and %zu more", low.len - 8);
    below(a, "--min-sqnr", o->bars[2], arena_printf(arena, "the SQNR of %s", t.data), least,
          low.len > 1 ? "dB at the least" : "dB");
  }
  double agreement = percent(a->same, a->samples), accuracy = percent(a->right[0], a->samples);
  if (o->min_agreement && agreement < o->bars[0])
    below(a, "--min-agreement", o->bars[0], "the agreement", agreement, "%");
  if (o->min_accuracy && accuracy < o->bars[1]) below(a, "--min-accuracy", o->bars[1], "the accuracy", accuracy, "%");
}

// What cannot be told.
static bool bars_fit(Against *a) {
  const Options *o = &a->d->opt;
  if (a->classes[0] || !(o->min_agreement || o->min_accuracy)) return true;
  Diag *g = diag_report(a->d->cx.diags, E_AGAINST, (Loc){0},
                        "no output of both networks tells classes: there is nothing "
                        "to hold `--min-%s` to",
                        o->min_agreement ? "agreement" : "accuracy");
  diag_help(g, "such an output is [classes] or [n, classes] under the same name in both");
  return false;
}

static bool open_both(Against *a, const Source *ours, const Source *theirs) {
  Driver *d = a->d;
  Session *s, *other;
  int n;
  const TeKernel *x = load_kernel(d, ours, &s), *y = x ? load_kernel(d, theirs, &other) : NULL;
  const TeTensor *in = y ? sampled_input(d, x, y) : NULL;
  if (!in) return false;
  const char **layers = common_layers(d->cx.arena, x, y, &n);
  if (!n) {
    Diag *g =
        diag_report(d->cx.diags, E_AGAINST, x->name_loc, "`%s` and `%s` have no layer in common", x->name, y->name);
    diag_help(g, "a layer is a stage that both declare under one name, of one shape");
    return false;
  }
  a->ours_name = x->name;
  a->theirs_name = !strcmp(x->name, y->name) ? path_base(theirs->path) : y->name;
  a->input = in->name;
  a->ours = plain_open(d, ours, NULL, x->name, layers, n);
  a->theirs = a->ours ? plain_open(d, theirs, NULL, y->name, layers, n) : NULL;
  for (int i = 0; a->theirs && i < n; i++) add_layer(a, s->c.module, layers[i]);
  return a->theirs != NULL;
}

static bool compare(Against *a) {
  Driver *d = a->d;
  const Array *in = plain_array(a->ours, a->input);
  bool fit = false;
  if (!values_read(&d->cx, d->opt.samples, in, &a->set) || !find_each(a, in)) return false;
  find_classes(a);
  if (!read_labels(a) || !bars_fit(a) || !fill_others(a, a->ours) || !fill_others(a, a->theirs)) return false;
  for (size_t i = 0; i < a->layers.len; i++) fit |= a->layers.data[i].fitted;
  if (fit && !run_samples(a, false)) return false;
  for (size_t i = 0; i < a->layers.len; i++) {
    Layer *l = &a->layers.data[i];
    if (l->fitted) l->scale = l->qq > 0 && l->xq > 0 ? l->xq / l->qq : 1;
  }
  return run_samples(a, true);
}

int verify_against(Driver *d) {
  Against a = {.d = d};
  const Source *ours = session_read(d, d->opt.files.data[0]), *theirs = session_read(d, d->opt.against);
  if (ours && theirs && open_both(&a, ours, theirs) && compare(&a)) {
    Text t = {.arena = d->cx.arena};
    text_add(&t, "%s against %s, %lld samples of %s\n", a.ours_name, a.theirs_name, (long long)a.samples, a.set.from);
    tell_layers(&a, &t);
    tell_classes(&a, &t);
    fputs(t.data, stdout);
    hold_to_bars(&a);
  }
  if (a.ours) plain_close(a.ours);
  if (a.theirs) plain_close(a.theirs);
  return driver_status(d);
}

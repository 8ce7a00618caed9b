// SPDX-License-Identifier: Apache-2.0
// --labels: names of classes, a text with one a line, and the likeliest of them, by an output [classes] or
// [n, classes].
#include "driver/driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 5 };

typedef struct Labels {
  VEC(const char *) names;
} Labels;

static bool read_labels(Driver *d, Labels *out) {
  Arena *a = d->cx.arena;
  size_t len = 0;
  const unsigned char *text = file_bytes(&d->cx, d->opt.labels, &len);
  *out = (Labels){0};
  for (size_t at = 0, end; text && at < len; at = end + 1) {
    for (end = at; end < len && text[end] != '\n'; end++) {
      if ((text[end] >= ' ' && text[end] != 127) || text[end] == '\t' || text[end] == '\r') continue;
      Diag *g = values_diag(&d->cx, d->opt.labels, NULL, "it is no text: there is a byte %d in line %zu", text[end],
                            out->names.len + 1);
      diag_help(g, "names of classes are a text, with one a line");
      return false;
    }
    size_t n = end > at && text[end - 1] == '\r' ? end - at - 1 : end - at;
    VEC_PUSH(a, out->names, arena_printf(a, "%.*s", (int)n, (const char *)text + at));
  }
  return text != NULL;
}

static int64_t classes_of(const Array *a) { return a->ndim == 1 || a->ndim == 2 ? a->shape[a->ndim - 1] : 0; }

// The output that has as many classes as there are labels; NULL after a report.
static const Array *find_output(Driver *d, const Array *const *outputs, int n, const Labels *l) {
  const Array *found = NULL;
  int many = 0;
  Text t = {.arena = d->cx.arena};
  for (int i = 0; i < n; i++) {
    const Array *o = outputs[i];
    if (classes_of(o) == (int64_t)l->names.len) found = o, many++;
    text_add(&t, "%s`%s`, %s", i ? "; " : "", o->name, array_type_text(d->cx.arena, o->type, o->ndim, o->shape));
  }
  if (many == 1) return found;
  Diag *g = values_diag(&d->cx, d->opt.labels, NULL, "%s has %zu classes, as many as it has lines",
                        many ? "more than one output" : "no output", l->names.len);
  diag_note(g, "the outputs are %s", t.data);
  diag_help(g, "classes are told of an output [classes] or [n, classes], with one line for each class");
  return NULL;
}

static double value_at(const Array *a, int64_t i) {
  Scalar v = scalar_load(a->type, (const char *)a->data + (size_t)i * (size_t)dtype_bytes(a->type));
  return scalar_cast(DT_F64, a->type, v).f;
}

// The likeliest classes of one row; of equal ones the first. What is no number comes last.
static void tell_row(const Array *a, int64_t row, const Labels *l, Text *out) {
  int64_t n = classes_of(a), top[TOP], count = n < TOP ? n : TOP;
  for (int64_t k = 0; k < count; k++) {
    top[k] = -1;
    for (int64_t c = 0; c < n; c++) {
      bool taken = false;
      for (int64_t j = 0; j < k; j++) taken |= top[j] == c;
      if (taken) continue;
      double v = value_at(a, row * n + c), best = top[k] < 0 ? 0 : value_at(a, row * n + top[k]);
      if (top[k] < 0 || v > best || (isnan(best) && !isnan(v))) top[k] = c;
    }
    text_add(out, "%12.6g  %s (%lld)\n", value_at(a, row * n + top[k]), l->names.data[top[k]], (long long)top[k]);
  }
}

bool classes_tell(Driver *d, const Array *const *outputs, int noutputs, Text *out) {
  Labels l;
  const Array *a = read_labels(d, &l) ? find_output(d, outputs, noutputs, &l) : NULL;
  if (!a) return false;
  int64_t rows = a->elems / classes_of(a);
  for (int64_t row = 0; row < rows; row++) {
    if (rows > 1) text_add(out, "%s[%lld]:\n", a->name, (long long)row);
    else text_add(out, "%s:\n", a->name);
    tell_row(a, row, &l, out);
  }
  return true;
}

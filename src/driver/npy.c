// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files, versions 1.0 to 3.0: 6 bytes of magic, 2 of version, the length of the header (2 bytes in
// version 1, else 4), the header (a Python dictionary of descr, fortran_order and shape), the elements. What is not
// exactly that, in little-endian order and of one of our types, is refused with E0602.
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NDIM = 32, MAX_HEADER = 1 << 20 };

// The header as it is read.
typedef struct Npy {
  Ctx *cx;
  const char *path;
  const Array *want;    // for messages; may be NULL
  const char *at, *end; // what is left of the dictionary
  bool has_descr, has_order, has_shape, fortran;
  const char *descr;
  int ndim;
  int64_t shape[MAX_NDIM];
} Npy;

// Reports what is wrong, and what was expected.
PRINTF_LIKE(2, 3) static bool npy_error(const Npy *p, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *what = arena_vprintf(p->cx->arena, fmt, ap);
  va_end(ap);
  values_diag(p->cx, p->path, p->want, "%s", what);
  return false;
}

static void skip_spaces(Npy *p) {
  while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n')) p->at++;
}

// Takes one character if it is next.
static bool take(Npy *p, char c) {
  skip_spaces(p);
  if (p->at == p->end || *p->at != c) return false;
  p->at++;
  return true;
}

// A quoted string without escapes; NULL if there is none.
static const char *take_string(Npy *p) {
  skip_spaces(p);
  if (p->at == p->end || (*p->at != '\'' && *p->at != '"')) return NULL;
  char quote = *p->at++;
  const char *start = p->at;
  while (p->at < p->end && *p->at != quote && *p->at != '\\') p->at++;
  if (p->at == p->end || *p->at != quote) return NULL;
  return arena_printf(p->cx->arena, "%.*s", (int)(p->at++ - start), start);
}

static bool take_word(Npy *p, const char *word) {
  skip_spaces(p);
  size_t n = strlen(word);
  if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n)) return false;
  p->at += n;
  return true;
}

// A size: digits, with the `L` that Python 2 writes.
static bool take_size(Npy *p, int64_t *out) {
  skip_spaces(p);
  const char *start = p->at;
  *out = 0;
  for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
    if (!mul_ok(*out, 10, out) || !add_ok(*out, *p->at - '0', out)) return false;
  if (p->at == start) return false;
  if (p->at < p->end && *p->at == 'L') p->at++;
  return true;
}

// `(1, 4, 56)`, `(3,)`, `()`.
static bool parse_shape(Npy *p) {
  if (!take(p, '(')) return npy_error(p, "its `shape` is no tuple");
  bool comma = true;
  while (!take(p, ')')) {
    if (!comma || p->ndim == MAX_NDIM || !take_size(p, &p->shape[p->ndim]))
      return npy_error(p, "its `shape` is malformed");
    p->ndim++;
    comma = take(p, ',');
  }
  if (p->ndim == 1 && !comma) return npy_error(p, "its `shape` is malformed");
  return true;
}

// One `'key': value`.
static bool parse_entry(Npy *p) {
  const char *key = take_string(p);
  if (!key || !take(p, ':')) return npy_error(p, "its header is malformed");
  bool *seen = !strcmp(key, "descr")           ? &p->has_descr
               : !strcmp(key, "fortran_order") ? &p->has_order
               : !strcmp(key, "shape")         ? &p->has_shape
                                               : NULL;
  if (!seen) return npy_error(p, "its header has an unknown key `%s`", key);
  if (*seen) return npy_error(p, "its header has `%s` twice", key);
  *seen = true;
  if (seen == &p->has_shape) return parse_shape(p);
  if (seen == &p->has_descr) {
    p->descr = take_string(p);
    return p->descr ? true : npy_error(p, "its elements are records; plain numbers are read");
  }
  p->fortran = take_word(p, "True");
  return p->fortran || take_word(p, "False") ? true : npy_error(p, "its `fortran_order` is neither True nor False");
}

// The dictionary, to the end of the header.
static bool parse_header(Npy *p) {
  if (!take(p, '{')) return npy_error(p, "its header is malformed");
  bool comma = true;
  while (!take(p, '}')) {
    if (!comma) return npy_error(p, "its header is malformed");
    if (!parse_entry(p)) return false;
    comma = take(p, ',');
  }
  skip_spaces(p);
  if (p->at != p->end) return npy_error(p, "its header goes on after the dictionary");
  if (!p->has_descr || !p->has_order || !p->has_shape)
    return npy_error(p, "its header lacks `%s`", !p->has_descr ? "descr" : !p->has_order ? "fortran_order" : "shape");
  return true;
}

// numpy's letter for a type's class.
static char kind_letter(DType t) {
  if (t == DT_BOOL) return 'b';
  if (dtype_is_float(t)) return 'f';
  return dtype_is_signed(t) ? 'i' : 'u';
}

// The type of the elements, in little-endian order.
static bool parse_type(const Npy *p, DType *out) {
  char order = p->descr[0];
  if (!order || !strchr("<>|=", order)) return npy_error(p, "its type `%s` is not understood", p->descr);
  for (int t = 0; t < DT_COUNT; t++) {
    if (p->descr[1] != kind_letter((DType)t)) continue;
    if (strcmp(p->descr + 2, arena_printf(p->cx->arena, "%d", dtype_bytes((DType)t)))) continue;
    *out = (DType)t;
    return order != '>' || dtype_bytes(*out) == 1 || npy_error(p, "it is big-endian (`%s`)", p->descr);
  }
  return npy_error(p, "its type `%s` is none of ours", p->descr);
}

// Copies Fortran order (first index fastest) into C order.
static void copy_fortran(const Values *v, unsigned char *into, const unsigned char *from) {
  int64_t index[MAX_NDIM] = {0}, stride[MAX_NDIM], step = 1, at = 0;
  size_t size = (size_t)dtype_bytes(v->type);
  for (int i = 0; i < v->ndim; i++) stride[i] = step, step *= v->shape[i];
  for (int64_t n = 0; n < v->elems; n++) {
    memcpy(into + (size_t)n * size, from + (size_t)at * size, size);
    for (int i = v->ndim - 1; i >= 0; i--) {
      at += stride[i];
      if (++index[i] < v->shape[i]) break;
      at -= stride[i] * v->shape[i];
      index[i] = 0;
    }
  }
}

// Takes the elements; a bool is any byte that is not 0.
static bool take_elements(const Npy *p, const unsigned char *data, size_t len, Values *out) {
  Arena *a = p->cx->arena;
  int64_t bytes = dtype_bytes(out->type);
  out->elems = 1;
  out->ndim = p->ndim;
  out->shape = arena_copy(a, p->shape, sizeof p->shape);
  for (int i = 0; i < p->ndim; i++)
    if (!mul_ok(out->elems, p->shape[i], &out->elems)) return npy_error(p, "its shape is of too many elements");
  if (!mul_ok(bytes, out->elems, &bytes)) return npy_error(p, "its shape is of too many elements");
  if (len < (size_t)bytes) return npy_error(p, "it is cut short: %zu of %lld bytes of elements", len, (long long)bytes);
  if (len > (size_t)bytes) return npy_error(p, "it goes on after its %lld bytes of elements", (long long)bytes);
  out->data = data;
  if (!p->fortran && out->type != DT_BOOL) return true;
  unsigned char *own = arena_alloc(a, (size_t)bytes + 1);
  if (p->fortran) copy_fortran(out, own, data);
  else memcpy(own, data, (size_t)bytes);
  for (int64_t i = 0; out->type == DT_BOOL && i < out->elems; i++) own[i] = own[i] != 0;
  out->data = own;
  return true;
}

bool npy_values(Ctx *cx, const char *path, const Array *want, const unsigned char *data, size_t len, Values *out) {
  Npy p = {.cx = cx, .path = path, .want = want};
  *out = (Values){.from = path};
  if (len < 10 || memcmp(data, "\x93NUMPY", 6)) return npy_error(&p, "it is no .npy file");
  if (data[6] < 1 || data[6] > 3 || data[7] != 0) return npy_error(&p, "its version is %d.%d", data[6], data[7]);
  size_t start = data[6] == 1 ? 10 : 12, header = data[8] | (size_t)data[9] << 8;
  if (data[6] > 1 && len >= 12) header |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
  if (header > MAX_HEADER) return npy_error(&p, "its header claims %zu bytes", header);
  if (len < start || len - start < header) return npy_error(&p, "it is cut short in its header");
  p.at = (const char *)data + start;
  p.end = p.at + header;
  if (!parse_header(&p) || !parse_type(&p, &out->type)) return false;
  return take_elements(&p, data + start + header, len - start - header, out);
}

// Version 1.0, C order; the elements start at a multiple of 64 bytes.
void npy_format(const Array *a, Text *out) {
  Text h = {.arena = out->arena};
  int bytes = dtype_bytes(a->type);
  text_add(&h, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (", bytes == 1 ? '|' : '<', kind_letter(a->type),
           bytes);
  for (int i = 0; i < a->ndim; i++) text_add(&h, "%s%lld", i ? ", " : "", (long long)a->shape[i]);
  text_add(&h, "%s), }", a->ndim == 1 ? "," : "");
  while ((10 + h.len + 1) % 64) text_add(&h, " ");
  text_add(&h, "\n");
  const char magic[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(h.len & 255), (char)(h.len >> 8)};
  text_add_bytes(out, magic, sizeof magic);
  text_add_bytes(out, h.data, h.len);
  text_add_bytes(out, a->data, (size_t)a->elems * (size_t)bytes);
}

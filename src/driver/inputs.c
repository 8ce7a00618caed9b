// SPDX-License-Identifier: Apache-2.0
// Arrays of a run: allocation, and inputs without files. Random values depend on the seed and the tensor's name alone:
// int8 and uint8 take their full range, wider integers -1000 .. 1000 (unsigned: 0 .. 1000), floats [-1, 1).
#include "driver/driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// splitmix64 (Steele, Lea, Flood 2014).
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// FNV-1a over bytes.
static uint64_t hash_bytes(uint64_t h, const void *data, size_t n) {
  const unsigned char *p = data;
  for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
  return h;
}

enum { MOST_DIMS = 64 };

// "int8[1, 4, 56]".
const char *array_type_text(Arena *a, DType t, int ndim, const int64_t *shape) {
  Text out = {.arena = a};
  text_add(&out, "%s[", dtype_name(t));
  for (int i = 0; i < ndim; i++) text_add(&out, "%s%lld", i ? ", " : "", (long long)shape[i]);
  text_add(&out, "]");
  return out.data;
}

// A zeroed array for a tensor. More than the machine's memory is refused before the system kills us for it.
bool array_alloc(Ctx *cx, Array *a, const TeTensor *t) {
  int64_t *shape = NEW_ARRAY(cx->arena, int64_t, t->naxes), bytes;
  for (int i = 0; i < t->naxes; i++) shape[i] = t->axes[i]->extent;
  *a = (Array){.name = t->name, .type = t->type, .ndim = t->naxes, .shape = shape, .elems = te_tensor_elems(t)};
  int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
  bool fits = mul_ok(a->elems, dtype_bytes(a->type), &bytes) && (memory <= 0 || bytes <= memory);
  if (fits) a->data = pages_alloc((size_t)bytes, a->name);
  if (a->data) return true;
  diag_report(cx->diags, E_MEMORY, t->loc, "there is no memory for `%s`: %s", a->name,
              array_type_text(cx->arena, a->type, a->ndim, shape));
  return false;
}

void array_free(Array *a) {
  pages_free(a->data);
  a->data = NULL;
}

// One random value of type t.
static Scalar random_value(DType t, uint64_t r) {
  if (dtype_is_float(t)) return (Scalar){.f = round_float(t, (double)(r >> 11) * 0x1p-52 - 1)};
  if (t == DT_BOOL) return (Scalar){.i = (int64_t)(r >> 63)};
  if (dtype_bits(t) == 8) return (Scalar){.i = wrap_int(t, (int64_t)(r >> 56))};
  if (r % 16 == 0) { // now and then what overflows, and what 16-bit immediates cannot say
    static const int64_t edges[] = {INT64_MIN, INT64_MAX, -1, 0, 1, 32767, -32769, 65536};
    int64_t v = edges[r / 16 % 8], most = (int64_t)(UINT64_MAX >> (65 - dtype_bits(t)));
    return (Scalar){.i = wrap_int(t, v == INT64_MIN ? -most - 1 : v == INT64_MAX ? most : v)};
  }
  if (dtype_is_signed(t)) return (Scalar){.i = (int64_t)((r >> 32) * 2001 >> 32) - 1000};
  return (Scalar){.i = (int64_t)((r >> 32) * 1001 >> 32)};
}

// Fills with random values.
void array_random(Array *a, uint64_t seed) {
  uint64_t state = hash_bytes(0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u), a->name, strlen(a->name));
  size_t size = (size_t)dtype_bytes(a->type);
  for (int64_t i = 0; i < a->elems; i++)
    scalar_store(a->type, (char *)a->data + (size_t)i * size, random_value(a->type, next_random(&state)));
}

// Fills with one value, or (iota) with 0, 1, 2, ... wrapped to the type.
static void array_iota(Array *a, Scalar first, DType from, bool step) {
  size_t size = (size_t)dtype_bytes(a->type);
  for (int64_t i = 0; i < a->elems; i++) {
    Scalar v = step ? scalar_cast(a->type, DT_I64, (Scalar){.i = i}) : scalar_cast(a->type, from, first);
    scalar_store(a->type, (char *)a->data + (size_t)i * size, v);
  }
}

// const:N, for integers exactly, for floats any number.
static bool array_constant(Ctx *cx, Array *a, const char *text) {
  Scalar v;
  char *end;
  if (parse_int64(text, &v.i)) return array_iota(a, v, DT_I64, false), true;
  v.f = strtod(text, &end);
  if (end != text && !*end && dtype_is_float(a->type)) return array_iota(a, v, DT_F64, false), true;
  Diag *g = diag_report(cx->diags, E_ARGUMENT, (Loc){0}, "`const:%s` is no value for `%s`, which is %s", text, a->name,
                        dtype_name(a->type));
  diag_help(g, dtype_is_float(a->type) ? "write a number: `const:1.5`" : "write an integer: `const:1`");
  return false;
}

// Whether a description is of a file.
static bool is_file(const char *what) {
  return strcmp(what, "zero") && strcmp(what, "iota") && strncmp(what, "const:", 6) && strncmp(what, "random:", 7);
}

// Fills an input as its description says.
static bool array_fill(Ctx *cx, Array *a, const char *what, const Scale *scale) {
  int64_t seed;
  Values v;
  if (is_file(what)) return values_read(cx, what, a, &v) && values_fill(cx, &v, scale, a);
  if (!strcmp(what, "zero")) return true;
  if (!strcmp(what, "iota")) return array_iota(a, (Scalar){.i = 0}, DT_I64, true), true;
  if (!strncmp(what, "const:", 6)) return array_constant(cx, a, what + 6);
  if (parse_int64(what + 7, &seed)) return array_random(a, (uint64_t)seed), true;
  Diag *g = diag_report(cx->diags, E_ARGUMENT, (Loc){0}, "`%s` for `%s`: the seed is no integer", what, a->name);
  diag_help(g, "write an integer: `random:1`");
  return false;
}

int input_files(const Options *o) {
  int n = 0;
  for (size_t i = 0; i < o->inputs.len; i++) n += is_file(o->inputs.data[i].text);
  return n;
}

bool input_fill(Driver *d, Array *a) {
  const Options *o = &d->opt;
  for (size_t i = 0; i < o->inputs.len; i++)
    if (!strcmp(o->inputs.data[i].name, a->name)) return array_fill(&d->cx, a, o->inputs.data[i].text, &o->scale);
  return array_random(a, (uint64_t)o->seed), true;
}

// A value as text.
const char *value_text(Arena *a, DType t, Scalar v) {
  if (dtype_is_float(t)) return arena_printf(a, "%.*g", t == DT_F64 ? 17 : 9, v.f);
  if (t == DT_U64) return arena_printf(a, "%llu", (unsigned long long)v.i);
  return arena_printf(a, "%lld", (long long)v.i);
}

// `out: int8[2, 3], from -4 to 127, hash 0123456789abcdef`.
void array_summary(const Array *a, Text *out) {
  size_t size = (size_t)dtype_bytes(a->type);
  Scalar least = scalar_load(a->type, a->data), most = least;
  for (int64_t i = 1; i < a->elems; i++) {
    Scalar v = scalar_load(a->type, (char *)a->data + (size_t)i * size);
    least = scalar_binary(OP_MIN, a->type, least, v);
    most = scalar_binary(OP_MAX, a->type, most, v);
  }
  text_add(out, "%s: %s, from %s to %s, hash %016llx\n", a->name,
           array_type_text(out->arena, a->type, a->ndim, a->shape), value_text(out->arena, a->type, least),
           value_text(out->arena, a->type, most),
           (unsigned long long)hash_bytes(0xcbf29ce484222325u, a->data, (size_t)a->elems * size));
}

// How far floats of a type may be apart where functions are rounded each in its own way, relative to 1 + the larger
// magnitude.
static double tolerance(DType t) { return t == DT_F64 ? 1e-12 : t == DT_F32 ? 1e-5 : t == DT_F16 ? 1e-2 : 0; }

// Do two elements agree? Zeros have signs; a NaN is as good as another.
static bool agree(DType t, Scalar got, Scalar want, bool exact) {
  if (!dtype_is_float(t)) return got.i == want.i;
  if (isnan(got.f) || isnan(want.f)) return isnan(got.f) && isnan(want.f);
  if (exact) return got.f == want.f && !signbit(got.f) == !signbit(want.f);
  if (got.f == want.f) return true;
  if (isinf(got.f) || isinf(want.f)) return false;
  double larger = fmax(fabs(got.f), fabs(want.f));
  return fabs(got.f - want.f) <= tolerance(t) * (1 + larger);
}

// The indices of element n: "[0, 3, 7]".
const char *index_text(Arena *arena, int ndim, const int64_t *shape, int64_t n) {
  int64_t index[MOST_DIMS];
  Text out = {.arena = arena};
  for (int i = ndim - 1; i >= 0; i--, n /= shape[i + 1])
    if (i < MOST_DIMS) index[i] = n % shape[i];
  for (int i = 0; i < ndim && i < MOST_DIMS; i++) text_add(&out, "%s%lld", i ? ", " : "[", (long long)index[i]);
  text_add(&out, "%s]", ndim ? "" : "[");
  return out.data;
}

// Compares element by element, and says what came of it.
bool array_compare(const Array *got, const Array *want, bool exact, Text *out) {
  size_t size = (size_t)dtype_bytes(got->type);
  int64_t differ = 0, first = 0;
  Scalar g, w, first_got = {.i = 0}, first_want = {.i = 0};
  for (int64_t i = 0; i < got->elems; i++) {
    g = scalar_load(got->type, (char *)got->data + (size_t)i * size);
    w = scalar_load(got->type, (char *)want->data + (size_t)i * size);
    if (agree(got->type, g, w, exact)) continue;
    if (!differ++) first = i, first_got = g, first_want = w;
  }
  const char *how = "";
  if (dtype_is_float(got->type) && !exact)
    how = arena_printf(out->arena, " (within %g * (1 + magnitude))", tolerance(got->type));
  if (!differ) text_add(out, "check: %s: %lld elements agree%s\n", got->name, (long long)got->elems, how);
  else
    text_add(out, "check: %s: %lld of %lld elements differ%s; the first at %s%s: got %s, expected %s\n", got->name,
             (long long)differ, (long long)got->elems, how, got->name,
             index_text(out->arena, got->ndim, got->shape, first), value_text(out->arena, got->type, first_got),
             value_text(out->arena, got->type, first_want));
  return !differ;
}

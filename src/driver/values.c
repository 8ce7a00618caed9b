// SPDX-License-Identifier: Apache-2.0
// Files of values as inputs: FILE.npy, FILE.npz:ARRAY, FILE.png, and of a set, [3] or [0:8] behind that. What is read
// is made what the tensor wants: its type, its shape but for leading extents of 1, scaled by --mean and --std. A value
// that the type does not have is refused (floats are rounded); what is missing or left over is, too.
#include "driver/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Diag *values_diag(Ctx *cx, const char *from, const Array *want, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *what = arena_vprintf(cx->arena, fmt, ap);
  va_end(ap);
  Diag *g = diag_report(cx->diags, E_NPY, (Loc){0}, "`%s`: %s", from, what);
  if (want)
    diag_note(g, "expected values (a .npy file of versions 1.0 to 3.0, little-endian) of %s for `%s`",
              array_type_text(cx->arena, want->type, want->ndim, want->shape), want->name);
  return g;
}

// ---- what is named --------------------------------------------------------------------------------------------------

typedef enum FileKind { KIND_NPY, KIND_NPZ, KIND_PNG } FileKind;

// A description in its parts.
typedef struct Place {
  FileKind kind;
  const char *file, *array; // array: NULL: not named
  bool part, single;        // [first], [first:end]
  int64_t first, end;
} Place;

static bool ends_in(const char *text, size_t len, const char *suffix) {
  size_t n = strlen(suffix);
  return len >= n && !strncasecmp(text + len - n, suffix, n);
}

// The end of the file's name in FILE.npz:ARRAY, or the whole.
static size_t file_length(const char *text, size_t len) {
  for (size_t at = len; at-- > 0;)
    if (text[at] == ':' && ends_in(text, at, ".npz")) return at;
  return len;
}

// The `[3]` or `[0:8]` at the end of FILE.npy or FILE.npz:ARRAY; false: there is none. A bad one has first -1.
static bool cut_part(const char *what, size_t *len, Place *p) {
  size_t open = *len;
  if (!*len || what[*len - 1] != ']') return false;
  while (open > 0 && what[open - 1] != '[') open--;
  if (!open) return false;
  size_t name = open - 1, file = file_length(what, name);
  if (!ends_in(what, file, ".npz") && !ends_in(what, file, ".npy")) return false;
  const char *at = what + open;
  char *end;
  *len = name;
  p->part = true;
  p->first = -1;
  if (*at < '0' || *at > '9') return true;
  errno = 0;
  int64_t first = strtoll(at, &end, 10), last = first + (first < INT64_MAX);
  p->single = *end != ':';
  if (!p->single && end[1] >= '0' && end[1] <= '9') last = strtoll(end + 1, &end, 10);
  if (errno || strcmp(end, "]") || last <= first) return true;
  p->first = first;
  p->end = last;
  return true;
}

static Place place_of(Arena *a, const char *what) {
  Place p = {0};
  size_t len = strlen(what);
  cut_part(what, &len, &p);
  size_t file = file_length(what, len);
  p.file = arena_printf(a, "%.*s", (int)file, what);
  if (file < len) p.array = arena_printf(a, "%.*s", (int)(len - file - 1), what + file + 1);
  p.kind = ends_in(what, file, ".npz") ? KIND_NPZ : ends_in(what, file, ".png") ? KIND_PNG : KIND_NPY;
  return p;
}

// ---- reading --------------------------------------------------------------------------------------------------------

const unsigned char *file_bytes(Ctx *cx, const char *path, size_t *len) {
  struct stat st;
  bool is_stdin = !strcmp(path, "-");
  int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  const char *error = NULL;
  Text data = {.arena = cx->arena};
  char *block = arena_alloc(cx->arena, 1 << 16);
  if (fd < 0 || fstat(fd, &st)) error = strerror(errno);
  else if (S_ISDIR(st.st_mode)) error = "it is a directory";
  for (ssize_t n = 1; !error && n != 0;) {
    n = read(fd, block, 1 << 16);
    if (n < 0 && errno != EINTR) error = strerror(errno);
    if (n > 0) text_add_bytes(&data, block, (size_t)n);
  }
  if (fd >= 0 && !is_stdin) close(fd);
  *len = data.len;
  if (!error) return (const unsigned char *)(data.data ? data.data : "");
  diag_report(cx->diags, E_FILE, (Loc){0}, "cannot read `%s`: %s", path, error);
  return NULL;
}

// The arrays of an archive, for messages.
static const char *array_names(Arena *arena, const Arrays *a) {
  Text t = {.arena = arena};
  for (int i = 0; i < arrays_count(a) && i < 20; i++) text_add(&t, "%s`%s`", i ? ", " : "", arrays_name(a, i));
  if (arrays_count(a) > 20) text_add(&t, ", ...");
  return t.len ? t.data : "none";
}

// Which array of the archive is meant; -1 after a report.
static int find_array(Ctx *cx, const Place *p, const Arrays *a, const Array *want) {
  Nearest near = {.wanted = p->array ? p->array : ""};
  for (int i = 0; p->array && i < arrays_count(a); i++) {
    if (!strcmp(arrays_name(a, i), p->array)) return i;
    nearest_try(&near, arrays_name(a, i));
  }
  if (!p->array && arrays_count(a) == 1) return 0;
  Diag *g = p->array ? values_diag(cx, p->file, want, "it has no array `%s`", p->array)
                     : values_diag(cx, p->file, want, "`%s:ARRAY` says which of its arrays is meant", p->file);
  diag_note(g, "it has the arrays %s", array_names(cx->arena, a));
  if (near.best) diag_help(g, "did you mean `%s:%s`?", p->file, near.best);
  return -1;
}

static bool read_archive(Ctx *cx, const Place *p, const char *from, const Array *want, Values *out) {
  const char *error = NULL;
  const Arrays *a = arrays_read(cx, p->file, &error);
  if (!a) {
    diag_report(cx->diags, E_FILE, (Loc){0}, "cannot read `%s`: %s", p->file, error);
    return false;
  }
  int i = find_array(cx, p, a, want);
  size_t len = 0;
  const unsigned char *data = i < 0 ? NULL : arrays_bytes(cx, a, i, &len, &error);
  if (i >= 0 && !data) return values_diag(cx, from, want, "%s", error), false;
  return data && npy_values(cx, from, want, data, len, out);
}

// Takes the part that the description names.
static bool take_part(Ctx *cx, const Place *p, const Array *want, Values *v) {
  if (!p->part) return true;
  if (p->first < 0)
    return values_diag(cx, v->from, want, "which part is meant is written `[3]`, or `[0:8]` for the first eight"),
           false;
  if (!v->ndim) return values_diag(cx, v->from, want, "it is a number, without parts"), false;
  if (!v->shape[0]) return values_diag(cx, v->from, want, "it has no parts: its first axis is empty"), false;
  if (p->end > v->shape[0])
    return values_diag(cx, v->from, want, "it has %lld parts, 0 to %lld: there is no part %lld", (long long)v->shape[0],
                       (long long)v->shape[0] - 1, (long long)p->end - 1),
           false;
  *v = values_part(cx->arena, v, p->first, p->single ? 0 : p->end - p->first);
  return true;
}

Values values_part(Arena *a, const Values *v, int64_t first, int64_t count) {
  Values part = *v;
  int64_t each = v->elems / v->shape[0];
  int64_t *shape = arena_copy(a, v->shape, (size_t)v->ndim * sizeof *shape);
  part.data = (const unsigned char *)v->data + (size_t)(first * each) * (size_t)dtype_bytes(v->type);
  part.elems = each * (count ? count : 1);
  part.shape = shape + !count;
  part.ndim = v->ndim - !count;
  if (count) shape[0] = count;
  part.from = count == 1 || !count ? arena_printf(a, "%s[%lld]", v->from, (long long)first) : v->from;
  return part;
}

bool values_read(Ctx *cx, const char *what, const Array *want, Values *out) {
  Place p = place_of(cx->arena, what);
  const char *from = !strcmp(p.file, "-") ? "<stdin>"
                     : p.array            ? arena_printf(cx->arena, "%s:%s", p.file, p.array)
                                          : p.file;
  bool ok;
  if (p.kind == KIND_NPZ) ok = read_archive(cx, &p, from, want, out);
  else {
    size_t len = 0;
    const unsigned char *data = file_bytes(cx, p.file, &len);
    ok = data && (p.kind == KIND_PNG ? picture_values(cx, from, want, data, len, out)
                                     : npy_values(cx, from, want, data, len, out));
  }
  return ok && take_part(cx, &p, want, out);
}

// ---- --mean, --std --------------------------------------------------------------------------------------------------

// "0.5" or "0.485,0.456,0.406"; false: it is no list of numbers.
static bool parse_numbers(Arena *a, const char *text, int *n, const double **out) {
  VEC(double) list = {0};
  for (const char *at = text;; at++) {
    char *end;
    double x = strtod(at, &end);
    if (end == at || !isfinite(x)) return false;
    VEC_PUSH(a, list, x);
    at = end;
    if (!*at) break;
    if (*at != ',') return false;
  }
  *n = (int)list.len;
  *out = list.data;
  return true;
}

int scale_parse(Driver *d, Scale *out) {
  Arena *a = d->cx.arena;
  *out = (Scale){0};
  const char *mean = d->opt.mean ? d->opt.mean : "0", *std = d->opt.std ? d->opt.std : "1";
  out->given = d->opt.mean || d->opt.std;
  if (!parse_numbers(a, mean, &out->nmean, &out->mean))
    return usage_error(d, "`--mean` takes a number, or one a channel: `0.485,0.456,0.406`, not `%s`", mean);
  if (!parse_numbers(a, std, &out->nstd, &out->std))
    return usage_error(d, "`--std` takes a number, or one a channel: `0.229,0.224,0.225`, not `%s`", std);
  for (int i = 0; i < out->nstd; i++)
    if (!(out->std[i] > 0)) return usage_error(d, "`--std` divides: it takes numbers greater than 0, not `%s`", std);
  return 0;
}

// Whether numbers, one a channel, are as many as the tensor has.
static bool check_scale(Ctx *cx, const Scale *s, const Array *into) {
  Diag *g = NULL;
  int64_t channels = into->ndim > 1 ? into->shape[1] : 1;
  if (!dtype_is_float(into->type))
    g = diag_report(cx->diags, E_NPY, (Loc){0}, "`--mean` and `--std` are for float inputs; `%s` is %s", into->name,
                    dtype_name(into->type));
  else if ((s->nmean > 1 && s->nmean != channels) || (s->nstd > 1 && s->nstd != channels))
    g = diag_report(cx->diags, E_NPY, (Loc){0}, "`%s` has %d numbers, but `%s` has %lld channel%s",
                    s->nmean > 1 && s->nmean != channels ? "--mean" : "--std",
                    s->nmean > 1 && s->nmean != channels ? s->nmean : s->nstd, into->name, (long long)channels,
                    channels == 1 ? "" : "s");
  if (!g) return true;
  diag_note(g, "`%s` is %s; channels are its second axis", into->name,
            array_type_text(cx->arena, into->type, into->ndim, into->shape));
  diag_help(g, dtype_is_float(into->type) ? "give one number for all channels, or one for each"
                                          : "leave them out: the values are taken as they are");
  return false;
}

// ---- into a tensor --------------------------------------------------------------------------------------------------

// Whether two shapes are the same but for leading extents of 1.
static bool same_shape(const int64_t *x, int nx, const int64_t *y, int ny) {
  while (nx && *x == 1) x++, nx--;
  while (ny && *y == 1) y++, ny--;
  return nx == ny && !memcmp(x, y, (size_t)nx * sizeof *x);
}

static bool check_shape(Ctx *cx, const Values *v, const Array *into) {
  if (same_shape(v->shape, v->ndim, into->shape, into->ndim)) return true;
  int n = v->ndim;
  int64_t *turned = arena_copy(cx->arena, v->shape, (size_t)(n + 1) * sizeof *turned);
  Diag *g = values_diag(cx, v->from, into, "its shape is %s", array_type_text(cx->arena, v->type, n, v->shape));
  if (n > 0 && v->shape[0] > 1 && same_shape(v->shape + 1, n - 1, into->shape, into->ndim))
    diag_help(g, "it is a set of %lld: `%s[0]` is the first of them", (long long)v->shape[0], v->from);
  if (n >= 3) {
    turned[n - 3] = v->shape[n - 1];
    turned[n - 2] = v->shape[n - 3];
    turned[n - 1] = v->shape[n - 2];
    bool all = same_shape(turned, n, into->shape, into->ndim);
    if (all || same_shape(turned + 1, n - 1, into->shape, into->ndim))
      diag_help(g, "its channels are its last axis; in numpy: `numpy.moveaxis(x, -1, -3)`");
  }
  return false;
}

// The value in another type; false where that has no such value. Floats are rounded, but not to an infinity.
static bool convert(DType to, DType from, Scalar v, Scalar *out) {
  if (dtype_is_float(to)) {
    *out = scalar_cast(to, from, v);
    return !dtype_is_float(from) || isinf(v.f) || !isinf(out->f);
  }
  if (dtype_is_float(from)) {
    // 2^63 and 2^64 are no values of 64 bits; what is below them is cast exactly
    double most = to == DT_U64 ? 0x1p64 : 0x1p63;
    if (!(v.f == trunc(v.f)) || v.f >= most || v.f < (to == DT_U64 ? 0 : -0x1p63)) return false;
  }
  *out = scalar_cast(to, from, v);
  Scalar back = scalar_cast(from, to, *out);
  if (dtype_is_float(from)) return back.f == v.f;
  bool sign = (dtype_is_signed(from) && v.i < 0) != (dtype_is_signed(to) && out->i < 0);
  return back.i == v.i && !sign;
}

static bool value_unfit(Ctx *cx, const Values *v, const Array *into, int64_t at, Scalar value) {
  return values_diag(cx, v->from, into, "%s at %s is no value of %s", value_text(cx->arena, v->type, value),
                     index_text(cx->arena, v->ndim, v->shape, at), dtype_name(into->type)),
         false;
}

// (x - mean) / std, computed in float64 and rounded once.
static void fill_scaled(const Values *v, const Scale *s, Array *into) {
  size_t from = (size_t)dtype_bytes(v->type), to = (size_t)dtype_bytes(into->type);
  int64_t inner = 1, channels = into->ndim > 1 ? into->shape[1] : 1;
  for (int i = 2; i < into->ndim; i++) inner *= into->shape[i];
  for (int64_t i = 0; i < into->elems; i++) {
    int64_t c = i / inner % channels;
    Scalar x = scalar_cast(DT_F64, v->type, scalar_load(v->type, (const char *)v->data + (size_t)i * from));
    x.f = (x.f - s->mean[s->nmean > 1 ? c : 0]) / s->std[s->nstd > 1 ? c : 0];
    scalar_store(into->type, (char *)into->data + (size_t)i * to, scalar_cast(into->type, DT_F64, x));
  }
}

bool values_fill(Ctx *cx, const Values *v, const Scale *s, Array *into) {
  size_t from = (size_t)dtype_bytes(v->type), to = (size_t)dtype_bytes(into->type);
  if (s && s->given && !check_scale(cx, s, into)) return false;
  if (!check_shape(cx, v, into)) return false;
  if (s && s->given) return fill_scaled(v, s, into), true;
  if (v->type == into->type) return memcpy(into->data, v->data, (size_t)into->elems * to), true;
  for (int64_t i = 0; i < into->elems; i++) {
    Scalar x = scalar_load(v->type, (const char *)v->data + (size_t)i * from), y;
    if (!convert(into->type, v->type, x, &y)) return value_unfit(cx, v, into, i, x);
    scalar_store(into->type, (char *)into->data + (size_t)i * to, y);
  }
  return true;
}

// SPDX-License-Identifier: Apache-2.0
// Constant tensors from files: .npy, and .npz, a zip archive of them. An archive is listed when it is imported; an
// array is unpacked and converted (byte order, Fortran order) when a kernel uses it. What is no plain number is
// refused, never run.
#include "te/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

// One array, as it stands in the file.
typedef struct Packed {
  Name name; // without `.npy`
  const unsigned char *data;
  size_t len, size; // packed and unpacked
  int method;       // 0: as it is; 8: deflate
  uint32_t crc;
  bool checked; // has a crc
} Packed;

struct Arrays {
  const char *path;
  bool single; // a .npy file
  const unsigned char *file;
  size_t len;
  VEC(Packed) list;
};

static uint32_t le(const unsigned char *p, int bytes) {
  uint32_t v = 0;
  for (int i = bytes; i-- > 0;) v = v << 8 | p[i];
  return v;
}

static uint64_t le64(const unsigned char *p) { return le(p, 4) | (uint64_t)le(p + 4, 4) << 32; }

static unsigned char *read_file(Ctx *cx, const char *path, size_t *len, const char **error) {
  FILE *f = fopen(path, "rb");
  long n = -1;
  unsigned char *data = NULL;
  struct stat st;
  if (f && !fstat(fileno(f), &st) && S_ISDIR(st.st_mode)) errno = EISDIR; // which would seem to be very long
  else if (f && !fseek(f, 0, SEEK_END)) n = ftell(f);
  if (n >= 0 && !fseek(f, 0, SEEK_SET)) {
    data = arena_alloc(cx->arena, (size_t)n + 1);
    *len = fread(data, 1, (size_t)n, f);
    if (*len != (size_t)n) data = NULL;
  }
  if (!data) *error = strerror(errno ? errno : EIO);
  if (f) fclose(f);
  return data;
}

// The sizes and the place of a member whose 32-bit fields overflow, from its extra fields.
static void zip64(const unsigned char *extra, size_t len, uint64_t *fields[3]) {
  for (size_t at = 0; at + 4 <= len;) {
    size_t n = le(extra + at + 2, 2), from = at + 4;
    if (le(extra + at, 2) == 1)
      for (int i = 0; i < 3; i++) {
        if (*fields[i] != UINT32_MAX || from + 8 > at + 4 + n || from + 8 > len) continue;
        *fields[i] = le64(extra + from);
        from += 8;
      }
    at += 4 + n;
  }
}

// One entry of the archive's list; its length, or 0: malformed.
static size_t list_member(Ctx *cx, Arrays *a, const unsigned char *file, size_t len, size_t at) {
  if (at + 46 > len || memcmp(file + at, "PK\1\2", 4)) return 0;
  const unsigned char *e = file + at;
  size_t name = le(e + 28, 2), extra = le(e + 30, 2), comment = le(e + 32, 2);
  uint64_t size = le(e + 24, 4), packed = le(e + 20, 4), place = le(e + 42, 4);
  if (at + 46 + name + extra + comment > len) return 0;
  zip64(e + 46 + name, extra, (uint64_t *[]){&size, &packed, &place});
  if (place > len || len - place < 30 || memcmp(file + place, "PK\3\4", 4)) return 0;
  uint64_t data = place + 30 + le(file + place + 26, 2) + le(file + place + 28, 2);
  if (data > len || len - data < packed) return 0;
  size_t short_name = name > 4 && !memcmp(e + 46 + name - 4, ".npy", 4) ? name - 4 : name;
  bool text = !memchr(e + 46, 0, name);
  Packed p = {.name = name_of_bytes(cx->names, (const char *)e + 46, short_name),
              .data = file + data,
              .len = (size_t)packed,
              .size = (size_t)size,
              .method = (int)le(e + 10, 2),
              .crc = le(e + 16, 4),
              .checked = true};
  if (text && !(le(e + 8, 2) & 1)) VEC_PUSH(cx->arena, a->list, p); // not encrypted
  return 46 + name + extra + comment;
}

static bool list_archive(Ctx *cx, Arrays *a, const unsigned char *file, size_t len) {
  size_t end = len < 22 ? 0 : len - 22;
  if (len < 22) return false;
  while (memcmp(file + end, "PK\5\6", 4))
    if (end-- == 0 || len - end > 22 + 65535) return false;
  uint64_t count = le(file + end + 10, 2), at = le(file + end + 16, 4);
  if (end >= 20 && !memcmp(file + end - 20, "PK\6\7", 4)) {
    uint64_t wide = le64(file + end - 12);
    if (wide > len || len - wide < 56 || memcmp(file + wide, "PK\6\6", 4)) return false;
    count = le64(file + wide + 32);
    at = le64(file + wide + 48);
  }
  for (uint64_t i = 0; i < count; i++) {
    size_t n = at < len ? list_member(cx, a, file, len, (size_t)at) : 0;
    if (!n) return false;
    at += n;
  }
  return true;
}

bool arrays_named(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot && (strcmp(dot, ".npz") == 0 || strcmp(dot, ".npy") == 0);
}

const Arrays *arrays_read(Ctx *cx, const char *path, const char **error) {
  size_t len = 0;
  errno = 0;
  unsigned char *file = read_file(cx, path, &len, error);
  return file ? arrays_list(cx, path, file, len, error) : NULL;
}

const Arrays *arrays_list(Ctx *cx, const char *path, const unsigned char *file, size_t len, const char **error) {
  Arrays *a = NEW(cx->arena, Arrays);
  a->path = path;
  a->file = file;
  a->len = len;
  a->single = strcmp(strrchr(path, '.'), ".npy") == 0;
  if (a->single) {
    Packed p = {.name = name_of(cx->names, ""), .data = file, .len = len, .size = len};
    VEC_PUSH(cx->arena, a->list, p);
  } else if (!list_archive(cx, a, file, len)) {
    *error = "it is no zip archive, or cut short";
    return NULL;
  }
  return a;
}

// ---- one array -------------------------------------------------------------------------------------------------

// The bytes of the .npy file; NULL with *error.
static const unsigned char *unpacked(Ctx *cx, const Packed *p, const char **error) {
  const unsigned char *data = p->data;
  if (p->method == 8) {
    if (p->size / 1032 > p->len + 1) return *error = "its size is not that of its data", NULL; // deflate's most
    unsigned char *out = arena_alloc(cx->arena, p->size + 1);
    z_stream z = {.next_in = (Bytef *)p->data, .avail_in = (uInt)p->len, .next_out = out, .avail_out = (uInt)p->size};
    bool fits = p->len <= UINT32_MAX && p->size <= UINT32_MAX, good = fits && inflateInit2(&z, -15) == Z_OK;
    if (good) good = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == p->size;
    if (fits) inflateEnd(&z);
    if (!good) return *error = "its packed data is damaged", NULL;
    data = out;
  } else if (p->method != 0 || p->len != p->size) {
    return *error = "it is packed in a way that is not read", NULL;
  }
  if (p->checked && crc32_z(0, data, p->size) != p->crc) return *error = "its check sum is wrong", NULL;
  return data;
}

typedef struct Header {
  DType type;
  bool swap, fortran;
  int naxes;
  int64_t extents[TE_MAX_AXES];
  size_t start;
} Header;

// The text behind `'key':` in the header; NULL: there is none.
static const char *value_of(const char *text, const char *key) {
  const char *at = strstr(text, key);
  if (!at) return NULL;
  at += strlen(key);
  while (*at == ' ') at++;
  return *at == ':' ? at + 1 + strspn(at + 1, " ") : NULL;
}

static const char *parse_descr(const char *at, Header *h) {
  static const struct {
    const char *name;
    DType type;
  } types[] = {{"b1", DT_BOOL}, {"i1", DT_I8},  {"i2", DT_I16}, {"i4", DT_I32}, {"i8", DT_I64}, {"u1", DT_U8},
               {"u2", DT_U16},  {"u4", DT_U32}, {"u8", DT_U64}, {"f2", DT_F16}, {"f4", DT_F32}, {"f8", DT_F64}};
  if (!at || (*at != '\'' && *at != '"')) return "it holds records, and constants are plain numbers";
  if (!strchr("<>|=", at[1])) return "its type is not understood";
  h->swap = at[1] == '>';
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strncmp(at + 2, types[i].name, 2) == 0 && at[4] == at[0]) return h->type = types[i].type, NULL;
  return at[2] == 'O' ? "it holds objects, which are never loaded"
                      : "it holds no numbers of a type that the language has";
}

static const char *parse_shape(const char *at, Header *h) {
  if (!at || *at++ != '(') return "its shape is malformed";
  for (;;) {
    at += strspn(at, ", ");
    if (*at == ')') return NULL;
    char *end;
    errno = 0;
    long long n = strtoll(at, &end, 10);
    if (end == at || errno || n < 0) return "its shape is malformed";
    if (n == 0) return "it has no elements";
    if (h->naxes == TE_MAX_AXES) return "it has more axes than a tensor may have";
    h->extents[h->naxes++] = n;
    at = end + (*end == 'L');
  }
}

// Reads the header; returns what is wrong with it, or NULL.
static const char *parse_header(Ctx *cx, const unsigned char *data, size_t len, Header *h) {
  if (len < 12 || memcmp(data, "\x93NUMPY", 6)) return "it is no .npy file";
  if (data[6] < 1 || data[6] > 3) return "its version is not known";
  size_t from = data[6] == 1 ? 10 : 12, n = le(data + 8, data[6] == 1 ? 2 : 4);
  if (n > len || from + n > len || memchr(data + from, 0, n)) return "its header is malformed";
  const char *text = arena_printf(cx->arena, "%.*s", (int)n, (const char *)data + from),
             *order = value_of(text, "'fortran_order'");
  const char *wrong = parse_descr(value_of(text, "'descr'"), h);
  if (!wrong) wrong = parse_shape(value_of(text, "'shape'"), h);
  if (wrong || !order) return wrong ? wrong : "its header is malformed";
  h->fortran = strncmp(order, "True", 4) == 0;
  h->start = from + n;
  return NULL;
}

// The elements in our order: rows first, the bytes of this machine.
static void convert(const Header *h, const unsigned char *from, unsigned char *to, int64_t elems) {
  size_t size = (size_t)dtype_bytes(h->type);
  int64_t index[TE_MAX_AXES] = {0}, stride[TE_MAX_AXES], step = 1, at = 0;
  for (int i = 0; i < h->naxes; i++) stride[i] = step, step *= h->extents[i];
  for (int64_t n = 0; n < elems; n++) {
    const unsigned char *e = from + (size_t)(h->fortran ? at : n) * size;
    for (size_t b = 0; b < size; b++) to[(size_t)n * size + b] = e[h->swap ? size - 1 - b : b];
    if (h->type == DT_BOOL) to[n] = to[n] != 0;
    for (int i = h->naxes - 1; i >= 0; i--) {
      at += stride[i];
      if (++index[i] < h->extents[i]) break;
      at -= stride[i] * h->extents[i];
      index[i] = 0;
    }
  }
}

static TeTensor *tensor_of(Ctx *cx, const Packed *p, Loc at, const char **error) {
  Header h = {0};
  const unsigned char *data = unpacked(cx, p, error);
  if (data) *error = parse_header(cx, data, p->size, &h);
  if (*error) return NULL;
  TeTensor *t = NEW(cx->arena, TeTensor);
  *t = (TeTensor){.role = TE_CONSTANT, .type = h.type, .loc = at, .name_loc = at, .naxes = h.naxes};
  t->axes = NEW_ARRAY(cx->arena, const TeAxis *, h.naxes + 1);
  int64_t elems = 1;
  for (int i = 0; i < h.naxes; i++) {
    TeAxis axis = {
        .name = name_of(cx->names, arena_printf(cx->arena, "d%d", i)), .extent = h.extents[i], .loc = at, .index = i};
    t->axes[i] = arena_copy(cx->arena, &axis, sizeof axis);
    if (!mul_ok(elems, axis.extent, &elems) || elems >= (int64_t)1 << 40)
      return *error = "it has 2^40 elements or more", NULL;
  }
  size_t bytes = (size_t)elems * (size_t)dtype_bytes(h.type);
  if (p->size - h.start != bytes) return *error = "its size is not that of its elements", NULL;
  bool plain = !h.fortran && !h.swap && h.type != DT_BOOL && (uintptr_t)(data + h.start) % 16 == 0;
  unsigned char *own = plain ? NULL : arena_alloc(cx->arena, bytes + 1);
  if (!plain) convert(&h, data + h.start, own, elems);
  t->data = plain ? data + h.start : own;
  return t;
}

// The array of a name; NULL after a report.
TeTensor *arrays_tensor(Ctx *cx, const Arrays *a, Name name, Loc decl, Loc at) {
  const Packed *p = NULL;
  for (size_t i = 0; i < a->list.len; i++)
    if (a->list.data[i].name == name) p = &a->list.data[i];
  if (!p) {
    Diag *g = diag_report(cx->diags, E_UNKNOWN_NAME, at, "`%s` has no array `%s`", a->path, name);
    Nearest n = {.wanted = name};
    for (size_t i = 0; i < a->list.len; i++) nearest_try(&n, a->list.data[i].name);
    diag_also(g, decl, "imported here");
    if (n.best) diag_help(g, "did you mean `%s`?", n.best);
    return NULL;
  }
  const char *error = NULL;
  TeTensor *t = tensor_of(cx, p, decl, &error);
  if (t) return t;
  Diag *g = diag_report(cx->diags, E_IMPORT, at, "`%s` of `%s` cannot be used: %s", name, a->path, error);
  diag_also(g, decl, "imported here");
  diag_help(g, "write it anew: `numpy.savez(\"%s\", %s = numpy.asarray(x, dtype = \"float32\"))`", a->path,
            *name ? name : "x");
  return NULL;
}

int arrays_count(const Arrays *a) { return (int)a->list.len; }

Name arrays_name(const Arrays *a, int i) { return a->list.data[i].name; }

const unsigned char *arrays_bytes(Ctx *cx, const Arrays *a, int i, size_t *len, const char **error) {
  *len = a->list.data[i].size;
  return unpacked(cx, &a->list.data[i], error);
}

bool arrays_single(const Arrays *a) { return a->single; }
void arrays_hash(const Arrays *a, char out[65]) { sha256_text(a->file, a->len, out); }

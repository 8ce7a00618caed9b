// SPDX-License-Identifier: Apache-2.0
// Files of arrays, written: a zip archive of .npy files, not packed, as numpy.savez writes it. The elements of each
// start at a multiple of 64, so that who maps the file reads them where they are.
#include "te/te.h"

#include <string.h>
#include <zlib.h>

typedef struct Member {
  const char *name;
  char header[256]; // of the .npy file
  size_t start, header_len, bytes;
  uint32_t crc;
} Member;

static const char *descr(DType t) {
  switch (t) {
  case DT_BOOL: return "|b1";
  case DT_I8: return "|i1";
  case DT_U8: return "|u1";
  case DT_I16: return "<i2";
  case DT_U16: return "<u2";
  case DT_I32: return "<i4";
  case DT_U32: return "<u4";
  case DT_I64: return "<i8";
  case DT_U64: return "<u8";
  case DT_F16: return "<f2";
  case DT_F32: return "<f4";
  case DT_F64: return "<f8";
  case DT_COUNT: break;
  }
  bug("a type that .npy files have no word for");
}

static void le(unsigned char *p, uint64_t v, int bytes) {
  for (int i = 0; i < bytes; i++) p[i] = (unsigned char)(v >> (8 * i));
}

// The header of the array, whose elements are at a multiple of 64 of the archive.
static void npy_header(Arena *a, const TeArray *v, Member *p, size_t at) {
  Text t = {.arena = a};
  text_add(&t, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr(v->type));
  for (int i = 0; i < v->naxes; i++) text_add(&t, "%lld,%s", (long long)v->shape[i], i + 1 < v->naxes ? " " : "");
  text_add(&t, "), }");
  size_t data = at + 10 + t.len + 1, pad = (64 - data % 64) % 64;
  p->header_len = 10 + t.len + pad + 1;
  memcpy(p->header, "\x93NUMPY\1\0", 8);
  le((unsigned char *)p->header + 8, p->header_len - 10, 2);
  memcpy(p->header + 10, t.data, t.len);
  memset(p->header + 10 + t.len, ' ', pad);
  p->header[p->header_len - 1] = '\n';
}

// What both kinds of entries say of a member.
static void entry(unsigned char *p, const Member *x, size_t name) {
  le(p, 20, 2);       // version to read it
  le(p + 2, 0, 4);    // flags, method: as it is
  le(p + 6, 0, 2);    // time
  le(p + 8, 0x21, 2); // date: 1980-01-01
  le(p + 10, x->crc, 4);
  le(p + 14, x->header_len + x->bytes, 4);
  le(p + 18, x->header_len + x->bytes, 4);
  le(p + 22, name, 2);
  le(p + 24, 0, 2);
}

static size_t put_directory(unsigned char *to, const Member *list, size_t n, size_t at) {
  size_t start = at;
  for (size_t i = 0; i < n; i++) {
    size_t name = strlen(list[i].name);
    memcpy(to + at, "PK\1\2\24", 6);
    entry(to + at + 6, &list[i], name);
    le(to + at + 42, list[i].start, 4);
    memcpy(to + at + 46, list[i].name, name);
    at += 46 + name;
  }
  memcpy(to + at, "PK\5\6", 4);
  le(to + at + 8, n, 2);
  le(to + at + 10, n, 2);
  le(to + at + 12, at - start, 4);
  le(to + at + 16, start, 4);
  return at + 22;
}

static size_t bytes_of(const TeArray *v) {
  size_t bytes = (size_t)dtype_bytes(v->type);
  for (int i = 0; i < v->naxes; i++) bytes *= (size_t)v->shape[i];
  return bytes;
}

unsigned char *arrays_format(Arena *a, size_t n, const TeArray *arrays, size_t *len) {
  size_t at = 0, directory = 22;
  Member *list = NEW_ARRAY(a, Member, n + 1);
  for (size_t i = 0; i < n; i++) {
    Member *p = &list[i];
    p->name = arena_printf(a, "%s.npy", arrays[i].name);
    p->start = at;
    npy_header(a, &arrays[i], p, at + 30 + strlen(p->name));
    p->bytes = bytes_of(&arrays[i]);
    at += 30 + strlen(p->name) + p->header_len + p->bytes;
    directory += 46 + strlen(p->name);
  }
  if (n > 65535 || at + directory > UINT32_MAX) return NULL;
  unsigned char *to = arena_alloc(a, at + directory);
  for (size_t i = 0; i < n; i++) {
    Member *p = &list[i];
    size_t name = strlen(p->name);
    p->crc = (uint32_t)crc32_z(crc32_z(0, (void *)p->header, p->header_len), arrays[i].data, p->bytes);
    unsigned char *e = to + p->start;
    memcpy(e, "PK\3\4", 4);
    entry(e + 4, p, name);
    memcpy(e + 30, p->name, name);
    memcpy(e + 30 + name, p->header, p->header_len);
    memcpy(e + 30 + name + p->header_len, arrays[i].data, p->bytes);
  }
  *len = put_directory(to, list, n, at);
  return to;
}

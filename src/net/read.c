// SPDX-License-Identifier: Apache-2.0
// A model's bytes, checked before protobuf-c unpacks them: every message of the schema ends inside the one around it,
// and they are nested a few levels at most, so that the unpacking, which recurs, has its stack. Unpacked into the
// arena: the limit of memory holds.
#include "net/internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { DEEPEST = 64 };

typedef struct Scan {
  const uint8_t *bytes;
  const char *wrong;
  size_t at; // where it is wrong
} Scan;

static bool scan_wrong(Scan *s, size_t at, const char *why) {
  s->wrong = why;
  s->at = at;
  return false;
}

static bool scan_varint(Scan *s, size_t *at, size_t end, uint64_t *out) {
  *out = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (*at >= end) return scan_wrong(s, *at, "it ends in the middle of a number");
    uint8_t byte = s->bytes[(*at)++];
    *out |= (uint64_t)(byte & 127) << shift;
    if (!(byte & 128)) return true;
  }
  return scan_wrong(s, *at, "a number in it is longer than 64 bits");
}

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *d, uint64_t number) {
  return number > UINT32_MAX ? NULL : protobuf_c_message_descriptor_get_field(d, (unsigned)number);
}

static bool scan_message(Scan *s, const ProtobufCMessageDescriptor *d, size_t at, size_t end, int depth) {
  if (depth > DEEPEST) return scan_wrong(s, at, "its messages are nested too deeply");
  while (at < end) {
    uint64_t key, n = 0;
    if (!scan_varint(s, &at, end, &key)) return false;
    const ProtobufCFieldDescriptor *f = field_of(d, key >> 3);
    switch (key & 7) {
    case 0:
      if (!scan_varint(s, &at, end, &n)) return false;
      n = 0;
      break;
    case 1: n = 8; break;
    case 2:
      if (!scan_varint(s, &at, end, &n)) return false;
      break;
    case 5: n = 4; break;
    default: return scan_wrong(s, at, "a field in it is of no kind that there is");
    }
    if (n > end - at) return scan_wrong(s, at, d->short_name);
    if ((key & 7) == 2 && f && f->type == PROTOBUF_C_TYPE_MESSAGE &&
        !scan_message(s, f->descriptor, at, at + n, depth + 1))
      return false;
    at += n;
  }
  return true;
}

static void *arena_take(void *arena, size_t bytes) { return arena_alloc(arena, bytes ? bytes : 1); }
static void arena_leave(void *arena, void *block) { (void)arena, (void)block; }

static Diag *no_model(Ctx *cx, const char *path, const char *why) {
  Diag *g = diag_report(cx->diags, E_MODEL, (Loc){0}, "`%s` cannot be read as a model: %s", path, why);
  diag_help(g, "`python3 -c \"import onnx; onnx.checker.check_model('%s')\"` says more; export it again", path);
  return g;
}

static uint8_t *file_bytes(Ctx *cx, const char *path, size_t *len) {
  FILE *f = fopen(path, "rb");
  long n = -1;
  uint8_t *data = NULL;
  errno = 0;
  if (f && !fseek(f, 0, SEEK_END)) n = ftell(f);
  if (f && n >= 0 && n < LONG_MAX && !fseek(f, 0, SEEK_SET)) {
    data = arena_alloc(cx->arena, (size_t)n + 1);
    *len = fread(data, 1, (size_t)n, f);
    if (*len != (size_t)n) data = NULL;
  }
  if (!data) diag_report(cx->diags, E_FILE, (Loc){0}, "cannot read `%s`: %s", path, strerror(errno ? errno : EIO));
  if (f) fclose(f);
  return data;
}

// Texts that are not there become empty ones, in all messages.
static void fill_texts(ProtobufCMessage *m) {
  for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
    const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
    char *at = (char *)m + f->offset;
    bool one_of = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF, list = f->label == PROTOBUF_C_LABEL_REPEATED;
    if (one_of && *(uint32_t *)((char *)m + f->quantifier_offset) != f->id) continue;
    if (f->type == PROTOBUF_C_TYPE_STRING && !list && !*(char **)at) *(const char **)at = "";
    if (f->type != PROTOBUF_C_TYPE_MESSAGE) continue;
    size_t n = list ? *(size_t *)((char *)m + f->quantifier_offset) : *(void **)at != NULL;
    ProtobufCMessage **of = list ? *(ProtobufCMessage ***)at : (ProtobufCMessage **)at;
    for (size_t k = 0; k < n; k++) fill_texts(of[k]);
  }
}

const Onnx__ModelProto *model_read(Ctx *cx, const char *path, char hash[65]) {
  size_t len = 0;
  uint8_t *bytes = file_bytes(cx, path, &len);
  if (!bytes) return NULL;
  Scan s = {.bytes = bytes};
  if (!len) return no_model(cx, path, "it is empty"), NULL;
  if (!scan_message(&s, &onnx__model_proto__descriptor, 0, len, 0)) {
    bool cut = s.wrong[0] >= 'A' && s.wrong[0] <= 'Z'; // the name of a message
    const char *why = cut ? arena_printf(cx->arena, "a part of a %s ends behind it", s.wrong) : s.wrong;
    diag_note(no_model(cx, path, why), "at byte %zu of %zu: the file is cut short, or is no ONNX file", s.at, len);
    return NULL;
  }
  ProtobufCAllocator allocator = {arena_take, arena_leave, cx->arena};
  Onnx__ModelProto *m = onnx__model_proto__unpack(&allocator, len, bytes);
  if (m) fill_texts(&m->base);
  if (!m) return no_model(cx, path, "its fields are not those of ONNX"), NULL;
  if (!m->graph || !m->graph->n_node) return no_model(cx, path, "it has no nodes"), NULL;
  sha256_text(bytes, len, hash);
  return m;
}

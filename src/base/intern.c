// SPDX-License-Identifier: Apache-2.0
// Interned names: an open-addressing table in an arena. Nothing iterates over it, so its order shows nowhere.
#include "base/base.h"

#include <string.h>

typedef struct Entry {
  Name text; // NULL: free
  uint32_t hash, len;
} Entry;

struct Names {
  Arena *arena;
  size_t len, cap; // cap is a power of two
  Entry *data;
};

// An empty table.
Names *names_new(Arena *a) {
  Names *n = NEW(a, Names);
  n->arena = a;
  n->cap = 256;
  n->data = NEW_ARRAY(a, Entry, n->cap);
  return n;
}

// FNV-1a.
static uint32_t hash_of(const char *text, size_t len) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)text[i]) * 16777619u;
  return h;
}

// Doubles the table.
static void names_grow(Names *n) {
  size_t cap = n->cap * 2;
  Entry *data = NEW_ARRAY(n->arena, Entry, cap);
  for (size_t i = 0; i < n->cap; i++) {
    if (!n->data[i].text) continue;
    size_t at = n->data[i].hash & (cap - 1);
    while (data[at].text) at = (at + 1) & (cap - 1);
    data[at] = n->data[i];
  }
  n->data = data;
  n->cap = cap;
}

// The one pointer for a NUL-terminated name.
Name name_of(Names *n, const char *text) { return name_of_bytes(n, text, strlen(text)); }

// The one pointer for a name of len bytes; it is NUL-terminated.
Name name_of_bytes(Names *n, const char *text, size_t len) {
  uint32_t hash = hash_of(text, len);
  size_t at = hash & (n->cap - 1);
  for (; n->data[at].text; at = (at + 1) & (n->cap - 1)) {
    Entry *e = &n->data[at];
    if (e->hash == hash && e->len == len && !memcmp(e->text, text, len)) return e->text;
  }
  char *copy = arena_alloc(n->arena, len + 1);
  memcpy(copy, text, len);
  n->data[at] = (Entry){copy, hash, (uint32_t)len};
  if (++n->len * 4 > n->cap * 3) names_grow(n);
  return copy;
}

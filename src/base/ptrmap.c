// SPDX-License-Identifier: Apache-2.0
// A map keyed by pointers: open addressing, a power of two of slots, at most half of them full.
#include "base/base.h"

// Where key is, or would be put.
static size_t ptrmap_slot(const PtrMap *m, const void *key) {
  uint64_t h = (uint64_t)(uintptr_t)key * 0x9E3779B97F4A7C15u;
  size_t i = (size_t)(h >> 20) & (m->cap - 1);
  while (m->keys[i] && m->keys[i] != key) i = (i + 1) & (m->cap - 1);
  return i;
}

void ptrmap_put(Arena *a, PtrMap *m, const void *key, int64_t value) {
  if (m->len * 2 >= m->cap) {
    PtrMap grown = {.len = m->len, .cap = m->cap ? m->cap * 2 : 16};
    grown.keys = NEW_ARRAY(a, const void *, grown.cap);
    grown.values = NEW_ARRAY(a, int64_t, grown.cap);
    for (size_t i = 0; i < m->cap; i++) {
      if (!m->keys[i]) continue;
      size_t at = ptrmap_slot(&grown, m->keys[i]);
      grown.keys[at] = m->keys[i];
      grown.values[at] = m->values[i];
    }
    *m = grown;
  }
  size_t i = ptrmap_slot(m, key);
  m->len += !m->keys[i];
  m->keys[i] = key;
  m->values[i] = value;
}

bool ptrmap_get(const PtrMap *m, const void *key, int64_t *value) {
  if (!m->cap) return false;
  size_t i = ptrmap_slot(m, key);
  if (!m->keys[i]) return false;
  *value = m->values[i];
  return true;
}

void *ptrmap_find(const PtrMap *m, const void *key) {
  int64_t value;
  return ptrmap_get(m, key, &value) ? (void *)(intptr_t)value : NULL;
}

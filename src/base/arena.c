// SPDX-License-Identifier: Apache-2.0
// A bump allocator on a list of zeroed blocks. Blocks double from 16 KiB, more than most scratch arenas need, to 4 MiB;
// what is larger gets its own.
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 16 << 10, LAST_BLOCK = 4 << 20, ALIGN = 16 };

typedef struct Block Block;
struct Block {
  Block *next;
  size_t bytes; // of the payload after this header
};

struct Arena {
  Block *blocks;          // all, newest first
  char *start, *at, *end; // of the current block: the part that is used, then what is free and within the limit
  size_t next_block;
  size_t elsewhere, limit; // bytes handed out of other blocks; of all, 0: no limit
  jmp_buf *out;
};

static size_t round_up(size_t bytes) { return (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1); }

_Static_assert(sizeof(Block) % ALIGN == 0, "the payload after a header is aligned");

// Makes an empty arena without limit.
Arena *arena_new(void) {
  Arena *a = calloc(1, sizeof *a);
  if (!a) memory_out();
  if (a) a->next_block = FIRST_BLOCK;
  return a;
}

// Frees the arena and everything in it.
void arena_free(Arena *a) {
  if (!a) return;
  for (Block *b = a->blocks, *next; b; b = next) {
    next = b->next;
    free(b);
  }
  free(a);
}

// Bytes handed out so far.
size_t arena_used(const Arena *a) { return a->elsewhere + (size_t)(a->at - a->start); }

// What may still be handed out.
static size_t within_limit(const Arena *a) {
  size_t used = arena_used(a);
  if (!a->limit) return SIZE_MAX / 2;
  return used < a->limit ? a->limit - used : 0;
}

// Ends the free part where the limit does.
static void keep_limit(Arena *a) {
  size_t left = within_limit(a) & ~(size_t)(ALIGN - 1);
  if ((size_t)(a->end - a->at) > left) a->end = a->at + left;
}

// Where to go when memory is out; limit 0: only when the system has no more.
void arena_on_exhaustion(Arena *a, jmp_buf *out, size_t limit) {
  a->out = out;
  a->limit = limit;
  keep_limit(a);
}

// Like bug()'s, the one thing that outlives a call: a failed allocation knows no compilation either.
static void (*leave)(void);

void memory_out_then(void (*f)(void)) { leave = f; }

void memory_out(void) {
  if (leave) leave();
}

// Leaves for the jump buffer, or ends the process if there is none.
NORETURN static void arena_exhausted(Arena *a) {
  if (a->out) longjmp(*a->out, 1);
  fputs("tetc: out of memory\n", stderr);
  exit(3);
}

// Chains a new block of at least `bytes` and makes it current, unless it is one for a single large object.
__attribute__((noinline)) static char *arena_block(Arena *a, size_t bytes) { // apart, so that the usual way stays short
  if (bytes > within_limit(a)) arena_exhausted(a);
  bytes = round_up(bytes);
  bool single = bytes > a->next_block / 4;
  size_t payload = single ? bytes : a->next_block;
  Block *b = calloc(1, sizeof *b + payload);
  if (!b) {
    memory_out();
    arena_exhausted(a);
  }
  b->next = a->blocks;
  b->bytes = payload;
  a->blocks = b;
  char *start = (char *)(b + 1);
  if (single) {
    a->elsewhere += bytes;
    keep_limit(a);
    return start;
  }
  a->elsewhere += (size_t)(a->at - a->start);
  a->start = start;
  a->at = start + bytes;
  a->end = start + payload;
  keep_limit(a);
  if (a->next_block < LAST_BLOCK) a->next_block *= 2;
  return start;
}

// Zeroed memory, aligned for any type.
void *arena_alloc(Arena *a, size_t bytes) {
  if (bytes > (size_t)(a->end - a->at))
    return arena_block(a, bytes); // both ends are aligned: what fits, fits rounded up
  char *p = a->at;
  a->at += round_up(bytes);
  return p;
}

// Zeroed memory for `count` objects of `size` bytes.
void *arena_array(Arena *a, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) arena_exhausted(a);
  return arena_alloc(a, bytes);
}

// A copy of `bytes` bytes.
void *arena_copy(Arena *a, const void *from, size_t bytes) {
  void *to = arena_alloc(a, bytes);
  if (bytes) memcpy(to, from, bytes);
  return to;
}

// sprintf into the arena.
char *arena_printf(Arena *a, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *s = arena_vprintf(a, fmt, ap);
  va_end(ap);
  return s;
}

// vsprintf into the arena. The attribute: under the sanitizers GCC else follows a path on which fmt is NULL.
__attribute__((nonnull(2))) char *arena_vprintf(Arena *a, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  if (n < 0) n = 0;
  char *s = arena_alloc(a, (size_t)n + 1);
  vsnprintf(s, (size_t)n + 1, fmt, again);
  va_end(again);
  return s;
}

// Doubles an array; the last allocation of a block grows in place.
void *arena_grow(Arena *a, void *data, size_t len, size_t *cap, size_t size) {
  size_t want = *cap < 4 ? 8 : *cap * 2, old_bytes, bytes;
  if (__builtin_mul_overflow(want, size, &bytes) || __builtin_mul_overflow(*cap, size, &old_bytes)) arena_exhausted(a);
  size_t old_end = round_up(old_bytes), more = round_up(bytes) - old_end;
  bool last = data && *cap && (char *)data + old_end == a->at;
  if (last && (size_t)(a->end - a->at) >= more) {
    a->at += more;
    *cap = want;
    return data;
  }
  void *to = arena_alloc(a, bytes);
  if (len) memcpy(to, data, len * size);
  *cap = want;
  return to;
}

// Makes room for n more bytes and the NUL.
static void text_room(Text *t, size_t n) {
  if (t->cap - t->len > n) return;
  size_t want = t->cap ? t->cap : 64;
  while (want - t->len <= n) {
    if (want > SIZE_MAX / 4) arena_exhausted(t->arena);
    want *= 2;
  }
  char *to = arena_alloc(t->arena, want);
  if (t->len) memcpy(to, t->data, t->len);
  t->data = to;
  t->cap = want;
}

// Appends formatted text.
void text_add(Text *t, const char *fmt, ...) {
  text_room(t, 80);
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(t->data + t->len, t->cap - t->len, fmt, ap);
  va_end(ap);
  if (n > 0 && (size_t)n >= t->cap - t->len) {
    text_room(t, (size_t)n);
    vsnprintf(t->data + t->len, t->cap - t->len, fmt, again);
  }
  va_end(again);
  if (n > 0) t->len += (size_t)n;
}

// Appends n bytes.
void text_add_bytes(Text *t, const char *bytes, size_t n) {
  text_room(t, n);
  if (n) memcpy(t->data + t->len, bytes, n);
  t->len += n;
  t->data[t->len] = 0;
}

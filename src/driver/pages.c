// SPDX-License-Identifier: Apache-2.0
// Memory that ends at a page which cannot be read, and starts behind one as far as its size allows: code that reads or
// writes past an array faults, even where the value would not matter. The handler of faults (stack.c) asks which array
// it was.
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

//   map: unreadable | (padding) data ... | unreadable
typedef struct Block {
  struct Block *next;
  char *map, *data;
  size_t page, inner; // bytes of an unreadable part, and of what is between
  const char *name;
} Block;

static Block *blocks; // changed by the thread that makes arrays; read by the handler of faults

void *pages_alloc(size_t bytes, const char *name) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), inner;
  if (bytes > SIZE_MAX / 2 - 3 * page) return NULL;
  inner = bytes ? (bytes + page - 1) / page * page : page;
  Block *b = malloc(sizeof *b);
  char *map =
      b ? mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) : MAP_FAILED;
  if (map == MAP_FAILED || mprotect(map + page, inner, PROT_READ | PROT_WRITE)) {
    if (map != MAP_FAILED) munmap(map, inner + 2 * page);
    free(b);
    return NULL;
  }
  *b = (Block){blocks, map, map + page + inner - bytes, page, inner, name};
  blocks = b;
  return b->data;
}

void pages_free(void *data) {
  for (Block **p = &blocks; data && *p; p = &(*p)->next) {
    Block *b = *p;
    if (b->data != data) continue;
    *p = b->next;
    munmap(b->map, b->inner + 2 * b->page);
    free(b);
    return;
  }
}

bool pages_fault(uintptr_t at, const char **name, bool *behind) {
  for (const Block *b = blocks; b; b = b->next) {
    uintptr_t start = (uintptr_t)b->map, end = start + b->inner + 2 * b->page;
    if (at < start || at >= end) continue;
    *name = b->name;
    *behind = at >= start + b->page;
    return true;
  }
  return false;
}

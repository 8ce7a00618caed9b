// SPDX-License-Identifier: Apache-2.0
// The physical address space: 4 GiB of reserved addresses, so that a physical address is an offset and a 32-bit
// element index is enough for every buffer. Pages are backed only while a buffer holds them.
#include "runtime/device.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { PAGE = 4096, LINE = 64, NEW_BYTE = 0xA5 };

typedef struct Block {
  uint64_t phys, bytes, pages; // bytes as asked for; pages: their size in memory
} Block;

struct TetcDram {
  uint8_t *base;   // the host's view
  uint8_t *memory; // the device's; base itself where memory is coherent
  uint8_t *clean;  // what base was when it last agreed with memory: bytes that differ are dirty; NULL where coherent
  uint64_t size;
  Block *blocks; // sorted by address
  size_t count, cap;
  pthread_mutex_t lock;
  _Atomic int users;
};

// Reserves address space: a quarter of what the process may have, 4 GiB at most.
TetcDram *tetc_dram_new(void) {
  struct rlimit limit;
  TetcDram *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  uint64_t most = (uint64_t)1 << 32;
  if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur / 4 < most) most = limit.rlim_cur / 4 / PAGE * PAGE;
  for (d->size = most; d->size >= (uint64_t)1 << 20; d->size = d->size / 2 / PAGE * PAGE) {
    void *p = mmap(NULL, d->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) continue;
    d->base = d->memory = p;
    pthread_mutex_init(&d->lock, NULL);
    d->users = 1;
    return d;
  }
  free(d);
  return NULL;
}

TetcDram *tetc_dram_share(TetcDram *d) {
  d->users++;
  return d;
}

void tetc_dram_free(TetcDram *d) {
  if (!d || --d->users > 0) return;
  munmap(d->base, d->size);
  if (d->clean) munmap(d->memory, d->size), munmap(d->clean, d->size);
  pthread_mutex_destroy(&d->lock);
  free(d->blocks);
  free(d);
}

// The first gap of at least `pages` bytes: its address, and in *at the index its block will have. 0: none.
static uint64_t find_gap(const TetcDram *d, uint64_t pages, size_t *at) {
  uint64_t start = PAGE;
  for (size_t i = 0; i < d->count; i++) {
    if (d->blocks[i].phys - start >= pages) {
      *at = i;
      return start;
    }
    start = d->blocks[i].phys + d->blocks[i].pages;
  }
  *at = d->count;
  return d->size - start >= pages ? start : 0;
}

static void *alloc_locked(TetcDram *d, size_t bytes, uint64_t *phys) {
  if (bytes > d->size - PAGE) return NULL;
  uint64_t pages = bytes ? ((uint64_t)bytes + PAGE - 1) / PAGE * PAGE : PAGE;
  if (d->count == d->cap) {
    size_t cap = d->cap ? 2 * d->cap : 64;
    Block *blocks = realloc(d->blocks, cap * sizeof *blocks);
    if (!blocks) return NULL;
    d->blocks = blocks;
    d->cap = cap;
  }
  size_t at;
  uint64_t start = find_gap(d, pages, &at);
  if (!start || mprotect(d->base + start, pages, PROT_READ | PROT_WRITE)) return NULL;
  memmove(d->blocks + at + 1, d->blocks + at, (d->count - at) * sizeof *d->blocks);
  d->blocks[at] = (Block){start, bytes, pages};
  d->count++;
  if (d->clean) memset(d->memory + start, NEW_BYTE, pages);
  *phys = start;
  return d->base + start;
}

void *tetc_dram_alloc(TetcDram *d, size_t bytes, uint64_t *phys) {
  pthread_mutex_lock(&d->lock);
  void *p = alloc_locked(d, bytes, phys);
  pthread_mutex_unlock(&d->lock);
  return p;
}

// Index of the last block that starts at or before phys, or count if there is none.
static size_t find_block(const TetcDram *d, uint64_t phys) {
  size_t lo = 0, hi = d->count;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    if (d->blocks[mid].phys <= phys) lo = mid + 1;
    else hi = mid;
  }
  return lo ? lo - 1 : d->count;
}

void tetc_dram_release(TetcDram *d, uint64_t phys) {
  pthread_mutex_lock(&d->lock);
  size_t i = find_block(d, phys);
  if (i < d->count && d->blocks[i].phys == phys) {
    madvise(d->base + phys, d->blocks[i].pages, MADV_DONTNEED); // gives the pages back; they read as zero again
    mprotect(d->base + phys, d->blocks[i].pages, PROT_NONE);
    if (d->clean) madvise(d->clean + phys, d->blocks[i].pages, MADV_DONTNEED);
    memmove(d->blocks + i, d->blocks + i + 1, (d->count - i - 1) * sizeof *d->blocks);
    d->count--;
  }
  pthread_mutex_unlock(&d->lock);
}

// Whether the bytes from phys on lie in one block.
static bool holds(const TetcDram *d, uint64_t phys, uint64_t bytes) {
  size_t i = find_block(d, phys);
  if (i >= d->count) return false;
  uint64_t offset = phys - d->blocks[i].phys;
  return offset <= d->blocks[i].bytes && bytes <= d->blocks[i].bytes - offset;
}

// Under the lock: while one thread's device runs, another thread may free a buffer.
uint8_t *tetc_dram_at(const TetcDram *d, uint64_t phys, uint64_t bytes) {
  pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&d->lock;
  pthread_mutex_lock(lock);
  bool inside = holds(d, phys, bytes);
  pthread_mutex_unlock(lock);
  return inside ? d->memory + phys : NULL;
}

// ---- without coherence ----------------------------------------------------------------------------------------------

bool tetc_dram_split(TetcDram *d) {
  void *view[2];
  for (int i = 0; i < 2; i++) {
    view[i] = mmap(NULL, d->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (view[i] != MAP_FAILED) continue;
    if (i) munmap(view[0], d->size);
    return false;
  }
  d->memory = view[0];
  d->clean = view[1];
  return true;
}

bool tetc_dram_dirty(const TetcDram *d, uint64_t phys, uint64_t bytes, bool write) {
  if (!d->clean || !bytes) return false;
  uint64_t end = phys + bytes;
  if (write) phys -= phys % LINE, end = (end + LINE - 1) / LINE * LINE; // buffers are whole pages
  return memcmp(d->base + phys, d->clean + phys, end - phys) != 0;
}

void tetc_dram_flush(TetcDram *d, uint64_t phys, uint64_t bytes) {
  if (!d->clean || !bytes) return;
  memcpy(d->memory + phys, d->base + phys, bytes);
  memcpy(d->clean + phys, d->base + phys, bytes);
}

bool tetc_dram_invalidate(TetcDram *d, uint64_t phys, uint64_t bytes) {
  if (!d->clean || !bytes) return true;
  if (tetc_dram_dirty(d, phys, bytes, true)) return false;
  memcpy(d->base + phys, d->memory + phys, bytes);
  memcpy(d->clean + phys, d->memory + phys, bytes);
  return true;
}

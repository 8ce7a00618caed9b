// SPDX-License-Identifier: Apache-2.0
// Micro-op kernels: recording, and the cache that keeps their micro-ops on chip.
//
// A kernel's finit runs at every push; what it describes is looked up by content. The micro-ops of each distinct list
// are written to DRAM once; on chip they sit in a ring, where the oldest give way to new ones. LOAD UOP, GEMM and ALU
// all run in the compute unit, in order, so a load may overwrite micro-ops that earlier instructions used.
#include "runtime/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_UOPS = 1 << 14, DRAM_UOPS = 1 << 23 }; // 64 KiB a chunk, 32 MiB in all (upstream's VTA_MAX_XFER)

// ---- recording -----------------------------------------------------------------------------------------------------

// The kernel being recorded by this thread's runtime; NULL with an error noted when there is none.
static UopKernel *recording(TetcRuntime **rt) {
  *rt = runtime_current();
  if (!*rt || (*rt)->error[0]) return NULL;
  if ((*rt)->kernel.recording) return &(*rt)->kernel;
  runtime_fail(*rt, "a micro-op is pushed outside of a kernel");
  return NULL;
}

void VTAUopLoopBegin(uint32_t extent, uint32_t dst_factor, uint32_t src_factor, uint32_t wgt_factor) {
  TetcRuntime *rt;
  UopKernel *k = recording(&rt);
  if (!k) return;
  if (k->nloops == 2) runtime_fail(rt, "a micro-op kernel has more than two loops");
  else if (k->any || k->ended) runtime_fail(rt, "a loop of a micro-op kernel starts after its first micro-op");
  else {
    k->loops[k->nloops++] = (UopLoop){extent, dst_factor, src_factor, wgt_factor};
    k->open++;
  }
}

void VTAUopLoopEnd(void) {
  TetcRuntime *rt;
  UopKernel *k = recording(&rt);
  if (!k) return;
  if (k->open == 0) runtime_fail(rt, "a loop of a micro-op kernel ends that has not begun");
  else {
    k->open--;
    k->ended = true;
  }
}

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

// All micro-ops of a kernel share one operation.
static bool same_operation(const UopKernel *k, uint32_t mode, uint32_t reset, uint32_t opcode, uint32_t use_imm,
                           int32_t imm) {
  if (k->mode != mode || k->reset != reset) return false;
  return mode == 0 || (k->opcode == opcode && k->use_imm == use_imm && (!use_imm || k->imm == imm));
}

static bool store_uop(TetcRuntime *rt, UopKernel *k, VtaUop u) {
  if (k->count == k->cap) {
    size_t cap = k->cap ? 2 * k->cap : 256;
    uint32_t *words = realloc(k->words, cap * sizeof *words);
    if (!words) {
      runtime_no_memory(rt, "the micro-ops");
      return false;
    }
    k->words = words;
    k->cap = cap;
  }
  k->words[k->count++] = vta_encode_uop(&rt->config, u);
  k->dst_max = larger(k->dst_max, u.dst);
  k->src_max = larger(k->src_max, u.src);
  k->wgt_max = larger(k->wgt_max, u.wgt);
  return true;
}

void VTAUopPush(uint32_t mode, uint32_t reset_out, uint32_t dst_index, uint32_t src_index, uint32_t wgt_index,
                uint32_t opcode, uint32_t use_imm, int32_t imm_val) {
  TetcRuntime *rt;
  UopKernel *k = recording(&rt);
  if (!k) return;
  reset_out = mode == 0 && reset_out;
  use_imm = mode == 1 && use_imm;
  if (mode > 1 || (mode == 1 && opcode >= VTA_ALU_COUNT)) {
    runtime_fail(rt, "micro-op mode %u, operation %u does not exist", mode, opcode);
    return;
  }
  if (!k->any) {
    k->any = true;
    k->mode = mode, k->reset = reset_out, k->opcode = opcode, k->use_imm = use_imm, k->imm = imm_val;
  } else if (!same_operation(k, mode, reset_out, opcode, use_imm, imm_val)) {
    runtime_fail(rt, "the micro-ops of one kernel differ in their operation");
    return;
  }
  if (k->open != k->nloops) {
    runtime_fail(rt, "a micro-op stands outside of its kernel's loops");
    return;
  }
  // Operands that are not read get places that are in range on every implementation.
  VtaUop u = {dst_index, reset_out ? 0 : use_imm ? dst_index : src_index, mode == 0 && !reset_out ? wgt_index : 0};
  int64_t src_depth = vta_depth(&rt->config, mode == 0 ? MEM_INP : MEM_ACC);
  if (u.dst >= vta_depth(&rt->config, MEM_ACC) || u.src >= src_depth || u.wgt >= vta_depth(&rt->config, MEM_WGT)) {
    runtime_fail(rt, "a micro-op (dst %u, src %u, wgt %u) is outside of the on-chip memories", u.dst, u.src, u.wgt);
    return;
  }
  store_uop(rt, k, u);
}

// ---- the cache -----------------------------------------------------------------------------------------------------

void uop_cache_init(UopCache *c) { memset(c, 0, sizeof *c); }

// Forgets what is on chip (after a reset its contents are undefined).
void uop_cache_evict_all(UopCache *c) {
  for (size_t i = 0; i < c->count; i++) c->seqs[i].sram = -1;
  c->head = 0;
  c->ring_first = c->ring_count = 0;
}

// Forgets every sequence; their DRAM is released.
static void cache_clear(TetcRuntime *rt) {
  UopCache *c = &rt->cache;
  for (size_t i = 0; i < c->nchunks; i++) tetc_dram_release(rt->device->dram, c->chunks[i]);
  c->nchunks = 0;
  c->chunk = NULL;
  c->chunk_used = c->chunk_size = 0;
  c->dram_used = 0;
  c->count = 0;
  if (c->table) memset(c->table, 0, c->table_size * sizeof *c->table);
  uop_cache_evict_all(c);
}

void uop_cache_free(TetcRuntime *rt) {
  cache_clear(rt);
  free(rt->cache.chunks);
  free(rt->cache.table);
  free(rt->cache.seqs);
  free(rt->cache.ring);
}

// A multiply-and-rotate hash of words.
static uint64_t hash_words(const uint32_t *w, size_t n) {
  uint64_t h = 0x9E3779B97F4A7C15u ^ n;
  for (size_t i = 0; i < n; i++) {
    h = (h ^ w[i]) * 0xD6E8FEB86659FD93u;
    h ^= h >> 29;
  }
  return h;
}

static bool grow_table(UopCache *c) {
  size_t size = c->table_size ? 2 * c->table_size : 256;
  uint32_t *table = calloc(size, sizeof *table);
  if (!table) return false;
  for (size_t i = 0; i < c->count; i++) {
    size_t at = c->seqs[i].hash & (size - 1);
    while (table[at]) at = (at + 1) & (size - 1);
    table[at] = (uint32_t)i + 1;
  }
  free(c->table);
  c->table = table;
  c->table_size = size;
  return true;
}

// DRAM for n micro-ops; NULL after an error.
static uint32_t *dram_take(TetcRuntime *rt, size_t n, uint32_t *index) {
  UopCache *c = &rt->cache;
  if (c->chunk_size - c->chunk_used < n) {
    size_t size = n > CHUNK_UOPS ? n : CHUNK_UOPS;
    errno = 0;
    uint64_t *chunks = realloc(c->chunks, (c->nchunks + 1) * sizeof *chunks);
    if (chunks) c->chunks = chunks;
    uint64_t phys;
    uint32_t *host = chunks ? tetc_dram_alloc(rt->device->dram, size * sizeof(uint32_t), &phys) : NULL;
    if (!host) {
      if (!chunks || errno == ENOMEM) runtime_no_memory(rt, "the micro-ops");
      else runtime_fail(rt, "no device memory for %zu micro-ops", n);
      return NULL;
    }
    c->chunks[c->nchunks++] = phys;
    c->chunk = host;
    c->chunk_phys = phys;
    c->chunk_used = 0;
    c->chunk_size = size;
  }
  uint32_t *at = c->chunk + c->chunk_used;
  *index = (uint32_t)(c->chunk_phys / sizeof(uint32_t) + c->chunk_used);
  c->chunk_used += n;
  c->dram_used += n;
  return at;
}

// Enters a new sequence; its index, or -1 after an error.
static int64_t cache_add(TetcRuntime *rt, const uint32_t *words, size_t n, uint64_t hash) {
  UopCache *c = &rt->cache;
  if (c->count == c->cap) {
    size_t cap = c->cap ? 2 * c->cap : 64;
    UopSeq *seqs = realloc(c->seqs, cap * sizeof *seqs);
    if (!seqs) {
      runtime_no_memory(rt, "the micro-op kernels");
      return -1;
    }
    c->seqs = seqs;
    c->cap = cap;
  }
  if (2 * (c->count + 1) > c->table_size && !grow_table(c)) {
    runtime_no_memory(rt, "the micro-op kernels");
    return -1;
  }
  uint32_t index;
  uint32_t *copy = dram_take(rt, n, &index);
  if (!copy) return -1;
  for (size_t i = 0; i < n; i++) copy[i] = words[i];
  tetc_dram_flush(rt->device->dram, (uint64_t)index * sizeof *copy, n * sizeof *copy);
  c->seqs[c->count] = (UopSeq){hash, (uint32_t)n, index, -1, copy};
  size_t at = hash & (c->table_size - 1);
  while (c->table[at]) at = (at + 1) & (c->table_size - 1);
  c->table[at] = (uint32_t)++c->count;
  return (int64_t)c->count - 1;
}

// The sequence with this content, entered if it is new; -1 after an error.
static int64_t cache_find(TetcRuntime *rt, const uint32_t *words, size_t n) {
  UopCache *c = &rt->cache;
  uint64_t hash = hash_words(words, n);
  if (c->table_size)
    for (size_t at = hash & (c->table_size - 1); c->table[at]; at = (at + 1) & (c->table_size - 1)) {
      const UopSeq *s = &c->seqs[c->table[at] - 1];
      if (s->hash == hash && s->count == n && !memcmp(s->words, words, n * sizeof *words))
        return (int64_t)c->table[at] - 1;
    }
  if (c->dram_used + n > DRAM_UOPS) { // everything queued must have run before its micro-ops may go
    if (!queue_launch(rt, true)) return -1;
    cache_clear(rt);
  }
  return cache_add(rt, words, n, hash);
}

static void evict_oldest(UopCache *c, size_t depth) {
  c->seqs[c->ring[c->ring_first]].sram = -1;
  c->ring_first = (c->ring_first + 1) % depth;
  c->ring_count--;
}

// Gives n entries of the ring to sequence `s`: at the head, or at 0 if the end is too near.
static bool place(TetcRuntime *rt, int64_t s) {
  UopCache *c = &rt->cache;
  uint32_t depth = (uint32_t)vta_depth(&rt->config, MEM_UOP), n = c->seqs[s].count;
  if (!c->ring) c->ring = calloc(depth, sizeof *c->ring);
  if (!c->ring) {
    runtime_no_memory(rt, "the micro-op ring");
    return false;
  }
  if (c->head + n > depth) { // what lies behind the head is older than what lies before it
    while (c->ring_count && (uint32_t)c->seqs[c->ring[c->ring_first]].sram >= c->head) evict_oldest(c, depth);
    c->head = 0;
  }
  while (c->ring_count) {
    const UopSeq *old = &c->seqs[c->ring[c->ring_first]];
    if ((uint32_t)old->sram >= c->head + n || (uint32_t)old->sram + old->count <= c->head) break;
    evict_oldest(c, depth);
  }
  c->seqs[s].sram = (int32_t)c->head;
  c->ring[(c->ring_first + c->ring_count++) % depth] = (uint32_t)s;
  c->head += n;
  return true;
}

// Puts a sequence on chip, if it is not there, by a load in the compute queue. Waits for no token: only the compute
// unit touches micro-ops.
static bool make_resident(TetcRuntime *rt, int64_t s) {
  if (rt->cache.seqs[s].sram >= 0) return true;
  if (!place(rt, s)) return false;
  const UopSeq *q = &rt->cache.seqs[s];
  VtaInsn load = {.opcode = OPC_LOAD,
                  .memory = MEM_UOP,
                  .sram_base = (uint32_t)q->sram,
                  .dram_base = q->dram,
                  .y_size = 1,
                  .x_size = q->count,
                  .x_stride = q->count};
  return queue_emit_early(rt, &load);
}

// ---- pushing -------------------------------------------------------------------------------------------------------

// The largest index that the loops reach, from the largest one of the micro-ops.
static uint64_t reach(uint32_t base, const UopLoop loops[2], uint32_t outer, uint32_t inner) {
  return base + (uint64_t)(loops[0].extent - 1) * outer + (uint64_t)(loops[1].extent - 1) * inner;
}

// Every index against its memory; extents and counts against their fields.
static bool kernel_fits(TetcRuntime *rt, const UopKernel *k, const UopLoop l[2]) {
  const VtaConfig *c = &rt->config;
  bool gemm = k->mode == 0;
  if (l[0].extent >= 1 << 14 || l[1].extent >= 1 << 14) {
    runtime_fail(rt, "a micro-op loop of %u iterations: a field holds at most 16383", larger(l[0].extent, l[1].extent));
    return false;
  }
  if ((int64_t)k->count > vta_depth(c, MEM_UOP)) {
    runtime_fail(rt, "a kernel of %zu micro-ops, but the buffer holds %lld", k->count,
                 (long long)vta_depth(c, MEM_UOP));
    return false;
  }
  uint64_t dst = reach(k->dst_max, l, l[0].dst, l[1].dst);
  uint64_t src = reach(k->src_max, l, l[0].src, l[1].src);
  uint64_t wgt = reach(k->wgt_max, l, l[0].wgt, l[1].wgt);
  VtaMemory from = gemm ? MEM_INP : MEM_ACC;
  const char *what = dst >= (uint64_t)vta_depth(c, MEM_ACC)   ? "destination"
                     : src >= (uint64_t)vta_depth(c, from)    ? "source"
                     : wgt >= (uint64_t)vta_depth(c, MEM_WGT) ? "weight"
                                                              : NULL;
  if (what) {
    runtime_fail(rt, "the %s of a micro-op kernel leaves the on-chip memory (dst up to %llu, src %llu, wgt %llu)", what,
                 (unsigned long long)dst, (unsigned long long)src, (unsigned long long)wgt);
    return false;
  }
  if (k->use_imm && (k->imm < INT16_MIN || k->imm > INT16_MAX)) {
    runtime_fail(rt, "the immediate %d does not fit 16 bits", k->imm);
    return false;
  }
  return true;
}

// The kernel's loops, outer first; missing ones run once. Factors of loops that run once, and of operands that are
// not read, are 0.
static void kernel_loops(const UopKernel *k, UopLoop l[2]) {
  for (int i = 0; i < 2; i++) {
    l[i] = i < k->nloops ? k->loops[i] : (UopLoop){1, 0, 0, 0};
    if (l[i].extent == 1) l[i] = (UopLoop){1, 0, 0, 0};
    if (k->reset) l[i].src = 0;
    if (k->use_imm) l[i].src = l[i].dst; // some hardware reads an immediate's operand from the source index
    if (k->mode == 1 || k->reset) l[i].wgt = 0;
  }
}

static int kernel_emit(TetcRuntime *rt, UopKernel *k) {
  UopLoop l[2];
  kernel_loops(k, l);
  if (k->count == 0 || l[0].extent == 0 || l[1].extent == 0) return 0; // nothing to do
  if (!kernel_fits(rt, k, l)) return -1;
  int64_t s = cache_find(rt, k->words, k->count);
  if (s < 0 || !make_resident(rt, s)) return -1;
  uint32_t begin = (uint32_t)rt->cache.seqs[s].sram;
  VtaInsn i = {.opcode = k->mode == 0 ? OPC_GEMM : OPC_ALU,
               .reset = k->reset,
               .uop_begin = begin,
               .uop_end = begin + (uint32_t)k->count,
               .iter_out = l[0].extent,
               .iter_in = l[1].extent,
               .dst_out = l[0].dst,
               .dst_in = l[1].dst,
               .src_out = l[0].src,
               .src_in = l[1].src,
               .wgt_out = l[0].wgt,
               .wgt_in = l[1].wgt,
               .alu_op = (VtaAluOp)(k->mode == 1 ? k->opcode : 0),
               .use_imm = k->use_imm,
               .imm = k->use_imm ? k->imm : 0};
  return queue_emit(rt, &i) ? 0 : -1;
}

int kernel_push(TetcRuntime *rt, uint32_t mode, int (*finit)(void *), void *signature) {
  if (rt->kernel.recording) {
    runtime_fail(rt, "a kernel is pushed while another one is being described");
    return -1;
  }
  uint32_t *words = rt->kernel.words;
  size_t cap = rt->kernel.cap;
  rt->kernel = (UopKernel){.recording = true, .words = words, .cap = cap};
  int status = finit(signature);
  rt->kernel.recording = false;
  if (rt->error[0]) return -1;
  UopKernel *k = &rt->kernel;
  if (status != 0) {
    runtime_fail(rt, "the description of a kernel failed with status %d", status);
    return -1;
  }
  if (k->open) {
    runtime_fail(rt, "a loop of a micro-op kernel is not ended");
    return -1;
  }
  if (k->any && k->mode != mode) {
    runtime_fail(rt, mode == 0 ? "ALU micro-ops in a GEMM kernel" : "GEMM micro-ops in an ALU kernel");
    return -1;
  }
  return queue_reserve(rt) ? kernel_emit(rt, k) : -1;
}

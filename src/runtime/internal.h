// SPDX-License-Identifier: Apache-2.0
// What the files of the runtime share: a runtime is a command queue, a micro-op cache, an error state, a device.
#ifndef TETC_RUNTIME_INTERNAL_H
#define TETC_RUNTIME_INTERNAL_H

#include "runtime/runtime.h"

// Where the four dependence flags stand in an instruction's low word.
enum { FLAG_POP_PREV = 1 << 3, FLAG_POP_NEXT = 1 << 4, FLAG_PUSH_PREV = 1 << 5, FLAG_PUSH_NEXT = 1 << 6 };

// A token channel. Order matters: from, to are units.

// The instruction stream under construction: one launch's worth.
typedef struct Queue {
  VtaWord *words;
  uint32_t *marks; // of each instruction
  uint32_t mark;   // what new ones get
  size_t count, cap, limit;
  size_t last[4];                      // 1 + index of the newest instruction of each unit; 0: none in this launch
  uint64_t pending[4];                 // pop flags that the unit's next instruction will carry
  uint64_t carried[VTA_CHANNEL_COUNT]; // pushes less pops, as the program asked for them (pending pops count as done)
} Queue;

// A list of micro-ops, known by its content. It lives in DRAM for good and comes and goes on chip.
typedef struct UopSeq {
  uint64_t hash;
  uint32_t count;
  uint32_t dram;         // element index of the first one
  int32_t sram;          // where it is on chip; -1: it is not
  const uint32_t *words; // the DRAM copy
} UopSeq;

// The on-chip buffer is a ring: sequences are placed one after the other, the oldest give way.
typedef struct UopCache {
  UopSeq *seqs;
  size_t count, cap;
  uint32_t *table; // open addressing: 1 + index into seqs; 0: free
  size_t table_size;
  uint32_t head;  // next free on-chip entry
  uint32_t *ring; // resident sequences, oldest first, as a circular list of depth entries
  size_t ring_first, ring_count;
  uint64_t *chunks; // physical addresses of the DRAM that holds them
  size_t nchunks;
  uint32_t *chunk; // host view of the newest chunk
  uint64_t chunk_phys;
  size_t chunk_used, chunk_size; // in micro-ops
  uint64_t dram_used;            // in micro-ops, of all chunks
} UopCache;

typedef struct UopLoop {
  uint32_t extent, dst, src, wgt;
} UopLoop;

// A kernel while its finit runs.
typedef struct UopKernel {
  bool recording, any, ended; // any: a micro-op was pushed; ended: a loop was closed
  int nloops, open;
  UopLoop loops[2];
  uint32_t mode, reset, opcode, use_imm;
  int32_t imm;
  uint32_t dst_max, src_max, wgt_max;
  uint32_t *words;
  size_t count, cap;
} UopKernel;

struct TetcRuntime {
  TetcDevice *device;
  VtaConfig config;
  bool is_default;
  int debug;
  char error[512];
  bool no_memory; // the error is that memory is out
  int nfault;     // marks of the instructions that the error speaks of
  uint32_t fault[2];
  bool failed; // an error since the start of the kernel
  Queue queue;
  UopCache cache;
  UopKernel kernel;
};

// runtime.c
TetcRuntime *runtime_current(void); // the thread's; NULL only when memory is out
// Notes the first error, for tetc_error_text too, and throws away everything queued.
void runtime_fail(TetcRuntime *rt, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void runtime_no_memory(TetcRuntime *rt, const char *what); // the same, because memory is out

// queue.c. All return false after runtime_fail.
void queue_clear(Queue *q);
bool queue_reserve(TetcRuntime *rt); // room for what one call may emit, cutting the stream if it got too long
bool queue_emit(TetcRuntime *rt, const VtaInsn *i);       // carries the unit's pending pops
bool queue_emit_early(TetcRuntime *rt, const VtaInsn *i); // does not: they stay for the next one
bool queue_push(TetcRuntime *rt, int from, int to);
bool queue_pop(TetcRuntime *rt, int from, int to);
bool queue_launch(TetcRuntime *rt, bool keep_tokens); // runs everything; the queue is empty then

// uop.c
void uop_cache_init(UopCache *c);
void uop_cache_evict_all(UopCache *c);
void uop_cache_free(TetcRuntime *rt);
int kernel_push(TetcRuntime *rt, uint32_t mode, int (*finit)(void *), void *signature);

#endif

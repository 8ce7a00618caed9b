// SPDX-License-Identifier: Apache-2.0
// The C interface: runtimes, buffers, transfers, errors. Streams are built in queue.c, micro-op kernels in uop.c.
#include "runtime/internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- which runtime a thread uses -----------------------------------------------------------------------------------

// Upstream's interface is per thread by design: this is the one place where state is not passed along.
static _Thread_local TetcRuntime *selected;
static _Thread_local TetcRuntime *own_default;
static _Thread_local char newest_error[512]; // it outlives its runtime, and what makes that usable again
static pthread_key_t default_key;
static pthread_once_t default_once = PTHREAD_ONCE_INIT;

static void free_default(void *rt) { tetc_runtime_free(rt); }

static void make_key(void) { pthread_key_create(&default_key, free_default); }

TetcRuntime *tetc_runtime_new(TetcDevice *device) {
  if (!device) return NULL;
  TetcRuntime *rt = calloc(1, sizeof *rt);
  if (!rt) {
    device->free(device->self);
    return NULL;
  }
  rt->device = device;
  rt->config = device->config;
  rt->queue.limit = ((size_t)1 << 25) / sizeof(VtaWord); // upstream's VTA_MAX_XFER
  uop_cache_init(&rt->cache);
  return rt;
}

void tetc_runtime_free(TetcRuntime *rt) {
  if (!rt) return;
  if (selected == rt) selected = NULL;
  if (own_default == rt) own_default = NULL;
  uop_cache_free(rt);
  free(rt->kernel.words);
  free(rt->queue.words);
  free(rt->queue.marks);
  rt->device->free(rt->device->self);
  free(rt);
}

TetcRuntime *tetc_runtime_select(TetcRuntime *rt) {
  TetcRuntime *before = selected;
  selected = rt;
  return before;
}

TetcDevice *tetc_runtime_device(TetcRuntime *rt) { return rt->device; }

// The thread's runtime; makes the default one. NULL only when memory is out.
TetcRuntime *runtime_current(void) {
  if (selected) return selected;
  if (own_default) return own_default;
  VtaConfig c = vta_config_default();
  own_default = tetc_runtime_new(tetc_fsim_new(&c));
  if (!own_default) {
    snprintf(newest_error, sizeof newest_error, "no memory for a runtime");
    fprintf(stderr, "vta: %s\n", newest_error);
    return NULL;
  }
  own_default->is_default = true;
  pthread_once(&default_once, make_key);
  pthread_setspecific(default_key, own_default); // freed with its thread
  return own_default;
}

void VTARuntimeShutdown(void) {
  if (!own_default) return;
  pthread_setspecific(default_key, NULL);
  tetc_runtime_free(own_default);
}

// ---- errors --------------------------------------------------------------------------------------------------------

// Empties what a kernel leaves behind: queue, tokens, on-chip micro-ops, recording.
static void discard(TetcRuntime *rt) {
  queue_clear(&rt->queue);
  uop_cache_evict_all(&rt->cache);
  rt->kernel.recording = false;
  rt->device->reset(rt->device->self);
}

void runtime_fail(TetcRuntime *rt, const char *fmt, ...) {
  if (!rt->error[0]) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(rt->error, sizeof rt->error, fmt, ap);
    va_end(ap);
    memcpy(newest_error, rt->error, sizeof newest_error);
    if (rt->is_default) fprintf(stderr, "vta: %s\n", rt->error);
    if (rt->nfault == 0) {
      rt->fault[0] = rt->queue.mark; // not found by the device: the call at hand
      rt->nfault = 1;
    }
    rt->failed = true;
  }
  discard(rt);
}

void runtime_no_memory(TetcRuntime *rt, const char *what) {
  if (!rt->error[0]) rt->no_memory = true;
  runtime_fail(rt, "no memory for %s", what);
}

bool tetc_runtime_no_memory(const TetcRuntime *rt) { return rt->error[0] && rt->no_memory; }

const char *tetc_runtime_error(const TetcRuntime *rt) { return rt->error[0] ? rt->error : NULL; }

void tetc_runtime_mark(TetcRuntime *rt, uint32_t mark) { rt->queue.mark = mark; }

int tetc_runtime_fault(const TetcRuntime *rt, uint32_t marks[2]) {
  for (int i = 0; i < rt->nfault; i++) marks[i] = rt->fault[i];
  return rt->error[0] ? rt->nfault : 0;
}

// What an error leaves behind, besides what `discard` takes away.
static void forgive(TetcRuntime *rt) {
  rt->error[0] = 0;
  rt->no_memory = false;
  rt->nfault = 0;
}

// Host code asks for the handle when a kernel starts: what failed before it is over, where nobody else can say so.
VTACommandHandle VTATLSCommandHandle(void) {
  TetcRuntime *rt = runtime_current();
  if (rt && rt->is_default) forgive(rt);
  return rt;
}

void tetc_runtime_reset(TetcRuntime *rt) {
  forgive(rt);
  discard(rt);
}

// ---- what a kernel tells, and asks ----------------------------------------------------------------------------------

const char *tetc_error_text(void) { return newest_error; }

const char *tetc_status_text(int status) {
  switch ((TetcStatus)status) {
  case TETC_DONE: return "done";
  case TETC_NO_MEMORY: return "out of memory";
  case TETC_DEVICE_FAILED: return "the accelerator failed";
  case TETC_BAD_INDEX: return "an index read from data is out of range";
  case TETC_BAD_ARRAY: return "an array is NULL or not aligned to its elements";
  case TETC_MISFIT: return "the object does not fit the runtime";
  }
  return "an unknown status";
}

int tetc_kernel_begin(VTACommandHandle cmd, const char *kernel, const char *stamp) {
  TetcRuntime *rt = cmd;
  if (!rt) return TETC_NO_MEMORY;
  if (rt->error[0]) tetc_runtime_reset(rt);
  rt->failed = false;
  newest_error[0] = 0;
  VtaConfigText own = vta_stamp(&rt->config);
  if (!strcmp(own.text, stamp)) return TETC_DONE;
  runtime_fail(rt, "kernel `%s` does not fit this runtime: it was made for %s, but the runtime has %s", kernel, stamp,
               own.text);
  return TETC_MISFIT;
}

int tetc_kernel_done(VTACommandHandle cmd) {
  const TetcRuntime *rt = cmd;
  return rt && !rt->failed ? TETC_DONE : TETC_DEVICE_FAILED;
}

void tetc_kernel_failed(VTACommandHandle cmd, const char *kernel, int status, const char *why) {
  TetcRuntime *rt = cmd;
  if (!rt) return;
  if (rt->failed) discard(rt); // and its text stands
  else if (why) runtime_fail(rt, "kernel `%s`: %s", kernel, why);
  else runtime_fail(rt, "%s", tetc_status_text(status));
}

// ---- settings, counters ---------------------------------------------------------------------------------------------

void tetc_runtime_check(TetcRuntime *rt, bool on) {
  if (rt->device->check) rt->device->check(rt->device->self, on);
}

const TetcStats *tetc_runtime_stats(const TetcRuntime *rt) { return rt->device->stats(rt->device->self); }

void tetc_runtime_clear_stats(TetcRuntime *rt) { rt->device->clear_stats(rt->device->self); }

void tetc_runtime_set_launch_limit(TetcRuntime *rt, size_t instructions) {
  rt->queue.limit = instructions < 64 ? 64 : instructions;
}

// The runtime behind a handle, if it may be used.
static TetcRuntime *usable(VTACommandHandle cmd) {
  TetcRuntime *rt = cmd;
  return rt && !rt->error[0] ? rt : NULL;
}

// ---- buffers -------------------------------------------------------------------------------------------------------

// What a buffer handle points to. The magic number tells handles from stray pointers and freed buffers.
enum { BUFFER_MAGIC = 0x56544142 };
typedef struct Buffer {
  uint32_t magic;
  TetcDram *dram;
  uint64_t phys;
  size_t bytes;
  uint8_t *host;
} Buffer;

static Buffer *buffer_of(const void *handle) {
  Buffer *b = (Buffer *)(uintptr_t)handle;
  return b && b->magic == BUFFER_MAGIC ? b : NULL;
}

void *VTABufferAlloc(size_t size) {
  TetcRuntime *rt = usable(runtime_current());
  if (!rt) return NULL;
  errno = 0; // the device's memory may be full, too
  Buffer *b = calloc(1, sizeof *b);
  if (b) b->host = tetc_dram_alloc(rt->device->dram, size, &b->phys);
  if (!b || !b->host) {
    if (errno == ENOMEM) runtime_no_memory(rt, "a buffer");
    else runtime_fail(rt, "no device memory for a buffer of %zu bytes", size);
    free(b);
    return NULL;
  }
  b->magic = BUFFER_MAGIC;
  b->dram = tetc_dram_share(rt->device->dram);
  b->bytes = size;
  return b;
}

// Works after an error too, so that a failed kernel leaves no buffers behind; and after its runtime is gone.
void VTABufferFree(void *buffer) {
  Buffer *b = buffer_of(buffer);
  if (!b) return;
  tetc_dram_release(b->dram, b->phys);
  tetc_dram_free(b->dram);
  b->magic = 0;
  free(b);
}

// Bytes of a buffer; NULL after an error.
static Buffer *buffer_range(TetcRuntime *rt, const void *handle, uint64_t offset, uint64_t size, const char *what) {
  Buffer *b = buffer_of(handle);
  if (!b) runtime_fail(rt, "%s names something that is not a device buffer", what);
  else if (offset <= b->bytes && size <= b->bytes - offset) return b;
  else
    runtime_fail(rt, "%s of %llu bytes at offset %llu leaves its buffer of %zu bytes", what, (unsigned long long)size,
                 (unsigned long long)offset, b->bytes);
  return NULL;
}

static bool invalidate(TetcRuntime *rt, Buffer *b, uint64_t offset, uint64_t size) {
  if (tetc_dram_invalidate(b->dram, b->phys + offset, size)) return true;
  runtime_fail(rt, "what the CPU has written to a buffer is invalidated, and was not flushed");
  return false;
}

void VTABufferCopy(const void *from, size_t from_offset, void *to, size_t to_offset, size_t size, int kind_mask) {
  TetcRuntime *rt = usable(runtime_current());
  if (!rt || size == 0) return;
  const uint8_t *src = (const uint8_t *)from + from_offset;
  uint8_t *dst = (uint8_t *)to + to_offset;
  if (kind_mask & VTA_MEMCPY_D2H) {
    Buffer *b = buffer_range(rt, from, from_offset, size, "a copy");
    if (!b || !invalidate(rt, b, from_offset, size)) return;
    src = b->host + from_offset;
  }
  Buffer *b = NULL;
  if (kind_mask & VTA_MEMCPY_H2D) {
    if (!(b = buffer_range(rt, to, to_offset, size, "a copy"))) return;
    dst = b->host + to_offset;
  }
  memmove(dst, src, size);
  if (b) tetc_dram_flush(b->dram, b->phys + to_offset, size);
}

void *VTABufferCPUPtr(VTACommandHandle cmd, void *buffer) {
  Buffer *b = buffer_of(buffer);
  if (b) return b->host;
  TetcRuntime *rt = usable(cmd);
  if (rt) runtime_fail(rt, "a CPU pointer is asked for something that is not a device buffer");
  return NULL;
}

// The bytes that a barrier speaks of, and where they are; NULL after an error.
static Buffer *barrier(TetcRuntime *rt, void *buffer, uint32_t elem_bits, uint32_t start, uint32_t extent,
                       uint64_t *offset, uint64_t *size) {
  uint64_t elem = ((uint64_t)elem_bits + 7) / 8;
  *offset = elem * start;
  *size = elem * extent;
  return rt ? buffer_range(rt, buffer, *offset, *size, "a barrier") : NULL;
}

void VTAWriteBarrier(VTACommandHandle cmd, void *buffer, uint32_t elem_bits, uint32_t start, uint32_t extent) {
  TetcRuntime *rt = usable(cmd);
  uint64_t offset, size;
  Buffer *b = barrier(rt, buffer, elem_bits, start, extent, &offset, &size);
  if (b) invalidate(rt, b, offset, size);
}

void VTAReadBarrier(VTACommandHandle cmd, void *buffer, uint32_t elem_bits, uint32_t start, uint32_t extent) {
  uint64_t offset, size;
  Buffer *b = barrier(usable(cmd), buffer, elem_bits, start, extent, &offset, &size);
  if (b) tetc_dram_flush(b->dram, b->phys + offset, size);
}

void VTASetDebugMode(VTACommandHandle cmd, int debug_flag) {
  TetcRuntime *rt = cmd;
  if (rt) rt->debug = debug_flag;
}

// ---- transfers -----------------------------------------------------------------------------------------------------

// A text for errors: the instruction as it would have been.
typedef struct InsnText {
  char text[160];
} InsnText;

static InsnText insn_text(const TetcRuntime *rt, const VtaInsn *i) {
  InsnText t;
  vta_disassemble(&rt->config, i, t.text, sizeof t.text);
  return t;
}

// Every field against its width, the on-chip rectangle against the memory.
static bool transfer_fits(TetcRuntime *rt, const VtaInsn *i) {
  uint64_t width = (uint64_t)i->x_pad0 + i->x_size + i->x_pad1, height = (uint64_t)i->y_pad0 + i->y_size + i->y_pad1;
  bool wide = i->x_size > 0xFFFF || i->y_size > 0xFFFF || i->sram_base > 0xFFFF ||
              (i->y_size > 1 && i->x_stride > 0xFFFF) || i->x_pad0 > 15 || i->x_pad1 > 15 || i->y_pad0 > 15 ||
              i->y_pad1 > 15;
  if (wide) {
    runtime_fail(rt, "a number does not fit its field: %s", insn_text(rt, i).text);
    return false;
  }
  if (i->sram_base + width * height > (uint64_t)vta_depth(&rt->config, i->memory)) {
    runtime_fail(rt, "%llu tiles from tile %u leave an on-chip memory of %lld: %s",
                 (unsigned long long)(width * height), i->sram_base, (long long)vta_depth(&rt->config, i->memory),
                 insn_text(rt, i).text);
    return false;
  }
  return true;
}

// The DRAM side: turns buffer and offset into an element index, checks the range.
static bool transfer_place(TetcRuntime *rt, VtaInsn *i, const void *handle, uint32_t offset) {
  Buffer *b = buffer_of(handle);
  if (!b || b->dram != rt->device->dram) {
    runtime_fail(rt, b ? "a buffer of another runtime: %s" : "not a device buffer: %s", insn_text(rt, i).text);
    return false;
  }
  uint64_t elem = (uint64_t)vta_elem_bytes(&rt->config, i->memory);
  uint64_t rows = i->y_size ? i->y_size - 1 : 0, end = i->y_size ? offset + rows * i->x_stride + i->x_size : offset;
  uint64_t index = b->phys / elem + offset;
  if (end > b->bytes / elem || index > UINT32_MAX) {
    runtime_fail(rt, "element %llu is asked of a buffer that holds %llu: %s", (unsigned long long)(end ? end - 1 : 0),
                 (unsigned long long)(b->bytes / elem), insn_text(rt, i).text);
    return false;
  }
  i->dram_base = (uint32_t)index;
  return true;
}

// Checks and queues one transfer. One that moves nothing stays in the stream: it may carry tokens.
static void transfer(TetcRuntime *rt, VtaInsn *i, const void *handle, uint32_t offset) {
  i->dram_base = offset; // what a message shows
  if (i->x_size == 0) {
    *i = (VtaInsn){.opcode = i->opcode, .memory = i->memory};
  } else {
    if (!transfer_fits(rt, i) || !transfer_place(rt, i, handle, offset)) return;
    if (i->y_size <= 1) i->x_stride &= 0xFFFF; // not looked at
  }
  if (queue_reserve(rt)) queue_emit(rt, i);
}

void VTALoadBuffer2D(VTACommandHandle cmd, void *src_dram_addr, uint32_t src_elem_offset, uint32_t x_size,
                     uint32_t y_size, uint32_t x_stride, uint32_t x_pad_before, uint32_t y_pad_before,
                     uint32_t x_pad_after, uint32_t y_pad_after, uint32_t dst_sram_index, uint32_t dst_memory_type) {
  TetcRuntime *rt = usable(cmd);
  if (!rt) return;
  if (dst_memory_type >= MEM_COUNT || dst_memory_type == MEM_OUT) {
    runtime_fail(rt, "a load into memory type %u, which does not exist", dst_memory_type);
    return;
  }
  VtaInsn i = {.opcode = OPC_LOAD,
               .memory = (VtaMemory)dst_memory_type,
               .sram_base = dst_sram_index,
               .y_size = y_size,
               .x_size = x_size,
               .x_stride = x_stride,
               .y_pad0 = y_pad_before,
               .y_pad1 = y_pad_after,
               .x_pad0 = x_pad_before,
               .x_pad1 = x_pad_after};
  if (i.memory == MEM_UOP) uop_cache_evict_all(&rt->cache); // somebody else's micro-ops: ours may be overwritten
  transfer(rt, &i, src_dram_addr, src_elem_offset);
}

void VTAStoreBuffer2D(VTACommandHandle cmd, uint32_t src_sram_index, uint32_t src_memory_type, void *dst_dram_addr,
                      uint32_t dst_elem_offset, uint32_t x_size, uint32_t y_size, uint32_t x_stride) {
  TetcRuntime *rt = usable(cmd);
  if (!rt) return;
  if (src_memory_type != MEM_OUT) {
    runtime_fail(rt, "a store from memory type %u: only OUT (4) can be stored", src_memory_type);
    return;
  }
  VtaInsn i = {.opcode = OPC_STORE,
               .memory = MEM_OUT,
               .sram_base = src_sram_index,
               .y_size = y_size,
               .x_size = x_size,
               .x_stride = x_stride};
  transfer(rt, &i, dst_dram_addr, dst_elem_offset);
}

// ---- kernels, tokens, synchronisation ------------------------------------------------------------------------------

int VTAPushGEMMOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes) {
  (void)uop_handle, (void)nbytes;
  TetcRuntime *rt = usable(runtime_current());
  return rt ? kernel_push(rt, 0, finit, signature) : -1;
}

int VTAPushALUOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes) {
  (void)uop_handle, (void)nbytes;
  TetcRuntime *rt = usable(runtime_current());
  return rt ? kernel_push(rt, 1, finit, signature) : -1;
}

int VTADepPush(VTACommandHandle cmd, int from_qid, int to_qid) {
  TetcRuntime *rt = usable(cmd);
  return rt && queue_reserve(rt) && queue_push(rt, from_qid, to_qid) ? 0 : -1;
}

int VTADepPop(VTACommandHandle cmd, int from_qid, int to_qid) {
  TetcRuntime *rt = usable(cmd);
  return rt && queue_reserve(rt) && queue_pop(rt, from_qid, to_qid) ? 0 : -1;
}

void VTASynchronize(VTACommandHandle cmd, uint32_t wait_cycles) {
  (void)wait_cycles; // devices end a stream that cannot go on by themselves
  TetcRuntime *rt = usable(cmd);
  if (rt) queue_launch(rt, false);
  rt = cmd;
  if (rt && rt->is_default) forgive(rt); // it was printed; the next kernel starts afresh
}

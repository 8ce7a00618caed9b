// SPDX-License-Identifier: Apache-2.0
// The VTA runtime. First the C interface of upstream VTA's runtime (apache/tvm-vta), prototype for prototype, so that
// objects made by tetc link with either; then our own additions, prefixed tetc_.
#ifndef TETC_RUNTIME_H
#define TETC_RUNTIME_H

#include "runtime/device.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- upstream's interface ------------------------------------------------------------------------------------------

enum { VTA_MEMCPY_H2D = 1, VTA_MEMCPY_D2H = 2, VTA_MEMCPY_D2D = 3 };

// Flags of VTASetDebugMode. Dumps are not made here (see listing.c of the compiler); FORCE_SERIAL is accepted.
enum {
  VTA_DEBUG_DUMP_INSN = 1 << 1,
  VTA_DEBUG_DUMP_UOP = 1 << 2,
  VTA_DEBUG_SKIP_READ_BARRIER = 1 << 3,
  VTA_DEBUG_SKIP_WRITE_BARRIER = 1 << 4,
  VTA_DEBUG_FORCE_SERIAL = 1 << 5
};

typedef void *VTACommandHandle;

// Memory that the device can reach: an opaque handle (VTABufferCPUPtr gives the host's view). NULL when there is none.
void *VTABufferAlloc(size_t size);
void VTABufferFree(void *buffer);
// kind_mask says which ends are handles: H2D `to`, D2H `from`, D2D both.
void VTABufferCopy(const void *from, size_t from_offset, void *to, size_t to_offset, size_t size, int kind_mask);

// The calling thread's runtime; made on first use (default configuration, functional simulator, checker off).
VTACommandHandle VTATLSCommandHandle(void);
void VTARuntimeShutdown(void); // frees the calling thread's own default runtime, if it has one
void *VTABufferCPUPtr(VTACommandHandle cmd, void *buffer);
// Elements start .. start + extent of a buffer. Write: what VTA has written there is what the CPU reads next. Read:
// what the CPU has written there is what VTA reads next.
void VTAWriteBarrier(VTACommandHandle cmd, void *buffer, uint32_t elem_bits, uint32_t start, uint32_t extent);
void VTAReadBarrier(VTACommandHandle cmd, void *buffer, uint32_t elem_bits, uint32_t start, uint32_t extent);
void VTASetDebugMode(VTACommandHandle cmd, int debug_flag);

// Sizes, offsets and strides count elements of the memory named (of DRAM int8 tiles for MEM_ACC8).
void VTALoadBuffer2D(VTACommandHandle cmd, void *src_dram_addr, uint32_t src_elem_offset, uint32_t x_size,
                     uint32_t y_size, uint32_t x_stride, uint32_t x_pad_before, uint32_t y_pad_before,
                     uint32_t x_pad_after, uint32_t y_pad_after, uint32_t dst_sram_index, uint32_t dst_memory_type);
void VTAStoreBuffer2D(VTACommandHandle cmd, uint32_t src_sram_index, uint32_t src_memory_type, void *dst_dram_addr,
                      uint32_t dst_elem_offset, uint32_t x_size, uint32_t y_size, uint32_t x_stride);

// Inside `finit` of a kernel: up to two loops, then micro-ops. mode 0 is GEMM, 1 is ALU.
void VTAUopPush(uint32_t mode, uint32_t reset_out, uint32_t dst_index, uint32_t src_index, uint32_t wgt_index,
                uint32_t opcode, uint32_t use_imm, int32_t imm_val);
void VTAUopLoopBegin(uint32_t extent, uint32_t dst_factor, uint32_t src_factor, uint32_t wgt_factor);
void VTAUopLoopEnd(void);
// Runs `finit(signature)`, which must return 0, and queues the kernel it describes. Kernels are told apart by content:
// *uop_handle is neither read nor written. 0 on success.
int VTAPushGEMMOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes);
int VTAPushALUOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes);

// Units: 1 load, 2 compute, 3 store. 0 on success.
int VTADepPush(VTACommandHandle cmd, int from_qid, int to_qid);
int VTADepPop(VTACommandHandle cmd, int from_qid, int to_qid);
// Runs everything queued to its end.
void VTASynchronize(VTACommandHandle cmd, uint32_t wait_cycles);

// ---- kernels -------------------------------------------------------------------------------------------------------

// What a kernel made by tetc returns. Unless it is 0, its outputs are undefined; the next kernel is none the worse for
// it.
typedef enum TetcStatus {
  TETC_DONE,          // everything is in its place
  TETC_NO_MEMORY,     // memory, or device memory, is out
  TETC_DEVICE_FAILED, // the accelerator, or what was asked of it, is wrong
  TETC_BAD_INDEX,     // an index read from data is out of range
  TETC_BAD_ARRAY,     // an array is NULL, or not aligned to its elements
  TETC_MISFIT         // the object was made for another configuration, or another runtime, than this one
} TetcStatus;

// Why the last kernel of this thread that uses the accelerator failed, in a line; "" if it did not. Valid until the
// thread's next call of the runtime. Kernels of the CPU alone need no runtime, and leave no text.
const char *tetc_error_text(void);
const char *tetc_status_text(int status); // in general

// What generated code calls besides upstream's interface, by weak references: upstream's runtime has none of it.
// The start of a kernel on this runtime, whatever happened before: TETC_DONE, or TETC_MISFIT where `stamp` (vta_stamp
// of isa.h) is not the runtime's own, TETC_NO_MEMORY where cmd is NULL.
int tetc_kernel_begin(VTACommandHandle cmd, const char *kernel, const char *stamp);
// Whether nothing failed since then: TETC_DONE or TETC_DEVICE_FAILED. Asked for before outputs are given out.
int tetc_kernel_done(VTACommandHandle cmd);
// The end of a kernel whose status is not 0: what it has queued is thrown away. why: NULL, or more than the status
// tells.
void tetc_kernel_failed(VTACommandHandle cmd, const char *kernel, int status, const char *why);

// ---- our additions -------------------------------------------------------------------------------------------------

// A command queue with its device. A thread uses the one it selected; one runtime serves one thread at a time.
typedef struct TetcRuntime TetcRuntime;

TetcRuntime *tetc_runtime_new(TetcDevice *device); // takes the device over, also when it fails (NULL); NULL for NULL
void tetc_runtime_free(TetcRuntime *rt);           // and its device; buffers live on until they are freed
// Makes rt (or NULL: the default one) what this thread's calls go to; returns what was selected before (or NULL).
TetcRuntime *tetc_runtime_select(TetcRuntime *rt);
TetcDevice *tetc_runtime_device(TetcRuntime *rt);

// The first error since the last reset; NULL if there is none. After an error every call of upstream's interface does
// nothing, until tetc_runtime_reset or the start of a kernel. An error has already emptied the queue and reset the
// device: nothing of the failed kernel is left. (The default runtime prints its errors to stderr and is reset by
// VTASynchronize and VTATLSCommandHandle, too.)
const char *tetc_runtime_error(const TetcRuntime *rt);
void tetc_runtime_reset(TetcRuntime *rt);

// Instructions queued from now on carry `mark`, a number of the caller's that says where they come from; an error tells
// the marks of the instructions it speaks of, the later one first (how many: 0 to 2).
void tetc_runtime_mark(TetcRuntime *rt, uint32_t mark);
int tetc_runtime_fault(const TetcRuntime *rt, uint32_t marks[2]);
// Whether the error is that memory is out.
bool tetc_runtime_no_memory(const TetcRuntime *rt);

void tetc_runtime_check(TetcRuntime *rt, bool on); // the hazard checker, where the device has one
const TetcStats *tetc_runtime_stats(const TetcRuntime *rt);
void tetc_runtime_clear_stats(TetcRuntime *rt);
// The most instructions in one launch (upstream: 32 MiB of them); longer streams are cut, tokens carried over.
void tetc_runtime_set_launch_limit(TetcRuntime *rt, size_t instructions);

#ifdef __cplusplus
}
#endif

#endif

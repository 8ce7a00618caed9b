// SPDX-License-Identifier: Apache-2.0
// A model of the micro-op cache of upstream's runtime (apache/tvm v0.8, vta/runtime): what it takes, when it calls a
// kernel's description, where it puts micro-operations, what each launch finds in memory. Everything else is our
// runtime's. Programs are linked with --wrap of the functions here, and of tetc_kernel_*, which upstream's runtime has
// not.
//
//   - A handle has kernels by key: 0 where no bytes are captured, else 1 + the captured 4-byte value; keys are
//     below 100.
//   - A kernel is described once, at its first push, and kept as long as the process lives.
//   - On chip, kernels follow one another until the memory is full; then they start again at 0, and those that lie
//     where a new one goes are forgotten. Each push that is not on chip is a LOAD UOP from the buffer in DRAM, at the
//     offset that the sizes of the kernels before it in the list make at that time.
//   - The buffer is filled when the stream is launched, with what the list holds then. After a launch the list is
//     empty.
#include "runtime/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(x) ((x) ? (void)0 : (fprintf(stderr, "upstream: check failed: %s\n", #x), abort()))

enum { MOST_KEYS = 100, MOST_LIST = 1 << 16 };

typedef struct Kernel {
  UopLoop loops[2];
  int nloops, open;
  uint32_t mode, reset, opcode, use_imm;
  int32_t imm;
  uint32_t *words;
  size_t count, cap;
  uint32_t sram_begin, sram_end; // equal: it is not on chip
} Kernel;

typedef struct Map {
  Kernel *kernels[MOST_KEYS];
} Map;

static Kernel *recording;
static Kernel *list[MOST_LIST];
static size_t list_count, list_at;
static uint32_t sram_begin, sram_end;
static uint32_t *dram;
static uint64_t dram_phys;

int __wrap_VTAPushGEMMOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes);
int __wrap_VTAPushALUOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes);
void __wrap_VTAUopPush(uint32_t mode, uint32_t reset_out, uint32_t dst_index, uint32_t src_index, uint32_t wgt_index,
                       uint32_t opcode, uint32_t use_imm, int32_t imm_val);
void __wrap_VTAUopLoopBegin(uint32_t extent, uint32_t dst_factor, uint32_t src_factor, uint32_t wgt_factor);
void __wrap_VTAUopLoopEnd(void);
void __wrap_VTASynchronize(VTACommandHandle cmd, uint32_t wait_cycles);

// ---- a kernel's description -----------------------------------------------------------------------------------------

void __wrap_VTAUopLoopBegin(uint32_t extent, uint32_t dst_factor, uint32_t src_factor, uint32_t wgt_factor) {
  CHECK(recording && recording->nloops < 2 && recording->count == 0);
  recording->loops[recording->nloops++] = (UopLoop){extent, dst_factor, src_factor, wgt_factor};
  recording->open++;
}

void __wrap_VTAUopLoopEnd(void) { CHECK(recording && recording->open-- > 0); }

void __wrap_VTAUopPush(uint32_t mode, uint32_t reset_out, uint32_t dst_index, uint32_t src_index, uint32_t wgt_index,
                       uint32_t opcode, uint32_t use_imm, int32_t imm_val) {
  Kernel *k = recording;
  CHECK(k);
  if (!k->count) k->mode = mode, k->reset = reset_out, k->opcode = opcode, k->use_imm = use_imm, k->imm = imm_val;
  CHECK(k->mode == mode && k->reset == reset_out && k->opcode == opcode && k->use_imm == use_imm && k->imm == imm_val);
  if (k->count == k->cap) CHECK(k->words = realloc(k->words, (k->cap = 2 * k->cap + 64) * sizeof *k->words));
  k->words[k->count++] = vta_encode_uop(&runtime_current()->config, (VtaUop){dst_index, src_index, wgt_index});
}

static Kernel *find_kernel(void **uop_handle, int (*finit)(void *), void *signature, int nbytes) {
  uint32_t key = 0;
  CHECK(nbytes == 0 || nbytes == (int)sizeof(int));
  if (nbytes) memcpy(&key, signature, sizeof key), key++;
  CHECK(key < MOST_KEYS);
  if (!*uop_handle) CHECK(*uop_handle = calloc(1, sizeof(Map)));
  Map *map = *uop_handle;
  if (map->kernels[key]) return map->kernels[key];
  CHECK(recording = calloc(1, sizeof *recording));
  CHECK(finit(signature) == 0);
  map->kernels[key] = recording;
  recording = NULL;
  return map->kernels[key];
}

// ---- the cache ------------------------------------------------------------------------------------------------------

// Gives k its place in the list and on chip.
static void cache(Kernel *k, uint32_t depth) {
  uint32_t begin = 0, n = (uint32_t)k->count;
  CHECK(n <= depth);
  if (sram_end + n > depth) list_at = 0, sram_begin = 0, sram_end = n;
  else begin = sram_end, sram_end += n;
  size_t evict = list_at;
  for (; list_at < list_count && list[list_at]->sram_begin < sram_end; list_at++)
    list[list_at]->sram_begin = list[list_at]->sram_end = 0;
  k->sram_begin = begin;
  k->sram_end = sram_end;
  size_t rest = list_count - list_at;
  CHECK(evict + 1 + rest <= MOST_LIST);
  memmove(list + evict + 1, list + list_at, rest * sizeof *list);
  list[evict] = k;
  list_count = evict + 1 + rest;
  list_at = evict + 1;
}

static void load_uops(TetcRuntime *rt) {
  uint32_t offset = 0, n = sram_end - sram_begin, bytes = 4 * (uint32_t)vta_depth(&rt->config, MEM_UOP) * 64;
  for (size_t i = 0; i + 1 < list_at; i++) offset += (uint32_t)list[i]->count;
  if (!dram) CHECK(dram = tetc_dram_alloc(rt->device->dram, bytes, &dram_phys));
  VtaInsn load = {.opcode = OPC_LOAD,
                  .memory = MEM_UOP,
                  .sram_base = sram_begin,
                  .dram_base = (uint32_t)(dram_phys / 4) + offset,
                  .y_size = 1,
                  .x_size = n,
                  .x_stride = n};
  CHECK(queue_emit_early(rt, &load));
  sram_begin = sram_end;
}

static int push(uint32_t mode, void **uop_handle, int (*finit)(void *), void *signature, int nbytes) {
  TetcRuntime *rt = runtime_current();
  Kernel *k = find_kernel(uop_handle, finit, signature, nbytes);
  if (!k->count) return 0;
  CHECK(k->mode == mode && !k->open);
  if (k->sram_begin == k->sram_end) cache(k, (uint32_t)vta_depth(&rt->config, MEM_UOP));
  if (sram_begin != sram_end) load_uops(rt);
  UopLoop l[2];
  for (int i = 0; i < 2; i++) l[i] = i < k->nloops ? k->loops[i] : (UopLoop){1, 0, 0, 0};
  VtaInsn i = {.opcode = mode ? OPC_ALU : OPC_GEMM,
               .reset = k->reset,
               .uop_begin = k->sram_begin,
               .uop_end = k->sram_end,
               .iter_out = l[0].extent,
               .iter_in = l[1].extent,
               .dst_out = l[0].dst,
               .dst_in = l[1].dst,
               .src_out = l[0].src,
               .src_in = l[1].src,
               .wgt_out = mode ? 0 : l[0].wgt,
               .wgt_in = mode ? 0 : l[1].wgt,
               .alu_op = (VtaAluOp)(mode ? k->opcode : 0),
               .use_imm = mode && k->use_imm,
               .imm = mode && k->use_imm ? k->imm : 0};
  CHECK(queue_emit(rt, &i));
  return 0;
}

int __wrap_VTAPushGEMMOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes) {
  return push(0, uop_handle, finit, signature, nbytes);
}

int __wrap_VTAPushALUOp(void **uop_handle, int (*finit)(void *), void *signature, int nbytes) {
  return push(1, uop_handle, finit, signature, nbytes);
}

void __real_VTASynchronize(VTACommandHandle cmd, uint32_t wait_cycles);
void __wrap_VTASynchronize(VTACommandHandle cmd, uint32_t wait_cycles) {
  uint32_t offset = 0;
  for (size_t i = 0; i < list_count; i++) {
    memcpy(dram + offset, list[i]->words, list[i]->count * sizeof *dram);
    offset += (uint32_t)list[i]->count;
    list[i]->sram_begin = list[i]->sram_end = 0;
  }
  list_count = list_at = 0;
  sram_begin = sram_end = 0;
  __real_VTASynchronize(cmd, wait_cycles);
}

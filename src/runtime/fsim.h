// SPDX-License-Identifier: Apache-2.0
// Inside the functional simulator: on-chip state, the arithmetic on it (kernels.c), the hazard checker (hazard.c).
#ifndef TETC_RUNTIME_FSIM_H
#define TETC_RUNTIME_FSIM_H

#include "runtime/device.h"

// ---- on-chip memories and arithmetic: kernels.c ---------------------------------------------------------------------

typedef enum SimdLevel { SIMD_BEST, SIMD_C, SIMD_AVX2, SIMD_VNNI } SimdLevel;

// Contents as the instruction set sees them, and copies of INP and WGT laid out for the vector unit in use.
typedef struct Sram {
  VtaConfig config;
  int64_t batch, block_in, block_out;
  int64_t inp_depth, wgt_depth, acc_depth, uop_depth;
  int8_t *inp;  // [inp_depth][batch][block_in]
  int8_t *wgt;  // [wgt_depth][block_out][block_in]
  int32_t *acc; // [acc_depth][batch][block_out]
  VtaUop *uop;  // decoded
  SimdLevel level;
  // SIMD_VNNI: wgt_lanes holds wgt + 128 as [tile][block_out / 16][block_in / 4][16 lanes][4], inp_fix -128 times the
  // sum of each row of INP. SIMD_AVX2: both as int16, wgt_lanes as [tile][block_out / 8][block_in / 2][8 lanes][2].
  uint8_t *wgt_lanes;
  int32_t *inp_fix;
  int16_t *inp_wide;
} Sram;

bool sram_init(Sram *s, const VtaConfig *c); // zeroed contents
void sram_free(Sram *s);
bool sram_use(Sram *s, SimdLevel level); // false: not on this machine or not for this configuration
// Must follow every change of elements [first, first + n).
void sram_inp_written(Sram *s, int64_t first, int64_t n);
void sram_wgt_written(Sram *s, int64_t first, int64_t n);

// Executes a checked GEMM or ALU instruction.
void sram_gemm(Sram *s, const VtaInsn *i);
void sram_alu(Sram *s, const VtaInsn *i);

// ---- who may touch what when: hazard.c ------------------------------------------------------------------------------

typedef struct Hazard Hazard;

// An access that no token orders after an earlier one.
typedef struct HazardReport {
  VtaMemory memory; // MEM_COUNT: DRAM
  uint64_t place;   // element, or byte address
  bool first_writes, second_writes;
  VtaUnit first_unit;
  uint64_t first; // the earlier access: its unit's instruction number in this launch, from 0
} HazardReport;

Hazard *hazard_new(const VtaConfig *c);
void hazard_free(Hazard *h);
void hazard_begin(Hazard *h); // a launch starts: everything before it is done
void hazard_reset(Hazard *h);
// A unit starts its next instruction, having taken a token from each channel in `pops` (a bit each).
void hazard_start(Hazard *h, VtaUnit unit, unsigned pops);
// It is done and gives tokens.
bool hazard_done(Hazard *h, VtaUnit unit, unsigned pushes); // false: no memory
// Accesses of a unit's current instruction. False: a conflict, described in *report (once; it may go on).
bool hazard_sram(Hazard *h, VtaUnit unit, VtaMemory m, uint64_t first, uint64_t n, bool write, HazardReport *report);
bool hazard_dram(Hazard *h, VtaUnit unit, uint64_t phys, uint64_t bytes, bool write, HazardReport *report);

#endif

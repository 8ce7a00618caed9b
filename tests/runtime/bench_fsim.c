// SPDX-License-Identifier: Apache-2.0
// Speed of the functional simulator: GMAC/s of GEMM kernels, G lane operations/s of the ALU, through the C interface.
// Usage: bench_fsim [check]. One line a pattern: `name level GMAC/s`.
#include "runtime/runtime.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct Pattern {
  const char *name;
  uint32_t mode, out, in, uops;
  uint32_t dst_out, dst_in, dst_uop, src_out, src_in, src_uop, wgt_out, wgt_in, wgt_uop;
  uint32_t opcode, imm;
} Pattern;

static const Pattern patterns[] = {
    {"conv-row", 0, 14, 56, 9, 56, 1, 0, 58, 1, 1, 0, 0, 1, 0, 0}, // weights stay through the inner loop
    {"conv-taps", 0, 3, 14, 56, 0, 0, 1, 58, 1, 1, 3, 1, 0, 0, 0}, // rows as micro-ops
    {"matmul", 0, 16, 16, 16, 16, 1, 0, 16, 0, 1, 0, 16, 1, 0, 0}, // the sum as micro-ops: one ACC for 16 steps
    {"small", 0, 1, 14, 2, 0, 1, 0, 0, 1, 14, 0, 0, 1, 0, 0},      // short instructions
    {"alu-imm", 1, 14, 56, 1, 56, 1, 0, 56, 1, 0, 0, 0, 0, 3, 1},
    {"alu-add", 1, 14, 56, 1, 56, 1, 0, 56, 1, 0, 0, 0, 0, 2, 0},
};

static int describe(void *arg) {
  const Pattern *p = arg;
  VTAUopLoopBegin(p->out, p->dst_out, p->src_out, p->wgt_out);
  VTAUopLoopBegin(p->in, p->dst_in, p->src_in, p->wgt_in);
  for (uint32_t k = 0; k < p->uops; k++)
    VTAUopPush(p->mode, 0, k * p->dst_uop, k * p->src_uop + (p->mode ? 1024 : 0), k * p->wgt_uop, p->opcode, p->imm, 3);
  VTAUopLoopEnd();
  VTAUopLoopEnd();
  return 0;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Runs a pattern for about a third of a second; operations per second (multiply-accumulates, or lanes).
static double measure(TetcRuntime *rt, const Pattern *p) {
  VTACommandHandle cmd = VTATLSCommandHandle();
  double lanes = p->mode ? 16 : 256, steps = (double)p->out * p->in * p->uops, best = 0;
  int reps = (int)(2e5 / steps) + 1;
  for (double start = now(); now() - start < 0.3;) {
    double t = now();
    for (int r = 0; r < reps; r++) {
      if (p->mode) VTAPushALUOp(NULL, describe, (void *)(uintptr_t)p, 0);
      else VTAPushGEMMOp(NULL, describe, (void *)(uintptr_t)p, 0);
    }
    VTASynchronize(cmd, 0);
    double rate = steps * reps * lanes / (now() - t);
    if (rate > best) best = rate;
  }
  if (tetc_runtime_error(rt)) printf("error: %s\n", tetc_runtime_error(rt));
  return best;
}

int main(int argc, char **argv) {
  VtaConfig c = vta_config_default();
  TetcRuntime *rt = tetc_runtime_new(tetc_fsim_new(&c));
  if (!rt) return 3;
  tetc_runtime_select(rt);
  tetc_runtime_check(rt, argc > 1 && !strcmp(argv[1], "check"));
  for (int level = 3; level >= 1; level--) {
    if (!tetc_fsim_use(tetc_runtime_device(rt), level)) continue;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
      printf("%-10s %-12s %7.1f %s\n", patterns[i].name, tetc_fsim_level_name(tetc_runtime_device(rt)),
             1e-9 * measure(rt, &patterns[i]), patterns[i].mode ? "G lanes/s" : "GMAC/s");
  }
  tetc_runtime_free(rt);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// A kernel of the CPU alone, in a program without any runtime: arrays that are not there, or not aligned, are a status.
#include "cpu_only.h"

#include <stdio.h>

int main(void) {
  int32_t x[9];
  float y[9];
  char *odd = (char *)x + 1;
  for (int i = 0; i < 9; i++) x[i] = i;
  int bad[] = {cpu_only(NULL, y),
               cpu_only(x, NULL),
               cpu_only((int32_t *)(void *)odd, y),
               cpu_only(x, (float *)(void *)((char *)y + 2)),
               cpu_only__packed(NULL),
               cpu_only__packed((void *[]){NULL, y})};
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
    if (bad[i] != 4) return printf("case %u: status %d instead of 4\n", i, bad[i]), 1;
  if (cpu_only(x + 1, y)) return printf("a good call fails\n"), 1;
  for (int i = 0; i < 8; i++)
    if (y[i] != (float)(i + 1) * 0.5f) return printf("y[%d] is %g\n", i, (double)y[i]), 1;
  return 0;
}

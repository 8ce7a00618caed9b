// SPDX-License-Identifier: Apache-2.0
// Calls the kernel that the linker names call_kernel, on arrays in files: call CONFIG FILE.npy... FILE:BYTES...;
// inputs, then outputs, which are written as they are. CONFIG: log2 of batch, block, and the bytes of micro-ops,
// inputs, weights, accumulators.
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int call_kernel(void **params);

// The data of an .npy file, or room for an output.
static void *array(char *word, size_t *bytes) {
  char *colon = strrchr(word, ':');
  *bytes = 0;
  if (colon) {
    *colon = 0;
    *bytes = strtoul(colon + 1, NULL, 10);
    return calloc(1, *bytes);
  }
  FILE *f = fopen(word, "rb");
  unsigned char head[10];
  if (!f || fread(head, 1, 10, f) != 10 || fseek(f, 0, SEEK_END)) exit(9);
  long start = 10 + head[8] + 256 * head[9], end = ftell(f);
  char *data = malloc((size_t)(end - start));
  if (!data || fseek(f, start, SEEK_SET) || fread(data, 1, (size_t)(end - start), f) != (size_t)(end - start)) exit(9);
  fclose(f);
  return data;
}

int main(int argc, char **argv) {
  void *params[256];
  size_t bytes[256];
  VtaConfig c = vta_config_default();
  if (sscanf(argv[1], "%d,%d,%d,%d,%d,%d", &c.log_batch, &c.log_block_in, &c.log_uop_buff, &c.log_inp_buff,
             &c.log_wgt_buff, &c.log_acc_buff) != 6)
    return 9;
  if (argc - 2 > 256) return 9;
  c.log_block_out = c.log_block_in;
  c.log_out_buff = c.log_acc_buff + c.log_out_width - c.log_acc_width;
  TetcRuntime *rt = tetc_runtime_new(tetc_fsim_new(&c));
  tetc_runtime_select(rt);
  for (int i = 2; i < argc; i++) params[i - 2] = array(argv[i], &bytes[i - 2]);
  for (int turn = 0; turn < 2; turn++) { // the second time, what the first one left on chip
    int status = call_kernel(params);
    if (!status && tetc_runtime_error(rt)) status = 2;
    if (status) return fprintf(stderr, "status %d: %s\n", status, tetc_error_text()), status;
  }
  for (int i = 2; i < argc; i++) {
    FILE *f = bytes[i - 2] ? fopen(argv[i], "wb") : NULL;
    if (f && (fwrite(params[i - 2], 1, bytes[i - 2], f) != bytes[i - 2] || fclose(f))) return 9;
    free(params[i - 2]);
  }
  tetc_runtime_select(NULL);
  tetc_runtime_free(rt);
  return 0;
}

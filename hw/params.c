// SPDX-License-Identifier: Apache-2.0
// vta_params CONFIG.json BUS-BITS PREFIX ARGS HEADER: the parameters of a model, for Verilator (ARGS) and for the
// harness, which also learns from HEADER what Verilator called the model.
#include "backend_vta/vta.h"

#include <stdlib.h>
#include <string.h>

// The configuration in a file; false when it was reported, or the core cannot have it.
static bool read_config(const char *path, VtaConfig *config) {
  Arena *arena = arena_new();
  Ctx cx = {.arena = arena, .diags = diags_new(arena)};
  const char *error = NULL;
  const Source *json = source_read(arena, path, &error);
  bool ok = json && vta_config_load(&cx, json, config);
  if (!json) fprintf(stderr, "%s: %s\n", path, error);
  diags_print(cx.diags, stderr, DIAG_TEXT, NULL);
  if (ok && vta_log_depth(config, MEM_ACC) < 3) {
    fprintf(stderr, "%s: the core has four banks of accumulators: LOG_ACC_BUFF_SIZE must be enough for eight tiles\n",
            path);
    ok = false;
  }
  arena_free(arena);
  return ok;
}

static int log_bus_bytes(const char *bits) {
  for (int log = 3; log <= 6; log++)
    if (atoi(bits) == 8 << log) return log;
  return -1;
}

int main(int argc, char **argv) {
  VtaConfig config;
  if (argc != 6) return fprintf(stderr, "usage: vta_params CONFIG.json BUS-BITS PREFIX ARGS HEADER\n"), 2;
  int log_bus = log_bus_bytes(argv[2]);
  if (log_bus < 0) return fprintf(stderr, "vta_params: the bus has 64, 128, 256 or 512 bits, not %s\n", argv[2]), 1;
  if (!read_config(argv[1], &config)) return 1;
  FILE *args = fopen(argv[4], "w"), *header = fopen(argv[5], "w");
  if (!args || !header) return fprintf(stderr, "vta_params: cannot write\n"), 1;
  const VtaConfig *c = &config;
  fprintf(header, "#pragma once\n#include \"%s.h\"\n#include \"%s___024root.h\"\n", argv[3], argv[3]);
  fprintf(header, "using Model = %s;\nusing ModelRoot = %s___024root;\nenum {\n", argv[3], argv[3]);
#define PARAM(name, value) \
  fprintf(args, "-G" #name "=%d\n", value); \
  fprintf(header, "  MODEL_" #name " = %d,\n", value);
#include "params.def"
#undef PARAM
  fprintf(args, "-GLOG_BUS=%d\n", log_bus);
  fprintf(header, "  MODEL_LOG_BUS = %d\n};\n", log_bus);
  bool ok = !ferror(args) && !ferror(header);
  ok = !fclose(args) && ok;
  ok = !fclose(header) && ok;
  return ok ? 0 : 1;
}

// SPDX-License-Identifier: Apache-2.0
// The model under test, as the command line names it: CONFIG.json BITS-OF-THE-BUS.
#ifndef TETC_TESTS_HW_MODEL_H
#define TETC_TESTS_HW_MODEL_H

#include "backend_vta/vta.h"

#include <stdlib.h>

// False: the arguments do not name one.
static inline bool model_read(int argc, char **argv, VtaConfig *config, uint32_t *bus) {
  const char *error = NULL;
  if (argc != 3) return false;
  Arena *arena = arena_new();
  Ctx cx = {.arena = arena, .diags = diags_new(arena)};
  const Source *json = source_read(arena, argv[1], &error);
  *bus = (uint32_t)atoi(argv[2]);
  bool ok = json && vta_config_load(&cx, json, config);
  arena_free(arena);
  return ok;
}

#endif

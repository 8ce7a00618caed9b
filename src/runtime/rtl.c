// SPDX-License-Identifier: Apache-2.0
// Finds libtetc_rtl.so: the only part of tetc that is C++, loaded when --device=rtl asks for it.
#include "runtime/device.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODULE "libtetc_rtl.so"

TetcRtlOptions tetc_rtl_options(TetcRtlMemory memory) {
  switch (memory) {
  case TETC_MEMORY_UPSTREAM: break;
  case TETC_MEMORY_DRAM:
    return (TetcRtlOptions){.latency = 100, .write_latency = 50, .bandwidth = 90, .outstanding = 32};
  }
  return (TetcRtlOptions){.latency = 16, .bandwidth = 100, .outstanding = 256};
}

// The module beside the program, in the build tree, or where it was installed; NULL: nowhere, or *found and unfit.
static void *open_module(bool *found) {
  static const char *const places[] = {MODULE, "hw/" MODULE, TETC_LIBDIR_FROM_BIN "/" MODULE, "../hw/" MODULE,
    "../../hw/" MODULE};
  char dir[PATH_MAX], path[PATH_MAX + 128];
  ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
  char *slash;
  if (n <= 0) return NULL;
  dir[n] = 0;
  if (!(slash = strrchr(dir, '/'))) return NULL;
  *slash = 0;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, places[i]);
    if (access(path, R_OK)) continue;
    *found = true;
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
  }
  return NULL;
}

void *tetc_rtl_symbol(const char *name, const char **why) {
  bool found = false;
  void *lib = open_module(&found), *at = lib ? dlsym(lib, name) : NULL;
  *why = at ? NULL : found ? dlerror() : MODULE " is not beside tetc: this build has no RTL (it needs Verilator)";
  return at;
}

TetcDevice *tetc_rtl_open(const VtaConfig *config, const TetcRtlOptions *options, const char **why) {
  TetcDevice *(*make)(const VtaConfig *, const TetcRtlOptions *, const char **);
  void *at = tetc_rtl_symbol("tetc_rtl_new", why);
  if (!at) return NULL;
  memcpy(&make, &at, sizeof at);
  return make(config, options, why);
}

// SPDX-License-Identifier: Apache-2.0
// Finds the core that fits: libtetc_rtl_MODEL.so, one for each configuration and bus that was built. They are the only
// part of tetc that is C++, and loaded when --device=rtl asks for them.
#include "runtime/device.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "libtetc_rtl_"
#define SUFFIX ".so"

TetcRtlOptions tetc_rtl_options(TetcRtlMemory memory) {
  switch (memory) {
  case TETC_MEMORY_UPSTREAM: break;
  case TETC_MEMORY_DRAM:
    return (TetcRtlOptions){.latency = 100, .write_latency = 50, .bandwidth = 90, .outstanding = 32, .bus = 64};
  }
  return (TetcRtlOptions){.latency = 16, .bandwidth = 100, .outstanding = 256, .bus = 64};
}

// Whether a file is a module; not its neighbours in a build tree, libtetc_rtl_x.so.p.
static int is_module(const struct dirent *e) {
  size_t n = strlen(e->d_name);
  return n > strlen(PREFIX SUFFIX) && !strncmp(e->d_name, PREFIX, strlen(PREFIX)) &&
         !strcmp(e->d_name + n - strlen(SUFFIX), SUFFIX);
}

// One model more in the list of those that do not fit.
static void note_model(TetcRtlWhy *why, const char *file) {
  size_t at = strlen(why->models), n = strlen(file) - strlen(PREFIX SUFFIX);
  snprintf(why->models + at, sizeof why->models - at, "%s%.*s", at ? ", " : "", (int)n, file + strlen(PREFIX));
}

// The device of one module; NULL, and noted in *why, if it is for another configuration or does not load.
static TetcDevice *try_module(const char *dir, const char *file, const VtaConfig *c, const TetcRtlOptions *o,
                              TetcRtlWhy *why) {
  TetcDevice *(*make)(const VtaConfig *, const TetcRtlOptions *, const char **);
  char path[3 * PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", dir, file);
  void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL), *at = lib ? dlsym(lib, "tetc_rtl_new") : NULL;
  const char *reason = at ? NULL : dlerror();
  TetcDevice *device = NULL;
  if (at) {
    memcpy(&make, &at, sizeof at);
    errno = 0;
    device = make(c, o, &reason);
    why->no_memory |= !device && reason && errno == ENOMEM;
  }
  if (device) return device;
  if (reason) snprintf(why->text, sizeof why->text, "%s", reason);
  else note_model(why, file);
  if (lib) dlclose(lib);
  return NULL;
}

static TetcDevice *try_directory(const char *dir, const VtaConfig *c, const TetcRtlOptions *o, TetcRtlWhy *why) {
  struct dirent **files;
  TetcDevice *device = NULL;
  int n = scandir(dir, &files, is_module, alphasort);
  for (int i = 0; i < n; i++) {
    if (!device) device = try_module(dir, files[i]->d_name, c, o, why);
    free(files[i]);
  }
  if (n >= 0) free(files);
  return device;
}

// Modules are beside the program, in the build tree, or where they were installed; those that write waveforms below
// that.
TetcDevice *tetc_rtl_open(const VtaConfig *config, const TetcRtlOptions *options, TetcRtlWhy *why) {
  static const char *const places[] = {".", "hw", TETC_LIBDIR_FROM_BIN, "../hw", "../../hw"};
  char program[PATH_MAX], dir[2 * PATH_MAX + 8];
  ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
  *why = (TetcRtlWhy){.text = ""};
  if (n <= 0) return NULL;
  program[n] = 0;
  if (strrchr(program, '/')) *strrchr(program, '/') = 0;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(dir, sizeof dir, "%s/%s%s", program, places[i], options->wave ? "/wave" : "");
    TetcDevice *device = try_directory(dir, config, options, why);
    if (device) return device;
  }
  return NULL;
}

// A function of the module that a device is from: it is the one that holds the device's own functions.
void *tetc_rtl_symbol(const TetcDevice *device, const char *name) {
  Dl_info info;
  void *within;
  memcpy(&within, &device->launch, sizeof within);
  if (!dladdr(within, &info)) return NULL;
  void *lib = dlopen(info.dli_fname, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD), *at = lib ? dlsym(lib, name) : NULL;
  if (lib) dlclose(lib); // the device itself keeps it loaded
  return at;
}

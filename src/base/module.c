// SPDX-License-Identifier: Apache-2.0
// Parts of the compiler that only some commands need are modules, found beside the program, where the build made them,
// or where they were installed.
#include "base/base.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// The directory of the running program, without a slash at its end; false if it cannot be told.
static bool own_directory(char *buf, size_t size) {
  ssize_t n = readlink("/proc/self/exe", buf, size - 1);
  if (n <= 0) return false;
  buf[n] = 0;
  char *slash = strrchr(buf, '/');
  if (!slash) return false;
  *slash = 0;
  return true;
}

static void *open_at(const char *dir, const char *before, const char *rest, const char *file, bool *exists) {
  char path[PATH_MAX + 256];
  snprintf(path, sizeof path, "%s/%s%s%s", dir, before, rest, file);
  if (access(path, R_OK)) return NULL;
  *exists = true;
  return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

// Also from test programs in the build tree, two or three directories beside it.
static void *open_module(const ModuleFile *m, bool *exists) {
  const char *const places[][2] = {{"", ""},           {m->folder, "/"},      {TETC_LIBDIR_FROM_BIN, "/"},
                                   {"../", m->folder}, {"../../", m->folder}, {"../../../", m->folder}};
  char dir[PATH_MAX], rest[256];
  const char *named = getenv(m->variable);
  if (named && *named) {
    *exists = true;
    return dlopen(named, RTLD_NOW | RTLD_LOCAL);
  }
  if (own_directory(dir, sizeof dir))
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
      snprintf(rest, sizeof rest, "%s%s", places[i][1], i > 2 ? "/" : "");
      void *lib = open_at(dir, places[i][0], rest, m->file, exists);
      if (lib || *exists) return lib;
    }
  return open_at(TETC_LIBDIR, "", "", m->file, exists);
}

// Whether there was address space to load it, or anything.
static bool room_for_module(void) {
  size_t bytes = (size_t)256 << 20;
  void *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *block = malloc(4096);
  if (at != MAP_FAILED) munmap(at, bytes);
  free(block);
  return at != MAP_FAILED && block;
}

// The library is never closed, and dlopen itself gives the same handle again: nothing to remember here.
void *module_symbol(const ModuleFile *m, const char **error) {
  static char missing[256];
  bool exists = false;
  void *lib = open_module(m, &exists);
  if (!lib && exists && !room_for_module()) memory_out();
  void *at = lib ? dlsym(lib, m->symbol) : NULL;
  *error = NULL;
  if (at) return at;
  snprintf(missing, sizeof missing, "%s is neither beside tetc nor in " TETC_LIBDIR, m->file);
  *error = exists ? dlerror() : missing;
  return NULL;
}

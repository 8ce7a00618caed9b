// SPDX-License-Identifier: Apache-2.0
// Finds the back end. Knows nothing of LLVM.
#include "backend_llvm/llvm.h"

const LlvmBackend *tetc_llvm_backend(void);

#ifdef TETC_LLVM_STATIC

const LlvmBackend *llvm_backend_load(const char **error) {
  *error = NULL;
  return tetc_llvm_backend();
}

#else

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MODULE "libtetc_llvm_backend.so"

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

static void *open_at(const char *dir, const char *rest, bool *exists) {
  char path[PATH_MAX + 128];
  snprintf(path, sizeof path, "%s/%s", dir, rest);
  if (access(path, R_OK)) return NULL;
  *exists = true;
  return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

// What the module calls, by name, when it has no memory: it is asked for already while LLVM's constructors run.
__attribute__((visibility("default"))) void tetc_module_without_memory(void);
void tetc_module_without_memory(void) { memory_out(); }

// Also from test programs in the build tree, two or three directories beside it.
static void *open_module(bool *exists) {
  static const char *const places[] = {MODULE,
                                       "src/backend_llvm/" MODULE,
                                       TETC_LIBDIR_FROM_BIN "/" MODULE,
                                       "../src/backend_llvm/" MODULE,
                                       "../../src/backend_llvm/" MODULE,
                                       "../backend_llvm/" MODULE};
  char dir[PATH_MAX];
  const char *named = getenv("TETC_LLVM_BACKEND");
  if (named && *named) {
    *exists = true;
    return dlopen(named, RTLD_NOW | RTLD_LOCAL);
  }
  if (own_directory(dir, sizeof dir))
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
      void *lib = open_at(dir, places[i], exists);
      if (lib || *exists) return lib;
    }
  return open_at(TETC_LIBDIR, MODULE, exists);
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
const LlvmBackend *llvm_backend_load(const char **error) {
  bool exists = false;
  void *lib = open_module(&exists);
  if (!lib && exists && !room_for_module()) memory_out();
  void *at = lib ? dlsym(lib, "tetc_llvm_backend") : NULL;
  *error = NULL;
  if (!at) {
    *error = exists ? dlerror() : MODULE " is neither beside tetc nor in " TETC_LIBDIR;
    return NULL;
  }
  const LlvmBackend *(*table)(void);
  memcpy(&table, &at, sizeof at);
  return table();
}

#endif

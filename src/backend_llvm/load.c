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

#include <string.h>

// What the module calls, by name, when it has no memory: it is asked for already while LLVM's constructors run.
__attribute__((visibility("default"))) void tetc_module_without_memory(void);
void tetc_module_without_memory(void) { memory_out(); }

const LlvmBackend *llvm_backend_load(const char **error) {
  static const ModuleFile module = {"libtetc_llvm_backend.so", "src/backend_llvm", "TETC_LLVM_BACKEND",
                                    "tetc_llvm_backend"};
  void *at = module_symbol(&module, error);
  if (!at) return NULL;
  const LlvmBackend *(*table)(void);
  memcpy(&table, &at, sizeof at);
  return table();
}

#endif

// SPDX-License-Identifier: Apache-2.0
// LLVM without memory: operator new calls the new_handler; malloc elsewhere in LLVM has a handler of its own, which the C
// interface cannot set. Without them both end in abort(). Before LLVM's own constructors: they allocate.
#include <dlfcn.h>
#include <llvm/Support/ErrorHandling.h>
#include <new>

extern "C" {
void memory_out(void); // base/base.h; of this module's own copy
void memory_out_then(void (*leave)(void));
}

// A handler that returned would be called again.
static void on_new_failed() {
  memory_out();
  std::set_new_handler(nullptr); // nobody wants to end: it throws
}

static void on_bad_alloc(void *, const char *, bool) { memory_out(); }

__attribute__((constructor(101))) static void start() {
  if (void *loader = dlsym(RTLD_DEFAULT, "tetc_module_without_memory")) // load.c
    memory_out_then(reinterpret_cast<void (*)(void)>(loader));
  std::set_new_handler(on_new_failed);
  llvm::install_bad_alloc_error_handler(on_bad_alloc);
}

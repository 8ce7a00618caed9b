// SPDX-License-Identifier: Apache-2.0
// LLVM without memory: operator new calls the new_handler, which load.c has set; malloc elsewhere in LLVM has a handler of
// its own, which the C interface cannot set. Without them both end in abort(). Before LLVM's own constructors: they allocate.
#include <llvm/Support/ErrorHandling.h>
#include <new>

extern "C" void memory_out_then(void (*leave)(void)); // base/base.h; of this module's own copy

static void on_bad_alloc(void *, const char *, bool) {
  if (std::new_handler handler = std::get_new_handler()) handler();
}

__attribute__((constructor(101))) static void start() {
  memory_out_then(std::get_new_handler());
  llvm::install_bad_alloc_error_handler(on_bad_alloc);
}

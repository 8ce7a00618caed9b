// SPDX-License-Identifier: Apache-2.0
// tetc check: everything but code generation; LLVM is not loaded.
#include "driver/driver.h"

int command_check(Driver *d) {
  Session s;
  if (!session_load(&s, d, d->opt.files.data[0])) return driver_status(d);
  for (size_t i = 0; i < s.kernels.len; i++) {
    Unit u;
    session_lower(&s, s.kernels.data[i], &u);
  }
  return driver_status(d);
}

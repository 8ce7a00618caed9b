// SPDX-License-Identifier: Apache-2.0
// tetc check: everything but code generation; LLVM is not loaded.
#include "driver/driver.h"

int command_check(Driver *d) {
  Session *s = session_new(d);
  if (!session_load(s, d->opt.files.data[0])) return driver_status(d);
  for (size_t i = 0; i < s->c.kernels.len; i++) session_lower(s, s->c.kernels.data[i]);
  return driver_status(d);
}

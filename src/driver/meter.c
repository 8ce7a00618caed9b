// SPDX-License-Identifier: Apache-2.0
// How far long work is: a line on a terminal, written over, from the second second on, and gone when it is done.
#include "driver/driver.h"

#include <unistd.h>

static const double quiet_seconds = 1, step_seconds = 0.1;

Meter meter_start(const Options *o, const char *what, int64_t total) {
  bool seen = o->diagnostics == DIAG_TEXT && isatty(STDERR_FILENO);
  return (Meter){.what = what, .total = total, .next = now_seconds() + quiet_seconds, .seen = seen};
}

void meter_step(Meter *p, int64_t done) {
  if (!p->seen || now_seconds() < p->next) return;
  p->next = now_seconds() + step_seconds;
  p->shown = true;
  fprintf(stderr, "\r%lld of %lld %s (%.0f %%)", (long long)done, (long long)p->total, p->what,
          100 * (double)done / (double)p->total);
}

void meter_end(Meter *p) {
  if (p->shown) fputs("\r\033[K", stderr);
  p->shown = false;
}

// SPDX-License-Identifier: Apache-2.0
#include "print.h"

#include <cstdarg>
#include <cstdio>

static thread_local std::string *listener;

void tetc_verilated_listen(std::string *said) { listener = said; }

int tetc_verilated_print(const char *format, ...) {
  char text[1024];
  va_list ap;
  va_start(ap, format);
  int n = vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  if (listener) *listener += text;
  else fputs(text, stderr);
  return n;
}

// SPDX-License-Identifier: Apache-2.0
// What every test here includes.
#ifndef TETC_TEST_TIR_HELPER_H
#define TETC_TEST_TIR_HELPER_H

// cmocka needs these first
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"

// Reads text; messages of the reader, if any, on stdout.
static inline Func *read_text(Ctx *cx, const char *text) {
  Func *f = tir_parse(cx, source_new(cx->arena, "t.tir", text, strlen(text)), &gen_target);
  if (!f) diags_print(cx->diags, stdout, DIAG_TEXT, NULL);
  return f;
}

static inline const char *write_text(Ctx *cx, const Func *f, bool locations) {
  Text t = {.arena = cx->arena};
  TirPrintOptions o = {.locations = locations};
  tir_print(f, &o, &t);
  return t.data;
}

#endif

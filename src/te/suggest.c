// SPDX-License-Identifier: Apache-2.0
// Texts for messages: quotations of the source.
#include "te/internal.h"

#include <string.h>

const char *te_snippet(Ctx *cx, Loc loc) {
  if (!loc.src || loc.line < 1 || loc.line > loc.src->nlines) return "";
  size_t from = loc.src->line_start[loc.line - 1] + loc.col - 1;
  size_t to = loc.end_line <= loc.src->nlines && loc.end_line > 0
                  ? loc.src->line_start[loc.end_line - 1] + loc.end_col - 1
                  : loc.src->len;
  if (to > loc.src->len) to = loc.src->len;
  if (from > to) from = to;
  enum { LONGEST = 48 };
  Text t = {.arena = cx->arena};
  bool space = false;
  for (size_t i = from; i < to; i++) {
    char c = loc.src->text[i];
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == 0) {
      space = t.len > 0;
      continue;
    }
    if (t.len > LONGEST) {
      text_add(&t, " ...");
      break;
    }
    if (space) text_add_bytes(&t, " ", 1);
    space = false;
    text_add_bytes(&t, &c, 1);
  }
  return t.data ? t.data : "";
}

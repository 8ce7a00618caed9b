// SPDX-License-Identifier: Apache-2.0
// Texts for messages: quotations of the source, and the name that a mistyped one may have meant.
#include "te/internal.h"

#include <string.h>

const char *te_snippet(Ctx *cx, Loc loc) {
  if (!loc.src || loc.line < 1 || loc.line > loc.src->nlines) return "";
  size_t from = loc.src->line_start[loc.line - 1] + loc.col - 1;
  size_t to = loc.end_line <= loc.src->nlines && loc.end_line > 0
                  ? loc.src->line_start[loc.end_line - 1] + loc.end_col - 1 : loc.src->len;
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

// Edit distance with transpositions, given up (a large number) beyond `limit`.
static int edit_distance(const char *a, const char *b, int limit) {
  enum { LONGEST = 40 };
  int n = (int)strlen(a), m = (int)strlen(b);
  if (n > LONGEST || m > LONGEST || n - m > limit || m - n > limit) return limit + 1;
  int rows[3][LONGEST + 1];
  for (int j = 0; j <= m; j++) rows[0][j] = j;
  for (int i = 1; i <= n; i++) {
    int *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
    row[0] = i;
    for (int j = 1; j <= m; j++) {
      bool same = (a[i - 1] | 32) == (b[j - 1] | 32);
      int d = above[j - 1] + (same ? 0 : 1);
      if (above[j] + 1 < d) d = above[j] + 1;
      if (row[j - 1] + 1 < d) d = row[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < d) d = above2[j - 2] + 1;
      row[j] = d;
    }
  }
  return rows[n % 3][m];
}

void nearest_try(Nearest *n, const char *candidate) {
  int limit = (int)strlen(n->wanted) / 3 + (strlen(n->wanted) > 1 ? 1 : 0);
  if (n->best && n->distance <= limit) limit = n->distance - 1;
  int d = edit_distance(n->wanted, candidate, limit);
  if (d > limit || (strlen(n->wanted) <= 2 && d > 1)) return;
  n->best = candidate;
  n->distance = d;
}

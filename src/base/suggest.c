// SPDX-License-Identifier: Apache-2.0
// The name that a mistyped one may have meant.
#include "base/base.h"

#include <string.h>

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
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < d)
        d = above2[j - 2] + 1;
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

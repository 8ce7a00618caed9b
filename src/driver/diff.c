// SPDX-License-Identifier: Apache-2.0
// A difference of two texts by lines, with three lines of context, as `diff -u` shows it.
#include "driver/driver.h"

#include <string.h>

enum { CONTEXT = 3, MOST_CELLS = 8 << 20 }; // larger middles are shown as replaced whole

typedef struct Lines {
  const char **text;
  size_t *len, n;
} Lines;

typedef struct Edit {
  char what; // ' ', '-', '+'
  const char *text;
  size_t len, old_line, new_line; // counted from 1; where the edit stands
} Edit;

typedef VEC(Edit) Edits;

// Cuts a text into lines.
static Lines lines_of(Arena *a, const char *text) {
  Lines l = {0};
  for (const char *p = text; *p; p++) l.n += *p == '\n' || !p[1];
  l.text = NEW_ARRAY(a, const char *, l.n + 1);
  l.len = NEW_ARRAY(a, size_t, l.n + 1);
  for (size_t i = 0; i < l.n; i++) {
    l.text[i] = text;
    l.len[i] = strcspn(text, "\n");
    text += l.len[i] + (text[l.len[i]] == '\n');
  }
  return l;
}

static bool same(const Lines *a, size_t i, const Lines *b, size_t j) {
  return a->len[i] == b->len[j] && !memcmp(a->text[i], b->text[j], a->len[i]);
}

static void add(Arena *a, Edits *e, char what, const Lines *l, size_t i, size_t old_line, size_t new_line) {
  Edit edit = {what, l->text[i], l->len[i], old_line, new_line};
  VEC_PUSH(a, *e, edit);
}

// Longest common subsequence of a[from..an) and b[from..bn), by the quadratic table (skipped if that is too large).
static void diff_middle(Arena *arena, Edits *e, const Lines *a, const Lines *b, size_t from, size_t an, size_t bn) {
  size_t n = an - from, m = bn - from, i = 0, j = 0;
  bool small = n && m && n < MOST_CELLS / m;
  uint32_t *table = small ? NEW_ARRAY(arena, uint32_t, (n + 1) * (m + 1)) : NULL;
#define CELL(x, y) table[(x) * (m + 1) + (y)]
  for (size_t x = small ? n : 0; x-- > 0;)
    for (size_t y = m; y-- > 0;) {
      uint32_t down = CELL(x + 1, y), right = CELL(x, y + 1);
      CELL(x, y) = same(a, from + x, b, from + y) ? CELL(x + 1, y + 1) + 1 : down > right ? down : right;
    }
  while (i < n || j < m) {
    size_t x = from + i, y = from + j;
    if (small && i < n && j < m && same(a, x, b, y)) add(arena, e, ' ', a, x, x + 1, y + 1), i++, j++;
    else if (i < n && (!small || j == m || CELL(i + 1, j) >= CELL(i, j + 1)))
      add(arena, e, '-', a, x, x + 1, y + 1), i++;
    else add(arena, e, '+', b, y, x + 1, y + 1), j++;
  }
#undef CELL
}

// All edits that turn `before` into `after`.
static Edits diff_edits(Arena *arena, const Lines *a, const Lines *b) {
  Edits e = {0};
  size_t head = 0, an = a->n, bn = b->n;
  while (head < an && head < bn && same(a, head, b, head)) head++;
  while (an > head && bn > head && same(a, an - 1, b, bn - 1)) an--, bn--;
  for (size_t i = 0; i < head; i++) add(arena, &e, ' ', a, i, i + 1, i + 1);
  diff_middle(arena, &e, a, b, head, an, bn);
  for (size_t i = an; i < a->n; i++) add(arena, &e, ' ', a, i, i + 1, i + 1 + bn - an);
  return e;
}

// Appends the changed lines and their surroundings.
void text_diff(Arena *arena, const char *before, const char *after, Text *out) {
  Lines a = lines_of(arena, before), b = lines_of(arena, after);
  Edits e = diff_edits(arena, &a, &b);
  size_t shown = 0; // edits before this one are printed
  for (size_t i = 0; i < e.len; i++) {
    if (e.data[i].what == ' ') continue;
    size_t from = i < CONTEXT ? 0 : i - CONTEXT, to = i;
    for (size_t quiet = 0; to < e.len && quiet <= 2 * CONTEXT; to++) quiet = e.data[to].what == ' ' ? quiet + 1 : 0;
    while (to > i && e.data[to - 1].what == ' ' && to - i > CONTEXT && e.data[to - 1 - CONTEXT].what == ' ') to--;
    if (from < shown) from = shown;
    text_add(out, "@@ -%zu +%zu @@\n", e.data[from].old_line, e.data[from].new_line);
    for (size_t k = from; k < to; k++) text_add(out, "%c%.*s\n", e.data[k].what, (int)e.data[k].len, e.data[k].text);
    shown = to;
    i = to - 1;
  }
}

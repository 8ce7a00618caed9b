// SPDX-License-Identifier: Apache-2.0
// Messages as text, in rustc's manner:
//
//   error[E0301]: headline
//     --> k.te:19:8
//      |
//   19 |   output relu = int8(max(res, 0));
//      |                 ^^^^^^^^^^^^^^^^^ label of the primary place
//   ...
//   38 |   relu.dma_copy(y1);
//      |   ----------------- label of a second one
//      = note text
//      = help: remedy
//
// Columns are display columns: tabs stop every 4, UTF-8 sequences count 1 (wide ones 2, combining ones 0), control
// characters show as `?`. On a terminal, nothing but code is wider than it: words are wrapped, source lines are cut
// around the span. Where it has Unicode, lines are drawn with it.
#include "base/internal.h"

#include <stdlib.h>
#include <string.h>

enum { TAB = 4, LONGEST = 200, LEAST = 24 }; // columns: of a source line in a file, of what is wrapped at least

typedef struct Style {
  DiagLook look;
  int gutter; // digits of the largest line number
} Style;

// One span to show: a line, from and to in bytes within the line.
typedef struct Mark {
  const Source *src;
  uint32_t line;
  size_t from, to;
  const char *label;
  bool primary;
  size_t order;
} Mark;

static const char *paint(const Style *s, const char *code) { return s->look.color ? code : ""; }
#define RESET "\033[0m"
#define BOLD "\033[1m"
#define BLUE "\033[1;34m"

static const char *severity_paint(const Style *s, Severity v) {
  return paint(s, v == SEV_ERROR ? "\033[1;31m" : v == SEV_WARNING ? "\033[1;33m" : "\033[1;36m");
}

// Length of the UTF-8 sequence at p (n bytes left): 0 if it is not one. *wide: its columns.
static size_t utf8_at(const char *p, size_t n, size_t *wide) {
  unsigned char c = (unsigned char)*p;
  size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
  *wide = 1;
  if (!len || len > n) return 0;
  uint32_t code = len == 1 ? c : c & (0xffu >> (len + 1));
  for (size_t i = 1; i < len; i++) {
    if (((unsigned char)p[i] & 0xc0) != 0x80) return 0;
    code = code << 6 | ((unsigned char)p[i] & 0x3f);
  }
  bool two = (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
             (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
             (code >= 0xff00 && code <= 0xff60) || (code >= 0x1f300 && code <= 0x1faff);
  bool none =
      (code >= 0x300 && code <= 0x36f) || (code >= 0x200b && code <= 0x200f) || (code >= 0xfe00 && code <= 0xfe0f);
  *wide = two ? 2 : none ? 0 : 1; // combining marks and joiners take none
  return len;
}

// Appends text[from..to) as it is displayed (out may be NULL); returns the column after it, `column` being the first.
static size_t show(Text *out, const Style *s, const char *text, size_t from, size_t to, size_t column) {
  for (size_t i = from; i < to;) {
    size_t wide, n = utf8_at(text + i, to - i, &wide);
    unsigned char c = (unsigned char)text[i];
    bool lacks = n > 1 && s->look.chars == CHARS_ASCII;
    if (c == '\t') {
      size_t spaces = TAB - column % TAB;
      if (out) text_add(out, "%*s", (int)spaces, "");
      column += spaces;
    } else if (n == 0 || c < 32 || c == 127 || lacks) {
      if (out) text_add(out, "?");
      column++;
    } else {
      if (out) text_add_bytes(out, text + i, n);
      column += wide;
    }
    i += n ? n : 1;
  }
  return column;
}

static size_t columns(const Style *s, const char *text, size_t from, size_t to) {
  return show(NULL, s, text, from, to, 0);
}

// Appends a text of messages: like show(), but line ends stay.
static void show_words(Text *out, const Style *s, const char *words) {
  while (*words) {
    size_t n = strcspn(words, "\n");
    show(out, s, words, 0, n, 1);
    words += n;
    if (*words) text_add(out, "\n"), words++;
  }
}

// Where a line of words is broken so that it has at most `room` columns: at a space, or else at its end.
static size_t break_at(const Style *s, const char *line, size_t len, size_t room) {
  size_t cut = 0;
  for (size_t i = 0; i < len; i++)
    if (line[i] == ' ' && (!cut || columns(s, line, 0, i) <= room)) cut = i;
  return cut && columns(s, line, 0, len) > room ? cut : len;
}

// Words from `column` on, broken where the terminal ends; what follows starts at `indent`, behind a bar if there is
// one.
static void print_wrapped(Text *out, const Style *s, const char *line, size_t len, size_t column, size_t indent) {
  size_t width = s->look.width > 0 ? (size_t)s->look.width : SIZE_MAX;
  if (width < indent + LEAST) width = indent + LEAST;
  for (;;) {
    size_t cut = break_at(s, line, len, width > column ? width - column : 1);
    show(out, s, line, 0, cut, 0);
    if (cut == len) return;
    text_add(out, "\n%*s", (int)indent, "");
    line += cut + 1;
    len -= cut + 1;
    column = indent;
  }
}

static const char *draw(const Style *s, const char *ascii, const char *unicode) {
  return s->look.chars == CHARS_UNICODE ? unicode : ascii;
}

// `   |` with nothing before the bar.
static void bar(Text *out, const Style *s) {
  text_add(out, "%s%*s %s%s", paint(s, BLUE), s->gutter, "", draw(s, "|", "│"), paint(s, RESET));
}

// Columns that source lines may take.
static size_t line_room(const Style *s) {
  size_t beside = (size_t)s->gutter + 3, width = (size_t)s->look.width;
  return s->look.width <= 0 ? LONGEST : width > beside + LEAST ? width - beside : LEAST;
}

// The part of a long line that is shown, with the byte `focus` in it: *from is where it starts; the end is returned.
static size_t window(const Style *s, const char *line, size_t len, size_t focus, size_t *from) {
  size_t room = line_room(s), to = len;
  *from = 0;
  if (columns(s, line, 0, len < 4 * room ? len : 4 * room) <= room && len <= 4 * room) return len;
  room -= 6; // for the dots on both sides
  if (focus > 4 * room || columns(s, line, 0, focus) > room / 2) {
    *from = focus;
    while (*from > 0 && columns(s, line, *from - 1, focus) <= room / 3) --*from;
    while (*from > 0 && ((unsigned char)line[*from] & 0xc0) == 0x80) --*from;
  }
  for (to = *from; to < len && columns(s, line, *from, to + 1) <= room;) to++;
  while (to > *from && to < len && ((unsigned char)line[to] & 0xc0) == 0x80) to--;
  return to;
}

// Prints one source line; `focus` is a byte that has to be visible.
static void print_line(Text *out, const Style *s, const Source *src, uint32_t number, size_t focus) {
  size_t len, from;
  const char *line = loc_line(src, number, &len);
  size_t to = window(s, line, len, focus, &from);
  Text shown = {.arena = out->arena};
  show(&shown, s, line, from, to, 0);
  while (shown.len && shown.data[shown.len - 1] == ' ') shown.len--;
  text_add(out, "%s%*u %s%s", paint(s, BLUE), s->gutter, number, draw(s, "|", "│"), paint(s, RESET));
  if (shown.len) text_add(out, " %s%.*s%s", from ? "..." : "", (int)shown.len, shown.data, to < len ? "..." : "");
  text_add(out, "\n");
}

// The label of a mark that ends at column `after`: beside it, or where there is no room on lines of its own below.
static void print_label(Text *out, const Style *s, const char *label, size_t column, size_t after, const char *color) {
  size_t room = line_room(s), len = strlen(label);
  if (s->look.width <= 0 || strchr(label, '\n') || after + 1 + columns(s, label, 0, len) <= room) {
    text_add(out, " ");
    show_words(out, s, label);
    return;
  }
  if (column + LEAST > room) column = room > LEAST ? room - LEAST : 0;
  for (size_t cut; len; label += cut, len -= cut) {
    if (*label == ' ') label++, len--;
    cut = break_at(s, label, len, room - column);
    text_add(out, "%s\n", paint(s, RESET));
    bar(out, s);
    text_add(out, " %*s%s", (int)column, "", color);
    show(out, s, label, 0, cut, 0);
  }
}

// Prints the row of carets or dashes under a line.
static void print_mark(Text *out, const Style *s, const Mark *m, size_t focus, Severity severity) {
  size_t len, start;
  const char *line = loc_line(m->src, m->line, &len),
             *color = m->primary ? severity_paint(s, severity) : paint(s, BLUE);
  size_t end = window(s, line, len, focus, &start);
  size_t from = m->from < start ? start : m->from > end ? end : m->from, to = m->to > end ? end : m->to;
  size_t column = columns(s, line, start, from);
  size_t after = to > from ? show(NULL, s, line, from, to, column) : column + 1;
  if (start) column += 3, after += 3;
  bar(out, s);
  text_add(out, " %*s%s", (int)column, "", color);
  for (size_t c = column; c < after; c++) text_add(out, "%s", m->primary ? draw(s, "^", "━") : draw(s, "-", "─"));
  if (m->label && *m->label) print_label(out, s, m->label, column, after, color);
  text_add(out, "%s\n", paint(s, RESET));
}

// The mark for a span: one that covers several lines is shown by its first.
static Mark mark_of(Loc at, const char *label, bool primary, size_t order) {
  size_t len;
  const char *line = loc_line(at.src, at.line, &len);
  size_t from = at.col ? at.col - 1 : 0, to = at.end_line > at.line ? len : at.end_col ? at.end_col - 1 : 0;
  if (from > len) from = len;
  if (to > len) to = len;
  while (to > from && (line[to - 1] == ' ' || line[to - 1] == '\t')) to--;
  return (Mark){at.src, at.line, from, to, label, primary, order};
}

// Line order; the primary mark before others of its line.
static int mark_order(const void *pa, const void *pb) {
  const Mark *a = pa, *b = pb;
  if (a->line != b->line) return a->line < b->line ? -1 : 1;
  if (a->primary != b->primary) return a->primary ? -1 : 1;
  return a->order < b->order ? -1 : a->order > b->order;
}

// True if the line before `line` is the start of what continues there: it ends in none of `;`, `{` and `}`.
static bool continues(const Source *src, uint32_t line) {
  size_t len;
  const char *text = loc_line(src, line - 1, &len);
  const char *comment = len ? memmem(text, len, "//", 2) : NULL;
  if (comment) len = (size_t)(comment - text);
  while (len && (text[len - 1] == ' ' || text[len - 1] == '\t')) len--;
  return len && !strchr(";{}", text[len - 1]);
}

// Prints the lines and marks of one file; `shown` is the last line printed before, 0 at the start.
static void print_marks(Text *out, const Style *s, Mark *marks, size_t n, Severity severity) {
  qsort(marks, n, sizeof *marks, mark_order);
  uint32_t last = 0; // the last line printed
  for (size_t i = 0; i < n;) {
    uint32_t line = marks[i].line, first = line;
    bool primary = marks[i].primary;
    if (primary && line > 1 && last < line - 1 && continues(marks[i].src, line)) first = line - 1;
    if (last && first == last + 2) first = last + 1;
    if (last && first > last + 1) text_add(out, "%s...%s\n", paint(s, BLUE), paint(s, RESET));
    for (uint32_t l = first; l < line; l++) print_line(out, s, marks[i].src, l, 0);
    size_t focus = marks[i].from;
    print_line(out, s, marks[i].src, line, focus);
    for (; i < n && marks[i].line == line; i++) print_mark(out, s, &marks[i], focus, severity);
    last = line;
  }
}

// `--> file:line:col` and the snippet of one file.
static void print_snippet(Text *out, const Style *s, Mark *marks, size_t n, bool primary, Severity severity) {
  const Mark *m = &marks[0]; // the primary one comes first before sorting
  text_add(out, "%s%*s%s%s ", paint(s, BLUE), s->gutter, "", primary ? draw(s, "-->", "──▸") : ":::", paint(s, RESET));
  show_words(out, s, m->src->path);
  text_add(out, ":%u:%zu\n", m->line, m->from + 1);
  bar(out, s);
  text_add(out, "\n");
  print_marks(out, s, marks, n, severity);
}

// All places of a message, a snippet a file; the primary one's file first.
static void print_places(Text *out, const Style *s, const Diag *g) {
  VEC(Mark) all = {0};
  if (loc_known(g->at)) VEC_PUSH(out->arena, all, mark_of(g->at, g->label, true, 0));
  for (size_t i = 0; i < g->also.len; i++)
    VEC_PUSH(out->arena, all, mark_of(g->also.data[i].at, g->also.data[i].label, false, i + 1));
  for (size_t i = 0; i < all.len; i++) {
    if (!all.data[i].src) continue; // printed with an earlier one
    const Source *src = all.data[i].src;
    VEC(Mark) same = {0};
    for (size_t j = i; j < all.len; j++) {
      if (all.data[j].src != src) continue;
      VEC_PUSH(out->arena, same, all.data[j]);
      all.data[j].src = NULL;
    }
    print_snippet(out, s, same.data, same.len, i == 0 && loc_known(g->at), g->severity);
  }
}

// The spaces that every line of `text` after the first begins with.
static size_t common_indent(const char *text) {
  size_t least = SIZE_MAX;
  for (const char *p = strchr(text, '\n'); p; p = strchr(p, '\n')) {
    size_t n = strspn(++p, " ");
    if (p[n] && p[n] != '\n' && n < least) least = n;
  }
  return least == SIZE_MAX ? 0 : least;
}

// `= text` or `= help: text`; further lines stand four columns to the right of the first.
static void print_sub(Text *out, const Style *s, const char *kind, const char *text) {
  size_t column = (size_t)s->gutter + 3 + strlen(kind), indent = (size_t)s->gutter + 3, strip = common_indent(text);
  text_add(out, "%s%*s =%s %s%s%s", paint(s, BLUE), s->gutter, "", paint(s, RESET), paint(s, BOLD), kind,
           paint(s, RESET));
  size_t n = strcspn(text, "\n");
  print_wrapped(out, s, text, n, column, indent);
  text_add(out, "\n");
  for (text += n; *text; text += n) {
    text++;
    n = strcspn(text, "\n");
    if (!*text) break;
    size_t skip = n < strip ? n : strip;
    if (n > skip) text_add(out, "%*s", (int)indent + 4, "");
    show(out, s, text, skip, n, 0); // code: as it is
    text_add(out, "\n");
  }
}

// A fix as words: what to replace, and by what, unless the words quote it already.
static void print_fix(Text *out, const Style *s, const DiagFix *f) {
  char *text;
  bool insert = loc_known(f->at) && f->at.line == f->at.end_line && f->at.col == f->at.end_col;
  if (!loc_known(f->at)) text = arena_printf(out->arena, "%s: `%s`", f->text, f->replacement);
  else if (!*f->replacement || strchr(f->text, '`')) text = arena_printf(out->arena, "%s", f->text);
  else if (strchr(f->replacement, '\n'))
    text = arena_printf(out->arena, "%s (%s %s:%u:%u):\n%s", f->text, insert ? "at" : "replacing", f->at.src->path,
                        f->at.line, f->at.col, f->replacement + strspn(f->replacement, "\n"));
  else text = arena_printf(out->arena, "%s: `%s`", f->text, f->replacement + strspn(f->replacement, " "));
  print_sub(out, s, f->guess ? "may be meant: " : f->helps ? "help: " : "may help: ", text);
}

// Digits of the largest line number that will be shown.
static int gutter_of(const Diag *g) {
  uint32_t most = loc_known(g->at) ? g->at.line : 0;
  for (size_t i = 0; i < g->also.len; i++)
    if (g->also.data[i].at.line > most) most = g->also.data[i].at.line;
  int digits = 1;
  for (; most >= 10; most /= 10) digits++;
  return digits;
}

// A remark without notes takes one line: `k.te:24:11: remark[R0001]: headline (asked for here: 67:3)`.
static void render_remark(const Diag *g, const Style *s, Text *out) {
  if (loc_known(g->at)) {
    show_words(out, s, g->at.src->path);
    text_add(out, ":%u:%u: ", g->at.line, g->at.col);
  }
  text_add(out, "%sremark[%s]%s: ", severity_paint(s, SEV_REMARK), diag_code_text(g->code), paint(s, RESET));
  show_words(out, s, g->headline);
  for (size_t i = 0; i < g->also.len; i++) {
    const DiagPlace *p = &g->also.data[i];
    text_add(out, " (");
    show_words(out, s, p->label);
    text_add(out, ": ");
    if (p->at.src != g->at.src) {
      show_words(out, s, p->at.src->path);
      text_add(out, ":");
    }
    text_add(out, "%u:%u)", p->at.line, p->at.col);
  }
  text_add(out, "\n");
}

// One message; an empty line follows, except after remarks.
void diag_render(const Diag *g, const DiagLook *look, Text *out) {
  Style s = {*look, gutter_of(g)};
  if (g->severity == SEV_REMARK && !g->subs.len && !g->fixes.len) {
    render_remark(g, &s, out);
    return;
  }
  text_add(out, "%s%s[%s]%s%s: ", severity_paint(&s, g->severity), severity_text(g->severity), diag_code_text(g->code),
           paint(&s, RESET), paint(&s, BOLD));
  size_t before = strlen(severity_text(g->severity)) + strlen(diag_code_text(g->code)) + 4; // error[E0301]:
  print_wrapped(out, &s, g->headline, strlen(g->headline), before, 2);
  text_add(out, "%s\n", paint(&s, RESET));
  print_places(out, &s, g);
  for (size_t i = 0; i < g->subs.len; i++)
    print_sub(out, &s, g->subs.data[i].kind == SUB_HELP ? "help: " : "", g->subs.data[i].text);
  for (size_t i = 0; i < g->fixes.len; i++) print_fix(out, &s, &g->fixes.data[i]);
  text_add(out, "\n");
}

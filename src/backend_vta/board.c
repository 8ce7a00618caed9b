// SPDX-License-Identifier: Apache-2.0
// Reads a board file: a line `KEY = NUMBER` for each of the numbers by which a board's clock, bus and memory are known
// to the timing model, the planner and the statistics; `#` starts a comment. None may be missing: a default would be
// another board's.
#include "backend_vta/vta.h"

#include <stdlib.h>
#include <string.h>

// clang-format off
static const struct {
  const char *key, *what;
  double least, most;
} keys[] = {
    {"clock_mhz", "MHz of the core's clock", 0.001, 10000},
    {"bus_bits", "bits of the bus", 64, 512},
    {"read_latency", "cycles from a read to its first data", 0, 10000},
    {"write_latency", "cycles from a write to its response", 0, 10000},
    {"bandwidth", "per cent of a beat a cycle, in each direction", 1, 100},
    {"outstanding", "requests that the memory holds, reads and writes each", 1, 256},
};
// clang-format on
enum { CLOCK, BUS, READ_LATENCY, WRITE_LATENCY, BANDWIDTH, OUTSTANDING, KEY_COUNT };
_Static_assert(sizeof keys / sizeof *keys == KEY_COUNT, "a row for each key");

typedef struct Reader {
  Ctx *cx;
  const Source *source;
  double value[KEY_COUNT];
  uint32_t line[KEY_COUNT]; // where it stands; 0: not met
} Reader;

typedef struct Span { // of a line's text
  const char *text;
  uint32_t col;
  size_t len;
} Span;

static Loc place(const Reader *r, uint32_t line, Span s) {
  return (Loc){r->source, line, s.col, line, s.col + (uint32_t)(s.len ? s.len : 1)};
}

static Span trimmed(Span s) {
  while (s.len && strchr(" \t\r", *s.text)) s.text++, s.col++, s.len--;
  while (s.len && strchr(" \t\r", s.text[s.len - 1])) s.len--;
  return s;
}

static const char *key_names(Arena *a) {
  Text t = {.arena = a};
  for (int i = 0; i < KEY_COUNT; i++) text_add(&t, "%s`%s`", i ? ", " : "", keys[i].key);
  return t.data;
}

static bool refuse_line(Reader *r, Loc at, const char *text, const char *help) {
  diag_help(diag_report(r->cx->diags, E_CONFIG, at, "%s", text), "%s", help);
  return false;
}

// Whether a number is one that its key takes.
static bool value_fits(int key, double v) {
  if (!(v >= keys[key].least && v <= keys[key].most)) return false;
  if (key != CLOCK && v != (double)(int)v) return false;
  return key != BUS || v == 64 || v == 128 || v == 256 || v == 512;
}

static bool read_value(Reader *r, uint32_t line, int key, Span s) {
  Arena *a = r->cx->arena;
  char *text = arena_printf(a, "%.*s", (int)s.len, s.text), *end = text;
  double v = s.len && strspn(text, "0123456789.") == s.len ? strtod(text, &end) : 0;
  if (s.len && !*end && end != text && value_fits(key, v)) {
    r->value[key] = v;
    return true;
  }
  const char *range = key == BUS ? "64, 128, 256 or 512"
                      : key == CLOCK
                          ? "a number of 0.001 to 10000"
                          : arena_printf(a, "a whole number of %.0f to %.0f", keys[key].least, keys[key].most);
  return refuse_line(r, place(r, line, s), arena_printf(a, "`%s` cannot be `%.40s`", keys[key].key, text),
                     arena_printf(a, "it is the %s: write %s", keys[key].what, range));
}

// A line without its comment.
static bool read_line(Reader *r, uint32_t line, Span s) {
  Arena *a = r->cx->arena;
  s = trimmed(s);
  if (!s.len) return true;
  const char *equal = memchr(s.text, '=', s.len);
  if (!equal)
    return refuse_line(r, place(r, line, s), "this line sets nothing",
                       "write `KEY = NUMBER`; a comment starts with `#`");
  size_t before = (size_t)(equal - s.text);
  Span name = trimmed((Span){s.text, s.col, before});
  Span value = trimmed((Span){equal + 1, s.col + (uint32_t)before + 1, s.len - before - 1});
  int k = 0;
  while (k < KEY_COUNT && (strlen(keys[k].key) != name.len || memcmp(keys[k].key, name.text, name.len))) k++;
  if (k == KEY_COUNT)
    return refuse_line(r, place(r, line, name),
                       arena_printf(a, "a board has no `%.*s`", (int)(name.len < 60 ? name.len : 60), name.text),
                       arena_printf(a, "the keys are %s", key_names(a)));
  if (r->line[k])
    return refuse_line(r, place(r, line, name),
                       arena_printf(a, "`%s` is set twice: line %u sets it, too", keys[k].key, r->line[k]),
                       "delete one of the two lines");
  r->line[k] = line;
  return read_value(r, line, k, value);
}

static bool nothing_missing(Reader *r) {
  Text others = {.arena = r->cx->arena};
  int first = -1;
  for (int k = 0; k < KEY_COUNT; k++) {
    if (r->line[k]) continue;
    if (first < 0) first = k;
    else text_add(&others, "%s`%s`", others.len ? ", " : "", keys[k].key);
  }
  if (first < 0) return true;
  Diag *g =
      diag_report(r->cx->diags, E_CONFIG, (Loc){r->source, 1, 1, 1, 2}, "the board's `%s` is missing", keys[first].key);
  if (others.len) diag_note(g, "so are %s", others.data);
  diag_help(g, "add a line `%s = ...`: the %s", keys[first].key, keys[first].what);
  return false;
}

bool vta_board_load(Ctx *cx, const Source *text, VtaBoard *out) {
  Reader r = {.cx = cx, .source = text};
  bool ok = true;
  for (uint32_t i = 0; i < text->nlines; i++) {
    size_t from = text->line_start[i], to = i + 1 < text->nlines ? text->line_start[i + 1] - 1 : text->len;
    const char *comment = memchr(text->text + from, '#', to - from);
    ok &=
        read_line(&r, i + 1, (Span){text->text + from, 1, comment ? (size_t)(comment - text->text) - from : to - from});
  }
  ok &= nothing_missing(&r);
  if (!ok) return false;
  *out = (VtaBoard){.mhz = r.value[CLOCK],
                    .core = {.bus = (uint32_t)r.value[BUS],
                             .latency = (uint32_t)r.value[READ_LATENCY],
                             .write_latency = (uint32_t)r.value[WRITE_LATENCY],
                             .bandwidth = (uint32_t)r.value[BANDWIDTH],
                             .outstanding = (uint32_t)r.value[OUTSTANDING]}};
  return true;
}

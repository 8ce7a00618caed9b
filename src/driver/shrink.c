// SPDX-License-Identifier: Apache-2.0
// tetc verify --shrink: the smallest program that is still wrong after the same phase. The text is reduced, not the
// graph: comments go; -D and -K move into the text; then, for as long as something helps, statements and whole blocks
// are taken out, names from the lists of `for`, stages (what reads one then reads its operand), and integers are made
// smaller. A text that no longer compiles is not wrong after any phase, so nothing here needs to know the language.
#include "driver/driver.h"

#include <ctype.h>
#include <string.h>

enum { MOST_TRIALS = 4000 };

typedef struct Shrink {
  Driver *d;
  const Source *src; // the smallest so far
  const char *phase; // after which it is wrong
  int trials;
} Shrink;

// ---- trials ---------------------------------------------------------------------------------------------------------

// The phase after which a text is wrong, or NULL. A trial has memory of its own: running out of it is an answer too.
static const char *trial(Driver *d, const Source *src, bool compiled) {
  static Driver t; // static: its contents are defined after a longjmp
  const char *volatile phase = NULL;
  t = *d;
  t.quiet = true;
  t.trail = (Trail){0};
  t.cx.arena = arena_new();
  if (!t.cx.arena) return NULL;
  t.cx.names = names_new(t.cx.arena);
  t.cx.diags = diags_new(t.cx.arena);
  if (!setjmp(t.exhausted)) {
    arena_on_exhaustion(t.cx.arena, &t.exhausted, (size_t)d->opt.memory << 20);
    phase = verify_source(&t, src, compiled);
  }
  arena_free(t.cx.arena);
  return phase;
}

// Takes text in place of [from, to) if the program is then still wrong after the same phase.
static bool try_edit(Shrink *s, size_t from, size_t to, const char *text) {
  Arena *a = s->d->cx.arena;
  if (s->trials >= MOST_TRIALS) return false;
  s->trials++;
  char *next = arena_printf(a, "%.*s%s%s", (int)from, s->src->text, text, s->src->text + to);
  const Source *src = source_new(a, s->src->path, next, strlen(next));
  // Without its schedule a kernel would be planned, by each version of tetc in its own way: it would not stay wrong.
  bool planned = strstr(src->text, "target ") && !strstr(src->text, "schedule ");
  if (strstr(s->src->text, "schedule ") && planned) return false;
  const char *phase = trial(s->d, src, pass_find(s->phase) < 0);
  if (!phase || strcmp(phase, s->phase)) return false;
  s->src = src;
  return true;
}

// ---- pieces of text -------------------------------------------------------------------------------------------------

// Comments and strings aside, the text as it is: in them, and where they are not text of the program, blanks.
static char *without_comments(Arena *a, const char *text) {
  char *out = arena_printf(a, "%s", text);
  for (char *p = out; *p; p++) {
    if (p[0] == '/' && p[1] == '/')
      for (; *p && *p != '\n'; p++) *p = ' ';
    else if (p[0] == '/' && p[1] == '*')
      for (bool end = false; *p && !end; p++) {
        end = p[0] == '*' && p[1] == '/';
        if (end) p[1] = ' ';
        if (*p != '\n') *p = ' ';
      }
    if (!*p) break;
  }
  return out;
}

// Lines without anything on them, and blanks at the ends of lines, are dropped.
static const char *tidy(Arena *a, const char *text) {
  Text t = {.arena = a};
  text_add(&t, "%s", "");
  for (const char *p = text; *p;) {
    size_t n = strcspn(p, "\n"), used = n;
    while (used && isspace((unsigned char)p[used - 1])) used--;
    if (used) text_add(&t, "%.*s\n", (int)used, p);
    p += n + (p[n] == '\n');
  }
  return t.data;
}

// The end of the statement that starts at `at`: after its `;`, or after the `}` of its block.
static size_t statement_end(const char *text, size_t at) {
  int depth = 0;
  for (; text[at]; at++) {
    depth += text[at] == '{' || text[at] == '(' || text[at] == '[';
    depth -= text[at] == '}' || text[at] == ')' || text[at] == ']';
    if (depth < 0) return at;
    if (!depth && (text[at] == ';' || text[at] == '}')) return at + 1;
  }
  return at;
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

// Where `keyword name` ends in the text; 0 if it does not stand there.
static size_t after_definition(const char *text, const char *keyword, const char *name) {
  size_t k = strlen(keyword), n = strlen(name);
  for (const char *p = text; (p = strstr(p, keyword)); p += k) {
    const char *q = p + k + strspn(p + k, " \t\n");
    if ((p > text && is_word(p[-1])) || q == p + k || strncmp(q, name, n) || is_word(q[n])) continue;
    return (size_t)(q + n - text);
  }
  return 0;
}

// ---- reductions -----------------------------------------------------------------------------------------------------

// Moves definitions of the command line into the text. Where that is not possible, they stay.
static void settle(Shrink *s, const char *keyword, TeDefine *list, size_t *n) {
  for (size_t i = *n; i-- > 0;) {
    size_t at = after_definition(s->src->text, keyword, list[i].name), to = at;
    TeDefine own = list[i];
    if (!at) continue;
    while (s->src->text[to] && s->src->text[to] != ';' && strncmp(s->src->text + to, " in", 3)) to++;
    for (size_t j = i; j + 1 < *n; j++) list[j] = list[j + 1];
    (*n)--;
    if (try_edit(s, at, to, arena_printf(s->d->cx.arena, " = %lld", (long long)own.value))) continue;
    for (size_t j = (*n)++; j > i; j--) list[j] = list[j - 1];
    list[i] = own;
  }
}

// Takes statements out, the last ones first: what uses a name stands after what defines it.
static bool drop_statements(Shrink *s) {
  bool any = false;
  for (size_t at = s->src->len; at-- > 0;) {
    const char *text = s->src->text;
    size_t start = at;
    if (at >= s->src->len || isspace((unsigned char)text[at])) continue;
    while (start && isspace((unsigned char)text[start - 1])) start--;
    if (start && !strchr(";{}", text[start - 1])) continue; // within a statement
    size_t end = statement_end(text, at);
    if (end <= at || strchr("{}", text[at])) continue;
    const char *open = memchr(text + at, '{', end - at);
    if (try_edit(s, start, end, "")) any = true;
    else if (open && text[end - 1] == '}' && (size_t)(open - text) + 2 < end) // what a block says, if not the block
      any |= try_edit(s, (size_t)(open - text) + 1, end - 1, "");
  }
  return any;
}

// Takes names out of `for x in (a, b, c)`.
static bool drop_names(Shrink *s) {
  bool any = false;
  for (size_t at = s->src->len; at-- > 0;) {
    const char *text = s->src->text;
    if (at >= s->src->len || strncmp(text + at, "in (", 4)) continue;
    for (size_t p = at + 4; text[p] && text[p] != ')';) {
      size_t n = strcspn(text + p, ",)"), end = p + n;
      bool last = text[end] != ',';
      size_t from = last && text[p - 1] == ' ' && p > at + 4 ? p - 2 : p;
      size_t to = last ? end : end + 1 + strspn(text + end + 1, " \n\t");
      if (try_edit(s, from, to, "")) any = true, text = s->src->text;
      else p = last ? end : to;
      if (last) break;
    }
  }
  return any;
}

// Where `name` stands as a word in text, from `at` on; the end of the text if it does not.
static size_t find_word(const char *text, size_t at, const char *name) {
  size_t n = strlen(name);
  for (const char *p = text + at; (p = strstr(p, name)); p += n)
    if ((p == text || !is_word(p[-1])) && !is_word(p[n])) return (size_t)(p - text);
  return strlen(text);
}

// The text without the definition in [from, to), another name standing for the one defined. Statements that begin with
// that name go, too, if `calls`.
static const char *bypassed(Arena *a, const char *text, size_t from, size_t to, const char *name, const char *other,
                            bool calls) {
  Text t = {.arena = a};
  const char *rest = arena_printf(a, "%.*s%s", (int)from, text, text + to);
  for (size_t at = 0; rest[at];) {
    size_t w = find_word(rest, at, name), start = w;
    text_add(&t, "%.*s", (int)(w - at), rest + at);
    at = w;
    if (!rest[at]) break;
    while (start && isspace((unsigned char)rest[start - 1])) start--;
    if (calls && start && strchr(";{}", rest[start - 1])) at = statement_end(rest, w);
    else {
      text_add(&t, "%s", other);
      at += strlen(name);
    }
  }
  return t.data;
}

// Takes out a stage that starts at `at`: what reads it reads one of its operands instead.
static bool bypass_stage(Shrink *s, size_t at) {
  Arena *a = s->d->cx.arena;
  const char *text = s->src->text;
  size_t name = at + strlen("compute"), n = 0, end = statement_end(text, at);
  name += strspn(text + name, " ");
  while (is_word(text[name + n])) n++;
  const char *own = arena_printf(a, "%.*s", (int)n, text + name);
  for (size_t p = name + n, k; p < end; p += k ? k : 1) {
    for (k = 0; is_word(text[p + k]); k++) continue;
    const char *other = arena_printf(a, "%.*s", (int)k, text + p);
    bool stage = k && !isdigit((unsigned char)*other) && strcmp(own, other) &&
                 (after_definition(text, "compute", other) || after_definition(text, "input", other));
    for (int calls = 0; stage && calls < 2; calls++)
      if (try_edit(s, 0, s->src->len, bypassed(a, text, at, end, own, other, calls))) return true;
  }
  return false;
}

static bool bypass_stages(Shrink *s) {
  bool any = false;
  for (size_t at = s->src->len; at-- > 0;)
    if (at < s->src->len && find_word(s->src->text, at, "compute") == at) any |= bypass_stage(s, at);
  return any;
}

// Makes an integer smaller: as small as it may be, by halving what is between.
static bool lower_number(Shrink *s, size_t at, size_t len) {
  int64_t now, good;
  if (len > 18 || !parse_int64(arena_printf(s->d->cx.arena, "%.*s", (int)len, s->src->text + at), &now)) return false;
  good = now;
  const int64_t first[] = {0, 1, 2, now / 4, now / 2, now - 1};
  for (size_t i = 0; i < sizeof first / sizeof *first && good == now; i++) {
    if (first[i] < 0 || first[i] >= now) continue;
    if (try_edit(s, at, at + len, arena_printf(s->d->cx.arena, "%lld", (long long)first[i]))) good = first[i];
  }
  return good < now;
}

static bool lower_numbers(Shrink *s) {
  bool any = false;
  for (size_t at = 0; at < s->src->len;) {
    const char *text = s->src->text;
    bool number = isdigit((unsigned char)text[at]) && (!at || (!is_word(text[at - 1]) && text[at - 1] != '.'));
    size_t n = 0;
    while (isdigit((unsigned char)text[at + n])) n++;
    if (number && !is_word(text[at + n]) && text[at + n] != '.') any |= lower_number(s, at, n);
    text = s->src->text;
    for (n = 0; is_word(text[at + n]); n++) continue;
    at += n ? n : 1;
  }
  return any;
}

const Source *shrink(Driver *d, const Source *src) {
  Shrink s = {.d = d, .src = src};
  s.phase = trial(d, src, true);
  if (!s.phase) return NULL;
  const char *bare = tidy(d->cx.arena, without_comments(d->cx.arena, src->text));
  try_edit(&s, 0, src->len, bare);
  settle(&s, "param", d->opt.defines.data, &d->opt.defines.len);
  settle(&s, "knob", d->opt.knobs.data, &d->opt.knobs.len);
  for (bool more = true; more && s.trials < MOST_TRIALS;) {
    more = lower_numbers(&s); // first: what is smaller is tried faster
    more |= drop_statements(&s);
    more |= drop_names(&s);
    more |= bypass_stages(&s);
  }
  const char *text = tidy(d->cx.arena, s.src->text);
  fprintf(stderr, "tetc verify: wrong after %s, with %zu of %zu bytes left after %d trials\n", s.phase, strlen(text),
          src->len, s.trials);
  return source_new(d->cx.arena, src->path, text, strlen(text));
}

// SPDX-License-Identifier: Apache-2.0
// Messages are collected, then printed at the end: as text (diag_text.c), as JSON lines or as SARIF (diag_json.c).
#include "base/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
  FLOOD_LIMIT = 100,      // errors, and warnings, that are kept; the rest is only counted
  CALLS_SHOWN = 4,        // of those around a message
  LONGEST_HEADLINE = 1000 // bytes
};

static const struct {
  const char *number, *title, *help;
  Severity severity;
} codes[] = {
#define DIAG(code, number, severity, name, title, help) {number, title, help, severity},
#include "base/diag_codes.def"
};

const char *diag_code_text(DiagCode code) { return codes[code].number; }
const char *diag_code_title(DiagCode code) { return codes[code].title; }

// "E0301" or "e0301" to its code.
bool diag_code_of(const char *text, DiagCode *out) {
  for (int c = 0; c < DIAG_CODE_COUNT; c++) {
    const char *a = codes[c].number, *b = text;
    while (*a && (*a == *b || (*b >= 'a' && *b <= 'z' && *a == *b - 'a' + 'A'))) a++, b++;
    if (*a || *b) continue;
    *out = (DiagCode)c;
    return true;
  }
  return false;
}

// The word that starts a message.
const char *severity_text(Severity s) {
  switch (s) {
  case SEV_ERROR: return "error";
  case SEV_WARNING: return "warning";
  case SEV_REMARK: return "remark";
  }
  return "";
}

// An empty list of messages.
Diags *diags_new(Arena *a) {
  Diags *d = NEW(a, Diags);
  d->arena = a;
  return d;
}

void diags_show_remarks(Diags *d, bool on) { d->remarks = on; }
int diags_errors(const Diags *d) { return d->errors; }
int diags_warnings(const Diags *d) { return d->kept[SEV_WARNING] + d->hidden[SEV_WARNING]; }
Severity diag_severity(DiagCode code) { return codes[code].severity; }
int diags_count(const Diags *d) { return (int)d->list.len; }

// Is there a message with this code?
bool diags_have(const Diags *d, DiagCode code) {
  for (size_t i = 0; i < d->list.len; i++)
    if (d->list.data[i]->code == code) return true;
  return false;
}

Diag *diags_find(const Diags *d, DiagCode code, int i) {
  for (size_t k = 0; k < d->list.len; k++)
    if (d->list.data[k]->code == code && i-- == 0) return d->list.data[k];
  return NULL;
}

void diag_about(Diag *g, const char *subject) { g->subject = subject; }
const char *diag_subject(const Diag *g) { return g->subject; }
const char *diag_headline(const Diag *g) { return g->headline; }

bool diags_told(const Diags *d, DiagCode code, const char *headline) {
  for (size_t i = 0; i < d->list.len; i++)
    if (d->list.data[i]->code == code && !strcmp(d->list.data[i]->headline, headline)) return true;
  return false;
}

int diags_phase(const Diags *d) {
  int phase = INT_MAX;
  for (size_t i = 0; i < d->list.len; i++) {
    const Diag *g = d->list.data[i];
    int own = codes[g->code].number[2] - '0'; // E0301
    if (g->severity == SEV_ERROR && own < phase) phase = own;
  }
  return phase;
}

static bool same_place(Loc a, Loc b) { return a.src == b.src && a.line == b.line && a.col == b.col; }

// An earlier message with the same code and place says the same; without a place the words must agree.
static bool is_known(const Diags *d, const Diag *g) {
  for (size_t i = 0; i < d->list.len; i++) {
    const Diag *e = d->list.data[i];
    if (e->code != g->code || !same_place(e->at, g->at)) continue;
    if (g->severity == SEV_ERROR && loc_known(g->at)) return true;
    if (!strcmp(e->headline, g->headline)) return true;
  }
  return false;
}

static bool at_or_before(uint32_t line, uint32_t col, uint32_t line2, uint32_t col2) {
  return line < line2 || (line == line2 && col <= col2);
}

static bool is_inside(Loc at, const Loc *block) {
  return block->src == at.src && at_or_before(block->line, block->col, at.line, at.col) &&
         at_or_before(at.end_line, at.end_col, block->end_line, block->end_col);
}

// The calls by which what stands at `at` is executed, the innermost first. A message about one of several calls of a
// block does not know which.
static void tell_calls(Diags *d, Diag *g, Loc at, int most) {
  int found = 0;
  for (size_t i = 0; i < d->called.len; i++) found += is_inside(at, &d->called.data[i].block);
  for (size_t i = 0; i < d->called.len && most > 0; i++) {
    const DiagCall *c = &d->called.data[i];
    if (!is_inside(at, &c->block)) continue;
    diag_also(g, c->from.at, "%s `%s`", found > 1 ? "in one of the calls of" : "in this call of", c->from.label);
    if (found == 1) tell_calls(d, g, c->from.at, most - 1);
    most--;
  }
}

// Adds a message. What it returns can always be written to, even if the message is not kept.
Diag *diag_report(Diags *d, DiagCode code, Loc at, const char *fmt, ...) {
  Diag *g = NEW(d->arena, Diag);
  g->arena = d->arena;
  g->owner = d;
  g->code = code;
  g->severity = codes[code].severity;
  g->at = at;
  va_list ap;
  va_start(ap, fmt);
  char *headline = arena_vprintf(d->arena, fmt, ap);
  va_end(ap);
  if (strlen(headline) > LONGEST_HEADLINE) strcpy(headline + LONGEST_HEADLINE - 3, "..."); // names have no limit
  g->headline = headline;
  if (is_known(d, g)) return g;
  if (g->severity == SEV_ERROR) d->errors++;
  if (g->severity != SEV_REMARK && d->kept[g->severity] >= FLOOD_LIMIT) {
    d->hidden[g->severity]++;
    return g;
  }
  d->kept[g->severity]++;
  VEC_PUSH(d->arena, d->list, g);
  for (size_t i = d->around.len; i-- > 0 && d->around.len - i <= CALLS_SHOWN;)
    diag_also(g, d->around.data[i].at, "%s", d->around.data[i].label);
  if (!d->around.len) tell_calls(d, g, at, CALLS_SHOWN);
  return g;
}

void diags_called(Diags *d, Loc block, Loc at, const char *name) {
  VEC_PUSH(d->arena, d->called, ((DiagCall){block, {at, name}}));
}

void diags_enter(Diags *d, Loc at, const char *text) { VEC_PUSH(d->arena, d->around, ((DiagPlace){at, text})); }
void diags_leave(Diags *d) { d->around.len--; }

// Text beside the caret.
void diag_here(Diag *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  g->label = arena_vprintf(g->arena, fmt, ap);
  va_end(ap);
}

// A second place; an unknown one is not added.
void diag_also(Diag *g, Loc at, const char *fmt, ...) {
  if (!loc_known(at)) return;
  va_list ap;
  va_start(ap, fmt);
  DiagPlace p = {at, arena_vprintf(g->arena, fmt, ap)};
  va_end(ap);
  VEC_PUSH(g->arena, g->also, p);
}

static void add_sub(Diag *g, DiagSubKind kind, const char *text) {
  DiagSub s = {kind, text};
  VEC_PUSH(g->arena, g->subs, s);
}

// A cause.
void diag_note(Diag *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add_sub(g, SUB_NOTE, arena_vprintf(g->arena, fmt, ap));
  va_end(ap);
}

void diag_nest(Diag *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add_sub(g, SUB_NEST, arena_vprintf(g->arena, fmt, ap));
  va_end(ap);
}

void diag_rule(Diag *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add_sub(g, SUB_RULE, arena_vprintf(g->arena, fmt, ap));
  va_end(ap);
}

// A remedy.
void diag_help(Diag *g, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add_sub(g, SUB_HELP, arena_vprintf(g->arena, fmt, ap));
  va_end(ap);
}

static DiagFix *add_fix(Diag *g, Loc at, const char *replacement, const char *text) {
  DiagFix f = {.at = at, .replacement = replacement, .text = text, .code = g->code, .headline = g->headline};
  VEC_PUSH(g->arena, g->fixes, f);
  return &g->fixes.data[g->fixes.len - 1];
}

// A mechanical remedy.
void diag_fix(Diag *g, Loc at, const char *replacement, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add_fix(g, at, arena_printf(g->arena, "%s", replacement), arena_vprintf(g->arena, fmt, ap));
  va_end(ap);
}

void diag_guess(Diag *g, Loc at, const char *replacement, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add_fix(g, at, arena_printf(g->arena, "%s", replacement), arena_vprintf(g->arena, fmt, ap))->guess = true;
  va_end(ap);
}

void diag_nearest(Diag *g, Loc at, const Nearest *n, const char *text) {
  add_fix(g, at, n->best, text)->guess = n->distance > 0;
}

void diags_keep_whole(Diags *d, Loc block) { VEC_PUSH(d->arena, d->whole, block); }

// The outermost block that has `at` inside; NULL if there is none.
static const Loc *block_around(const Diags *d, Loc at) {
  for (size_t i = 0; i < d->whole.len; i++) {
    const Loc *b = &d->whole.data[i];
    if (is_inside(at, b)) return b;
  }
  return NULL;
}

const char *diags_insertion(const Diags *d, Loc *after, const char *insert) {
  const Loc *block = block_around(d, *after);
  const char *replacement = arena_printf(d->arena, "; %s", insert);
  if (block) {
    *after = *block;
    replacement = arena_printf(d->arena, "\n%*s%s;", (int)(block->col ? block->col - 1 : 0), "", insert);
  }
  after->line = after->end_line;
  after->col = after->end_col;
  return replacement;
}

void diag_fix_after(Diag *g, Loc after, const char *insert, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = arena_vprintf(g->arena, fmt, ap);
  va_end(ap);
  if (!loc_known(after)) {
    diag_help(g, "%s", text);
    return;
  }
  const char *replacement = diags_insertion(g->owner, &after, insert);
  add_fix(g, after, replacement, text);
}

// Where the first thing starts that is neither white space nor a comment; the start if only those are there.
static Loc first_item(const Source *src) {
  uint32_t line = 1;
  for (bool comment = false; line <= src->nlines; line++) {
    size_t len;
    const char *text = loc_line(src, line, &len);
    while (len && (*text == ' ' || *text == '\t')) text++, len--;
    bool starts = len >= 2 && !memcmp(text, "/*", 2), note = len >= 2 && !memcmp(text, "//", 2);
    if (!comment && len && !starts && !note) break;
    comment = (comment || starts) && !memmem(text, len, "*/", 2);
  }
  if (line > src->nlines) line = 1;
  return (Loc){src, line, 1, line, 1};
}

void diag_fix_head(Diag *g, const Source *src, const char *insert, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = arena_vprintf(g->arena, fmt, ap);
  va_end(ap);
  if (src) add_fix(g, first_item(src), arena_printf(g->arena, "%s\n", insert), text);
  else diag_help(g, "%s", text);
}

static void add_drop(Diag *g, Loc statement, bool guess, const char *text) {
  bool elsewhere = g->severity == SEV_WARNING && loc_known(statement) && block_around(g->owner, statement);
  if (!loc_known(statement) || elsewhere) { // in a block it may have an effect another time
    diag_help(g, "%s", text);
    return;
  }
  size_t begin, end;
  loc_bytes(statement, &begin, &end);
  const char *rest = statement.src->text + end;
  size_t space = strspn(rest, " \t");
  if (rest[space] == ';') statement.end_col += (uint32_t)space + 1, rest += space + 1;
  const char *before = statement.src->text + begin;
  while (before > statement.src->text && (before[-1] == ' ' || before[-1] == '\t')) before--;
  bool alone = (before == statement.src->text || before[-1] == '\n') && *(rest += strspn(rest, " \t\r")) == '\n';
  if (alone) statement.col = 1, statement.end_line++, statement.end_col = 1; // the whole line
  add_fix(g, statement, "", text)->guess = guess;
}

void diag_fix_drop(Diag *g, Loc statement, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add_drop(g, statement, false, arena_vprintf(g->arena, fmt, ap));
  va_end(ap);
}

void diag_guess_drop(Diag *g, Loc statement, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  add_drop(g, statement, true, arena_vprintf(g->arena, fmt, ap));
  va_end(ap);
}

size_t diags_fix_count(const Diags *d) {
  size_t n = 0;
  for (size_t i = 0; i < d->list.len; i++) n += d->list.data[i]->fixes.len;
  return n;
}

DiagFix *diags_fix(const Diags *d, size_t i) {
  for (size_t k = 0; k < d->list.len; k++) {
    Diag *g = d->list.data[k];
    if (i < g->fixes.len) return &g->fixes.data[i];
    i -= g->fixes.len;
  }
  return NULL;
}

// One line of a source without its line end.
const char *loc_line(const Source *s, uint32_t line, size_t *len) {
  if (line < 1 || line > s->nlines) {
    *len = 0;
    return "";
  }
  size_t begin = s->line_start[line - 1], end = line < s->nlines ? s->line_start[line] - 1 : s->len;
  if (end > begin && s->text[end - 1] == '\r') end--;
  *len = end - begin;
  return s->text + begin;
}

static size_t byte_of(const Source *s, uint32_t line, uint32_t col) {
  if (line < 1) return 0;
  if (line > s->nlines) return s->len;
  size_t at = s->line_start[line - 1] + (col ? col - 1 : 0);
  return at < s->len ? at : s->len;
}

// The bytes of a span, begin <= end <= the source's length.
void loc_bytes(Loc at, size_t *begin, size_t *end) {
  *begin = byte_of(at.src, at.line, at.col);
  *end = byte_of(at.src, at.end_line, at.end_col);
  if (*end < *begin) *end = *begin;
}

// Says how many messages were not kept.
static void print_hidden(const Diags *d, Text *out) {
  if (d->hidden[SEV_ERROR]) text_add(out, "error: %d more errors are not shown\n\n", d->hidden[SEV_ERROR]);
  if (d->hidden[SEV_WARNING]) text_add(out, "warning: %d more warnings are not shown\n\n", d->hidden[SEV_WARNING]);
}

// An error without a remedy tells what is accepted.
static void add_general_help(Diag *g) {
  bool has = g->severity != SEV_ERROR || g->fixes.len || !*codes[g->code].help;
  for (size_t i = 0; i < g->subs.len; i++) has |= g->subs.data[i].kind == SUB_HELP;
  if (!has) add_sub(g, SUB_HELP, codes[g->code].help);
}

// Prints everything that is to be seen, in order of reporting.
void diags_print(const Diags *d, FILE *out, DiagFormat format, const DiagLook *look) {
  static const DiagLook plain = {0};
  Text t = {.arena = d->arena};
  for (size_t i = 0; i < d->list.len; i++) add_general_help(d->list.data[i]);
  if (format == DIAG_SARIF) diags_sarif(d, &t);
  for (size_t i = 0; i < d->list.len && format != DIAG_SARIF; i++) {
    const Diag *g = d->list.data[i];
    if (g->severity == SEV_REMARK && !d->remarks) continue;
    if (format == DIAG_JSON) diag_json(g, &t);
    else diag_render(g, look ? look : &plain, &t);
  }
  if (format == DIAG_TEXT) print_hidden(d, &t);
  if (format == DIAG_JSON) diag_json_hidden(d, &t);
  if (t.len) fwrite(t.data, 1, t.len, out);
}

// The end of the process, by our own fault.
// The one thing that outlives a call: bug() knows no compilation that it could ask.
static void (*last_words)(void *self);
static void *last_self;

void bug_then(void (*f)(void *self), void *self) {
  last_words = f;
  last_self = self;
}

void bug_at(const char *file, int line, const char *fmt, ...) {
  fflush(stdout);
  fprintf(stderr, "tetc: internal error at %s:%d: ", file, line);
  va_list ap;
  va_start(ap, fmt);
  vfprintf(stderr, fmt, ap);
  va_end(ap);
  fputs("\ntetc: this is a mistake of tetc, not of your program; please report it with the input\n", stderr);
  void (*f)(void *) = last_words;
  last_words = NULL;
  if (f) f(last_self);
  exit(4);
}

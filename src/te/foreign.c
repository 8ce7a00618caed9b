// SPDX-License-Identifier: Apache-2.0
// Words and habits of other languages (the table foreign.def), and calls of the library without its import.
#include "te/internal.h"

#include <string.h>

static const struct {
  ForeignPlace where;
  const char *written, *answer;
} foreign[] = {
#define FOREIGN(where, written, answer) {FOREIGN_##where, written, answer},
#include "te/foreign.def"
};

const char *foreign_answer(ForeignPlace where, const char *written) {
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (foreign[i].where == where && strcmp(foreign[i].written, written) == 0) return foreign[i].answer;
  return NULL;
}

bool foreign_help(Diag *g, ForeignPlace where, const char *written) {
  const char *answer = foreign_answer(where, written);
  if (answer) diag_help(g, "%s", answer);
  return answer != NULL;
}

bool foreign_call(Ctx *cx, Diag *g, const AstExpr *e) {
  const char *dot = strchr(e->name, '.');
  if (dot && foreign_help(g, FOREIGN_MODULE, arena_printf(cx->arena, "%.*s", (int)(dot - e->name), e->name)))
    return true;
  bool told = foreign_help(g, FOREIGN_CALL, e->name);
  const char *file = library_file_of(cx->arena, e->name);
  if (file)
    diag_fix_head(g, e->loc.src, arena_printf(cx->arena, "import \"%s\";", file),
                  "it is in the library: `import \"%s\";` at the head of the file", file);
  return told || file;
}

// The last word of the text before a place.
static const char *word_before(Arena *a, Loc loc) {
  const char *text = loc.src->text;
  size_t end = loc.src->line_start[loc.line - 1] + loc.col - 1, at;
  while (end > 0 && text[end - 1] == ' ') end--;
  for (at = end; at > 0 && ((text[at - 1] | 32) >= 'a' && (text[at - 1] | 32) <= 'z');) at--;
  return arena_printf(a, "%.*s", (int)(end - at), text + at);
}

// What is assigned to, up to the end of the statement: `+=` and the like.
static const char *assignment(Loc loc) {
  const char *text = loc.src->text + loc.src->line_start[loc.line - 1] + loc.col - 1;
  size_t n = strcspn(text, ";{}\n");
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (foreign[i].where == FOREIGN_ASSIGNMENT && memmem(text, n, foreign[i].written, strlen(foreign[i].written)))
      return foreign[i].answer;
  return NULL;
}

// Whether a `:` follows another in its brackets: there an axis is declared, and none is sliced.
static bool in_declared_axes(Loc loc, const char *got) {
  const char *text = loc.src->text, *at = text + loc.src->line_start[loc.line - 1] + loc.col - 1;
  while (at > text && !strchr("[;{}:", at[-1])) at--;
  return *got == ':' && at > text && at[-1] == ':';
}

const char *foreign_syntax(Arena *a, Loc loc, const char *got, bool declares, bool operators) {
  const char *answer = NULL;
  if (declares) answer = foreign_answer(FOREIGN_DECLARATION, got);
  if (declares && !answer) answer = assignment(loc);
  if (operators && !in_declared_axes(loc, got)) answer = foreign_answer(FOREIGN_BETWEEN, got);
  if (operators && !answer) answer = foreign_answer(FOREIGN_BEHIND, word_before(a, loc));
  return answer;
}

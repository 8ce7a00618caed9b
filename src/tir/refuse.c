// SPDX-License-Identifier: Apache-2.0
#include "tir/refuse.h"

#include <string.h>

enum { LONGEST_NEST = 2000 }; // bytes: a message, not a listing

// The nest as TIR text, cut at a line's end if it is long.
static const char *nest_listing(Ctx *cx, const Stmt *nest) {
  Text t = {.arena = cx->arena};
  tir_print_stmt(nest, 1, &t);
  if (t.len > LONGEST_NEST) {
    t.data[LONGEST_NEST] = 0;
    char *end = strrchr(t.data, '\n');
    if (end) *end = 0;
    t.len = strlen(t.data);
    text_add(&t, "\n  ...");
  }
  while (t.len && t.data[t.len - 1] == '\n') t.data[--t.len] = 0;
  return t.data ? t.data : "";
}

Diag *refuse(const Refusal *r, DiagCode code, Loc at, const char *headline) {
  Diag *g = diag_report(r->cx->diags, code, loc_known(at) ? at : r->nest->loc, "%s", headline);
  diag_also(g, r->asked, "%s", r->asked_as);
  diag_nest(g, "the loop nest, at phase %s:\n%s", r->phase, r->nest_text ? r->nest_text : nest_listing(r->cx, r->nest));
  diag_rule(g, "%s", r->rule);
  return g;
}

typedef struct Search {
  const Stmt *target;
  bool found;
} Search;

static bool search(void *self, const Stmt *s) {
  Search *f = self;
  f->found |= s == f->target;
  return !f->found;
}

static bool holds(const Stmt *s, const Stmt *target) {
  Search f = {.target = target};
  stmt_visit(s, search, NULL, &f);
  return f.found;
}

const Stmt *nest_around(const Stmt *body, const Stmt *s) {
  const Stmt *nest = NULL; // the outermost loop of those that follow each other down to here
  for (const Stmt *at = body; at && at != s;) {
    const Stmt *down = at->body;
    switch (at->kind) {
    case STMT_FOR:
      if (!nest) nest = at;
      break;
    case STMT_IF:
      if (!nest) nest = at;
      if (!holds(down, s)) down = at->else_body;
      break;
    case STMT_SEQ:
      nest = NULL;
      down = NULL;
      for (int i = 0; i < at->nchildren && !down; i++)
        if (holds(at->children[i], s)) down = at->children[i];
      break;
    case STMT_ALLOC:
    case STMT_INTRIN:
    case STMT_STORE: nest = NULL; break;
    }
    at = down;
    if (!at) return s;
  }
  return nest ? nest : s;
}

// SPDX-License-Identifier: Apache-2.0
// Parts of schedules: which one each call means. What they do is the schedule room's.
#include "te/internal.h"

#include <string.h>

enum { MOST_DEPTH = 200 };

static const Global *find_part(Checker *ck, const AstFile *f, const SchedStmt *st) {
  if (!st->receiver.name) return file_find(ck, f, part_key(ck->cx, st->method.name), true);
  const Global *of = strchr(st->receiver.name, '.') ? NULL : file_find(ck, f, st->receiver.name, true);
  return of && of->import ? file_find(ck, of->import, part_key(ck->cx, st->method.name), true) : NULL;
}

static void report_no_part(Checker *ck, const AstFile *f, const SchedStmt *st) {
  enum { BEFORE = sizeof "schedule " - 1 };
  Diag *g = diag_report(ck->cx->diags, E_UNKNOWN_NAME, st->method.loc, "there is no part `%s`", st->method.name);
  Nearest near = {.wanted = st->method.name};
  for (size_t i = 0; i < f->names.len; i++)
    if (file_find(ck, f, f->names.data[i], true)->item->kind == ITEM_PART)
      nearest_try(&near, f->names.data[i] + BEFORE);
  if (near.best) diag_nearest(g, st->method.loc, &near, "a similar one exists");
  diag_help(g,
            "a primitive is called on a stage, `stage.%s(...)`; a part is declared by `schedule def %s(...) { ... }`",
            st->method.name, st->method.name);
}

static void resolve_call(Checker *ck, const AstFile *f, SchedStmt *st) {
  const Global *g = find_part(ck, f, st);
  if (!g && !st->receiver.name && !ck->broken) report_no_part(ck, f, st);
  if (!g) return;
  st->part = g->item->part;
  if (!g->other) return;
  Diag *d =
      diag_report(ck->cx->diags, E_DUPLICATE_NAME, st->method.loc, "two imports have a part `%s`", st->method.name);
  diag_also(d, g->item->name_loc, "one is here");
  diag_also(d, g->other->name_loc, "and one here");
  diag_help(d, "import one of them under a name, `import \"file.te\" as f;`, and write `f.%s`", st->method.name);
}

// How deep calls go below a part, at most; reports recursion.
static int depth_of(Checker *ck, TePart *p, int above) {
  if (p->depth || above > MOST_DEPTH) return p->depth;
  int depth = 1;
  p->depth = -1;
  for (int i = 0; i < p->ncalls; i++) {
    const SchedStmt *st = p->calls[i];
    TePart *to = st->part ? (TePart *)(uintptr_t)st->part : NULL;
    int below = to ? depth_of(ck, to, above + 1) : 0;
    if (below < 0) {
      Diag *g = diag_report(ck->cx->diags, E_CYCLE, st->loc, "the part `%s` calls itself%s", to->name,
                            to == p ? "" : ", by way of others");
      diag_also(g, to->name_loc, "it is declared here");
      diag_help(g, "a part is expanded where it is called: repeat statements by `for`");
    } else if (to && (below >= MOST_DEPTH || above >= MOST_DEPTH)) {
      diag_report(ck->cx->diags, E_TOO_DEEP, st->loc, "parts call each other more than %d deep", MOST_DEPTH);
    } else if (below >= depth) {
      depth = below + 1;
    }
  }
  return p->depth = depth;
}

// A name that no other part before it has, for dumps.
static Name own_name(Checker *ck, const TeModule *m, Name wanted) {
  Name name = wanted;
  bool taken = true;
  for (int k = 2; taken; k++) {
    taken = false;
    for (int i = 0; i < m->nparts && !taken; i++) taken = m->parts[i]->name == name;
    if (taken) name = name_of(ck->cx->names, arena_printf(ck->cx->arena, "%s_%d", wanted, k));
  }
  return name;
}

void resolve_parts(Checker *ck, TeModule *m) {
  VEC(TePart *) all = {0};
  for (size_t i = 0; i < ck->files.len; i++) {
    const AstFile *f = ck->files.data[i];
    const TeConst *consts = NULL;
    int nconsts = list_consts(ck, f, &consts);
    for (size_t k = 0; k < f->calls.len; k++) resolve_call(ck, f, f->calls.data[k]);
    for (size_t k = 0; k < f->items.len; k++) {
      TePart *p = f->items.data[k].part;
      if (!p) continue;
      p->name = own_name(ck, m, p->name);
      p->consts = consts, p->nconsts = nconsts;
      VEC_PUSH(ck->cx->arena, all, p);
      m->parts = all.data, m->nparts = (int)all.len;
    }
  }
  for (size_t i = 0; i < all.len; i++) depth_of(ck, all.data[i], 0);
}

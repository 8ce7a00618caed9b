// SPDX-License-Identifier: Apache-2.0
// What names in a schedule's text stand for, and calls of parts. Everything a part is given is an expression of its
// caller's that means the same everywhere: a full stage name, an axis, a scope, a number. A statement is rewritten with
// these before it runs, so that primitives need to know nothing of parts.
#include "schedule/internal.h"

#include <string.h>

static const Binding *frame_find(const Frame *f, Name name) {
  for (size_t i = f->names.len; i-- > 0;)
    if (f->names.data[i].name == name) return &f->names.data[i];
  return NULL;
}

static const AstExpr *name_expr(Ctx *cx, Name name, Loc loc) {
  AstExpr *e = NEW(cx->arena, AstExpr);
  *e = (AstExpr){.kind = AST_NAME, .loc = loc, .name_loc = loc, .depth = 1, .name = name};
  return e;
}

static const AstExpr *number_expr(Ctx *cx, int64_t v, Loc loc) {
  AstExpr *e = NEW(cx->arena, AstExpr);
  *e = (AstExpr){.kind = AST_INT, .loc = loc, .depth = 1, .value = v};
  return e;
}

void frame_bind(Applier *ap, Name name, const AstExpr *value, const TePart *free) {
  VEC_PUSH(ap->cx->arena, ap->frame->names, ((Binding){name, value, free}));
}

void frame_bind_stage(Applier *ap, Name name, Name stage, Loc at) {
  frame_bind(ap, name, name_expr(ap->cx, stage, at), NULL);
}

// What a name, or what stands before a dot in it, was given or made as; NULL: nothing.
static const AstExpr *meaning(Applier *ap, Name name, Loc at, const TePart **free) {
  const Binding *b = frame_find(ap->frame, name);
  *free = b ? b->free : NULL;
  if (b) return b->value->kind == AST_NAME ? name_expr(ap->cx, b->value->name, b->value->loc) : b->value;
  for (const char *dot = strrchr(name, '.'); dot; dot = memrchr(name, '.', (size_t)(dot - name))) {
    b = frame_find(ap->frame, name_of_bytes(ap->cx->names, name, (size_t)(dot - name)));
    if (!b || b->value->kind != AST_NAME || b->free) continue;
    return name_expr(ap->cx, name_of(ap->cx->names, arena_printf(ap->cx->arena, "%s%s", b->value->name, dot)), at);
  }
  return NULL;
}

Name applier_full_name(Applier *ap, Name name) {
  const TePart *free;
  const AstExpr *e = meaning(ap, name, (Loc){0}, &free);
  if (e) return e->kind == AST_NAME && !free ? e->name : NULL;
  return ap->frame->part ? NULL : name;
}

Stage *applier_stage(Applier *ap, Name name) {
  Name full = applier_full_name(ap, name);
  return full ? schedule_stage_named(ap->s, full) : NULL;
}

bool applier_number(Applier *ap, const AstExpr *e, const TePart *free, int64_t *value) {
  TeModule view = *ap->s->module;
  if (free) view.consts = free->consts, view.nconsts = free->nconsts;
  return te_const_eval(ap->cx, &view, ap->opt->te_target, e, free ? NULL : knob_lookup, ap->s, value);
}

// An expression, or part of one, with what its names stand for. NULL after a report.
static const AstExpr *rewrite(Applier *ap, const AstExpr *e, bool inside, const TePart **free) {
  Ctx *cx = ap->cx;
  int64_t v;
  *free = NULL;
  if (e->kind == AST_NAME) {
    const AstExpr *m = meaning(ap, e->name, e->loc, free);
    if (!m) *free = ap->frame->part, m = e;
    if (!inside || !ap->frame->part) return m;
    if (m->kind == AST_NAME) m = name_expr(cx, m->name, e->loc); // what is wrong is told here
    return applier_number(ap, m, *free, &v) ? number_expr(cx, v, e->loc) : NULL;
  }
  const TePart *ignored;
  AstExpr *copy = arena_copy(cx->arena, e, sizeof *e);
  if ((e->a && !(copy->a = rewrite(ap, e->a, true, &ignored))) ||
      (e->b && !(copy->b = rewrite(ap, e->b, true, &ignored))) ||
      (e->c && !(copy->c = rewrite(ap, e->c, true, &ignored))))
    return NULL;
  copy->items = NEW_ARRAY(cx->arena, const AstExpr *, e->nitems + 1);
  for (int i = 0; i < e->nitems; i++)
    if (!(copy->items[i] = rewrite(ap, e->items[i], true, &ignored))) return NULL;
  if (e->kind != AST_INDEX || !ap->frame->part) return copy;
  return applier_number(ap, copy, ap->frame->part, &v) ? number_expr(cx, v, e->loc)
                                                       : NULL; // of a list of the part's file
}

bool applier_condition(Applier *ap, const AstExpr *e, bool *holds) {
  const TePart *free;
  int64_t v = 0;
  const AstExpr *r = rewrite(ap, e, true, &free);
  if (!r || !applier_number(ap, r, NULL, &v)) return false;
  *holds = v != 0;
  return true;
}

SchedStmt *applier_rewrite(Applier *ap, const SchedStmt *st) {
  SchedStmt *copy = arena_copy(ap->cx->arena, st, sizeof *st);
  copy->args = NEW_ARRAY(ap->cx->arena, SchedArg, st->nargs + 1);
  for (int i = 0; i < st->nargs; i++) {
    SchedArg *a = &copy->args[i];
    *a = st->args[i];
    if (a->value->kind == AST_NAME) a->written = a->value->name;
    a->value = rewrite(ap, a->value, false, &a->free);
    if (!a->value) return NULL;
  }
  return copy;
}

// ---- calls of parts -------------------------------------------------------------------------------------------------

static Diag *misfit(Applier *ap, const SchedStmt *st, Loc at, const char *text) {
  const TePart *p = st->part;
  Diag *g = diag_report(ap->cx->diags, E_ARGUMENT, at, "%s", text);
  Text t = {.arena = ap->cx->arena};
  for (int i = 0; i < p->nparams; i++)
    text_add(&t, "%s%s%s", i ? ", " : "", p->params[i].name, p->params[i].value ? " = ..." : "");
  diag_also(g, p->name_loc, "the part is declared here");
  diag_help(g, "it is called as `%s(%s)`", st->method.name, t.data ? t.data : "");
  return g;
}

// Sorts the arguments by parameters: by position, then by name.
static bool match_args(Applier *ap, const SchedStmt *st, const SchedArg **given) {
  const TePart *p = st->part;
  Arena *m = ap->cx->arena;
  int position = 0;
  for (int i = 0; i < st->nargs; i++) {
    const SchedArg *a = &st->args[i];
    int at = a->key ? 0 : position++;
    while (a->key && at < p->nparams && p->params[at].name != a->key) at++;
    if (at >= p->nparams)
      return misfit(ap, st, a->loc,
                    a->key ? arena_printf(m, "`%s` has no parameter `%s`", st->method.name, a->key)
                           : arena_printf(m, "`%s` takes %d argument%s, not %d", st->method.name, p->nparams,
                                          p->nparams == 1 ? "" : "s", st->nargs)),
             false;
    if (given[at]) return misfit(ap, st, a->loc, arena_printf(m, "`%s` is given twice", p->params[at].name)), false;
    given[at] = a;
  }
  for (int i = 0; i < p->nparams; i++)
    if (!given[i] && !p->params[i].value)
      return misfit(ap, st, st->loc, arena_printf(m, "`%s` is not given `%s`", st->method.name, p->params[i].name)),
             false;
  return true;
}

// Whether an argument is known to be what a refused statement would have made.
static bool given_failed(Applier *ap, const SchedArg *a) {
  return a->value->kind == AST_NAME && !a->free && applier_failed(ap, a->value->name);
}

// Gives the parameters what they stand for; ap->frame is the part's. Numbers are found once.
static bool bind_params(Applier *ap, const SchedStmt *st, const SchedArg *const *given) {
  const TePart *p = st->part;
  for (int i = 0; i < p->nparams; i++) {
    const TePart *free = given[i] ? given[i]->free : NULL;
    const AstExpr *e = given[i] ? given[i]->value : rewrite(ap, p->params[i].value, false, &free);
    int64_t v;
    if (!e) return false;
    if (e->kind != AST_NAME && e->kind != AST_INT && e->kind != AST_STRING) {
      if (!applier_number(ap, e, NULL, &v)) return false;
      e = number_expr(ap->cx, v, e->loc);
    }
    frame_bind(ap, p->params[i].name, e, free);
    if (!ap->frame->first && e->kind == AST_NAME && !free && schedule_stage_named(ap->s, e->name))
      ap->frame->first = e->name;
  }
  return true;
}

static bool bind_results(Applier *ap, const SchedStmt *st, const Frame *of) {
  if (st->nresults > of->nreturned) {
    Diag *g = misfit(ap, st, st->loc,
                     arena_printf(ap->cx->arena, "`%s` returns %d name%s, not %d", st->method.name, of->nreturned,
                                  of->nreturned == 1 ? "" : "s", st->nresults));
    if (of->returned) diag_also(g, of->returned->loc, "it returns here");
    return false;
  }
  for (int i = 0; i < st->nresults; i++) {
    SchedName r = st->results[i];
    if (!ap->frame->part && schedule_stage_named(ap->s, r.name)) {
      Diag *g = diag_report(ap->cx->diags, E_DUPLICATE_NAME, r.loc, "there is a stage `%s` already", r.name);
      diag_help(g, "give this one another name");
      return false;
    }
    frame_bind(ap, r.name, of->results[i].value, of->results[i].free);
  }
  return true;
}

bool apply_part(Applier *ap, const SchedStmt *written) {
  const TePart *p = written->part;
  Frame *caller = ap->frame, own = {.part = p};
  const SchedStmt *st = applier_rewrite(ap, written);
  const SchedArg **given = NEW_ARRAY(ap->cx->arena, const SchedArg *, p->nparams + 1);
  for (int i = 0; st && i < st->nargs; i++)
    if (given_failed(ap, &st->args[i])) return false;
  if (!st || !match_args(ap, st, given)) return false;
  diags_keep_whole(ap->cx->diags, p->loc);
  diags_called(ap->cx->diags, p->loc, st->loc, st->method.name);
  diags_enter(ap->cx->diags, st->loc, arena_printf(ap->cx->arena, "in this call of `%s`", st->method.name));
  ap->frame = &own;
  if (bind_params(ap, st, given)) apply_statements(ap, p->nstmts, p->stmts);
  ap->frame = caller;
  diags_leave(ap->cx->diags);
  return bind_results(ap, st, &own);
}

void apply_return(Applier *ap, const SchedStmt *st) {
  Frame *f = ap->frame;
  Ctx *cx = ap->cx;
  f->done = true;
  if (!f->part) {
    diag_help(diag_report(cx->diags, E_SYNTAX, st->loc, "`return` stands in a schedule"),
              "it gives names from a part, `schedule def`, to its caller");
    return;
  }
  f->returned = st;
  f->results = NEW_ARRAY(cx->arena, Binding, st->nresults);
  for (int i = 0; i < st->nresults; i++) {
    SchedName n = st->results[i];
    const TePart *free;
    const AstExpr *e = meaning(ap, n.name, n.loc, &free);
    if (!e && !applier_failed(ap, n.name)) {
      Diag *g = diag_report(cx->diags, E_NO_STAGE, n.loc, "the part has no `%s` to return", n.name);
      diag_help(g, "it returns what it was given and what its statements made");
    }
    f->results[f->nreturned++] = (Binding){n.name, e ? e : name_expr(cx, n.name, n.loc), free};
  }
}

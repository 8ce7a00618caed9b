// SPDX-License-Identifier: Apache-2.0
// Arguments of schedule primitives: found by place or key, resolved to axes, stages, scopes and numbers.
#include "schedule/internal.h"

#include <string.h>

Diag *report_argument(Ctx *cx, const char *primitive, DiagCode code, Loc at, const char *text) {
  Diag *g = diag_report(cx->diags, code, at, "%s", text);
  if (code == E_DUPLICATE_NAME) diag_help(g, "choose another name");
  for (int i = 0; i < primitive_count && code == E_ARGUMENT; i++)
    if (strcmp(primitive, primitive_table[i].name) == 0) diag_help(g, "it is written `%s`", primitive_table[i].usage);
  return g;
}

Diag *call_fail(Call *c, DiagCode code, Loc at, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *text = arena_vprintf(c->ap->cx->arena, fmt, ap);
  va_end(ap);
  c->failed = true;
  return report_argument(c->ap->cx, c->stmt->method.name, code, at, text);
}

// The argument at a position, not counting keyword arguments; NULL if there is none.
const SchedArg *call_arg(const Call *c, int position) {
  for (int i = 0; i < c->stmt->nargs; i++) {
    if (c->stmt->args[i].key) continue;
    if (position-- == 0) return &c->stmt->args[i];
  }
  return NULL;
}

const SchedArg *call_key(const Call *c, const char *key) {
  for (int i = 0; i < c->stmt->nargs; i++)
    if (c->stmt->args[i].key && strcmp(c->stmt->args[i].key, key) == 0) return &c->stmt->args[i];
  return NULL;
}

// The names of a stage's loops, outermost first, for messages.
static const char *leaf_names(Ctx *cx, const Stage *s) {
  Text t = {.arena = cx->arena};
  for (size_t i = 0; i < s->leaf.len; i++) text_add(&t, "%s%s", i ? ", " : "", s->leaf.data[i]->name);
  return t.data ? t.data : "none";
}

// Says what became of an axis that a stage had once.
static void explain_axis(Diag *g, Ctx *cx, const Stage *s, Name name) {
  for (size_t i = 0; i < s->axes.len; i++) {
    const Axis *a = s->axes.data[i];
    if (a->name != name || !a->used_by) continue;
    const Relation *r = a->used_by;
    if (r->kind == REL_SPLIT)
      diag_also(g, r->loc, "`%s` became `%s` and `%s` here", name, r->outer->name, r->inner->name);
    else diag_also(g, r->loc, "`%s` was fused into `%s` here", name, r->parent->name);
    break;
  }
  diag_note(g, "the loops of `%s` are now: %s", s->name, leaf_names(cx, s));
}

// The loop that an axis which was split or fused is in now, the outer one of several; NULL if there was no such axis.
static const Axis *axis_now(const Stage *s, Name name) {
  const Axis *a = NULL;
  for (size_t i = 0; i < s->axes.len && !a; i++)
    if (s->axes.data[i]->name == name && s->axes.data[i]->used_by) a = s->axes.data[i];
  while (a && a->used_by) a = a->used_by->kind == REL_SPLIT ? a->used_by->outer : a->used_by->parent;
  return a;
}

void report_no_axis(Ctx *cx, Loc at, const Stage *of, Name name) {
  Diag *g = diag_report(cx->diags, E_AXIS, at, "`%s` has no axis `%s`%s", of->name, name,
                        of->tensor->role == TE_INPUT      ? ": it is an input"
                        : of->tensor->role == TE_CONSTANT ? ": it is a constant"
                                                          : " at this point");
  explain_axis(g, cx, of, name);
  Nearest near = {.wanted = name};
  for (size_t i = 0; i < of->leaf.len; i++) nearest_try(&near, of->leaf.data[i]->name);
  const Axis *now = axis_now(of, name);
  if (now) diag_guess(g, at, now->name, "the outer loop of it");
  else if (near.best) diag_guess(g, at, near.best, "a similar name exists");
  else diag_help(g, "name one of its loops");
}

// A leaf axis of `of`, named by the argument at a position.
Axis *call_axis(Call *c, int position, Stage *of) {
  const SchedArg *a = call_arg(c, position);
  if (!a || !of) {
    c->failed = true;
    return NULL;
  }
  if (a->value->kind != AST_NAME) {
    call_fail(c, E_ARGUMENT, a->loc, "`%s` takes an axis here", c->stmt->method.name);
    return NULL;
  }
  Axis *found = stage_axis(of, a->value->name);
  // A name that stands for a stage may be that of a loop, too.
  if (!found && a->written && !a->free && schedule_stage_named(c->ap->s, a->value->name))
    found = stage_axis(of, a->written);
  if (!found && applier_failed(c->ap, a->value->name)) {
    c->failed = true;
  } else if (!found) {
    report_no_axis(c->ap->cx, a->loc, of, a->value->name);
    c->failed = true;
  }
  return found;
}

Axis *call_root(Call *c, int position) {
  const SchedArg *a = call_arg(c, position);
  const Stage *s = c->stage;
  Nearest near = {.wanted = a && a->value->kind == AST_NAME ? a->value->name : NULL};
  if (!near.wanted) {
    call_fail(c, E_ARGUMENT, a ? a->loc : c->stmt->loc, "`%s` takes an axis here", c->stmt->method.name);
    return NULL;
  }
  for (int i = 0; i < s->nroot; i++)
    if (s->root[i]->name == near.wanted || (a->written && !a->free && s->root[i]->name == a->written))
      return s->root[i];
  Diag *g = call_fail(c, E_AXIS, a->loc, "`%s` has no axis `%s`", s->name, near.wanted);
  Text t = {.arena = c->ap->cx->arena};
  for (int i = 0; i < s->nroot; i++) {
    nearest_try(&near, s->root[i]->name);
    text_add(&t, "%s%s", i ? ", " : "", s->root[i]->name);
  }
  diag_note(g, "its axes are: %s", t.data ? t.data : "none");
  if (near.best) diag_guess(g, a->loc, near.best, "a similar name exists");
  else diag_help(g, "name an axis with which `%s` is declared", s->name);
  return NULL;
}

Stage *call_stage(Call *c, int position) {
  const SchedArg *a = call_arg(c, position);
  if (!a) {
    c->failed = true;
    return NULL;
  }
  Stage *s = a->value->kind == AST_NAME && !a->free ? schedule_stage_named(c->ap->s, a->value->name) : NULL;
  if (!s && a->value->kind == AST_NAME && applier_failed(c->ap, a->value->name)) {
    c->failed = true;
  } else if (!s) {
    c->failed = true;
    if (a->value->kind == AST_NAME) report_no_stage(c->ap, a->loc, a->value->name);
    else call_fail(c, E_ARGUMENT, a->loc, "`%s` takes a stage here", c->stmt->method.name);
  }
  return s;
}

// The names of all scopes, for messages.
static const char *scope_names(Ctx *cx, const TirTarget *t) {
  Text out = {.arena = cx->arena};
  text_add(&out, "host");
  for (int i = 0; t && i < t->nscopes; i++) text_add(&out, ", %s", t->scopes[i]->name);
  return out.data;
}

const Scope *call_scope(Call *c, int position) {
  const SchedArg *a = call_arg(c, position);
  if (!a) {
    c->failed = true;
    return NULL;
  }
  const TirTarget *t = c->ap->opt->target;
  bool quoted = a->value->kind == AST_STRING;
  const char *name = a->value->kind == AST_NAME || quoted ? a->value->name : "this";
  const Scope *s = strcmp(name, "host") == 0 ? &scope_host : t ? tir_scope(t, name) : NULL;
  if (s && !quoted) return s;
  Diag *g = diag_report(c->ap->cx->diags, E_SCOPE, a->loc,
                        quoted && s ? "a scope is written without quotes: `%s`" : "there is no scope `%s`", name);
  Nearest near = {.wanted = name};
  nearest_try(&near, "host");
  for (int i = 0; t && i < t->nscopes; i++) nearest_try(&near, t->scopes[i]->name);
  for (int i = 0; t && i < t->nscopes && !near.best; i++) // `acc`
    if (strcmp(strchr(t->scopes[i]->name, '.') + 1, name) == 0) near.best = t->scopes[i]->name, near.distance = 0;
  diag_note(g, "the scopes are: %s", scope_names(c->ap->cx, t));
  if (near.best) diag_nearest(g, a->loc, &near, "a similar name exists");
  else if (t) diag_help(g, "name one of these");
  if (!t) diag_fix_head(g, a->loc.src, "target vta;", "name the accelerator at the head of the file: `target vta;`");
  c->failed = true;
  return NULL;
}

// A constant greater than zero.
int64_t call_int(Call *c, const SchedArg *a) {
  int64_t v = 0;
  Applier *ap = c->ap;
  if (!applier_number(ap, a->value, a->free, &v)) {
    c->failed = true;
    return 1;
  }
  if (v <= 0) {
    call_fail(c, E_ARGUMENT, a->loc, "`%s` needs a number greater than 0, and this is %lld", c->stmt->method.name,
              (long long)v);
    return 1;
  }
  return v;
}

// SPDX-License-Identifier: Apache-2.0
// What was done to a schedule: the messages and the record of an operation, and the record as text.
#include "schedule/internal.h"

#include <string.h>

// ---- an operation on its way ----------------------------------------------------------------------------------------

Loc op_at(const Op *o) { return o->why ? o->why->loc : (Loc){0}; }
Name op_receiver(const Op *o) { return o->why ? o->why->receiver.name : o->stage->name; }

Loc op_arg_at(const Op *o, int i) {
  for (int k = 0; o->why && k < o->why->nargs; k++)
    if (!o->why->args[k].key && i-- == 0) return o->why->args[k].loc;
  return op_at(o);
}

Diag *op_fail(Op *o, DiagCode code, Loc at, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  char *text = arena_vprintf(o->s->cx->arena, fmt, ap);
  va_end(ap);
  o->failed = true;
  return report_argument(o->s->cx, o->why ? o->why->method.name : o->name, code, at, text);
}

bool op_is_loop(Op *o, const Stage *of, const Axis *a) {
  if (a && stage_leaf_index(of, a) >= 0) return true;
  report_no_axis(o->s->cx, op_at(o), of, a ? a->name : "?");
  o->failed = true;
  return false;
}

bool op_is_computed(Op *o) {
  TeRole role = o->stage->tensor->role;
  if (role != TE_INPUT && role != TE_CONSTANT) return true;
  op_fail(o, E_ARGUMENT, op_at(o), "`%s` is %s: `%s` needs a computed stage", o->stage->name,
          role == TE_INPUT ? "an input" : "a constant", o->why ? o->why->method.name : o->name);
  return false;
}

// The first read of a stage's own elements, or of a stage of its circle; what has those elements.
static const TeExpr *circle_read(const Op *o, const Stage *s) {
  const TeExpr *found = NULL;
  for (size_t i = 0; i < o->s->stages.len && !found; i++) {
    const Stage *of = o->s->stages.data[i];
    if (of->tensor->circle == s->tensor->circle) found = expr_read(s->body, of->tensor);
  }
  return found;
}

bool op_is_shared(Op *o) { return o->stage->tensor->leading && op_is_recurrent(o); }

bool op_is_recurrent(Op *o) {
  if (!o->stage->circle) return false;
  Diag *g =
      op_fail(o, E_RECURRENT, op_at(o), "`%s` cannot be asked of `%s`, which is computed from its earlier elements",
              o->why ? o->why->method.name : o->name, o->stage->name);
  const TeExpr *read = circle_read(o, o->stage);
  if (read) {
    diag_also(g, read->loc, "an element of `%s` is read here", read->tensor->name);
    diag_also(g, read->tensor->name_loc, "and computed here");
  }
  diag_help(g, "leave it where and as it is; a stage that reads it may be scheduled");
  return true;
}

// ---- the record -----------------------------------------------------------------------------------------------------

void op_replaces(const Op *o, Loc earlier, const char *before, const char *behind) {
  Diag *g = diag_report(o->s->cx->diags, W_NO_EFFECT, earlier, "this has no effect: %s `%s` %s", before, o->stage->name,
                        behind);
  diag_also(g, op_at(o), "this counts");
  diag_fix_drop(g, earlier, "drop the earlier one");
}

ScheduleStep *op_done(const Op *o) {
  ScheduleStep *step = NEW(o->s->cx->arena, ScheduleStep);
  step->name = o->name;
  step->stage = o->stage;
  step->loc = op_at(o);
  VEC_PUSH(o->s->cx->arena, o->s->steps, step);
  return step;
}

static void add_arg(const Schedule *s, ScheduleStep *step, ScheduleStepArg a) { VEC_PUSH(s->cx->arena, step->args, a); }

void step_axis(const Schedule *s, ScheduleStep *step, const Axis *a) {
  add_arg(s, step, (ScheduleStepArg){STEP_AXIS, .name = a->name});
}
void step_stage(const Schedule *s, ScheduleStep *step, const Stage *st) {
  add_arg(s, step, (ScheduleStepArg){STEP_STAGE, .name = st->name});
}
void step_scope(const Schedule *s, ScheduleStep *step, const Scope *scope) {
  add_arg(s, step, (ScheduleStepArg){STEP_SCOPE, .scope = scope});
}
void step_word(const Schedule *s, ScheduleStep *step, const char *word) {
  add_arg(s, step, (ScheduleStepArg){STEP_WORD, .word = word});
}
void step_result(const Schedule *s, ScheduleStep *step, Name name) { VEC_PUSH(s->cx->arena, step->results, name); }

void step_number(const Schedule *s, ScheduleStep *step, const char *key, int64_t n) {
  add_arg(s, step, (ScheduleStepArg){STEP_NUMBER, .key = key, .number = n});
}

// ---- as text --------------------------------------------------------------------------------------------------------

static void print_arg(const ScheduleStepArg *a, Text *out) {
  if (a->key) text_add(out, "%s = ", a->key);
  switch (a->kind) {
  case STEP_AXIS:
  case STEP_STAGE: text_add(out, "%s", a->name); break;
  case STEP_SCOPE: text_add(out, "%s", a->scope->name); break;
  case STEP_NUMBER: text_add(out, "%lld", (long long)a->number); break;
  case STEP_WORD: text_add(out, "%s", a->word); break;
  }
}

static void print_step(const ScheduleStep *step, Text *out) {
  text_add(out, "  ");
  for (size_t i = 0; i < step->results.len; i++) text_add(out, "%s%s", i ? ", " : "", step->results.data[i]);
  text_add(out, "%s%s.%s(", step->results.len ? " = " : "", step->stage->name, step->name);
  for (size_t i = 0; i < step->args.len; i++) {
    if (i) text_add(out, ", ");
    print_arg(&step->args.data[i], out);
  }
  text_add(out, ");\n");
}

void schedule_text(const Schedule *s, Text *out) {
  Name name = s->source ? s->source->name : NULL;
  text_add(out, "schedule %s%s%s {\n", s->kernel->name, name ? " : " : "", name ? name : "");
  for (size_t i = 0; i < s->steps.len; i++) print_step(s->steps.data[i], out);
  text_add(out, "}\n");
}

// Behind an item: at the end of its line, if only a comment follows there.
static Loc behind(const Source *src, Loc item) {
  Loc at = {src, item.end_line, item.end_col, item.end_line, item.end_col};
  const char *rest = src->text + src->line_start[at.line - 1] + at.col - 1;
  size_t blank = strspn(rest, " \t"), line = strcspn(rest, "\r\n");
  if (blank == line || !strncmp(rest + blank, "//", 2)) at.col += (uint32_t)line, at.end_col = at.col;
  return at;
}

SourceEdit schedule_edit_text(Ctx *cx, const TeModule *m, const TeKernel *k, Name name, const char *text) {
  const Source *src = m->src;
  for (int i = 0; i < m->nschedules; i++) {
    const TeSchedule *old = m->schedules[i];
    if (old->kernel == k->name && old->name == name)
      return (SourceEdit){old->loc.src == src ? old->loc : (Loc){0}, text};
  }
  bool ok;
  const TeSchedule *first = schedule_find(cx, m, k, NULL, &ok);
  if (first && first->loc.src != src) return (SourceEdit){(Loc){0}, text}; // it would count before ours
  bool here = k->loc.src == src;
  if (first && !(here && loc_before(k->loc, first->loc))) {
    Loc at = first->loc;
    at.end_line = at.line, at.end_col = at.col;
    return (SourceEdit){at, arena_printf(cx->arena, "%s\n\n", text)};
  }
  uint32_t last = src->nlines, col = (uint32_t)(src->len - src->line_start[last - 1]) + 1;
  Loc end = {src, last, col, last, col};
  return (SourceEdit){here ? behind(src, k->loc) : end, arena_printf(cx->arena, "\n\n%s%s", text, here ? "" : "\n")};
}

SourceEdit schedule_edit(const Schedule *s, const TeModule *m) {
  Text t = {.arena = s->cx->arena};
  schedule_text(s, &t);
  t.data[--t.len] = 0; // the newline
  return schedule_edit_text(s->cx, m, s->kernel, s->source ? s->source->name : NULL, t.data);
}

// SPDX-License-Identifier: Apache-2.0
// Marks: which loops of a stage become accelerator instructions. Each operation with the primitive that gives it its
// arguments from a text; `pragma`, too, which is another spelling.
#include "schedule/internal.h"

#include <string.h>

// The region of each mark, and its primitive; in the order of Mark.
static const struct {
  const char *region, *primitive;
} marks[] = {{"", ""}, {"vta.dma_copy", "dma_copy"}, {"vta.alu", "alu"}, {"vta.tensorize", "tensorize"}};

bool stage_mark(Schedule *s, Stage *st, Mark m, Axis *a, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = marks[m].primitive, .why = why};
  if (((a || m == MARK_TENSORIZE) && !op_is_loop(&o, st, a)) || !op_is_computed(&o) || op_is_recurrent(&o))
    return false;
  const Intrin *intrin = s->target ? tir_intrin(s->target, marks[m].region) : NULL;
  if (!intrin) {
    Diag *g = op_fail(&o, E_TARGET, op_at(&o), "`%s` needs an accelerator", o.name);
    diag_fix_head(g, op_at(&o).src, "target vta;", "name it at the head of the file: `target vta;`");
    return false;
  }
  if (st->mark != MARK_NONE && st->mark != m) {
    Diag *g = op_fail(&o, E_ANNOTATION, op_at(&o), "`%s` is already lowered another way", st->name);
    diag_also(g, st->mark_loc, "asked for here");
    diag_guess_drop(g, op_at(&o), "drop one of the two");
    return false;
  }
  if (st->mark == m) op_replaces(&o, st->mark_loc, "it is said again for", "later");
  st->mark = m;
  st->mark_axis = a;
  st->mark_loc = op_at(&o);
  st->intrin = intrin;
  ScheduleStep *step = op_done(&o);
  if (a) step_axis(s, step, a);
  if (m == MARK_TENSORIZE) step_word(s, step, "vta.gemm");
  return true;
}

static void mark(Call *c, Mark m, Axis *a) {
  if (!c->failed) c->failed = !stage_mark(c->ap->s, c->stage, m, a, c->stmt);
}

void apply_dma_copy(Call *c) { mark(c, MARK_COPY, call_arg(c, 0) ? call_axis(c, 0, c->stage) : NULL); }
void apply_alu(Call *c) { mark(c, MARK_ALU, call_arg(c, 0) ? call_axis(c, 0, c->stage) : NULL); }

void apply_tensorize(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *i = call_arg(c, 1);
  if (c->failed) return;
  const char *name = i && i->value->kind == AST_NAME ? i->value->name : "";
  if (strcmp(name, "vta.gemm") == 0) {
    mark(c, MARK_TENSORIZE, a);
    return;
  }
  Diag *g = diag_report(c->ap->cx->diags, E_INTRINSIC, i ? i->loc : c->stmt->loc, "there is no intrinsic `%s`", name);
  diag_note(g, "the intrinsics are: vta.gemm");
  if (!c->ap->s->target)
    diag_help(g, "name the accelerator at the head of the file, `target vta;`, and write `vta.gemm` here");
  else if (i) diag_guess(g, i->loc, "vta.gemm", "there is this one");
  c->failed = true;
}

// pragma(axis, name): TVM's spelling of the annotations.
void apply_pragma(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *n = call_arg(c, 1);
  if (c->failed) return;
  const char *name = n && (n->value->kind == AST_NAME || n->value->kind == AST_STRING) ? n->value->name : "";
  if (strcmp(name, "dma_copy") == 0) mark(c, MARK_COPY, a);
  else if (strcmp(name, "alu") == 0) mark(c, MARK_ALU, a);
  else if (strcmp(name, "unroll") == 0) call_annotate(c, a, FOR_UNROLLED);
  else if (strcmp(name, "vectorize") == 0) call_annotate(c, a, FOR_VECTORIZED);
  else if (strcmp(name, "parallel") == 0) call_annotate(c, a, FOR_PARALLEL);
  else {
    Diag *g = diag_report(c->ap->cx->diags, E_ARGUMENT, n ? n->loc : c->stmt->loc, "there is no pragma `%s`", name);
    Nearest near = {.wanted = name};
    static const char *const pragmas[] = {"dma_copy", "alu", "unroll", "vectorize", "parallel"};
    for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas; i++) nearest_try(&near, pragmas[i]);
    if (n && near.best) diag_nearest(g, n->loc, &near, "a similar one exists");
    diag_help(g, "the pragmas are: dma_copy, alu, unroll, vectorize, parallel");
    c->failed = true;
  }
}

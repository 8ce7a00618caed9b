// SPDX-License-Identifier: Apache-2.0
// The sketch of a schedule: each stage's loops with bounds, where it is attached, its scope and marks.
#include "schedule/schedule.h"

static const char *kind_text(ForKind k) {
  switch (k) {
  case FOR_SERIAL: return "for";
  case FOR_PARALLEL: return "parallel for";
  case FOR_VECTORIZED: return "vectorized for";
  case FOR_UNROLLED: return "unrolled for";
  case FOR_VTHREAD: return "vthread for";
  }
  return "for";
}

static const char *mark_text(Mark m) {
  switch (m) {
  case MARK_NONE: return "";
  case MARK_COPY: return "dma_copy";
  case MARK_ALU: return "alu";
  case MARK_TENSORIZE: return "tensorize";
  }
  return "";
}

static void print_attached(const Schedule *s, const Stage *at, const Axis *axis, int indent, Text *out);

static void print_stage(const Schedule *s, const Stage *st, int indent, Text *out) {
  text_add(out, "%*s// %s in %s", indent * 2, "", st->name, st->scope->name);
  if (st->stored) text_add(out, ", stored at %s", st->store_axis ? st->store_axis->name : "root");
  if (st->fold) text_add(out, ", %s folded", st->fold->name);
  if (st->align) {
    text_add(out, ", %s aligned to %lld", st->align->name, (long long)st->align_to);
    if (st->align_by) text_add(out, " + %lld", (long long)st->align_by);
  }
  text_add(out, "\n");
  for (size_t i = 0; i < st->leaf.len; i++) {
    const Axis *a = st->leaf.data[i];
    if (st->mark != MARK_NONE && a == st->mark_axis) text_add(out, "%*s%s:\n", indent * 2, "", mark_text(st->mark));
    text_add(out, "%*s%s %s in 0..%lld%s {\n", indent * 2, "", kind_text(a->kind), a->name, (long long)a->extent,
             a->reduce ? " reducing" : "");
    indent++;
    print_attached(s, st, a, indent, out);
  }
  text_add(out, "%*s%s[...] %s ", indent * 2, "", st->name, st->reduce == TE_NO_REDUCE ? "=" : "reduce=");
  te_print_expr(st->body, out);
  text_add(out, ";\n");
  for (size_t i = 0; i < st->leaf.len; i++) text_add(out, "%*s}\n", --indent * 2, "");
}

static void print_attached(const Schedule *s, const Stage *at, const Axis *axis, int indent, Text *out) {
  for (size_t i = 0; i < s->stages.len; i++) {
    const Stage *p = s->stages.data[i];
    if (p->live && p->attach == ATTACH_AT && p->at_stage == at && p->at_axis == axis) print_stage(s, p, indent, out);
  }
}

void schedule_print(const Schedule *s, Text *out) {
  text_add(out, "// kernel %s%s%s\n", s->kernel->name, s->source && s->source->name ? ", schedule " : "",
           s->source && s->source->name ? s->source->name : "");
  for (size_t i = 0; i < s->knobs.len; i++)
    text_add(out, "// knob %s = %lld\n", s->knobs.data[i].name, (long long)s->knobs.data[i].value);
  for (size_t i = 0; i < s->stages.len; i++) {
    const Stage *st = s->stages.data[i];
    if (st->live && st->body && st->attach == ATTACH_ROOT) print_stage(s, st, 0, out);
  }
}

// SPDX-License-Identifier: Apache-2.0
// Tells of every stage where it runs and why: the answer to "why is my convolution on the CPU?".
#include "schedule/schedule.h"

static bool is_float_use(void *self, const TeExpr *e) {
  if (!dtype_is_float(e->type) || e->kind == TE_CAST) return false;
  *(const TeExpr **)self = e;
  return true;
}

// The first floating-point tensor or value that e uses; NULL if none.
static const TeExpr *float_use(const TeExpr *e) {
  const TeExpr *found = NULL;
  te_any(e, is_float_use, &found);
  return found;
}

// The tensor of a type that the accelerator does not have among those that s reads; NULL if none.
static const TeTensor *float_input(const Stage *s) {
  for (size_t i = 0; i < s->producers.len; i++)
    if (dtype_is_float(s->producers.data[i]->tensor->type)) return s->producers.data[i]->tensor;
  return NULL;
}

// Why a stage stays on the CPU, in a few words.
const char *schedule_cpu_reason(Ctx *cx, const Schedule *sch, const Stage *s) {
  const TeTensor *in = float_input(s);
  if (sch->rules && s->tensor->index >= 0 && sch->rules[s->tensor->index] && !dtype_is_float(s->tensor->type))
    return sch->rules[s->tensor->index];
  if (in) return arena_printf(cx->arena, "%s input `%s`", dtype_name(in->type), in->name);
  if (dtype_is_float(s->tensor->type)) return arena_printf(cx->arena, "%s result", dtype_name(s->tensor->type));
  const TeExpr *f = float_use(s->body);
  if (f) return arena_printf(cx->arena, "%s arithmetic", dtype_name(f->type));
  if (!sch->target) return "the file names no target";
  bool fills = s->body->kind == TE_SELECT && s->body->c->kind == TE_CONST; // packed: its last block is filled up
  if (sch->rules && (fills ? s->body->b : s->body)->kind == TE_ACCESS) return "it copies from one layout to another";
  if (sch->rules) return "no plan for VTA was found";
  if (!sch->source) return "the kernel has no schedule";
  return "its schedule has no `tensorize`, `alu` or `dma_copy`";
}

void schedule_remarks(Ctx *cx, const Schedule *sch) {
  for (size_t i = 0; i < sch->stages.len; i++) {
    const Stage *s = sch->stages.data[i];
    if (!s->body) continue;
    Loc at = s->tensor->name_loc;
    if (s->attach == ATTACH_INLINE) {
      Diag *g = diag_report(cx->diags, R_PLACEMENT, at, "`%s` is inlined into its readers", s->name);
      diag_also(g, s->attach_loc, "asked for here");
      continue;
    }
    if (!s->live) {
      diag_report(cx->diags, R_PLACEMENT, at, "`%s` is not computed: no output needs it", s->name);
      continue;
    }
    Diag *g;
    switch (s->mark) {
    case MARK_NONE:
      diag_report(cx->diags, R_PLACEMENT, at, "`%s` runs on the CPU: %s", s->name, schedule_cpu_reason(cx, sch, s));
      break;
    case MARK_COPY:
      g = diag_report(cx->diags, R_PLACEMENT, at, "`%s` runs on VTA: copied by DMA %s %s", s->name,
                      s->scope == &scope_host ? "to" : "into",
                      s->scope == &scope_host ? "host memory" : s->scope->name);
      if (loc_known(s->mark_loc)) diag_also(g, s->mark_loc, "asked for here");
      break;
    case MARK_ALU:
      g = diag_report(cx->diags, R_PLACEMENT, at, "`%s` runs on VTA: on the ALU, in %s", s->name, s->scope->name);
      if (loc_known(s->mark_loc)) diag_also(g, s->mark_loc, "asked for here");
      break;
    case MARK_TENSORIZE:
      g = diag_report(cx->diags, R_PLACEMENT, at, "`%s` runs on VTA: tensorized to vta.gemm", s->name);
      if (loc_known(s->mark_loc)) diag_also(g, s->mark_loc, "asked for here");
      break;
    }
  }
}

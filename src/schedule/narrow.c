// SPDX-License-Identifier: Apache-2.0
// `buf = stage.cache_write(scope, type)`: the part of what a stage computes whose values are known to be of a narrower
// integer type becomes a stage of that type, and the stage goes on with it: `out = float32(min(x, 127)) * s` becomes
// `buf = int8(min(x, 127))` and `out = float32(int32(buf)) * s`. So what is stored takes a byte, and devices that store
// bytes can compute it.
#include "schedule/internal.h"

#include "lin/lin.h"

typedef struct Narrow {
  DType type;
  Facts facts;
  const TeExpr *part; // the outermost that fits; NULL: none was found
  const TeExpr *next; // another one
  const TeExpr *wide; // an integer that computes, and does not fit
  Interval range;     // of that
} Narrow;

static bool is_access(void *self, const TeExpr *e) {
  (void)self;
  return e->kind == TE_ACCESS;
}

// More than data, widened or not.
static bool computes(const TeExpr *e) {
  bool reads = te_any(e, is_access, NULL);
  while (e->kind == TE_CAST && dtype_bits(e->type) >= dtype_bits(e->a->type)) e = e->a;
  return reads && e->kind != TE_ACCESS;
}

// Looks where e is computed whatever the point: not inside choices.
static void find(Narrow *n, const TeExpr *e) {
  if (e->kind == TE_SELECT || e->type == DT_BOOL) return;
  if (dtype_is_int(e->type) && computes(e)) {
    facts_forget_atoms(&n->facts);
    Interval want = interval_of_type(n->type), r = facts_range_within(&n->facts, e, want);
    if (!interval_is_empty(r) && interval_within(r, want)) {
      if (!n->part) n->part = e;
      else if (!n->next && e != n->part) n->next = e;
      return;
    }
    if (!n->wide) n->wide = e, n->range = r;
  }
  if (e->kind == TE_CAST || e->kind == TE_UNARY || e->kind == TE_BINARY) find(n, e->a);
  if (e->kind == TE_BINARY) find(n, e->b);
  for (int i = 0; e->kind == TE_MATH && i < e->nargs; i++) find(n, e->args[i]);
}

static void tell_nothing(Op *o, const Narrow *n) {
  const char *type = dtype_name(n->type);
  Diag *g = op_fail(o, E_ARGUMENT, op_at(o), "no part of what `%s` computes is known to fit %s", o->stage->name, type);
  diag_also(g, o->stage->body->loc, "this is what it computes");
  if (n->wide && n->range.lo >= INT64_MIN && n->range.hi <= INT64_MAX)
    diag_note(g, "its integers may be %lld..%lld", (long long)n->range.lo, (long long)n->range.hi);
  Interval want = interval_of_type(n->type);
  diag_help(g, "bound them in sight: `clamp(.., %lld, %lld)`", (long long)want.lo, (long long)want.hi);
}

typedef struct Swap {
  const TeExpr *from, *to;
} Swap;

static const TeExpr *swap(void *self, const TeExpr *e) {
  const Swap *w = self;
  return e == w->from ? w->to : e;
}

Stage *stage_cache_write_as(Schedule *sch, Stage *s, const Scope *scope, DType type, Name given, const SchedStmt *why) {
  Op o = {.s = sch, .stage = s, .name = "cache_write", .why = why};
  Ctx *cx = sch->cx;
  if (!op_is_computed(&o) || op_is_recurrent(&o)) return NULL;
  if (s->reduce != TE_NO_REDUCE) {
    op_fail(&o, E_ARGUMENT, op_at(&o),
            "`%s` is a reduction: what is stored in a narrower type is a value of each point", s->name);
    return NULL;
  }
  Narrow n = {.type = type, .facts = te_facts(cx->arena)};
  find(&n, s->body);
  if (!n.part || !te_reads_inside(cx, NULL, n.part)) tell_nothing(&o, &n);
  else if (n.next) {
    Diag *g = op_fail(&o, E_ARGUMENT, op_at(&o), "more than one part of what `%s` computes fits %s", s->name,
                      dtype_name(type));
    diag_also(g, n.part->loc, "this one");
    diag_also(g, n.next->loc, "and this one");
  }
  Name name = o.failed ? NULL : new_stage_name(&o, given, dtype_name(type));
  if (!name) return NULL;
  TeTensor *t = tensor_like(cx, s->tensor, name, n.part->loc);
  const TeExpr *value = expr_replace_axes(cx, n.part, t->naxes, s->tensor->axes, axis_exprs(cx, t));
  t->type = type;
  t->body = te_cast(cx->arena, type, value, n.part->loc);
  Stage *made = stage_new(cx, t);
  made->scope = scope;
  made->scope_loc = op_at(&o);
  packs_copy(cx, s, made);
  const TeExpr *read = te_access(cx->arena, t, axis_exprs(cx, s->tensor), n.part->loc);
  Swap w = {n.part, te_cast(cx->arena, n.part->type, read, n.part->loc)};
  s->body = te_map(cx->arena, s->body, swap, &w);
  stage_insert(sch, made, s->index);
  ScheduleStep *step = op_done(&o);
  step_scope(sch, step, scope);
  step_word(sch, step, dtype_name(type));
  step_result(sch, step, name);
  return made;
}

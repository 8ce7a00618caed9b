// SPDX-License-Identifier: Apache-2.0
// The schedule primitives, one function each, and their table.
#include "schedule/internal.h"

#include <string.h>

static bool is_recurrent(Call *c);

// ---- loops ----------------------------------------------------------------------------------------------------------

// Replaces the leaf at place `at` by `n` others.
static void leaf_splice(Ctx *cx, Stage *s, int at, int removed, int n, Axis *const *with) {
  VEC(Axis *) out = {0};
  for (int i = 0; i < at; i++) VEC_PUSH(cx->arena, out, s->leaf.data[i]);
  for (int i = 0; i < n; i++) VEC_PUSH(cx->arena, out, with[i]);
  for (size_t i = (size_t)(at + removed); i < s->leaf.len; i++) VEC_PUSH(cx->arena, out, s->leaf.data[i]);
  s->leaf.data = out.data;
  s->leaf.len = out.len;
  s->leaf.cap = out.cap;
}

// A new axis made by a relation: among the stage's axes, not yet a leaf.
static Axis *derived_axis(Ctx *cx, Stage *s, Name name, bool reduce, int64_t extent, Relation *r) {
  Axis *a = NEW(cx->arena, Axis);
  *a = (Axis){.name = name, .reduce = reduce, .extent = extent, .loc = r->loc, .made_by = r};
  a->index = (int)s->axes.len;
  VEC_PUSH(cx->arena, s->axes, a);
  return a;
}

// The name of the i-th result: as written, or made from the axis it comes from.
static Name result_name(Call *c, int i, const char *base, const char *suffix) {
  if (i < c->stmt->nresults) return c->stmt->results[i].name;
  return name_of(c->ap->cx->names, arena_printf(c->ap->cx->arena, "%s%s", base, suffix));
}

// Whether a new loop name is free; `skip` may be replaced.
static void check_loop_name(Call *c, Stage *s, Name name, const Axis *skip, const Axis *skip2) {
  const Axis *old = stage_axis(s, name);
  if (old && old != skip && old != skip2)
    call_fail(c, E_DUPLICATE_NAME, c->stmt->loc, "`%s` already has a loop `%s`", s->name, name);
}

static void split_axis(Call *c, Axis *a, int64_t factor, int64_t nparts, Name outer, Name inner) {
  Ctx *cx = c->ap->cx;
  Stage *s = c->stage;
  int64_t size = factor ? factor : (a->extent - 1) / nparts + 1;
  if (size > a->extent) size = a->extent;
  Relation *r = NEW(cx->arena, Relation);
  *r = (Relation){.kind = REL_SPLIT, .parent = a, .factor = factor, .nparts = nparts, .loc = c->stmt->loc};
  r->outer = derived_axis(cx, s, outer, a->reduce, (a->extent - 1) / size + 1, r);
  r->inner = derived_axis(cx, s, inner, a->reduce, size, r);
  a->used_by = r;
  leaf_splice(cx, s, stage_leaf_index(s, a), 1, 2, (Axis *[]){r->outer, r->inner});
}

// An annotated axis has its loop kind fixed: it cannot be split or fused any more.
static bool axis_is_free(Call *c, const Axis *a) {
  if (a->carried) return is_recurrent(c), false;
  if (a->kind == FOR_SERIAL) return true;
  Diag *g = diag_report(c->ap->cx->diags, E_ANNOTATION, c->stmt->loc, "axis `%s` cannot be changed: it is annotated",
                        a->name);
  diag_also(g, a->kind_loc, "annotated here");
  diag_help(g, "split and fuse first, annotate the resulting axes afterwards");
  c->failed = true;
  return false;
}

// Notes the number that cuts an axis: its place, once, however often the statement is repeated.
static void note_cut(Call *c, const SchedArg *arg, const Axis *a, int64_t value, bool parts) {
  Schedule *s = c->ap->s;
  AxisCut cut = {.at = arg->value->loc, .stage = c->stage->name, .axis = a->name, .value = value, .extent = a->extent, .parts = parts};
  for (size_t i = 0; i < s->knobs.len && arg->value->kind == AST_NAME; i++) {
    const Knob *k = &s->knobs.data[i];
    if (k->name == arg->value->name) cut.at = k->value_loc, cut.knob = k->name, cut.nset = k->nset, cut.set = k->set;
  }
  for (size_t i = 0; i < s->cuts.len; i++) {
    Loc other = s->cuts.data[i].at;
    if (other.src == cut.at.src && other.line == cut.at.line && other.col == cut.at.col) return;
  }
  if (loc_known(cut.at)) VEC_PUSH(c->ap->cx->arena, s->cuts, cut);
}

static void apply_split(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *factor = call_key(c, "factor"), *nparts = call_key(c, "nparts");
  if (!factor && !nparts) factor = call_arg(c, 1);
  if (!factor == !nparts) {
    call_fail(c, E_ARGUMENT, c->stmt->loc, "`split` needs either `factor = n` or `nparts = n`");
    return;
  }
  int64_t f = factor ? call_int(c, factor) : 0, n = nparts ? call_int(c, nparts) : 0;
  if (c->failed || !axis_is_free(c, a)) return;
  Name outer = result_name(c, 0, a->name, "_outer"), inner = result_name(c, 1, a->name, "_inner");
  check_loop_name(c, c->stage, outer, a, NULL);
  check_loop_name(c, c->stage, inner, a, NULL);
  if (outer == inner) call_fail(c, E_DUPLICATE_NAME, c->stmt->loc, "both results are named `%s`", outer);
  if (c->failed) return;
  note_cut(c, factor ? factor : nparts, a, factor ? f : n, !factor);
  split_axis(c, a, f, n, outer, inner);
}

static void apply_tile(Call *c) {
  Axis *a = call_axis(c, 0, c->stage), *b = call_axis(c, 1, c->stage);
  const SchedArg *fa = call_arg(c, 2), *fb = call_arg(c, 3);
  if (call_key(c, "x_factor")) fa = call_key(c, "x_factor");
  if (call_key(c, "y_factor")) fb = call_key(c, "y_factor");
  if (!fa || !fb) {
    call_fail(c, E_ARGUMENT, c->stmt->loc, "`tile` takes two axes and two factors");
    return;
  }
  int64_t na = call_int(c, fa), nb = call_int(c, fb);
  if (c->failed || !axis_is_free(c, a) || !axis_is_free(c, b)) return;
  if (a == b) {
    call_fail(c, E_ARGUMENT, c->stmt->loc, "`tile` needs two different axes");
    return;
  }
  Name r[4] = {result_name(c, 0, a->name, "_outer"), result_name(c, 1, b->name, "_outer"),
               result_name(c, 2, a->name, "_inner"), result_name(c, 3, b->name, "_inner")};
  for (int i = 0; i < 4; i++) {
    check_loop_name(c, c->stage, r[i], a, b);
    for (int j = 0; j < i; j++)
      if (r[i] == r[j]) call_fail(c, E_DUPLICATE_NAME, c->stmt->loc, "two results are named `%s`", r[i]);
  }
  if (c->failed) return;
  int at = stage_leaf_index(c->stage, a), bt = stage_leaf_index(c->stage, b);
  note_cut(c, fa, a, na, false);
  note_cut(c, fb, b, nb, false);
  split_axis(c, a, na, 0, r[0], r[2]);
  split_axis(c, b, nb, 0, r[1], r[3]);
  // The four loops stand together, where the first of the two axes stood.
  Stage *s = c->stage;
  Axis *order[4] = {a->used_by->outer, b->used_by->outer, a->used_by->inner, b->used_by->inner};
  VEC(Axis *) out = {0};
  int first = at < bt ? at : bt, place = 0;
  for (size_t i = 0; i < s->leaf.len; i++) {
    if (place == first)
      for (int k = 0; k < 4; k++) VEC_PUSH(c->ap->cx->arena, out, order[k]);
    Axis *l = s->leaf.data[i];
    bool mine = l == order[0] || l == order[1] || l == order[2] || l == order[3];
    if (!mine) VEC_PUSH(c->ap->cx->arena, out, l);
    place++;
  }
  memcpy(s->leaf.data, out.data, s->leaf.len * sizeof *out.data);
  stage_note_order(c);
}

// `stage.reorder(...)` that puts the second axis directly inside the first; the loops between and around keep their order.
static const char *neighbours_text(Call *c, const Axis *a, const Axis *b) {
  const Stage *s = c->stage;
  int at = stage_leaf_index(s, a), bt = stage_leaf_index(s, b), first = at < bt ? at : bt, last = at < bt ? bt : at;
  Text t = {.arena = c->ap->cx->arena};
  text_add(&t, "%s.reorder(%s, %s", c->stmt->receiver.name, a->name, b->name);
  for (int i = first; i <= last; i++)
    if (i != at && i != bt) text_add(&t, ", %s", s->leaf.data[i]->name);
  text_add(&t, ")");
  return t.data;
}

static void fail_apart(Call *c, Axis *a, Axis *b) {
  Stage *s = c->stage;
  Diag *g = call_fail(c, E_AXIS, c->stmt->loc, "`%s` and `%s` are not neighbours", a->name, b->name);
  diag_note(g, "`fuse(outer, inner)` needs the inner loop directly inside the outer one");
  if (a->reduce && stage_keeps_order_of_floats(s) && !stage_order_allows(c->ap->cx, s, a, b)) {
    diag_note(g, "to bring `%s` directly inside `%s` would change the order of a float reduction", b->name, a->name);
    if (stage_leaf_index(s, a) == stage_leaf_index(s, b) + 1) {
      const char *swapped = arena_printf(c->ap->cx->arena, "%s.fuse(%s, %s)", c->stmt->receiver.name, b->name, a->name);
      diag_help(g, "`%s` is the outer of the two: `%s;`", b->name, swapped);
    } else diag_help(g, "leave them apart");
    return;
  }
  Loc before = c->stmt->loc;
  before.end_line = before.line, before.end_col = before.col;
  const char *reorder = neighbours_text(c, a, b);
  diag_fix(g, before, arena_printf(c->ap->cx->arena, "%s; ", reorder), "reorder the axes first: `%s;`", reorder);
}

static void apply_fuse(Call *c) {
  Axis *a = call_axis(c, 0, c->stage), *b = call_axis(c, 1, c->stage);
  if (c->failed || !axis_is_free(c, a) || !axis_is_free(c, b)) return;
  Stage *s = c->stage;
  int at = stage_leaf_index(s, a);
  int64_t extent;
  if (a == b) {
    call_fail(c, E_ARGUMENT, c->stmt->loc, "`fuse` needs two different axes");
  } else if (a->reduce != b->reduce) {
    Diag *g = call_fail(c, E_AXIS, c->stmt->loc, "`%s` is a %s axis and `%s` is not: they cannot be fused",
                        a->reduce ? a->name : b->name, "reduction", a->reduce ? b->name : a->name);
    diag_help(g, "fuse two axes of the result, or two of the reduction");
  } else if (!mul_ok(a->extent, b->extent, &extent)) {
    diag_help(call_fail(c, E_EXTENT, c->stmt->loc, "the fused extent of `%s` and `%s` overflows", a->name, b->name), "leave them apart");
  } else if (stage_leaf_index(s, b) != at + 1) {
    fail_apart(c, a, b);
  } else {
    Name name = result_name(c, 0, a->name, arena_printf(c->ap->cx->arena, "_%s", b->name));
    check_loop_name(c, s, name, a, b);
    if (c->failed) return;
    Relation *r = NEW(c->ap->cx->arena, Relation);
    *r = (Relation){.kind = REL_FUSE, .outer = a, .inner = b, .loc = c->stmt->loc};
    r->parent = derived_axis(c->ap->cx, s, name, a->reduce, extent, r);
    a->used_by = b->used_by = r;
    leaf_splice(c->ap->cx, s, at, 2, 1, &r->parent);
  }
}

// Whether a new order of loops changes the order in which a recurrence steps.
static bool moves_carried(Call *c, int n, Axis *const *order) {
  int last = -1;
  for (int i = 0; i < n; i++) {
    if (!order[i]->carried) continue;
    if (c->stage->tensor->leading) return is_recurrent(c);
    int at = stage_leaf_index(c->stage, order[i]);
    if (at < last) return is_recurrent(c);
    last = at;
  }
  return false;
}

// The named loops take, in the order given, the places that they hold together.
static void apply_reorder(Call *c) {
  Stage *s = c->stage;
  int n = c->stmt->nargs;
  Axis **order = NEW_ARRAY(c->ap->cx->arena, Axis *, n);
  bool *taken = NEW_ARRAY(c->ap->cx->arena, bool, s->leaf.len);
  for (int i = 0; i < n; i++) {
    order[i] = call_axis(c, i, s);
    int at = order[i] ? stage_leaf_index(s, order[i]) : -1;
    if (at < 0) continue;
    if (taken[at])
      diag_help(call_fail(c, E_REORDER, c->stmt->args[i].loc, "axis `%s` is named twice", order[i]->name), "name each axis once");
    taken[at] = true;
  }
  if (c->failed || moves_carried(c, n, order)) return;
  int next = 0;
  for (size_t i = 0; i < s->leaf.len; i++)
    if (taken[i]) s->leaf.data[i] = order[next++];
  stage_note_order(c);
}

static bool refuse_reduction(Call *c, const Axis *a) {
  if (!a->reduce) return false;
  Diag *g = diag_report(c->ap->cx->diags, E_PARALLEL, c->stmt->loc, "`%s` is a reduction axis: its iterations cannot run in parallel",
                        a->name);
  diag_note(g, "every iteration adds to the same elements of `%s`", c->stage->name);
  diag_help(g, "run an axis of the result in parallel");
  c->failed = true;
  return true;
}

static void annotate(Call *c, Axis *a, ForKind kind) {
  if (c->failed || !a) return;
  if (a->carried && kind != FOR_UNROLLED && is_recurrent(c)) return;
  Ctx *cx = c->ap->cx;
  if (a->kind != FOR_SERIAL && a->kind != kind) {
    Diag *g = diag_report(cx->diags, E_ANNOTATION, c->stmt->loc, "axis `%s` already has another annotation", a->name);
    diag_also(g, a->kind_loc, "annotated here");
    diag_guess_drop(g, c->stmt->loc, "drop one of the two");
    c->failed = true;
    return;
  }
  if ((kind == FOR_PARALLEL || kind == FOR_VTHREAD) && refuse_reduction(c, a)) return;
  if (a->reduce && kind == FOR_VECTORIZED && stage_keeps_order_of_floats(c->stage)) {
    Diag *g = diag_report(cx->diags, W_NO_EFFECT, c->stmt->loc, "this has no effect: `%s` is a reduction axis of floats", a->name);
    diag_note(g, "lanes would take the points of `%s` in another order, which changes the result", c->stage->name);
    diag_fix_drop(g, c->stmt->loc, "drop it: axes of the result can be vectorized");
    return;
  }
  a->kind = kind;
  a->kind_loc = c->stmt->loc;
}

static void apply_unroll(Call *c) { annotate(c, call_axis(c, 0, c->stage), FOR_UNROLLED); }
static void apply_vectorize(Call *c) { annotate(c, call_axis(c, 0, c->stage), FOR_VECTORIZED); }
static void apply_parallel(Call *c) { annotate(c, call_axis(c, 0, c->stage), FOR_PARALLEL); }

static void apply_bind(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *t = call_arg(c, 1);
  if (c->failed) return;
  if (!t || t->value->kind != AST_NAME || strcmp(t->value->name, "cthread") != 0) {
    call_fail(c, E_ARGUMENT, t ? t->loc : c->stmt->loc, "`bind` knows one kind of thread: `cthread`");
    return;
  }
  if (refuse_reduction(c, a)) return;
  if (a->extent > 8) {
    Diag *g = call_fail(c, E_ANNOTATION, c->stmt->loc, "axis `%s` has extent %lld: at most 8 virtual threads are interleaved",
                        a->name, (long long)a->extent);
    diag_help(g, "split it first, and bind the outer part: `%s0, %s1 = %s.split(%s, nparts = 2);  %s.bind(%s0, cthread);`", a->name,
              a->name, c->stage->name, a->name, c->stage->name, a->name);
    return;
  }
  annotate(c, a, FOR_VTHREAD);
}

// ---- where a stage is computed -------------------------------------------------------------------------------------

// A stage that reads itself, or others that read it, is made in its own order and place.
static bool is_recurrent(Call *c) {
  if (!c->stage->tensor->circle) return false;
  Diag *g = call_fail(c, E_RECURRENT, c->stmt->loc, "`%s` cannot be asked of `%s`, which is computed from its earlier elements", c->stmt->method.name,
                      c->stage->name);
  diag_help(g, "leave it where and as it is; a stage that reads it may be scheduled");
  return true;
}

static bool is_computed(Call *c) {
  TeRole role = c->stage->tensor->role;
  if (role != TE_INPUT && role != TE_CONSTANT) return true;
  call_fail(c, E_ARGUMENT, c->stmt->loc, "`%s` is %s: `%s` needs a computed stage", c->stage->name, role == TE_INPUT ? "an input" : "a constant",
            c->stmt->method.name);
  return false;
}

// Decides where the stage is computed; an earlier decision is told to be void.
static void place(Call *c, Attach attach, Stage *at, Axis *axis) {
  Stage *s = c->stage;
  if (loc_known(s->attach_loc)) {
    Diag *g = diag_report(c->ap->cx->diags, W_NO_EFFECT, s->attach_loc, "this has no effect: where `%s` is computed is said again later", s->name);
    diag_also(g, c->stmt->loc, "this counts");
    diag_fix_drop(g, s->attach_loc, "drop the earlier one");
  }
  s->attach = attach;
  s->at_stage = at;
  s->at_axis = axis;
  s->attach_loc = c->stmt->loc;
}

static void apply_compute_at(Call *c) {
  Stage *at = call_stage(c, 0);
  Axis *a = call_axis(c, 1, at);
  if (c->failed || !is_computed(c) || is_recurrent(c)) return;
  if (at == c->stage) {
    diag_help(call_fail(c, E_COMPUTE_AT, c->stmt->loc, "`%s` cannot be computed at itself", at->name), "name the stage that reads it");
    return;
  }
  place(c, ATTACH_AT, at, a);
}

static void apply_compute_root(Call *c) {
  if (is_computed(c) && !is_recurrent(c)) place(c, ATTACH_ROOT, NULL, NULL);
}

static void apply_compute_inline(Call *c) {
  if (!is_computed(c) || is_recurrent(c)) return;
  const char *why = NULL;
  if (c->stage->tensor->role == TE_OUTPUT) why = "it is an output";
  else if (c->stage->reduce != TE_NO_REDUCE) why = "it reduces";
  if (why) {
    Diag *g = diag_report(c->ap->cx->diags, E_INLINE, c->stmt->loc, "`%s` cannot be inlined: %s", c->stage->name, why);
    diag_help(g, "compute it where it is used: `%s.compute_at(consumer, axis);`", c->stage->name);
    diag_fix_drop(g, c->stmt->loc, "or by itself: without this line");
    c->failed = true;
    return;
  }
  place(c, ATTACH_INLINE, NULL, NULL);
}

static void apply_set_scope(Call *c) {
  const Scope *s = call_scope(c, 0);
  if (c->failed || is_recurrent(c)) return;
  if (c->stage->tensor->role != TE_COMPUTE) {
    bool in = c->stage->tensor->role != TE_OUTPUT;
    const char *what = c->stage->tensor->role == TE_INPUT ? "an input" : in ? "a constant" : "an output";
    Diag *g = diag_report(c->ap->cx->diags, E_SCOPE, c->stmt->loc, "`%s` is %s: it stays in host memory", c->stage->name, what);
    Name name = c->stage->name;
    Arena *m = c->ap->cx->arena;
    const char *buf = source_fresh_name(m, c->stmt->loc.src, arena_printf(m, "%s_buf", name));
    const char *copied = in ? buf : name;
    const char *line = arena_printf(m, "%s = %s.cache_%s(%s); %s.dma_copy()", buf, name, in ? "read" : "write", s->name, copied);
    diag_fix(g, c->stmt->loc, line, in ? "read it into %s: `%s;`" : "write it through %s: `%s;`", s->name, line);
    c->failed = true;
    return;
  }
  c->stage->scope = s;
  c->stage->scope_loc = c->stmt->loc;
}

static bool stage_reads(const Stage *s, const TeTensor *t) {
  return (s->body && expr_reads(s->body, t)) || (s->where && expr_reads(s->where, t));
}

// A stage that copies this one (or this input) into a scope; its readers, all or those named, read the copy.
static void apply_cache_read(Call *c) {
  Applier *ap = c->ap;
  Ctx *cx = ap->cx;
  const Scope *scope = call_scope(c, 0);
  VEC(Stage *) readers = {0};
  for (int i = 1; call_arg(c, i); i++) {
    Stage *r = call_stage(c, i);
    if (r) VEC_PUSH(cx->arena, readers, r);
    if (r && !stage_reads(r, c->stage->tensor))
      call_fail(c, E_ARGUMENT, call_arg(c, i)->loc, "`%s` does not read `%s`", r->name, c->stage->name);
  }
  if (!c->failed && is_recurrent(c)) return;
  if (c->failed) return;
  if (!call_arg(c, 1))
    for (size_t i = 0; i < ap->s->stages.len; i++) {
      Stage *r = ap->s->stages.data[i];
      if (stage_reads(r, c->stage->tensor)) VEC_PUSH(cx->arena, readers, r);
    }
  if (!readers.len) {
    Diag *g = diag_report(cx->diags, E_ARGUMENT, c->stmt->loc, "nothing reads `%s`", c->stage->name);
    diag_also(g, c->stage->tensor->loc, "declared here");
    diag_help(g, "let a stage read `%s`, or drop this statement and what is asked of its copy", c->stage->name);
    c->failed = true;
    return;
  }
  Name name = c->stmt->nresults ? c->stmt->results[0].name
                                : fresh_stage_name(ap, arena_printf(cx->arena, "%s_buf", c->stage->name));
  TeTensor *t = tensor_like(cx, c->stage->tensor, name, c->stmt->loc);
  t->body = te_access(cx->arena, c->stage->tensor, axis_exprs(cx, t), c->stmt->loc);
  Stage *s = stage_new(cx, t);
  s->scope = scope;
  s->scope_loc = c->stmt->loc;
  for (size_t i = 0; i < readers.len; i++) {
    Stage *r = readers.data[i];
    r->body = expr_replace_tensor(cx, r->body, c->stage->tensor, t);
    if (r->where) r->where = expr_replace_tensor(cx, r->where, c->stage->tensor, t);
  }
  stage_insert(cx, ap->s, s, c->stage->index + 1);
  applier_bind(ap, name, s);
}

// A stage in a scope that computes what this one computed; this one becomes a copy of it. Where the value is a cast
// from the scope's own type, the cast stays with the copy: `out = int8(x)` through vta.acc keeps int32 there.
static void apply_cache_write(Call *c) {
  Applier *ap = c->ap;
  Ctx *cx = ap->cx;
  Stage *s = c->stage;
  const Scope *scope = call_scope(c, 0);
  if (c->failed || !is_computed(c) || is_recurrent(c)) return;
  for (int i = 0; i < s->nrroot; i++)
    if (s->rroot[i]->used_by || s->rroot[i]->kind != FOR_SERIAL) {
      call_fail(c, E_ARGUMENT, c->stmt->loc, "`cache_write` must come before the reduction axes of `%s` are scheduled", s->name);
      return;
    }
  Name name = c->stmt->nresults ? c->stmt->results[0].name
                                : fresh_stage_name(ap, arena_printf(cx->arena, "%s_buf", s->name));
  TeTensor *t = tensor_like(cx, s->tensor, name, s->tensor->loc);
  t->reduce = s->reduce;
  t->nraxes = s->nrroot;
  t->raxes = s->tensor->raxes;
  bool casts = scope != &scope_host && s->reduce == TE_NO_REDUCE && s->body->kind == TE_CAST && s->body->a->type == scope->type;
  const TeExpr *value = casts ? s->body->a : s->body;
  t->type = value->type;
  t->body = expr_replace_axes(cx, value, t->naxes, s->tensor->axes, axis_exprs(cx, t));
  if (s->where) t->where = expr_replace_axes(cx, s->where, t->naxes, s->tensor->axes, axis_exprs(cx, t));
  Stage *n = stage_new(cx, t);
  n->scope = scope;
  n->scope_loc = c->stmt->loc;
  const TeExpr *copy = te_access(cx->arena, t, axis_exprs(cx, s->tensor), value->loc);
  s->body = casts ? te_cast(cx->arena, s->tensor->type, copy, s->body->loc) : copy;
  s->reduce = TE_NO_REDUCE;
  s->where = NULL;
  s->nrroot = 0;
  size_t kept = 0;
  for (size_t i = 0; i < s->leaf.len; i++)
    if (!s->leaf.data[i]->reduce) s->leaf.data[kept++] = s->leaf.data[i];
  s->leaf.len = kept;
  stage_insert(cx, ap->s, n, s->index);
  applier_bind(ap, name, n);
}

// ---- marks: what becomes accelerator instructions ------------------------------------------------------------------

static void mark(Call *c, Mark m, const char *region, Axis *a, const char *needs) {
  if (c->failed || !is_computed(c) || is_recurrent(c)) return;
  const TirTarget *t = c->ap->opt->target;
  const Intrin *op = t ? tir_intrin(t, region) : NULL;
  if (!op) {
    Diag *g = diag_report(c->ap->cx->diags, E_TARGET, c->stmt->loc, "`%s` needs an accelerator", needs);
    diag_fix_head(g, c->stmt->loc.src, "target vta;", "name it at the head of the file: `target vta;`");
    c->failed = true;
    return;
  }
  if (c->stage->mark != MARK_NONE && c->stage->mark != m) {
    Diag *g = diag_report(c->ap->cx->diags, E_ANNOTATION, c->stmt->loc, "`%s` is already lowered another way",
                          c->stage->name);
    diag_also(g, c->stage->mark_loc, "asked for here");
    diag_guess_drop(g, c->stmt->loc, "drop one of the two");
    c->failed = true;
    return;
  }
  if (c->stage->mark == m) {
    Diag *g = diag_report(c->ap->cx->diags, W_NO_EFFECT, c->stage->mark_loc, "this has no effect: it is said again for `%s` later", c->stage->name);
    diag_also(g, c->stmt->loc, "this counts");
    diag_fix_drop(g, c->stage->mark_loc, "drop the earlier one");
  }
  c->stage->mark = m;
  c->stage->mark_axis = a;
  c->stage->mark_loc = c->stmt->loc;
  c->stage->intrin = op;
}

static void apply_dma_copy(Call *c) {
  mark(c, MARK_COPY, "vta.dma_copy", call_arg(c, 0) ? call_axis(c, 0, c->stage) : NULL, "dma_copy");
}
static void apply_alu(Call *c) {
  mark(c, MARK_ALU, "vta.alu", call_arg(c, 0) ? call_axis(c, 0, c->stage) : NULL, "alu");
}

static void apply_tensorize(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *i = call_arg(c, 1);
  if (c->failed) return;
  const char *name = i && i->value->kind == AST_NAME ? i->value->name : "";
  if (strcmp(name, "vta.gemm") != 0) {
    Diag *g = diag_report(c->ap->cx->diags, E_INTRINSIC, i ? i->loc : c->stmt->loc, "there is no intrinsic `%s`", name);
    diag_note(g, "the intrinsics are: vta.gemm");
    if (i) diag_guess(g, i->loc, "vta.gemm", "there is this one");
    c->failed = true;
    return;
  }
  mark(c, MARK_TENSORIZE, "vta.tensorize", a, "tensorize");
}

// pragma(axis, name): TVM's spelling of the annotations.
static void apply_pragma(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *n = call_arg(c, 1);
  if (c->failed) return;
  const char *name = n && (n->value->kind == AST_NAME || n->value->kind == AST_STRING) ? n->value->name : "";
  if (strcmp(name, "dma_copy") == 0) mark(c, MARK_COPY, "vta.dma_copy", a, "dma_copy");
  else if (strcmp(name, "alu") == 0) mark(c, MARK_ALU, "vta.alu", a, "alu");
  else if (strcmp(name, "unroll") == 0) annotate(c, a, FOR_UNROLLED);
  else if (strcmp(name, "vectorize") == 0) annotate(c, a, FOR_VECTORIZED);
  else if (strcmp(name, "parallel") == 0) annotate(c, a, FOR_PARALLEL);
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

static void apply_legalize(Call *c) {
  if (is_computed(c)) stage_legalize_epilogue(c->ap, c->stage, c->stmt->loc, true);
}

const Primitive primitive_table[] = {
    {"split", 2, 2, "factor nparts", 2, "outer, inner = stage.split(axis, factor = n | nparts = n)", apply_split},
    {"tile", 4, 4, "x_factor y_factor", 4, "xo, yo, xi, yi = stage.tile(x, y, n, m)", apply_tile},
    {"fuse", 2, 2, "", 1, "fused = stage.fuse(outer, inner)", apply_fuse},
    {"reorder", 1, -1, "", 0, "stage.reorder(axis, ...)", apply_reorder},
    {"compute_at", 2, 2, "", 0, "stage.compute_at(consumer, axis)", apply_compute_at},
    {"compute_root", 0, 0, "", 0, "stage.compute_root()", apply_compute_root},
    {"compute_inline", 0, 0, "", 0, "stage.compute_inline()", apply_compute_inline},
    {"cache_read", 1, -1, "", 1, "copy = stage.cache_read(scope, reader, ...)", apply_cache_read},
    {"cache_write", 1, 1, "", 1, "copy = stage.cache_write(scope)", apply_cache_write},
    {"set_scope", 1, 1, "", 0, "stage.set_scope(scope)", apply_set_scope},
    {"tensorize", 2, 2, "", 0, "stage.tensorize(axis, vta.gemm)", apply_tensorize},
    {"bind", 2, 2, "", 0, "stage.bind(axis, cthread)", apply_bind},
    {"unroll", 1, 1, "", 0, "stage.unroll(axis)", apply_unroll},
    {"vectorize", 1, 1, "", 0, "stage.vectorize(axis)", apply_vectorize},
    {"parallel", 1, 1, "", 0, "stage.parallel(axis)", apply_parallel},
    {"pragma", 2, 2, "", 0, "stage.pragma(axis, name)", apply_pragma},
    {"dma_copy", 0, 1, "", 0, "stage.dma_copy(axis)", apply_dma_copy},
    {"alu", 0, 1, "", 0, "stage.alu(axis)", apply_alu},
    {"legalize_epilogue", 0, 0, "", 0, "stage.legalize_epilogue()", apply_legalize},
};
const int primitive_count = (int)(sizeof primitive_table / sizeof primitive_table[0]);

// SPDX-License-Identifier: Apache-2.0
// Operations on the loops of a stage, each with the primitive that gives it its arguments from a text: cutting, joining
// and ordering loops, and how they run.
#include "schedule/internal.h"

#include <string.h>

// Replaces the leaf at place `at` by `n` others.
void leaf_splice(Ctx *cx, Stage *s, int at, int removed, int n, Axis *const *with) {
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

// The name of the i-th new loop: as given, or `base` with something behind it that no loop of the stage has.
Name loop_name(const Op *o, const Name *names, int i, const char *base) {
  Ctx *cx = o->s->cx;
  if (names) return names[i];
  Name n = name_of(cx->names, base);
  for (int k = 2; stage_axis(o->stage, n); k++) n = name_of(cx->names, arena_printf(cx->arena, "%s_%d", base, k));
  return n;
}

// Whether a new loop name is free; `skip` may be replaced.
void check_loop_name(Op *o, Name name, const Axis *skip, const Axis *skip2) {
  const Axis *old = stage_axis(o->stage, name);
  if (old && old != skip && old != skip2)
    op_fail(o, E_DUPLICATE_NAME, op_at(o), "`%s` already has a loop `%s`", o->stage->name, name);
}

static Relation *split_axis(Op *o, Axis *a, int64_t factor, int64_t nparts, Name outer, Name inner) {
  Ctx *cx = o->s->cx;
  Stage *s = o->stage;
  int64_t size = factor ? factor : (a->extent - 1) / nparts + 1;
  if (size > a->extent) size = a->extent;
  Relation *r = NEW(cx->arena, Relation);
  *r = (Relation){.kind = REL_SPLIT, .parent = a, .factor = factor, .nparts = nparts, .loc = op_at(o)};
  r->outer = derived_axis(cx, s, outer, a->reduce, (a->extent - 1) / size + 1, r);
  r->inner = derived_axis(cx, s, inner, a->reduce, size, r);
  a->used_by = r;
  leaf_splice(cx, s, stage_leaf_index(s, a), 1, 2, (Axis *[]){r->outer, r->inner});
  return r;
}

// An annotated axis has its loop kind fixed: it cannot be split or fused any more.
bool axis_is_free(Op *o, const Axis *a) {
  if (a->shared) return op_is_recurrent(o), false;
  if (a->kind == FOR_SERIAL) return true;
  Diag *g = op_fail(o, E_ANNOTATION, op_at(o), "axis `%s` cannot be changed: it is annotated", a->name);
  diag_also(g, a->kind_loc, "annotated here");
  diag_help(g, "split and fuse first, annotate the resulting axes afterwards");
  return false;
}

// ---- split ----------------------------------------------------------------------------------------------------------

const Relation *stage_split(Schedule *s, Stage *st, Axis *a, int64_t factor, int64_t nparts, const Name *names,
                            const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "split", .why = why};
  if (!op_is_loop(&o, st, a) || !axis_is_free(&o, a)) return NULL;
  if (factor < 0 || nparts < 0 || !factor == !nparts) {
    op_fail(&o, E_ARGUMENT, op_at(&o), "`split` needs either `factor = n` or `nparts = n`");
    return NULL;
  }
  Name outer = loop_name(&o, names, 0, arena_printf(s->cx->arena, "%s_outer", a->name));
  Name inner = loop_name(&o, names, 1, arena_printf(s->cx->arena, "%s_inner", a->name));
  check_loop_name(&o, outer, a, NULL);
  check_loop_name(&o, inner, a, NULL);
  if (outer == inner) op_fail(&o, E_DUPLICATE_NAME, op_at(&o), "both results are named `%s`", outer);
  if (o.failed) return NULL;
  const Relation *r = split_axis(&o, a, factor, nparts, outer, inner);
  ScheduleStep *step = op_done(&o);
  step_axis(s, step, a);
  step_number(s, step, factor ? "factor" : "nparts", factor ? factor : nparts);
  step_result(s, step, outer);
  step_result(s, step, inner);
  if (st->circle) stage_note_order(&o, step);
  return r;
}

// The name of the i-th result: as written, or made from the axis it comes from.
Name result_name(Call *c, int i, const char *base, const char *suffix) {
  if (i < c->stmt->nresults) return c->stmt->results[i].name;
  return name_of(c->ap->cx->names, arena_printf(c->ap->cx->arena, "%s%s", base, suffix));
}

// Notes the number that cuts an axis: its place, once, however often the statement is repeated.
static void note_cut(Call *c, const SchedArg *arg, const Axis *a, int64_t value, bool parts) {
  Schedule *s = c->ap->s;
  AxisCut cut = {.at = arg->value->loc,
                 .stage = c->stage->name,
                 .axis = a->name,
                 .value = value,
                 .extent = a->extent,
                 .parts = parts};
  for (size_t i = 0; i < s->knobs.len && arg->value->kind == AST_NAME && !arg->free; i++) {
    const Knob *k = &s->knobs.data[i];
    if (k->name == arg->value->name) cut.at = k->value_loc, cut.knob = k->name, cut.nset = k->nset, cut.set = k->set;
  }
  for (size_t i = 0; i < s->cuts.len; i++) {
    Loc other = s->cuts.data[i].at;
    if (other.src == cut.at.src && other.line == cut.at.line && other.col == cut.at.col) return;
  }
  if (loc_known(cut.at)) VEC_PUSH(c->ap->cx->arena, s->cuts, cut);
}

void apply_split(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *factor = call_key(c, "factor"), *nparts = call_key(c, "nparts");
  if (!factor && !nparts) factor = call_arg(c, 1);
  if (!factor == !nparts) {
    call_fail(c, E_ARGUMENT, c->stmt->loc, "`split` needs either `factor = n` or `nparts = n`");
    return;
  }
  int64_t f = factor ? call_int(c, factor) : 0, n = nparts ? call_int(c, nparts) : 0;
  if (c->failed) return;
  Name names[] = {result_name(c, 0, a->name, "_outer"), result_name(c, 1, a->name, "_inner")};
  c->failed = !stage_split(c->ap->s, c->stage, a, f, n, names, c->stmt);
  if (!c->failed) note_cut(c, factor ? factor : nparts, a, factor ? f : n, !factor);
}

// ---- tile -----------------------------------------------------------------------------------------------------------

// The four loops stand together, where the first of the two axes stood.
static void gather_tile(Ctx *cx, Stage *s, int first, Axis *const *order) {
  VEC(Axis *) out = {0};
  for (size_t i = 0; i < s->leaf.len; i++) {
    if ((int)i == first)
      for (int k = 0; k < 4; k++) VEC_PUSH(cx->arena, out, order[k]);
    Axis *l = s->leaf.data[i];
    bool mine = l == order[0] || l == order[1] || l == order[2] || l == order[3];
    if (!mine) VEC_PUSH(cx->arena, out, l);
  }
  memcpy(s->leaf.data, out.data, s->leaf.len * sizeof *out.data);
}

static bool check_tile_names(Op *o, const Axis *a, const Axis *b, const Name *r) {
  for (int i = 0; i < 4; i++) {
    check_loop_name(o, r[i], a, b);
    for (int j = 0; j < i; j++)
      if (r[i] == r[j]) op_fail(o, E_DUPLICATE_NAME, op_at(o), "two results are named `%s`", r[i]);
  }
  return !o->failed;
}

bool stage_tile(Schedule *s, Stage *st, Axis *a, Axis *b, int64_t na, int64_t nb, const Name *names, Axis *out[4],
                const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "tile", .why = why};
  if (!op_is_loop(&o, st, a) || !op_is_loop(&o, st, b) || !axis_is_free(&o, a) || !axis_is_free(&o, b)) return false;
  if (a == b || na <= 0 || nb <= 0) {
    op_fail(&o, E_ARGUMENT, op_at(&o),
            a == b ? "`tile` needs two different axes" : "`tile` takes two axes and two factors");
    return false;
  }
  Name r[4];
  for (int i = 0; i < 4; i++) {
    const char *base = (i % 2 ? b : a)->name;
    r[i] = loop_name(&o, names, i, arena_printf(s->cx->arena, i < 2 ? "%s_outer" : "%s_inner", base));
  }
  if (!check_tile_names(&o, a, b, r)) return false;
  int at = stage_leaf_index(st, a), bt = stage_leaf_index(st, b);
  const Relation *ra = split_axis(&o, a, na, 0, r[0], r[2]), *rb = split_axis(&o, b, nb, 0, r[1], r[3]);
  Axis *order[4] = {ra->outer, rb->outer, ra->inner, rb->inner};
  gather_tile(s->cx, st, at < bt ? at : bt, order);
  if (out) memcpy(out, order, sizeof order);
  ScheduleStep *step = op_done(&o);
  step_axis(s, step, a);
  step_axis(s, step, b);
  step_number(s, step, NULL, na);
  step_number(s, step, NULL, nb);
  for (int i = 0; i < 4; i++) step_result(s, step, r[i]);
  stage_note_order(&o, step);
  return true;
}

void apply_tile(Call *c) {
  Axis *a = call_axis(c, 0, c->stage), *b = call_axis(c, 1, c->stage);
  const SchedArg *fa = call_arg(c, 2), *fb = call_arg(c, 3);
  if (call_key(c, "x_factor")) fa = call_key(c, "x_factor");
  if (call_key(c, "y_factor")) fb = call_key(c, "y_factor");
  if (!fa || !fb) {
    call_fail(c, E_ARGUMENT, c->stmt->loc, "`tile` takes two axes and two factors");
    return;
  }
  int64_t na = call_int(c, fa), nb = call_int(c, fb);
  if (c->failed) return;
  Name r[4] = {result_name(c, 0, a->name, "_outer"), result_name(c, 1, b->name, "_outer"),
               result_name(c, 2, a->name, "_inner"), result_name(c, 3, b->name, "_inner")};
  c->failed = !stage_tile(c->ap->s, c->stage, a, b, na, nb, r, NULL, c->stmt);
  if (c->failed) return;
  note_cut(c, fa, a, na, false);
  note_cut(c, fb, b, nb, false);
}

// ---- fuse -----------------------------------------------------------------------------------------------------------

// `stage.reorder(...)` that puts the second axis directly inside the first; the loops between and around keep their
// order.
static const char *neighbours_text(const Op *o, const Axis *a, const Axis *b) {
  const Stage *s = o->stage;
  int at = stage_leaf_index(s, a), bt = stage_leaf_index(s, b), first = at < bt ? at : bt, last = at < bt ? bt : at;
  Text t = {.arena = o->s->cx->arena};
  text_add(&t, "%s.reorder(%s, %s", op_receiver(o), a->name, b->name);
  for (int i = first; i <= last; i++)
    if (i != at && i != bt) text_add(&t, ", %s", s->leaf.data[i]->name);
  text_add(&t, ")");
  return t.data;
}

static void fail_apart(Op *o, Axis *a, Axis *b) {
  Stage *s = o->stage;
  Diag *g = op_fail(o, E_AXIS, op_at(o), "`%s` and `%s` are not neighbours", a->name, b->name);
  diag_note(g, "`fuse(outer, inner)` needs the inner loop directly inside the outer one");
  if (a->reduce && stage_keeps_order_of_floats(s) && !stage_order_allows(o->s->cx, s, a, b)) {
    diag_note(g, "to bring `%s` directly inside `%s` would change the order of a float reduction", b->name, a->name);
    if (stage_leaf_index(s, a) == stage_leaf_index(s, b) + 1) {
      const char *swapped = arena_printf(o->s->cx->arena, "%s.fuse(%s, %s)", op_receiver(o), b->name, a->name);
      diag_help(g, "`%s` is the outer of the two: `%s;`", b->name, swapped);
    } else diag_help(g, "leave them apart");
    return;
  }
  Loc before = op_at(o);
  before.end_line = before.line, before.end_col = before.col;
  const char *reorder = neighbours_text(o, a, b);
  diag_fix(g, before, arena_printf(o->s->cx->arena, "%s; ", reorder), "reorder the axes first: `%s;`", reorder);
}

Axis *stage_fuse(Schedule *s, Stage *st, Axis *a, Axis *b, Name given, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "fuse", .why = why};
  if (!op_is_loop(&o, st, a) || !op_is_loop(&o, st, b) || !axis_is_free(&o, a) || !axis_is_free(&o, b)) return NULL;
  int at = stage_leaf_index(st, a);
  int64_t extent;
  if (a == b) {
    op_fail(&o, E_ARGUMENT, op_at(&o), "`fuse` needs two different axes");
    return NULL;
  }
  if (a->reduce != b->reduce) {
    Diag *g = op_fail(&o, E_AXIS, op_at(&o), "`%s` is a %s axis and `%s` is not: they cannot be fused",
                      a->reduce ? a->name : b->name, "reduction", a->reduce ? b->name : a->name);
    diag_help(g, "fuse two axes of the result, or two of the reduction");
    return NULL;
  }
  if (!mul_ok(a->extent, b->extent, &extent)) {
    Diag *g = op_fail(&o, E_EXTENT, op_at(&o), "the fused extent of `%s` and `%s` overflows", a->name, b->name);
    diag_help(g, "leave them apart");
    return NULL;
  }
  if (stage_leaf_index(st, b) != at + 1) {
    fail_apart(&o, a, b);
    return NULL;
  }
  Name name = loop_name(&o, given ? &given : NULL, 0, arena_printf(s->cx->arena, "%s_%s", a->name, b->name));
  check_loop_name(&o, name, a, b);
  if (o.failed) return NULL;
  Relation *r = NEW(s->cx->arena, Relation);
  *r = (Relation){.kind = REL_FUSE, .outer = a, .inner = b, .loc = op_at(&o)};
  r->parent = derived_axis(s->cx, st, name, a->reduce, extent, r);
  a->used_by = b->used_by = r;
  leaf_splice(s->cx, st, at, 2, 1, &r->parent);
  ScheduleStep *step = op_done(&o);
  step_axis(s, step, a);
  step_axis(s, step, b);
  step_result(s, step, name);
  if (st->circle) stage_note_order(&o, step);
  return r->parent;
}

void apply_fuse(Call *c) {
  Axis *a = call_axis(c, 0, c->stage), *b = call_axis(c, 1, c->stage);
  if (c->failed) return;
  Name name = result_name(c, 0, a->name, arena_printf(c->ap->cx->arena, "_%s", b->name));
  c->failed = !stage_fuse(c->ap->s, c->stage, a, b, name, c->stmt);
}

// ---- reorder --------------------------------------------------------------------------------------------------------

// Notes the places of the named loops, NULL aside; reports those that are named twice.
static void take_places(Op *o, int n, Axis *const *order, bool *taken) {
  for (int i = 0; i < n; i++) {
    int at = order[i] ? stage_leaf_index(o->stage, order[i]) : -1;
    if (at < 0) continue;
    if (taken[at])
      diag_help(op_fail(o, E_REORDER, op_arg_at(o, i), "axis `%s` is named twice", order[i]->name),
                "name each axis once");
    taken[at] = true;
  }
}

// Tells that a statement changes nothing.
static void tell_void(const Op *o, const char *because) {
  if (!o->why) return;
  Diag *g = diag_report(o->s->cx->diags, W_NO_EFFECT, op_at(o), "this has no effect: %s", because);
  diag_fix_drop(g, op_at(o), "drop it");
}

// The named loops take, in the order given, the places that they hold together.
bool stage_reorder(Schedule *s, Stage *st, int n, Axis *const *order, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "reorder", .why = why};
  bool *taken = NEW_ARRAY(s->cx->arena, bool, st->leaf.len);
  for (int i = 0; i < n; i++)
    if (!op_is_loop(&o, st, order[i])) return false;
  take_places(&o, n, order, taken);
  for (int i = 0; i < n && n > 1; i++)
    if (order[i]->shared) return op_is_recurrent(&o), false;
  if (o.failed) return false;
  bool moves = false;
  for (size_t i = 0, next = 0; i < st->leaf.len; i++)
    if (taken[i]) moves = moves || st->leaf.data[i] != order[next++];
  if (!moves) tell_void(&o, n == 1 ? "one loop has one place" : "the loops stand in this order");
  int next = 0;
  for (size_t i = 0; i < st->leaf.len; i++)
    if (taken[i]) st->leaf.data[i] = order[next++];
  ScheduleStep *step = op_done(&o);
  for (int i = 0; i < n; i++) step_axis(s, step, order[i]);
  stage_note_order(&o, step);
  return true;
}

void apply_reorder(Call *c) {
  int n = c->stmt->nargs;
  Axis **order = NEW_ARRAY(c->ap->cx->arena, Axis *, n);
  for (int i = 0; i < n; i++) order[i] = call_axis(c, i, c->stage);
  if (c->failed) { // what else is wrong is told, too
    Op o = {.s = c->ap->s, .stage = c->stage, .name = "reorder", .why = c->stmt};
    take_places(&o, n, order, NEW_ARRAY(c->ap->cx->arena, bool, c->stage->leaf.len));
    return;
  }
  c->failed = !stage_reorder(c->ap->s, c->stage, n, order, c->stmt);
}

// ---- unroll, vectorize, parallel, bind ------------------------------------------------------------------------------

// Whether a may be virtual threads.
static bool may_be_threads(Op *o, const Axis *a) {
  if (op_conflicts(o, a, CONFLICT_ELEMENT)) return false;
  if (a->extent <= 8) return true;
  Name stage = o->stage->name;
  Diag *g = op_fail(o, E_ANNOTATION, op_at(o), "axis `%s` has extent %lld: at most 8 virtual threads are interleaved",
                    a->name, (long long)a->extent);
  diag_help(g,
            "split it first, and bind the outer part: `%s0, %s1 = %s.split(%s, nparts = 2);  %s.bind(%s0, cthread);`",
            a->name, a->name, stage, a->name, stage, a->name);
  return false;
}

static const char *annotation_name(ForKind kind) {
  switch (kind) {
  case FOR_SERIAL: break;
  case FOR_PARALLEL: return "parallel";
  case FOR_VECTORIZED: return "vectorize";
  case FOR_UNROLLED: return "unroll";
  case FOR_VTHREAD: return "bind";
  }
  bug("no annotation");
}

static bool may_run_so(Op *o, const Axis *a, ForKind kind) {
  if (kind == FOR_VTHREAD && !may_be_threads(o, a)) return false;
  if (a->shared && kind != FOR_UNROLLED && op_is_recurrent(o)) return false;
  if (a->kind != FOR_SERIAL && a->kind != kind) {
    Diag *g = op_fail(o, E_ANNOTATION, op_at(o), "axis `%s` already has another annotation", a->name);
    diag_also(g, a->kind_loc, "annotated here");
    diag_guess_drop(g, op_at(o), "drop one of the two");
    return false;
  }
  return kind != FOR_PARALLEL || !op_conflicts(o, a, CONFLICT_ELEMENT);
}

// Lanes would take the points of a float reduction in another order: told, the loop stays as it is.
static bool lanes_are_void(const Op *o, const Axis *a, ForKind kind) {
  if (!a->reduce || kind != FOR_VECTORIZED || !stage_keeps_order_of_floats(o->stage)) return false;
  Diag *g = diag_report(o->s->cx->diags, W_NO_EFFECT, op_at(o),
                        "this has no effect: `%s` is a reduction axis of floats", a->name);
  diag_note(g, "lanes would take the points of `%s` in another order, which changes the result", o->stage->name);
  diag_fix_drop(g, op_at(o), "drop it: axes of the result can be vectorized");
  return true;
}

bool stage_annotate(Schedule *s, Stage *st, Axis *a, ForKind kind, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = annotation_name(kind), .why = why};
  if (!op_is_loop(&o, st, a) || !may_run_so(&o, a, kind)) return false;
  if (lanes_are_void(&o, a, kind)) return true;
  if (a->kind == kind) tell_void(&o, arena_printf(s->cx->arena, "it is said of `%s` already", a->name));
  a->kind = kind;
  a->kind_loc = op_at(&o);
  ScheduleStep *step = op_done(&o);
  step_axis(s, step, a);
  if (kind == FOR_VTHREAD) step_word(s, step, "cthread");
  return true;
}

const Relation *stage_annotate_by(Schedule *s, Stage *st, Axis *a, ForKind kind, int64_t n, const Name *names,
                                  const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = annotation_name(kind), .why = why};
  if (!op_is_loop(&o, st, a) || !axis_is_free(&o, a)) return NULL;
  if (n < 1) return op_fail(&o, E_ARGUMENT, op_at(&o), "`%s` needs a number of at least 1", o.name), NULL;
  if (!may_run_so(&o, a, kind)) return NULL;
  const char *suffix = kind == FOR_VECTORIZED ? "lanes" : "copies";
  Name outer = names ? names[0] : a->name;
  Name inner = loop_name(&o, names ? &names[1] : NULL, 0, arena_printf(s->cx->arena, "%s_%s", a->name, suffix));
  check_loop_name(&o, outer, a, NULL);
  check_loop_name(&o, inner, a, NULL);
  if (outer == inner) op_fail(&o, E_DUPLICATE_NAME, op_at(&o), "both results are named `%s`", outer);
  if (o.failed) return NULL;
  if (n == 1) tell_void(&o, kind == FOR_VECTORIZED ? "it asks for one lane" : "it asks for one copy");
  bool as_it_is = lanes_are_void(&o, a, kind);
  const Relation *r = split_axis(&o, a, n, 0, outer, inner);
  r->inner->kind = as_it_is ? FOR_SERIAL : kind;
  r->inner->kind_loc = op_at(&o);
  ScheduleStep *step = op_done(&o);
  step_axis(s, step, a);
  step_number(s, step, NULL, n);
  step_result(s, step, outer);
  step_result(s, step, inner);
  if (st->circle) stage_note_order(&o, step);
  return r;
}

void call_annotate(Call *c, Axis *a, ForKind kind) {
  if (!c->failed) c->failed = !stage_annotate(c->ap->s, c->stage, a, kind, c->stmt);
}

// `stage.primitive(axis)`, or `outer, inner = stage.primitive(axis, n)`.
static void annotate_by(Call *c, ForKind kind) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *by = call_arg(c, 1);
  int64_t n = by ? call_int(c, by) : 0;
  if (!by && c->stmt->nresults)
    call_fail(c, E_ARGUMENT, c->stmt->loc, "`%s` gives loops only where it is given a number", annotation_name(kind));
  if (c->failed) return;
  if (!by) {
    call_annotate(c, a, kind);
    return;
  }
  const char *suffix = kind == FOR_VECTORIZED ? "_lanes" : "_copies";
  Name names[] = {result_name(c, 0, a->name, ""), result_name(c, 1, a->name, suffix)};
  c->failed = !stage_annotate_by(c->ap->s, c->stage, a, kind, n, names, c->stmt);
  if (!c->failed) note_cut(c, by, a, n, false);
}

void apply_unroll(Call *c) { annotate_by(c, FOR_UNROLLED); }
void apply_vectorize(Call *c) { annotate_by(c, FOR_VECTORIZED); }
void apply_parallel(Call *c) { call_annotate(c, call_axis(c, 0, c->stage), FOR_PARALLEL); }

void apply_bind(Call *c) {
  Axis *a = call_axis(c, 0, c->stage);
  const SchedArg *t = call_arg(c, 1);
  if (c->failed) return;
  if (!t || t->value->kind != AST_NAME || strcmp(t->value->name, "cthread") != 0) {
    call_fail(c, E_ARGUMENT, t ? t->loc : c->stmt->loc, "`bind` knows one kind of thread: `cthread`");
    return;
  }
  call_annotate(c, a, FOR_VTHREAD);
}

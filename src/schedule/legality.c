// SPDX-License-Identifier: Apache-2.0
// Completes a schedule after its operations (inlining, who reads whom, where marked nests start) and refuses what
// would change the result or cannot be built.
#include "schedule/internal.h"

#include <string.h>

// ---- who reads whom -------------------------------------------------------------------------------------------------

typedef struct Reads {
  Ctx *cx;
  const Schedule *schedule;
  Stage *reader;
} Reads;

static bool add_read(void *self, const TeExpr *e) {
  const Reads *r = self;
  Stage *p = e->kind == TE_ACCESS ? schedule_stage_of(r->schedule, e->tensor) : NULL;
  bool seen = !p;
  for (size_t i = 0; !seen && i < r->reader->producers.len; i++) seen = r->reader->producers.data[i] == p;
  if (seen) return false;
  VEC_PUSH(r->cx->arena, r->reader->producers, p);
  VEC_PUSH(r->cx->arena, p->consumers, r->reader);
  return false;
}

static void connect(Schedule *sch) {
  Schedule *s = sch;
  schedule_index(sch->cx, s);
  for (size_t i = 0; i < s->stages.len; i++) {
    Reads r = {sch->cx, s, s->stages.data[i]};
    if (r.reader->body && r.reader->attach != ATTACH_INLINE) te_any(r.reader->body, add_read, &r);
    if (r.reader->where && r.reader->attach != ATTACH_INLINE) te_any(r.reader->where, add_read, &r);
  }
  bool again = true;
  while (again) { // once, but for circles of recurrences
    again = false;
    for (size_t i = s->stages.len; i-- > 0;) {
      Stage *st = s->stages.data[i];
      if (st->tensor->role == TE_OUTPUT) st->live = true;
      for (size_t j = 0; st->live && j < st->producers.len; j++) {
        Stage *p = st->producers.data[j];
        again |= !p->live && p->index > st->index;
        p->live = true;
      }
    }
  }
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (st->with) st->whole = true;
    if (st->live && st->attach == ATTACH_AT) VEC_PUSH(sch->cx->arena, st->at_stage->attached, st);
  }
}

// The stages of a circle of recurrences take turns in the loops of the last one that they share.
static void place_circles(Schedule *s) {
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (!st->circle) continue;
    Stage *last = st;
    for (size_t k = i + 1; k < s->stages.len; k++)
      if (s->stages.data[k]->circle && s->stages.data[k]->tensor->circle == st->tensor->circle)
        last = s->stages.data[k];
    if (last == st) continue;
    st->whole = true;
    st->attach = ATTACH_AT;
    st->at_stage = last;
    st->at_axis = last->root[st->tensor->leading - 1];
  }
}

// ---- checks ---------------------------------------------------------------------------------------------------------

static bool check_scope(Schedule *sch, const Stage *s) {
  if (s->scope == &scope_host || s->tensor->type == s->scope->type) return true;
  Diag *g = diag_report(sch->cx->diags, E_SCOPE, s->scope_loc, "`%s` is %s, and %s holds %s", s->name,
                        dtype_name(s->tensor->type), s->scope->name, dtype_name(s->scope->type));
  bool cached = s->tensor->loc.src == s->scope_loc.src && s->tensor->loc.line == s->scope_loc.line &&
                s->tensor->loc.col == s->scope_loc.col;
  const char *wide = source_fresh_name(sch->cx->arena, s->scope_loc.src, "wide");
  if (!cached) diag_also(g, s->tensor->loc, "declared here");
  if (cached && s->tensor->type == DT_I8 && s->scope->type == DT_I32 && s->body->kind == TE_ACCESS)
    diag_help(g,
              "let a stage of its own widen it, and read that: `compute %s = int32(%s);` with `%s.set_scope(%s);  "
              "%s.dma_copy();`",
              wide, s->body->tensor->name, wide, s->scope->name, wide);
  else if (dtype_is_int(s->tensor->type) && s->scope->type == DT_I32)
    diag_help(g, "compute it as int32 and cast in the stage that is stored: `%s(...)`", dtype_name(s->tensor->type));
  else if (!dtype_is_int(s->tensor->type))
    diag_help(g, "VTA has no floating point: leave `%s` to the CPU, without a scope, or compute with integers",
              s->name);
  else diag_help(g, "convert it on the CPU first, in a stage of its own of type %s", dtype_name(s->scope->type));
  return false;
}

static bool check_annotations(Schedule *sch, const Stage *s) {
  bool ok = true;
  for (size_t i = 0; i < s->axes.len; i++) {
    const Axis *a = s->axes.data[i];
    if (a->kind == FOR_SERIAL || !a->used_by) continue;
    Diag *g = diag_report(sch->cx->diags, E_ANNOTATION, a->kind_loc, "axis `%s` was annotated and then split or fused",
                          a->name);
    diag_also(g, a->used_by->loc, "here");
    diag_help(g, "annotate the axes that came of it");
    ok = false;
  }
  return ok;
}

// The outermost place of `inner`'s loops, seen from `root`: the leaf of `root` at which the chain of attachments
// from `inner` arrives; INT_MAX if inner is root itself; -1 if it never arrives.
static int arrival(const Stage *inner, const Stage *root, int stages) {
  int at = 1 << 30;
  while (inner != root) {
    if (inner->attach != ATTACH_AT || stages-- < 0) return -1;
    at = stage_leaf_index(inner->at_stage, inner->at_axis);
    inner = inner->at_stage;
  }
  return at;
}

// Whether all that reads s is computed inside the loop at `place` of root: there s can be computed too.
static bool readers_inside(const Schedule *sch, const Stage *s, const Stage *root, int place) {
  for (size_t i = 0; i < s->consumers.len; i++)
    if (s->consumers.data[i]->live && arrival(s->consumers.data[i], root, (int)sch->stages.len) < place) return false;
  return true;
}

static bool check_compute_at(Schedule *sch, const Stage *s) {
  Ctx *cx = sch->cx;
  const Stage *root = s->at_stage;
  int place = stage_leaf_index(root, s->at_axis);
  if (place < 0) {
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->attach_loc,
                          "`%s` is computed at an axis that is no loop of `%s` any more", s->name, root->name);
    if (s->at_axis->used_by) diag_also(g, s->at_axis->used_by->loc, "`%s` was replaced here", s->at_axis->name);
    diag_help(g, "move the `compute_at` after this line, and name one of the new axes");
    return false;
  }
  if (s->tensor->role == TE_OUTPUT) {
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->attach_loc, "`%s` is an output: it is computed at root", s->name);
    diag_note(g, "an output must be complete; at another stage only what that stage needs would be computed");
    diag_fix_drop(g, s->attach_loc, "without this line it is");
    return false;
  }
  if (root->attach == ATTACH_INLINE) {
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->attach_loc, "`%s` is inlined: nothing can be computed at it",
                          root->name);
    diag_also(g, root->attach_loc, "inlined here");
    diag_help(g, "compute it at a stage that has loops");
    return false;
  }
  for (size_t i = 0; i < s->consumers.len; i++) {
    const Stage *c = s->consumers.data[i];
    if (!c->live || arrival(c, root, (int)sch->stages.len) >= place) continue;
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->attach_loc,
                          "`%s` cannot be computed at `%s`: `%s`, which reads it, is not computed inside that loop",
                          s->name, root->name, c->name);
    const TeExpr *read = expr_read(c->body, s->tensor);
    if (!read) read = expr_read(c->where, s->tensor);
    diag_also(g, read->loc, "`%s` reads `%s` here", c->name, s->name);
    if (c->attach == ATTACH_AT) diag_also(g, c->attach_loc, "`%s` is computed here", c->name);
    bool inside = c->tensor->role != TE_OUTPUT && c != root && readers_inside(sch, c, root, place);
    const char *at = arena_printf(cx->arena, "%s.compute_at(%s, %s)", c->name, root->name, s->at_axis->name);
    if (inside) diag_fix_after(g, s->attach_loc, at, "compute `%s` inside that loop too: `%s;`", c->name, at);
    diag_fix(g, s->attach_loc, arena_printf(cx->arena, "%s.compute_root()", s->name),
             "%scompute all of `%s` first: `%s.compute_root();`", inside ? "or " : "", s->name, s->name);
    return false;
  }
  return true;
}

// Storage stands around the loop in which the stage is computed, and the loops between run one iteration after the
// other: each finds what those before it left.
// Whether what is aligned has rows.
static bool check_align(Schedule *sch, const Stage *s) {
  if (!s->align || s->scope == &scope_host) return true;
  Diag *g = diag_report(sch->cx->diags, E_SCOPE, s->align_loc, "`%s` is in %s, where tile stands by tile", s->name,
                        s->scope->name);
  diag_also(g, s->scope_loc, "asked for here");
  diag_fix_drop(g, s->align_loc, "only host memory can be padded: without this line");
  return false;
}

static bool check_store(Schedule *sch, const Stage *s) {
  Ctx *cx = sch->cx;
  const Stage *root = s->at_stage;
  int inner = stage_leaf_index(root, s->at_axis), outer = s->store_axis ? stage_leaf_index(root, s->store_axis) : -1;
  if (s->store_axis && outer < 0) {
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->store_loc,
                          "`%s` is stored at an axis that is no loop of `%s` any more", s->name, root->name);
    if (s->store_axis->used_by)
      diag_also(g, s->store_axis->used_by->loc, "`%s` was replaced here", s->store_axis->name);
    diag_help(g, "move the `store_at` after this line, and name one of the new axes");
    return false;
  }
  if (outer >= inner) {
    Diag *g =
        diag_report(cx->diags, E_COMPUTE_AT, s->store_loc, "`%s` is stored at `%s`, and computed at `%s`%s", s->name,
                    s->store_axis->name, s->at_axis->name, outer > inner ? ", a loop around that one" : "");
    diag_also(g, s->attach_loc, "computed here");
    diag_fix_drop(g, s->store_loc,
                  outer > inner ? "store it at a loop around the one where it is computed; without this line, it is "
                                  "stored where it is computed"
                                : "that is where it is stored without this line, too");
    return false;
  }
  for (int i = outer + 1; i <= inner; i++) {
    const Axis *a = root->leaf.data[i];
    if (a->kind == FOR_SERIAL || a->kind == FOR_UNROLLED) continue;
    Diag *g = diag_report(cx->diags, E_COMPUTE_AT, s->store_loc,
                          "`%s` cannot be stored outside `%s`: the iterations of that loop run at the same time",
                          s->name, a->name);
    diag_also(g, a->kind_loc, "asked for here");
    diag_help(g, "store it inside that loop, or let the loop run serially");
    return false;
  }
  return true;
}

// Attachments must not go round in circles.
static bool check_circles(Schedule *sch) {
  Schedule *s = sch;
  for (size_t i = 0; i < s->stages.len; i++) {
    const Stage *st = s->stages.data[i];
    size_t steps = 0;
    for (; st->attach == ATTACH_AT && steps <= s->stages.len; steps++) st = st->at_stage;
    if (steps <= s->stages.len) continue;
    st = s->stages.data[i];
    Diag *g = diag_report(sch->cx->diags, E_COMPUTE_AT, st->attach_loc,
                          "`%s` is computed at a stage that is computed at `%s`", st->name, st->name);
    diag_help(g, "compute one of them at root");
    return false;
  }
  return true;
}

// The innermost leaf at which another stage is computed, or that is bound to a thread; -1 if none.
static int innermost_taken(const Stage *s, const Stage **who) {
  int at = -1;
  *who = NULL;
  for (size_t i = 0; i < s->leaf.len; i++)
    if (s->leaf.data[i]->kind == FOR_VTHREAD || s->leaf.data[i]->kind == FOR_PARALLEL) at = (int)i;
  for (size_t i = 0; i < s->attached.len; i++) {
    int l = stage_leaf_index(s, s->attached.data[i]->at_axis);
    if (l < at) continue;
    at = l;
    *who = s->attached.data[i];
  }
  return at;
}

// Where the marked nest starts, and that nothing else is computed inside it.
static bool check_mark(Schedule *sch, Stage *s) {
  Ctx *cx = sch->cx;
  if (s->mark == MARK_NONE) return true;
  const Stage *who;
  int taken = innermost_taken(s, &who);
  if (!s->mark_axis) {
    if (taken + 1 < (int)s->leaf.len) {
      s->mark_axis = s->leaf.data[taken + 1];
      return true;
    }
  } else if (stage_leaf_index(s, s->mark_axis) < 0) {
    Diag *g =
        diag_report(cx->diags, E_AXIS, s->mark_loc, "`%s` is no loop of `%s` any more", s->mark_axis->name, s->name);
    if (s->mark_axis->used_by) diag_also(g, s->mark_axis->used_by->loc, "`%s` was replaced here", s->mark_axis->name);
    diag_help(g, "move the `%s` after this line",
              s->mark == MARK_COPY  ? "dma_copy"
              : s->mark == MARK_ALU ? "alu"
                                    : "tensorize");
    return false;
  } else if (stage_leaf_index(s, s->mark_axis) > taken) {
    return true;
  }
  Diag *g = diag_report(cx->diags, E_ANNOTATION, s->mark_loc,
                        "the loops from `%s` inwards cannot become one accelerator operation",
                        s->mark_axis ? s->mark_axis->name : s->leaf.data[s->leaf.len - 1]->name);
  if (who) diag_also(g, who->attach_loc, "`%s` is computed inside them", who->name);
  else diag_also(g, s->leaf.data[taken]->kind_loc, "`%s` runs in threads", s->leaf.data[taken]->name);
  if (who && s->mark == MARK_TENSORIZE)
    diag_help(g, "compute `%s` further out, at a loop around `%s`", who->name, s->mark_axis->name);
  else if (taken + 1 < (int)s->leaf.len && s->mark != MARK_TENSORIZE) {
    const char *there = arena_printf(cx->arena, "%s.%s(%s)", s->name, s->mark == MARK_COPY ? "dma_copy" : "alu",
                                     s->leaf.data[taken + 1]->name);
    diag_fix(g, s->mark_loc, there, "start at a loop inside that one: `%s;`", there);
  } else if (taken + 1 < (int)s->leaf.len)
    diag_help(g, "start at a loop inside that one: `%s`", s->leaf.data[taken + 1]->name);
  return false;
}

// Whether any part of s, or of what is computed inside it, runs on the accelerator.
static bool uses_accelerator(const Stage *s) {
  if (s->mark != MARK_NONE) return true;
  for (size_t i = 0; i < s->attached.len; i++)
    if (uses_accelerator(s->attached.data[i])) return true;
  return false;
}

static bool check_parallel(Schedule *sch, const Stage *s) {
  for (size_t i = 0; i < s->leaf.len; i++) {
    const Axis *a = s->leaf.data[i];
    if (a->kind != FOR_PARALLEL || !uses_accelerator(s)) continue;
    Diag *g = diag_report(sch->cx->diags, E_PARALLEL, a->kind_loc,
                          "`%s` cannot run on several CPU threads: `%s` uses the accelerator", a->name, s->name);
    const char *bind = arena_printf(sch->cx->arena, "%s.bind(%s, cthread)", s->name, a->name);
    diag_guess(g, a->kind_loc, bind, "bind the axis to virtual threads instead: `%s;`", bind);
    return false;
  }
  return true;
}

// Virtual threads interleave accelerator work; without any they are told to be void.
static void check_threads(Schedule *sch, const Stage *s) {
  for (size_t i = 0; i < s->leaf.len; i++) {
    const Axis *a = s->leaf.data[i];
    if (a->kind == FOR_VTHREAD && !uses_accelerator(s))
      diag_fix_drop(diag_report(sch->cx->diags, W_NO_EFFECT, a->kind_loc,
                                "virtual threads have no effect on `%s`: all of it runs on the CPU", s->name),
                    a->kind_loc, "drop it");
  }
}

// A directive on a stage that nothing needs is told. It goes, if it is the only one.
static void warn_dead(Schedule *sch, const Stage *s) {
  int said = (s->mark != MARK_NONE) + (s->attach == ATTACH_AT) + (s->scope != &scope_host) + (s->align != NULL);
  Loc at = s->mark != MARK_NONE      ? s->mark_loc
           : s->attach == ATTACH_AT  ? s->attach_loc
           : s->scope != &scope_host ? s->scope_loc
                                     : s->align_loc;
  if (!loc_known(at) || s->attach == ATTACH_INLINE) return;
  Diag *g = diag_report(sch->cx->diags, W_NO_EFFECT, at, "no output needs `%s`: it is not computed", s->name);
  if (said == 1) diag_fix_drop(g, at, "drop it, or let an output need `%s`", s->name);
  else diag_help(g, "drop what is said of it, or let an output need `%s`", s->name);
}

// Loops are said of a stage that has none. The primitives that made or annotated them are told, each statement once.
static void warn_no_loops(Schedule *sch, const Stage *s, const char *why) {
  Loc last = {0};
  for (size_t i = 0; i < s->axes.len; i++) {
    const Axis *a = s->axes.data[i];
    const Loc said[] = {a->made_by ? a->made_by->loc : (Loc){0}, a->kind != FOR_SERIAL ? a->kind_loc : (Loc){0}};
    for (int k = 0; k < 2; k++) {
      if (!loc_known(said[k]) || (said[k].line == last.line && said[k].col == last.col)) continue;
      last = said[k];
      Diag *g =
          diag_report(sch->cx->diags, W_NO_EFFECT, last, "this has no effect: `%s` has no loops, for %s", s->name, why);
      if (k == 1) diag_fix_drop(g, last, "drop it");
      else diag_help(g, "drop it, and what names the loops that it makes");
    }
  }
}

// What was asked for without effect: of stages without loops, or that are stored nowhere.
static void warn_of(Schedule *s, const Stage *st) {
  if (!st->body) warn_no_loops(s, st, st->tensor->role == TE_INPUT ? "it is an input" : "it is a constant");
  else if (st->attach == ATTACH_INLINE) warn_no_loops(s, st, "it is inlined");
  else if (!st->live) warn_no_loops(s, st, "no output needs it");
  if (st->align && st->attach == ATTACH_INLINE)
    diag_fix_drop(diag_report(s->cx->diags, W_NO_EFFECT, st->align_loc,
                              "this has no effect: `%s` is inlined, and stored nowhere", st->name),
                  st->align_loc, "drop it");
  if (!st->live || st->attach == ATTACH_INLINE) warn_dead(s, st);
}

// What becomes stages of their own, and what is no stage any more. False after a report.
static bool settle_stages(Schedule *s) {
  for (size_t i = 0; s->legalize && i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (st->body && st->mark == MARK_COPY) {
      epilogue_apart(s, st, st->mark_loc, false);
      i = (size_t)st->index; // a stage may have been put before it
    }
  }
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (st->epilogue_of && st->attach == ATTACH_ROOT && !st->placed) place_epilogue(s, st);
  }
  if (!inline_stages(s) || !complete_packs(s)) return false;
  place_circles(s);
  connect(s);
  return check_circles(s);
}

// Whether the stage may be where it is. *sound: of errors after which others are looked for.
static bool check_place(Schedule *s, Stage *st, bool before, bool *sound) {
  bool ok = before;
  *sound = check_scope(s, st) && *sound;
  *sound = check_align(s, st) && *sound;
  *sound = check_sequence(s->cx, st) && check_conflicts(s->cx, st) && *sound;
  *sound = check_annotations(s, st) && *sound;
  if (st->attach == ATTACH_AT && !st->whole) ok = check_compute_at(s, st) && ok;
  if (st->with) ok = check_with(s, st) && ok;
  if (st->stored && ok) ok = check_store(s, st);
  return check_fold(s, st) && ok;
}

bool schedule_complete(Schedule *s) {
  if (!settle_stages(s)) return false;
  bool ok = true, sound = true;
  for (size_t i = 0; i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    warn_of(s, st);
    if (st->live && st->attach != ATTACH_INLINE) ok = check_place(s, st, ok, &sound);
  }
  for (size_t i = 0; ok && i < s->stages.len; i++) {
    Stage *st = s->stages.data[i];
    if (!st->live || !st->body || st->attach == ATTACH_INLINE) continue;
    ok = check_mark(s, st) && check_tails(s->cx, st) && ok;
    ok = check_parallel(s, st) && ok;
    check_threads(s, st);
  }
  return ok && sound;
}

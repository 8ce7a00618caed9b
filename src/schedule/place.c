// SPDX-License-Identifier: Apache-2.0
// Operations on where a stage is computed and where it lives, each with the primitive that gives it its arguments from
// a text.
#include "schedule/internal.h"

// ---- compute_at, compute_root, compute_inline -----------------------------------------------------------------------

// Decides where the stage is computed; an earlier decision is told to be void.
static ScheduleStep *place(Op *o, Attach attach, Stage *at, Axis *axis) {
  Stage *s = o->stage;
  if (s->placed) op_replaces(o, s->attach_loc, "where", "is computed is said again later");
  if (s->stored) {
    Diag *g = diag_report(o->s->cx->diags, W_NO_EFFECT, s->store_loc,
                          "this has no effect: where `%s` is computed is said again later", s->name);
    diag_also(g, op_at(o), "say it before this line");
    diag_help(g, "say where it is computed before where it is stored");
    s->stored = false;
    s->fold = NULL;
  }
  s->attach = attach;
  s->at_stage = at;
  s->at_axis = axis;
  s->with = false;
  s->attach_loc = op_at(o);
  s->placed = true;
  return op_done(o);
}

static ScheduleStep *place_in_loop(Op *o, Stage *at, Axis *a) {
  ScheduleStep *step = place(o, ATTACH_AT, at, a);
  step_stage(o->s, step, at);
  step_axis(o->s, step, a);
  return step;
}

bool stage_compute_at(Schedule *s, Stage *st, Stage *at, Axis *a, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "compute_at", .why = why};
  if (!op_is_loop(&o, at, a) || !op_is_computed(&o) || op_is_shared(&o)) return false;
  if (at != st) return place_in_loop(&o, at, a);
  diag_help(op_fail(&o, E_COMPUTE_AT, op_at(&o), "`%s` cannot be computed at itself", at->name),
            "name the stage that reads it");
  return false;
}

void apply_compute_at(Call *c) {
  Stage *at = call_stage(c, 0);
  Axis *a = call_axis(c, 1, at);
  if (!c->failed) c->failed = !stage_compute_at(c->ap->s, c->stage, at, a, c->stmt);
}

bool stage_compute_with(Schedule *s, Stage *st, Stage *other, Axis *a, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "compute_with", .why = why};
  if (!op_is_loop(&o, other, a) || !op_is_computed(&o) || op_is_recurrent(&o)) return false;
  if (other != st) return place_in_loop(&o, other, a), st->with = true;
  diag_help(op_fail(&o, E_COMPUTE_AT, op_at(&o), "`%s` cannot be computed with itself", st->name),
            "name another stage, in whose loops it is to be computed");
  return false;
}

void apply_compute_with(Call *c) {
  Stage *other = call_stage(c, 0);
  Axis *a = call_axis(c, 1, other);
  if (!c->failed) c->failed = !stage_compute_with(c->ap->s, c->stage, other, a, c->stmt);
}

bool stage_compute_root(Schedule *s, Stage *st, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "compute_root", .why = why};
  return op_is_computed(&o) && !op_is_shared(&o) && place(&o, ATTACH_ROOT, NULL, NULL);
}

void apply_compute_root(Call *c) { c->failed = !stage_compute_root(c->ap->s, c->stage, c->stmt); }

bool stage_compute_inline(Schedule *s, Stage *st, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "compute_inline", .why = why};
  if (!op_is_computed(&o) || op_is_recurrent(&o)) return false;
  const char *reason = NULL;
  bool output = st->tensor->role == TE_OUTPUT; // compute_at would be refused, too
  if (output) reason = "it is an output";
  else if (st->reduce != TE_NO_REDUCE) reason = "it reduces";
  if (!reason) return place(&o, ATTACH_INLINE, NULL, NULL);
  Diag *g = op_fail(&o, E_INLINE, op_at(&o), "`%s` cannot be inlined: %s", st->name, reason);
  if (!output) diag_help(g, "compute it where it is used: `%s.compute_at(consumer, axis);`", st->name);
  diag_fix_drop(g, op_at(&o),
                output ? "it is computed by itself: without this line" : "or by itself: without this line");
  return false;
}

void apply_compute_inline(Call *c) { c->failed = !stage_compute_inline(c->ap->s, c->stage, c->stmt); }

// ---- store_at, store_root -------------------------------------------------------------------------------------------

bool stage_store_at(Schedule *s, Stage *st, Stage *consumer, Axis *a, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = a ? "store_at" : "store_root", .why = why};
  if ((a && !op_is_loop(&o, consumer, a)) || !op_is_computed(&o) || op_is_recurrent(&o)) return false;
  if (st->attach != ATTACH_AT || st->with || (a && st->at_stage != consumer)) {
    Diag *g =
        a ? op_fail(&o, E_COMPUTE_AT, op_at(&o), "`%s` is not computed at a loop of `%s`", st->name, consumer->name)
          : op_fail(&o, E_COMPUTE_AT, op_at(&o), "`%s` is not computed at a loop of another stage", st->name);
    diag_help(g, "say first where it is computed, with `compute_at`: at a loop inside the one where it is stored");
    return false;
  }
  if (st->stored) op_replaces(&o, st->store_loc, "where", "is stored is said again later");
  st->stored = true;
  st->store_axis = a;
  st->store_loc = op_at(&o);
  ScheduleStep *step = op_done(&o);
  if (a) step_stage(s, step, consumer);
  if (a) step_axis(s, step, a);
  return true;
}

void apply_store_at(Call *c) {
  Stage *at = call_stage(c, 0);
  Axis *a = call_axis(c, 1, at);
  if (!c->failed) c->failed = !stage_store_at(c->ap->s, c->stage, at, a, c->stmt);
}

void apply_store_root(Call *c) { c->failed = !stage_store_at(c->ap->s, c->stage, NULL, NULL, c->stmt); }

// ---- storage_align --------------------------------------------------------------------------------------------------

enum { ALIGN_MAX = 65536 }; // elements: with fewer than 2^40 of a tensor, sizes in bytes stay far inside int64

static bool may_align(Op *o, const Axis *root, int64_t n, int64_t offset) {
  const Stage *st = o->stage;
  Diag *g = NULL;
  if (!op_is_computed(o)) return false;
  if (st->tensor->role == TE_OUTPUT) {
    g = op_fail(o, E_ARGUMENT, op_at(o), "`%s` is an output: it keeps its layout", st->name);
    diag_help(g, "align what is copied into it: `%s = %s.cache_write(host);`",
              source_fresh_name(o->s->cx->arena, op_at(o).src, arena_printf(o->s->cx->arena, "%s_rows", st->name)),
              st->name);
  } else if (n < 1 || n > ALIGN_MAX) {
    g = op_fail(o, E_ARGUMENT, op_at(o), "`storage_align` takes 1 to %d elements", ALIGN_MAX);
    diag_help(g, "a cache line has 64 bytes, a page usually 4096");
  } else if (offset < 0 || offset >= n) {
    g = op_fail(o, E_ARGUMENT, op_at(o), "the offset is to be less than %lld", (long long)n);
    diag_help(g, "positions begin at multiples of %lld elements plus the offset", (long long)n);
  } else if (root == st->root[st->nroot - 1]) {
    g = op_fail(o, E_AXIS, op_at(o), "the elements along `%s`, the innermost axis of `%s`, stand side by side",
                root->name, st->name);
    if (st->nroot > 1) diag_help(g, "name an axis around it: `%s`, for instance", st->root[st->nroot - 2]->name);
    else diag_fix_drop(g, op_at(o), "buffers begin at multiples of 64 bytes: without this line");
  } else if (offset && root != st->root[st->nroot - 2]) {
    g = op_fail(o, E_AXIS, op_at(o), "an offset is for the axis around the innermost one, and `%s` is further out",
                root->name);
    diag_help(g, "name `%s`, or leave the offset out", st->root[st->nroot - 2]->name);
  }
  return !g;
}

bool stage_storage_align(Schedule *s, Stage *st, Axis *root, int64_t n, int64_t offset, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "storage_align", .why = why};
  if (!may_align(&o, root, n, offset)) return false;
  if (st->align) op_replaces(&o, st->align_loc, "how", "is aligned is said again later");
  st->align = root;
  st->align_to = n;
  st->align_by = offset;
  st->align_loc = op_at(&o);
  ScheduleStep *step = op_done(&o);
  step_axis(s, step, root);
  step_number(s, step, NULL, n);
  if (offset) step_number(s, step, "offset", offset);
  return true;
}

void apply_storage_align(Call *c) {
  Axis *root = call_root(c, 0);
  const SchedArg *factor = call_key(c, "factor"), *offset = call_key(c, "offset");
  if (!factor) factor = call_arg(c, 1);
  else if (!offset) offset = call_arg(c, 1);
  if (!offset) offset = call_arg(c, 2);
  int64_t n = factor ? call_int(c, factor) : 0, by = 0;
  if (!factor && !c->failed) call_fail(c, E_ARGUMENT, c->stmt->loc, "`storage_align` needs a number of elements");
  if (offset && !applier_number(c->ap, offset->value, offset->free, &by)) c->failed = true;
  if (!c->failed) c->failed = !stage_storage_align(c->ap->s, c->stage, root, n, by, c->stmt);
}

// ---- set_scope ------------------------------------------------------------------------------------------------------

bool stage_set_scope(Schedule *s, Stage *st, const Scope *scope, const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "set_scope", .why = why};
  TeRole role = st->tensor->role;
  if (op_is_recurrent(&o)) return false;
  if (role != TE_COMPUTE) {
    bool in = role != TE_OUTPUT;
    const char *what = role == TE_INPUT ? "an input" : in ? "a constant" : "an output";
    Diag *g = op_fail(&o, E_SCOPE, op_at(&o), "`%s` is %s: it stays in host memory", st->name, what);
    Arena *m = s->cx->arena;
    const char *buf = source_fresh_name(m, op_at(&o).src, arena_printf(m, "%s_buf", st->name));
    const char *copied = in ? buf : st->name;
    const char *line = arena_printf(m, "%s = %s.cache_%s(%s); %s.dma_copy()", buf, st->name, in ? "read" : "write",
                                    scope->name, copied);
    diag_fix(g, op_at(&o), line, in ? "read it into %s: `%s;`" : "write it through %s: `%s;`", scope->name, line);
    return false;
  }
  if (st->scoped && why) op_replaces(&o, st->scope_loc, "where", "lives is said again later");
  st->scope = scope;
  st->scope_loc = op_at(&o);
  st->scoped = true;
  step_scope(s, op_done(&o), scope);
  return true;
}

void apply_set_scope(Call *c) {
  const Scope *scope = call_scope(c, 0);
  if (!c->failed) c->failed = !stage_set_scope(c->ap->s, c->stage, scope, c->stmt);
}

// ---- cache_read -----------------------------------------------------------------------------------------------------

// The name of a new stage; NULL after a report that there is one.
Name new_stage_name(Op *o, Name given, const char *suffix) {
  if (!given) return schedule_fresh_name(o->s, arena_printf(o->s->cx->arena, "%s_%s", o->stage->name, suffix));
  if (!schedule_stage_named(o->s, given)) return given;
  op_fail(o, E_DUPLICATE_NAME, op_at(o), "there is a stage `%s` already", given);
  return NULL;
}

static bool stage_reads(const Stage *s, const TeTensor *t) {
  return (s->body && expr_reads(s->body, t)) || (s->where && expr_reads(s->where, t));
}

// Whether r, the i-th argument, reads the stage; reports.
static bool check_reader(Op *o, const Stage *r, int i) {
  if (stage_reads(r, o->stage->tensor)) return true;
  op_fail(o, E_ARGUMENT, op_arg_at(o, i), "`%s` does not read `%s`", r->name, o->stage->name);
  return false;
}

static void fail_unread(Op *o) {
  const Stage *st = o->stage;
  Diag *g = diag_report(o->s->cx->diags, E_ARGUMENT, op_at(o), "nothing reads `%s`", st->name);
  diag_also(g, st->tensor->loc, "declared here");
  diag_help(g, "let a stage read `%s`, or drop this statement and what is asked of its copy", st->name);
}

// Readers of a tensor that convert what they read to a scope's own type: a copy there can have that type already.
typedef struct Widening {
  Ctx *cx;
  const TeTensor *from, *to;
  DType type;
} Widening;

static bool is_bare_read(void *self, const TeExpr *e) {
  const Widening *w = self;
  return e->kind == TE_ACCESS && e->tensor == w->from;
}

static const TeExpr *read_widened(void *self, const TeExpr *e) {
  const Widening *w = self;
  if (e->kind != TE_CAST || e->type != w->type || !is_bare_read(self, e->a)) return e;
  return te_access(w->cx->arena, w->to, e->a->args, e->loc);
}

// Whether all reads are converted.
static bool reads_widened(Widening *w, const TeExpr *body) {
  return !te_any(te_map(w->cx->arena, body, read_widened, w), is_bare_read, w);
}

// A stage that copies this one (or this input) into a scope, in the scope's type where all readers convert to that; its
// readers, all (n = 0) or those named, read the copy.
Stage *stage_cache_read(Schedule *s, Stage *st, const Scope *scope, int n, Stage *const *named, Name given,
                        const SchedStmt *why) {
  Op o = {.s = s, .stage = st, .name = "cache_read", .why = why};
  Ctx *cx = s->cx;
  VEC(Stage *) readers = {0};
  for (int i = 0; i < n; i++)
    if (check_reader(&o, named[i], i + 1)) VEC_PUSH(cx->arena, readers, named[i]);
  for (size_t i = 0; i < readers.len; i++) // what it makes itself, it goes on to read where it makes it
    if (readers.data[i] == st) return op_is_recurrent(&o), NULL;
  if (o.failed || op_is_shared(&o)) return NULL;
  for (size_t i = 0; !n && i < s->stages.len; i++) {
    Stage *r = s->stages.data[i];
    if (r != st && stage_reads(r, st->tensor)) VEC_PUSH(cx->arena, readers, r);
  }
  if (!readers.len) fail_unread(&o);
  Name name = readers.len ? new_stage_name(&o, given, "buf") : NULL;
  if (!name) return NULL;
  TeTensor *t = tensor_like(cx, st->tensor, name, op_at(&o));
  t->body = te_access(cx->arena, st->tensor, axis_exprs(cx, t), op_at(&o));
  Widening w = {cx, st->tensor, t, scope->type};
  bool widens = readers.len > 0 && scope != &scope_host && dtype_is_int(t->type) && scope->type != t->type;
  for (size_t i = 0; i < readers.len && widens; i++)
    widens = !readers.data[i]->where && reads_widened(&w, readers.data[i]->body);
  if (widens) {
    t->type = scope->type;
    t->body = te_cast(cx->arena, scope->type, t->body, op_at(&o));
  }
  Stage *copy = stage_new(cx, t);
  copy->scope = scope;
  copy->scope_loc = op_at(&o);
  for (size_t i = 0; i < readers.len; i++) {
    Stage *r = readers.data[i];
    r->body = widens ? te_map(cx->arena, r->body, read_widened, &w) : expr_replace_tensor(cx, r->body, st->tensor, t);
    if (r->where) r->where = expr_replace_tensor(cx, r->where, st->tensor, t);
  }
  packs_copy(cx, st, copy);
  stage_insert(s, copy, st->index + 1);
  ScheduleStep *step = op_done(&o);
  step_scope(s, step, scope);
  for (int i = 0; i < n; i++) step_stage(s, step, named[i]);
  step_result(s, step, name);
  return copy;
}

void apply_cache_read(Call *c) {
  const Scope *scope = call_scope(c, 0);
  VEC(Stage *) readers = {0};
  Op o = {.s = c->ap->s, .stage = c->stage, .name = "cache_read", .why = c->stmt};
  for (int i = 1; call_arg(c, i); i++) {
    Stage *r = call_stage(c, i);
    if (!r) continue;
    VEC_PUSH(c->ap->cx->arena, readers, r);
    if (!check_reader(&o, r, i)) c->failed = true; // here, so that all that is wrong is told
  }
  if (c->failed) return;
  Name name = c->stmt->nresults ? c->stmt->results[0].name : NULL;
  c->failed = !stage_cache_read(c->ap->s, c->stage, scope, (int)readers.len, readers.data, name, c->stmt);
}

// ---- cache_write ----------------------------------------------------------------------------------------------------

// The stage's body becomes a copy of t, its loops those of a copy.
static void become_copy(Ctx *cx, Stage *s, const TeTensor *t, bool casts, Loc value) {
  const TeExpr *copy = te_access(cx->arena, t, axis_exprs(cx, s->tensor), value);
  s->body = casts ? te_cast(cx->arena, s->tensor->type, copy, s->body->loc) : copy;
  s->reduce = TE_NO_REDUCE;
  s->where = NULL;
  s->nrroot = 0;
  size_t kept = 0;
  for (size_t i = 0; i < s->leaf.len; i++)
    if (!s->leaf.data[i]->reduce) s->leaf.data[kept++] = s->leaf.data[i];
  s->leaf.len = kept;
}

// A stage in a scope that computes what this one computed; this one becomes a copy of it. Where the value is a cast
// from the scope's own type, the cast stays with the copy: `out = int8(x)` through vta.acc keeps int32 there.
Stage *stage_cache_write(Schedule *sch, Stage *s, const Scope *scope, Name given, const SchedStmt *why) {
  Op o = {.s = sch, .stage = s, .name = "cache_write", .why = why};
  Ctx *cx = sch->cx;
  if (!op_is_computed(&o) || op_is_shared(&o) || (scope != &scope_host && op_is_recurrent(&o))) return NULL;
  size_t outer = s->leaf.len - (size_t)s->nrroot; // loops of the result, if no reduction loop was touched
  for (int i = 0; i < s->nrroot; i++)
    if (s->rroot[i]->used_by || s->rroot[i]->kind != FOR_SERIAL || s->leaf.data[outer + (size_t)i] != s->rroot[i]) {
      op_fail(&o, E_ARGUMENT, op_at(&o), "`cache_write` must come before the reduction axes of `%s` are scheduled",
              s->name);
      return NULL;
    }
  Name name = new_stage_name(&o, given, "buf");
  if (!name) return NULL;
  TeTensor *t = tensor_like(cx, s->tensor, name, s->tensor->loc);
  t->reduce = s->reduce;
  t->nraxes = s->nrroot;
  t->raxes = NEW_ARRAY(cx->arena, const TeAxis *, s->nrroot + 1);
  for (int i = 0; i < s->nrroot; i++) t->raxes[i] = s->rroot[i]->root;
  bool casts =
      scope != &scope_host && s->reduce == TE_NO_REDUCE && s->body->kind == TE_CAST && s->body->a->type == scope->type;
  const TeExpr *value = casts ? s->body->a : s->body;
  t->type = value->type;
  t->body = expr_replace_axes(cx, value, t->naxes, s->tensor->axes, axis_exprs(cx, t));
  if (s->where) t->where = expr_replace_axes(cx, s->where, t->naxes, s->tensor->axes, axis_exprs(cx, t));
  if (s->circle) {
    t->body = expr_replace_tensor(cx, t->body, s->tensor, t);
    if (t->where) t->where = expr_replace_tensor(cx, t->where, s->tensor, t);
    t->circle = s->tensor->circle;
    s->circle = false;
  }
  Stage *n = stage_new(cx, t);
  n->scope = scope;
  n->scope_loc = op_at(&o);
  packs_copy(cx, s, n);
  become_copy(cx, s, t, casts, value->loc);
  stage_insert(sch, n, s->index);
  ScheduleStep *step = op_done(&o);
  step_scope(sch, step, scope);
  step_result(sch, step, name);
  return n;
}

void apply_cache_write(Call *c) {
  const Scope *scope = call_scope(c, 0);
  const SchedArg *as = call_arg(c, 1);
  DType type = DT_I8;
  if (as && (as->value->kind != AST_NAME || !dtype_of_name(as->value->name, &type) || !dtype_is_int(type)))
    call_fail(c, E_ARGUMENT, as->loc, "`cache_write` takes an integer type here");
  if (c->failed) return;
  Name name = c->stmt->nresults ? c->stmt->results[0].name : NULL;
  c->failed = as ? !stage_cache_write_as(c->ap->s, c->stage, scope, type, name, c->stmt)
                 : !stage_cache_write(c->ap->s, c->stage, scope, name, c->stmt);
}

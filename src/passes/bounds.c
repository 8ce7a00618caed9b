// SPDX-License-Identifier: Apache-2.0
// Bounds inference: the region of each tensor that must be there when a loop's body starts. Regions are boxes with a
// symbolic origin (affine in the loops entered) and a constant size: index expressions are split into a part that is
// fixed by then and a part over the loops still to come, whose interval gives the size. Where a function does not
// spread its argument (min and max with a constant, abs), its interval starts somewhere symbolic and is no longer than
// the argument's; / % >> & by constants and ?: have intervals too. What is none of these falls back to numeric bounds,
// at worst the whole axis: larger, never wrong.
#include "passes/lower.h"

#include <string.h>

// ---- set-up ---------------------------------------------------------------------------------------------------------

Stage *stage_of(const Lower *l, const TeTensor *t) {
  Stage *s = schedule_stage_of(l->schedule, t);
  if (!s) bug("tensor %s has no stage", t->name);
  return s;
}

Lower *lower_new(Ctx *cx, const Schedule *s) {
  Lower *l = NEW(cx->arena, Lower);
  l->cx = cx;
  l->schedule = s;
  l->unrolled = 1;
  l->place = NEW_ARRAY(cx->arena, Place, s->stages.len);
  l->kept = NEW_ARRAY(cx->arena, Kept, s->stages.len);
  return l;
}

// A stage's name as TIR text can have it: names of arrays may hold any character.
static Name printable(Ctx *cx, Name name) {
  char *text = arena_printf(cx->arena, "%s", name);
  bool plain = true;
  for (char *p = text; *p; p++) {
    if (*p == '_' || *p == '.' || (*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z')) continue;
    *p = '_';
    plain = false;
  }
  return plain ? name : name_of(cx->names, text);
}

// Makes the axis inside an aligned one longer, so that positions of that one stand where they are to (storage_align).
static void align_rows(const Stage *s, int64_t *shape) {
  int64_t row = 1; // elements between two positions of axis a; 1 where there is an offset
  int a = s->nroot - 1;
  for (; s->root[a - 1] != s->align; a--) row *= shape[a];
  shape[a] += floor_mod(s->align_by - shape[a], s->align_to / common_divisor(row, s->align_to));
}

void place_stage(Lower *l, Stage *s, const Expr **min, const int64_t *extent, BufferRole role) {
  Ctx *cx = l->cx;
  const TeTensor *t = s->tensor;
  int64_t *shape = NEW_ARRAY(cx->arena, int64_t, t->naxes + 1);
  shape[0] = 1; // of a scalar
  for (int i = 0; i < t->naxes; i++) shape[i] = extent ? extent[i] : t->axes[i]->extent;
  if (s->kept) shape[0] = s->kept; // of a recurrence
  if (s->align) align_rows(s, shape);
  Buffer *b = arena_copy(cx->arena,
                         tir_buffer(cx, s->name, t->type, s->scope, role, t->naxes ? t->naxes : 1, shape, t->name_loc),
                         sizeof(Buffer));
  b->scalar = t->naxes == 0;
  b->data = t->data;
  b->tail = s->tail;
  b->stage = printable(cx, s->name);
  l->place[s->index] =
      (Place){.buffer = b, .min = min ? min : NEW_ARRAY(cx->arena, const Expr *, t->naxes), .folded = s->kept};
}

static bool has_tail(const Instance *in, const Relation *r) {
  return in->axis_extent[r->parent->index] % in->axis_extent[r->inner->index] != 0;
}

// Adds a's value as coefficients of leaves, times scale; false if a fused axis, or a shifted block, is on the way.
static bool add_coefs(const Instance *in, const Axis *a, int64_t scale, int64_t *coef) {
  if (!a->used_by) {
    coef[stage_leaf_index(in->stage, a)] += scale;
    return true;
  }
  const Relation *r = a->used_by;
  return r->kind == REL_SPLIT && !(r->tail == TAIL_SHIFT && has_tail(in, r)) &&
         add_coefs(in, r->outer, scale * in->axis_extent[r->inner->index], coef) &&
         add_coefs(in, r->inner, scale, coef);
}

static void find_limits(Lower *l, Instance *in) {
  const Stage *s = in->stage;
  in->limits = NEW_ARRAY(l->cx->arena, Limit, s->axes.len);
  for (size_t i = 0; i < s->axes.len; i++) {
    const Axis *a = s->axes.data[i];
    const Relation *r = a->used_by;
    if (!r || r->kind != REL_SPLIT) continue;
    int64_t e = in->axis_extent[a->index];
    if (!has_tail(in, r) || r->tail == TAIL_SHIFT) continue;
    Limit *m = &in->limits[in->nlimits++];
    *m = (Limit){a, e, NEW_ARRAY(l->cx->arena, int64_t, s->leaf.len)};
    if (r->tail == TAIL_GUARD || !add_coefs(in, a, 1, m->coef)) m->coef = NULL;
  }
}

Instance *instance_new(Lower *l, Stage *s, const Expr **min, const int64_t *extent) {
  Arena *a = l->cx->arena;
  Instance *in = NEW(a, Instance);
  in->stage = s;
  in->min = min ? min : NEW_ARRAY(a, const Expr *, s->nroot);
  in->axis_extent = NEW_ARRAY(a, int64_t, s->axes.len);
  stage_extents(s, extent, in->axis_extent);
  in->leaf = NEW_ARRAY(a, Leaf, s->leaf.len);
  in->first_reduce = -1;
  for (size_t i = s->leaf.len; i-- > 0;) {
    in->leaf[i].hi = in->axis_extent[s->leaf.data[i]->index];
    if (s->leaf.data[i]->reduce) in->first_reduce = (int)i;
  }
  in->mark_leaf = s->mark_axis ? stage_leaf_index(s, s->mark_axis) : 0;
  in->root_value = NEW_ARRAY(a, const Expr *, s->nroot);
  in->rroot_value = NEW_ARRAY(a, const Expr *, s->nrroot + 1);
  find_limits(l, in);
  if (s->tensor->role != TE_OUTPUT && !s->whole && !s->stored) place_stage(l, s, min, extent, BUF_LOCAL);
  return in;
}

const Expr *axis_value(Lower *l, const Instance *in, const Axis *a) {
  Ctx *cx = l->cx;
  const Relation *r = a->used_by;
  if (!r) return in->leaf[stage_leaf_index(in->stage, a)].value;
  const Expr *size = expr_index(cx, in->axis_extent[r->inner->index]);
  if (r->kind == REL_SPLIT) {
    const Expr *block = expr_binary(cx, OP_MUL, axis_value(l, in, r->outer), size);
    if (r->tail == TAIL_SHIFT && has_tail(in, r)) // the last one ends where the axis does
      block =
          expr_binary(cx, OP_MIN, block, expr_index(cx, in->axis_extent[a->index] - in->axis_extent[r->inner->index]));
    return expr_binary(cx, OP_ADD, block, axis_value(l, in, r->inner));
  }
  const Expr *fused = axis_value(l, in, r->parent);
  return expr_binary(cx, a == r->outer ? OP_DIV : OP_MOD, fused, size);
}

bool limit_bounds(const Instance *in, const Limit *m, int without, int64_t *lo, int64_t *hi) {
  *lo = *hi = 0;
  if (!m->coef) return false;
  for (size_t i = 0; i < in->stage->leaf.len; i++) {
    if ((int)i == without) continue;
    *lo += m->coef[i] * in->leaf[i].lo;
    *hi += m->coef[i] * (in->leaf[i].hi - 1);
  }
  return true;
}

// ---- segments -------------------------------------------------------------------------------------------------------

// min .. min + extent, where min is made of what is fixed.
typedef struct Segment {
  Affine min;
  int64_t extent;
} Segment;

// Variables that stand for loops still to come; their ranges are in Lower.ranges.
typedef struct Relaxed {
  VEC(const Var *) vars;
} Relaxed;

static bool is_relaxed(const Relaxed *r, const Var *v) {
  for (size_t i = 0; i < r->vars.len; i++)
    if (r->vars.data[i] == v) return true;
  return false;
}

static bool mentions_relaxed(const Relaxed *r, const Expr *e) {
  for (size_t i = 0; i < r->vars.len; i++)
    if (expr_uses_var(e, r->vars.data[i])) return true;
  return false;
}

static Segment segment_of(Lower *l, const Relaxed *r, const Expr *e);

static Segment segment_const(int64_t lo, int64_t hi) { return (Segment){{.constant = lo}, hi - lo + 1}; }

#define FAR ((int64_t)1 << 41) // more than any axis has; extents stay below 4 * FAR

// All of what an expression can be, from the ranges of its variables; beyond that, more than any axis has.
static Segment segment_numeric(Lower *l, const Expr *e) {
  int64_t lo, hi;
  if (!expr_bounds(&l->ranges, e, &lo, &hi) || lo < -FAR || hi > FAR) return segment_const(-FAR, FAR);
  return segment_const(lo, hi);
}

// What is left of the minimum modulo d, when its variable part is a multiple of d; -1 otherwise.
static int64_t known_remainder(const Affine *min, int64_t d) {
  for (int i = 0; i < min->nterms; i++)
    if (min->terms[i].coef % d) return -1;
  return floor_mod(min->constant, d);
}

// a / d and a % d for constant d > 0. A dividend that may wrap is not the sum that its affine form looks like.
static Segment segment_divmod(Lower *l, const Relaxed *r, const Expr *e, BinOp op, int64_t d) {
  Ctx *cx = l->cx;
  int64_t lo, hi;
  if (d > FAR || !expr_bounds(&l->ranges, e->a, &lo, &hi)) return segment_numeric(l, e);
  Segment a = segment_of(l, r, e->a);
  int64_t rest = known_remainder(&a.min, d);
  const Expr *min = affine_expr(cx, &a.min), *by = expr_index(cx, d);
  if (op == OP_DIV) {
    int64_t last = (rest < 0 ? d - 1 : rest) + a.extent - 1;
    return (Segment){affine_of(cx, expr_simplify(cx, &l->ranges, expr_binary(cx, OP_DIV, min, by)), NULL),
                     last / d + 1};
  }
  if (rest >= 0 && rest + a.extent <= d) return segment_const(rest, rest + a.extent - 1);
  return segment_const(0, d - 1);
}

static Segment segment_union(Lower *l, const Segment *a, const Segment *b);

// Whether e is an integer of ordinary size, so that sums of a few such do not wrap.
static bool is_tame(Lower *l, const Expr *e) {
  int64_t lo, hi;
  return expr_bounds(&l->ranges, e, &lo, &hi) && lo >= -FAR && hi <= FAR;
}

static Affine affine_simple(Lower *l, const Expr *e) {
  return affine_of(l->cx, expr_simplify(l->cx, &l->ranges, e), NULL);
}

// min(x, c) or max(x, c): x's neighbours have neighbours as values, in the same order. So it starts at min(start of x,
// c), and is no longer than x.
static Segment segment_bounded(Lower *l, const Relaxed *r, const Expr *e, const Expr *x, const Expr *c) {
  if (!is_tame(l, x) || !is_tame(l, c)) return segment_numeric(l, e);
  Segment v = segment_of(l, r, x);
  return (Segment){affine_simple(l, expr_binary(l->cx, e->binop, affine_expr(l->cx, &v.min), c)), v.extent};
}

// |x| for x in m .. m + n: no less than m, than -(m + n - 1), and than 0; and its values are neighbours, too.
static Segment segment_abs(Lower *l, const Relaxed *r, const Expr *e) {
  Ctx *cx = l->cx;
  if (!is_tame(l, e->args[0])) return segment_numeric(l, e);
  Segment v = segment_of(l, r, e->args[0]);
  const Expr *m = affine_expr(cx, &v.min), *least = expr_binary(cx, OP_SUB, expr_index(cx, 1 - v.extent), m);
  least = expr_binary(cx, OP_MAX, expr_binary(cx, OP_MAX, m, least), expr_index(cx, 0));
  return (Segment){affine_simple(l, least), v.extent};
}

// One of two values.
static Segment segment_either(Lower *l, const Relaxed *r, const Expr *a, const Expr *b) {
  Segment x = segment_of(l, r, a), y = segment_of(l, r, b);
  return segment_union(l, &x, &y);
}

static Segment segment_of_binary(Lower *l, const Relaxed *r, const Expr *e) {
  int64_t d;
  bool known = expr_is_int(e->b, &d);
  switch (e->binop) {
  case OP_DIV:
  case OP_MOD: return known && d > 0 ? segment_divmod(l, r, e, e->binop, d) : segment_numeric(l, e);
  case OP_SHR:
    return known && (d & 63) < 40 ? segment_divmod(l, r, e, OP_DIV, (int64_t)1 << (d & 63)) : segment_numeric(l, e);
  case OP_AND:
    return known && d > 0 && d < FAR && !(d & (d + 1)) ? segment_divmod(l, r, e, OP_MOD, d + 1) : segment_numeric(l, e);
  case OP_MIN:
  case OP_MAX:
    if (!mentions_relaxed(r, e->b)) return segment_bounded(l, r, e, e->a, e->b);
    if (!mentions_relaxed(r, e->a)) return segment_bounded(l, r, e, e->b, e->a);
    return segment_either(l, r, e->a, e->b);
  case OP_ADD:
  case OP_SUB:
  case OP_MUL:
  case OP_SHL:
  case OP_XOR:
  case OP_OR:
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE:
  case OP_LAND:
  case OP_LOR:
  case OP_COUNT: return segment_numeric(l, e);
  }
  return segment_numeric(l, e);
}

// Of an int64 expression that is no sum: by its form or by numbers, whichever is shorter.
static Segment segment_atom(Lower *l, const Relaxed *r, const Expr *e) {
  Segment n = segment_numeric(l, e), v = n;
  if (e->type != DT_I64) return n;
  if (e->kind == EXPR_BINARY) v = segment_of_binary(l, r, e);
  else if (e->kind == EXPR_SELECT) v = segment_either(l, r, e->b, e->c);
  else if (e->kind == EXPR_MATH && e->fn == FN_ABS) v = segment_abs(l, r, e);
  return v.extent < n.extent ? v : n;
}

static Segment segment_of(Lower *l, const Relaxed *r, const Expr *e) {
  Ctx *cx = l->cx;
  bool ok = true;
  Affine a = affine_of(cx, e, &ok);
  if (!ok) return segment_numeric(l, e);
  Segment out = {{.constant = a.constant}, 1};
  for (int i = 0; i < a.nterms; i++) {
    const Expr *atom = a.terms[i].atom;
    int64_t c = a.terms[i].coef;
    bool loose = atom->kind == EXPR_VAR ? is_relaxed(r, atom->var) : mentions_relaxed(r, atom);
    Segment t = loose ? segment_atom(l, r, atom) : (Segment){affine_of(cx, atom, NULL), 1};
    int64_t reach;
    if (!mul_ok(c, t.extent - 1, &reach) || reach < -FAR || reach > FAR) return segment_numeric(l, e);
    out.extent += reach < 0 ? -reach : reach;
    out.min = affine_add(cx, &out.min, c, &t.min);
    if (reach < 0 && !add_ok(out.min.constant, reach, &out.min.constant)) return segment_numeric(l, e);
  }
  if (out.extent > FAR) return segment_numeric(l, e);
  return out;
}

// The smallest segment around both.
static Segment segment_union(Lower *l, const Segment *a, const Segment *b) {
  Ctx *cx = l->cx;
  Affine d = affine_add(cx, &b->min, -1, &a->min);
  if (d.nterms == 0 && d.constant >= -4 * FAR && d.constant <= 4 * FAR) {
    int64_t end_a = a->extent, end_b = d.constant + b->extent, end = end_a > end_b ? end_a : end_b;
    if (d.constant >= 0) return (Segment){a->min, end};
    return (Segment){b->min, end - d.constant};
  }
  Segment x = segment_numeric(l, affine_expr(cx, &a->min)), y = segment_numeric(l, affine_expr(cx, &b->min));
  x.extent += a->extent - 1;
  y.extent += b->extent - 1;
  Segment by_numbers = segment_union(l, &x, &y);
  int64_t lo, hi;
  if (!is_tame(l, affine_expr(cx, &a->min)) || !is_tame(l, affine_expr(cx, &b->min)) ||
      !expr_bounds(&l->ranges, affine_expr(cx, &d), &lo, &hi))
    return by_numbers;
  // b starts lo .. hi behind a
  Segment out = *a;
  if (hi + b->extent > out.extent) out.extent = hi + b->extent;
  if (lo < 0) out.extent -= lo;
  if (lo < 0 && !add_ok(out.min.constant, lo, &out.min.constant)) return by_numbers;
  return out.extent < by_numbers.extent ? out : by_numbers;
}

// An index of an axis of extent n without the bounds 0 and n - 1: its region is shifted inside the axis anyway, and
// then has whatever the bounds give. So clamp(y - 1, 0, n - 1) and y + 1 have starts that differ by a constant.
static const Expr *without_clamps(Lower *l, const Expr *e, int64_t n) {
  Ctx *cx = l->cx;
  for (;;) {
    bool ok = true;
    Affine a = affine_of(cx, e, &ok);
    if (!ok || a.nterms != 1 || a.terms[0].coef != 1 || a.constant < -FAR || a.constant > FAR) return e;
    const Expr *atom = a.terms[0].atom;
    int64_t c;
    if (atom->kind != EXPR_BINARY || (atom->binop != OP_MIN && atom->binop != OP_MAX)) return e;
    const Expr *x = atom->b->kind == EXPR_INT ? atom->a : atom->b;
    if (!expr_is_int(x == atom->a ? atom->b : atom->a, &c) || c < -FAR || c > FAR || !is_tame(l, x)) return e;
    if (atom->binop == OP_MAX ? c + a.constant > 0 : c + a.constant < n - 1) return e;
    e = expr_simplify(cx, &l->ranges, expr_binary(cx, OP_ADD, x, expr_index(cx, a.constant)));
  }
}

// What an index of an axis of extent n needs of it.
static Segment segment_of_index(Lower *l, const Relaxed *r, const Expr *e, int64_t n) {
  const Expr *plain = without_clamps(l, e, n);
  Segment v = segment_of(l, r, plain), w = plain == e ? v : segment_of(l, r, e);
  return w.extent < v.extent ? w : v;
}

void region_clip(Lower *l, const Affine *start, int64_t length, int64_t n, bool shift, const Expr **min,
                 int64_t *extent) {
  Ctx *cx = l->cx;
  if (length >= n) {
    *min = NULL;
    *extent = n;
    return;
  }
  const Expr *at = affine_expr(cx, start);
  Segment b = segment_numeric(l, at);
  int64_t lo = b.min.constant, hi = lo + b.extent - 1;
  *extent = length;
  if (b.extent == 1 && !shift) { // a constant place: cut what sticks out
    int64_t first = lo < 0 ? 0 : lo > n - 1 ? n - 1 : lo, end = lo + length > n ? n : lo + length;
    *extent = end > first ? end - first : 1;
    *min = first ? expr_index(cx, first) : NULL;
    return;
  }
  if (lo < 0 || hi + length > n) {
    at = expr_binary(cx, OP_MIN, at, expr_index(cx, n - length));
    at = expr_binary(cx, OP_MAX, at, expr_index(cx, 0));
    at = expr_simplify(cx, &l->ranges, at);
  }
  *min = at;
}

// ---- regions --------------------------------------------------------------------------------------------------------

// While regions are inferred, each reader's axes are expressions over fixed and relaxed variables.
typedef struct Infer {
  Lower *l;
  Relaxed relaxed;
  Segment **need;        // by Stage.index: a segment an axis; NULL: nobody reads it yet
  bool *is_inside;       // by Stage.index
  const TeExpr **moving; // by Stage.index: an index of it that loops which are fixed take part in; NULL: none
} Infer;

// Whether e depends on a loop that is fixed.
static bool mentions_fixed(const Infer *f, const Expr *e) {
  for (size_t i = 0; i < f->l->ranges.len; i++) {
    const VarRange *v = &f->l->ranges.data[i];
    if (v->lo < v->hi && !is_relaxed(&f->relaxed, v->var) && expr_uses_var(e, v->var)) return true;
  }
  return false;
}

static const Expr *relax(Infer *f, Name name, int64_t lo, int64_t hi) {
  const Var *v = tir_var(f->l->cx, name, (Loc){0});
  VEC_PUSH(f->l->cx->arena, f->relaxed.vars, v);
  ranges_push(f->l->cx, &f->l->ranges, v, lo, hi);
  return expr_var(f->l->cx, v);
}

static const Expr *index_expr(Infer *f, const Instance *in, const TeExpr *e) {
  Ctx *cx = f->l->cx;
  switch (e->kind) {
  case TE_CONST:
    return dtype_is_float(e->type) ? expr_float(cx, e->type, e->value.f) : expr_int(cx, e->type, e->value.i);
  case TE_AXIS:
    for (int i = 0; i < in->stage->nroot; i++)
      if (in->stage->root[i]->root == e->axis) return in->root_value[i];
    for (int i = 0; i < in->stage->nrroot; i++)
      if (in->stage->rroot[i]->root == e->axis) return in->rroot_value[i];
    break;
  case TE_UNARY: return expr_unary(cx, e->unop, index_expr(f, in, e->a));
  case TE_BINARY: return expr_binary(cx, e->binop, index_expr(f, in, e->a), index_expr(f, in, e->b));
  case TE_CAST:
    if (dtype_is_float(e->a->type)) break;
    return expr_cast(cx, e->type, index_expr(f, in, e->a));
  case TE_SELECT: return expr_select(cx, index_expr(f, in, e->a), index_expr(f, in, e->b), index_expr(f, in, e->c));
  case TE_MATH:
    if (e->fn != FN_ABS || dtype_is_float(e->type)) break;
    return expr_math(cx, e->fn, index_expr(f, in, e->args[0]), NULL);
  case TE_ACCESS: break;
  }
  // A value that is known when the kernel runs: anything its type holds (of a uint64, which bits are what it looks
  // like).
  int bits = dtype_is_float(e->type) ? 64 : dtype_bits(e->type);
  int64_t lo = INT64_MIN, hi = INT64_MAX;
  if (bits < 64) lo = dtype_is_signed(e->type) ? -((int64_t)1 << (bits - 1)) : 0, hi = lo + ((int64_t)1 << bits) - 1;
  return expr_cast(cx, e->type, relax(f, name_of(cx->names, "value"), lo, hi));
}

// Adds what e reads of the stages inside.
static void need_of(Infer *f, const Instance *in, const TeExpr *e) {
  Lower *l = f->l;
  switch (e->kind) {
  case TE_CONST:
  case TE_AXIS: return;
  case TE_SELECT:
    need_of(f, in, e->c);
    // fall through
  case TE_BINARY:
    need_of(f, in, e->b);
    // fall through
  case TE_UNARY:
  case TE_CAST: need_of(f, in, e->a); return;
  case TE_ACCESS: {
    const Stage *p = stage_of(l, e->tensor);
    if (f->is_inside[p->index]) {
      Segment **need = &f->need[p->index];
      bool first = !*need;
      if (first) *need = NEW_ARRAY(l->cx->arena, Segment, e->nargs);
      for (int i = 0; i < e->nargs; i++) {
        const Expr *at = expr_simplify(l->cx, &l->ranges, index_expr(f, in, e->args[i]));
        if (mentions_fixed(f, at)) f->moving[p->index] = e->args[i];
        Segment v = segment_of_index(l, &f->relaxed, at, e->tensor->axes[i]->extent);
        (*need)[i] = first ? v : segment_union(l, &(*need)[i], &v);
      }
    }
  }
    // fall through
  case TE_MATH:
    for (int i = 0; i < e->nargs; i++) need_of(f, in, e->args[i]);
  }
}

// Sets the axes of the stage whose loop was entered: loops up to i are fixed, the others relaxed, each root axis being
// a segment of its own.
static void relax_reader(Infer *f, Instance *in, int i) {
  Lower *l = f->l;
  const Stage *s = in->stage;
  Leaf *saved = arena_copy(l->cx->arena, in->leaf, s->leaf.len * sizeof(Leaf));
  for (size_t k = (size_t)i + 1; k < s->leaf.len; k++) {
    for (int m = 0; m < in->nlimits; m++) {
      int64_t lo, hi, c = in->limits[m].coef ? in->limits[m].coef[k] : 0;
      if (!c) continue;
      limit_bounds(in, &in->limits[m], (int)k, &lo, &hi);
      int64_t end = floor_div(in->limits[m].extent - 1 - lo, c) + 1;
      if (end < in->leaf[k].hi) in->leaf[k].hi = end > in->leaf[k].lo ? end : in->leaf[k].lo + 1;
    }
    in->leaf[k].value = relax(f, s->leaf.data[k]->name, in->leaf[k].lo, in->leaf[k].hi - 1);
  }
  for (int k = 0; k < s->nroot + s->nrroot; k++) {
    const Axis *a = k < s->nroot ? s->root[k] : s->rroot[k - s->nroot];
    const Expr *value = expr_simplify(l->cx, &l->ranges, axis_value(l, in, a));
    Segment v = segment_of(l, &f->relaxed, value);
    int64_t n = in->axis_extent[a->index];
    if (v.min.nterms == 0 && v.min.constant + v.extent > n) v.extent = n - v.min.constant;
    const Expr *min = affine_expr(l->cx, &v.min);
    if (k < s->nroot && in->min[k]) min = expr_binary(l->cx, OP_ADD, min, in->min[k]);
    const Expr *e = v.extent == 1 ? min : expr_binary(l->cx, OP_ADD, min, relax(f, a->name, 0, v.extent - 1));
    if (k < s->nroot) in->root_value[k] = e;
    else in->rroot_value[k - s->nroot] = e;
  }
  memcpy(in->leaf, saved, s->leaf.len * sizeof(Leaf));
}

// The same for a stage inside, whose region is known: all its axes are relaxed.
static Instance *relax_region(Infer *f, Stage *s, const Region *r) {
  Ctx *cx = f->l->cx;
  Instance *in = NEW(cx->arena, Instance);
  in->stage = s;
  in->root_value = NEW_ARRAY(cx->arena, const Expr *, s->nroot);
  in->rroot_value = NEW_ARRAY(cx->arena, const Expr *, s->nrroot + 1);
  for (int i = 0; i < s->nroot; i++) {
    const Expr *t = relax(f, s->root[i]->name, 0, r->extent[i] - 1);
    in->root_value[i] = r->min[i] ? expr_binary(cx, OP_ADD, r->min[i], t) : t;
  }
  for (int i = 0; i < s->nrroot; i++) in->rroot_value[i] = relax(f, s->rroot[i]->name, 0, s->rroot[i]->extent - 1);
  return in;
}

// Collects the stages computed at leaf `from` of s or inside, with all that is computed at those.
static void collect_inside(Infer *f, const Stage *s, int from) {
  for (size_t i = 0; i < s->attached.len; i++) {
    Stage *p = s->attached.data[i];
    if (stage_leaf_index(s, p->at_axis) < from) continue;
    f->is_inside[p->index] = true;
    collect_inside(f, p, 0);
  }
}

// Says, as a remark, that a stage is computed whole in each iteration of the loop at which it is computed.
static void tell_whole(const Infer *f, const Stage *s, const Axis *at, const Region *r) {
  bool whole = true, one = true;
  for (int a = 0; a < s->nroot; a++)
    whole = whole && r->extent[a] == s->root[a]->extent, one = one && r->extent[a] == 1;
  if (s->whole || s->at_axis != at || !f->moving[s->index] || !whole || one) return;
  Diag *g = diag_report(f->l->cx->diags, R_REGION, s->attach_loc, "`%s` is computed whole in each iteration of `%s`",
                        s->name, at->name);
  diag_about(g, s->name);
  diag_also(g, f->moving[s->index]->loc, "what this needs of it is all of it, or is not known to be less");
}

// What a stage that is computed by turns computes in one: what stands where the reader does, along axes of which loops
// around the turn are made.
static Region region_of_turn(Infer *f, const Instance *in, const Stage *p) {
  Lower *l = f->l;
  Arena *m = l->cx->arena;
  int at = stage_leaf_index(in->stage, p->at_axis);
  Affine *start = NEW_ARRAY(m, Affine, p->nroot);
  Region r = {NEW_ARRAY(m, const Expr *, p->nroot), NEW_ARRAY(m, int64_t, p->nroot), start};
  for (int a = 0; a < p->nroot; a++) {
    int64_t n = r.extent[a] = p->root[a]->extent;
    if (a >= in->stage->nroot || !stage_axis_within(in->stage, in->stage->root[a], at)) continue;
    Segment v = segment_of(l, &f->relaxed, expr_simplify(l->cx, &l->ranges, in->root_value[a]));
    start[a] = v.min;
    region_clip(l, &v.min, v.extent, n, false, &r.min[a], &r.extent[a]);
  }
  return r;
}

// What a stage must provide for those that read it inside loop i.
static Region region_of_need(Infer *f, const Instance *in, int i, Stage *s) {
  Lower *l = f->l;
  Arena *m = l->cx->arena;
  Segment *need = f->need[s->index];
  Affine *start = NEW_ARRAY(m, Affine, s->nroot);
  Region r = {NEW_ARRAY(m, const Expr *, s->nroot), NEW_ARRAY(m, int64_t, s->nroot), start};
  for (int a = 0; a < s->nroot; a++) {
    start[a] = need[a].min;
    if (s->circle && s->root[a]->root->carried) { // what is made there needs what was made before
      start[a] = (Affine){0};
      need[a].extent = s->root[a]->extent;
    }
    region_clip(l, &start[a], need[a].extent, s->root[a]->extent, s->stored, &r.min[a], &r.extent[a]);
  }
  if (!l->quiet && !l->ahead) tell_whole(f, s, in->stage->leaf.data[i], &r);
  if (keep_at(in, i, s)) keep_fresh(l, in, i, s, &r);
  return r;
}

Region *infer_regions(Lower *l, Instance *in, int i) {
  Ctx *cx = l->cx;
  size_t n = l->schedule->stages.len, mark = l->ranges.len;
  Infer f = {.l = l};
  f.need = NEW_ARRAY(cx->arena, Segment *, n);
  f.is_inside = NEW_ARRAY(cx->arena, bool, n);
  f.moving = NEW_ARRAY(cx->arena, const TeExpr *, n);
  Region *out = NEW_ARRAY(cx->arena, Region, n);
  collect_inside(&f, in->stage, i);
  relax_reader(&f, in, i);
  need_of(&f, in, in->stage->body);
  if (in->stage->where) need_of(&f, in, in->stage->where);
  for (size_t k = n; k-- > 0;) {
    Stage *s = l->schedule->stages.data[k];
    bool turns = s->whole && s->at_stage == in->stage;
    if (!f.is_inside[k] || (!turns && !f.need[k])) continue;
    out[k] = turns ? region_of_turn(&f, in, s) : region_of_need(&f, in, i, s);
    if (k > 0) {
      const Instance *all = relax_region(&f, s, &out[k]);
      need_of(&f, all, s->body);
      if (s->where) need_of(&f, all, s->where);
    }
  }
  while (l->ranges.len > mark) ranges_pop(&l->ranges);
  return out;
}

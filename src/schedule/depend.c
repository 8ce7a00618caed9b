// SPDX-License-Identifier: Apache-2.0
// What the points of a stage need of each other, and whether its loops keep to it.
//
// A point is a value of each of the stage's axes, reduction axes among them. Two points depend on each other where
//   the second reads an element that the first helps to make (a recurrence),
//   both reduce into one element of floats, and the kernel takes the first one first (order.c), or
//   both reduce into one element.
// Where stages share loops (compute_with), the second may be one of a reader's: an element of the stage that is read is
// made at the point that has its place.
//
// Split and fuse make axes of axes: `parent = outer * size + inner`, both ways. So the values of all axes at both
// points are solutions of a linear system, with what the read's indices and the conditions around it say of them. The
// loops take the points in lexicographic order. A dependence is broken where, loops around being equal, a loop may have
// the first point behind the second: that system must have no solution. A loop whose iterations run at the same time
// may have them neither way. What cannot be proved so is tried point by point (points.c); what is then not known is
// refused.
#include "schedule/internal.h"

#include "lin/lin.h"

// One dependence: the system of its pairs, and which variables have the axes' values, by Axis.index. The two are the
// same where both points must have one value.
typedef struct Depend {
  ConflictKind kind;
  const TeExpr *read; // CONFLICT_READ
  LinSystem *pairs;
  int *first, *second;
} Depend;

typedef struct Depends {
  Ctx *cx;
  const Stage *stage;         // whose loops are asked of
  const Stage *reader, *read; // who reads whom in them: itself, unless they share the loops
  size_t nloops;              // how many of the loops count
  VEC(Depend) list;
} Depends;

enum { MOST_ATOMS = 24 }; // of the expressions of one access, beside axes

// ---- systems --------------------------------------------------------------------------------------------------------

static LinForm term(Arena *a, int var, int64_t k) {
  LinTerm t = {var, k};
  return (LinForm){.n = 1, .terms = arena_copy(a, &t, sizeof t), .ok = true};
}

// lo <= var < hi
static void add_range(Ctx *cx, LinSystem *s, int var, int64_t lo, int64_t hi) {
  LinForm v = term(cx->arena, var, 1);
  system_add(s, form_add(cx->arena, v, form_const(lo), -1), false);
  system_add(s, form_add(cx->arena, form_const(hi - 1), v, -1), false);
}

// parent == outer * size + inner, for both kinds of relations
static void add_relation(Ctx *cx, LinSystem *s, const Relation *r, const int *var) {
  LinForm f = term(cx->arena, var[r->parent->index], 1);
  f = form_add(cx->arena, f, term(cx->arena, var[r->outer->index], r->inner->extent), -1);
  system_add(s, form_add(cx->arena, f, term(cx->arena, var[r->inner->index], 1), -1), true);
}

// Whether an axis may have two values at the points of a dependence: `moving` says it of the kernel's axes.
static void spread_moving(const Stage *s, bool *moving) {
  for (size_t i = 0; i < s->axes.len; i++) {
    const Relation *r = s->axes.data[i]->made_by;
    if (!r) continue;
    moving[i] = r->kind == REL_SPLIT ? moving[r->parent->index] : moving[r->outer->index] || moving[r->inner->index];
  }
}

// All pairs of points of the stage; those axes that are not moving have one value.
static Depend all_pairs(Depends *d, ConflictKind kind, bool *moving) {
  const Stage *s = d->stage;
  Ctx *cx = d->cx;
  int n = (int)s->axes.len, next = 0;
  Depend out = {.kind = kind, .pairs = system_new(cx->arena, 2 * n + MOST_ATOMS)};
  out.first = NEW_ARRAY(cx->arena, int, n + 1);
  out.second = NEW_ARRAY(cx->arena, int, n + 1);
  spread_moving(s, moving);
  for (int i = 0; i < n; i++) {
    out.second[i] = next++;
    out.first[i] = moving[i] ? next++ : out.second[i];
    add_range(cx, out.pairs, out.second[i], 0, s->axes.data[i]->extent);
    if (moving[i]) add_range(cx, out.pairs, out.first[i], 0, s->axes.data[i]->extent);
  }
  for (int i = 0; i < n; i++) {
    const Relation *r = s->axes.data[i]->made_by;
    if (!r || !moving[i] || s->axes.data[i] == r->inner) continue;
    add_relation(cx, out.pairs, r, out.second);
    add_relation(cx, out.pairs, r, out.first);
  }
  return out;
}

// second - first of an axis, less k
static LinForm distance(Ctx *cx, const Depend *d, const Axis *a, int64_t k) {
  LinForm f = form_add(cx->arena, term(cx->arena, d->second[a->index], 1), term(cx->arena, d->first[a->index], 1), -1);
  return form_add(cx->arena, f, form_const(k), -1);
}

// ---- the dependences of a stage -------------------------------------------------------------------------------------

static bool *reduction_moves(Ctx *cx, const Stage *s) {
  bool *moving = NEW_ARRAY(cx->arena, bool, s->axes.len + 1);
  for (int i = 0; i < s->nrroot; i++) moving[s->rroot[i]->index] = true;
  return moving;
}

// Points of one element; in order: for each reduction axis those pairs that differ in it first.
static void add_reduction(Depends *d) {
  const Stage *s = d->stage;
  if (s->reduce == TE_NO_REDUCE) return;
  VEC_PUSH(d->cx->arena, d->list, all_pairs(d, CONFLICT_ELEMENT, reduction_moves(d->cx, s)));
  for (int i = 0; i < s->nrroot && stage_keeps_order_of_floats(s); i++) {
    Depend o = all_pairs(d, CONFLICT_ORDER, reduction_moves(d->cx, s));
    for (int k = 0; k < i; k++) system_add(o.pairs, distance(d->cx, &o, s->rroot[k], 0), true);
    system_add(o.pairs, distance(d->cx, &o, s->rroot[i], 1), false);
    VEC_PUSH(d->cx->arena, d->list, o);
  }
}

// Forms over the atoms of `known` as forms over the variables of a dependence.
typedef struct Translate {
  Ctx *cx;
  const Stage *stage, *reader;
  Depend *depend;
  Facts *known;
  int var[MOST_ATOMS], natoms; // that are no axes: their numbers, and which variables they have
  int atom[MOST_ATOMS];
} Translate;

static LinForm translate(Translate *t, LinForm x);

static void add(Translate *t, LinForm x, LinForm y, int64_t k) {
  system_add(t->depend->pairs, form_add(t->cx->arena, x, y, k), false);
}

// What is known of x / c, x % c, min(x, y) and max(x, y) by the values of x and y; v: the variable that has them.
static void describe(Translate *t, const void *e, LinForm v) {
  Arena *a = t->cx->arena;
  LinNode n = t->known->read->node(e), c;
  Interval r = facts_range(t->known, e);
  if (!interval_is_empty(r) && interval_is_int64(r)) {
    add(t, v, form_const((int64_t)r.lo), -1);
    add(t, form_const((int64_t)r.hi), v, -1);
  }
  if (n.kind != LIN_BINARY || (n.binop != OP_MIN && n.binop != OP_MAX && n.binop != OP_DIV && n.binop != OP_MOD))
    return;
  LinForm x = translate(t, facts_form(t->known, n.a));
  if (n.binop == OP_MIN || n.binop == OP_MAX) {
    LinForm y = translate(t, facts_form(t->known, n.b));
    int64_t k = n.binop == OP_MIN ? 1 : -1;
    add(t, form_scale(a, x, k), v, -k);
    add(t, form_scale(a, y, k), v, -k);
    return;
  }
  c = t->known->read->node(n.b);
  if (c.kind != LIN_CONST || c.value <= 0 || c.value > INT32_MAX) return;
  LinForm rest; // x % c
  if (n.binop == OP_DIV) {
    rest = form_add(a, x, v, -c.value);
  } else {
    LinForm q = translate(t, facts_form(t->known, t->known->read->quotient(t->known, e)));
    rest = v;
    system_add(t->depend->pairs, form_add(a, form_add(a, x, q, -c.value), v, -1), true);
  }
  add(t, rest, form_const(0), 1);
  add(t, form_const(c.value - 1), rest, -1);
}

// Whether positions along the i-th axis of `other` are those along that of s.
static bool in_place(const Stage *s, const Stage *other, int i) {
  return i < s->nroot && i < other->nroot && s->root[i]->extent == other->root[i]->extent;
}

// The variable of an atom; -1: there are too many.
static int variable_of(Translate *t, int atom) {
  const TeExpr *e = t->known->atoms.data[atom].what;
  const Stage *s = t->stage, *reader = t->reader;
  for (int i = 0; e->kind == TE_AXIS && i < reader->nroot; i++)
    if (reader->root[i]->root == e->axis && in_place(s, reader, i)) return t->depend->second[s->root[i]->index];
  for (int i = 0; e->kind == TE_AXIS && reader == s && i < s->nrroot; i++)
    if (s->rroot[i]->root == e->axis) return t->depend->second[s->rroot[i]->index];
  for (int i = 0; i < t->natoms; i++)
    if (t->atom[i] == atom) return t->var[i];
  if (t->natoms == MOST_ATOMS) return -1;
  int var = 2 * (int)s->axes.len + t->natoms;
  t->atom[t->natoms] = atom;
  t->var[t->natoms++] = var;
  describe(t, e, term(t->cx->arena, var, 1));
  return var;
}

static LinForm translate(Translate *t, LinForm x) {
  LinForm out = form_const(x.c);
  out.ok = x.ok;
  for (int i = 0; x.ok && i < x.n; i++) {
    int var = variable_of(t, x.terms[i].atom);
    if (var < 0) return (LinForm){0};
    out = form_add(t->cx->arena, out, term(t->cx->arena, var, 1), x.terms[i].coef);
  }
  return out;
}

static void translate_fact(Translate *t, Fact f) {
  if (f.atom < 0) {
    add(t, translate(t, f.form), form_const(0), 1);
    return;
  }
  int var = variable_of(t, f.atom);
  if (var < 0) return;
  LinForm v = term(t->cx->arena, var, 1);
  if (f.range.lo == (int64_t)f.range.lo) add(t, v, form_const((int64_t)f.range.lo), -1);
  if (f.range.hi == (int64_t)f.range.hi) add(t, form_const((int64_t)f.range.hi), v, -1);
}

// A read of elements that are made in these loops: the second point reads, the first is any of those of the element.
static void add_read(void *self, Facts *known, const TeExpr *e) {
  Depends *d = self;
  const Stage *s = d->stage;
  if (e->tensor != d->read->tensor) return;
  bool *moving = reduction_moves(d->cx, s);
  for (int i = 0; i < s->nroot; i++)
    moving[s->root[i]->index] = !in_place(s, d->read, i) || !in_place(s, d->reader, i) || e->args[i]->kind != TE_AXIS ||
                                e->args[i]->axis != d->reader->root[i]->root;
  Depend r = all_pairs(d, CONFLICT_READ, moving);
  r.read = e;
  Translate t = {.cx = d->cx, .stage = s, .reader = d->reader, .depend = &r, .known = known};
  size_t nfacts = known->list.len;
  for (int i = 0; i < s->nroot; i++) {
    if (!moving[s->root[i]->index] || !in_place(s, d->read, i)) continue;
    LinForm at = translate(&t, facts_form(known, e->args[i]));
    LinForm element = term(d->cx->arena, r.first[s->root[i]->index], 1);
    system_add(r.pairs, form_add(d->cx->arena, at, element, -1), true);
  }
  for (size_t i = 0; i < nfacts; i++) translate_fact(&t, known->list.data[i]);
  VEC_PUSH(d->cx->arena, d->list, r);
}

static Depends depends_of(Ctx *cx, const Stage *s) {
  Depends d = {.cx = cx, .stage = s, .reader = s, .read = s, .nloops = s->leaf.len};
  add_reduction(&d);
  if (!s->circle) return d;
  Facts f = te_facts(cx->arena);
  te_accesses(&f, s->body, s->where, add_read, &d);
  return d;
}

// ---- whether they are kept ------------------------------------------------------------------------------------------

// Whether iterations of a loop run at the same time. Lanes add up integers one after the other.
bool runs_at_once(const Axis *a, ConflictKind kind) {
  switch (a->kind) {
  case FOR_SERIAL:
  case FOR_UNROLLED: return false;
  case FOR_VECTORIZED: return kind == CONFLICT_READ;
  case FOR_PARALLEL:
  case FOR_VTHREAD: return true;
  }
  return true;
}

// Whether the pairs of `s` cannot have f >= 0.
static bool never(Ctx *cx, const LinSystem *s, LinForm f) {
  LinSystem *with = system_copy(cx->arena, s);
  system_add(with, f, false);
  return system_is_empty(with);
}

// Whether a dependence is proved to be kept by the order of the loops (a: NULL), or not to be carried by loop a, whose
// whose iterations run at the same time. Of the loops, the outer n are looked at.
static bool proved(Ctx *cx, const Stage *s, size_t n, const Depend *d, const Axis *parallel) {
  LinSystem *equal = system_copy(cx->arena, d->pairs);
  for (size_t i = 0; i < n; i++) {
    const Axis *a = s->leaf.data[i];
    if (d->first[a->index] == d->second[a->index]) {
      if (a == parallel) return true;
      continue;
    }
    if (a == parallel || !parallel) {
      LinForm behind = form_add(cx->arena, form_scale(cx->arena, distance(cx, d, a, 0), -1), form_const(1), -1);
      if (!never(cx, equal, behind)) return false;
      if (parallel) return never(cx, equal, distance(cx, d, a, 1));
    }
    system_add(equal, distance(cx, d, a, 0), true);
    if (system_is_empty(equal)) return true;
  }
  return true;
}

bool sequence_proved(Ctx *cx, const Stage *s) {
  Ctx scratch = *cx;
  scratch.arena = arena_new();
  Depends d = depends_of(&scratch, s);
  bool ok = true;
  for (size_t i = 0; i < d.list.len && ok; i++)
    ok = d.list.data[i].kind != CONFLICT_ORDER || proved(&scratch, s, d.nloops, &d.list.data[i], NULL);
  arena_free(scratch.arena);
  return ok;
}

// A stage that is computed at another has shorter axes there, but for those along which it reads itself. Of two such
// axes in one loop, how the loop is cut is not known here.
static bool mixes_axes(const Stage *s) {
  if (!s->circle || s->attach != ATTACH_AT) return false;
  Arena *own = arena_new();
  bool *moving = NEW_ARRAY(own, bool, s->axes.len);
  for (int i = 0; i < s->nroot; i++) moving[s->root[i]->index] = s->root[i]->root->carried;
  spread_moving(s, moving);
  bool mixed = false;
  for (size_t i = 0; i < s->axes.len; i++) {
    const Relation *r = s->axes.data[i]->made_by;
    mixed = mixed || (r && r->kind == REL_FUSE && moving[r->outer->index] != moving[r->inner->index]);
  }
  arena_free(own);
  return mixed;
}

// Sets *c to a dependence that is not known to be kept.
static bool broken(Ctx *cx, const Stage *s, size_t nloops, const Depend *d, Conflict *c) {
  *c = (Conflict){.kind = d->kind, .read = d->read};
  if (d->kind == CONFLICT_READ && (mixes_axes(s) || !proved(cx, s, nloops, d, NULL))) return true;
  for (size_t i = 0; i < nloops; i++) {
    c->loop = s->leaf.data[i];
    if (runs_at_once(c->loop, d->kind) && !proved(cx, s, nloops, d, c->loop)) return true;
  }
  return false;
}

bool stage_conflict(Ctx *cx, const Stage *s, Conflict *c) {
  Ctx scratch = *cx;
  scratch.arena = arena_new();
  Depends d = depends_of(&scratch, s);
  bool found = false;
  for (size_t i = 0; i < d.list.len && !found; i++) {
    if (d.list.data[i].kind == CONFLICT_ORDER || !broken(&scratch, s, d.nloops, &d.list.data[i], c)) continue;
    found = c->kind != CONFLICT_READ || mixes_axes(s) || !points_keep_reads(cx, s, c);
  }
  if (!found) *c = (Conflict){0};
  arena_free(scratch.arena);
  return found;
}

bool loop_conflict(Ctx *cx, const Stage *s, const Axis *a, ConflictKind kind, Conflict *c) {
  Ctx scratch = *cx;
  scratch.arena = arena_new();
  Depends d = depends_of(&scratch, s);
  bool found = false;
  for (size_t i = 0; i < d.list.len && !found; i++) {
    *c = (Conflict){.kind = d.list.data[i].kind, .read = d.list.data[i].read, .loop = a};
    found = c->kind == kind && !proved(&scratch, s, d.nloops, &d.list.data[i], a);
  }
  arena_free(scratch.arena);
  return found;
}

bool shared_conflict(Ctx *cx, const Stage *s, size_t nloops, const Stage *reader, const Stage *read, Conflict *c) {
  Ctx scratch = *cx;
  scratch.arena = arena_new();
  Depends d = {.cx = &scratch, .stage = s, .reader = reader, .read = read, .nloops = nloops};
  Facts f = te_facts(scratch.arena);
  te_accesses(&f, reader->body, reader->where, add_read, &d);
  bool found = false;
  for (size_t i = 0; i < d.list.len && !found; i++) found = broken(&scratch, s, nloops, &d.list.data[i], c);
  if (!found) *c = (Conflict){0};
  arena_free(scratch.arena);
  return found;
}

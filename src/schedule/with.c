// SPDX-License-Identifier: Apache-2.0
// `compute_with`: a stage takes turns with another in the loops of that one. Each turn makes the elements that have the
// places, along the axes of which the loops around it are made, of those that the other makes in it. So these loops
// have to cut the other into blocks; then each element is made once. It has to be made before what reads it: in the
// same turn, or in an earlier one. Turns come before the rest of the loop's body, in the order of the stages.
#include "schedule/internal.h"

const Stage *stage_around(const Stage *s) {
  while (s->attach == ATTACH_AT) s = s->at_stage;
  return s;
}

// The message's beginning; why: what stands in the way.
static Diag *refuse_with(const Schedule *s, const Stage *st, const char *why) {
  return diag_report(s->cx->diags, E_COMPUTE_AT, st->attach_loc, "`%s` cannot be computed with `%s`: %s", st->name,
                     st->at_stage->name, why);
}

static void offer_root(const Schedule *s, Diag *g, const Stage *st) {
  const char *root = arena_printf(s->cx->arena, "%s.compute_root()", st->name);
  diag_fix(g, st->attach_loc, root, "compute it by itself: `%s;`", root);
}

// ---- blocks ---------------------------------------------------------------------------------------------------------

// Whether all loops made of axis a are among those up to i, and the last of them; -1: no loop yet.
static bool all_within(const Stage *s, const Axis *a, int i) {
  const Relation *r = a->used_by;
  if (!r) return stage_leaf_index(s, a) <= i;
  if (r->kind == REL_FUSE) return all_within(s, r->parent, i);
  return all_within(s, r->outer, i) && all_within(s, r->inner, i);
}

// Whether turns of the loops up to i have blocks of axis a, of which only the last may be shorter: loops inside blocks
// are among them only where those over blocks are, and no condition tells what is beyond the axis. `cut`: a has a tail.
static bool in_blocks(const Stage *s, const Axis *a, int i, bool cut) {
  const Relation *r = a->used_by;
  if (!r || !stage_axis_within(s, a, i)) return true;
  if (r->kind == REL_FUSE) return !cut && all_within(s, r->parent, i) && in_blocks(s, r->parent, i, false);
  bool tail = r->parent->extent % r->inner->extent != 0;
  if (tail && r->tail != TAIL_PEEL) return false;
  int first = 0; // the outermost loop inside of blocks
  while (!stage_axis_within(s, r->inner, first)) first++;
  if (first <= i && !all_within(s, r->outer, tail ? first - 1 : i)) return false;
  return in_blocks(s, r->outer, i, cut || tail) && in_blocks(s, r->inner, i, cut || tail);
}

static bool check_blocks(const Schedule *s, const Stage *st, int loops) {
  const Stage *other = st->at_stage;
  for (int i = 0; i < loops; i++) {
    const Axis *a = other->leaf.data[i];
    if (!a->reduce) continue;
    Diag *g = refuse_with(s, st, "a loop around the turns reduces");
    diag_also(g, a->loc, "`%s` is an axis of the reduction", a->name);
    diag_help(g, "name a loop of `%s` outside of its reduction", other->name);
    return false;
  }
  for (int i = 0; i < other->nroot; i++) {
    const Axis *a = other->root[i];
    if (!stage_axis_within(other, a, loops - 1)) continue;
    if (i >= st->nroot || st->root[i]->extent != a->extent) {
      Diag *g = refuse_with(
          s, st, arena_printf(s->cx->arena, "its axes are not those of the loops around `%s`", st->at_axis->name));
      diag_also(g, a->loc, "`%s` has %lld positions along `%s`", other->name, (long long)a->extent, a->name);
      if (i < st->nroot)
        diag_also(g, st->root[i]->loc, "`%s` has %lld along `%s`", st->name, (long long)st->root[i]->extent,
                  st->root[i]->name);
      diag_help(g, "axes correspond by their places: name a loop of `%s` outside of that axis, or none", other->name);
      return false;
    }
    if (in_blocks(other, a, loops - 1, false)) continue;
    Diag *g = refuse_with(s, st, arena_printf(s->cx->arena, "its turns would not be blocks of `%s`", a->name));
    diag_also(g, a->used_by->loc, "`%s` is cut here", a->name);
    diag_help(g, "name a loop over blocks, or one inside of it, where the tail of the split is peeled and not fused");
    return false;
  }
  return true;
}

// ---- order ----------------------------------------------------------------------------------------------------------

// Whether all that st reads is made before. Of what takes turns itself, or is computed where it is needed, its
// own check tells.
static bool check_producers(const Schedule *s, const Stage *st) {
  const Stage *other = st->at_stage;
  for (size_t i = 0; i < st->producers.len; i++) {
    const Stage *p = st->producers.data[i], *root = stage_around(p);
    bool inside = p != other && root == other && (p->with || !p->whole);
    if (!p->body || root->index < other->index || inside) continue;
    Diag *g = refuse_with(s, st, arena_printf(s->cx->arena, "`%s` is not computed by then", p->name));
    const TeExpr *read = expr_read(st->body, p->tensor);
    diag_also(g, (read ? read : expr_read(st->where, p->tensor))->loc, "`%s` reads `%s` here", st->name, p->name);
    const Axis *same = stage_axis(st, st->at_axis->name); // a loop of its own for the turns, where it is turned round
    if (p == other && same)
      diag_help(g, "turn it round: `%s.compute_with(%s, %s);`", other->name, st->name, same->name);
    else offer_root(s, g, st);
    return false;
  }
  return true;
}

static Diag *refuse_reader(const Schedule *s, const Stage *st, const Stage *reader, const char *why) {
  Diag *g = refuse_with(s, st, arena_printf(s->cx->arena, "`%s`, which reads it, %s", reader->name, why));
  const TeExpr *read = expr_read(reader->body, st->tensor);
  diag_also(g, (read ? read : expr_read(reader->where, st->tensor))->loc, "`%s` reads `%s` here", reader->name,
            st->name);
  return g;
}

// Whether what reader reads of st is made before: stages read each other in turns only along the loops that they share.
static bool check_reader(const Schedule *s, const Stage *st, const Stage *reader, int loops) {
  const Stage *other = st->at_stage, *root = stage_around(reader);
  Conflict c;
  if (root->index > other->index) return true;
  if (root != other) {
    offer_root(s, refuse_reader(s, st, reader, "is computed before these loops"), st);
    return false;
  }
  if (reader != other && !reader->with) {
    Diag *g = refuse_reader(s, st, reader, "is computed in these loops where it is needed");
    diag_also(g, reader->attach_loc, "`%s` is computed here", reader->name);
    offer_root(s, g, st);
    return false;
  }
  if (reader != other && stage_leaf_index(other, reader->at_axis) < loops - 1) {
    Diag *g = refuse_reader(s, st, reader, "takes its turns further out");
    diag_also(g, reader->attach_loc, "here");
    offer_root(s, g, st);
    return false;
  }
  if (!shared_conflict(s->cx, other, (size_t)loops, reader, st, &c)) return true;
  Diag *g = refuse_with(s, st,
                        c.loop ? arena_printf(s->cx->arena, "iterations of `%s` would need each other", c.loop->name)
                               : arena_printf(s->cx->arena, "`%s` would read what later turns make", reader->name));
  explain_read(s->cx, g, st, &c);
  if (c.loop) diag_also(g, c.loop->kind_loc, "they run at the same time");
  diag_help(g,
            "name a loop further out, such that each turn has all that is read in it, or compute `%s` at what reads it",
            st->name);
  offer_root(s, g, st);
  return false;
}

static bool check_place(const Schedule *s, const Stage *st) {
  const Stage *other = st->at_stage;
  const char *why = other->attach == ATTACH_INLINE ? "that is inlined, and has no loops"
                    : !other->live                 ? "no output needs that"
                    : other->attach == ATTACH_AT   ? "that is computed at another stage itself"
                                                   : NULL;
  if (why) {
    Diag *g = refuse_with(s, st, why);
    if (other->attach != ATTACH_ROOT) diag_also(g, other->attach_loc, "here");
    diag_help(g, "name a stage that is computed by itself");
    offer_root(s, g, st);
    return false;
  }
  if (!st->at_axis->used_by) return true;
  Diag *g = refuse_with(s, st, arena_printf(s->cx->arena, "`%s` is no loop of it any more", st->at_axis->name));
  diag_also(g, st->at_axis->used_by->loc, "`%s` was replaced here", st->at_axis->name);
  diag_help(g, "move the `compute_with` after this line, and name one of the new axes");
  return false;
}

bool check_with(const Schedule *s, const Stage *st) {
  if (!check_place(s, st)) return false;
  int loops = stage_leaf_index(st->at_stage, st->at_axis) + 1;
  if (!check_blocks(s, st, loops) || !check_producers(s, st)) return false;
  for (size_t i = 0; i < st->consumers.len; i++)
    if (st->consumers.data[i]->live && !check_reader(s, st, st->consumers.data[i], loops)) return false;
  return true;
}

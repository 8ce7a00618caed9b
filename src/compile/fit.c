// SPDX-License-Identifier: Apache-2.0
// What fits on chip, found out by trials: for each memory that overflows, and each number in the schedule by which an
// axis is cut, the nearest other one with which that memory does not overflow. Memory needed grows with the tiles, so a
// number is searched for by halves; of a knob's set, one after the other. Where a stage is computed whole, at root, the
// loop to compute it at instead: the outermost of its readers' with which it fits.
#include "compile/compile.h"

#include <string.h>

enum { TRIALS_MOST = 80, TRIALS_MIB = 512, PHASE_RESOURCES = 4 };

typedef struct Fit {
  const Compilation *c;
  const AxisCut *cut;
  const char *memory; // the name of its scope
  int overflows;      // of that memory, now
  int errors;         // now
  int tries;          // left
  bool fits;          // the last one
} Fit;

// How many messages speak of that memory.
static int count_overflows(const Diags *told, const char *memory) {
  int n = 0;
  const Diag *g;
  for (int i = 0; (g = diags_find(told, E_SRAM, i)); i++) n += !strcmp(diag_subject(g), memory);
  return n;
}

static void see(void *self, const Diags *told) {
  Fit *f = self;
  f->fits = diags_phase(told) >= PHASE_RESOURCES && diags_errors(told) < f->errors &&
            count_overflows(told, f->memory) < f->overflows;
}

// Whether that memory holds it all with an edit of the text.
static bool edit_fits(Fit *f, Loc at, const char *replacement) {
  f->fits = false;
  if (f->tries-- > 0) trial_look(f->c, at, replacement, see, f);
  return f->fits;
}

// The same with v in place of the cut's number.
static bool fits(Fit *f, int64_t v) {
  return edit_fits(f, f->cut->at, arena_printf(f->c->cx->arena, "%lld", (long long)v));
}

// The nearest value of the knob's set that makes smaller tiles and fits; 0 if there is none.
static int64_t nearest_of_set(Fit *f) {
  const AxisCut *c = f->cut;
  for (int64_t last = c->value, next;; last = next) {
    next = 0;
    for (int i = 0; i < c->nset; i++) {
      int64_t v = c->set[i];
      bool smaller = c->parts ? v > last && (!next || v < next) : v > 0 && v < last && v > next;
      if (smaller) next = v;
    }
    if (!next || f->tries <= 0 || fits(f, next)) return f->tries >= 0 ? next : 0;
  }
}

// The largest factor, or the smallest number of parts, that fits; 0 if none was found.
static int64_t nearest_number(Fit *f) {
  const AxisCut *c = f->cut;
  int64_t bad = c->value < c->extent ? c->value : c->extent, good = bad;
  do {
    bad = good;
    good = c->parts ? (bad > c->extent / 2 ? c->extent : bad * 2) : bad / 2;
    if (good < 1 || good == bad || f->tries <= 0) return 0;
  } while (!fits(f, good));
  while (good - bad > 1 || bad - good > 1) {
    int64_t middle = bad + (good - bad) / 2;
    if (f->tries <= 0) return 0; // half a search is no answer
    *(fits(f, middle) ? &good : &bad) = middle;
  }
  return good;
}

static void offer(const Fit *f, Diag *g, int64_t v) {
  const AxisCut *c = f->cut;
  const char *number = arena_printf(f->c->cx->arena, "%lld", (long long)v);
  if (c->knob)
    diag_fix(g, c->at, number, "set knob `%s` to `%s`, the %s %sthat fits", c->knob, number,
             c->parts ? "smallest" : "largest", c->nset ? "value of its set " : "");
  else if (c->parts)
    diag_fix(g, c->at, number, "cut `%s` of `%s` into `%s` parts, the fewest that fit", c->axis, c->stage, number);
  else
    diag_fix(g, c->at, number, "cut `%s` of `%s` by the factor `%s`, the largest that fits", c->axis, c->stage, number);
}

static void try_cuts(Fit *f, const Schedule *s, Diag *g) {
  for (size_t i = 0; i < s->cuts.len && f->tries > 0; i++) {
    f->cut = &s->cuts.data[i];
    if (f->cut->at.src != f->c->source) continue; // an imported file is not ours to change
    int64_t v = f->cut->nset ? nearest_of_set(f) : nearest_number(f);
    if (v) offer(f, g, v);
  }
}

// ---- stages that are computed whole ---------------------------------------------------------------------------------

// A stage on the accelerator that nothing said where to compute.
static bool is_whole(const Stage *s) {
  return s->live && s->body && s->attach == ATTACH_ROOT && !s->placed && s->scope != &scope_host;
}

static bool reads(const Stage *s, const Stage *of) { // itself, or what it reads
  if (s == of) return true;
  for (size_t i = 0; i < of->producers.len; i++)
    if (reads(s, of->producers.data[i])) return true;
  return false;
}

// `a.compute_at(at, axis)` for `one`, or for all such stages that `at` needs (NULL).
static const char *placements(Fit *f, const Schedule *s, const Stage *one, const Stage *at, const Axis *axis) {
  Text t = {.arena = f->c->cx->arena};
  for (size_t i = 0; i < s->stages.len; i++) {
    const Stage *p = s->stages.data[i];
    if (p == at || !is_whole(p) || (one ? p != one : !reads(p, at))) continue;
    text_add(&t, "%s%s.compute_at(%s, %s)", t.len ? "; " : "", p->name, at->name, axis->name);
  }
  return t.len ? t.data : NULL;
}

// Offers the outermost loop of `at` at which the memory holds `one`, or all that `at` needs. False: there is none.
static bool offer_loop(Fit *f, const Schedule *s, const Stage *one, const Stage *at, size_t first, Diag *g) {
  Loc end = s->source->stmts[s->source->nstmts - 1]->loc;
  for (size_t i = first; i < at->leaf.len && f->tries > 0; i++) {
    const Axis *a = at->leaf.data[i];
    if (a == at->mark_axis && at->mark != MARK_NONE && at->mark != MARK_COPY) break; // inside, nothing is computed
    const char *text = a->extent > 1 ? placements(f, s, one, at, a) : NULL;
    Loc where = end;
    const char *edit = text ? diags_insertion(f->c->cx->diags, &where, text) : NULL;
    if (!edit || !edit_fits(f, where, edit)) continue;
    if (one) diag_fix_after(g, end, text, "compute `%s` where it is needed, a part at a time: `%s;`", one->name, text);
    else diag_fix_after(g, end, text, "compute what `%s` needs a part at a time: `%s;`", at->name, text);
    return true;
  }
  return false;
}

// Moves one stage of the memory to its reader, or to where that is computed; else all of them to a stage that stays.
static void try_places(Fit *f, const Schedule *s, Diag *g) {
  if (!s->source || !s->source->nstmts || s->source->loc.src != f->c->source) return;
  for (size_t i = 0; i < s->stages.len; i++) {
    const Stage *p = s->stages.data[i];
    if (!is_whole(p) || strcmp(f->memory, p->scope->name) != 0 || !p->consumers.len) continue;
    const Stage *reader = p->consumers.data[0];
    bool at = reader->attach == ATTACH_AT;
    if (at && offer_loop(f, s, p, reader->at_stage, (size_t)stage_leaf_index(reader->at_stage, reader->at_axis), g))
      return;
    if (offer_loop(f, s, p, reader, 0, g)) return;
  }
  for (size_t i = s->stages.len; i-- > 0;)
    if (s->stages.data[i]->live && s->stages.data[i]->attach == ATTACH_ROOT &&
        offer_loop(f, s, NULL, s->stages.data[i], 0, g))
      return;
}

void trial_cuts(const Compilation *c) {
  size_t used = arena_used(c->cx->arena) >> 10, afford = ((size_t)TRIALS_MIB << 10) / (used + 1);
  Fit f = {.c = c, .errors = diags_errors(c->cx->diags), .tries = afford < TRIALS_MOST ? (int)afford : TRIALS_MOST};
  Diag *g;
  for (int i = 0; (g = diags_find(c->cx->diags, E_SRAM, i)); i++) {
    f.memory = diag_subject(g);
    f.overflows = count_overflows(c->cx->diags, f.memory);
    for (size_t k = 0; k < c->units.len; k++)
      if (c->units.data[k]->schedule)
        try_places(&f, c->units.data[k]->schedule, g), try_cuts(&f, c->units.data[k]->schedule, g);
  }
}

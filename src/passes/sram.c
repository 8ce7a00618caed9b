// SPDX-License-Identifier: Apache-2.0
// Allocation of on-chip space over time. Fresh space comes first: two regions in different places can be filled and
// used at once, so reuse costs overlap between load, compute and store. Space is reused when it runs out: that of
// earlier eras first (a loop that goes round and round pays for reuse in each round, the way from one loop to the next
// once), and rather not that of the era just before; then first-fit in order of time, then by size (the better
// packing), whichever fits first.
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "passes/sram.h"
#include "tir/refuse.h"

static bool overlap_in_time(const SramBlock *a, const SramBlock *b) {
  return a->first <= b->last && b->first <= a->last;
}

// By place, lowest first.
static int by_base(const void *x, const void *y) {
  const SramBlock *a = *(SramBlock *const *)x, *b = *(SramBlock *const *)y;
  return a->base < b->base ? -1 : a->base > b->base;
}

// By first use.
static int by_time(const void *x, const void *y) {
  const SramBlock *a = *(SramBlock *const *)x, *b = *(SramBlock *const *)y;
  if (a->first != b->first) return a->first < b->first ? -1 : 1;
  return a < b ? -1 : a > b; // elements of one array: the user's order
}

// Largest first.
static int by_size(const void *x, const void *y) {
  const SramBlock *a = *(SramBlock *const *)x, *b = *(SramBlock *const *)y;
  if (a->tiles != b->tiles) return a->tiles > b->tiles ? -1 : 1;
  return by_time(x, y);
}

// How many eras lie between two regions, of those that have any.
static int eras_apart(const SramBlock *a, const SramBlock *b) {
  return a->era > b->era ? a->era - b->era : b->era - a->era;
}

// The lowest place for r that none of the n placed regions covers that live at the same time, or are less than `apart`
// eras away; -1 if there is none. `live` has room for n.
static int64_t first_fit(const SramBlock *r, SramBlock **placed, int n, SramBlock **live, int64_t depth, int apart) {
  int nlive = 0;
  for (int i = 0; i < n; i++)
    if (overlap_in_time(r, placed[i]) || eras_apart(r, placed[i]) < apart) live[nlive++] = placed[i];
  qsort(live, (size_t)nlive, sizeof *live, by_base);
  int64_t at = 0;
  for (int i = 0; i < nlive; i++) {
    if (live[i]->base - at >= r->tiles) break;
    if (live[i]->base + live[i]->tiles > at) at = live[i]->base + live[i]->tiles;
  }
  return depth - at >= r->tiles ? at : -1;
}

enum { EVERYTHING = INT_MAX, NEIGHBOURS = 2, THE_SAME = 1, NOTHING = 0 }; // beside what a region is placed

static int64_t place_in_order(Ctx *cx, SramBlock **order, int n, int64_t depth, int apart) {
  SramBlock **live = NEW_ARRAY(cx->arena, SramBlock *, n + 1);
  int64_t top = 0;
  for (int i = 0; i < n; i++) {
    SramBlock *r = order[i];
    r->base = first_fit(r, order, i, live, depth, apart);
    if (r->base < 0) return -1;
    if (r->base + r->tiles > top) top = r->base + r->tiles;
  }
  return top;
}

// The regions from..to of an era: less than `apart` eras away from none; or, where that is not possible, beside those
// of the same era as long as there is room.
static bool place_era(SramBlock **order, int from, int to, SramBlock **live, int64_t depth, int apart) {
  for (int i = from; i < to; i++) {
    order[i]->base = first_fit(order[i], order, i, live, depth, apart == NOTHING ? THE_SAME : apart);
    if (order[i]->base < 0 && apart == NOTHING) order[i]->base = first_fit(order[i], order, i, live, depth, NOTHING);
    if (order[i]->base < 0) return false;
  }
  return true;
}

// Era by era, in order of time, each as far from what was before as it can be.
static int64_t place_by_era(Ctx *cx, SramBlock **order, int n, int64_t depth) {
  SramBlock **live = NEW_ARRAY(cx->arena, SramBlock *, n + 1);
  int64_t top = 0;
  for (int from = 0, to; from < n; from = to) {
    bool fits = false;
    for (to = from; to < n && order[to]->era == order[from]->era;) to++;
    for (int apart = NEIGHBOURS; apart >= NOTHING && !fits; apart--)
      fits = place_era(order, from, to, live, depth, apart);
    if (!fits) return -1;
    for (int i = from; i < to; i++)
      if (order[i]->base + order[i]->tiles > top) top = order[i]->base + order[i]->tiles;
  }
  return top;
}

// Numbers eras without gaps; `order` is by time.
static void count_eras(SramBlock **order, int n) {
  for (int i = 0, last = 0, now = 0; i < n; i++) {
    if (i && order[i]->era != last) now++;
    last = order[i]->era;
    order[i]->era = now;
  }
}

int64_t sram_place(Ctx *cx, const Scope *scope, SramBlock *regions, int n) {
  SramBlock **order = NEW_ARRAY(cx->arena, SramBlock *, n + 1);
  for (int i = 0; i < n; i++) order[i] = &regions[i];
  qsort(order, (size_t)n, sizeof *order, by_time);
  count_eras(order, n);
  int64_t top = place_in_order(cx, order, n, scope->depth, EVERYTHING);
  if (top < 0) top = place_by_era(cx, order, n, scope->depth);
  if (top < 0) top = place_in_order(cx, order, n, scope->depth, NOTHING);
  if (top >= 0) return top;
  qsort(order, (size_t)n, sizeof *order, by_size);
  return place_in_order(cx, order, n, scope->depth, NOTHING);
}

// ---- the report ------------------------------------------------------------------------------------------------

static int64_t saturating_add(int64_t a, int64_t b) {
  int64_t r;
  return add_ok(a, b, &r) ? r : INT64_MAX;
}

// The start of a region at which most tiles are live, and how many.
static int64_t peak_time(const SramBlock *r, int n, int64_t *need) {
  int64_t best = 0;
  *need = -1;
  for (int i = 0; i < n; i++) {
    int64_t sum = 0;
    for (int j = 0; j < n; j++)
      if (r[j].first <= r[i].first && r[i].first <= r[j].last) sum = saturating_add(sum, r[j].tiles);
    if (sum > *need) *need = sum, best = r[i].first;
  }
  return best;
}

static Name stage_of(const SramBlock *r) { return r->buffer->stage ? r->buffer->stage : r->buffer->name; }

// `196 tiles (12.2 KiB)`
static const char *size_text(PassCtx *pc, const Scope *scope, int64_t tiles) {
  double bytes = (double)tiles * (double)scope->tile * dtype_bytes(scope->type);
  return arena_printf(pc->cx->arena, bytes < 1000 * 1024.0 ? "%lld tile%s (%.4g KiB)" : "%lld tile%s (%.0f KiB)",
                      (long long)tiles, tiles == 1 ? "" : "s", bytes / 1024);
}

// One line a stage, the largest first; copies of it (virtual threads) are counted.
static void note_live(PassCtx *pc, Diag *g, const Scope *scope, SramBlock **live, int n) {
  Text t = {.arena = pc->cx->arena};
  int lines = 0, left = 0;
  text_add(&t, "live at the same time:");
  for (int i = 0; i < n; i++) {
    int same = 0;
    bool seen = false;
    for (int j = 0; j < n; j++) {
      bool equal = stage_of(live[j]) == stage_of(live[i]) && live[j]->tiles == live[i]->tiles;
      same += equal;
      seen |= equal && j < i;
    }
    if (seen) continue;
    if (lines++ >= 12) {
      left++;
      continue;
    }
    text_add(&t, "\n  `%s`: ", stage_of(live[i]));
    if (same > 1) text_add(&t, "%d x ", same);
    text_add(&t, "%s", size_text(pc, scope, live[i]->tiles));
  }
  if (left) text_add(&t, "\n  and %d more", left);
  diag_note(g, "%s", t.data);
}

// What would make it fit: smaller tiles of the largest stage, fewer threads.
static void help_fit(Diag *g, const Scope *scope, const SramBlock *top, int threads, int64_t need) {
  int64_t room = scope->depth - (need - top->tiles * threads);
  if (need <= scope->depth) {
    diag_note(g, "together they would fit, but not in pieces of these sizes");
  } else if (need < INT64_MAX && room >= threads) {
    diag_help(g,
              "compute `%s` in smaller tiles: beside the others there is room for %lld%s; smaller factors in "
              "the splits of the stage that it is computed at, or compute_at a loop further in",
              stage_of(top), (long long)(room / threads), threads > 1 ? " in each thread" : "");
  } else {
    diag_help(g,
              "compute `%s` and the others in smaller tiles: smaller factors in the splits of the stage that "
              "they are computed at, or compute_at a loop further in",
              stage_of(top));
  }
  if (threads > 1) diag_help(g, "or use fewer virtual threads: each has its own copy (%d now)", threads);
}

void sram_report(PassCtx *pc, const Scope *scope, const SramBlock *regions, int n) {
  int64_t need, at = peak_time(regions, n, &need);
  SramBlock **live = NEW_ARRAY(pc->cx->arena, SramBlock *, n + 1);
  SramBlock *all = arena_copy(pc->cx->arena, regions, (size_t)n * sizeof *regions);
  int nlive = 0, threads = 0;
  for (int i = 0; i < n; i++)
    if (all[i].first <= at && at <= all[i].last) live[nlive++] = &all[i];
  if (!nlive) return;
  qsort(live, (size_t)nlive, sizeof *live, by_size);
  const SramBlock *top = live[0];
  for (int i = 0; i < nlive; i++) threads += stage_of(live[i]) == stage_of(top) && live[i]->tiles == top->tiles;
  Refusal r = {.cx = pc->cx,
               .phase = "storage",
               .nest = top->filled,
               .asked = top->why,
               .asked_as = "what fills it is asked for here"};
  r.rule = arena_printf(pc->cx->arena, "stages that are alive at the same time share the %lld tiles of %s",
                        (long long)scope->depth, scope->name);
  Diag *g = refuse(&r, E_SRAM, top->buffer->loc,
                   arena_printf(pc->cx->arena, "%s overflows: %s needed, it holds %s", scope->name,
                                size_text(pc, scope, need), size_text(pc, scope, scope->depth)));
  diag_about(g, scope->name);
  diag_here(g, "`%s` takes the most of it", stage_of(top));
  note_live(pc, g, scope, live, nlive);
  const Diag *whole;
  for (int i = 0; (whole = diags_find(pc->cx->diags, R_REGION, i)); i++)
    if (diag_subject(whole) && strcmp(diag_subject(whole), stage_of(top)) == 0) {
      diag_note(g, "`%s` is computed whole in each iteration of the loop that it is computed at", stage_of(top));
      break;
    }
  help_fit(g, scope, top, threads, need);
}

// SPDX-License-Identifier: Apache-2.0
// Which tile an access touches at each point of the nest. A tile has `rows * cols` lanes, computed at once: the
// loops over them must count through the destination's tile without gaps, and through every operand's in the same
// way.
#include "passes/inject_alu/internal.h"

static const char *loop_name(const NestLoop *l) { return l->var->name ? l->var->name : "?"; }

static bool mentions_loops(const Alu *s, const Affine *a, uint64_t which, bool opaque_only) {
  for (int k = 0; k < s->n->nloops; k++) {
    const Var *v = s->n->loops[k].var;
    if (!(which >> k & 1)) continue;
    for (int t = 0; t < a->nterms; t++) {
      const Expr *atom = a->terms[t].atom;
      bool plain = atom->kind == EXPR_VAR;
      if (plain ? !opaque_only && atom->var == v : expr_uses_var(atom, v)) return true;
    }
  }
  return false;
}

// The loops that an opaque part of an index uses.
static uint64_t opaque_loops(const Alu *s, const Affine *a) {
  uint64_t mask = 0;
  for (int k = 0; k < s->n->nloops; k++)
    if (mentions_loops(s, a, UINT64_C(1) << k, true)) mask |= UINT64_C(1) << k;
  return mask;
}

static uint64_t affine_loops(const Alu *s, const Affine *a) {
  uint64_t mask = 0;
  for (int k = 0; k < s->n->nloops; k++)
    if (affine_coef(a, s->n->loops[k].var)) mask |= UINT64_C(1) << k;
  return mask | opaque_loops(s, a);
}

// An index without its lane loops, in tiles.
static Affine in_tiles(const Alu *s, Affine a) {
  int64_t tile = s->p.vta->acc.tile;
  for (int k = 0; k < s->n->nloops; k++)
    if (s->lanes >> k & 1) a = affine_without(s->p.cx, &a, s->n->loops[k].var);
  Affine t = {.constant = floor_div(a.constant, tile), .nterms = a.nterms};
  t.terms = arena_copy(s->p.cx->arena, a.terms, (size_t)a.nterms * sizeof *a.terms);
  for (int k = 0; k < t.nterms; k++) t.terms[k].coef /= tile;
  return t;
}

// What is wrong with the part of an index that is no lane, as text; NULL if nothing is. *by: the loop that it comes of,
// or NULL.
static const char *misaligned(const Alu *s, const Affine *a, const Var **by) {
  *by = NULL;
  int64_t tile = s->p.vta->acc.tile;
  Arena *m = s->p.cx->arena;
  if (floor_mod(a->constant, tile))
    return arena_printf(m, "it starts %lld elements into a tile of %lld", (long long)floor_mod(a->constant, tile),
                        (long long)tile);
  for (int t = 0; t < a->nterms; t++) {
    const Expr *atom = a->terms[t].atom;
    bool lane = false;
    for (int k = 0; k < s->n->nloops; k++)
      lane |= (s->lanes >> k & 1) && atom->kind == EXPR_VAR && atom->var == s->n->loops[k].var;
    if (lane || a->terms[t].coef % tile == 0) continue;
    *by = atom->kind == EXPR_VAR ? atom->var : NULL;
    return arena_printf(m, "`%s` moves it by %lld elements, which is no multiple of a tile's %lld",
                        expr_text(s->p.cx, atom), (long long)a->terms[t].coef, (long long)tile);
  }
  if (mentions_loops(s, a, s->lanes, true)) return "its lanes are reached through an index that is not affine";
  return NULL;
}

// ---- operands --------------------------------------------------------------------------------------------------

static const char memory_rule[] = "an ALU operation reads and writes tiles of vta.acc, and constants";

static bool refuse_memory(Alu *s, const Expr *e) {
  const Buffer *b = e->buffer;
  const char *name = buffer_stage(b);
  const char *headline =
      arena_printf(s->p.cx->arena, "`%s` reads `%s`, which is in %s memory, but the ALU reads vta.acc only",
                   buffer_stage(s->n->store->buffer), name, b->scope->name);
  s->failed = true;
  if (diags_told(s->p.cx->diags, E_ALU_ACCESS, headline)) return false; // `a * a`: one cause
  Diag *g = alu_refuse(s, E_ALU_ACCESS, e->loc, memory_rule, "%s", headline);
  diag_here(g, "`%s`", expr_text(s->p.cx, e));
  if (b->role == BUF_LOCAL && b->scope != &scope_host) {
    diag_help(
        g,
        "bring what `%s` holds into vta.acc, as int32: a stage of its own with `.set_scope(vta.acc)` and `.dma_copy()`",
        name);
    return false;
  }
  if (b->type == DT_I8)
    diag_help(g,
              "let a stage of its own widen it as it is copied in, and read that: `compute wide = int32(%s);` with "
              "`wide.set_scope(vta.acc);  wide.dma_copy();`",
              name);
  else nest_fix_cache(&s->p, g, b, "vta.acc");
  return false;
}

static bool refuse_lanes(Alu *s, const Expr *e, const NestLoop *l, int64_t is, int64_t want) {
  static const char rule[] =
      "lane [b, j] of an ALU operation reads lane [b, j] of its operands: loops inside a tile must "
      "have the same coefficient in every index";
  const char *name = buffer_stage(e->buffer), *to = buffer_stage(s->n->store->buffer), *axis = loop_name(l), *what,
             *help;
  Arena *m = s->p.cx->arena;
  if (is == 0) {
    what = arena_printf(m, "`%s` is broadcast along `%s`, inside a tile", name, axis);
    help = arena_printf(m, "give `%s` the axis `%s` too, with the value repeated: a broadcast over whole tiles is free",
                        name, axis);
  } else if (want == 0) {
    what = arena_printf(m, "`%s` combines the lanes of a tile with each other along `%s`", to, axis);
    help = "reduce over whole tiles on the ALU, and over the lanes on the CPU or with vta.gemm by ones";
  } else {
    what = arena_printf(m, "`%s` is read in steps of %lld along `%s`, but `%s` is written in steps of %lld", name,
                        (long long)is, axis, to, (long long)want);
    help = "use the axes of a tile in the same order in both";
  }
  Diag *g = alu_refuse(s, E_ALU_ACCESS, e->loc, rule, "%s", what);
  diag_here(g, "`%s`", expr_text(s->p.cx, e));
  nest_note_part(s->n, g, l->var);
  diag_help(g, "%s", help);
  return false;
}

// Whether two places of the same buffer can be the same tile at different points of the nest.
static bool may_overlap(const Alu *s, const Affine *x, const Affine *y) {
  Footprint a = nest_footprint(&s->p, s->n, s->dst.buffer, x), b = nest_footprint(&s->p, s->n, s->dst.buffer, y);
  return footprints_meet(s->p.cx, s->p.outer, &a, &b);
}

// A tile of vta.acc that is not int32.
static void refuse_type(Alu *s, const Buffer *b, Loc at) {
  Diag *g = alu_refuse(s, E_ALU_TYPE, at, ALU_TYPE_RULE, "`%s` is %s, but the ALU computes in int32", buffer_stage(b),
                       dtype_name(b->type));
  diag_help(g, "let `%s` be int32, and cast where it is copied out", buffer_stage(b));
}

bool alu_match_load(Alu *s, const Expr *e, Node *out) {
  const Buffer *b = e->buffer;
  if (b->scope != &s->p.vta->acc) return refuse_memory(s, e);
  if (b->type != DT_I32) {
    refuse_type(s, b, e->loc);
    return false;
  }
  Affine a = nest_linear(&s->p, s->n, b, e->args);
  // A loop across lanes says more of the trouble than the lanes that it makes others miss.
  for (int pass = 0; pass < 2; pass++) {
    for (int k = 0; k < s->n->nloops; k++) {
      int64_t is = affine_coef(&a, s->n->loops[k].var), want = affine_coef(&s->linear, s->n->loops[k].var);
      bool lane = s->lanes >> k & 1;
      if (!pass && !lane && is % s->p.vta->acc.tile && want == 0) return refuse_lanes(s, e, &s->n->loops[k], is, 0);
      if (pass && lane && is != want) return refuse_lanes(s, e, &s->n->loops[k], is, want);
    }
  }
  const Var *by;
  const char *why = misaligned(s, &a, &by);
  if (why) {
    Diag *g = alu_refuse(s, E_ALU_ACCESS, e->loc, alu_tile_rule(s), "`%s` is read at parts of a tile: %s",
                         buffer_stage(b), why);
    diag_here(g, "`%s`", expr_text(s->p.cx, e));
    nest_note_part(s->n, g, by);
    diag_help(g, "the ALU works on whole tiles [%lld, %lld]: shift or slice by whole tiles, or do it while copying",
              (long long)s->p.vta->acc.rows, (long long)s->p.vta->acc.cols);
    return false;
  }
  out->from = (AluPlace){b, in_tiles(s, a)};
  out->mask = affine_loops(s, &out->from.tile);
  s->opaque |= opaque_loops(s, &out->from.tile);
  if (b != s->dst.buffer) {
    out->lo = alu_fact(s, b)->lo;
    out->hi = alu_fact(s, b)->hi;
    return true;
  }
  out->old = affine_equal(&out->from.tile, &s->dst.tile);
  out->reads_dst = out->old || may_overlap(s, &out->from.tile, &s->dst.tile);
  s->alias |= out->reads_dst && !out->old;
  return true;
}

// ---- the destination -------------------------------------------------------------------------------------------

static bool refuse_target(Alu *s) {
  const Buffer *b = s->n->store->buffer;
  if (b->scope != &s->p.vta->acc) {
    Diag *g = alu_refuse(s, E_ALU_ACCESS, s->n->store->loc, memory_rule,
                         "`%s` is computed on the ALU, but lives in %s memory", buffer_stage(b), b->scope->name);
    const char *name = buffer_stage(b);
    if (b->role == BUF_OUTPUT && loc_known(s->p.region->why)) {
      const char *acc =
          source_fresh_name(s->p.cx->arena, s->p.region->why.src, arena_printf(s->p.cx->arena, "%s_acc", name));
      const char *line =
          arena_printf(s->p.cx->arena, "%s = %s.cache_write(vta.acc); %s.alu(); %s.dma_copy()", acc, name, acc, name);
      diag_fix(g, s->p.region->why, line, "compute it in vta.acc, and store that: `%s;`", line);
    }
    const char *own = source_fresh_name(s->p.cx->arena, s->n->store->loc.src, "t");
    if (b->role == BUF_OUTPUT)
      diag_help(g,
                "give the arithmetic a stage of its own, `%s`, and store that: `output %s = int8(%s);` with "
                "`%s.set_scope(vta.acc);  %s.alu();  %s.dma_copy();`",
                own, name, own, own, own, name);
    else
      diag_fix_after(g, s->p.region->why, arena_printf(s->p.cx->arena, "%s.set_scope(vta.acc)", name),
                     "`%s.set_scope(vta.acc);`", name);
    return false;
  }
  if (b->type == DT_I32) return true;
  refuse_type(s, b, s->n->store->loc);
  return false;
}

// Cuts loops that run across tile borders.
static void cut_loops(Alu *s) {
  for (int k = 0; k < s->n->nloops; k++) {
    int64_t coef = affine_coef(&s->linear, s->n->loops[k].var);
    int64_t cut = nest_tile_cut(coef, s->n->loops[k].extent, s->p.vta->acc.tile);
    if (cut <= 0) continue;
    nest_split(&s->p, s->n, k, cut);
    s->linear = nest_linear(&s->p, s->n, s->n->store->buffer, s->n->index);
  }
}

// Turns loops that walk a tile backwards: `t[15 - j] = a[15 - j]`.
static void turn_loops(Alu *s) {
  for (int k = 0; k < s->n->nloops; k++) {
    int64_t coef = affine_coef(&s->linear, s->n->loops[k].var);
    if (coef >= 0 || coef % s->p.vta->acc.tile == 0) continue;
    nest_turn(&s->p, s->n, k);
    s->linear = nest_linear(&s->p, s->n, s->n->store->buffer, s->n->index);
  }
}

// How many lanes, counted from the first, the loops reach without a gap.
static int64_t lanes_reached(const Alu *s) {
  int64_t reached = 1;
  uint64_t left = s->lanes;
  for (bool found = true; found;) {
    found = false;
    for (int k = 0; k < s->n->nloops; k++) {
      if (!(left >> k & 1) || affine_coef(&s->linear, s->n->loops[k].var) != reached) continue;
      reached *= s->n->loops[k].extent;
      left &= ~(UINT64_C(1) << k);
      found = true;
    }
  }
  return left ? 0 : reached;
}

static bool refuse_coverage(Alu *s, int64_t reached) {
  int64_t tile = s->p.vta->acc.tile;
  const char *name = buffer_stage(s->n->store->buffer);
  Diag *g;
  if (reached > tile)
    g = alu_refuse(s, E_ALU_ACCESS, s->n->store->loc, alu_tile_rule(s),
                   "the nest of `%s` writes runs of %lld lanes, which do not divide into tiles of %lld", name,
                   (long long)reached, (long long)tile);
  else if (reached)
    g = alu_refuse(s, E_ALU_ACCESS, s->n->store->loc, alu_tile_rule(s),
                   "the nest of `%s` writes %lld of the %lld lanes of a tile", name, (long long)reached,
                   (long long)tile);
  else
    g = alu_refuse(s, E_ALU_ACCESS, s->n->store->loc, alu_tile_rule(s),
                   "the nest of `%s` writes lanes of a tile with gaps or more than once", name);
  for (size_t k = 0; s->p.outer && k < s->p.outer->len; k++) {
    const Var *v = s->p.outer->data[k].var;
    if (affine_coef(&s->linear, v) % tile == 0) continue;
    const char *mark = arena_printf(s->p.cx->arena, "%s.alu(%s)", name, v->name);
    if (loc_known(s->p.region->why))
      diag_fix(g, s->p.region->why, mark, "loop `%s` stands outside of the nest: mark an axis further out, `%s`",
               v->name, mark);
    else diag_help(g, "loop `%s` stands outside of the nest: let the region begin there", v->name);
    return false;
  }
  diag_help(g, "let the last two axes of `%s` be `b: vta.batch, j: vta.block_out`", name);
  return false;
}

bool alu_match_target(Alu *s) {
  if (!refuse_target(s)) return false;
  const Buffer *b = s->n->store->buffer;
  s->linear = nest_linear(&s->p, s->n, b, s->n->index);
  turn_loops(s);
  cut_loops(s);
  if (s->n->nloops > 60) {
    Diag *g = alu_refuse(s, E_ALU_ACCESS, s->n->store->loc, "an ALU nest has at most 60 loops",
                         "the nest of `%s` has %d loops", buffer_stage(b), s->n->nloops);
    diag_help(g, "fuse loops, or mark an axis further in: `%s.alu(axis)`", buffer_stage(b));
    return false;
  }
  for (int k = 0; k < s->n->nloops; k++)
    if (affine_coef(&s->linear, s->n->loops[k].var) % s->p.vta->acc.tile) s->lanes |= UINT64_C(1) << k;
  int64_t reached = lanes_reached(s);
  if (reached != s->p.vta->acc.tile) return refuse_coverage(s, reached);
  const Var *by;
  const char *why = misaligned(s, &s->linear, &by);
  if (why) {
    Diag *g = alu_refuse(s, E_ALU_ACCESS, s->n->store->loc, alu_tile_rule(s), "`%s` is written at parts of a tile: %s",
                         buffer_stage(b), why);
    nest_note_part(s->n, g, by);
    diag_help(g, "let the last two axes of `%s` be `b: vta.batch, j: vta.block_out`", buffer_stage(b));
    return false;
  }
  s->dst = (AluPlace){b, in_tiles(s, s->linear)};
  s->dst_mask = affine_loops(s, &s->dst.tile);
  s->opaque |= opaque_loops(s, &s->dst.tile);
  return true;
}

// Loops sorted by step must each jump over all that the smaller ones reach.
bool alu_injective(const Alu *s) {
  int64_t reach = 0, last = 0;
  if (opaque_loops(s, &s->dst.tile)) return false;
  for (;;) {
    int64_t best = 0, extent = 1;
    int ties = 0;
    for (int k = 0; k < s->n->nloops; k++) {
      int64_t c = affine_coef(&s->dst.tile, s->n->loops[k].var);
      c = c < 0 ? -c : c;
      if (c <= last) continue;
      if (c == best) ties++;
      if (best && c >= best) continue;
      best = c, extent = s->n->loops[k].extent, ties = 0;
    }
    if (!best) return true;
    if (ties || best <= reach) return false;
    reach += best * (extent - 1);
    last = best;
  }
}

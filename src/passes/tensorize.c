// SPDX-License-Identifier: Apache-2.0
// tensorize: nests marked vta.tensorize become tile intrinsics.
//
//   vta.tensorize() {                                                  for x in 0..14 {
//     for x in 0..14 { for j in 0..16 { for r in 0..16 {                 vta.gemm(&conv[x], &pad[x], &w_buf[0])
//       conv[x, j] = conv[x, j] + int32(pad[x, r]) * int32(w_buf[j, r])  }
//   }}}}
//
// Loops are told apart by their coefficients in the three linear indices, never by name or order: with tiles of
// rows x cols accumulators and `depth` reduced elements, a loop is part of
//   r: acc 0, inp c, wgt c          j: acc c, inp 0, wgt c * depth          b: acc c * cols, inp c * depth, wgt 0
// and every other loop must step over whole tiles in all three. An init nest (`acc = 0`) becomes vta.reset.
// In: FORM_LOOPS. Out: the same without vta.tensorize regions.
#include "passes/tile_nest.h"
#include "passes/tiles.h"

typedef struct Tensorize {
  PassCtx *pc;
  const VtaTarget *vta;
  Ranges ranges;
  bool failed;
} Tensorize;

typedef struct Gemm {
  NestPlace p;
  Nest *n;
  const Expr *acc, *inp, *wgt; // loads; acc NULL for a reset
  Affine a, i, w;              // linear indices
  int lane[3];                 // how many loops each of Gemm's axes has
  int64_t covered[3];          // the product of their extents
  bool failed;
} Gemm;

typedef enum GemmAxis { AXIS_B, AXIS_J, AXIS_R, AXIS_TILE, AXIS_BAD } GemmAxis;
static const char *const axis_name[] = {"b", "j", "r"};
static const char *const axis_const[] = {"vta.batch", "vta.block_out", "vta.block_in"};
static const char *const axis_role[] = {"the rows of the output tile", "the columns of the output tile",
                                        "the reduction inside a tile"};

// Reports one mismatch; every one of a nest is told.
static Diag *mismatch(Gemm *g, DiagCode code, Loc at, const char *text) {
  Loc place = loc_known(at) ? at : g->n && loc_known(g->n->store->loc) ? g->n->store->loc : g->p.region->loc;
  const VtaTarget *v = g->p.vta;
  const char *rule = arena_printf(g->p.cx->arena,
                                  "vta.gemm is acc[b, j] += int32(inp[b, r]) * int32(wgt[j, r]) for b in 0..%lld, "
                                  "j in 0..%lld, r in 0..%lld",
                                  (long long)v->acc.rows, (long long)v->acc.cols, (long long)v->inp.cols);
  g->failed = true;
  return nest_refuse(&g->p, code, place, "vta.gemm is asked for here", rule, text);
}

#define MISMATCH(g, code, at, ...) mismatch(g, code, at, arena_printf((g)->p.cx->arena, __VA_ARGS__))

// ---- the expression --------------------------------------------------------------------------------------------

// A signed integer type that holds every int8 value.
static bool widens_int8(DType t) { return t == DT_I8 || t == DT_I16 || t == DT_I32 || t == DT_I64; }

// An operand without its value-preserving casts; NULL (reported) if it is not a cast of a load.
static const Expr *peel_operand(Gemm *g, const Expr *e) {
  const Expr *in = e;
  while (in->kind == EXPR_CAST && widens_int8(in->type)) in = in->a;
  if (in->kind == EXPR_LOAD) return in;
  Diag *d = MISMATCH(g, E_GEMM_OPERAND, in->loc,
                     "`%s` is multiplied, but an operand of vta.gemm is an element as it "
                     "is in memory",
                     expr_text(g->p.cx, in));
  if (in->kind == EXPR_SELECT)
    diag_help(d, "choose in a stage of its own, and copy that one in: `dma_copy` pads with zeros");
  else diag_help(d, "compute it in a stage of its own, before the stage that is tensorized");
  return NULL;
}

static bool is_constant(const Expr *e) {
  while (e->kind == EXPR_CAST) e = e->a;
  return e->kind == EXPR_INT;
}

// The product, without casts around it that change nothing: a product of two int8 fits every wider type. What is scaled
// by a constant is none.
static const Expr *peel_product(Gemm *g, const Expr *e) {
  while (e->kind == EXPR_CAST && (e->type == DT_I32 || e->type == DT_I64)) e = e->a;
  if (e->kind != EXPR_BINARY || e->binop != OP_MUL || is_constant(e->a) || is_constant(e->b)) return NULL;
  if (e->type == DT_I16 || e->type == DT_I32 || e->type == DT_I64) return e;
  Diag *d = MISMATCH(g, E_GEMM_TYPE, e->loc, "the product is computed in %s, but vta.gemm multiplies in int32",
                     dtype_name(e->type));
  diag_help(d, "widen the operands: `int32(%s) * int32(%s)`", expr_text(g->p.cx, e->a), expr_text(g->p.cx, e->b));
  return NULL;
}

// Whether a load is of the element that the nest stores.
static bool same_place(const Gemm *g, const Expr *load) {
  const Stmt *s = g->n->store;
  if (load->kind != EXPR_LOAD || load->buffer != s->buffer) return false;
  Affine a = nest_linear(&g->p, g->n, s->buffer, g->n->index);
  Affine b = nest_linear(&g->p, g->n, s->buffer, load->args);
  return affine_equal(&a, &b);
}

// Whether an operand moves with the columns of the output tile, as weights do.
static bool looks_like_weight(const Gemm *g, const Expr *load) {
  Affine acc = nest_linear(&g->p, g->n, g->n->store->buffer, g->n->index);
  Affine own = nest_linear(&g->p, g->n, load->buffer, load->args);
  for (int k = 0; k < g->n->nloops; k++) {
    int64_t a = affine_coef(&acc, g->n->loops[k].var);
    if (a > 0 && a < g->p.vta->acc.cols && affine_coef(&own, g->n->loops[k].var)) return true;
  }
  return false;
}

// One factor's memory decides which operand it is.
static void place_operand(Gemm *g, const Expr *load) {
  const VtaTarget *v = g->p.vta;
  const Buffer *b = load->buffer;
  const Expr **slot = b->scope == &v->inp ? &g->inp : b->scope == &v->wgt ? &g->wgt : NULL;
  if (!slot) {
    Diag *d = MISMATCH(g, E_GEMM_OPERAND, load->loc, "`%s` is an operand of vta.gemm, but lives in %s memory",
                       buffer_stage(b), b->scope->name);
    diag_here(d, "expected an element of vta.inp or vta.wgt");
    const char *name = buffer_stage(b), *scope = looks_like_weight(g, load) ? "vta.wgt" : "vta.inp";
    if (b->scope != &scope_host)
      diag_help(d, "copy it out of %s first, and back into %s: `%s` as int8 in host memory, then `cache_read(%s)`",
                b->scope->name, scope, name, scope);
    if (b->scope == &scope_host) nest_fix_cache(&g->p, d, b, scope);
    return;
  }
  if (b->type != DT_I8)
    diag_help(MISMATCH(g, E_GEMM_TYPE, load->loc, "`%s` is %s, but vta.gemm multiplies int8", buffer_stage(b),
                       dtype_name(b->type)),
              "copy it on chip as int8");
  if (*slot) {
    Diag *d = MISMATCH(g, E_GEMM_OPERAND, load->loc,
                       "both operands, `%s` and `%s`, are in %s, but vta.gemm takes one from "
                       "vta.inp and one from vta.wgt",
                       buffer_stage((*slot)->buffer), buffer_stage(b), b->scope->name);
    diag_help(d, "bring one of them into %s",
              b->scope == &v->inp ? "vta.wgt, with tiles [j, r]" : "vta.inp, with tiles [b, r]");
    return;
  }
  *slot = load;
}

static bool finds_product(void *self, const Expr *e) {
  bool *found = self;
  *found |= e->kind == EXPR_BINARY && e->binop == OP_MUL && e->type != DT_I64;
  return e->kind != EXPR_LOAD;
}

// What to do instead of accumulating this.
static void help_accumulate(Gemm *g, Diag *d, const Expr *rest) {
  bool product = false;
  expr_visit(rest, finds_product, &product);
  while (rest->kind == EXPR_CAST) rest = rest->a;
  if (!product) diag_help(d, "a sum without products runs on the ALU: `%s.alu();`", buffer_stage(g->n->store->buffer));
  else if (rest->kind == EXPR_SELECT)
    diag_help(d, "where a product is left out, let an operand be zero: choose in a stage of its own, and copy that one "
                 "in (`dma_copy` "
                 "pads with zeros)");
  else diag_help(d, "sum up the products alone, and do the rest in a stage of its own after the sum, with `.alu()`");
}

// acc + product, in either order. False with a report if the value is something else.
static bool match_value(Gemm *g) {
  const Expr *v = g->n->value;
  const Expr *sum = v;
  while (sum->kind == EXPR_CAST && sum->type == DT_I32 && sum->a->type == DT_I32) sum = sum->a;
  if (sum->kind == EXPR_BINARY && sum->binop == OP_ADD) {
    bool first = same_place(g, sum->a), second = same_place(g, sum->b);
    if (first || second) {
      const Expr *rest = first ? sum->b : sum->a, *mul = peel_product(g, rest);
      g->acc = first ? sum->a : sum->b;
      if (mul) {
        const Expr *x = peel_operand(g, mul->a), *y = peel_operand(g, mul->b);
        if (x) place_operand(g, x);
        if (y) place_operand(g, y);
        return !g->failed;
      }
      if (g->failed) return false;
      Diag *d = MISMATCH(g, E_GEMM_OPERAND, rest->loc, "`%s` is accumulated, but vta.gemm accumulates a product",
                         expr_text(g->p.cx, rest));
      help_accumulate(g, d, rest);
      return false;
    }
  }
  Diag *d = MISMATCH(g, E_GEMM_OPERAND, v->loc, "`%s` is tensorized, but it is not a sum of products",
                     buffer_stage(g->n->store->buffer));
  diag_help(d, "vta.gemm computes `sum[.., r: vta.block_in](int32(inp[.., r]) * int32(wgt[.., r]))`; what is done with "
               "the sum belongs in a stage of its own, with `.alu()`");
  return false;
}

// ---- the loops -------------------------------------------------------------------------------------------------

// Finds loads and linear indices again: they were rebuilt with the value.
static void read_again(Gemm *g) {
  g->a = nest_linear(&g->p, g->n, g->n->store->buffer, g->n->index);
  if (!g->acc) return;
  Gemm fresh = *g;
  fresh.inp = fresh.wgt = fresh.acc = NULL;
  match_value(&fresh);
  g->acc = fresh.acc, g->inp = fresh.inp, g->wgt = fresh.wgt;
  g->i = nest_linear(&g->p, g->n, g->inp->buffer, g->inp->args);
  g->w = nest_linear(&g->p, g->n, g->wgt->buffer, g->wgt->args);
}

// Turns loops that walk everything backwards: `inp[15 - r] * wgt[15 - r]` adds up the same.
static void turn_loops(Gemm *g) {
  for (int k = 0; k < g->n->nloops; k++) {
    const Var *v = g->n->loops[k].var;
    int64_t a = affine_coef(&g->a, v);
    if (a > 0 || (a == 0 && !(g->acc && affine_coef(&g->i, v) < 0 && affine_coef(&g->w, v) < 0))) continue;
    nest_turn(&g->p, g->n, k);
    read_again(g);
  }
}

// Cuts loops that run across tile borders in one of the three indices.
static void cut_loops(Gemm *g) {
  const VtaTarget *v = g->p.vta;
  for (int k = 0; k < g->n->nloops; k++) {
    const Var *var = g->n->loops[k].var;
    int64_t extent = g->n->loops[k].extent;
    int64_t cut = nest_tile_cut(affine_coef(&g->a, var), extent, v->acc.tile);
    if (cut <= 0 && g->acc && affine_coef(&g->a, var) % v->acc.tile == 0)
      cut = nest_tile_cut(affine_coef(&g->i, var), extent, v->inp.cols);
    if (cut <= 0) continue;
    nest_split(&g->p, g->n, k, cut);
    read_again(g);
  }
}

// Which part of the tile a loop runs over, from its coefficient in acc (and inp, wgt if that is none).
static GemmAxis axis_of(const Gemm *g, const Var *v) {
  const VtaTarget *t = g->p.vta;
  int64_t a = affine_coef(&g->a, v), i = affine_coef(&g->i, v), w = affine_coef(&g->w, v);
  if (a % t->acc.tile == 0 && i % t->inp.tile == 0 && w % t->wgt.tile == 0) return AXIS_TILE;
  if (a % t->acc.tile == 0) return a == 0 ? AXIS_R : AXIS_BAD;
  return a > 0 && a < t->acc.cols ? AXIS_J : a > 0 && a % t->acc.cols == 0 ? AXIS_B : AXIS_BAD;
}

static void wrong_coefficient(Gemm *g, const NestLoop *l, GemmAxis axis, const Expr *load, int64_t is, int64_t want) {
  const Buffer *b = load->buffer;
  Diag *d = MISMATCH(g, E_GEMM_OPERAND, load->loc,
                     "`%s` is read in steps of %lld along `%s`, but vta.gemm steps by %lld there", buffer_stage(b),
                     (long long)is, l->var->name ? l->var->name : "?", (long long)want);
  diag_note(d, "`%s` runs over %s (`%s`, %s): the coefficient of `%s` in the linear index of `%s` must be %lld",
            l->var->name, axis_role[axis], axis_name[axis], axis_const[axis], l->var->name, expr_text(g->p.cx, load),
            (long long)want);
  nest_note_part(g->n, d, l->var);
  bool weight = b->scope == &g->p.vta->wgt;
  diag_help(d,
            "%s has elements [%s, r]: the operand's last axes are `%s, r: vta.block_in`, in this order, and a CPU "
            "stage can pack it so",
            b->scope->name, axis_name[weight ? AXIS_J : AXIS_B], weight ? "j: vta.block_out" : "b: vta.batch");
}

// Whether each operand moves with the columns of the output tile as the other one should; then it is reported.
static bool refuse_exchanged(Gemm *g) {
  bool found = false;
  for (int k = 0; k < g->n->nloops; k++) {
    const Var *v = g->n->loops[k].var;
    int64_t i = affine_coef(&g->i, v), w = affine_coef(&g->w, v);
    found |= axis_of(g, v) == AXIS_J && w == 0 && i == affine_coef(&g->a, v) * g->p.vta->wgt.cols;
  }
  if (!found) return false;
  const char *x = buffer_stage(g->inp->buffer), *y = buffer_stage(g->wgt->buffer);
  Diag *d = MISMATCH(g, E_GEMM_OPERAND, g->inp->loc,
                     "the operands are in each other's memory: `%s` in vta.inp, `%s` in vta.wgt", x, y);
  diag_here(d, "this one has the tiles of weights, [j, r]");
  diag_help(d, "bring `%s` into vta.wgt and `%s` into vta.inp", x, y);
  return true;
}

// How many elements the loops of the reduction run over.
static int64_t reduced_run(const Gemm *g) {
  int64_t run = 1;
  for (int k = 0; k < g->n->nloops; k++)
    if (axis_of(g, g->n->loops[k].var) == AXIS_R && !mul_ok(run, g->n->loops[k].extent, &run)) return 0;
  return run;
}

// Checks one loop and counts it to its axis.
static void match_loop(Gemm *g, const NestLoop *l) {
  const VtaTarget *t = g->p.vta;
  int64_t a = affine_coef(&g->a, l->var), i = affine_coef(&g->i, l->var), w = affine_coef(&g->w, l->var);
  GemmAxis axis = axis_of(g, l->var);
  if (axis == AXIS_TILE) return;
  if (axis == AXIS_BAD) {
    Diag *d = MISMATCH(g, E_GEMM_SHAPE, l->loc,
                       "loop `%s` steps by %lld elements of `%s`, which is neither inside a tile nor "
                       "whole tiles of %lld",
                       l->var->name, (long long)a, buffer_stage(g->n->store->buffer), (long long)t->acc.tile);
    nest_note_part(g->n, d, l->var);
    diag_help(d, "let the last two axes of `%s` be `b: vta.batch, j: vta.block_out`",
              buffer_stage(g->n->store->buffer));
    return;
  }
  int64_t unit = axis == AXIS_B ? a / t->acc.cols : axis == AXIS_J ? a : i > 0 ? i : w;
  if (g->acc) {
    int64_t want_i = axis == AXIS_J ? 0 : axis == AXIS_B ? unit * t->inp.cols : unit;
    int64_t want_w = axis == AXIS_B ? 0 : axis == AXIS_J ? unit * t->wgt.cols : unit;
    int64_t run = reduced_run(g); // a wrong extent of the reduction explains steps that are as long: it is told itself
    bool narrow = run != t->inp.cols;
    if (i != want_i && !(narrow && axis == AXIS_B && i == unit * run)) wrong_coefficient(g, l, axis, g->inp, i, want_i);
    if (w != want_w && !(narrow && axis == AXIS_J && w == unit * run)) wrong_coefficient(g, l, axis, g->wgt, w, want_w);
  }
  g->lane[axis]++;
  g->covered[axis] *= l->extent;
}

// The loops of an axis, sorted by step, must count through it without gaps.
static bool axis_dense(const Gemm *g, GemmAxis axis, int64_t extent) {
  int64_t reached = 1;
  for (int found = 1; found;) {
    found = 0;
    for (int k = 0; k < g->n->nloops && !found; k++) {
      const Var *v = g->n->loops[k].var;
      if (axis_of(g, v) != axis) continue;
      int64_t a = affine_coef(&g->a, v);
      int64_t unit = axis == AXIS_B ? a / g->p.vta->acc.cols : axis == AXIS_J ? a : affine_coef(&g->i, v);
      if (unit == reached) {
        reached *= g->n->loops[k].extent;
        found = 1;
      }
    }
  }
  return reached == extent;
}

// A loop around the region that belongs to this axis of the tile; NULL if there is none.
static const Var *loop_outside(const Gemm *g, int axis) {
  for (size_t k = 0; g->p.outer && k < g->p.outer->len; k++) {
    const Var *v = g->p.outer->data[k].var;
    int64_t a = affine_coef(&g->a, v);
    if (axis == AXIS_R ? !a && affine_coef(&g->i, v) % g->p.vta->inp.tile : a % g->p.vta->acc.tile) return v;
  }
  return NULL;
}

// A loop of the tile stands around the region: it begins there, or the loop goes inwards.
static void fix_outside(const Gemm *g, Diag *d, const Var *outside) {
  const char *stage = buffer_stage(g->n->store->buffer);
  const char *there = arena_printf(g->p.cx->arena, "%s.tensorize(%s, vta.gemm)", stage, outside->name);
  if (loc_known(g->p.region->why))
    diag_fix(d, g->p.region->why, there, "loop `%s` stands outside: tensorize at it, `%s;`", outside->name, there);
  diag_help(d, "loop `%s` stands outside: reorder it inwards", outside->name);
}

// Every axis must be covered exactly.
static void match_extents(Gemm *g) {
  const VtaTarget *t = g->p.vta;
  const int64_t want[3] = {t->acc.rows, t->acc.cols, t->inp.cols};
  for (int x = AXIS_B; x <= (g->acc ? AXIS_R : AXIS_J); x++) {
    if (g->covered[x] == want[x] && axis_dense(g, x, want[x])) continue;
    const char *stage = buffer_stage(g->n->store->buffer);
    const Var *outside = NULL;
    Diag *d;
    if (g->covered[x] == want[x])
      d = MISMATCH(g, E_GEMM_SHAPE, g->n->store->loc, "the loops over `%s` of `%s` leave gaps in %s", axis_name[x],
                   stage, axis_role[x]);
    else
      d = MISMATCH(g, E_GEMM_SHAPE, g->n->store->loc,
                   "axis `%s` of `%s` has extent %lld inside the tensorized nest, "
                   "but vta.gemm needs %lld",
                   axis_name[x], stage, (long long)g->covered[x], (long long)want[x]);
    diag_here(d, "expected %s = %lld: %s", axis_const[x], (long long)want[x], axis_role[x]);
    if (g->covered[x] < want[x] && (outside = loop_outside(g, x))) fix_outside(g, d, outside);
    else if (g->covered[x] < want[x] && g->lane[x] > 1)
      diag_help(d, "split it by a factor that divides %lld: a tail is less than a tile", (long long)want[x]);
    else if (g->covered[x] != want[x] && x != AXIS_B)
      diag_help(
          d,
          "store what is read, and the result, in blocks, of which the last one is filled up: `stage.pack(axis, %s);`",
          axis_const[x]);
    else diag_help(d, "give `%s` the axis `%s: %s`, whole and innermost", stage, axis_name[x], axis_const[x]);
    if (g->n->store->buffer->tail) diag_note(d, "%s", g->n->store->buffer->tail);
  }
}

// What remains of an index besides the lanes must be whole tiles.
static void match_base(Gemm *g, const Affine *a, const Buffer *b, Loc loc) {
  int64_t tile = b->scope->tile;
  static const char whole[] =
      "read and write whole tiles: shift or slice by them, or in the copy that brings `%s` on chip";
  if (a->constant % tile)
    diag_help(MISMATCH(g, E_GEMM_OPERAND, loc, "`%s` starts %lld elements into a tile of %lld", buffer_stage(b),
                       (long long)floor_mod(a->constant, tile), (long long)tile),
              whole, buffer_stage(b));
  for (int k = 0; k < a->nterms; k++) {
    const Expr *atom = a->terms[k].atom;
    bool lanes = false; // what the tile covers must not stand in a part that stays
    for (int l = 0; l < g->n->nloops; l++)
      lanes |= atom->kind != EXPR_VAR && axis_of(g, g->n->loops[l].var) != AXIS_TILE &&
               expr_uses_var(atom, g->n->loops[l].var);
    if (a->terms[k].coef % tile == 0 && !lanes) continue;
    bool own = false;
    for (int l = 0; l < g->n->nloops; l++) own |= atom->kind == EXPR_VAR && atom->var == g->n->loops[l].var;
    if (!own)
      diag_help(MISMATCH(g, E_GEMM_OPERAND, loc, "`%s` is accessed at `%s`, which moves it by parts of a tile",
                         buffer_stage(b), expr_text(g->p.cx, atom)),
                whole, buffer_stage(b));
  }
}

// ---- the result ------------------------------------------------------------------------------------------------

// An affine index without the loops that the tile covers, as a tile reference.
static const Expr *tile_ref(const Gemm *g, const Buffer *b, Affine a, Loc loc) {
  for (int k = 0; k < g->n->nloops; k++)
    if (axis_of(g, g->n->loops[k].var) != AXIS_TILE) a = affine_without(g->p.cx, &a, g->n->loops[k].var);
  return expr_at(g->p.cx, expr_ref(g->p.cx, b, nest_tile_expr(&g->p, &a, b->scope->tile)), loc);
}

// The matched nest: its loops over tiles around one intrinsic.
static const Stmt *gemm_stmt(const Gemm *g) {
  Ctx *cx = g->p.cx;
  const Expr *args[ARG_GEMM_END] = {tile_ref(g, g->n->store->buffer, g->a, g->n->store->loc)}; // or of a reset
  uint64_t which = 0;
  for (int k = 0; k < g->n->nloops; k++)
    if (axis_of(g, g->n->loops[k].var) == AXIS_TILE) which |= UINT64_C(1) << k;
  if (g->acc) {
    args[ARG_GEMM_INP] = tile_ref(g, g->inp->buffer, g->i, g->inp->loc);
    args[ARG_GEMM_WGT] = tile_ref(g, g->wgt->buffer, g->w, g->wgt->loc);
  }
  const Stmt *s = stmt_intrin(cx, vta_op(g->p.vta, g->acc ? VTA_GEMM : VTA_RESET),
                              g->acc ? ARG_GEMM_END : ARG_RESET_END, args, NULL);
  return nest_wrap(&g->p, g->n, which, stmt_placed(cx, s, g->n->store->loc, g->p.region->why));
}

// The accumulator's memory and type.
static bool match_target(Gemm *g) {
  const Buffer *b = g->n->store->buffer;
  if (b->scope != &g->p.vta->acc) {
    Diag *d = MISMATCH(g, E_GEMM_OPERAND, g->n->store->loc, "`%s` is tensorized, but lives in %s memory",
                       buffer_stage(b), b->scope->name);
    diag_here(d, "vta.gemm writes vta.acc only");
    const char *stage = buffer_stage(b);
    diag_fix_after(d, g->p.region->why, arena_printf(g->p.cx->arena, "%s.set_scope(vta.acc)", stage),
                   "`%s.set_scope(vta.acc);`", stage);
    return false;
  }
  if (b->type == DT_I32) return true;
  diag_help(MISMATCH(g, E_GEMM_TYPE, g->n->store->loc, "`%s` is %s, but vta.gemm accumulates in int32", buffer_stage(b),
                     dtype_name(b->type)),
            "let `%s` be int32, and cast where it is copied out", buffer_stage(b));
  return false;
}

// One nest of a region. NULL when refused (reported).
static const Stmt *lower_nest(Tensorize *t, const Stmt *region, const Stmt *s) {
  Gemm g = {.p = {t->pc->cx, t->vta, region, "tensorize", &t->ranges}, .covered = {1, 1, 1}};
  const char *why;
  const Stmt *at;
  int64_t zero;
  g.n = nest_of(&g.p, s, &why, &at);
  if (!g.n) {
    Diag *d = MISMATCH(&g, at->kind == STMT_IF ? E_GUARD : E_GEMM_SHAPE, at->loc,
                       "there is %s inside the nest that vta.gemm should replace", why);
    diag_help(d, at->kind == STMT_IF ? "choose tile sizes that divide the extents"
                                     : "tensorize at a loop with nothing but the sum of products below it");
    return NULL;
  }
  nest_unfuse(&g.p, g.n);
  if (g.n->nloops > 60)
    diag_help(MISMATCH(&g, E_GEMM_SHAPE, s->loc, "the nest has %d loops, more than 60", g.n->nloops),
              "tensorize at a loop further in");
  if (g.failed || !match_target(&g)) return NULL;
  g.a = nest_linear(&g.p, g.n, g.n->store->buffer, g.n->index);
  bool reset = expr_is_int(g.n->value, &zero);
  if (reset && zero != 0) {
    Diag *d = MISMATCH(&g, E_GEMM_OPERAND, g.n->value->loc,
                       "`%s` is not a sum of products: it starts at %lld, but a sum at 0",
                       buffer_stage(g.n->store->buffer), (long long)zero);
    diag_help(d, "minima, maxima and products reduce on the ALU: `%s.alu();`", buffer_stage(g.n->store->buffer));
  }
  if (g.failed || (!reset && !match_value(&g))) return NULL;
  if (!reset) {
    g.i = nest_linear(&g.p, g.n, g.inp->buffer, g.inp->args);
    g.w = nest_linear(&g.p, g.n, g.wgt->buffer, g.wgt->args);
  }
  turn_loops(&g);
  cut_loops(&g);
  if (!reset && refuse_exchanged(&g)) return NULL;
  for (int k = 0; k < g.n->nloops; k++) match_loop(&g, &g.n->loops[k]);
  if (!g.failed) match_extents(&g);
  if (g.failed) return NULL;
  match_base(&g, &g.a, g.n->store->buffer, g.n->store->loc);
  if (!reset) match_base(&g, &g.i, g.inp->buffer, g.inp->loc);
  if (!reset) match_base(&g, &g.w, g.wgt->buffer, g.wgt->loc);
  if (g.failed) return NULL;
  t->pc->stats.gemm_nests++;
  *(reset ? &t->pc->stats.resets : &t->pc->stats.gemms) += 1;
  return gemm_stmt(&g);
}

// The nests of a region: one, or an init and an update in a sequence, perhaps inside common loops.
static const Stmt *lower_region(Tensorize *t, const Stmt *region, const Stmt *s) {
  const Stmt *in = s;
  while (in->kind == STMT_FOR) in = in->body;
  if (in->kind != STMT_SEQ) {
    const Stmt *out = lower_nest(t, region, s);
    if (!out) t->failed = true;
    return out ? out : s;
  }
  if (s->kind == STMT_SEQ) {
    const Stmt **out = NEW_ARRAY(t->pc->cx->arena, const Stmt *, s->nchildren + 1);
    for (int i = 0; i < s->nchildren; i++) out[i] = lower_region(t, region, s->children[i]);
    return stmt_seq(t->pc->cx, s->nchildren, out);
  }
  tile_push_loop(t->pc->cx, &t->ranges, s);
  const Stmt *body = lower_region(t, region, s->body);
  ranges_pop(&t->ranges);
  return tile_around(t->pc->cx, s, body);
}

static const Stmt *walk(void *self, const Stmt *s) {
  Tensorize *t = self;
  if (s->kind == STMT_INTRIN && is_vta(s->intrin, VTA_TENSORIZE)) return lower_region(t, s, s->body);
  bool loop = s->kind == STMT_FOR;
  if (loop) tile_push_loop(t->pc->cx, &t->ranges, s);
  s = stmt_rebuild(t->pc->cx, s, walk, NULL, t);
  if (loop) ranges_pop(&t->ranges);
  return s;
}

Func *pass_tensorize(PassCtx *pc, const Func *f) {
  Tensorize t = {.pc = pc, .vta = pc->vta ? pc->vta : vta_of(f->target)};
  const Stmt *body = t.vta ? walk(&t, f->body) : f->body;
  return t.failed ? NULL : func_with_body(pc->cx, f, body);
}

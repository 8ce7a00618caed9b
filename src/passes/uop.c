// SPDX-License-Identifier: Apache-2.0
// Pass uop: a nest of loops around one compute operation becomes as few instructions as possible.
//
//     for dy in 0..3 for dx in 0..3            vta.kernel(gemm, loops=(3, 56), dst=(0, 1), src=(58, 1), wgt=(3, 0)) {
//       for y in 0..14 for x in 0..56    =>      for dx in 0..3 for y in 0..14
//         vta.gemm(&c[y * 56 + x], ..)             vta.uop(&c[y * 56], &a[dx + y * 58], &w[dx])
//                                              }
//
// An instruction repeats a list of micro-ops in two hardware loops, which add a constant to each of the three
// indices a turn. So of the nest's loops two become hardware loops, some are unrolled into micro-ops, and the rest
// stay loops of the host, an instruction a turn. Chosen are the ways with the fewest instructions, then without
// writing the same tile in three successive steps (upstream's pipeline has no interlock there), then with the
// fewest micro-ops.
//
// Requires: FORM_TILES after `storage`. Ensures: every compute operation is inside a vta.kernel; tokens stay in
// place. Reordering the loops is legal: GEMM, min, max, add and mul into the same tile commute (arithmetic wraps),
// and all steps of a shift by an immediate are the same. Otherwise (a register shift that hits a tile twice, or an
// operand in the region that is written) loops keep their order and only the innermost are folded.
#include <string.h>

#include "tir/refuse.h"
#include "passes/tiles.h"

#define EXTENT_MAX 16383             // 14 bits
#define LOOPS_MAX 12                 // more loops than that: the outer ones stay with the host
#define REACH_MAX ((int64_t)1 << 40) // a loop that steps over more tiles stays with the host too: no memory has them

enum { DST = ARG_UOP_DST, SRC = ARG_UOP_SRC, WGT = ARG_UOP_WGT, OPERANDS = ARG_UOP_END };

typedef struct Fold { // a loop of the nest, from 0, with what a turn adds to each operand's index
  Name name;
  Loc loc;
  int64_t extent;
  int64_t step[OPERANDS];
} Fold;

typedef enum Role { ROLE_HOST, ROLE_UOP, ROLE_OUT, ROLE_IN } Role;

typedef struct Kernel {
  PassCtx *pc;
  Ctx *cx;
  const Stmt *leaf;
  VtaOp op;
  const Expr *imm;                // an immediate for the last operand; NULL: none
  const Buffer *buffer[OPERANDS]; // NULL: unused, or as dst
  Affine base[OPERANDS];
  bool ordered; // the loops' order matters
  int n;
  Fold loops[LOOPS_MAX]; // outermost first
} Kernel;

typedef struct Choice {
  int out, in;   // hardware loops; -1: none
  unsigned uops; // bit i: loop i is unrolled
  int64_t instructions, nuops;
  bool hazard;
  int64_t in_extent, out_extent;
} Choice;

// ---- the operation ---------------------------------------------------------------------------------------------

static void set_operand(Kernel *k, int which, const Expr *ref) {
  k->buffer[which] = ref->buffer;
  k->base[which] = affine_of(k->cx, ref->args[0], NULL);
}

// An immediate must be a constant of 16 bits.
static bool set_immediate(Kernel *k, const Expr *e) {
  int64_t v;
  k->imm = e;
  if (expr_is_int(e, &v) && v >= INT16_MIN && v <= INT16_MAX) return true;
  Refusal r = {.cx = k->cx,
               .phase = "uop",
               .nest = k->leaf,
               .asked = k->leaf->why,
               .asked_as = "asked for here",
               .rule = "an immediate is a constant of 16 bits, -32768 to 32767"};
  Diag *g = refuse(&r, E_FIELD, k->leaf->loc,
                   arena_printf(k->cx->arena, "an operand of %s does not fit the instruction", k->leaf->intrin->name));
  if (e->kind == EXPR_INT) diag_note(g, "it is %lld", (long long)e->value.i);
  diag_help(g, "put it together from several operations, or into a tile of vta.acc");
  return false;
}

// What no micro-op does.
static bool refuse_operation(Kernel *k) {
  const char *name = k->leaf->intrin->name;
  Refusal r = {.cx = k->cx,
               .phase = "uop",
               .nest = k->leaf,
               .asked = k->leaf->why,
               .asked_as = "asked for here",
               .rule = "a micro-op is a reset, a gemm or an operation of the ALU"};
  Diag *g =
      refuse(&r, E_UNPLACED, k->leaf->loc, arena_printf(k->cx->arena, "%s is no operation of the hardware", name));
  diag_help(g, "run the pass `storage` first");
  return false;
}

// Reads the operation; false after a report.
static bool kernel_operation(Kernel *k) {
  const Stmt *s = k->leaf;
  const VtaRow *row = vta_row_of(s->intrin);
  if (row->cls != CLASS_STEP) return refuse_operation(k);
  k->op = (VtaOp)s->intrin->id;
  for (int i = 0; i < row->noperands; i++) {
    const Expr *e = s->args[row->operands[i].arg];
    if (e->kind == EXPR_REF) set_operand(k, i, e);
    else if (!set_immediate(k, e)) return false;
  }
  if (k->imm) set_operand(k, SRC, s->args[DST]); // upstream's ALU reads the source index for immediates: the same tile
  return true;
}

// Whether loops must keep their order: steps on one tile give something else in another one, or a step reads what
// others write. One that reads the tile that it writes, and no other, does not. The loops of the nest are the entries
// of r from `from` on.
static bool order_matters(const Kernel *k, const Ranges *r, size_t from) {
  int alu = vta_row(k->op)->alu;
  TileAccess a[TILE_ACCESS_MAX];
  if (alu == NO_ALU || k->imm) return false;
  if (!vta_alu_steps_commute((VtaAluOp)alu)) return true;
  if (k->buffer[DST]->base == k->buffer[SRC]->base && affine_equal(&k->base[DST], &k->base[SRC])) return false;
  int n = tile_accesses(r, k->leaf, a);
  if (n != 2) bug("%s with %d tiles", k->leaf->intrin->name, n);
  Footprint dst = tile_footprint(k->cx, r, &a[DST]), src = tile_footprint(k->cx, r, &a[SRC]);
  dst = footprint_widen(k->cx, r, &dst, from);
  src = footprint_widen(k->cx, r, &src, from);
  return footprints_meet(k->cx, r, &dst, &src);
}

// ---- the loops -------------------------------------------------------------------------------------------------

// Takes loop s into the kernel: its variable leaves the indices. False: it cannot be folded.
static bool fold_loop(Kernel *k, const Stmt *s) {
  Fold f = {.name = s->var->name, .loc = s->loc};
  if (k->n == LOOPS_MAX || !expr_is_int(s->extent, &f.extent) || f.extent < 1) return false;
  Affine from = affine_of(k->cx, s->min, NULL), base[OPERANDS];
  for (int i = 0; i < OPERANDS; i++) {
    f.step[i] = affine_coef(&k->base[i], s->var);
    int64_t reach;
    if (!mul_ok(f.step[i], f.extent, &reach) || reach < -REACH_MAX || reach > REACH_MAX) return false;
    base[i] = affine_without(k->cx, &k->base[i], s->var);
    if (affine_mentions(&base[i], s->var)) return false;
    if (f.step[i]) base[i] = affine_add(k->cx, &base[i], f.step[i], &from);
  }
  memcpy(k->base, base, sizeof base);
  memmove(&k->loops[1], &k->loops[0], (size_t)k->n * sizeof *k->loops);
  k->loops[0] = f;
  k->n++;
  return true;
}

static void remove_loop(Kernel *k, int i) {
  k->n--;
  memmove(&k->loops[i], &k->loops[i + 1], (size_t)(k->n - i) * sizeof *k->loops);
}

// Whether loop a outside loop b is one loop with b's steps.
static bool mergeable(const Fold *a, const Fold *b) {
  int64_t n;
  if (!mul_ok(a->extent, b->extent, &n) || n > EXTENT_MAX) return false;
  for (int i = 0; i < OPERANDS; i++)
    if (!mul_ok(b->step[i], b->extent, &n) || a->step[i] != n) return false;
  return true;
}

// Merges one pair of loops, if there is one.
static bool merge_once(Kernel *k) {
  for (int a = 0; a < k->n; a++)
    for (int b = 0; b < k->n; b++) {
      if (a == b || (k->ordered && b != a + 1) || !mergeable(&k->loops[a], &k->loops[b])) continue;
      k->loops[b].extent *= k->loops[a].extent;
      remove_loop(k, a);
      return true;
    }
  return false;
}

// A loop that only goes down goes up instead.
static void turn_round(Kernel *k, Fold *f) {
  for (int i = 0; i < OPERANDS; i++)
    if (f->step[i] > 0) return;
  for (int i = 0; i < OPERANDS; i++) {
    if (!f->step[i]) continue;
    (void)add_ok(k->base[i].constant, f->step[i] * (f->extent - 1), &k->base[i].constant); // wraps, as indices do
    f->step[i] = -f->step[i];
  }
}

// Cuts a loop that is too long for a field in two, if a divisor allows.
static void cut_long(Kernel *k, int at) {
  Fold *f = &k->loops[at];
  int64_t d = EXTENT_MAX;
  if (f->extent <= EXTENT_MAX || k->n == LOOPS_MAX) return;
  while (f->extent % d) d--;
  if (d == 1) return;
  memmove(f + 1, f, (size_t)(k->n - at) * sizeof *f);
  k->n++;
  f[0].extent = f[1].extent / d;
  f[1].extent = d;
  for (int i = 0; i < OPERANDS; i++) f[0].step[i] *= d;
}

// Loops in their shortest form: none of one turn, compatible ones merged.
static void tidy_loops(Kernel *k) {
  for (int i = k->n; i-- > 0;)
    if (k->loops[i].extent == 1) remove_loop(k, i);
  for (int i = 0; i < k->n && !k->ordered; i++) turn_round(k, &k->loops[i]);
  while (merge_once(k)) {
  }
  for (int i = 0; i < k->n; i++) cut_long(k, i);
}

// ---- which loop becomes what -----------------------------------------------------------------------------------

// Whether a loop's steps and turns can be encoded.
static bool fits_hardware(const Kernel *k, const Fold *f) {
  const VtaConfig *c = &k->pc->vta->config;
  if (f->extent > EXTENT_MAX) return false;
  for (int i = 0; i < vta_row(k->op)->noperands; i++)
    if (f->step[i] < 0 || f->step[i] >= vta_depth(c, vta_uop_memory(k->op, i))) return false;
  return true;
}

// The unrolled loops in the order of the list: those that stay on a tile first (outside).
static int unrolled_order(const Kernel *k, unsigned uops, int order[LOOPS_MAX]) {
  int n = 0;
  for (int moving = 0; moving < 2; moving++)
    for (int i = 0; i < k->n; i++)
      if ((uops >> i & 1) && (k->ordered ? moving == 0 : (k->loops[i].step[DST] != 0) == moving)) order[n++] = i;
  return n;
}

// Whether a micro-op of the list writes the tile of one of the two before it: upstream's runtime refuses such a
// kernel. Between two steps of loops further out there is one of the innermost.
static bool list_repeats(const Kernel *k, unsigned uops) {
  int order[LOOPS_MAX], n = unrolled_order(k, uops, order);
  int64_t back = 0, inner = 0; // what the loops inside went; the innermost step
  for (int i = n; i-- > 0;) {
    const Fold *l = &k->loops[order[i]];
    if (l->extent == 1) continue;
    int64_t step = l->step[DST] - back; // from the last turn of the loops inside to their first
    if (step == 0 || step == -inner) return true;
    if (!inner) inner = step;
    back += (l->extent - 1) * l->step[DST];
  }
  return false;
}

// Whether a tile is written again within three steps of the whole instruction.
static bool steps_repeat(const Kernel *k, const Choice *c) {
  if (c->nuops >= 3) return false;
  if (c->in >= 0) return k->loops[c->in].step[DST] == 0;
  return c->out >= 0 && k->loops[c->out].step[DST] == 0;
}

// Whether a is to be preferred; the head of the file says by what.
static bool better(const Choice *a, const Choice *b) {
  if (a->instructions != b->instructions) return a->instructions < b->instructions;
  if (a->hazard != b->hazard) return b->hazard;
  if (a->nuops != b->nuops) return a->nuops < b->nuops;
  if (a->in_extent != b->in_extent) return a->in_extent > b->in_extent;
  return a->out_extent > b->out_extent;
}

// Whether the choice keeps the loops' order: the host outside, then out, in, the list.
static bool keeps_order(const Kernel *k, const Choice *c) {
  int last = ROLE_HOST;
  for (int i = 0; i < k->n; i++) {
    int rank = i == c->out ? 1 : i == c->in ? 2 : (c->uops >> i & 1) ? 3 : 0;
    if (rank < last) return false;
    last = rank;
  }
  return true;
}

static int64_t times(int64_t n, int64_t extent) { return mul_ok(n, extent, &n) ? n : INT64_MAX; }

// Keeps c, whose costs are counted, if it is legal and better.
static void try_choice(const Kernel *k, Choice c, Choice *best) {
  if (k->ordered && !keeps_order(k, &c)) return;
  c.out_extent = c.out < 0 ? 1 : k->loops[c.out].extent;
  c.in_extent = c.in < 0 ? 1 : k->loops[c.in].extent;
  c.hazard = steps_repeat(k, &c);
  if (better(&c, best) && (c.nuops == 1 || !list_repeats(k, c.uops))) *best = c;
}

enum { MOST_SUBSETS = 7 }; // loops of which all subsets are tried

// Tries to unroll all subsets of the first n loops that are not hardware loops, beside those of c, in the order of
// their bits; with many loops, only the whole and single ones. What is cut off costs more than the best, or has too
// many micro-ops.
static void try_unrolling(const Kernel *k, Choice c, int n, int64_t limit, Choice *best) {
  if (c.nuops > limit || c.instructions > best->instructions) return;
  if (n == 0) {
    try_choice(k, c, best);
    return;
  }
  int i = n - 1;
  if (i == c.out || i == c.in) {
    try_unrolling(k, c, i, limit, best);
    return;
  }
  Choice unrolled = c;
  unrolled.uops |= 1u << i;
  unrolled.nuops = times(c.nuops, k->loops[i].extent);
  c.instructions = times(c.instructions, k->loops[i].extent);
  try_unrolling(k, c, i, limit, best);
  if (!c.uops || k->n <= MOST_SUBSETS) try_unrolling(k, unrolled, i, limit, best);
}

// The best of all pairs of hardware loops and all ways to unroll the others.
static Choice choose(const Kernel *k) {
  int64_t limit = vta_depth(&k->pc->vta->config, MEM_UOP) / 8;
  if (limit < 1) limit = 1;
  Choice best = {.instructions = INT64_MAX, .nuops = INT64_MAX};
  for (int out = -1; out < k->n; out++)
    for (int in = -1; in < k->n; in++) {
      if (in >= 0 && (in == out || !fits_hardware(k, &k->loops[in]))) continue;
      if (out >= 0 && (in < 0 || !fits_hardware(k, &k->loops[out]))) continue; // a single one is the inner loop
      try_unrolling(k, (Choice){.out = out, .in = in, .instructions = 1, .nuops = 1}, k->n, limit, &best);
    }
  return best;
}

// ---- writing it down -------------------------------------------------------------------------------------------

// Loop i of the kernel around body, over a new variable that enters the indices.
static const Var *loop_var(Kernel *k, int i) {
  const Var *v = tir_var(k->cx, k->loops[i].name, k->loops[i].loc);
  const Expr *e = expr_var(k->cx, v);
  Affine a = affine_of(k->cx, e, NULL);
  for (int o = 0; o < OPERANDS; o++) k->base[o] = affine_add(k->cx, &k->base[o], k->loops[i].step[o], &a);
  return v;
}

// Loop i over v around body.
static const Stmt *wrap(Kernel *k, const Var *v, int i, const Stmt *body) {
  const Expr *zero = expr_index(k->cx, 0), *extent = expr_index(k->cx, k->loops[i].extent);
  const Stmt *s = stmt_for(k->cx, v, zero, extent, FOR_SERIAL, body);
  return stmt_placed(k->cx, s, k->leaf->loc, k->leaf->why);
}

static const Expr *uop_operand(Kernel *k, int which) {
  return expr_ref(k->cx, k->buffer[which], affine_expr(k->cx, &k->base[which]));
}

// The operation, its immediate, and the hardware loops.
static const Stmt *kernel_call(Kernel *k, const Choice *c, const Stmt *body) {
  static const int first[OPERANDS] = {ARG_KERNEL_DST, ARG_KERNEL_SRC, ARG_KERNEL_WGT};
  int64_t v[ARG_KERNEL_IMM] = {[ARG_KERNEL_OP] = k->op, [ARG_KERNEL_LOOPS] = 1, [ARG_KERNEL_LOOPS + 1] = 1};
  const Expr *args[ARG_KERNEL_END];
  int hardware[2] = {c->out, c->in};
  for (int h = 0; h < 2; h++) {
    if (hardware[h] < 0) continue;
    const Fold *f = &k->loops[hardware[h]];
    v[ARG_KERNEL_LOOPS + h] = f->extent;
    for (int o = 0; o < OPERANDS; o++) v[first[o] + h] = k->buffer[o] ? f->step[o] : 0;
  }
  for (int i = 0; i < ARG_KERNEL_IMM; i++) args[i] = expr_index(k->cx, v[i]);
  args[ARG_KERNEL_IMM] = k->imm;
  const Stmt *s = stmt_intrin(k->cx, vta_op(k->pc->vta, VTA_KERNEL), ARG_KERNEL_IMM + (k->imm != NULL), args, body);
  return stmt_placed(k->cx, s, k->leaf->loc, k->leaf->why);
}

static const Stmt *write_kernel(Kernel *k, const Choice *c) {
  int order[LOOPS_MAX], n = unrolled_order(k, c->uops, order);
  const Var *host[LOOPS_MAX] = {0}, *unrolled[LOOPS_MAX] = {0};
  for (int i = 0; i < k->n; i++)
    if (i != c->out && i != c->in && !(c->uops >> i & 1)) host[i] = loop_var(k, i);
  for (int i = 0; i < n; i++) unrolled[i] = loop_var(k, order[i]);
  const Expr *args[OPERANDS];
  int operands = vta_uop_operands(k->op, k->imm != NULL);
  for (int o = 0; o < operands; o++) args[o] = uop_operand(k, o);
  const Stmt *s = tile_call(k->pc, VTA_UOP, operands, args, k->leaf);
  for (int i = n; i-- > 0;) s = wrap(k, unrolled[i], order[i], s);
  s = kernel_call(k, c, s);
  for (int i = k->n; i-- > 0;)
    if (host[i]) s = wrap(k, host[i], i, s);
  k->pc->stats.kernels++;
  k->pc->stats.uops += c->nuops;
  return s;
}

typedef struct UopPass {
  PassCtx *pc;
  Ranges ranges; // of the loops around
  bool failed;
} UopPass;

static bool loops_matter(UopPass *u, const Kernel *k, const Stmt *nest) {
  size_t depth = u->ranges.len;
  for (const Stmt *s = nest; s != k->leaf; s = s->body)
    if (s->kind == STMT_FOR) tile_push_loop(k->cx, &u->ranges, s);
  bool matter = order_matters(k, &u->ranges, depth);
  while (u->ranges.len > depth) ranges_pop(&u->ranges);
  return matter;
}

// A nest around one compute operation. Loops that cannot be folded, and all outside of one or of an `if`, stay.
static const Stmt *fold_nest(UopPass *u, const Stmt *nest, const Stmt *leaf) {
  Ctx *cx = u->pc->cx;
  Kernel k = {.pc = u->pc, .cx = cx, .leaf = leaf};
  VEC(const Stmt *) chain = {0};
  for (const Stmt *s = nest; s != leaf; s = s->body) VEC_PUSH(cx->arena, chain, s);
  if (!kernel_operation(&k)) {
    u->failed = true;
    return nest;
  }
  k.ordered = loops_matter(u, &k, nest);
  size_t left = chain.len;
  while (left > 0 && chain.data[left - 1]->kind == STMT_FOR && fold_loop(&k, chain.data[left - 1])) left--;
  tidy_loops(&k);
  Choice c = choose(&k);
  const Stmt *s = write_kernel(&k, &c);
  while (left-- > 0) s = tile_around(cx, chain.data[left], s);
  return s;
}

static const Stmt *fold_nests(void *self, const Stmt *s) {
  UopPass *u = self;
  const Stmt *leaf = tile_nest_leaf(s);
  if (leaf) return tile_is_compute(leaf) ? fold_nest(u, s, leaf) : s;
  if (s->kind == STMT_FOR) tile_push_loop(u->pc->cx, &u->ranges, s);
  const Stmt *out = stmt_rebuild(u->pc->cx, s, fold_nests, NULL, u);
  if (s->kind == STMT_FOR) ranges_pop(&u->ranges);
  return out;
}

Func *pass_uop(PassCtx *pc, const Func *f) {
  if (!pc->vta) return func_with_body(pc->cx, f, f->body);
  if (!tiles_check(pc, "uop", f, true)) return NULL;
  UopPass u = {.pc = pc};
  const Stmt *body = fold_nests(&u, tile_split_nests(pc, f->body));
  return u.failed ? NULL : func_with_body(pc->cx, f, body);
}

// SPDX-License-Identifier: Apache-2.0
// Explanation: what a refused copy is told. Every message has the expression at fault as its place, the schedule
// statement that asked as its second, the nest in TIR, the rule, and a remedy in the user's own names.
#include <string.h>

#include "passes/inject_copy/internal.h"
#include "tir/refuse.h"

// ---- texts ----------------------------------------------------------------------------------------------------------

static const char *stage_name(const Buffer *b) { return b->stage ? b->stage : b->name; }

static const char *type_text(DType t) { return dtype_name(t); }

// "copied in" or "copied out".
static const char *way(const Buffer *to) { return to->scope == &scope_host ? "copied out" : "copied in"; }

static const char *memory_text(const Buffer *b) { return b->scope == &scope_host ? "host memory" : b->scope->name; }

// How the loads of an expression are shown: as res[i, j], as res[...], or as res.
typedef enum Show { SHOW_INDICES, SHOW_BRACKETS, SHOW_NAMES } Show;

#define PREC_UNARY 11 // above every operator of ops.def

static void show_into(Text *t, const Expr *e, int prec, Show how);

static void show_list(Text *t, int n, const Expr *const *args, Show how) {
  for (int i = 0; i < n; i++) {
    if (i) text_add(t, ", ");
    show_into(t, args[i], 0, how);
  }
}

static void show_load(Text *t, const Expr *e, Show how) {
  text_add(t, "%s", stage_name(e->buffer));
  if (how == SHOW_NAMES) return;
  text_add(t, "[");
  if (how == SHOW_BRACKETS) text_add(t, "...");
  else show_list(t, e->nargs, e->args, how);
  text_add(t, "]");
}

static void show_binary(Text *t, const Expr *e, int prec, Show how) {
  int own = binop_prec(e->binop);
  if (own == 0) { // min, max
    text_add(t, "%s(", binop_text(e->binop));
    show_list(t, 2, (const Expr *[]){e->a, e->b}, how);
    text_add(t, ")");
    return;
  }
  if (own < prec) text_add(t, "(");
  show_into(t, e->a, own, how);
  text_add(t, " %s ", binop_text(e->binop));
  show_into(t, e->b, own + 1, how);
  if (own < prec) text_add(t, ")");
}

// Writes e as the language would (TIR text gives every constant its type). Operators below prec are put in parentheses.
static void show_into(Text *t, const Expr *e, int prec, Show how) {
  switch (e->kind) {
  case EXPR_INT:
    if (e->type == DT_BOOL) text_add(t, e->value.i ? "true" : "false");
    else text_add(t, "%lld", (long long)e->value.i);
    return;
  case EXPR_FLOAT: text_add(t, "%g", e->value.f); return;
  case EXPR_VAR: text_add(t, "%s", e->var->name); return;
  case EXPR_CAST:
    text_add(t, "%s(", dtype_name(e->type));
    show_into(t, e->a, 0, how);
    text_add(t, ")");
    return;
  case EXPR_UNARY:
    text_add(t, "%s", unop_text(e->unop));
    show_into(t, e->a, PREC_UNARY, how);
    return;
  case EXPR_BINARY: show_binary(t, e, prec, how); return;
  case EXPR_SELECT:
    if (prec) text_add(t, "(");
    show_into(t, e->a, 1, how);
    text_add(t, " ? ");
    show_into(t, e->b, 1, how);
    text_add(t, " : ");
    show_into(t, e->c, 0, how);
    if (prec) text_add(t, ")");
    return;
  case EXPR_LOAD:
  case EXPR_REF: show_load(t, e, how); return;
  case EXPR_MATH:
    text_add(t, "%s(", math_name(e->fn));
    show_list(t, e->nargs, e->args, how);
    text_add(t, ")");
    return;
  }
}

static const char *show(CopyCx *c, const Expr *e, Show how) {
  Text t = {.arena = c->cx->arena};
  show_into(&t, e, 0, how);
  return t.data;
}

static const char *expr_text(CopyCx *c, const Expr *e) { return show(c, e, SHOW_INDICES); }

// Names the operator that e is.
static const char *operator_text(const Expr *e) {
  switch (e->kind) {
  case EXPR_UNARY: return unop_text(e->unop);
  case EXPR_BINARY: return binop_text(e->binop);
  case EXPR_MATH: return math_name(e->fn);
  case EXPR_VAR: return e->var->name;
  case EXPR_INT:
  case EXPR_FLOAT:
  case EXPR_CAST:
  case EXPR_SELECT:
  case EXPR_LOAD:
  case EXPR_REF: break;
  }
  return "expression";
}

// The nest in compact form: its loops in a line, guards, then the store with indices left out (or in full).
static const char *nest_text(CopyCx *c, const CopyStore *s, bool indices) {
  Text t = {.arena = c->cx->arena};
  text_add(&t, "    ");
  for (size_t i = 0; i < s->loops.len; i++) {
    const Stmt *l = s->loops.data[i];
    const Expr *end = expr_simplify(c->cx, NULL, expr_binary(c->cx, OP_ADD, l->min, l->extent));
    text_add(&t, "%sfor %s in %s..%s", i ? (i % 4 ? "  " : "\n    ") : "", l->var->name, expr_text(c, l->min),
             expr_text(c, end));
  }
  for (size_t i = 0; i < s->guards.len; i++)
    text_add(&t, "%sif %s(%s)", i || s->loops.len ? "\n    " : "", s->guards.data[i].negated ? "!" : "",
             expr_text(c, s->guards.data[i].expr));
  text_add(&t, "\n      %s[", stage_name(s->store->buffer));
  if (!indices) text_add(&t, "...");
  for (int i = 0; indices && i < s->store->nargs; i++)
    text_add(&t, "%s%s", i ? ", " : "", expr_text(c, s->store->args[i]));
  text_add(&t, "] = %s", show(c, s->value, indices ? SHOW_INDICES : SHOW_BRACKETS));
  return t.data;
}

// Reports a refusal: its place and label, the schedule statement, the nest, the rule.
static Diag *report(CopyCx *c, const CopyStore *s, DiagCode code, Loc at, const char *here, const char *rule,
                    const char *fmt, ...) PRINTF_LIKE(7, 8);
static Diag *report(CopyCx *c, const CopyStore *s, DiagCode code, Loc at, const char *here, const char *rule,
                    const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *headline = arena_vprintf(c->cx->arena, fmt, ap);
  va_end(ap);
  Refusal r = {.cx = c->cx,
               .phase = "inject_copy",
               .nest = c->region->body,
               .nest_text = nest_text(c, s, code != E_COPY_COMPUTES),
               .asked = c->region->why,
               .asked_as = "the copy is asked for here",
               .rule = rule};
  Diag *g = refuse(&r, code, loc_known(at) ? at : s->store->loc, headline);
  c->failed = true;
  diag_here(g, "%s", here);
  return g;
}

static const char copy_rule[] = "a copy is `dst[affine] = src[affine]`, a cast of it, or `cond ? src : 0`";

// The tile of an on-chip memory: "16 (1 x 16)".
static const char *tile_text(CopyCx *c, const Scope *s) {
  return arena_printf(c->cx->arena, "%lld elements (%lld x %lld)", (long long)s->tile, (long long)s->rows,
                      (long long)s->cols);
}

// The last axes that a tensor in this memory has, as they are written.
static const char *tile_axes(const CopyCx *c, const Scope *s) {
  if (s == &c->vta->inp) return "b: vta.batch, r: vta.block_in";
  if (s == &c->vta->wgt) return "j: vta.block_out, r: vta.block_in";
  return "b: vta.batch, j: vta.block_out";
}

static Loc load_loc(const CopyNest *n) {
  return n->value->load && loc_known(n->value->load->loc) ? n->value->load->loc : n->from->store->loc;
}

// ---- E0301 ----------------------------------------------------------------------------------------------------------

// The casts of a value around `inner`, written around `name`.
static const char *casts_around(CopyCx *c, const Expr *value, const Expr *inner, const char *name) {
  if (value->kind != EXPR_CAST || value == inner) return name;
  return arena_printf(c->cx->arena, "%s(%s)", type_text(value->type), casts_around(c, value->a, inner, name));
}

// The remedy that tetc applies itself: what is computed on its way out goes to the ALU. `lead` says how it is put.
static void help_legalize(CopyCx *c, Diag *g, const CopyStore *s, const char *lead) {
  const char *stage = stage_name(s->store->buffer);
  diag_fix_after(g, c->region->why, arena_printf(c->cx->arena, "%s.legalize_epilogue()", stage),
                 "%s: `%s.legalize_epilogue();`, or `tetc compile --legalize`", lead, stage);
}

// The remedy for a value computed on its way out: a stage on the ALU before it.
static void help_alu_stage(CopyCx *c, Diag *g, const CopyStore *s) {
  const Buffer *to = s->store->buffer;
  const Expr *op = s->value;
  while (op->kind == EXPR_CAST && dtype_is_int(op->a->type)) op = op->a;
  if (op->type == DT_I8 || op->type == DT_I16) {
    help_legalize(c, g, s, "let tetc compute it in int32, in a stage of its own on the VTA ALU");
    return;
  }
  if (op->type != DT_I32) {
    diag_help(g, "compute it in int32, in a stage of its own on the VTA ALU, and copy `%s(...)` of that",
              type_text(to->type));
    return;
  }
  bool clamps = op->kind == EXPR_BINARY && (op->binop == OP_MAX || op->binop == OP_MIN);
  const char *name = source_fresh_name(c->cx->arena, s->store->loc.src, clamps ? "act" : "tmp"),
             *stage = stage_name(to);
  const char *kind = to->role == BUF_OUTPUT ? "output" : "compute";
  const char *at = c->around.len ? arena_printf(c->cx->arena, "  %s.compute_at(%s, %s);", name, stage,
                                                c->around.data[c->around.len - 1]->name)
                                 : "";
  diag_help(g,
            "give the %s a stage of its own on the VTA ALU, and copy that:\n"
            "    compute %s = %s;      %s %s = %s;\n"
            "    %s.set_scope(vta.acc);%s  %s.alu();",
            clamps ? "activation" : "arithmetic", name, show(c, op, SHOW_NAMES), kind, stage,
            casts_around(c, s->value, op, name), name, at, name);
  help_legalize(c, g, s, "or let tetc do it");
}

typedef struct Reduced {
  const Buffer *buffer;
  bool inside, found; // inside a store to the buffer; it reads the buffer
} Reduced;

static bool reduced_stmt(void *self, const Stmt *s) {
  Reduced *r = self;
  if (s->kind == STMT_STORE) r->inside = s->buffer == r->buffer;
  return true;
}

static bool reduced_expr(void *self, const Expr *e) {
  Reduced *r = self;
  r->found |= r->inside && e->kind == EXPR_LOAD && e->buffer == r->buffer;
  return true;
}

bool copy_is_reduced(const CopyCx *c, const Buffer *b) {
  Reduced r = {.buffer = b};
  stmt_visit(c->f->body, reduced_stmt, reduced_expr, &r);
  return r.found;
}

static bool reads_accelerator(void *self, const Expr *e) {
  bool *reads = self;
  *reads |= e->kind == EXPR_LOAD && e->buffer->scope != &scope_host;
  return true;
}

// The remedy for a reduction on its way out.
static void help_reduce_stage(CopyCx *c, Diag *g, const CopyStore *s) {
  const char *stage = stage_name(s->store->buffer);
  diag_note(g, "`%s` is a reduction: it reads what it wrote before", stage);
  const char *red = source_fresh_name(c->cx->arena, s->store->loc.src, "red");
  diag_help(g,
            "reduce int32 in a stage of its own on the VTA ALU, and copy that:\n"
            "    %s.set_scope(vta.acc);  %s.alu();      output %s = %s(%s);",
            red, red, stage, type_text(s->store->buffer->type), red);
  bool on_chip = false;
  expr_visit(s->value, reads_accelerator, &on_chip);
  if (!on_chip) diag_fix_drop(g, c->region->why, "or let the CPU compute it: drop `%s.dma_copy`", stage);
}

// The remedy for floating point on its way out.
static void help_cpu_stage(Diag *g, const CopyStore *s) {
  const char *stage = stage_name(s->store->buffer);
  diag_note(g, "VTA has no floating point");
  diag_help(g, "copy out an int8 stage before it, and let the CPU compute `%s`: drop `%s.dma_copy`", stage, stage);
}

void explain_computes(CopyCx *c, const CopyStore *s, const Expr *op) {
  const Buffer *to = s->store->buffer;
  const char *here = arena_printf(c->cx->arena, "this `%s` would have to run inside the transfer", operator_text(op));
  Diag *g = report(c, s, E_COPY_COMPUTES, op->loc, here, copy_rule,
                   "`%s` is %s, but it computes: a DMA transfer can only move data", stage_name(to), way(to));
  if (to->scope == &scope_host && copy_is_reduced(c, to)) help_reduce_stage(c, g, s);
  else if (to->scope == &scope_host && dtype_is_float(op->type)) help_cpu_stage(g, s);
  else if (to->scope == &scope_host) help_alu_stage(c, g, s);
  else {
    const char *host = arena_printf(c->cx->arena, "%s_host", stage_name(to));
    host = source_fresh_name(c->cx->arena, s->store->loc.src, host);
    const Expr *whole = op->type == DT_BOOL ? s->value : NULL; // a condition is computed with what it chooses
    while (whole && whole->kind == EXPR_CAST && dtype_is_int(whole->a->type)) whole = whole->a;
    diag_help(g,
              "compute it on the CPU, in a stage without a scope, and copy that one in:\n"
              "    compute %s = %s;      compute %s = %s;",
              host, show(c, whole ? whole : op, SHOW_NAMES), stage_name(to), casts_around(c, s->value, whole, host));
  }
}

void explain_foreign(CopyCx *c, const Stmt *s) {
  Refusal r = {.cx = c->cx,
               .phase = "inject_copy",
               .nest = c->region->body,
               .asked = c->region->why,
               .asked_as = "the copy is asked for here",
               .rule = copy_rule};
  Diag *g = refuse(&r, E_COPY_SHAPE, s->loc, "a copy region holds something that is not a copy");
  c->failed = true;
  diag_help(g, "give dma_copy the axis below which there is nothing but the copy");
}

// ---- E0302 ----------------------------------------------------------------------------------------------------------

static const char *lanes_rule(CopyCx *c, const CopyNest *n) {
  return arena_printf(c->cx->arena,
                      "a transfer moves whole tiles: the %s of a tile of %s lie side by side, in the same order, on "
                      "both sides",
                      tile_text(c, n->chip_buffer->scope), n->chip_buffer->scope->name);
}

void explain_lane_step(CopyCx *c, const CopyNest *n, const Loop *l) {
  const char *axis = l->var->name, *dram = stage_name(n->dram_buffer), *what = "strided";
  if (l->dram == 0) what = "broadcast";
  else if (l->dram == -l->chip) what = "reversed";
  else if (l->dram % n->tile == 0 || l->dram > n->tile) what = "transposed";
  const char *here = l->dram == 0 ? arena_printf(c->cx->arena, "`%s` does not move in `%s`", axis, dram)
                                  : arena_printf(c->cx->arena, "one step of `%s` is %lld element%s of `%s`", axis,
                                                 (long long)l->dram, l->dram == 1 ? "" : "s", dram);
  Diag *g = report(c, n->from, E_COPY_SHAPE, load_loc(n), here, lanes_rule(c, n),
                   "`%s` is %s with its tiles %s, which no transfer does", stage_name(n->from->store->buffer),
                   way(n->from->store->buffer), what);
  diag_note(g, "one step of `%s` is %lld in `%s`, %lld in `%s`", axis, (long long)l->chip, stage_name(n->chip_buffer),
            (long long)l->dram, dram);
  if (n->kind == COPY_STORE)
    diag_help(
        g, "copy out in the order of the tile, to a stage with the axes [..., %s], and let a CPU stage rearrange that",
        tile_axes(c, n->chip_buffer->scope));
  else
    diag_help(g, "let a CPU stage pack `%s` first, with the axes [..., %s], and copy that stage in", dram,
              tile_axes(c, n->chip_buffer->scope));
}

static void help_gather(CopyCx *c, const CopyNest *n, Diag *g) {
  diag_help(g, "gather on the CPU, in a stage with the axes [..., %s], and copy that stage",
            tile_axes(c, n->chip_buffer->scope));
}

static void gathered(CopyCx *c, const CopyNest *n, const char *here) {
  Diag *g = report(c, n->from, E_COPY_SHAPE, load_loc(n), here, lanes_rule(c, n),
                   "`%s` is %s with its tiles gathered, which no transfer does", stage_name(n->from->store->buffer),
                   way(n->from->store->buffer));
  help_gather(c, n, g);
}

void explain_gathered_lanes(CopyCx *c, const CopyNest *n, const Loop *l) {
  gathered(
      c, n,
      arena_printf(c->cx->arena, "the place of `%s` in `%s` is not affine", l->var->name, stage_name(n->dram_buffer)));
}

void explain_lane_index(CopyCx *c, const CopyNest *n, const Loop *l) {
  Affine beside = affine_without(c->cx, &n->dram, l->var);
  if (affine_mentions(&beside, l->var)) explain_gathered_lanes(c, n, l);
  else gathered(c, n, arena_printf(c->cx->arena, "a condition on `%s` is not a range", l->var->name));
}

void explain_gather(CopyCx *c, const CopyStore *s, const Expr *load, const Expr *index) {
  const char *where = load ? stage_name(load->buffer) : stage_name(s->store->buffer);
  Diag *g = report(c, s, E_COPY_SHAPE, index->loc, "this index is known only when the kernel runs", copy_rule,
                   "`%s` is %s from places of `%s` that depend on computed data", stage_name(s->store->buffer),
                   way(s->store->buffer), where);
  diag_help(g, "gather on the CPU, in a stage of its own, and copy the gathered stage");
}

void explain_unknown_extent(CopyCx *c, const CopyStore *s, const Stmt *loop) {
  Diag *g = report(c, s, E_COPY_SHAPE, loop->loc, "in this copy", "a copy nest has loops of known, bounded length",
                   "`%s` is %s by a loop `%s` whose length is not known", stage_name(s->store->buffer),
                   way(s->store->buffer), loop->var->name);
  diag_help(g, "bound the extent of `%s`", loop->var->name);
}

void explain_overwrites(CopyCx *c, const CopyStore *s) {
  Diag *g = report(c, s, E_COPY_SHAPE, s->store->loc, "written more than once",
                   "transfers may be done in any order: a copy writes each element once",
                   "`%s` is %s several times over, in an order that matters", stage_name(s->store->buffer),
                   way(s->store->buffer));
  diag_help(g, "let each element of `%s` be written once", stage_name(s->store->buffer));
}

// ---- E0303 ----------------------------------------------------------------------------------------------------------

static const char *whole_rule(CopyCx *c, const Scope *s) {
  return arena_printf(c->cx->arena, "a tile of %s has %s, and a transfer moves or zeroes whole tiles", s->name,
                      tile_text(c, s));
}

void explain_part_of_tile(CopyCx *c, const CopyNest *n, int64_t have) {
  const Scope *scope = n->chip_buffer->scope;
  const char *stage = stage_name(n->from->store->buffer);
  bool run = have > scope->tile;
  Diag *g = report(c, n->from, E_COPY_ALIGN, load_loc(n), run ? "it ends inside a tile" : "narrower than a tile",
                   whole_rule(c, scope), "`%s` is %s by %s of %lld element%s, but %s is moved in tiles of %lld", stage,
                   way(n->from->store->buffer), run ? "runs" : "pieces", (long long)have, have == 1 ? "" : "s",
                   scope->name, (long long)scope->tile);
  bool gathers = false;
  for (int i = 0; i < n->nloops; i++) gathers |= n->loops[i].gathers;
  if (gathers) help_gather(c, n, g);
  else
    diag_help(g,
              "end the axes of `%s` with [%s], and let the copy run over all of them (a CPU stage can fill the rest "
              "with zeros)",
              stage, tile_axes(c, scope));
}

void explain_misaligned(CopyCx *c, const CopyNest *n, const Loop *l, const Buffer *side, int64_t offset) {
  const Scope *scope = n->chip_buffer->scope;
  const char *stage = stage_name(n->from->store->buffer), *in = stage_name(side);
  int64_t rest = floor_mod(offset, n->tile);
  const char *here =
      l ? arena_printf(c->cx->arena, "one step of `%s` is %lld element%s of `%s`", l->var->name, (long long)offset,
                       offset == 1 ? "" : "s", in)
        : arena_printf(c->cx->arena, "%lld element%s past a tile of `%s`", (long long)rest, rest == 1 ? "" : "s", in);
  const char *how =
      l ? arena_printf(c->cx->arena, "by steps of %lld element%s", (long long)offset, offset == 1 ? "" : "s")
        : arena_printf(c->cx->arena, "from element %lld of a tile on", (long long)rest);
  Diag *g = report(c, n->from, E_COPY_ALIGN, load_loc(n), here, whole_rule(c, scope),
                   "`%s` is %s %s, but %s is moved in tiles of %lld", stage, way(n->from->store->buffer), how,
                   scope->name, (long long)n->tile);
  diag_note(g, "offset %lld in `%s` is not a multiple of a tile", (long long)offset, in);
  diag_help(g, "let a CPU stage pack `%s` into blocks of %lld, with the axes [..., %s], filling up with zeros", in,
            (long long)n->tile, tile_axes(c, scope));
}

void explain_lane_condition(CopyCx *c, const CopyNest *n, bool guard) {
  const Scope *scope = n->chip_buffer->scope;
  const CopyStore *s = n->from;
  Loc at = guard && s->guards.len ? s->guards.data[s->guards.len - 1].expr->loc : s->value->loc;
  Diag *g =
      report(c, s, E_COPY_ALIGN, at, "this condition holds for a part of a tile only", whole_rule(c, scope),
             guard ? "`%s` is %s up to the middle of a tile of %s" : "`%s` is %s with zeros in a part of a tile of %s",
             stage_name(s->store->buffer), way(s->store->buffer), scope->name);
  diag_help(g, "let a CPU stage fill up to whole tiles, with the axes [..., %s], and copy that stage",
            tile_axes(c, scope));
}

// ---- E0304 ----------------------------------------------------------------------------------------------------------

// The remedies for constants stored next to data: the ALU writes whole tiles of them, the CPU any.
static void help_write_constants(CopyCx *c, Diag *g, const CopyStore *s) {
  diag_help(g, "copy out a stage without them, and let a CPU stage that reads it write them");
  help_legalize(c, g, s, "or let tetc write them into vta.acc, in a stage of its own on the VTA ALU");
}

void explain_fill(CopyCx *c, const CopyStore *s, const Expr *constant) {
  Diag *g = report(c, s, E_COPY_PAD, constant->loc, "VTA pads with zeros only",
                   "the padding that a transfer writes is always zero; the instruction has no field for another value",
                   "`%s` is %s with %s where there is no source", stage_name(s->store->buffer), way(s->store->buffer),
                   expr_text(c, constant));
  if (s->store->buffer->scope == &scope_host) help_write_constants(c, g, s);
  else diag_help(g, "pad on the CPU: a stage without a scope with this expression, and copy that stage in");
}

void explain_condition(CopyCx *c, const CopyStore *s, const Expr *cond, const char *why) {
  const char *rule = arena_printf(c->cx->arena, "%s, where the condition compares indices", copy_rule);
  Diag *g = report(c, s, E_COPY_PAD, cond->loc, why, rule, "`%s` is %s under a condition that no transfer can take",
                   stage_name(s->store->buffer), way(s->store->buffer));
  diag_help(g, "choose on the CPU, in a stage without a scope, and copy that stage");
}

void explain_store_pads(CopyCx *c, const CopyStore *s) {
  Diag *g = report(c, s, E_COPY_PAD, s->value->loc, "a store has no padding",
                   "only loads into the accelerator pad; a store moves what is in vta.acc",
                   "`%s` is copied out with zeros, which a transfer from vta.acc does not write",
                   stage_name(s->store->buffer));
  help_write_constants(c, g, s);
}

// ---- E0305, E0306 ---------------------------------------------------------------------------------------------------

void explain_scopes(CopyCx *c, const CopyStore *s, const Expr *load) {
  const Buffer *from = load->buffer, *to = s->store->buffer;
  const char *stage = stage_name(to);
  const char *here = arena_printf(c->cx->arena, "`%s` is in %s", stage_name(from), memory_text(from));
  Diag *g = report(c, s, E_COPY_SCOPE, load->loc, here,
                   "transfers go from host memory into vta.inp, vta.wgt or vta.acc, and from vta.acc to host memory",
                   "`%s` is copied from %s to %s, which no transfer joins", stage, memory_text(from), memory_text(to));
  if (from->scope == &scope_host)
    diag_fix_drop(g, c->region->why, "drop `%s.dma_copy` to let the CPU copy, or put one end on the accelerator",
                  stage);
  else if (to->scope == &scope_host)
    diag_help(g, "nothing comes back from %s: read `%s`'s own source on the host instead", memory_text(from),
              stage_name(from));
  else if (from->scope == &c->vta->acc && to->scope == &c->vta->acc)
    diag_fix(g, c->region->why, arena_printf(c->cx->arena, "%s.alu()", stage),
             "inside vta.acc the ALU moves data: `%s.alu();` instead of dma_copy", stage);
  else diag_help(g, "go through host memory: a stage without a scope between the two, with dma_copy on both");
}

// What a value is cast to first.
static DType innermost_cast(const Expr *value, DType none) {
  DType by = none;
  for (; value->kind == EXPR_CAST; value = value->a) by = value->type;
  return by;
}

void explain_types(CopyCx *c, const CopyStore *s, const Expr *load) {
  const Buffer *from = load->buffer, *to = s->store->buffer;
  const char *stage = stage_name(to), *type = type_text(to->type);
  const char *here = arena_printf(c->cx->arena, "`%s` is %s", stage_name(from), type_text(from->type));
  if (to->scope != &scope_host) {
    DType by = innermost_cast(s->value, to->type);
    const char *over = by == to->type ? "" : arena_printf(c->cx->arena, " by way of %s", type_text(by));
    Diag *g =
        report(c, s, E_COPY_TYPE, load->loc, here,
               "a load moves int8 into vta.inp and vta.wgt, and int32, or int8 with its sign extended, into vta.acc",
               "`%s` is copied in from %s to %s%s, a conversion that no transfer makes", stage, type_text(from->type),
               type, over);
    diag_help(g, "convert on the CPU, in a stage without a scope of type %s, and copy that stage in",
              type_text(to->scope == &c->vta->acc ? DT_I32 : DT_I8));
    return;
  }
  if (dtype_bits(to->type) == 8 && dtype_is_int(to->type)) {
    const char *low = arena_printf(c->cx->arena,
                                   "a store writes the low 8 bits of each 32-bit accumulator, as the cast `%s(...)` of "
                                   "an int32 does",
                                   type);
    Diag *g = report(c, s, E_COPY_TYPE, load->loc, here, low,
                     "`%s` is copied out by a conversion that no transfer makes", stage);
    diag_help(g, "clip on the ALU first, and copy out by the plain cast `%s(...)`", type);
    return;
  }
  Diag *g = report(c, s, E_COPY_TYPE, load->loc, here, "a store writes the low 8 bits of each 32-bit accumulator",
                   "`%s` is copied out as %s, but a transfer stores int8", stage, type);
  const char *narrow = arena_printf(c->cx->arena, "%s8", stage);
  narrow = source_fresh_name(c->cx->arena, s->store->loc.src, narrow);
  diag_help(g,
            "scale and clip on the ALU, copy out as int8, and let a CPU stage widen that:\n"
            "    compute %s = int8(%s);      %s %s = %s(%s);\n    %s.dma_copy();",
            narrow, stage_name(from), to->role == BUF_OUTPUT ? "output" : "compute", stage, type, narrow, narrow);
}

// ---- E0405 ----------------------------------------------------------------------------------------------------------

void explain_too_large(CopyCx *c, const CopyNest *n) {
  Diag *g = report(c, n->from, E_FIELD, load_loc(n), "too large for one address field",
                   "the address of a transfer counts tiles in 32 bits",
                   "`%s` has %lld tiles, more than the 32-bit address of a transfer reaches",
                   stage_name(n->dram_buffer), (long long)(buffer_elems(n->dram_buffer) / n->tile));
  diag_help(g, "divide `%s` into several tensors", stage_name(n->dram_buffer));
}

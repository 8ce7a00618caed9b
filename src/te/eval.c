// SPDX-License-Identifier: Apache-2.0
// The reference evaluator. Stage by stage, in declaration order; each stage's expression becomes a list of
// operations that run over blocks of up to BLOCK elements of the stage at once. A reduction visits its points in
// row-major order and keeps one accumulator an element, so the order of every sum is that of the definition.
//
// Both sides of a `?:` run for all elements of a block, since no operation traps; only accesses that could leave
// their tensor are masked, and skipped when no element of the block needs them.
#include "te/internal.h"
#include "te/lanes.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 256, NO_REG = -1 };

typedef enum OpKind {
  OPK_BINARY, // d = a binop b
  OPK_UNARY,
  OPK_MATH,
  OPK_CAST,     // from `from` to `type`
  OPK_SELECT,   // d = a ? b : c
  OPK_LOAD,     // affine and safe for the whole domain: from `load`
  OPK_GATHER,   // d = access[indices], checked, where mask
  OPK_MASK,     // d = (mask or all) && a
  OPK_MASK_NOT, // d = (mask or all) && !a
  OPK_SKIP,     // to `target` when no lane of mask is set
  OPK_NOTHING
} OpKind;

// An access whose flat offset is affine in the axes.
typedef struct Load {
  const TeTensor *tensor;
  int64_t base;
  int64_t coef[2 * TE_MAX_AXES]; // of the axes, then of the reduction axes
  int64_t *off;                  // of each lane, without the reduction's part
  int64_t step;                  // the reduction's part at the current point
} Load;

typedef struct Op {
  OpKind kind;
  DType type, from;
  BinOp binop;
  UnOp unop;
  MathFn fn;
  int d, a, b, c, mask, target;
  Load *load;
  const TeExpr *access; // OPK_GATHER
  int *indices;
} Op;

typedef Scalar Reg[BLOCK];

typedef struct Eval {
  Ctx *cx;
  const TeArrays *arrays;
  const TeTensor *stage;
  VEC(Op) ops;
  VEC(Load *) loads;
  VEC(int) free_regs;
  VEC(bool) is_temp; // of each register; others hold axes and constants
  VEC(Reg *) regs;   // kept from stage to stage
  int nregs;
  int ngathers;
  int axis_reg[2 * TE_MAX_AXES]; // NO_REG: the axis is not used as a value
  VEC(const TeExpr *) consts;
  VEC(int) const_regs;
  int lanes;
  bool failed;
} Eval;

static Arena *arena(Eval *v) { return v->cx->arena; }
static void *array_of(const Eval *v, const TeTensor *t) {
  return t->data ? (void *)t->data : v->arrays->data[t->index];
}
static Scalar *reg(Eval *v, int r) { return *v->regs.data[r]; }

// ---- compiling -------------------------------------------------------------------------------------------------

static int new_reg(Eval *v, bool temp) {
  if (temp && v->free_regs.len) return v->free_regs.data[--v->free_regs.len];
  int r = v->nregs++;
  if ((size_t)r == v->regs.len) {
    VEC_PUSH(arena(v), v->regs, NEW(arena(v), Reg));
    VEC_PUSH(arena(v), v->is_temp, temp);
  }
  v->is_temp.data[r] = temp;
  return r;
}

static void drop(Eval *v, int r) {
  if (r != NO_REG && v->is_temp.data[r]) VEC_PUSH(arena(v), v->free_regs, r);
}

static Op *emit(Eval *v, OpKind kind, DType type, int d) {
  Op op = {.kind = kind, .type = type, .d = d, .a = NO_REG, .b = NO_REG, .c = NO_REG, .mask = NO_REG};
  VEC_PUSH(arena(v), v->ops, op);
  return &v->ops.data[v->ops.len - 1];
}

// The place of an axis among axes and reduction axes of the stage; -1 for another stage's.
static int axis_slot(const TeTensor *t, const TeAxis *axis) {
  int i = axis->index + (axis->reduce ? t->naxes : 0);
  const TeAxis *own = axis->reduce ? (axis->index < t->nraxes ? t->raxes[axis->index] : NULL)
                                   : (axis->index < t->naxes ? t->axes[axis->index] : NULL);
  return own == axis ? i : -1;
}

static const TeAxis *slot_axis(const TeTensor *t, int i) { return i < t->naxes ? t->axes[i] : t->raxes[i - t->naxes]; }

// Adds k * e to the form (base, coef); false when e is not affine in the axes.
static bool affine(const TeTensor *t, const TeExpr *e, int64_t k, Load *form) {
  int64_t v;
  switch (e->kind) {
  case TE_CONST: return mul_ok(e->value.i, k, &v) && add_ok(form->base, v, &form->base);
  case TE_AXIS: {
    int i = axis_slot(t, e->axis);
    return i >= 0 && add_ok(form->coef[i], k, &form->coef[i]);
  }
  case TE_UNARY: return e->unop == UN_NEG && k != INT64_MIN && affine(t, e->a, -k, form);
  case TE_BINARY:
    if (e->binop == OP_ADD) return affine(t, e->a, k, form) && affine(t, e->b, k, form);
    if (e->binop == OP_SUB) return k != INT64_MIN && affine(t, e->a, k, form) && affine(t, e->b, -k, form);
    if (e->binop != OP_MUL) return false;
    if (e->b->kind == TE_CONST) return mul_ok(k, e->b->value.i, &v) && affine(t, e->a, v, form);
    if (e->a->kind == TE_CONST) return mul_ok(k, e->a->value.i, &v) && affine(t, e->b, v, form);
    return false;
  case TE_ACCESS:
  case TE_CAST:
  case TE_SELECT:
  case TE_MATH: return false;
  }
  return false;
}

// Whether the form stays in 0..extent-1 over the whole domain of the stage.
static bool stays_inside(const TeTensor *t, const Load *form, int64_t extent) {
  __int128 lo = form->base, hi = form->base;
  for (int i = 0; i < t->naxes + t->nraxes; i++) {
    __int128 reach = (__int128)form->coef[i] * (slot_axis(t, i)->extent - 1);
    if (reach > 0) hi += reach;
    else lo += reach;
  }
  return lo >= 0 && hi < extent;
}

// The access as one affine offset, if it is one and needs no check; else NULL.
static Load *safe_load(Eval *v, const TeExpr *e) {
  Load *load = NEW(arena(v), Load);
  load->tensor = e->tensor;
  for (int i = 0; i < e->nargs; i++) {
    int64_t extent = e->tensor->axes[i]->extent;
    Load index = {0};
    if (!affine(v->stage, e->args[i], 1, &index) || !stays_inside(v->stage, &index, extent)) return NULL;
    // Indices inside their extents keep every product below the tensor's 2^40 elements; coefficients of unit axes,
    // which are never multiplied by anything but 0, may wrap.
    load->base = load->base * extent + index.base;
    for (int k = 0; k < v->stage->naxes + v->stage->nraxes; k++)
      load->coef[k] = (int64_t)((uint64_t)load->coef[k] * (uint64_t)extent + (uint64_t)index.coef[k]);
  }
  return load;
}

static int compile(Eval *v, const TeExpr *e, int mask);

static int compile_const(Eval *v, const TeExpr *e) {
  for (size_t i = 0; i < v->consts.len && i < 64; i++)
    if (v->consts.data[i]->type == e->type && v->consts.data[i]->value.i == e->value.i) return v->const_regs.data[i];
  int r = new_reg(v, false);
  VEC_PUSH(arena(v), v->consts, e);
  VEC_PUSH(arena(v), v->const_regs, r);
  return r;
}

static int compile_axis(Eval *v, const TeExpr *e) {
  int i = axis_slot(v->stage, e->axis);
  if (i < 0) bug("an axis of another stage in `%s`", v->stage->name);
  if (v->axis_reg[i] == NO_REG) v->axis_reg[i] = new_reg(v, false);
  return v->axis_reg[i];
}

static int compile_access(Eval *v, const TeExpr *e, int mask) {
  Load *load = safe_load(v, e);
  if (load) {
    load->off = NEW_ARRAY(arena(v), int64_t, BLOCK);
    VEC_PUSH(arena(v), v->loads, load);
    int d = new_reg(v, true);
    emit(v, OPK_LOAD, e->type, d)->load = load;
    return d;
  }
  int *indices = NEW_ARRAY(arena(v), int, e->nargs);
  for (int i = 0; i < e->nargs; i++) indices[i] = compile(v, e->args[i], mask);
  for (int i = 0; i < e->nargs; i++) drop(v, indices[i]);
  int d = new_reg(v, true);
  Op *op = emit(v, OPK_GATHER, e->type, d);
  v->ngathers++;
  op->access = e;
  op->indices = indices;
  op->mask = mask;
  return d;
}

// Compiles e for the lanes of mask where cond (or its negation) holds. Without a checked access inside there is
// nothing to mask.
static int compile_under(Eval *v, const TeExpr *e, int cond, bool holds, int mask) {
  int inner = new_reg(v, true), gathers = v->ngathers;
  size_t start = v->ops.len;
  Op *op = emit(v, holds ? OPK_MASK : OPK_MASK_NOT, DT_BOOL, inner);
  op->a = cond;
  op->mask = mask;
  emit(v, OPK_SKIP, DT_BOOL, NO_REG)->mask = inner;
  int r = compile(v, e, inner);
  v->ops.data[start + 1].target = (int)v->ops.len;
  if (gathers == v->ngathers) v->ops.data[start].kind = v->ops.data[start + 1].kind = OPK_NOTHING;
  drop(v, inner);
  return r;
}

static int compile_select(Eval *v, const TeExpr *e, int mask) {
  int c = compile(v, e->a, mask);
  int x = compile_under(v, e->b, c, true, mask);
  int y = compile_under(v, e->c, c, false, mask);
  drop(v, c);
  drop(v, x);
  drop(v, y);
  int d = new_reg(v, true);
  Op *op = emit(v, OPK_SELECT, e->type, d);
  op->a = c;
  op->b = x;
  op->c = y;
  return d;
}

static int compile_binary(Eval *v, const TeExpr *e, int mask) {
  int a = compile(v, e->a, mask);
  bool lazy = e->binop == OP_LAND || e->binop == OP_LOR;
  int b = lazy ? compile_under(v, e->b, a, e->binop == OP_LAND, mask) : compile(v, e->b, mask);
  drop(v, a);
  drop(v, b);
  int d = new_reg(v, true);
  Op *op = emit(v, OPK_BINARY, e->a->type, d);
  op->binop = e->binop;
  op->a = a;
  op->b = b;
  return d;
}

static int compile_math(Eval *v, const TeExpr *e, int mask) {
  int a = compile(v, e->args[0], mask);
  int b = e->nargs > 1 ? compile(v, e->args[1], mask) : a;
  int c = e->nargs > 2 ? compile(v, e->args[2], mask) : NO_REG;
  drop(v, a);
  if (b != a) drop(v, b);
  drop(v, c);
  int d = new_reg(v, true);
  Op *op = emit(v, OPK_MATH, e->type, d);
  op->fn = e->fn;
  op->a = a;
  op->b = b;
  op->c = c;
  return d;
}

// Appends operations that compute e; returns the register of its value.
static int compile(Eval *v, const TeExpr *e, int mask) {
  int a, d;
  switch (e->kind) {
  case TE_CONST: return compile_const(v, e);
  case TE_AXIS: return compile_axis(v, e);
  case TE_ACCESS: return compile_access(v, e, mask);
  case TE_BINARY: return compile_binary(v, e, mask);
  case TE_SELECT: return compile_select(v, e, mask);
  case TE_MATH: return compile_math(v, e, mask);
  case TE_UNARY:
  case TE_CAST: {
    a = compile(v, e->a, mask);
    if (e->kind == TE_CAST && lanes_cast_is_free(e->type, e->a->type)) return a;
    drop(v, a);
    d = new_reg(v, true);
    Op *op = emit(v, e->kind == TE_CAST ? OPK_CAST : OPK_UNARY, e->type, d);
    op->a = a;
    op->from = e->a->type;
    op->unop = e->unop;
    return d;
  }
  }
  return NO_REG;
}

// ---- running ---------------------------------------------------------------------------------------------------

static void report_gather(Eval *v, const TeExpr *e, int i, int64_t index) {
  const TeAxis *axis = e->tensor->axes[i];
  Diag *g =
      diag_report(v->cx->diags, E_BOUNDS, e->args[i]->loc, "index %lld of axis `%s` of `%s`, which has extent %lld",
                  (long long)index, axis->name, e->tensor->name, (long long)axis->extent);
  diag_note(g, "found while evaluating `%s`", v->stage->name);
  diag_help(g, "guard it, or write `clamp(%s, 0, %lld)`", te_snippet(v->cx, e->args[i]->loc),
            (long long)axis->extent - 1);
  v->failed = true;
}

// Names the first lane whose index leaves its tensor.
static void report_bad_lane(Eval *v, const Op *op, int lane) {
  for (int i = 0; i < op->access->nargs; i++) {
    int64_t index = reg(v, op->indices[i])[lane].i;
    if (index >= 0 && index < op->access->tensor->axes[i]->extent) continue;
    report_gather(v, op->access, i, index);
    return;
  }
}

// Reads elements whose indices stand in registers, checking each. Lanes outside the mask read the first element, which
// nobody looks at.
static void run_gather(Eval *v, const Op *op) {
  const TeTensor *t = op->access->tensor;
  const Scalar *mask = op->mask == NO_REG ? NULL : reg(v, op->mask);
  int64_t at[BLOCK] = {0}, bad[BLOCK] = {0};
  int n = v->lanes;
  for (int i = 0; i < t->naxes; i++) {
    const Scalar *index = reg(v, op->indices[i]);
    uint64_t extent = (uint64_t)t->axes[i]->extent;
    for (int l = 0; l < n; l++) {
      bad[l] |= (uint64_t)index[l].i >= extent;
      at[l] = (int64_t)((uint64_t)at[l] * extent + (uint64_t)index[l].i);
    }
  }
  for (int l = 0; l < n; l++) {
    bool used = !mask || mask[l].i;
    if (used && bad[l]) {
      report_bad_lane(v, op, l);
      return;
    }
    if (!used) at[l] = 0;
  }
  lanes_load(t->type, reg(v, op->d), array_of(v, t), at, 0, n);
}

static void run_mask(Eval *v, const Op *op) {
  Scalar *d = reg(v, op->d);
  const Scalar *a = reg(v, op->a);
  int64_t flip = op->kind == OPK_MASK_NOT;
  if (op->mask == NO_REG) {
    for (int l = 0; l < v->lanes; l++) d[l].i = a[l].i ^ flip;
    return;
  }
  const Scalar *m = reg(v, op->mask);
  for (int l = 0; l < v->lanes; l++) d[l].i = m[l].i & (a[l].i ^ flip);
}

static bool any_lane(const Scalar *m, int n) {
  int64_t any = 0;
  for (int l = 0; l < n; l++) any |= m[l].i;
  return any != 0;
}

static void run_select(Eval *v, const Op *op) {
  Scalar *d = reg(v, op->d);
  const Scalar *a = reg(v, op->a), *b = reg(v, op->b), *c = reg(v, op->c);
  for (int l = 0; l < v->lanes; l++) d[l] = a[l].i ? b[l] : c[l];
}

// Runs the stage's operations for the current block and reduction point.
static void run_ops(Eval *v) {
  int n = v->lanes;
  for (size_t i = 0; i < v->ops.len; i++) {
    const Op *op = &v->ops.data[i];
    switch (op->kind) {
    case OPK_BINARY: lanes_binary(op->binop, op->type, reg(v, op->d), reg(v, op->a), reg(v, op->b), n); break;
    case OPK_UNARY: lanes_unary(op->unop, op->type, reg(v, op->d), reg(v, op->a), n); break;
    case OPK_MATH:
      if (op->fn == FN_FMA) lanes_fma(op->type, reg(v, op->d), reg(v, op->a), reg(v, op->b), reg(v, op->c), n);
      else lanes_math(op->fn, op->type, reg(v, op->d), reg(v, op->a), reg(v, op->b), n);
      break;
    case OPK_CAST: lanes_cast(op->type, op->from, reg(v, op->d), reg(v, op->a), n); break;
    case OPK_SELECT: run_select(v, op); break;
    case OPK_LOAD:
      lanes_load(op->type, reg(v, op->d), array_of(v, op->load->tensor), op->load->off, op->load->step, n);
      break;
    case OPK_GATHER:
      run_gather(v, op);
      if (v->failed) return;
      break;
    case OPK_MASK:
    case OPK_MASK_NOT: run_mask(v, op); break;
    case OPK_SKIP:
      if (!any_lane(reg(v, op->mask), n)) i = (size_t)op->target - 1;
      break;
    case OPK_NOTHING: break;
    }
  }
}

// Sets axis values and load offsets of a block of elements from `first` on.
static void enter_block(Eval *v, int64_t first) {
  const TeTensor *t = v->stage;
  for (size_t k = 0; k < v->loads.len; k++)
    for (int l = 0; l < v->lanes; l++) v->loads.data[k]->off[l] = v->loads.data[k]->base;
  int64_t inner = 1; // elements that a step of the axis spans
  for (int i = t->naxes - 1; i >= 0; i--) {
    int64_t extent = t->axes[i]->extent, value = first / inner % extent, within = first % inner;
    Scalar *axis = v->axis_reg[i] == NO_REG ? NULL : reg(v, v->axis_reg[i]);
    if (extent > 1 || axis) {
      for (int l = 0; l < v->lanes; l++) {
        if (axis) axis[l].i = value;
        for (size_t k = 0; k < v->loads.len; k++) v->loads.data[k]->off[l] += v->loads.data[k]->coef[i] * value;
        if (++within < inner) continue;
        within = 0;
        if (++value == extent) value = 0;
      }
    }
    inner *= extent;
  }
}

static BinOp reduce_op(TeReduce r) {
  switch (r) {
  case TE_SUM: return OP_ADD;
  case TE_PROD: return OP_MUL;
  case TE_MIN: return OP_MIN;
  case TE_MAX: return OP_MAX;
  case TE_DOT:
  case TE_NO_REDUCE: break;
  }
  return OP_ADD;
}

// Sets what depends on the point of the reduction.
static void enter_point(Eval *v, const int64_t *point) {
  const TeTensor *t = v->stage;
  for (size_t k = 0; k < v->loads.len; k++) {
    int64_t step = 0;
    for (int i = 0; i < t->nraxes; i++) step += v->loads.data[k]->coef[t->naxes + i] * point[i];
    v->loads.data[k]->step = step;
  }
  for (int i = 0; i < t->nraxes; i++)
    if (v->axis_reg[t->naxes + i] != NO_REG)
      lanes_fill(reg(v, v->axis_reg[t->naxes + i]), (Scalar){.i = point[i]}, v->lanes);
}

// What the code of a stage leaves where.
typedef struct Code {
  int body, where; // registers; where NO_REG: all points count
  int x, y;        // of TE_DOT: the factors
} Code;

// Takes the current point into the lanes of acc in which it counts.
static void take_point(Eval *v, const Code *c, Scalar *acc) {
  const TeTensor *t = v->stage;
  Reg next;
  Scalar *to = c->where == NO_REG ? acc : next;
  if (t->reduce == TE_DOT) lanes_fma(t->type, to, reg(v, c->x), reg(v, c->y), acc, v->lanes);
  else lanes_binary(reduce_op(t->reduce), t->type, to, acc, reg(v, c->body), v->lanes);
  if (to == acc) return;
  const Scalar *counts = reg(v, c->where);
  for (int l = 0; l < v->lanes; l++)
    if (counts[l].i) acc[l] = next[l];
}

// Reduces the block over all points, first axis slowest.
static void run_reduction(Eval *v, const Code *c, Scalar *acc) {
  const TeTensor *t = v->stage;
  int64_t point[TE_MAX_AXES] = {0};
  lanes_fill(acc, te_reduce_identity(t->reduce, t->type), v->lanes);
  for (;;) {
    enter_point(v, point);
    run_ops(v);
    if (v->failed) return;
    take_point(v, c, acc);
    int i = t->nraxes - 1;
    while (i >= 0 && ++point[i] == t->raxes[i]->extent) point[i--] = 0;
    if (i < 0) return;
  }
}

static void begin_stage(Eval *v, const TeTensor *t) {
  v->stage = t;
  v->ops.len = 0;
  v->loads.len = 0;
  v->free_regs.len = 0;
  v->nregs = 0;
  v->consts.len = 0;
  v->const_regs.len = 0;
  for (int i = 0; i < 2 * TE_MAX_AXES; i++) v->axis_reg[i] = NO_REG;
}

static Code compile_stage(Eval *v, const TeTensor *t) {
  Code c = {NO_REG, NO_REG, NO_REG, NO_REG};
  size_t start = 0;
  int mask = NO_REG;
  if (t->where) {
    c.where = compile(v, t->where, NO_REG);
    mask = new_reg(v, true);
    start = v->ops.len;
    emit(v, OPK_MASK, DT_BOOL, mask)->a = c.where;
    emit(v, OPK_SKIP, DT_BOOL, NO_REG)->mask = mask;
  }
  if (t->reduce == TE_DOT) {
    c.x = compile(v, t->body->args[0], mask);
    c.y = compile(v, t->body->args[1], mask);
  } else {
    c.body = compile(v, t->body, mask);
  }
  if (t->where) v->ops.data[start + 1].target = (int)v->ops.len;
  return c;
}

// A stage whose code is made.
static void start_stage(Eval *v, const TeTensor *t, Code *code) {
  begin_stage(v, t);
  *code = compile_stage(v, t);
  for (size_t i = 0; i < v->consts.len; i++) lanes_fill(reg(v, v->const_regs.data[i]), v->consts.data[i]->value, BLOCK);
}

// Computes the elements first .. first + total - 1, `step` at once.
static void eval_range(Eval *v, const Code *code, int64_t first, int64_t total, int step) {
  const TeTensor *t = v->stage;
  Reg acc;
  for (int64_t end = first + total; first < end && !v->failed; first += step) {
    v->lanes = end - first < step ? (int)(end - first) : step;
    enter_block(v, first);
    if (t->reduce != TE_NO_REDUCE) {
      run_reduction(v, code, acc);
      if (!v->failed) lanes_store(t->type, array_of(v, t), first, acc, v->lanes);
    } else {
      run_ops(v);
      if (!v->failed) lanes_store(t->type, array_of(v, t), first, reg(v, code->body), v->lanes);
    }
  }
}

static void eval_stage(Eval *v, const TeTensor *t) {
  Code code;
  start_stage(v, t, &code);
  eval_range(v, &code, 0, te_tensor_elems(t), t->circle ? 1 : BLOCK); // one that reads itself, point by point
}

// Stages that need each other take turns: at each point of the axes that they share, each computes what it has there.
static bool eval_circle(Ctx *cx, const TeArrays *arrays, int n, const TeTensor *const *stages) {
  Eval *v = NEW_ARRAY(cx->arena, Eval, n);
  Code *codes = NEW_ARRAY(cx->arena, Code, n);
  int64_t turns = 1;
  for (int i = 0; i < stages[0]->leading; i++) turns *= stages[0]->axes[i]->extent;
  for (int i = 0; i < n; i++) {
    v[i] = (Eval){.cx = cx, .arrays = arrays};
    start_stage(&v[i], stages[i], &codes[i]);
  }
  for (int64_t turn = 0; turn < turns; turn++)
    for (int i = 0; i < n; i++) {
      int64_t inner = te_tensor_elems(stages[i]) / turns;
      eval_range(&v[i], &codes[i], turn * inner, inner, 1);
      if (v[i].failed) return false;
    }
  return true;
}

bool te_eval(Ctx *cx, const TeKernel *k, const TeArrays *arrays) {
  Eval v = {.cx = cx, .arrays = arrays};
  for (int i = 0, n; i < k->ntensors && !v.failed; i += n) {
    const TeTensor *t = k->tensors[i];
    for (n = 1; t->circle && i + n < k->ntensors && k->tensors[i + n]->circle == t->circle;) n++;
    if (n > 1 && !eval_circle(cx, arrays, n, &k->tensors[i])) return false;
    if (n == 1 && t->body) eval_stage(&v, t);
  }
  return !v.failed;
}

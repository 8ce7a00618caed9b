// SPDX-License-Identifier: Apache-2.0
// What TIR has to be like, in code: scopes, types, ranks, and what each form allows. An index is wrong here only when
// no value of the loop variables brings it into its buffer, and nothing guards it; those that are not proved to be
// inside are counted, and the interpreter checks them.
#include <inttypes.h>
#include <string.h>

#include "tir/internal.h"

bool binop_takes(BinOp op, DType t) {
  switch (op) {
  case OP_ADD:
  case OP_SUB:
  case OP_MUL:
  case OP_DIV: return t != DT_BOOL;
  case OP_MOD:
  case OP_SHL:
  case OP_SHR: return dtype_is_int(t);
  case OP_AND:
  case OP_XOR:
  case OP_OR: return !dtype_is_float(t);
  case OP_MIN:
  case OP_MAX:
  case OP_LT:
  case OP_LE:
  case OP_GT:
  case OP_GE:
  case OP_EQ:
  case OP_NE: return true;
  case OP_LAND:
  case OP_LOR: return t == DT_BOOL;
  case OP_COUNT: break;
  }
  return false;
}

bool unop_takes(UnOp op, DType t) {
  switch (op) {
  case UN_NEG: return t != DT_BOOL;
  case UN_NOT: return t == DT_BOOL;
  case UN_BITNOT: return dtype_is_int(t);
  case UN_COUNT: break;
  }
  return false;
}

typedef struct Verifier {
  Ctx *cx;
  const Func *f;
  TirForm form;
  PtrMap bound;   // variables and buffers: 1 in scope, 0 no longer
  PtrMap intrins; // of the target
  Ranges ranges;
  bool regions;     // nests wait to be matched: their buffers may turn out not to be whole tiles, and be refused then
  int guards;       // conditions around: an index may be out of range there, because it is never computed
  const Stmt *stmt; // the statement being checked
  ExprFacts known;  // what the conditions around say
  TirVerdict verdict;
} Verifier;

// The first line of a statement, for messages.
static const char *first_line(Verifier *v, const Stmt *s) {
  Text t = {.arena = v->cx->arena};
  Stmt alone = *s;
  Stmt nothing = {.kind = STMT_SEQ};
  if (alone.kind != STMT_SEQ && alone.body) alone.body = &nothing;
  if (alone.kind == STMT_IF) alone.else_body = NULL;
  if (alone.kind == STMT_SEQ) return "a sequence";
  tir_print_stmt(&alone, 0, &t);
  size_t n = strcspn(t.data, "\n");
  return arena_printf(v->cx->arena, "%.*s%s", (int)(n < 160 ? n : 160), t.data, n < 160 ? "" : "...");
}

// Sets the message, the first time; returns false.
static bool PRINTF_LIKE(2, 3) wrong(Verifier *v, const char *fmt, ...) {
  if (v->verdict.message) return false;
  va_list ap;
  va_start(ap, fmt);
  const char *what = arena_vprintf(v->cx->arena, fmt, ap);
  va_end(ap);
  if (!v->stmt) {
    v->verdict.message = arena_printf(v->cx->arena, "%s: %s", v->f->name, what);
    return false;
  }
  const char *place = "";
  if (loc_known(v->stmt->loc))
    place = arena_printf(v->cx->arena, " (%s:%" PRIu32 ":%" PRIu32 ")", v->stmt->loc.src->path, v->stmt->loc.line,
                         v->stmt->loc.col);
  v->verdict.message = arena_printf(v->cx->arena, "%s: %s, in `%s`%s", v->f->name, what, first_line(v, v->stmt), place);
  return false;
}

static const char *hint(Name n) { return n ? n : "?"; }

static bool in_scope(const Verifier *v, const void *thing) {
  int64_t on;
  return ptrmap_get(&v->bound, thing, &on) && on;
}

// ---- expressions ----------------------------------------------------------------------------------------------------

static bool check_expr(Verifier *v, const Expr *e);

enum { FACTS_WORK = 1 << 20 }; // steps that are taken for what stands in one condition

// Takes a condition for `truth` until the caller goes back.
static FactsMark learn(Verifier *v, const Expr *cond, bool truth) {
  Facts *f = &v->known.facts;
  FactsMark before = facts_mark(f);
  if (!f->list.len) {
    f->work = FACTS_WORK;
    facts_forget_atoms(f);
  }
  if (cond->type == DT_BOOL) facts_assume(f, cond, truth);
  return before;
}

// e, which is only evaluated where cond is `truth`.
static bool check_guarded(Verifier *v, const Expr *cond, bool truth, const Expr *e) {
  FactsMark before = learn(v, cond, truth);
  v->guards++;
  bool good = check_expr(v, e);
  v->guards--;
  facts_back(&v->known.facts, before);
  return good;
}

// Whether e, of a buffer, is always in 0..n-1; if not, *r is what is known of it.
static bool is_proved(Verifier *v, const Expr *e, int64_t n, Interval *r) {
  const Interval inside = {0, n - 1};
  *r = interval_of(&v->ranges, e);
  if (interval_within(*r, inside)) return true;
  Sim s = sim_new(v->cx, &v->ranges);
  e = sim_expr(&s, e, r);
  if (!interval_within(*r, inside) && v->known.facts.list.len)
    *r = interval_meet(*r, facts_range_within(&v->known.facts, e, inside));
  return interval_within(*r, inside) || interval_is_empty(*r) || v->known.facts.dead; // or nothing gets here
}

// Counts an index or a tile. False: it is always outside, and nothing guards it.
static bool count_index(Verifier *v, const Buffer *b, const Expr *e, int64_t n, Interval *r) {
  if (is_proved(v, e, n, r)) return ++v->verdict.proved, true;
  v->verdict.out_of_bounds = !v->guards && (r->lo >= n || r->hi < 0);
  if (v->verdict.out_of_bounds) return false;
  if (v->verdict.unproved++) return true;
  Text t = {.arena = v->cx->arena};
  tir_print_expr(e, &t);
  v->verdict.first = v->stmt;
  v->verdict.first_index = arena_printf(v->cx->arena, "`%s` of `%s`", t.data, hint(b->name));
  return true;
}

// Buffer in scope, number and type of indices, and no index that is always outside.
static bool check_access(Verifier *v, const Buffer *b, int n, const Expr **args) {
  if (!in_scope(v, b)) return wrong(v, "buffer `%s` is not in scope", hint(b->name));
  if (n != b->ndim) return wrong(v, "`%s` has %d dimensions, not %d", b->name, b->ndim, n);
  for (int i = 0; i < n; i++) {
    Interval r;
    if (!check_expr(v, args[i])) return false;
    if (args[i]->type != DT_I64)
      return wrong(v, "index %d of `%s` is %s, not int64", i, b->name, dtype_name(args[i]->type));
    if (count_index(v, b, args[i], b->shape[i], &r)) continue;
    return wrong(v, "index %d of `%s` is in %" PRId64 "..%" PRId64 ", but the dimension has %" PRId64 " elements", i,
                 b->name, (int64_t)r.lo, (int64_t)r.hi, b->shape[i]);
  }
  return true;
}

static bool check_ref(Verifier *v, const Expr *e) {
  const Buffer *b = e->buffer;
  Interval r;
  if (v->form == FORM_LOOPS) return wrong(v, "a tile of `%s` is referred to in form loops", hint(b->name));
  if (!in_scope(v, b)) return wrong(v, "buffer `%s` is not in scope", hint(b->name));
  if (e->nargs != 1) return wrong(v, "a reference to `%s` has %d indices, not 1", b->name, e->nargs);
  if (!check_expr(v, e->args[0])) return false;
  if (e->args[0]->type != DT_I64)
    return wrong(v, "the tile of `%s` is %s, not int64", b->name, dtype_name(e->args[0]->type));
  if (e->type != b->type) return wrong(v, "a reference to `%s` has type %s", b->name, dtype_name(e->type));
  // The tiles of a host buffer are those of the memory at the other end, which only the target knows.
  if (b->scope == &scope_host || count_index(v, b, e->args[0], buffer_tiles(b), &r)) return true;
  return wrong(v, "tile %" PRId64 "..%" PRId64 " of `%s`, which has %" PRId64, (int64_t)r.lo, (int64_t)r.hi, b->name,
               buffer_tiles(b));
}

static bool check_binary(Verifier *v, const Expr *e) {
  if (!check_expr(v, e->a)) return false;
  bool lazy = e->binop == OP_LAND || e->binop == OP_LOR;
  if (!(lazy ? check_guarded(v, e->a, e->binop == OP_LAND, e->b) : check_expr(v, e->b))) return false;
  if (e->a->type != e->b->type)
    return wrong(v, "`%s` of %s and %s", binop_text(e->binop), dtype_name(e->a->type), dtype_name(e->b->type));
  if (!binop_takes(e->binop, e->a->type))
    return wrong(v, "`%s` does not take %s", binop_text(e->binop), dtype_name(e->a->type));
  DType t = binop_is_bool(e->binop) ? DT_BOOL : e->a->type;
  return e->type == t || wrong(v, "`%s` has type %s, not %s", binop_text(e->binop), dtype_name(e->type), dtype_name(t));
}

static bool check_select(Verifier *v, const Expr *e) {
  if (!check_expr(v, e->a) || !check_guarded(v, e->a, true, e->b) || !check_guarded(v, e->a, false, e->c)) return false;
  if (e->a->type != DT_BOOL) return wrong(v, "the condition of `?:` is %s", dtype_name(e->a->type));
  if (e->b->type != e->c->type || e->type != e->b->type)
    return wrong(v, "`?:` of %s and %s", dtype_name(e->b->type), dtype_name(e->c->type));
  return true;
}

static bool check_math(Verifier *v, const Expr *e) {
  if (e->nargs != math_arity(e->fn)) return wrong(v, "`%s` of %d arguments", math_name(e->fn), e->nargs);
  for (int i = 0; i < e->nargs; i++) {
    if (!check_expr(v, e->args[i])) return false;
    if (e->args[i]->type != e->type || !math_takes(e->fn, e->type))
      return wrong(v, "`%s` does not take %s", math_name(e->fn), dtype_name(e->args[i]->type));
  }
  return true;
}

static bool check_expr(Verifier *v, const Expr *e) {
  switch (e->kind) {
  case EXPR_INT:
    if (dtype_is_float(e->type)) return wrong(v, "an integer has type %s", dtype_name(e->type));
    if (wrap_int(e->type, e->value.i) != e->value.i)
      return wrong(v, "%" PRId64 " is no %s", e->value.i, dtype_name(e->type));
    return true;
  case EXPR_FLOAT: return dtype_is_float(e->type) || wrong(v, "a float has type %s", dtype_name(e->type));
  case EXPR_VAR:
    if (e->type != DT_I64) return wrong(v, "variable `%s` has type %s", hint(e->var->name), dtype_name(e->type));
    return in_scope(v, e->var) || wrong(v, "variable `%s` is not in scope", hint(e->var->name));
  case EXPR_CAST: return check_expr(v, e->a);
  case EXPR_UNARY:
    if (!check_expr(v, e->a)) return false;
    if (unop_takes(e->unop, e->a->type) && e->type == e->a->type) return true;
    return wrong(v, "`%s` does not take %s", unop_text(e->unop), dtype_name(e->a->type));
  case EXPR_BINARY: return check_binary(v, e);
  case EXPR_SELECT: return check_select(v, e);
  case EXPR_LOAD:
    if (e->type != e->buffer->type)
      return wrong(v, "a load of `%s` has type %s", hint(e->buffer->name), dtype_name(e->type));
    return check_access(v, e->buffer, e->nargs, e->args);
  case EXPR_REF: return wrong(v, "a reference to `%s` is not an intrinsic's argument", hint(e->buffer->name));
  case EXPR_MATH: return check_math(v, e);
  }
  return wrong(v, "an expression of unknown kind");
}

// ---- statements -----------------------------------------------------------------------------------------------------

static bool check_stmt(Verifier *v, const Stmt *s);

// What does not depend on where the buffer is declared.
static bool check_buffer(Verifier *v, const Buffer *b) {
  int64_t n = 1;
  if (b->ndim < 1) return wrong(v, "`%s` has no dimensions", hint(b->name));
  for (int i = 0; i < b->ndim; i++)
    if (b->shape[i] <= 0 || !mul_ok(n, b->shape[i], &n))
      return wrong(v, "the shape of `%s` is not positive or too large", hint(b->name));
  if (b->scope == &scope_host) return true;
  if (v->form == FORM_CALLS) return wrong(v, "`%s` is allocated in %s in form calls", hint(b->name), b->scope->name);
  if (dtype_bits(b->type) != dtype_bits(b->scope->type))
    return wrong(v, "`%s` is %s, but %s holds %s", hint(b->name), dtype_name(b->type), b->scope->name,
                 dtype_name(b->scope->type));
  if (!v->regions && n % b->scope->tile)
    return wrong(v, "`%s` has %" PRId64 " elements, which is not whole tiles of %" PRId64, hint(b->name), n,
                 b->scope->tile);
  int64_t tiles = n / b->scope->tile;
  if (b->base >= 0 && b->scope->depth && (tiles > b->scope->depth || b->base > b->scope->depth - tiles))
    return wrong(v, "`%s` at tile %" PRId64 " does not fit the %" PRId64 " tiles of %s", hint(b->name), b->base,
                 b->scope->depth, b->scope->name);
  return true;
}

static bool check_for(Verifier *v, const Stmt *s) {
  int64_t lo, hi, n, unused, end;
  if (!check_expr(v, s->min) || !check_expr(v, s->extent)) return false;
  if (s->min->type != DT_I64 || s->extent->type != DT_I64)
    return wrong(v, "the bounds of loop `%s` are not int64", hint(s->var->name));
  if (in_scope(v, s->var)) return wrong(v, "variable `%s` is bound twice", hint(s->var->name));
  bool fixed = expr_is_int(s->extent, &n);
  if (fixed && n <= 0) return wrong(v, "loop `%s` has extent %" PRId64, hint(s->var->name), n);
  expr_bounds(&v->ranges, s->min, &lo, &hi);
  if (!fixed) expr_bounds(&v->ranges, s->extent, &unused, &n);
  bool known = add_ok(hi, n, &end) && end > lo;
  ranges_push(v->cx, &v->ranges, s->var, known ? lo : INT64_MIN, known ? end - 1 : INT64_MAX);
  ptrmap_put(v->cx->arena, &v->bound, s->var, 1);
  FactsMark before = facts_mark(&v->known.facts);
  facts_renew(&v->known.facts); // the variable may have had another range in another loop
  v->guards += !fixed;          // may run no time at all
  bool good = check_stmt(v, s->body);
  v->guards -= !fixed;
  facts_back(&v->known.facts, before);
  ptrmap_put(v->cx->arena, &v->bound, s->var, 0);
  ranges_pop(&v->ranges);
  return good;
}

static bool check_alloc(Verifier *v, const Stmt *s) {
  int64_t before;
  if (s->buffer->role != BUF_LOCAL) return wrong(v, "parameter `%s` is allocated", hint(s->buffer->name));
  if (ptrmap_get(&v->bound, s->buffer, &before)) return wrong(v, "`%s` is allocated twice", hint(s->buffer->name));
  if (!check_buffer(v, s->buffer)) return false;
  ptrmap_put(v->cx->arena, &v->bound, s->buffer, 1);
  bool good = check_stmt(v, s->body);
  ptrmap_put(v->cx->arena, &v->bound, s->buffer, 0);
  return good;
}

// Operands that are words are numbers that have one.
static bool check_words(Verifier *v, const Stmt *s) {
  const Intrin *op = s->intrin;
  for (int i = 0, arg = 0; i < op->noperands && arg < s->nargs; arg += op->operands[i++].count)
    if (op->operands[i].nwords && !operand_word(&op->operands[i], s->args[arg]))
      return wrong(v, "`%s` of `%s` is none of its words", op->operands[i].name, op->name);
  return true;
}

static bool check_intrin(Verifier *v, const Stmt *s) {
  int64_t unused;
  const Intrin *op = s->intrin;
  if (!ptrmap_get(&v->intrins, op, &unused)) return wrong(v, "`%s` is not an intrinsic of the target", op->name);
  if (s->nargs < op->min_args || (op->max_args >= 0 && s->nargs > op->max_args))
    return wrong(v, "`%s` does not take %d arguments", op->name, s->nargs);
  if (op->has_body != (s->body != NULL))
    return wrong(v, op->has_body ? "`%s` has no body" : "`%s` has a body", op->name);
  if (v->form == FORM_LOOPS && !op->has_body) return wrong(v, "`%s` is used in form loops", op->name);
  for (int i = 0; i < s->nargs; i++) {
    bool is_ref = s->args[i]->kind == EXPR_REF;
    if (!(is_ref ? check_ref(v, s->args[i]) : check_expr(v, s->args[i]))) return false;
    if (!is_ref && dtype_is_float(s->args[i]->type)) return wrong(v, "argument %d of `%s` is a float", i, op->name);
  }
  return check_words(v, s) && (!s->body || check_stmt(v, s->body));
}

static bool find_written(void *self, const Expr *e) {
  if (e->kind == EXPR_LOAD && e->buffer->role != BUF_INPUT) *(bool *)self = true;
  return true;
}

// The same for a statement's condition: only what no statement inside can change.
static FactsMark learn_lasting(Verifier *v, const Expr *cond, bool truth) {
  FactsMark before = facts_mark(&v->known.facts);
  bool written = false;
  expr_visit(cond, find_written, &written);
  if (!written) return learn(v, cond, truth);
  if (cond->kind == EXPR_BINARY && cond->binop == (truth ? OP_LAND : OP_LOR)) {
    learn_lasting(v, cond->a, truth);
    learn_lasting(v, cond->b, truth);
  }
  return before;
}

static bool check_if(Verifier *v, const Stmt *s) {
  if (!check_expr(v, s->cond)) return false;
  if (s->cond->type != DT_BOOL) return wrong(v, "the condition is %s", dtype_name(s->cond->type));
  FactsMark before = learn_lasting(v, s->cond, true);
  v->guards++;
  bool good = check_stmt(v, s->body);
  facts_back(&v->known.facts, before);
  learn_lasting(v, s->cond, false);
  good = good && (!s->else_body || check_stmt(v, s->else_body));
  facts_back(&v->known.facts, before);
  v->guards--;
  return good;
}

static bool check_stmt(Verifier *v, const Stmt *s) {
  if (s->kind == STMT_SEQ) {
    for (int i = 0; i < s->nchildren; i++)
      if (!check_stmt(v, s->children[i])) return false;
    return true;
  }
  v->stmt = s;
  switch (s->kind) {
  case STMT_FOR: return check_for(v, s);
  case STMT_IF: return check_if(v, s);
  case STMT_ALLOC: return check_alloc(v, s);
  case STMT_INTRIN: return check_intrin(v, s);
  case STMT_STORE:
    if (!check_access(v, s->buffer, s->nargs, s->args) || !check_expr(v, s->value)) return false;
    if (s->buffer->role == BUF_INPUT) return wrong(v, "input `%s` is stored to", s->buffer->name);
    if (s->value->type == s->buffer->type) return true;
    return wrong(v, "%s is stored into `%s` of %s", dtype_name(s->value->type), s->buffer->name,
                 dtype_name(s->buffer->type));
  case STMT_SEQ: break;
  }
  return wrong(v, "a statement of unknown kind");
}

static bool check_params(Verifier *v) {
  for (int i = 0; i < v->f->nparams; i++) {
    const Buffer *b = v->f->params[i];
    if (b->role == BUF_LOCAL) return wrong(v, "parameter `%s` is neither input nor output", hint(b->name));
    if (b->scope != &scope_host) return wrong(v, "parameter `%s` is not in the host's memory", hint(b->name));
    if (in_scope(v, b)) return wrong(v, "parameter `%s` stands twice", hint(b->name));
    if (!check_buffer(v, b)) return false;
    ptrmap_put(v->cx->arena, &v->bound, b, 1);
  }
  for (int i = 0; i < v->f->nconsts; i++) {
    const Buffer *b = v->f->consts[i];
    if (b->role != BUF_CONST || !b->data) return wrong(v, "constant `%s` has no values", hint(b->name));
    if (b->scope != &scope_host || in_scope(v, b))
      return wrong(v, "constant `%s` stands twice, or not in the host's memory", hint(b->name));
    if (!check_buffer(v, b)) return false;
    ptrmap_put(v->cx->arena, &v->bound, b, 1);
  }
  return true;
}

// A region that the schedule marked has a body and no arguments.
static bool note_region(void *self, const Stmt *s) {
  if (s->kind == STMT_INTRIN && s->body && s->intrin->max_args == 0) *(bool *)self = true;
  return true;
}

static bool no_expr(void *self, const Expr *e) {
  (void)self, (void)e;
  return false;
}

bool tir_judge(Ctx *cx, const Func *f, TirForm form, TirVerdict *out) {
  Verifier v = {.cx = cx, .f = f, .form = form};
  expr_facts_init(&v.known, cx, &v.ranges, FACTS_WORK);
  stmt_visit(f->body, note_region, no_expr, &v.regions);
  for (int i = 0; f->target && i < f->target->nintrins; i++)
    ptrmap_put(cx->arena, &v.intrins, f->target->intrins[i], i);
  bool good = check_params(&v) && check_stmt(&v, f->body);
  *out = v.verdict;
  return good;
}

bool tir_verify(Ctx *cx, const Func *f, TirForm form, const char **message) {
  TirVerdict v;
  if (tir_judge(cx, f, form, &v)) return true;
  *message = v.message;
  return false;
}

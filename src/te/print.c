// SPDX-License-Identifier: Apache-2.0
// The module after checking, as text that te_load reads again with the same meaning: types and axes written out,
// params and target constants folded in kernels, schedules as they stand.
#include "te/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREC_SELECT = 0, PREC_UNARY = 11, PREC_PRIMARY = 12 };

static void expr(Text *out, const TeExpr *e, int prec);

static void open_if(Text *out, bool needed) {
  if (needed) text_add(out, "(");
}
static void close_if(Text *out, bool needed) {
  if (needed) text_add(out, ")");
}

// A float with all the digits that tell it apart, and always with a point or exponent.
static void print_float(Text *out, DType t, double v) {
  if (isnan(v)) {
    text_add(out, "nan");
    return;
  }
  if (isinf(v)) {
    text_add(out, v < 0 ? "-inf" : "inf");
    return;
  }
  char buf[40];
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(buf, sizeof buf, "%.*g", digits, v);
    if (round_float(t, strtod(buf, NULL)) == v) break;
  }
  text_add(out, "%s%s", buf, strpbrk(buf, ".e") ? "" : ".0");
}

// A constant where its type is known from what it meets.
static void bare_const(Text *out, const TeExpr *e, int prec) {
  bool negative =
      dtype_is_float(e->type) ? signbit(e->value.f) && !isnan(e->value.f) : e->type != DT_U64 && e->value.i < 0;
  open_if(out, negative && prec > PREC_UNARY);
  if (e->type == DT_BOOL) text_add(out, e->value.i ? "true" : "false");
  else if (dtype_is_float(e->type)) print_float(out, e->type, e->value.f);
  else if (e->type == DT_U64) text_add(out, "%llu", (unsigned long long)e->value.i);
  else text_add(out, "%lld", (long long)e->value.i);
  close_if(out, negative && prec > PREC_UNARY);
}

static void ast_string_text(Text *out, const char *s);

// A name, dotted perhaps; between dots, what is no name of the language stands in quotes.
static void print_name(Text *out, const char *name) {
  for (const char *p = name;; p++) {
    size_t n = strcspn(p, ".");
    bool plain = n > 0 && !(*p >= '0' && *p <= '9');
    for (size_t i = 0; i < n; i++)
      plain &= p[i] == '_' || (p[i] >= '0' && p[i] <= '9') || ((p[i] | 32) >= 'a' && (p[i] | 32) <= 'z');
    const char *part = arena_printf(out->arena, "%.*s", (int)n, p);
    if (plain || p == name) text_add(out, "%s", part);
    else ast_string_text(out, part);
    p += n;
    if (!*p) return;
    text_add(out, ".");
  }
}

// Whether the text of e alone tells its type.
static bool has_own_type(const TeExpr *e) {
  switch (e->kind) {
  case TE_CONST: return e->type == DT_BOOL;
  case TE_AXIS:
  case TE_ACCESS:
  case TE_CAST: return true;
  case TE_UNARY: return has_own_type(e->a);
  case TE_BINARY: return binop_is_bool(e->binop) || has_own_type(e->a) || has_own_type(e->b);
  case TE_SELECT: return has_own_type(e->b) || has_own_type(e->c);
  case TE_MATH: return has_own_type(e->args[0]) || (e->nargs > 1 && has_own_type(e->args[1]));
  }
  return false;
}

static bool is_int_const(const TeExpr *e) { return e->kind == TE_CONST && e->type != DT_BOOL; }

// An operand beside another; constants print bare if the other one tells the type.
static void operand(Text *out, const TeExpr *e, const TeExpr *beside, int prec) {
  if (is_int_const(e) && has_own_type(beside)) bare_const(out, e, prec);
  else expr(out, e, prec);
}

static void print_args(Text *out, int n, const TeExpr **args, bool index) {
  for (int i = 0; i < n; i++) {
    if (i) text_add(out, ", ");
    if (index && is_int_const(args[i])) bare_const(out, args[i], PREC_SELECT);
    else if (!index && n == 2) operand(out, args[i], args[1 - i], PREC_SELECT);
    else expr(out, args[i], PREC_SELECT);
  }
}

static void print_binary(Text *out, const TeExpr *e, int prec) {
  int own = binop_prec(e->binop);
  if (own == 0) {
    const TeExpr *args[2] = {e->a, e->b};
    text_add(out, "%s(", binop_text(e->binop));
    print_args(out, 2, args, false);
    text_add(out, ")");
    return;
  }
  open_if(out, own < prec);
  operand(out, e->a, e->b, own);
  text_add(out, " %s ", binop_text(e->binop));
  operand(out, e->b, e->a, own + 1);
  close_if(out, own < prec);
}

static void expr(Text *out, const TeExpr *e, int prec) {
  switch (e->kind) {
  case TE_CONST:
    if (e->type == DT_BOOL) {
      bare_const(out, e, prec);
      return;
    }
    text_add(out, "%s(", dtype_name(e->type));
    bare_const(out, e, PREC_SELECT);
    text_add(out, ")");
    return;
  case TE_AXIS: text_add(out, "%s", e->axis->name); return;
  case TE_ACCESS:
    print_name(out, e->tensor->name);
    text_add(out, "[");
    print_args(out, e->nargs, e->args, true);
    text_add(out, "]");
    return;
  case TE_UNARY:
    open_if(out, prec > PREC_UNARY);
    text_add(out, "%s", unop_text(e->unop));
    expr(out, e->a, PREC_PRIMARY);
    close_if(out, prec > PREC_UNARY);
    return;
  case TE_BINARY: print_binary(out, e, prec); return;
  case TE_CAST:
    text_add(out, "%s(", dtype_name(e->type));
    expr(out, e->a, PREC_SELECT);
    text_add(out, ")");
    return;
  case TE_SELECT:
    open_if(out, prec > PREC_SELECT);
    expr(out, e->a, 1);
    text_add(out, " ? ");
    operand(out, e->b, e->c, PREC_SELECT);
    text_add(out, " : ");
    operand(out, e->c, e->b, PREC_SELECT);
    close_if(out, prec > PREC_SELECT);
    return;
  case TE_MATH:
    text_add(out, "%s(", math_name(e->fn));
    print_args(out, e->nargs, e->args, false);
    text_add(out, ")");
    return;
  }
}

void te_print_expr(const TeExpr *e, Text *out) { expr(out, e, PREC_SELECT); }

// ---- kernels ---------------------------------------------------------------------------------------------------

static void print_bare(Text *out, const TeExpr *e) {
  if (is_int_const(e)) bare_const(out, e, PREC_SELECT);
  else expr(out, e, PREC_SELECT);
}

static void print_axes(Text *out, int n, const TeAxis **axes) {
  for (int i = 0; i < n; i++) text_add(out, "%s%s: %lld", i ? ", " : "", axes[i]->name, (long long)axes[i]->extent);
}

// The values of a constant from element `at` on, in braces, an axis a level.
static int64_t print_values(Text *out, const TeTensor *t, int axis, int64_t at) {
  if (axis == t->naxes) {
    Scalar v = scalar_load(t->type, (const char *)t->data + at * dtype_bytes(t->type));
    bare_const(out, &(TeExpr){.kind = TE_CONST, .type = t->type, .value = v}, PREC_SELECT);
    return at + 1;
  }
  text_add(out, "{");
  for (int64_t i = 0; i < t->axes[axis]->extent; i++) {
    text_add(out, i ? ", " : "");
    at = print_values(out, t, axis + 1, at);
  }
  text_add(out, "}");
  return at;
}

static const char *reduce_name(TeReduce r) {
  switch (r) {
  case TE_SUM: return "sum";
  case TE_PROD: return "prod";
  case TE_MIN: return "min";
  case TE_MAX: return "max";
  case TE_DOT: return "dot";
  case TE_NO_REDUCE: break;
  }
  return "";
}

static void print_reduction(Text *out, const TeTensor *t) {
  text_add(out, "%s[", reduce_name(t->reduce));
  print_axes(out, t->nraxes, t->raxes);
  if (t->where) {
    text_add(out, " where ");
    expr(out, t->where, PREC_SELECT);
  }
  text_add(out, "](");
  if (t->reduce == TE_DOT) print_args(out, 2, t->body->args, false);
  else print_bare(out, t->body);
  text_add(out, ")");
}

static void print_tensor(Text *out, const TeTensor *t) {
  static const char *const roles[] = {
      [TE_INPUT] = "input", [TE_COMPUTE] = "compute", [TE_OUTPUT] = "output", [TE_CONSTANT] = "const"};
  text_add(out, "  %s ", roles[t->role]);
  print_name(out, t->name);
  text_add(out, "[");
  print_axes(out, t->naxes, t->axes);
  text_add(out, "] : %s", dtype_name(t->type));
  if (t->body || t->data) text_add(out, " =\n      ");
  if (t->data) print_values(out, t, 0, 0);
  else if (t->reduce != TE_NO_REDUCE) print_reduction(out, t);
  else if (t->body) print_bare(out, t->body);
  text_add(out, ";\n");
}

// ---- schedules -------------------------------------------------------------------------------------------------

// What is printed, and of parts, which: its names are those of its file.
typedef struct Dump {
  Text *out;
  const TeModule *m;
  const TePart *part; // NULL: none
  VEC(Name) bound;    // by its parameters and statements so far
} Dump;

// The constant of the part's file that a name in it stands for; NULL: it stands for something of the part.
static const TeConst *free_const(const Dump *d, Name name) {
  for (size_t i = 0; i < d->bound.len; i++)
    if (d->bound.data[i] == name) return NULL;
  for (int i = 0; d->part && i < d->part->nconsts; i++)
    if (d->part->consts[i].name == name) return &d->part->consts[i];
  return NULL;
}

static bool same_const(const TeConst *a, const TeConst *b) {
  return a->loc.src == b->loc.src && a->loc.line == b->loc.line && a->loc.col == b->loc.col;
}

// What this module calls a constant of a part's file: where it has none, as the part prints it, NULL.
static Name own_name(const TeModule *m, const TeConst *c) {
  for (int i = 0; i < m->nconsts; i++)
    if (same_const(&m->consts[i], c)) return m->consts[i].name;
  return NULL;
}

static void print_ast_name(Dump *d, Name name) {
  const TeConst *c = free_const(d, name);
  Name own = c ? own_name(d->m, c) : name;
  if (own) text_add(d->out, "%s", own);
  else text_add(d->out, "%s.%s", d->part->name, name);
}

static void ast(Dump *d, const AstExpr *e, int prec);

static void ast_items(Dump *d, int n, const AstExpr *const *items) {
  Text *out = d->out;
  for (int i = 0; i < n; i++) {
    if (i) text_add(out, ", ");
    ast(d, items[i], PREC_SELECT);
  }
}

static void ast_string_text(Text *out, const char *s) {
  text_add(out, "\"");
  for (; *s; s++) {
    if (*s == '\n') text_add(out, "\\n");
    else if (*s == '\t') text_add(out, "\\t");
    else if (*s == '"' || *s == '\\') text_add(out, "\\%c", *s);
    else text_add_bytes(out, s, 1);
  }
  text_add(out, "\"");
}

static void print_ast_call(Dump *d, const AstExpr *e) {
  Text *out = d->out;
  text_add(out, "%s(", e->name);
  for (int i = 0; i < e->nitems; i++) {
    text_add(out, "%s", i ? ", " : "");
    if (e->keys && e->keys[i]) text_add(out, "%s = ", e->keys[i]);
    ast(d, e->items[i], PREC_SELECT);
  }
  text_add(out, ")");
}

static void print_ast_reduce(Dump *d, const AstExpr *e) {
  Text *out = d->out;
  text_add(out, "%s[", e->name);
  for (int i = 0; i < e->naxes; i++) {
    text_add(out, "%s%s", i ? ", " : "", e->axes[i].name ? e->axes[i].name : "..");
    if (!e->axes[i].name) continue;
    text_add(out, ": ");
    ast(d, e->axes[i].extent, PREC_SELECT);
  }
  if (e->by) {
    text_add(out, " by ");
    ast(d, e->by, PREC_SELECT);
  }
  if (e->c) {
    text_add(out, " where ");
    ast(d, e->c, PREC_SELECT);
  }
  text_add(out, "](");
  ast_items(d, e->nitems, e->items);
  text_add(out, ")");
}

static void print_ast_index(Dump *d, const AstExpr *e) {
  Text *out = d->out;
  if (e->name) print_ast_name(d, e->name);
  else ast(d, e->a, PREC_PRIMARY);
  text_add(out, "[");
  ast_items(d, e->nitems, e->items);
  text_add(out, "]");
}

static void ast(Dump *d, const AstExpr *e, int prec) {
  Text *out = d->out;
  int own;
  switch (e->kind) {
  case AST_INT: text_add(out, "%lld", (long long)e->value); return;
  case AST_NAME: print_ast_name(d, e->name); return;
  case AST_UNARY:
    open_if(out, prec > PREC_UNARY);
    text_add(out, "%s", unop_text(e->unop));
    ast(d, e->a, PREC_PRIMARY);
    close_if(out, prec > PREC_UNARY);
    return;
  case AST_BINARY:
    own = binop_prec(e->binop);
    open_if(out, own < prec);
    ast(d, e->a, own);
    text_add(out, " %s ", binop_text(e->binop));
    ast(d, e->b, own + 1);
    close_if(out, own < prec);
    return;
  case AST_SELECT:
    open_if(out, prec > PREC_SELECT);
    ast(d, e->a, 1);
    text_add(out, " ? ");
    ast(d, e->b, PREC_SELECT);
    text_add(out, " : ");
    ast(d, e->c, PREC_SELECT);
    close_if(out, prec > PREC_SELECT);
    return;
  case AST_LIST:
    text_add(out, "[");
    ast_items(d, e->nitems, e->items);
    text_add(out, "]");
    return;
  case AST_STRING: ast_string_text(out, e->name); return;
  case AST_BIG: text_add(out, "%llu", (unsigned long long)e->value); return;
  case AST_FLOAT: print_float(out, DT_F64, e->number); return;
  case AST_BOOL: text_add(out, e->value ? "true" : "false"); return;
  case AST_CALL: print_ast_call(d, e); return;
  case AST_INDEX: print_ast_index(d, e); return;
  case AST_REDUCE: print_ast_reduce(d, e); return;
  case AST_CONCAT:
    text_add(out, "%s[%s](", e->name, e->a->name);
    ast_items(d, e->nitems, e->items);
    text_add(out, ")");
    return;
  case AST_REST: text_add(out, ".."); return;
  case AST_BAD: return;
  }
}

static void print_names(Dump *d, int n, const SchedName *names) {
  Text *out = d->out;
  for (int i = 0; i < n; i++) text_add(out, "%s%s", i ? ", " : "", names[i].name);
}

static void print_stmt(Dump *d, const SchedStmt *s, int indent);

static void print_block(Dump *d, int n, const SchedStmt *const *stmts, int indent) {
  Text *out = d->out;
  text_add(out, " {\n");
  for (int i = 0; i < n; i++) print_stmt(d, stmts[i], indent + 2);
  text_add(out, "%*s}", indent, "");
}

static void print_if(Dump *d, const SchedStmt *s, int indent) {
  Text *out = d->out;
  text_add(out, "if (");
  ast(d, s->value, PREC_SELECT);
  text_add(out, ")");
  print_block(d, s->nbody, s->body, indent);
  if (s->nother) text_add(out, " else");
  if (s->nother) print_block(d, s->nother, s->other, indent);
  text_add(out, "\n");
}

static void print_part(Dump *d, const TePart *p) {
  Text *out = d->out;
  text_add(out, "\nschedule def %s(", p->name);
  for (int i = 0; i < p->nparams; i++) {
    text_add(out, "%s%s", i ? ", " : "", p->params[i].name);
    if (p->params[i].value) text_add(out, " = ");
    if (p->params[i].value) ast(d, p->params[i].value, PREC_SELECT);
    VEC_PUSH(out->arena, d->bound, p->params[i].name);
  }
  text_add(out, ")");
  print_block(d, p->nstmts, p->stmts, 0);
  text_add(out, "\n");
}

static void print_stmt(Dump *d, const SchedStmt *s, int indent) {
  Text *out = d->out;
  text_add(out, "%*s", indent, "");
  switch (s->kind) {
  case SCHED_CALL:
    print_names(d, s->nresults, s->results);
    text_add(out, "%s", s->nresults ? " = " : "");
    if (s->part) text_add(out, "%s(", s->part->name);
    else text_add(out, "%s.%s(", s->receiver.name, s->method.name);
    for (int i = 0; i < s->nargs; i++) {
      if (i) text_add(out, ", ");
      if (s->args[i].key) text_add(out, "%s = ", s->args[i].key);
      ast(d, s->args[i].value, PREC_SELECT);
    }
    text_add(out, ");\n");
    for (int i = 0; i < s->nresults; i++) VEC_PUSH(out->arena, d->bound, s->results[i].name);
    return;
  case SCHED_KNOB:
    text_add(out, "knob %s = ", s->receiver.name);
    ast(d, s->value, PREC_SELECT);
    if (s->set) {
      text_add(out, " in ");
      ast(d, s->set, PREC_SELECT);
    }
    text_add(out, ";\n");
    return;
  case SCHED_FOR:
    VEC_PUSH(out->arena, d->bound, s->receiver.name);
    text_add(out, "for %s in (", s->receiver.name);
    print_names(d, s->nresults, s->results);
    text_add(out, ")");
    print_block(d, s->nbody, s->body, indent);
    text_add(out, "\n");
    return;
  case SCHED_IF: print_if(d, s, indent); return;
  case SCHED_RETURN:
    text_add(out, "return ");
    print_names(d, s->nresults, s->results);
    text_add(out, ";\n");
    return;
  }
}

static void print_value(Text *out, const TeValue *v) {
  switch (v->kind) {
  case VALUE_INT:
    if (v->truth) text_add(out, v->i ? "true" : "false");
    else text_add(out, "%lld", (long long)v->i);
    return;
  case VALUE_FLOAT: print_float(out, DT_F64, v->f); return;
  case VALUE_LIST:
    text_add(out, "[");
    for (int i = 0; i < v->nitems; i++) {
      text_add(out, i ? ", " : "");
      print_value(out, &v->items[i]);
    }
    text_add(out, "]");
    return;
  }
}

static void print_const(Text *out, Name name, const TeValue *v) {
  text_add(out, "const %s = ", name);
  print_value(out, v);
  text_add(out, ";\n");
}

// The constants of a part's file that this module has no name for, under the part's.
static void print_consts_of_part(const TeModule *m, const TePart *p, Text *out) {
  for (int i = 0; i < p->nconsts; i++)
    if (!own_name(m, &p->consts[i]))
      print_const(out, arena_printf(out->arena, "%s.%s", p->name, p->consts[i].name), &p->consts[i].value);
}

void te_print(const TeModule *m, Text *out) {
  if (m->target) text_add(out, "target %s;\n\n", m->target);
  for (int i = 0; i < m->nconsts; i++) print_const(out, m->consts[i].name, &m->consts[i].value);
  for (int i = 0; i < m->nparts; i++) print_consts_of_part(m, m->parts[i], out);
  for (int i = 0; i < m->nkernels; i++) {
    const TeKernel *k = m->kernels[i];
    text_add(out, "%skernel %s {\n", out->len ? "\n" : "", k->name);
    for (int t = 0; t < k->ntensors; t++) print_tensor(out, k->tensors[t]);
    text_add(out, "}\n");
  }
  for (int i = 0; i < m->nparts; i++) print_part(&(Dump){.out = out, .m = m, .part = m->parts[i]}, m->parts[i]);
  for (int i = 0; i < m->nschedules; i++) {
    const TeSchedule *s = m->schedules[i];
    text_add(out, "\nschedule %s%s%s {\n", s->kernel, s->name ? " : " : "", s->name ? s->name : "");
    for (int k = 0; k < s->nstmts; k++) print_stmt(&(Dump){.out = out, .m = m}, s->stmts[k], 2);
    text_add(out, "}\n");
  }
  text_add(out, "%s", ""); // of nothing, an empty text
}

// SPDX-License-Identifier: Apache-2.0
// The operands of intrinsics in TIR text: by place or by name, words for numbers, in any order; what is not written is
// what its row says. A name in them may be a word, so that one without meaning is told when all are read.
#include <string.h>

#include "tir/parse.h"

void parse_report_unknown(TirParser *p, const UnknownName *u) {
  if (u->buffer) diag_report(p->cx->diags, E_RANK, u->loc, "buffer `%s` stands without indices", u->name);
  else diag_report(p->cx->diags, E_UNKNOWN_NAME, u->loc, "there is no variable `%s` here", u->name);
}

static ParsedOperand *operand_new(TirParser *p, ParsedArgs *args, Name word, Loc loc) {
  ParsedOperand *o = NEW(p->cx->arena, ParsedOperand);
  *o = (ParsedOperand){.loc = loc, .word = word, .args = args};
  return o;
}

ParsedOperand *parse_value(TirParser *p, ParsedExpr e, Loc loc) {
  return operand_new(p, parse_args(p, NULL, e), e.word, loc);
}

ParsedOperand *parse_word_value(TirParser *p, Name word, Loc loc) {
  UnknownName u = {.name = word, .loc = loc};
  VEC_PUSH(p->cx->arena, p->unknowns, u);
  return operand_new(p, parse_args(p, NULL, parse_bad_expr(p)), word, loc);
}

ParsedOperand *parse_group(TirParser *p, ParsedExpr first, const ParsedArgs *rest, Loc loc) {
  ParsedArgs *args = parse_args(p, NULL, first);
  for (size_t i = 0; i < rest->list.len; i++) VEC_PUSH(p->cx->arena, args->list, rest->list.data[i]);
  if (rest->depth > args->depth) args->depth = rest->depth;
  args->bad |= rest->bad;
  return operand_new(p, args, NULL, loc);
}

ParsedOperand *parse_named(TirParser *p, Name name, ParsedOperand *o, Loc loc) {
  (void)p;
  o->name = name;
  o->loc = loc;
  return o;
}

ParsedOperands *parse_operands(TirParser *p, ParsedOperands *list, ParsedOperand *o) {
  if (!list) list = NEW(p->cx->arena, ParsedOperands);
  if (o) VEC_PUSH(p->cx->arena, list->list, o);
  return list;
}

ParsedOperands *parse_operands_end(TirParser *p, ParsedOperands *list) {
  list->unknowns = p->unknowns;
  p->unknowns = (UnknownNames){0};
  p->in_operands = false;
  return list;
}

// Names that stayed without meaning.
static void report_unknowns(TirParser *p, UnknownNames *names) {
  for (size_t i = 0; i < names->len; i++) parse_report_unknown(p, &names->data[i]);
  names->len = 0;
}

void parse_recover(TirParser *p) {
  p->in_operands = false;
  report_unknowns(p, &p->unknowns);
}

// A name that turned out to be a word.
static void forget_unknown(ParsedOperands *list, const ParsedOperand *o) {
  size_t kept = 0;
  for (size_t i = 0; i < list->unknowns.len; i++) {
    const UnknownName *u = &list->unknowns.data[i];
    bool inside = u->name == o->word && u->loc.line == o->loc.end_line && u->loc.end_col == o->loc.end_col;
    if (!inside) list->unknowns.data[kept++] = *u;
  }
  list->unknowns.len = kept;
}

// An intrinsic being read: what its operands become.
typedef struct Operands {
  const Intrin *op;
  const Expr **args; // max_args of them, or as many as are written
  int nargs;
  ParsedArgs **given; // the arguments of each operand; NULL: not written
} Operands;

// `vta.zero(dst, n=..)`
static const char *intrin_form(TirParser *p, const Intrin *op) {
  Text t = {.arena = p->cx->arena};
  text_add(&t, "%s(", op->name);
  for (int i = 0; i < op->noperands; i++) {
    const IntrinOperand *o = &op->operands[i];
    text_add(&t, "%s%s%s", i ? ", " : "", o->name, o->named ? o->count > 1 ? "=(" : "=.." : "");
    for (int k = 0; k < o->count && o->count > 1; k++) text_add(&t, k ? ", .." : "..");
    text_add(&t, o->count > 1 ? ")" : "");
  }
  text_add(&t, op->has_body ? ") { .. }" : ")");
  return t.data;
}

static Diag *operand_error(TirParser *p, const Intrin *op, Loc loc, const char *text) {
  Diag *g = diag_report(p->cx->diags, E_ARGUMENT, loc, "%s", text);
  return diag_help(g, "it is written `%s`", intrin_form(p, op)), g;
}

// The first operand of the row that `o` can be: by its name, or by its place, the `place`th; -1 after a report.
static int operand_index(TirParser *p, const Intrin *op, const ParsedOperand *o, int place) {
  if (!o->name && place < op->noperands && !op->operands[place].named) return place;
  for (int i = 0; o->name && i < op->noperands; i++)
    if (op->operands[i].named && !strcmp(op->operands[i].name, o->name)) return i;
  if (o->name) {
    operand_error(p, op, o->loc, arena_printf(p->cx->arena, "`%s` has no operand `%s=`", op->name, o->name));
    return -1;
  }
  int takes = 0;
  while (takes < op->noperands && !op->operands[takes].named) takes++;
  Diag *g = operand_error(
      p, op, o->loc,
      arena_printf(p->cx->arena, "`%s` takes %d operand%s without a name", op->name, takes, takes == 1 ? "" : "s"));
  if (takes < op->noperands)
    diag_help(g, "a text from before operands had names is printed anew from its kernel, by `tetc compile --dump-tir`");
  return -1;
}

const char *operand_word(const IntrinOperand *o, const Expr *value) {
  int64_t v;
  return expr_is_int(value, &v) && value->type == DT_I64 && v >= 0 && v < o->nwords ? o->words[v] : NULL;
}

// Makes the word of an operand its number; false after a report.
static bool read_word(TirParser *p, const Intrin *op, const IntrinOperand *o, ParsedOperands *list,
                      ParsedOperand *from) {
  for (int v = 0; from->word && v < o->nwords; v++) {
    if (!o->words[v] || strcmp(o->words[v], from->word) != 0) continue;
    forget_unknown(list, from);
    ParsedExpr e = {.e = expr_at(p->cx, expr_index(p->cx, v), from->loc), .depth = 1};
    from->args = parse_args(p, NULL, e);
    return true;
  }
  Text t = {.arena = p->cx->arena};
  text_add(&t, "`%s` of `%s` is none of", o->name, op->name);
  const char *sep = " ";
  for (int v = 0; v < o->nwords; v++)
    if (o->words[v]) text_add(&t, "%s`%s`", sep, o->words[v]), sep = ", ";
  Diag *g = operand_error(p, op, from->loc, t.data);
  if (!from->word)
    diag_help(g, "a text from before operands had names is printed anew from its kernel, by `tetc compile --dump-tir`");
  return false;
}

// Finds the row's operand for each that is written; false after a report.
static bool assign_operands(TirParser *p, Operands *o, ParsedOperands *list) {
  const Intrin *op = o->op;
  int place = 0;
  bool named = false;
  for (size_t i = 0; i < list->list.len; i++) {
    ParsedOperand *from = list->list.data[i];
    int k = operand_index(p, op, from, place++);
    if (k < 0) return false;
    const IntrinOperand *want = &op->operands[k];
    const char *why = NULL;
    if (o->given[k]) why = "stands twice";
    else if (named && !from->name) why = "stands behind an operand with a name";
    named |= from->name != NULL;
    if (!why && (int)from->args->list.len != want->count)
      why = want->count == 1 ? "is one value" : arena_printf(p->cx->arena, "is %d values, in parentheses", want->count);
    if (why) {
      operand_error(p, op, from->loc, arena_printf(p->cx->arena, "`%s` of `%s` %s", want->name, op->name, why));
      return false;
    }
    if (want->nwords && !read_word(p, op, want, list, from)) return false;
    o->given[k] = from->args;
  }
  return true;
}

// Writes the arguments in the order of the row; false after a report.
static bool order_arguments(TirParser *p, Operands *o, Loc loc) {
  for (int k = 0; k < o->op->noperands; k++) {
    const IntrinOperand *want = &o->op->operands[k];
    const ParsedArgs *given = o->given[k];
    if (!given && want->missing == OPERAND_OPTIONAL) break;
    if (!given && want->missing == OPERAND_NEEDED) {
      operand_error(p, o->op, loc, arena_printf(p->cx->arena, "`%s` lacks its operand `%s`", o->op->name, want->name));
      return false;
    }
    for (int i = 0; i < want->count; i++) {
      const Expr *left_out = given ? NULL : expr_index(p->cx, want->missing == OPERAND_ONE);
      o->args[o->nargs++] = given ? given->list.data[i] : expr_at(p->cx, left_out, loc);
    }
  }
  return true;
}

// The arguments of an intrinsic without a table of operands.
static bool plain_arguments(TirParser *p, Operands *o, const ParsedOperands *list, Loc loc) {
  const Intrin *op = o->op;
  int n = (int)list->list.len;
  for (int i = 0; i < n; i++) {
    const ParsedOperand *from = list->list.data[i];
    if (from->name || from->args->list.len != 1) {
      diag_report(p->cx->diags, E_ARGUMENT, from->loc, "the operands of `%s` have no names", op->name);
      return false;
    }
    o->args[o->nargs++] = from->args->list.data[0];
  }
  if (n >= op->min_args && (op->max_args < 0 || n <= op->max_args)) return true;
  Diag *g =
      diag_report(p->cx->diags, E_ARGUMENT, loc, "`%s` does not take %d argument%s", op->name, n, n == 1 ? "" : "s");
  if (op->max_args < 0) diag_help(g, "it takes %d or more", op->min_args);
  else if (op->min_args == op->max_args) diag_help(g, "it takes %d", op->min_args);
  else diag_help(g, "it takes %d to %d", op->min_args, op->max_args);
  return false;
}

// The arguments of an intrinsic in their order; false after a report.
static bool read_operands(TirParser *p, Operands *o, ParsedOperands *list, Loc loc) {
  int n = (int)list->list.len, most = o->op->max_args > n ? o->op->max_args : n;
  o->args = NEW_ARRAY(p->cx->arena, const Expr *, most + 1);
  o->given = NEW_ARRAY(p->cx->arena, ParsedArgs *, o->op->noperands + 1);
  if (!o->op->operands) return plain_arguments(p, o, list, loc);
  return assign_operands(p, o, list) && order_arguments(p, o, loc);
}

static bool any_bad(const ParsedOperands *list) {
  for (size_t i = 0; i < list->list.len; i++)
    if (list->list.data[i]->args->bad) return true;
  return false;
}

ParsedStmt parse_intrin(TirParser *p, Name name, ParsedOperands *operands, ParsedPlace at, const ParsedStmt *body,
                        Loc loc, Loc name_loc) {
  Operands o = {.op = tir_intrin(p->func ? p->func->target : NULL, name)};
  const Intrin *op = o.op;
  if (!op) {
    Diag *g = diag_report(p->cx->diags, E_INTRINSIC, name_loc, "there is no intrinsic `%s`", name);
    if (!p->func || !p->func->target) diag_help(g, "give the function the target that has it: `) target vta {`");
    else diag_help(g, "docs/tir.md lists the intrinsics of each form");
    return parse_no_stmt(p);
  }
  if (!read_operands(p, &o, operands, loc)) return parse_no_stmt(p);
  report_unknowns(p, &operands->unknowns);
  if ((body != NULL) != op->has_body) {
    Diag *g =
        diag_report(p->cx->diags, E_ARGUMENT, loc, op->has_body ? "`%s` needs a body" : "`%s` takes no body", name);
    diag_help(g, op->has_body ? "it is written `%s(...) { ... }`" : "it is written `%s(...);`", name);
    return parse_no_stmt(p);
  }
  if (any_bad(operands)) return parse_no_stmt(p);
  Stmt *s = stmt_new(p->cx, STMT_INTRIN, parse_place_or(at, loc), at.why);
  s->intrin = op;
  s->nargs = o.nargs;
  s->args = o.args;
  for (int i = 0; i < o.nargs; i++) s->args[i] = parse_placed(p, o.args[i], at);
  s->body = body ? body->s : NULL;
  return parse_good_stmt(p, s, (body ? body->depth : 0) + 1, loc);
}

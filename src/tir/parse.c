// SPDX-License-Identifier: Apache-2.0
// The actions of the TIR parser: names and scopes, types, and trees exactly as they are written (nothing is folded).
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tir/parse.h"
#include "tir.tab.h"

enum { MOST_ERRORS = 30 };

bool parse_hopeless(const TirParser *p) { return diags_errors(p->cx->diags) >= MOST_ERRORS; }

// ---- words ----------------------------------------------------------------------------------------------------------

static void add_word(TirParser *p, const char *text, int token, int value) {
  ptrmap_put(p->cx->arena, &p->words, name_of(p->cx->names, text), (int64_t)token << 8 | value);
}

static void add_words(TirParser *p) {
  static const struct {
    const char *text;
    int token, value;
  } fixed[] = {
      {"func", TOK_FUNC, 0},
      {"target", TOK_TARGET, 0},
      {"for", TOK_FOR, 0},
      {"in", TOK_IN, 0},
      {"if", TOK_IF, 0},
      {"else", TOK_ELSE, 0},
      {"alloc", TOK_ALLOC, 0},
      {"input", TOK_INPUT, 0},
      {"output", TOK_OUTPUT, 0},
      {"const", TOK_CONST, 0},
      {"of", TOK_OF, 0},
      {"by", TOK_BY, 0},
      {"base", TOK_BASE, 0},
      {"true", TOK_BOOL, 1},
      {"false", TOK_BOOL, 0},
      {"min", TOK_MINMAX, OP_MIN},
      {"max", TOK_MINMAX, OP_MAX},
      {"parallel", TOK_FORKIND, FOR_PARALLEL},
      {"vthread", TOK_FORKIND, FOR_VTHREAD},
      {"vectorized", TOK_FORKIND, FOR_VECTORIZED},
      {"unrolled", TOK_FORKIND, FOR_UNROLLED},
  };
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) add_word(p, fixed[i].text, fixed[i].token, fixed[i].value);
  for (int t = 0; t < DT_COUNT; t++) add_word(p, dtype_name((DType)t), TOK_DTYPE, t);
  for (int f = 0; f < FN_COUNT; f++) add_word(p, math_name((MathFn)f), TOK_MATH, f);
}

int64_t parse_word(TirParser *p, const char *text, size_t len, Name *name) {
  int64_t word = 0;
  *name = name_of_bytes(p->cx->names, text, len);
  return ptrmap_get(&p->words, *name, &word) ? word : 0;
}

// ---- literals -------------------------------------------------------------------------------------------------------

ParsedExpr parse_bad_expr(TirParser *p) { return (ParsedExpr){.e = expr_index(p->cx, 0), .bad = true}; }

static ParsedExpr good_expr(TirParser *p, const Expr *e, int depth, Loc loc) {
  if (depth <= EXPR_DEPTH_MAX) return (ParsedExpr){.e = e, .depth = depth};
  diag_report(p->cx->diags, E_TOO_DEEP, loc, "this expression is nested more than %d deep", EXPR_DEPTH_MAX);
  return parse_bad_expr(p);
}

static ParsedExpr literal(TirParser *p, DType t, Scalar v, Loc loc) {
  Expr *e = expr_new(p->cx, dtype_is_float(t) ? EXPR_FLOAT : EXPR_INT, t, loc);
  e->value = v;
  return (ParsedExpr){.e = e, .depth = 1, .bare = true};
}

// The type of "i8", "u64", "f32".
static bool type_of_suffix(const char *s, DType *t) {
  char name[24];
  const char *kind = *s == 'i' ? "int" : *s == 'u' ? "uint" : "float";
  snprintf(name, sizeof name, "%s%.6s", kind, s + 1);
  return dtype_of_name(name, t);
}

// Magnitudes up to 2^(bits - 1) are let through for signed types: a minus may follow. It is checked later, since the
// sign stands before.
ParsedExpr parse_integer(TirParser *p, const char *text, Loc loc) {
  char *end;
  DType t = DT_I64;
  errno = 0;
  uint64_t u = strtoull(text, &end, 10);
  if (*end && !type_of_suffix(end, &t)) {
    Diag *g = diag_report(p->cx->diags, E_LEX, loc, "`%s` ends in no type of integer", text);
    diag_help(g, "the types are i8 to i64 and u8 to u64; without one it is int64");
    return parse_bad_expr(p);
  }
  int bits = dtype_bits(t);
  uint64_t most = dtype_is_signed(t) ? (uint64_t)1 << (bits - 1) : bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
  if (errno || u > most) {
    diag_report(p->cx->diags, E_LITERAL, loc, "`%s` does not fit %s", text, dtype_name(t));
    return parse_bad_expr(p);
  }
  return literal(p, t, (Scalar){.i = (int64_t)u}, loc);
}

ParsedExpr parse_float(TirParser *p, const char *text, Loc loc) {
  char *end;
  DType t;
  double v = strtod(text, &end);
  if (!*end) {
    Diag *g = diag_report(p->cx->diags, E_LEX, loc, "`%s` does not say its type", text);
    diag_help(g, "write `%sf32`", text);
    return parse_bad_expr(p);
  }
  if (!type_of_suffix(end, &t)) {
    diag_help(diag_report(p->cx->diags, E_LEX, loc, "`%s` ends in no type of float", text),
              "the types are f16, f32 and f64");
    return parse_bad_expr(p);
  }
  v = round_float(t, v);
  if (isinf(v)) {
    diag_report(p->cx->diags, E_LITERAL, loc, "`%s` does not fit %s", text, dtype_name(t));
    return parse_bad_expr(p);
  }
  return literal(p, t, (Scalar){.f = v}, loc);
}

// inf_f32, nan_f32, and nan_f32_ with the sixteen digits of its bits as a double.
ParsedExpr parse_special(TirParser *p, const char *text, Loc loc) {
  char suffix[8] = "";
  DType t;
  size_t n = strcspn(text + 4, "_");
  Scalar v = {.f = *text == 'i' ? (double)INFINITY : (double)NAN};
  bool good = n < sizeof suffix;
  if (good) {
    memcpy(suffix, text + 4, n);
    good = type_of_suffix(suffix, &t);
  }
  if (good && text[4 + n]) {
    uint64_t bits = strtoull(text + 5 + n, NULL, 16);
    good = *text == 'n' && strlen(text + 5 + n) == 16;
    memcpy(&v.f, &bits, sizeof bits);
    good = good && isnan(v.f) && !signbit(v.f);
  }
  if (good) return literal(p, t, v, loc);
  diag_report(p->cx->diags, E_LEX, loc, "`%s` is no float", text);
  return parse_bad_expr(p);
}

// path:line:col of a place, after its `@`. Places name files that need not be there: their text is empty.
Loc parse_location(TirParser *p, const char *text) {
  size_t len = strlen(text), col_at = len, line_at;
  while (text[col_at - 1] != ':') col_at--;
  line_at = col_at - 1;
  while (text[line_at - 1] != ':') line_at--;
  Text path = {.arena = p->cx->arena};
  const char *end = text + line_at - 1;
  bool quoted = *text == '"';
  for (const char *c = text + quoted; c < end - quoted; c++) {
    unsigned byte;
    if (quoted && *c == '\\' && end - quoted - c > 2 && sscanf(c + 1, "%2x", &byte) == 1 && byte) {
      char b = (char)byte;
      text_add_bytes(&path, &b, 1);
      c += 2;
    } else {
      text_add_bytes(&path, c, 1);
    }
  }
  Name key = name_of(p->cx->names, path.data ? path.data : "");
  int64_t known;
  if (!ptrmap_get(&p->paths, key, &known)) {
    known = (int64_t)(intptr_t)source_new(p->cx->arena, key, "", 0);
    ptrmap_put(p->cx->arena, &p->paths, key, known);
  }
  uint32_t line = (uint32_t)strtoul(text + line_at, NULL, 10), col = (uint32_t)strtoul(text + col_at, NULL, 10);
  return (Loc){(const Source *)(intptr_t)known, line, col, line, col};
}

// ---- scopes ---------------------------------------------------------------------------------------------------------

static const Symbol *find_symbol(TirParser *p, Name name) {
  int64_t i;
  return ptrmap_get(&p->scope, name, &i) && i >= 0 ? &p->symbols.data[i] : NULL;
}

// Gives a name its meaning until the block ends; an outer one is hidden.
void parse_bind(TirParser *p, Name name, const Var *v, const Buffer *b) {
  int64_t outer;
  if (!ptrmap_get(&p->scope, name, &outer)) outer = -1;
  Symbol s = {.name = name, .var = v, .buffer = b, .outer = outer};
  ptrmap_put(p->cx->arena, &p->scope, name, (int64_t)p->symbols.len);
  VEC_PUSH(p->cx->arena, p->symbols, s);
}

ParsedBlock parse_mark(TirParser *p) { return (ParsedBlock){p->items.len, p->symbols.len}; }

// Names since the mark go out of scope.
static void parse_restore(TirParser *p, ParsedBlock b) {
  while (p->symbols.len > b.symbols) {
    const Symbol *s = &p->symbols.data[--p->symbols.len];
    ptrmap_put(p->cx->arena, &p->scope, s->name, s->outer);
  }
}

static const Buffer *find_buffer(TirParser *p, Name name, Loc loc) {
  const Symbol *s = find_symbol(p, name);
  if (s && s->buffer) return s->buffer;
  if (s) diag_report(p->cx->diags, E_TYPE, loc, "`%s` is a loop variable, not a buffer", name);
  else diag_report(p->cx->diags, E_UNKNOWN_NAME, loc, "there is no buffer `%s` here", name);
  return NULL;
}

// ---- expressions ----------------------------------------------------------------------------------------------------

ParsedExpr parse_name(TirParser *p, Name name, Loc loc) {
  const Symbol *s = find_symbol(p, name);
  if (s && s->var) {
    Expr *e = expr_new(p->cx, EXPR_VAR, DT_I64, loc);
    e->var = s->var;
    ParsedExpr v = good_expr(p, e, 1, loc);
    v.word = name;
    return v;
  }
  UnknownName u = {.name = name, .loc = loc, .buffer = s != NULL};
  if (p->in_operands) VEC_PUSH(p->cx->arena, p->unknowns, u);
  else parse_report_unknown(p, &u);
  ParsedExpr bad = parse_bad_expr(p);
  bad.word = name;
  return bad;
}

ParsedExpr parse_bool(TirParser *p, bool v, Loc loc) {
  ParsedExpr e = literal(p, DT_BOOL, (Scalar){.i = v}, loc);
  e.bare = false;
  return e;
}

// A signed literal that only fits with a minus before it: reported, wherever it is used without one.
static bool literal_fits(TirParser *p, ParsedExpr a) {
  if (a.bad || !a.bare || a.e->kind != EXPR_INT || !dtype_is_signed(a.e->type)) return true;
  if (wrap_int(a.e->type, a.e->value.i) == a.e->value.i && a.e->value.i >= 0) return true;
  diag_report(p->cx->diags, E_LITERAL, a.e->loc, "this number does not fit %s", dtype_name(a.e->type));
  return false;
}

ParsedExpr parse_paren(TirParser *p, ParsedExpr a) {
  a.bad |= !literal_fits(p, a);
  a.bare = false;
  a.word = NULL;
  return a;
}

static int max_depth(ParsedExpr a, ParsedExpr b) { return a.depth > b.depth ? a.depth : b.depth; }

// The literal with a minus.
static ParsedExpr negative(TirParser *p, ParsedExpr a, Loc loc) {
  Scalar v = a.e->value;
  if (a.e->kind == EXPR_FLOAT) v.f = -v.f;
  else v.i = (int64_t)(0 - (uint64_t)v.i);
  if (a.e->kind == EXPR_INT && !dtype_is_signed(a.e->type) && v.i) {
    diag_report(p->cx->diags, E_LITERAL, loc, "a negative number does not fit %s", dtype_name(a.e->type));
    return parse_bad_expr(p);
  }
  ParsedExpr e = literal(p, a.e->type, v, loc);
  e.bare = false;
  return e;
}

ParsedExpr parse_unary(TirParser *p, UnOp op, ParsedExpr a, Loc loc) {
  if (a.bad) return parse_bad_expr(p);
  if (op == UN_NEG && a.bare) return negative(p, a, loc);
  if (!literal_fits(p, a)) return parse_bad_expr(p);
  if (!unop_takes(op, a.e->type)) {
    diag_report(p->cx->diags, E_TYPE, loc, "`%s` does not take %s", unop_text(op), dtype_name(a.e->type));
    return parse_bad_expr(p);
  }
  return good_expr(p, expr_raw_unary(p->cx, op, a.e, loc), a.depth + 1, loc);
}

ParsedExpr parse_binary(TirParser *p, BinOp op, ParsedExpr a, ParsedExpr b, Loc loc) {
  if (a.bad || b.bad || !literal_fits(p, a) || !literal_fits(p, b)) return parse_bad_expr(p);
  if (a.e->type != b.e->type) {
    diag_report(p->cx->diags, E_TYPE, loc, "`%s` of %s and %s", binop_text(op), dtype_name(a.e->type),
                dtype_name(b.e->type));
    return parse_bad_expr(p);
  }
  if (!binop_takes(op, a.e->type)) {
    diag_report(p->cx->diags, E_TYPE, loc, "`%s` does not take %s", binop_text(op), dtype_name(a.e->type));
    return parse_bad_expr(p);
  }
  return good_expr(p, expr_raw_binary(p->cx, op, a.e, b.e, loc), max_depth(a, b) + 1, loc);
}

ParsedExpr parse_select(TirParser *p, ParsedExpr c, ParsedExpr a, ParsedExpr b, Loc loc) {
  if (c.bad || a.bad || b.bad || !literal_fits(p, a) || !literal_fits(p, b)) return parse_bad_expr(p);
  if (c.e->type != DT_BOOL) {
    diag_report(p->cx->diags, E_TYPE, c.e->loc, "the condition is %s, not bool", dtype_name(c.e->type));
    return parse_bad_expr(p);
  }
  if (a.e->type != b.e->type) {
    diag_report(p->cx->diags, E_TYPE, loc, "`?:` of %s and %s", dtype_name(a.e->type), dtype_name(b.e->type));
    return parse_bad_expr(p);
  }
  int depth = max_depth(a, b);
  return good_expr(p, expr_raw_select(p->cx, c.e, a.e, b.e, loc), (c.depth > depth ? c.depth : depth) + 1, loc);
}

ParsedExpr parse_cast(TirParser *p, DType t, ParsedExpr a, Loc loc) {
  if (a.bad || !literal_fits(p, a)) return parse_bad_expr(p);
  return good_expr(p, expr_raw_cast(p->cx, t, a.e, loc), a.depth + 1, loc);
}

ParsedArgs *parse_args(TirParser *p, ParsedArgs *args, ParsedExpr e) {
  if (!args) args = NEW(p->cx->arena, ParsedArgs);
  if (!e.e) return args; // an empty list
  if (!literal_fits(p, e)) e.bad = true;
  VEC_PUSH(p->cx->arena, args->list, e.e);
  if (e.depth > args->depth) args->depth = e.depth;
  args->bad |= e.bad;
  return args;
}

ParsedExpr parse_call(TirParser *p, MathFn f, ParsedArgs *args, Loc loc) {
  if (args->bad) return parse_bad_expr(p);
  if ((int)args->list.len != math_arity(f)) {
    Diag *g = diag_report(p->cx->diags, E_ARGUMENT, loc, "`%s` takes %d argument%s, not %zu", math_name(f),
                          math_arity(f), math_arity(f) == 1 ? "" : "s", args->list.len);
    diag_help(g, "it is written `%s(%s)`", math_name(f),
              math_arity(f) == 1   ? "x"
              : math_arity(f) == 2 ? "x, y"
                                   : "x, y, z");
    return parse_bad_expr(p);
  }
  DType t = args->list.data[0]->type;
  for (size_t i = 0; i < args->list.len; i++) {
    if (args->list.data[i]->type == t && math_takes(f, t)) continue;
    diag_report(p->cx->diags, E_TYPE, loc, "`%s` does not take %s", math_name(f), dtype_name(args->list.data[i]->type));
    return parse_bad_expr(p);
  }
  const Expr *e = expr_raw_args(p->cx, EXPR_MATH, t, NULL, f, (int)args->list.len, args->list.data, loc);
  return good_expr(p, e, args->depth + 1, loc);
}

ParsedExpr parse_minmax(TirParser *p, BinOp op, ParsedArgs *args, Loc loc) {
  if (args->bad) return parse_bad_expr(p);
  if (args->list.len != 2) {
    Diag *g =
        diag_report(p->cx->diags, E_ARGUMENT, loc, "`%s` takes 2 arguments, not %zu", binop_text(op), args->list.len);
    diag_help(g, "it is written `%s(x, y)`", binop_text(op));
    return parse_bad_expr(p);
  }
  ParsedExpr a = {.e = args->list.data[0], .depth = args->depth}, b = {.e = args->list.data[1]};
  return parse_binary(p, op, a, b, loc);
}

// The number and type of indices.
static bool check_indices(TirParser *p, const Buffer *b, int want, const ParsedArgs *args, Loc loc) {
  if ((int)args->list.len != want) {
    diag_report(p->cx->diags, E_RANK, loc, "`%s` takes %d ind%s here, not %zu", b->name, want,
                want == 1 ? "ex" : "ices", args->list.len);
    return false;
  }
  for (int i = 0; i < want; i++) {
    const Expr *e = args->list.data[i];
    if (e->type == DT_I64) continue;
    diag_report(p->cx->diags, E_TYPE, e->loc, "an index of `%s` is %s, not int64", b->name, dtype_name(e->type));
    return false;
  }
  return true;
}

ParsedExpr parse_access(TirParser *p, ExprKind kind, Name name, ParsedArgs *args, Loc loc, Loc name_loc) {
  const Buffer *b = find_buffer(p, name, name_loc);
  if (!b || args->bad) return parse_bad_expr(p);
  if (!check_indices(p, b, kind == EXPR_REF ? 1 : b->ndim, args, loc)) return parse_bad_expr(p);
  const Expr *e = expr_raw_args(p->cx, kind, b->type, b, 0, (int)args->list.len, args->list.data, loc);
  return good_expr(p, e, args->depth + 1, loc);
}

// ---- statements -----------------------------------------------------------------------------------------------------

ParsedPlace *parse_place(TirParser *p, Loc loc, Loc why) {
  ParsedPlace *at = NEW(p->cx->arena, ParsedPlace);
  *at = (ParsedPlace){.loc = loc, .why = why, .given = true};
  return at;
}

ParsedPlace *parse_no_place(TirParser *p) {
  static ParsedPlace none;
  return (void)p, &none;
}

// The place that was written, else that in this text.
Loc parse_place_or(ParsedPlace at, Loc here) { return at.given ? at.loc : here; }

// The expressions of a statement have the place that was written for it: passes take places from them, too.
const Expr *parse_placed(TirParser *p, const Expr *e, ParsedPlace at) {
  if (!at.given || !loc_known(at.loc)) return e;
  Expr *copy = arena_copy(p->cx->arena, e, sizeof *e);
  copy->loc = at.loc;
  switch (e->kind) {
  case EXPR_INT:
  case EXPR_FLOAT:
  case EXPR_VAR: break;
  case EXPR_CAST:
  case EXPR_UNARY: copy->a = parse_placed(p, e->a, at); break;
  case EXPR_BINARY:
  case EXPR_SELECT:
    copy->a = parse_placed(p, e->a, at);
    copy->b = parse_placed(p, e->b, at);
    if (e->kind == EXPR_SELECT) copy->c = parse_placed(p, e->c, at);
    break;
  case EXPR_LOAD:
  case EXPR_REF:
  case EXPR_MATH:
    copy->args = NEW_ARRAY(p->cx->arena, const Expr *, e->nargs);
    for (int i = 0; i < e->nargs; i++) copy->args[i] = parse_placed(p, e->args[i], at);
    break;
  }
  return copy;
}

// The same for a list of them: a copy of it.
static const Expr **placed_args(TirParser *p, const ParsedArgs *args, ParsedPlace at) {
  size_t n = args->list.len;
  const Expr **out = n ? NEW_ARRAY(p->cx->arena, const Expr *, n) : NULL;
  for (size_t i = 0; i < n; i++) out[i] = parse_placed(p, args->list.data[i], at);
  return out;
}

ParsedStmt parse_no_stmt(TirParser *p) { return (ParsedStmt){stmt_nop(p->cx), 1}; }

ParsedStmt parse_good_stmt(TirParser *p, const Stmt *s, int depth, Loc loc) {
  if (depth <= STMT_DEPTH_MAX) return (ParsedStmt){s, depth};
  diag_report(p->cx->diags, E_TOO_DEEP, loc, "this statement is nested more than %d deep", STMT_DEPTH_MAX);
  return parse_no_stmt(p);
}

void parse_add(TirParser *p, ParsedStmt s) {
  BlockItem i = {.stmt = s.s, .depth = s.depth};
  VEC_PUSH(p->cx->arena, p->items, i);
}

void parse_alloc(TirParser *p, Buffer *b, ParsedPlace at, Loc loc) {
  if (!b) return;
  Loc here = parse_place_or(at, loc);
  BlockItem i = {.alloc = b, .loc = here, .why = at.why, .depth = 1};
  b->loc = here;
  VEC_PUSH(p->cx->arena, p->items, i);
}

// Makes one statement of the block's items, from the last to the first: what follows an allocation is its body.
ParsedStmt parse_close(TirParser *p, ParsedBlock b) {
  size_t n = p->items.len - b.items, at = n;
  const Stmt **list = NEW_ARRAY(p->cx->arena, const Stmt *, n + 1);
  int depth = 1;
  for (size_t i = n; i-- > 0;) {
    const BlockItem *item = &p->items.data[b.items + i];
    if (item->depth > depth) depth = item->depth;
    if (!item->alloc) {
      list[--at] = item->stmt;
      continue;
    }
    Stmt *s = stmt_new(p->cx, STMT_ALLOC, item->loc, item->why);
    s->buffer = item->alloc;
    s->body = stmt_seq(p->cx, (int)(n - at), list + at);
    depth += 2;
    at = n;
    list[--at] = s;
  }
  const Stmt *s = stmt_seq(p->cx, (int)(n - at), list + at);
  p->items.len = b.items;
  parse_restore(p, b);
  return parse_good_stmt(p, s, depth + 1, s->loc);
}

ParsedStmt parse_store(TirParser *p, Name name, ParsedArgs *args, ParsedExpr value, ParsedPlace at, Loc loc,
                       Loc name_loc) {
  const Buffer *b = find_buffer(p, name, name_loc);
  if (!b || args->bad || value.bad || !literal_fits(p, value)) return parse_no_stmt(p);
  if (!check_indices(p, b, b->ndim, args, loc)) return parse_no_stmt(p);
  if (value.e->type != b->type) {
    diag_report(p->cx->diags, E_TYPE, value.e->loc, "%s is stored into `%s`, which holds %s", dtype_name(value.e->type),
                b->name, dtype_name(b->type));
    return parse_no_stmt(p);
  }
  Stmt *s = stmt_new(p->cx, STMT_STORE, parse_place_or(at, loc), at.why);
  s->buffer = b;
  s->nargs = b->ndim;
  s->args = placed_args(p, args, at);
  s->value = parse_placed(p, value.e, at);
  return parse_good_stmt(p, s, 1, loc);
}

ParsedRange *parse_range(TirParser *p, ParsedExpr a, ParsedExpr b, bool is_extent, Loc loc) {
  ParsedRange *r = NEW(p->cx->arena, ParsedRange);
  *r = (ParsedRange){.min = a, .extent = b};
  if (!literal_fits(p, a) || !literal_fits(p, b)) r->min.bad = true;
  if (!a.bad && !b.bad && (a.e->type != DT_I64 || b.e->type != DT_I64)) {
    diag_report(p->cx->diags, E_TYPE, loc, "the bounds of a loop are int64, not %s and %s", dtype_name(a.e->type),
                dtype_name(b.e->type));
    r->min.bad = true;
  }
  int64_t lo, end, n;
  if (r->min.bad || b.bad || is_extent || (expr_is_int(a.e, &lo) && lo == 0)) return r;
  if (expr_is_int(a.e, &lo) && expr_is_int(b.e, &end) && __builtin_sub_overflow(end, lo, &n)) {
    diag_report(p->cx->diags, E_EXTENT, loc, "the extent of this loop does not fit int64");
    r->min.bad = true;
    return r;
  }
  r->extent.e = expr_at(p->cx, expr_binary(p->cx, OP_SUB, b.e, a.e), b.e->loc);
  r->extent.depth = max_depth(a, b) + 1;
  return r;
}

ParsedStmt parse_for(TirParser *p, ForKind kind, ParsedBlock mark, ParsedRange *r, ParsedPlace at, ParsedStmt body,
                     Loc loc) {
  const Var *v = p->symbols.data[mark.symbols].var;
  parse_restore(p, mark);
  if (r->min.bad || r->extent.bad) return parse_no_stmt(p);
  Stmt *s = stmt_new(p->cx, STMT_FOR, parse_place_or(at, loc), at.why);
  s->for_kind = kind;
  s->var = v;
  s->min = parse_placed(p, r->min.e, at);
  s->extent = parse_placed(p, r->extent.e, at);
  s->body = body.s;
  return parse_good_stmt(p, s, body.depth + 1, loc);
}

ParsedStmt parse_if(TirParser *p, ParsedExpr cond, ParsedPlace at, ParsedStmt then, const ParsedStmt *otherwise,
                    Loc loc) {
  if (cond.bad) return parse_no_stmt(p);
  if (cond.e->type != DT_BOOL) {
    diag_report(p->cx->diags, E_TYPE, cond.e->loc, "the condition is %s, not bool", dtype_name(cond.e->type));
    return parse_no_stmt(p);
  }
  Stmt *s = stmt_new(p->cx, STMT_IF, parse_place_or(at, loc), at.why);
  s->cond = parse_placed(p, cond.e, at);
  s->body = then.s;
  s->else_body = otherwise ? otherwise->s : NULL;
  int depth = otherwise && otherwise->depth > then.depth ? otherwise->depth : then.depth;
  return parse_good_stmt(p, s, depth + 1, loc);
}

// ---- buffers and the function ---------------------------------------------------------------------------------------

void parse_dim(TirParser *p, ParsedExpr e, Loc loc) {
  int64_t v = parse_number(p, e, loc);
  VEC_PUSH(p->cx->arena, p->dims, v);
}

// A literal that is 0 or more; else -1, reported.
int64_t parse_number(TirParser *p, ParsedExpr e, Loc loc) {
  int64_t v;
  if (e.bad) return -1;
  if (e.bare && literal_fits(p, e) && expr_is_int(e.e, &v) && e.e->type == DT_I64) return v;
  diag_report(p->cx->diags, E_NOT_CONST, loc, "a number is expected here");
  return -1;
}

Buffer *parse_buffer(TirParser *p, Name name, DType t, Name scope_name, int64_t base, Name stage, Loc loc,
                     Loc scope_loc) {
  const Scope *scope = scope_name ? tir_scope(p->func ? p->func->target : NULL, scope_name) : &scope_host;
  int64_t elems = 1;
  bool good = true;
  for (size_t i = 0; i < p->dims.len; i++) good &= p->dims.data[i] > 0 && mul_ok(elems, p->dims.data[i], &elems);
  if (!good || elems > INT64_MAX / 8)
    diag_report(p->cx->diags, E_EXTENT, loc, "the shape of `%s` is not made of positive numbers of a size that fits",
                name);
  if (!scope)
    diag_help(diag_report(p->cx->diags, E_SCOPE, scope_loc, "there is no memory `%s`", scope_name), "%s",
              p->func && p->func->target ? "docs/tir.md lists the memories of the target; without `@` it is the host's"
                                         : "give the function the target that has it: `) target vta {`");
  const int64_t one[1] = {1};
  bool scalar = !p->dims.len;
  Buffer *b = (Buffer *)tir_buffer(p->cx, name, t, scope ? scope : &scope_host, BUF_LOCAL,
                                   good && !scalar ? (int)p->dims.len : 1, good && !scalar ? p->dims.data : one, loc);
  b->scalar = scalar;
  b->base = base;
  b->stage = stage ? stage : name; // what is printed without `of` is of the stage of that name
  parse_bind(p, name, NULL, b);
  return b;
}

void parse_param(TirParser *p, Buffer *b, BufferRole role, ParsedPlace at, Loc loc) {
  for (size_t i = 0; i < p->params.len; i++)
    if (p->params.data[i]->name == b->name)
      diag_report(p->cx->diags, E_DUPLICATE_NAME, loc, "there are two parameters `%s`", b->name);
  if (b->scope != &scope_host)
    diag_help(diag_report(p->cx->diags, E_SCOPE, loc, "parameter `%s` is not in the host's memory", b->name),
              "leave out its `@`, and copy it to a buffer of that memory");
  b->role = role;
  b->loc = parse_place_or(at, loc);
  VEC_PUSH(p->cx->arena, p->params, b);
}

// The value of a hexadecimal digit; -1: it is none.
static int digit_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

void parse_const(TirParser *p, Buffer *b, Name text, ParsedPlace at, Loc loc) {
  size_t n = (size_t)buffer_elems(b) * (size_t)dtype_bytes(b->type), len = strlen(text);
  unsigned char *data = len == 2 * n ? arena_alloc(p->cx->arena, n) : NULL;
  bool good = data != NULL;
  for (size_t i = 0; good && i < n; i++) {
    int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
    good = high >= 0 && low >= 0;
    data[i] = (unsigned char)(high * 16 + low);
  }
  if (!good)
    diag_report(p->cx->diags, E_LITERAL, loc, "the values of `%s` are %zu bytes, two hexadecimal digits each", b->name,
                n);
  if (b->scope != &scope_host)
    diag_help(diag_report(p->cx->diags, E_SCOPE, loc, "constant `%s` is not in the host's memory", b->name),
              "leave out its `@`, and copy it to a buffer of that memory");
  b->role = BUF_CONST;
  b->data = data;
  b->loc = parse_place_or(at, loc);
  VEC_PUSH(p->cx->arena, p->consts, b);
}

void parse_header(TirParser *p, Name name, Name target, ParsedPlace at, Loc loc, Loc target_loc) {
  Func *f = NEW(p->cx->arena, Func);
  f->name = name;
  f->loc = parse_place_or(at, loc);
  f->nparams = (int)p->params.len;
  f->params = p->params.data;
  f->nconsts = (int)p->consts.len;
  f->consts = p->consts.data;
  p->func = f;
  if (!target) return;
  if (p->target && !strcmp(p->target->name, target)) {
    f->target = p->target;
    return;
  }
  Diag *g = diag_report(p->cx->diags, E_TARGET, target_loc, "there is no target `%s` here", target);
  if (p->target) diag_fix(g, target_loc, p->target->name, "the target is `%s`", p->target->name);
}

void parse_func(TirParser *p, ParsedStmt body) { p->func->body = body.s; }

Func *tir_parse(Ctx *cx, const Source *src, const TirTarget *target) {
  TirParser p = {.cx = cx, .src = src, .target = target};
  int before = diags_errors(cx->diags);
  add_words(&p);
  if (!tir_scan(&p)) {
    memory_out();
    diag_report(cx->diags, E_MEMORY, (Loc){0}, "memory ran out while reading %s", src->path);
    return NULL;
  }
  return diags_errors(cx->diags) == before && p.func && p.func->body ? p.func : NULL;
}

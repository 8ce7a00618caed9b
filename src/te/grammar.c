// SPDX-License-Identifier: Apache-2.0
// What the grammar's actions and the lexer call: trees, literals, and the words of syntax errors.
#include "te/internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Ends the parse with E0003.
void parser_too_deep(TeParser *p, Loc loc, const char *what) {
  if (p->stop) return;
  p->stop = true;
  Diag *g = diag_report(p->cx->diags, E_TOO_DEEP, loc, "%s is too deep", what);
  diag_note(g, "expressions may be %d operations deep, `for` blocks %d", TE_MAX_DEPTH, TE_MAX_FOR_DEPTH);
  diag_help(g, "give parts of it stages of their own");
}

// What te_print may write for a name or literal, `t[x]` or `int32(-3)`, counts as one level too: so what was read
// can be printed and read again.
static bool is_leaf(const AstExpr *e) {
  bool literal = e->kind == AST_INT || e->kind == AST_FLOAT || e->kind == AST_BIG;
  bool negative = e->kind == AST_UNARY && e->unop == UN_NEG && e->depth == 1;
  return e->kind == AST_NAME || literal || negative;
}

static int depth_of(const AstExpr *e) { return e ? e->depth : 0; }

// A node with up to three operands; checks the depth.
static AstExpr *node(TeParser *p, AstKind kind, Loc loc, const AstExpr *a, const AstExpr *b, const AstExpr *c) {
  AstExpr *e = NEW(p->cx->arena, AstExpr);
  e->kind = kind;
  e->loc = loc;
  e->a = a;
  e->b = b;
  e->c = c;
  int depth = depth_of(a);
  if (depth_of(b) > depth) depth = depth_of(b);
  if (depth_of(c) > depth) depth = depth_of(c);
  e->depth = depth + 1;
  if (e->depth > TE_MAX_DEPTH) parser_too_deep(p, loc, "the expression");
  return e;
}

static AstExpr *leaf(TeParser *p, AstKind kind, Loc loc) { return node(p, kind, loc, NULL, NULL, NULL); }

const AstExpr *ast_int(TeParser *p, Loc loc, uint64_t value) {
  AstExpr *e = leaf(p, value > INT64_MAX ? AST_BIG : AST_INT, loc);
  e->value = (int64_t)value;
  return e;
}

const AstExpr *ast_float(TeParser *p, Loc loc, double number) {
  AstExpr *e = leaf(p, AST_FLOAT, loc);
  e->number = number;
  return e;
}

const AstExpr *ast_bool(TeParser *p, Loc loc, bool value) {
  AstExpr *e = leaf(p, AST_BOOL, loc);
  e->value = value;
  return e;
}

const AstExpr *ast_rest(TeParser *p, Loc loc) { return leaf(p, AST_REST, loc); }

const AstExpr *ast_bad(TeParser *p, Loc loc) { return leaf(p, AST_BAD, loc); }

const AstExpr *ast_name(TeParser *p, Loc loc, Name name) {
  AstExpr *e = node(p, AST_NAME, loc, NULL, NULL, NULL);
  e->name = name;
  return e;
}

const AstExpr *ast_string(TeParser *p, Loc loc, Name text) {
  AstExpr *e = node(p, AST_STRING, loc, NULL, NULL, NULL);
  e->name = text;
  return e;
}

const AstExpr *ast_unary(TeParser *p, Loc loc, UnOp op, const AstExpr *a) {
  AstExpr *e = node(p, AST_UNARY, loc, a, NULL, NULL);
  e->unop = op;
  if (op == UN_NEG && is_leaf(a)) e->depth = 1; // as the literal that it becomes
  return e;
}

const AstExpr *ast_binary(TeParser *p, Loc loc, BinOp op, const AstExpr *a, const AstExpr *b) {
  AstExpr *e = node(p, AST_BINARY, loc, a, b, NULL);
  e->binop = op;
  return e;
}

const AstExpr *ast_select(TeParser *p, Loc loc, const AstExpr *a, const AstExpr *b, const AstExpr *c) {
  return node(p, AST_SELECT, loc, a, b, c);
}

// Sets the depth of a node whose operands stand in an array.
static void deepen(TeParser *p, AstExpr *e, int n, const AstExpr **items) {
  for (int i = 0; i < n; i++)
    if (items[i]->depth >= e->depth && !is_leaf(items[i])) e->depth = items[i]->depth + 1;
  if (e->depth > TE_MAX_DEPTH) parser_too_deep(p, e->loc, "the expression");
}

const AstExpr *ast_list(TeParser *p, Loc loc, const AstExprs *items) {
  AstExpr *e = node(p, AST_LIST, loc, NULL, NULL, NULL);
  e->nitems = (int)items->len;
  e->items = items->data;
  deepen(p, e, e->nitems, e->items);
  return e;
}

// A node over its arguments.
static AstExpr *named(TeParser *p, AstKind kind, Loc loc, SchedName name, const AstExprs *args) {
  AstExpr *e = leaf(p, kind, loc);
  e->name = name.name;
  e->name_loc = name.loc;
  e->nitems = (int)args->len;
  e->items = args->data;
  deepen(p, e, e->nitems, e->items);
  return e;
}

const AstExpr *ast_call(TeParser *p, Loc loc, SchedName name, const SchedArgs *args) {
  AstExprs values = {0};
  Name *keys = NULL;
  for (size_t i = 0; i < args->len; i++) {
    VEC_PUSH(p->cx->arena, values, args->data[i].value);
    if (!args->data[i].key) continue;
    if (!keys) keys = NEW_ARRAY(p->cx->arena, Name, args->len);
    keys[i] = args->data[i].key;
  }
  AstExpr *e = named(p, AST_CALL, loc, name, &values);
  e->keys = keys;
  const Builtin *b = builtin_find(name.name);
  if (b && b->nops > 1) e->depth += b->nops - 1; // an operator in another
  return e;
}

const AstExpr *ast_index(TeParser *p, Loc loc, SchedName name, const AstExpr *call, const AstExprs *args) {
  AstExpr *e = named(p, AST_INDEX, loc, name, args);
  e->a = call;
  if (call) deepen(p, e, 1, &call);
  return e;
}

const AstExpr *ast_concat(TeParser *p, Loc loc, SchedName name, const AstExprs *axis, const AstExprs *args) {
  AstExpr *e = named(p, AST_CONCAT, loc, name, args);
  e->a = axis->data[0];
  if (axis->len == 1 && e->a->kind == AST_NAME && strcmp(name.name, "concat") == 0) return e;
  Diag *g = diag_report(p->cx->diags, E_SYNTAX, loc, "`%s[...](...)` is no %s", name.name,
                        strcmp(name.name, "concat") == 0 ? "`concat`: it joins along one axis" : "expression");
  diag_help(
      g, "a reduction names its axes with their extents, `sum[k: 8](...)`; tensors are joined by `concat[axis](a, b)`");
  return ast_bad(p, loc);
}

const AstExpr *ast_reduce(TeParser *p, Loc loc, SchedName name, const AstReduction *r, const AstExprs *args) {
  AstExpr *e = named(p, AST_REDUCE, loc, name, args);
  e->naxes = (int)r->axes->len;
  e->axes = r->axes->data;
  e->by = r->by;
  e->c = r->where;
  if (r->where) deepen(p, e, 1, &e->c);
  return e;
}

const AstExpr *ast_paren(TeParser *p, Loc loc, const AstExpr *e) {
  AstExpr *copy = arena_copy(p->cx->arena, e, sizeof *e);
  copy->loc = loc;
  return copy;
}

AstDecl parser_decl(TeRole role, SchedName name, Loc loc, const AxesAt *axes, SchedName dtype, const AstExpr *body) {
  AstDecl d = {.role = role,
               .name = name.name,
               .loc = loc,
               .name_loc = name.loc,
               .nnames = 1,
               .dtype = dtype.name,
               .dtype_loc = dtype.loc,
               .body = body};
  if (axes) {
    d.has_axes = true;
    d.axes_loc = axes->loc;
    d.naxes = axes->axes ? (int)axes->axes->len : 0;
    d.axes = axes->axes ? axes->axes->data : NULL;
  }
  return d;
}

void parser_kernel(TeParser *p, Loc loc, SchedName name, const AstDecls *decls) {
  AstItem item = {.kind = ITEM_KERNEL,
                  .name = name.name,
                  .loc = loc,
                  .name_loc = name.loc,
                  .ndecls = (int)decls->len,
                  .decls = decls->data,
                  .broken = p->kernel_broken};
  VEC_PUSH(p->cx->arena, p->file->items, item);
}

void parser_def(TeParser *p, Loc loc, SchedName name, const AstParams *params, const AstDecls *decls,
                const AstReturn *result) {
  AstDef def = {.nparams = (int)params->len, .params = params->data, .result = result};
  AstItem item = {.kind = ITEM_DEF,
                  .name = name.name,
                  .loc = loc,
                  .name_loc = name.loc,
                  .ndecls = (int)decls->len,
                  .decls = decls->data,
                  .broken = p->kernel_broken || !result,
                  .def = arena_copy(p->cx->arena, &def, sizeof def)};
  VEC_PUSH(p->cx->arena, p->file->items, item);
}

void parser_schedule(TeParser *p, Loc loc, SchedName kernel, SchedName name, const SchedStmts *stmts) {
  TeSchedule schedule = {.kernel = kernel.name,
                         .name = name.name,
                         .loc = loc,
                         .name_loc = name.name ? name.loc : kernel.loc,
                         .nstmts = (int)stmts->len,
                         .stmts = stmts->data};
  AstItem item = {.kind = ITEM_SCHEDULE,
                  .name = kernel.name,
                  .loc = loc,
                  .name_loc = kernel.loc,
                  .schedule = arena_copy(p->cx->arena, &schedule, sizeof schedule)};
  VEC_PUSH(p->cx->arena, p->file->items, item);
  p->calls_done = p->file->calls.len;
}

void parser_part(TeParser *p, Loc loc, SchedName name, const AstParams *params, const SchedStmts *stmts) {
  Arena *a = p->cx->arena;
  SchedParam *out = NEW_ARRAY(a, SchedParam, params->len + 1);
  for (size_t i = 0; i < params->len; i++) {
    const AstParam *in = &params->data[i];
    out[i] = (SchedParam){in->name, in->loc, in->value};
    if (in->has_axes)
      diag_help(diag_report(p->cx->diags, E_SYNTAX, in->loc, "a part's parameter has no axes and no type"),
                "write `%s`", in->name);
    for (size_t k = 0; k < i; k++)
      if (out[k].name == in->name)
        diag_also(diag_report(p->cx->diags, E_DUPLICATE_NAME, in->loc, "two parameters are called `%s`", in->name),
                  out[k].loc, "the other is here");
  }
  TePart *part = NEW(a, TePart);
  *part = (TePart){.name = name.name,
                   .loc = loc,
                   .name_loc = name.loc,
                   .nparams = (int)params->len,
                   .params = out,
                   .nstmts = (int)stmts->len,
                   .stmts = stmts->data,
                   .ncalls = (int)(p->file->calls.len - p->calls_done)};
  part->calls = NEW_ARRAY(a, SchedStmt *, part->ncalls + 1);
  for (int i = 0; i < part->ncalls; i++) part->calls[i] = p->file->calls.data[p->calls_done + (size_t)i];
  p->calls_done = p->file->calls.len;
  AstItem item = {.kind = ITEM_PART, .name = name.name, .loc = loc, .name_loc = name.loc, .part = part};
  VEC_PUSH(a, p->file->items, item);
}

AstPath path_of(Name name, Loc loc) { return (AstPath){.whole = {name, loc}, .last = {name, loc}}; }

AstPath path_add(TeParser *p, AstPath path, Name name, Loc at) {
  Name whole = name_of(p->cx->names, arena_printf(p->cx->arena, "%s.%s", path.whole.name, name));
  return (AstPath){.whole = {whole, loc_join(path.whole.loc, at)}, .head = path.whole, .last = {name, at}};
}

const SchedStmt *parser_call(TeParser *p, Loc loc, const SchedNames *results, AstPath path, const SchedArgs *args) {
  SchedStmt *s = NEW(p->cx->arena, SchedStmt);
  s->kind = SCHED_CALL;
  s->loc = loc;
  s->nresults = results ? (int)results->len : 0;
  s->results = results ? results->data : NULL;
  s->receiver = path.head;
  s->method = path.last;
  s->nargs = (int)args->len;
  s->args = args->data;
  VEC_PUSH(p->cx->arena, p->file->calls, s);
  return s;
}

const SchedStmt *parser_knob(TeParser *p, Loc loc, SchedName name, const AstExpr *value, const AstExpr *set) {
  SchedStmt *s = NEW(p->cx->arena, SchedStmt);
  s->kind = SCHED_KNOB;
  s->loc = loc;
  s->receiver = name;
  s->value = value;
  s->set = set;
  return s;
}

const SchedStmt *parser_if(TeParser *p, Loc loc, const AstExpr *cond, const SchedStmts *body, const SchedStmts *other) {
  SchedStmt *s = NEW(p->cx->arena, SchedStmt);
  *s = (SchedStmt){.kind = SCHED_IF,
                   .loc = loc,
                   .value = cond,
                   .nbody = (int)body->len,
                   .body = body->data,
                   .nother = other ? (int)other->len : 0,
                   .other = other ? other->data : NULL};
  return s;
}

const SchedStmt *parser_return(TeParser *p, Loc loc, const SchedNames *names) {
  SchedStmt *s = NEW(p->cx->arena, SchedStmt);
  *s = (SchedStmt){.kind = SCHED_RETURN, .loc = loc, .nresults = (int)names->len, .results = names->data};
  return s;
}

const SchedStmt *parser_for(TeParser *p, Loc loc, SchedName var, const SchedNames *names, const SchedStmts *body) {
  SchedStmt *s = NEW(p->cx->arena, SchedStmt);
  s->kind = SCHED_FOR;
  s->loc = loc;
  s->receiver = var;
  s->nresults = (int)names->len;
  s->results = names->data;
  s->nbody = (int)body->len;
  s->body = body->data;
  return s;
}

// ---- literals --------------------------------------------------------------------------------------------------

double parser_float(TeParser *p, Loc loc, const char *text, size_t len) {
  (void)len; // the token ends where strtod ends, and the scanner keeps a NUL behind it
  double v = strtod(text, NULL);
  if (isinf(v)) {
    Diag *g = diag_report(p->cx->diags, E_LITERAL, loc, "`%s` is larger than any float64", te_snippet(p->cx, loc));
    diag_help(g, "write `inf` for infinity");
    return 0;
  }
  return v;
}

uint64_t parser_int(TeParser *p, Loc loc, const char *text, size_t len) {
  uint64_t base = 10, v = 0;
  size_t i = 0;
  if (len > 2 && (text[1] == 'x' || text[1] == 'X')) {
    base = 16;
    i = 2;
  }
  for (; i < len; i++) {
    char c = text[i];
    uint64_t digit = c <= '9' ? (uint64_t)(c - '0') : (uint64_t)((c | 32) - 'a') + 10;
    if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v)) {
      Diag *g = diag_report(p->cx->diags, E_LITERAL, loc, "`%s` does not fit 64 bits", te_snippet(p->cx, loc));
      diag_help(g, "the largest integer is 18446744073709551615; a floating-point number has a point: `%s.0`",
                te_snippet(p->cx, loc));
      return 0;
    }
  }
  return v;
}

Name parser_string(TeParser *p, Loc loc, const char *text, size_t len) {
  (void)loc;
  char *out = arena_alloc(p->cx->arena, len);
  size_t n = 0;
  for (size_t i = 1; i + 1 < len; i++) {
    char c = text[i];
    if (c == '\\' && i + 2 < len) {
      c = text[++i];
      if (c == 'n') c = '\n';
      else if (c == 't') c = '\t';
    }
    out[n++] = c;
  }
  return name_of_bytes(p->cx->names, out, n);
}

// What text copied from elsewhere has in place of a character of the language; NULL if it is another character.
static const char *plain_spelling(const char *text) {
  static const char *const spellings[][2] = {
      {"\u00d7", "*"},  {"\u00b7", "*"},  {"\u2217", "*"},  {"\u00f7", "/"},  {"\u2212", "-"},  {"\u2013", "-"},
      {"\u2264", "<="}, {"\u2265", ">="}, {"\u2260", "!="}, {"\u2227", "&&"}, {"\u2228", "||"}, {"\u00ac", "!"},
      {"\u201c", "\""}, {"\u201d", "\""}, {"\u00a0", " "},  {"\ufeff", ""},   {"\u200b", ""}};
  for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
    if (strncmp(text, spellings[i][0], strlen(spellings[i][0])) == 0) return spellings[i][1];
  return NULL;
}

static void bad_symbol(TeParser *p, Loc loc, const char *text) {
  unsigned char c = (unsigned char)text[0];
  bool control = c < 32 || c == 127;
  Diag *g =
      control
          ? diag_report(p->cx->diags, E_LEX, loc, "the control character 0x%02x is not part of the language", c)
          : diag_report(p->cx->diags, E_LEX, loc, "`%s` is not a character of the language", te_snippet(p->cx, loc));
  const char *plain = plain_spelling(text);
  if (c >= 0x80) diag_note(g, "outside comments and quoted texts, a .te file is plain ASCII");
  if (control) diag_fix(g, loc, "", "delete it");
  else if (plain && *plain == ' ') diag_fix(g, loc, plain, "replace it by a space");
  else if (plain && *plain) diag_fix(g, loc, plain, "write `%s`", plain);
  else if (plain) diag_fix(g, loc, plain, "delete it");
  else if (!foreign_help(g, FOREIGN_CHARACTER, text))
    diag_help(g, "the operators are + - * / %% << >> & | ^ ~ ! < <= > >= == != && || ?: and calls such as `pow(x, y)`");
}

// Reports a token that the language does not have.
void parser_bad_character(TeParser *p, Loc loc, const char *text) {
  Diags *d = p->cx->diags;
  unsigned char c = (unsigned char)text[0];
  p->bad = loc;
  if (diags_errors(d) >= TE_MAX_ERRORS) return;
  if (c == '/') {
    Loc start = loc;
    start.end_line = start.line;
    start.end_col = start.col + 2;
    diag_help(diag_report(d, E_LEX, start, "this comment does not end"), "close it with `*/`");
  } else if (c == '"') {
    diag_help(diag_report(d, E_LEX, loc, "this text in quotes does not end on its line"), "close it with `\"`");
  } else if ((c >= '0' && c <= '9') || (c == '.' && text[1])) {
    Diag *g = diag_report(d, E_LEX, loc, "`%s` is no number and no name", te_snippet(p->cx, loc));
    diag_help(g, "numbers are written 12, 0x1f, 1.5 or 2e-3; names start with a letter or `_`");
  } else {
    bad_symbol(p, loc, text);
  }
}

// ---- syntax errors ---------------------------------------------------------------------------------------------

static bool has(int n, const char *const *names, const char *wanted) {
  for (int i = 0; i < n; i++)
    if (strcmp(names[i], wanted) == 0) return true;
  return false;
}

// The operators that may follow an expression; told as one word.
static bool is_operator(const char *name) {
  static const char *const ops[] = {"`+`",  "`-`", "`*`", "`/`", "`%`",  "`<`",  "`>`",  "`<=`", "`>=`", "`==`",
                                    "`!=`", "`&`", "`|`", "`^`", "`<<`", "`>>`", "`&&`", "`||`", "`?`"};
  return has((int)(sizeof ops / sizeof *ops), ops, name);
}

// What the grammar expected, in a reader's words: "an expression", "`;` or an operator".
static const char *expectation(TeParser *p, int n, const char *const *expected) {
  bool expr = has(n, expected, "number") && has(n, expected, "`(`");
  bool operators = !expr && has(n, expected, "`+`") && has(n, expected, "`*`");
  const char *words[80];
  int count = 0;
  if (expr) words[count++] = "an expression";
  for (int i = 0; i < n; i++) {
    const char *e = expected[i];
    bool in_expr = has(11,
                       (const char *const[]){"number", "integer", "text in quotes", "`(`", "`[`", "`-`", "`!`", "`~`",
                                             "`true`", "`false`", "name"},
                       e);
    if ((expr && in_expr) || (operators && is_operator(e))) continue;
    if (operators && (strcmp(e, "`.`") == 0 || strcmp(e, "`(`") == 0 || strcmp(e, "`[`") == 0)) continue;
    words[count++] = strcmp(e, "name") == 0 ? "a name" : strcmp(e, "text in quotes") == 0 ? "a text in quotes" : e;
  }
  if (operators) words[count++] = "an operator";
  Text t = {.arena = p->cx->arena};
  for (int i = 0; i < count; i++) text_add(&t, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", words[i]);
  return count ? t.data : NULL;
}

// Where the comment starts that ends at `at`, the end of its line's text; `at` if none does.
static size_t comment_start(const Source *src, size_t at) {
  const char *text = src->text;
  size_t line = at;
  if (at >= 4 && text[at - 1] == '/' && text[at - 2] == '*') {
    for (size_t i = at - 2; i-- > 0;)
      if (text[i] == '/' && text[i + 1] == '*') return i;
  }
  while (line > 0 && text[line - 1] != '\n') line--;
  const char *slashes = memmem(text + line, at - line, "//", 2);
  return slashes ? (size_t)(slashes - text) : at;
}

// The place just after the text that ends before `loc`, for a missing `;`: behind what is neither space nor comment.
static Loc before(const Source *src, Loc loc) {
  size_t at = src->line_start[loc.line - 1] + loc.col - 1;
  if (at > src->len) at = src->len;
  for (size_t was = SIZE_MAX; was != at;) {
    was = at;
    while (at > 0 && strchr(" \t\r\n", src->text[at - 1])) at--;
    at = comment_start(src, at);
  }
  uint32_t line = loc.line;
  while (line > 1 && src->line_start[line - 1] > at) line--;
  uint32_t col = (uint32_t)(at - src->line_start[line - 1]) + 1;
  return (Loc){.src = src, .line = line, .col = col, .end_line = line, .end_col = col};
}

// The remedy for slips that other languages teach; NULL when none is known.
static const char *slip_help(TeParser *p, Loc loc, const char *got, int n, const char *const *expected) {
  size_t at = p->src->line_start[loc.line - 1] + loc.col - 1;
  while (at > 0 && p->src->text[at - 1] == ' ') at--;
  char last = at ? p->src->text[at - 1] : 0;
  bool operators = has(n, expected, "`+`") && !has(n, expected, "number");
  if (strcmp(got, "`[`") == 0 && last == ']' && operators)
    return "all indices stand in one pair of brackets: `t[x, y]`";
  const char *line = p->src->text + p->src->line_start[loc.line - 1];
  const char *foreign =
      foreign_syntax(p->cx->arena, loc, te_snippet(p->cx, loc), has(n, expected, "`compute`"), operators);
  if (foreign) return foreign;
  if (operators && memmem(line, loc.col - 1, " if ", 4)) return "a choice is written `condition ? x : y`";
  if (strcmp(got, "`=`") == 0 && operators) return "equality is written `==`";
  if (strcmp(got, "`=`") == 0 && n == 1 && has(n, expected, "`:`"))
    return "the type follows the axes: `t[x: 4] : int32 = ...`";
  if (n == 1 && has(n, expected, "`:`") && strcmp(got, "name") == 0) return "the type follows the axes after a `:`";
  if (n == 1 && has(n, expected, "`:`") && (strcmp(got, "`]`") == 0 || strcmp(got, "`,`") == 0))
    return "an axis is declared with its extent: `x: 8`";
  if ((n == 1 || has(n, expected, "`]`")) && has(n, expected, "name") && !has(n, expected, "number") &&
      strcmp(got, "integer") == 0)
    return "an axis is declared with its name: `x: 8`";
  bool twice = got[0] == '`' && got[1] == last && got[2] == '`';
  return twice ? foreign_answer(FOREIGN_TWICE, (char[]){last, 0}) : NULL;
}

// The remedy that the grammar alone knows: what closes or separates goes into the gap before; else what has to be
// written.
static void expected_help(TeParser *p, Diag *g, Loc loc, const char *got, int n, const char *const *expected) {
  static const char *const closing[] = {"`)`", "`]`", "`}`"};
  bool starts = strcmp(got, "name") == 0 || strcmp(got, "integer") == 0 || strcmp(got, "number") == 0;
  if (has(n, expected, "number") && has(n, expected, "`(`")) {
    diag_help(g, "an expression starts with a number, a name, a call, a sign or `(`");
    return;
  }
  if (has(n, expected, "`,`") && starts) {
    diag_guess(g, before(p->src, loc), ",", "separate them by `,`");
    return;
  }
  for (int i = 0; i < 3; i++) {
    if (!has(n, expected, closing[i])) continue;
    const char *close = arena_printf(p->cx->arena, "%s%c", i == 2 ? "\n" : "", closing[i][1]);
    diag_guess(g, before(p->src, loc), close, "close what is open with %s", closing[i]);
    return;
  }
  if (n == 1 && has(n, expected, "name")) diag_help(g, "a name is letters, digits and `_`, and starts with no digit");
}

// What is expected without the words that are names there, and what is rare.
static int without_words(int n, const char *const *expected, const char **out) {
  static const char *const words[] = {"`def`", "`return`", "`if`", "`where`", "`as`", "`by`"};
  bool name = has(n, expected, "name"), expr = has(n, expected, "number") && has(n, expected, "`(`");
  int kept = 0;
  for (int i = 0; i < n; i++) {
    if (name && has((int)(sizeof words / sizeof *words), words, expected[i])) continue;
    if (expr && strcmp(expected[i], "`..`") == 0) continue;
    out[kept++] = expected[i];
  }
  return kept;
}

void parser_syntax(TeParser *p, Loc loc, const char *got, int nall, const char *const *all) {
  if (p->stop) return;
  const char *expected[80];
  int nexpected = without_words(nall, all, expected);
  if (diags_errors(p->cx->diags) >= TE_MAX_ERRORS) {
    p->stop = true;
    return;
  }
  if (loc_known(p->bad) && loc.line <= p->bad.end_line + 1) return;
  bool end = strcmp(got, "end of file") == 0;
  const char *found = end || !*got ? "the end of the file" : arena_printf(p->cx->arena, "`%s`", te_snippet(p->cx, loc));
  const char *want = expectation(p, nexpected, expected);
  bool semicolon = has(nexpected, expected, "`;`");
  bool starts_line = loc.col == 1 || before(p->src, loc).line < loc.line;
  if (semicolon && (end || starts_line || strcmp(got, "`}`") == 0)) {
    Loc gap = before(p->src, loc);
    Diag *g = diag_report(p->cx->diags, E_SYNTAX, gap, "a `;` is missing before %s", found);
    if (strcmp(got, "`:`") == 0 || strcmp(got, "`[`") == 0)
      diag_help(g, "axes follow the name, and the type follows them: `t[x: 4] : int32`");
    else diag_fix(g, gap, ";", "end the statement here");
    const char *rest = p->src->text + p->src->line_start[gap.line - 1] + gap.col - 1;
    size_t length = strcspn(rest, "\n"), blank = strspn(rest, " ");
    if (!strncmp(rest + blank, "//", 2) && memchr(rest, ';', length)) foreign_help(g, FOREIGN_COMMENT, "//");
    return;
  }
  Diag *g = want ? diag_report(p->cx->diags, E_SYNTAX, loc, "expected %s, found %s", want, found)
                 : diag_report(p->cx->diags, E_SYNTAX, loc, "%s cannot stand here", found);
  bool word = got[0] == '`' && got[1] >= 'a' && got[1] <= 'z' && has(nexpected, expected, "name");
  if (word) diag_help(g, "%s is a word of the language and cannot be a name: choose another", found);
  const char *help = slip_help(p, loc, got, nexpected, expected);
  if (help) diag_help(g, "%s", help);
  Nearest near = {.wanted = te_snippet(p->cx, loc)};
  for (int i = 0; i < nexpected && strcmp(got, "name") == 0; i++) // a word of the language, misspelt
    if (expected[i][0] == '`' && expected[i][1] >= 'a' && expected[i][1] <= 'z')
      nearest_try(&near, arena_printf(p->cx->arena, "%.*s", (int)strlen(expected[i]) - 2, expected[i] + 1));
  if (near.best) diag_nearest(g, loc, &near, "a similar word exists");
  else if (!word && !help) expected_help(p, g, loc, got, nexpected, expected);
}

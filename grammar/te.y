/* SPDX-License-Identifier: Apache-2.0 */
/* The .te language. Actions build the tree of te/internal.h; names, types and shapes are checked later, so that one
   run reports the errors of all kinds. After an error the parser goes on at the next `;` or `}`. */
%require "3.8"
%define api.pure full
%define api.prefix {te_yy}
%define api.token.prefix {TOK_}
%define api.location.type {Loc}
%define parse.error custom
%define parse.lac full
%locations
%param { void *scanner }
%parse-param { TeParser *P }
%expect 0

%code requires {
#include "te/internal.h"
// Nesting of brackets and right-nested operators costs stack symbols: this bounds them all.
#define YYMAXDEPTH 24000
}
%code {
#include "te.tab.h"
#include "te.lex.h"
#include <stdlib.h>
#include <string.h>

#define YYLLOC_DEFAULT(Cur, Rhs, N)                                  \
  do {                                                               \
    if (N) {                                                         \
      (Cur) = loc_join(YYRHSLOC(Rhs, 1), YYRHSLOC(Rhs, N));          \
    } else {                                                         \
      (Cur) = YYRHSLOC(Rhs, 0);                                      \
      (Cur).line = (Cur).end_line;                                   \
      (Cur).col = (Cur).end_col;                                     \
    }                                                                \
  } while (0)

static void te_yyerror(Loc *loc, void *scanner, TeParser *p, const char *msg);
#define ARENA (P->cx->arena)
#define ADD(v, x) VEC_PUSH(ARENA, *(v), x)
#define NAMED(id, at) ((SchedName){.name = (id), .loc = (at)})
}

%union {
  uint64_t integer;
  double number;
  Name name;
  const AstExpr *expr;
  AstExprs *exprs;
  AstAxes *axes;
  AstDecls *decls;
  AstParams *params;
  AstReturn *result;
  SchedArgs *args;
  SchedNames *names;
  SchedStmts *stmts;
  const SchedStmt *stmt;
  TeRole role;
  bool ok;
  SchedName sched_name;
  SchedArg arg;
  AstAxis axis;
  AstPath path;
  AstDecl decl;
  AstParam param;
  AstReduction reduction;
}

%token END 0 "end of file"
%token <name> ID "name"
%token <integer> INT "integer"
%token <number> FLOAT "number"
%token <name> STRING "text in quotes"
%token TARGET "`target`" PARAM "`param`" CONST "`const`" IMPORT "`import`" KERNEL "`kernel`" SCHEDULE "`schedule`"
%token INPUT "`input`" COMPUTE "`compute`" OUTPUT "`output`" KNOB "`knob`" IN "`in`" FOR "`for`"
%token TRUE "`true`" FALSE "`false`" ELSE "`else`" REST "`..`"
// Words only where they stand for something; elsewhere names.
%token <name> DEF "`def`" RETURN "`return`" IF "`if`" WHERE "`where`" AS "`as`" BY "`by`"
%token SHL "`<<`" SHR "`>>`" LE "`<=`" GE "`>=`" EQ "`==`" NE "`!=`" LAND "`&&`" LOR "`||`"
%token '+' "`+`" '-' "`-`" '*' "`*`" '/' "`/`" '%' "`%`" '<' "`<`" '>' "`>`" '=' "`=`" '!' "`!`" '~' "`~`"
%token '&' "`&`" '|' "`|`" '^' "`^`" '?' "`?`" ':' "`:`" ';' "`;`" ',' "`,`" '.' "`.`"
%token '(' "`(`" ')' "`)`" '{' "`{`" '}' "`}`" '[' "`[`" ']' "`]`"

%right '?' ':'
%left LOR
%left LAND
%left '|'
%left '^'
%left '&'
%left EQ NE
%left '<' '>' LE GE
%left SHL SHR
%left '+' '-'
%left '*' '/' '%'
%precedence UNARY

%type <expr> expr called index knob_set value braces brace where_opt by_opt
%type <exprs> exprs indices brace_list
%type <axes> axes raxes axes_opt
%type <axis> axis raxis
%type <decls> decls
%type <decl> decl
%type <params> params params1
%type <param> param
%type <result> result
%type <role> role
%type <ok> semi
%type <name> name plain
%type <path> path
%type <reduction> reduction
%type <sched_name> dtype schedule_name hash
%type <args> args args1
%type <arg> arg
%type <names> names paths
%type <stmts> stmts otherwise
%type <stmt> stmt call chosen

%initial-action { @$ = (Loc){.src = P->src, .line = 1, .col = 1, .end_line = 1, .end_col = 1}; }

%%

file:
  %empty
| file item { if (P->stop) YYABORT; }
;

item:
  TARGET name semi
    { if ($3) ADD(&P->file->items, ((AstItem){.kind = ITEM_TARGET, .name = $2, .loc = loc_join(@1, @2), .name_loc = @2})); }
| PARAM name '=' value
    { ADD(&P->file->items, ((AstItem){.kind = ITEM_PARAM, .name = $2, .loc = loc_join(@1, $4->loc), .name_loc = @2,
                                      .value = $4})); }
| CONST path '=' value // dotted in dumps alone
    { ADD(&P->file->items, ((AstItem){.kind = ITEM_CONST, .name = $2.whole.name, .loc = loc_join(@1, $4->loc), .name_loc = @2,
                                      .value = $4})); }
| CONST path '[' axes_opt ']' ':' dtype '=' braces
    { AstDecls *one = NEW(ARENA, AstDecls);
      ADD(one, parser_decl(TE_CONSTANT, $2.whole, loc_join(@1, $9->loc), &(AxesAt){$4, loc_join(@3, @5)}, $7, $9));
      ADD(&P->file->items, ((AstItem){.kind = ITEM_CONST, .name = $2.whole.name, .loc = loc_join(@1, $9->loc), .name_loc = @2,
                                      .ndecls = 1, .decls = one->data})); }
| IMPORT STRING hash semi
    { if ($4) ADD(&P->file->items, ((AstItem){.kind = ITEM_IMPORT, .name = $2, .loc = loc_join(@1, @2), .name_loc = @2,
                                              .hash = $3.name, .hash_loc = $3.loc})); }
| IMPORT STRING AS name hash semi
    { if ($6) ADD(&P->file->items, ((AstItem){.kind = ITEM_IMPORT, .name = $2, .as = $4, .loc = loc_join(@1, @4),
                                              .name_loc = @2, .hash = $5.name, .hash_loc = $5.loc})); }
| KERNEL name '{' decls '}'
    { parser_kernel(P, @$, NAMED($2, @2), $4); }
| KERNEL name '{' decls error '}'
    { P->kernel_broken = true; parser_kernel(P, @$, NAMED($2, @2), $4); }
| DEF name '(' params ')' '{' decls result '}'
    { parser_def(P, @$, NAMED($2, @2), $4, $7, $8); }
| DEF name '(' params ')' '{' decls error '}'
    { P->kernel_broken = true; parser_def(P, @$, NAMED($2, @2), $4, $7, NULL); }
| SCHEDULE DEF name '(' params ')' '{' stmts '}'
    { parser_part(P, @$, NAMED($3, @3), $5, $8); }
| SCHEDULE DEF name '(' params ')' '{' stmts error '}'
    { parser_part(P, @$, NAMED($3, @3), $5, $8); }
| SCHEDULE name schedule_name '{' stmts '}'
    { parser_schedule(P, @$, NAMED($2, @2), $3, $5); }
| SCHEDULE name schedule_name '{' stmts error '}'
    { parser_schedule(P, @$, NAMED($2, @2), $3, $5); }
| error ';' { P->file->broken = true; }
| error '}' { P->file->broken = true; }
;

name: plain | IF;
plain: ID | DEF | RETURN | WHERE | AS | BY; // these may start a call

path:
  name            { $$ = path_of($1, @1); }
| path '.' name   { $$ = path_add(P, $1, $3, @3); }
| path '.' STRING { $$ = path_add(P, $1, $3, @3); }
;

// An expression and its `;`. Without either, what it defines is still defined, with a value that nobody complains about.
value:
  expr ';'   { $$ = $1; }
| expr error { $$ = ast_bad(P, @1); }
| error ';'  { $$ = ast_bad(P, @1); }
;

hash:
  %empty     { $$ = (SchedName){0}; }
| ':' STRING { $$ = NAMED($2, @2); }
;

semi:
  ';'   { $$ = true; }
| error { $$ = false; }
;

schedule_name:
  %empty { $$ = (SchedName){0}; }
| ':' name { $$ = NAMED($2, @2); }
;

decls:
  %empty { $$ = NEW(ARENA, AstDecls); P->kernel_broken = false; }
| decls decl { $$ = $1; ADD($$, $2); }
| decls error ';' { $$ = $1; P->kernel_broken = true; }
;

decl:
  INPUT path '[' axes_opt ']' ':' dtype semi
    { $$ = parser_decl(TE_INPUT, $2.whole, loc_join(@1, @7), &(AxesAt){$4, loc_join(@3, @5)}, $7, NULL); }
| INPUT path ':' dtype semi
    { $$ = parser_decl(TE_INPUT, $2.whole, loc_join(@1, @4), NULL, $4, NULL); $$.has_axes = true; }
| role path '[' axes_opt ']' ':' dtype '=' value
    { $$ = parser_decl($1, $2.whole, loc_join(@1, $9->loc), &(AxesAt){$4, loc_join(@3, @5)}, $7, $9); }
| role path '[' axes_opt ']' '=' value
    { $$ = parser_decl($1, $2.whole, loc_join(@1, $7->loc), &(AxesAt){$4, loc_join(@3, @5)}, ((SchedName){0}), $7); }
| role paths '=' value
    { $$ = parser_decl($1, $2->data[0], loc_join(@1, $4->loc), NULL, ((SchedName){0}), $4);
      $$.nnames = (int)$2->len; $$.names = $2->data; }
| role path ':' dtype '=' value
    { $$ = parser_decl($1, $2.whole, loc_join(@1, $6->loc), NULL, $4, $6); }
| CONST path '=' value
    { $$ = parser_decl(TE_CONSTANT, $2.whole, loc_join(@1, $4->loc), NULL, ((SchedName){0}), $4); }
| CONST path '[' axes_opt ']' ':' dtype '=' braces
    { $$ = parser_decl(TE_CONSTANT, $2.whole, loc_join(@1, $9->loc), &(AxesAt){$4, loc_join(@3, @5)}, $7, $9); }
;

paths:
  path           { $$ = NEW(ARENA, SchedNames); ADD($$, $1.whole); }
| paths ',' path { $$ = $1; ADD($$, $3.whole); }
;

role:
  COMPUTE { $$ = TE_COMPUTE; }
| OUTPUT  { $$ = TE_OUTPUT; }
;

dtype: name { $$ = NAMED($1, @1); };

// The values of a constant tensor: a list in braces, or an expression of its axes.
braces:
  value
| brace ';'   { $$ = $1; }
| brace error { $$ = ast_bad(P, @1); }
;
brace: '{' brace_list '}' { $$ = ast_list(P, @$, $2); };
brace_list:
  expr                 { $$ = NEW(ARENA, AstExprs); ADD($$, $1); }
| brace                { $$ = NEW(ARENA, AstExprs); ADD($$, $1); }
| brace_list ',' expr  { $$ = $1; ADD($$, $3); if (P->stop) YYABORT; }
| brace_list ',' brace { $$ = $1; ADD($$, $3); if (P->stop) YYABORT; }
;

axes_opt: %empty { $$ = NULL; } | axes;

axes:
  axis          { $$ = NEW(ARENA, AstAxes); ADD($$, $1); }
| axes ',' axis { $$ = $1; ADD($$, $3); }
;

raxis: name ':' expr { $$ = (AstAxis){.name = $1, .extent = $3, .loc = @$, .name_loc = @1}; };
axis:
  raxis
| REST { $$ = (AstAxis){.loc = @1, .name_loc = @1}; }
;

params: %empty { $$ = NEW(ARENA, AstParams); } | params1;
params1:
  param             { $$ = NEW(ARENA, AstParams); ADD($$, $1); }
| params1 ',' param { $$ = $1; ADD($$, $3); }
;

param:
  name          { $$ = (AstParam){.name = $1, .loc = @1, .name_loc = @1}; }
| name '=' expr { $$ = (AstParam){.name = $1, .loc = @$, .name_loc = @1, .value = $3}; }
| name '[' axes_opt ']' ':' dtype
    { $$ = (AstParam){.name = $1, .loc = @$, .name_loc = @1, .has_axes = true, .naxes = $3 ? (int)$3->len : 0,
                      .axes = $3 ? $3->data : NULL, .dtype = $6.name,
                      .dtype_loc = $6.loc}; }
;

result:
  RETURN exprs semi
    { $$ = NEW(ARENA, AstReturn);
      *$$ = (AstReturn){.loc = loc_join(@1, @2), .nitems = (int)$2->len, .items = $2->data}; }
| RETURN '[' axes_opt ']' ':' dtype '=' expr semi
    { AstExprs *one = NEW(ARENA, AstExprs);
      ADD(one, $8);
      $$ = NEW(ARENA, AstReturn);
      *$$ = (AstReturn){.loc = loc_join(@1, @8), .nitems = 1, .items = one->data, .has_axes = true, .naxes = $3 ? (int)$3->len : 0,
                        .axes = $3 ? $3->data : NULL,
                        .axes_loc = loc_join(@2, @4), .dtype = $6.name, .dtype_loc = $6.loc}; }
| RETURN '[' axes_opt ']' '=' expr semi
    { AstExprs *one = NEW(ARENA, AstExprs);
      ADD(one, $6);
      $$ = NEW(ARENA, AstReturn);
      *$$ = (AstReturn){.loc = loc_join(@1, @6), .nitems = 1, .items = one->data, .has_axes = true, .naxes = $3 ? (int)$3->len : 0,
                        .axes = $3 ? $3->data : NULL, .axes_loc = loc_join(@2, @4)}; }
;

stmts:
  %empty            { $$ = NEW(ARENA, SchedStmts); }
| stmts stmt        { $$ = $1; if ($2) ADD($$, $2); if (P->stop) YYABORT; }
| stmts error ';'   { $$ = $1; }
;

stmt:
  call semi { $$ = $2 ? $1 : NULL; }
| KNOB name '=' expr knob_set semi
    { $$ = $6 ? parser_knob(P, loc_join(@1, $5 ? @5 : @4), NAMED($2, @2), $4, $5) : NULL; }
| for_head name IN '(' names ')' '{' stmts '}'
    { P->for_depth--; $$ = parser_for(P, @$, NAMED($2, @2), $5, $8); }
| for_head name IN '(' names ')' '{' stmts error '}'
    { P->for_depth--; $$ = NULL; }
| chosen
| RETURN names semi { $$ = $3 ? parser_return(P, loc_join(@1, @2), $2) : NULL; }
;

chosen:
  if_head '(' expr ')' '{' stmts '}' otherwise { P->for_depth--; $$ = parser_if(P, @$, $3, $6, $8); }
| if_head '(' expr ')' '{' stmts error '}' otherwise { P->for_depth--; $$ = NULL; }
;

otherwise:
  %empty                       { $$ = NULL; }
| ELSE '{' stmts '}'           { $$ = $3; }
| ELSE '{' stmts error '}'     { $$ = $3; }
| ELSE chosen                  { $$ = NEW(ARENA, SchedStmts); if ($2) ADD($$, $2); }
;

if_head: IF { if (++P->for_depth > TE_MAX_FOR_DEPTH) parser_too_deep(P, @1, "`if`"); if (P->stop) YYABORT; };
for_head: FOR { if (++P->for_depth > TE_MAX_FOR_DEPTH) parser_too_deep(P, @1, "`for`"); if (P->stop) YYABORT; };

knob_set:
  %empty             { $$ = NULL; }
| IN '[' exprs ']'   { $$ = ast_list(P, loc_join(@2, @4), $3); }
;

call:
  plain '(' args ')'          { $$ = parser_call(P, @$, NULL, path_of($1, @1), $3); }
| path '.' name '(' args ')'  { $$ = parser_call(P, @$, NULL, path_add(P, $1, $3, @3), $5); }
| path '.' STRING '(' args ')' { $$ = parser_call(P, @$, NULL, path_add(P, $1, $3, @3), $5); }
| names '=' path '(' args ')' { $$ = parser_call(P, @$, $1, $3, $5); }
;

names:
  path           { $$ = NEW(ARENA, SchedNames); ADD($$, $1.whole); }
| names ',' path { $$ = $1; ADD($$, $3.whole); }
;

args:
  %empty { $$ = NEW(ARENA, SchedArgs); }
| args1
;

args1:
  arg           { $$ = NEW(ARENA, SchedArgs); ADD($$, $1); }
| args1 ',' arg { $$ = $1; ADD($$, $3); }
;

arg:
  expr        { $$ = (SchedArg){.loc = @$, .value = $1}; }
| name '=' expr { $$ = (SchedArg){.key = $1, .loc = @$, .value = $3}; }
;

exprs:
  expr           { $$ = NEW(ARENA, AstExprs); ADD($$, $1); }
| exprs ',' expr { $$ = $1; ADD($$, $3); if (P->stop) YYABORT; }
;

indices:
  index             { $$ = NEW(ARENA, AstExprs); ADD($$, $1); }
| indices ',' index { $$ = $1; ADD($$, $3); if (P->stop) YYABORT; }
;
index: expr | REST { $$ = ast_rest(P, @$); };

called: path '(' args ')' { $$ = ast_call(P, @$, $1.whole, $3); };

reduction: raxes by_opt where_opt { $$ = (AstReduction){$1, $2, $3}; };
raxes: // what starts with `..` is an index
  raxis           { $$ = NEW(ARENA, AstAxes); ADD($$, $1); }
| raxes ',' axis { $$ = $1; ADD($$, $3); }
;
by_opt: %empty { $$ = NULL; } | BY expr { $$ = $2; };
where_opt: %empty { $$ = NULL; } | WHERE expr { $$ = $2; };

expr:
  INT       { $$ = ast_int(P, @$, $1); }
| FLOAT     { $$ = ast_float(P, @$, $1); }
| STRING    { $$ = ast_string(P, @$, $1); }
| TRUE      { $$ = ast_bool(P, @$, true); }
| FALSE     { $$ = ast_bool(P, @$, false); }
| path      { $$ = ast_name(P, @$, $1.whole.name); }
| '(' expr ')' { $$ = ast_paren(P, @$, $2); }
| '[' exprs ']' { $$ = ast_list(P, @$, $2); }
| called
| path '[' ']' { $$ = ast_index(P, @$, $1.whole, NULL, NEW(ARENA, AstExprs)); }
| path '[' indices ']' { $$ = ast_index(P, @$, $1.whole, NULL, $3); }
| called '[' indices ']' { $$ = ast_index(P, @$, ((SchedName){0}), $1, $3); }
| path '[' indices ']' '(' exprs ')' { $$ = ast_concat(P, @$, $1.whole, $3, $6); }
| path '[' reduction ']' '(' exprs ')' { $$ = ast_reduce(P, @$, $1.whole, &$3, $6); }
| '-' expr %prec UNARY { $$ = ast_unary(P, @$, UN_NEG, $2); if (P->stop) YYABORT; }
| '!' expr %prec UNARY { $$ = ast_unary(P, @$, UN_NOT, $2); if (P->stop) YYABORT; }
| '~' expr %prec UNARY { $$ = ast_unary(P, @$, UN_BITNOT, $2); if (P->stop) YYABORT; }
| expr '+' expr  { $$ = ast_binary(P, @$, OP_ADD, $1, $3); if (P->stop) YYABORT; }
| expr '-' expr  { $$ = ast_binary(P, @$, OP_SUB, $1, $3); if (P->stop) YYABORT; }
| expr '*' expr  { $$ = ast_binary(P, @$, OP_MUL, $1, $3); if (P->stop) YYABORT; }
| expr '/' expr  { $$ = ast_binary(P, @$, OP_DIV, $1, $3); if (P->stop) YYABORT; }
| expr '%' expr  { $$ = ast_binary(P, @$, OP_MOD, $1, $3); if (P->stop) YYABORT; }
| expr SHL expr  { $$ = ast_binary(P, @$, OP_SHL, $1, $3); if (P->stop) YYABORT; }
| expr SHR expr  { $$ = ast_binary(P, @$, OP_SHR, $1, $3); if (P->stop) YYABORT; }
| expr '<' expr  { $$ = ast_binary(P, @$, OP_LT, $1, $3); if (P->stop) YYABORT; }
| expr LE expr   { $$ = ast_binary(P, @$, OP_LE, $1, $3); if (P->stop) YYABORT; }
| expr '>' expr  { $$ = ast_binary(P, @$, OP_GT, $1, $3); if (P->stop) YYABORT; }
| expr GE expr   { $$ = ast_binary(P, @$, OP_GE, $1, $3); if (P->stop) YYABORT; }
| expr EQ expr   { $$ = ast_binary(P, @$, OP_EQ, $1, $3); if (P->stop) YYABORT; }
| expr NE expr   { $$ = ast_binary(P, @$, OP_NE, $1, $3); if (P->stop) YYABORT; }
| expr '&' expr  { $$ = ast_binary(P, @$, OP_AND, $1, $3); if (P->stop) YYABORT; }
| expr '^' expr  { $$ = ast_binary(P, @$, OP_XOR, $1, $3); if (P->stop) YYABORT; }
| expr '|' expr  { $$ = ast_binary(P, @$, OP_OR, $1, $3); if (P->stop) YYABORT; }
| expr LAND expr { $$ = ast_binary(P, @$, OP_LAND, $1, $3); if (P->stop) YYABORT; }
| expr LOR expr  { $$ = ast_binary(P, @$, OP_LOR, $1, $3); if (P->stop) YYABORT; }
| expr '?' expr ':' expr { $$ = ast_select(P, @$, $1, $3, $5); if (P->stop) YYABORT; }
;

%%

// Bison calls this only when its stack is full.
static void te_yyerror(Loc *loc, void *scanner, TeParser *p, const char *msg) {
  (void)scanner;
  (void)msg;
  parser_too_deep(p, *loc, "the nesting of brackets and operators");
}

// Reports a token that cannot stand where it does, with what could.
static int yyreport_syntax_error(const yypcontext_t *context, void *scanner, TeParser *p) {
  (void)scanner;
  enum { MAX = 64 };
  yysymbol_kind_t expected[MAX];
  const char *names[MAX];
  int n = yypcontext_expected_tokens(context, expected, MAX);
  for (int i = 0; i < n; i++) names[i] = yysymbol_name(expected[i]);
  yysymbol_kind_t got = yypcontext_token(context);
  parser_syntax(p, *yypcontext_location(context), got == YYSYMBOL_YYEMPTY ? "" : yysymbol_name(got), n, names);
  return 0;
}

int te_parse_run(TeParser *p) {
  yyscan_t scanner;
  if (te_yylex_init_extra(p, &scanner)) return 2;
  te_yy_scan_bytes(p->src->text, (int)p->src->len, scanner);
  int status = te_yyparse(scanner, p);
  te_yylex_destroy(scanner);
  return status;
}

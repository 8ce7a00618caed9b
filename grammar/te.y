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
  SchedArgs *args;
  SchedNames *names;
  SchedStmts *stmts;
  const SchedStmt *stmt;
  TeRole role;
  bool ok;
  struct {
    Name name;
    Loc loc;
  } dtype;
  SchedName sched_name;
  SchedArg arg;
  AstAxis axis;
}

%token END 0 "end of file"
%token <name> ID "name"
%token <integer> INT "integer"
%token <number> FLOAT "number"
%token <name> STRING "text in quotes"
%token TARGET "`target`" PARAM "`param`" CONST "`const`" IMPORT "`import`" KERNEL "`kernel`" SCHEDULE "`schedule`"
%token INPUT "`input`" COMPUTE "`compute`" OUTPUT "`output`" KNOB "`knob`" IN "`in`" FOR "`for`"
%token TRUE "`true`" FALSE "`false`"
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

%type <expr> expr knob_set value
%type <exprs> exprs
%type <axes> axes
%type <axis> axis
%type <decls> decls
%type <role> role
%type <ok> semi
%type <dtype> dtype
%type <args> args args1
%type <arg> arg
%type <names> names
%type <stmts> stmts
%type <stmt> stmt call
%type <sched_name> schedule_name

%initial-action { @$ = (Loc){.src = P->src, .line = 1, .col = 1, .end_line = 1, .end_col = 1}; }

%%

file:
  %empty
| file item { if (P->stop) YYABORT; }
;

item:
  TARGET ID semi
    { if ($3) ADD(&P->file->items, ((AstItem){.kind = ITEM_TARGET, .name = $2, .loc = loc_join(@1, @2), .name_loc = @2})); }
| PARAM ID '=' value
    { ADD(&P->file->items, ((AstItem){.kind = ITEM_PARAM, .name = $2, .loc = loc_join(@1, $4->loc), .name_loc = @2,
                                      .value = $4})); }
| CONST ID '=' value
    { ADD(&P->file->items, ((AstItem){.kind = ITEM_CONST, .name = $2, .loc = loc_join(@1, $4->loc), .name_loc = @2,
                                      .value = $4})); }
| IMPORT STRING semi
    { if ($3) ADD(&P->file->items, ((AstItem){.kind = ITEM_IMPORT, .name = $2, .loc = loc_join(@1, @2), .name_loc = @2})); }
| KERNEL ID '{' decls '}'
    { parser_kernel(P, @$, NAMED($2, @2), $4); }
| KERNEL ID '{' decls error '}'
    { P->kernel_broken = true; parser_kernel(P, @$, NAMED($2, @2), $4); }
| SCHEDULE ID schedule_name '{' stmts '}'
    { parser_schedule(P, @$, NAMED($2, @2), $3, $5); }
| SCHEDULE ID schedule_name '{' stmts error '}'
    { parser_schedule(P, @$, NAMED($2, @2), $3, $5); }
| error ';' { P->file->broken = true; }
| error '}' { P->file->broken = true; }
;

// An expression and its `;`. Without either, what it defines is still defined, with a value that nobody complains about.
value:
  expr ';'   { $$ = $1; }
| expr error { $$ = ast_bad(P, @1); }
| error ';'  { $$ = ast_bad(P, @1); }
;

semi:
  ';'   { $$ = true; }
| error { $$ = false; }
;

schedule_name:
  %empty { $$ = (SchedName){0}; }
| ':' ID { $$ = NAMED($2, @2); }
;

decls:
  %empty { $$ = NEW(ARENA, AstDecls); P->kernel_broken = false; }
| decls INPUT ID '[' axes ']' ':' dtype semi
    { $$ = $1;
      ADD($$, ((AstDecl){.role = TE_INPUT, .name = $3, .loc = loc_join(@2, $8.loc), .name_loc = @3, .naxes = (int)$5->len,
                         .axes = $5->data, .axes_loc = loc_join(@4, @6), .dtype = $8.name, .dtype_loc = $8.loc})); }
| decls role ID '[' axes ']' ':' dtype '=' value
    { $$ = $1;
      ADD($$, ((AstDecl){.role = $2, .name = $3, .loc = loc_join(@2, $10->loc), .name_loc = @3, .naxes = (int)$5->len,
                         .axes = $5->data, .axes_loc = loc_join(@4, @6), .dtype = $8.name, .dtype_loc = $8.loc,
                         .body = $10})); }
| decls role ID '=' value
    { $$ = $1;
      ADD($$, ((AstDecl){.role = $2, .name = $3, .loc = loc_join(@2, $5->loc), .name_loc = @3, .body = $5})); }
| decls role ID ':' dtype '=' value
    { $$ = $1;
      ADD($$, ((AstDecl){.role = $2, .name = $3, .loc = loc_join(@2, $7->loc), .name_loc = @3, .dtype = $5.name,
                         .dtype_loc = $5.loc, .body = $7})); }
| decls error ';' { $$ = $1; P->kernel_broken = true; }
;

role:
  COMPUTE { $$ = TE_COMPUTE; }
| OUTPUT  { $$ = TE_OUTPUT; }
;

dtype: ID { $$.name = $1; $$.loc = @1; };

axes:
  axis          { $$ = NEW(ARENA, AstAxes); ADD($$, $1); }
| axes ',' axis { $$ = $1; ADD($$, $3); }
;

axis: ID ':' expr { $$ = (AstAxis){.name = $1, .extent = $3, .loc = @$, .name_loc = @1}; };

stmts:
  %empty            { $$ = NEW(ARENA, SchedStmts); }
| stmts stmt        { $$ = $1; if ($2) ADD($$, $2); if (P->stop) YYABORT; }
| stmts error ';'   { $$ = $1; }
;

stmt:
  call semi { $$ = $2 ? $1 : NULL; }
| KNOB ID '=' expr knob_set semi
    { $$ = $6 ? parser_knob(P, loc_join(@1, $5 ? @5 : @4), NAMED($2, @2), $4, $5) : NULL; }
| for_head ID IN '(' names ')' '{' stmts '}'
    { P->for_depth--; $$ = parser_for(P, @$, NAMED($2, @2), $5, $8); }
| for_head ID IN '(' names ')' '{' stmts error '}'
    { P->for_depth--; $$ = NULL; }
;

for_head: FOR { if (++P->for_depth > TE_MAX_FOR_DEPTH) parser_too_deep(P, @1, "`for`"); if (P->stop) YYABORT; };

knob_set:
  %empty             { $$ = NULL; }
| IN '[' exprs ']'   { $$ = ast_list(P, loc_join(@2, @4), $3); }
;

call:
  ID '.' ID '(' args ')'
    { $$ = parser_call(P, @$, NULL, NAMED($1, @1), NAMED($3, @3), $5); }
| names '=' ID '.' ID '(' args ')'
    { $$ = parser_call(P, @$, $1, NAMED($3, @3), NAMED($5, @5), $7); }
;

names:
  ID           { $$ = NEW(ARENA, SchedNames); ADD($$, NAMED($1, @1)); }
| names ',' ID { $$ = $1; ADD($$, NAMED($3, @3)); }
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
| ID '=' expr { $$ = (SchedArg){.key = $1, .loc = @$, .value = $3}; }
;

exprs:
  expr           { $$ = NEW(ARENA, AstExprs); ADD($$, $1); }
| exprs ',' expr { $$ = $1; ADD($$, $3); if (P->stop) YYABORT; }
;

expr:
  INT       { $$ = ast_int(P, @$, $1); }
| FLOAT     { $$ = ast_float(P, @$, $1); }
| STRING    { $$ = ast_string(P, @$, $1); }
| TRUE      { $$ = ast_bool(P, @$, true); }
| FALSE     { $$ = ast_bool(P, @$, false); }
| ID        { $$ = ast_name(P, @$, $1); }
| ID '.' ID { $$ = ast_dotted(P, @$, $1, $3); }
| '(' expr ')' { $$ = ast_paren(P, @$, $2); }
| '[' exprs ']' { $$ = ast_list(P, @$, $2); }
| ID '(' exprs ')' { $$ = ast_named(P, @$, AD_CALL, NAMED($1, @1), $3, NULL); }
| ID '[' exprs ']' { $$ = ast_named(P, @$, AD_INDEX, NAMED($1, @1), $3, NULL); }
| ID '[' axes ']' '(' expr ')'
    { AstExprs *body = NEW(ARENA, AstExprs);
      ADD(body, $6);
      $$ = ast_named(P, @$, AD_REDUCE, NAMED($1, @1), body, $3); }
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

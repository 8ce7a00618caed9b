/* SPDX-License-Identifier: Apache-2.0
   The TIR text (docs/tir.md). Actions are in src/tir/parse.c. */
%require "3.8"
%define api.pure full
%define api.prefix {tir_yy}
%define api.token.prefix {TOK_}
%define api.location.type {Loc}
%define parse.error custom
%define parse.lac full
%locations
%param { void *scanner }
%parse-param { TirParser *P }
%expect 0

%code requires {
#include "tir/parse.h"
}
%code {
#include "tir.tab.h"
#include "tir.lex.h"
#define YYLLOC_DEFAULT(Cur, Rhs, N)                                                     \
  do {                                                                                  \
    if (N) (Cur) = loc_join(YYRHSLOC(Rhs, 1), YYRHSLOC(Rhs, N));                        \
    else (Cur) = YYRHSLOC(Rhs, 0);                                                      \
  } while (0)
static void tir_yyerror(Loc *l, void *scanner, TirParser *P, const char *m);
}

%union {
  Name name;
  int number;
  int64_t wide;
  Loc loc;
  ParsedExpr expr;
  ParsedArgs *args;
  ParsedOperand *operand;
  ParsedOperands *operands;
  ParsedPlace *place;
  ParsedBlock block;
  ParsedStmt stmt;
  ParsedRange *range;
  Buffer *buffer;
}

%token END 0 "end of file"
%token <expr> LITERAL "number"
%token <name> NAME "name" DOTTED "intrinsic" SCOPE "memory" BYTES "bytes in quotes"
%token <loc> PLACE "place"
%token <number> DTYPE "type" MATH "function" MINMAX "`min` or `max`" BOOL "`true` or `false`" FORKIND "kind of loop"
%token FUNC "`func`" TARGET "`target`" FOR "`for`" IN "`in`" IF "`if`" ELSE "`else`" ALLOC "`alloc`" INPUT "`input`"
%token OUTPUT "`output`" CONST "`const`" OF "`of`" BY "`by`" BASE "`base`"
%token TO "`..`" PLUS_EXTENT "`..+`" LAND "`&&`" LOR "`||`" EQ "`==`" NE "`!=`" LE "`<=`" GE "`>=`" SHL "`<<`" SHR "`>>`"
%token JUNK "unknown character"

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

%type <expr> expr
%type <args> args
%type <operand> operand value
%type <operands> call operands operands_opt
%type <place> place
%type <block> open
%type <stmt> block stmt if_stmt
%type <range> range
%type <number> for_kind role
%type <name> callee word scope_opt of_opt target_opt
%type <wide> base_opt
%type <buffer> buffer

%%

unit:
  func END
| error END
;

func:
  "`func`" NAME '(' params_opt ')' target_opt place
    { parse_header(P, $NAME, $target_opt, *$place, @NAME, @target_opt); }
  block { parse_func(P, $block); }
;

target_opt: %empty { $$ = NULL; } | "`target`" NAME { $$ = $2; };

params_opt: %empty | params;
params: param | params ',' param;
param:
  buffer role place { parse_param(P, $buffer, $role ? BUF_OUTPUT : BUF_INPUT, *$place, @buffer); }
| buffer "`const`" BYTES place { parse_const(P, $buffer, $BYTES, *$place, @buffer); }
;
role: "`input`" { $$ = 0; } | "`output`" { $$ = 1; };

buffer:
  NAME ':' DTYPE '[' { P->dims.len = 0; } dims_opt ']' scope_opt base_opt of_opt
    { $$ = parse_buffer(P, $NAME, (DType)$DTYPE, $scope_opt, $base_opt, $of_opt, @NAME, @scope_opt); }
;
dims_opt: %empty | dims;
dims: expr { parse_dim(P, $1, @1); } | dims ',' expr { parse_dim(P, $3, @3); };
scope_opt: %empty { $$ = NULL; } | SCOPE { $$ = $1; };
base_opt: %empty { $$ = -1; } | "`base`" '=' expr { $$ = parse_number(P, $3, @3); };
of_opt: %empty { $$ = NULL; } | "`of`" NAME { $$ = $2; } | "`of`" DOTTED { $$ = $2; };

place:
  %empty { $$ = parse_no_place(P); }
| PLACE { $$ = parse_place(P, $1, (Loc){0}); }
| PLACE "`by`" PLACE { $$ = parse_place(P, $1, $3); }
;

block:
  open stmts '}' { $$ = parse_close(P, $1); }
| open stmts error '}' { yyerrok; parse_recover(P); $$ = parse_close(P, $1); }
;
open: '{' { $$ = parse_mark(P); };

stmts:
  %empty
| stmts stmt { parse_add(P, $2); }
| stmts "`alloc`" buffer place ';' { parse_alloc(P, $buffer, *$place, loc_join(@2, @5)); }
| stmts error ';' { yyerrok; parse_recover(P); if (parse_hopeless(P)) YYABORT; }
;

stmt:
  NAME '[' args ']' '=' expr place ';' { $$ = parse_store(P, $1, $args, $expr, *$place, loc_join(@1, @6), @1); }
| callee call place ';' { $$ = parse_intrin(P, $1, $2, *$place, NULL, loc_join(@1, @2), @1); }
| callee call place block { $$ = parse_intrin(P, $1, $2, *$place, &$block, loc_join(@1, @2), @1); }
| for_kind NAME "`in`" range place
    <block>{ $$ = parse_mark(P); parse_bind(P, $NAME, tir_var(P->cx, $NAME, @NAME), NULL); }
  block { $$ = parse_for(P, (ForKind)$1, $6, $range, *$place, $block, loc_join(@1, @4)); }
| if_stmt
| block
;

if_stmt:
  "`if`" '(' expr ')' place block { $$ = parse_if(P, $expr, *$place, $block, NULL, loc_join(@1, @4)); }
| "`if`" '(' expr ')' place block "`else`" block[b] { $$ = parse_if(P, $expr, *$place, $6, &$b, loc_join(@1, @4)); }
| "`if`" '(' expr ')' place block "`else`" if_stmt[b] { $$ = parse_if(P, $expr, *$place, $6, &$b, loc_join(@1, @4)); }
;

callee: NAME | DOTTED;
for_kind: "`for`" { $$ = FOR_SERIAL; } | FORKIND "`for`" { $$ = $1; };
range:
  expr "`..`" expr { $$ = parse_range(P, $1, $3, false, @$); }
| expr "`..+`" expr { $$ = parse_range(P, $1, $3, true, @$); }
;

call: '(' { P->in_operands = true; } operands_opt ')' { $$ = parse_operands_end(P, $operands_opt); };
operands_opt: %empty { $$ = parse_operands(P, NULL, NULL); } | operands;
operands:
  operand { $$ = parse_operands(P, NULL, $1); }
| operands ',' operand { $$ = parse_operands(P, $1, $3); }
;
operand: value | NAME '=' value { $$ = parse_named(P, $1, $3, @$); };
value:
  expr { $$ = parse_value(P, $1, @$); }
| word { $$ = parse_word_value(P, $1, @$); }
| '(' expr ',' args ')' { $$ = parse_group(P, $2, $4, @$); }
;
word: MINMAX { $$ = name_of(P->cx->names, binop_text((BinOp)$1)); } | MATH { $$ = name_of(P->cx->names, math_name((MathFn)$1)); };

args:
  expr { $$ = parse_args(P, NULL, $1); }
| args ',' expr { $$ = parse_args(P, $1, $3); }
;

expr:
  LITERAL
| BOOL { $$ = parse_bool(P, $1, @1); }
| NAME { $$ = parse_name(P, $1, @1); }
| NAME '[' args ']' { $$ = parse_access(P, EXPR_LOAD, $1, $args, @$, @1); }
| '&' NAME '[' args ']' %prec UNARY { $$ = parse_access(P, EXPR_REF, $2, $args, @$, @2); }
| DTYPE '(' expr ')' { $$ = parse_cast(P, (DType)$1, $3, @$); }
| MATH '(' args ')' { $$ = parse_call(P, (MathFn)$1, $args, @$); }
| MINMAX '(' args ')' { $$ = parse_minmax(P, (BinOp)$1, $args, @$); }
| '(' expr ')' { $$ = parse_paren(P, $2); }
| '-' expr %prec UNARY { $$ = parse_unary(P, UN_NEG, $2, @$); }
| '!' expr %prec UNARY { $$ = parse_unary(P, UN_NOT, $2, @$); }
| '~' expr %prec UNARY { $$ = parse_unary(P, UN_BITNOT, $2, @$); }
| expr '+' expr { $$ = parse_binary(P, OP_ADD, $1, $3, @$); }
| expr '-' expr { $$ = parse_binary(P, OP_SUB, $1, $3, @$); }
| expr '*' expr { $$ = parse_binary(P, OP_MUL, $1, $3, @$); }
| expr '/' expr { $$ = parse_binary(P, OP_DIV, $1, $3, @$); }
| expr '%' expr { $$ = parse_binary(P, OP_MOD, $1, $3, @$); }
| expr SHL expr { $$ = parse_binary(P, OP_SHL, $1, $3, @$); }
| expr SHR expr { $$ = parse_binary(P, OP_SHR, $1, $3, @$); }
| expr '&' expr { $$ = parse_binary(P, OP_AND, $1, $3, @$); }
| expr '^' expr { $$ = parse_binary(P, OP_XOR, $1, $3, @$); }
| expr '|' expr { $$ = parse_binary(P, OP_OR, $1, $3, @$); }
| expr '<' expr { $$ = parse_binary(P, OP_LT, $1, $3, @$); }
| expr LE expr { $$ = parse_binary(P, OP_LE, $1, $3, @$); }
| expr '>' expr { $$ = parse_binary(P, OP_GT, $1, $3, @$); }
| expr GE expr { $$ = parse_binary(P, OP_GE, $1, $3, @$); }
| expr EQ expr { $$ = parse_binary(P, OP_EQ, $1, $3, @$); }
| expr NE expr { $$ = parse_binary(P, OP_NE, $1, $3, @$); }
| expr LAND expr { $$ = parse_binary(P, OP_LAND, $1, $3, @$); }
| expr LOR expr { $$ = parse_binary(P, OP_LOR, $1, $3, @$); }
| expr '?' expr ':' expr { $$ = parse_select(P, $1, $3, $5, @$); }
;

%%

// Names what was found and, if they are few, what could stand there.
static int yyreport_syntax_error(const yypcontext_t *ctx, void *scanner, TirParser *P) {
  (void)scanner;
  enum { MOST = 5 };
  yysymbol_kind_t expected[MOST], found = yypcontext_token(ctx);
  if (found == YYSYMBOL_JUNK) return 0; // the lexer said so
  int n = yypcontext_expected_tokens(ctx, expected, MOST);
  Text t = {.arena = P->cx->arena};
  for (int i = 0; i < n; i++) {
    const char *name = yysymbol_name(expected[i]);
    text_add(&t, "%s%s%s%s", i == 0 ? ", expected " : i + 1 == n ? " or " : ", ", *name == '\'' ? "`" : "",
             *name == '\'' ? (char[]){name[1], '`', 0} : name, "");
  }
  const char *what = found == YYSYMBOL_YYEMPTY ? "nothing" : yysymbol_name(found);
  Diag *g = diag_report(P->cx->diags, E_SYNTAX, *yypcontext_location(ctx), "unexpected %s%s%s%s",
                        *what == '\'' ? "`" : "", *what == '\'' ? (char[]){what[1], '`', 0} : what, "",
                        t.data ? t.data : "");
  diag_here(g, "this does not belong here");
  if (found == YYSYMBOL_FUNC) diag_help(g, "a text holds one function: `tetc compile --kernel=NAME` writes that of one kernel");
  return 0;
}

// Only called when the parser's stack is full.
static void tir_yyerror(Loc *l, void *scanner, TirParser *P, const char *m) {
  (void)scanner, (void)m;
  diag_report(P->cx->diags, E_TOO_DEEP, *l, "this is nested too deeply");
}

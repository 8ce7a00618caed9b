// SPDX-License-Identifier: Apache-2.0
// Between the generated lexer and parser (grammar/tir.l, tir.y) and the actions in parse.c.
#ifndef TETC_TIR_PARSE_H
#define TETC_TIR_PARSE_H

#include "tir/internal.h"

// An expression while it is read. A bad one was reported; nothing more is said about it.
typedef struct ParsedExpr {
  const Expr *e;
  int depth;
  bool bare; // a literal without parentheses: a minus in front makes a negative literal of it
  bool bad;
  Name word; // it is this name alone, which may be the word of an operand
} ParsedExpr;

typedef struct ParsedArgs {
  VEC(const Expr *) list;
  int depth;
  bool bad;
} ParsedArgs;

// An operand of an intrinsic. Whether a name alone in it is a word is known when all of them are there.
typedef struct ParsedOperand {
  Name name; // NULL: by place
  Loc loc;
  Name word;        // it is this name alone; NULL: it is none
  ParsedArgs *args; // its arguments
} ParsedOperand;

// A name in an operand that means nothing here, unless it is a word.
typedef struct UnknownName {
  Name name;
  Loc loc;
  bool buffer; // it is a buffer without indices
} UnknownName;
typedef VEC(UnknownName) UnknownNames;

typedef struct ParsedOperands {
  VEC(ParsedOperand *) list;
  UnknownNames unknowns; // once all are read
} ParsedOperands;

typedef struct ParsedPlace {
  Loc loc, why;
  bool given; // some place was written
} ParsedPlace;

// One statement of an open block; `alloc` is set for an allocation, whose body is what follows it.
typedef struct BlockItem {
  const Stmt *stmt;
  const Buffer *alloc;
  Loc loc, why;
  int depth;
} BlockItem;

// What a name means, and what it meant outside.
typedef struct Symbol {
  Name name;
  const Var *var;
  const Buffer *buffer;
  int64_t outer; // index of the symbol it hides; -1
} Symbol;

typedef struct TirParser {
  Ctx *cx;
  const Source *src;
  const TirTarget *target; // what `target NAME` may name
  const char *line_start;  // the lexer's place
  const char *text;
  uint32_t line;
  PtrMap words; // Name of a word to token << 8 | value
  PtrMap scope; // Name to index in symbols, -1 once out of scope
  PtrMap paths; // Name of a path to its Source
  VEC(Symbol) symbols;
  VEC(BlockItem) items;
  VEC(const Buffer *) params, consts;
  VEC(int64_t) dims;
  int block_depth;
  bool in_operands;      // of an intrinsic
  UnknownNames unknowns; // in them
  Func *func;
} TirParser;

typedef struct ParsedBlock {
  size_t items, symbols; // how many there were when it opened
} ParsedBlock;

typedef struct ParsedStmt {
  const Stmt *s;
  int depth;
} ParsedStmt;

typedef struct ParsedRange {
  ParsedExpr min, extent;
} ParsedRange;

bool tir_scan(TirParser *p); // in grammar/tir.l

/* parse.c, for parse_operands.c */
ParsedExpr parse_bad_expr(TirParser *p);
ParsedStmt parse_no_stmt(TirParser *p);
ParsedStmt parse_good_stmt(TirParser *p, const Stmt *s, int depth, Loc loc); // checks the depth
Loc parse_place_or(ParsedPlace at, Loc here);                                // the place that was written, else here
const Expr *parse_placed(TirParser *p, const Expr *e, ParsedPlace at);       // e with the place that was written

/* lexer's helpers */
int64_t parse_word(TirParser *p, const char *text, size_t len, Name *name); // 0: a name
ParsedExpr parse_integer(TirParser *p, const char *text, Loc loc);
ParsedExpr parse_float(TirParser *p, const char *text, Loc loc);
ParsedExpr parse_special(TirParser *p, const char *text, Loc loc); // inf_f32, nan_f32_...
Loc parse_location(TirParser *p, const char *text);
/* expressions */
ParsedExpr parse_name(TirParser *p, Name name, Loc loc);
ParsedExpr parse_bool(TirParser *p, bool v, Loc loc);
ParsedExpr parse_paren(TirParser *p, ParsedExpr a);
ParsedExpr parse_unary(TirParser *p, UnOp op, ParsedExpr a, Loc loc);
ParsedExpr parse_binary(TirParser *p, BinOp op, ParsedExpr a, ParsedExpr b, Loc loc);
ParsedExpr parse_select(TirParser *p, ParsedExpr c, ParsedExpr a, ParsedExpr b, Loc loc);
ParsedExpr parse_cast(TirParser *p, DType t, ParsedExpr a, Loc loc);
ParsedExpr parse_call(TirParser *p, MathFn f, ParsedArgs *args, Loc loc);
ParsedExpr parse_minmax(TirParser *p, BinOp op, ParsedArgs *args, Loc loc);
ParsedExpr parse_access(TirParser *p, ExprKind kind, Name name, ParsedArgs *args, Loc loc, Loc name_loc);
ParsedArgs *parse_args(TirParser *p, ParsedArgs *args, ParsedExpr e); // args NULL: a new list
/* statements */
ParsedStmt parse_close(TirParser *p, ParsedBlock b);
void parse_add(TirParser *p, ParsedStmt s);
ParsedPlace *parse_place(TirParser *p, Loc loc, Loc why);
ParsedPlace *parse_no_place(TirParser *p);
void parse_bind(TirParser *p, Name name, const Var *v, const Buffer *b);
ParsedStmt parse_store(TirParser *p, Name name, ParsedArgs *args, ParsedExpr value, ParsedPlace at, Loc loc,
                       Loc name_loc);
ParsedBlock parse_mark(TirParser *p);
ParsedStmt parse_for(TirParser *p, ForKind kind, ParsedBlock mark, ParsedRange *r, ParsedPlace at, ParsedStmt body,
                     Loc loc);
ParsedStmt parse_if(TirParser *p, ParsedExpr cond, ParsedPlace at, ParsedStmt then, const ParsedStmt *otherwise,
                    Loc loc);
/* operands of intrinsics: parse_operands.c */
void parse_report_unknown(TirParser *p, const UnknownName *u);
ParsedOperand *parse_value(TirParser *p, ParsedExpr e, Loc loc);
ParsedOperand *parse_word_value(TirParser *p, Name word, Loc loc);
ParsedOperand *parse_group(TirParser *p, ParsedExpr first, const ParsedArgs *rest, Loc loc);
ParsedOperand *parse_named(TirParser *p, Name name, ParsedOperand *o, Loc loc);
ParsedOperands *parse_operands(TirParser *p, ParsedOperands *list,
                               ParsedOperand *o); // list NULL: a new one; o NULL: none
ParsedOperands *parse_operands_end(TirParser *p, ParsedOperands *list);
ParsedStmt parse_intrin(TirParser *p, Name name, ParsedOperands *operands, ParsedPlace at, const ParsedStmt *body,
                        Loc loc, Loc name_loc);
/* statements and the function */
void parse_alloc(TirParser *p, Buffer *b, ParsedPlace at, Loc loc);
ParsedRange *parse_range(TirParser *p, ParsedExpr a, ParsedExpr b, bool is_extent, Loc loc);

Buffer *parse_buffer(TirParser *p, Name name, DType t, Name scope, int64_t base, Name stage, Loc loc, Loc scope_loc);
void parse_dim(TirParser *p, ParsedExpr e, Loc loc);
int64_t parse_number(TirParser *p, ParsedExpr e, Loc loc); // of `base=`
void parse_param(TirParser *p, Buffer *b, BufferRole role, ParsedPlace at, Loc loc);
void parse_const(TirParser *p, Buffer *b, Name text, ParsedPlace at, Loc loc); // text: its bytes in hexadecimal digits
void parse_header(TirParser *p, Name name, Name target, ParsedPlace at, Loc loc, Loc target_loc);
void parse_func(TirParser *p, ParsedStmt body);
void parse_recover(TirParser *p);        // after a syntax error
bool parse_hopeless(const TirParser *p); // so many errors that reading on helps nobody

#endif

// SPDX-License-Identifier: Apache-2.0
// te, inside: the syntax tree between the grammar and the checks, and what the files of the room share.
#ifndef TETC_TE_INTERNAL_H
#define TETC_TE_INTERNAL_H

#include "te/te.h"

// Trees deeper than this are refused while parsing (E0003), so that every later walk may recurse: 4000 levels of the
// largest frame here stay far below the usual 8 MB stack, sanitizers included.
#define TE_MAX_DEPTH 4000
#define TE_MAX_FOR_DEPTH 32
#define TE_MAX_IMPORT_DEPTH 64
#define TE_MAX_AXES 32
// After so many errors a run stops looking for more: nobody reads them, and suggestions for names cost time.
#define TE_MAX_ERRORS 300

// ---- syntax ----------------------------------------------------------------------------------------------------

typedef struct AstAxis {
  Name name;
  const AstExpr *extent;
  Loc loc, name_loc;
} AstAxis;

typedef enum AstDetailKind {
  AD_FLOAT,  // number
  AD_BIG,    // big: an integer literal from 2^63 to 2^64 - 1
  AD_BOOL,   // big is 0 or 1
  AD_CALL,   // name(args): a cast, min, max, clamp or a math function
  AD_INDEX,  // name[args]
  AD_REDUCE, // name[axes](args[0])
  AD_BAD     // a syntax error stood here, and has been reported
} AstDetailKind;

// What hangs on an AST_OTHER's `detail`.
typedef struct AstDetail {
  AstDetailKind kind;
  double number;
  uint64_t big;
  Name name;
  Loc name_loc;
  int nargs;
  const AstExpr **args;
  int naxes;
  const AstAxis *axes;
} AstDetail;

static inline const AstDetail *ast_detail(const AstExpr *e) { return e->detail; }

typedef struct AstDecl {
  TeRole role;
  Name name;
  Loc loc, name_loc;
  int naxes; // 0: the pointwise shorthand
  const AstAxis *axes;
  Loc axes_loc; // with the brackets
  Name dtype;   // NULL: not written
  Loc dtype_loc;
  const AstExpr *body; // NULL for an input
} AstDecl;

typedef enum AstItemKind { ITEM_TARGET, ITEM_PARAM, ITEM_CONST, ITEM_IMPORT, ITEM_KERNEL, ITEM_SCHEDULE } AstItemKind;

typedef struct AstItem {
  AstItemKind kind;
  Name name; // ITEM_IMPORT: the path as written
  Loc loc, name_loc;
  const AstExpr *value; // ITEM_PARAM ITEM_CONST
  int ndecls;           // ITEM_KERNEL
  const AstDecl *decls;
  bool broken;          // ITEM_KERNEL: a declaration was lost to a syntax error
  const TeSchedule *schedule;
} AstItem;

typedef VEC(const AstExpr *) AstExprs;
typedef VEC(AstAxis) AstAxes;
typedef VEC(AstDecl) AstDecls;
typedef VEC(AstItem) AstItems;
typedef VEC(SchedArg) SchedArgs;
typedef VEC(SchedName) SchedNames;
typedef VEC(const SchedStmt *) SchedStmts;

typedef struct AstFile {
  const Source *src;
  AstItems items;
  bool broken; // an item was lost to a syntax error
} AstFile;

// What the lexer and the grammar's actions carry.
typedef struct TeParser {
  Ctx *cx;
  const Source *src;
  AstFile *file;
  uint32_t line, col; // where the next token starts
  int for_depth;
  bool stop;          // a limit was passed; parsing ends without more messages
  Loc bad;            // the last character that is none, so that the parser need not complain again
  bool kernel_broken; // a declaration of the current kernel was lost
} TeParser;

// grammar.c: what the grammar's actions call.
const AstExpr *ast_int(TeParser *p, Loc loc, uint64_t value);
const AstExpr *ast_float(TeParser *p, Loc loc, double number);
const AstExpr *ast_bool(TeParser *p, Loc loc, bool value);
const AstExpr *ast_name(TeParser *p, Loc loc, Name name);
const AstExpr *ast_dotted(TeParser *p, Loc loc, Name first, Name second);
const AstExpr *ast_string(TeParser *p, Loc loc, Name text);
const AstExpr *ast_unary(TeParser *p, Loc loc, UnOp op, const AstExpr *a);
const AstExpr *ast_binary(TeParser *p, Loc loc, BinOp op, const AstExpr *a, const AstExpr *b);
const AstExpr *ast_select(TeParser *p, Loc loc, const AstExpr *a, const AstExpr *b, const AstExpr *c);
const AstExpr *ast_list(TeParser *p, Loc loc, const AstExprs *items);
const AstExpr *ast_named(TeParser *p, Loc loc, AstDetailKind kind, SchedName name, const AstExprs *args,
                         const AstAxes *axes);
const AstExpr *ast_bad(TeParser *p, Loc loc);
const AstExpr *ast_paren(TeParser *p, Loc loc, const AstExpr *e); // the same tree, placed with its parentheses
void parser_too_deep(TeParser *p, Loc loc, const char *what);
void parser_kernel(TeParser *p, Loc loc, SchedName name, const AstDecls *decls);
void parser_schedule(TeParser *p, Loc loc, SchedName kernel, SchedName name, const SchedStmts *stmts);
const SchedStmt *parser_call(TeParser *p, Loc loc, const SchedNames *results, SchedName receiver, SchedName method,
                             const SchedArgs *args);
const SchedStmt *parser_knob(TeParser *p, Loc loc, SchedName name, const AstExpr *value, const AstExpr *set);
const SchedStmt *parser_for(TeParser *p, Loc loc, SchedName var, const SchedNames *names, const SchedStmts *body);
// lexer's number and string tokens; text need not end with NUL.
double parser_float(TeParser *p, Loc loc, const char *text, size_t len);
uint64_t parser_int(TeParser *p, Loc loc, const char *text, size_t len);
Name parser_string(TeParser *p, Loc loc, const char *text, size_t len);
void parser_bad_character(TeParser *p, Loc loc, const char *text);
void parser_syntax(TeParser *p, Loc loc, const char *got, int nexpected, const char *const *expected);

// parse.c: one file's text to its items; false when nothing more can be made of the file.
void te_parse_file(Ctx *cx, const Source *src, AstFile *file);
// te.y
int te_parse_run(TeParser *p);

// ---- text helpers: suggest.c -----------------------------------------------------------------------------------

// The source text of a span on one line, cut to a readable length; never NULL.
const char *te_snippet(Ctx *cx, Loc loc);
// expr.c: offers a cast around e. A guess where e computes (its operands may have been meant to be widened) or where the
// cast may change a value.
void te_offer_cast(Ctx *cx, Diag *g, const TeExpr *e, DType to);

// ---- constants: consts.c ---------------------------------------------------------------------------------------

typedef enum ConstFound { CONST_MISSING, CONST_FOUND, CONST_POISON } ConstFound;

// Where constant expressions find their names. `candidates` feeds the suggestion for an unknown name.
typedef struct ConstScope {
  Ctx *cx;
  const TeTarget *target; // NULL: none chosen
  const char *hint_target; // a known target's name to propose when none is chosen; may be NULL
  void *self;
  ConstFound (*find)(void *self, Name name, Loc at, int64_t *value);
  void (*candidates)(void *self, Nearest *n);
  bool quiet_unknown; // a syntax error may have swallowed the declaration
  DiagCode overflow;
} ConstScope;

bool const_eval(ConstScope *s, const AstExpr *e, int64_t *value);
// Reports an unknown name, dotted or not, with the nearest one.
void report_unknown_name(ConstScope *s, Name name, Loc at, const char *what);
// Says how a function of so many arguments (1 to 3) is called.
void help_call(Ctx *cx, Diag *g, const char *name, int nargs);

// ---- the checker -----------------------------------------------------------------------------------------------

typedef struct ConstSlot {
  Name name;
  const AstItem *item;
  int64_t value;
  enum { SLOT_NEW, SLOT_BUSY, SLOT_DONE, SLOT_POISON } state;
} ConstSlot;

typedef struct NameTable NameTable; // Name -> int
NameTable *name_table_new(Arena *a);
int name_table_find(const NameTable *t, Name name); // -1: absent
void name_table_put(NameTable *t, Name name, int value);

typedef VEC(ConstSlot) ConstSlots;
typedef VEC(const TeKernel *) KernelVec;
typedef VEC(const AstFile *) AstFileVec;

typedef struct Checker {
  Ctx *cx;
  const TeOptions *opt;
  const TeTarget *target; // chosen by `target NAME;`
  Loc target_loc;
  AstFileVec files; // imported ones before those that import them
  ConstSlots consts;
  NameTable *const_index;
  int const_depth;
  bool broken; // some file lost an item to a syntax error
  ConstScope scope;
} Checker;

// kernel.c
const TeKernel *check_kernel(Checker *ck, const AstItem *item);

// What a stage's expression may name.
typedef struct StageCx {
  Checker *ck;
  const TeKernel *kernel; // so far; ntensors grows
  NameTable *tensors;     // name -> index in kernel->tensors, or -2 - i for a poisoned one
  const AstItem *item;
  const TeTensor *stage;  // axes filled in, body not yet
  const TeTensor *like;   // shorthand: the first operand, else NULL
  bool shorthand;
} StageCx;

// expr.c: types an expression. NULL after an error (reported). `want` is DT_COUNT when nothing is declared.
const TeExpr *check_expr(StageCx *sx, const AstExpr *e, DType want);
// The tensor named, or NULL; *poisoned tells that it was declared with an error.
const TeTensor *stage_tensor(const StageCx *sx, Name name, bool *poisoned);

// bounds.c: reports every access of the stage's body that may leave its tensor.
// Also notes in the stage between which bounds its values are, if that can be told.
void check_bounds(Checker *ck, TeTensor *stage);

// build.c
const TeExpr *te_unary(Arena *a, UnOp op, const TeExpr *x, Loc loc);
const TeExpr *te_binary(Arena *a, BinOp op, const TeExpr *x, const TeExpr *y, Loc loc);
const TeExpr *te_select(Arena *a, const TeExpr *c, const TeExpr *x, const TeExpr *y, Loc loc);
const TeExpr *te_math(Arena *a, MathFn f, const TeExpr **args, Loc loc);

#endif

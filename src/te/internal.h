// SPDX-License-Identifier: Apache-2.0
// te, inside: the syntax tree between the grammar and the checks, and what the files of the room share.
#ifndef TETC_TE_INTERNAL_H
#define TETC_TE_INTERNAL_H

#include "te/te.h"

// Trees deeper than this are refused while parsing (E0003), so that every later walk may recurse: 4000 levels of the
// largest frame here stay far below the usual 8 MB stack, sanitizers included.
#define TE_MAX_DEPTH 4000
// What calls of defs may make: of an expression, and of a kernel.
#define TE_MAX_NODES 100000
#define TE_MAX_EXPANSION 1000000
#define TE_MAX_FOR_DEPTH 32
#define TE_MAX_IMPORT_DEPTH 64
#define TE_MAX_AXES 32
// After so many errors a run stops looking for more: nobody reads them, and suggestions for names cost time.
#define TE_MAX_ERRORS 300

// ---- syntax ----------------------------------------------------------------------------------------------------

// A declaration in a kernel or def: a tensor, the results of a call, or a constant.
typedef struct AstDecl {
  TeRole role; // TE_CONSTANT: `const`
  Name name;   // the first of the names
  Loc loc, name_loc;
  int nnames; // more than one: results of a call, in `names`
  const SchedName *names;
  bool has_axes; // written, though there may be none; else the pointwise shorthand, or a constant that is no tensor
  int naxes;
  const AstAxis *axes;
  Loc axes_loc; // with the brackets
  Name dtype;   // NULL: not written
  Loc dtype_loc;
  const AstExpr *body; // NULL for an input; AST_LIST for values in braces
} AstDecl;

// A parameter of a def: with brackets, a stage; without, a value.
typedef struct AstParam {
  Name name;
  Loc loc, name_loc;
  bool has_axes;
  int naxes;
  const AstAxis *axes; // an extent that is a bare name binds it
  Name dtype;
  Loc dtype_loc;
  const AstExpr *value; // the default; NULL: none
} AstParam;

// `return a, b;` or `return [axes] : dtype = expression;`
typedef struct AstReturn {
  Loc loc;
  int nitems;
  const AstExpr **items;
  bool has_axes;
  int naxes;
  const AstAxis *axes;
  Loc axes_loc;
  Name dtype;
  Loc dtype_loc;
} AstReturn;

typedef struct AstDef {
  int nparams;
  const AstParam *params;
  const AstReturn *result;
} AstDef;

typedef enum AstItemKind {
  ITEM_TARGET,
  ITEM_PARAM,
  ITEM_CONST,
  ITEM_IMPORT,
  ITEM_KERNEL,
  ITEM_SCHEDULE,
  ITEM_DEF,
  ITEM_PART
} AstItemKind;

typedef struct AstItem {
  AstItemKind kind;
  Name name; // ITEM_IMPORT: the path as written
  Loc loc, name_loc;
  const AstExpr *value; // ITEM_PARAM ITEM_CONST
  Name as;              // ITEM_IMPORT: what qualifies its names; NULL: nothing does
  Name hash;            // ITEM_IMPORT: of what the file holds; NULL: any
  Loc hash_loc;
  struct AstFile *import; // ITEM_IMPORT, once loaded
  const Arrays *arrays;   // the same, of a file of arrays
  int ndecls;             // ITEM_KERNEL ITEM_DEF; ITEM_CONST that is a tensor: 1
  const AstDecl *decls;
  bool broken; // ITEM_KERNEL ITEM_DEF: a declaration was lost to a syntax error
  const TeSchedule *schedule;
  TePart *part;
  const AstDef *def;
} AstItem;

typedef VEC(const AstExpr *) AstExprs;
typedef VEC(AstAxis) AstAxes;
typedef VEC(AstDecl) AstDecls;
typedef VEC(AstParam) AstParams;
typedef VEC(AstItem) AstItems;
typedef VEC(SchedArg) SchedArgs;
typedef VEC(SchedName) SchedNames;
typedef VEC(const SchedStmt *) SchedStmts;
typedef VEC(SchedStmt *) SchedCalls;

// A name with dots: all of it, what stands before the last dot (NULL: there is none), and what stands behind.
typedef struct AstPath {
  SchedName whole, head, last;
} AstPath;
AstPath path_of(Name name, Loc loc);

// Axes in brackets: perhaps none (NULL).
typedef struct AxesAt {
  const AstAxes *axes;
  Loc loc;
} AxesAt;

// What follows the name of a reduction.
typedef struct AstReduction {
  const AstAxes *axes;
  const AstExpr *by, *where; // or NULL
} AstReduction;

// Name to int.
typedef struct NameTable {
  Arena *arena;
  PtrMap map;
} NameTable;

typedef struct AstFile {
  const Source *src;
  AstItems items;
  SchedCalls calls;              // of all schedules and parts
  bool broken;                   // an item was lost to a syntax error
  NameTable *visible;            // names to Checker.globals: its own, and those of its imports
  VEC(Name) names;               // those of `visible`
  VEC(struct AstFile *) imports; // without `as`
} AstFile;

// What the lexer and the grammar's actions carry.
typedef struct TeParser {
  Ctx *cx;
  const Source *src;
  AstFile *file;
  uint32_t line, col; // where the next token starts
  int for_depth;
  size_t calls_done;  // the calls of earlier schedules and parts
  bool stop;          // a limit was passed; parsing ends without more messages
  Loc bad;            // the last character that is none, so that the parser need not complain again
  bool kernel_broken; // a declaration of the current kernel was lost
  bool after_dot;     // the last token was a `.`: the next one is a name, whatever word it is
} TeParser;

// grammar.c: what the grammar's actions call.
const AstExpr *ast_int(TeParser *p, Loc loc, uint64_t value);
const AstExpr *ast_float(TeParser *p, Loc loc, double number);
const AstExpr *ast_bool(TeParser *p, Loc loc, bool value);
const AstExpr *ast_name(TeParser *p, Loc loc, Name name);
AstPath path_add(TeParser *p, AstPath path, Name name, Loc at);
const AstExpr *ast_rest(TeParser *p, Loc loc);
const AstExpr *ast_string(TeParser *p, Loc loc, Name text);
const AstExpr *ast_unary(TeParser *p, Loc loc, UnOp op, const AstExpr *a);
const AstExpr *ast_binary(TeParser *p, Loc loc, BinOp op, const AstExpr *a, const AstExpr *b);
const AstExpr *ast_select(TeParser *p, Loc loc, const AstExpr *a, const AstExpr *b, const AstExpr *c);
const AstExpr *ast_list(TeParser *p, Loc loc, const AstExprs *items);
const AstExpr *ast_call(TeParser *p, Loc loc, SchedName name, const SchedArgs *args);
// Of a tensor, or (name empty) of a call's result.
const AstExpr *ast_index(TeParser *p, Loc loc, SchedName name, const AstExpr *call, const AstExprs *args);
const AstExpr *ast_concat(TeParser *p, Loc loc, SchedName name, const AstExprs *axis, const AstExprs *args);
const AstExpr *ast_reduce(TeParser *p, Loc loc, SchedName name, const AstReduction *r, const AstExprs *args);
const AstExpr *ast_bad(TeParser *p, Loc loc);
const AstExpr *ast_paren(TeParser *p, Loc loc, const AstExpr *e); // the same tree, placed with its parentheses
AstDecl parser_decl(TeRole role, SchedName name, Loc loc, const AxesAt *axes, SchedName dtype, const AstExpr *body);
void parser_too_deep(TeParser *p, Loc loc, const char *what);
void parser_kernel(TeParser *p, Loc loc, SchedName name, const AstDecls *decls);
void parser_def(TeParser *p, Loc loc, SchedName name, const AstParams *params, const AstDecls *decls,
                const AstReturn *result);
void parser_schedule(TeParser *p, Loc loc, SchedName kernel, SchedName name, const SchedStmts *stmts);
void parser_part(TeParser *p, Loc loc, SchedName name, const AstParams *params, const SchedStmts *stmts);
const SchedStmt *parser_call(TeParser *p, Loc loc, const SchedNames *results, AstPath path, const SchedArgs *args);
const SchedStmt *parser_knob(TeParser *p, Loc loc, SchedName name, const AstExpr *value, const AstExpr *set);
const SchedStmt *parser_if(TeParser *p, Loc loc, const AstExpr *cond, const SchedStmts *body, const SchedStmts *other);
const SchedStmt *parser_return(TeParser *p, Loc loc, const SchedNames *names);
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
// expr.c: offers a cast around e. A guess where e computes (its operands may have been meant to be widened) or where
// the cast may change a value.
void te_offer_cast(Ctx *cx, Diag *g, const TeExpr *e, DType to);

// ---- functions of the language: builtins.c ---------------------------------------------------------------------

typedef enum BuiltinKind {
  BUILTIN_MATH,      // fn
  BUILTIN_OPERATORS, // ops: ops[1](ops[0](x, y), z)
#define SPECIAL(kind, name, args, nargs) BUILTIN_##kind,
#include "te/builtins.def"
} BuiltinKind;

typedef struct Builtin {
  BuiltinKind kind;
  const char *name, *args; // as it is called: "x, low, high"
  int nargs;
  MathFn fn;
  int nops;
  BinOp ops[2];
} Builtin;

const Builtin *builtin_find(const char *name); // NULL: no function of the language
void builtins_try(Nearest *n);                 // offers them, and the casts
// Whether a call has as many arguments as it must; reports that, and how it is written.
bool call_has(Ctx *cx, const AstExpr *e, int wanted, const char *args);

// ---- what other languages teach: foreign.c ---------------------------------------------------------------------

typedef enum ForeignPlace {
  FOREIGN_DECLARATION, // where a declaration starts
  FOREIGN_ASSIGNMENT,  // in a statement that is none here
  FOREIGN_BETWEEN,     // where an operator may stand
  FOREIGN_BEHIND,      // the word before that
  FOREIGN_CHARACTER,   // of no word
  FOREIGN_TWICE,       // an operator, and once more
  FOREIGN_COMMENT,     // before a missing `;`
  FOREIGN_CALL,        // of no function
  FOREIGN_MODULE,      // before a dot
  FOREIGN_MEMBER,      // behind a dot
  FOREIGN_NAME,        // of nothing
  FOREIGN_OF_FLOATS,   // operators
  FOREIGN_OF_BOOLS
} ForeignPlace;

const char *foreign_answer(ForeignPlace where, const char *written); // NULL: none is known
bool foreign_help(Diag *g, ForeignPlace where, const char *written); // false: nothing is known
bool foreign_call(Ctx *cx, Diag *g, const AstExpr *e);               // of an unknown function
// Of what stands at loc, where a declaration or an operator may stand; NULL: nothing is known.
const char *foreign_syntax(Arena *a, Loc loc, const char *got, bool declares, bool operators);
const char *library_file_of(Arena *a, const char *def); // check.c: which file of the library has a def; NULL: none

// ---- constants: consts.c ---------------------------------------------------------------------------------------

// CONST_VARIES: the name stands for something that is known only when the kernel runs.
typedef enum ConstFound { CONST_MISSING, CONST_FOUND, CONST_POISON, CONST_VARIES } ConstFound;

static inline TeValue value_int(int64_t v) { return (TeValue){.kind = VALUE_INT, .i = v}; }
static inline TeValue value_bool(bool v) { return (TeValue){.kind = VALUE_INT, .i = v, .truth = true}; }
static inline TeValue value_float(double v) { return (TeValue){.kind = VALUE_FLOAT, .f = v}; }

// Where constant expressions find their names. `candidates` feeds the suggestion for an unknown name.
typedef struct ConstScope {
  Ctx *cx;
  const TeTarget *target;  // NULL: none chosen
  const char *hint_target; // a known target's name to propose when none is chosen; may be NULL
  void *self;
  ConstFound (*find)(void *self, Name name, Loc at, TeValue *value);
  void (*candidates)(void *self, Nearest *n);
  bool quiet_unknown; // a syntax error may have swallowed the declaration
  DiagCode overflow;
} ConstScope;

bool const_value(ConstScope *s, const AstExpr *e, TeValue *value);
bool const_eval(ConstScope *s, const AstExpr *e, int64_t *value); // reports what is no integer
bool const_function(const char *name);                            // that constants may be made with
// Reports an unknown name, dotted or not, with the nearest one.
void report_unknown_name(ConstScope *s, Name name, Loc at, const char *what);

// ---- the checker -----------------------------------------------------------------------------------------------

typedef struct ConstSlot {
  Name name;
  const AstItem *item;
  const AstFile *file;
  TeValue value;
  enum { SLOT_NEW, SLOT_BUSY, SLOT_DONE, SLOT_POISON } state;
} ConstSlot;

static inline NameTable *name_table_new(Arena *a) {
  NameTable *t = NEW(a, NameTable);
  t->arena = a;
  return t;
}
static inline int name_table_find(const NameTable *t, Name name) { // -1: absent
  int64_t v;
  return ptrmap_get(&t->map, name, &v) ? (int)v : -1;
}
static inline void name_table_put(NameTable *t, Name name, int value) { ptrmap_put(t->arena, &t->map, name, value); }

// What a file declares, or imports under a name.
typedef struct Global {
  const AstItem *item;   // ITEM_PARAM ITEM_CONST ITEM_DEF ITEM_PART ITEM_IMPORT
  const AstFile *file;   // that declares it
  int slot;              // of a constant that is no tensor
  const AstFile *import; // ITEM_IMPORT of a .te file
  const Arrays *arrays;  // ITEM_IMPORT of arrays
  const AstItem *other;  // a second import declares the name too: using it is an error
} Global;

typedef VEC(ConstSlot) ConstSlots;
typedef VEC(const TeKernel *) KernelVec;
typedef VEC(AstFile *) AstFileVec;

typedef struct Checker {
  Ctx *cx;
  const TeOptions *opt;
  const TeTarget *target; // chosen by `target NAME;`
  Loc target_loc;
  AstFileVec files; // imported ones before those that import them
  const AstFile *main;
  ConstSlots consts;
  VEC(Global) globals;
  int const_depth;
  bool broken; // some file lost an item to a syntax error
} Checker;

// scope.c
// The constants that a file's own texts see; `in` a def, none of other files that do not belong to it.
typedef struct FileView {
  Checker *ck;
  const AstFile *file;
  bool own_only;
} FileView;
ConstScope file_consts(FileView *v);
// A name of the file, dotted or not, or of the program's first file; NULL: it has none.
const Global *file_find(Checker *ck, const AstFile *f, Name name, bool own_only);
void declare_globals(Checker *ck);
Name part_key(Ctx *cx, Name name); // parts have names of their own: what one is called among the globals
// What a file sees, for schedules: its constants, those of an import with `as` under their dotted names.
int list_consts(Checker *ck, const AstFile *file, const TeConst **out);
// parts.c: finds the part that each call means; refuses recursion.
void resolve_parts(Checker *ck, TeModule *m);
ConstFound global_value(Checker *ck, const Global *g, Loc at, TeValue *value);
void apply_defines(Checker *ck);
void report_duplicate(Checker *ck, Name name, Loc at, Loc first, const char *what);

// ---- kernels -----------------------------------------------------------------------------------------------------

typedef struct Scope Scope;
typedef struct StageCx StageCx;

// What the caller gave for a parameter without brackets that is neither a constant nor a tensor: an expression of the
// caller's stage. It is typed once, where the call stands.
typedef struct Arg {
  const AstExpr *e;
  const StageCx *sx; // where it stands
  const TeExpr *typed;
  int lit;
  bool used;                       // once: each further use is another copy of the tree
  const struct Operands *operands; // once looked for
} Arg;

// A tensor, and what its axes are called where it is named.
typedef struct TensorRef {
  const TeTensor *t;
  const Name *axes; // NULL: as the tensor calls them
  int rest, nrest;  // which of them `..` stands for; nrest 0: none
} TensorRef;

typedef enum BindKind { BIND_NONE, BIND_POISON, BIND_TENSOR, BIND_VALUE, BIND_ARG, BIND_TYPE, BIND_LATER } BindKind;
typedef struct Binding {
  BindKind kind;
  Loc loc;             // of what declares it, or of the argument
  TensorRef ref;       // BIND_TENSOR
  TeValue value;       // BIND_VALUE
  Arg *arg;            // BIND_ARG
  DType type;          // BIND_TYPE
  const AstDecl *decl; // BIND_LATER: declared further down
} Binding;

// The kernel under construction.
typedef struct KernelCx {
  Checker *ck;
  const AstItem *item;
  TeKernel *k;
  VEC(const TeTensor *) tensors;
  NameTable *taken;   // full names; the number of the next one made of it
  NameTable *globals; // constant tensors of files that are in use: to tensors
  int ninstances, order;
  int64_t expanded; // nodes of expressions that calls of defs made
  int level;        // of the expression that is typed, calls being entered
  bool spent;       // a limit of expansion was passed and told: from here on calls fail quietly
  bool recurs;      // some stage reads itself, or one that is declared below
  bool ok;
} KernelCx;

typedef struct Instance Instance;

// Names: of a kernel, or of one call of a def.
struct Scope {
  KernelCx *kx;
  FileView view;
  Name prefix;         // of what is made here: "a.conv2d"; NULL in a kernel
  const AstItem *item; // the kernel or def
  const Scope *caller; // NULL: a kernel
  NameTable *names;
  VEC(Binding) bindings;
  PtrMap calls; // expressions to instances
  PtrMap made;  // expressions to the stages that they became, where a tensor was wanted (arrange.c)
  int nrest;    // `..`: the axes that are left, once bound
  const TeAxis **rest;
  bool has_rest;
  Loc rest_loc;
};

// What a call became.
struct Instance {
  const AstExpr *call;
  const AstItem *def;
  Scope *scope;
  bool pure; // it only returns an expression, which stands in the caller's stage
  bool failed;
  int nresults;
  TeTensor **results;
  bool looked; // pure: for its first operand
  bool scalar; // pure: it has one without axes
  TensorRef first;
  Loc first_loc;
  bool element, foreign; // as in Operands
};

typedef struct Guard Guard;
struct Guard { // a condition under which an expression stands
  const TeExpr *cond;
  bool holds;
  const Guard *outer;
};

typedef struct Reducing Reducing;
struct Reducing { // a reduction around an expression
  int n;
  const TeAxis **axes;
  int rest, nrest;
  const Reducing *outer;
};

// A stage whose expression is being typed.
struct StageCx {
  Checker *ck;
  KernelCx *kx;
  Scope *scope;
  TeTensor *stage;       // axes filled in, body not yet
  Name prefix;           // of what is made on the way: its name, or that of the pure call the expression is in
  TensorRef like;        // what its axes are called here: t NULL: by no names
  bool shorthand;        // whole tensors are read at the stage's point
  bool inside;           // brackets of an index or reduction: an axis hides a tensor of its name
  const Reducing *raxes; // of this scope
  const Guard *guards;
};

// kernel.c
const TeKernel *check_kernel(Checker *ck, const AstFile *file, const AstItem *item);
// Evaluates a list of axes (`..` those that are left); names must differ among themselves and from `others`. NULL after
// a report.
const TeAxis **check_axes(Scope *s, int *n, const AstAxis *ast, bool reduce, int nothers, const TeAxis **others,
                          int *rest);
// A tensor under its full name, and what its axes are called where it stands. NULL after a report.
TeTensor *check_stage(Scope *s, const AstDecl *decl, Name full, TeRole role, TensorRef *ref);
// Declares what a declaration does, under full names of as many as it has.
void check_decl(Scope *s, const AstDecl *decl, const Name *full, TeRole role);
bool make_tensors(Scope *s, const AstDecl *decl, const Name *full, TeRole role,
                  TensorRef *refs);                                                      // without binding names
bool fits_axes(Ctx *cx, const TeTensor *is, const TeTensor *asked, const AstDecl *decl); // reports what does not
void push_tensor(KernelCx *kx, TeTensor *t);
void bind_later(Scope *s);
const TeTensor *find_later(Scope *s, Name name); // a stage that is read before it is declared; NULL: no such
Name fresh_name(KernelCx *kx, Name prefix, const char *base);
const char *shape_text(Ctx *cx, const TeTensor *t);

// names.c: what names mean in kernels and defs
Scope *scope_new(KernelCx *kx, const AstFile *file, const AstItem *item, const Scope *caller, Name prefix);
void scope_bind(Scope *s, Name name, Binding b);
Binding *scope_own(const Scope *s, Name name); // what the scope itself binds; NULL: nothing
Binding scope_find(Scope *s, Name name, Loc at);
ConstScope scope_consts(Scope *s);

// operands.c: which axes a pointwise expression has
typedef struct Operands {
  TensorRef first; // t NULL: none has axes
  Loc loc;
  bool indexed;           // none stands without indices: `first` is indexed by its own axes
  bool element;           // .. and is given so to a parameter
  bool foreign;           // it is what an argument has: the names of its axes are the caller's
  bool scalar;            // there is an operand without axes
  const AstExpr *unknown; // the first name, or function, that means nothing
  bool failed;
} Operands;
Operands find_operands(const StageCx *sx, const AstExpr *e);

// arrange.c: tensors whose elements stand elsewhere; NULL after a report
const TeExpr *arrange_reshape(StageCx *sx, const AstExpr *e);
const TeExpr *arrange_concat(StageCx *sx, const AstExpr *e);
TensorRef concat_shape(const StageCx *sx, const AstExpr *e); // no tensor of the kernel: only axes
// expand.c: calls of defs
// Whether calls may make so many nodes more, and `made`, if it is given, at all. Tells once where not.
bool may_expand(const StageCx *sx, const AstExpr *at, int64_t nodes, const TeExpr *made);
const Global *find_def(Scope *s, Name name); // NULL: no def
// The call of a def, expanded once; `full` is the name of its result, or NULL.
Instance *def_instance(const StageCx *sx, const AstExpr *e, int nnames, const Name *full, TeRole role);
bool def_is_pure(const AstItem *def);                     // it only returns an expression
TeTensor *def_stage(const StageCx *sx, const AstExpr *e); // its result as a stage; NULL after a report
// An expression of the scope as a stage of its own.
TeTensor *stage_of_expr(Scope *s, const AstExpr *e, Name full, Name dtype, TensorRef *ref);
// What a pure call stands for, in the caller's stage.
bool def_enter(StageCx *sx, const AstExpr *e, StageCx *inner, const AstExpr **result);

// constant.c: a constant tensor, with its values; NULL after a report
TeTensor *check_constant(Scope *s, const AstDecl *decl, Name full);

// reduce.c: reductions inside expressions
bool reduction_named(const char *name);
bool reduction_is_composed(const AstExpr *e); // it takes more than one stage
// Makes a stage reduce: its reduction axes, body and condition. False after a report.
bool reduce_here(StageCx *sx, TeTensor *t, const AstExpr *e, DType want);
const TeExpr *reduce_inside(StageCx *sx, const AstExpr *e, DType want);

// expr.c: types an expression. NULL after an error (reported). `want` is DT_COUNT when nothing is declared.
const TeExpr *check_expr(StageCx *sx, const AstExpr *e, DType want);
void check_arg(StageCx *sx, Arg *arg); // types it
const TeAxis *find_axis(const StageCx *sx, Name name);

// bounds.c: reports every access of the stage's body that may leave its tensor.
// Also notes in the stage between which bounds its values are, if that can be told.
void check_bounds(Checker *ck, TeTensor *stage);

// What is known of the points at which a stage reads t, beside its own point: the first n axes, in their order.
typedef enum Earlier { EARLIER, EARLIER_OR_SAME, NOT_EARLIER } Earlier;
Earlier reads_earlier(Checker *ck, const TeTensor *stage, const TeTensor *t, int n, Loc *where);

// arrays.c
void arrays_hash(const Arrays *a, char out[65]); // of the file
bool arrays_single(const Arrays *a);             // one, without a name
TeTensor *arrays_tensor(Ctx *cx, const Arrays *a, Name name, Loc decl, Loc at);
void note_constant_range(TeTensor *t); // constant.c

// circles.c: finds the stages that need each other, proves that they can be computed, and orders the kernel's tensors
// so.
bool order_circles(KernelCx *kx);

#endif

// SPDX-License-Identifier: Apache-2.0
// tir: loop-nest IR. Immutable trees in an arena; variables and buffers are identified by pointer, their names are
// hints that the printer makes unique. tir knows neither the language nor VTA: memories and intrinsics are described
// to it by tables (Scope, Intrin).
#ifndef TETC_TIR_H
#define TETC_TIR_H

#include "base/base.h"

typedef struct Expr Expr;

// ---- memories and intrinsics, described by a target ---------------------------------------------------------------

// A memory that buffers live in. The host's is &scope_host (DRAM). An on-chip memory is addressed in *tiles* of
// `tile` scalars of type `type`, [rows][cols] row-major inside a tile.
typedef struct Scope {
  const char *name;   // "vta.acc"; "host"
  int id;             // the target's number for it; -1 for the host
  int64_t tile;       // scalars in one addressable tile: 1 for the host
  int64_t rows, cols; // a tile's shape: rows * cols == tile
  int64_t depth;      // capacity in tiles; 0 = not bounded
  DType type;         // of its scalars (host: unused)
} Scope;
extern const Scope scope_host;

// What is meant by an operand that is not written.
typedef enum OperandMissing {
  OPERAND_NEEDED,  // it must be written
  OPERAND_ZERO,    // its arguments are 0; not printed then
  OPERAND_ONE,     // 1
  OPERAND_OPTIONAL // it has no arguments; behind it are only such
} OperandMissing;

// An operand of an intrinsic in TIR text: one argument or several.
typedef struct IntrinOperand {
  const char *name;
  int count;  // of arguments; more than one are written in parentheses, `pad=(1, 0, 1, 1)`
  bool named; // written `name=value`; else by its place, before all that are named. More than one argument: named
  OperandMissing missing;
  int nwords; // more than 0: the argument is a number that is written as a word, words[number]; NULL: there is none
  const char *const *words;
} IntrinOperand;

typedef struct Intrin {
  const char *name;       // "vta.gemm"
  int id;                 // the target's number for it
  int min_args, max_args; // max_args -1: any number
  bool has_body;          // `name(args) { body }`
  int noperands;
  const IntrinOperand *operands; // in the order of the arguments; NULL: all are written by place
} Intrin;
// The word for a value of an operand that is written as one; NULL: there is none.
const char *operand_word(const IntrinOperand *o, const Expr *value);

// A target's tables, for the parser, printer and verifier of TIR text.
typedef struct TirTarget {
  const char *name;
  int nscopes;
  const Scope *const *scopes;
  int nintrins;
  const Intrin *const *intrins;
} TirTarget;
const Scope *tir_scope(const TirTarget *t, const char *name);   // NULL when there is none; "host" always is
const Intrin *tir_intrin(const TirTarget *t, const char *name); // NULL when there is none

// ---- variables and buffers ------------------------------------------------------------------------------------------

typedef struct Var {
  Name name; // a hint
  Loc loc;
} Var; // always int64

typedef enum BufferRole { BUF_INPUT, BUF_OUTPUT, BUF_LOCAL, BUF_CONST } BufferRole;

// A dense row-major array. On-chip buffers occupy whole tiles: their element count is a multiple of scope->tile.
typedef struct Buffer {
  Name name; // a hint; for inputs and outputs the user's name
  DType type;
  const Scope *scope;
  BufferRole role;  // INPUT and OUTPUT are parameters of the function, in scope_host
  bool scalar;      // of a tensor without axes: one element; C passes an input by value
  const void *data; // CONST: its values, which nothing writes
  int ndim;         // 1 or more
  int64_t *shape;   // each > 0; the product fits int64
  int64_t base;     // on-chip: first tile, set by pass `storage`; -1 before
  Loc loc;          // the stage it holds
  Name stage;       // the user's name of that stage (for messages); may be NULL
  const char *tail; // why a reduction of it does not take whole blocks (for messages); may be NULL
} Buffer;

// ---- expressions ----------------------------------------------------------------------------------------------------

typedef enum ExprKind {
  EXPR_INT,    // value.i: integers and bool
  EXPR_FLOAT,  // value.f
  EXPR_VAR,    // var; int64
  EXPR_CAST,   // a
  EXPR_UNARY,  // unop, a
  EXPR_BINARY, // binop, a, b of equal type
  EXPR_SELECT, // a ? b : c; only the chosen side is evaluated
  EXPR_LOAD,   // buffer, args: one int64 index a dimension
  EXPR_REF,    // buffer, args: one int64 index: the address of a *tile* of it, an operand of intrinsics. For a host
               // buffer the unit is the tile of the memory that the intrinsic moves to or from. type: the buffer's
  EXPR_MATH    // fn, args
} ExprKind;

struct Expr {
  ExprKind kind;
  DType type;
  Loc loc;
  union {
    Scalar value;   // EXPR_INT EXPR_FLOAT
    const Var *var; // EXPR_VAR
    struct {        // EXPR_CAST EXPR_UNARY EXPR_BINARY EXPR_SELECT
      UnOp unop;
      BinOp binop;
      const Expr *a, *b, *c;
    };
    struct { // EXPR_LOAD EXPR_REF EXPR_MATH
      const Buffer *buffer;
      MathFn fn;
      int nargs;
      const Expr **args;
    };
  };
};

// ---- statements -----------------------------------------------------------------------------------------------------

typedef enum ForKind { FOR_SERIAL, FOR_PARALLEL, FOR_VECTORIZED, FOR_UNROLLED, FOR_VTHREAD } ForKind;

typedef enum StmtKind {
  STMT_FOR,   // for var in min .. min + extent: body; extent is a constant > 0 unless noted
  STMT_STORE, // buffer[args] = value; value's type is the buffer's
  STMT_IF,    // if cond: body, else else_body (may be NULL)
  STMT_SEQ,   // nchildren children in order; 0: nothing
  STMT_ALLOC, // buffer lives in body; its contents are undefined at the start
  STMT_INTRIN // intrin(args) and, if it has one, body
} StmtKind;

typedef struct Stmt Stmt;
struct Stmt {
  StmtKind kind;
  Loc loc; // the expression or stage it comes from
  Loc why; // the schedule statement that asked for it (unknown if none)
  union {
    struct {                    // STMT_FOR STMT_IF STMT_ALLOC STMT_STORE STMT_INTRIN
      const Stmt *body;         // FOR IF ALLOC, INTRIN with a body; else NULL
      const Stmt *else_body;    // IF; may be NULL
      const Var *var;           // FOR
      const Expr *min, *extent; // FOR; int64
      ForKind for_kind;         // FOR
      const Expr *cond;         // IF; bool
      const Buffer *buffer;     // ALLOC STORE
      const Intrin *intrin;     // INTRIN
      int nargs;                // STORE INTRIN
      const Expr **args;
      const Expr *value; // STORE
    };
    struct { // STMT_SEQ
      int nchildren;
      const Stmt **children;
    };
  };
};

// One kernel. Parameters are the inputs, then the outputs, in the user's order.
typedef struct Func {
  Name name;
  int nparams;
  const Buffer **params;
  int nconsts; // arrays whose values are known
  const Buffer **consts;
  const Stmt *body;
  const TirTarget *target; // NULL: host only
  Loc loc;
} Func;

// ---- building: build.c (folds constants where that is exact; keeps everything else as asked) ------------------------

const Var *tir_var(Ctx *cx, Name name, Loc loc);
const Buffer *tir_buffer(Ctx *cx, Name name, DType type, const Scope *scope, BufferRole role, int ndim,
                         const int64_t *shape, Loc loc);
int64_t buffer_elems(const Buffer *b);
int64_t buffer_tiles(const Buffer *b); // elements / scope->tile, rounded up

const Expr *expr_int(Ctx *cx, DType t, int64_t v);
const Expr *expr_index(Ctx *cx, int64_t v); // int64
const Expr *expr_float(Ctx *cx, DType t, double v);
const Expr *expr_var(Ctx *cx, const Var *v);
const Expr *expr_cast(Ctx *cx, DType t, const Expr *a);
const Expr *expr_unary(Ctx *cx, UnOp op, const Expr *a);
const Expr *expr_binary(Ctx *cx, BinOp op, const Expr *a, const Expr *b);
const Expr *expr_select(Ctx *cx, const Expr *c, const Expr *a, const Expr *b);
const Expr *expr_load(Ctx *cx, const Buffer *b, const Expr **idx); // copies the array (ndim indices)
const Expr *expr_ref(Ctx *cx, const Buffer *b, const Expr *tile);
const Expr *expr_math(Ctx *cx, MathFn f, const Expr *a, const Expr *b); // b NULL for one argument
const Expr *expr_call(Ctx *cx, MathFn f, const Expr *const *args);      // as many as f takes
const Expr *expr_at(Ctx *cx, const Expr *e, Loc loc);                   // the same with another place
bool expr_is_int(const Expr *e, int64_t *v);                            // an EXPR_INT; its value
bool expr_equal(const Expr *a, const Expr *b);                          // the same tree

const Stmt *stmt_for(Ctx *cx, const Var *v, const Expr *min, const Expr *extent, ForKind k, const Stmt *body);
const Stmt *stmt_store(Ctx *cx, const Buffer *b, const Expr **idx, const Expr *value);
const Stmt *stmt_if(Ctx *cx, const Expr *cond, const Stmt *then, const Stmt *otherwise);
const Stmt *stmt_seq(Ctx *cx, int n, const Stmt **children); // flattens nested sequences, drops empty ones
const Stmt *stmt_seq2(Ctx *cx, const Stmt *a, const Stmt *b);
const Stmt *stmt_nop(Ctx *cx);
bool stmt_is_nop(const Stmt *s);
const Stmt *stmt_alloc(Ctx *cx, const Buffer *b, const Stmt *body);
const Stmt *stmt_intrin(Ctx *cx, const Intrin *op, int nargs, const Expr **args, const Stmt *body);
const Stmt *stmt_placed(Ctx *cx, const Stmt *s, Loc loc, Loc why); // the same with other places
Func *func_with_body(Ctx *cx, const Func *f, const Stmt *body);

// ---- rewriting: map.c -----------------------------------------------------------------------------------------------

// A bottom-up rewriter. `expr` and `stmt` (either may be NULL) see each node after its children were rebuilt and
// return it or another. A tree in which nothing changed is returned as the same pointer.
typedef struct TirMap TirMap;
struct TirMap {
  Ctx *cx;
  const Expr *(*expr)(TirMap *m, const Expr *e);
  const Stmt *(*stmt)(TirMap *m, const Stmt *s);
  void *self;
};
const Expr *expr_map(TirMap *m, const Expr *e);
const Stmt *stmt_map(TirMap *m, const Stmt *s);
// Only one level: rebuilds s with its direct children (statements and expressions) passed through m's callbacks
// `child_stmt`/`child_expr`. For passes that need to see a node before its children.
typedef const Stmt *StmtFn(void *self, const Stmt *s);
typedef const Expr *ExprFn(void *self, const Expr *e);
const Stmt *stmt_rebuild(Ctx *cx, const Stmt *s, StmtFn *child_stmt, ExprFn *child_expr, void *self);
const Expr *expr_rebuild(Ctx *cx, const Expr *e, ExprFn *child, void *self);
// Replaces variables by expressions and buffers by buffers (parallel arrays), everywhere in the tree.
typedef struct TirSubst {
  int nvars;
  const Var **vars;
  const Expr **values;
  int nbuffers;
  const Buffer **from, **to;
} TirSubst;
const Expr *expr_subst(Ctx *cx, const Expr *e, const TirSubst *s);
const Stmt *stmt_subst(Ctx *cx, const Stmt *s,
                       const TirSubst *t); // bound variables and allocations are kept as they are
// Visits every statement (pre-order), every expression (pre-order). Return false from a callback to skip children.
typedef bool StmtVisit(void *self, const Stmt *s);
typedef bool ExprVisit(void *self, const Expr *e);
void stmt_visit(const Stmt *s, StmtVisit *sv, ExprVisit *ev, void *self);
void expr_visit(const Expr *e, ExprVisit *ev, void *self);
bool expr_uses_var(const Expr *e, const Var *v);

// ---- integer reasoning: affine.c, simplify.c ------------------------------------------------------------------------

// An int64 expression as constant + sum of coefficient * atom, where an atom is a variable, or an expression that is
// not affine (opaque: compared by expr_equal). Terms have nonzero coefficients and are in a stable order.
typedef struct AffineTerm {
  const Expr *atom;
  int64_t coef;
} AffineTerm;
typedef struct Affine {
  int64_t constant;
  int nterms;
  AffineTerm *terms;
} Affine;
// Never fails: what is not affine becomes an opaque atom. ok (may be NULL) turns false on overflow.
Affine affine_of(Ctx *cx, const Expr *e, bool *ok);
const Expr *affine_expr(Ctx *cx, const Affine *a);                           // a canonical expression for it
Affine affine_add(Ctx *cx, const Affine *a, int64_t scale, const Affine *b); // a + scale * b
Affine affine_scale(Ctx *cx, const Affine *a, int64_t k);
int64_t affine_coef(const Affine *a, const Var *v); // 0 if absent
Affine affine_without(Ctx *cx, const Affine *a, const Var *v);
bool affine_equal(const Affine *a, const Affine *b);
bool affine_mentions(const Affine *a, const Var *v); // also inside opaque atoms

// Known ranges of variables: inclusive bounds.
typedef struct VarRange {
  const Var *var;
  int64_t lo, hi;
} VarRange;
typedef struct Ranges { // a stack; the last entry for a variable counts
  size_t len, cap;
  VarRange *data;
} Ranges;
void ranges_push(Ctx *cx, Ranges *r, const Var *v, int64_t lo, int64_t hi);
void ranges_pop(Ranges *r);
bool ranges_find(const Ranges *r, const Var *v, int64_t *lo, int64_t *hi);
// Bounds of an integer expression (inclusive), from the ranges of its variables; loads have their type's range.
// False: nothing better than its type is known.
bool expr_bounds(const Ranges *r, const Expr *e, int64_t *lo, int64_t *hi);
// Algebraic simplification with ranges (r may be NULL): folding, affine normal form of indices, decided comparisons,
// min/max with a known winner, division and modulo of known ranges. Idempotent; equal results keep the pointer.
const Expr *expr_simplify(Ctx *cx, const Ranges *r, const Expr *e);
// Also removes loops of extent 1 (substituting), of extent 0, decided ifs, empty sequences. Intrinsics are kept.
const Stmt *stmt_simplify(Ctx *cx, const Stmt *s);

// ---- accesses and conflicts: access.c -------------------------------------------------------------------------------

// The places that an access may touch, of one memory or along one dimension of an array: form + lo .. form + hi. The
// form's constant is 0; its atoms have the same value in the two footprints that are compared. Not understood: first ..
// last.
typedef struct Footprint {
  const void *space; // what the places are of: pointers tell
  bool write;
  Affine form;
  int64_t lo, hi;      // inclusive; within 62 bits
  int64_t first, last; // of the buffer: no access leaves it
} Footprint;
// `count` places from `index` on, which counts from `first`; the buffer has `size` places there. r knows the variables.
Footprint footprint_of(Ctx *cx, const Ranges *r, const void *space, bool write, int64_t first, int64_t size,
                       const Affine *index, int64_t count);
// All of a buffer.
Footprint footprint_whole(const void *space, bool write, int64_t first, int64_t size);
// As the loops outside of entry `from` of r see it, in all turns of those inside: terms with variables of `from` and
// later entries become part of the interval. 0: all terms do.
Footprint footprint_widen(Ctx *cx, const Ranges *r, const Footprint *f, size_t from);
// Whether two may touch the same place while the variables of their forms have the same values, and one writes it.
bool footprints_meet(Ctx *cx, const Ranges *r, const Footprint *a, const Footprint *b);
// ... where b's turn of the loop over v is `least` to `most` turns of 1 after a's. r knows v, too.
bool footprints_meet_later(Ctx *cx, const Ranges *r, const Footprint *a, const Footprint *b, const Var *v,
                           int64_t least, int64_t most);
// Makes a stand for b too, which has the same form.
void footprint_absorb(Footprint *a, const Footprint *b);
Affine access_address(Ctx *cx, const Buffer *b, const Expr *const *args); // row-major, in elements

// ---- loops as lanes: vector.c ---------------------------------------------------------------------------------------

// Whether a loop's iterations may run as lanes of vectors: statement by statement, each in all lanes before the next,
// what the body allocates once a lane.
typedef struct LoopLanes {
  bool free;         // they may; stores whose element is the same in all lanes are folds (below)
  const Stmt *chain; // a fold that must take the lanes in their order; NULL: there is none
  const char *why;   // !free: what is in the way, and the statement
  const Stmt *at;
} LoopLanes;
LoopLanes loop_lanes(Ctx *cx, const Ranges *around, const Stmt *loop);
// `b[x] = b[x] op e`, or with e first: e, and whether operands may come in any order (not of floats).
bool store_is_fold(const Stmt *s, const Expr **operand, bool *free_order);

// ---- text: print.c, parse.c (grammar/tir.l, grammar/tir.y) ----------------------------------------------------------

typedef struct TirPrintOptions {
  bool locations; // `@file:line:col` after statements
  // Told of everything that has a place, in the order of the text: statements (s), parameters and the function (s
  // NULL). `offset` is within the line of `out` that it stands on, or starts on.
  void (*placed)(void *self, size_t offset, const Stmt *s, Loc loc, Loc why);
  void *self;
} TirPrintOptions;
void tir_print(const Func *f, const TirPrintOptions *opt, Text *out); // opt may be NULL
void tir_print_stmt(const Stmt *s, int indent, Text *out);            // for messages; names are hints
void tir_print_expr(const Expr *e, Text *out);
// Reads what tir_print writes; every error is reported with its place. print(parse(print(f))) == print(f).
Func *tir_parse(Ctx *cx, const Source *src, const TirTarget *target);

// ---- the forms and their verifier: verify.c -------------------------------------------------------------------------

typedef enum TirForm {
  FORM_LOOPS, // loops, stores, loads, and region intrinsics with bodies; no tile references
  FORM_TILES, // + tile references and tile intrinsics (loads, stores, gemm, alu) in loops
  FORM_CALLS  // on-chip work only as runtime calls; no on-chip allocation is left
} TirForm;
// What the verifier found. Good: scoping, types, ranks, on-chip buffers against their scope; no unguarded index, and no
// unguarded tile of a reference, is always outside. An index that is outside for some iterations only cannot be told
// from one that never is: it counts as not proved.
typedef struct TirVerdict {
  const char *message;      // what is wrong, and in which statement (in cx->arena); NULL: nothing
  bool out_of_bounds;       // it is an index or a tile
  int64_t proved, unproved; // indices and tiles that are always inside, and others
  const Stmt *first;        // that has an unproved one, and what it is
  const char *first_index;
} TirVerdict;
bool tir_judge(Ctx *cx, const Func *f, TirForm form, TirVerdict *out);
bool tir_verify(Ctx *cx, const Func *f, TirForm form, const char **message); // only the message, if it is false

// ---- execution: interp.c --------------------------------------------------------------------------------------------

// What a target's intrinsics do when interpreted. `args`: integers as values, references resolved by the callbacks.
typedef struct TirMachine TirMachine;
typedef struct TirArg {
  bool is_ref;
  int64_t value;        // !is_ref: the value; is_ref: the tile index within the buffer
  const Buffer *buffer; // is_ref
  void *data;           // is_ref: the buffer's memory as the interpreter holds it (dense, row-major)
} TirArg;
// What went wrong, a line a fact, and the statement it went wrong in: the one that runs, unless the machine names
// another, or none (NULL).
typedef struct TirFault {
  const char *text;
  const Stmt *at;
} TirFault;
// One execution of an intrinsic. A statement's args stay where they are; only their values change between executions.
typedef bool TirMachineFn(void *self, const Stmt *s, const TirArg *args, TirFault *fault);
struct TirMachine {
  void *self;
  TirMachineFn *run; // an intrinsic without a body; false: a fault
  // Before and after the body of an intrinsic that has one. `enter` may return false without a fault: then neither the
  // body nor `leave` is run.
  TirMachineFn *enter, *leave;
  bool (*finish)(void *self, TirFault *fault); // the end of the function; may be NULL
};
// Runs f on the parameters' memory (dense arrays, one a parameter). machine may be NULL if f has no intrinsics but
// those with bodies. Checks every access; false with *error on a fault.
bool tir_interpret(Ctx *cx, const Func *f, void **params, const TirMachine *machine, const char **error);

#endif

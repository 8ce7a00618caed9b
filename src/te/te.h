// SPDX-License-Identifier: Apache-2.0
// te: the tensor-expression graph of a .te file, its checks and its reference semantics.
#ifndef TETC_TE_H
#define TETC_TE_H

#include "base/base.h"

// ---- what the target offers (filled by backend_vta from the hardware configuration; te knows no VTA) ------------

typedef struct TeTargetConst {
  const char *name; // "vta.batch"
  int64_t value;
} TeTargetConst;

typedef struct TeTarget {
  const char *name; // "vta", as in `target vta;`
  int nconsts;
  const TeTargetConst *consts;
} TeTarget;

// ---- syntax kept for the schedule room --------------------------------------------------------------------------

// An expression as written. Rooms above read AST_NAME, AST_LIST and AST_STRING, and leave the rest to te_const_eval.
typedef enum AstKind {
  AST_INT,    // value
  AST_BIG,    // value holds the bits of an integer from 2^63 to 2^64 - 1
  AST_FLOAT,  // number
  AST_BOOL,   // value is 0 or 1
  AST_NAME,   // name; dotted names ("vta.inp", "conv.padded") are one name
  AST_UNARY,  // unop, a
  AST_BINARY, // binop, a, b
  AST_SELECT, // a ? b : c
  AST_LIST,   // [items] -- knob sets and list arguments
  AST_STRING, // name holds the text -- pragma arguments
  AST_CALL,   // name(items), keys: a cast, a function of the table, a def
  AST_INDEX,  // name[items]; name NULL: of the call a
  AST_REDUCE, // name[axes by `by` where `c`](items)
  AST_CONCAT, // name[a](items): `concat[c](x, y)`
  AST_REST,   // `..` among indices: the axes that are left
  AST_BAD     // a syntax error stood here, and has been reported
} AstKind;

typedef struct AstExpr AstExpr;

typedef struct AstAxis {
  Name name; // NULL: `..`
  const AstExpr *extent;
  Loc loc, name_loc;
} AstAxis;

struct AstExpr {
  AstKind kind;
  Loc loc, name_loc;
  int depth; // of the tree, leaves being 1; bounded by the parser
  int64_t value;
  double number;
  Name name;
  UnOp unop;
  BinOp binop;
  const AstExpr *a, *b, *c;
  int nitems;
  const AstExpr **items;
  const Name *keys; // AST_CALL: of the arguments that have one; NULL: none has
  int naxes;
  const AstAxis *axes;
  const AstExpr *by;
};

typedef struct SchedArg {
  Name key; // `factor` in `factor = 2`; NULL for a positional argument
  Loc loc;  // key and value
  const AstExpr *value;
  // Of a statement in a part, when it runs: the name as written (NULL: it was none), and the part in which it stands
  // for nothing that the part was given or made; then it is an axis, a scope or a constant.
  Name written;
  const struct TePart *free;
} SchedArg;

typedef enum SchedKind {
  SCHED_CALL,  // results = receiver.method(args);
  SCHED_KNOB,  // knob name = value in set;
  SCHED_FOR,   // for var in (names) { body }
  SCHED_IF,    // if (value) { body } else { other }
  SCHED_RETURN // return results;
} SchedKind;

typedef struct SchedName {
  Name name;
  Loc loc;
} SchedName;

typedef struct SchedStmt SchedStmt;
struct SchedStmt {
  SchedKind kind;
  Loc loc; // the whole statement without its semicolon
  // SCHED_CALL; a part's call has `part`, and its receiver is NULL or an import
  const struct TePart *part;
  int nresults;
  SchedName *results;
  SchedName receiver, method;
  int nargs;
  SchedArg *args;
  // SCHED_KNOB: name in receiver, value, set (AST_LIST or NULL); SCHED_FOR: variable in receiver, names in results
  const AstExpr *value, *set;
  int nbody, nother;
  const SchedStmt **body, **other;
};

typedef struct SchedParam {
  Name name;
  Loc loc;
  const AstExpr *value; // the default; NULL: none
} SchedParam;

typedef struct TeSchedule {
  Name kernel, name; // name NULL: the unnamed schedule
  Loc loc, name_loc;
  int nstmts;
  const SchedStmt **stmts;
} TeSchedule;

typedef struct TeConst TeConst;

// A part of schedules: `schedule def name(params) { stmts }`.
typedef struct TePart {
  Name name; // no other part of the module has it
  Loc loc, name_loc;
  int nparams;
  const SchedParam *params;
  int nstmts;
  const SchedStmt **stmts;
  int ncalls;
  SchedStmt **calls; // that may be of parts
  int nconsts;       // that its file sees
  const TeConst *consts;
  int depth; // of calls below it; -1: being found out
} TePart;

// ---- the graph ----------------------------------------------------------------------------------------------------

typedef struct TeAxis {
  Name name;
  int64_t extent; // > 0
  Loc loc;        // `y: H + 2`
  int index;      // its place among the axes, or among the reduction axes, of its tensor
  bool reduce;
  bool carried; // of a recurrence: some element is read at another place along it
  bool rest;    // `..` stands for it: no expression names it
} TeAxis;

typedef struct TeTensor TeTensor;
typedef struct TeExpr TeExpr;
struct Facts; // lin/lin.h

typedef enum TeExprKind {
  TE_CONST,  // value
  TE_AXIS,   // axis; type int64
  TE_ACCESS, // tensor, args are its nargs indices (int64)
  TE_UNARY,  // unop, a
  TE_BINARY, // binop, a, b of equal type
  TE_CAST,   // a, to `type`
  TE_SELECT, // a ? b : c; only the chosen side is evaluated
  TE_MATH    // fn, args
} TeExprKind;

struct TeExpr {
  TeExprKind kind;
  DType type;
  Loc loc;
  // Of the tree: what stands in it twice, and is one in memory, counts twice. Neither goes beyond 2^30.
  uint32_t nodes, depth;
  union {
    Scalar value;              // TE_CONST
    const TeAxis *axis;        // TE_AXIS
    struct {                   // TE_UNARY TE_BINARY TE_CAST TE_SELECT
      UnOp unop;               //   TE_UNARY
      BinOp binop;             //   TE_BINARY
      const TeExpr *a, *b, *c; //   b: TE_BINARY TE_SELECT; c: TE_SELECT
    };
    struct {                  // TE_ACCESS TE_MATH
      const TeTensor *tensor; //   TE_ACCESS
      MathFn fn;              //   TE_MATH
      int nargs;
      const TeExpr **args;
    };
  };
};

typedef enum TeRole { TE_INPUT, TE_COMPUTE, TE_OUTPUT, TE_CONSTANT } TeRole;
typedef enum TeReduce { TE_NO_REDUCE, TE_SUM, TE_PROD, TE_MIN, TE_MAX, TE_DOT } TeReduce;

// One tensor: an input, a constant, or a stage with a body `reduce[raxes](body)`, or `body` without a reduction.
struct TeTensor {
  Name name; // dotted for what a call made: "a.conv2d.padded"
  TeRole role;
  DType type;
  Loc loc, name_loc; // the declaration; its name
  int index;         // its place in TeKernel.tensors
  int order;         // among inputs and outputs: as the text declares them
  int naxes;         // 0: a scalar
  const TeAxis **axes;
  TeReduce reduce;
  int nraxes;
  const TeAxis **raxes;
  const TeExpr *body; // NULL for an input or constant; its type is `type`
  const void *data;   // TE_CONSTANT: the values, dense
  Loc reduce_loc;
  const TeExpr *where; // of a reduction: its points are those where this holds; NULL: all
  int circle;          // of stages that are computed from their own earlier elements; 0: none
  int leading;         // how many of its axes those of a circle of several share
  bool lanes;          // its last axis holds partial results, side by side
  bool bounded;        // an integer stage whose values the checker found to be in lo..hi
  int64_t lo, hi;
};

// Tensors stand in declaration order, which is an order of evaluation: a stage uses earlier tensors only.
typedef struct TeKernel {
  Name name;
  Loc loc, name_loc;
  int ntensors;
  const TeTensor **tensors;
} TeKernel;

// What a constant is: floats are computed in float64.
typedef enum TeValueKind { VALUE_INT, VALUE_FLOAT, VALUE_LIST } TeValueKind;
typedef struct TeValue TeValue;
struct TeValue {
  TeValueKind kind;
  int64_t i;  // VALUE_INT
  bool truth; // VALUE_INT: it is a bool, 0 or 1
  double f;   // VALUE_FLOAT
  int nitems;
  const TeValue *items;
};

struct TeConst { // param and const
  Name name;
  TeValue value;
  Loc loc;
};

typedef struct TeModule {
  const Source *src;
  const char *target; // "vta" or NULL
  Loc target_loc;
  int nconsts;
  const TeConst *consts;
  int nkernels;
  const TeKernel **kernels;
  int nschedules;
  const TeSchedule **schedules;
  int nparts;
  TePart **parts;
  const struct Checker *checker; // what syntax.c asks
} TeModule;

// -D NAME=number
typedef struct TeDefine {
  const char *name;
  int64_t value;
  bool is_float; // the number is `number`
  double number;
} TeDefine;

// A file of arrays that is not written yet: its bytes, under the name that imports have for it.
typedef struct TeGiven {
  const char *name;
  const void *data;
  size_t len;
} TeGiven;

typedef struct TeOptions {
  const TeTarget *targets; // what `target NAME;` may name
  int ntargets;
  int ndefines;
  const TeDefine *defines;
  int ninclude_dirs; // -I, searched after the importing file's directory
  const char **include_dirs;
  const TeGiven *given; // NULL: none
  int nshown;           // stages that become outputs, by name, after those of the text
  const char **shown;   // where a kernel has them
} TeOptions;

// check.c: whether a name means something in the language or in its library: a function, a type, a def.
bool te_name_taken(const char *name);

// parse.c, check.c. Reads a file and its imports. Reports every error it can find; NULL when there was one.
const TeModule *te_load(Ctx *cx, const Source *src, const TeOptions *opt);

// arrays.c: files of arrays, .npy and .npz (a zip archive of them).
typedef struct Arrays Arrays;
bool arrays_named(const char *path); // whether it is one, by its name
// Lists what is in the file; NULL with *error.
const Arrays *arrays_read(Ctx *cx, const char *path, const char **error);
const Arrays *arrays_list(Ctx *cx, const char *path, const unsigned char *file, size_t len, const char **error);
int arrays_count(const Arrays *a);
Name arrays_name(const Arrays *a, int i); // "" in a .npy file
// The bytes of array i as a .npy file, unpacked and with a good check sum; NULL with *error.
const unsigned char *arrays_bytes(Ctx *cx, const Arrays *a, int i, size_t *len, const char **error);

typedef struct TeArray {
  const char *name;
  DType type;
  int naxes;
  const int64_t *shape;
  const void *data;
} TeArray;
// arrays_write.c: the bytes of an .npz file. NULL: it would be larger than such files can be, 4 GiB and 65535 arrays.
unsigned char *arrays_format(Arena *a, size_t n, const TeArray *arrays, size_t *len);

// syntax.c: a kernel as it was written, for rooms that write it anew.
typedef struct TeDecl {
  TeRole role; // TE_CONSTANT: `const`
  Name name;
  Loc loc;             // without the semicolon
  int nnames;          // more than one: results of a call
  bool has_axes;       // written
  const AstExpr *body; // NULL: an input
} TeDecl;
// The declarations of a kernel of the module's own file, in order: how many. -1: it is of another file.
int te_decls(Ctx *cx, const TeModule *m, const TeKernel *k, const TeDecl **out);
// The statements of the file that import files: how many.
typedef struct TeImport {
  Name path, as;
  Loc loc;              // without the semicolon
  const Arrays *arrays; // what `as` stands for; NULL: a program
  bool library;         // of tetc itself
} TeImport;
int te_imports(Ctx *cx, const TeModule *m, const TeImport **out);
const char *te_library_def(const TeModule *m, const AstExpr *call); // the def of `nn.te` that is called; NULL: none
// What a call of such a def gives for a parameter; NULL: nothing.
const AstExpr *te_argument(const TeModule *m, const AstExpr *call, const char *param);

// Looks a constant name up (a knob, say) before params, consts and target constants; false: not known to it.
typedef bool TeLookup(void *self, Name name, int64_t *value);
// Value of a constant expression; reports an error and returns false when it has none. `more` may be NULL.
bool te_const_eval(Ctx *cx, const TeModule *m, const TeTarget *target, const AstExpr *e, TeLookup *more, void *self,
                   int64_t *value);

// build.c: nodes for rooms that rewrite stages (schedule: cache_read, cache_write, compute_inline).
const TeExpr *te_unary(Arena *a, UnOp op, const TeExpr *x, Loc loc);
const TeExpr *te_binary(Arena *a, BinOp op, const TeExpr *x, const TeExpr *y, Loc loc);
const TeExpr *te_select(Arena *a, const TeExpr *c, const TeExpr *x, const TeExpr *y, Loc loc);
const TeExpr *te_math(Arena *a, MathFn f, const TeExpr **args, Loc loc);
const TeExpr *te_const(Arena *a, DType t, Scalar v, Loc loc);
const TeExpr *te_int(Arena *a, int64_t n, Loc loc); // an index
const TeExpr *te_axis(Arena *a, const TeAxis *axis, Loc loc);
const TeExpr *te_cast(Arena *a, DType t, const TeExpr *e, Loc loc);                // e itself if it has that type
const TeExpr *te_access(Arena *a, const TeTensor *t, const TeExpr **idx, Loc loc); // copies the index array
// Rebuilds e bottom-up: `f` sees each rebuilt node and returns it or another. Unchanged trees keep their pointer.
typedef const TeExpr *TeMapFn(void *self, const TeExpr *e);
const TeExpr *te_map(Arena *a, const TeExpr *e, TeMapFn *f, void *self);
// Asks f of e and all in it, operands after what they are of, until it says true: whether it does. An f that says false
// visits all.
typedef bool TeVisitFn(void *self, const TeExpr *e);
bool te_any(const TeExpr *e, TeVisitFn *f, void *self);
// Whether two expressions are the same node by node, constants by their bits. Takes a step from *work for each node,
// and says no when none is left.
bool te_same(const TeExpr *x, const TeExpr *y, int *work);
// Whether all that e reads, where cond holds (NULL: everywhere), is known to be inside its tensors.
bool te_reads_inside(Ctx *cx, const TeExpr *cond, const TeExpr *e);
// accesses.c: what src/lin knows of such expressions, to start with.
struct Facts te_facts(Arena *a);
// Shows each access in a stage's body, and in its `where` (NULL: all points), with what is known where it is made.
typedef void TeAccessFn(void *self, struct Facts *known, const TeExpr *access);
void te_accesses(struct Facts *f, const TeExpr *body, const TeExpr *where, TeAccessFn *visit, void *self);
// Whether what the kernel computes is the same on every machine: it has no function like exp, which libraries round
// each in their own way.
bool te_is_exact(const TeKernel *k);

// print.c: the module after checking, as text that te_load reads again (phase `te` of the dumps).
void te_print(const TeModule *m, Text *out);
void te_print_expr(const TeExpr *e, Text *out);

// ---- reference semantics: eval.c ------------------------------------------------------------------------------------

// One array a tensor, dense, row-major, in TeKernel.tensors order.
typedef struct TeArrays {
  void **data;
} TeArrays;
Scalar te_reduce_identity(TeReduce r, DType t); // what a reduction starts with, and what one of no points gives
int64_t te_tensor_elems(const TeTensor *t);     // product of the extents (checked when loaded: below 2^40)
// Evaluates the unscheduled kernel: inputs are given (constants have their values), all other tensors are computed into
// the given arrays. Reports an error (an access out of bounds where the checker could not tell) and returns false.
bool te_eval(Ctx *cx, const TeKernel *k, const TeArrays *arrays);

#endif

// SPDX-License-Identifier: Apache-2.0
// What the files of this room share: the model as a list of nodes on values, and the text that grows from it.
//
//   file -> read.c (checked, unpacked) -> graph.c (nodes, values) -> fold.c (batch normalisation) -> import.c, a node
// after the
//   other: a row of onnx.def, its function in op_*.c -> text.c (names, lines, calls in calls)
#ifndef TETC_NET_INTERNAL_H
#define TETC_NET_INTERNAL_H

#include "net/net.h"
#include "onnx.pb-c.h"
#include "te/te.h"

enum { MAX_RANK = 8, LONGEST_NEST = 110, OLDEST_OPSET = 7, NEWEST_OPSET = 22 };

// The extents of a value. `free`: the first one is times the param n, which is 1 unless -D says otherwise.
typedef struct Shape {
  int rank;
  bool free;
  int64_t at[MAX_RANK];
} Shape;

// A tensor of the model: an input, a constant, or what a node gives.
typedef struct Value Value;
struct Value {
  const char *name;   // the model's
  const char *prefix; // before a name that starts with a digit
  Value *reshaped;    // of a constant: the last one that was made of it
  Value *whole;       // the stage with all its axes, where its own has fewer
  DType type;
  Shape shape;
  int width;        // how many of its axes its text has; the extents of those behind it are 1
  const void *data; // of a constant, dense; else NULL
  bool known;       // it has type and shape: it is an input or constant, or its node was imported
  int uses;         // how many inputs of nodes it is
  bool input, output;
  const char *id;   // of its input, stage or array in the text; NULL: none yet
  const char *expr; // what its stage will be, until it has one
  bool axes;        // expr is written with the axes of the stage
  bool call;        // expr is a call or a name: it needs no parentheses
  bool view;        // expr is an arrangement of another tensor: it may stand in any call
  bool stored;      // a constant that is in the .npz file
};

struct Operator;

typedef struct Node {
  const Onnx__NodeProto *proto;
  const struct Operator *op;
  Loc loc; // its line of the listing
  int nin, nout;
  Value **in, **out; // NULL: left out
  bool dropped;      // folded into another
} Node;

typedef struct Import {
  Ctx *cx;
  Arena *a;
  const NetOptions *options;
  const Onnx__ModelProto *model;
  const Source *listing; // a line a node
  int opset;
  PtrMap values; // interned name -> Value
  PtrMap taken;  // interned identifier -> 1
  VEC(Node) nodes;
  VEC(Value *) inputs, outputs, weights; // weights: what the .npz file has
  Text *body;                            // lines of the kernel so far
  bool folding;                          // it is the text of constants alone, to be evaluated here:
  int stages;                            //   named by numbers;
  VEC(Value *) operands;                 //   those that it reads
  bool *dims_used;                       // of options->dims
  const char *free_input, *free_name;    // an input whose first extent is free, and what --dim calls it; NULL: none
  const Node *pins;                      // a node that needs n as a number; NULL: none yet
} Import;

// A row of onnx.def. `import` gives every output of the node its type, shape and text; false after a report.
typedef bool ImportFn(Import *m, Node *n);
typedef struct Operator {
  const char *name, *domain;
  int since, until; // opsets whose definition it has
  ImportFn *import;
  const char *attributes; // those that it knows, with spaces between them
  const char *text;       // of operators that differ only in their expression: `max({0}, {1})`
  const char *becomes;    // for people
} Operator;

/* read.c */
// The model; NULL after a report. *hash is 64 digits.
const Onnx__ModelProto *model_read(Ctx *cx, const char *path, char hash[65]);

/* graph.c */
void graph_list(Import *m);  // the listing
bool graph_build(Import *m); // values and nodes
Value *value_new(Import *m, const char *name);
bool type_of_onnx(int32_t type, DType *out); // false: the language has none
const char *onnx_type_name(Arena *a, int32_t type);
// A tensor's elements, dense; NULL after a report at `at`.
bool tensor_read(Import *m, const Onnx__TensorProto *t, Loc at, const char *what, Value *into);

/* fold.c */
bool fold_norms(Import *m); // batch normalisation behind a convolution: into its weights
// A node of constants, which has given its texts in `body` and its outputs: they become constants. False without a
// report: there is too much.
bool fold_constants(Import *m, Node *n, Text *body);

/* import.c */
const Operator *operator_find(const char *domain, const char *name, int opset, const Operator **other);
// An error at the node's line. It goes on with notes.
Diag *refuse(Import *m, const Node *n, const char *fmt, ...) PRINTF_LIKE(3, 4);
// The node needs to know n: it is 1 from the start.
bool needs_extents(Import *m, const Node *n, const Value *v);

/* attributes: import.c. Those of another type than asked for are an error when the node is looked at. */
const Onnx__AttributeProto *attribute(const Node *n, const char *name);
int64_t attribute_int(const Node *n, const char *name, int64_t otherwise);
double attribute_float(const Node *n, const char *name, double otherwise);
const char *attribute_text(Import *m, const Node *n, const char *name, const char *otherwise);
// Its list; *count 0 if it is not given.
const int64_t *attribute_ints(const Node *n, const char *name, int *count);
Value *input_of(const Node *n, int i); // NULL: left out
// An input that must be a constant of integers: its elements. False after a report.
bool constant_ints(Import *m, const Node *n, int i, const char *what, int *count, const int64_t **out);

/* shapes: text.c */
int64_t elements(const Shape *s);
bool shape_same(const Shape *a, const Shape *b);
const char *typed_shape(Arena *a, DType t, const Shape *s);
// A shape of extents that are positive and not too many elements; an error at the node if not.
bool shape_check(Import *m, const Node *n, const Shape *s);
const char *extent_text(Import *m, const Shape *s, int axis); // 3, n, 2 * n
const char *axis_name(const Shape *s, int axis);
const char *axes_text(Import *m, const Shape *s); // [n: n, c: 3]
const char *indices_text(Import *m, const Shape *s);

/* text.c */
const char *identifier(Import *m, const char *name, const char *otherwise);
const char *identifier_of(Import *m, const Value *v, const char *otherwise); // of a value, by its name
void line(Import *m, const char *fmt, ...) PRINTF_LIKE(2, 3);
// Where a value stands in the text: a name, of its stage, input or constant; makes the stage.
const char *named(Import *m, Value *v);
const char *operand(Import *m, Value *v); // its name, or the view that it is, as an argument of a call; all its axes
const char *nest(Import *m, Value *v);    // the same, or the whole expression that makes it, if nobody else reads it
const char *inside(Import *m, Value *v);  // nest, in parentheses where an operator stands beside it
const char *constant_text(Import *m, const Value *v, int64_t element); // an element as a literal
const char *nest_narrow(Import *m, Value *v, int *width);   // of an expression that may have fewer axes than the value:
const char *inside_narrow(Import *m, Value *v, int *width); // *width of them
const char *element_of(Import *m, Value *v, const char *indices); // its element there: NAME[indices], or NAME
// The value's element for indices of a shape that it is broadcast to.
const char *broadcast_element(Import *m, Value *v, const Shape *to);
// What the i-th output is: an expression of whole tensors, one with axes, or a view.
typedef enum Form { WHOLE, CALL, AXES, VIEW } Form;
bool result(Import *m, Node *n, int i, DType t, const Shape *s, Form form, const char *expr);
// The same of a text that has only `width` axes: the extents of the others are 1.
bool result_narrow(Import *m, Node *n, int i, DType t, const Shape *s, int width, Form form, const char *expr);
bool result_constant(Import *m, Node *n, int i, DType t, const Shape *s, const void *data);
bool result_same(Import *m, Node *n, int i, Value *v, const Shape *s); // the same elements, in another shape
// A constant made of another one, with the same name.
Value *derived(Import *m, const Value *from, const Shape *s, const void *data);
Value *derived_once(Import *m, Value *from,
                    const Shape *s); // the same data; the last one that was made, if it has the shape
// A value that stands between, for the node's first output.
Value *temporary(Import *m, Node *n, DType t, const Shape *s, Form form, const char *expr);
const char *filled(Import *m, const char *pattern, int count, const char **operands); // {0}, {1}, ...
// Whether all elements of a constant are this number.
bool all_equal(const Value *v, double number);
// A constant with its axes in another order.
const void *permuted(Import *m, const Value *v, const int *order, Shape *out);

/* op_elementwise.c */
// {0}, {1} ... of the pattern are the elements of `in`, broadcast; the node's first output.
bool elementwise(Import *m, Node *n, int count, Value **in, DType type, const char *pattern);

/* op_*.c */
#define OP(name, since, until, function, attributes, text, becomes) bool function(Import *m, Node *n);
#include "net/onnx.def"

#endif

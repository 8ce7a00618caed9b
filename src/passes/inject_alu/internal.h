// SPDX-License-Identifier: Apache-2.0
// inject_alu, inside: a nest's value as a graph of ALU operations.
#ifndef TETC_INJECT_ALU_H
#define TETC_INJECT_ALU_H

#include "passes/tile_nest.h"

// A memory place of one tile for each point of some loops. Its index counts tiles.
typedef struct AluPlace {
  const Buffer *buffer;
  Affine tile;
} AluPlace;

// A place that values are computed in: the nest's destination, or a temporary.
typedef struct AluReg {
  AluPlace at;
  uint64_t mask; // loops that it has a tile for, a bit each
  bool is_dst, busy;
} AluReg;

typedef enum NodeKind {
  NODE_CONST, // value
  NODE_LOAD,  // from
  NODE_OP     // op: VTA_MIN VTA_MAX VTA_ADD VTA_SHR VTA_MUL; a, b. A constant stands in b, if it may
} NodeKind;

// A 32-bit value of every lane. Equal nodes are mostly the same pointer.
typedef struct Node Node;
struct Node {
  NodeKind kind;
  Loc loc;
  int32_t value;
  AluPlace from;
  VtaOp op;
  const Node *a, *b;
  uint64_t mask;  // loops that it depends on
  bool old;       // NODE_LOAD of the very element that the nest stores
  bool reads_dst; // it, or something below it, reads what the nest may overwrite
  int64_t lo, hi; // bounds of its value
  int size;       // nodes below it, saturating
  int need;       // temporaries that computing it takes besides its own place
  int id;         // its index in Alu.nodes
};

// What emission knows of a node.
typedef struct NodeState {
  int uses;    // uses to come
  AluReg *reg; // where it is, once computed for several uses
} NodeState;

// What the whole function says of a buffer.
typedef struct AluFact {
  int loads, writes, byte_writes; // statements; byte_writes: transfers of int8 data, and of zeros
  int64_t lo, hi;                 // bounds of its values
} AluFact;
typedef struct AluFacts {
  Arena *arena;
  PtrMap of_buffer; // to AluFact
} AluFacts;

typedef struct Alu {
  NestPlace p;
  Nest *n;
  AluFacts *facts;
  int64_t room;      // tiles of vta.acc that no buffer in scope takes
  Affine linear;     // of the store, in elements
  AluPlace dst;      // without lanes
  uint64_t lanes;    // the loops inside a tile
  uint64_t dst_mask; // the loops that move the destination
  uint64_t repeats;  // loops whose last round alone counts: dropped
  uint64_t opaque;   // loops that an index uses in a way that is not affine
  bool alias;        // reads the destination's buffer at another place that may overlap
  bool failed;
  VEC(const Node *) nodes;
  PtrMap memo, truths; // Expr to Node, to Truth
  // emission
  uint64_t carried; // loops that stand around the whole sequence of instructions
  NodeState *state;
  VEC(const Stmt *) before, body;
  bool to_before; // instructions go to `before`: ahead of the carried loops
  VEC(AluReg *) temps;
} Alu;

/* match.c */
// The graph of a value, which stands `depth` deep. NULL when something in it is refused (reported; all causes are).
const Node *alu_match(Alu *s, const Expr *e, int depth);
const Node *node_const(Alu *s, int64_t v, Loc loc);
const Node *node_op(Alu *s, VtaOp op, const Node *a, const Node *b, Loc loc);
const Node *node_neg(Alu *s, const Node *n, Loc loc);
const Node *node_abs(Alu *s, const Node *n, Loc loc);
const Node *node_within(const Node *n, int64_t lo, int64_t hi); // n, whose values are known to be between
bool node_is_const(const Node *n, int64_t *v);
bool op_commutes(VtaOp op);
int32_t op_value(VtaOp op, int32_t x, int32_t y); // the ALU's own arithmetic
// Refusals of e, each NULL or true: an operation that the ALU lacks, a type that it does not compute in, depth.
const Node *alu_lacks(Alu *s, const Expr *e, const char *what, const char *help);
const Node *alu_bad_type(Alu *s, const Expr *e);
bool alu_too_deep(Alu *s, const Expr *e, int depth);
// Reports a refusal at `at`, with the rule that is broken.
Diag *alu_refuse(Alu *s, DiagCode code, Loc at, const char *rule, const char *fmt, ...) PRINTF_LIKE(5, 6);
const char *alu_tile_rule(const Alu *s); // whole tiles
#define ALU_TYPE_RULE "the ALU computes in int32: it reads and writes int32 tiles of vta.acc"

/* choice.c */
const Node *alu_match_choice(Alu *s, const Expr *e, int depth); // EXPR_SELECT of int32
const Node *alu_match_bool(Alu *s, const Expr *e, int depth);   // a condition, as 0 and 1
bool alu_reads(const Expr *e);                                  // whether it has loads: else it is of position alone

/* access.c */
bool alu_match_target(Alu *s); // destination's memory, type, lanes; false when refused (reported)
bool alu_match_load(Alu *s, const Expr *e, Node *out); // fills from, mask, old, reads_dst
bool alu_injective(const Alu *s);                      // every point of the destination's loops has its own tile

/* emit.c */
const Stmt *alu_emit(Alu *s, const Node *root);

/* leftover.c */
// Reports on-chip buffers that host statements touch: stages that no region computes. False if there were any.
bool alu_check_leftovers(PassCtx *pc, const VtaTarget *vta, const Func *f);

/* inject_alu.c */
const AluFact *alu_fact(const Alu *s, const Buffer *b);

#endif

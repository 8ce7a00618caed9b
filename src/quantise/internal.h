// SPDX-License-Identifier: Apache-2.0
// What the files that quantise share.
//
//   text -> network.c (nodes, one an operator) -> layers.c (what becomes one int8 stage, what stays float)
//     -> scales.c (what the samples give: scales) -> weights.c (integers, by layers, proved)
//     -> text.c (the new program) -> quantise.c (measured)
#ifndef TETC_QUANTISE_INTERNAL_H
#define TETC_QUANTISE_INTERNAL_H

#include "quantise/quantise.h"

typedef struct QNode QNode;
typedef struct QLayer QLayer;

// ---- the float network ---------------------------------------------------------------------------------------------

typedef enum QKind {
  Q_INPUT,
  Q_CONV, // conv2d, depthwise
  Q_DENSE,
  Q_BIAS, // bias_add of a constant
  Q_RELU,
  Q_CLAMP, // relu6, clamp(x, 0, number)
  Q_ADD,   // of equal shapes
  Q_MEAN,  // global_average_pool
  Q_AVERAGE,
  Q_MAX,  // max_pool, global_max_pool
  Q_VIEW, // flatten, spatial, reshape: the same elements in their order
  Q_CONCAT,
  Q_FLOAT // anything else: its text
} QKind;

// Where a text names another node's tensor.
typedef struct QRef {
  Loc at;
  QNode *node;
} QRef;

typedef struct QWindow {
  int64_t strides[2], pads[4], dilations[2], sizes[2];
} QWindow;

struct QNode {
  QKind kind;
  const char *def; // of lib/nn.te; NULL: none
  Name name;       // of its stage
  Loc span;        // its text
  bool whole;      // span is the whole declaration
  bool output;
  bool axis_named; // by a concatenation that stays float
  int decl;        // of which it is a part
  VEC(QRef) refs;  // in the order of the text
  VEC(QNode *) in; // what it reads, each once a use
  int uses;
  const TeTensor *weight; // Q_CONV Q_DENSE Q_BIAS
  bool depthwise;
  QWindow window;
  double high;            // Q_CLAMP
  bool cuts;              // Q_CLAMP: it was a rounding from 0 on, and has a text of its own
  int64_t axis;           // Q_CONCAT
  const TeTensor *tensor; // of the flat program: its shape
  // From layers.c on:
  QLayer *layer; // that gives it, or of which it is an inner part
  QLayer *int8;  // that quantises it, where its own layer gives floats
  bool want_int8, want_float;
  const char *int8_name, *float_name; // of its stages in the new program; NULL: none yet
};

// ---- what becomes of it --------------------------------------------------------------------------------------------

typedef enum QLayerKind {
  L_QUANTISE, // float to int8
  L_LINEAR,   // a convolution or product, its bias and activation
  L_RESIDUAL, // the same, and what was there before
  L_ADD,
  L_MEAN, // and Q_AVERAGE
  L_SAME, // int8 to int8 of the same scale: maxima, views, concatenations, relu alone
  L_FLOAT
} QLayerKind;

enum { BINS = 8192, STEPS = 33, WIDEST = 8192 };

// The scale of int8 values: of one layer's, or of several that must have the same.
typedef struct QScale {
  double most;          // the greatest magnitude
  double widest;        // the least scale with which all are between -128 and 127
  int64_t *bins;        // how often magnitudes occur, of equal parts of 0 to range; zeros are left out
  double range;         // a power of two
  int64_t counted;      // values, with zeros
  double signal;        // the sum of their squares
  int layers;           // that round to it
  int reach;            // of its layers
  bool mean;            // one of them is a mean of all pixels
  int members;          // of the group that it stands for
  double step;          // the scale: 0 until it is found
  struct QScale *group; // of scales that are powers of two apart
  struct QScale *same;  // which it became
} QScale;

struct QLayer {
  QLayerKind kind;
  QNode *out;               // what it gives
  QNode *root, *bias, *act; // L_LINEAR L_RESIDUAL: bias and act may be NULL; else root: the operator; act, too
  QNode *pre;               // what the activation is of
  QNode *data, *skip;       // L_LINEAR L_RESIDUAL: data; L_RESIDUAL L_ADD: skip
  bool floats;              // L_LINEAR: its sums become floats at once
  QScale *scale;            // NULL: it gives floats
  double *means;            // L_LINEAR L_RESIDUAL: of each channel of `pre`, float
  // The integers.
  int8_t *weights;
  int32_t *biases, *shifts, *multipliers;
  double *units;          // of the sums of each channel
  float *factors;         // floats: the same
  int shift;              // L_MEAN, or `multiply`: behind the multiplication
  int before;             // `multiply`: before it
  int left, other, right; // L_RESIDUAL L_ADD: of the skip; L_ADD: of the data; of the sum
  int64_t multiplier;     // L_MEAN
  int low, high, limit;   // limit: L_RESIDUAL, of what is added to the skip
  float *floats_seen;     // L_QUANTISE: of all samples
  int reach;              // values are -reach to reach - 1: 128, more for means that only products or floats read
  int8_t *values;         // of all samples
  int16_t *wide;          // the same, where reach is more
  // Measured.
  double signal, noise;
  int64_t clipped, counted;
};

typedef struct Quantise {
  Ctx *cx;
  Arena *a;
  const QuantiseTask *q;
  const QuantiseHost *host;
  QuantiseScheme scheme;
  int ndecls;
  const TeDecl *decls;
  VEC(QNode *) nodes;   // in the order of evaluation
  PtrMap named;         // the stages of the text
  VEC(QLayer *) layers; // in the order of evaluation
  VEC(QScale *) scales;
  const char *library; // before its names: `nn.`
  PtrMap taken;        // names of the new text
  const Source *flat;  // the float program, a stage a node
  // Measured, of all outputs.
  double signal, noise;
  const QNode *classes; // the first one that has classes; NULL: none
  int64_t agree;        // how often the first one is the same
} Quantise;

typedef VEC(SourceEdit) SourceEdits;

/* network.c */
bool graph_read(Quantise *z);                  // nodes; false after a report
const char *graph_flat(Quantise *z, QNode *n); // the node's declaration in the flat program
bool graph_shapes(Quantise *z, const TeKernel *flat);
Name fresh_stage(Quantise *z, const char *base);
// The text of a node, or of its whole declaration, with the nodes that it names called as `name` says.
const char *node_text(Quantise *z, const QNode *n, const char *(*name)(Quantise *z, QNode *n));

/* layers.c */
void layers_make(Quantise *z);
static inline QScale *scale_of(QScale *s) {
  while (s->same) s = s->same;
  return s;
}
// The layer whose int8 values others read for a node; NULL: there is none.
static inline QLayer *int8_layer(const QNode *n) { return n->layer && n->layer->scale ? n->layer : n->int8; }
static inline bool is_wide(const QLayer *l) { return l->reach > 128; }
static inline double step_of(const QNode *n) { return scale_of(int8_layer(n)->scale)->step; }
int64_t node_elems(const QNode *n);

QScale *group_of(QScale *s); // the one that stands for its group

/* scales.c */
bool scales_find(Quantise *z, QuantiseProgram *flat);

/* weights.c */
bool weights_make(Quantise *z);
int64_t channels_of(const QLayer *l);
int64_t taps_of(const QLayer *l); // of each channel

/* eval.c: what the new stages compute, in integers */
void eval_sums(const QLayer *l, int64_t sample, int32_t *sums); // L_LINEAR, L_RESIDUAL: without the bias
void eval_layer(const Quantise *z, QLayer *l, int64_t sample, const int32_t *sums);

/* text.c */
// The new program; once more when it was measured, with that. False after a report.
bool text_make(Quantise *z, bool measured, QuantisedText *out);
Loc statement(Loc loc, bool goes); // with its semicolon; `goes`: and its line, where it stands alone on one
bool schedule_drops(const Quantise *z, const TeSchedule *s); // it is of the float stages
const char *decibels(Arena *a, double signal, double noise);
const char *scheme_name(QuantiseScheme s);
const char *layer_stage(Quantise *z, const QLayer *l); // the stage that a layer became

#endif

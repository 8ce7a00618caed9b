// SPDX-License-Identifier: Apache-2.0
// net: model files of frameworks (ONNX) become programs that call lib/nn.te, with their weights in an .npz file. A
// module that only `tetc import` loads: nothing else needs protobuf.
#ifndef TETC_NET_H
#define TETC_NET_H

#include "base/base.h"

typedef struct NetDim {
  const char *name; // of a free extent, as the model has it; `n`: the first of the inputs
  int64_t extent;
} NetDim;

typedef struct NetOptions {
  const char *path;    // the model's file
  const char *weights; // the name of the .npz file in the text's import
  int ndims;
  const NetDim *dims;
} NetOptions;

typedef struct NetText {
  const char *text;
  size_t len;
  const unsigned char *weights; // the bytes of the .npz file; NULL: the model has none
  size_t weights_len;
} NetText;

typedef struct NetModule {
  // Reads the model and writes its program. Reports every error it can find, at lines of a listing of the model's
  // nodes, and returns false when there was one.
  bool (*import)(Ctx *cx, const NetOptions *options, NetText *out);
  // The table of operators as a page.
  void (*list_operators)(Text *out);
} NetModule;

/* load.c */
// The module; NULL with *error.
const NetModule *net_module_load(const char **error);

#endif

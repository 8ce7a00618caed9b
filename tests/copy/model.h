// SPDX-License-Identifier: Apache-2.0
// A model of TIR that knows nothing of the compiler: statements run one by one, transfers as vta-isa section 6 says.
// Every access is checked, every field against its width.
#ifndef TETC_TESTS_COPY_MODEL_H
#define TETC_TESTS_COPY_MODEL_H

#include "backend_vta/vta.h"

typedef struct ModelBuffer {
  const Buffer *buffer;
  uint8_t *data;
} ModelBuffer;

typedef struct Model {
  const VtaTarget *vta;
  ModelBuffer buffers[4];
  int nbuffers;
  struct {
    const Var *var;
    int64_t value;
  } vars[64];
  int nvars;
  int64_t transfers; // executed
  int64_t stores;    // of elements, by loops
  const char *error; // the first; NULL if none
} Model;

void model_add(Model *m, const Buffer *b, uint8_t *data);
// The value of e where the variables have those values.
Scalar model_eval(Model *m, const Expr *e);
// Runs s; false with m->error if it does something that it must not.
bool model_run(Model *m, const Stmt *s);

#endif

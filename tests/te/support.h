// SPDX-License-Identifier: Apache-2.0
// What the tests of te share: loading from text or file with a VTA-like target, and reading the messages back.
#ifndef TETC_TESTS_TE_SUPPORT_H
#define TETC_TESTS_TE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "te/te.h"

typedef struct Loaded {
  Ctx cx;
  const TeModule *m; // NULL after errors
} Loaded;

typedef struct Message {
  char headline[256]; // "error[E0101]: ..."
  char path[256];
  int line, col;
} Message;

Loaded load_text(const char *text);
Loaded load_file(const char *path);
Loaded load_with(const char *path, const char *text, const TeOptions *opt);
void unload(Loaded *l);
TeOptions default_options(void);
// The messages so far; the caller frees.
Message *messages_of(const Loaded *l, int *count);
// Fails the test unless the first message has this code and contains the text.
void expect_error(const Loaded *l, const char *code, const char *text);
const TeTensor *tensor_named(const TeKernel *k, const char *name);
// Allocates arrays; fills the inputs with small pseudo-random values from the seed.
TeArrays make_arrays(const TeKernel *k, uint64_t seed);
void free_arrays(const TeKernel *k, TeArrays *a);
// walk.c: the definition of the language's meaning, point by point; false when an index leaves its tensor.
bool walk_kernel(const TeKernel *k, const TeArrays *arrays);

#endif

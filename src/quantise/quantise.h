// SPDX-License-Identifier: Apache-2.0
// quantise: float networks become networks of int8 stages, text to text, by samples of their input.
#ifndef TETC_QUANTISE_H
#define TETC_QUANTISE_H

#include "te/te.h"

typedef enum QuantiseScheme { SCHEME_AUTO, SCHEME_SHIFT, SCHEME_MULTIPLY } QuantiseScheme;

// A program that runs on the CPU as its text says, with stages shown as outputs.
typedef struct QuantiseProgram QuantiseProgram;
// Who has a compiler and samples. Every function reports its errors.
typedef struct QuantiseHost {
  void *self;
  QuantiseProgram *(*open)(void *self, const Source *text, const TeGiven *given, const char *kernel, int nstages,
                           const char **stages);
  const TeKernel *(*kernel)(const QuantiseProgram *p);
  const void *(*values)(const QuantiseProgram *p, const char *tensor); // dense; NULL: no input or output
  bool (*run)(void *self, QuantiseProgram *p, int64_t sample);         // with that sample as its input
  void (*close)(QuantiseProgram *p);
  int64_t samples;
} QuantiseHost;

typedef struct QuantiseTask {
  QuantiseHost host;
  const TeModule *module;
  const TeKernel *kernel;
  const char *arrays; // the name of the .npz file in the text's import
  bool elsewhere;     // the new text stands in another folder
  const char *set;    // what the samples are called in comments
  QuantiseScheme scheme;
  bool requantise; // roundings of the text are taken away
  int nkept;
  const char *const *kept; // stages that stay float
} QuantiseTask;

typedef struct QuantisedText {
  const Source *text;
  const unsigned char *arrays; // the bytes of the .npz file
  size_t arrays_len;
} QuantisedText;

// Reports why and returns false if it cannot be done.
bool quantise_network(Ctx *cx, const QuantiseTask *q, QuantisedText *out);

#endif

// SPDX-License-Identifier: Apache-2.0
// base: what the files of the diagnostics share.
#ifndef TETC_BASE_INTERNAL_H
#define TETC_BASE_INTERNAL_H

#include "base/base.h"

// A second place of a message.
typedef struct DiagPlace {
  Loc at;
  const char *label; // "": none
} DiagPlace;

typedef enum DiagSubKind { SUB_NOTE, SUB_NEST, SUB_RULE, SUB_HELP } DiagSubKind;

typedef struct DiagSub {
  DiagSubKind kind;
  const char *text;
} DiagSub;

struct Diag {
  Arena *arena;
  const Diags *owner;
  DiagCode code;
  Severity severity;
  Loc at;
  const char *headline;
  const char *subject; // diag_about; NULL: none
  const char *label;   // NULL: none
  VEC(DiagPlace) also;
  VEC(DiagSub) subs;
  VEC(DiagFix) fixes;
};

typedef struct DiagCall {
  Loc block;
  DiagPlace from;
} DiagCall;

struct Diags {
  Arena *arena;
  VEC(Diag *) list;
  int errors;    // all of them, the hidden ones too
  int hidden[3]; // not kept, by severity: the flood limit was reached
  int kept[3];
  VEC(Loc) whole;        // blocks that no statement is inserted into
  bool remarks;          // remarks are printed
  VEC(DiagPlace) around; // diags_enter, outermost first
  VEC(DiagCall) called;  // blocks that stand for something where they are called
};

const char *severity_text(Severity s);
// The span in bytes of the source, within it whatever the lines and columns say.
void loc_bytes(Loc at, size_t *begin, size_t *end);
const char *loc_line(const Source *s, uint32_t line, size_t *len); // without its line end; line may be out of range

// diag_text.c
void diag_render(const Diag *g, const DiagLook *look, Text *out);

// diag_json.c
void diag_json(const Diag *g, Text *out);
void diag_json_hidden(const Diags *d, Text *out); // a line for the messages that were not kept, if there are any
void diags_sarif(const Diags *d, Text *out);

#endif

// SPDX-License-Identifier: Apache-2.0
// What every refusal of a pass, or of a back end, tells, in one place: the expression at fault, the schedule statement
// that asked, the nest in TIR, the rule that it breaks. The caller adds notes of its own and the remedies.
#ifndef TETC_REFUSE_H
#define TETC_REFUSE_H

#include "tir/tir.h"

typedef struct Refusal {
  Ctx *cx;
  const char *phase;     // the pass
  const Stmt *nest;      // shown in TIR
  const char *nest_text; // shown instead, if not NULL
  Loc asked;             // the schedule statement; unknown in TIR that was written by hand
  const char *asked_as;  // "the copy is asked for here"
  const char *rule;      // what can be, in one sentence
} Refusal;

// Reports it. `at` unknown: the nest's place is taken.
Diag *refuse(const Refusal *r, DiagCode code, Loc at, const char *headline);
// The loops and conditions that stand directly around s in body, as one statement; s itself if there are none.
const Stmt *nest_around(const Stmt *body, const Stmt *s);

#endif

// SPDX-License-Identifier: Apache-2.0
// lin, inside: what the facts ask of the expressions that their atoms stand for.
#ifndef TETC_LIN_INTERNAL_H
#define TETC_LIN_INTERNAL_H

#include "lin/lin.h"

/* read.c */
Interval facts_range_of_parts(Facts *f, const void *e); // of an atom, before any fact about itself
void facts_deduce(Facts *f, const void *e, Interval r); // adds what the interval of an atom says of its operands

#endif

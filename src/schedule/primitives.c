// SPDX-License-Identifier: Apache-2.0
// The table of schedule primitives. What each does stands in loops.c, place.c, marks.c and epilogue.c.
#include "schedule/internal.h"

#define PRIMITIVE(name, least, most, keys, results, usage, apply) {#name, least, most, keys, results, usage, apply},
const Primitive primitive_table[] = {
#include "schedule/primitives.def"
};
#undef PRIMITIVE
const int primitive_count = (int)(sizeof primitive_table / sizeof primitive_table[0]);

// SPDX-License-Identifier: Apache-2.0
// The functions of the language: those of base/ops.def, and those of builtins.def.
#include "te/internal.h"

#include <string.h>

#define ARGS_1 "x"
#define ARGS_2 "x, y"
#define ARGS_3 "x, y, z"

static const Builtin builtins[] = {
#define MATH(id, name, arity, takes) {BUILTIN_MATH, name, ARGS_##arity, arity, .fn = FN_##id},
#include "base/ops.def"
#define COUNT(...) ((int)(sizeof((BinOp[]){__VA_ARGS__}) / sizeof(BinOp)))
#define OPERATORS(name, args, ...) \
  {BUILTIN_OPERATORS, name, args, COUNT(__VA_ARGS__) + 1, .nops = COUNT(__VA_ARGS__), .ops = {__VA_ARGS__}},
#define SPECIAL(id, text, call, n) {.kind = BUILTIN_##id, .name = text, .args = call, .nargs = n},
#include "te/builtins.def"
};
enum { BUILTINS = sizeof builtins / sizeof *builtins };

const Builtin *builtin_find(const char *name) {
  for (int i = 0; i < BUILTINS; i++)
    if (strcmp(builtins[i].name, name) == 0) return &builtins[i];
  return NULL;
}

void builtins_try(Nearest *n) {
  for (int i = 0; i < BUILTINS; i++) nearest_try(n, builtins[i].name);
  for (int i = 0; i < DT_COUNT; i++) nearest_try(n, dtype_name((DType)i));
}

bool call_has(Ctx *cx, const AstExpr *e, int wanted, const char *args) {
  if (e->nitems == wanted) return true;
  Diag *g = diag_report(cx->diags, E_TYPE, e->loc, "`%s` takes %d argument%s, not %d", e->name, wanted,
                        wanted > 1 ? "s" : "", e->nitems);
  bool reduces = reduction_named(e->name);
  diag_help(g, "it is written `%s(%s)`%s", e->name, args,
            reduces ? arena_printf(cx->arena, "; the reduction is `%s[axis: extent](...)`", e->name) : "");
  return false;
}

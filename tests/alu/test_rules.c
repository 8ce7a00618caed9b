// SPDX-License-Identifier: Apache-2.0
// One case a rule: a store in TIR text, and the instructions that it must become. Loops are left out of the
// expectation where they are those of the store; cases about loops list them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"

typedef struct Case {
  const char *name, *nest, *want;
} Case;

// d, a, c: a tile for each x; e: one for each pair of x, y; s: one tile.
static const char head[] = "func t() target vta {\n"
                           "  alloc d: int32[8, 1, 16] @vta.acc;\n  alloc a: int32[8, 1, 16] @vta.acc;\n"
                           "  alloc c: int32[8, 1, 16] @vta.acc;\n  alloc e: int32[8, 4, 1, 16] @vta.acc;\n"
                           "  alloc s: int32[1, 16] @vta.acc;\n  vta.alu() {\n";
static const char x_j[] = "for x in 0..8 { for j in 0..16 { d[x, 0, j] = %s; } }";

static const Case values[] = {
    {"copy", "a[x, 0, j]", "mov(&d[x], &a[x])"},
    {"immediate", "a[x, 0, j] >> 8i32", "mov(&d[x], &a[x]) shr(&d[x], 8)"},
    {"in place", "d[x, 0, j] + 1i32", "add(&d[x], 1)"},
    {"in place, second operand", "a[x, 0, j] + d[x, 0, j]", "add(&d[x], &a[x])"},
    {"a broadcast is no first operand", "s[0, j] + a[x, 0, j]", "mov(&d[x], &a[x]) add(&d[x], &s[0])"},
    {"left shift", "a[x, 0, j] << 3i32", "mov(&d[x], &a[x]) shr(&d[x], -3)"},
    {"shift modulo the width", "a[x, 0, j] >> 35i32", "mov(&d[x], &a[x]) shr(&d[x], 3)"},
    {"shifts merge", "a[x, 0, j] >> 3i32 >> 4i32", "mov(&d[x], &a[x]) shr(&d[x], 7)"},
    {"shifts saturate", "a[x, 0, j] >> 20i32 >> 20i32", "mov(&d[x], &a[x]) shr(&d[x], 31)"},
    {"shifts there and back stay", "a[x, 0, j] << 3i32 >> 3i32", "mov(&d[x], &a[x]) shr(&d[x], -3) shr(&d[x], 3)"},
    {"nothing is left", "a[x, 0, j] << 20i32 << 20i32", "reset(&d[x])"},
    {"difference with a constant", "a[x, 0, j] - 3i32", "mov(&d[x], &a[x]) add(&d[x], -3)"},
    {"constant on the left", "5i32 - a[x, 0, j]", "mov(&d[x], &a[x]) mul(&d[x], -1) add(&d[x], 5)"},
    {"difference", "a[x, 0, j] - c[x, 0, j]", "mov(&d[x], &c[x]) mul(&d[x], -1) add(&d[x], &a[x])"},
    {"sums fold", "(a[x, 0, j] + 100i32) + (c[x, 0, j] - 90i32)",
     "mov(&d[x], &a[x]) add(&d[x], &c[x]) add(&d[x], 10)"},
    {"products fold", "a[x, 0, j] * 3i32 * -5i32", "mov(&d[x], &a[x]) mul(&d[x], -15)"},
    {"min of min", "min(min(a[x, 0, j], 5i32), 3i32)", "mov(&d[x], &a[x]) min(&d[x], 3)"},
    {"a clamp is two", "max(min(a[x, 0, j], 7i32), 0i32)", "mov(&d[x], &a[x]) min(&d[x], 7) max(&d[x], 0)"},
    {"a clamp known to do nothing", "min(max(min(a[x, 0, j], 7i32), 0i32), 100i32)",
     "mov(&d[x], &a[x]) min(&d[x], 7) max(&d[x], 0)"},
    {"abs", "abs(a[x, 0, j])", "mov(&d[x], &a[x]) mul(&d[x], -1) max(&d[x], &a[x])"},
    {"abs of more is computed once", "abs(a[x, 0, j] - 9i32)",
     "mov(&d_t[x], &a[x]) add(&d_t[x], -9) mov(&d[x], &d_t[x]) mul(&d[x], -1) max(&d[x], &d_t[x])"},
    {"square", "a[x, 0, j] * a[x, 0, j]", "mov(&d[x], &a[x]) mul(&d[x], &d[x])"},
    {"relu as a choice", "a[x, 0, j] > 0i32 ? a[x, 0, j] : 0i32", "mov(&d[x], &a[x]) max(&d[x], 0)"},
    {"the same, otherwise", "a[x, 0, j] <= -1i32 ? 0i32 : a[x, 0, j]", "mov(&d[x], &a[x]) max(&d[x], 0)"},
    {"the same, negated", "!(0i32 < a[x, 0, j]) ? 0i32 : a[x, 0, j]", "mov(&d[x], &a[x]) max(&d[x], 0)"},
    {"clamp as two choices", "a[x, 0, j] < -8i32 ? -8i32 : a[x, 0, j] > 7i32 ? 7i32 : a[x, 0, j]",
     "mov(&d[x], &a[x]) min(&d[x], 7) max(&d[x], -8)"},
    {"minimum as a choice", "a[x, 0, j] < c[x, 0, j] ? a[x, 0, j] : c[x, 0, j]",
     "mov(&d[x], &a[x]) min(&d[x], &c[x])"},
    {"leaky slope", "a[x, 0, j] > 0i32 ? a[x, 0, j] : a[x, 0, j] >> 2i32",
     "mov(&d[x], &a[x]) shr(&d[x], 2) max(&d[x], &a[x])"},
    {"low byte", "int32(int8(a[x, 0, j]))", "mov(&d[x], &a[x]) shr(&d[x], -24) shr(&d[x], 24)"},
    {"low byte of a byte", "int32(int8(max(min(a[x, 0, j], 127i32), -128i32)))",
     "mov(&d[x], &a[x]) min(&d[x], 127) max(&d[x], -128)"},
    {"zero", "0i32", "reset(&d[x])"},
    {"small constant", "-7i32", "reset(&d[x]) add(&d[x], -7)"},
    {"power of two", "-2147483648i32", "reset(&d[x]) add(&d[x], -32768) shr(&d[x], -16)"},
    {"any constant", "305419896i32", "reset(&d[x]) add(&d[x], 4660) shr(&d[x], -16) add(&d[x], 22136)"},
    {"sum with 17 bits", "a[x, 0, j] + 40000i32", "mov(&d[x], &a[x]) add(&d[x], 20000) add(&d[x], 20000)"},
    {"product with a shifted constant", "a[x, 0, j] * 196608i32",
     "mov(&d[x], &a[x]) mul(&d[x], 3) shr(&d[x], -16)"},
    {"product with a power of two", "a[x, 0, j] * 65536i32", "mov(&d[x], &a[x]) shr(&d[x], -16)"},
    {"wide immediate in a register", "max(a[x, 0, j], 40001i32)",
     "reset(&d_t[0]) add(&d_t[0], 20000) add(&d_t[0], 20001) mov(&d[x], &a[x]) max(&d[x], &d_t[0])"},
    {"shift by a register", "a[x, 0, j] >> min(max(c[x, 0, j], 0i32), 31i32)",
     "mov(&d[x], &a[x]) mov(&d_t[x], &c[x]) max(&d_t[x], 0) min(&d_t[x], 31) shr(&d[x], &d_t[x])"},
    {"constant shifted by a register", "64i32 >> min(max(c[x, 0, j], 0i32), 31i32)",
     "reset(&d[x]) add(&d[x], 64) mov(&d_t[x], &c[x]) max(&d_t[x], 0) min(&d_t[x], 31) shr(&d[x], &d_t[x])"},
    {"what only a broadcast needs is small", "a[x, 0, j] + s[0, j] * 3i32",
     "mov(&d[x], &a[x]) mov(&d_t[0], &s[0]) mul(&d_t[0], 3) add(&d[x], &d_t[0])"},
    {"old value on both sides", "(d[x, 0, j] + 1i32) * (d[x, 0, j] - 1i32)",
     "mov(&d_t[x], &d[x]) add(&d_t[x], -1) add(&d[x], 1) mul(&d[x], &d_t[x])"},
    {"old value as the amount", "a[x, 0, j] >> min(max(d[x, 0, j], 0i32), 31i32)",
     "mov(&d_t[x], &d[x]) max(&d_t[x], 0) min(&d_t[x], 31) mov(&d[x], &a[x]) shr(&d[x], &d_t[x])"},
    {"two temporaries at most", "(a[x, 0, j] * c[x, 0, j]) * 2i32 + ((a[x, 0, j] + 1i32) * (c[x, 0, j] + 1i32))",
     "mov(&d[x], &a[x]) add(&d[x], 1) mov(&d_t[x], &c[x]) add(&d_t[x], 1) mul(&d[x], &d_t[x]) "
     "mov(&d_t[x], &a[x]) mul(&d_t[x], &c[x]) mul(&d_t[x], 2) add(&d[x], &d_t[x])"},
};

static const Case nests[] = {
    {"loops in any order", "for j in 0..16 { for x in 0..8 { d[x, 0, j] = a[x, 0, j] + 1i32; } }",
     "for x in 0..8 { mov(&d[x], &a[x]) } for x in 0..8 { add(&d[x], 1) }"},
    {"split lanes",
     "for j in 0..4 { for x in 0..8 { for k in 0..4 { d[x, 0, k * 4 + j] = a[x, 0, k * 4 + j]; } } }",
     "for x in 0..8 { mov(&d[x], &a[x]) }"},
    {"fused lanes", "for f in 0..128 { d[f / 16, 0, f % 16] = a[f / 16, 0, f % 16]; }",
     "for f in 0..8 { mov(&d[f], &a[f]) }"},
    {"one tile", "for j in 0..16 { d[3, 0, j] = s[0, j]; }", "mov(&d[3], &s[0])"},
    {"strides and offsets", "for x in 1..4 { for j in 0..16 { d[x, 0, j] = a[x * 2 - 1, 0, j]; } }",
     "for x in 0..3 { mov(&d[x + 1], &a[x * 2 + 1]) }"},
    {"backwards", "for x in 0..8 { for j in 0..16 { d[x, 0, j] = a[7 - x, 0, j]; } }",
     "for x in 0..8 { mov(&d[x], &a[-x + 7]) }"},
    {"halved index", "for x in 0..8 { for j in 0..16 { d[x, 0, j] = a[x / 2, 0, j]; } }",
     "for x in 0..4 { for x_1 in 0..2 { mov(&d[x * 2 + x_1], &a[x]) } }"},
    {"the last of repeated writes",
     "for y in 0..4 { for x in 0..8 { for j in 0..16 { d[x, 0, j] = e[x, y, 0, j]; } } }",
     "for x in 0..8 { mov(&d[x], &e[x * 4 + 3]) }"},
    {"sum", "for x in 0..8 { for y in 0..4 { for j in 0..16 { d[x, 0, j] = d[x, 0, j] + e[x, y, 0, j]; } } }",
     "for y in 0..4 { for x in 0..8 { add(&d[x], &e[y + x * 4]) } }"},
    {"maximum, other operand first",
     "for x in 0..8 { for y in 0..4 { for j in 0..16 { d[x, 0, j] = max(e[x, y, 0, j], d[x, 0, j]); } } }",
     "for y in 0..4 { for x in 0..8 { max(&d[x], &e[y + x * 4]) } }"},
    {"sum of computed values",
     "for x in 0..8 { for y in 0..4 { for j in 0..16 { d[x, 0, j] = d[x, 0, j] + (e[x, y, 0, j] >> 1i32); } } }",
     "for x in 0..8 { for y in 0..4 { mov(&d_t[x * 4 + y], &e[y + x * 4]) } } "
     "for x in 0..8 { for y in 0..4 { shr(&d_t[x * 4 + y], 1) } } "
     "for y in 0..4 { for x in 0..8 { add(&d[x], &d_t[x * 4 + y]) } }"},
    {"a reduction of two steps",
     "for x in 0..8 { for y in 0..4 { for j in 0..16 { d[x, 0, j] = min(d[x, 0, j] + e[x, y, 0, j], 100i32); } } "
     "}",
     "for y in 0..4 { for x in 0..8 { add(&d[x], &e[y + x * 4]) } for x in 0..8 { min(&d[x], 100) } }"},
    {"a recurrence keeps its loop",
     "for x in 0..7 { for j in 0..16 { d[x + 1, 0, j] = d[x, 0, j] * 3i32 + a[x, 0, j]; } }",
     "for x in 0..7 { mov(&d[x + 1], &d[x]) mul(&d[x + 1], 3) add(&d[x + 1], &a[x]) }"},
    {"another part of the same buffer", "for x in 0..4 { for j in 0..16 { d[x, 0, j] = d[x + 4, 0, j] * 3i32; } }",
     "for x in 0..4 { mov(&d[x], &d[x + 4]) } for x in 0..4 { mul(&d[x], 3) }"},
    {"a choice by position",
     "for x in 0..8 { for j in 0..16 { d[x, 0, j] = x < 1 || x == 7 ? 3i32 : a[x - 1, 0, j]; } }",
     "reset(&d[0]) add(&d[0], 3) for x in 0..6 { mov(&d[x + 1], &a[x]) } reset(&d[7]) add(&d[7], 3)"},
    {"a sum over a part of its loop",
     "for x in 0..8 { for y in 0..4 { for j in 0..16 { d[x, 0, j] = d[x, 0, j] + (y > 2 ? e[x, y, 0, j] : 0i32); "
     "} } }",
     "for x in 0..8 { add(&d[x], &e[x * 4 + 3]) }"},
    {"several stores in common loops",
     "for x in 0..8 { for j in 0..16 { d[x, 0, j] = 0i32; } for j in 0..16 { d[x, 0, j] = d[x, 0, j] + a[x, 0, "
     "j]; } }",
     "for x in 0..8 { reset(&d[x]) add(&d[x], &a[x]) }"},
};

// The loops and instructions of a statement on one line, allocations left out.
static void flatten(const Stmt *s, bool loops, Text *out) {
  switch (s->kind) {
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) flatten(s->children[i], loops, out);
    return;
  case STMT_ALLOC: flatten(s->body, loops, out); return;
  case STMT_FOR: {
    int64_t n = -1;
    expr_is_int(s->extent, &n);
    if (loops) text_add(out, " for %s in 0..%lld {", s->var->name, (long long)n);
    flatten(s->body, loops, out);
    if (loops) text_add(out, " }");
    return;
  }
  case STMT_INTRIN:
    text_add(out, " %s(", s->intrin->name + strlen("vta."));
    for (int i = 0; i < s->nargs; i++) {
      text_add(out, i ? ", " : "");
      tir_print_expr(s->args[i], out);
    }
    text_add(out, ")");
    return;
  case STMT_STORE:
  case STMT_IF: text_add(out, " ?"); return;
  }
}

static void check_case(const Case *c, const char *nest, bool loops) {
  Arena *a = arena_new();
  Ctx cx = {.arena = a, .names = names_new(a), .diags = diags_new(a)};
  VtaConfig config = vta_config_default();
  const VtaTarget *vta = vta_target_new(&cx, &config);
  const char *text = arena_printf(a, "%s%s\n}\n}\n", head, nest);
  const Func *f = tir_parse(&cx, source_new(a, c->name, text, strlen(text)), &vta->tir);
  PassCtx pc = {.cx = &cx, .vta = vta};
  Func *out = f ? pass_inject_alu(&pc, f) : NULL;
  if (!out) diags_print(cx.diags, stderr, DIAG_TEXT, false, 0);
  assert_non_null(out);
  const char *why = NULL;
  if (!tir_verify(&cx, out, FORM_TILES, &why)) print_error("%s: %s\n", c->name, why);
  assert_null(why);
  Text got = {.arena = a};
  flatten(out->body, loops, &got);
  if (strcmp(got.data + 1, c->want)) print_error("%s:\n  want %s\n  got  %s\n", c->name, c->want, got.data + 1);
  assert_string_equal(got.data + 1, c->want);
  arena_free(a);
}

static void test_values(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    char nest[1000];
    snprintf(nest, sizeof nest, x_j, values[i].nest);
    check_case(&values[i], nest, false);
  }
}

static void test_nests(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) check_case(&nests[i], nests[i].nest, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_nests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

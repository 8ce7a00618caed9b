// SPDX-License-Identifier: Apache-2.0
// Intervals and facts: cases by hand, and random expressions under random conditions against all points of small boxes.
// (tests/ops compares each operation on intervals with its meaning.)
#include "tree.h"

#include <stdlib.h>

#define UP(n) ((Wide)1 << (n))

static const struct {
  BinOp op;
  DType type;
  Interval a, b, want;
} intervals[] = {
    {OP_ADD, DT_U64, {UP(63), UP(63) + 9}, {1, 2}, {UP(63) + 1, UP(63) + 11}},
    {OP_ADD, DT_U64, {UP(63), UP(63)}, {0, UP(63)}, {0, UP(64) - 1}}, // may wrap
    {OP_MUL, DT_U64, {UP(63), UP(64) - 1}, {UP(63), UP(64) - 1}, {0, UP(64) - 1}},
    {OP_MUL, DT_I64, {-3, 5}, {-7, 2}, {-35, 21}},
    {OP_DIV, DT_I64, {10, 20}, {0, 5}, {0, 20}},
    {OP_DIV, DT_I64, {10, 20}, {-5, 5}, {-20, 20}},
    {OP_DIV, DT_I64, {-7, 20}, {2, 4}, {-4, 10}},
    {OP_DIV, DT_I32, {INT32_MIN, INT32_MIN}, {-1, -1}, {INT32_MIN, INT32_MAX}},
    {OP_MOD, DT_I64, {-7, -6}, {8, 8}, {1, 2}},
    {OP_MOD, DT_I64, {-7, 1}, {8, 8}, {0, 7}},
    {OP_MOD, DT_I64, {0, 5}, {0, 9}, {0, 5}},
    {OP_MOD, DT_I64, {-5, 5}, {-4, 9}, {-3, 8}},
    {OP_SHL, DT_I32, {1, 3}, {0, 4}, {1, 48}},
    {OP_SHL, DT_I8, {1, 3}, {0, 7}, {-128, 127}},
    {OP_SHR, DT_I64, {-8, 64}, {1, 3}, {-4, 32}},
    {OP_SHR, DT_I64, {-8, 64}, {-1, 3}, {-8, 64}},
    {OP_SHR, DT_U64, {UP(63), UP(64) - 1}, {63, 63}, {1, 1}},
    {OP_AND, DT_I64, {-9, 9}, {0, 6}, {0, 6}},
    {OP_OR, DT_I64, {4, 9}, {1, 6}, {4, 15}},
    {OP_MIN, DT_I64, {4, 9}, {1, 6}, {1, 6}},
    {OP_LT, DT_U64, {0, 9}, {UP(63), UP(64) - 1}, {1, 1}},
    {OP_EQ, DT_I64, {0, 9}, {10, 11}, {0, 0}},
    {OP_ADD, DT_I64, {1, 0}, {10, 11}, {1, 0}},
};

static void intervals_are_these(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
    Interval r = interval_binary(intervals[i].op, intervals[i].type, intervals[i].a, intervals[i].b);
    if (r.lo != intervals[i].want.lo || r.hi != intervals[i].want.hi)
      fail_msg("case %d: %lld..%lld", (int)i, (long long)r.lo, (long long)r.hi);
  }
  assert_true(interval_math(FN_ABS, DT_I64, (Interval){-9, -2}, (Interval){0, 0}).lo == 2);
  assert_true(interval_unary(UN_BITNOT, DT_U8, (Interval){0, 15}).lo == 240);
  assert_true(interval_is_point(interval_cast(DT_BOOL, DT_I64, (Interval){3, 9})));
}

// x, y in 0..9, z in -4..4
static Forest new_forest(uint64_t seed) {
  Forest f = {.arena = arena_new(), .random = seed, .box = {{DT_I64, DT_I64, DT_I64}, {{0, 9}, {0, 9}, {-4, 4}}}};
  return f;
}

static const Tree *number(Forest *f, int64_t v) { return tree_const(f, DT_I64, v); }

// Limits that take more than the range of each part.
static void facts_by_hand(void **state) {
  (void)state;
  Forest t = new_forest(1);
  Facts f = tree_facts(&t);
  const Tree *x = tree_var(&t, 0), *y = tree_var(&t, 1), *z = tree_var(&t, 2);
  const Tree *x5y = tree_binary(&t, OP_ADD, tree_binary(&t, OP_MUL, x, number(&t, 5)), y);
  FactsMark before = facts_mark(&f);
  Interval r;

  facts_assume(&f, tree_binary(&t, OP_GE, x5y, number(&t, 3)), true); // so 10 * x + 2 * y + z >= 6 + z
  r = facts_range(&f, tree_binary(&t, OP_ADD, tree_binary(&t, OP_MUL, x5y, number(&t, 2)), z));
  assert_true(r.lo == 2 && r.hi == 112);
  facts_back(&f, before);

  facts_assume(&f, tree_binary(&t, OP_LT, tree_binary(&t, OP_DIV, x, number(&t, 4)), number(&t, 1)), true);
  assert_true(facts_range(&f, x).hi == 3);
  facts_assume(&f, tree_binary(&t, OP_GT, tree_binary(&t, OP_MIN, x, y), number(&t, 2)), true);
  r = facts_range(&f, x);
  assert_true(r.lo == 3 && r.hi == 3 && facts_range(&f, y).lo == 3);
  facts_assume(&f, tree_binary(&t, OP_NE, x, number(&t, 3)), true);
  assert_true(f.dead);
  facts_back(&f, before);
  assert_true(!f.dead && facts_range(&f, x).hi == 9);

  // x - x % 4 by the remainder's definition: 4 * (x / 4)
  const Tree *low = tree_binary(&t, OP_SUB, x, tree_binary(&t, OP_MOD, x, number(&t, 4)));
  r = facts_range_within(&f, low, (Interval){0, 8});
  assert_true(r.lo == 0 && r.hi == 8);
  arena_free(t.arena);
}

// What follows from a condition contains what all points of the box give. Of affine ones, most ranges are exact.
static void facts_against_points(void **state) {
  (void)state;
  const int rounds = getenv("TETC_LONG_TESTS") ? 100000 : 6000;
  int affine = 0, exact = 0, dead = 0;
  for (int round = 0; round < rounds; round++) {
    Forest t = new_forest((uint64_t)round);
    t.types = round % 2;
    bool plain = round % 3 == 0;
    if (t.types) t.box.type[1] = DT_U8, t.box.type[2] = DT_I8;
    const Tree *cond = plain ? tree_binary(&t, OP_GE, tree_affine(&t), tree_affine(&t)) : tree_condition(&t, 2);
    const Tree *e = plain ? tree_affine(&t) : tree_integer(&t, 3);
    Facts f = tree_facts(&t);
    facts_assume(&f, cond, true);
    Interval got = f.dead ? interval_none() : facts_range(&f, e), all = interval_none();
    Wide vars[VARS];
    for (int i = 0; i < VARS; i++) vars[i] = t.box.range[i].lo;
    do
      if (tree_value(cond, vars)) all = interval_join(all, interval_point(tree_value(e, vars)));
    while (box_next(&t.box, vars));
    if (!interval_is_empty(all) && !interval_within(all, got))
      fail_msg("round %d: %lld..%lld, but %lld..%lld", round, (long long)got.lo, (long long)got.hi, (long long)all.lo,
               (long long)all.hi);
    affine += plain;
    exact += plain && (interval_is_empty(all) || interval_within(got, all));
    dead += f.dead;
    arena_free(t.arena);
  }
  print_message("# %d of %d affine ranges are exact, %d conditions never hold\n", exact, affine, dead);
  assert_true(exact > affine * 8 / 10 && dead > rounds / 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(intervals_are_these),
      cmocka_unit_test(facts_by_hand),
      cmocka_unit_test(facts_against_points),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

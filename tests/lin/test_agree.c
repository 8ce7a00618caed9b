// SPDX-License-Identifier: Apache-2.0
// The same questions to all who decide by integers: te's bounds, the verifier, the simplifier, the bounds of TIR's
// expressions. A question is whether q holds wherever a condition does. Nobody may say yes where a point says no.
#include "tree.h"

#include <stdlib.h>
#include <string.h>

#include "../te/support.h"
#include "../tir/gen.h"

typedef enum User { TE_BOUNDS, VERIFIER, SIMPLIFIER, EXPR_BOUNDS, USERS } User;
static const char *const user_names[USERS] = {"te's bounds", "the verifier", "the simplifier", "expr_bounds"};

static const Box box = {{DT_I64, DT_I64, DT_I64}, {{0, 4}, {0, 6}, {0, 8}}};

// An access stays in an array of one element if q holds.
static bool ask_te(const char *cond, const char *q) {
  Arena *a = arena_new();
  const char *text = "kernel k { input a[i: 1] : int32; output o[x: 5, y: 7, z: 9] : int32 = %s ? a[%s ? 0 : 1] : 0; }";
  Loaded l = load_text(arena_printf(a, text, cond, q));
  bool yes = l.m != NULL;
  if (!yes) expect_error(&l, "E0106", "index");
  unload(&l);
  arena_free(a);
  return yes;
}

static void ask_tir(const char *cond, const char *q, bool *yes) {
  Ctx cx = gen_ctx();
  const char *format = "func f(a: int64[1] output) target t { for x in 0..5 { for y in 0..7 { for z in 0..9 { "
                       "if (%s) { a[%s ? 0 : 1] = 0; } if (%s && !%s) { a[0] = 1; } } } } }";
  const char *text = arena_printf(cx.arena, format, cond, q, cond, q);
  const Func *f = tir_parse(&cx, source_new(cx.arena, "t.tir", text, strlen(text)), &gen_target);
  TirVerdict v;
  Ranges r = {0};
  if (!f) diags_print(cx.diags, stdout, DIAG_TEXT, NULL);
  assert_non_null(f);
  assert_true(tir_judge(&cx, f, FORM_LOOPS, &v) || v.out_of_bounds);
  yes[VERIFIER] = v.unproved == 0 && !v.out_of_bounds;
  const Stmt *s = f->body;
  for (int i = 0; s->kind == STMT_FOR; s = s->body, i++)
    ranges_push(&cx, &r, s->var, (int64_t)box.range[i].lo, (int64_t)box.range[i].hi);
  const Expr *never = s->children[1]->cond;
  int64_t value, lo, hi;
  yes[SIMPLIFIER] = expr_is_int(expr_simplify(&cx, &r, never), &value) && value == 0;
  yes[EXPR_BOUNDS] = expr_bounds(&r, never, &lo, &hi) && hi == 0;
  arena_free(cx.arena);
}

// Whether q holds wherever cond does.
static bool ask_points(const Tree *cond, const Tree *q) {
  Wide vars[VARS] = {0};
  do
    if (tree_value(cond, vars) && !tree_value(q, vars)) return false;
  while (box_next(&box, vars));
  return true;
}

static void users_agree(void **state) {
  (void)state;
  const int rounds = getenv("TETC_LONG_TESTS") ? 50000 : 1000;
  int known[USERS] = {0}, holds = 0;
  for (int round = 0; round < rounds; round++) {
    Forest t = {.arena = arena_new(), .random = (uint64_t)round, .box = box};
    const Tree *cond = tree_condition(&t, 2), *q = tree_condition(&t, round % 2);
    Text c = {.arena = t.arena}, text = {.arena = t.arena};
    tree_text(cond, &c);
    tree_text(q, &text);
    bool truth = ask_points(cond, q), yes[USERS];
    yes[TE_BOUNDS] = ask_te(c.data, text.data);
    ask_tir(c.data, text.data, yes);
    holds += truth;
    for (int u = 0; u < USERS; u++) {
      if (yes[u] && !truth) fail_msg("%s: wherever %s holds, %s does", user_names[u], c.data, text.data);
      known[u] += yes[u];
    }
    arena_free(t.arena);
  }
  for (int u = 0; u < USERS; u++) print_message("# %s: %d of %d\n", user_names[u], known[u], holds);
  assert_true(known[TE_BOUNDS] > holds / 2 && known[VERIFIER] > holds / 2 && known[SIMPLIFIER] > holds / 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(users_agree)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

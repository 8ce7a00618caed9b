// SPDX-License-Identifier: Apache-2.0
// The bounds analysis against brute force: a kernel that is accepted never leaves its tensors; of the affine and
// guarded ones that never do, nearly all are accepted.
#include "support.h"

#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 1;
static uint32_t draw(uint32_t n) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((random_state >> 33) % n);
}

enum { SIDE = 12 };

static void affine(Text *t) {
  static const char *const forms[] = {"x",     "y",      "x + y", "x - y", "y * 2 - x",
                                      "x * 2", "11 - x", "x + 3", "y - 2", "x * 3 - y * 2 + 1"};
  text_add(t, "%s", forms[draw(10)]);
}

static void index_text(Text *t, int depth);

static void condition(Text *t, int depth) {
  static const char *const compares[] = {"<", "<=", ">", ">=", "==", "!="};
  if (depth > 0 && draw(2)) {
    text_add(t, draw(3) ? "(" : "!(");
    condition(t, depth - 1);
    text_add(t, draw(3) ? " && " : " || ");
    condition(t, depth - 1);
    text_add(t, ")");
    return;
  }
  affine(t);
  if (draw(4) == 0) text_add(t, draw(2) ? " + " : " - "), index_text(t, 1);
  text_add(t, " %s ", compares[draw(6)]);
  if (draw(3)) text_add(t, "%d", (int)draw(16) - 2);
  else affine(t);
}

// An index of many kinds; often out of bounds.
static void index_text(Text *t, int depth) {
  static const char *const casts[] = {"int8", "uint8", "int32", "uint64", "int64", "uint16"};
  if (depth <= 0) {
    if (draw(5)) affine(t);
    else text_add(t, "%s", (const char *const[]){"int64(d[x])", "w[x]", "s[x]", "int64(q[y])", "h[x]"}[draw(5)]);
    return;
  }
  switch (draw(13)) {
  case 0: text_add(t, "("), index_text(t, depth - 1), text_add(t, ") / %d", (int)draw(7) - 2); return;
  case 1: text_add(t, "("), index_text(t, depth - 1), text_add(t, ") %% %d", (int)draw(15) - 2); return;
  case 2: text_add(t, "min("), index_text(t, depth - 1), text_add(t, ", %d)", (int)draw(14)); return;
  case 3: text_add(t, "max("), index_text(t, depth - 1), text_add(t, ", %d)", (int)draw(3)); return;
  case 4: text_add(t, "clamp("), index_text(t, depth - 1), text_add(t, ", 0, 11)"); return;
  case 5:
    text_add(t, "("), condition(t, 1), text_add(t, " ? "), index_text(t, depth - 1), text_add(t, " : "),
        index_text(t, depth - 1);
    text_add(t, ")");
    return;
  case 6: text_add(t, "int64(%s(", casts[draw(6)]), index_text(t, depth - 1), text_add(t, "))"); return;
  case 7: text_add(t, "(("), index_text(t, depth - 1), text_add(t, ") & %d)", (int)draw(12)); return;
  case 8: text_add(t, "(("), index_text(t, depth - 1), text_add(t, ") >> %d)", (int)draw(3)); return;
  case 9: text_add(t, "abs("), index_text(t, depth - 1), text_add(t, ")"); return;
  case 10: text_add(t, "int64(uint64("), index_text(t, depth - 1), text_add(t, ") - %d)", (int)draw(5)); return;
  case 11: text_add(t, "int64(clamp(round(f[x] * 3), 0, %d))", (int)draw(14)); return;
  default: text_add(t, "("), index_text(t, depth - 1), text_add(t, ") * %d + %d", (int)draw(4) - 1, (int)draw(5) - 2);
  }
}

static const char *const inputs = "kernel k { input a[i: 12] : int32; input d[i: 12] : int8; input w[i: 12] : int64; "
                                  "input f[i: 12] : float32; "
                                  "compute s[i: 12] : int64 = clamp(w[i], 0, 11); "
                                  "compute q[i: 12] : int32 = max[r: 3](min(max(int32(d[i]), 0), 9) - int32(r)); "
                                  "compute h[i: 12] : int64 = s[i] < 6 ? s[i] * 2 : s[s[i] - 1]; "
                                  "output o[x: 12, y: 12] : int32 = ";

// Whether the kernel is accepted; an accepted one is run. *inside: the walk stayed inside.
static bool try_kernel(const char *text) {
  Loaded l = load_text(text);
  bool accepted = l.m != NULL;
  if (accepted) {
    const TeKernel *k = l.m->kernels[0];
    TeArrays a = make_arrays(k, random_state);
    int64_t *w = a.data[2];
    static const int64_t wild[] = {INT64_MIN,     INT64_MAX,     -1, 0, 11, 12,
                                   INT64_MIN + 5, INT64_MAX - 5, 3,  4, 5,  (int64_t)1 << 62};
    for (int i = 0; i < SIDE; i++)
      if (draw(2)) w[i] = wild[draw(12)];
    ((float *)a.data[3])[draw(SIDE)] = __builtin_nanf("");
    if (!walk_kernel(k, &a)) fail_msg("accepted, but leaves its tensor:\n%s", text);
    if (!te_eval(&l.cx, k, &a)) fail_msg("accepted, but te_eval refuses:\n%s", text);
    free_arrays(k, &a);
  } else {
    expect_error(&l, "E0106", "index");
  }
  unload(&l);
  return accepted;
}

static void accepted_kernels_stay_inside(void **state) {
  (void)state;
  int accepted = 0;
  for (int round = 0; round < 8000; round++) {
    Arena *a = arena_new();
    Text t = {.arena = a};
    text_add(&t, "%s", inputs);
    int guard = (int)draw(4);
    if (guard) condition(&t, 2);
    text_add(&t, guard ? " ? a[" : "a[");
    index_text(&t, (int)draw(4));
    text_add(&t, guard == 1 ? "] : a[" : "]");
    if (guard == 1) index_text(&t, 2), text_add(&t, "]");
    text_add(&t, guard > 1 ? " : 0; }" : "; }");
    accepted += try_kernel(t.data);
    arena_free(a);
  }
  assert_true(accepted > 1200);
}

// Guards compare the index itself with the ends of its axis, however it is written.
static void guarded_accesses_are_accepted(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "x + y >= 3 && x + y < 15 ? a[x + y - 3] : 0",
      "x >= y ? a[x - y] : 0",
      "x < y ? 0 : a[x - y]",
      "x < 4 || x > 9 || y == 0 ? 0 : a[x + y * 0 - 4 + 2]",
      "!(x + y > 11) ? a[x + y] : 0",
      "x != 0 ? a[x - 1] : 0",
      "x != 11 ? a[x + 1] : a[x]",
      "x == 11 ? a[x - 11] : a[x + 1]",
      "(x - y) % 2 == 0 && x >= y ? a[(x - y) / 2] : 0",
      "w[x] >= 0 && w[x] < 12 ? a[w[x]] : 0",
      "w[x] >= 2 && w[x] - 2 < 12 && w[x] < 14 ? a[w[x] - 2] : 0",
      "d[x] > 0 && int64(d[x]) <= 12 ? a[int64(d[x]) - 1] : 0",
      "int64(d[x]) + y >= 0 && int64(d[x]) + y < 12 ? a[int64(d[x]) + y] : 0",
      "a[(x * 12 + y) / 12]",
      "a[(x * 12 + y) % 12]",
      "a[min(x + y, 11)]",
      "a[max(x, y)]",
      "a[abs(x - y)]",
      "a[x / 2 + y / 2]",
      "a[int64(d[x] & 7)]",
      "a[int64(clamp(f[x], 0, 11.5))]",
      "a[int64(11.0 * sigmoid(f[x]) < 0.5 ? 3.0 : 4.0)]",
      "a[(x + y) % 12]",
      "x % 3 == 1 && a[x - 1] > 0 ? a[x - 1] : 0",
      "y * 2 + x >= 4 && y * 2 + x <= 15 ? a[x + y * 2 - 4] : 0",
      "int32(x) < 5 ? a[x + 7] : 0",
      "a[s[x]] + a[11 - s[y]] + a[h[x]] + a[s[s[x]]]",
      "a[int64(q[x]) + 2] + a[clamp(int64(q[x]) + y, 0, 11)]",
      "a[int64(min(max(d[x], 0), 11))] + a[clamp(int64(d[x]), 0, 11)] + a[int64(int8(clamp(w[x], 0, 11)))]",
      "a[x - x % 4 + 3]",
      "a[x / 5 * 5 + x % 5] + a[(x * 12 + y) / 24 * 2 + (x * 12 + y) % 2]",
      "x / 2 < 3 ? a[x + 6] : a[x]",
      "min(x, y) >= 2 ? a[x - 2] + a[y - 2] : 0",
      "max(x + 1, y) < 12 && y > 0 ? a[x + 1] + a[y - 1] : 0",
      "x * 5 + y >= 3 && x * 5 + y <= 7 ? a[x * 10 + y * 2 - 6] : 0",
      "x * 10 + y * 2 >= 5 && x * 10 + y * 2 < 30 ? a[x * 5 + y - 3] : 0",
      "x * 2 + y * 4 >= 3 && x + y * 2 < 5 ? a[x * 3 + y * 6 - 6] : 0",
      "x - y < 4 && x >= y ? a[9 - x * 3 + y * 3] : 0",
      "x < y && y < 5 ? a[x + 8] : 0",
      "(x + y) / 2 + x >= 1 && (x + y) / 2 + x < 12 ? a[(x + y) / 2] + a[x] : 0", // what is known of parts is known by
                                                                                  // the whole
  };
  int refused = 0;
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    char text[1024];
    snprintf(text, sizeof text, "%s%s; }", inputs, bodies[i]);
    if (try_kernel(text)) continue;
    print_error("refused: %s\n", bodies[i]);
    refused++;
  }
  assert_int_equal(refused, 0);
}

// A guard lo <= g <= hi of g = p * x + q * y, itself multiplied or not, and an index of `scale` times g with z beside:
// the analysis against all points. What the guard alone says must be accepted.
static void scaled_guard(int *inside, int *refused) {
  int p = (int)draw(7) - 3, q = (int)draw(3) + 1, lo = (int)draw(12) - 4, hi = lo + (int)draw(6),
      lane = (int)draw(4) + 1;
  int scale = ((int)draw(5) + 1) * (draw(4) ? 1 : -1), part = draw(2) ? 1 : (int)draw(4) + 1;
  int low = (int)draw(3) - 1, high = (int)draw(3) - 1; // 1 and -1: too short by one at that end
  int start = (scale > 0 ? scale * lo : scale * hi) + low;
  int extent = (scale > 0 ? scale * hi : scale * lo) - start + lane + high;
  if (extent < 1) return;
  char text[512];
  snprintf(text, sizeof text,
           "kernel k { input a[i: %d] : int32; output o[x: 9, y: 9, z: %d] : int32 = "
           "%d * x + %d * y >= %d && x * %d + y * %d < %d ? a[x * %d + y * %d + z - %d] : 0; }",
           extent, lane, p * part, q * part, lo * part - (int)draw((uint32_t)part), p * part, q * part,
           hi * part + 1 + (int)draw((uint32_t)part), p * scale, q * scale, start);
  bool stays = true;
  for (int x = 0; x < 9; x++)
    for (int y = 0; y < 9; y++) {
      int g = p * x + q * y, index = g * scale - start;
      if (g >= lo && g <= hi && (index < 0 || index + lane > extent)) stays = false;
    }
  Loaded l = load_text(text);
  if (l.m && !stays) fail_msg("accepted, but leaves its tensor:\n%s", text);
  if (!l.m) expect_error(&l, "E0106", "index");
  if (!l.m && low <= 0 && high >= 0) fail_msg("refused, but the guard says it:\n%s", text);
  *inside += stays;
  *refused += stays && !l.m;
  unload(&l);
}

static void guards_are_scaled(void **state) {
  (void)state;
  int inside = 0, refused = 0;
  for (int round = 0; round < 6000; round++) scaled_guard(&inside, &refused);
  assert_true(inside > 2000 && inside < 5000 && refused * 50 < inside);
}

// Where the analysis could go round and round, it ends.
static void deep_indices_end(void **state) {
  (void)state;
  static const char *const heads[] = {"min(11, 1 + ", "(x * ",           "(x < 5 ? 1 : 2 + ",         "abs(3 - ",
                                      "(1 + ",        "int64(int8(2 * ", "((w[x] > 3 ? 1 : x) * 2 + "};
  static const char *const tails[] = {")", ")", ")", ")", ")", "))", ")"};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    Arena *a = arena_new();
    Text t = {.arena = a};
    text_add(&t, "%sa[clamp(", inputs);
    for (int k = 0; k < 900; k++) text_add(&t, "%s", heads[i]);
    text_add(&t, "x");
    for (int k = 0; k < 900; k++) text_add(&t, "%s", tails[i]);
    text_add(&t, ", 0, 11)]; }");
    assert_true(try_kernel(t.data));
    arena_free(a);
  }
}

// Thousands of parts that all have to be told apart: the analysis gives up in time.
static void wide_guards_end(void **state) {
  (void)state;
  Arena *a = arena_new();
  Text t = {.arena = a};
  text_add(&t, "%s", inputs);
  for (int k = 0; k < 20; k++) {
    for (int i = 0; i < 400; i++) text_add(&t, "%sw[(x + %d) %% 12] * %d", i ? " + " : "", i, (i % 7 + 1) * (k + 1));
    text_add(&t, " >= %d %s", k, k < 19 ? "&& " : "? a[x] : 0; }");
  }
  double start = now_seconds();
  try_kernel(t.data);
  assert_true(now_seconds() - start < 10);
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accepted_kernels_stay_inside), cmocka_unit_test(guarded_accesses_are_accepted),
      cmocka_unit_test(guards_are_scaled), cmocka_unit_test(deep_indices_end), cmocka_unit_test(wide_guards_end)};
  return cmocka_run_group_tests_name("te_bounds", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Units of base: arena, names, sources, scalars, diagnostics.
#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void arena_gives_zeroed_aligned_memory(void **state) {
  (void)state;
  Arena *a = arena_new();
  for (size_t n = 1; n < 300000; n = n * 3 + 1) {
    unsigned char *p = arena_alloc(a, n);
    assert_int_equal((uintptr_t)p % 16, 0);
    for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
    memset(p, 0xff, n);
  }
  arena_free(a);
}

static void arena_limit_leaves_by_longjmp(void **state) {
  (void)state;
  Arena *a = arena_new();
  jmp_buf out;
  volatile int count = 0;
  if (!setjmp(out)) {
    arena_on_exhaustion(a, &out, 1 << 20);
    for (;;) arena_alloc(a, 1000), count++;
  }
  assert_in_range(count, 1000, 1100);
  volatile bool jumped = true;
  if (!setjmp(out)) arena_array(a, SIZE_MAX / 2, 16), jumped = false;
  assert_true(jumped);
  arena_free(a);
}

static void vectors_and_texts_grow(void **state) {
  (void)state;
  Arena *a = arena_new();
  VEC(int) v = {0};
  Text t = {.arena = a};
  for (int i = 0; i < 10000; i++) {
    VEC_PUSH(a, v, i);
    text_add(&t, "%d,", i);
  }
  for (int i = 0; i < 10000; i++) assert_int_equal(v.data[i], i);
  assert_int_equal(strlen(t.data), t.len);
  assert_non_null(strstr(t.data, ",9998,9999,"));
  char *big = arena_printf(a, "%5000d", 7);
  text_add(&t, "%s", big);
  text_add_bytes(&t, "", 0);
  assert_int_equal(t.data[t.len - 1], '7');
  arena_free(a);
}

static void names_are_unique(void **state) {
  (void)state;
  Arena *a = arena_new();
  Names *n = names_new(a);
  Name first[2000];
  for (int i = 0; i < 2000; i++) first[i] = name_of(n, arena_printf(a, "name%d", i));
  for (int i = 0; i < 2000; i++) assert_ptr_equal(name_of(n, arena_printf(a, "name%d", i)), first[i]);
  assert_ptr_equal(name_of_bytes(n, "name7xyz", 5), first[7]);
  assert_string_equal(first[7], "name7");
  arena_free(a);
}

static void sources_know_their_lines(void **state) {
  (void)state;
  Arena *a = arena_new();
  const Source *s = source_new(a, "x", "ab\n\ncd", 6);
  assert_int_equal(s->nlines, 3);
  assert_int_equal(s->line_start[1], 3);
  assert_int_equal(s->line_start[2], 4);
  assert_int_equal(source_new(a, "x", "", 0)->nlines, 1);
  assert_int_equal(source_new(a, "x", "a\n", 2)->nlines, 2);
  const char *error;
  assert_null(source_read(a, "/nonexistent", &error));
  assert_string_equal(error, "No such file or directory");
  assert_null(source_read(a, "/", &error));
  assert_string_equal(error, "it is a directory");
  char path[] = "/tmp/tetc-test-XXXXXX";
  int fd = mkstemp(path);
  assert_int_equal(write(fd, "a\0b", 3), 3);
  close(fd);
  assert_null(source_read(a, path, &error));
  assert_string_equal(error, "it is not text: byte 1 is NUL");
  unlink(path);
  arena_free(a);
}

#define I(x) ((Scalar){.i = (x)})
#define F(x) ((Scalar){.f = (x)})
static int64_t bin(BinOp op, DType t, int64_t a, int64_t b) { return scalar_binary(op, t, I(a), I(b)).i; }

static void integers_wrap_and_floor(void **state) {
  (void)state;
  assert_int_equal(bin(OP_ADD, DT_I8, 127, 1), -128);
  assert_int_equal(bin(OP_MUL, DT_I32, 1 << 30, 4), 0);
  assert_int_equal(bin(OP_SUB, DT_U8, 0, 1), 255);
  assert_int_equal(bin(OP_DIV, DT_I32, -7, 2), -4);
  assert_int_equal(bin(OP_MOD, DT_I32, -7, 2), 1);
  assert_int_equal(bin(OP_MOD, DT_I32, 7, -2), -1);
  assert_int_equal(bin(OP_DIV, DT_I32, 7, 0), 0);
  assert_int_equal(bin(OP_MOD, DT_I32, 7, 0), 0);
  assert_int_equal(bin(OP_DIV, DT_I32, INT32_MIN, -1), INT32_MIN);
  assert_int_equal(bin(OP_DIV, DT_I64, INT64_MIN, -1), INT64_MIN);
  assert_int_equal(bin(OP_MOD, DT_I64, INT64_MIN, -1), 0);
  assert_true(bin(OP_DIV, DT_U64, -1, 2) == INT64_MAX);
  assert_int_equal(bin(OP_SHR, DT_I32, -8, 33), -4);
  assert_int_equal(bin(OP_SHR, DT_U32, 0x80000000, 31), 1);
  assert_int_equal(bin(OP_SHL, DT_I8, 1, 7), -128);
  assert_int_equal(bin(OP_SHL, DT_I8, 1, 9), 2);
  assert_int_equal(bin(OP_LT, DT_U64, -1, 1), 0);
  assert_int_equal(bin(OP_MAX, DT_I8, -3, 3), 3);
  assert_int_equal(scalar_unary(UN_NEG, DT_I8, I(-128)).i, -128);
  assert_int_equal(scalar_unary(UN_BITNOT, DT_U8, I(1)).i, 254);
  assert_int_equal(scalar_math(FN_ABS, DT_I32, I(-5), I(0)).i, 5);
}

static void casts_saturate_and_round(void **state) {
  (void)state;
  assert_int_equal(scalar_cast(DT_I8, DT_I32, I(300)).i, 44);
  assert_int_equal(scalar_cast(DT_I8, DT_F32, F(300.7)).i, 127);
  assert_int_equal(scalar_cast(DT_I8, DT_F32, F(-1e30)).i, -128);
  assert_int_equal(scalar_cast(DT_I8, DT_F32, F(-1.9)).i, -1);
  assert_int_equal(scalar_cast(DT_U8, DT_F32, F(-1.0)).i, 0);
  assert_int_equal(scalar_cast(DT_I32, DT_F64, F(NAN)).i, 0);
  assert_true(scalar_cast(DT_I64, DT_F64, F(1e300)).i == INT64_MAX);
  assert_true(scalar_cast(DT_U64, DT_F64, F(1e300)).i == -1);
  assert_true(scalar_cast(DT_I64, DT_F64, F(-1e300)).i == INT64_MIN);
  assert_true(scalar_cast(DT_U32, DT_F64, F(4294967295.0)).i == 4294967295);
  assert_true(scalar_cast(DT_F32, DT_I32, I(16777217)).f == 16777216.0);
  assert_true(scalar_cast(DT_F64, DT_U64, I(-1)).f == 18446744073709551616.0);
  assert_int_equal(scalar_cast(DT_BOOL, DT_I32, I(256)).i, 1);
}

static void halves_round_to_even(void **state) {
  (void)state;
  for (uint32_t h = 0; h < 0x10000; h++) {
    float f = float_of_half((uint16_t)h);
    if (isnan(f)) assert_true(isnan(float_of_half(half_of_float(f))));
    else assert_int_equal(half_of_float(f), h);
  }
  assert_int_equal(half_of_float(65519.99f), 0x7bff);
  assert_int_equal(half_of_float(65520.0f), 0x7c00);
  assert_int_equal(half_of_float(0x1p-25f), 0); // a tie, to even
  assert_int_equal(half_of_float(0x1.000002p-25f), 1);
  assert_int_equal(half_of_float(1.0f + 0x1p-11f), 0x3c00); // a tie, to even
  assert_int_equal(half_of_float(1.0f + 0x3p-11f), 0x3c02);
  // In one rounding from double: just above a tie, which float32 would round onto the tie.
  assert_true(round_float(DT_F16, 1.0 + 0x1p-11 + 0x1p-40) == 1.0 + 0x1p-10);
}

static void minimum_and_maximum_fix_nan(void **state) {
  (void)state;
  assert_true(isnan(scalar_binary(OP_MIN, DT_F32, F(NAN), F(1)).f)); // b < a is false: a
  assert_true(scalar_binary(OP_MIN, DT_F32, F(1), F(NAN)).f == 1);
  assert_true(scalar_binary(OP_MAX, DT_F32, F(1), F(NAN)).f == 1);
  assert_true(scalar_binary(OP_ADD, DT_F32, F(16777216), F(1)).f == 16777216);
  assert_true(scalar_math(FN_ROUND, DT_F32, F(2.5), F(0)).f == 3);
}

static void memory_holds_every_type(void **state) {
  (void)state;
  for (int t = 0; t < DT_COUNT; t++) {
    unsigned char bytes[16];
    memset(bytes, 0xaa, sizeof bytes);
    Scalar v = dtype_is_float((DType)t) ? F(-1.5) : I(wrap_int((DType)t, -2));
    scalar_store((DType)t, bytes, v);
    Scalar r = scalar_load((DType)t, bytes);
    assert_true(dtype_is_float((DType)t) ? r.f == v.f : r.i == v.i);
    assert_int_equal(bytes[dtype_bytes((DType)t)], 0xaa);
    DType again;
    assert_true(dtype_of_name(dtype_name((DType)t), &again) && again == (DType)t);
  }
}

// What diags_print writes.
static char *printed(const Diags *d, DiagFormat format, bool color, int width) {
  enum { MOST = 1 << 16 };
  char *text = calloc(1, MOST);
  FILE *f = fmemopen(text, MOST, "w");
  DiagLook look = {.color = color, .width = width};
  diags_print(d, f, format, &look);
  fclose(f);
  return text;
}

static void diagnostics_show_all_places(void **state) {
  (void)state;
  Arena *a = arena_new();
  Diags *d = diags_new(a);
  const char *text = "kernel k {\n  output o =\n\tmax(a, 0);\n}\n\nschedule k {\n  o.dma_copy(y);\n}\n";
  const Source *s = source_new(a, "k.te", text, strlen(text));
  Diag *g = diag_report(d, E_COPY_COMPUTES, (Loc){s, 3, 2, 3, 11}, "`o` is copied, but computes");
  diag_here(g, "this `max`");
  diag_also(g, (Loc){s, 7, 3, 7, 16}, "the copy is asked for here");
  diag_note(g, "the nest:\n  for y\n    o[y] = a");
  diag_help(g, "give it a stage");
  diag_fix(g, (Loc){s, 7, 3, 7, 17}, "o.alu();", "use the ALU");
  diag_report(d, E_COPY_COMPUTES, (Loc){s, 3, 2, 3, 11}, "the same place again");
  char *p = printed(d, DIAG_TEXT, false, 0);
  assert_string_equal(p, "error[E0301]: `o` is copied, but computes\n"
                         " --> k.te:3:2\n"
                         "  |\n"
                         "2 |   output o =\n"
                         "3 |     max(a, 0);\n"
                         "  |     ^^^^^^^^^ this `max`\n"
                         "...\n"
                         "7 |   o.dma_copy(y);\n"
                         "  |   ------------- the copy is asked for here\n"
                         "  = the nest:\n"
                         "        for y\n"
                         "          o[y] = a\n"
                         "  = help: give it a stage\n"
                         "  = may help: use the ALU: `o.alu();`\n\n");
  free(p);
  p = printed(d, DIAG_JSON, false, 0);
  assert_non_null(strstr(p, "\"code\":\"E0301\",\"severity\":\"error\""));
  assert_non_null(strstr(p, "\"byte_start\":25,\"byte_end\":34,\"line_start\":3,\"line_end\":3,\"column_start\":2"));
  assert_int_equal(strchr(p, '\n') - p, (long)strlen(p) - 1);
  free(p);
  p = printed(d, DIAG_SARIF, false, 0);
  assert_non_null(strstr(p, "\"relatedLocations\":[{\"id\":1,"));
  assert_non_null(strstr(p, "\"insertedContent\":{\"text\":\"o.alu();\"}"));
  free(p);
  assert_int_equal(diags_errors(d), 1);
  arena_free(a);
}

static void sarif_counts_code_points(void **state) {
  (void)state;
  Arena *a = arena_new();
  Diags *d = diags_new(a);
  const Source *s = source_new(a, "k.te", "\xc3\xa9\xc3\xa9 x\n", 7);
  diag_report(d, E_SYNTAX, (Loc){s, 1, 6, 1, 7}, "x");
  char *p = printed(d, DIAG_SARIF, false, 0);
  assert_non_null(strstr(p, "\"columnKind\":\"unicodeCodePoints\""));
  assert_non_null(strstr(p, "\"startColumn\":4,\"endLine\":1,\"endColumn\":5,\"byteOffset\":5,\"byteLength\":1"));
  free(p);
  arena_free(a);
}

static void remarks_take_one_line(void **state) {
  (void)state;
  Arena *a = arena_new();
  Diags *d = diags_new(a);
  const Source *s = source_new(a, "k.te", "a\nb\n", 4);
  Diag *g = diag_report(d, R_PLACEMENT, (Loc){s, 1, 1, 1, 2}, "`a` runs on the CPU");
  diag_also(g, (Loc){s, 2, 1, 2, 2}, "asked for here");
  diags_show_remarks(d, true);
  char *p = printed(d, DIAG_TEXT, false, 0);
  assert_string_equal(p, "k.te:1:1: remark[R0001]: `a` runs on the CPU (asked for here: 2:1)\n");
  free(p);
  arena_free(a);
}

static void diagnostics_survive_strange_places(void **state) {
  (void)state;
  Arena *a = arena_new();
  Diags *d = diags_new(a);
  Text t = {.arena = a};
  for (int i = 0; i < 5000; i++) text_add(&t, "x");
  text_add(&t, "\n\x1b[31m\xff\xc3\xa9 y");
  const Source *s = source_new(a, "a b.te", t.data, t.len);
  diag_report(d, E_SYNTAX, (Loc){s, 1, 4000, 1, 4003}, "in a long line");
  diag_report(d, E_SYNTAX, (Loc){s, 2, 1, 9, 9}, "over the end, \x1b[1m escaped");
  diag_report(d, E_SYNTAX, (Loc){s, 99, 1, 99, 1}, "no such line");
  diag_report(d, E_SYNTAX, (Loc){s, 0, 0, 0, 0}, "line zero");
  diag_report(d, E_SYNTAX, (Loc){0}, "no place");
  diag_report(d, R_PLACEMENT, (Loc){0}, "not shown");
  char *p = printed(d, DIAG_TEXT, false, 80);
  assert_null(strchr(p, 27));
  assert_null(strstr(p, "not shown"));
  assert_non_null(strstr(p, "...xxx"));
  free(p);
  diags_show_remarks(d, true);
  for (int f = 0; f < 3; f++) free(p = printed(d, (DiagFormat)f, true, 0));
  p = printed(d, DIAG_SARIF, false, 0);
  assert_non_null(strstr(p, "a%20b.te"));
  assert_non_null(strstr(p, "not shown"));
  free(p);
  arena_free(a);
}

static void floods_are_capped(void **state) {
  (void)state;
  Arena *a = arena_new();
  Diags *d = diags_new(a);
  for (int i = 0; i < 1000; i++) {
    Diag *g = diag_report(d, E_TYPE, (Loc){0}, "number %d", i);
    diag_note(g, "x");
  }
  assert_int_equal(diags_errors(d), 1000);
  assert_int_equal(diags_count(d), 100);
  char *p = printed(d, DIAG_TEXT, false, 0);
  assert_non_null(strstr(p, "error: 900 more errors are not shown"));
  free(p);
  DiagCode c;
  assert_true(diag_code_of("e0301", &c) && c == E_COPY_COMPUTES);
  assert_false(diag_code_of("E030", &c));
  assert_false(diag_code_of("E03011", &c));
  arena_free(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arena_gives_zeroed_aligned_memory),
      cmocka_unit_test(arena_limit_leaves_by_longjmp),
      cmocka_unit_test(vectors_and_texts_grow),
      cmocka_unit_test(names_are_unique),
      cmocka_unit_test(sources_know_their_lines),
      cmocka_unit_test(integers_wrap_and_floor),
      cmocka_unit_test(casts_saturate_and_round),
      cmocka_unit_test(halves_round_to_even),
      cmocka_unit_test(minimum_and_maximum_fix_nan),
      cmocka_unit_test(memory_holds_every_type),
      cmocka_unit_test(diagnostics_show_all_places),
      cmocka_unit_test(diagnostics_survive_strange_places),
      cmocka_unit_test(floods_are_capped),
      cmocka_unit_test(remarks_take_one_line),
      cmocka_unit_test(sarif_counts_code_points),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

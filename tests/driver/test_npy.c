// SPDX-License-Identifier: Apache-2.0
// .npy files, well-formed and not, without files; and the differences of texts.
#include "driver/driver.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Ctx fresh(void) {
  Arena *a = arena_new();
  return (Ctx){a, names_new(a), diags_new(a)};
}

static const int64_t shape23[] = {2, 3};

// A .npy file into an array.
static bool npy_parse(Ctx *cx, const char *path, const unsigned char *data, size_t len, Array *into) {
  Values v;
  return npy_values(cx, path, into, data, len, &v) && values_fill(cx, &v, NULL, into);
}

static Array array23(DType t) {
  return (Array){
      .name = "x", .type = t, .ndim = 2, .shape = shape23, .elems = 6, .data = calloc(6, (size_t)dtype_bytes(t))};
}

// Parses a version 1.0 (or 3.0) file made of a header and data; true if it is accepted.
static bool parse(int version, const char *header, const void *data, size_t n, Array *into, char **message) {
  Ctx cx = fresh();
  Text t = {.arena = cx.arena};
  size_t len = strlen(header);
  unsigned char head[12] = {
      0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)version, 0, (unsigned char)len, (unsigned char)(len >> 8), 0, 0};
  text_add_bytes(&t, (char *)head, version == 1 ? 10 : 12);
  text_add_bytes(&t, header, len);
  text_add_bytes(&t, data, n);
  bool ok = npy_parse(&cx, "f.npy", (unsigned char *)t.data, t.len, into);
  assert_int_equal(diags_errors(cx.diags), !ok);
  enum { MOST = 1 << 16 };
  *message = calloc(1, MOST);
  FILE *f = fmemopen(*message, MOST, "w");
  diags_print(cx.diags, f, DIAG_TEXT, NULL);
  fclose(f);
  arena_free(cx.arena);
  return ok;
}

static void accepts(int version, const char *header, const int16_t *want) {
  static const int16_t data[] = {1, 2, 3, 4, 5, 6};
  Array a = array23(DT_I16);
  char *message;
  if (!parse(version, header, data, sizeof data, &a, &message)) fail_msg("%s: %s", header, message);
  assert_memory_equal(a.data, want, sizeof data);
  free(message);
  free(a.data);
}

static void good_files_are_read(void **state) {
  (void)state;
  static const int16_t c[] = {1, 2, 3, 4, 5, 6}, fortran[] = {1, 3, 5, 2, 4, 6};
  accepts(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }   \n", c);
  accepts(2, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }\n", c);
  accepts(3, "{\"shape\":(2,3),\"descr\":\"<i2\",\"fortran_order\":False}", c);
  accepts(1, "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n", fortran);
  accepts(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2L, 3L), }\n", c);
  accepts(1, "{'descr': '=i2', 'fortran_order': False, 'shape': (2, 3,)}\n", c);
}

static void refuses(int version, const char *header, size_t n, const char *why) {
  static const char data[64];
  Array a = array23(DT_I16);
  char *message;
  assert_false(parse(version, header, data, n, &a, &message));
  if (!strstr(message, why)) fail_msg("%s: lacks `%s`: %s", header, why, message);
  assert_non_null(strstr(message, "error[E0602]: `f.npy`: "));
  assert_non_null(strstr(message, "of int16[2, 3] for `x`"));
  free(message);
  free(a.data);
}

static void bad_files_are_refused(void **state) {
  (void)state;
  refuses(4, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }", 12, "its version is 4.0");
  refuses(1, "", 12, "its header is malformed");
  refuses(1, "{'descr': '<i2'", 12, "its header is malformed");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), } x", 12, "goes on after the dictionary");
  refuses(1, "{'descr': '<i2', 'fortran_order': False}", 12, "lacks `shape`");
  refuses(1, "{'descr': '<i2', 'descr': '<i2'}", 12, "`descr` twice");
  refuses(1, "{'colour': '<i2'}", 12, "unknown key `colour`");
  refuses(1, "{'descr': [('x', '<i2')], 'fortran_order': False, 'shape': (2, 3)}", 12, "records");
  refuses(1, "{'descr': '>i2', 'fortran_order': False, 'shape': (2, 3)}", 12, "big-endian");
  refuses(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 12, "cut short: 12 of 24 bytes");
  refuses(1, "{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3)}", 12, "`<c8` is none of ours");
  refuses(1, "{'descr': '', 'fortran_order': False, 'shape': (2, 3)}", 12, "not understood");
  refuses(1, "{'descr': '<i2', 'fortran_order': 1, 'shape': (2, 3)}", 12, "neither True nor False");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (3, 2)}", 12, "its shape is int16[3, 2]");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6,)}", 12, "its shape is int16[6]");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': ()}", 2, "its shape is int16[]");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (6)}", 12, "malformed");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (-2, 3)}", 12, "malformed");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (4000000000, 4000000000)}", 12, "too many elements");
  refuses(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (2000000000, 2000000000)}", 12, "too many elements");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (99999999999999999999, 3)}", 12, "malformed");
  refuses(1,
          "{'descr': '<i2', 'fortran_order': False, 'shape': "
          "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
          12, "malformed");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3)}", 11, "cut short: 11 of 12 bytes");
  refuses(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3)}", 13, "goes on after its 12 bytes");
}

static void every_prefix_of_a_file_is_refused(void **state) {
  (void)state;
  Ctx cx = fresh();
  Array a = array23(DT_F32), b = array23(DT_F32);
  array_random(&a, 7);
  Text t = {.arena = cx.arena};
  npy_format(&a, &t);
  assert_int_equal(t.len, 128 + 24);
  for (size_t n = 0; n < t.len; n++) {
    unsigned char *copy = malloc(n + !n); // exactly as long: an over-read is found by sanitizers
    memcpy(copy, t.data, n);
    assert_false(npy_parse(&cx, "f.npy", copy, n, &b));
    free(copy);
  }
  assert_true(npy_parse(&cx, "f.npy", (unsigned char *)t.data, t.len, &b));
  assert_memory_equal(a.data, b.data, 24);
  free(a.data);
  free(b.data);
  arena_free(cx.arena);
}

// Whether six elements, the last of which is given, are accepted as another type; the last is compared.
static bool converts(DType from, Scalar v, DType to, Scalar want) {
  Ctx cx = fresh();
  char data[6 * 8] = {0};
  Array into = array23(to);
  scalar_store(from, data + 5 * dtype_bytes(from), v);
  Values values = {.from = "f.npy", .type = from, .ndim = 2, .shape = shape23, .elems = 6, .data = data};
  bool ok = values_fill(&cx, &values, NULL, &into);
  Scalar got = scalar_load(to, (char *)into.data + 5 * dtype_bytes(to));
  if (ok && dtype_is_float(to)) assert_true(got.f == want.f || (isnan(got.f) && isnan(want.f)));
  else if (ok) assert_true(got.i == want.i);
  free(into.data);
  arena_free(cx.arena);
  return ok;
}

static void types_are_converted_where_they_have_the_value(void **state) {
  (void)state;
#define I(x) ((Scalar){.i = (x)})
#define F(x) ((Scalar){.f = (x)})
  assert_true(converts(DT_U8, I(200), DT_F32, F(200)));
  assert_true(converts(DT_U8, I(127), DT_I8, I(127)));
  assert_false(converts(DT_U8, I(128), DT_I8, I(0)));
  assert_true(converts(DT_I64, I(-128), DT_I8, I(-128)));
  assert_false(converts(DT_I64, I(-129), DT_I8, I(0)));
  assert_false(converts(DT_I8, I(-1), DT_U64, I(0)));
  assert_false(converts(DT_U64, I(-1), DT_I64, I(0)));
  assert_true(converts(DT_U64, I(INT64_MAX), DT_I64, I(INT64_MAX)));
  assert_true(converts(DT_BOOL, I(1), DT_I8, I(1)));
  assert_true(converts(DT_I8, I(1), DT_BOOL, I(1)));
  assert_false(converts(DT_I8, I(2), DT_BOOL, I(0)));
  assert_true(converts(DT_F64, F(0.1), DT_F32, F((double)0.1f)));
  assert_false(converts(DT_F64, F(1e300), DT_F32, F(0)));
  assert_true(converts(DT_F64, F((double)INFINITY), DT_F32, F((double)INFINITY)));
  assert_true(converts(DT_F32, F((double)NAN), DT_F64, F((double)NAN)));
  assert_true(converts(DT_F32, F(-3), DT_I8, I(-3)));
  assert_false(converts(DT_F32, F(0.5), DT_I8, I(0)));
  assert_false(converts(DT_F32, F((double)NAN), DT_I8, I(0)));
  assert_false(converts(DT_F32, F((double)INFINITY), DT_I64, I(0)));
  assert_false(converts(DT_F64, F(0x1p63), DT_I64, I(0)));
  assert_true(converts(DT_F64, F(-0x1p63), DT_I64, I(INT64_MIN)));
  assert_true(converts(DT_F64, F(0x1p63), DT_U64, I(INT64_MIN)));
  assert_false(converts(DT_F64, F(0x1p64), DT_U64, I(0)));
  assert_false(converts(DT_F64, F(-1), DT_U64, I(0)));
  assert_true(converts(DT_I64, I(1 << 24 | 1), DT_F32, F(0x1p24)));
}

static void comparison_counts_and_locates(void **state) {
  (void)state;
  Ctx cx = fresh();
  Array a = array23(DT_F32), b = array23(DT_F32);
  float *x = a.data, *y = b.data;
  for (int i = 0; i < 6; i++) x[i] = y[i] = (float)i;
  Text t = {.arena = cx.arena};
  x[2] = 2.00001f;
  assert_true(array_compare(&a, &b, false, &t));
  assert_string_equal(t.data, "check: x: 6 elements agree (within 1e-05 * (1 + magnitude))\n");
  t.len = 0;
  assert_false(array_compare(&a, &b, true, &t));
  assert_string_equal(t.data, "check: x: 1 of 6 elements differ; the first at x[0, 2]: got 2.00001001, expected 2\n");
  x[2] = 2;
  y[0] = -0.0f;
  t.len = 0;
  assert_false(array_compare(&a, &b, true, &t));
  x[2] = 2.00001f;
  x[4] = 5;
  x[5] = 0;
  t.len = 0;
  assert_false(array_compare(&a, &b, false, &t));
  assert_string_equal(t.data, "check: x: 2 of 6 elements differ (within 1e-05 * (1 + magnitude)); the first at "
                              "x[1, 1]: got 5, expected 4\n");
  free(a.data);
  free(b.data);
  arena_free(cx.arena);
}

static void differences_show_changed_lines(void **state) {
  (void)state;
  Ctx cx = fresh();
  Text t = {.arena = cx.arena};
  text_diff(cx.arena, "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\nten\n", &t);
  assert_string_equal(t.data, "@@ -2 +2 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+ten\n");
  t.len = 0;
  text_diff(cx.arena, "", "a\n", &t);
  assert_string_equal(t.data, "@@ -1 +1 @@\n+a\n");
  arena_free(cx.arena);
}

static void names_are_suggested(void **state) {
  (void)state;
  const char *names[] = {"--emit", "--target", "--input"};
  assert_string_equal(nearest_name("--emti", names, 3), "--emit");
  assert_string_equal(nearest_name("--taget", names, 3), "--target");
  assert_null(nearest_name("--frobnicate", names, 3));
  int64_t v;
  assert_true(parse_int64("-0x10", &v) && v == -16);
  assert_true(parse_int64("0123", &v) && v == 123);
  assert_false(parse_int64("", &v) || parse_int64("1x", &v) || parse_int64(" 1", &v) ||
               parse_int64("9223372036854775808", &v));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_files_are_read),
      cmocka_unit_test(bad_files_are_refused),
      cmocka_unit_test(every_prefix_of_a_file_is_refused),
      cmocka_unit_test(types_are_converted_where_they_have_the_value),
      cmocka_unit_test(comparison_counts_and_locates),
      cmocka_unit_test(differences_show_changed_lines),
      cmocka_unit_test(names_are_suggested),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

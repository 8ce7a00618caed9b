// SPDX-License-Identifier: Apache-2.0
// Quartiles as numpy.percentile has them (linear between samples), and which samples are outliers.
#include "driver/driver.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

static void expect(size_t n, const double *samples, double least, double low, double median, double high,
                   int64_t outliers) {
  double sorted[16];
  Bench b = {0};
  for (size_t i = 0; i < n; i++) sorted[i] = samples[i];
  bench_sum(sorted, n, &b);
  assert_int_equal(b.samples, n);
  assert_float_equal(b.least, least, 1e-12);
  assert_float_equal(b.low, low, 1e-12);
  assert_float_equal(b.median, median, 1e-12);
  assert_float_equal(b.high, high, 1e-12);
  assert_int_equal(b.outliers, outliers);
}

static void quartiles(void **state) {
  (void)state;
  expect(1, (double[]){3}, 3, 3, 3, 3, 0);
  expect(2, (double[]){4, 2}, 2, 2.5, 3, 3.5, 0);
  expect(4, (double[]){4, 1, 3, 2}, 1, 1.75, 2.5, 3.25, 0);
  expect(5, (double[]){5, 1, 4, 2, 3}, 1, 2, 3, 4, 0);
  expect(9, (double[]){10, 10, 10, 10, 10, 10, 10, 10, 10}, 10, 10, 10, 10, 0);
}

static void outliers(void **state) {
  (void)state;
  expect(9, (double[]){1, 2, 3, 4, 5, 6, 7, 8, 20}, 1, 3, 5, 7, 1); // 7 + 3 * 4 = 19
  expect(9, (double[]){1, 2, 3, 4, 5, 6, 7, 8, 19}, 1, 3, 5, 7, 0); // not above it
  expect(6, (double[]){5, 5, 5, 5, 90, 91}, 5, 5, 5, 68.75, 0);     // a third of the samples is no outlier
  expect(8, (double[]){5, 5, 5, 5, 5, 5, 5, 6}, 5, 5, 5, 5, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(quartiles), cmocka_unit_test(outliers)};
  return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}

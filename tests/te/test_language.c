// SPDX-License-Identifier: Apache-2.0
// Every ```te block of docs/language.md is a program that loads and runs; every ```te-error block one that does not,
// with the message that its first line announces.
#include "support.h"

#include <stdlib.h>
#include <string.h>

static char *read_all(const char *path) {
  FILE *f = fopen(path, "r");
  if (!f) fail_msg("cannot read %s", path);
  fseek(f, 0, SEEK_END);
  long n = ftell(f);
  rewind(f);
  char *text = calloc(1, (size_t)n + 1);
  assert_int_equal(fread(text, 1, (size_t)n, f), n);
  fclose(f);
  return text;
}

static void run_block(const char *text) {
  Loaded l = load_text(text);
  if (!l.m) {
    diags_print(l.cx.diags, stderr, DIAG_TEXT, NULL);
    fail_msg("an example does not check:\n%s", text);
  }
  for (int i = 0; i < l.m->nkernels; i++) {
    TeArrays a = make_arrays(l.m->kernels[i], 1), b = make_arrays(l.m->kernels[i], 1);
    assert_true(te_eval(&l.cx, l.m->kernels[i], &a));
    assert_true(walk_kernel(l.m->kernels[i], &b));
    free_arrays(l.m->kernels[i], &a);
    free_arrays(l.m->kernels[i], &b);
  }
  unload(&l);
}

static void refuse_block(const char *text) {
  const char *at = strstr(text, "//~ error: ");
  char want[200];
  assert_non_null(at);
  snprintf(want, sizeof want, "%.*s", (int)strcspn(at + 11, "\n"), at + 11);
  Loaded l = load_text(text);
  int n;
  Message *all = messages_of(&l, &n);
  if (n == 0 || !strstr(all[0].headline, want)) fail_msg("`%s`, expected `%s`", n ? all[0].headline : "no error", want);
  free(all);
  unload(&l);
}

static void examples_run(void **state) {
  (void)state;
  char *doc = read_all(getenv("TETC_LANGUAGE_MD"));
  int runs = 0;
  for (char *at = strstr(doc, "\n```te"); at; at = strstr(at, "\n```te")) {
    char *start = strchr(at + 1, '\n') + 1, *end = strstr(start, "\n```");
    bool error = strncmp(at + 6, "-error", 6) == 0;
    assert_non_null(end);
    *end = 0;
    if (error) refuse_block(start);
    else run_block(start);
    runs++;
    at = end + 4;
  }
  assert_true(runs >= 15);
  free(doc);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(examples_run)};
  return cmocka_run_group_tests_name("te_language", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Every kernel in tests/negative/te gives exactly the errors that its `//~ error: text` comments announce: each on its
// line, with the text in the headline, and no other.
#include "support.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

typedef struct Expected {
  int line;
  char text[200];
  bool met;
} Expected;

static int read_expected(const Source *src, Expected *out, int max) {
  int n = 0;
  for (uint32_t line = 1; line <= src->nlines; line++) {
    const char *from = src->text + src->line_start[line - 1];
    const char *end = line < src->nlines ? src->text + src->line_start[line] : src->text + src->len;
    for (const char *at = strstr(from, "//~ error: "); at && at < end && n < max; at = strstr(at + 1, "//~ error: ")) {
      Expected *e = &out[n++];
      *e = (Expected){.line = (int)line};
      snprintf(e->text, sizeof e->text, "%.*s", (int)strcspn(at + 11, "\n"), at + 11);
      for (size_t len = strlen(e->text); len && e->text[len - 1] == ' '; len--) e->text[len - 1] = 0;
    }
  }
  return n;
}

// Prints what went wrong with one file; returns how much.
static int check_file(const char *path) {
  Expected want[32];
  int nwant, n, bad = 0;
  Loaded l = load_file(path);
  const char *error;
  nwant = read_expected(source_read(l.cx.arena, path, &error), want, 32);
  Message *got = messages_of(&l, &n);
  for (int i = 0; i < n; i++) {
    bool announced = false;
    for (int k = 0; k < nwant && !announced; k++) {
      if (want[k].met || want[k].line != got[i].line || !strstr(got[i].headline, want[k].text)) continue;
      announced = want[k].met = true;
    }
    if (announced) continue;
    print_error("%s:%d:%d: not announced: %s\n", path, got[i].line, got[i].col, got[i].headline);
    bad++;
  }
  for (int k = 0; k < nwant; k++) {
    if (want[k].met) continue;
    print_error("%s:%d: did not come: %s\n", path, want[k].line, want[k].text);
    bad++;
  }
  if (nwant == 0) {
    print_error("%s: announces no error\n", path);
    bad++;
  }
  if (l.m) bad++;
  free(got);
  unload(&l);
  return bad;
}

static void negative_kernels_give_their_errors(void **state) {
  (void)state;
  const char *dir = getenv("TETC_NEGATIVE_DIR");
  struct dirent **names;
  int n = scandir(dir, &names, NULL, alphasort), bad = 0, files = 0;
  assert_true(n > 0);
  for (int i = 0; i < n; i++) {
    const char *dot = strrchr(names[i]->d_name, '.');
    if (dot && strcmp(dot, ".te") == 0) {
      char path[4096];
      snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
      bad += check_file(path);
      files++;
    }
    free(names[i]);
  }
  free(names);
  assert_int_equal(bad, 0);
  assert_true(files >= 40);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(negative_kernels_give_their_errors)};
  return cmocka_run_group_tests_name("te_negative", tests, NULL, NULL);
}

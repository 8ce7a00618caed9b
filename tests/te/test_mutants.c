// SPDX-License-Identifier: Apache-2.0
// Random changes to programs: whatever comes out is refused with a message or loads, prints, reads back the same and
// runs inside its tensors. `test_te_mutants SEED SECONDS` goes on for longer.
#include "support.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_SEEDS = 300, MAX_TEXT = 60000 };

static char *seeds[MAX_SEEDS];
static int nseeds;
static uint64_t random_state = 11;

static uint32_t draw(size_t n) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((random_state >> 33) % (n ? n : 1));
}

static void add_seed(const char *text, size_t len) {
  if (nseeds < MAX_SEEDS && len < MAX_TEXT / 2) seeds[nseeds++] = strndup(text, len);
}

static char *read_all(const char *path) {
  FILE *f = fopen(path, "r");
  if (!f) fail_msg("cannot read %s", path);
  char *text = calloc(1, MAX_TEXT);
  assert_true(fread(text, 1, MAX_TEXT - 1, f) > 0);
  fclose(f);
  return text;
}

static void add_folder(const char *dir) {
  struct dirent **names;
  int n = scandir(dir, &names, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    const char *dot = strrchr(names[i]->d_name, '.');
    if (dot && strcmp(dot, ".te") == 0) {
      char path[4096];
      snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
      char *text = read_all(path);
      add_seed(text, strlen(text));
      free(text);
    }
    free(names[i]);
  }
  free(names);
}

static void add_examples(void) {
  char *doc = read_all(getenv("TETC_LANGUAGE_MD"));
  for (char *at = strstr(doc, "\n```te"); at; at = strstr(at, "\n```te")) {
    char *start = strchr(at + 1, '\n') + 1, *end = strstr(start, "\n```");
    add_seed(start, (size_t)(end - start));
    at = end + 4;
  }
  free(doc);
}

// Replaces `cut` bytes at `at` by a text; refuses to grow beyond the buffer.
static void splice(char *text, size_t *len, size_t at, size_t cut, const char *with, size_t n) {
  if (at > *len) at = *len;
  if (cut > *len - at) cut = *len - at;
  if (*len - cut + n >= MAX_TEXT) return;
  memmove(text + at + n, text + at + cut, *len - at - cut);
  memcpy(text + at, with, n);
  *len += n - cut;
  text[*len] = 0;
}

static void mutate(char *text, size_t *len) {
  static const char *const tokens[] = {"(",
                                       ")",
                                       "[",
                                       "]",
                                       "{",
                                       "}",
                                       ";",
                                       ":",
                                       ",",
                                       "=",
                                       "+",
                                       "-",
                                       "*",
                                       "/",
                                       "%",
                                       "<<",
                                       ">>",
                                       "&&",
                                       "||",
                                       "?",
                                       "!",
                                       "~",
                                       "==",
                                       "sum[",
                                       "max(",
                                       "int8(",
                                       "float32(",
                                       "0",
                                       "1",
                                       "9223372036854775807",
                                       "18446744073709551615",
                                       "-9223372036854775808",
                                       "1.5",
                                       "inf",
                                       "nan",
                                       "kernel",
                                       "output",
                                       "input",
                                       "compute",
                                       "schedule",
                                       "knob",
                                       "for",
                                       "in",
                                       "param",
                                       "const",
                                       "target vta;",
                                       "import \"x.te\";",
                                       "\"",
                                       "/*",
                                       "*/",
                                       "//",
                                       "x",
                                       "y",
                                       "clamp(",
                                       "true",
                                       "vta.batch",
                                       "vta.",
                                       "1e308",
                                       "float16",
                                       "uint64",
                                       "bool",
                                       ".",
                                       "% 0",
                                       "/ 0",
                                       "a[",
                                       "? 1 : 0",
                                       "int64("};
  size_t at = draw(*len);
  const char *token = tokens[draw(sizeof tokens / sizeof *tokens)];
  char byte = (char)draw(256);
  switch (draw(6)) {
  case 0: splice(text, len, at, 1 + draw(12), "", 0); return;
  case 1: splice(text, len, at, 0, token, strlen(token)); return;
  case 2: splice(text, len, at, 1, &byte, byte != 0); return;
  case 3: {
    const char *other = seeds[draw((size_t)nseeds)];
    size_t from = draw(strlen(other)), n = strnlen(other + from, draw(200));
    splice(text, len, at, 0, other + from, n);
    return;
  }
  case 4: splice(text, len, at, strlen(token), token, strlen(token)); return;
  default: // another digit
    while (at < *len && (text[at] < '0' || text[at] > '9')) at++;
    if (at < *len) text[at] = (char)('0' + draw(10));
  }
}

// Elements computed by a kernel, or a large number.
static int64_t work_of(const TeKernel *k) {
  int64_t work = 0;
  for (int i = 0; i < k->ntensors; i++) {
    int64_t n = te_tensor_elems(k->tensors[i]);
    for (int r = 0; r < k->tensors[i]->nraxes && n < 1 << 24; r++) n *= k->tensors[i]->raxes[r]->extent;
    if (n >= 1 << 20 || (work += n) >= 1 << 20) return 1 << 20;
  }
  return work;
}

static void check_loaded(Loaded *l) {
  Text first = {.arena = l->cx.arena}, second = {.arena = l->cx.arena};
  te_print(l->m, &first);
  Loaded again = load_text(first.data);
  if (!again.m) fail_msg("does not read back:\n%s", first.data);
  te_print(again.m, &second);
  assert_string_equal(first.data, second.data);
  unload(&again);
  for (int i = 0; i < l->m->nkernels; i++) {
    if (work_of(l->m->kernels[i]) >= 1 << 20) continue;
    TeArrays a = make_arrays(l->m->kernels[i], random_state);
    if (!te_eval(&l->cx, l->m->kernels[i], &a)) fail_msg("leaves its tensors:\n%s", first.data);
    free_arrays(l->m->kernels[i], &a);
  }
}

static void run_mutant(void) {
  static char text[MAX_TEXT + 1];
  strcpy(text, seeds[draw((size_t)nseeds)]);
  size_t len = strlen(text);
  for (int n = 1 + (int)draw(4); n > 0; n--) mutate(text, &len);
  char *exact = strdup(text); // so that a sanitizer sees any byte read beyond the end
  Loaded l = load_text(exact);
  int n;
  free(messages_of(&l, &n));
  if (!l.m && n == 0) fail_msg("refused without a message:\n%s", exact);
  if (l.m) check_loaded(&l);
  unload(&l);
  free(exact);
}

static int seconds;

static void mutants_are_refused_or_run(void **state) {
  (void)state;
  add_folder(getenv("TETC_SAMPLES_DIR"));
  add_folder(getenv("TETC_NEGATIVE_DIR"));
  add_examples();
  assert_true(nseeds > 50);
  time_t end = time(NULL) + seconds;
  for (int i = 0; i < 1500 || time(NULL) < end; i++) run_mutant();
  for (int i = 0; i < nseeds; i++) free(seeds[i]);
}

int main(int argc, char **argv) {
  if (argc > 1) random_state = strtoull(argv[1], NULL, 10);
  if (argc > 2) seconds = atoi(argv[2]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(mutants_are_refused_or_run)};
  return cmocka_run_group_tests_name("te_mutants", tests, NULL, NULL);
}

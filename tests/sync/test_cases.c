// SPDX-License-Identifier: Apache-2.0
// Golden cases of single passes: `// pass, pass ...` on the first line, TIR, a line `====`, and what must come out
// (TIR, or the messages). `test_cases --bless FILE...` writes what comes out.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"

static bool bless;

// The file whole, in the arena; NULL if it cannot be read.
static char *slurp(Arena *a, const char *path) {
  const char *error;
  const Source *s = source_read(a, path, &error);
  return s ? arena_copy(a, s->text, s->len + 1) : NULL;
}

static void print_messages(Ctx *cx, Text *out) {
  char *data = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&data, &size);
  diags_print(cx->diags, f, DIAG_TEXT, false, 0);
  fclose(f);
  text_add_bytes(out, data, size);
  free(data);
}

// Runs the passes named in `names` on the TIR text.
static void run_case(Ctx *cx, const char *names, const char *tir, Text *out) {
  VtaConfig config = vta_config_default();
  VtaTarget *vta = vta_target_new(cx, &config);
  PassCtx pc = {.cx = cx, .vta = vta};
  const Func *f = tir_parse(cx, source_new(cx->arena, "case", tir, strlen(tir)), &vta->tir);
  char *list = arena_copy(cx->arena, names, strlen(names) + 1), *save = NULL;
  for (char *n = strtok_r(list, ", \n", &save); n && f; n = strtok_r(NULL, ", \n", &save)) {
    int p = pass_find(n);
    if (p < 0) fail_msg("no pass `%s`", n);
    f = pass_table[p].run(&pc, f);
    const char *why = NULL;
    if (f && !tir_verify(cx, f, pass_table[p].out, &why)) fail_msg("after %s: %s", n, why);
  }
  if (f) tir_print(f, NULL, out);
  print_messages(cx, out);
}

static void test_case(void **state) {
  const char *path = *state;
  Arena *a = arena_new();
  Ctx cx = {.arena = a, .names = names_new(a), .diags = diags_new(a)};
  char *text = slurp(a, path);
  assert_non_null(text);
  char *cut = strstr(text, "====\n"), *line = strchr(text, '\n');
  assert_true(!strncmp(text, "// ", 3) && line);
  *line = 0;
  char *want = cut ? cut + 5 : "";
  if (cut) *cut = 0;
  Text got = {.arena = a};
  run_case(&cx, text + 3, line + 1, &got);
  if (bless) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s\n%s====\n%s", text, line + 1, got.data);
    fclose(f);
  } else if (strcmp(got.data, want)) {
    print_message("%s gives\n%s", path, got.data);
    fail_msg("%s: not what was expected", path);
  }
  arena_free(a);
}

int main(int argc, char **argv) {
  int first = 1;
  if (argc > 1 && !strcmp(argv[1], "--bless")) bless = true, first = 2;
  struct CMUnitTest *tests = calloc((size_t)argc, sizeof *tests);
  for (int i = first; i < argc; i++) {
    const char *slash = strrchr(argv[i], '/');
    tests[i - first] = (struct CMUnitTest){slash ? slash + 1 : argv[i], test_case, NULL, NULL, argv[i]};
  }
  int failed = _cmocka_run_group_tests("cases", tests, (size_t)(argc - first), NULL, NULL);
  free(tests);
  return failed;
}

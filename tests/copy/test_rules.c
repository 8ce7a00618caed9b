// SPDX-License-Identifier: Apache-2.0
// Golden pairs: cases/NAME.tir before the pass, cases/NAME.after.tir behind it, or cases/NAME.refused with the messages.
// Every output must verify, print and parse back to the same text. test_rules DIR; with TETC_BLESS set, outputs that differ are written.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "passes/passes.h"

#define CASES_MAX 200

static const char *dir;

typedef struct Env {
  Ctx cx;
  const VtaTarget *vta;
} Env;

static Env env_new(void) {
  Env e = {.cx = {.arena = arena_new()}};
  VtaConfig config = vta_config_default();
  e.cx.names = names_new(e.cx.arena);
  e.cx.diags = diags_new(e.cx.arena);
  e.vta = vta_target_new(&e.cx, &config);
  return e;
}

static const char *text_of(Env *e, const Func *f) {
  Text t = {.arena = e->cx.arena};
  tir_print(f, NULL, &t);
  return t.data;
}

static Func *parse(Env *e, const char *path) {
  const char *error = NULL;
  const Source *src = source_read(e->cx.arena, path, &error);
  Func *f = src ? tir_parse(&e->cx, src, &e->vta->tir) : NULL;
  if (!f) diags_print(e->cx.diags, stdout, DIAG_TEXT, false, 0);
  return f;
}

// NULL if the file at path holds text, or it was written.
static const char *compare(Env *e, const char *path, const char *text) {
  const char *error = NULL;
  const Source *golden = source_read(e->cx.arena, path, &error);
  if (golden && !strcmp(golden->text, text)) return NULL;
  FILE *f = getenv("TETC_BLESS") ? fopen(path, "w") : NULL;
  if (f) {
    fputs(text, f);
    fclose(f);
    return NULL;
  }
  print_message("%s", text);
  return "differs from its golden text";
}

// The messages, without the directory of the cases.
static const char *messages(Env *e) {
  char *text = NULL;
  size_t len = 0;
  FILE *f = open_memstream(&text, &len);
  diags_print(e->cx.diags, f, DIAG_TEXT, false, 0);
  fclose(f);
  Text t = {.arena = e->cx.arena};
  for (const char *at = text, *hit; at; at = hit ? hit + strlen(dir) + 1 : NULL) {
    hit = strstr(at, dir);
    text_add_bytes(&t, at, hit ? (size_t)(hit - at) : strlen(at));
  }
  free(text);
  return t.data;
}

// Lowers one case and compares; NULL if it is right.
static const char *check(Env *e, const char *name) {
  const char *base = arena_printf(e->cx.arena, "%s/%s", dir, name), *why = NULL;
  const char *after = arena_printf(e->cx.arena, "%s.after.tir", base);
  Func *f = parse(e, arena_printf(e->cx.arena, "%s.tir", base));
  if (!f) return "does not parse";
  if (!tir_verify(&e->cx, f, FORM_LOOPS, &why)) return why;
  PassCtx pc = {.cx = &e->cx, .vta = e->vta};
  Func *out = pass_inject_copy(&pc, f);
  if (!out) return compare(e, arena_printf(e->cx.arena, "%s.refused", base), messages(e));
  if (!tir_verify(&e->cx, out, FORM_TILES, &why)) return why;
  const char *text = text_of(e, out);
  const Source *again = source_new(e->cx.arena, after, text, strlen(text));
  Func *back = tir_parse(&e->cx, again, &e->vta->tir);
  if (!back || strcmp(text_of(e, back), text)) return "does not read back";
  return compare(e, after, arena_printf(e->cx.arena, "// SPDX-License-Identifier: Apache-2.0\n%s", text));
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static void golden_pairs(void **state) {
  (void)state;
  static char names[CASES_MAX][64];
  int n = 0, bad = 0;
  DIR *d = opendir(dir);
  assert_non_null(d);
  for (struct dirent *entry; (entry = readdir(d)) && n < CASES_MAX;) {
    const char *dot = strchr(entry->d_name, '.');
    if (!dot || strcmp(dot, ".tir")) continue;
    snprintf(names[n++], sizeof names[0], "%.*s", (int)(dot - entry->d_name), entry->d_name);
  }
  closedir(d);
  qsort(names, (size_t)n, sizeof names[0], by_name);
  for (int i = 0; i < n; i++) {
    Env e = env_new();
    const char *problem = check(&e, names[i]);
    if (problem) print_message("# %s %s\n", names[i], problem), bad++;
    arena_free(e.cx.arena);
  }
  assert_true(n > 20);
  assert_int_equal(bad, 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(golden_pairs)};
  if (argc < 2) return 2;
  dir = argv[1];
  return cmocka_run_group_tests(tests, NULL, NULL);
}

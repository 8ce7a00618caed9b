// SPDX-License-Identifier: Apache-2.0
#include "support.h"

#include <stdlib.h>
#include <string.h>

static const TeTargetConst vta_consts[] = {{"vta.batch", 1}, {"vta.block_in", 16}, {"vta.block_out", 16}};
static const TeTarget vta = {"vta", 3, vta_consts};

TeOptions default_options(void) { return (TeOptions){.targets = &vta, .ntargets = 1}; }

Loaded load_with(const char *path, const char *text, const TeOptions *opt) {
  Arena *a = arena_new();
  Loaded l = {.cx = {a, names_new(a), diags_new(a)}};
  const char *error = NULL;
  const Source *src = text ? source_new(a, path, text, strlen(text)) : source_read(a, path, &error);
  if (!src) fail_msg("%s: %s", path, error);
  l.m = te_load(&l.cx, src, opt);
  return l;
}

Loaded load_text(const char *text) {
  TeOptions opt = default_options();
  return load_with("test.te", text, &opt);
}

Loaded load_file(const char *path) {
  TeOptions opt = default_options();
  return load_with(path, NULL, &opt);
}

void unload(Loaded *l) { arena_free(l->cx.arena); }

Message *messages_of(const Loaded *l, int *count) {
  char *text = NULL;
  size_t len = 0;
  FILE *f = open_memstream(&text, &len);
  diags_print(l->cx.diags, f, DIAG_TEXT, NULL);
  fclose(f);
  Message *all = NULL;
  *count = 0;
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    if (strncmp(line, "error[", 6) == 0) {
      all = realloc(all, (size_t)(*count + 1) * sizeof *all);
      Message *m = &all[(*count)++];
      memset(m, 0, sizeof *m);
      snprintf(m->headline, sizeof m->headline, "%s", line);
      continue;
    }
    const char *arrow = strstr(line, "--> ");
    if (!arrow || *count == 0 || all[*count - 1].line) continue;
    Message *m = &all[*count - 1];
    sscanf(arrow + 4, "%255[^:]:%d:%d", m->path, &m->line, &m->col);
  }
  free(text);
  return all;
}

void expect_error(const Loaded *l, const char *code, const char *text) {
  int n;
  Message *all = messages_of(l, &n);
  if (n == 0) fail_msg("no message, expected %s", code);
  char want[32];
  snprintf(want, sizeof want, "error[%s]", code);
  if (strncmp(all[0].headline, want, strlen(want)) || !strstr(all[0].headline, text))
    fail_msg("got `%s`, expected %s with `%s`", all[0].headline, want, text);
  free(all);
}

const TeTensor *tensor_named(const TeKernel *k, const char *name) {
  for (int i = 0; i < k->ntensors; i++)
    if (strcmp(k->tensors[i]->name, name) == 0) return k->tensors[i];
  fail_msg("no tensor %s", name);
  return NULL;
}

static uint64_t next(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

TeArrays make_arrays(const TeKernel *k, uint64_t seed) {
  TeArrays a = {calloc((size_t)k->ntensors, sizeof(void *))};
  for (int i = 0; i < k->ntensors; i++) {
    const TeTensor *t = k->tensors[i];
    int64_t n = te_tensor_elems(t);
    int bytes = dtype_bytes(t->type);
    a.data[i] = calloc((size_t)n, (size_t)bytes);
    for (int64_t e = 0; t->role == TE_INPUT && e < n; e++) {
      Scalar v;
      if (dtype_is_float(t->type)) v.f = round_float(t->type, ((double)(next(&seed) % 4001) - 2000) / 128);
      else v.i = wrap_int(t->type, (int64_t)(next(&seed) % 301) - 150);
      if (t->type == DT_BOOL) v.i = (int64_t)(next(&seed) & 1);
      scalar_store(t->type, (char *)a.data[i] + e * bytes, v);
    }
  }
  return a;
}

void free_arrays(const TeKernel *k, TeArrays *a) {
  for (int i = 0; i < k->ntensors; i++) free(a->data[i]);
  free(a->data);
}

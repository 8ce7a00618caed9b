// SPDX-License-Identifier: Apache-2.0
// The module: files and their imports, the target, constants, and who is named what. Kernels are kernel.c.
#include "te/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- files -----------------------------------------------------------------------------------------------------

typedef struct OpenFile OpenFile;
struct OpenFile {
  const char *real; // canonical path, or the path as written
  const OpenFile *by;
};

typedef struct Loader {
  Checker *ck;
  NameTable *done; // canonical paths of the files loaded so far: to Checker.files
} Loader;

static const char *canonical(Ctx *cx, const char *path) {
  char *real = strcmp(path, "-") == 0 ? NULL : realpath(path, NULL);
  if (!real && errno == ENOMEM) memory_out();
  const char *copy = arena_printf(cx->arena, "%s", real ? real : path);
  free(real);
  return copy;
}

// The library, in the compiler itself: texts of lib/ made by embed.sh, behind the line that it puts first.
extern const char te_library_nn[], te_library_vta[];
static const struct { const char *name, *text; } library[] = {{"nn.te", te_library_nn}, {"vta.te", te_library_vta}};

static const Source *find_in_library(Arena *a, const char *path) {
  for (size_t i = 0; i < sizeof library / sizeof *library; i++) {
    if (strcmp(library[i].name, path) != 0) continue;
    const char *text = library[i].text + 1;
    return source_new(a, arena_printf(a, "<%s>", path), text, strlen(text));
  }
  return NULL;
}

const char *library_file_of(Arena *a, const char *def) {
  const char *head = arena_printf(a, "\ndef %s(", def);
  for (size_t i = 0; i < sizeof library / sizeof *library; i++)
    if (strstr(library[i].text, head)) return library[i].name;
  return NULL;
}

bool te_name_taken(const char *name) {
  char head[128];
  DType t;
  if (builtin_find(name) || dtype_of_name(name, &t)) return true;
  int n = snprintf(head, sizeof head, "\ndef %s(", name);
  for (size_t i = 0; n < (int)sizeof head && i < sizeof library / sizeof *library; i++)
    if (strstr(library[i].text, head)) return true;
  return false;
}

// Finds an imported file: beside the importing one, then in the -I directories, then in the library, if there was none
// of the name before, good or bad. NULL: *error says why.
static const Source *find_import(Checker *ck, const char *from, const char *path, const char **error) {
  Arena *a = ck->cx->arena;
  const char *slash = strrchr(from, '/');
  const char *first = path[0] == '/' || !slash ? path : arena_printf(a, "%.*s/%s", (int)(slash - from), from, path);
  const Source *src = source_read(a, first, error);
  bool there = access(first, F_OK) == 0;
  for (int i = 0; !src && path[0] != '/' && i < ck->opt->ninclude_dirs; i++) {
    const char *ignored, *next = arena_printf(a, "%s/%s", ck->opt->include_dirs[i], path);
    src = source_read(a, next, &ignored);
    there |= access(next, F_OK) == 0;
  }
  return src || there ? src : find_in_library(a, path);
}

static AstFile *load_file(Loader *l, const Source *src, const OpenFile *by, int depth);

// Whether the file is the one that the text names by what it holds.
static void check_hash(Checker *ck, const AstItem *item, const char digits[65]) {
  static const char kind[] = "sha256:";
  const char *given = item->hash + (strncmp(item->hash, kind, 7) == 0 ? 7 : 0);
  Diag *g;
  if (given == item->hash || strlen(given) != 64 || strspn(given, "0123456789abcdef") != 64) {
    g = diag_report(ck->cx->diags, E_IMPORT, item->hash_loc, "`%s` is no hash of a file", item->hash);
    diag_help(g, "it is `sha256:` and the 64 digits that `sha256sum %s` prints", item->name);
  } else if (strcmp(given, digits) != 0) {
    g = diag_report(ck->cx->diags, E_IMPORT, item->name_loc, "`%s` is not the file that this text was written for",
                    item->name);
    diag_also(g, item->hash_loc, "the text names it by this");
    diag_note(g, "what it holds now is `sha256:%s`", digits);
    diag_help(g, "make both anew with the tool that wrote them; if this file is meant, write its hash, or none");
  } else {
    return;
  }
  ck->broken = true;
}

// An import of arrays, looked up as other files are.
static void load_arrays(Checker *ck, AstItem *item) {
  const char *from = item->loc.src->path, *slash = strrchr(from, '/'), *error = NULL, *ignored;
  Arena *a = ck->cx->arena;
  bool absolute = item->name[0] == '/';
  const TeGiven *given = ck->opt->given;
  const char *path =
      absolute || !slash ? item->name : arena_printf(a, "%.*s/%s", (int)(slash - from), from, item->name);
  item->arrays = given && !strcmp(given->name, item->name) ? arrays_list(ck->cx, path, given->data, given->len, &error)
                                                           : arrays_read(ck->cx, path, &error);
  for (int i = 0; !item->arrays && !absolute && i < ck->opt->ninclude_dirs; i++)
    item->arrays = arrays_read(ck->cx, arena_printf(a, "%s/%s", ck->opt->include_dirs[i], item->name), &ignored);
  Diag *g = NULL;
  char digits[65];
  if (item->arrays && item->hash) {
    arrays_hash(item->arrays, digits);
    check_hash(ck, item, digits);
  }
  if (!item->arrays) {
    g = diag_report(ck->cx->diags, E_IMPORT, item->name_loc, "cannot read `%s`", item->name);
    diag_note(g, "%s", error);
    diag_help(g, "imports are looked up beside this file, and in the directories of `-I`");
  } else if (!item->as) {
    g = diag_report(ck->cx->diags, E_IMPORT, item->loc, "arrays are imported under a name");
    diag_help(g, "write `import \"%s\" as w;`, and `w.NAME` for an array", item->name);
  }
  ck->broken |= g != NULL;
}

static void load_import(Loader *l, AstItem *item, const OpenFile *self, int depth) {
  Checker *ck = l->ck;
  const char *error = NULL;
  if (!*item->name || strcmp(item->name, "-") == 0) {
    Diag *g = diag_report(ck->cx->diags, E_IMPORT, item->name_loc, "`%s` is not the name of a file", item->name);
    diag_help(g, "name a .te file: `import \"file.te\";`");
    ck->broken = true;
    return;
  }
  if (arrays_named(item->name)) {
    load_arrays(ck, item);
    return;
  }
  const Source *src = find_import(ck, item->loc.src->path, item->name, &error);
  if (!src) {
    Diag *g = diag_report(ck->cx->diags, E_IMPORT, item->name_loc, "cannot read `%s`", item->name);
    diag_note(g, "%s", error);
    diag_help(g, "imports are looked up beside this file, and in the directories of `-I`");
    ck->broken = true;
    return;
  }
  if (item->hash) {
    char digits[65];
    sha256_text(src->text, src->len, digits);
    check_hash(ck, item, digits);
  }
  const char *real = canonical(ck->cx, src->path);
  for (const OpenFile *o = self; o; o = o->by) {
    if (strcmp(o->real, real) != 0) continue;
    Diag *g = diag_report(ck->cx->diags, E_CYCLE, item->loc, "`%s` imports itself", item->name);
    for (const OpenFile *by = self; by != o; by = by->by) diag_note(g, "by way of `%s`", by->real);
    diag_help(g, "move what both files need into a third");
    return;
  }
  int loaded = name_table_find(l->done, name_of(ck->cx->names, real));
  if (loaded >= 0) {
    item->import = ck->files.data[loaded];
    return;
  }
  if (depth >= TE_MAX_IMPORT_DEPTH) {
    Diag *g =
        diag_report(ck->cx->diags, E_TOO_DEEP, item->loc, "imports are nested more than %d deep", TE_MAX_IMPORT_DEPTH);
    diag_help(g, "import the innermost ones in the first file: what is imported once is known everywhere");
    return;
  }
  item->import = load_file(l, src, self, depth + 1);
}

// Parses a file; files that it imports come before it in ck->files.
static AstFile *load_file(Loader *l, const Source *src, const OpenFile *by, int depth) {
  Checker *ck = l->ck;
  OpenFile self = {canonical(ck->cx, src->path), by};
  AstFile *file = NEW(ck->cx->arena, AstFile);
  te_parse_file(ck->cx, src, file);
  ck->broken |= file->broken;
  for (size_t i = 0; i < file->items.len; i++) {
    AstItem *item = &file->items.data[i];
    if (item->kind != ITEM_IMPORT) continue;
    load_import(l, item, &self, depth);
    if (item->import && !item->as) VEC_PUSH(ck->cx->arena, file->imports, item->import);
  }
  name_table_put(l->done, name_of(ck->cx->names, self.real), (int)ck->files.len);
  VEC_PUSH(ck->cx->arena, ck->files, file);
  return file;
}

// ---- the target ------------------------------------------------------------------------------------------------

static void choose_target(Checker *ck, const AstItem *item) {
  const TeTarget *found = NULL;
  for (int i = 0; i < ck->opt->ntargets; i++)
    if (strcmp(ck->opt->targets[i].name, item->name) == 0) found = &ck->opt->targets[i];
  if (!found) {
    Diag *g = diag_report(ck->cx->diags, E_TARGET, item->name_loc, "there is no target `%s`", item->name);
    for (int i = 0; i < ck->opt->ntargets; i++)
      diag_guess(g, item->name_loc, ck->opt->targets[i].name, "there is this one");
    ck->broken = true;
    return;
  }
  if (ck->target && (ck->target != found || ck->target_loc.src == item->loc.src)) {
    Diag *g = diag_report(ck->cx->diags, E_TARGET, item->loc, "a second `target` in %s",
                          ck->target_loc.src == item->loc.src ? "the same file" : "the same program");
    diag_also(g, ck->target_loc, "the first is here");
    diag_guess_drop(g, item->loc, "drop one of the two");
    return;
  }
  if (!ck->target || item->loc.src == ck->files.data[ck->files.len - 1]->src) ck->target_loc = item->loc;
  ck->target = found;
}

// What stands before dots has one meaning: the target, an import, or a tensor of the kernel.
static void check_import_name(Checker *ck, const AstItem *item) {
  if (!item->as || !ck->target || strcmp(item->as, ck->target->name) != 0) return;
  Diag *g = diag_report(ck->cx->diags, E_DUPLICATE_NAME, item->name_loc, "`%s` is the target's name, and an import's",
                        item->as);
  diag_also(g, ck->target_loc, "the target is chosen here");
  diag_help(g, "import it under another name: `%s.` stands before the target's constants", item->as);
}

// ---- kernels and schedules -------------------------------------------------------------------------------------

typedef struct ModuleParts {
  VEC(const TeKernel *) kernels;
  VEC(const TeSchedule *) schedules;
  VEC(const AstItem *) kernel_items; // also those with errors
} ModuleParts;

static void add_kernel(Checker *ck, ModuleParts *m, NameTable *names, const AstFile *file, const AstItem *item) {
  int old = name_table_find(names, item->name);
  if (old >= 0) {
    report_duplicate(ck, item->name, item->name_loc, m->kernel_items.data[old]->name_loc, "the kernel");
    return;
  }
  name_table_put(names, item->name, (int)m->kernel_items.len);
  VEC_PUSH(ck->cx->arena, m->kernel_items, item);
  const TeKernel *k = check_kernel(ck, file, item);
  if (k) VEC_PUSH(ck->cx->arena, m->kernels, k);
}

static void add_schedule(Checker *ck, ModuleParts *m, const NameTable *kernels, const AstItem *item) {
  const TeSchedule *s = item->schedule;
  if (name_table_find(kernels, s->kernel) < 0 && !ck->broken) {
    Diag *g = diag_report(ck->cx->diags, E_NO_KERNEL, item->name_loc, "there is no kernel `%s` to schedule", s->kernel);
    Nearest n = {.wanted = s->kernel};
    for (size_t i = 0; i < m->kernel_items.len; i++) nearest_try(&n, m->kernel_items.data[i]->name);
    if (n.best) diag_guess(g, item->name_loc, n.best, "a similar name exists");
    else diag_help(g, "schedule a kernel of this file, or of one that it imports");
  }
  if (s->name && (strcmp(s->name, "auto") == 0 || strcmp(s->name, "none") == 0)) {
    Diag *g = diag_report(ck->cx->diags, E_DUPLICATE_NAME, s->name_loc, "`%s` is no name of a schedule", s->name);
    diag_help(g, "`auto` and `none` are words where a schedule is chosen: give it another name");
  }
  for (size_t i = 0; i < m->schedules.len; i++) {
    const TeSchedule *old = m->schedules.data[i];
    if (old->kernel != s->kernel || old->name != s->name) continue;
    const char *what = s->name ? "the schedule" : "an unnamed schedule of";
    report_duplicate(ck, s->name ? s->name : s->kernel, s->name_loc, old->name_loc, what);
    return;
  }
  VEC_PUSH(ck->cx->arena, m->schedules, s);
}

// Calls f on every item of a kind, in file order.
static void each_item(Checker *ck, AstItemKind kind, void (*f)(Checker *ck, const AstItem *item)) {
  for (size_t i = 0; i < ck->files.len; i++) {
    const AstFile *file = ck->files.data[i];
    for (size_t k = 0; k < file->items.len; k++) {
      const AstItem *item = &file->items.data[k];
      if (item->kind == kind) f(ck, item);
    }
  }
}

static void check_items(Checker *ck, ModuleParts *m) {
  NameTable *kernels = name_table_new(ck->cx->arena);
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < ck->files.len; i++) {
      const AstFile *file = ck->files.data[i];
      for (size_t k = 0; k < file->items.len; k++) {
        const AstItem *item = &file->items.data[k];
        if (pass == 0 && item->kind == ITEM_KERNEL) add_kernel(ck, m, kernels, file, item);
        if (pass == 1 && item->kind == ITEM_SCHEDULE) add_schedule(ck, m, kernels, item);
      }
    }
  }
}

int list_consts(Checker *ck, const AstFile *file, const TeConst **out) {
  VEC(TeConst) all = {0};
  for (size_t i = 0; i < file->names.len; i++) {
    Name name = file->names.data[i];
    const Global *g = file_find(ck, file, name, true);
    const ConstSlot *slot = g->slot < 0 ? NULL : &ck->consts.data[g->slot];
    if (slot) VEC_PUSH(ck->cx->arena, all, ((TeConst){name, slot->value, slot->item->loc}));
    for (size_t k = 0; g->import && k < g->import->names.len; k++) {
      Name dotted = name_of(ck->cx->names, arena_printf(ck->cx->arena, "%s.%s", name, g->import->names.data[k]));
      const Global *of = file_find(ck, file, dotted, true);
      slot = !of || of->slot < 0 ? NULL : &ck->consts.data[of->slot];
      if (slot) VEC_PUSH(ck->cx->arena, all, ((TeConst){dotted, slot->value, slot->item->loc}));
    }
  }
  *out = all.data;
  return (int)all.len;
}

static void eval_consts(Checker *ck) {
  for (size_t i = 0; i < ck->consts.len; i++) {
    ConstSlot *slot = &ck->consts.data[i];
    global_value(ck, &(Global){.slot = (int)i}, (Loc){0}, &slot->value);
  }
}

const TeModule *te_load(Ctx *cx, const Source *src, const TeOptions *opt) {
  static const TeOptions none = {0};
  int errors = diags_errors(cx->diags);
  Checker ck = {.cx = cx, .opt = opt ? opt : &none};
  Loader loader = {&ck, name_table_new(cx->arena)};
  ck.main = load_file(&loader, src, NULL, 0);
  each_item(&ck, ITEM_TARGET, choose_target);
  each_item(&ck, ITEM_IMPORT, check_import_name);
  declare_globals(&ck);
  apply_defines(&ck);
  TeModule *m = NEW(cx->arena, TeModule);
  eval_consts(&ck);
  m->nconsts = list_consts(&ck, ck.main, &m->consts);
  ModuleParts parts = {0};
  check_items(&ck, &parts);
  resolve_parts(&ck, m);
  if (diags_errors(cx->diags) > errors) return NULL;
  m->src = src;
  m->target = ck.target ? ck.target->name : NULL;
  m->target_loc = ck.target_loc;
  m->nkernels = (int)parts.kernels.len;
  m->kernels = parts.kernels.data;
  m->nschedules = (int)parts.schedules.len;
  m->schedules = parts.schedules.data;
  m->checker = arena_copy(cx->arena, &ck, sizeof ck);
  return m;
}

// SPDX-License-Identifier: Apache-2.0
// The module: files and their imports, the target, constants, and who is named what. Kernels are kernel.c.
#include "te/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- names to small integers -----------------------------------------------------------------------------------

typedef struct NameSlot {
  Name name;
  int value;
} NameSlot;

struct NameTable {
  Arena *arena;
  NameSlot *slots; // open addressing; a power of two
  size_t cap, len;
};

NameTable *name_table_new(Arena *a) {
  NameTable *t = NEW(a, NameTable);
  t->arena = a;
  t->cap = 16;
  t->slots = NEW_ARRAY(a, NameSlot, t->cap);
  return t;
}

static size_t name_slot(const NameTable *t, Name name) {
  size_t h = 1469598103934665603u;
  for (const char *c = name; *c; c++) h = (h ^ (unsigned char)*c) * 1099511628211u;
  size_t i = h & (t->cap - 1);
  while (t->slots[i].name && t->slots[i].name != name) i = (i + 1) & (t->cap - 1);
  return i;
}

int name_table_find(const NameTable *t, Name name) {
  size_t i = name_slot(t, name);
  return t->slots[i].name ? t->slots[i].value : -1;
}

void name_table_put(NameTable *t, Name name, int value) {
  if (t->len * 2 >= t->cap) {
    NameTable old = *t;
    t->cap *= 2;
    t->slots = NEW_ARRAY(t->arena, NameSlot, t->cap);
    for (size_t i = 0; i < old.cap; i++)
      if (old.slots[i].name) t->slots[name_slot(t, old.slots[i].name)] = old.slots[i];
  }
  size_t i = name_slot(t, name);
  if (!t->slots[i].name) t->len++;
  t->slots[i] = (NameSlot){name, value};
}

// ---- files -----------------------------------------------------------------------------------------------------

typedef struct OpenFile OpenFile;
struct OpenFile {
  const char *real; // canonical path, or the path as written
  const OpenFile *by;
};

typedef struct Loader {
  Checker *ck;
  NameTable *done; // canonical paths of the files loaded so far
} Loader;

static const char *canonical(Ctx *cx, const char *path) {
  char *real = strcmp(path, "-") == 0 ? NULL : realpath(path, NULL);
  if (!real && errno == ENOMEM) memory_out();
  const char *copy = arena_printf(cx->arena, "%s", real ? real : path);
  free(real);
  return copy;
}

// Finds an imported file: beside the importing one, then in the -I directories. NULL: *error says why.
static const Source *find_import(Checker *ck, const char *from, const char *path, const char **error) {
  Arena *a = ck->cx->arena;
  const char *slash = strrchr(from, '/');
  const char *first =
      path[0] == '/' || !slash ? path : arena_printf(a, "%.*s/%s", (int)(slash - from), from, path);
  const Source *src = source_read(a, first, error);
  for (int i = 0; !src && path[0] != '/' && i < ck->opt->ninclude_dirs; i++) {
    const char *ignored;
    src = source_read(a, arena_printf(a, "%s/%s", ck->opt->include_dirs[i], path), &ignored);
  }
  return src;
}

static void load_file(Loader *l, const Source *src, const OpenFile *by, int depth);

static void load_import(Loader *l, const AstItem *item, const OpenFile *self, int depth) {
  Checker *ck = l->ck;
  const char *error = NULL;
  if (!*item->name || strcmp(item->name, "-") == 0) {
    Diag *g = diag_report(ck->cx->diags, E_IMPORT, item->name_loc, "`%s` is not the name of a file", item->name);
    diag_help(g, "name a .te file: `import \"file.te\";`");
    ck->broken = true;
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
  const char *real = canonical(ck->cx, src->path);
  for (const OpenFile *o = self; o; o = o->by) {
    if (strcmp(o->real, real) != 0) continue;
    Diag *g = diag_report(ck->cx->diags, E_CYCLE, item->loc, "`%s` imports itself", item->name);
    for (const OpenFile *by = self; by != o; by = by->by) diag_note(g, "by way of `%s`", by->real);
    diag_help(g, "move what both files need into a third");
    return;
  }
  if (name_table_find(l->done, name_of(ck->cx->names, real)) >= 0) return;
  if (depth >= TE_MAX_IMPORT_DEPTH) {
    Diag *g = diag_report(ck->cx->diags, E_TOO_DEEP, item->loc, "imports are nested more than %d deep", TE_MAX_IMPORT_DEPTH);
    diag_help(g, "import the innermost ones in the first file: what is imported once is known everywhere");
    return;
  }
  load_file(l, src, self, depth + 1);
}

// Parses a file; files that it imports come before it in ck->files.
static void load_file(Loader *l, const Source *src, const OpenFile *by, int depth) {
  Checker *ck = l->ck;
  OpenFile self = {canonical(ck->cx, src->path), by};
  name_table_put(l->done, name_of(ck->cx->names, self.real), 1);
  AstFile *file = NEW(ck->cx->arena, AstFile);
  te_parse_file(ck->cx, src, file);
  ck->broken |= file->broken;
  for (size_t i = 0; i < file->items.len; i++)
    if (file->items.data[i].kind == ITEM_IMPORT) load_import(l, &file->items.data[i], &self, depth);
  VEC_PUSH(ck->cx->arena, ck->files, file);
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

// ---- params and consts -----------------------------------------------------------------------------------------

static ConstFound find_const(void *self, Name name, Loc at, int64_t *value);

// Evaluates a param or const, and those that it needs, once.
static ConstFound eval_slot(Checker *ck, ConstSlot *slot, Loc at, int64_t *value) {
  Diags *d = ck->cx->diags;
  if (slot->state == SLOT_BUSY) {
    Diag *g = diag_report(d, E_CYCLE, slot->item->name_loc, "`%s` is defined by way of itself", slot->name);
    if (loc_known(at)) diag_also(g, at, "which needs `%s` again", slot->name);
    diag_help(g, "give one of them a value that does without the others");
    return CONST_POISON;
  }
  if (slot->state == SLOT_NEW) {
    slot->state = SLOT_BUSY;
    if (++ck->const_depth > 500) {
      Diag *g = diag_report(d, E_TOO_DEEP, slot->item->name_loc, "the constants that `%s` needs are nested too deeply",
                            slot->name);
      diag_help(g, "write out the value of one that stands in between");
      slot->state = SLOT_POISON;
    } else {
      bool ok = diags_errors(d) < TE_MAX_ERRORS && const_eval(&ck->scope, slot->item->value, &slot->value);
      slot->state = ok ? SLOT_DONE : SLOT_POISON;
    }
    ck->const_depth--;
  }
  *value = slot->value;
  return slot->state == SLOT_DONE ? CONST_FOUND : CONST_POISON;
}

static ConstFound find_const(void *self, Name name, Loc at, int64_t *value) {
  Checker *ck = self;
  int i = name_table_find(ck->const_index, name);
  return i < 0 ? CONST_MISSING : eval_slot(ck, &ck->consts.data[i], at, value);
}

static void const_candidates(void *self, Nearest *n) {
  const Checker *ck = self;
  for (size_t i = 0; i < ck->consts.len; i++) nearest_try(n, ck->consts.data[i].name);
}

static void report_duplicate(Checker *ck, Name name, Loc at, Loc first, const char *what) {
  Diag *g = diag_report(ck->cx->diags, E_DUPLICATE_NAME, at, "%s `%s` is declared twice", what, name);
  diag_also(g, first, "it is first declared here");
  diag_help(g, "give one of them another name");
}

static void declare_const(Checker *ck, const AstItem *item) {
  int old = name_table_find(ck->const_index, item->name);
  if (old >= 0) {
    report_duplicate(ck, item->name, item->name_loc, ck->consts.data[old].item->name_loc, "the constant");
    return;
  }
  name_table_put(ck->const_index, item->name, (int)ck->consts.len);
  ConstSlot slot = {.name = item->name, .item = item};
  VEC_PUSH(ck->cx->arena, ck->consts, slot);
}

// Applies -D NAME=value to the params.
static void apply_defines(Checker *ck) {
  for (int i = 0; i < ck->opt->ndefines; i++) {
    const TeDefine *def = &ck->opt->defines[i];
    int at = name_table_find(ck->const_index, name_of(ck->cx->names, def->name));
    ConstSlot *slot = at < 0 ? NULL : &ck->consts.data[at];
    if (slot && slot->item->kind == ITEM_PARAM) {
      slot->value = def->value;
      slot->state = SLOT_DONE;
      continue;
    }
    if (!slot && ck->broken) continue;
    Diag *g = diag_report(ck->cx->diags, E_PARAM, slot ? slot->item->loc : (Loc){0}, "-D %s=%lld names no param",
                          def->name, (long long)def->value);
    if (slot) {
      diag_note(g, "`%s` is a const; -D sets params", def->name);
      diag_help(g, "write `param %s = ...;`", def->name);
      continue;
    }
    Nearest n = {.wanted = def->name};
    Text all = {.arena = ck->cx->arena};
    for (size_t k = 0; k < ck->consts.len; k++) {
      if (ck->consts.data[k].item->kind != ITEM_PARAM) continue;
      nearest_try(&n, ck->consts.data[k].name);
      text_add(&all, "%s%s", all.len ? ", " : "", ck->consts.data[k].name);
    }
    diag_note(g, all.len ? "the params are %s" : "the file has no params", all.len ? all.data : "");
    if (n.best) diag_help(g, "did you mean `-D %s=%lld`?", n.best, (long long)def->value);
  }
}

// ---- kernels and schedules -------------------------------------------------------------------------------------

typedef struct ModuleParts {
  VEC(const TeKernel *) kernels;
  VEC(const TeSchedule *) schedules;
  VEC(const AstItem *) kernel_items; // also those with errors
} ModuleParts;

static void add_kernel(Checker *ck, ModuleParts *m, NameTable *names, const AstItem *item) {
  int old = name_table_find(names, item->name);
  if (old >= 0) {
    report_duplicate(ck, item->name, item->name_loc, m->kernel_items.data[old]->name_loc, "the kernel");
    return;
  }
  name_table_put(names, item->name, (int)m->kernel_items.len);
  VEC_PUSH(ck->cx->arena, m->kernel_items, item);
  const TeKernel *k = check_kernel(ck, item);
  if (k) VEC_PUSH(ck->cx->arena, m->kernels, k);
}

static void add_schedule(Checker *ck, ModuleParts *m, const NameTable *kernels, const AstItem *item) {
  const TeSchedule *s = item->schedule;
  if (name_table_find(kernels, s->kernel) < 0 && !ck->broken) {
    Diag *g =
        diag_report(ck->cx->diags, E_NO_KERNEL, item->name_loc, "there is no kernel `%s` to schedule", s->kernel);
    Nearest n = {.wanted = s->kernel};
    for (size_t i = 0; i < m->kernel_items.len; i++) nearest_try(&n, m->kernel_items.data[i]->name);
    if (n.best) diag_guess(g, item->name_loc, n.best, "a similar name exists");
    else diag_help(g, "schedule a kernel of this file, or of one that it imports");
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

// Calls f on every item of one of two kinds, in file order.
static void each_item(Checker *ck, AstItemKind one, AstItemKind other,
                      void (*f)(Checker *ck, const AstItem *item)) {
  for (size_t i = 0; i < ck->files.len; i++) {
    const AstFile *file = ck->files.data[i];
    for (size_t k = 0; k < file->items.len; k++) {
      const AstItem *item = &file->items.data[k];
      if (item->kind == one || item->kind == other) f(ck, item);
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
        if (pass == 0 && item->kind == ITEM_KERNEL) add_kernel(ck, m, kernels, item);
        if (pass == 1 && item->kind == ITEM_SCHEDULE) add_schedule(ck, m, kernels, item);
      }
    }
  }
}

const TeModule *te_load(Ctx *cx, const Source *src, const TeOptions *opt) {
  static const TeOptions none = {0};
  int errors = diags_errors(cx->diags);
  Checker ck = {.cx = cx, .opt = opt ? opt : &none, .const_index = name_table_new(cx->arena)};
  Loader loader = {&ck, name_table_new(cx->arena)};
  load_file(&loader, src, NULL, 0);
  each_item(&ck, ITEM_TARGET, ITEM_TARGET, choose_target);
  each_item(&ck, ITEM_PARAM, ITEM_CONST, declare_const);
  ck.scope = (ConstScope){.cx = cx,
                          .target = ck.target,
                          .self = &ck,
                          .find = find_const,
                          .candidates = const_candidates,
                          .quiet_unknown = ck.broken,
                          .overflow = E_LITERAL,
                          .hint_target = ck.opt->ntargets ? ck.opt->targets[0].name : NULL};
  apply_defines(&ck);
  TeModule *m = NEW(cx->arena, TeModule);
  TeConst *consts = NEW_ARRAY(cx->arena, TeConst, ck.consts.len);
  for (size_t i = 0; i < ck.consts.len; i++) {
    ConstSlot *slot = &ck.consts.data[i];
    eval_slot(&ck, slot, (Loc){0}, &slot->value);
    consts[i] = (TeConst){slot->name, slot->value, slot->item->loc};
  }
  ModuleParts parts = {0};
  check_items(&ck, &parts);
  if (diags_errors(cx->diags) > errors) return NULL;
  m->src = src;
  m->target = ck.target ? ck.target->name : NULL;
  m->target_loc = ck.target_loc;
  m->nconsts = (int)ck.consts.len;
  m->consts = consts;
  m->nkernels = (int)parts.kernels.len;
  m->kernels = parts.kernels.data;
  m->nschedules = (int)parts.schedules.len;
  m->schedules = parts.schedules.data;
  return m;
}

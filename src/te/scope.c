// SPDX-License-Identifier: Apache-2.0
// What files declare, and what a name means in one: its own, what its imports have, and names of imports before a dot.
#include "te/internal.h"

#include <string.h>

// ---- what a file sees ------------------------------------------------------------------------------------------

void report_duplicate(Checker *ck, Name name, Loc at, Loc first, const char *what) {
  Diag *g = diag_report(ck->cx->diags, E_DUPLICATE_NAME, at, "%s `%s` is declared twice", what, name);
  diag_also(g, first, "it is first declared here");
  diag_help(g, "give one of them another name");
}

// Makes a name of the file mean the i-th global.
static void see(Checker *ck, AstFile *f, Name name, int i) {
  if (name_table_find(f->visible, name) < 0) VEC_PUSH(ck->cx->arena, f->names, name);
  name_table_put(f->visible, name, i);
}

static const char *kind_of(const AstItem *item) {
  return item->kind == ITEM_DEF      ? "the def"
         : item->kind == ITEM_PART   ? "the part"
         : item->kind == ITEM_IMPORT ? "the import"
                                     : "the constant";
}

// Several imports may have one of a name, and a file's own hides theirs.
static bool is_def(const AstItem *item) { return item->kind == ITEM_DEF || item->kind == ITEM_PART; }

Name part_key(Ctx *cx, Name name) { return name_of(cx->names, arena_printf(cx->arena, "schedule %s", name)); }

// A call means the function of the language, so that a def of its name could not be called.
static void check_def_name(Checker *ck, const AstItem *item) {
  DType t;
  if (!builtin_find(item->name) && !dtype_of_name(item->name, &t)) return;
  Diag *g =
      diag_report(ck->cx->diags, E_DUPLICATE_NAME, item->name_loc, "`%s` is a function of the language", item->name);
  diag_help(g, "give the def another name");
}

// Adds what a file declares itself.
static void declare_item(Checker *ck, AstFile *f, const AstItem *item) {
  if (item->kind == ITEM_DEF) check_def_name(ck, item);
  Name said = item->kind == ITEM_IMPORT ? item->as : item->name,
       name = item->kind == ITEM_PART ? part_key(ck->cx, said) : said;
  int old = name_table_find(f->visible, name);
  if (old >= 0 && (ck->globals.data[old].file == f || (!is_def(item) && !is_def(ck->globals.data[old].item)))) {
    report_duplicate(ck, said, item->name_loc, ck->globals.data[old].item->name_loc, kind_of(item));
    return;
  }
  Global g = {.item = item, .file = f, .slot = -1};
  if (item->kind == ITEM_PARAM || (item->kind == ITEM_CONST && !item->decls)) {
    g.slot = (int)ck->consts.len;
    ConstSlot slot = {.name = name, .item = item, .file = f};
    VEC_PUSH(ck->cx->arena, ck->consts, slot);
  }
  if (item->kind == ITEM_IMPORT) {
    g.import = item->import;
    g.arrays = item->arrays;
  }
  see(ck, f, name, (int)ck->globals.len);
  VEC_PUSH(ck->cx->arena, ck->globals, g);
}

// Adds what a file that is imported without `as` sees. Two defs of one name are told where the name is used.
static void declare_import(Checker *ck, AstFile *f, const AstFile *from) {
  for (size_t i = 0; i < from->names.len; i++) {
    Name name = from->names.data[i];
    int there = name_table_find(from->visible, name), here = name_table_find(f->visible, name);
    const Global *g = &ck->globals.data[there];
    if (here < 0) {
      see(ck, f, name, there);
    } else if (ck->globals.data[here].item != g->item && !is_def(g->item)) {
      report_duplicate(ck, name, g->item->name_loc, ck->globals.data[here].item->name_loc, kind_of(g->item));
    } else if (ck->globals.data[here].item != g->item) {
      Global both = ck->globals.data[here];
      both.other = g->item;
      see(ck, f, name, (int)ck->globals.len);
      VEC_PUSH(ck->cx->arena, ck->globals, both);
    }
  }
}

void declare_globals(Checker *ck) {
  for (size_t i = 0; i < ck->files.len; i++) { // imported files come before those that import them
    AstFile *f = ck->files.data[i];
    f->visible = name_table_new(ck->cx->arena);
    for (size_t k = 0; k < f->imports.len; k++)
      if (f->imports.data[k]->visible) declare_import(ck, f, f->imports.data[k]);
    for (size_t k = 0; k < f->items.len; k++) {
      const AstItem *item = &f->items.data[k];
      bool named = item->kind == ITEM_PARAM || item->kind == ITEM_CONST || is_def(item);
      if (named || (item->kind == ITEM_IMPORT && item->as)) declare_item(ck, f, item);
    }
  }
}

static const Global *find_in(const Checker *ck, const AstFile *f, Name name) {
  int i = f->visible ? name_table_find(f->visible, name) : -1;
  return i < 0 ? NULL : &ck->globals.data[i];
}

const Global *file_find(Checker *ck, const AstFile *f, Name name, bool own_only) {
  const Global *g = find_in(ck, f, name);
  const char *dot = strchr(name, '.');
  if (!g && dot) {
    const Global *of = find_in(ck, f, name_of_bytes(ck->cx->names, name, (size_t)(dot - name)));
    if (of && of->import) g = file_find(ck, of->import, name_of(ck->cx->names, dot + 1), true);
  }
  return g || own_only || f == ck->main ? g : file_find(ck, ck->main, name, true);
}

// ---- params and consts -----------------------------------------------------------------------------------------

// Evaluates a param or const, and those that it needs, once.
static ConstFound eval_slot(Checker *ck, ConstSlot *slot, Loc at, TeValue *value) {
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
      FileView view = {ck, slot->file, false};
      ConstScope consts = file_consts(&view);
      bool ok = diags_errors(d) < TE_MAX_ERRORS && const_value(&consts, slot->item->value, &slot->value);
      slot->state = ok ? SLOT_DONE : SLOT_POISON;
    }
    ck->const_depth--;
  }
  *value = slot->value;
  return slot->state == SLOT_DONE ? CONST_FOUND : CONST_POISON;
}

ConstFound global_value(Checker *ck, const Global *g, Loc at, TeValue *value) {
  return g->slot < 0 ? CONST_VARIES : eval_slot(ck, &ck->consts.data[g->slot], at, value);
}

static ConstFound find_const(void *self, Name name, Loc at, TeValue *value) {
  const FileView *v = self;
  const Global *g = file_find(v->ck, v->file, name, v->own_only);
  return g ? global_value(v->ck, g, at, value) : CONST_MISSING;
}

static void const_candidates(void *self, Nearest *n) {
  const FileView *v = self;
  for (size_t i = 0; i < v->file->names.len; i++)
    if (find_in(v->ck, v->file, v->file->names.data[i])->slot >= 0) nearest_try(n, v->file->names.data[i]);
}

ConstScope file_consts(FileView *v) {
  return (ConstScope){.cx = v->ck->cx,
                      .target = v->ck->target,
                      .self = v,
                      .find = find_const,
                      .candidates = const_candidates,
                      .quiet_unknown = v->ck->broken,
                      .overflow = E_LITERAL,
                      .hint_target = v->ck->opt->ntargets ? v->ck->opt->targets[0].name : NULL};
}

// Sets a param. What it is without -D says whether it is a float.
static void define_param(Checker *ck, ConstSlot *slot, const TeDefine *def) {
  TeValue value = {0};
  ConstFound found = eval_slot(ck, slot, (Loc){0}, &value);
  bool floats = found == CONST_FOUND && value.kind == VALUE_FLOAT;
  if (def->is_float && !floats) {
    Diag *g = diag_report(ck->cx->diags, E_PARAM, slot->item->loc, "-D %s=%g: the param is an integer", def->name,
                          def->number);
    diag_help(g, "give an integer, or let the param be a floating-point number: `param %s = 0.5;`", def->name);
    return;
  }
  slot->value = floats        ? value_float(def->is_float ? def->number : (double)def->value)
                : value.truth ? value_bool(def->value)
                              : value_int(def->value);
  slot->state = SLOT_DONE;
}

// Applies -D NAME=value to the params.
void apply_defines(Checker *ck) {
  for (int i = 0; i < ck->opt->ndefines; i++) {
    const TeDefine *def = &ck->opt->defines[i];
    const Global *of = file_find(ck, ck->main, name_of(ck->cx->names, def->name), true);
    ConstSlot *slot = !of || of->slot < 0 ? NULL : &ck->consts.data[of->slot];
    if (slot && slot->item->kind == ITEM_PARAM) {
      define_param(ck, slot, def);
      continue;
    }
    if (!slot && ck->broken) continue;
    const char *given = def->is_float ? arena_printf(ck->cx->arena, "%g", def->number)
                                      : arena_printf(ck->cx->arena, "%lld", (long long)def->value);
    Diag *g = diag_report(ck->cx->diags, E_PARAM, slot ? slot->item->loc : (Loc){0}, "-D %s=%s names no param",
                          def->name, given);
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
    if (n.best) diag_help(g, "did you mean `-D %s=%s`?", n.best, given);
  }
}

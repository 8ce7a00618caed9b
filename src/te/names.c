// SPDX-License-Identifier: Apache-2.0
// What names mean in a kernel, and in one call of a def: what it binds itself, then what its file declares and imports.
#include "te/internal.h"

#include <math.h>
#include <string.h>

Scope *scope_new(KernelCx *kx, const AstFile *file, const AstItem *item, const Scope *caller, Name prefix) {
  Scope *s = NEW(kx->ck->cx->arena, Scope);
  s->kx = kx;
  s->view = (FileView){kx->ck, file, item->kind == ITEM_DEF};
  s->prefix = prefix;
  s->item = item;
  s->caller = caller;
  s->names = name_table_new(kx->ck->cx->arena);
  return s;
}

Binding *scope_own(const Scope *s, Name name) {
  int i = name_table_find(s->names, name);
  return i < 0 ? NULL : &s->bindings.data[i];
}

void scope_bind(Scope *s, Name name, Binding b) {
  Binding *old = scope_own(s, name);
  if (old) {
    *old = b;
    return;
  }
  name_table_put(s->names, name, (int)s->bindings.len);
  VEC_PUSH(s->kx->ck->cx->arena, s->bindings, b);
}

// A constant tensor of a file, as one of this kernel.
static Binding global_tensor(Scope *s, const Global *g) {
  KernelCx *kx = s->kx;
  int at = name_table_find(kx->globals, (Name)g->item);
  if (at == -1) {
    Scope *home = scope_new(kx, g->file, g->item, NULL, NULL);
    name_table_put(kx->globals, (Name)g->item, -2); // while it is made, and if it cannot be
    TeTensor *t = check_constant(home, g->item->decls, fresh_name(kx, NULL, g->item->name));
    if (t) name_table_put(kx->globals, (Name)g->item, t->index);
    at = t ? t->index : -2;
  }
  if (at < 0) return (Binding){.kind = BIND_POISON};
  return (Binding){.kind = BIND_TENSOR, .loc = g->item->name_loc, .ref = {.t = kx->tensors.data[at]}};
}

// An array of a file, as a constant of this kernel.
static Binding array_binding(Scope *s, const Global *g, Name name, Name full, Loc at) {
  KernelCx *kx = s->kx;
  Ctx *cx = kx->ck->cx;
  Name key = name_of(cx->names, arena_printf(cx->arena, "%s\n%s", g->item->name, full));
  int known = name_table_find(kx->globals, key);
  if (known == -1) {
    TeTensor *t = arrays_tensor(cx, g->arrays, name, g->item->loc, at);
    name_table_put(kx->globals, key, -2);
    if (t) {
      t->name = fresh_name(kx, NULL, full);
      note_constant_range(t);
      push_tensor(kx, t);
      name_table_put(kx->globals, key, t->index);
    } else {
      kx->ok = false;
    }
    known = name_table_find(kx->globals, key);
  }
  if (known < 0) return (Binding){.kind = BIND_POISON};
  return (Binding){.kind = BIND_TENSOR, .loc = g->item->name_loc, .ref = {.t = kx->tensors.data[known]}};
}

static Binding global_binding(Scope *s, const Global *g, Loc at) {
  Binding b = {.kind = BIND_NONE, .loc = g->item->name_loc};
  switch (global_value(s->kx->ck, g, at, &b.value)) {
  case CONST_FOUND: b.kind = BIND_VALUE; break;
  case CONST_POISON: b.kind = BIND_POISON; break;
  case CONST_MISSING:
  case CONST_VARIES:
    if (g->item->kind == ITEM_CONST) return global_tensor(s, g);
    break;
  }
  return b;
}

Binding scope_find(Scope *s, Name name, Loc at) {
  Binding *own = scope_own(s, name);
  if (own) return *own;
  const Global *g = file_find(s->kx->ck, s->view.file, name, s->view.own_only);
  if (g && g->arrays && arrays_single(g->arrays))
    return array_binding(s, g, name_of(s->kx->ck->cx->names, ""), name, at);
  if (g) return global_binding(s, g, at);
  const char *dot = strchr(name, '.');
  if (dot) {
    Names *names = s->kx->ck->cx->names;
    const Global *of =
        file_find(s->kx->ck, s->view.file, name_of_bytes(names, name, (size_t)(dot - name)), s->view.own_only);
    if (of && of->arrays && !arrays_single(of->arrays)) return array_binding(s, of, name_of(names, dot + 1), name, at);
  }
  const TeTarget *target = s->kx->ck->target;
  for (int i = 0; target && i < target->nconsts; i++)
    if (strcmp(target->consts[i].name, name) == 0)
      return (Binding){.kind = BIND_VALUE, .value = value_int(target->consts[i].value)};
  if (strcmp(name, "inf") == 0) return (Binding){.kind = BIND_VALUE, .value = value_float(INFINITY)};
  if (strcmp(name, "nan") == 0) return (Binding){.kind = BIND_VALUE, .value = value_float(NAN)};
  return (Binding){.kind = BIND_NONE};
}

// A tensor of the kernel does not hide a constant where only a constant can stand.
static ConstFound find_const(void *self, Name name, Loc at, TeValue *value) {
  Scope *s = self;
  const Binding *own = scope_own(s, name);
  if (own && own->kind == BIND_VALUE) {
    *value = own->value;
    return CONST_FOUND;
  }
  if (own && own->kind == BIND_POISON) return CONST_POISON;
  const Global *g = file_find(s->kx->ck, s->view.file, name, s->view.own_only);
  ConstFound found = g ? global_value(s->kx->ck, g, at, value) : CONST_MISSING;
  return own && found == CONST_MISSING ? CONST_VARIES : found;
}

static void const_candidates(void *self, Nearest *n) {
  Scope *s = self;
  ConstScope file = file_consts(&s->view);
  file.candidates(file.self, n);
}

ConstScope scope_consts(Scope *s) {
  ConstScope c = file_consts(&s->view);
  c.self = s;
  c.find = find_const;
  c.candidates = const_candidates;
  c.quiet_unknown |= s->item->broken;
  return c;
}

// SPDX-License-Identifier: Apache-2.0
// What a kernel's text says, before it is expanded: for rooms that write a program anew. Calls are told by the def that
// they mean, not by their word: a program may have a `conv2d` of its own.
#include "te/internal.h"

#include <string.h>

static const AstItem *kernel_item(const TeModule *m, const TeKernel *k) {
  const AstFile *f = m->checker->main;
  for (size_t i = 0; i < f->items.len; i++)
    if (f->items.data[i].kind == ITEM_KERNEL && f->items.data[i].name == k->name) return &f->items.data[i];
  return NULL;
}

int te_decls(Ctx *cx, const TeModule *m, const TeKernel *k, const TeDecl **out) {
  const AstItem *item = kernel_item(m, k);
  if (!item) return -1;
  TeDecl *list = NEW_ARRAY(cx->arena, TeDecl, item->ndecls + 1);
  for (int i = 0; i < item->ndecls; i++) {
    const AstDecl *d = &item->decls[i];
    list[i] = (TeDecl){
        .role = d->role, .name = d->name, .loc = d->loc, .nnames = d->nnames, .has_axes = d->has_axes, .body = d->body};
  }
  *out = list;
  return item->ndecls;
}

int te_imports(Ctx *cx, const TeModule *m, const TeImport **out) {
  const AstFile *f = m->checker->main;
  VEC(TeImport) list = {0};
  for (size_t i = 0; i < f->items.len; i++) {
    const AstItem *item = &f->items.data[i];
    if (item->kind != ITEM_IMPORT) continue;
    TeImport import = {.path = item->name,
                       .as = item->as,
                       .loc = item->hash ? loc_join(item->loc, item->hash_loc) : item->loc,
                       .arrays = item->arrays,
                       .library = !item->arrays && item->import->src->path[0] == '<'};
    VEC_PUSH(cx->arena, list, import);
  }
  *out = list.data;
  return (int)list.len;
}

static const Global *library_def(const TeModule *m, const AstExpr *call) {
  if (!call || call->kind != AST_CALL) return NULL;
  const Global *g = file_find((Checker *)m->checker, m->checker->main, call->name, false);
  bool known = g && g->item->kind == ITEM_DEF && !g->other && strcmp(g->file->src->path, "<nn.te>") == 0;
  return known ? g : NULL;
}

const char *te_library_def(const TeModule *m, const AstExpr *call) {
  const Global *g = library_def(m, call);
  return g ? g->item->name : NULL;
}

const AstExpr *te_argument(const TeModule *m, const AstExpr *call, const char *param) {
  const Global *g = library_def(m, call);
  const AstDef *def = g ? g->item->def : NULL;
  int at = 0;
  while (def && at < def->nparams && strcmp(def->params[at].name, param) != 0) at++;
  if (!def || at == def->nparams) return NULL;
  for (int i = 0; i < call->nitems; i++)
    if (call->keys && call->keys[i] ? strcmp(call->keys[i], param) == 0 : i == at) return call->items[i];
  return NULL;
}

// SPDX-License-Identifier: Apache-2.0
// One file's text to its items.
#include "te/internal.h"

void te_parse_file(Ctx *cx, const Source *src, AstFile *file) {
  *file = (AstFile){.src = src};
  if (src->len > INT32_MAX - 2) {
    Diag *g = diag_report(cx->diags, E_FILE, (Loc){0}, "`%s` is too large", src->path);
    diag_note(g, "a .te file may have up to 2 GiB");
    file->broken = true;
    return;
  }
  TeParser p = {.cx = cx, .src = src, .file = file, .line = 1, .col = 1};
  if (te_parse_run(&p) != 0) file->broken = true;
}

// SPDX-License-Identifier: Apache-2.0
// Execution of TIR by the interpreter, with the target's machine.
#include "driver/driver.h"

#include <string.h>

bool interpret_func(Ctx *cx, const VtaTarget *vta, const Func *f, void **params, VtaOrder order, const char **error) {
  // A phase's machine and code are thrown away with their arena: a check of ten phases needs the memory of one.
  Ctx own = {.arena = arena_new(), .names = cx->names, .diags = cx->diags};
  const char *why = NULL;
  if (!own.arena) {
    *error = "there is no memory"; // who lets go on without any is not the command line
    return false;
  }
  TirMachine *machine = f->target ? vta_machine_new(&own, vta, order) : NULL;
  bool ok = tir_interpret(&own, f, params, machine, &why);
  if (!ok) *error = arena_printf(cx->arena, "%s", why);
  arena_free(own.arena);
  return ok;
}

// What went wrong, a note a line.
void diag_note_lines(Diag *g, const char *text) {
  for (const char *p = text; *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n'))
    diag_note(g, "%.*s", (int)strcspn(p, "\n"), p);
}

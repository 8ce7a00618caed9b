// SPDX-License-Identifier: Apache-2.0
// The pipeline: one table, one loop.
#include <string.h>

#include "passes/passes.h"

const Pass pass_table[] = {
    {"constants", pass_constants, FORM_LOOPS, FORM_LOOPS, 0, "compute what depends on constants alone"},
    {"tensorize", pass_tensorize, FORM_LOOPS, FORM_TILES, PASS_REGIONS,
     "put vta.gemm in place of the loops marked for it"},
    {"inject_copy", pass_inject_copy, FORM_TILES, FORM_TILES, PASS_REGIONS, "cut copy nests into 2D transfers"},
    {"inject_alu", pass_inject_alu, FORM_TILES, FORM_TILES, PASS_REGIONS,
     "put ALU operations in place of arithmetic nests"},
    {"vthread", pass_vthread, FORM_TILES, FORM_TILES, 0, "interleave virtual threads"},
    {"storage", pass_storage, FORM_TILES, FORM_TILES, 0, "place buffers on chip, in place where lifetimes allow"},
    {"sync", pass_sync, FORM_TILES, FORM_TILES, 0, "order load, compute and store with dependence tokens"},
    {"uop", pass_uop, FORM_TILES, FORM_TILES, 0, "fold loops into micro-op kernels"},
    {"intrin", pass_intrin, FORM_TILES, FORM_CALLS, 0, "turn what runs on the accelerator into runtime calls"},
};
const int pass_count = sizeof pass_table / sizeof *pass_table;

int pass_find(const char *name) {
  for (int i = 0; i < pass_count; i++)
    if (!strcmp(pass_table[i].name, name)) return i;
  return -1;
}

// Whether what pass p made is of its form; if not, a report.
static bool verify_after(PassCtx *pc, const Pass *p, const Func *f) {
  const char *message = NULL;
  if (tir_verify(pc->cx, f, p->out, &message)) return true;
  Diag *g = diag_report(pc->cx->diags, E_VERIFY, f->loc, "pass %s broke the program", p->name);
  diag_note(g, "%s", message ? message : "the verifier refused it");
  return false;
}

Func *pipeline_run(PassCtx *pc, const Func *f, int first, int last, const PipelineHooks *hooks) {
  const Func *now = f;
  bool refused = false;
  for (int i = first < 0 ? 0 : first; i <= last && i < pass_count; i++) {
    const Pass *p = &pass_table[i];
    if (refused && !(p->flags & PASS_REGIONS)) return NULL;
    if (hooks && hooks->before && !hooks->before(hooks->self, p, now)) return NULL;
    double start = now_seconds();
    const Func *next = p->run(pc, now);
    double seconds = now_seconds() - start;
    refused |= !next;
    if (!next && !(p->flags & PASS_REGIONS)) return NULL;
    if (!next) continue;
    if (hooks && hooks->change) next = hooks->change(hooks->self, p, next);
    if (hooks && hooks->after) hooks->after(hooks->self, i, p, now, next, seconds);
    // What a pass refused stays as it was, which need not be well-formed: only told, never called our mistake.
    if (hooks && hooks->verify && !refused && !verify_after(pc, p, next)) return NULL;
    now = next;
  }
  return refused ? NULL : func_with_body(pc->cx, now, now->body);
}

// SPDX-License-Identifier: Apache-2.0
// The instruction listing: a stream as text.
#include "backend_vta/vta.h"

#include <inttypes.h>
#include <string.h>

// Where in the source an instruction comes from: file and line.
static void print_origin(const Stmt *s, Text *out) {
  if (!s || !loc_known(s->loc)) return;
  const char *slash = strrchr(s->loc.src->path, '/');
  text_add(out, "  ; %s:%u", slash ? slash + 1 : s->loc.src->path, s->loc.line);
}

static void print_insn(const VtaConfig *c, size_t number, const VtaStreamInsn *i, Text *out) {
  char line[200];
  if (!i->legal) return;
  vta_disassemble(c, &i->insn, line, sizeof line);
  text_add(out, "%7zu  %-7s  %s", number, vta_unit_name(vta_unit(&i->insn)), line);
  if (i->host) text_add(out, "  ; %s tile %" PRId64, i->host->name, i->tile);
  print_origin(i->from, out);
  text_add(out, "\n");
  for (uint32_t k = 0; k < i->nuops; k++)
    text_add(out, "                  ; uop %u: dst=%u src=%u wgt=%u\n", i->insn.sram_base + k, i->uops[k].dst,
             i->uops[k].src, i->uops[k].wgt);
}

bool vta_listing(Ctx *cx, const Func *f, Text *out) {
  VtaStream s;
  VtaStreamFault fault;
  if (!f->target) {
    text_add(out, "; %s: no instructions, it has no target\n", f->name);
    return true;
  }
  if (!vta_stream_new(cx, f, &s, &fault)) {
    vta_stream_report(cx, &fault);
    return false;
  }
  text_add(out, "; %s: %zu instructions in %" PRIu64 " launch%s; `<` is the previous unit, `>` the next\n", f->name,
           s.n, s.launches, s.launches == 1 ? "" : "es");
  for (size_t i = 0; i < s.n; i++) print_insn(&vta_of(f->target)->config, i, &s.insns[i], out);
  return true;
}

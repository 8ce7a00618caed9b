// SPDX-License-Identifier: Apache-2.0
// The cycles of an instruction stream, launch by launch, without running it.
#include "backend_vta/internal.h"
#include "runtime/timing.h"

#include <stdlib.h>

// The instructions of the launch at hand.
typedef struct Launch {
  const VtaStreamInsn *insns;
} Launch;

static VtaUop uop_of(void *context, size_t insn, uint64_t index) {
  const Launch *l = context;
  const VtaStreamInsn *i = &l->insns[insn];
  uint64_t at = index - i->insn.dram_base;
  return at < i->nuops ? i->uops[at] : (VtaUop){0};
}

bool vta_stream_cycles(const VtaConfig *config, const VtaStream *stream, const TetcRtlOptions *options, TetcStats *out,
                       const char **why) {
  *out = (TetcStats){0};
  *why = "no memory for the timing model";
  TetcTiming *t = tetc_timing_new(config, options);
  VtaWord *words = malloc((stream->n + 1) * sizeof *words);
  bool ok = t && words;
  for (size_t from = 0, k = 0; ok && k < stream->n; k++) {
    words[k - from] = stream->insns[k].word;
    if (stream->insns[k].insn.opcode != OPC_FINISH) continue;
    Launch l = {stream->insns + from};
    ok = tetc_timing_launch(t, words, NULL, k + 1 - from, uop_of, &l, out, why);
    out->launches++, out->instructions += k + 1 - from;
    from = k + 1;
  }
  free(words);
  tetc_timing_free(t);
  return ok;
}

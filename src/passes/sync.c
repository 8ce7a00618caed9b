// SPDX-License-Identifier: Apache-2.0
// Pass sync: load, compute and store run as they like; tokens and syncs keep them in order where they meet.
//
//     for k in 0..4 {                        vta.push(compute, load)
//       vta.load(&a[0], &x[k], ..)           for k in 0..4 {
//       vta.gemm(&c[0], &a[0], &w[0])          vta.pop(compute, load)
//     }                                        vta.load(&a[0], &x[k], ..)
//     vta.store(&y[0], &c[0], ..)        =>    vta.push(load, compute)  vta.pop(load, compute)
//                                              vta.gemm(&c[0], &a[0], &w[0])
//                                              vta.push(compute, load)
//                                            }
//                                            vta.pop(compute, load)
//                                            vta.push(compute, store)  vta.pop(compute, store)
//                                            vta.store(&y[0], &c[0], ..)
//                                            vta.sync()
//
// Requires: FORM_TILES after `storage` (places decide what conflicts). Ensures: whatever order the three units
// choose within their tokens, the result is that of the program order; every channel is empty at every sync and at
// the end. The placement (sync_tokens.c) is checked (sync_check.c), and there is a simpler one behind it each
// time.
#include "passes/sync.h"

// Every instruction nest of load and store between full hand-shakes with compute: no overlap, nothing to get
// wrong.
static const Stmt *serial_tokens(void *self, const Stmt *s) {
  PassCtx *pc = self;
  const Stmt *leaf = tile_nest_leaf(s);
  if (!leaf) return stmt_rebuild(pc->cx, s, serial_tokens, NULL, pc);
  int unit = tile_unit(leaf);
  if (unit == UNIT_COMPUTE) return s;
  VtaChannel to = unit == UNIT_LOAD ? COMPUTE_TO_LOAD : COMPUTE_TO_STORE;
  VtaChannel back = unit == UNIT_LOAD ? LOAD_TO_COMPUTE : STORE_TO_COMPUTE;
  const Stmt *parts[5] = {token_stmt(pc, VTA_PUSH, to, s), token_stmt(pc, VTA_POP, to, s), s,
                          token_stmt(pc, VTA_PUSH, back, s), token_stmt(pc, VTA_POP, back, s)};
  return stmt_seq(pc->cx, 5, parts);
}

// Placement goes by what may meet, and is held to it by what is followed: of long loops a sample is enough.
static bool is_good(PassCtx *pc, const Stmt *s) {
  SyncOrder order = sync_order(pc, s, NULL);
  return order == SYNC_ORDERED || order == SYNC_SAMPLED;
}

static bool count_pushes(void *self, const Stmt *s) {
  if (s->kind == STMT_INTRIN && is_vta(s->intrin, VTA_PUSH)) ++*(int64_t *)self;
  return true;
}

Func *pass_sync(PassCtx *pc, const Func *f) {
  if (!pc->vta) return func_with_body(pc->cx, f, f->body);
  if (!tiles_check(pc, "sync", f, true)) return NULL;
  const Stmt *synced = sync_dram(pc, f->body, NULL), *body;
  body = sync_tokens(pc, synced, true);
  if (!is_good(pc, body)) {
    pc->stats.fallbacks++;
    body = sync_tokens(pc, synced, false);
    if (!is_good(pc, body)) body = serial_tokens(pc, synced);
  }
  pc->stats.tokens = 0;
  stmt_visit(body, count_pushes, NULL, &pc->stats.tokens);
  return func_with_body(pc->cx, f, body);
}

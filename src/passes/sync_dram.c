// SPDX-License-Identifier: Apache-2.0
// Where queued accelerator work must be finished before something else touches the same host memory.
// Instructions run when they are synchronised with, at the latest, and may run any time from their queueing on. So
//   the CPU may write what a later transfer reads, without more ado;
//   what queued stores write must not be read by anyone, or written by the CPU, before a sync;
//   what queued loads read must not be written by anyone before a sync.
// The load and store units meet in DRAM too (a tensor staged there): tokens order on-chip accesses only, so it is
// a sync.
#include "passes/sync.h"

enum { CPU_READ = 1, CPU_WRITE = 2, VTA_READ = 4, VTA_WRITE = 8 };

typedef struct HostUse {
  const Buffer *buffer;
  unsigned how;
} HostUse;

// What a statement does to host memory, or what is queued.
typedef struct HostUses {
  Arena *arena;
  VEC(HostUse) list;
  bool any; // instructions at all
} HostUses;

static void add_use(HostUses *u, const Buffer *b, unsigned how) {
  for (size_t i = 0; i < u->list.len; i++)
    if (u->list.data[i].buffer == b) {
      u->list.data[i].how |= how;
      return;
    }
  HostUse h = {.buffer = b, .how = how};
  VEC_PUSH(u->arena, u->list, h);
}

static bool note_load(void *self, const Expr *e) {
  if (e->kind == EXPR_LOAD && !tile_is_on_chip(e->buffer)) add_use(self, e->buffer, CPU_READ);
  return true;
}

static bool note_stmt(void *self, const Stmt *s) {
  HostUses *u = self;
  if (s->kind == STMT_STORE && !tile_is_on_chip(s->buffer)) add_use(u, s->buffer, CPU_WRITE);
  if (tile_host_read(s)) add_use(u, tile_host_read(s), VTA_READ);
  if (tile_host_write(s)) add_use(u, tile_host_write(s), VTA_WRITE);
  if (tile_unit(s)) u->any = true;
  if (s->kind != STMT_INTRIN) return true;
  // The same after `intrin`, and what a sync is.
  if (is_vta(s->intrin, VTA_LOAD_CALL)) add_use(u, s->args[0]->buffer, VTA_READ);
  if (is_vta(s->intrin, VTA_STORE_CALL)) add_use(u, s->args[0]->buffer, VTA_WRITE);
  bool call = is_vta(s->intrin, VTA_LOAD_CALL) || is_vta(s->intrin, VTA_STORE_CALL) || is_vta(s->intrin, VTA_ZERO_CALL);
  if (call || is_vta(s->intrin, VTA_KERNEL) || is_vta(s->intrin, VTA_SYNC)) u->any = true;
  return true;
}

// All that s does to host memory.
static HostUses uses_of(Ctx *cx, const Stmt *s) {
  HostUses u = {.arena = cx->arena};
  stmt_visit(s, note_stmt, note_load, &u);
  return u;
}

// Whether `next` may not start before what is queued is done.
static bool must_wait(const HostUses *queued, const HostUses *next) {
  for (size_t i = 0; i < queued->list.len; i++)
    for (size_t j = 0; j < next->list.len; j++) {
      const HostUse *q = &queued->list.data[i], *n = &next->list.data[j];
      if (q->buffer != n->buffer) continue;
      if ((q->how & VTA_WRITE) && (n->how & (CPU_READ | CPU_WRITE | VTA_READ))) return true;
      if ((q->how & VTA_READ) && (n->how & (CPU_WRITE | VTA_WRITE))) return true;
    }
  return false;
}

// Adds to what is queued what s queues.
static void queue_more(HostUses *queued, const HostUses *s) {
  for (size_t i = 0; i < s->list.len; i++) {
    unsigned how = s->list.data[i].how & (VTA_READ | VTA_WRITE);
    if (how) add_use(queued, s->list.data[i].buffer, how);
  }
  queued->any |= s->any;
}

typedef struct Dram {
  PassCtx *pc;
  HostUses queued; // since the last sync
  bool flushed;    // there was a sync for certain
  Loc *first;      // where the first was placed; NULL: nobody asks
} Dram;

static void count_sync(Dram *d, const Stmt *like) {
  if (d->first && !loc_known(*d->first)) *d->first = like->loc;
  d->pc->stats.syncs++;
}

// A sync here: nothing is queued after it.
static const Stmt *place_sync(Dram *d, const Stmt *like) {
  d->queued = (HostUses){.arena = d->pc->cx->arena};
  d->flushed = true;
  count_sync(d, like);
  return tile_call(d->pc, VTA_SYNC, 0, NULL, like);
}

static const Stmt *place_in(Dram *d, const Stmt *s);

// Into the body of s with nothing queued; what was queued before stays so unless the body syncs for certain.
static const Stmt *place_nested(Dram *d, const Stmt *body, HostUses *after, bool *flushed) {
  Dram inner = {.pc = d->pc, .first = d->first, .queued = {.arena = d->pc->cx->arena}};
  const Stmt *out = place_in(&inner, body);
  *after = inner.queued;
  *flushed = inner.flushed;
  return out;
}

static const Stmt *place_loop(Dram *d, const Stmt *s) {
  Ctx *cx = d->pc->cx;
  HostUses all = uses_of(cx, s->body), after;
  bool flushed;
  const Stmt *body = place_nested(d, s->body, &after, &flushed);
  if (must_wait(&after, &all)) { // the next turn would meet this one's work
    body = stmt_seq2(cx, body, tile_call(d->pc, VTA_SYNC, 0, NULL, s));
    count_sync(d, s);
    after = (HostUses){.arena = cx->arena};
    flushed = true;
  }
  int64_t turns;
  flushed = flushed && expr_is_int(s->extent, &turns) && turns > 0;
  if (flushed) d->queued = (HostUses){.arena = cx->arena};
  d->flushed |= flushed;
  queue_more(&d->queued, &after);
  if (body == s->body) return s;
  return tile_around(cx, s, body);
}

static const Stmt *place_if(Dram *d, const Stmt *s) {
  Ctx *cx = d->pc->cx;
  HostUses after, other_after = {.arena = cx->arena};
  bool flushed, other_flushed = false;
  const Stmt *body = place_nested(d, s->body, &after, &flushed), *other = NULL;
  if (s->else_body) other = place_nested(d, s->else_body, &other_after, &other_flushed);
  if (flushed && other_flushed) d->queued = (HostUses){.arena = cx->arena}, d->flushed = true;
  queue_more(&d->queued, &after);
  queue_more(&d->queued, &other_after);
  if (body == s->body && other == s->else_body) return s;
  return tile_if(cx, s, body, other);
}

// A host buffer is gone at the end of its allocation: nothing may still be queued on it.
static const Stmt *place_alloc(Dram *d, const Stmt *s) {
  Ctx *cx = d->pc->cx;
  const Stmt *body = place_in(d, s->body);
  HostUses gone = {.arena = cx->arena};
  add_use(&gone, s->buffer, CPU_WRITE);
  if (must_wait(&d->queued, &gone)) body = stmt_seq2(cx, body, place_sync(d, s));
  return body == s->body ? s : tile_around(cx, s, body);
}

static const Stmt *place_seq(Dram *d, const Stmt *s) {
  Ctx *cx = d->pc->cx;
  VEC(const Stmt *) out = {0};
  for (int i = 0; i < s->nchildren; i++) {
    const Stmt *child = place_in(d, s->children[i]);
    VEC_PUSH(cx->arena, out, child);
  }
  return stmt_seq(cx, (int)out.len, out.data);
}

// s with the syncs in it, and before it if something queued must be done before it starts.
static const Stmt *place_in(Dram *d, const Stmt *s) {
  if (s->kind == STMT_SEQ) return place_seq(d, s);
  if (s->kind == STMT_ALLOC) return place_alloc(d, s);
  HostUses uses = uses_of(d->pc->cx, s);
  const Stmt *sync = NULL, *out = s;
  if (s->kind == STMT_INTRIN && is_vta(s->intrin, VTA_SYNC)) {
    d->queued = (HostUses){.arena = d->pc->cx->arena};
    d->flushed = true;
    return s;
  }
  if (must_wait(&d->queued, &uses)) sync = place_sync(d, s);
  if (!uses.any) return sync ? stmt_seq2(d->pc->cx, sync, s) : s;
  if (s->kind == STMT_FOR) out = place_loop(d, s);
  else if (s->kind == STMT_IF) out = place_if(d, s);
  else queue_more(&d->queued, &uses);
  return sync ? stmt_seq2(d->pc->cx, sync, out) : out;
}

const Stmt *sync_dram(PassCtx *pc, const Stmt *s, Loc *first) {
  Dram d = {.pc = pc, .first = first, .queued = {.arena = pc->cx->arena}};
  const Stmt *out = place_in(&d, s);
  return d.queued.any ? stmt_seq2(pc->cx, out, place_sync(&d, s)) : out;
}

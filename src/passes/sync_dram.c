// SPDX-License-Identifier: Apache-2.0
// Where queued accelerator work must be finished before something else touches the same host memory.
// Instructions run when they are synchronised with, at the latest, and may run any time from their queueing on. So
//   the CPU may write what a later transfer reads, without more ado;
//   what queued stores write must not be read by anyone, or written by the CPU, before a sync;
//   what queued loads read must not be written by anyone before a sync.
// The load and store units meet in DRAM too (a tensor staged there): tokens order on-chip accesses only, so it is
// a sync.
#include "passes/sync.h"

typedef struct HostUse {
  Footprint what; // whole buffers
  bool queued;    // by an instruction, else by the CPU
} HostUse;

// What a statement does to host memory, or what is queued.
typedef struct HostUses {
  Arena *arena;
  VEC(HostUse) list;
  bool any; // instructions at all
} HostUses;

static void add_use(HostUses *u, Footprint what, bool queued) {
  for (size_t i = 0; i < u->list.len; i++) {
    const HostUse *h = &u->list.data[i];
    if (h->what.space == what.space && h->what.write == what.write && h->queued == queued) return;
  }
  HostUse h = {.what = what, .queued = queued};
  VEC_PUSH(u->arena, u->list, h);
}

static Footprint whole(const Buffer *b, bool write) { return footprint_whole(b, write, 0, buffer_elems(b)); }

static bool note_load(void *self, const Expr *e) {
  if (e->kind == EXPR_LOAD && !tile_is_on_chip(e->buffer)) add_use(self, whole(e->buffer, false), false);
  return true;
}

static bool note_stmt(void *self, const Stmt *s) {
  HostUses *u = self;
  Footprint end;
  if (s->kind == STMT_STORE && !tile_is_on_chip(s->buffer)) add_use(u, whole(s->buffer, true), false);
  if (tile_host_footprint(s, &end)) add_use(u, end, true);
  if (s->kind != STMT_INTRIN) return true;
  switch (vta_row_of(s->intrin)->cls) {
  case CLASS_TILE:
  case CLASS_STEP:
  case CLASS_KERNEL:
  case CLASS_CALL: u->any = true; break;
  case CLASS_ORDER: u->any |= is_vta(s->intrin, VTA_SYNC); break;
  case CLASS_REGION:
  case CLASS_UOP: break;
  }
  return true;
}

// All that s does to host memory.
static HostUses uses_of(Ctx *cx, const Stmt *s) {
  HostUses u = {.arena = cx->arena};
  stmt_visit(s, note_stmt, note_load, &u);
  return u;
}

typedef struct Dram {
  PassCtx *pc;
  HostUses queued; // since the last sync
  bool flushed;    // there was a sync for certain
  Loc *first;      // where the first was placed; NULL: nobody asks
} Dram;

// Whether `next` may not start before what is queued is done. Stores follow one another in their unit.
static bool must_wait(Dram *d, const HostUses *queued, const HostUses *next) {
  const Ranges none = {0};
  for (size_t i = 0; i < queued->list.len; i++)
    for (size_t j = 0; j < next->list.len; j++) {
      const HostUse *q = &queued->list.data[i], *n = &next->list.data[j];
      bool in_unit = n->queued && q->what.write && n->what.write;
      if (!in_unit && footprints_meet(d->pc->cx, &none, &q->what, &n->what)) return true;
    }
  return false;
}

// Adds to what is queued what s queues.
static void queue_more(HostUses *queued, const HostUses *s) {
  for (size_t i = 0; i < s->list.len; i++)
    if (s->list.data[i].queued) add_use(queued, s->list.data[i].what, true);
  queued->any |= s->any;
}

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
  if (must_wait(d, &after, &all)) { // the next turn would meet this one's work
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
  add_use(&gone, whole(s->buffer, true), false);
  if (must_wait(d, &d->queued, &gone)) body = stmt_seq2(cx, body, place_sync(d, s));
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
  if (must_wait(d, &d->queued, &uses)) sync = place_sync(d, s);
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

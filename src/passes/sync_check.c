// SPDX-License-Identifier: Apache-2.0
// Checks tokens by following the instructions in program order, with a vector clock a unit: how many instructions
// of each other unit are known to be done. A push sends the clock along, a pop takes it over. An access is ordered
// if the clock covers every earlier conflicting access. Since the walk itself is a valid order, a channel that is
// empty at a pop would mean a deadlock, and is refused.
//
// What is not known, as of data, must not matter. Where it is not known whether statements are executed, or how often,
// all of them count as executed, twice where they may be repeated, with variables that may have any of their values:
// that demands no less order than any of the ways it can go, as long as there are no tokens and syncs among them. With
// such, nothing is known of the whole.
#include "passes/sync.h"

#define WALK_MAX 4000    // nests executed; above that, loops are sampled: two first turns and the last
#define SAMPLE_MAX 20000 // above that with sampled loops, only the first and the last turn; twice that is the end

typedef int64_t Clock[UNIT_STORE + 1];

typedef struct Token {
  Clock clock;
} Token;

typedef struct Queue {
  VEC(Token) tokens;
  size_t head;
} Queue;

// An access that some unit may not know of yet.
typedef struct Record {
  VtaUnit unit;
  int64_t seq, lo, hi;
  bool write;
} Record;
typedef VEC(Record) Records;

typedef struct Walk {
  Ctx *cx;
  Ranges ranges; // loop variables, those outside of nests with one value
  Clock clock[UNIT_STORE + 1];
  Queue queues[VTA_CHANNEL_COUNT];
  Records memory[VTA_SCOPE_COUNT];
  size_t sweep_at[VTA_SCOPE_COUNT];
  int turns;     // most turns of a loop that are walked
  int64_t nests; // walked so far
  SyncOrder order;
  const char *why; // not SYNC_ORDERED, SYNC_SAMPLED
} Walk;

// Ends the walk.
static bool stop(Walk *w, SyncOrder order, const char *why) {
  w->order = order;
  w->why = why;
  return false;
}

// The unit other than u that reaches a memory: load and compute share inp and wgt, compute and store share acc.
static VtaUnit partner(VtaUnit u, VtaScope scope) {
  return u != UNIT_COMPUTE ? UNIT_COMPUTE : vta_scope_partner(scope);
}

// Drops the records that the other unit knows of.
static void sweep(Walk *w, VtaScope scope) {
  Records *r = &w->memory[scope];
  size_t kept = 0;
  for (size_t i = 0; i < r->len; i++)
    if (w->clock[partner(r->data[i].unit, scope)][r->data[i].unit] < r->data[i].seq) r->data[kept++] = r->data[i];
  r->len = kept;
  w->sweep_at[scope] = kept * 2 + 32;
}

// Checks an access against the earlier ones and remembers it, in place of those of its unit that it stands for:
// whoever meets them later meets it too, and knows of them when it knows of it.
static bool check_access(Walk *w, const Record *now, VtaScope scope) {
  Records *r = &w->memory[scope];
  size_t kept = 0;
  for (size_t i = 0; i < r->len; i++) {
    Record old = r->data[i];
    if (old.unit == now->unit) {
      bool covered = now->lo <= old.lo && old.hi <= now->hi && (now->write || !old.write);
      if (!covered) r->data[kept++] = old;
      continue;
    }
    bool conflict = (old.write || now->write) && old.lo <= now->hi && now->lo <= old.hi;
    if (conflict && w->clock[now->unit][old.unit] < old.seq) return false;
    r->data[kept++] = old;
  }
  r->len = kept;
  if (r->len >= w->sweep_at[scope]) sweep(w, scope);
  VEC_PUSH(w->cx->arena, *r, *now);
  return true;
}

// Checks the tiles that an access may touch.
static bool walk_access(Walk *w, VtaUnit unit, const TileAccess *a) {
  int64_t lo, hi, last = a->buffer->base + buffer_tiles(a->buffer) - 1;
  if (!expr_bounds(&w->ranges, a->tile, &lo, &hi)) lo = 0, hi = last;
  Record now = {.unit = unit, .seq = w->clock[unit][unit], .lo = a->buffer->base + lo, .write = a->write};
  if (!add_ok(a->buffer->base + hi, (a->count < 1 ? 1 : a->count) - 1, &now.hi) || now.hi > last) now.hi = last;
  return check_access(w, &now, vta_scope(a->buffer->scope));
}

// One nest: an instruction, or many of the same unit.
static bool walk_nest(Walk *w, const Stmt *s, const Stmt *leaf) {
  size_t depth = w->ranges.len;
  for (; s != leaf; s = s->body)
    if (s->kind == STMT_FOR) tile_push_loop(w->cx, &w->ranges, s);
  VtaUnit unit = (VtaUnit)tile_unit(leaf);
  w->nests++;
  w->clock[unit][unit]++;
  TileAccess acc[TILE_ACCESS_MAX];
  int n = tile_accesses(&w->ranges, leaf, acc);
  bool ok = true;
  for (int i = 0; i < n && ok; i++) ok = walk_access(w, unit, &acc[i]);
  while (w->ranges.len > depth) ranges_pop(&w->ranges);
  return ok || stop(w, SYNC_BROKEN, "two accesses to the same tiles are not ordered");
}

// The channel of a push or pop; -1: there is none.
static int channel_of(const Stmt *s) {
  int64_t from, to;
  if (!expr_is_int(s->args[ARG_PUSH_FROM], &from) || !expr_is_int(s->args[ARG_PUSH_TO], &to)) return -1;
  return vta_channel(from, to);
}

// A push leaves its unit's clock on the channel; a pop takes the oldest over.
static bool walk_token(Walk *w, const Stmt *s) {
  int c = channel_of(s);
  if (c < 0) return stop(w, SYNC_BROKEN, "a token between units that pass none");
  Queue *q = &w->queues[c];
  if (is_vta(s->intrin, VTA_PUSH)) {
    Token t;
    for (int u = 0; u <= UNIT_STORE; u++) t.clock[u] = w->clock[vta_channel_from[c]][u];
    VEC_PUSH(w->cx->arena, q->tokens, t);
    return true;
  }
  if (q->head == q->tokens.len) return stop(w, SYNC_BROKEN, "a token is awaited that nobody has sent");
  const Token *t = &q->tokens.data[q->head++];
  for (int u = 0; u <= UNIT_STORE; u++)
    if (t->clock[u] > w->clock[vta_channel_to[c]][u]) w->clock[vta_channel_to[c]][u] = t->clock[u];
  if (q->head == q->tokens.len) q->head = q->tokens.len = 0;
  return true;
}

// A sync, or the end: no token may be left; afterwards everybody knows everything.
static bool walk_sync(Walk *w) {
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++)
    if (w->queues[c].head != w->queues[c].tokens.len) return stop(w, SYNC_BROKEN, "a token is left over");
  for (int u = UNIT_LOAD; u <= UNIT_STORE; u++)
    for (int v = UNIT_LOAD; v <= UNIT_STORE; v++) w->clock[u][v] = w->clock[v][v];
  return true;
}

static bool walk(Walk *w, const Stmt *s);

static bool is_order(const Stmt *s) { return s->kind == STMT_INTRIN && vta_row_of(s->intrin)->cls == CLASS_ORDER; }

static bool find_order(void *self, const Stmt *s) {
  *(bool *)self |= is_order(s);
  return !*(bool *)self;
}

// Whether there are tokens or syncs in s.
static bool has_order(const Stmt *s) {
  bool found = false;
  stmt_visit(s, find_order, NULL, &found);
  return found;
}

static bool walk_turn(Walk *w, const Stmt *s, int64_t least, int64_t most) {
  ranges_push(w->cx, &w->ranges, s->var, least, most);
  bool ok = walk(w, s->body);
  ranges_pop(&w->ranges);
  return ok;
}

// Of a loop whose turns are not known: any two of them.
static bool walk_any_turns(Walk *w, const Stmt *s) {
  if (has_order(s)) return stop(w, SYNC_UNKNOWN, "how often a loop with tokens is repeated depends on data");
  size_t depth = w->ranges.len;
  tile_push_loop(w->cx, &w->ranges, s);
  bool ok = walk(w, s->body) && walk(w, s->body);
  while (w->ranges.len > depth) ranges_pop(&w->ranges);
  return ok;
}

// The turns of a loop, or a sample of them.
static bool walk_loop(Walk *w, const Stmt *s) {
  int64_t lo, hi, n, least;
  bool known = expr_bounds(&w->ranges, s->min, &lo, &hi);
  if (!expr_bounds(&w->ranges, s->extent, &least, &n) || least != n) return walk_any_turns(w, s);
  for (int64_t i = 0; i < n; i++) {
    int64_t first, last;
    if (i >= w->turns - 1 && i < n - 1) {
      w->order = SYNC_SAMPLED;
      i = n - 1;
    }
    bool fits = known && add_ok(lo, i, &first) && add_ok(hi, i, &last); // else it is anything
    if (!walk_turn(w, s, fits ? first : INT64_MIN, fits ? last : INT64_MAX)) return false;
    if (w->nests > SAMPLE_MAX * 2) return true;
  }
  return true;
}

static bool walk_if(Walk *w, const Stmt *s) {
  int64_t lo, hi;
  expr_bounds(&w->ranges, s->cond, &lo, &hi);
  if (lo <= 0 && hi > 0 && has_order(s)) return stop(w, SYNC_UNKNOWN, "a condition on data has tokens behind it");
  if (hi > 0 && !walk(w, s->body)) return false;
  return lo > 0 || !s->else_body || walk(w, s->else_body);
}

static bool walk(Walk *w, const Stmt *s) {
  if (w->nests > SAMPLE_MAX * 2) {
    w->order = SYNC_SAMPLED;
    return true;
  }
  const Stmt *leaf = tile_nest_leaf(s);
  if (leaf) return walk_nest(w, s, leaf);
  switch (s->kind) {
  case STMT_FOR: return (!(tile_units(s) & ~1u) && !has_order(s)) || walk_loop(w, s);
  case STMT_IF: return walk_if(w, s);
  case STMT_ALLOC: return walk(w, s->body);
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++)
      if (!walk(w, s->children[i])) return false;
    return true;
  case STMT_STORE: return true;
  case STMT_INTRIN:
    if (is_vta(s->intrin, VTA_PUSH) || is_vta(s->intrin, VTA_POP)) return walk_token(w, s);
    return !is_vta(s->intrin, VTA_SYNC) || walk_sync(w);
  }
  return true;
}

// How many nests a walk with so many turns a loop meets; at most SAMPLE_MAX + 1.
static int64_t walk_length(const Stmt *s, int64_t turns) {
  int64_t n = 0, extent;
  if (tile_nest_leaf(s)) return 1;
  switch (s->kind) {
  case STMT_FOR:
    n = walk_length(s->body, turns);
    if (!expr_is_int(s->extent, &extent) || extent > turns) extent = turns;
    return !mul_ok(n, extent, &n) || n > SAMPLE_MAX ? SAMPLE_MAX + 1 : n;
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren && n <= SAMPLE_MAX; i++) n += walk_length(s->children[i], turns);
    return n > SAMPLE_MAX ? SAMPLE_MAX + 1 : n;
  case STMT_IF: return walk_length(s->body, turns) + (s->else_body ? walk_length(s->else_body, turns) : 0);
  case STMT_ALLOC: return walk_length(s->body, turns);
  case STMT_STORE: return 0;
  case STMT_INTRIN: return 1;
  }
  return n;
}

SyncOrder sync_order(PassCtx *pc, const Stmt *s, const char **why) {
  Arena *scratch = arena_new();
  if (!scratch) return SYNC_UNKNOWN;
  Ctx cx = *pc->cx;
  cx.arena = scratch;
  Walk w = {.cx = &cx, .turns = 1 << 20, .order = SYNC_ORDERED};
  if (walk_length(s, w.turns) > WALK_MAX) w.turns = walk_length(s, 3) > SAMPLE_MAX ? 2 : 3;
  if (walk(&w, s) && w.nests <= SAMPLE_MAX * 2) (void)walk_sync(&w);
  if (why) *why = w.why;
  arena_free(scratch);
  return w.order;
}

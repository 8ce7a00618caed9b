// SPDX-License-Identifier: Apache-2.0
// Dependence tokens between load, compute and store.
//
// The statement tree is walked bottom-up. A sequence has items; each item has a summary of its on-chip accesses.
// On each of the four channels (from unit A to unit B), an access of A in item i and a conflicting one of B in a
// later item j need an arc (i, j): a push right after item i, a pop right before item j. An arc (i', j') with i <=
// i' < j' <= j does it too; what is left after dropping covered arcs is ordered the same way by source and by
// target, so the k-th pop meets the k-th push: queues without payload are enough.
//
// In a loop, A in item i may also conflict with B in item j of the next turn: a *carried* arc. It is covered by
// any arc inside a turn that starts at i or later, or ends at j or earlier. So what is left encloses all arcs of
// the turn, first pops first and last pushes last: with as many tokens pushed before the loop as there are carried
// arcs, pops and pushes again meet in order, and as many are popped after the loop.
//
//     push(c, l)                              one carried arc, (gemm -> load)
//     for k in 0..4 {
//       pop(c, l)   load a    push(l, c)      one arc, (load -> gemm)
//       pop(l, c)   gemm      push(c, l)
//     }
//     pop(c, l)
//
// A loop with carried arcs stays *open*: its first pushes and last pops are put only where they must be, as far
// outside as possible. While it is open, the tokens of its last turn are those of the first turn of its next
// execution, and loads of the next tile overlap the end of this one. Each access then has a *rank*: of the s
// tokens that leave the loop, a source access is followed by those from rank r on; a target access is preceded by
// the first r that enter. Source and target are ordered by the tokens in flight if the source's rank is at most
// the target's.
#include "passes/sync.h"

#define ACCESSES_MAX 48 // summaries longer than this are made coarser
#define RANK_NEVER 1000000

typedef struct Access {
  VtaUnit unit;
  Footprint at;
  unsigned ordered; // bit c: as a source (target) on channel c, ordered with everything after (before) its item
  int rank[VTA_CHANNEL_COUNT]; // in an open item
} Access;

typedef struct Item {
  const Stmt *stmt;
  VEC(Access) acc;
  unsigned units;              // bit u: unit u has accesses
  unsigned uses, covers;       // bit c: has tokens on channel c; has an arc that is certainly executed
  int open[VTA_CHANNEL_COUNT]; // tokens that must be in flight before and are after; 0: balanced
} Item;

typedef struct Arc {
  int from, to;
} Arc;
typedef VEC(Arc) Arcs;

// A sequence in work.
typedef struct Body {
  int n;
  Item *items;
  Arcs arcs[VTA_CHANNEL_COUNT];    // within a turn
  Arcs carried[VTA_CHANNEL_COUNT]; // to the next turn
  int chain[VTA_CHANNEL_COUNT];    // tokens in flight through open items; 0: no open items
} Body;

typedef struct Tokens {
  PassCtx *pc;
  Ctx *cx;
  Ranges ranges; // of the loops around
  bool keep_open;
} Tokens;

const Stmt *token_stmt(PassCtx *pc, VtaOp op, VtaChannel c, const Stmt *like) {
  const Expr *args[ARG_PUSH_END] = {
      [ARG_PUSH_FROM] = expr_index(pc->cx, vta_channel_from[c]), [ARG_PUSH_TO] = expr_index(pc->cx, vta_channel_to[c])};
  return tile_call(pc, op, ARG_PUSH_END, args, like);
}

// ---- accesses --------------------------------------------------------------------------------------------------

static void item_add(Tokens *t, Item *it, const Access *a) {
  VEC_PUSH(t->cx->arena, it->acc, *a);
  it->units |= 1u << a->unit;
}

// The summary of a single instruction.
static void leaf_accesses(Tokens *t, Item *it, const Stmt *s) {
  TileAccess acc[TILE_ACCESS_MAX];
  int n = tile_accesses(&t->ranges, s, acc);
  for (int i = 0; i < n; i++) {
    Access a = {.unit = (VtaUnit)tile_unit(s), .at = tile_footprint(t->cx, &t->ranges, &acc[i])};
    item_add(t, it, &a);
  }
}

// Whether two accesses differ in their tiles alone.
static bool same_standing(const Access *a, const Access *b) {
  if (a->unit != b->unit || a->at.space != b->at.space || a->at.write != b->at.write || a->ordered != b->ordered)
    return false;
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++)
    if (a->rank[c] != b->rank[c]) return false;
  return affine_equal(&a->at.form, &b->at.form);
}

static bool is_source(const Access *a, int c) { return a->unit == vta_channel_from[c]; }
static bool is_target(const Access *a, int c) { return a->unit == vta_channel_to[c]; }

// Makes a stand for b too: the hull, and the worse of their orders.
static void absorb(Access *a, const Access *b) {
  footprint_absorb(&a->at, &b->at);
  a->ordered &= b->ordered;
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++)
    if (is_source(a, c) ? b->rank[c] > a->rank[c] : b->rank[c] < a->rank[c]) a->rank[c] = b->rank[c];
}

// Adds an access to a summary, merged with one that says as much.
static void summary_add(Tokens *t, Item *it, Access a) {
  for (size_t i = 0; i < it->acc.len; i++) {
    Access *b = &it->acc.data[i];
    bool touch = a.at.lo <= b->at.hi + 1 && b->at.lo <= a.at.hi + 1;
    if (touch && same_standing(b, &a)) {
      absorb(b, &a);
      return;
    }
  }
  if (it->acc.len < ACCESSES_MAX) {
    item_add(t, it, &a);
    return;
  }
  a.at = footprint_widen(t->cx, &t->ranges, &a.at, 0);
  for (size_t i = 0; i < it->acc.len; i++) {
    Access *b = &it->acc.data[i];
    if (b->unit != a.unit || b->at.space != a.at.space || b->at.write != a.at.write) continue;
    b->at = footprint_widen(t->cx, &t->ranges, &b->at, 0);
    absorb(b, &a);
    return;
  }
  item_add(t, it, &a);
}

// ---- what needs an arc -----------------------------------------------------------------------------------------

// Whether tokens in flight order a source access with a target access, by their ranks; `shift` tokens are in
// flight.
typedef bool Ordered(int shift, int source, int target);

// Whether a source access of a and a target access of b conflict, and nothing orders them yet. ordered may be
// NULL.
static bool needs_arc(Tokens *t, int c, const Item *a, const Item *b, Ordered *ordered, int shift) {
  if (!(a->units >> vta_channel_from[c] & 1) || !(b->units >> vta_channel_to[c] & 1)) return false;
  for (size_t i = 0; i < a->acc.len; i++) {
    const Access *x = &a->acc.data[i];
    if (!is_source(x, c) || (x->ordered >> c & 1)) continue;
    for (size_t j = 0; j < b->acc.len; j++) {
      const Access *y = &b->acc.data[j];
      if (!is_target(y, c) || (y->ordered >> c & 1)) continue;
      if (!footprints_meet(t->cx, &t->ranges, &x->at, &y->at)) continue;
      if (!ordered || !ordered(shift, x->rank[c], y->rank[c])) return true;
    }
  }
  return false;
}

// The tokens that leave one open item are those that enter the next.
static bool ordered_next(int shift, int source, int target) { return (void)shift, source <= target; }
// Somebody in between (or the end of a closed turn) waits for all tokens of the source, and all of the target are
// sent after it.
static bool ordered_far(int shift, int source, int target) { return source <= shift || target >= 1; }

// Drops arcs that a covers, then adds it.
static void add_arc(Tokens *t, Arcs *arcs, Arc a) {
  size_t kept = 0;
  for (size_t i = 0; i < arcs->len; i++) {
    Arc b = arcs->data[i];
    if (!(b.from <= a.from && b.to >= a.to)) arcs->data[kept++] = b;
  }
  arcs->len = kept;
  VEC_PUSH(t->cx->arena, *arcs, a);
}

// Tokens of an item that may not be executed would meet those of an arc across it: the arc ends before it.
static int end_before_blocker(const Body *b, int c, int from, int to) {
  for (int m = from + 1; m < to; m++)
    if (b->items[m].uses >> c & 1) return m;
  return to;
}

// The arcs between items of one turn that no others cover.
static void find_arcs(Tokens *t, Body *b, int c) {
  Arcs *arcs = &b->arcs[c];
  int *source = NEW_ARRAY(t->cx->arena, int, b->n + 1), nsources = 0; // items so far with work of the source unit
  int cover = 0; // arcs from before the last item that certainly has tokens of its own are covered by those
  for (int j = 0; j < b->n; j++) {
    const Item *item = &b->items[j];
    int least = cover;
    if (arcs->len && arcs->data[arcs->len - 1].from + 1 > least) least = arcs->data[arcs->len - 1].from + 1;
    bool target = item->units >> vta_channel_to[c] & 1;
    for (int k = nsources - 1; target && k >= 0 && source[k] >= least; k--) {
      if (!needs_arc(t, c, &b->items[source[k]], item, NULL, 0)) continue;
      add_arc(t, arcs, (Arc){source[k], end_before_blocker(b, c, source[k], j)});
      break;
    }
    if (item->units >> vta_channel_from[c] & 1) source[nsources++] = j;
    if (item->covers >> c & 1) cover = j;
  }
}

// What a channel's tokens order inside a body: sources in items before `from` with everything after the body,
// targets in items after `to` with everything before it.
static Arc ordered_inside(const Body *b, int c) {
  Arc r = {0, b->n - 1};
  if (b->chain[c]) return r; // what conflicts goes by rank there
  for (size_t k = 0; k < b->arcs[c].len; k++) {
    Arc a = b->arcs[c].data[k];
    if (a.from + 1 > r.from) r.from = a.from + 1;
    if (a.to - 1 < r.to) r.to = a.to - 1;
  }
  for (int m = 0; m < b->n; m++) {
    if (!(b->items[m].covers >> c & 1)) continue;
    if (m > r.from) r.from = m;
    if (m < r.to) r.to = m;
  }
  return r;
}

// Arcs to the next turn. They start after and end before items with tokens of their own.
static void find_carried(Tokens *t, Body *b, int c) {
  Arc range = ordered_inside(b, c); // a carried arc must start at `from` or later and end at `to` or earlier
  int first_use = b->n, last_use = -1;
  for (int m = 0; m < b->n; m++)
    if (b->items[m].uses >> c & 1) {
      last_use = m;
      if (first_use == b->n) first_use = m;
    }
  Arcs found = {0};
  int *target = NEW_ARRAY(t->cx->arena, int, b->n + 1), ntargets = 0;
  for (int j = 0; j < b->n; j++)
    if (b->items[j].units >> vta_channel_to[c] & 1) target[ntargets++] = j;
  for (int i = b->n - 1, best = range.to + 1; i >= range.from; i--)
    for (int k = 0; k < ntargets && target[k] < best; k++) {
      int j = target[k];
      if (!needs_arc(t, c, &b->items[i], &b->items[j], NULL, 0)) continue;
      add_arc(t, &found, (Arc){i > last_use ? i : last_use, j < first_use ? j : first_use});
      best = j;
    }
  for (size_t k = found.len; k-- > 0;) VEC_PUSH(t->cx->arena, b->carried[c], found.data[k]);
}

// ---- open items ------------------------------------------------------------------------------------------------

static const Stmt *repeat(Tokens *t, VtaOp op, VtaChannel c, int n, const Stmt *like) {
  const Stmt **s = NEW_ARRAY(t->cx->arena, const Stmt *, n + 1);
  for (int i = 0; i < n; i++) s[i] = token_stmt(t->pc, op, c, like);
  return stmt_seq(t->cx, n, s);
}

// Gives an open item its first pushes and last pops.
static void item_close(Tokens *t, Item *it, VtaChannel c) {
  int s = it->open[c];
  if (!s) return;
  const Stmt *parts[3] = {repeat(t, VTA_PUSH, c, s, it->stmt), it->stmt, repeat(t, VTA_POP, c, s, it->stmt)};
  it->stmt = stmt_seq(t->cx, 3, parts);
  it->open[c] = 0;
  it->uses |= 1u << c;
  it->covers |= 1u << c;
  for (size_t i = 0; i < it->acc.len; i++) {
    Access *a = &it->acc.data[i];
    if (is_source(a, c) ? a->rank[c] <= s : is_target(a, c) && a->rank[c] >= 1) a->ordered |= 1u << c;
  }
}

static void item_close_all(Tokens *t, Item *it) {
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++) item_close(t, it, (VtaChannel)c);
}

// Whether the open items of a body can hand their tokens on from one to the next, and nothing else wants the
// channel.
static bool chain_holds(Tokens *t, const Body *b, int c, int s) {
  for (int i = 0; i < b->n; i++)
    if (b->items[i].open[c] ? b->items[i].open[c] != s : (b->items[i].uses >> c & 1)) return false;
  for (int i = 0; i < b->n; i++) {
    bool between = false; // an open item lies between i and j
    for (int j = i + 1; j < b->n; j++) {
      bool both = b->items[i].open[c] && b->items[j].open[c];
      if (needs_arc(t, c, &b->items[i], &b->items[j], !both ? NULL : between ? ordered_far : ordered_next, s))
        return false;
      between |= b->items[j].open[c] != 0;
    }
  }
  return true;
}

// Decides how open items go on: as a chain, or each closed.
static void settle_open(Tokens *t, Body *b, VtaChannel c) {
  int s = 0;
  for (int i = 0; i < b->n && !s; i++) s = b->items[i].open[c];
  if (!s) return;
  if (t->keep_open && chain_holds(t, b, c, s)) {
    b->chain[c] = s;
    return;
  }
  for (int i = 0; i < b->n; i++) item_close(t, &b->items[i], c);
}

// ---- a body's summary ------------------------------------------------------------------------------------------

// The first and last item that is open on c.
static Arc open_ends(const Body *b, int c) {
  Arc r = {-1, -1};
  for (int i = 0; i < b->n; i++)
    if (b->items[i].open[c]) {
      r.to = i;
      if (r.from < 0) r.from = i;
    }
  return r;
}

// The rank in the body of an access of item p, where tokens are in flight through the chain of open items.
static int chain_rank(const Body *b, int c, Arc ends, int p, const Access *a) {
  if (is_source(a, c)) return p == ends.to ? a->rank[c] : p < ends.to ? 1 : RANK_NEVER;
  return p == ends.from ? a->rank[c] : p > ends.from ? b->chain[c] : 0;
}

// ... where they are those of the carried arcs.
static int carried_rank(const Arcs *arcs, int c, int p, const Access *a) {
  int rank = 0;
  if (is_source(a, c)) {
    for (size_t r = 0; r < arcs->len; r++)
      if (arcs->data[r].from >= p) return (int)r + 1;
    return RANK_NEVER;
  }
  for (size_t r = 0; r < arcs->len; r++)
    if (arcs->data[r].to <= p) rank = (int)r + 1;
  return rank;
}

// What a body looks like from outside, channel by channel.
typedef struct View {
  const Body *body;
  Arc ends[VTA_CHANNEL_COUNT];    // the first and last open item
  Arc ordered[VTA_CHANNEL_COUNT]; // as ordered_inside
} View;

// Computed once a body: it is asked for every access.
static View view_of(const Body *b) {
  View v = {.body = b};
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++) {
    v.ends[c] = open_ends(b, c);
    v.ordered[c] = ordered_inside(b, c);
  }
  return v;
}

// The access of item p as the surroundings of the body see it.
static Access seen_from_outside(const View *v, int p, const Access *inside) {
  const Body *b = v->body;
  Access a = *inside;
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++) {
    bool source = is_source(&a, c), target = is_target(&a, c);
    if ((source && p < v->ordered[c].from) || (target && p > v->ordered[c].to)) a.ordered |= 1u << c;
    if (!source && !target) a.rank[c] = 0;
    else if (b->chain[c]) a.rank[c] = chain_rank(b, c, v->ends[c], p, inside);
    else a.rank[c] = carried_rank(&b->carried[c], c, p, inside);
  }
  return a;
}

// What the whole body is to its surroundings. Accesses were widened by the loop's variable before.
static Item body_summary(Tokens *t, const Body *b, const Stmt *stmt) {
  Item out = {.stmt = stmt};
  View view = view_of(b);
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++) {
    unsigned bit = 1u << c;
    out.open[c] = b->chain[c] ? b->chain[c] : (int)b->carried[c].len;
    if (b->arcs[c].len) out.covers |= bit;
    if (b->carried[c].len || b->chain[c]) out.uses |= bit;
    for (int i = 0; i < b->n; i++) {
      out.uses |= b->items[i].uses & bit;
      if (!b->chain[c]) out.covers |= b->items[i].covers & bit;
    }
  }
  out.uses |= out.covers;
  for (int p = 0; p < b->n; p++)
    for (size_t i = 0; i < b->items[p].acc.len; i++)
      summary_add(t, &out, seen_from_outside(&view, p, &b->items[p].acc.data[i]));
  return out;
}

// ---- writing it down -------------------------------------------------------------------------------------------

typedef VEC(const Stmt *) Stmts;

static void put(Tokens *t, Stmts *out, VtaOp op, int c, size_t n, const Stmt *like) {
  for (size_t i = 0; i < n; i++) {
    const Stmt *s = token_stmt(t->pc, op, (VtaChannel)c, like);
    VEC_PUSH(t->cx->arena, *out, s);
  }
}

// How many arcs start (end) at item i.
static size_t count_arcs(const Arcs *arcs, int i, bool ends) {
  size_t n = 0;
  for (size_t k = 0; k < arcs->len; k++) n += (ends ? arcs->data[k].to : arcs->data[k].from) == i;
  return n;
}

// The body with its tokens: pops right before their item, pushes right after.
static const Stmt *body_stmt(Tokens *t, const Body *b) {
  Stmts out = {0};
  for (int i = 0; i < b->n; i++) {
    const Stmt *s = b->items[i].stmt;
    for (int c = 0; c < VTA_CHANNEL_COUNT; c++)
      put(t, &out, VTA_POP, c, count_arcs(&b->carried[c], i, true) + count_arcs(&b->arcs[c], i, true), s);
    VEC_PUSH(t->cx->arena, out, s);
    for (int c = 0; c < VTA_CHANNEL_COUNT; c++)
      put(t, &out, VTA_PUSH, c, count_arcs(&b->arcs[c], i, false) + count_arcs(&b->carried[c], i, false), s);
  }
  return stmt_seq(t->cx, (int)out.len, out.data);
}

// ---- statements ------------------------------------------------------------------------------------------------

static Item item_of(Tokens *t, const Stmt *s);

// The items of a sequence (or of a single statement), with the arcs between them.
static Body body_of(Tokens *t, const Stmt *s) {
  Body b = {.n = s->kind == STMT_SEQ ? s->nchildren : 1};
  b.items = NEW_ARRAY(t->cx->arena, Item, b.n + 1);
  for (int i = 0; i < b.n; i++) b.items[i] = item_of(t, s->kind == STMT_SEQ ? s->children[i] : s);
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++) settle_open(t, &b, (VtaChannel)c);
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++)
    if (!b.chain[c]) find_arcs(t, &b, c);
  return b;
}

// The body as all turns of the innermost loop see it.
static Body widened(Tokens *t, const Body *b) {
  Body w = *b;
  w.items = arena_copy(t->cx->arena, b->items, (size_t)b->n * sizeof *b->items);
  for (int i = 0; i < w.n; i++) {
    size_t n = w.items[i].acc.len;
    w.items[i].acc.data = NEW_ARRAY(t->cx->arena, Access, n + 1);
    for (size_t k = 0; k < n; k++) {
      Access *a = &w.items[i].acc.data[k];
      *a = b->items[i].acc.data[k];
      a->at = footprint_widen(t->cx, &t->ranges, &a->at, t->ranges.len - 1);
    }
  }
  return w;
}

// Whether the tokens that leave one turn order it with the next.
static bool chain_carries(Tokens *t, const Body *b, int c) {
  View view = view_of(b);
  Item *seen = arena_copy(t->cx->arena, b->items, (size_t)b->n * sizeof *seen);
  for (int i = 0; i < b->n; i++) {
    const Item *old = &b->items[i];
    seen[i].acc.data = NEW_ARRAY(t->cx->arena, Access, old->acc.len + 1);
    for (size_t k = 0; k < old->acc.len; k++) seen[i].acc.data[k] = seen_from_outside(&view, i, &old->acc.data[k]);
  }
  for (int i = 0; i < b->n; i++)
    for (int j = 0; j < b->n; j++)
      if (needs_arc(t, c, &seen[i], &seen[j], ordered_next, b->chain[c])) return false;
  return true;
}

// Gives up the chains that do not order one turn with the next: their items are closed each.
static void settle_turns(Tokens *t, Body *b) {
  for (int c = 0; c < VTA_CHANNEL_COUNT; c++) {
    if (!b->chain[c]) continue;
    Body w = widened(t, b);
    if (chain_carries(t, &w, c)) continue;
    for (int i = 0; i < b->n; i++) item_close(t, &b->items[i], (VtaChannel)c);
    b->chain[c] = 0;
    find_arcs(t, b, c);
  }
}

static Item loop_item(Tokens *t, const Stmt *s) {
  int64_t extent = 0;
  bool fixed = expr_is_int(s->extent, &extent) && extent > 0;
  tile_push_loop(t->cx, &t->ranges, s);
  Body b = body_of(t, s->body);
  if (!fixed || extent > 1) settle_turns(t, &b);
  b = widened(t, &b);
  ranges_pop(&t->ranges);
  for (int c = 0; c < VTA_CHANNEL_COUNT && (!fixed || extent > 1); c++)
    if (!b.chain[c]) find_carried(t, &b, c);
  const Stmt *body = body_stmt(t, &b);
  Item out = body_summary(t, &b, tile_around(t->cx, s, body));
  if (!t->keep_open || !fixed) item_close_all(t, &out);
  if (!fixed) out.covers = 0; // perhaps no turn at all: nothing is certainly executed
  return out;
}

// A balanced body; its own accesses are as its tokens leave them.
static Item closed_item(Tokens *t, const Stmt *s) {
  Body b = body_of(t, s);
  Item out = body_summary(t, &b, body_stmt(t, &b));
  item_close_all(t, &out);
  return out;
}

static Item if_item(Tokens *t, const Stmt *s) {
  Item yes = closed_item(t, s->body), no = {0}, out = {0};
  if (s->else_body) no = closed_item(t, s->else_body);
  out.stmt = tile_if(t->cx, s, yes.stmt, s->else_body ? no.stmt : NULL);
  out.uses = yes.uses | no.uses;
  out.covers = yes.covers & no.covers;
  for (size_t i = 0; i < yes.acc.len; i++) summary_add(t, &out, yes.acc.data[i]);
  for (size_t i = 0; i < no.acc.len; i++) summary_add(t, &out, no.acc.data[i]);
  return out;
}

// All allocations around one body at once: there may be thousands.
static Item alloc_item(Tokens *t, const Stmt *s) {
  VEC(const Stmt *) allocs = {0};
  for (; s->kind == STMT_ALLOC; s = s->body) VEC_PUSH(t->cx->arena, allocs, s);
  Body b = body_of(t, s);
  const Stmt *body = body_stmt(t, &b);
  for (size_t i = allocs.len; i-- > 0;) body = tile_around(t->cx, allocs.data[i], body);
  return body_summary(t, &b, body);
}

static Item item_of(Tokens *t, const Stmt *s) {
  Item out = {.stmt = s};
  bool parts = s->kind == STMT_FOR || s->kind == STMT_IF;
  if (parts && !(tile_units(s) & ~1u)) return out; // the CPU's alone
  switch (s->kind) {
  case STMT_FOR: return loop_item(t, s);
  case STMT_IF: return if_item(t, s);
  case STMT_ALLOC: return alloc_item(t, s);
  case STMT_SEQ: {
    Body b = body_of(t, s);
    return body_summary(t, &b, body_stmt(t, &b));
  }
  case STMT_STORE: break;
  case STMT_INTRIN:
    if (is_vta(s->intrin, VTA_SYNC)) out.uses = out.covers = (1u << VTA_CHANNEL_COUNT) - 1;
    leaf_accesses(t, &out, s);
    break;
  }
  return out;
}

const Stmt *sync_tokens(PassCtx *pc, const Stmt *s, bool keep_open) {
  Tokens t = {.pc = pc, .cx = pc->cx, .keep_open = keep_open};
  return closed_item(&t, s).stmt;
}

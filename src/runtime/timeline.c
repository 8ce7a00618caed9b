// SPDX-License-Identifier: Apache-2.0
// Follows instructions through the core. The core says "one is taken", not which: units take instructions in the order
// of the stream, engines finish in the order in which they were started, so counting tells. Only of compute's window
// the core says which slot starts.
#include "runtime/timeline.h"

#include <stdlib.h>
#include <string.h>

// The instructions of one unit, in order: indices of spans.
typedef struct UnitQueue {
  uint32_t *list;
  size_t count, taken, retired, started; // started: the oldest that has not
  size_t pause;                          // the newest
} UnitQueue;

// The instructions in one engine, oldest first: a list through `next`; UINT32_MAX ends it.
typedef struct Engine {
  uint32_t oldest, waiting, newest; // waiting: the oldest whose work has not begun
  uint32_t free;                    // the cycle after the last work
} Engine;

enum { WINDOW = 16 };

struct TimelineState {
  size_t span_room, pause_room, launch_room;
  bool running;
  uint64_t start, since, word; // the launch's first cycle; `word` is shown from `since` on
  size_t first, n, fetched;    // spans of this launch
  uint32_t *next;
  UnitQueue units[UNIT_STORE + 1];
  uint32_t window[WINDOW]; // spans by slot
  size_t slot;             // the next to be filled
  Engine engines[ROW_COUNT];
};

enum { NONE = UINT32_MAX };

TetcTimeline *tetc_timeline_new(bool keep) {
  TetcTimeline *t = calloc(1, sizeof *t);
  if (t) t->state = calloc(1, sizeof *t->state);
  if (t && t->state) {
    t->keep = keep;
    return t;
  }
  free(t);
  return NULL;
}

static void forget_launch(TimelineState *s) {
  free(s->next);
  for (int u = UNIT_LOAD; u <= UNIT_STORE; u++) free(s->units[u].list);
  s->next = NULL;
  memset(s->units, 0, sizeof s->units);
}

void tetc_timeline_free(TetcTimeline *t) {
  if (!t) return;
  forget_launch(t->state);
  free(t->spans);
  free(t->pauses);
  free(t->launches);
  free(t->waits);
  free(t->state);
  free(t);
}

// Room for `more` elements behind `count` of the array whose pointer is at `array`. False: t->lost.
static bool reserve(TetcTimeline *t, void *array, size_t *room, size_t count, size_t more, size_t size) {
  void *old;
  if (count + more <= *room) return true;
  size_t n = 2 * *room + more;
  memcpy(&old, array, sizeof old);
  void *grown = n > SIZE_MAX / 2 / size ? NULL : realloc(old, n * size);
  if (!grown) {
    t->lost = true;
    return false;
  }
  memcpy(array, &grown, sizeof grown);
  *room = n;
  return true;
}

// ---- a launch -------------------------------------------------------------------------------------------------------

static TetcRow unit_row(VtaUnit u) { return u == UNIT_LOAD ? ROW_LOAD : u == UNIT_COMPUTE ? ROW_COMPUTE : ROW_STORE; }

// The engine that an instruction of the load unit uses; the compute unit says which it chose.
static TetcRow load_engine(const VtaInsn *i) {
  if (i->x_size == 0) return ROW_LOAD;
  return i->memory == MEM_WGT ? ROW_WGT : ROW_INP;
}

// Whether compute has an engine do something for it.
static bool has_work(const VtaInsn *i) {
  if (i->opcode == OPC_LOAD) return i->x_size != 0;
  if (i->opcode == OPC_FINISH) return false;
  return i->uop_end > i->uop_begin && i->iter_out && i->iter_in;
}

static bool units_init(TetcTimeline *t, size_t n) {
  TimelineState *s = t->state;
  s->next = malloc((n + 1) * sizeof *s->next);
  bool ok = s->next != NULL;
  for (int u = UNIT_LOAD; u <= UNIT_STORE; u++) {
    s->units[u].list = malloc((n + 1) * sizeof *s->units[u].list);
    ok = ok && s->units[u].list;
  }
  for (int e = 0; e < ROW_COUNT; e++) s->engines[e] = (Engine){NONE, NONE, NONE, 0};
  for (int k = 0; k < WINDOW; k++) s->window[k] = NONE;
  if (!ok) t->lost = true;
  return ok;
}

static bool marks_init(TetcTimeline *t, const uint32_t *marks, size_t n) {
  size_t most = 0, room = t->nmarks;
  for (size_t k = 0; marks && k < n; k++) most = marks[k] > most ? marks[k] : most;
  if (most < t->nmarks) return true;
  if (!reserve(t, &t->waits, &room, t->nmarks, most + 1 - t->nmarks, sizeof *t->waits)) return false;
  memset(t->waits + t->nmarks, 0, (room - t->nmarks) * sizeof *t->waits);
  t->nmarks = room;
  return true;
}

void tetc_timeline_launch(TetcTimeline *t, const VtaConfig *c, const VtaWord *insns, const uint32_t *marks, size_t n) {
  TimelineState *s = t->state;
  forget_launch(s);
  if (!t->keep) t->nspans = t->npauses = 0;
  s->first = t->nspans;
  s->n = s->fetched = 0;
  s->running = false;
  if (t->lost || !units_init(t, n) || !marks_init(t, marks, n)) return;
  if (!reserve(t, &t->spans, &s->span_room, t->nspans, n, sizeof *t->spans)) return;
  if (!reserve(t, &t->launches, &s->launch_room, t->nlaunches, 1, sizeof *t->launches)) return;
  for (size_t k = 0; k < n; k++) {
    VtaInsn i;
    if (!vta_decode(c, insns[k], &i)) return; // the device refuses it too
    VtaUnit u = vta_unit(&i);
    TetcSpan *p = &t->spans[s->first + k];
    memset(p, 0, sizeof *p);
    p->word = insns[k];
    p->mark = marks ? marks[k] : 0;
    p->index = (uint32_t)k;
    p->launch = (uint32_t)t->nlaunches;
    p->unit = (uint8_t)unit_row(u);
    p->engine = u == UNIT_LOAD ? (uint8_t)load_engine(&i) : p->unit;
    p->fetched = p->seen = p->started = p->taken = p->work = p->done = p->retired = TETC_NEVER;
    s->units[u].list[s->units[u].count++] = (uint32_t)k;
    if (u == UNIT_COMPUTE && has_work(&i)) p->engine = ROW_COUNT; // not known yet
  }
  t->launches[t->nlaunches++] = t->cycles;
  t->nspans += n;
  s->n = n;
}

// ---- events ---------------------------------------------------------------------------------------------------------

static bool has(uint64_t word, TetcSignal s) { return word >> s & 1; }

static TetcSpan *span_of(TetcTimeline *t, uint32_t k) { return k == NONE ? NULL : &t->spans[t->state->first + k]; }

// The instruction that the unit takes next; NULL: none is left.
static TetcSpan *head(TetcTimeline *t, VtaUnit u) {
  const UnitQueue *q = &t->state->units[u];
  return q->taken < q->count ? span_of(t, q->list[q->taken]) : NULL;
}

// The oldest instruction of compute that has not started; NULL: none is left.
static TetcSpan *oldest_waiting(TetcTimeline *t) {
  UnitQueue *q = &t->state->units[UNIT_COMPUTE];
  while (q->started < q->count && span_of(t, q->list[q->started])->started != TETC_NEVER) q->started++;
  return q->started < q->count ? span_of(t, q->list[q->started]) : NULL;
}

static void engine_start(TetcTimeline *t, TetcSpan *p, TetcRow row) {
  Engine *e = &t->state->engines[row];
  p->engine = (uint8_t)row;
  t->state->next[p->index] = NONE;
  if (e->oldest == NONE) e->oldest = p->index;
  else t->state->next[e->newest] = p->index;
  e->newest = p->index;
  if (e->waiting == NONE) e->waiting = p->index;
}

// The next instruction's work begins.
static void engine_work(TetcTimeline *t, TetcRow row, uint32_t at) {
  Engine *e = &t->state->engines[row];
  TetcSpan *p = span_of(t, e->waiting);
  if (!p) return;
  p->work = at;
  e->waiting = t->state->next[p->index];
}

static void engine_done(TetcTimeline *t, TetcRow row, uint32_t at) {
  Engine *e = &t->state->engines[row];
  TetcSpan *p = span_of(t, e->oldest);
  if (!p || p->work == TETC_NEVER) return;
  if (p->work < e->free) p->work = e->free;
  p->done = at;
  e->free = at + 1;
  e->oldest = t->state->next[p->index];
}

// A unit's queue in this cycle: its head shown, started (but for compute), taken.
static void unit_events(TetcTimeline *t, VtaUnit u, uint32_t at, bool valid, bool start, bool taken) {
  TimelineState *s = t->state;
  TetcSpan *p = head(t, u);
  if (!p) return;
  if (valid && p->seen == TETC_NEVER) p->seen = at;
  if (start) p->started = at;
  if (taken) {
    p->taken = at;
    s->units[u].taken++;
    if (u == UNIT_COMPUTE) s->window[s->slot++ % WINDOW] = p->index;
  }
}

static void unit_retires(TetcTimeline *t, VtaUnit u, uint32_t at) {
  UnitQueue *q = &t->state->units[u];
  if (q->retired < q->count) span_of(t, q->list[q->retired++])->retired = at;
}

// Load engines and resets begin at once, GEMM and ALU when they say so.
static void starts(TetcTimeline *t, uint64_t w, uint32_t at) {
  TetcSpan *load = has(w, SIGNAL_LOAD_START) ? head(t, UNIT_LOAD) : NULL;
  if (load && load->engine != ROW_LOAD) {
    engine_start(t, load, (TetcRow)load->engine);
    engine_work(t, (TetcRow)load->engine, at);
  }
  if (!has(w, SIGNAL_COMPUTE_START)) return;
  TetcSpan *compute = span_of(t, t->state->window[w >> SIGNAL_COMPUTE_SLOT & (WINDOW - 1)]);
  if (!compute) return;
  compute->started = at;
  if (compute->engine == ROW_COMPUTE) return;
  TetcRow row = (TetcRow)(ROW_UOP + (w >> SIGNAL_COMPUTE_ENGINE & 7));
  engine_start(t, compute, row);
  if (row == ROW_UOP || row == ROW_ACC || row == ROW_RESET) engine_work(t, row, at);
}

// Everything that happens in one cycle.
static void events(TetcTimeline *t, uint64_t w, uint32_t at) {
  TimelineState *s = t->state;
  if (has(w, SIGNAL_FETCHED) && s->fetched < s->n) t->spans[s->first + s->fetched++].fetched = at;
  starts(t, w, at);
  unit_events(t, UNIT_LOAD, at, has(w, SIGNAL_LOAD_VALID), has(w, SIGNAL_LOAD_START), has(w, SIGNAL_LOAD_TAKEN));
  unit_events(t, UNIT_COMPUTE, at, has(w, SIGNAL_COMPUTE_VALID), false, has(w, SIGNAL_COMPUTE_TAKEN));
  unit_events(t, UNIT_STORE, at, has(w, SIGNAL_STORE_VALID), has(w, SIGNAL_STORE_START), has(w, SIGNAL_STORE_RETIRE));
  if (has(w, SIGNAL_GEMM_START)) engine_work(t, ROW_GEMM, at);
  if (has(w, SIGNAL_ALU_START)) engine_work(t, ROW_ALU, at);
  if (has(w, SIGNAL_INP_DONE)) engine_done(t, ROW_INP, at);
  if (has(w, SIGNAL_WGT_DONE)) engine_done(t, ROW_WGT, at);
  if (has(w, SIGNAL_UOP_DONE)) engine_done(t, ROW_UOP, at);
  if (has(w, SIGNAL_ACC_DONE)) engine_done(t, ROW_ACC, at);
  if (has(w, SIGNAL_GEMM_DONE)) engine_done(t, ROW_GEMM, at);
  if (has(w, SIGNAL_ALU_DONE)) engine_done(t, ROW_ALU, at);
  if (has(w, SIGNAL_RESET_DONE)) engine_done(t, ROW_RESET, at);
  if (has(w, SIGNAL_LOAD_RETIRE)) unit_retires(t, UNIT_LOAD, at);
  if (has(w, SIGNAL_COMPUTE_RETIRE)) unit_retires(t, UNIT_COMPUTE, at);
  if (has(w, SIGNAL_STORE_RETIRE)) unit_retires(t, UNIT_STORE, at);
}

// Signals that say that something happens, once for each cycle in which they are high.
static const uint64_t pulses =
    1ull << SIGNAL_FETCHED | 1ull << SIGNAL_LOAD_START | 1ull << SIGNAL_LOAD_TAKEN | 1ull << SIGNAL_LOAD_RETIRE |
    1ull << SIGNAL_INP_DONE | 1ull << SIGNAL_WGT_DONE | 1ull << SIGNAL_COMPUTE_START | 1ull << SIGNAL_COMPUTE_TAKEN |
    1ull << SIGNAL_COMPUTE_RETIRE | 1ull << SIGNAL_UOP_DONE | 1ull << SIGNAL_ACC_DONE | 1ull << SIGNAL_GEMM_START |
    1ull << SIGNAL_GEMM_DONE | 1ull << SIGNAL_ALU_START | 1ull << SIGNAL_ALU_DONE | 1ull << SIGNAL_RESET_DONE |
    1ull << SIGNAL_STORE_START | 1ull << SIGNAL_STORE_RETIRE;

// ---- waiting --------------------------------------------------------------------------------------------------------

// A stretch of cycles in which the signals were the same.
typedef struct Stretch {
  uint64_t word;
  uint32_t begin, end;
  const TetcSpan *blamed; // the one for whose wait neither GEMM nor ALU does a step; NULL: one does, or nobody waits
  TetcWait reason;
} Stretch;

static void wait_add(TetcSpan *p, TetcWait wait, const Stretch *r) {
  if (!p) return;
  p->waits[wait] += r->end - r->begin;
  if (p == r->blamed && wait == r->reason) p->idle[wait] += r->end - r->begin;
}

// The same, noted as a time of its own; one that goes on is prolonged.
static void pause_add(TetcTimeline *t, VtaUnit u, TetcSpan *p, TetcSignal signal, TetcWait wait, const Stretch *r) {
  size_t *open = &t->state->units[u].pause;
  if (!has(r->word, signal)) return;
  wait_add(p, wait, r);
  if (!p || !t->keep) return;
  uint32_t k = (uint32_t)(t->state->first + p->index);
  TetcPause *last = *open < t->npauses ? &t->pauses[*open] : NULL;
  if (last && last->span == k && last->wait == wait && last->end == r->begin) {
    last->end = r->end;
    return;
  }
  if (!reserve(t, &t->pauses, &t->state->pause_room, t->npauses, 1, sizeof *t->pauses)) return;
  *open = t->npauses;
  t->pauses[t->npauses++] = (TetcPause){k, (uint8_t)wait, r->begin, r->end};
}

// An engine's oldest instruction has no data: from memory, or because the bus is busy.
static void starve(TetcTimeline *t, TetcRow row, TetcSignal starved, TetcSignal memory, const Stretch *r) {
  if (has(r->word, starved))
    wait_add(span_of(t, t->state->engines[row].oldest), has(r->word, memory) ? WAIT_MEMORY : WAIT_BUS, r);
}

// Why arithmetic stands: what compute's oldest instruction waits for, or, where that is a token of a unit that itself
// waits for memory or bus, that. NULL: nobody waits, things start or drain.
static const TetcSpan *blame(TetcTimeline *t, uint64_t w, TetcWait *reason) {
  const Engine *e = t->state->engines;
  bool prev = has(w, SIGNAL_COMPUTE_PREV), next = has(w, SIGNAL_COMPUTE_NEXT), older = has(w, SIGNAL_COMPUTE_HAZARD);
  *reason = WAIT_BANK;
  if (has(w, SIGNAL_ALU_BANK)) return span_of(t, e[ROW_ALU].oldest);
  *reason = has(w, SIGNAL_COMPUTE_MEMORY) ? WAIT_MEMORY : WAIT_BUS;
  if (!prev && !next && has(w, SIGNAL_UOP_STARVED)) return span_of(t, e[ROW_UOP].oldest);
  if (!prev && !next && has(w, SIGNAL_ACC_STARVED)) return span_of(t, e[ROW_ACC].oldest);
  *reason = has(w, SIGNAL_LOAD_MEMORY) ? WAIT_MEMORY : WAIT_BUS;
  uint32_t inp = has(w, SIGNAL_INP_STARVED) ? e[ROW_INP].oldest : NONE;
  uint32_t wgt = has(w, SIGNAL_WGT_STARVED) ? e[ROW_WGT].oldest : NONE;
  if (prev && (inp != NONE || wgt != NONE)) return span_of(t, inp < wgt ? inp : wgt);
  *reason = has(w, SIGNAL_STORE_MEMORY) ? WAIT_MEMORY : WAIT_BUS;
  if (next && (has(w, SIGNAL_STORE_MEMORY) || has(w, SIGNAL_STORE_BUS))) return head(t, UNIT_STORE);
  *reason = prev ? WAIT_PREV : next ? WAIT_NEXT : older ? WAIT_OLDER : WAIT_FETCH;
  if (prev || next || older) return oldest_waiting(t);
  return has(w, SIGNAL_COMPUTE_FETCH) ? head(t, UNIT_COMPUTE) : NULL;
}

static void waits(TetcTimeline *t, const Stretch *r) {
  TetcSpan *store = head(t, UNIT_STORE), *compute = oldest_waiting(t);
  pause_add(t, UNIT_LOAD, head(t, UNIT_LOAD), SIGNAL_LOAD_TOKEN, WAIT_NEXT, r);
  pause_add(t, UNIT_COMPUTE, compute, SIGNAL_COMPUTE_PREV, WAIT_PREV, r);
  pause_add(t, UNIT_COMPUTE, compute, SIGNAL_COMPUTE_NEXT, WAIT_NEXT, r);
  pause_add(t, UNIT_COMPUTE, compute, SIGNAL_COMPUTE_HAZARD, WAIT_OLDER, r);
  pause_add(t, UNIT_STORE, store, SIGNAL_STORE_TOKEN, WAIT_PREV, r);
  if (has(r->word, SIGNAL_COMPUTE_FETCH)) wait_add(head(t, UNIT_COMPUTE), WAIT_FETCH, r);
  if (has(r->word, SIGNAL_ALU_BANK)) wait_add(span_of(t, t->state->engines[ROW_ALU].oldest), WAIT_BANK, r);
  starve(t, ROW_INP, SIGNAL_INP_STARVED, SIGNAL_LOAD_MEMORY, r);
  starve(t, ROW_WGT, SIGNAL_WGT_STARVED, SIGNAL_LOAD_MEMORY, r);
  starve(t, ROW_UOP, SIGNAL_UOP_STARVED, SIGNAL_COMPUTE_MEMORY, r);
  starve(t, ROW_ACC, SIGNAL_ACC_STARVED, SIGNAL_COMPUTE_MEMORY, r);
  if (has(r->word, SIGNAL_STORE_MEMORY)) wait_add(store, WAIT_MEMORY, r);
  if (has(r->word, SIGNAL_STORE_BUS)) wait_add(store, WAIT_BUS, r);
}

// ---- time -----------------------------------------------------------------------------------------------------------

// The signals were t->state->word from `since` to now.
static void advance(TetcTimeline *t, uint64_t now) {
  TimelineState *s = t->state;
  uint64_t w = s->word, n = now - s->since;
  bool gemm = has(w, SIGNAL_GEMM_STEPS), alu = has(w, SIGNAL_ALU_STEPS);
  uint32_t at = (uint32_t)(s->since - s->start);
  s->since = now;
  if (!has(w, SIGNAL_RUNNING) || t->lost) return;
  t->cycles += n;
  *(gemm ? &t->gemm : alu ? &t->alu : &t->neither) += n;
  uint32_t step = w & pulses ? 1 : (uint32_t)n; // what happens moves the heads on, cycle by cycle
  for (uint32_t end = at + (uint32_t)n; at < end; at += step) {
    Stretch r = {.word = w, .begin = at, .end = at + step};
    if (!gemm && !alu) r.blamed = blame(t, w, &r.reason);
    waits(t, &r);
    events(t, w, at);
  }
}

void tetc_timeline_see(TetcTimeline *t, uint64_t now, uint64_t word) {
  TimelineState *s = t->state;
  if (s->running) advance(t, now);
  else if (has(word, SIGNAL_RUNNING)) {
    s->running = true;
    s->start = s->since = now;
  }
  s->word = word;
}

bool tetc_timeline_at(TetcTimeline *t, uint64_t now, TetcRow row, size_t *insn) {
  TimelineState *s = t->state;
  if (t->lost || !s->n) return false;
  if (s->running) advance(t, now);
  VtaUnit u = row == ROW_LOAD ? UNIT_LOAD : row == ROW_STORE ? UNIT_STORE : UNIT_COMPUTE;
  const UnitQueue *q = &s->units[u];
  bool is_unit = row == ROW_LOAD || row == ROW_COMPUTE || row == ROW_WINDOW || row == ROW_STORE;
  size_t first = row == ROW_COMPUTE ? q->taken : q->retired;
  uint32_t k = !is_unit ? s->engines[row].oldest : first < q->count ? q->list[first] : NONE;
  *insn = k;
  return k != NONE;
}

void tetc_timeline_end(TetcTimeline *t, uint64_t now) {
  TimelineState *s = t->state;
  if (s->running) advance(t, now);
  s->running = false;
  for (size_t k = 0; k < s->n; k++) {
    const TetcSpan *p = &t->spans[s->first + k];
    VtaUnit u = p->unit == ROW_LOAD ? UNIT_LOAD : p->unit == ROW_STORE ? UNIT_STORE : UNIT_COMPUTE;
    for (int w = 0; w < WAIT_COUNT && p->mark < t->nmarks; w++) {
      t->waits[p->mark].cycles[u][w] += p->waits[w];
      t->waits[p->mark].idle[u][w] += p->idle[w];
    }
  }
  s->n = 0;
}

void tetc_timeline_reset(TetcTimeline *t) { t->state->slot = 0; }

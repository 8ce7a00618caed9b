// SPDX-License-Identifier: Apache-2.0
// What a device with cycles saw, for people: the lines of the source at which it waited (--stats), and a timeline in
// the Chrome trace event format (--trace), in which a microsecond is a cycle.
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>

typedef unsigned long long Count;

// ---- the source -----------------------------------------------------------------------------------------------------

static Loc mark_loc(const LlvmMarks *m, uint32_t mark) {
  return mark && mark <= m->stmts.len ? m->stmts.data[mark - 1]->loc : (Loc){0};
}

// The line's text without indentation, at most `width` characters of it.
static const char *line_text(Arena *a, Loc at, int width) {
  const char *p = at.src->text + at.src->line_start[at.line - 1];
  Text t = {.arena = a};
  p += strspn(p, " \t");
  text_add(&t, "%s", "");
  for (; *p && *p != '\n' && *p != '\r'; p++) {
    if ((*p & 0xc0) != 0x80 && width-- <= 0) break; // a character begins here
    text_add_bytes(&t, (unsigned char)*p < 32 ? " " : p, 1);
  }
  return t.data;
}

// "conv.te:26"
static const char *place_text(Arena *a, Loc at) {
  return loc_known(at) ? arena_printf(a, "%s:%u", path_base(at.src->path), at.line) : "-";
}

static const char *unit_name(VtaUnit u) {
  switch (u) {
  case UNIT_LOAD: return "load";
  case UNIT_COMPUTE: return "compute";
  case UNIT_STORE: return "store";
  }
  return "";
}

static const char *wait_name(VtaUnit u, TetcWait wait) {
  switch (wait) {
  case WAIT_FETCH: return "an instruction";
  case WAIT_PREV: return u == UNIT_COMPUTE ? "a token of load" : "compute";
  case WAIT_NEXT: return u == UNIT_COMPUTE ? "a token of store" : "a token of compute";
  case WAIT_OLDER: return "an older instruction";
  case WAIT_BANK: return "a bank of ACC";
  case WAIT_MEMORY: return "memory";
  case WAIT_BUS: return "the bus";
  case WAIT_COUNT: break;
  }
  return "";
}

// ---- where it waits -------------------------------------------------------------------------------------------------

typedef struct Stall {
  Loc at;
  VtaUnit unit;
  TetcWait wait;
  uint64_t cycles, idle;
} Stall;

typedef VEC(Stall) Stalls;

static void stall_add(Arena *a, Stalls *list, Stall s) {
  for (size_t i = 0; i < list->len; i++) {
    Stall *o = &list->data[i];
    if (o->at.src != s.at.src || o->at.line != s.at.line || o->unit != s.unit || o->wait != s.wait) continue;
    o->cycles += s.cycles;
    o->idle += s.idle;
    return;
  }
  VEC_PUSH(a, *list, s);
}

// Most idle cycles first, then most cycles, then by place.
static int stall_order(const void *x, const void *y) {
  const Stall *a = x, *b = y;
  if (a->idle != b->idle) return a->idle < b->idle ? 1 : -1;
  if (a->cycles != b->cycles) return a->cycles < b->cycles ? 1 : -1;
  if (a->at.line != b->at.line) return a->at.line > b->at.line ? 1 : -1;
  if (a->unit != b->unit) return a->unit > b->unit ? 1 : -1;
  return (a->wait > b->wait) - (a->wait < b->wait);
}

void timeline_stalls(const TetcTimeline *t, const LlvmMarks *marks, Text *out) {
  enum { MOST = 12, WIDTH = 48 };
  Stalls list = {0};
  double all = t->cycles ? (double)t->cycles : 1;
  for (uint32_t m = 0; m < t->nmarks; m++)
    for (int u = UNIT_LOAD; u <= UNIT_STORE; u++)
      for (int w = 0; w < WAIT_COUNT; w++)
        if (t->waits[m].cycles[u][w])
          stall_add(
              out->arena, &list,
              (Stall){mark_loc(marks, m), (VtaUnit)u, (TetcWait)w, t->waits[m].cycles[u][w], t->waits[m].idle[u][w]});
  text_add(out, "stats: gemm works in %.1f %% of the cycles, alu alone in %.1f %%, neither in %.1f %%\n",
           100 * (double)t->gemm / all, 100 * (double)t->alu / all, 100 * (double)t->neither / all);
  if (!list.len) return;
  qsort(list.data, list.len, sizeof *list.data, stall_order);
  text_add(out,
           "stats: cycles that units wait, by line; idle: in which that is why neither gemm nor alu works\n"
           "stats: %10s %10s  %-29s %s\n",
           "idle", "cycles", "what waits for what", "line");
  for (size_t i = 0; i < list.len && i < MOST; i++) {
    const Stall *s = &list.data[i];
    text_add(out, "stats: %10llu %10llu  %-7s %-21s %s  %s\n", (Count)s->idle, (Count)s->cycles, unit_name(s->unit),
             wait_name(s->unit, s->wait), place_text(out->arena, s->at),
             loc_known(s->at) ? line_text(out->arena, s->at, WIDTH) : "");
  }
}

// ---- the timeline ---------------------------------------------------------------------------------------------------

typedef struct Writer {
  const TetcTimeline *t;
  const VtaConfig *config;
  const LlvmMarks *marks;
  Text *out;
  const char *separator;
  uint32_t *begin; // of each span in its unit's row
  Count flows;
} Writer;

// A half-open time of a span's launch; absent where the run ended before.
typedef struct Slice {
  bool there, whole;
  uint32_t begin, end;
} Slice;

static VtaUnit span_unit(const TetcSpan *p) {
  return p->unit == ROW_LOAD ? UNIT_LOAD : p->unit == ROW_STORE ? UNIT_STORE : UNIT_COMPUTE;
}

static Count launch_end(const Writer *w, uint32_t launch) {
  return launch + 1 < w->t->nlaunches ? w->t->launches[launch + 1] : w->t->cycles;
}

// From `begin` to `last` (inclusive), or to the end of a run that stopped before.
static Slice slice_of(const Writer *w, const TetcSpan *p, uint32_t begin, uint32_t last) {
  Slice s = {begin != TETC_NEVER, last != TETC_NEVER, begin, last + 1};
  if (!s.whole) s.end = (uint32_t)(launch_end(w, p->launch) - w->t->launches[p->launch]);
  s.there = s.there && s.begin < s.end; // else it was still to begin
  return s;
}

static Slice unit_slice(const Writer *w, size_t k) {
  const TetcSpan *p = &w->t->spans[k];
  return slice_of(w, p, w->begin[k], p->unit == ROW_STORE ? p->retired : p->taken);
}

// The row in which an instruction starts: that is where tokens are taken. Compute starts one a cycle.
static int start_row(const TetcSpan *p) { return p->unit == ROW_COMPUTE ? ROW_WINDOW : p->unit; }

static Slice start_slice(const Writer *w, size_t k) {
  const TetcSpan *p = &w->t->spans[k];
  return p->unit == ROW_COMPUTE ? slice_of(w, p, p->started, p->started) : unit_slice(w, k);
}

static bool has_engine(const TetcSpan *p) { return p->engine != p->unit && p->engine < ROW_COUNT; }

// Where the instruction does what it is for.
static Slice main_slice(const Writer *w, size_t k) {
  const TetcSpan *p = &w->t->spans[k];
  return has_engine(p) ? slice_of(w, p, p->work, p->done) : start_slice(w, k);
}

static void event_begin(Writer *w, const char *phase, int row, Count at) {
  text_add(w->out, "%s{\"ph\":\"%s\",\"pid\":1,\"tid\":%d,\"ts\":%llu", w->separator, phase, row + 1, at);
  w->separator = ",\n";
}

static void field(Writer *w, const char *name, const char *text) {
  text_add(w->out, ",\"%s\":", name);
  text_add_json(w->out, text);
}

static void count_field(Writer *w, const char *name, Count n) { text_add(w->out, ",\"%s\":%llu", name, n); }

// What an instruction does, in numbers.
static void work_fields(Writer *w, const VtaInsn *i, const TetcSpan *p) {
  if (i->opcode == OPC_FINISH) return;
  if (i->opcode == OPC_LOAD || i->opcode == OPC_STORE) {
    if (i->x_size) count_field(w, "bytes", (Count)i->x_size * i->y_size * (Count)vta_elem_bytes(w->config, i->memory));
    return;
  }
  Count uops = i->uop_end > i->uop_begin ? i->uop_end - i->uop_begin : 0, steps = uops * i->iter_out * i->iter_in;
  const VtaConfig *c = w->config;
  count_field(w, "micro-ops", steps);
  if (i->opcode == OPC_GEMM && !i->reset)
    count_field(w, "multiply-accumulates", steps << (c->log_batch + c->log_block_in + c->log_block_out));
  // Consecutive ALU instructions may share a pass; its cycles are the first one's.
  if (p->engine == ROW_ALU && p->done != TETC_NEVER && p->done - p->work + 1 < steps)
    text_add(w->out, ",\"shares the pass before\":true");
}

// The arguments of a slice: the instruction, where it comes from, what it does, where its time went.
static void insn_args(Writer *w, const TetcSpan *p) {
  char text[200];
  VtaInsn i;
  Loc at = mark_loc(w->marks, p->mark);
  vta_decode(w->config, p->word, &i);
  vta_disassemble(w->config, &i, text, sizeof text);
  text_add(w->out, ",\"args\":{\"instruction\":");
  text_add_json(w->out, text);
  count_field(w, "number", p->index);
  count_field(w, "launch", p->launch);
  field(w, "line", place_text(w->out->arena, at));
  if (loc_known(at)) field(w, "source", line_text(w->out->arena, at, 100));
  work_fields(w, &i, p);
  for (int k = 0; k < WAIT_COUNT; k++)
    if (p->waits[k])
      count_field(w, arena_printf(w->out->arena, "waits for %s", wait_name(span_unit(p), (TetcWait)k)), p->waits[k]);
  text_add(w->out, "}}");
}

static void put_slice(Writer *w, const TetcSpan *p, int row, const char *category, Slice s) {
  char text[200];
  VtaInsn i;
  if (!s.there) return;
  vta_decode(w->config, p->word, &i);
  vta_disassemble(w->config, &i, text, sizeof text);
  event_begin(w, "X", row, w->t->launches[p->launch] + s.begin);
  count_field(w, "dur", s.end - s.begin);
  field(w, "cat", category);
  field(w, "name",
        arena_printf(w->out->arena, "%.*s%s", (int)strcspn(text, " "), text, s.whole ? "" : " (unfinished)"));
  insn_args(w, p);
}

static void put_pause(Writer *w, const TetcPause *q) {
  const TetcSpan *p = &w->t->spans[q->span];
  event_begin(w, "X", start_row(p), w->t->launches[p->launch] + q->begin);
  count_field(w, "dur", q->end - q->begin);
  field(w, "cat", "wait");
  field(w, "name", arena_printf(w->out->arena, "waits for %s", wait_name(span_unit(p), (TetcWait)q->wait)));
  insn_args(w, p);
}

// One end of a token's arrow, in the slice of the instruction that gives or takes it.
static void put_flow(Writer *w, const char *phase, const char *name, const TetcSpan *p, int row, uint32_t at) {
  event_begin(w, phase, row, w->t->launches[p->launch] + at);
  text_add(w->out, ",\"id\":%llu,\"cat\":\"token\",\"name\":\"%s\"%s}", w->flows, name,
           *phase == 'f' ? ",\"bp\":\"e\"" : "");
}

// A channel: who gives, who takes; which flags of an instruction say so.
typedef struct Channel {
  uint8_t from, to; // TetcRow
  const char *name;
} Channel;

// Compute gives to store before the instruction retires.
static bool gives(const Writer *w, size_t k, const Channel *c) {
  const TetcSpan *p = &w->t->spans[k];
  VtaInsn i;
  vta_decode(w->config, p->word, &i);
  return p->unit == c->from && main_slice(w, k).whole && (c->from < c->to ? i.push_next : i.push_prev);
}

static bool takes(const Writer *w, const TetcSpan *p, const Channel *c) {
  VtaInsn i;
  vta_decode(w->config, p->word, &i);
  return p->unit == c->to && p->started != TETC_NEVER && (c->from < c->to ? i.pop_prev : i.pop_next);
}

// The tokens of one channel in the launch of spans first to end: the n-th given is the n-th taken.
static void put_tokens(Writer *w, const Channel *c, size_t first, size_t end) {
  size_t giver = first;
  for (size_t k = first; k < end; k++) {
    const TetcSpan *taker = &w->t->spans[k];
    if (!takes(w, taker, c)) continue;
    while (giver < end && !gives(w, giver, c)) giver++;
    if (giver == end) return;
    const TetcSpan *p = &w->t->spans[giver];
    put_flow(w, "s", c->name, p, has_engine(p) ? p->engine : start_row(p), main_slice(w, giver).end - 1);
    put_flow(w, "f", c->name, taker, start_row(taker), taker->started);
    w->flows++;
    giver++;
  }
}

static void put_launch_tokens(Writer *w) {
  static const Channel channels[] = {{ROW_LOAD, ROW_COMPUTE, "load to compute"},
                                     {ROW_COMPUTE, ROW_LOAD, "compute to load"},
                                     {ROW_COMPUTE, ROW_STORE, "compute to store"},
                                     {ROW_STORE, ROW_COMPUTE, "store to compute"}};
  for (size_t first = 0, end; first < w->t->nspans; first = end) {
    for (end = first; end < w->t->nspans && w->t->spans[end].launch == w->t->spans[first].launch; end++) {
    }
    for (int c = 0; c < 4; c++) put_tokens(w, &channels[c], first, end);
  }
}

static void put_rows(Writer *w, const char *kernel) {
  static const char *const names[ROW_COUNT] = {"fetch",
                                               "load",
                                               "load: INP",
                                               "load: WGT",
                                               "compute",
                                               "compute: start",
                                               "compute: micro-op load",
                                               "compute: ACC load",
                                               "compute: GEMM",
                                               "compute: ALU",
                                               "compute: reset",
                                               "store"};
  event_begin(w, "M", -1, 0);
  text_add(w->out, ",\"name\":\"process_name\",\"args\":{\"name\":");
  text_add_json(w->out, arena_printf(w->out->arena, "%s, 1 us = 1 cycle", kernel));
  text_add(w->out, "}}");
  for (int row = 0; row < ROW_COUNT; row++) {
    event_begin(w, "M", row, 0);
    text_add(w->out, ",\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}}", names[row]);
    event_begin(w, "M", row, 0);
    text_add(w->out, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%d}}", row);
  }
}

// Where each span begins in its unit's row: of load and store, behind the wait that it starts with, which is a slice of
// its own.
static void find_begins(Writer *w) {
  const TetcTimeline *t = w->t;
  w->begin = NEW_ARRAY(w->out->arena, uint32_t, t->nspans + 1);
  for (size_t k = 0; k < t->nspans; k++) w->begin[k] = t->spans[k].seen;
  for (size_t k = 0; k < t->npauses; k++) {
    const TetcPause *q = &t->pauses[k];
    if (t->spans[q->span].unit != ROW_COMPUTE && w->begin[q->span] == q->begin) w->begin[q->span] = q->end;
  }
}

void timeline_json(const TetcTimeline *t, const VtaConfig *config, const LlvmMarks *marks, const char *kernel,
                   Text *out) {
  Writer w = {.t = t, .config = config, .marks = marks, .out = out, .separator = "\n", .flows = 1};
  find_begins(&w);
  text_add(out,
           "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"time\":\"1 us is 1 cycle\",\"cycles\":%llu},\"traceEvents\":[",
           (Count)t->cycles);
  put_rows(&w, kernel);
  for (size_t k = 0; k < t->nspans; k++) {
    const TetcSpan *p = &t->spans[k];
    put_slice(&w, p, ROW_FETCH, "fetch", slice_of(&w, p, p->fetched, p->fetched));
    put_slice(&w, p, p->unit, "instruction", unit_slice(&w, k));
    if (p->unit == ROW_COMPUTE) put_slice(&w, p, ROW_WINDOW, "start", start_slice(&w, k));
    if (has_engine(p)) put_slice(&w, p, p->engine, "work", main_slice(&w, k));
  }
  for (size_t k = 0; k < t->npauses; k++) put_pause(&w, &t->pauses[k]);
  put_launch_tokens(&w);
  text_add(out, "\n]}\n");
}

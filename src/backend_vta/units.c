// SPDX-License-Identifier: Apache-2.0
// The three units of the interpreter's machine. Each has a stream of operations, in the order in which the host issued
// them, and executes it in that order; a pop waits until the unit at the other end has executed a push. Which unit goes
// on when several could is what a VtaOrder says: a program whose tokens are right gives the same result in all of them.
// When the host waits and no unit can go on though there is work left, that is a deadlock.
#include "backend_vta/internal.h"

#include <inttypes.h>
#include <string.h>

// What an operation is made of: a header, the arguments' values, the extra bytes.
typedef union Word {
  int64_t number;
  const void *pointer;
} Word;
enum { OP_STMT, OP_ARGS, OP_SERIAL, OP_TOKEN, OP_WORDS, OP_HEAD };
enum { NO_TOKEN = 0, TOKEN_PUSH = 1, TOKEN_POP = 2 }; // OP_TOKEN: one of them + 4 * the other unit

typedef struct Stream {
  VEC(Word) words;
  size_t head;
  int64_t count; // operations
} Stream;

struct Units {
  Ctx *cx;
  VtaOrder order;
  UnitExec *exec;
  void *self;
  Stream streams[4];    // by VtaUnit
  int64_t tokens[4][4]; // [from][to]
  int64_t serial;
  size_t waiting, soft; // words in all streams; so many, and the units work though the host does not wait
  VEC(TirArg) args;     // of the operation that is executed
};

// A stream is bounded, like hardware's: at the first limit units work on their own, at the last the host cannot go on.
static const size_t words_soft = (size_t)1 << 20, words_hard = (size_t)1 << 23;

static const char *unit_name(int64_t unit) { return vta_unit_name((VtaUnit)unit); }

Units *units_new(Ctx *cx, VtaOrder order, UnitExec *exec, void *self) {
  Units *u = NEW(cx->arena, Units);
  u->cx = cx;
  u->order = order;
  u->exec = exec;
  u->self = self;
  u->soft = words_soft;
  return u;
}

static const Word *head_of(const Stream *s) { return &s->words.data[s->head]; }

// Whether a token operation can be executed now.
static bool token_ready(const Units *u, int unit, int64_t token) {
  return (token & 3) != TOKEN_POP || u->tokens[token >> 2][unit] > 0;
}

static bool stream_ready(const Units *u, int unit) {
  const Stream *s = &u->streams[unit];
  return s->count && token_ready(u, unit, head_of(s)[OP_TOKEN].number);
}

// Takes or gives the token of an operation that is ready.
static void move_token(Units *u, int unit, int64_t token) {
  if ((token & 3) == TOKEN_PUSH) u->tokens[unit][token >> 2]++;
  else u->tokens[token >> 2][unit]--;
}

static bool exec_now(Units *u, const Stmt *s, const TirArg *args, const void *extra, TirFault *fault) {
  if (u->exec(u->self, s, args, extra, &fault->text)) return true;
  fault->at = s;
  return false;
}

// Executes the first operation of a stream, which is ready.
static bool step(Units *u, int unit, TirFault *fault) {
  Stream *s = &u->streams[unit];
  const Word *w = head_of(s);
  const Stmt *stmt = w[OP_STMT].pointer;
  const TirArg *args = w[OP_ARGS].pointer;
  bool ok = true;
  if (w[OP_TOKEN].number) move_token(u, unit, w[OP_TOKEN].number);
  else {
    u->args.len = 0;
    for (int i = 0; i < stmt->nargs; i++) {
      TirArg a = args[i];
      a.value = w[OP_HEAD + i].number;
      VEC_PUSH(u->cx->arena, u->args, a);
    }
    ok = exec_now(u, stmt, u->args.data, w + OP_HEAD + stmt->nargs, fault);
  }
  size_t n = (size_t)w[OP_WORDS].number;
  s->head += n;
  s->count--;
  u->waiting -= n;
  if (!s->count) s->head = s->words.len = 0;
  return ok;
}

// The unit that goes on; 0: none can.
static int choose(const Units *u) {
  static const int ahead[VTA_ORDER_COUNT][3] = {
      [VTA_LOADS_AHEAD] = {UNIT_LOAD, UNIT_COMPUTE, UNIT_STORE},
      [VTA_STORES_AHEAD] = {UNIT_STORE, UNIT_COMPUTE, UNIT_LOAD},
  };
  int best = 0;
  if (u->order != VTA_IN_ORDER) {
    for (int i = 0; i < 3; i++)
      if (stream_ready(u, ahead[u->order][i])) return ahead[u->order][i];
    return 0;
  }
  for (int unit = UNIT_LOAD; unit <= UNIT_STORE; unit++) {
    if (!stream_ready(u, unit)) continue;
    int64_t serial = head_of(&u->streams[unit])[OP_SERIAL].number;
    if (!best || serial < head_of(&u->streams[best])[OP_SERIAL].number) best = unit;
  }
  return best;
}

// Goes on for as long as a unit can.
static bool run_units(Units *u, TirFault *fault) {
  int unit;
  while ((unit = choose(u)))
    if (!step(u, unit, fault)) return false;
  return true;
}

// What a unit does when nothing goes on.
static void describe(const Units *u, int unit, Text *out) {
  const Stream *s = &u->streams[unit];
  if (!s->count) {
    text_add(out, "\n%s has nothing left to do", unit_name(unit));
    return;
  }
  const Stmt *at = head_of(s)[OP_STMT].pointer;
  const char *from = unit_name(head_of(s)[OP_TOKEN].number >> 2);
  text_add(out, "\n%s waits for a token from %s, in `vta.pop(%s, %s)`", unit_name(unit), from, from, unit_name(unit));
  if (loc_known(at->loc)) text_add(out, " (%s:%" PRIu32 ":%" PRIu32 ")", at->loc.src->path, at->loc.line, at->loc.col);
  if (s->count > 1) text_add(out, ", with %" PRId64 " more operations behind it", s->count - 1);
}

// Nobody is ready and work is left.
static bool deadlock(Units *u, TirFault *fault) {
  Text t = {.arena = u->cx->arena};
  text_add(&t, "deadlock: no unit can go on");
  for (int unit = UNIT_LOAD; unit <= UNIT_STORE; unit++) describe(u, unit, &t);
  *fault = (TirFault){.text = t.data};
  return false;
}

// After a partial run the streams move to the front of their memory.
static void compact(Stream *s) {
  s->words.len -= s->head;
  if (s->words.len) memmove(s->words.data, s->words.data + s->head, s->words.len * sizeof *s->words.data);
  s->head = 0;
}

// The streams are full: the units work. If they cannot, they may take somewhat more, and then no more.
static bool relieve(Units *u, TirFault *fault) {
  if (u->waiting < u->soft) return true;
  if (!run_units(u, fault)) return false;
  for (int unit = UNIT_LOAD; unit <= UNIT_STORE; unit++) compact(&u->streams[unit]);
  u->soft = u->waiting + words_soft;
  return u->waiting < words_hard || deadlock(u, fault);
}

// Puts an operation at the end of its unit's stream.
static void enqueue(Units *u, int unit, const Stmt *s, const TirArg *args, int64_t token, const void *extra,
                    size_t extra_bytes) {
  Stream *q = &u->streams[unit];
  size_t nargs = token ? 0 : (size_t)s->nargs, nextra = (extra_bytes + sizeof(Word) - 1) / sizeof(Word);
  size_t n = OP_HEAD + nargs + nextra;
  Word head[OP_HEAD] = {[OP_STMT].pointer = s,
                        [OP_ARGS].pointer = args,
                        [OP_SERIAL].number = u->serial++,
                        [OP_TOKEN].number = token,
                        [OP_WORDS].number = (int64_t)n};
  for (size_t i = 0; i < n; i++) {
    Word w = {.number = 0};
    if (i < OP_HEAD) w = head[i];
    else if (i < OP_HEAD + nargs) w.number = args[i - OP_HEAD].value;
    VEC_PUSH(u->cx->arena, q->words, w);
  }
  if (extra_bytes) memcpy(&q->words.data[q->words.len - nextra], extra, extra_bytes);
  q->count++;
  u->waiting += n;
}

bool units_issue(Units *u, int unit, const Stmt *s, const TirArg *args, const void *extra, size_t extra_bytes,
                 TirFault *fault) {
  if (u->order == VTA_IN_ORDER && !u->streams[unit].count) return exec_now(u, s, args, extra, fault);
  enqueue(u, unit, s, args, NO_TOKEN, extra, extra_bytes);
  return relieve(u, fault);
}

bool units_token(Units *u, bool push, int64_t from, int64_t to, const Stmt *s, TirFault *fault) {
  bool units = from >= UNIT_LOAD && from <= UNIT_STORE && to >= UNIT_LOAD && to <= UNIT_STORE;
  if (vta_channel(from, to) < 0) {
    fault->text =
        units ? arena_printf(u->cx->arena, "there is no token channel from %s to %s", unit_name(from), unit_name(to))
              : "a token from or to a unit that there is not";
    return false;
  }
  int unit = (int)(push ? from : to);
  int64_t token = push ? TOKEN_PUSH + 4 * to : TOKEN_POP + 4 * from;
  if (u->order == VTA_IN_ORDER && !u->streams[unit].count && token_ready(u, unit, token)) {
    move_token(u, unit, token);
    return !u->waiting || run_units(u, fault); // a push may set another unit free
  }
  enqueue(u, unit, s, NULL, token, NULL, 0);
  return relieve(u, fault);
}

bool units_drain(Units *u, TirFault *fault) {
  if (!run_units(u, fault)) return false;
  if (u->waiting) return deadlock(u, fault);
  u->soft = words_soft;
  for (int from = UNIT_LOAD; from <= UNIT_STORE; from++)
    for (int to = UNIT_LOAD; to <= UNIT_STORE; to++)
      if (u->tokens[from][to]) {
        fault->text = arena_printf(u->cx->arena, "%" PRId64 " %s from %s to %s %s left over", u->tokens[from][to],
                                   u->tokens[from][to] == 1 ? "token" : "tokens", unit_name(from), unit_name(to),
                                   u->tokens[from][to] == 1 ? "is" : "are");
        return false;
      }
  return true;
}

bool units_finish(Units *u, TirFault *fault) {
  if (!u->waiting) return units_drain(u, fault);
  int64_t left = 0;
  const Stmt *first = NULL;
  for (int unit = UNIT_LOAD; unit <= UNIT_STORE; unit++) {
    left += u->streams[unit].count;
    if (!first && u->streams[unit].count) first = head_of(&u->streams[unit])[OP_STMT].pointer;
  }
  fault->text =
      arena_printf(u->cx->arena, "nobody waits for %" PRId64 " operations: no vta.sync() follows the first", left);
  fault->at = first;
  return false;
}

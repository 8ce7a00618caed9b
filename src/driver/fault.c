// SPDX-License-Identifier: Apache-2.0
// --plant-fault PHASE[:KIND]: a wrong rewrite at the end of a phase, for tests of what is to notice it. The passes
// after it get the wrong program. Kinds: `drop` takes a statement out, `index` writes one element or tile further on,
// `extent` leaves out the last round of a loop, `form` makes a program that no phase may have, `token` forgets
// the first dependence token, `race` one on both of its ends: nobody waits for it. `threads` takes a statement out of a
// loop of virtual threads, `rows` a transfer of several rows: only programs that have such can be wrong. `bug` and
// `crash` make no program at all: the phase ends as by a mistake in it, `mute` in a way that leaves nothing to print it
// with. After `hang` it does not end.
#include "driver/driver.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef enum FaultKind {
  FAULT_DROP,
  FAULT_INDEX,
  FAULT_EXTENT,
  FAULT_FORM,
  FAULT_TOKEN,
  FAULT_RACE,
  FAULT_THREADS,
  FAULT_ROWS,
  FAULT_BUG,
  FAULT_CRASH,
  FAULT_MUTE,
  FAULT_HANG,
  FAULT_COUNT
} FaultKind;
static const char *const kinds[] = {"drop",    "index", "extent", "form",  "token", "race",
                                    "threads", "rows",  "bug",    "crash", "mute",  "hang"};

typedef struct Fault {
  TirMap map;
  FaultKind kind;
  bool done;
} Fault;

// The kind in the text, FAULT_COUNT if it is none; *len: of the phase's name.
static FaultKind kind_of(const char *text, size_t *len) {
  *len = strcspn(text, ":");
  if (!text[*len]) return FAULT_DROP;
  for (int k = 0; k < FAULT_COUNT; k++)
    if (!strcmp(text + *len + 1, kinds[k])) return (FaultKind)k;
  return FAULT_COUNT;
}

bool fault_known(Arena *a, const char *text) {
  size_t len;
  if (kind_of(text, &len) == FAULT_COUNT) return false;
  const char *phase = arena_printf(a, "%.*s", (int)len, text);
  return !strcmp(phase, "lower") || pass_find(phase) >= 0;
}

static bool fault_is_at(const char *text, const char *phase) {
  size_t len;
  return kind_of(text, &len) != FAULT_COUNT && strlen(phase) == len && !strncmp(text, phase, len);
}

// A store, or an intrinsic that moves or computes something.
static bool works(const Stmt *s) {
  return s->kind == STMT_STORE ||
         (s->kind == STMT_INTRIN && !s->intrin->has_body && (s->nargs >= 3 || is_vta(s->intrin, VTA_UOP)));
}

// One further than e; the same where that is the fault's own end of a dimension is for the verifier to see.
static const Expr *further(Ctx *cx, const Expr *e) {
  if (e->kind == EXPR_REF) return expr_ref(cx, e->buffer, further(cx, e->args[0]));
  return expr_binary(cx, OP_ADD, e, expr_index(cx, 1));
}

static const Stmt *moved(Ctx *cx, const Stmt *s) {
  Stmt *n = arena_copy(cx->arena, s, sizeof *s);
  n->args = arena_copy(cx->arena, s->args, sizeof *s->args * (size_t)s->nargs);
  n->args[0] = further(cx, s->args[0]);
  return n;
}

static bool has_rows(const Stmt *s) {
  int64_t n;
  return s->kind == STMT_INTRIN && (is_vta(s->intrin, VTA_LOAD) || is_vta(s->intrin, VTA_STORE)) &&
         expr_is_int(s->args[is_vta(s->intrin, VTA_LOAD) ? ARG_LOAD_Y : ARG_STORE_Y], &n) && n > 1;
}

// A sequence without the first push and pop on the same channel in it; the same if it has no such.
static const Stmt *without_token(Fault *f, const Stmt *s) {
  for (int i = 0; i < s->nchildren; i++)
    for (int j = 0; j < s->nchildren; j++) {
      const Stmt *push = s->children[i], *pop = s->children[j];
      if (push->kind != STMT_INTRIN || !is_vta(push->intrin, VTA_PUSH)) break;
      if (pop->kind != STMT_INTRIN || !is_vta(pop->intrin, VTA_POP) || !expr_equal(push->args[0], pop->args[0]))
        continue;
      if (!expr_equal(push->args[1], pop->args[1])) continue;
      const Stmt **rest = NEW_ARRAY(f->map.cx->arena, const Stmt *, s->nchildren);
      int n = 0;
      for (int k = 0; k < s->nchildren; k++)
        if (k != i && k != j) rest[n++] = s->children[k];
      f->done = true;
      return stmt_seq(f->map.cx, n, rest);
    }
  return s;
}

static const Stmt *spoil(TirMap *m, const Stmt *s);

// A loop without a statement that works.
static const Stmt *without_one(Fault *f, const Stmt *s) {
  Fault inner = {.map = f->map, .kind = FAULT_DROP};
  inner.map.self = &inner;
  const Stmt *body = stmt_map(&inner.map, s->body);
  f->done = inner.done;
  return stmt_placed(f->map.cx, stmt_for(f->map.cx, s->var, s->min, s->extent, s->for_kind, body), s->loc, s->why);
}

static const Stmt *spoil(TirMap *m, const Stmt *s) {
  Fault *f = m->self;
  int64_t n;
  if (f->done) return s;
  switch (f->kind) {
  case FAULT_TOKEN:
    if (s->kind != STMT_INTRIN || !is_vta(s->intrin, VTA_PUSH)) return s;
    f->done = true;
    return stmt_nop(m->cx);
  case FAULT_EXTENT:
    if (s->kind != STMT_FOR || !expr_is_int(s->extent, &n) || n < 2) return s;
    f->done = true;
    return stmt_placed(m->cx, stmt_for(m->cx, s->var, s->min, expr_index(m->cx, n - 1), s->for_kind, s->body), s->loc,
                       s->why);
  case FAULT_RACE: return s->kind == STMT_SEQ ? without_token(f, s) : s;
  case FAULT_THREADS: return s->kind == STMT_FOR && s->for_kind == FOR_VTHREAD ? without_one(f, s) : s;
  case FAULT_ROWS:
    if (!has_rows(s)) return s;
    f->done = true;
    return stmt_nop(m->cx);
  case FAULT_DROP:
  case FAULT_INDEX:
  case FAULT_FORM:
    if (!works(s)) return s;
    f->done = true;
    if (f->kind == FAULT_DROP) return stmt_nop(m->cx);
    if (f->kind == FAULT_INDEX) return moved(m->cx, s);
    // A statement on a variable that no loop binds.
    return stmt_if(m->cx,
                   expr_binary(m->cx, OP_GE, expr_var(m->cx, tir_var(m->cx, "nowhere", s->loc)), expr_index(m->cx, 0)),
                   s, NULL);
  case FAULT_BUG:
  case FAULT_CRASH:
  case FAULT_MUTE:
  case FAULT_HANG:
  case FAULT_COUNT: break;
  }
  return s;
}

const Func *fault_plant(const Driver *d, Ctx *cx, const char *phase, const Func *f) {
  const char *text = d->opt.plant_fault;
  size_t len;
  if (!fault_is_at(text, phase)) return f;
  Fault fault = {.map = {.cx = cx, .stmt = spoil}, .kind = kind_of(text, &len)};
  fault.map.self = &fault;
  if (fault.kind == FAULT_BUG) bug("a mistake planted in %.*s", (int)len, text);
  if (fault.kind == FAULT_MUTE) cx->arena = NULL;
  if (fault.kind == FAULT_CRASH || fault.kind == FAULT_MUTE) raise(SIGSEGV);
  while (fault.kind == FAULT_HANG) pause();
  const Func *made = func_with_body(cx, f, stmt_map(&fault.map, f->body));
  if (!fault.done && !d->quiet)
    fprintf(stderr, "tetc: --plant-fault %s: the program has nothing of that kind; it is as it was\n", text);
  return made;
}

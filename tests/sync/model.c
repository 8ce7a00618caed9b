// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include "passes/tiles.h"

// One step of an instruction: d = op(d, a, b). NULL for a: zero.
typedef struct Step {
  int64_t *d;
  const int64_t *a, *b;
} Step;

typedef enum Action { ACT_MOVE, ACT_GEMM, ACT_ALU, ACT_ALU_IMM, ACT_PUSH, ACT_POP } Action;

typedef struct Ins {
  Action action;
  int alu; // VtaAluOp
  int64_t imm;
  int channel;
  VEC(Step) steps;
} Ins;

typedef struct Unit {
  VEC(Ins) queue;
  size_t next;
} Unit;

typedef struct Cells {
  const Buffer *buffer;
  int64_t *data;
  int64_t n;
} Cells;

typedef struct Model {
  Ctx *cx;
  const VtaTarget *vta;
  RunOrder order;
  uint64_t seed;
  Ranges env;
  VEC(Cells) cells;
  Cells sram[3];
  Unit units[4];
  int64_t tokens[16];
  ModelResult r;
} Model;

uint64_t model_random(uint64_t *state) {
  *state += 0x9E3779B97F4A7C15u;
  uint64_t z = *state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

int64_t model_cells(const Buffer *b) { return b->scope == &scope_host ? b->shape[0] : buffer_tiles(b); }

static void fail(Model *m, const char *why) {
  if (!m->r.error) m->r.error = why;
}

// ---- memory ----------------------------------------------------------------------------------------------------

static Cells *cells_of(Model *m, const Buffer *b) {
  for (size_t i = 0; i < m->cells.len; i++)
    if (m->cells.data[i].buffer == b) return &m->cells.data[i];
  Cells c = {.buffer = b, .n = model_cells(b)};
  c.data = NEW_ARRAY(m->cx->arena, int64_t, c.n + 1);
  VEC_PUSH(m->cx->arena, m->cells, c);
  return &m->cells.data[m->cells.len - 1];
}

static int64_t *cell(Model *m, Cells *c, int64_t i) {
  if (i >= 0 && i < c->n) return &c->data[i];
  fail(m, arena_printf(m->cx->arena, "tile %lld of %s (%lld)", (long long)i, c->buffer ? c->buffer->name : "sram",
                       (long long)c->n));
  return &c->data[0];
}

static int64_t eval(Model *m, const Expr *e) {
  int64_t lo, hi;
  if (e->kind == EXPR_LOAD) return *cell(m, cells_of(m, e->buffer), eval(m, e->args[0]));
  if (e->kind == EXPR_BINARY) {
    Scalar a = {.i = eval(m, e->a)}, b = {.i = eval(m, e->b)};
    return scalar_binary(e->binop, DT_I64, a, b).i;
  }
  expr_bounds(&m->env, e, &lo, &hi);
  if (lo != hi) fail(m, "an index is not known");
  return lo;
}

static int64_t *chip_cell(Model *m, const Expr *ref, int64_t plus) {
  const Buffer *b = ref->buffer;
  int64_t i = eval(m, ref->args[0]) + plus;
  if (i < 0 || i >= model_cells(b)) fail(m, "outside of its buffer");
  return b->base < 0 ? cell(m, cells_of(m, b), i) : cell(m, &m->sram[b->scope->id], b->base + i);
}

// ---- the units -------------------------------------------------------------------------------------------------

static int64_t alu(int op, int64_t x, int64_t y) {
  switch (op) {
  case ALU_MIN: return x < y ? x : y;
  case ALU_MAX: return x > y ? x : y;
  case ALU_ADD: return (int64_t)((uint64_t)x + (uint64_t)y);
  case ALU_SHR: return y >= 0 ? x >> (y & 31) : (int64_t)((uint64_t)x << (-y & 31));
  default: return (int64_t)((uint64_t)x * (uint64_t)y);
  }
}

static void execute(Model *m, const Ins *s) {
  if (s->action == ACT_PUSH) m->tokens[s->channel]++;
  if (s->action == ACT_POP) m->tokens[s->channel]--;
  for (size_t i = 0; i < s->steps.len; i++) {
    Step t = s->steps.data[i];
    switch (s->action) {
    case ACT_MOVE: *t.d = t.a ? *t.a : 0; break;
    case ACT_GEMM: *t.d = (int64_t)((uint64_t)*t.d + (uint64_t)*t.a * (uint64_t)*t.b); break;
    case ACT_ALU: *t.d = alu(s->alu, *t.d, *t.a); break;
    case ACT_ALU_IMM: *t.d = alu(s->alu, *t.d, s->imm); break;
    case ACT_PUSH:
    case ACT_POP: break;
    }
  }
}

// Runs the next instruction of a unit, if its token is there.
static bool step_unit(Model *m, int u) {
  Unit *unit = &m->units[u];
  if (unit->next == unit->queue.len) return false;
  const Ins *s = &unit->queue.data[unit->next];
  if (s->action == ACT_POP && m->tokens[s->channel] == 0) return false;
  unit->next++;
  execute(m, s);
  return true;
}

// One step of any unit, as the order has it. False: none can.
static bool step_any(Model *m) {
  static const int first[RUN_ALL][3] = {
      [RUN_LOAD_FIRST] = {1, 2, 3}, [RUN_STORE_FIRST] = {3, 2, 1}, [RUN_COMPUTE_FIRST] = {2, 1, 3}};
  if (first[m->order][0]) {
    for (int i = 0; i < 3; i++)
      if (step_unit(m, first[m->order][i])) return true;
    return false;
  }
  int u = (int)(model_random(&m->seed) % 3);
  for (int i = 0; i < 3; i++)
    if (step_unit(m, 1 + (u + i) % 3)) return true;
  return false;
}

static void synchronise(Model *m) {
  while (step_any(m)) {
  }
  for (int u = 1; u <= 3; u++) {
    if (m->units[u].next != m->units[u].queue.len) fail(m, "deadlock");
    m->units[u].next = m->units[u].queue.len = 0;
  }
  for (int c = 0; c < 16; c++) {
    if (m->tokens[c]) fail(m, "a token is left");
    m->tokens[c] = 0;
  }
  m->r.syncs++;
}

static void enqueue(Model *m, int unit, const Ins *s) {
  m->r.instructions += s->action != ACT_PUSH && s->action != ACT_POP;
  m->r.tokens += s->action == ACT_PUSH;
  m->r.steps += (int64_t)s->steps.len;
  if (m->order == RUN_AT_ONCE) {
    execute(m, s);
    return;
  }
  VEC_PUSH(m->cx->arena, m->units[unit].queue, *s);
  if (m->order != RUN_EAGER_RANDOM) return;
  for (uint64_t n = model_random(&m->seed) % 3; n > 0; n--) step_any(m);
}

// ---- instructions ----------------------------------------------------------------------------------------------

static void add_step(Model *m, Ins *s, int64_t *d, const int64_t *a, const int64_t *b) {
  Step t = {.d = d, .a = a, .b = b};
  VEC_PUSH(m->cx->arena, s->steps, t);
}

typedef struct Place { // where a transfer starts on chip
  const Expr *ref;     // or
  int memory;          // Scope.id
  int64_t sram;
} Place;

static int64_t *place_cell(Model *m, const Place *p, int64_t i) {
  return p->ref ? chip_cell(m, p->ref, i) : cell(m, &m->sram[p->memory], p->sram + i);
}

// y_size, x_size, x_stride, y_pad0, y_pad1, x_pad0, x_pad1
static void load(Model *m, const Place *to, const Expr *from, const Expr **sizes) {
  int64_t v[7], at = eval(m, from->args[0]), n = 0;
  Ins s = {.action = ACT_MOVE};
  for (int i = 0; i < 7; i++) v[i] = eval(m, sizes[i]);
  Cells *host = cells_of(m, from->buffer);
  for (int64_t y = 0; v[1] && y < v[3] + v[0] + v[4]; y++)
    for (int64_t x = 0; x < v[5] + v[1] + v[6]; x++) {
      bool in = y >= v[3] && y < v[3] + v[0] && x >= v[5] && x < v[5] + v[1];
      const int64_t *src = in ? cell(m, host, at + (y - v[3]) * v[2] + x - v[5]) : NULL;
      add_step(m, &s, place_cell(m, to, n++), src, NULL);
    }
  int memory = to->ref ? to->ref->buffer->scope->id : to->memory;
  enqueue(m, memory == 2 ? UNIT_COMPUTE : UNIT_LOAD, &s);
}

static void zero(Model *m, const Place *to, int64_t n) {
  Ins s = {.action = ACT_MOVE};
  for (int64_t i = 0; i < n; i++) add_step(m, &s, place_cell(m, to, i), NULL, NULL);
  int memory = to->ref ? to->ref->buffer->scope->id : to->memory;
  enqueue(m, memory == 2 ? UNIT_COMPUTE : UNIT_LOAD, &s);
}

static void store(Model *m, const Expr *to, const Place *from, const Expr **sizes) {
  int64_t at = eval(m, to->args[0]), y = eval(m, sizes[0]), x = eval(m, sizes[1]), stride = eval(m, sizes[2]);
  Ins s = {.action = ACT_MOVE};
  for (int64_t i = 0; i < y; i++)
    for (int64_t j = 0; j < x; j++)
      add_step(m, &s, cell(m, cells_of(m, to->buffer), at + i * stride + j), place_cell(m, from, i * x + j), NULL);
  enqueue(m, UNIT_STORE, &s);
}

// What an operation of compute does; imm NULL: no immediate.
static void set_operation(Model *m, Ins *s, int64_t op, const Expr *imm) {
  static const int alu[] = {
      [VTA_MIN] = ALU_MIN, [VTA_MAX] = ALU_MAX, [VTA_ADD] = ALU_ADD, [VTA_SHR] = ALU_SHR, [VTA_MUL] = ALU_MUL};
  s->action = op == VTA_RESET || op == VTA_MOV ? ACT_MOVE : op == VTA_GEMM ? ACT_GEMM : imm ? ACT_ALU_IMM : ACT_ALU;
  if (s->action == ACT_ALU || s->action == ACT_ALU_IMM) s->alu = alu[op];
  s->imm = imm ? eval(m, imm) : 0;
}

typedef struct Uops {
  Model *m;
  VEC(VtaUop) list;
} Uops;

// The micro-ops of a kernel's body (after pass intrin, or before it: references).
static void collect_uops(Uops *u, const Stmt *s) {
  Model *m = u->m;
  int64_t n;
  if (s->kind == STMT_FOR) {
    n = eval(m, s->extent);
    for (int64_t i = 0; i < n; i++) {
      ranges_push(m->cx, &m->env, s->var, i, i);
      collect_uops(u, s->body);
      ranges_pop(&m->env);
    }
  } else if (s->kind == STMT_SEQ) {
    for (int i = 0; i < s->nchildren; i++) collect_uops(u, s->children[i]);
  } else {
    int64_t v[3] = {0};
    for (int i = 0; i < s->nargs; i++) {
      const Expr *e = s->args[i];
      v[i] = e->kind == EXPR_REF ? eval(m, e->args[0]) + e->buffer->base : eval(m, e);
    }
    VtaUop uop = {(uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2]};
    VEC_PUSH(m->cx->arena, u->list, uop);
  }
}

static void check_uops(Model *m, const Uops *u) {
  for (size_t i = 0; i < u->list.len; i++)
    for (size_t j = 1; j <= 2 && j <= i; j++)
      if (u->list.data[i].dst == u->list.data[i - j].dst) fail(m, "a micro-op repeats the target of one before");
  if ((int64_t)u->list.len > m->r.most_uops) m->r.most_uops = (int64_t)u->list.len;
}

static void kernel(Model *m, const Stmt *s) {
  int64_t v[10] = {0};
  Ins ins = {0};
  Uops u = {.m = m};
  for (int i = 0; i < s->nargs; i++) v[i] = eval(m, s->args[i]);
  int64_t op = v[0], *loops = v + 1, *dst = v + 3, *src = v + 5, *wgt = v + 7;
  set_operation(m, &ins, op, s->nargs == 10 ? s->args[9] : NULL);
  collect_uops(&u, s->body);
  check_uops(m, &u);
  if (loops[0] > 16383 || loops[1] > 16383) fail(m, "extent");
  for (int64_t o = 0; o < loops[0]; o++)
    for (int64_t i = 0; i < loops[1]; i++)
      for (size_t k = 0; k < u.list.len; k++) {
        VtaUop p = u.list.data[k];
        int64_t *d = cell(m, &m->sram[2], p.dst + o * dst[0] + i * dst[1]), *a = NULL, *b = NULL;
        if (ins.action == ACT_GEMM) b = cell(m, &m->sram[1], p.wgt + o * wgt[0] + i * wgt[1]);
        if (ins.action != ACT_MOVE && ins.action != ACT_ALU_IMM)
          a = cell(m, &m->sram[ins.action == ACT_GEMM ? 0 : 2], p.src + o * src[0] + i * src[1]);
        add_step(m, &ins, d, a, b);
      }
  enqueue(m, UNIT_COMPUTE, &ins);
}

static void compute(Model *m, const Stmt *s) {
  Ins ins = {0};
  bool imm = s->nargs == 2 && s->args[1]->kind != EXPR_REF;
  set_operation(m, &ins, s->intrin->id, imm ? s->args[1] : NULL);
  int64_t *d = chip_cell(m, s->args[0], 0), *a = NULL, *b = NULL;
  if (s->nargs > 1 && !imm) a = chip_cell(m, s->args[1], 0);
  if (s->nargs > 2) b = chip_cell(m, s->args[2], 0);
  add_step(m, &ins, d, a, b);
  enqueue(m, UNIT_COMPUTE, &ins);
}

static void token(Model *m, const Stmt *s) {
  int64_t from = eval(m, s->args[0]), to = eval(m, s->args[1]);
  bool push = is_vta(s->intrin, VTA_PUSH);
  Ins ins = {.action = push ? ACT_PUSH : ACT_POP, .channel = (int)(from * 4 + to)};
  enqueue(m, (int)(push ? from : to), &ins);
}

static void intrinsic(Model *m, const Stmt *s) {
  Place p = {0};
  const Expr **a = s->args;
  switch ((VtaOp)s->intrin->id) {
  case VTA_LOAD:
    p.ref = a[0];
    load(m, &p, a[1], a + 2);
    return;
  case VTA_ZERO:
    p.ref = a[0];
    zero(m, &p, eval(m, a[1]));
    return;
  case VTA_STORE:
    p.ref = a[1];
    store(m, a[0], &p, a + 2);
    return;
  case VTA_LOAD_CALL:
    p.sram = eval(m, a[8]);
    p.memory = eval(m, a[9]) == MEM_INP ? 0 : eval(m, a[9]) == MEM_WGT ? 1 : 2;
    load(m, &p, a[0], a + 1);
    return;
  case VTA_ZERO_CALL:
    p.sram = eval(m, a[1]);
    p.memory = eval(m, a[2]) == MEM_INP ? 0 : eval(m, a[2]) == MEM_WGT ? 1 : 2;
    zero(m, &p, eval(m, a[0]));
    return;
  case VTA_STORE_CALL:
    p.sram = eval(m, a[4]);
    p.memory = 2;
    store(m, a[0], &p, a + 1);
    return;
  case VTA_PUSH:
  case VTA_POP: token(m, s); return;
  case VTA_SYNC: synchronise(m); return;
  case VTA_KERNEL: kernel(m, s); return;
  default: compute(m, s); return;
  }
}

// ---- the host --------------------------------------------------------------------------------------------------

// Contents of a new buffer are anything.
static void poison(Model *m, const Buffer *b) {
  if (tile_is_on_chip(b) && b->base >= 0) return;
  Cells *c = cells_of(m, b);
  for (int64_t i = 0; i < c->n; i++) c->data[i] = 0x5EED0000 + i;
}

static void run(Model *m, const Stmt *s) {
  if (m->r.error) return;
  int64_t from, n;
  switch (s->kind) {
  case STMT_FOR:
    from = eval(m, s->min);
    n = eval(m, s->extent);
    for (int64_t i = 0; i < n; i++) {
      ranges_push(m->cx, &m->env, s->var, from + i, from + i);
      run(m, s->body);
      ranges_pop(&m->env);
    }
    return;
  case STMT_STORE: *cell(m, cells_of(m, s->buffer), eval(m, s->args[0])) = eval(m, s->value); return;
  case STMT_IF:
    if (eval(m, s->cond)) run(m, s->body);
    else if (s->else_body) run(m, s->else_body);
    return;
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) run(m, s->children[i]);
    return;
  case STMT_ALLOC:
    poison(m, s->buffer);
    run(m, s->body);
    return;
  case STMT_INTRIN: intrinsic(m, s); return;
  }
}

ModelResult model_run(Ctx *cx, const VtaTarget *vta, const Func *f, RunOrder order, uint64_t seed) {
  Model m = {.cx = cx, .vta = vta, .order = order, .seed = seed * 7 + (uint64_t)order};
  m.cells.cap = 4096; // cells stay where they are
  m.cells.data = NEW_ARRAY(cx->arena, Cells, m.cells.cap);
  for (int i = 0; i < 3; i++) {
    m.sram[i].n = vta->scopes[i]->depth;
    m.sram[i].data = NEW_ARRAY(cx->arena, int64_t, m.sram[i].n + 1);
    for (int64_t k = 0; k < m.sram[i].n; k++) m.sram[i].data[k] = 0xBAD000 + k;
  }
  m.r.params = NEW_ARRAY(cx->arena, int64_t *, f->nparams + 1);
  for (int i = 0; i < f->nparams; i++) {
    Cells *c = cells_of(&m, f->params[i]);
    uint64_t state = seed + (uint64_t)i * 1000;
    for (int64_t k = 0; k < c->n; k++) c->data[k] = (int64_t)(model_random(&state) % 1000);
    m.r.params[i] = c->data;
  }
  run(&m, f->body);
  for (int u = 1; u <= 3; u++)
    if (order != RUN_AT_ONCE && m.units[u].queue.len) fail(&m, "work is left after the end");
  return m.r;
}

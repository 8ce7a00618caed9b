// SPDX-License-Identifier: Apache-2.0
#include "run.h"

#include <string.h>

Memory *machine_memory(Machine *m, const Buffer *b) {
  for (int i = m->nmem; i-- > 0;)
    if (m->mem[i].buffer == b) return &m->mem[i];
  return NULL;
}

static Scalar eval(Machine *m, const Expr *e);

static int64_t linear(Machine *m, const Buffer *b, const Expr **idx) {
  int64_t at = 0;
  for (int i = 0; i < b->ndim; i++) {
    int64_t x = eval(m, idx[i]).i;
    if (x < 0 || x >= b->shape[i]) m->fault = "an index out of range";
    at = at * b->shape[i] + x;
  }
  return m->fault ? 0 : at;
}

static Scalar eval_leaf(Machine *m, const Expr *e) {
  Scalar r = {.i = 0};
  if (e->kind == EXPR_VAR) {
    for (int i = m->nvars; i-- > 0;)
      if (m->var[i] == e->var) return (Scalar){.i = m->value[i]};
    m->fault = "a variable without a loop";
  } else if (e->kind == EXPR_LOAD) {
    Memory *mem = machine_memory(m, e->buffer);
    if (!mem) m->fault = "a buffer out of scope";
    else r.i = mem->data[linear(m, e->buffer, e->args)];
  } else {
    m->fault = "an expression of a strange kind";
  }
  return r;
}

static Scalar eval(Machine *m, const Expr *e) {
  switch (e->kind) {
  case EXPR_INT:
  case EXPR_FLOAT: return e->value;
  case EXPR_CAST: return scalar_cast(e->type, e->a->type, eval(m, e->a));
  case EXPR_UNARY: return scalar_unary(e->unop, e->type, eval(m, e->a));
  case EXPR_BINARY: return scalar_binary(e->binop, e->a->type, eval(m, e->a), eval(m, e->b));
  case EXPR_SELECT: return eval(m, e->a).i ? eval(m, e->b) : eval(m, e->c);
  case EXPR_MATH: {
    Scalar a = eval(m, e->args[0]);
    return scalar_math(e->fn, e->type, a, e->nargs > 1 ? eval(m, e->args[1]) : a);
  }
  case EXPR_VAR:
  case EXPR_LOAD:
  case EXPR_REF: break;
  }
  return eval_leaf(m, e);
}

// The lanes of a tile reference; NULL with a fault.
static int32_t *tile(Machine *m, const Expr *ref) {
  Memory *mem = machine_memory(m, ref->buffer);
  int64_t size = ref->buffer->scope->tile, at = eval(m, ref->args[0]).i;
  if (!mem || at < 0 || (at + 1) * size > mem->elems) {
    m->fault = mem ? "a tile out of range" : "a tile of a buffer out of scope";
    return NULL;
  }
  return mem->data + at * size;
}

static int32_t alu(const Intrin *op, int32_t x, int32_t y) {
  uint32_t ux = (uint32_t)x, uy = (uint32_t)y;
  if (is_vta(op, VTA_MOV)) return y;
  if (is_vta(op, VTA_MIN)) return y < x ? y : x;
  if (is_vta(op, VTA_MAX)) return y > x ? y : x;
  if (is_vta(op, VTA_ADD)) return (int32_t)(ux + uy);
  if (is_vta(op, VTA_MUL)) return (int32_t)(ux * uy);
  return y >= 0 ? x >> (uy & 31) : (int32_t)(ux << (-uy & 31));
}

static void run_gemm(Machine *m, const VtaTarget *v, const Stmt *s) {
  int32_t *acc = tile(m, s->args[0]), *inp = tile(m, s->args[1]), *wgt = tile(m, s->args[2]);
  if (m->fault) return;
  for (int64_t b = 0; b < v->acc.rows; b++)
    for (int64_t j = 0; j < v->acc.cols; j++)
      for (int64_t r = 0; r < v->inp.cols; r++)
        acc[b * v->acc.cols + j] += inp[b * v->inp.cols + r] * wgt[j * v->inp.cols + r];
}

static void run_intrin(Machine *m, const VtaTarget *v, const Stmt *s) {
  m->instructions++;
  if (is_vta(s->intrin, VTA_GEMM)) {
    run_gemm(m, v, s);
    return;
  }
  int32_t *dst = tile(m, s->args[0]), *src = NULL;
  int64_t imm = 0;
  if (s->nargs > 1 && s->args[1]->kind == EXPR_REF) src = tile(m, s->args[1]);
  else if (s->nargs > 1) imm = eval(m, s->args[1]).i;
  if (imm < INT16_MIN || imm > INT16_MAX) m->fault = "an immediate of more than 16 bits";
  if (m->fault) return;
  for (int64_t l = 0; l < v->acc.tile; l++)
    dst[l] = is_vta(s->intrin, VTA_RESET) ? 0 : alu(s->intrin, dst[l], src ? src[l] : (int32_t)imm);
}

void machine_run(Machine *m, const VtaTarget *v, Arena *a, const Stmt *s) {
  if (m->fault) return;
  switch (s->kind) {
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) machine_run(m, v, a, s->children[i]);
    return;
  case STMT_FOR: {
    int64_t min = eval(m, s->min).i, extent = eval(m, s->extent).i;
    m->var[m->nvars++] = s->var;
    for (int64_t i = 0; i < extent; i++) {
      m->value[m->nvars - 1] = min + i;
      machine_run(m, v, a, s->body);
    }
    m->nvars--;
    return;
  }
  case STMT_STORE: {
    Memory *mem = machine_memory(m, s->buffer);
    int64_t at = linear(m, s->buffer, s->args);
    int32_t x = (int32_t)eval(m, s->value).i;
    if (mem && !m->fault) mem->data[at] = x;
    return;
  }
  case STMT_ALLOC: {
    int64_t n = buffer_elems(s->buffer);
    int32_t *data = arena_array(a, (size_t)n, sizeof *data);
    for (int64_t i = 0; i < n; i++) data[i] = 0x5eed5eed; // undefined at the start
    m->mem[m->nmem++] = (Memory){s->buffer, data, n};
    machine_run(m, v, a, s->body);
    m->nmem--;
    return;
  }
  case STMT_INTRIN:
    if (s->body) machine_run(m, v, a, s->body);
    else run_intrin(m, v, s);
    return;
  case STMT_IF:
    if (eval(m, s->cond).i) machine_run(m, v, a, s->body);
    else if (s->else_body) machine_run(m, v, a, s->else_body);
    return;
  }
}

typedef struct Count {
  VtaOp op;
  int n;
} Count;

static bool count(void *self, const Stmt *s) {
  Count *c = self;
  if (s->kind == STMT_INTRIN && is_vta(s->intrin, c->op)) c->n++;
  return true;
}

int count_intrins(const Stmt *s, VtaOp op) {
  Count c = {.op = op};
  stmt_visit(s, count, NULL, &c);
  return c.n;
}

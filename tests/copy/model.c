// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "model.h"

void model_add(Model *m, const Buffer *b, uint8_t *data) { m->buffers[m->nbuffers++] = (ModelBuffer){b, data}; }

static void fail(Model *m, const char *why) {
  if (!m->error) m->error = why;
}

static uint8_t *buffer_data(Model *m, const Buffer *b) {
  for (int i = 0; i < m->nbuffers; i++)
    if (m->buffers[i].buffer == b) return m->buffers[i].data;
  fail(m, "an unknown buffer");
  return NULL;
}

static Scalar eval(Model *m, const Expr *e);

Scalar model_eval(Model *m, const Expr *e) { return eval(m, e); }

// The address of an element; NULL when an index leaves its dimension.
static uint8_t *element(Model *m, const Buffer *b, const Expr *const *args) {
  uint8_t *data = buffer_data(m, b);
  int64_t at = 0;
  for (int i = 0; i < b->ndim; i++) {
    int64_t v = eval(m, args[i]).i;
    if (v < 0 || v >= b->shape[i]) {
      fail(m, "an index out of range");
      return NULL;
    }
    at = at * b->shape[i] + v;
  }
  return data ? data + at * dtype_bytes(b->type) : NULL;
}

static Scalar eval(Model *m, const Expr *e) {
  Scalar zero = {.i = 0}, a;
  if (m->error) return zero;
  switch (e->kind) {
  case EXPR_INT:
  case EXPR_FLOAT: return e->value;
  case EXPR_VAR:
    for (int i = m->nvars - 1; i >= 0; i--)
      if (m->vars[i].var == e->var) return (Scalar){.i = m->vars[i].value};
    fail(m, "an unbound variable");
    return zero;
  case EXPR_CAST: return scalar_cast(e->type, e->a->type, eval(m, e->a));
  case EXPR_UNARY: return scalar_unary(e->unop, e->a->type, eval(m, e->a));
  case EXPR_BINARY:
    a = eval(m, e->a);
    if (e->binop == OP_LAND && !a.i) return zero;
    if (e->binop == OP_LOR && a.i) return (Scalar){.i = 1};
    return scalar_binary(e->binop, e->a->type, a, eval(m, e->b));
  case EXPR_SELECT: return eval(m, eval(m, e->a).i ? e->b : e->c);
  case EXPR_LOAD: {
    uint8_t *at = element(m, e->buffer, e->args);
    return at ? scalar_load(e->type, at) : zero;
  }
  case EXPR_MATH:
    a = eval(m, e->args[0]);
    return scalar_math(e->fn, e->type, a, e->nargs > 1 ? eval(m, e->args[1]) : zero);
  case EXPR_REF: break;
  }
  fail(m, "an expression that the model does not know");
  return zero;
}

static int64_t field(Model *m, const Expr *e, int64_t max) {
  int64_t v = eval(m, e).i;
  if (v < 0 || v > max) fail(m, "a field overflows");
  return v;
}

// Bytes of tile `index` of a buffer whose tiles have `bytes`; NULL if it lies outside.
static uint8_t *tile_at(Model *m, const Buffer *b, int64_t index, int64_t bytes) {
  uint8_t *data = buffer_data(m, b);
  if (index < 0 || (index + 1) * bytes > buffer_elems(b) * dtype_bytes(b->type)) {
    fail(m, "a transfer leaves its buffer");
    return NULL;
  }
  return data ? data + index * bytes : NULL;
}

// One tile from memory to the chip; src NULL: zeros.
static void load_tile(Model *m, const Buffer *chip, int64_t to, const uint8_t *src, bool widen) {
  int64_t n = chip->scope->tile, size = dtype_bytes(chip->type);
  uint8_t *dst = tile_at(m, chip, to, n * size);
  if (!dst) return;
  if (!src) memset(dst, 0, (size_t)(n * size));
  else if (!widen) memcpy(dst, src, (size_t)(n * size));
  else
    for (int64_t i = 0; i < n; i++) scalar_store(DT_I32, dst + i * 4, (Scalar){.i = (int8_t)src[i]});
}

static void run_load(Model *m, const Stmt *s) {
  const Buffer *chip = s->args[0]->buffer, *dram = s->args[1]->buffer;
  int64_t f[7], to = eval(m, s->args[0]->args[0]).i, from = eval(m, s->args[1]->args[0]).i;
  for (int i = 0; i < 7; i++) f[i] = field(m, s->args[i + 2], i < 3 ? 65535 : 15);
  int64_t rows = f[3] + f[0] + f[4], cols = f[5] + f[1] + f[6];
  if (f[0] == 0 || f[1] == 0) fail(m, "a load of nothing");
  bool widen = dtype_bits(dram->type) == 8 && dtype_bits(chip->type) == 32;
  int64_t bytes = chip->scope->tile * (widen ? 1 : dtype_bytes(chip->type));
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < cols && !m->error; c++, to++) {
      int64_t y = r - f[3], x = c - f[5];
      bool pad = y < 0 || y >= f[0] || x < 0 || x >= f[1];
      load_tile(m, chip, to, pad ? NULL : tile_at(m, dram, from + y * f[2] + x, bytes), widen);
    }
}

static void run_zero(Model *m, const Stmt *s) {
  int64_t to = eval(m, s->args[0]->args[0]).i, n = field(m, s->args[1], 65535);
  if (n == 0) fail(m, "zeros of nothing");
  for (int64_t i = 0; i < n && !m->error; i++) load_tile(m, s->args[0]->buffer, to + i, NULL, false);
}

static void run_store(Model *m, const Stmt *s) {
  const Buffer *dram = s->args[0]->buffer, *chip = s->args[1]->buffer;
  int64_t f[3], to = eval(m, s->args[0]->args[0]).i, from = eval(m, s->args[1]->args[0]).i, n = chip->scope->tile;
  for (int i = 0; i < 3; i++) f[i] = field(m, s->args[i + 2], 65535);
  if (f[0] == 0 || f[1] == 0) fail(m, "a store of nothing");
  for (int64_t y = 0; y < f[0]; y++)
    for (int64_t x = 0; x < f[1] && !m->error; x++, from++) {
      uint8_t *dst = tile_at(m, dram, to + y * f[2] + x, n), *src = tile_at(m, chip, from, n * 4);
      for (int64_t i = 0; dst && src && i < n; i++) dst[i] = src[4 * i];
    }
}

bool model_run(Model *m, const Stmt *s) {
  if (m->error) return false;
  switch (s->kind) {
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) model_run(m, s->children[i]);
    break;
  case STMT_FOR: {
    int64_t lo = eval(m, s->min).i, n = eval(m, s->extent).i;
    m->vars[m->nvars++].var = s->var;
    for (int64_t i = 0; i < n && !m->error; i++) {
      m->vars[m->nvars - 1].value = lo + i;
      model_run(m, s->body);
    }
    m->nvars--;
    break;
  }
  case STMT_IF:
    if (eval(m, s->cond).i) model_run(m, s->body);
    else if (s->else_body) model_run(m, s->else_body);
    break;
  case STMT_STORE: {
    Scalar v = eval(m, s->value);
    uint8_t *at = element(m, s->buffer, s->args);
    if (at) scalar_store(s->buffer->type, at, v);
    m->stores++;
    break;
  }
  case STMT_INTRIN:
    if (is_vta(s->intrin, VTA_DMA_COPY)) return model_run(m, s->body);
    m->transfers++;
    if (is_vta(s->intrin, VTA_LOAD)) run_load(m, s);
    else if (is_vta(s->intrin, VTA_ZERO)) run_zero(m, s);
    else if (is_vta(s->intrin, VTA_STORE)) run_store(m, s);
    else fail(m, "an intrinsic that the model does not know");
    break;
  case STMT_ALLOC: return model_run(m, s->body);
  }
  return !m->error;
}

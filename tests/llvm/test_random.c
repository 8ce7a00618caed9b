// SPDX-License-Identifier: Apache-2.0
// Random functions, compiled into this process at every level, against a walk over their tree.
//   test_llvm_random [first seed [number of seeds]]
#include "../tir/gen.h"
#include "backend_llvm/llvm.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const LlvmBackend *backend;
static long first_seed = 1, seeds = 120;

static int start(void **state) {
  const char *error;
  (void)state;
  backend = llvm_backend_load(&error);
  if (!backend) fprintf(stderr, "%s\n", error);
  return backend ? 0 : 1;
}

// Sets every byte to 0xa5 (bool: 1), as gen_run does, so that nothing undefined is read.
static const Stmt *fill(Ctx *cx, const Buffer *b) {
  const Expr *idx[3];
  const Var *v[3];
  for (int i = 0; i < b->ndim; i++) {
    v[i] = tir_var(cx, name_of(cx->names, "f"), (Loc){0});
    idx[i] = expr_var(cx, v[i]);
  }
  static const uint8_t bytes[8] = {0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5};
  Scalar x = scalar_load(b->type, bytes);
  const Stmt *s =
      stmt_store(cx, b, idx, dtype_is_float(b->type) ? expr_float(cx, b->type, x.f) : expr_int(cx, b->type, x.i));
  for (int i = b->ndim; i-- > 0;) s = stmt_for(cx, v[i], expr_index(cx, 0), expr_index(cx, b->shape[i]), FOR_SERIAL, s);
  return s;
}

// Regions become their bodies, on-chip memories the host's; loops that race run in order; memory is filled if m->self.
static const Stmt *to_host(TirMap *m, const Stmt *s) {
  Ctx *cx = m->cx;
  if (s->kind == STMT_INTRIN) return s->body ? s->body : stmt_nop(cx);
  if (s->kind == STMT_FOR && s->for_kind == FOR_PARALLEL)
    return stmt_for(cx, s->var, s->min, s->extent, FOR_UNROLLED, s->body);
  if (s->kind != STMT_ALLOC) return s;
  Buffer *b = NEW(cx->arena, Buffer);
  *b = *s->buffer;
  b->scope = &scope_host;
  const Buffer *from[] = {s->buffer}, *to[] = {b};
  TirSubst subst = {.nbuffers = 1, .from = from, .to = to};
  const Stmt *body = stmt_subst(cx, s->body, &subst);
  return stmt_alloc(cx, b, m->self ? stmt_seq2(cx, fill(cx, b), body) : body);
}

static void run_seed(long seed, int level) {
  Gen g;
  Ctx cx = gen_ctx();
  gen_init(&g, cx, (uint64_t)seed);
  Func *f = gen_func(&g, false), filled = *f;
  TirMap m = {.cx = &cx, .stmt = to_host};
  filled.target = NULL;
  m.self = &filled;
  filled.body = stmt_map(&m, f->body);
  m.self = NULL;
  f->body = stmt_map(&m, f->body);
  void **params = gen_params(&g, f), **copies = NEW_ARRAY(cx.arena, void *, f->nparams);
  for (int i = 0; i < f->nparams; i++) copies[i] = arena_copy(cx.arena, params[i], gen_bytes(f->params[i]));
  void *handle;
  LlvmEntry *entry;
  LlvmOptions opt = {.opt_level = level, .cpu = seed % 3 ? NULL : "x86-64"};
  if (!backend->jit_compile(&cx, &filled, &opt, 0, NULL, &handle, &entry)) {
    diags_print(cx.diags, stderr, DIAG_TEXT, NULL);
    fail_msg("seed %ld does not compile", seed);
  }
  int status = entry(copies);
  gen_run(&g, f, params);
  for (int i = 0; i < f->nparams; i++) {
    const Buffer *b = f->params[i];
    for (int64_t k = 0; k < buffer_elems(b); k++) {
      int64_t at = k * dtype_bytes(b->type);
      Scalar want = scalar_load(b->type, (char *)params[i] + at), got = scalar_load(b->type, (char *)copies[i] + at);
      if (gen_same(b->type, want, got)) continue;
      Text t = {.arena = cx.arena};
      tir_print(f, NULL, &t);
      if (getenv("VERBOSE")) fputs(t.data, stderr);
      fail_msg("seed %ld -O%d: %s[%lld] is %llx instead of %llx", seed, level, b->name, (long long)k,
               (unsigned long long)got.i, (unsigned long long)want.i);
    }
  }
  assert_int_equal(status, 0);
  backend->jit_free(handle);
  arena_free(cx.arena);
}

static void test_random(void **state) {
  (void)state;
  for (long s = first_seed; s < first_seed + seeds; s++) run_seed(s, (int)(s % 4));
}

int main(int argc, char **argv) {
  if (argc > 1) first_seed = atol(argv[1]);
  if (argc > 2) seeds = atol(argv[2]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
  return cmocka_run_group_tests(tests, start, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// One meaning for each operation: over all types and the values at which operations break, the reference evaluator, the
// interpreter of TIR, the folder of constants, the intervals and LLVM's code, at every level and for several
// processors, are held to a meaning that is written a second time (meaning.c).
#include "backend_llvm/llvm.h"
#include "compile/compile.h"
#include "meaning.h"
#include "tir/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_CASES = 96, MOST_PAIRS = MOST_EDGES * MOST_EDGES };

// One output of the kernel of a type: what it computes, of which type.
typedef struct Case {
  enum { BINARY_CASE, UNARY_CASE, MATH_CASE, CAST_CASE } kind;
  int op; // BinOp, UnOp, MathFn; DType of a cast
  DType type;
} Case;

typedef struct Table {
  Ctx cx;
  DType type; // of the operands
  int n;      // pairs of operands
  Value a[MOST_PAIRS], b[MOST_PAIRS];
  int ncases;
  Case cases[MOST_CASES];
} Table;

static bool meaning(const Table *t, const Case *c, int i, Value *out) {
  switch (c->kind) {
  case BINARY_CASE: return means_binary((BinOp)c->op, t->type, t->a[i], t->b[i], out);
  case UNARY_CASE: return means_unary((UnOp)c->op, t->type, t->a[i], out);
  case MATH_CASE: return means_math((MathFn)c->op, t->type, t->a[i], t->b[i], out);
  case CAST_CASE: *out = means_cast((DType)c->op, t->type, t->a[i]); return true;
  }
  return false;
}

static void add_case(Table *t, Case c) {
  Value v;
  if (meaning(t, &c, 0, &v)) t->cases[t->ncases++] = c;
}

static void fill_table(Table *t, DType type) {
  Value edges[MOST_EDGES];
  int n = edges_of(type, edges);
  *t = (Table){.cx = {.arena = arena_new()}, .type = type};
  t->cx.names = names_new(t->cx.arena);
  t->cx.diags = diags_new(t->cx.arena);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++, t->n++) t->a[t->n] = edges[i], t->b[t->n] = edges[j];
  for (int op = 0; op < OP_COUNT; op++) add_case(t, (Case){BINARY_CASE, op, binop_is_bool((BinOp)op) ? DT_BOOL : type});
  for (int op = 0; op < UN_COUNT; op++) add_case(t, (Case){UNARY_CASE, op, type});
  for (int fn = 0; fn < FN_COUNT; fn++) add_case(t, (Case){MATH_CASE, fn, type});
  for (int to = 0; to < DT_COUNT; to++)
    if (to != DT_BOOL && to != (int)type) add_case(t, (Case){CAST_CASE, to, (DType)to});
}

static const char *case_text(const Table *t, const Case *c) {
  Arena *a = t->cx.arena;
  switch (c->kind) {
  case BINARY_CASE:
    return binop_prec((BinOp)c->op) ? arena_printf(a, "a[i] %s b[i]", binop_text((BinOp)c->op))
                                    : arena_printf(a, "%s(a[i], b[i])", binop_text((BinOp)c->op));
  case UNARY_CASE: return arena_printf(a, "%sa[i]", unop_text((UnOp)c->op));
  case MATH_CASE:
    return arena_printf(a, math_arity((MathFn)c->op) > 1 ? "%s(a[i], b[i])" : "%s(a[i])", math_name((MathFn)c->op));
  case CAST_CASE: return arena_printf(a, "%s(a[i])", dtype_name(c->type));
  }
  return "";
}

static const char *kernel_text(const Table *t) {
  Text s = {.arena = t->cx.arena};
  const char *type = dtype_name(t->type);
  text_add(&s, "kernel k {\n  input a[i: %d] : %s;\n  input b[i: %d] : %s;\n", t->n, type, t->n, type);
  for (int k = 0; k < t->ncases; k++)
    text_add(&s, "  output r%d[i: %d] : %s = %s;\n", k, t->n, dtype_name(t->cases[k].type), case_text(t, &t->cases[k]));
  text_add(&s, "}\n");
  return s.data;
}

// ---- who computes it ------------------------------------------------------------------------------------------------

// One array a parameter: a, b, then the cases.
static void **make_arrays(const Table *t) {
  void **p = NEW_ARRAY(t->cx.arena, void *, t->ncases + 2);
  int bytes = dtype_bytes(t->type);
  for (int k = 0; k < t->ncases + 2; k++) p[k] = arena_alloc(t->cx.arena, (size_t)t->n * 8);
  for (int i = 0; i < t->n; i++) {
    value_store(t->type, (char *)p[0] + i * bytes, t->a[i]);
    value_store(t->type, (char *)p[1] + i * bytes, t->b[i]);
  }
  for (int k = 0; k < t->ncases; k++) memset(p[k + 2], 0xa5, (size_t)t->n * 8);
  return p;
}

static void held_to_meaning(const Table *t, void **p, const char *who) {
  for (int k = 0; k < t->ncases; k++) {
    const Case *c = &t->cases[k];
    for (int i = 0; i < t->n; i++) {
      Value want, got = value_load(c->type, (char *)p[k + 2] + i * dtype_bytes(c->type));
      meaning(t, c, i, &want);
      if (same_value(c->type, got, want)) continue;
      fail_msg("%s: %s of %s, a = %lld or %.17g, b = %lld or %.17g: %lld or %.17g, not %lld or %.17g", who,
               case_text(t, c), dtype_name(t->type), (long long)t->a[i].i, t->a[i].f, (long long)t->b[i].i, t->b[i].f,
               (long long)got.i, got.f, (long long)want.i, want.f);
    }
  }
}

typedef struct Phases {
  const Func *lowered;
} Phases;

static void see_made(void *self, const Compilation *c, const Unit *u, const char *phase, const Func *f,
                     double seconds) {
  (void)c, (void)u, (void)seconds;
  if (!strcmp(phase, "lower")) ((Phases *)self)->lowered = f;
}

// The kernel of the table, lowered.
static const Unit *compiled(Table *t, Compilation *c, Phases *seen) {
  static CompileOptions options;
  options = (CompileOptions){.config = vta_config_default()};
  CompileHooks hooks = {.self = seen, .made = see_made};
  const char *text = kernel_text(t);
  if (!compile(c, &t->cx, source_new(t->cx.arena, "ops.te", text, strlen(text)), &options, &hooks)) {
    diags_print(t->cx.diags, stderr, DIAG_TEXT, NULL);
    fail_msg("the operations of %s do not compile", dtype_name(t->type));
  }
  return c->units.data[0];
}

static void run_evaluator(Table *t, const TeKernel *k) {
  void **p = make_arrays(t);
  assert_true(te_eval(&t->cx, k, &(TeArrays){p}));
  held_to_meaning(t, p, "the evaluator");
}

static void run_interpreter(Table *t, const Func *f, const char *who) {
  const char *error = NULL;
  void **p = make_arrays(t);
  assert_true(tir_interpret(&t->cx, f, p, NULL, &error));
  held_to_meaning(t, p, who);
}

static void run_llvm(Table *t, const Func *f, int level, const char *cpu) {
  const char *why;
  const LlvmBackend *backend = llvm_backend_load(&why);
  void *handle, **p = make_arrays(t);
  LlvmEntry *entry;
  LlvmOptions opt = {.opt_level = level, .cpu = cpu};
  assert_non_null(backend);
  assert_true(backend->jit_compile(&t->cx, f, &opt, 0, NULL, &handle, &entry));
  assert_int_equal(entry(p), 0);
  held_to_meaning(t, p, arena_printf(t->cx.arena, "LLVM's code, -O%d %s", level, cpu ? cpu : "of this machine"));
  backend->jit_free(handle);
}

static void all_types(void **state) {
  (void)state;
  Table *t = malloc(sizeof *t);
  for (int type = 0; type < DT_COUNT; type++) {
    Compilation c;
    Phases seen = {0};
    fill_table(t, (DType)type);
    const Unit *u = compiled(t, &c, &seen);
    run_evaluator(t, u->kernel);
    run_interpreter(t, seen.lowered, "the interpreter");
    run_interpreter(t, func_with_body(&t->cx, seen.lowered, stmt_simplify(&t->cx, seen.lowered->body)),
                    "the simplifier");
    run_llvm(t, u->func, 0, NULL);
    run_llvm(t, u->func, 2, "x86-64");
    run_llvm(t, u->func, type % 2 ? 1 : 3, NULL);
    arena_free(t->cx.arena);
  }
  free(t);
}

// ---- constants and intervals ----------------------------------------------------------------------------------------

static const Expr *constant(Table *t, DType type, Value v) {
  return dtype_is_float(type) ? expr_float(&t->cx, type, v.f) : expr_int(&t->cx, type, (int64_t)v.i);
}

static const Expr *case_of_constants(Table *t, const Case *c, int i) {
  const Expr *a = constant(t, t->type, t->a[i]), *b = constant(t, t->type, t->b[i]);
  switch (c->kind) {
  case BINARY_CASE: return expr_binary(&t->cx, (BinOp)c->op, a, b);
  case UNARY_CASE: return expr_unary(&t->cx, (UnOp)c->op, a);
  case MATH_CASE: return expr_math(&t->cx, (MathFn)c->op, a, math_arity((MathFn)c->op) > 1 ? b : NULL);
  case CAST_CASE: return expr_cast(&t->cx, c->type, a);
  }
  return NULL;
}

// Constants that are folded are folded to the meaning; integers are folded always.
static void constants_are_folded(void **state) {
  (void)state;
  Table *t = malloc(sizeof *t);
  for (int type = 0; type < DT_COUNT; type++) {
    fill_table(t, (DType)type);
    for (int k = 0; k < t->ncases; k++)
      for (int i = 0; i < t->n; i++) {
        const Case *c = &t->cases[k];
        const Expr *e = expr_simplify(&t->cx, NULL, case_of_constants(t, c, i));
        Value want, got = {.i = e->value.i, .f = e->value.f};
        meaning(t, c, i, &want);
        if (e->kind != EXPR_INT && e->kind != EXPR_FLOAT) {
          assert_true(dtype_is_float(t->type) || dtype_is_float(c->type));
          continue;
        }
        if (c->type == DT_U64) got.i = (Wide)(uint64_t)e->value.i;
        if (!same_value(c->type, got, want))
          fail_msg("the folder: %s of %s, a = %lld or %.17g, b = %lld or %.17g: %lld or %.17g", case_text(t, c),
                   dtype_name(t->type), (long long)t->a[i].i, t->a[i].f, (long long)t->b[i].i, t->b[i].f,
                   (long long)got.i, got.f);
      }
    arena_free(t->cx.arena);
  }
  free(t);
}

static Interval between(const Value *v, int i, int j) {
  return interval_join(interval_point(v[i].i), interval_point(v[j].i));
}

static Interval interval_case(const Table *t, const Case *c, Interval a, Interval b) {
  switch (c->kind) {
  case BINARY_CASE: return interval_binary((BinOp)c->op, t->type, a, b);
  case UNARY_CASE: return interval_unary((UnOp)c->op, t->type, a);
  case MATH_CASE: return interval_math((MathFn)c->op, t->type, a, b);
  case CAST_CASE: return interval_cast(c->type, t->type, a);
  }
  return (Interval){1, 0};
}

static bool allows(Interval r, Value v) { return interval_within(interval_point(v.i), r); }

// The interval of a result contains the results of the edge values in the intervals of the operands.
static void intervals_contain_results(void **state) {
  (void)state;
  Table *t = malloc(sizeof *t);
  for (int type = 0; type < DT_COUNT; type++) {
    if (dtype_is_float((DType)type)) continue;
    fill_table(t, (DType)type);
    uint64_t random = 1;
    for (int k = 0; k < t->ncases; k++)
      for (int round = 0; round < 4000; round++) {
        const Case *c = &t->cases[k];
        int pick[4];
        if (dtype_is_float(c->type)) break;
        for (int j = 0; j < 4; j++)
          random = random * 6364136223846793005u + 1442695040888963407u,
          pick[j] = (int)((random >> 33) % (uint64_t)t->n);
        Interval a = between(t->a, pick[0], pick[1]), b = between(t->b, pick[2], pick[3]),
                 r = interval_case(t, c, a, b);
        for (int i = 0; i < t->n; i++) {
          Value want;
          if (!allows(a, t->a[i]) || !allows(b, t->b[i])) continue;
          meaning(t, c, i, &want);
          if (!allows(r, want))
            fail_msg("intervals: %s of %s, a in [%lld, %lld], b in [%lld, %lld]: [%lld, %lld] has not %lld",
                     case_text(t, c), dtype_name(t->type), (long long)a.lo, (long long)a.hi, (long long)b.lo,
                     (long long)b.hi, (long long)r.lo, (long long)r.hi, (long long)want.i);
        }
      }
    arena_free(t->cx.arena);
  }
  free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_types),
      cmocka_unit_test(constants_are_folded),
      cmocka_unit_test(intervals_contain_results),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

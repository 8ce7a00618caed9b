// SPDX-License-Identifier: Apache-2.0
// Random programs through vthread, storage, sync, uop, intrin: executed on the model after the passes, in several
// orders, they give what the program gave before. `test_random SEED` runs one and prints it.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gen.h"
#include "passes/sync.h"

#define PROGRAMS 1000

typedef struct Totals {
  int64_t programs, refused, unordered, tokens, syncs, instructions, steps;
} Totals;

static VtaConfig config_of(uint64_t seed) {
  VtaConfig c = vta_config_default();
  c.log_inp_buff = 8 + (int)(seed % 2);      // 16 or 32 tiles
  c.log_wgt_buff = 12;                       // 16
  c.log_acc_buff = 11 + (int)(seed / 2 % 3); // 32 to 128
  c.log_out_buff = c.log_acc_buff + c.log_out_width - c.log_acc_width;
  c.log_uop_buff = 5 + (int)(seed % 5); // 8 to 128
  return c;
}

static void print_func(Ctx *cx, const char *title, const Func *f) {
  Text t = {.arena = cx->arena};
  tir_print(f, NULL, &t);
  printf("# %s\n%s\n", title, t.data);
}

static const char *run_one(uint64_t seed, bool show, Totals *sum) {
  static char error[400];
  Arena *a = arena_new();
  Ctx cx = {.arena = a, .names = names_new(a), .diags = diags_new(a)};
  VtaConfig config = config_of(seed);
  VtaTarget *vta = vta_target_new(&cx, &config);
  const Func *f = gen_program(&cx, vta, seed), *now = f;
  PassCtx pc = {.cx = &cx, .vta = vta};
  static PassFn *const passes[] = {pass_vthread, pass_storage, pass_sync, pass_uop, pass_intrin};
  const char *why = NULL;
  error[0] = 0;
  if (show) print_func(&cx, "before", f);
  ModelResult want = model_run(&cx, vta, f, RUN_AT_ONCE, seed);
  if (want.error) snprintf(error, sizeof error, "the program itself: %s", want.error);
  for (int i = 0; i < 5 && !error[0] && now; i++) {
    now = passes[i](&pc, now);
    if (now && show) print_func(&cx, "after a pass", now);
    if (!now || i != 2) continue;
    if (sync_order(&pc, now->body, &why) > SYNC_SAMPLED) snprintf(error, sizeof error, "unordered: %s", why);
    if (pc.stats.fallbacks && sum->unordered++ < 5) print_message("# seed %d fell back\n", (int)seed);
  }
  sum->programs++;
  sum->refused += !now;
  for (int o = 0; o < RUN_ALL && now && !error[0]; o++) {
    ModelResult got = model_run(&cx, vta, now, (RunOrder)o, seed);
    if (got.error) snprintf(error, sizeof error, "order %d: %s", o, got.error);
    for (int i = 0; i < f->nparams && !error[0]; i++)
      for (int64_t k = 0; k < model_cells(f->params[i]); k++)
        if (got.params[i][k] != want.params[i][k])
          snprintf(error, sizeof error, "order %d: %s[%lld] differs", o, f->params[i]->name, (long long)k);
    if (o > 0) continue;
    sum->tokens += got.tokens;
    sum->syncs += got.syncs;
    sum->instructions += got.instructions;
    sum->steps += got.steps;
  }
  arena_free(a);
  return error[0] ? error : NULL;
}

static void test_random_programs(void **state) {
  (void)state;
  Totals t = {0};
  for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
    const char *error = run_one(seed, false, &t);
    if (error) fail_msg("seed %d: %s", (int)seed, error);
  }
  print_message("# %d programs (%d do not fit, %d fell back): %d instructions, %d steps, %d tokens, %d syncs\n",
                (int)t.programs, (int)t.refused, (int)t.unordered, (int)t.instructions, (int)t.steps, (int)t.tokens,
                (int)t.syncs);
  assert_true(t.refused < t.programs / 4);
  assert_int_equal(t.unordered, 0); // the first placement is right; the others are for what nobody thought of
}

int main(int argc, char **argv) {
  if (argc == 2) {
    Totals t = {0};
    const char *error = run_one(strtoull(argv[1], NULL, 10), true, &t);
    puts(error ? error : "agrees");
    return error != NULL;
  }
  if (argc == 3) { // from, to: only what fails
    Totals t = {0};
    int bad = 0;
    for (uint64_t s = strtoull(argv[1], NULL, 10); s < strtoull(argv[2], NULL, 10); s++) {
      const char *error = run_one(s, false, &t);
      if (error && bad++ < 10) printf("%llu: %s\n", (unsigned long long)s, error);
    }
    printf("%d failed of %d, %d refused, %d fell back, tokens %d instructions %d steps %d\n", bad, (int)t.programs,
           (int)t.refused, (int)t.unordered, (int)t.tokens, (int)t.instructions, (int)t.steps);
    return bad != 0;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_programs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// Random copies, lowered, against the loops they came from. Every case must be lowered and leave the same bytes, in
// both memories, as the loops did. `./dev test --long` runs 100000; TETC_COPY_CASES sets how many, TETC_COPY_SEED the
// first. A seed gives the same case on every machine.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "passes/passes.h"
#include "random_copies.h"

static int64_t from_env(const char *name, int64_t otherwise) {
  const char *text = getenv(name);
  return text ? strtoll(text, NULL, 0) : otherwise;
}

// Runs s on fresh memory filled from the seed.
static bool run(const VtaTarget *vta, const RandomCopy *copy, const Stmt *s, uint64_t seed, uint8_t *chip, uint8_t *dram,
                Model *m) {
  size_t chip_bytes = (size_t)(buffer_elems(copy->chip) * dtype_bytes(copy->chip->type));
  size_t dram_bytes = (size_t)(buffer_elems(copy->dram) * dtype_bytes(copy->dram->type));
  *m = (Model){.vta = vta};
  for (size_t i = 0; i < chip_bytes; i++) chip[i] = (uint8_t)random_next(&seed);
  for (size_t i = 0; i < dram_bytes; i++) dram[i] = (uint8_t)random_next(&seed);
  model_add(m, copy->chip, chip);
  model_add(m, copy->dram, dram);
  return model_run(m, s);
}

static const char *one_case(uint64_t seed, int64_t *transfers) {
  const char *problem = NULL;
  Ctx cx = {.arena = arena_new()};
  cx.names = names_new(cx.arena);
  cx.diags = diags_new(cx.arena);
  VtaConfig config = vta_config_default();
  const VtaTarget *vta = vta_target_new(&cx, &config);
  RandomCopy copy = random_copy(&cx, vta, seed);
  PassCtx pc = {.cx = &cx, .vta = vta};
  Func *after = pass_inject_copy(&pc, copy.f);
  size_t chip_bytes = (size_t)(buffer_elems(copy.chip) * dtype_bytes(copy.chip->type));
  size_t dram_bytes = (size_t)(buffer_elems(copy.dram) * dtype_bytes(copy.dram->type));
  uint8_t *want_chip = malloc(chip_bytes), *want_dram = malloc(dram_bytes);
  uint8_t *have_chip = malloc(chip_bytes), *have_dram = malloc(dram_bytes);
  Model m;
  if (!after) problem = "refused";
  else if (!run(vta, &copy, copy.f->body, seed, want_chip, want_dram, &m)) problem = "the loops are wrong";
  else if (!run(vta, &copy, after->body, seed, have_chip, have_dram, &m)) problem = m.error;
  else if (memcmp(want_chip, have_chip, chip_bytes)) problem = "the chip differs";
  else if (memcmp(want_dram, have_dram, dram_bytes)) problem = "memory differs";
  if (!problem) *transfers += m.transfers;

  if (problem) {
    Text t = {.arena = cx.arena};
    tir_print(copy.f, NULL, &t);
    if (after) tir_print(after, NULL, &t);
    print_message("# %s\n", t.data);
  }
  if (problem && !after) diags_print(cx.diags, stdout, DIAG_TEXT, false, 0);
  free(want_chip);
  free(want_dram);
  free(have_chip);
  free(have_dram);
  arena_free(cx.arena);
  return problem;
}

static void random_copies(void **state) {
  (void)state;
  int64_t cases = from_env("TETC_COPY_CASES", getenv("TETC_LONG_TESTS") ? 100000 : 1200), first = from_env("TETC_COPY_SEED", 1), transfers = 0, bad = 0;
  for (int64_t seed = first; seed < first + cases && bad < 5; seed++) {
    const char *problem = one_case((uint64_t)seed, &transfers);
    if (problem) print_message("# TETC_COPY_SEED=%lld: %s\n", (long long)seed, problem), bad++;
  }
  print_message("# %lld cases, %lld transfers\n", (long long)cases, (long long)transfers);
  assert_int_equal(bad, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_copies)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

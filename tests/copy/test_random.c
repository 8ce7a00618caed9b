// SPDX-License-Identifier: Apache-2.0
// Random copies, lowered, against the loops they came from. Every case must be lowered and leave the same bytes, in
// both memories, as the loops did. Where odd things go on inside of tiles, a case may be refused instead if no
// transfers can make it, which is found out element by element. `./dev test --long` runs 100000; TETC_COPY_CASES sets
// how many, TETC_COPY_SEED the first. A seed gives the same case on every machine.
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
static bool run(const VtaTarget *vta, const RandomCopy *copy, const Stmt *s, uint64_t seed, uint8_t *chip,
                uint8_t *dram, Model *m) {
  size_t chip_bytes = (size_t)(buffer_elems(copy->chip) * dtype_bytes(copy->chip->type));
  size_t dram_bytes = (size_t)(buffer_elems(copy->dram) * dtype_bytes(copy->dram->type));
  *m = (Model){.vta = vta};
  for (size_t i = 0; i < chip_bytes; i++) chip[i] = (uint8_t)random_next(&seed);
  for (size_t i = 0; i < dram_bytes; i++) dram[i] = (uint8_t)random_next(&seed);
  model_add(m, copy->chip, chip);
  model_add(m, copy->dram, dram);
  return model_run(m, s);
}

// Runs the loops with each element of the source holding one byte of its number, and adds what arrived where to the
// numbers, from 1; 0 is zero and -1 untouched.
static bool run_numbers(const VtaTarget *vta, const RandomCopy *copy, const Buffer *from, const Buffer *to, int byte,
                        int64_t *number, int64_t *stores) {
  size_t nfrom = (size_t)buffer_elems(from), nto = (size_t)buffer_elems(to), size = dtype_bytes(to->type);
  uint8_t *src = calloc(nfrom, dtype_bytes(from->type)), *dst = malloc(nto * size);
  Model m = {.vta = vta};
  for (size_t i = 0; i < nfrom; i++)
    scalar_store(from->type, src + i * dtype_bytes(from->type), (Scalar){.i = (int64_t)(i + 1) >> 6 * byte & 63});
  memset(dst, 0x7F, nto * size);
  model_add(&m, from, src);
  model_add(&m, to, dst);
  bool fine = model_run(&m, copy->f->body);
  *stores = m.stores;
  for (size_t i = 0; i < nto; i++) {
    if (dst[i * size] == 0x7F) number[i] = -1;
    else number[i] += (int64_t)dst[i * size] << 6 * byte;
  }
  free(src);
  free(dst);
  return fine;
}

// Whether transfers can do what the loops do: tile by tile, all of it stays, or is zero, or is one tile of the source.
// Not so where loops write over what they wrote: what is seen is not all that they did.
static bool expressible(const VtaTarget *vta, const RandomCopy *copy) {
  bool store = copy->dram->role == BUF_OUTPUT, fine = true;
  const Buffer *from = store ? copy->chip : copy->dram, *to = store ? copy->dram : copy->chip;
  int64_t n = buffer_elems(to), tile = copy->chip->scope->tile;
  int64_t *number = calloc((size_t)n, sizeof *number), stores = 0, touched = 0;
  for (int byte = 0; byte < 4; byte++) fine &= run_numbers(vta, copy, from, to, byte, number, &stores);
  for (int64_t i = 0; i < n; i++) {
    int64_t first = number[i - i % tile];
    touched += number[i] >= 0;
    fine &= number[i] == (first > 0 ? first + i % tile : first) && (first <= 0 || (first - 1) % tile == 0);
  }
  free(number);
  return fine && stores == touched;
}

typedef struct Tally {
  int64_t transfers, refused;
} Tally;

static const char *one_case(uint64_t seed, Tally *all) {
  const char *problem = NULL;
  Ctx cx = {.arena = arena_new()};
  cx.names = names_new(cx.arena);
  cx.diags = diags_new(cx.arena);
  VtaConfig config = vta_config_default();
  const VtaTarget *vta = vta_target_new(&cx, &config);
  RandomCopy copy = random_copy(&cx, vta, seed, seed % 4 != 0);
  PassCtx pc = {.cx = &cx, .vta = vta};
  Func *after = pass_inject_copy(&pc, copy.f);
  size_t chip_bytes = (size_t)(buffer_elems(copy.chip) * dtype_bytes(copy.chip->type));
  size_t dram_bytes = (size_t)(buffer_elems(copy.dram) * dtype_bytes(copy.dram->type));
  uint8_t *want_chip = malloc(chip_bytes), *want_dram = malloc(dram_bytes);
  uint8_t *have_chip = malloc(chip_bytes), *have_dram = malloc(dram_bytes);
  Model m;
  bool refused = !after && copy.wild && !expressible(vta, &copy);
  all->refused += refused;
  if (refused) problem = NULL;
  else if (!after) problem = "refused";
  else if (!run(vta, &copy, copy.f->body, seed, want_chip, want_dram, &m)) problem = "the loops are wrong";
  else if (!run(vta, &copy, after->body, seed, have_chip, have_dram, &m)) problem = m.error;
  else if (memcmp(want_chip, have_chip, chip_bytes)) problem = "the chip differs";
  else if (memcmp(want_dram, have_dram, dram_bytes)) problem = "memory differs";
  if (!problem && !refused) all->transfers += m.transfers;

  if (problem) {
    Text t = {.arena = cx.arena};
    tir_print(copy.f, NULL, &t);
    if (after) tir_print(after, NULL, &t);
    print_message("# %s\n", t.data);
  }
  if (problem && !after) diags_print(cx.diags, stdout, DIAG_TEXT, NULL);
  free(want_chip);
  free(want_dram);
  free(have_chip);
  free(have_dram);
  arena_free(cx.arena);
  return problem;
}

static void random_copies(void **state) {
  (void)state;
  int64_t cases = from_env("TETC_COPY_CASES", getenv("TETC_LONG_TESTS") ? 100000 : 1200);
  int64_t first = from_env("TETC_COPY_SEED", 1), bad = 0;
  Tally all = {0};
  for (int64_t seed = first; seed < first + cases && bad < 5; seed++) {
    const char *problem = one_case((uint64_t)seed, &all);
    if (problem) print_message("# TETC_COPY_SEED=%lld: %s\n", (long long)seed, problem), bad++;
  }
  print_message("# %lld cases, %lld transfers; %lld that no transfers can make, refused\n", (long long)cases,
                (long long)all.transfers, (long long)all.refused);
  assert_int_equal(bad, 0);
  assert_true(all.refused > 0 || cases < 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_copies)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
// How many transfers a copy takes, against the fewest that there can be. A load writes an interval of the chip, in
// order, and a store reads one; so the fewest that write no tile twice come from the best way to divide the tiles that
// are copied into intervals, each of which one transfer can make: dynamic programming over all intervals.
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

#define TILES_MAX 160
enum { UNTOUCHED = -2, ZERO = -1 };

// What a copy does to each tile of the chip: the tile of memory at the other end, ZERO, or UNTOUCHED.
typedef struct Picture {
  int64_t n;
  int64_t at[TILES_MAX];
} Picture;

static bool row_is_zero(const int64_t *row, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (row[i] != ZERO) return false;
  return true;
}

// Whether one transfer of rows of `width` tiles makes these: the same pads in every row, the same stride between them.
static bool one_transfer_of(const int64_t *at, int64_t n, int64_t width, bool pads) {
  int64_t rows = n / width, top = 0, bottom = 0, left = 0, right = 0;
  while (top < rows && row_is_zero(at + top * width, width)) top++;
  if (top == rows) return pads; // vta.zero
  while (row_is_zero(at + (rows - 1 - bottom) * width, width)) bottom++;
  while (at[top * width + left] == ZERO) left++;
  while (at[top * width + width - 1 - right] == ZERO) right++;
  if (top > 15 || bottom > 15 || left > 15 || right > 15) return false;
  int64_t first = at[top * width + left], stride = 0;
  if (rows - top - bottom > 1) stride = at[(top + 1) * width + left] - first;
  if (stride < 0 || stride > 65535) return false;
  for (int64_t r = top; r < rows - bottom; r++)
    for (int64_t c = 0; c < width; c++) {
      bool pad = c < left || c >= width - right;
      if (at[r * width + c] != (pad ? ZERO : first + (r - top) * stride + c - left)) return false;
    }
  return true;
}

static bool one_transfer(const int64_t *at, int64_t n, bool pads) {
  for (int64_t width = 1; width <= n; width++)
    if (n % width == 0 && one_transfer_of(at, n, width, pads)) return true;
  return false;
}

// The fewest transfers for a picture.
static int64_t fewest(const Picture *p, bool pads) {
  int64_t best[TILES_MAX + 1] = {0};
  for (int64_t end = 1; end <= p->n; end++) {
    best[end] = INT64_MAX;
    if (p->at[end - 1] == UNTOUCHED) {
      best[end] = best[end - 1];
      continue;
    }
    for (int64_t start = end - 1; start >= 0 && p->at[start] != UNTOUCHED; start--)
      if (best[start] + 1 < best[end] && one_transfer(p->at + start, end - start, pads)) best[end] = best[start] + 1;
  }
  return best[p->n];
}

// Runs f's region in one iteration of the loops around it, with every tile of memory (of the chip, for a store) holding
// its number, and reads off what went where.
static bool picture_of(const VtaTarget *vta, const RandomCopy *copy, const Func *f, const int64_t *at, Picture *out,
                       Model *m) {
  bool store = copy->dram->role == BUF_OUTPUT;
  const Buffer *from = store ? copy->chip : copy->dram, *to = store ? copy->dram : copy->chip;
  int64_t tile = copy->chip->scope->tile, nfrom = buffer_elems(from) / tile, nto = buffer_elems(to) / tile;
  int64_t size = dtype_bytes(from->type), tosize = dtype_bytes(to->type);
  uint8_t *src = calloc((size_t)(nfrom * tile), (size_t)size), *dst = calloc((size_t)(nto * tile), (size_t)tosize);
  const Stmt *s = f->body->body;
  *m = (Model){.vta = vta};
  for (int i = 0; i < copy->nouter; i++, s = s->body) {
    m->vars[m->nvars].var = s->var;
    m->vars[m->nvars++].value = at[i];
  }
  model_add(m, from, src);
  model_add(m, to, dst);
  for (int64_t i = 0; i < nfrom; i++) // number + 1 in two lanes, of 7 bits each
    for (int k = 0; k < 2; k++) src[(i * tile + k) * size] = (uint8_t)((i + 1) >> (7 * k) & 127);
  memset(dst, 0x55, (size_t)(nto * tile * tosize));
  out->n = buffer_elems(copy->chip) / tile;
  for (int64_t i = 0; i < TILES_MAX; i++) out->at[i] = UNTOUCHED;
  bool fine = model_run(m, s) && nfrom < 16000;
  for (int64_t i = 0; fine && i < nto; i++) {
    const uint8_t *t = dst + i * tile * tosize;
    if (t[2 * tosize] == 0x55) continue; // lane 2 is zero in all that is copied
    int64_t number = t[0] + 128 * t[tosize] - 1, chip = store ? number : i, dram = store ? i : number;
    if (store && out->at[chip] != UNTOUCHED) fine = false; // stored twice: not a picture
    out->at[chip] = number < 0 ? ZERO : dram;
  }
  int64_t touched = 0;
  for (int64_t i = 0; i < TILES_MAX; i++) touched += out->at[i] != UNTOUCHED;
  free(src);
  free(dst);
  return fine && (m->transfers || m->stores == touched * tile); // else something is written over
}

typedef struct Tally {
  int64_t cases, minimal, ours, least;
} Tally;

// The transfers of all iterations around the region, as they are and at least. False if a picture is not to be had.
static bool count_transfers(const VtaTarget *vta, const RandomCopy *copy, const Func *after, Tally *t) {
  int64_t at[2] = {0}, end[2] = {1, 1};
  const Stmt *s = copy->f->body->body;
  for (int i = 0; i < copy->nouter; i++, s = s->body) end[i] = s->extent->value.i;
  for (; at[0] < end[0]; at[0]++)
    for (at[1] = 0; at[1] < end[1]; at[1]++) {
      Picture p;
      Model m;
      if (!picture_of(vta, copy, copy->f, at, &p, &m)) return false;
      t->least += fewest(&p, copy->dram->role != BUF_OUTPUT);
      picture_of(vta, copy, after, at, &p, &m);
      t->ours += m.transfers;
    }
  return true;
}

static void show(Ctx *cx, const RandomCopy *copy, const Func *after, uint64_t seed, const Tally *t) {
  Text text = {.arena = cx->arena};
  tir_print(copy->f, NULL, &text);
  tir_print(after, NULL, &text);
  print_message("# seed %lld: %lld, fewest %lld\n", (long long)seed, (long long)t->ours, (long long)t->least);
  fprintf(stderr, "%s\n", text.data);
}

static void one_case(uint64_t seed, Tally *all) {
  Ctx cx = {.arena = arena_new()};
  cx.names = names_new(cx.arena);
  cx.diags = diags_new(cx.arena);
  VtaConfig config = vta_config_default();
  const VtaTarget *vta = vta_target_new(&cx, &config);
  RandomCopy copy = random_copy(&cx, vta, seed, false);
  PassCtx pc = {.cx = &cx, .vta = vta};
  Func *after = pass_inject_copy(&pc, copy.f);
  Tally t = {0};
  if (after && buffer_elems(copy.chip) / copy.chip->scope->tile <= TILES_MAX &&
      count_transfers(vta, &copy, after, &t)) {
    all->cases++;
    all->ours += t.ours;
    all->least += t.least;
    all->minimal += t.ours <= t.least;
    if (t.ours > t.least && getenv("TETC_COPY_SHOW")) show(&cx, &copy, after, seed, &t);
  }
  arena_free(cx.arena);
}

static void fewest_transfers(void **state) {
  (void)state;
  const char *text = getenv("TETC_COPY_CASES");
  int64_t cases = text ? strtoll(text, NULL, 0) : 2000;
  Tally all = {0};
  for (int64_t seed = 1; seed <= cases; seed++) one_case((uint64_t)seed, &all);
  print_message("# %lld cases: %lld minimal; %lld transfers, %lld at least\n", (long long)all.cases,
                (long long)all.minimal, (long long)all.ours, (long long)all.least);
  assert_true(all.cases > cases / 10);
  // The cases are the same on every machine and in every run, so that these move with the pass or the generator only.
  // 99.6 % are minimal, with 1.0 % more transfers than the least; 99.4 % and 1.0 % of the first 20000 seeds.
  assert_true(all.minimal * 1000 >= all.cases * 990);
  assert_true(all.ours * 1000 <= all.least * 1020);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(fewest_transfers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

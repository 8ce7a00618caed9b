// SPDX-License-Identifier: Apache-2.0
// The dot products as they are synthesised (vta_dot with two products in a multiplier), against plain arithmetic: every
// combination of two weights and an input, the extremes everywhere else; then random vectors of three kinds.
#include "Vvta_dot.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstring>

double sc_time_stamp() { return 0; }

namespace {

constexpr int kBlock = 16, kRandom = 200000;

struct Bench {
  VerilatedContext context;
  Vvta_dot dot{&context};
  int8_t inp[kBlock], wgt[kBlock][kBlock];
  uint64_t seed = 1;
};

uint32_t next(Bench *b) {
  b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
  return static_cast<uint32_t>(b->seed >> 33);
}

// What the module makes of inp and wgt; false and a message when a sum is not exact.
bool agrees(Bench *b) {
  memcpy(&b->dot.inp_i, b->inp, sizeof b->inp);
  memcpy(&b->dot.wgt_i, b->wgt, sizeof b->wgt);
  b->dot.valid_i = 1;
  b->dot.clk_i = 0;
  b->dot.eval();
  b->dot.clk_i = 1;
  b->dot.eval();
  int32_t got[kBlock];
  memcpy(got, &b->dot.dot_o, sizeof got);
  for (int c = 0; c < kBlock; c++) {
    int32_t want = 0;
    for (int k = 0; k < kBlock; k++) want += b->inp[k] * b->wgt[c][k];
    if (got[c] != want) return printf("# row %d: %d, not %d\n", c, got[c], want), false;
  }
  return true;
}

// A multiplier has a weight of an even row, one of the odd row after it, and an input. All their 2^24 combinations, eight
// pairs of rows at a time, the position of the input going round; what is added to it is 0 or as large as can be.
bool all_products(Bench *b) {
  static const int8_t extremes[4] = {0, -128, 127, -128};
  for (int x = -128; x < 128; x++) {
    for (int even = -128; even < 128; even++) {
      for (int odd = -128; odd < 128; odd += kBlock / 2) {
        int at = (x + even + odd / 8) & (kBlock - 1), other = next(b) & 3;
        memset(b->inp, extremes[other], sizeof b->inp);
        memset(b->wgt, extremes[(other + (odd >> 3)) & 3], sizeof b->wgt);
        b->inp[at] = static_cast<int8_t>(x);
        for (int n = 0; n < kBlock / 2; n++) {
          b->wgt[2 * n][at] = static_cast<int8_t>(even);
          b->wgt[2 * n + 1][at] = static_cast<int8_t>(odd + n);
        }
        if (!agrees(b)) return printf("# %d * (%d, %d..)\n", x, even, odd), false;
      }
    }
  }
  return true;
}

// Any bytes; mostly -128 and 127; all the same.
bool random_vectors(Bench *b, int kind) {
  auto byte = [&](uint32_t same) {
    uint32_t r = next(b);
    return static_cast<int8_t>(kind == 0 ? r : kind == 1 ? (r & 1 ? -128 : r & 2 ? 127 : r >> 8) : same);
  };
  for (int n = 0; n < kRandom; n++) {
    uint32_t same_inp = next(b), same_wgt = next(b);
    for (int8_t &v : b->inp) v = byte(same_inp);
    for (auto &row : b->wgt)
      for (int8_t &v : row) v = byte(same_wgt);
    if (!agrees(b)) return false;
  }
  return true;
}

} // namespace

int main() {
  Bench b;
  printf("1..4\n");
  printf("%s 1 - all products\n", all_products(&b) ? "ok" : "not ok");
  static const char *const kinds[] = {"bytes", "extremes", "constants"};
  for (int kind = 0; kind < 3; kind++)
    printf("%s %d - random %s\n", random_vectors(&b, kind) ? "ok" : "not ok", kind + 2, kinds[kind]);
  b.dot.final();
  return 0;
}

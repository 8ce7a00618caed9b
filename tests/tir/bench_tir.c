// SPDX-License-Identifier: Apache-2.0
// bench_tir FILE.tir: how fast TIR is read, printed, simplified and verified, and how fast the interpreter is.
// Processor time; run by dev bench, never a test.
#include "gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ENOUGH = 16 << 20, RUNS = 3 }; // bytes of text; of each the best counts

static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void rate(const char *what, double work, double took, const char *unit, double goal) {
  printf("%-46s %8.1f %s", what, work / took / 1e6, unit);
  if (goal > 0) printf("   (at least %.0f)", goal);
  printf("\n");
}

// The body of a function as often as makes a text large.
static const Stmt *repeated(Ctx *cx, const Func *f, size_t len) {
  size_t n = ENOUGH / len + 1;
  const Stmt **all = NEW_ARRAY(cx->arena, const Stmt *, n);
  for (size_t i = 0; i < n; i++) all[i] = f->body;
  return stmt_seq(cx, (int)n, all);
}

static void texts(const Func *small, size_t len, bool locations) {
  double best[2] = {1e9, 1e9};
  size_t bytes = 0;
  for (int r = 0; r < RUNS; r++) {
    Ctx cx = gen_ctx();
    Func *f = func_with_body(&cx, small, repeated(&cx, small, len));
    Text t = {.arena = cx.arena};
    TirPrintOptions o = {.locations = locations};
    double start = seconds();
    tir_print(f, &o, &t);
    double printed = seconds();
    const Func *g = tir_parse(&cx, source_new(cx.arena, "big.tir", t.data, t.len), small->target);
    double read = seconds();
    if (!g) exit(1);
    if (printed - start < best[0]) best[0] = printed - start;
    if (read - printed < best[1]) best[1] = read - printed;
    bytes = t.len;
    arena_free(cx.arena);
  }
  rate(locations ? "printing TIR with places" : "printing TIR", (double)bytes, best[0], "MB/s", 20);
  rate(locations ? "reading TIR with places" : "reading TIR", (double)bytes, best[1], "MB/s", 20);
}

// Executes a body on int32[256, 256] arrays a, b, c; ops: scalar operations (loads, stores, arithmetic) it takes.
static void interpret(const char *what, const char *body, double ops) {
  double best = 1e9;
  for (int r = 0; r < RUNS; r++) {
    Ctx cx = gen_ctx();
    const char *text = arena_printf(
        cx.arena, "func f(a: int32[256, 256] input, b: int32[256, 256] input, c: int32[256, 256] output) { %s }", body);
    Func *f = tir_parse(&cx, source_new(cx.arena, "loop.tir", text, strlen(text)), NULL);
    const char *error;
    if (!f) exit(1);
    void *params[3] = {calloc(65536, 4), calloc(65536, 4), calloc(65536, 4)};
    double start = seconds();
    if (!tir_interpret(&cx, f, params, NULL, &error)) exit(1);
    if (seconds() - start < best) best = seconds() - start;
    for (int i = 0; i < 3; i++) free(params[i]);
    arena_free(cx.arena);
  }
  rate(what, ops, best, "M scalar operations/s", 50);
}

int main(int argc, char **argv) {
  Ctx cx = gen_ctx();
  const char *error;
  const Source *src = argc > 1 ? source_read(cx.arena, argv[1], &error) : NULL;
  const Func *f = src ? tir_parse(&cx, src, NULL) : NULL;
  if (!f) return 1;
  texts(f, src->len, false);
  texts(f, src->len, true);
  interpret("interpreting a matrix product",
            "for i in 0..256 { for j in 0..256 { c[i, j] = 0i32; for k in 0..256 { c[i, j] = c[i, j] + a[i, k] * b[j, "
            "k]; } } }",
            6.0 * 256 * 256 * 256);
  interpret("interpreting pointwise work with conditions",
            "for n in 0..200 { for i in 0..256 { for j in 0..256 { c[i, j] = i + j >= n && j < 255 ? max(a[i, j + 1], "
            "3i32) : "
            "b[i, j] >> 2i32; } } }",
            8.0 * 200 * 256 * 256);
  arena_free(cx.arena);
  return 0;
}

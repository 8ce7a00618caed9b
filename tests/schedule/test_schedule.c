// SPDX-License-Identifier: Apache-2.0
// Schedules made by calls: they print as texts that read back to the same schedule, and so does every schedule of a
// text. `test_schedule DIR...`: all kernels below these folders are read, scheduled, printed and read again; what
// becomes of them must not change.
#include "compile/compile.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Ctx new_ctx(void) {
  Ctx cx = {.arena = arena_new()};
  cx.names = names_new(cx.arena);
  cx.diags = diags_new(cx.arena);
  return cx;
}

// What becomes of one kernel: phases `schedule` and `lower` as text, and the text of its schedule.
typedef struct Made {
  Text sketch, tir, text;
} Made;

static void show(Ctx *cx, const VtaTarget *vta, const Schedule *s, Made *m) {
  *m = (Made){{.arena = cx->arena}, {.arena = cx->arena}, {.arena = cx->arena}};
  schedule_print(s, &m->sketch);
  schedule_text(s, &m->text);
  PassCtx pc = {.cx = cx, .vta = vta};
  Func *f = pass_lower(&pc, s);
  if (f) tir_print(f, &(TirPrintOptions){0}, &m->tir);
}

// A kernel's sketch without its first lines, which name its schedule and knobs.
static const char *without_head(const char *sketch) {
  while (!strncmp(sketch, "// k", 4)) sketch = strchr(sketch, '\n') + 1;
  return sketch;
}

// ---- made by calls --------------------------------------------------------------------------------------------------

// A kernel without a schedule, and a schedule on its way.
typedef struct Work {
  Ctx cx;
  Compilation c;
  Schedule *s;
} Work;

static CompileOptions defaults(void) { return (CompileOptions){.config = vta_config_default(), .stop_after = "lower"}; }

static void begin(Work *w, const char *text) {
  static CompileOptions o;
  o = defaults();
  w->cx = new_ctx();
  assert_true(compile_load(&w->c, &w->cx, source_new(w->cx.arena, "memory.te", text, strlen(text)), &o, NULL));
  bool vta = w->c.module->target;
  ScheduleOptions so = {.target = vta ? &w->c.vta->tir : NULL, .te_target = vta ? &w->c.vta->te : NULL};
  w->s = schedule_new(&w->cx, w->c.module, w->c.kernels.data[0], &so);
}

static Stage *stage(const Work *w, const char *name) {
  Stage *s = schedule_stage_named(w->s, name_of(w->cx.names, name));
  assert_non_null(s);
  return s;
}

static Axis *axis(const Work *w, const Stage *s, const char *name) {
  Axis *a = stage_axis(s, name_of(w->cx.names, name));
  assert_non_null(a);
  return a;
}

static void order(Work *w, Stage *s, int n, const char *const *names) {
  Axis *a[16];
  for (int i = 0; i < n; i++) a[i] = axis(w, s, names[i]);
  assert_true(stage_reorder(w->s, s, n, a, NULL));
}

// Completes the schedule; reads kernel and printed schedule as one text, and compares.
static void ends_the_same(Work *w, const char *kernel) {
  Made m;
  Ctx cx = new_ctx();
  assert_true(schedule_complete(w->s));
  show(&w->cx, w->c.module->target ? w->c.vta : NULL, w->s, &m);
  assert_non_null(m.tir.data);
  const char *text = arena_printf(cx.arena, "%s%s", kernel, m.text.data);
  CompileOptions o = defaults();
  Compilation c;
  bool ok = compile(&c, &cx, source_new(cx.arena, "memory.te", text, strlen(text)), &o, NULL);
  if (!ok) print_error("refused:\n%s", text);
  assert_true(ok);
  Made back;
  show(&cx, c.module->target ? c.vta : NULL, c.units.data[0]->schedule, &back);
  assert_string_equal(m.text.data, back.text.data);
  assert_string_equal(m.sketch.data, back.sketch.data);
  assert_string_equal(m.tir.data, back.tir.data);
  arena_free(cx.arena);
  arena_free(w->cx.arena);
}

static const char gemm[] = "target vta;\nkernel gemm {\n"
                           "  input a[m: 10, k: 6, b: vta.batch, r: vta.block_in] : int8;\n"
                           "  input w[n: 4, k: 6, j: vta.block_out, r: vta.block_in] : int8;\n"
                           "  compute acc[m: 10, n: 4, b: vta.batch, j: vta.block_out] : int32 =\n"
                           "      sum[k: 6, r: vta.block_in](int32(a[m, k, b, r]) * int32(w[n, k, j, r]));\n"
                           "  compute shr = acc >> 8;\n"
                           "  output out = int8(clamp(shr, -128, 127));\n}\n";

// On the accelerator: tails (4 does not divide 10, nor 4 the 6), copies, threads, the epilogue taken apart.
static void on_the_accelerator(void **state) {
  (void)state;
  Work w;
  begin(&w, gemm);
  const Scope *acc = tir_scope(w.s->target, "vta.acc");
  Stage *out = stage(&w, "out"), *sum = stage(&w, "acc"), *shr = stage(&w, "shr");
  Stage *a = stage_cache_read(w.s, stage(&w, "a"), tir_scope(w.s->target, "vta.inp"), 0, NULL, NULL, NULL);
  Stage *b = stage_cache_read(w.s, stage(&w, "w"), tir_scope(w.s->target, "vta.wgt"), 1, &sum,
                              name_of(w.cx.names, "weights"), NULL);
  assert_true(a && b);
  const Relation *m = stage_split(w.s, out, axis(&w, out, "m"), 4, 0, NULL, NULL);
  const Relation *n = stage_split(w.s, out, axis(&w, out, "n"), 0, 2,
                                  (Name[]){name_of(w.cx.names, "vt"), name_of(w.cx.names, "n")}, NULL);
  assert_true(m && n);
  order(&w, out, 6, (const char *[]){"vt", "m_outer", "m_inner", "n", "b", "j"});
  assert_true(stage_annotate(w.s, out, n->outer, FOR_VTHREAD, NULL));
  assert_true(stage_set_scope(w.s, sum, acc, NULL) && stage_set_scope(w.s, shr, acc, NULL));
  assert_true(stage_compute_at(w.s, sum, out, m->outer, NULL) && stage_compute_at(w.s, shr, out, m->outer, NULL));
  const Relation *k = stage_split(w.s, sum, axis(&w, sum, "k"), 4, 0, NULL, NULL);
  order(&w, sum, 7, (const char *[]){"k_outer", "k_inner", "m", "n", "b", "j", "r"});
  assert_true(stage_compute_at(w.s, a, sum, k->outer, NULL) && stage_compute_at(w.s, b, sum, k->outer, NULL));
  assert_true(stage_mark(w.s, a, MARK_COPY, NULL, NULL) && stage_mark(w.s, b, MARK_COPY, NULL, NULL));
  assert_true(stage_mark(w.s, sum, MARK_TENSORIZE, axis(&w, sum, "b"), NULL) &&
              stage_mark(w.s, shr, MARK_ALU, NULL, NULL));
  assert_true(stage_mark(w.s, out, MARK_COPY, m->inner, NULL) && stage_legalize_epilogue(w.s, out, NULL));
  ends_the_same(&w, gemm);
}

static const char chain[] = "kernel chain {\n"
                            "  input a[i: 20, k: 30] : float32;\n  input b[k: 30, j: 40] : float32;\n"
                            "  compute twice = a * 2.0;\n  compute half = twice * 0.25;\n"
                            "  compute c[i: 20, j: 40] : float32 = sum[k: 30](half[i, k] * b[k, j]);\n"
                            "  output d = c + 1.0;\n  output e[i: 20, i_outer: 3] : float32 = half[i, i_outer];\n}\n";

// On the CPU: tile, fuse, inlining, a copy of the sums; new loops evade names that the stage has.
static void on_the_cpu(void **state) {
  (void)state;
  Work w;
  begin(&w, chain);
  Stage *c = stage(&w, "c"), *d = stage(&w, "d"), *e = stage(&w, "e");
  Axis *t[4];
  assert_true(stage_compute_inline(w.s, stage(&w, "twice"), NULL) && stage_compute_root(w.s, stage(&w, "half"), NULL));
  Stage *sums = stage_cache_write(w.s, c, &scope_host, NULL, NULL),
        *rows = stage_cache_read(w.s, stage(&w, "b"), &scope_host, 0, NULL, NULL, NULL);
  assert_true(sums && rows);
  assert_true(stage_tile(w.s, d, axis(&w, d, "i"), axis(&w, d, "j"), 8, 16, NULL, t, NULL));
  Axis *f = stage_fuse(w.s, d, t[0], t[1], NULL, NULL);
  assert_non_null(f);
  assert_true(stage_annotate(w.s, d, f, FOR_PARALLEL, NULL) && stage_annotate(w.s, d, t[3], FOR_VECTORIZED, NULL));
  assert_true(stage_compute_at(w.s, c, d, f, NULL) && stage_compute_at(w.s, sums, d, f, NULL));
  order(&w, sums, 3, (const char *[]){"k", "i", "j"});
  const Relation *i = stage_split(w.s, e, axis(&w, e, "i"), 0, 3, NULL, NULL);
  assert_string_equal(i->outer->name, "i_outer_2");
  assert_true(stage_annotate(w.s, e, i->inner, FOR_UNROLLED, NULL));
  ends_the_same(&w, chain);
}

// Messages without a place can be printed in all formats.
static void print_all(const Diags *d) {
  static const DiagFormat formats[] = {DIAG_TEXT, DIAG_JSON, DIAG_SARIF};
  for (int i = 0; i < 3; i++) {
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    diags_print(d, out, formats[i], &(DiagLook){0});
    fclose(out);
    assert_non_null(strstr(text, "needs a computed stage"));
    free(text);
  }
}

// What a text would be refused for, a call is, without a place; nothing was done, and the schedule goes on.
static void refused_calls_do_nothing(void **state) {
  (void)state;
  Work w;
  begin(&w, chain);
  Stage *c = stage(&w, "c"), *a = stage(&w, "a");
  Axis *i = axis(&w, c, "i"), *j = axis(&w, c, "j"), *k = axis(&w, c, "k");
  Name taken[] = {j->name, i->name}, twins[] = {j->name, j->name};
  int n = 0;
#define REFUSED(call) (assert_false(call), assert_int_equal(diags_errors(w.cx.diags), ++n))
  REFUSED(stage_split(w.s, c, i, 4, 4, NULL, NULL));
  assert_false(stage_split(w.s, c, i, 0, 0, NULL, NULL)); // told already
  REFUSED(stage_split(w.s, c, i, 4, 0, taken, NULL));
  REFUSED(stage_split(w.s, stage(&w, "d"), i, 4, 0, NULL, NULL)); // of another stage
  REFUSED(stage_tile(w.s, c, i, i, 4, 4, NULL, NULL, NULL));
  REFUSED(stage_fuse(w.s, c, i, k, NULL, NULL));
  REFUSED(stage_fuse(w.s, c, j, i, NULL, NULL));
  REFUSED(stage_reorder(w.s, c, 2, (Axis *[]){i, i}, NULL));
  REFUSED(stage_annotate(w.s, c, k, FOR_PARALLEL, NULL));
  REFUSED(stage_annotate(w.s, c, i, FOR_VTHREAD, NULL));
  REFUSED(stage_annotate_by(w.s, c, j, FOR_VECTORIZED, 0, NULL, NULL));
  REFUSED(stage_annotate_by(w.s, c, j, FOR_UNROLLED, 4, twins, NULL));
  REFUSED(stage_compute_at(w.s, c, c, i, NULL));
  REFUSED(stage_compute_root(w.s, a, NULL));
  REFUSED(stage_compute_inline(w.s, c, NULL));
  REFUSED(stage_store_at(w.s, c, stage(&w, "d"), axis(&w, stage(&w, "d"), "i"), NULL)); // not computed there
  REFUSED(stage_store_at(w.s, c, NULL, NULL, NULL));
  REFUSED(stage_fold(w.s, c, c->root[0], NULL)); // not stored further out
  REFUSED(stage_storage_align(w.s, c, c->root[0], 0, 0, NULL));
  assert_false(stage_storage_align(w.s, c, c->root[0], 65537, 0, NULL)); // told already
  REFUSED(stage_storage_align(w.s, c, c->root[0], 16, 16, NULL));
  REFUSED(stage_storage_align(w.s, c, c->root[c->nroot - 1], 16, 0, NULL)); // the innermost
  REFUSED(stage_storage_align(w.s, a, a->root[0], 16, 0, NULL));            // an input
  REFUSED(stage_pack(w.s, c, j, 0, NULL, NULL, NULL));
  REFUSED(stage_pack(w.s, c, k, 4, NULL, NULL, NULL));
  REFUSED(stage_pack(w.s, c, j, INT64_MAX, NULL, NULL, NULL));
  REFUSED(stage_pack(w.s, c, j, 4, taken, NULL, NULL));
  REFUSED(stage_tail(w.s, c, j, TAIL_GUARD, NULL)); // no split made it
  REFUSED(stage_rfactor(w.s, c, j, NULL, NULL));    // no reduction axis
  REFUSED(stage_rfactor(w.s, c, k, NULL, NULL));    // of floats
  REFUSED(stage_set_scope(w.s, a, &scope_host, NULL));
  REFUSED(stage_cache_read(w.s, a, &scope_host, 1, &c, NULL, NULL)); // it does not read a
  REFUSED(stage_cache_read(w.s, a, &scope_host, 0, NULL, c->name, NULL));
  REFUSED(stage_cache_write(w.s, a, &scope_host, NULL, NULL));
  REFUSED(stage_mark(w.s, c, MARK_COPY, NULL, NULL));
  REFUSED(stage_mark(w.s, c, MARK_TENSORIZE, NULL, NULL));
  REFUSED(stage_legalize_epilogue(w.s, a, NULL));
#undef REFUSED
  assert_int_equal(w.s->steps.len, 0);
  print_all(w.cx.diags);
  assert_true(stage_annotate(w.s, c, j, FOR_VECTORIZED, NULL));
  ends_the_same(&w, chain);
}

// The order of a float reduction is kept, whoever asks, and also where that was told before.
static void completion_refuses(void **state) {
  (void)state;
  Work w;
  begin(&w, chain);
  for (int i = 0; i < 2; i++) {
    w.s = schedule_new(&w.cx, w.c.module, w.c.kernels.data[0], &(ScheduleOptions){0});
    Stage *c = stage(&w, "c");
    const Relation *k = stage_split(w.s, c, axis(&w, c, "k"), 5, 0, NULL, NULL);
    assert_true(stage_reorder(w.s, c, 2, (Axis *[]){k->inner, k->outer}, NULL));
    assert_false(schedule_complete(w.s));
  }
  assert_true(diags_have(w.cx.diags, E_FLOAT_ORDER));
  arena_free(w.cx.arena);
}

// ---- made by texts --------------------------------------------------------------------------------------------------

static const char **folders;
static int number;

// The bytes of a block of a source: from its place to the brace that ends it.
// Reads kernel k of the source again with the text of its schedule in place of that: the same text, sketch and TIR.
static void reads_back(const Compilation *c, const TeKernel *k, const Schedule *s, const CompileOptions *o,
                       const char *path) {
  Ctx cx = new_ctx();
  Made was, back;
  show(c->cx, c->module->target ? c->vta : NULL, s, &was);
  SourceEdit edit = schedule_edit(s, c->module);
  if (!loc_known(edit.at)) return; // an imported file has the schedule
  CompileOptions plain = *o;
  Compilation again;
  plain.legalize = false;
  plain.kernel = k->name;
  bool ok = compile_load(&again, &cx, source_edits(cx.arena, c->source, 1, &edit), &plain, NULL);
  Unit *u = ok ? compile_kernel(&again, again.kernels.data[0]) : NULL;
  if (!u || !u->schedule) print_error("%s: refused:\n%s", path, was.text.data);
  assert_true(u && u->schedule);
  show(&cx, again.module->target ? again.vta : NULL, u->schedule, &back);
  if (strcmp(was.text.data, back.text.data)) print_error("%s:\n", path);
  assert_string_equal(was.text.data, back.text.data);
  assert_string_equal(without_head(was.sketch.data), without_head(back.sketch.data));
  assert_string_equal(was.tir.data ? was.tir.data : "", back.tir.data ? back.tir.data : "");
  arena_free(cx.arena);
}

// Schedules put into a text: the one of that name goes, what else stands there stays byte for byte.
static void put_into_texts(void **state) {
  (void)state;
#define K "kernel k { output o[i: 8] : int32 = 1; /* c */ }"
#define S "schedule k {\n  i_outer, i_inner = o.split(i, factor = 4);\n}"
  static const char *const texts[][2] = {
      {"/* top */ " K " // of k\r\n// last", "/* top */ " K " // of k\n\n" S "\r\n// last"},
      {K " /* x\n */ schedule k : s { }", K "\n\n" S " /* x\n */ schedule k : s { }"},
      {"// a\nschedule k { // in it\n  o.unroll(i); }\t// b\n" K "\n", "// a\n" S "\t// b\n" K "\n"},
      {"// s\nschedule k : s { }\n" K, "// s\n" S "\n\nschedule k : s { }\n" K},
      {K, K "\n\n" S}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    Work w;
    begin(&w, texts[i][0]);
    Stage *o = stage(&w, "o");
    assert_non_null(stage_split(w.s, o, axis(&w, o, "i"), 4, 0, NULL, NULL));
    SourceEdit edit = schedule_edit(w.s, w.c.module);
    assert_string_equal(source_edits(w.cx.arena, w.c.source, 1, &edit)->text, texts[i][1]);
    arena_free(w.cx.arena);
  }
#undef K
#undef S
}

static unsigned chance(unsigned *r, size_t n) {
  *r = *r * 1103515245u + 12345u;
  return n ? (*r >> 16) % (unsigned)n : 0;
}

// Asks for one operation, whatever; many are refused.
static void ask_for_something(Schedule *s, unsigned *r) {
  Stage *st = s->stages.data[chance(r, s->stages.len)], *other = s->stages.data[chance(r, s->stages.len)];
  size_t n = st->leaf.len, i = chance(r, n);
  Axis *a = n ? st->leaf.data[i] : NULL, *b = n ? st->leaf.data[chance(r, n)] : NULL,
       *next = i + 1 < n ? st->leaf.data[i + 1] : a;
  Axis *at = other->leaf.len ? other->leaf.data[chance(r, other->leaf.len)] : NULL;
  int64_t size = 1 + chance(r, 7);
  switch (chance(r, 22)) {
  case 0: stage_split(s, st, a, size, 0, NULL, NULL); break;
  case 1: stage_split(s, st, a, 0, size, NULL, NULL); break;
  case 2: stage_tile(s, st, a, b, size, 4, NULL, NULL, NULL); break;
  case 3: stage_fuse(s, st, a, next, NULL, NULL); break;
  case 4:
  case 5: stage_reorder(s, st, 2, (Axis *[]){a, b}, NULL); break;
  case 6:
    stage_annotate(s, st, a, (ForKind[]){FOR_PARALLEL, FOR_VECTORIZED, FOR_UNROLLED, FOR_VTHREAD}[chance(r, 4)], NULL);
    break;
  case 7:
  case 8: stage_compute_at(s, st, other, at, NULL); break;
  case 9: stage_compute_root(s, st, NULL); break;
  case 10: stage_compute_inline(s, st, NULL); break;
  case 11: stage_cache_read(s, st, &scope_host, chance(r, 2), &other, NULL, NULL); break;
  case 12: stage_cache_write(s, st, &scope_host, NULL, NULL); break;
  case 13: stage_store_at(s, st, other, at, NULL); break;
  case 14: stage_store_at(s, st, NULL, NULL, NULL); break;
  case 16:
  case 17: stage_pack(s, st, a, size, NULL, NULL, NULL); break;
  case 18: stage_annotate_by(s, st, a, chance(r, 2) ? FOR_VECTORIZED : FOR_UNROLLED, size, NULL, NULL); break;
  case 19: stage_rfactor(s, st, a, NULL, NULL); break;
  case 20: stage_tail(s, st, a, (TailKind[]){TAIL_PEEL, TAIL_GUARD, TAIL_SHIFT}[chance(r, 3)], NULL); break;
  case 21:
    if (st->nroot) stage_storage_align(s, st, st->root[chance(r, (size_t)st->nroot)], size, chance(r, 3), NULL);
    break;
  case 15: stage_fold(s, st, st->nroot ? st->root[chance(r, (size_t)st->nroot)] : NULL, NULL); break;
  }
}

static int by_chance, completed;

// Schedules made by random calls: what was done reads back, and so does that it is refused.
static void calls_by_chance(Compilation *c, const TeKernel *k, const CompileOptions *o, const char *path) {
  for (unsigned seed = 1; seed <= 6; seed++) {
    unsigned r = seed * 7919u;
    bool vta = c->module->target, ok;
    ScheduleOptions so = {.target = vta ? &c->vta->tir : NULL, .te_target = vta ? &c->vta->te : NULL};
    Schedule *s = schedule_new(c->cx, c->module, k, &so);
    for (int i = 0; i < 14; i++) ask_for_something(s, &r);
    const TeSchedule *old = schedule_find(c->cx, c->module, k, NULL, &ok);
    if (old && old->loc.src != c->source) return;
    s->source = old; // its name
    if (schedule_complete(s)) {
      reads_back(c, k, s, o, path);
      completed++;
    }
    by_chance++;
  }
}

static int try_file(const char *path, const struct stat *info, int type, struct FTW *level) {
  (void)info;
  (void)level;
  size_t n = strlen(path);
  for (int legalize = 0; legalize < 2 && type == FTW_F && n > 3 && !strcmp(path + n - 3, ".te"); legalize++) {
    Ctx cx = new_ctx();
    Compilation c;
    CompileOptions o = defaults();
    const char *error;
    o.legalize = legalize;
    const Source *file = source_read(cx.arena, path, &error);
    if (file && compile_load(&c, &cx, file, &o, NULL))
      for (size_t i = 0; i < c.kernels.len; i++) {
        const Unit *u = compile_kernel(&c, c.kernels.data[i]);
        if (!legalize) calls_by_chance(&c, u->kernel, &o, path);
        if (!u->schedule || !u->schedule->source || u->schedule->source->loc.src != file) continue;
        reads_back(&c, u->kernel, u->schedule, &o, path);
        number++;
      }
    arena_free(cx.arena);
  }
  return 0;
}

static void of_texts(void **state) {
  (void)state;
  for (int i = 0; folders[i]; i++) assert_int_equal(nftw(folders[i], try_file, 16, FTW_PHYS), 0);
  print_message("# %d schedules of texts; %d by chance, %d of them complete\n", number, by_chance, completed);
  assert_true(number > 300 && completed > 300);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(on_the_accelerator),       cmocka_unit_test(on_the_cpu),
      cmocka_unit_test(refused_calls_do_nothing), cmocka_unit_test(completion_refuses),
      cmocka_unit_test(put_into_texts),           cmocka_unit_test(of_texts),
  };
  folders = (const char **)argv + (argc > 0);
  return cmocka_run_group_tests(tests, NULL, NULL);
}

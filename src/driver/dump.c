// SPDX-License-Identifier: Apache-2.0
// What is shown between phases: dumps (printed, or a file each), differences, times.
#include "driver/driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool phase_known(const char *name) { return phase_number(name) >= 0 || !strcmp(name, "llvm") || !strcmp(name, "vta"); }

// True if `list` ("P,Q", or "" for all) names the phase.
static bool listed(const char *list, const char *phase) {
  size_t n = strlen(phase);
  if (!*list) return true;
  for (const char *p = list; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
    if (strcspn(p, ",") == n && !strncmp(p, phase, n)) return true;
  return false;
}

// --dump-dir alone means all phases.
bool dump_wanted(const Session *s, const char *phase) {
  const Options *o = &s->d->opt;
  if (o->print_changed) return true;
  if (!o->dump_tir && !o->dump_dir) return false;
  return listed(o->dump_tir ? o->dump_tir : "", phase);
}

// Writes one phase to its file; a module of several kernels gets a directory for each.
static void write_dump(Session *s, int number, const char *phase, const char *suffix, const char *text) {
  Ctx *cx = &s->d->cx;
  const char *dir = s->d->opt.dump_dir;
  if (s->c.kernels.len > 1) {
    mkdir(dir, 0777); // if it fails, so does the next one
    dir = arena_printf(cx->arena, "%s/%s", dir, s->kernel->name);
  }
  if (mkdir(dir, 0777) && errno != EEXIST) {
    diag_report(cx->diags, E_FILE, (Loc){0}, "cannot make the directory `%s`: %s", dir, strerror(errno));
    return;
  }
  OutputFile f = {
      .path = arena_printf(cx->arena, "%s/%02d-%s.%s", dir, number, phase, suffix), .data = text, .len = strlen(text)};
  outputs_write(cx, &f, 1);
}

// Where printed dumps go: to stdout, unless the product goes there.
static FILE *dump_stream(const Driver *d) {
  const Options *o = &d->opt;
  bool text_product =
      d->id == CMD_COMPILE && !o->output && o->emit_given && o->emit != EMIT_OBJ && o->emit != EMIT_SHARED;
  return text_product || (o->output && !strcmp(o->output, "-")) ? stderr : stdout;
}

// Shows, writes or compares the text of a phase.
void dump_phase(Session *s, int number, const char *phase, const char *suffix, const char *text) {
  const Driver *d = s->d;
  const Options *o = &d->opt;
  FILE *out = dump_stream(d);
  bool single = o->dump_tir && *o->dump_tir && !strchr(o->dump_tir, ',');
  if (o->print_changed) {
    Text diff = {.arena = d->cx.arena};
    if (number > PHASE_LOWER && s->last) {
      if (!strcmp(s->last, text)) text_add(&diff, "// ---- %02d-%s: no change\n", number, phase);
      else {
        text_add(&diff, "// ---- %02d-%s\n", number, phase);
        text_diff(d->cx.arena, s->last, text, &diff);
      }
      fwrite(diff.data, 1, diff.len, out);
    }
    s->last = text;
    if (!o->dump_tir && !o->dump_dir) return;
    if (!listed(o->dump_tir ? o->dump_tir : "", phase)) return;
  }
  if (o->dump_dir) write_dump(s, number, phase, suffix, text);
  else {
    if (!single) fprintf(out, "// ---- %02d-%s\n", number, phase);
    fputs(text, out);
  }
}

// --print-before, --print-after: prints a function if `list` names the pass.
void dump_around(Session *s, const char *when, const char *pass, const char *list, const Func *f) {
  if (!list || !listed(list, pass)) return;
  Text t = {.arena = s->d->cx.arena};
  tir_print(f, &(TirPrintOptions){.locations = s->d->opt.print_locations}, &t);
  fprintf(dump_stream(s->d), "// ---- %s %s\n%s", when, pass, t.data);
}

void dump_made(Session *s, const Compilation *c, const Unit *u, const char *phase, const Func *f) {
  const Options *o = &s->d->opt;
  Text t = {.arena = c->cx->arena};
  int number = phase_number(phase);
  if (dump_wanted(s, phase)) {
    if (f) tir_print(f, &(TirPrintOptions){.locations = o->print_locations}, &t);
    else if (number == PHASE_TE) te_print(c->module, &t);
    else schedule_print(u->schedule, &t);
    dump_phase(s, number, phase, f ? "tir" : number == PHASE_TE ? "te" : "txt", t.data);
  }
  if (f) dump_around(s, "after", phase, o->print_after, f);
}

// The table of --time-passes.
void dump_times(const Session *s) {
  double total = 0;
  fprintf(stderr, "time of `%s`, in milliseconds:\n", s->kernel->name);
  for (size_t i = 0; i < s->clocks.len; i++) {
    total += s->clocks.data[i].seconds;
    fprintf(stderr, "  %-12s %9.3f\n", s->clocks.data[i].phase, s->clocks.data[i].seconds * 1e3);
  }
  fprintf(stderr, "  %-12s %9.3f\n", "total", total * 1e3);
}

static void print_count(const char *before, int64_t n, const char *what) {
  fprintf(stderr, "%s%lld %s%s", before, (long long)n, what, n == 1 ? "" : "s");
}

// A counter of a pass, as stats.def has it.
typedef struct CountRow {
  const char *pass;
  size_t at; // in PassStats
  const char *before, *noun, *after;
  bool maybe;
} CountRow;

static const CountRow count_rows[] = {
// clang-format off
#define COUNT(pass, field, before, noun, after) {#pass, offsetof(PassStats, field), before, noun, after, false},
#define MAYBE(pass, field, before, noun, after) {#pass, offsetof(PassStats, field), before, noun, after, true},
#include "passes/stats.def"
    // clang-format on
};
enum { COUNT_ROWS = sizeof count_rows / sizeof *count_rows };

static int64_t counted(const PassStats *s, const CountRow *r) { return *(const int64_t *)((const char *)s + r->at); }

// The line of a pass; what had nothing to do has none.
static void print_pass(const PassStats *s, const char *pass) {
  bool any = false;
  for (int i = 0; i < COUNT_ROWS; i++) any |= !strcmp(count_rows[i].pass, pass) && counted(s, &count_rows[i]);
  if (!any) return;
  fprintf(stderr, "  %-13s", pass);
  for (int i = 0; i < COUNT_ROWS; i++) {
    const CountRow *r = &count_rows[i];
    if (strcmp(r->pass, pass) != 0 || (r->maybe && !counted(s, r))) continue;
    print_count(r->before, counted(s, r), r->noun);
    fputs(r->after, stderr);
  }
  fputs("\n", stderr);
}

static void print_memories(const PassStats *s, const VtaTarget *vta) {
  for (int i = 0; i < 3; i++)
    if (s->sram_tiles[i])
      fprintf(stderr, "  storage      %s: %lld of %lld tiles, %lld bytes\n", vta->scopes[i]->name,
              (long long)s->sram_tiles[i], (long long)s->sram_depth[i],
              (long long)(s->sram_tiles[i] * vta->scopes[i]->tile * dtype_bytes(vta->scopes[i]->type)));
}

void stats_print(const PassStats *s, const VtaTarget *vta, const char *kernel) {
  fprintf(stderr, "what the passes did to `%s`:\n", kernel);
  for (int i = 0; i < pass_count; i++) {
    print_pass(s, pass_table[i].name);
    if (!strcmp(pass_table[i].name, "storage")) print_memories(s, vta);
  }
}

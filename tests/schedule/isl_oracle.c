// SPDX-License-Identifier: Apache-2.0
// isl_oracle [SEED COUNT]: which schedules are refused, against isl, an independent library for sets of integer points.
//
// Random stages, most of which read their own earlier elements or reduce, get random splits, fuses, reorders and loops
// that run in parallel or as lanes. Each case is written down twice, for tetc as a text, for isl as sets and relations:
// points, reads, writes, and the time at which the loops take a point. isl says whether some point comes before another
// that it needs, or runs at the same time. Some stages read another one instead, which shares their outer loops
// (compute_with): isl says whether it has turns that are boxes, none of which comes after what reads it. tetc must
// accept none of those; of the others it may refuse 2 in 100, where
// it does not know.
#include "compile/compile.h"

#include <isl/ctx.h>
#include <isl/map.h>
#include <isl/options.h>
#include <isl/set.h>
#include <isl/space.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_AXES = 5, MOST_LOOPS = 12, EXPR = 4000 };

static uint64_t state;

static int64_t below(int64_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (int64_t)(state % (uint64_t)n);
}
static bool chance(int percent) { return below(100) < percent; }
static int64_t between(int64_t lo, int64_t hi) { return lo + below(hi - lo + 1); }

typedef struct Loop {
  char name[16];
  int64_t extent;
  bool reduce;
  enum { SERIAL, PARALLEL, LANES } kind;
  char value[EXPR]; // for isl, over the stage's axes
} Loop;

typedef struct Case {
  int n, nred; // axes of the result, reduction axes
  int64_t extent[MOST_AXES];
  bool is_float, reads;
  int with; // how many of the loops are shared with another stage, which is read instead; 0: it reads itself
  const char *reduce;
  char index_te[MOST_AXES][64], index_isl[MOST_AXES][64], guard_te[400], guard_isl[400];
  int nloops, fresh;
  Loop loop[MOST_LOOPS];
  char schedule[4000];
} Case;

#define ADD(text, ...) snprintf((text) + strlen(text), sizeof(text) - strlen(text), __VA_ARGS__)

// ---- a stage --------------------------------------------------------------------------------------------------------

static void guard(Case *c, const char *te, const char *isl) {
  ADD(c->guard_te, "%s%s", c->guard_te[0] ? " && " : "", te);
  ADD(c->guard_isl, " and %s", isl);
}

// An index that is like the axis itself, plus k.
static void shifted(Case *c, int i, int64_t k) {
  char g[64];
  snprintf(c->index_te[i], sizeof c->index_te[i], k ? "d%d %c %lld" : "d%d", i, k < 0 ? '-' : '+', (long long)llabs(k));
  strcpy(c->index_isl[i], c->index_te[i]);
  if (k > 0) snprintf(g, sizeof g, "d%d + %lld < %lld", i, (long long)k, (long long)c->extent[i]);
  else snprintf(g, sizeof g, "d%d >= %lld", i, (long long)-k);
  if (k) guard(c, g, g);
}

// An index that may be anything.
static void any_index(Case *c, int i) {
  int64_t e = c->extent[i];
  char g[64], *te = c->index_te[i], *isl = c->index_isl[i];
  size_t size = sizeof c->index_te[i];
  int other = (int)below(c->n + c->nred);
  const char *sort = other < c->n ? "d" : "r";
  int number = other < c->n ? other : other - c->n;
  switch (below(8)) {
  case 0:
  case 1: shifted(c, i, 0); return;
  case 2: shifted(c, i, between(-3, 3)); return;
  case 3: snprintf(te, size, "%lld - d%d", (long long)e - 1, i), strcpy(isl, te); return;
  case 4: snprintf(te, size, "%lld", (long long)below(e)), strcpy(isl, te); return;
  case 5: snprintf(te, size, "d%d / 2", i), snprintf(isl, size, "floor(d%d/2)", i); return;
  case 6:
    snprintf(te, size, "d%d * 2 %% %lld", i, (long long)e), snprintf(isl, size, "(d%d*2) mod %lld", i, (long long)e);
    return;
  default:
    snprintf(te, size, "%s%d", sort, number), strcpy(isl, te);
    snprintf(g, sizeof g, "%s%d < %lld", sort, number, (long long)e);
    if (c->extent[other] > e) guard(c, g, g);
  }
}

// A read of the stage's own elements, earlier ones: axes in front are equal, one steps back.
static void make_read(Case *c) {
  int lead = (int)below(c->n);
  char g[64];
  for (int i = 0; i < lead; i++) shifted(c, i, 0);
  int64_t e = c->extent[lead];
  int other = (int)below(c->n);
  if (chance(15)) { // the last of the three before
    snprintf(c->index_te[lead], 64, "d%d - d%d %% 3 - 1", lead, lead);
    snprintf(c->index_isl[lead], 64, "d%d - (d%d mod 3) - 1", lead, lead);
    snprintf(g, sizeof g, "d%d >= 3", lead), guard(c, g, g);
  } else if (chance(25) && other != lead && c->extent[other] <= e) { // the value of another axis
    snprintf(c->index_te[lead], 64, "d%d", other), strcpy(c->index_isl[lead], c->index_te[lead]);
    snprintf(g, sizeof g, "d%d < d%d", other, lead), guard(c, g, g);
  } else {
    shifted(c, lead, -between(1, 3));
  }
  for (int i = lead + 1; i < c->n; i++) any_index(c, i);
  if (chance(15)) {
    int i = (int)below(c->n);
    char isl[64];
    snprintf(g, sizeof g, "d%d %% 3 == 1", i), snprintf(isl, sizeof isl, "d%d mod 3 = 1", i), guard(c, g, isl);
  }
  if (chance(15)) {
    int i = (int)below(c->n);
    snprintf(g, sizeof g, "d%d >= %lld", i, (long long)below(c->extent[i])), guard(c, g, g);
  }
}

// A read of another stage: near the same place, most often.
static void make_other_read(Case *c) {
  for (int i = 0; i < c->n; i++) {
    if (chance(40)) shifted(c, i, chance(80) ? -below(3) : between(-3, 3));
    else any_index(c, i);
  }
}

static void make_stage(Case *c) {
  memset(c, 0, sizeof *c);
  bool large = chance(30);
  c->n = (int)between(1, 3);
  c->nred = chance(55) ? (int)between(1, 2) : 0;
  int64_t most = !large ? 9 : c->n + c->nred < 4 ? 3000 : 250;
  for (int i = 0; i < c->n + c->nred; i++)
    c->extent[i] = i && chance(40) ? c->extent[below(i)] : between(chance(90) ? 2 : 1, most);
  c->is_float = chance(50);
  static const char *const all[] = {"sum", "max", "min", "prod"};
  c->reduce = all[below(4)];
  c->reads = !c->nred || chance(60);
  c->with = chance(25);
  c->reads = c->reads || c->with;
  if (c->with) make_other_read(c);
  else if (c->reads) make_read(c);
  for (int i = 0; i < c->n + c->nred; i++) {
    Loop *l = &c->loop[c->nloops++];
    l->reduce = i >= c->n;
    snprintf(l->name, sizeof l->name, "%s%d", l->reduce ? "r" : "d", l->reduce ? i - c->n : i);
    strcpy(l->value, l->name);
    l->extent = c->extent[i];
  }
}

// ---- its schedule ---------------------------------------------------------------------------------------------------

static void split(Case *c, int at) {
  if (c->nloops == MOST_LOOPS) return;
  Loop old = c->loop[at], *o = &c->loop[at], *i = o + 1;
  bool parts = chance(30);
  int64_t k = chance(50) ? between(1, old.extent < 9 ? old.extent : 9) : between(1, old.extent);
  int64_t size = parts ? (old.extent - 1) / k + 1 : k;
  memmove(i + 1, i, (size_t)(c->nloops - at - 1) * sizeof *i);
  c->nloops++;
  *o = *i = old;
  snprintf(o->name, sizeof o->name, "l%d", c->fresh++);
  snprintf(i->name, sizeof i->name, "l%d", c->fresh++);
  if (snprintf(o->value, EXPR, "floor((%.1500s)/%lld)", old.value, (long long)size) >= EXPR) abort();
  if (snprintf(i->value, EXPR, "((%.1500s) mod %lld)", old.value, (long long)size) >= EXPR) abort();
  o->extent = (old.extent - 1) / size + 1;
  i->extent = size;
  ADD(c->schedule, " %s, %s = s.split(%s, %s = %lld);", o->name, i->name, old.name, parts ? "nparts" : "factor",
      (long long)k);
}

static void fuse(Case *c, int at) {
  if (at + 1 >= c->nloops || c->loop[at].reduce != c->loop[at + 1].reduce) return;
  Loop a = c->loop[at], b = c->loop[at + 1], *f = &c->loop[at];
  if (strlen(a.value) + strlen(b.value) > 600) return;
  memmove(f + 1, f + 2, (size_t)(c->nloops - at - 2) * sizeof *f);
  c->nloops--;
  f->extent = a.extent * b.extent;
  snprintf(f->name, sizeof f->name, "l%d", c->fresh++);
  snprintf(f->value, EXPR, "(%lld*(%.1500s) + (%.1500s))", (long long)b.extent, a.value, b.value);
  ADD(c->schedule, " %s = s.fuse(%s, %s);", f->name, a.name, b.name);
}

static void reorder(Case *c) {
  if (c->nloops < 2) return;
  int a = (int)below(c->nloops), b = (int)below(c->nloops);
  if (a == b) return;
  Loop x = c->loop[a], y = c->loop[b];
  ADD(c->schedule, " s.reorder(%s, %s);", a < b ? y.name : x.name, a < b ? x.name : y.name);
  c->loop[a] = y;
  c->loop[b] = x;
}

static void make_schedule(Case *c) {
  for (int64_t n = between(0, 5); n > 0; n--) {
    int at = (int)below(c->nloops);
    switch (below(5)) {
    case 0:
    case 1:
      if (strlen(c->loop[at].value) < 300) split(c, at);
      break;
    case 2: fuse(c, at); break;
    default: reorder(c);
    }
  }
  for (int n = 0; n < 2; n++) {
    Loop *l = &c->loop[below(c->nloops)];
    if (!chance(35) || l->kind != SERIAL) continue;
    bool lanes = chance(50);
    if (lanes && l->reduce && c->is_float) continue; // told to have no effect
    l->kind = lanes ? LANES : PARALLEL;
    ADD(c->schedule, " s.%s(%s);", lanes ? "vectorize" : "parallel", l->name);
  }
}

// Which loops are shared; none: the stage of its own goes.
static void make_with(Case *c) {
  int most = 0;
  while (most < c->nloops && !c->loop[most].reduce) most++;
  if (chance(10)) most = c->nloops;
  if (!c->with || !most) {
    c->reads = c->reads && !c->with;
    c->with = 0;
    return;
  }
  c->with = (int)between(1, most);
  ADD(c->schedule, " o.compute_with(s, %s);", c->loop[c->with - 1].name);
}

// ---- as a text of tetc's --------------------------------------------------------------------------------------------

static void axes_text(const Case *c, int from, int to, bool extents, char *out, size_t size) {
  out[0] = 0;
  for (int i = from; i < to; i++) {
    size_t n = strlen(out);
    snprintf(out + n, size - n, "%s%s%d", i > from ? ", " : "", i < c->n ? "d" : "r", i < c->n ? i : i - c->n);
    n = strlen(out);
    if (extents) snprintf(out + n, size - n, ": %lld", (long long)c->extent[i]);
  }
}

static void te_text(const Case *c, char *out, size_t size) {
  char result[200], red[200], all[300], names[200], read[500] = "", body[900], other[600] = "";
  axes_text(c, 0, c->n, true, result, sizeof result);
  axes_text(c, c->n, c->n + c->nred, true, red, sizeof red);
  axes_text(c, 0, c->n + c->nred, true, all, sizeof all);
  axes_text(c, 0, c->n + c->nred, false, names, sizeof names);
  const char *zero = c->is_float ? "0.0" : "0", *type = c->is_float ? "float32" : "int32";
  if (c->reads) {
    char at[300] = "";
    for (int i = 0; i < c->n; i++) ADD(at, "%s%s", i ? ", " : "", c->index_te[i]);
    snprintf(read, sizeof read, " + (%s ? %s[%s] : %s)", c->guard_te[0] ? c->guard_te : "true", c->with ? "o" : "s", at,
             zero);
  }
  if (c->with) snprintf(other, sizeof other, "  input b[%s] : %s;\n  compute o = b * b;\n", result, type);
  snprintf(body, sizeof body, "a[%s]%s", names, read);
  snprintf(out, size, "kernel k {\n  input a[%s] : %s;\n%s  output s[%s] : %s = %s%s%s%s%s%s;\n}\nschedule k {%s }\n",
           all, type, other, result, type, c->nred ? c->reduce : "", c->nred ? "[" : "", red, c->nred ? "](" : "", body,
           c->nred ? ")" : "", c->schedule);
}

typedef enum Answer { LEGAL, REFUSED, BROKEN } Answer;

static Answer ask_tetc(const Case *of, const char *text) {
  Ctx cx = {.arena = arena_new()};
  cx.names = names_new(cx.arena);
  cx.diags = diags_new(cx.arena);
  CompileOptions o = {.config = vta_config_default(), .stop_after = "lower"};
  Compilation c;
  Answer answer = BROKEN;
  if (compile_load(&c, &cx, source_new(cx.arena, "case.te", text, strlen(text)), &o, NULL)) {
    ScheduleOptions so = {0};
    Schedule *s = schedule_apply(&cx, c.module, c.kernels.data[0], c.module->schedules[0], &so);
    bool refused = diags_have(cx.diags, E_RECURRENT) || diags_have(cx.diags, E_FLOAT_ORDER) ||
                   diags_have(cx.diags, E_PARALLEL) || (of->with && diags_have(cx.diags, E_COMPUTE_AT));
    if (s) answer = LEGAL;
    else if (refused) answer = REFUSED;
  }
  if (answer == BROKEN) {
    diags_print(cx.diags, stderr, DIAG_TEXT, NULL);
  }
  arena_free(cx.arena);
  return answer;
}

// ---- as isl's relations ---------------------------------------------------------------------------------------------

static void domain_text(const Case *c, const char *mark, char *out, size_t size) {
  out[0] = 0;
  for (int i = 0; i < c->n + c->nred; i++) {
    size_t n = strlen(out);
    snprintf(out + n, size - n, "%s0 <= %s%d%s < %lld", i ? " and " : "", i < c->n ? "d" : "r", i < c->n ? i : i - c->n,
             mark, (long long)c->extent[i]);
  }
}

static isl_map *relation(isl_ctx *ctx, const Case *c, const char *to, const char *when) {
  char names[200], domain[600], text[30000];
  axes_text(c, 0, c->n + c->nred, false, names, sizeof names);
  domain_text(c, "", domain, sizeof domain);
  snprintf(text, sizeof text, "{ S[%s] -> %s : %s%s }", names, to, domain, when);
  isl_map *m = isl_map_read_from_str(ctx, text);
  if (!m) fprintf(stderr, "isl does not read %s\n", text), exit(1);
  return m;
}

// Pairs of points that reduce into one element, the kernel taking the first one first.
static isl_map *in_order(isl_map *same, const Case *c) {
  isl_map *out = isl_map_empty(isl_map_get_space(same));
  for (int i = 0; i < c->nred; i++) {
    isl_map *m = isl_map_copy(same);
    for (int k = 0; k < i; k++) m = isl_map_equate(m, isl_dim_in, c->n + k, isl_dim_out, c->n + k);
    out = isl_map_union(out, isl_map_order_lt(m, isl_dim_in, c->n + i, isl_dim_out, c->n + i));
  }
  isl_map_free(same);
  return out;
}

// Whether some pair has its second point before the first, or, if that is late, at the same time, by the loops.
static bool comes_late(const isl_map *times, bool same_is_late) {
  isl_space *space = isl_space_range(isl_map_get_space((isl_map *)times));
  isl_map *m =
      isl_map_intersect(isl_map_copy((isl_map *)times), same_is_late ? isl_map_lex_ge(space) : isl_map_lex_gt(space));
  bool late = !isl_map_is_empty(m);
  isl_map_free(m);
  return late;
}

// Whether some pair has the loops around loop l equal, and l not.
static bool carried(const isl_map *times, int l) {
  isl_map *m = isl_map_copy((isl_map *)times);
  for (int i = 0; i < l; i++) m = isl_map_equate(m, isl_dim_in, i, isl_dim_out, i);
  isl_map *up = isl_map_order_lt(isl_map_copy(m), isl_dim_in, l, isl_dim_out, l);
  isl_map *down = isl_map_order_gt(m, isl_dim_in, l, isl_dim_out, l);
  bool any = !isl_map_is_empty(up) || !isl_map_is_empty(down);
  isl_map_free(up);
  isl_map_free(down);
  return any;
}

// The relation of a turn with the i-th of n axes of the elements of `turns`, and all between two of them.
static isl_map *between_ends(const isl_map *turns, int i, int n) {
  isl_map *one = isl_map_copy((isl_map *)turns);
  one = isl_map_project_out(one, isl_dim_out, (unsigned)i + 1, (unsigned)(n - i - 1));
  one = isl_map_project_out(one, isl_dim_out, 0, (unsigned)i);
  isl_space *axis = isl_space_range(isl_map_get_space(one));
  isl_map *up = isl_map_apply_range(isl_map_copy(one), isl_map_lex_le(isl_space_copy(axis)));
  isl_map *down = isl_map_apply_range(one, isl_map_lex_ge(axis));
  isl_map *both = isl_map_intersect(up, down);
  both = isl_map_insert_dims(both, isl_dim_out, 0, (unsigned)i);
  return isl_map_insert_dims(both, isl_dim_out, (unsigned)i + 1, (unsigned)(n - i - 1));
}

// Whether each turn of the loops has a box of elements, so that it can be computed apart. An element has one turn.
static bool has_boxes(isl_ctx *ctx, const Case *c, const char *turn) {
  char element[300] = "[";
  for (int i = 0; i < c->n; i++) ADD(element, "%sd%d", i ? ", " : "", i);
  ADD(element, "]");
  isl_map *turns = isl_map_reverse(relation(ctx, c, turn, ""));
  turns = isl_map_apply_range(turns, relation(ctx, c, element, ""));
  isl_map *once = isl_map_reverse(isl_map_copy(turns)), *box = isl_map_copy(turns);
  bool ok = isl_map_is_single_valued(once);
  for (int i = 0; i < c->n && ok; i++) {
    isl_map *ends = between_ends(turns, i, c->n);
    box = i ? isl_map_intersect(box, ends) : (isl_map_free(box), ends);
  }
  if (ok) ok = isl_map_is_subset(box, turns);
  isl_map_free(once);
  isl_map_free(box);
  isl_map_free(turns);
  return ok;
}

static isl_map *at_times(isl_map *pairs, isl_map *time) {
  return isl_map_apply_range(isl_map_apply_domain(pairs, isl_map_copy(time)), isl_map_copy(time));
}

static bool isl_says_legal(isl_ctx *ctx, const Case *c) {
  char element[300] = "s[", read[300] = "s[", times[20000] = "[", turn[20000] = "[";
  for (int i = 0; i < c->n; i++)
    ADD(element, "%sd%d", i ? ", " : "", i), ADD(read, "%s%s", i ? ", " : "", c->index_isl[i]);
  for (int i = 0; i < c->nloops; i++) ADD(times, "%s%s", i ? ", " : "", c->loop[i].value);
  for (int i = 0; i < c->with; i++) ADD(turn, "%s%s", i ? ", " : "", c->loop[i].value);
  ADD(turn, "]");
  ADD(element, "]");
  ADD(read, "]");
  ADD(times, "]");
  isl_map *writes = relation(ctx, c, element, ""), *time = relation(ctx, c, times, "");
  isl_map *same = isl_map_apply_range(isl_map_copy(writes), isl_map_reverse(isl_map_copy(writes)));
  isl_map *needs = isl_map_empty(isl_map_get_space(same));
  if (c->reads) {
    isl_map_free(needs);
    needs = isl_map_apply_range(isl_map_copy(writes), isl_map_reverse(relation(ctx, c, read, c->guard_isl)));
  }
  isl_map *when = c->with ? relation(ctx, c, turn, "") : isl_map_copy(time); // what it reads comes by turns
  needs = at_times(needs, when);
  isl_map_free(when);
  bool legal = (!c->with || has_boxes(ctx, c, turn)) && !comes_late(needs, !c->with);
  if (legal && c->is_float && c->nred) {
    isl_map *order = at_times(in_order(isl_map_copy(same), c), time);
    legal = !comes_late(order, true);
    isl_map_free(order);
  }
  isl_map *adds = at_times(same, time);
  for (int i = 0; i < c->nloops && legal; i++) {
    if (c->loop[i].kind != SERIAL && (!c->with || i < c->with)) legal = !carried(needs, i);
    if (legal && c->loop[i].kind == PARALLEL) legal = !carried(adds, i);
  }
  isl_map_free(adds);
  isl_map_free(needs);
  isl_map_free(writes);
  isl_map_free(time);
  return legal;
}

// ---- the comparison -------------------------------------------------------------------------------------------------

static void show(const char *what, const char *text) {
  printf("# %s:\n# ", what);
  for (; *text; text++) putchar(*text), *text == '\n' && text[1] ? (void)printf("# ") : (void)0;
}

int main(int argc, char **argv) {
  uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
  int count = argc > 2 ? atoi(argv[2]) : getenv("TETC_LONG_TESTS") ? 100000 : 2000;
  int legal = 0, accepted = 0, needless = 0, broken = 0;
  isl_ctx *ctx = isl_ctx_alloc();
  printf("TAP version 13\n1..4\n");
  for (int i = 0; i < count; i++) {
    static Case c;
    static char text[8000];
    state = (seed * 1000003 + (uint64_t)i) * 0x9e3779b97f4a7c15u + 1;
    for (int k = 0; k < 8; k++) below(2);
    make_stage(&c);
    make_schedule(&c);
    make_with(&c);
    te_text(&c, text, sizeof text);
    bool isl = isl_says_legal(ctx, &c);
    Answer tetc = ask_tetc(&c, text);
    legal += isl;
    if (tetc == BROKEN && broken++ < 3) show("refused for another reason", text);
    if (tetc == LEGAL && !isl && accepted++ < 3) show("accepted, and isl says no", text);
    if (tetc == REFUSED && isl && needless++ < 3) show("refused, and isl says yes", text);
  }
  isl_ctx_free(ctx);
  printf("%s 1 - nothing is refused for another reason: %d of %d\n", broken ? "not ok" : "ok", broken, count);
  printf("%s 2 - nothing is accepted that isl says no to: %d of %d\n", accepted ? "not ok" : "ok", accepted,
         count - legal);
  printf("%s 3 - at most 2 in 100 are refused needlessly: %d of %d\n", needless * 50 > legal ? "not ok" : "ok",
         needless, legal);
  bool both = legal > count / 5 && legal < count - count / 5;
  printf("%s 4 - both kinds are there: %d of %d are legal\n", both ? "ok" : "not ok", legal, count);
  return 0;
}

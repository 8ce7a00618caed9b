// SPDX-License-Identifier: Apache-2.0
// tetc opt: TIR text in, passes over it, TIR text out.
#include "driver/driver.h"

#include <string.h>

// A pass to run: one of the pipeline's, or the simplifier.
typedef struct Step {
  const char *name;
  const Pass *pass; // NULL: simplify
} Step;

typedef struct Opt {
  Driver *d;
  VtaTarget *vta;
  PassCtx pc;
  const Func *f;
  int64_t unproved; // indices of the text that may be outside
  bool synced;      // the text has tokens
  VEC(Step) steps;
  VEC(PhaseClock) clocks;
} Opt;

// True if `list` ("P,Q") names it.
static bool names_it(const char *list, const char *name) {
  size_t n = strlen(name);
  for (const char *p = list; p && *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
    if (strcspn(p, ",") == n && !strncmp(p, name, n)) return true;
  return false;
}

static bool step_named(const char *name, Step *out) {
  int i = pass_find(name);
  *out = (Step){i >= 0 ? pass_table[i].name : "simplify", i >= 0 ? &pass_table[i] : NULL};
  return i >= 0 || !strcmp(name, "simplify");
}

static int no_pass(const Driver *d, const char *option, const char *name) {
  const char *names[64];
  int n = 0;
  for (int i = 0; i < pass_count && n < 62; i++) names[n++] = pass_table[i].name;
  names[n++] = "simplify";
  const char *near = *name ? nearest_name(name, names, (size_t)n) : NULL;
  if (near) return usage_error(d, "`%s %s`: there is no such pass; did you mean `%s`?", option, name, near);
  return usage_error(d, "`%s %s`: there is no such pass; --list-passes lists them", option, *name ? name : "''");
}

// The names of a list are all passes. Returns 0 or EXIT_USAGE.
static int check_list(Opt *o, const char *option, const char *list, bool run) {
  for (const char *name; (name = list_next(o->d->cx.arena, &list));) {
    Step s;
    if (!step_named(name, &s)) return no_pass(o->d, option, name);
    if (run) VEC_PUSH(o->d->cx.arena, o->steps, s);
  }
  return 0;
}

// The number of the pass after which (--from) or until which (--to) there is something to do; lower is before all.
static int phase_bound(Opt *o, const char *option, const char *name, int *out) {
  *out = pass_find(name);
  return *out >= 0 || !strcmp(name, "lower") ? 0 : no_pass(o->d, option, name);
}

// What to run: -p names passes; --from says which phase the text is of, --to where to stop. Without any: nothing.
static int choose_steps(Opt *o) {
  const Options *opt = &o->d->opt;
  int from = -1, to = pass_count - 1;
  int status = check_list(o, "-p", opt->passes, true);
  if (!status) status = check_list(o, "--print-before", opt->print_before, false);
  if (!status) status = check_list(o, "--print-after", opt->print_after, false);
  if (status || (!opt->from && !opt->to)) return status;
  if (opt->passes) return usage_error(o->d, "-p and --from or --to contradict each other");
  if (opt->from) status = phase_bound(o, "--from", opt->from, &from);
  if (!status && opt->to) status = phase_bound(o, "--to", opt->to, &to);
  if (!status && to < from) return usage_error(o->d, "phase `%s` comes before `%s`", opt->to, opt->from);
  for (int i = from + 1; !status && i <= to; i++) {
    Step s = {pass_table[i].name, &pass_table[i]};
    VEC_PUSH(o->d->cx.arena, o->steps, s);
  }
  return status;
}

static const char *text_of(Opt *o, const Func *f) {
  Text t = {.arena = o->d->cx.arena};
  TirPrintOptions opt = {.locations = o->d->opt.print_locations};
  tir_print(f, &opt, &t);
  return t.data;
}

// Prints on the way go to stdout, unless the product does.
static FILE *side_stream(const Opt *o) {
  const char *out = o->d->opt.output;
  return out && strcmp(out, "-") ? stdout : stderr;
}

static void print_around(Opt *o, const char *when, const char *name, const char *list, const Func *f) {
  if (names_it(list, name)) fprintf(side_stream(o), "// ---- %s %s\n%s", when, name, text_of(o, f));
}

static void print_changed(Opt *o, const char *name, const Func *before, const Func *after) {
  if (!o->d->opt.print_changed) return;
  const char *a = text_of(o, before), *b = text_of(o, after);
  Text diff = {.arena = o->d->cx.arena};
  if (!strcmp(a, b)) text_add(&diff, "// ---- %s: no change\n", name);
  else {
    text_add(&diff, "// ---- %s\n", name);
    text_diff(o->d->cx.arena, a, b, &diff);
  }
  fputs(diff.data, side_stream(o));
}

// Tells how many indices are not proved to be in bounds, and the first.
static void tell_unproved(Opt *o, const char *when, const TirVerdict *v) {
  if (!o->d->opt.verify_each || !v->unproved) return;
  Diag *g =
      diag_report(o->d->cx.diags, R_UNPROVED, v->first->loc, "%lld of %lld indices are not proved to be in bounds, %s",
                  (long long)v->unproved, (long long)(v->proved + v->unproved), when);
  diag_note(g, "the first is %s", v->first_index);
}

const Func *tir_load(Driver *d, VtaTarget **vta) {
  const char *error;
  VtaConfig config;
  if (!session_config(d, &config)) return NULL;
  *vta = vta_target_new(&d->cx, &config);
  const Source *src = source_read(d->cx.arena, d->opt.files.data[0], &error);
  if (src) return tir_parse(&d->cx, src, &(*vta)->tir);
  diag_report(d->cx.diags, E_FILE, (Loc){0}, "cannot read `%s`: %s", d->opt.files.data[0], error);
  return NULL;
}

Diag *tir_refuse(Driver *d, const Func *f, TirForm form, TirVerdict *v) {
  if (tir_judge(&d->cx, f, form, v)) return NULL;
  Diag *g = diag_report(d->cx.diags, E_TIR, f->loc, "`%s` does not hold together", f->name);
  diag_note(g, "%s", v->message);
  return g;
}

// The text has to be of the form that --from says, or of some form, before a pass may see it.
static bool check_input(Opt *o) {
  TirVerdict v;
  const char *from = o->d->opt.from;
  int pass = from ? pass_find(from) : -1;
  TirForm form = pass >= 0 ? pass_table[pass].out : from ? FORM_LOOPS : FORM_TILES;
  Diag *g = tir_refuse(o->d, o->f, form, &v);
  o->unproved = v.unproved;
  if (g && from) diag_help(g, "`--from %s` says that the text is what `%s` leaves", from, from);
  if (!g) tell_unproved(o, "in the text", &v);
  if (g) return false;
  o->synced = pass >= pass_find("sync") || sync_was_here(o->f);
  return !o->synced || sync_text_check(&o->pc, o->f);
}

// --verify-each. An index of the text that could not be judged may turn out to be outside when a pass has moved it:
// that is the text's fault.
static bool check_result(Opt *o, const Step *s) {
  TirVerdict v;
  if (!o->d->opt.verify_each) return true;
  if (tir_judge(&o->d->cx, o->f, s->pass ? s->pass->out : FORM_TILES, &v)) {
    tell_unproved(o, arena_printf(o->d->cx.arena, "after %s", s->name), &v);
    return true;
  }
  Diag *g;
  if (v.out_of_bounds && o->unproved)
    g = diag_report(o->d->cx.diags, E_TIR, o->f->loc, "`%s` reaches outside of its buffers, as pass %s shows",
                    o->f->name, s->name);
  else g = diag_report(o->d->cx.diags, E_VERIFY, o->f->loc, "pass %s broke the program", s->name);
  diag_note(g, "%s", v.message);
  return false;
}

// One pass. False after reported errors.
static bool run_step(Opt *o, const Step *s) {
  Ctx *cx = &o->d->cx;
  const Func *before = o->f;
  print_around(o, "before", s->name, o->d->opt.print_before, before);
  trail_note(o->d, s->name, before);
  double start = now_seconds();
  const Func *after =
      s->pass ? s->pass->run(&o->pc, before) : func_with_body(cx, before, stmt_simplify(cx, before->body));
  PhaseClock clock = {s->name, now_seconds() - start};
  VEC_PUSH(cx->arena, o->clocks, clock);
  if (!after) return false;
  print_changed(o, s->name, before, after);
  print_around(o, "after", s->name, o->d->opt.print_after, after);
  o->f = after;
  return check_result(o, s);
}

static void print_times(const Opt *o) {
  for (size_t i = 0; i < o->clocks.len; i++)
    fprintf(stderr, "%-12s %9.3f ms\n", o->clocks.data[i].phase, o->clocks.data[i].seconds * 1e3);
}

// Of a text that got its tokens here: what was not seen in it, such as a transfer longer than its buffer, shows when
// the units run, and would be refused when the result is read again.
static bool check_tokens(Opt *o) {
  bool made_here = !o->synced && sync_was_here(o->f);
  return !made_here || sync_text_check(&o->pc, o->f);
}

// Reads the text.
static bool load(Opt *o) {
  o->f = tir_load(o->d, &o->vta);
  o->pc = (PassCtx){.cx = &o->d->cx, .vta = o->f && o->f->target ? o->vta : NULL};
  return o->f && check_input(o);
}

int command_opt(Driver *d) {
  Opt o = {.d = d};
  int status = choose_steps(&o);
  if (status) return status;
  diags_show_remarks(d->cx.diags, d->opt.verify_each);
  bool ok = load(&o);
  for (size_t i = 0; ok && i < o.steps.len; i++) ok = run_step(&o, &o.steps.data[i]);
  ok = ok && check_tokens(&o);
  if (d->opt.time_passes) print_times(&o);
  if (ok && d->opt.stats) stats_print(&o.pc.stats, o.vta, o.f->name);
  if (!ok || diags_errors(d->cx.diags)) return driver_status(d);
  const char *text = text_of(&o, o.f);
  OutputFile f = {.path = d->opt.output ? d->opt.output : "-", .data = text, .len = strlen(text)};
  outputs_write(&d->cx, &f, 1);
  return driver_status(d);
}

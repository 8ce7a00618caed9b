// SPDX-License-Identifier: Apache-2.0
// What the command line wants of a compilation, made of its options, and what it sees of one.
#include "driver/driver.h"

const Source *session_read(Driver *d, const char *path) {
  const char *error;
  const Source *src = source_read(d->cx.arena, path, &error);
  if (!src) diag_report(d->cx.diags, E_FILE, (Loc){0}, "cannot read `%s`: %s", path, error);
  return src;
}

bool session_config(Driver *d, VtaConfig *config) {
  const Options *o = &d->opt;
  *config = vta_config_default();
  d->board = (VtaBoard){.core = tetc_rtl_options(TETC_MEMORY_UPSTREAM)};
  const Source *json = o->vta_config ? session_read(d, o->vta_config) : NULL;
  if (o->vta_config && (!json || !vta_config_load(&d->cx, json, config))) return false;
  const Source *board = o->board ? session_read(d, o->board) : NULL;
  if (o->board && (!board || !vta_board_load(&d->cx, board, &d->board))) return false;
  d->board.core = device_core(o, &d->board.core);
  return true;
}

bool session_compile_options(Driver *d, CompileOptions *out) {
  const Options *o = &d->opt;
  *out = (CompileOptions){.kernel = o->kernel,
                          .schedule = o->schedule,
                          .core = &d->board.core,
                          .plan_effort = o->plan_effort,
                          .stop_after = o->stop_after,
                          .legalize = o->legalize,
                          .verify_each = o->verify_each,
                          .remarks = o->remarks,
                          .ndefines = (int)o->defines.len,
                          .defines = o->defines.data,
                          .nknobs = (int)o->knobs.len,
                          .knobs = o->knobs.data,
                          .ninclude_dirs = (int)o->include_dirs.len,
                          .include_dirs = o->include_dirs.data,
                          .trial_memory = (size_t)o->memory << 20};
  return session_config(d, &out->config);
}

// ---- what is seen on the way ----------------------------------------------------------------------------------------

static void begins(void *self, const char *phase, const Func *given) {
  Session *s = self;
  trail_note(s->d, phase, given);
  if (pass_find(phase) >= 0) dump_around(s, "before", phase, s->d->opt.print_before, given);
}

// --plant-fault.
static const Func *change(void *self, const char *phase, const Func *made) {
  Session *s = self;
  return fault_plant(s->d, &s->d->cx, phase, made);
}

static void made(void *self, const Compilation *c, const Unit *u, const char *phase, const Func *f, double seconds) {
  Session *s = self;
  dump_made(s, c, u, phase, f);
  if (f && s->observe) s->observe(s->observer, phase, f);
  PhaseClock clock = {phase, seconds};
  VEC_PUSH(s->d->cx.arena, s->clocks, clock);
}

Session *session_new(Driver *d) {
  Session *s = NEW(d->cx.arena, Session);
  s->d = d;
  return s;
}

bool session_load_source(Session *s, const Source *src) {
  Driver *d = s->d;
  *s = (Session){.d = d, .hooks = {.self = s, .begins = begins, .made = made}};
  if (!session_compile_options(d, &s->options)) return false;
  if (d->opt.log && d->id != CMD_TUNE) src = plans_of_log(s, src);
  if (!src) return false;
  if (d->opt.plant_fault) s->hooks.change = change;
  d->compilation = &s->c;
  return compile_load(&s->c, &d->cx, src, &s->options, &s->hooks);
}

bool session_load(Session *s, const char *path) {
  const Source *src = session_read(s->d, path);
  return src && session_load_source(s, src);
}

Unit *session_lower(Session *s, const TeKernel *k) {
  s->kernel = k;
  s->last = NULL;
  s->clocks.len = 0;
  diags_show_remarks(s->d->cx.diags, s->d->opt.remarks);
  s->options.stop_after = s->d->opt.stop_after;
  Unit *u = compile_kernel(&s->c, k);
  if (s->d->opt.time_passes && u->schedule) dump_times(s);
  return u;
}

void session_check(Session *s, const Source *src) {
  s->d->cx.diags = diags_new(s->d->cx.arena);
  if (!session_load_source(s, src)) return;
  for (size_t i = 0; i < s->c.kernels.len; i++) session_lower(s, s->c.kernels.data[i]);
}

// The exit status for the errors reported so far: our own fault, a file, the input.
int driver_status(const Driver *d) {
  if (!diags_errors(d->cx.diags)) return EXIT_DONE;
  if (diags_have(d->cx.diags, E_INTERNAL) || diags_have(d->cx.diags, E_VERIFY)) return EXIT_OURS;
  bool files = diags_have(d->cx.diags, E_FILE) || diags_have(d->cx.diags, E_MEMORY);
  return files ? EXIT_FILES : EXIT_INPUT;
}

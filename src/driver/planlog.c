// SPDX-License-Identifier: Apache-2.0
// What results of tetc tune are of, and how compilations use them: a kernel that would be planned gets the best plan
// that was measured, as an edit of the text. A log is a file that anybody may have written: the text with a plan of it
// must hold together, and have the same kernels.
#include "driver/tune.h"

#include <string.h>
#include <unistd.h>

// This program, to the bit: what another one measured of a kernel is something else.
static const char *own_version(Ctx *cx) {
  char digits[65] = "";
  FILE *f = fopen("/proc/self/exe", "rb");
  Text t = {.arena = arena_new()};
  char block[1 << 16];
  for (size_t n; f && t.arena && (n = fread(block, 1, sizeof block, f));) text_add_bytes(&t, block, n);
  if (f) fclose(f);
  if (t.len) sha256_text(t.data, t.len, digits);
  if (t.arena) arena_free(t.arena);
  return arena_printf(cx->arena, "%s %.16s", TETC_VERSION, digits);
}

// The processor's name, and how many there are.
static const char *host_text(Ctx *cx) {
  char line[256], name[200] = "unknown";
  FILE *f = fopen("/proc/cpuinfo", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "model name : %199[ -~]", name) == 1) break;
  if (f) fclose(f);
  return arena_printf(cx->arena, "%s, %ld processors", name, sysconf(_SC_NPROCESSORS_CONF));
}

static const char *core_text(Ctx *cx, const VtaConfig *c, const TetcRtlOptions *o) {
  return arena_printf(cx->arena,
                      "VTA %dx%dx%d, 2^ bits inp %d wgt %d acc %d out %d, 2^ bytes uop %d inp %d wgt %d acc %d out %d; "
                      "bus %u, latency %u and %u, bandwidth %u, outstanding %u",
                      1 << c->log_batch, 1 << c->log_block_in, 1 << c->log_block_out, c->log_inp_width,
                      c->log_wgt_width, c->log_acc_width, c->log_out_width, c->log_uop_buff, c->log_inp_buff,
                      c->log_wgt_buff, c->log_acc_buff, c->log_out_buff, o->bus, o->latency, o->write_latency,
                      o->bandwidth, o->outstanding);
}

static const char *flags_text(const Driver *d, bool host) {
  const Options *o = &d->opt;
  Text t = {.arena = d->cx.arena};
  text_add(&t, "%s", "");
  if (host) text_add(&t, "-O%lld", (long long)o->opt_level);
  if (host && o->cpu) text_add(&t, " -mcpu=%s", o->cpu);
  if (host && o->features) text_add(&t, " -mattr=%s", o->features);
  if (o->plant_fault) text_add(&t, " --plant-fault=%s", o->plant_fault);
  for (size_t i = 0; i < o->knobs.len; i++)
    text_add(&t, " -K %s=%lld", o->knobs.data[i].name, (long long)o->knobs.data[i].value);
  for (size_t i = 0; i < t.len; i++)
    if (t.data[i] < ' ' || t.data[i] > '~') t.data[i] = '?';
  return t.data;
}

// What a kernel computes; and its schedule, where there is one.
static const char *kernel_hash(Ctx *cx, const TeModule *m, const TeKernel *k, const TeSchedule *s) {
  Text t = {.arena = cx->arena};
  TeModule one = *m; // as it was checked: comments, names of files and what is not of this kernel do not count
  one.nkernels = 1;
  one.kernels = &k;
  one.nschedules = s != NULL;
  one.schedules = &s;
  if (!s) one.nconsts = one.nparts = 0; // the kernel has their values in it
  te_print(&one, &t);
  char *digits = arena_alloc(cx->arena, 65);
  sha256_text(t.data, t.len, digits);
  return digits;
}

TuneKey tune_key(Driver *d, const Compilation *c, const TeKernel *k, const TeSchedule *schedule, DeviceKind device) {
  Ctx *cx = &d->cx;
  bool host = device == DEVICE_HOST;
  return (TuneKey){.tetc = own_version(cx),
                   .kernel = k->name,
                   .hash = kernel_hash(cx, c->module, k, schedule),
                   .hardware = host ? host_text(cx) : core_text(cx, &c->vta->config, &d->board.core),
                   .flags = flags_text(d, host),
                   .device = host                   ? "host"
                             : device == DEVICE_RTL ? "rtl"
                                                    : "model"};
}

// What of the log is of no use.
void tune_tell_log(const Driver *driver, const TuneLog *l) {
  Diags *d = driver->cx.diags;
  if (l->garbage)
    diag_report(d, W_LOG, (Loc){0}, "lines of `%s` are ignored, as they are no results: %zu, the first is line %zu",
                l->path, l->garbage, l->garbage_line);
  if (l->version)
    diag_report(d, W_LOG, (Loc){0}, "lines of `%s` are %s another version of tetc: %zu", l->path,
                l->use == TUNE_LOG_IS_ALL ? "used that were written by" : "ignored, as they were written by",
                l->version);
  if (l->hardware)
    diag_report(d, W_LOG, (Loc){0}, "lines of `%s` are ignored, as they are for other hardware, or other options: %zu",
                l->path, l->hardware);
}

// ---- plans of a log -------------------------------------------------------------------------------------------------

static bool would_be_planned(Compilation *c, const TeKernel *k) {
  const char *named = c->options->schedule;
  bool ok = true;
  if (!c->module->target) return false;
  if (named) return !strcmp(named, "auto");
  return !schedule_find(c->cx, c->module, k, NULL, &ok) && ok && !c->options->nknobs;
}

// In the fewest cycles; what the core took goes before what the model says.
static const TuneEntry *best_of(const TuneLog *log) {
  const TuneEntry *best = NULL;
  for (size_t i = 0; i < log->entries.len; i++) {
    const TuneEntry *e = &log->entries.data[i];
    if (!e->result.measured || !tune_in_cycles(e->device)) continue;
    bool core = !strcmp(e->device, "rtl"), best_core = best && !strcmp(best->device, "rtl");
    if (!best || (core && !best_core) || (core == best_core && e->result.value < best->result.value)) best = e;
  }
  return best;
}

// The text with the plan of an entry in place, which compiles, and has the same kernels; NULL: it is no such plan.
static const Source *with_plan(Ctx *cx, const Compilation *c, const TeKernel *k, const TuneEntry *e) {
  size_t len = strlen(e->plan);
  const char *text = arena_printf(cx->arena, "%.*s", (int)(len - (len && e->plan[len - 1] == '\n')), e->plan);
  SourceEdit edit = schedule_edit_text(cx, c->module, k, NULL, text);
  if (!loc_known(edit.at)) return NULL;
  const Source *src = source_edits(cx->arena, c->source, 1, &edit);
  Compilation with;
  CompileOptions options = *c->options;
  options.kernel = k->name;
  options.measured = &k->name;
  options.nmeasured = 1;
  options.remarks = false;
  if (!compile_load(&with, cx, src, &options, NULL)) return NULL;
  const TeModule *m = c->module, *n = with.module;
  bool same = m->nkernels == n->nkernels && m->nconsts == n->nconsts && m->nparts == n->nparts &&
              n->nschedules <= m->nschedules + 1;
  for (int i = 0; i < m->nkernels && same; i++)
    same = !strcmp(kernel_hash(cx, m, m->kernels[i], NULL), kernel_hash(cx, n, n->kernels[i], NULL));
  const Unit *u = same ? compile_kernel(&with, with.kernels.data[0]) : NULL;
  return u && unit_whole(&with, u) && u->schedule->source ? src : NULL;
}

// One kernel's plan, if the log has one: the text with it, else the same text.
static const Source *use_log(Session *s, const char *kernel, const Source *src) {
  Driver *d = s->d;
  Ctx cx = d->cx;
  Compilation c;
  TuneLog log;
  cx.diags = diags_new(cx.arena); // what is wrong with the text is told when it is compiled
  CompileOptions options = s->options;
  options.kernel = kernel;
  if (!compile_load(&c, &cx, src, &options, NULL) || !would_be_planned(&c, c.kernels.data[0])) return src;
  TuneKey key = tune_key(d, &c, c.kernels.data[0], NULL, DEVICE_RTL);
  if (!tune_log_read(&d->cx, d->opt.log, &key, TUNE_LOG_IS_READ, &log)) return NULL;
  tune_tell_log(d, &log);
  const TuneEntry *e = best_of(&log);
  if (!e) return src;
  const Source *with = with_plan(&cx, &c, c.kernels.data[0], e);
  if (!with) {
    diag_report(d->cx.diags, W_LOG, (Loc){0}, "line %zu of `%s` is ignored: its plan does not fit `%s`", e->line,
                log.path, kernel);
    return src;
  }
  diag_report(d->cx.diags, R_PLAN, (Loc){0}, "`%s` has the plan of line %zu of `%s`: %.0f cycles, on %s", kernel,
              e->line, log.path, e->result.value, e->device);
  VEC_PUSH(d->cx.arena, s->measured, kernel);
  return with;
}

const Source *plans_of_log(Session *s, const Source *src) {
  Ctx cx = s->d->cx;
  Compilation c;
  cx.diags = diags_new(cx.arena);
  if (!compile_load(&c, &cx, src, &s->options, NULL)) return src;
  for (size_t i = 0; i < c.kernels.len && src; i++) src = use_log(s, c.kernels.data[i]->name, src);
  s->options.measured = s->measured.data;
  s->options.nmeasured = (int)s->measured.len;
  return src;
}

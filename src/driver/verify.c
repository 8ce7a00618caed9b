// SPDX-License-Identifier: Apache-2.0
// tetc verify: executes every phase on the same inputs, and compares the outputs with the reference evaluator's. The
// first pass whose output differs is named.
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>

typedef struct Verify {
  Driver *d;
  Session *s;
  const TeKernel *kernel;
  Array *inputs, *wanted, *got; // one a tensor of the kernel, data NULL where it is of another role
  const char *last_good;        // phase
  const char *failed;           // the phase; NULL: none has
} Verify;

// Inputs, and what the unscheduled kernel makes of them.
static bool make_arrays(Verify *v) {
  Ctx *cx = &v->d->cx;
  const TeKernel *k = v->kernel;
  void **data = NEW_ARRAY(cx->arena, void *, k->ntensors);
  v->inputs = NEW_ARRAY(cx->arena, Array, k->ntensors);
  v->wanted = NEW_ARRAY(cx->arena, Array, k->ntensors);
  v->got = NEW_ARRAY(cx->arena, Array, k->ntensors);
  for (int i = 0; i < k->ntensors; i++) {
    const TeTensor *t = k->tensors[i];
    Array *a = t->role == TE_INPUT ? &v->inputs[i] : &v->wanted[i];
    if (t->role == TE_CONSTANT) continue;
    if (!array_alloc(cx, a, t)) return false;
    if (t->role == TE_OUTPUT && !array_alloc(cx, &v->got[i], t)) return false;
    data[i] = a->data;
    if (t->role == TE_INPUT && !input_fill(v->d, a)) return false;
  }
  return te_eval(cx, k, &(TeArrays){data});
}

static void free_arrays(Verify *v) {
  for (int i = 0; v->got && i < v->kernel->ntensors; i++) {
    array_free(&v->inputs[i]);
    array_free(&v->wanted[i]);
    array_free(&v->got[i]);
  }
}

static int64_t array_bytes(const Array *a) { return a->elems * dtype_bytes(a->type); }

// Outputs hold a pattern before each run, so that an element never written shows.
static void spoil(Array *a) { memset(a->data, a->type == DT_BOOL ? 1 : 0xa5, (size_t)array_bytes(a)); }

// The memory of f's parameters.
static void **bind_params(Verify *v, const Func *f) {
  void **params = NEW_ARRAY(v->d->cx.arena, void *, f->nparams);
  for (int p = 0; p < f->nparams; p++)
    for (int i = 0; i < v->kernel->ntensors; i++) {
      Array *a = v->kernel->tensors[i]->role == TE_INPUT ? &v->inputs[i] : &v->got[i];
      if (!a->data || strcmp(a->name, f->params[p]->name)) continue;
      if (a == &v->got[i]) spoil(a);
      params[p] = a->data;
    }
  for (int p = 0; p < f->nparams; p++)
    if (!params[p]) bug("the function has a parameter `%s` that the kernel has not", f->params[p]->name);
  return params;
}

// Says that a phase failed, and which pass is to blame.
static void blame(Verify *v, const char *phase, const char *what) {
  Diag *g =
      diag_report(v->d->cx.diags, E_VERIFY, v->kernel->name_loc, "`%s` is wrong after %s", v->kernel->name, phase);
  diag_note_lines(g, what);
  if (v->last_good) diag_note(g, "after %s it was right", v->last_good);
  v->failed = phase;
}

// ---- phases ---------------------------------------------------------------------------------------------------------

// Compares what was computed; false after a report. `how`: in which order, or "".
static bool compare(Verify *v, const char *phase, const char *how) {
  Text t = {.arena = v->d->cx.arena};
  bool same = true;
  for (int i = 0; i < v->kernel->ntensors; i++)
    if (v->got[i].data) same &= array_compare(&v->got[i], &v->wanted[i], te_is_exact(v->kernel), &t);
  if (!same) blame(v, phase, arena_printf(v->d->cx.arena, "%s%s", t.data, how));
  return same;
}

// A phase is right.
static bool agrees(Verify *v, const char *phase, double start) {
  v->last_good = phase;
  if (v->d->quiet) return true;
  printf("%-12s agrees", phase);
  if (v->d->opt.verbose) printf("  %.0f ms", (now_seconds() - start) * 1e3);
  printf("\n");
  return true;
}

// What a phase may leave.
static TirForm form_of(const char *phase) {
  int i = pass_find(phase);
  return i < 0 ? FORM_LOOPS : pass_table[i].out;
}

// Executes the function of a phase, the units taking turns in some order.
static bool interpret_in(Verify *v, const char *phase, const Func *f, VtaOrder order) {
  static const char *const how[VTA_ORDER_COUNT] = {
      [VTA_IN_ORDER] = "",
      [VTA_LOADS_AHEAD] = "\nso it is when load runs as far ahead of compute and store as tokens let it",
      [VTA_STORES_AHEAD] = "\nso it is when store and compute run as far ahead of load as tokens let them",
  };
  const char *error = NULL;
  if (interpret_func(&v->d->cx, v->s->c.vta, f, bind_params(v, f), order, &error)) return compare(v, phase, how[order]);
  blame(v, phase, arena_printf(v->d->cx.arena, "%s%s", error, how[order]));
  return false;
}

// Called with the function after each phase.
static void observe(void *self, const char *phase, const Func *f) {
  Verify *v = self;
  const char *error = NULL;
  if (v->failed) return;
  double start = now_seconds();
  if (!tir_verify(&v->d->cx, f, form_of(phase), &error)) {
    blame(v, phase, error);
    return;
  }
  // Until there are tokens, only the program's own order is right.
  int last = pass_find(phase) >= pass_find("sync") && f->target ? VTA_ORDER_COUNT - 1 : VTA_IN_ORDER;
  for (int order = VTA_IN_ORDER; order <= last; order++)
    if (!interpret_in(v, phase, f, (VtaOrder)order)) return;
  agrees(v, phase, start);
}

// After the last phase: as it would really run, on a device.
static bool run_it(Verify *v, const Unit *u, const char *phase, DeviceKind device) {
  const TeKernel *k = v->kernel;
  Array *arrays = NEW_ARRAY(v->d->cx.arena, Array, k->ntensors);
  double start = now_seconds();
  for (int i = 0; i < k->ntensors; i++) {
    arrays[i] = k->tensors[i]->role == TE_INPUT ? v->inputs[i] : v->got[i];
    if (v->got[i].data) spoil(&v->got[i]);
  }
  int saved = v->d->opt.device;
  v->d->opt.device = device;
  bool ran = run_compiled(v->s, u, arrays);
  v->d->opt.device = saved;
  if (ran) return compare(v, phase, "") && agrees(v, phase, start);
  v->failed = phase;
  return false;
}

// The functional simulator, then the core under Verilator where it is built for this configuration.
static void run_devices(Verify *v, const Unit *u) {
  if (!u->func->target) {
    run_it(v, u, "llvm", DEVICE_FSIM);
    return;
  }
  if (run_it(v, u, "llvm, vta", DEVICE_FSIM) && !v->failed && device_has_rtl(v->d, &v->s->c.vta->config))
    run_it(v, u, "rtl", DEVICE_RTL);
}

// The phase after which the kernel is wrong, or NULL.
static const char *verify_kernel(Session *s, const TeKernel *k, bool compiled) {
  Verify v = {.d = s->d, .s = s, .kernel = k};
  if (s->c.kernels.len > 1 && !s->d->quiet) printf("kernel %s\n", k->name);
  if (make_arrays(&v)) {
    s->observe = observe;
    s->observer = &v;
    const Unit *u = session_lower(s, k);
    if (u->func && unit_whole(&s->c, u) && !v.failed && compiled) run_devices(&v, u);
  }
  free_arrays(&v);
  return v.failed;
}

// Names in --input that are no input of any kernel.
static int check_inputs(Session *s) {
  const Options *o = &s->d->opt;
  for (size_t n = 0; n < o->inputs.len; n++) {
    bool found = false;
    for (size_t i = 0; i < s->c.kernels.len; i++)
      for (int t = 0; t < s->c.kernels.data[i]->ntensors; t++) {
        const TeTensor *x = s->c.kernels.data[i]->tensors[t];
        found |= x->role == TE_INPUT && !strcmp(x->name, o->inputs.data[n].name);
      }
    if (!found) return usage_error(s->d, "`--input %s=...`: there is no input of that name", o->inputs.data[n].name);
  }
  return 0;
}

const char *verify_source(Driver *d, const Source *src, bool compiled) {
  Session *s = session_new(d);
  const char *first = NULL;
  if (!session_load_source(s, src)) return NULL;
  for (size_t i = 0; i < s->c.kernels.len; i++) {
    const char *phase = verify_kernel(s, s->c.kernels.data[i], compiled);
    if (!first) first = phase;
  }
  return first;
}

int command_verify(Driver *d) {
  if (d->opt.against) return verify_against(d);
  Session *s = session_new(d);
  const Source *src = session_read(d, d->opt.files.data[0]);
  if (!src || !session_load_source(s, src)) return driver_status(d);
  int status = check_inputs(s);
  if (status) return status;
  const Source *small = d->opt.shrink ? shrink(d, src) : NULL;
  if (small) {
    fputs(small->text, stdout);
    d->quiet = true; // standard output is for the program
    src = small;
  }
  verify_source(d, src, true);
  return driver_status(d);
}

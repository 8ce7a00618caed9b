// SPDX-License-Identifier: Apache-2.0
// tetc run: compiles a kernel into this process, runs it on the device, and compares it with the reference evaluator.
#include "backend_llvm/llvm.h"
#include "driver/driver.h"

#include <string.h>
#include <stdlib.h>

// What a run holds; freed by run_free whatever happened.
struct Run {
  Driver *d;
  Session *s; // of a .te file
  VtaTarget *vta;
  const TeKernel *kernel;
  const Unit *unit; // of the kernel, compiled
  Array *arrays;    // one a tensor of the kernel, in its order; data NULL where it is not a parameter
  Array *wanted;    // the same, by the reference evaluator
  void **params;    // in the order of the function's parameters
  const LlvmBackend *backend;
  void *handle;
  LlvmEntry *entry;
  TetcRuntime *runtime;
  TetcTimeline *timeline; // of a device with cycles: for --stats, --trace, and where it failed; else NULL
  LlvmMarks marks;        // where the instructions come from
  PendingFile wave;       // --wave
  Plain *stages;          // what --output wants of stages, computed by the CPU; NULL: nothing
};

// What jitted code calls of the runtime.
static const LlvmSymbol symbols[] = {
// clang-format off
#define SYMBOL(f) {#f, (void (*)(void))f}
    SYMBOL(VTABufferAlloc), SYMBOL(VTABufferFree), SYMBOL(VTABufferCopy), SYMBOL(VTATLSCommandHandle),
    SYMBOL(VTABufferCPUPtr), SYMBOL(VTAWriteBarrier), SYMBOL(VTAReadBarrier), SYMBOL(VTASetDebugMode),
    SYMBOL(VTALoadBuffer2D), SYMBOL(VTAStoreBuffer2D), SYMBOL(VTAUopPush), SYMBOL(VTAUopLoopBegin),
    SYMBOL(VTAUopLoopEnd), SYMBOL(VTAPushGEMMOp), SYMBOL(VTAPushALUOp), SYMBOL(VTADepPush), SYMBOL(VTADepPop),
    SYMBOL(VTASynchronize), SYMBOL(VTARuntimeShutdown), SYMBOL(tetc_runtime_mark),
    SYMBOL(tetc_kernel_begin), SYMBOL(tetc_kernel_done), SYMBOL(tetc_kernel_failed),
// clang-format on
#undef SYMBOL
};

// The tensors of one role, for messages.
static const char *tensor_names(Arena *a, const TeKernel *k, TeRole role) {
  Text t = {.arena = a};
  for (int i = 0; i < k->ntensors; i++)
    if (k->tensors[i]->role == role) text_add(&t, "%s`%s`", t.len ? ", " : "", k->tensors[i]->name);
  return t.len ? t.data : "none";
}

static const TeTensor *tensor_named(const TeKernel *k, const char *name) {
  for (int i = 0; i < k->ntensors; i++)
    if (!strcmp(k->tensors[i]->name, name)) return k->tensors[i];
  return NULL;
}

// No tensor of that name, or none that can be had.
static int no_tensor(Driver *d, const TeKernel *k, const char *option, TeRole role, const char *name) {
  Nearest near = {.wanted = name};
  for (int i = 0; i < k->ntensors; i++)
    if (k->tensors[i]->role == role || (role == TE_OUTPUT && k->tensors[i]->role == TE_COMPUTE))
      nearest_try(&near, k->tensors[i]->name);
  const char *meant = near.best ? arena_printf(d->cx.arena, "; did you mean `%s`?", near.best) : "";
  return usage_error(d, "`%s %s=...`: kernel `%s` has no %s of that name; it has %s%s", option, name, k->name,
                     role == TE_INPUT ? "input" : "output or stage", tensor_names(d->cx.arena, k, role), meant);
}

// Every name of --input must be an input, of --output an output or a stage, once. Returns 0 or EXIT_USAGE.
static int check_pairs(Driver *d, const TeKernel *k, const char *option, TeRole role, const NamePair *p, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const TeTensor *t = tensor_named(k, p[i].name);
    if (!t || (t->role != role && !(role == TE_OUTPUT && t->role == TE_COMPUTE)))
      return no_tensor(d, k, option, role, p[i].name);
    for (size_t j = 0; j < i; j++)
      if (!strcmp(p[j].name, p[i].name)) return usage_error(d, "`%s %s=...` is given twice", option, p[i].name);
  }
  return 0;
}

// Allocates inputs and outputs, and fills the inputs.
static bool make_arrays(Run *r) {
  Driver *d = r->d;
  const TeKernel *k = r->kernel;
  r->arrays = NEW_ARRAY(d->cx.arena, Array, k->ntensors);
  for (int i = 0; i < k->ntensors; i++) {
    const TeTensor *t = k->tensors[i];
    Array *a = &r->arrays[i];
    if (t->role == TE_COMPUTE || t->role == TE_CONSTANT) continue;
    if (!array_alloc(&d->cx, a, t)) return false;
    if (t->role == TE_INPUT && !input_fill(d, a)) return false;
  }
  return true;
}

// The array of a parameter, by its name.
static Array *array_named(Run *r, const char *name) {
  for (int i = 0; i < r->kernel->ntensors; i++)
    if (r->arrays[i].data && !strcmp(r->arrays[i].name, name)) return &r->arrays[i];
  bug("the function has a parameter `%s` that the kernel has not", name);
}

// The parameters' memory, in the function's order.
static void bind_params(Run *r) {
  const Func *f = r->unit->func;
  r->params = NEW_ARRAY(r->d->cx.arena, void *, f->nparams);
  for (int i = 0; i < f->nparams; i++) r->params[i] = array_named(r, f->params[i]->name)->data;
}

// Whether an output has changed since `kept` was copied of it; takes the copy back.
static bool take_back(Array *a, const Array *kept) {
  size_t bytes = (size_t)(a->elems * dtype_bytes(a->type));
  bool same = !memcmp(a->data, kept->data, bytes);
  memcpy(a->data, kept->data, bytes);
  return same;
}

// Executes the text with the units taking turns in another order: the outputs are the same, or order is missing.
static bool interpret_again(Run *r, VtaOrder order) {
  Ctx *cx = &r->d->cx;
  const char *why = NULL;
  bool same = true;
  Array *kept = NEW_ARRAY(cx->arena, Array, r->kernel->ntensors);
  for (int i = 0; i < r->kernel->ntensors; i++) {
    if (r->kernel->tensors[i]->role != TE_OUTPUT) continue;
    if (!array_alloc(cx, &kept[i], r->kernel->tensors[i])) return false;
    size_t bytes = (size_t)(kept[i].elems * dtype_bytes(kept[i].type));
    memcpy(kept[i].data, r->arrays[i].data, bytes);
    memset(r->arrays[i].data, 0, bytes);
  }
  bool ran = interpret_func(cx, r->vta, r->unit->func, r->params, order, &why);
  for (int i = 0; i < r->kernel->ntensors; i++) {
    if (kept[i].data) same &= take_back(&r->arrays[i], &kept[i]);
    array_free(&kept[i]);
  }
  if (ran && same) return true;
  Diag *g = diag_report(cx->diags, E_TIR, r->kernel->name_loc,
                        "what `%s` computes depends on the order in which units take turns", r->kernel->name);
  diag_note(g, "%s",
            order == VTA_LOADS_AHEAD
                ? "it is another thing when load runs as far ahead as tokens let it"
                : "it is another thing when store and compute run as far ahead of load as tokens let them");
  if (why) diag_note_lines(g, why);
  return false;
}

// Of a text that has been through pass `sync`: tokens order all that has to be, and so it does in other orders.
static bool check_order(Run *r) {
  PassCtx pc = {.cx = &r->d->cx, .vta = r->vta};
  if (r->unit->schedule || !sync_was_here(r->unit->func)) return true;
  return sync_text_check(&pc, r->unit->func) && interpret_again(r, VTA_LOADS_AHEAD) &&
         interpret_again(r, VTA_STORES_AHEAD);
}

// --interpret: executes the TIR of the phase as it is.
static bool interpret(Run *r) {
  const char *why;
  bind_params(r);
  if (interpret_func(&r->d->cx, r->vta, r->unit->func, r->params, VTA_IN_ORDER, &why)) return check_order(r);
  Diag *g = diag_report(r->d->cx.diags, E_RUN, r->kernel->name_loc, "kernel `%s` failed: %.*s", r->kernel->name,
                        (int)strcspn(why, "\n"), why);
  why += strcspn(why, "\n");
  diag_note_lines(g, why + (*why == '\n'));
  return false;
}

// Compiles into this process.
static bool compile_now(Run *r) {
  Driver *d = r->d;
  const Func *f = r->unit->func;
  const char *why;
  r->backend = llvm_backend_load(&why);
  if (!r->backend) {
    diag_report(d->cx.diags, E_BACKEND, (Loc){0}, "the LLVM back end is not available: %s", why);
    return false;
  }
  LlvmOptions opt = {.cpu = d->opt.cpu,
                     .features = d->opt.features,
                     .opt_level = (int)d->opt.opt_level,
                     .marks = r->timeline ? &r->marks : NULL};
  bind_params(r);
  return r->backend->jit_compile(&d->cx, f, &opt, (int)(sizeof symbols / sizeof *symbols), symbols, &r->handle,
                                 &r->entry);
}

// Something to see what the device does, if that is asked for and the device has cycles.
static bool open_timeline(Run *r) {
  const Options *o = &r->d->opt;
  if ((o->trace || o->wave) && !r->unit->func->target) {
    diag_report(r->d->cx.diags, E_RUN, r->kernel->name_loc,
                "kernel `%s` has nothing for the accelerator to do: there is nothing to trace", r->kernel->name);
    return false;
  }
  if (!device_timed(o) || !r->unit->func->target) return true;
  r->timeline = tetc_timeline_new(o->trace != NULL);
  if (!r->timeline) diag_report(r->d->cx.diags, E_MEMORY, (Loc){0}, "there is no memory for the timeline");
  return r->timeline != NULL;
}

// --wave, also of a run that failed.
static bool write_wave(Run *r) {
  TetcDevice *device = r->runtime ? tetc_runtime_device(r->runtime) : NULL;
  const char *why = NULL;
  if (!device) output_discard(&r->wave);
  else if (device->finish) device->finish(device->self, &why);
  return output_commit(&r->d->cx, &r->wave, why);
}

// --trace, also of a run that failed.
static bool write_trace(Run *r) {
  Driver *d = r->d;
  Text t = {.arena = d->cx.arena};
  if (r->timeline && r->timeline->lost) {
    diag_report(d->cx.diags, E_MEMORY, (Loc){0}, "there is no memory for the timeline");
    return false;
  }
  if (!r->timeline || !d->opt.trace) return true;
  timeline_json(r->timeline, &r->vta->config, &r->marks, r->kernel->name, &t);
  return outputs_write(&d->cx, &(OutputFile){.path = d->opt.trace, .data = t.data, .len = t.len}, 1);
}

// The device with its command queue; the hazard checker is on when results are checked.
static bool open_runtime(Run *r) {
  if (!r->unit->func->target) return true;
  if (r->d->opt.wave && !output_reserve(&r->d->cx, r->d->opt.wave, &r->wave)) return false;
  TetcDevice *device = device_open(r->d, &r->vta->config, r->timeline, r->wave.temp);
  if (!device) return false;
  r->runtime = tetc_runtime_new(device);
  if (!r->runtime) {
    diag_report(r->d->cx.diags, E_MEMORY, (Loc){0}, "there is no memory for the runtime");
    return false;
  }
  tetc_runtime_select(r->runtime);
  tetc_runtime_check(r->runtime, r->d->opt.check);
  return true;
}

// Where the instructions come from at which a device with cycles stopped.
static void note_places(Run *r, Diag *g) {
  uint32_t marks[2];
  int n = r->timeline ? tetc_runtime_fault(r->runtime, marks) : 0;
  for (int i = 0; i < n; i++) {
    if (!marks[i] || marks[i] > r->marks.stmts.len) continue;
    Loc at = r->marks.stmts.data[marks[i] - 1]->loc;
    if (at.src) diag_also(g, at, i ? "and at an instruction of this" : "it stopped at an instruction of this");
  }
}

// Calls the kernel.
static bool execute(Run *r) {
  double start = now_seconds();
  int status = r->entry(r->params);
  const char *why = r->runtime ? tetc_runtime_error(r->runtime) : NULL;
  if (r->d->opt.verbose) fprintf(stderr, "tetc: ran in %.3f ms\n", (now_seconds() - start) * 1e3);
  if (!status && !why) return true;
  bool no_memory = status == TETC_NO_MEMORY || (why && tetc_runtime_no_memory(r->runtime));
  Diag *g = diag_report(r->d->cx.diags, no_memory ? E_MEMORY : E_RUN, r->kernel->name_loc, "kernel `%s` failed: %s",
                        r->kernel->name, why ? why : tetc_status_text(status));
  diag_note(g, "its outputs are undefined, and not written");
  if (no_memory) return false;
  if (why) note_places(r, g);
  if (why) vta_check_stream(&r->d->cx, r->unit->func); // the same stream again, for the places in the source
  return false;
}

// Evaluates the unscheduled kernel on the same inputs. False: some element differs, or an error was reported.
static bool check_outputs(Run *r) {
  Ctx *cx = &r->d->cx;
  const TeKernel *k = r->kernel;
  bool same = true;
  r->wanted = NEW_ARRAY(cx->arena, Array, k->ntensors);
  void **data = NEW_ARRAY(cx->arena, void *, k->ntensors);
  for (int i = 0; i < k->ntensors; i++) {
    bool is_input = k->tensors[i]->role == TE_INPUT;
    if (k->tensors[i]->role == TE_CONSTANT) continue;
    if (!is_input && !array_alloc(cx, &r->wanted[i], k->tensors[i])) return false;
    data[i] = is_input ? r->arrays[i].data : r->wanted[i].data;
  }
  TeArrays arrays = {data};
  if (!te_eval(cx, k, &arrays)) return false;
  Text t = {.arena = cx->arena};
  for (int i = 0; i < k->ntensors; i++)
    if (k->tensors[i]->role == TE_OUTPUT) same &= array_compare(&r->arrays[i], &r->wanted[i], te_is_exact(k), &t);
  fputs(t.len ? t.data : "", same ? stdout : stderr);
  return same;
}

bool run_call(void *run) {
  const Run *r = run;
  tetc_runtime_select(r->runtime);
  return !r->entry(r->params) && !(r->runtime && tetc_runtime_error(r->runtime));
}

// --bench: the kernel has run once. It must still compute the same when it has run many times.
static bool bench(Run *r) {
  Driver *d = r->d;
  const TeKernel *k = r->kernel;
  Bench b;
  bool ok = true, same = true;
  Array *kept = NEW_ARRAY(d->cx.arena, Array, k->ntensors);
  for (int i = 0; i < k->ntensors && ok; i++) {
    if (k->tensors[i]->role != TE_OUTPUT) continue;
    ok = array_alloc(&d->cx, &kept[i], k->tensors[i]);
    if (ok) memcpy(kept[i].data, r->arrays[i].data, (size_t)(kept[i].elems * dtype_bytes(kept[i].type)));
  }
  bool ran = ok && bench_run(&d->cx, d->opt.bench_seconds, bench_threads(r->unit->func), run_call, r, &b);
  for (int i = 0; i < k->ntensors; i++) {
    if (kept[i].data && ran) same &= take_back(&r->arrays[i], &kept[i]);
    array_free(&kept[i]);
  }
  if (!ok) return false;
  if (!ran || !same) {
    Diag *g = diag_report(d->cx.diags, E_RUN, k->name_loc, "kernel `%s` %s when it runs again", k->name,
                          ran ? "computes something else" : "fails");
    diag_note(g, "it has run once, on the same inputs, and did not");
    return false;
  }
  Text t = {.arena = d->cx.arena};
  bench_text(&b, k->name, &t);
  if (r->runtime) text_add(&t, "bench: this includes the functional simulator, in place of VTA\n");
  fputs(t.data, stdout);
  return true;
}

// Computes the stages that --output names. The kernel as it ran may never have stored them, or only in parts: they are
// what the program says, of the same inputs, by the CPU in the order of the text.
static bool compute_stages(Run *r) {
  Driver *d = r->d;
  VEC(const char *) names = {0};
  for (size_t i = 0; i < d->opt.outputs.len; i++)
    if (tensor_named(r->kernel, d->opt.outputs.data[i].name)->role == TE_COMPUTE)
      VEC_PUSH(d->cx.arena, names, d->opt.outputs.data[i].name);
  if (!names.len) return true;
  r->stages = plain_open(d, r->s->c.source, NULL, r->kernel->name, names.data, (int)names.len);
  for (int i = 0; r->stages && i < r->kernel->ntensors; i++)
    if (r->kernel->tensors[i]->role == TE_INPUT)
      memcpy(plain_array(r->stages, r->kernel->tensors[i]->name)->data, r->arrays[i].data,
             (size_t)(r->arrays[i].elems * dtype_bytes(r->arrays[i].type)));
  return r->stages && plain_run(r->stages);
}

// Writes the tensors that --output names, all or none.
static bool write_outputs(Run *r) {
  Driver *d = r->d;
  size_t n = d->opt.outputs.len;
  OutputFile *files = NEW_ARRAY(d->cx.arena, OutputFile, n);
  if (!compute_stages(r)) return false;
  for (size_t i = 0; i < n; i++) {
    Text t = {.arena = d->cx.arena};
    const char *name = d->opt.outputs.data[i].name;
    bool stage = tensor_named(r->kernel, name)->role == TE_COMPUTE;
    npy_format(stage ? plain_array(r->stages, name) : array_named(r, name), &t);
    files[i] = (OutputFile){.path = d->opt.outputs.data[i].text, .data = t.data, .len = t.len, .binary = true};
  }
  return outputs_write(&d->cx, files, n);
}

// What came out: the classes with --labels, else, without --output and --check, a line an output.
static bool tell_outputs(Run *r) {
  Driver *d = r->d;
  Text t = {.arena = d->cx.arena};
  VEC(const Array *) outputs = {0};
  for (int i = 0; i < r->kernel->ntensors; i++)
    if (r->kernel->tensors[i]->role == TE_OUTPUT) VEC_PUSH(d->cx.arena, outputs, &r->arrays[i]);
  if (d->opt.labels) {
    if (!classes_tell(d, outputs.data, (int)outputs.len, &t)) return false;
  } else if (!d->opt.outputs.len && !d->opt.check) {
    for (size_t i = 0; i < outputs.len; i++) array_summary(outputs.data[i], &t);
  }
  fputs(t.len ? t.data : "", stdout);
  return true;
}

// Everything after the compiler: arrays, code, device, results.
static int run_kernel(Run *r) {
  Driver *d = r->d;
  bool ok = make_arrays(r);
  if (d->opt.interpret) ok = ok && interpret(r);
  else ok = ok && open_timeline(r) && compile_now(r) && open_runtime(r) && execute(r);
  ok &= write_wave(r);
  ok &= write_trace(r);
  if (!ok) return driver_status(d);
  if (d->opt.stats && r->runtime) {
    Text t = {.arena = d->cx.arena};
    device_stats(d, tetc_runtime_stats(r->runtime), &r->vta->config, &t);
    if (r->timeline) timeline_stalls(r->timeline, &r->marks, &t);
    fputs(t.data, stdout);
  }
  bool same = !d->opt.check || check_outputs(r);
  if (same && d->opt.bench && !bench(r)) return driver_status(d);
  if (!tell_outputs(r) || !write_outputs(r)) return driver_status(d);
  return same ? driver_status(d) : EXIT_INPUT;
}

// Gives back what is not in the arena.
static void run_free(Run *r) {
  if (r->stages) plain_close(r->stages);
  if (r->runtime) {
    tetc_runtime_select(NULL);
    tetc_runtime_free(r->runtime);
  }
  tetc_timeline_free(r->timeline);
  if (r->backend) r->backend->jit_free(r->handle);
  for (int i = 0; r->kernel && i < r->kernel->ntensors; i++) {
    if (r->arrays) array_free(&r->arrays[i]);
    if (r->wanted) array_free(&r->wanted[i]);
  }
}

Run *run_open(Driver *d, VtaTarget *vta, const Unit *u, Array *arrays, TetcTimeline *seen) {
  Run *r = NEW(d->cx.arena, Run);
  *r = (Run){.d = d, .vta = vta, .kernel = u->kernel, .unit = u, .arrays = arrays, .timeline = seen};
  if (compile_now(r) && open_runtime(r)) return r;
  run_close(r);
  return NULL;
}

bool run_again(Run *r) {
  if (r->runtime) tetc_runtime_select(r->runtime);
  return execute(r);
}

double run_cycles(const Run *run) { return run->runtime ? (double)tetc_runtime_stats(run->runtime)->cycles : 0; }

const LlvmMarks *run_marks(const Run *run) { return &run->marks; }

void run_close(Run *r) {
  r->arrays = NULL, r->timeline = NULL; // the caller's
  run_free(r);
}

bool run_compiled(Session *s, const Unit *u, Array *arrays) {
  Run *r = run_open(s->d, s->c.vta, u, arrays, NULL);
  bool ok = r && run_again(r);
  if (r) run_close(r);
  return ok;
}

// A function's parameters, as the tensors of a kernel.
static const TeKernel *kernel_of(Arena *a, const Func *f) {
  TeKernel *k = NEW(a, TeKernel);
  *k = (TeKernel){.name = f->name, .loc = f->loc, .name_loc = f->loc, .ntensors = f->nparams};
  k->tensors = NEW_ARRAY(a, const TeTensor *, f->nparams + 1);
  for (int i = 0; i < f->nparams; i++) {
    const Buffer *b = f->params[i];
    TeTensor *t = NEW(a, TeTensor);
    *t = (TeTensor){.name = b->name,
                    .role = b->role == BUF_INPUT ? TE_INPUT : TE_OUTPUT,
                    .type = b->type,
                    .loc = b->loc,
                    .name_loc = b->loc,
                    .index = i,
                    .naxes = b->ndim,
                    .axes = NEW_ARRAY(a, const TeAxis *, b->ndim)};
    for (int j = 0; j < b->ndim; j++) {
      TeAxis *axis = NEW(a, TeAxis);
      *axis = (TeAxis){.extent = b->shape[j], .loc = b->loc, .index = j};
      t->axes[j] = axis;
    }
    k->tensors[i] = t;
  }
  return k;
}

// FILE.tir: the text of any phase, for the interpreter. 0, or an exit status.
static int load_tir(Run *r) {
  Driver *d = r->d;
  const Options *o = &d->opt;
  const struct {
    bool given;
    const char *name;
  } others[] = {{o->check, "--check"},
                {o->at, "--at"},
                {o->kernel, "--kernel"},
                {o->schedule, "--schedule"},
                {o->legalize, "--legalize"},
                {o->defines.len, "-D"},
                {o->knobs.len, "-K"},
                {o->remarks, "--remarks"},
                {o->plant_fault, "--plant-fault"},
                {o->dump_tir, "--dump-tir"},
                {o->print_changed, "--print-changed"},
                {o->print_before, "--print-before"},
                {o->print_after, "--print-after"},
                {o->time_passes, "--time-passes"}};
  if (!o->interpret) return usage_error(d, "`%s` is TIR: --interpret executes it", o->files.data[0]);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (others[i].given) return usage_error(d, "`%s` is TIR: `%s` is for kernels", o->files.data[0], others[i].name);
  TirVerdict v;
  const Func *f = tir_load(d, &r->vta);
  if (!f || tir_refuse(d, f, FORM_TILES, &v)) return driver_status(d);
  Unit *u = NEW(d->cx.arena, Unit);
  r->kernel = kernel_of(d->cx.arena, f);
  *u = (Unit){.func = func_with_body(&d->cx, f, f->body), .kernel = r->kernel};
  r->unit = u;
  return 0;
}

// FILE.te: its one kernel, not compiled yet. 0, or an exit status.
static int load_te(Run *r) {
  Driver *d = r->d;
  if (!session_load(r->s, d->opt.files.data[0])) return driver_status(d);
  if (r->s->c.kernels.len > 1)
    return usage_error(d, "`%s` has %zu kernels; --kernel says which one is to run", d->opt.files.data[0],
                       r->s->c.kernels.len);
  if (d->opt.at && !d->opt.interpret) return usage_error(d, "--at needs --interpret");
  if (d->opt.at && pass_find(d->opt.at) < 0 && strcmp(d->opt.at, "lower"))
    return usage_error(d, "`--at %s`: there is no such phase of TIR; --list-passes lists them", d->opt.at);
  d->opt.stop_after = d->opt.at;
  r->kernel = r->s->c.kernels.data[0];
  r->vta = r->s->c.vta;
  return 0;
}

int command_run(Driver *d) {
  Run r = {.d = d, .s = session_new(d)};
  const char *file = d->opt.files.data[0];
  size_t len = strlen(file);
  int status = len > 4 && !strcmp(file + len - 4, ".tir") ? load_tir(&r) : load_te(&r);
  const TeKernel *k = r.kernel;
  if (!status) status = check_pairs(d, k, "--input", TE_INPUT, d->opt.inputs.data, d->opt.inputs.len);
  if (!status) status = check_pairs(d, k, "--output", TE_OUTPUT, d->opt.outputs.data, d->opt.outputs.len);
  if (status) return status;
  if (!r.unit) {
    r.unit = session_lower(r.s, k);
    if (!unit_whole(&r.s->c, r.unit) || !r.unit->func) return driver_status(d);
  }
  status = run_kernel(&r);
  run_free(&r);
  return status;
}

// SPDX-License-Identifier: Apache-2.0
// tetc quantise: a float program becomes one of int8 stages, and its integers an .npz file, by samples of its input.
#include "driver/driver.h"
#include "quantise/quantise.h"

#include <stdlib.h>
#include <string.h>

// The host of src/net/quantise.c: programs are compiled for this machine, samples are parts of a file.
typedef struct Samples {
  Driver *d;
  Values set;
  const char *input;
  Meter meter; // of runs: each scheme takes three a sample
  int64_t runs;
} Samples;

struct QuantiseProgram {
  Plain *plain;
};

static QuantiseProgram *open_program(void *self, const Source *text, const TeGiven *given, const char *kernel,
                                     int nstages, const char **stages) {
  Samples *s = self;
  Plain *p = plain_open(s->d, text, given, kernel, stages, nstages);
  if (!p) return NULL;
  QuantiseProgram *program = NEW(s->d->cx.arena, QuantiseProgram);
  program->plain = p;
  return program;
}

static const TeKernel *program_kernel(const QuantiseProgram *p) { return plain_kernel(p->plain); }

static const void *program_values(const QuantiseProgram *p, const char *tensor) {
  const Array *a = plain_array(p->plain, tensor);
  return a ? a->data : NULL;
}

static bool run_program(void *self, QuantiseProgram *p, int64_t sample) {
  Samples *s = self;
  Arena *a = s->d->cx.arena;
  meter_step(&s->meter, s->runs++);
  Values v = values_part(a, &s->set, sample, 0);
  return values_fill(&s->d->cx, &v, &s->d->opt.scale, plain_array(p->plain, s->input)) && plain_run(p->plain);
}

static void close_program(QuantiseProgram *p) { plain_close(p->plain); }

// The one input, which samples are for; NULL after a report.
static const TeTensor *only_input(Driver *d, const TeKernel *k) {
  const TeTensor *input = NULL;
  int n = 0;
  for (int i = 0; i < k->ntensors; i++)
    if (k->tensors[i]->role == TE_INPUT) input = k->tensors[i], n++;
  if (n == 1 && input->type == DT_F32) return input;
  Diag *g = n == 1 ? diag_report(d->cx.diags, E_QUANTISE, input->loc, "`%s` is %s, and float networks are quantised",
                                 input->name, dtype_name(input->type))
                   : diag_report(d->cx.diags, E_QUANTISE, k->name_loc,
                                 "kernel `%s` has %d inputs, and samples are of one", k->name, n);
  diag_help(g, n == 1 ? "let it be float32: `--mean` and `--std` make floats of bytes"
               : n    ? "make the others constants"
                      : "declare what the network reads: `input image[..] : float32;`");
  return NULL;
}

static bool read_set(Driver *d, Samples *s, const TeTensor *input) {
  Array want = {.name = input->name, .type = input->type, .ndim = input->naxes};
  int64_t *shape = NEW_ARRAY(d->cx.arena, int64_t, input->naxes + 1);
  for (int i = 0; i < input->naxes; i++) shape[i] = input->axes[i]->extent;
  want.shape = shape;
  want.elems = te_tensor_elems(input);
  s->input = input->name;
  if (!values_read(&d->cx, d->opt.calibrate, &want, &s->set)) return false;
  if (s->set.ndim && s->set.shape[0]) return true;
  Diag *g =
      values_diag(&d->cx, s->set.from, &want, s->set.ndim ? "the set has no samples" : "it is a number, not a set");
  diag_help(g, "its first axis counts the samples: some hundred of them are enough");
  return false;
}

// Where a file is: NULL where there is none.
static const char *place(Arena *a, const char *path) {
  char *real = realpath(path, NULL);
  const char *kept = real ? arena_printf(a, "%s", real) : NULL;
  free(real);
  return kept;
}

static const char *folder(Arena *a, const char *path) {
  int n = (int)(path_base(path) - path);
  return n ? arena_printf(a, "%.*s", n, path) : "./";
}

static bool same(const char *x, const char *y) { return x && y && !strcmp(x, y); }

// What is read must not be written over: 0, or EXIT_USAGE.
static int keep_read(Driver *d, const TeModule *m, const char *file, const char *path, const char *arrays) {
  Arena *a = d->cx.arena;
  const TeImport *list;
  int n = te_imports(&d->cx, m, &list);
  const char *set = d->opt.calibrate, *to = place(a, arrays);
  size_t name = strcspn(set, ":");
  if (same(place(a, file), place(a, path))) return usage_error(d, "`-o %s` is the float network itself", path);
  bool over = same(place(a, arena_printf(a, "%.*s", (int)name, set)), to);
  for (int i = 0; i < n; i++)
    over |= list[i].arrays && same(place(a, arena_printf(a, "%s%s", folder(a, file), list[i].path)), to);
  return over ? usage_error(d, "`-o %s` would write its integers over `%s`, which is read", path, arrays) : 0;
}

// What is asked, but for where it goes.
static QuantiseTask task_of(Session *s, Samples *samples) {
  const Options *o = &s->d->opt;
  return (QuantiseTask){.host = {.self = samples,
                                 .open = open_program,
                                 .kernel = program_kernel,
                                 .values = program_values,
                                 .run = run_program,
                                 .close = close_program,
                                 .samples = samples->set.shape[0]},
                        .module = s->c.module,
                        .kernel = s->c.kernels.data[0],
                        .set = path_base(o->calibrate),
                        .scheme = (QuantiseScheme)o->scheme,
                        .requantise = o->requantise,
                        .nkept = (int)o->kept.len,
                        .kept = o->kept.data};
}

int command_quantise(Driver *d) {
  Arena *a = d->cx.arena;
  const char *file = d->opt.files.data[0];
  if (!d->opt.calibrate) return usage_error(d, "--calibrate=FILE.npz:ARRAY is missing: samples of the network's input");
  if (!d->opt.output && !strcmp(file, "-")) return usage_error(d, "`-o FILE.te` is missing: the program has no name");
  const char *path = d->opt.output ? d->opt.output : path_with_suffix(a, file, "int8.te");
  const char *arrays =
      path_with_suffix(a, strcmp(path, "-") ? path : path_with_suffix(a, path_base(file), "int8.te"), "npz");
  if (!strcmp(arrays, path))
    return usage_error(d, "`-o %s`: that is the file of the integers; the program is a .te", path);
  Session *s = session_new(d);
  if (!session_load(s, file)) return driver_status(d);
  if (s->c.kernels.len > 1)
    return usage_error(d, "`%s` has %zu kernels; --kernel says which one is to be quantised", file, s->c.kernels.len);
  int status = keep_read(d, s->c.module, file, path, arrays);
  if (status) return status;
  diags_show_remarks(d->cx.diags, true);
  const TeTensor *input = only_input(d, s->c.kernels.data[0]);
  Samples samples = {.d = d};
  if (!input || !read_set(d, &samples, input)) return driver_status(d);
  QuantiseTask q = task_of(s, &samples);
  q.arrays = path_base(arrays);
  q.elsewhere = !same(place(a, folder(a, file)), place(a, folder(a, path)));
  int64_t passes = (q.scheme == SCHEME_AUTO ? 6 : 3) + (q.requantise ? 2 : 0);
  samples.meter = meter_start(&d->opt, "runs of samples", passes * q.host.samples);
  QuantisedText made = {0};
  bool ok = quantise_network(&d->cx, &q, &made);
  meter_end(&samples.meter);
  if (!ok || diags_errors(d->cx.diags)) return driver_status(d);
  OutputFile files[] = {{.path = path, .data = made.text->text, .len = made.text->len},
                        {.path = arrays, .data = made.arrays, .len = made.arrays_len, .binary = true}};
  return outputs_write(&d->cx, files, 2) ? driver_status(d) : EXIT_FILES;
}

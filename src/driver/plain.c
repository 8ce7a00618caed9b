// SPDX-License-Identifier: Apache-2.0
// A kernel as the program says it, without a schedule, compiled for the CPU, with stages shown as outputs: what others
// are compared with, and where the values of a stage come from, whatever became of it in the kernel that runs.
#include "driver/driver.h"

#include <string.h>

struct Plain {
  Driver *d;
  CompileOptions options;
  Compilation c;
  const TeKernel *kernel;
  Array *arrays; // one a tensor; data NULL where it is no parameter
  Run *run;
};

Plain *plain_open(Driver *d, const Source *src, const TeGiven *given, const char *kernel, const char **stages,
                  int nstages) {
  Plain *p = NEW(d->cx.arena, Plain);
  *p = (Plain){.d = d};
  if (!session_compile_options(d, &p->options)) return NULL;
  p->options.kernel = kernel;
  p->options.given = given;
  p->options.schedule = "none";
  p->options.stop_after = NULL;
  p->options.nknobs = 0;
  p->options.remarks = false;
  p->options.nshown = nstages;
  p->options.shown = stages;
  // What the text is told of was told when it was loaded first.
  Ctx own = {d->cx.arena, d->cx.names, diags_new(d->cx.arena)};
  bool ok = compile_load(&p->c, &own, src, &p->options, NULL);
  const Unit *u = ok ? compile_kernel(&p->c, p->c.kernels.data[0]) : NULL;
  if (!u || !unit_whole(&p->c, u)) {
    d->cx.diags = own.diags;
    return NULL;
  }
  p->kernel = u->kernel;
  p->arrays = NEW_ARRAY(d->cx.arena, Array, p->kernel->ntensors);
  for (int i = 0; i < p->kernel->ntensors; i++) {
    const TeTensor *t = p->kernel->tensors[i];
    bool param = t->role == TE_INPUT || t->role == TE_OUTPUT;
    if (param && !array_alloc(&d->cx, &p->arrays[i], t)) return plain_close(p), NULL;
  }
  p->run = run_open(d, p->c.vta, u, p->arrays, NULL);
  if (!p->run) return plain_close(p), NULL;
  return p;
}

const TeKernel *plain_kernel(const Plain *p) { return p->kernel; }

Array *plain_array(const Plain *p, const char *name) {
  for (int i = 0; i < p->kernel->ntensors; i++)
    if (p->arrays[i].data && !strcmp(p->arrays[i].name, name)) return &p->arrays[i];
  return NULL;
}

bool plain_run(Plain *p) { return run_again(p->run); }

void plain_close(Plain *p) {
  if (p->run) run_close(p->run);
  for (int i = 0; p->arrays && i < p->kernel->ntensors; i++) array_free(&p->arrays[i]);
}

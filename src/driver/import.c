// SPDX-License-Identifier: Apache-2.0
// tetc import: a model's file becomes a program and, beside it, its weights.
#include "driver/driver.h"
#include "net/net.h"

#include <string.h>

static const NetModule *load_module(Driver *d) {
  const char *why;
  const NetModule *net = net_module_load(&why);
  if (net) return net;
  Diag *g = diag_report(d->cx.diags, E_MODEL, (Loc){0}, "models cannot be read: %s", why);
  diag_help(
      g,
      "build tetc where protobuf-c and onnx.proto are: Debian's libprotobuf-c-dev, protobuf-c-compiler, libonnx-dev");
  return NULL;
}

static bool read_dims(Driver *d, NetOptions *options) {
  NetDim *dims = NEW_ARRAY(d->cx.arena, NetDim, d->opt.dims.len + 1);
  for (size_t i = 0; i < d->opt.dims.len; i++) {
    const NamePair *p = &d->opt.dims.data[i];
    dims[i].name = p->name;
    if (parse_int64(p->text, &dims[i].extent) && dims[i].extent > 0) continue;
    return usage_error(d, "`--dim` takes NAME=N with N of at least 1, not `%s=%s`", p->name, p->text), false;
  }
  options->dims = dims;
  options->ndims = (int)d->opt.dims.len;
  return true;
}

int command_import(Driver *d) {
  Arena *a = d->cx.arena;
  if (!d->opt.list_operators && !d->opt.files.len) return usage_error(d, "MODEL.onnx is missing");
  const NetModule *net = load_module(d);
  if (!net) return driver_status(d);
  if (d->opt.list_operators) {
    Text t = {.arena = a};
    net->list_operators(&t);
    fputs(t.data, stdout);
    return EXIT_DONE;
  }
  const char *model = d->opt.files.data[0], *path = d->opt.output ? d->opt.output : path_with_suffix(a, model, "te");
  const char *weights = path_with_suffix(a, !strcmp(path, "-") ? path_base(model) : path, "npz");
  NetOptions options = {.path = model, .weights = path_base(weights)};
  if (!read_dims(d, &options)) return EXIT_USAGE;
  if (!strcmp(weights, path))
    return usage_error(d, "`-o %s`: that is the file of the weights; the program is a .te", path);
  diags_show_remarks(d->cx.diags, true);
  NetText text = {0};
  if (!net->import(&d->cx, &options, &text) || diags_errors(d->cx.diags)) return driver_status(d);
  OutputFile files[] = {{.path = path, .data = text.text, .len = text.len},
                        {.path = weights, .data = text.weights, .len = text.weights_len, .binary = true}};
  return outputs_write(&d->cx, files, text.weights ? 2 : 1) ? driver_status(d) : EXIT_FILES;
}

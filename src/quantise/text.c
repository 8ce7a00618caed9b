// SPDX-License-Identifier: Apache-2.0
// The new program: the declarations of the kernel are replaced, a stage a layer, and what is not in one stays byte for
// byte. Behind each line stands what was measured, once it was.
#include "quantise/internal.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

typedef struct Writer {
  Quantise *z;
  const char *as; // the import of the integers
  VEC(TeArray) arrays;
  Text *decls; // the lines of each declaration
  bool measured;
} Writer;

// ---- names and numbers ----------------------------------------------------------------------------------------------

static const char *int8_name(Quantise *z, QNode *n) {
  if (!n->int8_name) {
    bool other = n->layer->scale == NULL || n->output;
    n->int8_name = other ? fresh_stage(z, arena_printf(z->a, "%s_int8", n->name)) : n->name;
  }
  return n->int8_name;
}

static const char *float_name(Quantise *z, QNode *n) {
  if (!n->float_name) {
    bool own = n->layer->scale == NULL || n->output;
    n->float_name = own ? n->name : fresh_stage(z, arena_printf(z->a, "%s_float", n->name));
  }
  return n->float_name;
}

const char *layer_stage(Quantise *z, const QLayer *l) {
  return l->scale ? int8_name(z, l->out) : float_name(z, l->out);
}

static const char *step_text(Writer *w, const QNode *n) { return arena_printf(w->z->a, "%.9g", step_of(n)); }

// An array of the .npz file, and its name in the text.
static const char *array(Writer *w, const QLayer *l, const char *suffix, DType t, int naxes, const int64_t *shape,
                         const void *data) {
  Arena *a = w->z->a;
  const char *name = arena_printf(a, "%s_%s", layer_stage(w->z, l), suffix);
  TeArray array = {name, t, naxes, arena_copy(a, shape, (size_t)naxes * sizeof *shape), data};
  VEC_PUSH(a, w->arrays, array);
  return arena_printf(a, "%s.%s", w->as, name);
}

static const char *channel_array(Writer *w, const QLayer *l, const char *suffix, DType t, const void *data) {
  int64_t channels = channels_of(l);
  return array(w, l, suffix, t, 1, &channels, data);
}

static const char *weight_array(Writer *w, const QLayer *l) {
  const TeTensor *t = l->root->weight;
  int64_t shape[4];
  for (int i = 0; i < t->naxes; i++) shape[i] = t->axes[i]->extent;
  if (!is_wide(int8_layer(l->data))) return array(w, l, "w", DT_I8, t->naxes, shape, l->weights);
  int16_t *wide = NEW_ARRAY(w->z->a, int16_t, te_tensor_elems(t)); // both operands of a product have one type
  for (int64_t i = 0; i < te_tensor_elems(t); i++) wide[i] = l->weights[i];
  return array(w, l, "w", DT_I16, t->naxes, shape, wide);
}

// ---- arguments ------------------------------------------------------------------------------------------------------

static void pair(Text *t, const char *one, const char *many, const int64_t *v, int64_t usual) {
  if (v[0] == usual && v[1] == usual) return;
  if (v[0] == v[1]) text_add(t, ", %s = %lld", one, (long long)v[0]);
  else text_add(t, ", %s = [%lld, %lld]", many, (long long)v[0], (long long)v[1]);
}

static void window_args(Text *t, const QWindow *win) {
  const int64_t *p = win->pads;
  pair(t, "stride", "strides", win->strides, 1);
  pair(t, "dilation", "dilations", win->dilations, 1);
  if (p[0] != p[1] || p[1] != p[2] || p[2] != p[3])
    text_add(t, ", pads = [%lld, %lld, %lld, %lld]", (long long)p[0], (long long)p[1], (long long)p[2],
             (long long)p[3]);
  else if (p[0]) text_add(t, ", pad = %lld", (long long)p[0]);
}

static void option(Text *t, const char *name, int value, int usual) {
  if (value != usual) text_add(t, ", %s = %d", name, value);
}

static int64_t groups_of(const QLayer *l) {
  return l->data->tensor->axes[1]->extent / l->root->weight->axes[1]->extent;
}

// ---- lines ----------------------------------------------------------------------------------------------------------

static void linear_text(Writer *w, QLayer *l, Text *t) {
  Quantise *z = w->z;
  const char *kind = l->kind == L_RESIDUAL      ? "residual"
                     : l->root->kind == Q_DENSE ? "dense"
                     : l->root->depthwise       ? "depthwise"
                                                : "conv2d";
  text_add(t, "%squantised_%s%s(%s, %s, %s, ", z->library, kind, l->multipliers ? "_multiply" : "",
           int8_name(z, l->data), weight_array(w, l), channel_array(w, l, "b", DT_I32, l->biases));
  text_add(t, "%s",
           l->multipliers ? channel_array(w, l, "m", DT_I32, l->multipliers)
                          : channel_array(w, l, "k", DT_I32, l->shifts));
  if (l->skip) text_add(t, ", %s", int8_name(z, l->skip));
  if (l->multipliers) text_add(t, ", before = %d, shift = %d", l->before, l->shift);
  if (l->root->kind == Q_CONV) window_args(t, &l->root->window);
  if (l->skip) {
    option(t, "left", l->left, 0);
    option(t, "right", l->right, l->left);
    option(t, "limit", l->limit, 128);
  }
  option(t, "low", l->low, l->skip ? 0 : -128);
  option(t, "high", l->high, 127);
  text_add(t, ")");
}

// Sums that become floats at once.
static void sums_text(Writer *w, QLayer *l, Text *t) {
  const char *lib = w->z->library;
  if (l->act) text_add(t, "%s%s(", l->act->kind == Q_RELU ? lib : "", l->act->kind == Q_RELU ? "relu" : "clamp");
  const char *op = l->root->kind == Q_DENSE ? "dense" : l->root->depthwise ? "depthwise" : "conv2d";
  text_add(t, "%sdequantise_sums(%s%s(%s, %s", lib, lib, op, int8_name(w->z, l->data), weight_array(w, l));
  if (l->root->kind == Q_CONV) window_args(t, &l->root->window);
  if (l->root->kind == Q_CONV && !l->root->depthwise && groups_of(l) != 1)
    text_add(t, ", groups = %lld", (long long)groups_of(l));
  text_add(t, "), %s, %s)", channel_array(w, l, "b", DT_I32, l->biases), channel_array(w, l, "f", DT_F32, l->factors));
  if (l->act && l->act->kind == Q_CLAMP) text_add(t, ", 0, %.9g", l->act->high);
  if (l->act) text_add(t, ")");
}

static void mean_text(Writer *w, QLayer *l, Text *t) {
  const QNode *n = l->root;
  bool whole = n->kind == Q_MEAN;
  text_add(t, "%squantised_%s(%s", w->z->library,
           is_wide(l) ? "mean_wide"
           : whole    ? "mean"
                      : "average_pool",
           int8_name(w->z, l->data));
  if (!whole) {
    pair(t, "size", "sizes", n->window.sizes, 2);
    if (memcmp(n->window.strides, n->window.sizes, sizeof n->window.sizes))
      pair(t, "stride", "strides", n->window.strides, 0);
    QWindow rest = n->window;
    rest.strides[0] = rest.strides[1] = 1;
    window_args(t, &rest);
  }
  text_add(t, ", multiplier = %lld, shift = %d", (long long)l->multiplier, l->shift);
  if (is_wide(l)) option(t, "limit", l->reach, WIDEST);
  text_add(t, ")");
}

// What the axis of a node's int8 stage is called: layers give n, c, y, x, and others have what they read. NULL: it
// depends on what floats between integers read.
static const char *axis_name(const QNode *n, int axis) {
  static const char *const names[] = {"n", "c", "y", "x"};
  const QLayer *l = int8_layer(n);
  switch (l->kind) {
  case L_LINEAR:
  case L_RESIDUAL:
  case L_MEAN: return names[axis];
  case L_ADD: return axis_name(l->data, axis);
  case L_SAME:
    if (l->root->whole) return n->tensor->axes[axis]->name;
    return l->root->def && l->root->kind != Q_RELU ? names[axis] : axis_name(l->data, axis);
  case L_QUANTISE:
  case L_FLOAT: break;
  }
  return l->root->kind == Q_INPUT ? n->tensor->axes[axis]->name : NULL;
}

// Its axis is that of the first operand, or of the stage, which has axes then.
static void concat_text(Writer *w, const QNode *n, Text *t) {
  const char *axis = n->whole ? NULL : axis_name(n->in.data[0], (int)n->axis);
  text_add(t, "concat[%s](", axis ? axis : n->tensor->axes[n->axis]->name);
  for (size_t i = 0; i < n->in.len; i++) text_add(t, "%s%s", i ? ", " : "", int8_name(w->z, n->in.data[i]));
  text_add(t, ")");
}

static void same_text(Writer *w, QLayer *l, Text *t) {
  QNode *n = l->root;
  if (n->kind == Q_CLAMP) text_add(t, "clamp(%s, 0, %d)", int8_name(w->z, l->data), l->high);
  else if (n->kind == Q_CONCAT) concat_text(w, n, t);
  else if (n->whole) text_add(t, "reshape(%s)", int8_name(w->z, l->data));
  else text_add(t, "%s", node_text(w->z, n, int8_name));
}

// The axes of a declaration as they are written: `[n: n, i: 64]`.
static const char *declared_axes(Quantise *z, const QNode *n) {
  const char *at = n->span.src->text + n->span.src->line_start[n->span.line - 1] + n->span.col - 1;
  int depth = 0;
  at = strchr(at, '[');
  for (const char *end = at;; end++) {
    depth += (*end == '[') - (*end == ']');
    if (!depth) return arena_printf(z->a, "%.*s", (int)(end + 1 - at), at);
  }
}

static void flat_axes(const TeTensor *of, const char *type, Text *t) {
  for (int i = 0; i < of->naxes; i++)
    text_add(t, "%s%s: %lld", i ? ", " : "[", of->axes[i]->name, (long long)of->axes[i]->extent);
  text_add(t, "] : %s", type);
}

// `compute NAME`, with axes where the text needs them.
static void head(Writer *w, QLayer *l, const char *name, Text *t) {
  bool output = !l->scale && l->out->output;
  text_add(t, "%s %s", output ? "output" : "compute", name);
  if (l->kind == L_SAME && l->root->whole)
    text_add(t, "%s : %s", declared_axes(w->z, l->root), is_wide(l) ? "int16" : "int8");
  const QNode *of = l->root;
  if (l->kind == L_SAME && of->kind == Q_CONCAT && !of->whole && !axis_name(of->in.data[0], (int)of->axis))
    flat_axes(of->tensor, "int8", t);
  text_add(t, " = ");
}

static void layer_text(Writer *w, QLayer *l, Text *t) {
  Quantise *z = w->z;
  QNode *n = l->out;
  if (l->kind == L_FLOAT && n->whole) {
    text_add(t, "%s", node_text(z, n, float_name));
    return;
  }
  head(w, l, layer_stage(z, l), t);
  switch (l->kind) {
  case L_QUANTISE: text_add(t, "%squantise(%s, scale = %s)", z->library, float_name(z, n), step_text(w, n)); break;
  case L_LINEAR:
    if (l->floats) sums_text(w, l, t);
    else linear_text(w, l, t);
    break;
  case L_RESIDUAL: linear_text(w, l, t); break;
  case L_ADD:
    text_add(t, "%squantised_add(%s, %s", z->library, int8_name(z, l->data), int8_name(z, l->skip));
    option(t, "a_left", l->other, 0);
    option(t, "b_left", l->left, 0);
    option(t, "right", l->right, 0);
    option(t, "low", l->low, -128);
    option(t, "high", l->high, 127);
    text_add(t, ")");
    break;
  case L_MEAN: mean_text(w, l, t); break;
  case L_SAME: same_text(w, l, t); break;
  case L_FLOAT: text_add(t, "%s", node_text(z, n, float_name)); break;
  }
}

// ---- what was measured ----------------------------------------------------------------------------------------------

const char *scheme_name(QuantiseScheme s) { return s == SCHEME_MULTIPLY ? "multiply" : "shift"; }

const char *decibels(Arena *a, double signal, double noise) {
  if (noise == 0) return "no error";
  return signal == 0 ? "no signal" : arena_printf(a, "%.1f dB", 10 * log10(signal / noise));
}

static void comment(Writer *w, const QLayer *l, Text *t) {
  Arena *a = w->z->a;
  if (!w->measured || (l->kind == L_FLOAT && !l->counted)) return;
  text_add(t, " // ");
  if (l->scale) {
    text_add(t, "scale %.6g, ", scale_of(l->scale)->step);
    double share = 100.0 * (double)l->clipped / (double)l->counted;
    if (l->clipped) text_add(t, share < 0.01 ? "less than 0.01 %% clipped, " : "%.2f %% clipped, ", share);
  }
  text_add(t, "%s", decibels(a, l->signal, l->noise));
}

static void write_layer(Writer *w, QLayer *l) {
  Text *t = &w->decls[l->out->decl];
  t->arena = w->z->a;
  if (t->len) text_add(t, "\n  ");
  layer_text(w, l, t);
  text_add(t, ";");
  comment(w, l, t);
  double step = l->scale ? scale_of(l->scale)->step : 0;
  int64_t one = 1;
  if (l->scale) array(w, l, "scale", DT_F64, 1, &one, arena_copy(w->z->a, &step, sizeof step));
  if (!l->scale || l->kind == L_QUANTISE || !l->out->want_float) return;
  text_add(t, "\n  %s %s", l->out->output ? "output" : "compute", float_name(w->z, l->out));
  if (l->out->axis_named) flat_axes(l->out->tensor, "float32", t);
  text_add(t, " = %sdequantise(%s, scale = %s);", w->z->library, int8_name(w->z, l->out), step_text(w, l->out));
}

// ---- the file -------------------------------------------------------------------------------------------------------

// A statement with its semicolon; a whole line where it stands alone on one, if it goes.
Loc statement(Loc loc, bool goes) {
  const Source *s = loc.src;
  const char *text = s->text + s->line_start[loc.end_line - 1] + loc.end_col - 1, *at = text;
  at += strspn(at, " \t");
  if (*at == ';') loc.end_col += (uint32_t)(at + 1 - text);
  const char *line = s->text + s->line_start[loc.line - 1];
  bool alone = strspn(line, " \t") == loc.col - 1;
  if (goes && alone && *at == ';' && at[1] == '\n') {
    loc.col = 1;
    loc.end_line++;
    loc.end_col = 1;
  }
  return loc;
}

static void edit(Quantise *z, SourceEdits *edits, Loc at, const char *text) {
  SourceEdit e = {at, text};
  VEC_PUSH(z->a, *edits, e);
}

static Loc before(Loc loc) {
  loc.end_line = loc.line;
  loc.end_col = loc.col;
  return loc;
}

static Loc after(Loc loc) {
  loc.line = loc.end_line;
  loc.col = loc.end_col;
  return loc;
}

static const char *summary(Writer *w) {
  Quantise *z = w->z;
  Text t = {.arena = z->a};
  text_add(&t, "// Quantised, scheme %s, by %lld samples of %s", scheme_name(z->scheme), (long long)z->host->samples,
           z->q->set);
  if (w->measured) {
    text_add(&t, ": %s", decibels(z->a, z->signal, z->noise));
    if (z->classes) text_add(&t, ", the same first class for %lld", (long long)z->agree);
  }
  text_add(&t, "\n");
  return t.data;
}

static bool in_word(char c) { return c == '_' || isalnum((unsigned char)c); }

// How often a name stands in a text by itself, or with `end` behind it: `w` in `w.conv1`.
static int mentions(const char *text, const char *name, char end) {
  size_t n = strlen(name);
  int count = 0;
  for (const char *at = text; (at = strstr(at, name)); at++)
    count += (at == text || (!in_word(at[-1]) && !strchr(".\"", at[-1]))) && (end ? at[n] == end : !in_word(at[n]));
  return count;
}

// Constants that only float layers read.
static void drop_constants(Quantise *z, const Source *src, SourceEdits *edits) {
  const Source *now = source_edits(z->a, src, edits->len, edits->data);
  for (int i = 0; i < z->ndecls; i++) {
    const TeDecl *d = &z->decls[i];
    if (d->role == TE_CONSTANT && mentions(now->text, d->name, 0) == 1 && mentions(src->text, d->name, 0) > 1)
      edit(z, edits, statement(d->loc, true), "");
  }
}

static void refuse_import(Quantise *z, const TeImport *import) {
  Diag *g = diag_report(z->cx->diags, E_QUANTISE, import->loc,
                        "the new program needs `%s`, and is written to another folder", import->path);
  diag_note(g, "imports are looked up beside the text");
  diag_help(g, "write it beside this one: `-o` names a file in the same folder");
}

// NULL after a report.
static const Source *put_imports(Writer *w, const Source *src, SourceEdits *edits, const char *hash) {
  Quantise *z = w->z;
  const TeImport *list;
  int n = te_imports(z->cx, z->q->module, &list);
  const char *line = arena_printf(z->a, "import \"%s\" as %s : \"sha256:%s\";", z->q->arrays, w->as, hash);
  SourceEdits trial = {0};
  for (size_t i = 0; i < edits->len; i++) edit(z, &trial, edits->data[i].at, edits->data[i].replacement);
  bool put = false;
  if (!z->q->module->target) edit(z, edits, before(n ? list[0].loc : z->q->kernel->loc), "target vta;\n");
  for (int i = 0; i < n; i++) {
    const Source *without = list[i].arrays ? source_edits(z->a, src, trial.len, trial.data) : NULL;
    if (!without || mentions(without->text, list[i].as, '.')) {
      if (z->q->elsewhere && !list[i].library && list[i].path[0] != '/') return refuse_import(z, &list[i]), NULL;
      continue;
    }
    edit(z, edits, statement(list[i].loc, put), put ? "" : line);
    put = true;
  }
  if (!put && n) edit(z, edits, after(statement(list[n - 1].loc, false)), arena_printf(z->a, "\n%s", line));
  else if (!put) edit(z, edits, before(z->q->kernel->loc), arena_printf(z->a, "%s\n", line));
  return source_edits(z->a, src, edits->len, edits->data);
}

bool schedule_drops(const Quantise *z, const TeSchedule *s) {
  return s->kernel == z->q->kernel->name && s->loc.src == z->q->module->src;
}

static void drop_schedules(Quantise *z, SourceEdits *edits) {
  const TeModule *m = z->q->module;
  for (int i = 0; i < m->nschedules; i++)
    if (schedule_drops(z, m->schedules[i])) edit(z, edits, m->schedules[i]->loc, "");
}

bool text_make(Quantise *z, bool measured, QuantisedText *out) {
  const Source *src = z->q->module->src;
  Writer w = {.z = z, .measured = measured, .as = source_fresh_name(z->a, src, "q")};
  w.decls = NEW_ARRAY(z->a, Text, z->ndecls + 1);
  for (size_t i = 0; i < z->layers.len; i++) write_layer(&w, z->layers.data[i]);
  out->arrays = arrays_format(z->a, w.arrays.len, w.arrays.data, &out->arrays_len);
  if (!out->arrays) {
    Diag *g = diag_report(z->cx->diags, E_QUANTISE, z->q->kernel->name_loc,
                          "the integers are more than an .npz file holds: 4 GiB, 65535 arrays");
    diag_help(g, "cut the network in two kernels");
    return false;
  }
  char hash[65];
  sha256_text(out->arrays, out->arrays_len, hash);
  SourceEdits edits = {0};
  edit(z, &edits, before(z->q->kernel->loc), summary(&w));
  for (int i = 0; i < z->ndecls; i++)
    if (z->decls[i].role != TE_CONSTANT)
      edit(z, &edits, statement(z->decls[i].loc, !w.decls[i].len), w.decls[i].len ? w.decls[i].data : "");
  drop_schedules(z, &edits);
  drop_constants(z, src, &edits);
  out->text = put_imports(&w, src, &edits, hash);
  return out->text != NULL;
}

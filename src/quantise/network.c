// SPDX-License-Identifier: Apache-2.0
// The network of a kernel's text: a node an operator that is known, in the order of evaluation. What is not understood
// is a node of its text, which names others; so the float program can be written with a stage for each node, and its
// values seen.
#include "quantise/internal.h"

#include <string.h>

// ---- what is known -------------------------------------------------------------------------------------------------

typedef struct Known {
  const char *def;
  QKind kind;
  int tensors; // how many of its arguments are tensors of the network
} Known;

static const Known known[] = {{"conv2d", Q_CONV, 1},
                              {"depthwise", Q_CONV, 1},
                              {"dense", Q_DENSE, 1},
                              {"bias_add", Q_BIAS, 1},
                              {"relu", Q_RELU, 1},
                              {"relu6", Q_CLAMP, 1},
                              {"add", Q_ADD, 2},
                              {"global_average_pool", Q_MEAN, 1},
                              {"average_pool", Q_AVERAGE, 1},
                              {"max_pool", Q_MAX, 1},
                              {"global_max_pool", Q_MAX, 1},
                              {"flatten", Q_VIEW, 1},
                              {"spatial", Q_VIEW, 1}};

static const Known *known_def(Quantise *z, const AstExpr *e) {
  const char *def = te_library_def(z->q->module, e);
  if (def) z->library = arena_printf(z->a, "%.*s", (int)(strlen(e->name) - strlen(def)), e->name);
  for (size_t i = 0; def && i < sizeof known / sizeof *known; i++)
    if (!strcmp(known[i].def, def)) return &known[i];
  return NULL;
}

// Whether a call of the language's own functions is meant.
static bool is_builtin(Quantise *z, const AstExpr *e, const char *name, int nargs) {
  return e->kind == AST_CALL && !strcmp(e->name, name) && e->nitems == nargs && !te_library_def(z->q->module, e);
}

static const TeTensor *constant_named(Quantise *z, const AstExpr *e) {
  const TeKernel *k = z->q->kernel;
  for (int i = 0; e && e->kind == AST_NAME && i < k->ntensors; i++)
    if (k->tensors[i]->role == TE_CONSTANT && !strcmp(k->tensors[i]->name, e->name))
      return k->tensors[i]->type == DT_F32 ? k->tensors[i] : NULL;
  return NULL;
}

static bool integer(Quantise *z, const AstExpr *e, int64_t *out) {
  if (e->kind == AST_FLOAT && e->number == (double)(int64_t)e->number) return *out = (int64_t)e->number, true;
  Ctx quiet = {z->a, z->cx->names, diags_new(z->a)};
  return te_const_eval(&quiet, z->q->module, NULL, e, NULL, NULL, out);
}

// An argument that is a list of n numbers, or one for all, by its two names; false: it is not known here.
static bool numbers(Quantise *z, const AstExpr *call, const char *many, const char *one, int n, int64_t *out) {
  const AstExpr *list = te_argument(z->q->module, call, many), *e = te_argument(z->q->module, call, one);
  if (list && (list->kind != AST_LIST || list->nitems != n)) return false;
  for (int i = 0; i < n; i++)
    if ((list || e) && !integer(z, list ? list->items[i] : e, &out[i])) return false;
  return true;
}

static bool truth(Quantise *z, const AstExpr *call, const char *name, bool *out) {
  const AstExpr *e = te_argument(z->q->module, call, name);
  int64_t v = 0;
  if (e && !integer(z, e, &v)) return false;
  *out = v != 0;
  return true;
}

// The windows of a convolution or pool.
static bool read_window(Quantise *z, const AstExpr *e, QNode *n) {
  QWindow *w = &n->window;
  bool pool = n->kind == Q_MAX || n->kind == Q_AVERAGE, ceil = false, include = false;
  *w = (QWindow){.strides = {1, 1}, .dilations = {1, 1}, .sizes = {2, 2}};
  if (!strcmp(n->def, "global_max_pool")) return true;
  if (pool && !numbers(z, e, "sizes", "size", 2, w->sizes)) return false;
  if (pool) memcpy(w->strides, w->sizes, sizeof w->strides);
  if (!numbers(z, e, "strides", "stride", 2, w->strides) || !numbers(z, e, "pads", "pad", 4, w->pads) ||
      !numbers(z, e, "dilations", "dilation", 2, w->dilations) || !truth(z, e, "ceil_mode", &ceil) ||
      !truth(z, e, "count_include_pad", &include))
    return false;
  bool pads = w->pads[0] || w->pads[1] || w->pads[2] || w->pads[3];
  return !ceil && !(n->kind == Q_AVERAGE && pads && !include); // all windows of an average count the same
}

// ---- whole tensors --------------------------------------------------------------------------------------------------

static QNode *stage_named(Quantise *z, const AstExpr *e) {
  return e->kind == AST_NAME ? ptrmap_find(&z->named, e->name) : NULL;
}

static bool is_clamp(Quantise *z, const AstExpr *e, double *high) {
  int64_t low, top;
  if (!is_builtin(z, e, "clamp", 3) || !integer(z, e->items[1], &low) || low != 0) return false;
  if (e->items[2]->kind == AST_FLOAT) return *high = e->items[2]->number, *high > 0;
  if (!integer(z, e->items[2], &top)) return false;
  return *high = (double)top, top > 0;
}

// A call of nn.te that rounds to steps, or takes steps back.
static bool is_rounding(Quantise *z, const AstExpr *e) {
  const char *def = te_library_def(z->q->module, e);
  return def && e->nitems &&
         (!strcmp(def, "quantise") || !strcmp(def, "quantise_unsigned") || !strcmp(def, "dequantise"));
}

// Whether its steps begin at 0: then it is a ReLU as well, up to *high.
static bool cuts_at_zero(Quantise *z, const AstExpr *e, double *high) {
  const char *def = te_library_def(z->q->module, e);
  const AstExpr *zero = te_argument(z->q->module, e, "zero"), *scale = te_argument(z->q->module, e, "scale");
  int64_t at = 0;
  if (!strcmp(def, "dequantise") || (zero && !integer(z, zero, &at))) return false;
  *high = scale && scale->kind == AST_FLOAT ? 255 * scale->number : 0;
  return *high > 0 && at == (strcmp(def, "quantise") ? 0 : -128);
}

// --requantise: what stands in roundings.
static const AstExpr *unrounded(Quantise *z, const AstExpr *e) {
  double high;
  while (z->q->requantise && is_rounding(z, e) && !cuts_at_zero(z, e, &high)) e = e->items[0];
  return e;
}

// Whether an expression is a tensor of the network that is understood.
static bool is_whole(Quantise *z, const AstExpr *e) {
  double high;
  e = unrounded(z, e);
  if (stage_named(z, e)) return true;
  if (z->q->requantise && is_rounding(z, e)) return is_whole(z, e->items[0]);
  if (e->kind == AST_BINARY && e->binop == OP_ADD) return is_whole(z, e->a) && is_whole(z, e->b);
  if (e->kind == AST_CONCAT) {
    for (int i = 0; i < e->nitems; i++)
      if (!is_whole(z, e->items[i])) return false;
    return true;
  }
  if (is_clamp(z, e, &high)) return is_whole(z, e->items[0]);
  const Known *k = known_def(z, e);
  if (!k || e->nitems < k->tensors) return false;
  for (int i = 0; i < k->tensors; i++)
    if ((e->keys && e->keys[i]) || !is_whole(z, e->items[i])) return false;
  QNode n = {.kind = k->kind, .def = k->def};
  if (k->kind == Q_CONV || k->kind == Q_DENSE) {
    if (!constant_named(z, te_argument(z->q->module, e, "weight"))) return false;
  }
  if (k->kind == Q_BIAS && !constant_named(z, te_argument(z->q->module, e, "bias"))) return false;
  bool windows = k->kind == Q_CONV || k->kind == Q_AVERAGE || k->kind == Q_MAX;
  return !windows || read_window(z, e, &n);
}

// ---- nodes ----------------------------------------------------------------------------------------------------------

Name fresh_stage(Quantise *z, const char *base) {
  Name name = name_of(z->cx->names, base);
  int64_t used;
  for (int i = 2; ptrmap_get(&z->taken, name, &used); i++)
    name = name_of(z->cx->names, arena_printf(z->a, "%s_%d", base, i));
  ptrmap_put(z->a, &z->taken, name, 1);
  return name;
}

static QNode *node_new(Quantise *z, QKind kind, const AstExpr *e, int decl) {
  QNode *n = NEW(z->a, QNode);
  *n = (QNode){.kind = kind, .span = e ? e->loc : z->decls[decl].loc, .whole = !e, .decl = decl};
  return n;
}

static void node_reads(Quantise *z, QNode *n, Loc at, QNode *of) {
  QRef ref = {at, of};
  VEC_PUSH(z->a, n->refs, ref);
  VEC_PUSH(z->a, n->in, of);
  of->uses++;
}

static void node_done(Quantise *z, QNode *n, Name name) {
  n->name = name;
  VEC_PUSH(z->a, z->nodes, n);
}

static QNode *whole_node(Quantise *z, const AstExpr *e, int decl, Name name);

static void read_operand(Quantise *z, QNode *n, const AstExpr *e) {
  node_reads(z, n, e->loc, whole_node(z, e, n->decl, NULL));
}

static const char *short_name(const QNode *n) {
  switch (n->kind) {
  case Q_CONV: return "conv";
  case Q_DENSE: return "dense";
  case Q_BIAS: return "bias";
  case Q_RELU:
  case Q_CLAMP: return "relu";
  case Q_ADD: return "add";
  case Q_MEAN:
  case Q_AVERAGE:
  case Q_MAX: return "pool";
  case Q_VIEW: return "flat";
  case Q_CONCAT: return "concat";
  case Q_INPUT:
  case Q_FLOAT: break;
  }
  return "float";
}

// The nodes of an expression that is_whole; `name`: of its stage, NULL: any.
static QNode *whole_node(Quantise *z, const AstExpr *e, int decl, Name name) {
  e = unrounded(z, e);
  QNode *stage = stage_named(z, e);
  if (stage && !name) return stage;
  const Known *k = known_def(z, e);
  QNode *n = node_new(z,
                      k                       ? k->kind
                      : e->kind == AST_BINARY ? Q_ADD
                      : e->kind == AST_CONCAT ? Q_CONCAT
                                              : Q_CLAMP,
                      e, decl);
  if (stage) { // another name for it
    n->kind = Q_VIEW;
    node_reads(z, n, e->loc, stage);
  } else if (k) {
    n->def = k->def;
    n->depthwise = !strcmp(k->def, "depthwise");
    n->high = 6;
    for (int i = 0; i < k->tensors; i++) read_operand(z, n, e->items[i]);
    n->weight = constant_named(z, te_argument(z->q->module, e, k->kind == Q_BIAS ? "bias" : "weight"));
    if (k->kind == Q_CONV || k->kind == Q_AVERAGE || k->kind == Q_MAX) read_window(z, e, n);
  } else if (e->kind == AST_BINARY) {
    read_operand(z, n, e->a);
    read_operand(z, n, e->b);
  } else if (e->kind == AST_CONCAT) {
    for (int i = 0; i < e->nitems; i++) read_operand(z, n, e->items[i]);
  } else {
    n->cuts = is_rounding(z, e) && cuts_at_zero(z, e, &n->high);
    if (!n->cuts) is_clamp(z, e, &n->high);
    read_operand(z, n, e->items[0]);
  }
  node_done(z, n, name ? name : fresh_stage(z, arena_printf(z->a, "%s_%s", z->decls[decl].name, short_name(n))));
  return n;
}

// What has scales of its own is not quantised a second time without being asked.
static void refuse_rounding(Quantise *z, const AstExpr *e) {
  if (z->q->requantise) {
    Diag *g = diag_report(z->cx->diags, E_QUANTISE, e->loc,
                          "this rounding cannot be taken away: what stands in it is not known");
    diag_help(g, "give what stands in it a stage of its own");
  } else if (!diags_errors(z->cx->diags)) {
    Diag *g = diag_report(z->cx->diags, E_QUANTISE, e->loc, "`%s` has scales of its own", z->q->kernel->name);
    diag_note(g, "it runs on the CPU as it is");
    diag_help(g, "`--requantise` takes its roundings away, and chooses scales anew");
  }
}

// Finds what a text names: calls that are understood become nodes of their own, unless it stays float as it is.
static void read_text(Quantise *z, QNode *n, const AstExpr *e, bool take) {
  if (!e) return;
  QNode *stage = stage_named(z, e);
  if (is_rounding(z, e)) {
    if (z->q->requantise && is_whole(z, e)) node_reads(z, n, e->loc, whole_node(z, e, n->decl, NULL));
    else refuse_rounding(z, e);
    return;
  }
  if (stage) {
    node_reads(z, n, e->loc, stage);
    return;
  }
  if (e->kind == AST_INDEX && e->name && ptrmap_find(&z->named, e->name))
    node_reads(z, n, e->name_loc, ptrmap_find(&z->named, e->name));
  if (take && e->kind == AST_CALL && known_def(z, e) && is_whole(z, e)) {
    node_reads(z, n, e->loc, whole_node(z, e, n->decl, NULL));
    return;
  }
  for (int i = 0; e->kind == AST_CONCAT && i < e->nitems; i++)
    if (stage_named(z, e->items[i])) stage_named(z, e->items[i])->axis_named = true;
  if (e->a) read_text(z, n, e->a, take);
  if (e->b) read_text(z, n, e->b, take);
  if (e->c) read_text(z, n, e->c, take);
  for (int i = 0; i < e->nitems; i++) read_text(z, n, e->items[i], take);
}

static bool is_kept(const Quantise *z, Name name) {
  for (int i = 0; i < z->q->nkept; i++)
    if (!strcmp(z->q->kept[i], name)) return true;
  return false;
}

// Whether a declaration is a reshape of one tensor: the same elements.
static const AstExpr *reshaped(Quantise *z, const TeDecl *d) {
  const AstExpr *e = d->body;
  return e && d->has_axes && is_builtin(z, e, "reshape", 1) && is_whole(z, e->items[0]) ? e->items[0] : NULL;
}

// --requantise: a stage that only rounds another one is that; an output gives it its name, if it needs none itself.
static bool read_alias(Quantise *z, const TeDecl *d) {
  if (!z->q->requantise || !d->body || d->has_axes || unrounded(z, d->body) == d->body) return false;
  QNode *n = stage_named(z, unrounded(z, d->body));
  bool output = d->role == TE_OUTPUT;
  if (!n || (output && (n->output || n->uses || n->kind == Q_INPUT))) return false;
  if (output) {
    n->output = true;
    n->name = d->name;
    n->uses++;
  }
  ptrmap_set(z->a, &z->named, d->name, n);
  return true;
}

static bool read_decl(Quantise *z, int i) {
  const TeDecl *d = &z->decls[i];
  QNode *n;
  if (d->role == TE_CONSTANT) return true;
  if (d->nnames > 1) {
    Diag *g = diag_report(z->cx->diags, E_QUANTISE, d->loc, "several results of one call are not quantised");
    diag_help(g, "give each result a stage of its own");
    return false;
  }
  bool kept = is_kept(z, d->name);
  if (!kept && read_alias(z, d)) return true;
  const AstExpr *body = d->body ? unrounded(z, d->body) : NULL;
  if (!d->body) {
    n = node_new(z, Q_INPUT, NULL, i);
    node_done(z, n, d->name);
  } else if (!kept && !d->has_axes && is_whole(z, d->body)) {
    n = whole_node(z, d->body, i, d->name);
  } else if (!kept && d->has_axes && d->body->kind == AST_CONCAT && is_whole(z, d->body)) {
    n = node_new(z, Q_CONCAT, NULL, i);
    for (int k = 0; k < d->body->nitems; k++) read_operand(z, n, d->body->items[k]);
    node_done(z, n, d->name);
  } else if (!kept && reshaped(z, d)) {
    QNode *of = whole_node(z, reshaped(z, d), i, NULL);
    n = node_new(z, Q_VIEW, NULL, i);
    node_reads(z, n, reshaped(z, d)->loc, of);
    node_done(z, n, d->name);
  } else {
    n = node_new(z, Q_FLOAT, body != d->body && !d->has_axes ? body : NULL, i);
    read_text(z, n, d->has_axes ? d->body : body, !kept);
    node_done(z, n, d->name);
  }
  n->output = d->role == TE_OUTPUT;
  n->uses += n->output;
  ptrmap_set(z->a, &z->named, d->name, n);
  return true;
}

bool graph_read(Quantise *z) {
  z->ndecls = te_decls(z->cx, z->q->module, z->q->kernel, &z->decls);
  if (z->ndecls < 0) {
    Diag *g = diag_report(z->cx->diags, E_QUANTISE, z->q->kernel->name_loc, "the kernel is not in the file itself");
    diag_help(g, "quantise the file that has it");
    return false;
  }
  for (int i = 0; i < z->ndecls; i++) ptrmap_put(z->a, &z->taken, z->decls[i].name, 1);
  for (int i = 0; i < z->ndecls; i++)
    if (!read_decl(z, i)) return false;
  return !diags_errors(z->cx->diags);
}

// ---- texts ----------------------------------------------------------------------------------------------------------

static size_t offset_of(const Source *s, uint32_t line, uint32_t col) { return s->line_start[line - 1] + col - 1; }

const char *node_text(Quantise *z, const QNode *n, const char *(*name)(Quantise *z, QNode *n)) {
  Loc span = n->span;
  if (n->cuts) return arena_printf(z->a, "clamp(%s, 0, %.9g)", name(z, n->in.data[0]), n->high);
  Text t = {.arena = z->a};
  size_t at = offset_of(span.src, span.line, span.col), end = offset_of(span.src, span.end_line, span.end_col);
  for (size_t i = 0; i < n->refs.len; i++) {
    const QRef *r = &n->refs.data[i];
    size_t from = offset_of(span.src, r->at.line, r->at.col), to = offset_of(span.src, r->at.end_line, r->at.end_col);
    text_add_bytes(&t, span.src->text + at, from - at);
    text_add(&t, "%s", name(z, r->node));
    at = to;
  }
  text_add_bytes(&t, span.src->text + at, end - at);
  return t.data;
}

static const char *own_name(Quantise *z, QNode *n) {
  (void)z;
  return n->name;
}

const char *graph_flat(Quantise *z, QNode *n) {
  const char *text = node_text(z, n, own_name);
  if (n->whole) return text;
  return arena_printf(z->a, "%s %s = %s", n->output ? "output" : "compute", n->name, text);
}

// ---- shapes ---------------------------------------------------------------------------------------------------------

static bool same_shape(const TeTensor *x, const TeTensor *y) {
  bool same = x->naxes == y->naxes;
  for (int i = 0; same && i < x->naxes; i++) same = x->axes[i]->extent == y->axes[i]->extent;
  return same;
}

// Gives each node its tensor; what turns out to be another operator than it seemed is one of its text alone.
bool graph_shapes(Quantise *z, const TeKernel *flat) {
  for (size_t i = 0; i < z->nodes.len; i++) {
    QNode *n = z->nodes.data[i];
    for (int k = 0; k < flat->ntensors; k++)
      if (!strcmp(flat->tensors[k]->name, n->name)) n->tensor = flat->tensors[k];
    if (!n->tensor) bug("the flat program has no `%s`", n->name);
    if (n->tensor->type != DT_F32) {
      if (n->kind != Q_FLOAT && n->kind != Q_INPUT) n->kind = Q_FLOAT;
      continue;
    }
    if (n->kind == Q_DENSE && n->tensor->naxes != 2) n->kind = Q_FLOAT; // its channels are elsewhere
    if (n->kind == Q_ADD &&
        (!same_shape(n->tensor, n->in.data[0]->tensor) || !same_shape(n->tensor, n->in.data[1]->tensor)))
      n->kind = Q_FLOAT; // one is repeated
    for (int k = 0; n->kind == Q_CONCAT && k < n->tensor->naxes; k++)
      if (n->in.data[0]->tensor->axes[k]->extent != n->tensor->axes[k]->extent) n->axis = k;
  }
  return true;
}

// SPDX-License-Identifier: Apache-2.0
// tetc import: node after node becomes text, by its row of onnx.def.
#include "net/internal.h"

#include <ctype.h>
#include <string.h>

static const Operator operators[] = {
#define OP(name, since, until, function, attributes, text, becomes) \
  {#name, "", since, until, function, attributes, text, becomes},
#include "net/onnx.def"
};
enum { OPERATOR_COUNT = sizeof operators / sizeof *operators };

// The row for an opset; *other: one for another opset, where there is none.
const Operator *operator_find(const char *domain, const char *name, int opset, const Operator **other) {
  *other = NULL;
  if (*domain && strcmp(domain, "ai.onnx")) return NULL;
  for (int i = 0; i < OPERATOR_COUNT; i++) {
    if (strcmp(operators[i].name, name)) continue;
    if (opset >= operators[i].since && opset <= operators[i].until) return &operators[i];
    *other = &operators[i];
  }
  return NULL;
}

Diag *refuse(Import *m, const Node *n, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  Diag *g = diag_report(m->cx->diags, E_MODEL, n->loc, "%s%s%s: %s", n->proto->op_type, *n->proto->name ? " " : "",
                        n->proto->name, arena_vprintf(m->a, fmt, ap));
  va_end(ap);
  return g;
}

bool needs_extents(Import *m, const Node *n, const Value *v) {
  if (v->shape.free && !m->pins) m->pins = n;
  return !v->shape.free;
}

// ---- attributes ----------------------------------------------------------------------------------------------------

const Onnx__AttributeProto *attribute(const Node *n, const char *name) {
  for (size_t i = 0; i < n->proto->n_attribute; i++)
    if (!strcmp(n->proto->attribute[i]->name, name)) return n->proto->attribute[i];
  return NULL;
}

int64_t attribute_int(const Node *n, const char *name, int64_t otherwise) {
  const Onnx__AttributeProto *a = attribute(n, name);
  return a ? a->i : otherwise;
}

double attribute_float(const Node *n, const char *name, double otherwise) {
  const Onnx__AttributeProto *a = attribute(n, name);
  return a ? (double)a->f : otherwise;
}

const char *attribute_text(Import *m, const Node *n, const char *name, const char *otherwise) {
  const Onnx__AttributeProto *a = attribute(n, name);
  return a ? arena_printf(m->a, "%.*s", (int)(a->s.len < 60 ? a->s.len : 60), a->s.data ? (char *)a->s.data : "")
           : otherwise;
}

const int64_t *attribute_ints(const Node *n, const char *name, int *count) {
  const Onnx__AttributeProto *a = attribute(n, name);
  *count = a ? (int)(a->n_ints < 4096 ? a->n_ints : 4096) : 0;
  return a ? a->ints : NULL;
}

Value *input_of(const Node *n, int i) { return i < n->nin ? n->in[i] : NULL; }

bool constant_ints(Import *m, const Node *n, int i, const char *what, int *count, const int64_t **out) {
  const Value *v = input_of(n, i);
  *count = 0;
  *out = NULL;
  if (!v) return true;
  if (!v->data) {
    diag_help(refuse(m, n, "its %s, `%s`, must be known when it is imported", what, v->name),
              "export the model with fixed shapes: `%s` is computed from the inputs", v->name);
    return false;
  }
  if (!dtype_is_int(v->type) || elements(&v->shape) > 4096)
    return refuse(m, n, "its %s, `%s`, is %s", what, v->name, typed_shape(m->a, v->type, &v->shape)), false;
  *count = (int)elements(&v->shape);
  int64_t *list = NEW_ARRAY(m->a, int64_t, *count + 1);
  for (int k = 0; k < *count; k++) list[k] = scalar_load(v->type, (const char *)v->data + k * dtype_bytes(v->type)).i;
  *out = list;
  return true;
}

// Whether a name stands in a list with spaces between.
static bool listed(const char *list, const char *name) {
  size_t n = strlen(name);
  for (const char *at = list; (at = strstr(at, name)); at += n)
    if (n && (at == list || at[-1] == ' ') && (!at[n] || at[n] == ' ')) return true;
  return false;
}

static bool attributes_known(Import *m, const Node *n) {
  for (size_t i = 0; i < n->proto->n_attribute; i++) {
    const char *name = n->proto->attribute[i]->name;
    if (listed(n->op->attributes, name)) continue;
    Diag *g = refuse(m, n, "its attribute `%s` is not known", name);
    diag_note(g, "of this operator are known: %s", *n->op->attributes ? n->op->attributes : "none");
    diag_help(g, "`tetc import --list-operators` lists all; export the model without it, or for an opset up to %d",
              n->op->until);
    return false;
  }
  return true;
}

// ---- operators -----------------------------------------------------------------------------------------------------

static const char *lower_case(Arena *a, const char *name) {
  Text t = {.arena = a};
  for (const char *p = name; *p && p < name + 40; p++) {
    bool up = isupper((unsigned char)*p);
    if (up && p > name && islower((unsigned char)p[-1])) text_add(&t, "_");
    text_add(&t, "%c", isalnum((unsigned char)*p) ? tolower((unsigned char)*p) : '_');
  }
  return t.len ? t.data : "unknown";
}

// The def that would have to be there, as far as its inputs are known.
static const char *missing_def(Import *m, const Node *n) {
  Text t = {.arena = m->a};
  text_add(&t, "def %s(", lower_case(m->a, n->proto->op_type));
  for (int i = 0, shown = 0; i < n->nin; i++) {
    if (!n->in[i]) continue;
    text_add(&t, "%sx%d[..] : T%d", shown++ ? ", " : "", i, i);
  }
  for (size_t i = 0; i < n->proto->n_attribute; i++) text_add(&t, ", %s", n->proto->attribute[i]->name);
  text_add(&t, ") { .. return y; }");
  return t.data;
}

static bool find_operators(Import *m) {
  bool ok = true;
  PtrMap told = {0};
  for (size_t i = 0; i < m->nodes.len; i++) {
    Node *n = &m->nodes.data[i];
    const Operator *other;
    int64_t there;
    n->op = operator_find(n->proto->domain, n->proto->op_type, m->opset, &other);
    if (n->op) continue;
    ok = false;
    Name name = name_of(m->cx->names, n->proto->op_type);
    if (ptrmap_get(&told, name, &there)) continue;
    ptrmap_put(m->a, &told, name, 1);
    if (other) {
      Diag *g = refuse(m, n, "known is what it means in opsets %d to %d, and the model's is %d", other->since,
                       other->until, m->opset);
      diag_help(g, "`onnx.version_converter.convert_version(model, %d)` makes it one of them",
                m->opset < other->since ? other->since : other->until);
      continue;
    }
    Diag *g =
        refuse(m, n, "there is no such operator here%s%s", *n->proto->domain ? ", of domain " : "", n->proto->domain);
    diag_help(g,
              "`tetc import --list-operators` lists those that there are; this one would be a def in lib/nn.te: `%s`",
              missing_def(m, n));
  }
  return ok;
}

static bool all_constant(const Node *n) {
  for (int i = 0; i < n->nin; i++)
    if (n->in[i] && !n->in[i]->data) return false;
  return true;
}

static bool import_node(Import *m, Node *n) {
  if (!attributes_known(m, n)) return false;
  for (int i = 0; i < n->nin; i++)
    if (n->in[i]) n->in[i]->prefix = n->in[i]->prefix ? n->in[i]->prefix : "constant";
  for (int i = 0; i < n->nout; i++)
    if (n->out[i]) n->out[i]->prefix = lower_case(m->a, n->proto->op_type);
  if (!n->nin || !all_constant(n)) return n->op->import(m, n);
  Text body = {.arena = m->a}, *before = m->body;
  m->body = &body;
  m->folding = true;
  m->operands.len = 0;
  bool ok = n->op->import(m, n);
  bool folded = ok && fold_constants(m, n, &body);
  m->folding = false;
  m->body = before;
  if (!ok || folded || diags_errors(m->cx->diags)) return folded;
  return n->op->import(m, n); // it is too much to be done here
}

// Outputs that are inputs, or constants: no node gives them.
static void plain_outputs(Import *m) {
  for (size_t i = 0; i < m->outputs.len; i++) {
    Value *v = m->outputs.data[i];
    if (!v->input && !v->data) continue;
    Value *copy = derived(m, v, &v->shape, NULL);
    copy->output = true;
    copy->expr = named(m, v);
    named(m, copy);
  }
}

static void declare_inputs(Import *m) {
  for (size_t i = 0; i < m->inputs.len; i++) {
    Value *v = m->inputs.data[i];
    v->id = identifier_of(m, v, "input");
    line(m, "input %s%s : %s;", v->id, v->shape.rank ? axes_text(m, &v->shape) : "", dtype_name(v->type));
  }
}

static bool import_nodes(Import *m) {
  bool ok = true;
  declare_inputs(m);
  for (size_t i = 0; i < m->nodes.len && ok; i++)
    if (!m->nodes.data[i].dropped) ok = import_node(m, &m->nodes.data[i]) && !diags_errors(m->cx->diags);
  if (ok) plain_outputs(m);
  return ok;
}

// ---- the whole -----------------------------------------------------------------------------------------------------

static bool opset_known(Import *m) {
  const Onnx__ModelProto *p = m->model;
  m->opset = 0;
  for (size_t i = 0; i < p->n_opset_import; i++) {
    const Onnx__OperatorSetIdProto *o = p->opset_import[i];
    if (*o->domain && strcmp(o->domain, "ai.onnx")) continue;
    m->opset = o->version < 0 || o->version > 9999 ? 9999 : (int)o->version;
  }
  if (m->opset >= OLDEST_OPSET && m->opset <= NEWEST_OPSET) return true;
  Diag *g = diag_report(m->cx->diags, E_MODEL, (Loc){0}, "`%s` is written for opset %d, and opsets %d to %d are known",
                        m->options->path, m->opset, OLDEST_OPSET, NEWEST_OPSET);
  diag_help(g, "`onnx.version_converter.convert_version(model, 17)` converts it, or an exporter's option like "
               "`opset_version=17`");
  return false;
}

static const char *kernel_name(Import *m) {
  const char *slash = strrchr(m->options->path, '/'), *base = slash ? slash + 1 : m->options->path,
             *dot = strrchr(base, '.');
  return identifier(m, arena_printf(m->a, "%.*s", dot && dot > base ? (int)(dot - base) : (int)strlen(base), base),
                    "network");
}

// Text of the model's that may stand in a comment.
static const char *plain(Import *m, const char *text) {
  char *t = arena_printf(m->a, "%.60s", text);
  for (char *p = t; *p; p++)
    if (*p < 32 || *p > 126) *p = '?';
  return t;
}

static bool write_weights(Import *m, NetText *out) {
  size_t n = m->weights.len;
  TeArray *list = NEW_ARRAY(m->a, TeArray, n + 1);
  for (size_t i = 0; i < n; i++) {
    const Value *v = m->weights.data[i];
    list[i] = (TeArray){v->id, v->type, v->shape.rank, v->shape.at, v->data};
  }
  if (n) out->weights = arrays_format(m->a, n, list, &out->weights_len);
  if (!n || out->weights) return true;
  diag_report(m->cx->diags, E_MODEL, (Loc){0},
              "the weights of `%s` are more than an .npz file holds: 4 GiB, 65535 arrays", m->options->path);
  return false;
}

static bool write_text(Import *m, const char *kernel, const char *hash, NetText *out) {
  const char *slash = strrchr(m->options->path, '/'), *base = slash ? slash + 1 : m->options->path;
  Text t = {.arena = m->a};
  char weights[65];
  if (!write_weights(m, out)) return false;
  text_add(&t, "// %s: imported from %s (opset %d%s%s)\n// sha256 %s\nimport \"nn.te\";\n", kernel, plain(m, base),
           m->opset, *m->model->producer_name ? ", " : "", plain(m, m->model->producer_name), hash);
  if (out->weights) {
    sha256_text(out->weights, out->weights_len, weights);
    text_add(&t, "import \"%s\" as w : \"sha256:%s\";\n", m->options->weights, weights);
  }
  if (m->free_input && !m->pins) text_add(&t, "param n = 1;\n");
  text_add(&t, "\nkernel %s {\n%s}\n", kernel, m->body->data);
  out->text = t.data;
  out->len = t.len;
  return true;
}

static Import *import_new(Ctx *cx, const NetOptions *options, const Onnx__ModelProto *model) {
  Import *m = NEW(cx->arena, Import);
  *m = (Import){.cx = cx, .a = cx->arena, .options = options, .model = model, .body = NEW(cx->arena, Text)};
  m->body->arena = cx->arena;
  m->dims_used = NEW_ARRAY(cx->arena, bool, options->ndims + 1);
  return m;
}

static void tell_free(Import *m) {
  if (!m->free_input) return;
  Diag *g = diag_report(m->cx->diags, R_MODEL, (Loc){0}, "the first extent of `%s` is free in `%s`: %s", m->free_input,
                        m->options->path, m->pins ? "it is 1" : "the param `n`, which is 1");
  diag_note(g, "`--dim=%s=N` sets it%s", m->free_name,
            m->pins ? "" : "; so does `-D n=N` when the program is compiled");
  if (m->pins) diag_also(g, m->pins->loc, "this node computes with the extent itself");
}

// Once with the first extent free; where a node needs it as a number, again with 1.
static bool net_import(Ctx *cx, const NetOptions *options, NetText *out) {
  char hash[65];
  const Onnx__ModelProto *model = model_read(cx, options->path, hash);
  const Node *pins = NULL;
  const char *kernel = NULL;
  Import *m;
  bool ok = model != NULL;
  do {
    if (!ok) return false;
    m = import_new(cx, options, model);
    m->pins = pins;
    graph_list(m);
    kernel = kernel_name(m);
    ok = opset_known(m) && graph_build(m) && find_operators(m) && fold_norms(m) && import_nodes(m);
    if (m->pins == pins) break;
    pins = m->pins;
    ok = !diags_errors(cx->diags);
  } while (true);
  if (ok) tell_free(m);
  ok = ok && write_text(m, kernel, hash, out);
  return ok;
}

static void list_operators(Text *out) {
  text_add(out, "| operator | opsets | attributes | becomes |\n|---|---|---|---|\n");
  for (int i = 0; i < OPERATOR_COUNT; i++) {
    const Operator *o = &operators[i];
    text_add(out, "| %s | %d-%d | %s | %s%s%s |\n", o->name, o->since, o->until, o->attributes,
             *o->becomes ? o->becomes : "`", *o->becomes ? "" : o->text, *o->becomes ? "" : "`");
  }
}

const NetModule *tetc_net_module(void);
__attribute__((visibility("default"))) const NetModule *tetc_net_module(void) {
  static const NetModule module = {net_import, list_operators};
  return &module;
}

// SPDX-License-Identifier: Apache-2.0
// What is known when a model is imported is not in its program: batch normalisation goes into the weights before it,
// and what nodes make of constants alone is evaluated here, by the reference semantics of the text that they would have
// been.
#include "net/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- batch normalisation -------------------------------------------------------------------------------------------

static Node *maker_of(Import *m, const Value *v) {
  for (size_t i = 0; i < m->nodes.len; i++)
    for (int k = 0; k < m->nodes.data[i].nout; k++)
      if (m->nodes.data[i].out[k] == v) return &m->nodes.data[i];
  return NULL;
}

static bool is_floats(const Value *v, int64_t n) {
  return v && v->data && v->type == DT_F32 && elements(&v->shape) == n;
}

// A convolution, of weights that are known, whose result goes only there.
static Node *convolution_before(Import *m, const Node *norm) {
  const Value *x = input_of(norm, 0);
  Node *c = x && x->uses == 1 && !x->output ? maker_of(m, x) : NULL;
  if (!c || strcmp(c->proto->op_type, "Conv") || *c->proto->domain) return NULL;
  const Value *w = input_of(c, 1), *b = input_of(c, 2);
  if (!w || !w->data || w->type != DT_F32 || w->shape.rank < 3 || w->shape.at[0] < 1) return NULL;
  return !b || is_floats(b, w->shape.at[0]) ? c : NULL;
}

// weight * s and (bias - mean) * s + b, s = scale / sqrt(variance + epsilon), computed in float64.
static void fold_norm(Import *m, Node *c, const Node *norm) {
  Value *w = c->in[1], *b = input_of(c, 2);
  int64_t n = w->shape.at[0], each = elements(&w->shape) / n;
  float *weights = arena_array(m->a, (size_t)(n * each), sizeof *weights),
        *bias = arena_array(m->a, (size_t)n, sizeof *bias);
  const float *p[4];
  for (int i = 0; i < 4; i++) p[i] = norm->in[i + 1]->data;
  double epsilon = attribute_float(norm, "epsilon", 1e-5);
  for (int64_t o = 0; o < n; o++) {
    double s = (double)p[0][o] / sqrt((double)p[3][o] + epsilon), before = b ? (double)((const float *)b->data)[o] : 0;
    for (int64_t i = 0; i < each; i++)
      weights[o * each + i] = (float)((double)((const float *)w->data)[o * each + i] * s);
    bias[o] = (float)((before - (double)p[2][o]) * s + (double)p[1][o]);
  }
  Shape shape = {.rank = 1, .at = {n}};
  Value **in = NEW_ARRAY(m->a, Value *, 3);
  in[0] = c->in[0];
  in[1] = derived(m, w, &w->shape, weights);
  in[2] = derived(m, b ? b : norm->in[2], &shape, bias);
  c->in = in;
  c->nin = 3;
  c->out[0] = norm->out[0];
}

bool fold_norms(Import *m) {
  for (size_t i = 0; i < m->nodes.len; i++) {
    Node *n = &m->nodes.data[i];
    if (n->op->import != import_batch_norm || attribute_int(n, "training_mode", 0) || n->nout < 1) continue;
    Node *c = convolution_before(m, n);
    bool known = c != NULL && n->nin == 5 && n->out[0];
    for (int k = 1; k < 5 && known; k++) known = is_floats(n->in[k], c->in[1]->shape.at[0]);
    for (int k = 1; k < n->nout && known; k++) known = !n->out[k];
    if (!known) continue;
    fold_norm(m, c, n);
    n->dropped = true;
  }
  return true;
}

// ---- constants -----------------------------------------------------------------------------------------------------

enum { MOST_FOLDED = 1 << 20 }; // elements: what is larger is left to the program

static const TeKernel *load_fold(Import *m, const Node *n, const char *body) {
  Text t = {.arena = m->a};
  text_add(&t, "import \"nn.te\";\nkernel fold {\n");
  for (size_t i = 0; i < m->operands.len; i++) {
    const Value *v = m->operands.data[i];
    text_add(&t, "  input %s%s : %s;\n", v->id, v->shape.rank ? axes_text(m, &v->shape) : "", dtype_name(v->type));
  }
  text_add(&t, "%s", body);
  for (int i = 0; i < n->nout; i++) {
    const Value *v = n->out[i];
    if (!v || v->data) continue;
    text_add(&t, "  output folded_%d%s : %s = ", i, v->shape.rank ? axes_text(m, &v->shape) : "", dtype_name(v->type));
    text_add(&t, "%s", v->id);
    for (int k = 0; k < v->width; k++) text_add(&t, "%s%s", k ? ", " : "[", axis_name(&v->shape, k));
    text_add(&t, v->width ? "];\n" : ";\n");
  }
  text_add(&t, "}\n");
  TeOptions none = {0};
  Ctx cx = {m->a, m->cx->names, diags_new(m->a)};
  const TeModule *module = te_load(&cx, source_new(m->a, "fold.te", t.data, t.len), &none);
  return module && !diags_errors(cx.diags) && module->nkernels == 1 ? module->kernels[0] : NULL;
}

static bool evaluate(Import *m, Node *n, const TeKernel *k) {
  void **data = NEW_ARRAY(m->a, void *, k->ntensors + 1);
  TeArrays arrays = {data};
  size_t given = 0;
  for (int i = 0; i < k->ntensors; i++) {
    const TeTensor *t = k->tensors[i];
    if (t->role == TE_CONSTANT) continue;
    for (size_t j = 0; j < m->operands.len && t->role == TE_INPUT; j++)
      if (!strcmp(m->operands.data[j]->id, t->name)) data[i] = (void *)(uintptr_t)m->operands.data[j]->data, given++;
    if (!data[i]) data[i] = arena_array(m->a, (size_t)te_tensor_elems(t) + 1, (size_t)dtype_bytes(t->type));
  }
  if (!te_eval(m->cx, k, &arrays)) return false;
  for (int i = 0; i < k->ntensors; i++) {
    int o;
    if (k->tensors[i]->role == TE_OUTPUT && sscanf(k->tensors[i]->name, "folded_%d", &o) == 1)
      n->out[o]->data = data[i];
  }
  return true;
}

// The node's outputs have their texts: evaluated, they are constants.
bool fold_constants(Import *m, Node *n, Text *body) {
  int64_t work = 0;
  bool all = true;
  for (int i = 0; i < n->nout; i++) {
    Value *v = n->out[i];
    if (!v || v->data) continue;
    work += elements(&v->shape);
    all = false;
  }
  if (all || work > MOST_FOLDED) return all;
  for (int i = 0; i < n->nout; i++)
    if (n->out[i] && !n->out[i]->data) named(m, n->out[i]);
  const TeKernel *k = load_fold(m, n, body->len ? body->data : "");
  if (!k) return refuse(m, n, "what it makes of constants cannot be evaluated here"), false;
  if (!evaluate(m, n, k)) return false;
  for (int i = 0; i < n->nout; i++)
    if (n->out[i])
      n->out[i]->id = n->out[i]->expr = NULL, n->out[i]->axes = false, n->out[i]->call = true,
      n->out[i]->width = n->out[i]->shape.rank;
  return true;
}

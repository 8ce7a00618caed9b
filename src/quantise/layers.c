// SPDX-License-Identifier: Apache-2.0
// Which nodes become one int8 stage together: a convolution or product with its bias and activation, and the addition
// of what was there before; and where floats become integers and back.
#include "quantise/internal.h"

#include <string.h>

int64_t node_elems(const QNode *n) { return te_tensor_elems(n->tensor); }

// The one node that reads n; NULL: there are several, or it is an output.
static QNode *only_user(const Quantise *z, const QNode *n) {
  if (n->uses != 1 || n->output) return NULL;
  for (size_t i = 0; i < z->nodes.len; i++)
    for (size_t k = 0; k < z->nodes.data[i]->in.len; k++)
      if (z->nodes.data[i]->in.data[k] == n) return z->nodes.data[i];
  return NULL;
}

static QLayer *layer_new(Quantise *z, QLayerKind kind, QNode *root, QNode *out) {
  QLayer *l = NEW(z->a, QLayer);
  *l = (QLayer){.kind = kind, .root = root, .out = out, .reach = 128};
  root->layer = out->layer = l;
  return l;
}

static void layer_push(Quantise *z, QLayer *l) { VEC_PUSH(z->a, z->layers, l); }

static bool is_activation(const QNode *n) { return n && (n->kind == Q_RELU || n->kind == Q_CLAMP); }

// Takes what follows a node, if nothing else reads that, into its layer.
static void take_activation(const Quantise *z, QLayer *l) {
  QNode *next = only_user(z, l->out);
  l->pre = l->out;
  if (!is_activation(next)) return;
  l->act = l->out = next;
  next->layer = l;
}

static QLayer *linear(Quantise *z, QNode *n) {
  QLayer *l = layer_new(z, L_LINEAR, n, n);
  QNode *next = only_user(z, n);
  l->data = n->in.data[0];
  if (next && next->kind == Q_BIAS) {
    l->bias = l->out = next;
    next->layer = l;
  }
  take_activation(z, l);
  return l;
}

// Whether a layer may become a part of the addition that reads it.
static bool waits_for_addition(const Quantise *z, const QLayer *l) {
  QNode *next = only_user(z, l->out);
  return l->root->kind == Q_CONV && !l->root->depthwise && !l->act && next && next->kind == Q_ADD;
}

static bool is_int8(const QNode *n) { return n->layer && n->layer->kind != L_FLOAT; }

static bool any_int8(const QNode *n) {
  for (size_t i = 0; i < n->in.len; i++)
    if (is_int8(n->in.data[i])) return true;
  return false;
}

static void addition(Quantise *z, QNode *n) {
  QNode *x = n->in.data[0], *y = n->in.data[1];
  bool wx = x != y && x->layer->kind == L_LINEAR && waits_for_addition(z, x->layer),
       wy = x != y && y->layer->kind == L_LINEAR && waits_for_addition(z, y->layer);
  // of two convolutions the smaller one
  if (wx && wy)
    *(te_tensor_elems(x->layer->root->weight) <= te_tensor_elems(y->layer->root->weight) ? &wy : &wx) = false;
  QNode *part = wx ? x : wy ? y : NULL, *other = part == x ? y : x;
  if (other->layer->kind == L_LINEAR && waits_for_addition(z, other->layer)) layer_push(z, other->layer);
  QLayer *l;
  if (part) {
    l = part->layer;
    l->kind = L_RESIDUAL;
    l->skip = other;
    n->layer = l;
    l->out = n;
    QNode *pre = l->pre;
    take_activation(z, l);
    l->pre = pre;
  } else {
    l = layer_new(z, L_ADD, n, n);
    l->data = x;
    l->skip = y;
    take_activation(z, l);
  }
  layer_push(z, l);
}

static void make_layer(Quantise *z, QNode *n) {
  QLayer *l = NULL;
  switch (n->kind) {
  case Q_CONV:
  case Q_DENSE:
    l = linear(z, n);
    if (!waits_for_addition(z, l)) layer_push(z, l);
    return;
  case Q_ADD:
    if (any_int8(n)) {
      addition(z, n);
      return;
    }
    break;
  case Q_MEAN:
  case Q_AVERAGE:
    if (any_int8(n)) l = layer_new(z, L_MEAN, n, n);
    break;
  case Q_MAX:
  case Q_VIEW:
  case Q_CONCAT:
  case Q_RELU:
  case Q_CLAMP:
    if (any_int8(n)) l = layer_new(z, L_SAME, n, n);
    break;
  case Q_INPUT:
  case Q_BIAS:
  case Q_FLOAT: break;
  }
  if (!l) l = layer_new(z, L_FLOAT, n, n);
  if (l->kind != L_FLOAT) l->data = n->in.data[0];
  layer_push(z, l);
}

// What a layer reads must be int8, or float.
static void want(const QLayer *l) {
  bool own = l->kind == L_LINEAR || l->kind == L_RESIDUAL || l->kind == L_ADD;
  if (own) l->data->want_int8 = true;
  if (l->skip) l->skip->want_int8 = true;
  for (size_t i = 0; !own && i < l->root->in.len; i++)
    *(l->kind == L_FLOAT ? &l->root->in.data[i]->want_float : &l->root->in.data[i]->want_int8) = true;
}

static QScale *scale_new(Quantise *z) {
  QScale *s = NEW(z->a, QScale);
  *s = (QScale){.reach = 128};
  VEC_PUSH(z->a, z->scales, s);
  return s;
}

static void scales_join(QScale *x, QScale *y) {
  x = scale_of(x);
  y = scale_of(y);
  if (x != y) y->same = x;
}

QScale *group_of(QScale *s) {
  s = scale_of(s);
  while (s->group) s = scale_of(s->group);
  return s;
}

static void groups_join(QScale *x, QScale *y) {
  x = group_of(x);
  y = group_of(y);
  if (x != y) y->group = x;
}

// How far the values of a node may reach, a power of two: products that become floats at once have room for more than
// int8, and floats for all. 128: another layer reads them.
static int room_of(const Quantise *z, const QNode *n) {
  int room = WIDEST;
  for (size_t i = 0; i < z->layers.len; i++) {
    const QLayer *l = z->layers.data[i];
    bool reads = l->skip == n;
    for (size_t k = 0; k < l->root->in.len; k++) reads |= l->root->in.data[k] == n;
    if (!reads || l->kind == L_FLOAT || l->kind == L_QUANTISE) continue;
    int least = 128;
    if (l->kind == L_SAME && l->root->kind == Q_VIEW) least = room_of(z, l->out);
    if (l->kind == L_LINEAR && l->floats && l->root->kind == Q_DENSE)
      for (least = WIDEST; least > 128 && 127.0 * least * (double)taps_of(l) > 0x1p30;) least /= 2;
    if (least < room) room = least;
  }
  return room;
}

static void set_reach(const Quantise *z, const QNode *n, int reach) {
  n->layer->reach = n->layer->scale->reach = reach;
  for (size_t i = 0; i < z->layers.len; i++)
    if (z->layers.data[i]->kind == L_SAME && z->layers.data[i]->data == n) set_reach(z, z->layers.data[i]->out, reach);
}

void layers_make(Quantise *z) {
  for (size_t i = 0; i < z->nodes.len; i++)
    if (!z->nodes.data[i]->layer) make_layer(z, z->nodes.data[i]);
  for (size_t i = z->layers.len; i-- > 0;) {
    QLayer *l = z->layers.data[i];
    if (l->kind == L_SAME && l->root->kind == Q_VIEW && !l->out->want_int8) l->kind = L_FLOAT; // floats to the end
    want(l);
  }
  VEC(QLayer *) old = {z->layers.data, z->layers.len, z->layers.cap};
  z->layers.data = NULL;
  z->layers.len = z->layers.cap = 0;
  for (size_t i = 0; i < old.len; i++) {
    QLayer *l = old.data[i];
    layer_push(z, l);
    l->out->want_float |= l->out->output;
    if (l->kind == L_LINEAR && !l->out->want_int8 && !l->out->axis_named) l->floats = true;
    else if (l->kind != L_FLOAT) l->scale = scale_new(z);
    if (l->kind != L_FLOAT || !l->out->want_int8) continue;
    QLayer *q = NEW(z->a, QLayer);
    *q = (QLayer){.kind = L_QUANTISE, .root = l->out, .out = l->out, .scale = scale_new(z), .reach = 128};
    l->out->int8 = q;
    layer_push(z, q);
  }
  for (size_t i = 0; i < z->layers.len; i++) {
    const QLayer *l = z->layers.data[i];
    if (l->kind == L_MEAN && l->root->kind == Q_MEAN && room_of(z, l->out) >= 1024)
      set_reach(z, l->out, room_of(z, l->out));
  }
  for (size_t i = 0; i < z->layers.len; i++) {
    QLayer *l = z->layers.data[i];
    for (size_t k = 0; l->kind == L_SAME && k < l->root->in.len; k++)
      scales_join(int8_layer(l->root->in.data[k])->scale, l->scale);
  }
  for (size_t i = 0; i < z->layers.len; i++) {
    QLayer *l = z->layers.data[i];
    if (l->skip) groups_join(l->scale, int8_layer(l->skip)->scale);
    if (l->kind == L_ADD) groups_join(l->scale, int8_layer(l->data)->scale);
  }
}

// SPDX-License-Identifier: Apache-2.0
// Groups whose tensors are not in tiles: an axis of each is stored in blocks by `pack`. Which axis of the sum of
// products that is says how its operands are indexed; the others follow from how stages read each other.
#include "plan/internal.h"

typedef struct Packer {
  const Problem *p;
  Group *g;
  const TeTensor *reader;
  int axis; // of the reader; -1: not known yet
  const char *rule;
} Packer;

static const char *say(const Packer *k, const char *fmt, const TeTensor *t) {
  return arena_printf(k->p->cx->arena, fmt, t->name);
}

static int member_of(const Group *g, const TeTensor *t) {
  for (int i = 0; i < g->nmembers; i++)
    if (g->members[i] == t) return i;
  return -1;
}

// The axis of t that an index is, and nothing else; -1: it is something else.
static int plain_axis(const TeExpr *index, const TeTensor *t) {
  int64_t c, coef[2 * MOST_AXES];
  int found = -1;
  if (!index_form(index, t, &c, coef) || c) return -1;
  for (int i = 0; i < t->naxes + t->nraxes; i++) {
    if (!coef[i]) continue;
    if (coef[i] != 1 || found >= 0 || i >= t->naxes) return -1;
    found = i;
  }
  return found;
}

// From the sum of products to the root: the reader's axis, by that of a member that it reads.
static bool follow_read(void *self, const TeExpr *e) {
  Packer *k = self;
  if (e->kind != TE_ACCESS) return false;
  int m = member_of(k->g, e->tensor);
  if (m >= 0 && k->g->axis[m] >= 0) k->axis = plain_axis(e->args[k->g->axis[m]], k->reader);
  return k->axis >= 0;
}

// A member is read element by element, its axes among the reader's, each once.
static void see_member(Packer *k, const TeExpr *e, int m) {
  int axis = -1, seen = 0;
  for (int d = 0; d < e->nargs; d++) {
    int a = plain_axis(e->args[d], k->reader);
    if (a < 0 || seen >> a & 1) k->rule = say(k, "it reads `%s` elsewhere", e->tensor);
    if (k->rule) return;
    seen |= 1 << a;
    if (a == k->axis) axis = d;
  }
  if (axis < 0 || (k->g->axis[m] >= 0 && k->g->axis[m] != axis))
    k->rule = say(k, "`%s` has no axis of channels that can be packed", e->tensor);
  k->g->axis[m] = axis;
}

static void see_load(Packer *k, const TeExpr *e, Load *l) {
  l->npacks = 1;
  l->pack[0] = access_axis(e, k->reader, k->axis);
  if (l->pack[0] >= 0 && l->stage) {
    const TeExpr *from = copied(l->tensor->body->kind == TE_CAST ? l->tensor->body->a : l->tensor->body);
    l->source = from->tensor;
    l->source_axis = access_axis(from, l->tensor, l->pack[0]);
  }
  if (l->pack[0] < 0 || (l->stage && l->source_axis < 0))
    k->rule = say(k, "`%s` has no axis of channels that can be packed", e->tensor);
}

// From the root to what it needs: takes the axis of what is read.
static bool pack_read(void *self, const TeExpr *e) {
  Packer *k = self;
  if (e->kind != TE_ACCESS) return false;
  int m = member_of(k->g, e->tensor);
  if (m >= 0) see_member(k, e, m);
  for (int i = 0; i < k->g->nloads && m < 0; i++)
    if (k->g->loads[i].tensor == e->tensor && k->g->loads[i].memory == IN_ACC) see_load(k, e, &k->g->loads[i]);
  return k->rule != NULL;
}

// The axes of the operands, and of what a stage copies. Weights that are copied are laid out by that.
static void pack_operands(Packer *k, const Product *product) {
  Group *g = k->g;
  int lane = g->gemm->naxes + g->lane;
  for (int i = 0; i < g->nloads; i++) {
    Load *l = &g->loads[i];
    if (l->memory == IN_ACC) continue;
    const TeExpr *e = l->memory == IN_INP ? product->inp : product->wgt;
    if (l->memory == IN_WGT) l->stage = false, l->pack[l->npacks++] = access_axis(e, g->gemm, product->channel);
    l->pack[l->npacks++] = access_axis(e, g->gemm, lane);
    if (!l->stage) continue;
    const TeExpr *from = copied(l->tensor->body);
    l->source = from->tensor;
    l->source_axis = access_axis(from, l->tensor, l->pack[0]);
    if (l->source_axis < 0) k->rule = say(k, "the channels of `%s` cannot be packed", l->source);
  }
}

const char *blocks_rule(const Problem *p, Group *g) {
  Product product;
  Packer k = {.p = p, .g = g};
  is_product(p, g->gemm, &product, &k.rule);
  pack_operands(&k, &product);
  g->channel = -1;
  for (int i = 0; i <= g->nmembers && !k.rule; i++) {
    k.reader = i < g->nmembers ? g->members[i] : g->root;
    k.axis = k.reader == g->gemm ? product.channel : -1;
    if (k.reader != g->gemm && k.reader->nraxes) k.rule = "it reduces twice";
    if (k.reader != g->gemm) te_any(k.reader->body, follow_read, &k);
    *(i < g->nmembers ? &g->axis[i] : &g->channel) = k.axis;
  }
  if (g->channel < 0 && !k.rule) k.rule = "its channels are no axis of what is stored";
  for (int i = g->nmembers; i >= 0 && !k.rule; i--) {
    k.reader = i < g->nmembers ? g->members[i] : g->root;
    k.axis = i < g->nmembers ? g->axis[i] : g->channel;
    if (k.reader != g->gemm) te_any(k.reader->body, pack_read, &k);
  }
  return k.rule;
}

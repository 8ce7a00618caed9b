// SPDX-License-Identifier: Apache-2.0
// The choices for a group. What each load brings follows from the forms of indices; memories that overflow prune a
// choice, an estimate (multipliers, ALU, bus, what cannot overlap) orders the rest.
#include "plan/internal.h"

#include <string.h>

static int64_t least_of(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most_of(int64_t a, int64_t b) { return a > b ? a : b; }

enum {
  MOST_CUTS = 20,
  MOST_NODES = MOST_MEMBERS + MOST_LOADS + 1,
  A_CLASS = 3,
  MOST_CLASSES = 512,
  MOST_TILES = 8192,
  SCANNED = 64,
  ISSUED = 24
};

// A tensor that is read: what one dimension of it spans, by the spans of the reader's axes.
typedef struct Edge {
  int from, to; // nodes: the reader, what is read
  int64_t coef[MOST_AXES][2 * MOST_AXES];
  bool whole[MOST_AXES]; // the form is not known
} Edge;

typedef struct Span {
  int64_t of[MOST_AXES]; // elements along each axis
} Span;

typedef struct Space {
  const Problem *p;
  const Group *g;
  const VtaTarget *v;
  int nnodes; // the root, the members from consumers to producers, the loads
  const TeTensor *node[MOST_NODES];
  int first_load, gemm;                 // nodes; gemm -1: there is none
  int64_t block[MOST_NODES][MOST_AXES]; // of the node's axes that are stored in blocks; others: 1
  VEC(Edge) edges;
  bool moves[MOST_LOADS][MOST_AXES]; // the load depends on that axis of the root
  int step_axis;                     // of the reduction, that may be cut; -1: none
  int64_t step_unit;
  int row_axis; // of gemm
  Bounds bounds;
  int64_t tried;
  // What is kept: the best few of each class, so that one kind of choice does not crowd out the others.
  int nclasses;
  struct Class {
    int key, n;
    Choice best[A_CLASS];
  } classes[MOST_CLASSES];
} Space;

// ---- forms

static int node_of(const Space *s, const TeTensor *t) {
  for (int i = 0; i < s->nnodes; i++)
    if (s->node[i] == t) return i;
  return -1;
}

typedef struct EdgeFinder {
  Space *s;
  int from;
} EdgeFinder;

static bool add_edge(void *self, const TeExpr *e) {
  const EdgeFinder *f = self;
  Space *s = f->s;
  int to = e->kind == TE_ACCESS ? node_of(s, e->tensor) : -1;
  if (to < 0 || e->nargs > MOST_AXES) return false;
  Edge edge = {.from = f->from, .to = to};
  int64_t c;
  for (int d = 0; d < e->nargs; d++) edge.whole[d] = !index_form(e->args[d], s->node[f->from], &c, edge.coef[d]);
  VEC_PUSH(s->p->cx->arena, s->edges, edge);
  return false;
}

static void read_graph(Space *s) {
  const Group *g = s->g;
  s->gemm = -1;
  s->node[s->nnodes++] = g->root;
  for (int i = g->nmembers; i-- > 0;) {
    if (g->members[i] == g->gemm) s->gemm = s->nnodes;
    s->node[s->nnodes++] = g->members[i];
  }
  s->first_load = s->nnodes;
  for (int i = 0; i < g->nloads; i++) s->node[s->nnodes++] = g->loads[i].tensor;
  for (int i = 0; i < s->first_load; i++) {
    EdgeFinder f = {s, i};
    te_any(s->node[i]->body, add_edge, &f);
  }
}

// What each node spans where the root spans `root`, the reduction's step axis `step`, the row axis `row` (0: all).
static void spans(const Space *s, const Span *root, int64_t step, bool row, Span *out) {
  memset(out, 0, (size_t)s->nnodes * sizeof *out);
  out[0] = *root;
  for (int n = 1; n < s->nnodes; n++) {
    const TeTensor *t = s->node[n];
    for (int d = 0; d < t->naxes; d++) out[n].of[d] = 1;
    for (size_t i = 0; i < s->edges.len; i++) {
      const Edge *e = &s->edges.data[i];
      if (e->to != n) continue;
      const TeTensor *r = s->node[e->from];
      for (int d = 0; d < t->naxes; d++) {
        int64_t size = 1, all = t->axes[d]->extent;
        for (int k = 0; k < r->naxes; k++)
          size += (e->coef[d][k] < 0 ? -e->coef[d][k] : e->coef[d][k]) * (out[e->from].of[k] - 1);
        for (int k = 0; k < r->nraxes; k++) {
          int64_t c = e->coef[d][r->naxes + k], x = r->raxes[k]->extent;
          if (e->from == s->gemm && k == s->step_axis && step) x = step;
          size += (c < 0 ? -c : c) * (x - 1);
        }
        if (e->whole[d] || size > all) size = all;
        if (size > out[n].of[d]) out[n].of[d] = size;
      }
    }
    if (n == s->gemm && row && s->row_axis >= 0) out[n].of[s->row_axis] = 1;
  }
}

static int64_t rounded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Elements of what a node spans, with what fills its blocks.
static int64_t elements(const Space *s, int node, const Span *x) {
  int64_t n = 1;
  for (int d = 0; d < s->node[node]->naxes; d++) n *= rounded(x[node].of[d], s->block[node][d]);
  return n;
}

static void read_blocks(Space *s) {
  const Group *g = s->g;
  for (int i = 0; i < s->nnodes; i++)
    for (int d = 0; d < MOST_AXES; d++) s->block[i][d] = 1;
  for (int i = 0; i < s->first_load && g->channel >= 0; i++)
    s->block[i][i ? g->axis[g->nmembers - i] : g->channel] = s->v->acc.cols;
  for (int i = 0; i < g->nloads; i++) {
    const Load *l = &g->loads[i];
    for (int k = 0; k < l->npacks; k++)
      s->block[s->first_load + i][l->pack[k]] =
          l->memory == IN_ACC || (l->memory == IN_WGT && k == 0) ? s->v->acc.cols : s->v->inp.cols;
  }
}

static const Scope *load_scope(const Space *s, int load) {
  Memory m = s->g->loads[load].memory;
  return m == IN_INP ? &s->v->inp : m == IN_WGT ? &s->v->wgt : &s->v->acc;
}

// Bytes of an element where it comes from.
static int64_t load_bytes(const Space *s, int load) {
  const Load *l = &s->g->loads[load];
  const TeTensor *t = l->tensor;
  return dtype_bytes(l->stage && t->body->kind == TE_CAST ? t->body->a->type : t->type);
}

// ---- bounds

// Beats of the bus that so many bytes take.
static int64_t beats_of(const Space *s, int64_t bytes) {
  int64_t beat = s->p->core.bus / 8;
  return bus_cycles(&s->p->core, (bytes + beat - 1) / beat);
}

static bool count_steps(void *self, const TeExpr *e) {
  int64_t *n = self; // with an immediate, without
  if (e->kind == TE_BINARY && e->type == DT_I32) n[e->a->kind != TE_CONST && e->b->kind != TE_CONST]++;
  if (e->kind == TE_SELECT || e->kind == TE_MATH) n[1] += 2;
  return e->kind == TE_ACCESS;
}

// Passes of the ALU over a node's tiles, times three where immediates are fused.
static int64_t alu_thirds(const TeTensor *t) {
  int64_t n[2] = {0, 0}, points = 1;
  te_any(t->body, count_steps, n);
  for (int i = 0; i < t->nraxes; i++) points *= t->raxes[i]->extent;
  return n[0] + 3 * n[1] + (t->nraxes ? 3 * points : 0);
}

static Bounds bounds_of(const Space *s) {
  Span root = {0}, all[MOST_NODES];
  Bounds b = {0};
  for (int i = 0; i < s->g->root->naxes; i++) root.of[i] = s->g->root->axes[i]->extent;
  spans(s, &root, 0, false, all);
  int64_t thirds = 0;
  for (int i = 0; i < s->first_load; i++) {
    int64_t tiles = elements(s, i, all) / s->v->acc.tile;
    if (i != s->gemm && (i || s->g->computes)) thirds += tiles * alu_thirds(s->node[i]);
    if (i != s->gemm) continue;
    b.gemm = tiles;
    for (int k = 0; k < s->node[i]->nraxes; k++)
      b.gemm *= k == s->g->lane ? rounded(s->node[i]->raxes[k]->extent, s->v->inp.cols) : s->node[i]->raxes[k]->extent;
    b.gemm /= s->v->inp.cols;
  }
  b.alu = (thirds + 2) / 3;
  for (int i = 0; i < s->g->nloads; i++) b.read += elements(s, s->first_load + i, all) * load_bytes(s, i);
  b.read = beats_of(s, b.read);
  b.write = beats_of(s, elements(s, 0, all));
  const int64_t each[] = {b.gemm, b.alu, b.read, b.write};
  static const char *const names[] = {"the multipliers", "the ALU", "reading", "writing"};
  for (int i = 0; i < 4; i++)
    if (each[i] > b.cycles) b.cycles = each[i], b.binds = names[i];
  return b;
}

// ---- one choice

static int64_t trips(const Space *s, const Choice *c, int axis) {
  return (s->g->root->axes[axis]->extent - 1) / c->tile[axis] + 1;
}

// What the root spans where a load at that level is: all of an axis whose loop is inside.
static Span root_span(const Space *s, const Choice *c, int level) {
  Span r = {0};
  for (int i = 0; i < c->naxes; i++) {
    int a = c->order[i];
    int64_t all = s->g->root->axes[a]->extent, tile = c->tile[a];
    if (level < AT_TILE && a == c->thread) tile *= THREADS;
    r.of[a] = level < i || tile > all ? all : tile;
  }
  return r;
}

// How often a load at that level is done.
static int64_t times(const Space *s, const Choice *c, int level) {
  int64_t n = 1;
  for (int i = 0; i < c->naxes; i++) {
    int a = c->order[i];
    int64_t t = trips(s, c, a);
    if (level < AT_TILE && a == c->thread) t = (t + THREADS - 1) / THREADS;
    if (level >= i) n *= t;
  }
  if (level >= AT_STEP && c->step_axis >= 0) n *= (s->g->gemm->raxes[c->step_axis]->extent - 1) / c->step + 1;
  return n;
}

static int64_t axis_unit(const Space *s, int axis) {
  const TeTensor *t = s->g->root;
  if (s->g->channel >= 0) return axis == s->g->channel ? s->v->acc.cols : 1;
  if (axis == t->naxes - 1) return s->v->acc.cols;
  return axis == t->naxes - 2 && s->v->acc.rows > 1 ? s->v->acc.rows : 1;
}

// About how many micro-ops the sum of products of a tile takes: two of its loops are the hardware's, and successive
// steps must not write the same accumulators.
static int64_t micro_ops(const Space *s, const Choice *c, const Span *tile) {
  const TeTensor *t = s->g->gemm;
  int64_t n[2 * MOST_AXES], all = 1, across = 1, best = INT64_MAX;
  int count = 0;
  for (int i = 0; i < t->naxes; i++) {
    n[count] = i == c->row_axis ? 1 : (tile[s->gemm].of[i] - 1) / axis_unit(s, i) + 1;
    across *= n[count++];
  }
  int spatial = count;
  for (int i = 0; i < t->nraxes; i++) {
    int64_t x = i == c->step_axis ? c->step : t->raxes[i]->extent;
    n[count++] = i == s->g->lane ? (x - 1) / s->v->inp.cols + 1 : x;
  }
  for (int i = 0; i < count; i++) all *= n[i];
  for (int i = 0; i < count; i++)
    for (int k = 0; k < i; k++) {
      int64_t left = across / (i < spatial ? n[i] : 1) / (k < spatial ? n[k] : 1), uops = all / (n[i] * n[k]);
      if ((left >= 3 || across < 3) && uops < best) best = uops;
    }
  return best == INT64_MAX ? all : best;
}

// Estimates a choice, or finds that it does not fit.
static bool estimate(const Space *s, Choice *c) {
  Span x[MOST_NODES], tile[MOST_NODES], root = root_span(s, c, AT_TILE);
  int64_t latency = s->p->core.latency, threads = c->thread < 0 ? 1 : THREADS, used[3] = {0}, apart = 0, along = 0,
          first = 0;
  spans(s, &root, 0, false, tile);
  int64_t most = 0, rows = c->row_axis >= 0 ? tile[s->gemm].of[c->row_axis] : 1;
  for (int i = s->g->computes ? 0 : 1; i < s->first_load; i++) {
    int64_t n = elements(s, i, tile) / s->v->acc.tile;
    if (n > most) most = n;
  }
  used[IN_ACC] = most * threads;
  if (used[IN_ACC] > s->v->acc.depth) return false;
  for (int i = 0; i < s->g->nloads; i++) {
    int level = c->level[i], node = s->first_load + i;
    root = root_span(s, c, level);
    spans(s, &root, level >= AT_STEP ? c->step : 0, level == AT_ROW, x);
    int64_t n = elements(s, node, x), beats = beats_of(s, n * load_bytes(s, i));
    used[s->g->loads[i].memory] +=
        (n + load_scope(s, i)->tile - 1) / load_scope(s, i)->tile * (level >= AT_TILE ? threads : 1);
    int64_t done = times(s, c, level) * (level == AT_ROW ? rows : 1);
    if (level < AT_TILE) apart += done * (beats + latency + 14);
    else along += done * (beats + 4);
    first += level < AT_TILE ? 0 : beats + latency + 4;
  }
  if (used[IN_INP] > s->v->inp.depth || used[IN_WGT] > s->v->wgt.depth || used[IN_ACC] > s->v->acc.depth) return false;
  int64_t tiles = times(s, c, AT_STEP) * rows, alu = s->bounds.alu, write = s->bounds.write;
  int64_t last = (alu + write) / times(s, c, AT_TILE) + 1, work = s->bounds.gemm + tiles * 8;
  int64_t uops = s->gemm >= 0 ? micro_ops(s, c, tile) : 0;
  work = most_of(work, tiles * (ISSUED + uops));
  if (threads == 1) c->estimate = apart + along + work + alu + write + tiles * 30;
  else {
    int64_t longest = most_of(most_of(work, along), most_of(alu + tiles * 4, write));
    c->estimate = apart + first + longest + last + (uops > SCANNED ? alu : 0); // longer kernels touch everything
  }
  return true;
}

// ---- all of them

// Keeps a choice if it is among the best of its class.
static void keep(Space *s, const Choice *c, int key) {
  int k = 0;
  while (k < s->nclasses && s->classes[k].key != key) k++;
  if (k == MOST_CLASSES) return;
  if (k == s->nclasses) s->classes[s->nclasses++].key = key;
  struct Class *l = &s->classes[k];
  int at = l->n;
  while (at && l->best[at - 1].estimate > c->estimate) at--;
  if (at == A_CLASS) return;
  if (l->n < A_CLASS) l->n++;
  for (int i = l->n - 1; i > at; i--) l->best[i] = l->best[i - 1];
  l->best[at] = *c;
}

// The loop over tiles inside which a load changes no more: its level.
static int innermost_use(const Space *s, const Choice *c, int load) {
  for (int i = c->naxes; i-- > 0;)
    if (trips(s, c, c->order[i]) > (c->order[i] == c->thread ? THREADS : 1) && s->moves[load][c->order[i]]) return i;
  return AT_ROOT;
}

static int innermost_loop(const Space *s, const Choice *c) {
  for (int i = c->naxes; i-- > 0;)
    if (trips(s, c, c->order[i]) > 1) return i;
  return AT_ROOT;
}

static void try_levels(Space *s, Choice *c, int load, int key) {
  if (load == s->g->nloads) {
    s->tried++;
    if (estimate(s, c)) keep(s, c, key);
    return;
  }
  Memory m = s->g->loads[load].memory;
  int use = m == IN_ACC ? AT_TILE : innermost_use(s, c, load);
  const int levels[] = {use, AT_ROOT, AT_TILE, AT_STEP, AT_ROW};
  for (int i = 0; i < 5; i++) {
    if (i && (m == IN_ACC || levels[i] == use)) continue;
    if (levels[i] == AT_TILE && i && c->thread < 0 && innermost_loop(s, c) == use) continue; // the same
    if (levels[i] == AT_STEP && c->step_axis < 0 && c->row_axis < 0) continue;
    if (levels[i] == AT_STEP && c->step_axis < 0) continue;
    if (levels[i] == AT_ROW && (c->row_axis < 0 || m != IN_INP)) continue;
    if (c->row_axis >= 0 && m == IN_INP && levels[i] != AT_ROW) continue;
    c->level[load] = levels[i];
    try_levels(s, c, load + 1, m == IN_ACC ? key : key * 5 + i);
  }
}

static int64_t tiles_of(const Space *s, const Choice *c) {
  int64_t n = 1;
  for (int i = 0; i < c->naxes; i++) n *= trips(s, c, i);
  return n;
}

static void try_steps(Space *s, Choice *c, int key) {
  c->step_axis = c->row_axis = -1;
  c->step = 0;
  try_levels(s, c, 0, key * 4);
  if (s->gemm < 0) return;
  if (s->row_axis >= 0) {
    c->row_axis = s->row_axis;
    try_levels(s, c, 0, key * 4 + 2);
    c->row_axis = -1;
  }
  if (s->step_axis < 0) return;
  int64_t all = s->g->gemm->raxes[s->step_axis]->extent;
  c->step_axis = s->step_axis;
  for (c->step = s->step_unit; c->step < all; c->step += s->step_unit)
    if (rounded(all, s->step_unit) % c->step == 0) {
      try_levels(s, c, 0, key * 4 + 1);
      c->row_axis = s->row_axis;
      if (c->row_axis >= 0) try_levels(s, c, 0, key * 4 + 3);
      c->row_axis = -1;
    }
  c->step_axis = -1;
}

// The orders of loops: what moves the input outside, or what moves the weights.
static void try_orders(Space *s, Choice *c) {
  bool cut[2] = {false, false}; // others; the weights' axes
  for (int a = 0; a < c->naxes; a++) cut[s->gemm >= 0 && s->moves[1][a] && !s->moves[0][a]] |= trips(s, c, a) > 1;
  for (int weights_first = 0; weights_first <= (cut[0] && cut[1]); weights_first++) {
    int n = 0;
    for (int pass = 0; pass < 2; pass++)
      for (int a = 0; a < c->naxes; a++) {
        bool weight = s->gemm >= 0 && s->moves[1][a] && !s->moves[0][a];
        if (weight == (pass != weights_first)) c->order[n++] = a;
      }
    for (c->thread = -1; c->thread < c->naxes; c->thread++)
      if (c->thread < 0 || trips(s, c, c->thread) % THREADS == 0)
        try_steps(s, c, (weights_first * (MOST_AXES + 1) + c->thread + 1));
  }
}

static void try_tiles(Space *s, Choice *c, int axis) {
  if (axis == c->naxes) {
    int64_t n = tiles_of(s, c);
    if (n <= MOST_TILES) try_orders(s, c);
    return;
  }
  int64_t all = s->g->root->axes[axis]->extent, unit = axis_unit(s, axis);
  int64_t cuts[MOST_CUTS];
  int n = 0;
  for (int64_t parts = 1; parts <= all && n < MOST_CUTS; parts++)
    if (parts == 1 || (all % parts == 0 && all / parts % unit == 0)) cuts[n++] = all / parts;
  for (int i = 0; i < n; i++) {
    c->tile[axis] = cuts[i];
    for (int k = axis + 1; k < c->naxes; k++) c->tile[k] = least_of(axis_unit(s, k), s->g->root->axes[k]->extent);
    Span x[MOST_NODES], root = {0};
    for (int k = 0; k < c->naxes; k++) root.of[k] = c->tile[k];
    spans(s, &root, 0, false, x);
    int64_t most = 0;
    for (int k = s->g->computes ? 0 : 1; k < s->first_load; k++)
      most = most_of(most, elements(s, k, x) / s->v->acc.tile);
    if (most <= s->v->acc.depth) try_tiles(s, c, axis + 1);
  }
}

// ---- what the loads depend on

static void read_moves(Space *s) {
  const TeTensor *root = s->g->root;
  Span one = {0}, x[MOST_NODES], y[MOST_NODES];
  for (int a = 0; a < root->naxes; a++) one.of[a] = 1;
  spans(s, &one, 1, false, x);
  for (int a = 0; a < root->naxes; a++) {
    one.of[a] = root->axes[a]->extent;
    spans(s, &one, 1, false, y);
    one.of[a] = 1;
    for (int l = 0; l < s->g->nloads; l++)
      s->moves[l][a] = elements(s, s->first_load + l, x) != elements(s, s->first_load + l, y);
  }
}

// Which axis of the reduction is cut: the outermost one that is long; else the one inside tiles. And the rows of the
// sum of products: the first axis along which the input moves, and the weights do not.
static void read_gemm(Space *s) {
  const TeTensor *t = s->g->gemm;
  s->step_axis = s->row_axis = -1;
  if (s->gemm < 0) return;
  for (int i = t->nraxes; i-- > 0 && s->g->channel < 0;)
    if (i != s->g->lane && t->raxes[i]->extent > 1) s->step_axis = i, s->step_unit = 1;
  if (s->step_axis < 0 && t->raxes[s->g->lane]->extent > s->v->inp.cols)
    s->step_axis = s->g->lane, s->step_unit = s->v->inp.cols;
  for (size_t i = 0; i < s->edges.len; i++) {
    const Edge *e = &s->edges.data[i];
    if (e->from != s->gemm || e->to != s->first_load) continue;
    for (int a = t->naxes - 1; a-- > 0;)
      for (int d = 0; d < s->node[e->to]->naxes; d++)
        if (e->coef[d][a] && t->axes[a]->extent > 1 && axis_unit(s, a) == 1) s->row_axis = a;
  }
}

static Space *space_new(const Problem *p, const Group *g) {
  Space *s = NEW(p->cx->arena, Space);
  *s = (Space){.p = p, .g = g, .v = p->options->vta};
  read_graph(s);
  read_blocks(s);
  read_gemm(s);
  read_moves(s);
  s->bounds = bounds_of(s);
  return s;
}

Bounds group_bounds(const Problem *p, const Group *g) { return space_new(p, g)->bounds; }

Choices space_search(const Problem *p, const Group *g, int most, int64_t *tried) {
  Space *s = space_new(p, g);
  Choice c = {.naxes = g->root->naxes};
  try_tiles(s, &c, 0);
  *tried = s->tried;
  Choices out = {0};
  // Best first; of each class its first before its second would be no better: the estimate decides.
  for (int n = 0; n < most; n++) {
    struct Class *from = NULL;
    for (int k = 0; k < s->nclasses; k++) {
      struct Class *l = &s->classes[k];
      if (l->n && (!from || l->best[0].estimate < from->best[0].estimate)) from = l;
    }
    if (!from) break;
    VEC_PUSH(p->cx->arena, out, from->best[0]);
    from->n--;
    memmove(from->best, from->best + 1, (size_t)from->n * sizeof *from->best);
  }
  return out;
}

// SPDX-License-Identifier: Apache-2.0
// The text: identifiers, extents, and expressions that stand in others. A layer is a line: what only one node reads,
// and that node goes on with, is written inside its call.
#include "net/internal.h"

#include <math.h>
#include <string.h>

// ---- shapes --------------------------------------------------------------------------------------------------------

int64_t elements(const Shape *s) {
  int64_t n = 1;
  for (int i = 0; i < s->rank; i++) n *= s->at[i];
  return n;
}

bool shape_same(const Shape *a, const Shape *b) {
  if (a->rank != b->rank || a->free != b->free) return false;
  return !memcmp(a->at, b->at, (size_t)a->rank * sizeof *a->at);
}

const char *typed_shape(Arena *a, DType t, const Shape *s) {
  Text out = {.arena = a};
  text_add(&out, "%s[", dtype_name(t));
  for (int i = 0; i < s->rank; i++)
    text_add(&out, "%s%lld%s", i ? ", " : "", (long long)s->at[i], !i && s->free ? " * n" : "");
  text_add(&out, "]");
  return out.data;
}

bool shape_check(Import *m, const Node *n, const Shape *s) {
  int64_t count = 1;
  Loc at = n ? n->loc : (Loc){0};
  for (int i = 0; i < s->rank; i++) {
    if (s->at[i] >= 1 && mul_ok(count, s->at[i], &count) && count < (int64_t)1 << 40) continue;
    Diag *g =
        diag_report(m->cx->diags, E_MODEL, at, "a tensor would have the extents %s", typed_shape(m->a, DT_F32, s) + 7);
    diag_note(g, "an extent is at least 1, and a tensor has less than 2^40 elements");
    diag_help(
        g, "`--dim=NAME=N` sets free extents of the inputs; a model that counts on empty tensors cannot be imported");
    return false;
  }
  return true;
}

const char *axis_name(const Shape *s, int axis) {
  static const char *const names[6][5] = {
      {0}, {"i"}, {"n", "c"}, {"n", "c", "x"}, {"n", "c", "y", "x"}, {"n", "c", "z", "y", "x"}};
  static const char *const many[MAX_RANK] = {"n", "c", "a4", "a3", "z", "y", "x", "x2"};
  return s->rank <= 5 ? names[s->rank][axis] : many[axis];
}

const char *extent_text(Import *m, const Shape *s, int axis) {
  if (axis || !s->free) return arena_printf(m->a, "%lld", (long long)s->at[axis]);
  return s->at[0] == 1 ? "n" : arena_printf(m->a, "%lld * n", (long long)s->at[0]);
}

const char *axes_text(Import *m, const Shape *s) {
  Text t = {.arena = m->a};
  text_add(&t, "[");
  for (int i = 0; i < s->rank; i++) text_add(&t, "%s%s: %s", i ? ", " : "", axis_name(s, i), extent_text(m, s, i));
  text_add(&t, "]");
  return t.data;
}

const char *indices_text(Import *m, const Shape *s) {
  Text t = {.arena = m->a};
  text_add(&t, "%s", "");
  for (int i = 0; i < s->rank; i++) text_add(&t, "%s%s", i ? ", " : "", axis_name(s, i));
  return t.data ? t.data : "";
}

// ---- names ---------------------------------------------------------------------------------------------------------

// What would be something else in the text: words, axes, the param, the import.
static bool reserved(const char *name) {
  static const char *const words[] = {"target", "param", "const", "import", "kernel", "schedule", "input",  "compute",
                                      "output", "knob",  "in",    "for",    "else",   "true",     "false",  "def",
                                      "return", "if",    "where", "as",     "by",     "inf",      "nan",    "n",
                                      "w",      "sum",   "prod",  "argmax", "argmin", "dot",      "concat", "vta"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcmp(words[i], name)) return true;
  return te_name_taken(name);
}

// The model's name as one of the language that nothing else has; `otherwise` stands before what starts with a digit.
const char *identifier(Import *m, const char *name, const char *otherwise) {
  Text t = {.arena = m->a};
  while (*name && !(*name >= '0' && *name <= '9') && !(*name >= 'A' && *name <= 'Z') && !(*name >= 'a' && *name <= 'z'))
    name++;
  if (!(*name >= 'A' && *name <= 'Z') && !(*name >= 'a' && *name <= 'z'))
    text_add(&t, "%s%s", otherwise, *name ? "_" : "");
  size_t len = strlen(name), suffix = strlen("_output_0");
  if (len > suffix && !strcmp(name + len - suffix, "_output_0")) len -= suffix;
  if (len > 60) len = 60;
  for (size_t i = 0; i < len; i++) {
    char c = name[i];
    bool fits = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    text_add(&t, "%c", fits ? c : '_');
  }
  const char *base = t.data, *id = base;
  int64_t there;
  for (int i = 2; reserved(id) || ptrmap_get(&m->taken, name_of(m->cx->names, id), &there); i++)
    id = arena_printf(m->a, "%s_%d", base, i);
  ptrmap_put(m->a, &m->taken, name_of(m->cx->names, id), 1);
  return id;
}

// An element alone stands in expressions without indices, where an axis of the same name would be meant.
static bool is_axis(const char *name) {
  static const char *const axes[] = {"i", "n", "c", "z", "y", "x", "k", "a3", "a4", "x2"};
  for (size_t i = 0; i < sizeof axes / sizeof *axes; i++)
    if (!strcmp(axes[i], name)) return true;
  return name[0] == 'r' && name[1] >= '0' && name[1] <= '9';
}

const char *identifier_of(Import *m, const Value *v, const char *otherwise) {
  const char *name = elements(&v->shape) == 1 && is_axis(v->name) ? arena_printf(m->a, "%s_value", v->name) : v->name;
  return identifier(m, name, otherwise);
}

void line(Import *m, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  text_add(m->body, "  %s\n", arena_vprintf(m->a, fmt, ap));
  va_end(ap);
}

// ---- constants -----------------------------------------------------------------------------------------------------

static Scalar element(const Value *v, int64_t i) {
  return scalar_load(v->type, (const char *)v->data + i * dtype_bytes(v->type));
}

bool all_equal(const Value *v, double number) {
  for (int64_t i = 0; i < elements(&v->shape); i++) {
    Scalar s = element(v, i);
    if ((dtype_is_float(v->type) ? s.f : (double)s.i) != number) return false;
  }
  return true;
}

const char *constant_text(Import *m, const Value *v, int64_t i) {
  Scalar s = element(v, i);
  if (v->type == DT_BOOL) return s.i ? "true" : "false";
  if (v->type == DT_U64) return arena_printf(m->a, "%llu", (unsigned long long)s.i);
  if (!dtype_is_float(v->type))
    return s.i == INT64_MIN ? "(-0x7fffffffffffffff - 1)" : arena_printf(m->a, "%lld", (long long)s.i);
  if (isnan(s.f)) return "nan";
  if (isinf(s.f)) return s.f < 0 ? "-inf" : "inf";
  const char *text = "";
  for (int digits = 1; digits <= 17; digits++) {
    double back = 0;
    text = arena_printf(m->a, "%.*g", digits, s.f);
    if (sscanf(text, "%lf", &back) == 1 && round_float(v->type, back) == s.f) break;
  }
  return strpbrk(text, ".e") ? text : arena_printf(m->a, "%s.0", text);
}

static void warn_nan(Import *m, const Value *v) {
  if (!dtype_is_float(v->type)) return;
  int64_t n = elements(&v->shape), bad = 0;
  if (v->type == DT_F32)
    for (int64_t i = 0; i < n; i++) bad += isnan(((const float *)v->data)[i]);
  else
    for (int64_t i = 0; i < n; i++) bad += isnan(element(v, i).f);
  if (!bad) return;
  Diag *g = diag_report(m->cx->diags, W_NAN, (Loc){0}, "`%s` of `%s` has %lld elements that are no number", v->name,
                        m->options->path, (long long)bad);
  diag_note(g, "what is computed with a NaN is one, too: the network's outputs will tell nothing");
  diag_help(g, "export the model again, from a training that did not diverge");
}

// As an array of the .npz file, or as an input of the program that is evaluated here.
static const char *stored(Import *m, Value *v) {
  if (!v->id) v->id = identifier_of(m, v, v->prefix ? v->prefix : "constant");
  if (m->folding) {
    bool there = false;
    for (size_t i = 0; i < m->operands.len; i++) there |= m->operands.data[i] == v;
    if (!there) VEC_PUSH(m->a, m->operands, v);
    return v->id;
  }
  if (!v->stored) {
    warn_nan(m, v);
    VEC_PUSH(m->a, m->weights, v);
  }
  v->stored = true;
  return arena_printf(m->a, "w.%s", v->id);
}

Value *derived_once(Import *m, Value *from, const Shape *s) {
  if (!from->reshaped || !shape_same(&from->reshaped->shape, s)) from->reshaped = derived(m, from, s, from->data);
  return from->reshaped;
}

Value *temporary(Import *m, Node *n, DType t, const Shape *s, Form form, const char *expr) {
  Value *v = value_new(m, n->out[0] ? n->out[0]->name : "t");
  *v = (Value){.name = v->name,
               .prefix = n->out[0] ? n->out[0]->prefix : NULL,
               .type = t,
               .shape = *s,
               .width = s->rank,
               .known = true,
               .uses = 1,
               .expr = expr,
               .axes = form == AXES,
               .call = form == CALL || form == VIEW,
               .view = form == VIEW};
  return v;
}

Value *derived(Import *m, const Value *from, const Shape *s, const void *data) {
  Value *v = value_new(m, from->name);
  *v = (Value){
      .name = from->name, .type = from->type, .shape = *s, .width = s->rank, .data = data, .known = true, .call = true};
  return v;
}

const void *permuted(Import *m, const Value *v, const int *order, Shape *out) {
  int rank = v->shape.rank;
  size_t size = (size_t)dtype_bytes(v->type);
  int64_t step[MAX_RANK], at[MAX_RANK] = {0}, n = elements(&v->shape), from = 0, s = 1;
  for (int i = rank - 1; i >= 0; i--) step[i] = s, s *= v->shape.at[i];
  *out = (Shape){.rank = rank};
  for (int i = 0; i < rank; i++) out->at[i] = v->shape.at[order[i]];
  char *to = arena_array(m->a, (size_t)n + 1, size);
  for (int64_t k = 0; k < n; k++) {
    memcpy(to + (size_t)k * size, (const char *)v->data + (size_t)from * size, size);
    for (int i = rank - 1; i >= 0; i--) {
      from += step[order[i]];
      if (++at[i] < out->at[i]) break;
      from -= step[order[i]] * out->at[i];
      at[i] = 0;
    }
  }
  return to;
}

// ---- expressions ---------------------------------------------------------------------------------------------------

// Its stage, from its expression.
static void make_stage(Import *m, Value *v) {
  const char *role = v->output && !m->folding ? "output" : "compute";
  v->id = m->folding ? arena_printf(m->a, "folding_%d", m->stages++) : identifier_of(m, v, v->prefix ? v->prefix : "t");
  if (v->axes) line(m, "%s %s%s : %s = %s;", role, v->id, axes_text(m, &v->shape), dtype_name(v->type), v->expr);
  else line(m, "%s %s = %s;", role, v->id, v->expr);
}

const char *named(Import *m, Value *v) {
  if (v->data) return stored(m, v);
  if (!v->id) make_stage(m, v);
  return v->id;
}

// An expression with all axes of the value.
static const char *widened(Import *m, Value *v, const char *expr) {
  if (v->width == v->shape.rank) return expr;
  if (v->width == 2 && v->shape.rank == 4) return arena_printf(m->a, "spatial(%s)", expr);
  if (v->whole) return named(m, v->whole);
  Text t = {.arena = m->a};
  for (int i = 0; i < v->width; i++) text_add(&t, "%s%s", i ? ", " : "[", axis_name(&v->shape, i));
  Value *whole = v->whole = value_new(m, v->name);
  *whole =
      (Value){.name = v->name, .type = v->type, .shape = v->shape, .width = v->shape.rank, .known = true, .axes = true};
  whole->expr = arena_printf(m->a, v->width ? "%s%s]" : "%s%s", named(m, v), v->width ? t.data : "");
  return named(m, whole);
}

static bool alone(const Value *v) { return !v->id && v->expr && !v->axes && v->uses == 1 && !v->output; }

const char *operand(Import *m, Value *v) {
  return widened(m, v, alone(v) && v->view && strlen(v->expr) <= LONGEST_NEST ? v->expr : named(m, v));
}

const char *nest(Import *m, Value *v) {
  return widened(m, v, alone(v) && strlen(v->expr) <= LONGEST_NEST ? v->expr : named(m, v));
}

const char *inside(Import *m, Value *v) {
  bool plain = v->call || v->id || v->data || v->width != v->shape.rank;
  const char *text = nest(m, v);
  return plain || v->id ? text : arena_printf(m->a, "(%s)", text);
}

// The same two of an expression that may have fewer axes than the value; *width says how many.
const char *nest_narrow(Import *m, Value *v, int *width) {
  *width = v->width;
  return alone(v) && strlen(v->expr) <= LONGEST_NEST ? v->expr : named(m, v);
}

const char *inside_narrow(Import *m, Value *v, int *width) {
  const char *text = nest_narrow(m, v, width);
  return v->call || v->id || v->data ? text : arena_printf(m->a, "(%s)", text);
}

const char *element_of(Import *m, Value *v, const char *indices) {
  const char *name = named(m, v);
  return *indices ? arena_printf(m->a, "%s[%s]", name, indices) : name;
}

const char *broadcast_element(Import *m, Value *v, const Shape *to) {
  if (v->data && elements(&v->shape) == 1) return constant_text(m, v, 0);
  Text t = {.arena = m->a};
  text_add(&t, "%s", "");
  int ahead = to->rank - v->shape.rank;
  for (int i = 0; i < v->width; i++) {
    bool one = v->shape.at[i] == 1 && !(i == 0 && v->shape.free);
    text_add(&t, "%s%s", i ? ", " : "", one ? "0" : axis_name(to, i + ahead));
  }
  return element_of(m, v, t.data ? t.data : "");
}

// ---- results -------------------------------------------------------------------------------------------------------

bool result_narrow(Import *m, Node *n, int i, DType t, const Shape *s, int width, Form form, const char *expr) {
  if (!shape_check(m, n, s)) return false;
  Value *v = i < n->nout ? n->out[i] : NULL;
  if (!v) return true;
  v->type = t;
  v->shape = *s;
  v->width = width;
  v->expr = expr;
  v->axes = form == AXES;
  v->call = form == CALL || form == VIEW;
  v->view = form == VIEW;
  if (v->output && width != s->rank && !m->folding) {
    bool plain = width == 2 && s->rank == 4;
    v->expr = arena_printf(m->a, plain ? "spatial(%s)" : "reshape(%s)", expr);
    v->axes = !plain;
    v->width = s->rank;
  }
  if ((v->output || v->uses > 1) && !m->folding) named(m, v);
  return true;
}

bool result(Import *m, Node *n, int i, DType t, const Shape *s, Form form, const char *expr) {
  return result_narrow(m, n, i, t, s, s->rank, form, expr);
}

// The same value under another name: what reads it reads the other.
static bool result_alias(Import *m, Node *n, int i, Value *v, const Shape *s) {
  Value *o = n->out[i];
  if (o->output || v->id || v->uses > 1) {
    if (o->output) return result_narrow(m, n, i, v->type, s, v->width, CALL, named(m, v));
    *o = (Value){.name = o->name,
                 .type = v->type,
                 .shape = *s,
                 .width = v->width,
                 .known = true,
                 .uses = 2 /* named */,
                 .call = true};
    o->id = named(m, v);
    return true;
  }
  Form form = v->axes ? AXES : v->view ? VIEW : v->call ? CALL : WHOLE;
  bool fits = !v->axes || shape_same(s, &v->shape);
  return result_narrow(m, n, i, v->type, s, v->width, fits ? form : CALL, fits ? v->expr : named(m, v));
}

bool result_same(Import *m, Node *n, int i, Value *v, const Shape *s) {
  if (i >= n->nout || !n->out[i]) return true;
  if (v->data) return result_constant(m, n, i, v->type, s, v->data);
  if (!shape_check(m, n, s)) return false;
  bool same = s->rank >= v->width && s->free == v->shape.free;
  for (int k = 0; k < s->rank && same; k++) same = s->at[k] == (k < v->width ? v->shape.at[k] : 1);
  if (same) return result_alias(m, n, i, v, s);
  bool flat = s->rank == 2 && v->shape.rank == 4 && s->at[0] == v->shape.at[0];
  if (flat) return result(m, n, i, v->type, s, VIEW, arena_printf(m->a, "flatten(%s)", operand(m, v)));
  return result(m, n, i, v->type, s, AXES, arena_printf(m->a, "reshape(%s)", named(m, v)));
}

bool result_constant(Import *m, Node *n, int i, DType t, const Shape *s, const void *data) {
  Value *v = i < n->nout ? n->out[i] : NULL;
  if (!v) return true;
  v->type = t;
  v->shape = *s;
  v->width = s->rank;
  v->data = data;
  v->call = true;
  if (v->output && !m->folding) {
    Value *w = derived(m, v, s, data);
    const char *text = elements(s) == 1 ? constant_text(m, w, 0) : named(m, w);
    v->data = NULL;
    if (elements(s) == 1) return result(m, n, i, t, s, AXES, text);
    return result(m, n, i, t, s, CALL, text);
  }
  return true;
}

// {0}, {1}, ... in the pattern replaced.
const char *filled(Import *m, const char *pattern, int count, const char **operands) {
  Text t = {.arena = m->a};
  for (const char *p = pattern; *p; p++) {
    if (p[0] == '{' && p[1] >= '0' && p[1] < '0' + count && p[2] == '}')
      text_add(&t, "%s", operands[p[1] - '0']), p += 2;
    else text_add_bytes(&t, p, 1);
  }
  return t.data ? t.data : "";
}

// SPDX-License-Identifier: Apache-2.0
// Operators point by point, with ONNX's broadcasting: of whole tensors where shapes are equal, else with indices.
#include "net/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// The extents of both; false after a report, or where n must be known.
static bool broadcast_shapes(Import *m, const Node *n, Shape *to, const Value *v) {
  Shape s = v->shape;
  int rank = to->rank > s.rank ? to->rank : s.rank;
  if (to->rank != s.rank && ((to->free && to->rank < rank) || (s.free && s.rank < rank)))
    return needs_extents(m, n, v) &&
           (diag_help(refuse(m, n, "it moves the free first extent of `%s`", v->name), "`--dim=n=N` sets it"), false);
  Shape out = {.rank = rank, .free = to->free || s.free};
  for (int i = 0; i < rank; i++) {
    int ti = i - (rank - to->rank), si = i - (rank - s.rank);
    int64_t a = ti < 0 ? 1 : to->at[ti], b = si < 0 ? 1 : s.at[si];
    bool free_a = to->free && !ti, free_b = s.free && !si, one_a = a == 1 && !free_a, one_b = b == 1 && !free_b;
    if (!one_a && !one_b && (a != b || free_a != free_b)) {
      if ((free_a || free_b) && !m->pins) return m->pins = n, false;
      return refuse(m, n, "the shapes %s and %s do not go together",
                    typed_shape(m->a, v->type, to) + strlen(dtype_name(v->type)),
                    typed_shape(m->a, v->type, &s) + strlen(dtype_name(v->type))),
             false;
    }
    out.at[i] = one_a ? b : a;
  }
  *to = out;
  return true;
}

// Whether a pattern is one call: `f(..)` and nothing behind it.
static bool is_call(const char *p) {
  int depth = 0;
  while (isalnum((unsigned char)*p) || *p == '_') p++;
  if (*p != '(') return false;
  for (; *p; p++) {
    depth += (*p == '(') - (*p == ')');
    if (!depth) return !p[1];
  }
  return false;
}

static bool single(const Value *v) { return v->data && elements(&v->shape) == 1; }

bool elementwise(Import *m, Node *n, int count, Value **in, DType type, const char *pattern) {
  const char *texts[10];
  Shape s = {0};
  bool whole = !m->folding, call = is_call(pattern);
  if (count > 10) return refuse(m, n, "it has more than 10 operands"), false;
  for (int i = 0; i < count; i++)
    if (!broadcast_shapes(m, n, &s, in[i])) return false;
  int tensors = 0;
  for (int i = 0; i < count; i++) {
    tensors += !single(in[i]);
    whole = whole && (single(in[i]) || shape_same(&in[i]->shape, &s));
  }
  whole = whole && tensors;
  bool narrow = count == 1 || tensors == 1;
  int width = s.rank;
  for (int i = 0; i < count; i++) {
    if (!whole) texts[i] = broadcast_element(m, in[i], &s);
    else if (single(in[i])) texts[i] = constant_text(m, in[i], 0);
    else if (narrow) texts[i] = call ? nest_narrow(m, in[i], &width) : inside_narrow(m, in[i], &width);
    else texts[i] = operand(m, in[i]);
  }
  const char *text = filled(m, pattern, count, texts);
  return result_narrow(m, n, 0, type, &s, whole ? width : s.rank, whole ? (call ? CALL : WHOLE) : AXES, text);
}

static bool given(Import *m, const Node *n, int count) {
  for (int i = 0; i < count; i++)
    if (!input_of(n, i)) return refuse(m, n, "its input %d is left out", i), false;
  return true;
}

static bool same_types(Import *m, const Node *n, int from, int count) {
  for (int i = from + 1; i < count; i++)
    if (n->in[i]->type != n->in[from]->type)
      return refuse(m, n, "its inputs are of %s and %s", dtype_name(n->in[from]->type), dtype_name(n->in[i]->type)),
             false;
  return true;
}

bool import_unary(Import *m, Node *n) {
  return given(m, n, 1) && elementwise(m, n, 1, n->in, n->in[0]->type, n->op->text);
}

// A constant with one element a channel, beside a tensor: it is a vector along axis 1.
static bool channels_of(Import *m, Value *v, const Shape *s, Value **vector) {
  if (!v->data || s->rank < 2 || single(v) || m->folding) return false;
  int axis = v->shape.rank - s->rank + 1; // the channels' axis among its own
  if (axis < 0 || axis >= v->shape.rank) return false;
  int64_t n = v->shape.at[axis];
  if (n != s->at[1] || elements(&v->shape) != n) return false;
  Shape one = {.rank = 1, .at = {n}};
  *vector = derived(m, v, &one, v->data);
  return true;
}

bool import_add(Import *m, Node *n) {
  if (!given(m, n, 2) || !same_types(m, n, 0, 2)) return false;
  Value *bias;
  for (int i = 0; i < 2; i++) {
    Value *x = n->in[1 - i];
    if (!channels_of(m, n->in[i], &x->shape, &bias)) continue;
    const char *text = arena_printf(m->a, "bias_add(%s, %s)", nest(m, x), named(m, bias));
    return result(m, n, 0, x->type, &x->shape, CALL, text);
  }
  bool images = n->in[0]->shape.rank == 4 && n->in[1]->shape.rank == 4 && !n->in[0]->data && !n->in[1]->data;
  bool plain = images && shape_same(&n->in[0]->shape, &n->in[1]->shape);
  return elementwise(m, n, 2, n->in, n->in[0]->type, plain ? "add({0}, {1})" : "{0} + {1}");
}

bool import_binary(Import *m, Node *n) {
  return given(m, n, 2) && same_types(m, n, 0, 2) && elementwise(m, n, 2, n->in, n->in[0]->type, n->op->text);
}

bool import_compare(Import *m, Node *n) {
  return given(m, n, 2) && same_types(m, n, 0, 2) && elementwise(m, n, 2, n->in, DT_BOOL, n->op->text);
}

bool import_div(Import *m, Node *n) {
  if (!given(m, n, 2) || !same_types(m, n, 0, 2)) return false;
  DType t = n->in[0]->type;
  return elementwise(m, n, 2, n->in, t, dtype_is_float(t) ? "{0} / {1}" : "div({0}, {1})");
}

// Bounds from attributes, or, from opset 11, from inputs.
bool import_clip(Import *m, Node *n) {
  if (!given(m, n, 1)) return false;
  const char *low = NULL, *high = NULL;
  Value *in[3] = {n->in[0]};
  int count = 1;
  DType t = n->in[0]->type;
  for (int i = 1; i < 3; i++) {
    Value *v = input_of(n, i);
    const Onnx__AttributeProto *a = m->opset < 11 ? attribute(n, i == 1 ? "min" : "max") : NULL;
    const char **to = i == 1 ? &low : &high;
    Shape none = {0};
    if (a) {
      float *f = NEW(m->a, float);
      *f = a->f;
      v = value_new(m, "bound");
      *v = (Value){.name = "bound", .type = DT_F32, .shape = none, .data = f, .known = true};
      *to = constant_text(m, v, 0);
    } else if (v) {
      if (elements(&v->shape) != 1 || v->type != t)
        return refuse(m, n, "a bound is %s", typed_shape(m->a, v->type, &v->shape)), false;
      in[count] = v;
      *to = arena_printf(m->a, "{%d}", count++);
    }
  }
  bool six = low && high && count == 3 && single(in[1]) && single(in[2]) && all_equal(in[1], 0) && all_equal(in[2], 6);
  six = six || (low && high && count == 1 && !strcmp(low, "0.0") && !strcmp(high, "6.0"));
  const char *text = !low && !high ? "{0}"
                     : six         ? "relu6({0})"
                     : !low        ? arena_printf(m->a, "min({0}, %s)", high)
                     : !high       ? arena_printf(m->a, "max({0}, %s)", low)
                                   : arena_printf(m->a, "clamp({0}, %s, %s)", low, high);
  if (!low && !high) return result_same(m, n, 0, n->in[0], &n->in[0]->shape);
  return elementwise(m, n, six ? 1 : count, in, t, text);
}

bool import_cast(Import *m, Node *n) {
  DType to;
  if (!given(m, n, 1)) return false;
  int32_t type = (int32_t)attribute_int(n, "to", 0);
  if (!type_of_onnx(type, &to))
    return diag_help(refuse(m, n, "it casts to %s, which the language does not have", onnx_type_name(m->a, type)),
                     "export the model with another type"),
           false;
  DType from = n->in[0]->type;
  if (from == to) return result_same(m, n, 0, n->in[0], &n->in[0]->shape);
  const char *text = to == DT_BOOL ? "{0} != 0" : arena_printf(m->a, "%s({0})", dtype_name(to));
  return elementwise(m, n, 1, n->in, to, text);
}

// alpha as an argument of the def that the row names: `elu({0}, alpha = %s)`.
bool import_alpha(Import *m, Node *n) {
  if (!given(m, n, 1)) return false;
  const char *at = strchr(n->op->text, '%');
  double otherwise = at ? strtod(at + 1, NULL) : 0;
  float *f = NEW(m->a, float);
  *f = (float)attribute_float(n, "alpha", otherwise);
  Value v = {.type = DT_F32, .data = f};
  const char *end = at + strcspn(at, "),");
  const char *text = arena_printf(m->a, "%.*s%s%s", (int)(at - n->op->text), n->op->text, constant_text(m, &v, 0), end);
  return elementwise(m, n, 1, n->in, n->in[0]->type, text);
}

// Attributes stand in the row's text as %name=otherwise%.
bool import_numbers(Import *m, Node *n) {
  if (!given(m, n, 1)) return false;
  if (!dtype_is_float(n->in[0]->type)) return refuse(m, n, "of %s it is not known", dtype_name(n->in[0]->type)), false;
  Text t = {.arena = m->a};
  for (const char *p = n->op->text; *p; p++) {
    if (*p != '%') {
      text_add_bytes(&t, p, 1);
      continue;
    }
    size_t name = strcspn(p + 1, "=");
    float *f = NEW(m->a, float);
    *f = (float)attribute_float(n, arena_printf(m->a, "%.*s", (int)name, p + 1), strtod(p + name + 2, NULL));
    text_add(&t, "%s", constant_text(m, &(Value){.type = DT_F32, .data = f}, 0));
    p += 1 + strcspn(p + 1, "%");
  }
  return elementwise(m, n, 1, n->in, n->in[0]->type, t.data);
}

// One of floats alone.
bool import_float(Import *m, Node *n) { return import_numbers(m, n); }

// Any number of operands, by the row's text of two of them.
bool import_many(Import *m, Node *n) {
  if (n->nin < 1 || !given(m, n, n->nin) || !same_types(m, n, 0, n->nin)) return false;
  if (n->nin == 1) return result_same(m, n, 0, n->in[0], &n->in[0]->shape);
  const char *text = "{0}";
  bool mean = !strcmp(n->proto->op_type, "Mean");
  for (int i = 1; i < n->nin; i++) {
    const char *operands[] = {text, arena_printf(m->a, "{%d}", i)};
    text = filled(m, n->op->text, 2, operands);
  }
  if (mean) text = arena_printf(m->a, "(%s) / %d.0", text, n->nin);
  return elementwise(m, n, n->nin, n->in, n->in[0]->type, text);
}

bool import_pow(Import *m, Node *n) {
  if (!given(m, n, 2)) return false;
  DType t = n->in[0]->type, by = n->in[1]->type;
  if (!dtype_is_float(t)) return refuse(m, n, "of %s it is not known", dtype_name(t)), false;
  const char *text = t == by ? "pow({0}, {1})" : arena_printf(m->a, "pow({0}, %s({1}))", dtype_name(t));
  return elementwise(m, n, 2, n->in, t, text);
}

bool import_where(Import *m, Node *n) {
  if (!given(m, n, 3) || !same_types(m, n, 1, 3)) return false;
  if (n->in[0]->type != DT_BOOL) return refuse(m, n, "its condition is %s", dtype_name(n->in[0]->type)), false;
  return elementwise(m, n, 3, n->in, n->in[1]->type, "{0} ? {1} : {2}");
}

bool import_logical(Import *m, Node *n) {
  if (!given(m, n, n->nin) || !same_types(m, n, 0, n->nin)) return false;
  if (n->in[0]->type != DT_BOOL) return refuse(m, n, "its operands are %s", dtype_name(n->in[0]->type)), false;
  return elementwise(m, n, n->nin, n->in, DT_BOOL, n->op->text);
}

// Of integers: by `fmod` the sign of the dividend, else of the divisor.
bool import_mod(Import *m, Node *n) {
  if (!given(m, n, 2) || !same_types(m, n, 0, 2)) return false;
  if (!dtype_is_int(n->in[0]->type)) return refuse(m, n, "of %s it is not known", dtype_name(n->in[0]->type)), false;
  return elementwise(m, n, 2, n->in, n->in[0]->type, attribute_int(n, "fmod", 0) ? "rem({0}, {1})" : "{0} % {1}");
}

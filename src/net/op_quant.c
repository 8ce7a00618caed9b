// SPDX-License-Identifier: Apache-2.0
// Quantised tensors: integers with a scale and a zero point, of the whole or of each channel.
#include "net/internal.h"

#include <string.h>

// Scale and zero point as text: a literal where there is one, else an element a channel. `axis`: of the channels.
typedef struct Scale {
  const char *scale, *zero;
  bool channels; // they are indexed
  DType type;    // of the integers
} Scale;

static bool given(Import *m, const Node *n, int count) {
  for (int i = 0; i < count; i++)
    if (!input_of(n, i)) return refuse(m, n, "its input %d is left out", i), false;
  return true;
}

static bool read_scale(Import *m, const Node *n, const Shape *x, Value *scale, Value *zero, Scale *out) {
  int64_t axis = attribute_int(n, "axis", 1);
  if (scale->type != DT_F32)
    return refuse(m, n, "its scale is %s", typed_shape(m->a, scale->type, &scale->shape)), false;
  if (zero && !(elements(&zero->shape) == elements(&scale->shape)))
    return refuse(m, n, "its scale and its zero point have different shapes"), false;
  *out = (Scale){.type = zero ? zero->type : DT_U8, .zero = "0"};
  bool one = elements(&scale->shape) == 1;
  if (one) {
    out->scale = scale->data ? constant_text(m, scale, 0) : broadcast_element(m, scale, x);
    if (zero)
      out->zero =
          zero->data ? constant_text(m, zero, 0) : arena_printf(m->a, "int32(%s)", broadcast_element(m, zero, x));
    return true;
  }
  if (axis < -x->rank || axis >= x->rank)
    return refuse(m, n, "its axis is %lld, of %d axes", (long long)axis, x->rank), false;
  axis = axis < 0 ? axis + x->rank : axis;
  if (scale->shape.rank != 1 || scale->shape.at[0] != x->at[axis])
    return refuse(m, n, "its scale is %s", typed_shape(m->a, scale->type, &scale->shape)), false;
  out->channels = true;
  out->scale = element_of(m, scale, axis_name(x, (int)axis));
  if (zero && !(zero->data && all_equal(zero, 0)))
    out->zero = arena_printf(m->a, "int32(%s)", element_of(m, zero, axis_name(x, (int)axis)));
  return true;
}

static const char *zero_argument(Import *m, const Scale *s) {
  return strcmp(s->zero, "0") ? arena_printf(m->a, ", zero = %s", s->zero) : "";
}

bool import_quantize(Import *m, Node *n) {
  Scale s;
  if (!given(m, n, 2)) return false;
  Value *x = n->in[0];
  if (x->type != DT_F32) return refuse(m, n, "its data is %s", typed_shape(m->a, x->type, &x->shape)), false;
  if (!read_scale(m, n, &x->shape, n->in[1], input_of(n, 2), &s)) return false;
  if (s.type != DT_I8 && s.type != DT_U8)
    return refuse(m, n, "it makes %s; int8 and uint8 are known", dtype_name(s.type)), false;
  const char *name = s.type == DT_I8 ? "quantise" : "quantise_unsigned";
  bool whole = !s.channels && n->in[1]->data && (!input_of(n, 2) || n->in[2]->data) && !m->folding;
  int width = x->shape.rank;
  if (whole) {
    const char *data = nest_narrow(m, x, &width);
    const char *text = arena_printf(m->a, "%s(%s, scale = %s%s)", name, data, s.scale, zero_argument(m, &s));
    return result_narrow(m, n, 0, s.type, &x->shape, width, CALL, text);
  }
  bool byte = s.type == DT_I8;
  const char *text =
      arena_printf(m->a, "%s(clamp(rint(%s / %s) + float32(%s), %s))", dtype_name(s.type),
                   element_of(m, x, indices_text(m, &x->shape)), s.scale, s.zero, byte ? "-128, 127" : "0, 255");
  return result(m, n, 0, s.type, &x->shape, AXES, text);
}

bool import_dequantize(Import *m, Node *n) {
  Scale s;
  if (!given(m, n, 2)) return false;
  Value *x = n->in[0];
  if (!read_scale(m, n, &x->shape, n->in[1], input_of(n, 2), &s)) return false;
  if (input_of(n, 2) && s.type != x->type)
    return refuse(m, n, "its data and its zero point are of %s and %s", dtype_name(x->type), dtype_name(s.type)), false;
  if (x->type != DT_I8 && x->type != DT_U8 && x->type != DT_I32)
    return refuse(m, n, "its data is %s", typed_shape(m->a, x->type, &x->shape)), false;
  bool whole = !s.channels && n->in[1]->data && (!input_of(n, 2) || n->in[2]->data) && !m->folding;
  int width = x->shape.rank;
  if (whole) {
    const char *data = nest_narrow(m, x, &width);
    const char *text = arena_printf(m->a, "dequantise(%s, scale = %s%s)", data, s.scale, zero_argument(m, &s));
    return result_narrow(m, n, 0, DT_F32, &x->shape, width, CALL, text);
  }
  const char *text =
      arena_printf(m->a, "float32(int32(%s) - %s) * %s", element_of(m, x, indices_text(m, &x->shape)), s.zero, s.scale);
  return result(m, n, 0, DT_F32, &x->shape, AXES, text);
}

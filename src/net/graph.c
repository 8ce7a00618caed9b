// SPDX-License-Identifier: Apache-2.0
// The model's graph as nodes on values, with what is wrong with it found; and the listing, a line a node, that messages
// point to.
#include "net/internal.h"

#include <string.h>

static const struct {
  DType type;
  int bytes; // of an element in raw_data; 0: the language has no such type
  const char *name;
} types[] = {[1] = {DT_F32, 4, "float32"},  [2] = {DT_U8, 1, "uint8"},      [3] = {DT_I8, 1, "int8"},
             [4] = {DT_U16, 2, "uint16"},   [5] = {DT_I16, 2, "int16"},     [6] = {DT_I32, 4, "int32"},
             [7] = {DT_I64, 8, "int64"},    [8] = {DT_I8, 0, "string"},     [9] = {DT_BOOL, 1, "bool"},
             [10] = {DT_F16, 2, "float16"}, [11] = {DT_F64, 8, "float64"},  [12] = {DT_U32, 4, "uint32"},
             [13] = {DT_U64, 8, "uint64"},  [14] = {DT_I8, 0, "complex64"}, [15] = {DT_I8, 0, "complex128"},
             [16] = {DT_I8, 0, "bfloat16"}};
enum { TYPE_COUNT = sizeof types / sizeof *types };

bool type_of_onnx(int32_t type, DType *out) {
  if (type < 1 || type >= TYPE_COUNT || !types[type].bytes) return false;
  *out = types[type].type;
  return true;
}

const char *onnx_type_name(Arena *a, int32_t type) {
  return type >= 1 && type < TYPE_COUNT ? types[type].name : arena_printf(a, "the type %d", (int)type);
}

// ---- the listing ---------------------------------------------------------------------------------------------------

static void list_ints(Text *t, size_t n, const int64_t *v) {
  text_add(t, "[");
  for (size_t i = 0; i < n && i < 8; i++) text_add(t, "%s%lld", i ? ", " : "", (long long)v[i]);
  text_add(t, n > 8 ? ", ..]" : "]");
}

// A name as it may stand in a line of text.
static void list_name(Text *t, const char *name, size_t len) {
  for (size_t i = 0; i < len && i < 80; i++) text_add(t, "%c", name[i] >= 32 && name[i] < 127 ? name[i] : '?');
}

static void list_attribute(Text *t, const Onnx__AttributeProto *a) {
  list_name(t, a->name, strlen(a->name));
  text_add(t, " = ");
  switch (a->type) {
  case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT: text_add(t, "%g", (double)a->f); break;
  case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: text_add(t, "%lld", (long long)a->i); break;
  case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING: list_name(t, (char *)a->s.data, a->s.len); break;
  case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS: list_ints(t, a->n_ints, a->ints); break;
  default: text_add(t, "..");
  }
}

static void list_node(Text *t, const Onnx__NodeProto *p) {
  if (*p->name) list_name(t, p->name, strlen(p->name)), text_add(t, ": ");
  for (size_t i = 0; i < p->n_output; i++) text_add(t, i ? ", " : ""), list_name(t, p->output[i], strlen(p->output[i]));
  text_add(t, " = ");
  list_name(t, p->op_type, strlen(p->op_type));
  text_add(t, "(");
  for (size_t i = 0; i < p->n_input; i++) text_add(t, i ? ", " : ""), list_name(t, p->input[i], strlen(p->input[i]));
  text_add(t, ")");
  for (size_t i = 0; i < p->n_attribute; i++) text_add(t, i ? ", " : " {"), list_attribute(t, p->attribute[i]);
  text_add(t, p->n_attribute ? "}\n" : "\n");
}

void graph_list(Import *m) {
  const Onnx__GraphProto *g = m->model->graph;
  Text t = {.arena = m->a};
  for (size_t i = 0; i < g->n_node; i++) list_node(&t, g->node[i]);
  m->listing = source_new(m->a, m->options->path, t.data, t.len);
}

static Loc line_of(const Import *m, size_t node) {
  const Source *s = m->listing;
  size_t end = node + 1 < s->nlines ? s->line_start[node + 1] - 1 : s->len;
  uint32_t line = (uint32_t)node + 1, width = (uint32_t)(end - s->line_start[node]);
  return (Loc){.src = s, .line = line, .col = 1, .end_line = line, .end_col = 1 + width};
}

// ---- constants -----------------------------------------------------------------------------------------------------

static Diag *bad_tensor(Import *m, Loc at, const char *what, const char *why) {
  Diag *g = diag_report(m->cx->diags, E_MODEL, at, "%s cannot be used: %s", what, why);
  diag_help(g, "export the model again, with its weights inside the file or beside it");
  return g;
}

// Elements that stand in fields of their own, one a number.
static const void *typed_data(Import *m, const Onnx__TensorProto *t, DType type, size_t n) {
  size_t have = type == DT_F32                     ? t->n_float_data
                : type == DT_F64                   ? t->n_double_data
                : type == DT_I64                   ? t->n_int64_data
                : type == DT_U32 || type == DT_U64 ? t->n_uint64_data
                                                   : t->n_int32_data;
  if (have != n) return NULL;
  if (type == DT_F32) return t->float_data;
  if (type == DT_F64) return t->double_data;
  if (type == DT_I64) return t->int64_data;
  if (type == DT_U64) return t->uint64_data;
  if (type == DT_I32) return t->int32_data;
  uint8_t *to = arena_array(m->a, n, (size_t)dtype_bytes(type));
  for (size_t i = 0; i < n; i++) {
    uint64_t bits = type == DT_U32 ? t->uint64_data[i] : (uint64_t)t->int32_data[i]; // of a float16, its bits
    memcpy(to + i * (size_t)dtype_bytes(type), &bits, (size_t)dtype_bytes(type));
  }
  return to;
}

// External data: a file beside the model, and no other.
static const void *external_data(Import *m, const Onnx__TensorProto *t, Loc at, const char *what, size_t bytes) {
  const char *place = NULL, *offset = "0", *slash = strrchr(m->options->path, '/');
  for (size_t i = 0; i < t->n_external_data; i++) {
    const Onnx__StringStringEntryProto *e = t->external_data[i];
    if (!strcmp(e->key, "location")) place = e->value;
    if (!strcmp(e->key, "offset")) offset = e->value;
  }
  if (!place || !*place || strchr(place, '/') || strchr(place, '\\') || !strcmp(place, ".."))
    return bad_tensor(m, at, what, "its data is in another file, which does not stand beside the model"), NULL;
  unsigned long long from = 0;
  if (strspn(offset, "0123456789") != strlen(offset) || strlen(offset) > 18 || sscanf(offset, "%llu", &from) != 1)
    return bad_tensor(m, at, what, "the offset of its data is no number"), NULL;
  const char *path =
      arena_printf(m->a, "%.*s%s", slash ? (int)(slash - m->options->path + 1) : 0, m->options->path, place);
  FILE *f = fopen(path, "rb");
  uint8_t *data = arena_alloc(m->a, bytes + 1);
  bool good = f && !fseeko(f, (off_t)from, SEEK_SET) && fread(data, 1, bytes, f) == bytes;
  if (f) fclose(f);
  if (good) return data;
  diag_note(bad_tensor(m, at, what, "the file with its data cannot be read, or is too short"), "it should be in `%s`",
            path);
  return NULL;
}

static bool tensor_shape(const Onnx__TensorProto *t, Shape *s) {
  *s = (Shape){.rank = (int)t->n_dims};
  if (t->n_dims > MAX_RANK) return false;
  int64_t n = 1;
  for (size_t i = 0; i < t->n_dims; i++) {
    s->at[i] = t->dims[i];
    if (s->at[i] < 0 || !mul_ok(n, s->at[i], &n) || n >= (int64_t)1 << 40) return false;
  }
  return true;
}

bool tensor_read(Import *m, const Onnx__TensorProto *t, Loc at, const char *what, Value *v) {
  if (!type_of_onnx(t->data_type, &v->type))
    return bad_tensor(m, at, what, arena_printf(m->a, "it is of %s", onnx_type_name(m->a, t->data_type))), false;
  if (!tensor_shape(t, &v->shape)) return bad_tensor(m, at, what, "its shape is not a possible one"), false;
  size_t n = (size_t)elements(&v->shape), bytes = n * (size_t)dtype_bytes(v->type);
  v->width = v->shape.rank;
  v->known = true;
  bool outside = t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  if (outside) v->data = external_data(m, t, at, what, bytes);
  else if (t->has_raw_data || !n)
    v->data = t->raw_data.len == bytes ? (n ? (void *)t->raw_data.data : (void *)"") : NULL;
  else v->data = typed_data(m, t, v->type, n);
  if (v->data || outside) return v->data != NULL;
  bad_tensor(m, at, what, arena_printf(m->a, "its data is not that of %s", typed_shape(m->a, v->type, &v->shape)));
  return false;
}

// ---- values and nodes ----------------------------------------------------------------------------------------------

Value *value_new(Import *m, const char *name) {
  Value *v = NEW(m->a, Value);
  v->name = name;
  return v;
}

static Value *value_named(Import *m, const char *name) {
  Name key = name_of(m->cx->names, name);
  Value *v = ptrmap_find(&m->values, key);
  if (!v) ptrmap_set(m->a, &m->values, key, v = value_new(m, key));
  return v;
}

static bool read_initializers(Import *m) {
  const Onnx__GraphProto *g = m->model->graph;
  bool ok = true;
  if (g->n_sparse_initializer)
    return bad_tensor(m, (Loc){0}, arena_printf(m->a, "a sparse initializer of `%s`", m->options->path),
                      "sparse tensors are not known"),
           false;
  for (size_t i = 0; i < g->n_initializer; i++) {
    const Onnx__TensorProto *t = g->initializer[i];
    Value *v = value_named(m, t->name);
    ok &= tensor_read(m, t, (Loc){0}, arena_printf(m->a, "the constant `%s` of `%s`", t->name, m->options->path), v);
  }
  return ok;
}

// --dim's extent for a free one; 0: it says nothing.
static int64_t dim_given(const Import *m, const char *name) {
  for (int i = 0; i < m->options->ndims; i++) {
    if (strcmp(m->options->dims[i].name, name) != 0) continue;
    m->dims_used[i] = true;
    return m->options->dims[i].extent;
  }
  return 0;
}

// A --dim that no input asked for would be a slip.
static bool dims_used(const Import *m) {
  for (int i = 0; i < m->options->ndims; i++) {
    if (m->dims_used[i]) continue;
    Diag *g = diag_report(m->cx->diags, E_MODEL, (Loc){0}, "no input of `%s` has a free extent `%s`", m->options->path,
                          m->options->dims[i].name);
    if (m->free_input) diag_help(g, "that of `%s` is `%s`: `--dim=%s=N`", m->free_input, m->free_name, m->free_name);
    else diag_help(g, "drop `--dim=%s`", m->options->dims[i].name);
    return false;
  }
  return true;
}

static bool input_extent(Import *m, const Onnx__ValueInfoProto *info, size_t axis, Shape *s) {
  const Onnx__TensorShapeProto__Dimension *d = info->type->tensor_type->shape->dim[axis];
  bool fixed = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
  bool has_name = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && *d->dim_param;
  const char *name = has_name ? d->dim_param : arena_printf(m->a, "%s.%zu", info->name, axis);
  if (fixed && d->dim_value > 0) return s->at[axis] = d->dim_value, true;
  if ((s->at[axis] = dim_given(m, name))) return true;
  if (!axis && (s->at[0] = dim_given(m, "n"))) return true;
  s->at[axis] = 1;
  if (!axis) {
    s->free = !m->pins;
    m->free_input = info->name;
    m->free_name = has_name ? name : "n";
    return true;
  }
  Diag *g = diag_report(m->cx->diags, E_MODEL, (Loc){0}, "axis %zu of the input `%s` of `%s` has no extent", axis,
                        info->name, m->options->path);
  diag_help(g, "`--dim=%s=N` gives it one", name);
  return false;
}

static bool read_input(Import *m, const Onnx__ValueInfoProto *info) {
  Value *v = value_named(m, info->name);
  if (v->data) return true; // a constant with a name among the inputs, as old models have them
  const Onnx__TypeProto__Tensor *t =
      info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? info->type->tensor_type : NULL;
  Loc no = {0};
  const char *what = arena_printf(m->a, "the input `%s` of `%s`", info->name, m->options->path);
  if (!t || !t->shape) return diag_report(m->cx->diags, E_MODEL, no, "%s is no tensor of a known rank", what), false;
  if (v->known) return diag_report(m->cx->diags, E_MODEL, no, "%s is there twice", what), false;
  if (!type_of_onnx(t->elem_type, &v->type))
    return diag_report(m->cx->diags, E_MODEL, no, "%s is of %s", what, onnx_type_name(m->a, t->elem_type)), false;
  v->shape.rank = v->width = (int)t->shape->n_dim;
  if (t->shape->n_dim > MAX_RANK)
    return diag_report(m->cx->diags, E_MODEL, no, "%s has more than %d axes", what, MAX_RANK), false;
  bool ok = true;
  for (size_t i = 0; i < t->shape->n_dim; i++) ok &= input_extent(m, info, i, &v->shape);
  v->known = v->input = v->call = true;
  VEC_PUSH(m->a, m->inputs, v);
  return ok && shape_check(m, NULL, &v->shape);
}

static bool read_node(Import *m, const Onnx__NodeProto *p, size_t index) {
  Node n = {.proto = p, .loc = line_of(m, index), .nin = (int)p->n_input, .nout = (int)p->n_output};
  n.in = NEW_ARRAY(m->a, Value *, n.nin + 1);
  n.out = NEW_ARRAY(m->a, Value *, n.nout + 1);
  for (int i = 0; i < n.nin; i++) {
    if (!*p->input[i]) continue;
    Value *v = n.in[i] = value_named(m, p->input[i]);
    if (!v->known) return refuse(m, &n, "`%s` is not there where it is read", v->name), false;
    v->uses++;
  }
  for (int i = 0; i < n.nout; i++) {
    if (!*p->output[i]) continue;
    Value *v = n.out[i] = value_named(m, p->output[i]);
    if (v->known) return refuse(m, &n, "`%s` is there twice", v->name), false;
    v->known = true; // from here on; its type and shape come with its node
  }
  VEC_PUSH(m->a, m->nodes, n);
  return true;
}

bool graph_build(Import *m) {
  const Onnx__GraphProto *g = m->model->graph;
  bool ok = read_initializers(m);
  for (size_t i = 0; i < g->n_input; i++) ok &= read_input(m, g->input[i]);
  ok = ok && dims_used(m);
  for (size_t i = 0; i < g->n_node && ok; i++) ok = read_node(m, g->node[i], i);
  for (size_t i = 0; i < g->n_output && ok; i++) {
    Value *v = value_named(m, g->output[i]->name);
    if (!v->known) {
      diag_report(m->cx->diags, E_MODEL, (Loc){0}, "no node of `%s` gives the output `%s`", m->options->path, v->name);
      return false;
    }
    if (v->output) continue;
    v->output = true;
    VEC_PUSH(m->a, m->outputs, v);
  }
  return ok;
}

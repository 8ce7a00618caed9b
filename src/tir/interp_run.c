// SPDX-License-Identifier: Apache-2.0
// Executes what interp.c compiled: one loop over instructions.
#include <inttypes.h>
#include <string.h>

#include "tir/interp.h"

static inline int64_t narrow(DType t, int64_t v) {
  switch (t) {
  case DT_I8: return (int8_t)v;
  case DT_I16: return (int16_t)v;
  case DT_I32: return (int32_t)v;
  case DT_U8: return (uint8_t)v;
  case DT_U16: return (uint16_t)v;
  case DT_U32: return (uint32_t)v;
  case DT_BOOL:
  case DT_I64:
  case DT_U64:
  case DT_F16:
  case DT_F32:
  case DT_F64:
  case DT_COUNT: break;
  }
  return v;
}

// Integer operators on values that are in range of their type, before they are narrowed to it. uint64 has its own way
// where that matters.
static inline int64_t int_ADD(int64_t a, int64_t b, DType t) { return (void)t, (int64_t)((uint64_t)a + (uint64_t)b); }
static inline int64_t int_SUB(int64_t a, int64_t b, DType t) { return (void)t, (int64_t)((uint64_t)a - (uint64_t)b); }
static inline int64_t int_MUL(int64_t a, int64_t b, DType t) { return (void)t, (int64_t)((uint64_t)a * (uint64_t)b); }
static inline int64_t int_DIV(int64_t a, int64_t b, DType t) { return (void)t, b ? floor_div(a, b) : 0; }
static inline int64_t int_MOD(int64_t a, int64_t b, DType t) { return (void)t, b ? floor_mod(a, b) : 0; }
static inline int64_t int_MIN(int64_t a, int64_t b, DType t) { return (void)t, b < a ? b : a; }
static inline int64_t int_MAX(int64_t a, int64_t b, DType t) { return (void)t, b > a ? b : a; }
static inline int64_t int_SHL(int64_t a, int64_t b, DType t) {
  return (int64_t)((uint64_t)a << (b & (dtype_bits(t) - 1)));
}
static inline int64_t int_SHR(int64_t a, int64_t b, DType t) { return a >> (b & (dtype_bits(t) - 1)); }
static inline int64_t int_AND(int64_t a, int64_t b, DType t) { return (void)t, a & b; }
static inline int64_t int_XOR(int64_t a, int64_t b, DType t) { return (void)t, a ^ b; }
static inline int64_t int_OR(int64_t a, int64_t b, DType t) { return (void)t, a | b; }
#define CMP_LT <
#define CMP_LE <=
#define CMP_GT >
#define CMP_GE >=
#define CMP_EQ ==
#define CMP_NE !=
static inline double float_ADD(double a, double b) { return a + b; }
static inline double float_SUB(double a, double b) { return a - b; }
static inline double float_MUL(double a, double b) { return a * b; }
static inline double float_DIV(double a, double b) { return a / b; }
static inline double float_MIN(double a, double b) { return b < a ? b : a; }
static inline double float_MAX(double a, double b) { return b > a ? b : a; }

// The arguments' values of this execution.
static void fill_args(Call *c, const Scalar *r) {
  for (int i = 0; i < c->stmt->nargs; i++) c->args[i].value = r[c->regs[i]].i;
}

// Tells the machine of an intrinsic. False: a fault, or (enter) that the body is to be skipped.
static bool call_machine(const TirMachine *m, TirMachineFn *fn, Call *c, const Scalar *r, TirFault *fault) {
  if (!m || !fn) return true;
  fill_args(c, r);
  return fn(m->self, c->stmt, c->args, fault);
}

static bool index_error(Interp *in, const Ins *i, int64_t v, TirFault *fault) {
  fault->text = arena_printf(in->cx->arena, "index %" PRId64 " is outside a dimension of %" PRId64, v, i->z);
  return false;
}

// The thread that `from` is in goes on there at its next turn; whose turn it is now, and where. Threads within a thread
// take one turn of it together.
static const Ins *weave_turn(Weave *w, const Ins *from) {
  for (; w; w = w->outer) {
    w->next[w->now] = from;
    do w->now = (w->now + 1) % w->n;
    while (!w->next[w->now]);
    from = w->next[w->now];
  }
  return from;
}

// All threads start with the first.
static const Ins *weave_begin(Weave *w, const Ins *at) {
  for (int t = 0; t < w->n; t++) w->next[t] = at + w->starts[t];
  w->now = 0;
  w->live = w->n;
  return w->next[0];
}

// The thread whose turn it is is done.
static const Ins *weave_end(Weave *w, const Ins *after_all) {
  w->next[w->now] = NULL;
  if (!--w->live) return after_all;
  while (!w->next[w->now]) w->now = (w->now + 1) % w->n;
  return w->next[w->now];
}

bool interp_run(Interp *in, Scalar *r, TirFault *fault) {
  const Ins *code = in->block->code.data, *i = code;
  const TirMachine *m = in->machine;
  // A fault without a statement named is one of the instruction's.
#define FAULT_HERE(f) (fault->at = in->block->where.data[i - code], f)
#define NEXT \
  { \
    i++; \
    break; \
  }
  for (;;) {
    switch ((Code)i->code) {
#define X(op) \
  case I64_##op: \
    r[i->dst].i = int_##op(r[i->a].i, r[i->b].i, DT_I64); \
    NEXT case INT_##op : r[i->dst].i = narrow(i->type, int_##op(r[i->a].i, r[i->b].i, i->type)); \
    NEXT
      INT_OPS(X)
#undef X
#define X(op) \
  case INT_##op: \
    r[i->dst].i = r[i->a].i CMP_##op r[i->b].i; \
    NEXT case FLOAT_##op : r[i->dst].i = r[i->a].f CMP_##op r[i->b].f; \
    NEXT
      COMPARES(X)
#undef X
// A float32 operation may be done in float64 and rounded: 53 bits are more than 2 * 24 + 2.
#define X(op) \
  case F32_##op: \
    r[i->dst].f = (double)(float)float_##op(r[i->a].f, r[i->b].f); \
    NEXT case F64_##op : r[i->dst].f = float_##op(r[i->a].f, r[i->b].f); \
    NEXT
      FLOAT_OPS(X)
#undef X
#define X(id, type, member) \
  case LOAD_##id: \
    r[i->dst].member = ((const type *)i->data)[r[i->a].i]; \
    NEXT case STORE_##id : ((type *)i->data)[r[i->a].i] = (type)r[i->dst].member; \
    NEXT
      MEMORY_TYPES(X)
#undef X
    case LOAD_ANY:
      r[i->dst] = scalar_load(i->type, (const char *)i->data + r[i->a].i * dtype_bytes(i->type));
      NEXT case STORE_ANY : scalar_store(i->type, (char *)i->data + r[i->a].i * dtype_bytes(i->type), r[i->dst]);
      NEXT case BINARY_ANY : r[i->dst] = scalar_binary(i->op, i->type, r[i->a], r[i->b]);
      NEXT case UNARY_ANY : r[i->dst] = scalar_unary(i->op, i->type, r[i->a]);
      NEXT case CAST_ANY : r[i->dst] = scalar_cast(i->type, i->op, r[i->a]);
      NEXT case CAST_INT : r[i->dst].i = narrow(i->type, r[i->a].i);
      NEXT case MATH_ANY : r[i->dst] = scalar_call(i->op, i->type, (Scalar[]){r[i->a], r[i->b], r[i->x]});
      NEXT case MOVE : r[i->dst] = r[i->a];
      NEXT case ADDRESS_FIRST : r[i->dst].i = (int64_t)((uint64_t)i->x + (uint64_t)i->y * (uint64_t)r[i->b].i);
      NEXT case ADDRESS_NEXT : r[i->dst].i = (int64_t)((uint64_t)r[i->a].i + (uint64_t)i->y * (uint64_t)r[i->b].i);
      NEXT case INDEX_NEXT : {
        int64_t v = r[i->b].i;
        if ((uint64_t)v >= (uint64_t)i->z) {
          return FAULT_HERE(index_error(in, i, v, fault));
        }
        r[i->dst].i = r[i->a].i + i->y * v;
        NEXT
      }
    case JUMP: i += i->x; break;
    case JUMP_IF: i += r[i->a].i ? i->x : 1; break;
    case JUMP_UNLESS: i += r[i->a].i ? 1 : i->x; break;
    case LOOP_BEGIN: {
      int64_t n = r[i->b].i;
      r[i->dst] = r[i->a];
      r[i->dst + 1].i = n;
      i += n > 0 ? 1 : i->x;
      break;
    }
    case LOOP_NEXT:
      r[i->dst].i = (int64_t)((uint64_t)r[i->dst].i + 1);
      i += --r[i->dst + 1].i ? i->x : 1;
      break;
    case ALLOC:
      memset(i->data, i->type ? 1 : 0xa5, (size_t)i->x);
      NEXT case CALL : if (FAULT_HERE(call_machine(m, m->run, i->call, r, fault))) NEXT return false;
    case ENTER:
      if (FAULT_HERE(call_machine(m, m ? m->enter : NULL, i->call, r, fault))) NEXT if (fault->text) return false;
      i += i->x; // skip the body
      break;
    case LEAVE:
      if (FAULT_HERE(call_machine(m, m ? m->leave : NULL, i->call, r, fault))) NEXT return false;
    case WEAVE_BEGIN: i = weave_begin(i->weave, i); break;
    case WEAVE_TURN: i = weave_turn(i->weave, i + 1); break;
    case WEAVE_END: i = weave_end(i->weave, i + i->x); break;
    case FAULT: return FAULT_HERE((fault->text = i->text, false));
    case HALT: return fault->at = NULL, !m || !m->finish || m->finish(m->self, fault);
    }
  }
#undef FAULT_HERE
#undef NEXT
}

// SPDX-License-Identifier: Apache-2.0
// Statements. Loops are emitted in their rotated form (test at the end), so that no pass has to turn them.
#include "backend_llvm/internal.h"

#include <llvm-c/DebugInfo.h>
#include <string.h>

// ---- loops ----------------------------------------------------------------------------------------------------------

// `!{self, !{hint}}` on the back edge.
static void attach_hint(Gen *g, LLVMValueRef br, const char *hint) {
  size_t n = strlen(hint);
  LLVMMetadataRef text = LLVMMDStringInContext2(g->c, hint, n);
  LLVMMetadataRef self = LLVMTemporaryMDNode(g->c, NULL, 0);
  LLVMMetadataRef node[2] = {self, LLVMMDNodeInContext2(g->c, &text, 1)};
  LLVMMetadataRef loop = LLVMMDNodeInContext2(g->c, node, 2);
  LLVMMetadataReplaceAllUsesWith(self, loop);
  LLVMSetMetadata(br, g->md_loop, LLVMMetadataAsValue(g->c, loop));
}

void gen_loop(Gen *g, LLVMValueRef from, LLVMValueRef to, int64_t step, const char *hint, LoopBody *body, void *self) {
  LLVMBasicBlockRef before = LLVMGetInsertBlock(g->b), loop = gen_block(g, "loop");
  LLVMBuildBr(g->b, loop);
  gen_at(g, loop);
  LLVMValueRef i = LLVMBuildPhi(g->b, LLVMTypeOf(from), "i");
  body(g, self, i);
  LLVMValueRef next = LLVMBuildNSWAdd(g->b, i, LLVMConstInt(LLVMTypeOf(from), (uint64_t)step, false), "");
  LLVMBasicBlockRef after = gen_block(g, "after"), latch = LLVMGetInsertBlock(g->b);
  LLVMValueRef br = LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, next, to, ""), loop, after);
  if (hint) attach_hint(g, br, hint);
  LLVMValueRef in[2] = {from, next};
  LLVMBasicBlockRef blocks[2] = {before, latch};
  LLVMAddIncoming(i, in, blocks, 2);
  gen_at(g, after);
}

bool gen_loop_bounds(Gen *g, const Stmt *s, int64_t *lo, int64_t *hi) {
  int64_t least, most;
  return expr_bounds(&g->ranges, s->min, lo, hi) && expr_bounds(&g->ranges, s->extent, &least, &most) && most >= 1 &&
         *hi < INT64_MAX - most && add_ok(*hi, most - 1, hi);
}

// With its range, around its body.
void gen_iteration(Gen *g, const Stmt *s, LLVMValueRef at) {
  Place *p = place_of(&g->places, s->var), saved = *p;
  int64_t lo, hi;
  p->value = at;
  p->count = 0;
  if (!gen_loop_bounds(g, s, &lo, &hi)) lo = INT64_MIN, hi = INT64_MAX;
  else if (!__builtin_sub_overflow(hi, lo, &p->count) && add_ok(p->count, 1, &p->count)) p->min = lo;
  else p->count = 0;
  ranges_push(g->cx, &g->ranges, s->var, lo, hi);
  gen_stmt(g, s->body);
  ranges_pop(&g->ranges);
  *p = saved;
}

typedef struct Loop {
  const Stmt *s;
  LLVMValueRef base; // what to add to the counter; NULL: nothing
} Loop;

static void for_body(Gen *g, void *self, LLVMValueRef i) {
  const Loop *l = self;
  gen_iteration(g, l->s, l->base ? LLVMBuildAdd(g->b, l->base, i, "") : i);
}

// Counts from the loop's min, or, where that could wrap, from 0.
static void gen_serial_for(Gen *g, const Stmt *s) {
  int64_t extent, lo, hi;
  bool known = expr_is_int(s->extent, &extent);
  if (known && extent <= 0) return;
  Loop l = {.s = s};
  LLVMValueRef from = gen_expr(g, s->min), to = gen_expr(g, s->extent);
  if (gen_loop_bounds(g, s, &lo, &hi)) to = LLVMBuildAdd(g->b, from, to, "");
  else l.base = from, from = gen_i64(g, 0);
  LLVMBasicBlockRef skip = NULL;
  if (!known) {
    LLVMBasicBlockRef enter = gen_block(g, "enter");
    skip = gen_block(g, "skip");
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, from, to, ""), enter, skip);
    gen_at(g, enter);
  }
  gen_loop(g, from, to, 1, s->for_kind == FOR_UNROLLED ? "llvm.loop.unroll.full" : NULL, for_body, &l);
  if (!skip) return;
  LLVMBuildBr(g->b, skip);
  gen_at(g, skip);
}

// ---- parallel loops -------------------------------------------------------------------------------------------------

static bool note_intrin(void *self, const Stmt *s) {
  *(bool *)self |= s->kind == STMT_INTRIN;
  return !*(bool *)self;
}

// VTA calls belong to one thread, and a region inside a region would run on one thread anyway.
bool gen_is_outlined(Gen *g, const Stmt *s) {
  bool intrin = false;
  int64_t lo, hi;
  if (s->kind != STMT_FOR || s->for_kind != FOR_PARALLEL || g->frame->outlined) return false;
  if (!gen_loop_bounds(g, s, &lo, &hi)) return false;
  stmt_visit(s->body, note_intrin, NULL, &intrin);
  return !intrin;
}

// What the body of a parallel loop uses of the function around it.
typedef struct Captures {
  Gen *g;
  VEC(Place *) places;
  Places seen;
} Captures;

static void capture(Captures *c, const void *key) {
  Place *p = place_of(&c->g->places, key), *seen = place_of(&c->seen, key);
  if (!p->value || seen->value) return; // a NULL value: bound inside
  seen->value = p->value;
  VEC_PUSH(c->g->cx->arena, c->places, p);
}

static bool capture_stmt(void *self, const Stmt *s) {
  if (s->kind == STMT_STORE) capture(self, s->buffer);
  return true;
}

static bool capture_expr(void *self, const Expr *e) {
  if (e->kind == EXPR_VAR) capture(self, e->var);
  if (e->kind == EXPR_LOAD) capture(self, e->buffer);
  return true;
}

// A part's share of from..to: chunks of equal size, the first `rest` of them one longer.
static void part_range(Gen *g, LLVMValueRef part, LLVMValueRef *from, LLVMValueRef *to) {
  LLVMValueRef n = gen_part_count(g, part), id = gen_part_index(g, part);
  LLVMValueRef all = LLVMBuildSub(g->b, *to, *from, "");
  LLVMValueRef chunk = LLVMBuildUDiv(g->b, all, n, ""), rest = LLVMBuildURem(g->b, all, n, "");
  LLVMValueRef longer = LLVMBuildICmp(g->b, LLVMIntULT, id, rest, "");
  LLVMValueRef before = LLVMBuildSelect(g->b, longer, id, rest, "");
  LLVMValueRef lo = LLVMBuildAdd(g->b, *from, LLVMBuildAdd(g->b, LLVMBuildMul(g->b, id, chunk, ""), before, ""), "");
  LLVMValueRef len = LLVMBuildAdd(g->b, chunk, LLVMBuildZExt(g->b, longer, g->i64, ""), "");
  *from = lo;
  *to = LLVMBuildAdd(g->b, lo, len, "");
}

// One i64 or pointer of the block handed to the threads; every field takes 8 bytes.
static LLVMValueRef field(Gen *g, LLVMValueRef block, unsigned i) {
  LLVMValueRef at = gen_i64(g, (int64_t)i);
  return LLVMBuildInBoundsGEP2(g->b, g->i64, block, &at, 1, "");
}

static LLVMValueRef read_field(Gen *g, LLVMTypeRef t, LLVMValueRef block, unsigned i) {
  LLVMValueRef v = LLVMBuildLoad2(g->b, t, field(g, block, i), "");
  LLVMSetAlignment(v, 8);
  return v;
}

static void write_field(Gen *g, LLVMValueRef v, LLVMValueRef block, unsigned i) {
  LLVMSetAlignment(LLVMBuildStore(g->b, v, field(g, block, i)), 8);
}

// void *NAME.parN(void *part): the part's block holds from, to, status, then the captures.
static void gen_thread_function(Gen *g, const Stmt *s, LLVMValueRef fn, Captures *c) {
  Frame frame = {.fn = fn, .outlined = true}, *outer = g->frame;
  g->frame = &frame;
  frame.allocas = gen_block(g, "entry");
  LLVMBasicBlockRef start = gen_block(g, "start");
  frame.cleanup = gen_block(g, "cleanup");
  gen_at(g, start);
  LLVMValueRef part = LLVMGetParam(fn, 0), block = gen_part_block(g, part);
  LLVMValueRef from = read_field(g, g->i64, block, 0), to = read_field(g, g->i64, block, 1);
  frame.status = read_field(g, g->ptr, block, 2);
  LLVMValueRef *saved = NEW_ARRAY(g->cx->arena, LLVMValueRef, c->places.len + 1);
  for (size_t i = 0; i < c->places.len; i++) {
    saved[i] = c->places.data[i]->value;
    c->places.data[i]->value = read_field(g, LLVMTypeOf(saved[i]), block, 3 + (unsigned)i);
  }
  part_range(g, part, &from, &to);
  LLVMBasicBlockRef work = gen_block(g, "work");
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, from, to, ""), work, frame.cleanup);
  // Memory is taken after the test, but freed on every way out: frame_release looks at what was taken.
  gen_at(g, work);
  FrameMemory *fm = frame_allocate(g, s->body);
  Loop l = {.s = s};
  gen_loop(g, from, to, 1, NULL, for_body, &l);
  LLVMBuildBr(g->b, frame.cleanup);
  gen_at(g, frame.cleanup);
  frame_release(g, fm);
  LLVMBuildRet(g->b, LLVMConstNull(g->ptr));
  gen_at(g, frame.allocas);
  LLVMBuildBr(g->b, start);
  for (size_t i = 0; i < c->places.len; i++) c->places.data[i]->value = saved[i];
  g->frame = outer;
}

static void gen_parallel_for(Gen *g, const Stmt *s) {
  Captures c = {.g = g, .seen = {.arena = g->cx->arena}};
  stmt_visit(s->body, capture_stmt, capture_expr, &c);
  LLVMValueRef from = gen_expr(g, s->min), to = LLVMBuildAdd(g->b, from, gen_expr(g, s->extent), "");
  LLVMValueRef block = gen_alloca(g, LLVMArrayType(g->i64, 3 + (unsigned)c.places.len), 8, "shared");
  write_field(g, from, block, 0);
  write_field(g, to, block, 1);
  write_field(g, g->frame->status, block, 2);
  for (size_t i = 0; i < c.places.len; i++) write_field(g, c.places.data[i]->value, block, 3 + (unsigned)i);
  const char *name = arena_printf(g->cx->arena, "%s.par%d", g->name, g->serial++);
  LLVMValueRef fn = gen_function(g, name, gen_part_type(g), false);
  LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
  gen_thread_function(g, s, fn, &c);
  gen_at(g, here);
  gen_call_parallel(g, fn, block, LLVMBuildSub(g->b, to, from, ""));
  LLVMValueRef status = LLVMBuildLoad2(g->b, g->i32, g->frame->status, "");
  LLVMValueRef memory = LLVMBuildICmp(g->b, LLVMIntEQ, status, gen_i32(g, 1), "");
  LLVMBasicBlockRef on = gen_block(g, "joined");
  LLVMBuildCondBr(g->b, memory, g->frame->cleanup, on);
  gen_at(g, on);
}

// ---- many nests -----------------------------------------------------------------------------------------------------

enum { NESTS_TOGETHER = 8 };

static int root_nests(const Stmt *s) {
  int n = 0;
  while (s->kind == STMT_ALLOC) s = s->body;
  if (s->kind == STMT_FOR) return 1;
  for (int i = 0; s->kind == STMT_SEQ && i < s->nchildren; i++) n += root_nests(s->children[i]);
  return n;
}

// LLVM takes time quadratic in the length of a function (unrolled loops make one block of many nests), so that a kernel
// of many stages has its nests compiled one by one.
bool gen_many_nests(const Stmt *s) { return root_nests(s) > NESTS_TOGETHER; }

// A nest of the CPU's at the root of a kernel of many: nothing in it needs the kernel's own frame.
static bool is_apart(Gen *g, const Stmt *s) {
  bool intrin = false;
  if (!g->apart || g->ranges.len || g->frame->outlined) return false;
  stmt_visit(s, note_intrin, NULL, &intrin);
  return !intrin;
}

static void gen_for(Gen *g, const Stmt *s) {
  if (!gen_vector_for(g, s)) gen_serial_for(g, s);
}

// void NAME.nestN(buffers..., status): an index read from data may fail in it, and a parallel loop.
static void gen_nest_apart(Gen *g, const Stmt *s) {
  Captures c = {.g = g, .seen = {.arena = g->cx->arena}};
  stmt_visit(s, capture_stmt, capture_expr, &c);
  unsigned n = (unsigned)c.places.len;
  LLVMTypeRef *types = NEW_ARRAY(g->cx->arena, LLVMTypeRef, n + 1);
  LLVMValueRef *args = NEW_ARRAY(g->cx->arena, LLVMValueRef, n + 1);
  for (unsigned i = 0; i < n; i++) {
    args[i] = c.places.data[i]->value;
    types[i] = LLVMTypeOf(args[i]);
  }
  args[n] = g->frame->status;
  types[n] = LLVMTypeOf(args[n]);
  const char *name = arena_printf(g->cx->arena, "%s.nest%d", g->name, g->serial++);
  LLVMTypeRef type = LLVMFunctionType(g->none, types, n + 1, false);
  LLVMValueRef fn = gen_function(g, name, type, false);
  gen_attribute(g, fn, (unsigned)LLVMAttributeFunctionIndex, "noinline", 0);
  for (unsigned i = 0; i < n; i++) {
    gen_attribute(g, fn, i + 1, "noalias", 0);
    c.places.data[i]->value = LLVMGetParam(fn, i);
  }
  LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
  gen_attribute(g, fn, n + 1, "noalias", 0);
  Frame frame = {.fn = fn, .status = LLVMGetParam(fn, n)}, *outer = g->frame;
  g->frame = &frame;
  frame.allocas = gen_block(g, "entry");
  LLVMBasicBlockRef start = gen_block(g, "start");
  frame.cleanup = gen_block(g, "cleanup");
  gen_at(g, start);
  gen_for(g, s);
  LLVMBuildBr(g->b, frame.cleanup);
  gen_at(g, frame.cleanup);
  LLVMBuildRetVoid(g->b);
  gen_at(g, frame.allocas);
  LLVMBuildBr(g->b, start);
  for (unsigned i = 0; i < n; i++) c.places.data[i]->value = args[i];
  g->frame = outer;
  gen_at(g, here);
  LLVMBuildCall2(g->b, type, fn, args, n + 1, "");
}

// ---- the rest -------------------------------------------------------------------------------------------------------

static void gen_if(Gen *g, const Stmt *s) {
  LLVMBasicBlockRef then = gen_block(g, "then"), join = gen_block(g, "endif");
  LLVMBasicBlockRef otherwise = s->else_body ? gen_block(g, "else") : join;
  LLVMBuildCondBr(g->b, gen_expr(g, s->cond), then, otherwise);
  gen_at(g, then);
  gen_stmt(g, s->body);
  LLVMBuildBr(g->b, join);
  if (s->else_body) {
    gen_at(g, otherwise);
    gen_stmt(g, s->else_body);
    LLVMBuildBr(g->b, join);
  }
  gen_at(g, join);
}

static void gen_intrin(Gen *g, const Stmt *s) {
  if (g->f->target) {
    gen_vta(g, s);
    return;
  }
  if (!g->failed) diag_report(g->cx->diags, E_INTERNAL, s->loc, "`%s` reached the host back end", s->intrin->name);
  g->failed = true;
}

static void lane_stmt(Gen *g, void *self, LLVMValueRef lane) {
  (void)lane;
  gen_stmt(g, self);
}

// In a loop of lanes: whether s goes another way, or another number of times, in each.
static bool lanes_part(Gen *g, const Stmt *s) {
  if (!gen_lane_count(g)) return false;
  if (s->kind == STMT_FOR) return gen_varies(g, s->min) || gen_varies(g, s->extent);
  return s->kind == STMT_IF && gen_varies(g, s->cond);
}

static void gen_node(Gen *g, const Stmt *s) {
  if (lanes_part(g, s)) {
    gen_each_lane(g, lane_stmt, (void *)s);
    return;
  }
  switch (s->kind) {
  case STMT_FOR:
    if (gen_is_outlined(g, s)) gen_parallel_for(g, s);
    else if (is_apart(g, s)) gen_nest_apart(g, s);
    else gen_for(g, s);
    return;
  case STMT_STORE:
    if (gen_lane_count(g)) gen_lanes_store(g, s);
    else gen_store_value(g, s->buffer, s->args, gen_expr(g, s->value));
    return;
  case STMT_IF: gen_if(g, s); return;
  case STMT_SEQ:
    for (int i = 0; i < s->nchildren; i++) gen_stmt(g, s->children[i]);
    return;
  case STMT_ALLOC: gen_stmt(g, s->body); return;
  case STMT_INTRIN: gen_intrin(g, s); return;
  }
}

// A kernel of many stages nests them: each is allocated inside the one before, at the end of a sequence. That chain is
// walked, not recursed into. (The memory was taken at the function's entry.)
void gen_stmt(Gen *g, const Stmt *s) {
  if (!gen_deeper(g, s->loc)) return;
  for (;;) {
    if (s->kind == STMT_ALLOC) {
      s = s->body;
    } else if (s->kind == STMT_SEQ && s->nchildren) {
      for (int i = 0; i + 1 < s->nchildren; i++) gen_stmt(g, s->children[i]);
      s = s->children[s->nchildren - 1];
    } else {
      break;
    }
  }
  gen_node(g, s);
  gen_barriers_after(g, s);
  g->depth--;
}

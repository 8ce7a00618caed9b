// SPDX-License-Identifier: Apache-2.0
// Threads for parallel loops, by the C library alone: an OpenMP runtime ends the process when it cannot start a thread.
// A function of the module's own, made when it is first wanted:
//
//   void tetc.parallel(void *fn(void *part), void *block, int64 most)   most: parts that are of use, at least 1
//     n = min(most, $OMP_NUM_THREADS if it is a positive number, else the processors that this process may run on)
//     part[i] = {block, i, n}; parts 1.. are started as threads, as far as that succeeds, the others run here
//     (the first time that it does not, a warning on stderr); all have ended when it returns
#include "backend_llvm/internal.h"

#include <string.h>

enum { MOST_THREADS = 256, PART_FIELDS = 4, CPU_SET_BYTES = 128 }; // part: block, i, n, the thread

static LLVMValueRef part_field(Gen *g, LLVMValueRef parts, LLVMValueRef i, int field) {
  LLVMValueRef at = LLVMBuildAdd(g->b, LLVMBuildMul(g->b, i, gen_i64(g, PART_FIELDS), ""), gen_i64(g, field), "");
  return LLVMBuildInBoundsGEP2(g->b, g->i64, parts, &at, 1, "");
}

static LLVMValueRef part_read(Gen *g, LLVMTypeRef t, LLVMValueRef part, int field) {
  LLVMValueRef v = LLVMBuildLoad2(g->b, t, part_field(g, part, gen_i64(g, 0), field), "");
  LLVMSetAlignment(v, 8);
  return v;
}

LLVMValueRef gen_part_block(Gen *g, LLVMValueRef part) { return part_read(g, g->ptr, part, 0); }
LLVMValueRef gen_part_index(Gen *g, LLVMValueRef part) { return part_read(g, g->i64, part, 1); }
LLVMValueRef gen_part_count(Gen *g, LLVMValueRef part) { return part_read(g, g->i64, part, 2); }

static void part_write(Gen *g, LLVMValueRef parts, LLVMValueRef i, int field, LLVMValueRef v) {
  LLVMSetAlignment(LLVMBuildStore(g->b, v, part_field(g, parts, i, field)), 8);
}

static LLVMValueRef smaller(Gen *g, LLVMValueRef a, LLVMValueRef b) {
  return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, a, b, ""), a, b, "");
}

// ---- how many -------------------------------------------------------------------------------------------------------

typedef struct Count {
  LLVMValueRef set, sum; // the processors, as 64-bit words; where their number goes
} Count;

static void count_word(Gen *g, void *self, LLVMValueRef i) {
  const Count *c = self;
  LLVMValueRef word = LLVMBuildLoad2(g->b, g->i64, LLVMBuildInBoundsGEP2(g->b, g->i64, c->set, &i, 1, ""), "");
  LLVMValueRef n = gen_intrinsic(g, "llvm.ctpop", &g->i64, 1, &word, 1);
  LLVMBuildStore(g->b, LLVMBuildAdd(g->b, LLVMBuildLoad2(g->b, g->i64, c->sum, ""), n, ""), c->sum);
}

// The number of threads that are wanted, at least 1, in memory.
static LLVMValueRef wanted_threads(Gen *g) {
  LLVMBasicBlockRef named = gen_block(g, "named"), free_choice = gen_block(g, "processors"),
                    known = gen_block(g, "known");
  LLVMValueRef wanted = gen_alloca(g, g->i64, 8, "wanted");
  LLVMValueRef set = gen_alloca(g, LLVMArrayType(g->i64, CPU_SET_BYTES / 8), 8, "set");
  LLVMValueRef name = gen_text(g, "OMP_NUM_THREADS"), value = gen_call(g, "getenv", "pp", &name);
  LLVMBuildStore(g->b, gen_i64(g, 0), wanted);
  LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, value, ""), free_choice, named);
  gen_at(g, named);
  LLVMValueRef given = LLVMBuildSExt(g->b, gen_call(g, "atoi", "ip", &value), g->i64, "");
  LLVMBuildStore(g->b, given, wanted);
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, given, gen_i64(g, 0), ""), known, free_choice);
  gen_at(g, free_choice);
  LLVMBuildStore(g->b, gen_i64(g, 0), wanted);
  LLVMBuildMemSet(g->b, set, LLVMConstInt(g->i8, 0, false), gen_i64(g, CPU_SET_BYTES), 8);
  LLVMValueRef args[3] = {gen_i32(g, 0), LLVMConstInt(g->size, CPU_SET_BYTES, false), set};
  gen_call(g, "sched_getaffinity", "iizp", args); // where it fails the set stays empty
  gen_loop(g, gen_i64(g, 0), gen_i64(g, CPU_SET_BYTES / 8), 1, NULL, count_word, &(Count){set, wanted});
  LLVMBuildBr(g->b, known);
  gen_at(g, known);
  LLVMValueRef n = LLVMBuildLoad2(g->b, g->i64, wanted, "");
  LLVMValueRef some = LLVMBuildICmp(g->b, LLVMIntSGT, n, gen_i64(g, 1), "");
  return LLVMBuildSelect(g->b, some, smaller(g, n, gen_i64(g, MOST_THREADS)), gen_i64(g, 1), "");
}

// ---- starting, running, joining -------------------------------------------------------------------------------------

// What the loops of tetc.parallel work on.
typedef struct Team {
  LLVMValueRef fn, block, parts, n;
  LLVMValueRef made; // i64 *: threads that were started
  LLVMTypeRef type;  // of fn
} Team;

static void fill_part(Gen *g, void *self, LLVMValueRef i) {
  const Team *t = self;
  part_write(g, t->parts, i, 0, t->block);
  part_write(g, t->parts, i, 1, i);
  part_write(g, t->parts, i, 2, t->n);
}

static void run_part(Gen *g, void *self, LLVMValueRef i) {
  const Team *t = self;
  LLVMValueRef part = part_field(g, t->parts, i, 0);
  LLVMBuildCall2(g->b, t->type, t->fn, &part, 1, "");
}

static void join_part(Gen *g, void *self, LLVMValueRef i) {
  const Team *t = self;
  LLVMValueRef args[2] = {LLVMBuildLoad2(g->b, g->size, part_field(g, t->parts, i, 3), ""), LLVMConstNull(g->ptr)};
  gen_call(g, "pthread_join", "izp", args);
}

// A loop that may run no turn.
static void loop_if(Gen *g, LLVMValueRef from, LLVMValueRef to, LoopBody *body, void *self) {
  LLVMBasicBlockRef some = gen_block(g, "some"), on = gen_block(g, "on");
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, from, to, ""), some, on);
  gen_at(g, some);
  gen_loop(g, from, to, 1, NULL, body, self);
  LLVMBuildBr(g->b, on);
  gen_at(g, on);
}

// Starts threads for parts 1.. until one cannot be.
static void start_parts(Gen *g, Team *t) {
  LLVMBasicBlockRef next = gen_block(g, "next"), start = gen_block(g, "start"), made = gen_block(g, "made"),
                    on = gen_block(g, "started");
  LLVMBuildStore(g->b, gen_i64(g, 0), t->made);
  LLVMBuildBr(g->b, next);
  gen_at(g, next);
  LLVMValueRef i = LLVMBuildAdd(g->b, LLVMBuildLoad2(g->b, g->i64, t->made, ""), gen_i64(g, 1), "");
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, i, t->n, ""), start, on);
  gen_at(g, start);
  LLVMValueRef args[4] = {part_field(g, t->parts, i, 3), LLVMConstNull(g->ptr), t->fn, part_field(g, t->parts, i, 0)};
  LLVMValueRef failed = gen_call(g, "pthread_create", "ipppp", args);
  LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, failed, ""), made, on);
  gen_at(g, made);
  LLVMBuildStore(g->b, i, t->made);
  LLVMBuildBr(g->b, next);
  gen_at(g, on);
}

// Says, once, that there are fewer threads than wanted.
static void warn(Gen *g, const Team *t, LLVMValueRef here) {
  static const char text[] = "tetc: a parallel loop gets fewer threads than it wants: none can be started\n";
  LLVMBasicBlockRef fewer = gen_block(g, "fewer"), tell = gen_block(g, "tell"), on = gen_block(g, "told");
  LLVMValueRef flag = LLVMAddGlobal(g->m, g->i32, "tetc.warned");
  LLVMSetLinkage(flag, LLVMInternalLinkage);
  LLVMSetInitializer(flag, gen_i32(g, 0));
  LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, here, t->n, ""), fewer, on);
  gen_at(g, fewer);
  LLVMValueRef before =
      LLVMBuildAtomicRMW(g->b, LLVMAtomicRMWBinOpXchg, flag, gen_i32(g, 1), LLVMAtomicOrderingMonotonic, false);
  LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, before, ""), tell, on);
  gen_at(g, tell);
  LLVMValueRef args[3] = {gen_i32(g, 2), gen_text(g, text), LLVMConstInt(g->size, sizeof text - 1, false)};
  gen_call(g, "write", "zipz", args);
  LLVMBuildBr(g->b, on);
  gen_at(g, on);
}

static LLVMValueRef parallel_function(Gen *g) {
  LLVMValueRef fn = LLVMGetNamedFunction(g->m, "tetc.parallel");
  if (fn) return fn;
  LLVMTypeRef params[3] = {g->ptr, g->ptr, g->i64};
  LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
  fn = gen_function(g, "tetc.parallel", LLVMFunctionType(g->none, params, 3, false), false);
  gen_attribute(g, fn, (unsigned)LLVMAttributeFunctionIndex, "noinline", 0);
  Frame frame = {.fn = fn}, *outer = g->frame;
  g->frame = &frame;
  frame.allocas = gen_block(g, "entry");
  LLVMBasicBlockRef start = gen_block(g, "begin");
  gen_at(g, start);
  Team t = {
      .fn = LLVMGetParam(fn, 0), .block = LLVMGetParam(fn, 1), .type = LLVMFunctionType(g->ptr, &g->ptr, 1, false)};
  t.parts = gen_alloca(g, LLVMArrayType(g->i64, MOST_THREADS * PART_FIELDS), 8, "parts");
  t.made = gen_alloca(g, g->i64, 8, "made");
  t.n = smaller(g, wanted_threads(g), LLVMGetParam(fn, 2));
  gen_loop(g, gen_i64(g, 0), t.n, 1, NULL, fill_part, &t);
  start_parts(g, &t);
  LLVMValueRef rest = LLVMBuildAdd(g->b, LLVMBuildLoad2(g->b, g->i64, t.made, ""), gen_i64(g, 1), "");
  warn(g, &t, rest);
  run_part(g, &t, gen_i64(g, 0));
  loop_if(g, rest, t.n, run_part, &t);
  loop_if(g, gen_i64(g, 1), rest, join_part, &t);
  LLVMBuildRetVoid(g->b);
  gen_at(g, frame.allocas);
  LLVMBuildBr(g->b, start);
  g->frame = outer;
  gen_at(g, here);
  return fn;
}

LLVMTypeRef gen_part_type(Gen *g) { return LLVMFunctionType(g->ptr, &g->ptr, 1, false); }

void gen_call_parallel(Gen *g, LLVMValueRef fn, LLVMValueRef block, LLVMValueRef turns) {
  LLVMValueRef parallel = parallel_function(g), least = gen_i64(g, 1);
  LLVMValueRef none = LLVMBuildICmp(g->b, LLVMIntSLT, turns, least, "");
  LLVMValueRef args[3] = {fn, block, LLVMBuildSelect(g->b, none, least, turns, "")};
  LLVMBuildCall2(g->b, LLVMGlobalGetValueType(parallel), parallel, args, 3, "");
}

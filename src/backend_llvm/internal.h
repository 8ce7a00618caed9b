// SPDX-License-Identifier: Apache-2.0
// The part of the back end that knows LLVM. One Gen emits one module; expr.c, stmt.c, vta_calls.c append to it.
#ifndef TETC_LLVM_INTERNAL_H
#define TETC_LLVM_INTERNAL_H

#include "backend_llvm/llvm.h"

#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>

// What code is made for.
typedef struct Machine {
  LLVMTargetMachineRef tm;
  LLVMTargetDataRef layout;
  char *triple, *cpu, *features; // LLVMDisposeMessage
} Machine;

// What is known of a variable, buffer or statement while a kernel is emitted.
typedef struct Place {
  LLVMValueRef value;  // Var: its i64; Buffer: the pointer through which the CPU reaches it (may be NULL: not used)
  LLVMValueRef handle; // Buffer that VTA touches: what VTABufferAlloc gave
  LLVMValueRef slot;   // the same, in memory, for the clean-up
  LLVMValueRef tbaa;   // Buffer: the access tag; buffers never overlap, so each is an alias class of its own
  int64_t min, count;  // Var: it is in min .. min + count - 1; count 0: not known
  bool by_vta, by_cpu, allocated;
  VEC(const Buffer *) barriers; // Stmt: buffers that get a barrier after it
  unsigned lanes;               // Buffer allocated in a loop of lanes: so many copies, element by element; 0: one
} Place;

// Pointer -> Place. Only looked up, never walked.
typedef struct Places {
  Arena *arena;
  PtrMap map;
} Places;
Place *place_of(Places *p, const void *key); // made when new

// The function that is being emitted: the kernel, or the body of a parallel loop.
typedef struct Frame {
  LLVMValueRef fn;
  LLVMBasicBlockRef allocas; // first block: allocas only, ends in a branch to the next one
  LLVMBasicBlockRef cleanup; // frees and returns
  LLVMValueRef status;       // i32 *: 0, or the first failure's number
  LLVMValueRef why;          // ptr *: a text for it, or NULL; in the kernel itself
  LLVMValueRef command;      // VTATLSCommandHandle(); NULL when VTA is not used here
  bool outlined;             // in a parallel region: status is shared by threads
} Frame;

enum { MAX_LANES = 64 };

// The loop whose iterations are emitted side by side.
typedef struct Lanes {
  const Var *var;    // its Place has the value of the first lane
  unsigned n;        // a power of two
  LLVMValueRef mask; // the lanes whose value is wanted; NULL: all
  // What goes lane by lane, for remarks: elements of a buffer, a choice, a function. NULL, FN_COUNT: nothing.
  const Buffer *scattered;
  bool choice;
  MathFn called;
} Lanes;

typedef struct Gen {
  Ctx *cx;
  const char *cpu, *features; // of the target, for function attributes
  bool native_half;           // float16 conversions are instructions
  bool exact_vectors;         // vectors of floats compute what scalars do
  bool apart;                 // each root nest is a function of its own
  bool hooks;                 // the runtime may have tetc_kernel_*
  LlvmMarks *marks;           // calls tell the runtime where they come from; NULL: they do not
  int opt_level;
  LLVMContextRef c;
  LLVMModuleRef m;
  LLVMBuilderRef b;
  LLVMTypeRef i1, i8, i16, i32, i64, f16, f32, f64, ptr, none, size; // size: size_t of the target
  unsigned md_tbaa, md_loop;
  LLVMMetadataRef tbaa_root;

  const Func *f;
  const char *name; // of the kernel in the module
  Places places;
  Ranges ranges; // of the loop variables in scope
  Frame *frame;
  Lanes *lanes;       // NULL: everything is scalar
  LLVMValueRef lane;  // i64: code is emitted for this lane alone; NULL: for all
  LLVMValueRef guard; // i1: whether that lane's value is wanted; NULL: it is
  Place zeros;        // the buffer of zeros; its handle is NULL when there is none
  const Stmt *kernel; // whose function is made; NULL outside
  int serial;         // numbers private functions and constants
  PtrMap constants;   // the values of those that the module has: to them
  int depth;          // of recursion
  bool failed;        // reported; emission goes on with undefined values to the end
} Gen;

// gen.c: the module, and small things everybody needs
void gen_open(Gen *g, Ctx *cx, const Machine *mc); // mc must outlive g
void gen_close(Gen *g);
LLVMTypeRef gen_value_type(Gen *g, DType t);  // in registers: bool i1, float16 as float
LLVMTypeRef gen_memory_type(Gen *g, DType t); // in memory: bool i8, float16 i16
LLVMValueRef gen_i32(Gen *g, int64_t v);
LLVMValueRef gen_i64(Gen *g, int64_t v);
unsigned gen_width(LLVMValueRef v);                         // lanes of a vector; 0: a scalar
LLVMTypeRef gen_wide_type(LLVMTypeRef t, unsigned n);       // n 0: t itself
LLVMValueRef gen_splat_const(LLVMValueRef c, unsigned n);   // a constant; n 0: c itself
LLVMValueRef gen_splat(Gen *g, LLVMValueRef v, unsigned n); // v itself, if it is a vector or n is 0
void gen_match(Gen *g, LLVMValueRef *a, LLVMValueRef *b);   // if one is a vector, both are
LLVMValueRef gen_const_int(LLVMValueRef v);                 // a constant, or what all elements of one are; else NULL
LLVMBasicBlockRef gen_block(Gen *g, const char *name);      // appended to the current function
void gen_at(Gen *g, LLVMBasicBlockRef b);                   // emission goes on there
LLVMValueRef gen_alloca(Gen *g, LLVMTypeRef t, unsigned align, const char *name);
// Calls an external function, declared at need. `types` is its prototype by letters, result first: v(oid), p(ointer),
// i(nt32), l(int64), z (size_t), f(loat), d(ouble).
LLVMValueRef gen_call(Gen *g, const char *name, const char *types, LLVMValueRef *args);
LLVMValueRef gen_intrinsic(Gen *g, const char *name, LLVMTypeRef *over, unsigned nover, LLVMValueRef *args, unsigned n);
LLVMValueRef gen_function(Gen *g, const char *name, LLVMTypeRef type, bool exported); // with the target's attributes
void gen_plain(Gen *g, LLVMValueRef fn); // fn only calls the runtime: LLVM need not spend time on it (below -O3)
void gen_attribute(Gen *g, LLVMValueRef fn, unsigned where, const char *name, uint64_t value);
void gen_fail_if(Gen *g, LLVMValueRef cond, int status); // to the clean-up with that status, if cond
LLVMValueRef gen_text(Gen *g, const char *text);         // a constant string's address
void gen_set_status(Gen *g, int status);
bool gen_deeper(Gen *g, Loc loc); // recursion guard: false (reported) when too deep; else pair with g->depth--

// kernel.c
bool gen_kernel(Gen *g, const Func *f, const char *name); // false: reported

// expr.c: in a loop of lanes the value is a vector, unless it is the same in all of them
LLVMValueRef gen_expr(Gen *g, const Expr *e);
void gen_store_value(Gen *g, const Buffer *b, const Expr **args, LLVMValueRef v); // scalar code
LLVMValueRef gen_load(Gen *g, const Expr *e);                                     // scalar code
LLVMValueRef gen_address(Gen *g, const Buffer *b, const Expr **args); // of one element; of element 0 if g->guard fails
LLVMValueRef gen_loose_address(Gen *g, const Buffer *b, const Expr **args); // the same, but it may lie outside
bool gen_is_inside(Gen *g, const Buffer *b, const Expr *const *args);       // whatever the variables are
bool gen_is_checked(Gen *g, const Expr *e); // somewhere in it, an index read from data is checked
bool gen_needs_branch(Gen *g, const Expr *e);
bool gen_has_load(const Expr *e);
LLVMValueRef gen_tagged(Gen *g, LLVMValueRef access, const Buffer *b); // a load or store with alignment and alias class

// lanes.c: the parts of expressions and stores that are not the same code for scalars and vectors
unsigned gen_lane_count(Gen *g); // 0: scalar code is emitted
LLVMValueRef gen_lane_numbers(Gen *g);
LLVMValueRef gen_lanes_load(Gen *g, const Expr *e);
LLVMValueRef gen_lanes_select(Gen *g, const Expr *e, LLVMValueRef cond);
LLVMValueRef gen_lanes_logic(Gen *g, const Expr *e, LLVMValueRef a);
void gen_lanes_store(Gen *g, const Stmt *s);
bool gen_varies(Gen *g, const Expr *e); // may differ between the lanes
// The address of b[args] in elements is that of the first lane + step * lane; false: nothing is known.
bool gen_lane_step(Gen *g, const Buffer *b, const Expr *const *args, int64_t *step);
typedef void LaneBody(Gen *g, void *self, LLVMValueRef lane);
void gen_each_lane(Gen *g, LaneBody *body, void *self); // scalar code for one lane after the other, as a loop

// vector.c
bool gen_vector_for(Gen *g, const Stmt *s); // false: nothing was emitted, the loop has to be scalar

// scalar.c: operators on values in registers
LLVMValueRef gen_binary(Gen *g, BinOp op, DType t, LLVMValueRef a, LLVMValueRef b, bool nonneg); // nonneg: a >= 0
LLVMValueRef gen_unary(Gen *g, UnOp op, DType t, LLVMValueRef a);
bool gen_is_call(MathFn fn); // of the math library
LLVMValueRef gen_fma(Gen *g, DType t, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);
LLVMValueRef gen_math(Gen *g, MathFn fn, DType t, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef gen_cast(Gen *g, DType to, DType from, LLVMValueRef a);
LLVMValueRef gen_from_memory(Gen *g, DType t, LLVMValueRef v); // of memory type -> of value type
LLVMValueRef gen_to_memory(Gen *g, DType t, LLVMValueRef v);

// stmt.c
void gen_stmt(Gen *g, const Stmt *s);
// A loop `for i = from; i < to` around what body(self, i) emits; the caller knows that it runs at least once.
typedef void LoopBody(Gen *g, void *self, LLVMValueRef i);
void gen_loop(Gen *g, LLVMValueRef from, LLVMValueRef to, int64_t step, const char *hint, LoopBody *body, void *self);
// Binds the variable of the loop s to `at` and emits its body.
void gen_iteration(Gen *g, const Stmt *s, LLVMValueRef at);
bool gen_loop_bounds(Gen *g, const Stmt *s, int64_t *lo,
                     int64_t *hi);           // of the variable; false: unknown, or it may wrap
bool gen_is_outlined(Gen *g, const Stmt *s); // a parallel loop that becomes a function of its own
bool gen_many_nests(const Stmt *s);          // so many nests that they are compiled apart

// frame.c: memory of a function
typedef struct FrameMemory FrameMemory;
FrameMemory *frame_allocate(Gen *g, const Stmt *body);  // places of the host buffers allocated in body
void frame_release(Gen *g, FrameMemory *fm);            // in the clean-up block
LLVMValueRef frame_null_slot(Gen *g, const char *name); // a pointer variable, NULL from the start of the function
void frame_vta_buffer(Gen *g, Place *p, int64_t bytes, const char *name); // sets handle, slot and, if by_cpu, value
void frame_vta_free(Gen *g, Place *p);
int64_t frame_bytes(Gen *g, const Buffer *b); // reports what does not fit the host's address space

// vta_calls.c
void gen_vta(Gen *g, const Stmt *s);
int64_t gen_vta_zero_bytes(const Func *f); // size of the buffer of zeros that f needs; 0: none

// threads.c: parallel loops are cut in parts, whose functions, ptr (ptr part), threads run
LLVMTypeRef gen_part_type(Gen *g);
LLVMValueRef gen_part_block(Gen *g, LLVMValueRef part); // what gen_call_parallel was given
LLVMValueRef gen_part_index(Gen *g, LLVMValueRef part); // i64: of the parts 0 .. count - 1
LLVMValueRef gen_part_count(Gen *g, LLVMValueRef part);
void gen_call_parallel(Gen *g, LLVMValueRef fn, LLVMValueRef block,
                       LLVMValueRef turns); // no more parts than turns; all have ended

// barriers.c
void gen_plan_barriers(Gen *g, const Stmt *body); // where they go; by_vta and by_cpu of all places are known
void gen_barriers_after(Gen *g, const Stmt *s);   // those that go there
void gen_barrier(Gen *g, const char *name, LLVMValueRef handle, int64_t bytes); // VTAReadBarrier or VTAWriteBarrier

// machine.c
bool machine_open(Ctx *cx, const LlvmOptions *opt, bool jit, Machine *out); // reports E0501
void machine_close(Machine *m);
bool machine_optimize(Ctx *cx, const Machine *mc, LLVMModuleRef m, int level);
void machine_targets(Text *out);

// module.c: emits and verifies kernels; a name other than NULL replaces the function's own
bool module_build(Gen *g, const Func *const *funcs, int nfuncs, const char *name);
// Runs run(self); a fatal error of LLVM is reported, and false returned, instead of ending the process.
bool module_guarded(Ctx *cx, bool (*run)(void *self), void *self);
// A text from LLVM, which is NULL where memory is out: then that is a fatal error of LLVM's.
char *module_text(char *text);
NORETURN void module_no_memory(void);       // LLVM gave nothing and no reason
const LlvmBackend *tetc_llvm_backend(void); // the module's one exported symbol

// symbols.c: what generated code may call in the host's libraries
extern const LlvmSymbol host_symbols[];
extern const int host_symbol_count;

// jit.c
bool jit_compile(Ctx *cx, const Func *f, const LlvmOptions *opt, int nsymbols, const LlvmSymbol *symbols, void **handle,
                 LlvmEntry **entry);
void jit_free(void *handle);

#endif

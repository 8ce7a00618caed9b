// SPDX-License-Identifier: Apache-2.0
// A kernel:
//   entry     see that runtime and arrays are right; take memory; copy the parameters that VTA reads into memory of
//             its own
//   body
//   finish    copy what VTA wrote back to the parameters
//   cleanup   free, tell a failure, return the status; every failure comes here
#include "backend_llvm/internal.h"

#include "backend_vta/vta.h"

#include <string.h>

typedef struct Uses {
  Gen *g;
  bool vta;    // some intrinsic
  bool stores; // some store by the CPU, outside of parallel loops
} Uses;

static bool note_stmt(void *self, const Stmt *s) {
  Uses *u = self;
  if (s->kind == STMT_STORE) place_of(&u->g->places, s->buffer)->by_cpu = true;
  u->vta |= s->kind == STMT_INTRIN;
  return true;
}

static bool note_expr(void *self, const Expr *e) {
  Uses *u = self;
  if (e->kind == EXPR_LOAD) place_of(&u->g->places, e->buffer)->by_cpu = true;
  if (e->kind == EXPR_REF) place_of(&u->g->places, e->buffer)->by_vta = true;
  return true;
}

// Gives a buffer an alias class of its own: `!{!{"name#n", root, 0}, same, 0}`.
static void give_tbaa(Gen *g, const Buffer *b) {
  Place *p = place_of(&g->places, b);
  if (p->tbaa || !p->by_cpu) return;
  const char *name = arena_printf(g->cx->arena, "%s.%s#%d", g->name, b->name, g->serial++);
  LLVMMetadataRef zero = LLVMValueAsMetadata(gen_i64(g, 0));
  LLVMMetadataRef type[3] = {LLVMMDStringInContext2(g->c, name, strlen(name)), g->tbaa_root, zero};
  LLVMMetadataRef node = LLVMMDNodeInContext2(g->c, type, 3), tag[3] = {node, node, zero};
  p->tbaa = LLVMMetadataAsValue(g->c, LLVMMDNodeInContext2(g->c, tag, 3));
}

static bool tbaa_of_alloc(void *self, const Stmt *s) {
  if (s->kind == STMT_ALLOC) give_tbaa(self, s->buffer);
  return true;
}

static bool no_expr(void *self, const Expr *e) {
  (void)self, (void)e;
  return false;
}

static bool note_store(void *self, const Stmt *s) {
  Uses *u = self;
  u->stores |= s->kind == STMT_STORE;
  return !u->stores && !gen_is_outlined(u->g, s);
}

// A scalar input is passed by value, as C would.
static bool by_value(const Buffer *b) { return b->scalar && b->role == BUF_INPUT; }

// The C convention widens small integers.
static void extend_value(Gen *g, LLVMValueRef fn, int i, DType t) {
  if (dtype_is_float(t) || dtype_bits(t) >= 32) {
    if (t == DT_F16) gen_attribute(g, fn, (unsigned)i + 1, "zeroext", 0);
    return;
  }
  gen_attribute(g, fn, (unsigned)i + 1, dtype_is_signed(t) ? "signext" : "zeroext", 0);
}

static LLVMValueRef declare_kernel(Gen *g, const Func *f, const char *name) {
  LLVMTypeRef *types = NEW_ARRAY(g->cx->arena, LLVMTypeRef, f->nparams + 1);
  for (int i = 0; i < f->nparams; i++)
    types[i] = by_value(f->params[i]) ? gen_memory_type(g, f->params[i]->type) : g->ptr;
  LLVMValueRef fn = gen_function(g, name, LLVMFunctionType(g->i32, types, (unsigned)f->nparams, false), true);
  for (int i = 0; i < f->nparams; i++) {
    LLVMValueRef p = LLVMGetParam(fn, (unsigned)i);
    LLVMSetValueName2(p, f->params[i]->name, strlen(f->params[i]->name));
    if (by_value(f->params[i])) {
      extend_value(g, fn, i, f->params[i]->type);
      continue;
    }
    gen_attribute(g, fn, (unsigned)i + 1, "noalias", 0);
  }
  return fn;
}

static void copy_param(Gen *g, const char *direction, LLVMValueRef from, LLVMValueRef to, int64_t bytes) {
  LLVMValueRef none = LLVMConstInt(g->size, 0, false), size = LLVMConstInt(g->size, (uint64_t)bytes, false);
  LLVMValueRef args[6] = {from, none, to, none, size, gen_i32(g, *direction == 'i' ? 1 : 2)};
  gen_call(g, "VTABufferCopy", "vpzpzzi", args);
}

static void enter_params(Gen *g, const Func *f) {
  for (int i = 0; i < f->nparams; i++) {
    const Buffer *b = f->params[i];
    Place *p = place_of(&g->places, b);
    int64_t bytes = frame_bytes(g, b);
    LLVMValueRef given = LLVMGetParam(g->frame->fn, (unsigned)i);
    if (by_value(b)) {
      LLVMValueRef slot = gen_alloca(g, gen_memory_type(g, b->type), (unsigned)dtype_bytes(b->type), b->name);
      LLVMBuildStore(g->b, given, slot);
      given = slot;
    }
    p->value = given;
    if (!p->by_vta) continue;
    frame_vta_buffer(g, p, bytes, b->name);
    if (b->role == BUF_INPUT) copy_param(g, "in", given, p->handle, bytes);
  }
}

// Constants are arrays of the module, one for those of all its kernels that are the same.
static LLVMValueRef constant_array(Gen *g, const Buffer *b, int64_t bytes) {
  LLVMValueRef old = ptrmap_find(&g->constants, b->data);
  if (old) return old;
  LLVMValueRef data = LLVMConstStringInContext(g->c, b->data, (unsigned)bytes, true);
  LLVMValueRef v =
      LLVMAddGlobal(g->m, LLVMTypeOf(data), arena_printf(g->cx->arena, "%s.const.%d", g->name, g->serial++));
  LLVMSetInitializer(v, data);
  LLVMSetGlobalConstant(v, true);
  LLVMSetLinkage(v, LLVMPrivateLinkage);
  LLVMSetAlignment(v, 64);
  ptrmap_set(g->cx->arena, &g->constants, b->data, v);
  return v;
}

static void enter_consts(Gen *g, const Func *f) {
  for (int i = 0; i < f->nconsts; i++) {
    const Buffer *b = f->consts[i];
    Place *p = place_of(&g->places, b);
    int64_t bytes = buffer_elems(b) * dtype_bytes(b->type);
    p->value = constant_array(g, b, bytes);
    if (!p->by_vta) continue;
    LLVMValueRef from = p->value;
    frame_vta_buffer(g, p, frame_bytes(g, b), b->name);
    copy_param(g, "in", from, p->handle, bytes);
  }
}

static void leave_params(Gen *g, const Func *f) {
  for (int i = 0; i < f->nparams; i++) {
    Place *p = place_of(&g->places, f->params[i]);
    if (p->by_vta && f->params[i]->role == BUF_OUTPUT)
      copy_param(g, "out", p->handle, LLVMGetParam(g->frame->fn, (unsigned)i), frame_bytes(g, f->params[i]));
  }
}

// A buffer of zeros for vta.zero_call.
static void make_zeros(Gen *g, int64_t bytes) {
  g->zeros = (Place){.by_cpu = true};
  if (!bytes) return;
  frame_vta_buffer(g, &g->zeros, bytes, "zeros");
  LLVMBuildMemSet(g->b, g->zeros.value, LLVMConstInt(g->i8, 0, false), gen_i64(g, bytes), 1);
  gen_barrier(g, "VTAReadBarrier", g->zeros.handle, bytes);
}

// ---- what a kernel and the runtime tell each other: where the runtime at hand does not know of it, nothing ----------

// Calls a function that the runtime may not have; otherwise the value is `otherwise` (NULL: of no interest).
static LLVMValueRef call_weakly(Gen *g, const char *name, const char *types, LLVMValueRef *args,
                                LLVMValueRef otherwise) {
  LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b), call = gen_block(g, "tell"), on = gen_block(g, "told");
  LLVMBasicBlockRef blocks[2] = {from, call};
  gen_at(g, call);
  LLVMValueRef values[2] = {otherwise, gen_call(g, name, types, args)};
  LLVMValueRef fn = LLVMGetNamedFunction(g->m, name);
  LLVMSetLinkage(fn, LLVMExternalWeakLinkage);
  LLVMBuildBr(g->b, on);
  gen_at(g, from);
  LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, fn, ""), on, call);
  gen_at(g, on);
  if (!otherwise) return NULL;
  LLVMValueRef phi = LLVMBuildPhi(g->b, LLVMTypeOf(otherwise), "");
  LLVMAddIncoming(phi, values, blocks, 2);
  return phi;
}

// The start: the runtime forgets what failed before, and says whether this object is made for it.
static void begin(Gen *g, const Func *f) {
  VtaConfigText stamp = vta_stamp(&vta_of(f->target)->config);
  LLVMValueRef args[3] = {g->frame->command, gen_text(g, f->name), gen_text(g, stamp.text)};
  LLVMValueRef status = call_weakly(g, "tetc_kernel_begin", "ippp", args, gen_i32(g, 0));
  LLVMBasicBlockRef good = gen_block(g, "fits");
  LLVMBuildStore(g->b, status, g->frame->status);
  LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, status, ""), good, g->frame->cleanup);
  gen_at(g, good);
}

// Status 2 if something failed that no call has told.
static void ask(Gen *g) {
  LLVMValueRef status = call_weakly(g, "tetc_kernel_done", "ip", &g->frame->command, gen_i32(g, 0));
  gen_fail_if(g, LLVMBuildIsNotNull(g->b, status, ""), 2);
}

// The end of a kernel that failed.
static void tell_failure(Gen *g, const Func *f) {
  LLVMValueRef status = LLVMBuildLoad2(g->b, g->i32, g->frame->status, "");
  LLVMValueRef args[4] = {g->frame->command, gen_text(g, f->name), status,
                          LLVMBuildLoad2(g->b, g->ptr, g->frame->why, "")};
  LLVMBasicBlockRef bad = gen_block(g, "failed"), on = gen_block(g, "return");
  LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, status, ""), on, bad);
  gen_at(g, bad);
  call_weakly(g, "tetc_kernel_failed", "vppip", args, NULL);
  LLVMBuildBr(g->b, on);
  gen_at(g, on);
}

// Status 4 unless every array is there, and where its elements may be.
static void check_params(Gen *g, const Func *f) {
  for (int i = 0; i < f->nparams; i++) {
    const Buffer *b = f->params[i];
    if (by_value(b)) continue;
    int64_t align = dtype_bytes(b->type);
    LLVMValueRef at = LLVMBuildPtrToInt(g->b, LLVMGetParam(g->frame->fn, (unsigned)i), g->size, "");
    LLVMValueRef bad = LLVMBuildIsNull(g->b, at, "");
    if (align > 1) {
      LLVMValueRef off = LLVMBuildAnd(g->b, at, LLVMConstInt(g->size, (uint64_t)align - 1, false), "");
      bad = LLVMBuildOr(g->b, bad, LLVMBuildIsNotNull(g->b, off, ""), "");
    }
    if (g->frame->why) {
      const char *text = align == 1
                             ? arena_printf(g->cx->arena, "array `%s` is NULL", b->name)
                             : arena_printf(g->cx->arena, "array `%s` is NULL, or its address is no multiple of %d",
                                            b->name, (int)align);
      LLVMBuildStore(g->b, gen_text(g, text), g->frame->why);
    }
    gen_fail_if(g, bad, 4);
  }
  if (g->frame->why) LLVMBuildStore(g->b, LLVMConstNull(g->ptr), g->frame->why);
}

static void gen_body(Gen *g, const Func *f, bool vta) {
  Frame *fr = g->frame;
  bool hooks = vta && g->hooks;
  fr->allocas = gen_block(g, "entry");
  LLVMBasicBlockRef start = gen_block(g, "start");
  fr->cleanup = gen_block(g, "cleanup");
  gen_at(g, start);
  fr->status = gen_alloca(g, g->i32, 4, "status");
  LLVMBuildStore(g->b, gen_i32(g, 0), fr->status);
  fr->why = hooks ? frame_null_slot(g, "why") : NULL;
  fr->command = vta ? gen_call(g, "VTATLSCommandHandle", "p", NULL) : NULL;
  if (hooks) begin(g, f);
  check_params(g, f);
  enter_params(g, f);
  enter_consts(g, f);
  FrameMemory *fm = frame_allocate(g, f->body);
  make_zeros(g, vta ? gen_vta_zero_bytes(f) : 0);
  gen_stmt(g, f->body);
  if (hooks) ask(g);
  leave_params(g, f);
  LLVMBuildBr(g->b, fr->cleanup);
  gen_at(g, fr->cleanup);
  for (int i = 0; i < f->nparams; i++) frame_vta_free(g, place_of(&g->places, f->params[i]));
  for (int i = 0; i < f->nconsts; i++) frame_vta_free(g, place_of(&g->places, f->consts[i]));
  frame_release(g, fm);
  frame_vta_free(g, &g->zeros);
  if (hooks) tell_failure(g, f);
  LLVMBuildRet(g->b, LLVMBuildLoad2(g->b, g->i32, fr->status, ""));
  gen_at(g, fr->allocas);
  LLVMBuildBr(g->b, start);
}

// int NAME__packed(void **params). No array of them: as if each were NULL.
static void gen_packed(Gen *g, const Func *f, LLVMValueRef kernel) {
  const char *name = arena_printf(g->cx->arena, "%s__packed", g->name);
  Frame frame = {.fn = gen_function(g, name, LLVMFunctionType(g->i32, &g->ptr, 1, false), true)};
  LLVMValueRef *args = NEW_ARRAY(g->cx->arena, LLVMValueRef, f->nparams + 1), params = LLVMGetParam(frame.fn, 0);
  LLVMTypeRef type = LLVMGlobalGetValueType(kernel);
  g->frame = &frame;
  gen_plain(g, frame.fn);
  gen_at(g, gen_block(g, "entry"));
  LLVMBasicBlockRef none = gen_block(g, "none"), some = gen_block(g, "some");
  LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, params, ""), none, some);
  gen_at(g, none);
  for (int i = 0; i < f->nparams; i++) args[i] = LLVMConstNull(LLVMTypeOf(LLVMGetParam(kernel, (unsigned)i)));
  LLVMBuildRet(g->b, LLVMBuildCall2(g->b, type, kernel, args, (unsigned)f->nparams, ""));
  gen_at(g, some);
  for (int i = 0; i < f->nparams; i++) {
    LLVMValueRef at = gen_i32(g, i);
    at = LLVMBuildInBoundsGEP2(g->b, g->ptr, params, &at, 1, "");
    args[i] = LLVMBuildLoad2(g->b, g->ptr, at, "");
    if (!by_value(f->params[i])) continue;
    LLVMBasicBlockRef there = gen_block(g, "there");
    LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, args[i], ""), none, there);
    gen_at(g, there);
    args[i] = LLVMBuildLoad2(g->b, gen_memory_type(g, f->params[i]->type), args[i], "");
  }
  LLVMBuildRet(g->b, LLVMBuildCall2(g->b, type, kernel, args, (unsigned)f->nparams, ""));
}

bool gen_kernel(Gen *g, const Func *f, const char *name) {
  Uses uses = {.g = g};
  g->f = f;
  g->name = name;
  g->failed = false;
  g->places = (Places){.arena = g->cx->arena};
  g->ranges = (Ranges){0};
  stmt_visit(f->body, note_stmt, note_expr, &uses);
  for (int i = 0; i < f->nparams; i++) give_tbaa(g, f->params[i]);
  for (int i = 0; i < f->nconsts; i++) give_tbaa(g, f->consts[i]);
  stmt_visit(f->body, tbaa_of_alloc, no_expr, g);
  LLVMValueRef fn = declare_kernel(g, f, name);
  Frame frame = {.fn = fn};
  g->frame = &frame;
  stmt_visit(f->body, note_store, no_expr, &uses);
  g->apart = gen_many_nests(f->body);
  if (uses.vta) gen_plan_barriers(g, f->body);
  if (!uses.stores) gen_plain(g, fn);
  gen_body(g, f, uses.vta);
  gen_packed(g, f, fn);
  return !g->failed;
}

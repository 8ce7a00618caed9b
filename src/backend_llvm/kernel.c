// SPDX-License-Identifier: Apache-2.0
// A kernel:
//   entry     take memory; copy the parameters that VTA reads into memory of its own
//   body
//   finish    copy what VTA wrote back to the parameters
//   cleanup   free, return the status; every failure comes here
#include "backend_llvm/internal.h"

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

static LLVMValueRef declare_kernel(Gen *g, const Func *f, const char *name) {
  LLVMTypeRef *types = NEW_ARRAY(g->cx->arena, LLVMTypeRef, f->nparams + 1);
  for (int i = 0; i < f->nparams; i++) types[i] = g->ptr;
  LLVMValueRef fn = gen_function(g, name, LLVMFunctionType(g->i32, types, (unsigned)f->nparams, false), true);
  for (int i = 0; i < f->nparams; i++) {
    LLVMValueRef p = LLVMGetParam(fn, (unsigned)i);
    LLVMSetValueName2(p, f->params[i]->name, strlen(f->params[i]->name));
    gen_attribute(g, fn, (unsigned)i + 1, "noalias", 0);
    gen_attribute(g, fn, (unsigned)i + 1, "nonnull", 0);
    LLVMSetParamAlignment(p, (unsigned)dtype_bytes(f->params[i]->type));
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
    p->value = given;
    if (!p->by_vta) continue;
    frame_vta_buffer(g, p, bytes, b->name);
    if (b->role == BUF_INPUT) copy_param(g, "in", given, p->handle, bytes);
  }
}

static void leave_params(Gen *g, const Func *f) {
  for (int i = 0; i < f->nparams; i++) {
    Place *p = place_of(&g->places, f->params[i]);
    if (p->by_vta && f->params[i]->role == BUF_OUTPUT)
      copy_param(g, "out", p->handle, LLVMGetParam(g->frame->fn, (unsigned)i), frame_bytes(g, f->params[i]));
  }
}

// A buffer of zeros for vta.zero_call. The barrier flushes it to where a board's DMA engine sees it.
static void make_zeros(Gen *g, int64_t bytes) {
  g->zeros = (Place){.by_cpu = true};
  if (!bytes) return;
  frame_vta_buffer(g, &g->zeros, bytes, "zeros");
  LLVMBuildMemSet(g->b, g->zeros.value, LLVMConstInt(g->i8, 0, false), gen_i64(g, bytes), 1);
  LLVMValueRef args[5] = {g->frame->command, g->zeros.handle, gen_i32(g, 8), gen_i32(g, 0), gen_i32(g, bytes)};
  gen_call(g, "VTAWriteBarrier", "vppiii", args);
}

// The runtime's count of failures; 0 where the runtime at hand keeps none.
static LLVMValueRef failures(Gen *g) {
  LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b), ask = gen_block(g, "ask"), on = gen_block(g, "asked");
  LLVMBasicBlockRef blocks[2] = {from, ask};
  gen_at(g, ask);
  LLVMValueRef count[2] = {gen_i32(g, 0), gen_call(g, "tetc_runtime_failures", "ip", &g->frame->command)};
  LLVMValueRef fn = LLVMGetNamedFunction(g->m, "tetc_runtime_failures");
  LLVMSetLinkage(fn, LLVMExternalWeakLinkage);
  LLVMBuildBr(g->b, on);
  gen_at(g, from);
  LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, fn, ""), on, ask);
  gen_at(g, on);
  LLVMValueRef phi = LLVMBuildPhi(g->b, g->i32, "");
  LLVMAddIncoming(phi, count, blocks, 2);
  return phi;
}

static void gen_body(Gen *g, const Func *f, bool vta) {
  Frame *fr = g->frame;
  fr->allocas = gen_block(g, "entry");
  LLVMBasicBlockRef start = gen_block(g, "start");
  fr->cleanup = gen_block(g, "cleanup");
  gen_at(g, start);
  fr->status = gen_alloca(g, g->i32, 4, "status");
  LLVMBuildStore(g->b, gen_i32(g, 0), fr->status);
  fr->command = vta ? gen_call(g, "VTATLSCommandHandle", "p", NULL) : NULL;
  bool ask = vta && g->failures;
  LLVMValueRef before = ask ? failures(g) : NULL;
  enter_params(g, f);
  FrameMemory *fm = frame_allocate(g, f->body);
  make_zeros(g, vta ? gen_vta_zero_bytes(f) : 0);
  gen_stmt(g, f->body);
  if (ask) gen_fail_if(g, LLVMBuildICmp(g->b, LLVMIntNE, failures(g), before, ""), 2);
  leave_params(g, f);
  LLVMBuildBr(g->b, fr->cleanup);
  gen_at(g, fr->cleanup);
  for (int i = 0; i < f->nparams; i++) frame_vta_free(g, place_of(&g->places, f->params[i]));
  frame_release(g, fm);
  frame_vta_free(g, &g->zeros);
  LLVMBuildRet(g->b, LLVMBuildLoad2(g->b, g->i32, fr->status, ""));
  gen_at(g, fr->allocas);
  LLVMBuildBr(g->b, start);
}

// int NAME__packed(void **params)
static void gen_packed(Gen *g, const Func *f, LLVMValueRef kernel) {
  const char *name = arena_printf(g->cx->arena, "%s__packed", g->name);
  Frame frame = {.fn = gen_function(g, name, LLVMFunctionType(g->i32, &g->ptr, 1, false), true)};
  g->frame = &frame;
  gen_plain(g, frame.fn);
  gen_at(g, gen_block(g, "entry"));
  LLVMValueRef *args = NEW_ARRAY(g->cx->arena, LLVMValueRef, f->nparams + 1);
  for (int i = 0; i < f->nparams; i++) {
    LLVMValueRef at = gen_i32(g, i);
    at = LLVMBuildInBoundsGEP2(g->b, g->ptr, LLVMGetParam(frame.fn, 0), &at, 1, "");
    args[i] = LLVMBuildLoad2(g->b, g->ptr, at, "");
  }
  LLVMBuildRet(g->b, LLVMBuildCall2(g->b, LLVMGlobalGetValueType(kernel), kernel, args, (unsigned)f->nparams, ""));
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
  stmt_visit(f->body, tbaa_of_alloc, no_expr, g);
  LLVMValueRef fn = declare_kernel(g, f, name);
  Frame frame = {.fn = fn};
  g->frame = &frame;
  stmt_visit(f->body, note_store, no_expr, &uses);
  g->apart = gen_many_nests(f->body);
  if (!uses.stores) gen_plain(g, fn);
  gen_body(g, f, uses.vta);
  gen_packed(g, f, fn);
  return !g->failed;
}

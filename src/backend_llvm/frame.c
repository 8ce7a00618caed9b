// SPDX-License-Identifier: Apache-2.0
// The memory of one function: the buffers allocated in its body get their places at its entry, once, however often the
// allocation is reached. Small ones are on the stack; the others share one block; those that VTA touches are its own.
#include "backend_llvm/internal.h"

enum {
  STACK_ONE = 4096,  // bytes: largest buffer on the stack
  STACK_ALL = 32768, // bytes of them in one function
  ALIGN = 64
};

struct FrameMemory {
  Gen *g;
  VEC(const Buffer *) buffers; // each once, in the order of their allocations
  LLVMValueRef block;          // slot of the shared block; NULL: none
};

static bool note_alloc(void *self, const Stmt *s) {
  FrameMemory *fm = self;
  if (gen_is_outlined(fm->g, s)) return false; // its allocations are each thread's own
  if (s->kind != STMT_ALLOC || s->buffer->scope->id >= 0) return true;
  Place *p = place_of(&fm->g->places, s->buffer);
  if (!p->allocated) VEC_PUSH(fm->g->cx->arena, fm->buffers, s->buffer);
  p->allocated = true;
  return true;
}

static bool no_expr(void *self, const Expr *e) {
  (void)self, (void)e;
  return false;
}

LLVMValueRef frame_null_slot(Gen *g, const char *name) {
  LLVMValueRef slot = gen_alloca(g, g->ptr, 0, name);
  LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
  gen_at(g, g->frame->allocas);
  LLVMBuildStore(g->b, LLVMConstNull(g->ptr), slot);
  gen_at(g, here);
  return slot;
}

// Keeps p in the slot; status 1 if it is NULL.
static void keep(Gen *g, LLVMValueRef p, LLVMValueRef slot) {
  LLVMBuildStore(g->b, p, slot);
  gen_fail_if(g, LLVMBuildIsNull(g->b, p, ""), 1);
}

void frame_vta_buffer(Gen *g, Place *p, int64_t bytes, const char *name) {
  LLVMValueRef size = LLVMConstInt(g->size, (uint64_t)bytes, false);
  p->slot = frame_null_slot(g, name);
  p->handle = gen_call(g, "VTABufferAlloc", "pz", &size);
  keep(g, p->handle, p->slot);
  LLVMValueRef args[2] = {g->frame->command, p->handle};
  if (p->by_cpu) p->value = gen_call(g, "VTABufferCPUPtr", "ppp", args);
}

void frame_vta_free(Gen *g, Place *p) {
  if (!p->slot) return;
  LLVMValueRef handle = LLVMBuildLoad2(g->b, g->ptr, p->slot, "");
  LLVMBasicBlockRef some = gen_block(g, "free"), on = gen_block(g, "freed");
  LLVMBuildCondBr(g->b, LLVMBuildIsNull(g->b, handle, ""), on, some);
  gen_at(g, some);
  gen_call(g, "VTABufferFree", "vp", &handle);
  LLVMBuildBr(g->b, on);
  gen_at(g, on);
}

int64_t frame_bytes(Gen *g, const Buffer *b) {
  int64_t bytes, most = LLVMGetIntTypeWidth(g->size) == 32 ? INT32_MAX : INT64_MAX / 2;
  if (mul_ok(buffer_elems(b), dtype_bytes(b->type), &bytes) && bytes <= most) return bytes;
  if (!g->failed)
    diag_report(g->cx->diags, E_MEMORY, b->loc, "`%s` does not fit the address space of the host", b->name);
  g->failed = true;
  return 1;
}

FrameMemory *frame_allocate(Gen *g, const Stmt *body) {
  FrameMemory *fm = NEW(g->cx->arena, FrameMemory);
  fm->g = g;
  stmt_visit(body, note_alloc, no_expr, fm);
  int64_t stack = 0, heap = 0, *offset = NEW_ARRAY(g->cx->arena, int64_t, fm->buffers.len + 1);
  for (size_t i = 0; i < fm->buffers.len; i++) {
    const Buffer *b = fm->buffers.data[i];
    Place *p = place_of(&g->places, b);
    int64_t bytes = frame_bytes(g, b);
    offset[i] = -1;
    if (p->by_vta) frame_vta_buffer(g, p, bytes, b->name);
    else if (bytes <= STACK_ONE && stack + bytes <= STACK_ALL) {
      stack += bytes;
      p->value = gen_alloca(g, LLVMArrayType(gen_memory_type(g, b->type), (unsigned)buffer_elems(b)), ALIGN, b->name);
    } else {
      offset[i] = heap;
      if (!add_ok(heap, (bytes + ALIGN - 1) / ALIGN * ALIGN, &heap)) g->failed = true;
    }
  }
  if (heap) {
    LLVMValueRef args[2] = {LLVMConstInt(g->size, ALIGN, false), LLVMConstInt(g->size, (uint64_t)heap, false)};
    LLVMValueRef block = gen_call(g, "aligned_alloc", "pzz", args);
    fm->block = frame_null_slot(g, "locals");
    keep(g, block, fm->block);
    for (size_t i = 0; i < fm->buffers.len; i++) {
      if (offset[i] < 0) continue;
      LLVMValueRef at = gen_i64(g, offset[i]);
      place_of(&g->places, fm->buffers.data[i])->value = LLVMBuildInBoundsGEP2(g->b, g->i8, block, &at, 1, "");
    }
  }
  return fm;
}

void frame_release(Gen *g, FrameMemory *fm) {
  for (size_t i = 0; i < fm->buffers.len; i++) {
    Place *p = place_of(&g->places, fm->buffers.data[i]);
    if (p->by_vta) frame_vta_free(g, p);
    p->value = p->handle = p->slot = NULL;
    p->allocated = false;
  }
  if (!fm->block) return;
  LLVMValueRef block = LLVMBuildLoad2(g->b, g->ptr, fm->block, "");
  gen_call(g, "free", "vp", &block); // free(NULL) is fine
}

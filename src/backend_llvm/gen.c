// SPDX-License-Identifier: Apache-2.0
// The module under construction, and the small things every emitter needs.
#include "backend_llvm/internal.h"

#include <string.h>

// Trees deeper than this are refused: emission recurses. More than tir allows of statements and expressions together.
enum { MAX_DEPTH = 9000 };

Place *place_of(Places *p, const void *key) {
  Place *place = ptrmap_find(&p->map, key);
  if (place) return place;
  place = NEW(p->arena, Place);
  ptrmap_set(p->arena, &p->map, key, place);
  return place;
}

void gen_open(Gen *g, Ctx *cx, const Machine *mc) {
  *g = (Gen){.cx = cx, .cpu = mc->cpu, .features = mc->features, .places = {.arena = cx->arena}};
  g->c = LLVMContextCreate();
  g->m = LLVMModuleCreateWithNameInContext("tetc", g->c);
  g->b = LLVMCreateBuilderInContext(g->c);
  LLVMSetTarget(g->m, mc->triple);
  LLVMSetModuleDataLayout(g->m, mc->layout);
  g->i1 = LLVMInt1TypeInContext(g->c);
  g->i8 = LLVMInt8TypeInContext(g->c);
  g->i16 = LLVMInt16TypeInContext(g->c);
  g->i32 = LLVMInt32TypeInContext(g->c);
  g->i64 = LLVMInt64TypeInContext(g->c);
  g->f16 = LLVMHalfTypeInContext(g->c);
  g->f32 = LLVMFloatTypeInContext(g->c);
  g->f64 = LLVMDoubleTypeInContext(g->c);
  g->ptr = LLVMPointerTypeInContext(g->c, 0);
  g->none = LLVMVoidTypeInContext(g->c);
  g->size = LLVMIntPtrTypeInContext(g->c, mc->layout);
  g->md_tbaa = LLVMGetMDKindIDInContext(g->c, "tbaa", 4);
  g->md_loop = LLVMGetMDKindIDInContext(g->c, "llvm.loop", 9);
  LLVMMetadataRef name = LLVMMDStringInContext2(g->c, "tetc buffers", 12);
  g->tbaa_root = LLVMMDNodeInContext2(g->c, &name, 1);
  // NEON of 32-bit ARM takes small numbers for 0, and LLVM uses it for every vector of floats.
  g->exact_vectors = strncmp(mc->triple, "arm", 3) && strncmp(mc->triple, "thumb", 5);
  g->native_half = strstr(mc->features, "+f16c") || !strncmp(mc->triple, "aarch64", 7);
}

void gen_close(Gen *g) {
  if (g->b) LLVMDisposeBuilder(g->b);
  if (g->m) LLVMDisposeModule(g->m);
  if (g->c) LLVMContextDispose(g->c);
  g->b = NULL, g->m = NULL, g->c = NULL;
}

LLVMTypeRef gen_value_type(Gen *g, DType t) {
  switch (t) {
  case DT_BOOL: return g->i1;
  case DT_I8:
  case DT_U8: return g->i8;
  case DT_I16:
  case DT_U16: return g->i16;
  case DT_I32:
  case DT_U32: return g->i32;
  case DT_I64:
  case DT_U64: return g->i64;
  case DT_F16:
  case DT_F32: return g->f32;
  case DT_F64: return g->f64;
  case DT_COUNT: break;
  }
  bug("no such type");
}

LLVMTypeRef gen_memory_type(Gen *g, DType t) {
  return t == DT_BOOL ? g->i8 : t == DT_F16 ? g->i16 : gen_value_type(g, t);
}

LLVMValueRef gen_i32(Gen *g, int64_t v) { return LLVMConstInt(g->i32, (uint64_t)v, true); }
LLVMValueRef gen_i64(Gen *g, int64_t v) { return LLVMConstInt(g->i64, (uint64_t)v, true); }

unsigned gen_width(LLVMValueRef v) {
  LLVMTypeRef t = LLVMTypeOf(v);
  return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 0;
}

LLVMTypeRef gen_wide_type(LLVMTypeRef t, unsigned n) { return n ? LLVMVectorType(t, n) : t; }

LLVMValueRef gen_splat_const(LLVMValueRef scalar, unsigned n) {
  LLVMValueRef all[MAX_LANES];
  if (!n) return scalar;
  for (unsigned i = 0; i < n; i++) all[i] = scalar;
  return LLVMConstVector(all, n);
}

LLVMValueRef gen_const_int(LLVMValueRef v) {
  if (LLVMIsAConstantInt(v)) return v;
  unsigned n = gen_width(v);
  if (!n || !LLVMIsConstant(v)) return NULL;
  LLVMValueRef first = LLVMGetAggregateElement(v, 0);
  for (unsigned i = 1; i < n; i++)
    if (LLVMGetAggregateElement(v, i) != first) return NULL; // constants are unique
  return first && LLVMIsAConstantInt(first) ? first : NULL;
}

LLVMValueRef gen_splat(Gen *g, LLVMValueRef v, unsigned n) {
  if (!n || gen_width(v)) return v;
  if (LLVMIsConstant(v)) return gen_splat_const(v, n);
  LLVMValueRef undef = LLVMGetUndef(LLVMVectorType(LLVMTypeOf(v), n)), zero = gen_i32(g, 0);
  LLVMValueRef one = LLVMBuildInsertElement(g->b, undef, v, zero, "");
  return LLVMBuildShuffleVector(g->b, one, undef, gen_splat_const(zero, n), "");
}

void gen_match(Gen *g, LLVMValueRef *a, LLVMValueRef *b) {
  *a = gen_splat(g, *a, gen_width(*b));
  *b = gen_splat(g, *b, gen_width(*a));
}

LLVMBasicBlockRef gen_block(Gen *g, const char *name) {
  return LLVMAppendBasicBlockInContext(g->c, g->frame->fn, name);
}

void gen_at(Gen *g, LLVMBasicBlockRef b) { LLVMPositionBuilderAtEnd(g->b, b); }

LLVMValueRef gen_alloca(Gen *g, LLVMTypeRef t, unsigned align, const char *name) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
  gen_at(g, g->frame->allocas);
  LLVMValueRef v = LLVMBuildAlloca(g->b, t, name);
  if (align) LLVMSetAlignment(v, align);
  gen_at(g, here);
  return v;
}

static LLVMTypeRef letter_type(Gen *g, char c) {
  switch (c) {
  case 'v': return g->none;
  case 'p': return g->ptr;
  case 'i': return g->i32;
  case 'l': return g->i64;
  case 'z': return g->size;
  case 'f': return g->f32;
  case 'd': return g->f64;
  default: bug("no type for letter %c", c);
  }
}

void gen_attribute(Gen *g, LLVMValueRef fn, unsigned where, const char *name, uint64_t value) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  if (kind) // attributes come and go with LLVM's versions; all of ours are optional
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)where, LLVMCreateEnumAttribute(g->c, kind, value));
}

LLVMValueRef gen_call(Gen *g, const char *name, const char *types, LLVMValueRef *args) {
  LLVMTypeRef params[16];
  unsigned n = (unsigned)strlen(types + 1);
  for (unsigned i = 0; i < n; i++) params[i] = letter_type(g, types[i + 1]);
  LLVMTypeRef type = LLVMFunctionType(letter_type(g, types[0]), params, n, false);
  LLVMValueRef fn = LLVMGetNamedFunction(g->m, name);
  if (!fn) {
    fn = LLVMAddFunction(g->m, name, type);
    bool runtime = !strncmp(name, "VTA", 3); // upstream's runtime is C++, and throws
    if (!runtime) gen_attribute(g, fn, (unsigned)LLVMAttributeFunctionIndex, "nounwind", 0);
  }
  return LLVMBuildCall2(g->b, type, fn, args, n, "");
}

LLVMValueRef gen_intrinsic(Gen *g, const char *name, LLVMTypeRef *over, unsigned nover, LLVMValueRef *args,
                           unsigned n) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(g->m, id, over, nover);
  return LLVMBuildCall2(g->b, LLVMIntrinsicGetType(g->c, id, over, nover), fn, args, n, "");
}

LLVMValueRef gen_function(Gen *g, const char *name, LLVMTypeRef type, bool exported) {
  LLVMValueRef fn = LLVMAddFunction(g->m, name, type);
  if (!exported) LLVMSetLinkage(fn, LLVMInternalLinkage);
  else LLVMSetVisibility(fn, LLVMProtectedVisibility); // a call inside stays inside, whatever else has the name
  gen_attribute(g, fn, (unsigned)LLVMAttributeFunctionIndex, "uwtable", 2); // at every instruction
  if (*g->cpu) LLVMAddTargetDependentFunctionAttr(fn, "target-cpu", g->cpu);
  if (*g->features) LLVMAddTargetDependentFunctionAttr(fn, "target-features", g->features);
  return fn;
}

// Optimising the calls that drive VTA costs more than half of a compilation and gains nothing that can be measured.
void gen_plain(Gen *g, LLVMValueRef fn) {
  if (g->opt_level >= 3) return;
  gen_attribute(g, fn, (unsigned)LLVMAttributeFunctionIndex, "optnone", 0);
  gen_attribute(g, fn, (unsigned)LLVMAttributeFunctionIndex, "noinline", 0);
}

// The first failure counts. In a parallel region several threads may write at once: each writes a failure, any will do.
void gen_set_status(Gen *g, int status) {
  LLVMValueRef st = LLVMBuildStore(g->b, gen_i32(g, status), g->frame->status);
  if (g->frame->outlined) {
    LLVMSetOrdering(st, LLVMAtomicOrderingMonotonic);
    LLVMSetAlignment(st, 4);
  }
}

void gen_fail_if(Gen *g, LLVMValueRef cond, int status) {
  LLVMBasicBlockRef bad = gen_block(g, "fail"), good = gen_block(g, "ok");
  LLVMBuildCondBr(g->b, cond, bad, good);
  gen_at(g, bad);
  gen_set_status(g, status);
  LLVMBuildBr(g->b, g->frame->cleanup);
  gen_at(g, good);
}

LLVMValueRef gen_text(Gen *g, const char *text) {
  LLVMValueRef bytes = LLVMConstStringInContext(g->c, text, (unsigned)strlen(text), false);
  LLVMValueRef at =
      LLVMAddGlobal(g->m, LLVMTypeOf(bytes), arena_printf(g->cx->arena, "%s.text%d", g->name, g->serial++));
  LLVMSetLinkage(at, LLVMPrivateLinkage);
  LLVMSetGlobalConstant(at, true);
  LLVMSetUnnamedAddress(at, LLVMGlobalUnnamedAddr);
  LLVMSetInitializer(at, bytes);
  return at;
}

bool gen_deeper(Gen *g, Loc loc) {
  if (++g->depth <= MAX_DEPTH) return true;
  g->depth--;
  if (!g->failed)
    diag_report(g->cx->diags, E_TOO_DEEP, loc, "the code of this kernel is nested too deeply for the host");
  g->failed = true;
  return false;
}

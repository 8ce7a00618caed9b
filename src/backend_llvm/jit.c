// SPDX-License-Identifier: Apache-2.0
// A kernel compiled into this process: an object in memory, placed and linked by LLVM's LLJIT.
#include "backend_llvm/internal.h"

#include <llvm-c/LLJIT.h>
#include <string.h>

static bool jit_error(Ctx *cx, const Func *f, LLVMErrorRef err) {
  if (!err) return true;
  char *why = LLVMGetErrorMessage(err);
  diag_note(diag_report(cx->diags, E_BACKEND, f->loc, "`%s` cannot be compiled into this process", f->name), "%s", why);
  LLVMDisposeErrorMessage(why);
  return false;
}

// ---- linking --------------------------------------------------------------------------------------------------------

typedef struct SymbolList {
  LLVMOrcLLJITRef jit;
  VEC(LLVMOrcCSymbolMapPair) pairs;
} SymbolList;

static void add_symbols(Ctx *cx, SymbolList *l, int n, const LlvmSymbol *symbols) {
  for (int i = 0; i < n; i++) {
    LLVMOrcCSymbolMapPair p = {.Name = LLVMOrcLLJITMangleAndIntern(l->jit, symbols[i].name)};
    p.Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)symbols[i].address;
    p.Sym.Flags.GenericFlags = LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable;
    VEC_PUSH(cx->arena, l->pairs, p);
  }
}

static bool add_process(Ctx *cx, const Func *f, LLVMOrcLLJITRef jit) {
#if TETC_LLVM_MAJOR < 17 // later ones do it by themselves
  LLVMOrcDefinitionGeneratorRef gen;
  LLVMErrorRef err =
      LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&gen, LLVMOrcLLJITGetGlobalPrefix(jit), NULL, NULL);
  if (!jit_error(cx, f, err)) return false;
  LLVMOrcJITDylibAddGenerator(LLVMOrcLLJITGetMainJITDylib(jit), gen);
#else
  (void)cx, (void)f, (void)jit;
#endif
  return true;
}

typedef struct Symbols {
  int n;
  const LlvmSymbol *list;
} Symbols;

// Takes over the object.
static bool link_object(Ctx *cx, const Func *f, LLVMOrcLLJITRef jit, LLVMMemoryBufferRef object, const Symbols *sets,
                        int nsets, LlvmEntry **entry) {
  SymbolList l = {.jit = jit};
  LLVMOrcJITDylibRef main_lib = LLVMOrcLLJITGetMainJITDylib(jit);
  for (int i = 0; i < nsets; i++) add_symbols(cx, &l, sets[i].n, sets[i].list);
  LLVMOrcMaterializationUnitRef mu = LLVMOrcAbsoluteSymbols(l.pairs.data, l.pairs.len);
  LLVMErrorRef err = LLVMOrcJITDylibDefine(main_lib, mu);
  if (err) LLVMOrcDisposeMaterializationUnit(mu);
  if (!jit_error(cx, f, err) || !add_process(cx, f, jit)) {
    LLVMDisposeMemoryBuffer(object);
    return false;
  }
  LLVMOrcExecutorAddress at;
  if (!jit_error(cx, f, LLVMOrcLLJITAddObjectFile(jit, main_lib, object))) return false;
  if (!jit_error(cx, f, LLVMOrcLLJITLookup(jit, &at, "tetc_kernel__packed"))) return false;
  *entry = (LlvmEntry *)(uintptr_t)at;
  return true;
}

static bool has_symbol(const Symbols *s, const char *name) {
  for (int i = 0; i < s->n; i++)
    if (!strcmp(s->list[i].name, name)) return true;
  return false;
}

// NULL: reported.
static LLVMMemoryBufferRef make_object(Ctx *cx, const Func *f, const LlvmOptions *opt, const Machine *mc, bool hooks) {
  Gen g;
  LLVMMemoryBufferRef object = NULL;
  char *why = NULL;
  gen_open(&g, cx, mc);
  LLVMContextSetDiscardValueNames(g.c, true);
  g.hooks = hooks;
  g.marks = opt->marks;
  g.opt_level = opt->opt_level;
  bool built = module_build(&g, &f, 1, "tetc_kernel") && machine_optimize(cx, mc, g.m, opt->opt_level);
  if (built && LLVMTargetMachineEmitToMemoryBuffer(mc->tm, g.m, LLVMObjectFile, &why, &object)) {
    diag_note(diag_report(cx->diags, E_BACKEND, f->loc, "LLVM could not compile `%s`", f->name), "%s", why);
    LLVMDisposeMessage(why);
    object = NULL;
  } else if (built && !object) {
    module_no_memory();
  }
  if (g.failed && object) {
    LLVMDisposeMemoryBuffer(object);
    object = NULL;
  }
  gen_close(&g);
  return object;
}

typedef struct Compilation {
  Ctx *cx;
  const Func *f;
  const LlvmOptions *opt;
  Symbols caller;
  void **handle;
  LlvmEntry **entry;
} Compilation;

static bool compile_now(void *self) {
  const Compilation *c = self;
  Ctx *cx = c->cx;
  Machine mc;
  LlvmOptions host = *c->opt;
  host.triple = NULL;
  bool ok = false;
  Symbols sets[] = {{host_symbol_count, host_symbols}, c->caller};
  LLVMMemoryBufferRef object = NULL;
  LLVMOrcLLJITRef jit = NULL;
  if (machine_open(cx, &host, true, &mc))
    object = make_object(cx, c->f, &host, &mc, has_symbol(&c->caller, "tetc_kernel_begin"));
  if (object) {
    if (jit_error(cx, c->f, LLVMOrcCreateLLJIT(&jit, NULL))) ok = link_object(cx, c->f, jit, object, sets, 2, c->entry);
    else LLVMDisposeMemoryBuffer(object);
  }
  machine_close(&mc);
  if (!ok && jit) jit_free(jit), jit = NULL;
  *c->handle = jit;
  return ok;
}

bool jit_compile(Ctx *cx, const Func *f, const LlvmOptions *opt, int nsymbols, const LlvmSymbol *symbols, void **handle,
                 LlvmEntry **entry) {
  Compilation c = {cx, f, opt, {nsymbols, symbols}, handle, entry};
  *handle = NULL;
  return module_guarded(cx, compile_now, &c);
}

void jit_free(void *handle) {
  if (!handle) return;
  LLVMErrorRef err = LLVMOrcDisposeLLJIT(handle);
  if (err) LLVMConsumeError(err);
}

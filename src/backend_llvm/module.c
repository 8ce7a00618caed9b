// SPDX-License-Identifier: Apache-2.0
// The back end's table: TIR -> module -> file.
#include "backend_llvm/internal.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

// LLVM's own complaints (unknown features, and so on) become messages of ours instead of text on stderr.
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *self) {
  Gen *g = self;
  if (LLVMGetDiagInfoSeverity(info) != LLVMDSError) return;
  char *text = LLVMGetDiagInfoDescription(info);
  diag_note(diag_report(g->cx->diags, E_BACKEND, (Loc){0}, "LLVM refuses this kernel"), "%s", text);
  LLVMDisposeMessage(text);
  g->failed = true;
}

static bool verify(Gen *g) {
  char *why = NULL;
  bool bad = LLVMVerifyModule(g->m, LLVMReturnStatusAction, &why);
  if (bad)
    diag_note(diag_report(g->cx->diags, E_INTERNAL, (Loc){0}, "the host code of this kernel is broken"), "%s", why);
  LLVMDisposeMessage(why);
  return !bad;
}

bool module_build(Gen *g, const Func *const *funcs, int nfuncs, const char *name) {
  LLVMContextSetDiagnosticHandler(g->c, on_diagnostic, g);
  for (int i = 0; i < nfuncs; i++)
    if (!gen_kernel(g, funcs[i], name ? name : funcs[i]->name)) return false;
  return verify(g);
}

// A kernel's symbol must not be one that the object itself calls, nor one that C cannot declare.
static bool name_is_free(Ctx *cx, const Func *f, const Func *const *funcs, int nfuncs) {
  bool taken = !strncmp(f->name, "VTA", 3) || llvm_name_is_reserved(f->name);
  for (int i = 0; i < host_symbol_count; i++) taken |= !strcmp(f->name, host_symbols[i].name);
  for (int i = 0; i < nfuncs; i++) {
    taken |= funcs[i] != f && !strcmp(funcs[i]->name, f->name);
    size_t n = strlen(funcs[i]->name);
    taken |= !strncmp(f->name, funcs[i]->name, n) && !strcmp(f->name + n, "__packed");
  }
  if (!taken) return true;
  Diag *d = diag_report(cx->diags, E_SYMBOL, f->loc, "a kernel in an object cannot be named `%s`", f->name);
  diag_note(d, "C, the VTA runtime, the C library or another kernel has that name already");
  return false;
}

static bool write_module(Gen *g, const Machine *mc, LlvmKind kind, Text *out) {
  char *text = NULL;
  if (kind == LLVM_TEXT) {
    text = module_text(LLVMPrintModuleToString(g->m));
    text_add_bytes(out, text, strlen(text));
    LLVMDisposeMessage(text);
    return true;
  }
  LLVMMemoryBufferRef buffer = NULL;
  LLVMCodeGenFileType type = kind == LLVM_OBJECT ? LLVMObjectFile : LLVMAssemblyFile;
  if (LLVMTargetMachineEmitToMemoryBuffer(mc->tm, g->m, type, &text, &buffer)) {
    diag_note(diag_report(g->cx->diags, E_BACKEND, (Loc){0}, "LLVM could not write the object"), "%s", text);
    LLVMDisposeMessage(text);
    return false;
  }
  if (!buffer) module_no_memory();
  if (!g->failed) text_add_bytes(out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
  LLVMDisposeMemoryBuffer(buffer);
  return !g->failed;
}

// Where LLVM's fatal errors return to on this thread, and what they said. LLVM gives its handler no pointer of ours.
static _Thread_local struct {
  jmp_buf *out;
  char why[400];
} fatal;

// LLVM would end the process after this.
static void on_fatal(const char *why) {
  if (!fatal.out) return;
  snprintf(fatal.why, sizeof fatal.why, "%s", why);
  longjmp(*fatal.out, 1);
}

void module_no_memory(void) {
  memory_out();
  on_fatal("out of memory");
  bug("out of memory in LLVM");
}

char *module_text(char *text) {
  if (!text) module_no_memory();
  return text;
}

bool module_guarded(Ctx *cx, bool (*run)(void *self), void *self) {
  jmp_buf out, *outer = fatal.out;
  volatile bool ok = false;
  LLVMInstallFatalErrorHandler(on_fatal);
  fatal.out = &out;
  if (!setjmp(out)) ok = run(self);
  else // what LLVM held is lost: it is in no state to be freed
    diag_note(diag_report(cx->diags, E_BACKEND, (Loc){0}, "LLVM cannot make code for this target"), "%s", fatal.why);
  fatal.out = outer;
  LLVMResetFatalErrorHandler();
  return ok;
}

typedef struct Emission {
  Ctx *cx;
  const Func *const *funcs;
  int nfuncs;
  const LlvmOptions *opt;
  LlvmKind kind;
  Text *out;
} Emission;

static bool emit_now(void *self) {
  const Emission *e = self;
  Ctx *cx = e->cx;
  const LlvmOptions *opt = e->opt;
  Machine mc;
  Gen g;
  bool ok = machine_open(cx, opt, false, &mc);
  if (ok) {
    gen_open(&g, cx, &mc);
    if (e->kind != LLVM_TEXT) LLVMContextSetDiscardValueNames(g.c, true);
    g.hooks = true;
    g.opt_level = opt->opt_level;
    ok = module_build(&g, e->funcs, e->nfuncs, NULL) && machine_optimize(cx, &mc, g.m, opt->opt_level) &&
         write_module(&g, &mc, e->kind, e->out);
    gen_close(&g);
  }
  machine_close(&mc);
  return ok;
}

static bool emit(Ctx *cx, const Func *const *funcs, int nfuncs, const LlvmOptions *opt, LlvmKind kind, Text *out) {
  for (int i = 0; i < nfuncs; i++)
    if (!name_is_free(cx, funcs[i], funcs, nfuncs)) return false;
  Emission e = {cx, funcs, nfuncs, opt, kind, out};
  return module_guarded(cx, emit_now, &e);
}

static const LlvmBackend table = {.version = TETC_LLVM_VERSION,
                                  .emit = emit,
                                  .jit_compile = jit_compile,
                                  .jit_free = jit_free,
                                  .targets = machine_targets};

__attribute__((visibility("default"))) const LlvmBackend *tetc_llvm_backend(void) { return &table; }

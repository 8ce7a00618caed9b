// SPDX-License-Identifier: Apache-2.0
// backend_llvm: host code. A kernel in FORM_CALLS (or a host-only one in FORM_LOOPS) becomes LLVM IR, and that an
// object, assembly, text, or code in this process. No LLVM type is named here: the back end itself is a module that is
// loaded when code is first wanted, so that the rest of tetc starts without LLVM (libtetc_llvm_backend.so; with
// -Dllvm_static=true it is linked in and llvm_backend_load() cannot fail).
//
// The kernel is a C function  int NAME(const T *input..., T *output...);  that returns a status: 0 done, 1 out of
// memory, 2 the accelerator failed, 3 an index read from data is out of range, 4 an array is NULL or not aligned to its
// elements, 5 the object does not fit the runtime (TetcStatus of the runtime); unless 0, outputs are undefined. Buffers
// are dense, row-major and do not overlap; bool is one byte 0 or 1, float16 is its bits. Beside it stands int
// NAME__packed(void **params). An object refers to: VTA* (upstream's vta/runtime.h) when the kernel uses the
// accelerator, and then weakly to tetc_kernel_* of our runtime; malloc-family and libm functions; POSIX threads when a
// loop is parallel.
#ifndef TETC_LLVM_H
#define TETC_LLVM_H

#include "tir/tir.h"

// Where the instructions of jitted code come from: mark k of the runtime (tetc_runtime_mark) means stmts.data[k - 1].
typedef struct LlvmMarks {
  VEC(const Stmt *) stmts;
} LlvmMarks;

typedef struct LlvmOptions {
  const char *triple;   // NULL: this machine
  const char *cpu;      // NULL: the triple's baseline (emit), this machine's (JIT); "native": this machine's
  const char *features; // "+avx2,-fma"; NULL: the cpu's
  int opt_level;        // 0..3
  LlvmMarks *marks;     // jit_compile: filled, and the code marks its instructions; NULL: it does not
} LlvmOptions;

typedef enum LlvmKind { LLVM_OBJECT, LLVM_ASSEMBLY, LLVM_TEXT } LlvmKind;

// A function that jitted code may call besides those of libc and libm: the VTA runtime's.
typedef struct LlvmSymbol {
  const char *name;
  void (*address)(void);
} LlvmSymbol;

typedef int LlvmEntry(void **params); // as NAME__packed: one pointer a parameter

// Every function reports its errors (E0501, E0502, E0504) to cx->diags and returns false then.
typedef struct LlvmBackend {
  const char *version; // "19.1.7"
  // Appends the file of one module with these kernels to *out. Deterministic: host properties matter only for "native".
  bool (*emit)(Ctx *cx, const Func *const *funcs, int nfuncs, const LlvmOptions *opt, LlvmKind kind, Text *out);
  // Compiles one kernel into this process; *entry stays valid until jit_free(*handle).
  bool (*jit_compile)(Ctx *cx, const Func *f, const LlvmOptions *opt, int nsymbols, const LlvmSymbol *symbols,
                      void **handle, LlvmEntry **entry);
  void (*jit_free)(void *handle); // NULL is fine
  // For --print-targets: appends a line for each target built in.
  void (*targets)(Text *out);
} LlvmBackend;

// load.c: finds and loads the back end once (later calls are cheap). NULL with *error (valid until the next call)
// when there is none. Looked for in $TETC_LLVM_BACKEND, beside the running binary, in the build tree's
// src/backend_llvm, in LIBDIR/tetc of the tree that the binary was installed in, and where it was configured to go.
const LlvmBackend *llvm_backend_load(const char **error);

// header.c: the C header that declares the kernels. Needs no LLVM. The include guard is made of guard_hint, a file
// name.
void llvm_header(Ctx *cx, const Func *const *funcs, int nfuncs, const char *guard_hint, Text *out);

bool llvm_name_is_reserved(const char *name); // C's and C++'s keywords, main, and the like

// link.c: makes a shared library of an object file by the system's C compiler ($CC, cc; TRIPLE-gcc for another triple).
// `extra`: nextra further arguments (libraries). Reports E0502 and returns false when that fails.
bool llvm_link_shared(Ctx *cx, const char *triple, const char *object_path, const char *out_path, int nextra,
                      const char *const *extra);

#endif

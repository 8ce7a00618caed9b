// SPDX-License-Identifier: Apache-2.0
// Shared libraries, by the system's C compiler.
#include "backend_llvm/llvm.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

// The compiler for a triple: `TRIPLE-gcc` as cross compilers are named; for this machine $CC or cc.
static const char *compiler_for(Ctx *cx, const char *triple) {
  if (triple) return arena_printf(cx->arena, "%s-gcc", triple);
  const char *cc = getenv("CC");
  return cc && *cc && !strpbrk(cc, " \t") ? cc : "cc";
}

bool llvm_link_shared(Ctx *cx, const char *triple, const char *object_path, const char *out_path, int nextra,
                      const char *const *extra) {
  const char *cc = compiler_for(cx, triple);
  VEC(char *) argv = {0};
  const char *const first[] = {cc, "-shared", "-o", out_path, object_path};
  const char *const last[] = {"-Wl,--as-needed", "-lpthread", "-lm", NULL};
  for (size_t i = 0; i < 5; i++) VEC_PUSH(cx->arena, argv, (char *)(uintptr_t)first[i]);
  for (int i = 0; i < nextra; i++) VEC_PUSH(cx->arena, argv, (char *)(uintptr_t)extra[i]);
  for (size_t i = 0; i < 4; i++) VEC_PUSH(cx->arena, argv, (char *)(uintptr_t)last[i]);
  pid_t pid;
  int status = 0, err = posix_spawnp(&pid, cc, NULL, NULL, argv.data, environ);
  while (!err && waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) err = errno;
  if (!err && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  Diag *d = diag_report(cx->diags, E_BACKEND, (Loc){0}, "the shared library `%s` could not be linked", out_path);
  if (err) diag_note(d, "%s: %s", cc, strerror(err));
  else diag_note(d, "%s failed; its messages stand above", cc);
  diag_help(d, "install a C compiler, name one in CC, or link the object yourself");
  return false;
}

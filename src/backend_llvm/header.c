// SPDX-License-Identifier: Apache-2.0
// The C header that declares the kernels of an object.
#include "backend_llvm/llvm.h"

#include <ctype.h>
#include <string.h>

static const char *c_type(DType t) {
  switch (t) {
  case DT_BOOL: return "_Bool";
  case DT_I8: return "int8_t";
  case DT_I16: return "int16_t";
  case DT_I32: return "int32_t";
  case DT_I64: return "int64_t";
  case DT_U8: return "uint8_t";
  case DT_U16: return "uint16_t";
  case DT_U32: return "uint32_t";
  case DT_U64: return "uint64_t";
  case DT_F16: return "uint16_t";
  case DT_F32: return "float";
  case DT_F64: return "double";
  case DT_COUNT: break;
  }
  bug("no such type");
}

bool llvm_name_is_reserved(const char *name) {
  static const char words[] =
      " auto break case char const continue default do double else enum extern float for goto if inline int long "
      "register"
      " restrict return short signed sizeof static struct switch typedef union unsigned void volatile while main"
      " int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t "
      " alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class compl concept consteval"
      " constexpr constinit const_cast co_await co_return co_yield decltype delete dynamic_cast explicit export false"
      " friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public"
      " reinterpret_cast requires static_assert static_cast template this thread_local throw true try typeid typename"
      " using virtual wchar_t xor xor_eq ";
  size_t n = strlen(name);
  for (const char *p = words; *p;) {
    p += strspn(p, " ");
    size_t m = strcspn(p, " ");
    if (m == n && m && !memcmp(p, name, n)) return true;
    p += m;
  }
  return false;
}

// `[1][4][56]`
static void add_shape(const Buffer *b, Text *out) {
  for (int i = 0; i < b->ndim; i++) text_add(out, "[%lld]", (long long)b->shape[i]);
}

static void declare(const Func *f, Text *out) {
  text_add(out, "\n%s// Arrays are dense, row-major, and do not overlap.\n",
           f->target ? "// On the accelerator: tetc_error_text() tells why it failed.\n" : "");
  text_add(out, "int %s(", f->name);
  bool scalars = false;
  for (int i = 0; i < f->nparams; i++) scalars |= f->params[i]->scalar;
  for (int i = 0; i < f->nparams; i++) {
    const Buffer *b = f->params[i];
    bool in = b->role == BUF_INPUT;
    bool value = in && b->scalar;
    text_add(out, "%s\n    %s%s %s%s%s /* %s", i ? "," : "", in && !value ? "const " : "", c_type(b->type),
             value ? "" : "*", b->name, llvm_name_is_reserved(b->name) ? "_" : "", in ? "in: " : "out: ");
    if (b->scalar) text_add(out, "a number");
    else add_shape(b, out);
    text_add(out, "%s */", b->type == DT_F16 ? ", IEEE half precision" : "");
  }
  text_add(out, f->nparams ? ");\n" : "void);\n");
  text_add(out, "// The same; params: the %d arrays in that order%s.\nint %s__packed(void **params);\n", f->nparams,
           scalars ? ", numbers too by their places" : "", f->name);
}

void llvm_header(Ctx *cx, const Func *const *funcs, int nfuncs, const char *guard_hint, Text *out) {
  size_t n = strlen(guard_hint);
  bool is_file = n > 2 && !strcmp(guard_hint + n - 2, ".h");
  char *guard = arena_printf(cx->arena, "TETC_%s%s", guard_hint, is_file ? "" : "_H");
  for (char *p = guard; *p; p++) *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
  text_add(out, "// Made by tetc.\n#ifndef %s\n#define %s\n\n#include <stdint.h>\n\n", guard, guard);
  text_add(out, "// A kernel returns its status: 0 done, 1 memory is out, 2 the accelerator failed, 3 an index read "
                "from data is out of\n"
                "// range, 4 an array is NULL or not aligned to its elements, 5 the object was made for another "
                "configuration or\n"
                "// runtime. Unless it is 0, outputs are undefined; the next call is none the worse for it.\n\n");
  text_add(out, "#ifdef __cplusplus\n#define _Bool bool\nextern \"C\" {\n#endif\n");
  bool vta = false;
  for (int i = 0; i < nfuncs; i++) vta |= funcs[i]->target != NULL;
  if (vta)
    text_add(out, "\n// Of tetc's runtime (upstream's has no such function): why this thread's last kernel on the "
                  "accelerator failed, in\n"
                  "// a line, \"\" if it did not.\nconst char *tetc_error_text(void);\n");
  for (int i = 0; i < nfuncs; i++) declare(funcs[i], out);
  text_add(out, "\n#ifdef __cplusplus\n}\n#undef _Bool\n#endif\n\n#endif\n");
}

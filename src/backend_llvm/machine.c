// SPDX-License-Identifier: Apache-2.0
// Target machines, and the passes that run for each level.
#include "backend_llvm/internal.h"

#include <llvm-c/Error.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <string.h>
#include <unistd.h>

// The architectures that this LLVM was built with and we start on demand: only the one asked for costs time.
typedef struct Arch {
  const char *prefixes; // of triples, space-separated
  const char *example;
  void (*start)(void);
} Arch;

#define START(T) \
  static void start_##T(void) { \
    LLVMInitialize##T##TargetInfo(); \
    LLVMInitialize##T##Target(); \
    LLVMInitialize##T##TargetMC(); \
    LLVMInitialize##T##AsmPrinter(); \
  }
#ifdef TETC_LLVM_X86
START(X86)
#endif
#ifdef TETC_LLVM_AARCH64
START(AArch64)
#endif
#ifdef TETC_LLVM_ARM
START(ARM)
#endif

static const Arch archs[] = {
#ifdef TETC_LLVM_X86
    {"x86_64 i386 i486 i586 i686 amd64", "x86_64-linux-gnu", start_X86},
#endif
#ifdef TETC_LLVM_AARCH64
    {"aarch64 arm64", "aarch64-linux-gnu", start_AArch64},
#endif
#ifdef TETC_LLVM_ARM
    {"armv7 armv8 arm- armv6 thumbv7", "armv7a-linux-gnueabihf", start_ARM},
#endif
    {NULL, NULL, NULL}};

static bool triple_is(const char *triple, const char *prefixes) {
  for (const char *p = prefixes; *p;) {
    size_t n = strcspn(p, " ");
    if (!strncmp(triple, p, n)) return true;
    p += n + (p[n] == ' ');
  }
  return false;
}

// The host's own architecture may be none of the above; LLVM's native target serves it.
static void start_native(void) {
  LLVMInitializeNativeTarget();
  LLVMInitializeNativeAsmPrinter();
}

static bool start_target(const char *triple, bool host) {
  for (const Arch *a = archs; a->prefixes; a++) {
    if (!triple_is(triple, a->prefixes)) continue;
    a->start();
    return true;
  }
  if (host) start_native();
  return host;
}

void machine_targets(Text *out) {
  char *host = module_text(LLVMGetDefaultTargetTriple());
  text_add(out, "%-28s this machine\n", host);
  for (const Arch *a = archs; a->prefixes; a++)
    text_add(out, "%-28s triples that start with: %s\n", a->example, a->prefixes);
  LLVMDisposeMessage(host);
}

static bool report_target(Ctx *cx, const char *triple, char *why) {
  Text list = {.arena = cx->arena};
  machine_targets(&list);
  if (list.len) list.data[--list.len] = 0;
  Diag *d = diag_report(cx->diags, E_TARGET_TRIPLE, (Loc){0}, "no host target `%s`", triple);
  if (why) diag_note(d, "%s", why);
  diag_help(d, "the targets built in are\n%s", list.data);
  LLVMDisposeMessage(why);
  return false;
}

static LLVMCodeGenOptLevel codegen_level(int level) {
  return level <= 0   ? LLVMCodeGenLevelNone
         : level == 1 ? LLVMCodeGenLevelLess
         : level == 2 ? LLVMCodeGenLevelDefault
                      : LLVMCodeGenLevelAggressive;
}

// `arm-linux-gnueabihf` alone would be ARMv4 to LLVM; as everywhere in Debian, hard float means ARMv7 with VFPv3.
static const char *baseline(const char *triple) {
  return !strncmp(triple, "arm", 3) && strstr(triple, "eabihf") ? "+v7,+vfp3d16" : "";
}

// LLVM has no question for "is this a processor?"; it complains on stderr, and may abort later. So what it writes while
// the machine is made is caught, and is the answer. Only asked about names that the user gave.
static LLVMTargetMachineRef create_watched(LLVMTargetRef target, const Machine *m, int level, Text *complaint) {
  FILE *log = tmpfile();
  int saved = log ? dup(STDERR_FILENO) : -1;
  fflush(stderr);
  if (saved >= 0) dup2(fileno(log), STDERR_FILENO);
  LLVMTargetMachineRef tm = LLVMCreateTargetMachine(target, m->triple, m->cpu, m->features, codegen_level(level),
                                                    LLVMRelocPIC, LLVMCodeModelDefault);
  if (saved >= 0) {
    char buf[512];
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(log);
    size_t n = fread(buf, 1, sizeof buf - 1, log);
    buf[n] = 0;
    text_add(complaint, "%.*s", (int)strcspn(buf, "\n"), buf);
  }
  if (log) fclose(log);
  return tm;
}

static bool report_processor(Ctx *cx, const Machine *m, const Text *complaint) {
  bool feature = strstr(complaint->data, "feature") != NULL;
  Diag *d = diag_report(cx->diags, E_TARGET_TRIPLE, (Loc){0}, "the target `%s` has no %s `%s`", m->triple,
                        feature ? "such feature in" : "processor", feature ? m->features : m->cpu);
  diag_note(d, "LLVM says: %s", complaint->data);
  diag_help(d, "%s",
            feature ? "write features as +name or -name, with commas between" : "`-mcpu=native` is this machine's");
  return false;
}

bool machine_open(Ctx *cx, const LlvmOptions *opt, bool jit, Machine *out) {
  *out = (Machine){0};
  char *host = module_text(LLVMGetDefaultTargetTriple()), *why = NULL;
  out->triple = module_text(LLVMNormalizeTargetTriple(opt->triple ? opt->triple : host));
  char *normal = module_text(LLVMNormalizeTargetTriple(host));
  bool is_host = !strcmp(normal, out->triple);
  LLVMDisposeMessage(host);
  LLVMDisposeMessage(normal);
  LLVMTargetRef target;
  if (!start_target(out->triple, is_host) || LLVMGetTargetFromTriple(out->triple, &target, &why))
    return report_target(cx, opt->triple ? opt->triple : out->triple, why);
  bool native = opt->cpu ? !strcmp(opt->cpu, "native") : jit;
  out->cpu = native ? module_text(LLVMGetHostCPUName()) : module_text(LLVMCreateMessage(opt->cpu ? opt->cpu : ""));
  char *own = native ? module_text(LLVMGetHostCPUFeatures()) : module_text(LLVMCreateMessage(baseline(out->triple)));
  Text features = {.arena = cx->arena};
  text_add(&features, "%s%s%s", own, *own && opt->features ? "," : "", opt->features ? opt->features : "");
  LLVMDisposeMessage(own);
  out->features = module_text(LLVMCreateMessage(features.data));
  Text complaint = {.arena = cx->arena};
  if ((opt->cpu && !native) || opt->features) out->tm = create_watched(target, out, opt->opt_level, &complaint);
  else
    out->tm = LLVMCreateTargetMachine(target, out->triple, out->cpu, out->features, codegen_level(opt->opt_level),
                                      LLVMRelocPIC, LLVMCodeModelDefault);
  if (complaint.len) return report_processor(cx, out, &complaint);
  if (!out->tm) return report_target(cx, out->triple, NULL);
  out->layout = LLVMCreateTargetDataLayout(out->tm);
  return true;
}

void machine_close(Machine *m) {
  if (m->layout) LLVMDisposeTargetData(m->layout);
  if (m->tm) LLVMDisposeTargetMachine(m->tm);
  LLVMDisposeMessage(m->triple);
  LLVMDisposeMessage(m->cpu);
  LLVMDisposeMessage(m->features);
  *m = (Machine){0};
}

#if TETC_LLVM_MAJOR >= 18
#define COMBINE "instcombine<no-verify-fixpoint>"
#else
#define COMBINE "instcombine"
#endif

// Loops come rotated, and there is nothing to inline; so a short list makes code as fast as default<O2>'s for two
// thirds of its time: registers, folding, invariants and accumulators out of loops, small loops unrolled, and
// accumulators that this shows out of the loop around. LLVM's vectorizers stay out: what LLVM 19's make is wrong for
// some programs (docs/llvm.md lists them).
static const char quick[] = "function(mem2reg,early-cse,simplifycfg)";
static const char normal[] =
    "function(sroa,early-cse,loop-mssa(licm),loop(loop-unroll-full)," COMBINE ",simplifycfg,loop-unroll<O2>,early-cse,"
    "simplifycfg,loop-mssa(licm))";
// Not default<O3>: it has both vectorizers, whatever its options in the C API say.
static const char aggressive[] =
    "function(sroa,early-cse<memssa>,loop-mssa(licm),loop(loop-unroll-full)," COMBINE ",simplifycfg,gvn,"
    "loop-unroll<O3>,gvn,simplifycfg,loop-mssa(licm),dse," COMBINE ")";

bool machine_optimize(Ctx *cx, const Machine *mc, LLVMModuleRef m, int level) {
  if (level <= 0) return true;
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef err = LLVMRunPasses(m, level == 1 ? quick : level == 2 ? normal : aggressive, mc->tm, options);
  LLVMDisposePassBuilderOptions(options);
  if (!err) return true;
  char *why = LLVMGetErrorMessage(err);
  diag_note(diag_report(cx->diags, E_INTERNAL, (Loc){0}, "LLVM's passes failed"), "%s", why);
  LLVMDisposeErrorMessage(why);
  return false;
}

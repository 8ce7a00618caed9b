// SPDX-License-Identifier: Apache-2.0
// What generated code may call in the host's C library: by the emitter's hand, or because LLVM turns an operation into
// a call where the CPU lacks it. Given to the JIT by address, so that it works however tetc was linked.
#include "backend_llvm/internal.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>

// clang-format off
// A function's address, whatever its type.
#define S(name) {#name, (void (*)(void))name}

const LlvmSymbol host_symbols[] = {
  S(pthread_create), S(pthread_join), S(getenv), S(atoi), S(sched_getaffinity), S(write), // threads.c
  S(aligned_alloc), S(free), S(memcpy), S(memmove), S(memset), S(memcmp), S(bzero),
  S(exp), S(expf), S(log), S(logf), S(log2), S(log2f), S(sqrt), S(sqrtf), S(sin), S(sinf), S(cos), S(cosf), S(tan),
  S(tanf), S(atan), S(atanf), S(tanh), S(tanhf), S(erf), S(erff), S(pow), S(powf), S(fmod), S(fmodf), S(round),
  S(roundf), S(floor), S(floorf), S(ceil), S(ceilf), S(trunc), S(truncf), S(fabs), S(fabsf), S(exp2), S(exp2f),
  S(log10), S(log10f), S(sincos), S(sincosf), S(ldexp), S(ldexpf), S(cbrt), S(cbrtf), S(exp10), S(exp10f)};
// clang-format on
const int host_symbol_count = sizeof host_symbols / sizeof *host_symbols;

// SPDX-License-Identifier: Apache-2.0
// Prints SystemVerilog that fails to elaborate unless the places of all fields (vta_isa.svh) and the codes (vta_pkg)
// are those of the C decoder: random words, and what C finds in them, for the default and for random configurations.
#include "isa/isa.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CONFIGS = 12, WORDS_EACH = 4 };

static uint32_t next(uint64_t *seed) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*seed >> 32);
}

// A code: OPC_LOAD is OpLoad.
static void print_code(const char *prefix, const char *name, unsigned value) {
  printf("  if (vta_pkg::%s%c", prefix, name[0]);
  for (const char *p = name + 1; *p; p++) putchar(tolower(*p));
  printf(" != %u) $error(\"%s\");\n", value, name);
}

// A field of word number n. Bits above the field's width (a sign) are not compared.
static void print_field(int n, const char *format, const char *name, int bits, uint32_t value) {
  char macro[64];
  size_t len = 0;
  for (const char *p = name; *p && len < sizeof macro - 1; p++) macro[len++] = (char)toupper(*p);
  macro[len] = 0;
  uint32_t mask = bits >= 32 ? UINT32_MAX : (1u << bits) - 1;
  printf("  if (Word%d[`VTA_%s_%s] != %d'h%" PRIx32 ") $error(\"%s.%s of word %d\");\n", n, format, macro, bits,
         value & mask, format, name, n);
}

static void print_insn(const VtaConfig *c, int n, VtaWord w) {
  int U = vta_log_depth(c, MEM_UOP), W = vta_log_depth(c, MEM_WGT), A = vta_log_depth(c, MEM_ACC);
  VtaInsn i;
  if (!vta_decode(c, w, &i)) return;
  bool move = i.opcode == OPC_LOAD || i.opcode == OPC_STORE, gemm = i.opcode == OPC_GEMM, alu = i.opcode == OPC_ALU;
  int F = gemm ? vta_log_depth(c, MEM_INP) : A;
  if (alu || n % 2) w = vta_encode(c, &i); // there and back; of an ALU instruction, `reset` is never set
  printf("  localparam logic [127:0] Word%d = 128'h%016" PRIx64 "%016" PRIx64 ";\n", n, w.hi, w.lo);
#define FIELD_INSN(type, name, word, bits) print_field(n, "INSN", #name, bits, (uint32_t)i.name);
#include "isa/isa.def"
#define FIELD_MOVE(type, name, word, bits) \
  if (move) print_field(n, "MOVE", #name, bits, (uint32_t)i.name);
#define FIELD_GEMM(type, name, word, bits) \
  if (gemm) print_field(n, "GEMM", #name, bits, (uint32_t)i.name);
#define FIELD_ALU(type, name, word, bits) \
  if (alu) print_field(n, "ALU", #name, bits, (uint32_t)i.name);
#define FIELD_LOOP(type, name, word, bits) \
  if (gemm || alu) print_field(n, strcmp(#bits, "F") ? "LOOP" : gemm ? "GEMM" : "ALU", #name, bits, (uint32_t)i.name);
#include "isa/isa.def"
}

static void print_uop(const VtaConfig *c, int n, uint32_t w) {
  int I = vta_log_depth(c, MEM_INP), W = vta_log_depth(c, MEM_WGT), A = vta_log_depth(c, MEM_ACC), S = I > A ? I : A;
  VtaUop u = vta_decode_uop(c, w);
  printf("  localparam logic [31:0] Word%d = 32'h%08" PRIx32 ";\n", n, w);
#define FIELD_UOP(type, name, word, bits) print_field(n, "UOP", #name, bits, u.name);
#include "isa/isa.def"
}

static VtaConfig random_config(uint64_t *seed) {
  for (;;) {
    VtaConfig c = vta_config_default();
    c.log_uop_buff -= (int)(next(seed) % 5), c.log_inp_buff += (int)(next(seed) % 6) - 3;
    c.log_wgt_buff += (int)(next(seed) % 6) - 3, c.log_acc_buff -= (int)(next(seed) % 5);
    c.log_batch = (int)(next(seed) % 3), c.log_block_in = 3 + (int)(next(seed) % 3),
    c.log_block_out = 3 + (int)(next(seed) % 3);
    c.log_out_buff = c.log_acc_buff + c.log_out_width - c.log_acc_width;
    if (!vta_config_problem(&c)) return c;
  }
}

int main(void) {
  uint64_t seed = 1;
  int n = 0;
  printf("`include \"vta_isa.svh\"\nmodule codes;\n");
#define OPCODE(name) print_code("Op", #name, OPC_##name);
#define MEMORY(name, text) print_code("Mem", #name, MEM_##name);
#define ALU_OP(name, text) print_code("Alu", #name, ALU_##name);
#include "isa/isa.def"
  printf("endmodule\n");
  for (int k = 0; k < CONFIGS; k++) {
    VtaConfig c = k ? random_config(&seed) : vta_config_default();
    printf("module config%d;\n  localparam int LOG_UOP = %d, LOG_INP = %d, LOG_WGT = %d, LOG_ACC = %d;\n", k,
           vta_log_depth(&c, MEM_UOP), vta_log_depth(&c, MEM_INP), vta_log_depth(&c, MEM_WGT),
           vta_log_depth(&c, MEM_ACC));
    for (int j = 0; j < WORDS_EACH * 8; j++, n++) {
      uint64_t hi = (uint64_t)next(&seed) << 32 | next(&seed), lo = (uint64_t)next(&seed) << 32 | next(&seed);
      if (j % 8 == 7) print_uop(&c, n, next(&seed));
      else print_insn(&c, n, (VtaWord){lo, hi});
    }
    printf("endmodule\n");
  }
  printf("module all;\n  codes u_codes();\n");
  for (int k = 0; k < CONFIGS; k++) printf("  config%d u_config%d();\n", k, k);
  printf("endmodule\n");
  return 0;
}

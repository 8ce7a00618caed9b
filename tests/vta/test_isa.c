// SPDX-License-Identifier: Apache-2.0
// Golden encodings, worked out by hand from the bit tables of vta-isa section 2, and configurations that must not pass.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "isa/isa.h"

#include <string.h>

static void check_word(const VtaConfig *c, VtaInsn i, uint64_t lo, uint64_t hi) {
  VtaWord w = vta_encode(c, &i);
  assert_int_equal(w.lo, lo);
  assert_int_equal(w.hi, hi);
}

// Depths and element sizes of the default configuration and the two measured others (section 1.1).
static void depths(void **state) {
  (void)state;
  VtaConfig c = vta_config_default();
  assert_int_equal(vta_log_depth(&c, MEM_UOP), 13);
  assert_int_equal(vta_log_depth(&c, MEM_INP), 11);
  assert_int_equal(vta_log_depth(&c, MEM_WGT), 10);
  assert_int_equal(vta_log_depth(&c, MEM_ACC), 11);
  assert_int_equal(vta_log_depth(&c, MEM_OUT), 11);
  assert_int_equal(vta_depth(&c, MEM_ACC8), 2048);
  const int64_t bytes[MEM_COUNT] = {4, 256, 16, 64, 16, 16};
  for (int m = 0; m < MEM_COUNT; m++) assert_int_equal(vta_elem_bytes(&c, (VtaMemory)m), bytes[m]);
  c.log_block_in = c.log_block_out = 5;
  assert_null(vta_config_problem(&c));
  assert_int_equal(vta_log_depth(&c, MEM_INP), 10);
  assert_int_equal(vta_log_depth(&c, MEM_WGT), 8);
  assert_int_equal(vta_log_depth(&c, MEM_ACC), 10);
  const int64_t block32[MEM_COUNT] = {4, 1024, 32, 128, 32, 32};
  for (int m = 0; m < MEM_COUNT; m++) assert_int_equal(vta_elem_bytes(&c, (VtaMemory)m), block32[m]);
  c = vta_config_default();
  c.log_batch = 1;
  assert_null(vta_config_problem(&c));
  assert_int_equal(vta_log_depth(&c, MEM_INP), 10);
  assert_int_equal(vta_log_depth(&c, MEM_WGT), 10);
  assert_int_equal(vta_log_depth(&c, MEM_ACC), 10);
  const int64_t batch2[MEM_COUNT] = {4, 256, 32, 128, 32, 32};
  for (int m = 0; m < MEM_COUNT; m++) assert_int_equal(vta_elem_bytes(&c, (VtaMemory)m), batch2[m]);
}

static void golden_memory(void **state) {
  (void)state;
  VtaConfig c = vta_config_default();
  // opcode 0, push_next bit 6, memory 2 at 7, sram 5 at 10, dram 0x12345678 at 26
  check_word(&c,
             (VtaInsn){.opcode = OPC_LOAD,
                       .push_next = true,
                       .memory = MEM_INP,
                       .sram_base = 5,
                       .dram_base = 0x12345678,
                       .y_size = 14,
                       .x_size = 56,
                       .x_stride = 224,
                       .y_pad0 = 1,
                       .y_pad1 = 2,
                       .x_pad0 = 3,
                       .x_pad1 = 4},
             1u << 6 | 2u << 7 | 5u << 10 | (uint64_t)0x12345678 << 26,
             14 | (uint64_t)56 << 16 | (uint64_t)224 << 32 | (uint64_t)1 << 48 | (uint64_t)2 << 52 | (uint64_t)3 << 56 |
                 (uint64_t)4 << 60);
  // every field full: bits 58..63 of the low word stay 0
  check_word(&c,
             (VtaInsn){.opcode = OPC_STORE,
                       .pop_prev = true,
                       .pop_next = true,
                       .push_prev = true,
                       .push_next = true,
                       .memory = MEM_OUT,
                       .sram_base = 0xFFFF,
                       .dram_base = 0xFFFFFFFF,
                       .y_size = 0xFFFF,
                       .x_size = 0xFFFF,
                       .x_stride = 0xFFFF,
                       .y_pad0 = 15,
                       .y_pad1 = 15,
                       .x_pad0 = 15,
                       .x_pad1 = 15},
             0x03FFFFFFFFFFFC00u | 4u << 7 | 0x78 | 1, ~(uint64_t)0);
  // the no-ops of section 3
  check_word(&c, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_INP}, 0x100, 0);
  check_word(&c, (VtaInsn){.opcode = OPC_LOAD, .memory = MEM_UOP}, 0, 0);
  check_word(&c, (VtaInsn){.opcode = OPC_STORE, .memory = MEM_UOP}, 1, 0);
  check_word(&c, (VtaInsn){.opcode = OPC_FINISH, .pop_prev = true}, 3 | 8, 0);
}

static void golden_compute(void **state) {
  (void)state;
  VtaConfig c = vta_config_default();
  check_word(&c,
             (VtaInsn){.opcode = OPC_GEMM,
                       .pop_prev = true,
                       .push_prev = true,
                       .reset = true,
                       .uop_begin = 3,
                       .uop_end = 8192,
                       .iter_out = 14,
                       .iter_in = 16383,
                       .dst_out = 2047,
                       .dst_in = 1,
                       .src_out = 58,
                       .src_in = 2,
                       .wgt_out = 1023,
                       .wgt_in = 9},
             2 | 8 | 32 | 128 | 3u << 8 | (uint64_t)8192 << 21 | (uint64_t)14 << 35 | (uint64_t)16383 << 49,
             2047 | (uint64_t)1 << 11 | (uint64_t)58 << 22 | (uint64_t)2 << 33 | (uint64_t)1023 << 44 |
                 (uint64_t)9 << 54);
  check_word(&c,
             (VtaInsn){.opcode = OPC_ALU,
                       .push_next = true,
                       .uop_begin = 1,
                       .uop_end = 2,
                       .iter_out = 7,
                       .iter_in = 8,
                       .dst_out = 5,
                       .dst_in = 6,
                       .src_out = 7,
                       .src_in = 8,
                       .alu_op = ALU_SHR,
                       .use_imm = true,
                       .imm = -8},
             4 | 64 | 1u << 8 | 2u << 21 | (uint64_t)7 << 35 | (uint64_t)8 << 49,
             5 | 6u << 11 | 7u << 22 | (uint64_t)8 << 33 | (uint64_t)3 << 44 | (uint64_t)1 << 47 |
                 (uint64_t)0xFFF8 << 48);
  assert_int_equal(vta_encode_uop(&c, (VtaUop){2047, 1, 512}), 2047 | 1u << 11 | 512u << 22);
}

// Block 32: U stays 13, A = 10, I = 10, W = 8; unused bits gather at the top.
static void golden_block32(void **state) {
  (void)state;
  VtaConfig c = vta_config_default();
  c.log_block_in = c.log_block_out = 5;
  check_word(&c,
             (VtaInsn){.opcode = OPC_GEMM,
                       .uop_end = 1,
                       .iter_out = 1,
                       .iter_in = 1,
                       .dst_out = 1,
                       .dst_in = 2,
                       .src_out = 3,
                       .src_in = 4,
                       .wgt_out = 5,
                       .wgt_in = 6},
             2 | 1u << 21 | (uint64_t)1 << 35 | (uint64_t)1 << 49,
             1 | 2u << 10 | 3u << 20 | (uint64_t)4 << 30 | (uint64_t)5 << 40 | (uint64_t)6 << 48);
  check_word(&c, (VtaInsn){.opcode = OPC_ALU, .uop_end = 1, .iter_out = 1, .iter_in = 1, .alu_op = ALU_MUL, .imm = -1},
             4 | 1u << 21 | (uint64_t)1 << 35 | (uint64_t)1 << 49, (uint64_t)4 << 40 | (uint64_t)0xFFFF << 44);
  assert_int_equal(vta_encode_uop(&c, (VtaUop){1, 2, 3}), 1 | 2u << 10 | 3u << 20);
}

// A > I widens the source field of a micro-op to A; I > A to I.
static void uop_source_width(void **state) {
  (void)state;
  VtaConfig c = vta_config_default();
  c.log_inp_buff = 13; // I = 9
  assert_int_equal(vta_encode_uop(&c, (VtaUop){1, 2047, 1}), 1 | 2047u << 11 | 1u << 22);
  c = vta_config_default();
  c.log_acc_buff = 15; // A = 9
  c.log_out_buff = 13;
  assert_null(vta_config_problem(&c));
  assert_int_equal(vta_encode_uop(&c, (VtaUop){1, 2047, 1}), 1 | 2047u << 9 | 1u << 20);
}

static uint32_t next(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 8;
}

static VtaConfig random_config(uint32_t *seed) {
  for (;;) {
    VtaConfig c = vta_config_default();
    c.log_batch = (int)(next(seed) % 3);
    c.log_block_in = (int)(2 + next(seed) % 5);
    c.log_block_out = (int)(2 + next(seed) % 5);
    c.log_uop_buff = (int)(10 + next(seed) % 7);
    c.log_inp_buff = (int)(10 + next(seed) % 8);
    c.log_wgt_buff = (int)(12 + next(seed) % 8);
    c.log_acc_buff = (int)(12 + next(seed) % 7);
    c.log_out_buff = c.log_acc_buff - 2;
    if (!vta_config_problem(&c)) return c;
  }
}

static uint32_t below(uint32_t *seed, int log) { return next(seed) & ((1u << log) - 1); }

static VtaInsn random_insn(const VtaConfig *c, uint32_t *seed) {
  VtaInsn i;
  memset(&i, 0, sizeof i);
  i.opcode = (VtaOpcode)(next(seed) % 5);
  i.pop_prev = next(seed) & 1, i.pop_next = next(seed) & 1, i.push_prev = next(seed) & 1, i.push_next = next(seed) & 1;
  int u = vta_log_depth(c, MEM_UOP), a = vta_log_depth(c, MEM_ACC), w = vta_log_depth(c, MEM_WGT);
  int s = i.opcode == OPC_GEMM ? vta_log_depth(c, MEM_INP) : a;
  if (i.opcode == OPC_LOAD || i.opcode == OPC_STORE) {
    static const VtaMemory loads[] = {MEM_UOP, MEM_WGT, MEM_INP, MEM_ACC, MEM_ACC8};
    i.memory = i.opcode == OPC_STORE ? MEM_OUT : loads[next(seed) % 5];
    i.sram_base = below(seed, 16), i.dram_base = next(seed) << 8 | below(seed, 8), i.y_size = below(seed, 16);
    i.x_size = below(seed, 16), i.x_stride = below(seed, 16);
    i.y_pad0 = below(seed, 4), i.y_pad1 = below(seed, 4), i.x_pad0 = below(seed, 4), i.x_pad1 = below(seed, 4);
  } else if (i.opcode != OPC_FINISH) {
    i.uop_begin = below(seed, u), i.uop_end = below(seed, u + 1), i.iter_out = below(seed, 14),
    i.iter_in = below(seed, 14);
    i.dst_out = below(seed, a), i.dst_in = below(seed, a), i.src_out = below(seed, s), i.src_in = below(seed, s);
    if (i.opcode == OPC_GEMM) {
      i.reset = next(seed) & 1, i.wgt_out = below(seed, w), i.wgt_in = below(seed, w);
    } else {
      i.alu_op = (VtaAluOp)(next(seed) % 5), i.use_imm = next(seed) & 1, i.imm = (int16_t)below(seed, 16);
    }
  }
  return i;
}

// Decoding gives back what was encoded, for any configuration; stray bits outside the fields change nothing.
static void round_trip(void **state) {
  (void)state;
  uint32_t seed = 1;
  for (int n = 0; n < 20000; n++) {
    VtaConfig c = random_config(&seed);
    VtaInsn i = random_insn(&c, &seed), back;
    VtaWord w = vta_encode(&c, &i);
    if (i.opcode == OPC_LOAD || i.opcode == OPC_STORE) w.lo |= (uint64_t)below(&seed, 6) << 58;
    if (i.opcode == OPC_FINISH) w.hi = seed, w.lo |= (uint64_t)seed << 20;
    if (i.opcode == OPC_ALU) w.lo |= 1u << 7;
    assert_true(vta_decode(&c, w, &back));
    assert_memory_equal(&i, &back, sizeof i);
    int s = vta_log_depth(&c, MEM_INP), a = vta_log_depth(&c, MEM_ACC);
    VtaUop u = {below(&seed, a), below(&seed, s > a ? s : a), below(&seed, vta_log_depth(&c, MEM_WGT))};
    VtaUop v = vta_decode_uop(&c, vta_encode_uop(&c, u));
    assert_memory_equal(&u, &v, sizeof u);
  }
}

static void illegal(void **state) {
  (void)state;
  VtaConfig c = vta_config_default();
  VtaInsn i;
  for (uint64_t op = 5; op < 8; op++) assert_false(vta_decode(&c, (VtaWord){op, 0}, &i));
  assert_false(vta_decode(&c, (VtaWord){OPC_LOAD | (uint64_t)MEM_OUT << 7, 0}, &i));
  assert_false(vta_decode(&c, (VtaWord){OPC_LOAD | 6u << 7, 0}, &i));
  assert_false(vta_decode(&c, (VtaWord){OPC_STORE | (uint64_t)MEM_INP << 7, 1u << 16}, &i));
  assert_true(vta_decode(&c, (VtaWord){OPC_STORE, 0}, &i));
  for (uint64_t op = 5; op < 8; op++) assert_false(vta_decode(&c, (VtaWord){OPC_ALU, op << 44}, &i));
}

static void routing(void **state) {
  (void)state;
  const struct {
    VtaInsn i;
    VtaUnit unit;
  } cases[] = {{{.opcode = OPC_LOAD, .memory = MEM_INP}, UNIT_LOAD},
               {{.opcode = OPC_LOAD, .memory = MEM_WGT}, UNIT_LOAD},
               {{.opcode = OPC_LOAD, .memory = MEM_UOP}, UNIT_COMPUTE},
               {{.opcode = OPC_LOAD, .memory = MEM_ACC}, UNIT_COMPUTE},
               {{.opcode = OPC_LOAD, .memory = MEM_ACC8}, UNIT_COMPUTE},
               {{.opcode = OPC_GEMM}, UNIT_COMPUTE},
               {{.opcode = OPC_ALU}, UNIT_COMPUTE},
               {{.opcode = OPC_FINISH}, UNIT_COMPUTE},
               {{.opcode = OPC_STORE, .memory = MEM_OUT}, UNIT_STORE},
               {{.opcode = OPC_STORE, .memory = MEM_UOP}, UNIT_STORE}};
  for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) assert_int_equal(vta_unit(&cases[n].i), cases[n].unit);
}

static void check_text(VtaInsn i, const char *expected) {
  char buf[200], small[8];
  VtaConfig c = vta_config_default();
  int n = vta_disassemble(&c, &i, buf, sizeof buf);
  assert_string_equal(buf, expected);
  assert_int_equal(n, strlen(expected));
  assert_int_equal(vta_disassemble(&c, &i, small, sizeof small), n); // cut, but counted
  assert_memory_equal(small, expected, n < 7 ? (size_t)n : 7);
  assert_int_equal(vta_disassemble(&c, &i, NULL, 0), n);
}

static void text(void **state) {
  (void)state;
  check_text((VtaInsn){.opcode = OPC_LOAD,
                       .memory = MEM_INP,
                       .dram_base = 12,
                       .y_size = 14,
                       .x_size = 56,
                       .x_stride = 56,
                       .y_pad0 = 1,
                       .x_pad0 = 1,
                       .x_pad1 = 1,
                       .push_next = true},
             "load.inp sram=0 dram=12 y=14 x=56 stride=56 pad=(1,0,1,1) push>");
  check_text((VtaInsn){.opcode = OPC_STORE, .memory = MEM_UOP, .pop_prev = true}, "store.uop nothing pop<");
  check_text((VtaInsn){.opcode = OPC_GEMM,
                       .uop_begin = 1,
                       .uop_end = 3,
                       .iter_out = 4,
                       .iter_in = 5,
                       .dst_out = 6,
                       .dst_in = 7,
                       .src_out = 8,
                       .src_in = 9,
                       .wgt_out = 10,
                       .wgt_in = 11,
                       .pop_prev = true,
                       .push_prev = true},
             "gemm uop=[1,3) out=4 in=5 dst=(6,7) src=(8,9) wgt=(10,11) pop< push<");
  check_text((VtaInsn){.opcode = OPC_GEMM, .reset = true, .uop_end = 1, .iter_out = 1, .iter_in = 1},
             "gemm.reset uop=[0,1) out=1 in=1 dst=(0,0)");
  check_text((VtaInsn){.opcode = OPC_ALU,
                       .alu_op = ALU_SHR,
                       .use_imm = true,
                       .imm = -8,
                       .uop_end = 1,
                       .iter_out = 1,
                       .iter_in = 1,
                       .push_next = true},
             "alu.shr imm=-8 uop=[0,1) out=1 in=1 dst=(0,0) push>");
  check_text((VtaInsn){.opcode = OPC_FINISH, .pop_next = true}, "finish pop>");
}

// Sizes that do not encode (section 1.3), and types that are not supported, each named.
static void bad_configs(void **state) {
  (void)state;
  const struct {
    size_t field;
    int value;
    const char *word;
  } cases[] = {
#define AT(f) offsetof(VtaConfig, f)
      {AT(log_uop_buff), 16, "UOP"},       {AT(log_inp_buff), 16, "INP"},       {AT(log_wgt_buff), 19, "WGT"},
      {AT(log_acc_buff), 18, "ACC"},       {AT(log_inp_width), 4, "INP_WIDTH"}, {AT(log_wgt_width), 2, "WGT_WIDTH"},
      {AT(log_acc_width), 4, "ACC_WIDTH"}, {AT(log_out_width), 5, "OUT_WIDTH"}, {AT(log_uop_width), 6, "UOP_WIDTH"},
      {AT(log_ins_width), 8, "INS_WIDTH"}, {AT(log_batch), -1, "BATCH"},        {AT(log_batch), 64, "BATCH"},
      {AT(log_block_in), 13, "BLOCK"},     {AT(log_block_out), -3, "BLOCK"},    {AT(log_uop_buff), 2, "UOP"},
      {AT(log_inp_buff), 3, "INP"},        {AT(log_wgt_buff), 8, "WGT"},        {AT(log_acc_buff), 41, "BUFF"},
      {AT(log_out_buff), 16, "OUT_BUFF"}};
  for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
    VtaConfig c = vta_config_default();
    memcpy((char *)&c + cases[n].field, &cases[n].value, sizeof(int));
    if (cases[n].field == AT(log_acc_buff)) c.log_out_buff = c.log_acc_buff - 2;
    const char *why = vta_config_problem(&c);
    assert_non_null(why);
    assert_non_null(strstr(why, cases[n].word));
  }
  VtaConfig c = vta_config_default();
  assert_null(vta_config_problem(&c));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(depths),         cmocka_unit_test(golden_memory),    cmocka_unit_test(golden_compute),
      cmocka_unit_test(golden_block32), cmocka_unit_test(uop_source_width), cmocka_unit_test(round_trip),
      cmocka_unit_test(illegal),        cmocka_unit_test(routing),          cmocka_unit_test(text),
      cmocka_unit_test(bad_configs)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

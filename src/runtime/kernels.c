// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the simulator: GEMM and ALU on whole tiles, in plain C, AVX2 and AVX-512 VNNI.
//
// GEMM only adds to ACC, modulo 2^32, and reads INP and WGT alone: its steps may run in any order. ALU steps may not.
// VNNI multiplies unsigned by signed bytes: weights are kept as w + 128, and sum((w + 128) x) - 128 sum(x) is the
// product wanted. The factor of sum(x) is computed once, when INP is loaded.
#include "runtime/fsim.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define HAVE_X86 1
#include <immintrin.h>
#define TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define TARGET_AVX2 __attribute__((target("avx2")))
#else
#define HAVE_X86 0
#endif
#define INLINE static inline __attribute__((always_inline))

// ---- state ---------------------------------------------------------------------------------------------------------

static void *zeroed(size_t bytes) {
  size_t size = (bytes + 63) / 64 * 64;
  void *p = aligned_alloc(64, size);
  if (p) memset(p, 0, size);
  return p;
}

bool sram_init(Sram *s, const VtaConfig *c) {
  memset(s, 0, sizeof *s);
  s->config = *c;
  s->batch = (int64_t)1 << c->log_batch;
  s->block_in = (int64_t)1 << c->log_block_in;
  s->block_out = (int64_t)1 << c->log_block_out;
  s->inp_depth = vta_depth(c, MEM_INP);
  s->wgt_depth = vta_depth(c, MEM_WGT);
  s->acc_depth = vta_depth(c, MEM_ACC);
  s->uop_depth = vta_depth(c, MEM_UOP);
  size_t inp = (size_t)(s->inp_depth * s->batch * s->block_in);
  size_t wgt = (size_t)(s->wgt_depth * s->block_out * s->block_in);
  s->inp = zeroed(inp);
  s->wgt = zeroed(wgt);
  s->acc = zeroed((size_t)(s->acc_depth * s->batch * s->block_out) * sizeof *s->acc);
  s->uop = zeroed((size_t)s->uop_depth * sizeof *s->uop);
  s->wgt_lanes = zeroed(2 * wgt);
  s->inp_wide = zeroed(2 * inp);
  s->inp_fix = zeroed((size_t)(s->inp_depth * s->batch) * sizeof *s->inp_fix);
  if (!s->inp || !s->wgt || !s->acc || !s->uop || !s->wgt_lanes || !s->inp_wide || !s->inp_fix) {
    sram_free(s);
    return false;
  }
  return sram_use(s, SIMD_BEST);
}

void sram_free(Sram *s) {
  free(s->inp);
  free(s->wgt);
  free(s->acc);
  free(s->uop);
  free(s->wgt_lanes);
  free(s->inp_wide);
  free(s->inp_fix);
  memset(s, 0, sizeof *s);
}

static bool level_available(const Sram *s, SimdLevel level) {
  switch (level) {
  case SIMD_BEST:
  case SIMD_C: return true;
#if HAVE_X86
  case SIMD_AVX2: return s->block_out % 8 == 0 && s->block_in % 2 == 0 && __builtin_cpu_supports("avx2");
  case SIMD_VNNI:
    return s->block_out % 16 == 0 && s->block_in % 4 == 0 && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq");
#else
  case SIMD_AVX2:
  case SIMD_VNNI: break;
#endif
  }
  return false;
}

bool sram_use(Sram *s, SimdLevel level) {
  if (level == SIMD_BEST)
    level = level_available(s, SIMD_VNNI) ? SIMD_VNNI : level_available(s, SIMD_AVX2) ? SIMD_AVX2 : SIMD_C;
  if (!level_available(s, level)) return false;
  s->level = level;
  sram_inp_written(s, 0, s->inp_depth);
  sram_wgt_written(s, 0, s->wgt_depth);
  return true;
}

static void inp_sums(Sram *s, int64_t first, int64_t n) {
  for (int64_t row = first * s->batch; row < (first + n) * s->batch; row++) {
    int32_t sum = 0;
    for (int64_t k = 0; k < s->block_in; k++) sum += s->inp[row * s->block_in + k];
    s->inp_fix[row] = -128 * sum;
  }
}

void sram_inp_written(Sram *s, int64_t first, int64_t n) {
  if (s->level == SIMD_VNNI) inp_sums(s, first, n);
  if (s->level != SIMD_AVX2) return;
  int64_t size = s->batch * s->block_in;
  for (int64_t i = first * size; i < (first + n) * size; i++) s->inp_wide[i] = s->inp[i];
}

// [block_out][block_in] -> [block_out / 16][block_in / 4][16][4], plus 128.
static void wgt_to_vnni(const Sram *s, const int8_t *tile, uint8_t *lanes) {
  for (int64_t c = 0; c < s->block_out; c++)
    for (int64_t k = 0; k < s->block_in; k += 4) {
      uint32_t four;
      memcpy(&four, tile + c * s->block_in + k, 4);
      four ^= 0x80808080u;
      memcpy(lanes + (c / 16 * (s->block_in / 4) + k / 4) * 64 + c % 16 * 4, &four, 4);
    }
}

// [block_out][block_in] -> int16 [block_out / 8][block_in / 2][8][2].
static void wgt_to_avx2(const Sram *s, const int8_t *tile, int16_t *lanes) {
  for (int64_t c = 0; c < s->block_out; c++)
    for (int64_t k = 0; k < s->block_in; k++)
      lanes[(c / 8 * (s->block_in / 2) + k / 2) * 16 + c % 8 * 2 + k % 2] = tile[c * s->block_in + k];
}

void sram_wgt_written(Sram *s, int64_t first, int64_t n) {
  int64_t size = s->block_out * s->block_in;
  for (int64_t w = first; w < first + n; w++) {
    if (s->level == SIMD_VNNI) wgt_to_vnni(s, s->wgt + w * size, s->wgt_lanes + w * size);
    if (s->level == SIMD_AVX2) wgt_to_avx2(s, s->wgt + w * size, (int16_t *)(void *)s->wgt_lanes + w * size);
  }
}

// ---- GEMM ----------------------------------------------------------------------------------------------------------

static void gemm_c(Sram *s, const VtaInsn *i) {
  int64_t batch = s->batch, in = s->block_in, out = s->block_out;
  for (uint32_t o = 0; o < i->iter_out; o++)
    for (uint32_t j = 0; j < i->iter_in; j++)
      for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
        const VtaUop *u = &s->uop[k];
        int32_t *acc = s->acc + (int64_t)(u->dst + o * i->dst_out + j * i->dst_in) * batch * out;
        const int8_t *inp = s->inp + (int64_t)(u->src + o * i->src_out + j * i->src_in) * batch * in;
        const int8_t *wgt = s->wgt + (int64_t)(u->wgt + o * i->wgt_out + j * i->wgt_in) * out * in;
        for (int64_t b = 0; b < batch; b++)
          for (int64_t c = 0; c < out; c++) {
            int32_t sum = 0;
            for (int64_t r = 0; r < in; r++) sum += inp[b * in + r] * wgt[c * in + r];
            acc[b * out + c] = (int32_t)((uint32_t)acc[b * out + c] + (uint32_t)sum);
          }
      }
}

#if HAVE_X86

// One row of 16 outputs: init + fix + sum of `groups` products of four, in two chains.
INLINE TARGET_VNNI __m512i vnni_row(__m512i acc, int32_t fix, const int8_t *inp, const __m512i *wgt, int64_t groups) {
  __m512i a = _mm512_set1_epi32(fix), b = _mm512_setzero_si512();
  int64_t g = 0;
#pragma GCC unroll 16
  for (; g + 1 < groups; g += 2) {
    int32_t x, y;
    memcpy(&x, inp + 4 * g, 4);
    memcpy(&y, inp + 4 * g + 4, 4);
    a = _mm512_dpbusd_epi32(a, wgt[g], _mm512_set1_epi32(x));
    b = _mm512_dpbusd_epi32(b, wgt[g + 1], _mm512_set1_epi32(y));
  }
  if (g < groups) {
    int32_t x;
    memcpy(&x, inp + 4 * g, 4);
    a = _mm512_dpbusd_epi32(a, wgt[g], _mm512_set1_epi32(x));
  }
  return _mm512_add_epi32(acc, _mm512_add_epi32(a, b));
}

INLINE TARGET_VNNI void vnni_tile(int32_t *acc, const int8_t *inp, const int32_t *fix, const __m512i *wgt,
                                  int64_t batch, int64_t columns, int64_t groups) {
  for (int64_t b = 0; b < batch; b++)
    for (int64_t c = 0; c < columns; c++) {
      int32_t *at = acc + (b * columns + c) * 16;
      __m512i v = vnni_row(_mm512_loadu_si512(at), fix[b], inp + b * groups * 4, wgt + c * groups, groups);
      _mm512_storeu_si512(at, v);
    }
}

// The three loops around a tile. The sizes are constants where this is inlined with constants.
INLINE TARGET_VNNI void vnni_loops(Sram *s, const VtaInsn *i, int64_t batch, int64_t columns, int64_t groups) {
  for (uint32_t o = 0; o < i->iter_out; o++)
    for (uint32_t j = 0; j < i->iter_in; j++) {
      uint32_t dst = o * i->dst_out + j * i->dst_in, src = o * i->src_out + j * i->src_in;
      uint32_t wgt = o * i->wgt_out + j * i->wgt_in;
      for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
        const VtaUop *u = &s->uop[k];
        vnni_tile(s->acc + (int64_t)(u->dst + dst) * batch * columns * 16,
                  s->inp + (int64_t)(u->src + src) * batch * groups * 4, s->inp_fix + (int64_t)(u->src + src) * batch,
                  (const __m512i *)(const void *)s->wgt_lanes + (int64_t)(u->wgt + wgt) * columns * groups, batch,
                  columns, groups);
      }
    }
}

// As vnni_loops for the 1x16x16 tile, where the weights of a micro-op stay the same through the inner loop: they are
// kept in registers, and so is ACC when it does not move either.
TARGET_VNNI static void vnni_stationary(Sram *s, const VtaInsn *i) {
  for (uint32_t o = 0; o < i->iter_out; o++)
    for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
      const VtaUop *u = &s->uop[k];
      const __m512i *w = (const __m512i *)(const void *)s->wgt_lanes + (int64_t)(u->wgt + o * i->wgt_out) * 4;
      __m512i keep[4] = {w[0], w[1], w[2], w[3]};
      int32_t *acc = s->acc + (int64_t)(u->dst + o * i->dst_out) * 16;
      const int8_t *inp = s->inp + (int64_t)(u->src + o * i->src_out) * 16;
      const int32_t *fix = s->inp_fix + (u->src + o * i->src_out);
      for (uint32_t j = 0; j < i->iter_in; j++) {
        __m512i v = vnni_row(_mm512_loadu_si512(acc), *fix, inp, keep, 4);
        _mm512_storeu_si512(acc, v);
        acc += (int64_t)i->dst_in * 16;
        inp += (int64_t)i->src_in * 16;
        fix += i->src_in;
      }
    }
}

TARGET_VNNI static void gemm_vnni(Sram *s, const VtaInsn *i) {
  int64_t columns = s->block_out / 16, groups = s->block_in / 4;
  if (s->batch == 1 && columns == 1 && groups == 4) {
    if (i->wgt_in == 0 && i->iter_in >= 4) vnni_stationary(s, i);
    else vnni_loops(s, i, 1, 1, 4);
  } else if (s->batch == 2 && columns == 1 && groups == 4) {
    vnni_loops(s, i, 2, 1, 4);
  } else if (s->batch == 1 && columns == 2 && groups == 8) {
    vnni_loops(s, i, 1, 2, 8);
  } else {
    vnni_loops(s, i, s->batch, columns, groups);
  }
}

// One row of 8 outputs from int16 pairs.
INLINE TARGET_AVX2 __m256i avx2_row(__m256i acc, const int16_t *inp, const __m256i *wgt, int64_t pairs) {
  __m256i other = _mm256_setzero_si256();
  for (int64_t p = 0; p < pairs; p++) {
    int32_t x;
    memcpy(&x, inp + 2 * p, 4);
    __m256i product = _mm256_madd_epi16(wgt[p], _mm256_set1_epi32(x));
    if (p & 1) other = _mm256_add_epi32(other, product);
    else acc = _mm256_add_epi32(acc, product);
  }
  return _mm256_add_epi32(acc, other);
}

INLINE TARGET_AVX2 void avx2_loops(Sram *s, const VtaInsn *i, int64_t batch, int64_t columns, int64_t pairs) {
  for (uint32_t o = 0; o < i->iter_out; o++)
    for (uint32_t j = 0; j < i->iter_in; j++)
      for (uint32_t k = i->uop_begin; k < i->uop_end; k++) {
        const VtaUop *u = &s->uop[k];
        int32_t *acc = s->acc + (int64_t)(u->dst + o * i->dst_out + j * i->dst_in) * batch * columns * 8;
        const int16_t *inp = s->inp_wide + (int64_t)(u->src + o * i->src_out + j * i->src_in) * batch * pairs * 2;
        const __m256i *wgt = (const __m256i *)(const void *)s->wgt_lanes +
                             (int64_t)(u->wgt + o * i->wgt_out + j * i->wgt_in) * columns * pairs;
        for (int64_t b = 0; b < batch; b++)
          for (int64_t c = 0; c < columns; c++) {
            __m256i *at = (__m256i *)(void *)(acc + (b * columns + c) * 8);
            _mm256_storeu_si256(at, avx2_row(_mm256_loadu_si256(at), inp + b * pairs * 2, wgt + c * pairs, pairs));
          }
      }
}

TARGET_AVX2 static void gemm_avx2(Sram *s, const VtaInsn *i) {
  if (s->batch == 1 && s->block_out == 16 && s->block_in == 16) avx2_loops(s, i, 1, 2, 8);
  else avx2_loops(s, i, s->batch, s->block_out / 8, s->block_in / 2);
}

#endif

static void gemm_reset(Sram *s, const VtaInsn *i) {
  size_t tile = (size_t)(s->batch * s->block_out);
  for (uint32_t o = 0; o < i->iter_out; o++)
    for (uint32_t j = 0; j < i->iter_in; j++)
      for (uint32_t k = i->uop_begin; k < i->uop_end; k++)
        memset(s->acc + (s->uop[k].dst + o * i->dst_out + j * i->dst_in) * tile, 0, tile * sizeof *s->acc);
}

void sram_gemm(Sram *s, const VtaInsn *i) {
  if (i->reset) {
    gemm_reset(s, i);
    return;
  }
  switch (s->level) {
  case SIMD_BEST:
  case SIMD_C: gemm_c(s, i); break;
#if HAVE_X86
  case SIMD_AVX2: gemm_avx2(s, i); break;
  case SIMD_VNNI: gemm_vnni(s, i); break;
#else
  case SIMD_AVX2:
  case SIMD_VNNI: break;
#endif
  }
}

// ---- ALU -----------------------------------------------------------------------------------------------------------

// One lane. Shift amounts are the low five bits of y, or of -y to the left.
INLINE int32_t alu_lane(VtaAluOp op, int32_t x, int32_t y) {
  switch (op) {
  case ALU_MIN: return x < y ? x : y;
  case ALU_MAX: return x > y ? x : y;
  case ALU_ADD: return (int32_t)((uint32_t)x + (uint32_t)y);
  case ALU_SHR: {
    int32_t right = x >> (y & 31);
    int32_t left = (int32_t)((uint32_t)x << ((0u - (uint32_t)y) & 31));
    return y >= 0 ? right : left;
  }
  case ALU_MUL: return (int32_t)((uint32_t)x * (uint32_t)y);
  }
  return x;
}

// Generates the three loops for one way of computing a tile. STEP(op, x, y, imm, lanes) does one tile: x = op(x, y).
// `op` and `use_imm` are constants where `name` is inlined; two tiles are the same or do not overlap.
#define ALU_LOOPS(attributes, name, STEP) \
  INLINE attributes void name##_loops(Sram *s, const VtaInsn *i, VtaAluOp op, bool use_imm, int64_t lanes) { \
    for (uint32_t o = 0; o < i->iter_out; o++) \
      for (uint32_t j = 0; j < i->iter_in; j++) { \
        uint32_t dst = o * i->dst_out + j * i->dst_in, src = o * i->src_out + j * i->src_in; \
        for (uint32_t k = i->uop_begin; k < i->uop_end; k++) { \
          int32_t *x = s->acc + (int64_t)(s->uop[k].dst + dst) * lanes; \
          STEP(op, x, use_imm ? NULL : s->acc + (int64_t)(s->uop[k].src + src) * lanes, i->imm, lanes); \
        } \
      } \
  } \
  INLINE attributes void name##_op(Sram *s, const VtaInsn *i, bool use_imm, int64_t lanes) { \
    switch (i->alu_op) { \
    case ALU_MIN: name##_loops(s, i, ALU_MIN, use_imm, lanes); break; \
    case ALU_MAX: name##_loops(s, i, ALU_MAX, use_imm, lanes); break; \
    case ALU_ADD: name##_loops(s, i, ALU_ADD, use_imm, lanes); break; \
    case ALU_SHR: name##_loops(s, i, ALU_SHR, use_imm, lanes); break; \
    case ALU_MUL: name##_loops(s, i, ALU_MUL, use_imm, lanes); break; \
    } \
  } \
  attributes static void name(Sram *s, const VtaInsn *i) { \
    int64_t lanes = s->batch * s->block_out; \
    if (lanes == 16 && i->use_imm) name##_op(s, i, true, 16); \
    else if (lanes == 16) name##_op(s, i, false, 16); \
    else if (i->use_imm) name##_op(s, i, true, lanes); \
    else name##_op(s, i, false, lanes); \
  }

// y NULL: the immediate.
INLINE void step_c(VtaAluOp op, int32_t *x, const int32_t *y, int32_t imm, int64_t lanes) {
  for (int64_t l = 0; l < lanes; l++) x[l] = alu_lane(op, x[l], y ? y[l] : imm);
}

ALU_LOOPS(, alu_c, step_c)

#if HAVE_X86

INLINE TARGET_VNNI __m512i alu_zmm(VtaAluOp op, __m512i x, __m512i y) {
  __m512i mask = _mm512_set1_epi32(31);
  switch (op) {
  case ALU_MIN: return _mm512_min_epi32(x, y);
  case ALU_MAX: return _mm512_max_epi32(x, y);
  case ALU_ADD: return _mm512_add_epi32(x, y);
  case ALU_SHR: {
    __m512i left = _mm512_sllv_epi32(x, _mm512_and_si512(_mm512_sub_epi32(_mm512_setzero_si512(), y), mask));
    return _mm512_mask_srav_epi32(left, _mm512_cmpge_epi32_mask(y, _mm512_setzero_si512()), x,
                                  _mm512_and_si512(y, mask));
  }
  case ALU_MUL: return _mm512_mullo_epi32(x, y);
  }
  return x;
}

INLINE TARGET_VNNI void step_zmm(VtaAluOp op, int32_t *x, const int32_t *y, int32_t imm, int64_t lanes) {
  for (int64_t l = 0; l < lanes; l += 16) {
    __m512i b = y ? _mm512_loadu_si512(y + l) : _mm512_set1_epi32(imm);
    _mm512_storeu_si512(x + l, alu_zmm(op, _mm512_loadu_si512(x + l), b));
  }
}

ALU_LOOPS(TARGET_VNNI, alu_avx512, step_zmm)

INLINE TARGET_AVX2 __m256i alu_ymm(VtaAluOp op, __m256i x, __m256i y) {
  __m256i mask = _mm256_set1_epi32(31), zero = _mm256_setzero_si256();
  switch (op) {
  case ALU_MIN: return _mm256_min_epi32(x, y);
  case ALU_MAX: return _mm256_max_epi32(x, y);
  case ALU_ADD: return _mm256_add_epi32(x, y);
  case ALU_SHR: {
    __m256i right = _mm256_srav_epi32(x, _mm256_and_si256(y, mask));
    __m256i left = _mm256_sllv_epi32(x, _mm256_and_si256(_mm256_sub_epi32(zero, y), mask));
    return _mm256_blendv_epi8(right, left, _mm256_cmpgt_epi32(zero, y));
  }
  case ALU_MUL: return _mm256_mullo_epi32(x, y);
  }
  return x;
}

INLINE TARGET_AVX2 void step_ymm(VtaAluOp op, int32_t *x, const int32_t *y, int32_t imm, int64_t lanes) {
  for (int64_t l = 0; l < lanes; l += 8) {
    __m256i b = y ? _mm256_loadu_si256((const __m256i *)(const void *)(y + l)) : _mm256_set1_epi32(imm);
    __m256i *at = (__m256i *)(void *)(x + l);
    _mm256_storeu_si256(at, alu_ymm(op, _mm256_loadu_si256(at), b));
  }
}

ALU_LOOPS(TARGET_AVX2, alu_avx2, step_ymm)

#endif

void sram_alu(Sram *s, const VtaInsn *i) {
  switch (s->level) {
  case SIMD_BEST:
  case SIMD_C: alu_c(s, i); break;
#if HAVE_X86
  case SIMD_AVX2: alu_avx2(s, i); break;
  case SIMD_VNNI: alu_avx512(s, i); break;
#else
  case SIMD_AVX2:
  case SIMD_VNNI: break;
#endif
  }
}

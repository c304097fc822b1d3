// What the files of this target share: the table of functions that each instruction set fills.
#ifndef PRUNEC_KERNELS_INTERNAL_H
#define PRUNEC_KERNELS_INTERNAL_H

#include "include/kernels.h"

// Inlined whatever its size, so that what is constant at the call is constant within. Without optimisation nothing would come of it but
// stack frames of many megabytes.
#if defined(__OPTIMIZE__)
#define PK_INLINE static inline __attribute__((always_inline, unused))
#else
#define PK_INLINE static inline __attribute__((unused))
#endif

/// The value of a half-precision number.
PK_INLINE float pk_float_from_half(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16, magnitude = half & 0x7fff;
  union {
    uint32_t bits;
    float value;
  } number;
  if (magnitude >= 0x7c00) {
    number.bits = (magnitude << 13) | 0x7f800000 | (magnitude > 0x7c00 ? 0x400000 : 0);
  } else if (magnitude >= 0x400) {
    number.bits = (magnitude << 13) + ((127 - 15) << 23);
  } else {
    number.value = (float)magnitude * 5.9604644775390625e-8f;  // 2⁻²⁴
  }
  number.bits |= sign;
  return number.value;
}

/// The nearest half-precision number, halves to even.
PK_INLINE uint16_t pk_half_from_float(float value) {
  union {
    float value;
    uint32_t bits;
  } number = {.value = value};
  const uint16_t sign = (uint16_t)((number.bits >> 16) & 0x8000);
  number.bits &= 0x7fffffff;
  if (number.bits > 0x7f800000) return (uint16_t)(sign | 0x7e00 | ((number.bits >> 13) & 0x3ff));
  if (number.bits >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
  if (number.bits < 0x38800000) {  // a subnormal half: adding 1/2 leaves units of 2⁻²⁴
    number.value += 0.5f;
    return (uint16_t)(sign | (number.bits - 0x3f000000));
  }
  number.bits += 0xfff + ((number.bits >> 13) & 1);
  return (uint16_t)(sign | ((number.bits - ((127 - 15) << 23)) >> 13));
}

/// The registers that a chain names.
PK_INLINE size_t pk_chain_registers(const pk_chain *chain) {
  size_t count = chain->operand_count > 0 ? chain->operand_count : 1;
  for (size_t i = 0; i < chain->instruction_count; i++)
    if (chain->instructions[i].to >= count) count = (size_t)chain->instructions[i].to + 1;
  return count;
}

/// The floats of one register in a block, such that all of them stay in the L1 cache: a multiple of 16.
PK_INLINE size_t pk_chain_block(size_t registers) {
  const size_t count = 8192 / registers / 16 * 16;
  return count > 1024 ? 1024 : count;
}

/// Between registers: whole vectors may be stored at the end of one, and equal places do not share a set of the cache.
enum { PK_CHAIN_SLOT_GAP = 16 };

/// How a copy's last two axes, a plane of rows and columns, are gone over.
typedef enum pk_copy_way {
  PK_COPY_RUNS,   // columns are contiguous on both sides
  PK_COPY_TILES,  // columns are contiguous in the result, rows in the source
  PK_COPY_ELEMENTS,
} pk_copy_way;

/// A copy as planes, each divided into pieces of up to rows_per_piece × columns_per_piece; pieces are counted row-major.
typedef struct pk_copy_plan {
  pk_copy_way way;
  size_t outer_rank;  // axes before the plane
  size_t planes, rows, columns;
  ptrdiff_t from_row, from_column, to_row, to_column;  // strides in elements
  size_t rows_per_piece, columns_per_piece;
  size_t row_pieces, column_pieces;
} pk_copy_plan;

pk_copy_plan pk_plan_copy(const pk_copy *copy);

typedef struct pk_kernels {
  size_t panel_columns;
  double (*peak_operations)(size_t repeats);
  void (*pack_b)(size_t, size_t, const float *, size_t, size_t, size_t, size_t, float *);
  size_t (*gemm_scratch_size)(const pk_gemm *);
  void (*gemm_run)(const pk_gemm *, size_t, size_t, size_t, size_t, float *);
  size_t (*convolution_panel_count)(const pk_convolution *);
  size_t (*packed_convolution_size)(const pk_convolution *);
  void (*pack_convolution)(const pk_convolution *, const float *, float *);
  size_t (*convolution_scratch_size)(const pk_convolution *);
  void (*convolution_run)(const pk_convolution *, size_t, size_t, size_t, size_t, float *);
  void (*pooling_run)(const pk_pooling *, size_t, size_t);
  void (*unary_run)(pk_unary, float, float, const float *, float *, size_t);
  size_t (*attention_scratch_size)(const pk_attention *);
  void (*attention_run)(const pk_attention *, size_t, size_t, float *);

  void (*chain_run)(const pk_chain *, size_t, size_t, float *);
  void (*copy_run)(const pk_copy *, size_t, size_t);
  void (*softmax_run)(const pk_softmax *, size_t, size_t);
  void (*layer_norm_run)(const pk_layer_norm *, size_t, size_t);
  void (*group_norm_run)(const pk_group_norm *, size_t, size_t);
  void (*reduction_run)(const pk_reduction *, size_t, size_t, size_t, size_t);
  void (*double_update)(
      size_t, size_t, size_t, const double *, size_t, size_t, const double *, size_t, double *, size_t);
} pk_kernels;

extern const pk_kernels pk_kernels_portable;
#if defined(__x86_64__)
extern const pk_kernels pk_kernels_avx2;
extern const pk_kernels pk_kernels_avx512;
#endif
#if defined(__aarch64__)
extern const pk_kernels pk_kernels_neon;
#endif

#endif

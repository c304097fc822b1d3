// The vector primitives for AVX-512: 16 floats, 32 registers, masks for tails.
#include <immintrin.h>

#define LANES_LIMIT 16
#define TILE_ROWS_LIMIT 12
#define PANEL_VECTORS_LIMIT 2
enum { LANES = LANES_LIMIT, PANEL_VECTORS = PANEL_VECTORS_LIMIT, TILE_ROWS = TILE_ROWS_LIMIT };
typedef float vf __attribute__((ext_vector_type(16)));
typedef int32_t vi __attribute__((ext_vector_type(16)));
typedef uint16_t vh __attribute__((ext_vector_type(16)));
typedef float vf_unaligned __attribute__((ext_vector_type(16), aligned(4), may_alias));
typedef __mmask16 vmask;

PK_INLINE vmask mask_first(size_t count) { return (vmask)_bzhi_u32(0xffff, (unsigned)(count < 16 ? count : 16)); }
PK_INLINE vf load_masked(const float *from, vmask mask) { return (vf)_mm512_maskz_loadu_ps(mask, from); }
PK_INLINE void store_masked(float *to, vmask mask, vf value) { _mm512_mask_storeu_ps(to, mask, (__m512)value); }
PK_INLINE vf vf_fma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
PK_INLINE vf vf_max(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
PK_INLINE vf vf_min(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
PK_INLINE vf vf_sqrt(vf a) { return (vf)_mm512_sqrt_ps((__m512)a); }
/// a / b for 1 ≤ b ≤ 2¹²⁷, all but correctly rounded; quicker than a division.
PK_INLINE vf vf_quotient(vf a, vf b) {
  const vf estimate = (vf)_mm512_rcp14_ps((__m512)b);
  const vf reciprocal = vf_fma(estimate, vf_fma(-b, estimate, (vf)1.0f), estimate);
  const vf quotient = a * reciprocal;
  return vf_fma(reciprocal, vf_fma(-b, quotient, a), quotient);
}
PK_INLINE vf vf_round(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, 8); }
PK_INLINE vf vf_floor(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, 9); }
PK_INLINE vf vf_ceil(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, 10); }
PK_INLINE vf vf_truncate(vf a) { return (vf)_mm512_roundscale_ps((__m512)a, 11); }
PK_INLINE vi vi_from_rounded(vf a) { return (vi)_mm512_cvtps_epi32((__m512)a); }
/// a · 2^exponent for an integral exponent in -300...300, rounded once.
PK_INLINE vf vf_scale(vf a, vf exponent) { return (vf)_mm512_scalef_ps((__m512)a, (__m512)exponent); }
/// The same where the result is finite and not subnormal.
PK_INLINE vf vf_scale_in_range(vf a, vf exponent) { return vf_scale(a, exponent); }
PK_INLINE vf vf_select(vi condition, vf yes, vf no) {
  return (vf)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)condition), (__m512)no, (__m512)yes);
}
PK_INLINE bool vi_any(vi condition) { return _mm512_movepi32_mask((__m512i)condition) != 0; }
PK_INLINE vf vf_from_half(vh a) { return (vf)_mm512_cvtph_ps((__m256i)a); }
PK_INLINE vh vf_to_half(vf a) { return (vh)_mm512_cvtps_ph((__m512)a, 8); }

// ---- Quads: a vector as quarters of four lanes

/// Lanes 4g...4g+3 from from + g · stride.
PK_INLINE vf load_quads(const float *from, size_t stride) {
  const __m512 first = _mm512_castps128_ps512(_mm_loadu_ps(from));
  const __m512 second = _mm512_insertf32x4(first, _mm_loadu_ps(from + stride), 1);
  const __m512 third = _mm512_insertf32x4(second, _mm_loadu_ps(from + 2 * stride), 2);
  return (vf)_mm512_insertf32x4(third, _mm_loadu_ps(from + 3 * stride), 3);
}
/// Of each quad the first two (last two) lanes of a and b, interleaved.
PK_INLINE vf interleave_low(vf a, vf b) { return (vf)_mm512_unpacklo_ps((__m512)a, (__m512)b); }
PK_INLINE vf interleave_high(vf a, vf b) { return (vf)_mm512_unpackhi_ps((__m512)a, (__m512)b); }
/// Of each quad the first (last) half of a, then that of b.
PK_INLINE vf join_low(vf a, vf b) { return (vf)_mm512_unpacklo_pd((__m512d)a, (__m512d)b); }
PK_INLINE vf join_high(vf a, vf b) { return (vf)_mm512_unpackhi_pd((__m512d)a, (__m512d)b); }
/// Quad g is the sum of the quads of quads[g].
PK_INLINE vf sum_of_quads(const vf *quads) {
  const __m512 a = (__m512)quads[0], b = (__m512)quads[1], c = (__m512)quads[2], d = (__m512)quads[3];
  const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
  return (vf)_mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
}

/// Turns LANES rows into LANES columns: four rounds of shuffling the first half of the rows with the second.
PK_INLINE void vf_transpose(vf *rows) {
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  vf other[16];
#pragma clang loop unroll(full)
  for (int round = 0; round < 4; round++) {
    vf *from = round % 2 == 0 ? rows : other, *to = round % 2 == 0 ? other : rows;
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) {
      to[2 * i] = (vf)_mm512_permutex2var_ps((__m512)from[i], low, (__m512)from[i + 8]);
      to[2 * i + 1] = (vf)_mm512_permutex2var_ps((__m512)from[i], high, (__m512)from[i + 8]);
    }
  }
}

// The vector primitives for AVX2 with FMA and F16C: 8 floats, 16 registers.
#include <immintrin.h>

#define LANES_LIMIT 8
#define TILE_ROWS_LIMIT 6
#define PANEL_VECTORS_LIMIT 2
enum { LANES = LANES_LIMIT, PANEL_VECTORS = PANEL_VECTORS_LIMIT, TILE_ROWS = TILE_ROWS_LIMIT };
typedef float vf __attribute__((ext_vector_type(8)));
typedef int32_t vi __attribute__((ext_vector_type(8)));
typedef uint16_t vh __attribute__((ext_vector_type(8)));
typedef float vf_unaligned __attribute__((ext_vector_type(8), aligned(4), may_alias));
typedef vi vmask;

PK_INLINE vmask mask_first(size_t count) {
  const vi lanes = {0, 1, 2, 3, 4, 5, 6, 7};
  return lanes < (vi)(int32_t)(count < 8 ? count : 8);
}
PK_INLINE vf load_masked(const float *from, vmask mask) { return (vf)_mm256_maskload_ps(from, (__m256i)mask); }
PK_INLINE void store_masked(float *to, vmask mask, vf value) { _mm256_maskstore_ps(to, (__m256i)mask, (__m256)value); }
PK_INLINE vf vf_fma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
PK_INLINE vf vf_max(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
PK_INLINE vf vf_min(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
/// a / b for 1 ≤ b ≤ 2¹²⁷.
PK_INLINE vf vf_quotient(vf a, vf b) { return a / b; }
PK_INLINE vf vf_sqrt(vf a) { return (vf)_mm256_sqrt_ps((__m256)a); }
PK_INLINE vf vf_round(vf a) { return (vf)_mm256_round_ps((__m256)a, 8); }
PK_INLINE vf vf_floor(vf a) { return (vf)_mm256_round_ps((__m256)a, 9); }
PK_INLINE vf vf_ceil(vf a) { return (vf)_mm256_round_ps((__m256)a, 10); }
PK_INLINE vf vf_truncate(vf a) { return (vf)_mm256_round_ps((__m256)a, 11); }
PK_INLINE vi vi_from_rounded(vf a) { return (vi)_mm256_cvtps_epi32((__m256)a); }
/// a · 2^exponent for an integral exponent in -250...250.
PK_INLINE vf vf_scale(vf a, vf exponent) {
  const vi whole = vi_from_rounded(exponent), half = whole >> 1;
  return a * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);
}
/// The same where the result is finite and not subnormal, for an exponent in -125...127.
PK_INLINE vf vf_scale_in_range(vf a, vf exponent) { return (vf)((vi)a + (vi_from_rounded(exponent) << 23)); }
PK_INLINE vf vf_select(vi condition, vf yes, vf no) { return (vf)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)condition); }
PK_INLINE bool vi_any(vi condition) { return _mm256_movemask_ps((__m256)condition) != 0; }
PK_INLINE vf vf_from_half(vh a) { return (vf)_mm256_cvtph_ps((__m128i)a); }
PK_INLINE vh vf_to_half(vf a) { return (vh)_mm256_cvtps_ph((__m256)a, 8); }

// ---- Quads: a vector as halves of four lanes

/// Lanes 4g...4g+3 from from + g · stride.
PK_INLINE vf load_quads(const float *from, size_t stride) {
  return (vf)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)), _mm_loadu_ps(from + stride), 1);
}
/// Of each quad the first two (last two) lanes of a and b, interleaved.
PK_INLINE vf interleave_low(vf a, vf b) { return (vf)_mm256_unpacklo_ps((__m256)a, (__m256)b); }
PK_INLINE vf interleave_high(vf a, vf b) { return (vf)_mm256_unpackhi_ps((__m256)a, (__m256)b); }
/// Of each quad the first (last) half of a, then that of b.
PK_INLINE vf join_low(vf a, vf b) { return (vf)_mm256_unpacklo_pd((__m256d)a, (__m256d)b); }
PK_INLINE vf join_high(vf a, vf b) { return (vf)_mm256_unpackhi_pd((__m256d)a, (__m256d)b); }
/// Quad g is the sum of the quads of quads[g].
PK_INLINE vf sum_of_quads(const vf *quads) {
  const __m256 a = (__m256)quads[0], b = (__m256)quads[1];
  return (vf)_mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}

/// Turns LANES rows into LANES columns.
PK_INLINE void vf_transpose(vf *rows) {
  __m256d pairs[8];
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_castps_pd(_mm256_unpacklo_ps((__m256)rows[i], (__m256)rows[i + 1]));
    pairs[i + 1] = _mm256_castps_pd(_mm256_unpackhi_ps((__m256)rows[i], (__m256)rows[i + 1]));
  }
  __m256 fours[8];
#pragma clang loop unroll(full)
  for (int i = 0; i < 8; i += 4)
#pragma clang loop unroll(full)
    for (int half = 0; half < 2; half++) {
      fours[i + 2 * half] = _mm256_castpd_ps(_mm256_unpacklo_pd(pairs[i + half], pairs[i + half + 2]));
      fours[i + 2 * half + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(pairs[i + half], pairs[i + half + 2]));
    }
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    rows[i] = (vf)_mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
    rows[i + 4] = (vf)_mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
  }
}

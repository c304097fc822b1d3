// The vector primitives for 64-bit NEON: 4 floats, 32 registers.
#include <arm_neon.h>

#define LANES_LIMIT 4
#define TILE_ROWS_LIMIT 6
#define PANEL_VECTORS_LIMIT 4
enum { LANES = LANES_LIMIT, PANEL_VECTORS = PANEL_VECTORS_LIMIT, TILE_ROWS = TILE_ROWS_LIMIT };
typedef float vf __attribute__((ext_vector_type(4)));
typedef int32_t vi __attribute__((ext_vector_type(4)));
typedef uint16_t vh __attribute__((ext_vector_type(4)));
typedef float vf_unaligned __attribute__((ext_vector_type(4), aligned(4), may_alias));
typedef size_t vmask;

PK_INLINE vmask mask_first(size_t count) { return count < 4 ? count : 4; }
PK_INLINE vf load_masked(const float *from, vmask mask) {
  if (mask == 4) return (vf) * (const vf_unaligned *)from;
  vf value = 0;
  if (mask > 0) value.x = from[0];
  if (mask > 1) value.y = from[1];
  if (mask > 2) value.z = from[2];
  if (mask > 3) value.w = from[3];
  return value;
}
PK_INLINE void store_masked(float *to, vmask mask, vf value) {
  if (mask == 4) {
    *(vf_unaligned *)to = value;
    return;
  }
  if (mask > 0) to[0] = value.x;
  if (mask > 1) to[1] = value.y;
  if (mask > 2) to[2] = value.z;
  if (mask > 3) to[3] = value.w;
}
PK_INLINE vf vf_fma(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
PK_INLINE vf vf_max(vf a, vf b) { return (vf)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
PK_INLINE vf vf_min(vf a, vf b) { return (vf)vminq_f32((float32x4_t)a, (float32x4_t)b); }
/// a / b for 1 ≤ b ≤ 2¹²⁷.
PK_INLINE vf vf_quotient(vf a, vf b) { return a / b; }
PK_INLINE vf vf_sqrt(vf a) { return (vf)vsqrtq_f32((float32x4_t)a); }
PK_INLINE vf vf_round(vf a) { return (vf)vrndnq_f32((float32x4_t)a); }
PK_INLINE vf vf_floor(vf a) { return (vf)vrndmq_f32((float32x4_t)a); }
PK_INLINE vf vf_ceil(vf a) { return (vf)vrndpq_f32((float32x4_t)a); }
PK_INLINE vf vf_truncate(vf a) { return (vf)vrndq_f32((float32x4_t)a); }
PK_INLINE vi vi_from_rounded(vf a) { return (vi)vcvtnq_s32_f32((float32x4_t)a); }
/// a · 2^exponent for an integral exponent in -250...250.
PK_INLINE vf vf_scale(vf a, vf exponent) {
  const vi whole = vi_from_rounded(exponent), half = whole >> 1;
  return a * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);
}
/// The same where the result is finite and not subnormal, for an exponent in -125...127.
PK_INLINE vf vf_scale_in_range(vf a, vf exponent) { return (vf)((vi)a + (vi_from_rounded(exponent) << 23)); }
PK_INLINE vf vf_select(vi condition, vf yes, vf no) {
  return (vf)vbslq_f32((uint32x4_t)condition, (float32x4_t)yes, (float32x4_t)no);
}
PK_INLINE bool vi_any(vi condition) { return vmaxvq_u32((uint32x4_t)condition) != 0; }
PK_INLINE vf vf_from_half(vh a) { return (vf)vcvt_f32_f16((float16x4_t)a); }
PK_INLINE vh vf_to_half(vf a) { return (vh)vcvt_f16_f32((float32x4_t)a); }

// ---- Quads: here a vector is one quad

/// Lanes 4g...4g+3 from from + g · stride.
PK_INLINE vf load_quads(const float *from, size_t stride) {
  (void)stride;
  return *(const vf_unaligned *)from;
}
/// Of each quad the first two (last two) lanes of a and b, interleaved.
PK_INLINE vf interleave_low(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
PK_INLINE vf interleave_high(vf a, vf b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
/// Of each quad the first (last) half of a, then that of b.
PK_INLINE vf join_low(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 1, 4, 5); }
PK_INLINE vf join_high(vf a, vf b) { return __builtin_shufflevector(a, b, 2, 3, 6, 7); }
/// Quad g is the sum of the quads of quads[g].
PK_INLINE vf sum_of_quads(const vf *quads) { return quads[0]; }

/// Turns LANES rows into LANES columns.
PK_INLINE void vf_transpose(vf *rows) {
  const vf first = __builtin_shufflevector(rows[0], rows[2], 0, 4, 1, 5), second = __builtin_shufflevector(rows[0], rows[2], 2, 6, 3, 7);
  const vf third = __builtin_shufflevector(rows[1], rows[3], 0, 4, 1, 5), fourth = __builtin_shufflevector(rows[1], rows[3], 2, 6, 3, 7);
  rows[0] = __builtin_shufflevector(first, third, 0, 4, 1, 5);
  rows[1] = __builtin_shufflevector(first, third, 2, 6, 3, 7);
  rows[2] = __builtin_shufflevector(second, fourth, 0, 4, 1, 5);
  rows[3] = __builtin_shufflevector(second, fourth, 2, 6, 3, 7);
}

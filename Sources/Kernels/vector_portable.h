// The vector primitives in the compiler's own vector notation: 4 floats, for any machine; a product and a sum round separately.
#define LANES_LIMIT 4
#define TILE_ROWS_LIMIT 4
#define PANEL_VECTORS_LIMIT 2
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
PK_INLINE vf vf_select(vi condition, vf yes, vf no) { return (vf)((condition & (vi)yes) | (~condition & (vi)no)); }
PK_INLINE vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
PK_INLINE vf vf_max(vf a, vf b) { return vf_select(a > b, a, b); }
PK_INLINE vf vf_min(vf a, vf b) { return vf_select(a < b, a, b); }
/// a / b for 1 ≤ b ≤ 2¹²⁷.
PK_INLINE vf vf_quotient(vf a, vf b) { return a / b; }
PK_INLINE vf vf_sqrt(vf a) { return __builtin_elementwise_sqrt(a); }
/// Halves to even: adding 2²³ leaves no bits after the point.
PK_INLINE vf vf_round(vf a) {
  const vf size = (vf)((vi)a & 0x7fffffff);
  vf rounded = size + 8388608.0f;
  rounded = rounded - 8388608.0f;
  return vf_select(size < 8388608.0f, (vf)((vi)rounded | ((vi)a & (int32_t)0x80000000)), a);
}
PK_INLINE vf vf_floor(vf a) {
  const vf rounded = vf_round(a);
  return vf_select(rounded > a, rounded - 1.0f, rounded);
}
PK_INLINE vf vf_ceil(vf a) { return -vf_floor(-a); }
PK_INLINE vf vf_truncate(vf a) { return vf_select(a < 0.0f, vf_ceil(a), vf_floor(a)); }
/// The nearest integers; a must be in the range of int32.
PK_INLINE vi vi_from_rounded(vf a) { return __builtin_convertvector(vf_round(a), vi); }
/// a · 2^exponent for an integral exponent in -250...250.
PK_INLINE vf vf_scale(vf a, vf exponent) {
  const vi whole = __builtin_convertvector(exponent, vi), half = whole >> 1;
  return a * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);
}
/// The same where the result is finite and not subnormal, for an exponent in -125...127.
PK_INLINE vf vf_scale_in_range(vf a, vf exponent) { return (vf)((vi)a + (vi_from_rounded(exponent) << 23)); }
PK_INLINE bool vi_any(vi condition) { return (condition.x | condition.y | condition.z | condition.w) < 0; }
PK_INLINE vf vf_from_half(vh a) {
  vf value = 0;
  for (int lane = 0; lane < 4; lane++) value[lane] = pk_float_from_half(a[lane]);
  return value;
}
PK_INLINE vh vf_to_half(vf a) {
  vh value = 0;
  for (int lane = 0; lane < 4; lane++) value[lane] = pk_half_from_float(a[lane]);
  return value;
}

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

// Helpers over the primitives of one instruction set.

PK_INLINE vf load(const float *from) { return *(const vf_unaligned *)from; }
PK_INLINE void store(float *to, vf value) { *(vf_unaligned *)to = value; }
PK_INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }
PK_INLINE size_t quotient_up(size_t a, size_t b) { return a / b + (a % b != 0); }
PK_INLINE vf vf_absolute(vf a) { return (vf)((vi)a & 0x7fffffff); }
/// The magnitude of a with the sign of b.
PK_INLINE vf vf_with_sign(vf a, vf b) { return (vf)(((vi)a & 0x7fffffff) | ((vi)b & (int32_t)0x80000000)); }
/// The greater and the lesser of two; NaN where one is.
PK_INLINE vf vf_greater(vf a, vf b) { return vf_select(a == a, vf_max(a, b), a); }
PK_INLINE vf vf_lesser(vf a, vf b) { return vf_select(a == a, vf_min(a, b), a); }
PK_INLINE vf vf_clip(vf a, vf low, vf high) { return vf_min(high, vf_max(low, a)); }

/// The sum of all lanes, halves first.
PK_INLINE float vf_sum(vf a) {
  float lanes[LANES];
  store(lanes, a);
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

PK_INLINE float vf_greatest(vf a) {
  float lanes[LANES];
  store(lanes, a);
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; lane++) lanes[lane] = lanes[lane] > lanes[lane + half] ? lanes[lane] : lanes[lane + half];
  return lanes[0];
}

/// Copies `count` floats; for short runs, where memcpy's call costs.
PK_INLINE void copy_run(float *to, const float *from, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) store(to + i, load(from + i));
  if (i < count) {
    const vmask mask = mask_first(count - i);
    store_masked(to + i, mask, load_masked(from + i, mask));
  }
}

PK_INLINE void zero_run(float *to, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) store(to + i, (vf)0);
  if (i < count) store_masked(to + i, mask_first(count - i), (vf)0);
}

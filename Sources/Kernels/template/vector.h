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

/// Combines all lanes into one number, halves first.
#define VF_FOLD_2(combine, a) ({ const __auto_type pair = (a); combine(pair.lo, pair.hi); })
#define VF_FOLD_4(combine, a) ({ const __auto_type four = (a); VF_FOLD_2(combine, combine(four.lo, four.hi)); })
#define VF_FOLD_8(combine, a) ({ const __auto_type eight = (a); VF_FOLD_4(combine, combine(eight.lo, eight.hi)); })
#define VF_FOLD_16(combine, a) ({ const __auto_type sixteen = (a); VF_FOLD_8(combine, combine(sixteen.lo, sixteen.hi)); })
#if LANES_LIMIT == 16
#define VF_FOLD VF_FOLD_16
#elif LANES_LIMIT == 8
#define VF_FOLD VF_FOLD_8
#else
#define VF_FOLD VF_FOLD_4
#endif
#define SUM_OF_TWO(a, b) ((a) + (b))
#define PRODUCT_OF_TWO(a, b) ((a) * (b))
#define GREATEST_OF_TWO(a, b) ((a) > (b) ? (a) : (b))
#define GREATER_OR_NAN_OF_TWO(a, b) ((((a) > (b)) | ((a) != (a))) ? (a) : (b))
#define LESSER_OR_NAN_OF_TWO(a, b) ((((a) < (b)) | ((a) != (a))) ? (a) : (b))

PK_INLINE float vf_sum(vf a) { return VF_FOLD(SUM_OF_TWO, a); }
PK_INLINE float vf_greatest(vf a) { return VF_FOLD(GREATEST_OF_TWO, a); }

/// True in the first `count` lanes.
PK_INLINE vi first_lanes(size_t count) {
  vi lanes = 0;
  for (int lane = 0; lane < LANES; lane++) lanes[lane] = lane;
  return lanes < (int32_t)least(count, LANES);
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

// Runs of elements of any type, widened to floats and narrowed back.

PK_INLINE void fill_run(float *to, float value, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) store(to + i, (vf)value);
  if (i < count) store_masked(to + i, mask_first(count - i), (vf)value);
}

PK_INLINE size_t element_size(pk_element element) {
  switch (element) {
    case PK_ELEMENT_F32: case PK_ELEMENT_I32: return 4;
    case PK_ELEMENT_F16: case PK_ELEMENT_BF16: return 2;
    case PK_ELEMENT_BOOL: case PK_ELEMENT_U8: case PK_ELEMENT_I8: return 1;
    case PK_ELEMENT_I64: return 8;
  }
  return 4;
}

PK_INLINE float float_from_bits(uint32_t bits) {
  const union {
    uint32_t bits;
    float value;
  } number = {bits};
  return number.value;
}

PK_INLINE uint32_t bits_of_float(float value) {
  const union {
    float value;
    uint32_t bits;
  } number = {value};
  return number.bits;
}

/// The upper half of the bits, rounded to nearest, halves to even; NaN stays NaN.
PK_INLINE uint16_t bfloat_from_float(float value) {
  const uint32_t bits = bits_of_float(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16) | 0x40 : rounded);
}

PK_INLINE void halves_to_floats(const uint16_t *from, float *to, size_t count) {
  typedef vh vh_unaligned __attribute__((aligned(2), may_alias));
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) store(to + i, vf_from_half(*(const vh_unaligned *)(from + i)));
  if (i < count) {
    vh rest = 0;
    for (size_t lane = 0; lane < count - i; lane++) rest[lane] = from[i + lane];
    store_masked(to + i, mask_first(count - i), vf_from_half(rest));
  }
}

PK_INLINE void floats_to_halves(const float *from, uint16_t *to, size_t count) {
  typedef vh vh_unaligned __attribute__((aligned(2), may_alias));
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) *(vh_unaligned *)(to + i) = vf_to_half(load(from + i));
  if (i < count) {
    const vh rest = vf_to_half(load_masked(from + i, mask_first(count - i)));
    for (size_t lane = 0; lane < count - i; lane++) to[i + lane] = rest[lane];
  }
}

/// to[i] = from[i · stride]: a loop of its own for the stride of 1, which the compiler makes vectors of.
#define WIDEN(type, value_of) \
  { \
    const type *at = (const type *)from; \
    if (stride == 1) \
      for (size_t i = 0; i < count; i++) to[i] = value_of(at[i]); \
    else \
      for (size_t i = 0; i < count; i++) to[i] = value_of(at[(ptrdiff_t)i * stride]); \
    return; \
  }
#define BFLOAT_VALUE(bits) float_from_bits((uint32_t)(bits) << 16)
static void widen_run(pk_element element, const void *from, ptrdiff_t stride, float *restrict to, size_t count) {
  switch (element) {
    case PK_ELEMENT_F32: {
      const float *at = from;
      if (stride == 1) {
        copy_run(to, at, count);
      } else {
        size_t i = 0;
        for (; i + 4 <= count; i += 4, at += 4 * stride) {
          const float first = at[0], second = at[stride], third = at[2 * stride], fourth = at[3 * stride];
          to[i] = first;
          to[i + 1] = second;
          to[i + 2] = third;
          to[i + 3] = fourth;
        }
        for (; i < count; i++, at += stride) to[i] = *at;
      }
      return;
    }
    case PK_ELEMENT_F16:
      if (stride == 1) {
        halves_to_floats(from, to, count);
        return;
      }
      WIDEN(uint16_t, pk_float_from_half)
    case PK_ELEMENT_BF16: WIDEN(uint16_t, BFLOAT_VALUE)
    case PK_ELEMENT_BOOL: case PK_ELEMENT_U8: WIDEN(uint8_t, (float))
    case PK_ELEMENT_I8: WIDEN(int8_t, (float))
    case PK_ELEMENT_I32: WIDEN(int32_t, (float))
    case PK_ELEMENT_I64: WIDEN(int64_t, (float))
  }
}

/// Towards zero, saturating; NaN to 0.
PK_INLINE uint8_t byte_from_float(float value) {
  return value > 0 ? value < 255 ? (uint8_t)(int32_t)value : 255 : 0;
}
PK_INLINE int8_t signed_byte_from_float(float value) {
  const float bounded = value > -128 ? value < 127 ? value : 127 : value <= -128 ? -128 : 0;
  return (int8_t)(int32_t)bounded;
}
PK_INLINE int32_t int32_from_float(float value) {
  return value >= 2147483648.0f ? INT32_MAX : value < -2147483648.0f ? INT32_MIN : value == value ? (int32_t)value : 0;
}
PK_INLINE int64_t int64_from_float(float value) {
  return value >= 9223372036854775808.0f    ? INT64_MAX
         : value < -9223372036854775808.0f ? INT64_MIN
         : value == value                  ? (int64_t)value
                                           : 0;
}
PK_INLINE uint8_t bool_from_float(float value) { return value != 0; }

/// to[i · stride] = from[i].
#define NARROW(type, value_of) \
  { \
    type *at = (type *)to; \
    if (stride == 1) \
      for (size_t i = 0; i < count; i++) at[i] = value_of(from[i]); \
    else \
      for (size_t i = 0; i < count; i++) at[(ptrdiff_t)i * stride] = value_of(from[i]); \
    return; \
  }
static void narrow_run(pk_element element, const float *restrict from, void *to, ptrdiff_t stride, size_t count) {
  switch (element) {
    case PK_ELEMENT_F32:
      if (stride == 1) {
        copy_run(to, from, count);
        return;
      }
      NARROW(float, )
    case PK_ELEMENT_F16:
      if (stride == 1) {
        floats_to_halves(from, to, count);
        return;
      }
      NARROW(uint16_t, pk_half_from_float)
    case PK_ELEMENT_BF16: NARROW(uint16_t, bfloat_from_float)
    case PK_ELEMENT_BOOL: NARROW(uint8_t, bool_from_float)
    case PK_ELEMENT_U8: NARROW(uint8_t, byte_from_float)
    case PK_ELEMENT_I8: NARROW(int8_t, signed_byte_from_float)
    case PK_ELEMENT_I32: NARROW(int32_t, int32_from_float)
    case PK_ELEMENT_I64: NARROW(int64_t, int64_from_float)
  }
}
#undef WIDEN
#undef BFLOAT_VALUE
#undef NARROW

// Powers: logarithm and exponential in double, so that the float is right to its last place but for rare ties.

typedef double vd __attribute__((ext_vector_type(LANES_LIMIT)));
typedef int64_t vl __attribute__((ext_vector_type(LANES_LIMIT)));

/// base^exponent for a positive, finite and not subnormal base and a finite exponent.
PK_INLINE vf power_of_positive(vf base, vf exponent) {
  // m in [√½, √2); log m = 2 artanh((m − 1) / (m + 1)).
  const vi bits = (vi)base - 0x3f3504f3;
  const vd m = __builtin_convertvector((vf)((bits & 0x7fffff) + 0x3f3504f3), vd);
  const vd whole = __builtin_convertvector(bits >> 23, vd);
  const vd t = (m - 1.0) / (m + 1.0), square = t * t;
  vd series = 1.0 / 15 * square + 1.0 / 13;
  series = series * square + 1.0 / 11;
  series = series * square + 1.0 / 9;
  series = series * square + 1.0 / 7;
  series = series * square + 1.0 / 5;
  series = series * square + 1.0 / 3;
  const vd logarithm = (series * square + 1.0) * t * 2.8853900817779268 + whole;  // to the base of 2

  vd y = logarithm * __builtin_convertvector(exponent, vd);
  y = y < 200.0 ? y : (vd)200.0;
  y = y > -200.0 ? y : (vd)-200.0;
  vd rounded = y + 6755399441055744.0;  // 1.5 · 2⁵² leaves the nearest whole number in the lowest bits
  const vl power = ((vl)rounded << 52) + ((int64_t)1023 << 52);
  rounded = rounded - 6755399441055744.0;
  const vd z = (y - rounded) * 0.6931471805599453;
  vd e = z * (1.0 / 40320) + 1.0 / 5040;
  e = e * z + 1.0 / 720;
  e = e * z + 1.0 / 120;
  e = e * z + 1.0 / 24;
  e = e * z + 1.0 / 6;
  e = e * z + 0.5;
  e = e * z + 1.0;
  e = e * z + 1.0;
  return __builtin_convertvector(e * (vd)power, vf);
}

/// base^exponent as powf has it.
PK_INLINE vf vf_power(vf base, vf exponent) {
  const vf size = vf_absolute(base), half = 0.5f * exponent;
  const vi is_whole = vf_floor(exponent) == exponent, is_odd = is_whole & (vf_floor(half) != half);
  const vf value = vf_select(size == 0.0f, (vf)0, power_of_positive(size, exponent));
  vf result = vf_select(is_odd, vf_with_sign(value, base), value);
  const vi is_usual_base = (size >= 1.17549435e-38f) & (size < __builtin_inff()) & ((base > 0.0f) | is_whole);
  const vi is_usual = (is_usual_base | ((size == 0.0f) & (exponent > 0.0f))) & (vf_absolute(exponent) < __builtin_inff());
  if (__builtin_expect(vi_any(~is_usual), 0)) {
    float bases[LANES], exponents[LANES], results[LANES];
    int32_t usual[LANES];
    store(bases, base);
    store(exponents, exponent);
    store(results, result);
    store((float *)usual, (vf)is_usual);
    for (int lane = 0; lane < LANES; lane++)
      if (usual[lane] == 0) results[lane] = powf(bases[lane], exponents[lane]);
    result = load(results);
  }
  return result;
}

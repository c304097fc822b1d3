// Elementary functions of vectors. Polynomials are minimax fits of this project; their errors are in the public header.

/// e^x where the result and n = x / log 2 are well within range, before the scaling by 2ⁿ.
PK_INLINE vf exp_of_reduced(vf x, vf n) {
  const vf r = vf_fma(n, (vf)-1.4286068203094173e-06f, vf_fma(n, (vf)-0.693145751953125f, x));
  vf p = vf_fma((vf)1.381458133e-03f, r, (vf)8.368724957e-03f);
  p = vf_fma(p, r, (vf)4.166838899e-02f);
  p = vf_fma(p, r, (vf)1.666652113e-01f);
  p = vf_fma(p, r, (vf)4.999999404e-01f);
  return vf_fma(p * r, r, r) + 1.0f;
}

PK_INLINE vf vf_exp(vf x) {
  // Beyond these bounds the result is 0 or infinite; NaN passes through both.
  const vf bounded = vf_clip(x, (vf)-105.0f, (vf)89.0f);
  const vf n = vf_round(bounded * 1.44269504f);
  return vf_scale(exp_of_reduced(bounded, n), n);
}

/// e^x for x in -87...88 (or NaN).
PK_INLINE vf vf_exp_in_range(vf x) {
  const vf n = vf_round(x * 1.44269504f);
  return vf_scale_in_range(exp_of_reduced(x, n), n);
}

/// e^x for x ≤ 0 (or NaN), 2 ulp; 0 below -87. e⁰ is 1 exactly.
PK_INLINE vf vf_exp_negative(vf x) {
  const vf bounded = vf_max((vf)-87.0f, x);
  // Adding 1.5 · 2²³ + 127 rounds to whole n and leaves 2ⁿ's exponent field in the last bits.
  const vf shifted = vf_fma(bounded, (vf)1.44269504f, (vf)12583039.0f), n = shifted - 12583039.0f;
  const vf scale = (vf)((vi)shifted << 23);
  const vf r = vf_fma(n, (vf)-1.4286068203094173e-06f, vf_fma(n, (vf)-0.693145751953125f, bounded));
  vf p = vf_fma((vf)8.290209807e-03f, r, (vf)4.189849645e-02f);
  p = vf_fma(p, r, (vf)1.666764170e-01f);
  p = vf_fma(p, r, (vf)4.999914467e-01f);
  p = vf_fma(p, r, (vf)9.999997020e-01f);
  return vf_select(x < -87.0f, (vf)0, vf_fma(p, r, (vf)1.0f) * scale);
}

/// log(1 + f) − f for f in [√½ − 1, √2 − 1].
PK_INLINE vf log_remainder(vf f) {
  vf p = vf_fma((vf)-7.634496689e-02f, f, (vf)1.276157647e-01f);
  p = vf_fma(p, f, (vf)-1.316018254e-01f);
  p = vf_fma(p, f, (vf)1.420175731e-01f);
  p = vf_fma(p, f, (vf)-1.662335694e-01f);
  p = vf_fma(p, f, (vf)2.000122666e-01f);
  p = vf_fma(p, f, (vf)-2.500081956e-01f);
  p = vf_fma(p, f, (vf)3.333333135e-01f);
  return f * f * vf_fma(p, f, (vf)-0.5f);
}

PK_INLINE vf vf_log(vf x) {
  const vi subnormal = x < 1.17549435e-38f;
  const vf normal = vf_select(subnormal, x * 8388608.0f, x);
  // m in [√½, √2): the exponent field counted from √½'s bits.
  const vi bits = (vi)normal - 0x3f3504f3;
  const vi whole = bits >> 23;
  const vf f = (vf)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
  const vf e = __builtin_convertvector(whole, vf) - vf_select(subnormal, (vf)23.0f, (vf)0);
  const vf tail = vf_fma(e, (vf)1.4286068203094173e-06f, log_remainder(f));
  vf result = vf_fma(e, (vf)0.693145751953125f, f + tail);
  result = vf_select(x < __builtin_inff(), result, x);            // +∞ and NaN pass through
  result = vf_select(x == 0.0f, (vf)-__builtin_inff(), result);
  return vf_select(x < 0.0f, (vf)__builtin_nanf(""), result);
}

PK_INLINE vf vf_tanh(vf x) {
  const vf size = vf_absolute(x), square = x * x;
  vf p = vf_fma((vf)-6.274239626e-03f, square, (vf)2.107167989e-02f);
  p = vf_fma(p, square, (vf)-5.385230854e-02f);
  p = vf_fma(p, square, (vf)1.333258599e-01f);
  p = vf_fma(p, square, (vf)-3.333331645e-01f);
  const vf near = vf_with_sign(vf_fma(p * square, x, x), x);
  const vf e = vf_exp_in_range(vf_min((vf)20.0f, size + size));
  const vf far = vf_with_sign(1.0f - vf_quotient((vf)2.0f, e + 1.0f), x);
  return vf_select(size < 0.55f, near, far);
}

PK_INLINE vf vf_erf(vf x) {
  const vf size = vf_absolute(x), square = x * x;
  vf p = vf_fma((vf)8.316775347e-05f, square, (vf)-8.130013011e-04f);
  p = vf_fma(p, square, (vf)5.199906882e-03f);
  p = vf_fma(p, square, (vf)-2.685894072e-02f);
  p = vf_fma(p, square, (vf)1.128368750e-01f);
  p = vf_fma(p, square, (vf)-3.761263192e-01f);
  p = vf_fma(p, square, (vf)1.283791661e-01f);
  const vf near = vf_fma(p, x, x);
  const vf t = vf_min((vf)3.95f, size) - 2.4375f;
  vf q = vf_fma((vf)-2.116182259e-05f, t, (vf)7.414436550e-05f);
  q = vf_fma(q, t, (vf)-4.499267379e-04f);
  q = vf_fma(q, t, (vf)2.310880227e-03f);
  q = vf_fma(q, t, (vf)-1.140977629e-02f);
  q = vf_fma(q, t, (vf)-9.418049455e-01f);
  q = vf_fma(q, t, (vf)-5.234823704e+00f);
  q = vf_fma(q, t, (vf)-7.475957394e+00f);
  const vf far = vf_with_sign(1.0f - vf_exp_in_range(q), x);
  return vf_select(size < 0.921875f, near, far);
}

PK_INLINE vf vf_sigmoid(vf x) { return vf_quotient((vf)1.0f, 1.0f + vf_exp_in_range(-vf_clip(x, (vf)-87.0f, (vf)87.0f))); }

PK_INLINE vf vf_silu(vf x) { return vf_max((vf)-87.0f, x) * vf_sigmoid(x); }

PK_INLINE vf vf_gelu_erf(vf x) {
  const vf half = 0.5f * x;
  return vf_select(x < -14.0f, (vf)-0.0f, vf_fma(half, vf_erf(x * 0.707106781f), half));
}

PK_INLINE vf vf_gelu_tanh(vf x) {
  const vf inner = 0.797884561f * vf_fma(x * x * x, (vf)0.044715f, x);
  const vf half = 0.5f * x;
  return vf_select(x < -14.0f, (vf)-0.0f, vf_fma(half, vf_tanh(inner), half));
}

PK_INLINE vf vf_softplus(vf x) {
  const vf u = vf_exp(-vf_absolute(x));
  // log(1 + u), 0 ≤ u ≤ 1: halved above √2 − 1, so that f is exact.
  const vi large = u > 0.41421356f;
  const vf f = vf_select(large, vf_fma((vf)0.5f, u, (vf)-0.5f), u);
  const vf e = vf_select(large, (vf)1.0f, (vf)0);
  const vf tail = vf_fma(e, (vf)1.4286068203094173e-06f, log_remainder(f));
  return vf_max((vf)0, x) + vf_fma(e, (vf)0.693145751953125f, f + tail);
}

/// Where no lane exceeds 8192: sin(x + quadrants · π/2).
PK_INLINE vf sine_of_small(vf x, int32_t quadrants) {
  const vf n = vf_round(x * 0.636619772f);
  vf r = vf_fma(n, (vf)-1.5703125f, x);
  r = vf_fma(n, (vf)-0.0004837512969970703f, r);
  r = vf_fma(n, (vf)-7.549533620476723e-08f, r);
  r = vf_fma(n, (vf)-2.563344151594519e-12f, r);
  const vf square = r * r;
  vf s = vf_fma((vf)-1.951697777e-04f, square, (vf)8.332176134e-03f);
  s = vf_fma(s, square, (vf)-1.666665524e-01f);
  s = vf_fma(s * square, r, r);
  vf c = vf_fma((vf)2.443278572e-05f, square, (vf)-1.388731296e-03f);
  c = vf_fma(c, square, (vf)4.166664556e-02f);
  c = vf_fma(c * square, square, vf_fma((vf)-0.5f, square, (vf)1.0f));
  const vi quadrant = vi_from_rounded(n) + quadrants;
  const vf value = vf_select((quadrant & 1) != 0, c, s);
  return (vf)((vi)value ^ ((quadrant & 2) << 30));
}

/// sin(x + quadrants · π/2), with libm where a lane is large.
PK_INLINE vf vf_sine(vf x, int32_t quadrants) {
  vf result = sine_of_small(x, quadrants);
  const vi large = ~(vf_absolute(x) <= 8192.0f);
  if (__builtin_expect(vi_any(large), 0)) {
    float lanes[LANES], fixed[LANES];
    store(lanes, x);
    store(fixed, result);
    for (int lane = 0; lane < LANES; lane++)
      if (!(lanes[lane] <= 8192.0f && lanes[lane] >= -8192.0f)) fixed[lane] = quadrants == 0 ? sinf(lanes[lane]) : cosf(lanes[lane]);
    result = load(fixed);
  }
  return result;
}

PK_INLINE vf vf_hard_sigmoid(vf x, vf slope, vf offset) { return vf_clip(vf_fma(x, slope, offset), (vf)0, (vf)1.0f); }
PK_INLINE vf vf_hard_swish(vf x) { return x * vf_hard_sigmoid(x, (vf)(1.0f / 6.0f), (vf)0.5f); }
PK_INLINE vf vf_leaky_relu(vf x, vf slope) { return vf_select(x < 0.0f, x * slope, x); }
PK_INLINE vf vf_sign(vf x) { return vf_select(x > 0.0f, (vf)1.0f, vf_select(x < 0.0f, (vf)-1.0f, x)); }

// Functions of one number over arrays.

PK_INLINE vf unary_value(const pk_unary function, vf x, vf first, vf second) {
  switch (function) {
    case PK_UNARY_NEGATE: return -x;
    case PK_UNARY_ABSOLUTE: return vf_absolute(x);
    case PK_UNARY_SQUARE: return x * x;
    case PK_UNARY_SQUARE_ROOT: return vf_sqrt(x);
    case PK_UNARY_RECIPROCAL: return 1.0f / x;
    case PK_UNARY_RECIPROCAL_SQUARE_ROOT: return 1.0f / vf_sqrt(x);
    case PK_UNARY_FLOOR: return vf_floor(x);
    case PK_UNARY_CEIL: return vf_ceil(x);
    case PK_UNARY_ROUND: return vf_round(x);
    case PK_UNARY_SIGN: return vf_sign(x);
    case PK_UNARY_RELU: return vf_max((vf)0, x);
    case PK_UNARY_EXP: return vf_exp(x);
    case PK_UNARY_LOG: return vf_log(x);
    case PK_UNARY_TANH: return vf_tanh(x);
    case PK_UNARY_ERF: return vf_erf(x);
    case PK_UNARY_SIGMOID: return vf_sigmoid(x);
    case PK_UNARY_SILU: return vf_silu(x);
    case PK_UNARY_GELU_ERF: return vf_gelu_erf(x);
    case PK_UNARY_GELU_TANH: return vf_gelu_tanh(x);
    case PK_UNARY_SOFTPLUS: return vf_softplus(x);
    case PK_UNARY_SIN: return vf_sine(x, 0);
    case PK_UNARY_COS: return vf_sine(x, 1);
    case PK_UNARY_HARD_SWISH: return vf_hard_swish(x);
    case PK_UNARY_CLIP: return vf_clip(x, first, second);
    case PK_UNARY_LEAKY_RELU: return vf_leaky_relu(x, first);
    case PK_UNARY_HARD_SIGMOID: return vf_hard_sigmoid(x, first, second);
    case PK_UNARY_ELU: return vf_select(x < 0.0f, first * (vf_exp(vf_min((vf)0, x)) - 1.0f), x);
    case PK_UNARY_AFFINE: return vf_fma(x, first, second);
  }
  return x;
}

PK_INLINE void unary_loop(const pk_unary function, vf first, vf second, const float *from, float *to, size_t count) {
  size_t i = 0;
  for (; i + 2 * LANES <= count; i += 2 * LANES) {
    const vf low = unary_value(function, load(from + i), first, second);
    const vf high = unary_value(function, load(from + i + LANES), first, second);
    store(to + i, low);
    store(to + i + LANES, high);
  }
  for (; i < count; i += LANES) {
    const vmask mask = mask_first(count - i);
    store_masked(to + i, mask, unary_value(function, load_masked(from + i, mask), first, second));
  }
}

static void unary_run(pk_unary function, float first, float second, const float *from, float *to, size_t count) {
  switch (function) {
    case PK_UNARY_NEGATE: unary_loop(PK_UNARY_NEGATE, first, second, from, to, count); break;
    case PK_UNARY_ABSOLUTE: unary_loop(PK_UNARY_ABSOLUTE, first, second, from, to, count); break;
    case PK_UNARY_SQUARE: unary_loop(PK_UNARY_SQUARE, first, second, from, to, count); break;
    case PK_UNARY_SQUARE_ROOT: unary_loop(PK_UNARY_SQUARE_ROOT, first, second, from, to, count); break;
    case PK_UNARY_RECIPROCAL: unary_loop(PK_UNARY_RECIPROCAL, first, second, from, to, count); break;
    case PK_UNARY_RECIPROCAL_SQUARE_ROOT:
      unary_loop(PK_UNARY_RECIPROCAL_SQUARE_ROOT, first, second, from, to, count);
      break;
    case PK_UNARY_FLOOR: unary_loop(PK_UNARY_FLOOR, first, second, from, to, count); break;
    case PK_UNARY_CEIL: unary_loop(PK_UNARY_CEIL, first, second, from, to, count); break;
    case PK_UNARY_ROUND: unary_loop(PK_UNARY_ROUND, first, second, from, to, count); break;
    case PK_UNARY_SIGN: unary_loop(PK_UNARY_SIGN, first, second, from, to, count); break;
    case PK_UNARY_RELU: unary_loop(PK_UNARY_RELU, first, second, from, to, count); break;
    case PK_UNARY_EXP: unary_loop(PK_UNARY_EXP, first, second, from, to, count); break;
    case PK_UNARY_LOG: unary_loop(PK_UNARY_LOG, first, second, from, to, count); break;
    case PK_UNARY_TANH: unary_loop(PK_UNARY_TANH, first, second, from, to, count); break;
    case PK_UNARY_ERF: unary_loop(PK_UNARY_ERF, first, second, from, to, count); break;
    case PK_UNARY_SIGMOID: unary_loop(PK_UNARY_SIGMOID, first, second, from, to, count); break;
    case PK_UNARY_SILU: unary_loop(PK_UNARY_SILU, first, second, from, to, count); break;
    case PK_UNARY_GELU_ERF: unary_loop(PK_UNARY_GELU_ERF, first, second, from, to, count); break;
    case PK_UNARY_GELU_TANH: unary_loop(PK_UNARY_GELU_TANH, first, second, from, to, count); break;
    case PK_UNARY_SOFTPLUS: unary_loop(PK_UNARY_SOFTPLUS, first, second, from, to, count); break;
    case PK_UNARY_SIN: unary_loop(PK_UNARY_SIN, first, second, from, to, count); break;
    case PK_UNARY_COS: unary_loop(PK_UNARY_COS, first, second, from, to, count); break;
    case PK_UNARY_HARD_SWISH: unary_loop(PK_UNARY_HARD_SWISH, first, second, from, to, count); break;
    case PK_UNARY_CLIP: unary_loop(PK_UNARY_CLIP, first, second, from, to, count); break;
    case PK_UNARY_LEAKY_RELU: unary_loop(PK_UNARY_LEAKY_RELU, first, second, from, to, count); break;
    case PK_UNARY_HARD_SIGMOID: unary_loop(PK_UNARY_HARD_SIGMOID, first, second, from, to, count); break;
    case PK_UNARY_ELU: unary_loop(PK_UNARY_ELU, first, second, from, to, count); break;
    case PK_UNARY_AFFINE: unary_loop(PK_UNARY_AFFINE, first, second, from, to, count); break;
  }
}

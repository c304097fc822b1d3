// Softmax and layer normalisation: rows of contiguous numbers, which stay in the L1 cache from pass to pass.

enum { ROW_VECTORS = 4 };  // taken at once, with sums of their own

// ---- Softmax

static float greatest_of_row(const float *from, size_t count) {
  vf greatest[ROW_VECTORS];
#pragma clang loop unroll(full)
  for (int v = 0; v < ROW_VECTORS; v++) greatest[v] = -__builtin_inff();
  size_t i = 0;
  for (; i + ROW_VECTORS * LANES <= count; i += ROW_VECTORS * LANES)
#pragma clang loop unroll(full)
    for (int v = 0; v < ROW_VECTORS; v++) greatest[v] = vf_max(greatest[v], load(from + i + v * LANES));
  for (; i + LANES <= count; i += LANES) greatest[0] = vf_max(greatest[0], load(from + i));
  if (i < count) {
    const vf rest = vf_select(first_lanes(count - i), load_masked(from + i, mask_first(count - i)), (vf)-__builtin_inff());
    greatest[1] = vf_max(greatest[1], rest);
  }
  return vf_greatest(vf_max(vf_max(greatest[0], greatest[1]), vf_max(greatest[2], greatest[3])));
}

/// Σ e^(from − greatest), each term going to `to` when it is stored.
PK_INLINE float sum_of_exponentials(const bool is_stored, const float *from, float *to, float greatest, size_t count) {
  vf sums[ROW_VECTORS];
#pragma clang loop unroll(full)
  for (int v = 0; v < ROW_VECTORS; v++) sums[v] = 0;
  size_t i = 0;
  for (; i + ROW_VECTORS * LANES <= count; i += ROW_VECTORS * LANES)
#pragma clang loop unroll(full)
    for (int v = 0; v < ROW_VECTORS; v++) {
      const vf value = vf_exp_negative(load(from + i + v * LANES) - greatest);
      sums[v] += value;
      if (is_stored) store(to + i + v * LANES, value);
    }
  for (int v = 0; i < count; i += LANES, v++) {
    const vmask mask = mask_first(count - i);
    const vf value = vf_exp_negative(load_masked(from + i, mask) - greatest);
    const vf counted = vf_select(first_lanes(count - i), value, (vf)0);
    // As if unrolled: the compiler must not index registers.
    if (v == 0) sums[0] += counted;
    if (v == 1) sums[1] += counted;
    if (v == 2) sums[2] += counted;
    if (v == 3) sums[3] += counted;
    if (is_stored) store_masked(to + i, mask, value);
  }
  return vf_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

static void softmax_run(const pk_softmax *softmax, size_t first_row, size_t end_row) {
  const size_t count = softmax->count;
  if (count == 0) return;
  for (size_t row = first_row; row < end_row; row++) {
    const float *from = softmax->from + row * softmax->from_row_stride;
    float *to = softmax->to + row * softmax->to_row_stride;
    const float greatest = greatest_of_row(from, count);
    if (softmax->is_logarithm) {
      const float logarithm = logf(sum_of_exponentials(false, from, to, greatest, count));
      for (size_t i = 0; i < count; i += LANES) {
        const vmask mask = mask_first(count - i);
        store_masked(to + i, mask, load_masked(from + i, mask) - greatest - logarithm);
      }
    } else {
      const vf factor = 1.0f / sum_of_exponentials(true, from, to, greatest, count);
      size_t i = 0;
      for (; i + LANES <= count; i += LANES) store(to + i, load(to + i) * factor);
      if (i < count) {
        const vmask mask = mask_first(count - i);
        store_masked(to + i, mask, load_masked(to + i, mask) * factor);
      }
    }
  }
}

// ---- Layer normalisation

/// x = from + addend (+ bias), to `to`.
PK_INLINE void add_rows(const bool has_bias, const float *from, const float *addend, const float *bias, float *to, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    const vf value = load(from + i) + load(addend + i);
    store(to + i, has_bias ? value + load(bias + i) : value);
  }
  if (i < count) {
    const vmask mask = mask_first(count - i);
    const vf value = load_masked(from + i, mask) + load_masked(addend + i, mask);
    store_masked(to + i, mask, has_bias ? value + load_masked(bias + i, mask) : value);
  }
}

/// Σ (x − centre)^power for a power of 1 or 2, in many short sums.
PK_INLINE float sum_of_row(const int power, const float *x, float centre, size_t count) {
  vf sums[ROW_VECTORS];
#pragma clang loop unroll(full)
  for (int v = 0; v < ROW_VECTORS; v++) sums[v] = 0;
  size_t i = 0;
  for (; i + ROW_VECTORS * LANES <= count; i += ROW_VECTORS * LANES)
#pragma clang loop unroll(full)
    for (int v = 0; v < ROW_VECTORS; v++) {
      const vf value = load(x + i + v * LANES) - centre;
      sums[v] = power == 1 ? sums[v] + value : vf_fma(value, value, sums[v]);
    }
  for (; i + LANES <= count; i += LANES) {
    const vf value = load(x + i) - centre;
    sums[0] = power == 1 ? sums[0] + value : vf_fma(value, value, sums[0]);
  }
  if (i < count) {
    const vf rest = load_masked(x + i, mask_first(count - i)) - centre;
    const vf value = vf_select(first_lanes(count - i), rest, (vf)0);
    sums[1] = power == 1 ? sums[1] + value : vf_fma(value, value, sums[1]);
  }
  return vf_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/// (x − centre) · factor · scale + offset; what is null is left out.
PK_INLINE vf scaled_value(vf x, float centre, float factor, const float *scale, const float *offset, vmask mask) {
  const vf value = (x - centre) * factor;
  if (scale == NULL) return offset == NULL ? value : value + load_masked(offset, mask);
  return offset == NULL ? value * load_masked(scale, mask) : vf_fma(value, load_masked(scale, mask), load_masked(offset, mask));
}

PK_INLINE void scale_row(
    const bool has_scale, const bool has_offset, const float *x, float *to, const float *scale, const float *offset, float centre,
    float factor, size_t count) {
  const vmask whole = mask_first(LANES);
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    store(to + i, scaled_value(load(x + i), centre, factor, has_scale ? scale + i : NULL, has_offset ? offset + i : NULL, whole));
  if (i < count) {
    const vmask mask = mask_first(count - i);
    const vf value = load_masked(x + i, mask);
    store_masked(
        to + i, mask, scaled_value(value, centre, factor, has_scale ? scale + i : NULL, has_offset ? offset + i : NULL, mask));
  }
}

static void layer_norm_run(const pk_layer_norm *norm, size_t first_row, size_t end_row) {
  const size_t count = norm->count;
  if (count == 0) return;
  const float *scale = norm->scale, *offset = norm->offset;
  for (size_t row = first_row; row < end_row; row++) {
    const float *x = norm->from + row * norm->from_row_stride;
    float *to = norm->to + row * norm->to_row_stride;
    if (norm->addend != NULL) {
      float *sum = norm->sum != NULL ? norm->sum + row * norm->sum_row_stride : to;
      const float *addend = norm->addend + row * norm->addend_row_stride;
      if (norm->addend_bias != NULL)
        add_rows(true, x, addend, norm->addend_bias, sum, count);
      else
        add_rows(false, x, addend, NULL, sum, count);
      x = sum;
    }
    const float mean = norm->is_centred ? sum_of_row(1, x, 0, count) / (float)count : 0;
    const float factor = 1.0f / sqrtf(sum_of_row(2, x, mean, count) / (float)count + norm->epsilon);
    if (scale != NULL && offset != NULL)
      scale_row(true, true, x, to, scale, offset, mean, factor, count);
    else if (scale != NULL)
      scale_row(true, false, x, to, scale, offset, mean, factor, count);
    else if (offset != NULL)
      scale_row(false, true, x, to, scale, offset, mean, factor, count);
    else
      scale_row(false, false, x, to, scale, offset, mean, factor, count);
  }
}

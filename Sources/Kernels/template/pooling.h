// Pooling, channels last: one output pixel at a time, several vectors of channels at once.

enum { POOLING_VECTORS = 4 };

PK_INLINE void pool_block(
    const int vectors, const bool maximum, const pk_pooling *p, size_t y, size_t x, tap_range rows, tap_range columns, float divisor,
    size_t channel, size_t channels) {
  const vmask last = mask_first(channels - (size_t)(vectors - 1) * LANES);
  vf values[POOLING_VECTORS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) values[v] = maximum ? -__builtin_inff() : 0.0f;
  for (size_t row = rows.first; row < rows.end; row++)
    for (size_t column = columns.first; column < columns.end; column++) {
      const size_t input_y = y * p->stride_height + row * p->dilation_height - p->pad_top;
      const size_t input_x = x * p->stride_width + column * p->dilation_width - p->pad_left;
      const float *at = p->input + (input_y * p->width + input_x) * p->input_pixel_stride + channel;
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const vf value = v + 1 < vectors ? load(at + v * LANES) : load_masked(at + v * LANES, last);
        // What is no number stays the maximum once it is met.
        values[v] = maximum ? vf_select((vi)(value > values[v]) | (vi)(value != value), value, values[v]) : values[v] + value;
      }
    }
  float *to = p->output + (y * p->output_width + x) * p->output_pixel_stride + channel;
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const vf value = maximum ? values[v] : values[v] / divisor;
    if (v + 1 < vectors)
      store(to + v * LANES, value);
    else
      store_masked(to + v * LANES, last, value);
  }
}

PK_INLINE void pool_pixel(
    const bool maximum, const pk_pooling *p, size_t y, size_t x, tap_range rows, tap_range columns, float divisor) {
  size_t channel = 0;
  for (; channel + POOLING_VECTORS * LANES <= p->channels; channel += POOLING_VECTORS * LANES)
    pool_block(POOLING_VECTORS, maximum, p, y, x, rows, columns, divisor, channel, POOLING_VECTORS * LANES);
  for (; channel < p->channels; channel += LANES)
    pool_block(1, maximum, p, y, x, rows, columns, divisor, channel, least(LANES, p->channels - channel));
}

static void pooling_run(const pk_pooling *p, size_t first_pixel, size_t end_pixel) {
  end_pixel = least(end_pixel, p->output_height * p->output_width);
  for (size_t pixel = first_pixel; pixel < end_pixel; pixel++) {
    const size_t y = pixel / p->output_width, x = pixel % p->output_width;
    const tap_range rows = taps_inside(y, p->stride_height, p->pad_top, p->dilation_height, p->kernel_height, p->height);
    const tap_range columns = taps_inside(x, p->stride_width, p->pad_left, p->dilation_width, p->kernel_width, p->width);
    if (p->kind == PK_POOLING_MAX) {
      pool_pixel(true, p, y, x, rows, columns, 1);
    } else {
      tap_range down = rows, across = columns;
      if (p->counts_padding) {
        down = taps_inside(y, p->stride_height, 0, p->dilation_height, p->kernel_height, p->height + p->pad_top + p->pad_bottom);
        across = taps_inside(x, p->stride_width, 0, p->dilation_width, p->kernel_width, p->width + p->pad_left + p->pad_right);
      }
      const size_t counted = (down.end - down.first) * (across.end - across.first);
      pool_pixel(false, p, y, x, rows, columns, counted == 0 ? 1.0f : (float)counted);
    }
  }
}

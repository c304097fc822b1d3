// Depthwise convolution, channels last: blocks of pixels of one output row × one vector of channels.

enum { DEPTHWISE_PIXELS = 8, DEPTHWISE_VECTORS = 4 };

/// The taps [first, end) of a kernel at an output position that lie inside the input.
typedef struct tap_range {
  size_t first, end;
} tap_range;

PK_INLINE tap_range taps_inside(size_t position, size_t stride, size_t pad, size_t dilation, size_t kernel, size_t extent) {
  const size_t start = position * stride;
  tap_range taps = {.first = start >= pad ? 0 : quotient_up(pad - start, dilation), .end = 0};
  const size_t limit = extent + pad;  // start + tap · dilation must stay below it
  if (limit > start) taps.end = least(kernel, quotient_up(limit - start, dilation));
  if (taps.first > taps.end) taps.first = taps.end;
  return taps;
}

PK_INLINE bool is_depthwise(const pk_convolution *c) {
  return c->groups == c->channels && c->groups == c->output_channels && c->groups > 1;
}

/// Channels between the taps of packed depthwise weights.
PK_INLINE size_t depthwise_tap_stride(const pk_convolution *c) { return quotient_up(c->channels, LANES) * LANES; }

static void pack_depthwise(const pk_convolution *c, const float *weights, float *packed) {
  const size_t taps = c->kernel_height * c->kernel_width, stride = depthwise_tap_stride(c);
  for (size_t tap = 0; tap < taps; tap++)
    for (size_t channel = 0; channel < stride; channel++)
      packed[tap * stride + channel] = channel < c->channels ? weights[channel * taps + tap] : 0;
}

PK_INLINE tile_output depthwise_output(const pk_convolution *c, size_t pixel, size_t channel, size_t columns) {
  const pk_epilogue *e = &c->epilogue;
  tile_output out = {
    .c = c->output + pixel * c->output_pixel_stride + channel, .c_row_stride = c->output_pixel_stride, .columns = columns,
    .bias = e->bias == NULL ? NULL : e->bias + (e->bias_per_row ? pixel : channel),
    .residual = e->residual == NULL ? NULL : e->residual + pixel * e->residual_row_stride + channel,
    .residual_row_stride = e->residual_row_stride, .epilogue = e};
  return out;
}

/// `pixels` neighbouring outputs whose taps all lie inside along the width, at channels [channel, channel + columns).
PK_INLINE void depthwise_block(
    const int pixels, const bool whole, const pk_convolution *c, size_t y, size_t x, tap_range rows, size_t channel,
    size_t columns) {
  const size_t pixel_stride = c->input_pixel_stride, step = c->stride_width * pixel_stride, tap_stride = depthwise_tap_stride(c);
  const vmask mask = mask_first(columns);
  vf sums[TILE_SUMS];
#pragma clang loop unroll(full)
  for (int i = 0; i < pixels; i++) sums[i] = 0;
  for (size_t row = rows.first; row < rows.end; row++) {
    const size_t input_y = y * c->stride_height + row * c->dilation_height - c->pad_top;
    const float *x0 = c->input + (input_y * c->width + x * c->stride_width - c->pad_left) * pixel_stride + channel;
    const float *x3 = x0 + 3 * step, *x6 = x0 + 6 * step;
    keep_apart(&x3), keep_apart(&x6);
    const float *weights = c->packed_weights + row * c->kernel_width * tap_stride + channel;
    for (size_t column = 0; column < c->kernel_width; column++) {
      const vf weight = load(weights + column * tap_stride);
#pragma clang loop unroll(full)
      for (int i = 0; i < pixels; i++) {
        const float *at = (i < 3 ? x0 : i < 6 ? x3 : x6) + (size_t)(i % 3) * step;
        sums[i] = vf_fma(whole ? load(at) : load_masked(at, mask), weight, sums[i]);
      }
      x0 += c->dilation_width * pixel_stride;
      x3 += c->dilation_width * pixel_stride;
      x6 += c->dilation_width * pixel_stride;
    }
  }
  const tile_output out = depthwise_output(c, y * c->output_width + x, channel, columns);
  finish_tile(pixels, 1, sums, &out);
}

PK_INLINE void depthwise_pixels(
    const int pixels, const pk_convolution *c, size_t y, size_t x, tap_range rows, size_t first_channel, size_t end_channel) {
  size_t channel = first_channel;
  for (; channel + LANES <= end_channel; channel += LANES) depthwise_block(pixels, true, c, y, x, rows, channel, LANES);
  if (channel < end_channel) depthwise_block(pixels, false, c, y, x, rows, channel, end_channel - channel);
}

/// One output at the border: several vectors of channels at once.
PK_INLINE void depthwise_border_block(
    const int vectors, const pk_convolution *c, size_t y, size_t x, tap_range rows, tap_range columns, size_t channel,
    size_t channels) {
  const size_t tap_stride = depthwise_tap_stride(c);
  const vmask last = mask_first(channels - (size_t)(vectors - 1) * LANES);
  vf sums[TILE_SUMS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) sums[v] = 0;
  for (size_t row = rows.first; row < rows.end; row++)
    for (size_t column = columns.first; column < columns.end; column++) {
      const size_t input_y = y * c->stride_height + row * c->dilation_height - c->pad_top;
      const size_t input_x = x * c->stride_width + column * c->dilation_width - c->pad_left;
      const float *at = c->input + (input_y * c->width + input_x) * c->input_pixel_stride + channel;
      const float *weights = c->packed_weights + (row * c->kernel_width + column) * tap_stride + channel;
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const vf value = v + 1 < vectors ? load(at + v * LANES) : load_masked(at + v * LANES, last);
        sums[v] = vf_fma(value, load(weights + v * LANES), sums[v]);
      }
    }
  const tile_output out = depthwise_output(c, y * c->output_width + x, channel, channels);
  finish_tile(1, vectors, sums, &out);
}

static void depthwise_border_pixel(
    const pk_convolution *c, size_t y, size_t x, tap_range rows, size_t first_channel, size_t end_channel) {
  const tap_range columns = taps_inside(x, c->stride_width, c->pad_left, c->dilation_width, c->kernel_width, c->width);
  size_t channel = first_channel;
  for (; channel + DEPTHWISE_VECTORS * LANES <= end_channel; channel += DEPTHWISE_VECTORS * LANES)
    depthwise_border_block(DEPTHWISE_VECTORS, c, y, x, rows, columns, channel, DEPTHWISE_VECTORS * LANES);
  for (; channel < end_channel; channel += LANES)
    depthwise_border_block(1, c, y, x, rows, columns, channel, least(LANES, end_channel - channel));
}

static __attribute__((noinline)) void depthwise_row(
    const pk_convolution *c, size_t y, size_t first_x, size_t end_x, size_t first_channel, size_t end_channel) {
  const tap_range rows = taps_inside(y, c->stride_height, c->pad_top, c->dilation_height, c->kernel_height, c->height);
  // Outputs [inner, outer) have all taps inside along the width.
  const size_t reach = (c->kernel_width - 1) * c->dilation_width, inner = quotient_up(c->pad_left, c->stride_width);
  const size_t room = c->width + c->pad_left;
  const size_t outer = room > reach ? (room - reach - 1) / c->stride_width + 1 : 0;
  size_t x = first_x;
  while (x < end_x) {
    const size_t left = x >= inner && x < outer ? least(end_x, outer) - x : 0;
    if (left >= 8) {
      depthwise_pixels(8, c, y, x, rows, first_channel, end_channel);
      x += 8;
    } else if (left >= 4) {
      depthwise_pixels(4, c, y, x, rows, first_channel, end_channel);
      x += 4;
    } else if (left >= 2) {
      depthwise_pixels(2, c, y, x, rows, first_channel, end_channel);
      x += 2;
    } else {
      depthwise_border_pixel(c, y, x, rows, first_channel, end_channel);
      x += 1;
    }
  }
}

static void depthwise_run(
    const pk_convolution *c, size_t first_pixel, size_t end_pixel, size_t first_channel, size_t end_channel) {
  size_t pixel = first_pixel;
  while (pixel < end_pixel) {
    const size_t y = pixel / c->output_width, x = pixel % c->output_width;
    const size_t end_x = least(c->output_width, x + (end_pixel - pixel));
    depthwise_row(c, y, x, end_x, first_channel, end_channel);
    pixel += end_x - x;
  }
}

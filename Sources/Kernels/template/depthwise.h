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

static void depthwise_general_row(
    const pk_convolution *c, size_t y, size_t first_x, size_t end_x, size_t first_channel, size_t end_channel) {
  const tap_range rows = taps_inside(y, c->stride_height, c->pad_top, c->dilation_height, c->kernel_height, c->height);
  // Outputs [inner, outer) have all taps inside along the width.
  const size_t reach = (c->kernel_width - 1) * c->dilation_width, inner = quotient_up(c->pad_left, c->stride_width);
  const size_t room = c->width + c->pad_left;
  const size_t outer = room > reach ? (room - reach - 1) / c->stride_width + 1 : 0;
  size_t x = first_x;
  while (x < end_x) {
    const size_t left = x >= inner && x < outer ? least(end_x, outer) - x : 0;
    if (left >= DEPTHWISE_PIXELS) {
      depthwise_pixels(DEPTHWISE_PIXELS, c, y, x, rows, first_channel, end_channel);
      x += DEPTHWISE_PIXELS;
    } else if (left >= 3) {
      depthwise_pixels(3, c, y, x, rows, first_channel, end_channel);
      x += 3;
    } else {
      depthwise_border_pixel(c, y, x, rows, first_channel, end_channel);
      x += 1;
    }
  }
}

// ---- The common kernels: each input vector is read once per block of outputs and multiplied by every tap that meets it.

/// What one row of outputs needs, held in registers: stores to C could alias the problem itself.
typedef struct sliding_row {
  const float *input;  // of the first tap's row, at padding's first column
  size_t input_row_stride, pixel_stride, width, pad;
  const float *weights;
  size_t tap_stride, rows;
  const float *bias;  // per channel
  const float *row_bias;  // per output
  const float *residual;
  size_t residual_stride;
  bool residual_after;
  float alpha, low, high;
  float *output;
  size_t output_stride;
} sliding_row;

PK_INLINE sliding_row sliding_row_of(const pk_convolution *c, size_t y) {
  const pk_epilogue *e = &c->epilogue;
  const tap_range taps = taps_inside(y, c->stride_height, c->pad_top, c->dilation_height, c->kernel_height, c->height);
  const bool clips = is_clip(e->activation), costly = e->activation != PK_ACTIVATION_NONE && !clips;
  const size_t input_y = y * c->stride_height + taps.first * c->dilation_height - c->pad_top, pixel = y * c->output_width;
  const bool adds = e->residual != NULL && !(costly && e->residual_after_activation);
  sliding_row row = {
    .input = taps.first == taps.end ? c->input : c->input + input_y * c->width * c->input_pixel_stride,
    .input_row_stride = c->dilation_height * c->width * c->input_pixel_stride, .pixel_stride = c->input_pixel_stride,
    .width = c->width, .pad = c->pad_left,
    .weights = c->packed_weights + taps.first * c->kernel_width * depthwise_tap_stride(c), .tap_stride = depthwise_tap_stride(c),
    .rows = taps.end - taps.first, .bias = e->bias_per_row ? NULL : e->bias,
    .row_bias = e->bias != NULL && e->bias_per_row ? e->bias + pixel : NULL,
    .residual = adds ? e->residual + pixel * e->residual_row_stride : NULL, .residual_stride = e->residual_row_stride,
    .residual_after = e->residual_after_activation, .alpha = e->alpha,
    .low = e->activation == PK_ACTIVATION_RELU ? 0 : clips ? e->first : -__builtin_inff(),
    .high = e->activation == PK_ACTIVATION_CLIP ? e->second : __builtin_inff(),
    .output = c->output + pixel * c->output_pixel_stride, .output_stride = c->output_pixel_stride};
  return row;
}

/// Stores the first `count` sums of neighbouring outputs through the epilogue, but for a costly activation.
PK_INLINE void finish_sliding(
    const int pixels, const vf *sums, size_t count, const sliding_row *r, size_t x, size_t channel, vmask mask) {
  const vf bias = r->bias == NULL ? (vf)0 : load_masked(r->bias + channel, mask);
  float *to = r->output + x * r->output_stride + channel;
#pragma clang loop unroll(full)
  for (int i = 0; i < pixels; i++) {
    if ((size_t)i >= count) break;
    vf value = vf_fma(sums[i], (vf)r->alpha, bias);
    if (r->row_bias != NULL) value += r->row_bias[x + (size_t)i];
    if (r->residual == NULL) {
      value = vf_clip(value, (vf)r->low, (vf)r->high);
    } else {
      const vf residual = load_masked(r->residual + (x + (size_t)i) * r->residual_stride + channel, mask);
      value = vf_clip(r->residual_after ? value : value + residual, (vf)r->low, (vf)r->high);
      value = r->residual_after ? value + residual : value;
    }
    store_masked(to, mask, value);
    to += r->output_stride;
  }
}

/// `count` of at most `pixels` outputs from x on. `checked`: taps may fall outside the input along the width.
PK_INLINE void depthwise_sliding(
    const int pixels, const int kernel, const int stride, const bool checked, const sliding_row *r, size_t x, size_t count,
    size_t channel, vmask mask) {
  const size_t first_column = x * (size_t)stride - r->pad;  // wraps around where it falls into the padding
  const float *line = r->input + channel + (checked ? 0 : first_column * r->pixel_stride);
  const float *weights = r->weights + channel;
  vf sums[DEPTHWISE_PIXELS];
#pragma clang loop unroll(full)
  for (int i = 0; i < pixels; i++) sums[i] = 0;
  for (size_t row = 0; row < r->rows; row++) {
    const float *at = line;
    vf weight[7];
#pragma clang loop unroll(full)
    for (int tap = 0; tap < kernel; tap++) weight[tap] = load(weights + (size_t)tap * r->tap_stride);
#pragma clang loop unroll(full)
    for (int j = 0; j < (pixels - 1) * stride + kernel; j++) {
      const size_t column = first_column + (size_t)j;
      if (checked && column >= r->width) continue;
      const vf value = load_masked(checked ? line + column * r->pixel_stride : at, mask);
      at += checked ? 0 : r->pixel_stride;
#pragma clang loop unroll(full)
      for (int tap = 0; tap < kernel; tap++)
        if (j >= tap && (j - tap) % stride == 0 && (j - tap) / stride < pixels)
          sums[(j - tap) / stride] = vf_fma(value, weight[tap], sums[(j - tap) / stride]);
    }
    line += r->input_row_stride;
    weights += (size_t)kernel * r->tap_stride;
  }
  finish_sliding(pixels, sums, count, r, x, channel, mask);
}

PK_INLINE void sliding_block(
    const int pixels, const int kernel, const int stride, const bool checked, const sliding_row *r, size_t x, size_t count,
    size_t first_channel, size_t end_channel) {
  for (size_t channel = first_channel; channel < end_channel; channel += LANES)
    depthwise_sliding(pixels, kernel, stride, checked, r, x, count, channel, mask_first(end_channel - channel));
}

PK_INLINE void depthwise_sliding_row(
    const int kernel, const int stride, const pk_convolution *c, size_t y, size_t first_x, size_t end_x, size_t first_channel,
    size_t end_channel) {
  const sliding_row row = sliding_row_of(c, y);
  const pk_activation activation = c->epilogue.activation;
  const bool costly = activation != PK_ACTIVATION_NONE && !is_clip(activation);
  for (size_t x = first_x; x < end_x;) {
    const size_t count = least(end_x - x, DEPTHWISE_PIXELS);
    const size_t start = x * (size_t)stride, reach = (DEPTHWISE_PIXELS - 1) * (size_t)stride + (size_t)kernel;
    const bool inside = start >= row.pad && start - row.pad + reach <= row.width;
    if (count <= DEPTHWISE_PIXELS / 2)
      sliding_block(DEPTHWISE_PIXELS / 2, kernel, stride, true, &row, x, count, first_channel, end_channel);
    else if (inside)
      sliding_block(DEPTHWISE_PIXELS, kernel, stride, false, &row, x, count, first_channel, end_channel);
    else
      sliding_block(DEPTHWISE_PIXELS, kernel, stride, true, &row, x, count, first_channel, end_channel);
    if (costly) {
      const tile_output out = depthwise_output(c, y * c->output_width + x, first_channel, end_channel - first_channel);
      activate_tile(&out, count);
    }
    x += count;
  }
}

static __attribute__((noinline)) void depthwise_row(
    const pk_convolution *c, size_t y, size_t first_x, size_t end_x, size_t first_channel, size_t end_channel) {
  const size_t kernel = c->kernel_width, stride = c->stride_width;
  const bool overlaid = c->epilogue.residual == c->output && c->epilogue.residual_after_activation;
  const bool common = c->dilation_width == 1 && !overlaid && stride <= 2;
  if (common && kernel == 3 && stride == 1)
    depthwise_sliding_row(3, 1, c, y, first_x, end_x, first_channel, end_channel);
  else if (common && kernel == 3)
    depthwise_sliding_row(3, 2, c, y, first_x, end_x, first_channel, end_channel);
  else if (common && kernel == 5 && stride == 1)
    depthwise_sliding_row(5, 1, c, y, first_x, end_x, first_channel, end_channel);
  else if (common && kernel == 5)
    depthwise_sliding_row(5, 2, c, y, first_x, end_x, first_channel, end_channel);
  else if (common && kernel == 7 && stride == 1)
    depthwise_sliding_row(7, 1, c, y, first_x, end_x, first_channel, end_channel);
  else
    depthwise_general_row(c, y, first_x, end_x, first_channel, end_channel);
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

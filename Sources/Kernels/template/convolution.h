// Convolution, channels last, as a product of matrices: rows are output pixels, depth runs over (kernel row, kernel column, channel).
// A 1 × 1 kernel of stride 1 reads the input where it lies; others gather a block of rows into scratch, run by run.

/// Groups of few channels are merged, with zero weights between them, until they fill a vector of outputs.
PK_INLINE size_t merged_groups(const pk_convolution *c) {
  const size_t outputs = c->output_channels / c->groups;
  size_t merged = 1;
  while (merged < c->groups && (merged + 1) * outputs <= LANES) merged++;
  while (c->groups % merged != 0) merged--;
  return merged;
}

/// The convolution as products, one per merged group.
typedef struct convolution_shape {
  size_t products;  // merged groups
  size_t inputs, outputs;  // channels of each
  size_t k;
  size_t panels;  // of each
} convolution_shape;

PK_INLINE convolution_shape shape_of_convolution(const pk_convolution *c) {
  convolution_shape shape = {0, 0, 0, 0, 0};
  if (c->groups == 0 || c->output_channels == 0) return shape;
  shape.products = c->groups / merged_groups(c);
  shape.inputs = c->channels / shape.products;
  shape.outputs = c->output_channels / shape.products;
  shape.k = c->kernel_height * c->kernel_width * shape.inputs;
  shape.panels = quotient_up(shape.outputs, PANEL_COLUMNS);
  return shape;
}

static size_t convolution_panel_count(const pk_convolution *c) {
  if (is_depthwise(c)) return quotient_up(c->channels, PANEL_COLUMNS);
  const convolution_shape shape = shape_of_convolution(c);
  return shape.products * shape.panels;
}

static size_t packed_convolution_size(const pk_convolution *c) {
  if (is_depthwise(c)) return c->kernel_height * c->kernel_width * depthwise_tap_stride(c);
  const convolution_shape shape = shape_of_convolution(c);
  return shape.products * shape.panels * PANEL_COLUMNS * shape.k;
}

static void pack_convolution(const pk_convolution *c, const float *weights, float *packed) {
  if (is_depthwise(c)) {
    pack_depthwise(c, weights, packed);
    return;
  }
  const convolution_shape shape = shape_of_convolution(c);
  const size_t taps = c->kernel_height * c->kernel_width;
  if (shape.k == 0 || c->channels < c->groups) return;
  const size_t group_inputs = c->channels / c->groups, group_outputs = c->output_channels / c->groups;
  for (size_t product = 0; product < shape.products; product++)
    for (size_t column = 0; column < shape.outputs; column += PANEL_COLUMNS) {
      const size_t width = vectors_of_panel(shape.outputs, column) * LANES;
      float *to = packed + (product * shape.panels * PANEL_COLUMNS + column) * shape.k;
      for (size_t j = 0; j < width; j++) {
        const size_t output = column + j;
        const float *from = weights + (product * shape.outputs + output) * group_inputs * taps;
        const size_t first_input = output / group_outputs * group_inputs;  // of the output's own group within the product
        for (size_t tap = 0; tap < taps; tap++)
          for (size_t input = 0; input < shape.inputs; input++) {
            const bool own = output < shape.outputs && input >= first_input && input < first_input + group_inputs;
            to[(tap * shape.inputs + input) * width + j] = own ? from[(input - first_input) * taps + tap] : 0;
          }
      }
    }
}

/// Output pixels are rows of the input as they lie.
PK_INLINE bool reads_in_place(const pk_convolution *c) {
  return c->kernel_height == 1 && c->kernel_width == 1 && c->stride_height == 1 && c->stride_width == 1 && c->pad_top == 0 &&
         c->pad_left == 0 && c->output_height <= c->height && c->output_width == c->width;
}

static size_t convolution_scratch_size(const pk_convolution *c) {
  if (is_depthwise(c)) return 0;
  const size_t k = shape_of_convolution(c).k;
  return (reads_in_place(c) ? 0 : block_rows(k) * copied_row_stride(k)) + partial_size(k);
}

/// Gathers what the kernel sees at output pixels [first, first + count), channels [channel, channel + channels), one row per pixel.
static void gather_pixels(
    const pk_convolution *c, size_t first, size_t count, size_t channel, size_t channels, float *to, size_t to_stride) {
  const size_t stride = c->input_pixel_stride, kernel_width = c->kernel_width;
  const bool dense = c->dilation_width == 1 && stride == channels;  // the taps of a kernel row are one run
  size_t y = first / c->output_width, x = first % c->output_width;
  tap_range rows = taps_inside(y, c->stride_height, c->pad_top, c->dilation_height, c->kernel_height, c->height);
  for (size_t pixel = 0; pixel < count; pixel++) {
    const tap_range columns = taps_inside(x, c->stride_width, c->pad_left, c->dilation_width, kernel_width, c->width);
    for (size_t row = 0; row < c->kernel_height; row++) {
      float *at = to + pixel * to_stride + row * kernel_width * channels;
      if (row < rows.first || row >= rows.end || columns.first == columns.end) {
        zero_run(at, kernel_width * channels);
        continue;
      }
      if (columns.first > 0) zero_run(at, columns.first * channels);
      if (columns.end < kernel_width) zero_run(at + columns.end * channels, (kernel_width - columns.end) * channels);
      const size_t input_y = y * c->stride_height + row * c->dilation_height - c->pad_top;
      const size_t input_x = x * c->stride_width + columns.first * c->dilation_width - c->pad_left;
      const float *from = c->input + (input_y * c->width + input_x) * stride + channel;
      if (dense) {
        copy_run(at + columns.first * channels, from, (columns.end - columns.first) * channels);
      } else {
        for (size_t column = columns.first; column < columns.end; column++, from += c->dilation_width * stride)
          copy_run(at + column * channels, from, channels);
      }
    }
    if (++x == c->output_width) {
      x = 0;
      y++;
      rows = taps_inside(y, c->stride_height, c->pad_top, c->dilation_height, c->kernel_height, c->height);
    }
  }
}

/// The panels [first_panel, end_panel) of one merged group.
static void convolve_group(
    const pk_convolution *c, const convolution_shape *shape, size_t group, size_t first_pixel, size_t end_pixel, size_t first_panel,
    size_t end_panel, float *scratch) {
  const pk_epilogue *e = &c->epilogue;
  const size_t k = shape->k, column = group * shape->outputs;
  const bool in_place = reads_in_place(c);
  float *partial = scratch + (in_place ? 0 : block_rows(k) * copied_row_stride(k));
  const size_t even = even_block_rows(end_pixel - first_pixel, k);
  for (size_t pixel = first_pixel; pixel < end_pixel; pixel += even) {
    const size_t rows = least(even, end_pixel - pixel);
    const panel_product product = {
      .n = shape->outputs, .k = k, .packed_b = c->packed_weights + group * shape->panels * PANEL_COLUMNS * k,
      .c = c->output + pixel * c->output_pixel_stride + column, .c_row_stride = c->output_pixel_stride,
      .bias = e->bias == NULL ? NULL : e->bias + (e->bias_per_row ? pixel : column),
      .residual = e->residual == NULL ? NULL : e->residual + pixel * e->residual_row_stride + column, .epilogue = e};
    if (in_place) {
      const float *a = c->input + pixel * c->input_pixel_stride + group * shape->inputs;
      rows_times_panels(&product, a, c->input_pixel_stride, rows, first_panel, end_panel, partial);
    } else {
      gather_pixels(c, pixel, rows, group * shape->inputs, shape->inputs, scratch, copied_row_stride(k));
      rows_times_panels(&product, scratch, copied_row_stride(k), rows, first_panel, end_panel, partial);
    }
  }
}

static void convolution_run(
    const pk_convolution *c, size_t first_pixel, size_t end_pixel, size_t first_panel, size_t end_panel, float *scratch) {
  end_pixel = least(end_pixel, c->output_height * c->output_width);
  end_panel = least(end_panel, convolution_panel_count(c));
  if (first_pixel >= end_pixel || first_panel >= end_panel) return;
  if (is_depthwise(c)) {
    depthwise_run(c, first_pixel, end_pixel, first_panel * PANEL_COLUMNS, least(c->channels, end_panel * PANEL_COLUMNS));
    return;
  }
  const convolution_shape shape = shape_of_convolution(c);
  for (size_t panel = first_panel; panel < end_panel;) {
    const size_t group = panel / shape.panels, first = panel % shape.panels;
    const size_t end = least(shape.panels, first + (end_panel - panel));
    convolve_group(c, &shape, group, first_pixel, end_pixel, first, end, scratch);
    panel += end - first;
  }
}

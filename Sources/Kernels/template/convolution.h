// Convolution, channels last, as a product of matrices: rows are output pixels, depth runs over (kernel row, kernel column, channel).
// A 1 × 1 kernel of stride 1 reads the input where it lies. Wide outputs are made row by row straight from the input: along an output row
// A's rows are a constant distance apart, and a kernel row is one contiguous segment of depth. The input's rows are first copied with
// their padding where they have any. Narrow outputs gather what the kernel sees, one row of A per pixel, so that tiles span output rows.

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

enum { NARROW_OUTPUT = 10, STRIP_PIXELS = 144, STRIP_FLOATS = 64 * 1024 };

typedef enum convolution_way { CONVOLVE_IN_PLACE, CONVOLVE_BY_ROWS, CONVOLVE_GATHERED } convolution_way;

PK_INLINE convolution_way way_of_convolution(const pk_convolution *c) {
  if (reads_in_place(c)) return CONVOLVE_IN_PLACE;
  return c->output_width < NARROW_OUTPUT ? CONVOLVE_GATHERED : CONVOLVE_BY_ROWS;
}

/// A strip of output rows computed at once, and the input rows and columns that it needs.
typedef struct convolution_strip {
  size_t rows;  // of the output, at most
  size_t input_width;  // with padding
  size_t row_stride;  // floats between copied input rows
  bool copies;
} convolution_strip;

PK_INLINE convolution_strip strip_of_convolution(const pk_convolution *c, size_t channels) {
  const size_t width = (c->output_width - 1) * c->stride_width + (c->kernel_width - 1) * c->dilation_width + 1;
  const size_t bottom = (c->output_height - 1) * c->stride_height + (c->kernel_height - 1) * c->dilation_height + 1;
  const bool inside = c->pad_left == 0 && c->pad_top == 0 && width <= c->width && bottom <= c->height;
  convolution_strip strip = {
    .rows = quotient_up(STRIP_PIXELS, c->output_width), .input_width = width, .row_stride = width * channels,
    .copies = !inside || c->input_pixel_stride != channels};
  while (strip.rows > 1 && strip.rows * c->stride_height * strip.row_stride > STRIP_FLOATS) strip.rows--;
  if (!strip.copies) strip.row_stride = c->width * channels;
  return strip;
}

/// Input rows under a strip.
PK_INLINE size_t input_rows_of_strip(const pk_convolution *c, size_t output_rows) {
  return (output_rows - 1) * c->stride_height + (c->kernel_height - 1) * c->dilation_height + 1;
}

PK_INLINE size_t strip_copy_size(const pk_convolution *c, const convolution_strip *strip) {
  return strip->copies ? input_rows_of_strip(c, strip->rows) * strip->row_stride : 0;
}

static size_t convolution_scratch_size(const pk_convolution *c) {
  if (is_depthwise(c) || c->output_width == 0 || c->output_height == 0) return 0;
  const convolution_shape shape = shape_of_convolution(c);
  switch (way_of_convolution(c)) {
    case CONVOLVE_IN_PLACE: return partial_size(shape.k);
    case CONVOLVE_GATHERED: return block_rows(shape.k) * copied_row_stride(shape.k) + partial_size(shape.k);
    case CONVOLVE_BY_ROWS: break;
  }
  const convolution_strip strip = strip_of_convolution(c, shape.inputs);
  return strip_copy_size(c, &strip) + strip.rows * c->output_width * PANEL_COLUMNS;
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

PK_INLINE panel_product product_of_group(const pk_convolution *c, const convolution_shape *shape, size_t group, size_t pixel) {
  const pk_epilogue *e = &c->epilogue;
  const size_t column = group * shape->outputs;
  const panel_product product = {
    .n = shape->outputs, .k = shape->k, .packed_b = c->packed_weights + group * shape->panels * PANEL_COLUMNS * shape->k,
    .c = c->output + pixel * c->output_pixel_stride + column, .c_row_stride = c->output_pixel_stride,
    .bias = e->bias == NULL ? NULL : e->bias + (e->bias_per_row ? pixel : column),
    .residual = e->residual == NULL ? NULL : e->residual + pixel * e->residual_row_stride + column, .epilogue = e};
  return product;
}

/// Panels of one merged group whose rows lie as the input does, or are gathered.
static void convolve_as_product(
    const pk_convolution *c, const convolution_shape *shape, size_t group, size_t first_pixel, size_t end_pixel, size_t first_panel,
    size_t end_panel, float *scratch) {
  const size_t k = shape->k, channel = group * shape->inputs;
  const bool in_place = reads_in_place(c);
  float *partial = scratch + (in_place ? 0 : block_rows(k) * copied_row_stride(k));
  const size_t even = even_block_rows(end_pixel - first_pixel, k);
  for (size_t pixel = first_pixel; pixel < end_pixel; pixel += even) {
    const size_t rows = least(even, end_pixel - pixel);
    const panel_product product = product_of_group(c, shape, group, pixel);
    if (in_place) {
      const float *a = c->input + pixel * c->input_pixel_stride + channel;
      rows_times_panels(&product, a, c->input_pixel_stride, rows, first_panel, end_panel, partial);
    } else {
      gather_pixels(c, pixel, rows, channel, shape->inputs, scratch, copied_row_stride(k));
      rows_times_panels(&product, scratch, copied_row_stride(k), rows, first_panel, end_panel, partial);
    }
  }
}

/// Copies the input rows under output rows [first_y, first_y + rows), with their padding.
static void copy_strip(
    const pk_convolution *c, const convolution_strip *strip, size_t first_y, size_t rows, size_t channel, size_t channels, float *to) {
  const size_t count = input_rows_of_strip(c, rows), top = first_y * c->stride_height, pixel_stride = c->input_pixel_stride;
  const size_t width = least(c->width, strip->input_width > c->pad_left ? strip->input_width - c->pad_left : 0);
  const size_t before = least(c->pad_left, strip->input_width), after = strip->input_width - before - width;
  for (size_t row = 0; row < count; row++, to += strip->row_stride) {
    const size_t y = top + row;
    if (y < c->pad_top || y - c->pad_top >= c->height) {
      zero_run(to, strip->row_stride);
      continue;
    }
    const float *from = c->input + (y - c->pad_top) * c->width * pixel_stride + channel;
    zero_run(to, before * channels);
    if (pixel_stride == channels) {
      copy_run(to + before * channels, from, width * channels);
    } else {
      for (size_t x = 0; x < width; x++) copy_run(to + (before + x) * channels, from + x * pixel_stride, channels);
    }
    zero_run(to + (before + width) * channels, after * channels);
  }
}

/// One block of depth of the outputs [first_pixel, end_pixel) within a strip that starts at row first_y, for one panel.
PK_INLINE void convolve_strip_panel(
    const pk_convolution *c, const panel_product *product, const tile_input *block, const float *a, size_t input_row_stride,
    size_t first_y, size_t first_pixel, size_t end_pixel, size_t column, float *partial) {
  const size_t width = c->output_width, columns = least(product->n - column, PANEL_COLUMNS), vectors = quotient_up(columns, LANES);
  for (size_t pixel = first_pixel; pixel < end_pixel;) {
    const size_t y = pixel / width, x = pixel % width, rows = tile_height(least(width - x, end_pixel - pixel));
    tile_input in = *block;
    in.a = a + (y - first_y) * c->stride_height * input_row_stride + x * block->a_row_stride;
    in.fetch = share_of_fetching(
        block->b, block->segment_rows * block->segment_columns * block->k * vectors, vectors, pixel - first_pixel, rows,
        end_pixel - first_pixel);
    in.partial = partial + (pixel - first_y * width) * PANEL_COLUMNS;
    const tile_output out = output_at(product, pixel - first_pixel, column, columns);
    run_tile(rows, vectors, &in, &out);
    pixel += rows;
  }
}

static void convolve_strip(
    const pk_convolution *c, const convolution_shape *shape, const convolution_strip *strip, size_t group, size_t first_pixel,
    size_t end_pixel, size_t first_panel, size_t end_panel, float *scratch) {
  const size_t channels = shape->inputs, first_y = first_pixel / c->output_width;
  const size_t rows = (end_pixel - 1) / c->output_width + 1 - first_y;
  const float *a = c->input + first_y * c->stride_height * strip->row_stride;
  if (strip->copies) {
    copy_strip(c, strip, first_y, rows, group * channels, channels, scratch);
    a = scratch;
  }
  float *partial = scratch + strip_copy_size(c, strip);
  const panel_product product = product_of_group(c, shape, group, first_pixel);
  // A kernel row without gaps is one segment of depth; a block of depth is some whole segments.
  const bool merged = c->dilation_width == 1 && c->kernel_width * channels <= DEPTH_BLOCK;
  const size_t taps = merged ? 1 : c->kernel_width, depth = merged ? c->kernel_width * channels : channels;
  const size_t segments = least(c->kernel_height, taps * depth >= DEPTH_BLOCK ? 1 : DEPTH_BLOCK / (taps * depth));
  for (size_t panel = first_panel; panel < end_panel; panel++) {
    const size_t column = panel * PANEL_COLUMNS, width = vectors_of_panel(product.n, column) * LANES;
    for (size_t row = 0; row < c->kernel_height; row += segments) {
      const tile_input block = {
        .k = depth, .segment_rows = least(segments, c->kernel_height - row), .segment_columns = taps,
        .segment_row_stride = c->dilation_height * strip->row_stride, .segment_column_stride = c->dilation_width * channels,
        .a_row_stride = c->stride_width * channels,
        .b = product.packed_b + column * shape->k + row * c->kernel_width * channels * width,
        .first = row == 0, .last = row + segments >= c->kernel_height};
      const float *at = a + row * c->dilation_height * strip->row_stride;
      convolve_strip_panel(c, &product, &block, at, strip->row_stride, first_y, first_pixel, end_pixel, column, partial);
    }
  }
}

static void convolve_by_rows(
    const pk_convolution *c, const convolution_shape *shape, size_t group, size_t first_pixel, size_t end_pixel, size_t first_panel,
    size_t end_panel, float *scratch) {
  const convolution_strip strip = strip_of_convolution(c, shape->inputs);
  for (size_t pixel = first_pixel; pixel < end_pixel;) {
    const size_t end = least(end_pixel, (pixel / c->output_width + strip.rows) * c->output_width);
    convolve_strip(c, shape, &strip, group, pixel, end, first_panel, end_panel, scratch);
    pixel = end;
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
  const bool by_rows = way_of_convolution(c) == CONVOLVE_BY_ROWS;
  for (size_t panel = first_panel; panel < end_panel;) {
    const size_t group = panel / shape.panels, first = panel % shape.panels;
    const size_t end = least(shape.panels, first + (end_panel - panel));
    if (by_rows)
      convolve_by_rows(c, &shape, group, first_pixel, end_pixel, first, end, scratch);
    else
      convolve_as_product(c, &shape, group, first_pixel, end_pixel, first, end, scratch);
    panel += end - first;
  }
}

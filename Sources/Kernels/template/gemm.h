// The product of matrices: tiles of up to TILE_ROWS × PANEL_VECTORS vectors of C held in registers, over A's rows as they lie in memory
// and panels of packed B.

enum {
  PANEL_COLUMNS = LANES * PANEL_VECTORS,
  DEPTH_BLOCK = 1024,         // rows of a B panel that stay in the L1 and L2 caches while the tiles of a block of rows pass
  BLOCK_FLOATS = 96 * 1024,   // of A per block of rows: some of the L2 cache
  WIDE_PANELS = 4,                        // panels taken at once for few rows
  FETCH_AHEAD = 64,                       // rows of B fetched early where one or two panels stream from memory
  TILE_SUMS = TILE_ROWS * PANEL_VECTORS,  // vectors of C in registers
};

// ---- Packing

/// Vectors in a panel that starts at `column` of n.
PK_INLINE size_t vectors_of_panel(size_t n, size_t column) { return quotient_up(least(n - column, PANEL_COLUMNS), LANES); }

static void pack_b(
    size_t k, size_t n, const float *b, size_t row_stride, size_t column_stride, size_t first_panel, size_t end_panel,
    float *packed) {
  for (size_t panel = first_panel; panel < end_panel && panel * PANEL_COLUMNS < n; panel++) {
    const size_t column = panel * PANEL_COLUMNS, width = least(n - column, PANEL_COLUMNS);
    const size_t padded = vectors_of_panel(n, column) * LANES;
    const float *from = b + column * column_stride;
    float *to = packed + column * k;
    if (column_stride == 1) {
      for (size_t i = 0; i < k; i++) {
        copy_run(to + i * padded, from + i * row_stride, width);
        for (size_t j = width; j < padded; j++) to[i * padded + j] = 0;
      }
    } else {
      // Blocks of rows keep both sides in cache.
      for (size_t block = 0; block < k; block += 16) {
        const size_t end = least(block + 16, k);
        for (size_t j = 0; j < width; j++)
          for (size_t i = block; i < end; i++) to[i * padded + j] = from[i * row_stride + j * column_stride];
        for (size_t j = width; j < padded; j++)
          for (size_t i = block; i < end; i++) to[i * padded + j] = 0;
      }
    }
  }
}

// ---- Tiles

/// Where a tile's sums go, and how.
typedef struct tile_output {
  float *c;
  size_t c_row_stride;
  size_t columns;  // of this tile that exist
  const float *bias;  // of this tile's first column or row
  const float *residual;
  size_t residual_row_stride;
  const pk_epilogue *epilogue;
} tile_output;

PK_INLINE bool is_clip(pk_activation activation) { return activation == PK_ACTIVATION_RELU || activation == PK_ACTIVATION_CLIP; }

PK_INLINE vf activation_value(const pk_activation activation, vf x, vf first, vf second) {
  switch (activation) {
    case PK_ACTIVATION_NONE: return x;
    case PK_ACTIVATION_RELU: return vf_max((vf)0, x);
    case PK_ACTIVATION_CLIP: return vf_clip(x, first, second);
    case PK_ACTIVATION_LEAKY_RELU: return vf_leaky_relu(x, first);
    case PK_ACTIVATION_HARD_SIGMOID: return vf_hard_sigmoid(x, first, second);
    case PK_ACTIVATION_HARD_SWISH: return vf_hard_swish(x);
    case PK_ACTIVATION_SIGMOID: return vf_sigmoid(x);
    case PK_ACTIVATION_SILU: return vf_silu(x);
    case PK_ACTIVATION_GELU_ERF: return vf_gelu_erf(x);
    case PK_ACTIVATION_GELU_TANH: return vf_gelu_tanh(x);
    case PK_ACTIVATION_TANH: return vf_tanh(x);
  }
  return x;
}

PK_INLINE void activate_rows(
    const pk_activation activation, vf first, vf second, float *c, size_t c_row_stride, const float *added, size_t added_row_stride,
    size_t rows, size_t columns) {
  for (size_t row = 0; row < rows; row++) {
    for (size_t column = 0; column < columns; column += LANES) {
      float *at = c + row * c_row_stride + column;
      const vmask mask = mask_first(columns - column);
      vf value = activation_value(activation, load_masked(at, mask), first, second);
      if (added != NULL) value += load_masked(added + row * added_row_stride + column, mask);
      store_masked(at, mask, value);
    }
  }
}

/// The activations that take more than a few instructions, on a tile that was just stored.
static __attribute__((noinline)) void activate_tile(const tile_output *out, size_t rows) {
  const pk_epilogue *e = out->epilogue;
  const float *added = e->residual_after_activation ? out->residual : NULL;
  const size_t stride = out->c_row_stride, added_stride = out->residual_row_stride;
  switch (e->activation) {
    case PK_ACTIVATION_NONE: case PK_ACTIVATION_RELU: case PK_ACTIVATION_CLIP: break;
    case PK_ACTIVATION_LEAKY_RELU:
      activate_rows(PK_ACTIVATION_LEAKY_RELU, e->first, e->second, out->c, stride, added, added_stride, rows, out->columns);
      break;
    case PK_ACTIVATION_HARD_SIGMOID:
      activate_rows(PK_ACTIVATION_HARD_SIGMOID, e->first, e->second, out->c, stride, added, added_stride, rows, out->columns);
      break;
    case PK_ACTIVATION_HARD_SWISH:
      activate_rows(PK_ACTIVATION_HARD_SWISH, e->first, e->second, out->c, stride, added, added_stride, rows, out->columns);
      break;
    case PK_ACTIVATION_SIGMOID:
      activate_rows(PK_ACTIVATION_SIGMOID, e->first, e->second, out->c, stride, added, added_stride, rows, out->columns);
      break;
    case PK_ACTIVATION_SILU:
      activate_rows(PK_ACTIVATION_SILU, e->first, e->second, out->c, stride, added, added_stride, rows, out->columns);
      break;
    case PK_ACTIVATION_GELU_ERF:
      activate_rows(PK_ACTIVATION_GELU_ERF, e->first, e->second, out->c, stride, added, added_stride, rows, out->columns);
      break;
    case PK_ACTIVATION_GELU_TANH:
      activate_rows(PK_ACTIVATION_GELU_TANH, e->first, e->second, out->c, stride, added, added_stride, rows, out->columns);
      break;
    case PK_ACTIVATION_TANH:
      activate_rows(PK_ACTIVATION_TANH, e->first, e->second, out->c, stride, added, added_stride, rows, out->columns);
      break;
  }
}

/// The same for a residual that is C itself and is added after the activation: it is put aside before the sums are stored.
static __attribute__((noinline)) void activate_sums_over_residual(const vf *sums, size_t rows, size_t vectors, const tile_output *out) {
  float aside[TILE_SUMS * LANES];
  tile_output apart = *out;
  apart.residual = aside;
  apart.residual_row_stride = vectors * LANES;
  for (size_t row = 0; row < rows; row++) {
    copy_run(aside + row * vectors * LANES, out->residual + row * out->residual_row_stride, out->columns);
    for (size_t v = 0; v < vectors; v++)
      store_masked(out->c + row * out->c_row_stride + v * LANES, mask_first(out->columns - v * LANES), sums[row * vectors + v]);
  }
  activate_tile(&apart, rows);
}

/// Stores the sums of a tile through the epilogue.
PK_INLINE void finish_tile(const int rows, const int vectors, vf *sums, const tile_output *out) {
  const pk_epilogue *e = out->epilogue;
  const vmask last = mask_first(out->columns - (size_t)(vectors - 1) * LANES);
  if (e->alpha != 1.0f) {
#pragma clang loop unroll(full)
    for (int row = 0; row < rows; row++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sums[row * vectors + v] *= e->alpha;
  }
  if (out->bias != NULL) {
    if (e->bias_per_row) {
#pragma clang loop unroll(full)
      for (int row = 0; row < rows; row++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) sums[row * vectors + v] += out->bias[row];
    } else {
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const vf bias = v + 1 < vectors ? load(out->bias + v * LANES) : load_masked(out->bias + v * LANES, last);
#pragma clang loop unroll(full)
        for (int row = 0; row < rows; row++) sums[row * vectors + v] += bias;
      }
    }
  }
  const bool costly = e->activation != PK_ACTIVATION_NONE && !is_clip(e->activation);
  const bool adds = out->residual != NULL && !(costly && e->residual_after_activation);
  if (adds && !e->residual_after_activation) {
#pragma clang loop unroll(full)
    for (int row = 0; row < rows; row++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const float *at = out->residual + (size_t)row * out->residual_row_stride + v * LANES;
        sums[row * vectors + v] += v + 1 < vectors ? load(at) : load_masked(at, last);
      }
  }
  if (is_clip(e->activation)) {
    const vf low = e->activation == PK_ACTIVATION_RELU ? 0.0f : e->first;
    const vf high = e->activation == PK_ACTIVATION_RELU ? __builtin_inff() : e->second;
#pragma clang loop unroll(full)
    for (int row = 0; row < rows; row++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sums[row * vectors + v] = vf_clip(sums[row * vectors + v], low, high);
  }
  if (adds && e->residual_after_activation) {
#pragma clang loop unroll(full)
    for (int row = 0; row < rows; row++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const float *at = out->residual + (size_t)row * out->residual_row_stride + v * LANES;
        sums[row * vectors + v] += v + 1 < vectors ? load(at) : load_masked(at, last);
      }
  }
  if (costly && e->residual_after_activation && out->residual == out->c) {
    vf copied[TILE_SUMS];  // so that the sums themselves need no address and stay in registers
#pragma clang loop unroll(full)
    for (int i = 0; i < rows * vectors; i++) copied[i] = sums[i];
    activate_sums_over_residual(copied, (size_t)rows, (size_t)vectors, out);
    return;
  }
#pragma clang loop unroll(full)
  for (int row = 0; row < rows; row++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      float *at = out->c + (size_t)row * out->c_row_stride + v * LANES;
      if (v + 1 < vectors)
        store(at, sums[row * vectors + v]);
      else
        store_masked(at, last, sums[row * vectors + v]);
    }
  if (costly) activate_tile(out, (size_t)rows);
}

/// Hides from the optimiser how a pointer was made, so that it keeps a register of its own.
PK_INLINE void keep_apart(const float **pointer) { __asm__("" : "+r"(*pointer)); }

/// Memory that a tile asks for while it is made: `step` floats on for each row of B.
typedef struct fetched {
  const float *at;
  size_t step;
} fetched;

/// sums += A[rows, k] · B[k, vectors], where B's further panels are panel_stride apart. B is fetched `ahead` rows early (0: left to the
/// machine), `fetch`, unless null, besides.
PK_INLINE void add_products(
    const int rows, const int vectors, const int ahead, size_t k, const float *a, size_t a_row_stride, const float *b,
    size_t panel_stride, fetched *fetch, vf *sums) {
  // One pointer per three rows: the others are reached by scaled index.
  const float *a0 = a, *a3 = a + 3 * a_row_stride, *a6 = a + 6 * a_row_stride, *a9 = a + 9 * a_row_stride;
  const float *far = fetch == NULL ? NULL : fetch->at;
  const size_t far_step = fetch == NULL ? 0 : fetch->step;
  for (size_t i = k; i > 0; i--) {
    keep_apart(&a0);
    if (rows > 3) keep_apart(&a3);
    if (rows > 6) keep_apart(&a6);
    if (rows > 9) keep_apart(&a9);
    vf columns[WIDE_PANELS * PANEL_VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
      columns[v] = load(b + (size_t)(v / PANEL_VECTORS) * panel_stride + (v % PANEL_VECTORS) * LANES);
    if (ahead > 0) {
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++)
        __builtin_prefetch(b + (size_t)(v / PANEL_VECTORS) * panel_stride + (ahead * PANEL_VECTORS + v % PANEL_VECTORS) * LANES);
    }
    if (fetch != NULL) {
      __builtin_prefetch(far, 0, 2);
      far += far_step;
    }
#pragma clang loop unroll(full)
    for (int row = 0; row < rows; row++) {
      const float *base = row < 3 ? a0 : row < 6 ? a3 : row < 9 ? a6 : a9;
      const vf value = base[(size_t)(row % 3) * a_row_stride];
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sums[row * vectors + v] = vf_fma(value, columns[v], sums[row * vectors + v]);
    }
    a0++, a3++, a6++, a9++;
    b += (vectors < PANEL_VECTORS ? vectors : PANEL_VECTORS) * LANES;
  }
  if (fetch != NULL) fetch->at = far;
}

/// What a tile reads: segments of depth, each of k contiguous floats per row of A; B is contiguous through all of them. A product of
/// matrices is one segment; a convolution has one per kernel row or tap.
typedef struct tile_input {
  size_t k;
  size_t segment_rows, segment_columns;
  size_t segment_row_stride, segment_column_stride;  // within A
  const float *a;
  size_t a_row_stride;
  const float *b;
  size_t panel_stride;
  fetched fetch;  // what comes after
  float *partial;  // rows · vectors vectors, when not both first and last
  bool first, last;
} tile_input;

/// One tile over one block of depth. Sums start from `partial` unless this is the first block, and return there unless it is the last:
/// so every sum is one chain over ascending k, however depth is blocked.
PK_INLINE void tile_of_rows(const int rows, const int vectors, const int ahead, const tile_input *in, const tile_output *out) {
  vf sums[TILE_SUMS];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * vectors; i++) sums[i] = 0;
  if (!in->first) {
#pragma clang loop unroll(full)
    for (int i = 0; i < rows * vectors; i++) sums[i] = load(in->partial + i * LANES);
  }
  if (in->last) {  // C's lines arrive while the sums are made
#pragma clang loop unroll(full)
    for (int row = 0; row < rows; row++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) __builtin_prefetch(out->c + (size_t)row * out->c_row_stride + v * LANES, 1);
  }
  const float *b = in->b;
  fetched fetch = in->fetch;
  for (size_t y = 0; y < in->segment_rows; y++)
    for (size_t x = 0; x < in->segment_columns; x++) {
      const float *a = in->a + y * in->segment_row_stride + x * in->segment_column_stride;
      add_products(rows, vectors, ahead, in->k, a, in->a_row_stride, b, in->panel_stride, ahead > 0 ? NULL : &fetch, sums);
      b += in->k * (vectors < PANEL_VECTORS ? vectors : PANEL_VECTORS) * LANES;
    }
  if (in->last) {
    finish_tile(rows, vectors, sums, out);
  } else {
#pragma clang loop unroll(full)
    for (int i = 0; i < rows * vectors; i++) store(in->partial + i * LANES, sums[i]);
  }
}

/// Panels taken at once for `rows` rows: few rows alone would wait for each sum's latency.
PK_INLINE int wide_panels(const int rows) {
  const int fit = TILE_SUMS / (rows * PANEL_VECTORS);
  return fit < WIDE_PANELS ? fit : WIDE_PANELS;
}

PK_INLINE void tile_of_vectors(size_t rows, const int vectors, const tile_input *in, const tile_output *out) {
  switch (rows) {
    case 1: tile_of_rows(1, vectors, 0, in, out); break;
    case 2: tile_of_rows(2, vectors, 0, in, out); break;
    case 3: tile_of_rows(3, vectors, 0, in, out); break;
    case 4: tile_of_rows(4, vectors, 0, in, out); break;
#if TILE_ROWS_LIMIT > 4
    case 5: tile_of_rows(5, vectors, 0, in, out); break;
    case 6: tile_of_rows(6, vectors, 0, in, out); break;
#endif
#if TILE_ROWS_LIMIT > 6
    case 7: tile_of_rows(7, vectors, 0, in, out); break;
    case 8: tile_of_rows(8, vectors, 0, in, out); break;
    case 9: tile_of_rows(9, vectors, 0, in, out); break;
    case 10: tile_of_rows(10, vectors, 0, in, out); break;
    case 11: tile_of_rows(11, vectors, 0, in, out); break;
    case 12: tile_of_rows(12, vectors, 0, in, out); break;
#endif
    default: break;
  }
}

static void run_tile(size_t rows, size_t vectors, const tile_input *in, const tile_output *out) {
  switch (vectors) {
    case 1: tile_of_vectors(rows, 1, in, out); break;
    case 2: tile_of_vectors(rows, 2, in, out); break;
#if PANEL_VECTORS_LIMIT > 2
    case 3: tile_of_vectors(rows, 3, in, out); break;
    case 4: tile_of_vectors(rows, 4, in, out); break;
#endif
    default: break;
  }
}

/// A tile of few rows over several whole panels, all of k at once.
static void run_wide_tile(size_t rows, const tile_input *in, const tile_output *out) {
  switch (rows) {
    case 1: tile_of_rows(1, wide_panels(1) * PANEL_VECTORS, 0, in, out); break;
    case 2: tile_of_rows(2, wide_panels(2) * PANEL_VECTORS, 0, in, out); break;
    case 3: tile_of_rows(3, wide_panels(3) * PANEL_VECTORS, 0, in, out); break;
    case 4: tile_of_rows(4, wide_panels(4) * PANEL_VECTORS, 0, in, out); break;
#if TILE_ROWS_LIMIT > 4
    case 5: tile_of_rows(5, wide_panels(5) * PANEL_VECTORS, FETCH_AHEAD, in, out); break;
    case 6: tile_of_rows(6, wide_panels(6) * PANEL_VECTORS, FETCH_AHEAD, in, out); break;
#endif
#if TILE_ROWS_LIMIT > 6
    case 7: tile_of_rows(7, wide_panels(7) * PANEL_VECTORS, FETCH_AHEAD, in, out); break;
    case 8: tile_of_rows(8, wide_panels(8) * PANEL_VECTORS, FETCH_AHEAD, in, out); break;
    case 9: tile_of_rows(9, wide_panels(9) * PANEL_VECTORS, FETCH_AHEAD, in, out); break;
    case 10: tile_of_rows(10, wide_panels(10) * PANEL_VECTORS, FETCH_AHEAD, in, out); break;
    case 11: tile_of_rows(11, wide_panels(11) * PANEL_VECTORS, FETCH_AHEAD, in, out); break;
    case 12: tile_of_rows(12, wide_panels(12) * PANEL_VECTORS, FETCH_AHEAD, in, out); break;
#endif
    default: break;
  }
}

// ---- Blocks of rows

/// A product whose A comes in blocks of rows: the part that does not depend on how A is found.
typedef struct panel_product {
  size_t n, k;
  const float *packed_b;
  float *c;  // of the block's first row
  size_t c_row_stride;
  const float *bias;  // of the block's first row, when per row
  const float *residual;
  const pk_epilogue *epilogue;
} panel_product;

PK_INLINE tile_output output_at(const panel_product *product, size_t row, size_t column, size_t columns) {
  const pk_epilogue *e = product->epilogue;
  tile_output out = {
    .c = product->c + row * product->c_row_stride + column,
    .c_row_stride = product->c_row_stride,
    .columns = columns,
    .bias = product->bias == NULL ? NULL : product->bias + (e->bias_per_row ? row : column),
    .residual = product->residual == NULL ? NULL : product->residual + row * e->residual_row_stride + column,
    .residual_row_stride = e->residual_row_stride,
    .epilogue = e,
  };
  return out;
}

/// A tile's rows when `rows` are cut into as few and as equal tiles as can be.
PK_INLINE size_t tile_height(size_t rows_left) { return quotient_up(rows_left, quotient_up(rows_left, TILE_ROWS)); }

/// B is one stream: the tiles of a block of `b_vectors` share the fetching of what comes after it. This is the share of rows
/// [row, row + height) of `rows`.
PK_INLINE fetched share_of_fetching(const float *b, size_t b_vectors, size_t vectors, size_t row, size_t height, size_t rows) {
  const fetched share = {.at = b + (b_vectors + row * b_vectors / rows) * LANES, .step = quotient_up(height * vectors * LANES, rows)};
  return share;
}

/// Few rows × panels: B streams through once.
static void few_rows_times_panels(
    const panel_product *product, const float *a, size_t a_row_stride, size_t rows, size_t first_panel, size_t end_panel) {
  const size_t wide = (size_t)wide_panels((int)rows), k = product->k;
  size_t panel = first_panel;
  while (panel < end_panel) {
    const size_t column = panel * PANEL_COLUMNS, left = product->n - column;
    const bool whole = panel + wide <= end_panel && wide * PANEL_COLUMNS <= left;
    const size_t columns = whole ? wide * PANEL_COLUMNS : least(left, PANEL_COLUMNS);
    const float *b = product->packed_b + column * k;
    const tile_input in = {
      .k = k, .segment_rows = 1, .segment_columns = 1, .a = a, .a_row_stride = a_row_stride,
      .b = b, .panel_stride = PANEL_COLUMNS * k, .fetch = {.at = b, .step = 0},
      .partial = NULL, .first = true, .last = true};
    const tile_output out = output_at(product, 0, column, columns);
    if (whole)
      run_wide_tile(rows, &in, &out);
    else
      run_tile(rows, quotient_up(columns, LANES), &in, &out);
    panel += whole ? wide : 1;
  }
}

/// A block of rows of A × panels of B. `partial` holds rows × PANEL_COLUMNS floats when k exceeds DEPTH_BLOCK.
static void rows_times_panels(
    const panel_product *product, const float *a, size_t a_row_stride, size_t rows, size_t first_panel, size_t end_panel,
    float *partial) {
  if (rows <= TILE_ROWS) {
    few_rows_times_panels(product, a, a_row_stride, rows, first_panel, end_panel);
    return;
  }
  const size_t k = product->k, blocks = k == 0 ? 1 : quotient_up(k, DEPTH_BLOCK), depth = quotient_up(k, blocks);
  for (size_t panel = first_panel; panel < end_panel; panel++) {
    const size_t column = panel * PANEL_COLUMNS, columns = least(product->n - column, PANEL_COLUMNS);
    const size_t vectors = quotient_up(columns, LANES);
    for (size_t block = 0; block < blocks; block++) {
      const size_t start = block * depth;
      for (size_t row = 0; row < rows;) {
        const size_t height = tile_height(rows - row);
        const float *b = product->packed_b + column * k + start * vectors * LANES;
        const tile_input in = {
          .k = least(depth, k - start), .segment_rows = 1, .segment_columns = 1, .a = a + row * a_row_stride + start,
          .a_row_stride = a_row_stride, .b = b, .panel_stride = 0,
          .fetch = share_of_fetching(b, depth * vectors, vectors, row, height, rows),
          .partial = partial == NULL ? NULL : partial + row * PANEL_COLUMNS, .first = block == 0, .last = block + 1 == blocks};
        const tile_output out = output_at(product, row, column, columns);
        run_tile(height, vectors, &in, &out);
        row += height;
      }
    }
  }
}

/// Rows per block of A for depth k: a multiple of TILE_ROWS. Even where k is great, B should serve several tiles each time it streams by.
PK_INLINE size_t block_rows(size_t k) {
  const size_t rows = BLOCK_FLOATS / (k + 1) / TILE_ROWS * TILE_ROWS;
  return rows < 60 ? 60 : rows > 20 * TILE_ROWS ? 20 * TILE_ROWS : rows;
}

/// Rows per block when `rows` are cut into as few and as equal blocks as can be.
PK_INLINE size_t even_block_rows(size_t rows, size_t k) {
  const size_t blocks = quotient_up(rows, block_rows(k));
  return least(quotient_up(quotient_up(rows, blocks), TILE_ROWS) * TILE_ROWS, block_rows(k));
}

/// Row stride of a copied block: an odd number of 64-byte lines, so that the rows of a tile fall into different cache sets.
PK_INLINE size_t copied_row_stride(size_t k) { return (quotient_up(k, 16) | 1) * 16; }

PK_INLINE size_t partial_size(size_t k) { return k > DEPTH_BLOCK ? block_rows(k) * PANEL_COLUMNS : 0; }

// ---- The whole product

/// Rows of A that are not contiguous are copied block by block; others are read where they lie.
PK_INLINE bool needs_copy(const pk_gemm *problem) {
  return problem->a_column_stride != 1 && problem->k > 1;
}

static size_t gemm_scratch_size(const pk_gemm *problem) {
  const size_t copied = needs_copy(problem) ? block_rows(problem->k) * copied_row_stride(problem->k) : 0;
  return copied + partial_size(problem->k);
}

static void copy_block(const float *a, size_t row_stride, size_t column_stride, size_t rows, size_t k, float *to, size_t to_stride) {
  if (column_stride == 1) {
    for (size_t row = 0; row < rows; row++) copy_run(to + row * to_stride, a + row * row_stride, k);
    return;
  }
  for (size_t block = 0; block < k; block += 16)
    for (size_t row = 0; row < rows; row++)
      for (size_t i = block; i < least(block + 16, k); i++) to[row * to_stride + i] = a[row * row_stride + i * column_stride];
}

static void gemm_run(
    const pk_gemm *problem, size_t first_row, size_t end_row, size_t first_panel, size_t end_panel, float *scratch) {
  const pk_epilogue *e = &problem->epilogue;
  const size_t k = problem->k, height = block_rows(k);
  const bool copies = needs_copy(problem);
  float *partial = scratch + (copies ? height * copied_row_stride(k) : 0);
  end_row = least(end_row, problem->m);
  end_panel = least(end_panel, quotient_up(problem->n, PANEL_COLUMNS));
  if (first_row >= end_row || first_panel >= end_panel) return;
  const size_t even = even_block_rows(end_row - first_row, k);
  for (size_t row = first_row; row < end_row; row += even) {
    const size_t rows = least(even, end_row - row);
    const panel_product product = {
      .n = problem->n, .k = k, .packed_b = problem->packed_b, .c = problem->c + row * problem->c_row_stride,
      .c_row_stride = problem->c_row_stride, .bias = e->bias == NULL || !e->bias_per_row ? e->bias : e->bias + row,
      .residual = e->residual == NULL ? NULL : e->residual + row * e->residual_row_stride, .epilogue = e};
    const float *a = problem->a + row * problem->a_row_stride;
    size_t a_row_stride = problem->a_row_stride;
    if (copies) {
      copy_block(a, a_row_stride, problem->a_column_stride, rows, k, scratch, copied_row_stride(k));
      a = scratch;
      a_row_stride = copied_row_stride(k);
    }
    rows_times_panels(&product, a, a_row_stride, rows, first_panel, end_panel, partial);
  }
}

// ---- The machine's peak

static double peak_operations(size_t repeats) {
  vf sums[12];
  for (int i = 0; i < 12; i++) sums[i] = (float)i;
  vf value = 1.0f, factor = 0.5f;
  __asm__ volatile("" : "+r"(repeats));
  for (size_t i = 0; i < repeats; i++) {
#pragma clang loop unroll(full)
    for (int j = 0; j < 12; j++) sums[j] = vf_fma(sums[j], factor, value);
  }
  vf total = 0;
  for (int i = 0; i < 12; i++) total += sums[i];
  volatile float sink = vf_sum(total);
  (void)sink;
  return 2.0 * 12.0 * LANES * (double)repeats;
}

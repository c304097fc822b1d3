// Attention of one head. Scores are held transposed, a row per key and a lane per query: rows of K and V are read as they lie, only the
// queries are packed, and softmax needs nothing across lanes. Each query's result is one chain over ascending keys, blocked at fixed
// keys, so that it does not depend on the queries computed beside it.

enum {
  ATTENTION_KEYS = 256,              // keys per block: their scores stay in the L1 cache
  ATTENTION_QUERY_FLOATS = 32 * 1024,  // of packed queries that share a block of keys
  FEW_QUERIES = LANES / 4,           // so few queries that remain of whole vectors would waste most lanes: they go one by one
  FEW_QUERY_KEYS = 512,              // keys per block for them
};

/// How a problem is cut, and where its parts lie in the scratch.
typedef struct attention_plan {
  size_t block_keys, block_panels;
  bool copies_values;
  size_t copied_stride;
  size_t queries, greatest, totals, factors, scores, values, size;  // offsets, and the whole
} attention_plan;

PK_INLINE attention_plan plan_of_attention(const pk_attention *p) {
  const size_t blocks = quotient_up(p->keys, ATTENTION_KEYS);
  attention_plan plan = {.block_keys = blocks == 0 ? 0 : quotient_up(p->keys, blocks), .copies_values = p->value_size % LANES != 0};
  plan.copied_stride = quotient_up(p->value_size, LANES) * LANES;
  const size_t panel_floats = (p->size + 1) * PANEL_COLUMNS, fit = ATTENTION_QUERY_FLOATS / panel_floats;
  // One block of keys needs no more than one panel at a time.
  plan.block_panels = blocks <= 1 || fit == 0 ? 1 : least(fit, quotient_up(p->queries, PANEL_COLUMNS));
  plan.greatest = plan.block_panels * p->size * PANEL_COLUMNS;
  plan.totals = plan.greatest + plan.block_panels * PANEL_COLUMNS;
  plan.factors = plan.totals + plan.block_panels * PANEL_COLUMNS;
  plan.scores = plan.factors + PANEL_COLUMNS;
  plan.values = plan.scores + plan.block_keys * PANEL_COLUMNS;
  plan.size = plan.values + (plan.copies_values ? plan.block_keys * plan.copied_stride : 0) + 16;  // to begin at a line
  return plan;
}

static size_t attention_scratch_size(const pk_attention *p) {
  const size_t few = least(p->keys, FEW_QUERY_KEYS) + LANES + 16, all = p->queries <= FEW_QUERIES ? 0 : plan_of_attention(p).size;
  return few > all ? few : all;
}

/// The scratch from its first whole cache line.
PK_INLINE float *aligned_scratch(float *scratch) { return (float *)(((uintptr_t)scratch + 63) / 64 * 64); }

/// Keys that `query` sees.
PK_INLINE size_t keys_seen(const pk_attention *p, size_t query) {
  if (!p->is_causal || p->causal_offset >= (ptrdiff_t)p->keys) return p->keys;
  const ptrdiff_t end = (ptrdiff_t)query + p->causal_offset + 1;
  return end <= 0 ? 0 : least((size_t)end, p->keys);
}

// ---- Transpositions

/// columns[c] = column c of LANES rows, for four columns. Rows beyond `last` repeat it.
PK_INLINE void load_four_columns(const float *from, size_t row_stride, const bool whole, size_t last, vf *columns) {
  vf rows[4];
  if (whole) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) rows[i] = load_quads(from + (size_t)i * row_stride, 4 * row_stride);
  } else {
    float quads[4][LANES];
#pragma clang loop unroll(full)
    for (size_t lane = 0; lane < LANES; lane++)
      __builtin_memcpy(&quads[lane % 4][lane / 4 * 4], from + least(lane, last) * row_stride, 4 * sizeof(float));
    for (int i = 0; i < 4; i++) rows[i] = load(quads[i]);
  }
  const vf low = interleave_low(rows[0], rows[1]), low_after = interleave_low(rows[2], rows[3]);
  const vf high = interleave_high(rows[0], rows[1]), high_after = interleave_high(rows[2], rows[3]);
  columns[0] = join_low(low, low_after);
  columns[1] = join_high(low, low_after);
  columns[2] = join_low(high, high_after);
  columns[3] = join_high(high, high_after);
}

/// One column of LANES rows.
PK_INLINE vf load_column(const float *from, size_t row_stride, size_t last) {
  float lanes[LANES];
  for (size_t lane = 0; lane < LANES; lane++) lanes[lane] = from[least(lane, last) * row_stride];
  return load(lanes);
}

PK_INLINE void pack_query_vector(const bool whole, const pk_attention *p, size_t first, size_t count, size_t width, float *to) {
  const float *from = p->query + first * p->query_stride;
  size_t i = 0;
  for (; i + 4 <= p->size; i += 4) {
    vf columns[4];
    load_four_columns(from + i, p->query_stride, whole, count - 1, columns);
    for (size_t j = 0; j < 4; j++) store(to + (i + j) * width, columns[j] * p->scale);
  }
  for (; i < p->size; i++) store(to + i * width, load_column(from + i, p->query_stride, count - 1) * p->scale);
}

/// Packs queries [first, first + count) of one panel, scaled, one per lane; lanes beyond repeat the last.
static __attribute__((noinline)) void pack_queries(const pk_attention *p, size_t first, size_t count, float *to) {
  const size_t width = quotient_up(count, LANES) * LANES;
  for (size_t lane = 0; lane < count; lane += LANES) {
    if (lane + LANES <= count)
      pack_query_vector(true, p, first + lane, LANES, width, to + lane);
    else
      pack_query_vector(false, p, first + lane, count - lane, width, to + lane);
  }
}

// ---- Scores

PK_INLINE void score_tile(
    const int rows, const int vectors, size_t size, const float *key, size_t key_stride, const float *packed, float *scores) {
  vf sums[TILE_SUMS];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * vectors; i++) sums[i] = 0;
  add_products(rows, vectors, 0, size, key, key_stride, packed, 0, NULL, sums);
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * vectors; i++) store(scores + i * LANES, sums[i]);
}

PK_INLINE void score_keys(
    const int vectors, size_t size, const float *key, size_t key_stride, size_t keys, const float *packed, float *scores) {
  while (keys > 0) {
    const size_t rows = tile_height(keys);
    switch (rows) {
      case 1: score_tile(1, vectors, size, key, key_stride, packed, scores); break;
      case 2: score_tile(2, vectors, size, key, key_stride, packed, scores); break;
      case 3: score_tile(3, vectors, size, key, key_stride, packed, scores); break;
      case 4: score_tile(4, vectors, size, key, key_stride, packed, scores); break;
#if TILE_ROWS_LIMIT > 4
      case 5: score_tile(5, vectors, size, key, key_stride, packed, scores); break;
      case 6: score_tile(6, vectors, size, key, key_stride, packed, scores); break;
#endif
#if TILE_ROWS_LIMIT > 6
      case 7: score_tile(7, vectors, size, key, key_stride, packed, scores); break;
      case 8: score_tile(8, vectors, size, key, key_stride, packed, scores); break;
      case 9: score_tile(9, vectors, size, key, key_stride, packed, scores); break;
      case 10: score_tile(10, vectors, size, key, key_stride, packed, scores); break;
      case 11: score_tile(11, vectors, size, key, key_stride, packed, scores); break;
      case 12: score_tile(12, vectors, size, key, key_stride, packed, scores); break;
#endif
      default: return;
    }
    key += rows * key_stride;
    scores += rows * (size_t)vectors * LANES;
    keys -= rows;
  }
}

/// Adds the biases of keys [first_key, first_key + keys) to the scores of one vector of queries.
PK_INLINE void add_biases(
    const bool whole, const pk_attention *p, size_t query, size_t count, size_t first_key, size_t keys, float *scores, size_t width) {
  const size_t query_stride = p->bias_query_stride, key_stride = p->bias_key_stride;
  const float *bias = p->bias + query * query_stride + first_key * key_stride;
  if (query_stride == 0) {
    for (size_t j = 0; j < keys; j++) store(scores + j * width, load(scores + j * width) + bias[j * key_stride]);
    return;
  }
  if (query_stride == 1) {
    const vmask mask = mask_first(count);
    for (size_t j = 0; j < keys; j++)
      store(scores + j * width, load(scores + j * width) + load_masked(bias + j * key_stride, mask));
    return;
  }
  size_t j = 0;
  if (key_stride == 1) {
    for (; j + 4 <= keys; j += 4) {
      vf columns[4];
      load_four_columns(bias + j, query_stride, whole, count - 1, columns);
      for (size_t i = 0; i < 4; i++) {
        float *at = scores + (j + i) * width;
        store(at, load(at) + columns[i]);
      }
    }
  }
  for (; j < keys; j++) store(scores + j * width, load(scores + j * width) + load_column(bias + j * key_stride, query_stride, count - 1));
}

/// Masks the scores of keys that a query of this vector does not see.
static void mask_unseen_keys(const pk_attention *p, size_t query, size_t first_key, size_t keys, float *scores, size_t width) {
  float lanes[LANES];
  for (size_t lane = 0; lane < LANES; lane++) {
    const size_t seen = keys_seen(p, query + lane);
    lanes[lane] = seen <= first_key ? 0 : (float)least(seen - first_key, keys);
  }
  const vf seen = load(lanes);
  for (size_t j = least(keys, (size_t)lanes[0]); j < keys; j++)
    store(scores + j * width, vf_select(seen > (float)j, load(scores + j * width), (vf)-__builtin_inff()));
}

/// Turns scores of one vector of queries into weights, and brings their greatest scores and totals up to date; `factors` is what the
/// results so far are to be multiplied by.
static __attribute__((noinline)) void weigh_keys(size_t keys, float *scores, size_t width, bool first, float *greatest, float *totals, float *factors) {
  vf g0 = -__builtin_inff(), g1 = g0, g2 = g0, g3 = g0;
  size_t j = 0;
  for (; j + 4 <= keys; j += 4) {
    const float *at = scores + j * width;
    g0 = vf_max(g0, load(at)), g1 = vf_max(g1, load(at + width));
    g2 = vf_max(g2, load(at + 2 * width)), g3 = vf_max(g3, load(at + 3 * width));
  }
  for (; j < keys; j++) g0 = vf_max(g0, load(scores + j * width));
  const vf before = first ? (vf)-__builtin_inff() : load(greatest);
  const vf after = vf_max(before, vf_max(vf_max(g0, g1), vf_max(g2, g3)));
  // Where all is masked so far, weights and factor are 0.
  const vf base = vf_select(after == -__builtin_inff(), (vf)0, after);
  vf t0 = 0, t1 = 0, t2 = 0, t3 = 0;
  for (j = 0; j + 4 <= keys; j += 4) {
    float *at = scores + j * width;
    const vf w0 = vf_exp_negative(load(at) - base), w1 = vf_exp_negative(load(at + width) - base);
    const vf w2 = vf_exp_negative(load(at + 2 * width) - base), w3 = vf_exp_negative(load(at + 3 * width) - base);
    store(at, w0), store(at + width, w1), store(at + 2 * width, w2), store(at + 3 * width, w3);
    t0 += w0, t1 += w1, t2 += w2, t3 += w3;
  }
  for (; j < keys; j++) {  // each key to its own total, wherever the panel ends
    const vf w = vf_exp_negative(load(scores + j * width) - base);
    store(scores + j * width, w);
    if (j % 4 == 0) t0 += w;
    if (j % 4 == 1) t1 += w;
    if (j % 4 == 2) t2 += w;
  }
  const vf factor = vf_exp_negative(before - base), total = (t0 + t1) + (t2 + t3);
  store(greatest, after);
  store(factors, factor);
  store(totals, first ? total : vf_fma(load(totals), factor, total));
}

// ---- Values

/// What the weighted sum of one query is multiplied by; 0 where it is to be zero whatever it is.
PK_INLINE float share_of_total(pk_unseen_keys unseen, float total) {
  if (unseen != PK_UNSEEN_NAN && total == 0) return 0;
  if (unseen == PK_UNSEEN_ALL_ZERO && total != total) return 0;
  return 1.0f / total;
}

/// The results of some queries: from weights of keys, one row of `weight_stride` per key.
typedef struct value_sums {
  size_t keys;
  const float *weights;
  size_t weight_stride;
  const float *values;
  size_t value_stride;
  const float *factors;  // of the results so far; null when there are none
  const float *totals;  // to divide by; null until the last
  pk_unseen_keys unseen;
  float *result;
  size_t result_stride;
} value_sums;

PK_INLINE void value_tile(const int rows, const int vectors, const value_sums *s, size_t column, size_t columns) {
  const vmask last = mask_first(columns - (size_t)(vectors - 1) * LANES);
  float *result = s->result + column;
  vf sums[TILE_SUMS];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * vectors; i++) sums[i] = 0;
  if (s->factors != NULL) {
#pragma clang loop unroll(full)
    for (int row = 0; row < rows; row++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const float *at = result + (size_t)row * s->result_stride + v * LANES;
        sums[row * vectors + v] = (v + 1 < vectors ? load(at) : load_masked(at, last)) * s->factors[row];
      }
  }
  const float *weights = s->weights, *values = s->values + column;
  const size_t weight_stride = s->weight_stride, value_stride = s->value_stride;
  for (size_t j = s->keys; j > 0; j--) {
    vf value[PANEL_VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) value[v] = load(values + v * LANES);
#pragma clang loop unroll(full)
    for (int row = 0; row < rows; row++) {
      const vf weight = weights[row];
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sums[row * vectors + v] = vf_fma(weight, value[v], sums[row * vectors + v]);
    }
    weights += weight_stride;
    values += value_stride;
  }
#pragma clang loop unroll(full)
  for (int row = 0; row < rows; row++) {
    const float share = s->totals == NULL ? 1.0f : share_of_total(s->unseen, s->totals[row]);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      float *at = result + (size_t)row * s->result_stride + v * LANES;
      const vf value = share == 0 ? (vf)0 : sums[row * vectors + v] * share;
      if (v + 1 < vectors)
        store(at, value);
      else
        store_masked(at, last, value);
    }
  }
}

PK_INLINE void value_tile_of_vectors(size_t rows, const int vectors, const value_sums *s, size_t column, size_t columns) {
  switch (rows) {
    case 1: value_tile(1, vectors, s, column, columns); break;
    case 2: value_tile(2, vectors, s, column, columns); break;
    case 3: value_tile(3, vectors, s, column, columns); break;
    case 4: value_tile(4, vectors, s, column, columns); break;
#if TILE_ROWS_LIMIT > 4
    case 5: value_tile(5, vectors, s, column, columns); break;
    case 6: value_tile(6, vectors, s, column, columns); break;
#endif
#if TILE_ROWS_LIMIT > 6
    case 7: value_tile(7, vectors, s, column, columns); break;
    case 8: value_tile(8, vectors, s, column, columns); break;
    case 9: value_tile(9, vectors, s, column, columns); break;
    case 10: value_tile(10, vectors, s, column, columns); break;
    case 11: value_tile(11, vectors, s, column, columns); break;
    case 12: value_tile(12, vectors, s, column, columns); break;
#endif
    default: break;
  }
}

static void sum_values(size_t rows, const value_sums *s, size_t value_size) {
  for (size_t column = 0; column < value_size; column += PANEL_COLUMNS) {
    const size_t columns = least(value_size - column, PANEL_COLUMNS);
    switch (quotient_up(columns, LANES)) {
      case 1: value_tile_of_vectors(rows, 1, s, column, columns); break;
      case 2: value_tile_of_vectors(rows, 2, s, column, columns); break;
#if PANEL_VECTORS_LIMIT > 2
      case 3: value_tile_of_vectors(rows, 3, s, column, columns); break;
      case 4: value_tile_of_vectors(rows, 4, s, column, columns); break;
#endif
      default: break;
    }
  }
}

// ---- Blocks

/// A panel of queries against one block of keys.
typedef struct attention_step {
  const pk_attention *problem;
  size_t query, count;  // of the panel
  size_t first_key, keys;  // of the block, as far as the panel sees it
  const float *packed;
  const float *values;  // of the first key
  size_t value_stride;
  bool first, last;
  float *scores, *greatest, *totals, *factors;
} attention_step;

/// Rows of one tile: the keys that all of its queries see at once, then, query by query, those that only the later ones see.
static void sum_values_of_tile(const attention_step *s, size_t row, size_t rows, size_t width) {
  const pk_attention *p = s->problem;
  const size_t query = s->query + row, seen = keys_seen(p, query);
  const size_t shared = seen <= s->first_key ? 0 : least(s->keys, seen - s->first_key);
  const bool staggered = keys_seen(p, query + rows - 1) > s->first_key + shared && shared < s->keys;
  const value_sums sums = {
    .keys = shared, .weights = s->scores + row, .weight_stride = width, .values = s->values, .value_stride = s->value_stride,
    .factors = s->first ? NULL : s->factors + row, .totals = s->last && !staggered ? s->totals + row : NULL, .unseen = p->unseen,
    .result = p->result + query * p->result_stride, .result_stride = p->result_stride};
  sum_values(rows, &sums, p->value_size);
  if (!staggered) return;
  const float one = 1.0f;
  for (size_t i = 0; i < rows; i++) {
    const size_t own = keys_seen(p, query + i), end = own <= s->first_key ? 0 : least(s->keys, own - s->first_key);
    const value_sums rest = {
      .keys = end < shared ? 0 : end - shared, .weights = s->scores + shared * width + row + i, .weight_stride = width,
      .values = s->values + shared * s->value_stride, .value_stride = s->value_stride, .factors = &one,
      .totals = s->last ? s->totals + row + i : NULL, .unseen = p->unseen, .result = p->result + (query + i) * p->result_stride,
      .result_stride = p->result_stride};
    sum_values(1, &rest, p->value_size);
  }
}

static void run_attention_step(const attention_step *s) {
  const pk_attention *p = s->problem;
  const size_t vectors = quotient_up(s->count, LANES), width = vectors * LANES;
  const float *key = p->key + s->first_key * p->key_stride;
  switch (vectors) {
    case 1: score_keys(1, p->size, key, p->key_stride, s->keys, s->packed, s->scores); break;
    case 2: score_keys(2, p->size, key, p->key_stride, s->keys, s->packed, s->scores); break;
#if PANEL_VECTORS_LIMIT > 2
    case 3: score_keys(3, p->size, key, p->key_stride, s->keys, s->packed, s->scores); break;
    case 4: score_keys(4, p->size, key, p->key_stride, s->keys, s->packed, s->scores); break;
#endif
    default: break;
  }
  const bool masks = s->first_key + s->keys > keys_seen(p, s->query);
  for (size_t lane = 0; lane < s->count; lane += LANES) {
    float *scores = s->scores + lane;
    const size_t query = s->query + lane, count = least(s->count - lane, LANES);
    if (p->bias != NULL) {
      if (count == LANES)
        add_biases(true, p, query, LANES, s->first_key, s->keys, scores, width);
      else
        add_biases(false, p, query, count, s->first_key, s->keys, scores, width);
    }
    if (masks) mask_unseen_keys(p, query, s->first_key, s->keys, scores, width);
    weigh_keys(s->keys, scores, width, s->first, s->greatest + lane, s->totals + lane, s->factors + lane);
  }
  for (size_t row = 0; row < s->count;) {
    const size_t rows = tile_height(s->count - row);
    sum_values_of_tile(s, row, rows, width);
    row += rows;
  }
}

/// Some panels of queries against all keys, block by block.
static void run_attention_block(const pk_attention *p, const attention_plan *plan, size_t first, size_t end, float *scratch) {
  const size_t panel_floats = p->size * PANEL_COLUMNS;
  for (size_t query = first; query < end; query += PANEL_COLUMNS)
    pack_queries(p, query, least(end - query, PANEL_COLUMNS), scratch + (query - first) / PANEL_COLUMNS * panel_floats);
  const size_t seen_by_all = keys_seen(p, end - 1);
  size_t first_key = 0;
  do {
    const size_t keys = least(plan->block_keys, seen_by_all - first_key);
    const float *values = p->value + first_key * p->value_stride;
    size_t value_stride = p->value_stride;
    if (plan->copies_values) {
      float *copied = scratch + plan->values;
      for (size_t j = 0; j < keys; j++) {
        float *to = copied + j * plan->copied_stride;
        copy_run(to, values + j * value_stride, p->value_size);
        zero_run(to + p->value_size, plan->copied_stride - p->value_size);
      }
      values = copied;
      value_stride = plan->copied_stride;
    }
    for (size_t query = first; query < end; query += PANEL_COLUMNS) {
      const size_t panel = (query - first) / PANEL_COLUMNS, count = least(end - query, PANEL_COLUMNS);
      const size_t seen = keys_seen(p, query + count - 1);
      if (first_key > 0 && seen <= first_key) continue;
      const attention_step step = {
        .problem = p, .query = query, .count = count, .first_key = first_key, .keys = least(keys, seen - first_key),
        .packed = scratch + panel * panel_floats, .values = values, .value_stride = value_stride, .first = first_key == 0,
        .last = seen <= first_key + keys, .scores = scratch + plan->scores,
        .greatest = scratch + plan->greatest + panel * PANEL_COLUMNS, .totals = scratch + plan->totals + panel * PANEL_COLUMNS,
        .factors = scratch + plan->factors};
      run_attention_step(&step);
    }
    first_key += plan->block_keys;
  } while (first_key < seen_by_all);
}

// ---- Few queries: lanes are keys

/// Scores of LANES keys from `key` on; keys beyond `last` repeat it.
PK_INLINE vf score_of_keys(const float *query, size_t size, const float *key, size_t key_stride, size_t last) {
  const float *rows[LANES];
  vf sums[LANES];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < LANES; i++) rows[i] = key + least(i, last) * key_stride, sums[i] = 0;
  size_t i = 0;
  for (; i + LANES <= size; i += LANES) {
    const vf value = load(query + i);
#pragma clang loop unroll(full)
    for (size_t j = 0; j < LANES; j++) sums[j] = vf_fma(value, load(rows[j] + i), sums[j]);
  }
  if (i < size) {
    const vmask mask = mask_first(size - i);
    const vf value = load_masked(query + i, mask);
#pragma clang loop unroll(full)
    for (size_t j = 0; j < LANES; j++) sums[j] = vf_fma(value, load_masked(rows[j] + i, mask), sums[j]);
  }
  vf quads[LANES / 4];
#pragma clang loop unroll(full)
  for (size_t j = 0; j < LANES / 4; j++) {
    const vf *four = sums + 4 * j;
    const vf before = interleave_low(four[0], four[1]) + interleave_high(four[0], four[1]);
    const vf after = interleave_low(four[2], four[3]) + interleave_high(four[2], four[3]);
    quads[j] = join_low(before, after) + join_high(before, after);
  }
  return sum_of_quads(quads);
}

/// Some vectors of one query's result, in two chains: even keys and odd ones.
PK_INLINE void few_values_tile(
    const int vectors, size_t keys, const float *weights, const float *values, size_t value_stride, size_t columns,
    const float *factor, const float *total, pk_unseen_keys unseen, float *result) {
  const vmask last = mask_first(columns - (size_t)(vectors - 1) * LANES);
  vf even[4], odd[4];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    even[v] = factor == NULL ? (vf)0 : (v + 1 < vectors ? load(result + v * LANES) : load_masked(result + v * LANES, last)) * *factor;
    odd[v] = 0;
  }
  size_t j = 0;
  for (; j + 2 <= keys; j += 2, values += 2 * value_stride) {
    const float *next = values + value_stride;
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      even[v] = vf_fma((vf)weights[j], v + 1 < vectors ? load(values + v * LANES) : load_masked(values + v * LANES, last), even[v]);
      odd[v] = vf_fma((vf)weights[j + 1], v + 1 < vectors ? load(next + v * LANES) : load_masked(next + v * LANES, last), odd[v]);
    }
  }
  const float share = total == NULL ? 1.0f : share_of_total(unseen, *total);
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    float *to = result + v * LANES;
    if (j < keys) even[v] = vf_fma((vf)weights[j], v + 1 < vectors ? load(values + v * LANES) : load_masked(values + v * LANES, last), even[v]);
    const vf value = share == 0 ? (vf)0 : (even[v] + odd[v]) * share;
    if (v + 1 < vectors)
      store(to, value);
    else
      store_masked(to, last, value);
  }
}

static void few_values(
    size_t keys, const float *weights, const float *values, size_t value_stride, size_t value_size, const float *factor,
    const float *total, pk_unseen_keys unseen, float *result) {
  for (size_t column = 0; column < value_size; column += 4 * LANES) {
    const size_t columns = least(value_size - column, 4 * LANES);
    switch (quotient_up(columns, LANES)) {
      case 1: few_values_tile(1, keys, weights, values + column, value_stride, columns, factor, total, unseen, result + column); break;
      case 2: few_values_tile(2, keys, weights, values + column, value_stride, columns, factor, total, unseen, result + column); break;
      case 3: few_values_tile(3, keys, weights, values + column, value_stride, columns, factor, total, unseen, result + column); break;
      case 4: few_values_tile(4, keys, weights, values + column, value_stride, columns, factor, total, unseen, result + column); break;
      default: break;
    }
  }
}

static __attribute__((noinline)) void attend_from_one(const pk_attention *p, size_t query, float *weights) {
  const size_t seen = keys_seen(p, query);
  float greatest = -__builtin_inff(), total = 0;
  size_t first_key = 0;
  do {
    const size_t keys = least(seen - first_key, FEW_QUERY_KEYS);
    vf top = -__builtin_inff();
    for (size_t j = 0; j < keys; j += LANES) {
      const size_t key = first_key + j, count = least(keys - j, LANES);
      vf score = score_of_keys(
          p->query + query * p->query_stride, p->size, p->key + key * p->key_stride, p->key_stride, count - 1);
      score *= p->scale;
      if (p->bias != NULL) {
        const float *bias = p->bias + query * p->bias_query_stride + key * p->bias_key_stride;
        score += p->bias_key_stride == 1 ? load_masked(bias, mask_first(count)) : load_column(bias, p->bias_key_stride, count - 1);
      }
      store(weights + j, score);
      if (count < LANES)
        for (size_t i = count; i < LANES; i++) weights[j + i] = -__builtin_inff();
      top = vf_max(top, load(weights + j));
    }
    const float before = greatest, block_top = vf_greatest(top);
    greatest = block_top > before ? block_top : before;
    const float base = greatest == -__builtin_inff() ? 0 : greatest;
    vf sum = 0;
    for (size_t j = 0; j < keys; j += LANES) {
      const vf weight = vf_exp_negative(load(weights + j) - base);
      store(weights + j, weight);
      sum += weight;
    }
    const float factor = vf_exp_negative((vf)(before - base))[0];
    total = total * factor + vf_sum(sum);
    few_values(
        keys, weights, p->value + first_key * p->value_stride, p->value_stride, p->value_size, first_key == 0 ? NULL : &factor,
        first_key + keys >= seen ? &total : NULL, p->unseen, p->result + query * p->result_stride);
    first_key += FEW_QUERY_KEYS;
  } while (first_key < seen);
}

static void attention_run(const pk_attention *p, size_t first_query, size_t end_query, float *scratch) {
  end_query = least(end_query, p->queries);
  if (first_query >= end_query) return;
  if (p->keys == 0) {
    for (size_t query = first_query; query < end_query; query++) zero_run(p->result + query * p->result_stride, p->value_size);
    return;
  }
  scratch = aligned_scratch(scratch);
  const size_t remaining = p->queries % LANES, first_of_few = p->queries - (remaining <= FEW_QUERIES ? remaining : 0);
  if (first_query < first_of_few) {
    const attention_plan plan = plan_of_attention(p);
    const size_t step = plan.block_panels * PANEL_COLUMNS, end = least(end_query, first_of_few);
    for (size_t query = first_query; query < end; query += step)
      run_attention_block(p, &plan, query, least(end, query + step), scratch);
  }
  for (size_t query = first_query < first_of_few ? first_of_few : first_query; query < end_query; query++)
    attend_from_one(p, query, scratch);
}

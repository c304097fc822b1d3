// Reductions: blocks in a few short sums, and those in a tree, which keeps the accuracy of pairwise summation.

enum {
  REDUCTION_WAYS = 2,     // sums of one number's block, so that additions need not wait for one another
  REDUCTION_BLOCK = 128,  // numbers of a block
  REDUCTION_VECTORS = 4,  // vectors of inner numbers at once
  REDUCTION_LEVELS = 58,
};

PK_INLINE float reduction_identity(const pk_reduction_kind kind) {
  switch (kind) {
    case PK_REDUCTION_MAXIMUM: return -__builtin_inff();
    case PK_REDUCTION_MINIMUM: return __builtin_inff();
    case PK_REDUCTION_PRODUCT: return 1;
    case PK_REDUCTION_SUM: case PK_REDUCTION_MEAN: case PK_REDUCTION_SUM_OF_SQUARES: case PK_REDUCTION_SUM_OF_ABSOLUTES:
    case PK_REDUCTION_ROOT_OF_SQUARES:
      return 0;
  }
  return 0;
}

/// What `so_far` becomes with one more number.
PK_INLINE vf reduced_with(const pk_reduction_kind kind, vf so_far, vf x) {
  switch (kind) {
    case PK_REDUCTION_SUM: case PK_REDUCTION_MEAN: return so_far + x;
    case PK_REDUCTION_MAXIMUM: return vf_greater(so_far, x);
    case PK_REDUCTION_MINIMUM: return vf_lesser(so_far, x);
    case PK_REDUCTION_PRODUCT: return so_far * x;
    case PK_REDUCTION_SUM_OF_SQUARES: case PK_REDUCTION_ROOT_OF_SQUARES: return vf_fma(x, x, so_far);
    case PK_REDUCTION_SUM_OF_ABSOLUTES: return so_far + vf_absolute(x);
  }
  return so_far;
}

/// Two partial results as one.
PK_INLINE vf reduced_parts(const pk_reduction_kind kind, vf a, vf b) {
  switch (kind) {
    case PK_REDUCTION_MAXIMUM: return vf_greater(a, b);
    case PK_REDUCTION_MINIMUM: return vf_lesser(a, b);
    case PK_REDUCTION_PRODUCT: return a * b;
    case PK_REDUCTION_SUM: case PK_REDUCTION_MEAN: case PK_REDUCTION_SUM_OF_SQUARES: case PK_REDUCTION_SUM_OF_ABSOLUTES:
    case PK_REDUCTION_ROOT_OF_SQUARES:
      return a + b;
  }
  return a;
}

PK_INLINE float reduced_lanes(const pk_reduction_kind kind, vf a) {
  switch (kind) {
    case PK_REDUCTION_MAXIMUM: return VF_FOLD(GREATER_OR_NAN_OF_TWO, a);
    case PK_REDUCTION_MINIMUM: return VF_FOLD(LESSER_OR_NAN_OF_TWO, a);
    case PK_REDUCTION_PRODUCT: return VF_FOLD(PRODUCT_OF_TWO, a);
    case PK_REDUCTION_SUM: case PK_REDUCTION_MEAN: case PK_REDUCTION_SUM_OF_SQUARES: case PK_REDUCTION_SUM_OF_ABSOLUTES:
    case PK_REDUCTION_ROOT_OF_SQUARES:
      return vf_sum(a);
  }
  return 0;
}

PK_INLINE vf reduction_result(const pk_reduction_kind kind, vf reduced, size_t count) {
  if (kind == PK_REDUCTION_MEAN) return reduced / (float)count;
  if (kind == PK_REDUCTION_ROOT_OF_SQUARES) return vf_sqrt(reduced);
  return reduced;
}

/// Partial results of 2ˡᵉᵛᵉˡ blocks, those of level l where bit l of `blocks` is set.
typedef struct reduction_tree {
  size_t blocks;
  vf parts[REDUCTION_LEVELS][REDUCTION_VECTORS];
} reduction_tree;

PK_INLINE void add_block(const pk_reduction_kind kind, const int vectors, reduction_tree *tree, vf *values) {
  size_t level = 0;
  for (; (tree->blocks >> level & 1) != 0; level++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) values[v] = reduced_parts(kind, tree->parts[level][v], values[v]);
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) tree->parts[level][v] = values[v];
  tree->blocks++;
}

/// The whole; at least one block must have been added.
PK_INLINE void finish_tree(const pk_reduction_kind kind, const int vectors, const reduction_tree *tree, vf *values) {
  bool is_first = true;
  for (size_t level = 0; tree->blocks >> level != 0; level++) {
    if ((tree->blocks >> level & 1) == 0) continue;
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
      values[v] = is_first ? tree->parts[level][v] : reduced_parts(kind, tree->parts[level][v], values[v]);
    is_first = false;
  }
}

/// Some vectors of inner numbers, the last of which may be partial. How many there are changes no bit of any number.
PK_INLINE void reduce_columns(
    const pk_reduction_kind kind, const int vectors, const float *from, size_t count, size_t count_stride, float *to, size_t columns) {
  const vmask last = mask_first(columns - (size_t)(vectors - 1) * LANES);
  reduction_tree tree;
  tree.blocks = 0;
  size_t k = 0;
  do {
    vf values[REDUCTION_WAYS * REDUCTION_VECTORS];
#pragma clang loop unroll(full)
    for (int i = 0; i < REDUCTION_WAYS * vectors; i++) values[i] = reduction_identity(kind);
    const size_t end = least(k + REDUCTION_BLOCK, count);
    for (; k + REDUCTION_WAYS <= end; k += REDUCTION_WAYS)
#pragma clang loop unroll(full)
      for (int i = 0; i < REDUCTION_WAYS * vectors; i++) {
        const int v = i % vectors;
        const float *at = from + (k + (size_t)(i / vectors)) * count_stride + v * LANES;
        values[i] = reduced_with(kind, values[i], v + 1 < vectors ? load(at) : load_masked(at, last));
      }
    for (; k < end; k++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        const float *at = from + k * count_stride + v * LANES;
        values[v] = reduced_with(kind, values[v], v + 1 < vectors ? load(at) : load_masked(at, last));
      }
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) values[v] = reduced_parts(kind, values[v], values[vectors + v]);
    add_block(kind, vectors, &tree, values);
  } while (k < count);
  vf values[REDUCTION_VECTORS];
  finish_tree(kind, vectors, &tree, values);
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    const vf result = reduction_result(kind, values[v], count);
    if (v + 1 < vectors)
      store(to + v * LANES, result);
    else
      store_masked(to + v * LANES, last, result);
  }
}

PK_INLINE void reduce_all_columns(
    const pk_reduction_kind kind, const float *from, size_t count, size_t count_stride, float *to, size_t columns) {
  size_t i = 0;
  for (; i + REDUCTION_VECTORS * LANES <= columns; i += REDUCTION_VECTORS * LANES)
    reduce_columns(kind, REDUCTION_VECTORS, from + i, count, count_stride, to + i, REDUCTION_VECTORS * LANES);
  for (; i < columns; i += LANES) reduce_columns(kind, 1, from + i, count, count_stride, to + i, least(LANES, columns - i));
}

/// Contiguous numbers to one.
PK_INLINE float reduce_row(const pk_reduction_kind kind, const float *from, size_t count) {
  enum { WAYS = 4, BLOCK = WAYS * LANES * 32 };
  reduction_tree tree;
  tree.blocks = 0;
  size_t k = 0;
  do {
    vf values[WAYS];
#pragma clang loop unroll(full)
    for (int v = 0; v < WAYS; v++) values[v] = reduction_identity(kind);
    const size_t end = least(k + BLOCK, count);
    for (; k + WAYS * LANES <= end; k += WAYS * LANES)
#pragma clang loop unroll(full)
      for (int v = 0; v < WAYS; v++) values[v] = reduced_with(kind, values[v], load(from + k + v * LANES));
    for (; k + LANES <= end; k += LANES) values[0] = reduced_with(kind, values[0], load(from + k));
    if (k < end) {
      const vf rest = load_masked(from + k, mask_first(end - k));
      values[1] = reduced_with(kind, values[1], vf_select(first_lanes(end - k), rest, (vf)reduction_identity(kind)));
      k = end;
    }
    vf whole = reduced_parts(kind, reduced_parts(kind, values[0], values[1]), reduced_parts(kind, values[2], values[3]));
    add_block(kind, 1, &tree, &whole);
  } while (k < count);
  vf whole;
  finish_tree(kind, 1, &tree, &whole);
  const vf lanes = reduced_lanes(kind, whole);
  return reduction_result(kind, lanes, count)[0];
}

PK_INLINE void reduce(
    const pk_reduction_kind kind, const pk_reduction *r, size_t first_outer, size_t end_outer, size_t first_inner, size_t end_inner) {
  if (r->inner == 1 && (r->count_stride == 1 || r->count == 1)) {
    for (size_t outer = first_outer; outer < end_outer; outer++)
      r->to[outer] = reduce_row(kind, r->from + outer * r->outer_stride, r->count);
  } else if (r->inner == 1 && r->outer_stride == 1) {
    // The outer indices are as good as inner ones.
    reduce_all_columns(kind, r->from + first_outer, r->count, r->count_stride, r->to + first_outer, end_outer - first_outer);
  } else {
    for (size_t outer = first_outer; outer < end_outer; outer++)
      reduce_all_columns(
          kind, r->from + outer * r->outer_stride + first_inner, r->count, r->count_stride, r->to + outer * r->inner + first_inner,
          end_inner - first_inner);
  }
}

static void reduction_run(const pk_reduction *r, size_t first_outer, size_t end_outer, size_t first_inner, size_t end_inner) {
  end_inner = least(end_inner, r->inner);
  if (first_outer >= end_outer || first_inner >= end_inner) return;
  switch (r->kind) {
    case PK_REDUCTION_SUM: reduce(PK_REDUCTION_SUM, r, first_outer, end_outer, first_inner, end_inner); break;
    case PK_REDUCTION_MEAN: reduce(PK_REDUCTION_MEAN, r, first_outer, end_outer, first_inner, end_inner); break;
    case PK_REDUCTION_MAXIMUM: reduce(PK_REDUCTION_MAXIMUM, r, first_outer, end_outer, first_inner, end_inner); break;
    case PK_REDUCTION_MINIMUM: reduce(PK_REDUCTION_MINIMUM, r, first_outer, end_outer, first_inner, end_inner); break;
    case PK_REDUCTION_PRODUCT: reduce(PK_REDUCTION_PRODUCT, r, first_outer, end_outer, first_inner, end_inner); break;
    case PK_REDUCTION_SUM_OF_SQUARES:
      reduce(PK_REDUCTION_SUM_OF_SQUARES, r, first_outer, end_outer, first_inner, end_inner);
      break;
    case PK_REDUCTION_SUM_OF_ABSOLUTES:
      reduce(PK_REDUCTION_SUM_OF_ABSOLUTES, r, first_outer, end_outer, first_inner, end_inner);
      break;
    case PK_REDUCTION_ROOT_OF_SQUARES:
      reduce(PK_REDUCTION_ROOT_OF_SQUARES, r, first_outer, end_outer, first_inner, end_inner);
      break;
  }
}

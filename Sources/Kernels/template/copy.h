// Copies from one strided layout to another, plane by plane.

/// A part of a plane. Steps count bytes.
typedef struct copy_part {
  const char *from;
  char *to;
  size_t rows, columns;
  ptrdiff_t from_row, from_column, to_row, to_column;
} copy_part;

// ---- Runs

/// A run of 2 · size ≥ bytes ≥ size: its first and its last `size` bytes.
#define COPY_ENDS(size) \
  for (size_t row = 0; row < rows; row++, from += part->from_row, to += part->to_row) { \
    struct { \
      char bytes[size]; \
    } first, last; \
    __builtin_memcpy(&first, from, size); \
    __builtin_memcpy(&last, from + bytes - size, size); \
    __builtin_memcpy(to, &first, size); \
    __builtin_memcpy(to + bytes - size, &last, size); \
  }

static void copy_rows(const copy_part *part, size_t element_bytes) {
  const size_t bytes = part->columns * element_bytes;
  const bool is_whole = part->from_row == (ptrdiff_t)bytes && part->to_row == (ptrdiff_t)bytes;
  if (is_whole || part->rows == 1) {
    __builtin_memcpy(part->to, part->from, part->rows * bytes);
    return;
  }
  const char *from = part->from;
  char *to = part->to;
  const size_t rows = part->rows;
  if (bytes < 4) {
    for (size_t row = 0; row < rows; row++, from += part->from_row, to += part->to_row)
      for (size_t i = 0; i < bytes; i++) to[i] = from[i];
  } else if (bytes <= 8) {
    COPY_ENDS(4)
  } else if (bytes <= 16) {
    COPY_ENDS(8)
  } else if (bytes <= 32) {
    COPY_ENDS(16)
  } else if (bytes <= 64) {
    COPY_ENDS(32)
  } else if (bytes <= 128) {
    COPY_ENDS(64)
  } else {
    for (size_t row = 0; row < rows; row++, from += part->from_row, to += part->to_row) __builtin_memcpy(to, from, bytes);
  }
}
#undef COPY_ENDS

// ---- Elements

/// Loads of elements that may have been made of smaller ones.
#define ELEMENTS(bits) typedef uint##bits##_t element##bits __attribute__((aligned(1), may_alias));
ELEMENTS(8) ELEMENTS(16) ELEMENTS(32) ELEMENTS(64)
#undef ELEMENTS

/// Any strides; loops of their own where the result has none or the source stands still.
#define DEFINE_COPY_ELEMENTS(bits) \
  static void copy_elements_##bits(const copy_part *part) { \
    for (size_t row = 0; row < part->rows; row++) { \
      const char *from = part->from + (ptrdiff_t)row * part->from_row; \
      char *to = part->to + (ptrdiff_t)row * part->to_row; \
      if (part->to_column == bits / 8 && part->from_column == 0) { \
        const element##bits value = *(const element##bits *)from; \
        for (size_t i = 0; i < part->columns; i++) ((element##bits *)to)[i] = value; \
      } else { \
        for (size_t i = 0; i < part->columns; i++, from += part->from_column, to += part->to_column) \
          *(element##bits *)to = *(const element##bits *)from; \
      } \
    } \
  } \
  /* Few columns, contiguous rows of the source: whole columns at a time. */ \
  PK_INLINE void weave_##bits(const copy_part *part, const size_t columns, const ptrdiff_t to_row) { \
    const char *from = part->from; \
    char *to = part->to; \
    for (size_t row = 0; row < part->rows; row++, from += bits / 8, to += to_row) \
      _Pragma("clang loop unroll(full)") for (size_t column = 0; column < columns; column++) \
        ((element##bits *)to)[column] = *(const element##bits *)(from + (ptrdiff_t)column * part->from_column); \
  } \
  /* Few rows, contiguous columns of the result. */ \
  PK_INLINE void unweave_##bits(const copy_part *part, const size_t rows, const ptrdiff_t from_column) { \
    const char *from = part->from; \
    char *to = part->to; \
    for (size_t column = 0; column < part->columns; column++, from += from_column, to += bits / 8) \
      _Pragma("clang loop unroll(full)") for (size_t row = 0; row < rows; row++) \
        *(element##bits *)(to + (ptrdiff_t)row * part->to_row) = ((const element##bits *)from)[row]; \
  } \
  static bool copy_narrow_##bits(const copy_part *part) { \
    const ptrdiff_t size = bits / 8; \
    if (part->rows >= part->columns) { \
      switch (part->columns) { \
        case 1: weave_##bits(part, 1, part->to_row); return true; \
        case 2: part->to_row == 2 * size ? weave_##bits(part, 2, 2 * size) : weave_##bits(part, 2, part->to_row); return true; \
        case 3: part->to_row == 3 * size ? weave_##bits(part, 3, 3 * size) : weave_##bits(part, 3, part->to_row); return true; \
        case 4: weave_##bits(part, 4, part->to_row); return true; \
      } \
    } else { \
      switch (part->rows) { \
        case 1: unweave_##bits(part, 1, part->from_column); return true; \
        case 2: \
          part->from_column == 2 * size ? unweave_##bits(part, 2, 2 * size) : unweave_##bits(part, 2, part->from_column); \
          return true; \
        case 3: \
          part->from_column == 3 * size ? unweave_##bits(part, 3, 3 * size) : unweave_##bits(part, 3, part->from_column); \
          return true; \
        case 4: unweave_##bits(part, 4, part->from_column); return true; \
      } \
    } \
    return false; \
  }
DEFINE_COPY_ELEMENTS(8)
DEFINE_COPY_ELEMENTS(16)
DEFINE_COPY_ELEMENTS(32)
DEFINE_COPY_ELEMENTS(64)
#undef DEFINE_COPY_ELEMENTS

/// Small squares, so that lines of both sides stay in the cache.
#define DEFINE_COPY_SQUARES(bits) \
  static void copy_squares_##bits(const copy_part *part) { \
    for (size_t row = 0; row < part->rows; row += 16) \
      for (size_t column = 0; column < part->columns; column += 16) { \
        const size_t row_end = least(row + 16, part->rows), column_end = least(column + 16, part->columns); \
        for (size_t i = row; i < row_end; i++) { \
          const char *from = part->from + i * (bits / 8); \
          element##bits *to = (element##bits *)(part->to + (ptrdiff_t)i * part->to_row); \
          for (size_t j = column; j < column_end; j++) \
            to[j] = *(const element##bits *)(from + (ptrdiff_t)j * part->from_column); \
        } \
      } \
  }
DEFINE_COPY_SQUARES(8)
DEFINE_COPY_SQUARES(16)
DEFINE_COPY_SQUARES(64)
#undef DEFINE_COPY_SQUARES

// ---- Tiles

/// Up to LANES rows and columns of numbers of 4 bytes through registers.
PK_INLINE void transpose_tile(
    const char *from, ptrdiff_t from_column, char *to, ptrdiff_t to_row, const size_t rows, const size_t columns) {
  vf tile[LANES];
  const vmask row_mask = mask_first(rows), column_mask = mask_first(columns);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < LANES; i++)
    tile[i] = i < columns ? load_masked((const float *)(from + (ptrdiff_t)i * from_column), row_mask) : (vf)0;
  vf_transpose(tile);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < LANES; i++)
    if (i < rows) store_masked((float *)(to + (ptrdiff_t)i * to_row), column_mask, tile[i]);
}

static void transpose_edge(const char *from, ptrdiff_t from_column, char *to, ptrdiff_t to_row, size_t rows, size_t columns) {
  transpose_tile(from, from_column, to, to_row, rows, columns);
}

static void transpose_tiles(const copy_part *part) {
  for (size_t row = 0; row < part->rows; row += LANES)
    for (size_t column = 0; column < part->columns; column += LANES) {
      const char *from = part->from + row * sizeof(float) + (ptrdiff_t)column * part->from_column;
      char *to = part->to + (ptrdiff_t)row * part->to_row + column * sizeof(float);
      const size_t rows = part->rows - row, columns = part->columns - column;
      if (rows >= LANES && columns >= LANES)
        transpose_tile(from, part->from_column, to, part->to_row, LANES, LANES);
      else
        transpose_edge(from, part->from_column, to, part->to_row, least(rows, LANES), least(columns, LANES));
    }
}

static void copy_part_in_tiles(const copy_part *part, size_t element_bytes) {
  switch (element_bytes) {
    case 1: if (!copy_narrow_8(part)) copy_squares_8(part); break;
    case 2: if (!copy_narrow_16(part)) copy_squares_16(part); break;
    case 4: if (!copy_narrow_32(part)) transpose_tiles(part); break;
    case 8: if (!copy_narrow_64(part)) copy_squares_64(part); break;
  }
}

static void copy_part_by_elements(const copy_part *part, size_t element_bytes) {
  switch (element_bytes) {
    case 1: copy_elements_8(part); break;
    case 2: copy_elements_16(part); break;
    case 4: copy_elements_32(part); break;
    case 8: copy_elements_64(part); break;
  }
}

// ---- Pieces

static void copy_pieces(const pk_copy *copy, size_t first_piece, size_t end_piece) {
  const pk_copy_plan plan = pk_plan_copy(copy);
  const size_t pieces_of_plane = plan.row_pieces * plan.column_pieces;
  const ptrdiff_t size = (ptrdiff_t)copy->element_bytes;
  end_piece = least(end_piece, plan.planes * pieces_of_plane);
  if (first_piece >= end_piece) return;

  size_t coordinates[PK_RANK_LIMIT], plane = first_piece / pieces_of_plane;
  ptrdiff_t from_offset = 0, to_offset = 0;
  for (size_t axis = plan.outer_rank; axis-- > 0;) {
    coordinates[axis] = plane % copy->extents[axis];
    plane /= copy->extents[axis];
    from_offset += (ptrdiff_t)coordinates[axis] * copy->from_strides[axis];
    to_offset += (ptrdiff_t)coordinates[axis] * copy->to_strides[axis];
  }
  copy_part part = {
      .from_row = plan.from_row * size, .from_column = plan.from_column * size,
      .to_row = plan.to_row * size, .to_column = plan.to_column * size};
  size_t row_piece = first_piece % pieces_of_plane / plan.column_pieces, column_piece = first_piece % plan.column_pieces;
  for (size_t piece = first_piece; piece < end_piece; piece++) {
    const size_t row = row_piece * plan.rows_per_piece, column = column_piece * plan.columns_per_piece;
    part.rows = least(plan.rows_per_piece, plan.rows - row);
    part.columns = least(plan.columns_per_piece, plan.columns - column);
    part.from = (const char *)copy->from + from_offset * size + (ptrdiff_t)row * part.from_row + (ptrdiff_t)column * part.from_column;
    part.to = (char *)copy->to + to_offset * size + (ptrdiff_t)row * part.to_row + (ptrdiff_t)column * part.to_column;
    switch (plan.way) {
      case PK_COPY_RUNS: copy_rows(&part, copy->element_bytes); break;
      case PK_COPY_TILES: copy_part_in_tiles(&part, copy->element_bytes); break;
      case PK_COPY_ELEMENTS: copy_part_by_elements(&part, copy->element_bytes); break;
    }
    if (++column_piece < plan.column_pieces) continue;
    column_piece = 0;
    if (++row_piece < plan.row_pieces) continue;
    row_piece = 0;
    for (size_t axis = plan.outer_rank; axis-- > 0;) {
      from_offset += copy->from_strides[axis];
      to_offset += copy->to_strides[axis];
      if (++coordinates[axis] < copy->extents[axis]) break;
      from_offset -= (ptrdiff_t)copy->extents[axis] * copy->from_strides[axis];
      to_offset -= (ptrdiff_t)copy->extents[axis] * copy->to_strides[axis];
      coordinates[axis] = 0;
    }
  }
}

// C −= A · B in double precision: what factorisations and downdates of symmetric matrices are made of.

enum { DOUBLE_ROWS = 4, DOUBLE_LANES = 8, DOUBLE_VECTORS = 2, DOUBLE_COLUMNS = DOUBLE_LANES * DOUBLE_VECTORS };

typedef double doubles __attribute__((vector_size(DOUBLE_LANES * sizeof(double)), aligned(8), may_alias));

/// A tile of `rows` × DOUBLE_COLUMNS.
PK_INLINE void double_tile(
    const size_t rows, size_t k, const double *a, size_t a_row_stride, size_t a_column_stride, const double *b, size_t b_row_stride,
    double *c, size_t c_row_stride) {
  doubles sum[DOUBLE_ROWS][DOUBLE_VECTORS];
  for (size_t i = 0; i < rows; i++)
    for (size_t v = 0; v < DOUBLE_VECTORS; v++) sum[i][v] = *(const doubles *)(c + i * c_row_stride + v * DOUBLE_LANES);
  for (size_t p = 0; p < k; p++) {
    const doubles first = *(const doubles *)(b + p * b_row_stride), second = *(const doubles *)(b + p * b_row_stride + DOUBLE_LANES);
    for (size_t i = 0; i < rows; i++) {
      const double factor = a[i * a_row_stride + p * a_column_stride];
      sum[i][0] -= factor * first;
      sum[i][1] -= factor * second;
    }
  }
  for (size_t i = 0; i < rows; i++)
    for (size_t v = 0; v < DOUBLE_VECTORS; v++) *(doubles *)(c + i * c_row_stride + v * DOUBLE_LANES) = sum[i][v];
}

static void double_update(
    size_t m, size_t n, size_t k, const double *a, size_t a_row_stride, size_t a_column_stride, const double *b,
    size_t b_row_stride, double *c, size_t c_row_stride) {
  size_t j = 0;
  for (; j + DOUBLE_COLUMNS <= n; j += DOUBLE_COLUMNS) {
    size_t i = 0;
    for (; i + DOUBLE_ROWS <= m; i += DOUBLE_ROWS)
      double_tile(
          DOUBLE_ROWS, k, a + i * a_row_stride, a_row_stride, a_column_stride, b + j, b_row_stride, c + i * c_row_stride + j,
          c_row_stride);
    for (; i < m; i++)
      double_tile(
          1, k, a + i * a_row_stride, a_row_stride, a_column_stride, b + j, b_row_stride, c + i * c_row_stride + j, c_row_stride);
  }
  for (; j < n; j++)
    for (size_t i = 0; i < m; i++) {
      double sum = c[i * c_row_stride + j];
      for (size_t p = 0; p < k; p++) sum -= a[i * a_row_stride + p * a_column_stride] * b[p * b_row_stride + j];
      c[i * c_row_stride + j] = sum;
    }
}

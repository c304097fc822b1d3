// Small dense linear algebra in double precision. Larger matrices are worked on in blocks of these.
#include "internal.h"

#include <math.h>

bool pk_cholesky_block(size_t n, double *a, size_t row_stride) {
  for (size_t j = 0; j < n; j++) {
    double *row = a + j * row_stride;
    double pivot = row[j];
    for (size_t p = 0; p < j; p++) pivot -= row[p] * row[p];
    if (!(pivot > 0) || !isfinite(pivot)) return false;
    row[j] = sqrt(pivot);
    for (size_t i = j + 1; i < n; i++) {
      double *lower = a + i * row_stride;
      double sum = lower[j];
      for (size_t p = 0; p < j; p++) sum -= lower[p] * row[p];
      lower[j] = sum / row[j];
    }
  }
  return true;
}

void pk_solve_lower(size_t n, const double *l, size_t l_stride, size_t m, double *b, size_t b_stride) {
  for (size_t i = 0; i < n; i++) {
    double *row = b + i * b_stride;
    for (size_t p = 0; p < i; p++) {
      const double factor = l[i * l_stride + p];
      const double *other = b + p * b_stride;
      for (size_t j = 0; j < m; j++) row[j] -= factor * other[j];
    }
    const double scale = 1 / l[i * l_stride + i];
    for (size_t j = 0; j < m; j++) row[j] *= scale;
  }
}

void pk_solve_lower_transposed(size_t n, const double *l, size_t l_stride, size_t m, double *b, size_t b_stride) {
  for (size_t i = n; i-- > 0;) {
    double *row = b + i * b_stride;
    for (size_t p = i + 1; p < n; p++) {
      const double factor = l[p * l_stride + i];
      const double *other = b + p * b_stride;
      for (size_t j = 0; j < m; j++) row[j] -= factor * other[j];
    }
    const double scale = 1 / l[i * l_stride + i];
    for (size_t j = 0; j < m; j++) row[j] *= scale;
  }
}

/// Rotates columns p and q of a matrix of n columns, `rows` rows.
static void rotate_columns(double *a, size_t rows, size_t n, size_t p, size_t q, double cosine, double sine) {
  for (size_t i = 0; i < rows; i++) {
    const double x = a[i * n + p], y = a[i * n + q];
    a[i * n + p] = cosine * x - sine * y;
    a[i * n + q] = sine * x + cosine * y;
  }
}

static void swap_columns(double *a, size_t rows, size_t n, size_t p, size_t q) {
  for (size_t i = 0; i < rows; i++) {
    const double x = a[i * n + p];
    a[i * n + p] = a[i * n + q];
    a[i * n + q] = x;
  }
}

void pk_singular_values(size_t m, size_t n, double *a, double *v, double *values) {
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++) v[i * n + j] = i == j;
  for (int sweep = 0; sweep < 60; sweep++) {
    bool is_done = true;
    for (size_t p = 0; p + 1 < n; p++)
      for (size_t q = p + 1; q < n; q++) {
        double own = 0, other = 0, both = 0;
        for (size_t i = 0; i < m; i++) {
          const double x = a[i * n + p], y = a[i * n + q];
          own += x * x;
          other += y * y;
          both += x * y;
        }
        if (fabs(both) <= 1e-15 * sqrt(own * other) || both == 0) continue;
        is_done = false;
        const double zeta = (other - own) / (2 * both);
        const double tangent = (zeta >= 0 ? 1 : -1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
        const double cosine = 1 / sqrt(1 + tangent * tangent);
        rotate_columns(a, m, n, p, q, cosine, cosine * tangent);
        rotate_columns(v, n, n, p, q, cosine, cosine * tangent);
      }
    if (is_done) break;
  }
  for (size_t j = 0; j < n; j++) {
    double sum = 0;
    for (size_t i = 0; i < m; i++) sum += a[i * n + j] * a[i * n + j];
    values[j] = sqrt(sum);
  }
  for (size_t j = 0; j < n; j++) {
    size_t best = j;
    for (size_t k = j + 1; k < n; k++)
      if (values[k] > values[best]) best = k;
    if (best == j) continue;
    const double value = values[j];
    values[j] = values[best];
    values[best] = value;
    swap_columns(a, m, n, j, best);
    swap_columns(v, n, n, j, best);
  }
}

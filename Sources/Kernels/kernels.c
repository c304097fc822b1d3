// Chooses the instruction set and passes every public call to its table.
#include "internal.h"

#include <stdatomic.h>
#include <time.h>

static const pk_kernels *table_of(pk_isa isa) {
  switch (isa) {
    case PK_ISA_PORTABLE:
      return &pk_kernels_portable;
    case PK_ISA_NEON:
#if defined(__aarch64__)
      return &pk_kernels_neon;
#else
      return NULL;
#endif
    case PK_ISA_AVX2:
#if defined(__x86_64__)
      if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) return &pk_kernels_avx2;
#endif
      return NULL;
    case PK_ISA_AVX512:
#if defined(__x86_64__)
      if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2"))
        return &pk_kernels_avx512;
#endif
      return NULL;
  }
  return NULL;
}

static pk_isa best_isa(void) {
  static _Atomic(int) best = -1;
  int isa = atomic_load_explicit(&best, memory_order_relaxed);
  if (isa < 0) {
    for (isa = PK_ISA_AVX512; isa > PK_ISA_PORTABLE && table_of((pk_isa)isa) == NULL; isa--) {}
    atomic_store_explicit(&best, isa, memory_order_relaxed);
  }
  return (pk_isa)isa;
}

/// What this thread was told to use; -1 for the best there is.
static _Thread_local int chosen_isa = -1;

pk_isa pk_get_isa(void) { return chosen_isa < 0 ? best_isa() : (pk_isa)chosen_isa; }

bool pk_set_isa(pk_isa isa) {
  if (table_of(isa) == NULL) return false;
  chosen_isa = (int)isa;
  return true;
}

const char *pk_isa_name(pk_isa isa) {
  switch (isa) {
    case PK_ISA_PORTABLE:
      return "portable";
    case PK_ISA_NEON:
      return "neon";
    case PK_ISA_AVX2:
      return "avx2";
    case PK_ISA_AVX512:
      return "avx512";
  }
  return "unknown";
}

/// The table in use.
static const pk_kernels *active(void) {
  switch (pk_get_isa()) {
#if defined(__x86_64__)
    case PK_ISA_AVX512:
      return &pk_kernels_avx512;
    case PK_ISA_AVX2:
      return &pk_kernels_avx2;
#endif
#if defined(__aarch64__)
    case PK_ISA_NEON:
      return &pk_kernels_neon;
#endif
    default:
      return &pk_kernels_portable;
  }
}

static double now_in_seconds(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double pk_measure_peak(double seconds) {
  const pk_kernels *kernels = active();
  double best = 0;
  const double start = now_in_seconds();
  do {
    const double before = now_in_seconds();
    const double operations = kernels->peak_operations(20000);
    const double rate = operations / (now_in_seconds() - before);
    if (rate > best) best = rate;
  } while (now_in_seconds() - start < seconds);
  return best;
}

size_t pk_panel_columns(void) { return active()->panel_columns; }

size_t pk_panel_count(size_t n) {
  const size_t columns = pk_panel_columns();
  return n / columns + (n % columns != 0);
}

size_t pk_packed_b_size(size_t k, size_t n) { return k * pk_panel_count(n) * pk_panel_columns(); }

void pk_pack_b(
    size_t k, size_t n, const float *b, size_t row_stride, size_t column_stride, size_t first_panel, size_t end_panel,
    float *packed) {
  active()->pack_b(k, n, b, row_stride, column_stride, first_panel, end_panel, packed);
}

size_t pk_gemm_scratch_size(const pk_gemm *problem) { return active()->gemm_scratch_size(problem); }

void pk_gemm_run(
    const pk_gemm *problem, size_t first_row, size_t end_row, size_t first_panel, size_t end_panel, float *scratch) {
  active()->gemm_run(problem, first_row, end_row, first_panel, end_panel, scratch);
}

void pk_unary_run(pk_unary function, float first, float second, const float *from, float *to, size_t count) {
  active()->unary_run(function, first, second, from, to, count);
}

size_t pk_convolution_panel_count(const pk_convolution *convolution) { return active()->convolution_panel_count(convolution); }

size_t pk_packed_convolution_size(const pk_convolution *convolution) { return active()->packed_convolution_size(convolution); }

void pk_pack_convolution(const pk_convolution *convolution, const float *weights, float *packed) {
  active()->pack_convolution(convolution, weights, packed);
}

size_t pk_convolution_scratch_size(const pk_convolution *convolution) { return active()->convolution_scratch_size(convolution); }

void pk_convolution_run(
    const pk_convolution *convolution, size_t first_pixel, size_t end_pixel, size_t first_panel, size_t end_panel,
    float *scratch) {
  active()->convolution_run(convolution, first_pixel, end_pixel, first_panel, end_panel, scratch);
}

void pk_pooling_run(const pk_pooling *pooling, size_t first_pixel, size_t end_pixel) {
  active()->pooling_run(pooling, first_pixel, end_pixel);
}

size_t pk_attention_scratch_size(const pk_attention *attention) { return active()->attention_scratch_size(attention); }

void pk_attention_run(const pk_attention *attention, size_t first_query, size_t end_query, float *scratch) {
  active()->attention_run(attention, first_query, end_query, scratch);
}

void pk_chain_run(const pk_chain *chain, size_t first, size_t end, float *scratch) {
  active()->chain_run(chain, first, end, scratch);
}

void pk_copy_run(const pk_copy *copy, size_t first_piece, size_t end_piece) { active()->copy_run(copy, first_piece, end_piece); }

void pk_softmax_run(const pk_softmax *softmax, size_t first_row, size_t end_row) {
  active()->softmax_run(softmax, first_row, end_row);
}

void pk_layer_norm_run(const pk_layer_norm *norm, size_t first_row, size_t end_row) {
  active()->layer_norm_run(norm, first_row, end_row);
}

void pk_reduction_run(
    const pk_reduction *reduction, size_t first_outer, size_t end_outer, size_t first_inner, size_t end_inner) {
  active()->reduction_run(reduction, first_outer, end_outer, first_inner, end_inner);
}

void pk_group_norm_run(const pk_group_norm *norm, size_t first_group, size_t end_group) {
  active()->group_norm_run(norm, first_group, end_group);
}

void pk_double_update(
    size_t m, size_t n, size_t k, const double *a, size_t a_row_stride, size_t a_column_stride, const double *b,
    size_t b_row_stride, double *c, size_t c_row_stride) {
  active()->double_update(m, n, k, a, a_row_stride, a_column_stride, b, b_row_stride, c, c_row_stride);
}

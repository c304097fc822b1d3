// Shares of the machine's peak that the kernels reach, on one thread.
//
//   clang -O2 -ISources/Kernels/include benchmarks/kernels.c Sources/Kernels/*.c -lm -o /tmp/kernels-benchmark
//   /tmp/kernels-benchmark [gemm|all] [portable|avx2|avx512|neon]
#define _DEFAULT_SOURCE
#include <kernels.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

/// Seconds of this thread's own, so that other programs disturb less.
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak, seconds_each = 0.15;

/// Memory in huge pages, where the machine has them, as the runtime's arena.
static void *allocate(size_t bytes) {
  const size_t page = (size_t)2 << 20;
  bytes = (bytes + page) / page * page;
  void *memory = aligned_alloc(page, bytes);
#if defined(__linux__)
  if (memory != NULL) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  if (memory == NULL) abort();
  return memory;
}

static float *numbers(size_t count) {
  float *to = allocate(count * sizeof(float));
  unsigned state = 1;
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    to[i] = (float)(state >> 8) / (float)(1 << 24) - 0.5f;
  }
  return to;
}

/// The best time of `work`, tried for about a tenth of a second and at least three times.
static double best_time(void (*work)(void *), void *context) {
  double best = 1e30;
  const double start = now();
  for (int i = 0; i < 3 || now() - start < seconds_each; i++) {
    const double before = now();
    work(context);
    const double time = now() - before;
    if (time < best) best = time;
  }
  return best;
}

static void report(const char *name, double time, double operations) {
  printf("%-44s %10.1f us %8.1f GFLOP/s %6.1f %%\n", name, 1e6 * time, 1e-9 * operations / time, 100 * operations / time / peak);
}

typedef struct gemm_case {
  pk_gemm problem;
  float *scratch;
} gemm_case;

static void run_gemm(void *context) {
  const gemm_case *c = context;
  pk_gemm_run(&c->problem, 0, c->problem.m, 0, pk_panel_count(c->problem.n), c->scratch);
}

static void gemm(size_t m, size_t k, size_t n, pk_activation activation) {
  float *a = numbers(m * k), *b = numbers(k * n), *c = numbers(m * n), *packed = numbers(pk_packed_b_size(k, n)), *bias = numbers(n);
  pk_pack_b(k, n, b, n, 1, 0, pk_panel_count(n), packed);
  gemm_case it = {
    .problem = {.m = m, .n = n, .k = k, .a = a, .a_row_stride = k, .a_column_stride = 1, .packed_b = packed, .c = c, .c_row_stride = n,
      .epilogue = {.alpha = 1, .bias = bias, .activation = activation}}};
  it.scratch = numbers(pk_gemm_scratch_size(&it.problem));
  char name[100];
  snprintf(name, sizeof name, "gemm %zu x %zu x %zu%s", m, k, n, activation == PK_ACTIVATION_GELU_ERF ? " gelu" : "");
  const double time = best_time(run_gemm, &it);
  report(name, time, 2.0 * (double)m * (double)n * (double)k);
  if (m == 1) printf("%-44s %26.1f GB/s of B\n", "", 4e-9 * (double)k * (double)n / time);
  free(a), free(b), free(c), free(packed), free(bias), free(it.scratch);
}

static void gemm_shapes(void) {
  const size_t shapes[][3] = {
    {1024, 1024, 1024}, {1000, 1000, 1000}, {197, 768, 3072}, {197, 3072, 768}, {197, 768, 768}, {49, 768, 3072}, {49, 768, 768}, {128, 384, 1536},
    {12544, 64, 64}, {3136, 64, 256}, {3136, 256, 64}, {784, 512, 128}, {196, 1024, 256}, {49, 2048, 512}, {3136, 16, 96}, {3136, 32, 16},
    {3136, 96, 24}, {3136, 144, 40}, {12544, 32, 8}, {196, 480, 112}, {49, 960, 160}, {197, 64, 197}, {64, 4608, 512},
    {2, 768, 3072}, {4, 768, 3072}, {8, 768, 3072}, {1, 768, 768}, {1, 768, 3072}, {1, 4096, 4096}, {4, 4096, 4096}, {8, 4096, 4096}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) gemm(shapes[i][0], shapes[i][1], shapes[i][2], PK_ACTIVATION_NONE);
  gemm(197, 768, 3072, PK_ACTIVATION_GELU_ERF);
}

int main(int count, char **arguments) {
  const char *part = count > 1 ? arguments[1] : "all";
  if (count > 2)
    for (int isa = PK_ISA_PORTABLE; isa <= PK_ISA_AVX512; isa++)
      if (strcmp(arguments[2], pk_isa_name((pk_isa)isa)) == 0 && !pk_set_isa((pk_isa)isa)) return 1;
  peak = pk_measure_peak(0.3);
  printf("%s, peak %.1f GFLOP/s\n", pk_isa_name(pk_get_isa()), 1e-9 * peak);
  const bool all = strcmp(part, "all") == 0;
  if (all || strcmp(part, "gemm") == 0) gemm_shapes();
  if (count == 7) {  // one m k n of one's own, for so many seconds
    seconds_each = atof(arguments[6]);
    gemm((size_t)atol(arguments[3]), (size_t)atol(arguments[4]), (size_t)atol(arguments[5]), PK_ACTIVATION_NONE);
  }
  return 0;
}

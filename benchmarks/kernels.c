// Shares of the machine's peak that the kernels reach, on one thread.
//
//   clang -O2 -ISources/Kernels/include benchmarks/kernels.c Sources/Kernels/*.c -lm -o /tmp/kernels-benchmark
//   /tmp/kernels-benchmark [gemm|convolution|attention|all] [portable|avx2|avx512|neon]
#define _DEFAULT_SOURCE
#include <kernels.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
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

/// Seconds per call; infinite where other programs disturbed, that is, where this thread ran for less than the time that passed.
static double time_of(void (*work)(void *), void *context, int repeats) {
  const double before = seconds_of(CLOCK_MONOTONIC), own_before = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < repeats; i++) work(context);
  const double own = seconds_of(CLOCK_THREAD_CPUTIME_ID) - own_before, passed = seconds_of(CLOCK_MONOTONIC) - before;
  return passed > 1.02 * own + 5e-6 ? 1.0 / 0.0 : passed / repeats;
}

/// The best time of one piece of work, tried for `seconds` and at least three times; what is too short for the clock is repeated.
static double best_time_of_piece(void (*work)(void *), void *context, double seconds) {
  double once = 1.0 / 0.0;
  for (int i = 0; i < 20 && once > 1e9; i++) once = time_of(work, context, 2);
  const int repeats = once > 1e-4 ? 1 : (int)(1e-4 / (once + 1e-8)) + 1;
  const double start = seconds_of(CLOCK_MONOTONIC);
  double best = 1.0 / 0.0;
  int undisturbed = 0;
  while (undisturbed < 3 || seconds_of(CLOCK_MONOTONIC) - start < seconds) {
    const double time = time_of(work, context, repeats);
    if (time < best) best = time;
    undisturbed += time < 1e9;
    if (seconds_of(CLOCK_MONOTONIC) - start > 3 + 20 * seconds) break;
  }
  return best;
}

static double best_time(void (*work)(void *), void *context) { return best_time_of_piece(work, context, seconds_each); }

static void report(const char *name, double time, double operations) {
  printf("%-44s %10.1f us %8.1f GFLOP/s %6.1f %%\n", name, 1e6 * time, 1e-9 * operations / time, 100 * operations / time / peak);
}

typedef struct gemm_case {
  pk_gemm problem;
  size_t first_panel, end_panel;
  float *scratch;
} gemm_case;

static void run_gemm(void *context) {
  const gemm_case *c = context;
  pk_gemm_run(&c->problem, 0, c->problem.m, c->first_panel, c->end_panel, c->scratch);
}

/// The sum of the best times of as many ranges of columns as make each about half a millisecond: long work is seldom undisturbed.
static double best_time_of_gemm(gemm_case *it) {
  const size_t panels = pk_panel_count(it->problem.n);
  const double operations = 2.0 * (double)it->problem.m * (double)it->problem.n * (double)it->problem.k;
  size_t pieces = (size_t)(operations / (5e-4 * peak)) + 1;
  if (pieces > panels) pieces = panels;
  double time = 0;
  for (size_t piece = 0; piece < pieces; piece++) {
    it->first_panel = panels * piece / pieces;
    it->end_panel = panels * (piece + 1) / pieces;
    time += best_time_of_piece(run_gemm, it, seconds_each / (double)pieces);
  }
  return time;
}

static double gemm(size_t m, size_t k, size_t n, pk_activation activation) {
  float *a = numbers(m * k), *b = numbers(k * n), *c = numbers(m * n), *packed = numbers(pk_packed_b_size(k, n)), *bias = numbers(n);
  pk_pack_b(k, n, b, n, 1, 0, pk_panel_count(n), packed);
  gemm_case it = {
    .problem = {.m = m, .n = n, .k = k, .a = a, .a_row_stride = k, .a_column_stride = 1, .packed_b = packed, .c = c, .c_row_stride = n,
      .epilogue = {.alpha = 1, .bias = bias, .activation = activation}}};
  it.scratch = numbers(pk_gemm_scratch_size(&it.problem));
  char name[100];
  snprintf(name, sizeof name, "gemm %zu x %zu x %zu%s", m, k, n, activation == PK_ACTIVATION_GELU_ERF ? " gelu" : "");
  const double time = best_time_of_gemm(&it);
  report(name, time, 2.0 * (double)m * (double)n * (double)k);
  if (m == 1) printf("%-44s %26.1f GB/s of B\n", "", 4e-9 * (double)k * (double)n / time);
  free(a), free(b), free(c), free(packed), free(bias), free(it.scratch);
  return time;
}

static void gemm_shapes(void) {
  const double rate = 2.0 * 1024 * 1024 * 1024 / gemm(1024, 1024, 1024, PK_ACTIVATION_NONE);
  printf("gemm 1024: %.1f GFLOP/s, %.1f %% of peak %.1f\n", 1e-9 * rate, 100 * rate / peak, 1e-9 * peak);
  const size_t shapes[][3] = {
    {1000, 1000, 1000}, {197, 768, 3072}, {197, 3072, 768}, {197, 768, 768}, {49, 768, 3072}, {49, 768, 768}, {128, 384, 1536},
    {12544, 64, 64}, {3136, 64, 256}, {3136, 256, 64}, {784, 512, 128}, {196, 1024, 256}, {49, 2048, 512}, {3136, 16, 96}, {3136, 32, 16},
    {3136, 96, 24}, {3136, 144, 40}, {12544, 32, 8}, {196, 480, 112}, {49, 960, 160}, {197, 64, 197}, {64, 4608, 512},
    {2, 768, 3072}, {4, 768, 3072}, {8, 768, 3072}, {1, 768, 768}, {1, 768, 3072}, {1, 4096, 4096}, {4, 4096, 4096}, {8, 4096, 4096}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) gemm(shapes[i][0], shapes[i][1], shapes[i][2], PK_ACTIVATION_NONE);
  gemm(197, 768, 3072, PK_ACTIVATION_GELU_ERF);
}

typedef struct convolution_case {
  pk_convolution problem;
  float *scratch;
} convolution_case;

static void run_convolution(void *context) {
  const convolution_case *c = context;
  pk_convolution_run(
      &c->problem, 0, c->problem.output_height * c->problem.output_width, 0, pk_convolution_panel_count(&c->problem), c->scratch);
}

static void convolution(
    const char *where, size_t side, size_t channels, size_t outputs, size_t groups, size_t kernel, size_t stride,
    pk_activation activation) {
  const size_t pad = stride == kernel ? 0 : kernel / 2, out = (side + 2 * pad - kernel) / stride + 1;
  const size_t weights = outputs * (channels / groups) * kernel * kernel;
  float *x = numbers(side * side * channels), *w = numbers(weights), *y = numbers(out * out * outputs), *bias = numbers(outputs);
  convolution_case it = {
    .problem = {.height = side, .width = side, .channels = channels, .output_height = out, .output_width = out,
      .output_channels = outputs, .groups = groups, .kernel_height = kernel, .kernel_width = kernel, .stride_height = stride,
      .stride_width = stride, .dilation_height = 1, .dilation_width = 1, .pad_top = pad, .pad_left = pad, .input = x,
      .input_pixel_stride = channels, .output = y, .output_pixel_stride = outputs,
      .epilogue = {.alpha = 1, .bias = bias, .activation = activation}}};
  float *packed = numbers(pk_packed_convolution_size(&it.problem));
  pk_pack_convolution(&it.problem, w, packed);
  it.problem.packed_weights = packed;
  it.scratch = numbers(pk_convolution_scratch_size(&it.problem));
  char name[100];
  snprintf(name, sizeof name, "%s %zux%zu s%zu %zu>%zu/%zu @%zu", where, kernel, kernel, stride, channels, outputs, groups, side);
  report(name, best_time(run_convolution, &it), 2.0 * (double)weights * (double)(out * out));
  free(x), free(w), free(y), free(bias), free(packed), free(it.scratch);
}

static void convolution_shapes(void) {
  const pk_activation relu = PK_ACTIVATION_RELU, clip = PK_ACTIVATION_CLIP, silu = PK_ACTIVATION_SILU;
  convolution("resnet", 224, 3, 64, 1, 7, 2, relu);
  convolution("resnet", 56, 64, 64, 1, 1, 1, relu);
  convolution("resnet", 56, 64, 64, 1, 3, 1, relu);
  convolution("resnet", 56, 64, 256, 1, 1, 1, relu);
  convolution("resnet", 56, 256, 512, 1, 1, 2, relu);
  convolution("resnet", 28, 128, 128, 1, 3, 1, relu);
  convolution("resnet", 14, 256, 256, 1, 3, 1, relu);
  convolution("resnet", 7, 512, 512, 1, 3, 1, relu);
  convolution("resnext", 56, 128, 128, 32, 3, 1, relu);
  convolution("resnext", 28, 256, 256, 32, 3, 1, relu);
  convolution("regnet", 28, 48, 48, 2, 3, 1, relu);
  convolution("mobilenet", 224, 3, 32, 1, 3, 2, clip);
  convolution("mobilenet", 112, 16, 96, 1, 1, 1, clip);
  convolution("mobilenet", 112, 32, 32, 32, 3, 1, clip);
  convolution("mobilenet", 112, 96, 96, 96, 3, 2, clip);
  convolution("mobilenet", 28, 192, 192, 192, 3, 1, clip);
  convolution("mobilenet", 14, 384, 384, 384, 3, 1, clip);
  convolution("mobilenet", 7, 960, 960, 960, 3, 1, clip);
  convolution("efficientnet", 112, 32, 32, 32, 3, 1, silu);
  convolution("efficientnet", 28, 240, 240, 240, 5, 1, silu);
  convolution("efficientnet", 7, 1152, 1152, 1152, 5, 1, silu);
  convolution("convnext", 56, 96, 96, 96, 7, 1, PK_ACTIVATION_NONE);
  convolution("convnext", 224, 3, 96, 1, 4, 4, PK_ACTIVATION_NONE);
  convolution("densenet", 56, 128, 32, 1, 3, 1, PK_ACTIVATION_NONE);
  convolution("densenet", 14, 128, 32, 1, 3, 1, PK_ACTIVATION_NONE);
  convolution("densenet", 28, 256, 128, 1, 1, 1, relu);
  convolution("vit", 224, 3, 768, 1, 16, 16, PK_ACTIVATION_NONE);
}

typedef struct attention_case {
  pk_attention problem;
  float *scratch;
} attention_case;

static void run_attention(void *context) {
  const attention_case *c = context;
  pk_attention_run(&c->problem, 0, c->problem.queries, c->scratch);
}

/// One head of several whose queries, keys and values lie side by side, `stride` numbers from one token to the next.
static void attention(const char *where, size_t queries, size_t keys, size_t size, size_t stride, bool is_causal, bool has_bias) {
  float *q = numbers(queries * stride), *k = numbers(keys * stride), *v = numbers(keys * stride), *to = numbers(queries * size);
  float *bias = numbers(queries * keys);
  attention_case it = {
    .problem = {.queries = queries, .keys = keys, .size = size, .value_size = size, .query = q, .query_stride = stride, .key = k,
      .key_stride = stride, .value = v, .value_stride = stride, .bias = has_bias ? bias : NULL, .bias_query_stride = keys,
      .bias_key_stride = 1, .scale = 0.125f, .is_causal = is_causal, .causal_offset = (ptrdiff_t)(keys - queries), .result = to,
      .result_stride = size}};
  it.scratch = numbers(pk_attention_scratch_size(&it.problem));
  double pairs = 0;
  for (size_t i = 0; i < queries; i++) pairs += is_causal ? (double)(keys - queries + i + 1) : (double)keys;
  char name[100];
  snprintf(name, sizeof name, "%s %zux%zux%zu /%zu%s%s", where, queries, keys, size, stride, is_causal ? " causal" : "", has_bias ? " bias" : "");
  const double time = best_time(run_attention, &it);
  report(name, time, 4.0 * pairs * (double)size);
  if (queries == 1) printf("%-44s %26.1f GB/s of K and V\n", "", 8e-9 * (double)keys * (double)size / time);
  free(q), free(k), free(v), free(to), free(bias), free(it.scratch);
}

static void attention_shapes(void) {
  attention("vit", 197, 197, 64, 64, false, false);
  attention("vit", 197, 197, 64, 768, false, false);
  attention("vit", 197, 197, 64, 2304, false, false);
  attention("vit-large", 197, 197, 64, 3072, false, false);
  attention("bert", 128, 128, 64, 768, false, true);
  attention("bert", 384, 384, 64, 768, false, true);
  attention("swin", 49, 49, 32, 32, false, false);
  attention("swin", 49, 49, 32, 96, false, true);
  attention("swin", 144, 144, 32, 384, false, true);
  attention("llama", 128, 128, 64, 64, true, false);
  attention("llama", 128, 1024, 64, 64, true, false);
  attention("llama", 2048, 2048, 128, 128, true, false);
  attention("llama", 1, 128, 64, 64, true, false);
  attention("llama", 1, 1024, 64, 64, true, false);
  attention("llama", 1, 8192, 128, 128, true, false);
  attention("llama", 4, 1024, 64, 64, true, false);
  attention("llama", 8, 1024, 64, 64, true, false);
  attention("diffusion", 4096, 4096, 40, 320, false, false);
  attention("detector", 300, 8192, 32, 256, false, false);
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
  if (all || strcmp(part, "convolution") == 0) convolution_shapes();
  if (all || strcmp(part, "attention") == 0) attention_shapes();
  if (count == 7) {  // one m k n of one's own, for so many seconds
    seconds_each = atof(arguments[6]);
    gemm((size_t)atol(arguments[3]), (size_t)atol(arguments[4]), (size_t)atol(arguments[5]), PK_ACTIVATION_NONE);
  }
  return 0;
}

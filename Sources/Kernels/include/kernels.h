// The arithmetic of the runtime: plain single-threaded functions on part of a problem, for AVX-512, AVX2 + FMA, NEON and any other
// machine, chosen at run time.
//
// Contracts that hold for every function here:
// - All numbers are f32 unless a name says otherwise; strides and sizes count elements, not bytes.
// - No function allocates, keeps a pointer or starts a thread; scratch comes from the caller and its size from a function beside.
// - A problem is shared out by calls on disjoint sub-ranges; calls on disjoint ranges may run at the same time with scratch of
//   their own. How a problem is divided never changes a bit of the result: each output element is summed in one fixed order.
// - Nothing outside the stated extents is read or written. Empty ranges and zero sizes do nothing.
// - Pointers need the alignment of their element only. Outputs must not overlap inputs unless a comment allows it.
#ifndef PRUNEC_KERNELS_H
#define PRUNEC_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------------------------------------------------------- Instruction sets

typedef enum pk_isa { PK_ISA_PORTABLE = 0, PK_ISA_NEON = 1, PK_ISA_AVX2 = 2, PK_ISA_AVX512 = 3 } pk_isa;

/// The instruction set in use: the best this machine has until `pk_set_isa` says otherwise.
pk_isa pk_get_isa(void);
/// Uses `isa` from now on; false, and no change, when this machine or build lacks it. Packed operands are laid out for the instruction
/// set they were packed under and must be packed anew. Not to be called while other calls run.
bool pk_set_isa(pk_isa isa);
/// "avx512", "avx2", "neon" or "portable".
const char *pk_isa_name(pk_isa isa);
/// Runs independent fused multiply-adds for about `seconds` and returns the rate in operations (two per multiply-add) per second.
double pk_measure_peak(double seconds);

// ------------------------------------------------------------------------------------------------------------------------ Epilogues

typedef enum pk_activation {
  PK_ACTIVATION_NONE = 0,
  PK_ACTIVATION_RELU,
  PK_ACTIVATION_CLIP,          // min(max(x, first), second)
  PK_ACTIVATION_LEAKY_RELU,    // x < 0 ? first · x : x
  PK_ACTIVATION_HARD_SIGMOID,  // min(max(first · x + second, 0), 1)
  PK_ACTIVATION_HARD_SWISH,    // x · min(max(x / 6 + 1/2, 0), 1)
  PK_ACTIVATION_SIGMOID,
  PK_ACTIVATION_SILU,       // x · sigmoid(x)
  PK_ACTIVATION_GELU_ERF,   // x · (1 + erf(x / √2)) / 2
  PK_ACTIVATION_GELU_TANH,  // x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2
  PK_ACTIVATION_TANH,
} pk_activation;

/// What happens to a sum before it is stored: alpha · sum + bias [+ residual] → activation [→ + residual].
typedef struct pk_epilogue {
  float alpha;                     // 1 for none
  const float *bias;               // one number per column (or row), or null
  bool bias_per_row;               // the bias runs along the rows of C
  bool residual_after_activation;  // the residual is added after the activation, not before
  const float *residual;           // C-shaped, or null; may be C itself (with C's stride): then the product is added to what C holds
  size_t residual_row_stride;
  pk_activation activation;
  float first, second;  // the activation's numbers, where its comment names them
} pk_epilogue;

// ---------------------------------------------------------------------------------------------------------- Products of matrices

/// C[m, n] = epilogue(A[m, k] · B[k, n]); C's rows are contiguous. One of A's strides should be 1 (any pair is right; others are slow).
typedef struct pk_gemm {
  size_t m, n, k;
  const float *a;
  size_t a_row_stride, a_column_stride;
  const float *packed_b;  // of pk_pack_b
  float *c;
  size_t c_row_stride;
  pk_epilogue epilogue;
} pk_gemm;

/// Columns per panel of a packed B: the unit in which columns are shared out.
size_t pk_panel_columns(void);
/// ceil(n / pk_panel_columns()).
size_t pk_panel_count(size_t n);
/// The floats that a packed B[k, n] takes.
size_t pk_packed_b_size(size_t k, size_t n);
/// Packs panels [first_panel, end_panel) of B[k, n], whose element (i, j) is b[i · row_stride + j · column_stride], to their places in
/// `packed` (which points to the whole packed operand).
void pk_pack_b(
    size_t k, size_t n, const float *b, size_t row_stride, size_t column_stride, size_t first_panel, size_t end_panel, float *packed);
/// The floats of scratch that a call of pk_gemm_run on any range of `problem` needs (may be 0).
size_t pk_gemm_scratch_size(const pk_gemm *problem);
/// Computes rows [first_row, end_row) of the columns of panels [first_panel, end_panel). Sums run over k in ascending order.
void pk_gemm_run(
    const pk_gemm *problem, size_t first_row, size_t end_row, size_t first_panel, size_t end_panel, float *scratch);

// ---------------------------------------------------------------------------------------------------------------------- Convolution

/// A convolution of one image, channels last. Pixel (y, x) of the input starts at input + (y · width + x) · input_pixel_stride, so slices
/// of channels can be read and written in place. One-dimensional: height 1. Padding after the end is whatever the output's size asks for.
/// The epilogue's columns are the output channels and its rows the output pixels (its strides go from pixel to pixel).
typedef struct pk_convolution {
  size_t height, width, channels;
  size_t output_height, output_width, output_channels;
  size_t groups;
  size_t kernel_height, kernel_width;
  size_t stride_height, stride_width;
  size_t dilation_height, dilation_width;
  size_t pad_top, pad_left;
  const float *input;
  size_t input_pixel_stride;
  const float *packed_weights;  // of pk_pack_convolution
  float *output;
  size_t output_pixel_stride;
  pk_epilogue epilogue;
} pk_convolution;

/// The units in which output channels are shared out.
size_t pk_convolution_panel_count(const pk_convolution *convolution);
/// The floats that the packed weights take.
size_t pk_packed_convolution_size(const pk_convolution *convolution);
/// Packs weights given as [output channels, channels / groups, kernel height, kernel width], dense. Reads only the sizes of `convolution`.
void pk_pack_convolution(const pk_convolution *convolution, const float *weights, float *packed);
/// The floats of scratch that a call on any range needs (may be 0).
size_t pk_convolution_scratch_size(const pk_convolution *convolution);
/// Computes output pixels [first_pixel, end_pixel), counted row by row, of the channels of panels [first_panel, end_panel). Groups of few
/// channels are merged with zero weights between them, so an infinite input can make NaN in a neighbouring group.
void pk_convolution_run(
    const pk_convolution *convolution, size_t first_pixel, size_t end_pixel, size_t first_panel, size_t end_panel, float *scratch);

typedef enum pk_pooling_kind { PK_POOLING_MAX = 0, PK_POOLING_AVERAGE } pk_pooling_kind;

/// Pooling of one image, channels last.
typedef struct pk_pooling {
  pk_pooling_kind kind;
  bool counts_padding;  // of averages: padding inside the stated pads counts as zeros
  size_t height, width, channels;
  size_t output_height, output_width;
  size_t kernel_height, kernel_width;
  size_t stride_height, stride_width;
  size_t dilation_height, dilation_width;
  size_t pad_top, pad_left, pad_bottom, pad_right;
  const float *input;
  size_t input_pixel_stride;
  float *output;
  size_t output_pixel_stride;
} pk_pooling;

/// Computes output pixels [first_pixel, end_pixel). A window without any input gives −∞ (maximum) or 0 (average).
void pk_pooling_run(const pk_pooling *pooling, size_t first_pixel, size_t end_pixel);

// ------------------------------------------------------------------------------------------------------------- Functions of one number

/// Functions applied to every element. ULP bounds are against the exact value, for finite results that are not subnormal; infinities,
/// NaN and signed zeros come out as libm's do.
typedef enum pk_unary {
  PK_UNARY_NEGATE = 0,
  PK_UNARY_ABSOLUTE,
  PK_UNARY_SQUARE,
  PK_UNARY_SQUARE_ROOT,
  PK_UNARY_RECIPROCAL,
  PK_UNARY_RECIPROCAL_SQUARE_ROOT,  // 1 / √x, 2 ulp
  PK_UNARY_FLOOR,
  PK_UNARY_CEIL,
  PK_UNARY_ROUND,     // halves to even
  PK_UNARY_SIGN,      // -1, 0 or 1
  PK_UNARY_RELU,
  PK_UNARY_EXP,       // 2 ulp
  PK_UNARY_LOG,       // 2 ulp
  PK_UNARY_TANH,      // 2 ulp
  PK_UNARY_ERF,       // 4 ulp
  PK_UNARY_SIGMOID,   // 3 ulp
  PK_UNARY_SILU,      // 4 ulp
  PK_UNARY_GELU_ERF,  // error at most 2⁻²² · |x|
  PK_UNARY_GELU_TANH, // error at most 2⁻²² · |x|
  PK_UNARY_SOFTPLUS,  // log(1 + eˣ), 4 ulp
  PK_UNARY_SIN,       // 3 ulp or error 2⁻²⁴ up to |x| = 8192, whichever is more; libm's beyond
  PK_UNARY_COS,       // as sin
  PK_UNARY_HARD_SWISH,
  // With numbers:
  PK_UNARY_CLIP,          // min(max(x, first), second)
  PK_UNARY_LEAKY_RELU,    // x < 0 ? first · x : x
  PK_UNARY_HARD_SIGMOID,  // min(max(first · x + second, 0), 1)
  PK_UNARY_ELU,           // x < 0 ? first · (eˣ − 1) : x; error at most 2⁻²² · first near 0
  PK_UNARY_AFFINE,        // first · x + second, rounded once where the machine can
} pk_unary;

/// to[i] = function(from[i]); `to` may be `from`.
void pk_unary_run(pk_unary function, float first, float second, const float *from, float *to, size_t count);

#ifdef __cplusplus
}
#endif
#endif

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
/// Uses `isa` for the calls that the calling thread makes from now on; false, and no change, when this machine or build lacks it. Packed
/// operands are laid out for the instruction set they were packed under and must be packed anew.
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
/// NaN and signed zeros come out as libm's do unless a comment says otherwise.
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
  PK_UNARY_SIGMOID,   // 3 ulp; below -87, and at −∞, e⁻⁸⁷: off by less than 2 · 10⁻³⁸
  PK_UNARY_SILU,      // 4 ulp; below -87, and at −∞, -87 · e⁻⁸⁷: off by less than 2 · 10⁻³⁶
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

// ------------------------------------------------------------------------------------------------------------ Chains of elementwise work

typedef enum pk_element {
  PK_ELEMENT_F32 = 0,
  PK_ELEMENT_F16,
  PK_ELEMENT_BF16,
  PK_ELEMENT_BOOL,  // a byte, 0 or 1
  PK_ELEMENT_U8,
  PK_ELEMENT_I8,
  PK_ELEMENT_I32,
  PK_ELEMENT_I64,
} pk_element;

enum { PK_RANK_LIMIT = 8, PK_CHAIN_OPERANDS = 16, PK_CHAIN_REGISTERS = 32, PK_CHAIN_INSTRUCTIONS = 32 };

/// What an instruction makes of the registers a, b and c. Comparisons give 1 or 0; a condition holds where it is not 0.
typedef enum pk_chain_code {
  PK_CHAIN_UNARY = 0,  // function(a; first, second)
  PK_CHAIN_ADD,
  PK_CHAIN_SUBTRACT,
  PK_CHAIN_MULTIPLY,
  PK_CHAIN_DIVIDE,
  PK_CHAIN_MAXIMUM,  // NaN where one of the two is
  PK_CHAIN_MINIMUM,
  PK_CHAIN_POWER,         // powf(a, b), 1 ulp
  PK_CHAIN_MULTIPLY_ADD,  // a · b + c, rounded once where the machine can
  PK_CHAIN_EQUAL,
  PK_CHAIN_LESS,
  PK_CHAIN_LESS_OR_EQUAL,
  PK_CHAIN_AND,
  PK_CHAIN_OR,
  PK_CHAIN_XOR,
  PK_CHAIN_NOT,
  PK_CHAIN_SELECT,  // a ? b : c
} pk_chain_code;

/// One instruction: register `to` = code(a, b, c). Unused registers are 0.
typedef struct pk_chain_instruction {
  pk_chain_code code;
  pk_unary function;
  uint8_t to, a, b, c;
  float first, second;
} pk_chain_instruction;

/// An operand, or the result: element (i₀, i₁, …) lies at data + Σ iₐ · strides[a], counted in elements. A stride of 0 repeats.
typedef struct pk_chain_operand {
  void *data;
  pk_element element;
  ptrdiff_t strides[PK_RANK_LIMIT];
} pk_chain_operand;

/// Elementwise instructions over a space of `extents`, last axis innermost, in one pass: operands are widened to f32 registers
/// 0..<operand_count, instructions follow one another, and register `result_register` is stored (rounded to nearest, ties to even; to bool
/// as ≠ 0; to whole types towards zero, saturating). The result may be an operand's own memory where both have the same strides.
typedef struct pk_chain {
  size_t rank;
  size_t extents[PK_RANK_LIMIT];
  size_t operand_count;
  pk_chain_operand operands[PK_CHAIN_OPERANDS];
  size_t instruction_count;
  pk_chain_instruction instructions[PK_CHAIN_INSTRUCTIONS];
  uint8_t result_register;
  pk_chain_operand result;
} pk_chain;

/// Merges axes that every operand walks as one and drops axes of one index: the same chain, quicker. Done once, before the data pointers
/// are filled in.
void pk_chain_simplify(pk_chain *chain);
/// The floats of scratch that a call on any range needs.
size_t pk_chain_scratch_size(const pk_chain *chain);
/// Computes elements [first, end), counted row-major over `extents`.
void pk_chain_run(const pk_chain *chain, size_t first, size_t end, float *scratch);

// --------------------------------------------------------------------------------------------------------------------------- Copies

/// Moves elements of 1, 2, 4 or 8 bytes from one strided layout to another.
typedef struct pk_copy {
  size_t element_bytes;
  size_t rank;
  size_t extents[PK_RANK_LIMIT];
  const void *from;
  ptrdiff_t from_strides[PK_RANK_LIMIT];  // in elements
  void *to;
  ptrdiff_t to_strides[PK_RANK_LIMIT];
} pk_copy;

/// Merges and orders axes so that the copy is quick (a transposition becomes tiles). Done once, before the pointers are filled in.
void pk_copy_simplify(pk_copy *copy);
/// Into how many pieces the copy can be divided.
size_t pk_copy_piece_count(const pk_copy *copy);
void pk_copy_run(const pk_copy *copy, size_t first_piece, size_t end_piece);

// ------------------------------------------------------------------------------------------------------------------------------ Rows

/// Softmax of rows of `count` contiguous numbers: eˣ⁻ᵐᵃˣ / Σ. A row of −∞ alone gives NaN. `to` may be `from`.
typedef struct pk_softmax {
  size_t count;
  const float *from;
  size_t from_row_stride;
  float *to;
  size_t to_row_stride;
  bool is_logarithm;
} pk_softmax;
void pk_softmax_run(const pk_softmax *softmax, size_t first_row, size_t end_row);

/// Layer normalisation of rows of `count` contiguous numbers: (x − mean) / √(variance + epsilon) · scale + offset; without centring,
/// root-mean-square normalisation: x / √(mean square + epsilon) · scale + offset. With `addend`, x is from + addend (+ addend_bias), and
/// goes to `sum` if that is not null. `to` and `sum` may be `from` or `addend`.
typedef struct pk_layer_norm {
  size_t count;
  const float *from;
  size_t from_row_stride;
  const float *addend;
  size_t addend_row_stride;
  const float *addend_bias;  // one per number of a row, or null
  float *sum;
  size_t sum_row_stride;
  float *to;
  size_t to_row_stride;
  const float *scale;   // one per number of a row, or null
  const float *offset;  // one per number of a row, or null
  float epsilon;
  bool is_centred;
} pk_layer_norm;
void pk_layer_norm_run(const pk_layer_norm *norm, size_t first_row, size_t end_row);

/// Normalisation of groups of channels of one image, channels last: mean and variance over the pixels and channels of each group (one
/// channel per group: instance normalisation); then scale and offset per channel, and an activation that has no numbers of its own. `to`
/// may be `from`, with its stride.
typedef struct pk_group_norm {
  size_t pixels, channels, groups;
  const float *from;
  size_t from_pixel_stride;
  float *to;
  size_t to_pixel_stride;
  const float *scale;   // one per channel, or null
  const float *offset;  // one per channel, or null
  float epsilon;
  pk_activation activation;
} pk_group_norm;
void pk_group_norm_run(const pk_group_norm *norm, size_t first_group, size_t end_group);

typedef enum pk_reduction_kind {
  PK_REDUCTION_SUM = 0,
  PK_REDUCTION_MEAN,
  PK_REDUCTION_MAXIMUM,  // NaN where one is
  PK_REDUCTION_MINIMUM,
  PK_REDUCTION_PRODUCT,
  PK_REDUCTION_SUM_OF_SQUARES,
  PK_REDUCTION_SUM_OF_ABSOLUTES,
  PK_REDUCTION_ROOT_OF_SQUARES,
} pk_reduction_kind;

/// to[outer][inner] = the reduction of from[outer][0..<count][inner]; the inner numbers are contiguous in both, in `to` all are.
/// A count of 0 gives what changes nothing: 0, 1, −∞ or ∞; as a mean NaN.
typedef struct pk_reduction {
  pk_reduction_kind kind;
  size_t count, inner;
  const float *from;
  size_t outer_stride, count_stride;
  float *to;
} pk_reduction;
/// Computes the outer indices [first_outer, end_outer) of inner numbers [first_inner, end_inner). Sums are kept to the accuracy of pairwise
/// summation.
void pk_reduction_run(
    const pk_reduction *reduction, size_t first_outer, size_t end_outer, size_t first_inner, size_t end_inner);

// ------------------------------------------------------------------------------------------------------------------------- Attention

/// What a query gives whose keys are all masked (their scores −∞).
typedef enum pk_unseen_keys {
  PK_UNSEEN_ZERO = 0,
  PK_UNSEEN_NAN,       // as softmax has it
  PK_UNSEEN_ALL_ZERO,  // zero, and shares that are NaN for any other reason are 0 too
} pk_unseen_keys;

/// softmax(scale · Q · Kᵀ + bias) · V of one head; scores are never held for more than a block. The numbers of one query, key, value or
/// result are contiguous; strides go from one to the next.
typedef struct pk_attention {
  size_t queries, keys, size, value_size;
  const float *query;
  size_t query_stride;
  const float *key;
  size_t key_stride;
  const float *value;
  size_t value_stride;
  const float *bias;  // added to the scores, or null; (query i, key j) at bias[i · bias_query_stride + j · bias_key_stride]
  size_t bias_query_stride, bias_key_stride;
  float scale;
  bool is_causal;              // query i sees keys up to i + causal_offset
  ptrdiff_t causal_offset;
  pk_unseen_keys unseen;
  float *result;
  size_t result_stride;
} pk_attention;
/// The floats of scratch that a call on any range needs.
size_t pk_attention_scratch_size(const pk_attention *attention);
/// Computes queries [first_query, end_query).
void pk_attention_run(const pk_attention *attention, size_t first_query, size_t end_query, float *scratch);

// --------------------------------------------------------------------------------------------------- Linear algebra, double precision

/// C[m, n] −= A[m, k] · B[k, n]; rows of B and C are contiguous. C overlaps neither A nor B.
void pk_double_update(
    size_t m, size_t n, size_t k, const double *a, size_t a_row_stride, size_t a_column_stride, const double *b,
    size_t b_row_stride, double *c, size_t c_row_stride);
/// A = L · Lᵀ of a small symmetric matrix: L replaces the lower triangle, the upper one is neither read nor written. False where A is not
/// positive definite; A is then half done.
bool pk_cholesky_block(size_t n, double *a, size_t row_stride);
/// B[n, m] becomes L⁻¹ · B.
void pk_solve_lower(size_t n, const double *l, size_t l_stride, size_t m, double *b, size_t b_stride);
/// B[n, m] becomes L⁻ᵀ · B.
void pk_solve_lower_transposed(size_t n, const double *l, size_t l_stride, size_t m, double *b, size_t b_stride);
/// A = U · diag(values) · Vᵀ of a small matrix of m ≥ n, dense and row-major (one-sided Jacobi): U · diag(values) replaces A, V[n, n] and the
/// values, descending, are written.
void pk_singular_values(size_t m, size_t n, double *a, double *v, double *values);

#ifdef __cplusplus
}
#endif
#endif

// Every kernel compiled for AVX2.
#include "internal.h"

#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi"))), apply_to = function)
#include "vector_avx2.h"
#include "template/kernels.h"
#pragma clang attribute pop

const pk_kernels pk_kernels_avx2 = PK_TABLE;
#endif

// Every kernel compiled for AVX512.
#include "internal.h"

#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#include "vector_avx512.h"
#include "template/kernels.h"
#pragma clang attribute pop

const pk_kernels pk_kernels_avx512 = PK_TABLE;
#endif

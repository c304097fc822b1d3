// Every kernel compiled for NEON.
#include "internal.h"

#include <math.h>

#if defined(__aarch64__)
#include "vector_neon.h"
#include "template/kernels.h"

const pk_kernels pk_kernels_neon = PK_TABLE;
#endif

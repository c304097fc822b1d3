// All kernels, for the vector primitives included before.
#include "vector.h"
#include "math.h"
#include "unary.h"
#include "gemm.h"
#include "table.h"

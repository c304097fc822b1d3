// All kernels, for the vector primitives included before.
#include "vector.h"
#include "math.h"
#include "unary.h"
#include "gemm.h"
#include "depthwise.h"
#include "convolution.h"
#include "pooling.h"
#include "table.h"

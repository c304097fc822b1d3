// Every kernel compiled for any machine.
#include "internal.h"

#include <math.h>

#include "vector_portable.h"
#include "template/kernels.h"

const pk_kernels pk_kernels_portable = PK_TABLE;

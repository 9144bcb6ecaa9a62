/* In the place of nn/kernels/blas.c where there is no OpenBLAS for the processor:
 * plain products. */
#include "nn/kernels/tables.h"

void nn_kernels_blas_init(void)
{
}

void nn_kernels_gemm_blas(const struct nn_gemm *g)
{
    nn_kernels_scalar()->gemm(g);
}

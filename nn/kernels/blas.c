/* Products of matrices go to OpenBLAS, which brings its own dispatch: packing and blocking
 * for every cache is a library's work. Products with a vector stay in our own tables, because
 * sgemm packs the matrix first, which for one row costs more than the product. */
#include "nn/kernels/tables.h"

#include <cblas.h>

void nn_kernels_blas_init(void)
{
    openblas_set_num_threads(1);
}

void nn_kernels_gemm_blas(const struct nn_gemm *g)
{
    cblas_sgemm(CblasRowMajor, g->transpose_a ? CblasTrans : CblasNoTrans,
                g->transpose_b ? CblasTrans : CblasNoTrans, (blasint)g->m, (blasint)g->n,
                (blasint)g->k, g->alpha, g->a, (blasint)g->a_step, g->b, (blasint)g->b_step,
                g->beta, g->c, (blasint)g->c_step);
}

/* The tables themselves, one per instruction set, and what they share. Only nn/kernels
 * includes this: a table may be used only where nn_kernels_at() found the processor able. */
#ifndef NN_KERNELS_TABLES_H
#define NN_KERNELS_TABLES_H

#include "nn/kernels/kernels.h"

extern const struct nn_kernels nn_kernels_table_scalar;
#if defined(__x86_64__)
extern const struct nn_kernels nn_kernels_table_avx2;
extern const struct nn_kernels nn_kernels_table_avx512;
#endif

/* The general product, by OpenBLAS: the one user of that library. */
void nn_kernels_gemm_blas(const struct nn_gemm *g);

/* Once, before the first product: one thread. */
void nn_kernels_blas_init(void);

#endif

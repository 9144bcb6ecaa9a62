/* The tables themselves, one per instruction set, and what they share. Only nn/kernels
 * includes this: a table may be used only where nn_kernels_at() found the processor able. */
#ifndef NN_KERNELS_TABLES_H
#define NN_KERNELS_TABLES_H

#include "nn/kernels/bytes.h"
#include "nn/kernels/kernels.h"

extern const struct nn_kernels nn_kernels_table_scalar;
extern const struct nn_byte_kernels nn_byte_table_scalar;
#if defined(__x86_64__)
extern const struct nn_kernels nn_kernels_table_avx2;
extern const struct nn_kernels nn_kernels_table_avx512;
extern const struct nn_byte_kernels nn_byte_table_avx2;
extern const struct nn_byte_kernels nn_byte_table_avx512;
extern const struct nn_byte_kernels nn_byte_table_vnni;
#elif defined(__aarch64__)
extern const struct nn_kernels nn_kernels_table_neon;
#endif

/* Rational approximations, those of Eigen, XLA and ONNX Runtime, for q = x²:
 *     sigmoid(x) = 0.5 + x · upper(q) / lower(q)    x first clamped to ±18, y to 0..1
 *     tanh(x)    =       x · upper(q) / lower(q)    x first clamped to ±9
 *     erf(x)     =       x · upper(q) / lower(q)    x first clamped to ±4, y to ±1
 * Polynomials, highest power first; every step of theirs is one fused operation. */
enum { SIGMOID_LIMIT = 18, SIGMOID_UPPER = 5, SIGMOID_LOWER = 6 };
enum { TANH_LIMIT = 9, TANH_UPPER = 7, TANH_LOWER = 4 };
extern const float nn_sigmoid_upper[SIGMOID_UPPER], nn_sigmoid_lower[SIGMOID_LOWER];
enum { ERF_LIMIT = 4, ERF_UPPER = 7, ERF_LOWER = 5 };
extern const float nn_tanh_upper[TANH_UPPER], nn_tanh_lower[TANH_LOWER];
extern const float nn_erf_upper[ERF_UPPER], nn_erf_lower[ERF_LOWER];

/* The general product, by OpenBLAS: the one user of that library. */
void nn_kernels_gemm_blas(const struct nn_gemm *g);

/* Once, before the first product: one thread. */
void nn_kernels_blas_init(void);

#endif

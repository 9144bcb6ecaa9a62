/* The shapes of MatMul: of floats and of integers. Private to nn/ops/.
 *
 * Thread: plain data; functions are pure. */
#ifndef NN_OPS_MATMUL_H
#define NN_OPS_MATMUL_H

#include "nn/op.h"

/* As many products (m, k) · (k, n) as the leading dimensions, broadcast together, count. A
 * matrix that all of them share makes them one, of all rows. */
struct nn_matmul {
    int64_t m, n, k;
    int batch_rank;
    int64_t batch[NN_MAX_RANK];
    int64_t a_step[NN_MAX_RANK], b_step[NN_MAX_RANK]; /* 0: broadcast */
};

/* Of inputs `a` and `b`. *ret_shape: the output's. -EINVAL, -E2BIG by name. */
int nn_matmul_init(const struct nn_op_call *call, int a, int b, struct nn_matmul *ret_matmul,
                   struct nn_shape *ret_shape);

/* Whether kernels can count one product. */
int nn_matmul_check(const struct nn_op_call *call, int64_t m, int64_t n, int64_t k);

/* How many products there are, and where the factors of one begin. */
int64_t nn_matmul_count(const struct nn_matmul *m);
void nn_matmul_at(const struct nn_matmul *m, int64_t product, int64_t ret_at[2]);

/* The `time` of such a row; other inputs must not be timed. */
bool nn_matmul_time(const struct nn_op_call *call, int a, int b, const int *in, int *out);

#endif

/* How the weights of a dense layer (Gemm, MatMul by a constant matrix) are stored.
 *
 * A product with one row reads each weight once: its time is that of reading them. It takes
 * them as they come, or, where the plan's precision allows, in fewer bits: a large matrix is
 * stored with a scale per column in 8 bits, else in 16, else as it is, the first whose outputs
 * differ from those of the float32 weights by at most NN_DENSE_ERROR of the largest, on inputs
 * like those that layers meet (0..1, as behind a ReLU, and -1..1). NN_PRECISION_INT8 takes 8
 * bits whatever they differ. Sums are float32 throughout. Weights that are not finite stay as
 * they are.
 *
 * Products with more rows get panels of float32 (nn/ops/panels.h).
 *
 * One row by a large matrix of few columns: the sums are made in pieces of their depth and
 * these added up in order, whatever the number of threads, so that threads can share the
 * reading of what lies side by side. Private to nn/. */
#ifndef NN_OPS_DENSE_H
#define NN_OPS_DENSE_H

#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/panels.h"

#define NN_DENSE_ERROR 1e-3

/* `matrix` is input 1, with `rows` rows to meet it. *ret_panels has no weight where they stay
 * as they are (and where the input is no constant); else packed_inputs is set. Writes
 * call->weight_error. Uses slots 0 to 4. 0 or -ENOMEM. Only in prepare. */
int nn_dense_prepare(struct nn_op_call *call, const struct nn_matrix *matrix, int64_t rows,
                     struct nn_panels *ret_panels);

/* C = A · B + beta · C of one node, by the stored weights where there are some, on several
 * threads where that pays. c_step is n. The call's workspace has nn_dense_workspace_bytes. Only
 * in forward. */
void nn_dense_multiply(const struct nn_op_call *call, const struct nn_panels *stored,
                       const struct nn_gemm *g);
size_t nn_dense_workspace_bytes(const struct nn_op_call *call, const struct nn_panels *stored,
                                const struct nn_gemm *g);

#endif

/* A network for other classes: its last dense layer begins anew, with as many outputs as wanted.
 * All else of the file stays: what it has learned to see in pictures is of use for other labels.
 *
 * The last dense layer is a Gemm, or a MatMul with an Add behind it if there is one, from which
 * functions of single numbers and a Softmax lead to the first output. Its weights begin as
 * Glorot's uniform ones, its biases as 0, by the seed. Shapes that the file states of values in
 * between are left out: they may be of the old layer.
 *
 * Thread: any. */
#ifndef NN_TRAIN_LAST_LAYER_H
#define NN_TRAIN_LAST_LAYER_H

#include "nn/tensor.h"

enum { TRAIN_OUTPUTS_MAX = 4096 };

/* `onnx`: a file, borrowed. *ret_bytes is the caller's to free. 0, -EINVAL (no model, or outputs
 * that are not 1 to TRAIN_OUTPUTS_MAX), -ENOTSUP (it ends otherwise; err names the node), -E2BIG,
 * -ENOMEM. */
int train_last_layer_renew(const void *onnx, size_t size, int64_t outputs, uint64_t seed,
                           void **ret_bytes, size_t *ret_size, struct nn_error *err);

#endif

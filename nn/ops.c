/* The operator table: what vigil can run. */
#include <string.h>

#include "nn/op.h"

/* Sorted by name. */
static const struct nn_op *const ops[] = {
    &nn_op_add,       &nn_op_average_pool, &nn_op_batch_normalization,
    &nn_op_concat,    &nn_op_constant,     &nn_op_conv,
    &nn_op_div,       &nn_op_dropout,      &nn_op_flatten,
    &nn_op_gather,    &nn_op_gemm,         &nn_op_global_average_pool,
    &nn_op_gru,       &nn_op_identity,     &nn_op_leaky_relu,
    &nn_op_lstm,      &nn_op_matmul,       &nn_op_max_pool,
    &nn_op_mul,       &nn_op_reduce_mean,  &nn_op_relu,
    &nn_op_reshape,   &nn_op_rnn,          &nn_op_shape,
    &nn_op_sigmoid,   &nn_op_slice,        &nn_op_softmax,
    &nn_op_squeeze,   &nn_op_sub,          &nn_op_tanh,
    &nn_op_transpose, &nn_op_unsqueeze,
};

size_t nn_op_count(void)
{
    return sizeof ops / sizeof ops[0];
}

const struct nn_op *nn_op_at(size_t index)
{
    return ops[index];
}

const struct nn_op *nn_op_find(const char *name)
{
    for (size_t i = 0; i < nn_op_count(); i++)
        if (strcmp(ops[i]->name, name) == 0)
            return ops[i];
    return NULL;
}

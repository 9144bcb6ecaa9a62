/* A ReLU that the net folded into the row before it: what rows with parameters do at their end.
 * Private to nn/train/rows. */
#ifndef NN_TRAIN_FUSED_H
#define NN_TRAIN_FUSED_H

#include "nn/train/row.h"

static inline void train_fused_forward(const struct train_call *call, real *y, size_t count)
{
    if (call->op.activation == NN_ACTIVATION_RELU)
        TRAIN_NAME(train_relu)(&call->op, y, y, count);
}

/* The gradient before the activation: dy itself, or, in `into`, what of it passes where the
 * output is above zero. */
static inline const real *train_fused_backward(const struct train_call *call, const real *dy,
                                               real *into, size_t count)
{
    if (call->op.activation != NN_ACTIVATION_RELU || call->passed)
        return dy;
    TRAIN_NAME(train_relu_gradient)(&call->op, into, train_output(call, 0), dy, count);
    return into;
}

#endif

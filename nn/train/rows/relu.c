/* Relu, where the net could not fold it into the row before. Its derivative at 0 is 0. */
#include "nn/train/row.h"

static int forward(struct train_call *call)
{
    const real *x = train_input(call, 0);
    real *y = train_output(call, 0);
    int64_t count = train_count(&call->op.outputs[0]);
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
    return 0;
}

static void backward(struct train_call *call)
{
    const real *y = train_output(call, 0), *dy = train_output_gradient(call, 0);
    real *dx = train_input_gradient(call, 0);
    int64_t count = train_count(&call->op.outputs[0]);
    for (int64_t i = 0; i < count; i++)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

const struct train_row TRAIN_NAME(train_row_relu) = {
    .op = "Relu", .forward = forward, .backward = backward};

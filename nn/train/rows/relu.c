/* Relu, where the net could not fold it into the row before. Its derivative at 0 is 0. */
#include "nn/train/row.h"

static int forward(struct train_call *call)
{
    TRAIN_NAME(train_relu)
    (&call->op, train_output(call, 0), train_input(call, 0),
     (size_t)train_count(&call->op.outputs[0]));
    return 0;
}

static void backward(struct train_call *call)
{
    TRAIN_NAME(train_relu_gradient)
    (&call->op, train_input_gradient(call, 0), train_output(call, 0),
     train_output_gradient(call, 0), (size_t)train_count(&call->op.outputs[0]));
}

const struct train_row TRAIN_NAME(train_row_relu) = {
    .op = "Relu", .forward = forward, .backward = backward};

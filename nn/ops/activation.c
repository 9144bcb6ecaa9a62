/* Relu, LeakyRelu, Sigmoid, Tanh. */
#include "nn/kernels/kernels.h"
#include "nn/op.h"

static int infer(struct nn_op_call *call)
{
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static size_t count(const struct nn_op_call *call)
{
    return (size_t)nn_shape_count(&call->outputs[0].shape);
}

static int relu(struct nn_op_call *call)
{
    call->kernels->relu(call->outputs[0].data, call->inputs[0].data, count(call));
    return 0;
}

static int leaky_relu(struct nn_op_call *call)
{
    call->kernels->leaky_relu(call->outputs[0].data, call->inputs[0].data,
                              nn_op_float(call, "alpha", 0.01f), count(call));
    return 0;
}

static int sigmoid(struct nn_op_call *call)
{
    call->kernels->sigmoid(call->outputs[0].data, call->inputs[0].data, count(call));
    return 0;
}

static int hyperbolic_tangent(struct nn_op_call *call)
{
    call->kernels->tanh(call->outputs[0].data, call->inputs[0].data, count(call));
    return 0;
}

/* Before opset 6 a node could ask for in-place work; it changes no result. */
static const struct nn_attribute_rule plain[] = {{"consumed_inputs", NN_ATTRIBUTE_INTS, 0, 5},
                                                 {0}};
static const struct nn_attribute_rule leaky[] = {
    {"alpha", NN_ATTRIBUTE_FLOAT, 0, 0}, {"consumed_inputs", NN_ATTRIBUTE_INTS, 0, 5}, {0}};

#define ACTIVATION(row, op_type, rules, function)                                              \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 1,                                                                       \
        .max_inputs = 1,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .flags = NN_OP_ELEMENTWISE | NN_OP_IS_ACTIVATION,                                      \
        .attributes = rules,                                                                   \
        .infer = infer,                                                                        \
        .forward = function,                                                                   \
        .time = nn_op_time_same,                                                               \
    }

ACTIVATION(nn_op_leaky_relu, "LeakyRelu", leaky, leaky_relu);
ACTIVATION(nn_op_relu, "Relu", plain, relu);
ACTIVATION(nn_op_sigmoid, "Sigmoid", plain, sigmoid);
ACTIVATION(nn_op_tanh, "Tanh", plain, hyperbolic_tangent);

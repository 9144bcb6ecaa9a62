/* Values that are known when the plan is made: Constant, and Shape of anything. */
#include <errno.h>
#include <string.h>

#include "nn/op.h"

/* The one attribute of the node, as a tensor; `scalar` holds a single number's bytes. */
static int constant_value(const struct nn_op_call *call, struct nn_tensor *ret_value,
                          void *scalar)
{
    static const char *const names[] = {"value", "value_float", "value_floats", "value_int",
                                        "value_ints"};
    int given = 0, which = -1;
    for (int i = 0; i < 5; i++)
        if (nn_op_has(call, names[i])) {
            given++;
            which = i;
        }
    if (given != 1)
        return nn_op_fail(call, -EINVAL, "%d values; a constant has one", given);
    int count = 0;
    switch (which) {
    case 0:
        *ret_value = *nn_op_tensor(call, "value");
        return 0;
    case 1:
        memcpy(scalar, &(float){nn_op_float(call, "value_float", 0)}, sizeof(float));
        *ret_value = (struct nn_tensor){.type = NN_TYPE_FLOAT, .data = scalar};
        return 0;
    case 2:
        ret_value->data = (void *)(uintptr_t)nn_op_floats(call, "value_floats", &count);
        ret_value->type = NN_TYPE_FLOAT;
        break;
    case 3:
        memcpy(scalar, &(int64_t){nn_op_int(call, "value_int", 0)}, sizeof(int64_t));
        *ret_value = (struct nn_tensor){.type = NN_TYPE_INT64, .data = scalar};
        return 0;
    default:
        ret_value->data = (void *)(uintptr_t)nn_op_ints(call, "value_ints", &count);
        ret_value->type = NN_TYPE_INT64;
    }
    ret_value->shape = (struct nn_shape){.rank = 1, .dim = {count}};
    return 0;
}

static int infer_constant(struct nn_op_call *call)
{
    struct nn_tensor value;
    int64_t scalar;
    int r = constant_value(call, &value, &scalar);
    if (r < 0)
        return r;
    call->outputs[0].type = value.type;
    call->outputs[0].shape = value.shape;
    return 0;
}

static int constant(struct nn_op_call *call)
{
    struct nn_tensor value;
    int64_t scalar;
    int r = constant_value(call, &value, &scalar);
    if (r < 0)
        return r;
    size_t bytes = (size_t)nn_shape_count(&value.shape) * nn_type_size(value.type);
    if (bytes > 0)
        memcpy(call->outputs[0].data, value.data, bytes);
    return 0;
}

/* Axes first..end-1 of the input; both may be negative, and are cut to the rank. */
static void shape_range(const struct nn_op_call *call, int *first, int *end)
{
    int64_t rank = call->inputs[0].shape.rank;
    int64_t a = nn_op_int(call, "start", 0), b = nn_op_int(call, "end", rank);
    a = a < -rank ? 0 : a < 0 ? a + rank : a > rank ? rank : a;
    b = b < -rank ? 0 : b < 0 ? b + rank : b > rank ? rank : b;
    *first = (int)a;
    *end = (int)(b < a ? a : b);
}

static int infer_shape(struct nn_op_call *call)
{
    int first, end;
    shape_range(call, &first, &end);
    call->outputs[0].type = NN_TYPE_INT64;
    call->outputs[0].shape = (struct nn_shape){.rank = 1, .dim = {end - first}};
    return 0;
}

static int shape(struct nn_op_call *call)
{
    int first, end;
    shape_range(call, &first, &end);
    for (int d = first; d < end; d++)
        ((int64_t *)call->outputs[0].data)[d - first] = call->inputs[0].shape.dim[d];
    return 0;
}

static const struct nn_attribute_rule constant_rules[] = {
    {"value", NN_ATTRIBUTE_TENSOR, 1, 0},         {"value_float", NN_ATTRIBUTE_FLOAT, 12, 0},
    {"value_floats", NN_ATTRIBUTE_FLOATS, 12, 0}, {"value_int", NN_ATTRIBUTE_INT, 12, 0},
    {"value_ints", NN_ATTRIBUTE_INTS, 12, 0},     {0}};
static const struct nn_attribute_rule shape_rules[] = {
    {"start", NN_ATTRIBUTE_INT, 15, 0}, {"end", NN_ATTRIBUTE_INT, 15, 0}, {0}};

const struct nn_op nn_op_constant = {
    .name = "Constant",
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = constant_rules,
    .infer = infer_constant,
    .forward = constant,
};

const struct nn_op nn_op_shape = {
    .name = "Shape",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_SHAPE_ONLY,
    .attributes = shape_rules,
    .infer = infer_shape,
    .forward = shape,
};

/* MaxUnpool: the maxima that MaxPool found, back where they were; zero everywhere else. */
#include <errno.h>
#include <string.h>

#include "nn/ops/spatial.h"

/* Output extents of MaxPool's input, as far as its output tells. */
static int infer_extents(const struct nn_op_call *call, struct nn_shape *shape)
{
    int axes = shape->rank - 2, count;
    int64_t stride[NN_SPATIAL_AXES], before[NN_SPATIAL_AXES], after[NN_SPATIAL_AXES];
    const int64_t *kernel = nn_op_ints(call, "kernel_shape", &count);
    if (axes < 1 || axes > NN_SPATIAL_AXES)
        return nn_op_fail(call, -ENOTSUP, "%d spatial dimensions; 1 to 3 are supported", axes);
    if (count != axes)
        return nn_op_fail(call, -EINVAL, "kernel_shape has %d values for %d spatial dimensions",
                          count, axes);
    int r = nn_spatial_list(call, "strides", axes, 1, 1, stride);
    if (r == 0)
        r = nn_spatial_pads(call, axes, before, after);
    if (r < 0)
        return r;
    for (int i = 0; i < axes; i++) {
        int64_t *dim = &shape->dim[2 + i];
        int to = NN_SPATIAL_AXES - axes + i;
        if (kernel[i] < 1 || kernel[i] > INT32_MAX || *dim < 1 || *dim > INT32_MAX)
            return nn_op_fail(call, -EINVAL, "spatial dimension %d makes no sense", i);
        *dim = (*dim - 1) * stride[to] + kernel[i] - before[to] - after[to];
        if (*dim < 1)
            return nn_op_fail(call, -EINVAL, "spatial dimension %d of its output would be %lld",
                              i, (long long)*dim);
    }
    return 0;
}

static int infer(struct nn_op_call *call)
{
    const struct nn_tensor *x = &call->inputs[0], *index = &call->inputs[1];
    struct nn_shape shape = x->shape;
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r < 0)
        return r;
    if (index->type != NN_TYPE_INT64 || !nn_shape_equal(&index->shape, &x->shape))
        return nn_op_fail(call, -EINVAL, "its indices must be int64, one for each element");
    r = infer_extents(call, &shape);
    if (r < 0)
        return r;
    if (nn_op_has_input(call, 2)) {
        struct nn_shape given = {0};
        given.rank = nn_op_constant_ints(call, 2, "output_shape", given.dim, NN_MAX_RANK);
        if (given.rank < 0)
            return given.rank;
        /* The specification's example counts the indices through the shape that follows from
         * the node, PyTorch and ONNX Runtime through the shape given. */
        if (!nn_shape_equal(&given, &shape))
            return nn_op_fail(call, -ENOTSUP,
                              "indices into an output_shape that does not follow from strides, "
                              "pads and kernel_shape are read in two ways");
    }
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = shape;
    return 0;
}

static int forward(struct nn_op_call *call)
{
    const float *x = call->inputs[0].data;
    const int64_t *index = call->inputs[1].data, size = nn_shape_count(&call->outputs[0].shape);
    float *y = call->outputs[0].data;
    memset(y, 0, (size_t)size * sizeof *y);
    for (int64_t i = 0; i < nn_shape_count(&call->inputs[0].shape); i++) {
        if (index[i] < 0 || index[i] >= size)
            return nn_op_fail(call, -EINVAL, "index %lld is outside an output of %lld elements",
                              (long long)index[i], (long long)size);
        y[index[i]] = x[i];
    }
    return 0;
}

static const struct nn_attribute_rule attributes[] = {
    {"kernel_shape", NN_ATTRIBUTE_INTS, 0, 0},
    {"pads", NN_ATTRIBUTE_INTS, 0, 0},
    {"strides", NN_ATTRIBUTE_INTS, 0, 0},
    {0},
};

/* Indices count through the whole batch, so no frame stands alone. */
const struct nn_op nn_op_max_unpool = {
    .name = "MaxUnpool",
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = attributes,
    .infer = infer,
    .forward = forward,
};

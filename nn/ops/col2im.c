/* Col2Im: columns of patches added up to the image they were cut from; what turns the product
 * of a transposed convolution into its output. */
#include <errno.h>
#include <string.h>

#include "nn/ops/spatial.h"

struct col2im {
    int axes;
    int64_t batch, channels;
    /* depth, height, width; missing ones in front are 1 */
    int64_t image[NN_SPATIAL_AXES], block[NN_SPATIAL_AXES], columns[NN_SPATIAL_AXES];
    int64_t stride[NN_SPATIAL_AXES], dilation[NN_SPATIAL_AXES], pad[NN_SPATIAL_AXES];
    int64_t image_size, block_size, column_count;
};

/* A constant list of `axes` extents, into the last places. */
static int read_extents(const struct nn_op_call *call, int index, const char *what,
                        int64_t *extents)
{
    int64_t list[NN_SPATIAL_AXES];
    int axes = nn_op_constant_ints(call, index, what, list, NN_SPATIAL_AXES);
    if (axes < 0)
        return axes;
    for (int i = 0; i < NN_SPATIAL_AXES; i++)
        extents[i] = 1;
    for (int i = 0; i < axes; i++) {
        if (list[i] < 1 || list[i] > INT32_MAX)
            return nn_op_fail(call, -EINVAL, "%s has the value %lld", what, (long long)list[i]);
        extents[NN_SPATIAL_AXES - axes + i] = list[i];
    }
    return axes;
}

/* How many columns there are along each axis: places of the block in the padded image. */
static int count_columns(const struct nn_op_call *call, struct col2im *c)
{
    int64_t after[NN_SPATIAL_AXES];
    int r = nn_spatial_pads(call, c->axes, c->pad, after);
    if (r < 0)
        return r;
    c->image_size = c->block_size = c->column_count = 1;
    bool fits = true;
    for (int i = 0; i < NN_SPATIAL_AXES; i++) {
        int64_t room =
            c->image[i] + c->pad[i] + after[i] - (c->block[i] - 1) * c->dilation[i] - 1;
        if (room < 0)
            return nn_op_fail(call, -EINVAL, "a block of %lld does not fit into %lld",
                              (long long)c->block[i], (long long)c->image[i]);
        c->columns[i] = room / c->stride[i] + 1;
        fits &= !__builtin_mul_overflow(c->image_size, c->image[i], &c->image_size) &&
                !__builtin_mul_overflow(c->block_size, c->block[i], &c->block_size) &&
                !__builtin_mul_overflow(c->column_count, c->columns[i], &c->column_count);
    }
    return fits ? 0 : nn_op_fail(call, -E2BIG, "its image is too large");
}

static int geometry(const struct nn_op_call *call, struct col2im *ret_col2im)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    struct col2im c = {0};
    c.axes = read_extents(call, 1, "image_shape", c.image);
    if (c.axes < 0)
        return c.axes;
    int block_axes = read_extents(call, 2, "block_shape", c.block);
    if (block_axes < 0)
        return block_axes;
    if (c.axes < 1 || block_axes != c.axes || x->rank != 3)
        return nn_op_fail(call, -EINVAL,
                          "an image of %d and a block of %d dimensions from an "
                          "input of rank %d",
                          c.axes, block_axes, x->rank);
    int r = nn_spatial_list(call, "strides", c.axes, 1, 1, c.stride);
    if (r == 0)
        r = nn_spatial_list(call, "dilations", c.axes, 1, 1, c.dilation);
    if (r == 0)
        r = count_columns(call, &c);
    if (r < 0)
        return r;
    if (x->dim[1] % c.block_size != 0 || x->dim[2] != c.column_count)
        return nn_op_fail(call, -EINVAL,
                          "its input is %lld×%lld for blocks of %lld elements in %lld places",
                          (long long)x->dim[1], (long long)x->dim[2], (long long)c.block_size,
                          (long long)c.column_count);
    c.batch = x->dim[0];
    c.channels = x->dim[1] / c.block_size;
    *ret_col2im = c;
    return 0;
}

static int infer(struct nn_op_call *call)
{
    struct col2im c = {0};
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r == 0)
        r = geometry(call, &c);
    if (r < 0)
        return r;
    struct nn_tensor *y = &call->outputs[0];
    y->type = NN_TYPE_FLOAT;
    y->shape = (struct nn_shape){.rank = 2 + c.axes, .dim = {c.batch, c.channels}};
    memcpy(y->shape.dim + 2, c.image + NN_SPATIAL_AXES - c.axes,
           (size_t)c.axes * sizeof *y->shape.dim);
    return 0;
}

/* Element k of every block of one channel, added to where it lies in the image. */
static void add_element(const struct col2im *c, int64_t k, const float *x, float *y)
{
    const int64_t tap[] = {k / c->block[2] / c->block[1], k / c->block[2] % c->block[1],
                           k % c->block[2]};
    int64_t column[NN_SPATIAL_AXES], at[NN_SPATIAL_AXES], start[NN_SPATIAL_AXES];
    for (int i = 0; i < NN_SPATIAL_AXES; i++)
        start[i] = tap[i] * c->dilation[i] - c->pad[i];
    for (column[0] = 0; column[0] < c->columns[0]; column[0]++)
        for (column[1] = 0; column[1] < c->columns[1]; column[1]++, x += c->columns[2]) {
            for (int i = 0; i < 2; i++)
                at[i] = start[i] + column[i] * c->stride[i];
            if (at[0] < 0 || at[0] >= c->image[0] || at[1] < 0 || at[1] >= c->image[1])
                continue;
            float *row = y + (at[0] * c->image[1] + at[1]) * c->image[2];
            for (column[2] = 0; column[2] < c->columns[2]; column[2]++) {
                at[2] = start[2] + column[2] * c->stride[2];
                if (at[2] >= 0 && at[2] < c->image[2])
                    row[at[2]] += x[column[2]];
            }
        }
}

static int prepare(struct nn_op_call *call)
{
    struct col2im *c = nn_op_alloc(call, sizeof *c);
    call->state = c;
    return c ? geometry(call, c) : -ENOMEM;
}

static int forward(struct nn_op_call *call)
{
    const struct col2im *c = call->state;
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    memset(y, 0, (size_t)nn_shape_count(&call->outputs[0].shape) * sizeof *y);
    for (int64_t i = 0; i < c->batch * c->channels; i++, y += c->image_size)
        for (int64_t k = 0; k < c->block_size; k++, x += c->column_count)
            add_element(c, k, x, y);
    return 0;
}

static const struct nn_attribute_rule attributes[] = {
    {"dilations", NN_ATTRIBUTE_INTS, 0, 0},
    {"pads", NN_ATTRIBUTE_INTS, 0, 0},
    {"strides", NN_ATTRIBUTE_INTS, 0, 0},
    {0},
};

const struct nn_op nn_op_col2im = {
    .name = "Col2Im",
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = attributes,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = nn_op_time_batch,
};

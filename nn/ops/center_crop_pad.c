/* CenterCropPad: the middle of an axis that is too long, zeros around one that is too short. */
#include <errno.h>
#include <string.h>

#include "nn/op.h"

/* The extents that the node wants, of all axes. */
static int read_extents(const struct nn_op_call *call, int64_t *extents, bool *ret_late)
{
    const struct nn_shape *in = &call->inputs[0].shape;
    int64_t sizes[NN_MAX_RANK];
    int count, given = nn_op_sizes(call, 1, "shape", sizes, NN_MAX_RANK, ret_late);
    if (given < 0)
        return given;
    const int64_t *axes = nn_op_ints(call, "axes", &count);
    if (given != (axes ? count : in->rank))
        return nn_op_fail(call, -EINVAL, "shape has %d numbers for %d axes", given,
                          axes ? count : in->rank);
    memcpy(extents, in->dim, sizeof in->dim);
    int chosen[NN_MAX_RANK], r = nn_op_axis_list(call, axes, given, in->rank, chosen);
    if (r < 0)
        return r;
    for (int i = 0; i < given; i++) {
        if (sizes[i] < 0)
            return nn_op_fail(call, -EINVAL, "shape is negative along axis %d", chosen[i]);
        extents[chosen[i]] = sizes[i];
    }
    return 0;
}

static int infer(struct nn_op_call *call)
{
    struct nn_shape shape = {.rank = call->inputs[0].shape.rank};
    bool late = false;
    int r = read_extents(call, shape.dim, &late);
    if (r < 0)
        return r;
    call->outputs[0] =
        (struct nn_tensor){.type = call->inputs[0].type, .shape = shape, .late = late};
    return 0;
}

/* One axis: `kept` elements from `from` of the input to `to` of the output. Of what is cut off
 * or added, the odd one is at the end. */
struct middle {
    int64_t from, to, kept;
};

static struct middle find_middle(int64_t in, int64_t out)
{
    if (in > out)
        return (struct middle){.from = (in - out) / 2, .kept = out};
    return (struct middle){.to = (out - in) / 2, .kept = in};
}

/* Copies axis `axis` and those behind it; `y` is zero already. */
static void copy_axis(const struct nn_shape *in, const struct nn_shape *out, int axis, char *y,
                      const char *x, size_t element)
{
    if (axis == in->rank) {
        memcpy(y, x, element);
        return;
    }
    const struct middle m = find_middle(in->dim[axis], out->dim[axis]);
    const size_t x_step = (size_t)nn_shape_extent(in, axis + 1, in->rank) * element;
    const size_t y_step = (size_t)nn_shape_extent(out, axis + 1, in->rank) * element;
    x += (size_t)m.from * x_step;
    y += (size_t)m.to * y_step;
    if (axis + 1 == in->rank) {
        memcpy(y, x, (size_t)m.kept * element);
        return;
    }
    for (int64_t i = 0; i < m.kept; i++)
        copy_axis(in, out, axis + 1, y + (size_t)i * y_step, x + (size_t)i * x_step, element);
}

static int forward(struct nn_op_call *call)
{
    const struct nn_tensor *x = &call->inputs[0], *y = &call->outputs[0];
    const size_t element = nn_type_size(x->type);
    memset(y->data, 0, (size_t)nn_shape_count(&y->shape) * element);
    if (nn_shape_count(&x->shape) > 0 && nn_shape_count(&y->shape) > 0)
        copy_axis(&x->shape, &y->shape, 0, y->data, x->data, element);
    return 0;
}

/* Frames stay apart where their axis stays as it is. */
static bool crop_time(const struct nn_op_call *call, const int *in, int *out)
{
    if (in[0] == NN_TIME_NONE || in[1] != NN_TIME_NONE)
        return false;
    out[0] = in[0];
    return call->inputs[0].shape.dim[in[0]] == call->outputs[0].shape.dim[in[0]];
}

static const struct nn_attribute_rule attributes[] = {{"axes", NN_ATTRIBUTE_INTS, 0, 0}, {0}};

const struct nn_op nn_op_center_crop_pad = {
    .name = "CenterCropPad",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = attributes,
    .infer = infer,
    .forward = forward,
    .time = crop_time,
};

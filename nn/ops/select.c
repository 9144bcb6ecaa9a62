/* Operators that keep as many elements as their values say: NonZero, Compress. How many those
 * are each run decides; forward writes the shape. */
#include <errno.h>
#include <string.h>

#include "nn/op.h"

/* --- NonZero ---------------------------------------------------------------------------- */

/* One row for each dimension, so none for a scalar, and at most a column for each element. */
static int infer_nonzero(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    call->outputs[0].type = NN_TYPE_INT64;
    call->outputs[0].shape =
        (struct nn_shape){.rank = 2, .dim = {from->rank, nn_shape_count(from)}};
    call->outputs[0].late = true;
    return 0;
}

static bool is_zero(const struct nn_tensor *t, int64_t index, size_t size)
{
    static const unsigned char zeros[8];
    if (t->type == NN_TYPE_FLOAT)
        return ((const float *)t->data)[index] == 0; /* -0, too */
    return memcmp((const char *)t->data + (size_t)index * size, zeros, size) == 0;
}

static int nonzero(struct nn_op_call *call)
{
    const struct nn_tensor *in = &call->inputs[0];
    struct nn_tensor *out = &call->outputs[0];
    size_t size = nn_type_size(in->type);
    int64_t count = nn_shape_count(&in->shape), found = 0;
    for (int64_t i = 0; i < count; i++)
        found += !is_zero(in, i, size);
    out->shape = (struct nn_shape){.rank = 2, .dim = {in->shape.rank, found}};
    int64_t *to = out->data, column = 0;
    for (int64_t i = 0; i < count; i++) {
        if (is_zero(in, i, size))
            continue;
        int64_t rest = i;
        for (int d = in->shape.rank - 1; d >= 0; d--) {
            to[d * found + column] = rest % in->shape.dim[d];
            rest /= in->shape.dim[d];
        }
        column++;
    }
    return 0;
}

/* --- Compress --------------------------------------------------------------------------- */

/* The axis, or -1: of all elements in a row. */
static int compress_axis(const struct nn_op_call *call)
{
    if (!nn_op_has(call, "axis"))
        return -1;
    int64_t rank = call->inputs[0].shape.rank, axis = nn_op_int(call, "axis", 0);
    return (int)(axis < 0 ? axis + rank : axis);
}

static int infer_compress(struct nn_op_call *call)
{
    const struct nn_tensor *in = &call->inputs[0], *condition = &call->inputs[1];
    if (condition->type != NN_TYPE_BOOL || condition->shape.rank != 1)
        return nn_op_fail(call, -EINVAL, "condition must be a list of bool");
    struct nn_shape shape = in->shape;
    int axis = 0;
    if (nn_op_has(call, "axis"))
        axis = nn_op_axis(call, nn_op_int(call, "axis", 0), shape.rank);
    else
        shape = (struct nn_shape){.rank = 1, .dim = {nn_shape_count(&in->shape)}};
    if (axis < 0)
        return axis;
    if (shape.dim[axis] > condition->shape.dim[0])
        shape.dim[axis] = condition->shape.dim[0];
    call->outputs[0] = (struct nn_tensor){.type = in->type, .shape = shape, .late = true};
    return 0;
}

static int compress(struct nn_op_call *call)
{
    const struct nn_tensor *in = &call->inputs[0];
    struct nn_tensor *out = &call->outputs[0];
    const uint8_t *keep = call->inputs[1].data;
    int64_t given = call->inputs[1].shape.dim[0], chosen = 0;
    int axis = compress_axis(call), rank = in->shape.rank;
    int64_t before = axis < 0 ? 1 : nn_shape_extent(&in->shape, 0, axis);
    int64_t dim = axis < 0 ? nn_shape_count(&in->shape) : in->shape.dim[axis];
    size_t piece = nn_type_size(in->type) *
                   (size_t)(axis < 0 ? 1 : nn_shape_extent(&in->shape, axis + 1, rank));
    for (int64_t i = 0; i < given; i++) {
        if (keep[i] && i >= dim)
            return nn_op_fail(call, -EINVAL, "condition keeps element %lld of %lld",
                              (long long)i, (long long)dim);
        chosen += keep[i] != 0;
    }
    out->shape.dim[axis < 0 ? 0 : axis] = chosen;
    char *to = out->data;
    for (int64_t b = 0; b < before && piece > 0; b++)
        for (int64_t i = 0; i < given; i++)
            if (keep[i]) {
                memcpy(to, (const char *)in->data + (size_t)(b * dim + i) * piece, piece);
                to += piece;
            }
    return 0;
}

static const struct nn_attribute_rule compress_rules[] = {{"axis", NN_ATTRIBUTE_INT, 9, 0},
                                                          {0}};

const struct nn_op nn_op_compress = {
    .name = "Compress",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = compress_rules,
    .infer = infer_compress,
    .forward = compress,
};

const struct nn_op nn_op_nonzero = {
    .name = "NonZero",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .infer = infer_nonzero,
    .forward = nonzero,
};

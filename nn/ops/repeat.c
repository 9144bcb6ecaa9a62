/* Operators that repeat elements: Expand, Tile. */
#include <errno.h>
#include <string.h>

#include "nn/op.h"
#include "nn/walk.h"

/* --- Expand ----------------------------------------------------------------------------- */

static int infer_expand(struct nn_op_call *call)
{
    struct nn_shape wanted = {0};
    bool late;
    wanted.rank = nn_op_sizes(call, 1, "shape", wanted.dim, NN_MAX_RANK, &late);
    if (wanted.rank < 0)
        return wanted.rank;
    for (int d = 0; d < wanted.rank; d++)
        if (wanted.dim[d] < 0)
            return nn_op_fail(call, -EINVAL, "shape has a negative dimension");
    if (!nn_shape_broadcast(&call->inputs[0].shape, &wanted, &call->outputs[0].shape))
        return nn_op_fail(call, -EINVAL, "the input does not broadcast with shape");
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].late = late;
    return 0;
}

static int prepare_expand(struct nn_op_call *call)
{
    struct nn_walk *walk = nn_op_alloc(call, sizeof *walk);
    if (!walk)
        return -ENOMEM;
    nn_walk_broadcast(walk, &call->outputs[0].shape, &call->inputs[0].shape, NULL);
    call->state = walk;
    return 0;
}

static int expand(struct nn_op_call *call)
{
    nn_walk_copy(call->state, call->outputs[0].data, call->inputs[0].data,
                 nn_type_size(call->outputs[0].type));
    return 0;
}

/* Frames stay apart unless one is repeated along their own axis. */
static bool expand_time(const struct nn_op_call *call, const int *in, int *out)
{
    const struct nn_shape *from = &call->inputs[0].shape, *to = &call->outputs[0].shape;
    if (in[0] == NN_TIME_NONE || in[1] != NN_TIME_NONE)
        return false;
    out[0] = in[0] + to->rank - from->rank;
    return to->dim[out[0]] == from->dim[in[0]];
}

/* --- Tile ------------------------------------------------------------------------------- */

static int infer_tile(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    struct nn_shape *to = &call->outputs[0].shape;
    int64_t repeats[NN_MAX_RANK];
    bool late;
    if (call->opset < 6)
        return nn_op_fail(call, -ENOTSUP, "the tiles of opset %d are not supported",
                          call->opset);
    int count = nn_op_sizes(call, 1, "repeats", repeats, NN_MAX_RANK, &late);
    if (count < 0)
        return count;
    if (count != from->rank)
        return nn_op_fail(call, -EINVAL, "repeats has %d entries for a tensor of rank %d",
                          count, from->rank);
    *to = *from;
    for (int d = 0; d < count; d++)
        if (repeats[d] < 0 || __builtin_mul_overflow(from->dim[d], repeats[d], &to->dim[d]))
            return nn_op_fail(call, -EINVAL, "%lld repeats", (long long)repeats[d]);
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].late = late;
    return 0;
}

/* Behind the last axis that repeats, elements move together. */
static int tile(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape, *to = &call->outputs[0].shape;
    size_t size = nn_type_size(call->outputs[0].type);
    int last = to->rank - 1;
    if (nn_shape_count(to) == 0)
        return 0;
    while (last > 0 && to->dim[last] == from->dim[last])
        last--;
    last = last < 0 ? 0 : last;
    size_t bytes = (size_t)nn_shape_extent(from, last, from->rank) * size;
    int64_t times = to->rank > 0 ? to->dim[last] / from->dim[last] : 1;
    int64_t rows = nn_shape_extent(to, 0, last), index[NN_MAX_RANK] = {0};
    char *y = call->outputs[0].data;
    for (int64_t row = 0; row < rows; row++) {
        int64_t at = 0;
        for (int d = 0; d < last; d++)
            at = at * from->dim[d] + index[d] % from->dim[d];
        for (int64_t i = 0; i < times; i++, y += bytes)
            memcpy(y, (const char *)call->inputs[0].data + (size_t)at * bytes, bytes);
        for (int d = last - 1; d >= 0 && ++index[d] == to->dim[d]; d--)
            index[d] = 0;
    }
    return 0;
}

static bool tile_time(const struct nn_op_call *call, const int *in, int *out)
{
    out[0] = in[0];
    return in[0] != NN_TIME_NONE && in[1] == NN_TIME_NONE &&
           call->outputs[0].shape.dim[in[0]] == call->inputs[0].shape.dim[in[0]];
}

const struct nn_op nn_op_expand = {
    .name = "Expand",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_GROWS,
    .infer = infer_expand,
    .prepare = prepare_expand,
    .forward = expand,
    .time = expand_time,
};

const struct nn_op nn_op_tile = {
    .name = "Tile",
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_GROWS,
    .infer = infer_tile,
    .forward = tile,
    .time = tile_time,
};

/* Gather: an embedding, where the data are a table of parameters. A row's gradient is the sum over
 * all indices that name it, in their order. */
#include <errno.h>
#include <string.h>

#include "nn/train/row.h"

struct gather {
    int64_t before, extent, after; /* of the data, about its axis */
    int64_t count;                 /* indices */
};

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    const struct nn_shape *data = &op->inputs[0].shape;
    struct gather *g = nn_op_alloc(op, sizeof *g);
    if (!g)
        return -ENOMEM;
    int axis = nn_op_axis(op, nn_op_int(op, "axis", 0), data->rank);
    *g = (struct gather){.before = nn_shape_extent(data, 0, axis),
                         .extent = data->dim[axis],
                         .after = nn_shape_extent(data, axis + 1, data->rank),
                         .count = train_count(&op->inputs[1])};
    op->state = g;
    call->saved_bytes = (size_t)g->count * sizeof(int64_t);
    return 0;
}

static int64_t given_at(const struct nn_tensor *indices, int64_t i)
{
    return indices->type == NN_TYPE_INT64 ? ((const int64_t *)indices->data)[i]
                                          : ((const int32_t *)indices->data)[i];
}

/* Indices from 0 on are kept for backward. */
static int forward(struct train_call *call)
{
    const struct gather *g = call->op.state;
    int64_t *rows = call->saved;
    for (int64_t i = 0; i < g->count; i++) {
        int64_t given = given_at(&call->op.inputs[1], i);
        rows[i] = given < 0 ? given + g->extent : given;
        if (rows[i] < 0 || rows[i] >= g->extent)
            return nn_op_fail(&call->op, -EINVAL,
                              "index %lld is outside an axis of extent %lld", (long long)given,
                              (long long)g->extent);
    }
    const real *x = train_input(call, 0);
    real *y = train_output(call, 0);
    for (int64_t b = 0; b < g->before; b++)
        for (int64_t i = 0; i < g->count; i++, y += g->after)
            memcpy(y, x + (b * g->extent + rows[i]) * g->after, (size_t)g->after * sizeof *y);
    return 0;
}

static void backward(struct train_call *call)
{
    const struct gather *g = call->op.state;
    const int64_t *rows = call->saved;
    const real *dy = train_output_gradient(call, 0);
    real *dx = train_input_gradient(call, 0);
    memset(dx, 0, (size_t)train_count(&call->op.inputs[0]) * sizeof *dx);
    for (int64_t b = 0; b < g->before; b++)
        for (int64_t i = 0; i < g->count; i++, dy += g->after)
            TRAIN_NAME(train_add)
    (&call->op, dx + (b * g->extent + rows[i]) * g->after, dy, (size_t)g->after);
}

const struct train_row TRAIN_NAME(train_row_gather) = {.op = "Gather",
                                                       .parameters = 1,
                                                       .fixed = 1 << 1,
                                                       .prepare = prepare,
                                                       .forward = forward,
                                                       .backward = backward};

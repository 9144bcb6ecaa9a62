/* The half of a recurrent layer that knows no time: X · Wᵀ for all gates and directions. The
 * planner puts it before the time cut (nn/project.c); no file can name it, and its shapes are
 * those of the layer it was taken from, so nothing infers it.
 *
 * Inputs X (..., inputs) and W (directions, gates · hidden, inputs), a constant; the output is
 * (..., directions · gates · hidden). */
#include <errno.h>
#include <string.h>

#include "nn/op.h"
#include "nn/ops/rows.h"

enum { X, W };
/* Another one than the layer's own for W, whose layout differs: a packed file made for one kind of
 * plan must not serve the other. */
enum { WEIGHT_SLOT = 2 };

struct projection {
    int64_t rows, depth, width;
    const float *weight; /* (depth, width) */
    int32_t offsets[NN_ROWS_DEPTH];
};

static int prepare(struct nn_op_call *call)
{
    const struct nn_shape *x = &call->inputs[X].shape, *w = &call->inputs[W].shape;
    struct projection *p = nn_op_alloc(call, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->rows = nn_shape_extent(x, 0, x->rank - 1);
    p->depth = w->dim[2];
    p->width = w->dim[0] * w->dim[1];
    for (int t = 0; t < NN_ROWS_DEPTH; t++)
        p->offsets[t] = (int32_t)(t * p->width);
    bool fill;
    float *weight = nn_op_weights(call, WEIGHT_SLOT, (size_t)(p->depth * p->width), &fill);
    if (!weight)
        return -ENOMEM;
    const float *from = call->inputs[W].data;
    for (int64_t d = 0; fill && d < p->depth; d++)
        for (int64_t j = 0; j < p->width; j++)
            weight[d * p->width + j] = from[j * p->depth + d];
    p->weight = weight;
    call->packed_inputs = 1u << W;
    call->workspace_bytes = NN_ROWS_DEPTH * call->kernels->tile_rows * sizeof(float);
    call->state = p;
    return 0;
}

static int forward(struct nn_op_call *call)
{
    const struct projection *p = call->state;
    float *y = call->outputs[0].data;
    memset(y, 0, (size_t)(p->rows * p->width) * sizeof *y);
    nn_rows_multiply(call->kernels, &(struct nn_rows){.in = call->inputs[X].data,
                                                      .rows = p->rows,
                                                      .depth = p->depth,
                                                      .weight = p->weight,
                                                      .width = p->width,
                                                      .columns = p->width,
                                                      .offsets = p->offsets,
                                                      .out = y,
                                                      .out_step = p->width,
                                                      .panel = call->workspace});
    return 0;
}

const struct nn_op nn_op_projection = {
    .name = "Projection",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .prepare = prepare,
    .forward = forward,
};

/* The half of a recurrent layer that knows no time: X · Wᵀ for all gates and directions. The
 * planner puts it before the time cut (nn/project.c); no file can name it, and its shapes are
 * those of the layer it was taken from, so nothing infers it.
 *
 * Inputs X (..., inputs) and W (directions, gates · hidden, inputs), a constant; the output is
 * (..., directions · gates · hidden). */
#include <errno.h>
#include <string.h>

#include "nn/op.h"
#include "nn/ops/panels.h"

enum { X, W };
/* Another one than the layer's own for W, whose layout differs: a packed file made for one kind
 * of plan must not serve the other. */
enum { WEIGHT_SLOT = 2 };

struct projection {
    int64_t rows;
    struct nn_panels panels;
};

static int prepare(struct nn_op_call *call)
{
    const struct nn_shape *x = &call->inputs[X].shape, *w = &call->inputs[W].shape;
    const struct nn_matrix from = {.values = call->inputs[W].data,
                                   .depth = w->dim[2],
                                   .columns = w->dim[0] * w->dim[1],
                                   .depth_step = 1,
                                   .column_step = w->dim[2]};
    struct projection *p = nn_op_alloc(call, sizeof *p);
    int64_t floats = nn_panels_floats(NN_WEIGHT_FLOAT, from.depth, from.columns);
    bool fill;
    float *weight =
        p && floats >= 0 ? nn_op_weights(call, WEIGHT_SLOT, (size_t)floats, &fill) : NULL;
    if (!weight)
        return -ENOMEM;
    if (fill)
        nn_panels_pack(&from, NN_WEIGHT_FLOAT, weight, NULL);
    p->rows = nn_shape_extent(x, 0, x->rank - 1);
    p->panels =
        (struct nn_panels){.depth = from.depth, .columns = from.columns, .weight = weight};
    call->packed_inputs = 1u << W;
    call->state = p;
    return 0;
}

static int forward(struct nn_op_call *call)
{
    const struct projection *p = call->state;
    int64_t depth = p->panels.depth, width = p->panels.columns;
    float *y = call->outputs[0].data;
    memset(y, 0, (size_t)(p->rows * width) * sizeof *y);
    nn_panels_multiply(call->kernels, &p->panels, call->inputs[X].data, p->rows, depth, y,
                       width);
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

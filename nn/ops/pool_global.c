/* GlobalAveragePool, GlobalMaxPool, GlobalLpPool: every channel becomes one number. */
#include <errno.h>
#include <math.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/lp.h"

static int infer(struct nn_op_call *call)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r < 0)
        return r;
    if (x->rank < 3)
        return nn_op_fail(call, -EINVAL, "its input has rank %d, not 3 or more", x->rank);
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = *x;
    for (int i = 2; i < x->rank; i++) {
        if (x->dim[i] < 1)
            return nn_op_fail(call, -EINVAL, "it would pool nothing");
        call->outputs[0].shape.dim[i] = 1;
    }
    return 0;
}

static int64_t channel_size(const struct nn_op_call *call)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    return nn_shape_extent(x, 2, x->rank);
}

static int64_t channel_count(const struct nn_op_call *call)
{
    return nn_shape_count(&call->outputs[0].shape);
}

static int average(struct nn_op_call *call)
{
    int64_t size = channel_size(call), count = channel_count(call);
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    for (int64_t c = 0; c < count; c++)
        y[c] = call->kernels->sum(x + c * size, (size_t)size) / (float)size;
    return 0;
}

/* A channel is read as many rows of this length, whose maximum is a row. */
enum { ROW = 64 };

static int max_prepare(struct nn_op_call *call)
{
    size_t rows = (size_t)channel_size(call) / ROW;
    int32_t *offsets = nn_op_alloc(call, (rows + 1) * sizeof *offsets);
    for (size_t i = 0; offsets && i < rows; i++)
        offsets[i] = (int32_t)(i * ROW);
    call->state = offsets;
    return offsets ? 0 : -ENOMEM;
}

static float greater(float a, float b)
{
    return b > a ? b : a;
}

static int max(struct nn_op_call *call)
{
    int64_t size = channel_size(call), count = channel_count(call);
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data, row[ROW];
    for (int64_t c = 0; c < count; c++, x += size) {
        call->kernels->tap_max(row, x, call->state, (size_t)(size / ROW), ROW);
        float best = -INFINITY;
        for (int i = 0; i < ROW; i++)
            best = greater(best, row[i]);
        for (int64_t i = size / ROW * ROW; i < size; i++)
            best = greater(best, x[i]);
        y[c] = best;
    }
    return 0;
}

static int lp_infer(struct nn_op_call *call)
{
    int r = nn_lp_check(call);
    return r < 0 ? r : infer(call);
}

static int lp_prepare(struct nn_op_call *call)
{
    call->workspace_bytes = (size_t)channel_size(call) * sizeof(float);
    return 0;
}

static int lp(struct nn_op_call *call)
{
    int64_t size = channel_size(call), count = channel_count(call);
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data, *powers = call->workspace;
    for (int64_t c = 0; c < count; c++) {
        nn_lp_raise(call->kernels, powers, x + c * size, nn_lp_power(call), (size_t)size);
        y[c] = call->kernels->sum(powers, (size_t)size);
    }
    nn_lp_root(y, nn_lp_power(call), (size_t)count);
    return 0;
}

static const struct nn_attribute_rule lp_attributes[] = {
    {"p", NN_ATTRIBUTE_FLOAT, 0, 1}, {"p", NN_ATTRIBUTE_INT, 2, 0}, {0}};

#define GLOBAL_POOL(row, op_type, infer_function, prepare_function, forward_function, rules)   \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 1,                                                                       \
        .max_inputs = 1,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .attributes = rules,                                                                   \
        .infer = infer_function,                                                               \
        .prepare = prepare_function,                                                           \
        .forward = forward_function,                                                           \
        .time = nn_op_time_batch,                                                              \
    }

GLOBAL_POOL(nn_op_global_average_pool, "GlobalAveragePool", infer, NULL, average, NULL);
GLOBAL_POOL(nn_op_global_lp_pool, "GlobalLpPool", lp_infer, lp_prepare, lp, lp_attributes);
GLOBAL_POOL(nn_op_global_max_pool, "GlobalMaxPool", infer, max_prepare, max, NULL);

/* LayerNormalization, RMSNormalization, InstanceNormalization and GroupNormalization: stretches
 * of neighbours in memory (rows) are brought to mean 0 and variance 1, then scaled and shifted.
 *
 * The variance is summed up around the mean: the difference of two large sums would lose it.
 * Everything is float32, whatever stash_type says. */
#include <errno.h>
#include <math.h>

#include "nn/activation.h"
#include "nn/walk.h"

struct statistics {
    float mean, inverse; /* of the standard deviation */
};

static struct statistics measure(const struct nn_kernels *k, const float *x, size_t n,
                                 float epsilon)
{
    float mean = k->sum(x, n) / (float)n;
    float variance = k->sum_squares(x, mean, n) / (float)n;
    return (struct statistics){mean, 1 / sqrtf(variance + epsilon)};
}

/* LayerNormalization and RMSNormalization: a row is everything from an axis on. */

struct layer {
    int axis;
    int64_t rows, count;
    bool whole[3];           /* input i (scale, bias) has one value for each of a row */
    struct nn_walk walks[3]; /* else: over the result; operand 0 is the result, 1 the input */
};

static int layer_axis(const struct nn_op_call *call)
{
    return nn_op_axis(call, nn_op_int(call, "axis", -1), call->inputs[0].shape.rank);
}

static int layer_infer(struct nn_op_call *call)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    for (int i = 0; i < call->input_count; i++) {
        struct nn_shape whole;
        int r = nn_op_has_input(call, i) ? nn_op_require_type(call, i, NN_TYPE_FLOAT) : 0;
        if (r < 0)
            return r;
        if (i > 0 && nn_op_has_input(call, i) &&
            (!nn_shape_broadcast(x, &call->inputs[i].shape, &whole) ||
             !nn_shape_equal(x, &whole)))
            return nn_op_fail(call, -EINVAL, "%s does not broadcast to the input's shape",
                              i == 1 ? "its scale" : "its bias");
    }
    int axis = layer_axis(call);
    if (axis < 0)
        return axis;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = *x;
    for (int j = 1; j < call->output_count; j++) {
        call->outputs[j].type = NN_TYPE_FLOAT;
        call->outputs[j].shape = *x;
        for (int d = axis; d < x->rank; d++)
            call->outputs[j].shape.dim[d] = 1;
    }
    return 0;
}

/* Whether input i has the shape of a row, dimensions of 1 in front apart. */
static bool is_whole(const struct nn_shape *x, const struct nn_shape *parameter, int axis)
{
    for (int d = x->rank - 1, own = parameter->rank - 1; d >= 0; d--, own--) {
        int64_t dim = own >= 0 ? parameter->dim[own] : 1;
        if (dim != (d >= axis ? x->dim[d] : 1))
            return false;
    }
    return true;
}

static int layer_prepare(struct nn_op_call *call)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    struct layer *l = nn_op_alloc(call, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->axis = layer_axis(call);
    l->rows = nn_shape_extent(x, 0, l->axis);
    l->count = nn_shape_extent(x, l->axis, x->rank);
    for (int i = 1; i < call->input_count; i++) {
        if (!nn_op_has_input(call, i))
            continue;
        l->whole[i] = is_whole(x, &call->inputs[i].shape, l->axis);
        nn_walk_broadcast(&l->walks[i], x, x, &call->inputs[i].shape);
    }
    call->state = l;
    return 0;
}

/* Scale (input 1) or bias (input 2), over the whole result. */
static void apply_broadcast(const struct nn_op_call *call, int input)
{
    const struct nn_walk *w = &((const struct layer *)call->state)->walks[input];
    const float *from = call->inputs[input].data;
    float *y = call->outputs[0].data;
    struct nn_walk_cursor c = {0};
    if (w->inner == 0)
        return;
    do {
        float *to = y + c.at[0];
        const float *p = from + c.at[1];
        for (int64_t i = 0; i < w->inner; i++) {
            float value = p[i * w->inner_step[1]];
            to[i] = input == 1 ? to[i] * value : to[i] + value;
        }
    } while (nn_walk_next(w, &c));
}

/* What is multiplied or added row by row; NULL: finish_layer does it. A bias that is a row's
 * cannot be added before a scale that is not one. */
static const float *row_parameter(const struct nn_op_call *call, int i)
{
    const struct layer *l = call->state;
    bool in_order = i == 1 || l->whole[1];
    return nn_op_has_input(call, i) && l->whole[i] && in_order ? call->inputs[i].data : NULL;
}

static void finish_layer(const struct nn_op_call *call)
{
    const struct layer *l = call->state;
    float *y = call->outputs[0].data;
    for (int i = 1; i < call->input_count; i++)
        if (nn_op_has_input(call, i) && !row_parameter(call, i))
            apply_broadcast(call, i);
    if (call->activation != NN_ACTIVATION_NONE)
        nn_activation_apply(call, y, y, (size_t)(l->rows * l->count));
}

static int layer_forward(struct nn_op_call *call)
{
    const struct layer *l = call->state;
    const struct nn_kernels *k = call->kernels;
    const float *scale = row_parameter(call, 1), *bias = row_parameter(call, 2);
    const float epsilon = nn_op_float(call, "epsilon", 1e-5f);
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    float *mean = call->output_count > 1 ? call->outputs[1].data : NULL;
    float *inverse = call->output_count > 2 ? call->outputs[2].data : NULL;
    size_t n = (size_t)l->count;
    for (int64_t row = 0; row < l->rows; row++, x += n) {
        struct statistics s = measure(k, x, n, epsilon);
        if (mean)
            mean[row] = s.mean;
        if (inverse)
            inverse[row] = s.inverse;
        if (!y)
            continue;
        k->affine(y, x, 1, -s.mean, n);
        k->affine(y, y, s.inverse, 0, n);
        if (scale)
            k->mul(y, y, scale, n);
        if (bias)
            k->add(y, y, bias, n);
        y += n;
    }
    if (y)
        finish_layer(call);
    return 0;
}

static int rms_forward(struct nn_op_call *call)
{
    const struct layer *l = call->state;
    const struct nn_kernels *k = call->kernels;
    const float *scale = row_parameter(call, 1);
    const float epsilon = nn_op_float(call, "epsilon", 1e-5f);
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    size_t n = (size_t)l->count;
    for (int64_t row = 0; row < l->rows; row++, x += n, y += n) {
        float square = k->sum_squares(x, 0, n) / (float)n;
        k->affine(y, x, 1 / sqrtf(square + epsilon), 0, n);
        if (scale)
            k->mul(y, y, scale, n);
    }
    finish_layer(call);
    return 0;
}

/* Rows stay whole when time is an axis before them. */
static bool layer_time(const struct nn_op_call *call, const int *in, int *out)
{
    int axis = layer_axis(call);
    if (in[0] == NN_TIME_NONE || in[0] >= axis)
        return false;
    for (int i = 1; i < call->input_count; i++)
        if (in[i] != NN_TIME_NONE)
            return false;
    if (!nn_op_time_same(call, in, out))
        return false;
    for (int j = 1; j < call->output_count; j++)
        out[j] = in[0];
    return true;
}

/* InstanceNormalization and GroupNormalization: a row is a channel or a group of them. */

struct group {
    int64_t rows, groups; /* rows: groups of all images */
    int64_t channels;     /* of a group */
    int64_t inner;        /* values of a channel */
    bool by_group;        /* one scale and shift for each group, not for each channel */
};

static int group_geometry(const struct nn_op_call *call, struct group *ret_group)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    if (x->rank < 2)
        return nn_op_fail(call, -EINVAL, "its input has no channels");
    int64_t channels = x->dim[1];
    bool instance = call->op == &nn_op_instance_normalization;
    int64_t groups = instance ? channels : nn_op_int(call, "num_groups", 0);
    if (!instance && (groups < 1 || channels % groups != 0))
        return nn_op_fail(call, -EINVAL, "num_groups %lld does not divide %lld channels",
                          (long long)groups, (long long)channels);
    struct group g = {.groups = groups,
                      .channels = groups > 0 ? channels / groups : 1,
                      .inner = nn_shape_extent(x, 2, x->rank),
                      .by_group = !instance && call->opset < 21};
    g.rows = x->dim[0] * groups;
    int64_t wanted = g.by_group ? groups : channels;
    for (int i = 1; i < 3; i++) {
        int r = nn_op_require_type(call, i, NN_TYPE_FLOAT);
        if (r < 0)
            return r;
        if (nn_shape_count(&call->inputs[i].shape) != wanted)
            return nn_op_fail(call, -EINVAL, "%s must have %lld values",
                              i == 1 ? "scale" : "bias", (long long)wanted);
    }
    *ret_group = g;
    return 0;
}

static int group_infer(struct nn_op_call *call)
{
    struct group g;
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r == 0)
        r = group_geometry(call, &g);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static int group_prepare(struct nn_op_call *call)
{
    struct group *g = nn_op_alloc(call, sizeof *g);
    if (!g)
        return -ENOMEM;
    call->state = g;
    return group_geometry(call, g);
}

static int group_forward(struct nn_op_call *call)
{
    const struct group *g = call->state;
    const struct nn_kernels *k = call->kernels;
    const float *x = call->inputs[0].data;
    const float *scale = call->inputs[1].data, *bias = call->inputs[2].data;
    const float epsilon = nn_op_float(call, "epsilon", 1e-5f);
    float *y = call->outputs[0].data;
    size_t inner = (size_t)g->inner, n = (size_t)g->channels * inner;
    for (int64_t row = 0; row < g->rows && n > 0; row++, y += n) {
        int64_t group = row % g->groups;
        struct statistics s = measure(k, x, n, epsilon);
        for (int64_t c = 0; c < g->channels; c++, x += inner) {
            int64_t at = g->by_group ? group : group * g->channels + c;
            float factor = scale[at] * s.inverse;
            k->affine(y + c * g->inner, x, factor, bias[at] - s.mean * factor, inner);
        }
        if (call->activation != NN_ACTIVATION_NONE)
            nn_activation_apply(call, y, y, n);
    }
    return 0;
}

static const struct nn_attribute_rule layer_rules[] = {{"axis", NN_ATTRIBUTE_INT, 0, 0},
                                                       {"epsilon", NN_ATTRIBUTE_FLOAT, 0, 0},
                                                       {"stash_type", NN_ATTRIBUTE_INT, 0, 0},
                                                       {0}};
static const struct nn_attribute_rule instance_rules[] = {
    {"consumed_inputs", NN_ATTRIBUTE_INTS, 0, 5}, {"epsilon", NN_ATTRIBUTE_FLOAT, 0, 0}, {0}};
static const struct nn_attribute_rule group_rules[] = {{"epsilon", NN_ATTRIBUTE_FLOAT, 0, 0},
                                                       {"num_groups", NN_ATTRIBUTE_INT, 0, 0},
                                                       {"stash_type", NN_ATTRIBUTE_INT, 21, 0},
                                                       {0}};

const struct nn_op nn_op_layer_normalization = {
    .name = "LayerNormalization",
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 3,
    .flags = NN_OP_FUSES_ACTIVATION,
    .attributes = layer_rules,
    .infer = layer_infer,
    .prepare = layer_prepare,
    .forward = layer_forward,
    .time = layer_time,
};

const struct nn_op nn_op_rms_normalization = {
    .name = "RMSNormalization",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_FUSES_ACTIVATION,
    .attributes = layer_rules,
    .infer = layer_infer,
    .prepare = layer_prepare,
    .forward = rms_forward,
    .time = layer_time,
};

#define GROUP(row, op_type, rules)                                                             \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 3,                                                                       \
        .max_inputs = 3,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .flags = NN_OP_FUSES_ACTIVATION,                                                       \
        .attributes = rules,                                                                   \
        .infer = group_infer,                                                                  \
        .prepare = group_prepare,                                                              \
        .forward = group_forward,                                                              \
        .time = nn_op_time_batch,                                                              \
    }

GROUP(nn_op_group_normalization, "GroupNormalization", group_rules);
GROUP(nn_op_instance_normalization, "InstanceNormalization", instance_rules);

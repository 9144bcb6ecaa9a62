/* MaxPool, AveragePool, GlobalAveragePool. One channel at a time is laid out for taps
 * (nn/ops/spatial.h), then each row of outputs is a maximum or a sum over the window. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/ops/spatial.h"

struct pool {
    struct nn_spatial spatial;
    int64_t channels; /* batch × channels */
    int32_t *offsets; /* (window_size) */
    float *ones;      /* (window_size): AveragePool's weights */
    float *counted;   /* (out[0] + out[1] + out[2]): inputs that count, per axis and output */
};

static int geometry(const struct nn_op_call *call, struct pool *ret_pool)
{
    struct pool p = {0};
    const struct nn_shape *x = &call->inputs[0].shape;
    int axes;
    const int64_t *kernel = nn_op_ints(call, "kernel_shape", &axes);
    if (!kernel)
        return nn_op_fail(call, -EINVAL, "kernel_shape is missing");
    int r = nn_spatial_infer(call, kernel, axes, 1, &p.spatial);
    if (r < 0)
        return r;
    p.channels = x->dim[0] * x->dim[1];
    *ret_pool = p;
    return 0;
}

static int pool_infer(struct nn_op_call *call)
{
    struct pool p;
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r == 0)
        r = geometry(call, &p);
    if (r < 0)
        return r;
    const struct nn_shape *x = &call->inputs[0].shape;
    call->outputs[0].type = NN_TYPE_FLOAT;
    nn_spatial_output(&p.spatial, x->dim[0], x->dim[1], &call->outputs[0].shape);
    if (nn_op_wants_output(call, 1)) {
        call->outputs[1].type = NN_TYPE_INT64;
        call->outputs[1].shape = call->outputs[0].shape;
    }
    return 0;
}

static int prepare(struct nn_op_call *call, struct pool **ret_pool)
{
    struct pool *p = nn_op_alloc(call, sizeof *p);
    if (!p)
        return -ENOMEM;
    int r = geometry(call, p);
    if (r < 0)
        return r;
    const struct nn_spatial *s = &p->spatial;
    p->offsets = nn_op_alloc(call, (size_t)s->window_size * sizeof *p->offsets);
    if (!p->offsets)
        return -ENOMEM;
    nn_spatial_taps(s, 1, p->offsets);
    /* The planes of one channel, then a row of divisors. */
    call->workspace_bytes = (size_t)(s->plane_size + s->out[2]) * sizeof(float);
    call->state = p;
    *ret_pool = p;
    return 0;
}

static const float *lay_out(const struct nn_op_call *call, const struct pool *p,
                            const float *channel, float fill)
{
    if (p->spatial.direct)
        return channel;
    nn_spatial_lay_out(&p->spatial, call->kernels, channel, fill, call->workspace);
    return call->workspace;
}

/* MaxPool. */

static int max_prepare(struct nn_op_call *call)
{
    struct pool *p;
    return prepare(call, &p);
}

/* The input under one tap of one output, counted within its channel; -1 in the padding. */
static int64_t tapped_input(const struct nn_spatial *s, const int64_t *out, const int64_t *tap)
{
    int64_t index = 0;
    for (int i = 0; i < NN_SPATIAL_AXES; i++) {
        int64_t at = out[i] * s->stride[i] + tap[i] * s->dilation[i] - s->pad_before[i];
        if (at < 0 || at >= s->in[i])
            return -1;
        index = index * s->in[i] + at;
    }
    return index;
}

/* The same place, counted with the first spatial axis fastest (storage_order 1). */
static int64_t column_major(const struct nn_spatial *s, int64_t index)
{
    int64_t w = index % s->in[2], h = index / s->in[2] % s->in[1],
            d = index / s->in[2] / s->in[1];
    return d + s->in[0] * (h + s->in[1] * w);
}

/* Which input of the channel is the maximum of one window; the first one of equals. */
static int64_t find_max(const struct nn_spatial *s, const float *x, const int64_t *out)
{
    int64_t best = -1, tap[NN_SPATIAL_AXES];
    for (tap[0] = 0; tap[0] < s->kernel[0]; tap[0]++)
        for (tap[1] = 0; tap[1] < s->kernel[1]; tap[1]++)
            for (tap[2] = 0; tap[2] < s->kernel[2]; tap[2]++) {
                int64_t at = tapped_input(s, out, tap);
                if (at >= 0 && (best < 0 || x[at] > x[best]))
                    best = at;
            }
    return best;
}

/* Indices count through the whole input tensor. */
static void find_indices(const struct nn_op_call *call, const struct pool *p)
{
    const struct nn_spatial *s = &p->spatial;
    const float *x = call->inputs[0].data;
    int64_t *indices = call->outputs[1].data, out[NN_SPATIAL_AXES];
    bool columns = nn_op_int(call, "storage_order", 0) != 0;
    for (int64_t c = 0; c < p->channels; c++, x += s->in_size)
        for (out[0] = 0; out[0] < s->out[0]; out[0]++)
            for (out[1] = 0; out[1] < s->out[1]; out[1]++)
                for (out[2] = 0; out[2] < s->out[2]; out[2]++) {
                    int64_t at = find_max(s, x, out);
                    if (at >= 0)
                        at = c * s->in_size + (columns ? column_major(s, at) : at);
                    *indices++ = at;
                }
}

static int max_forward(struct nn_op_call *call)
{
    const struct pool *p = call->state;
    const struct nn_spatial *s = &p->spatial;
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    for (int64_t c = 0; y && c < p->channels; c++, x += s->in_size) {
        const float *planes = lay_out(call, p, x, -INFINITY);
        for (int64_t d = 0; d < s->out[0]; d++) {
            for (int64_t h = 0; h < s->out[1]; h++, y += s->out[2])
                call->kernels->tap_max(y, planes + (d * s->extent[1] + h) * s->extent[2],
                                       p->offsets, (size_t)s->window_size, (size_t)s->out[2]);
        }
    }
    if (nn_op_wants_output(call, 1) && call->outputs[1].data)
        find_indices(call, p);
    return 0;
}

/* AveragePool. */

/* How many taps of each output along an axis see something that counts: inputs, and with
 * count_include_pad the declared padding, but never what ceil_mode adds behind it. */
static void count_inputs(const struct nn_spatial *s, int axis, bool with_padding,
                         float *counted)
{
    int64_t low = with_padding ? -s->pad_before[axis] : 0;
    int64_t high = s->in[axis] + (with_padding ? s->pad_after[axis] : 0);
    int64_t dilation = s->dilation[axis];
    for (int64_t o = 0; o < s->out[axis]; o++) {
        /* Tap t sees place start + t · dilation. */
        int64_t start = o * s->stride[axis] - s->pad_before[axis];
        int64_t first = start < low ? (low - start + dilation - 1) / dilation : 0;
        int64_t end = start < high ? (high - start + dilation - 1) / dilation : 0;
        end = end < s->kernel[axis] ? end : s->kernel[axis];
        /* A window of padding only sums to zero; its average is zero, too. */
        counted[o] = end > first ? (float)(end - first) : 1;
    }
}

static int average_prepare(struct nn_op_call *call)
{
    struct pool *p;
    int r = prepare(call, &p);
    if (r < 0)
        return r;
    const struct nn_spatial *s = &p->spatial;
    int64_t outputs = s->out[0] + s->out[1] + s->out[2];
    p->ones = nn_op_alloc(call, (size_t)s->window_size * sizeof *p->ones);
    p->counted = nn_op_alloc(call, (size_t)outputs * sizeof *p->counted);
    if (!p->ones || !p->counted)
        return -ENOMEM;
    for (int64_t t = 0; t < s->window_size; t++)
        p->ones[t] = 1;
    bool with_padding = nn_op_int(call, "count_include_pad", 0) != 0;
    float *counted = p->counted;
    for (int i = 0; i < NN_SPATIAL_AXES; counted += s->out[i], i++)
        count_inputs(s, i, with_padding, counted);
    return 0;
}

static int average_forward(struct nn_op_call *call)
{
    const struct pool *p = call->state;
    const struct nn_spatial *s = &p->spatial;
    const struct nn_kernels *k = call->kernels;
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    float *divisor = (float *)call->workspace + s->plane_size;
    const float *counted_d = p->counted, *counted_h = counted_d + s->out[0],
                *counted_w = counted_h + s->out[1];
    size_t width = (size_t)s->out[2];
    for (int64_t c = 0; c < p->channels; c++, x += s->in_size) {
        const float *planes = lay_out(call, p, x, 0);
        for (int64_t d = 0; d < s->out[0]; d++) {
            for (int64_t h = 0; h < s->out[1]; h++, y += width) {
                memset(y, 0, width * sizeof *y);
                k->tap_sum(y, planes + (d * s->extent[1] + h) * s->extent[2], p->offsets,
                           p->ones, (size_t)s->window_size, width);
                k->affine(divisor, counted_w, counted_d[d] * counted_h[h], 0, width);
                k->div(y, y, divisor, width);
            }
        }
    }
    return 0;
}

static bool pool_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct pool p;
    /* Indices count through the whole batch, so a frame alone would number them anew. */
    return !nn_op_wants_output(call, 1) && geometry(call, &p) == 0 &&
           nn_spatial_time(call, in, &p.spatial, out);
}

/* GlobalAveragePool. */

static int global_infer(struct nn_op_call *call)
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
            return nn_op_fail(call, -EINVAL, "it would average nothing");
        call->outputs[0].shape.dim[i] = 1;
    }
    return 0;
}

static int global_forward(struct nn_op_call *call)
{
    const struct nn_shape *shape = &call->inputs[0].shape;
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    int64_t size = 1;
    for (int i = 2; i < shape->rank; i++)
        size *= shape->dim[i];
    for (int64_t c = 0; c < shape->dim[0] * shape->dim[1]; c++)
        y[c] = call->kernels->sum(x + c * size, (size_t)size) / (float)size;
    return 0;
}

static const struct nn_attribute_rule max_attributes[] = {
    {"auto_pad", NN_ATTRIBUTE_STRING, 0, 0}, {"ceil_mode", NN_ATTRIBUTE_INT, 10, 0},
    {"dilations", NN_ATTRIBUTE_INTS, 10, 0}, {"kernel_shape", NN_ATTRIBUTE_INTS, 0, 0},
    {"pads", NN_ATTRIBUTE_INTS, 0, 0},       {"storage_order", NN_ATTRIBUTE_INT, 8, 0},
    {"strides", NN_ATTRIBUTE_INTS, 0, 0},    {0},
};

static const struct nn_attribute_rule average_attributes[] = {
    {"auto_pad", NN_ATTRIBUTE_STRING, 0, 0},       {"ceil_mode", NN_ATTRIBUTE_INT, 10, 0},
    {"count_include_pad", NN_ATTRIBUTE_INT, 7, 0}, {"dilations", NN_ATTRIBUTE_INTS, 19, 0},
    {"kernel_shape", NN_ATTRIBUTE_INTS, 0, 0},     {"pads", NN_ATTRIBUTE_INTS, 0, 0},
    {"strides", NN_ATTRIBUTE_INTS, 0, 0},          {0},
};

const struct nn_op nn_op_max_pool = {
    .name = "MaxPool",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 2,
    .attributes = max_attributes,
    .infer = pool_infer,
    .prepare = max_prepare,
    .forward = max_forward,
    .time = pool_time,
};

const struct nn_op nn_op_average_pool = {
    .name = "AveragePool",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = average_attributes,
    .infer = pool_infer,
    .prepare = average_prepare,
    .forward = average_forward,
    .time = pool_time,
};

const struct nn_op nn_op_global_average_pool = {
    .name = "GlobalAveragePool",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .infer = global_infer,
    .forward = global_forward,
    .time = nn_op_time_batch,
};

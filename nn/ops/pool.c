/* MaxPool, AveragePool, LpPool. One channel at a time is laid out for taps (nn/ops/spatial.h),
 * then each row of outputs is a maximum or a sum over the window. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/ops/lp.h"
#include "nn/ops/pool_bytes.h"
#include "nn/ops/spatial.h"

struct pool {
    struct nn_spatial spatial;
    int64_t channels; /* batch × channels */
    int64_t by_two;   /* MaxPool: 2 or 3: nn_kernels.max_2x2 or max_3x3 do it; else 0 */
    int32_t *offsets; /* (window_size) */
    float *ones;      /* (window_size): the weights of sums */
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
    enum nn_type type = call->inputs[0].type;
    bool bytes = call->op == &nn_op_max_pool && nn_type_is_byte(type);
    int r = bytes ? 0 : nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r == 0)
        r = geometry(call, &p);
    if (r < 0)
        return r;
    const struct nn_shape *x = &call->inputs[0].shape;
    call->outputs[0].type = type;
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
    /* The planes of one channel, a row of outputs, and a channel as it is laid out. */
    int64_t floats = (s->plane_size + s->out[2] + s->in_size + 15) / 16 * 16;
    call->workspace_bytes = (size_t)(call->threads * floats) * sizeof(float);
    call->state = p;
    *ret_pool = p;
    return 0;
}

/* The call as one of its threads sees it: with a workspace of its own. */
static struct nn_op_call call_of(const void *data, int thread)
{
    struct nn_op_call call = *(const struct nn_op_call *)data;
    call.workspace_bytes /= (size_t)call.threads;
    call.workspace = (char *)call.workspace + (size_t)thread * call.workspace_bytes;
    return call;
}

/* `work` is given the call; items are channels. */
static void share_channels(struct nn_op_call *call,
                           void (*work)(void *data, int64_t first, int64_t end, int thread))
{
    const struct pool *p = call->state;
    const struct nn_spatial *s = &p->spatial;
    double each = (double)s->out_size * (double)s->window_size + (double)s->plane_size;
    nn_op_parallel(call, p->channels, (double)p->channels * each, work, call);
}

static const float *lay_out(const struct nn_op_call *call, const struct pool *p,
                            const float *channel, float fill)
{
    if (p->spatial.direct)
        return channel;
    nn_spatial_lay_out(&p->spatial, call->kernels, channel, fill, call->workspace);
    return call->workspace;
}

static float *row_of(const struct nn_op_call *call, const struct pool *p)
{
    return (float *)call->workspace + p->spatial.plane_size;
}

/* Where a channel is that cannot be laid out as it comes. */
static float *channel_of(const struct nn_op_call *call, const struct pool *p)
{
    return row_of(call, p) + p->spatial.out[2];
}

static int make_ones(struct nn_op_call *call, struct pool *p)
{
    int64_t count = p->spatial.window_size;
    p->ones = nn_op_alloc(call, (size_t)count * sizeof *p->ones);
    for (int64_t t = 0; p->ones && t < count; t++)
        p->ones[t] = 1;
    return p->ones ? 0 : -ENOMEM;
}

/* MaxPool. */

/* Windows of 2×2 and 3×3 that move by two, each of which sees a part of the image. */
static int64_t side_by_two(const struct nn_spatial *s)
{
    int64_t side = s->kernel[1];
    bool suits = s->axes == 2 && (side == 2 || side == 3);
    for (int i = 1; i < NN_SPATIAL_AXES; i++) {
        int64_t last = (s->out[i] - 1) * 2 - s->pad_before[i];
        suits &= s->kernel[i] == side && s->stride[i] == 2 && s->dilation[i] == 1;
        suits &= s->pad_before[i] < side && last < s->in[i];
    }
    return suits ? side : 0;
}

static int max_prepare(struct nn_op_call *call)
{
    struct pool *p;
    int r = prepare(call, &p);
    if (r == 0)
        p->by_two = side_by_two(&p->spatial);
    return r;
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

/* Indices of one channel, which count through the whole input tensor. */
static void find_indices(const struct nn_op_call *call, const struct pool *p, int64_t channel,
                         const float *x)
{
    const struct nn_spatial *s = &p->spatial;
    int64_t *indices = call->outputs[1].data, out[NN_SPATIAL_AXES];
    bool columns = nn_op_int(call, "storage_order", 0) != 0;
    indices += channel * s->out_size;
    for (out[0] = 0; out[0] < s->out[0]; out[0]++)
        for (out[1] = 0; out[1] < s->out[1]; out[1]++)
            for (out[2] = 0; out[2] < s->out[2]; out[2]++) {
                int64_t at = find_max(s, x, out);
                if (at >= 0)
                    at = channel * s->in_size + (columns ? column_major(s, at) : at);
                *indices++ = at;
            }
}

static int64_t clamp(int64_t at, int64_t count)
{
    return at < 0 ? 0 : at < count ? at : count - 1;
}

/* Output `column` of a window over the image's edge, over rows of `width`. */
static float max_at_edge(const float *const *row, int64_t side, int64_t column, int64_t width)
{
    float max = -INFINITY;
    for (int64_t j = 0; j < side; j++)
        for (int64_t i = 0; i < side; i++) {
            float x = row[j][clamp(column + i, width)];
            max = x > max ? x : max;
        }
    return max;
}

/* In place of rows and columns in the padding stand the nearest of the image, which the window
 * sees anyway. */
static void max_by_two(const struct nn_kernels *k, const struct pool *p, const float *x,
                       float *y)
{
    const struct nn_spatial *s = &p->spatial;
    int64_t side = p->by_two, left = s->pad_before[2], width = s->in[2];
    int64_t first = (left + 1) / 2, end = (width + left - side + 2) / 2; /* away from edges */
    end = end < first ? first : end < s->out[2] ? end : s->out[2];
    for (int64_t h = 0; h < s->out[1]; h++, y += s->out[2]) {
        const float *row[3], *from[3];
        for (int64_t j = 0; j < 3; j++) {
            row[j] = x + clamp(2 * h - s->pad_before[1] + j, s->in[1]) * width;
            from[j] = row[j] + 2 * first - left;
        }
        if (side == 2)
            k->max_2x2(y + first, from[0], from[1], (size_t)(end - first));
        else
            k->max_3x3(y + first, from[0], from[1], from[2], (size_t)(end - first));
        for (int64_t i = 0; i < first; i++)
            y[i] = max_at_edge(row, side, 2 * i - left, width);
        for (int64_t i = end; i < s->out[2]; i++)
            y[i] = max_at_edge(row, side, 2 * i - left, width);
    }
}

static void max_channel(const struct nn_op_call *call, const struct pool *p, const float *x,
                        float *y)
{
    const struct nn_spatial *s = &p->spatial;
    if (p->by_two) {
        max_by_two(call->kernels, p, x, y);
        return;
    }
    const float *planes = lay_out(call, p, x, -INFINITY);
    for (int64_t d = 0; d < s->out[0]; d++)
        for (int64_t h = 0; h < s->out[1]; h++, y += s->out[2])
            call->kernels->tap_max(y, planes + (d * s->extent[1] + h) * s->extent[2],
                                   p->offsets, (size_t)s->window_size, (size_t)s->out[2]);
}

/* Bytes are exact as floats. A window of padding only has no maximum: the lowest number. */
static const float *floats_of(const struct nn_op_call *call, const struct pool *p,
                              int64_t channel)
{
    const struct nn_tensor *x = &call->inputs[0];
    int64_t size = p->spatial.in_size;
    float *floats = channel_of(call, p);
    if (x->type == NN_TYPE_FLOAT)
        return (const float *)x->data + channel * size;
    for (int64_t i = 0; i < size; i++)
        floats[i] = (float)nn_tensor_byte(x, channel * size + i);
    return floats;
}

static void max_bytes(const struct nn_op_call *call, const struct pool *p, const float *x,
                      int64_t channel)
{
    const struct nn_spatial *s = &p->spatial;
    const float *planes = lay_out(call, p, x, call->outputs[0].type == NN_TYPE_INT8 ? -128 : 0);
    uint8_t *y = (uint8_t *)call->outputs[0].data + channel * s->out_size;
    float *row = row_of(call, p);
    for (int64_t d = 0; d < s->out[0]; d++)
        for (int64_t h = 0; h < s->out[1]; h++) {
            call->kernels->tap_max(row, planes + (d * s->extent[1] + h) * s->extent[2],
                                   p->offsets, (size_t)s->window_size, (size_t)s->out[2]);
            for (int64_t w = 0; w < s->out[2]; w++)
                *y++ = (uint8_t)(int)row[w];
        }
}

/* Bytes of which only the maxima are wanted. */
static bool suits_bytes(const struct nn_op_call *call, const struct pool *p)
{
    bool indices = nn_op_wants_output(call, 1) && call->outputs[1].data;
    return nn_type_size(call->inputs[0].type) == 1 && !indices && call->outputs[0].data &&
           nn_pool_suits_bytes(&p->spatial, call->workspace_bytes);
}

static void max_channels(void *data, int64_t first, int64_t end, int thread)
{
    const struct nn_op_call call = call_of(data, thread);
    const struct pool *p = call.state;
    const struct nn_tensor *y = &call.outputs[0];
    bool indices = nn_op_wants_output(&call, 1) && call.outputs[1].data;
    bool bytes = suits_bytes(&call, p);
    for (int64_t c = first; c < end; c++) {
        if (bytes) {
            nn_pool_max_bytes(&p->spatial, call.kernels->bytes, y->type,
                              (const uint8_t *)call.inputs[0].data + c * p->spatial.in_size,
                              (uint8_t *)y->data + c * p->spatial.out_size, call.workspace);
            continue;
        }
        const float *x = floats_of(&call, p, c);
        if (y->data && y->type == NN_TYPE_FLOAT)
            max_channel(&call, p, x, (float *)y->data + c * p->spatial.out_size);
        else if (y->data)
            max_bytes(&call, p, x, c);
        if (indices)
            find_indices(&call, p, c, x);
    }
}

static int max_forward(struct nn_op_call *call)
{
    share_channels(call, max_channels);
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
    p->counted = nn_op_alloc(call, (size_t)outputs * sizeof *p->counted);
    if (!p->counted || make_ones(call, p) < 0)
        return -ENOMEM;
    bool with_padding = nn_op_int(call, "count_include_pad", 0) != 0;
    float *counted = p->counted;
    for (int i = 0; i < NN_SPATIAL_AXES; counted += s->out[i], i++)
        count_inputs(s, i, with_padding, counted);
    return 0;
}

static void average_channels(void *data, int64_t first, int64_t end, int thread)
{
    const struct nn_op_call call = call_of(data, thread);
    const struct pool *p = call.state;
    const struct nn_spatial *s = &p->spatial;
    const struct nn_kernels *k = call.kernels;
    const float *x = (const float *)call.inputs[0].data + first * s->in_size;
    float *y = (float *)call.outputs[0].data + first * s->out_size;
    float *divisor = row_of(&call, p);
    const float *counted_d = p->counted, *counted_h = counted_d + s->out[0],
                *counted_w = counted_h + s->out[1];
    size_t width = (size_t)s->out[2];
    for (; first < end; first++, x += s->in_size) {
        const float *planes = lay_out(&call, p, x, 0);
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
}

static int average_forward(struct nn_op_call *call)
{
    share_channels(call, average_channels);
    return 0;
}

static bool pool_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct pool p;
    /* Indices count through the whole batch, so a frame alone would number them anew. */
    return !nn_op_wants_output(call, 1) && geometry(call, &p) == 0 &&
           nn_spatial_time(call, in, &p.spatial, out);
}

/* LpPool. */

static int lp_infer(struct nn_op_call *call)
{
    int r = nn_lp_check(call);
    return r < 0 ? r : pool_infer(call);
}

static int lp_prepare(struct nn_op_call *call)
{
    struct pool *p;
    int r = prepare(call, &p);
    return r < 0 ? r : make_ones(call, p);
}

static void lp_channels(void *data, int64_t first, int64_t end, int thread)
{
    const struct nn_op_call call = call_of(data, thread);
    const struct pool *p = call.state;
    const struct nn_spatial *s = &p->spatial;
    const float exponent = nn_lp_power(&call);
    const float *x = (const float *)call.inputs[0].data + first * s->in_size;
    float *y = (float *)call.outputs[0].data + first * s->out_size;
    float *channel = channel_of(&call, p);
    const size_t width = (size_t)s->out[2];
    for (; first < end; first++, x += s->in_size) {
        nn_lp_raise(call.kernels, channel, x, exponent, (size_t)s->in_size);
        const float *planes = lay_out(&call, p, channel, 0);
        for (int64_t d = 0; d < s->out[0]; d++)
            for (int64_t h = 0; h < s->out[1]; h++, y += width) {
                memset(y, 0, width * sizeof *y);
                call.kernels->tap_sum(y, planes + (d * s->extent[1] + h) * s->extent[2],
                                      p->offsets, p->ones, (size_t)s->window_size, width);
                nn_lp_root(y, exponent, width);
            }
    }
}

static int lp_forward(struct nn_op_call *call)
{
    share_channels(call, lp_channels);
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

static const struct nn_attribute_rule lp_attributes[] = {
    {"auto_pad", NN_ATTRIBUTE_STRING, 0, 0},
    {"ceil_mode", NN_ATTRIBUTE_INT, 18, 0},
    {"dilations", NN_ATTRIBUTE_INTS, 18, 0},
    {"kernel_shape", NN_ATTRIBUTE_INTS, 0, 0},
    {"p", NN_ATTRIBUTE_FLOAT, 0, 1},
    {"p", NN_ATTRIBUTE_INT, 2, 0},
    {"pads", NN_ATTRIBUTE_INTS, 0, 0},
    {"strides", NN_ATTRIBUTE_INTS, 0, 0},
    {0},
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

const struct nn_op nn_op_lp_pool = {
    .name = "LpPool",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = lp_attributes,
    .infer = lp_infer,
    .prepare = lp_prepare,
    .forward = lp_forward,
    .time = pool_time,
};

/* MeanVarianceNormalization and LpNormalization, over any axes, and LRN, across channels. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/walk.h"

/* MeanVarianceNormalization and LpNormalization: elements with the same place on the other axes
 * share a mean (0 for LpNormalization) and a spread. */

static int read_axes(const struct nn_op_call *call, bool *chosen)
{
    int rank = call->inputs[0].shape.rank;
    memset(chosen, 0, NN_MAX_RANK * sizeof *chosen);
    if (call->op == &nn_op_lp_normalization) {
        int axis = nn_op_axis(call, nn_op_int(call, "axis", -1), rank);
        if (axis >= 0)
            chosen[axis] = true;
        return axis < 0 ? axis : 0;
    }
    if (nn_op_has(call, "axes")) {
        int count = nn_op_axes(call, rank, INT32_MAX, chosen);
        return count < 0 ? count : 0;
    }
    /* ONNX's default, [0, 2, 3], is for images. */
    if (rank != 4)
        return nn_op_fail(call, -EINVAL, "attribute 'axes' is missing for a tensor of rank %d",
                          rank);
    chosen[0] = chosen[2] = chosen[3] = true;
    return 0;
}

static int infer(struct nn_op_call *call)
{
    bool chosen[NN_MAX_RANK];
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r == 0)
        r = read_axes(call, chosen);
    if (r < 0)
        return r;
    int64_t p = nn_op_int(call, "p", 2);
    if (p != 1 && p != 2)
        return nn_op_fail(call, -EINVAL, "p is %lld, not 1 or 2", (long long)p);
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

struct state {
    struct nn_walk walk; /* operand 0 is the element, 1 its mean and spread */
    int64_t count;       /* elements that share them */
    size_t results;      /* pairs of mean and spread */
};

static int prepare(struct nn_op_call *call)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    bool chosen[NN_MAX_RANK];
    struct state *s = nn_op_alloc(call, sizeof *s);
    if (!s)
        return -ENOMEM;
    int r = read_axes(call, chosen);
    if (r < 0)
        return r;
    int64_t step[NN_MAX_RANK][2], in = 1, out = 1;
    s->count = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        step[d][0] = in;
        step[d][1] = chosen[d] ? 0 : out;
        in *= x->dim[d];
        out *= chosen[d] ? 1 : x->dim[d];
        s->count *= chosen[d] ? x->dim[d] : 1;
    }
    nn_walk_make(&s->walk, x, step);
    s->results = (size_t)out;
    call->state = s;
    call->workspace_bytes = 2 * s->results * sizeof(float);
    return 0;
}

static void add_means(const struct nn_kernels *k, const struct state *s, float *mean,
                      const float *x)
{
    const struct nn_walk *w = &s->walk;
    struct nn_walk_cursor c = {0};
    do {
        if (w->inner_step[1] == 0)
            mean[c.at[1]] += k->sum(x + c.at[0], (size_t)w->inner);
        else
            k->add(mean + c.at[1], mean + c.at[1], x + c.at[0], (size_t)w->inner);
    } while (nn_walk_next(w, &c));
    k->affine(mean, mean, 1 / (float)s->count, 0, s->results);
}

static float sum_magnitudes(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabsf(x[i]);
    return (float)sum;
}

/* Σ (x - mean)², or Σ |x|. */
static void add_spreads(const struct nn_kernels *k, const struct state *s, bool squares,
                        float *spread, const float *mean, const float *x)
{
    const struct nn_walk *w = &s->walk;
    struct nn_walk_cursor c = {0};
    do {
        const float *from = x + c.at[0], *m = mean + c.at[1];
        float *to = spread + c.at[1];
        size_t n = (size_t)w->inner;
        if (w->inner_step[1] == 0) {
            *to += squares ? k->sum_squares(from, *m, n) : sum_magnitudes(from, n);
            continue;
        }
        for (size_t i = 0; i < n; i++)
            to[i] += squares ? (from[i] - m[i]) * (from[i] - m[i]) : fabsf(from[i]);
    } while (nn_walk_next(w, &c));
}

/* y = (x - mean) · factor */
static void scale_all(const struct nn_kernels *k, const struct state *s, float *y,
                      const float *x, const float *mean, const float *factor)
{
    const struct nn_walk *w = &s->walk;
    struct nn_walk_cursor c = {0};
    do {
        const float *m = mean + c.at[1], *f = factor + c.at[1];
        size_t n = (size_t)w->inner;
        if (w->inner_step[1] == 0) {
            k->affine(y + c.at[0], x + c.at[0], 1, -*m, n);
            k->affine(y + c.at[0], y + c.at[0], *f, 0, n);
        } else {
            k->sub(y + c.at[0], x + c.at[0], m, n);
            k->mul(y + c.at[0], y + c.at[0], f, n);
        }
    } while (nn_walk_next(w, &c));
}

static int forward(struct nn_op_call *call)
{
    const struct state *s = call->state;
    const struct nn_kernels *k = call->kernels;
    bool lp = call->op == &nn_op_lp_normalization, squares = nn_op_int(call, "p", 2) == 2;
    const float *x = call->inputs[0].data;
    float *mean = call->workspace, *spread = mean + s->results;
    if (s->walk.inner == 0)
        return 0;
    memset(mean, 0, 2 * s->results * sizeof *mean);
    if (!lp)
        add_means(k, s, mean, x);
    add_spreads(k, s, squares, spread, mean, x);
    for (size_t i = 0; i < s->results; i++) {
        if (lp && squares)
            spread[i] = sqrtf(spread[i]);
        else if (!lp)
            spread[i] = sqrtf(spread[i] / (float)s->count) + 1e-9f; /* ONNX's own epsilon */
        /* What has no length has no direction, and stays zero. */
        spread[i] = spread[i] != 0 ? 1 / spread[i] : 0;
    }
    scale_all(k, s, call->outputs[0].data, x, mean, spread);
    return 0;
}

static bool time_rule(const struct nn_op_call *call, const int *in, int *out)
{
    bool chosen[NN_MAX_RANK];
    out[0] = in[0];
    return read_axes(call, chosen) == 0 && !chosen[in[0]];
}

/* LRN: y = x / (bias + alpha / size · Σ x²)^beta, over `size` neighbouring channels. */

static int lrn_infer(struct nn_op_call *call)
{
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r < 0)
        return r;
    if (call->inputs[0].shape.rank < 2)
        return nn_op_fail(call, -EINVAL, "its input has no channels");
    if (nn_op_int(call, "size", 0) < 1)
        return nn_op_fail(call, -EINVAL, "attribute 'size' is missing or less than 1");
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

enum { BLOCK = 256 };

/* y = x / sums^beta */
static void divide_power(float *y, const float *x, const float *sums, float beta, size_t n)
{
    if (beta == 0.75f) { /* nearly everybody's */
        for (size_t i = 0; i < n; i++) {
            float root = sqrtf(sums[i]);
            y[i] = x[i] / (root * sqrtf(root));
        }
        return;
    }
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] / powf(sums[i], beta);
}

static int lrn_forward(struct nn_op_call *call)
{
    const struct nn_shape *shape = &call->inputs[0].shape;
    const struct nn_kernels *k = call->kernels;
    int64_t channels = shape->dim[1], inner = nn_shape_extent(shape, 2, shape->rank);
    int64_t size = nn_op_int(call, "size", 1);
    float alpha = nn_op_float(call, "alpha", 1e-4f) / (float)size;
    float beta = nn_op_float(call, "beta", 0.75f), bias = nn_op_float(call, "bias", 1);
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data, sums[BLOCK];
    size = size < 2 * channels + 1 ? size : 2 * channels + 1; /* more reach nothing more */
    for (int64_t c = 0; c < shape->dim[0] * channels; c++) {
        int64_t channel = c % channels, first = channel - (size - 1) / 2;
        int64_t end = first + size < channels ? first + size : channels;
        first = first > 0 ? first : 0;
        for (int64_t i = 0; i < inner; i += BLOCK) {
            size_t n = (size_t)(inner - i < BLOCK ? inner - i : BLOCK);
            memset(sums, 0, sizeof sums);
            for (int64_t other = first; other < end; other++) {
                const float *from = x + (c - channel + other) * inner + i;
                k->mul_add(sums, from, from, n);
            }
            k->affine(sums, sums, alpha, bias, n);
            divide_power(y + c * inner + i, x + c * inner + i, sums, beta, n);
        }
    }
    return 0;
}

static bool lrn_time(const struct nn_op_call *call, const int *in, int *out)
{
    (void)call;
    out[0] = in[0];
    return in[0] != 1;
}

static const struct nn_attribute_rule mvn_rules[] = {{"axes", NN_ATTRIBUTE_INTS, 0, 0}, {0}};
static const struct nn_attribute_rule lp_rules[] = {
    {"axis", NN_ATTRIBUTE_INT, 0, 0}, {"p", NN_ATTRIBUTE_INT, 0, 0}, {0}};
static const struct nn_attribute_rule lrn_rules[] = {{"alpha", NN_ATTRIBUTE_FLOAT, 0, 0},
                                                     {"beta", NN_ATTRIBUTE_FLOAT, 0, 0},
                                                     {"bias", NN_ATTRIBUTE_FLOAT, 0, 0},
                                                     {"size", NN_ATTRIBUTE_INT, 0, 0},
                                                     {0}};

#define NORM(row, op_type, ...)                                                                \
    const struct nn_op row = {.name = op_type,                                                 \
                              .min_inputs = 1,                                                 \
                              .max_inputs = 1,                                                 \
                              .min_outputs = 1,                                                \
                              .max_outputs = 1,                                                \
                              __VA_ARGS__}

NORM(nn_op_lp_normalization, "LpNormalization", .attributes = lp_rules, .infer = infer,
     .prepare = prepare, .forward = forward, .time = time_rule);
NORM(nn_op_lrn, "LRN", .attributes = lrn_rules, .infer = lrn_infer, .forward = lrn_forward,
     .time = lrn_time);
NORM(nn_op_mean_variance_normalization, "MeanVarianceNormalization", .attributes = mvn_rules,
     .infer = infer, .prepare = prepare, .forward = forward, .time = time_rule);

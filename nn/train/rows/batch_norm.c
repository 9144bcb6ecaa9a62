/* BatchNormalization. In training the mean and variance are those of the batch, per channel, and
 * the running ones are moved towards them as ONNX has it (the variance is not corrected for the
 * size of the sample); else the running ones are used. With x̂ = (x − mean) · inverse:
 *
 *     y = scale · x̂ + B      dB = Σ dy      dscale = Σ dy · x̂
 *     dx = scale · inverse · (dy − (dB + x̂ · dscale) / count)
 *
 * without what is in brackets where the running ones were used. */
#include <errno.h>
#include <math.h>

#include "nn/train/row.h"

enum { X, SCALE, B, MEAN, VARIANCE };

struct batch_norm {
    int64_t batch, channels, inner; /* channels: pairs of scale and B */
    real momentum;
    double epsilon;
};

/* Of each channel, kept from forward to backward. */
struct moments {
    real mean, inverse; /* of the standard deviation */
};

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    const struct nn_shape *x = &op->inputs[X].shape;
    struct batch_norm *n = nn_op_alloc(op, sizeof *n);
    if (!n)
        return -ENOMEM;
    for (int i = 1; i < op->output_count; i++)
        if (nn_op_wants_output(op, i))
            return nn_op_fail(op, -ENOTSUP,
                              "training needs no other output than the first; export the model "
                              "for inference");
    for (int i = MEAN; i <= VARIANCE; i++)
        if (nn_op_is_constant(op, i))
            return nn_op_fail(op, -ENOTSUP,
                              "its running mean and variance must be initializers");
    if (train_count(&op->inputs[X]) == 0)
        return nn_op_fail(op, -ENOTSUP, "nothing is learned from an empty batch");
    n->batch = x->dim[0];
    n->channels = train_count(&op->inputs[SCALE]);
    n->inner = train_count(&op->inputs[X]) / (n->batch * n->channels);
    n->momentum = (real)nn_op_float(op, "momentum", 0.9f);
    n->epsilon = (double)nn_op_float(op, "epsilon", 1e-5f);
    op->state = n;
    call->saved_bytes = (size_t)n->channels * sizeof(struct moments);
    return 0;
}

/* Channel c of image i begins here. */
static int64_t row_at(const struct batch_norm *n, int64_t i, int64_t c)
{
    return (i * n->channels + c) * n->inner;
}

static void measure(const struct train_call *call, const struct batch_norm *n, int64_t c,
                    double *ret_mean, double *ret_variance)
{
    const real *x = train_input(call, X);
    double sum = 0, squares = 0, count = (double)(n->batch * n->inner);
    for (int64_t i = 0; i < n->batch; i++)
        sum +=
            (double)TRAIN_NAME(train_total)(&call->op, x + row_at(n, i, c), (size_t)n->inner);
    double mean = sum / count;
    for (int64_t i = 0; i < n->batch; i++)
        squares += (double)TRAIN_NAME(train_squares)(&call->op, x + row_at(n, i, c), (real)mean,
                                                     (size_t)n->inner);
    *ret_mean = mean;
    *ret_variance = squares / count;
}

static void forward_channel(const struct train_call *call, const struct batch_norm *n,
                            int64_t c)
{
    struct moments *kept = (struct moments *)call->saved + c;
    real *running_mean = (real *)call->op.inputs[MEAN].data + c;
    real *running_variance = (real *)call->op.inputs[VARIANCE].data + c;
    double mean = (double)*running_mean, variance = (double)*running_variance;
    if (call->training) {
        measure(call, n, c, &mean, &variance);
        *running_mean = *running_mean * n->momentum + (real)mean * (1 - n->momentum);
        *running_variance =
            *running_variance * n->momentum + (real)variance * (1 - n->momentum);
    }
    kept->mean = (real)mean;
    kept->inverse = (real)(1 / sqrt(variance + n->epsilon));
    real factor = train_input(call, SCALE)[c] * kept->inverse;
    real shift = train_input(call, B)[c] - kept->mean * factor;
    for (int64_t i = 0; i < n->batch; i++)
        TRAIN_NAME(train_affine)
    (&call->op, train_output(call, 0) + row_at(n, i, c), train_input(call, X) + row_at(n, i, c),
     factor, shift, (size_t)n->inner);
}

/* Σ dy and Σ dy · x̂; the latter in lanes that a compiler can make vectors of. */
static void sum_gradients(const struct train_call *call, const struct batch_norm *n, int64_t c,
                          double *ret_sum, double *ret_product)
{
    enum { LANES = 16 };
    const struct moments *kept = (const struct moments *)call->saved + c;
    double sum = 0, product = 0;
    for (int64_t i = 0; i < n->batch; i++) {
        const real *x = train_input(call, X) + row_at(n, i, c);
        const real *dy = train_output_gradient(call, 0) + row_at(n, i, c);
        real lanes[LANES] = {0};
        int64_t j = 0;
        for (; j + LANES <= n->inner; j += LANES)
            for (int l = 0; l < LANES; l++)
                lanes[l] += dy[j + l] * (x[j + l] - kept->mean);
        for (; j < n->inner; j++)
            lanes[0] += dy[j] * (x[j] - kept->mean);
        sum += (double)TRAIN_NAME(train_total)(&call->op, dy, (size_t)n->inner);
        for (int l = 0; l < LANES; l++)
            product += (double)lanes[l];
    }
    *ret_sum = sum;
    *ret_product = product * (double)kept->inverse;
}

/* dx as a·dy + b·x + c: what is above, sorted. */
static void backward_channel(const struct train_call *call, const struct batch_norm *n,
                             int64_t channel)
{
    const struct moments *kept = (const struct moments *)call->saved + channel;
    double sum, product, count = (double)(n->batch * n->inner);
    sum_gradients(call, n, channel, &sum, &product);
    if (train_input_gradient(call, SCALE))
        train_input_gradient(call, SCALE)[channel] = (real)product;
    if (train_input_gradient(call, B))
        train_input_gradient(call, B)[channel] = (real)sum;
    if (!train_input_gradient(call, X))
        return;
    double a = (double)train_input(call, SCALE)[channel] * (double)kept->inverse, b = 0, c = 0;
    if (call->training) {
        b = -a * product * (double)kept->inverse / count;
        c = -a * sum / count - b * (double)kept->mean;
    }
    for (int64_t i = 0; i < n->batch; i++) {
        const real *x = train_input(call, X) + row_at(n, i, channel);
        const real *dy = train_output_gradient(call, 0) + row_at(n, i, channel);
        real *restrict dx = train_input_gradient(call, X) + row_at(n, i, channel);
        for (int64_t j = 0; j < n->inner; j++)
            dx[j] = (real)a * dy[j] + ((real)b * x[j] + (real)c);
    }
}

static void forward_channels(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    (void)thread;
    for (; first < end; first++)
        forward_channel(call, call->op.state, first);
}

static void backward_channels(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    (void)thread;
    for (; first < end; first++)
        backward_channel(call, call->op.state, first);
}

static int forward(struct train_call *call)
{
    const struct batch_norm *n = call->op.state;
    nn_op_parallel(&call->op, n->channels, 4 * (double)train_count(&call->op.inputs[X]),
                   forward_channels, call);
    return 0;
}

static void backward(struct train_call *call)
{
    const struct batch_norm *n = call->op.state;
    nn_op_parallel(&call->op, n->channels, 5 * (double)train_count(&call->op.inputs[X]),
                   backward_channels, call);
}

const struct train_row TRAIN_NAME(train_row_batch_normalization) = {
    .op = "BatchNormalization",
    .parameters = 1 << SCALE | 1 << B,
    .statistics = 1 << MEAN | 1 << VARIANCE,
    .fixed = 1 << MEAN | 1 << VARIANCE,
    .prepare = prepare,
    .forward = forward,
    .backward = backward};

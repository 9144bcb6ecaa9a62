/* AveragePool: each window's sum by how many of its places count, and a share of the gradient for
 * each of them back. */
#include <errno.h>
#include <string.h>

#include "nn/ops/spatial.h"
#include "nn/train/row.h"

struct average {
    struct nn_spatial s;
    real *share; /* (out_size): 1 / places that count */
};

/* How many places under a window of an axis are an input or, if they count, declared padding;
 * never what ceil_mode adds behind it. */
static int64_t places(const struct nn_spatial *s, int axis, int64_t out, bool with_padding)
{
    int64_t low = with_padding ? -s->pad_before[axis] : 0, count = 0;
    int64_t high = s->in[axis] + (with_padding ? s->pad_after[axis] : 0);
    for (int64_t t = 0; t < s->kernel[axis]; t++) {
        int64_t at = out * s->stride[axis] - s->pad_before[axis] + t * s->dilation[axis];
        count += at >= low && at < high;
    }
    return count > 0 ? count : 1;
}

static void find_shares(const struct nn_spatial *s, bool with_padding, real *share)
{
    for (int64_t d = 0; d < s->out[0]; d++)
        for (int64_t h = 0; h < s->out[1]; h++)
            for (int64_t w = 0; w < s->out[2]; w++)
                *share++ =
                    1 / (real)(places(s, 0, d, with_padding) * places(s, 1, h, with_padding) *
                               places(s, 2, w, with_padding));
}

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    int axes = 0;
    const int64_t *kernel = nn_op_ints(op, "kernel_shape", &axes);
    struct average *a = nn_op_alloc(op, sizeof *a);
    if (!a)
        return -ENOMEM;
    int r = nn_spatial_infer(op, kernel, axes, op->inputs[0].shape.dim[1], &a->s);
    if (r < 0)
        return r;
    a->share = nn_op_alloc(op, (size_t)a->s.out_size * sizeof *a->share);
    if (!a->share)
        return -ENOMEM;
    find_shares(&a->s, nn_op_int(op, "count_include_pad", 0) != 0, a->share);
    op->state = a;
    return 0;
}

/* Rows of outputs and inputs that meet at a tap: outputs first..end - 1 of a row, inputs `step`
 * apart from the first's on. */
struct meeting {
    int64_t first, end, from, step;
};

static struct meeting meet(const struct nn_spatial *s, int64_t tap)
{
    int64_t begin = tap * s->dilation[2] - s->pad_before[2], step = s->stride[2];
    struct meeting m = {.first = begin < 0 ? (-begin + step - 1) / step : 0, .step = step};
    m.end = begin < s->in[2] ? (s->in[2] - 1 - begin) / step + 1 : 0;
    m.end = m.end < s->out[2] ? m.end : s->out[2];
    m.from = begin + m.first * step;
    return m;
}

/* The input's row under tap (d, h) of the outputs' row (od, oh), or -1. */
static int64_t row_under(const struct nn_spatial *s, int64_t od, int64_t oh, int64_t d,
                         int64_t h)
{
    int64_t z = od * s->stride[0] - s->pad_before[0] + d * s->dilation[0];
    int64_t y = oh * s->stride[1] - s->pad_before[1] + h * s->dilation[1];
    return z < 0 || z >= s->in[0] || y < 0 || y >= s->in[1] ? -1
                                                            : (z * s->in[1] + y) * s->in[2];
}

static void add_row(const struct nn_spatial *s, const real *x, real *y)
{
    for (int64_t t = 0; t < s->kernel[2]; t++) {
        struct meeting m = meet(s, t);
        for (int64_t i = m.first, at = m.from; i < m.end; i++, at += m.step)
            y[i] += x[at];
    }
}

static void spread_row(const struct nn_spatial *s, const real *dy, const real *share, real *dx)
{
    for (int64_t t = 0; t < s->kernel[2]; t++) {
        struct meeting m = meet(s, t);
        for (int64_t i = m.first, at = m.from; i < m.end; i++, at += m.step)
            dx[at] += dy[i] * share[i];
    }
}

static void pool_channels(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct average *a = call->op.state;
    const struct nn_spatial *s = &a->s;
    (void)thread;
    for (; first < end; first++) {
        const real *x = train_input(call, 0) + first * s->in_size;
        real *y = train_output(call, 0) + first * s->out_size;
        memset(y, 0, (size_t)s->out_size * sizeof *y);
        for (int64_t r = 0; r < s->out[0] * s->out[1]; r++)
            for (int64_t t = 0; t < s->kernel[0] * s->kernel[1]; t++) {
                int64_t row = row_under(s, r / s->out[1], r % s->out[1], t / s->kernel[1],
                                        t % s->kernel[1]);
                if (row >= 0)
                    add_row(s, x + row, y + r * s->out[2]);
            }
        TRAIN_NAME(train_product)(&call->op, y, y, a->share, (size_t)s->out_size);
    }
}

static void spread_channels(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct average *a = call->op.state;
    const struct nn_spatial *s = &a->s;
    (void)thread;
    for (; first < end; first++) {
        const real *dy = train_output_gradient(call, 0) + first * s->out_size;
        real *dx = train_input_gradient(call, 0) + first * s->in_size;
        memset(dx, 0, (size_t)s->in_size * sizeof *dx);
        for (int64_t r = 0; r < s->out[0] * s->out[1]; r++)
            for (int64_t t = 0; t < s->kernel[0] * s->kernel[1]; t++) {
                int64_t row = row_under(s, r / s->out[1], r % s->out[1], t / s->kernel[1],
                                        t % s->kernel[1]);
                if (row >= 0)
                    spread_row(s, dy + r * s->out[2], a->share + r * s->out[2], dx + row);
            }
    }
}

static void for_channels(struct train_call *call,
                         void (*work)(void *data, int64_t first, int64_t end, int thread))
{
    const struct average *a = call->op.state;
    const struct nn_shape *x = &call->op.inputs[0].shape;
    int64_t channels = x->dim[0] * x->dim[1];
    nn_op_parallel(&call->op, channels,
                   (double)channels * (double)(a->s.out_size * a->s.window_size), work, call);
}

static int forward(struct train_call *call)
{
    for_channels(call, pool_channels);
    return 0;
}

static void backward(struct train_call *call)
{
    for_channels(call, spread_channels);
}

const struct train_row TRAIN_NAME(train_row_average_pool) = {
    .op = "AveragePool", .prepare = prepare, .forward = forward, .backward = backward};

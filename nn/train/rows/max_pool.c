/* MaxPool: an output's gradient goes to the first input that is the maximum, in the order of the
 * window. Where that is is found again when it is wanted: it costs less than to keep it.
 *
 * op.activation RELU: the input is a ReLU's output, and no gradient goes to where that is zero. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/ops/spatial.h"
#include "nn/train/row.h"

#ifndef TRAIN_DOUBLE
#define train_max_gradient nn_max_gradient
#else
struct train_max_gradient { /* as struct nn_max_gradient */
    const real *a, *b, *y, *dy;
    real *da, *db;
    size_t n;
    bool positive;
};
#endif

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    int axes = 0;
    const int64_t *kernel = nn_op_ints(op, "kernel_shape", &axes);
    const struct nn_shape *x = &op->inputs[0].shape;
    struct nn_spatial *s = nn_op_alloc(op, sizeof *s);
    if (!s)
        return -ENOMEM;
    if (nn_op_wants_output(op, 1))
        return nn_op_fail(op, -ENOTSUP, "the indices of maxima are not trained");
    op->state = s;
    return nn_spatial_infer(op, kernel, axes, x->dim[1], s);
}

/* Windows of 2×2 that move by two and never stick out, in planes that may be many: those of
 * nearly every network. */
static bool is_halving(const struct nn_spatial *s)
{
    for (int a = 0; a < NN_SPATIAL_AXES; a++) {
        int64_t side = a == 0 ? 1 : 2;
        if (s->kernel[a] != side || s->stride[a] != side || s->dilation[a] != 1 ||
            s->pad_before[a] != 0 || s->out[a] * side > s->in[a])
            return false;
    }
    return true;
}

struct window {
    int64_t begin[NN_SPATIAL_AXES], end[NN_SPATIAL_AXES]; /* of taps that are in the image */
    int64_t at[NN_SPATIAL_AXES];                          /* of tap 0 */
};

static struct window window_at(const struct nn_spatial *s, int64_t out)
{
    struct window w;
    for (int a = NN_SPATIAL_AXES - 1; a >= 0; a--) {
        w.at[a] = out % s->out[a] * s->stride[a] - s->pad_before[a];
        out /= s->out[a];
        w.begin[a] = 0;
        while (w.at[a] + w.begin[a] * s->dilation[a] < 0)
            w.begin[a]++;
        w.end[a] = s->kernel[a];
        while (w.end[a] > 0 && w.at[a] + (w.end[a] - 1) * s->dilation[a] >= s->in[a])
            w.end[a]--;
    }
    return w;
}

/* The first maximum of a window of x; -1: the window has nothing. */
static int64_t find_most(const struct nn_spatial *s, const real *x, int64_t out)
{
    struct window w = window_at(s, out);
    int64_t best = -1;
    for (int64_t i = w.begin[0]; i < w.end[0]; i++)
        for (int64_t j = w.begin[1]; j < w.end[1]; j++)
            for (int64_t k = w.begin[2]; k < w.end[2]; k++) {
                int64_t at =
                    ((w.at[0] + i * s->dilation[0]) * s->in[1] + w.at[1] + j * s->dilation[1]) *
                        s->in[2] +
                    w.at[2] + k * s->dilation[2];
                if (best < 0 || x[at] > x[best])
                    best = at;
            }
    return best;
}

/* Two rows of inputs to one of outputs, and back. */
static void halve_row(const struct train_call *call, const real *above, const real *below,
                      size_t n, real *y)
{
#ifndef TRAIN_DOUBLE
    call->op.kernels->max_2x2(y, above, below, n);
#else
    (void)call;
    for (size_t i = 0; i < n; i++)
        y[i] = fmax(fmax(above[2 * i], above[2 * i + 1]), fmax(below[2 * i], below[2 * i + 1]));
#endif
}

static void double_row(const struct train_call *call, const struct train_max_gradient *g)
{
#ifndef TRAIN_DOUBLE
    call->op.kernels->max_2x2_gradient(g);
#else
    (void)call;
    for (size_t i = 0; i < g->n; i++) {
        const real x[] = {g->a[2 * i], g->a[2 * i + 1], g->b[2 * i], g->b[2 * i + 1]};
        real *to[] = {&g->da[2 * i], &g->da[2 * i + 1], &g->db[2 * i], &g->db[2 * i + 1]};
        real left = !g->positive || g->y[i] > 0 ? g->dy[i] : 0;
        for (size_t j = 0; j < 4; j++) {
            *to[j] = x[j] < g->y[i] ? 0 : left;
            left = x[j] < g->y[i] ? left : 0;
        }
    }
#endif
}

/* Where in the input the upper one of the two rows of an output's row begins. */
static int64_t upper_row(const struct nn_spatial *s, int64_t row)
{
    return (row / s->out[1] * s->in[1] + 2 * (row % s->out[1])) * s->in[2];
}

static void halve(const struct train_call *call, const struct nn_spatial *s, const real *x,
                  real *y)
{
    for (int64_t row = 0; row < s->out[0] * s->out[1]; row++, y += s->out[2]) {
        const real *above = x + upper_row(s, row);
        halve_row(call, above, above + s->in[2], (size_t)s->out[2], y);
    }
}

/* What no window sees, at the right and at the bottom. */
static void clear_rest(const struct nn_spatial *s, real *dx)
{
    for (int64_t row = 0; row < s->in[0] * s->in[1]; row++, dx += s->in[2]) {
        bool seen = row % s->in[1] < 2 * s->out[1];
        for (int64_t i = seen ? 2 * s->out[2] : 0; i < s->in[2]; i++)
            dx[i] = 0;
    }
}

static void double_back(const struct train_call *call, const struct nn_spatial *s,
                        const real *x, const real *y, const real *dy, real *dx)
{
    if (s->in[1] > 2 * s->out[1] || s->in[2] > 2 * s->out[2])
        clear_rest(s, dx);
    struct train_max_gradient g = {.y = y,
                                   .dy = dy,
                                   .n = (size_t)s->out[2],
                                   .positive = call->op.activation == NN_ACTIVATION_RELU};
    for (int64_t row = 0; row < s->out[0] * s->out[1]; row++) {
        int64_t at = upper_row(s, row);
        g.a = x + at;
        g.b = g.a + s->in[2];
        g.da = dx + at;
        g.db = g.da + s->in[2];
        double_row(call, &g);
        g.y += s->out[2];
        g.dy += s->out[2];
    }
}

static void pool_planes(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct nn_spatial *s = call->op.state;
    bool halving = is_halving(s);
    (void)thread;
    for (; first < end; first++) {
        const real *x = train_input(call, 0) + first * s->in_size;
        real *y = train_output(call, 0) + first * s->out_size;
        if (halving) {
            halve(call, s, x, y);
            continue;
        }
        for (int64_t i = 0; i < s->out_size; i++) {
            int64_t at = find_most(s, x, i);
            y[i] = at < 0 ? (real)-INFINITY : x[at];
        }
    }
}

static void spread_planes(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct nn_spatial *s = call->op.state;
    bool halving = is_halving(s), positive = call->op.activation == NN_ACTIVATION_RELU;
    (void)thread;
    for (; first < end; first++) {
        const real *x = train_input(call, 0) + first * s->in_size;
        const real *y = train_output(call, 0) + first * s->out_size;
        const real *dy = train_output_gradient(call, 0) + first * s->out_size;
        real *dx = train_input_gradient(call, 0) + first * s->in_size;
        if (halving) {
            double_back(call, s, x, y, dy, dx);
            continue;
        }
        memset(dx, 0, (size_t)s->in_size * sizeof *dx);
        for (int64_t i = 0; i < s->out_size; i++) {
            int64_t at = find_most(s, x, i);
            if (at >= 0 && (!positive || x[at] > 0))
                dx[at] += dy[i];
        }
    }
}

static void for_planes(struct train_call *call,
                       void (*work)(void *data, int64_t first, int64_t end, int thread))
{
    const struct nn_shape *x = &call->op.inputs[0].shape;
    nn_op_parallel(&call->op, x->dim[0] * x->dim[1], (double)nn_shape_count(x), work, call);
}

static int forward(struct train_call *call)
{
    for_planes(call, pool_planes);
    return 0;
}

static void backward(struct train_call *call)
{
    for_planes(call, spread_planes);
}

const struct train_row TRAIN_NAME(train_row_max_pool) = {
    .op = "MaxPool", .prepare = prepare, .forward = forward, .backward = backward};

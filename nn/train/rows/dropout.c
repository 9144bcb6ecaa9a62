/* Dropout: in training each element is left out with probability p, and the others are divided by
 * 1 − p; else nothing happens. Whether an element is left out is a function of the step's seed and
 * of its place alone, so it is the same for any number of threads. */
#include <errno.h>
#include <string.h>

#include "nn/train/row.h"

/* Elements of a share of work, an even number. */
enum { BLOCK = 4096 };

struct dropout {
    int64_t count;
    real scale;         /* 1 / (1 - p) */
    uint32_t threshold; /* of 2^32: numbers below leave out */
    bool all;           /* p is 1 */
};

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    struct dropout *d = nn_op_alloc(op, sizeof *d);
    if (!d)
        return -ENOMEM;
    if (nn_op_wants_output(op, 1))
        return nn_op_fail(op, -ENOTSUP, "its mask is not trained");
    if (nn_op_has_input(op, 1) &&
        (!nn_op_is_constant(op, 1) || op->inputs[1].type != NN_TYPE_FLOAT))
        return nn_op_fail(op, -ENOTSUP, "its ratio must be a constant of float32");
    double p = nn_op_has_input(op, 1) ? (double)*train_input(call, 1)
                                      : (double)nn_op_float(op, "ratio", 0.5f);
    if (!(p >= 0 && p <= 1))
        return nn_op_fail(op, -EINVAL, "its ratio is %g, not 0 to 1", p);
    d->count = train_count(&op->inputs[0]);
    d->all = p >= 1;
    d->threshold = (uint32_t)(d->all ? 0 : p * 4294967296.0);
    d->scale = (real)(d->all ? 0 : 1 / (1 - p));
    op->state = d;
    call->saved_bytes = (size_t)d->count;
    return 0;
}

/* splitmix64 (Steele, Lea and Flood, 2014), whose state is a counter. */
static uint64_t mix(uint64_t at)
{
    at = (at ^ at >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    at = (at ^ at >> 27) * UINT64_C(0x94d049bb133111eb);
    return at ^ at >> 31;
}

/* Steps and layers have seeds that may differ by what the counter counts in: they are mixed
 * first. */
static void draw_blocks(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct dropout *d = call->op.state;
    uint64_t start = mix(call->seed + UINT64_C(0x632be59bd9b4e019));
    int64_t last = end * BLOCK < d->count ? end * BLOCK : d->count;
    const real *x = train_input(call, 0);
    real *restrict y = train_output(call, 0);
    uint8_t *keep = call->saved;
    (void)thread;
    for (int64_t i = first * BLOCK; i < last; i += 2) {
        uint64_t drawn = mix(start + (uint64_t)(i / 2) * UINT64_C(0x9e3779b97f4a7c15));
        keep[i] = (uint32_t)drawn >= d->threshold;
        if (i + 1 < last)
            keep[i + 1] = (uint32_t)(drawn >> 32) >= d->threshold;
    }
    for (int64_t i = first * BLOCK; i < last; i++)
        y[i] = x[i] * ((real)keep[i] * d->scale);
}

static void pass_blocks(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct dropout *d = call->op.state;
    int64_t last = end * BLOCK < d->count ? end * BLOCK : d->count;
    const real *dy = train_output_gradient(call, 0);
    real *restrict dx = train_input_gradient(call, 0);
    const uint8_t *keep = call->saved;
    (void)thread;
    for (int64_t i = first * BLOCK; i < last; i++)
        dx[i] = dy[i] * ((real)keep[i] * d->scale);
}

static int forward(struct train_call *call)
{
    const struct dropout *d = call->op.state;
    if (call->training)
        nn_op_parallel(&call->op, (d->count + BLOCK - 1) / BLOCK, 4 * (double)d->count,
                       draw_blocks, call);
    else
        memcpy(train_output(call, 0), train_input(call, 0), (size_t)d->count * sizeof(real));
    return 0;
}

static void backward(struct train_call *call)
{
    const struct dropout *d = call->op.state;
    if (call->training)
        nn_op_parallel(&call->op, (d->count + BLOCK - 1) / BLOCK, 2 * (double)d->count,
                       pass_blocks, call);
    else
        memcpy(train_input_gradient(call, 0), train_output_gradient(call, 0),
               (size_t)d->count * sizeof(real));
}

const struct train_row TRAIN_NAME(train_row_dropout) = {.op = "Dropout",
                                                        .fixed = ~1u,
                                                        .prepare = prepare,
                                                        .forward = forward,
                                                        .backward = backward};

/* Softmax, LogSoftmax and Hardmax: rows that are shared out among their elements. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"

/* What makes a row of it; y may be x. */
typedef void row_function(const struct nn_kernels *k, float *y, const float *x, size_t n);

struct softmax {
    row_function *row;
};

/* Rows of `count` values `inner` apart. Before opset 13 everything from the axis on was one
 * row; since then only the axis is. */
struct geometry {
    int64_t outer, count, inner;
};

static int read_geometry(const struct nn_op_call *call, struct geometry *ret_geometry)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    bool flattens = call->opset < 13;
    int64_t wanted = nn_op_int(call, "axis", flattens ? 1 : -1);
    /* The old form may name the end: rows of one value. */
    int axis = flattens && wanted == x->rank ? x->rank : nn_op_axis(call, wanted, x->rank);
    if (axis < 0)
        return axis;
    struct geometry g = {1, 1, 1};
    for (int i = 0; i < x->rank; i++) {
        if (i < axis)
            g.outer *= x->dim[i];
        else if (i == axis || flattens)
            g.count *= x->dim[i];
        else
            g.inner *= x->dim[i];
    }
    *ret_geometry = g;
    return 0;
}

static int infer(struct nn_op_call *call)
{
    struct geometry g;
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r == 0)
        r = read_geometry(call, &g);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static int prepare(struct nn_op_call *call)
{
    struct geometry *g = nn_op_alloc(call, sizeof *g);
    if (!g)
        return -ENOMEM;
    int r = read_geometry(call, g);
    if (r < 0)
        return r;
    call->state = g;
    call->workspace_bytes = g->inner > 1 ? (size_t)g->count * sizeof(float) : 0;
    return 0;
}

static int forward(struct nn_op_call *call)
{
    row_function *make = ((const struct softmax *)call->op->variant)->row;
    const struct geometry *g = call->state;
    const struct nn_kernels *k = call->kernels;
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data, *row = call->workspace;
    size_t count = (size_t)g->count;
    for (int64_t i = 0; i < g->outer; i++, x += g->count * g->inner, y += g->count * g->inner) {
        if (g->inner == 1) {
            make(k, y, x, count);
            continue;
        }
        for (int64_t j = 0; j < g->inner; j++) {
            k->gather(row, x + j, (size_t)g->inner, count);
            make(k, row, row, count);
            for (int64_t c = 0; c < g->count; c++)
                y[c * g->inner + j] = row[c];
        }
    }
    return 0;
}

/* Any axis that no sum runs over. */
static bool time_rule(const struct nn_op_call *call, const int *in, int *out)
{
    int rank = call->inputs[0].shape.rank;
    bool flattens = call->opset < 13;
    int64_t axis = nn_op_int(call, "axis", flattens ? 1 : -1);
    if (axis < 0)
        axis += rank;
    if (in[0] == axis || (flattens && in[0] > axis))
        return false;
    out[0] = in[0];
    return true;
}

/* Rows. */

static void soft_row(const struct nn_kernels *k, float *y, const float *x, size_t n)
{
    k->softmax(y, x, n);
}

/* The first of the largest; NaN is larger than any number. */
static size_t place_of_largest(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n && !isnan(x[best]); i++)
        best = x[i] > x[best] || isnan(x[i]) ? i : best;
    return best;
}

/* x - max - log Σ exp(x - max) */
static void log_row(const struct nn_kernels *k, float *y, const float *x, size_t n)
{
    enum { BLOCK = 256 };
    float part[BLOCK];
    if (n == 0)
        return;
    k->affine(y, x, 1, -x[place_of_largest(x, n)], n);
    double sum = 0;
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t count = n - i < BLOCK ? n - i : BLOCK;
        k->exp(part, y + i, count);
        sum += k->sum(part, count);
    }
    k->affine(y, y, 1, (float)-log(sum), n);
}

static void hard_row(const struct nn_kernels *k, float *y, const float *x, size_t n)
{
    (void)k;
    if (n == 0)
        return;
    size_t place = place_of_largest(x, n);
    memset(y, 0, n * sizeof *y);
    y[place] = 1;
}

static const struct nn_attribute_rule rules[] = {{"axis", NN_ATTRIBUTE_INT, 0, 0}, {0}};

#define SOFTMAX(name_of_row, op_type, function)                                                \
    const struct nn_op name_of_row = {                                                         \
        .name = op_type,                                                                       \
        .variant = &(const struct softmax){function},                                          \
        .min_inputs = 1,                                                                       \
        .max_inputs = 1,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .attributes = rules,                                                                   \
        .infer = infer,                                                                        \
        .prepare = prepare,                                                                    \
        .forward = forward,                                                                    \
        .time = time_rule,                                                                     \
    }

SOFTMAX(nn_op_hardmax, "Hardmax", hard_row);
SOFTMAX(nn_op_log_softmax, "LogSoftmax", log_row);
SOFTMAX(nn_op_softmax, "Softmax", soft_row);

/* LayerNormalization and InstanceNormalization: stretches of neighbours in memory (rows) are
 * brought to mean 0 and variance 1, then scaled and shifted: by a pair for each place in a row
 * (layers) or for each row of an image (instances). With x̂ = (x − mean) · inverse and
 * g = dy · scale, means over a row:
 *
 *     dx = inverse · (g − mean(g) − x̂ · mean(g · x̂))    dscale = Σ dy · x̂    dbias = Σ dy */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/train/row.h"

enum { X, SCALE, BIAS };

struct row_norm {
    int64_t rows, count;
    int64_t pairs; /* of scale and bias: count, or, by_row, rows of an image */
    bool by_row;
    double epsilon;
};

struct moments {
    real mean, inverse; /* of the standard deviation */
};

static int check(const struct nn_op_call *op, const struct row_norm *n)
{
    for (int i = SCALE; i <= BIAS; i++)
        if (nn_op_has_input(op, i) && train_count(&op->inputs[i]) != n->pairs)
            return nn_op_fail(op, -ENOTSUP,
                              "a scale or bias of another shape than its rows is not trained");
    for (int j = 1; j < op->output_count; j++)
        if (nn_op_wants_output(op, j))
            return nn_op_fail(op, -ENOTSUP, "the mean and deviation are not trained");
    return 0;
}

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    const struct nn_shape *x = &op->inputs[X].shape;
    struct row_norm *n = nn_op_alloc(op, sizeof *n);
    if (!n)
        return -ENOMEM;
    n->by_row = strcmp(op->op->name, "InstanceNormalization") == 0;
    int axis = n->by_row ? 2 : nn_op_axis(op, nn_op_int(op, "axis", -1), x->rank);
    n->rows = nn_shape_extent(x, 0, axis);
    n->count = nn_shape_extent(x, axis, x->rank);
    n->pairs = n->by_row ? x->dim[1] : n->count;
    n->epsilon = (double)nn_op_float(op, "epsilon", 1e-5f);
    op->state = n;
    call->saved_bytes = (size_t)n->rows * sizeof(struct moments);
    op->workspace_bytes = 2 * TRAIN_BATCH_PARTS * (size_t)n->pairs * sizeof(real);
    return check(op, n);
}

static void forward_rows(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct row_norm *n = call->op.state;
    const real *scale = train_input(call, SCALE), *bias = train_input(call, BIAS);
    size_t count = (size_t)n->count;
    (void)thread;
    for (; first < end; first++) {
        const real *x = train_input(call, X) + first * n->count;
        real *y = train_output(call, 0) + first * n->count;
        struct moments *kept = (struct moments *)call->saved + first;
        kept->mean = TRAIN_NAME(train_total)(&call->op, x, count) / (real)count;
        real squares = TRAIN_NAME(train_squares)(&call->op, x, kept->mean, count);
        kept->inverse = (real)(1 / sqrt((double)(squares / (real)count) + n->epsilon));
        int64_t pair = n->by_row ? first % n->pairs : 0;
        real factor = kept->inverse * (n->by_row ? scale[pair] : 1);
        TRAIN_NAME(train_affine)
        (&call->op, y, x, factor, (n->by_row ? bias[pair] : 0) - kept->mean * factor, count);
        if (n->by_row)
            continue;
        TRAIN_NAME(train_product)(&call->op, y, y, scale, count);
        if (bias)
            TRAIN_NAME(train_add)(&call->op, y, bias, count);
    }
}

static int forward(struct train_call *call)
{
    const struct row_norm *n = call->op.state;
    nn_op_parallel(&call->op, n->rows, 4 * (double)n->rows * (double)n->count, forward_rows,
                   call);
    return 0;
}

/* Sums of one part of the rows. */
struct sums {
    real *scale, *bias;
};

static struct sums sums_of(const struct train_call *call, int64_t part)
{
    const struct row_norm *n = call->op.state;
    struct sums s = {.scale = (real *)call->op.workspace + part * n->pairs};
    s.bias = s.scale + TRAIN_BATCH_PARTS * n->pairs;
    return s;
}

/* Of a row: Σ g and Σ g · x̂, in lanes that a compiler can make vectors of. scale NULL: 1. */
static void sum_row(const struct row_norm *n, const struct moments *kept, const real *x,
                    const real *dy, const real *scale, double *ret_sum, double *ret_product)
{
    enum { LANES = 16 };
    real sums[LANES] = {0}, products[LANES] = {0};
    int64_t whole = n->count / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int64_t l = 0; l < LANES; l++) {
            real g = dy[i + l] * (scale ? scale[i + l] : 1);
            sums[l] += g;
            products[l] += g * ((x[i + l] - kept->mean) * kept->inverse);
        }
    for (int64_t i = whole; i < n->count; i++) {
        real g = dy[i] * (scale ? scale[i] : 1);
        sums[0] += g;
        products[0] += g * ((x[i] - kept->mean) * kept->inverse);
    }
    *ret_sum = *ret_product = 0;
    for (int l = 0; l < LANES; l++) {
        *ret_sum += (double)sums[l];
        *ret_product += (double)products[l];
    }
}

/* dx = a · g + b · x + c: what is above, sorted. */
struct line {
    real a, b, c;
};

static struct line line_of(const struct row_norm *n, const struct moments *kept, double sum,
                           double product, double scale)
{
    double inverse = (double)kept->inverse, count = (double)n->count;
    double a = inverse * scale, b = -a * product * inverse / count;
    double c = -a * sum / count - b * (double)kept->mean;
    return (struct line){(real)a, (real)b, (real)c};
}

/* An instance: one pair. */
static void backward_instance(const struct train_call *call, int64_t row,
                              const struct sums *sums)
{
    const struct row_norm *n = call->op.state;
    const struct moments *kept = (const struct moments *)call->saved + row;
    const real *x = train_input(call, X) + row * n->count;
    const real *dy = train_output_gradient(call, 0) + row * n->count;
    int64_t pair = row % n->pairs;
    double sum, product;
    sum_row(n, kept, x, dy, NULL, &sum, &product);
    sums->bias[pair] += (real)sum;
    sums->scale[pair] += (real)product;
    if (!train_input_gradient(call, X))
        return;
    struct line l = line_of(n, kept, sum, product, (double)train_input(call, SCALE)[pair]);
    real *restrict dx = train_input_gradient(call, X) + row * n->count;
    for (int64_t i = 0; i < n->count; i++)
        dx[i] = l.a * dy[i] + (l.b * x[i] + l.c);
}

/* A layer: a pair for each place. */
static void backward_layer(const struct train_call *call, int64_t row, const struct sums *sums)
{
    const struct row_norm *n = call->op.state;
    const struct moments *kept = (const struct moments *)call->saved + row;
    const real *x = train_input(call, X) + row * n->count, *scale = train_input(call, SCALE);
    const real *dy = train_output_gradient(call, 0) + row * n->count;
    const real mean = kept->mean, inverse = kept->inverse;
    real *restrict to_scale = sums->scale, *restrict to_bias = sums->bias;
    for (int64_t i = 0; i < n->count; i++) {
        to_scale[i] += dy[i] * ((x[i] - mean) * inverse);
        to_bias[i] += dy[i];
    }
    if (!train_input_gradient(call, X))
        return;
    double sum, product;
    sum_row(n, kept, x, dy, scale, &sum, &product);
    struct line l = line_of(n, kept, sum, product, 1);
    real *restrict dx = train_input_gradient(call, X) + row * n->count;
    for (int64_t i = 0; i < n->count; i++)
        dx[i] = l.a * dy[i] * scale[i] + (l.b * x[i] + l.c);
}

static void backward_parts(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct row_norm *n = call->op.state;
    (void)thread;
    for (; first < end; first++) {
        struct sums sums = sums_of(call, first);
        memset(sums.scale, 0, (size_t)n->pairs * sizeof(real));
        memset(sums.bias, 0, (size_t)n->pairs * sizeof(real));
        int64_t last = train_batch_part(n->rows, first + 1);
        for (int64_t row = train_batch_part(n->rows, first); row < last; row++)
            if (n->by_row)
                backward_instance(call, row, &sums);
            else
                backward_layer(call, row, &sums);
    }
}

static void backward(struct train_call *call)
{
    const struct row_norm *n = call->op.state;
    nn_op_parallel(&call->op, TRAIN_BATCH_PARTS, 5 * (double)n->rows * (double)n->count,
                   backward_parts, call);
    struct sums sums = sums_of(call, 0);
    if (train_input_gradient(call, SCALE))
        TRAIN_NAME(train_sum_parts)
    (&call->op, sums.scale, (size_t)n->pairs, train_input_gradient(call, SCALE));
    if (train_input_gradient(call, BIAS))
        TRAIN_NAME(train_sum_parts)
    (&call->op, sums.bias, (size_t)n->pairs, train_input_gradient(call, BIAS));
}

#define ROW_NORM(name, type)                                                                   \
    const struct train_row TRAIN_NAME(train_row_##name) = {.op = type,                         \
                                                           .parameters =                       \
                                                               1 << SCALE | 1 << BIAS,         \
                                                           .prepare = prepare,                 \
                                                           .forward = forward,                 \
                                                           .backward = backward}

ROW_NORM(instance_normalization, "InstanceNormalization");
ROW_NORM(layer_normalization, "LayerNormalization");

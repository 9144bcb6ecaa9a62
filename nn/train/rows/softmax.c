/* Softmax along an axis: dx = y · (dy − Σ dy · y); LogSoftmax: dx = dy − eʸ · Σ dy. Before opset 13
 * everything from the axis on is one row. */
#include <math.h>

#include "nn/train/row.h"

struct rows {
    int64_t before, length, after;
};

static struct rows rows_of(const struct train_call *call)
{
    const struct nn_shape *shape = &call->op.inputs[0].shape;
    bool flat = call->op.opset < 13;
    int axis = nn_op_axis(&call->op, nn_op_int(&call->op, "axis", flat ? 1 : -1), shape->rank);
    return (struct rows){
        .before = nn_shape_extent(shape, 0, axis),
        .length = nn_shape_extent(shape, axis, flat ? shape->rank : axis + 1),
        .after = flat ? 1 : nn_shape_extent(shape, axis + 1, shape->rank),
    };
}

static int forward(struct train_call *call)
{
    struct rows r = rows_of(call);
    for (int64_t i = 0; i < r.before * r.after; i++) {
        int64_t at = i / r.after * r.length * r.after + i % r.after;
        const real *x = train_input(call, 0) + at;
        real *y = train_output(call, 0) + at, most = x[0], sum = 0;
        for (int64_t j = 1; j < r.length; j++)
            most = x[j * r.after] > most ? x[j * r.after] : most;
        for (int64_t j = 0; j < r.length; j++)
            sum += y[j * r.after] = (real)exp((double)(x[j * r.after] - most));
        for (int64_t j = 0; j < r.length; j++)
            y[j * r.after] /= sum;
    }
    return 0;
}

static void backward(struct train_call *call)
{
    struct rows r = rows_of(call);
    for (int64_t i = 0; i < r.before * r.after; i++) {
        int64_t at = i / r.after * r.length * r.after + i % r.after;
        const real *y = train_output(call, 0) + at, *dy = train_output_gradient(call, 0) + at;
        real *dx = train_input_gradient(call, 0) + at, sum = 0;
        for (int64_t j = 0; j < r.length; j++)
            sum += dy[j * r.after] * y[j * r.after];
        for (int64_t j = 0; j < r.length; j++)
            dx[j * r.after] = y[j * r.after] * (dy[j * r.after] - sum);
    }
}

static int log_forward(struct train_call *call)
{
    struct rows r = rows_of(call);
    for (int64_t i = 0; i < r.before * r.after; i++) {
        int64_t at = i / r.after * r.length * r.after + i % r.after;
        const real *x = train_input(call, 0) + at;
        real *y = train_output(call, 0) + at, most = x[0], sum = 0;
        for (int64_t j = 1; j < r.length; j++)
            most = x[j * r.after] > most ? x[j * r.after] : most;
        for (int64_t j = 0; j < r.length; j++)
            sum += (real)exp((double)(x[j * r.after] - most));
        for (int64_t j = 0; j < r.length; j++)
            y[j * r.after] = x[j * r.after] - most - (real)log((double)sum);
    }
    return 0;
}

static void log_backward(struct train_call *call)
{
    struct rows r = rows_of(call);
    for (int64_t i = 0; i < r.before * r.after; i++) {
        int64_t at = i / r.after * r.length * r.after + i % r.after;
        const real *y = train_output(call, 0) + at, *dy = train_output_gradient(call, 0) + at;
        real *dx = train_input_gradient(call, 0) + at, sum = 0;
        for (int64_t j = 0; j < r.length; j++)
            sum += dy[j * r.after];
        for (int64_t j = 0; j < r.length; j++)
            dx[j * r.after] = dy[j * r.after] - (real)exp((double)y[j * r.after]) * sum;
    }
}

const struct train_row TRAIN_NAME(train_row_softmax) = {
    .op = "Softmax", .forward = forward, .backward = backward};

const struct train_row TRAIN_NAME(train_row_log_softmax) = {
    .op = "LogSoftmax", .forward = log_forward, .backward = log_backward};

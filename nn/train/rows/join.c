/* Concat and Split, each the other's way back: parts that lie side by side along an axis. */
#include <errno.h>
#include <string.h>

#include "nn/train/row.h"

/* A whole and one of its parts: `rows` times `count` numbers, `step` from one row to the next of
 * the whole. */
struct part {
    int64_t rows, count, step;
    int64_t at; /* in the first row */
};

static struct part part_of(const struct nn_shape *whole, const struct nn_shape *part, int axis)
{
    return (struct part){.rows = nn_shape_extent(whole, 0, axis),
                         .count = nn_shape_extent(part, axis, part->rank),
                         .step = nn_shape_extent(whole, axis, whole->rank)};
}

static void put(const struct part *p, real *whole, const real *part)
{
    for (int64_t r = 0; r < p->rows && p->count > 0; r++)
        memcpy(whole + r * p->step + p->at, part + r * p->count,
               (size_t)p->count * sizeof *part);
}

static void take(const struct part *p, real *part, const real *whole)
{
    for (int64_t r = 0; r < p->rows && p->count > 0; r++)
        memcpy(part + r * p->count, whole + r * p->step + p->at,
               (size_t)p->count * sizeof *part);
}

/* --- Concat ------------------------------------------------------------------------------- */

static int concat(const struct train_call *call, bool back)
{
    const struct nn_op_call *op = &call->op;
    const struct nn_shape *whole = &op->outputs[0].shape;
    int axis = nn_op_axis(op, nn_op_int(op, "axis", 1), whole->rank);
    int64_t at = 0;
    for (int i = 0; i < op->input_count; i++) {
        struct part p = part_of(whole, &op->inputs[i].shape, axis);
        p.at = at;
        at += p.count;
        if (!back)
            put(&p, train_output(call, 0), train_input(call, i));
        else if (train_input_gradient(call, i))
            take(&p, train_input_gradient(call, i), train_output_gradient(call, 0));
    }
    return 0;
}

static int concat_forward(struct train_call *call)
{
    return concat(call, false);
}

static void concat_backward(struct train_call *call)
{
    concat(call, true);
}

/* --- Split -------------------------------------------------------------------------------- */

static int split_prepare(struct train_call *call)
{
    for (int j = 0; j < call->op.output_count; j++)
        if (!nn_op_wants_output(&call->op, j))
            return nn_op_fail(&call->op, -ENOTSUP, "output %d must have a name to be trained",
                              j);
    return 0;
}

/* A part that nothing depends on has no gradient: zeros. */
static int split(const struct train_call *call, bool back)
{
    const struct nn_op_call *op = &call->op;
    const struct nn_shape *whole = &op->inputs[0].shape;
    int axis = nn_op_axis(op, nn_op_int(op, "axis", 0), whole->rank);
    int64_t at = 0;
    if (back)
        memset(train_input_gradient(call, 0), 0,
               (size_t)train_count(&op->inputs[0]) * sizeof(real));
    for (int j = 0; j < op->output_count; j++) {
        struct part p = part_of(whole, &op->outputs[j].shape, axis);
        p.at = at;
        at += p.count;
        if (!back && train_output(call, j))
            take(&p, train_output(call, j), train_input(call, 0));
        else if (back && train_output_gradient(call, j))
            put(&p, train_input_gradient(call, 0), train_output_gradient(call, j));
    }
    return 0;
}

static int split_forward(struct train_call *call)
{
    return split(call, false);
}

static void split_backward(struct train_call *call)
{
    split(call, true);
}

const struct train_row TRAIN_NAME(train_row_concat) = {
    .op = "Concat", .moves = true, .forward = concat_forward, .backward = concat_backward};

const struct train_row TRAIN_NAME(train_row_split) = {.op = "Split",
                                                      .moves = true,
                                                      .fixed = 1 << 1,
                                                      .prepare = split_prepare,
                                                      .forward = split_forward,
                                                      .backward = split_backward};

/* Max, Min, Sum, Mean of any number of operands, with broadcasting (since opset 8; before, all
 * have one shape). A NaN among the operands of Max and Min is the result. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/integers.h"
#include "nn/walk.h"

enum fold { MAX, MIN, SUM };

static int infer(struct nn_op_call *call)
{
    const struct nn_tensor *first = &call->inputs[0];
    struct nn_shape shape = first->shape;
    if (first->type == NN_TYPE_BOOL)
        return nn_op_fail(call, -EINVAL, "operands are bool");
    for (int i = 1; i < call->input_count; i++) {
        const struct nn_tensor *in = &call->inputs[i];
        if (in->type != first->type)
            return nn_op_fail(call, -EINVAL, "input %d is %s, not %s", i,
                              nn_type_name(in->type), nn_type_name(first->type));
        bool fits = nn_shape_broadcast(&shape, &in->shape, &shape);
        if (!fits || (call->opset < 8 && !nn_shape_equal(&in->shape, &first->shape)))
            return nn_op_fail(call, -EINVAL, "the shape of input %d does not fit the others",
                              i);
    }
    call->outputs[0].type = first->type;
    call->outputs[0].shape = shape;
    return 0;
}

static int infer_float(struct nn_op_call *call)
{
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    return r < 0 ? r : infer(call);
}

/* A walk for each input: operand 0 is the input, operand 1 what was combined so far, in the
 * result's place. (Which is why that is no operand's place: a later one would be gone.) */
static int prepare(struct nn_op_call *call)
{
    const struct nn_shape *whole = &call->outputs[0].shape;
    struct nn_walk *walks = nn_op_alloc(call, (size_t)call->input_count * sizeof *walks);
    if (!walks)
        return -ENOMEM;
    for (int i = 0; i < call->input_count; i++)
        nn_walk_broadcast(&walks[i], whole, &call->inputs[i].shape, whole);
    call->state = walks;
    return 0;
}

#define FOLD_INTEGERS(nn_type, type, is_signed)                                                \
    static void fold_##type(const struct nn_walk *w, enum fold fold, type *y, const type *x)   \
    {                                                                                          \
        for (int64_t i = 0; i < w->inner; i++, x += w->inner_step[0])                          \
            y[i] = (*x > y[i]) == (fold == MAX) ? *x : y[i];                                   \
    }
NN_INTEGER_TYPES(FOLD_INTEGERS)

static void fold_floats(const struct nn_walk *w, const struct nn_kernels *k, enum fold fold,
                        float *y, const float *x)
{
    int64_t step = w->inner_step[0];
    if (fold == SUM && step == 1)
        k->add(y, y, x, (size_t)w->inner);
    else if (fold == SUM)
        for (int64_t i = 0; i < w->inner; i++, x += step)
            y[i] += *x;
    else if (fold == MAX)
        for (int64_t i = 0; i < w->inner; i++, x += step)
            y[i] = *x > y[i] || isnan(*x) ? *x : y[i];
    else
        for (int64_t i = 0; i < w->inner; i++, x += step)
            y[i] = *x < y[i] || isnan(*x) ? *x : y[i];
}

static void fold_row(const struct nn_op_call *call, enum fold fold, const struct nn_walk *w,
                     const struct nn_walk_cursor *c, const void *x)
{
    void *y = call->outputs[0].data;
    switch (call->outputs[0].type) {
#define CASE(nn_type, type, is_signed)                                                         \
    case nn_type:                                                                              \
        fold_##type(w, fold, (type *)y + c->at[1], (const type *)x + c->at[0]);                \
        break;
        NN_INTEGER_TYPES(CASE)
    default:
        fold_floats(w, call->kernels, fold, (float *)y + c->at[1], (const float *)x + c->at[0]);
    }
}

static int run(const struct nn_op_call *call, enum fold fold)
{
    const struct nn_walk *walks = call->state;
    const struct nn_tensor *out = &call->outputs[0];
    nn_walk_copy(&walks[0], out->data, call->inputs[0].data, nn_type_size(out->type));
    for (int i = 1; i < call->input_count && walks[i].inner > 0; i++) {
        struct nn_walk_cursor c = {0};
        do
            fold_row(call, fold, &walks[i], &c, call->inputs[i].data);
        while (nn_walk_next(&walks[i], &c));
    }
    return 0;
}

static int max(struct nn_op_call *call)
{
    return run(call, MAX);
}

static int min(struct nn_op_call *call)
{
    return run(call, MIN);
}

static int sum(struct nn_op_call *call)
{
    return run(call, SUM);
}

static int mean(struct nn_op_call *call)
{
    float *y = call->outputs[0].data;
    size_t count = (size_t)nn_shape_count(&call->outputs[0].shape);
    int r = run(call, SUM);
    call->kernels->affine(y, y, 1.0f / (float)call->input_count, 0, count);
    return r;
}

static const struct nn_attribute_rule rules[] = {{"consumed_inputs", NN_ATTRIBUTE_INTS, 1, 5},
                                                 {0}};

#define VARIADIC(row, op_type, infer_function, function, grows)                                \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 1,                                                                       \
        .max_inputs = NN_OP_VARIADIC,                                                          \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .flags = grows,                                                                        \
        .attributes = rules,                                                                   \
        .infer = infer_function,                                                               \
        .prepare = prepare,                                                                    \
        .forward = function,                                                                   \
        .time = nn_op_time_same,                                                               \
    }

VARIADIC(nn_op_max, "Max", infer, max, NN_OP_GROWS_ALL);
VARIADIC(nn_op_min, "Min", infer, min, NN_OP_GROWS_ALL);
VARIADIC(nn_op_sum, "Sum", infer_float, sum, 0);
VARIADIC(nn_op_mean, "Mean", infer_float, mean, 0);

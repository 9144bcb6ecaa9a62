/* Clip and PRelu: activations whose parameters may be inputs. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/ops/integers.h"
#include "nn/walk.h"

/* Clip. Attributes before opset 11, inputs that may be computed at run time since; an upper
 * limit below the lower one wins. */

static int clip_infer(struct nn_op_call *call)
{
    enum nn_type type = call->inputs[0].type;
    if (type != NN_TYPE_FLOAT && !nn_type_is_integer(type))
        return nn_op_fail(call, -ENOTSUP, "%s is not supported here", nn_type_name(type));
    if (call->opset < 11 && call->input_count > 1)
        return nn_op_fail(call, -EINVAL, "opset %d has no inputs min and max", call->opset);
    if (call->opset < 11 && type != NN_TYPE_FLOAT)
        return nn_op_fail(call, -EINVAL, "opset %d clips no %s", call->opset,
                          nn_type_name(type));
    static const char *const names[] = {"min", "max"};
    for (int i = 1; i < 3; i++) {
        if (!nn_op_has_input(call, i))
            continue;
        const struct nn_tensor *limit = &call->inputs[i];
        if (limit->type != type || nn_shape_count(&limit->shape) != 1)
            return nn_op_fail(call, -EINVAL, "%s must be one %s", names[i - 1],
                              nn_type_name(type));
    }
    call->outputs[0].type = type;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

#define CLIP_INTEGERS(nn_type, type, is_signed)                                                \
    static void clip_##type(const struct nn_op_call *call, size_t n)                           \
    {                                                                                          \
        const type *x = call->inputs[0].data;                                                  \
        type *y = call->outputs[0].data;                                                       \
        type low = NN_INTEGER_LOWEST(type, is_signed), high = (type)~low;                      \
        if (nn_op_has_input(call, 1))                                                          \
            low = *(const type *)call->inputs[1].data;                                         \
        if (nn_op_has_input(call, 2))                                                          \
            high = *(const type *)call->inputs[2].data;                                        \
        for (size_t i = 0; i < n; i++) {                                                       \
            type v = x[i] < low ? low : x[i];                                                  \
            y[i] = v > high ? high : v;                                                        \
        }                                                                                      \
    }
NN_INTEGER_TYPES(CLIP_INTEGERS)

static void clip_floats(const struct nn_op_call *call, size_t n)
{
    float low, high;
    nn_activation_of(call->op, call->node, &low, &high);
    if (nn_op_has_input(call, 1))
        low = *(const float *)call->inputs[1].data;
    if (nn_op_has_input(call, 2))
        high = *(const float *)call->inputs[2].data;
    call->kernels->clamp(call->outputs[0].data, call->inputs[0].data, low, high, n);
}

static int clip_forward(struct nn_op_call *call)
{
    size_t n = (size_t)nn_shape_count(&call->outputs[0].shape);
    switch (call->inputs[0].type) {
#define CLIP(nn_type, type, is_signed)                                                         \
    case nn_type:                                                                              \
        clip_##type(call, n);                                                                  \
        break;
        NN_INTEGER_TYPES(CLIP)
    default:
        clip_floats(call, n);
        break;
    }
    return 0;
}

/* The limits are of the whole window, or constants. */
static bool clip_time(const struct nn_op_call *call, const int *in, int *out)
{
    for (int i = 1; i < call->input_count; i++)
        if (in[i] != NN_TIME_NONE)
            return false;
    out[0] = in[0];
    return in[0] != NN_TIME_NONE;
}

/* PRelu: x below zero times a slope that is broadcast to x. Before opset 7 the slope was one
 * number, or one for each channel. */

static int slope_shape(const struct nn_op_call *call, struct nn_shape *ret_shape)
{
    const struct nn_shape *x = &call->inputs[0].shape, *slope = &call->inputs[1].shape;
    struct nn_shape shape = *slope, whole;
    int64_t count = nn_shape_count(slope);
    if (call->opset < 7 && count > 1) {
        if (slope->rank != 1 || x->rank < 2 || count != x->dim[1])
            return nn_op_fail(call, -EINVAL, "slope must have one value, or one a channel");
        shape = (struct nn_shape){.rank = x->rank - 1, .dim = {count}};
        for (int d = 1; d < shape.rank; d++)
            shape.dim[d] = 1;
    }
    if (!nn_shape_broadcast(x, &shape, &whole) || !nn_shape_equal(x, &whole))
        return nn_op_fail(call, -EINVAL, "slope does not broadcast to the input's shape");
    *ret_shape = shape;
    return 0;
}

static int prelu_infer(struct nn_op_call *call)
{
    struct nn_shape slope;
    int r = nn_op_require_floats(call);
    if (r == 0)
        r = slope_shape(call, &slope);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static int prelu_prepare(struct nn_op_call *call)
{
    const struct nn_shape *x = &call->inputs[0].shape;
    struct nn_shape slope;
    struct nn_walk *walk = nn_op_alloc(call, sizeof *walk);
    if (!walk)
        return -ENOMEM;
    int r = slope_shape(call, &slope);
    if (r < 0)
        return r;
    nn_walk_broadcast(walk, x, x, &slope);
    call->state = walk;
    return 0;
}

static int prelu_forward(struct nn_op_call *call)
{
    const struct nn_walk *w = call->state;
    const float *x = call->inputs[0].data, *slope = call->inputs[1].data;
    float *y = call->outputs[0].data;
    struct nn_walk_cursor c = {0};
    if (w->inner == 0)
        return 0;
    do {
        const float *from = x + c.at[0], *s = slope + c.at[1];
        float *to = y + c.at[0];
        if (w->inner_step[1] == 0)
            call->kernels->leaky_relu(to, from, *s, (size_t)w->inner);
        for (int64_t i = 0; w->inner_step[1] != 0 && i < w->inner; i++)
            to[i] = from[i] < 0 ? s[i] * from[i] : from[i];
    } while (nn_walk_next(w, &c));
    return 0;
}

static const struct nn_attribute_rule clip_rules[] = {
    {"consumed_inputs", NN_ATTRIBUTE_INTS, 0, 5},
    {"max", NN_ATTRIBUTE_FLOAT, 0, 10},
    {"min", NN_ATTRIBUTE_FLOAT, 0, 10},
    {0}};
static const struct nn_attribute_rule prelu_rules[] = {
    {"consumed_inputs", NN_ATTRIBUTE_INTS, 0, 5}, {0}};

const struct nn_op nn_op_clip = {
    .name = "Clip",
    .variant = &nn_functions[NN_ACTIVATION_CLIP],
    .min_inputs = 1,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_ELEMENTWISE | NN_OP_IS_ACTIVATION,
    .attributes = clip_rules,
    .infer = clip_infer,
    .forward = clip_forward,
    .time = clip_time,
};

const struct nn_op nn_op_prelu = {
    .name = "PRelu",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_ELEMENTWISE,
    .attributes = prelu_rules,
    .infer = prelu_infer,
    .prepare = prelu_prepare,
    .forward = prelu_forward,
    .time = nn_op_time_same,
};

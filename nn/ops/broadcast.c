#include "nn/ops/broadcast.h"

#include <errno.h>

/* The second operand as its rank and place in the first one's shape make it: dimensions of 1
 * are put behind it. */
static int legacy_shape(const struct nn_op_call *call, struct nn_shape *ret_shape)
{
    const struct nn_shape *a = &call->inputs[0].shape, *b = &call->inputs[1].shape;
    if (nn_op_int(call, "broadcast", 0) == 0) {
        if (!nn_shape_equal(a, b))
            return nn_op_fail(call, -EINVAL, "shapes differ and broadcast is not set");
        *ret_shape = *b;
        return 0;
    }
    int64_t axis = nn_op_int(call, "axis", a->rank - b->rank);
    if (axis < 0)
        axis += a->rank;
    if (axis < 0 || axis > a->rank - b->rank)
        return nn_op_fail(call, -EINVAL, "axis %lld does not fit the shapes", (long long)axis);
    struct nn_shape shape = {.rank = a->rank - (int)axis};
    for (int d = 0; d < shape.rank; d++)
        shape.dim[d] = d < b->rank ? b->dim[d] : 1;
    *ret_shape = shape;
    return 0;
}

static int second_shape(const struct nn_op_call *call, struct nn_shape *ret_shape)
{
    if (call->opset < 7)
        return legacy_shape(call, ret_shape);
    *ret_shape = call->inputs[1].shape;
    return 0;
}

int nn_broadcast_infer(struct nn_op_call *call)
{
    const struct nn_shape *first = &call->inputs[0].shape;
    struct nn_shape second, *to = &call->outputs[0].shape;
    int r = second_shape(call, &second);
    if (r < 0)
        return r;
    if (!nn_shape_broadcast(first, &second, to))
        return nn_op_fail(call, -EINVAL, "operand shapes do not broadcast");
    if (call->opset < 7 && !nn_shape_equal(to, first))
        return nn_op_fail(call, -EINVAL,
                          "the first operand cannot be broadcast before opset 7");
    return 0;
}

int nn_broadcast_infer_alike(struct nn_op_call *call)
{
    enum nn_type a = call->inputs[0].type, b = call->inputs[1].type;
    if (a != b)
        return nn_op_fail(call, -EINVAL, "operands are %s and %s", nn_type_name(a),
                          nn_type_name(b));
    return nn_broadcast_infer(call);
}

int nn_broadcast_prepare(struct nn_op_call *call)
{
    struct nn_shape second;
    struct nn_walk *walk = nn_op_alloc(call, sizeof *walk);
    if (!walk)
        return -ENOMEM;
    int r = second_shape(call, &second);
    if (r < 0)
        return r;
    nn_walk_broadcast(walk, &call->outputs[0].shape, &call->inputs[0].shape, &second);
    call->state = walk;
    return 0;
}

/* The shared rule aligns at the right; an operand that was placed with `axis` must be a
 * constant that does not reach the time axis. */
bool nn_broadcast_time(const struct nn_op_call *call, const int *in, int *out)
{
    if (!nn_op_has(call, "axis"))
        return nn_op_time_same(call, in, out);
    int64_t axis = nn_op_int(call, "axis", 0);
    int first = (int)(axis < 0 ? axis + call->inputs[0].shape.rank : axis);
    if (in[0] == NN_TIME_NONE || in[1] != NN_TIME_NONE)
        return false;
    if (in[0] >= first && in[0] < first + call->inputs[1].shape.rank)
        return false;
    out[0] = in[0];
    return true;
}

const struct nn_attribute_rule nn_broadcast_rules[] = {
    {"axis", NN_ATTRIBUTE_INT, 1, 6},
    {"broadcast", NN_ATTRIBUTE_INT, 1, 6},
    {"consumed_inputs", NN_ATTRIBUTE_INTS, 1, 5},
    {0}};

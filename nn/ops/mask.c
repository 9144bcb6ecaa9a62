/* Elements that are taken or left where they stand: Where, of two operands, with broadcasting,
 * by a condition; Trilu, of matrices, by the side of a diagonal. */
#include <errno.h>
#include <string.h>

#include "nn/op.h"
#include "nn/walk.h"

/* --- Where ------------------------------------------------------------------------------ */

static int infer_where(struct nn_op_call *call)
{
    const struct nn_tensor *in = call->inputs;
    struct nn_shape *to = &call->outputs[0].shape;
    if (in[0].type != NN_TYPE_BOOL)
        return nn_op_fail(call, -EINVAL, "the condition is %s, not bool",
                          nn_type_name(in[0].type));
    if (in[1].type != in[2].type)
        return nn_op_fail(call, -EINVAL, "operands are %s and %s", nn_type_name(in[1].type),
                          nn_type_name(in[2].type));
    if (!nn_shape_broadcast(&in[1].shape, &in[2].shape, to) ||
        !nn_shape_broadcast(&in[0].shape, to, to))
        return nn_op_fail(call, -EINVAL, "operand shapes do not broadcast");
    call->outputs[0].type = in[1].type;
    return 0;
}

/* The result is filled with one operand, then the other is written where it is wanted. */
struct state {
    struct nn_walk fill; /* operand 0: input 2 */
    struct nn_walk pick; /* operand 0: the condition, 1: input 1 */
};

static int prepare_where(struct nn_op_call *call)
{
    const struct nn_shape *whole = &call->outputs[0].shape;
    struct state *state = nn_op_alloc(call, sizeof *state);
    if (!state)
        return -ENOMEM;
    nn_walk_broadcast(&state->fill, whole, &call->inputs[2].shape, NULL);
    nn_walk_broadcast(&state->pick, whole, &call->inputs[0].shape, &call->inputs[1].shape);
    call->state = state;
    return 0;
}

#define PICK(type)                                                                             \
    do {                                                                                       \
        type *to = call->outputs[0].data;                                                      \
        do {                                                                                   \
            const uint8_t *wanted = condition + c.at[0];                                       \
            const type *from = (const type *)call->inputs[1].data + c.at[1];                   \
            for (int64_t i = 0; i < w->inner; i++)                                             \
                to[i] = wanted[i * w->inner_step[0]] ? from[i * w->inner_step[1]] : to[i];     \
            to += w->inner;                                                                    \
        } while (nn_walk_next(w, &c));                                                         \
    } while (0)

static int where(struct nn_op_call *call)
{
    const struct state *state = call->state;
    const struct nn_walk *w = &state->pick;
    const uint8_t *condition = call->inputs[0].data;
    size_t size = nn_type_size(call->outputs[0].type);
    struct nn_walk_cursor c = {0};
    if (w->inner == 0)
        return 0;
    nn_walk_copy(&state->fill, call->outputs[0].data, call->inputs[2].data, size);
    if (size == 8)
        PICK(uint64_t);
    else if (size == 4)
        PICK(uint32_t);
    else if (size == 2)
        PICK(uint16_t);
    else
        PICK(uint8_t);
    return 0;
}

/* --- Trilu ------------------------------------------------------------------------------ */

static int infer_trilu(struct nn_op_call *call)
{
    const struct nn_tensor *k = &call->inputs[1];
    if (call->inputs[0].shape.rank < 2)
        return nn_op_fail(call, -EINVAL, "the input has %d dimensions; matrices have two",
                          call->inputs[0].shape.rank);
    if (nn_op_has_input(call, 1) &&
        (k->type != NN_TYPE_INT64 || nn_shape_count(&k->shape) != 1))
        return nn_op_fail(call, -EINVAL, "k must be one int64");
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static int trilu(struct nn_op_call *call)
{
    const struct nn_shape *shape = &call->outputs[0].shape;
    size_t size = nn_type_size(call->outputs[0].type);
    int64_t columns = shape->dim[shape->rank - 1], height = shape->dim[shape->rank - 2];
    int64_t rows = nn_shape_extent(shape, 0, shape->rank - 1);
    int64_t k = nn_op_has_input(call, 1) ? *(const int64_t *)call->inputs[1].data : 0;
    bool upper = nn_op_int(call, "upper", 1) != 0;
    const char *from = call->inputs[0].data;
    char *to = call->outputs[0].data;
    /* Beyond these diagonals all is on one side. */
    k = k < -height ? -height : k > columns ? columns : k;
    for (int64_t row = 0; row < rows && columns > 0; row++) {
        /* Where the upper part begins, the lower ends one behind the diagonal. */
        int64_t edge = row % height + k + (upper ? 0 : 1);
        size_t split = (size_t)(edge < 0 ? 0 : edge > columns ? columns : edge) * size;
        size_t whole = (size_t)columns * size, begin = upper ? split : 0;
        memmove(to + begin, from + begin, upper ? whole - split : split);
        memset(to + (upper ? 0 : split), 0, upper ? split : whole - split);
        from += whole;
        to += whole;
    }
    return 0;
}

/* Matrices of one frame stay whole; a diagonal computed from the frames may be another each. */
static bool trilu_time(const struct nn_op_call *call, const int *in, int *out)
{
    out[0] = in[0];
    return in[0] != NN_TIME_NONE && in[0] < call->inputs[0].shape.rank - 2 &&
           (call->input_count < 2 || in[1] == NN_TIME_NONE);
}

static const struct nn_attribute_rule trilu_rules[] = {{"upper", NN_ATTRIBUTE_INT, 14, 0}, {0}};

const struct nn_op nn_op_where = {
    .name = "Where",
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .infer = infer_where,
    .prepare = prepare_where,
    .forward = where,
    .time = nn_op_time_same,
};

const struct nn_op nn_op_trilu = {
    .name = "Trilu",
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_ELEMENTWISE,
    .attributes = trilu_rules,
    .infer = infer_trilu,
    .forward = trilu,
    .time = trilu_time,
};

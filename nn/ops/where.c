/* Where: of each place the element of one of two operands, with broadcasting. */
#include <errno.h>

#include "nn/op.h"
#include "nn/walk.h"

static int infer(struct nn_op_call *call)
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

/* The result is filled with one operand, then the other is written over it where it is wanted. */
struct state {
    struct nn_walk fill; /* operand 0: input 2 */
    struct nn_walk pick; /* operand 0: the condition, 1: input 1 */
};

static int prepare(struct nn_op_call *call)
{
    const struct nn_shape *whole = &call->outputs[0].shape;
    struct state *state = nn_op_alloc(call, sizeof *state);
    if (!state)
        return -ENOMEM;
    int64_t stride[3][NN_MAX_RANK], fill[NN_MAX_RANK][2] = {{0}}, pick[NN_MAX_RANK][2];
    for (int i = 0; i < 3; i++)
        nn_walk_broadcast(&call->inputs[i].shape, whole, stride[i]);
    for (int d = 0; d < whole->rank; d++) {
        fill[d][0] = stride[2][d];
        pick[d][0] = stride[0][d];
        pick[d][1] = stride[1][d];
    }
    nn_walk_make(&state->fill, whole, fill);
    nn_walk_make(&state->pick, whole, pick);
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

const struct nn_op nn_op_where = {
    .name = "Where",
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .infer = infer,
    .prepare = prepare,
    .forward = where,
    .time = nn_op_time_same,
};

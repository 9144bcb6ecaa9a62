/* Operators that answer with bools: Equal, Less, LessOrEqual, Greater, GreaterOrEqual, And, Or,
 * Xor, with broadcasting, and Not. A NaN is in no order and equals nothing. */
#include <errno.h>

#include "nn/ops/broadcast.h"
#include "nn/ops/integers.h"

enum question { EQUAL, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL, AND, OR, XOR };

/* One loop a question: the choice stays out of them. */
#define ASK(expression)                                                                        \
    for (int64_t i = 0; i < w->inner; i++, a += w->inner_step[0], b += w->inner_step[1])       \
        y[i] = expression;                                                                     \
    break

#define COMPARE(nn_type, type, is_signed)                                                      \
    static void compare_##type(const struct nn_walk *w, enum question q, uint8_t *y,           \
                               const type *a, const type *b)                                   \
    {                                                                                          \
        switch (q) {                                                                           \
        case EQUAL:                                                                            \
            ASK(*a == *b);                                                                     \
        case LESS:                                                                             \
            ASK(*a < *b);                                                                      \
        case LESS_OR_EQUAL:                                                                    \
            ASK(*a <= *b);                                                                     \
        case GREATER:                                                                          \
            ASK(*a > *b);                                                                      \
        case GREATER_OR_EQUAL:                                                                 \
            ASK(*a >= *b);                                                                     \
        case AND:                                                                              \
            ASK(*a &&*b);                                                                      \
        case OR:                                                                               \
            ASK(*a || *b);                                                                     \
        case XOR:                                                                              \
            ASK(!*a != !*b);                                                                   \
        }                                                                                      \
    }
NN_INTEGER_TYPES(COMPARE)
COMPARE(NN_TYPE_FLOAT, float, true)

static void compare_row(const struct nn_op_call *call, const struct nn_walk_cursor *c,
                        enum question q, uint8_t *y)
{
    const struct nn_walk *w = call->state;
    const void *a = call->inputs[0].data, *b = call->inputs[1].data;
    switch (call->inputs[0].type) {
#define CASE(nn_type, type, is_signed)                                                         \
    case nn_type:                                                                              \
        compare_##type(w, q, y, (const type *)a + c->at[0], (const type *)b + c->at[1]);       \
        break;
        NN_INTEGER_TYPES(CASE)
        CASE(NN_TYPE_FLOAT, float, true)
    default:
        compare_uint8_t(w, q, y, (const uint8_t *)a + c->at[0], (const uint8_t *)b + c->at[1]);
    }
}

static int compare(const struct nn_op_call *call, enum question q)
{
    const struct nn_walk *w = call->state;
    uint8_t *y = call->outputs[0].data;
    struct nn_walk_cursor c = {0};
    if (w->inner == 0)
        return 0;
    do {
        compare_row(call, &c, q, y);
        y += w->inner;
    } while (nn_walk_next(w, &c));
    return 0;
}

static int infer_equal(struct nn_op_call *call)
{
    call->outputs[0].type = NN_TYPE_BOOL;
    return nn_broadcast_infer_alike(call);
}

static int infer_order(struct nn_op_call *call)
{
    if (call->inputs[0].type == NN_TYPE_BOOL)
        return nn_op_fail(call, -EINVAL, "bools have no order");
    return infer_equal(call);
}

static int infer_logic(struct nn_op_call *call)
{
    if (call->inputs[0].type != NN_TYPE_BOOL)
        return nn_op_fail(call, -EINVAL, "operands are %s, not bool",
                          nn_type_name(call->inputs[0].type));
    return infer_equal(call);
}

static int infer_not(struct nn_op_call *call)
{
    if (call->inputs[0].type != NN_TYPE_BOOL)
        return nn_op_fail(call, -EINVAL, "the operand is %s, not bool",
                          nn_type_name(call->inputs[0].type));
    call->outputs[0].type = NN_TYPE_BOOL;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static int negate(struct nn_op_call *call)
{
    const uint8_t *x = call->inputs[0].data;
    uint8_t *y = call->outputs[0].data;
    int64_t count = nn_shape_count(&call->outputs[0].shape);
    for (int64_t i = 0; i < count; i++)
        y[i] = !x[i];
    return 0;
}

#define QUESTION(row, op_type, infer_function, question)                                       \
    static int ask_##row(struct nn_op_call *call)                                              \
    {                                                                                          \
        return compare(call, question);                                                        \
    }                                                                                          \
    const struct nn_op nn_op_##row = {                                                         \
        .name = op_type,                                                                       \
        .min_inputs = 2,                                                                       \
        .max_inputs = 2,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .flags = NN_OP_ELEMENTWISE,                                                            \
        .attributes = nn_broadcast_rules,                                                      \
        .infer = infer_function,                                                               \
        .prepare = nn_broadcast_prepare,                                                       \
        .forward = ask_##row,                                                                  \
        .time = nn_broadcast_time,                                                             \
    }

QUESTION(equal, "Equal", infer_equal, EQUAL);
QUESTION(less, "Less", infer_order, LESS);
QUESTION(less_or_equal, "LessOrEqual", infer_order, LESS_OR_EQUAL);
QUESTION(greater, "Greater", infer_order, GREATER);
QUESTION(greater_or_equal, "GreaterOrEqual", infer_order, GREATER_OR_EQUAL);
QUESTION(and, "And", infer_logic, AND);
QUESTION(or, "Or", infer_logic, OR);
QUESTION(xor, "Xor", infer_logic, XOR);

const struct nn_op nn_op_not = {
    .name = "Not",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_ELEMENTWISE,
    .infer = infer_not,
    .forward = negate,
    .time = nn_op_time_same,
};

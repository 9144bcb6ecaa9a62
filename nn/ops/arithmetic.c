/* Add, Sub, Mul, Div, with broadcasting.
 *
 * Before opset 7 broadcasting had to be asked for (broadcast=1) and the second operand was
 * aligned at `axis` of the first instead of at the right. */
#include <errno.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/integers.h"
#include "nn/walk.h"

enum arithmetic { ADD, SUB, MUL, DIV };

/* Strict aliasing does not matter between operands of one type; the result may be written over
 * an operand, element by element. */
struct state {
    struct nn_walk walk;
};

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
    if (axis < 0 || axis + b->rank > a->rank)
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

static int infer(struct nn_op_call *call)
{
    const struct nn_tensor *a = &call->inputs[0], *b = &call->inputs[1];
    if (a->type != b->type)
        return nn_op_fail(call, -EINVAL, "operands are %s and %s", nn_type_name(a->type),
                          nn_type_name(b->type));
    if (a->type == NN_TYPE_BOOL)
        return nn_op_fail(call, -EINVAL, "operands are bool");
    struct nn_shape second;
    int r = second_shape(call, &second);
    if (r < 0)
        return r;
    if (!nn_shape_broadcast(&a->shape, &second, &call->outputs[0].shape))
        return nn_op_fail(call, -EINVAL, "operand shapes do not broadcast");
    if (call->opset < 7 && !nn_shape_equal(&call->outputs[0].shape, &a->shape))
        return nn_op_fail(call, -EINVAL,
                          "the first operand cannot be broadcast before opset 7");
    call->outputs[0].type = a->type;
    return 0;
}

static int prepare(struct nn_op_call *call)
{
    const struct nn_shape *whole = &call->outputs[0].shape;
    struct nn_shape second;
    struct state *state = nn_op_alloc(call, sizeof *state);
    if (!state)
        return -ENOMEM;
    int r = second_shape(call, &second);
    if (r < 0)
        return r;
    int64_t a[NN_MAX_RANK], b[NN_MAX_RANK], step[NN_MAX_RANK][2];
    nn_walk_broadcast(&call->inputs[0].shape, whole, a);
    nn_walk_broadcast(&second, whole, b);
    for (int d = 0; d < whole->rank; d++) {
        step[d][0] = a[d];
        step[d][1] = b[d];
    }
    nn_walk_make(&state->walk, whole, step);
    call->state = state;
    return 0;
}

/* One operand repeats along the inner loop; the compiler vectorises these. */
static void float_repeat_b(enum arithmetic op, float *y, const float *a, float b, int64_t n)
{
    switch (op) {
    case ADD:
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i] + b;
        break;
    case SUB:
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i] - b;
        break;
    case MUL:
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i] * b;
        break;
    case DIV:
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i] / b;
        break;
    }
}

static void float_repeat_a(enum arithmetic op, float *y, float a, const float *b, int64_t n)
{
    switch (op) {
    case ADD:
    case MUL:
        float_repeat_b(op, y, b, a, n);
        break;
    case SUB:
        for (int64_t i = 0; i < n; i++)
            y[i] = a - b[i];
        break;
    case DIV:
        for (int64_t i = 0; i < n; i++)
            y[i] = a / b[i];
        break;
    }
}

static int run_float(const struct nn_op_call *call, enum arithmetic op)
{
    const struct nn_walk *w = &((const struct state *)call->state)->walk;
    const struct nn_kernels *k = call->kernels;
    void (*const dense[])(float *, const float *, const float *, size_t) = {
        [ADD] = k->add, [SUB] = k->sub, [MUL] = k->mul, [DIV] = k->div};
    float *y = call->outputs[0].data;
    const float *a = call->inputs[0].data, *b = call->inputs[1].data;
    struct nn_walk_cursor c = {0};
    do {
        if (w->inner_step[0] == w->inner_step[1] && w->inner_step[0] != 0)
            dense[op](y, a + c.at[0], b + c.at[1], (size_t)w->inner);
        else if (w->inner_step[1] == 0)
            float_repeat_b(op, y, a + c.at[0], b[c.at[1]], w->inner);
        else
            float_repeat_a(op, y, a[c.at[0]], b + c.at[1], w->inner);
        y += w->inner;
    } while (nn_walk_next(w, &c));
    return 0;
}

/* Integers wrap; dividing by zero is an error of the run. Division truncates towards zero, and
 * the one quotient of signed numbers that overflows wraps to itself. Sums and products modulo 2^64,
 * cut to the type, are those of the type. */
#define INTEGER_RUN(nn_type, type, is_signed)                                                  \
    static int run_##type(const struct nn_op_call *call, enum arithmetic op)                   \
    {                                                                                          \
        const struct nn_walk *w = &((const struct state *)call->state)->walk;                  \
        type *y = call->outputs[0].data;                                                       \
        const type *first = call->inputs[0].data, *second = call->inputs[1].data;              \
        struct nn_walk_cursor c = {0};                                                         \
        do {                                                                                   \
            for (int64_t i = 0; i < w->inner; i++) {                                           \
                type a = first[c.at[0] + i * w->inner_step[0]];                                \
                type b = second[c.at[1] + i * w->inner_step[1]];                               \
                if (op == DIV && b == 0)                                                       \
                    return nn_op_fail(call, -EINVAL, "division by zero");                      \
                y[i] = op == ADD                      ? (type)((uint64_t)a + (uint64_t)b)      \
                       : op == SUB                    ? (type)((uint64_t)a - (uint64_t)b)      \
                       : op == MUL                    ? (type)((uint64_t)a * (uint64_t)b)      \
                       : is_signed && b == (type)(-1) ? (type)(0 - (uint64_t)a)                \
                                                      : (type)(a / b);                         \
            }                                                                                  \
            y += w->inner;                                                                     \
        } while (nn_walk_next(w, &c));                                                         \
        return 0;                                                                              \
    }
NN_INTEGER_TYPES(INTEGER_RUN)

static int run(const struct nn_op_call *call, enum arithmetic op)
{
    if (((const struct state *)call->state)->walk.inner == 0)
        return 0;
    switch (call->outputs[0].type) {
#define CASE(nn_type, type, is_signed)                                                         \
    case nn_type:                                                                              \
        return run_##type(call, op);
        NN_INTEGER_TYPES(CASE)
    default:
        return run_float(call, op);
    }
}

static int add(struct nn_op_call *call)
{
    return run(call, ADD);
}

static int sub(struct nn_op_call *call)
{
    return run(call, SUB);
}

static int mul(struct nn_op_call *call)
{
    return run(call, MUL);
}

static int divide(struct nn_op_call *call)
{
    return run(call, DIV);
}

/* The shared rule aligns at the right; an operand that was placed with `axis` must be a
 * constant that does not reach the time axis. */
static bool time_rule(const struct nn_op_call *call, const int *in, int *out)
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

static const struct nn_attribute_rule rules[] = {{"axis", NN_ATTRIBUTE_INT, 1, 6},
                                                 {"broadcast", NN_ATTRIBUTE_INT, 1, 6},
                                                 {"consumed_inputs", NN_ATTRIBUTE_INTS, 1, 5},
                                                 {0}};

#define ARITHMETIC(row, op_type, function, grows)                                              \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 2,                                                                       \
        .max_inputs = 2,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .flags = NN_OP_ELEMENTWISE | grows,                                                    \
        .attributes = rules,                                                                   \
        .infer = infer,                                                                        \
        .prepare = prepare,                                                                    \
        .forward = function,                                                                   \
        .time = time_rule,                                                                     \
    }

ARITHMETIC(nn_op_add, "Add", add, NN_OP_GROWS_ALL);
ARITHMETIC(nn_op_sub, "Sub", sub, NN_OP_GROWS);
ARITHMETIC(nn_op_mul, "Mul", mul, NN_OP_GROWS_ALL);
ARITHMETIC(nn_op_div, "Div", divide, NN_OP_GROWS);

/* Add, Sub, Mul, Div, Mod, with broadcasting, in float32 and every integer type. */
#include <errno.h>
#include <math.h>

#include "nn/kernels/kernels.h"
#include "nn/ops/broadcast.h"
#include "nn/ops/integers.h"

enum arithmetic { ADD, SUB, MUL, DIV, MOD, FMOD };

static int infer(struct nn_op_call *call)
{
    if (call->inputs[0].type == NN_TYPE_BOOL)
        return nn_op_fail(call, -EINVAL, "operands are bool");
    call->outputs[0].type = call->inputs[0].type;
    return nn_broadcast_infer_alike(call);
}

/* Without fmod the sign is the divisor's, which is defined for integers only. */
static int infer_mod(struct nn_op_call *call)
{
    if (call->inputs[0].type == NN_TYPE_FLOAT && nn_op_int(call, "fmod", 0) == 0)
        return nn_op_fail(call, -EINVAL, "float32 needs fmod=1");
    return infer(call);
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
    default:
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i] / b;
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
    default:
        for (int64_t i = 0; i < n; i++)
            y[i] = a / b[i];
    }
}

static void float_remainder(const struct nn_walk *w, float *y, const float *a, const float *b)
{
    for (int64_t i = 0; i < w->inner; i++)
        y[i] = fmodf(a[i * w->inner_step[0]], b[i * w->inner_step[1]]);
}

static int run_float(const struct nn_op_call *call, enum arithmetic op)
{
    const struct nn_walk *w = call->state;
    const struct nn_kernels *k = call->kernels;
    void (*const dense[])(float *, const float *, const float *, size_t) = {
        [ADD] = k->add, [SUB] = k->sub, [MUL] = k->mul, [DIV] = k->div};
    float *y = call->outputs[0].data;
    const float *a = call->inputs[0].data, *b = call->inputs[1].data;
    struct nn_walk_cursor c = {0};
    do {
        if (op == FMOD)
            float_remainder(w, y, a + c.at[0], b + c.at[1]);
        else if (w->inner_step[0] == w->inner_step[1] && w->inner_step[0] != 0)
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
 * the one quotient of signed numbers that overflows wraps to itself. Sums and products modulo
 * 2^64, cut to the type, are those of the type. */
#define INTEGER_APPLY(nn_type, type, is_signed)                                                \
    static inline type apply_##type(enum arithmetic op, type a, type b)                        \
    {                                                                                          \
        bool minus_one = is_signed && b == (type)(-1);                                         \
        switch (op) {                                                                          \
        case ADD:                                                                              \
            return (type)((uint64_t)a + (uint64_t)b);                                          \
        case SUB:                                                                              \
            return (type)((uint64_t)a - (uint64_t)b);                                          \
        case MUL:                                                                              \
            return (type)((uint64_t)a * (uint64_t)b);                                          \
        case DIV:                                                                              \
            return minus_one ? (type)(0 - (uint64_t)a) : (type)(a / b);                        \
        default:                                                                               \
            break;                                                                             \
        }                                                                                      \
        type rest = minus_one ? 0 : (type)(a % b);                                             \
        bool apart = is_signed && ((uint64_t)rest ^ (uint64_t)b) >> 63;                        \
        return op == MOD && rest != 0 && apart ? (type)(rest + b) : rest;                      \
    }
NN_INTEGER_TYPES(INTEGER_APPLY)

#define INTEGER_RUN(nn_type, type, is_signed)                                                  \
    static int run_##type(const struct nn_op_call *call, enum arithmetic op)                   \
    {                                                                                          \
        const struct nn_walk *w = call->state;                                                 \
        type *y = call->outputs[0].data;                                                       \
        const type *first = call->inputs[0].data, *second = call->inputs[1].data;              \
        struct nn_walk_cursor c = {0};                                                         \
        do {                                                                                   \
            for (int64_t i = 0; i < w->inner; i++) {                                           \
                type a = first[c.at[0] + i * w->inner_step[0]];                                \
                type b = second[c.at[1] + i * w->inner_step[1]];                               \
                if (op >= DIV && b == 0)                                                       \
                    return nn_op_fail(call, -EINVAL, "division by zero");                      \
                y[i] = apply_##type(op, a, b);                                                 \
            }                                                                                  \
            y += w->inner;                                                                     \
        } while (nn_walk_next(w, &c));                                                         \
        return 0;                                                                              \
    }
NN_INTEGER_TYPES(INTEGER_RUN)

static int run(const struct nn_op_call *call, enum arithmetic op)
{
    if (((const struct nn_walk *)call->state)->inner == 0)
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

static int mod(struct nn_op_call *call)
{
    return run(call, nn_op_int(call, "fmod", 0) != 0 ? FMOD : MOD);
}

static const struct nn_attribute_rule mod_rules[] = {{"fmod", NN_ATTRIBUTE_INT, 1, 0}, {0}};

#define ARITHMETIC(row, op_type, rules, infer_function, function, grows)                       \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 2,                                                                       \
        .max_inputs = 2,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .flags = NN_OP_ELEMENTWISE | grows,                                                    \
        .attributes = rules,                                                                   \
        .infer = infer_function,                                                               \
        .prepare = nn_broadcast_prepare,                                                       \
        .forward = function,                                                                   \
        .time = nn_broadcast_time,                                                             \
    }

ARITHMETIC(nn_op_add, "Add", nn_broadcast_rules, infer, add, NN_OP_GROWS_ALL);
ARITHMETIC(nn_op_sub, "Sub", nn_broadcast_rules, infer, sub, NN_OP_GROWS);
ARITHMETIC(nn_op_mul, "Mul", nn_broadcast_rules, infer, mul, NN_OP_GROWS_ALL);
ARITHMETIC(nn_op_div, "Div", nn_broadcast_rules, infer, divide, NN_OP_GROWS);
ARITHMETIC(nn_op_mod, "Mod", mod_rules, infer_mod, mod, 0);

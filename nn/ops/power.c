/* Pow, with broadcasting. The base gives the result its type; the exponent may have its own. */
#include <errno.h>
#include <math.h>

#include "nn/ops/broadcast.h"
#include "nn/ops/integers.h"

static int infer(struct nn_op_call *call)
{
    if (call->inputs[0].type == NN_TYPE_BOOL || call->inputs[1].type == NN_TYPE_BOOL)
        return nn_op_fail(call, -EINVAL, "operands are bool");
    call->outputs[0].type = call->inputs[0].type;
    return nn_broadcast_infer(call);
}

/* An operand in the two forms that are computed with. */
struct number {
    bool is_float;
    double value;
    uint64_t bits; /* of an integer, modulo 2^64 */
    bool negative;
};

static struct number number_at(const struct nn_tensor *t, int64_t i)
{
    switch (t->type) {
#define CASE(nn_type, type, is_signed)                                                         \
    case nn_type: {                                                                            \
        type v = ((const type *)t->data)[i];                                                   \
        return (struct number){false, (double)v, (uint64_t)v, is_signed && (uint64_t)v >> 63}; \
    }
        NN_INTEGER_TYPES(CASE)
    default:
        return (struct number){.is_float = true, .value = (double)((const float *)t->data)[i]};
    }
}

/* base^exponent modulo 2^64; of a negative exponent, what is left of the fraction. */
static uint64_t integer_power(struct number base, struct number exponent)
{
    if (exponent.negative) {
        bool unit = base.bits == 1 || (base.negative && base.bits == UINT64_MAX);
        return !unit ? 0 : exponent.bits & 1 ? base.bits : 1;
    }
    uint64_t power = 1, factor = base.bits;
    for (uint64_t n = exponent.bits; n > 0; n >>= 1) {
        power *= n & 1 ? factor : 1;
        factor *= factor;
    }
    return power;
}

static void store(const struct nn_tensor *t, int64_t i, uint64_t bits)
{
    switch (nn_type_size(t->type)) {
    case 1:
        ((uint8_t *)t->data)[i] = (uint8_t)bits;
        break;
    case 2:
        ((uint16_t *)t->data)[i] = (uint16_t)bits;
        break;
    case 4:
        ((uint32_t *)t->data)[i] = (uint32_t)bits;
        break;
    default:
        ((uint64_t *)t->data)[i] = bits;
    }
}

/* Any types but float32 to float32. */
static int power_of_any(const struct nn_op_call *call)
{
    const struct nn_walk *w = call->state;
    const struct nn_tensor *out = &call->outputs[0];
    struct nn_walk_cursor c = {0};
    int64_t at = 0;
    do {
        for (int64_t i = 0; i < w->inner; i++, at++) {
            struct number base = number_at(&call->inputs[0], c.at[0] + i * w->inner_step[0]);
            struct number exponent =
                number_at(&call->inputs[1], c.at[1] + i * w->inner_step[1]);
            if (base.is_float)
                ((float *)out->data)[at] = (float)pow(base.value, exponent.value);
            else if (exponent.is_float)
                store(out, at, nn_integer_part(pow(base.value, exponent.value)));
            else if (base.bits == 0 && exponent.negative)
                return nn_op_fail(call, -EINVAL, "zero to a negative power");
            else
                store(out, at, integer_power(base, exponent));
        }
    } while (nn_walk_next(w, &c));
    return 0;
}

/* Squares and cubes are what networks are full of (norms, GELU). */
static void float_power(float *y, const float *a, int64_t a_step, float exponent, int64_t n)
{
    if (exponent == 2)
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i * a_step] * a[i * a_step];
    else if (exponent == 3)
        for (int64_t i = 0; i < n; i++)
            y[i] = a[i * a_step] * a[i * a_step] * a[i * a_step];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = powf(a[i * a_step], exponent);
}

static int power(struct nn_op_call *call)
{
    const struct nn_walk *w = call->state;
    if (w->inner == 0)
        return 0;
    if (call->inputs[0].type != NN_TYPE_FLOAT || call->inputs[1].type != NN_TYPE_FLOAT)
        return power_of_any(call);
    float *y = call->outputs[0].data;
    const float *first = call->inputs[0].data, *second = call->inputs[1].data;
    struct nn_walk_cursor c = {0};
    do {
        const float *a = first + c.at[0], *b = second + c.at[1];
        if (w->inner_step[1] == 0)
            float_power(y, a, w->inner_step[0], *b, w->inner);
        else
            for (int64_t i = 0; i < w->inner; i++)
                y[i] = powf(a[i * w->inner_step[0]], b[i * w->inner_step[1]]);
        y += w->inner;
    } while (nn_walk_next(w, &c));
    return 0;
}

const struct nn_op nn_op_pow = {
    .name = "Pow",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_ELEMENTWISE,
    .attributes = nn_broadcast_rules,
    .infer = infer,
    .prepare = nn_broadcast_prepare,
    .forward = power,
    .time = nn_broadcast_time,
};

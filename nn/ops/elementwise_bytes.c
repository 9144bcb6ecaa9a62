/* What the planner makes of functions and sums between DequantizeLinear and QuantizeLinear
 * (nn/qdq.c): a table of the 256 results, and a sum of bytes. Their inputs are bytes, each
 * followed by its scale and zero point, then scale and zero point of the output. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/kernels/bytes.h"
#include "nn/kernels/kernels.h"

enum { BYTES = 256 };

/* A byte stands for (number - zero) · scale. */
struct step {
    enum nn_type type;
    float scale;
    int32_t zero;
};

/* The step whose scale and zero point are inputs `at` and the next. */
static struct step step_at(const struct nn_op_call *call, int at, enum nn_type type)
{
    struct step step = {.type = type, .scale = *(const float *)call->inputs[at].data};
    if (nn_op_has_input(call, at + 1))
        step.zero = nn_tensor_byte(&call->inputs[at + 1], 0);
    return step;
}

/* The least and greatest value of a type, in steps from its zero point. */
static float lowest(const struct step *step)
{
    return (float)((step->type == NN_TYPE_INT8 ? INT8_MIN : 0) - step->zero);
}

static float highest(const struct step *step)
{
    return lowest(step) + UINT8_MAX;
}

/* int8 numbers are looked at as bytes that are 128 more. */
static uint8_t flip_of(enum nn_type type)
{
    return type == NN_TYPE_INT8 ? 128 : 0;
}

static enum nn_type output_type(const struct nn_op_call *call, int zero)
{
    return nn_op_has_input(call, zero) ? call->inputs[zero].type : NN_TYPE_UINT8;
}

/* Table. */

static int infer_table(struct nn_op_call *call)
{
    call->outputs[0].type = output_type(call, 4);
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static int prepare_table(struct nn_op_call *call)
{
    const struct nn_byte_kernels *k = call->kernels->bytes;
    uint8_t *table = nn_op_alloc(call, BYTES), bytes[BYTES];
    float values[BYTES];
    if (!table)
        return -ENOMEM;
    struct step x = step_at(call, 1, call->inputs[0].type);
    struct step y = step_at(call, 3, output_type(call, 4));
    for (int i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)i;
    k->dequantize(values, bytes, flip_of(x.type), x.zero + flip_of(x.type), x.scale, BYTES);
    nn_activation_apply(call, values, values, BYTES);
    k->quantize(table, values, y.scale, lowest(&y), highest(&y), y.zero, BYTES);
    call->state = table;
    call->method = "bytes, a table";
    return 0;
}

static int look_up(struct nn_op_call *call)
{
    const uint8_t *table = call->state, *x = call->inputs[0].data;
    uint8_t *y = call->outputs[0].data;
    int64_t count = nn_shape_count(&call->outputs[0].shape);
    for (int64_t i = 0; i < count; i++)
        y[i] = table[x[i]];
    return 0;
}

/* Sum. */

static int infer_sum(struct nn_op_call *call)
{
    if (!nn_shape_equal(&call->inputs[0].shape, &call->inputs[3].shape))
        return nn_op_fail(call, -ENOTSUP, "bytes of two shapes are not added");
    call->outputs[0].type = output_type(call, 7);
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static float limited(float value, const struct step *y)
{
    value = rintf(value / y->scale);
    value = value > lowest(y) ? value : lowest(y);
    return value < highest(y) ? value : highest(y);
}

static int prepare_sum(struct nn_op_call *call)
{
    struct nn_byte_add *add = nn_op_alloc(call, sizeof *add);
    if (!add)
        return -ENOMEM;
    struct step a = step_at(call, 1, call->inputs[0].type);
    struct step b = step_at(call, 4, call->inputs[3].type);
    struct step y = step_at(call, 6, output_type(call, 7));
    float low, high;
    nn_activation_clamps(call, &low, &high);
    double a_scale = (double)a.scale / y.scale, b_scale = (double)b.scale / y.scale;
    int32_t a_zero = a.zero + flip_of(a.type), b_zero = b.zero + flip_of(b.type);
    *add = (struct nn_byte_add){.flip = {flip_of(a.type), flip_of(b.type)},
                                .scale = {(float)a_scale, (float)b_scale},
                                .shift = (float)-(a_zero * a_scale + b_zero * b_scale),
                                .low = limited(low, &y),
                                .high = limited(high, &y),
                                .zero = y.zero};
    call->state = add;
    call->method = "bytes";
    return 0;
}

static int sum(struct nn_op_call *call)
{
    struct nn_byte_add add = *(const struct nn_byte_add *)call->state;
    add.a = call->inputs[0].data;
    add.b = call->inputs[3].data;
    add.n = (size_t)nn_shape_count(&call->outputs[0].shape);
    call->kernels->bytes->add(call->outputs[0].data, &add);
    return 0;
}

const struct nn_op nn_op_table_bytes = {
    .name = "Table",
    .min_inputs = 4,
    .max_inputs = 5,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_ELEMENTWISE,
    .infer = infer_table,
    .prepare = prepare_table,
    .forward = look_up,
    .time = nn_op_time_same,
};

const struct nn_op nn_op_sum_bytes = {
    .name = "Add",
    .min_inputs = 7,
    .max_inputs = 8,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_ELEMENTWISE,
    .infer = infer_sum,
    .prepare = prepare_sum,
    .forward = sum,
    .time = nn_op_time_same,
};

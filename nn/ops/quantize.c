/* QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear: between float32 and integers of 8
 * or 16 bits (DequantizeLinear: also of 32).
 *
 *     y = saturate(round(x / scale) + zero point), ties to even     x = (y - zero point) · scale
 *
 * with one scale for the tensor, one for each index of an axis (from opset 13 on), or
 * one for each block of them (from 21 on). Types of 4 bits and fewer, and float8, are
 * refused by name. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "nn/half.h"
#include "nn/kernels/bytes.h"
#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/integers.h"

/* Input numbers of both. */
enum { X, SCALE, ZERO };

/* x is (outer, extent, inner), the scales are (outer or 1, scales, inner or 1). */
struct quantization {
    int64_t outer, extent, inner;
    int64_t block;       /* indices of the axis that share a scale */
    int64_t scales;      /* along the axis */
    bool blocked, alone; /* alone: one scale for all */
};

static int fail_scale(const struct nn_op_call *call)
{
    return nn_op_fail(call, -EINVAL, "its scale does not fit its input");
}

static int geometry(const struct nn_op_call *call, struct quantization *ret_q)
{
    const struct nn_shape *x = &call->inputs[X].shape, *scale = &call->inputs[SCALE].shape;
    struct quantization q = {.outer = 1, .inner = 1, .block = 1, .scales = 1};
    int64_t block = nn_op_int(call, "block_size", 0);
    q.extent = nn_shape_count(x);
    q.block = q.extent;
    q.alone = nn_shape_count(scale) == 1 && block == 0;
    if (block < 0)
        return nn_op_fail(call, -EINVAL, "block_size is %lld", (long long)block);
    if (q.alone) {
        *ret_q = q;
        return 0;
    }
    if (call->opset < 13)
        return nn_op_fail(call, -EINVAL, "opset %d has one scale for a tensor", call->opset);
    int axis = x->rank == 1 ? 0 : nn_op_axis(call, nn_op_int(call, "axis", 1), x->rank);
    if (axis < 0)
        return axis;
    q.outer = nn_shape_extent(x, 0, axis);
    q.extent = x->dim[axis];
    q.inner = nn_shape_extent(x, axis + 1, x->rank);
    q.blocked = block > 0;
    q.block = q.blocked ? block : 1;
    if (scale->rank != (q.blocked ? x->rank : 1))
        return fail_scale(call);
    q.scales = scale->dim[q.blocked ? axis : 0];
    if (q.scales != q.extent / q.block + (q.extent % q.block != 0))
        return fail_scale(call);
    for (int i = 0; q.blocked && i < x->rank; i++)
        if (i != axis && scale->dim[i] != x->dim[i])
            return fail_scale(call);
    *ret_q = q;
    return 0;
}

static bool is_small_integer(enum nn_type type)
{
    return nn_type_is_byte(type) || type == NN_TYPE_INT16 || type == NN_TYPE_UINT16;
}

/* Scale and zero point, which is of the type `integer`. */
static int check_parameters(const struct nn_op_call *call, enum nn_type integer)
{
    int r = nn_op_require_type(call, SCALE, NN_TYPE_FLOAT);
    if (r < 0 || !nn_op_has_input(call, ZERO))
        return r;
    if (call->inputs[ZERO].type != integer)
        return nn_op_fail(call, -EINVAL, "its zero point is %s, not %s",
                          nn_type_name(call->inputs[ZERO].type), nn_type_name(integer));
    if (nn_shape_count(&call->inputs[ZERO].shape) != nn_shape_count(&call->inputs[SCALE].shape))
        return nn_op_fail(call, -EINVAL, "it has not as many zero points as scales");
    return 0;
}

static int prepare(struct nn_op_call *call)
{
    struct quantization *q = nn_op_alloc(call, sizeof *q);
    if (!q)
        return -ENOMEM;
    call->state = q;
    return geometry(call, q);
}

static int64_t integer(const struct nn_tensor *t, int64_t i)
{
    switch (t->type) {
#define INTEGER(nn_type, type, is_signed)                                                      \
    case nn_type:                                                                              \
        return (int64_t)((const type *)t->data)[i];
        NN_INTEGER_TYPES(INTEGER)
    default:
        return 0;
    }
}

/* What a run of elements shares. */
struct run {
    int64_t at, count; /* of x */
    int64_t scale;     /* index of the first one's scale */
    int64_t step;      /* 1: each has its own, 0: all have this one */
};

/* Calls `each` for runs that have one scale, or scales side by side. */
static void for_runs(struct nn_op_call *call,
                     void (*each)(const struct nn_op_call *, const struct run *))
{
    const struct quantization *q = call->state;
    if (q->alone) {
        each(call, &(struct run){.count = q->extent});
        return;
    }
    struct run run = {.count = q->inner, .step = q->blocked};
    for (int64_t o = 0; o < q->outer; o++) {
        for (int64_t d = 0; d < q->extent; d++, run.at += q->inner) {
            run.scale = d / q->block + (q->blocked ? o * q->scales : 0);
            run.scale *= q->blocked ? q->inner : 1;
            each(call, &run);
        }
    }
}

/* QuantizeLinear. */

static int quantized_type(const struct nn_op_call *call, enum nn_type *ret_type)
{
    int64_t wanted = nn_op_int(call, "output_dtype", 0);
    enum nn_type type = nn_op_has_input(call, ZERO) ? call->inputs[ZERO].type : NN_TYPE_UINT8;
    if (wanted != 0 && !nn_op_has_input(call, ZERO))
        type = nn_type_from_onnx(wanted);
    if (wanted != 0 && nn_op_has_input(call, ZERO) && wanted != (int64_t)type)
        return nn_op_fail(call, -EINVAL, "output_dtype is not the type of its zero point");
    if (!is_small_integer(type) || (!nn_type_is_byte(type) && call->opset < 21))
        return nn_op_fail(call, -ENOTSUP, "quantizing to %s is not supported in opset %d",
                          wanted ? nn_type_onnx_name(wanted) : nn_type_name(type), call->opset);
    *ret_type = type;
    return 0;
}

static int infer_quantize(struct nn_op_call *call)
{
    struct quantization q;
    enum nn_type type = call->inputs[X].type;
    if (type != NN_TYPE_FLOAT && type != NN_TYPE_INT32)
        return nn_op_fail(call, -ENOTSUP, "quantizing %s is not supported", nn_type_name(type));
    int64_t precision = nn_op_int(call, "precision", 0);
    if (precision != 0 && precision != NN_TYPE_FLOAT && precision != NN_ONNX_FLOAT16)
        return nn_op_fail(call, -ENOTSUP, "dividing in %s is not supported",
                          nn_type_onnx_name(precision));
    int r = quantized_type(call, &call->outputs[0].type);
    if (r == 0)
        r = check_parameters(call, call->outputs[0].type);
    call->outputs[0].shape = call->inputs[X].shape;
    return r < 0 ? r : geometry(call, &q);
}

static float half(float value)
{
    return nn_half_to_float(nn_half_from_float(value));
}

static float quotient(const struct nn_op_call *call, int64_t i, float scale)
{
    const struct nn_tensor *x = &call->inputs[X];
    if (x->type == NN_TYPE_INT32)
        return (float)(((const int32_t *)x->data)[i] / (double)scale);
    float value = ((const float *)x->data)[i];
    if (nn_op_int(call, "precision", 0) == NN_ONNX_FLOAT16)
        return half(half(value) / half(scale));
    return value / scale;
}

static void store(const struct nn_tensor *y, int64_t i, float value, int64_t zero)
{
    switch (y->type) {
#define STORE(nn_type, type, is_signed)                                                        \
    case nn_type: {                                                                            \
        const type lowest = NN_INTEGER_LOWEST(type, is_signed);                                \
        float low = (float)((int64_t)lowest - zero);                                           \
        float high = (float)((int64_t)(type)~lowest - zero);                                   \
        value = value > low ? value : low;                                                     \
        value = value < high ? value : high;                                                   \
        ((type *)y->data)[i] = (type)((int64_t)rintf(value) + zero);                           \
        break;                                                                                 \
    }
        STORE(NN_TYPE_INT8, int8_t, true)
        STORE(NN_TYPE_UINT8, uint8_t, false)
        STORE(NN_TYPE_INT16, int16_t, true)
        STORE(NN_TYPE_UINT16, uint16_t, false)
    default:
        break;
    }
}

static void quantize_run(const struct nn_op_call *call, const struct run *run)
{
    const struct nn_tensor *y = &call->outputs[0], *zero = &call->inputs[ZERO];
    const float *scale = (const float *)call->inputs[SCALE].data + run->scale;
    bool zeros = nn_op_has_input(call, ZERO);
    bool bytes = nn_type_is_byte(y->type);
    if (bytes && call->inputs[X].type == NN_TYPE_FLOAT && run->step == 0 &&
        nn_op_int(call, "precision", 0) != NN_ONNX_FLOAT16) {
        int32_t z = zeros ? (int32_t)integer(zero, run->scale) : 0;
        int32_t low = y->type == NN_TYPE_INT8 ? INT8_MIN : 0;
        call->kernels->bytes->quantize(
            (uint8_t *)y->data + run->at, (const float *)call->inputs[X].data + run->at, *scale,
            (float)(low - z), (float)(low + UINT8_MAX - z), z, (size_t)run->count);
        return;
    }
    for (int64_t i = 0; i < run->count; i++) {
        int64_t own = i * run->step;
        store(y, run->at + i, quotient(call, run->at + i, scale[own]),
              zeros ? integer(zero, run->scale + own) : 0);
    }
}

static int quantize(struct nn_op_call *call)
{
    for_runs(call, quantize_run);
    return 0;
}

/* DequantizeLinear. */

static int infer_dequantize(struct nn_op_call *call)
{
    struct quantization q;
    enum nn_type type = call->inputs[X].type;
    if (!is_small_integer(type) && type != NN_TYPE_INT32)
        return nn_op_fail(call, -ENOTSUP, "dequantizing %s is not supported",
                          nn_type_name(type));
    int64_t wanted = nn_op_int(call, "output_dtype", 0);
    if (wanted != 0 && nn_type_from_onnx(wanted) != NN_TYPE_FLOAT)
        return nn_op_fail(call, -ENOTSUP, "dequantizing to %s is not supported",
                          nn_type_onnx_name(wanted));
    int r = check_parameters(call, type);
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = call->inputs[X].shape;
    return r < 0 ? r : geometry(call, &q);
}

static void dequantize_run(const struct nn_op_call *call, const struct run *run)
{
    const struct nn_tensor *x = &call->inputs[X], *zero = &call->inputs[ZERO];
    const float *scale = (const float *)call->inputs[SCALE].data + run->scale;
    float *y = (float *)call->outputs[0].data + run->at;
    bool zeros = nn_op_has_input(call, ZERO);
    bool bytes = nn_type_is_byte(x->type);
    if (bytes && run->step == 0) {
        /* int8 numbers with 128 added, which the zero point then has, too. */
        int32_t flip = x->type == NN_TYPE_INT8 ? 128 : 0;
        int32_t z = (zeros ? (int32_t)integer(zero, run->scale) : 0) + flip;
        call->kernels->bytes->dequantize(y, (const uint8_t *)x->data + run->at, (uint8_t)flip,
                                         z, *scale, (size_t)run->count);
        return;
    }
    for (int64_t i = 0; i < run->count; i++) {
        int64_t own = i * run->step;
        int64_t z = zeros ? integer(zero, run->scale + own) : 0;
        y[i] = (float)(integer(x, run->at + i) - z) * scale[own];
    }
}

static int dequantize(struct nn_op_call *call)
{
    for_runs(call, dequantize_run);
    float *y = call->outputs[0].data;
    bool halves = nn_op_int(call, "output_dtype", 0) == NN_ONNX_FLOAT16;
    int64_t count = nn_shape_count(&call->outputs[0].shape);
    for (int64_t i = 0; i < count && halves; i++)
        y[i] = half(y[i]);
    return 0;
}

/* One scale for all: any axis; else the axis of scales must not be time, and time
 * none of its. */
static bool linear_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct quantization q;
    for (int i = 1; i < call->input_count; i++)
        if (in[i] != NN_TIME_NONE)
            return false;
    if (in[X] == NN_TIME_NONE || geometry(call, &q) < 0 || q.blocked)
        return false;
    const struct nn_shape *x = &call->inputs[X].shape;
    int64_t axis = nn_op_int(call, "axis", 1);
    if (!q.alone && in[X] == (axis < 0 ? axis + x->rank : x->rank == 1 ? 0 : axis))
        return false;
    out[0] = in[X];
    return true;
}

/* DynamicQuantizeLinear: scale and zero point of what is there, and zero. */

static int infer_dynamic(struct nn_op_call *call)
{
    int r = nn_op_require_type(call, X, NN_TYPE_FLOAT);
    for (int j = 0; j < 3; j++) {
        call->outputs[j].type = j == 1 ? NN_TYPE_FLOAT : NN_TYPE_UINT8;
        call->outputs[j].shape = j == 0 ? call->inputs[X].shape : (struct nn_shape){0};
    }
    return r;
}

static int quantize_dynamically(struct nn_op_call *call)
{
    const float *x = call->inputs[X].data;
    int64_t count = nn_shape_count(&call->inputs[X].shape);
    float low = 0, high = 0;
    for (int64_t i = 0; i < count; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    /* Nothing but zeros: any scale does. Infinities have none that would. */
    float scale = high > low ? (high - low) / UINT8_MAX : 1;
    if (!isfinite(scale) || scale == 0)
        scale = high > low && scale == 0 ? FLT_TRUE_MIN : 1;
    float zero = -low / scale;
    zero = rintf(zero > 0 ? (zero < UINT8_MAX ? zero : UINT8_MAX) : 0);
    if (call->outputs[0].data)
        call->kernels->bytes->quantize(call->outputs[0].data, x, scale, -zero, UINT8_MAX - zero,
                                       (int32_t)zero, (size_t)count);
    if (call->outputs[1].data)
        *(float *)call->outputs[1].data = scale;
    if (call->outputs[2].data)
        *(uint8_t *)call->outputs[2].data = (uint8_t)zero;
    return 0;
}

static const struct nn_attribute_rule quantize_rules[] = {
    {"axis", NN_ATTRIBUTE_INT, 13, 0},       {"saturate", NN_ATTRIBUTE_INT, 19, 0},
    {"block_size", NN_ATTRIBUTE_INT, 21, 0}, {"output_dtype", NN_ATTRIBUTE_INT, 21, 0},
    {"precision", NN_ATTRIBUTE_INT, 23, 0},  {0},
};

static const struct nn_attribute_rule dequantize_rules[] = {
    {"axis", NN_ATTRIBUTE_INT, 13, 0},
    {"block_size", NN_ATTRIBUTE_INT, 21, 0},
    {"output_dtype", NN_ATTRIBUTE_INT, 23, 0},
    {0},
};

const struct nn_op nn_op_quantize_linear = {
    .name = "QuantizeLinear",
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = quantize_rules,
    .infer = infer_quantize,
    .prepare = prepare,
    .forward = quantize,
    .time = linear_time,
};

const struct nn_op nn_op_dequantize_linear = {
    .name = "DequantizeLinear",
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = dequantize_rules,
    .infer = infer_dequantize,
    .prepare = prepare,
    .forward = dequantize,
    .time = linear_time,
};

const struct nn_op nn_op_dynamic_quantize_linear = {
    .name = "DynamicQuantizeLinear",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 3,
    .max_outputs = 3,
    .infer = infer_dynamic,
    .forward = quantize_dynamically,
};

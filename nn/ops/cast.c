/* Cast and CastLike, between all types; to float16 a number is rounded to the nearest half and
 * stays float32, to float64 it stays what it is (nn/model.h).
 *
 * Floats become integers by dropping the fraction; what is beyond the type is cut to its bits
 * (nn_integer_part), as are integers beyond a narrower type. Anything but zero is true. */
#include <errno.h>
#include <string.h>

#include "nn/half.h"
#include "nn/op.h"
#include "nn/ops/integers.h"

/* --- Conversions ------------------------------------------------------------------------ */

/* Integers of any type to float32, directly: images come this way. */
static void integers_to_floats(float *to, const struct nn_tensor *from, int64_t count)
{
    switch (from->type) {
#define TO_FLOATS(nn_type, type, is_signed)                                                    \
    case nn_type:                                                                              \
        for (int64_t i = 0; i < count; i++)                                                    \
            to[i] = (float)((const type *)from->data)[i];                                      \
        break;
        NN_INTEGER_TYPES(TO_FLOATS)
    default: /* bool */
        for (int64_t i = 0; i < count; i++)
            to[i] = (float)((const uint8_t *)from->data)[i];
    }
}

/* All other pairs meet in 64 bits, a block at a time. */
enum { BLOCK = 256 };

static void widen(uint64_t *bits, const struct nn_tensor *from, int64_t at, int64_t count,
                  bool is_asked)
{
    switch (from->type) {
#define WIDEN(nn_type, type, is_signed)                                                        \
    case nn_type:                                                                              \
        for (int64_t i = 0; i < count; i++)                                                    \
            bits[i] = (uint64_t)((const type *)from->data)[at + i];                            \
        break;
        NN_INTEGER_TYPES(WIDEN)
    case NN_TYPE_FLOAT:
        for (int64_t i = 0; i < count; i++) {
            float value = ((const float *)from->data)[at + i];
            bits[i] = is_asked ? value != 0 : nn_integer_part((double)value);
        }
        break;
    default: /* bool */
        for (int64_t i = 0; i < count; i++)
            bits[i] = ((const uint8_t *)from->data)[at + i];
    }
}

static void narrow(const struct nn_tensor *to, int64_t at, const uint64_t *bits, int64_t count)
{
    switch (to->type) {
#define NARROW(nn_type, type, is_signed)                                                       \
    case nn_type:                                                                              \
        for (int64_t i = 0; i < count; i++)                                                    \
            ((type *)to->data)[at + i] = (type)bits[i];                                        \
        break;
        NN_INTEGER_TYPES(NARROW)
    default: /* bool */
        for (int64_t i = 0; i < count; i++)
            ((uint8_t *)to->data)[at + i] = bits[i] != 0;
    }
}

static void convert(const struct nn_tensor *to, const struct nn_tensor *from)
{
    int64_t count = nn_shape_count(&to->shape);
    uint64_t bits[BLOCK];
    if (to->type == from->type) {
        memmove(to->data, from->data, (size_t)count * nn_type_size(to->type));
    } else if (to->type == NN_TYPE_FLOAT) {
        integers_to_floats(to->data, from, count);
    } else {
        for (int64_t at = 0; at < count; at += BLOCK) {
            int64_t n = count - at < BLOCK ? count - at : BLOCK;
            widen(bits, from, at, n, to->type == NN_TYPE_BOOL);
            narrow(to, at, bits, n);
        }
    }
}

/* --- Cast ------------------------------------------------------------------------------- */

/* Before opset 6 the type is spelled as in ONNX's schema. */
static int64_t type_of_name(const char *name)
{
    static const struct {
        const char *name;
        int64_t type;
    } names[] = {
        {"FLOAT", NN_TYPE_FLOAT},   {"UINT8", NN_TYPE_UINT8},   {"INT8", NN_TYPE_INT8},
        {"UINT16", NN_TYPE_UINT16}, {"INT16", NN_TYPE_INT16},   {"INT32", NN_TYPE_INT32},
        {"INT64", NN_TYPE_INT64},   {"BOOL", NN_TYPE_BOOL},     {"FLOAT16", NN_ONNX_FLOAT16},
        {"DOUBLE", NN_ONNX_DOUBLE}, {"UINT32", NN_TYPE_UINT32}, {"UINT64", NN_TYPE_UINT64},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].type;
    return -1;
}

static int64_t wanted_type(const struct nn_op_call *call)
{
    return call->opset < 6 ? type_of_name(nn_op_string(call, "to", ""))
                           : nn_op_int(call, "to", -1);
}

static int infer_cast(struct nn_op_call *call)
{
    if (!nn_op_has(call, "to"))
        return nn_op_fail(call, -EINVAL, "attribute 'to' is missing");
    int64_t wanted = wanted_type(call);
    call->outputs[0].type = nn_type_from_onnx(wanted);
    call->outputs[0].shape = call->inputs[0].shape;
    if (call->outputs[0].type == NN_TYPE_NONE)
        return nn_op_fail(call, -ENOTSUP, "casting to %s is not supported",
                          nn_type_onnx_name(wanted));
    return 0;
}

static int cast(struct nn_op_call *call)
{
    convert(&call->outputs[0], &call->inputs[0]);
    if (wanted_type(call) != NN_ONNX_FLOAT16)
        return 0;
    float *y = call->outputs[0].data;
    int64_t count = nn_shape_count(&call->outputs[0].shape);
    for (int64_t i = 0; i < count; i++)
        y[i] = nn_half_to_float(nn_half_from_float(y[i]));
    return 0;
}

/* A value declared float16 is float32 here, so nothing is rounded to be like one. */
static int infer_cast_like(struct nn_op_call *call)
{
    call->outputs[0].type = call->inputs[1].type;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static int cast_like(struct nn_op_call *call)
{
    convert(&call->outputs[0], &call->inputs[0]);
    return 0;
}

/* Of input 1 only the type is looked at. */
static bool time_rule(const struct nn_op_call *call, const int *in, int *out)
{
    (void)call;
    out[0] = in[0];
    return in[0] != NN_TIME_NONE;
}

/* Saturation and rounding modes are those of float8 types. */
static const struct nn_attribute_rule rules[] = {{"to", NN_ATTRIBUTE_STRING, 1, 5},
                                                 {"to", NN_ATTRIBUTE_INT, 6, 0},
                                                 {"saturate", NN_ATTRIBUTE_INT, 19, 0},
                                                 {"round_mode", NN_ATTRIBUTE_STRING, 24, 0},
                                                 {0}};

const struct nn_op nn_op_cast = {
    .name = "Cast",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_ELEMENTWISE | NN_OP_GROWS,
    .attributes = rules,
    .infer = infer_cast,
    .forward = cast,
    .time = time_rule,
};

const struct nn_op nn_op_cast_like = {
    .name = "CastLike",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_ELEMENTWISE | NN_OP_GROWS,
    .attributes = rules + 2,
    .infer = infer_cast_like,
    .forward = cast_like,
    .time = time_rule,
};

#include "nn/tensor.h"

#include <stdarg.h>
#include <stdio.h>

int nn_error_set(struct nn_error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

const char *const nn_precision_names[] = {"fp32", "fast", "int8", NULL};

/* By ONNX's number; bytes 0 where we have no such type. */
static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    {"undefined", 0},      {"float32", 4},      {"uint8", 1},          {"int8", 1},
    {"uint16", 2},         {"int16", 2},        {"int32", 4},          {"int64", 8},
    {"string", 0},         {"bool", 1},         {"float16", 0},        {"float64", 0},
    {"uint32", 4},         {"uint64", 8},       {"complex64", 0},      {"complex128", 0},
    {"bfloat16", 0},       {"float8e4m3fn", 0}, {"float8e4m3fnuz", 0}, {"float8e5m2", 0},
    {"float8e5m2fnuz", 0}, {"uint4", 0},        {"int4", 0},           {"float4e2m1", 0},
    {"float8e8m0", 0},     {"uint2", 0},        {"int2", 0},
};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

size_t nn_type_size(enum nn_type type)
{
    return types[type].bytes;
}

const char *nn_type_name(enum nn_type type)
{
    return type == NN_TYPE_NONE ? "none" : types[type].name;
}

enum nn_type nn_type_from_onnx(int64_t data_type)
{
    if (data_type == NN_ONNX_FLOAT16 || data_type == NN_ONNX_DOUBLE)
        return NN_TYPE_FLOAT;
    bool ours = data_type >= 0 && data_type < TYPE_COUNT && types[data_type].bytes > 0;
    return ours ? (enum nn_type)data_type : NN_TYPE_NONE;
}

const char *nn_type_onnx_name(int64_t data_type)
{
    return data_type >= 0 && data_type < TYPE_COUNT ? types[data_type].name : "an unknown type";
}

int64_t nn_shape_count(const struct nn_shape *shape)
{
    if (shape->rank < 0)
        return -1;
    int64_t count = 1;
    bool empty = false;
    for (int i = 0; i < shape->rank; i++) {
        empty |= shape->dim[i] == 0;
        if (shape->dim[i] < 0 ||
            (shape->dim[i] > 0 && __builtin_mul_overflow(count, shape->dim[i], &count)))
            return -1;
    }
    /* Strides and loops count the other dimensions even when one is empty. */
    if (empty)
        return count <= INT32_MAX ? 0 : -1;
    return count;
}

size_t nn_tensor_bytes(const struct nn_tensor *tensor)
{
    return (size_t)nn_shape_count(&tensor->shape) * nn_type_size(tensor->type);
}

int64_t nn_shape_extent(const struct nn_shape *shape, int first, int end)
{
    int64_t count = 1;
    for (int i = first; i < end; i++)
        count *= shape->dim[i];
    return count;
}

bool nn_shape_equal(const struct nn_shape *a, const struct nn_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

bool nn_shape_broadcast(const struct nn_shape *a, const struct nn_shape *b,
                        struct nn_shape *ret_shape)
{
    struct nn_shape shape = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 1; i <= shape.rank; i++) {
        int64_t da = i <= a->rank ? a->dim[a->rank - i] : 1;
        int64_t db = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (da != db && da != 1 && db != 1)
            return false;
        shape.dim[shape.rank - i] = da == 1 ? db : da;
    }
    *ret_shape = shape;
    return true;
}

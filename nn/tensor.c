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

size_t nn_type_size(enum nn_type type)
{
    switch (type) {
    case NN_TYPE_FLOAT:
    case NN_TYPE_INT32:
        return 4;
    case NN_TYPE_INT64:
        return 8;
    case NN_TYPE_UINT8:
    case NN_TYPE_INT8:
    case NN_TYPE_BOOL:
        return 1;
    case NN_TYPE_NONE:
        break;
    }
    return 0;
}

const char *nn_type_name(enum nn_type type)
{
    switch (type) {
    case NN_TYPE_FLOAT:
        return "float32";
    case NN_TYPE_UINT8:
        return "uint8";
    case NN_TYPE_INT8:
        return "int8";
    case NN_TYPE_INT32:
        return "int32";
    case NN_TYPE_INT64:
        return "int64";
    case NN_TYPE_BOOL:
        return "bool";
    case NN_TYPE_NONE:
        break;
    }
    return "none";
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

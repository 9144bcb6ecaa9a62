/* The integer types, for loops written once and compiled for each. Private to nn/ops/. */
#ifndef NN_OPS_INTEGERS_H
#define NN_OPS_INTEGERS_H

#include "nn/tensor.h"

/* EACH(nn_type, C type, whether it has negative numbers) */
#define NN_INTEGER_TYPES(EACH)                                                                 \
    EACH(NN_TYPE_INT8, int8_t, true)                                                           \
    EACH(NN_TYPE_INT16, int16_t, true)                                                         \
    EACH(NN_TYPE_INT32, int32_t, true)                                                         \
    EACH(NN_TYPE_INT64, int64_t, true)                                                         \
    EACH(NN_TYPE_UINT8, uint8_t, false)                                                        \
    EACH(NN_TYPE_UINT16, uint16_t, false)                                                      \
    EACH(NN_TYPE_UINT32, uint32_t, false)                                                      \
    EACH(NN_TYPE_UINT64, uint64_t, false)

/* The smallest number of an integer type; its complement is the largest. */
#define NN_INTEGER_LOWEST(type, is_signed)                                                     \
    ((type)((uint64_t)(is_signed) << (8 * sizeof(type) - 1)))

static inline bool nn_type_is_integer(enum nn_type type)
{
    switch (type) {
#define NN_INTEGER_CASE(nn_type, type, is_signed) case nn_type:
        NN_INTEGER_TYPES(NN_INTEGER_CASE)
#undef NN_INTEGER_CASE
        return true;
    default:
        return false;
    }
}

/* The integer part of a number, modulo 2^64: what a cast cuts to its type. All that is beyond
 * the 64-bit integers, and NaN, becomes -2^63 (what x86 gives). */
static inline uint64_t nn_integer_part(double value)
{
    if (value >= -0x1p63 && value < 0x1p63)
        return (uint64_t)(int64_t)value;
    return value >= 0x1p63 && value < 0x1p64 ? (uint64_t)value : UINT64_C(1) << 63;
}

#endif

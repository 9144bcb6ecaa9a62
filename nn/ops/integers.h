/* The integer types, for loops that are written once and compiled for each. Private to nn/ops/. */
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

#endif

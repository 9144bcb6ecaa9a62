/* Small arithmetic with counts. Private to nn/ops/. */
#ifndef NN_OPS_COUNTS_H
#define NN_OPS_COUNTS_H

#include <stdint.h>

static inline int64_t nn_count_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many pieces of `each` hold so many, the last perhaps fewer; no pieces of 0. */
static inline int64_t nn_count_pieces(int64_t count, int64_t each)
{
    return each > 0 ? (count + each - 1) / each : 0;
}

#endif

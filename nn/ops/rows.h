/* Rows times a weight that is stored transposed, as recurrent layers multiply: through the
 * tables' tiles, in pieces of NN_ROWS_DEPTH, so that every row gets the same bits in whatever
 * company it stands (nn/ops/recurrent.c says why). Private to nn/.
 *
 * Thread: pure function. */
#ifndef NN_OPS_ROWS_H
#define NN_OPS_ROWS_H

#include "nn/kernels/kernels.h"

/* Products of longer rows are added up in pieces of this many. */
enum { NN_ROWS_DEPTH = 128 };

struct nn_rows {
    const float *in; /* (rows, depth) */
    int64_t rows, depth;
    const float *weight; /* (depth, columns), rows `width` apart */
    int64_t width, columns;
    const int32_t *offsets; /* (NN_ROWS_DEPTH): 0, width, 2 · width, ... */
    float *out;             /* out[row · out_step + column] += in · weight */
    int64_t out_step;
    float *panel; /* (NN_ROWS_DEPTH, k->tile_rows): scratch */
};

void nn_rows_multiply(const struct nn_kernels *k, const struct nn_rows *r);

#endif

#include "nn/ops/rows.h"

void nn_rows_multiply(const struct nn_kernels *k, const struct nn_rows *r)
{
    int64_t tile_rows = (int64_t)k->tile_rows;
    const float *weight = r->weight;
    for (int64_t start = 0; start < r->depth;
         start += NN_ROWS_DEPTH, weight += NN_ROWS_DEPTH * r->width) {
        int64_t taps = r->depth - start < NN_ROWS_DEPTH ? r->depth - start : NN_ROWS_DEPTH;
        int64_t row = 0;
        for (; row + tile_rows <= r->rows; row += tile_rows) {
            for (int64_t t = 0; t < taps; t++)
                for (int64_t i = 0; i < tile_rows; i++)
                    r->panel[t * tile_rows + i] = r->in[(row + i) * r->depth + start + t];
            k->tile(r->out + row * r->out_step, (size_t)r->out_step, weight, r->offsets,
                    r->panel, (size_t)taps, (size_t)r->columns);
        }
        for (; row < r->rows; row++)
            k->tap_sum(r->out + row * r->out_step, weight, r->offsets,
                       r->in + row * r->depth + start, (size_t)taps, (size_t)r->columns);
    }
}

#include "nn/ops/taps.h"

#include <assert.h>
#include <math.h>

/* Taps summed at a time: their weights and input rows stay in the first-level cache, and
 * partial sums keep rounding errors of deep convolutions apart. */
#define BLOCK 256

/* Half of a second-level cache of 1 MiB. */
#define BAND_FLOATS 131072

/* The most rows a table's tile has. */
#define MOST_ROWS 16

struct nn_taps nn_taps_init(const struct nn_kernels *k, int64_t outputs)
{
    assert(k->tile_rows <= MOST_ROWS);
    /* A panel mostly of zeros, as depthwise convolution would have, is slower than rows. */
    int64_t rows = 2 * outputs >= (int64_t)k->tile_rows ? (int64_t)k->tile_rows : 1;
    return (struct nn_taps){.outputs = outputs,
                            .rows = rows,
                            .panels = (outputs + rows - 1) / rows,
                            .low = -INFINITY,
                            .high = INFINITY};
}

int64_t nn_taps_band(int64_t channels)
{
    int64_t chunks = BAND_FLOATS / channels / NN_TAPS_CHUNK;
    return (chunks < 1 ? 1 : chunks) * NN_TAPS_CHUNK;
}

void nn_taps_sum(const struct nn_kernels *k, const struct nn_taps *taps, int64_t panel,
                 const float *x, float *y, size_t y_step, size_t n)
{
    static const float zeros[MOST_ROWS];
    const float *weight = taps->weight + panel * taps->count * taps->rows;
    const float *bias = taps->bias ? taps->bias + panel * taps->rows : zeros;
    int64_t channels = taps->outputs - panel * taps->rows;
    size_t rows = (size_t)(channels < taps->rows ? channels : taps->rows);
    for (size_t i = 0; taps->rows == 1 && i < n; i++)
        y[i] = *bias;
    for (int64_t t = 0; t < taps->count; t += BLOCK, weight += BLOCK * taps->rows) {
        bool last = taps->count - t <= BLOCK;
        size_t count = (size_t)(last ? taps->count - t : BLOCK);
        const struct nn_tile_end end = {.rows = rows,
                                        .bias = t > 0 ? NULL : bias,
                                        .low = last ? taps->low : -INFINITY,
                                        .high = last ? taps->high : INFINITY};
        if (taps->rows == 1)
            k->tap_sum(y, x, taps->offsets + t, weight, count, n);
        else
            k->tile(y, y_step, x, taps->offsets + t, weight, count, n, &end);
    }
}

#include "nn/ops/taps.h"

#include <assert.h>
#include <math.h>

/* Taps summed at a time: the input rows of a tile of 48 positions, 24 KiB, and their weights
 * stay in the first-level cache, and partial sums keep rounding errors of deep convolutions
 * apart. */
#define BLOCK 128

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

/* One panel, taps t..t+count-1. */
static void sum_block(const struct nn_kernels *k, const struct nn_taps *taps, int64_t panel,
                      int64_t t, int64_t count, const float *x, float *y, size_t y_step,
                      size_t n)
{
    static const float zeros[MOST_ROWS];
    const float *weight = taps->weight + (panel * taps->count + t) * taps->rows;
    const float *bias = taps->bias ? taps->bias + panel * taps->rows : zeros;
    int64_t channels = taps->outputs - panel * taps->rows;
    bool last = t + count == taps->count;
    if (taps->rows == 1) {
        for (size_t i = 0; t == 0 && i < n; i++)
            y[i] = *bias;
        k->tap_sum(y, x, taps->offsets + t, weight, (size_t)count, n);
        return;
    }
    const struct nn_tile_end end = {.rows =
                                        (size_t)(channels < taps->rows ? channels : taps->rows),
                                    .bias = t > 0 ? NULL : bias,
                                    .low = last ? taps->low : -INFINITY,
                                    .high = last ? taps->high : INFINITY};
    k->tile(y, y_step, x, taps->offsets + t, weight, (size_t)count, n, &end);
}

/* Into the second-level cache. What a panel has of a block begins where hardware that fetches
 * ahead would not go by itself. */
static void fetch_ahead(const float *weight, int64_t count)
{
    for (int64_t i = 0; i < count; i += 64 / (int64_t)sizeof *weight)
        __builtin_prefetch(weight + i, 0, 2);
}

void nn_taps_sum(const struct nn_kernels *k, const struct nn_taps *taps, int64_t panel,
                 int64_t end, const float *x, float *y, size_t y_step, size_t n)
{
    /* Of several blocks, all panels meet what a tile reads before the next tile does. */
    bool several = taps->count > BLOCK && end - panel > 1;
    for (int64_t t = 0; t < taps->count; t += BLOCK) {
        int64_t count = taps->count - t < BLOCK ? taps->count - t : BLOCK;
        for (size_t i = 0, step; i < n; i += step) {
            float *to = y + i;
            step = several && n - i > k->tile_width + k->lanes ? k->tile_width : n - i;
            for (int64_t p = panel; p < end; p++, to += (size_t)taps->rows * y_step) {
                if (several && p + 1 < end)
                    fetch_ahead(taps->weight + ((p + 1) * taps->count + t) * taps->rows,
                                count * taps->rows);
                sum_block(k, taps, p, t, count, x + i, to, y_step, step);
            }
        }
    }
}

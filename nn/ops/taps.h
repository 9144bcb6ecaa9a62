/* Sums over taps (nn/kernels/kernels.h) by panels of output channels, which share the inputs
 * they read: the inner loops of Conv and ConvTranspose.
 *
 * Thread: plain data; functions are pure. */
#ifndef NN_OPS_TAPS_H
#define NN_OPS_TAPS_H

#include "nn/kernels/kernels.h"

/* Positions of one chunk: a multiple of every table's tile width, small enough that its sums
 * stay in the first-level cache. */
#define NN_TAPS_CHUNK 192

/* Floats in a workspace are counted so that each piece starts on a cache line. */
#define NN_TAPS_ALIGNED(floats) (((floats) + 15) / 16 * 16)

struct nn_taps {
    int64_t outputs;        /* channels */
    int64_t rows, panels;   /* output channels in a panel, panels */
    int64_t count;          /* taps, at least 1 */
    const int32_t *offsets; /* (count) */
    const float *weight;    /* (panels, count, rows), zeros where a last panel lacks channels */
    const float *bias;      /* (outputs) or NULL */
    float low, high;        /* what sums are clamped to; panels of one row are not */
};

/* How so many output channels are put into panels; without taps, bias and limits yet. */
struct nn_taps nn_taps_init(const struct nn_kernels *k, int64_t outputs);

/* Positions of so many input channels that all panels go over before the next ones are read:
 * whole chunks. */
int64_t nn_taps_band(int64_t channels);

/* Panels panel..end-1 at n positions: y[r·y_step + i] = bias + Σ over the taps of
 * x[offset + i], rows counted from the first. Of a last panel only the rows that are channels
 * are written. */
void nn_taps_sum(const struct nn_kernels *k, const struct nn_taps *taps, int64_t panel,
                 int64_t end, const float *x, float *y, size_t y_step, size_t n);

#endif

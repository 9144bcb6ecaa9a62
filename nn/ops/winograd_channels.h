/* Winograd convolution with channels for lanes: the way of images whose rows of tiles are too
 * short to fill vectors, which otherwise work on as many lanes as a row has tiles.
 *
 * Planes are transposed on the way in and out, NN_PANEL_STEP channels at a time, and products
 * are those of nn_kernels.panel, a row for each tile. Lines of tiles are worked on together as
 * far as what is in between stays in the second-level cache. Private to nn/ops/winograd.c. */
#ifndef NN_OPS_WINOGRAD_CHANNELS_H
#define NN_OPS_WINOGRAD_CHANNELS_H

#include "nn/ops/winograd.h"

/* Floats, in either way: elements lie a cache line further apart than their size, which is a
 * power of two too often; transforms, which read or write all of them, would compete for few
 * sets of the first-level cache. */
enum { NN_WINOGRAD_APART = 16 };

/* A run, in either way. */
struct nn_winograd_job {
    const struct nn_winograd *w;
    const struct nn_op_call *call;
    const float *x, *packed, *bias, *residual;
    float *y, *workspace;
    float low, high; /* of the activation, where clamping is all it does */
    bool activates;  /* otherwise */
    int64_t shared;  /* the strip that all threads work on, if they work on one */
};

/* Where job->activates: the residual and the activation, on so many of a plane's numbers. */
void nn_winograd_activate(const struct nn_winograd_job *job, float *y, size_t rows,
                          size_t columns);

size_t nn_winograd_channels_workspace_floats(const struct nn_winograd *w, int threads);

/* Weights are (panels, elements, channels, columns): panels of NN_PANEL_COLUMNS output
 * channels, the last one as wide as they need, rounded up to NN_PANEL_STEP. */
void nn_winograd_channels_run(const struct nn_winograd_job *job);

#endif

/* Winograd convolution of whole images with the kernels of nn/kernels/kernels.h: Conv's way for
 * 3×3 windows that move by one, where it pays.
 *
 * F(4×4, 3×3) needs 36 products for what takes 144 tap by tap, F(2×2, 3×3) 16 for 36; in return
 * weights are 4 and 1.8 times as large, and tiles that stick out are worked on in whole.
 * Strips of tiles are transformed, multiplied and written one after another, so that all in
 * between stays in the second-level cache; tiles are numbered through the batch.
 *
 * Thread: plain data; functions are pure but for what they write to. */
#ifndef NN_OPS_WINOGRAD_H
#define NN_OPS_WINOGRAD_H

#include "nn/ops/spatial.h"

/* What stands side by side in vectors. */
enum nn_winograd_lanes {
    NN_WINOGRAD_TILES,    /* of one row */
    NN_WINOGRAD_CHANNELS, /* where rows are short (nn/ops/winograd_channels.h) */
};

struct nn_winograd_way {
    size_t m; /* outputs of a tile along an axis: 4, 2; 0: none */
    enum nn_winograd_lanes lanes;
};

struct nn_winograd {
    size_t m, elements; /* (m + 2)² */
    bool by_channels;
    int64_t images, channels, outputs; /* batch, input and output channels */
    int64_t height, width;             /* of an input */
    int64_t pad_top, pad_left;
    int64_t rows, columns;     /* of an output, as it is written */
    int64_t lines, line_tiles; /* rows of tiles in an image, tiles in a row */
    int64_t tiles;             /* of all images */
    bool pool;                 /* maxima of 2×2 outputs are written */
    bool few;                  /* so few channels that products are not stored */
    int64_t tile_rows, panels; /* output channels in a panel of weights, panels */
    int64_t lanes;             /* tiles that are transformed at once */
};

/* What does a convolution in one group fastest; m 0: none, taps are better. By the geometry of
 * one image, so that a batch gets the results of its images. */
struct nn_winograd_way nn_winograd_choose(const struct nn_kernels *k,
                                          const struct nn_spatial *s, int64_t channels,
                                          int64_t outputs, bool pool);

/* Static text. */
const char *nn_winograd_name(struct nn_winograd_way way);

/* For m 2 or 4, 3×3 windows that move by one, and kernels that have Winograd. `pool`: followed
 * by the maximum of 2×2 that moves by two. */
struct nn_winograd nn_winograd_init(struct nn_winograd_way way, const struct nn_kernels *k,
                                    const struct nn_spatial *s, int64_t images,
                                    int64_t channels, int64_t outputs, bool pool);

size_t nn_winograd_weight_floats(const struct nn_winograd *w);
size_t nn_winograd_workspace_floats(const struct nn_winograd *w, const struct nn_kernels *k,
                                    int threads);

/* G, (m + 2) × 3. */
const double (*nn_winograd_filter_transform(size_t m))[3];

/* Transforms a weight (outputs, channels, 3, 3), in double precision. */
void nn_winograd_pack(const struct nn_winograd *w, const float *weight, float *packed);
/* Of outputs first..end-1 only, into what is zero where there are no weights. Sixteen at a time
 * take as long as one. */
void nn_winograd_pack_part(const struct nn_winograd *w, const float *weight, int64_t first,
                           int64_t end, float *packed);

/* y = activation of (the convolution of x + bias), pooled or with `residual` (y's shape) added
 * before the activation. bias and residual may be NULL. workspace: 64-byte aligned, for the
 * call's threads. */
void nn_winograd_run(const struct nn_winograd *w, const struct nn_op_call *call, const float *x,
                     const float *packed, const float *bias, const float *residual, float *y,
                     float *workspace);

#endif

/* What each output of a window that slides over an image sees, laid out as a matrix: a row for each
 * channel and tap, (channels · window_size, images · out_size). Convolutions are products with it.
 * Private to nn/train/rows.
 *
 * Of the spatial it reads: in, out, kernel, stride, dilation, pad_before, and the sizes of in, out
 * and window. x: the first image's first channel; image_step numbers from one image to the next.
 *
 * Thread: pure functions. */
#ifndef NN_TRAIN_COLUMNS_H
#define NN_TRAIN_COLUMNS_H

#include "nn/ops/spatial.h"
#include "nn/train/real.h"

void TRAIN_NAME(train_lay_columns)(const struct nn_spatial *s, int64_t channels, const real *x,
                                   int64_t image_step, int64_t images, real *columns);

/* The other way: each number is added to what it was read from. */
void TRAIN_NAME(train_add_columns)(const struct nn_spatial *s, int64_t channels,
                                   const real *columns, int64_t image_step, int64_t images,
                                   real *x);

#endif

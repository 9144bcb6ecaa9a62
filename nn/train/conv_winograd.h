/* Winograd's way to learn a convolution of 3×3 windows that move by one, in one group, where
 * there are channels enough to fill vectors:
 *
 *     Y    as inference has it (nn/ops/winograd.h)
 *     dX   the same over dY, with weights turned round and channels exchanged
 *     dW   Gᵀ (Σ over tiles of (A dY Aᵀ) ⊙ (Bᵀ X B)) G: the adjoint of what Y is, a quarter of the
 *          products of a sum over positions for tiles of 4×4
 *
 * Source: as nn/kernels/kernels.h; the gradient is F(3×3, m×m) of the first paper.
 *
 * Private to nn/train/rows/conv.c. Thread: as rows. */
#ifndef NN_TRAIN_CONV_WINOGRAD_H
#define NN_TRAIN_CONV_WINOGRAD_H

#include "nn/ops/spatial.h"
#include "nn/train/row.h"

struct train_winograd;

/* *ret_fast NULL where the geometry is another or the kernels have no Winograd. Adds to
 * op->workspace_bytes. 0 or -ENOMEM. */
int train_winograd_prepare(struct nn_op_call *op, const struct nn_spatial_filters *f,
                           struct train_winograd **ret_fast);

/* Work memory is behind `workspace`. */
void train_winograd_forward(const struct train_winograd *w, const struct train_call *call,
                            float *workspace);

/* dy: the output's gradient before the activation. */
void train_winograd_backward(const struct train_winograd *w, const struct train_call *call,
                             const float *dy, float *workspace);

#endif

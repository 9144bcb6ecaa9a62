/* MaxPool of 8-bit integers: one padded channel at a time, whose windows the taps of
 * nn/kernels/bytes.h go over, as if they moved by one. Private to nn/ops/.
 *
 * Thread: pure functions. */
#ifndef NN_OPS_POOL_BYTES_H
#define NN_OPS_POOL_BYTES_H

#include "nn/kernels/bytes.h"
#include "nn/ops/spatial.h"

/* Whether nn_pool_max_bytes can, in so much scratch memory. */
bool nn_pool_suits_bytes(const struct nn_spatial *s, size_t scratch_bytes);

/* One channel: x (in), y (out). A window of padding only gives the least number. */
void nn_pool_max_bytes(const struct nn_spatial *s, const struct nn_byte_kernels *k,
                       enum nn_type type, const uint8_t *x, uint8_t *y, void *scratch);

#endif

/* The weights of a convolution by output channel, and BatchNormalization as part of them.
 * Private to nn/.
 *
 * Thread: pure functions. */
#ifndef NN_FILTERS_H
#define NN_FILTERS_H

#include "nn/graph.h"

/* Conv has its output channels outermost; ConvTranspose has the input channels there, group by
 * group, and the output channels of one group behind. */
struct nn_filters {
    int64_t channels, groups, taps; /* output channels; taps: what is behind the channel axes */
    int64_t in_channels;            /* of one group of ConvTranspose; 0: Conv */
};

/* false: no convolution, or groups that its weight cannot be cut into. `weight`: the shape of
 * the node's input 1, of rank 2 at least. */
bool nn_filters_find(const struct nn_op *op, const struct nn_node *node,
                     const struct nn_shape *weight, struct nn_filters *ret_filters);

/* What a BatchNormalization of these channels does, in inference; NULL bias: zeros. */
struct nn_normalization {
    const float *scale, *shift, *mean, *variance, *bias;
    double epsilon;
};

/* Output channel c is scaled by s = scale/sqrt(var + epsilon) and shifted by bias - mean·s: the
 * same convolution with weights·s and bias·s + that shift. Either result may be NULL. */
void nn_filters_normalize(const struct nn_filters *filters, const struct nn_normalization *n,
                          const float *weights, int64_t count, float *ret_weights,
                          float *ret_bias);

/* Whether the node goes by the batch itself (training_mode): not by constants, then. */
bool nn_normalization_is_of_batch(const struct nn_node *node);

/* The node's own; 1e-5 where it has none. */
double nn_normalization_epsilon(const struct nn_node *node);

#endif

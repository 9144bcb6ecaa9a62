#include "nn/filters.h"

#include <math.h>

bool nn_filters_find(const struct nn_op *op, const struct nn_node *node,
                     const struct nn_shape *weight, struct nn_filters *ret_filters)
{
    if (op != &nn_op_conv && op != &nn_op_conv_transpose)
        return false;
    struct nn_filters found = {.groups = nn_node_int(node, "group", 1)};
    if (found.groups < 1 || found.groups > weight->dim[0] || weight->dim[0] % found.groups != 0)
        return false;
    if (op == &nn_op_conv) {
        found.channels = weight->dim[0];
        found.taps = nn_shape_extent(weight, 1, weight->rank);
    } else {
        found.channels = weight->dim[1] * found.groups;
        found.in_channels = weight->dim[0] / found.groups;
        found.taps = nn_shape_extent(weight, 2, weight->rank);
    }
    *ret_filters = found;
    return true;
}

/* The output channel that a row of `taps` elements of the weight belongs to. */
static int64_t channel_of(const struct nn_filters *f, int64_t row)
{
    int64_t own = f->channels / f->groups;
    return f->in_channels == 0 ? row : row / own / f->in_channels * own + row % own;
}

void nn_filters_normalize(const struct nn_filters *filters, const struct nn_normalization *n,
                          const float *weights, int64_t count, float *ret_weights,
                          float *ret_bias)
{
    for (int64_t i = 0; i < count && ret_weights; i += filters->taps) {
        int64_t c = channel_of(filters, i / filters->taps);
        double s = n->scale[c] / sqrt(n->variance[c] + n->epsilon);
        for (int64_t t = i; t < i + filters->taps; t++)
            ret_weights[t] = (float)(s * weights[t]);
    }
    for (int64_t c = 0; c < filters->channels && ret_bias; c++) {
        double s = n->scale[c] / sqrt(n->variance[c] + n->epsilon);
        ret_bias[c] = (float)(((n->bias ? n->bias[c] : 0.0) - n->mean[c]) * s + n->shift[c]);
    }
}

bool nn_normalization_is_of_batch(const struct nn_node *node)
{
    return nn_node_int(node, "training_mode", 0) != 0;
}

double nn_normalization_epsilon(const struct nn_node *node)
{
    return nn_node_float(node, "epsilon", 1e-5f);
}

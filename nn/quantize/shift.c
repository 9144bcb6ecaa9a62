/* What rounding weights does to the mean of an output: outputs are sums of many inputs whose
 * means are not zero (they are behind ReLU), so that errors of weights add up to a constant.
 * The bias takes it back. In deep networks of small layers, depthwise ones above all, this is
 * most of what weights of 8 bits cost.
 *
 * Borders are left out: there, zeros take the place of some inputs.
 *
 * Source: Nagel et al., "Data-Free Quantization through Weight Equalization and Bias
 * Correction", 2019, with means that were observed. */
#include <errno.h>
#include <stdlib.h>

#include "nn/quantize/parts.h"

int nn_mean_add(struct nn_mean *mean, const struct nn_tensor *tensor)
{
    const float *x = tensor->data;
    const int64_t size = nn_shape_count(&tensor->shape);
    const int64_t inner = nn_shape_extent(&tensor->shape, 2, tensor->shape.rank);
    if (size == 0)
        return 0;
    if (!mean->sums) {
        mean->channels = tensor->shape.dim[1];
        mean->sums = calloc((size_t)mean->channels, sizeof *mean->sums);
    }
    if (!mean->sums)
        return -ENOMEM;
    for (int64_t i = 0; i < size; i += inner) {
        double sum = 0;
        for (int64_t j = i; j < i + inner; j++)
            sum += x[j];
        mean->sums[i / inner % mean->channels] += sum;
    }
    mean->count += size / mean->channels;
    return 0;
}

static const struct nn_mean *mean_of(const struct nn_quantizer *q, int value)
{
    for (int i = 0; i < q->seen.count; i++)
        if (q->seen.values[i] == value)
            return &q->means[i];
    return NULL;
}

void nn_quantize_add_shift(const struct nn_quantizer *q, const struct nn_node *node,
                           const struct nn_quantize_weights *weights, const int8_t *quantized,
                           const float *scales, double *shift)
{
    const struct nn_shape *shape = &weights->tensor->shape;
    const struct nn_mean *mean = mean_of(q, node->inputs[0]);
    const int64_t channels = shape->dim[0], in = shape->dim[1]; /* in: of one group */
    const int64_t groups = nn_node_int(node, "group", 1);
    /* A node that no output needs has been checked by no plan. */
    if (node->op != &nn_op_conv || !mean || mean->count == 0 || groups < 1 ||
        channels % groups != 0 || in != mean->channels / groups)
        return;
    const float *w = weights->tensor->data;
    const int64_t own = channels / groups;
    const int64_t taps = nn_shape_extent(shape, 2, shape->rank);
    for (int64_t m = 0; m < channels; m++)
        for (int64_t c = 0; c < in; c++) {
            const int64_t first = (m * in + c) * taps;
            double off = 0;
            for (int64_t i = first; i < first + taps; i++)
                off += (double)quantized[i] * scales[m] - w[i];
            shift[m] += off * mean->sums[m / own * in + c] / (double)mean->count;
        }
}

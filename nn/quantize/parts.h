/* What a quantizer is inside. Private to nn/quantize/. */
#ifndef NN_QUANTIZE_PARTS_H
#define NN_QUANTIZE_PARTS_H

#include "nn/quantize/draft.h"
#include "nn/quantize/quantize.h"
#include "nn/quantize/range.h"
#include "nn/quantize/view.h"
#include "nn/session.h"

enum nn_quantize_role {
    NN_ROLE_FLOAT = 0, /* as it is */
    NN_ROLE_PRODUCT,   /* 8-bit weights */
    NN_ROLE_BLEND,     /* a sum or mean of 8-bit values */
    NN_ROLE_MOVE,      /* moves 8-bit values */
};

/* Values of the network that a plan gives as outputs: which, and where. */
struct nn_watch {
    int count;
    int *values;
    size_t *outputs;
    struct nn_session *session;
};

/* Of the channels of a value, (N, C, ...). */
struct nn_mean {
    int64_t channels, count; /* count: numbers of each channel */
    double *sums;            /* (channels); NULL before the first */
};

struct nn_quantizer {
    struct nn_draft draft; /* the float model: of opset 13 at least, folded */
    struct nn_model *model;
    struct nn_view view;
    double percentile;
    int opset_before;
    int input_count;
    struct nn_shape *input_shapes; /* NULL: the model's own */

    enum nn_quantize_role *role; /* of each node */
    bool *wanted;                /* of each value: it is 8-bit */
    int *group; /* of each value: another that is only moved to or from it, itself at last */
    struct nn_quantize_layer *layers;
    int *layer_nodes;
    int layer_count;

    /* First the 8-bit values that no move makes, ranges[i] of the i-th; then what else
     * convolutions read. */
    struct nn_watch seen;
    struct nn_range *ranges;
    int range_count;
    struct nn_mean *means; /* of each that is seen; empty where no convolution reads it */

    /* Of compare, made by its first call: outputs of layers, before and after. */
    struct nn_draft after; /* what was written; its pool is empty before */
    bool written;
    struct nn_watch before_layers, after_layers;
};

/* Fills role, wanted, group and the layers. `keep` as in the options. */
int nn_quantize_choose(struct nn_quantizer *q, const char *const *keep, struct nn_error *err);

/* Values in groups: `group` has another one of each value's, itself at last. The least of a
 * group stands for it. */
int nn_quantize_group(const int *group, int value);
void nn_quantize_join(int *group, int a, int b);

/* Which of a layer's inputs are a product's weights, along which axis its output channels lie,
 * and how many scales that makes. */
struct nn_quantize_weights {
    const struct nn_tensor *tensor, *bias; /* bias: NULL without one */
    int axis;
    size_t channels, inner; /* inner: elements behind the axis */
};
/* NULL, or why the node has none that could be 8-bit. */
const char *nn_quantize_weights_of(const struct nn_quantizer *q, const struct nn_node *node,
                                   struct nn_quantize_weights *ret_weights);

/* How far the means of a convolution's outputs are off because its weights, now `quantized`
 * times their scales, are: by the means of what it reads. Added to shift (channels). `node` is a
 * product of these weights; nothing is added for others than Conv. */
void nn_quantize_add_shift(const struct nn_quantizer *q, const struct nn_node *node,
                           const struct nn_quantize_weights *weights, const int8_t *quantized,
                           const float *scales, double *shift);

/* Counts the channels of what was seen. 0 or -ENOMEM. */
int nn_mean_add(struct nn_mean *mean, const struct nn_tensor *tensor);

/* q->draft with pairs of QuantizeLinear and DequantizeLinear, in `out`, which is open. */
int nn_quantize_emit(const struct nn_quantizer *q, struct nn_draft *out, struct nn_error *err);

#endif
